#include "help.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

struct rfl_layout layout_of(const struct oracle *o) {
  struct rfl_layout l = {
      .n_dense = o->n_dense, .n_coded = o->n_coded, .n_terms = o->n_terms};
  l.levels = calloc(o->n_coded + 1, sizeof *l.levels);
  l.term = calloc(o->n_terms + 1, sizeof *l.term);
  for (size_t k = 0; k < o->n_coded; k++) l.levels[k] = o->coded[k].levels;
  const struct oracle_coding *c = o->coding;
  for (size_t t = 0; t < o->n_terms; t++) {
    const struct oracle_term *from = &o->term[t];
    struct rfl_term *to = &l.term[t];
    *to = (struct rfl_term){.coded = from->coded,
                            .dense = from->dense,
                            .assign = from->assign,
                            .z = l.n_z,
                            .x = l.n_x,
                            .n_z = 1,
                            .n_x = 1};
    to->n_codings = (size_t)from->n_codings;
    to->coding = calloc(to->n_codings + 1, sizeof *to->coding);
    for (size_t k = 0; k < to->n_codings; k++, c++) {
      to->coding[k] = (struct rfl_coding){.levels = c->levels,
                                          .columns = c->columns,
                                          .select = (int32_t *)(uintptr_t)c->select,
                                          .matrix = (double *)(uintptr_t)c->matrix};
      to->n_z *= c->levels;
      to->n_x *= c->columns;
    }
    l.intercept |= from->coded < 0 && from->dense < 0;
    l.n_z += to->n_z;
    l.n_x += to->n_x;
  }
  return l;
}

void layout_free(struct rfl_layout *l) {
  for (size_t t = 0; t < l->n_terms; t++) free(l->term[t].coding);
  free(l->term);
  free(l->levels);
}

struct rfl_block block_of(const struct oracle *o) {
  return (struct rfl_block){.n = o->n,
                            .n_dense = o->n_dense,
                            .dense = o->dense,
                            .n_coded = o->n_coded,
                            .coded = o->coded,
                            .y = o->y,
                            .weight = o->weight,
                            .offset = o->offset};
}

struct rfl_block slice_of(const struct rfl_block *b, size_t from, size_t n, int slot) {
  static const double *dense[4][64];
  static struct rfl_coded coded[4][64];
  struct rfl_block s = *b;
  s.n = n;
  s.dense = dense[slot];
  s.coded = coded[slot];
  for (size_t k = 0; k < b->n_dense; k++) dense[slot][k] = b->dense[k] + from;
  for (size_t k = 0; k < b->n_coded; k++)
    coded[slot][k] = (struct rfl_coded){b->coded[k].code + from, b->coded[k].levels};
  if (b->y) s.y = b->y + from;
  if (b->weight) s.weight = b->weight + from;
  if (b->offset) s.offset = b->offset + from;
  return s;
}

static double coding_entry(const struct rfl_coding *c, int32_t level, int32_t column) {
  if (c->select) return c->select[level] == column;
  return c->matrix[column * c->levels + level];
}

double *matrix_of(const struct rfl_layout *l, const struct rfl_block *b) {
  double *x = calloc(b->n * (size_t)l->n_x + 1, sizeof *x);
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    for (int32_t j = 0; j < term->n_x; j++) {
      for (size_t i = 0; i < b->n; i++) {
        double v = term->dense < 0 ? 1 : b->dense[term->dense][i];
        int32_t z = term->coded < 0 ? 0 : b->coded[term->coded].code[i], c = j;
        for (size_t k = 0; k < term->n_codings; k++) {
          v *= coding_entry(&term->coding[k], z % term->coding[k].levels,
                            c % term->coding[k].columns);
          z /= term->coding[k].levels;
          c /= term->coding[k].columns;
        }
        x[(size_t)(term->x + j) * b->n + i] = v;
      }
    }
  }
  return x;
}

/* ---- worlds ---- */

static void add_term(struct rfl_layout *l, int32_t coded, int32_t dense, size_t n,
                     struct rfl_coding *coding) {
  struct rfl_term *t = &l->term[l->n_terms];
  *t = (struct rfl_term){.coded = coded,
                         .dense = dense,
                         .assign = (int32_t)l->n_terms,
                         .z = l->n_z,
                         .x = l->n_x,
                         .n_z = 1,
                         .n_x = 1,
                         .n_codings = n};
  t->coding = calloc(n + 1, sizeof *t->coding);
  for (size_t k = 0; k < n; k++) {
    t->coding[k] = coding[k];
    t->n_z *= coding[k].levels;
    t->n_x *= coding[k].columns;
  }
  l->n_terms++;
  l->n_z += t->n_z;
  l->n_x += t->n_x;
}

/* Treatment contrasts, or (full: all dummies) or sums to zero as a matrix. They leak into
 * the world's layout and are freed with it. */
static struct rfl_coding code_levels(int32_t levels, bool full, bool dense) {
  int32_t columns = full ? levels : levels - 1;
  struct rfl_coding c = {.levels = levels, .columns = columns};
  if (!dense) {
    c.select = calloc((size_t)levels, sizeof *c.select);
    for (int32_t k = 0; k < levels; k++) c.select[k] = full ? k : k - 1;
    return c;
  }
  c.matrix = calloc((size_t)(levels * columns), sizeof *c.matrix);
  for (int32_t j = 0; j < columns; j++) {
    c.matrix[j * levels + j] = 1;
    if (!full) c.matrix[j * levels + levels - 1] = -1;
  }
  return c;
}

static void make_columns(struct world *w, const struct world_plan *p) {
  for (size_t k = 0; k < p->numbers; k++) {
    w->number[k] = calloc(p->n, sizeof(double));
    for (size_t i = 0; i < p->n; i++)
      w->number[k][i] = rfl_normal(p->seed, i, k) + (k == 1 ? 3 : 0);
    w->dense[k] = w->number[k];
  }
  for (size_t f = 0; f < 4 && p->factor[f]; f++) {
    w->code[f] = calloc(p->n, sizeof(int32_t));
    for (size_t i = 0; i < p->n; i++) {
      double u = rfl_uniform(p->seed + 1, i, f);
      w->code[f][i] = (int32_t)(u * u * p->factor[f]);
    }
    w->coded[f] = (struct rfl_coded){w->code[f], p->factor[f]};
    w->block.n_coded++;
  }
}

static void make_terms(struct world *w, const struct world_plan *p) {
  struct rfl_layout *l = &w->layout;
  l->term = calloc(32, sizeof *l->term);
  l->levels = calloc(8, sizeof *l->levels);
  if (!p->no_intercept) add_term(l, -1, -1, 0, NULL);
  l->intercept = !p->no_intercept;
  for (size_t k = 0; k < p->numbers; k++) add_term(l, -1, (int32_t)k, 0, NULL);
  for (size_t f = 0; f < w->block.n_coded; f++) {
    struct rfl_coding c =
        code_levels(p->factor[f], p->no_intercept && f == 0, p->dense_contrasts);
    add_term(l, (int32_t)f, -1, 1, &c);
  }
  if (p->cross) {
    struct rfl_coding by = code_levels(p->factor[0], false, p->dense_contrasts);
    add_term(l, 0, 0, 1, &by);
    struct rfl_coding both[] = {code_levels(p->factor[0], false, p->dense_contrasts),
                                code_levels(p->factor[1], false, false)};
    size_t k = w->block.n_coded++;
    add_term(l, (int32_t)k, -1, 2, both);
    w->code[k] = calloc(p->n, sizeof(int32_t));
    for (size_t i = 0; i < p->n; i++)
      w->code[k][i] = w->code[0][i] + p->factor[0] * w->code[1][i];
    w->coded[k] = (struct rfl_coded){w->code[k], p->factor[0] * p->factor[1]};
  }
  l->n_dense = p->numbers;
  l->n_coded = w->block.n_coded;
  for (size_t k = 0; k < l->n_coded; k++) l->levels[k] = w->coded[k].levels;
}

static double draw(const struct world_plan *p, size_t i, double eta) {
  double u = rfl_uniform(p->seed + 3, i, 0);
  if (p->family == RFL_GAUSSIAN) return eta + rfl_normal(p->seed + 3, i, 1);
  if (p->family == RFL_BINOMIAL) return u < 1 / (1 + exp(-eta));
  double y = 0, f = exp(-exp(eta)), sum = f;
  while (sum < u && y < 1000) sum += f *= exp(eta) / ++y;
  return y;
}

struct world *world_new(const struct world_plan *p) {
  struct world *w = calloc(1, sizeof *w);
  w->block.n = p->n;
  make_columns(w, p);
  make_terms(w, p);
  w->block.n_dense = p->numbers;
  w->block.dense = w->dense;
  w->block.coded = w->coded;
  w->y = calloc(p->n, sizeof(double));
  w->block.y = w->y;
  if (p->weights) w->block.weight = w->weight = calloc(p->n, sizeof(double));
  if (p->offset) w->block.offset = w->offset = calloc(p->n, sizeof(double));
  size_t n_x = (size_t)w->layout.n_x;
  w->truth = calloc(n_x, sizeof(double));
  for (size_t j = 0; j < n_x; j++) w->truth[j] = 0.3 * rfl_normal(p->seed + 2, j, 0);
  if (!p->no_intercept) w->truth[0] = p->base;
  double *x = matrix_of(&w->layout, &w->block);
  for (size_t i = 0; i < p->n; i++) {
    double eta = p->offset ? w->offset[i] = rfl_uniform(p->seed + 4, i, 0) - 0.5 : 0;
    if (p->weights) w->weight[i] = floor(3 * rfl_uniform(p->seed + 4, i, 1));
    for (size_t j = 0; j < n_x; j++) eta += x[i + j * p->n] * w->truth[j];
    w->y[i] = draw(p, i, eta);
  }
  free(x);
  return w;
}

void world_free(struct world *w) {
  for (size_t t = 0; t < w->layout.n_terms; t++)
    for (size_t k = 0; k < w->layout.term[t].n_codings; k++) {
      free(w->layout.term[t].coding[k].select);
      free(w->layout.term[t].coding[k].matrix);
    }
  layout_free(&w->layout);
  for (size_t k = 0; k < 16; k++) free(w->number[k]);
  for (size_t k = 0; k < 8; k++) free(w->code[k]);
  free(w->y);
  free(w->weight);
  free(w->offset);
  free(w->truth);
  free(w);
}

/* ---- drivers ---- */

enum { MOST_PARTS = 8 };

struct pass {
  struct rfl_state *state, *part[MOST_PARTS];
  size_t n_parts, n_cells;
};

static enum rfl_code take_cell(struct pass *p, const struct rfl_block *cell,
                               struct rfl_err *err) {
  if (!p->n_parts) return rfl_glm.absorb(p->state, cell, err);
  struct rfl_state **part = &p->part[p->n_cells++ % p->n_parts];
  RFL_TRY(rfl_glm.part(p->state, part, err));
  RFL_TRY(rfl_glm.absorb(*part, cell, err));
  return rfl_glm.merge(p->state, *part, err);
}

static enum rfl_code one_pass(struct pass *p, const struct rfl_block *b, struct how how,
                              struct rfl_gather *g, struct rfl_err *err) {
  size_t cut = how.cut ? how.cut : b->n;
  for (size_t at = 0; at < b->n; at += cut) {
    struct rfl_block piece = slice_of(b, at, b->n - at < cut ? b->n - at : cut, 0);
    for (size_t from = 0, taken; from < piece.n; from += taken) {
      RFL_TRY(rfl_gather_add(g, &piece, from, &taken, err));
      const struct rfl_block *cell = rfl_gather_block(g, false);
      if (cell) RFL_TRY(take_cell(p, cell, err));
    }
  }
  const struct rfl_block *last = rfl_gather_block(g, true);
  return last ? take_cell(p, last, err) : RFL_OK;
}

enum rfl_code drive(struct rfl_state *s, const struct rfl_block *b, struct how how,
                    struct rfl_err *err) {
  struct pass p = {.state = s, .n_parts = how.parts};
  const struct rfl_layout *l = rfl_glm.layout(s);
  bool again = true;
  enum rfl_code code = RFL_OK;
  while (!code && again) {
    struct rfl_gather *g = NULL;
    code = rfl_gather_new(l, how.rows ? how.rows : rfl_glm.grid(l), 0, &g, err);
    if (!code) code = one_pass(&p, b, how, g, err);
    if (!code) code = rfl_glm.settle(s, &again, err);
    rfl_gather_release(g);
  }
  for (size_t k = 0; k < MOST_PARTS; k++) rfl_glm.release(p.part[k]);
  return code;
}

enum rfl_code fit(const struct rfl_glm_options *o, const struct rfl_layout *l,
                  const struct rfl_block *b, struct how how, struct rfl_state **gives,
                  struct rfl_err *err) {
  struct rfl_state *s = NULL;
  RFL_TRY(rfl_glm.open(&o->base, l, &s, err));
  enum rfl_code code = drive(s, b, how, err);
  if (code)
    rfl_glm.release(s);
  else
    *gives = s;
  return code;
}

enum rfl_code learn(struct rfl_state *s, const struct rfl_block *b, double keep,
                    struct rfl_err *err) {
  bool again = true;
  while (again) {
    RFL_TRY(rfl_glm.absorb(s, b, err));
    RFL_TRY(rfl_glm.settle(s, &again, err));
  }
  return rfl_glm.renew(s, keep, err);
}

/* ---- the naive fit ---- */

/* a x = b for symmetric positive a, by Gauss without pivoting; a and b are overwritten.
 */
static void gauss(long double *a, long double *b, size_t p, size_t columns) {
  for (size_t k = 0; k < p; k++) {
    for (size_t i = 0; i < p; i++) {
      if (i == k) continue;
      long double f = a[i + k * p] / a[k + k * p];
      for (size_t j = k; j < p; j++) a[i + j * p] -= f * a[k + j * p];
      for (size_t j = 0; j < columns; j++) b[i + j * p] -= f * b[k + j * p];
    }
  }
  for (size_t k = 0; k < p; k++)
    for (size_t j = 0; j < columns; j++) b[k + j * p] /= a[k + k * p];
}

void naive_glm(enum rfl_family family, const struct rfl_layout *l,
               const struct rfl_block *b, double *coef, double *se) {
  size_t n = b->n, p = (size_t)l->n_x;
  double *x = matrix_of(l, b);
  long double *a = calloc(p * p, sizeof *a), *r = calloc(p * (p + 1), sizeof *r);
  long double *beta = calloc(p, sizeof *beta), phi = 0;
  long double moved = 1;
  for (int pass = 0; pass < 60 && moved > 1e-12L; pass++) {
    memset(a, 0, p * p * sizeof *a);
    memset(r, 0, p * (p + 1) * sizeof *r);
    phi = 0;
    for (size_t i = 0; i < n; i++) {
      long double eta = b->offset ? b->offset[i] : 0, w = b->weight ? b->weight[i] : 1;
      for (size_t j = 0; j < p; j++) eta += x[i + j * n] * beta[j];
      long double mu = family == RFL_BINOMIAL  ? 1 / (1 + expl(-eta))
                       : family == RFL_POISSON ? expl(eta)
                                               : eta;
      long double v = family == RFL_BINOMIAL  ? mu * (1 - mu)
                      : family == RFL_POISSON ? mu
                                              : 1;
      phi += w * (b->y[i] - mu) * (b->y[i] - mu);
      for (size_t j = 0; j < p; j++) {
        r[j] += w * x[i + j * n] * (b->y[i] - mu);
        for (size_t k = 0; k < p; k++)
          a[j + k * p] += w * v * x[i + j * n] * x[i + k * n];
      }
    }
    for (size_t j = 0; j < p; j++) r[j + (j + 1) * p] = 1;
    gauss(a, r, p, p + 1);
    moved = 0;
    for (size_t j = 0; j < p; j++) {
      beta[j] += r[j] > 2 ? 2 : r[j] < -2 ? -2 : r[j];
      if (fabsl(r[j]) > moved) moved = fabsl(r[j]);
    }
  }
  for (size_t j = 0; j < p; j++) {
    long double scale = family == RFL_GAUSSIAN ? phi / (long double)(n - p) : 1;
    coef[j] = (double)beta[j];
    se[j] = (double)sqrtl(scale * r[j + (j + 1) * p]);
  }
  free(x);
  free(a);
  free(r);
  free(beta);
}
