/* One block of rows in one pass: what each run's phase wants of it. Everything is summed
 * over the block first and then added, so that a block absorbed directly and one that
 * comes by way of a part give the same bits. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "learn/kmeans_parts.h"

void km_moments_join(struct km_moments *to, const struct km_moments *from, size_t d) {
  double sum = to->weight + from->weight;
  if (!(from->weight > 0)) return;
  for (size_t j = 0; j < d; j++) {
    double delta = from->mean[j] - to->mean[j];
    to->m2[j] += from->m2[j] + delta * delta * to->weight * (from->weight / sum);
    to->mean[j] += delta * (from->weight / sum);
  }
  to->weight = sum;
}

/* ---- before there are coordinates ---- */

static void count_rows(struct km_sums *s, const struct rfl_block *b) {
  double rows = 0, zero = 0;
  for (size_t i = 0; i < b->n; i++) {
    bool counts = !b->weight || b->weight[i] > 0;
    rows += counts;
    zero += !counts;
  }
  s->rows += rows;
  s->zero += zero;
}

static enum rfl_code scan(struct rfl_state *state, const struct rfl_block *b,
                          const double **column, struct rfl_err *err) {
  struct km_sums *s = &state->sums;
  RFL_TRY(km_columns(state, b, column, err));
  count_rows(s, b);
  double weight = 0;
  for (size_t i = 0; i < b->n; i++) weight += b->weight ? b->weight[i] : 1;
  s->weight += weight;
  for (size_t j = 0; j < state->setup->d; j++)
    for (size_t i = 0; i < b->n; i++) {
      if (b->weight && !(b->weight[i] > 0)) continue;
      if (column[j][i] < s->low[j]) s->low[j] = column[j][i];
      if (column[j][i] > s->high[j]) s->high[j] = column[j][i];
    }
  return RFL_OK;
}

/* Means and squares about them, of the rows of a cell. `room`: 2 d numbers. */
static void spread(struct rfl_state *state, const struct km_cell *c, double *room) {
  size_t d = state->setup->d, stride = state->setup->stride;
  struct km_moments of = {.mean = room, .m2 = room + d};
  memset(room, 0, 2 * d * sizeof *room);
  for (size_t i = 0; i < c->n; i++) of.weight += c->w ? c->w[i] : 1;
  for (size_t i = 0; i < c->n; i++)
    for (size_t j = 0; j < d; j++)
      of.mean[j] += (c->w ? c->w[i] / of.weight : 1 / of.weight) * c->x[i * stride + j];
  for (size_t i = 0; i < c->n; i++)
    for (size_t j = 0; j < d; j++) {
      double e = c->x[i * stride + j] - of.mean[j];
      of.m2[j] += (c->w ? c->w[i] : 1) * e * e;
    }
  struct km_moments sum = {state->sums.weight, state->sums.mean, state->sums.m2};
  km_moments_join(&sum, &of, d);
  state->sums.weight = sum.weight;
}

/* ---- seeding ---- */

/* The trace's `upper` becomes each row's squared distance to the nearest of the points.
 */
static void cover(const struct km_setup *setup, const struct km_run *run,
                  const struct km_cell *c, struct km_trace *t) {
  bool pick = run->phase == KM_PICK;
  const double *points = pick ? run->centre : run->points;
  size_t n = pick ? (size_t)run->n : run->n_points, stride = setup->stride;
  if (t->epoch != run->epoch) {
    for (size_t i = 0; i < c->n; i++) t->upper[i] = INFINITY;
    t->steps = 0;
    t->epoch = run->epoch;
  }
  for (; t->steps < n; t->steps++) {
    const double *point = points + t->steps * stride;
    for (size_t i = 0; i < c->n; i++) {
      double square = km_square(c->x + i * stride, point, stride);
      if (square < t->upper[i]) t->upper[i] = square;
    }
  }
}

static double share_of(const struct km_cell *c, const struct km_trace *t, size_t i) {
  return (c->w ? c->w[i] : 1) * (t->steps ? t->upper[i] : 1);
}

static void put_pick(struct rfl_state *s, int32_t run, const struct km_cell *c, size_t i,
                     double key) {
  size_t r = (size_t)run, stride = s->setup->stride;
  double number = (double)(c->first + c->index[i]);
  struct km_sums *sums = &s->sums;
  if (!(key < sums->key[r]) && !(key == sums->key[r] && number < sums->number[r])) return;
  sums->key[r] = key;
  sums->number[r] = number;
  sums->heft[r] = c->w ? c->w[i] : 1;
  memcpy(sums->pick + r * stride, c->x + i * stride, stride * sizeof(double));
}

/* One row with probability in proportion to its share: blocks race (the first of
 * exponential times with their shares as rates), and the winner's row is drawn by its
 * cumulative shares. So the draw is a minimum, and merges in any order. */
static void pick(struct rfl_state *s, int32_t r, const struct km_cell *c,
                 const struct km_trace *t) {
  double sum = 0, so_far = 0;
  for (size_t i = 0; i < c->n; i++) sum += share_of(c, t, i);
  s->sums.potential[r] += sum;
  if (!(sum > 0) || s->it->run[r].phase != KM_PICK) return;
  uint64_t seed = km_seed(s->setup, r), step = (uint64_t)s->it->run[r].step;
  double time = -log1p(-rfl_uniform(seed, c->first, 2 * step)) / sum;
  double at = sum * rfl_uniform(seed, c->first, 2 * step + 1);
  size_t chosen = 0;
  for (size_t i = 0; i < c->n; i++) {
    double share = share_of(c, t, i);
    if (!(share > 0)) continue;
    chosen = i;
    so_far += share;
    if (so_far > at) break;
  }
  put_pick(s, r, c, chosen, time);
}

/* Each row by itself, 2 k of them on average. */
static void spray(struct rfl_state *s, int32_t r, const struct km_cell *c,
                  const struct km_trace *t) {
  const struct km_run *run = &s->it->run[r];
  struct km_list *list = &s->sums.list[r];
  size_t stride = s->setup->stride;
  uint64_t seed = km_seed(s->setup, r), step = ((uint64_t)1 << 32) + (uint64_t)run->step;
  double rate = 2 * (double)s->setup->k / run->potential;
  for (size_t i = 0; i < c->n; i++) {
    if (!(rfl_uniform(seed, c->first + c->index[i], step) < rate * share_of(c, t, i)))
      continue;
    memcpy(list->x + list->n++ * stride, c->x + i * stride, stride * sizeof(double));
  }
}

static void tally(struct rfl_state *s, int32_t r, const struct km_cell *c) {
  const struct km_run *run = &s->it->run[r];
  struct km_near near[KM_TILE];
  uint32_t row[KM_TILE];
  double *sum = s->column;
  memset(sum, 0, run->n_points * sizeof *sum);
  for (size_t from = 0; from < c->n; from += KM_TILE) {
    size_t m = c->n - from < KM_TILE ? c->n - from : KM_TILE;
    for (size_t i = 0; i < m; i++) row[i] = (uint32_t)(from + i);
    km_near_tile(s->setup, &run->field, c, row, m, near);
    for (size_t i = 0; i < m; i++) sum[near[i].label] += c->w ? c->w[from + i] : 1;
  }
  for (size_t p = 0; p < run->n_points; p++) s->sums.tally[r][p] += sum[p];
}

/* ---- Lloyd ---- */

static void lloyd(struct rfl_state *s, int32_t run, const struct km_cell *c,
                  struct km_trace *t) {
  const struct km_setup *setup = s->setup;
  const struct km_run *at = &s->it->run[run];
  size_t n = (size_t)at->n, r = (size_t)run, k = (size_t)setup->k;
  s->sums.changed[r] += (double)km_assign(setup, at, c, t);
  double *sum = s->sums.sum + r * k * setup->stride;
  for (size_t i = 0; i < n * setup->stride; i++) sum[i] += t->sum[i];
  for (size_t i = 0; i < n; i++) s->sums.at[r * k + i] += t->weight[i];
}

static void farthest(struct rfl_state *s, int32_t r, const struct km_cell *c) {
  const struct km_run *run = &s->it->run[r];
  size_t stride = s->setup->stride, at = 0;
  double most = 0;
  for (size_t i = 0; i < c->n; i++) {
    double square;
    (void)km_nearest(c->x + i * stride, &run->field, stride, &square);
    square *= c->w ? c->w[i] : 1;
    if (!(square > most)) continue;
    most = square;
    at = i;
  }
  if (most > 0) put_pick(s, r, c, at, -most);
}

/* The row that gains most by going to another cluster, both centres then moving
 * (Hartigan & Wong 1979, AS 136). Rows far from any border are passed over by their
 * bounds. */
static void nudge(struct rfl_state *s, int32_t r, const struct km_cell *c,
                  struct km_trace *t) {
  const struct km_run *run = &s->it->run[r];
  size_t stride = s->setup->stride, n = (size_t)run->n;
  double least = INFINITY, most = 0;
  (void)km_assign(s->setup, run, c, t);
  for (size_t b = 0; b < n; b++) least = fmin(least, run->weight[b]);
  for (size_t i = 0; i < c->n; i++) {
    const double *x = c->x + i * stride;
    size_t a = (size_t)t->label[i];
    double w = c->w ? c->w[i] : 1, lower = t->lower[i] - run->drift, best = INFINITY;
    if (!(run->weight[a] > w)) continue;
    double loss = km_square(x, run->centre + a * stride, stride);
    loss *= run->weight[a] / (run->weight[a] - w);
    if (lower > 0 && lower * lower * (least / (least + w)) > loss * (1 + 0x1p-30))
      continue;
    for (size_t b = 0; b < n; b++)
      if (b != a)
        best = fmin(best, km_square(x, run->centre + b * stride, stride) *
                              (run->weight[b] / (run->weight[b] + w)));
    double gain = w * (loss - best);
    if (!(loss - best > 1e-10 * loss) || !(gain > most)) continue;
    most = gain;
    put_pick(s, r, c, i, -gain);
  }
}

static void measure(struct rfl_state *s, int32_t run, const struct km_cell *c,
                    struct km_trace *t) {
  size_t stride = s->setup->stride, k = (size_t)s->setup->k, r = (size_t)run;
  const struct km_run *at = &s->it->run[run];
  lloyd(s, run, c, t);
  memset(t->count, 0, k * sizeof *t->count);
  memset(t->within, 0, k * sizeof *t->within);
  for (size_t i = 0; i < c->n; i++) {
    size_t label = (size_t)t->label[i];
    double square = km_square(c->x + i * stride, at->centre + label * stride, stride);
    t->within[label] += (c->w ? c->w[i] : 1) * square;
    t->count[label]++;
  }
  for (size_t i = 0; i < k; i++) {
    s->sums.count[r * k + i] += t->count[i];
    s->sums.within[r * k + i] += t->within[i];
  }
}

/* ---- all of it ---- */

/* Whatever may fail, before anything is added. */
static enum rfl_code prepare(struct rfl_state *s, const struct km_cell *c,
                             struct rfl_err *err) {
  for (int32_t r = 0; r < s->it->n_runs; r++) {
    const struct km_run *run = &s->it->run[r];
    if (run->phase == KM_TALLY) RFL_TRY(km_scratch(s, run->n_points, err));
    if (run->phase == KM_SPRAY)
      RFL_TRY(km_list_reserve(&s->sums.list[r], c->n, s->setup->stride, err));
  }
  return RFL_OK;
}

static void one_run(struct rfl_state *s, int32_t r, const struct km_cell *c,
                    struct km_trace *t) {
  const struct km_run *run = &s->it->run[r];
  switch (run->phase) {
    case KM_PICK:
    case KM_COVER:
      cover(s->setup, run, c, t);
      pick(s, r, c, t);
      return;
    case KM_SPRAY:
      cover(s->setup, run, c, t);
      spray(s, r, c, t);
      return;
    case KM_TALLY:
      tally(s, r, c);
      return;
    case KM_LLOYD:
      lloyd(s, r, c, t);
      return;
    case KM_FAR:
      farthest(s, r, c);
      return;
    case KM_MEASURE:
      measure(s, r, c, t);
      return;
    case KM_NUDGE:
      nudge(s, r, c, t);
      return;
    case KM_DONE:
      return;
  }
}

/* Beyond this a square is no double. Rows of the fit are tamed; those that come later may
 * be out of all proportion. */
static enum rfl_code check_size(const struct rfl_state *s, const struct km_cell *c,
                                struct rfl_err *err) {
  for (size_t i = 0; s->it->stage == KM_READY && i < c->n; i++)
    if (!(c->norm[i] < 1e140))
      return rfl_fail(err, RFL_EDATA,
                      "Row %u of the block is 1e140 times farther away than any row of "
                      "the fit was.",
                      (unsigned)c->index[i] + 1);
  return RFL_OK;
}

enum rfl_code km_absorb(struct rfl_state *s, const struct rfl_block *b,
                        struct rfl_err *err) {
  struct km_cell *cell = NULL;
  enum km_stage stage = s->it->stage;
  /* A block that nobody renewed counts in full. */
  if (stage == KM_READY && s->learnt) RFL_TRY(km_renew(s, 1, err));
  double *room = rfl_alloc(2 * s->setup->d, sizeof *room);
  if (!room) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  if (stage == KM_SCAN) {
    const double **column = rfl_alloc(s->setup->d, sizeof(double *));
    code = column ? scan(s, b, column, err) : rfl_no_memory(err);
    rfl_free(column);
  } else {
    code = km_cell_get(s, b, &cell, err);
    if (!code) code = check_size(s, cell, err);
    if (!code) code = prepare(s, cell, err);
    bool spreads = !code && (stage == KM_SPREAD || stage == KM_READY);
    if (spreads) spread(s, cell, room);
    if (!code && stage == KM_READY) count_rows(&s->sums, b);
    for (int32_t r = 0; !code && stage > KM_SPREAD && r < s->it->n_runs; r++) {
      struct km_trace *t = &cell->trace[cell == s->cell ? 0 : r];
      if (cell == s->cell) t->epoch = 0;
      one_run(s, r, cell, t);
    }
  }
  rfl_free(room);
  if (!code && b->n) s->sums.any = true;
  return code;
}
