/* Streams for R: the source that a plain list describes, and the reader that takes frames
 * out of it in slices of time, so that R can show progress and be interrupted between
 * them. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "decode/json.h"
#include "kafka/topic_source.h"
#include "r_hold.h"
#include "r_rows.h"
#include "store/file_source.h"

/* ---- sources ---- */

struct plan { /* what the list says, in scratch memory */
  struct r_fields fields;
  const struct r_table *table;  /* a data frame, ... */
  const char *name;             /* ... its place */
  struct rfl_file_options file; /* n > 0: files; else a topic */
  struct rfl_kafka *kafka;
  struct r_at from, to;
  struct rfl_topic_source_options options;
};

static void read_files(SEXP spec, struct rfl_file_options *o) {
  SEXP files = r_get(spec, "files"), names = r_get(spec, "names");
  *o = (struct rfl_file_options){
      .path = r_texts(files),
      .name = names == R_NilValue ? NULL : r_texts(names),
      .n = (size_t)Rf_xlength(files),
      .on_bad = (enum rfl_on_bad_line)Rf_asInteger(r_get(spec, "on_bad")),
      .max_records = r_number(r_get(spec, "max_records")),
      .frame_rows = (uint32_t)r_number(r_get(spec, "frame_rows"))};
}

static void read_plan(SEXP spec, struct plan *p) {
  *p = (struct plan){.fields = r_fields_read(r_get(spec, "fields"))};
  SEXP columns = r_get(spec, "columns");
  if (columns != R_NilValue) {
    p->table = r_table_read(columns, r_get(spec, "fields"));
    p->name = r_string(r_get(spec, "place"));
    return;
  }
  if (r_get(spec, "files") != R_NilValue) {
    read_files(spec, &p->file);
    return;
  }
  p->kafka = r_kafka_get(r_get(spec, "k"));
  const char *topic = r_string(r_get(spec, "topic"));
  p->options = (struct rfl_topic_source_options){
      .topic = topic,
      .bounded = r_flag(r_get(spec, "bounded")),
      .on_bad = (enum rfl_on_bad)Rf_asInteger(r_get(spec, "on_bad")),
      .warn_on_loss = r_flag(r_get(spec, "warn_on_loss")),
      .max_records = r_number(r_get(spec, "max_records")),
      .memory = (size_t)(r_number(r_get(spec, "memory")) * 1e6),
      .frame_rows = (uint32_t)r_number(r_get(spec, "frame_rows"))};
  r_at_read(r_get(spec, "from"), topic, &p->from);
  if (p->options.bounded) r_at_read(r_get(spec, "to"), topic, &p->to);
}

static enum rfl_code open_topic(struct plan *p, struct rfl_schema *schema,
                                struct rfl_source **gives, struct rfl_err *err) {
  enum rfl_code code = r_at_open(&p->from, err);
  if (!code) code = r_at_open(&p->to, err);
  struct rfl_decoder *decoder;
  if (!code) code = rfl_json_decoder_new(schema, &decoder, err);
  if (!code) {
    p->options.from = p->from.at;
    p->options.to = p->to.at;
    code = rfl_topic_source_new(p->kafka, &p->options, schema, decoder, gives, err);
  }
  r_at_release(&p->from);
  r_at_release(&p->to);
  return code;
}

static enum rfl_code open_table(const struct plan *p, struct rfl_schema *schema,
                                struct rfl_source **gives, struct rfl_err *err) {
  struct r_cut all = {.n = r_table_rows(p->table)};
  struct rfl_frame *frame;
  RFL_TRY(r_table_frame(p->table, &all, schema, &frame, err));
  enum rfl_code code = r_rows_source(frame, p->name, gives, err);
  if (code) rfl_frame_release(frame);
  return code;
}

static enum rfl_code open_files(const struct plan *p, struct rfl_schema *schema,
                                struct rfl_source **gives, struct rfl_err *err) {
  struct rfl_decoder *decoder;
  RFL_TRY(rfl_json_decoder_new(schema, &decoder, err));
  return rfl_file_source_new(&p->file, schema, decoder, gives, err);
}

enum rfl_code r_source_make(SEXP spec, struct rfl_source **gives,
                            struct rfl_schema **gives_schema, struct rfl_err *err) {
  struct plan p;
  read_plan(spec, &p);
  struct rfl_schema *schema;
  enum rfl_code code = p.table ? rfl_schema_flat(p.fields.field, p.fields.n, &schema, err)
                               : rfl_schema_new(p.fields.field, p.fields.n, &schema, err);
  if (code) return code;
  if (p.table)
    code = open_table(&p, schema, gives, err);
  else if (p.file.n)
    code = open_files(&p, schema, gives, err);
  else
    code = open_topic(&p, schema, gives, err);
  if (code)
    rfl_schema_release(schema);
  else
    *gives_schema = schema;
  return code;
}

/* ---- the reader ---- */

struct reader {
  struct rfl_source *source;
  struct rfl_schema *schema;
  struct r_frames *to; /* kept alive by the handle's protected slot */
  struct rfl_tally tally;
  bool done;
};

static void release_reader(void *object) {
  struct reader *r = object;
  if (r->source) r->source->release(r->source);
  rfl_schema_release(r->schema);
  rfl_free(r);
}
static const struct r_type reader_type = {"a read of a stream", release_reader, R_ENDS};

/* Where the source is to begin, of places that are files; empty: at their beginnings. */
static enum rfl_code start_from(SEXP spec, struct rfl_cursor *gives,
                                struct rfl_err *err) {
  SEXP at = r_get(spec, "at");
  if (at == R_NilValue) return RFL_OK;
  SEXP name = VECTOR_ELT(at, 0), next = VECTOR_ELT(at, 1);
  for (R_xlen_t i = 0; i < Rf_xlength(name); i++)
    RFL_TRY(rfl_cursor_set(gives, CHAR(STRING_ELT(name, i)), 0, (int64_t)REAL_RO(next)[i],
                           err));
  return RFL_OK;
}

/* A reader of the source that `spec` describes, which puts its frames into `frames`. The
 * range is fixed here. */
SEXP ffi_reader_new(SEXP spec, SEXP frames) {
  struct r_frames *to = r_frames_get(frames);
  SEXP keep = PROTECT(Rf_list2(spec, frames));
  SEXP handle = PROTECT(r_handle_new(&reader_type, keep));
  struct rfl_err err;
  struct reader *r = rfl_alloc(1, sizeof *r);
  r_finish(r ? RFL_OK : rfl_no_memory(&err), &err);
  r_handle_fill(handle, r);
  r->to = to;
  enum rfl_code code = r_source_make(spec, &r->source, &r->schema, &err);
  if (!code) {
    if (!to->schema) to->schema = rfl_schema_keep(r->schema);
    struct rfl_cursor at = {0};
    code = start_from(spec, &at, &err);
    if (!code) code = r->source->start(r->source, at.n ? &at : NULL, &err);
    rfl_cursor_release(&at);
  }
  if (code) r_handle_close(handle);
  r_finish(code, &err);
  UNPROTECT(2);
  return handle;
}

static enum rfl_code take_frame(struct reader *r, struct rfl_frame *frame,
                                struct rfl_err *err) {
  rfl_tally_add(&r->tally, &frame->tally);
  enum rfl_code code =
      frame->n_rows ? r_frames_add(r->to, frame, err) : r_frames_pass(r->to, frame, err);
  if (code || !frame->n_rows) rfl_frame_release(frame);
  return code;
}

static enum rfl_code read_until(struct reader *r, int64_t until, struct rfl_err *err) {
  do {
    int64_t slice = rfl_now_ns() + 100 * RFL_MS;
    struct rfl_want want = {.max_rows = UINT32_MAX,
                            .until_ns = slice < until ? slice : until};
    enum rfl_event event;
    struct rfl_frame *frame = NULL;
    enum rfl_code code = r->source->next(r->source, &want, &event, &frame, err);
    if (code == RFL_EAGAIN) continue;
    if (code) return code;
    if (event == RFL_ROWS) RFL_TRY(take_frame(r, frame, err));
    r->done = event == RFL_END;
    if (!r->done && !r_go_on(NULL)) return RFL_EHOST;
  } while (!r->done && rfl_now_ns() < until);
  return RFL_OK;
}

/* Reads for `seconds`; TRUE when the range has been read. */
SEXP ffi_reader_read(SEXP reader, SEXP seconds) {
  struct reader *r = r_handle_get(reader, &reader_type);
  int64_t until = rfl_now_ns() + (int64_t)(r_number(seconds) * RFL_SECOND);
  struct rfl_err err;
  enum rfl_code code = r->done ? RFL_OK : read_until(r, until, &err);
  r_finish(code, &err);
  return Rf_ScalarLogical(r->done);
}

SEXP ffi_reader_tally(SEXP reader) {
  const struct rfl_tally *t =
      &((struct reader *)r_handle_get(reader, &reader_type))->tally;
  const char *names[] = {"rows", "bad", "repeated", "lost", "first_bad", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, Rf_ScalarReal((double)t->rows));
  SET_VECTOR_ELT(list, 1, Rf_ScalarReal((double)t->bad));
  SET_VECTOR_ELT(list, 2, Rf_ScalarReal((double)t->repeated));
  SET_VECTOR_ELT(list, 3, Rf_ScalarReal((double)t->lost));
  SET_VECTOR_ELT(list, 4, r_from_text(t->first_bad));
  UNPROTECT(1);
  return list;
}

SEXP ffi_reader_close(SEXP reader) {
  r_handle_close(reader);
  return R_NilValue;
}
