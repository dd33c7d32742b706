/* The loop of a query, over the ends of frame/flow.h.
 *
 *     restart -> { collect -> process -> deliver -> border? }* -> finish
 *
 * collect   what has come: until max_batch rows are there, or the source is idle with
 * rows in hand, or a border, the end or stop cuts the batch process   steps -> score (one
 * version for all rows) -> learn, by place and position deliver   put -> flush -> save,
 * or the unit's atomic step (deliver.c) finish    a last checkpoint, so that the next run
 * begins where this one ended
 *
 * Why a record is scored, put and learnt once (restart.c, deliver.c): positions, results
 * and the name of the state that they belong to are committed in one step, and everything
 * else can be made again from what that step names. A crash loses only what was not
 * committed; and what was not committed nobody has seen.
 *
 * Stop. It is asked for by another thread and noticed wherever the loop waits; every wait
 * is cut into slices. The batch in hand is finished and a checkpoint made while drain_ns
 * lasts; after that what still answers RFL_EAGAIN is given up: nothing is lost by it, its
 * rows are read again. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "stream/loop.h"

enum {
  SLICE_MS = 100,         /* no wait is longer: how soon stop is noticed */
  FIRST_PAUSE_NS = 20000, /* between calls that answered RFL_EAGAIN; doubles up to ... */
  LONGEST_PAUSE_NS = 50000000,
  PACED_BATCHES = 10 /* a second, so that a paced stream looks smooth */
};

/* ---- waiting ---- */

bool rfl_loop_stopping(struct rfl_loop *l) {
  pthread_mutex_lock(&l->control->lock);
  bool stop = l->control->stop;
  pthread_mutex_unlock(&l->control->lock);
  return stop;
}

static int64_t deadline(struct rfl_loop *l) {
  pthread_mutex_lock(&l->control->lock);
  int64_t at = INT64_MAX;
  if (l->control->stop) at = l->control->stop_ns + l->spec->drain_ns;
  pthread_mutex_unlock(&l->control->lock);
  return at;
}

int64_t rfl_loop_until(struct rfl_loop *l) {
  int64_t slice = rfl_now_ns() + (int64_t)SLICE_MS * RFL_MS, last = deadline(l);
  return slice < last ? slice : last;
}

void rfl_loop_sleep(struct rfl_loop *l, int64_t until_ns) {
  struct rfl_control *c = l->control;
  pthread_mutex_lock(&c->lock);
  bool stop = c->stop;
  while (c->stop == stop && rfl_cond_wait_until(&c->changed, &c->lock, until_ns)) {
  }
  pthread_mutex_unlock(&c->lock);
}

bool rfl_loop_patient(struct rfl_loop *l, int *tries) {
  if (rfl_now_ns() >= deadline(l)) return false;
  if (*tries > 0) {
    int64_t pause = *tries < 20 ? (int64_t)FIRST_PAUSE_NS << *tries : LONGEST_PAUSE_NS;
    if (pause > LONGEST_PAUSE_NS) pause = LONGEST_PAUSE_NS;
    rfl_loop_sleep(l, rfl_now_ns() + pause);
  }
  ++*tries;
  return true;
}

/* ---- collect ---- */

/* Asks the source once; *cut: the batch ends here, with *event. */
static enum rfl_code ask(struct rfl_loop *l, bool *cut, enum rfl_event *event,
                         struct rfl_err *err) {
  int64_t now = rfl_now_ns();
  struct rfl_want want = {
      .max_rows = l->max_rows - (uint32_t)l->batch.rows,
      .until_ns = l->batch.n ? now : now + (int64_t)SLICE_MS * RFL_MS};
  struct rfl_frame *frame = NULL;
  RFL_TRY(l->spec->source->next(l->spec->source, &want, event, &frame, err));
  *cut = *event != RFL_ROWS;
  return *cut ? RFL_OK : rfl_batch_add(&l->batch, frame, err);
}

static enum rfl_code collect(struct rfl_loop *l, enum rfl_event *event,
                             struct rfl_err *err) {
  int64_t from = 0;
  int tries = 0;
  *event = RFL_IDLE;
  for (bool cut = false; !cut;) {
    if (l->batch.n && !from) from = rfl_now_ns();
    if (l->batch.rows >= l->max_rows) break;
    if (l->seen) { /* while a commit was tried again */
      *event = l->event;
      l->seen = false;
      break;
    }
    if (rfl_loop_stopping(l)) break;
    enum rfl_code code = ask(l, &cut, event, err);
    if (code == RFL_EAGAIN && rfl_loop_patient(l, &tries)) continue;
    if (code) return code;
  }
  l->progress = (struct rfl_progress){0};
  if (from) l->progress.read_ms = (double)(rfl_now_ns() - from) / RFL_MS;
  return RFL_OK;
}

/* ---- what is told ---- */

static void tell_model(struct rfl_loop *l, struct rfl_query_status *s) {
  struct rfl_live *live = l->spec->learn ? l->spec->learn : l->spec->score.live;
  if (live) s->version = rfl_live_version(live);
  const struct rfl_workspace *ws = l->learn_ws ? l->learn_ws : l->score_ws;
  if (ws) {
    const struct rfl_count *count = rfl_workspace_count(ws);
    s->missing = count->missing - l->before_run.missing;
    s->unseen = count->unseen - l->before_run.unseen;
  }
  if (!l->spec->learn) return;
  s->pending = rfl_live_pending(l->spec->learn);
  s->learnt = rfl_live_learnt(l->spec->learn) - l->learnt_before;
}

/* One batch was delivered. */
static enum rfl_code tell(struct rfl_loop *l, struct rfl_err *err) {
  struct rfl_progress p = l->progress;
  p.batch = l->number;
  p.at_us = rfl_wall_us();
  bool known = l->newest_us != INT64_MIN;
  p.latency_ms = known ? (double)(p.at_us - l->newest_us) / 1000 : NAN;
  RFL_TRY(rfl_cursor_copy(&l->cursor, &p.end, err));
  pthread_mutex_lock(&l->control->lock);
  struct rfl_query_status *s = &l->control->status;
  s->batches++;
  s->rows += p.rows;
  s->scored += l->scored;
  s->unscored += l->unscored;
  rfl_tally_add(&s->tally, &l->tally);
  s->last_batch_us = p.at_us;
  tell_model(l, s);
  if (l->judge) rfl_judge_result(l->judge, &s->judged);
  enum rfl_code code = rfl_control_log(l->control, &p, err);
  pthread_cond_broadcast(&l->control->changed);
  pthread_mutex_unlock(&l->control->lock);
  if (code) rfl_cursor_release(&p.end);
  return code;
}

static void tell_running(struct rfl_loop *l) {
  l->running = true;
  pthread_mutex_lock(&l->control->lock);
  if (!l->control->stop) l->control->status.phase = RFL_QUERY_RUNNING;
  tell_model(l, &l->control->status);
  pthread_cond_broadcast(&l->control->changed);
  pthread_mutex_unlock(&l->control->lock);
}

/* ---- the loop ---- */

static enum rfl_code take(struct rfl_loop *l, bool end, bool last, bool *gone,
                          struct rfl_err *err) {
  l->number++;
  RFL_TRY(rfl_process(l, end, false, err));
  RFL_TRY(rfl_deliver(l, last, gone, err));
  return *gone ? RFL_OK : tell(l, err);
}

/* A batch's share of a second must pass before the next one; what was not used up while
 * nothing came is not made up for. */
static void keep_pace(struct rfl_loop *l) {
  if (!l->spec->pace) return;
  int64_t now = rfl_now_ns(), share = (int64_t)RFL_SECOND / PACED_BATCHES;
  if (l->pace_ns < now - share) l->pace_ns = now - share;
  l->pace_ns += (int64_t)((double)l->progress.rows * RFL_SECOND / (double)l->spec->pace);
  if (l->pace_ns > now) rfl_loop_sleep(l, l->pace_ns);
}

/* Without a unit what is not saved is put again after a crash: a quiet stream saves too.
 */
static enum rfl_code save_when_idle(struct rfl_loop *l, struct rfl_err *err) {
  const struct rfl_query_spec *spec = l->spec;
  if (spec->unit || !spec->store || !l->dirty) return RFL_OK;
  if (rfl_now_ns() - l->saved_ns < spec->save_every_ns) return RFL_OK;
  return rfl_save_plain(l, err);
}

/* With a unit a checkpoint counts once a commit names it: one without rows does. */
static enum rfl_code finish(struct rfl_loop *l, struct rfl_err *err) {
  const struct rfl_query_spec *spec = l->spec;
  if (!spec->unit) return spec->store && l->dirty ? rfl_save_plain(l, err) : RFL_OK;
  if (!l->stateful || !l->n_plan) return RFL_OK;
  bool gone = false;
  l->number++;
  l->scored = l->unscored = 0;
  l->tally = (struct rfl_tally){0};
  return rfl_deliver(l, true, &gone, err);
}

/* One round: a batch when there is one, and the border behind it. */
static enum rfl_code round_of(struct rfl_loop *l, bool *last, bool *ended,
                              struct rfl_err *err) {
  enum rfl_event event = RFL_IDLE;
  RFL_TRY(collect(l, &event, err));
  struct rfl_source *source = l->spec->source;
  bool border = event == RFL_BORDER, gone = border && source->change(source)->gone;
  *ended = event == RFL_END;
  *last = *ended || rfl_loop_stopping(l);
  l->seen = border;
  l->event = event;
  bool some = l->batch.n || (*ended && l->spec->n_steps);
  if (!gone && some) RFL_TRY(take(l, *ended, *last && !border, &gone, err));
  if (border || gone) {
    *last = *ended = false; /* what was dropped is read again first */
    return rfl_border(l, err);
  }
  if (*last) return RFL_OK;
  if (some)
    keep_pace(l);
  else
    RFL_TRY(save_when_idle(l, err));
  return RFL_OK;
}

static enum rfl_code run(struct rfl_loop *l, bool *ended, struct rfl_err *err) {
  RFL_TRY(rfl_restart(l, false, err));
  tell_running(l);
  for (bool last = false; !last;) RFL_TRY(round_of(l, &last, ended, err));
  return finish(l, err);
}

/* ---- its beginning and end ---- */

enum rfl_code rfl_check_spec(const struct rfl_query_spec *spec, struct rfl_err *err) {
  bool stateful = spec->learn != NULL;
  for (size_t i = 0; i < spec->n_steps; i++) {
    if (spec->step[i]->n_inputs > 1)
      return rfl_fail(err, RFL_ECONFIG, "Step %zu has %u inputs: the loop feeds one.",
                      i + 1, spec->step[i]->n_inputs);
    if (spec->step[i]->write) stateful = true;
  }
  for (size_t i = 0; i < spec->n_sinks; i++)
    if (spec->sink[i]->unit && spec->sink[i]->unit != spec->unit)
      return rfl_fail(err, RFL_ECONFIG,
                      "Sink %zu commits with another unit than the query.", i + 1);
  if (spec->store && spec->store->unit && spec->store->unit != spec->unit)
    return rfl_fail(err, RFL_ECONFIG,
                    "The checkpoint commits with another unit than the query.");
  if (spec->unit && stateful && !spec->store)
    return rfl_fail(err, RFL_ECONFIG,
                    "Exactly once with a model that learns needs a `checkpoint`.");
  if (spec->pace < 0 || spec->drain_ns < 0 || spec->save_every_ns < 0)
    return rfl_fail(err, RFL_EARGUMENT, "Pace and times must not be negative.");
  return RFL_OK;
}

static enum rfl_code open_loop(struct rfl_loop *l, struct rfl_err *err) {
  const struct rfl_query_spec *spec = l->spec;
  l->writer = spec->name ? spec->name : "query";
  l->stateful = spec->learn != NULL;
  for (size_t i = 0; i < spec->n_steps; i++)
    if (spec->step[i]->write) l->stateful = true;
  l->max_rows = spec->max_batch ? spec->max_batch : 100000;
  if (spec->pace) {
    int64_t most = spec->pace / PACED_BATCHES + 1;
    if (most < l->max_rows) l->max_rows = (uint32_t)most;
  }
  if (spec->score.live)
    RFL_TRY(rfl_workspace_new(rfl_live_recipe(spec->score.live), RFL_FOR_SCORING,
                              spec->score.unseen, &l->score_ws, err));
  if (spec->learn)
    RFL_TRY(rfl_workspace_new(rfl_live_recipe(spec->learn), RFL_FOR_LEARNING,
                              spec->learn_unseen, &l->learn_ws, err));
  if (spec->learn && spec->score.live && spec->score.judged)
    RFL_TRY(rfl_judge_new(rfl_live_recipe(spec->learn), &l->judge, err));
  return RFL_OK;
}

static void close_loop(struct rfl_loop *l) {
  rfl_batch_release(&l->batch);
  rfl_batch_release(&l->held);
  rfl_cursor_release(&l->cursor);
  rfl_plan_clear(l);
  rfl_buf_release(&l->initial);
  rfl_emit_release(l->emit);
  rfl_judge_release(l->judge);
  rfl_workspace_release(l->score_ws);
  rfl_workspace_release(l->learn_ws);
}

/* Codes that steer the loop mean nothing outside of it. */
static enum rfl_code outcome(const struct rfl_loop *l, enum rfl_code code,
                             struct rfl_err *err) {
  if (code == RFL_EAGAIN && !l->running) return RFL_OK; /* stopped before it began */
  if (code == RFL_EAGAIN)
    return rfl_fail(err, RFL_ETIMEOUT,
                    "The last batch was not confirmed within the drain time; its rows "
                    "will be read again.");
  char why[sizeof err->message];
  memcpy(why, err->message, sizeof why);
  if (code == RFL_EABORT || code == RFL_EUNSURE || code == RFL_ENEED)
    return rfl_fail(err, RFL_EFATAL, "An end of the query answered out of turn: %.900s",
                    why);
  return code;
}

void rfl_loop_run(const struct rfl_query_spec *spec, struct rfl_control *control) {
  struct rfl_loop l = {.spec = spec, .control = control};
  struct rfl_err err = {0};
  bool ended = false;
  enum rfl_code code = open_loop(&l, &err);
  if (!code) code = run(&l, &ended, &err);
  code = outcome(&l, code, &err);
  if (spec->learn) rfl_live_unclaim(spec->learn, l.writer);
  pthread_mutex_lock(&control->lock);
  struct rfl_query_status *s = &control->status;
  s->phase = code ? RFL_QUERY_FAILED : ended ? RFL_QUERY_DONE : RFL_QUERY_STOPPED;
  if (code) s->error = err;
  tell_model(&l, s);
  control->ended = true;
  pthread_cond_broadcast(&control->changed);
  pthread_mutex_unlock(&control->lock);
  close_loop(&l);
}
