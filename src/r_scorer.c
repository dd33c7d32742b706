/* A scorer: a model made ready to score one record at a time. What predict() makes anew
 * on every call lies behind one handle here: recipe, state, workspace, and a frame of one
 * row whose columns point at the record's own values. So a record costs a look-up of its
 * names, the recipe and the score, and no allocation but that of the result.
 *
 * A record is a list, whose values are read as those of a data frame's columns are, or
 * JSON text, decoded into the open row of a builder that is never committed. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decode/json.h"
#include "frame/builder_inline.h"
#include "r_model.h"

struct field { /* a column that the recipe needs */
  SEXP name;   /* a CHARSXP, alive with the handle */
  bool number;
  R_xlen_t at; /* where it was in the last record */
  uint8_t valid;
  int32_t whole, offset[2];
  int64_t large;
  double real;
};
struct scorer {
  const struct rfl_learner *learner;
  struct rfl_recipe *recipe;
  struct rfl_state *state;
  struct rfl_live *live; /* instead of a state */
  struct rfl_workspace *ws;
  struct rfl_schema *schema;
  struct rfl_decoder *decoder; /* of JSON; NULL: of lists */
  struct rfl_builder *builder;
  struct rfl_frame frame; /* of one row; never shared, so never released */
  struct field *field;
  int what;
  uint32_t width;
  double *out;
};

static void release_scorer(void *p) {
  struct scorer *s = p;
  if (s->decoder) s->decoder->release(s->decoder);
  rfl_builder_release(s->builder);
  rfl_workspace_release(s->ws);
  if (s->state) s->learner->release(s->state);
  rfl_live_release(s->live);
  rfl_recipe_release(s->recipe);
  rfl_schema_release(s->schema);
  rfl_free(s->frame.column);
  rfl_free(s->field);
  rfl_free(s->out);
  rfl_free(s);
}
static const struct r_type scorer_type = {"a scorer", release_scorer, R_MEMORY};

/* ---- making one ---- */

/* Numbers are read as numbers, logicals as logicals, all else as text. */
static struct rfl_field field_of(SEXP names, SEXP kinds, R_xlen_t i) {
  const char *kind = r_text(kinds, i);
  enum rfl_type type = strcmp(kind, "number") == 0    ? RFL_DOUBLE
                       : strcmp(kind, "logical") == 0 ? RFL_LOGICAL
                                                      : RFL_STRING;
  return (struct rfl_field){.name = r_text(names, i), .type = type};
}

static enum rfl_code make_columns(struct scorer *s, const struct rfl_field *field,
                                  size_t n, bool json, struct rfl_err *err) {
  s->field = rfl_alloc(n, sizeof *s->field);
  s->frame.column = rfl_alloc(n, sizeof *s->frame.column);
  if (!s->field || !s->frame.column) return rfl_no_memory(err);
  RFL_TRY(json ? rfl_schema_new(field, n, &s->schema, err)
               : rfl_schema_flat(field, n, &s->schema, err));
  s->frame.schema = s->schema;
  s->frame.n_rows = 1;
  for (size_t k = 0; k < n; k++) {
    s->field[k].number = field[k].type == RFL_DOUBLE;
    s->frame.column[k].type = field[k].type;
    s->frame.column[k].valid = &s->field[k].valid;
  }
  if (!json) return RFL_OK;
  RFL_TRY(rfl_builder_new(s->schema, &s->builder, err));
  return rfl_json_decoder_new(s->schema, &s->decoder, err);
}

static enum rfl_code make_scores(struct scorer *s, struct rfl_err *err) {
  RFL_TRY(rfl_workspace_new(s->recipe, RFL_FOR_SCORING, RFL_UNSEEN_NA, &s->ws, err));
  if (s->live) {
    uint64_t version;
    const struct rfl_state *state = rfl_live_enter(s->live, &version);
    s->width = s->learner->width(state, s->what);
    rfl_live_leave(s->live);
  } else {
    s->width = s->learner->width(s->state, s->what);
  }
  s->out = rfl_alloc(s->width, sizeof *s->out);
  return s->out ? RFL_OK : rfl_no_memory(err);
}

static struct scorer *scorer_alloc(void) {
  struct rfl_err err = {0};
  struct scorer *s = rfl_alloc(1, sizeof *s);
  if (!s) r_finish(rfl_no_memory(&err), &err);
  return s;
}

/* `model`: a state's bytes, or the handle of a live model. `columns`: list(name, kind).
 */
SEXP ffi_scorer_new(SEXP learner, SEXP model, SEXP recipe, SEXP columns, SEXP options) {
  const struct r_family *family = r_family_get(learner);
  struct rfl_live *live = TYPEOF(model) == RAWSXP ? NULL : r_live_get(model);
  SEXP names = r_get(columns, "name"), kinds = r_get(columns, "kind");
  size_t n = (size_t)Rf_xlength(names);
  struct rfl_field *field = r_scratch(n, sizeof *field);
  for (size_t k = 0; k < n; k++) field[k] = field_of(names, kinds, (R_xlen_t)k);
  bool json = r_flag(r_get(options, "json"));
  int what = (int)r_number(r_get(options, "what"));
  SEXP handle = PROTECT(r_handle_new(&scorer_type, names));
  struct scorer *s = scorer_alloc();
  r_handle_fill(handle, s);
  s->learner = family->learner;
  s->what = what;
  struct rfl_err err = {0};
  enum rfl_code code = RFL_OK;
  if (live) {
    s->live = rfl_live_keep(live);
    s->recipe = rfl_recipe_keep(rfl_live_recipe(live));
  } else {
    struct rfl_bytes bytes = {RAW_RO(model), (size_t)Rf_xlength(model)};
    code = r_recipe_make(recipe, &s->recipe, &err);
    if (!code) code = s->learner->read(bytes, &s->state, &err);
  }
  if (!code) code = make_columns(s, field, n, json, &err);
  if (!code) code = make_scores(s, &err);
  for (size_t k = 0; !code && k < n; k++)
    s->field[k].name = STRING_ELT(names, (R_xlen_t)k);
  r_finish(code, &err);
  UNPROTECT(1);
  return handle;
}

/* ---- a record that is a list ---- */

/* Value `name` of the record, NULL when there is none. Its place is tried first: records
 * look alike. Equal names are the same object of R, but for those of other encodings. */
static SEXP find(SEXP record, SEXP names, struct field *f) {
  R_xlen_t n = Rf_xlength(names);
  if (f->at < n && STRING_ELT(names, f->at) == f->name) return VECTOR_ELT(record, f->at);
  for (R_xlen_t i = 0; i < n; i++) {
    SEXP name = STRING_ELT(names, i);
    if (name != f->name && strcmp(CHAR(name), CHAR(f->name)) != 0) continue;
    f->at = i;
    return VECTOR_ELT(record, i);
  }
  return NULL;
}

static void take_text(struct field *f, struct rfl_column *c, SEXP text) {
  f->valid = text != NA_STRING;
  c->type = RFL_STRING;
  c->offset = f->offset;
  const char *p = Rf_getCharCE(text) == CE_UTF8 || !f->valid
                      ? CHAR(text)
                      : Rf_translateCharUTF8(text); /* lives until .Call() ends */
  c->bytes = p;
  f->offset[1] = f->valid ? (int32_t)strlen(p) : 0;
}

static void take_whole(struct field *f, struct rfl_column *c, enum rfl_type type, int x) {
  f->valid = x != NA_INTEGER;
  c->type = type;
  f->whole = f->valid ? x : 0;
  c->i32 = &f->whole;
}

static void take_large(struct field *f, struct rfl_column *c, enum rfl_type type,
                       int64_t x, bool there) {
  f->valid = there;
  c->type = type;
  f->large = there ? x : 0;
  c->i64 = &f->large;
}

/* As fill() of r_table.c reads a column. */
static void take_real(struct field *f, struct rfl_column *c, SEXP value, double x) {
  int64_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (OBJECT(value) && Rf_inherits(value, "integer64")) {
    take_large(f, c, RFL_INTEGER64, bits, bits != INT64_MIN);
  } else if (OBJECT(value) && Rf_inherits(value, "POSIXct")) {
    bool there = fabs(x) < 9e12;
    take_large(f, c, RFL_TIMESTAMP, there ? llround(x * 1e6) : 0, there);
  } else if (OBJECT(value) && Rf_inherits(value, "Date")) {
    bool there = fabs(floor(x)) < 2147483647;
    take_whole(f, c, RFL_DATE, there ? (int)floor(x) : NA_INTEGER);
  } else {
    f->valid = 1;
    f->real = x;
    c->type = RFL_DOUBLE;
    c->f64 = &f->real;
  }
}

static void take_integer(struct field *f, struct rfl_column *c, SEXP value) {
  int x = INTEGER_RO(value)[0];
  if (!Rf_isFactor(value)) {
    take_whole(f, c, Rf_inherits(value, "Date") ? RFL_DATE : RFL_INTEGER, x);
    return;
  }
  SEXP levels = Rf_getAttrib(value, R_LevelsSymbol);
  bool there = x >= 1 && x <= Rf_xlength(levels);
  take_text(f, c, there ? STRING_ELT(levels, x - 1) : NA_STRING);
}

static enum rfl_code take_value(struct field *f, struct rfl_column *c, SEXP value,
                                struct rfl_err *err) {
  const char *name = CHAR(f->name);
  if (!value)
    return rfl_fail(err, RFL_ESCHEMA,
                    "The record has no value `%s`, which the model uses.", name);
  if (Rf_xlength(value) != 1)
    return rfl_fail(err, RFL_EARGUMENT, "The record must have one value `%s`, not %lld.",
                    name, (long long)Rf_xlength(value));
  if (f->number && (TYPEOF(value) == STRSXP || Rf_isFactor(value)))
    return rfl_fail(err, RFL_ESCHEMA, "The value `%s` must be a number.", name);
  if (TYPEOF(value) == REALSXP)
    take_real(f, c, value, REAL_RO(value)[0]);
  else if (TYPEOF(value) == INTSXP)
    take_integer(f, c, value);
  else if (TYPEOF(value) == LGLSXP)
    take_whole(f, c, RFL_LOGICAL, LOGICAL_RO(value)[0]);
  else if (TYPEOF(value) == STRSXP)
    take_text(f, c, STRING_ELT(value, 0));
  else
    return rfl_fail(err, RFL_ESCHEMA,
                    "The value `%s` must be a number, a text or a logical.", name);
  return RFL_OK;
}

static enum rfl_code take_list(struct scorer *s, SEXP record, struct rfl_err *err) {
  if (TYPEOF(record) != VECSXP)
    return rfl_fail(err, RFL_EARGUMENT, "The record must be a list of named values.");
  SEXP names = Rf_getAttrib(record, R_NamesSymbol);
  if (names == R_NilValue && s->schema->n)
    return rfl_fail(err, RFL_EARGUMENT, "The values of the record must have names.");
  for (size_t k = 0; k < s->schema->n; k++) {
    struct field *f = &s->field[k];
    RFL_TRY(take_value(f, &s->frame.column[k], find(record, names, f), err));
  }
  return RFL_OK;
}

/* ---- a record that is text ---- */

static void take_slots(struct scorer *s) {
  for (size_t k = 0; k < s->schema->n; k++) {
    const struct rfl_slot *slot = &s->builder->slot[k];
    struct rfl_column *c = &s->frame.column[k];
    struct field *f = &s->field[k];
    f->valid = s->builder->seen[k >> 6] >> (k & 63) & 1;
    if (c->type != RFL_STRING) {
      c->data = slot->data;
      continue;
    }
    f->offset[1] = f->valid ? (int32_t)(slot->end - slot->used) : 0;
    c->offset = f->offset;
    c->bytes = slot->bytes + slot->used;
  }
}

static struct rfl_bytes text_of(SEXP record) {
  if (TYPEOF(record) == RAWSXP)
    return (struct rfl_bytes){RAW_RO(record), (size_t)Rf_xlength(record)};
  if (TYPEOF(record) != STRSXP || Rf_xlength(record) != 1 ||
      STRING_ELT(record, 0) == NA_STRING)
    r_fail(RFL_EARGUMENT, "The record must be one string of JSON, or its bytes.");
  const char *p = Rf_translateCharUTF8(STRING_ELT(record, 0));
  return (struct rfl_bytes){(const uint8_t *)p, strlen(p)};
}

static enum rfl_code take_json(struct scorer *s, struct rfl_bytes text,
                               struct rfl_err *err) {
  struct rfl_fault why = {0};
  RFL_TRY(rfl_builder_open(s->builder, err));
  enum rfl_code code = s->decoder->row(s->decoder, text, s->builder, &why, err);
  if (!code) take_slots(s);
  if (code != RFL_EDATA) return code;
  rfl_builder_rollback(s->builder);
  const char *name = why.column < 0 ? NULL : s->schema->field[why.column].name;
  if (!name)
    return rfl_fail(err, code, "The record is bad at byte %zu: %s.", why.at, why.reason);
  return rfl_fail(err, code, "The record is bad at byte %zu, in `%s`: %s.", why.at, name,
                  why.reason);
}

/* ---- scoring ---- */

static enum rfl_code score(struct scorer *s, struct rfl_err *err) {
  struct rfl_rows rows = {.frame = &s->frame, .row = 0, .n = 1};
  uint64_t version;
  if (s->live)
    return rfl_live_score(s->live, &rows, s->ws, s->what, s->out, &version, err);
  return rfl_score_rows(s->learner, s->state, s->recipe, s->ws, &rows, s->what, s->out,
                        err);
}

static SEXP scores(const struct scorer *s) {
  if (s->width == 1) return Rf_ScalarReal(s->out[0]);
  SEXP out = Rf_allocVector(REALSXP, (R_xlen_t)s->width);
  memcpy(REAL(out), s->out, s->width * sizeof *s->out);
  return out;
}

SEXP ffi_scorer_score(SEXP handle, SEXP record) {
  struct scorer *s = r_handle_get(handle, &scorer_type);
  struct rfl_err err;
  err.code = RFL_OK;
  enum rfl_code code =
      s->decoder ? take_json(s, text_of(record), &err) : take_list(s, record, &err);
  if (!code) code = score(s, &err);
  if (s->decoder && !code) rfl_builder_rollback(s->builder);
  r_finish(code, &err);
  return scores(s);
}

/* For predict() of one row: NULL when there is anything to be told of it. */
SEXP ffi_scorer_row(SEXP handle, SEXP row) {
  struct scorer *s = r_handle_get(handle, &scorer_type);
  uint64_t unseen = rfl_workspace_count(s->ws)->unseen;
  bool plain = !take_list(s, row, NULL) && !score(s, NULL) &&
               rfl_workspace_count(s->ws)->unseen == unseen;
  return plain ? scores(s) : R_NilValue;
}
