/* Models to files and back: plain values of R as bytes of store/value.h. R/model-file.R
 * turns a model into such values; nothing that could run is ever made here. */
#include <string.h>

#include "base/mem.h"
#include "r_model.h"
#include "store/model_file.h"
#include "store/value.h"

static const char sections[] = "META,STAT";

/* ---- values to bytes ---- */

static void put_text(struct rfl_buf *out, SEXP text) {
  if (text == NA_STRING) {
    rfl_buf_string(out, NULL);
    return;
  }
  const char *utf8 = Rf_translateCharUTF8(text);
  rfl_buf_string(out, utf8);
}

static void put_texts(struct rfl_buf *out, SEXP x) {
  for (R_xlen_t i = 0; i < Rf_xlength(x); i++) put_text(out, STRING_ELT(x, i));
}

static enum rfl_value_kind kind_of(SEXP x) {
  switch (TYPEOF(x)) {
    case NILSXP:
      return RFL_VALUE_NULL;
    case LGLSXP:
      return RFL_VALUE_LOGICAL;
    case INTSXP:
      return RFL_VALUE_INTEGER;
    case REALSXP:
      return RFL_VALUE_DOUBLE;
    case STRSXP:
      return RFL_VALUE_STRING;
    case RAWSXP:
      return RFL_VALUE_RAW;
    case VECSXP:
      return RFL_VALUE_LIST;
    default:
      r_fail(RFL_EMODEL, "A model cannot hold a value of type %s in its file.",
             Rf_type2char(TYPEOF(x)));
  }
}

static void put_value(struct rfl_buf *out, SEXP x) {
  SEXP names = Rf_getAttrib(x, R_NamesSymbol);
  R_xlen_t n = Rf_xlength(x);
  struct rfl_value_head head = {kind_of(x), names != R_NilValue, (uint64_t)n};
  rfl_value_open(out, &head);
  PROTECT(names);
  if (head.named) put_texts(out, names);
  switch (head.kind) {
    case RFL_VALUE_LOGICAL:
      for (R_xlen_t i = 0; i < n; i++) {
        int v = LOGICAL_RO(x)[i];
        rfl_buf_u8(out, v == NA_LOGICAL ? 2 : v != 0);
      }
      break;
    case RFL_VALUE_INTEGER:
      rfl_buf_i32s(out, INTEGER_RO(x), (size_t)n);
      break;
    case RFL_VALUE_DOUBLE:
      rfl_buf_doubles(out, REAL_RO(x), (size_t)n);
      break;
    case RFL_VALUE_STRING:
      put_texts(out, x);
      break;
    case RFL_VALUE_RAW:
      rfl_buf_put(out, RAW_RO(x), (size_t)n);
      break;
    case RFL_VALUE_LIST:
      for (R_xlen_t i = 0; i < n; i++) put_value(out, VECTOR_ELT(x, i));
      break;
    default:
      break;
  }
  UNPROTECT(1);
}

static void release_buf(void *p) {
  rfl_buf_release(p);
  rfl_free(p);
}
static const struct r_type buf_type = {"the bytes of a model's file", release_buf,
                                       R_MEMORY};

/* A handle that owns a buffer. */
static SEXP buf_new(struct rfl_buf **gives) {
  SEXP handle = PROTECT(r_handle_new(&buf_type, R_NilValue));
  struct rfl_err err = {0};
  struct rfl_buf *b = rfl_alloc(1, sizeof *b);
  if (!b) r_finish(rfl_no_memory(&err), &err);
  r_handle_fill(handle, b);
  *gives = b;
  UNPROTECT(1);
  return handle;
}

SEXP ffi_model_file_write(SEXP path, SEXP meta, SEXP state, SEXP overwrite) {
  struct rfl_buf *said, *file;
  SEXP said_handle = PROTECT(buf_new(&said)), file_handle = PROTECT(buf_new(&file));
  put_value(said, meta);
  struct rfl_err err = {0};
  enum rfl_code code = rfl_buf_check(said, &err);
  const struct rfl_section s[] = {
      {"META", true, {said->p, said->n}},
      {"STAT", true, {RAW_RO(state), (size_t)Rf_xlength(state)}}};
  if (!code) code = rfl_value_check(s[0].data, &err);
  if (!code) code = rfl_model_file_write(s, 2, file, &err);
  if (!code)
    code = rfl_model_file_save(&rfl_disk_real, r_string(path), file, r_flag(overwrite),
                               &err);
  r_finish(code, &err);
  r_handle_close(said_handle);
  r_handle_close(file_handle);
  UNPROTECT(2);
  return R_NilValue;
}

/* ---- bytes to values: only checked ones ---- */

static SEXP get_texts(struct rfl_reader *in, uint64_t n) {
  SEXP x = PROTECT(Rf_allocVector(STRSXP, (R_xlen_t)n));
  for (uint64_t i = 0; i < n; i++) {
    struct rfl_bytes t = rfl_value_text(in);
    SEXP text = t.p ? r_from_bytes((const char *)t.p, t.n) : NA_STRING;
    SET_STRING_ELT(x, (R_xlen_t)i, text);
  }
  UNPROTECT(1);
  return x;
}

static SEXP get_value(struct rfl_reader *in);

static SEXP get_list(struct rfl_reader *in, R_xlen_t n) {
  SEXP x = PROTECT(Rf_allocVector(VECSXP, n));
  for (R_xlen_t i = 0; i < n; i++) SET_VECTOR_ELT(x, i, get_value(in));
  UNPROTECT(1);
  return x;
}

static SEXP get_logicals(struct rfl_reader *in, R_xlen_t n) {
  SEXP x = Rf_allocVector(LGLSXP, n);
  for (R_xlen_t i = 0; i < n; i++) {
    uint8_t v = rfl_read_u8(in);
    LOGICAL(x)[i] = v == 2 ? NA_LOGICAL : v;
  }
  return x;
}

static SEXP get_numbers(struct rfl_reader *in, const struct rfl_value_head *h) {
  R_xlen_t n = (R_xlen_t)h->n;
  SEXP x;
  switch (h->kind) {
    case RFL_VALUE_INTEGER:
      x = Rf_allocVector(INTSXP, n);
      rfl_read_i32s(in, INTEGER(x), (size_t)n);
      return x;
    case RFL_VALUE_DOUBLE:
      x = Rf_allocVector(REALSXP, n);
      rfl_read_doubles(in, REAL(x), (size_t)n);
      return x;
    default:
      x = Rf_allocVector(RAWSXP, n);
      if (n) memcpy(RAW(x), in->at, (size_t)n);
      in->at += n;
      return x;
  }
}

static SEXP get_value(struct rfl_reader *in) {
  struct rfl_value_head h = rfl_value_head(in);
  if (h.kind == RFL_VALUE_NULL) return R_NilValue;
  SEXP names = PROTECT(h.named ? get_texts(in, h.n) : R_NilValue), x;
  if (h.kind == RFL_VALUE_STRING)
    x = PROTECT(get_texts(in, h.n));
  else if (h.kind == RFL_VALUE_LIST)
    x = PROTECT(get_list(in, (R_xlen_t)h.n));
  else if (h.kind == RFL_VALUE_LOGICAL)
    x = PROTECT(get_logicals(in, (R_xlen_t)h.n));
  else
    x = PROTECT(get_numbers(in, &h));
  if (h.named) Rf_setAttrib(x, R_NamesSymbol, names);
  UNPROTECT(2);
  return x;
}

/* list(meta =, state =) of a file. */
SEXP ffi_model_file_read(SEXP path) {
  struct rfl_buf *file;
  SEXP handle = PROTECT(buf_new(&file));
  struct rfl_err err = {0};
  struct rfl_model_file parts = {0};
  enum rfl_code code = rfl_model_file_load(r_string(path), file, &err);
  if (!code)
    code =
        rfl_model_file_read((struct rfl_bytes){file->p, file->n}, sections, &parts, &err);
  const struct rfl_section *meta = rfl_model_file_find(&parts, "META");
  const struct rfl_section *state = rfl_model_file_find(&parts, "STAT");
  if (!code && (!meta || !state))
    code = rfl_fail(&err, RFL_EDATA, "It is no whole model file: a section is missing.");
  if (!code) code = rfl_value_check(meta->data, &err);
  r_finish(code, &err);
  const char *names[] = {"meta", "state", ""};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  struct rfl_reader in = {.at = meta->data.p, .end = meta->data.p + meta->data.n};
  SET_VECTOR_ELT(out, 0, get_value(&in));
  SET_VECTOR_ELT(out, 1, Rf_allocVector(RAWSXP, (R_xlen_t)state->data.n));
  if (state->data.n) memcpy(RAW(VECTOR_ELT(out, 1)), state->data.p, state->data.n);
  r_handle_close(handle);
  UNPROTECT(2);
  return out;
}
