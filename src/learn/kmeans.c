/* k-means's table of verbs, and how states are made and copied. */
#include "learn/kmeans.h"

#include <string.h>

#include "base/mem.h"
#include "learn/kmeans_parts.h"

/* ---- the setup ---- */

void km_setup_release(struct km_setup *s) {
  if (!s || atomic_fetch_sub(&s->refs, 1) > 1) return;
  rfl_contrast_release(&s->contrast);
  rfl_layout_release(&s->layout);
  rfl_free(s->start);
  rfl_free(s);
}

static struct km_setup *setup_keep(struct km_setup *s) {
  atomic_fetch_add(&s->refs, 1);
  return s;
}

static enum rfl_code check_options(const struct rfl_kmeans_options *o,
                                   const struct rfl_layout *l, struct rfl_err *err) {
  RFL_TRY(rfl_layout_plain(l, err));
  if (o->k < 1 || o->starts < 0 || o->max_iter < 0)
    return rfl_fail(err, RFL_EARGUMENT, "There must be at least one cluster, not %d.",
                    (int)o->k);
  if (l->n_x <= (int32_t)l->intercept)
    return rfl_fail(err, RFL_EARGUMENT, "There must be at least one coordinate.");
  size_t n = (size_t)o->k * (size_t)(l->n_x - (int32_t)l->intercept);
  for (size_t i = 0; o->start && i < n; i++)
    if (!(o->start[i] - o->start[i] == 0))
      return rfl_fail(err, RFL_EARGUMENT, "A centre to start from is not finite.");
  return RFL_OK;
}

static void take_options(struct km_setup *s, const struct rfl_kmeans_options *o) {
  s->d = (size_t)(s->layout.n_x - (int32_t)s->layout.intercept);
  s->stride = (s->d + 3) / 4 * 4;
  s->k = o->k;
  s->starts = o->start || o->starts < 1 ? 1 : o->starts;
  s->parallel = o->parallel;
  s->scale = o->scale;
  s->max_iter = o->max_iter > 0 ? o->max_iter : 100;
  s->seed = o->seed;
  s->sample = o->sample > 0 ? o->sample : 0;
  s->memory = o->memory > 0 ? o->memory : 0;
  for (size_t t = 0; t < s->layout.n_terms; t++) s->coded |= s->layout.term[t].coded >= 0;
}

enum rfl_code km_setup_new(const struct rfl_kmeans_options *o,
                           const struct rfl_layout *layout, struct km_setup **gives,
                           struct rfl_err *err) {
  RFL_TRY(check_options(o, layout, err));
  struct km_setup *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  atomic_init(&s->refs, 1);
  enum rfl_code code = rfl_layout_copy(layout, &s->layout, err);
  if (!code) take_options(s, o);
  if (!code && s->coded) code = rfl_contrast_new(layout, &s->contrast, err);
  if (!code && o->start) {
    size_t n = (size_t)s->k * s->d;
    s->start = rfl_alloc(n, sizeof *s->start);
    if (s->start)
      memcpy(s->start, o->start, n * sizeof *s->start);
    else
      code = rfl_no_memory(err);
  }
  if (code)
    km_setup_release(s);
  else
    *gives = s;
  return code;
}

/* ---- states ---- */

void km_release(struct rfl_state *s) {
  if (!s) return;
  km_sums_release(&s->sums);
  km_iterate_release(s->it);
  km_setup_release(s->setup);
  km_store_release(s->store);
  km_cell_release(s->cell);
  rfl_free(s->column);
  rfl_free(s->told);
  rfl_free(s);
}

enum rfl_code km_state_new(struct km_setup *keeps, struct km_iterate *takes,
                           struct rfl_state **gives, struct rfl_err *err) {
  struct rfl_state *s = rfl_alloc(1, sizeof *s);
  enum rfl_code code =
      s ? km_sums_new(keeps, takes->n_runs, &s->sums, err) : rfl_no_memory(err);
  if (code) {
    rfl_free(s);
    return code;
  }
  s->setup = setup_keep(keeps);
  s->it = takes;
  code = km_sums_need(s, err);
  if (code) {
    s->it = NULL;
    km_release(s);
    return code;
  }
  km_sums_clear(s);
  *gives = s;
  return RFL_OK;
}

static enum rfl_code fresh_state(struct km_setup *setup, struct rfl_state **gives,
                                 struct rfl_err *err) {
  struct km_iterate *it = NULL;
  RFL_TRY(km_iterate_new(setup, setup->starts, &it, err));
  struct rfl_state *s = NULL;
  enum rfl_code code = km_state_new(setup, it, &s, err);
  if (code) {
    km_iterate_release(it);
    return code;
  }
  if (setup->memory > 0) code = km_store_new(setup->memory, &s->store, err);
  if (code)
    km_release(s);
  else
    *gives = s;
  return code;
}

static enum rfl_code km_open(const struct rfl_options *options,
                             const struct rfl_layout *layout, struct rfl_state **gives,
                             struct rfl_err *err) {
  struct km_setup *setup = NULL;
  RFL_TRY(km_setup_new((const struct rfl_kmeans_options *)options, layout, &setup, err));
  enum rfl_code code = fresh_state(setup, gives, err);
  km_setup_release(setup);
  return code;
}

/* A fresh fit from where a finished one ended. */
static enum rfl_code anew(const struct rfl_state *s, struct rfl_state **gives,
                          struct rfl_err *err) {
  struct rfl_kmeans_result r;
  RFL_TRY(rfl_kmeans_result(s, &r, err));
  const struct km_setup *old = s->setup;
  struct rfl_kmeans_options o = {.k = r.k,
                                 .scale = old->scale,
                                 .max_iter = old->max_iter,
                                 .seed = old->seed,
                                 .memory = old->memory,
                                 .start = r.centre};
  return km_open(&o.base, &old->layout, gives, err);
}

static enum rfl_code km_part(const struct rfl_state *s, struct rfl_state **gives,
                             struct rfl_err *err) {
  struct rfl_state *part = *gives;
  if (s->it->stage == KM_READY) {
    struct rfl_state *fresh = NULL;
    RFL_TRY(anew(s, &fresh, err));
    km_release(part);
    *gives = fresh;
    return RFL_OK;
  }
  bool reuse = part && part->setup == s->setup && part->sums.n_runs >= s->it->n_runs;
  struct km_iterate *it = s->it;
  atomic_fetch_add(&it->refs, 1);
  struct rfl_state *fresh = NULL;
  enum rfl_code code = RFL_OK;
  if (!reuse) {
    code = km_state_new(s->setup, it, &fresh, err);
    if (code) km_iterate_release(it);
    if (code) return code;
    fresh->store = km_store_keep(s->store);
    km_release(part);
    *gives = fresh;
    return RFL_OK;
  }
  struct km_iterate *old = part->it;
  part->it = it;
  if (it != old) code = km_sums_need(part, err);
  if (code) {
    part->it = old;
    km_iterate_release(it);
    return code;
  }
  km_iterate_release(old);
  km_sums_clear(part);
  return RFL_OK;
}

/* ---- copies ---- */

static enum rfl_code copy_sums(const struct rfl_state *from, struct rfl_state *to,
                               struct rfl_err *err) {
  const struct km_setup *setup = from->setup;
  const struct km_sums *a = &from->sums;
  struct km_sums *b = &to->sums;
  size_t runs = (size_t)from->it->n_runs, k = runs * (size_t)setup->k, d = setup->d;
  for (size_t r = 0; r < runs; r++) {
    size_t n = a->list[r].n;
    RFL_TRY(km_list_reserve(&b->list[r], n, setup->stride, err));
    if (n) memcpy(b->list[r].x, a->list[r].x, n * setup->stride * sizeof(double));
    b->list[r].n = n;
    if (a->tally[r])
      memcpy(b->tally[r], a->tally[r], from->it->run[r].n_points * sizeof(double));
  }
  const struct {
    double *to;
    const double *from;
    size_t n;
  } all[] = {{b->low, a->low, d},
             {b->high, a->high, d},
             {b->mean, a->mean, d},
             {b->m2, a->m2, d},
             {b->sum, a->sum, k * setup->stride},
             {b->at, a->at, k},
             {b->count, a->count, k},
             {b->within, a->within, k},
             {b->potential, a->potential, runs},
             {b->key, a->key, runs},
             {b->number, a->number, runs},
             {b->heft, a->heft, runs},
             {b->pick, a->pick, runs * setup->stride},
             {b->changed, a->changed, runs}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    memcpy(all[i].to, all[i].from, all[i].n * sizeof(double));
  b->any = a->any;
  b->rows = a->rows;
  b->zero = a->zero;
  b->weight = a->weight;
  return RFL_OK;
}

static enum rfl_code km_copy(const struct rfl_state *s, struct rfl_state **gives,
                             struct rfl_err *err) {
  struct rfl_state *to = NULL;
  atomic_fetch_add(&s->it->refs, 1);
  enum rfl_code code = km_state_new(s->setup, s->it, &to, err);
  if (code) {
    km_iterate_release(s->it);
    return code;
  }
  to->learnt = s->learnt;
  code = copy_sums(s, to, err);
  if (code)
    km_release(to);
  else
    *gives = to;
  return code;
}

/* ---- the table ---- */

static uint32_t km_traits(const struct rfl_options *options) {
  (void)options;
  return RFL_SUMMABLE | RFL_PASSES | RFL_BLOCKED;
}

/* Small enough that a cell's rows stay in cache while all runs look at them. */
static uint32_t km_grid(const struct rfl_layout *l) {
  return l->n_x <= 16 ? 4096 : l->n_x <= 64 ? 2048 : 1024;
}

static size_t km_size(const struct rfl_state *s) {
  size_t k = (size_t)s->setup->k, d = s->setup->d, runs = (size_t)s->it->n_runs;
  size_t each = k * (4 * s->setup->stride + 10);
  return sizeof *s + sizeof(double) * (runs * each + 10 * d);
}

static const struct rfl_layout *km_layout(const struct rfl_state *s) {
  return &s->setup->layout;
}

const struct rfl_learner rfl_kmeans = {.name = "kmeans",
                                       .traits = km_traits,
                                       .grid = km_grid,
                                       .open = km_open,
                                       .part = km_part,
                                       .absorb = km_absorb,
                                       .merge = km_merge,
                                       .settle = km_settle,
                                       .renew = km_renew,
                                       .width = km_width,
                                       .score = km_score,
                                       .copy = km_copy,
                                       .write = km_write,
                                       .read = km_read,
                                       .size = km_size,
                                       .layout = km_layout,
                                       .release = km_release};
