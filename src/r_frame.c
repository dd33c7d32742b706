/* What R sees of rows behind a handle: a data frame.
 *
 * Rows come out in canonical order (by place, then position) whatever order they arrived
 * in: the slices of rfl_order() are walked, nothing is moved. Factors cost one pass over
 * the codes to see which levels occur and one to write them; levels are in C order. */
#include <R_ext/Utils.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "r_hold.h"

/* ---- columns ---- */

struct part { /* one column of one slice */
  const struct rfl_column *c;
  size_t row, n;
};

static struct part part_of(const struct r_frames *f, size_t slice, size_t column) {
  const struct rfl_rows *r = &f->rows[slice];
  return (struct part){&r->frame->column[column], r->row, r->n};
}

static void take_ints(struct part p, int *to) {
  if (p.n) memcpy(to, p.c->i32 + p.row, p.n * sizeof *to);
  if (!p.c->valid) return;
  for (size_t i = 0; i < p.n; i++) {
    if (!rfl_column_has(p.c, p.row + i)) to[i] = NA_INTEGER;
  }
}

static void take_doubles(struct part p, double *to) {
  if (p.n) memcpy(to, p.c->f64 + p.row, p.n * sizeof *to);
  if (!p.c->valid) return;
  for (size_t i = 0; i < p.n; i++) {
    if (!rfl_column_has(p.c, p.row + i)) to[i] = NA_REAL;
  }
}

static void take_longs(struct part p, double *to) {
  static const int64_t missing = INT64_MIN; /* bit64's NA */
  for (size_t i = 0; i < p.n; i++) {
    bool has = rfl_column_has(p.c, p.row + i);
    memcpy(&to[i], has ? &p.c->i64[p.row + i] : &missing, sizeof *to);
  }
}

/* The double nearest to the microsecond: exact to a microsecond until the year 2255. */
static void take_instants(struct part p, double *to) {
  for (size_t i = 0; i < p.n; i++) {
    bool has = rfl_column_has(p.c, p.row + i);
    to[i] = has ? (double)p.c->i64[p.row + i] / 1e6 : NA_REAL;
  }
}

static void take_dates(struct part p, double *to) {
  for (size_t i = 0; i < p.n; i++) {
    bool has = rfl_column_has(p.c, p.row + i);
    to[i] = has ? (double)p.c->i32[p.row + i] : NA_REAL;
  }
}

static void take_texts(struct part p, SEXP to, size_t at) {
  for (size_t i = 0; i < p.n; i++) {
    const int32_t *offset = p.c->offset + p.row + i;
    SEXP s = NA_STRING;
    if (rfl_column_has(p.c, p.row + i)) {
      s = r_from_bytes(p.c->bytes + offset[0], (size_t)(offset[1] - offset[0]));
    }
    SET_STRING_ELT(to, (R_xlen_t)(at + i), s);
  }
}

static void take_raws(struct part p, SEXP to, size_t at) {
  for (size_t i = 0; i < p.n; i++) {
    if (!rfl_column_has(p.c, p.row + i)) continue; /* NULL */
    const int32_t *offset = p.c->offset + p.row + i;
    size_t n = (size_t)(offset[1] - offset[0]);
    SEXP raw = Rf_allocVector(RAWSXP, (R_xlen_t)n);
    SET_VECTOR_ELT(to, (R_xlen_t)(at + i), raw);
    if (n) memcpy(RAW(raw), p.c->bytes + offset[0], n);
  }
}

/* ---- factors ---- */

struct words { /* the levels of one dictionary that occur */
  const struct rfl_dict *dict;
  int32_t n, sure; /* the first `sure` of them are known to occur */
  int32_t *code;   /* 0: does not occur; then its code in R */
};

struct word {
  struct rfl_bytes text;
  int32_t *code; /* where its code in R goes */
};

static int by_bytes(const void *a, const void *b) {
  const struct rfl_bytes *x = &((const struct word *)a)->text;
  const struct rfl_bytes *y = &((const struct word *)b)->text;
  int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
  return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The entry of the slice's dictionary: frames of one source share one, so there are few.
 */
static struct words *words_of(struct words *all, size_t *n, const struct rfl_dict *dict) {
  size_t k = 0;
  while (k < *n && all[k].dict != dict) k++;
  if (k == *n) all[(*n)++] = (struct words){.dict = dict};
  return &all[k];
}

static void mark(struct part p, struct words *w) {
  const int32_t *code = p.c->i32 + p.row;
  if (w->sure == w->n) return;
  for (size_t i = 0; i < p.n; i++) {
    if (rfl_column_has(p.c, p.row + i)) w->code[code[i]] = 1;
  }
  while (w->sure < w->n && w->code[w->sure]) w->sure++;
}

/* Numbers the levels that occur, in C order, and gives them as R's levels. */
static SEXP number_levels(struct words *all, size_t n) {
  size_t n_words = 0, at = 0;
  for (size_t k = 0; k < n; k++) {
    for (int32_t c = 0; c < all[k].n; c++) n_words += all[k].code[c] != 0;
  }
  struct word *word = r_scratch(n_words, sizeof *word);
  for (size_t k = 0; k < n; k++) {
    for (int32_t c = 0; c < all[k].n; c++) {
      if (!all[k].code[c]) continue;
      word[at++] = (struct word){rfl_dict_level(all[k].dict, c), &all[k].code[c]};
    }
  }
  if (n_words) qsort(word, n_words, sizeof *word, by_bytes);
  int32_t levels = 0;
  for (size_t i = 0; i < n_words; i++) {
    *word[i].code = levels += i == 0 || by_bytes(&word[i - 1], &word[i]) != 0;
  }
  SEXP text = PROTECT(Rf_allocVector(STRSXP, levels));
  for (size_t i = 0; i < n_words; i++) {
    SET_STRING_ELT(text, *word[i].code - 1,
                   r_from_bytes((const char *)word[i].text.p, word[i].text.n));
  }
  UNPROTECT(1);
  return text;
}

static void take_codes(struct part p, const struct words *w, int *to) {
  const int32_t *code = p.c->i32 + p.row, *in_r = w->code;
  if (!p.c->valid) {
    for (size_t i = 0; i < p.n; i++) to[i] = in_r[code[i]];
    return;
  }
  for (size_t i = 0; i < p.n; i++) {
    to[i] = rfl_column_has(p.c, p.row + i) ? in_r[code[i]] : NA_INTEGER;
  }
}

static void take_factor(const struct r_frames *f, size_t column, SEXP to) {
  struct words *all = r_scratch(f->n_rows, sizeof *all);
  size_t n = 0, at = 0;
  for (size_t i = 0; i < f->n_rows; i++) {
    const struct rfl_column *c = part_of(f, i, column).c;
    struct words *w = words_of(all, &n, c->dict);
    if (c->levels > w->n) w->n = c->levels;
  }
  for (size_t k = 0; k < n; k++) {
    all[k].code = r_scratch((size_t)all[k].n, sizeof *all[k].code);
  }
  for (size_t i = 0; i < f->n_rows; i++) {
    struct part p = part_of(f, i, column);
    mark(p, words_of(all, &n, p.c->dict));
  }
  Rf_setAttrib(to, R_LevelsSymbol, PROTECT(number_levels(all, n)));
  Rf_setAttrib(to, R_ClassSymbol, PROTECT(Rf_mkString("factor")));
  UNPROTECT(2);
  for (size_t i = 0; i < f->n_rows; i++) {
    struct part p = part_of(f, i, column);
    take_codes(p, words_of(all, &n, p.c->dict), INTEGER(to) + at);
    at += p.n;
  }
}

/* ---- the data frame ---- */

static SEXP new_numbers(SEXPTYPE type, R_xlen_t n) {
  SEXP x = Rf_allocVector(type, n);
  if (type == REALSXP)
    rfl_mem_will_fill(REAL(x), (size_t)n * sizeof(double));
  else
    rfl_mem_will_fill(INTEGER(x), (size_t)n * sizeof(int));
  return x;
}

static SEXP new_vector(enum rfl_type type, R_xlen_t n) {
  switch (type) {
    case RFL_LOGICAL:
      return Rf_allocVector(LGLSXP, n);
    case RFL_INTEGER:
    case RFL_FACTOR:
      return new_numbers(INTSXP, n);
    case RFL_STRING:
      return Rf_allocVector(STRSXP, n);
    case RFL_RAW:
      return Rf_allocVector(VECSXP, n);
    default:
      return new_numbers(REALSXP, n);
  }
}

static void take(struct part p, enum rfl_type type, SEXP to, size_t at) {
  switch (type) {
    case RFL_LOGICAL:
      take_ints(p, LOGICAL(to) + at);
      break;
    case RFL_INTEGER:
      take_ints(p, INTEGER(to) + at);
      break;
    case RFL_DOUBLE:
      take_doubles(p, REAL(to) + at);
      break;
    case RFL_INTEGER64:
      take_longs(p, REAL(to) + at);
      break;
    case RFL_TIMESTAMP:
      take_instants(p, REAL(to) + at);
      break;
    case RFL_DATE:
      take_dates(p, REAL(to) + at);
      break;
    case RFL_STRING:
      take_texts(p, to, at);
      break;
    default:
      take_raws(p, to, at);
  }
}

static void set_class(SEXP x, enum rfl_type type) {
  if (type == RFL_TIMESTAMP) {
    SEXP class = PROTECT(Rf_allocVector(STRSXP, 2));
    SET_STRING_ELT(class, 0, Rf_mkChar("POSIXct"));
    SET_STRING_ELT(class, 1, Rf_mkChar("POSIXt"));
    Rf_setAttrib(x, R_ClassSymbol, class);
    Rf_setAttrib(x, Rf_install("tzone"), PROTECT(Rf_mkString("UTC")));
    UNPROTECT(2);
  } else if (type == RFL_DATE || type == RFL_INTEGER64) {
    const char *class = type == RFL_DATE ? "Date" : "integer64";
    Rf_setAttrib(x, R_ClassSymbol, PROTECT(Rf_mkString(class)));
    UNPROTECT(1);
  }
}

static SEXP column_to_r(const struct r_frames *f, size_t column, size_t n_rows) {
  enum rfl_type type = f->schema->field[column].type;
  SEXP x = PROTECT(new_vector(type, (R_xlen_t)n_rows));
  if (type == RFL_FACTOR) {
    take_factor(f, column, x);
  } else {
    for (size_t i = 0, at = 0; i < f->n_rows; i++) {
      struct part p = part_of(f, i, column);
      take(p, type, x, at);
      at += p.n;
    }
    set_class(x, type);
  }
  UNPROTECT(1);
  return x;
}

/* The rows, all in memory and in canonical order: in `f` itself, or in another handle. */
static SEXP in_memory(SEXP handle, struct r_frames **gives) {
  struct r_frames *f = *gives = r_frames_get(handle);
  struct rfl_err err = {0};
  enum rfl_code code = RFL_OK;
  if (r_frames_on_disk(f)) {
    handle = r_frames_new(handle, gives);
    PROTECT(handle);
    (*gives)->ordered = true;
    for (size_t k = 0; !code && k < f->n; k++) {
      struct rfl_frame *frame = NULL;
      code = r_frames_take(f, k, &frame, &err);
      if (!code) code = r_frames_piece(*gives, frame, &err);
      if (code) rfl_frame_release(frame);
    }
    UNPROTECT(1);
  }
  if (!code) code = r_frames_order(*gives, &err);
  r_finish(code, &err);
  return handle;
}

SEXP ffi_frames_df(SEXP handle) {
  struct r_frames *f;
  PROTECT(handle = in_memory(handle, &f));
  size_t n_rows = 0, n = f->schema ? f->schema->n : 0;
  for (size_t i = 0; i < f->n_rows; i++) n_rows += f->rows[i].n;
  SEXP df = PROTECT(Rf_allocVector(VECSXP, (R_xlen_t)n));
  SEXP names = PROTECT(Rf_allocVector(STRSXP, (R_xlen_t)n));
  for (size_t i = 0; i < n; i++) {
    const char *name = f->schema->field[i].name;
    SET_STRING_ELT(names, (R_xlen_t)i, r_from_bytes(name, strlen(name)));
    const void *scratch = vmaxget();
    SET_VECTOR_ELT(df, (R_xlen_t)i, column_to_r(f, i, n_rows));
    vmaxset(scratch);
    R_CheckUserInterrupt();
  }
  Rf_setAttrib(df, R_NamesSymbol, names);
  int rows[2] = {NA_INTEGER, -(int)n_rows};
  Rf_setAttrib(df, R_RowNamesSymbol, PROTECT(r_integers(rows, 2)));
  Rf_setAttrib(df, R_ClassSymbol, PROTECT(Rf_mkString("data.frame")));
  UNPROTECT(5);
  return df;
}

/* The first position of every partition that the frames do not reach. */
SEXP ffi_frames_positions(SEXP handle) {
  const struct rfl_cursor *upto = &r_frames_get(handle)->upto;
  const char *names[] = {"topic", "partition", "offset", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SEXP topic = SET_VECTOR_ELT(list, 0, Rf_allocVector(STRSXP, (R_xlen_t)upto->n));
  SEXP partition = SET_VECTOR_ELT(list, 1, Rf_allocVector(INTSXP, (R_xlen_t)upto->n));
  SEXP offset = SET_VECTOR_ELT(list, 2, Rf_allocVector(REALSXP, (R_xlen_t)upto->n));
  for (size_t i = 0; i < upto->n; i++) {
    const struct rfl_place *p = &upto->place[i];
    SET_STRING_ELT(topic, (R_xlen_t)i, r_from_bytes(p->stream, strlen(p->stream)));
    INTEGER(partition)[i] = p->shard;
    REAL(offset)[i] = (double)p->next;
  }
  UNPROTECT(1);
  return list;
}

/* A data frame (its plain columns) as one frame; doubles are views of `columns`, which
 * the handle keeps. */
SEXP ffi_frames_from_df(SEXP columns, SEXP fields) {
  const struct r_table *table = r_table_read(columns, fields);
  struct r_fields described = r_fields_read(fields);
  struct r_frames *f;
  SEXP handle = PROTECT(r_frames_new(columns, &f));
  struct rfl_err err;
  struct rfl_frame *frame = NULL;
  struct r_cut cut = {.n = r_table_rows(table), .borrow = true};
  enum rfl_code code = rfl_schema_flat(described.field, described.n, &f->schema, &err);
  if (!code) code = r_table_frame(table, &cut, f->schema, &frame, &err);
  if (!code) {
    code = r_frames_add(f, frame, &err);
    if (code) rfl_frame_release(frame);
  }
  r_finish(code, &err);
  UNPROTECT(1);
  return handle;
}

/* Raises what is wrong with a schema; NULL when nothing is. */
SEXP ffi_schema_check(SEXP fields) {
  struct r_fields f = r_fields_read(fields);
  struct rfl_schema *schema;
  struct rfl_err err;
  enum rfl_code code = rfl_schema_new(f.field, f.n, &schema, &err);
  if (!code) rfl_schema_release(schema);
  r_finish(code, &err);
  return R_NilValue;
}
