/* The reader of stored naive Bayes models. Whatever the bytes are: a state that is given
 * scores to probabilities, tells its tables, goes on learning, and once written reads
 * back to the same bytes. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/bayes.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

enum { ROWS = 6, COLUMNS = 16, CLASSES = 64, CELLS = 4096 };
static const double numbers[ROWS] = {0, 1, 1, 0, NAN, 1}, zeros[ROWS] = {0};
static const int32_t codes[ROWS] = {0, -1, -2, 0, 0, 0};

/* Rows for any layout: every number the same column, every factor at its first level. */
static bool rows_for(const struct rfl_layout *l, struct rfl_block *b) {
  static const double *dense[COLUMNS];
  static struct rfl_coded coded[COLUMNS];
  if (l->n_dense > COLUMNS || l->n_coded > COLUMNS || l->n_z > CELLS) return false;
  for (size_t k = 0; k < l->n_dense; k++) dense[k] = numbers;
  for (size_t k = 0; k < l->n_coded; k++)
    coded[k] = (struct rfl_coded){codes, l->levels[k]};
  *b = (struct rfl_block){.n = ROWS,
                          .n_dense = l->n_dense,
                          .dense = dense,
                          .n_coded = l->n_coded,
                          .coded = coded,
                          .y = zeros};
  return true;
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_bayes.write(s, &out);
  demand(rfl_buf_check(&out, NULL) == RFL_OK);
  return out;
}

static void check_bytes(const struct rfl_state *s) {
  struct rfl_state *back = NULL;
  struct rfl_err err;
  struct rfl_buf a = bytes_of(s);
  demand(rfl_bayes.read((struct rfl_bytes){a.p, a.n}, &back, &err) == RFL_OK);
  struct rfl_buf b = bytes_of(back);
  demand(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_bayes.release(back);
}

/* Every row's probabilities add to 1. */
static void check_scores(const struct rfl_state *s, const struct rfl_block *b) {
  static double out[CLASSES * ROWS];
  struct rfl_err err;
  size_t classes = rfl_bayes.width(s, RFL_BAYES_PROB);
  if (classes > CLASSES || rfl_bayes.score(s, b, RFL_BAYES_PROB, out, &err)) return;
  for (size_t i = 0; i < ROWS; i++) {
    double sum = 0;
    for (size_t c = 0; c < classes; c++) sum += out[c * ROWS + i];
    demand(fabs(sum - 1) < 1e-9);
  }
  demand(rfl_bayes.score(s, b, RFL_BAYES_CLASS, out, &err) == RFL_OK);
}

static void check_tables(const struct rfl_state *s) {
  static double out[CELLS];
  struct rfl_bayes_result r;
  rfl_bayes_result(s, &r);
  for (size_t k = 0; k < r.n_features; k++) {
    struct rfl_bayes_feature f;
    rfl_bayes_feature(s, k, &f);
    if ((int64_t)f.width * r.n_classes <= CELLS) rfl_bayes_table(s, k, out);
  }
}

static void use(struct rfl_state *s) {
  struct rfl_err err;
  struct rfl_block b;
  bool again;
  if (!rows_for(rfl_bayes.layout(s), &b)) return;
  check_scores(s, &b);
  check_tables(s);
  if (rfl_bayes.absorb(s, &b, &err) || rfl_bayes.settle(s, &again, &err)) return;
  struct rfl_bayes_result r;
  rfl_bayes_result(s, &r);
  double two = r.keep * r.keep; /* keep to the power of the 6 rows */
  demand(rfl_bayes.renew(s, two * (two * two), &err) == RFL_OK);
  check_scores(s, &b);
  check_bytes(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_state *s = NULL;
  enum rfl_code code = rfl_bayes.read((struct rfl_bytes){bytes, n}, &s, &err);
  if (code)
    demand(!s && err.message[0]);
  else {
    check_bytes(s);
    use(s);
  }
  rfl_bayes.release(s);
  demand(rfl_mem_live() == 0);
  return 0;
}
