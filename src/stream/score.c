#include <string.h>

#include "stream/fit.h"

/* R's NA_real_: a quiet reader sees a NaN, R sees NA. */
static double na_real(void) {
  uint64_t bits = 0x7FF00000000007A2u;
  double na;
  memcpy(&na, &bits, sizeof na);
  return na;
}

/* Moves the scores of a block's rows to the places of their frame rows, from the last to
 * the first, and fills the holes. The place of a score is never before where it was
 * written, so nothing that is still to be moved is overwritten. */
static void spread(const struct rfl_block *block, const struct rfl_rows *rows,
                   uint32_t width, double *out) {
  double na = na_real();
  size_t hole = (size_t)width * rows->n; /* everything from here on is in place */
  for (uint32_t column = width; column-- > 0;) {
    for (size_t i = block->n; i-- > 0;) {
      uint32_t row = block->row ? block->row[i] - rows->row : (uint32_t)i;
      size_t to = (size_t)column * rows->n + row;
      double score = out[(size_t)column * block->n + i];
      while (hole > to + 1) out[--hole] = na;
      out[to] = score;
      hole = to;
    }
  }
  while (hole > 0) out[--hole] = na;
}

enum rfl_code rfl_score_rows(const struct rfl_learner *learner,
                             const struct rfl_state *state,
                             const struct rfl_recipe *recipe, struct rfl_workspace *ws,
                             const struct rfl_rows *rows, int what, double *out,
                             struct rfl_err *err) {
  struct rfl_block block = {0};
  RFL_TRY(rfl_recipe_apply(recipe, rows, ws, &block, err));
  if (block.n) RFL_TRY(learner->score(state, &block, what, out, err));
  if (block.n < rows->n) spread(&block, rows, learner->width(state, what), out);
  return RFL_OK;
}
