/* A recipe's plain list (see R/recipe.R) as the struct that the core compiles. Everything
 * here lies in scratch memory of the call, so a jump of R leaves nothing behind. */
#include <string.h>

#include "r_model.h"

static int length_of(SEXP x) { return (int)Rf_xlength(x); }

/* A field that a recipe may lack. */
static bool flag_of(SEXP list, const char *name) {
  SEXP x = r_get(list, name);
  return !Rf_isNull(x) && r_flag(x);
}
static double number_of(SEXP list, const char *name) {
  SEXP x = r_get(list, name);
  return Rf_isNull(x) ? 0 : r_number(x);
}

static void read_hashed(SEXP from, struct rfl_variable *to) {
  SEXP with = r_get(from, "with");
  double seed = number_of(from, "seed");
  to->kind = RFL_HASHED;
  to->n_with = (size_t)Rf_xlength(with);
  to->with = r_texts(with);
  to->slots = (int32_t)number_of(from, "slots");
  to->seed = (uint64_t)(int64_t)seed;
}

static void read_variable(SEXP from, struct rfl_variable *to) {
  to->name = r_string(r_get(from, "name"));
  const char *kind = r_string(r_get(from, "kind"));
  if (strcmp(kind, "hashed") == 0) {
    read_hashed(from, to);
    return;
  }
  SEXP levels = r_get(from, "levels");
  to->kind = Rf_isNull(levels) ? RFL_NUMBER : RFL_CATEGORY;
  if (to->kind == RFL_NUMBER) return;
  to->logical = r_flag(r_get(from, "logical"));
  to->other = (int32_t)number_of(from, "other");
  to->level = r_texts(levels);
  to->n_levels = length_of(levels);
}

static void read_coding(SEXP from, struct rfl_coding *to) {
  if (Rf_isNull(from)) return; /* a number, or hashed */
  SEXP select = r_get(from, "select"), matrix = r_get(from, "matrix");
  SEXP names = r_get(from, "names");
  to->columns = length_of(names);
  to->names = (char **)r_texts(names); /* only read by rfl_recipe_new() */
  if (Rf_isNull(matrix)) {
    to->levels = length_of(select);
    to->select = INTEGER(select);
  } else {
    to->levels = length_of(matrix) / (to->columns ? to->columns : 1);
    to->matrix = REAL(matrix);
  }
}

static void read_term(SEXP from, struct rfl_term_spec *to) {
  SEXP variables = r_get(from, "variables"), codings = r_get(from, "codings");
  to->n = (size_t)Rf_xlength(variables);
  int32_t *variable = r_scratch(to->n, sizeof *variable);
  struct rfl_coding *coding = r_scratch(to->n, sizeof *coding);
  for (size_t i = 0; i < to->n; i++) {
    variable[i] = INTEGER_RO(variables)[i] - 1;
    read_coding(VECTOR_ELT(codings, (R_xlen_t)i), &coding[i]);
  }
  to->variable = variable;
  to->coding = coding;
}

static void read_response(SEXP from, struct rfl_recipe_spec *to) {
  to->response = RFL_RESPONSE_NONE;
  if (Rf_isNull(from)) return;
  to->y = r_string(r_get(from, "name"));
  SEXP levels = r_get(from, "levels");
  const char *kind = r_string(r_get(from, "kind"));
  to->response = Rf_isNull(levels)               ? RFL_RESPONSE_NUMBER
                 : kind && !strcmp(kind, "code") ? RFL_RESPONSE_CODE
                                                 : RFL_RESPONSE_CLASS;
  if (Rf_isNull(levels)) return;
  to->y_level = r_texts(levels);
  to->n_y_levels = length_of(levels);
}

static void read_extra(SEXP from, struct rfl_extra_spec *to) {
  const char *kind = r_string(r_get(from, "kind"));
  to->name = r_string(r_get(from, "name"));
  to->kind = strcmp(kind, "level") == 0    ? RFL_EXTRA_LEVEL
             : strcmp(kind, "bucket") == 0 ? RFL_EXTRA_BUCKET
                                           : RFL_EXTRA_NUMBER;
  to->may_miss = flag_of(from, "may_miss");
  to->for_scoring = flag_of(from, "for_scoring");
  to->buckets = (int32_t)number_of(from, "buckets");
  SEXP levels = r_get(from, "levels");
  if (Rf_isNull(levels)) return;
  to->level = r_texts(levels);
  to->n_levels = length_of(levels);
}

static void read_extras(SEXP list, struct rfl_recipe_spec *to) {
  to->n_extra = (size_t)Rf_xlength(list);
  struct rfl_extra_spec *extra = r_scratch(to->n_extra, sizeof *extra);
  for (size_t i = 0; i < to->n_extra; i++)
    read_extra(VECTOR_ELT(list, (R_xlen_t)i), &extra[i]);
  to->extra = extra;
}

static void read_spec(SEXP list, struct rfl_recipe_spec *to) {
  SEXP variables = r_get(list, "variables"), terms = r_get(list, "terms");
  to->n_variables = (size_t)Rf_xlength(variables);
  struct rfl_variable *variable = r_scratch(to->n_variables, sizeof *variable);
  for (size_t i = 0; i < to->n_variables; i++)
    read_variable(VECTOR_ELT(variables, (R_xlen_t)i), &variable[i]);
  to->variable = variable;
  to->n_terms = (size_t)Rf_xlength(terms);
  struct rfl_term_spec *term = r_scratch(to->n_terms, sizeof *term);
  for (size_t i = 0; i < to->n_terms; i++)
    read_term(VECTOR_ELT(terms, (R_xlen_t)i), &term[i]);
  to->term = term;
  to->intercept = r_flag(r_get(list, "intercept"));
  read_response(r_get(list, "response"), to);
  to->weight = r_string(r_get(list, "weight"));
  SEXP offset = r_get(list, "offset");
  to->n_offsets = (size_t)Rf_xlength(offset);
  to->offset = Rf_isNull(offset) ? NULL : r_texts(offset);
  read_extras(r_get(list, "extras"), to);
  to->missing = flag_of(list, "missing");
  to->shared = flag_of(list, "shared");
  to->keyed = flag_of(list, "keyed");
}

enum rfl_code r_recipe_make(SEXP list, struct rfl_recipe **gives, struct rfl_err *err) {
  struct rfl_recipe_spec spec = {0};
  read_spec(list, &spec);
  return rfl_recipe_new(&spec, gives, err);
}

/* ---- hashed() ---- */

/* Codes of the first coded column of a recipe for all rows of frames in memory. */
SEXP ffi_hashed_codes(SEXP frames, SEXP recipe) {
  struct r_frames *in = r_frames_get(frames);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(NULL, &b));
  struct rfl_err err = {0};
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code)
    code = rfl_workspace_new(b->recipe, RFL_FOR_SCORING, RFL_UNSEEN_NA, &b->ws, &err);
  r_finish(code, &err);
  SEXP codes = PROTECT(Rf_allocVector(INTSXP, (R_xlen_t)r_frames_rows(in)));
  size_t done = 0;
  for (size_t k = 0; !code && k < r_frames_count(in); k++) {
    struct rfl_frame *frame = NULL;
    struct rfl_block block = {0};
    code = r_frames_take(in, k, &frame, &err);
    if (code) break;
    struct rfl_rows rows = {.frame = frame, .n = frame->n_rows};
    code = rfl_recipe_apply(b->recipe, &rows, b->ws, &block, &err);
    if (!code && block.n)
      memcpy(INTEGER(codes) + done, block.coded[0].code, block.n * sizeof(int));
    done += frame->n_rows;
    rfl_frame_release(frame);
  }
  r_finish(code, &err);
  r_handle_close(bench);
  UNPROTECT(2);
  return codes;
}

/* ---- more levels ---- */

SEXP ffi_model_widens(SEXP learner) {
  return Rf_ScalarLogical(r_family_get(learner)->learner->widen != NULL);
}

/* The state over the layout of a wider recipe: column z of its Z becomes column to[z]. */
SEXP ffi_model_widen(SEXP learner, SEXP state, SEXP recipe, SEXP to) {
  const struct r_family *family = r_family_get(learner);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(family, &b));
  struct rfl_err err = {0};
  struct rfl_state *wide = NULL;
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code) code = r_state_read(b, state, &err);
  r_finish(code, &err);
  const struct rfl_layout *wider = rfl_recipe_layout(b->recipe);
  bool fits = family->learner->layout(b->state)->n_z == length_of(to);
  for (int z = 0; fits && z < length_of(to); z++)
    fits = INTEGER_RO(to)[z] >= 0 && INTEGER_RO(to)[z] < wider->n_z;
  if (!family->learner->widen || !fits)
    code = rfl_fail(&err, RFL_EMODEL, "The model cannot take new levels.");
  if (!code) code = family->learner->widen(b->state, wider, INTEGER_RO(to), &wide, &err);
  r_finish(code, &err);
  family->learner->release(b->state);
  b->state = wide;
  SEXP out = PROTECT(r_state_write(b, b->state));
  r_handle_close(bench);
  UNPROTECT(2);
  return out;
}
