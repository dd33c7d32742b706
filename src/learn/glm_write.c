/* A state as bytes: version, options, layout, iterate, the pass so far (its sums only
 * when there are any), the fit, and what was learnt before. Arrays have the lengths that
 * the layout fixes; one that may be absent is led by 0 or 1. */
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

enum { FORMAT = 2, MOST_PASSES = 1 << 30 };
static const char damaged[] = "The bytes of a GLM are damaged.";

/* Where the fixed parts lie, so that writing and reading cannot disagree. */
struct field {
  enum { NUMBER, WHOLE, FLAG } kind;
  void *at;
};

static size_t totals(struct glm_totals *t, struct field *f) {
  double *all[] = {&t->rows,      &t->zero,          &t->weight,     &t->events,
                   &t->saturated, &t->rounded,       &t->log_weight, &t->deviance,
                   &t->pearson,   &t->null_deviance, &t->effective,  &t->effective2};
  size_t n = sizeof all / sizeof *all;
  for (size_t k = 0; k < n; k++) f[k] = (struct field){NUMBER, all[k]};
  return n;
}

static size_t fields(struct rfl_state *s, struct field *f) {
  const struct field head[] = {{NUMBER, &s->tolerance},
                               {NUMBER, &s->rank_tolerance},
                               {WHOLE, &s->max_passes},
                               {WHOLE, &s->passes},
                               {WHOLE, &s->halvings},
                               {WHOLE, &s->linear},
                               {NUMBER, &s->objective},
                               {NUMBER, &s->decrement},
                               {NUMBER, &s->keep},
                               {NUMBER, &s->kind.shape},
                               {NUMBER, &s->kind.lambda},
                               {NUMBER, &s->before_shape},
                               {NUMBER, &s->theta_se},
                               {WHOLE, &s->stage},
                               {NUMBER, &s->l1},
                               {NUMBER, &s->l2},
                               {NUMBER, &s->clusters},
                               {FLAG, &s->standardize},
                               {FLAG, &s->firth},
                               {FLAG, &s->robust},
                               {FLAG, &s->cluster},
                               {FLAG, &s->kind.estimate},
                               {FLAG, &s->kind.freq},
                               {FLAG, &s->sharp},
                               {FLAG, &s->blunt},
                               {FLAG, &s->settled},
                               {FLAG, &s->converged},
                               {FLAG, &s->first},
                               {FLAG, &s->round},
                               {FLAG, &s->count},
                               {FLAG, &s->exact},
                               {FLAG, &s->alias_known},
                               {FLAG, &s->counted},
                               {FLAG, &s->separated},
                               {FLAG, &s->was_exact},
                               {FLAG, &s->bent},
                               {FLAG, &s->has_prior},
                               {FLAG, &s->anchored},
                               {FLAG, &s->forgets},
                               {FLAG, &s->null.ready},
                               {FLAG, &s->null.done},
                               {NUMBER, &s->null.beta},
                               {NUMBER, &s->null.deviance},
                               {NUMBER, &s->null.info},
                               {NUMBER, &s->null.step},
                               {NUMBER, &s->null.best},
                               {NUMBER, &s->null.prior_beta},
                               {NUMBER, &s->null.prior_info}};
  size_t n = sizeof head / sizeof *head;
  memcpy(f, head, sizeof head);
  n += totals(&s->now, f + n);
  return n + totals(&s->past, f + n);
}
enum { MOST_FIELDS = 96 };

struct array {
  double **at;
  size_t n;
};

static size_t arrays(struct rfl_state *s, struct array *a) {
  size_t p = glm_p(s), z = glm_z(s), pp = p * p;
  const struct array all[] = {
      {&s->direction, p},    {&s->before, p},
      {&s->start, p},        {&s->column_size, p},
      {&s->counts, 3 * z},   {&s->info, pp},
      {&s->chol.a.hi, pp},   {&s->chol.scale, p},
      {&s->prior_beta, p},   {&s->prior_info, pp},
      {&s->prior_outer, pp}, {&s->past_counts, 3 * z},
      {&s->scale, p},        {&s->by_row, pp},
      {&s->by_cluster, pp},  {&s->buckets, GLM_BUCKETS * (z + 1)}};
  memcpy(a, all, sizeof all);
  return sizeof all / sizeof *all;
}
enum { MOST_ARRAYS = 16 };

static void write_marks(const uint8_t *marks, size_t n, struct rfl_buf *out) {
  rfl_buf_u8(out, marks != NULL);
  for (size_t j = 0; marks && j < n; j++) rfl_buf_u8(out, marks[j] != 0);
}

static bool has_rows(const struct rfl_state *s) { return s->sums.hi[GLM_ROWS] > 0; }

void glm_write(const struct rfl_state *state, struct rfl_buf *out) {
  struct rfl_state *s = (struct rfl_state *)(uintptr_t)state; /* only read */
  size_t p = glm_p(s);
  rfl_buf_u32(out, FORMAT);
  rfl_buf_i32(out, (int32_t)s->kind.family);
  rfl_buf_i32(out, (int32_t)s->kind.link);
  rfl_buf_i32(out, (int32_t)s->kind.variance);
  rfl_layout_write(&s->design->layout, out);
  struct field f[MOST_FIELDS];
  size_t n = fields(s, f);
  for (size_t k = 0; k < n; k++) {
    if (f[k].kind == NUMBER) rfl_buf_double(out, *(double *)f[k].at);
    if (f[k].kind == WHOLE) rfl_buf_i32(out, *(int32_t *)f[k].at);
    if (f[k].kind == FLAG) rfl_buf_u8(out, *(bool *)f[k].at);
  }
  rfl_buf_u64(out, s->version);
  rfl_buf_doubles(out, s->beta, p);
  write_marks(s->aliased, p, out);
  write_marks(s->chol.kept, p, out);
  struct array a[MOST_ARRAYS];
  n = arrays(s, a);
  for (size_t k = 0; k < n; k++) {
    rfl_buf_u8(out, *a[k].at != NULL);
    if (*a[k].at) rfl_buf_doubles(out, *a[k].at, a[k].n);
  }
  rfl_buf_u8(out, s->lever ? 1 + s->levered : 0);
  if (s->lever) {
    rfl_buf_doubles(out, s->lever->chol.a.hi, p * p);
    rfl_buf_doubles(out, s->lever->chol.scale, p);
    write_marks(s->lever->chol.kept, p, out);
  }
  rfl_buf_u8(out, has_rows(s));
  if (!has_rows(s)) return;
  rfl_buf_doubles(out, s->sums.hi, s->design->n_sums);
  if (s->exact) rfl_buf_doubles(out, s->sums.lo, s->design->n_sums);
}

/* ---- reading ---- */

/* n doubles that the input must still hold. */
static enum rfl_code read_array(struct rfl_reader *in, double **to, size_t n,
                                struct rfl_err *err) {
  if (n > (size_t)(in->end - in->at) / 8) in->bad = true;
  if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
  if (!*to) *to = rfl_alloc(n, sizeof **to);
  if (!*to) return rfl_no_memory(err);
  rfl_read_doubles(in, *to, n);
  return RFL_OK;
}

static enum rfl_code read_marks(struct rfl_reader *in, uint8_t **to, size_t n,
                                struct rfl_err *err) {
  if (!rfl_read_u8(in)) return RFL_OK;
  if (n > (size_t)(in->end - in->at)) return rfl_fail(err, RFL_EDATA, damaged);
  if (!(*to = rfl_alloc(n, 1))) return rfl_no_memory(err);
  for (size_t j = 0; j < n; j++) (*to)[j] = rfl_read_u8(in) != 0;
  return RFL_OK;
}

static void read_fields(struct rfl_reader *in, struct rfl_state *s) {
  struct field f[MOST_FIELDS];
  size_t n = fields(s, f);
  for (size_t k = 0; k < n; k++) {
    if (f[k].kind == NUMBER) *(double *)f[k].at = rfl_read_double(in);
    if (f[k].kind == WHOLE) *(int32_t *)f[k].at = rfl_read_i32(in);
    if (f[k].kind == FLAG) *(bool *)f[k].at = rfl_read_u8(in) != 0;
  }
  s->version = rfl_read_u64(in);
}

/* What the verbs count on: which parts a settled or renewed state has, and numbers that
 * cannot send an index astray or a loop round for ever. */
static bool sound(const struct rfl_state *s) {
  bool solver = s->aliased && s->direction && s->before && s->start && s->column_size &&
                s->counts && s->info;
  bool chol = s->chol.a.hi && s->chol.scale && s->chol.kept;
  bool prior = s->prior_beta && s->prior_info && s->past_counts;
  if ((s->settled || s->has_prior) && !(solver && chol)) return false;
  if (s->has_prior != prior || s->forgets != (s->prior_outer != NULL)) return false;
  if (s->passes < 0 || s->halvings < 0 || s->linear < 0 || s->max_passes < 1)
    return false;
  if (s->passes > MOST_PASSES || s->halvings > MOST_PASSES || s->linear > MOST_PASSES)
    return false; /* they go on counting */
  if (!solver && (s->alias_known || s->bent)) return false;
  if (s->has_prior && s->exact) return false;
  if (!glm_kind_sound(&s->kind) || s->stage < 0 || s->stage >= GLM_N_STAGES) return false;
  if (s->first && glm_is_linear(&s->kind)) return false;
  bool early = s->stage <= GLM_MOMENTS;
  if (s->first && (s->sharp || !early)) return false;
  if ((s->sharp || !early) && solver && !s->alias_known) return false;
  if (s->stage == GLM_OUTER && solver && !chol) return false; /* a part has neither */
  if (s->stage && (s->has_prior ? s->stage != GLM_CLOSING : s->settled)) return false;
  if (!(s->l1 >= 0 && s->l2 >= 0 && s->l1 <= 1e300 && s->l2 <= 1e300)) return false;
  if (s->stage == GLM_MOMENTS && !(s->l1 > 0 || s->l2 > 0)) return false;
  bool flic = s->firth && glm_intercept(s) >= 0;
  if (s->stage == GLM_INTERCEPT && !flic) return false;
  if (s->firth && !(glm_is_canonical(&s->kind) && s->kind.link >= RFL_LOG)) return false;
  if (s->settled && !s->has_prior && (s->l1 > 0 || s->l2 > 0) && !s->scale) return false;
  if (s->by_cluster && !s->by_row) return false;
  for (size_t j = 0; j < glm_p(s); j++)
    if (!(s->beta[j] - s->beta[j] == 0)) return false;
  return s->keep > 0 && s->keep <= 1 && s->tolerance > 0 && s->rank_tolerance > 0;
}

/* Firth's factor: for a fit in the middle of its two passes. */
static enum rfl_code read_lever(struct rfl_reader *in, struct rfl_state *s,
                                struct rfl_err *err) {
  uint8_t kind = rfl_read_u8(in);
  if (!kind) return RFL_OK;
  size_t p = glm_p(s);
  bool wanted = s->firth && !s->has_prior && !s->settled && !s->first && kind <= 2;
  if (!wanted) return rfl_fail(err, RFL_EDATA, damaged);
  RFL_TRY(glm_lever_new(s, err));
  struct rfl_chol *c = &s->lever->chol;
  s->levered = kind == 2;
  RFL_TRY(read_array(in, &c->a.hi, p * p, err));
  RFL_TRY(read_array(in, &c->scale, p, err));
  rfl_free(c->kept);
  c->kept = NULL;
  RFL_TRY(read_marks(in, &c->kept, p, err));
  if (!c->kept) in->bad = true;
  return in->bad ? rfl_fail(err, RFL_EDATA, damaged) : RFL_OK;
}

static enum rfl_code read_rest(struct rfl_reader *in, struct rfl_state *s,
                               struct rfl_err *err) {
  size_t p = glm_p(s);
  read_fields(in, s);
  RFL_TRY(read_array(in, &s->beta, p, err));
  RFL_TRY(read_marks(in, &s->aliased, p, err));
  RFL_TRY(read_marks(in, &s->chol.kept, p, err));
  struct array a[MOST_ARRAYS];
  size_t n = arrays(s, a);
  for (size_t k = 0; k < n; k++)
    if (rfl_read_u8(in)) RFL_TRY(read_array(in, a[k].at, a[k].n, err));
  s->chol.p = s->chol.a.hi ? p : 0;
  if (!in->bad && !sound(s)) in->bad = true;
  if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
  if (s->exact) RFL_TRY(glm_need_exact(s, err));
  RFL_TRY(read_lever(in, s, err));
  glm_clear(s);
  if (!rfl_read_u8(in)) return RFL_OK;
  RFL_TRY(read_array(in, &s->sums.hi, s->design->n_sums, err));
  if (s->exact) RFL_TRY(read_array(in, &s->sums.lo, s->design->n_sums, err));
  return RFL_OK;
}

/* A few bytes may describe a design of any size: what it would need must stand in
 * proportion to what came, beyond what any machine has (160 MB). */
static bool in_proportion(const struct rfl_layout *l, size_t bytes) {
  double sums = (double)l->n_z, entries = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    entries += (double)l->term[t].n_z * (double)l->term[t].n_x;
    for (size_t u = t; u < l->n_terms; u++)
      sums += (double)l->term[t].n_z * (double)l->term[u].n_z;
  }
  return sums + entries <= 2e7 + 64 * (double)bytes;
}

enum rfl_code glm_read(struct rfl_bytes bytes, struct rfl_state **gives,
                       struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  if (rfl_read_u32(&in) != FORMAT) return rfl_fail(err, RFL_EDATA, damaged);
  struct glm_kind kind = {0};
  kind.family = (enum rfl_family)rfl_read_i32(&in);
  kind.link = (enum rfl_link)rfl_read_i32(&in);
  kind.variance = (enum rfl_variance)rfl_read_i32(&in);
  if (in.bad) return rfl_fail(err, RFL_EDATA, damaged);
  struct rfl_layout layout = {0};
  RFL_TRY(rfl_layout_read(&in, &layout, err));
  struct glm_design *design = NULL;
  struct rfl_state *s = NULL;
  enum rfl_code code = in_proportion(&layout, bytes.n)
                           ? glm_design_new(&layout, &design, err)
                           : rfl_fail(err, RFL_EDATA, damaged);
  rfl_layout_release(&layout);
  if (!code) code = glm_state_new(design, &s, err);
  glm_design_release(design);
  if (code) return code;
  s->kind = kind;
  code = read_rest(&in, s, err);
  if (!code) code = rfl_read_done(&in, "The state of a GLM", err);
  if (code) {
    glm_release(s);
    return code;
  }
  *gives = s;
  return RFL_OK;
}

size_t glm_size(const struct rfl_state *s) {
  size_t p = glm_p(s), z = glm_z(s);
  size_t arrays_p = 8 * p + (s->info ? p * p : 0) + (s->chol.a.hi ? p * p : 0) +
                    (s->by_row ? p * p : 0) + (s->by_cluster ? p * p : 0) +
                    (s->buckets ? GLM_BUCKETS * (z + 1) : 0) +
                    (s->prior_info ? p * p : 0) + (s->prior_outer ? p * p : 0) +
                    (s->vcov ? p * p : 0);
  size_t n = s->design->n_sums * (s->sums.lo ? 2 : 1) + s->design->n_scratch;
  return sizeof *s + sizeof(double) * (n + arrays_p + 7 * z);
}
