/* The loop's protocol, promise by promise, over ends in memory: order of learning, places
 * that go, zombies, want of memory. The sweep over all crashes is test-crash.c. */
#include <stdio.h>

#include "../harness.h"
#include "blas_fill.h"
#include "process.h"
#include "tiny.h"

static const struct event script_of_batches[] = {
    TWO(1, 10, 14, 0, 0, 5),  ONE(0, 5, 9),       {.what = RFL_IDLE},
    TWO(1, 14, 17, 0, 9, 12), ONE(1, 17, 19),     {.what = RFL_IDLE},
    ONE(0, 12, 15),           {.what = RFL_IDLE}, TWO(0, 15, 21, 1, 19, 23),
    {.what = RFL_END}};
enum { N_SCRIPT = sizeof script_of_batches / sizeof *script_of_batches };

/* ---- what the model has learnt, named row by row ---- */

static int by_place(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

TEST(a_batch_is_learnt_by_place_and_position_and_scored_before_it_is_learnt) {
  struct setting s = {"calm", script_of_batches, N_SCRIPT, UNIT};
  static struct world w;
  struct rfl_err err = {0};
  struct rfl_query_status status;
  static struct image image;
  open_world(&w, &s);
  CHECK_OK(run_process(&s, &w, &image, &status, &err), &err);
  struct rfl_live *live = NULL;
  struct rfl_recipe *recipe = NULL;
  CHECK_OK(tiny_recipe(&recipe, &err), &err);
  CHECK_OK(new_live(&s, recipe, &live, &err), &err);
  rfl_recipe_release(recipe);
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
}

/* ---- what a restart cannot make good ---- */

/* A world in which a query was stopped by a death after its third commit, two batches
 * behind the checkpoint. */
static void open_half_done(struct world *w, const struct setting *s) {
  static struct image image;
  struct rfl_query_status status;
  struct rfl_err err = {0};
  open_world(w, s);
  CHECK_OK(run_process(s, w, &image, &status, &err), &err);
  uint64_t commits = 0, at = 0;
  while (commits < 3) commits += w->log[at++] == CALL_COMMIT;
  world_release(w);
  open_world(w, s);
  w->fault[0] = (struct fault){at - 1, DIE_AFTER};
  CHECK_EQ(run_process(s, w, &image, &status, &err), RFL_EIO);
  CHECK_EQ(w->commit.batch, 3);
  CHECK_EQ(w->commit.n_plan, 2);
}

static void check_refused(const struct setting *s, struct world *w, enum rfl_code code,
                          const char *text) {
  static struct image image;
  struct rfl_query_status status;
  struct rfl_err err = {0};
  size_t rows = w->rows[0];
  CHECK_EQ(run_process(s, w, &image, &status, &err), code);
  CHECK(strstr(err.message, text) != NULL);
  CHECK_EQ(w->rows[0], rows);
  world_release(w);
}

TEST(a_restart_that_would_lose_or_repeat_is_refused_with_the_reason) {
  struct setting s = {"refused", script_of_batches, N_SCRIPT, UNIT};
  static const struct event shorter[] = {TWO(1, 10, 14, 0, 0, 5), {.what = RFL_END}};
  static struct world w;
  open_half_done(&w, &s);
  w.commit.at[0]++; /* somebody has set the group's positions */
  check_refused(&s, &w, RFL_EDATA, "was the group reset?");
  open_half_done(&w, &s);
  w.n_saved = 0; /* the folder was emptied */
  for (size_t i = 0; i < w.saved[0].n; i++) {
    rfl_free(w.saved[0].part[i].name);
    rfl_free((void *)w.saved[0].part[i].data.p);
  }
  check_refused(&s, &w, RFL_EDATA, "which is not there");
  open_half_done(&w, &s);
  w.script = shorter; /* what was committed has expired */
  w.n_script = 2;
  check_refused(&s, &w, RFL_ELOSS, "ended before the positions of the last commit");
  struct setting scores = {"scores", script_of_batches, N_SCRIPT, UNIT | SCORES};
  static struct image image;
  struct rfl_query_status status;
  struct rfl_err err = {0};
  open_world(&w, &scores);
  CHECK_OK(run_process(&scores, &w, &image, &status, &err), &err);
  check_refused(&s, &w, RFL_ECONFIG, "choose another name");
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
  struct setting s = {"zombie", script_of_batches, N_SCRIPT, UNIT};
  static struct world calm, w;
  static struct image calm_image, image;
  struct rfl_err err = {0};
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
}

/* ---- memory ---- */

static const struct event with_border[] = {
    TWO(1, 10, 14, 0, 0, 5),
    {.what = RFL_IDLE},
    TWO(1, 14, 17, 0, 5, 12),
    {.what = RFL_IDLE},
    {.what = RFL_BORDER, .takes = {0, 1}, .gains = 2},
    TWO(1, 17, 21, 2, 5, 9),
    {.what = RFL_END}};
static const struct event with_loss[] = {
    TWO(1, 10, 14, 0, 0, 5),
    {.what = RFL_IDLE},
    TWO(1, 14, 17, 0, 5, 12),
    {.what = RFL_IDLE},
    {.what = RFL_BORDER, .gone = true, .takes = {0, 1}, .gains = -1},
    ONE(1, 17, 21),
    {.what = RFL_END}};
enum { N_BORDER = sizeof with_border / sizeof *with_border };

static enum rfl_code live_once(const struct setting *s, struct world *w,
                               const struct fault *fault) {
  static struct image image;
  struct rfl_query_status status;
  struct rfl_err err = {0};
  open_world(w, s);
  w->fault[0] = fault[0];
  w->fault[1] = fault[1];
  enum rfl_code code = run_process(s, w, &image, &status, &err);
  if (w->wrong[0] && code != RFL_ENOMEM) code = RFL_EFATAL;
  world_release(w);
  return code;
}

/* The number of the n-th call of its kind in the last run. */
static uint64_t find_call(const struct world *w, enum call kind, int n) {
  uint64_t at = 0;
  for (; at < w->calls; at++)
    if (w->log[at] == (uint8_t)kind && --n == 0) return at;
  return UINT64_MAX;
}

/* Whole runs, with a border, checkpoints and commits; and one in which the commit of the
 * second batch is aborted twice, after which the source tells that its places are gone:
 * the model goes back to the checkpoint and learns again. */
TEST(a_loop_that_gets_no_memory_says_so_and_leaves_nothing) {
  static struct world w;
  struct fault faults[2] = {{0}};
  struct setting border = {"", with_border, N_BORDER, UNIT | STEP},
                 bound = {"", with_border, N_BORDER, UNIT | BOUND},
                 plain = {"", with_border, N_BORDER, 0},
                 loss = {"", with_loss, N_BORDER, UNIT};
  SWEEP(live_once(&border, &w, faults));
  SWEEP(live_once(&bound, &w, faults));
  SWEEP(live_once(&plain, &w, faults));
  SWEEP(live_once(&loss, &w, faults));
  uint64_t begin = find_call(&w, CALL_BEGIN, 2);
  CHECK(find_call(&w, CALL_LOAD, 1) > find_call(&w, CALL_COMMIT, 2));
  faults[0] = (struct fault){begin, ABORT};
  faults[1] = (struct fault){begin + 2, ABORT}; /* begin + 1 is the abort */
  SWEEP(live_once(&loss, &w, faults));
  CHECK_EQ(w.commits, 3);
  CHECK(find_call(&w, CALL_LOAD, 1) < find_call(&w, CALL_COMMIT, 2));
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(a_batch_is_learnt_by_place_and_position_and_scored_before_it_is_learnt);
  RUN(a_place_that_went_for_good_is_not_committed_any_more);
  RUN(a_restart_that_would_lose_or_repeat_is_refused_with_the_reason);
  RUN(a_process_that_wakes_up_after_another_took_over_shows_nothing_more);
  RUN(a_loop_that_gets_no_memory_says_so_and_leaves_nothing);
  return harness_end();
}
