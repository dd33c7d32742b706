/* Predictions against outcomes for R: one set of rows at a time. */
#include <string.h>

#include "base/random.h"
#include "glue.h"
#include "learn/metrics.h"

static void release_metrics(void *p) { rfl_metrics_release(p); }
static const struct r_type metrics_type = {"metrics", release_metrics, R_MEMORY};

/* The hashes of a factor's levels, by row; NULL for none. */
static const uint64_t *read_clusters(SEXP factor) {
  if (Rf_isNull(factor)) return NULL;
  SEXP levels = PROTECT(Rf_getAttrib(factor, R_LevelsSymbol));
  R_xlen_t n = Rf_xlength(factor), n_levels = Rf_xlength(levels);
  uint64_t *hash = r_scratch((size_t)n_levels, sizeof *hash);
  for (R_xlen_t k = 0; k < n_levels; k++) {
    const char *text = r_text(levels, k);
    hash[k] = rfl_hash(0, text, strlen(text));
  }
  uint64_t *of = r_scratch((size_t)n, sizeof *of);
  for (R_xlen_t i = 0; i < n; i++) of[i] = hash[INTEGER_RO(factor)[i] - 1];
  UNPROTECT(1);
  return of;
}

static void put(SEXP list, int at, double x) {
  SET_VECTOR_ELT(list, at, Rf_ScalarReal(x));
}

static SEXP as_list(const struct rfl_metric_result *r, const struct rfl_ranking *exact) {
  const char *names[] = {"n",
                         "weight",
                         "events",
                         "observed",
                         "predicted",
                         "log_loss",
                         "normalised_entropy",
                         "brier",
                         "rmse",
                         "deviance",
                         "calibration",
                         "calibration_low",
                         "calibration_high",
                         "auc_binned",
                         "auc_bound",
                         "auc",
                         "auc_within",
                         "pr_auc",
                         "replicate_log_loss",
                         "replicate_auc",
                         ""};
  const double x[] = {r->n,
                      r->weight,
                      r->events,
                      r->observed,
                      r->predicted,
                      r->log_loss,
                      r->normalised_entropy,
                      r->brier,
                      r->rmse,
                      r->deviance,
                      r->calibration,
                      r->calibration_low,
                      r->calibration_high,
                      r->auc,
                      r->auc_bound,
                      exact->auc,
                      exact->auc_within,
                      exact->pr_auc};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  int n = (int)(sizeof x / sizeof *x);
  for (int k = 0; k < n; k++) put(list, k, x[k]);
  const double *replicates[] = {r->replicate_log_loss, r->replicate_auc};
  for (int k = 0; k < 2; k++) {
    SEXP v = Rf_allocVector(REALSXP, r->replicates);
    SET_VECTOR_ELT(list, n + k, v);
    for (int i = 0; i < r->replicates; i++) REAL(v)[i] = replicates[k][i];
  }
  UNPROTECT(1);
  return list;
}

SEXP ffi_metrics(SEXP observed, SEXP predicted, SEXP weights, SEXP cluster,
                 SEXP replicates) {
  struct rfl_metric_rows rows = {.n = (size_t)Rf_xlength(observed),
                                 .y = REAL_RO(observed),
                                 .p = REAL_RO(predicted),
                                 .weight = Rf_isNull(weights) ? NULL : REAL_RO(weights),
                                 .cluster = read_clusters(cluster)};
  SEXP handle = PROTECT(r_handle_new(&metrics_type, R_NilValue));
  struct rfl_err err = {0};
  struct rfl_metrics *m = NULL;
  enum rfl_code code = rfl_metrics_new((int32_t)r_number(replicates), &m, &err);
  if (!code) r_handle_fill(handle, m);
  r_finish(code, &err);
  rfl_metrics_add(m, &rows);
  struct rfl_metric_result *result = r_scratch(1, sizeof *result);
  rfl_metrics_result(m, result);
  struct rfl_ranking exact;
  r_finish(rfl_ranking(&rows, &exact, &err), &err);
  r_handle_close(handle);
  SEXP list = as_list(result, &exact);
  UNPROTECT(1);
  return list;
}
