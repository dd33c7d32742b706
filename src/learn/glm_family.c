#include "learn/glm_family.h"

#include <math.h>

#include "base/cpu.h"

const struct glm_kernels *glm_kernels(void) {
#if defined(__x86_64__)
  if (rfl_cpu_level() >= RFL_CPU_AVX512) return &glm_kernels_avx512;
  if (rfl_cpu_level() >= RFL_CPU_AVX2) return &glm_kernels_avx2;
#endif
  return &glm_kernels_base;
}

static const double two_pi = 6.283185307179586477;

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

static double x_log_x(double x) { return x > 0 ? x * log(x) : 0; }

/* w log dpois(y, y). R gives no probability to a y that is not whole. */
static double saturated_poisson(double y, double w) {
  double k = nearbyint(y);
  if (fabs(y - k) > 1e-7 * fmax(1, fabs(y))) return -INFINITY;
  if (k >= 20) return -w * (0.5 * log(two_pi * k) + stirling(k));
  return w * (x_log_x(k) - k - log_factorial(k));
}

double glm_saturated(enum rfl_family family, double y, double w) {
  if (family == RFL_POISSON) return saturated_poisson(y, w);
  if (family != RFL_BINOMIAL) return 0;
  double m = nearbyint(w), k = nearbyint(w * y);
  double entropy = w * (x_log_x(y) + x_log_x(1 - y));
  if (m < 2) return entropy;
  return log_factorial(m) - log_factorial(k) - log_factorial(m - k) + entropy;
}

/* Whole but for the rounding of y = successes / trials. */
bool glm_uneven(double y, double w) {
  return nearbyint(w) != w || fabs(nearbyint(w * y) - w * y) > 1e-12 * (1 + w);
}

double glm_rounded(double y, double w, double eta) {
  double m = nearbyint(w), k = nearbyint(w * y), tail = log1p(exp(-fabs(eta)));
  double log_mu = -(fmax(-eta, 0) + tail), log_nu = -(fmax(eta, 0) + tail);
  return (k - w * y) * log_mu + ((m - k) - w * (1 - y)) * log_nu;
}

double glm_link(enum rfl_family family, double mu) {
  if (family == RFL_BINOMIAL) return log(mu / (1 - mu));
  return family == RFL_POISSON ? log(mu) : mu;
}

const char *glm_range(enum rfl_family family) {
  static const char *const range[] = {[RFL_GAUSSIAN] = "finite",
                                      [RFL_BINOMIAL] = "between 0 and 1",
                                      [RFL_POISSON] = "0 or more"};
  return range[family];
}

bool glm_in_range(enum rfl_family family, double y) {
  if (family == RFL_BINOMIAL) return y >= 0 && y <= 1;
  return y - y == 0 && (family == RFL_GAUSSIAN || y >= 0);
}
