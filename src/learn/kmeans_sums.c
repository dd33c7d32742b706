/* What a pass adds up: made, emptied, merged. */
#include <string.h>

#include "base/mem.h"
#include "learn/kmeans_parts.h"

void km_sums_release(struct km_sums *s) {
  for (int32_t r = 0; r < s->n_runs; r++) {
    if (s->tally) rfl_free(s->tally[r]);
    if (s->list) rfl_free(s->list[r].x);
  }
  void *all[] = {s->low,   s->high,    s->mean,      s->m2,  s->sum,    s->at,
                 s->count, s->within,  s->potential, s->key, s->number, s->heft,
                 s->pick,  s->changed, s->tally,     s->list};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
  *s = (struct km_sums){0};
}

enum rfl_code km_sums_new(const struct km_setup *setup, int32_t n_runs, struct km_sums *s,
                          struct rfl_err *err) {
  size_t d = setup->d, runs = (size_t)n_runs, k = runs * (size_t)setup->k;
  *s = (struct km_sums){.n_runs = n_runs};
  struct {
    double **at;
    size_t n;
  } all[] = {{&s->low, d},
             {&s->high, d},
             {&s->mean, d},
             {&s->m2, d},
             {&s->sum, k * setup->stride},
             {&s->at, k},
             {&s->count, k},
             {&s->within, k},
             {&s->potential, runs},
             {&s->key, runs},
             {&s->number, runs},
             {&s->heft, runs},
             {&s->pick, runs * setup->stride},
             {&s->changed, runs}};
  bool ok = true;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    ok &= (*all[i].at = rfl_alloc(all[i].n, sizeof(double))) != NULL;
  s->tally = rfl_alloc(runs, sizeof(double *));
  s->list = rfl_alloc(runs, sizeof *s->list);
  if (ok && s->tally && s->list) return RFL_OK;
  km_sums_release(s);
  return rfl_no_memory(err);
}

/* Only what the runs' phases add to is emptied: for many runs the rest is large. */
void km_sums_clear(struct rfl_state *state) {
  const struct km_setup *setup = state->setup;
  const struct km_iterate *it = state->it;
  struct km_sums *s = &state->sums;
  size_t d = setup->d, k = (size_t)setup->k;
  s->any = false;
  s->rows = s->zero = s->weight = 0;
  for (size_t j = 0; j < d; j++) {
    s->low[j] = INFINITY;
    s->high[j] = -INFINITY;
    s->mean[j] = s->m2[j] = 0;
  }
  for (size_t r = 0; r < (size_t)it->n_runs; r++) {
    s->potential[r] = s->number[r] = s->heft[r] = s->changed[r] = 0;
    s->key[r] = INFINITY;
    s->list[r].n = 0;
    if (s->tally[r]) memset(s->tally[r], 0, it->run[r].n_points * sizeof(double));
    enum km_phase phase = it->run[r].phase;
    if (phase != KM_LLOYD && phase != KM_MEASURE) continue;
    memset(s->sum + r * k * setup->stride, 0, k * setup->stride * sizeof(double));
    memset(s->at + r * k, 0, k * sizeof(double));
    memset(s->count + r * k, 0, k * sizeof(double));
    memset(s->within + r * k, 0, k * sizeof(double));
  }
}

enum rfl_code km_sums_need(struct rfl_state *s, struct rfl_err *err) {
  for (int32_t r = 0; r < s->it->n_runs; r++) {
    rfl_free(s->sums.tally[r]);
    s->sums.tally[r] = NULL;
    if (s->it->run[r].phase != KM_TALLY) continue;
    s->sums.tally[r] = rfl_alloc(s->it->run[r].n_points, sizeof(double));
    if (!s->sums.tally[r]) return rfl_no_memory(err);
  }
  return RFL_OK;
}

enum rfl_code km_list_reserve(struct km_list *l, size_t more, size_t stride,
                              struct rfl_err *err) {
  if (l->n + more <= l->cap) return RFL_OK;
  size_t cap = 2 * l->cap > l->n + more ? 2 * l->cap : l->n + more;
  double *x = rfl_grow(l->x, cap * stride, sizeof *x);
  if (!x) return rfl_no_memory(err);
  l->x = x;
  l->cap = cap;
  return RFL_OK;
}

static void add(double *to, const double *from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* The earlier pick wins; of equal ones the row with the lower number. */
static void merge_pick(struct km_sums *to, const struct km_sums *from, size_t r,
                       size_t stride) {
  if (!(from->key[r] < to->key[r]) &&
      !(from->key[r] == to->key[r] && from->number[r] < to->number[r]))
    return;
  to->key[r] = from->key[r];
  to->number[r] = from->number[r];
  to->heft[r] = from->heft[r];
  memcpy(to->pick + r * stride, from->pick + r * stride, stride * sizeof(double));
}

static void merge_run(struct rfl_state *to, const struct rfl_state *from, size_t r) {
  const struct km_setup *setup = to->setup;
  struct km_sums *a = &to->sums;
  const struct km_sums *b = &from->sums;
  size_t k = (size_t)setup->k, stride = setup->stride;
  const struct km_run *run = &to->it->run[r];
  a->potential[r] += b->potential[r];
  a->changed[r] += b->changed[r];
  merge_pick(a, b, r, stride);
  if (a->tally[r]) add(a->tally[r], b->tally[r], run->n_points);
  struct km_list *l = &a->list[r];
  if (b->list[r].n)
    memcpy(l->x + l->n * stride, b->list[r].x, b->list[r].n * stride * sizeof(double));
  l->n += b->list[r].n;
  if (run->phase != KM_LLOYD && run->phase != KM_MEASURE) return;
  add(a->sum + r * k * stride, b->sum + r * k * stride, k * stride);
  add(a->at + r * k, b->at + r * k, k);
  add(a->count + r * k, b->count + r * k, k);
  add(a->within + r * k, b->within + r * k, k);
}

enum rfl_code km_merge(struct rfl_state *to, const struct rfl_state *from,
                       struct rfl_err *err) {
  size_t d = to->setup->d;
  const struct km_setup *mine = to->setup, *other = from->setup;
  bool alike = mine->d == other->d && mine->k == other->k;
  if (to->it != from->it && !(alike && km_iterate_same(mine, to->it, from->it)))
    return rfl_fail(err, RFL_EMODEL,
                    "Only sums of one pass, taken at the same centres, can be merged.");
  for (int32_t r = 0; r < to->it->n_runs; r++)
    RFL_TRY(
        km_list_reserve(&to->sums.list[r], from->sums.list[r].n, to->setup->stride, err));
  struct km_sums *a = &to->sums;
  const struct km_sums *b = &from->sums;
  if (!b->any) return RFL_OK;
  for (size_t j = 0; j < d; j++) {
    if (b->low[j] < a->low[j]) a->low[j] = b->low[j];
    if (b->high[j] > a->high[j]) a->high[j] = b->high[j];
  }
  struct km_moments sum = {a->weight, a->mean, a->m2};
  km_moments_join(&sum, &(struct km_moments){b->weight, b->mean, b->m2}, d);
  a->weight = sum.weight;
  a->rows += b->rows;
  a->zero += b->zero;
  a->any = true;
  for (int32_t r = 0; r < to->it->n_runs; r++) merge_run(to, from, (size_t)r);
  return RFL_OK;
}
