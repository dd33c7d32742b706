/* Which centre is nearest.
 *
 * By definition: the squared distance is the sum of squares of differences in the fixed
 * order of km_square(), each operation rounded once, and the nearest is the lowest number
 * among the smallest. Everything else here is a way to know that answer without computing
 * it, and is exact because it knows its own error:
 *
 *   - A kernel ranks |c|^2 / 2 - x c for all centres. Its error, and that of the
 *     definition, are each below g (|x| + B)^2 with g a few d epsilons and B the longest
 *     centre; where the best two are closer than that, the definition is computed.
 *   - A row remembers an upper bound of the distance to its centre and a lower bound of
 *     the distance to all others (Hamerly 2010, "Making k-means even faster"). While
 *     upper < max(lower, half the distance from its centre to the next one), the row
 *     stays.
 *
 * Bounds are kept as if centres had not moved (upper - moved[label], lower + drift), so
 * that a row that stays costs no writing. All comparisons have a margin for the rounding
 * of the bounds themselves. */
#include "base/cpu.h"
#include "learn/kmeans_parts.h"
#define RFL_VEC_LEVEL 0 /* the definition is the same on every CPU */
#include "num/vec.h"

static const struct km_kernels *kernels(void) {
#if defined(__x86_64__)
  if (rfl_cpu_level() >= RFL_CPU_AVX512) return &km_kernels_avx512;
  if (rfl_cpu_level() >= RFL_CPU_AVX2) return &km_kernels_avx2;
#endif
  return &km_kernels_base;
}

double km_gamma(size_t d) { return ((double)d + 8) * 0x1p-52; }

double km_square(const double *x, const double *c, size_t stride) {
  vec a = VEC_ALL(0.0), b = a;
  for (size_t j = 0; j < stride; j += 4) {
    vec e = VEC_LOAD(x + j) - VEC_LOAD(c + j);
    vec f = VEC_LOAD(x + j + 2) - VEC_LOAD(c + j + 2);
    a += e * e;
    b += f * f;
  }
  return (a[0] + a[1]) + (b[0] + b[1]);
}

/* The same where squares are too large for a double, in units of 2^1200. */
static double square_far(const double *x, const double *c, size_t stride) {
  double s = 0;
  for (size_t j = 0; j < stride; j++) {
    double a = x[j] * 0x1p-600 - c[j] * 0x1p-600;
    s += a * a;
  }
  return s;
}

int32_t km_nearest(const double *x, const struct km_field *f, size_t stride,
                   double *square) {
  double best = INFINITY;
  int32_t label = 0;
  for (size_t c = 0; c < f->n; c++) {
    if (!(f->half[c] < INFINITY)) continue;
    double s = km_square(x, f->at + c * stride, stride);
    if (s < best) {
      best = s;
      label = (int32_t)c;
    }
  }
  double far = INFINITY;
  for (size_t c = 0; !(best < INFINITY) && c < f->n; c++) {
    double s = square_far(x, f->at + c * stride, stride);
    if (!(s < far) || !(f->half[c] < INFINITY)) continue;
    far = s;
    label = (int32_t)c;
  }
  *square = best;
  return label;
}

enum { SMALL = 64 }; /* coordinates; a row of more costs more than a kernel saves on it */

/* Rows become lanes, two by two. Lanes beyond m repeat the first row. */
static void turn_tile(const struct km_cell *cell, const uint32_t *row, size_t m,
                      size_t stride, double *to) {
  for (size_t i = 0; i < KM_TILE; i += 2) {
    const double *x = cell->x + stride * row[i < m ? i : 0];
    const double *y = cell->x + stride * row[i + 1 < m ? i + 1 : 0];
    for (size_t j = 0; j < stride; j += 2) {
      vec a = VEC_LOAD(x + j), b = VEC_LOAD(y + j);
      VEC_STORE(to + j * KM_TILE + i, ((vec){a[0], b[0]}));
      VEC_STORE(to + (j + 1) * KM_TILE + i, ((vec){a[1], b[1]}));
    }
  }
}

void km_near_tile(const struct km_setup *setup, const struct km_field *f,
                  const struct km_cell *cell, const uint32_t *row, size_t m,
                  struct km_near *out) {
  double small[SMALL * KM_TILE];
  size_t d = setup->d, stride = setup->stride;
  struct km_tile t = {.x = small, .d = d < SMALL ? d : SMALL, .stride = stride};
  bool fits = stride <= SMALL;
  if (fits) turn_tile(cell, row, m, stride, small);
  if (fits) kernels()->near(f, &t);
  double gamma = km_gamma(d);
  for (size_t i = 0; i < m; i++) {
    double reach = cell->norm[row[i]] + f->longest, slack = 4 * gamma * reach * reach;
    double x2 = cell->norm[row[i]] * cell->norm[row[i]];
    bool clear = fits && t.second[i] - t.best[i] > slack;
    struct km_near *o = &out[i];
    if (clear) {
      o->label = (int32_t)t.which[i];
      o->upper = sqrt(fmax(x2 + 2 * t.best[i] + slack, 0));
      o->lower = sqrt(fmax(x2 + 2 * t.second[i] - slack, 0));
      continue;
    }
    double square;
    o->label = km_nearest(cell->x + stride * row[i], f, stride, &square);
    o->upper = sqrt(square) * (1 + gamma);
    o->lower = fits ? sqrt(fmax(x2 + 2 * t.best[i] - slack, 0)) : 0;
    if (!(o->lower < INFINITY)) o->lower = 0;
  }
}

/* ---- the labels of a cell ---- */

struct batch {
  const struct km_setup *setup;
  const struct km_run *run;
  const struct km_cell *cell;
  struct km_trace *trace;
  bool first; /* no row has a label yet */
  size_t n, changed;
  uint32_t row[KM_TILE];
};

static void flush(struct batch *b) {
  struct km_near near[KM_TILE];
  struct km_trace *t = b->trace;
  if (b->n) km_near_tile(b->setup, &b->run->field, b->cell, b->row, b->n, near);
  for (size_t i = 0; i < b->n; i++) {
    uint32_t row = b->row[i];
    int32_t to = near[i].label;
    t->upper[row] = near[i].upper - b->run->moved[to];
    t->lower[row] = near[i].lower + b->run->drift;
    if (!b->first && t->label[row] == to) continue;
    if (!b->first) t->stale[t->label[row]] = t->stale[to] = 1;
    t->label[row] = to;
    b->changed++;
  }
  b->n = 0;
}

static void add(struct batch *b, size_t row) {
  b->row[b->n++] = (uint32_t)row;
  if (b->n == KM_TILE) flush(b);
}

static void assign_by_bounds(struct batch *b) {
  const struct km_run *run = b->run;
  struct km_trace *t = b->trace;
  size_t stride = b->setup->stride;
  double gamma = km_gamma(b->setup->d), loose = 1 + 4 * gamma + 0x1p-40;
  double slip = run->drift * 0x1p-40;
  for (size_t i = 0; i < b->cell->n; i++) {
    int32_t a = t->label[i];
    double lower = t->lower[i] - run->drift;
    double bound = lower > run->reach[a] ? lower : run->reach[a];
    if ((t->upper[i] + run->moved[a]) * loose + slip < bound) continue;
    if (run->restless > 0.1) { /* most such rows are looked at in the end */
      add(b, i);
      continue;
    }
    double own = sqrt(km_square(b->cell->x + stride * i, run->centre + stride * (size_t)a,
                                stride)) *
                 (1 + gamma);
    t->upper[i] = own - run->moved[a];
    if (own * loose + slip < bound) continue;
    add(b, i);
  }
}

/* Sums of the rows at each stale centre, in the order of the rows. The others' sums are
 * what they would be again: so a sum never depends on what was known before. */
static void add_up(const struct km_setup *setup, const struct km_run *run,
                   const struct km_cell *cell, struct km_trace *t) {
  size_t k = (size_t)run->n, stride = setup->stride;
  bool some = false;
  for (size_t c = 0; c < k; c++) {
    if (!t->stale[c]) continue;
    some = true;
    t->weight[c] = 0;
    for (size_t j = 0; j < stride; j++) t->sum[c * stride + j] = 0;
  }
  for (size_t i = 0; some && i < cell->n; i++) {
    size_t c = (size_t)t->label[i];
    if (!t->stale[c]) continue;
    const double *x = cell->x + i * stride;
    double *sum = t->sum + c * stride;
    double w = cell->w ? cell->w[i] : 1;
    t->weight[c] += w;
    for (size_t j = 0; j < stride; j += 4) { /* times 1 changes nothing */
      VEC_STORE(sum + j, VEC_LOAD(sum + j) + VEC_ALL(w) * VEC_LOAD(x + j));
      VEC_STORE(sum + j + 2, VEC_LOAD(sum + j + 2) + VEC_ALL(w) * VEC_LOAD(x + j + 2));
    }
  }
  for (size_t c = 0; c < k; c++) t->stale[c] = 0;
}

size_t km_assign(const struct km_setup *setup, const struct km_run *run,
                 const struct km_cell *cell, struct km_trace *t) {
  struct batch b = {.setup = setup, .run = run, .cell = cell, .trace = t};
  b.first = t->epoch != run->epoch;
  /* With most rows on the move, bounds cost more than they save. */
  if (b.first || run->restless > 0.5)
    for (size_t i = 0; i < cell->n; i++) add(&b, i);
  else
    assign_by_bounds(&b);
  flush(&b);
  for (int32_t c = 0; b.first && c < run->n; c++) t->stale[c] = 1;
  t->epoch = run->epoch;
  add_up(setup, run, cell, t);
  return b.changed;
}
