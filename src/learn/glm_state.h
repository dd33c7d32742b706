/* The state of a GLM, and how a pass's sums are laid out.
 *
 * A state is in one of three situations:
 *   - fitting: sums are taken at the iterate `beta` (gamma = T beta), pass by pass;
 *   - settled: settle() said that no more passes are wanted; `info` is the information of
 *     the rows just fitted, `chol` factors all there is (d J + info);
 *   - renewed: the fit has become the prior (has_prior: prior_beta, prior_info = J, and K
 *     when anything is ever forgotten), and the next block of rows may come.
 * A part is a state whose sums are empty; it has no solver's memory until it settles. */
#ifndef RFL_LEARN_GLM_STATE_H
#define RFL_LEARN_GLM_STATE_H
#include "learn/glm_kind.h"
#include "learn/glm_sums.h"

struct glm_totals { /* what is known of rows already fitted */
  double rows, zero, weight, events;
  double saturated, rounded, log_weight, deviance, pearson, null_deviance;
  double effective, effective2; /* sums of the rows' present weights, and of squares */
};

struct glm_null { /* the intercept-only model, iterated beside the passes */
  bool ready;     /* beta may be evaluated */
  bool done;
  double beta, deviance, info;
  double prior_beta, prior_info;
  double step, best; /* the last step, and the deviance before it */
};

struct rfl_state {
  struct glm_design *design;
  struct glm_kind kind;
  double tolerance, rank_tolerance;
  double l1, l2;
  bool standardize, firth, robust, cluster;
  int32_t max_passes;

  /* the pass */
  bool settled, converged;
  bool first; /* the sums are taken at glm()'s starting values rather than at beta */
  bool round; /* some counts are not whole: take GLM_ROUNDED */
  bool count; /* this state's absorb() takes the counting sums */
  bool exact; /* sums in twice the precision */
  bool sharp; /* weights are the observed information */
  int32_t stage;
  double *beta, *gamma;
  struct rfl_sums sums; /* design->n_sums */
  double *scratch;
  struct glm_lever *lever; /* shared with parts */
  bool levered;            /* it is that of the iterate */
  double *buckets;         /* GLM_BUCKETS * (n_z + 1): scores, and rows, of clusters */

  /* the fit */
  int32_t passes; /* of this fit, or of this block */
  int32_t halvings;
  bool alias_known, counted, separated, was_exact;
  bool bent;      /* levels without events are held by a pseudo count: glm_separation.c */
  bool blunt;     /* the observed information was not positive: it is not used again */
  int32_t linear; /* passes in a row whose decrement shrank by 1/e only */
  uint8_t *aliased;    /* n_x */
  double *direction;   /* n_x: where the optimum is at infinity, or 0: SE is infinite;
                          while bent: what the pseudo counts add to the score */
  double *before;      /* the accepted iterate before beta */
  double *start;       /* the iterate that a fresh fit on more rows should start from */
  double objective;    /* at `before`; +Inf: none */
  double decrement;    /* at `before` */
  double before_shape; /* theta at `before` */
  double theta_se;     /* NaN: not estimated */
  double *column_size; /* root mean square of each column, once known */
  double *counts;      /* 2 n_z: rows and events of the rows being fitted */
  double *scale;       /* n_x: of the penalty; NULL without one */
  double *by_row, *by_cluster; /* n_x * n_x, upper: sums of outer products, or NULL */
  double clusters;
  struct glm_null null;
  struct glm_totals now; /* of the rows being fitted, complete once settled */
  double *info;          /* n_x * n_x, upper; NULL before the first settle() */
  struct rfl_chol chol;

  /* what was learnt before */
  bool has_prior, anchored, forgets;
  double keep; /* d of the next block */
  uint64_t version;
  struct glm_totals past;
  double *prior_beta, *prior_info, *prior_outer; /* J and K; K NULL while K = J */
  double *past_counts;

  /* filled by rfl_glm_result() */
  double *coef, *vcov;
};

static inline size_t glm_p(const struct rfl_state *s) {
  return (size_t)s->design->layout.n_x;
}
static inline size_t glm_z(const struct rfl_state *s) {
  return (size_t)s->design->layout.n_z;
}
static inline struct rfl_sums glm_gram_sums(const struct rfl_state *s) {
  return (struct rfl_sums){s->sums.hi + GLM_N_SCALARS,
                           s->sums.lo ? s->sums.lo + GLM_N_SCALARS : NULL};
}
static inline double glm_scalar(const struct rfl_state *s, enum glm_scalar k) {
  return s->sums.hi[k] + (s->sums.lo ? s->sums.lo[k] : 0);
}

#endif
