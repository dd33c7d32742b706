/* Brokers that answer with errors, go away, come back, and forget: only the embedded one
 * can be told to. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "stage.h"

static struct rfl_err err;

enum { API_PRODUCE = 0, API_FETCH = 1, API_LIST_OFFSETS = 2, API_METADATA = 3 };

static void sleep_ms(int ms) {
  struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * RFL_MS};
  nanosleep(&pause, NULL);
}

static struct rfl_source *started(struct rfl_kafka *k,
                                  const struct rfl_topic_source_options *o) {
  struct rfl_source *s = stage_source(k, o, &err);
  CHECK(s != NULL);
  if (s) CHECK_OK(s->start(s, NULL, &err), &err);
  return s;
}

static void read_all(const char *topic, int64_t n) {
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(stage.k, &o);
  struct reading r;
  stage_read(s, NULL, &r);
  CHECK_OK(r.code, &r.err);
  CHECK_EQ(r.event, RFL_END);
  CHECK_EQ(r.rows, n);
  CHECK_EQ(r.sum, n * (n - 1) / 2);
  CHECK(r.ordered);
  s->release(s);
}

TEST(fetches_that_fail_are_tried_again) {
  const char *topic = stage_topic("fetch", 2);
  CHECK_EQ(stage_count(topic, 2, 1000), 0);
  rd_kafka_mock_push_request_errors(
      rfl_broker_mock(stage.broker), API_FETCH, 4,
      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT);
  read_all(topic, 1000);
}

/* The broker says that the offset is out of range, but it is not: we look, and ask for
 * the same offset again. */
TEST(an_offset_wrongly_called_out_of_range_is_asked_for_again) {
  const char *topic = stage_topic("range", 1);
  CHECK_EQ(stage_count(topic, 1, 1000), 0);
  rd_kafka_mock_push_request_errors(rfl_broker_mock(stage.broker), API_FETCH, 1,
                                    RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
  read_all(topic, 1000);
}

TEST(questions_that_fail_are_asked_again) {
  const char *topic = stage_topic("ask", 2);
  CHECK_EQ(stage_count(topic, 2, 100), 0);
  rd_kafka_mock_push_request_errors(rfl_broker_mock(stage.broker), API_LIST_OFFSETS, 2,
                                    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
  read_all(topic, 100);
}

TEST(produces_that_fail_are_sent_again_and_not_twice) {
  const char *topic = stage_topic("produce", 1);
  const struct rfl_field field[] = {{.name = "n", .type = RFL_INTEGER}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL;
  CHECK_OK(rfl_schema_new(field, 1, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  for (int32_t i = 0; i < 1000; i++) {
    CHECK_OK(rfl_builder_open(b, &err), &err);
    rfl_builder_int(b, 0, i);
    rfl_builder_commit(b);
  }
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  struct rfl_topic_sink_options o = {
      .topic = topic, .key_column = -1, .timestamp_column = -1, .partition_column = -1};
  struct rfl_sink *s = NULL;
  CHECK_OK(rfl_topic_sink_new(stage.k, &o, stage_encoder(), &s, &err), &err);
  rd_kafka_mock_push_request_errors(rfl_broker_mock(stage.broker), API_PRODUCE, 3,
                                    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                    RD_KAFKA_RESP_ERR__TRANSPORT,
                                    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_OK(s->flush(s, rfl_now_ns() + 20 * (int64_t)RFL_SECOND, &failed, &err), &err);
  CHECK_EQ(failed.failed, 0);
  s->release(s);
  rfl_frame_release(f);
  rfl_builder_release(b);
  rfl_schema_release(schema);
  read_all(topic, 1000);
}

TEST(an_unbounded_source_outlives_its_broker_and_says_what_it_waits_for) {
  const char *topic = stage_topic("down", 1);
  CHECK_EQ(stage_count(topic, 1, 10), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.bounded = false;
  struct rfl_source *s = started(stage.k, &o);
  struct stage_read how = {.seconds = 1};
  struct reading r;
  stage_read(s, &how, &r);
  CHECK_EQ(r.rows, 10);
  rd_kafka_mock_broker_set_down(rfl_broker_mock(stage.broker), 1);
  stage_read(s, &how, &r);
  CHECK_EQ(r.event, RFL_IDLE);
  char trouble[512];
  rfl_topic_source_trouble(s, trouble, sizeof trouble);
  CHECK(strstr(trouble, "127.0.0.1:") != NULL || strstr(trouble, "down") != NULL);
  rd_kafka_mock_broker_set_up(rfl_broker_mock(stage.broker), 1);
  CHECK_EQ(stage_count(topic, 1, 5), 0);
  how.seconds = 3;
  stage_read(s, &how, &r);
  CHECK_EQ(r.rows, 5);
  rfl_topic_source_trouble(s, trouble, sizeof trouble);
  CHECK_STR(trouble, "");
  s->release(s);
}

TEST(a_bounded_read_gives_up_when_nothing_comes) {
  const char *topic = stage_topic("quiet", 1);
  CHECK_EQ(stage_count(topic, 1, 10), 0);
  struct rfl_kafka *k = stage_connect(300, NULL);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(k, &o);
  rd_kafka_mock_broker_set_down(rfl_broker_mock(stage.broker), 1);
  struct reading r;
  int64_t before = rfl_now_ns();
  stage_read(s, NULL, &r);
  int64_t took = rfl_now_ns() - before;
  rd_kafka_mock_broker_set_up(rfl_broker_mock(stage.broker), 1);
  CHECK_EQ(r.code, RFL_ETIMEOUT);
  CHECK(strstr(r.err.message,
               "partition 0, offset 0 on for 1.8 s, although it goes on "
               "to 10") != NULL);
  CHECK(took >= 1700 * (int64_t)RFL_MS && took < 6 * (int64_t)RFL_SECOND);
  s->release(s);
  rfl_kafka_release(k);
}

TEST(a_full_queue_to_a_dead_broker_is_not_waited_for_for_ever) {
  const char *topic = stage_topic("dead", 1);
  const char *const tight[] = {"queue.buffering.max.messages=10", NULL};
  struct rfl_kafka *k = stage_connect(300, tight);
  const struct rfl_field field[] = {{.name = "v", .type = RFL_STRING}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL;
  CHECK_OK(rfl_schema_new(field, 1, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  for (int i = 0; i < 20; i++) {
    CHECK_OK(rfl_builder_open(b, &err), &err);
    rfl_builder_commit(b);
  }
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  struct rfl_topic_sink_options o = {
      .topic = topic, .key_column = -1, .timestamp_column = -1, .partition_column = -1};
  struct rfl_sink *s = NULL;
  CHECK_OK(rfl_topic_sink_new(k, &o, NULL, &s, &err), &err);
  rd_kafka_mock_broker_set_down(rfl_broker_mock(stage.broker), 1);
  CHECK_EQ(s->put(s, 1, f, &err), RFL_ETIMEOUT);
  rd_kafka_mock_broker_set_up(rfl_broker_mock(stage.broker), 1);
  CHECK(strstr(err.message, "has taken nothing for 1.8 s and 10 records wait") != NULL);
  s->release(s);
  rfl_frame_release(f);
  rfl_builder_release(b);
  rfl_schema_release(schema);
  rfl_kafka_release(k);
}

/* 1 KB of text that cannot be compressed, with an integer before it. */
static int produce_noise(const char *topic, int from, int n) {
  struct stage_record *r = rfl_alloc((size_t)n, sizeof *r);
  char *text = rfl_alloc((size_t)n, 1024);
  uint64_t x = 88172645463325252u + (uint64_t)from;
  for (int i = 0; i < n; i++) {
    char *p = text + 1024 * i;
    int used = snprintf(p, 1024, "%d,", from + i);
    for (int j = used; j < 1023; j++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      p[j] = (char)(' ' + 1 + (x >> 20) % 94);
    }
    r[i] = (struct stage_record){.value = p};
  }
  int failed = stage_produce(topic, r, (size_t)n);
  rfl_free(text);
  rfl_free(r);
  return failed;
}

/* Two readers stop after their first frame, with little memory; 40 MB more push what they
 * have not fetched out of the log. */
TEST(records_that_expire_while_reading_are_told_or_counted) {
  for (int warn = 0; warn < 2; warn++) {
    const char *topic = stage_topic("expire", 1);
    CHECK_EQ(produce_noise(topic, 0, 4500), 0); /* the log holds these */
    struct rfl_topic_source_options o = stage_options(topic);
    o.memory = 4 << 20;
    o.bounded = false;
    o.warn_on_loss = warn;
    const char *const little[] = {"queued.max.messages.kbytes=1024",
                                  "fetch.message.max.bytes=100000", NULL};
    struct rfl_kafka *k = stage_connect(3000, little);
    struct rfl_source *s = started(k, &o);
    struct rfl_want want = {.until_ns = rfl_now_ns() + 10 * (int64_t)RFL_SECOND};
    enum rfl_event event;
    struct rfl_frame *f = NULL;
    CHECK_OK(s->next(s, &want, &event, &f, &err), &err);
    int64_t first = f ? f->n_rows : 0;
    rfl_frame_release(f);
    sleep_ms(500); /* the ring and the queue are full now */
    CHECK_EQ(produce_noise(topic, 4500, 40000), 0);
    struct stage_read how = {.seconds = 3};
    struct reading r;
    stage_read(s, &how, &r);
    if (warn) {
      CHECK_OK(r.code, &r.err);
      CHECK_EQ(r.event, RFL_IDLE);
      CHECK(r.tally.lost > 0);
      CHECK_EQ(first + r.rows + (int64_t)r.tally.lost, 44500);
      CHECK(r.ordered);
      CHECK_EQ(r.next[0], 44500);
    } else {
      CHECK_EQ(r.code, RFL_ELOSS);
      char head[200];
      snprintf(head, sizeof head,
               "topic `%s`, partition 0: offset %lld was expected, but", topic,
               (long long)(first + r.rows));
      CHECK(strncmp(r.err.message, head, strlen(head)) == 0);
    }
    s->release(s);
    rfl_kafka_release(k);
  }
}

int main(void) {
  const char *real = getenv("RIFFLE_KAFKA");
  if (real && *real) {
    printf("# only the embedded broker can be told to fail\n");
    return 0;
  }
  if (stage_open(1)) return 1;
  RUN(fetches_that_fail_are_tried_again);
  RUN(an_offset_wrongly_called_out_of_range_is_asked_for_again);
  RUN(questions_that_fail_are_asked_again);
  RUN(produces_that_fail_are_sent_again_and_not_twice);
  RUN(an_unbounded_source_outlives_its_broker_and_says_what_it_waits_for);
  RUN(a_bounded_read_gives_up_when_nothing_comes);
  RUN(a_full_queue_to_a_dead_broker_is_not_waited_for_for_ever);
  RUN(records_that_expire_while_reading_are_told_or_counted);
  stage_close();
  return harness_end();
}
