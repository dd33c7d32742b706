/* A state as bytes: version, layout, options, iterate, the pass so far (its sums only
 * when there are any), the fit, and what was learnt before. Arrays have the lengths that
 * the layout and the options fix; one that may be absent is led by 0 or 1. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/aft_parts.h"

enum { FORMAT = 1 };
static const char damaged[] = "The bytes of a survival model are damaged.";

/* Where the fixed parts lie, so that writing and reading cannot disagree. */
struct field {
  enum { NUMBER, WHOLE, FLAG } kind;
  void *at;
};

static size_t totals(struct aft_totals *t, struct field *f) {
  double *all[] = {&t->rows,      &t->zero,      &t->weight,    &t->loglik,
                   &t->status[0], &t->status[1], &t->status[2], &t->status[3],
                   &t->effective, &t->effective2};
  size_t n = sizeof all / sizeof *all;
  for (size_t k = 0; k < n; k++) f[k] = (struct field){NUMBER, all[k]};
  return n;
}

static size_t fields(struct rfl_state *s, struct field *f) {
  const struct field head[] = {
      {WHOLE, &s->phase},      {WHOLE, &s->passes},     {WHOLE, &s->halvings},
      {NUMBER, &s->objective}, {NUMBER, &s->decrement}, {NUMBER, &s->keep},
      {FLAG, &s->settled},     {FLAG, &s->converged},   {WHOLE, &s->way},
      {FLAG, &s->alias_known}, {FLAG, &s->separated},   {FLAG, &s->has_prior},
      {FLAG, &s->anchored},    {FLAG, &s->forgets}};
  size_t n = sizeof head / sizeof *head;
  memcpy(f, head, sizeof head);
  n += totals(&s->now, f + n);
  return n + totals(&s->past, f + n);
}
enum { MOST_FIELDS = 40 };

struct array {
  double **at;
  size_t n;
};

static size_t arrays(struct rfl_state *s, struct array *a) {
  size_t q = aft_q(s), qq = q * q, n = aft_n_bucket(s);
  const struct array all[] = {
      {&s->before, q},       {&s->direction, q},   {&s->column_size, q},
      {&s->info, qq},        {&s->bucket, n},      {&s->chol.a.hi, qq},
      {&s->chol.scale, q},   {&s->prior_theta, q}, {&s->prior_info, qq},
      {&s->prior_outer, qq}, {&s->past_bucket, n}};
  memcpy(a, all, sizeof all);
  return sizeof all / sizeof *all;
}
enum { MOST_ARRAYS = 11 };

static void write_marks(const uint8_t *marks, size_t n, struct rfl_buf *out) {
  rfl_buf_u8(out, marks != NULL);
  for (size_t j = 0; marks && j < n; j++) rfl_buf_u8(out, marks[j] != 0);
}

static void write_options(const struct rfl_aft_options *o, struct rfl_buf *out) {
  const int32_t whole[] = {(int32_t)o->dist, (int32_t)o->type, o->time,    o->time2,
                           o->status,        o->stratum,       o->cluster, o->n_strata,
                           o->n_clusters,    o->max_passes};
  rfl_buf_i32s(out, whole, sizeof whole / sizeof *whole);
  rfl_buf_u8(out, o->log_time ? 1 : 0);
  rfl_buf_u8(out, o->strict ? 1 : 0);
  const double number[] = {o->df, o->scale, o->event, o->tolerance};
  rfl_buf_doubles(out, number, sizeof number / sizeof *number);
}

static bool has_rows(const struct rfl_state *s) { return s->sums[AFT_ROWS] > 0; }

void aft_write(const struct rfl_state *state, struct rfl_buf *out) {
  struct rfl_state *s = (struct rfl_state *)(uintptr_t)state; /* only read */
  size_t q = aft_q(s);
  rfl_buf_u32(out, FORMAT);
  rfl_layout_write(&s->design->layout, out);
  write_options(&s->design->options, out);
  struct field f[MOST_FIELDS];
  size_t n = fields(s, f);
  for (size_t k = 0; k < n; k++) {
    if (f[k].kind == NUMBER) rfl_buf_double(out, *(double *)f[k].at);
    if (f[k].kind == WHOLE) rfl_buf_i32(out, *(int32_t *)f[k].at);
    if (f[k].kind == FLAG) rfl_buf_u8(out, *(bool *)f[k].at);
  }
  rfl_buf_u64(out, s->version);
  rfl_buf_doubles(out, s->theta, q);
  write_marks(s->aliased, q, out);
  write_marks(s->chol.kept, q, out);
  struct array a[MOST_ARRAYS];
  n = arrays(s, a);
  for (size_t k = 0; k < n; k++) {
    rfl_buf_u8(out, *a[k].at != NULL);
    if (*a[k].at) rfl_buf_doubles(out, *a[k].at, a[k].n);
  }
  rfl_buf_u8(out, has_rows(s));
  if (has_rows(s)) rfl_buf_doubles(out, s->sums, s->design->n_sums);
}

/* ---- reading ---- */

/* n doubles that the input must still hold. */
static enum rfl_code read_array(struct rfl_reader *in, double **to, size_t n,
                                struct rfl_err *err) {
  if (n > (size_t)(in->end - in->at) / 8) in->bad = true;
  if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
  if (!aft_room(to, n)) return rfl_no_memory(err);
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

static void read_options(struct rfl_reader *in, struct rfl_aft_options *o) {
  int32_t whole[10];
  double number[4];
  rfl_read_i32s(in, whole, 10);
  bool log_time = rfl_read_u8(in) != 0, strict = rfl_read_u8(in) != 0;
  rfl_read_doubles(in, number, 4);
  *o = (struct rfl_aft_options){.dist = (enum rfl_aft_dist)(whole[0] & 7),
                                .type = (enum rfl_aft_type)(whole[1] & 7),
                                .log_time = log_time,
                                .strict = strict,
                                .df = number[0],
                                .scale = number[1],
                                .event = number[2],
                                .tolerance = number[3],
                                .time = whole[2],
                                .time2 = whole[3],
                                .status = whole[4],
                                .stratum = whole[5],
                                .cluster = whole[6],
                                .n_strata = whole[7],
                                .n_clusters = whole[8],
                                .max_passes = whole[9]};
  if (whole[0] != (int32_t)o->dist || whole[1] != (int32_t)o->type ||
      !(o->tolerance > 0) || o->max_passes < 1)
    in->bad = true;
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
  bool solver = s->aliased && s->before && s->direction && s->column_size && s->info &&
                (s->bucket || !s->design->options.n_clusters);
  bool chol = s->chol.a.hi && s->chol.scale && s->chol.kept;
  bool prior = s->prior_theta && s->prior_info &&
               (s->past_bucket || !s->design->options.n_clusters);
  if ((s->settled || s->has_prior) && !(solver && chol)) return false;
  if ((s->settled || s->has_prior) && s->phase != AFT_NEWTON) return false;
  if (s->has_prior != prior || s->forgets != (s->prior_outer != NULL)) return false;
  if (!solver && s->alias_known) return false;
  if (s->way < 0 || s->way >= AFT_N_WAYS) return false;
  if (s->passes < 0 || s->halvings < 0 || s->phase < 0 || s->phase >= AFT_N_PHASES)
    return false;
  for (size_t j = 0; j < aft_q(s); j++)
    if (!(s->theta[j] - s->theta[j] == 0)) return false;
  return s->keep > 0 && s->keep <= 1;
}

static enum rfl_code read_rest(struct rfl_reader *in, struct rfl_state *s,
                               struct rfl_err *err) {
  size_t q = aft_q(s);
  read_fields(in, s);
  RFL_TRY(read_array(in, &s->theta, q, err));
  RFL_TRY(read_marks(in, &s->aliased, q, err));
  RFL_TRY(read_marks(in, &s->chol.kept, q, err));
  struct array a[MOST_ARRAYS];
  size_t n = arrays(s, a);
  for (size_t k = 0; k < n; k++)
    if (rfl_read_u8(in)) RFL_TRY(read_array(in, a[k].at, a[k].n, err));
  s->chol.p = s->chol.a.hi ? q : 0;
  if (!in->bad && !sound(s)) in->bad = true;
  if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
  aft_clear(s);
  if (!rfl_read_u8(in)) return RFL_OK;
  RFL_TRY(read_array(in, &s->sums, s->design->n_sums, err));
  if (!has_rows(s)) return rfl_fail(err, RFL_EDATA, damaged);
  return RFL_OK;
}

/* A few bytes may describe a design of any size: what it would need must stand in
 * proportion to what came, beyond what any machine has (160 MB). */
static bool in_proportion(const struct rfl_layout *l, const struct rfl_aft_options *o,
                          size_t bytes) {
  double groups = fabs((double)o->n_strata) + fabs((double)o->n_clusters);
  double sums = (double)l->n_z * (1 + groups) + 8 * groups, entries = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    entries += (double)l->term[t].n_z * (double)l->term[t].n_x;
    for (size_t u = t; u < l->n_terms; u++)
      sums += (double)l->term[t].n_z * (double)l->term[u].n_z;
  }
  return sums + entries <= 2e7 + 64 * (double)bytes;
}

static enum rfl_code read_design(struct rfl_reader *in, size_t bytes,
                                 struct aft_design **gives, struct rfl_err *err) {
  struct rfl_layout layout = {0};
  struct rfl_aft_options o;
  RFL_TRY(rfl_layout_read(in, &layout, err));
  read_options(in, &o);
  enum rfl_code code = RFL_OK;
  if (in->bad || !in_proportion(&layout, &o, bytes) ||
      aft_options_check(&o, &layout, NULL))
    code = rfl_fail(err, RFL_EDATA, damaged);
  if (!code) code = aft_design_new(&o, &layout, gives, err);
  rfl_layout_release(&layout);
  return code;
}

enum rfl_code aft_read(struct rfl_bytes bytes, struct rfl_state **gives,
                       struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  if (rfl_read_u32(&in) != FORMAT) return rfl_fail(err, RFL_EDATA, damaged);
  struct aft_design *design = NULL;
  struct rfl_state *s = NULL;
  RFL_TRY(read_design(&in, bytes.n, &design, err));
  enum rfl_code code = aft_state_new(design, &s, err);
  aft_design_release(design);
  if (code) return code;
  code = read_rest(&in, s, err);
  if (!code) code = rfl_read_done(&in, "The state of a survival model", err);
  if (code) {
    aft_release(s);
    return code;
  }
  *gives = s;
  return RFL_OK;
}

size_t aft_size(const struct rfl_state *s) {
  size_t q = aft_q(s), squares = 0;
  const void *all[] = {s->info,        s->chol.a.hi, s->prior_info,
                       s->prior_outer, s->vcov,      s->robust};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) squares += all[k] != NULL;
  size_t buckets = aft_n_bucket(s) * ((s->bucket ? 1u : 0u) + (s->past_bucket ? 1u : 0u));
  return sizeof *s + sizeof(double) * (s->design->n_sums + s->design->n_scratch +
                                       squares * q * q + 8 * q + aft_z(s) + buckets);
}
