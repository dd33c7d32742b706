/* The reader of stored survival models. Whatever the bytes are: a state that is given
 * scores, tells its result, goes on learning, and once written reads back to the same
 * bytes. */
#include <string.h>

#include "base/mem.h"
#include "learn/aft.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

enum { ROWS = 6, COLUMNS = 16 };
static const double numbers[ROWS] = {0.5, 1, 2, 0.5, 3, 1e3};
static const double marks[ROWS] = {0, 1, 0, 1, 1, 0};
static const double zeros[ROWS] = {0};
static const int32_t codes[ROWS] = {0};

/* Rows for any layout: every number the same column, every factor at its first level;
 * extras are times, but marks at odd places and zeros at every third. */
static bool rows_for(const struct rfl_layout *l, struct rfl_block *b) {
  static const double *dense[COLUMNS], *extra[COLUMNS];
  static struct rfl_coded coded[COLUMNS];
  if (l->n_dense > COLUMNS || l->n_coded > COLUMNS || l->n_extra > COLUMNS || l->n_x > 64)
    return false;
  for (size_t k = 0; k < l->n_dense; k++) dense[k] = numbers;
  for (size_t k = 0; k < l->n_extra; k++)
    extra[k] = k == 1 ? marks : k > 1 ? zeros : numbers;
  for (size_t k = 0; k < l->n_coded; k++)
    coded[k] = (struct rfl_coded){codes, l->levels[k]};
  *b = (struct rfl_block){.n = ROWS,
                          .n_dense = l->n_dense,
                          .dense = dense,
                          .n_coded = l->n_coded,
                          .coded = coded,
                          .n_extra = l->n_extra,
                          .extra = extra};
  return true;
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_aft.write(s, &out);
  demand(rfl_buf_check(&out, NULL) == RFL_OK);
  return out;
}

static void check_bytes(const struct rfl_state *s) {
  struct rfl_state *back = NULL;
  struct rfl_err err;
  struct rfl_buf a = bytes_of(s);
  demand(rfl_aft.read((struct rfl_bytes){a.p, a.n}, &back, &err) == RFL_OK);
  struct rfl_buf b = bytes_of(back);
  demand(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_aft.release(back);
}

static void use(struct rfl_state *s) {
  struct rfl_err err;
  struct rfl_block b;
  struct rfl_aft_result r;
  double out[8 * ROWS];
  bool again = true;
  if (!rows_for(rfl_aft.layout(s), &b)) return;
  for (int what = 0; what < RFL_AFT_N_SCORES; what++)
    (void)!rfl_aft.score(s, &b, what, out, &err);
  (void)!rfl_aft_result(s, &r, &err);
  for (int pass = 0; again && pass < 5; pass++)
    if (rfl_aft.absorb(s, &b, &err) || rfl_aft.settle(s, &again, &err)) return;
  if (!again) (void)!rfl_aft.renew(s, 0.5, &err);
  (void)!rfl_aft_result(s, &r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_state *s = NULL;
  enum rfl_code code = rfl_aft.read((struct rfl_bytes){bytes, n}, &s, &err);
  if (code)
    demand(!s && err.message[0]);
  else {
    check_bytes(s);
    use(s);
  }
  rfl_aft.release(s);
  demand(rfl_mem_live() == 0);
  return 0;
}
