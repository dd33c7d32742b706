/* Online regression by FTRL-proximal with a rate for every coordinate (McMahan et al.
 * 2013, "Ad click prediction: a view from the trenches", KDD, algorithm 1): every row is
 * predicted, then learnt, in the order of the rows.
 *
 *     struct rfl_ftrl_options o = {.family = RFL_FTRL_BINOMIAL, .rate = 0.1, ...};
 *     RFL_TRY(rfl_ftrl.open(&o.base, layout, &state, err));
 *     RFL_TRY(rfl_ftrl.absorb(state, &block, err));
 *     RFL_TRY(rfl_ftrl_result(state, &result, err));
 *
 * Coordinates are the columns of the layout: the intercept (its own rate, no penalty);
 * numbers, centred and scaled by what their first rows were; the slots of hashed terms,
 * in one table whose memory is fixed; and the values of open sets, in a dictionary that
 * grows. Terms with contrasts are refused. NaN and a code below 0 are skipped.
 *
 * Traits: ORDERED | PASSES: the result depends on the order of the rows and on nothing
 * else: not on how they are cut, on threads, or on which CPU it is. Random choices are
 * f(seed, block->key), or the number of the row where there are no keys. */
#ifndef RFL_LEARN_FTRL_H
#define RFL_LEARN_FTRL_H
#include "num/learner.h"

enum rfl_ftrl_family {
  RFL_FTRL_GAUSSIAN, /* of the response centred and scaled as a number is */
  RFL_FTRL_BINOMIAL, /* y is 0 or 1 */
  RFL_FTRL_POISSON,
  RFL_FTRL_N_FAMILIES
};

enum {
  RFL_FTRL_MOST_SLOTS = 1 << 26,
  RFL_FTRL_MOST_FEATURES = 512, /* hashed terms and open sets */
  RFL_FTRL_MOST_NUMBERS = 512,
  RFL_FTRL_MOST_ADMIT = 255
};

struct rfl_ftrl_options {
  struct rfl_options base;
  enum rfl_ftrl_family family;
  double rate, offset; /* alpha and beta of the paper; both above 0 */
  double bias_rate;    /* alpha of the intercept */
  double l1, l2;       /* on the sum of the losses; the intercept has none */
  double
      keep_negatives;  /* share of rows with y = 0 that are learnt, with weight 1 / it */
  double admit_share;  /* an open set's value enters at a sight with this probability */
  int32_t admit_count; /* or at this sight; admit_share is 1 then */
  int32_t passes;
  bool wide;        /* (z, n) as doubles, not floats */
  double half_life; /* in rows; infinite: nothing is forgotten */
  double clip;      /* residuals beyond so many of the response's sd count as that; not
                       for binomial */
  int32_t settle_scale; /* so many values of a number fix its centre and its scale */
  uint64_t seed;
};
extern const struct rfl_learner rfl_ftrl;

enum rfl_ftrl_score {
  RFL_FTRL_LINK,
  RFL_FTRL_RESPONSE,
  RFL_FTRL_AUDIT /* two columns for every coded term, in the order of the terms: its
                    weight for the row's value (0: not learnt), and its slot (NaN for an
                    open set or a value that is missing) */
};

struct rfl_ftrl_result { /* arrays are the caller's, see below */
  double rows, kept;     /* rows seen, rows learnt */
  double weight, events; /* sums of w and of w * y over the rows predicted first */
  double loss;      /* mean progressive loss: log loss; half the squared error; half the
                       deviance. NaN before the first row */
  double base_loss; /* the same of the best constant, known afterwards */
  double slots, occupied, non_zero; /* of the table */
  double distinct; /* values behind the occupied slots, by linear counting; infinite:
                      the table is full */
  double shared;   /* share of values that share their slot with another */
  double entries;  /* of the dictionary */
  double size;     /* bytes held */
  int32_t passes;
  size_t n_numbers; /* numeric terms */
  double intercept; /* on the scale of the data; NaN: none */
  bool wide;
};
void rfl_ftrl_result(const struct rfl_state *, struct rfl_ftrl_result *gives);
/* Coefficients of the numeric terms on the scale of the data, in the order of the terms:
 * n_numbers of them. */
void rfl_ftrl_numbers(const struct rfl_state *, double *coef);

#endif
