/* Learning, row by row: predict, note how good that was, then step.
 *
 *     find the row's pairs (those of the next row are fetched meanwhile)
 *     eta = sum of w x,  slope = weight * (mean - y)
 *     every coordinate: g = slope * x, then z and n as in ftrl_kernel_body.h
 *
 * A weight above 1 does not overshoot: the row is learnt once as the paper says, and the
 * rest of its weight moves eta along the curve that infinitely many small steps at the
 * present rates would take, d eta / dt = -(mean(eta) - y) * d with d = sum of rate * x^2
 * (Karampatziakis & Langford 2011, "Online importance weight aware updates"). Up to
 * weight 1 this is the paper's rule with the gradient times the weight. */
#include <math.h>

#include "base/mem.h"
#include "base/random.h"
#include "learn/ftrl_state.h"

/* ---- what a block must be ---- */

static enum rfl_code check_row(const struct rfl_state *s, const struct rfl_block *b,
                               size_t i, struct rfl_err *err) {
  double y = b->y[i], w = b->weight ? b->weight[i] : 1;
  double offset = b->offset ? b->offset[i] : 0;
  const char *must = NULL;
  if (s->o.family == RFL_FTRL_BINOMIAL && y != 0 && y != 1) must = "0 or 1";
  if (s->o.family == RFL_FTRL_POISSON && !(y >= 0 && y < INFINITY)) must = "0 or above";
  if (!isfinite(y)) must = "a finite number";
  if (must) return rfl_fail(err, RFL_EDATA, "The response must be %s, not %g.", must, y);
  if (!(w >= 0 && w < INFINITY))
    return rfl_fail(err, RFL_EDATA, "A weight must be 0 or above, not %g.", w);
  if (!isfinite(offset))
    return rfl_fail(err, RFL_EDATA, "An offset must be finite, not %g.", offset);
  return RFL_OK;
}

static enum rfl_code check_block(const struct rfl_state *s, const struct rfl_block *b,
                                 struct rfl_err *err) {
  RFL_TRY(ftrl_check_columns(s, b, err));
  if (!b->y) return rfl_fail(err, RFL_EARGUMENT, "The rows have no response.");
  for (size_t i = 0; i < b->n; i++) RFL_TRY(check_row(s, b, i, err));
  return RFL_OK;
}

/* Room for as many entries as these rows may make, so that learning cannot fail midway.
 */
static enum rfl_code reserve(struct rfl_state *s, const struct rfl_block *b,
                             struct rfl_err *err) {
  size_t misses = 0;
  for (size_t k = 0; k < s->n_features; k++) {
    const struct ftrl_feature *f = &s->feature[k];
    for (size_t i = 0; !f->levels && i < b->n; i++)
      misses += !ftrl_dict_find(&s->dict, ftrl_key(f, b, i), ftrl_pair_size(s));
  }
  return misses ? ftrl_dict_reserve(&s->dict, misses, ftrl_pair_size(s), err) : RFL_OK;
}

static void admit(struct rfl_state *s, const struct rfl_block *b, size_t i,
                  uint64_t row_key) {
  for (size_t k = 0; k < s->n_features; k++) {
    const struct ftrl_feature *f = &s->feature[k];
    if (f->levels) continue;
    uint64_t key = ftrl_key(f, b, i);
    if (ftrl_dict_find(&s->dict, key, ftrl_pair_size(s))) continue;
    bool in = s->o.admit_share < 1
                  ? rfl_uniform(s->o.seed, row_key, 1 + k) < s->o.admit_share
                  : ftrl_dict_sight(&s->dict, key, s->o.admit_count);
    if (in) ftrl_dict_enter(&s->dict, key, ftrl_pair_size(s));
  }
}

/* ---- how good the prediction was ---- */

static double xlogy(double x, double y) { return x > 0 ? x * log(y) : 0; }

static void note(struct rfl_state *s, double y, double w, double eta, double offset) {
  struct ftrl_sums *t = &s->sums;
  double loss, at = eta + offset;
  if (s->o.family == RFL_FTRL_BINOMIAL) {
    double against = y > 0 ? -at : at;
    loss = (against > 0 ? against : 0) + log1p(exp(-fabs(at)));
  } else if (s->o.family == RFL_FTRL_POISSON) {
    double mean = ftrl_respond(s, eta, offset);
    loss = xlogy(y, y / mean) - (y - mean);
    t->shape += w * xlogy(y, y);
  } else {
    double miss = y - ftrl_respond(s, eta, offset), from = y - t->mean;
    loss = 0.5 * miss * miss;
    t->mean += w * from / (t->weight + w);
    t->shape += w * from * (y - t->mean);
  }
  t->weight += w;
  t->events += w * y;
  t->loss += w * loss;
}

/* ---- the step ---- */

/* u + e^u = c for u: Newton's method from the right, where it only descends. */
static double lambert(double c) {
  double u = c > 1 ? log(c) : c;
  for (int k = 0; k < 50; k++) {
    double e = exp(u), step = (u + e - c) / (1 + e);
    u -= step;
    if (!(fabs(step) > 1e-14 * (1 + fabs(u)))) break;
  }
  return u;
}

/* Where eta is after the time t on the curve of small steps. */
static double glide(enum rfl_ftrl_family family, double u, double y, double t) {
  if (family == RFL_FTRL_GAUSSIAN) return y + (u - y) * exp(-t);
  if (family == RFL_FTRL_BINOMIAL)
    return y > 0 ? lambert(u + exp(u) + t) : -lambert(-u + exp(-u) + t);
  double v = y > 0 ? 1 / y + (exp(-u) - 1 / y) * exp(-t * y) : exp(-u) + t;
  return -log(v);
}

static double rate_of(const struct ftrl_rates *r, double root) {
  return 1 / ((r->offset + root) * r->per_rate + r->l2);
}

/* How much eta moves against a slope of 1: sum of rate * x^2. */
static double reach(const struct rfl_state *s, const struct ftrl_rates *rates,
                    const struct ftrl_row *row) {
  double d = 0;
  if (s->layout.intercept) d = s->o.bias_rate / (s->o.offset + sqrt(s->bias_n));
  for (size_t k = 0; k < s->n_numbers; k++) {
    double x = row->number_x[k];
    d += x * x * rate_of(rates, sqrt(s->number[k].n));
  }
  for (size_t k = 0; k < row->n; k++) {
    double x = s->o.wide ? row->x.d[k] : (double)row->x.f[k];
    d += x * x * rate_of(rates, s->o.wide ? row->root.d[k] : (double)row->root.f[k]);
  }
  return d;
}

struct target { /* of one row, on the scale of the linear predictor */
  double y, weight, eta, offset;
};

static double residual(const struct rfl_state *s, const struct target *t) {
  if (s->o.family == RFL_FTRL_BINOMIAL) return ftrl_respond(s, t->eta, t->offset) - t->y;
  double sd = s->o.family == RFL_FTRL_POISSON ? ftrl_scale_sd(&s->response) : 1;
  double most = s->o.clip * (sd > 1 ? sd : 1);
  if (!(most < 1e6)) most = 1e6;
  double r = s->o.family == RFL_FTRL_GAUSSIAN ? t->eta - t->y
                                              : ftrl_respond(s, t->eta, t->offset) - t->y;
  return r > most ? most : r < -most ? -most : r;
}

static double slope_of(const struct rfl_state *s, const struct ftrl_rates *rates,
                       const struct ftrl_row *row, const struct target *t) {
  double r = residual(s, t);
  if (t->weight <= 1) return t->weight * r;
  double d = reach(s, rates, row), most = s->o.family == RFL_FTRL_POISSON ? 20 : 35;
  if (!(d > 0)) return r;
  double u = t->eta + (s->o.family == RFL_FTRL_GAUSSIAN ? 0 : t->offset) - d * r;
  if (s->o.family != RFL_FTRL_GAUSSIAN) u = u > most ? most : u < -most ? -most : u;
  double slope = r + (u - glide(s->o.family, u, t->y, d * (t->weight - 1))) / d;
  return slope > 1e9 ? 1e9 : slope < -1e9 ? -1e9 : slope; /* where d is next to nothing */
}

static void step_one(double *z, double *n, double w, double g, double per_rate) {
  double more = *n + g * g;
  *z += g - (sqrt(more) - sqrt(*n)) * per_rate * w;
  *n = more;
}

static void step(struct rfl_state *s, const struct ftrl_rates *rates,
                 struct ftrl_row *row, double slope) {
  if (s->layout.intercept)
    step_one(&s->bias_z, &s->bias_n, row->bias_w, slope, 1 / s->o.bias_rate);
  for (size_t k = 0; k < s->n_numbers; k++) {
    struct ftrl_number *number = &s->number[k];
    double g = slope * row->number_x[k];
    if (g != 0) step_one(&number->z, &number->n, row->number_w[k], g, rates->per_rate);
  }
  ftrl_kernel(s)->step(rates, row, slope);
}

/* ---- forgetting ---- */

static void shrink_pair(const struct rfl_state *s, void *pair, double by) {
  if (s->o.wide) {
    ((double *)pair)[0] *= by;
    ((double *)pair)[1] *= by * by;
  } else {
    ((float *)pair)[0] = (float)((double)((float *)pair)[0] * by);
    ((float *)pair)[1] = (float)((double)((float *)pair)[1] * (by * by));
  }
}

static void shrink_all(struct rfl_state *s) {
  double by = exp2(-(double)s->clock / s->o.half_life);
  size_t size = ftrl_pair_size(s);
  for (size_t k = 0; k < s->n_pairs; k++) shrink_pair(s, (char *)s->pair + k * size, by);
  for (size_t e = 0; e < s->dict.n; e++)
    shrink_pair(s, s->dict.entry + e * (8 + size) + 8, by);
  s->clock = 0;
}

/* One row's time passes; the rates of the row. */
static struct ftrl_rates tick(struct rfl_state *s, double keep) {
  if ((double)s->clock >= 8 * s->o.half_life) shrink_all(s);
  s->clock++;
  s->bias_z *= keep;
  s->bias_n *= keep * keep;
  for (size_t k = 0; k < s->n_numbers; k++) {
    s->number[k].z *= keep;
    s->number[k].n *= keep * keep;
  }
  return ftrl_rates(s, s->clock);
}

/* ---- rows ---- */

static void take_scales(struct rfl_state *s, const struct rfl_block *b, size_t i) {
  for (size_t k = 0; k < s->n_numbers; k++) {
    double x = b->dense[s->number[k].dense][i];
    if (!isnan(x)) ftrl_scale_take(&s->number[k].scale, x, s->o.settle_scale);
  }
  for (size_t k = 0; !s->plain && k < s->n_features; k++) {
    struct ftrl_feature *f = &s->feature[k];
    double x = f->dense < 0 ? NAN : b->dense[f->dense][i];
    if (!isnan(x)) ftrl_scale_take(&f->scale, x, s->o.settle_scale);
  }
}

/* The weight to learn the row with; 0: not at all. */
static double drawn_weight(const struct rfl_state *s, const struct rfl_block *b, size_t i,
                           uint64_t key) {
  double w = b->weight ? b->weight[i] : 1;
  if (s->o.family != RFL_FTRL_BINOMIAL || s->o.keep_negatives >= 1 || b->y[i] > 0)
    return w;
  if (rfl_uniform(s->o.seed, key, 0) >= s->o.keep_negatives) return 0;
  return w / s->o.keep_negatives;
}

static void learn_row(struct rfl_state *s, const struct ftrl_rates *rates,
                      const struct rfl_block *b, size_t i, uint64_t key) {
  double w = drawn_weight(s, b, i, key), offset = b->offset ? b->offset[i] : 0;
  if (!(w > 0)) return;
  struct ftrl_row *row = s->row;
  take_scales(s, b, i);
  if (s->open_sets) admit(s, b, i, key);
  struct target t = {.y = b->y[i], .weight = w, .offset = offset};
  t.eta = ftrl_predict(s, rates, b, i, row);
  if (s->passes == 0 || s->passes >= s->o.passes) note(s, t.y, w, t.eta, offset);
  if (s->o.family != RFL_FTRL_BINOMIAL)
    ftrl_scale_take(&s->response, s->o.family == RFL_FTRL_GAUSSIAN ? t.y - offset : t.y,
                    s->o.settle_scale);
  if (s->o.family == RFL_FTRL_GAUSSIAN)
    t.y = (t.y - offset - s->response.mean) / ftrl_scale_sd(&s->response);
  step(s, rates, row, slope_of(s, rates, row, &t));
  s->kept++;
}

enum rfl_code ftrl_absorb(struct rfl_state *s, const struct rfl_block *b,
                          struct rfl_err *err) {
  RFL_TRY(check_block(s, b, err));
  if (!s->row && !(s->row = rfl_alloc(1, sizeof *s->row))) return rfl_no_memory(err);
  if (s->open_sets) RFL_TRY(reserve(s, b, err));
  ftrl_view(s, b, s->row);
  bool forgets = s->o.half_life < INFINITY;
  double keep = forgets ? exp2(-1 / s->o.half_life) : 1;
  struct ftrl_rates rates = ftrl_rates(s, s->clock);
  for (size_t i = 0; i < b->n; i++) {
    if (i + FTRL_AHEAD < b->n) ftrl_prefetch(s, b, i + FTRL_AHEAD, s->row);
    if (forgets) rates = tick(s, keep);
    learn_row(s, &rates, b, i, b->key ? b->key[i] : s->rows);
    s->rows++;
  }
  return RFL_OK;
}
