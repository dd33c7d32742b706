#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

static const double two_pi = 6.283185307179586477;

/* v = J^-1 becomes J^-1 K J^-1; `half` and `all` are scratch of p * p. */
static void sandwich(const struct rfl_state *s, double *v, double *half, double *all) {
  size_t p = glm_p(s);
  for (size_t j = 0; j < p; j++)
    for (size_t m = 0; m < p; m++) {
      double k = glm_outer(s, m, j);
      for (size_t i = 0; i < p; i++) half[i + j * p] += v[i + m * p] * k;
    }
  for (size_t j = 0; j < p; j++)
    for (size_t m = 0; m < p; m++)
      for (size_t i = 0; i < p; i++) all[i + j * p] += half[i + m * p] * v[m + j * p];
  memcpy(v, all, p * p * sizeof *v);
}

/* Columns that new rows may still identify but none has so far: only the weak prior of
 * glm_finish.c speaks for them. */
static bool unknown(const struct rfl_state *s, size_t j) {
  if (s->aliased[j]) return true;
  if (!s->has_prior || glm_is_linear(&s->kind)) return false;
  double own = s->prior_info[j + j * glm_p(s)];
  if (s->settled) own = s->keep * own + s->info[j + j * glm_p(s)];
  return own <= 0.0101;
}

static enum rfl_code fill(struct rfl_state *s, struct rfl_err *err) {
  size_t p = glm_p(s);
  double *v = rfl_alloc(p * p, sizeof *v), *coef = rfl_alloc(p, sizeof *coef);
  double *scratch = s->forgets ? rfl_alloc(2 * p * p, sizeof *scratch) : NULL;
  if (!v || !coef || (s->forgets && !scratch)) {
    rfl_free(v);
    rfl_free(coef);
    rfl_free(scratch);
    return rfl_no_memory(err);
  }
  rfl_chol_inverse(&s->chol, v);
  for (size_t k = 0; k < p * p; k++)
    if (isnan(v[k])) v[k] = 0;
  if (scratch) sandwich(s, v, scratch, scratch + p * p);
  rfl_free(scratch);
  double phi = glm_dispersion(s);
  for (size_t j = 0; j < p; j++) {
    bool gone = unknown(s, j), runs = s->direction[j] != 0;
    coef[j] = gone ? NAN : s->beta[j];
    for (size_t i = 0; i < p; i++) {
      double *at = &v[i + j * p];
      *at *= phi;
      if (gone || unknown(s, i) || ((runs || s->direction[i] != 0) && i != j)) *at = NAN;
    }
    if (runs && !gone) v[j + j * p] = INFINITY;
  }
  rfl_free(s->coef);
  rfl_free(s->vcov);
  s->coef = coef;
  s->vcov = v;
  return RFL_OK;
}

/* As family()$aic and logLik.glm(). */
static void likelihood(const struct rfl_state *s, const struct glm_totals *t,
                       struct rfl_glm_result *r) {
  double rank = r->rank, w = t->weight, phi = t->deviance / w;
  r->saturated_loglik = r->loglik = NAN;
  switch (s->kind.family) {
    case RFL_GAUSSIAN: {
      double n = t->effective + (s->kind.freq ? 0 : t->zero);
      r->loglik = -0.5 * (n * (log(two_pi * t->deviance / n) + 1) - t->log_weight);
      break;
    }
    case RFL_GAMMA: /* at the dispersion deviance / w, as R has it */
      r->loglik =
          -t->saturated - w * ((1 + log(phi)) / phi + glm_log_gamma(1 / phi)) - 0.5 * w;
      break;
    case RFL_INVERSE_GAUSSIAN:
      r->loglik = -0.5 * (w * (log(two_pi * phi) + 1) + 3 * t->saturated);
      break;
    case RFL_BINOMIAL:
    case RFL_POISSON:
    case RFL_NEGATIVE_BINOMIAL:
      r->saturated_loglik = t->saturated + t->rounded;
      r->loglik = r->saturated_loglik - 0.5 * t->deviance;
      break;
    default:
      break;
  }
  if (glm_penalised(s)) r->loglik = NAN; /* it is not at its maximum */
  rank += !glm_fixed_dispersion(&s->kind) || !isnan(s->theta_se);
  r->aic = -2 * r->loglik + 2 * rank;
}

enum rfl_code rfl_glm_result(const struct rfl_state *state, struct rfl_glm_result *gives,
                             struct rfl_err *err) {
  if (!state->settled && !state->has_prior)
    return rfl_fail(err, RFL_EMODEL, "The model has not been fitted yet.");
  /* The arrays are a cache: what they hold follows from the rest of the state. */
  struct rfl_state *s = (struct rfl_state *)(uintptr_t)state;
  RFL_TRY(fill(s, err));
  bool negative = s->kind.variance == RFL_V_NEGATIVE;
  struct glm_totals t = glm_total(s);
  struct rfl_glm_result r = {.n_x = s->design->layout.n_x,
                             .rank = glm_rank(s),
                             .coef = s->coef,
                             .vcov = s->vcov,
                             .dispersion = glm_dispersion(s),
                             .deviance = t.deviance,
                             .null_deviance = t.null_deviance,
                             .pearson = t.pearson,
                             .n = t.rows,
                             .n_zero = t.zero,
                             .sum_weight = t.weight,
                             .events = t.events,
                             .effective_n = t.effective,
                             .theta = negative ? s->kind.shape : NAN,
                             .theta_se = s->theta_se,
                             .penalised = glm_penalised(s),
                             .has_rows_outer = s->settled && s->by_row,
                             .has_clusters = s->settled && s->by_cluster,
                             .clusters = s->clusters,
                             .passes = s->passes,
                             .converged = s->converged,
                             .separated = s->separated,
                             .double_double = s->was_exact,
                             .version = s->version};
  if (s->kind.freq) {
    r.n = t.weight;
    r.n_zero = 0;
  }
  if (s->forgets) r.effective_n = t.effective * t.effective / t.effective2;
  r.identified = !s->has_prior || s->anchored || glm_identified(s, &t);
  likelihood(s, &t, &r);
  *gives = r;
  return RFL_OK;
}

/* to = A^-1 B A^-1 for the upper triangle of B. */
static enum rfl_code wrap(const struct rfl_state *s, const double *b, double *to,
                          struct rfl_err *err) {
  size_t p = glm_p(s);
  double *a = rfl_alloc(2 * p * p, sizeof *a);
  if (!a) return rfl_no_memory(err);
  double *half = a + p * p;
  rfl_chol_inverse(&s->chol, a);
  for (size_t j = 0; j < p; j++) {
    for (size_t k = 0; k < p; k++) {
      double f = b[k <= j ? k + j * p : j + k * p];
      if (!s->chol.kept[k] || !s->chol.kept[j]) continue;
      for (size_t i = 0; i < p; i++) half[i + j * p] += a[i + k * p] * f;
    }
  }
  memset(to, 0, p * p * sizeof *to);
  for (size_t j = 0; j < p; j++)
    for (size_t k = 0; k < p; k++)
      for (size_t i = 0; s->chol.kept[k] && i < p; i++)
        to[i + j * p] += half[i + k * p] * a[k + j * p];
  for (size_t j = 0; j < p; j++)
    for (size_t i = 0; i < p; i++)
      if (!s->chol.kept[i] || !s->chol.kept[j]) to[i + j * p] = NAN;
  rfl_free(a);
  return RFL_OK;
}

/* What runs to infinity has no covariance of any kind. */
static void mark_infinite(const struct rfl_state *s, double *to) {
  size_t p = glm_p(s);
  for (size_t j = 0; j < p; j++) {
    if (s->direction[j] == 0) continue;
    for (size_t i = 0; i < p; i++) to[i + j * p] = to[j + i * p] = NAN;
    to[j + j * p] = INFINITY;
  }
}

enum rfl_code rfl_glm_vcov(const struct rfl_state *s, enum rfl_glm_vcov type, double *to,
                           struct rfl_err *err) {
  struct rfl_glm_result r;
  RFL_TRY(rfl_glm_result(s, &r, err));
  if (s->l1 > 0)
    return rfl_fail(err, RFL_EMODEL, "A fit with an l1 penalty has no covariance.");
  size_t p = glm_p(s);
  if (type == RFL_VCOV_MODEL) {
    memcpy(to, r.vcov, p * p * sizeof *to);
    return RFL_OK;
  }
  const double *b = type == RFL_VCOV_HC0 ? s->by_row : s->by_cluster;
  if (s->has_prior)
    return rfl_fail(err, RFL_EMODEL,
                    "After updates only the covariance of the model is known.");
  if (!b)
    return rfl_fail(err, RFL_EMODEL, "The fit has not kept what this covariance needs.");
  RFL_TRY(wrap(s, b, to, err));
  mark_infinite(s, to);
  return RFL_OK;
}

enum rfl_code rfl_glm_level_counts(const struct rfl_state *s, double *rows,
                                   double *events, struct rfl_err *err) {
  if (!s->settled && !s->has_prior)
    return rfl_fail(err, RFL_EMODEL, "The model has not been fitted yet.");
  for (size_t z = 0; z < glm_z(s); z++) rows[z] = events[z] = NAN;
  const struct rfl_gram *g = &s->design->gram;
  for (size_t t = 0; t < g->n_wide; t++) {
    for (int32_t l = 0; l < g->wide[t].levels; l++) {
      size_t z = (size_t)(g->wide[t].z + l);
      rows[z] = (s->settled ? s->counts[3 * z] : 0) +
                (s->has_prior ? s->past_counts[3 * z] : 0);
      events[z] = (s->settled ? s->counts[3 * z + 1] : 0) +
                  (s->has_prior ? s->past_counts[3 * z + 1] : 0);
    }
  }
  return RFL_OK;
}
