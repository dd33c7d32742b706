/* The elastic net: minimise
 *
 *     1/2 sum w d(y, mu) / sum w + l1 sum s_j |b_j| + l2 / 2 sum s_j^2 b_j^2
 *
 * with d the unit deviance, s_j 1 (or the standard deviation of column j: `standardize`)
 * and s_j = 0 for the intercept. Friedman, Hastie & Tibshirani (2010), "Regularization
 * paths for generalized linear models via coordinate descent", J. Stat. Software 33.
 *
 * A pass sums X'WX and the score at the iterate, as without a penalty; the proximal
 * Newton step is found from those sums alone, by coordinate descent on p numbers: no row
 * is read for it. All of it is summable, so cuts, threads and shards change nothing. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

enum { MOST_SWEEPS = 20000 };

bool glm_penalised(const struct rfl_state *s) {
  return !s->has_prior && (s->l1 > 0 || s->l2 > 0);
}

int32_t glm_intercept(const struct rfl_state *s) {
  const struct rfl_layout *l = &s->design->layout;
  for (size_t t = 0; t < l->n_terms; t++)
    if (l->term[t].coded < 0 && l->term[t].dense < 0) return l->term[t].x;
  return -1;
}

/* The end of the pass of moments: X'WX with the prior weights. */
void glm_scale_columns(struct rfl_state *s) {
  size_t p = glm_p(s);
  int32_t one = glm_intercept(s);
  double n = glm_scalar(s, GLM_WEIGHT);
  for (size_t j = 0; j < p; j++) {
    size_t i = (size_t)one < j ? (size_t)one + j * p : j + (size_t)one * p;
    double mean = one < 0 ? 0 : s->info[i] / n;
    double var = s->info[j + j * p] / n - mean * mean;
    s->scale[j] = var > 1e-14 * s->info[j + j * p] / n ? sqrt(var) : 0;
  }
  if (one >= 0) s->scale[one] = 0;
}

void glm_scale_equal(struct rfl_state *s) {
  int32_t one = glm_intercept(s);
  for (size_t j = 0; j < glm_p(s); j++) s->scale[j] = 1;
  if (one >= 0) s->scale[one] = 0;
}

/* What l2 adds to the score and to the information; both penalties to the objective,
 * which is twice the sum of weights times that of the essay. */
double glm_penalise(const struct rfl_state *s, struct glm_work *w) {
  size_t p = glm_p(s);
  double n = glm_scalar(s, GLM_WEIGHT), sum = 0;
  for (size_t j = 0; j < p; j++) {
    double sb = s->scale[j] * s->beta[j], ridge = n * s->l2 * s->scale[j];
    sum += s->l1 * fabs(sb) + 0.5 * s->l2 * sb * sb;
    w->score.hi[j] -= ridge * sb;
    w->chol.a.hi[j + j * p] += ridge * s->scale[j];
  }
  return 2 * n * sum;
}

static double soft(double x, double by) { return x > by ? x - by : x < -by ? x + by : 0; }

/* One sweep over the coordinates; r = score - A step is kept up to date. Gives the sum of
 * squares of the moves in A's metric. */
static double sweep(const struct rfl_state *s, const double *ridge, double *step,
                    double *r, double n) {
  size_t p = glm_p(s);
  double moved = 0;
  for (size_t j = 0; j < p; j++) {
    double a = s->info[j + j * p] + ridge[j];
    if (!(a > 0)) continue;
    double at = s->beta[j] + step[j];
    double to = soft(r[j] + a * at, n * s->l1 * s->scale[j]) / a, move = to - at;
    if (move == 0) continue;
    step[j] += move;
    moved += a * move * move;
    for (size_t i = 0; i < p; i++) r[i] -= s->info[i < j ? i + j * p : j + i * p] * move;
    r[j] -= ridge[j] * move;
  }
  return moved;
}

/* The step for l1: into w->step.hi; gives its squared length, as Newton's decrement. */
double glm_proximal(const struct rfl_state *s, struct glm_work *w) {
  size_t p = glm_p(s);
  double n = glm_scalar(s, GLM_WEIGHT), *step = w->step.hi, *r = w->spare + p;
  double *ridge = w->spare, total = 0;
  memset(step, 0, p * sizeof *step);
  memcpy(r, w->score.hi, p * sizeof *r);
  for (size_t j = 0; j < p; j++) ridge[j] = n * s->l2 * s->scale[j] * s->scale[j];
  double limit = 1e-6 * s->tolerance * fmax(glm_noise(s), 1e-300);
  for (int k = 0; k < MOST_SWEEPS; k++) {
    double moved = sweep(s, ridge, step, r, n);
    total += moved;
    if (moved <= limit || moved <= 1e-16 * total) break;
  }
  double length = 0;
  for (size_t j = 0; j < p; j++) /* A step = score - r */
    length += step[j] * (w->score.hi[j] - r[j]);
  return length;
}

/* Information that the penalty stands for, once the fit becomes a prior. */
void glm_keep_penalty(struct rfl_state *s) {
  size_t p = glm_p(s);
  for (size_t j = 0; j < p; j++)
    s->prior_info[j + j * p] += s->now.weight * s->l2 * s->scale[j] * s->scale[j];
}
