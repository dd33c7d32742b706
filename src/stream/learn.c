#include <assert.h>

#include "num/gather.h"
#include "stream/fit.h"

/* By squaring, so that the same exponent gives the same bits on every platform. */
static double power(double x, uint64_t n) {
  double y = 1;
  for (; n; n >>= 1, x *= x)
    if (n & 1) y *= x;
  return y;
}

enum rfl_code rfl_learn_block(const struct rfl_learner *learner, struct rfl_state *state,
                              const struct rfl_block *block, double keep,
                              struct rfl_err *err) {
  for (bool again = true; again;) {
    RFL_TRY(learner->absorb(state, block, err));
    again = false;
    RFL_TRY(learner->settle(state, &again, err));
  }
  return learner->renew ? learner->renew(state, power(keep, block->n), err) : RFL_OK;
}

enum rfl_code rfl_learn_rows(const struct rfl_learner *learner, struct rfl_state *state,
                             const struct rfl_block *block, struct rfl_gather *pending,
                             double keep, bool flush, uint64_t *versions,
                             struct rfl_err *err) {
  if (!learner->merge) { /* ordered: a row is a block */
    assert(!pending);
    if (!block->n) return RFL_OK;
    RFL_TRY(learner->absorb(state, block, err));
    *versions += block->n;
    return RFL_OK;
  }
  for (size_t from = 0, taken; from < block->n; from += taken) {
    RFL_TRY(rfl_gather_add(pending, block, from, &taken, err));
    const struct rfl_block *cell = rfl_gather_block(pending, false);
    if (!cell) continue;
    RFL_TRY(rfl_learn_block(learner, state, cell, keep, err));
    ++*versions;
  }
  const struct rfl_block *rest = flush ? rfl_gather_block(pending, true) : NULL;
  if (!rest || !rest->n) return RFL_OK;
  RFL_TRY(rfl_learn_block(learner, state, rest, keep, err));
  ++*versions;
  return RFL_OK;
}
