/* A topic as a sink: what was put is there, and what is not is named. */
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "kafka/consumer.h"
#include "stage.h"

static struct rfl_err err;

enum { C_N, C_TEXT, C_KEY, C_TIME, C_PARTITION, C_COLUMNS };

/* Rows first .. first + n - 1: n, "t<n>", key "k<n % 50>" (missing every 10th), second n,
 * partition n % 4. */
static struct rfl_frame *rows(int32_t first, int32_t n) {
  const struct rfl_field field[C_COLUMNS] = {{.name = "n", .type = RFL_INTEGER},
                                             {.name = "text", .type = RFL_STRING},
                                             {.name = "key", .type = RFL_FACTOR},
                                             {.name = "time", .type = RFL_TIMESTAMP},
                                             {.name = "to", .type = RFL_INTEGER}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL;
  char text[32];
  CHECK_OK(rfl_schema_new(field, C_COLUMNS, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  for (int32_t i = first; i < first + n; i++) {
    CHECK_OK(rfl_builder_open(b, &err), &err);
    rfl_builder_int(b, C_N, i);
    size_t len = (size_t)snprintf(text, sizeof text, "t%d", (int)i);
    CHECK_OK(rfl_builder_text(b, C_TEXT, text, len, &err), &err);
    len = (size_t)snprintf(text, sizeof text, "k%d", (int)(i % 50));
    if (i % 10) CHECK_OK(rfl_builder_text(b, C_KEY, text, len, &err), &err);
    rfl_builder_long(b, C_TIME, (int64_t)(i + 1) * 1000000);
    rfl_builder_int(b, C_PARTITION, i % 4);
    rfl_builder_commit(b);
  }
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  rfl_builder_release(b);
  rfl_schema_release(schema);
  return f;
}

static struct rfl_topic_sink_options plain(const char *topic) {
  return (struct rfl_topic_sink_options){
      .topic = topic, .key_column = -1, .timestamp_column = -1, .partition_column = -1};
}

static struct rfl_sink *opened(struct rfl_kafka *k,
                               const struct rfl_topic_sink_options *o,
                               struct rfl_encoder *e) {
  struct rfl_sink *s = NULL;
  CHECK_OK(rfl_topic_sink_new(k, o, e, &s, &err), &err);
  return s;
}

static int64_t soon(int seconds) { return rfl_now_ns() + seconds * (int64_t)RFL_SECOND; }

static void read_back(const char *topic, struct reading *r) {
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = stage_source(stage.k, &o, &err);
  CHECK_OK(s->start(s, NULL, &err), &err);
  stage_read(s, NULL, r);
  s->release(s);
}

TEST(what_is_put_is_read_back_and_reported) {
  enum { N = 20000 };
  const char *topic = stage_topic("put", 4);
  struct rfl_topic_sink_options o = plain(topic);
  o.partition_column = C_PARTITION;
  o.timestamp_column = C_TIME;
  o.key_column = C_KEY;
  o.report = true;
  struct rfl_sink *s = opened(stage.k, &o, stage_encoder());
  struct rfl_frame *a = rows(0, N / 2), *b = rows(N / 2, N / 2);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, a, &err), &err);
  CHECK_OK(s->put(s, 1, b, &err), &err);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  CHECK_EQ(failed.failed, 0);
  const int32_t *partition = NULL;
  const int64_t *offset = NULL;
  CHECK_EQ(rfl_topic_sink_report(s, &partition, &offset), N);
  for (int i = 0; i < N; i++)
    if (partition[i] != i % 4 || offset[i] != i / 4) {
      CHECK_EQ(partition[i], i % 4);
      CHECK_EQ(offset[i], i / 4);
      break;
    }
  struct reading r;
  read_back(topic, &r);
  CHECK_EQ(r.rows, N);
  CHECK_EQ(r.sum, (int64_t)N * (N - 1) / 2);
  CHECK_OK(rfl_topic_sink_check_kept(s, &err), &err);
  rfl_frame_release(a);
  rfl_frame_release(b);
  s->release(s);
}

TEST(keys_and_timestamps_travel) {
  const char *topic = stage_topic("keys", 1);
  struct rfl_topic_sink_options o = plain(topic);
  o.key_column = C_KEY;
  o.timestamp_column = C_TIME;
  struct rfl_sink *s = opened(stage.k, &o, stage_encoder());
  struct rfl_frame *f = rows(9, 3);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  rfl_frame_release(f);
  s->release(s);
  struct rfl_topic_source_options so = stage_options(topic);
  struct rfl_source *source = stage_source(stage.k, &so, &err);
  CHECK_OK(source->start(source, NULL, &err), &err);
  struct rfl_want want = {.until_ns = soon(10)};
  enum rfl_event event;
  CHECK_OK(source->next(source, &want, &event, &f, &err), &err);
  CHECK_EQ(f->n_rows, 3);
  const struct rfl_column *key = &f->column[STAGE_KEY];
  CHECK_EQ(key->offset[1] - key->offset[0], 2);
  CHECK(memcmp(key->bytes, "k9", 2) == 0);
  CHECK(!rfl_column_has(key, 1)); /* 10: a missing key stays missing */
  CHECK_EQ(f->column[STAGE_TIME].i64[0], 10 * 1000000);
  rfl_frame_release(f);
  source->release(source);
}

struct headers_seen {
  int records;
  char text[3][64]; /* name=value of each header, in order */
};

static bool see_headers(void *data, const rd_kafka_message_t *m) {
  struct headers_seen *seen = data;
  rd_kafka_headers_t *headers = NULL;
  if (m->err || seen->records == 3) return true;
  char *to = seen->text[seen->records++];
  if (rd_kafka_message_headers(m, &headers)) return true;
  const char *name;
  const void *value;
  size_t n;
  for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &n); i++) {
    size_t used = strlen(to);
    snprintf(to + used, 64 - used, "%s=%.*s;", name, (int)n, (const char *)value);
  }
  return true;
}

/* A column that is not there is an error of the put. */
static void from_too_far(const struct rfl_topic_sink_options *as) {
  const ptrdiff_t far[] = {C_KEY, 1000};
  struct rfl_topic_sink_options o = *as;
  o.header_column = far;
  struct rfl_sink *s = opened(stage.k, &o, stage_encoder());
  struct rfl_frame *f = rows(9, 1);
  CHECK_EQ(s->put(s, 1, f, &err), RFL_ESCHEMA);
  CHECK(strstr(err.message, "no column 1000") != NULL);
  rfl_frame_release(f);
  s->release(s);
}

TEST(headers_travel_and_a_missing_one_is_left_out) {
  const char *topic = stage_topic("headers", 1);
  const char *const name[] = {"who", "when"};
  const ptrdiff_t from[] = {C_KEY, C_TIME};
  struct rfl_topic_sink_options o = plain(topic);
  o.n_headers = 2;
  o.header = name;
  o.header_column = from;
  struct rfl_sink *s = opened(stage.k, &o, stage_encoder());
  struct rfl_frame *f = rows(9, 3);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  rfl_frame_release(f);
  s->release(s);
  struct rfl_consumer c = {0};
  const int64_t at = 0;
  struct rfl_consumer_plan plan = {
      .topic = topic, .n = 1, .from = &at, .memory = 1 << 22};
  CHECK_OK(rfl_consumer_open(&c, stage.k, &plan, &err), &err);
  struct headers_seen seen = {0};
  struct rfl_serve serve = {.see = see_headers, .data = &seen};
  for (int i = 0; i < 100 && seen.records < 3; i++)
    rfl_consumer_serve(&c, &serve, 100, 100);
  rfl_consumer_close(&c);
  CHECK_EQ(seen.records, 3);
  CHECK_STR(seen.text[0], "who=k9;when=1970-01-01T00:00:10.000000Z;");
  CHECK_STR(seen.text[1], "when=1970-01-01T00:00:11.000000Z;"); /* 10: no key */
  from_too_far(&o);
}

/* Java's producer, and every other with murmur2: what kafka-clients 3.9's
 * DefaultPartitioner gives for these keys on 100 partitions is toPositive(murmur2(key)) %
 * 100; murmur2 of "21" is -973932308 and of "foobar" -790332482 (Kafka's own UtilsTest).
 */
TEST(keys_go_where_javas_producer_sends_them) {
  const char *topic = stage_topic("murmur", 100);
  const struct rfl_field field[] = {{.name = "v", .type = RFL_STRING}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL;
  CHECK_OK(rfl_schema_new(field, 1, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  const char *key[] = {"21", "foobar"};
  const int32_t hash[] = {-973932308, -790332482};
  for (int i = 0; i < 2; i++) {
    CHECK_OK(rfl_builder_open(b, &err), &err);
    CHECK_OK(rfl_builder_text(b, 0, key[i], strlen(key[i]), &err), &err);
    rfl_builder_commit(b);
  }
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  struct rfl_topic_sink_options o = plain(topic);
  o.key_column = 0;
  o.report = true;
  struct rfl_sink *s = opened(stage.k, &o, NULL); /* values as they are, too */
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  const int32_t *partition = NULL;
  const int64_t *offset = NULL;
  CHECK_EQ(rfl_topic_sink_report(s, &partition, &offset), 2);
  for (int i = 0; i < 2; i++) CHECK_EQ(partition[i], (hash[i] & 0x7fffffff) % 100);
  s->release(s);
  rfl_frame_release(f);
  rfl_builder_release(b);
  rfl_schema_release(schema);
}

TEST(rows_that_fail_are_named) {
  const char *topic = stage_topic("fail", 4);
  struct rfl_topic_sink_options o = plain(topic);
  o.partition_column = C_N; /* row i goes to partition i: 4 and up do not exist */
  o.report = true;
  struct rfl_sink *s = opened(stage.k, &o, stage_encoder());
  struct rfl_frame *f = rows(0, 20);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  CHECK_EQ(failed.failed, 16);
  char expected[300];
  snprintf(expected, sizeof expected,
           "rows 5, 6, 7, 8, 9, 10, 11, 12 and 8 more for topic `%s`: Local: Unknown "
           "partition",
           topic);
  CHECK_STR(failed.first_bad, expected);
  const int32_t *partition = NULL;
  const int64_t *offset = NULL;
  CHECK_EQ(rfl_topic_sink_report(s, &partition, &offset), 20);
  CHECK(partition[3] == 3 && offset[3] == 0 && partition[4] == -1 && offset[19] == -1);
  failed = (struct rfl_tally){0};
  CHECK_OK(s->flush(s, soon(1), &failed, &err), &err);
  CHECK_EQ(failed.failed, 0); /* told once */
  rfl_frame_release(f);
  s->release(s);
}

TEST(a_flush_whose_time_is_up_loses_nothing) {
  const char *topic = stage_topic("again", 1);
  const char *const slow[] = {"linger.ms=500", NULL};
  struct rfl_kafka *k = stage_connect(5000, slow);
  struct rfl_topic_sink_options o = plain(topic);
  struct rfl_sink *s = opened(k, &o, stage_encoder());
  struct rfl_frame *f = rows(0, 10);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_EQ(s->flush(s, rfl_now_ns() + 20 * (int64_t)RFL_MS, &failed, &err), RFL_EAGAIN);
  CHECK(strstr(err.message, "10 records") != NULL);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  CHECK_EQ(failed.failed, 0);
  struct reading r;
  read_back(topic, &r);
  CHECK_EQ(r.rows, 10);
  rfl_frame_release(f);
  s->release(s);
  rfl_kafka_release(k);
}

TEST(a_full_queue_is_waited_out) {
  const char *topic = stage_topic("full", 2);
  const char *const tight[] = {"queue.buffering.max.messages=100", NULL};
  struct rfl_kafka *k = stage_connect(5000, tight);
  struct rfl_topic_sink_options o = plain(topic);
  struct rfl_sink *s = opened(k, &o, stage_encoder());
  struct rfl_frame *f = rows(0, 5000);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  CHECK_EQ(failed.failed, 0);
  struct reading r;
  read_back(topic, &r);
  CHECK_EQ(r.rows, 5000);
  CHECK_EQ(r.sum, 5000 * 4999 / 2);
  rfl_frame_release(f);
  s->release(s);
  rfl_kafka_release(k);
}

TEST(wrong_columns_are_refused) {
  const char *topic = stage_topic("columns", 1);
  struct rfl_frame *f = rows(0, 1);
  struct rfl_topic_sink_options o = plain(topic);
  o.timestamp_column = C_N;
  struct rfl_sink *s = opened(stage.k, &o, stage_encoder());
  CHECK_EQ(s->put(s, 1, f, &err), RFL_ESCHEMA);
  CHECK_STR(err.message, "`n` must be a timestamp, not of type integer");
  s->release(s);
  o = plain(topic);
  o.key_column = 99;
  s = opened(stage.k, &o, stage_encoder());
  CHECK_EQ(s->put(s, 1, f, &err), RFL_ESCHEMA);
  s->release(s);
  o = plain(topic);
  s = opened(stage.k, &o, NULL);
  CHECK_EQ(s->put(s, 1, f, &err), RFL_ESCHEMA);
  s->release(s);
  rfl_frame_release(f);
}

/* Text that no codec can press: 40 MB of it into one partition cannot stay in 5 MB. */
TEST(what_the_embedded_broker_forgets_is_told) {
  if (!stage.broker) SKIP("a real broker keeps what it is given");
  const char *topic = stage_topic("forget", 1);
  const struct rfl_field field[] = {{.name = "v", .type = RFL_RAW}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL;
  CHECK_OK(rfl_schema_new(field, 1, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  uint64_t x = 88172645463325252u;
  for (int i = 0; i < 10000; i++) {
    uint64_t noise[128];
    for (int j = 0; j < 128; j++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      noise[j] = x;
    }
    CHECK_OK(rfl_builder_open(b, &err), &err);
    CHECK_OK(rfl_builder_text(b, 0, (const char *)noise, sizeof noise, &err), &err);
    rfl_builder_commit(b);
  }
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  struct rfl_topic_sink_options o = plain(topic);
  struct rfl_sink *s = opened(stage.k, &o, NULL);
  struct rfl_tally failed = {0};
  CHECK_OK(s->put(s, 1, f, &err), &err);
  CHECK_OK(s->flush(s, soon(20), &failed, &err), &err);
  CHECK_EQ(failed.failed, 0); /* every report says that all is well */
  CHECK_EQ(rfl_topic_sink_check_kept(s, &err), RFL_ELOSS);
  CHECK(strstr(err.message, "the embedded broker keeps 5 MB a partition; ") != NULL);
  CHECK(strstr(err.message, "use more partitions or a real broker") != NULL);
  int64_t kept = 0, gone = 0;
  CHECK_OK(rfl_kafka_kept(stage.k, topic, &kept, &gone, &err), &err);
  CHECK(gone > 0 && kept > 0 && kept + gone == 10000);

  /* A reader that was promised the start is told, or counts, as it wishes. */
  struct rfl_cursor zero = {0};
  CHECK_OK(rfl_cursor_set(&zero, topic, 0, 5, &err), &err);
  struct rfl_topic_source_options so = stage_options(topic);
  so.on_bad = RFL_BAD_SKIP;
  struct rfl_source *source = stage_source(stage.k, &so, &err);
  CHECK_EQ(source->start(source, &zero, &err), RFL_ELOSS);
  CHECK(strstr(err.message, "partition 0: offset 5 was expected") != NULL);
  source->release(source);
  so.warn_on_loss = true;
  source = stage_source(stage.k, &so, &err);
  CHECK_OK(source->start(source, &zero, &err), &err);
  struct reading r;
  stage_read(source, NULL, &r);
  CHECK_EQ(r.event, RFL_END);
  CHECK_EQ(r.tally.lost, gone - 5);
  CHECK_EQ(r.tally.rows, kept);
  source->release(source);
  rfl_cursor_release(&zero);
  s->release(s);
  rfl_frame_release(f);
  rfl_builder_release(b);
  rfl_schema_release(schema);
}

TEST(a_sink_is_dead_in_a_forked_child) {
  const char *topic = stage_topic("fork", 1);
  struct rfl_topic_sink_options o = plain(topic);
  struct rfl_sink *s = opened(stage.k, &o, stage_encoder());
  struct rfl_frame *f = rows(0, 1);
  struct rfl_tally failed = {0};
  pid_t child = fork();
  if (child == 0) {
    int bad = s->put(s, 1, f, &err) != RFL_EBUSY;
    bad |= s->flush(s, soon(1), &failed, &err) != RFL_EBUSY;
    s->release(s);
    _exit(bad);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  rfl_frame_release(f);
  s->release(s);
}

static enum rfl_code swept(const char *topic, struct rfl_frame *f) {
  struct rfl_topic_sink_options o = plain(topic);
  o.report = true;
  o.key_column = C_KEY;
  struct rfl_sink *s = NULL;
  struct rfl_tally failed = {0};
  RFL_TRY(rfl_topic_sink_new(stage.k, &o, stage_encoder(), &s, &err));
  enum rfl_code code = s->put(s, 1, f, &err);
  if (!code) code = s->flush(s, soon(20), &failed, &err);
  if (!code) code = rfl_topic_sink_check_kept(s, &err);
  s->release(s);
  return code;
}

TEST(every_allocation_may_fail) {
  const char *topic = stage_topic("sweep", 2);
  struct rfl_frame *f = rows(0, 20);
  SWEEP(swept(topic, f));
  rfl_frame_release(f);
}

int main(void) {
  if (stage_open(1)) return 1;
  RUN(what_is_put_is_read_back_and_reported);
  RUN(keys_and_timestamps_travel);
  RUN(headers_travel_and_a_missing_one_is_left_out);
  RUN(keys_go_where_javas_producer_sends_them);
  RUN(rows_that_fail_are_named);
  RUN(a_flush_whose_time_is_up_loses_nothing);
  RUN(a_full_queue_is_waited_out);
  RUN(wrong_columns_are_refused);
  RUN(what_the_embedded_broker_forgets_is_told);
  RUN(a_sink_is_dead_in_a_forked_child);
  RUN(every_allocation_may_fail);
  stage_close();
  return harness_end();
}
