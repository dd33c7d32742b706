/* Separation: the optimum lies at infinity.
 *
 * The usual case in click data is a level without a click, or with nothing but clicks: it
 * is known from counts after one pass. Newton would walk there at 1 per pass, some 30
 * passes. Instead:
 *
 *   1. bend: each such level gets a pseudo count of half an event (less when its weight
 *      is small), at the mean of its rows in the counting pass, so that a finite optimum
 *      exists, and the fit goes there quadratically. What they add to the score does not
 *      depend on the iterate: it is kept in `direction`, which is free until the jump;
 *   2. jump: from there beta moves by 32 along the direction that changes eta in the
 *      lonely levels only; they now weigh nothing (e^-32), and the pseudo counts go;
 *   3. the other coefficients settle in two or three more passes. What only lonely rows
 *      would tell (of two levels without events: how they differ) is held where it is by
 *      a damping of 1e-10 of each column's information: no prior, since the score is that
 *      of the data alone. Such coefficients have no finite variance.
 *
 * The direction d solves X d = e (e = -1 on rows of levels without an event, +1 on those
 * with only events) by weighted least squares: H d = X'We = T'(Z'WZ)e. Where e is not in
 * the span of X the level can be fitted after all, and nothing jumps.
 *
 * Separation by numbers (a hyperplane) is found at the end, by steps that do not shrink:
 * glm_finish(). */
#include <math.h>
#include <string.h>

#include "learn/glm_parts.h"

size_t glm_lonely(const struct rfl_state *s, double *e) {
  const struct rfl_gram *g = &s->design->gram;
  size_t n = 0;
  memset(e, 0, glm_z(s) * sizeof *e);
  for (size_t t = 0; t < g->n_wide; t++) {
    if (g->wide[t].dense >= 0) continue;
    for (int32_t l = 0; l < g->wide[t].levels; l++) {
      size_t z = (size_t)(g->wide[t].z + l);
      double events = s->counts[3 * z + 1], weight = s->counts[3 * z + 2];
      bool none = weight > 0 && events == 0;
      bool only = weight > 0 && events == weight && glm_is_share(&s->kind);
      e[z] = none ? -1 : only ? 1 : 0;
      n += none || only;
    }
  }
  return n;
}

bool glm_begin_bend(struct rfl_state *s, struct glm_work *w) {
  const struct rfl_gram *g = &s->design->gram;
  const double *sums = glm_gram_sums(s).hi;
  if (!glm_lonely(s, w->e)) return false;
  for (size_t t = 0; t < g->n_wide; t++) {
    const struct rfl_gram_wide *wide = &g->wide[t];
    for (int32_t l = 0; wide->dense < 0 && l < wide->levels; l++) {
      size_t z = (size_t)(wide->z + l);
      double weight =
          sums[wide->at + (size_t)l * g->stride]; /* of its rows in this pass */
      if (w->e[z] == 0) continue;
      w->e[z] *= weight > 0 ? -fmin(0.5, 0.25 * s->counts[3 * z + 2]) / weight : 0;
    }
  }
  rfl_gram_times(g, glm_gram_sums(s), w->e, w->ze);
  memset(s->direction, 0, glm_p(s) * sizeof *s->direction);
  rfl_contrast_collect(&s->design->contrast, w->ze, s->direction);
  memset(w->ze, 0, glm_z(s) * sizeof *w->ze);
  return true;
}

double glm_bend(const struct rfl_state *s, struct glm_work *w) {
  double objective = 0;
  for (size_t j = 0; j < glm_p(s); j++) {
    w->score.hi[j] += s->direction[j];
    objective -= 2 * s->direction[j] * s->beta[j];
  }
  return objective;
}

void glm_unbend(struct rfl_state *s) {
  if (s->bent) memset(s->direction, 0, glm_p(s) * sizeof *s->direction);
  s->bent = false;
}

void glm_jump(struct rfl_state *s, struct glm_work *w) {
  size_t p = glm_p(s);
  double *d = w->data_score, whole = 0, explained = 0, largest = 0;
  for (size_t j = 0; j < p; j++) s->beta[j] += w->step.hi[j];
  memcpy(s->start, s->beta, p * sizeof *s->start);
  memcpy(s->before, s->beta, p * sizeof *s->before);
  glm_unbend(s);
  s->objective = s->decrement = INFINITY;
  s->halvings = s->linear = 0;

  glm_lonely(s, w->e);
  rfl_gram_times(&s->design->gram, glm_gram_sums(s), w->e, w->ze);
  for (size_t z = 0; z < glm_z(s); z++) whole += w->e[z] * w->ze[z];
  memset(d, 0, p * sizeof *d);
  rfl_contrast_collect(&s->design->contrast, w->ze, d);
  memcpy(w->score.hi, d, p * sizeof *d);
  rfl_chol_solve(&w->chol, (struct rfl_sums){d, NULL});
  for (size_t j = 0; j < p; j++) {
    explained += d[j] * w->score.hi[j];
    largest = fmax(largest, fabs(d[j]));
  }
  if (whole - explained > 1e-6 * whole) return;
  s->separated = true;
  for (size_t j = 0; j < p; j++) {
    s->direction[j] = fabs(d[j]) > 1e-8 * largest ? d[j] : 0;
    s->beta[j] += 32 * s->direction[j];
  }
}

static double damping(const struct rfl_state *s, size_t j) {
  return 1e-10 * s->column_size[j] * s->column_size[j] * glm_gram_sums(s).hi[0];
}

void glm_hold(const struct rfl_state *s, struct glm_work *w) {
  size_t p = glm_p(s);
  for (size_t j = 0; j < p; j++) w->chol.a.hi[j + j * p] += damping(s, j);
}

/* Along a row such marks are added to directions of 32 or 1: no sum of theirs is 0. */
static const double no_ratio = 0.6180339887498949;

void glm_undetermined(struct rfl_state *s, const struct glm_work *w) {
  size_t p = glm_p(s);
  double *column = w->data_score, *kept = w->score.hi; /* the latter only to keep */
  memcpy(kept, column, p * sizeof *kept);
  for (size_t j = 0; j < p; j++) {
    if (!w->chol.kept[j] || s->direction[j] != 0) continue;
    memset(column, 0, p * sizeof *column);
    column[j] = 1;
    rfl_chol_solve(&w->chol, (struct rfl_sums){column, NULL});
    if (column[j] * damping(s, j) > 1e-4) s->direction[j] = no_ratio;
  }
  memcpy(column, kept, p * sizeof *kept);
}
