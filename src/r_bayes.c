/* What the glue knows of naive Bayes alone. */
#include "learn/bayes.h"

#include "base/mem.h"
#include "r_model.h"

static const struct rfl_options *read_options(SEXP from) {
  struct rfl_bayes_options *to = r_scratch(1, sizeof *to);
  SEXP likelihood = r_get(from, "likelihood"), prior = r_get(from, "prior");
  to->n_classes = (int32_t)r_number(r_get(from, "classes"));
  to->likelihood = Rf_isNull(likelihood) ? NULL : INTEGER_RO(likelihood);
  to->laplace = r_number(r_get(from, "laplace"));
  to->prior = Rf_isNull(prior) ? NULL : REAL_RO(prior);
  to->keep = r_number(r_get(from, "keep"));
  return &to->base;
}

/* ---- what a state tells ---- */

static void na_for_nan(double *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (ISNAN(x[i])) x[i] = NA_REAL;
}

static SEXP table_of(const struct rfl_state *s, size_t k, int classes) {
  struct rfl_bayes_feature f;
  rfl_bayes_feature(s, k, &f);
  SEXP table = Rf_allocMatrix(REALSXP, classes, f.width);
  rfl_bayes_table(s, k, REAL(table));
  na_for_nan(REAL(table), (size_t)classes * (size_t)f.width);
  return table;
}

static void put_features(SEXP list, const struct rfl_state *s,
                         const struct rfl_bayes_result *r) {
  R_xlen_t n = (R_xlen_t)r->n_features;
  SEXP tables = SET_VECTOR_ELT(list, 3, Rf_allocVector(VECSXP, n));
  double *missing = REAL(SET_VECTOR_ELT(list, 4, Rf_allocVector(REALSXP, n)));
  int *likelihood = INTEGER(SET_VECTOR_ELT(list, 5, Rf_allocVector(INTSXP, n)));
  for (R_xlen_t k = 0; k < n; k++) {
    struct rfl_bayes_feature f;
    rfl_bayes_feature(s, (size_t)k, &f);
    missing[k] = f.missing;
    likelihood[k] = (int)f.likelihood;
    SET_VECTOR_ELT(tables, k, table_of(s, (size_t)k, r->n_classes));
  }
}

static SEXP tell(struct r_bench *b) {
  struct rfl_bayes_result r;
  rfl_bayes_result(b->state, &r);
  const char *names[] = {"rows",    "weight",     "prior", "tables",
                         "missing", "likelihood", "n",     "n_zero",
                         "version", "streaming",  ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  for (int i = 0; i < 3; i++)
    SET_VECTOR_ELT(list, i, Rf_allocVector(REALSXP, r.n_classes));
  for (int32_t c = 0; c < r.n_classes; c++) {
    REAL(VECTOR_ELT(list, 0))[c] = r.rows[c];
    REAL(VECTOR_ELT(list, 1))[c] = r.weight[c];
  }
  rfl_bayes_prior(b->state, REAL(VECTOR_ELT(list, 2)));
  na_for_nan(REAL(VECTOR_ELT(list, 2)), (size_t)r.n_classes);
  put_features(list, b->state, &r);
  SET_VECTOR_ELT(list, 6, Rf_ScalarReal(r.n));
  SET_VECTOR_ELT(list, 7, Rf_ScalarReal(r.n_zero));
  SET_VECTOR_ELT(list, 8, Rf_ScalarReal((double)r.version));
  SET_VECTOR_ELT(list, 9, Rf_ScalarLogical(r.streaming));
  UNPROTECT(1);
  return list;
}

const struct r_family r_bayes = {.name = "naive_bayes",
                                 .learner = &rfl_bayes,
                                 .options = read_options,
                                 .result = tell};

/* ---- more levels, more classes, more rows ---- */

/* The state over a recipe with more levels: `to` and `to_class` as for rfl_bayes_widen().
 */
SEXP ffi_bayes_widen(SEXP state, SEXP recipe, SEXP to, SEXP classes, SEXP prior) {
  struct rfl_bayes_wider wider = {.to = INTEGER_RO(to),
                                  .n_classes = (int32_t)r_number(r_get(classes, "n")),
                                  .to_class = INTEGER_RO(r_get(classes, "to")),
                                  .prior = Rf_isNull(prior) ? NULL : REAL_RO(prior)};
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(&r_bayes, &b));
  struct rfl_err err = {0};
  struct rfl_state *wide = NULL;
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code) code = r_state_read(b, state, &err);
  if (!code) {
    const struct rfl_layout *old = rfl_bayes.layout(b->state);
    struct rfl_bayes_result r;
    rfl_bayes_result(b->state, &r);
    wider.layout = rfl_recipe_layout(b->recipe);
    bool fits = Rf_xlength(to) == old->n_z &&
                Rf_xlength(r_get(classes, "to")) == r.n_classes &&
                (!wider.prior || Rf_xlength(prior) == wider.n_classes);
    code = fits ? rfl_bayes_widen(b->state, &wider, &wide, &err)
                : rfl_fail(&err, RFL_EMODEL, "The state does not belong to the recipe.");
  }
  r_finish(code, &err);
  rfl_bayes.release(b->state);
  b->state = wide;
  SEXP raw = PROTECT(r_state_write(b, b->state));
  r_handle_close(bench);
  UNPROTECT(2);
  return raw;
}

/* Both states as one. step: the rows of `more` are a learning step after those of
 * `state`; else two fits are combined. */
SEXP ffi_bayes_join(SEXP state, SEXP more, SEXP step) {
  bool is_step = r_flag(step), again;
  struct r_bench *b, *other;
  SEXP bench = PROTECT(r_bench_new(&r_bayes, &b));
  SEXP beside = PROTECT(r_bench_new(&r_bayes, &other));
  struct rfl_err err = {0};
  enum rfl_code code = r_state_read(b, state, &err);
  if (!code) code = r_state_read(other, more, &err);
  if (!code && is_step) code = rfl_bayes_join(b->state, other->state, &err);
  if (!code && !is_step) code = rfl_bayes.merge(b->state, other->state, &err);
  if (!code && !is_step) code = rfl_bayes.settle(b->state, &again, &err);
  r_finish(code, &err);
  SEXP raw = PROTECT(r_state_write(b, b->state));
  r_handle_close(beside);
  r_handle_close(bench);
  UNPROTECT(3);
  return raw;
}
