/* Live models behind handles. */
#include <string.h>

#include "r_model.h"

enum { CHUNK = 65536 }; /* rows between two looks at Ctrl-C */
static const char writer[] = "update()";

static void release_live(void *p) { rfl_live_release(p); }
static const struct r_type live_type = {"a live model", release_live, R_ENDS};

struct rfl_live *r_live_get(SEXP handle) {
  return r_handle_get(handle, &live_type);
}

/* keep: what a row's weight becomes with every row that follows; 1: no forgetting. */
SEXP ffi_live_new(SEXP learner, SEXP state, SEXP recipe, SEXP name, SEXP block,
                  SEXP keep) {
  const struct r_family *family = r_family_get(learner);
  double kept = r_number(keep);
  SEXP handle = PROTECT(r_handle_new(&live_type, R_NilValue));
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(family, &b));
  struct rfl_err err = {0};
  struct rfl_live *live = NULL;
  enum rfl_code code = r_recipe_make(recipe, &b->recipe, &err);
  if (!code) code = r_state_read(b, state, &err);
  if (!code)
    code = rfl_live_new(family->learner, b->state, b->recipe, r_string(name),
                        (uint32_t)r_number(block), kept, &live, &err);
  if (!code) {
    b->state = NULL; /* the live model has it */
    r_handle_fill(handle, live);
  }
  r_finish(code, &err);
  r_handle_close(bench);
  UNPROTECT(2);
  return handle;
}

SEXP ffi_live_status(SEXP handle) {
  struct rfl_live *live = r_live_get(handle);
  const char *names[] = {"version", "learnt", "pending", "touched", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, Rf_ScalarReal((double)rfl_live_version(live)));
  SET_VECTOR_ELT(list, 1, Rf_ScalarReal((double)rfl_live_learnt(live)));
  SET_VECTOR_ELT(list, 2, Rf_ScalarReal((double)rfl_live_pending(live)));
  SET_VECTOR_ELT(list, 3, Rf_ScalarLogical(rfl_live_touched(live)));
  UNPROTECT(1);
  return list;
}

SEXP ffi_live_set_block(SEXP handle, SEXP block) {
  struct rfl_err err = {0};
  uint32_t rows = (uint32_t)r_number(block);
  r_finish(rfl_live_set_block(r_live_get(handle), rows, &err), &err);
  return R_NilValue;
}

/* A snapshot: the learner's bytes. */
SEXP ffi_live_state(SEXP handle) {
  struct rfl_live *live = r_live_get(handle);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(NULL, &b));
  b->learner = rfl_live_learner(live);
  struct rfl_err err = {0};
  uint64_t version;
  r_finish(rfl_live_copy(live, &b->state, &version, &err), &err);
  SEXP raw = PROTECT(r_state_write(b, b->state));
  r_handle_close(bench);
  UNPROTECT(2);
  return raw;
}

/* ---- score ---- */

static enum rfl_code score_frame(struct rfl_live *live, const struct rfl_state *state,
                                 struct rfl_frame *frame, struct rfl_workspace *ws,
                                 int what, double *out, struct rfl_err *err) {
  struct rfl_recipe *recipe = rfl_live_recipe(live);
  for (uint32_t row = 0; row < frame->n_rows; row += CHUNK) {
    if (!r_go_on(NULL)) return RFL_EHOST;
    uint32_t left = frame->n_rows - row;
    struct rfl_rows rows = {.frame = frame, .row = row, .n = left < CHUNK ? left : CHUNK};
    RFL_TRY(rfl_score_rows(rfl_live_learner(live), state, recipe, ws, &rows, what,
                           out + row, err));
  }
  return RFL_OK;
}

/* Scores of one column, all by one version, without a copy of the state: that of a large
 * table would cost more than the scores. */
SEXP ffi_live_score(SEXP handle, SEXP frames, SEXP what, SEXP unseen) {
  struct rfl_live *live = r_live_get(handle);
  const struct r_frames *in = r_frames_get(frames);
  int code_of_score = (int)r_number(what);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(NULL, &b));
  struct rfl_err err = {0};
  r_finish(rfl_workspace_new(rfl_live_recipe(live), RFL_FOR_SCORING,
                             (enum rfl_unseen)r_number(unseen), &b->ws, &err),
           &err);
  const char *names[] = {"scores", "counts", ""};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(out, 0, Rf_allocVector(REALSXP, (R_xlen_t)r_frames_rows(in)));
  double *to = REAL(VECTOR_ELT(out, 0));
  uint64_t version;
  const struct rfl_state *state = rfl_live_enter(live, &version);
  enum rfl_code code = RFL_OK;
  if (rfl_live_learner(live)->width(state, code_of_score) != 1)
    code = rfl_fail(&err, RFL_EARGUMENT, "A live model gives scores of one column.");
  for (size_t k = 0; !code && k < r_frames_count(in); k++) {
    struct rfl_frame *frame = NULL;
    code = r_frames_take(in, k, &frame, &err);
    if (!code) code = score_frame(live, state, frame, b->ws, code_of_score, to, &err);
    if (frame) to += frame->n_rows;
    rfl_frame_release(frame);
  }
  rfl_live_leave(live);
  r_finish(code, &err);
  SET_VECTOR_ELT(out, 1, r_counts(rfl_workspace_count(b->ws)));
  r_handle_close(bench);
  UNPROTECT(2);
  return out;
}

/* ---- learn ---- */

static enum rfl_code learn_frame(struct rfl_live *live, struct rfl_frame *frame,
                                 struct rfl_workspace *ws, struct rfl_err *err) {
  for (uint32_t row = 0; row < frame->n_rows; row += CHUNK) {
    if (!r_go_on(NULL)) return RFL_EHOST;
    uint32_t left = frame->n_rows - row;
    struct rfl_rows rows = {.frame = frame, .row = row, .n = left < CHUNK ? left : CHUNK};
    RFL_TRY(rfl_live_learn(live, writer, &rows, ws, err));
  }
  return RFL_OK;
}

/* An interrupt keeps what was learnt before it. */
SEXP ffi_live_learn(SEXP handle, SEXP frames, SEXP flush) {
  struct rfl_live *live = r_live_get(handle);
  const struct r_frames *in = r_frames_get(frames);
  bool rest = r_flag(flush);
  struct r_bench *b;
  SEXP bench = PROTECT(r_bench_new(NULL, &b));
  struct rfl_err err = {0};
  enum rfl_code code = rfl_workspace_new(rfl_live_recipe(live), RFL_FOR_LEARNING,
                                         RFL_UNSEEN_REFERENCE, &b->ws, &err);
  if (!code) code = rfl_live_claim(live, writer, &err);
  r_finish(code, &err);
  for (size_t k = 0; !code && k < r_frames_count(in); k++) {
    struct rfl_frame *frame = NULL;
    code = r_frames_take(in, k, &frame, &err);
    if (!code) code = learn_frame(live, frame, b->ws, &err);
    rfl_frame_release(frame);
  }
  if (!code && rest) code = rfl_live_flush(live, writer, &err);
  rfl_live_unclaim(live, writer);
  r_finish(code, &err);
  SEXP counts = PROTECT(r_counts(rfl_workspace_count(b->ws)));
  r_handle_close(bench);
  UNPROTECT(2);
  return counts;
}
