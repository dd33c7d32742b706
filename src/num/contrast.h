/* The map between the two column spaces of a layout: X = Z T, kept as the sparse rows of
 * T (one row a column of Z: what one level contributes to which columns of X). A row has
 * at most one entry where all codings of its term select (treatment contrasts, dummies),
 * as many as its term has columns where one is a full matrix.
 *
 *     RFL_TRY(rfl_contrast_new(layout, &map, err));
 *     rfl_contrast_spread(&map, beta, gamma);     // gamma = T beta: eta = Z gamma
 *     rfl_contrast_release(&map);                 // back to all zeros */
#ifndef RFL_NUM_CONTRAST_H
#define RFL_NUM_CONTRAST_H
#include "num/layout.h"

struct rfl_contrast {
  int32_t n_z, n_x;
  size_t *at;     /* n_z + 1: row z is entries [at[z], at[z + 1]) */
  int32_t *x;     /* column of X */
  double *factor; /* never 0 */
};

enum rfl_code rfl_contrast_new(const struct rfl_layout *, struct rfl_contrast *gives,
                               struct rfl_err *) RFL_CHECKED;
void rfl_contrast_release(struct rfl_contrast *);
void rfl_contrast_spread(const struct rfl_contrast *, const double *beta, double *gamma);
/* to[x] += T' from, in doubles. */
void rfl_contrast_collect(const struct rfl_contrast *, const double *from, double *to);

#endif
