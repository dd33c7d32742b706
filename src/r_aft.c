/* What the glue knows of survival models alone. */
#include "learn/aft.h"

#include <string.h>

#include "r_model.h"

static int32_t whole(SEXP list, const char *name) {
  return (int32_t)r_number(r_get(list, name));
}

static const struct rfl_options *read_options(SEXP from) {
  struct rfl_aft_options *to = r_scratch(1, sizeof *to);
  to->dist = (enum rfl_aft_dist)whole(from, "dist");
  to->type = (enum rfl_aft_type)whole(from, "type");
  to->log_time = r_flag(r_get(from, "log_time"));
  to->strict = r_flag(r_get(from, "strict"));
  to->df = r_number(r_get(from, "df"));
  to->scale = r_number(r_get(from, "scale"));
  to->event = r_number(r_get(from, "event"));
  to->time = whole(from, "time");
  to->time2 = whole(from, "time2");
  to->status = whole(from, "status");
  to->stratum = whole(from, "stratum");
  to->cluster = whole(from, "cluster");
  to->n_strata = whole(from, "n_strata");
  to->n_clusters = whole(from, "n_clusters");
  to->tolerance = r_number(r_get(from, "epsilon"));
  to->max_passes = whole(from, "maxit");
  return &to->base;
}

/* ---- what a state tells ---- */

static double shown(double x) { return ISNAN(x) ? NA_REAL : x; }

static void put_doubles(SEXP list, int at, const double *x, size_t n) {
  SEXP out = Rf_allocVector(REALSXP, (R_xlen_t)n);
  SET_VECTOR_ELT(list, at, out);
  for (size_t i = 0; i < n; i++) REAL(out)[i] = shown(x[i]);
}

static void put_matrix(SEXP list, int at, const double *x, int q) {
  if (!x) return;
  SEXP out = Rf_allocMatrix(REALSXP, q, q);
  SET_VECTOR_ELT(list, at, out);
  size_t n = (size_t)q * (size_t)q;
  for (size_t i = 0; i < n; i++) REAL(out)[i] = shown(x[i]);
}

static SEXP tell(struct r_bench *b) {
  struct rfl_err err = {0};
  struct rfl_aft_result r;
  r_finish(rfl_aft_result(b->state, &r, &err), &err);
  const char *names[] = {
      "coef",       "log_scale",   "vcov",       "robust",  "n_status",
      "rank",       "n_scale",     "loglik",     "n",       "n_zero",
      "sum_weight", "effective_n", "passes",     "version", "converged",
      "separated",  "outer",       "identified", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  put_doubles(list, 0, r.coef, (size_t)r.n_x);
  put_doubles(list, 1, r.log_scale, (size_t)r.n_log_scale);
  put_matrix(list, 2, r.vcov, r.n_x + r.n_scale);
  put_matrix(list, 3, r.robust, r.n_x + r.n_scale);
  put_doubles(list, 4, r.n_status, 4);
  const double number[] = {r.rank,        r.n_scale, r.loglik,
                           r.n,           r.n_zero,  r.sum_weight,
                           r.effective_n, r.passes,  (double)r.version};
  const bool flag[] = {r.converged, r.separated, r.outer, r.identified};
  for (int i = 0; i < 9; i++)
    SET_VECTOR_ELT(list, 5 + i, Rf_ScalarReal(shown(number[i])));
  for (int i = 0; i < 4; i++) SET_VECTOR_ELT(list, 14 + i, Rf_ScalarLogical(flag[i]));
  UNPROTECT(1);
  return list;
}

const struct r_family r_aft = {.name = "aft",
                               .learner = &rfl_aft,
                               .warm = 0.1,
                               .options = read_options,
                               .result = tell};
