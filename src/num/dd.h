/* Double-double: a number as the unevaluated sum of two doubles, about 31 digits.
 *
 *     struct rfl_dd s = {0, 0};
 *     s = rfl_dd_add(s, rfl_dd_product(x, y));      // a dot product in twice the
 * precision
 *
 * Dekker (1971), "A floating-point technique for extending the available precision";
 * Ogita, Rump & Oishi (2005), "Accurate sum and dot product". Invariant: |lo| <= ulp(hi)
 * / 2 after every function here. Where the compiler has a fast fma the product uses it,
 * else Dekker's splitting, which needs a compiler that does not contract a * b + c: it
 * cannot, without a fast fma. */
#ifndef RFL_NUM_DD_H
#define RFL_NUM_DD_H
#include <math.h>

struct rfl_dd {
  double hi, lo;
};

/* Knuth's two-sum: hi + lo == a + b exactly. */
static inline struct rfl_dd rfl_dd_sum(double a, double b) {
  double s = a + b, bb = s - a;
  return (struct rfl_dd){s, (a - (s - bb)) + (b - bb)};
}

/* The same for |a| >= |b|. */
static inline struct rfl_dd rfl_dd_quick(double a, double b) {
  double s = a + b;
  return (struct rfl_dd){s, b - (s - a)};
}

/* hi + lo == a * b exactly (while nothing over- or underflows). */
static inline struct rfl_dd rfl_dd_product(double a, double b) {
  double p = a * b;
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__aarch64__)
  return (struct rfl_dd){p, __builtin_fma(a, b, -p)};
#else
  double ca = 134217729.0 * a, cb = 134217729.0 * b;
  double ah = ca - (ca - a), al = a - ah, bh = cb - (cb - b), bl = b - bh;
  return (struct rfl_dd){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
#endif
}

static inline struct rfl_dd rfl_dd_add(struct rfl_dd a, struct rfl_dd b) {
  struct rfl_dd s = rfl_dd_sum(a.hi, b.hi), t = rfl_dd_sum(a.lo, b.lo);
  s = rfl_dd_quick(s.hi, s.lo + t.hi);
  return rfl_dd_quick(s.hi, s.lo + t.lo);
}

static inline struct rfl_dd rfl_dd_negate(struct rfl_dd a) {
  return (struct rfl_dd){-a.hi, -a.lo};
}

static inline struct rfl_dd rfl_dd_mul(struct rfl_dd a, struct rfl_dd b) {
  struct rfl_dd p = rfl_dd_product(a.hi, b.hi);
  return rfl_dd_quick(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static inline struct rfl_dd rfl_dd_scale(struct rfl_dd a, double b) {
  struct rfl_dd p = rfl_dd_product(a.hi, b);
  return rfl_dd_quick(p.hi, p.lo + a.lo * b);
}

static inline struct rfl_dd rfl_dd_div(struct rfl_dd a, struct rfl_dd b) {
  double q = a.hi / b.hi;
  struct rfl_dd r = rfl_dd_add(a, rfl_dd_negate(rfl_dd_scale(b, q)));
  double q2 = r.hi / b.hi;
  r = rfl_dd_add(r, rfl_dd_negate(rfl_dd_scale(b, q2)));
  struct rfl_dd s = rfl_dd_quick(q, q2);
  return rfl_dd_add(s, (struct rfl_dd){r.hi / b.hi, 0});
}

/* One step of Newton's on top of the rounded root; a must be >= 0. */
static inline struct rfl_dd rfl_dd_sqrt(struct rfl_dd a) {
  if (!(a.hi > 0)) return (struct rfl_dd){0, 0};
  double s = sqrt(a.hi);
  struct rfl_dd r = rfl_dd_add(a, rfl_dd_negate(rfl_dd_product(s, s)));
  return rfl_dd_quick(s, r.hi / (2 * s));
}

#endif
