/* Iterates: made, copied, compared; and what follows from a run's centres. */
#include <string.h>

#include "base/mem.h"
#include "learn/kmeans_parts.h"

/* ---- fields ---- */

static void field_release(struct km_field *f) {
  rfl_free(f->at);
  rfl_free(f->minus);
  rfl_free(f->half);
  *f = (struct km_field){0};
}

enum rfl_code km_field_set(struct km_field *f, const double *x, size_t n, size_t stride,
                           struct rfl_err *err) {
  struct km_field made = {.n = n};
  made.at = rfl_alloc(n * stride, sizeof *made.at);
  made.minus = rfl_alloc(n * stride, sizeof *made.minus);
  made.half = rfl_alloc(n, sizeof *made.half);
  if (!made.at || !made.minus || !made.half) {
    field_release(&made);
    return rfl_no_memory(err);
  }
  if (n) memcpy(made.at, x, n * stride * sizeof *x);
  for (size_t i = 0; i < n * stride; i++) made.minus[i] = -x[i];
  for (size_t c = 0; c < n; c++) {
    double square = 0;
    for (size_t j = 0; j < stride; j++) square += x[c * stride + j] * x[c * stride + j];
    made.half[c] = square / 2;
    if (!(sqrt(square) <= made.longest)) made.longest = sqrt(square);
  }
  field_release(f);
  *f = made;
  return RFL_OK;
}

/* Half the distance to the nearest other centre, a little less for the rounding. */
static void set_reach(const struct km_setup *setup, struct km_run *run) {
  size_t n = (size_t)run->n, stride = setup->stride;
  double margin = 1 - 4 * km_gamma(setup->d);
  for (size_t a = 0; a < n; a++) run->reach[a] = INFINITY;
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b < a; b++) {
      if (run->empty[a] || run->empty[b]) continue;
      double half = km_square(run->centre + a * stride, run->centre + b * stride, stride);
      half = 0.5 * margin * sqrt(half);
      if (half < run->reach[a]) run->reach[a] = half;
      if (half < run->reach[b]) run->reach[b] = half;
    }
}

enum rfl_code km_run_ready(const struct km_setup *setup, struct km_run *run,
                           struct rfl_err *err) {
  if (run->phase == KM_TALLY)
    return km_field_set(&run->field, run->points, run->n_points, setup->stride, err);
  if (run->phase < KM_LLOYD) return RFL_OK;
  RFL_TRY(km_field_set(&run->field, run->centre, (size_t)run->n, setup->stride, err));
  for (int32_t c = 0; c < run->n; c++)
    if (run->empty[c]) run->field.half[c] = INFINITY;
  set_reach(setup, run);
  return RFL_OK;
}

/* ---- memory ---- */

static void run_release(struct km_run *r) {
  field_release(&r->field);
  void *all[] = {r->centre, r->weight, r->count, r->within,
                 r->empty,  r->points, r->moved, r->reach};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

static bool run_new(const struct km_setup *setup, struct km_run *r) {
  size_t k = (size_t)setup->k;
  r->centre = rfl_alloc(k * setup->stride, sizeof(double));
  r->weight = rfl_alloc(k, sizeof(double));
  r->count = rfl_alloc(k, sizeof(double));
  r->within = rfl_alloc(k, sizeof(double));
  r->moved = rfl_alloc(k, sizeof(double));
  r->reach = rfl_alloc(k, sizeof(double));
  r->empty = rfl_alloc(k, 1);
  r->restless = 1;
  return r->centre && r->weight && r->count && r->within && r->moved && r->reach &&
         r->empty;
}

void km_iterate_release(struct km_iterate *it) {
  if (!it || atomic_fetch_sub(&it->refs, 1) > 1) return;
  for (int32_t r = 0; it->run && r < it->n_runs; r++) run_release(&it->run[r]);
  void *all[] = {it->multiplier, it->shift, it->inverse, it->constant,
                 it->mean,       it->m2,    it->run,     it};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

void km_iterate_only_first(struct km_iterate *it) {
  for (int32_t r = 1; r < it->n_runs; r++) run_release(&it->run[r]);
  it->n_runs = 1;
}

void km_run_take(const struct km_setup *setup, const struct km_run *from,
                 struct km_run *to) {
  size_t k = (size_t)setup->k;
  memcpy(to->centre, from->centre, k * setup->stride * sizeof(double));
  memcpy(to->weight, from->weight, k * sizeof(double));
  memset(to->empty, 0, k);
  to->n = from->n;
  to->reseeded = from->reseeded;
}

/* What was known of rows counts no more. */
void km_begin(struct km_iterate *it, struct km_run *run, enum km_phase phase) {
  run->phase = phase;
  run->epoch = ++it->epochs;
  run->drift = 0;
  run->restless = 1;
  memset(run->moved, 0, (size_t)run->n * sizeof *run->moved);
}

enum rfl_code km_iterate_new(const struct km_setup *setup, int32_t n_runs,
                             struct km_iterate **gives, struct rfl_err *err) {
  size_t d = setup->d;
  struct km_iterate *it = rfl_alloc(1, sizeof *it);
  if (!it) return rfl_no_memory(err);
  atomic_init(&it->refs, 1);
  it->multiplier = rfl_alloc(d, sizeof(double));
  it->shift = rfl_alloc(d, sizeof(double));
  it->inverse = rfl_alloc(d, sizeof(double));
  it->mean = rfl_alloc(d, sizeof(double));
  it->m2 = rfl_alloc(d, sizeof(double));
  it->constant = rfl_alloc(d, 1);
  it->run = rfl_alloc((size_t)n_runs, sizeof *it->run);
  bool ok = it->multiplier && it->shift && it->inverse && it->mean && it->m2 &&
            it->constant && it->run;
  while (ok && it->n_runs < n_runs) {
    struct km_run *run = &it->run[it->n_runs++];
    ok = run_new(setup, run);
  }
  if (!ok) {
    km_iterate_release(it);
    return rfl_no_memory(err);
  }
  for (size_t j = 0; j < d; j++) it->multiplier[j] = it->inverse[j] = 1;
  it->share = 1;
  *gives = it;
  return RFL_OK;
}

/* ---- copies ---- */

static enum rfl_code copy_run(const struct km_setup *setup, const struct km_run *from,
                              struct km_run *to, struct rfl_err *err) {
  size_t k = (size_t)setup->k, stride = setup->stride, bytes = k * sizeof(double);
  struct km_run own = *to;
  *to = *from;
  to->centre = own.centre;
  to->weight = own.weight;
  to->count = own.count;
  to->within = own.within;
  to->moved = own.moved;
  to->reach = own.reach;
  to->empty = own.empty;
  to->points = NULL;
  to->field = (struct km_field){0};
  memcpy(to->centre, from->centre, stride * bytes);
  memcpy(to->weight, from->weight, bytes);
  memcpy(to->count, from->count, bytes);
  memcpy(to->within, from->within, bytes);
  memcpy(to->moved, from->moved, bytes);
  memcpy(to->reach, from->reach, bytes);
  memcpy(to->empty, from->empty, k);
  if (from->points) {
    to->points = rfl_alloc(from->n_points * stride, sizeof(double));
    if (!to->points) return rfl_no_memory(err);
    memcpy(to->points, from->points, from->n_points * stride * sizeof(double));
  }
  if (from->field.at) return km_run_ready(setup, to, err);
  return RFL_OK;
}

enum rfl_code km_iterate_copy(const struct km_setup *setup, const struct km_iterate *from,
                              struct km_iterate **gives, struct rfl_err *err) {
  struct km_iterate *to = NULL;
  RFL_TRY(km_iterate_new(setup, from->n_runs, &to, err));
  size_t bytes = setup->d * sizeof(double);
  struct km_iterate own = *to;
  memcpy(to->multiplier, from->multiplier, bytes);
  memcpy(to->shift, from->shift, bytes);
  memcpy(to->inverse, from->inverse, bytes);
  memcpy(to->mean, from->mean, bytes);
  memcpy(to->m2, from->m2, bytes);
  memcpy(to->constant, from->constant, setup->d);
  to->stage = from->stage;
  to->passes = from->passes;
  to->rows = from->rows;
  to->zero = from->zero;
  to->sum_weight = from->sum_weight;
  to->round = from->round;
  to->share = from->share;
  to->version = from->version;
  to->epochs = from->epochs;
  to->run = own.run;
  enum rfl_code code = RFL_OK;
  for (int32_t r = 0; !code && r < from->n_runs; r++)
    code = copy_run(setup, &from->run[r], &to->run[r], err);
  if (code)
    km_iterate_release(to);
  else
    *gives = to;
  return code;
}

bool km_iterate_same(const struct km_setup *setup, const struct km_iterate *a,
                     const struct km_iterate *b) {
  if (a->stage != b->stage || a->passes != b->passes || a->n_runs != b->n_runs ||
      a->version != b->version ||
      memcmp(a->multiplier, b->multiplier, setup->d * sizeof(double)) ||
      memcmp(a->inverse, b->inverse, setup->d * sizeof(double)))
    return false;
  for (int32_t r = 0; r < a->n_runs; r++) {
    const struct km_run *p = &a->run[r], *q = &b->run[r];
    if (p->phase != q->phase || p->n != q->n || p->n_points != q->n_points ||
        memcmp(p->centre, q->centre, (size_t)p->n * setup->stride * sizeof(double)))
      return false;
  }
  return true;
}
