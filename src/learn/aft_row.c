/* The distributions. What is right-censored has the survivor function S, left-censored
 * the distribution function F, an interval F(z2) - F(z1).
 *
 * Nothing here is a difference of numbers that nearly agree. Extreme value and logistic
 * intervals have closed forms in which the width w = z2 - z1 stands by itself:
 *     extreme value   S(z1) (1 - exp(-(H2 - H1))),  H2 - H1 = e^z1 expm1(w)
 *     logistic        S(z1) F(z2) (1 - exp(-w))
 * so that an interval far out, or one that is very narrow, is as good as any other. The
 * others take wide intervals by the logarithms of their tails, and narrow ones by
 * Gauss-Legendre quadrature: the derivatives are means over the interval, since a
 * difference of densities is the integral of the density's slope.
 *
 * Normal tails are erfc() to 5, then the continued fraction of Mills' ratio; tails of t
 * are the incomplete beta function by its continued fraction (Lentz's method; Press et
 * al. (2007), Numerical Recipes, 6.4), whose front factor is kept as a logarithm. */
#include "learn/aft_row.h"

#include <math.h>
#include <stdbool.h>

static const double half_log_two_pi = 0.91893853320467274178;
static const double root_half = 0.70710678118654752440;

/* From l and its derivatives in z, for a row of one end. */
static void place(double z, double l, double slope, double bend, struct aft_row *r) {
  double zl = z * slope;
  *r = (struct aft_row){.l = l,
                        .a = -slope,
                        .b = -bend,
                        .c = -zl,
                        .d = -(z * z * bend + zl),
                        .e = -(z * bend + slope)};
}

/* x / expm1(x), and that plus x - 1 without cancellation (`rest`, about x / 2): both are
 * what log(1 - exp(-x)) has for derivatives. */
struct ratio {
  double h, rest;
};

static struct ratio ratio_of(double x) {
  if (x > 700) return (struct ratio){0, 0}; /* rest goes with h only */
  if (x < 1e-3) {
    double x2 = x * x;
    return (struct ratio){1 - x / 2 + x2 / 12 - x2 * x2 / 720,
                          x / 2 + x2 / 12 - x2 * x2 / 720};
  }
  double h = x / expm1(x);
  return (struct ratio){h, h + x - 1};
}

/* log(1 - exp(-x)) for x > 0. */
static double log1mexp(double x) {
  return x < 0.6931471805599453 ? log(-expm1(-x)) : log1p(-exp(-x));
}

/* ---- extreme value: S(z) = exp(-e^z) ---- */

static void extreme_interval(double z, double z2, struct aft_row *r) {
  double w = z2 - z, w1 = exp(z), rise = -expm1(-w);
  double gap = w < 30 ? w1 * expm1(w) : exp(z2) - w1;
  struct ratio k = ratio_of(gap);
  double l = gap > 1e-290 ? log1mexp(gap) : z + (w < 30 ? log(expm1(w)) : w);
  double rho = z + w / rise, kappa = z * z + w * (z + z2) / rise;
  double tail = w1 > 0 ? z * w1 : 0;
  if (k.h == 0) rho = kappa = 0;
  double along = k.h - w1;                 /* of a shift of both ends */
  double across = tail - k.h * rho;        /* of tau */
  double curl = tail + k.h * k.rest * rho; /* of both, with sigma fixed in the first */
  r->l = l - w1;
  r->a = -along;
  r->b = w1 + k.h * k.rest;
  r->c = across;
  r->d = (w1 > 0 ? tail * (1 + z) : 0) + k.h * ((1 + k.rest) * rho * rho - (kappa + rho));
  r->e = -(along - curl);
}

static void extreme(enum rfl_aft_status status, double z, double z2, struct aft_row *r) {
  double w = exp(z);
  if (status == RFL_AFT_EXACT) place(z, z - w, 1 - w, -w, r);
  if (status == RFL_AFT_RIGHT) place(z, -w, -w, -w, r);
  if (status == RFL_AFT_LEFT) {
    struct ratio k = ratio_of(w);
    place(z, w > 1e-290 ? log1mexp(w) : z, k.h, -k.h * k.rest, r);
  }
  if (status == RFL_AFT_INTERVAL) extreme_interval(z, z2, r);
}

/* ---- logistic ---- */

static void logistic(enum rfl_aft_status status, double z, double z2, struct aft_row *r) {
  double e = exp(-fabs(z)), u = 1 / (1 + e), v = e * u * u;
  double above = z > 0 ? e * u : u, below = z > 0 ? u : e * u, tail = log1p(e);
  if (status == RFL_AFT_EXACT) {
    double half = (z > 0 ? -1 : 1) * (1 - e) * u;
    place(z, -fabs(z) - 2 * tail, half, -2 * v, r);
  } else if (status == RFL_AFT_LEFT) {
    place(z, (z < 0 ? z : 0) - tail, above, -v, r);
  } else {
    place(z, (z > 0 ? -z : 0) - tail, -below, -v, r);
  }
  if (status != RFL_AFT_INTERVAL) return;
  struct aft_row end;
  logistic(RFL_AFT_LEFT, z2, 0, &end);
  struct ratio k = ratio_of(z2 - z);
  r->l += end.l + log1mexp(z2 - z);
  r->a += end.a;
  r->b += end.b;
  r->c += end.c - k.h;
  r->d += end.d + k.h * k.rest;
  r->e += end.e;
}

/* ---- what is left: by density, slope and tails ---- */

struct point {               /* of the density f */
  double log_f, slope, bend; /* log f and its derivatives */
};

static struct point point_at(const struct aft_dist *dist, double z) {
  if (dist->base == RFL_AFT_GAUSSIAN)
    return (struct point){-0.5 * z * z - half_log_two_pi, -z, -1};
  double df = dist->df, s = z * z / df, k = (df + 1) / df;
  if (!(s < 1e300)) /* z^2 overflows long before the density does */
    return (struct point){dist->constant - (df + 1) * log(fabs(z) / sqrt(df)),
                          -(df + 1) / z, 0};
  return (struct point){dist->constant - 0.5 * (df + 1) * log1p(s), -k * z / (1 + s),
                        -k * (1 - s) / ((1 + s) * (1 + s))};
}

/* The continued fraction of the incomplete beta function. */
static double beta_fraction(double x, double a, double b) {
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (fabs(d) < tiny) d = tiny;
  d = 1 / d;
  double sum = d;
  for (int m = 1; m <= 20000; m++) {
    double am = a + 2 * m;
    double up[2] = {m * (b - m) * x / ((am - 1) * am),
                    -(a + m) * (a + b + m) * x / (am * (am + 1))};
    double change = 1;
    for (int k = 0; k < 2; k++) {
      d = 1 + up[k] * d;
      c = 1 + up[k] / c;
      if (fabs(d) < tiny) d = tiny;
      if (fabs(c) < tiny) c = tiny;
      d = 1 / d;
      change = d * c;
      sum *= change;
    }
    if (fabs(change - 1) < 1e-15) break;
  }
  return sum;
}

/* log S(z) of t for z >= 0. */
static double t_tail(const struct aft_dist *dist, double z) {
  double a = dist->df / 2, s = z * z / dist->df;
  double log_x = s < 1e300 ? -log1p(s) : -2 * log(z / sqrt(dist->df));
  double x = exp(log_x), log_y = s > 0 ? -log1p(1 / s) : -INFINITY;
  double front = a * log_x + 0.5 * log_y - dist->beta;
  if (x < (a + 1) / (a + 2.5))
    return front + log(beta_fraction(x, a, 0.5) / a) - 0.6931471805599453;
  double y = s / (1 + s);
  double within = s > 0 ? exp(front) * beta_fraction(y, 0.5, a) * 2 : 0;
  return log(0.5 * (1 - within));
}

/* log S(z); for the normal also the hazard less z where that is known better than by
 * subtraction. */
static double log_tail(const struct aft_dist *dist, double z) {
  if (dist->base == RFL_AFT_T)
    return z >= 0 ? t_tail(dist, z) : log1p(-exp(t_tail(dist, -z)));
  if (z < -1) return log1p(-0.5 * erfc(-z * root_half));
  if (z < 5) return log(0.5 * erfc(z * root_half));
  double rest = 0;
  for (int k = 60; k >= 1; k--) rest = k / (z + rest);
  return -0.5 * z * z - half_log_two_pi - log(z + rest);
}

/* The hazard f / S at z, and hazard + (log f)', which decides how S bends. */
static void hazard(const struct aft_dist *dist, double z, const struct point *p,
                   double log_s, double *h, double *excess) {
  double rest = 0;
  if (dist->base == RFL_AFT_GAUSSIAN && z >= 5) {
    for (int k = 60; k >= 1; k--) rest = k / (z + rest);
    *h = z + rest;
    *excess = rest;
    return;
  }
  *h = exp(p->log_f - log_s);
  *excess = *h + p->slope;
}

static const double node[5] = {0.1488743389816312108848, 0.4333953941292471907993,
                               0.6794095682990244062343, 0.8650633666889845107321,
                               0.9739065285171717200780};
static const double share[5] = {0.2955242247147528701739, 0.2692667193099963550912,
                                0.2190863625159820439955, 0.1494513491505805931458,
                                0.0666713443086881375936};

/* An interval so narrow that exp(log f) is smooth over it: means over the interval. */
static void narrow(const struct aft_dist *dist, double z, double z2, struct aft_row *r) {
  double half = 0.5 * (z2 - z), mid = z + half;
  double base = point_at(dist, mid).log_f, f = 0, s = 0, ss = 0, zs = 0, zss = 0,
         zzss = 0;
  for (int k = 0; k < 10; k++) {
    double x = mid + (k & 1 ? half : -half) * node[k / 2];
    struct point p = point_at(dist, x);
    double w = share[k / 2] * exp(p.log_f - base), two = p.slope * p.slope + p.bend;
    f += w;
    s += w * p.slope;
    ss += w * two;
    zs += w * x * p.slope;
    zss += w * x * two;
    zzss += w * x * x * two;
  }
  double a = s / f, b = 1 + zs / f, c = ss / f, e = (s + zss) / f;
  double q = (2 * zs + zzss) / f;
  *r = (struct aft_row){.l = base + log(half * f),
                        .a = -a,
                        .b = a * a - c,
                        .c = -b,
                        .d = b * b - b - q,
                        .e = a * b - a - e};
}

static double log_between(const struct aft_dist *dist, double z, double z2) {
  if (z >= 0) {
    double s = log_tail(dist, z);
    return s + log1mexp(s - log_tail(dist, z2));
  }
  if (z2 <= 0) return log_between(dist, -z2, -z);
  if (dist->base == RFL_AFT_GAUSSIAN)
    return log(0.5 * (erf(z2 * root_half) - erf(z * root_half)));
  return log((0.5 - exp(log_tail(dist, -z))) + (0.5 - exp(log_tail(dist, z2))));
}

static void wide(const struct aft_dist *dist, double z, double z2, struct aft_row *r) {
  double size = fmax(fabs(z), fabs(z2)), w = z2 - z;
  if (w * (1 + fmin(size, 1e10)) < 1 && w < 0.5) {
    narrow(dist, z, z2, r);
    return;
  }
  struct point p = point_at(dist, z), p2 = point_at(dist, z2);
  double l = log_between(dist, z, z2);
  double f = exp(p.log_f - l), f2 = exp(p2.log_f - l);
  double s = f > 0 ? f * p.slope : 0, s2 = f2 > 0 ? f2 * p2.slope : 0;
  double a = f2 - f, c = s2 - s;
  double b = (f2 > 0 ? z2 * f2 : 0) - (f > 0 ? z * f : 0);
  double e = (f2 > 0 ? z2 * s2 : 0) - (f > 0 ? z * s : 0);
  double q = (f2 > 0 ? z2 * z2 * s2 : 0) - (f > 0 ? z * z * s : 0);
  *r = (struct aft_row){
      .l = l, .a = -a, .b = a * a - c, .c = -b, .d = b * b - b - q, .e = a * b - a - e};
}

static void symmetric(const struct aft_dist *dist, enum rfl_aft_status status, double z,
                      double z2, struct aft_row *r) {
  if (status == RFL_AFT_INTERVAL) {
    wide(dist, z, z2, r);
    return;
  }
  struct point p = point_at(dist, z);
  if (status == RFL_AFT_EXACT) {
    place(z, p.log_f, p.slope, p.bend, r);
    return;
  }
  /* F(z) = S(-z): the slope turns round, the bend stays. */
  double side = status == RFL_AFT_LEFT ? -1 : 1, h, excess;
  p.slope *= side;
  double log_s = log_tail(dist, side * z);
  hazard(dist, side * z, &p, log_s, &h, &excess);
  place(z, log_s, -side * h, -h * excess, r);
}

/* ---- the door ---- */

void aft_row_at(const struct aft_dist *dist, enum rfl_aft_status status, double z,
                double z2, struct aft_row *gives) {
  if (dist->base == RFL_AFT_EXTREME)
    extreme(status, z, z2, gives);
  else if (dist->base == RFL_AFT_LOGISTIC)
    logistic(status, z, z2, gives);
  else
    symmetric(dist, status, z, z2, gives);
  if (status != RFL_AFT_EXACT) return;
  gives->c -= 1;
}

void aft_dist_set(struct aft_dist *dist, enum rfl_aft_dist base, double df) {
  *dist = (struct aft_dist){.base = base, .df = df};
  if (base != RFL_AFT_T) return;
  dist->beta = lgamma(df / 2) + lgamma(0.5) - lgamma((df + 1) / 2);
  dist->constant = -dist->beta - 0.5 * log(df);
}

double aft_spread(const struct aft_dist *dist) {
  switch (dist->base) {
    case RFL_AFT_EXTREME:
      return 1.0;
    case RFL_AFT_LOGISTIC:
      return 0.72;
    default:
      return 1.25;
  }
}

double aft_centre(const struct aft_dist *dist) {
  return dist->base == RFL_AFT_EXTREME ? -0.5772156649015329 : 0;
}
