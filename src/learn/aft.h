/* Accelerated failure time models, and location-scale models of censored numbers in
 * general: eta = X beta is the location of log(time) (or of time itself), sigma the scale
 * of one stratum or of each. Maximum likelihood by Newton's method in (beta, log sigma):
 * batch, and online by the renewable equation (learn/glm.h).
 *
 *     struct rfl_aft_options o = {.dist = RFL_AFT_EXTREME, .log_time = true,
 *                                 .event = 1, .time = 0,
 *                                 .time2 = -1, .status = 1, .stratum = -1,
 *                                 .cluster = -1};
 *     RFL_TRY(rfl_aft.open(&o.base, layout, &state, err));
 *     ... absorb / merge / settle(&again) until !again ...
 *     RFL_TRY(rfl_aft_result(state, &result, err));
 *
 * A row's times, status, stratum and cluster are extra columns of its block; blocks have
 * no y. Extras that are not wanted for scoring are NULL there. Sums are kept in the
 * indicator space of the layout (num/layout.h). Traits: SUMMABLE | PASSES | BLOCKED. */
#ifndef RFL_LEARN_AFT_H
#define RFL_LEARN_AFT_H
#include "num/learner.h"

enum rfl_aft_dist { RFL_AFT_EXTREME, RFL_AFT_LOGISTIC, RFL_AFT_GAUSSIAN, RFL_AFT_T };
/* How Surv() is to be read. INTERVAL: status is one of enum rfl_aft_status, and time2 is
 * read where it is 3. INTERVAL2: no status; a missing time is left-censored at time2, a
 * missing time2 right-censored at time, two equal ones exact; rows without either count
 * for nothing. */
enum rfl_aft_type {
  RFL_AFT_TYPE_RIGHT,
  RFL_AFT_TYPE_LEFT,
  RFL_AFT_TYPE_INTERVAL,
  RFL_AFT_TYPE_INTERVAL2
};
enum rfl_aft_status { RFL_AFT_RIGHT, RFL_AFT_EXACT, RFL_AFT_LEFT, RFL_AFT_INTERVAL };

struct rfl_aft_options {
  struct rfl_options base;
  enum rfl_aft_dist dist;
  enum rfl_aft_type type;
  bool log_time; /* the distribution is that of log(time); times must then be above 0 */
  double df;     /* of t, above 2 */
  double scale;  /* fixed; 0: estimated */
  double event;  /* RIGHT, LEFT: the status that means an event */
  bool strict;   /* any other status must be event - 1 */
  int32_t time, time2, status, stratum, cluster; /* extra columns; -1: none. Without a
                                                    status all rows are exact */
  int32_t n_strata, n_clusters;                  /* 0 without such a column */
  double tolerance;                              /* of Newton's decrement; 0: 1e-14 */
  int32_t max_passes;                            /* 0: 100 */
};
extern const struct rfl_learner rfl_aft;

enum rfl_aft_score {
  RFL_AFT_LP,
  RFL_AFT_RESPONSE,    /* exp(lp) where times are taken by their logarithm */
  RFL_AFT_LP_SE,       /* 2 columns: lp and its standard error */
  RFL_AFT_PARTS,       /* 5: lp, sigma, var(lp), cov(lp, log sigma), var(log sigma) */
  RFL_AFT_DERIVATIVES, /* 8: lp, sigma, then of the row's log-likelihood g: g, dg/deta,
                          d2g/deta2, dg/dtau, d2g/dtau2, d2g/(deta dtau). Needs times and
                          status; on the scale of y, without log(time) */
  RFL_AFT_N_SCORES
};

struct rfl_aft_result { /* arrays are borrowed from the state, valid until it changes */
  int32_t n_x, n_scale, rank; /* n_scale: scales estimated, 0 when fixed */
  const double *coef;         /* n_x; NaN: aliased */
  const double *log_scale;    /* of each stratum; one when fixed */
  int32_t n_log_scale;
  const double *vcov;   /* (n_x + n_scale) squared; NaN rows and columns for aliased */
  const double *robust; /* the same by clusters, or NULL */
  double loglik;        /* on the scale of time */
  double n, n_zero, sum_weight;
  double n_status[4]; /* rows of each status, without those of weight 0 */
  double effective_n;
  int32_t passes;
  bool converged, separated;
  bool outer;      /* the information is the outer product of the scores: the observed one
                      is not positive definite */
  bool identified; /* online: enough rows that are not right-censored */
  uint64_t version;
};
/* Fills a cache in the state: one thread at a time for a state. */
enum rfl_code rfl_aft_result(const struct rfl_state *, struct rfl_aft_result *gives,
                             struct rfl_err *) RFL_CHECKED;

#endif
