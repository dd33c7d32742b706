/* A data frame to frames of the core.
 *
 * R's vectors may be lazy (1:10, as.character(1:10)): asking for their memory may
 * allocate, hence jump. So r_table_read() asks for everything first; after that making
 * frames is plain C. Strings are UTF-8 already: plain_columns() of R/frame.R saw to it.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "glue.h"

struct vector { /* one column of the data frame */
  const int *i32;
  const double *f64;
  const SEXP *text;  /* a character vector */
  SEXP list;         /* of raw vectors */
  const SEXP *level; /* of a factor */
  size_t n_levels;
};

struct r_table {
  size_t n_rows, n;
  struct vector *column;
};

static struct vector read_vector(SEXP x) {
  struct vector v = {0};
  switch (TYPEOF(x)) {
    case LGLSXP:
      v.i32 = LOGICAL_RO(x);
      break;
    case INTSXP: {
      v.i32 = INTEGER_RO(x);
      SEXP levels = Rf_getAttrib(x, R_LevelsSymbol);
      if (levels != R_NilValue) v.level = STRING_PTR_RO(levels);
      v.n_levels = (size_t)Rf_xlength(levels);
      break;
    }
    case REALSXP:
      v.f64 = REAL_RO(x);
      break;
    case STRSXP:
      v.text = STRING_PTR_RO(x);
      break;
    case VECSXP:
      v.list = x;
      break;
    default:
      r_fail(RFL_EARGUMENT, "A column of type %s cannot be used.",
             Rf_type2char((SEXPTYPE)TYPEOF(x)));
  }
  return v;
}

struct r_table *r_table_read(SEXP columns, SEXP fields) {
  struct r_table *t = r_scratch(1, sizeof *t);
  t->n = (size_t)Rf_xlength(columns);
  t->n_rows = t->n ? (size_t)Rf_xlength(VECTOR_ELT(columns, 0)) : 0;
  t->column = r_scratch(t->n, sizeof *t->column);
  if ((size_t)Rf_xlength(r_get(fields, "name")) != t->n) {
    r_fail(RFL_EARGUMENT, "There must be as many fields as columns.");
  }
  for (size_t i = 0; i < t->n; i++) {
    t->column[i] = read_vector(VECTOR_ELT(columns, (R_xlen_t)i));
  }
  return t;
}

size_t r_table_rows(const struct r_table *t) { return t->n_rows; }

struct r_fields r_fields_read(SEXP fields) {
  SEXP names = r_get(fields, "name"), types = r_get(fields, "type");
  SEXP per_second = r_get(fields, "per_second");
  struct r_fields f = {.n = (size_t)Rf_xlength(names)};
  f.field = r_scratch(f.n, sizeof *f.field);
  for (size_t i = 0; i < f.n; i++) {
    const char *type = r_text(types, (R_xlen_t)i);
    int parsed = rfl_type_parse(type);
    if (parsed < 0) r_fail(RFL_ESCHEMA, "There is no type \"%s\".", type);
    const char *name = r_text(names, (R_xlen_t)i);
    f.field[i] = (struct rfl_field){.name = name,
                                    .type = (enum rfl_type)parsed,
                                    .meta = rfl_meta_parse(name),
                                    .per_second = INTEGER_RO(per_second)[i]};
  }
  return f;
}

/* ---- columns; all on the heap of the core ---- */

/* Value i of n is missing: its slot stays 0. */
static bool miss(struct rfl_column *c, size_t i, size_t n) {
  if (!c->valid) {
    uint8_t *valid = rfl_alloc((n + 7) / 8, 1);
    if (!valid) return false;
    memset(valid, 0xff, (n + 7) / 8);
    c->valid = valid;
  }
  uint8_t *byte = (uint8_t *)c->valid + (i >> 3);
  *byte = (uint8_t)(*byte & ~(1U << (i & 7)));
  return true;
}

static enum rfl_code fill_ints(const int *from, size_t n, struct rfl_column *c,
                               struct rfl_err *err) {
  int32_t *to = rfl_alloc(n, sizeof *to);
  c->i32 = to;
  if (!to) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++) {
    if (from[i] != INT_MIN) /* R's NA, of logical and integer alike */
      to[i] = from[i];
    else if (!miss(c, i, n))
      return rfl_no_memory(err);
  }
  return RFL_OK;
}

static enum rfl_code fill_doubles(const double *from, size_t n, bool borrow,
                                  struct rfl_column *c, struct rfl_err *err) {
  c->borrowed = borrow;
  c->f64 = from; /* NA and NaN are NaN: missing where statistics begin */
  if (borrow) return RFL_OK;
  double *to = rfl_alloc(n, sizeof *to);
  c->f64 = to;
  if (!to) return rfl_no_memory(err);
  if (n) memcpy(to, from, n * sizeof *to);
  return RFL_OK;
}

/* bit64's vectors: the bits of an int64 in each double; NA is the smallest. */
static enum rfl_code fill_longs(const double *from, size_t n, struct rfl_column *c,
                                struct rfl_err *err) {
  int64_t *to = rfl_alloc(n, sizeof *to);
  c->i64 = to;
  if (!to) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++) {
    memcpy(&to[i], &from[i], sizeof *to);
    if (to[i] != INT64_MIN) continue;
    to[i] = 0;
    if (!miss(c, i, n)) return rfl_no_memory(err);
  }
  return RFL_OK;
}

/* Seconds to microseconds. Beyond the years that fit, and NA, NaN, Inf: missing. */
static enum rfl_code fill_instants(const double *from, size_t n, struct rfl_column *c,
                                   struct rfl_err *err) {
  int64_t *to = rfl_alloc(n, sizeof *to);
  c->i64 = to;
  if (!to) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++) {
    if (fabs(from[i]) < 9e12)
      to[i] = llround(from[i] * 1e6);
    else if (!miss(c, i, n))
      return rfl_no_memory(err);
  }
  return RFL_OK;
}

static enum rfl_code fill_dates(const double *from, size_t n, struct rfl_column *c,
                                struct rfl_err *err) {
  int32_t *to = rfl_alloc(n, sizeof *to);
  c->i32 = to;
  if (!to) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++) {
    double day = floor(from[i]);
    if (fabs(day) < 2147483647)
      to[i] = (int32_t)day;
    else if (!miss(c, i, n))
      return rfl_no_memory(err);
  }
  return RFL_OK;
}

static struct rfl_bytes bytes_of(const struct vector *v, size_t i) {
  if (v->list) {
    SEXP x = VECTOR_ELT(v->list, (R_xlen_t)i);
    if (TYPEOF(x) != RAWSXP) return (struct rfl_bytes){0};
    return (struct rfl_bytes){RAW_RO(x), (size_t)XLENGTH(x)};
  }
  SEXP s = v->text[i];
  if (s == NA_STRING) return (struct rfl_bytes){0};
  return (struct rfl_bytes){(const uint8_t *)CHAR(s), (size_t)LENGTH(s)};
}

static enum rfl_code fill_texts(const struct vector *v, const struct r_cut *cut,
                                struct rfl_column *c, struct rfl_err *err) {
  size_t size = 0;
  for (size_t i = 0; i < cut->n; i++) size += bytes_of(v, cut->from + i).n;
  if (size > INT32_MAX) {
    return rfl_fail(err, RFL_EDATA,
                    "A column of text is larger than 2 GB: use fewer rows at a time.");
  }
  int32_t *offset = rfl_alloc(cut->n + 1, sizeof *offset);
  char *to = rfl_alloc(size, 1);
  c->offset = offset;
  c->bytes = to;
  if (!offset || !to) return rfl_no_memory(err);
  size_t at = 0;
  for (size_t i = 0; i < cut->n; i++) {
    struct rfl_bytes b = bytes_of(v, cut->from + i);
    if (!b.p && !miss(c, i, cut->n)) return rfl_no_memory(err);
    if (b.n) memcpy(to + at, b.p, b.n);
    if (c->type == RFL_STRING && !rfl_utf8_valid(to + at, b.n)) {
      return rfl_fail(err, RFL_EDATA, "Row %zu holds text that is not UTF-8.",
                      cut->from + i + 1);
    }
    at += b.n;
    offset[i + 1] = (int32_t)at;
  }
  return RFL_OK;
}

/* Whether every code of the factor's rows is one of its levels: no NA among them. The
 * sign of code - 1 or of n_levels - code is set where it is not. */
static bool all_levels(const int *code, size_t n, size_t n_levels) {
  typedef unsigned four __attribute__((vector_size(16), aligned(4), may_alias));
  unsigned levels = (unsigned)n_levels, rest = 0;
  four bad = {0};
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    four x = *(const four *)(code + i);
    bad |= (x - 1U) | (levels - x);
  }
  for (; i < n; i++) rest |= ((unsigned)code[i] - 1U) | (levels - (unsigned)code[i]);
  rest |= bad[0] | bad[1] | bad[2] | bad[3];
  return n_levels <= INT_MAX && !(rest >> 31);
}

/* R's codes begin at 1. A dictionary whose first word no row has makes them codes of the
 * core as they are: nothing is copied. False: the levels are not what R lets them be. */
static enum rfl_code view_codes(const struct vector *v, const struct r_cut *cut,
                                struct rfl_column *c, bool *done, struct rfl_err *err) {
  struct rfl_dict *dict = NULL;
  int32_t code;
  RFL_TRY(rfl_dict_new(&dict, err));
  enum rfl_code failed = rfl_dict_code(dict, "\001", 1, &code, err);
  *done = true;
  for (size_t i = 0; !failed && *done && i < v->n_levels; i++) {
    failed =
        rfl_dict_code(dict, CHAR(v->level[i]), (size_t)LENGTH(v->level[i]), &code, err);
    *done = code == (int32_t)i + 1;
  }
  if (failed || !*done) {
    rfl_dict_release(dict);
    return failed;
  }
  c->dict = dict;
  c->borrowed = true;
  c->i32 = v->i32 + cut->from;
  c->levels = rfl_dict_size(dict);
  return RFL_OK;
}

/* A factor, or text that becomes one. */
static enum rfl_code fill_codes(const struct vector *v, const struct r_cut *cut,
                                struct rfl_column *c, struct rfl_err *err) {
  bool done = false;
  if (cut->borrow && v->i32 && all_levels(v->i32 + cut->from, cut->n, v->n_levels))
    RFL_TRY(view_codes(v, cut, c, &done, err));
  if (done) return RFL_OK;
  int32_t *to = rfl_alloc(cut->n, sizeof *to);
  c->i32 = to;
  if (!to) return rfl_no_memory(err);
  RFL_TRY(rfl_dict_new(&c->dict, err));
  for (size_t i = 0; i < v->n_levels; i++) {
    int32_t code;
    RFL_TRY(rfl_dict_code(c->dict, CHAR(v->level[i]), (size_t)LENGTH(v->level[i]), &code,
                          err));
  }
  for (size_t i = 0; i < cut->n; i++) {
    bool missing;
    if (v->text) {
      struct rfl_bytes b = bytes_of(v, cut->from + i);
      missing = !b.p;
      if (b.p) RFL_TRY(rfl_dict_code(c->dict, (const char *)b.p, b.n, &to[i], err));
    } else {
      int code = v->i32[cut->from + i];
      missing = code == INT_MIN;
      to[i] = missing ? 0 : code - 1;
    }
    if (missing && !miss(c, i, cut->n)) return rfl_no_memory(err);
  }
  c->levels = rfl_dict_size(c->dict);
  return RFL_OK;
}

static enum rfl_code fill(const struct vector *v, const struct r_cut *cut,
                          struct rfl_column *c, struct rfl_err *err) {
  switch (c->type) {
    case RFL_LOGICAL:
    case RFL_INTEGER:
      return fill_ints(v->i32 + cut->from, cut->n, c, err);
    case RFL_DOUBLE:
      return fill_doubles(v->f64 + cut->from, cut->n, cut->borrow, c, err);
    case RFL_INTEGER64:
      return fill_longs(v->f64 + cut->from, cut->n, c, err);
    case RFL_TIMESTAMP:
      return fill_instants(v->f64 + cut->from, cut->n, c, err);
    case RFL_DATE:
      return fill_dates(v->f64 + cut->from, cut->n, c, err);
    case RFL_FACTOR:
      return fill_codes(v, cut, c, err);
    default:
      return fill_texts(v, cut, c, err);
  }
}

/* Whether the vector is what its field's type is read from: a mistake of R/frame.R
 * otherwise, but never a crash. */
static bool fits(const struct vector *v, enum rfl_type type) {
  switch (type) {
    case RFL_LOGICAL:
    case RFL_INTEGER:
      return v->i32 != NULL;
    case RFL_DOUBLE:
    case RFL_INTEGER64:
    case RFL_TIMESTAMP:
    case RFL_DATE:
      return v->f64 != NULL;
    case RFL_FACTOR:
      return v->text || (v->i32 && v->level);
    case RFL_STRING:
      return v->text != NULL;
    default:
      return v->text || v->list;
  }
}

static void release_columns(struct rfl_column *column, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct rfl_column *c = &column[i];
    rfl_dict_release(c->dict);
    rfl_free((void *)c->valid);
    rfl_free((void *)c->offset);
    rfl_free((void *)c->bytes);
    if (!c->borrowed) rfl_free((void *)c->data);
  }
  rfl_free(column);
}

enum rfl_code r_table_frame(const struct r_table *t, const struct r_cut *cut,
                            struct rfl_schema *schema, struct rfl_frame **gives,
                            struct rfl_err *err) {
  if (cut->n > UINT32_MAX) {
    return rfl_fail(err, RFL_EARGUMENT, "A data frame must have less than 2^32 rows.");
  }
  struct rfl_column *column = rfl_alloc(t->n, sizeof *column);
  if (!column) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  for (size_t i = 0; !code && i < t->n; i++) {
    column[i].type = schema->field[i].type;
    if (fits(&t->column[i], column[i].type))
      code = fill(&t->column[i], cut, &column[i], err);
    else
      code = rfl_fail(err, RFL_ESCHEMA, "Column \"%s\" is not %s.", schema->field[i].name,
                      rfl_type_name(column[i].type));
  }
  if (!code) code = rfl_frame_new(schema, column, (uint32_t)cut->n, gives, err);
  if (code)
    release_columns(column, t->n);
  else
    rfl_free(column);
  return code;
}
