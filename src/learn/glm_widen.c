/* A GLM over more levels: update() with levels that no row has had so far.
 *
 * What is known stays as it is, number by number, only at other places: column j of X is
 * column x[j] of the wider layout. New columns are what they would be had their levels
 * been declared at the first fit, where no row had them: all sums are 0, so the column is
 * aliased, its coefficient NA, and it is orthogonal to all others. A Cholesky factor with
 * such columns between the old ones is the old factor with rows of the identity between:
 * nothing is factored again. glm_renew() gives aliased columns the weak prior with which
 * they are then learnt; where the fit is the prior already, they are given it here. A
 * ridge penalty is information about a column without rows too: 0 is its estimate.
 *
 * Where the columns are is read off the two maps of contrasts (Z to X): a column of X
 * keeps its meaning when the old cells have the same entries in both. Treatment
 * contrasts, full dummies and their products with anything do; sums to zero or Helmert
 * contrasts of the wider factor do not, and are refused. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

struct move { /* element k of n is element at[k] of `wide`; at ascends */
  const int32_t *at;
  size_t n, wide;
};

/* ---- where the columns go ---- */

static bool same_shape(const struct rfl_layout *a, const struct rfl_layout *b) {
  bool ok = a->n_terms == b->n_terms && a->n_dense == b->n_dense &&
            a->n_coded == b->n_coded && a->n_extra == b->n_extra &&
            a->intercept == b->intercept;
  for (size_t t = 0; ok && t < a->n_terms; t++)
    ok = a->term[t].coded == b->term[t].coded && a->term[t].dense == b->term[t].dense;
  return ok;
}

/* Every term's columns of Z into the same term, in their order. */
static bool map_cells(const struct rfl_layout *a, const struct rfl_layout *b,
                      const int32_t *to, int32_t *cells) {
  if (!same_shape(a, b)) return false;
  for (size_t t = 0; t < a->n_terms; t++) {
    int32_t last = b->term[t].z - 1, end = b->term[t].z + b->term[t].n_z;
    for (int32_t k = 0; k < a->term[t].n_z; k++) {
      int32_t z = a->term[t].z + k, at = to ? to[z] : z;
      if (at <= last || at >= end) return false;
      cells[z] = last = at;
    }
  }
  return true;
}

/* Columns of X by those of Z: each old cell must have the same entries in both maps. */
static bool map_columns(const struct rfl_contrast *a, const struct rfl_contrast *b,
                        const int32_t *cells, int32_t *columns) {
  for (int32_t j = 0; j < a->n_x; j++) columns[j] = -1;
  for (int32_t z = 0; z < a->n_z; z++) {
    size_t from = a->at[z], n = a->at[z + 1] - from, at = b->at[cells[z]];
    if (b->at[cells[z] + 1] - at != n) return false;
    for (size_t k = 0; k < n; k++) {
      int32_t *to = &columns[a->x[from + k]];
      if (a->factor[from + k] != b->factor[at + k]) return false;
      if (*to >= 0 && *to != b->x[at + k]) return false;
      *to = b->x[at + k];
    }
  }
  for (int32_t j = 0, last = -1; j < a->n_x; last = columns[j++])
    if (columns[j] <= last) return false;
  return true;
}

/* Into places: those of the columns of Z, then those of X. */
static enum rfl_code find_places(const struct glm_design *old,
                                 const struct glm_design *new, const int32_t *to,
                                 int32_t *places, struct rfl_err *err) {
  if (!map_cells(&old->layout, &new->layout, to, places))
    return rfl_fail(err, RFL_EARGUMENT, "The wider layout does not hold the old one.");
  if (!map_columns(&old->contrast, &new->contrast, places, places + old->layout.n_z))
    return rfl_fail(err, RFL_EMODEL,
                    "New levels would change the meaning of coefficients: only treatment "
                    "contrasts and full dummies take them.");
  return RFL_OK;
}

/* ---- arrays at their new places ---- */

/* `each` numbers an element. What is absent stays absent. */
static bool line(double **to, const double *from, struct move m, size_t each) {
  if (!from) return true;
  if (!*to) *to = rfl_alloc(m.wide * each, sizeof **to);
  for (size_t k = 0; *to && k < m.n; k++)
    memcpy(*to + (size_t)m.at[k] * each, from + k * each, each * sizeof **to);
  return *to != NULL;
}

static bool square(double **to, const double *from, struct move m) {
  if (!from) return true;
  *to = rfl_alloc(m.wide * m.wide, sizeof **to);
  for (size_t j = 0; *to && j < m.n; j++)
    for (size_t i = 0; i < m.n; i++)
      (*to)[(size_t)m.at[i] + (size_t)m.at[j] * m.wide] = from[i + j * m.n];
  return *to != NULL;
}

static bool marks(uint8_t **to, const uint8_t *from, struct move m) {
  *to = rfl_alloc(m.wide, 1);
  for (size_t k = 0; *to && k < m.n; k++) (*to)[m.at[k]] = from[k];
  return *to != NULL;
}

static bool carry(struct rfl_state *to, const struct rfl_state *s, struct move x,
                  struct move z) {
  return line(&to->beta, s->beta, x, 1) && line(&to->direction, s->direction, x, 1) &&
         line(&to->before, s->before, x, 1) && line(&to->start, s->start, x, 1) &&
         line(&to->column_size, s->column_size, x, 1) &&
         line(&to->scale, s->scale, x, 1) && line(&to->prior_beta, s->prior_beta, x, 1) &&
         line(&to->counts, s->counts, z, 3) &&
         line(&to->past_counts, s->past_counts, z, 3) && square(&to->info, s->info, x) &&
         square(&to->prior_info, s->prior_info, x) &&
         square(&to->prior_outer, s->prior_outer, x) &&
         square(&to->by_row, s->by_row, x) && square(&to->by_cluster, s->by_cluster, x) &&
         square(&to->chol.a.hi, s->chol.a.hi, x) &&
         line(&to->chol.scale, s->chol.scale, x, 1) &&
         marks(&to->aliased, s->aliased, x) && marks(&to->chol.kept, s->chol.kept, x);
}

/* What a column without rows is, in the situation that the state is in. */
static void begin_column(struct rfl_state *s, size_t j) {
  size_t own = j + j * glm_p(s);
  bool ridge = glm_penalised(s) && !s->standardize;
  s->chol.a.hi[own] = 1;
  s->chol.scale[j] = ridge ? sqrt(s->now.weight * s->l2) : 1;
  s->chol.kept[j] = ridge;
  s->chol.rank += ridge;
  s->aliased[j] = !ridge;
  if (ridge) s->scale[j] = 1;
}

static void begin_columns(struct rfl_state *s, struct move x) {
  for (size_t j = 0, k = 0; j < x.wide; j++) {
    bool old = k < x.n && (size_t)x.at[k] == j;
    if (old)
      k++;
    else
      begin_column(s, j);
  }
}

/* ---- the verb ---- */

/* Between passes of a fit there is more than can be moved: its sums, and a step that was
 * decided without the new columns. */
static enum rfl_code check(const struct rfl_state *s, struct rfl_err *err) {
  bool between = s->has_prior && !s->passes && glm_scalar(s, GLM_ROWS) == 0;
  if (!s->settled && !between)
    return rfl_fail(err, RFL_EBUSY, "Only a finished fit can take new levels.");
  if (s->l1 > 0)
    return rfl_fail(err, RFL_EMODEL, "A model with an l1 penalty learns no new rows.");
  return RFL_OK;
}

static enum rfl_code move_state(const struct rfl_state *s, struct glm_design *design,
                                const int32_t *to, struct rfl_state **gives,
                                struct rfl_err *err) {
  struct rfl_state *wide = NULL;
  size_t p = glm_p(s), z = glm_z(s);
  int32_t *places = rfl_alloc(z + p, sizeof *places);
  if (!places) return rfl_no_memory(err);
  struct move cells = {places, z, (size_t)design->layout.n_z};
  struct move columns = {places + z, p, (size_t)design->layout.n_x};
  enum rfl_code code = find_places(s->design, design, to, places, err);
  if (!code) code = glm_state_new(design, &wide, err);
  if (!code) {
    glm_take_plain(wide, s);
    wide->exact = false; /* as its sums, which are empty */
    wide->chol.p = columns.wide;
    if (!carry(wide, s, columns, cells)) code = rfl_no_memory(err);
  }
  if (!code) {
    begin_columns(wide, columns);
    if (wide->has_prior) glm_weaken(wide, wide->direction, wide->direction);
    glm_clear(wide);
  }
  rfl_free(places);
  if (code) {
    glm_release(wide);
    return code;
  }
  *gives = wide;
  return RFL_OK;
}

enum rfl_code glm_widen(const struct rfl_state *s, const struct rfl_layout *wider,
                        const int32_t *to, struct rfl_state **gives,
                        struct rfl_err *err) {
  RFL_TRY(check(s, err));
  struct glm_design *design;
  RFL_TRY(glm_design_new(wider, &design, err));
  enum rfl_code code = move_state(s, design, to, gives, err);
  glm_design_release(design);
  return code;
}
