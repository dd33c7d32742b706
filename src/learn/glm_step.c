/* What comes after a pass: Newton's or Fisher's step, another kind of pass, or the end.
 *
 * Where the link is not canonical, Fisher's scoring (what glm() does) converges linearly.
 * So once its decrement is below 1 the passes take the observed information: Newton's
 * method proper, which converges quadratically. It is dropped for good where that matrix
 * is not positive or its steps need halving. Standard errors are glm()'s all the same,
 * from the expected information: one closing pass at the optimum takes it. */
#include <math.h>
#include <string.h>

#include "learn/glm_parts.h"

enum { EXACT_COLUMNS = 400 };
static const double exact_work = 1e7, exact_pivot = 1e-6;

bool glm_small(const struct rfl_state *s) {
  double p = (double)glm_p(s);
  if (s->firth || glm_penalised(s)) return false;
  return !s->has_prior && p <= EXACT_COLUMNS &&
         glm_scalar(s, GLM_ROWS) * p * p <= exact_work;
}

bool glm_wants_exact(const struct rfl_state *s, const struct glm_work *w, bool *repeat) {
  size_t p = glm_p(s);
  *repeat = false;
  if (s->has_prior || p > EXACT_COLUMNS || s->firth || glm_penalised(s)) return false;
  if (glm_small(s) && s->alias_known) return true;
  if (s->separated && !glm_small(s)) return false; /* vanishing weights, not columns */
  bool near = w->chol.least < exact_pivot;
  for (size_t j = 0; j < p; j++) /* a column of zeros is aliased for certain */
    near |=
        !w->chol.kept[j] && s->info[j + j * p] > 0 && !(s->alias_known && s->aliased[j]);
  *repeat = near && !s->exact && !s->alias_known;
  return near || glm_small(s);
}

double glm_noise(const struct rfl_state *s) {
  if (glm_fixed_dispersion(&s->kind)) return 1;
  struct glm_totals t = s->past;
  double rows = glm_scalar(s, GLM_ROWS) - glm_scalar(s, GLM_ZERO);
  if (s->kind.freq) rows = glm_scalar(s, GLM_WEIGHT);
  double df = s->keep * t.effective + rows - glm_rank(s);
  double pearson = glm_scalar(s, GLM_PEARSON) + s->keep * t.pearson;
  return df > 0 ? pearson / df : 0;
}

static double dot(const double *x, const double *y, size_t n) {
  double sum = 0;
  for (size_t j = 0; j < n; j++) sum += x[j] * y[j];
  return sum;
}

/* beta' H beta: what rounding errors of eta are measured by. */
static double size_of_eta(const struct rfl_state *s) {
  size_t p = glm_p(s);
  double sum = 0;
  for (size_t j = 0; j < p; j++)
    for (size_t i = 0; i < p; i++)
      sum += s->info[i <= j ? i + j * p : j + i * p] * s->beta[i] * s->beta[j];
  return sum;
}

/* Fisher's steps shrink by a constant factor: what is left after this one is known from
 * it. Newton's last step leaves next to nothing. */
static double left_after(const struct rfl_state *s, double decrement) {
  if ((glm_is_canonical(&s->kind) && !s->firth) || s->sharp) return 0;
  double ratio = sqrt(decrement / s->decrement);
  if (!(ratio < 1)) return decrement;
  return decrement * ratio * ratio / ((1 - ratio) * (1 - ratio));
}

static bool is_done(const struct rfl_state *s, double decrement) {
  if (s->first || !s->counted) return false;
  if (s->sums.hi[GLM_UNEVEN] > 0 && !s->round) return false; /* not summed yet */
  if (!s->null.done && s->passes < 30) return false;
  if (glm_small(s) && !s->exact) return false;
  double limit = s->tolerance * glm_noise(s), near = limit;
  if (s->exact && !glm_is_linear(&s->kind)) near *= 1e-6;
  if (decrement <= near && left_after(s, decrement) <= limit) return true;
  bool stalled = s->passes >= 2 && decrement >= 0.01 * s->decrement;
  if (glm_is_linear(&s->kind)) return stalled;
  if (stalled && decrement <= limit && left_after(s, decrement) <= limit) return true;
  bool open = !glm_fixed_dispersion(&s->kind); /* a fit without any residual */
  return open && decrement <= 1e-26 * size_of_eta(s);
}

/* ---- the step ---- */

/* Without events, or with a hyperplane between the classes, the optimum is at infinity:
 * each step adds 1 to eta there while the decrement shrinks by 1/e. Six steps at once. */
static double stride(struct rfl_state *s, double decrement) {
  double ratio = decrement / s->decrement;
  bool linear = !s->first && !s->has_prior && !s->firth && !glm_penalised(s) &&
                glm_may_separate(&s->kind) && ratio > 0.3 && ratio < 0.45;
  s->linear = linear ? s->linear + 1 : 0;
  if (s->linear < 3) return 1;
  s->linear = 0;
  return 6;
}

/* The step from glm()'s start has no iterate before it to halve back to: the model of the
 * mean alone stands for one, which every link can evaluate. */
static void begin_from_mean(struct rfl_state *s) {
  const struct rfl_layout *l = &s->design->layout;
  if (s->kind.family == RFL_CUSTOM) return;
  double mean = glm_scalar(s, GLM_EVENTS) / glm_scalar(s, GLM_WEIGHT);
  for (size_t t = 0; t < l->n_terms; t++)
    if (l->term[t].coded < 0 && l->term[t].dense < 0)
      s->before[l->term[t].x] = glm_link(&s->kind, mean);
}

static bool may_be_sharp(const struct rfl_state *s) {
  if (glm_penalised(s)) return false;
  return !s->first && !s->bent && !s->blunt && s->kind.family != RFL_CUSTOM &&
         !glm_is_canonical(&s->kind);
}

/* ---- theta: glm_theta.c ---- */

static void step_theta(struct rfl_state *s) {
  double score = glm_scalar(s, GLM_THETA_SCORE), info = glm_scalar(s, GLM_THETA_INFO);
  double step = info > 0 ? score / info : score > 0 ? 1 : -1;
  s->before_shape = s->kind.shape;
  s->kind.shape *= exp(fmin(2, fmax(-2, step)));
}

/* The Poisson fit has converged: theta is infinite, or from now on finite. */
static bool begin_theta(struct rfl_state *s) {
  double excess = glm_scalar(s, GLM_THETA_SCORE);
  if (!isinf(s->kind.shape) || !(excess > 0)) return false;
  s->kind.shape = s->before_shape = glm_scalar(s, GLM_THETA_INFO) / excess;
  s->objective = s->decrement = INFINITY;
  return true;
}

static bool theta_done(const struct rfl_state *s) {
  double score = glm_scalar(s, GLM_THETA_SCORE), info = glm_scalar(s, GLM_THETA_INFO);
  if (!s->kind.estimate || isinf(s->kind.shape)) return true;
  return info > 0 && score * score <= s->tolerance * info;
}

/* The standard error: from the observed information, as MASS. */
static void end_theta(struct rfl_state *s) {
  if (!s->kind.estimate) return;
  if (!isinf(s->kind.shape)) {
    s->theta_se = s->kind.shape / sqrt(glm_scalar(s, GLM_THETA_INFO));
  } else {
    s->theta_se = INFINITY;
  }
}

static void take_step(struct rfl_state *s, struct glm_work *w, double objective,
                      double decrement) {
  size_t p = glm_p(s);
  double f = stride(s, decrement);
  memcpy(s->before, s->beta, p * sizeof *s->before);
  if (s->first) begin_from_mean(s);
  s->objective = s->first ? INFINITY : objective;
  s->decrement = s->first ? INFINITY : decrement;
  for (size_t j = 0; j < p; j++) s->beta[j] += f * w->step.hi[j];
  s->sharp = may_be_sharp(s) && decrement <= glm_noise(s);
  if (s->kind.estimate && !isinf(s->kind.shape)) step_theta(s);
  s->first = false;
  s->halvings = 0;
}

static void settle_aliases(struct rfl_state *s, const struct glm_work *w) {
  for (size_t j = 0; j < glm_p(s) && !s->alias_known; j++) {
    s->aliased[j] = !w->chol.kept[j];
    if (s->aliased[j]) s->beta[j] = 0;
  }
  s->alias_known = true;
}

/* The deviance cannot fall by more than it is: where the step promises that, the iterate
 * is so far off that the quadratic says nothing, and glm()'s start is better than ours.
 */
static bool bad_start(const struct rfl_state *s, double objective, double decrement) {
  return s->passes == 0 && !s->first && !s->has_prior && !glm_is_linear(&s->kind) &&
         !(decrement <= objective);
}

/* One more pass, at the optimum. What was counted for another theta is counted anew. */
static void close_fit(struct rfl_state *s) {
  s->stage = GLM_CLOSING;
  s->sharp = false;
  if (!s->kind.estimate) return;
  s->counted = false;
  s->null.done = false;
  s->null.best = INFINITY;
}

/* From the factor on: a step, a jump, or the end. */
bool glm_advance(struct rfl_state *s, struct glm_work *w, double objective) {
  size_t p = glm_p(s);
  memcpy(w->step.hi, w->score.hi, p * sizeof(double));
  if (w->step.lo) memcpy(w->step.lo, w->score.lo, p * sizeof(double));
  rfl_chol_solve(&w->chol, w->step);
  if (s->stage == GLM_CLOSING) {
    if (!s->null.done && s->passes < s->max_passes) return true;
    end_theta(s);
    glm_finish(s, w, true);
    return false;
  }
  double decrement = dot(w->score.hi, w->step.hi, p);
  if (glm_penalised(s) && s->l1 > 0) decrement = glm_proximal(s, w);
  bool end = s->passes + 1 >= s->max_passes;
  if (bad_start(s, objective, decrement) && !end) {
    glm_start_anew(s);
    return true;
  }
  settle_aliases(s, w);
  if (s->bent && !s->first && !end && decrement <= 1e-8) {
    glm_jump(s, w);
    return true;
  }
  bool done = !s->bent && is_done(s, decrement) && theta_done(s);
  if (done && begin_theta(s)) return true;
  bool closes = done && (s->sharp || (s->kind.estimate && !isinf(s->kind.shape)));
  if (done && s->firth && glm_intercept(s) >= 0) {
    take_step(s, w, objective, decrement);
    s->stage = GLM_INTERCEPT;
    return true;
  }
  if ((done || end) && !closes) {
    end_theta(s);
    glm_finish(s, w, done);
    return false;
  }
  take_step(s, w, objective, decrement);
  if (closes) close_fit(s);
  return true;
}

bool glm_advance_intercept(struct rfl_state *s, struct glm_work *w) {
  size_t p = glm_p(s);
  if (glm_flic(s, w)) return true;
  const struct rfl_chol *firth = &s->lever->chol;
  memcpy(w->chol.a.hi, firth->a.hi, p * p * sizeof(double));
  memcpy(w->chol.scale, firth->scale, p * sizeof(double));
  memcpy(w->chol.kept, firth->kept, p);
  memset(w->step.hi, 0, p * sizeof(double));
  glm_finish(s, w, true);
  return false;
}

void glm_start_anew(struct rfl_state *s) {
  s->first = true;
  memset(s->beta, 0, glm_p(s) * sizeof *s->beta);
}
