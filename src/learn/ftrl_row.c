/* What a row adds up to, for learning and for scoring alike. */
#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "learn/ftrl_state.h"

static const double most_scaled = 100; /* a value so many sd away counts as that */

void ftrl_scale_take(struct ftrl_scale *s, double x, int32_t settle) {
  if (s->n >= settle) return;
  s->n += 1;
  double delta = x - s->mean;
  s->mean += delta / s->n;
  s->m2 += delta * (x - s->mean);
}

static double scale_of(double square) {
  double root = sqrt(square);
  return root > 0 && root < INFINITY ? root : 1;
}
double ftrl_scale_sd(const struct ftrl_scale *s) {
  return s->n > 1 ? scale_of(s->m2 / s->n) : 1;
}
double ftrl_scale_rms(const struct ftrl_scale *s) {
  return s->n > 0 ? scale_of(s->mean * s->mean + s->m2 / s->n) : 1;
}

static double bounded(double x, double most) {
  return x > most ? most : x < -most ? -most : x;
}

double ftrl_number_value(const struct rfl_state *s, const struct ftrl_number *number,
                         double x) {
  if (isnan(x)) return 0;
  const struct ftrl_scale *scale = &number->scale;
  double v = s->layout.intercept ? (x - scale->mean) / ftrl_scale_sd(scale)
                                 : x / ftrl_scale_rms(scale);
  return bounded(v, most_scaled);
}

struct ftrl_rates ftrl_rates(const struct rfl_state *s, uint64_t clock) {
  struct ftrl_rates r = {.offset = s->o.offset,
                         .per_rate = 1 / s->o.rate,
                         .l1 = s->o.l1,
                         .l2 = s->o.l2,
                         .shrink = 1,
                         .grow = 1};
  if (s->o.half_life < INFINITY) {
    r.grow = exp2((double)clock / s->o.half_life);
    r.shrink = 1 / r.grow;
  }
  return r;
}

const struct ftrl_kernel *ftrl_kernel(const struct rfl_state *s) {
#if defined(__x86_64__)
  if (rfl_cpu_level() >= RFL_CPU_AVX2)
    return s->o.wide ? &ftrl_doubles_avx2 : &ftrl_floats_avx2;
#endif
  return s->o.wide ? &ftrl_doubles_base : &ftrl_floats_base;
}

double ftrl_weight(const struct ftrl_rates *r, double z, double n) {
  double size = fabs(z) - r->l1;
  if (!(size > 0)) return 0;
  double w = size / ((r->offset + sqrt(n)) * r->per_rate + r->l2);
  return z > 0 ? -w : w;
}

enum rfl_code ftrl_check_columns(const struct rfl_state *s, const struct rfl_block *b,
                                 struct rfl_err *err) {
  const struct rfl_layout *l = &s->layout;
  bool fits =
      b->n_dense == l->n_dense && b->n_coded == l->n_coded && (b->hash || !s->open_sets);
  for (size_t k = 0; fits && k < l->n_coded; k++)
    fits = b->coded[k].levels == l->levels[k];
  if (fits) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT, "The rows have other columns than the model.");
}

void ftrl_view(const struct rfl_state *s, const struct rfl_block *b,
               struct ftrl_row *row) {
  for (size_t k = 0; k < s->n_features; k++) {
    const struct ftrl_feature *f = &s->feature[k];
    row->code[k] = f->levels ? b->coded[f->coded].code : NULL;
    row->first[k] = s->pair ? (char *)s->pair + f->at * ftrl_pair_size(s) : NULL;
  }
  row->ones = 0;
}

uint64_t ftrl_key(const struct ftrl_feature *f, const struct rfl_block *b, size_t i) {
  return b->hash[f->coded][i] ^ f->turn;
}

void ftrl_prefetch(const struct rfl_state *s, const struct rfl_block *b, size_t i,
                   const struct ftrl_row *row) {
  size_t size = ftrl_pair_size(s);
  for (size_t k = 0; k < s->n_features; k++) {
    const int32_t *code = row->code[k];
    if (!code) {
      ftrl_dict_prefetch(&s->dict, ftrl_key(&s->feature[k], b, i));
    } else if (code[i] >= 0) {
      __builtin_prefetch(row->first[k] + (size_t)code[i] * size, 1);
    }
  }
}

static void set_value(const struct rfl_state *s, struct ftrl_row *row, size_t k,
                      double x) {
  if (s->o.wide)
    row->x.d[k] = x;
  else
    row->x.f[k] = (float)x;
}

static void pad(const struct rfl_state *s, struct ftrl_row *row) {
  row->nobody[0] = row->nobody[1] = 0;
  for (size_t k = row->n; k % FTRL_LANES; k++) {
    row->at[k] = row->nobody;
    set_value(s, row, k, 0);
  }
}

/* Where every feature is hashed, is there, and has the value 1. */
static bool find_plain(const struct rfl_state *s, size_t i, struct ftrl_row *row) {
  size_t size = ftrl_pair_size(s), n = s->n_features;
  for (size_t k = 0; k < n; k++) {
    int32_t code = row->code[k][i];
    if (code < 0) return false;
    row->at[k] = row->first[k] + (size_t)code * size;
  }
  row->n = n;
  if (row->ones != n || !n) {
    for (size_t k = 0; k < n; k++) set_value(s, row, k, 1);
    row->ones = n;
  }
  pad(s, row);
  return true;
}

/* The pair of a feature that is there, or NULL. */
static void *find_pair(const struct rfl_state *s, const struct rfl_block *b, size_t i,
                       size_t k, const struct ftrl_row *row) {
  const struct ftrl_feature *f = &s->feature[k];
  if (!f->levels) return ftrl_dict_find(&s->dict, ftrl_key(f, b, i), ftrl_pair_size(s));
  int32_t code = row->code[k][i];
  if (code < 0) return NULL;
  size_t slot = ((uint64_t)code + f->turn) % (uint64_t)f->levels;
  return row->first[k] + slot * ftrl_pair_size(s);
}

static void find(const struct rfl_state *s, const struct rfl_block *b, size_t i,
                 struct ftrl_row *row) {
  row->n = row->ones = 0;
  for (size_t k = 0; k < s->n_features; k++) {
    const struct ftrl_feature *f = &s->feature[k];
    double x = 1;
    if (f->dense >= 0) {
      x = b->dense[f->dense][i];
      if (isnan(x)) continue;
      x = bounded(x / ftrl_scale_rms(&f->scale), most_scaled);
    }
    void *pair = find_pair(s, b, i, k, row);
    if (!pair) continue;
    set_value(s, row, row->n, x);
    row->at[row->n++] = pair;
  }
  pad(s, row);
}

double ftrl_predict(const struct rfl_state *s, const struct ftrl_rates *rates,
                    const struct rfl_block *b, size_t i, struct ftrl_row *row) {
  double eta = 0;
  row->bias_w = 0;
  if (s->layout.intercept) {
    struct ftrl_rates own = {.offset = s->o.offset, .per_rate = 1 / s->o.bias_rate};
    eta = row->bias_w = ftrl_weight(&own, s->bias_z, s->bias_n);
  }
  for (size_t k = 0; k < s->n_numbers; k++) {
    const struct ftrl_number *number = &s->number[k];
    row->number_x[k] = ftrl_number_value(s, number, b->dense[number->dense][i]);
    row->number_w[k] = ftrl_weight(rates, number->z, number->n);
    eta += row->number_x[k] * row->number_w[k];
  }
  if (!s->plain || !find_plain(s, i, row)) find(s, b, i, row);
  return eta + ftrl_kernel(s)->weigh(rates, row);
}

double ftrl_respond(const struct rfl_state *s, double eta, double offset) {
  if (s->o.family == RFL_FTRL_GAUSSIAN)
    return s->response.mean + ftrl_scale_sd(&s->response) * eta + offset;
  double at = bounded(eta + offset, s->o.family == RFL_FTRL_POISSON ? 20 : 35);
  return s->o.family == RFL_FTRL_POISSON ? exp(at) : 1 / (1 + exp(-at));
}
