/* The reader of a spool's chunks. The input is read as it is, and again with its size and
 * checksum put right: what passes them must stand on its own. Every value of a frame that
 * is given is touched, so that one outside its buffers shows. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/chunk.h"

enum { FIELDS = RFL_N_TYPES, LEVELS = 300 };

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

static uint64_t touch(const struct rfl_column *c, uint32_t i) {
  switch (c->type) {
    case RFL_STRING:
    case RFL_RAW: {
      uint64_t sum = 0;
      demand(c->offset[i] <= c->offset[i + 1]);
      for (int32_t k = c->offset[i]; k < c->offset[i + 1]; k++)
        sum += (uint8_t)c->bytes[k];
      return sum;
    }
    case RFL_FACTOR:
      demand(c->i32[i] >= 0 && (c->i32[i] < c->levels || c->i32[i] == 0));
      return c->i32[i] < c->levels ? rfl_dict_level(c->dict, c->i32[i]).n : 0;
    case RFL_DOUBLE:
    case RFL_INTEGER64:
    case RFL_TIMESTAMP:
      return (uint64_t)c->i64[i];
    default:
      return (uint64_t)c->i32[i];
  }
}

static void read_one(const struct rfl_chunk_shape *shape, const uint8_t *bytes,
                     size_t n) {
  struct rfl_err err = {0};
  struct rfl_frame *f = NULL;
  uint8_t *copy = rfl_grow(NULL, n ? n : 1, 1);
  demand(copy != NULL);
  memcpy(copy, bytes, n);
  enum rfl_code code = rfl_chunk_read(shape, copy, n, &f, &err);
  if (code) {
    demand(code == RFL_EDATA && !f && err.message[0]);
    return;
  }
  uint64_t sum = 0, rows = 0;
  for (size_t i = 0; i < f->n_spans; i++) {
    demand(f->span[i].place < f->places.n && f->span[i].row == rows);
    rows += f->span[i].n_rows;
  }
  demand(f->n_spans == 0 || rows == f->n_rows);
  for (size_t c = 0; c < f->schema->n; c++)
    for (uint32_t i = 0; i < f->n_rows; i++)
      if (rfl_column_has(&f->column[c], i)) sum += touch(&f->column[c], i);
  demand(sum != 42 || f->n_rows); /* the sum is used */
  rfl_frame_release(f);
}

static struct rfl_chunk_shape make_shape(struct rfl_dict **dict, int32_t *levels) {
  struct rfl_field f[FIELDS];
  struct rfl_chunk_shape shape = {.dict = dict, .levels = levels};
  for (int t = 0; t < FIELDS; t++)
    f[t] = (struct rfl_field){.name = rfl_type_name((enum rfl_type)t),
                              .type = (enum rfl_type)t};
  demand(!rfl_schema_flat(f, FIELDS, &shape.schema, NULL));
  demand(!rfl_schema_flat(&f[RFL_RAW], 1, &shape.bytes, NULL));
  demand(!rfl_dict_new(&dict[RFL_FACTOR], NULL));
  for (int32_t k = 0, code; k < LEVELS; k++)
    demand(!rfl_dict_code(dict[RFL_FACTOR], (char *)&k, sizeof k, &code, NULL));
  levels[RFL_FACTOR] = LEVELS;
  return shape;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_dict *dict[FIELDS] = {NULL};
  int32_t levels[FIELDS] = {0};
  struct rfl_chunk_shape shape = make_shape(dict, levels);
  read_one(&shape, bytes, n);
  if (n >= 32) {
    uint8_t *copy = malloc(n);
    demand(copy != NULL);
    memcpy(copy, bytes, n);
    uint64_t size = n;
    memcpy(copy, "RFLc", 4);
    memcpy(copy + 16, &size, sizeof size);
    uint32_t crc = rfl_crc32c(0, copy + 8, n - 8);
    memcpy(copy + 4, &crc, sizeof crc);
    read_one(&shape, copy, n);
    free(copy);
  }
  rfl_dict_release(dict[RFL_FACTOR]);
  rfl_schema_release(shape.schema);
  rfl_schema_release(shape.bytes);
  demand(rfl_mem_live() == 0);
  return 0;
}
