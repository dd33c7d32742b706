/* A block of rows into the sums of a pass, chunk by chunk: eta from the iterate, weights
 * and residuals by the family's kernel, cross products by num/gram.h. The chunk is what
 * fits in the first-level cache. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "learn/glm_parts.h"
#include "num/dd.h"

struct chunk { /* rows of scratch, each as long as a chunk */
  double *y, *weight, *offset, *eta, *eta_low, *w, *r, *null_w, *null_r;
  double *x, *wx;
  double *row; /* of X */
};

static struct chunk cut(const struct rfl_state *s) {
  size_t n = s->design->gram.rows, wide = n * s->design->gram.stride;
  double *p = s->scratch;
  return (struct chunk){.y = p,
                        .weight = p + n,
                        .offset = p + 2 * n,
                        .eta = p + 3 * n,
                        .eta_low = p + 4 * n,
                        .w = p + 5 * n,
                        .r = p + 6 * n,
                        .null_w = p + 7 * n,
                        .null_r = p + 8 * n,
                        .x = p + 9 * n,
                        .wx = p + 9 * n + wide,
                        .row = p + 9 * n + 2 * wide};
}

/* A sum into a scalar, in twice the precision when the pass is exact. */
static void tally(struct rfl_state *s, enum glm_scalar k, double x) {
  struct rfl_dd sum = rfl_dd_sum(s->sums.hi[k], x);
  s->sums.hi[k] = sum.hi;
  if (s->sums.lo) s->sums.lo[k] += sum.lo;
}

static double plain_sum(const double *x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  return sum;
}

/* y, weights and offsets of rows [from, from + n), filled up to whole vectors with rows
 * that count for nothing. */
static void load(const struct rfl_block *b, size_t from, size_t n, struct chunk c) {
  size_t whole = (n + 7) / 8 * 8;
  memcpy(c.y, b->y + from, n * sizeof *c.y);
  for (size_t i = 0; i < n; i++) {
    c.weight[i] = b->weight ? b->weight[from + i] : 1.0;
    c.offset[i] = b->offset ? b->offset[from + i] : 0.0;
  }
  for (size_t i = n; i < whole; i++)
    c.y[i] = c.weight[i] = c.offset[i] = c.eta[i] = c.eta_low[i] = 0;
}

/* The residual of gaussian rows in twice the precision; eta_low becomes its low part. */
static void exact_gaussian(struct rfl_state *s, size_t n, struct chunk c) {
  double deviance = 0;
  for (size_t i = 0; i < n; i++) {
    struct rfl_dd d = rfl_dd_sum(c.y[i], -c.eta[i]);
    d = rfl_dd_add(d, (struct rfl_dd){-c.eta_low[i], 0});
    struct rfl_dd r = rfl_dd_scale(d, c.weight[i]);
    c.w[i] = c.weight[i];
    c.r[i] = r.hi;
    c.eta_low[i] = r.lo;
    deviance += r.hi * d.hi;
  }
  tally(s, GLM_DEVIANCE, deviance);
  tally(s, GLM_PEARSON, deviance);
}

/* The null model's columns are not used yet: they hold the means. */
static void tally_theta(struct rfl_state *s, size_t n, struct chunk c) {
  struct glm_theta_sums sums = {0};
  memcpy(c.null_w, c.eta, n * sizeof *c.null_w);
  glm_respond(&s->kind, c.null_w, n);
  glm_theta_add(s->kind.shape, c.y, c.weight, c.null_w, n, &sums);
  tally(s, GLM_THETA_SCORE, sums.score);
  tally(s, GLM_THETA_INFO, sums.info);
  tally(s, GLM_THETA_DEVIANCE, sums.deviance);
}

/* Weights and residuals of a chunk at the iterate. */
static enum rfl_code evaluate(struct rfl_state *s, const struct rfl_block *b, size_t from,
                              size_t n, struct chunk c, struct rfl_err *err) {
  const struct rfl_gram *g = &s->design->gram;
  struct glm_rows rows = {.n = (n + 7) / 8 * 8,
                          .y = c.y,
                          .weight = c.weight,
                          .eta = s->first ? c.offset : c.eta,
                          .w = c.w,
                          .r = c.r};
  if (s->first) return glm_rows_start(&s->kind, &rows, err);
  if (s->exact)
    rfl_gram_eta_exact(g, s->gamma, b, from, n, (struct rfl_sums){c.eta, c.eta_low});
  else
    rfl_gram_eta(g, s->gamma, b, from, n, c.eta);
  if (s->exact && glm_is_linear(&s->kind)) {
    exact_gaussian(s, n, c);
    return RFL_OK;
  }
  double sum[2] = {0};
  RFL_TRY(glm_rows_at(&s->kind, s->sharp, &rows, sum, err));
  tally(s, GLM_DEVIANCE, sum[0]);
  tally(s, GLM_PEARSON, sum[1]);
  if (s->kind.estimate) tally_theta(s, n, c);
  if (s->levered && s->stage == GLM_FITTING) glm_firth_add(s, b, from, &rows, c.row);
  return RFL_OK;
}

/* The intercept-only model (or, without an intercept, the offset alone). */
static enum rfl_code evaluate_null(struct rfl_state *s, size_t n, struct chunk c,
                                   struct rfl_err *err) {
  size_t whole = (n + 7) / 8 * 8;
  for (size_t i = 0; i < whole; i++) c.eta[i] = c.offset[i] + s->null.beta;
  struct glm_rows rows = {.n = whole,
                          .y = c.y,
                          .weight = c.weight,
                          .eta = c.eta,
                          .w = c.null_w,
                          .r = c.null_r};
  double sum[2] = {0};
  RFL_TRY(glm_rows_at(&s->kind, false, &rows, sum, err));
  tally(s, GLM_NULL_DEVIANCE, sum[0]);
  tally(s, GLM_NULL_INFO, plain_sum(c.null_w, n));
  tally(s, GLM_NULL_SCORE, plain_sum(c.null_r, n));
  return RFL_OK;
}

static void count_levels(struct rfl_state *s, const struct rfl_block *b, size_t from,
                         size_t n, struct chunk c) {
  const struct rfl_gram *g = &s->design->gram;
  for (size_t t = 0; t < g->n_wide; t++) {
    const int32_t *code = b->coded[g->wide[t].coded].code + from;
    double *counts = s->sums.hi + s->design->counts + 3 * (size_t)g->wide[t].z;
    for (size_t i = 0; i < n; i++) {
      counts[3 * code[i]] += c.weight[i] > 0;
      counts[3 * code[i] + 1] += c.weight[i] * c.y[i];
      counts[3 * code[i] + 2] += c.weight[i];
    }
  }
}

static void count_rows(struct rfl_state *s, size_t n, struct chunk c) {
  double zero = 0, weight = 0, events = 0, offset = 0;
  for (size_t i = 0; i < n; i++) {
    zero += c.weight[i] == 0;
    weight += c.weight[i];
    events += c.weight[i] * c.y[i];
    offset += c.weight[i] * c.offset[i];
  }
  tally(s, GLM_ROWS, (double)n);
  tally(s, GLM_ZERO, zero);
  tally(s, GLM_WEIGHT, weight);
  tally(s, GLM_EVENTS, events);
  tally(s, GLM_OFFSET, offset);
  bool fits = s->round && !s->first && s->stage != GLM_MOMENTS;
  for (size_t i = 0; fits && i < n; i++)
    tally(s, GLM_ROUNDED, glm_rounded(&s->kind, c.y[i], c.weight[i], c.eta[i]));
}

static void count_once(struct rfl_state *s, const struct rfl_block *b, size_t from,
                       size_t n, struct chunk c) {
  double uneven = 0, saturated = 0, log_weight = 0;
  bool whole = s->kind.family == RFL_BINOMIAL;
  bool log_weights = s->kind.family == RFL_GAUSSIAN && b->weight && !s->kind.freq;
  for (size_t i = 0; i < n; i++) {
    saturated += glm_saturated(&s->kind, c.y[i], c.weight[i]);
    if (log_weights) log_weight += log(c.weight[i]);
    if (whole) uneven += glm_uneven(c.y[i], s->kind.freq ? 1 : c.weight[i]);
  }
  s->sums.hi[GLM_SATURATED] += saturated;
  s->sums.hi[GLM_LOG_WEIGHT] += log_weight;
  s->sums.hi[GLM_UNEVEN] += uneven;
  count_levels(s, b, from, n, c);
}

static enum rfl_code check(const struct rfl_state *s, const struct rfl_block *b,
                           struct rfl_err *err) {
  const struct rfl_layout *l = &s->design->layout;
  bool fits = b->n_dense == l->n_dense && b->n_coded == l->n_coded;
  for (size_t k = 0; fits && k < l->n_coded; k++)
    fits = b->coded[k].levels == l->levels[k];
  if (!fits)
    return rfl_fail(err, RFL_EARGUMENT, "The rows have other columns than the model.");
  if (s->cluster && (!b->n_extra || !b->extra[0]))
    return rfl_fail(err, RFL_EARGUMENT, "The rows have no clusters.");
  if (!b->y) return rfl_fail(err, RFL_EARGUMENT, "Rows to learn from need a response.");
  for (size_t i = 0; i < b->n; i++) {
    if (!glm_in_range(&s->kind, b->y[i]))
      return rfl_fail(err, RFL_EDATA, "The response must be %s, not %g.",
                      glm_range(&s->kind), b->y[i]);
    if (b->weight && !(b->weight[i] >= 0 && b->weight[i] <= DBL_MAX))
      return rfl_fail(err, RFL_EDATA, "A weight must be 0 or more, not %g.",
                      b->weight[i]);
  }
  return RFL_OK;
}

/* Weights of the pass of moments: the prior ones. */
static void weigh_only(size_t n, struct chunk c) {
  memcpy(c.w, c.weight, n * sizeof *c.w);
  memset(c.r, 0, n * sizeof *c.r);
}

/* A chunk whose cross products are the outer products of its scores. */
static void turn_outer(struct rfl_state *s, const struct rfl_block *b, size_t from,
                       size_t n, struct chunk c) {
  if (s->cluster) glm_bucket_rows(s, b, from, n, c.r);
  for (size_t i = 0; i < n; i++) {
    c.w[i] = c.r[i] * c.r[i];
    c.r[i] = 0;
  }
}

enum rfl_code glm_absorb(struct rfl_state *s, const struct rfl_block *b,
                         struct rfl_err *err) {
  RFL_TRY(check(s, b, err));
  if (s->settled) RFL_TRY(glm_renew(s, 1.0, err));
  if (s->stage == GLM_OUTER) RFL_TRY(glm_need_buckets(s, err));
  struct chunk c = cut(s);
  bool plain = s->stage == GLM_FITTING || s->stage == GLM_CLOSING;
  for (size_t from = 0, n; from < b->n; from += n) {
    n = b->n - from < s->design->gram.rows ? b->n - from : s->design->gram.rows;
    load(b, from, n, c);
    if (s->stage == GLM_MOMENTS)
      weigh_only(n, c);
    else
      RFL_TRY(evaluate(s, b, from, n, c, err));
    if (s->stage == GLM_OUTER) turn_outer(s, b, from, n, c);
    count_rows(s, n, c);
    if (s->count && plain) count_once(s, b, from, n, c);
    struct rfl_gram_rows rows = {.n = n, .w = c.w, .r = c.r, .x = c.x, .wx = c.wx};
    if (s->exact && glm_is_linear(&s->kind)) rows.r_low = c.eta_low;
    rfl_gram_add(&s->design->gram, b, from, &rows, glm_gram_sums(s));
    if (plain && s->null.ready && !s->null.done) RFL_TRY(evaluate_null(s, n, c, err));
  }
  return RFL_OK;
}
