/* What a fitted state tells: of rows, and of itself. */
#include <string.h>

#include "base/mem.h"
#include "learn/kmeans_parts.h"

static const struct km_run *the_run(const struct rfl_state *s) { return &s->it->run[0]; }

uint32_t km_width(const struct rfl_state *s, int what) {
  return what == RFL_KMEANS_DISTANCE ? (uint32_t)the_run(s)->n : 1;
}

/* From coordinates back to the units of the data: distances only of unscaled ones. */
static double unit(const struct rfl_state *s) {
  return s->setup->scale ? 1 : 1 / s->it->multiplier[0];
}

enum { ROWS = KM_TILE };
struct piece { /* rows on their way to scores */
  struct km_cell cell;
  uint32_t row[ROWS];
};

static void score_piece(const struct rfl_state *s, struct piece *p, int what, size_t n,
                        double *out) {
  const struct km_run *run = the_run(s);
  size_t stride = s->setup->stride, m = p->cell.n;
  double by = unit(s);
  struct km_near near[ROWS];
  if (what != RFL_KMEANS_DISTANCE)
    km_near_tile(s->setup, &run->field, &p->cell, p->row, m, near);
  for (size_t i = 0; i < m; i++) {
    const double *x = p->cell.x + i * stride;
    if (what == RFL_KMEANS_CLUSTER) out[i] = near[i].label + 1;
    if (what == RFL_KMEANS_NEAREST) {
      const double *c = run->centre + stride * (size_t)near[i].label;
      out[i] = sqrt(km_square(x, c, stride)) * by;
    }
    for (size_t c = 0; what == RFL_KMEANS_DISTANCE && c < (size_t)run->n; c++)
      out[c * n + i] = sqrt(km_square(x, run->centre + c * stride, stride)) * by;
  }
}

static void take_rows(const struct rfl_state *s, const struct rfl_block *b,
                      const double *coded, size_t from, struct km_cell *c) {
  const struct km_iterate *it = s->it;
  size_t d = s->setup->d, stride = s->setup->stride;
  for (size_t j = 0, k = 0; j < d; j++) {
    int32_t dense = km_dense_of(s->setup, j);
    const double *column = dense < 0 ? coded + b->n * k++ : b->dense[dense];
    for (size_t i = 0; i < c->n; i++)
      c->x[i * stride + j] =
          (column[from + i] * it->multiplier[j] - it->shift[j]) * it->inverse[j];
  }
  for (size_t i = 0; i < c->n; i++) {
    double square = 0;
    for (size_t j = 0; j < d; j++) square += c->x[i * stride + j] * c->x[i * stride + j];
    c->norm[i] = sqrt(square);
  }
}

static size_t count_coded(const struct km_setup *setup) {
  size_t n = 0;
  for (size_t j = 0; setup->coded && j < setup->d; j++) n += km_dense_of(setup, j) < 0;
  return n;
}

enum rfl_code km_score(const struct rfl_state *s, const struct rfl_block *b, int what,
                       double *out, struct rfl_err *err) {
  if (s->it->stage != KM_READY)
    return rfl_fail(err, RFL_EMODEL, "The fit has not ended: it cannot score.");
  size_t coded = count_coded(s->setup), k = 0;
  double *room = rfl_alloc(ROWS * (s->setup->stride + 1) + coded * b->n, sizeof *room);
  if (!room) return rfl_no_memory(err);
  double *columns = room + ROWS * (s->setup->stride + 1);
  for (size_t j = 0; coded && j < s->setup->d; j++)
    if (km_dense_of(s->setup, j) < 0)
      km_coded_column(s->setup, b, j, columns + b->n * k++);
  struct piece p = {.cell = {.x = room, .norm = room + ROWS * s->setup->stride}};
  for (uint32_t i = 0; i < ROWS; i++) p.row[i] = i;
  for (size_t from = 0; from < b->n; from += ROWS) {
    p.cell.n = b->n - from < ROWS ? b->n - from : ROWS;
    take_rows(s, b, columns, from, &p.cell);
    score_piece(s, &p, what, b->n, out + from);
  }
  rfl_free(room);
  return RFL_OK;
}

/* ---- the result ---- */

enum rfl_code rfl_kmeans_result(const struct rfl_state *state,
                                struct rfl_kmeans_result *gives, struct rfl_err *err) {
  struct rfl_state *s = (struct rfl_state *)(uintptr_t)state; /* the cache only */
  const struct km_iterate *it = s->it;
  const struct km_run *run = the_run(s);
  if (it->stage != KM_READY) return rfl_fail(err, RFL_EMODEL, "The fit has not ended.");
  size_t d = s->setup->d, k = (size_t)run->n, stride = s->setup->stride;
  double *told = rfl_alloc(k * d + k + d, sizeof *told);
  if (!told) return rfl_no_memory(err);
  rfl_free(s->told);
  s->told = told;
  double *within = told + k * d, *divisor = within + k, by = unit(s), total = 0, sum = 0;
  for (size_t j = 0; j < d; j++) {
    double size = it->inverse[j] > 0 ? 1 / it->inverse[j] : 1;
    for (size_t c = 0; c < k; c++) /* a column of one value has that as its centre */
      told[c + j * k] =
          (run->centre[c * stride + j] * size + it->shift[j]) / it->multiplier[j];
    divisor[j] = s->setup->scale ? size / it->multiplier[j] : 1;
    total += it->m2[j] * by * by;
  }
  for (size_t c = 0; c < k; c++) sum += within[c] = run->within[c] * by * by;
  *gives = (struct rfl_kmeans_result){.k = run->n,
                                      .wanted = s->setup->k,
                                      .coordinates = (int32_t)d,
                                      .centre = told,
                                      .within = within,
                                      .size = run->count,
                                      .weight = run->weight,
                                      .divisor = divisor,
                                      .constant = it->constant,
                                      .total_within = sum,
                                      .total = total,
                                      .n = it->rows,
                                      .n_zero = it->zero,
                                      .sum_weight = it->sum_weight,
                                      .iterations = run->iterations,
                                      .passes = it->passes,
                                      .starts = s->setup->starts,
                                      .reseeded = run->reseeded,
                                      .converged = run->converged,
                                      .sampled = it->share < 1,
                                      .version = it->version};
  return RFL_OK;
}
