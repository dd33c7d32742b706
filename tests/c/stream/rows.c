#include "rows.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/random.h"

enum { F_X, F_ID, F_Y, F_KEY, F_TIME, N_FIELDS };

bool row_has_x(int64_t i) { return i % 13 != 5; }
bool row_has_y(int64_t i) { return i % 11 != 7; }

enum rfl_code rows_schema(struct rfl_schema **gives, struct rfl_err *err) {
  struct rfl_field field[N_FIELDS] = {
      [F_X] = {.name = "x", .type = RFL_DOUBLE},
      [F_ID] = {.name = "id", .type = RFL_DOUBLE},
      [F_Y] = {.name = "y", .type = RFL_DOUBLE},
      [F_KEY] = {.name = ".key", .type = RFL_FACTOR, .meta = RFL_META_KEY},
      [F_TIME] = {
          .name = ".timestamp", .type = RFL_TIMESTAMP, .meta = RFL_META_TIMESTAMP}};
  return rfl_schema_new(field, N_FIELDS, gives, err);
}

enum rfl_code rows_builder(struct rfl_builder **gives, struct rfl_err *err) {
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  RFL_TRY(rows_schema(&schema, err));
  enum rfl_code code = rfl_builder_new(schema, &b, err);
  rfl_schema_release(schema);
  if (!code) code = rfl_builder_name_place(b, 0, "clicks", 0, err);
  if (code)
    rfl_builder_release(b);
  else
    *gives = b;
  return code;
}

static enum rfl_code add_row(struct rfl_builder *b, int64_t i, struct rfl_err *err) {
  RFL_TRY(rfl_builder_open(b, err));
  if (row_has_x(i)) rfl_builder_double(b, F_X, rfl_normal(1, (uint64_t)i, 0));
  rfl_builder_double(b, F_ID, (double)i);
  if (row_has_y(i))
    rfl_builder_double(b, F_Y, (double)(rfl_uniform(2, (uint64_t)i, 0) < 0.4));
  char key[24];
  int n = snprintf(key, sizeof key, "u%d", (int)(i % 5));
  RFL_TRY(rfl_builder_text(b, F_KEY, key, (size_t)n, err));
  rfl_builder_long(b, F_TIME, 1000000 * i);
  rfl_builder_commit(b);
  return rfl_builder_place(b, 0, i, 1, err);
}

enum rfl_code rows_frame(struct rfl_builder *b, int64_t from, uint32_t n,
                         struct rfl_frame **gives, struct rfl_err *err) {
  rfl_builder_clear(b);
  rfl_builder_forget_place(b, 0);
  for (int64_t i = from; i < from + n; i++) RFL_TRY(add_row(b, i, err));
  return rfl_builder_finish(b, gives, err);
}

static enum rfl_code fill(struct rfl_builder *b, int64_t n, uint32_t size, uint64_t seed,
                          struct cut *cut, struct rfl_err *err) {
  for (int64_t at = 0; at < n;) {
    uint32_t rows = size;
    if (!size) rows = (uint32_t)(rfl_random(seed, 0, cut->n_frames) % 41);
    if (rows > n - at) rows = (uint32_t)(n - at);
    RFL_TRY(rows_frame(b, at, rows, &cut->frame[cut->n_frames], err));
    cut->n_frames++;
    at += rows;
  }
  return RFL_OK;
}

enum rfl_code cut_rows(int64_t n, uint32_t size, uint64_t seed, struct cut *gives,
                       struct rfl_err *err) {
  struct cut cut = {0};
  struct rfl_builder *b = NULL;
  RFL_TRY(rows_builder(&b, err));
  cut.frame = rfl_alloc((size_t)(2 * n + 64), sizeof *cut.frame); /* empty ones too */
  enum rfl_code code = cut.frame ? fill(b, n, size, seed, &cut, err) : rfl_no_memory(err);
  rfl_builder_release(b);
  if (code)
    cut_release(&cut);
  else
    *gives = cut;
  return code;
}

void cut_release(struct cut *c) {
  for (size_t i = 0; i < c->n_frames; i++) rfl_frame_release(c->frame[i]);
  rfl_free(c->frame);
  *c = (struct cut){0};
}
