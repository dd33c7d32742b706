/* Firth's bias reduction, for logistic models and counts with a log link: the maximum of
 * the likelihood times Jeffreys' prior, sqrt |I(b)|. Firth (1993), "Bias reduction of
 * maximum likelihood estimates", Biometrika 80; Heinze & Schemper (2002), "A solution to
 * the problem of separation in logistic regression", Statistics in Medicine 21.
 *
 *     score of a row:  w (y - mu) + h/2 d log(mu') / d eta,   h = its leverage
 *
 * The leverage needs the inverse information at the iterate, which is known at the end of
 * a pass only; so each iterate takes two passes, one for the factor and one for the
 * score. Both are sums over the rows. Cost of a row: p^2 / 2.
 *
 * The estimate overpredicts rare events; so the intercept is fitted anew at the end, the
 * other coefficients kept, until the fitted events are as many as the observed ones:
 * FLIC, Puhr, Heinze, Nold, Lusa & Geroldinger (2017), "Firth's logistic regression with
 * rare events", Statistics in Medicine 36. The covariance stays that of Firth's estimate.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

void glm_lever_release(struct glm_lever *l) {
  if (!l || atomic_fetch_sub(&l->refs, 1) > 1) return;
  rfl_chol_release(&l->chol);
  rfl_free(l);
}

struct glm_lever *glm_lever_keep(struct glm_lever *l) {
  if (l) atomic_fetch_add(&l->refs, 1);
  return l;
}

/* An empty lever of the state's own. */
enum rfl_code glm_lever_new(struct rfl_state *s, struct rfl_err *err) {
  struct glm_lever *l = rfl_alloc(1, sizeof *l);
  if (!l) return rfl_no_memory(err);
  atomic_init(&l->refs, 1);
  enum rfl_code code = rfl_chol_new(glm_p(s), false, &l->chol, err);
  if (code) {
    glm_lever_release(l);
    return code;
  }
  glm_lever_release(s->lever);
  s->lever = l;
  return RFL_OK;
}

/* A copy of the factor in w becomes the lever of the next pass; parts may still hold the
 * one before. */
enum rfl_code glm_lever_set(struct rfl_state *s, const struct glm_work *w,
                            struct rfl_err *err) {
  RFL_TRY(glm_lever_new(s, err));
  size_t p = glm_p(s);
  struct rfl_chol *c = &s->lever->chol;
  memcpy(c->a.hi, w->chol.a.hi, p * p * sizeof(double));
  memcpy(c->scale, w->chol.scale, p * sizeof(double));
  memcpy(c->kept, w->chol.kept, p);
  return RFL_OK;
}

/* Log of the determinant of the information: from its factor. */
double glm_log_determinant(const struct rfl_chol *c) {
  double sum = 0;
  for (size_t j = 0; j < c->p; j++)
    if (c->kept[j]) sum += 2 * log(c->a.hi[j + j * c->p] * c->scale[j]);
  return sum;
}

/* Adds the rows' modifications to their scores r; x is scratch of n_x. */
void glm_firth_add(const struct rfl_state *s, const struct rfl_block *b, size_t from,
                   const struct glm_rows *c, double *x) {
  struct glm_strip strip;
  for (size_t at = 0; at < c->n; at += strip.n) {
    strip.n = c->n - at < GLM_STRIP ? c->n - at : GLM_STRIP;
    for (size_t i = 0; i < strip.n; i++) strip.eta[i] = c->eta[at + i];
    glm_invert(&s->kind, &strip);
    for (size_t i = 0; i < strip.n; i++) {
      if (!(c->weight[at + i] > 0)) continue;
      glm_expand(s, b, from + at + i, x);
      double h = c->w[at + i] * rfl_chol_norm2(&s->lever->chol, x);
      c->r[at + i] += 0.5 * h * (strip.d2[i] / strip.d[i]);
    }
  }
}

/* FLIC: Newton's step for the intercept alone; false at its end. */
bool glm_flic(struct rfl_state *s, const struct glm_work *w) {
  size_t j = (size_t)glm_intercept(s);
  double info = s->info[j + j * glm_p(s)], score = w->data_score[j];
  if (!(info > 0)) return false;
  double step = score / info;
  s->beta[j] += fmax(-4, fmin(4, step));
  return score * step > 1e-18 && s->passes < s->max_passes;
}
