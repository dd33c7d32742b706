/* Two fits to rows that they do not share, as one: the renewable equation (Luo & Song
 * 2020) read for shards instead of blocks, the one-step combination of Lin & Xi (2011,
 * "Aggregated estimating equation estimation", Statistics and Its Interface 4).
 *
 * A fit knows its rows by its coefficients b_i, the information J_i there and totals;
 * near b_i its deviance is deviance_i + (b - b_i)' J_i (b - b_i). The sum of two such is
 * least at
 *
 *     b = b_1 + (J_1 + J_2)^-1 J_2 (b_2 - b_1),
 *
 * with the information J_1 + J_2. Gaussian fits lose nothing; others lose what the
 * deviance has beyond the second order between b_1 and b_2: of the order of sqrt(n) / n_i
 * standard errors, with n rows in all (or events, where they are rare). The result is a
 * renewed state (glm_state.h): as if one shard had been the prior of the other. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

static enum rfl_code same_layout(const struct rfl_state *a, const struct rfl_state *b,
                                 struct rfl_err *err) {
  struct rfl_buf x = {0}, y = {0};
  rfl_layout_write(&a->design->layout, &x);
  rfl_layout_write(&b->design->layout, &y);
  bool failed = x.failed || y.failed;
  bool same = !failed && x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
  rfl_buf_release(&x);
  rfl_buf_release(&y);
  if (failed) return rfl_no_memory(err);
  if (same) return RFL_OK;
  return rfl_fail(err, RFL_EMODEL, "Models of different columns cannot be combined.");
}

static enum rfl_code check(const struct rfl_state *a, const struct rfl_state *b,
                           struct rfl_err *err) {
  bool ready = (a->settled || a->has_prior) && (b->settled || b->has_prior);
  if (!ready) return rfl_fail(err, RFL_EMODEL, "The model has not been fitted yet.");
  if (!glm_kind_same(&a->kind, &b->kind))
    return rfl_fail(err, RFL_EMODEL,
                    "Models of different families, links or shapes cannot be combined.");
  if (a->l1 > 0 || b->l1 > 0)
    return rfl_fail(err, RFL_EMODEL, "Models with an l1 penalty cannot be combined.");
  return same_layout(a, b, err);
}

/* What `s` knows, as a prior. A column that it knows nothing of says nothing: the weak
 * prior of renew() is for the sum, not for each of the shards. */
static enum rfl_code as_prior(const struct rfl_state *s, struct rfl_state **gives,
                              struct rfl_err *err) {
  struct rfl_state *to = NULL;
  RFL_TRY(rfl_glm.copy(s, &to, err));
  memset(to->direction, 0, glm_p(to) * sizeof *to->direction);
  memset(to->aliased, 0, glm_p(to));
  enum rfl_code code = to->settled ? glm_renew(to, 1, err) : RFL_OK;
  if (code) {
    glm_release(to);
    return code;
  }
  *gives = to;
  return RFL_OK;
}

static bool knows(const struct rfl_state *s) {
  struct glm_totals t = glm_total(s);
  return !s->has_prior || s->anchored || glm_identified(s, &t);
}

static void add_totals(struct glm_totals *to, const struct glm_totals *from) {
  to->rows += from->rows;
  to->zero += from->zero;
  to->weight += from->weight;
  to->events += from->events;
  to->saturated += from->saturated;
  to->rounded += from->rounded;
  to->log_weight += from->log_weight;
  to->deviance += from->deviance;
  to->pearson += from->pearson;
  to->null_deviance += from->null_deviance;
  to->effective += from->effective;
  to->effective2 += from->effective2;
}

/* The intercept-only models, by the same equation. */
static void join_null(struct rfl_state *to, const struct rfl_state *from) {
  struct glm_null *a = &to->null;
  const struct glm_null *b = &from->null;
  double info = a->prior_info + b->prior_info, away = b->prior_beta - a->prior_beta;
  double step = info > 0 ? b->prior_info / info * away : 0, left = away - step;
  if (info > 0)
    to->past.null_deviance += a->prior_info * step * step + b->prior_info * left * left;
  a->prior_info = info;
  a->beta = a->prior_beta += step;
}

/* The coefficients, and what the deviances are there; `step` is scratch of n_x. The
 * factor is that of the sum of both informations. */
static void join_beta(struct rfl_state *to, const struct rfl_state *from, double *step) {
  size_t p = glm_p(to);
  glm_prior_distance(from, to->prior_beta, step); /* J_2 (b_1 - b_2) */
  for (size_t j = 0; j < p; j++) step[j] = -step[j];
  rfl_chol_solve(&to->chol, (struct rfl_sums){step, NULL});
  for (size_t j = 0; j < p; j++) to->beta[j] = to->prior_beta[j] + step[j];
  double away =
      glm_prior_distance(to, to->beta, NULL) + glm_prior_distance(from, to->beta, NULL);
  to->past.deviance += away;
  if (glm_is_linear(&to->kind)) to->past.pearson += away;
}

static enum rfl_code factor_sum(struct rfl_state *to, const struct rfl_state *from,
                                struct rfl_err *err) {
  size_t p = glm_p(to);
  struct rfl_chol sum;
  RFL_TRY(rfl_chol_new(p, false, &sum, err));
  for (size_t j = 0; j < p; j++)
    for (size_t i = 0; i <= j; i++)
      sum.a.hi[i + j * p] = to->prior_info[i + j * p] + from->prior_info[i + j * p];
  rfl_chol_factor(&sum, fmax(to->rank_tolerance * to->rank_tolerance, 1e-11));
  rfl_chol_release(&to->chol);
  to->chol = sum;
  return RFL_OK;
}

/* K, which is J where nothing was ever forgotten. */
static enum rfl_code join_outer(struct rfl_state *to, const struct rfl_state *from,
                                struct rfl_err *err) {
  if (!to->forgets && !from->forgets) return RFL_OK;
  size_t n = glm_p(to) * glm_p(to);
  const double *other = from->forgets ? from->prior_outer : from->prior_info;
  if (!to->prior_outer) {
    to->prior_outer = rfl_alloc(n, sizeof *to->prior_outer);
    if (!to->prior_outer) return rfl_no_memory(err);
    memcpy(to->prior_outer, to->prior_info, n * sizeof *to->prior_outer);
  }
  for (size_t k = 0; k < n; k++) to->prior_outer[k] += other[k];
  to->forgets = true;
  return RFL_OK;
}

/* Both are priors. */
static enum rfl_code join(struct rfl_state *to, const struct rfl_state *from,
                          struct rfl_err *err) {
  size_t p = glm_p(to);
  double *step = rfl_alloc(p, sizeof *step);
  if (!step) return rfl_no_memory(err);
  enum rfl_code code = join_outer(to, from, err);
  if (!code) code = factor_sum(to, from, err);
  if (code) {
    rfl_free(step);
    return code;
  }
  add_totals(&to->past, &from->past);
  join_null(to, from);
  join_beta(to, from, step);
  rfl_free(step);
  for (size_t j = 0; j < p; j++) {
    if (!(to->beta[j] - to->beta[j] == 0))
      return rfl_fail(err, RFL_EMODEL,
                      "The models' numbers are too large to be combined.");
    to->aliased[j] = !to->chol.kept[j];
  }
  for (size_t k = 0; k < p * p; k++) to->prior_info[k] += from->prior_info[k];
  memcpy(to->prior_beta, to->beta, p * sizeof *to->beta);
  memcpy(to->start, to->beta, p * sizeof *to->beta);
  for (size_t k = 0; k < 3 * glm_z(to); k++) to->past_counts[k] += from->past_counts[k];
  to->version += from->version;
  to->converged = to->converged && from->converged;
  to->was_exact = to->was_exact && from->was_exact;
  glm_clear(to);
  return RFL_OK;
}

enum rfl_code rfl_glm_combine(const struct rfl_state *a, const struct rfl_state *b,
                              struct rfl_state **gives, struct rfl_err *err) {
  RFL_TRY(check(a, b, err));
  struct rfl_state *to = NULL, *from = NULL;
  enum rfl_code code = as_prior(a, &to, err);
  if (!code) code = as_prior(b, &from, err);
  if (!code) code = join(to, from, err);
  if (!code) {
    to->anchored = knows(a) || knows(b);
    glm_weaken(to, a->direction, b->direction);
  }
  glm_release(from);
  if (code) {
    glm_release(to);
    return code;
  }
  *gives = to;
  return RFL_OK;
}
