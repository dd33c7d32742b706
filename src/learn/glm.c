/* The GLM's table of verbs, and how states are made, copied and merged. */
#include "learn/glm.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

/* ---- the design: what a state and its parts share ---- */

void glm_design_release(struct glm_design *d) {
  if (!d || atomic_fetch_sub(&d->refs, 1) > 1) return;
  rfl_layout_release(&d->layout);
  rfl_contrast_release(&d->contrast);
  rfl_gram_release(&d->gram);
  rfl_free(d);
}

enum rfl_code glm_design_new(const struct rfl_layout *l, struct glm_design **gives,
                             struct rfl_err *err) {
  RFL_TRY(rfl_layout_check(l, err));
  RFL_TRY(rfl_layout_plain(l, err));
  struct glm_design *d = rfl_alloc(1, sizeof *d);
  if (!d) return rfl_no_memory(err);
  atomic_init(&d->refs, 1);
  enum rfl_code code = rfl_layout_copy(l, &d->layout, err);
  if (!code) code = rfl_contrast_new(&d->layout, &d->contrast, err);
  if (!code) code = rfl_gram_plan(&d->layout, &d->gram, err);
  if (code) {
    glm_design_release(d);
    return code;
  }
  d->counts = GLM_N_SCALARS + d->gram.n_sums;
  d->n_sums = d->counts + 3 * (size_t)d->layout.n_z;
  d->n_scratch = d->gram.rows * (9 + 2 * d->gram.stride) + (size_t)d->layout.n_x;
  *gives = d;
  return RFL_OK;
}

static struct glm_design *design_keep(struct glm_design *d) {
  atomic_fetch_add(&d->refs, 1);
  return d;
}

/* ---- the state ---- */

void glm_release(struct rfl_state *s) {
  if (!s) return;
  glm_design_release(s->design);
  rfl_free_aligned(s->sums.hi);
  rfl_free_aligned(s->sums.lo);
  rfl_free_aligned(s->scratch);
  rfl_chol_release(&s->chol);
  void *all[] = {s->beta,  s->gamma,       s->aliased,    s->direction,   s->before,
                 s->start, s->column_size, s->counts,     s->info,        s->prior_beta,
                 s->coef,  s->vcov,        s->prior_info, s->prior_outer, s->past_counts,
                 s->scale, s->by_row,      s->by_cluster, s->buckets};
  glm_lever_release(s->lever);
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
  rfl_free(s);
}

/* An empty state at beta = 0. Keeps the design. */
enum rfl_code glm_state_new(struct glm_design *design, struct rfl_state **gives,
                            struct rfl_err *err) {
  struct rfl_state *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->design = design_keep(design);
  size_t p = glm_p(s), z = glm_z(s);
  s->beta = rfl_alloc(p, sizeof *s->beta);
  s->gamma = rfl_alloc(z, sizeof *s->gamma);
  s->sums.hi = rfl_alloc_aligned(design->n_sums, sizeof *s->sums.hi);
  s->scratch = rfl_alloc_aligned(design->n_scratch, sizeof *s->scratch);
  if (!s->beta || !s->gamma || !s->sums.hi || !s->scratch) {
    glm_release(s);
    return rfl_no_memory(err);
  }
  s->keep = 1;
  s->objective = INFINITY;
  s->theta_se = NAN;
  *gives = s;
  return RFL_OK;
}

enum rfl_code glm_need_exact(struct rfl_state *s, struct rfl_err *err) {
  if (s->sums.lo) return RFL_OK;
  s->sums.lo = rfl_alloc_aligned(s->design->n_sums, sizeof *s->sums.lo);
  return s->sums.lo ? RFL_OK : rfl_no_memory(err);
}

void glm_clear(struct rfl_state *s) {
  size_t n = s->design->n_sums;
  memset(s->sums.hi, 0, n * sizeof *s->sums.hi);
  if (s->sums.lo && !s->exact) {
    rfl_free_aligned(s->sums.lo);
    s->sums.lo = NULL;
  }
  if (s->sums.lo) memset(s->sums.lo, 0, n * sizeof *s->sums.lo);
  if (s->buckets)
    memset(s->buckets, 0, GLM_BUCKETS * (glm_z(s) + 1) * sizeof *s->buckets);
  rfl_contrast_spread(&s->design->contrast, s->beta, s->gamma);
}

static enum rfl_code check_options(const struct rfl_glm_options *o,
                                   const struct glm_kind *k, struct rfl_err *err) {
  bool net = o->l1 > 0 || o->l2 > 0;
  if (!(o->l1 >= 0 && o->l1 <= 1e300 && o->l2 >= 0 && o->l2 <= 1e300))
    return rfl_fail(err, RFL_EARGUMENT, "A penalty must be 0 or more, and finite.");
  bool known = k->family == RFL_BINOMIAL || k->family == RFL_POISSON;
  if (o->firth && !(known && glm_is_canonical(k)))
    return rfl_fail(err, RFL_EARGUMENT,
                    "Firth's bias reduction is for logistic models and for counts with a "
                    "log link.");
  if (o->firth && net)
    return rfl_fail(err, RFL_EARGUMENT,
                    "Firth's bias reduction and a penalty do not go together.");
  return RFL_OK;
}

static enum rfl_code glm_open(const struct rfl_options *options,
                              const struct rfl_layout *layout, struct rfl_state **gives,
                              struct rfl_err *err) {
  const struct rfl_glm_options *o = (const struct rfl_glm_options *)options;
  struct glm_kind kind;
  RFL_TRY(glm_kind_new(o, &kind, err));
  RFL_TRY(check_options(o, &kind, err));
  struct glm_design *design;
  RFL_TRY(glm_design_new(layout, &design, err));
  struct rfl_state *s = NULL;
  enum rfl_code code = glm_state_new(design, &s, err);
  glm_design_release(design);
  if (code) return code;
  s->kind = kind;
  s->tolerance = o->tolerance > 0 ? o->tolerance : 1e-14;
  s->rank_tolerance = o->rank_tolerance > 0 ? o->rank_tolerance : 1e-7;
  s->max_passes = o->max_passes > 0 ? o->max_passes : 100;
  for (size_t j = 0; o->start && j < glm_p(s); j++)
    s->beta[j] = o->start[j] - o->start[j] == 0 ? o->start[j] : 0;
  s->first = !o->start && !glm_is_linear(&kind);
  s->count = true;
  s->l1 = o->l1;
  s->l2 = o->l2;
  s->standardize = o->standardize;
  s->firth = o->firth;
  s->robust = o->robust;
  s->cluster = o->cluster;
  if (o->standardize && glm_penalised(s)) s->stage = GLM_MOMENTS;
  glm_clear(s);
  *gives = s;
  return RFL_OK;
}

/* The iterate and the kind of pass of `from`, with empty sums. A finished fit starts a
 * new one (on more rows) from `start`, where no level without events has run away. A part
 * of a part counts when that one does; a part of a fit that has counted does not, and if
 * it then becomes a fit of its own, counts in its second pass. */
static void take_iterate(struct rfl_state *s, const struct rfl_state *from) {
  bool anew = from->settled;
  s->kind = from->kind;
  s->sharp = from->sharp && !anew;
  s->stage = anew ? GLM_FITTING : from->stage;
  s->l1 = from->l1;
  s->l2 = from->l2;
  s->standardize = from->standardize;
  s->firth = from->firth;
  s->robust = from->robust;
  s->cluster = from->cluster;
  if (s->lever != from->lever || anew) {
    glm_lever_release(s->lever);
    s->lever = anew ? NULL : glm_lever_keep(from->lever);
  }
  s->levered = s->lever && from->levered;
  s->theta_se = anew ? NAN : from->theta_se;
  s->tolerance = from->tolerance;
  s->rank_tolerance = from->rank_tolerance;
  s->max_passes = from->max_passes;
  s->first = from->first && !anew;
  s->exact = from->exact && !anew;
  s->round = from->round && !anew;
  s->count = anew || (from->passes ? !from->counted : from->count);
  s->null = anew ? (struct glm_null){0} : from->null;
  s->counted = s->settled = s->alias_known = s->bent = s->blunt = s->separated = false;
  s->passes = s->halvings = s->linear = 0;
  s->objective = s->decrement = INFINITY;
  memcpy(s->beta, anew ? from->start : from->beta, glm_p(s) * sizeof *s->beta);
  glm_clear(s);
}

static enum rfl_code glm_part(const struct rfl_state *s, struct rfl_state **gives,
                              struct rfl_err *err) {
  struct rfl_state *part = *gives;
  bool fresh = !part || part->design != s->design;
  if (fresh) {
    part = NULL;
    RFL_TRY(glm_state_new(s->design, &part, err));
  }
  if (s->exact && !s->settled) {
    enum rfl_code code = glm_need_exact(part, err);
    if (code) {
      if (fresh) glm_release(part);
      return code;
    }
  }
  take_iterate(part, s);
  if (fresh) glm_release(*gives);
  *gives = part;
  return RFL_OK;
}

static enum rfl_code glm_merge(struct rfl_state *to, const struct rfl_state *from,
                               struct rfl_err *err) {
  size_t p = glm_p(to), z = glm_z(to);
  if (!glm_kind_same(&to->kind, &from->kind) || p != glm_p(from) || z != glm_z(from) ||
      to->design->n_sums != from->design->n_sums)
    return rfl_fail(err, RFL_EMODEL, "States of different models cannot be merged.");
  if (to->settled || from->settled || to->first != from->first ||
      to->exact != from->exact || to->sharp != from->sharp || to->stage != from->stage ||
      memcmp(to->gamma, from->gamma, z * sizeof *to->gamma))
    return rfl_fail(
        err, RFL_EMODEL,
        "Only sums of one pass, taken at the same coefficients, can be merged.");
  if (from->buckets) RFL_TRY(glm_need_buckets(to, err));
  for (size_t k = 0; from->buckets && k < GLM_BUCKETS * (z + 1); k++)
    to->buckets[k] += from->buckets[k];
  to->count |= from->count;
  rfl_sums_merge(to->sums, from->sums, to->design->n_sums);
  return RFL_OK;
}

/* ---- copies ---- */

static bool same(void *to, const void *from, size_t n, size_t size) {
  void **at = to;
  if (!from) return true;
  *at = rfl_alloc(n, size);
  if (*at && n) memcpy(*at, from, n * size);
  return *at != NULL;
}

static bool chol_copy(struct rfl_chol *to, const struct rfl_chol *from) {
  *to = (struct rfl_chol){.p = from->p, .rank = from->rank, .least = from->least};
  size_t p = from->p;
  return !from->a.hi || (same(&to->a.hi, from->a.hi, p * p, sizeof(double)) &&
                         same(&to->a.lo, from->a.lo, p * p, sizeof(double)) &&
                         same(&to->scale, from->scale, p, sizeof(double)) &&
                         same(&to->kept, from->kept, p, 1));
}

static bool copy_solver(struct rfl_state *to, const struct rfl_state *s) {
  size_t p = glm_p(s), z = glm_z(s), d = sizeof(double);
  return same(&to->aliased, s->aliased, p, 1) &&
         same(&to->direction, s->direction, p, d) && same(&to->before, s->before, p, d) &&
         same(&to->start, s->start, p, d) &&
         same(&to->column_size, s->column_size, p, d) &&
         same(&to->counts, s->counts, 3 * z, d) && same(&to->info, s->info, p * p, d) &&
         same(&to->prior_beta, s->prior_beta, p, d) &&
         same(&to->prior_info, s->prior_info, p * p, d) &&
         same(&to->prior_outer, s->prior_outer, p * p, d) &&
         same(&to->past_counts, s->past_counts, 3 * z, d) &&
         same(&to->scale, s->scale, p, d) && same(&to->by_row, s->by_row, p * p, d) &&
         same(&to->by_cluster, s->by_cluster, p * p, d) &&
         same(&to->buckets, s->buckets, GLM_BUCKETS * (z + 1), d) &&
         chol_copy(&to->chol, &s->chol);
}

/* All of `from` that is not memory; `to` is as glm_state_new() gave it, and stays over
 * its own design. */
void glm_take_plain(struct rfl_state *to, const struct rfl_state *from) {
  struct rfl_state fresh = *to;
  *to = *from;
  to->design = fresh.design;
  to->beta = fresh.beta;
  to->gamma = fresh.gamma;
  to->sums = fresh.sums;
  to->scratch = fresh.scratch;
  to->aliased = NULL;
  to->direction = NULL;
  to->before = to->start = to->column_size = to->counts = to->info = NULL;
  to->prior_beta = to->prior_info = to->prior_outer = to->past_counts = NULL;
  to->coef = to->vcov = to->scale = to->by_row = to->by_cluster = to->buckets = NULL;
  to->lever = NULL;
  to->chol = (struct rfl_chol){.rank = from->chol.rank, .least = from->chol.least};
}

static enum rfl_code glm_copy(const struct rfl_state *s, struct rfl_state **gives,
                              struct rfl_err *err) {
  struct rfl_state *to = NULL;
  RFL_TRY(glm_state_new(s->design, &to, err));
  glm_take_plain(to, s);
  to->lever = glm_lever_keep(s->lever);
  if ((s->sums.lo && glm_need_exact(to, err)) || !copy_solver(to, s)) {
    glm_release(to);
    return rfl_no_memory(err);
  }
  size_t n = s->design->n_sums;
  memcpy(to->beta, s->beta, glm_p(s) * sizeof *to->beta);
  memcpy(to->gamma, s->gamma, glm_z(s) * sizeof *to->gamma);
  memcpy(to->sums.hi, s->sums.hi, n * sizeof *to->sums.hi);
  if (s->sums.lo) memcpy(to->sums.lo, s->sums.lo, n * sizeof *to->sums.lo);
  *gives = to;
  return RFL_OK;
}

/* ---- the table ---- */

static uint32_t glm_traits(const struct rfl_options *options) {
  (void)options;
  return RFL_SUMMABLE | RFL_PASSES | RFL_BLOCKED;
}

/* As many rows as there are sums, so that merging a cell stays cheap beside absorbing it.
 */
static uint32_t glm_grid(const struct rfl_layout *l) {
  double sums = 16;
  for (size_t t = 0; t < l->n_terms; t++)
    for (size_t u = t; u < l->n_terms; u++)
      sums += (double)l->term[t].n_z * (double)l->term[u].n_z;
  double rows = ceil(sums / 1024) * 1024;
  return rows < 4096 ? 4096 : rows > 65536 ? 65536 : (uint32_t)rows;
}

static const struct rfl_layout *glm_layout(const struct rfl_state *s) {
  return &s->design->layout;
}

const struct rfl_learner rfl_glm = {.name = "glm",
                                    .traits = glm_traits,
                                    .grid = glm_grid,
                                    .open = glm_open,
                                    .part = glm_part,
                                    .absorb = glm_absorb,
                                    .merge = glm_merge,
                                    .settle = glm_settle,
                                    .renew = glm_renew,
                                    .width = glm_width,
                                    .score = glm_score,
                                    .copy = glm_copy,
                                    .write = glm_write,
                                    .read = glm_read,
                                    .size = glm_size,
                                    .layout = glm_layout,
                                    .release = glm_release,
                                    .widen = glm_widen};
