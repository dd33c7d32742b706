/* Layout: what a recipe says of the columns of its blocks, in the words a learner needs.
 * Plain data, copied with the state.
 *
 * A design has two column spaces. Z: the indicator space, in which blocks come and sums
 * are kept: one column for a numeric term, one for every level (or cell of crossed
 * levels) of a coded one. X: R's model.matrix() columns. They are tied by the contrasts,
 * term by term: X_t = Z_t T_t with T_t the Kronecker product of the codings of its
 * factors (the first varies fastest). So X'WX = T' (Z'WZ) T and eta = Z (T beta): factors
 * are never expanded.
 *
 * A hashed term is a coded one without codings: its slots are its columns of X. With
 * `slots` all hashed terms share one table: they begin at the same z and x, and n_z, n_x
 * count its slots once, as the last columns. A term over an open set of values (levels 0)
 * has no columns at all: its learner keeps a dictionary. Only learners that say so take
 * layouts with `slots`, open sets or `missing`. */
#ifndef RFL_NUM_LAYOUT_H
#define RFL_NUM_LAYOUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct rfl_coding { /* one factor's contrasts within one term */
  int32_t levels, columns;
  int32_t *select; /* column of each level, -1 for none (treatment, full dummies); NULL:
                      `matrix` */
  double *matrix;  /* levels x columns, column-major */
  char **names; /* `columns` names for a recipe's own column names, or NULL: the level's
                   text (select), 1, 2, ... (matrix). Read by rfl_recipe_new() only: not
                   copied, not written */
};
struct rfl_term {
  int32_t coded;    /* index of block->coded (already crossed when there are several
                       factors); -1: none */
  int32_t dense;    /* index of block->dense (already multiplied when there are several
                       numbers); -1: ones */
  int32_t assign;   /* number of R's term, 0 the intercept */
  size_t n_codings; /* 0 for a coded term: hashed */
  struct rfl_coding *coding; /* of its factors, in the order of R's column names */
  int32_t z, n_z;            /* its columns of Z: [z, z + n_z) */
  int32_t x, n_x;            /* its columns of X */
};
struct rfl_layout {
  size_t n_dense, n_coded, n_extra;
  int32_t *levels; /* of each coded column; 0: an open set */
  int32_t slots;   /* of the table that all hashed terms share; 0: each has its own */
  bool missing;    /* rows with missing values are in the blocks */
  size_t n_terms;
  struct rfl_term *term; /* in R's order */
  int32_t n_z, n_x;
  bool intercept;
};

/* RFL_EDATA unless every index and size above fits every other. Layouts that a recipe or
 * rfl_layout_read() gave do. */
enum rfl_code rfl_layout_check(const struct rfl_layout *, struct rfl_err *) RFL_CHECKED;
/* RFL_EARGUMENT when it has what only some learners take: shared slots, open sets,
 * missing values. */
enum rfl_code rfl_layout_plain(const struct rfl_layout *, struct rfl_err *) RFL_CHECKED;
/* Whether the term's columns are the table that hashed terms share. */
bool rfl_term_shared(const struct rfl_layout *, const struct rfl_term *);
void rfl_layout_release(struct rfl_layout *); /* what it holds, not the struct */
enum rfl_code rfl_layout_copy(const struct rfl_layout *, struct rfl_layout *gives,
                              struct rfl_err *) RFL_CHECKED;
void rfl_layout_write(const struct rfl_layout *, struct rfl_buf *);
enum rfl_code rfl_layout_read(struct rfl_reader *, struct rfl_layout *gives,
                              struct rfl_err *) RFL_CHECKED; /* hostile bytes */

#endif
