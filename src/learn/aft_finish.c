/* The end of a fit, and how a fit becomes the prior of the next block: the renewable
 * equation of Luo & Song (2020), JRSS B 82, with theta = (beta, tau) for beta. Past rows
 * are known by theta0, J, K, the scores of their clusters and the totals; see
 * learn/glm_finish.c. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/aft_parts.h"

/* What a column that past rows said nothing about is given as its prior when learning
 * online: sd 10 on the scale of y. */
static const double weak_info = 0.01;

int32_t aft_rank(const struct rfl_state *s) {
  int32_t rank = s->design->layout.n_x;
  for (size_t j = 0; s->aliased && j < aft_p(s); j++) rank -= s->aliased[j];
  return rank;
}

double aft_prior_distance(const struct rfl_state *s, double *gradient) {
  size_t q = aft_q(s);
  double sum = 0;
  for (size_t j = 0; j < q; j++) {
    double g = 0;
    for (size_t i = 0; i < q; i++)
      g += aft_at(s->prior_info, q, i, j) * (s->theta[i] - s->prior_theta[i]);
    if (gradient) gradient[j] = g;
    sum += g * (s->theta[j] - s->prior_theta[j]);
  }
  return sum;
}

/* ---- the end of a fit ---- */

static void totals_now(struct rfl_state *s, const double *step, const double *score) {
  size_t q = aft_q(s);
  struct aft_totals *t = &s->now;
  double gain = 0;
  for (size_t j = 0; j < q; j++) {
    double h = 0;
    for (size_t i = 0; i < q; i++) h += aft_at(s->info, q, i, j) * step[i];
    gain += step[j] * (score[j] - 0.5 * h);
  }
  t->rows = s->sums[AFT_ROWS];
  t->zero = s->sums[AFT_ZERO];
  t->weight = s->sums[AFT_WEIGHT];
  t->loglik = s->sums[AFT_LOGLIK] + gain;
  for (size_t k = 0; k < 4; k++) t->status[k] = s->sums[AFT_STATUS + k];
  t->effective = t->effective2 = t->rows - t->zero;
}

/* A step of 1e-4 sigma when the objective says that the optimum is reached: there is no
 * optimum in this direction (a level whose rows are all censored, say). */
static void find_separation(struct rfl_state *s, const struct aft_work *w) {
  if (s->has_prior) return;
  for (size_t j = 0; j < aft_p(s); j++) {
    bool lost = !w->chol.kept[j] && !s->aliased[j];
    s->direction[j] = 0;
    if (fabs(w->step[j]) * s->column_size[j] > 1e-4) s->direction[j] = w->step[j];
    if (lost) s->direction[j] = 1;
    s->separated |= s->direction[j] != 0;
  }
}

void aft_finish(struct rfl_state *s, struct aft_work *w, bool converged) {
  size_t q = aft_q(s);
  if (converged) find_separation(s, w);
  if (!converged) memset(w->step, 0, q * sizeof *w->step);
  totals_now(s, w->step, w->data_score);
  for (size_t j = 0; j < q; j++) s->theta[j] += w->step[j];
  if (s->bucket)
    memcpy(s->bucket, s->sums + s->design->cluster_at,
           aft_n_bucket(s) * sizeof *s->bucket);
  rfl_chol_release(&s->chol);
  s->chol = w->chol;
  w->chol = (struct rfl_chol){0};
  s->converged = converged;
  s->settled = true;
}

struct aft_totals aft_total(const struct rfl_state *s) {
  struct aft_totals t = s->past, now = s->now;
  if (!s->settled) return t;
  double d = s->has_prior ? s->keep : 0;
  double away = s->has_prior ? aft_prior_distance(s, NULL) : 0;
  t.rows += now.rows;
  t.zero += now.zero;
  t.weight += now.weight;
  for (size_t k = 0; k < 4; k++) t.status[k] += now.status[k];
  t.loglik = d * (t.loglik - 0.5 * away) + now.loglik;
  t.effective = d * t.effective + now.effective;
  t.effective2 = d * d * t.effective2 + now.effective2;
  return t;
}

/* ---- renew ---- */

/* K while nothing was ever forgotten is J: it is kept from the first block on that
 * forgets. */
static void renew_info(struct rfl_state *s, double d) {
  size_t q = aft_q(s);
  for (size_t k = 0; k < q * q; k++) {
    double j = s->has_prior ? s->prior_info[k] : 0,
           outer = s->forgets ? s->prior_outer[k] : j;
    s->prior_info[k] = d * j + s->info[k];
    if (s->prior_outer) s->prior_outer[k] = d * d * outer + s->info[k];
  }
  s->forgets = s->prior_outer != NULL;
  for (size_t j = 0; j < q; j++) {
    double *own = &s->prior_info[j + j * q];
    bool unknown = s->direction[j] != 0 || (s->aliased[j] && *own == 0);
    if (unknown && *own < weak_info) *own += weak_info;
    s->direction[j] = 0;
  }
}

static void begin_block(struct rfl_state *s) {
  s->has_prior = true;
  s->phase = AFT_NEWTON;
  s->settled = s->separated = s->alias_known = false;
  s->way = AFT_OBSERVED;
  s->passes = s->halvings = 0;
  s->objective = s->decrement = INFINITY;
  s->now = (struct aft_totals){0};
  aft_clear(s);
}

/* Enough rows that say more than "later" for ten a parameter. */
bool aft_identified(const struct rfl_state *s, const struct aft_totals *t) {
  double events =
      t->status[RFL_AFT_EXACT] + t->status[RFL_AFT_LEFT] + t->status[RFL_AFT_INTERVAL];
  return events >= 10.0 * (aft_rank(s) + (double)s->design->scales);
}

enum rfl_code aft_renew(struct rfl_state *s, double keep, struct rfl_err *err) {
  size_t q = aft_q(s), n = aft_n_bucket(s);
  if (!(keep > 0 && keep <= 1))
    return rfl_fail(err, RFL_EARGUMENT,
                    "What is kept must be above 0 and at most 1, not %g.", keep);
  if (!s->settled) {
    if (!s->has_prior || s->sums[AFT_ROWS] > 0)
      return rfl_fail(err, RFL_EBUSY, "Only a finished fit can become the prior.");
    s->keep = keep;
    return RFL_OK;
  }
  bool outer = keep < 1 || s->prior_outer;
  if (!aft_room(&s->prior_theta, q) || !aft_room(&s->prior_info, q * q) ||
      (s->bucket && !aft_room(&s->past_bucket, n)) ||
      (outer && !aft_room(&s->prior_outer, q * q)))
    return rfl_no_memory(err);
  s->keep = keep;
  s->past = aft_total(s);
  if (!s->has_prior) s->anchored = aft_identified(s, &s->past);
  s->version += s->has_prior;
  renew_info(s, keep);
  memcpy(s->prior_theta, s->theta, q * sizeof *s->theta);
  for (size_t k = 0; s->bucket && k < n; k++)
    s->past_bucket[k] = keep * s->past_bucket[k] + s->bucket[k];
  begin_block(s);
  return RFL_OK;
}
