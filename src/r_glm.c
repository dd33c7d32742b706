/* What the glue knows of generalised linear models alone. */
#include "learn/glm.h"

#include <string.h>

#include "r_model.h"

/* ---- families whose functions run in R ---- */

struct question { /* of custom_host() of R/families.R, and where its answer goes */
  SEXP fn;
  size_t n, columns;
  const double *in[3]; /* y, weights, eta */
  size_t n_in;
  double *out[4];
};

static SEXP ask(void *data) {
  struct question *q = data;
  SEXP call = PROTECT(Rf_allocVector(LANGSXP, (R_xlen_t)q->n_in + 1)), at = CDR(call);
  SETCAR(call, q->fn);
  for (size_t k = 0; k < q->n_in; k++, at = CDR(at)) {
    SETCAR(at, Rf_allocVector(REALSXP, (R_xlen_t)q->n));
    memcpy(REAL(CAR(at)), q->in[k], q->n * sizeof(double));
  }
  SEXP answer = PROTECT(Rf_eval(call, R_BaseEnv));
  for (size_t k = 0; k < q->columns; k++) {
    SEXP column = VECTOR_ELT(answer, (R_xlen_t)k);
    for (size_t i = 0; i < q->n; i++) q->out[k][i] = REAL(column)[i];
  }
  UNPROTECT(2);
  return R_NilValue;
}

static enum rfl_code custom_at(void *data, size_t n, const double *y,
                               const double *weight, const double *eta, double *mu,
                               double *slope, double *variance, double *deviance,
                               struct rfl_err *err) {
  struct question q = {.fn = VECTOR_ELT(data, 0),
                       .n = n,
                       .columns = 4,
                       .in = {y, weight, eta},
                       .n_in = 3,
                       .out = {mu, slope, variance, deviance}};
  if (r_guarded(ask, &q)) return rfl_fail(err, RFL_EHOST, "The family was interrupted.");
  return RFL_OK;
}

static enum rfl_code custom_start(void *data, size_t n, const double *y,
                                  const double *weight, double *eta,
                                  struct rfl_err *err) {
  struct question q = {.fn = VECTOR_ELT(data, 1),
                       .n = n,
                       .columns = 1,
                       .in = {y, weight},
                       .n_in = 2,
                       .out = {eta}};
  if (r_guarded(ask, &q)) return rfl_fail(err, RFL_EHOST, "The family was interrupted.");
  return RFL_OK;
}

static enum rfl_code custom_link(void *data, double mu, double *eta,
                                 struct rfl_err *err) {
  struct question q = {.fn = VECTOR_ELT(data, 2),
                       .n = 1,
                       .columns = 1,
                       .in = {&mu},
                       .n_in = 1,
                       .out = {eta}};
  if (r_guarded(ask, &q)) return rfl_fail(err, RFL_EHOST, "The family was interrupted.");
  return RFL_OK;
}

/* The list of functions lives as long as the entry's arguments. */
static const struct rfl_glm_custom *read_host(SEXP host) {
  if (Rf_isNull(host)) return NULL;
  struct rfl_glm_custom *to = r_scratch(1, sizeof *to);
  *to = (struct rfl_glm_custom){host, custom_at, custom_start, custom_link};
  return to;
}

static const struct rfl_options *read_options(SEXP from) {
  struct rfl_glm_options *to = r_scratch(1, sizeof *to);
  SEXP kind = r_get(from, "kind"); /* family_spec() of R/families.R */
  to->family = (enum rfl_family)r_number(r_get(kind, "family"));
  to->link = (enum rfl_link)r_number(r_get(kind, "link"));
  to->variance = (enum rfl_variance)r_number(r_get(kind, "variance"));
  to->shape = r_number(r_get(kind, "shape"));
  to->lambda = r_number(r_get(kind, "lambda"));
  to->custom = read_host(r_get(from, "host"));
  to->freq = r_flag(r_get(from, "freq"));
  to->l1 = r_number(r_get(from, "l1"));
  to->l2 = r_number(r_get(from, "l2"));
  to->standardize = r_flag(r_get(from, "standardize"));
  to->firth = r_flag(r_get(from, "firth"));
  to->robust = r_flag(r_get(from, "robust"));
  to->cluster = r_flag(r_get(from, "cluster"));
  to->tolerance = r_number(r_get(from, "epsilon"));
  to->max_passes = (int32_t)r_number(r_get(from, "maxit"));
  SEXP start = r_get(from, "start");
  to->start = Rf_isNull(start) ? NULL : REAL_RO(start);
  return &to->base;
}

/* ---- what a state tells ---- */

static SEXP copy_doubles(const double *x, size_t n) {
  SEXP out = Rf_allocVector(REALSXP, (R_xlen_t)n);
  for (size_t i = 0; i < n; i++) REAL(out)[i] = ISNAN(x[i]) ? NA_REAL : x[i];
  return out;
}

static void put_number(SEXP list, int *at, double x) {
  SET_VECTOR_ELT(list, (*at)++, Rf_ScalarReal(ISNAN(x) ? NA_REAL : x));
}
static void put_flag(SEXP list, int *at, bool x) {
  SET_VECTOR_ELT(list, (*at)++, Rf_ScalarLogical(x));
}

static SEXP result_list(const struct rfl_glm_result *r) {
  const char *names[] = {"coef",
                         "level_rows",
                         "level_events",
                         "rank",
                         "dispersion",
                         "deviance",
                         "null_deviance",
                         "loglik",
                         "aic",
                         "n",
                         "n_zero",
                         "sum_weight",
                         "events",
                         "effective_n",
                         "passes",
                         "version",
                         "theta",
                         "theta_se",
                         "clusters",
                         "converged",
                         "separated",
                         "identified",
                         "double_double",
                         "penalised",
                         "has_rows_outer",
                         "has_clusters",
                         ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, copy_doubles(r->coef, (size_t)r->n_x));
  int at = 3;
  const double number[] = {
      r->rank,        r->dispersion, r->deviance,        r->null_deviance, r->loglik,
      r->aic,         r->n,          r->n_zero,          r->sum_weight,    r->events,
      r->effective_n, r->passes,     (double)r->version, r->theta,         r->theta_se,
      r->clusters};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    put_number(list, &at, number[i]);
  const bool flag[] = {r->converged, r->separated,      r->identified,  r->double_double,
                       r->penalised, r->has_rows_outer, r->has_clusters};
  for (size_t i = 0; i < sizeof flag / sizeof *flag; i++) put_flag(list, &at, flag[i]);
  UNPROTECT(1);
  return list;
}

static SEXP tell(struct r_bench *b) {
  struct rfl_err err = {0};
  struct rfl_glm_result result;
  r_finish(rfl_glm_result(b->state, &result, &err), &err);
  SEXP list = PROTECT(result_list(&result));
  R_xlen_t n_z = rfl_glm.layout(b->state)->n_z;
  SET_VECTOR_ELT(list, 1, Rf_allocVector(REALSXP, n_z));
  SET_VECTOR_ELT(list, 2, Rf_allocVector(REALSXP, n_z));
  enum rfl_code code = rfl_glm_level_counts(b->state, REAL(VECTOR_ELT(list, 1)),
                                            REAL(VECTOR_ELT(list, 2)), &err);
  r_finish(code, &err);
  UNPROTECT(1);
  return list;
}

const struct r_family r_glm = {.name = "glm",
                               .learner = &rfl_glm,
                               .warm = 0.05,
                               .options = read_options,
                               .result = tell};

SEXP ffi_glm_vcov(SEXP state, SEXP type) {
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(&r_glm, &b));
  struct rfl_err err = {0};
  r_finish(r_state_read(b, state, &err), &err);
  int p = rfl_glm.layout(b->state)->n_x;
  SEXP v = PROTECT(Rf_allocMatrix(REALSXP, p, p));
  enum rfl_glm_vcov which = (enum rfl_glm_vcov)r_number(type);
  r_finish(rfl_glm_vcov(b->state, which, REAL(v), &err), &err);
  for (R_xlen_t i = 0; i < Rf_xlength(v); i++)
    if (ISNAN(REAL(v)[i])) REAL(v)[i] = NA_REAL;
  r_handle_close(bench);
  UNPROTECT(2);
  return v;
}

SEXP ffi_glm_combine(SEXP state, SEXP other) {
  struct r_bench *b, *more;
  SEXP bench = PROTECT(r_bench_new(&r_glm, &b));
  SEXP beside = PROTECT(r_bench_new(&r_glm, &more));
  struct rfl_err err = {0};
  struct rfl_state *both = NULL;
  enum rfl_code code = r_state_read(b, state, &err);
  if (!code) code = r_state_read(more, other, &err);
  if (!code) code = rfl_glm_combine(b->state, more->state, &both, &err);
  r_finish(code, &err);
  rfl_glm.release(b->state);
  b->state = both;
  SEXP raw = PROTECT(r_state_write(b, b->state));
  r_handle_close(beside);
  r_handle_close(bench);
  UNPROTECT(3);
  return raw;
}
