/* Compiling a recipe: the spec is copied, its terms are laid out in Z and X
 * (num/layout.h), and equal products are shared: x in `x + f:x` is one dense column, f
 * one coded column. */
#include "design/recipe.h"

#include <string.h>

#include "base/mem.h"
#include "design/compiled.h"

enum {
  MAX_EXTRA = 64,
  MAX_SLOTS = 1 << 30,
  MAX_OWN_SLOTS = 1 << 20 /* of a term of its own, whose columns have names */
};

/* ---- lifetime ---- */

struct rfl_recipe *rfl_recipe_keep(struct rfl_recipe *r) {
  atomic_fetch_add(&r->refs, 1);
  return r;
}

static void coding_release(struct rfl_coding *c) {
  for (int32_t k = 0; c->names && k < c->columns; k++) rfl_free(c->names[k]);
  rfl_free(c->names);
  rfl_free(c->select);
  rfl_free(c->matrix);
}

static void term_release(struct compiled_term *t) {
  for (size_t k = 0; t->coding && k < t->n; k++) coding_release(&t->coding[k]);
  rfl_free(t->coding);
  rfl_free(t->variable);
}

static void products_release(struct product *p, size_t n) {
  for (size_t k = 0; p && k < n; k++) rfl_free(p[k].variable);
  rfl_free(p);
}

static void variable_release(struct variable *v) {
  rfl_free(v->name);
  levels_release(&v->levels);
  for (size_t k = 0; v->hashing.with && k < v->hashing.n_with; k++)
    rfl_free(v->hashing.with[k]);
  rfl_free(v->hashing.with);
  rfl_free(v->hashing.key);
}

void rfl_recipe_release(struct rfl_recipe *r) {
  if (!r || atomic_fetch_sub(&r->refs, 1) > 1) return;
  for (size_t k = 0; r->variable && k < r->n_variables; k++)
    variable_release(&r->variable[k]);
  for (size_t k = 0; r->extra && k < r->n_extra; k++) {
    rfl_free(r->extra[k].name);
    levels_release(&r->extra[k].levels);
  }
  for (size_t k = 0; r->term && k < r->n_terms; k++) term_release(&r->term[k]);
  for (size_t k = 0; r->offset && k < r->n_offsets; k++) rfl_free(r->offset[k]);
  products_release(r->dense, r->n_terms);
  products_release(r->coded, r->n_terms);
  levels_release(&r->y_levels);
  rfl_layout_release(&r->layout);
  rfl_buf_release(&r->names);
  void *all[] = {r->variable, r->term,  r->offset,  r->y,
                 r->weight,   r->extra, r->name_at, r};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

/* ---- copying the spec ---- */

static enum rfl_code text_copy(const char *from, char **to, struct rfl_err *err) {
  if (!from) return RFL_OK;
  return (*to = rfl_strdup(from)) ? RFL_OK : rfl_no_memory(err);
}

/* Slots are a power of two, so that one is a hash's top bits: those of a smaller table
 * are sums of those of a larger one. 0 is an open set. */
static enum rfl_code hashing_copy(const struct rfl_variable *from, struct variable *v,
                                  struct rfl_err *err) {
  struct hashing *to = &v->hashing;
  v->seed = from->seed;
  to->slots = from->slots;
  if (to->slots < 0 || to->slots > MAX_SLOTS || (to->slots & (to->slots - 1)))
    return rfl_fail(err, RFL_EARGUMENT,
                    "The slots of hashed `%s` must be a power of two, not %d.",
                    from->name, from->slots);
  for (to->shift = 64; to->slots >> (64 - to->shift) > 1;) to->shift--;
  to->with = rfl_alloc(from->n_with, sizeof *to->with);
  to->key = rfl_alloc(from->n_with + 1, sizeof *to->key);
  if (!to->with || !to->key) return rfl_no_memory(err);
  to->n_with = from->n_with;
  to->key[0] = hash_key(v->seed, v->name);
  for (size_t k = 0; k < to->n_with; k++) {
    if (!from->with[k])
      return rfl_fail(err, RFL_EARGUMENT, "A variable must have a name.");
    RFL_TRY(text_copy(from->with[k], &to->with[k], err));
    to->key[k + 1] = hash_key(v->seed, to->with[k]);
  }
  return RFL_OK;
}

static enum rfl_code variable_copy(const struct rfl_variable *from, struct variable *to,
                                   struct rfl_err *err) {
  if (!from->name) return rfl_fail(err, RFL_EARGUMENT, "A variable must have a name.");
  to->kind = from->kind;
  RFL_TRY(text_copy(from->name, &to->name, err));
  if (to->kind == RFL_NUMBER) return RFL_OK;
  if (to->kind == RFL_HASHED) return hashing_copy(from, to, err);
  static const char *const truth[] = {"FALSE", "TRUE"};
  to->logical = from->logical;
  if (from->logical && !from->level) return levels_new(&to->levels, truth, 2, err);
  if (from->n_levels < 1)
    return rfl_fail(err, RFL_EARGUMENT, "The variable `%s` has no levels.", from->name);
  to->other = from->other;
  if (from->other < 0 || from->other > from->n_levels)
    return rfl_fail(err, RFL_EARGUMENT, "The variable `%s` has no level %d.", from->name,
                    from->other);
  return levels_new(&to->levels, from->level, from->n_levels, err);
}

static enum rfl_code coding_check(const struct rfl_coding *c, const struct variable *v,
                                  struct rfl_err *err) {
  bool ok = c->levels == v->levels.n && c->columns >= 0 && c->columns <= c->levels &&
            (c->select || c->matrix || !c->columns);
  for (int32_t k = 0; ok && c->select && k < c->levels; k++)
    ok = c->select[k] >= -1 && c->select[k] < c->columns;
  if (ok) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT, "The contrasts of `%s` do not fit its %d levels.",
                  v->name, v->levels.n);
}

static enum rfl_code coding_copy(const struct rfl_coding *from, struct rfl_coding *to,
                                 struct rfl_err *err) {
  size_t levels = (size_t)from->levels, columns = (size_t)from->columns;
  *to = (struct rfl_coding){.levels = from->levels, .columns = from->columns};
  if (from->select || !from->matrix) {
    if (!(to->select = rfl_alloc(levels, sizeof *to->select))) return rfl_no_memory(err);
    for (size_t k = 0; k < levels; k++)
      to->select[k] = from->select ? from->select[k] : -1;
  } else {
    if (!(to->matrix = rfl_alloc(levels * columns, sizeof *to->matrix)))
      return rfl_no_memory(err);
    memcpy(to->matrix, from->matrix, levels * columns * sizeof *to->matrix);
  }
  if (!from->names) return RFL_OK;
  if (!(to->names = rfl_alloc(columns, sizeof *to->names))) return rfl_no_memory(err);
  for (size_t k = 0; k < columns; k++)
    RFL_TRY(text_copy(from->names[k] ? from->names[k] : "", &to->names[k], err));
  return RFL_OK;
}

static enum rfl_code term_copy(const struct rfl_recipe *r,
                               const struct rfl_term_spec *from, struct compiled_term *to,
                               struct rfl_err *err) {
  if (!from->n) return rfl_fail(err, RFL_EARGUMENT, "A term must have a variable.");
  size_t hashed = 0, category = 0;
  to->variable = rfl_alloc(from->n, sizeof *to->variable);
  to->coding = rfl_alloc(from->n, sizeof *to->coding);
  if (!to->variable || !to->coding) return rfl_no_memory(err);
  to->n = from->n;
  for (size_t k = 0; k < from->n; k++) {
    int32_t v = from->variable[k];
    if (v < 0 || (size_t)v >= r->n_variables)
      return rfl_fail(err, RFL_EARGUMENT, "A term names variable %d of %zu.", v,
                      r->n_variables);
    to->variable[k] = v;
    hashed += r->variable[v].kind == RFL_HASHED;
    category += r->variable[v].kind != RFL_NUMBER;
    if (hashed && category > 1)
      return rfl_fail(err, RFL_EARGUMENT,
                      "A hashed variable cannot be in one term with another category.");
    if (r->variable[v].kind != RFL_CATEGORY) continue;
    RFL_TRY(coding_check(&from->coding[k], &r->variable[v], err));
    RFL_TRY(coding_copy(&from->coding[k], &to->coding[k], err));
  }
  return RFL_OK;
}

static enum rfl_code response_copy(struct rfl_recipe *r, const struct rfl_recipe_spec *s,
                                   struct rfl_err *err) {
  r->response = s->response;
  if (s->response < RFL_RESPONSE_NONE || s->response > RFL_RESPONSE_CODE)
    return rfl_fail(err, RFL_EARGUMENT, "There is no such kind of response.");
  if (s->response == RFL_RESPONSE_NONE) return RFL_OK;
  if (!s->y) return rfl_fail(err, RFL_EARGUMENT, "The response must have a name.");
  RFL_TRY(text_copy(s->y, &r->y, err));
  if (s->response == RFL_RESPONSE_NUMBER) return RFL_OK;
  return levels_new(&r->y_levels, s->y_level, s->n_y_levels, err);
}

static enum rfl_code extra_copy(const struct rfl_extra_spec *from, struct extra *to,
                                struct rfl_err *err) {
  if (!from->name) return rfl_fail(err, RFL_EARGUMENT, "An extra must have a name.");
  to->kind = from->kind;
  to->may_miss = from->may_miss;
  to->for_scoring = from->for_scoring;
  to->buckets = from->buckets;
  RFL_TRY(text_copy(from->name, &to->name, err));
  to->key = hash_key(0, to->name);
  if (from->kind == RFL_EXTRA_LEVEL)
    return levels_new(&to->levels, from->level, from->n_levels, err);
  if (from->kind == RFL_EXTRA_NUMBER) return RFL_OK;
  if (from->kind != RFL_EXTRA_BUCKET || from->buckets < 1)
    return rfl_fail(err, RFL_EARGUMENT, "The extra `%s` must have a bucket or more.",
                    from->name);
  return RFL_OK;
}

static enum rfl_code extras_copy(struct rfl_recipe *r, const struct rfl_recipe_spec *s,
                                 struct rfl_err *err) {
  if (s->n_extra > MAX_EXTRA)
    return rfl_fail(err, RFL_EARGUMENT, "A recipe has %d extra columns at most.",
                    MAX_EXTRA);
  r->extra = rfl_alloc(s->n_extra, sizeof *r->extra);
  if (!r->extra) return rfl_no_memory(err);
  r->n_extra = s->n_extra;
  for (size_t k = 0; k < s->n_extra; k++)
    RFL_TRY(extra_copy(&s->extra[k], &r->extra[k], err));
  return RFL_OK;
}

static enum rfl_code spec_copy(struct rfl_recipe *r, const struct rfl_recipe_spec *s,
                               struct rfl_err *err) {
  r->variable = rfl_alloc(s->n_variables, sizeof *r->variable);
  r->term = rfl_alloc(s->n_terms, sizeof *r->term);
  r->offset = rfl_alloc(s->n_offsets, sizeof *r->offset);
  r->dense = rfl_alloc(s->n_terms, sizeof *r->dense);
  r->coded = rfl_alloc(s->n_terms, sizeof *r->coded);
  if (!r->variable || !r->term || !r->offset || !r->dense || !r->coded)
    return rfl_no_memory(err);
  r->n_variables = s->n_variables;
  r->n_terms = s->n_terms;
  r->n_offsets = s->n_offsets;
  r->intercept = s->intercept;
  r->missing = s->missing;
  r->shared = s->shared;
  r->keyed = s->keyed;
  for (size_t k = 0; k < s->n_variables; k++)
    RFL_TRY(variable_copy(&s->variable[k], &r->variable[k], err));
  for (size_t k = 0; k < s->n_terms; k++)
    RFL_TRY(term_copy(r, &s->term[k], &r->term[k], err));
  for (size_t k = 0; k < s->n_offsets; k++) {
    if (!s->offset[k]) return rfl_fail(err, RFL_EARGUMENT, "An offset must have a name.");
    RFL_TRY(text_copy(s->offset[k], &r->offset[k], err));
  }
  RFL_TRY(text_copy(s->weight, &r->weight, err));
  RFL_TRY(extras_copy(r, s, err));
  return response_copy(r, s, err);
}

/* ---- laying out ---- */

/* The numbers of a term, or its categories, as a product; its index among `all`, which
 * grows when it is new; -1: none. */
static enum rfl_code product_of(const struct rfl_recipe *r, const struct compiled_term *t,
                                bool numbers, struct product *all, size_t *n_all,
                                int32_t *gives, struct rfl_err *err) {
  struct product p = {.variable = rfl_alloc(t->n, sizeof *p.variable)};
  if (!p.variable) return rfl_no_memory(err);
  for (size_t k = 0; k < t->n; k++)
    if ((r->variable[t->variable[k]].kind == RFL_NUMBER) == numbers)
      p.variable[p.n++] = t->variable[k];
  *gives = -1;
  for (size_t k = 0; k < *n_all && p.n; k++)
    if (all[k].n == p.n && !memcmp(all[k].variable, p.variable, p.n * sizeof *p.variable))
      *gives = (int32_t)k;
  if (!p.n || *gives >= 0) {
    rfl_free(p.variable);
    return RFL_OK;
  }
  *gives = (int32_t)*n_all;
  all[(*n_all)++] = p;
  return RFL_OK;
}

static const struct variable *hashed_of(const struct rfl_recipe *r,
                                        const struct compiled_term *t) {
  for (size_t k = 0; k < t->n; k++) {
    const struct variable *v = &r->variable[t->variable[k]];
    if (v->kind == RFL_HASHED) return v;
  }
  return NULL;
}

static enum rfl_code codings_of(const struct rfl_recipe *r, const struct compiled_term *t,
                                struct rfl_term *to, struct rfl_err *err) {
  int64_t rows = 1, columns = 1;
  to->coding = rfl_alloc(t->n, sizeof *to->coding);
  if (!to->coding) return rfl_no_memory(err);
  for (size_t k = 0; k < t->n; k++) {
    if (r->variable[t->variable[k]].kind != RFL_CATEGORY) continue;
    struct rfl_coding bare = t->coding[k];
    bare.names = NULL;
    rows *= bare.levels;
    columns *= bare.columns;
    if (rows > INT32_MAX)
      return rfl_fail(err, RFL_EMODEL, "A crossing of factors has too many cells.");
    RFL_TRY(coding_copy(&bare, &to->coding[to->n_codings++], err));
  }
  const struct variable *hashed = hashed_of(r, t);
  to->n_z = hashed ? hashed->hashing.slots : (int32_t)rows;
  to->n_x = hashed ? hashed->hashing.slots : (int32_t)columns;
  return RFL_OK;
}

static enum rfl_code place(struct rfl_layout *l, struct rfl_term *t,
                           struct rfl_err *err) {
  t->z = l->n_z;
  t->x = l->n_x;
  if (t->n_z > INT32_MAX - l->n_z)
    return rfl_fail(err, RFL_EMODEL, "The model has too many columns.");
  l->n_z += t->n_z;
  l->n_x += t->n_x;
  return RFL_OK;
}

/* The table that hashed terms share comes behind all other columns. */
static enum rfl_code share_slots(struct rfl_recipe *r, struct rfl_err *err) {
  struct rfl_layout *l = &r->layout;
  for (size_t k = 0; k < r->n_terms; k++) {
    const struct variable *v = hashed_of(r, &r->term[k]);
    if (!v) continue;
    if (!v->hashing.slots || (l->slots && v->hashing.slots != l->slots))
      return rfl_fail(err, RFL_EARGUMENT,
                      "Hashed variables that share a table must have the same slots.");
    l->slots = v->hashing.slots;
  }
  if (!l->slots) return RFL_OK;
  struct rfl_term table = {.n_z = l->slots, .n_x = l->slots};
  RFL_TRY(place(l, &table, err));
  for (size_t t = 0; t < l->n_terms; t++) {
    if (!rfl_term_shared(l, &l->term[t])) continue;
    l->term[t].z = table.z;
    l->term[t].x = table.x;
  }
  return RFL_OK;
}

static enum rfl_code lay_out_term(struct rfl_recipe *r, size_t k, struct rfl_err *err) {
  struct rfl_layout *l = &r->layout;
  struct rfl_term *t = &l->term[l->n_terms++];
  const struct compiled_term *from = &r->term[k];
  t->assign = (int32_t)k + 1;
  RFL_TRY(product_of(r, from, true, r->dense, &l->n_dense, &t->dense, err));
  RFL_TRY(product_of(r, from, false, r->coded, &l->n_coded, &t->coded, err));
  RFL_TRY(codings_of(r, from, t, err));
  if (t->coded >= 0) l->levels[t->coded] = t->n_z;
  bool hashed = hashed_of(r, from) != NULL;
  if (hashed && r->shared) return RFL_OK;
  if (hashed && t->n_z > MAX_OWN_SLOTS)
    return rfl_fail(err, RFL_EARGUMENT,
                    "A hashed term has %d slots at most, unless all share one table.",
                    MAX_OWN_SLOTS);
  return place(l, t, err);
}

static enum rfl_code lay_out(struct rfl_recipe *r, struct rfl_err *err) {
  struct rfl_layout *l = &r->layout;
  l->term = rfl_alloc(r->n_terms + 1, sizeof *l->term);
  l->levels = rfl_alloc(r->n_terms, sizeof *l->levels);
  if (!l->term || !l->levels) return rfl_no_memory(err);
  l->intercept = r->intercept;
  l->missing = r->missing;
  l->n_extra = r->n_extra;
  if (r->intercept) {
    l->term[l->n_terms] = (struct rfl_term){.coded = -1, .dense = -1, .n_z = 1, .n_x = 1};
    RFL_TRY(place(l, &l->term[l->n_terms++], err));
  }
  for (size_t k = 0; k < r->n_terms; k++) RFL_TRY(lay_out_term(r, k, err));
  return r->shared ? share_slots(r, err) : RFL_OK;
}

enum rfl_code rfl_recipe_new(const struct rfl_recipe_spec *spec,
                             struct rfl_recipe **gives, struct rfl_err *err) {
  struct rfl_recipe *r = rfl_alloc(1, sizeof *r);
  if (!r) return rfl_no_memory(err);
  atomic_init(&r->refs, 1);
  enum rfl_code code = spec_copy(r, spec, err);
  if (!code) code = lay_out(r, err);
  if (!code) code = name_columns(r, err);
  if (code) {
    rfl_recipe_release(r);
    return code;
  }
  *gives = r;
  return RFL_OK;
}

const struct rfl_layout *rfl_recipe_layout(const struct rfl_recipe *r) {
  return &r->layout;
}
