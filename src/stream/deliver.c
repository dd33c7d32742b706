/* From held frames to done.
 *
 * Without a unit: put* -> flush -> save. The save is the commit: what is put before it
 * may be put again after a crash, what it covers is neither put nor learnt again.
 *
 * With a unit: [save] -> begin -> put* -> flush -> commit(cursor, fence, mark) -> keep.
 * The save only prepares: it counts once a commit names it. What the unit answers:
 *
 *     EABORT    abort, then the same held frames again: the state has learnt their rows,
 *               so nothing is rewound
 *     EUNSURE   recover() tells the last batch that was committed: this one, or again
 *     EFENCED   somebody else holds the name: the loop ends and writes nothing
 *
 * A commit that cannot succeed any more, because the source has lost a place meanwhile,
 * is only told by the source: while a commit is tried again it is asked, and frames that
 * come are the beginning of the next batch. */
#include <string.h>

#include "base/mem.h"
#include "stream/loop.h"

/* ---- sinks ---- */

static enum rfl_code put_held(struct rfl_loop *l, struct rfl_sink *sink,
                              struct rfl_err *err) {
  for (size_t i = 0; i < l->held.n; i++) {
    enum rfl_code code;
    int tries = 0;
    do {
      code = sink->put(sink, l->number, l->held.frame[i], err);
    } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
    if (code) return code;
  }
  return RFL_OK;
}

static enum rfl_code flush(struct rfl_loop *l, struct rfl_sink *sink,
                           struct rfl_tally *failed, struct rfl_err *err) {
  enum rfl_code code;
  int tries = 0;
  do {
    struct rfl_tally here = {0};
    code = sink->flush(sink, rfl_loop_until(l), &here, err);
    if (!code) rfl_tally_add(failed, &here);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  return code;
}

/* To the sinks that are bound to the unit, or to those that are not. */
static enum rfl_code put_to(struct rfl_loop *l, bool bound, struct rfl_tally *failed,
                            struct rfl_err *err) {
  const struct rfl_query_spec *spec = l->spec;
  for (size_t i = 0; i < spec->n_sinks; i++)
    if ((spec->sink[i]->unit != NULL) == bound) RFL_TRY(put_held(l, spec->sink[i], err));
  for (size_t i = 0; i < spec->n_sinks; i++)
    if ((spec->sink[i]->unit != NULL) == bound)
      RFL_TRY(flush(l, spec->sink[i], failed, err));
  return RFL_OK;
}

/* For lag tools only: that it fails changes nothing. */
static void tell_source(struct rfl_loop *l) {
  if (l->spec->source->ack) {
    struct rfl_err ignored;
    (void)l->spec->source->ack(l->spec->source, &l->cursor, &ignored);
  }
}

/* Rows that a sink has given up are not passed over: the query stops before their
 * position is saved or committed, so that they are read again. */
static enum rfl_code refuse_failed(struct rfl_loop *l, const struct rfl_tally *failed,
                                   struct rfl_err *err) {
  if (!failed->failed) return RFL_OK;
  pthread_mutex_lock(&l->control->lock);
  l->control->status.tally.failed += failed->failed;
  pthread_mutex_unlock(&l->control->lock);
  return rfl_fail(
      err, RFL_EBROKER,
      "%llu rows of batch %llu could not be delivered (%s). Nothing after the "
      "last saved position is lost: it is read again at the next start.",
      (unsigned long long)failed->failed, (unsigned long long)l->number,
      failed->first_bad);
}

/* ---- when to save ---- */

static bool due(const struct rfl_loop *l, bool last) {
  const struct rfl_query_spec *spec = l->spec;
  if (!spec->store || (spec->unit && !l->stateful)) return false;
  if (last || l->grew || l->n_plan >= RFL_PLAN_MAX) return true;
  if (spec->unit && !l->durable[0]) return true; /* a mark must name one */
  return rfl_now_ns() - l->saved_ns >= spec->save_every_ns;
}

/* The checkpoint is the one to come back to from now on. */
static void name_checkpoint(struct rfl_loop *l, const char *name) {
  if (strcmp(l->named, name) == 0) return;
  memcpy(l->before, l->named, sizeof l->before);
  memcpy(l->named, name, sizeof l->named);
}

enum rfl_code rfl_save_plain(struct rfl_loop *l, struct rfl_err *err) {
  char name[64];
  RFL_TRY(rfl_save(l, name, err));
  name_checkpoint(l, name);
  l->grew = l->dirty = false;
  return rfl_keep(l, err);
}

/* ---- without a unit ---- */

static enum rfl_code deliver_plain(struct rfl_loop *l, bool last, struct rfl_err *err) {
  struct rfl_tally failed = {0};
  l->dirty = true;
  bool save = due(l, last);
#if defined(RFL_SEED_BUG) && RFL_SEED_BUG == 5
  if (save) RFL_TRY(rfl_save_plain(l, err)); /* before it put: a crash in between loses */
  save = false;
#endif
  RFL_TRY(put_to(l, false, &failed, err));
  RFL_TRY(refuse_failed(l, &failed, err));
  if (save) RFL_TRY(rfl_save_plain(l, err));
  tell_source(l);
  return RFL_OK;
}

/* ---- with one ---- */

enum rfl_code rfl_recover(struct rfl_loop *l, struct rfl_cursor *gives,
                          struct rfl_mark *gives_mark, struct rfl_err *err) {
  enum rfl_code code;
  int tries = 0;
  do {
    code = l->spec->unit->recover(l->spec->unit, gives, gives_mark, err);
  } while ((code == RFL_EAGAIN || code == RFL_EABORT || code == RFL_EUNSURE) &&
           rfl_loop_patient(l, &tries));
  return code;
}

static enum rfl_code begin(struct rfl_loop *l, struct rfl_err *err) {
  enum rfl_code code;
  int tries = 0;
  do {
    code = l->spec->unit->begin(l->spec->unit, err);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  return code;
}

static enum rfl_code abort_unit(struct rfl_loop *l, struct rfl_err *err) {
  enum rfl_code code;
  int tries = 0;
  do {
    code = l->spec->unit->abort(l->spec->unit, err);
  } while ((code == RFL_EAGAIN || code == RFL_EABORT) && rfl_loop_patient(l, &tries));
  return code;
}

static enum rfl_code commit(struct rfl_loop *l, const struct rfl_mark *mark,
                            struct rfl_err *err) {
  struct rfl_unit *unit = l->spec->unit;
  struct rfl_source *source = l->spec->source;
  struct rfl_buf token = {0};
  enum rfl_code code;
  int tries = 0;
  do {
    rfl_buf_clear(&token);
    code = RFL_OK;
    if (source->fence) code = source->fence(source, &token, err);
    struct rfl_bytes fence = {.p = token.p, .n = token.n};
    if (!code) code = unit->commit(unit, &l->cursor, fence, mark, rfl_loop_until(l), err);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  rfl_buf_release(&token);
  return code;
}

/* One try of the atomic step. A store that is bound to the unit saves within it. */
static enum rfl_code attempt(struct rfl_loop *l, bool save, struct rfl_mark *mark,
                             struct rfl_tally *failed, struct rfl_err *err) {
  *failed = (struct rfl_tally){0};
  RFL_TRY(begin(l, err));
  RFL_TRY(put_to(l, true, failed, err));
  RFL_TRY(refuse_failed(l, failed, err));
  if (save) {
    RFL_TRY(rfl_save(l, mark->checkpoint, err));
    mark->n_plan = 0;
  }
  return commit(l, mark, err);
}

static enum rfl_code ask_whether_done(struct rfl_loop *l, bool *done,
                                      struct rfl_err *err) {
  struct rfl_cursor cursor = {0};
  struct rfl_mark mark = {0};
  RFL_TRY(rfl_recover(l, &cursor, &mark, err));
  *done = mark.batch >= l->number;
  rfl_cursor_release(&cursor);
  rfl_mark_release(&mark);
  return RFL_OK;
}

/* Whether the source has something to say that a commit waits for. */
static enum rfl_code look_ahead(struct rfl_loop *l, bool *gone, struct rfl_err *err) {
  struct rfl_source *source = l->spec->source;
  if (!source->change) return RFL_OK;
  if (l->seen) { /* it has said it; until that is settled it is not asked for more */
    *gone = l->event == RFL_BORDER && source->change(source)->gone;
    return RFL_OK;
  }
  struct rfl_want want = {.max_rows = l->max_rows, .until_ns = rfl_now_ns()};
  struct rfl_frame *frame = NULL;
  enum rfl_event event = RFL_IDLE;
  enum rfl_code code = source->next(source, &want, &event, &frame, err);
  if (code == RFL_EAGAIN) return RFL_OK;
  if (code) return code;
  if (event == RFL_ROWS) return rfl_batch_add(&l->batch, frame, err);
  l->seen = event == RFL_BORDER || event == RFL_END;
  l->event = event;
  *gone = event == RFL_BORDER && source->change(source)->gone;
  return RFL_OK;
}

/* The loop ends here: a step that is left open would hold up readers until it times out.
 * Not when fenced: the name is somebody else's. */
static void leave_step(struct rfl_loop *l, enum rfl_code code) {
  struct rfl_err ignored;
  if (code != RFL_EFENCED) (void)l->spec->unit->abort(l->spec->unit, &ignored);
}

/* Until the batch is committed, or cannot be any more. */
static enum rfl_code commit_held(struct rfl_loop *l, bool save, struct rfl_mark *mark,
                                 bool *gone, struct rfl_err *err) {
  struct rfl_tally failed;
  int tries = 0;
  for (;;) {
    enum rfl_code code = attempt(l, save, mark, &failed, err);
    bool done = !code;
    if (code == RFL_EABORT) code = abort_unit(l, err);
    if (code == RFL_EUNSURE) code = ask_whether_done(l, &done, err);
    if (code) {
      leave_step(l, code);
      return code;
    }
    if (done) break;
    if (tries) RFL_TRY(look_ahead(l, gone, err));
    if (*gone) return RFL_OK;
    if (!rfl_loop_patient(l, &tries)) return RFL_EAGAIN;
  }
  return RFL_OK;
}

static enum rfl_code deliver_unit(struct rfl_loop *l, bool last, bool *gone,
                                  struct rfl_err *err) {
  struct rfl_tally failed = {0};
  RFL_TRY(put_to(l, false, &failed, err));
  RFL_TRY(refuse_failed(l, &failed, err));
  bool save = due(l, last), bound = l->spec->store && l->spec->store->unit;
  if (l->stateful) RFL_TRY(rfl_plan_add(l, &l->cursor, err));
  if (save && !bound) {
    RFL_TRY(rfl_save(l, l->durable, err));
    rfl_plan_clear(l);
  }
  struct rfl_mark mark = {.batch = l->number, .n_plan = l->n_plan, .plan = l->plan};
  memcpy(mark.checkpoint, l->durable, sizeof mark.checkpoint);
  RFL_TRY(commit_held(l, save && bound, &mark, gone, err));
  if (*gone) return RFL_OK;
  if (save) {
    memcpy(l->durable, mark.checkpoint, sizeof l->durable);
    rfl_plan_clear(l);
    l->grew = false;
    rfl_buf_release(&l->initial);
  }
  l->dirty = false;
  tell_source(l);
  if (!l->stateful || strcmp(l->named, l->durable) == 0) return RFL_OK;
  name_checkpoint(l, l->durable);
  return rfl_keep(l, err);
}

enum rfl_code rfl_deliver(struct rfl_loop *l, bool last, bool *gone,
                          struct rfl_err *err) {
  int64_t from = rfl_now_ns();
  *gone = false;
  l->progress.save_ms = 0;
  enum rfl_code code =
      l->spec->unit ? deliver_unit(l, last, gone, err) : deliver_plain(l, last, err);
  l->progress.put_ms = (double)(rfl_now_ns() - from) / RFL_MS - l->progress.save_ms;
  rfl_batch_release(&l->held);
  return code;
}
