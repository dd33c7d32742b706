/* A fit is a function of the rows in their order: not of how they are cut into frames,
 * nor of the number of threads. To the bit: states are compared as they are written. */
#include <stdio.h>

#include "../harness.h"
#include "blas_fill.h"
#include "learn/glm.h"
#include "num/gather.h"
#include "rows.h"
#include "stream/fit.h"
#include "tiny.h"

enum { ROWS = 1000 };

static const struct rfl_fit_job alone = {0};

struct learning { /* what is fitted */
  const struct rfl_learner *learner;
  const struct rfl_options *options;
};
static const struct tiny_options three_passes = {.passes = 3};
static const struct rfl_glm_options logit = {.family = RFL_BINOMIAL};
static const struct learning tiny = {&rfl_tiny, &three_passes.base};
static const struct learning fold = {&rfl_fold, &three_passes.base};
static const struct learning glm = {&rfl_glm, &logit.base};

/* The state as it is written, of a fit to rows [0, n) that are cut in frames of `size`.
 */
static enum rfl_code fit_bytes(const struct learning *l, int64_t n, uint32_t size,
                               const struct rfl_fit_job *job, struct rfl_buf *gives,
                               struct rfl_fit_report *report, struct rfl_err *err) {
  struct cut cut = {0};
  struct rfl_recipe *recipe = NULL;
  struct rfl_state *state = NULL;
  RFL_TRY(tiny_recipe(&recipe, err));
  enum rfl_code code = cut_rows(n, size, size + 17, &cut, err);
  struct rfl_fit_input in = {.frame = cut.frame, .n_frames = cut.n_frames};
  if (!code)
    code = rfl_fit(l->learner, l->options, recipe, &in, job, &state, report, err);
  if (!code) {
    l->learner->write(state, gives);
    code = rfl_buf_check(gives, err);
    l->learner->release(state);
  }
  cut_release(&cut);
  rfl_recipe_release(recipe);
  return code;
}

static bool same_bytes(const struct rfl_buf *a, const struct rfl_buf *b) {
  return a->n == b->n && a->n > 0 && memcmp(a->p, b->p, a->n) == 0;
}

static void check_same(const struct learning *l, const struct rfl_buf *whole,
                       uint32_t size, const struct rfl_fit_job *job) {
  struct rfl_err err = {0};
  struct rfl_buf bytes = {0};
  struct rfl_fit_report report = {0};
  CHECK_OK(fit_bytes(l, ROWS, size, job, &bytes, &report, &err), &err);
  CHECK(same_bytes(whole, &bytes));
  CHECK_EQ(report.count.rows, ROWS);
  rfl_buf_release(&bytes);
}

static void check_any_cut_any_threads(const struct learning *l) {
  const uint32_t sizes[] = {1, 7, 16, 100, 0};
  const int threads[] = {1, 2, 3, 8};
  struct rfl_err err = {0};
  struct rfl_buf whole = {0};
  struct rfl_fit_report report = {0};
  CHECK_OK(fit_bytes(l, ROWS, ROWS, &alone, &whole, &report, &err), &err);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    check_same(l, &whole, sizes[i], &alone);
  for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
    struct rfl_pool *pool = NULL;
    CHECK_OK(rfl_pool_new(threads[t], &pool, &err), &err);
    struct rfl_fit_job job = {.pool = pool};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      check_same(l, &whole, sizes[i], &job);
    rfl_pool_release(pool);
  }
  rfl_buf_release(&whole);
}

TEST(a_summable_fit_is_the_same_to_the_bit_for_any_cut_and_any_number_of_threads) {
  check_any_cut_any_threads(&tiny);
}

TEST(an_ordered_fit_is_the_same_to_the_bit_for_any_cut) {
  check_any_cut_any_threads(&fold);
}

TEST(a_glm_fit_is_the_same_to_the_bit_for_any_cut_and_any_number_of_threads) {
  check_any_cut_any_threads(&glm);
}

TEST(rows_are_learnt_in_their_order_and_those_with_missing_values_left_out) {
  struct rfl_err err = {0};
  struct rfl_buf bytes = {0};
  struct rfl_fit_report report = {0};
  struct rfl_pool *pool = NULL;
  CHECK_OK(rfl_pool_new(3, &pool, &err), &err);
  struct rfl_fit_job job = {.pool = pool};
  CHECK_OK(fit_bytes(&tiny, ROWS, 7, &job, &bytes, &report, &err), &err);
  struct rfl_state *state = NULL;
  struct rfl_bytes view = {.p = bytes.p, .n = bytes.n};
  CHECK_OK(rfl_tiny.read(view, &state, &err), &err);
  struct tiny_view seen;
  tiny_look(state, &seen);
  size_t at = 0;
  for (int64_t i = 0; i < ROWS; i++) {
    if (!row_has_x(i) || !row_has_y(i)) continue;
    CHECK(at < seen.n);
    if (at < seen.n) CHECK_EQ(seen.id[at], i);
    at++;
  }
  CHECK_EQ(seen.n, at);
  CHECK_EQ(report.passes, 3);
  CHECK_EQ(report.count.used, at);
  CHECK_EQ(report.count.missing, ROWS - at);
  rfl_tiny.release(state);
  rfl_buf_release(&bytes);
  rfl_pool_release(pool);
}

TEST(a_warm_start_is_the_same_for_any_cut_and_threads_and_counts_rows_once) {
  struct rfl_err err = {0};
  struct rfl_buf whole = {0};
  struct rfl_fit_report report = {0};
  struct rfl_fit_job warm = {.warm = 0.1};
  CHECK_OK(fit_bytes(&tiny, ROWS, ROWS, &warm, &whole, &report, &err), &err);
  CHECK_EQ(report.count.rows, ROWS);
  CHECK_EQ(report.passes, 3);
  check_same(&tiny, &whole, 7, &warm);
  struct rfl_buf cold = {0};
  CHECK_OK(fit_bytes(&tiny, ROWS, ROWS, &alone, &cold, &report, &err), &err);
  CHECK(!same_bytes(&whole, &cold)); /* the iterate it began with shows */
  struct rfl_pool *pool = NULL;
  CHECK_OK(rfl_pool_new(3, &pool, &err), &err);
  warm.pool = pool;
  check_same(&tiny, &whole, 0, &warm);
  rfl_pool_release(pool);
  rfl_buf_release(&whole);
  rfl_buf_release(&cold);
}

static enum rfl_code fit_glm(const struct rfl_fit_job *job, double *coef, int32_t *passes,
                             struct rfl_err *err) {
  struct rfl_buf bytes = {0};
  struct rfl_fit_report report = {0};
  struct rfl_state *state = NULL;
  struct rfl_glm_result r = {0};
  enum rfl_code code = fit_bytes(&glm, 20000, 1000, job, &bytes, &report, err);
  struct rfl_bytes view = {.p = bytes.p, .n = bytes.n};
  if (!code) code = rfl_glm.read(view, &state, err);
  if (!code) code = rfl_glm_result(state, &r, err);
  for (int i = 0; !code && i < 3; i++) coef[i] = r.coef[i];
  *passes = report.passes;
  rfl_glm.release(state);
  rfl_buf_release(&bytes);
  return code;
}

/* Newton stops once its decrement is below 1e-14, so estimates that begin elsewhere agree
 * far within their standard errors (about 0.01 here): 1e-9 leaves room for the last
 * step. */
TEST(a_warm_start_of_a_glm_comes_to_the_same_estimate_in_fewer_passes) {
  struct rfl_err err = {0};
  double cold[3], warm[3];
  int32_t cold_passes, warm_passes;
  struct rfl_fit_job job = {.warm = 0.25};
  CHECK_OK(fit_glm(&alone, cold, &cold_passes, &err), &err);
  CHECK_OK(fit_glm(&job, warm, &warm_passes, &err), &err);
  for (int i = 0; i < 3; i++) CHECK_NEAR(warm[i], cold[i], 1e-9);
  CHECK(warm_passes <= cold_passes);
}

struct ticks {
  int calls, stop_at;
  pthread_t thread;
  bool elsewhere;
};

static bool count_tick(void *data, int pass, double done) {
  struct ticks *t = data;
  if (!pthread_equal(pthread_self(), t->thread)) t->elsewhere = true;
  if (pass < 1 || done < 0 || done > 1) t->elsewhere = true;
  return ++t->calls != t->stop_at;
}

TEST(go_on_is_asked_between_cells_on_the_callers_thread_and_may_stop_the_fit) {
  struct rfl_err err = {0};
  struct rfl_buf bytes = {0};
  struct rfl_pool *pool = NULL;
  CHECK_OK(rfl_pool_new(3, &pool, &err), &err);
  for (int threads = 1; threads <= 3; threads += 2) {
    struct ticks ticks = {.thread = pthread_self()};
    struct rfl_fit_job job = {
        .pool = threads == 1 ? NULL : pool, .go_on = count_tick, .data = &ticks};
    CHECK_OK(fit_bytes(&tiny, ROWS, 100, &job, &bytes, NULL, &err), &err);
    CHECK(ticks.calls > 0);
    CHECK(!ticks.elsewhere);
    ticks.stop_at = ticks.calls = 0;
    ticks.stop_at = 1;
    CHECK_EQ(fit_bytes(&tiny, ROWS, 100, &job, &bytes, NULL, &err), RFL_EHOST);
  }
  rfl_pool_release(pool);
  rfl_buf_release(&bytes);
}

/* ---- a learner that fails at a row ---- */

static struct rfl_learner failing;

static enum rfl_code absorb_or_fail(struct rfl_state *s, const struct rfl_block *b,
                                    struct rfl_err *err) {
  for (size_t i = 0; i < b->n; i++)
    if ((int)b->dense[1][i] % 200 == 199)
      return rfl_fail(err, RFL_EDATA, "row %d is wrong", (int)b->dense[1][i]);
  return rfl_tiny.absorb(s, b, err);
}

TEST(of_several_cells_that_fail_the_first_one_tells_the_error) {
  failing = rfl_tiny;
  failing.absorb = absorb_or_fail;
  struct learning l = {&failing, &three_passes.base};
  struct rfl_pool *pool = NULL;
  struct rfl_err err = {0};
  struct rfl_buf bytes = {0};
  CHECK_OK(rfl_pool_new(4, &pool, &err), &err);
  struct rfl_fit_job job = {.pool = pool};
  for (int i = 0; i < 50; i++) {
    CHECK_EQ(fit_bytes(&l, ROWS, 13, &job, &bytes, NULL, &err), RFL_EDATA);
    CHECK_STR(err.message, "row 199 is wrong");
  }
  rfl_pool_release(pool);
  rfl_buf_release(&bytes);
}

/* Fails when it is asked to settle on a part of the rows only. */
static enum rfl_code settle_all_rows(struct rfl_state *s, bool *again,
                                     struct rfl_err *err) {
  struct tiny_view seen;
  tiny_look(s, &seen);
  if (seen.n < ROWS / 2) return rfl_fail(err, RFL_EDATA, "All of one class.");
  return rfl_tiny.settle(s, again, err);
}

TEST(a_sample_that_cannot_be_fitted_is_no_error_of_the_fit) {
  failing = rfl_tiny;
  failing.settle = settle_all_rows;
  struct learning l = {&failing, &three_passes.base};
  struct rfl_err err = {0};
  struct rfl_buf cold = {0}, warm = {0};
  struct rfl_fit_job job = {.warm = 0.1};
  CHECK_OK(fit_bytes(&l, ROWS, 13, &alone, &cold, NULL, &err), &err);
  CHECK_OK(fit_bytes(&l, ROWS, 13, &job, &warm, NULL, &err), &err);
  CHECK(same_bytes(&cold, &warm));
  CHECK_EQ(fit_bytes(&l, 100, 13, &job, &warm, NULL, &err), RFL_EDATA);
  rfl_buf_release(&cold);
  rfl_buf_release(&warm);
}

/* ---- online, on a value ---- */

static enum rfl_code learn_online(const struct learning *l, uint32_t size,
                                  struct rfl_buf *gives, uint64_t *versions,
                                  struct rfl_err *err) {
  struct cut cut = {0};
  struct rfl_recipe *recipe = NULL;
  struct rfl_workspace *ws = NULL;
  struct rfl_state *state = NULL;
  struct rfl_gather *pending = NULL;
  const struct tiny_options once = {.passes = 1};
  RFL_TRY(tiny_recipe(&recipe, err));
  const struct rfl_layout *layout = rfl_recipe_layout(recipe);
  enum rfl_code code = cut_rows(ROWS, size, 3, &cut, err);
  if (!code)
    code = rfl_workspace_new(recipe, RFL_FOR_LEARNING, RFL_UNSEEN_REFERENCE, &ws, err);
  if (!code) code = l->learner->open(&once.base, layout, &state, err);
  if (!code && l->learner->merge) code = rfl_gather_new(layout, 30, 0, &pending, err);
  for (size_t i = 0; !code && i < cut.n_frames; i++) {
    struct rfl_rows rows = {.frame = cut.frame[i], .n = cut.frame[i]->n_rows};
    struct rfl_block block = {0};
    code = rfl_recipe_apply(recipe, &rows, ws, &block, err);
    if (!code)
      code = rfl_learn_rows(l->learner, state, &block, pending, 0.99,
                            i + 1 == cut.n_frames, versions, err);
  }
  if (!code) l->learner->write(state, gives);
  if (!code) code = rfl_buf_check(gives, err);
  if (state) l->learner->release(state);
  rfl_gather_release(pending);
  rfl_workspace_release(ws);
  cut_release(&cut);
  rfl_recipe_release(recipe);
  return code;
}

TEST(learning_blocks_are_counted_rows_whatever_the_cut) {
  const uint32_t sizes[] = {1, 29, 30, 31, 400};
  const struct learning *both[] = {&tiny, &fold};
  struct rfl_err err = {0};
  for (int k = 0; k < 2; k++) {
    struct rfl_buf whole = {0};
    uint64_t blocks = 0;
    CHECK_OK(learn_online(both[k], ROWS, &whole, &blocks, &err), &err);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      struct rfl_buf bytes = {0};
      uint64_t versions = 0;
      CHECK_OK(learn_online(both[k], sizes[i], &bytes, &versions, &err), &err);
      CHECK(same_bytes(&whole, &bytes));
      CHECK_EQ(versions, blocks);
      rfl_buf_release(&bytes);
    }
    rfl_buf_release(&whole);
  }
}

/* ---- memory ---- */

static enum rfl_code fit_once(double warm, struct rfl_pool *pool) {
  struct rfl_buf bytes = {0};
  struct rfl_fit_report report;
  struct rfl_fit_job job = {.pool = pool, .warm = warm};
  enum rfl_code code = fit_bytes(&tiny, 130, 9, &job, &bytes, &report, NULL);
  rfl_buf_release(&bytes);
  return code;
}

static enum rfl_code learn_once(void) {
  struct rfl_buf bytes = {0};
  uint64_t versions = 0;
  enum rfl_code code = learn_online(&tiny, 300, &bytes, &versions, NULL);
  rfl_buf_release(&bytes);
  return code;
}

TEST(a_fit_that_gets_no_memory_says_so_and_leaves_nothing) {
  SWEEP(fit_once(0, NULL));
  SWEEP(fit_once(0.5, NULL));
  SWEEP(learn_once());
  struct rfl_pool *pool = NULL;
  struct rfl_err err = {0};
  CHECK_OK(rfl_pool_new(3, &pool, &err), &err);
  SWEEP(fit_once(0, pool));
  rfl_pool_release(pool);
}

TEST(no_rows_at_all_are_fitted_as_the_learner_says) {
  struct rfl_err err = {0};
  struct rfl_buf bytes = {0};
  struct rfl_fit_report report = {0};
  CHECK_OK(fit_bytes(&tiny, 0, 1, &alone, &bytes, &report, &err), &err);
  CHECK_EQ(report.count.rows, 0);
  rfl_buf_release(&bytes);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(a_summable_fit_is_the_same_to_the_bit_for_any_cut_and_any_number_of_threads);
  RUN(an_ordered_fit_is_the_same_to_the_bit_for_any_cut);
  RUN(a_glm_fit_is_the_same_to_the_bit_for_any_cut_and_any_number_of_threads);
  RUN(rows_are_learnt_in_their_order_and_those_with_missing_values_left_out);
  RUN(a_warm_start_is_the_same_for_any_cut_and_threads_and_counts_rows_once);
  RUN(a_warm_start_of_a_glm_comes_to_the_same_estimate_in_fewer_passes);
  RUN(go_on_is_asked_between_cells_on_the_callers_thread_and_may_stop_the_fit);
  RUN(of_several_cells_that_fail_the_first_one_tells_the_error);
  RUN(a_sample_that_cannot_be_fitted_is_no_error_of_the_fit);
  RUN(learning_blocks_are_counted_rows_whatever_the_cut);
  RUN(a_fit_that_gets_no_memory_says_so_and_leaves_nothing);
  RUN(no_rows_at_all_are_fitted_as_the_learner_says);
  return harness_end();
}
