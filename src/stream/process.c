/* One batch from frames to results. The model is entered once for all of its frames, so
 * that one version scores them all; it learns after that, in the order of places and
 * positions. Steps are fed in that order too: what they do must not depend on the cut of
 * frames either. */
#include <string.h>

#include "base/mem.h"
#include "frame/order.h"
#include "stream/fit.h"
#include "stream/loop.h"

/* ---- steps ---- */

/* Through the steps from the i-th on; what comes out at the end is added to `out`. Takes
 * the frame. */
static enum rfl_code pass_on(struct rfl_loop *l, size_t i, struct rfl_frame *takes,
                             struct rfl_batch *out, struct rfl_err *err) {
  struct rfl_frame *frame = takes;
  for (; frame && i < l->spec->n_steps; i++) {
    struct rfl_step *step = l->spec->step[i];
    struct rfl_frame *next = NULL;
    enum rfl_code code = step->put(step, 0, frame, &next, err);
    rfl_frame_release(frame);
    if (code) return code;
    frame = next;
  }
  return frame ? rfl_batch_add(out, frame, err) : RFL_OK;
}

/* Rows whose time has come at the border of the batch. */
static enum rfl_code pass_border(struct rfl_loop *l, bool end, struct rfl_batch *out,
                                 struct rfl_err *err) {
  for (size_t i = 0; i < l->spec->n_steps; i++) {
    struct rfl_step *step = l->spec->step[i];
    if (!step->border) continue;
    struct rfl_frame *frame = NULL;
    RFL_TRY(step->border(step, end, &frame, err));
    if (frame) RFL_TRY(pass_on(l, i + 1, frame, out, err));
  }
  return RFL_OK;
}

static enum rfl_code run_steps(struct rfl_loop *l, bool end, struct rfl_batch *out,
                               struct rfl_err *err) {
  struct rfl_rows *rows = NULL;
  size_t n = 0;
  RFL_TRY(rfl_order(l->batch.frame, l->batch.n, &rows, &n, err));
  enum rfl_code code = RFL_OK;
  for (size_t i = 0; !code && i < n; i++) {
    struct rfl_frame *slice = NULL;
    code = rfl_frame_gather(&rows[i], 1, &slice, err);
    if (!code) code = pass_on(l, 0, slice, out, err);
  }
  rfl_free(rows);
  if (!code) code = pass_border(l, end, out, err);
  return code;
}

/* ---- score ---- */

static enum rfl_code fit_emit(struct rfl_loop *l, struct rfl_schema *from, uint32_t width,
                              struct rfl_err *err) {
  if (l->emit && rfl_emit_fits(l->emit, from) && rfl_emit_width(l->emit) == width)
    return RFL_OK;
  struct rfl_emit *e = NULL;
  RFL_TRY(rfl_emit_new(l->spec, from, width, &e, err));
  rfl_emit_release(l->emit);
  l->emit = e;
  return RFL_OK;
}

static enum rfl_code score_frame(struct rfl_loop *l, const struct rfl_state *state,
                                 uint64_t version, struct rfl_frame *frame,
                                 struct rfl_err *err) {
  const struct rfl_score_spec *s = &l->spec->score;
  const struct rfl_learner *learner = rfl_live_learner(s->live);
  uint32_t width = learner->width(state, s->what);
  RFL_TRY(fit_emit(l, frame->schema, width, err));
  double *score = rfl_alloc((size_t)width * frame->n_rows, sizeof *score);
  if (!score) return rfl_no_memory(err);
  struct rfl_rows rows = {.frame = frame, .row = 0, .n = frame->n_rows};
  enum rfl_code code = rfl_score_rows(learner, state, rfl_live_recipe(s->live),
                                      l->score_ws, &rows, s->what, score, err);
  if (!code && l->judge) code = rfl_judge_rows(l->judge, &rows, score, err);
  if (code) {
    rfl_free(score);
    return code;
  }
  struct rfl_frame *out = NULL;
  uint64_t missing = 0;
  RFL_TRY(rfl_emit_frame(l->emit, frame, score, version, &out, &missing, err));
  l->unscored += missing;
  l->scored += frame->n_rows - missing;
  return rfl_batch_add(&l->held, out, err);
}

static enum rfl_code score_batch(struct rfl_loop *l, const struct rfl_batch *from,
                                 struct rfl_err *err) {
  uint64_t version;
  const struct rfl_state *state = rfl_live_enter(l->spec->score.live, &version);
  enum rfl_code code = RFL_OK;
  for (size_t i = 0; !code && i < from->n; i++)
    if (from->frame[i]->n_rows)
      code = score_frame(l, state, version, from->frame[i], err);
  rfl_live_leave(l->spec->score.live);
  l->progress.version = version;
  return code;
}

/* Without scoring the sinks get the frames as they are. */
static enum rfl_code hold_batch(struct rfl_loop *l, const struct rfl_batch *from,
                                struct rfl_err *err) {
  for (size_t i = 0; i < from->n; i++)
    if (from->frame[i]->n_rows)
      RFL_TRY(rfl_batch_add(&l->held, rfl_frame_keep(from->frame[i]), err));
  return RFL_OK;
}

/* ---- learn ---- */

static enum rfl_code learn_batch(struct rfl_loop *l, const struct rfl_batch *from,
                                 struct rfl_err *err) {
  struct rfl_rows *rows = NULL;
  size_t n = 0;
  RFL_TRY(rfl_order(from->frame, from->n, &rows, &n, err));
  enum rfl_code code = RFL_OK;
  for (size_t i = 0; !code && i < n; i++)
    code = rfl_live_learn(l->spec->learn, l->writer, &rows[i], l->learn_ws, err);
  rfl_free(rows);
  return code;
}

/* ---- all of it ---- */

static double ms_since(int64_t *from_ns) {
  int64_t now = rfl_now_ns(), from = *from_ns;
  *from_ns = now;
  return (double)(now - from) / RFL_MS;
}

static void find_newest(struct rfl_loop *l) {
  l->newest_us = INT64_MIN;
  for (size_t i = 0; i < l->batch.n; i++) {
    const struct rfl_frame *f = l->batch.frame[i];
    for (size_t c = 0; c < f->schema->n; c++) {
      if (f->schema->field[c].meta != RFL_META_TIMESTAMP) continue;
      const struct rfl_column *time = &f->column[c];
      for (size_t row = 0; row < f->n_rows; row++)
        if (rfl_column_has(time, row) && time->i64[row] > l->newest_us)
          l->newest_us = time->i64[row];
    }
  }
}

static void count_batch(struct rfl_loop *l) {
  l->progress.rows = l->batch.rows;
  l->scored = l->unscored = 0;
  l->tally = (struct rfl_tally){0};
  for (size_t i = 0; i < l->batch.n; i++)
    rfl_tally_add(&l->tally, &l->batch.frame[i]->tally);
}

static enum rfl_code score_and_learn(struct rfl_loop *l, const struct rfl_batch *from,
                                     bool replay, struct rfl_err *err) {
  int64_t at = rfl_now_ns();
  if (!replay && l->spec->score.live)
    RFL_TRY(score_batch(l, from, err));
  else if (!replay)
    RFL_TRY(hold_batch(l, from, err));
  l->progress.score_ms = ms_since(&at);
  if (l->spec->learn) RFL_TRY(learn_batch(l, from, err));
  l->progress.learn_ms = ms_since(&at);
  return RFL_OK;
}

enum rfl_code rfl_process(struct rfl_loop *l, bool end, bool replay,
                          struct rfl_err *err) {
  if (!replay) {
    find_newest(l);
    count_batch(l);
  }
  enum rfl_code code;
  if (l->spec->n_steps) {
    struct rfl_batch out = {0};
    code = run_steps(l, end, &out, err);
    if (!code) code = score_and_learn(l, &out, replay, err);
    rfl_batch_release(&out);
  } else {
    code = score_and_learn(l, &l->batch, replay, err);
  }
  if (!code) code = rfl_batch_advance(&l->batch, &l->cursor, &l->grew, err);
  rfl_batch_release(&l->batch);
  return code;
}
