/* Sums over a block, chunk by chunk of 2048 rows, so that what is read twice stays in the
 * nearest cache.
 *
 * The rows of a chunk are first put in the order of their classes (a counting sort, once
 * for all numbers). Each number is then gathered class by class: mean and squares about
 * it come from straight runs, in two passes, whatever the number of classes; the runs
 * join what is known by Chan's rule. Categories need no order: a row adds to one cell of
 * each. While every row weighs 1 the cells are counted as integers, which is twice as
 * fast and gives the same bits: sums of ones are exact.
 *
 * Squares of numbers near 1e300 or 1e-300 leave the range of doubles. So each gaussian
 * feature has a scale, a power of 2 in steps of 2^256 that the largest number decides:
 * shifting by it is exact, and all that is usual has the scale 0. */
#include <math.h>
#include <string.h>

#include "learn/bayes_state.h"

enum { LANES = 8, FEW = 4 };

struct chunk {
  const struct rfl_block *block;
  size_t from, n;
  const double *weight; /* of its rows; NULL: all ones */
};

/* ---- what a block may hold ---- */

static enum rfl_code check_shape(const struct rfl_state *s, const struct rfl_block *b,
                                 struct rfl_err *err) {
  const struct rfl_layout *l = &s->design->layout;
  bool fits = b->n_dense == l->n_dense && b->n_coded == l->n_coded;
  for (size_t k = 0; fits && k < l->n_coded; k++)
    fits = b->coded[k].levels == l->levels[k];
  if (!fits)
    return rfl_fail(err, RFL_EARGUMENT, "The rows have other columns than the model.");
  return b->y ? RFL_OK : rfl_fail(err, RFL_EARGUMENT, "The rows have no response.");
}

static enum rfl_code check_number(const struct bayes_feature *f, const double *x,
                                  size_t n, struct rfl_err *err) {
  const char *what = f->kind == RFL_LIKE_BERNOULLI ? "0 or 1" : "a count, 0 to 2^53";
  for (size_t i = 0; i < n; i++) {
    if (x[i] != x[i]) continue;
    bool ok = f->kind == RFL_LIKE_BERNOULLI ? x[i] == 0 || x[i] == 1
                                            : x[i] >= 0 && x[i] <= 9007199254740992.0;
    if (!ok)
      return rfl_fail(err, RFL_EDATA, "Number %d of the features is %g, but must be %s.",
                      f->term + 1, x[i], what);
  }
  return RFL_OK;
}

static enum rfl_code check_block(const struct rfl_state *s, const struct rfl_block *b,
                                 struct rfl_err *err) {
  RFL_TRY(check_shape(s, b, err));
  double classes = (double)s->design->n_classes;
  for (size_t i = 0; i < b->n; i++)
    if (!(b->y[i] >= 0 && b->y[i] < classes && b->y[i] == (double)(int32_t)b->y[i]))
      return rfl_fail(err, RFL_EDATA, "The response is %g, not one of %g classes.",
                      b->y[i], classes);
  for (size_t i = 0; b->weight && i < b->n; i++)
    if (!(b->weight[i] >= 0 && b->weight[i] < 1e100))
      return rfl_fail(err, RFL_EDATA, "A weight is %g, not between 0 and 1e100.",
                      b->weight[i]);
  for (size_t k = 0; k < s->design->n_features; k++) {
    const struct bayes_feature *f = &s->design->feature[k];
    if (!f->levels && f->kind != RFL_LIKE_GAUSSIAN)
      RFL_TRY(check_number(f, b->dense[f->column], b->n, err));
  }
  return RFL_OK;
}

/* ---- classes ---- */

/* Weights of a chunk's rows: their own, and keep to the power of the rows after them. */
static const double *weigh(struct rfl_state *s, const struct rfl_block *b, size_t from,
                           size_t n) {
  const double *own = b->weight ? b->weight + from : NULL;
  if (s->keep == 1) return own;
  double fade = bayes_power(s->keep, b->n - from - n);
  for (size_t i = n; i-- > 0; fade *= s->keep)
    s->work.weight[i] = fade * (own ? own[i] : 1.0);
  return s->work.weight;
}

/* A counting sort: any number of classes. */
static void sort_many(struct bayes_work *w, size_t classes, const struct chunk *k) {
  uint32_t *begin = w->begin;
  memset(begin, 0, (classes + 1) * sizeof *begin);
  for (size_t i = 0; i < k->n; i++)
    begin[w->class_of[i]] += !k->weight || k->weight[i] > 0;
  for (size_t c = 0, sum = 0; c <= classes; c++) {
    sum += begin[c];
    begin[c] = (uint32_t)sum; /* the end of class c: filled from behind */
  }
  for (size_t i = k->n; i-- > 0;)
    if (!k->weight || k->weight[i] > 0) w->order[--begin[w->class_of[i]]] = (uint32_t)i;
}

/* The same by a pass a class: no row waits for the one before it, which is faster for a
 * few classes. The last place is written to once more than there are rows. */
static void sort_few(struct bayes_work *w, size_t classes, const struct chunk *k) {
  uint32_t n = 0;
  for (size_t c = 0; c < classes; c++) {
    int32_t class = (int32_t)c;
    w->begin[c] = n;
    if (k->weight)
      for (size_t i = 0; i < k->n; i++) {
        w->order[n] = (uint32_t)i;
        n += (w->class_of[i] == class) & (k->weight[i] > 0);
      }
    else
      for (size_t i = 0; i < k->n; i++) {
        w->order[n] = (uint32_t)i;
        n += w->class_of[i] == class;
      }
  }
  w->begin[classes] = n;
}

static void sort_rows(struct rfl_state *s, const struct chunk *k) {
  struct bayes_work *w = &s->work;
  const double *y = k->block->y + k->from;
  for (size_t i = 0; i < k->n; i++) w->class_of[i] = (int32_t)y[i];
  if (s->design->n_classes <= FEW)
    sort_few(w, s->design->n_classes, k);
  else
    sort_many(w, s->design->n_classes, k);
}

static void add_classes(struct rfl_state *s, const struct chunk *k) {
  size_t classes = s->design->n_classes;
  const struct bayes_work *w = &s->work;
  double *rows = s->sum + BAYES_CLASSES, *weight = bayes_class_weight(s);
  const double *own = k->block->weight;
  s->sum[BAYES_ROWS] += (double)k->n;
  for (size_t i = 0; own && i < k->n; i++) s->sum[BAYES_ZERO] += own[k->from + i] == 0;
  for (size_t c = 0; !k->weight && c < classes; c++) {
    rows[c] += w->begin[c + 1] - w->begin[c];
    weight[c] += w->begin[c + 1] - w->begin[c];
  }
  for (size_t i = 0; k->weight && i < k->n; i++) {
    rows[w->class_of[i]]++;
    weight[w->class_of[i]] += k->weight[i];
  }
}

/* ---- categories ---- */

static void add_coded(struct rfl_state *s, const struct bayes_feature *f,
                      const struct chunk *k) {
  const int32_t *code = k->block->coded[f->column].code + k->from;
  const int32_t *class_of = s->work.class_of;
  size_t classes = s->design->n_classes;
  double *sum = s->sum + f->sum;
  for (size_t i = 0; i < k->n; i++)
    sum[(size_t)(code[i] + BAYES_LEVELS) * classes + (size_t)class_of[i]] += k->weight[i];
}

/* Rows of two features (of one, when b is NULL) at a time: a row whose cell is that of
 * the row before it waits for that count to be written, and the other feature's does not.
 */
static void count_coded(struct rfl_state *s, const struct bayes_feature *a,
                        const struct bayes_feature *b, const struct chunk *k) {
  const int32_t *class_of = s->work.class_of;
  ptrdiff_t classes = (ptrdiff_t)s->design->n_classes, zero = BAYES_LEVELS * classes;
  const int32_t *code = k->block->coded[a->column].code + k->from;
  uint32_t *tally = s->work.tally + a->tally + zero;
  if (!b) {
    for (size_t i = 0; i < k->n; i++) tally[code[i] * classes + class_of[i]]++;
    return;
  }
  const int32_t *other = k->block->coded[b->column].code + k->from;
  uint32_t *others = s->work.tally + b->tally + zero;
  for (size_t i = 0; i < k->n; i++) {
    ptrdiff_t class = class_of[i];
    tally[code[i] * classes + class]++;
    others[other[i] * classes + class]++;
  }
}

/* Counts of the whole block: row by row where the table is larger than the block. */
static void flush_tally(struct rfl_state *s, const struct rfl_block *b,
                        const struct bayes_feature *f) {
  size_t classes = s->design->n_classes;
  size_t cells = ((size_t)f->levels + BAYES_LEVELS) * classes;
  uint32_t *tally = s->work.tally + f->tally;
  double *sum = s->sum + f->sum;
  const int32_t *code = b->coded[f->column].code;
  for (size_t j = 0; b->n >= cells && j < cells; j++) {
    sum[j] += tally[j];
    tally[j] = 0;
  }
  for (size_t i = 0; b->n < cells && i < b->n; i++) {
    size_t j = (size_t)(code[i] + BAYES_LEVELS) * classes + (size_t)b->y[i];
    sum[j] += tally[j];
    tally[j] = 0;
  }
}

/* ---- numbers ---- */

/* The largest absolute value, NaN and Inf left aside; *all: there are none of these. */
static double largest(const double *x, size_t n, bool *all) {
  double most[LANES] = {0}, none[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t j = 0; j < LANES; j++) {
      double size = fabs(x[i + j]);
      most[j] = size > most[j] ? size : most[j];
      none[j] += x[i + j] * 0;
    }
  for (; i < n; i++) {
    double size = fabs(x[i]);
    most[0] = size > most[0] ? size : most[0];
    none[0] += x[i] * 0;
  }
  for (size_t j = 1; j < LANES; j++) {
    most[0] = most[j] > most[0] ? most[j] : most[0];
    none[0] += none[j];
  }
  *all = none[0] == 0;
  return most[0];
}

/* Closes the gaps that NaN and Inf leave in x (and w). */
static void drop_missing(struct bayes_work *w, size_t classes) {
  uint32_t n = 0;
  for (size_t c = 0; c < classes; c++) {
    w->cut[c] = n;
    for (uint32_t r = w->begin[c]; r < w->begin[c + 1]; r++) {
      double x = w->x[r];
      w->x[n] = x;
      w->w[n] = w->w[r];
      n += fabs(x) < INFINITY;
    }
  }
  w->cut[classes] = n;
}

/* What is there of a number, class by class, into x (and w): the largest absolute value.
 */
static double gather(struct rfl_state *s, const struct bayes_feature *f,
                     const struct chunk *k) {
  struct bayes_work *w = &s->work;
  size_t classes = s->design->n_classes, n = w->begin[classes];
  const double *from = k->block->dense[f->column] + k->from;
  for (size_t r = 0; r < n; r++) w->x[r] = from[w->order[r]];
  for (size_t r = 0; k->weight && r < n; r++) w->w[r] = k->weight[w->order[r]];
  bool all;
  double most = largest(w->x, n, &all);
  if (all) {
    memcpy(w->cut, w->begin, (classes + 1) * sizeof *w->cut);
    return most;
  }
  drop_missing(w, classes);
  return largest(w->x, w->cut[classes], &all);
}

static double sum_of(const double *x, size_t n) {
  double lane[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t j = 0; j < LANES; j++) lane[j] += x[i + j];
  for (; i < n; i++) sum += x[i];
  for (size_t j = 0; j < LANES; j++) sum += lane[j];
  return sum;
}

static double sum_of_products(const double *x, const double *w, size_t n) {
  double lane[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t j = 0; j < LANES; j++) lane[j] += w[i + j] * x[i + j];
  for (; i < n; i++) sum += w[i] * x[i];
  for (size_t j = 0; j < LANES; j++) sum += lane[j];
  return sum;
}

/* Of rows that weigh 1, about `about`: the sum, and that of squares. */
static double squares_about(const double *x, size_t n, double about, double *off) {
  double sum[LANES] = {0}, square[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t j = 0; j < LANES; j++) {
      double d = x[i + j] - about;
      sum[j] += d;
      square[j] += d * d;
    }
  for (; i < n; i++) {
    double d = x[i] - about;
    sum[0] += d;
    square[0] += d * d;
  }
  for (size_t j = 1; j < LANES; j++) {
    sum[0] += sum[j];
    square[0] += square[j];
  }
  *off = sum[0];
  return square[0];
}

/* Two passes, and the rounding of the mean put right (Chan, Golub & LeVeque 1983, eq.
 * 1.7). */
static struct bayes_moments moments(double *x, const double *w, size_t n) {
  double weight = w ? sum_of(w, n) : (double)n, off = 0, m2 = 0;
  if (!(weight > 0)) return (struct bayes_moments){0};
  double mean = (w ? sum_of_products(x, w, n) : sum_of(x, n)) / weight;
  if (w) {
    for (size_t i = 0; i < n; i++) x[i] -= mean;
    off = sum_of_products(x, w, n);
    for (size_t i = 0; i < n; i++) x[i] *= sqrt(w[i]);
    m2 = sum_of_products(x, x, n);
  } else {
    m2 = squares_about(x, n, mean, &off);
  }
  m2 -= off * (off / weight);
  return (struct bayes_moments){weight, mean, m2 > 0 ? m2 : 0};
}

static int32_t scale_of(double most) {
  if (!(most > 0)) return BAYES_LOWEST_SCALE;
  int32_t steps = (ilogb(most) + 8 * BAYES_STEP + BAYES_STEP / 2) / BAYES_STEP - 8;
  int32_t scale = steps * BAYES_STEP, highest = -BAYES_LOWEST_SCALE;
  return scale < BAYES_LOWEST_SCALE ? BAYES_LOWEST_SCALE
         : scale > highest          ? highest
                                    : scale;
}

static void add_gaussian(struct rfl_state *s, size_t k, const struct chunk *chunk) {
  struct bayes_work *w = &s->work;
  double most = gather(s, &s->design->feature[k], chunk);
  size_t n = w->cut[s->design->n_classes];
  if (!n) return;
  bayes_raise_scale(s, k, scale_of(most));
  double unit = ldexp(1, -s->scale[k]);
  for (size_t i = 0; unit != 1 && i < n; i++) w->x[i] *= unit;
  for (size_t c = 0; c < s->design->n_classes; c++) {
    size_t at = w->cut[c], rows = w->cut[c + 1] - at;
    if (!rows) continue;
    struct bayes_moments m = bayes_moments_of(s, k, c);
    bayes_moments_merge(&m, moments(w->x + at, chunk->weight ? w->w + at : NULL, rows));
    bayes_moments_put(s, k, c, m);
  }
}

static void add_number(struct rfl_state *s, const struct bayes_feature *f,
                       const struct chunk *chunk) {
  const struct bayes_work *w = &s->work;
  size_t classes = s->design->n_classes;
  (void)gather(s, f, chunk);
  double *weight = s->sum + f->sum, *total = weight + classes;
  for (size_t c = 0; c < classes; c++) {
    size_t at = w->cut[c], n = w->cut[c + 1] - at;
    weight[c] += chunk->weight ? sum_of(w->w + at, n) : (double)n;
    total[c] +=
        chunk->weight ? sum_of_products(w->x + at, w->w + at, n) : sum_of(w->x + at, n);
  }
}

/* The next coded feature from k on, or NULL. */
static const struct bayes_feature *next_coded(const struct bayes_design *d, size_t *k) {
  for (; *k < d->n_features; (*k)++)
    if (d->feature[*k].levels) return &d->feature[(*k)++];
  return NULL;
}

static void count_all(struct rfl_state *s, const struct chunk *chunk) {
  size_t k = 0;
  for (const struct bayes_feature *f; (f = next_coded(s->design, &k));)
    count_coded(s, f, next_coded(s->design, &k), chunk);
}

static void add_chunk(struct rfl_state *s, const struct chunk *chunk) {
  sort_rows(s, chunk);
  add_classes(s, chunk);
  if (!chunk->weight) count_all(s, chunk);
  for (size_t k = 0; k < s->design->n_features; k++) {
    const struct bayes_feature *f = &s->design->feature[k];
    if (f->levels) {
      if (chunk->weight) add_coded(s, f, chunk);
    } else if (f->kind == RFL_LIKE_GAUSSIAN) {
      add_gaussian(s, k, chunk);
    } else {
      add_number(s, f, chunk);
    }
  }
}

enum rfl_code bayes_absorb(struct rfl_state *s, const struct rfl_block *b,
                           struct rfl_err *err) {
  RFL_TRY(check_block(s, b, err));
  bayes_fade(s, bayes_power(s->keep, b->n));
  s->absorbed += b->n;
  for (size_t from = 0; from < b->n; from += BAYES_CHUNK) {
    struct chunk chunk = {.block = b, .from = from};
    chunk.n = b->n - from < BAYES_CHUNK ? b->n - from : BAYES_CHUNK;
    chunk.weight = weigh(s, b, from, chunk.n);
    add_chunk(s, &chunk);
  }
  bool counted = !b->weight && s->keep == 1;
  for (size_t k = 0; counted && k < s->design->n_features; k++)
    if (s->design->feature[k].levels) flush_tally(s, b, &s->design->feature[k]);
  return RFL_OK;
}
