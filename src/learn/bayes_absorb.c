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
    if (!(b->y[i] >= 0 && b->y[i] < classes && b->y[i] == trunc(b->y[i])))
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

static void sort_rows(struct rfl_state *s, const struct chunk *k) {
  struct bayes_work *w = &s->work;
  size_t classes = s->design->n_classes;
  const double *y = k->block->y + k->from;
  uint32_t *begin = w->begin;
  memset(begin, 0, (classes + 1) * sizeof *begin);
  for (size_t i = 0; i < k->n; i++) {
    w->class_of[i] = (int32_t)y[i];
    begin[w->class_of[i]] += !k->weight || k->weight[i] > 0;
  }
  for (size_t c = 0, sum = 0; c <= classes; c++) {
    sum += begin[c];
    begin[c] = (uint32_t)sum; /* the end of class c: filled from behind */
  }
  for (size_t i = k->n; i-- > 0;)
    if (!k->weight || k->weight[i] > 0) w->order[--begin[w->class_of[i]]] = (uint32_t)i;
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
  if (k->weight) {
    double *sum = s->sum + f->sum;
    for (size_t i = 0; i < k->n; i++)
      sum[(size_t)(code[i] + BAYES_LEVELS) * classes + (size_t)class_of[i]] +=
          k->weight[i];
    return;
  }
  uint32_t *tally = s->work.tally + f->tally;
  for (size_t i = 0; i < k->n; i++)
    tally[(size_t)(code[i] + BAYES_LEVELS) * classes + (size_t)class_of[i]]++;
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

/* What is there of a number, class by class, into x (and w): the largest absolute value.
 */
static double gather(struct rfl_state *s, const struct bayes_feature *f,
                     const struct chunk *k) {
  struct bayes_work *w = &s->work;
  const double *from = k->block->dense[f->column] + k->from;
  double most = 0;
  uint32_t n = 0;
  for (size_t c = 0; c < s->design->n_classes; c++) {
    w->cut[c] = n;
    for (uint32_t r = w->begin[c]; r < w->begin[c + 1]; r++) {
      double x = from[w->order[r]], size = fabs(x);
      w->x[n] = x;
      if (k->weight) w->w[n] = k->weight[w->order[r]];
      bool there = size < INFINITY;
      most = there && size > most ? size : most;
      n += there;
    }
  }
  w->cut[s->design->n_classes] = n;
  return most;
}

enum { LANES = 8 };

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

/* Two passes, and the rounding of the mean put right (Chan, Golub & LeVeque 1983, eq.
 * 1.7). */
static struct bayes_moments moments(double *x, const double *w, size_t n) {
  double weight = w ? sum_of(w, n) : (double)n, off = 0, m2 = 0;
  if (!(weight > 0)) return (struct bayes_moments){0};
  double mean = (w ? sum_of_products(x, w, n) : sum_of(x, n)) / weight;
  for (size_t i = 0; i < n; i++) x[i] -= mean;
  off = w ? sum_of_products(x, w, n) : sum_of(x, n);
  if (w)
    for (size_t i = 0; i < n; i++) x[i] *= sqrt(w[i]);
  m2 = sum_of_products(x, x, n) - off * (off / weight);
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

static void add_chunk(struct rfl_state *s, const struct chunk *chunk) {
  sort_rows(s, chunk);
  add_classes(s, chunk);
  for (size_t k = 0; k < s->design->n_features; k++) {
    const struct bayes_feature *f = &s->design->feature[k];
    if (f->levels)
      add_coded(s, f, chunk);
    else if (f->kind == RFL_LIKE_GAUSSIAN)
      add_gaussian(s, k, chunk);
    else
      add_number(s, f, chunk);
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
