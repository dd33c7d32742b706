/* The reader of stored k-means models. Whatever the bytes are: a state that is given
 * scores, tells its result, goes on with its fit or learns a block, and once written
 * reads back to the same bytes. */
#include <string.h>

#include "base/mem.h"
#include "learn/kmeans.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

enum { ROWS = 6, COLUMNS = 16 };
static const double numbers[ROWS] = {0, 1, -2, 0.5, 3, 1e3};
static const int32_t codes[ROWS] = {0};

/* Rows for any layout: every number the same column, every factor at its first level. */
static bool rows_for(const struct rfl_layout *l, struct rfl_block *b) {
  static const double *dense[COLUMNS];
  static struct rfl_coded coded[COLUMNS];
  if (l->n_dense > COLUMNS || l->n_coded > COLUMNS || l->n_x > 64) return false;
  for (size_t k = 0; k < l->n_dense; k++) dense[k] = numbers;
  for (size_t k = 0; k < l->n_coded; k++)
    coded[k] = (struct rfl_coded){codes, l->levels[k]};
  *b = (struct rfl_block){.n = ROWS,
                          .n_dense = l->n_dense,
                          .dense = dense,
                          .n_coded = l->n_coded,
                          .coded = coded};
  return true;
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_kmeans.write(s, &out);
  demand(rfl_buf_check(&out, NULL) == RFL_OK);
  return out;
}

static void check_bytes(const struct rfl_state *s) {
  struct rfl_state *back = NULL;
  struct rfl_err err;
  struct rfl_buf a = bytes_of(s);
  demand(rfl_kmeans.read((struct rfl_bytes){a.p, a.n}, &back, &err) == RFL_OK);
  struct rfl_buf b = bytes_of(back);
  demand(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_kmeans.release(back);
}

static void use(struct rfl_state *s) {
  struct rfl_err err;
  struct rfl_block b;
  struct rfl_kmeans_result r;
  bool again = true;
  if (!rows_for(rfl_kmeans.layout(s), &b)) return;
  for (int what = RFL_KMEANS_CLUSTER; what <= RFL_KMEANS_NEAREST; what++) {
    double *out = rfl_alloc(rfl_kmeans.width(s, what) * (size_t)ROWS, sizeof *out);
    if (out) (void)!rfl_kmeans.score(s, &b, what, out, &err);
    rfl_free(out);
  }
  (void)!rfl_kmeans_result(s, &r, &err);
  for (int pass = 0; again && pass < 5; pass++)
    if (rfl_kmeans.absorb(s, &b, &err) || rfl_kmeans.settle(s, &again, &err)) return;
  if (!again) (void)!rfl_kmeans.renew(s, 0.5, &err);
  (void)!rfl_kmeans_result(s, &r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_state *s = NULL;
  enum rfl_code code = rfl_kmeans.read((struct rfl_bytes){bytes, n}, &s, &err);
  if (code)
    demand(!s && err.message[0]);
  else {
    check_bytes(s);
    use(s);
  }
  rfl_kmeans.release(s);
  demand(rfl_mem_live() == 0);
  return 0;
}
