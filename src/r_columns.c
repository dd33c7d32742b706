/* Columns that R computes, beside those of frames that are there: R is handed a frame at
 * a time as a data frame, and gives the new columns back. */
#include <string.h>

#include "base/mem.h"
#include "frame/order.h"
#include "r_hold.h"

/* ---- a frame for R ---- */

static enum rfl_code pick(struct rfl_frame *from, const char *const *name, size_t n,
                          struct rfl_frame **gives, struct rfl_err *err) {
  size_t *at = rfl_alloc(n, sizeof *at);
  struct rfl_field *field = rfl_alloc(n, sizeof *field);
  struct rfl_schema *schema = NULL;
  enum rfl_code code = at && field ? RFL_OK : rfl_no_memory(err);
  for (size_t i = 0; !code && i < n; i++) {
    ptrdiff_t k = rfl_schema_find(from->schema, name[i]);
    if (k < 0)
      code = rfl_fail(err, RFL_ESCHEMA, "There is no column `%s`.", name[i]);
    else
      field[i] = from->schema->field[at[i] = (size_t)k];
  }
  if (!code) code = rfl_schema_flat(field, n, &schema, err);
  if (!code) code = rfl_frame_pick(from, at, n, schema, NULL, gives, err);
  rfl_schema_release(schema);
  rfl_free(at);
  rfl_free(field);
  return code;
}

/* Frame k (from 1), with some of its columns, behind a handle of its own. */
SEXP ffi_frames_slice(SEXP frames, SEXP k, SEXP columns) {
  struct r_frames *from = r_frames_get(frames), *to;
  size_t number = (size_t)r_number(k) - 1;
  const char *const *name = r_texts(columns);
  SEXP handle = PROTECT(r_frames_new(R_NilValue, &to));
  struct rfl_err err = {0};
  struct rfl_frame *whole = NULL, *part = NULL;
  enum rfl_code code = r_frames_take(from, number, &whole, &err);
  if (!code) code = pick(whole, name, (size_t)Rf_xlength(columns), &part, &err);
  rfl_frame_release(whole);
  if (!code) code = r_frames_piece(to, part, &err);
  if (code) rfl_frame_release(part);
  r_finish(code, &err);
  UNPROTECT(1);
  return handle;
}

SEXP ffi_frames_count(SEXP frames) {
  return Rf_ScalarReal((double)r_frames_count(r_frames_get(frames)));
}

/* ---- new columns ---- */

/* The fields of both, as one schema; that of the handle when it has one already. */
static enum rfl_code schema_of_both(const struct r_frames *to,
                                    const struct rfl_schema *old,
                                    const struct r_fields *more,
                                    struct rfl_schema **gives, struct rfl_err *err) {
  if (to->schema) {
    *gives = rfl_schema_keep(to->schema);
    return RFL_OK;
  }
  struct rfl_field *field = rfl_alloc(old->n + more->n, sizeof *field);
  if (!field) return rfl_no_memory(err);
  memcpy(field, old->field, old->n * sizeof *field);
  if (more->n) memcpy(field + old->n, more->field, more->n * sizeof *field);
  enum rfl_code code = rfl_schema_flat(field, old->n + more->n, gives, err);
  rfl_free(field);
  return code;
}

/* The columns of `more`, which gives them away, behind those of `old`. */
static enum rfl_code put_beside(struct rfl_frame *old, struct rfl_frame *more,
                                struct rfl_schema *schema, struct rfl_frame **gives,
                                struct rfl_err *err) {
  size_t n = old->schema->n, n_more = more->schema->n;
  if (schema->n != n + n_more)
    return rfl_fail(err, RFL_ESCHEMA, "Computed columns do not fit those before.");
  size_t *picked = rfl_alloc(n, sizeof *picked);
  if (!picked) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++) picked[i] = i;
  enum rfl_code code = rfl_frame_pick(old, picked, n, schema, more->column, gives, err);
  for (size_t i = 0; !code && i < n_more; i++) {
    more->column[i].borrowed = true; /* the new frame frees them */
    if (more->column[i].dict) rfl_dict_keep(more->column[i].dict);
  }
  rfl_free(picked);
  return code;
}

/* The rows that are kept, in a frame without positions. Gives NULL for none. */
static enum rfl_code keep_rows(struct rfl_frame *from, const int *keep,
                               struct rfl_frame **gives, struct rfl_err *err) {
  struct rfl_rows *rows = rfl_alloc(from->n_rows, sizeof *rows);
  if (!rows) return rfl_no_memory(err);
  size_t n = 0;
  for (uint32_t i = 0; i < from->n_rows; i++) {
    if (keep[i] != TRUE) continue;
    if (n && rows[n - 1].row + rows[n - 1].n == i)
      rows[n - 1].n++;
    else
      rows[n++] = (struct rfl_rows){from, i, 1};
  }
  enum rfl_code code = n ? rfl_frame_gather(rows, n, gives, err) : RFL_OK;
  rfl_free(rows);
  if (code || !n) return code;
  rfl_free((*gives)->span);
  (*gives)->span = NULL;
  (*gives)->n_spans = 0;
  return RFL_OK;
}

static enum rfl_code add_widened(struct r_frames *to, struct rfl_frame *old,
                                 struct rfl_frame *more, const struct r_fields *fields,
                                 const int *keep, struct rfl_err *err) {
  struct rfl_schema *schema = NULL;
  struct rfl_frame *wide = NULL, *kept = NULL;
  enum rfl_code code = schema_of_both(to, old->schema, fields, &schema, err);
  if (!code) code = put_beside(old, more, schema, &wide, err);
  if (!code && keep) {
    code = r_frames_pass(to, old, err);
    if (!code) code = keep_rows(wide, keep, &kept, err);
    rfl_frame_release(wide);
    wide = kept;
  }
  if (!code && wide) code = r_frames_follow(to, wide, err);
  if (code) rfl_frame_release(wide);
  rfl_schema_release(schema);
  return code;
}

/* Frame k (from 1) of `from` with more columns, those of a data frame of as many rows;
 * `keep`: which rows stay, or NULL. It is added to `to`. */
SEXP ffi_frames_widen(SEXP to, SEXP from, SEXP k, SEXP columns, SEXP fields, SEXP keep) {
  struct r_frames *wide = r_frames_get(to), *narrow = r_frames_get(from);
  const struct r_table *table = r_table_read(columns, fields);
  struct r_fields described = r_fields_read(fields);
  size_t number = (size_t)r_number(k) - 1;
  const int *stay = Rf_isNull(keep) ? NULL : LOGICAL_RO(keep);
  struct rfl_err err = {0};
  struct rfl_schema *schema = NULL;
  struct rfl_frame *old = NULL, *more = NULL;
  enum rfl_code code = r_frames_take(narrow, number, &old, &err);
  if (!code) code = rfl_schema_flat(described.field, described.n, &schema, &err);
  struct r_cut cut = {.n = old ? old->n_rows : 0};
  if (!code) code = r_table_frame(table, &cut, schema, &more, &err);
  if (!code) code = add_widened(wide, old, more, &described, stay, &err);
  rfl_schema_release(schema);
  rfl_frame_release(more);
  rfl_frame_release(old);
  r_finish(code, &err);
  return to;
}
