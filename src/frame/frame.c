#include "frame/frame.h"

#include <string.h>

#include "base/mem.h"

void rfl_tally_add(struct rfl_tally *to, const struct rfl_tally *more) {
  to->rows += more->rows;
  to->bad += more->bad;
  to->repeated += more->repeated;
  to->lost += more->lost;
  to->failed += more->failed;
  if (!to->first_bad[0]) memcpy(to->first_bad, more->first_bad, sizeof to->first_bad);
}

struct rfl_frame *rfl_frame_keep(struct rfl_frame *f) {
  __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
  return f;
}

static void release_column(struct rfl_column *c) {
  rfl_dict_release(c->dict);
  if (c->borrowed) return;
  rfl_free((void *)c->valid);
  rfl_free((void *)c->data);
  rfl_free((void *)c->offset);
  rfl_free((void *)c->bytes);
}

/* Everything but the columns, which are not the frame's before it is whole. */
static void release_shell(struct rfl_frame *f) {
  rfl_frame_release(f->parent);
  rfl_cursor_release(&f->places);
  rfl_free(f->span);
  rfl_free(f->column);
  rfl_schema_release(f->schema);
  rfl_free(f);
}

void rfl_frame_release(struct rfl_frame *f) {
  if (!f || __atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
  for (size_t i = 0; i < f->schema->n; i++) release_column(&f->column[i]);
  release_shell(f);
}

static struct rfl_frame *new_shell(struct rfl_schema *schema, uint32_t n_rows) {
  struct rfl_frame *f = rfl_alloc(1, sizeof *f);
  if (!f) return NULL;
  f->column = rfl_alloc(schema->n, sizeof *f->column);
  if (!f->column) {
    rfl_free(f);
    return NULL;
  }
  f->refs = 1;
  f->n_rows = n_rows;
  f->schema = rfl_schema_keep(schema);
  return f;
}

enum rfl_code rfl_frame_new(struct rfl_schema *schema, const struct rfl_column *column,
                            uint32_t n_rows, struct rfl_frame **gives,
                            struct rfl_err *err) {
  struct rfl_frame *f = new_shell(schema, n_rows);
  if (!f) return rfl_no_memory(err);
  if (schema->n) memcpy(f->column, column, schema->n * sizeof *column);
  *gives = f;
  return RFL_OK;
}

static enum rfl_code copy_positions(const struct rfl_frame *from, struct rfl_frame *to,
                                    struct rfl_err *err) {
  RFL_TRY(rfl_cursor_copy(&from->places, &to->places, err));
  if (from->n_spans) {
    to->span = rfl_alloc(from->n_spans, sizeof *to->span);
    if (!to->span) return rfl_no_memory(err);
    memcpy(to->span, from->span, from->n_spans * sizeof *to->span);
  }
  to->n_spans = from->n_spans;
  to->tally = from->tally;
  return RFL_OK;
}

enum rfl_code rfl_frame_pick(struct rfl_frame *from, const size_t *picked, size_t n,
                             struct rfl_schema *schema, const struct rfl_column *extra,
                             struct rfl_frame **gives, struct rfl_err *err) {
  struct rfl_frame *f = new_shell(schema, from->n_rows);
  if (!f) return rfl_no_memory(err);
  f->parent = rfl_frame_keep(from);
  enum rfl_code code = copy_positions(from, f, err);
  if (code) {
    release_shell(f);
    return code;
  }
  for (size_t i = 0; i < n; i++) {
    struct rfl_column *c = &f->column[i];
    *c = from->column[picked[i]];
    c->borrowed = true; /* the parent's */
    if (c->dict) rfl_dict_keep(c->dict);
  }
  for (size_t i = n; i < schema->n; i++) f->column[i] = extra[i - n];
  *gives = f;
  return RFL_OK;
}
