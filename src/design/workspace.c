/* A workspace binds a recipe to the frames that come: which column is where (looked up
 * once a schema), which code of a dictionary is which level (once a code). */
#include <stdint.h>

#include "base/mem.h"
#include "design/workspace.h"

static void column_release(struct source_column *c) {
  for (int k = 0; k < MAPS; k++) {
    rfl_dict_release(c->map[k].dict);
    rfl_free(c->map[k].level);
    rfl_free(c->map[k].hash);
  }
  rfl_free(c->number);
  rfl_free(c->code);
  rfl_free(c->hash);
}

void rfl_workspace_release(struct rfl_workspace *w) {
  if (!w) return;
  const struct rfl_layout *l = &w->recipe->layout;
  for (size_t k = 0; w->column && k < w->n_columns; k++) column_release(&w->column[k]);
  for (size_t k = 0; w->product && k < l->n_dense; k++) rfl_free(w->product[k]);
  for (size_t k = 0; w->cross && k < l->n_coded; k++) rfl_free(w->cross[k]);
  rfl_schema_release(w->schema);
  rfl_recipe_release(w->recipe);
  void *all[] = {w->column, w->mark,  w->row,   w->key,  w->product,  w->offset, w->cross,
                 w->dense,  w->extra, w->coded, w->hash, w->extra_at, w};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

/* ---- which columns are needed ---- */

static struct source_column *number_column(struct rfl_workspace *w, const char *name) {
  struct source_column *c = &w->column[w->n_columns++];
  *c = (struct source_column){.name = name,
                              .load = LOAD_NUMBER,
                              .other = -1,
                              .missing = MARK_MISSING,
                              .infinite = MARK_INFINITE};
  return c;
}

static struct source_column *level_column(struct rfl_workspace *w, const char *name,
                                          const struct level_set *levels) {
  struct source_column *c = number_column(w, name);
  c->load = LOAD_LEVEL;
  c->levels = levels;
  c->unseen = MARK_UNSEEN;
  return c;
}

/* Of a recipe with `missing` a missing feature leaves no row out; an infinite one is
 * still an error where rows are learnt. */
static void list_variable(struct rfl_workspace *w, const struct variable *v) {
  bool stays = w->recipe->missing;
  struct source_column *c = v->kind == RFL_CATEGORY ? level_column(w, v->name, &v->levels)
                                                    : number_column(w, v->name);
  c->feature = true;
  c->other = v->other - 1;
  if (stays) c->missing = 0;
  if (stays && c->unseen) c->unseen = MARK_NEW;
  if (stays && w->purpose == RFL_FOR_SCORING) c->infinite = 0;
  if (v->kind != RFL_HASHED) return;
  c->load = LOAD_HASH;
  c->key = v->hashing.key[0];
  if (v->hashing.slots) c->slots = &v->hashing;
}

static void list_crossed(struct rfl_workspace *w, size_t variable) {
  const struct hashing *h = &w->recipe->variable[variable].hashing;
  for (size_t k = 0; k < h->n_with; k++) {
    struct source_column *c = number_column(w, h->with[k]);
    c->load = LOAD_HASH;
    c->key = h->key[k + 1];
    c->feature = c->with = true;
    c->join = variable;
  }
}

static void list_extra(struct rfl_workspace *w, const struct extra *e) {
  struct source_column *c = e->kind == RFL_EXTRA_LEVEL
                                ? level_column(w, e->name, &e->levels)
                                : number_column(w, e->name);
  if (e->kind == RFL_EXTRA_BUCKET) {
    c->load = LOAD_HASH;
    c->key = e->key;
    c->buckets = e->buckets;
  }
  if (!e->may_miss) return;
  c->missing = c->infinite = 0;
  if (c->unseen) c->unseen = MARK_NEW;
}

static void list_columns(struct rfl_workspace *w) {
  const struct rfl_recipe *r = w->recipe;
  bool learn = w->purpose == RFL_FOR_LEARNING;
  for (size_t k = 0; k < r->n_variables; k++) list_variable(w, &r->variable[k]);
  w->y_at = w->n_columns;
  if (learn && r->y && r->response == RFL_RESPONSE_NUMBER) number_column(w, r->y);
  if (learn && r->y && r->response != RFL_RESPONSE_NUMBER)
    level_column(w, r->y, &r->y_levels);
  w->weight_at = w->n_columns;
  if (learn && r->weight) {
    struct source_column *c = number_column(w, r->weight);
    c->weight = true;
    c->missing = c->infinite = MARK_WEIGHT;
  }
  w->offsets_at = w->n_columns;
  for (size_t k = 0; k < r->n_offsets; k++) number_column(w, r->offset[k]);
  for (size_t k = 0; k < r->n_extra; k++) {
    bool wanted = learn || r->extra[k].for_scoring;
    w->extra_at[k] = wanted ? w->n_columns : SIZE_MAX;
    if (wanted) list_extra(w, &r->extra[k]);
  }
  for (size_t k = 0; k < r->n_variables; k++) list_crossed(w, k);
}

static size_t most_columns(const struct rfl_recipe *r) {
  size_t n = r->n_variables + 2 + r->n_offsets + r->n_extra;
  for (size_t k = 0; k < r->n_variables; k++) n += r->variable[k].hashing.n_with;
  return n;
}

static bool make_tables(struct rfl_workspace *w) {
  const struct rfl_layout *l = &w->recipe->layout;
  w->column = rfl_alloc(most_columns(w->recipe), sizeof *w->column);
  w->product = rfl_alloc(l->n_dense, sizeof *w->product);
  w->cross = rfl_alloc(l->n_coded, sizeof *w->cross);
  w->dense = rfl_alloc(l->n_dense, sizeof *w->dense);
  w->coded = rfl_alloc(l->n_coded, sizeof *w->coded);
  w->hash = rfl_alloc(l->n_coded, sizeof *w->hash);
  w->extra = rfl_alloc(l->n_extra, sizeof *w->extra);
  w->extra_at = rfl_alloc(l->n_extra, sizeof *w->extra_at);
  return w->column && w->product && w->cross && w->dense && w->coded && w->hash &&
         w->extra && w->extra_at;
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
  if (!make_tables(w)) {
    rfl_workspace_release(w);
    return rfl_no_memory(err);
  }
  for (size_t k = 0; k < recipe->layout.n_coded; k++)
    if (!recipe->layout.levels[k]) w->open = true;
  list_columns(w);
  *gives = w;
  return RFL_OK;
}

const struct rfl_count *rfl_workspace_count(const struct rfl_workspace *w) {
  return &w->count;
}

void rfl_workspace_seek(struct rfl_workspace *w, uint64_t row) { w->next_row = row; }

/* ---- binding ---- */

static bool type_fits(const struct source_column *c, enum rfl_type type) {
  if (c->load == LOAD_HASH) return type != RFL_RAW;
  if (c->load == LOAD_LEVEL)
    return type != RFL_RAW && type != RFL_TIMESTAMP && type != RFL_DATE;
  return type != RFL_FACTOR && type != RFL_STRING && type != RFL_RAW;
}

enum rfl_code workspace_bind(struct rfl_workspace *w, const struct rfl_schema *schema,
                             struct rfl_err *err) {
  static const char *const use[] = {"number", "category", "hashed value"};
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
                      c->name, rfl_type_name(type), use[c->load]);
  }
  for (size_t k = 0; k < w->n_columns; k++)
    w->column[k].at = rfl_schema_find(schema, w->column[k].name);
  w->offset_at = -1;
  for (size_t k = 0; k < schema->n; k++)
    if (schema->field[k].meta == RFL_META_OFFSET && schema->field[k].type == RFL_DOUBLE)
      w->offset_at = (ptrdiff_t)k;
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
    bool hash = c->load == LOAD_HASH;
    bool code = c->load == LOAD_LEVEL || c->slots;
    bool number = hash ? c->buckets > 0 : !code || !c->feature;
    if (hash) ok = grow((void **)&c->hash, n, sizeof *c->hash);
    if (ok && code) ok = grow((void **)&c->code, n, sizeof *c->code);
    if (ok && number) ok = grow((void **)&c->number, n, sizeof *c->number);
  }
  for (size_t k = 0; ok && k < r->layout.n_dense; k++)
    if (r->dense[k].n > 1) ok = grow((void **)&w->product[k], n, sizeof **w->product);
  for (size_t k = 0; ok && k < r->layout.n_coded; k++)
    if (r->coded[k].n > 1) ok = grow((void **)&w->cross[k], n, sizeof **w->cross);
  if (ok && r->keyed) ok = grow((void **)&w->key, n, sizeof *w->key);
  if (ok && r->n_offsets > 1) ok = grow((void **)&w->offset, n, sizeof *w->offset);
  if (!ok) return rfl_no_memory(err);
  w->cap = n;
  return RFL_OK;
}
