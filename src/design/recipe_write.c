/* A recipe as bytes is its spec: reading compiles it again, so what comes out obeys what
 * rfl_recipe_new() checks, whatever came in. */
#include <string.h>

#include "base/mem.h"
#include "design/compiled.h"

enum { FORMAT = 2 };
static const char damaged[] = "The bytes of a recipe are damaged.";

static void write_levels(const struct level_set *s, struct rfl_buf *out) {
  rfl_buf_u32(out, (uint32_t)s->n);
  for (int32_t k = 0; k < s->n; k++) rfl_buf_string(out, s->text[k]);
}

static void write_coding(const struct rfl_coding *c, struct rfl_buf *out) {
  rfl_buf_i32(out, c->levels);
  rfl_buf_i32(out, c->columns);
  rfl_buf_u8(out, c->select != NULL);
  if (c->select)
    rfl_buf_i32s(out, c->select, (size_t)c->levels);
  else
    rfl_buf_doubles(out, c->matrix, (size_t)c->levels * (size_t)c->columns);
  rfl_buf_u8(out, c->names != NULL);
  for (int32_t k = 0; c->names && k < c->columns; k++) rfl_buf_string(out, c->names[k]);
}

static void write_extra(const struct extra *e, struct rfl_buf *out) {
  rfl_buf_string(out, e->name);
  rfl_buf_u8(out, (uint8_t)e->kind);
  rfl_buf_u8(out, e->may_miss);
  rfl_buf_u8(out, e->for_scoring);
  write_levels(&e->levels, out);
  rfl_buf_i32(out, e->buckets);
}

static void write_variables(const struct rfl_recipe *r, struct rfl_buf *out) {
  rfl_buf_u32(out, (uint32_t)r->n_variables);
  for (size_t k = 0; k < r->n_variables; k++) {
    const struct variable *v = &r->variable[k];
    rfl_buf_string(out, v->name);
    rfl_buf_u8(out, (uint8_t)v->kind);
    rfl_buf_u8(out, v->logical);
    rfl_buf_i32(out, v->other);
    write_levels(&v->levels, out);
    rfl_buf_u64(out, v->seed);
    rfl_buf_i32(out, v->hashing.slots);
    rfl_buf_u32(out, (uint32_t)v->hashing.n_with);
    for (size_t j = 0; j < v->hashing.n_with; j++)
      rfl_buf_string(out, v->hashing.with[j]);
  }
}

void rfl_recipe_write(const struct rfl_recipe *r, struct rfl_buf *out) {
  rfl_buf_u32(out, FORMAT);
  write_variables(r, out);
  rfl_buf_u8(out, r->intercept);
  rfl_buf_u32(out, (uint32_t)r->n_terms);
  for (size_t k = 0; k < r->n_terms; k++) {
    const struct compiled_term *t = &r->term[k];
    rfl_buf_u32(out, (uint32_t)t->n);
    rfl_buf_i32s(out, t->variable, t->n);
    for (size_t f = 0; f < t->n; f++)
      if (r->variable[t->variable[f]].kind == RFL_CATEGORY)
        write_coding(&t->coding[f], out);
  }
  rfl_buf_u8(out, (uint8_t)r->response);
  rfl_buf_string(out, r->y);
  write_levels(&r->y_levels, out);
  rfl_buf_string(out, r->weight);
  rfl_buf_u32(out, (uint32_t)r->n_offsets);
  for (size_t k = 0; k < r->n_offsets; k++) rfl_buf_string(out, r->offset[k]);
  rfl_buf_u32(out, (uint32_t)r->n_extra);
  for (size_t k = 0; k < r->n_extra; k++) write_extra(&r->extra[k], out);
  rfl_buf_u8(out, r->missing);
  rfl_buf_u8(out, r->shared);
  rfl_buf_u8(out, r->keyed);
}

/* ---- reading ---- */

struct draft { /* a spec whose pieces lie in one list, freed together */
  struct rfl_recipe_spec spec;
  void **piece;
  size_t n, cap;
};

static void draft_release(struct draft *d) {
  for (size_t k = 0; k < d->n; k++) rfl_free(d->piece[k]);
  rfl_free(d->piece);
}

static bool hold(struct draft *d, void *p) {
  if (p && d->n == d->cap) {
    size_t cap = d->cap ? 2 * d->cap : 64;
    void **more = rfl_grow(d->piece, cap, sizeof *more);
    if (!more) {
      rfl_free(p);
      return false;
    }
    d->piece = more;
    d->cap = cap;
  }
  if (p) d->piece[d->n++] = p;
  return p != NULL;
}

/* n things of which each took at least `least` bytes of the input; NULL when the input
 * cannot hold them (bad) or memory cannot. */
static void *array(struct draft *d, struct rfl_reader *in, size_t n, size_t size,
                   size_t least) {
  if (n > (size_t)(in->end - in->at) / least) in->bad = true;
  if (in->bad) return NULL;
  void *p = rfl_alloc(n, size);
  return hold(d, p) ? p : NULL;
}

static enum rfl_code failed(const struct rfl_reader *in, struct rfl_err *err) {
  return in->bad ? rfl_fail(err, RFL_EDATA, damaged) : rfl_no_memory(err);
}

static enum rfl_code read_text(struct draft *d, struct rfl_reader *in, const char **gives,
                               struct rfl_err *err) {
  char *text = NULL;
  RFL_TRY(rfl_read_string(in, &text, err));
  if (text && !hold(d, text)) return rfl_no_memory(err);
  *gives = text;
  return in->bad ? failed(in, err) : RFL_OK;
}

static enum rfl_code read_texts(struct draft *d, struct rfl_reader *in, size_t n,
                                const char *const **gives, struct rfl_err *err) {
  const char **text = array(d, in, n, sizeof *text, 4);
  if (!text) return failed(in, err);
  for (size_t k = 0; k < n; k++) RFL_TRY(read_text(d, in, &text[k], err));
  *gives = text;
  return RFL_OK;
}

/* A byte that is one of 0 .. most. */
static uint8_t read_kind(struct rfl_reader *in, int most) {
  uint8_t kind = rfl_read_u8(in);
  if (kind > most) in->bad = true;
  return in->bad ? 0 : kind;
}

static enum rfl_code read_levels(struct draft *d, struct rfl_reader *in,
                                 const char *const **gives, int32_t *n,
                                 struct rfl_err *err) {
  uint32_t levels = rfl_read_u32(in);
  if (levels > INT32_MAX) in->bad = true;
  *n = (int32_t)levels;
  return read_texts(d, in, levels, gives, err);
}

static enum rfl_code read_variable(struct draft *d, struct rfl_reader *in,
                                   struct rfl_variable *v, struct rfl_err *err) {
  RFL_TRY(read_text(d, in, &v->name, err));
  v->kind = (enum rfl_variable_kind)read_kind(in, RFL_HASHED);
  v->logical = rfl_read_u8(in) != 0;
  v->other = rfl_read_i32(in);
  RFL_TRY(read_levels(d, in, &v->level, &v->n_levels, err));
  v->seed = rfl_read_u64(in);
  v->slots = rfl_read_i32(in);
  v->n_with = rfl_read_u32(in);
  return read_texts(d, in, v->n_with, &v->with, err);
}

static enum rfl_code read_variables(struct draft *d, struct rfl_reader *in,
                                    struct rfl_err *err) {
  size_t n = rfl_read_u32(in);
  struct rfl_variable *v = array(d, in, n, sizeof *v, 30);
  if (!v) return failed(in, err);
  for (size_t k = 0; k < n; k++) RFL_TRY(read_variable(d, in, &v[k], err));
  d->spec.n_variables = n;
  d->spec.variable = v;
  return RFL_OK;
}

static enum rfl_code read_extras(struct draft *d, struct rfl_reader *in,
                                 struct rfl_err *err) {
  size_t n = rfl_read_u32(in);
  struct rfl_extra_spec *e = array(d, in, n, sizeof *e, 15);
  if (!e) return failed(in, err);
  for (size_t k = 0; k < n; k++) {
    RFL_TRY(read_text(d, in, &e[k].name, err));
    e[k].kind = (enum rfl_extra_kind)read_kind(in, RFL_EXTRA_BUCKET);
    e[k].may_miss = rfl_read_u8(in) != 0;
    e[k].for_scoring = rfl_read_u8(in) != 0;
    RFL_TRY(read_levels(d, in, &e[k].level, &e[k].n_levels, err));
    e[k].buckets = rfl_read_i32(in);
  }
  d->spec.n_extra = n;
  d->spec.extra = e;
  return RFL_OK;
}

static enum rfl_code read_coding(struct draft *d, struct rfl_reader *in,
                                 struct rfl_coding *c, struct rfl_err *err) {
  c->levels = rfl_read_i32(in);
  c->columns = rfl_read_i32(in);
  bool select = rfl_read_u8(in) != 0;
  if (c->levels < 0 || c->columns < 0) in->bad = true;
  if (in->bad) return failed(in, err);
  size_t levels = (size_t)c->levels, n = levels * (size_t)c->columns;
  if (select) {
    c->select = array(d, in, levels, sizeof *c->select, 4);
    if (!c->select) return failed(in, err);
    rfl_read_i32s(in, c->select, levels);
  } else {
    c->matrix = array(d, in, n, sizeof *c->matrix, 8);
    if (!c->matrix) return failed(in, err);
    rfl_read_doubles(in, c->matrix, n);
  }
  if (!rfl_read_u8(in)) return in->bad ? failed(in, err) : RFL_OK;
  const char *const *names;
  RFL_TRY(read_texts(d, in, (size_t)c->columns, &names, err));
  c->names = (char **)(uintptr_t)names; /* only read by rfl_recipe_new() */
  return RFL_OK;
}

static enum rfl_code read_term(struct draft *d, struct rfl_reader *in,
                               struct rfl_term_spec *t, struct rfl_err *err) {
  t->n = rfl_read_u32(in);
  int32_t *variable = array(d, in, t->n, sizeof *variable, 4);
  if (!variable) return failed(in, err);
  rfl_read_i32s(in, variable, t->n);
  struct rfl_coding *coding = rfl_alloc(t->n, sizeof *coding);
  if (!hold(d, coding)) return rfl_no_memory(err);
  for (size_t f = 0; f < t->n; f++) {
    if (variable[f] < 0 || (size_t)variable[f] >= d->spec.n_variables) in->bad = true;
    if (in->bad) return failed(in, err);
    if (d->spec.variable[variable[f]].kind == RFL_CATEGORY)
      RFL_TRY(read_coding(d, in, &coding[f], err));
  }
  t->variable = variable;
  t->coding = coding;
  return RFL_OK;
}

static enum rfl_code read_draft(struct draft *d, struct rfl_reader *in,
                                struct rfl_err *err) {
  struct rfl_recipe_spec *s = &d->spec;
  if (rfl_read_u32(in) != FORMAT) in->bad = true;
  RFL_TRY(read_variables(d, in, err));
  s->intercept = rfl_read_u8(in) != 0;
  size_t n = rfl_read_u32(in);
  struct rfl_term_spec *term = array(d, in, n, sizeof *term, 8);
  if (!term) return failed(in, err);
  for (size_t k = 0; k < n; k++) RFL_TRY(read_term(d, in, &term[k], err));
  s->n_terms = n;
  s->term = term;
  s->response = (enum rfl_response)read_kind(in, RFL_RESPONSE_CODE);
  RFL_TRY(read_text(d, in, &s->y, err));
  RFL_TRY(read_levels(d, in, &s->y_level, &s->n_y_levels, err));
  RFL_TRY(read_text(d, in, &s->weight, err));
  s->n_offsets = rfl_read_u32(in);
  RFL_TRY(read_texts(d, in, s->n_offsets, &s->offset, err));
  RFL_TRY(read_extras(d, in, err));
  s->missing = rfl_read_u8(in) != 0;
  s->shared = rfl_read_u8(in) != 0;
  s->keyed = rfl_read_u8(in) != 0;
  return in->bad ? failed(in, err) : RFL_OK;
}

static size_t longest(const struct rfl_variable *v) {
  size_t n = 20; /* of a column's number */
  for (int32_t k = 0; k < v->n_levels; k++)
    if (v->level[k] && strlen(v->level[k]) > n) n = strlen(v->level[k]);
  return n;
}

static size_t longest_name(const struct rfl_coding *c) {
  size_t n = 0;
  for (int32_t k = 0; c->names && k < c->columns; k++)
    if (c->names[k] && strlen(c->names[k]) > n) n = strlen(c->names[k]);
  return n;
}

/* Crossed factors describe many columns, with long names, in few bytes: no more than
 * stands in proportion to what came, beyond a million columns and 64 MB of names. */
static bool in_proportion(const struct rfl_recipe_spec *s, size_t bytes) {
  double columns = 0, text = 0;
  for (size_t t = 0; t < s->n_terms; t++) {
    double cells = 1, name = 1;
    for (size_t f = 0; f < s->term[t].n; f++) {
      const struct rfl_variable *v = &s->variable[s->term[t].variable[f]];
      const struct rfl_coding *c = &s->term[t].coding[f];
      if (v->name) name += (double)strlen(v->name) + 1;
      if (v->kind == RFL_NUMBER) continue;
      if (v->kind == RFL_HASHED) {
        if (!s->shared) cells *= v->slots;
        for (size_t w = 0; w < v->n_with; w++) name += (double)strlen(v->with[w]) + 2;
        name += (double)sizeof "hashed()2147483647";
        continue;
      }
      cells *= c->levels;
      name += (double)(longest(v) + longest_name(c));
    }
    columns += cells;
    text += cells * name;
  }
  return columns <= 1e6 + 64 * (double)bytes && text <= 6.4e7 + 64 * (double)bytes;
}

enum rfl_code rfl_recipe_read(struct rfl_reader *in, struct rfl_recipe **gives,
                              struct rfl_err *err) {
  size_t bytes = (size_t)(in->end - in->at);
  struct draft d = {0};
  enum rfl_code code = read_draft(&d, in, err);
  if (!code && !in_proportion(&d.spec, bytes)) code = rfl_fail(err, RFL_EDATA, damaged);
  if (!code) code = rfl_recipe_new(&d.spec, gives, err);
  if (code && code != RFL_ENOMEM) code = rfl_fail(err, RFL_EDATA, damaged);
  draft_release(&d);
  return code;
}
