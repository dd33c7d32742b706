/* The query on its thread: what it does and tells, what the sinks get, what is refused.
 */
#include "../harness.h"
#include "base/clock.h"
#include "blas_fill.h"
#include "kit.h"
#include "rows.h"
#include "stream/control.h"
#include "tiny.h"

static struct kit kit; /* large */

/* Starts it: source and sink are the query's from then on. */
static struct rfl_query *start(struct kit *k) {
  struct rfl_query *q = NULL;
  struct rfl_err err = {0};
  CHECK_OK(rfl_query_start(&k->spec, &q, &err), &err);
  k->sink = NULL;
  k->source = NULL;
  return q;
}

/* Every id of the sink's frames, in order, from `from` on. */
static void check_ids(struct rfl_memory_sink *m, int64_t from, int64_t to) {
  struct rfl_frame **frame = NULL;
  size_t n = 0;
  struct rfl_err err = {0};
  CHECK_OK(rfl_memory_sink_take(m, &frame, &n, &err), &err);
  int64_t next = from;
  for (size_t i = 0; i < n; i++) {
    ptrdiff_t id = rfl_schema_find(frame[i]->schema, "id");
    for (uint32_t r = 0; r < frame[i]->n_rows; r++)
      CHECK_EQ(frame[i]->column[id].f64[r], next++);
    rfl_frame_release(frame[i]);
  }
  CHECK_EQ(next, to);
  rfl_free(frame);
}

/* ---- a run ---- */

TEST(a_query_runs_to_the_end_and_tells_what_it_did) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 1000, 100, &err), &err);
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_DONE);
  CHECK_EQ(status.rows, 1000);
  CHECK_EQ(status.batches, 10);
  CHECK_EQ(status.scored + status.unscored, 1000);
  CHECK_EQ(status.unscored, 77); /* without x */
  CHECK_EQ(status.learnt + status.pending, usable(1000));
  CHECK_EQ(status.version, usable(1000) / 50);
  CHECK_EQ(status.missing, 1000 - usable(1000));
  CHECK(!status.resumed);
  CHECK(status.last_batch_us >= status.started_us);
  CHECK_EQ(rfl_memory_sink_seen(kit.memory), 1000);
  check_ids(kit.memory, 0, 1000);
  rfl_query_release(q);
  CHECK_OK(rfl_live_claim(kit.live, "another", &err), &err); /* it was given back */
  kit_release(&kit);
}

TEST(progress_tells_of_each_batch_the_version_that_scored_it_and_its_end) {
  struct rfl_err err = {0};
  struct rfl_progress *p = NULL;
  size_t n = 0;
  CHECK_OK(kit_new(&kit, 1000, 100, &err), &err);
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  CHECK_OK(rfl_query_progress(q, 4, &p, &n, &err), &err);
  CHECK_EQ(n, 4);
  for (size_t i = 0; i < n; i++) {
    CHECK_EQ(p[i].batch, 7 + i);
    CHECK_EQ(p[i].rows, 100);
    CHECK_EQ(p[i].version, usable(100 * (int64_t)(6 + i)) / 50);
    CHECK_EQ(p[i].end.n, 1);
    CHECK_EQ(p[i].end.place[0].next, 100 * (7 + i));
    CHECK(p[i].latency_ms > 0 && p[i].score_ms >= 0 && p[i].put_ms >= 0);
  }
  rfl_progress_free(p, n);
  rfl_query_release(q);
  kit_release(&kit);
}

/* The ring grows from 16 and wraps at 10,000: what is read is always the newest. */
TEST(progress_remembers_the_newest_batches_however_many_there_were) {
  const size_t lengths[] = {1, 15, 16, 17, 31, 32, 33, 100, 9999, 10000, 10001, 20500};
  struct rfl_err err = {0};
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    struct rfl_control c;
    rfl_control_init(&c);
    for (size_t i = 0; i < lengths[k]; i++) {
      struct rfl_progress p = {.batch = i};
      CHECK_OK(rfl_cursor_set(&p.end, "t", 0, (int64_t)i, &err), &err);
      CHECK_OK(rfl_control_log(&c, &p, &err), &err);
    }
    struct rfl_progress *p = NULL;
    size_t n = 0, most = lengths[k] < 10000 ? lengths[k] : 10000;
    CHECK_OK(rfl_control_read_log(&c, 1000000, &p, &n, &err), &err);
    CHECK_EQ(n, most);
    for (size_t i = 0; i < n; i++) {
      CHECK_EQ(p[i].batch, lengths[k] - most + i);
      CHECK_EQ(p[i].end.place[0].next, p[i].batch);
    }
    rfl_progress_free(p, n);
    rfl_control_release(&c);
  }
}

/* ---- output ---- */

TEST(output_has_key_score_model_version_time_and_what_was_kept) {
  const char *const names[] = {"key", "p", "model", "version", "time", "id", "timestamp"};
  const char *const keep[] = {"id", ".key", ".timestamp"};
  struct rfl_err err = {0};
  CHECK_OK(kit_new(&kit, 26, 26, &err), &err);
  kit.spec.score.into = "p";
  kit.spec.keep = keep;
  kit.spec.n_keep = 3;
  struct rfl_schema *schema = NULL, *source = NULL;
  CHECK_OK(rows_schema(&source, &err), &err);
  CHECK_OK(rfl_query_output(&kit.spec, source, &schema, &err), &err);
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  struct rfl_frame **frame = NULL;
  size_t n = 0;
  CHECK_OK(rfl_memory_sink_take(kit.memory, &frame, &n, &err), &err);
  CHECK_EQ(n, 1);
  CHECK_EQ(schema->n, 7);
  CHECK_EQ(frame[0]->schema->n, 7);
  for (size_t i = 0; i < 7; i++) {
    CHECK_STR(schema->field[i].name, names[i]);
    CHECK_STR(frame[0]->schema->field[i].name, names[i]);
    CHECK_EQ(schema->field[i].type, frame[0]->schema->field[i].type);
    CHECK_EQ(schema->field[i].meta, RFL_META_NONE);
  }
  const struct rfl_column *c = frame[0]->column;
  for (uint32_t i = 0; i < 26; i++) {
    CHECK_EQ(rfl_column_has(&c[1], i), row_has_x(i)); /* without x: no score */
    struct rfl_bytes key = rfl_dict_level(c[0].dict, c[0].i32[i]);
    CHECK_EQ(key.p[1], '0' + i % 5);
    CHECK_STR((const char *)rfl_dict_level(c[2].dict, c[2].i32[i]).p, "ctr");
    CHECK_EQ(c[3].f64[i], 0);
    CHECK(c[4].i64[i] > 1700000000 * (int64_t)1000000);
    CHECK_EQ(c[5].f64[i], i);
    CHECK_EQ(c[6].i64[i], 1000000 * (int64_t)i);
  }
  rfl_frame_release(frame[0]);
  rfl_free(frame);
  rfl_schema_release(schema);
  rfl_schema_release(source);
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(two_columns_of_a_score_are_both_there) {
  struct rfl_err err = {0};
  struct rfl_schema *schema = NULL, *source = NULL;
  CHECK_OK(kit_new(&kit, 10, 10, &err), &err);
  CHECK_OK(rows_schema(&source, &err), &err);
  kit.spec.score.what = 1;
  CHECK_OK(rfl_query_output(&kit.spec, source, &schema, &err), &err);
  CHECK_STR(schema->field[1].name, "score");
  CHECK_STR(schema->field[2].name, "score_2");
  CHECK_STR(schema->field[3].name, "model");
  rfl_schema_release(schema);
  rfl_schema_release(source);
  kit_release(&kit);
}

TEST(a_column_that_cannot_be_kept_is_refused_by_name) {
  const char *const missing[] = {"bid"}, *const twice[] = {"x"};
  struct rfl_err err = {0};
  struct rfl_schema *schema = NULL, *source = NULL;
  CHECK_OK(kit_new(&kit, 10, 10, &err), &err);
  CHECK_OK(rows_schema(&source, &err), &err);
  kit.spec.keep = missing;
  CHECK_EQ(rfl_query_output(&kit.spec, source, &schema, &err), RFL_ESCHEMA);
  CHECK(strstr(err.message, "`bid`") != NULL);
  kit.spec.keep = twice;
  kit.spec.score.into = "x";
  CHECK_EQ(rfl_query_output(&kit.spec, source, &schema, &err), RFL_ESCHEMA);
  struct rfl_query_status status;
  CHECK_EQ(rfl_query_run(&kit.spec, &status, &err), RFL_ESCHEMA);
  CHECK_EQ(status.phase, RFL_QUERY_FAILED);
  rfl_schema_release(source);
  kit_release(&kit);
}

TEST(without_scoring_the_sinks_get_the_frames_as_they_are) {
  struct rfl_err err = {0};
  CHECK_OK(kit_new(&kit, 300, 100, &err), &err);
  kit.spec.score.live = NULL;
  kit.spec.learn = NULL;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  struct rfl_frame **frame = NULL;
  size_t n = 0;
  CHECK_OK(rfl_memory_sink_take(kit.memory, &frame, &n, &err), &err);
  CHECK_EQ(n, 3);
  CHECK_STR(frame[0]->schema->field[0].name, "x");
  for (size_t i = 0; i < n; i++) rfl_frame_release(frame[i]);
  rfl_free(frame);
  rfl_query_release(q);
  kit_release(&kit);
}

/* ---- errors ---- */

static enum rfl_code full(struct rfl_sink *s, uint64_t batch, struct rfl_frame *f,
                          struct rfl_err *err) {
  (void)s, (void)f;
  if (batch < 3) return RFL_OK;
  return rfl_fail(err, RFL_EIO, "The disk is full.");
}

TEST(an_error_of_an_end_is_told_by_the_status) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 1000, 100, &err), &err);
  kit.sink->put = full;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_FAILED);
  CHECK_EQ(status.error.code, RFL_EIO);
  CHECK_STR(status.error.message, "The disk is full.");
  CHECK_EQ(status.batches, 2);
  rfl_query_release(q);
  kit_release(&kit);
}

static enum rfl_code lose_two(struct rfl_sink *s, int64_t until_ns,
                              struct rfl_tally *failed, struct rfl_err *err) {
  (void)s, (void)until_ns, (void)err;
  if (rfl_memory_sink_seen(kit.memory) != 300) return RFL_OK;
  failed->failed = 2;
  snprintf(failed->first_bad, sizeof failed->first_bad, "rows 5 and 8: too large");
  return RFL_OK;
}

TEST(rows_that_a_sink_gave_up_stop_the_query_before_their_position_is_saved) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 1000, 100, &err), &err);
  kit.sink->flush = lose_two;
  kit.spec.store = &kit.ends.store;
  kit.spec.save_every_ns = 0;
  CHECK_EQ(rfl_query_run(&kit.spec, &status, &err), RFL_EBROKER);
  CHECK(strstr(err.message, "rows 5 and 8: too large") != NULL);
  CHECK_EQ(status.tally.failed, 2);
  CHECK_EQ(status.batches, 2);
  CHECK_EQ(kit.world.saved[kit.world.n_saved - 1].at[0], 200);
  kit_release(&kit);
}

TEST(one_live_model_is_learnt_by_one_query) {
  struct rfl_err err = {0};
  struct rfl_query *second = NULL;
  CHECK_OK(kit_new(&kit, -10, 10, &err), &err);
  struct rfl_query *q = start(&kit);
  CHECK_OK(rfl_memory_sink_end(kit.memory, &kit.sink, &err), &err);
  CHECK_OK(new_maker(10, 10, &kit.source, &err), &err);
  kit.spec.source = kit.source;
  CHECK_EQ(rfl_query_start(&kit.spec, &second, &err), RFL_EBUSY); /* took nothing */
  CHECK(strstr(err.message, "`clicks`") != NULL);
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_model_that_learnt_something_else_is_not_overwritten_by_a_checkpoint) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  struct cut cut = {0};
  struct rfl_workspace *ws = NULL;
  CHECK_OK(kit_new(&kit, 230, 100, &err), &err);
  kit.spec.store = &kit.ends.store;
  CHECK_OK(rfl_query_run(&kit.spec, &status, &err), &err);
  /* The model is what the checkpoint holds: that is no conflict. */
  maker_of(kit.source)->end = 400;
  CHECK_OK(rfl_query_run(&kit.spec, &status, &err), &err);
  CHECK(status.resumed);
  CHECK_EQ(status.rows, 170);
  /* Now it learns a row beside the query. */
  CHECK_OK(cut_rows(1, 1, 0, &cut, &err), &err);
  CHECK_OK(rfl_workspace_new(kit.recipe, RFL_FOR_LEARNING, RFL_UNSEEN_NA, &ws, &err),
           &err);
  CHECK_OK(rfl_live_claim(kit.live, "beside", &err), &err);
  struct rfl_rows row = {.frame = cut.frame[0], .n = 1};
  CHECK_OK(rfl_live_learn(kit.live, "beside", &row, ws, &err), &err);
  rfl_live_unclaim(kit.live, "beside");
  CHECK_EQ(rfl_query_run(&kit.spec, &status, &err), RFL_EBUSY);
  CHECK(strstr(err.message, "`live` was updated since live_model()") != NULL);
  rfl_workspace_release(ws);
  cut_release(&cut);
  kit_release(&kit);
}

TEST(specs_that_cannot_keep_their_promise_are_refused) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 10, 10, &err), &err);
  kit.spec.unit = &kit.ends.unit;
  CHECK_EQ(rfl_query_run(&kit.spec, &status, &err), RFL_ECONFIG);
  CHECK(strstr(err.message, "checkpoint") != NULL);
  kit.spec.unit = NULL;
  kit.sink->unit = &kit.ends.unit;
  CHECK_EQ(rfl_query_run(&kit.spec, &status, &err), RFL_ECONFIG);
  kit.sink->unit = NULL;
  struct rfl_step join = {.n_inputs = 2}, *step = &join;
  kit.spec.step = &step;
  kit.spec.n_steps = 1;
  CHECK_EQ(rfl_query_run(&kit.spec, &status, &err), RFL_ECONFIG);
  CHECK(strstr(err.message, "2 inputs") != NULL);
  kit_release(&kit);
}

/* ---- steps ---- */

struct counter { /* a step: drops every third frame of 100 rows, knows how many rows it
                    saw */
  struct rfl_step base;
  uint64_t seen;
  bool ended;
};

static enum rfl_code counter_put(struct rfl_step *s, uint32_t input, struct rfl_frame *f,
                                 struct rfl_frame **gives, struct rfl_err *err) {
  struct counter *c = (struct counter *)(void *)s;
  (void)input;
  (void)err;
  c->seen += f->n_rows;
  *gives = c->seen % 300 ? rfl_frame_keep(f) : NULL; /* every third frame of 100 */
  return RFL_OK;
}

static enum rfl_code counter_border(struct rfl_step *s, bool end,
                                    struct rfl_frame **gives, struct rfl_err *err) {
  (void)err;
  struct counter *c = (struct counter *)(void *)s;
  c->ended = end;
  *gives = NULL;
  return RFL_OK;
}

static enum rfl_code counter_write(const struct rfl_step *s, struct rfl_buf *out,
                                   struct rfl_err *err) {
  rfl_buf_u64(out, ((const struct counter *)(const void *)s)->seen);
  return rfl_buf_check(out, err);
}

static enum rfl_code counter_read(struct rfl_step *s, struct rfl_bytes bytes,
                                  struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  ((struct counter *)(void *)s)->seen = rfl_read_u64(&in);
  return rfl_read_done(&in, "The counter", err);
}

static const struct rfl_step counter_verbs = {.n_inputs = 1,
                                              .put = counter_put,
                                              .border = counter_border,
                                              .write = counter_write,
                                              .read = counter_read};

TEST(steps_filter_before_scoring_and_their_state_is_part_of_the_checkpoint) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  struct counter first = {.base = counter_verbs}, second = {.base = counter_verbs};
  struct rfl_step *step = &first.base;
  CHECK_OK(kit_new(&kit, 500, 100, &err), &err);
  kit.spec.store = &kit.ends.store;
  kit.spec.step = &step;
  kit.spec.n_steps = 1;
  CHECK_OK(rfl_query_run(&kit.spec, &status, &err), &err);
  CHECK_EQ(first.seen, 500);
  CHECK(first.ended);
  CHECK_EQ(rfl_memory_sink_seen(kit.memory), 400); /* 200..299 were dropped */
  CHECK_EQ(status.learnt + status.pending, usable(200) + usable(500) - usable(300));
  step = &second.base;
  maker_of(kit.source)->end = 700;
  CHECK_OK(rfl_query_run(&kit.spec, &status, &err), &err);
  CHECK_EQ(second.seen, 700);
  CHECK_EQ(rfl_memory_sink_seen(kit.memory), 500); /* 500..599 too */
  kit_release(&kit);
}

/* ---- memory ---- */

static enum rfl_code run_once(void) {
  struct rfl_query_status status;
  struct rfl_err err;
  struct counter counter = {.base = counter_verbs};
  struct rfl_step *step = &counter.base;
  RFL_TRY(kit_new(&kit, 130, 60, &err));
  kit.spec.store = &kit.ends.store;
  kit.spec.save_every_ns = 0;
  kit.spec.step = &step;
  kit.spec.n_steps = 1;
  enum rfl_code code = rfl_query_run(&kit.spec, &status, &err);
  if (!code) maker_of(kit.source)->end = 200;
  if (!code) code = rfl_query_run(&kit.spec, &status, &err);
  kit_release(&kit);
  return code;
}

static enum rfl_code start_once(void) {
  struct rfl_query *q = NULL;
  struct rfl_query_status status;
  RFL_TRY(kit_new(&kit, 130, 60, NULL));
  enum rfl_code code = rfl_query_start(&kit.spec, &q, NULL);
  if (!code) {
    kit.sink = NULL;
    kit.source = NULL;
    while (rfl_query_wait(q, in_ms(1000)) == RFL_EAGAIN) {
    }
    rfl_query_status(q, &status);
    if (status.phase == RFL_QUERY_FAILED) code = status.error.code;
    rfl_query_release(q);
  }
  kit_release(&kit);
  return code;
}

TEST(a_query_that_gets_no_memory_says_so_and_leaves_nothing) {
  SWEEP(run_once());
  SWEEP(start_once());
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(a_query_runs_to_the_end_and_tells_what_it_did);
  RUN(progress_tells_of_each_batch_the_version_that_scored_it_and_its_end);
  RUN(progress_remembers_the_newest_batches_however_many_there_were);
  RUN(output_has_key_score_model_version_time_and_what_was_kept);
  RUN(two_columns_of_a_score_are_both_there);
  RUN(a_column_that_cannot_be_kept_is_refused_by_name);
  RUN(without_scoring_the_sinks_get_the_frames_as_they_are);
  RUN(an_error_of_an_end_is_told_by_the_status);
  RUN(rows_that_a_sink_gave_up_stop_the_query_before_their_position_is_saved);
  RUN(one_live_model_is_learnt_by_one_query);
  RUN(a_model_that_learnt_something_else_is_not_overwritten_by_a_checkpoint);
  RUN(specs_that_cannot_keep_their_promise_are_refused);
  RUN(steps_filter_before_scoring_and_their_state_is_part_of_the_checkpoint);
  RUN(a_query_that_gets_no_memory_says_so_and_leaves_nothing);
  return harness_end();
}
