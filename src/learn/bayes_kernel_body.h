/* The bodies of learn/bayes_kernel.h for one level of CPU. */
#include "learn/bayes_kernel.h"
#include "num/vec.h"

VEC_FN vec within(vec x, double most) {
  x = VEC_IF(x < VEC_ALL(most), x, VEC_ALL(most));
  return VEC_IF(x > VEC_ALL(-most), x, VEC_ALL(-most));
}

/* As a product: far from both classes squares would be Inf - Inf, and what tells the
 * classes apart would drown in rounding. */
VEC_FN vec pair_of(vec x, const struct bayes_pair *p) {
  vec v = within(x * VEC_ALL(p->unit) - VEC_ALL(p->base_mean), 1e300);
  vec apart = within(VEC_FMA(v, VEC_ALL(p->slope), VEC_ALL(p->shift)), 1e150);
  vec both = within(VEC_FMA(v, VEC_ALL(p->sum), VEC_ALL(-p->shift)), 1e150);
  vec log_ratio = VEC_FMA(apart * VEC_ALL(0.5), both, VEC_ALL(p->height));
  return VEC_IF(x == x, log_ratio, VEC_ALL(0.0));
}

VEC_FN vec line_of(vec x, double intercept, double slope) {
  vec y = VEC_FMA(within(x, 1e300), VEC_ALL(slope), VEC_ALL(intercept));
  return VEC_IF(x == x, within(y, 1e300), VEC_ALL(0.0));
}

static VEC_TARGET void pair(double *sum, const double *x, size_t n,
                            const struct bayes_pair *p) {
  size_t i = 0;
  for (; i + VEC <= n; i += VEC)
    VEC_STORE(sum + i, VEC_LOAD(sum + i) + pair_of(VEC_LOAD(x + i), p));
  double rest[VEC] = {0};
  for (size_t j = i; j < n; j++) rest[j - i] = x[j];
  VEC_STORE(rest, pair_of(VEC_LOAD(rest), p));
  for (size_t j = i; j < n; j++) sum[j] += rest[j - i];
}

static VEC_TARGET void line(double *sum, const double *x, size_t n, double intercept,
                            double slope) {
  size_t i = 0;
  for (; i + VEC <= n; i += VEC)
    VEC_STORE(sum + i, VEC_LOAD(sum + i) + line_of(VEC_LOAD(x + i), intercept, slope));
  double rest[VEC] = {0};
  for (size_t j = i; j < n; j++) rest[j - i] = x[j];
  VEC_STORE(rest, line_of(VEC_LOAD(rest), intercept, slope));
  for (size_t j = i; j < n; j++) sum[j] += rest[j - i];
}

const struct bayes_kernels KERNELS = {.pair = pair, .line = line};
