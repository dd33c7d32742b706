/* Theta of a negative binomial, by Newton's method on log theta beside the coefficients
 * (their information is block diagonal, so that the two hardly disturb each other).
 * Venables & Ripley (2002), Modern Applied Statistics with S, 7.4; MASS::glm.nb().
 *
 * With a = 1 / theta the counts are Poisson at a = 0, where the score about a is
 * sum w ((y - mu)^2 - y) / 2: not above 0 means that the counts vary no more than Poisson
 * ones, and theta is infinite. So the fit begins there, which needs no guess of theta,
 * and the first finite theta is the moment estimate.
 *
 * Differences of digamma and of log Gamma at theta and theta + y are sums over y terms
 * where y is small and whole, so that they keep their digits when theta is large. */
#include <math.h>

#include "learn/glm_kind.h"

enum { SHORT = 50 };

static bool is_short(double k) { return k <= SHORT && k == nearbyint(k); }

double glm_log_rising(double x, double k) {
  if (!is_short(k)) {
    if (x < 20) return glm_log_gamma(x + k) - glm_log_gamma(x);
    double series = (1 / (x + k) - 1 / x) / 12 -
                    (1 / ((x + k) * (x + k) * (x + k)) - 1 / (x * x * x)) / 360;
    return k * log(x) + (x + k - 0.5) * log1p(k / x) - k + series;
  }
  double sum = 0;
  for (double i = 0; i < k; i++) sum += log(x + i);
  return sum;
}

/* digamma and trigamma for x >= 20: the asymptotic series, to 1e-16. */
static double digamma_far(double x) {
  double s = 1 / (x * x);
  return log(x) - 0.5 / x - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s / 240)));
}
static double trigamma_far(double x) {
  double s = 1 / (x * x);
  return (1 + 0.5 / x + s * (1.0 / 6 - s * (1.0 / 30 - s * (1.0 / 42 - s / 30)))) / x;
}

/* digamma(x + k) - digamma(x), and the same of trigamma. */
static void differences(double x, double k, double *first, double *second) {
  double one = 0, two = 0, y = x, z = x + k;
  if (is_short(k)) {
    for (double i = 0; i < k; i++) {
      one += 1 / (x + i);
      two -= 1 / ((x + i) * (x + i));
    }
  } else {
    for (; y < 20; y++) {
      one += 1 / y;
      two -= 1 / (y * y);
    }
    for (; z < 20; z++) {
      one -= 1 / z;
      two += 1 / (z * z);
    }
    one += digamma_far(z) - digamma_far(y);
    two += trigamma_far(z) - trigamma_far(y);
  }
  *first = one;
  *second = two;
}

static void add_row(double theta, double y, double w, double mu,
                    struct glm_theta_sums *to) {
  double first, second, both = mu + theta, miss = y - mu;
  differences(theta, y, &first, &second);
  double slope = first - log1p(mu / theta) - miss / both;
  double bend = second + 1 / theta - 2 / both + (y + theta) / (both * both);
  to->score += w * theta * slope;
  to->info -= w * theta * (slope + theta * bend);
  double own = y > 0 ? y * log(mu / both) : 0;
  to->deviance -=
      2 * w *
      (glm_log_rising(theta, y) - glm_log_gamma(y + 1) + own - theta * log1p(mu / theta));
}

void glm_theta_add(double theta, const double *y, const double *weight, const double *mu,
                   size_t n, struct glm_theta_sums *to) {
  for (size_t i = 0; i < n; i++) {
    if (!(weight[i] > 0)) continue;
    if (isinf(theta)) {
      to->score += weight[i] * ((y[i] - mu[i]) * (y[i] - mu[i]) - y[i]);
      to->info += weight[i] * mu[i] * mu[i];
    } else {
      add_row(theta, y[i], weight[i], mu[i], to);
    }
  }
}
