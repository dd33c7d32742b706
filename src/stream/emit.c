/* Output frames are made in two picks that share all columns: the first puts the new
 * columns behind the shared ones, as rfl_frame_pick() does; the second brings them into
 * the order that users see: key, score, model, version, time, then what was kept. */
#include "stream/emit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct rfl_emit {
  struct rfl_schema *from, *wide, *out;
  size_t *picked; /* of `from`: the key when there is one, then the kept ones */
  size_t n_picked;
  size_t *order; /* of `wide`, as in `out` */
  uint32_t width;
  struct rfl_dict *model;
};

void rfl_emit_release(struct rfl_emit *e) {
  if (!e) return;
  rfl_schema_release(e->from);
  rfl_schema_release(e->wide);
  rfl_schema_release(e->out);
  rfl_dict_release(e->model);
  rfl_free(e->picked);
  rfl_free(e->order);
  rfl_free(e);
}

bool rfl_emit_fits(const struct rfl_emit *e, const struct rfl_schema *from) {
  return e->from == from;
}

uint32_t rfl_emit_width(const struct rfl_emit *e) { return e->width; }

/* The field as it leaves: meta columns lose their dot, no column says it is one. */
static struct rfl_field leaving(const struct rfl_field *f, bool key) {
  struct rfl_field out = *f;
  if (key)
    out.name = "key";
  else if (f->meta != RFL_META_NONE && f->name[0] == '.')
    out.name = f->name + 1;
  out.meta = RFL_META_NONE;
  return out;
}

static enum rfl_code pick_columns(struct rfl_emit *e, const struct rfl_query_spec *spec,
                                  bool *has_key, struct rfl_err *err) {
  const struct rfl_schema *from = e->from;
  e->picked = rfl_alloc(spec->n_keep + 1, sizeof *e->picked);
  if (!e->picked) return rfl_no_memory(err);
  for (size_t i = 0; i < from->n && !*has_key; i++) {
    if (from->field[i].meta != RFL_META_KEY) continue;
    e->picked[e->n_picked++] = i;
    *has_key = true;
  }
  for (size_t k = 0; k < spec->n_keep; k++) {
    ptrdiff_t at = rfl_schema_find(from, spec->keep[k]);
    if (at < 0)
      return rfl_fail(err, RFL_ESCHEMA, "`keep` names `%s`, which is not a column.",
                      spec->keep[k]);
    if (from->field[at].meta == RFL_META_KEY) continue;
    e->picked[e->n_picked++] = (size_t)at;
  }
  return RFL_OK;
}

/* The fields of the wide frame: picked ones, scores, model, version, time. */
static size_t name_fields(const struct rfl_emit *e, const struct rfl_query_spec *spec,
                          bool has_key, char (*text)[128], struct rfl_field *field) {
  size_t n = 0;
  for (; n < e->n_picked; n++)
    field[n] = leaving(&e->from->field[e->picked[n]], n == 0 && has_key);
  const char *into = spec->score.into ? spec->score.into : "score";
  for (uint32_t w = 0; w < e->width; w++) {
    if (w == 0)
      snprintf(text[w], sizeof text[w], "%.100s", into);
    else
      snprintf(text[w], sizeof text[w], "%.100s_%u", into, w + 1);
    field[n++] = (struct rfl_field){.name = text[w], .type = RFL_DOUBLE};
  }
  field[n++] = (struct rfl_field){.name = "model", .type = RFL_FACTOR};
  field[n++] = (struct rfl_field){.name = "version", .type = RFL_DOUBLE};
  field[n++] = (struct rfl_field){.name = "time", .type = RFL_TIMESTAMP};
  return n;
}

static void order_fields(struct rfl_emit *e, bool has_key, const struct rfl_field *wide,
                         size_t n, struct rfl_field *out) {
  size_t at = 0;
  if (has_key) e->order[at++] = 0;
  for (size_t i = e->n_picked; i < n; i++) e->order[at++] = i;
  for (size_t i = has_key; i < e->n_picked; i++) e->order[at++] = i;
  for (size_t i = 0; i < n; i++) out[i] = wide[e->order[i]];
}

static enum rfl_code make_schemas(struct rfl_emit *e, const struct rfl_query_spec *spec,
                                  struct rfl_err *err) {
  bool has_key = false;
  RFL_TRY(pick_columns(e, spec, &has_key, err));
  size_t n = e->n_picked + e->width + 3;
  struct rfl_field *field = rfl_alloc(2 * n, sizeof *field);
  char(*text)[128] = rfl_alloc(e->width, sizeof *text);
  e->order = rfl_alloc(n, sizeof *e->order);
  enum rfl_code code = RFL_OK;
  if (!field || !text || !e->order) code = rfl_no_memory(err);
  if (!code) {
    name_fields(e, spec, has_key, text, field);
    order_fields(e, has_key, field, n, field + n);
    code = rfl_schema_new(field, n, &e->wide, err);
  }
  if (!code) code = rfl_schema_new(field + n, n, &e->out, err);
  rfl_free(field);
  rfl_free(text);
  return code;
}

enum rfl_code rfl_emit_new(const struct rfl_query_spec *spec, struct rfl_schema *from,
                           uint32_t width, struct rfl_emit **gives, struct rfl_err *err) {
  struct rfl_emit *e = rfl_alloc(1, sizeof *e);
  if (!e) return rfl_no_memory(err);
  e->from = rfl_schema_keep(from);
  e->width = width;
  const char *name = rfl_live_name(spec->score.live);
  int32_t code0;
  enum rfl_code code = rfl_dict_new(&e->model, err);
  if (!code) code = rfl_dict_code(e->model, name, strlen(name), &code0, err);
  if (!code) code = make_schemas(e, spec, err);
  if (code) {
    rfl_emit_release(e);
    return code;
  }
  *gives = e;
  return RFL_OK;
}

/* A column of scores: NaN becomes missing, with a bitmap only when there is one. */
static bool score_column(const double *score, size_t n, struct rfl_column *gives) {
  double *value = rfl_alloc(n, sizeof *value);
  if (!value) return false;
  *gives = (struct rfl_column){.type = RFL_DOUBLE, .f64 = value};
  uint8_t *valid = NULL;
  for (size_t i = 0; i < n; i++) {
    value[i] = score[i];
    if (!isnan(score[i])) continue;
    value[i] = 0;
    if (!valid) {
      valid = rfl_alloc((n + 7) / 8, 1);
      if (!valid) return false;
      memset(valid, 0xff, (n + 7) / 8);
      gives->valid = valid;
    }
    valid[i >> 3] = (uint8_t)(valid[i >> 3] & ~(1u << (i & 7)));
  }
  return true;
}

static bool constant_columns(struct rfl_emit *e, size_t n, uint64_t version,
                             struct rfl_column *c) {
  int32_t *model = rfl_alloc(n, sizeof *model);
  c[0] = (struct rfl_column){.type = RFL_FACTOR, .i32 = model, .levels = 1};
  double *versions = rfl_alloc(n, sizeof *versions);
  c[1] = (struct rfl_column){.type = RFL_DOUBLE, .f64 = versions};
  int64_t *times = rfl_alloc(n, sizeof *times);
  c[2] = (struct rfl_column){.type = RFL_TIMESTAMP, .i64 = times};
  if (!model || !versions || !times) return false;
  int64_t now = rfl_wall_us();
  for (size_t i = 0; i < n; i++) {
    versions[i] = (double)version;
    times[i] = now;
  }
  c[0].dict = rfl_dict_keep(e->model);
  return true;
}

static void release_columns(struct rfl_column *c, size_t n) {
  for (size_t i = 0; i < n; i++) {
    rfl_free((void *)c[i].valid);
    rfl_free((void *)c[i].data);
    rfl_dict_release(c[i].dict);
  }
}

static uint64_t count_missing(const struct rfl_column *c, size_t n) {
  uint64_t missing = 0;
  for (size_t i = 0; c->valid && i < n; i++) missing += !rfl_column_has(c, i);
  return missing;
}

enum rfl_code rfl_emit_frame(struct rfl_emit *e, struct rfl_frame *frame,
                             double *takes_score, uint64_t version,
                             struct rfl_frame **gives, uint64_t *missing,
                             struct rfl_err *err) {
  size_t n = frame->n_rows, n_extra = e->width + 3;
  struct rfl_column *extra = rfl_alloc(n_extra, sizeof *extra);
  bool made = extra != NULL;
  for (uint32_t w = 0; made && w < e->width; w++)
    made = score_column(takes_score + w * n, n, &extra[w]);
  made = made && constant_columns(e, n, version, extra + e->width);
  rfl_free(takes_score);
  uint64_t without = made ? count_missing(&extra[0], n) : 0;
  struct rfl_frame *wide = NULL;
  enum rfl_code code = made ? RFL_OK : rfl_no_memory(err);
  if (!code)
    code = rfl_frame_pick(frame, e->picked, e->n_picked, e->wide, extra, &wide, err);
  if (code && extra) release_columns(extra, n_extra);
  rfl_free(extra);
  if (code) return code;
  code = rfl_frame_pick(wide, e->order, e->out->n, e->out, NULL, gives, err);
  rfl_frame_release(wide);
  if (!code) *missing += without;
  return code;
}

enum rfl_code rfl_query_output(const struct rfl_query_spec *spec,
                               const struct rfl_schema *source, struct rfl_schema **gives,
                               struct rfl_err *err) {
  /* Keeping only counts; the schema itself stays as it is. */
  struct rfl_schema *from = (struct rfl_schema *)source;
  if (!spec->score.live) {
    *gives = rfl_schema_keep(from);
    return RFL_OK;
  }
  uint64_t version;
  const struct rfl_learner *learner = rfl_live_learner(spec->score.live);
  const struct rfl_state *state = rfl_live_enter(spec->score.live, &version);
  uint32_t width = learner->width(state, spec->score.what);
  rfl_live_leave(spec->score.live);
  struct rfl_emit *e = NULL;
  RFL_TRY(rfl_emit_new(spec, from, width, &e, err));
  *gives = rfl_schema_keep(e->out);
  rfl_emit_release(e);
  return RFL_OK;
}
