#include <math.h>
#include <string.h>

#include "learn/ftrl_state.h"

uint32_t ftrl_width(const struct rfl_state *s, int what) {
  return what == RFL_FTRL_AUDIT ? 2 * (uint32_t)s->n_features : 1;
}

/* What a weight for the scaled response is for the response itself. */
static double response_unit(const struct rfl_state *s) {
  return s->o.family == RFL_FTRL_GAUSSIAN ? ftrl_scale_sd(&s->response) : 1;
}

/* Weights and slots of row i, feature by feature. */
static void audit(const struct rfl_state *s, const struct ftrl_rates *rates,
                  const struct rfl_block *b, size_t i, double *out) {
  size_t size = ftrl_pair_size(s), n = b->n;
  double once = rates->shrink, twice = once * once;
  for (size_t k = 0; k < s->n_features; k++) {
    const struct ftrl_feature *f = &s->feature[k];
    const char *pair = NULL;
    double z = 0, sum = 0, slot = NAN;
    if (!f->levels) {
      pair = ftrl_dict_find(&s->dict, ftrl_key(f, b, i), size);
    } else if (b->coded[f->coded].code[i] >= 0) {
      uint64_t code = (uint64_t)b->coded[f->coded].code[i];
      uint64_t at = (code + f->turn) % (uint64_t)f->levels;
      slot = (double)at;
      pair = (const char *)s->pair + (f->at + at) * size;
    }
    if (pair && s->o.wide) {
      z = ((const double *)(const void *)pair)[0];
      sum = ((const double *)(const void *)pair)[1];
    } else if (pair) {
      z = (double)((const float *)(const void *)pair)[0];
      sum = (double)((const float *)(const void *)pair)[1];
    }
    double unit = f->dense < 0 ? 1 : ftrl_scale_rms(&f->scale);
    out[2 * k * n + i] =
        ftrl_weight(rates, once * z, twice * sum) * response_unit(s) / unit;
    out[(2 * k + 1) * n + i] = slot;
  }
}

enum rfl_code ftrl_score(const struct rfl_state *s, const struct rfl_block *b, int what,
                         double *out, struct rfl_err *err) {
  RFL_TRY(ftrl_check_columns(s, b, err));
  if (what < RFL_FTRL_LINK || what > RFL_FTRL_AUDIT)
    return rfl_fail(err, RFL_EARGUMENT, "FTRL has no score number %d.", what);
  struct ftrl_rates rates = ftrl_rates(s, s->clock);
  if (what == RFL_FTRL_AUDIT) {
    for (size_t i = 0; i < b->n; i++) audit(s, &rates, b, i, out);
    return RFL_OK;
  }
  struct ftrl_row row = {0};
  ftrl_view(s, b, &row);
  for (size_t i = 0; i < b->n; i++) {
    if (i + FTRL_AHEAD < b->n) ftrl_prefetch(s, b, i + FTRL_AHEAD, &row);
    double eta = ftrl_predict(s, &rates, b, i, &row);
    double offset = b->offset ? b->offset[i] : 0;
    if (what == RFL_FTRL_RESPONSE || s->o.family == RFL_FTRL_GAUSSIAN)
      out[i] = ftrl_respond(s, eta, offset);
    else
      out[i] = eta + offset;
  }
  return RFL_OK;
}

/* ---- the result ---- */

static void count_pairs(const struct rfl_state *s, struct rfl_ftrl_result *r) {
  const double *d = s->pair;
  const float *f = s->pair;
  struct ftrl_rates rates = ftrl_rates(s, s->clock);
  size_t occupied = 0, non_zero = 0;
  for (size_t k = 0; k < s->n_pairs; k++) {
    double z = s->o.wide ? d[2 * k] : (double)f[2 * k];
    double n = s->o.wide ? d[2 * k + 1] : (double)f[2 * k + 1];
    occupied += n > 0;
    non_zero += n > 0 && fabs(z) * rates.shrink > s->o.l1;
  }
  r->slots = (double)s->n_pairs;
  r->occupied = (double)occupied;
  r->non_zero = (double)non_zero;
  /* Linear counting (Whang, Vander-Zanden & Taylor 1990). A value is alone when none of
   * the others fell into its slot: the share of the others' slots is that of all. */
  double full = r->slots > 0 ? r->occupied / r->slots : 0;
  r->distinct = full < 1 ? -r->slots * log1p(-full) : INFINITY;
  r->shared = r->distinct > 1 ? -expm1((r->distinct - 1) * log1p(-1 / r->slots)) : 0;
}

static double base_loss(const struct rfl_state *s) {
  const struct ftrl_sums *t = &s->sums;
  double mean = t->events / t->weight;
  if (s->o.family == RFL_FTRL_GAUSSIAN) return 0.5 * t->shape / t->weight;
  if (s->o.family == RFL_FTRL_POISSON)
    return mean > 0 ? t->shape / t->weight - mean * log(mean) : 0;
  if (!(mean > 0 && mean < 1)) return 0;
  return -mean * log(mean) - (1 - mean) * log1p(-mean);
}

static double number_coef(const struct rfl_state *s, const struct ftrl_number *number) {
  struct ftrl_rates rates = ftrl_rates(s, 0);
  const struct ftrl_scale *scale = &number->scale;
  double unit = s->layout.intercept ? ftrl_scale_sd(scale) : ftrl_scale_rms(scale);
  return ftrl_weight(&rates, number->z, number->n) * response_unit(s) / unit;
}

void rfl_ftrl_numbers(const struct rfl_state *s, double *coef) {
  for (size_t k = 0; k < s->n_numbers; k++) coef[k] = number_coef(s, &s->number[k]);
}

static double intercept(const struct rfl_state *s) {
  if (!s->layout.intercept) return NAN;
  struct ftrl_rates own = {.offset = s->o.offset, .per_rate = 1 / s->o.bias_rate};
  double b = ftrl_weight(&own, s->bias_z, s->bias_n) * response_unit(s) +
             s->response.mean * (s->o.family == RFL_FTRL_GAUSSIAN);
  for (size_t k = 0; k < s->n_numbers; k++)
    b -= number_coef(s, &s->number[k]) * s->number[k].scale.mean;
  return b;
}

size_t ftrl_size(const struct rfl_state *s) {
  return sizeof *s + s->n_pairs * ftrl_pair_size(s) + s->n_numbers * sizeof *s->number +
         s->n_features * sizeof *s->feature +
         ftrl_dict_size(&s->dict, ftrl_pair_size(s)) + (s->row ? sizeof *s->row : 0);
}

void rfl_ftrl_result(const struct rfl_state *s, struct rfl_ftrl_result *gives) {
  struct rfl_ftrl_result r = {.rows = (double)s->rows,
                              .kept = (double)s->kept,
                              .weight = s->sums.weight,
                              .events = s->sums.events,
                              .loss = NAN,
                              .base_loss = NAN,
                              .entries = (double)s->dict.n,
                              .size = (double)ftrl_size(s),
                              .passes = s->passes,
                              .n_numbers = s->n_numbers,
                              .intercept = intercept(s),
                              .wide = s->o.wide};
  count_pairs(s, &r);
  if (s->sums.weight > 0) {
    r.loss = s->sums.loss / s->sums.weight;
    r.base_loss = base_loss(s);
  }
  *gives = r;
}
