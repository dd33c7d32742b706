/* Scores against outcomes: only rows that have both count, whatever the cut of frames. */
#include "stream/judge.h"

#include "harness.h"
#include "rows.h"
#include "tiny.h"

enum { N = 500 };
static struct rfl_err err;

static double score_of(int64_t i) { return i % 7 ? 0.25 * (double)(i % 5) : NAN; }

/* Judges rows [0, N) cut into frames of `size` rows. */
static enum rfl_code judge_all(uint32_t size, struct rfl_metric_result *gives) {
  struct rfl_recipe *recipe = NULL;
  struct rfl_judge *j = NULL;
  struct cut cut = {0};
  enum rfl_code code = tiny_recipe(&recipe, &err);
  if (!code) code = rfl_judge_new(recipe, &j, &err);
  if (!code) code = cut_rows(N, size, 1, &cut, &err);
  int64_t at = 0;
  for (size_t f = 0; !code && f < cut.n_frames; f++) {
    double score[N];
    struct rfl_rows rows = {.frame = cut.frame[f], .n = cut.frame[f]->n_rows};
    for (uint32_t i = 0; i < rows.n; i++) score[i] = score_of(at++);
    code = rfl_judge_rows(j, &rows, score, &err);
  }
  if (!code) rfl_judge_result(j, gives);
  cut_release(&cut);
  rfl_judge_release(j);
  rfl_recipe_release(recipe);
  return code;
}

TEST(rows_with_a_score_and_an_outcome_count) {
  struct rfl_metric_result whole, cut;
  CHECK_OK(judge_all(N, &whole), &err);
  int64_t n = 0;
  double predicted = 0;
  for (int64_t i = 0; i < N; i++)
    if (row_has_x(i) && row_has_y(i) && !isnan(score_of(i))) {
      n++;
      predicted += score_of(i);
    }
  CHECK_EQ(whole.n, n);
  CHECK(n > N / 2 && n < N);
  CHECK_NEAR(whole.predicted, predicted / (double)n, 1e-13);
  CHECK_OK(judge_all(33, &cut), &err);
  CHECK_EQ(memcmp(&whole.n, &cut.n, sizeof whole.n), 0);
  CHECK_EQ(memcmp(&whole.rmse, &cut.rmse, sizeof whole.rmse), 0);
}

TEST(no_memory_at_any_point_leaves_nothing) {
  struct rfl_metric_result r;
  SWEEP(judge_all(100, &r));
}

int main(void) {
  RUN(rows_with_a_score_and_an_outcome_count);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
