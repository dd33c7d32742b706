/* The same knowledge over more levels and more classes. What nobody has seen yet has
 * weight 0 everywhere: rows that came before the level was known did not have it. */
#include <string.h>

#include "base/mem.h"
#include "learn/bayes_state.h"

/* Whether `to` sends the columns of every term of the old layout into the same term of
 * the new one, and classes to classes, no two to one place. */
static bool maps(const struct rfl_state *s, const struct rfl_bayes_wider *w,
                 uint8_t *taken) {
  const struct rfl_layout *old = &s->design->layout, *new = w->layout;
  bool ok = old->n_terms == new->n_terms && old->n_dense == new->n_dense &&
            old->n_coded == new->n_coded;
  for (size_t t = 0; ok && t < old->n_terms; t++) {
    const struct rfl_term *a = &old->term[t], *b = &new->term[t];
    ok = a->coded == b->coded && a->dense == b->dense;
    for (int32_t z = a->z; ok && z < a->z + a->n_z; z++) {
      int32_t at = w->to ? w->to[z] : z;
      ok = at >= b->z && at < b->z + b->n_z && !taken[at];
      if (ok) taken[at] = 1;
    }
  }
  for (size_t c = 0; ok && c < s->design->n_classes; c++) {
    int32_t at = w->to_class ? w->to_class[c] : (int32_t)c;
    ok = at >= 0 && at < w->n_classes && !taken[new->n_z + at];
    if (ok) taken[new->n_z + at] = 1;
  }
  return ok;
}

static enum rfl_code check_map(const struct rfl_state *s, const struct rfl_bayes_wider *w,
                               struct rfl_err *err) {
  size_t places = w->n_classes < 0 ? 0 : (size_t)w->layout->n_z + (size_t)w->n_classes;
  uint8_t *taken = rfl_alloc(places, 1);
  if (!taken) return rfl_no_memory(err);
  bool ok = maps(s, w, taken);
  rfl_free(taken);
  if (ok) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT, "The wider layout does not hold the old one.");
}

static void carry(struct rfl_state *to, const struct rfl_state *s,
                  const struct rfl_bayes_wider *w) {
  const struct bayes_design *old = s->design, *new = to->design;
  memcpy(to->sum, s->sum, BAYES_CLASSES * sizeof *to->sum);
  for (size_t c = 0; c < old->n_classes; c++) {
    size_t at = w->to_class ? (size_t)w->to_class[c] : c;
    to->sum[BAYES_CLASSES + at] = s->sum[BAYES_CLASSES + c];
    to->sum[new->faded + at] = s->sum[old->faded + c];
    for (size_t k = 0; k < old->n_features; k++) {
      const struct bayes_feature *f = &old->feature[k], *g = &new->feature[k];
      int32_t z = old->layout.term[f->term].z, to_z = new->layout.term[g->term].z;
      int32_t rows = f->levels                      ? f->levels + BAYES_LEVELS
                     : f->kind == RFL_LIKE_GAUSSIAN ? 3
                                                    : 2;
      for (int32_t r = 0; r < rows; r++) {
        int32_t row = r;
        if (f->levels && w->to && r >= BAYES_LEVELS)
          row = w->to[z + r - BAYES_LEVELS] - to_z + BAYES_LEVELS;
        to->sum[g->sum + (size_t)row * new->n_classes + at] =
            s->sum[f->sum + (size_t)r * old->n_classes + c];
      }
    }
  }
  memcpy(to->scale, s->scale, old->n_features * sizeof *to->scale);
}

enum rfl_code rfl_bayes_widen(const struct rfl_state *s, const struct rfl_bayes_wider *w,
                              struct rfl_state **gives, struct rfl_err *err) {
  RFL_TRY(check_map(s, w, err));
  int32_t *kind = rfl_alloc(w->layout->n_terms, sizeof *kind);
  if (!kind) return rfl_no_memory(err);
  for (size_t k = 0; k < s->design->n_features; k++)
    kind[s->design->feature[k].term] = (int32_t)s->design->feature[k].kind;
  struct bayes_shape shape = {w->layout, w->n_classes, kind};
  struct bayes_design *design;
  enum rfl_code code = bayes_design_new(&shape, &design, err);
  rfl_free(kind);
  if (code) return code;
  struct rfl_state *to = NULL;
  code = bayes_state_new(design, &to, err);
  bayes_design_release(design);
  if (!code) code = bayes_set_prior(to, w->prior, err);
  bool again;
  if (!code) {
    bayes_take_settings(to, s);
    to->version = s->version;
    carry(to, s, w);
    if (s->book) code = bayes_settle(to, &again, err);
  }
  if (code) {
    bayes_release(to);
    return code;
  }
  *gives = to;
  return RFL_OK;
}

enum rfl_code bayes_widen(const struct rfl_state *s, const struct rfl_layout *wider,
                          const int32_t *to, struct rfl_state **gives,
                          struct rfl_err *err) {
  struct rfl_bayes_wider w = {.layout = wider,
                              .to = to,
                              .n_classes = (int32_t)s->design->n_classes,
                              .prior = s->prior};
  return rfl_bayes_widen(s, &w, gives, err);
}
