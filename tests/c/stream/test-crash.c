/* The crash sweep: a run of the loop over ends in memory, with one or two faults at every
 * call (or pair of calls) that it makes. The world is what survives: what sinks showed,
 * what the unit committed, what the store saved. A process that dies is followed by a new
 * one over the same world, until one comes to the end; then the world must look as if
 * nothing had happened.
 *
 * The script: two places with gaps in their positions, frames that mix them and do not
 * come in their order, batches that cut learning blocks of 7 rows, a border (places taken
 * and given back, one more given), and no checkpoint but those that the loop must make by
 * itself, so that commits are younger than the checkpoint that they name. */
#include <stdio.h>

#include "../harness.h"
#include "base/clock.h"
#include "ends.h"
#include "learn/glm.h"
#include "openblas.h"
#include "step.h"
#include "stream/query.h"
#include "tiny.h"

enum { BLOCK = 7, MOST_PROCESSES = 12, MOST_STATE = 8192 };

/* ROWS of one or two pieces, as {place, first, next}. */
#define ONE(a, b, c)                                 \
  {                                                  \
    .what = RFL_ROWS, .n = 1, .piece = { {a, b, c} } \
  }
#define TWO(a, b, c, d, e, f)                                   \
  {                                                             \
    .what = RFL_ROWS, .n = 2, .piece = { {a, b, c}, {d, e, f} } \
  }
/* Three batches, the second cut by the border: short, for all pairs of faults. */
#define SHORT(is_gone)                                                                   \
  {                                                                                      \
    TWO(1, 10, 14, 0, 0, 5), ONE(0, 5, 9), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 9, 12), \
        {.what = RFL_BORDER, .gone = is_gone, .takes = {0, 1}, .gains = 2},              \
        {.what = RFL_IDLE}, TWO(2, 5, 9, 1, 17, 21), {.what = RFL_END},                  \
  }
/* The place is lost when a batch is in work: the border follows it. */
#define LATE                                                               \
  {                                                                        \
    TWO(1, 10, 14, 0, 0, 5), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 5, 12), \
        {.what = RFL_IDLE},                                                \
        {.what = RFL_BORDER, .gone = true, .takes = {0, 1}, .gains = -1},  \
        ONE(1, 17, 21), {.what = RFL_END},                                 \
  }
/* The same before anything was committed. */
#define FIRST                                                                            \
  {                                                                                      \
    TWO(1, 10, 14, 0, 0, 5), {.what = RFL_IDLE},                                         \
        {.what = RFL_BORDER, .gone = true, .takes = {0, 1}, .gains = -1},                \
        TWO(1, 14, 17, 0, 5, 12), {.what = RFL_IDLE}, ONE(1, 17, 21), {.what = RFL_END}, \
  }
/* No border: after a restart in the middle the plan goes on growing. */
#define QUIET                                                                  \
  {                                                                            \
    TWO(1, 10, 14, 0, 0, 5), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 5, 9),      \
        {.what = RFL_IDLE}, ONE(1, 17, 21), {.what = RFL_IDLE}, ONE(0, 9, 14), \
        {.what = RFL_END},                                                     \
  }
/* Five batches; two checkpoints are older than the commits that name them. */
#define LONG(is_gone)                                                                    \
  {                                                                                      \
    TWO(1, 10, 14, 0, 0, 5), ONE(0, 5, 9), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 9, 12), \
        ONE(1, 17, 19), {.what = RFL_IDLE}, ONE(0, 12, 15),                              \
        {.what = RFL_BORDER, .gone = is_gone, .takes = {0, 1}, .gains = 2},              \
        {.what = RFL_IDLE}, TWO(2, 5, 9, 1, 19, 23), {.what = RFL_IDLE},                 \
        TWO(0, 15, 21, 2, 9, 11), {.what = RFL_IDLE}, ONE(1, 23, 29), {.what = RFL_END}, \
  }
static const struct event short_stays[] = SHORT(false), short_goes[] = SHORT(true);
static const struct event late[] = LATE, at_once[] = FIRST, quiet[] = QUIET;
static const struct event long_stays[] = LONG(false), long_goes[] = LONG(true);
enum {
  N_SHORT = sizeof short_stays / sizeof *short_stays,
  N_LATE = sizeof late / sizeof *late,
  N_QUIET = sizeof quiet / sizeof *quiet,
  N_FIRST = sizeof at_once / sizeof *at_once,
  N_LONG = sizeof long_stays / sizeof *long_stays
};

enum { /* what a setting has; SAVES: a checkpoint a batch, else as seldom as can be */
       UNIT = 1,
       BOUND = 2,
       GLM = 4,
       STEP = 8,
       SAVES = 16
};
struct setting { /* of a sweep */
  const char *name;
  const struct event *script;
  size_t n_script;
  unsigned with;
};

static const int64_t RARELY = 3600 * (int64_t)RFL_SECOND;
static struct rfl_recipe *recipe;

/* ---- one process ---- */

struct image { /* of the model and the step at the end */
  size_t n;
  uint8_t bytes[MOST_STATE];
};

/* A GLM must have been fitted before it learns online: on a few made-up rows. */
static enum rfl_code fit_first(const struct rfl_learner *learner, struct rfl_state *state,
                               struct rfl_err *err) {
  enum { N = 12 };
  double x[N], id[N], y[N];
  for (int i = 0; i < N; i++) {
    x[i] = 0.1 * (i * 5 % 7);
    id[i] = 100.0 * (i * 3 % 8);
    y[i] = 1 + x[i] - 0.001 * id[i] + 0.2 * (i % 3);
  }
  const double *dense[] = {x, id};
  struct rfl_block block = {.n = N, .n_dense = 2, .dense = dense, .y = y};
  for (bool again = true; again;) {
    RFL_TRY(learner->absorb(state, &block, err));
    RFL_TRY(learner->settle(state, &again, err));
  }
  return RFL_OK;
}

static enum rfl_code new_live(const struct setting *s, struct rfl_live **gives,
                              struct rfl_err *err) {
  struct tiny_options tiny = {.passes = 1};
  struct rfl_glm_options glm = {.family = RFL_GAUSSIAN};
  const struct rfl_learner *learner = (s->with & GLM) ? &rfl_glm : &rfl_tiny;
  struct rfl_state *state = NULL;
  RFL_TRY(learner->open((s->with & GLM) ? &glm.base : &tiny.base,
                        rfl_recipe_layout(recipe), &state, err));
  enum rfl_code code = (s->with & GLM) ? fit_first(learner, state, err) : RFL_OK;
  if (!code) code = rfl_live_new(learner, state, recipe, "m", BLOCK, 1.0, gives, err);
  if (code) learner->release(state);
  return code;
}

static enum rfl_code look(struct rfl_live *live, const struct fold_step *step,
                          struct image *gives, struct rfl_err *err) {
  struct rfl_buf buf = {0};
  enum rfl_code code = rfl_live_write(live, &buf, err);
  if (!code && step) code = step->base.write(&step->base, &buf, err);
  gives->n = 0;
  if (!code && buf.n <= sizeof gives->bytes) {
    gives->n = buf.n;
    memcpy(gives->bytes, buf.p, buf.n);
  }
  rfl_buf_release(&buf);
  return code;
}

static enum rfl_code run_process(const struct setting *s, struct world *w,
                                 struct image *image, struct rfl_query_status *status,
                                 struct rfl_err *err) {
  struct ends e;
  struct rfl_live *live = NULL;
  RFL_TRY(ends_open(&e, w, err));
  enum rfl_code code = new_live(s, &live, err);
  struct fold_step step;
  struct rfl_step *steps = &step.base;
  fold_step_init(&step);
  struct rfl_sink *sink[SINKS] = {&e.sink[0], &e.sink[1]};
  struct rfl_query_spec spec = {.name = "q",
                                .source = &e.source,
                                .score = {.live = live},
                                .learn = live,
                                .learn_unseen = RFL_UNSEEN_REFERENCE,
                                .step = &steps,
                                .n_steps = s->with & STEP ? 1 : 0,
                                .sink = sink,
                                .n_sinks = SINKS,
                                .unit = (s->with & UNIT) ? &e.unit : NULL,
                                .store = &e.store,
                                .max_batch = 1000,
                                .save_every_ns = s->with & SAVES ? 0 : RARELY,
                                .drain_ns = RFL_SECOND};
  const char *keep[] = {"id"};
  spec.keep = keep;
  spec.n_keep = 1;
  if (!code) code = rfl_query_run(&spec, status, err);
  if (!code) code = look(live, s->with & STEP ? &step : NULL, image, err);
  rfl_live_release(live);
  ends_close(&e);
  return code;
}

/* Processes follow each other until one comes to the end. */
static bool run_plan(const struct setting *s, struct world *w, struct image *image) {
  for (int i = 0; i < MOST_PROCESSES; i++) {
    struct rfl_query_status status;
    struct rfl_err err = {0};
    enum rfl_code code = run_process(s, w, image, &status, &err);
    if (!code && status.phase == RFL_QUERY_DONE) return true;
    if (code == RFL_EIO || code == RFL_EFENCED) continue;
    printf("# a process ended with code %d: %s\n", code, err.message);
    return false;
  }
  printf("# no process came to the end\n");
  return false;
}

static void open_world(struct world *w, const struct setting *s) {
  world_new(w, s->script, s->n_script, (s->with & UNIT));
  w->bound_store = (s->with & BOUND);
}

/* ---- what must be true ---- */

static bool same_row(const struct seen *a, const struct seen *b) {
  return a->place == b->place && a->position == b->position && a->score == b->score &&
         a->version == b->version && a->batch == b->batch;
}

/* Every row once, with the score and version that it has when nothing happens. */
static bool same_rows(const struct world *w, const struct world *calm) {
  for (int k = 0; k < SINKS; k++) {
    if (w->rows[k] != calm->rows[k]) return false;
    for (size_t i = 0; i < w->rows[k]; i++)
      if (!same_row(&w->row[k][i], &calm->row[k][i])) return false;
  }
  return true;
}

/* Every row at least once, and always with the same score. */
static bool no_row_lost(const struct world *w, const struct world *calm) {
  for (int k = 0; k < SINKS; k++) {
    size_t known = 0;
    for (size_t i = 0; i < calm->rows[k]; i++) {
      bool found = false;
      for (size_t j = 0; j < w->rows[k]; j++) {
        bool same = same_row(&w->row[k][j], &calm->row[k][i]);
        found = found || same;
        known += same;
      }
      if (!found) return false;
    }
    if (known != w->rows[k]) return false;
  }
  return true;
}

static const char *judge(const struct setting *s, const struct world *w,
                         const struct world *calm, const struct image *image,
                         const struct image *calm_image) {
  if (w->wrong[0]) return w->wrong;
  if (image->n != calm_image->n || memcmp(image->bytes, calm_image->bytes, image->n))
    return "the model is not what it would have been";
  if ((s->with & UNIT) && !same_rows(w, calm)) return "rows were put twice or lost";
  if (!(s->with & UNIT) && !no_row_lost(w, calm)) return "rows were lost";
  return NULL;
}

/* ---- the sweep ---- */

static const enum fault_kind kinds[] = {DIE_BEFORE,  DIE_AFTER,  AGAIN, ABORT,
                                        UNSURE_DONE, UNSURE_NOT, FENCE};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* One thread only: pairs would cost the thread sanitizer a minute and tell it nothing. */
#if defined(__SANITIZE_THREAD__)
static const bool under_tsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
static const bool under_tsan = true;
#else
static const bool under_tsan = false;
#endif
#else
static const bool under_tsan = false;
#endif

enum pairs {
  NO_PAIRS,
  AFTER_ABORT, /* those whose first fault is an abort: a commit that is tried again */
  ALL_PAIRS
};

struct sweep {
  const struct setting *setting;
  struct world calm;
  struct image calm_image;
  enum pairs pairs;
  uint64_t plans;
  bool failed;
};

static struct world disturbed; /* large: not on the stack */

static void try_plan(struct sweep *s, const struct fault *fault, int n) {
  static struct image image;
  open_world(&disturbed, s->setting);
  for (int i = 0; i < n; i++) disturbed.fault[i] = fault[i];
  bool ended = run_plan(s->setting, &disturbed, &image);
  const char *why = ended
                        ? judge(s->setting, &disturbed, &s->calm, &image, &s->calm_image)
                        : "it did not come to the end";
  s->plans++;
  if (!why) return;
  s->failed = true;
  printf("# %s:", s->setting->name);
  for (int i = 0; i < n; i++)
    printf(" fault %d at call %d", (int)fault[i].kind, (int)fault[i].at);
  printf(": %s\n", why);
}

/* All second faults behind the first, in the calls of the run that the first one made. */
static void try_seconds(struct sweep *s, const struct fault *first) {
  uint64_t calls = disturbed.calls;
  uint8_t log[MOST_CALLS];
  if (calls > MOST_CALLS) calls = MOST_CALLS;
  memcpy(log, disturbed.log, calls);
  for (uint64_t at = first->at + 1; at < calls && !s->failed; at++) {
    for (int k = 0; k < N_KINDS && !s->failed; k++) {
      if (!fault_fits((enum call)log[at], kinds[k], (s->setting->with & UNIT))) continue;
      struct fault both[2] = {*first, {at, kinds[k]}};
      try_plan(s, both, 2);
      world_release(&disturbed);
    }
  }
}

static void try_firsts(struct sweep *s) {
  for (uint64_t at = 0; at < s->calm.calls && !s->failed; at++) {
    for (int k = 0; k < N_KINDS && !s->failed; k++) {
      if (!fault_fits((enum call)s->calm.log[at], kinds[k], (s->setting->with & UNIT)))
        continue;
      struct fault one = {at, kinds[k]};
      try_plan(s, &one, 1);
      world_release(&disturbed);
      bool pairs =
          s->pairs == ALL_PAIRS || (s->pairs == AFTER_ABORT && kinds[k] == ABORT);
      if (pairs && !under_tsan) try_seconds(s, &one);
    }
  }
}

static bool right_when_calm(const struct sweep *s) {
  size_t rows = count_records(s->setting->script, s->setting->n_script);
  if (s->calm.wrong[0]) printf("# undisturbed: %s\n", s->calm.wrong);
  for (int k = 0; k < SINKS; k++)
    if (s->calm.rows[k] != rows) return false;
  return !s->calm.wrong[0] && s->calm_image.n > 0;
}

static void sweep(const struct setting *setting, enum pairs pairs) {
  static struct sweep s;
  struct rfl_err err = {0};
  CHECK_OK(tiny_recipe(&recipe, &err), &err);
  s = (struct sweep){.setting = setting, .pairs = pairs};
  open_world(&s.calm, setting);
  CHECK(run_plan(setting, &s.calm, &s.calm_image));
  CHECK(right_when_calm(&s));
  if (!harness_failed_) try_firsts(&s);
  CHECK(!s.failed);
  printf("# %s: %llu plans over %llu calls, %llu commits, %llu checkpoints\n",
         setting->name, (unsigned long long)s.plans, (unsigned long long)s.calm.calls,
         (unsigned long long)s.calm.commits, (unsigned long long)s.calm.saves);
  world_release(&s.calm);
  rfl_recipe_release(recipe);
}

/* A script and its length. */
#define STAYS short_stays, N_SHORT
#define GOES short_goes, N_SHORT
#define LONG_STAYS long_stays, N_LONG
#define LONG_GOES long_goes, N_LONG

TEST(with_a_unit_nothing_is_put_lost_or_learnt_twice_whatever_two_calls_fail) {
  sweep(&(struct setting){"unit", STAYS, UNIT}, ALL_PAIRS);
  sweep(&(struct setting){"unit, quiet", quiet, N_QUIET, UNIT}, ALL_PAIRS);
}

TEST(with_a_unit_a_place_that_was_lost_uncommitted_is_taken_up_again_whatever_fails) {
  sweep(&(struct setting){"unit, lost", GOES, UNIT}, ALL_PAIRS);
  sweep(&(struct setting){"unit, late", late, N_LATE, UNIT}, AFTER_ABORT);
  sweep(&(struct setting){"unit, at once", at_once, N_FIRST, UNIT}, AFTER_ABORT);
}

TEST(with_a_store_bound_to_the_unit_whatever_two_calls_fail) {
  sweep(&(struct setting){"unit, bound store", STAYS, UNIT | BOUND}, ALL_PAIRS);
}

TEST(with_a_unit_in_a_longer_run_whatever_call_fails) {
  sweep(&(struct setting){"unit, long", LONG_STAYS, UNIT}, NO_PAIRS);
  sweep(&(struct setting){"unit, long, lost", LONG_GOES, UNIT}, NO_PAIRS);
  sweep(&(struct setting){"unit, saves", LONG_GOES, UNIT | SAVES}, NO_PAIRS);
  sweep(&(struct setting){"unit, bound saves", LONG_GOES, UNIT | BOUND | SAVES},
        NO_PAIRS);
}

TEST(without_a_unit_nothing_is_lost_and_only_unsaved_rows_are_put_again) {
  sweep(&(struct setting){"plain", STAYS, 0}, ALL_PAIRS);
  sweep(&(struct setting){"plain, saves", GOES, SAVES}, ALL_PAIRS);
  sweep(&(struct setting){"plain, long", LONG_STAYS, 0}, NO_PAIRS);
}

TEST(the_glm_comes_to_the_same_bits_whatever_call_fails) {
  sweep(&(struct setting){"glm, unit", LONG_STAYS, UNIT | GLM}, NO_PAIRS);
  sweep(&(struct setting){"glm, lost", LONG_GOES, UNIT | GLM}, NO_PAIRS);
  sweep(&(struct setting){"glm, plain", LONG_STAYS, GLM}, NO_PAIRS);
}

TEST(the_state_of_a_step_is_what_it_would_have_been_whatever_call_fails) {
  sweep(&(struct setting){"step, unit", LONG_STAYS, UNIT | STEP}, NO_PAIRS);
  sweep(&(struct setting){"step, lost", LONG_GOES, UNIT | STEP}, NO_PAIRS);
  sweep(&(struct setting){"step, plain", LONG_STAYS, STEP | SAVES}, NO_PAIRS);
}

/* ---- what the model has learnt, named row by row ---- */

static int by_place(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

TEST(a_batch_is_learnt_by_place_and_position_and_scored_before_it_is_learnt) {
  struct setting s = {"calm", LONG_STAYS, UNIT};
  static struct world w;
  struct rfl_err err = {0};
  struct rfl_query_status status;
  static struct image image;
  CHECK_OK(tiny_recipe(&recipe, &err), &err);
  open_world(&w, &s);
  CHECK_OK(run_process(&s, &w, &image, &status, &err), &err);
  struct rfl_live *live = NULL;
  CHECK_OK(new_live(&s, &live, &err), &err);
  struct rfl_bytes bytes = {.p = image.bytes, .n = image.n};
  CHECK_OK(rfl_live_read(live, bytes, &err), &err);
  struct rfl_state *state = NULL;
  uint64_t version;
  CHECK_OK(rfl_live_copy(live, &state, &version, &err), &err);
  struct tiny_view view;
  tiny_look(state, &view);
  /* Rows without a response (every seventh position) are not learnt. */
  size_t n = 0;
  double expected[MOST_ROWS];
  size_t from = 0;
  for (size_t i = 0; i < w.rows[0]; i++) {
    if (i && w.row[0][i].batch != w.row[0][i - 1].batch) {
      qsort(expected + from, n - from, sizeof *expected, by_place);
      from = n;
    }
    if (w.row[0][i].position % 7 != 3)
      expected[n++] = 1000.0 * w.row[0][i].place + (double)w.row[0][i].position;
  }
  qsort(expected + from, n - from, sizeof *expected, by_place);
  CHECK_EQ(view.n, n - n % BLOCK);
  for (size_t i = 0; i < view.n; i++) CHECK_EQ(view.id[i], expected[i]);
  CHECK_EQ(status.pending, n % BLOCK);
  CHECK_EQ(status.learnt, view.n);
  CHECK_EQ(status.missing, w.rows[0] - n);
  CHECK_EQ(status.version, version);
  CHECK_EQ(version, n / BLOCK);
  CHECK_EQ(w.row[0][0].version, 0);
  rfl_tiny.release(state);
  rfl_live_release(live);
  world_release(&w);
  rfl_recipe_release(recipe);
}

/* ---- places that go for good ---- */

TEST(a_place_that_went_for_good_is_not_committed_any_more) {
  static const struct event script[] = {
      TWO(1, 10, 14, 0, 0, 5),
      {.what = RFL_IDLE},
      {.what = RFL_BORDER, .takes = {1, -1}, .for_good = true, .gains = -1},
      ONE(0, 5, 9),
      {.what = RFL_END}};
  static const struct event longer[] = {
      TWO(1, 10, 14, 0, 0, 5), ONE(0, 5, 9), ONE(0, 9, 13), {.what = RFL_END}};
  struct setting s = {"for good", script, sizeof script / sizeof *script, UNIT};
  static struct world w;
  static struct image image;
  struct rfl_query_status status;
  struct rfl_err err = {0};
  CHECK_OK(tiny_recipe(&recipe, &err), &err);
  open_world(&w, &s);
  CHECK_OK(run_process(&s, &w, &image, &status, &err), &err);
  CHECK_STR(w.wrong, "");
  CHECK_EQ(w.commit.asked[0], 9);
  CHECK_EQ(w.commit.asked[1], -1);
  CHECK_EQ(w.commit.at[1], 14); /* where it was left: for whoever has it now */
  w.commit.at[1] = 20;
  w.script = longer;
  w.n_script = sizeof longer / sizeof *longer;
  CHECK_OK(run_process(&s, &w, &image, &status, &err), &err); /* nor after a restart */
  CHECK_EQ(w.commit.at[0], 13);
  CHECK_EQ(w.commit.at[1], 20);
  world_release(&w);
  rfl_recipe_release(recipe);
}

/* ---- zombies ---- */

static const struct setting *zombie_setting;
static struct image successor_image;
static bool successor_done;
static uint64_t commits_then, rows_then;

/* A whole other process, while the first one sleeps within a call. */
static void successor(struct world *w) {
  struct rfl_query_status status;
  struct rfl_err err = {0};
  struct fault none[FAULTS] = {{0}};
  memcpy(w->fault, none, sizeof none);
  enum rfl_code code = run_process(zombie_setting, w, &successor_image, &status, &err);
  successor_done = !code && status.phase == RFL_QUERY_DONE;
  commits_then = w->commits;
  rows_then = w->rows[0] + w->rows[1];
}

TEST(a_process_that_wakes_up_after_another_took_over_shows_nothing_more) {
  struct setting s = {"zombie", LONG_STAYS, UNIT};
  static struct world calm, w;
  static struct image calm_image, image;
  struct rfl_err err = {0};
  CHECK_OK(tiny_recipe(&recipe, &err), &err);
  open_world(&calm, &s);
  CHECK(run_plan(&s, &calm, &calm_image));
  zombie_setting = &s;
  for (uint64_t at = 0; at < calm.calls && !harness_failed_; at++) {
    struct rfl_query_status status;
    successor_done = false;
    open_world(&w, &s);
    w.fault[0] = (struct fault){at, ZOMBIE};
    w.meanwhile = successor;
    enum rfl_code code = run_process(&s, &w, &image, &status, &err);
    CHECK(successor_done);
    bool before = calm.log[at] == CALL_RECOVER; /* it recovers after the other ended */
    if (!before && at + 1 < calm.calls) CHECK(code == RFL_EFENCED || code == RFL_OK);
    CHECK_EQ(w.commits, commits_then);
    CHECK_EQ(w.rows[0] + w.rows[1], rows_then);
    CHECK(same_rows(&w, &calm));
    CHECK_EQ(successor_image.n, calm_image.n);
    CHECK(memcmp(successor_image.bytes, calm_image.bytes, calm_image.n) == 0);
    CHECK_STR(w.wrong, "");
    world_release(&w);
  }
  world_release(&calm);
  rfl_recipe_release(recipe);
}

/* A sweep makes millions of short-lived objects: AddressSanitizer need not remember long
 * who made each, which takes half of its time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "malloc_context_size=3:quarantine_size_mb=4";
}

int main(void) {
  harness_cpu();
  fill_blas();
  RUN(a_batch_is_learnt_by_place_and_position_and_scored_before_it_is_learnt);
  RUN(with_a_unit_nothing_is_put_lost_or_learnt_twice_whatever_two_calls_fail);
  RUN(with_a_unit_a_place_that_was_lost_uncommitted_is_taken_up_again_whatever_fails);
  RUN(with_a_store_bound_to_the_unit_whatever_two_calls_fail);
  RUN(with_a_unit_in_a_longer_run_whatever_call_fails);
  RUN(without_a_unit_nothing_is_lost_and_only_unsaved_rows_are_put_again);
  RUN(a_place_that_went_for_good_is_not_committed_any_more);
  RUN(a_process_that_wakes_up_after_another_took_over_shows_nothing_more);
  RUN(the_state_of_a_step_is_what_it_would_have_been_whatever_call_fails);
  RUN(the_glm_comes_to_the_same_bits_whatever_call_fails);
  return harness_end();
}
