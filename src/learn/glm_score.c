/* Scores: eta chunk by chunk, the response by the same vector code for every row, so that
 * a row alone and a row in a batch give the same bits. The standard error of eta is
 * ||R^-T x|| for the factor R of the information, a sum of squares without cancellation,
 * at p^2 / 2 operations a row. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

enum { CHUNK = 256 };

uint32_t glm_width(const struct rfl_state *s, int what) {
  (void)s;
  return what == RFL_GLM_LINK_SE ? 2 : 1;
}

double glm_outer(const struct rfl_state *s, size_t i, size_t j) {
  size_t at = i <= j ? i + j * glm_p(s) : j + i * glm_p(s);
  double k = s->prior_outer ? s->prior_outer[at] : s->prior_info[at];
  return s->settled ? s->keep * s->keep * k + s->info[at] : k;
}

void glm_expand(const struct rfl_state *s, const struct rfl_block *b, size_t i,
                double *x) {
  const struct rfl_gram *g = &s->design->gram;
  const struct rfl_contrast *c = &s->design->contrast;
  memset(x, 0, glm_p(s) * sizeof *x);
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

/* Whether eta of this row is at infinity. */
static bool runs_away(const struct rfl_state *s, const double *x) {
  double along = 0, size = 0;
  for (size_t j = 0; j < glm_p(s); j++) {
    along += x[j] * s->direction[j];
    size += fabs(x[j] * s->direction[j]);
  }
  return fabs(along) > 1e-6 * size;
}

static double variance(const struct rfl_state *s, double *x) {
  size_t p = glm_p(s);
  if (!s->forgets) return rfl_chol_norm2(&s->chol, x);
  rfl_chol_solve(&s->chol, (struct rfl_sums){x, NULL});
  double sum = 0;
  for (size_t j = 0; j < p; j++)
    for (size_t i = 0; i < p; i++) sum += x[i] * glm_outer(s, i, j) * x[j];
  return sum;
}

static enum rfl_code standard_errors(const struct rfl_state *s, const struct rfl_block *b,
                                     double *out, struct rfl_err *err) {
  double *x = rfl_alloc(glm_p(s), sizeof *x), phi = glm_dispersion(s);
  if (!x) return rfl_no_memory(err);
  for (size_t i = 0; i < b->n; i++) {
    glm_expand(s, b, i, x);
    out[i] = s->l1 > 0 ? NAN : runs_away(s, x) ? INFINITY : sqrt(phi * variance(s, x));
  }
  rfl_free(x);
  return RFL_OK;
}

static enum rfl_code check(const struct rfl_state *s, const struct rfl_block *b,
                           struct rfl_err *err) {
  const struct rfl_layout *l = &s->design->layout;
  if (!s->settled && !s->has_prior)
    return rfl_fail(err, RFL_EMODEL, "The model has not been fitted yet.");
  bool fits = b->n_dense == l->n_dense && b->n_coded == l->n_coded;
  for (size_t k = 0; fits && k < l->n_coded; k++)
    fits = b->coded[k].levels == l->levels[k];
  if (!fits)
    return rfl_fail(err, RFL_EARGUMENT, "The rows have other columns than the model.");
  return RFL_OK;
}

enum rfl_code glm_score(const struct rfl_state *s, const struct rfl_block *b, int what,
                        double *out, struct rfl_err *err) {
  RFL_TRY(check(s, b, err));
  if (what < RFL_GLM_LINK || what > RFL_GLM_LINK_SE)
    return rfl_fail(err, RFL_EARGUMENT, "A GLM has no score number %d.", what);
  if (what == RFL_GLM_RESPONSE && s->kind.family == RFL_CUSTOM)
    return rfl_fail(err, RFL_EMODEL, "The response of this family is known to R only.");
  if (what == RFL_GLM_LINK_SE) RFL_TRY(standard_errors(s, b, out + b->n, err));
  for (size_t from = 0; from < b->n; from += CHUNK) {
    size_t n = b->n - from < CHUNK ? b->n - from : CHUNK;
    rfl_gram_eta(&s->design->gram, s->gamma, b, from, n, out + from);
    if (what == RFL_GLM_RESPONSE) glm_respond(&s->kind, out + from, n);
  }
  return RFL_OK;
}
