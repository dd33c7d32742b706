/* The reader of stored FTRL models. Whatever the bytes are: a state that is given scores,
 * tells its result, is copied, goes on learning, and once written reads back to the same
 * bytes. Tables beyond 2^16 slots are only read: the rest would take all the time. */
#include <string.h>

#include "base/mem.h"
#include "learn/ftrl.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

enum { ROWS = 6, COLUMNS = 16, MOST_Z = 1 << 16 };
static const double numbers[ROWS] = {0, 1, -2, 0.5, 3, 1e3};
static const double truths[ROWS] = {0, 1, 0, 1, 1, 0};
static const double weights[ROWS] = {1, 0.5, 7, 1, 0, 1e6};
static const int32_t codes[ROWS] = {0, 0, -1, 0, 0, 0};
static const uint64_t hashes[ROWS] = {0, 1, 2, 1, UINT64_MAX, 1};

/* Rows for any layout: every column the same. */
static bool rows_for(const struct rfl_layout *l, struct rfl_block *b) {
  static const double *dense[COLUMNS];
  static struct rfl_coded coded[COLUMNS];
  static const uint64_t *hash[COLUMNS];
  if (l->n_dense > COLUMNS || l->n_coded > COLUMNS || l->n_terms > COLUMNS) return false;
  for (size_t k = 0; k < l->n_dense; k++) dense[k] = numbers;
  for (size_t k = 0; k < l->n_coded; k++) {
    coded[k] = (struct rfl_coded){codes, l->levels[k]};
    hash[k] = hashes;
  }
  *b = (struct rfl_block){.n = ROWS,
                          .n_dense = l->n_dense,
                          .dense = dense,
                          .n_coded = l->n_coded,
                          .coded = coded,
                          .hash = hash,
                          .y = truths,
                          .weight = weights};
  return true;
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_ftrl.write(s, &out);
  demand(rfl_buf_check(&out, NULL) == RFL_OK);
  return out;
}

static void check_bytes(const struct rfl_state *s) {
  struct rfl_state *back = NULL;
  struct rfl_err err;
  struct rfl_buf a = bytes_of(s);
  demand(rfl_ftrl.read((struct rfl_bytes){a.p, a.n}, &back, &err) == RFL_OK);
  struct rfl_buf b = bytes_of(back);
  demand(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_ftrl.release(back);
}

static void use(const struct rfl_state *from) {
  struct rfl_err err;
  struct rfl_block b;
  struct rfl_ftrl_result r;
  struct rfl_state *s = NULL;
  double out[2 * COLUMNS * ROWS], coef[COLUMNS];
  bool again = true;
  if (!rows_for(rfl_ftrl.layout(from), &b)) return;
  demand(rfl_ftrl.copy(from, &s, &err) == RFL_OK);
  for (int what = RFL_FTRL_LINK; what <= RFL_FTRL_AUDIT; what++)
    demand(rfl_ftrl.score(s, &b, what, out, &err) == RFL_OK);
  rfl_ftrl_result(s, &r);
  rfl_ftrl_numbers(s, coef);
  for (int pass = 0; again && pass < 5; pass++) {
    demand(rfl_ftrl.absorb(s, &b, &err) == RFL_OK);
    demand(rfl_ftrl.settle(s, &again, &err) == RFL_OK);
  }
  rfl_ftrl_result(s, &r);
  rfl_ftrl.release(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_state *s = NULL;
  enum rfl_code code = rfl_ftrl.read((struct rfl_bytes){bytes, n}, &s, &err);
  if (code) {
    demand(!s && err.message[0]);
  } else if (rfl_ftrl.layout(s)->n_z <= MOST_Z) {
    check_bytes(s);
    use(s);
  }
  rfl_ftrl.release(s);
  demand(rfl_mem_live() == 0);
  return 0;
}
