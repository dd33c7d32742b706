/* The reader of stored GLMs. Whatever the bytes are: a state that is given scores, tells
 * its result, goes on learning, and once written reads back to the same bytes. */
#include <string.h>

#include "base/mem.h"
#include "learn/glm.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

enum { ROWS = 6, COLUMNS = 16 };
static const double numbers[ROWS] = {0, 1, -2, 0.5, 3, 1e3};
static const double truths[ROWS] = {0, 1, 0, 1, 1, 0};
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
                          .coded = coded,
                          .y = truths};
  return true;
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_glm.write(s, &out);
  demand(rfl_buf_check(&out, NULL) == RFL_OK);
  return out;
}

static void check_bytes(const struct rfl_state *s) {
  struct rfl_state *back = NULL;
  struct rfl_err err;
  struct rfl_buf a = bytes_of(s);
  demand(rfl_glm.read((struct rfl_bytes){a.p, a.n}, &back, &err) == RFL_OK);
  struct rfl_buf b = bytes_of(back);
  demand(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_glm.release(back);
}

/* What may be widened is a state like any other: it can be written and read. */
static void widen(const struct rfl_state *s) {
  struct rfl_state *wide = NULL;
  struct rfl_err err = {0};
  if (rfl_glm.widen(s, rfl_glm.layout(s), NULL, &wide, &err)) {
    demand(!wide && err.message[0]);
    return;
  }
  check_bytes(wide);
  rfl_glm.release(wide);
}

static void double_up(const struct rfl_state *s) {
  struct rfl_err err = {0};
  struct rfl_state *both = NULL;
  enum rfl_code code = rfl_glm_combine(s, s, &both, &err);
  demand(code ? !both && err.message[0] : both != NULL);
  if (both) check_bytes(both);
  rfl_glm.release(both);
}

static void use(struct rfl_state *s) {
  struct rfl_err err;
  struct rfl_block b;
  struct rfl_glm_result r;
  double out[2 * ROWS];
  bool again = true;
  if (!rows_for(rfl_glm.layout(s), &b)) return;
  for (int what = RFL_GLM_LINK; what <= RFL_GLM_LINK_SE; what++)
    (void)!rfl_glm.score(s, &b, what, out, &err);
  (void)!rfl_glm_result(s, &r, &err);
  double_up(s);
  for (int pass = 0; again && pass < 5; pass++)
    if (rfl_glm.absorb(s, &b, &err) || rfl_glm.settle(s, &again, &err)) return;
  if (!again) (void)!rfl_glm.renew(s, 0.5, &err);
  (void)!rfl_glm_result(s, &r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_state *s = NULL;
  enum rfl_code code = rfl_glm.read((struct rfl_bytes){bytes, n}, &s, &err);
  if (code)
    demand(!s && err.message[0]);
  else {
    check_bytes(s);
    widen(s);
    use(s);
  }
  rfl_glm.release(s);
  demand(rfl_mem_live() == 0);
  return 0;
}
