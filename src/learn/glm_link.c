/* The inverse links, strip by strip, with two derivatives. Tails are computed from their
 * own side (nu = 1 - mu is never a difference where mu is near 1), so that a rare event
 * keeps all its digits. Where R clamps eta (probit, cauchit, cloglog at the distance of
 * 1e-16), this goes on to 1e-300. */
#include <float.h>
#include <math.h>

#include "learn/glm_kind.h"
#include "num/kernel.h"

static const double pi = 3.14159265358979323846, root_half = 0.70710678118654752440;

static void identity(struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) {
    s->mu[i] = s->eta[i];
    s->nu[i] = 1 - s->eta[i];
    s->d[i] = 1;
    s->d2[i] = 0;
  }
}

static void logarithm(struct glm_strip *s) {
  rfl_kernels()->exp(s->mu, s->eta, s->n);
  for (size_t i = 0; i < s->n; i++) {
    s->d[i] = s->d2[i] = s->mu[i];
    s->nu[i] = s->eta[i] > -1 && s->eta[i] < 1 ? -expm1(s->eta[i]) : 1 - s->mu[i];
  }
}

static void logit(struct glm_strip *s) {
  double e[GLM_STRIP];
  for (size_t i = 0; i < s->n; i++) e[i] = -fabs(s->eta[i]);
  rfl_kernels()->exp(e, e, s->n);
  for (size_t i = 0; i < s->n; i++) {
    double m = 1 / (1 + e[i]);
    s->mu[i] = s->eta[i] > 0 ? m : e[i] * m;
    s->nu[i] = s->eta[i] > 0 ? e[i] * m : m;
    s->d[i] = e[i] * m * m;
    s->d2[i] = s->d[i] * (s->nu[i] - s->mu[i]);
  }
}

static void probit(struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) {
    double x = fmin(37, fmax(-37, s->eta[i]));
    s->mu[i] = 0.5 * erfc(-x * root_half);
    s->nu[i] = 0.5 * erfc(x * root_half);
    s->d[i] = exp(-0.5 * x * x) / sqrt(2 * pi);
    s->d2[i] = -x * s->d[i];
  }
}

static void cauchit(struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) {
    double x = s->eta[i], far = atan(1 / fabs(x)) / pi, near = 0.5 + atan(x) / pi;
    s->mu[i] = x < -1 ? far : near;
    s->nu[i] = x > 1 ? far : 0.5 - atan(x) / pi;
    if (x > 1) s->mu[i] = 1 - far;
    if (x < -1) s->nu[i] = 1 - far;
    s->d[i] = 1 / (pi * (1 + x * x));
    s->d2[i] = -2 * x / (1 + x * x) * s->d[i];
  }
}

static void cloglog(struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) {
    double t = exp(fmin(6.5, fmax(-690, s->eta[i]))); /* e^-e^6.5 is 1e-289 */
    s->mu[i] = -expm1(-t);
    s->nu[i] = exp(-t);
    s->d[i] = t * s->nu[i];
    s->d2[i] = s->d[i] * (1 - t);
  }
}

static void inverse(struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) {
    double m = 1 / s->eta[i];
    s->valid[i] = s->eta[i] != 0;
    s->mu[i] = m;
    s->nu[i] = 1 - m;
    s->d[i] = -m * m;
    s->d2[i] = 2 * m * m * m;
  }
}

static void inverse_square(struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) {
    double m = 1 / sqrt(s->eta[i]);
    s->valid[i] = s->eta[i] > 0;
    s->mu[i] = m;
    s->nu[i] = 1 - m;
    s->d[i] = -0.5 * m / s->eta[i];
    s->d2[i] = 0.75 * m / (s->eta[i] * s->eta[i]);
  }
}

static void square_root(struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) {
    s->valid[i] = s->eta[i] > 0;
    s->mu[i] = s->eta[i] * s->eta[i];
    s->nu[i] = 1 - s->mu[i];
    s->d[i] = 2 * s->eta[i];
    s->d2[i] = 2;
  }
}

static void power(struct glm_strip *s, double lambda) {
  double k = 1 / lambda;
  for (size_t i = 0; i < s->n; i++) {
    double x = s->eta[i];
    s->valid[i] = x > 0;
    s->mu[i] = pow(x, k);
    s->nu[i] = 1 - s->mu[i];
    s->d[i] = k * s->mu[i] / x;
    s->d2[i] = (k - 1) * s->d[i] / x;
  }
}

void glm_invert(const struct glm_kind *k, struct glm_strip *s) {
  for (size_t i = 0; i < s->n; i++) s->valid[i] = s->eta[i] - s->eta[i] == 0;
  switch (k->link) {
    case RFL_LOG:
      logarithm(s);
      break;
    case RFL_LOGIT:
      logit(s);
      break;
    case RFL_PROBIT:
      probit(s);
      break;
    case RFL_CAUCHIT:
      cauchit(s);
      break;
    case RFL_CLOGLOG:
      cloglog(s);
      break;
    case RFL_INVERSE:
      inverse(s);
      break;
    case RFL_INVERSE_SQUARE:
      inverse_square(s);
      break;
    case RFL_SQRT:
      square_root(s);
      break;
    case RFL_POWER:
      power(s, k->lambda);
      break;
    default:
      identity(s);
  }
}

static double normal_quantile(double p) {
  double x = p < 0.5 ? -1 : 1; /* Newton's method on log Phi of the smaller tail */
  double tail = fmin(p, 1 - p);
  double z = sqrt(fmax(0, -2 * log(2 * tail)));
  for (int i = 0; i < 60; i++) {
    double q = 0.5 * erfc(z * root_half), d = exp(-0.5 * z * z) / sqrt(2 * pi);
    double step = q * log(q / tail) / d;
    z += step;
    if (fabs(step) <= 1e-15 * (1 + fabs(z))) break;
  }
  return tail == 0.5 ? 0 : x * z;
}

double glm_link(const struct glm_kind *k, double mu) {
  switch (k->link) {
    case RFL_LOG:
      return log(mu);
    case RFL_LOGIT:
      return log(mu / (1 - mu));
    case RFL_PROBIT:
      return normal_quantile(mu);
    case RFL_CAUCHIT:
      return -1 / tan(pi * mu);
    case RFL_CLOGLOG:
      return log(-log1p(-mu));
    case RFL_INVERSE:
      return 1 / mu;
    case RFL_INVERSE_SQUARE:
      return 1 / (mu * mu);
    case RFL_SQRT:
      return sqrt(mu);
    case RFL_POWER:
      return pow(mu, k->lambda);
    default:
      return mu;
  }
}

void glm_respond(const struct glm_kind *k, double *eta, size_t n) {
  struct glm_strip s;
  if (k->link == RFL_IDENTITY) return;
  for (size_t from = 0; from < n; from += s.n) {
    s.n = n - from < GLM_STRIP ? n - from : GLM_STRIP;
    for (size_t i = 0; i < s.n; i++) s.eta[i] = eta[from + i];
    glm_invert(k, &s);
    for (size_t i = 0; i < s.n; i++) eta[from + i] = s.valid[i] ? s.mu[i] : NAN;
  }
}
