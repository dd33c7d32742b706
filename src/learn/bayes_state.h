/* The state of naive Bayes, and how its sums are laid out.
 *
 *     sum: rows, rows of weight 0, rows of each class   | as they are, whatever is
 * forgotten weight of each class                         | from `faded` on: forgotten
 *          feature by feature, n_classes wide:
 *            coded     unknown, missing, level 0, level 1, ...
 *            gaussian  weight, mean, sum of squares about the mean (in units of 2^scale)
 *            other     weight, sum of w x
 *
 *     book: log P(class), then feature by feature, class by class:
 *            coded     unknown, missing, level 0, ...   logs
 *            gaussian  mean, 1 / sd, log(1 / sd)        (in units of 2^scale)
 *            other     intercept, slope                 of the log density in x
 *
 * All logs of the book but the gaussians' mean and 1 / sd are taken relative to class
 * `base`, the first that can be: its own are 0. `zero` has the shape of `book` and counts
 * impossible values, absolutely; NULL while there are none. */
#ifndef RFL_LEARN_BAYES_STATE_H
#define RFL_LEARN_BAYES_STATE_H
#include <stdatomic.h>

#include "learn/bayes.h"

enum { BAYES_ROWS, BAYES_ZERO, BAYES_CLASSES }; /* where things of `sum` begin */
enum { BAYES_UNKNOWN, BAYES_MISSING, BAYES_LEVELS };
enum { BAYES_CHUNK = 2048 };                          /* rows absorbed at a time */
enum { BAYES_LOWEST_SCALE = -768, BAYES_STEP = 256 }; /* scales are multiples of STEP */

struct bayes_feature {
  enum rfl_likelihood kind;
  int32_t term, column; /* column: of block->coded, or of block->dense */
  int32_t levels;       /* 0: dense */
  size_t sum, book;     /* where its part begins */
  size_t tally;         /* of its cells */
};
struct bayes_design { /* immutable, shared by a state and its parts */
  atomic_int refs;
  struct rfl_layout layout;
  size_t n_classes, n_features, n_sums, n_book, n_tally;
  size_t faded; /* where the sums begin that are forgotten */
  struct bayes_feature *feature;
};

struct bayes_work { /* of absorb(), for a chunk of rows */
  int32_t *class_of;
  uint32_t *order; /* rows of positive weight, class by class; and one place more */
  uint32_t *begin; /* n_classes + 1: where they begin */
  uint32_t *cut;   /* the same for what is in x */
  double *weight, *x, *w;
  uint32_t *tally; /* counts of the coded features, all 0 between two calls */
};

struct rfl_state {
  struct bayes_design *design;
  double laplace, keep;
  double *prior; /* n_classes, or NULL */
  bool streaming;
  uint64_t version;
  uint64_t absorbed, settled; /* rows since the last settle(); rows that it settled */
  double *sum;
  int32_t *scale; /* of each feature */
  struct bayes_work work;
  size_t base; /* class */
  double *book, *zero;
};

enum rfl_code bayes_absorb(struct rfl_state *, const struct rfl_block *,
                           struct rfl_err *);
enum rfl_code bayes_settle(struct rfl_state *, bool *again, struct rfl_err *);
enum rfl_code bayes_score(const struct rfl_state *, const struct rfl_block *, int what,
                          double *out, struct rfl_err *);
void bayes_write(const struct rfl_state *, struct rfl_buf *);
enum rfl_code bayes_read(struct rfl_bytes, struct rfl_state **, struct rfl_err *);

/* bayes.c */
struct bayes_shape { /* what fixes a design */
  const struct rfl_layout *layout;
  int32_t n_classes;
  const int32_t *likelihood; /* of each term, or NULL */
};
enum rfl_code bayes_design_new(const struct bayes_shape *, struct bayes_design **gives,
                               struct rfl_err *) RFL_CHECKED;
void bayes_design_release(struct bayes_design *);
enum rfl_code bayes_state_new(struct bayes_design *, struct rfl_state **gives,
                              struct rfl_err *) RFL_CHECKED; /* keeps the design */
void bayes_release(struct rfl_state *);
enum rfl_code bayes_set_prior(struct rfl_state *, const double *prior,
                              struct rfl_err *) RFL_CHECKED; /* NULL: none */
void bayes_take_settings(struct rfl_state *, const struct rfl_state *from);
enum rfl_code bayes_widen(const struct rfl_state *, const struct rfl_layout *,
                          const int32_t *to, struct rfl_state **gives, struct rfl_err *);
double bayes_power(double x, uint64_t n);
/* keep^n on all that is forgotten. */
void bayes_fade(struct rfl_state *, double by);

struct bayes_moments { /* Chan, Golub & LeVeque (1979), eq. 2.1 */
  double n, mean, m2;
};
void bayes_moments_merge(struct bayes_moments *, struct bayes_moments);
/* Of feature k in class c, and put back; in units of 2^scale. */
struct bayes_moments bayes_moments_of(const struct rfl_state *, size_t k, size_t c);
void bayes_moments_put(struct rfl_state *, size_t k, size_t c, struct bayes_moments);
/* The same in units of 2^to >= 2^from. */
struct bayes_moments bayes_moments_scale(struct bayes_moments, int32_t from, int32_t to);
void bayes_raise_scale(struct rfl_state *, size_t k, int32_t to);

/* bayes_estimate.c */
/* Of every class, in units of 2^scale; variance 0: the feature tells nothing. */
void bayes_normals(const struct rfl_state *, size_t k, double *mean, double *var);
struct bayes_chance { /* `zero`: the probability is 0, and p its slope in laplace */
  double p;
  bool zero;
};
struct bayes_all { /* of a class's levels, or of its multinomial features */
  double total, cells;
};
struct bayes_all bayes_levels_all(const struct rfl_state *, size_t k, size_t c);
struct bayes_chance bayes_level_chance(const struct rfl_state *, double n,
                                       struct bayes_all);
struct bayes_chance bayes_one_chance(const struct rfl_state *, size_t k, size_t c,
                                     bool one);
/* p NaN: no row has the feature, or it is 0 everywhere. */
struct bayes_chance bayes_rate(const struct rfl_state *, size_t k, size_t c);
struct bayes_all bayes_shares_all(const struct rfl_state *, size_t c);
struct bayes_chance bayes_share(const struct rfl_state *, size_t k, size_t c,
                                struct bayes_all);
bool bayes_counts_unknown(const struct rfl_state *, size_t k);

static inline double *bayes_class_weight(const struct rfl_state *s) {
  return s->sum + s->design->faded;
}

#endif
