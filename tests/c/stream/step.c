#include "step.h"

#include "base/random.h"

static struct fold_step *of(struct rfl_step *s) { return (struct fold_step *)(void *)s; }

static enum rfl_code put(struct rfl_step *s, uint32_t input, struct rfl_frame *f,
                         struct rfl_frame **gives, struct rfl_err *err) {
  (void)input;
  ptrdiff_t id = rfl_schema_find(f->schema, "id");
  if (id < 0) return rfl_fail(err, RFL_ESCHEMA, "There is no id.");
  for (uint32_t i = 0; i < f->n_rows; i++)
    of(s)->fold = rfl_hash_i64(of(s)->fold, (int64_t)f->column[id].f64[i]);
  of(s)->rows += f->n_rows;
  *gives = rfl_frame_keep(f);
  return RFL_OK;
}

static enum rfl_code border(struct rfl_step *s, bool end, struct rfl_frame **gives,
                            struct rfl_err *err) {
  (void)err;
  if (!end) of(s)->borders++;
  *gives = NULL;
  return RFL_OK;
}

static enum rfl_code write(const struct rfl_step *s, struct rfl_buf *out,
                           struct rfl_err *err) {
  const struct fold_step *f = (const struct fold_step *)(const void *)s;
  rfl_buf_u64(out, f->fold);
  rfl_buf_u64(out, f->rows);
  rfl_buf_u64(out, f->borders);
  return rfl_buf_check(out, err);
}

static enum rfl_code read(struct rfl_step *s, struct rfl_bytes bytes,
                          struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  struct fold_step f = {.fold = rfl_read_u64(&in)};
  f.rows = rfl_read_u64(&in);
  f.borders = rfl_read_u64(&in);
  RFL_TRY(rfl_read_done(&in, "The step", err));
  of(s)->fold = f.fold;
  of(s)->rows = f.rows;
  of(s)->borders = f.borders;
  return RFL_OK;
}

void fold_step_init(struct fold_step *s) {
  *s = (struct fold_step){
      .base = {
          .n_inputs = 1, .put = put, .border = border, .write = write, .read = read}};
}
