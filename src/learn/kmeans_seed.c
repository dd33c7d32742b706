/* After a pass of a run that is being seeded.
 *
 * k-means++: one centre a pass, drawn by the squared distances to those there are. When
 * all rows lie on centres there are no more distinct rows, and the run goes on with the
 * fewer.
 *
 * k-means||: one row, then ROUNDS times about 2 k rows at once by the same weights, then
 * the weights of these candidates (rows nearest to each), and k-means++ among them, in
 * memory. Should they be fewer than k, the rest is drawn as k-means++ does. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "learn/kmeans_parts.h"

enum { ROUNDS = 5 };

uint64_t km_seed(const struct km_setup *setup, int32_t run) {
  return rfl_hash_i64(setup->seed, run);
}

static void add_centre(const struct km_setup *setup, struct km_run *run,
                       const double *x) {
  size_t stride = setup->stride;
  memcpy(run->centre + stride * (size_t)run->n, x, stride * sizeof *x);
  run->n++;
}

static enum rfl_code add_points(const struct km_setup *setup, struct km_run *run,
                                const double *x, size_t n, struct rfl_err *err) {
  size_t stride = setup->stride;
  if (!n) return RFL_OK;
  double *more = rfl_grow(run->points, (run->n_points + n) * stride, sizeof *more);
  if (!more) return rfl_no_memory(err);
  memcpy(more + run->n_points * stride, x, n * stride * sizeof *x);
  run->points = more;
  run->n_points += n;
  return RFL_OK;
}

static enum rfl_code picked(const struct rfl_state *s, struct km_iterate *it, int32_t r,
                            struct rfl_err *err) {
  const struct km_setup *setup = s->setup;
  struct km_run *run = &it->run[r];
  const double *x = s->sums.pick + setup->stride * (size_t)r;
  bool found = s->sums.key[r] < INFINITY;
  run->step++;
  if (found && setup->parallel && !run->n && !run->n_points) {
    km_begin(it, run, KM_COVER);
    return add_points(setup, run, x, 1, err);
  }
  if (found) add_centre(setup, run, x);
  if (!found || run->n == setup->k) km_begin(it, run, KM_LLOYD);
  return RFL_OK;
}

/* The nearest of the centres so far that the candidate has; k-means++ draws by it. */
static double draw_weights(const struct km_setup *setup, const struct km_run *run,
                           const double *weight, double *square, double *share) {
  size_t stride = setup->stride;
  double sum = 0;
  for (size_t p = 0; p < run->n_points; p++) {
    if (run->n) {
      const double *last = run->centre + stride * (size_t)(run->n - 1);
      double s = km_square(run->points + p * stride, last, stride);
      if (run->n == 1 || s < square[p]) square[p] = s;
    }
    share[p] = weight[p] * (run->n ? square[p] : 1);
    sum += share[p];
  }
  return sum;
}

static enum rfl_code choose_among(const struct rfl_state *s, struct km_run *run,
                                  int32_t r, struct rfl_err *err) {
  const struct km_setup *setup = s->setup;
  size_t n = run->n_points;
  double *square = rfl_alloc(n, sizeof *square), *share = rfl_alloc(n, sizeof *share);
  enum rfl_code code = square && share ? RFL_OK : rfl_no_memory(err);
  uint64_t seed = rfl_hash_i64(km_seed(setup, r), -1);
  while (!code && run->n < setup->k) {
    double sum = draw_weights(setup, run, s->sums.tally[r], square, share), so_far = 0;
    if (!(sum > 0)) break;
    double at = sum * rfl_uniform(seed, (uint64_t)run->n, 0);
    size_t chosen = 0;
    for (size_t p = 0; p < n; p++) {
      if (!(share[p] > 0)) continue;
      chosen = p;
      so_far += share[p];
      if (so_far > at) break;
    }
    add_centre(setup, run, run->points + chosen * setup->stride);
  }
  rfl_free(square);
  rfl_free(share);
  return code;
}

static enum rfl_code tallied(const struct rfl_state *s, struct km_iterate *it, int32_t r,
                             struct rfl_err *err) {
  struct km_run *run = &it->run[r];
  RFL_TRY(choose_among(s, run, r, err));
  rfl_free(run->points);
  run->points = NULL;
  run->n_points = 0;
  km_begin(it, run, KM_PICK);
  if (run->n == s->setup->k) km_begin(it, run, KM_LLOYD);
  return RFL_OK;
}

enum rfl_code km_seeded(struct rfl_state *s, struct km_iterate *it, int32_t r,
                        struct rfl_err *err) {
  struct km_run *run = &it->run[r];
  const struct km_list *list = &s->sums.list[r];
  switch (run->phase) {
    case KM_COVER:
      run->potential = s->sums.potential[r];
      run->phase = run->potential > 0 && run->step <= ROUNDS ? KM_SPRAY : KM_TALLY;
      return RFL_OK;
    case KM_SPRAY:
      run->step++;
      run->phase = KM_COVER;
      return add_points(s->setup, run, list->x, list->n, err);
    case KM_TALLY:
      return tallied(s, it, r, err);
    default:
      return picked(s, it, r, err);
  }
}
