/* The query on its thread: what it tells, how it stops, what is refused. Its source makes
 * rows as long as it is asked; sinks and store are in memory. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../harness.h"
#include "base/clock.h"
#include "base/thread.h"
#include "ends.h"
#include "openblas.h"
#include "rows.h"
#include "stream/control.h"
#include "stream/memory_sink.h"
#include "stream/query.h"
#include "tiny.h"

/* ---- a source that makes rows ---- */

struct maker {
  struct rfl_source base;
  struct rfl_builder *builder;
  int64_t at, end;     /* positions; end: where it ends */
  uint32_t frame;      /* rows of a frame */
  uint32_t idle_every; /* positions between pauses, 0: none */
  int64_t pause_until;
  bool idle;
  pthread_mutex_t lock;
  pthread_cond_t woken;
  bool wake; /* under lock */
};

static struct maker *of(struct rfl_source *s) { return (struct maker *)(void *)s; }

static enum rfl_code maker_start(struct rfl_source *s, const struct rfl_cursor *from,
                                 struct rfl_err *err) {
  (void)err;
  const struct rfl_place *p = from ? rfl_cursor_find(from, "clicks", 0) : NULL;
  of(s)->at = p ? p->next : 0;
  return RFL_OK;
}

static void wait_idle(struct maker *m, int64_t until_ns) {
  pthread_mutex_lock(&m->lock);
  while (!m->wake && rfl_cond_wait_until(&m->woken, &m->lock, until_ns)) {
  }
  m->wake = false;
  pthread_mutex_unlock(&m->lock);
}

/* An endless one (end < 0) idles once it has given -end rows. */
static enum rfl_code maker_next(struct rfl_source *s, const struct rfl_want *want,
                                enum rfl_event *event, struct rfl_frame **gives,
                                struct rfl_err *err) {
  struct maker *m = of(s);
  int64_t end = m->end < 0 ? -m->end : m->end;
  uint32_t n = m->frame;
  if (n > want->max_rows) n = want->max_rows;
  if (n > end - m->at) n = (uint32_t)(end - m->at);
  bool pause = m->idle_every && m->at % m->idle_every == 0 && !m->idle;
  if ((!n && m->end < 0) || pause) {
    m->idle = true;
    *event = RFL_IDLE;
    if (!pause) wait_idle(m, want->until_ns);
    return RFL_OK;
  }
  m->idle = false;
  *event = n ? RFL_ROWS : RFL_END;
  if (!n) return RFL_OK;
  RFL_TRY(rows_frame(m->builder, m->at, n, gives, err));
  m->at += n;
  return RFL_OK;
}

static void maker_wake(struct rfl_source *s) {
  pthread_mutex_lock(&of(s)->lock);
  of(s)->wake = true;
  pthread_cond_signal(&of(s)->woken);
  pthread_mutex_unlock(&of(s)->lock);
}

static void maker_release(struct rfl_source *s) {
  if (!s) return;
  rfl_builder_release(of(s)->builder);
  pthread_cond_destroy(&of(s)->woken);
  pthread_mutex_destroy(&of(s)->lock);
  rfl_free(s);
}

static enum rfl_code new_maker(int64_t end, uint32_t frame, struct rfl_source **gives,
                               struct rfl_err *err) {
  struct maker *m = rfl_alloc(1, sizeof *m);
  if (!m) return rfl_no_memory(err);
  m->base = (struct rfl_source){.start = maker_start,
                                .next = maker_next,
                                .wake = maker_wake,
                                .release = maker_release};
  m->end = end;
  m->frame = frame;
  m->idle_every = frame;
  m->idle = true;
  pthread_mutex_init(&m->lock, NULL);
  rfl_cond_init(&m->woken);
  enum rfl_code code = rows_builder(&m->builder, err);
  if (code)
    maker_release(&m->base);
  else
    *gives = &m->base;
  return code;
}

/* ---- what a test has in its hands ---- */

struct kit {
  struct rfl_recipe *recipe;
  struct rfl_live *live;
  struct rfl_memory_sink *memory;
  struct rfl_sink *sink;
  struct rfl_source *source;
  struct world world; /* for its store */
  struct ends ends;
  struct rfl_query_spec spec;
};

static struct kit kit; /* large */

static enum rfl_code new_live(struct kit *k, struct rfl_err *err) {
  struct tiny_options once = {.passes = 1};
  struct rfl_state *state = NULL;
  RFL_TRY(rfl_tiny.open(&once.base, rfl_recipe_layout(k->recipe), &state, err));
  enum rfl_code code =
      rfl_live_new(&rfl_tiny, state, k->recipe, "ctr", 50, 1, &k->live, err);
  if (code) rfl_tiny.release(state);
  return code;
}

static void kit_release(struct kit *k) {
  if (k->sink) k->sink->release(k->sink);
  if (k->source) k->source->release(k->source);
  rfl_memory_sink_release(k->memory);
  rfl_live_release(k->live);
  rfl_recipe_release(k->recipe);
  ends_close(&k->ends);
  world_release(&k->world);
}

static void no_release(struct rfl_store *s) { (void)s; }

static const struct event no_script[] = {{.what = RFL_END}};
static const char *const keep_id[] = {"id"};

static enum rfl_code kit_new(struct kit *k, int64_t end, uint32_t frame,
                             struct rfl_err *err) {
  memset(k, 0, sizeof *k);
  world_new(&k->world, no_script, 1, false);
  enum rfl_code code = ends_open(&k->ends, &k->world, err);
  k->ends.store.release = no_release;
  if (!code) code = tiny_recipe(&k->recipe, err);
  if (!code) code = new_live(k, err);
  if (!code) code = rfl_memory_sink_new(1000000, &k->memory, err);
  if (!code) code = rfl_memory_sink_end(k->memory, &k->sink, err);
  if (!code) code = new_maker(end, frame, &k->source, err);
  k->spec = (struct rfl_query_spec){.name = "clicks",
                                    .source = k->source,
                                    .score = {.live = k->live},
                                    .learn = k->live,
                                    .learn_unseen = RFL_UNSEEN_REFERENCE,
                                    .keep = keep_id,
                                    .n_keep = 1,
                                    .sink = &k->sink,
                                    .n_sinks = 1,
                                    .max_batch = 1000,
                                    .save_every_ns = 3600 * (int64_t)RFL_SECOND,
                                    .drain_ns = 5 * (int64_t)RFL_SECOND};
  if (code) kit_release(k);
  return code;
}

/* Starts it: source and sink are the query's from then on. */
static struct rfl_query *start(struct kit *k) {
  struct rfl_query *q = NULL;
  struct rfl_err err = {0};
  CHECK_OK(rfl_query_start(&k->spec, &q, &err), &err);
  k->sink = NULL;
  k->source = NULL;
  return q;
}

static int64_t in_ms(int64_t ms) { return rfl_now_ns() + ms * RFL_MS; }

static uint64_t usable(int64_t n) {
  uint64_t m = 0;
  for (int64_t i = 0; i < n; i++) m += row_has_x(i) && row_has_y(i);
  return m;
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

/* ---- stopping ---- */

TEST(an_idle_query_stops_at_once_and_goes_on_where_it_was_without_learning_twice) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, -730, 100, &err), &err);
  kit.spec.store = &kit.ends.store;
  struct rfl_query *q = start(&kit);
  int64_t deadline = in_ms(10000);
  do {
    rfl_query_status(q, &status);
  } while (status.rows < 730 && rfl_now_ns() < deadline);
  int64_t from = rfl_now_ns();
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  CHECK(rfl_now_ns() - from < 2 * (int64_t)RFL_SECOND); /* not its drain time */
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_STOPPED);
  CHECK_EQ(status.saves, 2); /* the first batch's, and the last */
  rfl_query_release(q);
  /* Again, in a new process: a new model gets the state. */
  rfl_live_release(kit.live);
  CHECK_OK(new_live(&kit, &err), &err);
  CHECK_OK(rfl_memory_sink_end(kit.memory, &kit.sink, &err), &err);
  CHECK_OK(new_maker(1500, 100, &kit.source, &err), &err);
  kit.spec.source = kit.source;
  kit.spec.learn = kit.spec.score.live = kit.live;
  q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_DONE);
  CHECK(status.resumed);
  CHECK_EQ(status.rows, 770);
  check_ids(kit.memory, 0, 1500);
  CHECK_EQ(rfl_live_learnt(kit.live) + rfl_live_pending(kit.live), usable(1500));
  CHECK_EQ(status.learnt, rfl_live_learnt(kit.live) - usable(730) / 50 * 50);
  rfl_query_release(q);
  kit_release(&kit);
}

static enum rfl_code never(struct rfl_sink *s, int64_t until_ns, struct rfl_tally *failed,
                           struct rfl_err *err) {
  (void)s;
  (void)failed;
  while (rfl_now_ns() < until_ns) usleep(1000);
  return rfl_fail(err, RFL_EAGAIN, "Not yet.");
}

TEST(stop_gives_up_a_sink_that_never_answers_within_the_drain_time) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 100, 100, &err), &err);
  kit.sink->flush = never;
  kit.spec.drain_ns = 200 * (int64_t)RFL_MS;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(150)), RFL_EAGAIN);
  int64_t from = rfl_now_ns();
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  int64_t took = rfl_now_ns() - from;
  CHECK(took >= 150 * (int64_t)RFL_MS && took < 3 * (int64_t)RFL_SECOND);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_FAILED);
  CHECK_EQ(status.error.code, RFL_ETIMEOUT);
  CHECK(strstr(status.error.message, "read again") != NULL);
  rfl_query_release(q);
  kit_release(&kit);
}

static enum rfl_code never_load(struct rfl_store *s, const char *name,
                                struct rfl_cursor *c, struct rfl_part **p, size_t *n,
                                struct rfl_err *err) {
  (void)s, (void)name, (void)c, (void)p, (void)n;
  return rfl_fail(err, RFL_EAGAIN, "Not yet.");
}

TEST(a_query_that_has_not_begun_can_be_stopped) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 100, 100, &err), &err);
  kit.spec.store = &kit.ends.store;
  kit.ends.store.load = never_load;
  kit.spec.drain_ns = 50 * (int64_t)RFL_MS;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_ready(q, in_ms(50)), RFL_EAGAIN);
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_STOPPED);
  CHECK_EQ(status.rows, 0);
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_paced_query_keeps_its_pace) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 600, 600, &err), &err);
  kit.spec.pace = 1000;
  int64_t from = rfl_now_ns();
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(20000)), RFL_OK);
  double took = (double)(rfl_now_ns() - from) / RFL_SECOND;
  CHECK(took > 0.3); /* 600 rows at 1,000 a second, less the share it may run ahead */
  rfl_query_status(q, &status);
  CHECK_EQ(status.rows, 600);
  CHECK(status.batches >= 5); /* smooth: about a tenth of a second each */
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_paced_query_stops_at_once) {
  struct rfl_err err = {0};
  CHECK_OK(kit_new(&kit, 100000, 1000, &err), &err);
  kit.spec.pace = 10;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_ready(q, in_ms(10000)), RFL_OK);
  int64_t from = rfl_now_ns();
  rfl_query_release(q);
  CHECK(rfl_now_ns() - from < 2 * (int64_t)RFL_SECOND);
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
  of(kit.source)->end = 400;
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
  of(kit.source)->end = 700;
  CHECK_OK(rfl_query_run(&kit.spec, &status, &err), &err);
  CHECK_EQ(second.seen, 700);
  CHECK_EQ(rfl_memory_sink_seen(kit.memory), 500); /* 500..599 too */
  kit_release(&kit);
}

/* ---- threads and processes ---- */

struct watcher {
  struct rfl_query *q;
  struct rfl_live *live;
  struct rfl_memory_sink *memory;
  bool *stop; /* atomic */
  uint64_t rows;
  bool fell_back;
};

static void *watch(void *arg) {
  struct watcher *w = arg;
  while (!__atomic_load_n(w->stop, __ATOMIC_RELAXED)) {
    struct rfl_query_status status;
    struct rfl_progress *p = NULL;
    struct rfl_state *state = NULL;
    struct rfl_frame **frame = NULL;
    struct rfl_err err;
    uint64_t version;
    size_t n = 0;
    rfl_query_status(w->q, &status);
    if (status.rows < w->rows) w->fell_back = true;
    w->rows = status.rows;
    if (!rfl_query_progress(w->q, 50, &p, &n, &err)) rfl_progress_free(p, n);
    if (!rfl_live_copy(w->live, &state, &version, &err)) rfl_tiny.release(state);
    if (!rfl_memory_sink_take(w->memory, &frame, &n, &err)) {
      for (size_t i = 0; i < n; i++) rfl_frame_release(frame[i]);
      rfl_free(frame);
    }
    (void)!rfl_query_wait(w->q, 0);
  }
  return NULL;
}

TEST(a_running_query_may_be_watched_scored_with_and_stopped_from_any_thread) {
  enum { WATCHERS = 2 };
  struct rfl_err err = {0};
  bool stop = false;
  pthread_t thread[WATCHERS];
  struct watcher watcher[WATCHERS];
  CHECK_OK(kit_new(&kit, -20000, 100, &err), &err);
  struct rfl_query *q = start(&kit);
  for (int i = 0; i < WATCHERS; i++) {
    watcher[i] =
        (struct watcher){.q = q, .live = kit.live, .memory = kit.memory, .stop = &stop};
    CHECK_OK(rfl_thread_start(&thread[i], watch, &watcher[i], &err), &err);
  }
  struct rfl_query_status status;
  int64_t deadline = in_ms(20000);
  do {
    rfl_query_status(q, &status);
  } while (status.rows < 3000 && rfl_now_ns() < deadline);
  CHECK(status.rows >= 3000);
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < WATCHERS; i++) {
    pthread_join(thread[i], NULL);
    CHECK(!watcher[i].fell_back);
  }
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_forked_child_may_release_the_query_and_nothing_happens) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, -100, 100, &err), &err);
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_ready(q, in_ms(10000)), RFL_OK);
  pid_t child = fork();
  if (child == 0) {
    alarm(10);
    rfl_query_release(q);
    _exit(0);
  }
  int how = 1;
  CHECK_EQ(waitpid(child, &how, 0), child);
  CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_RUNNING);
  rfl_query_release(q);
  kit_release(&kit);
}

/* ---- the memory sink ---- */

TEST(the_memory_sink_keeps_whole_frames_of_at_least_the_last_rows) {
  struct rfl_err err = {0};
  struct rfl_memory_sink *m = NULL;
  struct rfl_sink *sink = NULL;
  struct cut cut = {0};
  CHECK_OK(rfl_memory_sink_new(25, &m, &err), &err);
  CHECK_OK(rfl_memory_sink_end(m, &sink, &err), &err);
  CHECK_OK(cut_rows(1000, 10, 0, &cut, &err), &err);
  for (size_t i = 0; i < cut.n_frames; i++) {
    CHECK_OK(sink->put(sink, i, cut.frame[i], &err), &err);
    struct rfl_frame **frame = NULL;
    size_t n = 0;
    CHECK_OK(rfl_memory_sink_take(m, &frame, &n, &err), &err);
    CHECK_EQ(n, i < 3 ? i + 1 : 3);
    CHECK(frame[n - 1] == cut.frame[i]);
    for (size_t k = 0; k < n; k++) rfl_frame_release(frame[k]);
    rfl_free(frame);
  }
  CHECK_EQ(rfl_memory_sink_seen(m), 1000);
  rfl_memory_sink_release(m); /* the sink holds it still */
  CHECK_OK(sink->put(sink, 1, cut.frame[0], &err), &err);
  sink->release(sink);
  cut_release(&cut);
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
  if (!code) of(kit.source)->end = 200;
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
  fill_blas();
  RUN(a_query_runs_to_the_end_and_tells_what_it_did);
  RUN(progress_tells_of_each_batch_the_version_that_scored_it_and_its_end);
  RUN(progress_remembers_the_newest_batches_however_many_there_were);
  RUN(output_has_key_score_model_version_time_and_what_was_kept);
  RUN(two_columns_of_a_score_are_both_there);
  RUN(a_column_that_cannot_be_kept_is_refused_by_name);
  RUN(without_scoring_the_sinks_get_the_frames_as_they_are);
  RUN(an_idle_query_stops_at_once_and_goes_on_where_it_was_without_learning_twice);
  RUN(stop_gives_up_a_sink_that_never_answers_within_the_drain_time);
  RUN(a_query_that_has_not_begun_can_be_stopped);
  RUN(a_paced_query_keeps_its_pace);
  RUN(a_paced_query_stops_at_once);
  RUN(an_error_of_an_end_is_told_by_the_status);
  RUN(one_live_model_is_learnt_by_one_query);
  RUN(a_model_that_learnt_something_else_is_not_overwritten_by_a_checkpoint);
  RUN(specs_that_cannot_keep_their_promise_are_refused);
  RUN(steps_filter_before_scoring_and_their_state_is_part_of_the_checkpoint);
  RUN(a_running_query_may_be_watched_scored_with_and_stopped_from_any_thread);
  RUN(a_forked_child_may_release_the_query_and_nothing_happens);
  RUN(the_memory_sink_keeps_whole_frames_of_at_least_the_last_rows);
  RUN(a_query_that_gets_no_memory_says_so_and_leaves_nothing);
  return harness_end();
}
