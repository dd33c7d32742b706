/* Any variance with any link: weights, residuals and deviance of a chunk, strip by strip.
 *
 *     score of a row about eta      r = w0 (y - mu) mu' / V(mu)
 *     expected information          w = w0 mu'^2 / V(mu)
 *     observed information          w - w0 (y - mu) d/d eta (mu' / V(mu))
 *
 * The first fits by Fisher's scoring as glm() does and gives the standard errors; the
 * last gives Newton's steps near the optimum, which converge quadratically where the link
 * is not canonical. A row of weight 0 adds nothing, whatever its mean. */
#include <float.h>
#include <math.h>

#include "learn/glm_kind.h"

struct terms {  /* of one row */
  double v, dv; /* variance and its derivative by mu */
  double dev;   /* unit deviance */
};

static double x_log(double x, double ratio) { return x > 0 ? x * log(ratio) : 0; }

static double log_share(double mu, double nu) { return mu < 0.5 ? log(mu) : log1p(-nu); }

static struct terms share(double y, double mu, double nu) {
  double one = y > 0 ? y * (log(y) - log_share(mu, nu)) : 0;
  double two = y < 1 ? (1 - y) * (log1p(-y) - log_share(nu, mu)) : 0;
  return (struct terms){mu * nu, nu - mu, 2 * (one + two)};
}

static struct terms count(double y, double mu) {
  return (struct terms){mu, 1, 2 * (x_log(y, y / mu) - (y - mu))};
}

static struct terms square(double y, double mu) {
  double size = y > 0 ? y : 1; /* quasi() counts so where y is 0 */
  return (struct terms){mu * mu, 2 * mu, 2 * ((y - mu) / mu - log(size / mu))};
}

static struct terms cube(double y, double mu) {
  return (struct terms){mu * mu * mu, 3 * mu * mu, (y - mu) * (y - mu) / (y * mu * mu)};
}

static struct terms negative(double y, double mu, double theta) {
  if (isinf(theta)) return count(y, mu);
  double dev = x_log(y, y / mu) - (y + theta) * log1p((y - mu) / (mu + theta));
  return (struct terms){mu + mu * mu / theta, 1 + 2 * mu / theta, 2 * dev};
}

static struct terms tweedie(double y, double mu, double p) {
  double v = pow(mu, p), one = 1 - p, two = 2 - p;
  double a = y == 0 ? 0 : y * (pow(y, one) - pow(mu, one)) / one;
  double b = ((y == 0 ? 0 : pow(y, two)) - pow(mu, two)) / two;
  return (struct terms){v, p * v / mu, 2 * (a - b)};
}

static struct terms terms_of(const struct glm_kind *k, double y, double mu, double nu) {
  switch (k->variance) {
    case RFL_V_SHARE:
      return share(y, mu, nu);
    case RFL_V_MU:
      return count(y, mu);
    case RFL_V_SQUARE:
      return square(y, mu);
    case RFL_V_CUBE:
      return cube(y, mu);
    case RFL_V_NEGATIVE:
      return negative(y, mu, k->shape);
    case RFL_V_POWER:
      return tweedie(y, mu, k->shape);
    default:
      return (struct terms){1, 0, (y - mu) * (y - mu)};
  }
}

static bool in_range(const struct glm_kind *k, const struct glm_strip *s, size_t i) {
  if (!s->valid[i] || !(s->mu[i] - s->mu[i] == 0)) return false;
  if (k->variance == RFL_V_CONSTANT) return true;
  return s->mu[i] > 0 && (k->variance != RFL_V_SHARE || s->nu[i] > 0);
}

static void row(const struct glm_kind *k, bool sharp, const struct glm_strip *s,
                const struct glm_rows *c, size_t i, size_t at, double *sum) {
  double weight = c->weight[at], mu = s->mu[i], miss = c->y[at] - mu;
  if (k->variance == RFL_V_SHARE && c->y[at] > 0.5) miss = s->nu[i] - (1 - c->y[at]);
  struct terms t = terms_of(k, c->y[at], mu, s->nu[i]);
  double slope = s->d[i] / t.v;
  c->r[at] = weight * (miss * slope);
  double w = s->d[i] * slope;
  if (sharp) w -= miss * (s->d2[i] / t.v - slope * slope * t.dv);
  c->w[at] = weight * w;
  sum[0] += weight * t.dev;
  sum[1] += weight * (miss * (miss / t.v));
}

void glm_generic_at(const struct glm_kind *k, bool sharp, const struct glm_rows *c,
                    double *sum) {
  struct glm_strip s;
  for (size_t from = 0; from < c->n; from += s.n) {
    s.n = c->n - from < GLM_STRIP ? c->n - from : GLM_STRIP;
    for (size_t i = 0; i < s.n; i++) s.eta[i] = c->eta[from + i];
    glm_invert(k, &s);
    for (size_t i = 0; i < s.n; i++) {
      c->w[from + i] = c->r[from + i] = 0;
      if (!(c->weight[from + i] > 0)) continue;
      if (in_range(k, &s, i))
        row(k, sharp, &s, c, i, from + i, sum);
      else
        sum[0] = INFINITY;
    }
  }
}

/* z - offset = g(mu) - offset + (y - mu) / mu'. */
void glm_generic_start(const struct glm_kind *k, const struct glm_rows *c) {
  struct glm_strip s;
  for (size_t from = 0; from < c->n; from += s.n) {
    s.n = c->n - from < GLM_STRIP ? c->n - from : GLM_STRIP;
    for (size_t i = 0; i < s.n; i++) {
      bool counts = c->weight[from + i] > 0;
      s.eta[i] =
          counts ? glm_link(k, glm_start(k, c->y[from + i], c->weight[from + i])) : 1;
    }
    glm_invert(k, &s);
    for (size_t i = 0; i < s.n; i++) {
      size_t at = from + i;
      double sum[2] = {0};
      c->w[at] = c->r[at] = 0;
      if (!(c->weight[at] > 0)) continue;
      if (in_range(k, &s, i)) row(k, false, &s, c, i, at, sum);
      c->r[at] += c->w[at] * (s.eta[i] - c->eta[at]);
    }
  }
}
