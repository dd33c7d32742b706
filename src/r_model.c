/* Fitting, scoring and updating value models of any learner: each entry makes its objects
 * in a bench, a handle that owns them, and closes it when the result is made. What only
 * one learner knows (its options, what its state tells) is in its own file, r_<name>.c,
 * and is found here by name. */
#include "r_model.h"

#include <string.h>

#include "base/mem.h"

enum {
  CHUNK = 65536, /* rows between two looks at Ctrl-C */
  SCORED = 8192  /* the same while scoring: what is made of them stays in the cache */
};

/* ---- learners ---- */

const struct r_family *r_family_get(SEXP name) {
  static const struct r_family *const all[] = {&r_aft, &r_bayes, &r_ftrl, &r_glm,
                                               &r_kmeans};
  const char *wanted = r_string(name);
  for (size_t k = 0; k < sizeof all / sizeof *all; k++)
    if (wanted && strcmp(all[k]->name, wanted) == 0) return all[k];
  r_fail(RFL_EMODEL, "There is no learner `%s`.", wanted ? wanted : "");
}

/* ---- the bench ---- */

static void release_bench(void *p) {
  struct r_bench *b = p;
  rfl_pool_release(b->pool);
  rfl_workspace_release(b->ws);
  rfl_gather_release(b->pending);
  if (b->state) b->learner->release(b->state);
  rfl_recipe_release(b->recipe);
  rfl_levels_search_release(b->search);
  rfl_levels_free(b->levels, b->n_levels);
  rfl_buf_release(&b->bytes);
  rfl_free(b);
}
static const struct r_type bench_type = {"a model's workbench", release_bench, R_MEMORY};

SEXP r_bench_new(const struct r_family *family, struct r_bench **gives) {
  SEXP handle = PROTECT(r_handle_new(&bench_type, R_NilValue));
  struct r_bench *b = rfl_alloc(1, sizeof *b);
  struct rfl_err err = {0};
  if (!b) r_finish(rfl_no_memory(&err), &err);
  b->learner = family ? family->learner : NULL;
  r_handle_fill(handle, b);
  *gives = b;
  UNPROTECT(1);
  return handle;
}

/* ---- states and counts as R values ---- */

enum rfl_code r_state_read(struct r_bench *b, SEXP raw, struct rfl_err *err) {
  if (TYPEOF(raw) != RAWSXP)
    return rfl_fail(err, RFL_EMODEL, "The model's state is not a raw vector.");
  struct rfl_bytes bytes = {RAW_RO(raw), (size_t)Rf_xlength(raw)};
  return b->learner->read(bytes, &b->state, err);
}

SEXP r_state_write(struct r_bench *b, const struct rfl_state *state) {
  struct rfl_err err = {0};
  rfl_buf_clear(&b->bytes);
  b->learner->write(state, &b->bytes);
  r_finish(rfl_buf_check(&b->bytes, &err), &err);
  SEXP raw = Rf_allocVector(RAWSXP, (R_xlen_t)b->bytes.n);
  memcpy(RAW(raw), b->bytes.p, b->bytes.n);
  return raw;
}

SEXP r_counts(const struct rfl_count *c) {
  const char *names[] = {"rows",        "used",   "missing",      "unseen",
                         "zero_weight", "pooled", "first_unseen", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, Rf_ScalarReal((double)c->rows));
  SET_VECTOR_ELT(list, 1, Rf_ScalarReal((double)c->used));
  SET_VECTOR_ELT(list, 2, Rf_ScalarReal((double)c->missing));
  SET_VECTOR_ELT(list, 3, Rf_ScalarReal((double)c->unseen));
  SET_VECTOR_ELT(list, 4, Rf_ScalarReal((double)c->zero_weight));
  SET_VECTOR_ELT(list, 5, Rf_ScalarReal((double)c->pooled));
  SET_VECTOR_ELT(list, 6, r_from_text(c->first_unseen));
  UNPROTECT(1);
  return list;
}

/* ---- frames ---- */

/* Texts in C order, with how many rows each has as the attribute `rows`. */
static SEXP level_texts(const struct rfl_levels *levels) {
  if (levels->over) return R_NilValue;
  SEXP texts = PROTECT(Rf_allocVector(STRSXP, levels->n));
  SEXP rows = PROTECT(Rf_allocVector(REALSXP, levels->n));
  for (int32_t k = 0; k < levels->n; k++) {
    const char *text = rfl_levels_text(levels, k);
    SET_STRING_ELT(texts, k, r_from_bytes(text, strlen(text)));
    REAL(rows)[k] = (double)rfl_levels_rows(levels, k);
  }
  Rf_setAttrib(texts, Rf_install("rows"), rows);
  UNPROTECT(2);
  return texts;
}

static enum rfl_code find_levels(const struct r_frames *in,
                                 const struct rfl_levels_spec *spec, struct r_bench *b,
                                 struct rfl_err *err) {
  RFL_TRY(rfl_levels_search_new(spec, &b->search, err));
  enum rfl_code code = RFL_OK;
  for (size_t k = 0; !code && k < r_frames_count(in); k++) {
    struct rfl_frame *frame;
    RFL_TRY(r_frames_take(in, k, &frame, err));
    code = rfl_levels_search_take(b->search, frame, err);
    rfl_frame_release(frame);
    if (!code && !r_go_on(NULL)) code = RFL_EHOST;
  }
  return code ? code : rfl_levels_search_close(b->search, &b->levels, err);
}

/* A list: the levels of each category, or NULL for a string with more than `limit`. */
SEXP ffi_frames_levels(SEXP frames, SEXP used, SEXP category, SEXP limit) {
  const struct r_frames *in = r_frames_get(frames);
  struct rfl_levels_spec spec = {.used = r_texts(used),
                                 .n_used = (size_t)Rf_xlength(used),
                                 .category = r_texts(category),
                                 .n = (size_t)Rf_xlength(category),
                                 .limit = (int32_t)r_number(limit)};
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(NULL, &b));
  struct rfl_err err = {0};
  b->n_levels = spec.n;
  r_finish(find_levels(in, &spec, b, &err), &err);
  SEXP list = PROTECT(Rf_allocVector(VECSXP, (R_xlen_t)spec.n));
  for (size_t k = 0; k < spec.n; k++)
    SET_VECTOR_ELT(list, (R_xlen_t)k, level_texts(&b->levels[k]));
  r_handle_close(bench);
  UNPROTECT(2);
  return list;
}

/* ---- fit ---- */

static bool fit_goes_on(void *data, int pass, double done) {
  (void)pass;
  (void)done;
  return r_go_on(data);
}

static enum rfl_code check_report(const struct rfl_fit_report *report, bool fail,
                                  struct rfl_err *err) {
  if (fail && report->count.missing)
    return rfl_fail(err, RFL_EDATA, "%llu rows have a missing value.",
                    (unsigned long long)report->count.missing);
  return RFL_OK;
}

SEXP ffi_model_fit(SEXP learner, SEXP frames, SEXP recipe, SEXP options) {
  const struct r_family *family = r_family_get(learner);
  struct r_frames *in = r_frames_get(frames);
  const struct rfl_options *o = family->options(options);
  bool fail = r_flag(r_get(options, "fail"));
  int threads = (int)r_number(r_get(options, "threads"));
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(family, &b));
  struct rfl_err err = {0};
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code && threads > 1) code = rfl_pool_new(threads, &b->pool, &err);
  struct rfl_fit_input input;
  if (!code) code = r_frames_input(in, &input, &err);
  struct rfl_fit_job job = {.pool = b->pool, .go_on = fit_goes_on, .warm = family->warm};
  struct rfl_fit_report report = {0};
  if (!code)
    code = rfl_fit(family->learner, o, b->recipe, &input, &job, &b->state, &report, &err);
  if (!code) code = check_report(&report, fail, &err);
  r_finish(code, &err);
  const char *names[] = {"state", "counts", ""};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(out, 0, r_state_write(b, b->state));
  SET_VECTOR_ELT(out, 1, r_counts(&report.count));
  r_handle_close(bench);
  UNPROTECT(2);
  return out;
}

/* What a state tells: a list that the learner's file makes. */
SEXP ffi_model_result(SEXP learner, SEXP state) {
  const struct r_family *family = r_family_get(learner);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(family, &b));
  struct rfl_err err = {0};
  r_finish(r_state_read(b, state, &err), &err);
  SEXP list = PROTECT(family->result(b));
  r_handle_close(bench);
  UNPROTECT(2);
  return list;
}

/* ---- score ---- */

struct scoring { /* scores of several columns, as one vector, column by column */
  double *out, *chunk;
  size_t n, done; /* rows in all, rows scored */
  uint32_t width;
  int what;
};

static enum rfl_code score_frame(const struct r_bench *b, struct rfl_frame *frame,
                                 struct scoring *s, struct rfl_err *err) {
  for (uint32_t row = 0; row < frame->n_rows; row += SCORED) {
    if (!r_go_on(NULL)) return RFL_EHOST;
    uint32_t left = frame->n_rows - row, n = left < SCORED ? left : SCORED;
    struct rfl_rows rows = {.frame = frame, .row = row, .n = n};
    double *to = s->width == 1 ? s->out + s->done : s->chunk;
    RFL_TRY(
        rfl_score_rows(b->learner, b->state, b->recipe, b->ws, &rows, s->what, to, err));
    for (uint32_t c = 0; to == s->chunk && c < s->width; c++)
      memcpy(s->out + c * s->n + s->done, s->chunk + (size_t)c * rows.n,
             rows.n * sizeof *s->out);
    s->done += rows.n;
  }
  return RFL_OK;
}

/* Scores of several columns come column by column, in one vector. */
SEXP ffi_model_score(SEXP learner, SEXP state, SEXP recipe, SEXP frames, SEXP what,
                     SEXP unseen) {
  const struct r_family *family = r_family_get(learner);
  const struct r_frames *in = r_frames_get(frames);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(family, &b));
  struct rfl_err err = {0};
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code) code = r_state_read(b, state, &err);
  if (!code)
    code = rfl_workspace_new(b->recipe, RFL_FOR_SCORING,
                             (enum rfl_unseen)r_number(unseen), &b->ws, &err);
  r_finish(code, &err);
  struct scoring s = {.n = (size_t)r_frames_rows(in), .what = (int)r_number(what)};
  s.width = b->learner->width(b->state, s.what);
  const char *names[] = {"scores", "counts", ""};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(out, 0, Rf_allocVector(REALSXP, (R_xlen_t)(s.n * s.width)));
  s.out = REAL(VECTOR_ELT(out, 0));
  s.chunk = r_scratch((size_t)s.width * (s.n < SCORED ? s.n : SCORED), sizeof *s.chunk);
  for (size_t k = 0; !code && k < r_frames_count(in); k++) {
    struct rfl_frame *frame = NULL;
    code = r_frames_take(in, k, &frame, &err);
    if (!code) code = score_frame(b, frame, &s, &err);
    rfl_frame_release(frame);
  }
  r_finish(code, &err);
  SET_VECTOR_ELT(out, 1, r_counts(rfl_workspace_count(b->ws)));
  r_handle_close(bench);
  UNPROTECT(2);
  return out;
}

/* ---- the model matrix ---- */

struct matrix { /* n used rows by p columns; x NULL: only counting */
  double *x, *chunk;
  int *row;
  size_t n, p, done, before; /* before: rows of the frames so far */
};

static enum rfl_code expand_frame(const struct r_bench *b, struct rfl_frame *frame,
                                  struct matrix *m, struct rfl_err *err) {
  const struct rfl_layout *layout = rfl_recipe_layout(b->recipe);
  for (uint32_t at = 0; at < frame->n_rows; at += CHUNK) {
    if (!r_go_on(NULL)) return RFL_EHOST;
    uint32_t left = frame->n_rows - at;
    struct rfl_rows rows = {.frame = frame, .row = at, .n = left < CHUNK ? left : CHUNK};
    struct rfl_block block = {0};
    RFL_TRY(rfl_recipe_apply(b->recipe, &rows, b->ws, &block, err));
    if (m->x) {
      rfl_design_expand(layout, &block, m->chunk);
      for (size_t j = 0; j < m->p; j++)
        memcpy(m->x + j * m->n + m->done, m->chunk + j * block.n, block.n * sizeof *m->x);
      for (size_t i = 0; i < block.n; i++)
        m->row[m->done + i] = (int)(m->before + (block.row ? block.row[i] : at + i) + 1);
    }
    m->done += block.n;
  }
  m->before += frame->n_rows;
  return RFL_OK;
}

static enum rfl_code expand_all(const struct r_bench *b, const struct r_frames *in,
                                struct matrix *m, struct rfl_err *err) {
  m->done = m->before = 0;
  enum rfl_code code = RFL_OK;
  for (size_t k = 0; !code && k < r_frames_count(in); k++) {
    struct rfl_frame *frame = NULL;
    code = r_frames_take(in, k, &frame, err);
    if (!code) code = expand_frame(b, frame, m, err);
    rfl_frame_release(frame);
  }
  return code;
}

/* list(x =, row = row numbers of the complete rows, n = rows in all, counts =). */
SEXP ffi_recipe_matrix(SEXP recipe, SEXP frames, SEXP unseen) {
  const struct r_frames *in = r_frames_get(frames);
  enum rfl_unseen policy = (enum rfl_unseen)r_number(unseen);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(NULL, &b));
  struct rfl_err err = {0};
  struct matrix m = {0};
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code) code = rfl_workspace_new(b->recipe, RFL_FOR_SCORING, policy, &b->ws, &err);
  if (!code) code = expand_all(b, in, &m, &err);
  r_finish(code, &err);
  struct rfl_count counts = *rfl_workspace_count(b->ws);
  const char *names[] = {"x", "row", "n", "counts", ""};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  m.n = m.done;
  m.p = (size_t)rfl_recipe_layout(b->recipe)->n_x;
  SET_VECTOR_ELT(out, 0, Rf_allocMatrix(REALSXP, (int)m.n, (int)m.p));
  SET_VECTOR_ELT(out, 1, Rf_allocVector(INTSXP, (R_xlen_t)m.n));
  SET_VECTOR_ELT(out, 2, Rf_ScalarReal(r_frames_rows(in)));
  SET_VECTOR_ELT(out, 3, r_counts(&counts));
  m.x = REAL(VECTOR_ELT(out, 0));
  m.row = INTEGER(VECTOR_ELT(out, 1));
  m.chunk = r_scratch(m.p * (m.n < CHUNK ? m.n : CHUNK), sizeof *m.chunk);
  r_finish(expand_all(b, in, &m, &err), &err);
  r_handle_close(bench);
  UNPROTECT(2);
  return out;
}

/* ---- update ---- */

struct learning {
  double keep; /* a row */
  uint64_t versions;
};

static enum rfl_code learn_frame(struct r_bench *b, struct rfl_frame *frame, bool last,
                                 struct learning *l, struct rfl_err *err) {
  uint32_t row = 0;
  do {
    if (!r_go_on(NULL)) return RFL_EHOST;
    uint32_t left = frame->n_rows - row, n = left < CHUNK ? left : CHUNK;
    struct rfl_rows rows = {.frame = frame, .row = row, .n = n};
    struct rfl_block block = {0};
    RFL_TRY(rfl_recipe_apply(b->recipe, &rows, b->ws, &block, err));
    row += n;
    bool flush = last && row == frame->n_rows;
    RFL_TRY(rfl_learn_rows(b->learner, b->state, &block, b->pending, l->keep, flush,
                           &l->versions, err));
  } while (row < frame->n_rows);
  return RFL_OK;
}

SEXP ffi_model_learn(SEXP learner, SEXP state, SEXP recipe, SEXP frames, SEXP options) {
  const struct r_family *family = r_family_get(learner);
  const struct r_frames *in = r_frames_get(frames);
  uint32_t cell = (uint32_t)r_number(r_get(options, "block"));
  enum rfl_unseen unseen = (enum rfl_unseen)r_number(r_get(options, "unseen"));
  struct learning l = {.keep = r_number(r_get(options, "keep"))};
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(family, &b));
  struct rfl_err err = {0};
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code) code = r_state_read(b, state, &err);
  if (!code) code = rfl_workspace_new(b->recipe, RFL_FOR_LEARNING, unseen, &b->ws, &err);
  if (!code && family->learner->merge)
    code = rfl_gather_new(rfl_recipe_layout(b->recipe), cell, 0, &b->pending, &err);
  size_t n = r_frames_count(in);
  for (size_t k = 0; !code && k < n; k++) {
    struct rfl_frame *frame = NULL;
    code = r_frames_take(in, k, &frame, &err);
    if (!code) code = learn_frame(b, frame, k + 1 == n, &l, &err);
    rfl_frame_release(frame);
  }
  r_finish(code, &err);
  const char *names[] = {"state", "counts", ""};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(out, 0, r_state_write(b, b->state));
  SET_VECTOR_ELT(out, 1, r_counts(rfl_workspace_count(b->ws)));
  r_handle_close(bench);
  UNPROTECT(2);
  return out;
}
