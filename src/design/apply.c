/* Rows of a frame into a block: load every column that is needed, judge each row once,
 * close the gaps of rows left out, then multiply and cross. Columns of complete slices
 * that are plain doubles are never copied. */
#include <math.h>
#include <string.h>

#include "design/workspace.h"

/* ---- judging rows ---- */

static enum rfl_code refuse_infinite(const struct rfl_workspace *w,
                                     const struct rfl_rows *rows, size_t i,
                                     struct rfl_err *err) {
  for (size_t k = 0; k < w->n_columns; k++) {
    const struct source_column *c = &w->column[k];
    if (c->load == LOAD_NUMBER && c->infinite && isinf(c->view[i]))
      return rfl_fail(err, RFL_EDATA, "The column `%s` is infinite in row %zu.", c->name,
                      rows->row + i + 1);
  }
  return RFL_OK;
}

static enum rfl_code refuse_weight(const struct rfl_workspace *w,
                                   const struct rfl_rows *rows, size_t i,
                                   struct rfl_err *err) {
  return rfl_fail(err, RFL_EDATA,
                  "The weight `%s` of row %zu is missing, negative or infinite.",
                  w->recipe->weight, rows->row + i + 1);
}

/* A level the recipe does not know, in a row that is complete otherwise. */
static enum rfl_code judge_unseen(const struct rfl_workspace *w,
                                  const struct rfl_rows *rows, size_t i,
                                  struct rfl_count *count, bool *use,
                                  struct rfl_err *err) {
  if (!count->first_unseen[0])
    unseen_describe(w, rows, i, count->first_unseen, sizeof count->first_unseen);
  count->unseen++;
  *use = false;
  if (w->unseen == RFL_UNSEEN_ERROR) {
    char what[256] = "";
    unseen_describe(w, rows, i, what, sizeof what);
    return rfl_fail(err, RFL_EDATA,
                    "Row %zu has a level that the model does not know: %s.",
                    rows->row + i + 1, what);
  }
  if (w->unseen == RFL_UNSEEN_NA) return RFL_OK;
  *use = true;
  for (size_t k = 0; k < w->n_columns; k++) {
    const struct source_column *c = &w->column[k];
    if (c->load != LOAD_LEVEL || c->code[i] >= 0 || c->unseen != MARK_UNSEEN) continue;
    if (!c->feature) *use = false; /* a response has no reference, an extra neither */
    c->code[i] = 0;
  }
  return RFL_OK;
}

/* A row that is used with a level that is pooled, or none. */
static void count_level(const struct rfl_workspace *w, const struct rfl_rows *rows,
                        size_t i, struct rfl_count *count) {
  count->pooled += (w->mark[i] & MARK_POOLED) != 0;
  if (!(w->mark[i] & MARK_NEW)) return;
  count->unseen++;
  if (!count->first_unseen[0])
    unseen_describe(w, rows, i, count->first_unseen, sizeof count->first_unseen);
}

static enum rfl_code judge_row(const struct rfl_workspace *w, const struct rfl_rows *rows,
                               size_t i, struct rfl_count *count, struct rfl_err *err,
                               bool *use) {
  uint8_t mark = w->mark[i];
  *use = !(mark & ~(MARK_NEW | MARK_POOLED));
  if (*use) {
    count_level(w, rows, i, count);
    return RFL_OK;
  }
  if (mark & MARK_MISSING) {
    count->missing++;
    return RFL_OK;
  }
  if (mark & MARK_WEIGHT) return refuse_weight(w, rows, i, err);
  if (mark & MARK_INFINITE) {
    count->missing++;
    return w->purpose == RFL_FOR_LEARNING ? refuse_infinite(w, rows, i, err) : RFL_OK;
  }
  return judge_unseen(w, rows, i, count, use, err);
}

/* Numbers of the rows of the slice that are used, into w->row; how many. */
static enum rfl_code judge(struct rfl_workspace *w, const struct rfl_rows *rows,
                           size_t *n, struct rfl_count *count, struct rfl_err *err) {
  *n = 0;
  for (size_t i = 0; i < rows->n; i++) {
    bool use = true;
    if (w->mark[i]) RFL_TRY(judge_row(w, rows, i, count, err, &use));
    w->row[*n] = (uint32_t)i;
    *n += use;
  }
  count->rows += rows->n;
  count->used += *n;
  return RFL_OK;
}

/* ---- columns of the block ---- */

static void close_gaps(struct rfl_workspace *w, size_t n) {
  for (size_t k = 0; k < w->n_columns; k++) {
    struct source_column *c = &w->column[k];
    if (c->load == LOAD_LEVEL || c->slots) {
      for (size_t i = 0; i < n; i++) c->code[i] = c->code[w->row[i]];
    } else if (c->load == LOAD_NUMBER || c->buckets) {
      for (size_t i = 0; i < n; i++) c->number[i] = c->view[w->row[i]];
      c->view = c->number;
    } else if (!c->with) {
      for (size_t i = 0; i < n; i++) c->hash[i] = c->hash[w->row[i]];
    }
  }
  for (size_t i = 0; w->recipe->keyed && i < n; i++) w->key[i] = w->key[w->row[i]];
}

/* Crossed values are joined, and hashes become slots, before gaps are closed. */
static void finish_hashes(struct rfl_workspace *w, size_t n) {
  for (size_t k = 0; k < w->n_columns; k++) {
    const struct source_column *c = &w->column[k];
    if (!c->with) continue;
    uint64_t *to = w->column[c->join].hash;
    for (size_t i = 0; i < n; i++) to[i] = hash_join(to[i], c->hash[i]);
  }
  for (size_t k = 0; k < w->n_columns; k++) {
    struct source_column *c = &w->column[k];
    if (!c->slots) continue;
    int shift = c->slots->shift;
    for (size_t i = 0; i < n; i++)
      c->code[i] = shift == 64 ? 0 : (int32_t)(c->hash[i] >> shift);
  }
}

static void multiply(struct rfl_workspace *w, size_t n) {
  const struct rfl_recipe *r = w->recipe;
  for (size_t k = 0; k < r->layout.n_dense; k++) {
    const struct product *p = &r->dense[k];
    w->dense[k] = w->column[p->variable[0]].view;
    if (p->n == 1) continue;
    double *to = w->product[k];
    memcpy(to, w->dense[k], n * sizeof *to);
    for (size_t f = 1; f < p->n; f++) {
      const double *x = w->column[p->variable[f]].view;
      for (size_t i = 0; i < n; i++) to[i] *= x[i];
    }
    w->dense[k] = to;
  }
}

/* A missing value makes a cell missing (-1), else one never seen makes it unseen (-2). */
static int32_t join_codes(int32_t cell, int32_t stride, int32_t code) {
  if (cell >= 0 && code >= 0) return cell + stride * code;
  return cell == -1 || code == -1 ? -1 : -2;
}

/* Crossed codes: the first factor varies fastest. */
static void cross_codes(struct rfl_workspace *w, const struct product *p, size_t n,
                        int32_t *to) {
  const struct source_column *first = &w->column[p->variable[0]];
  int32_t stride = first->levels->n;
  memcpy(to, first->code, n * sizeof *to);
  for (size_t f = 1; f < p->n; f++) {
    const struct source_column *c = &w->column[p->variable[f]];
    if (w->recipe->missing)
      for (size_t i = 0; i < n; i++) to[i] = join_codes(to[i], stride, c->code[i]);
    else
      for (size_t i = 0; i < n; i++) to[i] += stride * c->code[i];
    stride *= c->levels->n;
  }
}

static void cross(struct rfl_workspace *w, size_t n) {
  const struct rfl_recipe *r = w->recipe;
  for (size_t k = 0; k < r->layout.n_coded; k++) {
    const struct product *p = &r->coded[k];
    const struct source_column *first = &w->column[p->variable[0]];
    int32_t levels = r->layout.levels[k];
    w->coded[k] = (struct rfl_coded){levels ? first->code : NULL, levels};
    w->hash[k] = levels ? NULL : first->hash;
    if (p->n == 1) continue;
    cross_codes(w, p, n, w->cross[k]);
    w->coded[k].code = w->cross[k];
  }
}

/* Codes as numbers: a class is 0 for the first level and 1 for any other. */
static const double *code_numbers(struct source_column *c, bool class, size_t n) {
  if (c->load != LOAD_LEVEL) return c->view;
  for (size_t i = 0; i < n; i++) {
    double code = c->code[i];
    c->number[i] = class ? code > 0 : code < 0 ? (double)NAN : code;
  }
  return c->number;
}

static const double *offsets(struct rfl_workspace *w, const struct source_column *c,
                             size_t n) {
  size_t many = w->recipe->n_offsets;
  if (!many) return NULL;
  if (many == 1) return c->view;
  memcpy(w->offset, c->view, n * sizeof *w->offset);
  for (size_t k = 1; k < many; k++)
    for (size_t i = 0; i < n; i++) w->offset[i] += c[k].view[i];
  return w->offset;
}

static void fill(struct rfl_workspace *w, const struct rfl_rows *rows, size_t n,
                 struct rfl_block *b) {
  const struct rfl_recipe *r = w->recipe;
  bool all = n == rows->n, learn = w->purpose == RFL_FOR_LEARNING;
  if (!all) close_gaps(w, n);
  multiply(w, n);
  cross(w, n);
  *b = (struct rfl_block){.n = n,
                          .row = all ? NULL : w->row,
                          .n_dense = r->layout.n_dense,
                          .dense = w->dense,
                          .n_coded = r->layout.n_coded,
                          .coded = w->coded,
                          .hash = w->open ? w->hash : NULL,
                          .n_extra = r->n_extra,
                          .extra = w->extra,
                          .key = r->keyed ? w->key : NULL};
  if (learn && r->y)
    b->y = code_numbers(&w->column[w->y_at], r->response == RFL_RESPONSE_CLASS, n);
  if (learn && r->weight) b->weight = w->column[w->weight_at].view;
  b->offset = offsets(w, &w->column[w->offsets_at], n);
  for (size_t k = 0; k < r->n_extra; k++)
    w->extra[k] = w->extra_at[k] == SIZE_MAX
                      ? NULL
                      : code_numbers(&w->column[w->extra_at[k]], false, n);
  if (!all)
    for (size_t i = 0; i < n; i++) w->row[i] += rows->row;
}

enum rfl_code rfl_recipe_apply(const struct rfl_recipe *r, const struct rfl_rows *rows,
                               struct rfl_workspace *w, struct rfl_block *block,
                               struct rfl_err *err) {
  if (w->recipe != r)
    return rfl_fail(err, RFL_EARGUMENT, "The workspace was made for another recipe.");
  RFL_TRY(workspace_bind(w, rows->frame->schema, err));
  RFL_TRY(workspace_room(w, rows->n ? rows->n : 1, err));
  memset(w->mark, 0, rows->n);
  for (size_t k = 0; k < w->n_columns; k++)
    RFL_TRY(column_load(w, &w->column[k], rows, err));
  if (r->keyed) RFL_TRY(keys_load(w, rows, err));
  finish_hashes(w, rows->n);
  struct rfl_count count = w->count;
  size_t n;
  RFL_TRY(judge(w, rows, &n, &count, err));
  fill(w, rows, n, block);
  for (size_t i = 0; block->weight && i < n; i++)
    count.zero_weight += block->weight[i] == 0;
  w->count = count;
  w->next_row += rows->n;
  return RFL_OK;
}

/* ---- the model matrix ---- */

static double entry(const struct rfl_coding *c, int32_t level, int32_t column) {
  if (c->select) return c->select[level] == column;
  return c->matrix[(size_t)column * (size_t)c->levels + (size_t)level];
}

/* Column x of a term for cell z of its crossed factors, or slot z of a hashed one. */
static double contrast(const struct rfl_term *t, int32_t z, int32_t x) {
  double f = 1;
  if (z < 0) return NAN;
  if (!t->n_codings) return z == x;
  for (size_t k = 0; k < t->n_codings; k++) {
    const struct rfl_coding *c = &t->coding[k];
    f *= entry(c, z % c->levels, x % c->columns);
    z /= c->levels;
    x /= c->columns;
  }
  return f;
}

void rfl_design_expand(const struct rfl_layout *l, const struct rfl_block *b, double *x) {
  memset(x, 0, (size_t)l->n_x * b->n * sizeof *x); /* terms that share slots add up */
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    const int32_t *code = term->coded < 0 ? NULL : b->coded[term->coded].code;
    const double *v = term->dense < 0 ? NULL : b->dense[term->dense];
    for (int32_t c = 0; c < term->n_x; c++) {
      double *to = x + (size_t)(term->x + c) * b->n;
      for (size_t i = 0; i < b->n; i++)
        to[i] += (v ? v[i] : 1.0) * (code ? contrast(term, code[i], c) : 1.0);
    }
  }
}
