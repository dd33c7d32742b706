#include "num/contrast.h"

#include "base/mem.h"

void rfl_contrast_release(struct rfl_contrast *c) {
  if (!c) return;
  rfl_free(c->at);
  rfl_free(c->x);
  rfl_free(c->factor);
  *c = (struct rfl_contrast){0};
}

static double entry(const struct rfl_coding *c, int32_t level, int32_t column) {
  if (c->select) return c->select[level] == column ? 1.0 : 0.0;
  return c->matrix[(size_t)column * (size_t)c->levels + (size_t)level];
}

/* The entry of T_t for cell z and column x of the term: the product over its factors,
 * the first of which varies fastest in both. */
static double product(const struct rfl_term *term, int32_t z, int32_t x) {
  double f = 1;
  for (size_t k = 0; k < term->n_codings && f != 0; k++) {
    const struct rfl_coding *c = &term->coding[k];
    f *= entry(c, z % c->levels, x % c->columns);
    z /= c->levels;
    x /= c->columns;
  }
  return f;
}

/* The one column a cell selects, or -1; only for terms whose codings all select. A hashed
 * term has none: its slots are its columns. */
static int32_t selected(const struct rfl_term *term, int32_t z) {
  if (!term->n_codings) return z;
  int32_t x = 0, stride = 1;
  for (size_t k = 0; k < term->n_codings; k++) {
    const struct rfl_coding *c = &term->coding[k];
    int32_t s = c->select[z % c->levels];
    if (s < 0) return -1;
    x += s * stride;
    stride *= c->columns;
    z /= c->levels;
  }
  return x;
}

static bool selects(const struct rfl_term *term) {
  for (size_t k = 0; k < term->n_codings; k++)
    if (!term->coding[k].select) return false;
  return true;
}

/* Counts the entries (to == NULL) or writes them; gives the number behind the last. */
static size_t fill(const struct rfl_layout *l, struct rfl_contrast *to) {
  size_t n = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    bool select = selects(term);
    for (int32_t z = 0; z < term->n_z; z++) {
      if (to) to->at[term->z + z] = n;
      int32_t from = select ? selected(term, z) : 0;
      int32_t upto = select ? from + 1 : term->n_x;
      for (int32_t x = from < 0 ? upto : from; x < upto; x++) {
        double f = select ? 1.0 : product(term, z, x);
        if (f == 0) continue;
        if (to) {
          to->x[n] = term->x + x;
          to->factor[n] = f;
        }
        n++;
      }
    }
  }
  if (to) to->at[l->n_z] = n;
  return n;
}

enum rfl_code rfl_contrast_new(const struct rfl_layout *l, struct rfl_contrast *gives,
                               struct rfl_err *err) {
  size_t n = fill(l, NULL);
  struct rfl_contrast c = {.n_z = l->n_z, .n_x = l->n_x};
  c.at = rfl_alloc((size_t)l->n_z + 1, sizeof *c.at);
  c.x = rfl_alloc(n, sizeof *c.x);
  c.factor = rfl_alloc(n, sizeof *c.factor);
  if (!c.at || !c.x || !c.factor) {
    rfl_contrast_release(&c);
    return rfl_no_memory(err);
  }
  fill(l, &c);
  *gives = c;
  return RFL_OK;
}

void rfl_contrast_spread(const struct rfl_contrast *c, const double *beta,
                         double *gamma) {
  for (int32_t z = 0; z < c->n_z; z++) {
    double sum = 0;
    for (size_t k = c->at[z]; k < c->at[z + 1]; k++) sum += c->factor[k] * beta[c->x[k]];
    gamma[z] = sum;
  }
}

void rfl_contrast_collect(const struct rfl_contrast *c, const double *from, double *to) {
  for (int32_t z = 0; z < c->n_z; z++)
    for (size_t k = c->at[z]; k < c->at[z + 1]; k++)
      to[c->x[k]] += c->factor[k] * from[z];
}
