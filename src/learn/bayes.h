/* Naive Bayes: P(class | row) is proportional to P(class) times the product of
 * P(feature | class). One pass of sums; exact to merge, to continue and to widen.
 *
 *     struct rfl_bayes_options o = {.n_classes = 2, .laplace = 1};
 *     RFL_TRY(rfl_bayes.open(&o.base, layout, &state, err));
 *     ... absorb / merge / settle ...
 *     RFL_TRY(rfl_bayes.score(state, &block, RFL_BAYES_PROB, out, err));
 *
 * A feature is a term of the layout: a number, or a category with all its levels. A value
 * that is missing (NaN; code -1) leaves its feature out of the row, in learning and in
 * scoring; code -2 is a level that nobody declared. The response of a block is a class
 * code (num/block.h).
 *
 * With laplace = a: a level has (n + a) / (N + a L), where L counts the declared levels
 * and, from the first renew() on (a live model), one bucket for all unknown ones. A
 * gaussian feature has its mean and its sd with n - 1, not below 1e-9 of the feature's
 * largest variance; with fewer than two values in a class the feature's overall variance
 * (and mean) stands in. A poisson rate is (S + a m) / (N + a), m the overall mean.
 * Multinomial features form one group: (S + a) / (sum of S + a p).
 *
 * Without smoothing a probability may be 0. It is then the limit of a -> 0: the classes
 * with the fewest impossible values share the posterior.
 *
 * Traits: SUMMABLE | BLOCKED. With `keep` < 1 a row's weight is keep to the power of the
 * rows after it, and merge() takes the later rows. */
#ifndef RFL_LEARN_BAYES_H
#define RFL_LEARN_BAYES_H
#include "num/learner.h"

enum rfl_likelihood {
  RFL_LIKE_CATEGORICAL,
  RFL_LIKE_GAUSSIAN,
  RFL_LIKE_BERNOULLI, /* a number 0 or 1, or a category with two levels */
  RFL_LIKE_POISSON,
  RFL_LIKE_MULTINOMIAL,
  RFL_N_LIKELIHOODS
};
struct rfl_bayes_options {
  struct rfl_options base;
  int32_t n_classes;
  const int32_t *likelihood; /* of each term of the layout (that of an intercept is not
                                read); NULL: categorical and gaussian */
  double laplace;
  const double *prior; /* n_classes, in any unit; NULL: the shares of the classes */
  double keep;         /* per row; 0 counts as 1: nothing is forgotten */
};
extern const struct rfl_learner rfl_bayes;

enum rfl_bayes_score {
  RFL_BAYES_PROB,    /* n_classes columns */
  RFL_BAYES_CLASS,   /* code of the most likely class; the first of equal ones */
  RFL_BAYES_RESPONSE /* probability of any class but the first */
};

struct rfl_bayes_result { /* arrays are borrowed from the state */
  int32_t n_classes;
  size_t n_features;
  const double *rows, *weight; /* of each class: rows ever; weight now */
  double n, n_zero;            /* rows, rows of weight 0 */
  double laplace, keep;
  bool own_prior, streaming;
  uint64_t version; /* learning blocks since the batch fit */
};
void rfl_bayes_result(const struct rfl_state *, struct rfl_bayes_result *gives);
/* P(class), n_classes numbers; all NaN before the first row. */
void rfl_bayes_prior(const struct rfl_state *, double *out);
struct rfl_bayes_feature { /* one of n_features, in the order of the terms */
  enum rfl_likelihood likelihood;
  int32_t term;   /* of the layout */
  int32_t width;  /* columns of its table */
  double missing; /* weight of the rows that lack it */
};
void rfl_bayes_feature(const struct rfl_state *, size_t k,
                       struct rfl_bayes_feature *gives);
/* n_classes x width, column-major: a probability a level (the unknown ones last, once
 * streaming); mean and sd; P(0) and P(1); a rate; a share. NaN where nothing is known. */
void rfl_bayes_table(const struct rfl_state *, size_t k, double *out);

/* merge() and settle() as one learning step: the state after the rows of `from`, fitted
 * apart, have come too. */
enum rfl_code rfl_bayes_join(struct rfl_state *, const struct rfl_state *from,
                             struct rfl_err *) RFL_CHECKED;
/* widen() with new classes: old class c is class to_class[c] of n_classes. NULL: the same
 * classes. */
struct rfl_bayes_wider {
  const struct rfl_layout *layout;
  const int32_t *to; /* as for widen() */
  int32_t n_classes;
  const int32_t *to_class;
  const double *prior; /* n_classes; NULL: the shares of the classes */
};
enum rfl_code rfl_bayes_widen(const struct rfl_state *, const struct rfl_bayes_wider *,
                              struct rfl_state **gives, struct rfl_err *) RFL_CHECKED;

#endif
