/* Scores: lp chunk by chunk, by the same vector code for every row, so that a row alone
 * and a row in a batch give the same bits. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/aft_parts.h"
#include "num/kernel.h"

enum { CHUNK = 256 };

uint32_t aft_width(const struct rfl_state *s, int what) {
  (void)s;
  static const uint32_t width[RFL_AFT_N_SCORES] = {1, 1, 2, 5, 8};
  return what >= 0 && what < RFL_AFT_N_SCORES ? width[what] : 1;
}

/* Row i of the block as a row of X. */
static void expand(const struct rfl_state *s, const struct rfl_block *b, size_t i,
                   double *x) {
  const struct rfl_gram *g = &s->design->gram;
  const struct rfl_contrast *c = &s->design->contrast;
  memset(x, 0, aft_p(s) * sizeof *x);
  for (size_t j = 0; j < g->plain; j++) {
    double v = g->dense[j] < 0 ? 1.0 : b->dense[g->dense[j]][i];
    if (g->z[j] >= 0) x[c->x[c->at[g->z[j]]]] += v;
  }
  for (size_t t = 0; t < g->n_wide; t++) {
    const struct rfl_gram_wide *w = &g->wide[t];
    size_t z = (size_t)(w->z + b->coded[w->coded].code[i]);
    double v = w->dense < 0 ? 1.0 : b->dense[w->dense][i];
    for (size_t k = c->at[z]; k < c->at[z + 1]; k++) x[c->x[k]] += v * c->factor[k];
  }
}

static size_t stratum(const struct rfl_state *s, const struct rfl_block *b, size_t i) {
  int32_t at = s->design->options.stratum;
  return at < 0 ? 0 : (size_t)b->extra[at][i];
}

/* Whether eta of this row is at infinity. */
static bool runs_away(const struct rfl_state *s, const double *x) {
  double along = 0, size = 0;
  for (size_t j = 0; j < aft_p(s); j++) {
    along += x[j] * s->direction[j];
    size += fabs(x[j] * s->direction[j]);
  }
  return fabs(along) > 1e-6 * size;
}

/* var(lp), and its covariance with the tau of column k. */
static void quadratic(const double *v, const double *x, size_t p, size_t q, size_t k,
                      double *own, double *shared) {
  *own = *shared = 0;
  for (size_t j = 0; j < p; j++) {
    double sum = 0;
    for (size_t i = 0; i < p; i++) sum += v[i + j * q] * x[i];
    *own += sum * x[j];
    if (k < q) *shared += v[j + k * q] * x[j];
  }
}

static enum rfl_code variances(const struct rfl_state *s, const struct rfl_block *b,
                               int what, double *out, struct rfl_err *err) {
  size_t p = aft_p(s), q = aft_q(s), n = b->n;
  double *v = rfl_alloc(q * q + p, sizeof *v);
  if (!v) return rfl_no_memory(err);
  double *x = v + q * q;
  enum rfl_code code = aft_covariance(s, true, v, err);
  for (size_t i = 0; !code && i < n; i++) {
    size_t g = stratum(s, b, i), k = s->design->scales ? p + g : q;
    double own, shared;
    expand(s, b, i, x);
    quadratic(v, x, p, q, k, &own, &shared);
    if (runs_away(s, x)) own = INFINITY;
    if (what == RFL_AFT_LP_SE) {
      out[n + i] = sqrt(own);
      continue;
    }
    out[n + i] = exp(aft_tau(s, g));
    out[2 * n + i] = own;
    out[3 * n + i] = shared;
    out[4 * n + i] = k < q ? v[k + k * q] : 0;
  }
  rfl_free(v);
  return code;
}

/* ---- the derivatives of each row ---- */

static void derive(const struct rfl_state *s, const struct aft_times *t, size_t i,
                   double eta, double *to, size_t n) {
  size_t g = (size_t)t->stratum[i];
  double tau = aft_tau(s, g), sigma = exp(tau);
  enum rfl_aft_status status = (enum rfl_aft_status)t->status[i];
  struct aft_row row;
  aft_row_at(&s->design->dist, status, (t->y[i] - eta) / sigma, (t->y2[i] - eta) / sigma,
             &row);
  if (status == RFL_AFT_EXACT) row.l -= tau;
  to[0] = sigma;
  to[n] = row.l;
  to[2 * n] = row.a / sigma;
  to[3 * n] = -row.b / (sigma * sigma);
  to[4 * n] = row.c;
  to[5 * n] = -row.d;
  to[6 * n] = -row.e / sigma;
}

static enum rfl_code derivatives(const struct rfl_state *s, const struct rfl_block *b,
                                 double *out, struct rfl_err *err) {
  const struct aft_design *d = s->design;
  RFL_TRY(aft_times_check(d, b, false, err));
  size_t rows = d->gram.rows;
  double *scratch = rfl_alloc(rows * 7, sizeof *scratch);
  if (!scratch) return rfl_no_memory(err);
  struct aft_times t = {.y = scratch,
                        .y2 = scratch + rows,
                        .weight = scratch + 2 * rows,
                        .log_time = scratch + 3 * rows};
  t.stratum = (int32_t *)(void *)(scratch + 4 * rows);
  t.cluster = (int32_t *)(void *)(scratch + 5 * rows);
  t.status = (uint8_t *)(scratch + 6 * rows);
  for (size_t from = 0, n; from < b->n; from += n) {
    n = b->n - from < rows ? b->n - from : rows;
    aft_times_load(d, b, from, n, &t);
    for (size_t i = 0; i < n; i++)
      derive(s, &t, i, out[from + i], out + b->n + from + i, b->n);
  }
  rfl_free(scratch);
  return RFL_OK;
}

/* ---- the door ---- */

static enum rfl_code check(const struct rfl_state *s, const struct rfl_block *b, int what,
                           struct rfl_err *err) {
  const struct rfl_aft_options *o = &s->design->options;
  if (what < 0 || what >= RFL_AFT_N_SCORES)
    return rfl_fail(err, RFL_EARGUMENT, "A survival model has no score number %d.", what);
  if (!s->settled && !s->has_prior)
    return rfl_fail(err, RFL_EMODEL, "The model has not been fitted yet.");
  RFL_TRY(aft_columns_check(s->design, b, err));
  if (what != RFL_AFT_DERIVATIVES && (what != RFL_AFT_PARTS || o->stratum < 0))
    return RFL_OK;
  bool here = b->n_extra == s->design->layout.n_extra;
  if (here && what == RFL_AFT_PARTS) here = b->extra[o->stratum] != NULL;
  if (!here)
    return rfl_fail(err, RFL_EARGUMENT, "Rows to be scored so need times and strata.");
  for (size_t i = 0; o->stratum >= 0 && b->extra[o->stratum] && i < b->n; i++) {
    double g = b->extra[o->stratum][i];
    if (!(g >= 0 && g < o->n_strata))
      return rfl_fail(err, RFL_EDATA,
                      "A row has a stratum that the model does not know.");
  }
  return RFL_OK;
}

enum rfl_code aft_score(const struct rfl_state *s, const struct rfl_block *b, int what,
                        double *out, struct rfl_err *err) {
  RFL_TRY(check(s, b, what, err));
  for (size_t from = 0; from < b->n; from += CHUNK) {
    size_t n = b->n - from < CHUNK ? b->n - from : CHUNK;
    rfl_gram_eta(&s->design->gram, s->gamma, b, from, n, out + from);
    if (what == RFL_AFT_RESPONSE && s->design->options.log_time)
      rfl_kernels()->exp(out + from, out + from, n);
  }
  if (what == RFL_AFT_LP_SE || what == RFL_AFT_PARTS)
    return variances(s, b, what, out, err);
  return what == RFL_AFT_DERIVATIVES ? derivatives(s, b, out, err) : RFL_OK;
}
