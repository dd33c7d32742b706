/* The reader of stored positions. Whatever the bytes are: what is given is sorted and
 * without repeats, reads back equal once written again, and nothing stays behind. */
#include <string.h>

#include "base/mem.h"
#include "frame/cursor.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

static void check(const struct rfl_cursor *c) {
  struct rfl_err err;
  for (size_t i = 0; i < c->n; i++) {
    const struct rfl_place *p = &c->place[i];
    demand(rfl_cursor_find(c, p->stream, p->shard) == p);
  }
  struct rfl_buf out = {0};
  struct rfl_cursor again = {0};
  rfl_cursor_write(c, &out);
  struct rfl_reader in = {.at = out.p, .end = out.p + out.n};
  demand(rfl_cursor_read(&in, &again, &err) == RFL_OK && in.at == in.end);
  demand(rfl_cursor_equal(c, &again));
  demand(rfl_cursor_reaches(c, &again) && rfl_cursor_reaches(&again, c));
  rfl_cursor_release(&again);
  rfl_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_cursor c = {0};
  struct rfl_reader in = {.at = bytes, .end = bytes + n};
  enum rfl_code code = rfl_cursor_read(&in, &c, &err);
  if (code)
    demand(in.bad && c.n == 0 && !c.place && err.message[0]);
  else
    check(&c);
  rfl_cursor_release(&c);
  demand(rfl_mem_live() == 0);
  return 0;
}
