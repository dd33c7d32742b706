#include "stream/judge.h"

#include <math.h>

#include "base/mem.h"

struct rfl_judge {
  struct rfl_recipe *recipe;
  struct rfl_workspace *ws;
  struct rfl_metrics *metrics;
};

void rfl_judge_release(struct rfl_judge *j) {
  if (!j) return;
  rfl_workspace_release(j->ws);
  rfl_recipe_release(j->recipe);
  rfl_metrics_release(j->metrics);
  rfl_free(j);
}

enum rfl_code rfl_judge_new(struct rfl_recipe *recipe, struct rfl_judge **gives,
                            struct rfl_err *err) {
  struct rfl_judge *j = rfl_alloc(1, sizeof *j);
  if (!j) return rfl_no_memory(err);
  j->recipe = rfl_recipe_keep(recipe);
  enum rfl_code code =
      rfl_workspace_new(recipe, RFL_FOR_LEARNING, RFL_UNSEEN_REFERENCE, &j->ws, err);
  if (!code) code = rfl_metrics_new(0, &j->metrics, err);
  if (code) {
    rfl_judge_release(j);
    return code;
  }
  *gives = j;
  return RFL_OK;
}

enum rfl_code rfl_judge_rows(struct rfl_judge *j, const struct rfl_rows *rows,
                             const double *score, struct rfl_err *err) {
  struct rfl_block b = {0};
  RFL_TRY(rfl_recipe_apply(j->recipe, rows, j->ws, &b, err));
  for (size_t i = 0; b.y && i < b.n; i++) {
    size_t at = b.row ? b.row[i] - rows->row : i;
    if (isnan(score[at])) continue;
    struct rfl_metric_rows one = {
        .n = 1, .y = b.y + i, .p = score + at, .weight = b.weight ? b.weight + i : NULL};
    rfl_metrics_add(j->metrics, &one);
  }
  return RFL_OK;
}

void rfl_judge_result(const struct rfl_judge *j, struct rfl_metric_result *gives) {
  rfl_metrics_result(j->metrics, gives);
}
