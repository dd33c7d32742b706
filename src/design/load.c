/* Values of a slice's columns: numbers, codes of levels, hashes; and which rows lack one.
 * A dictionary is looked through once a level, not once a row. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "design/workspace.h"

static double number_at(const struct rfl_column *c, size_t row) {
  switch (c->type) {
    case RFL_DOUBLE:
      return c->f64[row];
    case RFL_INTEGER64:
      return (double)c->i64[row];
    case RFL_TIMESTAMP:
      return (double)c->i64[row] / 1e6; /* seconds, as R's as.numeric() */
    default:
      return c->i32[row];
  }
}

static bool all_there(const struct rfl_column *c, size_t from, size_t n) {
  size_t i = from, end = from + n;
  if (!c->valid) return true;
  for (; i < end && i % 8; i++)
    if (!rfl_column_has(c, i)) return false;
  for (; i + 8 <= end; i += 8)
    if (c->valid[i >> 3] != 0xff) return false;
  for (; i < end; i++)
    if (!rfl_column_has(c, i)) return false;
  return true;
}

/* Bytes. A slice has a few pages of each column, too few for the CPU to find out by
 * itself what will be read next. Asking beyond the end does no harm. */
enum { AHEAD = 2048 };

/* Whether all are finite: times 0, what is not becomes NaN. Four sums at a time, since
 * passes over numbers that need no marks should cost no more than reading them. */
static bool all_finite(const double *x, size_t n) {
  double a = 0, b = 0, c = 0, d = 0;
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    __builtin_prefetch(x + i + AHEAD / sizeof *x);
    a += x[i] * 0;
    b += x[i + 1] * 0;
    c += x[i + 2] * 0;
    d += x[i + 3] * 0;
  }
  for (; i < n; i++) a += x[i] * 0;
  return (a + b) + (c + d) == 0;
}

/* A double column of a slice is used where it lies, unless it lacks values for which NaN
 * is to stand: what the slot of one holds is not looked at. */
static void numbers_load(struct rfl_workspace *w, struct source_column *to,
                         const struct rfl_column *c, const struct rfl_rows *rows) {
  bool view = c->type == RFL_DOUBLE;
  to->view = view ? c->f64 + rows->row : to->number;
  if (view && !to->weight && all_there(c, rows->row, rows->n) &&
      all_finite(to->view, rows->n))
    return;
  view &= to->missing != 0;
  if (!view) to->view = to->number;
  for (size_t i = 0; i < rows->n; i++) {
    size_t at = rows->row + i;
    if (!rfl_column_has(c, at)) {
      w->mark[i] |= to->missing;
      if (!view) to->number[i] = NAN;
      continue;
    }
    double x = number_at(c, at);
    if (isinf(x) && to->feature && !to->infinite) x = NAN;
    if (!view) to->number[i] = x;
    if (!(x - x == 0)) w->mark[i] |= isnan(x) ? to->missing : to->infinite;
    if (to->weight && x < 0) w->mark[i] |= MARK_WEIGHT;
  }
}

static enum rfl_code map_grow(struct dict_map *m, const struct source_column *to,
                              int32_t levels, struct rfl_err *err) {
  if (levels <= m->cap) return RFL_OK;
  int32_t cap = levels > INT32_MAX / 2 ? INT32_MAX : 2 * levels;
  bool hash = to->load == LOAD_HASH;
  void *more = rfl_grow(hash ? (void *)m->hash : (void *)m->level, (size_t)cap,
                        hash ? sizeof *m->hash : sizeof *m->level);
  if (!more) return rfl_no_memory(err);
  if (hash)
    m->hash = more;
  else
    m->level = more;
  m->cap = cap;
  return RFL_OK;
}

/* The map of this column's dictionary, long enough for the levels that the frame may use.
 */
static enum rfl_code map_of(struct source_column *to, const struct rfl_column *c,
                            const struct dict_map **gives, struct rfl_err *err) {
  struct dict_map *m = NULL;
  for (int k = 0; k < MAPS && !m; k++)
    if (to->map[k].dict == c->dict) m = &to->map[k];
  if (!m) {
    m = &to->map[to->next];
    to->next = (to->next + 1) % MAPS;
    rfl_dict_release(m->dict);
    m->dict = rfl_dict_keep(c->dict);
    m->n = 0;
    m->shifts = to->load == LOAD_LEVEL;
  }
  RFL_TRY(map_grow(m, to, c->levels, err));
  for (; m->n < c->levels; m->n++) {
    struct rfl_bytes text = rfl_dict_level(c->dict, m->n);
    if (to->load == LOAD_HASH)
      m->hash[m->n] = hash_text(to->key, text);
    else
      m->level[m->n] = level_find(to->levels, (const char *)text.p, text.n);
    m->shifts = m->shifts && m->level[m->n] == m->n + m->level[0];
  }
  *gives = m;
  return RFL_OK;
}

static int32_t level_of_value(const struct source_column *to, const struct rfl_column *c,
                              size_t row) {
  char room[RFL_DOUBLE_TEXT];
  struct rfl_bytes text = value_text(c, row, room);
  return level_find(to->levels, (const char *)text.p, text.n);
}

/* "user_id: 'u17'", cut at a whole character. */
static void describe(const struct source_column *to, const struct rfl_column *c,
                     size_t row, char *out, size_t size) {
  char number[RFL_DOUBLE_TEXT];
  struct rfl_bytes text = value_text(c, row, number);
  size_t name = rfl_utf8_prefix(
      to->name, size / 2 < strlen(to->name) ? size / 2 : strlen(to->name));
  size_t room = size - name - 6, n = text.n < room ? text.n : room;
  n = rfl_utf8_prefix((const char *)text.p, n);
  snprintf(out, size, "%.*s: '%.*s'", (int)name, to->name, (int)n, (const char *)text.p);
}

/* A code below 0 may also be that of a missing value, where rows with one stay. */
void unseen_describe(const struct rfl_workspace *w, const struct rfl_rows *rows, size_t i,
                     char *out, size_t size) {
  for (size_t k = 0; k < w->n_columns; k++) {
    const struct source_column *c = &w->column[k];
    if (c->load != LOAD_LEVEL || c->code[i] >= 0) continue;
    const struct rfl_column *from = &rows->frame->column[c->at];
    if (!rfl_column_has(from, rows->row + i)) continue;
    describe(c, from, rows->row + i, out, size);
    return;
  }
}

/* Levels in the order of the dictionary: no look-ups, four rows at a time. */
static bool codes_shift(int32_t by, const int32_t *from, size_t n, int32_t *to) {
  typedef int32_t four __attribute__((vector_size(16), aligned(4), may_alias));
  four any = {0};
  int32_t rest = 0;
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    __builtin_prefetch(from + i + AHEAD / sizeof *from);
    four level = *(const four *)(from + i) + by;
    *(four *)(to + i) = level;
    any |= level;
  }
  for (; i < n; i++) rest |= to[i] = from[i] + by;
  return (any[0] | any[1] | any[2] | any[3] | rest) >= 0;
}

/* Codes of rows that all have a value, by way of a map: false when one is no level. */
static bool codes_map(const struct dict_map *map, const int32_t *from, size_t n,
                      int32_t *to) {
  int32_t any = 0; /* its sign: one below 0 */
  if (map->shifts && map->n) return codes_shift(map->level[0], from, n, to);
  for (size_t i = 0; i < n; i++) {
    to[i] = map->level[from[i]];
    any |= to[i];
  }
  return any >= 0;
}

static enum rfl_code codes_load(struct rfl_workspace *w, struct source_column *to,
                                const struct rfl_column *c, const struct rfl_rows *rows,
                                struct rfl_err *err) {
  const struct dict_map *map = NULL;
  if (c->type == RFL_FACTOR) RFL_TRY(map_of(to, c, &map, err));
  int32_t other = to->other;
  if (other < 0 && to->unseen == MARK_NEW) other = -2;
  if (map && all_there(c, rows->row, rows->n) &&
      codes_map(map, c->i32 + rows->row, rows->n, to->code))
    return RFL_OK;
  for (size_t i = 0; i < rows->n; i++) {
    size_t at = rows->row + i;
    if (!rfl_column_has(c, at) || (c->type == RFL_DOUBLE && isnan(c->f64[at]))) {
      w->mark[i] |= to->missing;
      to->code[i] = to->missing ? 0 : -1;
      continue;
    }
    int32_t level = map ? map->level[c->i32[at]] : level_of_value(to, c, at);
    to->code[i] = level < 0 ? other : level;
    if (level < 0) w->mark[i] |= other >= 0 ? MARK_POOLED : to->unseen;
  }
  return RFL_OK;
}

/* A feature's missing value is one of its own; that of a bucket is as of a number. */
static enum rfl_code hashes_load(struct rfl_workspace *w, struct source_column *to,
                                 const struct rfl_column *c, const struct rfl_rows *rows,
                                 struct rfl_err *err) {
  const struct dict_map *map = NULL;
  uint64_t none = hash_missing(to->key);
  if (c->type == RFL_FACTOR) RFL_TRY(map_of(to, c, &map, err));
  for (size_t i = 0; i < rows->n; i++) {
    size_t at = rows->row + i;
    if (!rfl_column_has(c, at))
      to->hash[i] = none;
    else
      to->hash[i] = map ? map->hash[c->i32[at]] : hash_value(to->key, c, at);
  }
  if (!to->buckets) return RFL_OK;
  to->view = to->number;
  for (size_t i = 0; i < rows->n; i++) {
    bool missing = to->hash[i] == none;
    to->number[i] = missing ? (double)NAN : (double)(to->hash[i] % (uint64_t)to->buckets);
    if (missing) w->mark[i] |= to->missing;
  }
  return RFL_OK;
}

enum rfl_code column_load(struct rfl_workspace *w, struct source_column *to,
                          const struct rfl_rows *rows, struct rfl_err *err) {
  const struct rfl_column *c = &rows->frame->column[to->at];
  if (to->load == LOAD_LEVEL) return codes_load(w, to, c, rows, err);
  if (to->load == LOAD_HASH) return hashes_load(w, to, c, rows, err);
  numbers_load(w, to, c, rows);
  return RFL_OK;
}
