/* The state of an AFT model, and how a pass's sums are laid out.
 *
 * theta is (beta, tau): n_x coefficients in X and the logarithms of the scales that are
 * estimated, q of them together. A state is fitting, settled or renewed as a GLM is
 * (learn/glm_state.h). A fit begins with two passes that are not Newton's: least squares
 * on the times as they are (AFT_SQUARES), then the mean absolute residuals for the scales
 * (AFT_SPREAD).
 *
 * The sums of a pass, one run of doubles that is merged by adding:
 *     scalars | four of each stratum | num/gram.h's | cross | clusters
 * cross: Z'v for each stratum, v what (eta, tau) share; clusters: the score of (gamma,
 * tau) for each bucket of clusters. */
#ifndef RFL_LEARN_AFT_STATE_H
#define RFL_LEARN_AFT_STATE_H
#include <stdatomic.h>

#include "learn/aft_row.h"
#include "num/chol.h"
#include "num/contrast.h"
#include "num/gram.h"

enum aft_scalar {
  AFT_ROWS,
  AFT_ZERO,   /* rows of weight 0 */
  AFT_WEIGHT, /* sum of w */
  AFT_LOGLIK,
  AFT_STATUS, /* rows of weight above 0, by status: four */
  AFT_N_SCALARS = 16
};
enum aft_of_stratum { AFT_SCORE, AFT_INFO, AFT_RESIDUAL, AFT_MASS, AFT_N_OF_STRATUM };
/* What stands for the information of a pass (aft_absorb.c). */
enum aft_way { AFT_OBSERVED, AFT_CONCAVE, AFT_OUTER, AFT_N_WAYS };
enum aft_phase { AFT_SQUARES, AFT_SPREAD, AFT_NEWTON, AFT_N_PHASES };

struct aft_design { /* immutable, shared by a state and its parts */
  atomic_int refs;
  struct rfl_layout layout;
  struct rfl_contrast contrast;
  struct rfl_gram gram;
  struct rfl_aft_options options;
  struct aft_dist dist;
  size_t strata; /* 1 or more, also when the scale is fixed */
  size_t scales; /* estimated: strata, or 0 */
  size_t gram_at, cross_at, cluster_at, n_sums;
  size_t n_scratch; /* doubles */
};

struct aft_totals {
  double rows, zero, weight, loglik, status[4];
  double effective, effective2; /* sums of the rows' present weights, and of squares */
};

struct rfl_state {
  struct aft_design *design;

  /* the pass */
  int32_t phase;
  bool settled, converged;
  int32_t way;   /* what this pass takes for information */
  double *theta; /* q */
  double *gamma; /* n_z: T beta */
  double *sums;
  double *scratch;

  /* the fit */
  int32_t passes, halvings;
  bool alias_known, separated;
  double objective, decrement; /* -2 log-likelihood at `before`; +Inf: none */
  uint8_t *aliased;            /* q */
  double *before;              /* q: the accepted iterate before theta */
  double *direction;           /* q: not 0 where the optimum is at infinity */
  double *column_size;         /* q: root of the information of a row, at the start */
  double *info;                /* q * q, upper */
  double *bucket;              /* scores by cluster of the rows being fitted, or NULL */
  struct rfl_chol chol;
  struct aft_totals now;

  /* what was learnt before */
  bool has_prior, anchored, forgets;
  double keep;
  uint64_t version;
  struct aft_totals past;
  double *prior_theta, *prior_info, *prior_outer; /* J and K; K NULL while K = J */
  double *past_bucket;

  /* filled by rfl_aft_result() */
  double *coef, *vcov, *robust;
};

static inline size_t aft_p(const struct rfl_state *s) {
  return (size_t)s->design->layout.n_x;
}
static inline size_t aft_z(const struct rfl_state *s) {
  return (size_t)s->design->layout.n_z;
}
static inline size_t aft_q(const struct rfl_state *s) {
  return aft_p(s) + s->design->scales;
}
static inline size_t aft_n_bucket(const struct rfl_state *s) {
  return (size_t)s->design->options.n_clusters * (aft_z(s) + s->design->scales);
}
static inline double *aft_of_stratum(const struct rfl_state *s, size_t k) {
  return s->sums + AFT_N_SCALARS + k * AFT_N_OF_STRATUM;
}
/* Entry (i, j) of a symmetric matrix whose upper triangle is kept. */
static inline double aft_at(const double *a, size_t q, size_t i, size_t j) {
  return i <= j ? a[i + j * q] : a[j + i * q];
}

#endif
