/* The end of a pass: Newton's step on what the pass has summed.
 *
 * The objective is deviance + (b - b0)' dJ (b - b0) (the prior's part only online). A
 * pass gives it at the iterate, with its gradient g and information H (+ dJ):
 *
 *   objective worse than before?  -> half way back, same pass again
 *   columns aliased?              -> decided once, in the first pass, by num/chol.h
 *   step = H^-1 g; decrement = g' step, the squared length of the step in standard errors
 *   decrement < tolerance?        -> take this last step; SE from this H
 *
 * At a decrement of 1e-14 the iterate is 1e-7 standard errors from the optimum; the last
 * step, which is quadratic, leaves 1e-14, and H is that of the optimum to 1e-7 times the
 * leverage. Small problems do one more pass.
 *
 * Newton corrects itself: what counts for the coefficients is the accuracy of g, taken
 * from fresh residuals in each pass, not that of H. So plain doubles keep the contract
 * while H's pivots (num/chol.h) are above 1e-6; below, or where rows * p^2 <= 1e7 (it
 * costs nothing), the sums are taken in double-double: `exact`. Online blocks are small
 * parts of a whole that is known in doubles only: never exact. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

enum { MOST_HALVINGS = 60, BLUNT_HALVINGS = 4 };

/* ---- memory ---- */

static bool room(double **p, size_t n) {
  if (!*p) *p = rfl_alloc(n, sizeof **p);
  return *p != NULL;
}

static bool bytes(uint8_t **p, size_t n) {
  if (!*p) *p = rfl_alloc(n, 1);
  return *p != NULL;
}

static enum rfl_code need_solver(struct rfl_state *s, struct rfl_err *err) {
  size_t p = glm_p(s), z = glm_z(s), cells;
  if (__builtin_mul_overflow(p, p, &cells)) return rfl_no_memory(err);
  bool ok = bytes(&s->aliased, p) && room(&s->direction, p) && room(&s->before, p) &&
            room(&s->start, p) && room(&s->column_size, p) && room(&s->counts, 3 * z) &&
            room(&s->info, cells);
  bool net = glm_penalised(s), fresh = net && !s->scale;
  if (ok && net) ok = room(&s->scale, p);
  if (ok && fresh) glm_scale_equal(s);
  if (ok && net) s->alias_known = true; /* no column is aliased */
  return ok ? RFL_OK : rfl_no_memory(err);
}

static void work_release(struct glm_work *w) {
  rfl_chol_release(&w->chol);
  rfl_free(w->score.hi); /* one allocation for all */
}

static enum rfl_code work_new(const struct rfl_state *s, struct glm_work *w,
                              struct rfl_err *err) {
  size_t p = glm_p(s), z = glm_z(s);
  *w = (struct glm_work){0};
  RFL_TRY(rfl_chol_new(p, s->exact, &w->chol, err));
  double *all = rfl_alloc(7 * p + 2 * z, sizeof *all);
  if (!all) {
    work_release(w);
    return rfl_no_memory(err);
  }
  w->score = (struct rfl_sums){all, s->exact ? all + p : NULL};
  w->step = (struct rfl_sums){all + 2 * p, s->exact ? all + 3 * p : NULL};
  w->data_score = all + 4 * p;
  w->e = all + 5 * p;
  w->ze = w->e + z;
  w->spare = w->ze + z;
  return RFL_OK;
}

/* ---- the pass's sums, in X ---- */

static enum rfl_code check(const struct rfl_state *s, struct rfl_err *err) {
  if (s->settled)
    return rfl_fail(err, RFL_EBUSY, "The fit is finished: there is no pass to end.");
  if (s->has_prior) return RFL_OK;
  double rows = glm_scalar(s, GLM_ROWS), weight = glm_scalar(s, GLM_WEIGHT);
  double events = glm_scalar(s, GLM_EVENTS);
  if (rows == 0) return rfl_fail(err, RFL_EDATA, "There are no rows to learn from.");
  if (!(weight > 0)) return rfl_fail(err, RFL_EDATA, "Every row has weight 0.");
  if (glm_is_share(&s->kind) && (events <= 0 || events >= weight))
    return rfl_fail(err, RFL_EDATA,
                    "The response has one value only, %d, in all %.0f rows.", events > 0,
                    rows);
  return RFL_OK;
}

static void collect(struct rfl_state *s, struct glm_work *w) {
  size_t p = glm_p(s);
  const struct glm_design *d = s->design;
  rfl_gram_matrix(&d->gram, glm_gram_sums(s), &d->contrast, w->chol.a);
  if (s->stage == GLM_OUTER) return; /* what is known of the fit stays */
  rfl_gram_score(&d->gram, glm_gram_sums(s), &d->contrast, w->score);
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i <= j; i++) {
      size_t at = i + j * p;
      s->info[at] = w->chol.a.hi[at] + (w->chol.a.lo ? w->chol.a.lo[at] : 0);
    }
    w->data_score[j] = w->score.hi[j] + (w->score.lo ? w->score.lo[j] : 0);
  }
  if (!s->alias_known) {
    double weight = glm_gram_sums(s).hi[0];
    for (size_t j = 0; j < p; j++) s->column_size[j] = sqrt(s->info[j + j * p] / weight);
  }
  if (s->count) {
    memcpy(s->counts, s->sums.hi + d->counts, 3 * glm_z(s) * sizeof *s->counts);
    s->now.saturated = s->sums.hi[GLM_SATURATED];
    s->now.log_weight = s->sums.hi[GLM_LOG_WEIGHT];
  }
}

/* Adds what is not data; gives the objective at the iterate. */
static double complete(struct rfl_state *s, struct glm_work *w) {
  size_t p = glm_p(s);
  bool theta = s->kind.estimate && !isinf(s->kind.shape);
  double objective = glm_scalar(s, theta ? GLM_THETA_DEVIANCE : GLM_DEVIANCE);
  if (s->first) objective = 0;
  if (s->has_prior) {
    double distance = glm_prior_distance(s, s->beta, w->step.hi);
    objective += s->keep * distance;
    for (size_t j = 0; j < p; j++) {
      w->score.hi[j] -= s->keep * w->step.hi[j];
      for (size_t i = 0; i <= j; i++)
        w->chol.a.hi[i + j * p] += s->keep * s->prior_info[i + j * p];
    }
  }
  if (glm_penalised(s)) objective += glm_penalise(s, w);
  if (s->bent) objective += glm_bend(s, w);
  if (s->separated && !s->has_prior) glm_hold(s, w);
  for (size_t j = 0; j < p; j++)
    if (!(w->score.hi[j] - w->score.hi[j] == 0) || !(s->info[j + j * p] <= 1e300))
      return INFINITY;
  return objective;
}

/* ---- decisions ---- */

static bool is_worse(const struct rfl_state *s, double objective) {
  if (!(objective - objective == 0)) return true;
  if (s->first || s->objective == INFINITY) return false;
  if (s->stage == GLM_CLOSING) return false;
  if (s->kind.family == RFL_CUSTOM) return false; /* its deviance need not fall: glm() */
  return objective > s->objective + 1e-10 * fabs(s->objective) + 1e-8 * glm_noise(s);
}

/* The pass again from a better place: nearer to the last good iterate, by much where the
 * objective exploded. */
static void go_back(struct rfl_state *s, double objective) {
  bool far = !(objective - objective == 0) || objective > 4 * s->objective;
  double f = far ? 0.125 : 0.5;
  s->halvings++;
  s->levered = false;
  if (s->passes == 0 && !s->has_prior && !glm_is_linear(&s->kind)) {
    glm_start_anew(s); /* it cannot be evaluated */
    return;
  }
  for (size_t j = 0; j < glm_p(s); j++)
    s->beta[j] = s->before[j] + f * (s->beta[j] - s->before[j]);
  if (s->kind.estimate && !isinf(s->kind.shape))
    s->kind.shape = s->before_shape * pow(s->kind.shape / s->before_shape, f);
  s->blunt |= s->sharp && s->halvings > BLUNT_HALVINGS;
  s->sharp = s->sharp && !s->blunt;
}

/* The observed information is no metric here: the same pass with the expected one. */
static bool is_bent_over(struct rfl_state *s, const struct glm_work *w) {
  bool lost = false;
  for (size_t j = 0; j < glm_p(s); j++) lost |= !w->chol.kept[j] && !s->aliased[j];
  if (!s->sharp || !lost) return false;
  s->blunt = true;
  s->sharp = false;
  return true;
}

static double rank_tolerance2(const struct rfl_state *s) {
  double t2 = s->rank_tolerance * s->rank_tolerance;
  if (s->alias_known) return s->exact ? 1e-26 : 1e-14;
  return s->exact ? t2 : fmax(t2, 1e-11);
}

/* ---- the end of a pass ---- */

/* Passes that are no step: true when this was one. */
static bool is_special(struct rfl_state *s, struct glm_work *w, bool *again) {
  if (s->stage == GLM_MOMENTS) {
    glm_scale_columns(s);
    s->stage = GLM_FITTING;
    *again = true;
  } else if (s->stage == GLM_INTERCEPT && s->lever) {
    *again = glm_advance_intercept(s, w);
  } else {
    return false;
  }
  s->passes++;
  return true;
}

/* The factor of the information, and what Firth's objective has of it. */
static double factor(struct rfl_state *s, struct glm_work *w) {
  for (size_t j = 0; j < glm_p(s); j++)
    w->chol.kept[j] = !(s->alias_known && s->aliased[j]);
  rfl_chol_factor(&w->chol, rank_tolerance2(s));
  return s->firth && !s->first ? -glm_log_determinant(&w->chol) : 0;
}

/* For Firth: every other pass only gives the factor that the leverages of the next one
 * are taken with, at the same iterate (`repeat`). */
static enum rfl_code take_lever(struct rfl_state *s, const struct glm_work *w,
                                bool *repeat, struct rfl_err *err) {
  if (!s->firth || s->has_prior || s->first) return RFL_OK;
  *repeat |= !s->levered;
  s->levered = !s->levered;
  return s->levered ? glm_lever_set(s, w, err) : RFL_OK;
}

static enum rfl_code settle(struct rfl_state *s, struct glm_work *w, bool *again,
                            struct rfl_err *err) {
  if (s->count && !s->counted && !s->has_prior && !s->stage && !glm_is_linear(&s->kind) &&
      !s->firth && !glm_penalised(s)) {
    s->bent = glm_begin_bend(s, w);
    if (s->bent) s->objective = INFINITY; /* it was without the pseudo counts */
  }
  double objective = complete(s, w);
  bool more = s->halvings < MOST_HALVINGS && s->passes + 1 < s->max_passes;
  bool finite = objective - objective == 0;
  if (!finite && (!more || s->first || (!s->passes && glm_is_linear(&s->kind))))
    return rfl_fail(err, RFL_EMODEL,
                    "No coefficients are found at which the rows can be evaluated: check "
                    "the scale of the numbers, or give coefficients to start from.");
  if (finite) objective += factor(s, w);
  s->counted = s->counted || s->count;
  RFL_TRY(glm_null_settle(s, err));
  if (is_worse(s, objective) && more) {
    go_back(s, objective);
    s->passes++;
    *again = true;
    return RFL_OK;
  }
  bool blunt = is_bent_over(s, w), repeat, exact = glm_wants_exact(s, w, &repeat);
  if (exact && !s->exact) RFL_TRY(glm_need_exact(s, err));
  RFL_TRY(take_lever(s, w, &repeat, err));
  s->was_exact = s->exact;
  *again = blunt || repeat || glm_advance(s, w, objective);
  s->exact = exact && *again;
  s->passes++;
  return RFL_OK;
}

/* A part that becomes a fit of its own (on other rows) begins with plain steps: a stage
 * that belongs to the fit it came from would end too early. True: this pass's sums are
 * not those of a step. */
static bool adopt(struct rfl_state *s) {
  if (s->aliased) return false;
  bool odd = s->sharp || s->stage >= GLM_INTERCEPT;
  s->sharp = false;
  if (s->stage != GLM_MOMENTS) s->stage = GLM_FITTING;
  bool unscaled = s->standardize && glm_penalised(s) && s->stage == GLM_FITTING;
  if (unscaled) s->stage = GLM_MOMENTS;
  return odd || unscaled;
}

static bool wants_outer(const struct rfl_state *s, bool small) {
  if (!s->settled || s->has_prior || !s->converged || s->l1 > 0) return false;
  return small || s->robust || s->cluster;
}

/* All that a pass may end with. */
static enum rfl_code finish_pass(struct rfl_state *s, struct glm_work *w, bool *again,
                                 struct rfl_err *err) {
  bool small = glm_small(s);
  collect(s, w);
  if (s->stage == GLM_OUTER) {
    *again = false;
    RFL_TRY(glm_outer_settle(s, w, err));
  } else if (!is_special(s, w, again)) {
    RFL_TRY(settle(s, w, again, err));
  }
  bool ended = !*again && s->stage != GLM_OUTER && !s->by_row;
  if (ended && wants_outer(s, small)) {
    s->settled = false;
    s->stage = GLM_OUTER;
    *again = true;
  }
  if (s->settled) s->stage = GLM_FITTING;
  s->round = s->round || s->sums.hi[GLM_UNEVEN] > 0;
  s->count = !s->counted;
  glm_clear(s);
  return RFL_OK;
}

enum rfl_code glm_settle(struct rfl_state *s, bool *again, struct rfl_err *err) {
  RFL_TRY(check(s, err));
  bool repeat = adopt(s);
  RFL_TRY(need_solver(s, err));
  if (repeat) {
    *again = true;
    glm_clear(s);
    return RFL_OK;
  }
  struct glm_work w;
  RFL_TRY(work_new(s, &w, err));
  enum rfl_code code = finish_pass(s, &w, again, err);
  work_release(&w);
  return code;
}
