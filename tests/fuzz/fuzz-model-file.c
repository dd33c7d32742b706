/* The reader of model files and of the values in them. The input is read as it is; then
 * again as the one section of a file whose checksums are right, and as a value: what is
 * behind a checksum must stand on its own. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/model_file.h"
#include "store/value.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

/* Walks a checked value in the way a caller does. */
static void walk(struct rfl_reader *in, int depth) {
  struct rfl_value_head h = rfl_value_head(in);
  demand(!in->bad && depth <= RFL_VALUE_DEPTH);
  for (uint64_t i = 0; h.named && i < h.n; i++) rfl_value_text(in);
  for (uint64_t i = 0; i < h.n; i++) {
    switch (h.kind) {
      case RFL_VALUE_LIST:
        walk(in, depth + 1);
        break;
      case RFL_VALUE_STRING:
        rfl_value_text(in);
        break;
      case RFL_VALUE_DOUBLE:
        rfl_read_double(in);
        break;
      case RFL_VALUE_INTEGER:
        rfl_read_i32(in);
        break;
      case RFL_VALUE_LOGICAL:
        demand(rfl_read_u8(in) <= 2);
        break;
      default:
        rfl_read_u8(in);
    }
    demand(!in->bad);
  }
}

static void read_file(struct rfl_bytes bytes) {
  struct rfl_err err = {0};
  struct rfl_model_file f = {0};
  enum rfl_code code = rfl_model_file_read(bytes, "META,STAT", &f, &err);
  if (code) {
    demand(err.message[0] && (code == RFL_EDATA || code == RFL_ECONFIG));
    return;
  }
  for (size_t k = 0; k < f.n; k++) {
    const struct rfl_section *s = &f.section[k];
    demand(strlen(s->tag) == 4 && s->data.p >= bytes.p &&
           s->data.p + s->data.n <= bytes.p + bytes.n);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_bytes all = {bytes, n};
  read_file(all);
  struct rfl_buf file = {0};
  const struct rfl_section s = {"META", true, {bytes, n}};
  demand(rfl_model_file_write(&s, 1, &file, &err) == RFL_OK);
  read_file((struct rfl_bytes){file.p, file.n});
  rfl_buf_release(&file);
  if (rfl_value_check(all, &err) == RFL_OK) {
    struct rfl_reader in = {.at = bytes, .end = bytes + n};
    walk(&in, 0);
    demand(in.at == in.end);
  }
  demand(rfl_mem_live() == 0);
  return 0;
}
