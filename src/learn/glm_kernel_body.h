/* The bodies of learn/glm_family.h for one level of CPU. McCullagh & Nelder (1989), 2.5.
 */
#include "learn/glm_family.h"
#include "num/vec.h"

static VEC_TARGET double lanes(vec v) {
  double x[VEC], sum = 0;
  VEC_STORE(x, v);
  for (int i = 0; i < VEC; i++) sum += x[i];
  return sum;
}

static VEC_TARGET void gaussian(const struct glm_rows *c, double *sum) {
  vec deviance = VEC_ALL(0.0);
  for (size_t i = 0; i < c->n; i += VEC) {
    vec w = VEC_LOAD(c->weight + i), d = VEC_LOAD(c->y + i) - VEC_LOAD(c->eta + i);
    VEC_STORE(c->w + i, w);
    VEC_STORE(c->r + i, w * d);
    deviance = VEC_FMA(w * d, d, deviance);
  }
  double all = lanes(deviance);
  sum[0] += all;
  sum[1] += all;
}

/* u log(u / v) for u in [0, 1], v > 0; 0 for u = 0. */
VEC_FN vec entropy(vec u, vec v) {
  vec some = VEC_IF(u > VEC_ALL(0.0), u, v);
  return u * vec_log(some / v);
}

/* Everything from e = exp(-|eta|) <= 1, so that neither mu nor 1 - mu is ever the
 * difference of numbers that nearly agree: mu = 1 / (1 + e) or e / (1 + e), the variance
 * e / (1 + e)^2. The deviance of y = 0 and 1 is 2 log(1 + exp(-+eta)), with the error of
 * 1 + e put back (log1p). */
static VEC_TARGET void binomial(const struct glm_rows *c, double *sum) {
  vec deviance = VEC_ALL(0.0), pearson = VEC_ALL(0.0);
  const vec zero = VEC_ALL(0.0), one = VEC_ALL(1.0);
  for (size_t i = 0; i < c->n; i += VEC) {
    vec eta = VEC_LOAD(c->eta + i), y = VEC_LOAD(c->y + i), w = VEC_LOAD(c->weight + i);
    vec up = VEC_IF(eta > zero, eta, zero), down = VEC_IF(eta > zero, zero, -eta);
    vec e = vec_exp(-(up + down)), u = one + e, m = one / u;
    vec mu = VEC_IF(eta > zero, m, e * m), nu = VEC_IF(eta > zero, e * m, m);
    vec v = e * m * m, r = y * nu - (one - y) * mu;
    VEC_STORE(c->w + i, w * v);
    VEC_STORE(c->r + i, w * r);
    vec log1p = vec_log(u) + (e - (u - one)) * m;
    vec miss = y * (down + log1p) + (one - y) * (up + log1p);
    vec_bits mixed = (vec_bits)(y > zero) & (vec_bits)(y < one);
    double any[VEC];
    VEC_STORE(any, VEC_IF(mixed, one, zero));
    double mixes = 0;
    for (int k = 0; k < VEC; k++) mixes += any[k];
    if (mixes > 0) {
      vec shares =
          entropy(y, VEC_IF(mixed, mu, one)) + entropy(one - y, VEC_IF(mixed, nu, one));
      miss = VEC_IF(mixed, shares, miss);
    }
    deviance = VEC_FMA(w + w, miss, deviance);
    pearson = VEC_FMA(w * r, r / v, pearson);
  }
  sum[0] += lanes(deviance);
  sum[1] += lanes(pearson);
}

static VEC_TARGET void poisson(const struct glm_rows *c, double *sum) {
  vec deviance = VEC_ALL(0.0), pearson = VEC_ALL(0.0);
  const vec zero = VEC_ALL(0.0);
  for (size_t i = 0; i < c->n; i += VEC) {
    vec y = VEC_LOAD(c->y + i), w = VEC_LOAD(c->weight + i);
    vec mu = vec_exp(VEC_LOAD(c->eta + i)), d = y - mu;
    VEC_STORE(c->w + i, w * mu);
    VEC_STORE(c->r + i, w * d);
    vec some = VEC_IF(y > zero, y, mu);
    deviance = VEC_FMA(w + w, y * vec_log(some / mu) - d, deviance);
    pearson = VEC_FMA(w * d, d / mu, pearson);
  }
  sum[0] += lanes(deviance);
  sum[1] += lanes(pearson);
}

/* mustart = (w y + 1/2) / (w + 1); eta holds the offset here and in start_poisson(). */
static VEC_TARGET void start_binomial(const struct glm_rows *c) {
  const vec one = VEC_ALL(1.0), half = VEC_ALL(0.5);
  for (size_t i = 0; i < c->n; i += VEC) {
    vec y = VEC_LOAD(c->y + i), w = VEC_LOAD(c->weight + i);
    vec mu = (w * y + half) / (w + one), v = mu * (one - mu);
    vec eta = vec_log(mu / (one - mu));
    VEC_STORE(c->w + i, w * v);
    VEC_STORE(c->r + i, w * (v * (eta - VEC_LOAD(c->eta + i)) + (y - mu)));
  }
}

static VEC_TARGET void start_poisson(const struct glm_rows *c) {
  for (size_t i = 0; i < c->n; i += VEC) {
    vec y = VEC_LOAD(c->y + i), w = VEC_LOAD(c->weight + i), mu = y + VEC_ALL(0.1);
    VEC_STORE(c->w + i, w * mu);
    VEC_STORE(c->r + i, w * (mu * (vec_log(mu) - VEC_LOAD(c->eta + i)) + (y - mu)));
  }
}

const struct glm_kernels KERNELS = {
    .at = {[RFL_FAST_LINEAR] = gaussian,
           [RFL_FAST_LOGISTIC] = binomial,
           [RFL_FAST_COUNT] = poisson},
    .start = {[RFL_FAST_LOGISTIC] = start_binomial, [RFL_FAST_COUNT] = start_poisson}};
