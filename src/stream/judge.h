/* Scores against the outcomes of the same rows, before they are learnt: test-then-train
 * metrics of a query that scores and learns.
 *
 *     RFL_TRY(rfl_judge_new(recipe_of_the_learner, &j, err));
 *     RFL_TRY(rfl_judge_rows(j, &rows, score, err));   // one score a row of the slice
 *     rfl_judge_result(j, &result);
 *
 * Rows without a score or without an outcome are passed over. One thread at a time. */
#ifndef RFL_STREAM_JUDGE_H
#define RFL_STREAM_JUDGE_H
#include "design/recipe.h"
#include "learn/metrics.h"

struct rfl_judge;
enum rfl_code rfl_judge_new(struct rfl_recipe *, struct rfl_judge **gives,
                            struct rfl_err *) RFL_CHECKED; /* keeps the recipe */
void rfl_judge_release(struct rfl_judge *);
enum rfl_code rfl_judge_rows(struct rfl_judge *, const struct rfl_rows *,
                             const double *score, struct rfl_err *) RFL_CHECKED;
void rfl_judge_result(const struct rfl_judge *, struct rfl_metric_result *gives);

#endif
