/* Naive Bayes' table of verbs, and how states are made, copied, merged and widened. */
#include "learn/bayes.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/bayes_state.h"

/* ---- the design ---- */

void bayes_design_release(struct bayes_design *d) {
  if (!d || atomic_fetch_sub(&d->refs, 1) > 1) return;
  rfl_layout_release(&d->layout);
  rfl_free(d->feature);
  rfl_free(d);
}

static enum rfl_code feature_of(const struct bayes_shape *shape, size_t t,
                                struct bayes_feature *to, struct rfl_err *err) {
  const struct rfl_term *term = &shape->layout->term[t];
  bool coded = term->coded >= 0;
  if (coded && term->dense >= 0)
    return rfl_fail(err, RFL_EARGUMENT,
                    "Naive Bayes cannot use the product of a number and a factor.");
  *to = (struct bayes_feature){.kind = coded ? RFL_LIKE_CATEGORICAL : RFL_LIKE_GAUSSIAN,
                               .term = (int32_t)t,
                               .column = coded ? term->coded : term->dense,
                               .levels = coded ? shape->layout->levels[term->coded] : 0};
  if (coded && (to->levels < 1 || rfl_term_shared(shape->layout, term)))
    return rfl_fail(err, RFL_EARGUMENT, "Naive Bayes needs declared levels or slots.");
  if (!shape->likelihood) return RFL_OK;
  int32_t kind = shape->likelihood[t];
  bool known = kind >= 0 && kind < RFL_N_LIKELIHOODS;
  bool fits = coded ? kind == RFL_LIKE_CATEGORICAL ||
                          (kind == RFL_LIKE_BERNOULLI && to->levels == 2)
                    : kind != RFL_LIKE_CATEGORICAL;
  if (!known || !fits)
    return rfl_fail(err, RFL_EARGUMENT, "The likelihood of term %zu does not fit it.",
                    t + 1);
  to->kind = (enum rfl_likelihood)kind;
  return RFL_OK;
}

static enum rfl_code features_find(struct bayes_design *d,
                                   const struct bayes_shape *shape, struct rfl_err *err) {
  size_t n = d->n_classes;
  d->faded = BAYES_CLASSES + n;
  double sums = (double)(d->faded + n);
  d->n_sums = d->faded + n;
  d->n_book = n;
  for (size_t t = 0; t < d->layout.n_terms; t++) {
    const struct rfl_term *term = &d->layout.term[t];
    if (term->coded < 0 && term->dense < 0) continue; /* the intercept */
    struct bayes_feature *f = &d->feature[d->n_features++];
    RFL_TRY(feature_of(shape, t, f, err));
    size_t rows = f->levels                      ? (size_t)f->levels + BAYES_LEVELS
                  : f->kind == RFL_LIKE_GAUSSIAN ? 3
                                                 : 2;
    sums += (double)rows * (double)n;
    if (sums > 1e11)
      return rfl_fail(err, RFL_EARGUMENT, "Naive Bayes has too many levels and classes.");
    f->sum = d->n_sums;
    f->book = d->n_book;
    f->tally = d->n_tally;
    d->n_sums += rows * n;
    d->n_book += rows * n;
    if (f->levels) d->n_tally += rows * n;
  }
  return RFL_OK;
}

enum rfl_code bayes_design_new(const struct bayes_shape *shape,
                               struct bayes_design **gives, struct rfl_err *err) {
  RFL_TRY(rfl_layout_check(shape->layout, err));
  if (shape->n_classes < 1)
    return rfl_fail(err, RFL_EARGUMENT, "Naive Bayes needs a class at least.");
  struct bayes_design *d = rfl_alloc(1, sizeof *d);
  if (!d) return rfl_no_memory(err);
  atomic_init(&d->refs, 1);
  d->n_classes = (size_t)shape->n_classes;
  enum rfl_code code = rfl_layout_copy(shape->layout, &d->layout, err);
  if (!code && !(d->feature = rfl_alloc(d->layout.n_terms, sizeof *d->feature)))
    code = rfl_no_memory(err);
  if (!code) code = features_find(d, shape, err);
  if (code) {
    bayes_design_release(d);
    return code;
  }
  *gives = d;
  return RFL_OK;
}

/* ---- the state ---- */

void bayes_release(struct rfl_state *s) {
  if (!s) return;
  struct bayes_work *w = &s->work;
  bayes_design_release(s->design);
  void *all[] = {s->prior, s->sum, s->scale,  s->book, s->zero, w->class_of, w->order,
                 w->begin, w->cut, w->weight, w->x,    w->w,    w->tally};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_free(all[k]);
  rfl_free(s);
}

static bool work_new(struct bayes_work *w, const struct bayes_design *d) {
  w->class_of = rfl_alloc(BAYES_CHUNK, sizeof *w->class_of);
  w->order = rfl_alloc(BAYES_CHUNK + 1, sizeof *w->order);
  w->begin = rfl_alloc(d->n_classes + 1, sizeof *w->begin);
  w->cut = rfl_alloc(d->n_classes + 1, sizeof *w->cut);
  w->weight = rfl_alloc(BAYES_CHUNK, sizeof *w->weight);
  w->x = rfl_alloc(BAYES_CHUNK, sizeof *w->x);
  w->w = rfl_alloc(BAYES_CHUNK, sizeof *w->w);
  w->tally = rfl_alloc(d->n_tally, sizeof *w->tally);
  return w->class_of && w->order && w->begin && w->cut && w->weight && w->x && w->w &&
         w->tally;
}

static void clear(struct rfl_state *s) {
  memset(s->sum, 0, s->design->n_sums * sizeof *s->sum);
  for (size_t k = 0; k < s->design->n_features; k++) s->scale[k] = BAYES_LOWEST_SCALE;
}

enum rfl_code bayes_state_new(struct bayes_design *design, struct rfl_state **gives,
                              struct rfl_err *err) {
  struct rfl_state *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  atomic_fetch_add(&design->refs, 1);
  s->design = design;
  s->sum = rfl_alloc(design->n_sums, sizeof *s->sum);
  s->scale = rfl_alloc(design->n_features, sizeof *s->scale);
  if (!s->sum || !s->scale || !work_new(&s->work, design)) {
    bayes_release(s);
    return rfl_no_memory(err);
  }
  s->keep = 1;
  clear(s);
  *gives = s;
  return RFL_OK;
}

enum rfl_code bayes_set_prior(struct rfl_state *s, const double *prior,
                              struct rfl_err *err) {
  if (!prior) return RFL_OK;
  double sum = 0;
  for (size_t c = 0; c < s->design->n_classes; c++) {
    if (!(prior[c] >= 0 && prior[c] < INFINITY))
      return rfl_fail(err, RFL_EARGUMENT, "A prior is negative, missing or infinite.");
    sum += prior[c];
  }
  if (!(sum > 0 && sum < INFINITY))
    return rfl_fail(err, RFL_EARGUMENT, "The priors have no positive, finite sum.");
  s->prior = rfl_alloc(s->design->n_classes, sizeof *s->prior);
  if (!s->prior) return rfl_no_memory(err);
  memcpy(s->prior, prior, s->design->n_classes * sizeof *prior);
  return RFL_OK;
}

static enum rfl_code bayes_open(const struct rfl_options *options,
                                const struct rfl_layout *layout, struct rfl_state **gives,
                                struct rfl_err *err) {
  const struct rfl_bayes_options *o = (const struct rfl_bayes_options *)options;
  if (!(o->laplace >= 0 && o->laplace <= 1e100))
    return rfl_fail(err, RFL_EARGUMENT, "Laplace's count must lie in [0, 1e100], not %g.",
                    o->laplace);
  if (!(o->keep >= 0 && o->keep <= 1))
    return rfl_fail(err, RFL_EARGUMENT,
                    "The forgetting factor must lie in (0, 1], not %g.", o->keep);
  struct bayes_shape shape = {layout, o->n_classes, o->likelihood};
  struct bayes_design *design;
  RFL_TRY(bayes_design_new(&shape, &design, err));
  struct rfl_state *s = NULL;
  enum rfl_code code = bayes_state_new(design, &s, err);
  bayes_design_release(design);
  if (!code) code = bayes_set_prior(s, o->prior, err);
  if (code) {
    bayes_release(s);
    return code;
  }
  s->laplace = o->laplace;
  s->keep = o->keep > 0 ? o->keep : 1;
  *gives = s;
  return RFL_OK;
}

void bayes_take_settings(struct rfl_state *s, const struct rfl_state *from) {
  s->laplace = from->laplace;
  s->keep = from->keep;
  s->streaming = from->streaming;
}

static enum rfl_code bayes_part(const struct rfl_state *s, struct rfl_state **gives,
                                struct rfl_err *err) {
  struct rfl_state *part = *gives;
  if (!part || part->design != s->design) {
    part = NULL;
    RFL_TRY(bayes_state_new(s->design, &part, err));
    enum rfl_code code = bayes_set_prior(part, s->prior, err);
    if (code) {
      bayes_release(part);
      return code;
    }
    bayes_release(*gives);
    *gives = part;
  }
  bayes_take_settings(part, s);
  part->version = part->absorbed = part->settled = 0;
  clear(part);
  return RFL_OK;
}

static bool same(double **to, const double *from, size_t n) {
  if (!from) return true;
  if (!(*to = rfl_alloc(n, sizeof **to))) return false;
  memcpy(*to, from, n * sizeof **to);
  return true;
}

static enum rfl_code bayes_copy(const struct rfl_state *s, struct rfl_state **gives,
                                struct rfl_err *err) {
  const struct bayes_design *d = s->design;
  struct rfl_state *to = NULL;
  RFL_TRY(bayes_state_new(s->design, &to, err));
  if (!same(&to->prior, s->prior, d->n_classes) || !same(&to->book, s->book, d->n_book) ||
      !same(&to->zero, s->zero, d->n_book)) {
    bayes_release(to);
    return rfl_no_memory(err);
  }
  bayes_take_settings(to, s);
  to->version = s->version;
  to->absorbed = s->absorbed;
  to->settled = s->settled;
  to->base = s->base;
  memcpy(to->sum, s->sum, d->n_sums * sizeof *to->sum);
  memcpy(to->scale, s->scale, d->n_features * sizeof *to->scale);
  *gives = to;
  return RFL_OK;
}

/* ---- moments ---- */

void bayes_moments_merge(struct bayes_moments *m, struct bayes_moments other) {
  if (!(other.n > 0)) return;
  double n = m->n + other.n, delta = other.mean - m->mean, share = other.n / n;
  m->mean = m->n > 0 ? m->mean + delta * share : other.mean;
  m->m2 = m->n > 0 ? m->m2 + other.m2 + delta * delta * m->n * share : other.m2;
  m->n = n;
}

struct bayes_moments bayes_moments_of(const struct rfl_state *s, size_t k, size_t c) {
  size_t n = s->design->n_classes;
  const double *at = s->sum + s->design->feature[k].sum + c;
  return (struct bayes_moments){at[0], at[n], at[2 * n]};
}

void bayes_moments_put(struct rfl_state *s, size_t k, size_t c, struct bayes_moments m) {
  size_t n = s->design->n_classes;
  double *at = s->sum + s->design->feature[k].sum + c;
  at[0] = m.n;
  at[n] = m.mean;
  at[2 * n] = m.m2;
}

struct bayes_moments bayes_moments_scale(struct bayes_moments m, int32_t from,
                                         int32_t to) {
  if (from != to) {
    m.mean = ldexp(m.mean, from - to);
    m.m2 = ldexp(m.m2, 2 * (from - to));
  }
  return m;
}

void bayes_raise_scale(struct rfl_state *s, size_t k, int32_t to) {
  if (to <= s->scale[k]) return;
  for (size_t c = 0; c < s->design->n_classes; c++)
    bayes_moments_put(s, k, c,
                      bayes_moments_scale(bayes_moments_of(s, k, c), s->scale[k], to));
  s->scale[k] = to;
}

/* ---- merging ---- */

/* By squaring, so that the same exponent gives the same bits on every platform. */
double bayes_power(double x, uint64_t n) {
  double y = 1;
  for (; n; n >>= 1, x *= x)
    if (n & 1) y *= x;
  return y;
}

void bayes_fade(struct rfl_state *s, double by) {
  const struct bayes_design *d = s->design;
  if (by == 1) return;
  for (size_t j = d->faded; j < d->faded + d->n_classes; j++) s->sum[j] *= by;
  for (size_t k = 0; k < d->n_features; k++) {
    const struct bayes_feature *f = &d->feature[k];
    bool normal = f->kind == RFL_LIKE_GAUSSIAN;
    size_t rows = f->levels ? (size_t)f->levels + BAYES_LEVELS : normal ? 3 : 2;
    for (size_t r = 0; r < rows; r++)
      for (size_t c = 0; c < d->n_classes && !(normal && r == 1); c++)
        s->sum[f->sum + r * d->n_classes + c] *= by;
  }
}

static bool same_shape(const struct rfl_state *a, const struct rfl_state *b) {
  const struct bayes_design *x = a->design, *y = b->design;
  if (x == y) return true;
  bool same = x->n_classes == y->n_classes && x->n_features == y->n_features &&
              x->n_sums == y->n_sums;
  for (size_t k = 0; same && k < x->n_features; k++) {
    const struct bayes_feature *f = &x->feature[k], *g = &y->feature[k];
    same = f->kind == g->kind && f->levels == g->levels && f->column == g->column;
  }
  return same;
}

static void merge_feature(struct rfl_state *to, const struct rfl_state *from, size_t k) {
  const struct bayes_feature *f = &to->design->feature[k];
  size_t n = to->design->n_classes;
  if (f->kind == RFL_LIKE_GAUSSIAN) {
    bayes_raise_scale(to, k, from->scale[k]);
    for (size_t c = 0; c < n; c++) {
      struct bayes_moments m = bayes_moments_of(to, k, c);
      struct bayes_moments other = bayes_moments_of(from, k, c);
      bayes_moments_merge(&m, bayes_moments_scale(other, from->scale[k], to->scale[k]));
      bayes_moments_put(to, k, c, m);
    }
    return;
  }
  size_t rows = f->levels ? (size_t)f->levels + BAYES_LEVELS : 2;
  const double *x = from->sum + f->sum;
  double *y = to->sum + f->sum;
  for (size_t j = 0; j < rows * n; j++) y[j] += x[j];
}

static enum rfl_code bayes_merge(struct rfl_state *to, const struct rfl_state *from,
                                 struct rfl_err *err) {
  if (!same_shape(to, from) || to->keep != from->keep || to->laplace != from->laplace)
    return rfl_fail(err, RFL_EMODEL, "States of different models cannot be merged.");
  bayes_fade(to, bayes_power(to->keep, (uint64_t)from->sum[BAYES_ROWS]));
  for (size_t j = 0; j < to->design->faded + to->design->n_classes; j++)
    to->sum[j] += from->sum[j];
  for (size_t k = 0; k < to->design->n_features; k++) merge_feature(to, from, k);
  to->version += from->version;
  to->streaming |= from->streaming;
  return RFL_OK;
}

enum rfl_code rfl_bayes_join(struct rfl_state *s, const struct rfl_state *from,
                             struct rfl_err *err) {
  RFL_TRY(bayes_merge(s, from, err));
  s->version++;
  bool again;
  return bayes_settle(s, &again, err);
}

/* What keep asks for, absorb() has done, row by row. */
static enum rfl_code bayes_renew(struct rfl_state *s, double keep, struct rfl_err *err) {
  if (keep != bayes_power(s->keep, s->settled))
    return rfl_fail(err, RFL_EARGUMENT,
                    "Naive Bayes forgets by the half-life that it was fitted with.");
  s->version++;
  if (s->streaming) return RFL_OK;
  bool again;
  s->streaming = true;
  return bayes_settle(s, &again, err);
}

/* ---- the table ---- */

static uint32_t bayes_traits(const struct rfl_options *options) {
  (void)options;
  return RFL_SUMMABLE | RFL_BLOCKED;
}

/* Many more rows than levels, so that merging a cell stays cheap beside absorbing it. */
static uint32_t bayes_grid(const struct rfl_layout *l) {
  double rows = ceil((double)l->n_z / 256) * 1024;
  return rows < 8192 ? 8192 : rows > 65536 ? 65536 : (uint32_t)rows;
}

static uint32_t bayes_width(const struct rfl_state *s, int what) {
  return what == RFL_BAYES_PROB ? (uint32_t)s->design->n_classes : 1;
}

static size_t bayes_size(const struct rfl_state *s) {
  const struct bayes_design *d = s->design;
  size_t doubles = d->n_sums + (s->book ? d->n_book : 0) + (s->zero ? d->n_book : 0);
  return sizeof *s + sizeof(double) * (doubles + 4 * BAYES_CHUNK + d->n_classes) +
         sizeof(uint32_t) * d->n_tally;
}

static const struct rfl_layout *bayes_layout(const struct rfl_state *s) {
  return &s->design->layout;
}

const struct rfl_learner rfl_bayes = {.name = "naive_bayes",
                                      .traits = bayes_traits,
                                      .grid = bayes_grid,
                                      .open = bayes_open,
                                      .part = bayes_part,
                                      .absorb = bayes_absorb,
                                      .merge = bayes_merge,
                                      .settle = bayes_settle,
                                      .renew = bayes_renew,
                                      .width = bayes_width,
                                      .score = bayes_score,
                                      .copy = bayes_copy,
                                      .write = bayes_write,
                                      .read = bayes_read,
                                      .size = bayes_size,
                                      .layout = bayes_layout,
                                      .release = bayes_release,
                                      .widen = bayes_widen};
