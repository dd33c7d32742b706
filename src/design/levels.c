#include "design/levels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "design/compiled.h"

/* One pass over frames. A factor column is marked by code and touched once a level; a
 * string is hashed once a row. */
struct rfl_levels_search {
  const struct rfl_levels_spec *spec; /* `own` */
  struct rfl_levels_spec own;
  struct rfl_levels *found; /* spec->n of them */
  uint8_t *complete;        /* of the frame in hand */
  size_t cap;
};

static enum rfl_code column_of(const struct rfl_frame *f, const char *name,
                               const struct rfl_column **gives, struct rfl_err *err) {
  ptrdiff_t at = rfl_schema_find(f->schema, name);
  if (at < 0) return rfl_fail(err, RFL_ESCHEMA, "There is no column `%s`.", name);
  *gives = &f->column[at];
  return RFL_OK;
}

/* A row counts when it has a value in every used column; a NaN is a missing value. */
static enum rfl_code mark_complete(struct rfl_levels_search *s, const struct rfl_frame *f,
                                   struct rfl_err *err) {
  memset(s->complete, 1, f->n_rows);
  for (size_t k = 0; k < s->spec->n_used; k++) {
    const struct rfl_column *c = NULL;
    RFL_TRY(column_of(f, s->spec->used[k], &c, err));
    if (c->valid)
      for (size_t i = 0; i < f->n_rows; i++)
        if (!rfl_column_has(c, i)) s->complete[i] = 0;
    if (c->type == RFL_DOUBLE)
      for (size_t i = 0; i < f->n_rows; i++)
        if (isnan(c->f64[i])) s->complete[i] = 0;
  }
  return RFL_OK;
}

/* The rows of a level, in the order of the dictionary. */
static enum rfl_code count_rows(struct rfl_levels *found, int32_t code, uint64_t rows,
                                struct rfl_err *err) {
  if (code >= found->cap) {
    int32_t cap = code > INT32_MAX / 2 ? INT32_MAX : 2 * code + 16;
    uint64_t *more = rfl_grow(found->rows, (size_t)cap, sizeof *more);
    if (!more) return rfl_no_memory(err);
    memset(more + found->cap, 0, (size_t)(cap - found->cap) * sizeof *more);
    found->rows = more;
    found->cap = cap;
  }
  found->rows[code] += rows;
  return RFL_OK;
}

/* Counts in two tables, turn and turn about: of few levels a row would wait for the count
 * of the row before it to be written. */
static enum rfl_code take_factor(struct rfl_levels_search *s, const struct rfl_column *c,
                                 size_t n, struct rfl_levels *found,
                                 struct rfl_err *err) {
  size_t levels = (size_t)c->levels;
  uint32_t *seen = rfl_alloc(2 * levels, sizeof *seen);
  if (!seen) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++)
    if (s->complete[i] && rfl_column_has(c, i))
      seen[(i & 1) * levels + (size_t)c->i32[i]]++;
  for (size_t k = 0; k < levels; k++) seen[k] += seen[levels + k];
  enum rfl_code code = RFL_OK;
  for (int32_t k = 0; !code && k < c->levels; k++) {
    if (!seen[k]) continue;
    struct rfl_bytes text = rfl_dict_level(c->dict, k);
    int32_t at;
    code = rfl_dict_code(found->dict, (const char *)text.p, text.n, &at, err);
    if (!code) code = count_rows(found, at, seen[k], err);
  }
  rfl_free(seen);
  return code;
}

static enum rfl_code take_string(struct rfl_levels_search *s, const struct rfl_column *c,
                                 size_t n, struct rfl_levels *found,
                                 struct rfl_err *err) {
  for (size_t i = 0; i < n && !found->over; i++) {
    if (!s->complete[i] || !rfl_column_has(c, i)) continue;
    int32_t code;
    RFL_TRY(rfl_dict_code(found->dict, c->bytes + c->offset[i],
                          (size_t)(c->offset[i + 1] - c->offset[i]), &code, err));
    RFL_TRY(count_rows(found, code, 1, err));
    found->over = s->spec->limit > 0 && code >= s->spec->limit;
  }
  return RFL_OK;
}

/* A logical or a number, by its canonical text. */
static enum rfl_code take_number(struct rfl_levels_search *s, const struct rfl_column *c,
                                 size_t n, struct rfl_levels *found,
                                 struct rfl_err *err) {
  char room[RFL_DOUBLE_TEXT];
  for (size_t i = 0; i < n && !found->over; i++) {
    if (!s->complete[i] || !rfl_column_has(c, i)) continue;
    if (c->type == RFL_DOUBLE && isnan(c->f64[i])) continue;
    struct rfl_bytes text = value_text(c, i, room);
    int32_t code;
    RFL_TRY(rfl_dict_code(found->dict, (const char *)text.p, text.n, &code, err));
    RFL_TRY(count_rows(found, code, 1, err));
    found->over = s->spec->limit > 0 && code >= s->spec->limit;
  }
  return RFL_OK;
}

static enum rfl_code take_frame(struct rfl_levels_search *s, const struct rfl_frame *f,
                                struct rfl_err *err) {
  if (f->n_rows > s->cap) {
    uint8_t *more = rfl_grow(s->complete, f->n_rows, 1);
    if (!more) return rfl_no_memory(err);
    s->complete = more;
    s->cap = f->n_rows;
  }
  if (f->n_rows == 0) return RFL_OK;
  RFL_TRY(mark_complete(s, f, err));
  for (size_t k = 0; k < s->spec->n; k++) {
    const struct rfl_column *c = NULL;
    RFL_TRY(column_of(f, s->spec->category[k], &c, err));
    if (c->type == RFL_FACTOR)
      RFL_TRY(take_factor(s, c, f->n_rows, &s->found[k], err));
    else if (c->type == RFL_STRING)
      RFL_TRY(take_string(s, c, f->n_rows, &s->found[k], err));
    else if (c->type <= RFL_DOUBLE)
      RFL_TRY(take_number(s, c, f->n_rows, &s->found[k], err));
    else
      return rfl_fail(
          err, RFL_ESCHEMA,
          "Column `%s` must be a factor, a string or a number to have levels, "
          "not %s.",
          s->spec->category[k], rfl_type_name(c->type));
  }
  return RFL_OK;
}

/* qsort() hands the comparison no context, so it sorts pointers to the texts. */
struct entry {
  const char *text;
  int32_t code;
};
static int by_text(const void *a, const void *b) {
  return strcmp(((const struct entry *)a)->text, ((const struct entry *)b)->text);
}

static enum rfl_code sort_levels(struct rfl_levels *found, struct rfl_err *err) {
  if (found->over) return RFL_OK;
  size_t n = (size_t)rfl_dict_size(found->dict);
  struct entry *entry = rfl_alloc(n, sizeof *entry);
  found->order = rfl_alloc(n, sizeof *found->order);
  if (!entry || !found->order) {
    rfl_free(entry);
    return rfl_no_memory(err);
  }
  for (size_t k = 0; k < n; k++) {
    struct rfl_bytes text = rfl_dict_level(found->dict, (int32_t)k);
    entry[k] = (struct entry){(const char *)text.p, (int32_t)k};
  }
  qsort(entry, n, sizeof *entry, by_text);
  for (size_t k = 0; k < n; k++) found->order[k] = entry[k].code;
  found->n = (int32_t)n;
  rfl_free(entry);
  return RFL_OK;
}

enum rfl_code rfl_levels_search_new(const struct rfl_levels_spec *spec,
                                    struct rfl_levels_search **gives,
                                    struct rfl_err *err) {
  struct rfl_levels_search *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->own = *spec;
  s->spec = &s->own;
  s->found = rfl_alloc(spec->n, sizeof *s->found);
  enum rfl_code code = s->found ? RFL_OK : rfl_no_memory(err);
  for (size_t k = 0; !code && k < spec->n; k++)
    code = rfl_dict_new(&s->found[k].dict, err);
  if (code)
    rfl_levels_search_release(s);
  else
    *gives = s;
  return code;
}

void rfl_levels_search_release(struct rfl_levels_search *s) {
  if (!s) return;
  rfl_levels_free(s->found, s->spec->n);
  rfl_free(s->complete);
  rfl_free(s);
}

enum rfl_code rfl_levels_search_take(struct rfl_levels_search *s,
                                     const struct rfl_frame *frame, struct rfl_err *err) {
  return take_frame(s, frame, err);
}

enum rfl_code rfl_levels_search_close(struct rfl_levels_search *s,
                                      struct rfl_levels **gives, struct rfl_err *err) {
  for (size_t k = 0; k < s->spec->n; k++) RFL_TRY(sort_levels(&s->found[k], err));
  *gives = s->found;
  s->found = NULL;
  return RFL_OK;
}

enum rfl_code rfl_levels_find(struct rfl_frame *const *frame, size_t n_frames,
                              const struct rfl_levels_spec *spec,
                              struct rfl_levels **gives, struct rfl_err *err) {
  struct rfl_levels_search *s = NULL;
  RFL_TRY(rfl_levels_search_new(spec, &s, err));
  enum rfl_code code = RFL_OK;
  for (size_t k = 0; !code && k < n_frames; k++) code = take_frame(s, frame[k], err);
  if (!code) code = rfl_levels_search_close(s, gives, err);
  rfl_levels_search_release(s);
  return code;
}

uint64_t rfl_levels_rows(const struct rfl_levels *levels, int32_t k) {
  return levels->rows[levels->order[k]];
}

const char *rfl_levels_text(const struct rfl_levels *levels, int32_t k) {
  return (const char *)rfl_dict_level(levels->dict, levels->order[k]).p;
}

void rfl_levels_free(struct rfl_levels *levels, size_t n) {
  if (!levels) return;
  for (size_t k = 0; k < n; k++) {
    rfl_dict_release(levels[k].dict);
    rfl_free(levels[k].order);
    rfl_free(levels[k].rows);
  }
  rfl_free(levels);
}
