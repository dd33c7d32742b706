/* The cell is one allocation per column, made at the first copied row, of exactly `rows`
 * rows. Weight, offset and key start as NULL in a cell whose blocks all have none; when
 * one that has them joins, the rows before it are filled with what NULL means. */
#include "num/gather.h"

#include <string.h>

#include "base/mem.h"

struct rfl_gather {
  size_t n_dense, n_coded, n_extra;
  int32_t *levels;
  bool missing; /* NaN and code -1 may come */
  uint32_t rows;
  uint64_t first; /* number of the cell's first row in the pass */
  size_t n;       /* rows in the cell */
  bool given;     /* a full cell was handed out: the next add begins anew */
  bool view;      /* the cell is a view of the caller's block */
  bool has_y, has_weight, has_offset, has_key;
  double **dense, **extra;
  int32_t **code;
  uint64_t **hash; /* of coded columns that are open sets */
  double *y, *weight, *offset;
  uint64_t *key;
  const double **dense_view, **extra_view;
  const uint64_t **hash_view;
  struct rfl_coded *coded_view;
  struct rfl_block block;
};

void rfl_gather_release(struct rfl_gather *g) {
  if (!g) return;
  for (size_t k = 0; g->dense && k < g->n_dense; k++) rfl_free(g->dense[k]);
  for (size_t k = 0; g->extra && k < g->n_extra; k++) rfl_free(g->extra[k]);
  for (size_t k = 0; g->code && k < g->n_coded; k++) rfl_free(g->code[k]);
  for (size_t k = 0; g->hash && k < g->n_coded; k++) rfl_free(g->hash[k]);
  void *all[] = {g->levels,     g->dense,      g->extra,     g->code, g->hash,
                 g->y,          g->weight,     g->offset,    g->key,  g->dense_view,
                 g->extra_view, g->coded_view, g->hash_view, g};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

enum rfl_code rfl_gather_new(const struct rfl_layout *l, uint32_t rows,
                             uint64_t first_row, struct rfl_gather **gives,
                             struct rfl_err *err) {
  if (!rows) return rfl_fail(err, RFL_EARGUMENT, "A cell must have at least one row.");
  struct rfl_gather *g = rfl_alloc(1, sizeof *g);
  if (!g) return rfl_no_memory(err);
  g->n_dense = l->n_dense;
  g->n_coded = l->n_coded;
  g->n_extra = l->n_extra;
  g->missing = l->missing;
  g->rows = rows;
  g->first = first_row;
  g->levels = rfl_alloc(l->n_coded, sizeof *g->levels);
  g->dense = rfl_alloc(l->n_dense, sizeof *g->dense);
  g->code = rfl_alloc(l->n_coded, sizeof *g->code);
  g->extra = rfl_alloc(l->n_extra, sizeof *g->extra);
  g->hash = rfl_alloc(l->n_coded, sizeof *g->hash);
  g->dense_view = rfl_alloc(l->n_dense, sizeof *g->dense_view);
  g->extra_view = rfl_alloc(l->n_extra, sizeof *g->extra_view);
  g->coded_view = rfl_alloc(l->n_coded, sizeof *g->coded_view);
  g->hash_view = rfl_alloc(l->n_coded, sizeof *g->hash_view);
  if (!g->levels || !g->dense || !g->code || !g->extra || !g->hash || !g->dense_view ||
      !g->extra_view || !g->coded_view || !g->hash_view) {
    rfl_gather_release(g);
    return rfl_no_memory(err);
  }
  for (size_t k = 0; k < l->n_coded; k++) g->levels[k] = l->levels[k];
  *gives = g;
  return RFL_OK;
}

static bool column(void **p, size_t n, size_t size) {
  if (!*p) *p = rfl_alloc(n, size);
  return *p != NULL;
}

/* All columns that the next copy may write. Memory only: the cell stays as it was. */
static bool make_room(struct rfl_gather *g, const struct rfl_block *b) {
  bool ok = true;
  for (size_t k = 0; ok && k < g->n_dense; k++)
    ok = column((void **)&g->dense[k], g->rows, sizeof(double));
  for (size_t k = 0; ok && k < g->n_extra; k++)
    ok = column((void **)&g->extra[k], g->rows, sizeof(double));
  for (size_t k = 0; ok && k < g->n_coded; k++)
    ok = g->levels[k] ? column((void **)&g->code[k], g->rows, sizeof(int32_t))
                      : column((void **)&g->hash[k], g->rows, sizeof(uint64_t));
  if (ok && b->y) ok = column((void **)&g->y, g->rows, sizeof(double));
  if (ok && b->weight) ok = column((void **)&g->weight, g->rows, sizeof(double));
  if (ok && b->offset) ok = column((void **)&g->offset, g->rows, sizeof(double));
  if (ok && b->key) ok = column((void **)&g->key, g->rows, sizeof(uint64_t));
  return ok;
}

/* Rows [g->n, g->n + n) of an optional column: the block's, or what its absence means. */
static void join(double *to, bool *has, const double *from, size_t at, size_t n,
                 double none) {
  if (from && !*has) {
    for (size_t i = 0; i < at; i++) to[i] = none;
    *has = true;
  }
  if (from)
    memcpy(to + at, from, n * sizeof *to);
  else if (*has)
    for (size_t i = 0; i < n; i++) to[at + i] = none;
}

static void copy_rows(struct rfl_gather *g, const struct rfl_block *b, size_t from,
                      size_t n) {
  for (size_t k = 0; k < g->n_dense; k++)
    memcpy(g->dense[k] + g->n, b->dense[k] + from, n * sizeof(double));
  for (size_t k = 0; k < g->n_extra; k++)
    memcpy(g->extra[k] + g->n, b->extra[k] + from, n * sizeof(double));
  for (size_t k = 0; k < g->n_coded; k++)
    if (g->levels[k])
      memcpy(g->code[k] + g->n, b->coded[k].code + from, n * sizeof(int32_t));
    else
      memcpy(g->hash[k] + g->n, b->hash[k] + from, n * sizeof(uint64_t));
  join(g->y, &g->has_y, b->y ? b->y + from : NULL, g->n, n, 0.0);
  join(g->weight, &g->has_weight, b->weight ? b->weight + from : NULL, g->n, n, 1.0);
  join(g->offset, &g->has_offset, b->offset ? b->offset + from : NULL, g->n, n, 0.0);
  if (b->key) {
    if (!g->has_key) memset(g->key, 0, g->n * sizeof *g->key);
    g->has_key = true;
    memcpy(g->key + g->n, b->key + from, n * sizeof *g->key);
  } else if (g->has_key) {
    memset(g->key + g->n, 0, n * sizeof *g->key);
  }
  g->n += n;
}

/* Rows [from, from + rows) of the block as the cell, without copying. */
static void look_at(struct rfl_gather *g, const struct rfl_block *b, size_t from) {
  for (size_t k = 0; k < g->n_dense; k++) g->dense_view[k] = b->dense[k] + from;
  for (size_t k = 0; k < g->n_extra; k++) g->extra_view[k] = b->extra[k] + from;
  for (size_t k = 0; k < g->n_coded; k++) {
    const struct rfl_coded *c = &b->coded[k];
    g->coded_view[k] = (struct rfl_coded){c->levels ? c->code + from : NULL, c->levels};
    g->hash_view[k] = c->levels ? NULL : b->hash[k] + from;
  }
  g->block = (struct rfl_block){.n = g->rows,
                                .y = b->y ? b->y + from : NULL,
                                .weight = b->weight ? b->weight + from : NULL,
                                .offset = b->offset ? b->offset + from : NULL,
                                .key = b->key ? b->key + from : NULL};
  g->n = g->rows;
  g->view = true;
}

static void begin(struct rfl_gather *g) {
  g->first += g->n;
  g->n = 0;
  g->given = g->view = false;
  g->has_y = g->has_weight = g->has_offset = g->has_key = false;
}

enum rfl_code rfl_gather_add(struct rfl_gather *g, const struct rfl_block *b, size_t from,
                             size_t *taken, struct rfl_err *err) {
  if (b->n_dense != g->n_dense || b->n_coded != g->n_coded || b->n_extra != g->n_extra)
    return rfl_fail(err, RFL_EARGUMENT, "The block has other columns than the layout.");
  for (size_t k = 0; k < g->n_coded; k++)
    if (b->coded[k].levels != g->levels[k])
      return rfl_fail(err, RFL_EARGUMENT, "A coded column has other levels.");
  if (g->given || g->n == g->rows) begin(g);
  size_t n = b->n - from, room = g->rows - g->n;
  if (!g->n && n >= g->rows) {
    look_at(g, b, from);
    *taken = g->rows;
    return RFL_OK;
  }
  if (n > room) n = room;
  if (!make_room(g, b)) return rfl_no_memory(err);
  copy_rows(g, b, from, n);
  *taken = n;
  return RFL_OK;
}

const struct rfl_block *rfl_gather_block(struct rfl_gather *g, bool rest) {
  if (g->given || !g->n || (g->n < g->rows && !rest)) return NULL;
  if (!g->view) {
    for (size_t k = 0; k < g->n_dense; k++) g->dense_view[k] = g->dense[k];
    for (size_t k = 0; k < g->n_extra; k++) g->extra_view[k] = g->extra[k];
    for (size_t k = 0; k < g->n_coded; k++) {
      g->coded_view[k] = (struct rfl_coded){g->code[k], g->levels[k]};
      g->hash_view[k] = g->hash[k];
    }
    g->block = (struct rfl_block){.n = g->n,
                                  .y = g->has_y ? g->y : NULL,
                                  .weight = g->has_weight ? g->weight : NULL,
                                  .offset = g->has_offset ? g->offset : NULL,
                                  .key = g->has_key ? g->key : NULL};
  }
  g->block.first_row = g->first;
  g->block.n_dense = g->n_dense;
  g->block.dense = g->dense_view;
  g->block.n_coded = g->n_coded;
  g->block.coded = g->coded_view;
  g->block.hash = g->hash_view;
  g->block.n_extra = g->n_extra;
  g->block.extra = g->extra_view;
  g->given = true;
  return &g->block;
}

size_t rfl_gather_pending(const struct rfl_gather *g) { return g->given ? 0 : g->n; }

static void put_u64s(struct rfl_buf *out, const uint64_t *x, size_t n) {
  for (size_t i = 0; i < n; i++) rfl_buf_u64(out, x[i]);
}

void rfl_gather_write(const struct rfl_gather *g, struct rfl_buf *out) {
  size_t n = rfl_gather_pending(g);
  bool y = n && (g->view ? g->block.y != NULL : g->has_y);
  bool weight = n && (g->view ? g->block.weight != NULL : g->has_weight);
  bool offset = n && (g->view ? g->block.offset != NULL : g->has_offset);
  bool key = n && (g->view ? g->block.key != NULL : g->has_key);
  rfl_buf_u64(out, g->given ? g->first + g->n : g->first);
  rfl_buf_u64(out, n);
  rfl_buf_u8(out, (uint8_t)(y | weight << 1 | offset << 2 | key << 3));
  for (size_t k = 0; n && k < g->n_dense; k++)
    rfl_buf_doubles(out, g->view ? g->dense_view[k] : g->dense[k], n);
  for (size_t k = 0; n && k < g->n_extra; k++)
    rfl_buf_doubles(out, g->view ? g->extra_view[k] : g->extra[k], n);
  for (size_t k = 0; n && k < g->n_coded; k++)
    if (g->levels[k])
      rfl_buf_i32s(out, g->view ? g->coded_view[k].code : g->code[k], n);
    else
      put_u64s(out, g->view ? g->hash_view[k] : g->hash[k], n);
  if (y) rfl_buf_doubles(out, g->view ? g->block.y : g->y, n);
  if (weight) rfl_buf_doubles(out, g->view ? g->block.weight : g->weight, n);
  if (offset) rfl_buf_doubles(out, g->view ? g->block.offset : g->offset, n);
  const uint64_t *keys = g->view ? g->block.key : g->key;
  if (key) put_u64s(out, keys, n);
}

/* The codes and weights that came in: what absorb() trusts must be checked here. */
static bool sane(const struct rfl_gather *g) {
  int32_t least = g->missing ? -2 : 0;
  for (size_t k = 0; k < g->n_coded; k++)
    for (size_t i = 0; g->levels[k] && i < g->n; i++)
      if (g->code[k][i] < least || g->code[k][i] >= g->levels[k]) return false;
  for (size_t k = 0; !g->missing && k < g->n_dense; k++)
    for (size_t i = 0; i < g->n; i++)
      if (!(g->dense[k][i] - g->dense[k][i] == 0)) return false;
  for (size_t i = 0; i < g->n; i++) {
    if (g->has_y && !(g->y[i] - g->y[i] == 0)) return false;
    if (g->has_weight && !(g->weight[i] >= 0 && g->weight[i] - g->weight[i] == 0))
      return false;
    if (g->has_offset && !(g->offset[i] - g->offset[i] == 0)) return false;
  }
  return true;
}

static void read_u64s(struct rfl_reader *in, uint64_t *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = rfl_read_u64(in);
}

enum rfl_code rfl_gather_read(struct rfl_gather *g, struct rfl_reader *in,
                              struct rfl_err *err) {
  static const char damaged[] = "The rows that wait to be learnt are damaged.";
  uint64_t first = rfl_read_u64(in), n = rfl_read_u64(in);
  uint8_t has = rfl_read_u8(in);
  size_t row = (g->n_dense + g->n_extra) * 8;
  for (size_t k = 0; k < g->n_coded; k++) row += g->levels[k] ? 4 : 8;
  for (int bit = 0; bit < 4; bit++) row += has >> bit & 1 ? 8 : 0;
  if (in->bad || n > g->rows || (row && n > (size_t)(in->end - in->at) / row) ||
      has > 15 || (!n && has))
    return rfl_fail(err, RFL_EDATA, damaged);
  static const double any = 0;
  const struct rfl_block shape = {.y = has & 1 ? &any : NULL,
                                  .weight = has & 2 ? &any : NULL,
                                  .offset = has & 4 ? &any : NULL,
                                  .key = has & 8 ? &(const uint64_t){0} : NULL};
  g->n = 0;
  begin(g);
  if (n && !make_room(g, &shape)) return rfl_no_memory(err);
  for (size_t k = 0; n && k < g->n_dense; k++)
    rfl_read_doubles(in, g->dense[k], (size_t)n);
  for (size_t k = 0; n && k < g->n_extra; k++)
    rfl_read_doubles(in, g->extra[k], (size_t)n);
  for (size_t k = 0; n && k < g->n_coded; k++)
    if (g->levels[k])
      rfl_read_i32s(in, g->code[k], (size_t)n);
    else
      read_u64s(in, g->hash[k], (size_t)n);
  if (has & 1) rfl_read_doubles(in, g->y, (size_t)n);
  if (has & 2) rfl_read_doubles(in, g->weight, (size_t)n);
  if (has & 4) rfl_read_doubles(in, g->offset, (size_t)n);
  if (has & 8) read_u64s(in, g->key, (size_t)n);
  g->first = first;
  g->n = (size_t)n;
  g->has_y = has & 1;
  g->has_weight = has >> 1 & 1;
  g->has_offset = has >> 2 & 1;
  g->has_key = has >> 3 & 1;
  if (!in->bad && sane(g)) return RFL_OK;
  g->n = 0;
  return rfl_fail(err, RFL_EDATA, damaged);
}
