/* What kind of model a GLM is: its variance, its link and what follows from the family's
 * name (range, start, likelihood). McCullagh & Nelder (1989), chapter 2; the names and
 * the starting values are those of R's family(), of MASS::negative.binomial() and of
 * statmod::tweedie().
 *
 * Evaluation is by chunk: the fast kernels of glm_family.h where they know the pair of
 * variance and link, glm_generic.c for any other. */
#ifndef RFL_LEARN_GLM_KIND_H
#define RFL_LEARN_GLM_KIND_H
#include <stdbool.h>
#include <stddef.h>

#include "learn/glm.h"
#include "learn/glm_family.h"

struct glm_kind {
  enum rfl_family family;
  enum rfl_link link;
  enum rfl_variance variance;
  double shape;  /* theta of a negative binomial (may be infinite), power of a variance */
  double lambda; /* of the power link: eta = mu^lambda */
  bool estimate; /* theta is to be estimated */
  bool freq;     /* weights count rows */
  const struct rfl_glm_custom *custom; /* borrowed; NULL but for RFL_CUSTOM */
};

/* From the options: the family's own link and variance where none is asked for. */
enum rfl_code glm_kind_new(const struct rfl_glm_options *, struct glm_kind *gives,
                           struct rfl_err *) RFL_CHECKED;
bool glm_kind_sound(const struct glm_kind *); /* of numbers that were read */
bool glm_kind_same(const struct glm_kind *, const struct glm_kind *);

bool glm_is_canonical(const struct glm_kind *); /* observed information = expected */
bool glm_is_linear(const struct glm_kind *);    /* one step is the fit: constant, identity
                                                 */
/* The dispersion is 1; else it is estimated by Pearson's sum. */
bool glm_fixed_dispersion(const struct glm_kind *);
/* Where the fitted value may run into 0 (or 1) while eta runs to infinity. */
bool glm_may_separate(const struct glm_kind *);
bool glm_is_share(const struct glm_kind *); /* binomial and quasibinomial */
/* There is a likelihood, so AIC. */
bool glm_has_likelihood(const struct glm_kind *);

/* What y must be, in words. */
const char *glm_range(const struct glm_kind *);
bool glm_in_range(const struct glm_kind *, double y);
/* R's mustart. */
double glm_start(const struct glm_kind *, double y, double weight);
/* eta of a mean; not of a family of the host's. */
double glm_link(const struct glm_kind *, double mu);

/* One row's part of the log-likelihood that does not depend on the fit, as R's
 * family()$aic counts it: see likelihood() of glm_result.c. */
double glm_saturated(const struct glm_kind *, double y, double weight);
/* Binomial: what R's rounding of w y and w to whole numbers adds to the log-likelihood;
 * 0 when they are whole. */
double glm_rounded(const struct glm_kind *, double y, double weight, double eta);
bool glm_uneven(double y, double weight);

/* A chunk at eta: weights and residuals into rows, deviance into sum[0], Pearson's sum
 * into sum[1]. `sharp`: the weights are the observed information, not the expected one.
 * An eta or a mean out of range makes the deviance infinite. */
enum rfl_code glm_rows_at(const struct glm_kind *, bool sharp, const struct glm_rows *,
                          double *sum, struct rfl_err *) RFL_CHECKED;
/* The same at the starting values: r = w (z - offset) with z the working response; eta
 * holds the offset. */
enum rfl_code glm_rows_start(const struct glm_kind *, const struct glm_rows *,
                             struct rfl_err *) RFL_CHECKED;
/* glm_generic.c and glm_custom.c: the same for those that the fast kernels do not know.
 */
void glm_generic_at(const struct glm_kind *, bool sharp, const struct glm_rows *,
                    double *sum);
void glm_generic_start(const struct glm_kind *, const struct glm_rows *);
enum rfl_code glm_custom_at(const struct glm_kind *, const struct glm_rows *, double *sum,
                            struct rfl_err *) RFL_CHECKED;
enum rfl_code glm_custom_start(const struct glm_kind *, const struct glm_rows *,
                               struct rfl_err *) RFL_CHECKED;
/* mu for eta, in place. */
void glm_respond(const struct glm_kind *, double *eta, size_t n);

/* glm_link.c: a strip of rows through the inverse link. */
enum { GLM_STRIP = 64 };
struct glm_strip {
  size_t n;
  double eta[GLM_STRIP];
  double mu[GLM_STRIP], nu[GLM_STRIP]; /* nu = 1 - mu, with its own digits */
  double d[GLM_STRIP], d2[GLM_STRIP];  /* derivatives of mu by eta */
  bool valid[GLM_STRIP];               /* eta is in the link's range */
};
void glm_invert(const struct glm_kind *, struct glm_strip *);

/* glm_theta.c: a chunk's sums about theta of a negative binomial at means mu. */
struct glm_theta_sums {
  double score, info; /* about log theta; at theta = Inf: about 1/theta, see there */
  double deviance;    /* -2 log-likelihood */
};
void glm_theta_add(double theta, const double *y, const double *weight, const double *mu,
                   size_t n, struct glm_theta_sums *);
double glm_log_gamma(double x);            /* x > 0 */
double glm_log_rising(double x, double k); /* log Gamma(x + k) - log Gamma(x) */

#endif
