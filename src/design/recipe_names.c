/* Names of the columns of the model matrix, as R makes them. */
#include "base/mem.h"
#include "base/text.h"
#include "design/compiled.h"

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

/* "hashed(a, b)7" */
static void hashed_name(const struct variable *v, int32_t slot, struct rfl_buf *out) {
  char number[RFL_DOUBLE_TEXT];
  rfl_buf_text(out, "hashed(");
  rfl_buf_text(out, v->name);
  for (size_t k = 0; k < v->hashing.n_with; k++) {
    rfl_buf_text(out, ", ");
    rfl_buf_text(out, v->hashing.with[k]);
  }
  rfl_buf_u8(out, ')');
  rfl_buf_put(out, number, rfl_print_int64(number, slot));
}

static void column_name(const struct rfl_recipe *r, const struct compiled_term *t,
                        int32_t x, struct rfl_buf *out) {
  for (size_t k = 0; k < t->n; k++) {
    const struct variable *v = &r->variable[t->variable[k]];
    if (k) rfl_buf_u8(out, ':');
    if (v->kind == RFL_HASHED) {
      hashed_name(v, x, out);
      continue;
    }
    rfl_buf_text(out, v->name);
    if (v->kind == RFL_NUMBER) continue;
    int32_t columns = t->coding[k].columns;
    coding_name(v, &t->coding[k], x % columns, out);
    x /= columns;
  }
  rfl_buf_u8(out, 0);
}

enum rfl_code name_columns(struct rfl_recipe *r, struct rfl_err *err) {
  const struct rfl_layout *l = &r->layout;
  r->name_at = rfl_alloc((size_t)(l->n_x - l->slots), sizeof *r->name_at);
  if (!r->name_at) return rfl_no_memory(err);
  size_t x = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    if (rfl_term_shared(l, &l->term[t])) continue;
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

const char *rfl_recipe_column(const struct rfl_recipe *r, int32_t x) {
  if (x >= r->layout.n_x - r->layout.slots)
    return "hashed"; /* the table of all of them */
  return (const char *)r->names.p + r->name_at[x];
}
