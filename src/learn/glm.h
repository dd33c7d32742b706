/* Generalised linear models by Newton's method on mergeable cross-products; online by the
 * renewable equation (Luo & Song 2020, JRSS B 82).
 *
 *     struct rfl_glm_options o = {.family = RFL_BINOMIAL};
 *     RFL_TRY(rfl_glm.open(&o.base, layout, &state, err));
 *     ... absorb / merge / settle(&again) until !again ...
 *     RFL_TRY(rfl_glm_result(state, &result, err));
 *
 * Online: absorb() on a finished fit makes it the prior by itself; renew(keep) takes the
 * factor of the whole block (lambda^rows), which counts for J and K now and in the
 * equation of the next block. A column that the fit could not estimate (an unseen level,
 * one without events) enters with a weak prior: sd 10 on the link's scale. part() of a
 * finished fit is a fresh fit that starts from its coefficients.
 *
 * Sums are in the layout's indicator space. Traits: SUMMABLE | PASSES | BLOCKED. */
#ifndef RFL_LEARN_GLM_H
#define RFL_LEARN_GLM_H
#include "num/learner.h"

enum rfl_family {
  RFL_GAUSSIAN,
  RFL_BINOMIAL,
  RFL_POISSON,
  RFL_GAMMA,
  RFL_INVERSE_GAUSSIAN,
  RFL_QUASI,
  RFL_QUASIBINOMIAL,
  RFL_QUASIPOISSON,
  RFL_NEGATIVE_BINOMIAL, /* shape: theta; 0: estimated */
  RFL_TWEEDIE,           /* shape: the power of the variance */
  RFL_CUSTOM,            /* the host evaluates it */
  RFL_N_FAMILIES
};
enum rfl_link {                   /* as R's make.link() */
                RFL_LINK_DEFAULT, /* the family's own */
                RFL_IDENTITY,
                RFL_LOG,
                RFL_LOGIT,
                RFL_PROBIT,
                RFL_CAUCHIT,
                RFL_CLOGLOG,
                RFL_INVERSE,
                RFL_INVERSE_SQUARE,
                RFL_SQRT,
                RFL_POWER, /* eta = mu^lambda */
                RFL_N_LINKS
};
enum rfl_variance { /* of quasi; the other families have their own */
                    RFL_V_CONSTANT,
                    RFL_V_SHARE, /* mu (1 - mu) */
                    RFL_V_MU,
                    RFL_V_SQUARE,
                    RFL_V_CUBE,
                    RFL_V_NEGATIVE, /* mu + mu^2 / theta */
                    RFL_V_POWER,
                    RFL_V_CUSTOM,
                    RFL_N_VARIANCES
};

/* A family that the host evaluates, on the caller's thread: such a fit runs on one
 * thread only. n rows; mean, its derivative by eta, variance at the mean and each row's
 * weighted deviance. An eta or mean out of range: a deviance of infinity. RFL_EHOST when
 * the host wants out. */
struct rfl_glm_custom {
  void *data;
  enum rfl_code (*at)(void *data, size_t n, const double *y, const double *weight,
                      const double *eta, double *mu, double *slope, double *variance,
                      double *deviance, struct rfl_err *);
  /* eta of the family's starting means. */
  enum rfl_code (*start)(void *data, size_t n, const double *y, const double *weight,
                         double *eta, struct rfl_err *);
  enum rfl_code (*link)(void *data, double mu, double *eta, struct rfl_err *);
};

struct rfl_glm_options {
  struct rfl_options base;
  enum rfl_family family;
  enum rfl_link link;
  enum rfl_variance variance; /* of quasi */
  double shape, lambda;
  bool freq;        /* weights count rows */
  double l1, l2;    /* elastic net: glm_penalty.c */
  bool standardize; /* of columns scaled to a standard deviation of 1 */
  bool firth;       /* glm_firth.c */
  bool robust;      /* keep what sandwich covariances need; small fits do so anyway */
  bool cluster;     /* block->extra[0] is the bucket of each row's cluster, below 256 */
  const struct rfl_glm_custom *custom; /* outlives the fit; a state does not keep it */
  double tolerance;      /* stop when Newton's decrement is below it; 0: 1e-14 */
  int32_t max_passes;    /* 0: 100 */
  const double *start;   /* n_x coefficients to start from, or NULL; NaN counts as 0 */
  double rank_tolerance; /* lm()'s tol for aliased columns; 0: 1e-7 */
};
extern const struct rfl_learner rfl_glm;

enum rfl_glm_score {
  RFL_GLM_LINK,
  RFL_GLM_RESPONSE,
  RFL_GLM_LINK_SE
}; /* LINK_SE: 2 columns, fit and its standard error */

struct rfl_glm_result { /* arrays are borrowed from the state, valid until it changes */
  int32_t n_x, rank;
  const double *coef; /* n_x; NaN: aliased */
  const double *vcov; /* n_x * n_x; phi * inverse information; NaN rows and columns for
                         aliased ones */
  double dispersion;  /* 1, or Pearson's sum / df where the family leaves it open */
  double theta, theta_se; /* of a negative binomial, else NaN */
  double deviance, null_deviance, pearson,
      saturated_loglik; /* loglik = saturated_loglik - deviance / 2 where that holds */
  double loglik, aic;   /* NaN without a likelihood */
  double n, n_zero, sum_weight,
      events;         /* rows, rows of weight 0, sum of weights, sum of w*y */
  double effective_n; /* after forgetting */
  int32_t passes;
  bool converged, separated;
  bool identified; /* online: enough events (statistics: not yet identified before) */
  bool penalised;  /* by l1 or l2, in this fit */
  bool has_rows_outer, has_clusters; /* HC0 and CLUSTER can be given */
  double clusters;                   /* buckets in use */
  bool double_double; /* the cross-products were accumulated in twice the precision */
  uint64_t version;   /* learning blocks taken since the batch fit */
};
/* Fills a cache in the state: one thread at a time for a state (score() needs no such
 * care). SE is infinite (vcov's diagonal) where the optimum is at infinity. */
enum rfl_code rfl_glm_result(const struct rfl_state *, struct rfl_glm_result *gives,
                             struct rfl_err *) RFL_CHECKED;
/* Two fits of one kind to rows that they do not share as one, ready for more rows:
 * glm_combine.c. RFL_EMODEL when their columns or families differ. */
enum rfl_code rfl_glm_combine(const struct rfl_state *, const struct rfl_state *,
                              struct rfl_state **gives, struct rfl_err *) RFL_CHECKED;
enum rfl_glm_vcov { RFL_VCOV_MODEL, RFL_VCOV_HC0, RFL_VCOV_CLUSTER };
/* to: n_x * n_x. HC0 and CLUSTER: glm_outer.c; RFL_EMODEL where the fit has not kept what
 * they need. RFL_EMODEL for any with l1. */
enum rfl_code rfl_glm_vcov(const struct rfl_state *, enum rfl_glm_vcov, double *to,
                           struct rfl_err *) RFL_CHECKED;
/* Rows and events of every column of Z; NaN for numbers. */
enum rfl_code rfl_glm_level_counts(const struct rfl_state *, double *rows, double *events,
                                   struct rfl_err *) RFL_CHECKED;

#endif
