/* What the glue knows of k-means alone. */
#include "learn/kmeans.h"

#include "r_model.h"

static const struct rfl_options *read_options(SEXP from) {
  struct rfl_kmeans_options *to = r_scratch(1, sizeof *to);
  SEXP start = r_get(from, "start");
  *to = (struct rfl_kmeans_options){
      .k = (int32_t)r_number(r_get(from, "k")),
      .starts = (int32_t)r_number(r_get(from, "nstart")),
      .parallel = r_flag(r_get(from, "parallel")),
      .scale = r_flag(r_get(from, "scale")),
      .max_iter = (int32_t)r_number(r_get(from, "max_iter")),
      .seed = (uint64_t)(int64_t)r_number(r_get(from, "seed")),
      .sample = r_number(r_get(from, "sample")),
      .start = Rf_isNull(start) ? NULL : REAL_RO(start),
      .memory = r_number(r_get(from, "memory"))};
  return &to->base;
}

static SEXP doubles(const double *x, size_t n) {
  SEXP out = Rf_allocVector(REALSXP, (R_xlen_t)n);
  for (size_t i = 0; i < n; i++) REAL(out)[i] = x[i];
  return out;
}

static SEXP result_list(const struct rfl_kmeans_result *r) {
  const char *names[] = {"centers",  "size",       "weight",    "withinss",     "divisor",
                         "constant", "wanted",     "totss",     "tot.withinss", "n",
                         "n_zero",   "sum_weight", "iter",      "passes",       "starts",
                         "reseeded", "version",    "converged", "sampled",      ""};
  size_t k = (size_t)r->k, d = (size_t)r->coordinates;
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, Rf_allocMatrix(REALSXP, r->k, r->coordinates));
  for (size_t i = 0; i < k * d; i++) REAL(VECTOR_ELT(list, 0))[i] = r->centre[i];
  SET_VECTOR_ELT(list, 1, doubles(r->size, k));
  SET_VECTOR_ELT(list, 2, doubles(r->weight, k));
  SET_VECTOR_ELT(list, 3, doubles(r->within, k));
  SET_VECTOR_ELT(list, 4, doubles(r->divisor, d));
  SET_VECTOR_ELT(list, 5, Rf_allocVector(LGLSXP, (R_xlen_t)d));
  for (size_t j = 0; j < d; j++) LOGICAL(VECTOR_ELT(list, 5))[j] = r->constant[j];
  const double number[] = {r->wanted, r->total,      r->total_within,   r->n,
                           r->n_zero, r->sum_weight, r->iterations,     r->passes,
                           r->starts, r->reseeded,   (double)r->version};
  int at = 6;
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    SET_VECTOR_ELT(list, at++, Rf_ScalarReal(number[i]));
  SET_VECTOR_ELT(list, at++, Rf_ScalarLogical(r->converged));
  SET_VECTOR_ELT(list, at, Rf_ScalarLogical(r->sampled));
  UNPROTECT(1);
  return list;
}

static SEXP tell(struct r_bench *b) {
  struct rfl_err err = {0};
  struct rfl_kmeans_result result;
  r_finish(rfl_kmeans_result(b->state, &result, &err), &err);
  return result_list(&result);
}

const struct r_family r_kmeans = {
    .name = "kmeans", .learner = &rfl_kmeans, .options = read_options, .result = tell};
