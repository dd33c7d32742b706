/* A block of rows into the sums of a pass, chunk by chunk. What a row adds is free of
 * sigma but for three factors (learn/aft_row.h): with W = w b / sigma^2, r = w a / sigma
 * and v = w e / sigma the information is
 *
 *     [ Z'WZ   Z'v_s ]
 *     [        sum w d, by stratum s ]        score: Z'r, sum w c
 *
 * That is what is observed. Two others come near it where the scores vanish:
 *   - concave: e - a and d - c for e and d. The information about (eta / sigma, 1 /
 * sigma), in which z is linear, carried over to (eta, tau). With a log-concave density
 * (all but t's) that is never indefinite, wherever the iterate is;
 *   - outer: a^2, a c and c^2 for b, e and d.
 *
 * Weibull rows that are exact or right-censored, the usual ones, need nothing but exp(z),
 * taken for a whole chunk at once. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "learn/aft_parts.h"
#include "num/kernel.h"

struct chunk { /* in the state's scratch, each as long as a chunk */
  struct aft_times t;
  double *eta, *z, *w, *r, *v, *c, *d, *x, *wx;
  double *tau, *inverse; /* of each stratum: 1 / sigma */
  bool ordinary;         /* only exp(z) is needed */
};

static struct chunk cut(const struct rfl_state *s) {
  const struct aft_design *d = s->design;
  size_t n = d->gram.rows, wide = n * d->gram.stride, k = 0;
  double *p = s->scratch, *part[11];
  for (; k < 11; k++) part[k] = p + k * n;
  struct chunk c = {.t = {part[0], part[1], part[2], part[3], NULL, NULL, NULL},
                    .eta = part[4],
                    .z = part[5],
                    .w = part[6],
                    .r = part[7],
                    .v = part[8],
                    .c = part[9],
                    .d = part[10],
                    .x = p + 13 * n,
                    .wx = p + 13 * n + wide,
                    .tau = p + 13 * n + 2 * wide};
  c.inverse = c.tau + d->strata;
  c.t.stratum = (int32_t *)(void *)(p + 11 * n);
  c.t.cluster = c.t.stratum + n;
  c.t.status = (uint8_t *)(p + 12 * n);
  for (size_t g = 0; g < d->strata; g++) {
    c.tau[g] = aft_tau(s, g);
    c.inverse[g] = exp(-c.tau[g]);
  }
  c.ordinary = d->dist.base == RFL_AFT_EXTREME && d->options.type == RFL_AFT_TYPE_RIGHT &&
               s->way != AFT_OUTER;
  return c;
}

static double *gram_sums(const struct rfl_state *s) {
  return s->sums + s->design->gram_at;
}

static void count_rows(struct rfl_state *s, size_t n, const struct chunk *c) {
  double zero = 0, weight = 0, status[4] = {0};
  for (size_t i = 0; i < n; i++) {
    zero += c->t.weight[i] == 0;
    weight += c->t.weight[i];
    status[c->t.status[i]] += c->t.weight[i] > 0;
  }
  s->sums[AFT_ROWS] += (double)n;
  s->sums[AFT_ZERO] += zero;
  s->sums[AFT_WEIGHT] += weight;
  for (size_t k = 0; k < 4; k++) s->sums[AFT_STATUS + k] += status[k];
}

/* ---- the first two passes ---- */

/* What stands for y: the middle of an interval, the end that is known of the others. */
static double residual(const struct chunk *c, size_t i) {
  double y = c->t.y[i];
  if (c->t.status[i] == RFL_AFT_INTERVAL) y += 0.5 * (c->t.y2[i] - y);
  return y - c->eta[i];
}

static void squares(struct rfl_state *s, const struct rfl_block *b, size_t from, size_t n,
                    const struct chunk *c) {
  for (size_t i = 0; i < n; i++) {
    c->w[i] = c->t.weight[i];
    c->r[i] = c->t.weight[i] * residual(c, i);
  }
  struct rfl_gram_rows rows = {.n = n, .w = c->w, .r = c->r, .x = c->x, .wx = c->wx};
  rfl_gram_add(&s->design->gram, b, from, &rows, (struct rfl_sums){gram_sums(s), NULL});
}

static void spread(struct rfl_state *s, size_t n, const struct chunk *c) {
  for (size_t i = 0; i < n; i++) {
    double *at = aft_of_stratum(s, (size_t)c->t.stratum[i]);
    at[AFT_RESIDUAL] += c->t.weight[i] * fabs(residual(c, i));
    at[AFT_MASS] += c->t.weight[i];
  }
}

/* ---- Newton's ---- */

/* Weibull, exact or right-censored: e = exp(z), f = 1 for an event. Rows know their own
 * sigma by t.stratum, unless there is only one. */
static inline double ordinary_rows(size_t n, const struct chunk *c, double observed,
                                   bool one) {
  double sum = 0, tau = c->tau[0], inverse = c->inverse[0];
  double *restrict w = c->w, *restrict r = c->r, *restrict v = c->v, *restrict cc = c->c,
                   *restrict d = c->d;
  const double *weight = c->t.weight, *zs = c->z, *log_time = c->t.log_time;
  for (size_t i = 0; i < n; i++) {
    if (!one) tau = c->tau[c->t.stratum[i]], inverse = c->inverse[c->t.stratum[i]];
    double e = w[i], z = zs[i], f = c->t.status[i], p = weight[i], pi = p * inverse;
    double a = e - f, m = z * e + observed * a;
    sum += p * (f * (z - tau) - e - log_time[i]);
    w[i] = pi * inverse * e;
    r[i] = pi * a;
    v[i] = pi * m;
    cc[i] = p * (z * a - f);
    d[i] = p * (z * m + (1 - observed) * f);
  }
  return sum;
}

static double ordinary(const struct rfl_state *s, size_t n, const struct chunk *c) {
  size_t whole = (n + 7) / 8 * 8;
  const double *weight = c->t.weight;
  double observed = s->way == AFT_OBSERVED ? 1 : 0;
  bool one = s->design->strata == 1;
  for (size_t i = 0; i < whole; i++) { /* a row that counts for nothing stays finite */
    double inverse = c->inverse[one ? 0 : c->t.stratum[i]];
    c->z[i] = weight[i] > 0 ? (c->t.y[i] - c->eta[i]) * inverse : 0.0;
  }
  rfl_kernels()->exp(c->w, c->z, whole);
  return one ? ordinary_rows(n, c, observed, true) : ordinary_rows(n, c, observed, false);
}

static void turn(int32_t way, struct aft_row *r) {
  if (way == AFT_CONCAVE) {
    r->e -= r->a;
    r->d -= r->c;
  } else if (way == AFT_OUTER) {
    r->b = r->a * r->a;
    r->e = r->a * r->c;
    r->d = r->c * r->c;
  }
}

static double evaluate(const struct rfl_state *s, size_t n, const struct chunk *c) {
  if (c->ordinary) return ordinary(s, n, c);
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    enum rfl_aft_status status = (enum rfl_aft_status)c->t.status[i];
    double w = c->t.weight[i], inverse = c->inverse[c->t.stratum[i]];
    c->w[i] = c->r[i] = c->v[i] = c->c[i] = c->d[i] = 0;
    if (w == 0) continue;
    struct aft_row row;
    aft_row_at(&s->design->dist, status, (c->t.y[i] - c->eta[i]) * inverse,
               (c->t.y2[i] - c->eta[i]) * inverse, &row);
    if (status == RFL_AFT_EXACT) row.l -= c->tau[c->t.stratum[i]] + c->t.log_time[i];
    sum += w * row.l;
    turn(s->way, &row);
    c->w[i] = w * inverse * inverse * row.b;
    c->r[i] = w * inverse * row.a;
    c->v[i] = w * inverse * row.e;
    c->c[i] = w * row.c;
    c->d[i] = w * row.d;
  }
  return sum;
}

static void add_scales(struct rfl_state *s, const struct rfl_block *b, size_t from,
                       size_t n, const struct chunk *c) {
  const struct aft_design *d = s->design;
  bool one = d->scales == 1;
  struct rfl_gram_groups cross = {n, c->v, one ? NULL : c->t.stratum, aft_z(s)};
  rfl_gram_cross(&d->gram, b, from, &cross, s->sums + d->cross_at);
  double score = 0, info = 0;
  for (size_t i = 0; one && i < n; i++) {
    score += c->c[i];
    info += c->d[i];
  }
  if (one) {
    aft_of_stratum(s, 0)[AFT_SCORE] += score;
    aft_of_stratum(s, 0)[AFT_INFO] += info;
  }
  for (size_t i = 0; !one && i < n; i++) {
    double *at = aft_of_stratum(s, (size_t)c->t.stratum[i]);
    at[AFT_SCORE] += c->c[i];
    at[AFT_INFO] += c->d[i];
  }
}

static void add_clusters(struct rfl_state *s, const struct rfl_block *b, size_t from,
                         size_t n, const struct chunk *c) {
  const struct aft_design *d = s->design;
  size_t stride = aft_z(s) + d->scales;
  double *to = s->sums + d->cluster_at;
  struct rfl_gram_groups by = {n, c->r, c->t.cluster, stride};
  rfl_gram_cross(&d->gram, b, from, &by, to);
  for (size_t i = 0; d->scales && i < n; i++)
    to[(size_t)c->t.cluster[i] * stride + aft_z(s) + (size_t)c->t.stratum[i]] += c->c[i];
}

static void newton(struct rfl_state *s, const struct rfl_block *b, size_t from, size_t n,
                   const struct chunk *c) {
  const struct aft_design *d = s->design;
  s->sums[AFT_LOGLIK] += evaluate(s, n, c);
  struct rfl_gram_rows rows = {.n = n, .w = c->w, .r = c->r, .x = c->x, .wx = c->wx};
  rfl_gram_add(&d->gram, b, from, &rows, (struct rfl_sums){gram_sums(s), NULL});
  if (d->scales) add_scales(s, b, from, n, c);
  if (d->options.n_clusters) add_clusters(s, b, from, n, c);
}

/* ---- the door ---- */

enum rfl_code aft_columns_check(const struct aft_design *d, const struct rfl_block *b,
                                struct rfl_err *err) {
  const struct rfl_layout *l = &d->layout;
  bool fits = b->n_dense == l->n_dense && b->n_coded == l->n_coded;
  for (size_t k = 0; fits && k < l->n_coded; k++)
    fits = b->coded[k].levels == l->levels[k];
  if (fits) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT, "The rows have other columns than the model.");
}

enum rfl_code aft_absorb(struct rfl_state *s, const struct rfl_block *b,
                         struct rfl_err *err) {
  const struct aft_design *d = s->design;
  RFL_TRY(aft_columns_check(d, b, err));
  if (b->n_extra != d->layout.n_extra)
    return rfl_fail(err, RFL_EARGUMENT, "Rows to learn from need times and statuses.");
  RFL_TRY(aft_times_check(d, b, true, err));
  if (s->settled) RFL_TRY(aft_renew(s, 1.0, err));
  struct chunk c = cut(s);
  for (size_t from = 0, n; from < b->n; from += n) {
    n = b->n - from < d->gram.rows ? b->n - from : d->gram.rows;
    aft_times_load(d, b, from, n, &c.t);
    rfl_gram_eta(&d->gram, s->gamma, b, from, n, c.eta);
    for (size_t i = n; i % 8; i++) c.eta[i] = c.t.y[i];
    count_rows(s, n, &c);
    if (s->phase == AFT_SQUARES)
      squares(s, b, from, n, &c);
    else if (s->phase == AFT_SPREAD)
      spread(s, n, &c);
    else
      newton(s, b, from, n, &c);
  }
  return RFL_OK;
}
