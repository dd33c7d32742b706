/* Cholesky of an information matrix, scaled to correlations, with R's rule for aliased
 * columns: in order, first come first kept. A column whose squared length outside of the
 * columns kept before it is not above tolerance^2 of its own is dropped: as lm() does
 * with QR.
 *
 *     RFL_TRY(rfl_chol_new(p, false, &c, err));
 *     ... fill c.a.hi (upper triangle) ...
 *     rfl_chol_factor(&c, 1e-14);           // c.rank, c.kept, c.least
 *     rfl_chol_solve(&c, b);                // in place; 0 for dropped columns
 *     rfl_chol_release(&c);
 *
 * What it can see: a Gram matrix in doubles knows a squared length to about 1e-15, so
 * columns that are collinear to below 3e-8 cannot be told from exact ones; with `exact`
 * (double-double) lm()'s 1e-7 is seen as lm() sees it.
 *
 * Cost: p^3 / 3 multiplications; above 96 columns by LAPACK when nothing is dropped. */
#ifndef RFL_NUM_CHOL_H
#define RFL_NUM_CHOL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "num/gram.h"

struct rfl_chol {
  size_t p;
  struct rfl_sums a; /* p x p, column-major, upper: the matrix, then its scaled factor; lo
                        NULL unless exact */
  double *scale;     /* sqrt of the diagonal; 1 for dropped columns */
  uint8_t *kept;     /* in: columns to try (all after new); out: those kept */
  double *spare;     /* p x p, for LAPACK's try; NULL for small or exact ones */
  int32_t rank;
  double least; /* smallest squared pivot of the kept columns, of the correlation matrix
                 */
};

enum rfl_code rfl_chol_new(size_t p, bool exact, struct rfl_chol *gives,
                           struct rfl_err *) RFL_CHECKED;
void rfl_chol_release(struct rfl_chol *);
void rfl_chol_factor(struct rfl_chol *, double tolerance2);
/* b becomes A^-1 b; lo may be NULL unless the factor is exact. */
void rfl_chol_solve(const struct rfl_chol *, struct rfl_sums b);
/* ||R^-T b||^2 = b' A^-1 b; b is scratch afterwards. */
double rfl_chol_norm2(const struct rfl_chol *, double *b);
/* to (p x p, full) = A^-1, NaN in the rows and columns of dropped ones. */
void rfl_chol_inverse(const struct rfl_chol *, double *to);

#endif
