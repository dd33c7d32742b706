/* The end of a pass: the next iterate. What fails leaves the state as it was. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "learn/kmeans_parts.h"

/* ---- before there are runs ---- */

/* Multiplying by a power of two changes no digit, and brings the largest number below 1,
 * so that squares neither overflow nor vanish. One power for all coordinates, unless they
 * are scaled anyway. */
static int power_of(double low, double high) {
  int e = 0;
  double most = fmax(fabs(low), fabs(high));
  if (most > 0) (void)frexp(most, &e);
  return e < -1000 ? -1000 : e > 1000 ? 1000 : e;
}

static enum rfl_code scanned(const struct rfl_state *s, struct km_iterate *it,
                             struct rfl_err *err) {
  const struct km_sums *sums = &s->sums;
  size_t d = s->setup->d;
  if (!(sums->rows > 0))
    return rfl_fail(err, RFL_EDATA,
                    "No rows are left to fit: all have a missing value "
                    "or the weight 0.");
  if (!(sums->weight < INFINITY))
    return rfl_fail(err, RFL_EDATA, "The sum of the weights is infinite.");
  double low = 0, high = 0;
  for (size_t j = 0; j < d; j++) {
    low = fmin(low, sums->low[j]);
    high = fmax(high, sums->high[j]);
  }
  for (size_t j = 0; j < d; j++) {
    it->constant[j] = !(sums->low[j] < sums->high[j]);
    int e = s->setup->scale ? power_of(sums->low[j], sums->high[j]) : power_of(low, high);
    it->multiplier[j] = ldexp(1, -e);
    if (it->constant[j]) it->mean[j] = sums->low[j] * it->multiplier[j];
  }
  it->rows = sums->rows;
  it->zero = sums->zero;
  it->sum_weight = sums->weight;
  it->stage = KM_SPREAD;
  return RFL_OK;
}

static void set_scale(const struct km_setup *setup, struct km_iterate *it) {
  double n = it->rows;
  for (size_t j = 0; j < setup->d; j++) {
    if (it->constant[j]) it->m2[j] = 0;
    if (!setup->scale) continue;
    double variance = n > 1 ? it->m2[j] / it->sum_weight * (n / (n - 1)) : 0;
    it->inverse[j] = variance > 0 ? 1 / sqrt(variance) : 0;
    it->shift[j] = it->mean[j];
    it->m2[j] *= it->inverse[j] * it->inverse[j];
    it->mean[j] = 0;
  }
}

static void take_start(const struct km_setup *setup, const struct km_iterate *it,
                       struct km_run *run) {
  size_t k = (size_t)setup->k;
  for (size_t c = 0; c < k; c++)
    for (size_t j = 0; j < setup->d; j++)
      run->centre[c * setup->stride + j] =
          (setup->start[c + j * k] * it->multiplier[j] - it->shift[j]) * it->inverse[j];
  run->n = setup->k;
}

static void spread_out(const struct rfl_state *s, struct km_iterate *it) {
  const struct km_setup *setup = s->setup;
  for (size_t j = 0; j < setup->d; j++)
    if (!it->constant[j]) it->mean[j] = s->sums.mean[j];
  memcpy(it->m2, s->sums.m2, setup->d * sizeof *it->m2);
  set_scale(setup, it);
  it->stage = setup->start ? KM_FULL : KM_SAMPLE;
  double share = setup->sample > 0 ? setup->sample / it->rows : 1;
  it->share = !setup->start && share < 1 ? share : 1;
  for (int32_t r = 0; r < it->n_runs; r++) {
    if (setup->start) take_start(setup, it, &it->run[r]);
    km_begin(it, &it->run[r], setup->start ? KM_LLOYD : KM_PICK);
    it->run[r].polished = !setup->start && !(it->share < 1) && km_few(it);
  }
}

/* ---- Lloyd ---- */

/* The centres go to the means of their rows; false when none moved. */
static bool move(const struct rfl_state *s, struct km_run *run, size_t r, bool *empty) {
  const struct km_setup *setup = s->setup;
  size_t stride = setup->stride, k = (size_t)setup->k;
  double farthest = 0;
  bool moved = false;
  for (size_t c = 0; c < (size_t)run->n; c++) {
    double weight = s->sums.at[r * k + c], *at = run->centre + c * stride;
    const double *sum = s->sums.sum + (r * k + c) * stride;
    run->weight[c] = weight;
    run->empty[c] = !(weight > 0);
    *empty |= run->empty[c];
    if (run->empty[c]) continue;
    double square = 0;
    for (size_t j = 0; j < setup->d; j++) {
      double to = sum[j] / weight, step = to - at[j];
      square += step * step;
      moved |= to < at[j] || to > at[j];
      at[j] = to;
    }
    double way = sqrt(square) * (1 + km_gamma(setup->d));
    run->moved[c] += way;
    if (way > farthest) farthest = way;
  }
  run->drift += farthest;
  return moved;
}

/* The heaviest cluster first; of equal ones by their coordinates. */
static int before(const struct km_run *run, size_t stride, size_t a, size_t b) {
  double x = run->weight[a], y = run->weight[b];
  if (x > y || x < y) return x > y ? -1 : 1;
  for (size_t j = 0; j < stride; j++) {
    x = run->centre[a * stride + j];
    y = run->centre[b * stride + j];
    if (x < y || x > y) return x < y ? -1 : 1;
  }
  return 0;
}

static void swap(struct km_run *run, size_t stride, size_t a, size_t b) {
  for (size_t j = 0; j < stride; j++) {
    double x = run->centre[a * stride + j];
    run->centre[a * stride + j] = run->centre[b * stride + j];
    run->centre[b * stride + j] = x;
  }
  double w = run->weight[a];
  run->weight[a] = run->weight[b];
  run->weight[b] = w;
}

static void sort(struct km_run *run, size_t stride) {
  for (size_t i = 0; i < (size_t)run->n; i++) {
    size_t first = i;
    for (size_t c = i + 1; c < (size_t)run->n; c++)
      if (before(run, stride, c, first) < 0) first = c;
    if (first != i) swap(run, stride, i, first);
  }
}

static void begin_measure(const struct km_setup *setup, struct km_iterate *it,
                          struct km_run *run) {
  memset(run->empty, 0, (size_t)setup->k);
  bool sorts = it->stage == KM_FULL && !setup->start;
  if (!sorts) {
    run->phase = KM_MEASURE;
    return;
  }
  sort(run, setup->stride);
  km_begin(it, run, KM_MEASURE);
}

static void moved(const struct rfl_state *s, struct km_iterate *it, int32_t r) {
  struct km_run *run = &it->run[r];
  bool empty = false, moves = move(s, run, (size_t)r, &empty);
  run->restless = s->sums.changed[r] / (it->rows * it->share);
  run->converged = !moves && !empty;
  if (!run->converged) run->iterations++;
  if (run->converged && run->polished)
    run->phase = KM_NUDGE;
  else if (run->converged || run->iterations >= s->setup->max_iter)
    begin_measure(s->setup, it, run);
  else if (empty)
    run->phase = KM_FAR;
}

/* Without the centres that have no rows: all rows lie on the others. */
static void drop_empty(const struct km_setup *setup, struct km_iterate *it,
                       struct km_run *run) {
  size_t stride = setup->stride, n = 0;
  for (size_t c = 0; c < (size_t)run->n; c++) {
    if (run->empty[c]) continue;
    memmove(run->centre + n * stride, run->centre + c * stride, stride * sizeof(double));
    run->empty[n++] = 0;
  }
  run->n = (int32_t)n;
  km_begin(it, run, KM_LLOYD);
}

static void placed(const struct rfl_state *s, struct km_iterate *it, int32_t r) {
  struct km_run *run = &it->run[r];
  size_t stride = s->setup->stride, c = 0, left = 0;
  if (!(s->sums.key[r] < 0)) {
    drop_empty(s->setup, it, run);
    return;
  }
  while (!run->empty[c]) c++;
  const double *to = s->sums.pick + stride * (size_t)r;
  double way = sqrt(km_square(run->centre + c * stride, to, stride));
  way *= 1 + km_gamma(s->setup->d);
  memcpy(run->centre + c * stride, to, stride * sizeof *to);
  run->moved[c] += way;
  run->drift += way;
  run->empty[c] = 0;
  run->reseeded++;
  for (size_t i = 0; i < (size_t)run->n; i++) left += run->empty[i];
  run->phase = left ? KM_FAR : KM_LLOYD;
}

static void measured(const struct rfl_state *s, struct km_run *run, size_t r) {
  size_t k = (size_t)s->setup->k;
  memcpy(run->weight, s->sums.at + r * k, k * sizeof(double));
  memcpy(run->count, s->sums.count + r * k, k * sizeof(double));
  memcpy(run->within, s->sums.within + r * k, k * sizeof(double));
  run->phase = KM_DONE;
}

/* ---- stages ---- */

/* The best run becomes the only one. */
static void choose(const struct rfl_state *s, struct km_iterate *it) {
  int32_t best = km_best(it);
  struct km_run first = it->run[0];
  it->run[0] = it->run[best];
  it->run[best] = first;
  km_iterate_only_first(it);
  struct km_run *run = &it->run[0];
  it->stage = KM_FULL;
  if (!(it->share < 1)) {
    begin_measure(s->setup, it, run);
    return;
  }
  run->iterations = 0;
  km_begin(it, run, run->n < s->setup->k ? KM_PICK : KM_LLOYD);
}

static enum rfl_code step(struct rfl_state *s, struct km_iterate *it,
                          struct rfl_err *err) {
  bool done = true;
  for (int32_t r = 0; r < it->n_runs; r++) {
    struct km_run *run = &it->run[r];
    if (run->phase < KM_LLOYD)
      RFL_TRY(km_seeded(s, it, r, err));
    else if (run->phase == KM_LLOYD)
      moved(s, it, r);
    else if (run->phase == KM_FAR)
      placed(s, it, r);
    else if (run->phase == KM_MEASURE)
      measured(s, run, (size_t)r);
    else if (run->phase == KM_NUDGE && !km_nudged(s, it, r))
      begin_measure(s->setup, it, run);
    done &= run->phase == KM_DONE;
  }
  if (done && it->stage == KM_FULL) {
    it->stage = KM_READY;
    km_begin(it, &it->run[0], KM_MEASURE);
  } else if (done && !km_polish(s->setup, it)) {
    choose(s, it);
  }
  for (int32_t r = 0; r < it->n_runs; r++)
    if (it->run[r].phase != KM_DONE) RFL_TRY(km_run_ready(s->setup, &it->run[r], err));
  return RFL_OK;
}

static enum rfl_code advance(struct rfl_state *s, struct km_iterate *it,
                             struct rfl_err *err) {
  it->passes++;
  if (it->stage == KM_SCAN) return scanned(s, it, err);
  if (it->stage == KM_SAMPLE || it->stage == KM_FULL) return step(s, it, err);
  spread_out(s, it);
  for (int32_t r = 0; r < it->n_runs; r++)
    RFL_TRY(km_run_ready(s->setup, &it->run[r], err));
  return RFL_OK;
}

/* The state goes on from `next`, with empty sums. */
static enum rfl_code go_on(struct rfl_state *s, struct km_iterate *takes,
                           struct rfl_err *err) {
  struct km_iterate *old = s->it;
  s->it = takes;
  enum rfl_code code = km_sums_need(s, err);
  if (code) {
    s->it = old;
    km_iterate_release(takes);
    return code;
  }
  if (s->store && takes->stage == KM_FULL && old->stage == KM_SAMPLE && takes->share < 1)
    km_store_empty(s->store, s->setup->memory);
  if (s->store && takes->stage == KM_READY) km_store_empty(s->store, 0);
  km_iterate_release(old);
  km_sums_clear(s);
  return RFL_OK;
}

enum rfl_code km_settle(struct rfl_state *s, bool *again, struct rfl_err *err) {
  if (s->it->stage == KM_READY) {
    s->learnt = s->sums.any;
    *again = false;
    return RFL_OK;
  }
  struct km_iterate *next = NULL;
  RFL_TRY(km_iterate_copy(s->setup, s->it, &next, err));
  enum rfl_code code = advance(s, next, err);
  if (code) {
    km_iterate_release(next);
    return code;
  }
  RFL_TRY(go_on(s, next, err));
  *again = s->it->stage != KM_READY;
  return RFL_OK;
}

/* ---- blocks ---- */

static void forget_and_learn(const struct rfl_state *s, struct km_iterate *it,
                             double keep) {
  const struct km_sums *sums = &s->sums;
  size_t stride = s->setup->stride, d = s->setup->d;
  struct km_run *run = &it->run[0];
  for (size_t c = 0; c < (size_t)run->n; c++) {
    double m = sums->at[c], n = run->weight[c] * keep;
    run->weight[c] = n + m;
    run->within[c] = run->within[c] * keep + sums->within[c];
    run->count[c] += sums->count[c];
    for (size_t j = 0; m > 0 && j < d; j++) {
      double *at = &run->centre[c * stride + j];
      *at = *at * (n / (n + m)) + sums->sum[c * stride + j] / (n + m);
    }
  }
  for (size_t j = 0; j < d; j++) it->m2[j] *= keep;
  struct km_moments all = {it->sum_weight * keep, it->mean, it->m2};
  km_moments_join(&all, &(struct km_moments){sums->weight, sums->mean, sums->m2}, d);
  it->sum_weight = all.weight;
  it->rows += sums->rows;
  it->zero += sums->zero;
}

/* A cluster that next to nothing is left of takes half of the heaviest one: both go a
 * mean radius away from where that was, in opposite directions. Spark's StreamingKMeans
 * does the same at 1e-8, with an invisible distance. */
static void split(const struct rfl_state *s, struct km_iterate *it, size_t from,
                  size_t to) {
  struct km_run *run = &it->run[0];
  size_t stride = s->setup->stride, d = s->setup->d;
  double *a = run->centre + from * stride, *b = run->centre + to * stride;
  double radius = sqrt(run->within[from] / run->weight[from]), longest = 1, length = 0;
  uint64_t seed = km_seed(s->setup, -2), key = (uint64_t)it->run[0].reseeded;
  for (size_t j = 0; j < d; j++) {
    b[j] = rfl_normal(seed, key, j);
    length += b[j] * b[j];
    longest = fmax(longest, fabs(a[j]));
  }
  radius = fmax(radius, 0x1p-40 * longest) / sqrt(length);
  for (size_t j = 0; j < d; j++) {
    double step = b[j] * radius;
    b[j] = a[j] - step;
    a[j] += step;
  }
  double weight = (run->weight[from] + run->weight[to]) / 2;
  run->weight[from] = run->weight[to] = weight;
  run->within[from] = run->within[to] = run->within[from] / 2;
  run->reseeded++;
}

static void revive(const struct rfl_state *s, struct km_iterate *it) {
  const struct km_run *run = &it->run[0];
  for (int32_t i = 0; i < run->n; i++) {
    size_t least = 0, most = 0;
    for (size_t c = 0; c < (size_t)run->n; c++) {
      if (run->weight[c] < run->weight[least]) least = c;
      if (run->weight[c] > run->weight[most]) most = c;
    }
    if (!(run->weight[least] < 1e-8 * run->weight[most])) return;
    split(s, it, most, least);
  }
}

enum rfl_code km_renew(struct rfl_state *s, double keep, struct rfl_err *err) {
  if (s->it->stage != KM_READY)
    return rfl_fail(err, RFL_EMODEL, "The fit has not ended: it cannot learn blocks.");
  struct km_iterate *next = NULL;
  RFL_TRY(km_iterate_copy(s->setup, s->it, &next, err));
  forget_and_learn(s, next, keep);
  revive(s, next);
  next->version += s->sums.any;
  enum rfl_code code = km_run_ready(s->setup, &next->run[0], err);
  if (code) {
    km_iterate_release(next);
    return code;
  }
  RFL_TRY(go_on(s, next, err));
  s->learnt = false;
  return RFL_OK;
}
