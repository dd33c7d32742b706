#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/aft_parts.h"

/* What J^-1 K J^-1 has for K: what was forgotten counts by the square. */
static double outer_at(const struct rfl_state *s, size_t i, size_t j) {
  size_t q = aft_q(s);
  double k = aft_at(s->prior_outer ? s->prior_outer : s->prior_info, q, i, j);
  return s->settled ? s->keep * s->keep * k + aft_at(s->info, q, i, j) : k;
}

/* The score of cluster g, in theta; row is q long. */
static void cluster_score(const struct rfl_state *s, size_t g, double *from,
                          double *row) {
  size_t z = aft_z(s), p = aft_p(s), n = z + s->design->scales;
  for (size_t k = 0; k < n; k++) {
    from[k] = s->settled ? s->bucket[g * n + k] : 0;
    if (s->has_prior) from[k] += (s->settled ? s->keep : 1) * s->past_bucket[g * n + k];
  }
  memset(row, 0, aft_q(s) * sizeof *row);
  rfl_contrast_collect(&s->design->contrast, from, row);
  for (size_t k = 0; k < s->design->scales; k++) row[p + k] = from[z + k];
}

/* v K v for K = sum over clusters of u u', as the sum of (v u)(v u)'. */
static void by_clusters(const struct rfl_state *s, double *v, double *scratch) {
  size_t q = aft_q(s);
  double *all = scratch, *u = scratch + q * q, *vu = u + q, *from = vu + q;
  memset(all, 0, q * q * sizeof *all);
  for (int32_t g = 0; g < s->design->options.n_clusters; g++) {
    cluster_score(s, (size_t)g, from, u);
    memset(vu, 0, q * sizeof *vu);
    for (size_t j = 0; j < q; j++)
      for (size_t i = 0; u[j] != 0 && i < q; i++) vu[i] += v[i + j * q] * u[j];
    for (size_t j = 0; j < q; j++)
      for (size_t i = 0; i < q; i++) all[i + j * q] += vu[i] * vu[j];
  }
  memcpy(v, all, q * q * sizeof *v);
}

static void by_forgetting(const struct rfl_state *s, double *v, double *scratch) {
  size_t q = aft_q(s);
  double *half = scratch, *row = scratch + q * q;
  memset(half, 0, q * q * sizeof *half);
  for (size_t j = 0; j < q; j++)
    for (size_t m = 0; m < q; m++) {
      double k = outer_at(s, m, j);
      for (size_t i = 0; i < q; i++) half[i + j * q] += v[i + m * q] * k;
    }
  for (size_t i = 0; i < q; i++) { /* row i of the product takes row i of half */
    memset(row, 0, q * sizeof *row);
    for (size_t m = 0; m < q; m++)
      for (size_t j = 0; j < q; j++) row[j] += half[i + m * q] * v[m + j * q];
    for (size_t j = 0; j < q; j++) half[i + j * q] = row[j];
  }
  memcpy(v, half, q * q * sizeof *v);
}

enum rfl_code aft_covariance(const struct rfl_state *s, bool robust, double *v,
                             struct rfl_err *err) {
  size_t q = aft_q(s);
  bool cluster = robust && s->design->options.n_clusters > 0;
  rfl_chol_inverse(&s->chol, v);
  for (size_t k = 0; k < q * q; k++)
    if (isnan(v[k])) v[k] = 0;
  if (!cluster && !s->forgets) return RFL_OK;
  double *scratch = rfl_alloc(q * q + 3 * q + aft_z(s), sizeof *scratch);
  if (!scratch) return rfl_no_memory(err);
  if (cluster)
    by_clusters(s, v, scratch);
  else
    by_forgetting(s, v, scratch);
  rfl_free(scratch);
  return RFL_OK;
}

/* Columns that new rows may still identify but none has so far. */
static bool unknown(const struct rfl_state *s, size_t j) {
  if (s->aliased[j]) return true;
  if (!s->has_prior) return false;
  double own = s->prior_info[j + j * aft_q(s)];
  if (s->settled) own = s->keep * own + s->info[j + j * aft_q(s)];
  return own <= 0.0101;
}

static void hide_unknown(const struct rfl_state *s, double *v) {
  size_t q = aft_q(s);
  for (size_t j = 0; j < q; j++) {
    bool gone = unknown(s, j), runs = s->direction[j] != 0;
    for (size_t i = 0; i < q; i++)
      if (gone || unknown(s, i) || ((runs || s->direction[i] != 0) && i != j))
        v[i + j * q] = NAN;
    if (runs && !gone) v[j + j * q] = INFINITY;
  }
}

/* The arrays are made before the old ones go. */
static enum rfl_code fill(struct rfl_state *s, struct rfl_err *err) {
  size_t q = aft_q(s), p = aft_p(s), strata = s->design->strata;
  bool cluster = s->design->options.n_clusters > 0;
  double *v = rfl_alloc(q * q, sizeof *v), *coef = rfl_alloc(p + strata, sizeof *coef);
  double *robust = cluster ? rfl_alloc(q * q, sizeof *robust) : NULL;
  enum rfl_code code = v && coef && (robust || !cluster) ? RFL_OK : rfl_no_memory(err);
  if (!code) code = aft_covariance(s, false, v, err);
  if (!code && cluster) code = aft_covariance(s, true, robust, err);
  if (code) {
    rfl_free(v);
    rfl_free(coef);
    rfl_free(robust);
    return code;
  }
  hide_unknown(s, v);
  if (robust) hide_unknown(s, robust);
  for (size_t j = 0; j < p; j++) coef[j] = unknown(s, j) ? NAN : s->theta[j];
  for (size_t k = 0; k < strata; k++) coef[p + k] = aft_tau(s, k);
  rfl_free(s->coef);
  rfl_free(s->vcov);
  rfl_free(s->robust);
  s->coef = coef;
  s->vcov = v;
  s->robust = robust;
  return RFL_OK;
}

enum rfl_code rfl_aft_result(const struct rfl_state *state, struct rfl_aft_result *gives,
                             struct rfl_err *err) {
  if (!state->settled && !state->has_prior)
    return rfl_fail(err, RFL_EMODEL, "The model has not been fitted yet.");
  /* The arrays are a cache: what they hold follows from the rest of the state. */
  struct rfl_state *s = (struct rfl_state *)(uintptr_t)state;
  RFL_TRY(fill(s, err));
  struct aft_totals t = aft_total(s);
  struct rfl_aft_result r = {.n_x = s->design->layout.n_x,
                             .n_scale = (int32_t)s->design->scales,
                             .rank = aft_rank(s),
                             .coef = s->coef,
                             .log_scale = s->coef + aft_p(s),
                             .n_log_scale = (int32_t)s->design->strata,
                             .vcov = s->vcov,
                             .robust = s->robust,
                             .loglik = t.loglik,
                             .n = t.rows,
                             .n_zero = t.zero,
                             .sum_weight = t.weight,
                             .effective_n = t.effective,
                             .passes = s->passes,
                             .converged = s->converged,
                             .separated = s->separated,
                             .outer = s->way == AFT_OUTER,
                             .version = s->version};
  memcpy(r.n_status, t.status, sizeof r.n_status);
  if (s->forgets) r.effective_n = t.effective * t.effective / t.effective2;
  r.identified = !s->has_prior || s->anchored || aft_identified(s, &t);
  *gives = r;
  return RFL_OK;
}
