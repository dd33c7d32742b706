/* After the starts: what several of them found is made better, in two ways.
 *
 * Swaps: all runs but the best become copies of the best in which one centre was taken
 * out and another row drawn instead, as k-means++ would; Lloyd does the rest. This goes
 * on while a round finds something better. Which centre goes: the one that would be
 * missed least, the next, ... by turns with ones drawn at random. (Fraenti 2018,
 * "Efficiency of random swap clustering".)
 *
 * Nudges: Lloyd stops where every row is at its nearest centre. That one row at a border
 * could go over to the gain of all, because both centres then move, is seen only by
 * Hartigan & Wong's criterion. The row that gains most goes over, and Lloyd goes on. With
 * few rows every run is treated so, else only the best, and a sample not at all. */
#include <string.h>

#include "base/random.h"
#include "learn/kmeans_parts.h"

enum {
  MOST_ROUNDS = 10,
  FEW_ROUNDS = 2, /* with many rows, as then a round takes long */
  FEW_ROWS = 10000,
  MOST_NUDGES = 300
};

bool km_few(const struct km_iterate *it) { return it->rows * it->share <= FEW_ROWS; }

static double total_within(const struct km_run *run) {
  double sum = 0;
  for (int32_t c = 0; c < run->n; c++) sum += run->within[c];
  return sum;
}

int32_t km_best(const struct km_iterate *it) {
  int32_t best = 0;
  for (int32_t r = 1; r < it->n_runs; r++)
    if (total_within(&it->run[r]) < total_within(&it->run[best])) best = r;
  return best;
}

/* What a centre's rows would lose, roughly, if they went to the next one. */
static double missed(const struct km_run *run, size_t c) {
  return run->weight[c] * run->reach[c] * run->reach[c];
}

/* The centre that is missed `rank`-th least. */
static size_t least_missed(const struct km_run *run, size_t rank) {
  for (size_t c = 0; c < (size_t)run->n; c++) {
    size_t below = 0;
    for (size_t o = 0; o < (size_t)run->n; o++) {
      double a = missed(run, o), b = missed(run, c);
      below += a < b || (a <= b && o < c);
    }
    if (below == rank) return c;
  }
  return 0;
}

static void take_out(const struct km_setup *setup, struct km_run *run, size_t c) {
  size_t stride = setup->stride, last = (size_t)run->n - 1;
  memmove(run->centre + c * stride, run->centre + (c + 1) * stride,
          (last - c) * stride * sizeof(double));
  memmove(run->weight + c, run->weight + c + 1, (last - c) * sizeof(double));
  run->n--;
}

static void swap(const struct km_setup *setup, struct km_iterate *it, int32_t best) {
  const struct km_run *from = &it->run[best];
  size_t k = (size_t)from->n, rank = 0;
  for (int32_t r = 0; r < it->n_runs; r++) {
    struct km_run *run = &it->run[r];
    if (r == best) continue;
    uint64_t draw = rfl_random(km_seed(setup, r), (uint64_t)it->round, (uint64_t)1 << 40);
    size_t out = r % 2 ? draw % k : least_missed(from, rank++ % k);
    km_run_take(setup, from, run);
    take_out(setup, run, out);
    run->iterations = run->nudges = 0;
    km_begin(it, run, KM_PICK);
  }
}

bool km_polish(const struct km_setup *setup, struct km_iterate *it) {
  int32_t best = km_best(it);
  struct km_run *run = &it->run[best];
  int32_t most = km_few(it) ? MOST_ROUNDS : FEW_ROUNDS;
  if (run->n < 2 || run->n < setup->k) return false;
  /* While a round's own swaps are the best there are, another one may find more. */
  bool better = !it->round || run->round == it->round;
  if (it->n_runs > 1 && better && it->round < most) {
    it->round++;
    for (int32_t r = 0; r < it->n_runs; r++)
      if (r != best) it->run[r].round = it->round;
    swap(setup, it, best);
    return true;
  }
  if (run->polished || it->share < 1 || !run->converged) return false;
  run->polished = true;
  run->phase = KM_NUDGE;
  return true;
}

static void shift(const struct km_setup *setup, struct km_run *run, size_t c,
                  const double *x, double by) {
  double *at = run->centre + c * setup->stride, square = 0;
  for (size_t j = 0; j < setup->d; j++) {
    double step = (x[j] - at[j]) * by;
    at[j] += step;
    square += step * step;
  }
  /* Rounding may have moved it a little farther than `step` says. */
  double way = sqrt(square) * (1 + km_gamma(setup->d)) + 0x1p-50 * run->field.longest;
  run->moved[c] += way;
  run->drift += way;
}

bool km_nudged(const struct rfl_state *s, struct km_iterate *it, int32_t r) {
  const struct km_setup *setup = s->setup;
  struct km_run *run = &it->run[r];
  size_t stride = setup->stride, to = 0;
  const double *x = s->sums.pick + stride * (size_t)r;
  double w = s->sums.heft[r], best = INFINITY, square;
  if (!(s->sums.key[r] < 0) || run->nudges >= MOST_NUDGES) return false;
  size_t from = (size_t)km_nearest(x, &run->field, stride, &square);
  for (size_t b = 0; b < (size_t)run->n; b++) {
    double cost = km_square(x, run->centre + b * stride, stride) *
                  (run->weight[b] / (run->weight[b] + w));
    if (b == from || !(cost < best)) continue;
    best = cost;
    to = b;
  }
  if (!(run->weight[from] > w) || !(best < INFINITY)) return false;
  shift(setup, run, from, x, -w / (run->weight[from] - w));
  shift(setup, run, to, x, w / (run->weight[to] + w));
  run->nudges++;
  run->phase = KM_LLOYD;
  return true;
}
