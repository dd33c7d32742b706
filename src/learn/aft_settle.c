/* The end of a pass.
 *
 *   AFT_SQUARES  beta by least squares on the times as they are; columns that are
 *                combinations of earlier ones are found here, once
 *   AFT_SPREAD   sigma of each stratum from its mean absolute residual
 *   AFT_NEWTON   a step in theta = (beta, tau) on -2 log-likelihood (plus, online,
 *                (theta - theta0)' dJ (theta - theta0)):
 *
 *     objective worse than before?          -> part of the way back, same pass again
 *     information not positive definite?    -> same pass again with another one
 *     decrement = g' H^-1 g < tolerance?    -> take this last step; SE from this H
 *
 * Far from the optimum the observed information may have any sign: fits take the concave
 * one (learn/aft_absorb.c) until they are within a standard error or so, then the
 * observed one, whose steps converge quadratically and whose inverse is the covariance.
 * Learning blocks begin near and take the observed one at once. Where neither is positive
 * definite (t's likelihood is not log-concave far out) the outer product of the scores is
 * (Berndt, Hall, Hall & Hausman 1974). A step moves no tau by more than 1.5: beyond that
 * the quadratic says nothing about exp(tau).
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/aft_parts.h"

enum { MOST_HALVINGS = 60 };
static const double most_tau = 1.5;

/* ---- memory ---- */

static enum rfl_code need_solver(struct rfl_state *s, struct rfl_err *err) {
  size_t q = aft_q(s), cells;
  if (__builtin_mul_overflow(q, q, &cells)) return rfl_no_memory(err);
  if (!s->aliased) s->aliased = rfl_alloc(q, 1);
  bool ok = s->aliased && aft_room(&s->before, q) && aft_room(&s->direction, q) &&
            aft_room(&s->column_size, q) && aft_room(&s->info, cells);
  if (s->design->options.n_clusters) ok = ok && aft_room(&s->bucket, aft_n_bucket(s));
  return ok ? RFL_OK : rfl_no_memory(err);
}

static void work_release(struct aft_work *w) {
  rfl_chol_release(&w->chol);
  rfl_free(w->score); /* one allocation for all */
}

static enum rfl_code work_new(const struct rfl_state *s, struct aft_work *w,
                              struct rfl_err *err) {
  size_t q = aft_q(s);
  *w = (struct aft_work){0};
  RFL_TRY(rfl_chol_new(q, false, &w->chol, err));
  w->score = rfl_alloc(3 * q, sizeof *w->score);
  if (!w->score) {
    work_release(w);
    return rfl_no_memory(err);
  }
  w->data_score = w->score + q;
  w->step = w->score + 2 * q;
  return RFL_OK;
}

/* ---- the pass's sums, in X ---- */

static enum rfl_code check(const struct rfl_state *s, struct rfl_err *err) {
  if (s->settled)
    return rfl_fail(err, RFL_EBUSY, "The fit is finished: there is no pass to end.");
  if (s->has_prior) return RFL_OK;
  double rows = s->sums[AFT_ROWS], used = rows - s->sums[AFT_ZERO];
  if (rows == 0) return rfl_fail(err, RFL_EDATA, "There are no rows to learn from.");
  if (used == 0) return rfl_fail(err, RFL_EDATA, "Every row has weight 0.");
  if (s->sums[AFT_STATUS + RFL_AFT_RIGHT] == used)
    return rfl_fail(err, RFL_EDATA, "There is no event: all %.0f rows are censored.",
                    used);
  return RFL_OK;
}

static void collect(struct rfl_state *s, struct aft_work *w) {
  const struct aft_design *d = s->design;
  size_t p = aft_p(s), q = aft_q(s), z = aft_z(s);
  struct rfl_sums sums = {s->sums + d->gram_at, NULL};
  double *a = w->chol.a.hi;
  memset(s->info, 0, p * p * sizeof *s->info);
  rfl_gram_matrix(&d->gram, sums, &d->contrast, (struct rfl_sums){s->info, NULL});
  rfl_gram_score(&d->gram, sums, &d->contrast, (struct rfl_sums){w->score, NULL});
  for (size_t j = 0; j < p; j++) memcpy(a + j * q, s->info + j * p, p * sizeof *a);
  for (size_t k = 0; k < d->scales; k++) {
    double *column = a + (p + k) * q, *at = aft_of_stratum(s, k);
    memset(column, 0, q * sizeof *column);
    rfl_contrast_collect(&d->contrast, s->sums + d->cross_at + k * z, column);
    column[p + k] = at[AFT_INFO];
    w->score[p + k] = at[AFT_SCORE];
  }
  memcpy(w->data_score, w->score, q * sizeof *w->score);
  memcpy(s->info, a, q * q * sizeof *a);
}

/* Adds what is not data; gives the objective at the iterate. */
static double complete(struct rfl_state *s, struct aft_work *w) {
  size_t q = aft_q(s);
  double objective = -2 * s->sums[AFT_LOGLIK];
  if (s->has_prior) {
    objective += s->keep * aft_prior_distance(s, w->step);
    for (size_t j = 0; j < q; j++) {
      w->score[j] -= s->keep * w->step[j];
      for (size_t i = 0; i <= j; i++)
        w->chol.a.hi[i + j * q] += s->keep * s->prior_info[i + j * q];
    }
  }
  for (size_t j = 0; j < q; j++)
    if (!(w->score[j] - w->score[j] == 0) || !(fabs(s->info[j + j * q]) <= 1e300))
      return INFINITY;
  return objective;
}

static double dot(const double *x, const double *y, size_t n) {
  double sum = 0;
  for (size_t j = 0; j < n; j++) sum += x[j] * y[j];
  return sum;
}

/* ---- the first two passes ---- */

static enum rfl_code not_finite(struct rfl_err *err) {
  return rfl_fail(err, RFL_EMODEL,
                  "The fit does not stay finite: check the scale of the numbers.");
}

static void drop_known(const struct rfl_state *s, struct aft_work *w) {
  for (size_t j = 0; j < aft_q(s); j++)
    w->chol.kept[j] = !(s->alias_known && s->aliased[j]);
}

static void find_aliases(struct rfl_state *s, const struct aft_work *w) {
  for (size_t j = 0; j < aft_p(s) && !s->alias_known; j++) {
    s->aliased[j] = !w->chol.kept[j];
    if (s->aliased[j]) s->theta[j] = 0;
  }
  s->alias_known = true;
}

static enum rfl_code end_squares(struct rfl_state *s, struct aft_work *w,
                                 struct rfl_err *err) {
  size_t p = aft_p(s), q = aft_q(s);
  collect(s, w);
  for (size_t j = 0; j < p; j++)
    if (!(fabs(w->score[j]) <= 1e300) || !(s->info[j + j * q] <= 1e300))
      return not_finite(err);
  for (size_t j = p; j < q; j++) w->chol.a.hi[j + j * q] = 1; /* no scale yet */
  drop_known(s, w);
  rfl_chol_factor(&w->chol, 1e-11);
  rfl_chol_solve(&w->chol, (struct rfl_sums){w->score, NULL});
  memcpy(s->theta, w->score, p * sizeof *s->theta);
  find_aliases(s, w);
  s->phase = AFT_SPREAD;
  return RFL_OK;
}

/* The intercept moves by where the mean lies. A stratum without rows takes the scale of
 * all. */
static void end_spread(struct rfl_state *s) {
  const struct aft_design *d = s->design;
  double sum = 0, mass = 0;
  for (size_t k = 0; k < d->strata; k++) {
    sum += aft_of_stratum(s, k)[AFT_RESIDUAL];
    mass += aft_of_stratum(s, k)[AFT_MASS];
  }
  double all = aft_spread(&d->dist) * sum / mass;
  if (!(all > 1e-280 && all < 1e280)) all = 1;
  for (size_t k = 0; k < d->scales; k++) {
    const double *at = aft_of_stratum(s, k);
    double own = aft_spread(&d->dist) * at[AFT_RESIDUAL] / at[AFT_MASS];
    s->theta[aft_p(s) + k] = log(own > 0.01 * all && own < 100 * all ? own : all);
  }
  double sigma = d->scales ? all : d->options.scale;
  for (size_t t = 0; t < d->layout.n_terms && d->layout.intercept; t++) {
    const struct rfl_term *term = &d->layout.term[t];
    if (term->coded >= 0 || term->dense >= 0) continue;
    if (!s->aliased[term->x]) s->theta[term->x] -= aft_centre(&d->dist) * sigma;
  }
  s->phase = AFT_NEWTON;
}

/* ---- decisions ---- */

static bool is_finite(double x) { return x - x == 0; }

static bool is_worse(const struct rfl_state *s, double objective) {
  if (!is_finite(objective)) return true;
  if (s->objective == INFINITY) return false;
  return objective > s->objective + 1e-10 * fabs(s->objective) + 1e-8;
}

/* Nearer to the last good iterate, by much where the objective exploded. A start that
 * cannot be evaluated is too narrow: all is right with a scale that is wide enough. */
static void go_back(struct rfl_state *s, double objective) {
  size_t p = aft_p(s), q = aft_q(s);
  s->halvings++;
  if (s->objective == INFINITY && !s->has_prior) {
    for (size_t j = p; j < q; j++) s->theta[j] += 1;
    return;
  }
  bool far = !is_finite(objective) || objective > 4 * fabs(s->objective);
  double f = far ? 0.125 : 0.5;
  for (size_t j = 0; j < q; j++)
    s->theta[j] = s->before[j] + f * (s->theta[j] - s->before[j]);
}

static bool is_definite(const struct rfl_state *s, const struct aft_work *w) {
  for (size_t j = 0; j < aft_q(s); j++)
    if (!w->chol.kept[j] && !(s->alias_known && s->aliased[j])) return false;
  return true;
}

static bool is_done(const struct rfl_state *s, double decrement) {
  if (decrement <= s->design->options.tolerance) return true;
  /* Rounding may leave a decrement that no step makes smaller. */
  return s->passes >= 3 && decrement <= 1e-9 && decrement >= 0.25 * s->decrement;
}

/* ---- the step ---- */

static void take_step(struct rfl_state *s, const struct aft_work *w, double objective,
                      double decrement) {
  size_t p = aft_p(s), q = aft_q(s);
  double most = 0;
  for (size_t j = p; j < q; j++) most = fmax(most, fabs(w->step[j]));
  double f = most > most_tau ? most_tau / most : 1;
  memcpy(s->before, s->theta, q * sizeof *s->before);
  s->objective = objective;
  s->decrement = decrement;
  for (size_t j = 0; j < q; j++) s->theta[j] += f * w->step[j];
  s->halvings = 0;
  s->way = s->has_prior || decrement < 1 ? AFT_OBSERVED : AFT_CONCAVE;
}

/* Of the columns, in sigmas of a typical row: what tells a step that matters. */
static void measure_columns(struct rfl_state *s) {
  double used = s->sums[AFT_ROWS] - s->sums[AFT_ZERO];
  for (size_t j = 0; j < aft_q(s); j++)
    s->column_size[j] = sqrt(fabs(s->info[j + j * aft_q(s)]) / fmax(used, 1));
}

static bool advance(struct rfl_state *s, struct aft_work *w, double objective) {
  size_t q = aft_q(s);
  if (s->objective == INFINITY) measure_columns(s);
  memcpy(w->step, w->score, q * sizeof *w->step);
  rfl_chol_solve(&w->chol, (struct rfl_sums){w->step, NULL});
  double decrement = dot(w->score, w->step, q);
  find_aliases(s, w);
  bool done = is_done(s, decrement), end = s->passes + 1 >= s->design->options.max_passes;
  if (done || end) {
    aft_finish(s, w, done);
    return false;
  }
  take_step(s, w, objective, decrement);
  return true;
}

/* With a start from elsewhere columns turn out to be aliased in the first pass here: then
 * by each kind of information in turn. */
static enum rfl_code end_newton(struct rfl_state *s, struct aft_work *w, bool *again,
                                struct rfl_err *err) {
  collect(s, w);
  double objective = complete(s, w);
  int32_t left = s->design->options.max_passes - s->passes;
  bool more = s->halvings < MOST_HALVINGS && left > 1;
  if (!is_finite(objective) && !more) return not_finite(err);
  *again = true;
  if (is_worse(s, objective) && more) {
    go_back(s, objective);
    return RFL_OK;
  }
  drop_known(s, w);
  rfl_chol_factor(&w->chol, s->alias_known ? 1e-14 : 1e-11);
  if (s->way != AFT_OUTER && left > 1 && !is_definite(s, w)) {
    s->way++;
    return RFL_OK;
  }
  *again = advance(s, w, objective);
  return RFL_OK;
}

static enum rfl_code settle(struct rfl_state *s, struct aft_work *w, bool *again,
                            struct rfl_err *err) {
  *again = true;
  if (s->phase == AFT_SQUARES) {
    RFL_TRY(end_squares(s, w, err));
  } else if (s->phase == AFT_SPREAD) {
    end_spread(s);
  } else {
    RFL_TRY(end_newton(s, w, again, err));
  }
  s->passes++;
  aft_clear(s);
  return RFL_OK;
}

enum rfl_code aft_settle(struct rfl_state *s, bool *again, struct rfl_err *err) {
  RFL_TRY(check(s, err));
  RFL_TRY(need_solver(s, err));
  struct aft_work w;
  RFL_TRY(work_new(s, &w, err));
  enum rfl_code code = settle(s, &w, again, err);
  work_release(&w);
  return code;
}
