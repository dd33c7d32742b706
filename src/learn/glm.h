/* Generalised linear models by Newton's method on mergeable cross-products; batch, and
 * online by the renewable equation (Luo & Song 2020, "Renewable estimation and
 * incremental inference in generalized linear models with streaming data sets", JRSS B
 * 82).
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
 * Sums are kept in the indicator space of the layout (num/layout.h). Traits: SUMMABLE |
 * PASSES | BLOCKED. */
#ifndef RFL_LEARN_GLM_H
#define RFL_LEARN_GLM_H
#include "num/learner.h"

enum rfl_family {
  RFL_GAUSSIAN,
  RFL_BINOMIAL,
  RFL_POISSON,
  RFL_N_FAMILIES
}; /* at their canonical links */

struct rfl_glm_options {
  struct rfl_options base;
  enum rfl_family family;
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
  double dispersion;  /* 1, or Pearson / df for gaussian */
  double deviance, null_deviance, pearson,
      saturated_loglik; /* loglik = saturated_loglik - deviance / 2 where that holds */
  double loglik, aic;
  double n, n_zero, sum_weight,
      events;         /* rows, rows of weight 0, sum of weights, sum of w*y */
  double effective_n; /* after forgetting */
  int32_t passes;
  bool converged, separated;
  bool identified;    /* online: enough events (statistics: not yet identified before) */
  bool double_double; /* the cross-products were accumulated in twice the precision */
  uint64_t version;   /* learning blocks taken since the batch fit */
};
/* Fills a cache in the state: one thread at a time for a state (score() needs no such
 * care). SE is infinite (vcov's diagonal) where the optimum is at infinity. */
enum rfl_code rfl_glm_result(const struct rfl_state *, struct rfl_glm_result *gives,
                             struct rfl_err *) RFL_CHECKED;
/* Rows and events of every column of Z (levels and cells of coded terms; NaN for
 * numbers): tells which level has no event. */
enum rfl_code rfl_glm_level_counts(const struct rfl_state *, double *rows, double *events,
                                   struct rfl_err *) RFL_CHECKED;

#endif
