#include "learn/glm_kind.h"

#include <float.h>
#include <math.h>

static const double two_pi = 6.283185307179586477;

/* ---- the kinds there are ---- */

static const struct {
  enum rfl_link link;
  enum rfl_variance variance;
} own[RFL_N_FAMILIES] = {[RFL_GAUSSIAN] = {RFL_IDENTITY, RFL_V_CONSTANT},
                         [RFL_BINOMIAL] = {RFL_LOGIT, RFL_V_SHARE},
                         [RFL_POISSON] = {RFL_LOG, RFL_V_MU},
                         [RFL_GAMMA] = {RFL_INVERSE, RFL_V_SQUARE},
                         [RFL_INVERSE_GAUSSIAN] = {RFL_INVERSE_SQUARE, RFL_V_CUBE},
                         [RFL_QUASI] = {RFL_IDENTITY, RFL_V_CONSTANT},
                         [RFL_QUASIBINOMIAL] = {RFL_LOGIT, RFL_V_SHARE},
                         [RFL_QUASIPOISSON] = {RFL_LOG, RFL_V_MU},
                         [RFL_NEGATIVE_BINOMIAL] = {RFL_LOG, RFL_V_NEGATIVE},
                         [RFL_TWEEDIE] = {RFL_LOG, RFL_V_POWER},
                         [RFL_CUSTOM] = {RFL_IDENTITY, RFL_V_CUSTOM}};

/* Powers for which there is a plain variance are that one. */
static void simplify(struct glm_kind *k) {
  if (k->link == RFL_POWER) {
    const double power[] = {0, 1, -1, -2, 0.5};
    const enum rfl_link link[] = {RFL_LOG, RFL_IDENTITY, RFL_INVERSE, RFL_INVERSE_SQUARE,
                                  RFL_SQRT};
    for (size_t i = 0; i < sizeof power / sizeof *power; i++)
      if (k->lambda == power[i]) k->link = link[i];
  }
  if (k->variance == RFL_V_POWER) {
    const enum rfl_variance variance[] = {RFL_V_CONSTANT, RFL_V_MU, RFL_V_SQUARE,
                                          RFL_V_CUBE};
    for (int i = 0; i < 4; i++)
      if (k->shape == i) k->variance = variance[i];
  }
}

static bool needs_shape(const struct glm_kind *k) {
  return k->variance == RFL_V_NEGATIVE || k->variance == RFL_V_POWER;
}

bool glm_kind_sound(const struct glm_kind *k) {
  if ((unsigned)k->family >= RFL_N_FAMILIES) return false;
  if ((unsigned)k->link < RFL_IDENTITY || (unsigned)k->link >= RFL_N_LINKS) return false;
  if ((unsigned)k->variance >= RFL_N_VARIANCES) return false;
  if (k->link == RFL_POWER && !(fabs(k->lambda) >= 1e-3 && fabs(k->lambda) <= 1e3))
    return false;
  if (k->variance == RFL_V_NEGATIVE && !(k->shape > 0)) return false;
  if (k->variance == RFL_V_POWER && !(fabs(k->shape) <= 100)) return false;
  if (k->estimate && k->family != RFL_NEGATIVE_BINOMIAL) return false;
  if ((k->variance == RFL_V_CUSTOM) != (k->family == RFL_CUSTOM)) return false;
  bool free = k->family == RFL_QUASI || k->family == RFL_TWEEDIE;
  return free || k->variance == own[k->family].variance;
}

enum rfl_code glm_kind_new(const struct rfl_glm_options *o, struct glm_kind *gives,
                           struct rfl_err *err) {
  if ((unsigned)o->family >= RFL_N_FAMILIES)
    return rfl_fail(err, RFL_EARGUMENT, "There is no family number %d.", (int)o->family);
  struct glm_kind k = {.family = o->family,
                       .link = o->link ? o->link : own[o->family].link,
                       .variance = own[o->family].variance,
                       .lambda = o->lambda,
                       .freq = o->freq,
                       .custom = o->custom};
  if (k.family == RFL_QUASI) k.variance = o->variance;
  if (needs_shape(&k)) k.shape = o->shape;
  if (k.family == RFL_NEGATIVE_BINOMIAL && !(o->shape > 0)) {
    k.estimate = true;
    k.shape = INFINITY;
  }
  simplify(&k);
  if (!glm_kind_sound(&k) || (k.family == RFL_CUSTOM && !k.custom))
    return rfl_fail(err, RFL_EARGUMENT,
                    "There is no such family: its link, variance or shape is not known.");
  *gives = k;
  return RFL_OK;
}

bool glm_kind_same(const struct glm_kind *a, const struct glm_kind *b) {
  bool shape = !needs_shape(a) || a->shape == b->shape;
  bool lambda = a->link != RFL_POWER || a->lambda == b->lambda;
  return a->family == b->family && a->link == b->link && a->variance == b->variance &&
         shape && lambda && a->freq == b->freq;
}

bool glm_is_linear(const struct glm_kind *k) {
  return k->variance == RFL_V_CONSTANT && k->link == RFL_IDENTITY;
}

bool glm_is_canonical(const struct glm_kind *k) {
  static const enum rfl_link link[RFL_N_VARIANCES] = {[RFL_V_CONSTANT] = RFL_IDENTITY,
                                                      [RFL_V_SHARE] = RFL_LOGIT,
                                                      [RFL_V_MU] = RFL_LOG,
                                                      [RFL_V_SQUARE] = RFL_INVERSE,
                                                      [RFL_V_CUBE] = RFL_INVERSE_SQUARE};
  if (k->variance == RFL_V_NEGATIVE && isinf(k->shape)) return k->link == RFL_LOG;
  return link[k->variance] == k->link;
}

bool glm_fixed_dispersion(const struct glm_kind *k) {
  return k->family == RFL_BINOMIAL || k->family == RFL_POISSON ||
         k->family == RFL_NEGATIVE_BINOMIAL;
}

bool glm_has_likelihood(const struct glm_kind *k) {
  return k->family <= RFL_INVERSE_GAUSSIAN || k->family == RFL_NEGATIVE_BINOMIAL;
}

bool glm_is_share(const struct glm_kind *k) {
  return k->family == RFL_BINOMIAL || k->family == RFL_QUASIBINOMIAL;
}

bool glm_may_separate(const struct glm_kind *k) {
  if (k->variance == RFL_V_SHARE)
    return k->link == RFL_LOGIT || k->link == RFL_PROBIT || k->link == RFL_CLOGLOG;
  bool counts = k->variance == RFL_V_MU || k->variance == RFL_V_NEGATIVE ||
                (k->variance == RFL_V_POWER && k->shape > 1 && k->shape < 2);
  return counts && k->link == RFL_LOG;
}

/* ---- the response ---- */

const char *glm_range(const struct glm_kind *k) {
  if (k->variance == RFL_V_SHARE) return "between 0 and 1";
  if (k->variance == RFL_V_CONSTANT || k->variance == RFL_V_CUSTOM) return "finite";
  return glm_in_range(k, 0) ? "0 or more" : "above 0";
}

bool glm_in_range(const struct glm_kind *k, double y) {
  if (!(y - y == 0)) return false;
  switch (k->variance) {
    case RFL_V_SHARE:
      return y >= 0 && y <= 1;
    case RFL_V_MU:
    case RFL_V_NEGATIVE:
      return y >= 0;
    case RFL_V_SQUARE:
      return k->family == RFL_QUASI ? y >= 0 : y > 0;
    case RFL_V_CUBE:
      return y > 0;
    case RFL_V_POWER:
      return k->shape < 2 ? y >= 0 : y > 0;
    default:
      return true;
  }
}

/* A gaussian start that the link does not know (log of a negative number) becomes a small
 * one that it does, where glm() gives up. */
static double gaussian_start(const struct glm_kind *k, double y) {
  if (k->link == RFL_IDENTITY) return y;
  if (k->link == RFL_INVERSE) return y == 0 ? 0.1 : y;
  return y > 0.1 ? y : 0.1;
}

double glm_start(const struct glm_kind *k, double y, double w) {
  switch (k->variance) {
    case RFL_V_SHARE:
      if (k->family == RFL_QUASI) return fmax(0.001, fmin(0.999, y));
      return (w * y + 0.5) / (w + 1);
    case RFL_V_MU:
      return k->family == RFL_QUASI || k->family == RFL_TWEEDIE ? y + 0.1 * (y == 0)
                                                                : y + 0.1;
    case RFL_V_NEGATIVE:
      return y + (y == 0) / 6.0;
    case RFL_V_CONSTANT:
      return gaussian_start(k, y);
    default:
      return y + 0.1 * (y == 0);
  }
}

/* ---- the likelihood ---- */

/* log(n!) - (n log n - n + log(2 pi n) / 2) for n >= 20: Stirling's series; its next term
 * is below 2e-15. */
static double stirling(double n) {
  double s = 1 / (n * n);
  return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - s / 1680) * s) * s) / n;
}

static double log_factorial(double n) {
  if (n >= 20) return n * log(n) - n + 0.5 * log(two_pi * n) + stirling(n);
  double f = 1;
  for (int k = 2; k <= n; k++) f *= k;
  return log(f);
}

double glm_log_gamma(double x) {
  double down = 0;
  for (; x < 20; x++) down += log(x);
  return (x - 0.5) * log(x) - x + 0.5 * log(two_pi) + stirling(x) - down;
}

static double x_log_x(double x) { return x > 0 ? x * log(x) : 0; }

/* w log dpois(y, y). R gives no probability to a y that is not whole. */
static double saturated_poisson(double y, double w) {
  double k = nearbyint(y);
  if (fabs(y - k) > 1e-7 * fmax(1, fabs(y))) return -INFINITY;
  if (k >= 20) return -w * (0.5 * log(two_pi * k) + stirling(k));
  return w * (x_log_x(k) - k - log_factorial(k));
}

static double saturated_binomial(double y, double w) {
  double m = nearbyint(w), k = nearbyint(w * y);
  double entropy = w * (x_log_x(y) + x_log_x(1 - y));
  if (m < 2) return entropy;
  return log_factorial(m) - log_factorial(k) - log_factorial(m - k) + entropy;
}

double glm_saturated(const struct glm_kind *k, double y, double w) {
  double theta = k->shape;
  switch (k->family) {
    case RFL_POISSON:
      return saturated_poisson(y, w);
    case RFL_BINOMIAL:
      return k->freq ? w * saturated_binomial(y, 1) : saturated_binomial(y, w);
    case RFL_GAMMA:
    case RFL_INVERSE_GAUSSIAN:
      return w > 0 ? w * log(y) : 0;
    case RFL_NEGATIVE_BINOMIAL:
      if (isinf(theta)) return saturated_poisson(y, w);
      return w * (glm_log_rising(theta, y) - glm_log_gamma(y + 1) + x_log_x(y) -
                  theta * log1p(y / theta) - y * log(theta + y));
    default:
      return 0;
  }
}

/* Whole but for the rounding of y = successes / trials. */
bool glm_uneven(double y, double weight) {
  return nearbyint(weight) != weight ||
         fabs(nearbyint(weight * y) - weight * y) > 1e-12 * (1 + weight);
}

double glm_rounded(const struct glm_kind *kind, double y, double w, double eta) {
  double m = nearbyint(w), k = nearbyint(w * y);
  struct glm_strip s = {.n = 1, .eta = {eta}};
  glm_invert(kind, &s);
  double mu = fmax(s.mu[0], DBL_MIN), nu = fmax(s.nu[0], DBL_MIN);
  double log_mu = mu < 0.5 ? log(mu) : log1p(-nu);
  double log_nu = nu < 0.5 ? log(nu) : log1p(-mu);
  return (k - w * y) * log_mu + ((m - k) - w * (1 - y)) * log_nu;
}

/* ---- a chunk ---- */

/* The fast kernel that does it, or RFL_N_FAST. */
static enum rfl_fast fast(const struct glm_kind *k) {
  if (!glm_is_canonical(k)) return RFL_N_FAST;
  switch (k->variance) {
    case RFL_V_CONSTANT:
      return RFL_FAST_LINEAR;
    case RFL_V_SHARE:
      return RFL_FAST_LOGISTIC;
    case RFL_V_MU:
    case RFL_V_NEGATIVE:
      return RFL_FAST_COUNT;
    default:
      return RFL_N_FAST;
  }
}

enum rfl_code glm_rows_at(const struct glm_kind *k, bool sharp, const struct glm_rows *c,
                          double *sum, struct rfl_err *err) {
  if (k->family == RFL_CUSTOM) return glm_custom_at(k, c, sum, err);
  enum rfl_fast f = fast(k);
  if (f == RFL_N_FAST)
    glm_generic_at(k, sharp, c, sum);
  else
    glm_kernels()->at[f](c, sum);
  return RFL_OK;
}

enum rfl_code glm_rows_start(const struct glm_kind *k, const struct glm_rows *c,
                             struct rfl_err *err) {
  if (k->family == RFL_CUSTOM) return glm_custom_start(k, c, err);
  bool plain = k->family == RFL_BINOMIAL || k->family == RFL_QUASIBINOMIAL ||
               k->family == RFL_POISSON || k->family == RFL_QUASIPOISSON;
  enum rfl_fast f = plain ? fast(k) : RFL_N_FAST;
  if (f == RFL_N_FAST)
    glm_generic_start(k, c);
  else
    glm_kernels()->start[f](c);
  return RFL_OK;
}
