/* settle(): the book, log tables that scores are sums of. Made once a learning step, so
 * that a score takes one lookup a category and class, and two or three operations a
 * number. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/bayes_state.h"

/* Entry j of the book: log p; where p is 0, the log of its slope in laplace, and one
 * zero.
 */
static void note(struct rfl_state *s, size_t j, struct bayes_chance p) {
  s->book[j] = log(p.p);
  s->zero[j] = p.zero;
}

/* Classes that cannot be (no row, or prior 0) start at -Inf. False: that is all of them.
 */
static bool write_priors(struct rfl_state *s) {
  size_t classes = s->design->n_classes;
  const double *p = s->prior ? s->prior : bayes_class_weight(s);
  s->base = classes;
  for (size_t c = classes; c-- > 0;) {
    s->book[c] = log(p[c]);
    if (p[c] > 0) s->base = c;
  }
  return s->base < classes;
}

static void write_levels(struct rfl_state *s, size_t k, size_t c) {
  const struct bayes_feature *f = &s->design->feature[k];
  size_t classes = s->design->n_classes, rows = (size_t)f->levels + BAYES_LEVELS;
  size_t at = f->book + c * rows;
  struct bayes_all all = bayes_levels_all(s, k, c);
  for (size_t row = 0; row < rows; row++) {
    bool known = row >= BAYES_LEVELS;
    if (known || (row == BAYES_UNKNOWN && bayes_counts_unknown(s, k)))
      note(s, at + row, bayes_level_chance(s, s->sum[f->sum + row * classes + c], all));
  }
}

static void write_normals(struct rfl_state *s, size_t k) {
  size_t classes = s->design->n_classes;
  double *mean = s->book + s->design->feature[k].book;
  double *inverse = mean + classes, *height = inverse + classes;
  bayes_normals(s, k, mean, inverse);
  for (size_t c = 0; c < classes; c++) {
    bool tells = inverse[c] > 0;
    mean[c] = tells ? mean[c] : 0;
    inverse[c] = tells ? 1 / sqrt(inverse[c]) : 0;
    height[c] = tells ? log(inverse[c]) : 0;
  }
}

/* intercept + slope x = log density of x but for what all classes share. */
static void write_line(struct rfl_state *s, size_t k, size_t c) {
  const struct bayes_feature *f = &s->design->feature[k];
  size_t intercept = f->book + c, slope = intercept + s->design->n_classes;
  if (f->kind == RFL_LIKE_BERNOULLI) { /* x log p + (1 - x) log(1 - p) */
    note(s, slope, bayes_one_chance(s, k, c, true));
    note(s, intercept, bayes_one_chance(s, k, c, false));
    s->book[slope] -= s->book[intercept];
    s->zero[slope] -= s->zero[intercept];
  } else if (f->kind == RFL_LIKE_MULTINOMIAL) { /* x log share */
    note(s, slope, bayes_share(s, k, c, bayes_shares_all(s, c)));
  } else { /* x log rate - rate */
    struct bayes_chance rate = bayes_rate(s, k, c);
    if (rate.p != rate.p) return;
    note(s, slope, rate);
    s->book[intercept] = rate.zero ? 0 : -rate.p;
  }
}

/* The book of class c less that of the base; the base itself last. */
static void take_off_base(struct rfl_state *s, double *table, size_t rows,
                          bool by_class) {
  size_t classes = s->design->n_classes, base = s->base;
  size_t next = by_class ? rows : 1, step = by_class ? 1 : classes;
  for (size_t c = 0; c < classes; c++)
    for (size_t r = 0; c != base && r < rows; r++)
      table[c * next + r * step] -= table[base * next + r * step];
  for (size_t r = 0; r < rows; r++) table[base * next + r * step] = 0;
}

static void write_book(struct rfl_state *s) {
  const struct bayes_design *d = s->design;
  for (size_t k = 0; k < d->n_features; k++) {
    const struct bayes_feature *f = &d->feature[k];
    double *table = s->book + f->book;
    if (f->kind == RFL_LIKE_GAUSSIAN) {
      write_normals(s, k);
      take_off_base(s, table + 2 * d->n_classes, 1, false);
      continue;
    }
    for (size_t c = 0; c < d->n_classes; c++)
      if (f->levels)
        write_levels(s, k, c);
      else
        write_line(s, k, c);
    if (f->levels)
      take_off_base(s, table, (size_t)f->levels + BAYES_LEVELS, true);
    else
      take_off_base(s, table, 2, false);
  }
  take_off_base(s, s->book, 1, false);
}

static bool has_zeros(const struct rfl_state *s) {
  for (size_t j = 0; j < s->design->n_book; j++)
    if (s->zero[j] != 0) return true;
  return false;
}

static void drop(double **table) {
  rfl_free(*table);
  *table = NULL;
}

enum rfl_code bayes_settle(struct rfl_state *s, bool *again, struct rfl_err *err) {
  size_t n = s->design->n_book;
  *again = false;
  s->settled = s->absorbed;
  s->absorbed = 0;
  if (!s->book && !(s->book = rfl_alloc(n, sizeof *s->book))) return rfl_no_memory(err);
  if (!s->zero && !(s->zero = rfl_alloc(n, sizeof *s->zero))) return rfl_no_memory(err);
  memset(s->book, 0, n * sizeof *s->book);
  memset(s->zero, 0, n * sizeof *s->zero);
  bool some = write_priors(s);
  if (some) write_book(s);
  if (!some) drop(&s->book); /* nothing is known: it cannot score */
  if (!some || !has_zeros(s)) drop(&s->zero);
  return RFL_OK;
}
