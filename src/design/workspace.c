/* A workspace binds a recipe to the frames that come: which column is where (looked up
 * once a schema), which code of a dictionary is which level (once a code). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "design/compiled.h"

static void column_release(struct source_column *c) {
  for (int k = 0; k < MAPS; k++) {
    rfl_dict_release(c->map[k].dict);
    rfl_free(c->map[k].level);
  }
  rfl_free(c->number);
  rfl_free(c->code);
}

void rfl_workspace_release(struct rfl_workspace *w) {
  if (!w) return;
  const struct rfl_layout *l = &w->recipe->layout;
  for (size_t k = 0; w->column && k < w->n_columns; k++) column_release(&w->column[k]);
  for (size_t k = 0; w->product && k < l->n_dense; k++) rfl_free(w->product[k]);
  for (size_t k = 0; w->cross && k < l->n_coded; k++) rfl_free(w->cross[k]);
  rfl_schema_release(w->schema);
  rfl_recipe_release(w->recipe);
  void *all[] = {w->column, w->mark,  w->row,   w->product, w->offset,
                 w->cross,  w->dense, w->coded, w};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

/* Variables, then (for learning) response and weight, then offsets. */
static void list_columns(struct rfl_workspace *w) {
  const struct rfl_recipe *r = w->recipe;
  struct source_column *c = w->column;
  for (size_t k = 0; k < r->n_variables; k++, c++)
    *c = (struct source_column){.name = r->variable[k].name,
                                .category = r->variable[k].kind == RFL_CATEGORY,
                                .levels = &r->variable[k].levels};
  if (w->purpose == RFL_FOR_LEARNING && r->y)
    *c++ = (struct source_column){.name = r->y,
                                  .category = r->response == RFL_RESPONSE_CLASS,
                                  .levels = &r->y_levels};
  if (w->purpose == RFL_FOR_LEARNING && r->weight)
    *c++ = (struct source_column){.name = r->weight, .weight = true};
  for (size_t k = 0; k < r->n_offsets; k++, c++)
    *c = (struct source_column){.name = r->offset[k]};
  w->n_columns = (size_t)(c - w->column);
}

enum rfl_code rfl_workspace_new(const struct rfl_recipe *recipe, enum rfl_purpose purpose,
                                enum rfl_unseen unseen, struct rfl_workspace **gives,
                                struct rfl_err *err) {
  struct rfl_workspace *w = rfl_alloc(1, sizeof *w);
  if (!w) return rfl_no_memory(err);
  /* Counting references is all that is ever written to a recipe. */
  w->recipe = rfl_recipe_keep((struct rfl_recipe *)(uintptr_t)recipe);
  w->purpose = purpose;
  w->unseen = unseen;
  const struct rfl_layout *l = &recipe->layout;
  w->column = rfl_alloc(recipe->n_variables + 2 + recipe->n_offsets, sizeof *w->column);
  w->product = rfl_alloc(l->n_dense, sizeof *w->product);
  w->cross = rfl_alloc(l->n_coded, sizeof *w->cross);
  w->dense = rfl_alloc(l->n_dense, sizeof *w->dense);
  w->coded = rfl_alloc(l->n_coded, sizeof *w->coded);
  if (!w->column || !w->product || !w->cross || !w->dense || !w->coded) {
    rfl_workspace_release(w);
    return rfl_no_memory(err);
  }
  list_columns(w);
  *gives = w;
  return RFL_OK;
}

const struct rfl_count *rfl_workspace_count(const struct rfl_workspace *w) {
  return &w->count;
}

/* ---- binding ---- */

static bool type_fits(const struct source_column *c, enum rfl_type type) {
  if (c->category)
    return type == RFL_FACTOR || type == RFL_STRING || type == RFL_LOGICAL ||
           type == RFL_INTEGER || type == RFL_INTEGER64;
  return type != RFL_FACTOR && type != RFL_STRING && type != RFL_RAW;
}

enum rfl_code workspace_bind(struct rfl_workspace *w, const struct rfl_schema *schema,
                             struct rfl_err *err) {
  if (w->schema == schema) return RFL_OK;
  for (size_t k = 0; k < w->n_columns; k++) {
    struct source_column *c = &w->column[k];
    ptrdiff_t at = rfl_schema_find(schema, c->name);
    if (at < 0)
      return rfl_fail(err, RFL_ESCHEMA, "There is no column `%s`, which the model uses.",
                      c->name);
    enum rfl_type type = schema->field[at].type;
    if (!type_fits(c, type))
      return rfl_fail(err, RFL_ESCHEMA,
                      "The column `%s` is of type %s; the model uses it as a %s.",
                      c->name, rfl_type_name(type), c->category ? "category" : "number");
  }
  for (size_t k = 0; k < w->n_columns; k++)
    w->column[k].at = rfl_schema_find(schema, w->column[k].name);
  rfl_schema_release(w->schema);
  w->schema = rfl_schema_keep((struct rfl_schema *)(uintptr_t)schema);
  return RFL_OK;
}

static bool grow(void **p, size_t n, size_t size) {
  void *more = rfl_grow(*p, n, size);
  if (more) *p = more;
  return more != NULL;
}

enum rfl_code workspace_room(struct rfl_workspace *w, size_t n, struct rfl_err *err) {
  if (n <= w->cap) return RFL_OK;
  const struct rfl_recipe *r = w->recipe;
  bool ok = grow((void **)&w->mark, n, 1) && grow((void **)&w->row, n, sizeof *w->row);
  for (size_t k = 0; ok && k < w->n_columns; k++) {
    struct source_column *c = &w->column[k];
    bool code = c->category;
    if (code) ok = grow((void **)&c->code, n, sizeof *c->code);
    if (ok && (!code || c->levels == &r->y_levels))
      ok = grow((void **)&c->number, n, sizeof *c->number);
  }
  for (size_t k = 0; ok && k < r->layout.n_dense; k++)
    if (r->dense[k].n > 1) ok = grow((void **)&w->product[k], n, sizeof **w->product);
  for (size_t k = 0; ok && k < r->layout.n_coded; k++)
    if (r->coded[k].n > 1) ok = grow((void **)&w->cross[k], n, sizeof **w->cross);
  if (ok && r->n_offsets > 1) ok = grow((void **)&w->offset, n, sizeof *w->offset);
  if (!ok) return rfl_no_memory(err);
  w->cap = n;
  return RFL_OK;
}

/* ---- values ---- */

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

/* A double column of a slice is used where it lies; everything else is converted. What a
 * missing value's slot holds is not looked at. */
static void numbers_load(struct rfl_workspace *w, struct source_column *to,
                         const struct rfl_column *c, const struct rfl_rows *rows) {
  bool view = c->type == RFL_DOUBLE;
  const uint8_t missing = to->weight ? MARK_WEIGHT : MARK_MISSING;
  const uint8_t infinite = to->weight ? MARK_WEIGHT : MARK_INFINITE;
  to->view = view ? c->f64 + rows->row : to->number;
  for (size_t i = 0; i < rows->n; i++) {
    size_t at = rows->row + i;
    if (!rfl_column_has(c, at)) {
      w->mark[i] |= missing;
      if (!view) to->number[i] = NAN;
      continue;
    }
    double x = number_at(c, at);
    if (!view) to->number[i] = x;
    if (!(x - x == 0)) w->mark[i] |= isnan(x) ? missing : infinite;
    if (to->weight && x < 0) w->mark[i] |= MARK_WEIGHT;
  }
}

/* The map of this column's dictionary, long enough for the levels that the frame may use.
 */
static enum rfl_code map_of(struct source_column *to, const struct rfl_column *c,
                            const int32_t **gives, struct rfl_err *err) {
  struct dict_map *m = NULL;
  for (int k = 0; k < MAPS && !m; k++)
    if (to->map[k].dict == c->dict) m = &to->map[k];
  if (!m) {
    m = &to->map[to->next];
    to->next = (to->next + 1) % MAPS;
    rfl_dict_release(m->dict);
    m->dict = rfl_dict_keep(c->dict);
    m->n = 0;
  }
  if (c->levels > m->cap) {
    int32_t cap = c->levels > INT32_MAX / 2 ? INT32_MAX : 2 * c->levels;
    int32_t *level = rfl_grow(m->level, (size_t)cap, sizeof *level);
    if (!level) return rfl_no_memory(err);
    m->level = level;
    m->cap = cap;
  }
  for (; m->n < c->levels; m->n++) {
    struct rfl_bytes text = rfl_dict_level(c->dict, m->n);
    m->level[m->n] = level_find(to->levels, (const char *)text.p, text.n);
  }
  *gives = m->level;
  return RFL_OK;
}

static int32_t level_of_value(const struct source_column *to, const struct rfl_column *c,
                              size_t row) {
  char text[RFL_DOUBLE_TEXT];
  if (c->type == RFL_STRING) {
    int32_t from = c->offset[row];
    return level_find(to->levels, c->bytes + from, (size_t)(c->offset[row + 1] - from));
  }
  if (c->type == RFL_LOGICAL)
    return c->i32[row] ? level_find(to->levels, "TRUE", 4)
                       : level_find(to->levels, "FALSE", 5);
  int64_t x = c->type == RFL_INTEGER64 ? c->i64[row] : c->i32[row];
  return level_find(to->levels, text, rfl_print_int64(text, x));
}

/* "user_id: 'u17'", cut at a whole character. */
static void describe(const struct source_column *to, const struct rfl_column *c,
                     size_t row, char *out, size_t size) {
  char number[RFL_DOUBLE_TEXT];
  struct rfl_bytes text = {(const uint8_t *)number, 0};
  if (c->type == RFL_FACTOR)
    text = rfl_dict_level(c->dict, c->i32[row]);
  else if (c->type == RFL_STRING)
    text = (struct rfl_bytes){(const uint8_t *)c->bytes + c->offset[row],
                              (size_t)(c->offset[row + 1] - c->offset[row])};
  else if (c->type == RFL_LOGICAL)
    text.n =
        (size_t)snprintf(number, sizeof number, "%s", c->i32[row] ? "TRUE" : "FALSE");
  else
    text.n =
        rfl_print_int64(number, c->type == RFL_INTEGER64 ? c->i64[row] : c->i32[row]);
  size_t name = rfl_utf8_prefix(
      to->name, size / 2 < strlen(to->name) ? size / 2 : strlen(to->name));
  size_t room = size - name - 6, n = text.n < room ? text.n : room;
  n = rfl_utf8_prefix((const char *)text.p, n);
  snprintf(out, size, "%.*s: '%.*s'", (int)name, to->name, (int)n, (const char *)text.p);
}

void unseen_describe(const struct rfl_workspace *w, const struct rfl_rows *rows, size_t i,
                     char *out, size_t size) {
  for (size_t k = 0; k < w->n_columns; k++) {
    const struct source_column *c = &w->column[k];
    if (!c->category || c->code[i] >= 0) continue;
    describe(c, &rows->frame->column[c->at], rows->row + i, out, size);
    return;
  }
}

static enum rfl_code codes_load(struct rfl_workspace *w, struct source_column *to,
                                const struct rfl_column *c, const struct rfl_rows *rows,
                                struct rfl_err *err) {
  const int32_t *map = NULL;
  if (c->type == RFL_FACTOR) RFL_TRY(map_of(to, c, &map, err));
  for (size_t i = 0; i < rows->n; i++) {
    size_t at = rows->row + i;
    to->code[i] = 0;
    if (!rfl_column_has(c, at)) {
      w->mark[i] |= MARK_MISSING;
      continue;
    }
    int32_t level = map ? map[c->i32[at]] : level_of_value(to, c, at);
    if (level < 0) {
      w->mark[i] |= MARK_UNSEEN;
      to->code[i] = -1;
      continue;
    }
    to->code[i] = level;
  }
  return RFL_OK;
}

enum rfl_code column_load(struct rfl_workspace *w, struct source_column *to,
                          const struct rfl_rows *rows, struct rfl_err *err) {
  const struct rfl_column *c = &rows->frame->column[to->at];
  if (to->category) return codes_load(w, to, c, rows, err);
  numbers_load(w, to, c, rows);
  return RFL_OK;
}
