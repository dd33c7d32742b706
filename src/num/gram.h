/* Cross products of a design in the indicator space of its layout: Z'WZ and Z'r summed
 * over rows, as one flat run of doubles that starts at zero, is merged by adding, and
 * never holds an expanded factor.
 *
 *     RFL_TRY(rfl_gram_plan(layout, &g, err));
 *     for each chunk of at most g.rows rows {
 *       rfl_gram_eta(&g, gamma, block, from, n, eta);       // eta = offset + Z gamma
 *       ... weights w and residuals r from eta ...
 *       rfl_gram_add(&g, block, from, &(struct rfl_gram_rows){n, w, r, x, wx}, sums);
 *     }
 *     rfl_gram_matrix(&g, sums, &contrast, a_hi, a_lo);     // X'WX = T'(Z'WZ)T
 *
 * What the sums are, for `plain` columns (ones, then the terms that are one number) and
 * `wide` terms (a coded column, or a coded column times a number v):
 *   - plain x plain: a square with one more column for r, by the fused kernel;
 *   - wide x plain: for every level the sums of v w x and of v r;
 *   - wide x wide: a table of levels by levels, of w v v', by index; only its diagonal
 *     when both share one coded column.
 * Cost of a row: q^2 / 2 + terms * q + terms^2 / 2 additions, q = plain + 1.
 *
 * Sums carry an optional second run: with it, hi + lo has twice the precision
 * (num/dd.h). Rows are added one by one, in order: a block gives the same bits wherever
 * its memory lies. */
#ifndef RFL_NUM_GRAM_H
#define RFL_NUM_GRAM_H
#include "num/block.h"
#include "num/contrast.h"
#include "num/layout.h"

struct rfl_gram_wide {
  int32_t coded, dense; /* of the block; dense -1: none */
  int32_t z, levels;
  size_t at;     /* of its levels x stride sums */
  size_t square; /* of the sums of w v^2 by level; 0: column 0 of its sums is that */
};
struct rfl_gram_pair {
  uint32_t a, b; /* wide terms, a before b */
  bool same;     /* one coded column: a diagonal */
  size_t at;
};
struct rfl_gram {
  size_t plain, stride; /* stride: a multiple of 8, or 2 when `plain` is 1 */
  size_t rows;          /* of a chunk, at most */
  int32_t *dense, *z; /* of the plain columns; dense[0] -1: ones; z[0] -1: no intercept */
  size_t n_wide;
  struct rfl_gram_wide *wide;
  size_t n_pairs;
  struct rfl_gram_pair *pair;
  size_t n_sums;
};
struct rfl_sums {
  double *hi, *lo; /* lo NULL: doubles only */
};
struct rfl_gram_rows { /* a chunk: n rows, their weights and residuals; x, wx: scratch of
                          rows x stride */
  size_t n;
  const double *w, *r;
  const double *r_low; /* what r lacks, for exact sums; NULL: nothing */
  double *x, *wx;
};

enum rfl_code rfl_gram_plan(const struct rfl_layout *, struct rfl_gram *gives,
                            struct rfl_err *) RFL_CHECKED;
void rfl_gram_release(struct rfl_gram *);

/* eta[i] = offset + Z gamma for rows [from, from + n): the same bits for a row in any
 * block. */
void rfl_gram_eta(const struct rfl_gram *, const double *gamma, const struct rfl_block *,
                  size_t from, size_t n, double *eta);
/* The same in twice the precision. */
void rfl_gram_eta_exact(const struct rfl_gram *, const double *gamma,
                        const struct rfl_block *, size_t from, size_t n,
                        struct rfl_sums eta);
void rfl_gram_add(const struct rfl_gram *, const struct rfl_block *, size_t from,
                  const struct rfl_gram_rows *, struct rfl_sums);
/* to[group[i] * stride + z] += Z[i][z] v[i]: Z'v, or one for each group of rows. */
struct rfl_gram_groups {
  size_t n;
  const double *v;
  const int32_t *group; /* of each row; NULL: all in group 0 */
  size_t stride;        /* n_z or more */
};
void rfl_gram_cross(const struct rfl_gram *, const struct rfl_block *, size_t from,
                    const struct rfl_gram_groups *, double *to);
/* to += from, n of them; in twice the precision when both have lo. */
void rfl_sums_merge(struct rfl_sums to, struct rfl_sums from, size_t n);

/* a (n_x x n_x, column-major, upper triangle) = X'WX; r (n_x) = X'r. Given zeroed. */
void rfl_gram_matrix(const struct rfl_gram *, struct rfl_sums,
                     const struct rfl_contrast *, struct rfl_sums a);
void rfl_gram_score(const struct rfl_gram *, struct rfl_sums, const struct rfl_contrast *,
                    struct rfl_sums r);
/* to (n_z, given zeroed) = Z'WZ e. */
void rfl_gram_times(const struct rfl_gram *, struct rfl_sums, const double *e,
                    double *to);

#endif
