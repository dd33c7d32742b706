/* Helpers of the learn tests: layouts from a few words, a driver that fits by passes of
 * cells, and designs expanded the slow way. */
#ifndef RFL_TEST_LEARN_HELP_H
#define RFL_TEST_LEARN_HELP_H
#include "learn/glm.h"
#include "num/gather.h"

struct oracle_coding { /* as struct rfl_coding, but constant */
  int32_t levels, columns;
  const int32_t *select;
  const double *matrix;
};
struct oracle_term {
  int32_t coded, dense, assign, n_codings;
};
struct oracle { /* one data set of oracle-glm.inc */
  const char *name;
  enum rfl_family family;
  size_t n, n_dense;
  const double *const *dense;
  size_t n_coded;
  const struct rfl_coded *coded;
  size_t n_terms;
  const struct oracle_term *term;
  const struct oracle_coding *coding; /* of all terms, one after the other */
  const double *y, *weight, *offset;
  int32_t n_x;
  const double *coef, *se;
  double deviance, null_deviance, aic, loglik, dispersion;
  int32_t rank, df_residual;
};

/* Layout and block borrow from the oracle; layout arrays are freed by layout_free(). */
struct rfl_layout layout_of(const struct oracle *);
void layout_free(struct rfl_layout *);
struct rfl_block block_of(const struct oracle *);
/* Rows [from, from + n) of a block as a block, in arrays that live until the next call
 * with the same slot (0 to 3). */
struct rfl_block slice_of(const struct rfl_block *, size_t from, size_t n, int slot);
/* The model matrix, n x n_x, column-major; free(). */
double *matrix_of(const struct rfl_layout *, const struct rfl_block *);

struct how {     /* to drive a fit */
  uint32_t rows; /* of a cell; 0: the learner's grid */
  size_t cut;    /* the block comes in pieces of so many rows; 0: whole */
  size_t parts;  /* parts that take the cells in turn; 0: absorbed directly */
};
/* Passes until settle() has enough. */
enum rfl_code drive(struct rfl_state *, const struct rfl_block *, struct how,
                    struct rfl_err *);
enum rfl_code fit(const struct rfl_glm_options *, const struct rfl_layout *,
                  const struct rfl_block *, struct how, struct rfl_state **,
                  struct rfl_err *);
/* One learning block, batch-online. */
enum rfl_code learn(struct rfl_state *, const struct rfl_block *, double keep,
                    struct rfl_err *);

struct world { /* random rows: numbers, factors, their crossing and a factor by a number
                */
  struct rfl_layout layout;
  struct rfl_block block;
  double *number[16], *y, *weight, *offset, *truth;
  int32_t *code[8];
  const double *dense[16];
  struct rfl_coded coded[8];
};
struct world_plan {
  uint64_t seed;
  enum rfl_family family;
  size_t n, numbers;
  int32_t factor[4]; /* levels of up to four factors, 0: no more */
  bool cross; /* the first two factors crossed, and the first by the first number */
  bool no_intercept, weights, offset, dense_contrasts;
  double base; /* what eta is about */
};
struct world *world_new(const struct world_plan *);
void world_free(struct world *);

/* Fisher scoring by QR-free dense normal equations in long double: the other way to the
 * optimum. coef and se are n_x long; no aliasing. */
void naive_glm(enum rfl_family, const struct rfl_layout *, const struct rfl_block *,
               double *coef, double *se);

#endif
