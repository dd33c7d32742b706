/* A state as bytes: version, options, layout, iterate, and the sums of the pass when
 * there are any. What is kept of rows is not written: no result depends on it. */
#include <string.h>

#include "base/mem.h"
#include "learn/kmeans_parts.h"

enum { FORMAT = 1 };
static const char damaged[] = "The bytes of a k-means model are damaged.";

/* Where the fixed parts lie, so that writing and reading cannot disagree. */
struct field {
  enum { NUMBER, WHOLE, FLAG, COUNT } kind;
  void *at;
};
struct array {
  double *at;
  size_t n;
};

static size_t iterate_fields(struct km_iterate *it, struct field *f) {
  const struct field all[] = {{WHOLE, &it->passes}, {NUMBER, &it->rows},
                              {NUMBER, &it->zero},  {NUMBER, &it->sum_weight},
                              {WHOLE, &it->round},  {NUMBER, &it->share},
                              {COUNT, &it->version}};
  memcpy(f, all, sizeof all);
  return sizeof all / sizeof *all;
}
static size_t run_fields(struct km_run *r, struct field *f) {
  const struct field all[] = {
      {WHOLE, &r->n},        {WHOLE, &r->step},    {WHOLE, &r->iterations},
      {WHOLE, &r->reseeded}, {WHOLE, &r->round},   {WHOLE, &r->nudges},
      {FLAG, &r->converged}, {FLAG, &r->polished}, {NUMBER, &r->potential}};
  memcpy(f, all, sizeof all);
  return sizeof all / sizeof *all;
}
static size_t sums_fields(struct km_sums *s, struct field *f) {
  const struct field all[] = {
      {NUMBER, &s->rows}, {NUMBER, &s->zero}, {NUMBER, &s->weight}};
  memcpy(f, all, sizeof all);
  return sizeof all / sizeof *all;
}
enum { MOST_FIELDS = 12, MOST_ARRAYS = 16 };

static size_t iterate_arrays(const struct km_setup *s, struct km_iterate *it,
                             struct array *a) {
  const struct array all[] = {{it->multiplier, s->d},
                              {it->shift, s->d},
                              {it->inverse, s->d},
                              {it->mean, s->d},
                              {it->m2, s->d}};
  memcpy(a, all, sizeof all);
  return sizeof all / sizeof *all;
}
static size_t run_arrays(const struct km_setup *s, struct km_run *r, struct array *a) {
  size_t k = (size_t)s->k;
  const struct array all[] = {
      {r->centre, k * s->stride}, {r->weight, k}, {r->count, k}, {r->within, k}};
  memcpy(a, all, sizeof all);
  return sizeof all / sizeof *all;
}
static size_t sums_arrays(const struct km_setup *s, struct km_sums *m, size_t runs,
                          struct array *a) {
  size_t k = (size_t)s->k * runs;
  const struct array all[] = {{m->low, s->d},
                              {m->high, s->d},
                              {m->mean, s->d},
                              {m->m2, s->d},
                              {m->sum, k * s->stride},
                              {m->at, k},
                              {m->count, k},
                              {m->within, k},
                              {m->potential, runs},
                              {m->key, runs},
                              {m->number, runs},
                              {m->heft, runs},
                              {m->pick, runs * s->stride},
                              {m->changed, runs}};
  memcpy(a, all, sizeof all);
  return sizeof all / sizeof *all;
}

/* ---- writing ---- */

static void put_fields(struct rfl_buf *out, const struct field *f, size_t n) {
  for (size_t k = 0; k < n; k++) {
    if (f[k].kind == NUMBER) rfl_buf_double(out, *(double *)f[k].at);
    if (f[k].kind == WHOLE) rfl_buf_i32(out, *(int32_t *)f[k].at);
    if (f[k].kind == FLAG) rfl_buf_u8(out, *(bool *)f[k].at);
    if (f[k].kind == COUNT) rfl_buf_u64(out, *(uint64_t *)f[k].at);
  }
}

static void put_arrays(struct rfl_buf *out, const struct array *a, size_t n) {
  for (size_t k = 0; k < n; k++) rfl_buf_doubles(out, a[k].at, a[k].n);
}

static void put_marks(struct rfl_buf *out, const uint8_t *mark, size_t n) {
  for (size_t k = 0; k < n; k++) rfl_buf_u8(out, mark[k] != 0);
}

static void write_setup(const struct km_setup *s, struct rfl_buf *out) {
  rfl_buf_i32(out, s->k);
  rfl_buf_i32(out, s->starts);
  rfl_buf_i32(out, s->max_iter);
  rfl_buf_u8(out, (uint8_t)(s->parallel | s->scale << 1 | (s->start != NULL) << 2));
  rfl_buf_u64(out, s->seed);
  rfl_buf_double(out, s->sample);
  rfl_layout_write(&s->layout, out);
  if (s->start) rfl_buf_doubles(out, s->start, (size_t)s->k * s->d);
}

static void write_iterate(const struct km_setup *s, struct km_iterate *it,
                          struct rfl_buf *out) {
  struct field f[MOST_FIELDS];
  struct array a[MOST_ARRAYS];
  rfl_buf_u8(out, (uint8_t)it->stage);
  rfl_buf_i32(out, it->n_runs);
  put_fields(out, f, iterate_fields(it, f));
  put_arrays(out, a, iterate_arrays(s, it, a));
  put_marks(out, it->constant, s->d);
  for (int32_t r = 0; r < it->n_runs; r++) {
    struct km_run *run = &it->run[r];
    rfl_buf_u8(out, (uint8_t)run->phase);
    put_fields(out, f, run_fields(run, f));
    put_arrays(out, a, run_arrays(s, run, a));
    put_marks(out, run->empty, (size_t)s->k);
    rfl_buf_u64(out, run->n_points);
    if (run->n_points) rfl_buf_doubles(out, run->points, run->n_points * s->stride);
  }
}

void km_write(const struct rfl_state *state, struct rfl_buf *out) {
  struct rfl_state *s = (struct rfl_state *)(uintptr_t)state; /* only read */
  struct field f[MOST_FIELDS];
  struct array a[MOST_ARRAYS];
  struct km_sums *sums = &s->sums;
  rfl_buf_u32(out, FORMAT);
  write_setup(s->setup, out);
  write_iterate(s->setup, s->it, out);
  rfl_buf_u8(out, s->learnt);
  rfl_buf_u8(out, sums->any);
  if (!sums->any) return;
  put_fields(out, f, sums_fields(sums, f));
  put_arrays(out, a, sums_arrays(s->setup, sums, (size_t)s->it->n_runs, a));
  for (int32_t r = 0; r < s->it->n_runs; r++) {
    rfl_buf_u64(out, sums->list[r].n);
    if (sums->list[r].n)
      rfl_buf_doubles(out, sums->list[r].x, sums->list[r].n * s->setup->stride);
    if (sums->tally[r]) rfl_buf_doubles(out, sums->tally[r], s->it->run[r].n_points);
  }
}

/* ---- reading ---- */

static void get_fields(struct rfl_reader *in, const struct field *f, size_t n) {
  for (size_t k = 0; k < n; k++) {
    if (f[k].kind == NUMBER) *(double *)f[k].at = rfl_read_double(in);
    if (f[k].kind == WHOLE) *(int32_t *)f[k].at = rfl_read_i32(in);
    if (f[k].kind == FLAG) *(bool *)f[k].at = rfl_read_u8(in) != 0;
    if (f[k].kind == COUNT) *(uint64_t *)f[k].at = rfl_read_u64(in);
  }
}

static void get_arrays(struct rfl_reader *in, const struct array *a, size_t n) {
  for (size_t k = 0; k < n && !in->bad; k++) {
    if (a[k].n > (size_t)(in->end - in->at) / 8) in->bad = true;
    if (!in->bad) rfl_read_doubles(in, a[k].at, a[k].n);
  }
}

static void get_marks(struct rfl_reader *in, uint8_t *mark, size_t n) {
  for (size_t k = 0; k < n; k++) mark[k] = rfl_read_u8(in) != 0;
}

/* n x stride doubles that must lie ahead. */
static enum rfl_code get_points(struct rfl_reader *in, size_t n, size_t stride,
                                double **gives, struct rfl_err *err) {
  if (in->bad || n > (size_t)(in->end - in->at) / (8 * stride))
    return rfl_fail(err, RFL_EDATA, damaged);
  double *x = rfl_alloc(n * stride, sizeof *x);
  if (!x) return rfl_no_memory(err);
  rfl_read_doubles(in, x, n * stride);
  *gives = x;
  return RFL_OK;
}

static bool finite_all(const double *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!(x[i] - x[i] == 0)) return false;
  return true;
}
static bool positive_all(const double *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!(x[i] >= 0)) return false;
  return true;
}

/* What the verbs count on: numbers that cannot send an index astray or a loop round for
 * ever. */
static bool sound_run(const struct km_setup *s, const struct km_iterate *it,
                      const struct km_run *r) {
  size_t k = (size_t)s->k, empty = 0;
  if (r->phase > KM_DONE || r->n < 0 || r->n > s->k || r->step < 0 || r->iterations < 0 ||
      r->iterations > s->max_iter || r->reseeded < 0 || r->reseeded > INT32_MAX / 2 ||
      r->step > INT32_MAX / 2)
    return false;
  bool active = it->stage >= KM_SAMPLE,
       points = r->phase == KM_COVER || r->phase == KM_SPRAY || r->phase == KM_TALLY;
  if (active && r->phase >= KM_LLOYD && r->n < 1) return false;
  if (active && points != (r->n_points > 0)) return false;
  if (!active && (r->n_points || r->n || r->phase != KM_PICK)) return false;
  if (active && r->phase == KM_PICK && r->n == s->k) return false;
  if (it->stage == KM_READY && r->phase != KM_MEASURE) return false;
  if (it->stage == KM_FULL && r->phase == KM_DONE) return false;
  if (r->phase == KM_NUDGE && it->stage != KM_SAMPLE) return false;
  if (r->phase == KM_SPRAY && !(r->potential > 0)) return false;
  for (size_t c = 0; c < k; c++) {
    if (r->empty[c] && (r->phase != KM_FAR || c >= (size_t)r->n)) return false;
    empty += r->empty[c];
  }
  if (r->phase == KM_FAR && (!empty || empty >= (size_t)r->n)) return false;
  return finite_all(r->centre, k * s->stride) && positive_all(r->weight, k) &&
         positive_all(r->count, k) && positive_all(r->within, k) &&
         finite_all(r->weight, k);
}

static bool padded(const struct km_setup *s, const double *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    for (size_t j = s->d; j < s->stride; j++)
      if (x[i * s->stride + j] < 0 || x[i * s->stride + j] > 0) return false;
  return true;
}

static enum rfl_code read_run(struct rfl_reader *in, const struct km_setup *s,
                              struct km_iterate *it, struct km_run *r,
                              struct rfl_err *err) {
  struct field f[MOST_FIELDS];
  struct array a[MOST_ARRAYS];
  uint8_t phase = rfl_read_u8(in);
  r->phase = phase > KM_DONE ? KM_DONE : (enum km_phase)phase;
  in->bad |= phase > KM_DONE;
  get_fields(in, f, run_fields(r, f));
  get_arrays(in, a, run_arrays(s, r, a));
  get_marks(in, r->empty, (size_t)s->k);
  uint64_t n = rfl_read_count(in, 8 * s->stride);
  if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
  if (n) RFL_TRY(get_points(in, (size_t)n, s->stride, &r->points, err));
  r->n_points = (size_t)n;
  bool sound = sound_run(s, it, r) && padded(s, r->centre, (size_t)s->k) &&
               padded(s, r->points, r->n_points) &&
               finite_all(r->points, r->n_points * s->stride);
  if (!sound) return rfl_fail(err, RFL_EDATA, damaged);
  r->epoch = ++it->epochs;
  return it->stage >= KM_SAMPLE ? km_run_ready(s, r, err) : RFL_OK;
}

static bool sound_iterate(const struct km_setup *s, const struct km_iterate *it) {
  for (size_t j = 0; j < s->d; j++)
    if (!(it->multiplier[j] >= 0x1p-1000 && it->multiplier[j] <= 0x1p1000 &&
          it->inverse[j] >= 0 && it->m2[j] >= 0))
      return false;
  return it->passes >= 0 && it->passes < INT32_MAX / 2 && it->rows >= 0 &&
         it->round >= 0 && it->round < INT32_MAX / 2 && it->zero >= 0 &&
         it->sum_weight >= 0 && it->share > 0 && it->share <= 1 &&
         finite_all(it->shift, s->d) && finite_all(it->inverse, s->d) &&
         finite_all(it->mean, s->d);
}

static enum rfl_code read_iterate(struct rfl_reader *in, const struct km_setup *s,
                                  struct km_iterate **gives, struct rfl_err *err) {
  uint8_t stage = rfl_read_u8(in);
  int32_t n_runs = rfl_read_i32(in);
  /* What a run needs must lie ahead: nothing is allocated that the bytes do not hold. */
  double each = 8 * (double)s->k * (double)(s->stride + 3);
  if (in->bad || stage > KM_READY || n_runs < 1 || n_runs > s->starts ||
      (stage >= KM_FULL && n_runs > 1) || each * n_runs > (double)(in->end - in->at))
    return rfl_fail(err, RFL_EDATA, damaged);
  struct km_iterate *it = NULL;
  RFL_TRY(km_iterate_new(s, n_runs, &it, err));
  struct field f[MOST_FIELDS];
  struct array a[MOST_ARRAYS];
  it->stage = (enum km_stage)stage;
  get_fields(in, f, iterate_fields(it, f));
  get_arrays(in, a, iterate_arrays(s, it, a));
  get_marks(in, it->constant, s->d);
  enum rfl_code code =
      !in->bad && sound_iterate(s, it) ? RFL_OK : rfl_fail(err, RFL_EDATA, damaged);
  for (int32_t r = 0; !code && r < n_runs; r++)
    code = read_run(in, s, it, &it->run[r], err);
  if (code)
    km_iterate_release(it);
  else
    *gives = it;
  return code;
}

static enum rfl_code read_setup(struct rfl_reader *in, struct km_setup **gives,
                                struct rfl_err *err) {
  struct rfl_kmeans_options o = {.k = rfl_read_i32(in)};
  o.starts = rfl_read_i32(in);
  o.max_iter = rfl_read_i32(in);
  uint8_t flags = rfl_read_u8(in);
  o.seed = rfl_read_u64(in);
  o.sample = rfl_read_double(in);
  o.parallel = flags & 1;
  o.scale = flags >> 1 & 1;
  if (in->bad || flags > 7 || o.k < 1 || o.starts < 1 || o.max_iter < 1)
    return rfl_fail(err, RFL_EDATA, damaged);
  struct rfl_layout layout = {0};
  RFL_TRY(rfl_layout_read(in, &layout, err));
  double *start = NULL;
  int32_t d = layout.n_x - (int32_t)layout.intercept;
  double entries = 0;
  for (size_t t = 0; t < layout.n_terms; t++)
    entries += (double)layout.term[t].n_z * (double)layout.term[t].n_x;
  bool sane =
      d > 0 && entries <= 2e7 && (double)o.k * d <= (double)(in->end - in->at) / 8;
  enum rfl_code code = sane ? RFL_OK : rfl_fail(err, RFL_EDATA, damaged);
  if (!code && flags >> 2) code = get_points(in, (size_t)o.k * (size_t)d, 1, &start, err);
  o.start = start;
  if (!code) code = km_setup_new(&o, &layout, gives, err);
  rfl_free(start);
  rfl_layout_release(&layout);
  return code;
}

static bool sound_sums(const struct rfl_state *s) {
  const struct km_sums *m = &s->sums;
  size_t runs = (size_t)s->it->n_runs, k = (size_t)s->setup->k * runs;
  return m->rows >= 0 && positive_all(m->heft, runs) && m->zero >= 0 && m->weight >= 0 &&
         positive_all(m->at, k) && finite_all(m->at, k) &&
         finite_all(m->sum, k * s->setup->stride) && positive_all(m->count, k) &&
         positive_all(m->within, k) && positive_all(m->m2, s->setup->d) &&
         finite_all(m->mean, s->setup->d) &&
         finite_all(m->pick, runs * s->setup->stride) && padded(s->setup, m->sum, k) &&
         padded(s->setup, m->pick, runs);
}

static enum rfl_code read_sums(struct rfl_reader *in, struct rfl_state *s,
                               struct rfl_err *err) {
  struct field f[MOST_FIELDS];
  struct array a[MOST_ARRAYS];
  struct km_sums *m = &s->sums;
  size_t stride = s->setup->stride;
  m->any = true;
  get_fields(in, f, sums_fields(m, f));
  get_arrays(in, a, sums_arrays(s->setup, m, (size_t)s->it->n_runs, a));
  for (int32_t r = 0; r < s->it->n_runs; r++) {
    uint64_t n = rfl_read_count(in, 8 * stride);
    if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
    RFL_TRY(km_list_reserve(&m->list[r], (size_t)n, stride, err));
    m->list[r].n = (size_t)n;
    const struct array more[] = {{m->list[r].x, (size_t)n * stride},
                                 {m->tally[r], m->tally[r] ? s->it->run[r].n_points : 0}};
    get_arrays(in, more, 2);
    if (in->bad || !padded(s->setup, m->list[r].x, (size_t)n) ||
        !finite_all(m->list[r].x, (size_t)n * stride) ||
        !positive_all(more[1].at, more[1].n))
      return rfl_fail(err, RFL_EDATA, damaged);
  }
  return sound_sums(s) ? RFL_OK : rfl_fail(err, RFL_EDATA, damaged);
}

static enum rfl_code read_state(struct rfl_reader *in, struct km_setup *setup,
                                struct rfl_state **gives, struct rfl_err *err) {
  struct km_iterate *it = NULL;
  struct rfl_state *s = NULL;
  RFL_TRY(read_iterate(in, setup, &it, err));
  enum rfl_code code = km_state_new(setup, it, &s, err);
  if (code) {
    km_iterate_release(it);
    return code;
  }
  s->learnt = rfl_read_u8(in) != 0;
  bool any = rfl_read_u8(in) != 0;
  if (s->learnt && !(any && it->stage == KM_READY)) in->bad = true;
  if (any && !in->bad) code = read_sums(in, s, err);
  if (!code) code = rfl_read_done(in, "The state of a k-means model", err);
  if (code)
    km_release(s);
  else
    *gives = s;
  return code;
}

enum rfl_code km_read(struct rfl_bytes bytes, struct rfl_state **gives,
                      struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  if (rfl_read_u32(&in) != FORMAT) return rfl_fail(err, RFL_EDATA, damaged);
  struct km_setup *setup = NULL;
  RFL_TRY(read_setup(&in, &setup, err));
  enum rfl_code code = read_state(&in, setup, gives, err);
  km_setup_release(setup);
  return code;
}
