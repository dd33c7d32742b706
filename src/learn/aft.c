/* The AFT model's table of verbs, and how states are made, copied and merged. */
#include "learn/aft.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/aft_parts.h"

enum { MOST_STRATA = 10000, MOST_CLUSTERS = 65536, GROUP = 8 };

/* ---- the design: what a state and its parts share ---- */

void aft_design_release(struct aft_design *d) {
  if (!d || atomic_fetch_sub(&d->refs, 1) > 1) return;
  rfl_layout_release(&d->layout);
  rfl_contrast_release(&d->contrast);
  rfl_gram_release(&d->gram);
  rfl_free(d);
}

static const char *options_fault(const struct rfl_aft_options *o, size_t n_extra) {
  const int32_t at[] = {o->time, o->time2, o->status, o->stratum, o->cluster};
  for (size_t k = 0; k < sizeof at / sizeof *at; k++)
    if (at[k] < -1 || at[k] >= (int64_t)n_extra) return "a column that the rows lack";
  bool second = o->type == RFL_AFT_TYPE_INTERVAL || o->type == RFL_AFT_TYPE_INTERVAL2;
  if ((unsigned)o->dist > RFL_AFT_T || (unsigned)o->type > RFL_AFT_TYPE_INTERVAL2)
    return "an unknown distribution or type of censoring";
  if (o->time < 0 || second != (o->time2 >= 0)) return "its times";
  if (o->type == RFL_AFT_TYPE_INTERVAL2 ? o->status >= 0 : second && o->status < 0)
    return "its status";
  if (o->dist == RFL_AFT_T && !(o->df > 2 && o->df <= 1e9))
    return "degrees of freedom that are not above 2";
  if (!(o->scale >= 0 && o->scale < INFINITY)) return "a scale that is not 0 or more";
  if (o->n_strata < 0 || o->n_strata > MOST_STRATA || o->n_clusters < 0 ||
      o->n_clusters > MOST_CLUSTERS)
    return "too many strata or clusters";
  if ((o->n_strata > 0) != (o->stratum >= 0) || (o->n_clusters > 0) != (o->cluster >= 0))
    return "its strata or clusters";
  if (o->n_strata > 1 && o->scale > 0) return "a fixed scale with strata";
  if (o->status >= 0 && !(o->event - o->event == 0)) return "its event";
  return NULL;
}

enum rfl_code aft_options_check(const struct rfl_aft_options *o,
                                const struct rfl_layout *l, struct rfl_err *err) {
  const char *fault = options_fault(o, l->n_extra);
  if (!fault) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT, "The model has %s.", fault);
}

static bool place_sums(struct aft_design *d) {
  size_t z = (size_t)d->layout.n_z, cells, n;
  d->gram_at = AFT_N_SCALARS + d->strata * AFT_N_OF_STRATUM;
  d->cross_at = d->gram_at + d->gram.n_sums;
  if (__builtin_mul_overflow(d->scales, z, &cells)) return false;
  if (__builtin_add_overflow(d->cross_at, cells, &d->cluster_at)) return false;
  if (__builtin_mul_overflow((size_t)d->options.n_clusters, z + d->scales, &cells))
    return false;
  if (__builtin_add_overflow(d->cluster_at, cells, &n)) return false;
  d->n_sums = n;
  return n <= SIZE_MAX / 64;
}

enum rfl_code aft_design_new(const struct rfl_aft_options *o, const struct rfl_layout *l,
                             struct aft_design **gives, struct rfl_err *err) {
  RFL_TRY(rfl_layout_check(l, err));
  RFL_TRY(rfl_layout_plain(l, err));
  RFL_TRY(aft_options_check(o, l, err));
  struct aft_design *d = rfl_alloc(1, sizeof *d);
  if (!d) return rfl_no_memory(err);
  atomic_init(&d->refs, 1);
  d->options = *o;
  aft_dist_set(&d->dist, o->dist, o->df);
  d->strata = o->n_strata > 0 ? (size_t)o->n_strata : 1;
  d->scales = o->scale > 0 ? 0 : d->strata;
  enum rfl_code code = rfl_layout_copy(l, &d->layout, err);
  if (!code) code = rfl_contrast_new(&d->layout, &d->contrast, err);
  if (!code) code = rfl_gram_plan(&d->layout, &d->gram, err);
  if (!code && !place_sums(d))
    code = rfl_fail(err, RFL_EMODEL, "The model has too many levels to be fitted.");
  if (code) {
    aft_design_release(d);
    return code;
  }
  d->n_scratch = d->gram.rows * (13 + 2 * d->gram.stride) + 2 * d->strata;
  *gives = d;
  return RFL_OK;
}

static struct aft_design *design_keep(struct aft_design *d) {
  atomic_fetch_add(&d->refs, 1);
  return d;
}

/* ---- the state ---- */

void aft_release(struct rfl_state *s) {
  if (!s) return;
  aft_design_release(s->design);
  rfl_free_aligned(s->sums);
  rfl_free_aligned(s->scratch);
  rfl_chol_release(&s->chol);
  void *all[] = {s->theta,       s->gamma,      s->aliased,     s->before,
                 s->column_size, s->direction,  s->info,        s->bucket,
                 s->prior_theta, s->prior_info, s->prior_outer, s->past_bucket,
                 s->coef,        s->vcov,       s->robust};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
  rfl_free(s);
}

bool aft_room(double **p, size_t n) {
  if (!*p) *p = rfl_alloc(n, sizeof **p);
  return *p != NULL;
}

double aft_tau(const struct rfl_state *s, size_t stratum) {
  const struct aft_design *d = s->design;
  return d->scales ? s->theta[aft_p(s) + stratum] : log(d->options.scale);
}

/* An empty state at theta = 0. Keeps the design. */
enum rfl_code aft_state_new(struct aft_design *design, struct rfl_state **gives,
                            struct rfl_err *err) {
  struct rfl_state *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->design = design_keep(design);
  bool ok = aft_room(&s->theta, aft_q(s)) && aft_room(&s->gamma, aft_z(s));
  s->sums = rfl_alloc_aligned(design->n_sums, sizeof *s->sums);
  s->scratch = rfl_alloc_aligned(design->n_scratch, sizeof *s->scratch);
  if (!ok || !s->sums || !s->scratch) {
    aft_release(s);
    return rfl_no_memory(err);
  }
  s->keep = 1;
  s->objective = s->decrement = INFINITY;
  *gives = s;
  return RFL_OK;
}

void aft_clear(struct rfl_state *s) {
  memset(s->sums, 0, s->design->n_sums * sizeof *s->sums);
  rfl_contrast_spread(&s->design->contrast, s->theta, s->gamma);
}

static enum rfl_code aft_open(const struct rfl_options *options,
                              const struct rfl_layout *layout, struct rfl_state **gives,
                              struct rfl_err *err) {
  struct rfl_aft_options o = *(const struct rfl_aft_options *)options;
  if (!(o.tolerance > 0)) o.tolerance = 1e-14;
  if (o.max_passes < 1) o.max_passes = 100;
  struct aft_design *design;
  RFL_TRY(aft_design_new(&o, layout, &design, err));
  struct rfl_state *s = NULL;
  enum rfl_code code = aft_state_new(design, &s, err);
  aft_design_release(design);
  if (code) return code;
  s->way = AFT_CONCAVE;
  aft_clear(s);
  *gives = s;
  return RFL_OK;
}

/* The iterate and the kind of pass of `from`, with empty sums. A finished fit starts a
 * new one (on more rows) from where it is; where that is at infinity, from nothing. */
static void take_iterate(struct rfl_state *s, const struct rfl_state *from) {
  bool anew = from->settled;
  s->phase = anew ? AFT_NEWTON : from->phase;
  s->way = anew ? AFT_CONCAVE : from->way;
  memcpy(s->theta, from->theta, aft_q(s) * sizeof *s->theta);
  if (anew && from->separated) {
    s->phase = AFT_SQUARES;
    memset(s->theta, 0, aft_q(s) * sizeof *s->theta);
  }
  s->settled = s->converged = s->alias_known = s->separated = false;
  s->passes = s->halvings = 0;
  s->objective = s->decrement = INFINITY;
  aft_clear(s);
}

static enum rfl_code aft_part(const struct rfl_state *s, struct rfl_state **gives,
                              struct rfl_err *err) {
  struct rfl_state *part = *gives;
  if (!part || part->design != s->design) {
    part = NULL;
    RFL_TRY(aft_state_new(s->design, &part, err));
    aft_release(*gives);
  }
  take_iterate(part, s);
  *gives = part;
  return RFL_OK;
}

static bool same_model(const struct rfl_state *a, const struct rfl_state *b) {
  const struct rfl_aft_options *o = &a->design->options, *p = &b->design->options;
  return aft_q(a) == aft_q(b) && aft_z(a) == aft_z(b) &&
         a->design->n_sums == b->design->n_sums && o->dist == p->dist &&
         o->type == p->type && o->log_time == p->log_time && o->df == p->df &&
         o->scale == p->scale && o->n_strata == p->n_strata &&
         o->n_clusters == p->n_clusters;
}

static enum rfl_code aft_merge(struct rfl_state *to, const struct rfl_state *from,
                               struct rfl_err *err) {
  if (!same_model(to, from))
    return rfl_fail(err, RFL_EMODEL, "States of different models cannot be merged.");
  if (to->settled || from->settled || to->phase != from->phase || to->way != from->way ||
      memcmp(to->theta, from->theta, aft_q(to) * sizeof *to->theta) != 0)
    return rfl_fail(
        err, RFL_EMODEL,
        "Only sums of one pass, taken at the same coefficients, can be merged.");
  for (size_t k = 0; k < to->design->n_sums; k++) to->sums[k] += from->sums[k];
  return RFL_OK;
}

/* ---- copies ---- */

static bool same(void *to, const void *from, size_t n, size_t size) {
  void **at = to;
  *at = NULL;
  if (!from) return true;
  *at = rfl_alloc(n, size);
  if (*at && n) memcpy(*at, from, n * size);
  return *at != NULL;
}

/* Every array is set, so that whatever was copied may be released. */
static bool copy_arrays(struct rfl_state *to, const struct rfl_state *s) {
  size_t q = aft_q(s), n = aft_n_bucket(s), d = sizeof(double);
  const struct rfl_chol *c = &s->chol;
  to->chol = (struct rfl_chol){.p = c->p, .rank = c->rank, .least = c->least};
  bool ok = same(&to->aliased, s->aliased, q, 1);
  ok &= same(&to->before, s->before, q, d);
  ok &= same(&to->direction, s->direction, q, d);
  ok &= same(&to->column_size, s->column_size, q, d);
  ok &= same(&to->info, s->info, q * q, d);
  ok &= same(&to->bucket, s->bucket, n, d);
  ok &= same(&to->prior_theta, s->prior_theta, q, d);
  ok &= same(&to->prior_info, s->prior_info, q * q, d);
  ok &= same(&to->prior_outer, s->prior_outer, q * q, d);
  ok &= same(&to->past_bucket, s->past_bucket, n, d);
  ok &= same(&to->chol.a.hi, c->a.hi, q * q, d);
  ok &= same(&to->chol.scale, c->scale, q, d);
  return ok & same(&to->chol.kept, c->kept, q, 1);
}

static enum rfl_code aft_copy(const struct rfl_state *s, struct rfl_state **gives,
                              struct rfl_err *err) {
  struct rfl_state *to = NULL;
  RFL_TRY(aft_state_new(s->design, &to, err));
  struct rfl_state fresh = *to;
  *to = *s;
  to->theta = fresh.theta;
  to->gamma = fresh.gamma;
  to->sums = fresh.sums;
  to->scratch = fresh.scratch;
  to->coef = to->vcov = to->robust = NULL;
  if (!copy_arrays(to, s)) {
    aft_release(to);
    return rfl_no_memory(err);
  }
  memcpy(to->theta, s->theta, aft_q(s) * sizeof *to->theta);
  memcpy(to->gamma, s->gamma, aft_z(s) * sizeof *to->gamma);
  memcpy(to->sums, s->sums, s->design->n_sums * sizeof *to->sums);
  *gives = to;
  return RFL_OK;
}

/* ---- the table ---- */

static uint32_t aft_traits(const struct rfl_options *options) {
  (void)options;
  return RFL_SUMMABLE | RFL_PASSES | RFL_BLOCKED;
}

/* As many rows as there are sums, so that merging a cell stays cheap beside absorbing it.
 */
static uint32_t aft_grid(const struct rfl_layout *l) {
  double sums = GROUP * (double)l->n_z + 16;
  for (size_t t = 0; t < l->n_terms; t++)
    for (size_t u = t; u < l->n_terms; u++)
      sums += (double)l->term[t].n_z * (double)l->term[u].n_z;
  double rows = ceil(sums / 1024) * 1024;
  return rows < 4096 ? 4096 : rows > 65536 ? 65536 : (uint32_t)rows;
}

static const struct rfl_layout *aft_layout(const struct rfl_state *s) {
  return &s->design->layout;
}

const struct rfl_learner rfl_aft = {.name = "aft",
                                    .traits = aft_traits,
                                    .grid = aft_grid,
                                    .open = aft_open,
                                    .part = aft_part,
                                    .absorb = aft_absorb,
                                    .merge = aft_merge,
                                    .settle = aft_settle,
                                    .renew = aft_renew,
                                    .width = aft_width,
                                    .score = aft_score,
                                    .copy = aft_copy,
                                    .write = aft_write,
                                    .read = aft_read,
                                    .size = aft_size,
                                    .layout = aft_layout,
                                    .release = aft_release};
