/* The reader of checkpoints' heads. The input is read as it is, and again with its size
 * and checksum put right, since hardly anything passes a checksum by chance: what is
 * behind it must stand on its own. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/checkpoint.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

static void check(const struct rfl_checkpoint *c, uint64_t left) {
  demand(rfl_checkpoint_named(c->name));
  for (size_t i = 0; i < c->n; i++) {
    const struct rfl_checkpoint_part *p = &c->part[i];
    demand(p->name && p->size <= left);
    left -= p->size;
    if (p->base) demand(rfl_checkpoint_named(p->base) && strcmp(p->base, c->name) < 0);
  }
  demand(left == 0);
}

/* `file` bytes are as many as the file claims to have; `n` of them are its head. */
static void read_one(const uint8_t *bytes, size_t n, uint64_t file) {
  struct rfl_err err = {0};
  struct rfl_checkpoint c = {0};
  uint32_t size = 0;
  enum rfl_code code = rfl_checkpoint_lead(bytes, file, &size, &err);
  if (!code) {
    demand(size <= file);
    if (size > n) return;
    code = rfl_checkpoint_read((struct rfl_bytes){bytes, size}, file, &c, &err);
  }
  if (code)
    demand(err.message[0] && !c.name && !c.part &&
           (code == RFL_EDATA || code == RFL_ECONFIG));
  else
    check(&c, file - size);
  rfl_checkpoint_release(&c);
  demand(rfl_mem_live() == 0);
}

static void put_u32(uint8_t *to, uint32_t x) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(x >> 8 * i);
}

/* The first two bytes say how much data follows the head. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  if (n < 2 + RFL_CHECKPOINT_LEAD) return 0;
  uint64_t data = bytes[0] + 256u * bytes[1];
  bytes += 2;
  n -= 2;
  read_one(bytes, n, n + data);
  if (n < RFL_CHECKPOINT_LEAD + 4) return 0;
  uint8_t *copy = malloc(n);
  demand(copy != NULL);
  memcpy(copy, bytes, n);
  memcpy(copy, "RFLCKPT1", 8);
  put_u32(copy + 12, (uint32_t)n);
  put_u32(copy + n - 4, rfl_crc32c(0, copy, n - 4));
  read_one(copy, n, n + data);
  free(copy);
  return 0;
}
