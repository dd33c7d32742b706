/* Two tiny learners and a recipe for them, so that drivers are tested without statistics.
 *
 * rfl_tiny   SUMMABLE | PASSES | BLOCKED. Its state remembers the id of every row that it
 *            has learnt, in order, beside a sum that rounds (so that another order of
 *            additions shows) and an iterate that depends on the passes.
 * rfl_fold   ORDERED: a fold that no other order of rows gives.
 *
 * The recipe: y ~ x + id, all numbers. */
#ifndef RFL_TEST_TINY_H
#define RFL_TEST_TINY_H
#include "design/recipe.h"
#include "num/learner.h"

struct tiny_options {
  struct rfl_options base;
  int32_t passes; /* of a batch fit */
};
extern const struct rfl_learner rfl_tiny, rfl_fold;

struct tiny_view { /* what a state holds; borrowed */
  size_t n;
  const int32_t *id;
  double sum, iterate;
  uint64_t renewed;
};
void tiny_look(const struct rfl_state *, struct tiny_view *gives);

/* y ~ x + id. */
enum rfl_code tiny_recipe(struct rfl_recipe **gives, struct rfl_err *err);

#endif
