/* Compiling a recipe: the spec is copied, its terms are laid out in Z and X
 * (num/layout.h), and equal products are shared: x in `x + f:x` is one dense column, f
 * one coded column. */
#include "design/recipe.h"

#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "design/compiled.h"

/* ---- levels ---- */

static void levels_release(struct level_set *s) {
  for (int32_t k = 0; s->text && k < s->n; k++) rfl_free(s->text[k]);
  rfl_free(s->text);
  rfl_free(s->slot);
}

int32_t level_find(const struct level_set *s, const char *text, size_t n) {
  if (!s->n) return -1;
  for (uint64_t at = rfl_hash(0, text, n);; at++) {
    int32_t k = s->slot[at & s->mask] - 1;
    if (k < 0) return -1;
    if (strlen(s->text[k]) == n && memcmp(s->text[k], text, n) == 0) return k;
  }
}

static enum rfl_code levels_new(struct level_set *s, const char *const *level, int32_t n,
                                struct rfl_err *err) {
  if (n < 0 || n > INT32_MAX / 4)
    return rfl_fail(err, RFL_EARGUMENT, "A variable cannot have %d levels.", n);
  size_t slots = 4;
  while (slots < 2 * (size_t)n) slots *= 2;
  s->mask = (uint32_t)slots - 1;
  s->text = rfl_alloc((size_t)n, sizeof *s->text);
  s->slot = rfl_alloc(slots, sizeof *s->slot);
  if (!s->text || !s->slot) return rfl_no_memory(err);
  for (int32_t k = 0; k < n; k++) {
    if (!level[k]) return rfl_fail(err, RFL_EARGUMENT, "A level cannot be missing.");
    size_t size = strlen(level[k]);
    if (level_find(s, level[k], size) >= 0)
      return rfl_fail(err, RFL_EARGUMENT, "The level '%s' is there twice.", level[k]);
    if (!(s->text[k] = rfl_strdup(level[k]))) return rfl_no_memory(err);
    s->n = k + 1;
    uint64_t at = rfl_hash(0, level[k], size);
    while (s->slot[at & s->mask]) at++;
    s->slot[at & s->mask] = k + 1;
  }
  return RFL_OK;
}

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

void rfl_recipe_release(struct rfl_recipe *r) {
  if (!r || atomic_fetch_sub(&r->refs, 1) > 1) return;
  for (size_t k = 0; r->variable && k < r->n_variables; k++) {
    rfl_free(r->variable[k].name);
    levels_release(&r->variable[k].levels);
  }
  for (size_t k = 0; r->term && k < r->n_terms; k++) term_release(&r->term[k]);
  for (size_t k = 0; r->offset && k < r->n_offsets; k++) rfl_free(r->offset[k]);
  products_release(r->dense, r->n_terms);
  products_release(r->coded, r->n_terms);
  levels_release(&r->y_levels);
  rfl_layout_release(&r->layout);
  rfl_buf_release(&r->names);
  void *all[] = {r->variable, r->term, r->offset, r->y, r->weight, r->name_at, r};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
}

/* ---- copying the spec ---- */

static enum rfl_code text_copy(const char *from, char **to, struct rfl_err *err) {
  if (!from) return RFL_OK;
  return (*to = rfl_strdup(from)) ? RFL_OK : rfl_no_memory(err);
}

static enum rfl_code variable_copy(const struct rfl_variable *from, struct variable *to,
                                   struct rfl_err *err) {
  if (!from->name) return rfl_fail(err, RFL_EARGUMENT, "A variable must have a name.");
  to->kind = from->kind == RFL_CATEGORY ? RFL_CATEGORY : RFL_NUMBER;
  RFL_TRY(text_copy(from->name, &to->name, err));
  if (to->kind == RFL_NUMBER) return RFL_OK;
  static const char *const truth[] = {"FALSE", "TRUE"};
  to->logical = from->logical;
  if (from->logical && !from->level) return levels_new(&to->levels, truth, 2, err);
  if (from->n_levels < 1)
    return rfl_fail(err, RFL_EARGUMENT, "The variable `%s` has no levels.", from->name);
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
    if (r->variable[v].kind == RFL_NUMBER) continue;
    RFL_TRY(coding_check(&from->coding[k], &r->variable[v], err));
    RFL_TRY(coding_copy(&from->coding[k], &to->coding[k], err));
  }
  return RFL_OK;
}

static enum rfl_code response_copy(struct rfl_recipe *r, const struct rfl_recipe_spec *s,
                                   struct rfl_err *err) {
  r->response = s->response;
  if (s->response < RFL_RESPONSE_NONE || s->response > RFL_RESPONSE_CLASS)
    return rfl_fail(err, RFL_EARGUMENT, "There is no such kind of response.");
  if (s->response == RFL_RESPONSE_NONE) return RFL_OK;
  if (!s->y) return rfl_fail(err, RFL_EARGUMENT, "The response must have a name.");
  RFL_TRY(text_copy(s->y, &r->y, err));
  if (s->response == RFL_RESPONSE_NUMBER) return RFL_OK;
  return levels_new(&r->y_levels, s->y_level, s->n_y_levels, err);
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
  for (size_t k = 0; k < s->n_variables; k++)
    RFL_TRY(variable_copy(&s->variable[k], &r->variable[k], err));
  for (size_t k = 0; k < s->n_terms; k++)
    RFL_TRY(term_copy(r, &s->term[k], &r->term[k], err));
  for (size_t k = 0; k < s->n_offsets; k++) {
    if (!s->offset[k]) return rfl_fail(err, RFL_EARGUMENT, "An offset must have a name.");
    RFL_TRY(text_copy(s->offset[k], &r->offset[k], err));
  }
  RFL_TRY(text_copy(s->weight, &r->weight, err));
  return response_copy(r, s, err);
}

/* ---- laying out ---- */

/* The variables of one kind in a term, as a product; its index among `all`, which grows
 * when it is new; -1: none. */
static enum rfl_code product_of(const struct rfl_recipe *r, const struct compiled_term *t,
                                enum rfl_variable_kind kind, struct product *all,
                                size_t *n_all, int32_t *gives, struct rfl_err *err) {
  struct product p = {.variable = rfl_alloc(t->n, sizeof *p.variable)};
  if (!p.variable) return rfl_no_memory(err);
  for (size_t k = 0; k < t->n; k++)
    if (r->variable[t->variable[k]].kind == kind) p.variable[p.n++] = t->variable[k];
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

static enum rfl_code codings_of(const struct rfl_recipe *r, const struct compiled_term *t,
                                struct rfl_term *to, struct rfl_err *err) {
  int64_t rows = 1, columns = 1;
  to->coding = rfl_alloc(t->n, sizeof *to->coding);
  if (!to->coding) return rfl_no_memory(err);
  for (size_t k = 0; k < t->n; k++) {
    if (r->variable[t->variable[k]].kind == RFL_NUMBER) continue;
    struct rfl_coding bare = t->coding[k];
    bare.names = NULL;
    rows *= bare.levels;
    columns *= bare.columns;
    if (rows > INT32_MAX)
      return rfl_fail(err, RFL_EMODEL, "A crossing of factors has too many cells.");
    RFL_TRY(coding_copy(&bare, &to->coding[to->n_codings++], err));
  }
  to->n_z = (int32_t)rows;
  to->n_x = (int32_t)columns;
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

static enum rfl_code lay_out(struct rfl_recipe *r, struct rfl_err *err) {
  struct rfl_layout *l = &r->layout;
  l->term = rfl_alloc(r->n_terms + 1, sizeof *l->term);
  l->levels = rfl_alloc(r->n_terms, sizeof *l->levels);
  if (!l->term || !l->levels) return rfl_no_memory(err);
  l->intercept = r->intercept;
  if (r->intercept) {
    l->term[l->n_terms] = (struct rfl_term){.coded = -1, .dense = -1, .n_z = 1, .n_x = 1};
    RFL_TRY(place(l, &l->term[l->n_terms++], err));
  }
  for (size_t k = 0; k < r->n_terms; k++) {
    struct rfl_term *t = &l->term[l->n_terms++];
    t->assign = (int32_t)k + 1;
    RFL_TRY(
        product_of(r, &r->term[k], RFL_NUMBER, r->dense, &l->n_dense, &t->dense, err));
    RFL_TRY(
        product_of(r, &r->term[k], RFL_CATEGORY, r->coded, &l->n_coded, &t->coded, err));
    RFL_TRY(codings_of(r, &r->term[k], t, err));
    if (t->coded >= 0) l->levels[t->coded] = t->n_z;
    RFL_TRY(place(l, t, err));
  }
  return RFL_OK;
}

/* ---- names ---- */

/* What R calls column c of a factor's contrasts. */
static void coding_name(const struct variable *v, const struct rfl_coding *c,
                        int32_t column, struct rfl_buf *out) {
  if (c->names) {
    rfl_buf_text(out, c->names[column]);
    return;
  }
  for (int32_t k = 0; c->select && k < c->levels; k++) {
    if (c->select[k] != column) continue;
    rfl_buf_text(out, v->levels.text[k]);
    return;
  }
  char number[RFL_DOUBLE_TEXT];
  rfl_buf_put(out, number, rfl_print_int64(number, column + 1));
}

static void column_name(const struct rfl_recipe *r, const struct compiled_term *t,
                        int32_t x, struct rfl_buf *out) {
  for (size_t k = 0; k < t->n; k++) {
    const struct variable *v = &r->variable[t->variable[k]];
    if (k) rfl_buf_u8(out, ':');
    rfl_buf_text(out, v->name);
    if (v->kind == RFL_NUMBER) continue;
    int32_t columns = t->coding[k].columns;
    coding_name(v, &t->coding[k], x % columns, out);
    x /= columns;
  }
  rfl_buf_u8(out, 0);
}

static enum rfl_code name_columns(struct rfl_recipe *r, struct rfl_err *err) {
  const struct rfl_layout *l = &r->layout;
  r->name_at = rfl_alloc((size_t)l->n_x, sizeof *r->name_at);
  if (!r->name_at) return rfl_no_memory(err);
  size_t x = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    for (int32_t c = 0; c < l->term[t].n_x; c++) {
      r->name_at[x++] = r->names.n;
      if (l->term[t].assign)
        column_name(r, &r->term[l->term[t].assign - 1], c, &r->names);
      else
        rfl_buf_put(&r->names, "(Intercept)", sizeof "(Intercept)");
    }
  }
  return rfl_buf_check(&r->names, err);
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

const char *rfl_recipe_column(const struct rfl_recipe *r, int32_t x) {
  return (const char *)r->names.p + r->name_at[x];
}
