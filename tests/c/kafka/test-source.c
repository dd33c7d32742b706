/* A topic as a source of frames, on the embedded broker or the one RIFFLE_KAFKA names. */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "stage.h"

static struct rfl_err err;

static struct rfl_source *started(const struct rfl_topic_source_options *o) {
  struct rfl_source *s = stage_source(stage.k, o, &err);
  CHECK(s != NULL);
  if (s) CHECK_OK(s->start(s, NULL, &err), &err);
  return s;
}

TEST(every_record_comes_once_in_order_with_its_offset) {
  enum { N = 100000, P = 8 };
  const char *topic = stage_topic("hundred", P);
  CHECK_EQ(stage_count(topic, P, N), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(&o);
  struct reading r;
  stage_read(s, NULL, &r);
  CHECK_OK(r.code, &r.err);
  CHECK_EQ(r.event, RFL_END);
  CHECK_EQ(r.rows, N);
  CHECK_EQ(r.sum, (int64_t)N * (N - 1) / 2);
  CHECK(r.ordered);
  for (int p = 0; p < P; p++) {
    CHECK_EQ(r.in_partition[p], N / P);
    CHECK_EQ(r.next[p], N / P);
  }
  CHECK_EQ(r.tally.rows, N);
  CHECK_EQ(r.tally.bad, 0);
  CHECK_EQ(r.tally.lost, 0);
  s->release(s);
}

TEST(a_rewound_source_gives_the_same_records_with_one_dictionary) {
  const char *topic = stage_topic("rewind", 3);
  CHECK_EQ(stage_count(topic, 3, 3000), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(&o);
  struct reading r;
  stage_read(s, NULL, &r);
  CHECK_EQ(r.rows, 3000);
  CHECK_EQ(stage_count(topic, 3, 300), 0); /* past the fixed ends */
  for (int pass = 0; pass < 3; pass++) {
    CHECK_OK(s->start(s, NULL, &err), &err);
    stage_read(s, NULL, &r);
    CHECK_EQ(r.event, RFL_END);
    CHECK_EQ(r.rows, 3000);
    CHECK_EQ(r.sum, 3000 * 2999 / 2);
    CHECK(r.ordered);
  }
  const struct rfl_cursor *ends = rfl_topic_source_ends(s);
  CHECK_EQ(ends->n, 3);
  for (size_t i = 0; i < ends->n; i++) CHECK_EQ(ends->place[i].next, 1000);
  s->release(s);
}

TEST(a_range_between_offsets_gives_exactly_it) {
  const char *topic = stage_topic("range", 2);
  CHECK_EQ(stage_count(topic, 2, 2000), 0);
  struct rfl_cursor from = {0}, to = {0};
  CHECK_OK(rfl_cursor_set(&from, topic, 0, 10, &err), &err);
  CHECK_OK(rfl_cursor_set(&from, topic, 1, 900, &err), &err);
  CHECK_OK(rfl_cursor_set(&to, topic, 0, 25, &err), &err);
  CHECK_OK(rfl_cursor_set(&to, topic, 1, 900, &err), &err); /* empty */
  struct rfl_topic_source_options o = stage_options(topic);
  o.from = (struct rfl_at){.kind = RFL_AT_CURSOR, .cursor = &from};
  o.to = (struct rfl_at){.kind = RFL_AT_CURSOR, .cursor = &to};
  struct rfl_source *s = started(&o);
  struct reading r;
  stage_read(s, NULL, &r);
  CHECK_EQ(r.event, RFL_END);
  CHECK_EQ(r.rows, 15);
  CHECK_EQ(r.in_partition[0], 15);
  CHECK_EQ(r.next[0], 25);
  CHECK_EQ(r.sum, 2 * (10 + 24) * 15 / 2); /* offset i of partition 0 holds 2 i */
  s->release(s);
  rfl_cursor_release(&from);
  rfl_cursor_release(&to);
}

TEST(an_empty_range_ends_at_once) {
  const char *topic = stage_topic("empty", 4);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(&o);
  struct reading r;
  int64_t before = rfl_now_ns();
  stage_read(s, NULL, &r);
  CHECK_EQ(r.event, RFL_END);
  CHECK_EQ(r.rows, 0);
  CHECK(rfl_now_ns() - before < RFL_SECOND);
  s->release(s);
}

TEST(from_past_to_is_refused) {
  const char *topic = stage_topic("past", 1);
  CHECK_EQ(stage_count(topic, 1, 10), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.from.kind = RFL_LATEST;
  o.to.kind = RFL_EARLIEST;
  struct rfl_source *s = stage_source(stage.k, &o, &err);
  CHECK_EQ(s->start(s, NULL, &err), RFL_EARGUMENT);
  CHECK(strstr(err.message, "`from` is past `to`") != NULL);
  s->release(s);
}

TEST(max_rows_cuts_frames_without_losing_a_row) {
  const char *topic = stage_topic("cut", 3);
  CHECK_EQ(stage_count(topic, 3, 5000), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  const uint32_t most[] = {1, 7, 1000};
  for (size_t i = 0; i < 3; i++) {
    struct rfl_source *s = started(&o);
    struct stage_read how = {.max_rows = most[i]};
    struct reading r;
    stage_read(s, &how, &r);
    CHECK_EQ(r.event, RFL_END);
    CHECK_EQ(r.rows, 5000);
    CHECK_EQ(r.sum, (int64_t)5000 * 4999 / 2);
    CHECK(r.ordered);
    CHECK_EQ(r.tally.rows, 5000);
    s->release(s);
  }
}

TEST(frames_have_at_most_frame_rows) {
  const char *topic = stage_topic("small", 2);
  CHECK_EQ(stage_count(topic, 2, 500), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.frame_rows = 7;
  struct rfl_source *s = started(&o);
  struct reading r;
  stage_read(s, NULL, &r);
  CHECK_EQ(r.rows, 500);
  CHECK(r.frames >= 500 / 7);
  CHECK(r.ordered);
  s->release(s);
}

TEST(head_takes_what_there_is_and_never_waits) {
  const char *topic = stage_topic("head", 2);
  CHECK_EQ(stage_count(topic, 2, 20000), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  const double most[] = {6, 50000};
  for (int i = 0; i < 2; i++) {
    o.max_records = most[i];
    struct rfl_source *s = started(&o);
    struct reading r;
    int64_t before = rfl_now_ns();
    stage_read(s, NULL, &r);
    CHECK_EQ(r.event, RFL_END);
    CHECK_EQ(r.rows, i ? 20000 : 6);
    CHECK(rfl_now_ns() - before < 3 * (int64_t)RFL_SECOND);
    s->release(s);
  }
}

TEST(upto_is_reached_and_not_passed) {
  const char *topic = stage_topic("upto", 3);
  CHECK_EQ(stage_count(topic, 3, 3000), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(&o);
  struct rfl_cursor upto = {0};
  int64_t seen = 0, sum = 0;
  for (int64_t at = 100; at <= 700; at += 300) { /* 100, 400, 700 of each */
    for (int32_t p = 0; p < 3; p++)
      CHECK_OK(rfl_cursor_set(&upto, topic, p, at + p, &err), &err);
    struct stage_read how = {.upto = &upto};
    struct reading r;
    stage_read(s, &how, &r);
    CHECK_EQ(r.event, RFL_UPTO);
    seen += r.rows;
    sum += r.sum;
    CHECK_EQ(seen, 3 * at + 3);
    for (int32_t p = 0; p < 3; p++) CHECK_EQ(r.next[p], at + p);
  }
  struct reading r;
  stage_read(s, NULL, &r);
  CHECK_EQ(r.event, RFL_END);
  CHECK_EQ(seen + r.rows, 3000);
  CHECK_EQ(sum + r.sum, 3000 * 2999 / 2);
  rfl_cursor_release(&upto);
  s->release(s);
}

TEST(a_restart_goes_on_from_a_cursor) {
  const char *topic = stage_topic("restart", 2);
  CHECK_EQ(stage_count(topic, 2, 1000), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.bounded = false;
  struct rfl_source *s = stage_source(stage.k, &o, &err);
  struct rfl_cursor at = {0};
  CHECK_OK(rfl_cursor_set(&at, topic, 0, 499, &err), &err);
  CHECK_OK(s->start(s, &at, &err), &err); /* partition 1 from its declared start */
  struct reading r;
  struct stage_read how = {.seconds = 1};
  stage_read(s, &how, &r);
  CHECK_EQ(r.event, RFL_IDLE);
  CHECK_EQ(r.in_partition[0], 1);
  CHECK_EQ(r.in_partition[1], 500);
  rfl_cursor_release(&at);
  s->release(s);
}

TEST(an_unbounded_source_waits_and_sees_what_comes) {
  const char *topic = stage_topic("live", 2);
  struct rfl_topic_source_options o = stage_options(topic);
  o.bounded = false;
  struct rfl_source *s = started(&o);
  struct rfl_want want = {.until_ns = rfl_now_ns() + 300 * (int64_t)RFL_MS};
  enum rfl_event event;
  struct rfl_frame *f = NULL;
  int64_t before = rfl_now_ns();
  CHECK_OK(s->next(s, &want, &event, &f, &err), &err);
  CHECK_EQ(event, RFL_IDLE);
  CHECK(rfl_now_ns() - before >= 290 * (int64_t)RFL_MS);
  CHECK_EQ(stage_count(topic, 2, 10), 0);
  struct reading r;
  struct stage_read how = {.seconds = 2};
  stage_read(s, &how, &r);
  CHECK_EQ(r.rows, 10);
  CHECK_EQ(r.event, RFL_IDLE);
  s->release(s);
}

static void *wake_soon(void *source) {
  struct timespec pause = {.tv_nsec = 100 * RFL_MS};
  nanosleep(&pause, NULL);
  int64_t *at = rfl_alloc(1, sizeof *at);
  *at = rfl_now_ns();
  struct rfl_source *s = source;
  s->wake(s);
  return at;
}

TEST(wake_ends_a_wait_within_50_ms) {
  const char *topic = stage_topic("wake", 1);
  struct rfl_topic_source_options o = stage_options(topic);
  o.bounded = false;
  struct rfl_source *s = started(&o);
  struct rfl_want want = {.until_ns = rfl_now_ns() + 30 * (int64_t)RFL_SECOND};
  enum rfl_event event;
  struct rfl_frame *f = NULL;
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, wake_soon, s), 0);
  CHECK_OK(s->next(s, &want, &event, &f, &err), &err);
  int64_t now = rfl_now_ns();
  void *at = NULL;
  pthread_join(t, &at);
  CHECK_EQ(event, RFL_IDLE);
  CHECK(now - *(int64_t *)at < 50 * (int64_t)RFL_MS);
  rfl_free(at);
  s->release(s);
}

TEST(tombstones_and_empty_values_are_told_apart) {
  const char *topic = stage_topic("tomb", 1);
  const struct stage_record r[] = {
      {0, "a", "1,one", 5000}, {0, "b", NULL, 6000}, {0, NULL, "", 7000}};
  CHECK_EQ(stage_produce(topic, r, 3), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.on_bad = RFL_BAD_KEEP;
  struct rfl_source *s = started(&o);
  struct rfl_want want = {.until_ns = rfl_now_ns() + 10 * (int64_t)RFL_SECOND};
  enum rfl_event event;
  struct rfl_frame *f = NULL;
  CHECK_OK(s->next(s, &want, &event, &f, &err), &err);
  CHECK(f && f->n_rows == 3);
  if (f && f->n_rows == 3) {
    const struct rfl_column *c = f->column;
    CHECK(rfl_column_has(&c[STAGE_N], 0) && !rfl_column_has(&c[STAGE_N], 1));
    CHECK(!rfl_column_has(&c[STAGE_ERROR], 1)); /* a tombstone is not bad */
    CHECK(rfl_column_has(&c[STAGE_ERROR], 2));  /* "" is not a record of ours */
    CHECK(rfl_column_has(&c[STAGE_RAW], 2) && !rfl_column_has(&c[STAGE_RAW], 1));
    CHECK(rfl_column_has(&c[STAGE_KEY], 1) && !rfl_column_has(&c[STAGE_KEY], 2));
    CHECK_EQ(c[STAGE_TIME].i64[1], 6000000);
    CHECK_EQ(f->tally.bad, 1);
    CHECK_EQ(f->tally.rows, 3);
    struct rfl_bytes name = rfl_dict_level(c[STAGE_TOPIC].dict, c[STAGE_TOPIC].i32[0]);
    CHECK_STR((const char *)name.p, topic);
  }
  rfl_frame_release(f);
  s->release(s);
}

TEST(bad_records_follow_the_policy) {
  const char *topic = stage_topic("bad", 1);
  const struct stage_record r[] = {{0, NULL, "1,a", 0},
                                   {0, NULL, "2,b", 0},
                                   {0, NULL, "x\001y,\303\251", 0},
                                   {0, "\377", "4,d", 0},
                                   {0, NULL, "5,e", 0}};
  CHECK_EQ(stage_produce(topic, r, 5), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  struct reading got;
  for (int policy = RFL_BAD_FAIL; policy <= RFL_BAD_KEEP; policy++) {
    o.on_bad = (enum rfl_on_bad)policy;
    struct rfl_source *s = started(&o);
    stage_read(s, NULL, &got);
    if (policy == RFL_BAD_FAIL) {
      char head[200];
      snprintf(head, sizeof head,
               "topic `%s`, partition 0, offset 2: field `n`: expected an integer at "
               "byte 0 of x\\x01y,\\xc3\\xa9",
               topic);
      CHECK_EQ(got.code, RFL_EDATA);
      CHECK_STR(got.err.message, head);
      CHECK_EQ(got.rows, 2); /* what was good before it is given */
      stage_read(s, NULL, &got);
      CHECK_EQ(got.code, RFL_EDATA); /* and it goes on to be told */
    } else {
      CHECK_EQ(got.event, RFL_END);
      CHECK_EQ(got.rows, policy == RFL_BAD_KEEP ? 5 : 3);
      CHECK_EQ(got.tally.bad, 2);
      CHECK_EQ(got.tally.rows, 5);
      CHECK_EQ(got.sum, 8);
      CHECK_EQ(got.next[0], 5);
      CHECK(strstr(got.tally.first_bad, "offset 2") != NULL);
    }
    s->release(s);
  }
}

TEST(a_key_that_is_not_text_is_a_bad_record) {
  const char *topic = stage_topic("key", 1);
  const struct stage_record r[] = {{0, "\377\376", "1,a", 0}};
  CHECK_EQ(stage_produce(topic, r, 1), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(&o);
  struct reading got;
  stage_read(s, NULL, &got);
  CHECK_EQ(got.code, RFL_EDATA);
  CHECK(strstr(got.err.message,
               "field `.key`: the key is not UTF-8 at byte 0 of "
               "\\xff\\xfe") != NULL);
  s->release(s);
}

/* `n` records in a transaction that is committed, or aborted once they are on the broker.
 */
static int transact(rd_kafka_t *rk, const char *topic, int n, bool commit) {
  rd_kafka_error_t *e = rd_kafka_begin_transaction(rk);
  rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
  char value[] = "7,a";
  int failed = e != NULL;
  for (int i = 0; !failed && i < n; i++)
    failed = rd_kafka_produce(rkt, 0, RD_KAFKA_MSG_F_COPY, value, 3, NULL, 0, NULL);
  if (!failed) failed = rd_kafka_flush(rk, 10000) != RD_KAFKA_RESP_ERR_NO_ERROR;
  if (!failed)
    e = commit ? rd_kafka_commit_transaction(rk, 10000)
               : rd_kafka_abort_transaction(rk, 10000);
  if (e) {
    printf("# %s\n", rd_kafka_error_string(e));
    rd_kafka_error_destroy(e);
    failed = 1;
  }
  rd_kafka_topic_destroy(rkt);
  return failed;
}

TEST(control_records_and_aborted_ones_are_gaps_and_no_loss) {
  if (stage.broker) SKIP("the embedded broker writes no control records");
  const char *topic = stage_topic("txn", 1);
  char why[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", stage.brokers, why, sizeof why);
  rd_kafka_conf_set(conf, "transactional.id", topic, why, sizeof why);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  CHECK(rk != NULL && !rd_kafka_init_transactions(rk, 20000));
  CHECK_EQ(transact(rk, topic, 10, true) | transact(rk, topic, 5, false) |
               transact(rk, topic, 3, true) | transact(rk, topic, 2, false),
           0);
  rd_kafka_destroy(rk);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(&o);
  struct reading r;
  int64_t before = rfl_now_ns();
  stage_read(s, NULL, &r);
  CHECK_OK(r.code, &r.err);
  CHECK_EQ(r.event, RFL_END); /* although the last positions are never seen */
  CHECK(rfl_now_ns() - before < 5 * (int64_t)RFL_SECOND);
  CHECK_EQ(r.rows, 13);
  CHECK_EQ(r.next[0], 24); /* 20 records and 4 control records */
  CHECK_EQ(r.tally.lost, 0);
  CHECK(r.ordered);
  s->release(s);
}

TEST(a_slow_reader_loses_nothing_and_the_ring_stays_bounded) {
  enum { N = 300000, P = 8 };
  const char *topic = stage_topic("slow", P);
  CHECK_EQ(stage_count(topic, P, N), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.memory = 4 << 20; /* a ring of 1 MB, about 10,000 rows of this schema */
  struct rfl_source *s = started(&o);
  struct rfl_want want = {.until_ns = rfl_now_ns() + 10 * (int64_t)RFL_SECOND};
  enum rfl_event event;
  struct rfl_frame *f = NULL;
  CHECK_OK(s->next(s, &want, &event, &f, &err), &err);
  int64_t first = f ? f->n_rows : 0;
  int64_t sum = 0;
  for (uint32_t i = 0; f && i < f->n_rows; i++) sum += f->column[STAGE_N].i32[i];
  rfl_frame_release(f);
  struct timespec pause = {.tv_nsec = 700 * RFL_MS}; /* the ring fills and stays full */
  nanosleep(&pause, NULL);
  int64_t live = rfl_mem_live();
  nanosleep(&pause, NULL);
  CHECK(rfl_mem_live() <= live + 64); /* nothing more is taken meanwhile */
  struct reading r;
  stage_read(s, NULL, &r);
  CHECK_EQ(r.event, RFL_END);
  CHECK_EQ(first + r.rows, N);
  CHECK_EQ(sum + r.sum, (int64_t)N * (N - 1) / 2);
  CHECK(r.ordered);
  s->release(s);
}

/* librdkafka before 2.2 sleeps a second each time that its queue was full. With room for
 * 6,000 records this would be some thirty times here. */
TEST(a_queue_that_fills_does_not_stall_the_reading) {
  enum { N = 200000 };
  const char *topic = stage_topic("stall", 4);
  CHECK_EQ(stage_count(topic, 4, N), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.memory = 4 << 20;
  struct rfl_source *s = started(&o);
  struct reading r;
  int64_t before = rfl_now_ns();
  stage_read(s, NULL, &r);
  CHECK_EQ(r.rows, N);
  CHECK(rfl_now_ns() - before < 6 * (int64_t)RFL_SECOND);
  s->release(s);
}

TEST(release_does_not_wait_for_a_full_ring) {
  const char *topic = stage_topic("drop", 4);
  CHECK_EQ(stage_count(topic, 4, 100000), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  o.memory = 4 << 20;
  struct rfl_source *s = started(&o);
  struct rfl_want want = {.until_ns = rfl_now_ns() + 10 * (int64_t)RFL_SECOND};
  enum rfl_event event;
  struct rfl_frame *f = NULL;
  CHECK_OK(s->next(s, &want, &event, &f, &err), &err);
  int64_t before = rfl_now_ns();
  s->release(s);
  CHECK(rfl_now_ns() - before < 2 * (int64_t)RFL_SECOND);
  CHECK(f && f->n_rows > 0 && f->schema->n == STAGE_COLUMNS); /* frames outlive it */
  rfl_frame_release(f);
}

TEST(a_source_is_dead_in_a_forked_child) {
  const char *topic = stage_topic("fork", 1);
  CHECK_EQ(stage_count(topic, 1, 10), 0);
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = started(&o);
  struct rfl_want want = {.until_ns = rfl_now_ns() + 10 * (int64_t)RFL_SECOND};
  enum rfl_event event;
  struct rfl_frame *f = NULL;
  CHECK_OK(s->next(s, &want, &event, &f, &err), &err);
  rfl_frame_release(f);
  pid_t child = fork();
  if (child == 0) {
    int bad = s->next(s, &want, &event, &f, &err) != RFL_EBUSY;
    bad |= s->start(s, NULL, &err) != RFL_EBUSY;
    bad |= strstr(err.message, "another process") == NULL;
    s->release(s); /* does nothing: the parent's */
    _exit(bad);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  s->release(s);
}

static struct rfl_schema *sweep_schema; /* made outside of the sweep */

static enum rfl_code swept(const char *topic) {
  struct rfl_topic_source_options o = stage_options(topic);
  struct rfl_source *s = NULL;
  RFL_TRY(rfl_topic_source_new(stage.k, &o, sweep_schema, stage_decoder(), &s, &err));
  enum rfl_code code = s->start(s, NULL, &err);
  if (!code) {
    struct reading r;
    stage_read(s, NULL, &r);
    code = r.code;
    if (!code && (r.event != RFL_END || r.rows != 30)) code = RFL_EDATA;
  }
  s->release(s);
  return code;
}

TEST(every_allocation_may_fail) {
  const char *topic = stage_topic("sweep", 2);
  CHECK_EQ(stage_count(topic, 2, 30), 0);
  sweep_schema = stage_schema();
  SWEEP(swept(topic));
  rfl_schema_release(sweep_schema);
}

int main(void) {
  if (stage_open(1)) return 1;
  RUN(every_record_comes_once_in_order_with_its_offset);
  RUN(a_rewound_source_gives_the_same_records_with_one_dictionary);
  RUN(a_range_between_offsets_gives_exactly_it);
  RUN(an_empty_range_ends_at_once);
  RUN(from_past_to_is_refused);
  RUN(max_rows_cuts_frames_without_losing_a_row);
  RUN(frames_have_at_most_frame_rows);
  RUN(head_takes_what_there_is_and_never_waits);
  RUN(upto_is_reached_and_not_passed);
  RUN(a_restart_goes_on_from_a_cursor);
  RUN(an_unbounded_source_waits_and_sees_what_comes);
  RUN(wake_ends_a_wait_within_50_ms);
  RUN(tombstones_and_empty_values_are_told_apart);
  RUN(bad_records_follow_the_policy);
  RUN(a_key_that_is_not_text_is_a_bad_record);
  RUN(control_records_and_aborted_ones_are_gaps_and_no_loss);
  RUN(a_slow_reader_loses_nothing_and_the_ring_stays_bounded);
  RUN(a_queue_that_fills_does_not_stall_the_reading);
  RUN(release_does_not_wait_for_a_full_ring);
  RUN(a_source_is_dead_in_a_forked_child);
  RUN(every_allocation_may_fail);
  stage_close();
  return harness_end();
}
