#include "num/gram.h"

#include <string.h>

#include "base/mem.h"
#include "num/dd.h"
#include "num/kernel.h"

void rfl_gram_release(struct rfl_gram *g) {
  if (!g) return;
  rfl_free(g->dense);
  rfl_free(g->z);
  rfl_free(g->wide);
  rfl_free(g->pair);
  *g = (struct rfl_gram){0};
}

static void list_terms(const struct rfl_layout *l, struct rfl_gram *g) {
  g->dense[0] = g->z[0] = -1;
  g->plain = 1;
  g->n_wide = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    if (term->coded >= 0) {
      g->wide[g->n_wide++] = (struct rfl_gram_wide){
          .coded = term->coded, .dense = term->dense, .z = term->z, .levels = term->n_z};
    } else if (term->dense >= 0) {
      g->dense[g->plain] = term->dense;
      g->z[g->plain++] = term->z;
    } else {
      g->z[0] = term->z;
    }
  }
}

/* Gives every sum its place; false when there are more than memory could ever hold. */
static bool place_sums(struct rfl_gram *g) {
  size_t n = (g->plain + 7) / 8 * 8 * g->stride, cells; /* whole tiles */
  for (size_t t = 0; t < g->n_wide; t++) {
    struct rfl_gram_wide *w = &g->wide[t];
    w->at = n;
    if (__builtin_mul_overflow((size_t)w->levels, g->stride + 1, &cells)) return false;
    w->square = w->dense < 0 ? 0 : n + (size_t)w->levels * g->stride;
    if (__builtin_add_overflow(n, cells, &n)) return false;
  }
  g->n_pairs = 0;
  for (uint32_t a = 0; a < g->n_wide; a++) {
    for (uint32_t b = a + 1; b < g->n_wide; b++) {
      bool same = g->wide[a].coded == g->wide[b].coded;
      g->pair[g->n_pairs++] = (struct rfl_gram_pair){a, b, same, n};
      size_t rows = same ? 1 : (size_t)g->wide[a].levels;
      if (__builtin_mul_overflow(rows, (size_t)g->wide[b].levels, &cells)) return false;
      if (__builtin_add_overflow(n, cells, &n)) return false;
    }
  }
  g->n_sums = n;
  return n <= SIZE_MAX / 64;
}

enum rfl_code rfl_gram_plan(const struct rfl_layout *l, struct rfl_gram *gives,
                            struct rfl_err *err) {
  struct rfl_gram g = {0};
  size_t n = l->n_terms;
  g.dense = rfl_alloc(n + 1, sizeof *g.dense);
  g.z = rfl_alloc(n + 1, sizeof *g.z);
  g.wide = rfl_alloc(n, sizeof *g.wide);
  bool ok = g.dense && g.z && g.wide;
  if (ok) {
    list_terms(l, &g);
    g.stride = g.plain == 1 ? 2 : (g.plain + 1 + 7) / 8 * 8;
    g.rows = g.stride == 2 ? 256 : g.stride <= 16 ? 128 : g.stride <= 64 ? 64 : 32;
    g.pair = rfl_alloc(g.n_wide * (g.n_wide + 1) / 2, sizeof *g.pair);
    ok = g.pair != NULL;
  }
  enum rfl_code code = ok ? RFL_OK : rfl_no_memory(err);
  if (!code && !place_sums(&g))
    code = rfl_fail(err, RFL_EMODEL, "The model has too many levels to be fitted.");
  if (code) {
    rfl_gram_release(&g);
    return code;
  }
  *gives = g;
  return RFL_OK;
}

/* ---- eta ---- */

void rfl_gram_eta(const struct rfl_gram *g, const double *gamma,
                  const struct rfl_block *b, size_t from, size_t n, double *eta) {
  const struct rfl_kernels *k = rfl_kernels();
  double ones = g->z[0] < 0 ? 0.0 : gamma[g->z[0]];
  for (size_t i = 0; i < n; i++) eta[i] = (b->offset ? b->offset[from + i] : 0.0) + ones;
  for (size_t j = 1; j < g->plain; j += 4) {
    size_t columns = g->plain - j < 4 ? g->plain - j : 4;
    const double *x[4];
    double beta[4];
    for (size_t c = 0; c < columns; c++) {
      x[c] = b->dense[g->dense[j + c]] + from;
      beta[c] = gamma[g->z[j + c]];
    }
    k->add(eta, x, beta, columns, n);
  }
  for (size_t t = 0; t < g->n_wide; t++) {
    const struct rfl_gram_wide *w = &g->wide[t];
    const int32_t *code = b->coded[w->coded].code + from;
    const double *part = gamma + w->z,
                 *v = w->dense < 0 ? NULL : b->dense[w->dense] + from;
    if (v)
      for (size_t i = 0; i < n; i++) eta[i] += v[i] * part[code[i]];
    else
      for (size_t i = 0; i < n; i++) eta[i] += part[code[i]];
  }
}

/* (hi + lo)[k] += v, as in Ogita, Rump & Oishi's Sum2: the errors are only added up. */
static inline void put(struct rfl_sums s, size_t k, struct rfl_dd v) {
  struct rfl_dd sum = rfl_dd_sum(s.hi[k], v.hi);
  s.hi[k] = sum.hi;
  s.lo[k] += sum.lo + v.lo;
}

void rfl_gram_eta_exact(const struct rfl_gram *g, const double *gamma,
                        const struct rfl_block *b, size_t from, size_t n,
                        struct rfl_sums eta) {
  for (size_t i = 0; i < n; i++) {
    eta.hi[i] = b->offset ? b->offset[from + i] : 0.0;
    eta.lo[i] = 0;
    if (g->z[0] >= 0) put(eta, i, (struct rfl_dd){gamma[g->z[0]], 0});
    for (size_t j = 1; j < g->plain; j++)
      put(eta, i, rfl_dd_product(b->dense[g->dense[j]][from + i], gamma[g->z[j]]));
    for (size_t t = 0; t < g->n_wide; t++) {
      const struct rfl_gram_wide *w = &g->wide[t];
      double part = gamma[w->z + b->coded[w->coded].code[from + i]];
      double v = w->dense < 0 ? 1.0 : b->dense[w->dense][from + i];
      put(eta, i, rfl_dd_product(v, part));
    }
  }
}

/* ---- sums ---- */

static void pack(const struct rfl_gram *g, const struct rfl_block *b, size_t from,
                 size_t n, double *x) {
  const struct rfl_kernels *k = rfl_kernels();
  for (size_t i = 0; i < n; i++) x[i * g->stride] = 1.0;
  for (size_t j = 1; j < g->plain; j += 4) {
    size_t columns = g->plain - j < 4 ? g->plain - j : 4;
    const double *column[4];
    for (size_t c = 0; c < columns; c++) column[c] = b->dense[g->dense[j + c]] + from;
    k->turn(x + j, g->stride, column, columns, n);
  }
}

static void add_plain(const struct rfl_gram *g, const struct rfl_gram_rows *c,
                      double *sum) {
  const struct rfl_kernels *k = rfl_kernels();
  if (g->stride == 2) {
    for (size_t i = 0; i < c->n; i++) {
      sum[0] += c->w[i];
      sum[1] += c->r[i];
    }
    return;
  }
  k->weigh(c->wx, c->x, c->w, c->r, c->n, g->stride, g->plain);
  k->rank(sum, c->x, c->wx, c->n, g->stride, g->plain);
}

static void add_wide(const struct rfl_gram *g, const struct rfl_gram_wide *t,
                     const int32_t *code, const double *v, const struct rfl_gram_rows *c,
                     double *sum) {
  const struct rfl_kernels *k = rfl_kernels();
  double *at = sum + t->at;
  if (g->stride > 2) {
    for (size_t i = 0; i < c->n; i++)
      k->axpy(at + (size_t)code[i] * g->stride, c->wx + i * g->stride, v ? v[i] : 1.0,
              g->stride);
  } else if (v) {
    for (size_t i = 0; i < c->n; i++) {
      at[2 * code[i]] += v[i] * c->w[i];
      at[2 * code[i] + 1] += v[i] * c->r[i];
    }
  } else {
    for (size_t i = 0; i < c->n; i++) {
      at[2 * code[i]] += c->w[i];
      at[2 * code[i] + 1] += c->r[i];
    }
  }
  if (v)
    for (size_t i = 0; i < c->n; i++)
      sum[t->square + (size_t)code[i]] += v[i] * v[i] * c->w[i];
}

struct wide_rows { /* one wide term's rows of a chunk */
  const int32_t *code;
  const double *v; /* NULL: ones */
  size_t levels;
};

static struct wide_rows rows_of(const struct rfl_gram_wide *t, const struct rfl_block *b,
                                size_t from) {
  return (struct wide_rows){.code = b->coded[t->coded].code + from,
                            .v = t->dense < 0 ? NULL : b->dense[t->dense] + from,
                            .levels = (size_t)t->levels};
}

static size_t cell(const struct rfl_gram_pair *p, struct wide_rows a, struct wide_rows b,
                   size_t i) {
  if (p->same) return (size_t)a.code[i];
  return (size_t)a.code[i] * b.levels + (size_t)b.code[i];
}

static void add_pair(const struct rfl_gram_pair *p, struct wide_rows a,
                     struct wide_rows b, const struct rfl_gram_rows *c, double *sum) {
  double *at = sum + p->at;
  if (!a.v && !b.v && !p->same) {
    for (size_t i = 0; i < c->n; i++)
      at[(size_t)a.code[i] * b.levels + (size_t)b.code[i]] += c->w[i];
    return;
  }
  for (size_t i = 0; i < c->n; i++) {
    double f = (a.v ? a.v[i] : 1.0) * (b.v ? b.v[i] : 1.0);
    at[cell(p, a, b, i)] += f * c->w[i];
  }
}

/* ---- the same in twice the precision ---- */

static struct rfl_dd times_residual(const struct rfl_gram_rows *c, size_t i, double x) {
  struct rfl_dd v = rfl_dd_product(x, c->r[i]);
  if (c->r_low) v.lo += x * c->r_low[i];
  return v;
}

static void exact_plain(const struct rfl_gram *g, const struct rfl_gram_rows *c,
                        struct rfl_sums s) {
  const struct rfl_kernels *k = rfl_kernels();
  for (size_t i = 0; i < c->n; i++) {
    const double *x = c->x + i * g->stride;
    if (g->stride == 2) put(s, 0, (struct rfl_dd){c->w[i], 0});
    for (size_t a = 0; a < g->plain; a++) {
      double xa = a ? x[a] : 1.0;
      struct rfl_dd wx = rfl_dd_product(c->w[i], xa);
      size_t row = a * g->stride, from = a / 8 * 8;
      if (g->stride > 2)
        k->exact(s.hi + row + from, s.lo + row + from, x + from, wx.hi, wx.lo,
                 g->stride - from);
      put(s, row + g->plain, times_residual(c, i, xa));
    }
  }
}

static void exact_wide(const struct rfl_gram *g, const struct rfl_gram_wide *t,
                       struct wide_rows a, const struct rfl_gram_rows *c,
                       struct rfl_sums s) {
  const struct rfl_kernels *k = rfl_kernels();
  for (size_t i = 0; i < c->n; i++) {
    double v = a.v ? a.v[i] : 1.0;
    size_t at = t->at + (size_t)a.code[i] * g->stride;
    struct rfl_dd wv = rfl_dd_product(c->w[i], v);
    if (g->stride > 2)
      k->exact(s.hi + at, s.lo + at, c->x + i * g->stride, wv.hi, wv.lo, g->stride);
    else
      put(s, at, wv);
    put(s, at + g->plain, times_residual(c, i, v));
    if (a.v) put(s, t->square + (size_t)a.code[i], rfl_dd_scale(wv, v));
  }
}

static void exact_pair(const struct rfl_gram_pair *p, struct wide_rows a,
                       struct wide_rows b, const struct rfl_gram_rows *c,
                       struct rfl_sums s) {
  for (size_t i = 0; i < c->n; i++) {
    struct rfl_dd f = rfl_dd_product(c->w[i], a.v ? a.v[i] : 1.0);
    if (b.v) f = rfl_dd_scale(f, b.v[i]);
    put(s, p->at + cell(p, a, b, i), f);
  }
}

void rfl_gram_add(const struct rfl_gram *g, const struct rfl_block *b, size_t from,
                  const struct rfl_gram_rows *c, struct rfl_sums s) {
  if (g->stride > 2) pack(g, b, from, c->n, c->x);
  if (s.lo)
    exact_plain(g, c, s);
  else
    add_plain(g, c, s.hi);
  for (size_t t = 0; t < g->n_wide; t++) {
    struct wide_rows a = rows_of(&g->wide[t], b, from);
    if (s.lo)
      exact_wide(g, &g->wide[t], a, c, s);
    else
      add_wide(g, &g->wide[t], a.code, a.v, c, s.hi);
  }
  for (size_t k = 0; k < g->n_pairs; k++) {
    const struct rfl_gram_pair *p = &g->pair[k];
    struct wide_rows one = rows_of(&g->wide[p->a], b, from);
    struct wide_rows two = rows_of(&g->wide[p->b], b, from);
    if (s.lo)
      exact_pair(p, one, two, c, s);
    else
      add_pair(p, one, two, c, s.hi);
  }
}

/* Four running sums, so that the additions need not wait for each other. */
static double dot(const double *x, const double *v, size_t n) {
  double sum[4] = {0};
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (size_t k = 0; k < 4; k++) sum[k] += x[i + k] * v[i + k];
  for (; i < n; i++) sum[0] += x[i] * v[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void cross_plain(const double *x, const struct rfl_gram_groups *c, double *to) {
  if (x && !c->group) {
    *to += dot(x, c->v, c->n);
    return;
  }
  for (size_t i = 0; i < c->n; i++)
    to[c->group ? (size_t)c->group[i] * c->stride : 0] += x ? x[i] * c->v[i] : c->v[i];
}

void rfl_gram_cross(const struct rfl_gram *g, const struct rfl_block *b, size_t from,
                    const struct rfl_gram_groups *c, double *to) {
  for (size_t j = 0; j < g->plain; j++)
    if (g->z[j] >= 0)
      cross_plain(g->dense[j] < 0 ? NULL : b->dense[g->dense[j]] + from, c, to + g->z[j]);
  for (size_t t = 0; t < g->n_wide; t++) {
    const struct wide_rows a = rows_of(&g->wide[t], b, from);
    double *at = to + g->wide[t].z;
    for (size_t i = 0; i < c->n; i++)
      at[(c->group ? (size_t)c->group[i] * c->stride : 0) + (size_t)a.code[i]] +=
          a.v ? a.v[i] * c->v[i] : c->v[i];
  }
}

void rfl_sums_merge(struct rfl_sums to, struct rfl_sums from, size_t n) {
  if (!to.lo || !from.lo) {
    for (size_t k = 0; k < n; k++) to.hi[k] += from.hi[k];
    return;
  }
  for (size_t k = 0; k < n; k++) put(to, k, (struct rfl_dd){from.hi[k], from.lo[k]});
}

/* ---- from Z to X ---- */

typedef void emit_fn(void *to, int32_t a, int32_t b, struct rfl_dd v);

static struct rfl_dd value(struct rfl_sums s, size_t k) {
  if (!s.lo) return (struct rfl_dd){s.hi[k], 0};
  return rfl_dd_sum(s.hi[k], s.lo[k]);
}

static void each_wide(const struct rfl_gram *g, const struct rfl_gram_wide *t,
                      struct rfl_sums s, emit_fn *emit, void *to) {
  for (int32_t l = 0; l < t->levels; l++) {
    size_t at = t->at + (size_t)l * g->stride;
    for (size_t j = 0; j < g->plain; j++)
      if (g->z[j] >= 0) emit(to, g->z[j], t->z + l, value(s, at + j));
    emit(to, t->z + l, t->z + l, value(s, t->square ? t->square + (size_t)l : at));
  }
}

/* Every entry of the upper triangle of Z'WZ that can differ from 0, once. */
static void each_entry(const struct rfl_gram *g, struct rfl_sums s, emit_fn *emit,
                       void *to) {
  for (size_t i = 0; i < g->plain; i++)
    for (size_t j = i; j < g->plain && g->z[i] >= 0; j++)
      emit(to, g->z[i], g->z[j], value(s, i * g->stride + j));
  for (size_t t = 0; t < g->n_wide; t++) each_wide(g, &g->wide[t], s, emit, to);
  for (size_t k = 0; k < g->n_pairs; k++) {
    const struct rfl_gram_pair *p = &g->pair[k];
    const struct rfl_gram_wide *a = &g->wide[p->a], *b = &g->wide[p->b];
    size_t at = p->at;
    for (int32_t i = 0; i < a->levels; i++) {
      if (p->same) {
        emit(to, a->z + i, b->z + i, value(s, at++));
        continue;
      }
      for (int32_t j = 0; j < b->levels; j++)
        emit(to, a->z + i, b->z + j, value(s, at++));
    }
  }
}

struct matrix_job {
  const struct rfl_contrast *c;
  struct rfl_sums a;
};

static void add_to(struct rfl_sums s, size_t k, struct rfl_dd v) {
  if (s.lo)
    put(s, k, v);
  else
    s.hi[k] += v.hi;
}

static struct rfl_dd times(struct rfl_dd v, double f) {
  return f == 1.0 ? v : rfl_dd_scale(v, f);
}

static void into_matrix(void *to, int32_t za, int32_t zb, struct rfl_dd v) {
  const struct matrix_job *job = to;
  const struct rfl_contrast *c = job->c;
  if (v.hi == 0) return;
  for (size_t i = c->at[za]; i < c->at[za + 1]; i++) {
    for (size_t j = za == zb ? i : c->at[zb]; j < c->at[zb + 1]; j++) {
      size_t x = (size_t)c->x[i], y = (size_t)c->x[j];
      struct rfl_dd f = times(times(v, c->factor[i]), c->factor[j]);
      if (x == y && za != zb) f = times(f, 2.0);
      add_to(job->a, x < y ? x + y * (size_t)c->n_x : y + x * (size_t)c->n_x, f);
    }
  }
}

void rfl_gram_matrix(const struct rfl_gram *g, struct rfl_sums s,
                     const struct rfl_contrast *c, struct rfl_sums a) {
  struct matrix_job job = {c, a};
  each_entry(g, s, into_matrix, &job);
}

void rfl_gram_score(const struct rfl_gram *g, struct rfl_sums s,
                    const struct rfl_contrast *c, struct rfl_sums r) {
  for (size_t j = 0; j < g->plain; j++)
    if (g->z[j] >= 0)
      for (size_t k = c->at[g->z[j]]; k < c->at[g->z[j] + 1]; k++)
        add_to(r, (size_t)c->x[k], value(s, j * g->stride + g->plain));
  for (size_t t = 0; t < g->n_wide; t++) {
    const struct rfl_gram_wide *w = &g->wide[t];
    for (int32_t l = 0; l < w->levels; l++) {
      struct rfl_dd v = value(s, w->at + (size_t)l * g->stride + g->plain);
      for (size_t k = c->at[w->z + l]; k < c->at[w->z + l + 1]; k++)
        add_to(r, (size_t)c->x[k], times(v, c->factor[k]));
    }
  }
}

struct times_job {
  const double *e;
  double *to;
};

static void into_product(void *to, int32_t a, int32_t b, struct rfl_dd v) {
  const struct times_job *job = to;
  job->to[a] += v.hi * job->e[b];
  if (a != b) job->to[b] += v.hi * job->e[a];
}

void rfl_gram_times(const struct rfl_gram *g, struct rfl_sums s, const double *e,
                    double *to) {
  struct times_job job = {e, to};
  each_entry(g, s, into_product, &job);
}
