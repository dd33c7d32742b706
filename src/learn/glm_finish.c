/* The end of a fit, and how a fit becomes the prior of the next block (the renewable
 * equation): Luo & Song (2020), JRSS B 82.
 *
 * Past rows are known by b0 (prior_beta), J = sum of d's times H (prior_info) and the
 * totals; forgetting multiplies J, the deviance and the effective number of rows by d,
 * and K (the sum of d^2 H, for the sandwich J^-1 K J^-1) by d^2, at each block. The
 * deviance of past rows at a new b is taken as deviance(b0) + (b - b0)' J (b - b0): exact
 * for gaussian rows, to second order for the others. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

/* What a column that past rows said nothing about is given as its prior when learning
 * online: sd 10 on the link's scale. */
static const double weak_info = 0.01;

int32_t glm_rank(const struct rfl_state *s) {
  int32_t rank = s->design->layout.n_x;
  if (s->l1 > 0) { /* what is not 0 */
    for (size_t j = 0; j < glm_p(s); j++) rank -= s->beta[j] == 0;
    return rank;
  }
  for (size_t j = 0; s->aliased && j < glm_p(s); j++) rank -= s->aliased[j];
  return rank;
}

double glm_prior_distance(const struct rfl_state *s, const double *beta,
                          double *gradient) {
  size_t p = glm_p(s);
  double sum = 0;
  for (size_t j = 0; j < p; j++) {
    double g = 0;
    for (size_t i = 0; i < p; i++)
      g += s->prior_info[i <= j ? i + j * p : j + i * p] * (beta[i] - s->prior_beta[i]);
    if (gradient) gradient[j] = g;
    sum += g * (beta[j] - s->prior_beta[j]);
  }
  return sum;
}

/* ---- the intercept-only model ---- */

static enum rfl_code null_begin(struct rfl_state *s, struct rfl_err *err) {
  struct glm_null *n = &s->null;
  double mean = glm_scalar(s, GLM_EVENTS) / glm_scalar(s, GLM_WEIGHT);
  const struct rfl_glm_custom *host = s->kind.custom;
  n->ready = true;
  n->best = INFINITY;
  if (!s->design->layout.intercept) return RFL_OK;
  if (s->kind.link == RFL_LOG && !(mean > 0)) {
    n->done = true;
    n->beta = -700;
    return RFL_OK;
  }
  if (host)
    RFL_TRY(host->link(host->data, mean, &n->beta, err));
  else
    n->beta = glm_link(&s->kind, mean);
  n->beta -= glm_scalar(s, GLM_OFFSET) / glm_scalar(s, GLM_WEIGHT);
  return RFL_OK;
}

/* Whether the last step made it worse; then half of it is taken back. */
static bool null_retreats(struct rfl_state *s, double deviance) {
  struct glm_null *n = &s->null;
  if (deviance <= n->best + 1e-10 * n->best + 1e-8) return false;
  if (n->best == INFINITY || s->passes >= 40) {
    n->done = n->best == INFINITY;
    if (n->done) n->deviance = NAN;
    return n->done;
  }
  n->step *= 0.5;
  n->beta -= n->step;
  return true;
}

enum rfl_code glm_null_settle(struct rfl_state *s, struct rfl_err *err) {
  struct glm_null *n = &s->null;
  if (n->done) return RFL_OK;
  if (!n->ready) return null_begin(s, err);
  double g = glm_scalar(s, GLM_NULL_SCORE), i = glm_scalar(s, GLM_NULL_INFO);
  double deviance = glm_scalar(s, GLM_NULL_DEVIANCE);
  if (!s->has_prior && null_retreats(s, deviance)) return RFL_OK;
  n->info = i;
  n->best = n->deviance = deviance;
  n->done = true;
  if (!s->design->layout.intercept) return RFL_OK;
  double prior = s->has_prior ? s->keep * n->prior_info : 0;
  double all = g - prior * (n->beta - n->prior_beta), step = all / (i + prior);
  if (!(i + prior > 0)) return RFL_OK;
  double decrement = all * step, scale = 1;
  if (!glm_fixed_dispersion(&s->kind)) scale = deviance / glm_scalar(s, GLM_WEIGHT);
  if (glm_is_linear(&s->kind)) scale = deviance;
  if (decrement > (s->has_prior ? 1e-10 : 1e-18) * scale && s->passes < 40) {
    n->done = false;
    if (s->kind.family == RFL_POISSON && s->kind.link == RFL_LOG && !s->has_prior)
      step = log1p(g / i); /* exact */
    if (glm_is_share(&s->kind)) step = fmax(-4, fmin(4, step));
  } else {
    n->deviance = deviance - step * (2 * g - step * i);
  }
  n->step = step;
  n->beta += step;
  return RFL_OK;
}

/* ---- the end of a fit ---- */

static void totals_now(struct rfl_state *s, const double *step, const double *score) {
  size_t p = glm_p(s);
  struct glm_totals *t = &s->now;
  double change = 0;
  for (size_t j = 0; j < p; j++) {
    double h = 0;
    for (size_t i = 0; i < p; i++) h += s->info[i <= j ? i + j * p : j + i * p] * step[i];
    change += step[j] * (h - 2 * score[j]);
  }
  t->rows = glm_scalar(s, GLM_ROWS);
  t->zero = glm_scalar(s, GLM_ZERO);
  t->weight = glm_scalar(s, GLM_WEIGHT);
  t->events = glm_scalar(s, GLM_EVENTS);
  t->rounded = glm_scalar(s, GLM_ROUNDED);
  t->deviance = fmax(0, glm_scalar(s, GLM_DEVIANCE) + change);
  t->pearson = glm_is_linear(&s->kind) ? t->deviance : glm_scalar(s, GLM_PEARSON);
  t->null_deviance = s->null.deviance;
  t->effective = t->effective2 = s->kind.freq ? t->weight : t->rows - t->zero;
}

/* A step of 1e-4 in eta when the objective says that the optimum is reached: there is no
 * optimum in this direction. */
static void find_separation(struct rfl_state *s, const struct glm_work *w) {
  if (s->has_prior || !glm_may_separate(&s->kind)) return;
  if (s->firth || glm_penalised(s)) return;
  if (s->separated) glm_undetermined(s, w);
  for (size_t j = 0; j < glm_p(s); j++) {
    bool lost = !w->chol.kept[j] && !s->aliased[j];
    double step = w->step.hi[j];
    if (s->direction[j] == 0 && fabs(step) * s->column_size[j] > 1e-4)
      s->direction[j] = step;
    if (s->direction[j] == 0 && lost) s->direction[j] = 1;
    s->separated |= s->direction[j] != 0;
  }
}

void glm_finish(struct rfl_state *s, struct glm_work *w, bool converged) {
  size_t p = glm_p(s);
  if (s->bent) memcpy(s->start, s->beta, p * sizeof *s->start);
  glm_unbend(s);
  if (converged) find_separation(s, w);
  if (!converged) memset(w->step.hi, 0, p * sizeof(double));
  totals_now(s, w->step.hi, w->data_score);
  for (size_t j = 0; j < p; j++) s->beta[j] += w->step.hi[j];
  if (!s->separated) memcpy(s->start, s->beta, p * sizeof *s->start);
  rfl_chol_release(&s->chol);
  s->chol = w->chol;
  w->chol = (struct rfl_chol){0};
  rfl_free(s->chol.a.lo); /* standard errors need no more than doubles */
  s->chol.a.lo = NULL;
  glm_lever_release(s->lever);
  s->lever = NULL;
  s->levered = false;
  s->converged = converged;
  s->settled = true;
}

struct glm_totals glm_total(const struct rfl_state *s) {
  struct glm_totals t = s->past, now = s->now;
  if (!s->settled) return t;
  double d = s->has_prior ? s->keep : 0;
  double away = s->has_prior ? glm_prior_distance(s, s->beta, NULL) : 0;
  double null_away = s->null.beta - s->null.prior_beta;
  t.rows += now.rows;
  t.zero += now.zero;
  t.weight += now.weight;
  t.events += now.events;
  t.saturated = d * t.saturated + now.saturated;
  t.rounded = d * t.rounded + now.rounded;
  t.log_weight = d * t.log_weight + now.log_weight;
  t.deviance = d * (t.deviance + away) + now.deviance;
  t.pearson = d * (t.pearson + (glm_is_linear(&s->kind) ? away : 0)) + now.pearson;
  t.null_deviance = d * (t.null_deviance + null_away * null_away * s->null.prior_info) +
                    now.null_deviance;
  t.effective = d * t.effective + now.effective;
  t.effective2 = d * d * t.effective2 + now.effective2;
  return t;
}

double glm_dispersion(const struct rfl_state *s) {
  if (glm_fixed_dispersion(&s->kind)) return 1;
  struct glm_totals t = glm_total(s);
  double df = t.effective - glm_rank(s);
  return df > 0 ? t.pearson / df : NAN;
}

/* ---- renew ---- */

static bool room(double **p, size_t n) {
  if (!*p) *p = rfl_alloc(n, sizeof **p);
  return *p != NULL;
}

void glm_weaken(struct rfl_state *s, const double *runs, const double *or_runs) {
  size_t p = glm_p(s);
  for (size_t j = 0; j < p && !glm_is_linear(&s->kind); j++) {
    double *own = &s->prior_info[j + j * p];
    bool unknown = runs[j] != 0 || or_runs[j] != 0 || (s->aliased[j] && *own == 0);
    if (unknown && *own < weak_info) *own += weak_info;
  }
}

/* K while nothing was ever forgotten is J: it is kept from the first block on that
 * forgets. */
static void renew_info(struct rfl_state *s, double d) {
  size_t p = glm_p(s);
  for (size_t k = 0; k < p * p; k++) {
    double j = s->has_prior ? s->prior_info[k] : 0,
           outer = s->forgets ? s->prior_outer[k] : j;
    s->prior_info[k] = d * j + s->info[k];
    if (s->prior_outer) s->prior_outer[k] = d * d * outer + s->info[k];
  }
  s->forgets = s->prior_outer != NULL;
  glm_weaken(s, s->direction, s->direction);
  memset(s->direction, 0, p * sizeof *s->direction);
}

static void begin_block(struct rfl_state *s) {
  struct glm_null *n = &s->null;
  double d = s->has_prior ? s->keep : 0;
  n->prior_info = d * n->prior_info + n->info;
  n->prior_beta = n->beta;
  n->ready = true;
  n->done = false;
  s->has_prior = true;
  s->settled = s->separated = false;
  s->stage = GLM_FITTING;
  s->kind.estimate = false;
  s->sharp = s->blunt = false;
  s->first = s->exact = s->round = s->bent = s->counted = s->alias_known = false;
  s->count = true;
  s->passes = s->halvings = s->linear = 0;
  s->objective = s->decrement = INFINITY;
  s->now = (struct glm_totals){0};
  glm_clear(s);
}

/* Enough events for ten a coefficient; in a gaussian model, rows. */
bool glm_identified(const struct rfl_state *s, const struct glm_totals *t) {
  double events = t->events;
  if (glm_is_share(&s->kind)) events = fmin(events, t->weight - events);
  if (!glm_may_separate(&s->kind)) events = t->rows - t->zero;
  return events >= 10.0 * glm_rank(s);
}

/* What holds for the rows of the batch fit alone. */
static void forget_fit(struct rfl_state *s) {
  double **all[] = {&s->scale, &s->by_row, &s->by_cluster};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    rfl_free(*all[k]);
    *all[k] = NULL;
  }
  s->l2 = 0;
  s->firth = false;
}

enum rfl_code glm_renew(struct rfl_state *s, double keep, struct rfl_err *err) {
  size_t p = glm_p(s), z = glm_z(s);
  if (!(keep > 0 && keep <= 1))
    return rfl_fail(err, RFL_EARGUMENT,
                    "What is kept must be above 0 and at most 1, not %g.", keep);
  if (!s->settled) {
    if (!s->has_prior || glm_scalar(s, GLM_ROWS) > 0)
      return rfl_fail(err, RFL_EBUSY, "Only a finished fit can become the prior.");
    s->keep = keep;
    return RFL_OK;
  }
  if (s->l1 > 0)
    return rfl_fail(err, RFL_EMODEL, "A model with an l1 penalty learns no new rows.");
  bool outer = keep < 1 || s->prior_outer;
  if (!room(&s->prior_beta, p) || !room(&s->prior_info, p * p) ||
      !room(&s->past_counts, 3 * z) || (outer && !room(&s->prior_outer, p * p)))
    return rfl_no_memory(err);
  s->keep = keep;
  s->past = glm_total(s);
  if (!s->has_prior) s->anchored = glm_identified(s, &s->past);
  s->version += s->has_prior;
  renew_info(s, keep);
  if (s->scale) glm_keep_penalty(s);
  forget_fit(s);
  memcpy(s->prior_beta, s->beta, p * sizeof *s->beta);
  for (size_t k = 0; k < 3 * z; k++) s->past_counts[k] += s->counts[k];
  begin_block(s);
  return RFL_OK;
}
