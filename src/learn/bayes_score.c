/* Scores, 256 rows at a time: log posteriors relative to the base class by lookups and
 * lines out of the book, then a soft maximum that cannot overflow. Every row takes the
 * same operations in the same order, alone or in a batch. */
#include <math.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "learn/bayes_kernel.h"
#include "learn/bayes_state.h"
#include "num/kernel.h"

enum { CHUNK = 256, FEW = 4 }; /* FEW classes need no memory but the stack's */

const struct bayes_kernels *bayes_kernels(void) {
#if defined(__x86_64__)
  if (rfl_cpu_level() >= RFL_CPU_AVX512) return &bayes_kernels_avx512;
  if (rfl_cpu_level() >= RFL_CPU_AVX2) return &bayes_kernels_avx2;
#endif
  return &bayes_kernels_base;
}

struct slice {
  const struct rfl_block *block;
  size_t from, n;
};

static void look_up(double *sum, const double *table, const int32_t *code, size_t n) {
  const double *at = table + BAYES_LEVELS;
  for (size_t i = 0; i < n; i++) sum[i] += at[code[i]];
}

static void add_pair(const struct rfl_state *s, size_t k, size_t c, const double *x,
                     size_t n, double *sum) {
  size_t classes = s->design->n_classes;
  const double *mean = s->book + s->design->feature[k].book;
  const double *inverse = mean + classes, *height = inverse + classes;
  double base_mean = mean[s->base], base_inverse = inverse[s->base];
  if (!(base_inverse > 0)) return; /* the feature is the same everywhere */
  struct bayes_pair pair = {.unit = ldexp(1, -s->scale[k]),
                            .base_mean = base_mean,
                            .slope = base_inverse - inverse[c],
                            .sum = base_inverse + inverse[c],
                            .shift = (mean[c] - base_mean) * inverse[c],
                            .height = height[c]};
  bayes_kernels()->pair(sum, x, n, &pair);
}

/* What feature k adds for class c, from the book or from the zeros. */
static void add_feature(const struct rfl_state *s, const double *book, size_t k, size_t c,
                        const struct slice *rows, double *sum) {
  const struct bayes_feature *f = &s->design->feature[k];
  const double *table = book + f->book;
  if (f->levels) {
    table += c * ((size_t)f->levels + BAYES_LEVELS);
    look_up(sum, table, rows->block->coded[f->column].code + rows->from, rows->n);
    return;
  }
  const double *x = rows->block->dense[f->column] + rows->from;
  if (f->kind != RFL_LIKE_GAUSSIAN)
    bayes_kernels()->line(sum, x, rows->n, table[c], table[s->design->n_classes + c]);
  else if (book == s->book)
    add_pair(s, k, c, x, rows->n, sum);
}

/* log P(class | row) less that of the base, class by class, CHUNK apart. */
static void log_odds(const struct rfl_state *s, const struct slice *rows, double *sum) {
  for (size_t c = 0; c < s->design->n_classes; c++) {
    double *to = sum + c * CHUNK;
    for (size_t i = 0; i < rows->n; i++) to[i] = s->book[c];
    for (size_t k = 0; c != s->base && k < s->design->n_features; k++)
      add_feature(s, s->book, k, c, rows, to);
  }
}

/* Only the classes with the fewest impossible values remain. */
static void rule_out(const struct rfl_state *s, const struct slice *rows, double *sum,
                     double *zeros) {
  size_t classes = s->design->n_classes;
  double fewest[CHUNK];
  for (size_t i = 0; i < rows->n; i++) fewest[i] = INFINITY;
  for (size_t c = 0; c < classes; c++) {
    double *count = zeros + c * CHUNK;
    for (size_t i = 0; i < rows->n; i++) count[i] = 0;
    for (size_t k = 0; k < s->design->n_features; k++)
      add_feature(s, s->zero, k, c, rows, count);
    bool can = s->book[c] > -INFINITY;
    for (size_t i = 0; can && i < rows->n; i++) fewest[i] = fmin(fewest[i], count[i]);
  }
  for (size_t c = 0; c < classes; c++)
    for (size_t i = 0; i < rows->n; i++)
      if (zeros[c * CHUNK + i] > fewest[i]) sum[c * CHUNK + i] = -INFINITY;
}

static void find_most(const double *sum, size_t classes, size_t n, double *most) {
  for (size_t i = 0; i < n; i++) most[i] = sum[i];
  for (size_t c = 1; c < classes; c++)
    for (size_t i = 0; i < n; i++) {
      double x = sum[c * CHUNK + i];
      most[i] = x > most[i] ? x : most[i];
    }
}

/* Where the largest of each row's sums is: the first of equal ones. */
static void choose(const double *sum, size_t classes, size_t n, const double *most,
                   double *which) {
  for (size_t i = 0; i < n; i++) which[i] = 0;
  for (size_t c = classes; c-- > 1;)
    for (size_t i = 0; i < n; i++)
      which[i] = sum[c * CHUNK + i] == most[i] ? (double)c : which[i];
  for (size_t i = 0; i < n; i++) which[i] = sum[i] == most[i] ? 0 : which[i];
}

/* exp(x - max) / sum of them, in place, for the classes from `first` on; below 1e-307 it
 * is 0. */
static void normalise(double *sum, size_t classes, size_t n, const double *most,
                      size_t first) {
  double all[CHUNK] = {0}, x[CHUNK];
  for (size_t c = 0; c < classes; c++) {
    double *p = sum + c * CHUNK;
    for (size_t i = 0; i < n; i++) x[i] = p[i] - most[i];
    rfl_kernels()->exp(p, x, n);
    for (size_t i = 0; i < n; i++) p[i] = x[i] > -708 ? p[i] : 0;
    for (size_t i = 0; i < n; i++) all[i] += p[i];
  }
  for (size_t c = first; c < classes; c++)
    for (size_t i = 0; i < n; i++) sum[c * CHUNK + i] /= all[i];
}

static void put(const double *sum, size_t classes, const struct slice *rows, int what,
                double *out) {
  size_t n = rows->n, stride = rows->block->n;
  for (size_t c = 0; what == RFL_BAYES_PROB && c < classes; c++)
    for (size_t i = 0; i < n; i++) out[c * stride + rows->from + i] = sum[c * CHUNK + i];
  if (what == RFL_BAYES_PROB) return;
  for (size_t i = 0; i < n; i++) out[rows->from + i] = 0;
  for (size_t c = 1; c < classes; c++)
    for (size_t i = 0; i < n; i++) out[rows->from + i] += sum[c * CHUNK + i];
}

static enum rfl_code check(const struct rfl_state *s, const struct rfl_block *b, int what,
                           struct rfl_err *err) {
  const struct rfl_layout *l = &s->design->layout;
  if (!s->book) return rfl_fail(err, RFL_EMODEL, "The model has not been fitted yet.");
  if (what < RFL_BAYES_PROB || what > RFL_BAYES_RESPONSE)
    return rfl_fail(err, RFL_EARGUMENT, "Naive Bayes has no score number %d.", what);
  bool fits = b->n_dense == l->n_dense && b->n_coded == l->n_coded;
  for (size_t k = 0; fits && k < l->n_coded; k++)
    fits = b->coded[k].levels == l->levels[k];
  if (!fits)
    return rfl_fail(err, RFL_EARGUMENT, "The rows have other columns than the model.");
  return RFL_OK;
}

enum rfl_code bayes_score(const struct rfl_state *s, const struct rfl_block *b, int what,
                          double *out, struct rfl_err *err) {
  RFL_TRY(check(s, b, what, err));
  size_t classes = s->design->n_classes;
  double stack[2 * FEW * CHUNK], most[CHUNK], *sum = stack;
  if (classes > FEW && !(sum = rfl_alloc(2 * classes * CHUNK, sizeof *sum)))
    return rfl_no_memory(err);
  for (size_t from = 0; from < b->n; from += CHUNK) {
    struct slice rows = {b, from, b->n - from < CHUNK ? b->n - from : CHUNK};
    log_odds(s, &rows, sum);
    if (s->zero) rule_out(s, &rows, sum, sum + classes * CHUNK);
    find_most(sum, classes, rows.n, most);
    if (what == RFL_BAYES_CLASS) {
      choose(sum, classes, rows.n, most, out + from);
      continue;
    }
    normalise(sum, classes, rows.n, most, what == RFL_BAYES_PROB ? 0 : 1);
    put(sum, classes, &rows, what, out);
  }
  if (sum != stack) rfl_free(sum);
  return RFL_OK;
}
