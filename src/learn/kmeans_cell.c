/* Rows of a block as coordinates, row by row (row-major, padded to a multiple of four),
 * and the store that keeps them from pass to pass while there is memory. A kept cell is
 * found by the number of its first row; one thread at a time works on it, since a pass
 * has every row once. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "learn/kmeans_parts.h"

/* ---- memory ---- */

static void trace_release(struct km_trace *t) {
  void *all[] = {t->label,  t->upper, t->lower, t->sum,
                 t->weight, t->stale, t->count, t->within};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

void km_cell_release(struct km_cell *c) {
  if (!c) return;
  for (size_t r = 0; r < c->n_traces; r++) trace_release(&c->trace[r]);
  void *all[] = {c->x, c->norm, c->w, c->index, c->trace, c};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

static enum rfl_code trace_new(const struct km_setup *setup, size_t n, struct km_trace *t,
                               struct rfl_err *err) {
  size_t k = (size_t)setup->k;
  t->label = rfl_alloc(n, sizeof *t->label);
  t->upper = rfl_alloc(n, sizeof *t->upper);
  t->lower = rfl_alloc(n, sizeof *t->lower);
  t->sum = rfl_alloc(k * setup->stride, sizeof *t->sum);
  t->weight = rfl_alloc(k, sizeof *t->weight);
  t->stale = rfl_alloc(k, 1);
  t->count = rfl_alloc(k, sizeof *t->count);
  t->within = rfl_alloc(k, sizeof *t->within);
  bool ok = t->label && t->upper && t->lower && t->sum && t->weight && t->stale &&
            t->count && t->within;
  return ok ? RFL_OK : rfl_no_memory(err);
}

static enum rfl_code cell_new(const struct km_setup *setup, size_t cap, size_t traces,
                              struct km_cell **gives, struct rfl_err *err) {
  struct km_cell *c = rfl_alloc(1, sizeof *c);
  if (!c) return rfl_no_memory(err);
  c->cap = cap;
  c->x = rfl_alloc(cap * setup->stride, sizeof *c->x);
  c->norm = rfl_alloc(cap, sizeof *c->norm);
  c->index = rfl_alloc(cap, sizeof *c->index);
  c->trace = rfl_alloc(traces, sizeof *c->trace);
  enum rfl_code code =
      c->x && c->norm && c->index && c->trace ? RFL_OK : rfl_no_memory(err);
  while (!code && c->n_traces < traces)
    code = trace_new(setup, cap, &c->trace[c->n_traces++], err);
  if (code)
    km_cell_release(c);
  else
    *gives = c;
  return code;
}

static double cell_bytes(const struct km_setup *setup, size_t n, size_t traces) {
  double sums = (double)setup->k * ((double)setup->stride * 8 + 25);
  return (double)n * ((double)setup->stride * 8 + 20) +
         (double)traces * (sums + (double)n * 20);
}

/* ---- the store ---- */

enum { FEWEST_SLOTS = 1024 };

enum rfl_code km_store_new(double bytes, struct km_store **gives, struct rfl_err *err) {
  struct km_store *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->n_slots = FEWEST_SLOTS;
  s->slot = rfl_alloc(s->n_slots, sizeof(struct km_cell *));
  if (!s->slot) {
    rfl_free(s);
    return rfl_no_memory(err);
  }
  atomic_init(&s->refs, 1);
  pthread_mutex_init(&s->lock, NULL);
  s->left = bytes;
  *gives = s;
  return RFL_OK;
}

struct km_store *km_store_keep(struct km_store *s) {
  if (s) atomic_fetch_add(&s->refs, 1);
  return s;
}

void km_store_empty(struct km_store *s, double bytes) {
  for (size_t k = 0; k < s->n_slots; k++)
    for (struct km_cell *c = s->slot[k], *next; c; c = next) {
      next = c->next;
      km_cell_release(c);
    }
  memset(s->slot, 0, s->n_slots * sizeof(struct km_cell *));
  s->left = bytes;
}

void km_store_release(struct km_store *s) {
  if (!s || atomic_fetch_sub(&s->refs, 1) > 1) return;
  km_store_empty(s, 0);
  pthread_mutex_destroy(&s->lock);
  rfl_free(s->slot);
  rfl_free(s);
}

static struct km_cell **slot_of(struct km_store *s, uint64_t first) {
  return &s->slot[rfl_hash_i64(0, (int64_t)first) % s->n_slots];
}

static struct km_cell *find(struct km_store *s, const struct rfl_block *b) {
  pthread_mutex_lock(&s->lock);
  struct km_cell *c = *slot_of(s, b->first_row);
  while (c && !(c->first == b->first_row && c->rows == b->n)) c = c->next;
  pthread_mutex_unlock(&s->lock);
  return c;
}

static bool take_bytes(struct km_store *s, double bytes) {
  pthread_mutex_lock(&s->lock);
  bool enough = s->left >= bytes;
  if (enough) s->left -= bytes;
  pthread_mutex_unlock(&s->lock);
  return enough;
}

static void put(struct km_store *s, struct km_cell *c) {
  pthread_mutex_lock(&s->lock);
  struct km_cell **slot = slot_of(s, c->first);
  c->next = *slot;
  *slot = c;
  pthread_mutex_unlock(&s->lock);
}

/* ---- columns of a block ---- */

static const struct rfl_term *term_of(const struct km_setup *s, size_t j) {
  int32_t x = (int32_t)j + s->layout.intercept;
  const struct rfl_term *t = s->layout.term;
  while (!(t->x <= x && x < t->x + t->n_x)) t++;
  return t;
}

int32_t km_dense_of(const struct km_setup *s, size_t j) {
  const struct rfl_term *t = term_of(s, j);
  return t->coded < 0 ? t->dense : -1;
}

void km_coded_column(const struct km_setup *s, const struct rfl_block *b, size_t j,
                     double *to) {
  const struct rfl_term *t = term_of(s, j);
  int32_t x = (int32_t)j + s->layout.intercept;
  const int32_t *code = b->coded[t->coded].code;
  const double *v = t->dense < 0 ? NULL : b->dense[t->dense];
  const struct rfl_contrast *c = &s->contrast;
  for (size_t i = 0; i < b->n; i++) {
    size_t z = (size_t)(t->z + code[i]);
    double factor = 0;
    for (size_t e = c->at[z]; e < c->at[z + 1]; e++)
      if (c->x[e] == x) factor = c->factor[e];
    to[i] = (v ? v[i] : 1) * factor;
  }
}

enum rfl_code km_scratch(struct rfl_state *s, size_t n, struct rfl_err *err) {
  if (s->n_column >= n) return RFL_OK;
  double *more = rfl_grow(s->column, n, sizeof *more);
  if (!more) return rfl_no_memory(err);
  s->column = more;
  s->n_column = n;
  return RFL_OK;
}

enum rfl_code km_columns(struct rfl_state *s, const struct rfl_block *b,
                         const double **column, struct rfl_err *err) {
  const struct km_setup *setup = s->setup;
  if (setup->coded) RFL_TRY(km_scratch(s, setup->d * b->n, err));
  for (size_t j = 0; j < setup->d; j++) {
    int32_t dense = km_dense_of(setup, j);
    column[j] = dense >= 0 ? b->dense[dense] : s->column + j * b->n;
    if (dense < 0) km_coded_column(setup, b, j, s->column + j * b->n);
  }
  return RFL_OK;
}

/* ---- rows as coordinates ---- */

/* Which rows: those that weigh something and, while the starts are tried on a sample, are
 * in it. */
static size_t choose(const struct rfl_state *s, const struct rfl_block *b,
                     uint32_t *index) {
  bool all = !(s->it->stage == KM_SAMPLE && s->it->share < 1);
  uint64_t seed = km_seed(s->setup, -1);
  size_t n = 0;
  for (size_t i = 0; i < b->n; i++) {
    if (b->weight && !(b->weight[i] > 0)) continue;
    if (!all && !(rfl_uniform(seed, b->first_row + i, 0) < s->it->share)) continue;
    index[n++] = (uint32_t)i;
  }
  return n;
}

enum { TOGETHER = 64 }; /* rows turned at a time, so that they stay in cache */

static void turn(const struct rfl_state *s, const double *const *column,
                 struct km_cell *c) {
  const struct km_iterate *it = s->it;
  size_t d = s->setup->d, stride = s->setup->stride;
  for (size_t from = 0; from < c->n; from += TOGETHER) {
    size_t to = from + TOGETHER < c->n ? from + TOGETHER : c->n;
    for (size_t j = 0; j < d; j++) {
      double multiplier = it->multiplier[j], shift = it->shift[j], by = it->inverse[j];
      for (size_t i = from; i < to; i++)
        c->x[i * stride + j] = (column[j][c->index[i]] * multiplier - shift) * by;
    }
    for (size_t i = from; i < to; i++) {
      double *x = c->x + i * stride, square = 0;
      for (size_t j = d; j < stride; j++) x[j] = 0;
      for (size_t j = 0; j < d; j++) square += x[j] * x[j];
      c->norm[i] = sqrt(square);
    }
  }
}

static enum rfl_code fill(struct rfl_state *s, const struct rfl_block *b,
                          struct km_cell *c, struct rfl_err *err) {
  const double **column = rfl_alloc(s->setup->d, sizeof(double *));
  enum rfl_code code = column ? km_columns(s, b, column, err) : rfl_no_memory(err);
  if (!code && b->weight && !c->w) {
    c->w = rfl_alloc(c->cap, sizeof *c->w);
    if (!c->w) code = rfl_no_memory(err);
  }
  if (!code && !b->weight) {
    rfl_free(c->w);
    c->w = NULL;
  }
  if (!code) {
    c->first = b->first_row;
    c->rows = b->n;
    turn(s, column, c);
    for (size_t i = 0; c->w && i < c->n; i++) c->w[i] = b->weight[c->index[i]];
  }
  rfl_free(column);
  return code;
}

static enum rfl_code keep_cell(struct rfl_state *s, const struct rfl_block *b,
                               struct km_cell **gives, struct rfl_err *err) {
  uint32_t *index = rfl_alloc(b->n, sizeof *index);
  if (!index) return rfl_no_memory(err);
  size_t n = choose(s, b, index), runs = (size_t)s->it->n_runs;
  struct km_cell *c = NULL;
  enum rfl_code code = RFL_OK;
  if (take_bytes(s->store, cell_bytes(s->setup, n, runs)))
    code = cell_new(s->setup, n, runs, &c, err);
  if (c) {
    memcpy(c->index, index, n * sizeof *index);
    c->n = n;
    code = fill(s, b, c, err);
  }
  rfl_free(index);
  if (code) {
    km_cell_release(c);
    return code;
  }
  if (c) put(s->store, c);
  *gives = c;
  return RFL_OK;
}

enum rfl_code km_cell_get(struct rfl_state *s, const struct rfl_block *b,
                          struct km_cell **gives, struct rfl_err *err) {
  struct km_cell *c = NULL;
  if (s->store && (s->it->stage == KM_SAMPLE || s->it->stage == KM_FULL)) {
    c = find(s->store, b);
    if (!c) RFL_TRY(keep_cell(s, b, &c, err));
  }
  if (!c) {
    if (!s->cell || s->cell->cap < b->n) {
      RFL_TRY(cell_new(s->setup, b->n, 1, &c, err));
      km_cell_release(s->cell);
      s->cell = c;
    }
    c = s->cell;
    c->n = choose(s, b, c->index);
    RFL_TRY(fill(s, b, c, err));
  }
  *gives = c;
  return RFL_OK;
}
