/* Where a run begins.
 *
 * Without a unit the newest checkpoint is the truth: its state, its cursor A, go on.
 *
 * With a unit the commit is. It tells B and a mark; the mark names a checkpoint that ends
 * at A <= B and holds the plan of the batches between, which the sinks have got already:
 *
 *     positions   ....A==========|===========|=====B.....
 *                     load       learn       learn  score, learn, put from here
 *                     mark.checkpoint        mark.plan
 *
 * The planned cursors are the borders of those batches; learnt one by one in the order of
 * places and positions they give the state that scored at B, to the bit. Places that are
 * in B only (lost since, somebody else's now) are held still at B meanwhile, and are not
 * committed again unless something of them comes.
 *
 * A place that appears in a batch, or goes at a border, makes a checkpoint due before the
 * next commit (`grew`): so a plan never spans a change of places, and no place has to be
 * found again "as declared" once something of it was committed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "stream/loop.h"

/* ---- the plan ---- */

void rfl_plan_clear(struct rfl_loop *l) {
  for (size_t i = 0; i < l->n_plan; i++) rfl_cursor_release(&l->plan[i]);
  rfl_free(l->plan);
  l->plan = NULL;
  l->n_plan = 0;
}

enum rfl_code rfl_plan_add(struct rfl_loop *l, const struct rfl_cursor *end,
                           struct rfl_err *err) {
  struct rfl_cursor *more = rfl_grow(l->plan, l->n_plan + 1, sizeof *more);
  if (!more) return rfl_no_memory(err);
  l->plan = more;
  RFL_TRY(rfl_cursor_copy(end, &more[l->n_plan], err));
  l->n_plan++;
  return RFL_OK;
}

/* ---- the source ---- */

static enum rfl_code start(struct rfl_loop *l, const struct rfl_cursor *from,
                           struct rfl_err *err) {
  enum rfl_code code;
  int tries = 0;
  do {
    code = l->spec->source->start(l->spec->source, from, err);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  return code;
}

static enum rfl_code settle(struct rfl_loop *l, const struct rfl_cursor *at,
                            struct rfl_err *err) {
  enum rfl_code code;
  int tries = 0;
  do {
    code = l->spec->source->settle(l->spec->source, at, err);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  return code;
}

/* ---- learning again what was committed ---- */

/* Reads the planned batch. *border: the source changed its places meanwhile. */
static enum rfl_code read_upto(struct rfl_loop *l, const struct rfl_cursor *upto,
                               bool *border, struct rfl_err *err) {
  struct rfl_source *source = l->spec->source;
  for (;;) {
    if (rfl_loop_stopping(l)) return RFL_EAGAIN;
    struct rfl_want want = {
        .max_rows = l->max_rows, .until_ns = rfl_loop_until(l), .upto = upto};
    struct rfl_frame *frame = NULL;
    enum rfl_event event = RFL_IDLE;
    enum rfl_code code = source->next(source, &want, &event, &frame, err);
    if (code == RFL_EAGAIN) continue;
    if (code) return code;
    if (event == RFL_UPTO) return RFL_OK;
    if (event == RFL_ROWS) RFL_TRY(rfl_batch_add(&l->batch, frame, err));
    *border = event == RFL_BORDER;
    if (*border) return RFL_OK;
    if (event == RFL_END)
      return rfl_fail(err, RFL_ELOSS,
                      "The input ended before the positions of the last commit: its "
                      "records cannot be learnt again.");
  }
}

/* A batch whose end is the end before it gave nothing but what the steps held back. */
static enum rfl_code learn_upto(struct rfl_loop *l, const struct rfl_cursor *end,
                                const struct rfl_cursor *committed, bool *border,
                                struct rfl_err *err) {
  struct rfl_cursor upto = {0}, cursor = {0};
  bool ended = rfl_cursor_equal(end, &l->cursor);
  enum rfl_code code = rfl_cursor_copy(end, &upto, err);
  if (!code) code = rfl_cursor_copy(end, &cursor, err);
  if (!code) code = rfl_cursor_fill(&upto, committed, err);
  if (!code) code = read_upto(l, &upto, border, err);
  if (!code && !*border) code = rfl_process(l, ended, true, err);
  rfl_cursor_release(&upto);
  if (code || *border) {
    rfl_cursor_release(&cursor);
    return code;
  }
  rfl_cursor_release(&l->cursor);
  l->cursor = cursor;
  l->number++;
  return RFL_OK;
}

static void note_counts(struct rfl_loop *l, const struct rfl_count *from) {
  const struct rfl_count *now = rfl_workspace_count(l->learn_ws);
  l->before_run.missing += now->missing - from->missing;
  l->before_run.unseen += now->unseen - from->unseen;
}

static enum rfl_code start_filled(struct rfl_loop *l, const struct rfl_cursor *committed,
                                  struct rfl_err *err) {
  struct rfl_cursor from = {0};
  RFL_TRY(rfl_cursor_copy(&l->cursor, &from, err));
  enum rfl_code code = rfl_cursor_fill(&from, committed, err);
  if (!code) code = start(l, &from, err);
  rfl_cursor_release(&from);
  return code;
}

/* Whether the commit says of every place of this query what the plan says. */
static bool agrees(const struct rfl_loop *l, const struct rfl_cursor *committed) {
  for (size_t i = 0; i < l->cursor.n; i++) {
    const struct rfl_place *p = &l->cursor.place[i];
    const struct rfl_place *c = rfl_cursor_find(committed, p->stream, p->shard);
    if (!c || c->next != p->next) return false;
  }
  return true;
}

static enum rfl_code learn_plan(struct rfl_loop *l, const struct rfl_cursor *committed,
                                const struct rfl_mark *mark, bool *border,
                                struct rfl_err *err) {
  RFL_TRY(start_filled(l, committed, err));
  struct rfl_count from = {0};
  if (l->learn_ws) from = *rfl_workspace_count(l->learn_ws);
  *border = false;
  for (size_t i = 0; i < mark->n_plan && !*border; i++)
    RFL_TRY(learn_upto(l, &mark->plan[i], committed, border, err));
  if (l->learn_ws) note_counts(l, &from);
  if (*border) return RFL_OK;
  if (l->number == mark->batch && agrees(l, committed)) return RFL_OK;
  return rfl_fail(err, RFL_EDATA,
                  "The committed positions are not those of the last batch of this "
                  "query (was the group reset?): its model cannot be continued from "
                  "them.");
}

/* ---- with a unit ---- */

/* Nothing was committed yet: the model is as it was given. It is remembered until a
 * commit names a checkpoint, since a lost place may call for it. */
static enum rfl_code begin_first(struct rfl_loop *l, bool again,
                                 struct rfl_cursor *committed, struct rfl_err *err) {
  if (l->stateful && again && l->initial.n) {
    struct rfl_bytes initial = {.p = l->initial.p, .n = l->initial.n};
    RFL_TRY(rfl_read_state(l, initial, err));
  }
  l->number = 0;
  if (l->stateful && !l->initial.n) RFL_TRY(rfl_write_state(l, &l->initial, err));
  rfl_cursor_release(&l->cursor);
  l->cursor = *committed;
  *committed = (struct rfl_cursor){0};
  return start(l, l->cursor.n ? &l->cursor : NULL, err);
}

static enum rfl_code begin_stateless(struct rfl_loop *l, struct rfl_cursor *committed,
                                     uint64_t batch, struct rfl_err *err) {
  rfl_cursor_release(&l->cursor);
  l->cursor = *committed;
  *committed = (struct rfl_cursor){0};
  l->number = batch;
  return start(l, &l->cursor, err);
}

static enum rfl_code begin_at_mark(struct rfl_loop *l, bool again,
                                   const struct rfl_cursor *committed,
                                   const struct rfl_mark *mark, struct rfl_err *err) {
  if (!mark->checkpoint[0])
    return rfl_fail(err, RFL_ECONFIG,
                    "The last commit under this name was made by a query that learns "
                    "nothing: choose another name.");
  bool border = true, found = false;
  while (border) {
    RFL_TRY(rfl_load(l, mark->checkpoint, !again, &found, err));
    if (!found)
      return rfl_fail(err, RFL_EDATA,
                      "The last commit names the checkpoint %s, which is not there.",
                      mark->checkpoint);
    RFL_TRY(learn_plan(l, committed, mark, &border, err));
    if (border) RFL_TRY(settle(l, committed, err));
    rfl_batch_release(&l->batch);
    again = true;
  }
  memcpy(l->durable, mark->checkpoint, sizeof l->durable);
  if (strcmp(l->named, l->durable) != 0) {
    memcpy(l->named, l->durable, sizeof l->named);
    l->before[0] = 0;
  }
  return RFL_OK;
}

static enum rfl_code restart_unit(struct rfl_loop *l, bool again, struct rfl_err *err) {
  struct rfl_cursor committed = {0};
  struct rfl_mark mark = {0};
  RFL_TRY(rfl_recover(l, &committed, &mark, err));
  enum rfl_code code;
  bool resumed = mark.batch > 0;
  if (!mark.batch) {
    code = begin_first(l, again, &committed, err);
  } else if (!l->stateful) {
    code = begin_stateless(l, &committed, mark.batch, err);
  } else {
    code = begin_at_mark(l, again, &committed, &mark, err);
    if (!code) { /* the next mark goes on with this plan */
      l->plan = mark.plan;
      l->n_plan = mark.n_plan;
      mark.plan = NULL;
      mark.n_plan = 0;
    }
  }
  rfl_cursor_release(&committed);
  rfl_mark_release(&mark);
  if (code) return code;
  pthread_mutex_lock(&l->control->lock);
  l->control->status.resumed = resumed;
  pthread_mutex_unlock(&l->control->lock);
  return RFL_OK;
}

/* ---- without one ---- */

/* Where a source begins is found out once: "latest" is another place after a crash, and
 * the records between would be lost. So it is saved before the first one is read. */
static enum rfl_code save_beginning(struct rfl_loop *l, struct rfl_err *err) {
  struct rfl_source *source = l->spec->source;
  if (!l->spec->store || !source->where) return RFL_OK;
  struct rfl_cursor at = {0};
  RFL_TRY(source->where(source, &at, err));
  rfl_cursor_release(&l->cursor);
  l->cursor = at;
  return rfl_save_plain(l, err);
}

static enum rfl_code restart_plain(struct rfl_loop *l, struct rfl_err *err) {
  bool found = false;
  if (l->spec->store) RFL_TRY(rfl_load(l, NULL, true, &found, err));
  RFL_TRY(start(l, found ? &l->cursor : NULL, err));
  if (!found) RFL_TRY(save_beginning(l, err));
  pthread_mutex_lock(&l->control->lock);
  l->control->status.resumed = found;
  pthread_mutex_unlock(&l->control->lock);
  return RFL_OK;
}

/* Names of checkpoints must not meet those of another run, nor of this one before it was
 * restarted: time, process, address and count make them differ. */
static void name_instance(struct rfl_loop *l) {
  uint64_t salt[] = {(uint64_t)rfl_wall_us(), (uint64_t)rfl_now_ns(), (uint64_t)getpid(),
                     (uint64_t)(uintptr_t)l, l->restarts++};
  snprintf(l->instance, sizeof l->instance, "%016llx",
           (unsigned long long)rfl_hash(0, salt, sizeof salt));
}

enum rfl_code rfl_restart(struct rfl_loop *l, bool again, struct rfl_err *err) {
  name_instance(l);
  rfl_batch_release(&l->batch);
  rfl_batch_release(&l->held);
  rfl_plan_clear(l);
  l->seen = l->grew = l->dirty = false;
  RFL_TRY(l->spec->unit ? restart_unit(l, again, err) : restart_plain(l, err));
  l->saved_ns = rfl_now_ns();
  if (!again && l->spec->learn) l->learnt_before = rfl_live_learnt(l->spec->learn);
  return RFL_OK;
}

/* ---- borders ---- */

static enum rfl_code without(const struct rfl_cursor *from, const struct rfl_cursor *lost,
                             struct rfl_cursor *gives, struct rfl_err *err) {
  struct rfl_cursor left = {0};
  for (size_t i = 0; i < from->n; i++) {
    const struct rfl_place *p = &from->place[i];
    if (rfl_cursor_find(lost, p->stream, p->shard)) continue;
    enum rfl_code code = rfl_cursor_set(&left, p->stream, p->shard, p->next, err);
    if (code) {
      rfl_cursor_release(&left);
      return code;
    }
  }
  *gives = left;
  return RFL_OK;
}

/* Where gained places begin: where the last commit of whoever had them left them. */
static enum rfl_code known_positions(struct rfl_loop *l, struct rfl_cursor *gives,
                                     struct rfl_err *err) {
  struct rfl_cursor committed = {0};
  struct rfl_mark mark = {0};
  if (l->spec->unit) RFL_TRY(rfl_recover(l, &committed, &mark, err));
  rfl_mark_release(&mark);
  enum rfl_code code = rfl_cursor_fill(&committed, &l->cursor, err);
  if (code) {
    rfl_cursor_release(&committed);
    return code;
  }
  *gives = committed;
  return RFL_OK;
}

/* What the places that went had given is dropped or done; the loop goes on with those
 * that stay. Without a unit it remembers where lost ones were: nobody else can tell. */
static enum rfl_code settle_border(struct rfl_loop *l, const struct rfl_cursor *known,
                                   struct rfl_err *err) {
  const struct rfl_change *change = l->spec->source->change(l->spec->source);
  struct rfl_cursor left = {0};
  if (l->spec->unit) {
    RFL_TRY(without(&l->cursor, &change->lost, &left, err));
    for (size_t i = 0; i < change->gained.n; i++) {
      const struct rfl_place *p = &change->gained.place[i];
      const struct rfl_place *at = rfl_cursor_find(known, p->stream, p->shard);
      enum rfl_code code =
          at ? rfl_cursor_set(&left, p->stream, p->shard, at->next, err) : RFL_OK;
      if (code) {
        rfl_cursor_release(&left);
        return code;
      }
    }
    rfl_cursor_release(&l->cursor);
    l->cursor = left;
  }
  l->grew = true;
  return settle(l, known, err);
}

enum rfl_code rfl_border(struct rfl_loop *l, struct rfl_err *err) {
  bool gone = l->spec->source->change(l->spec->source)->gone;
  struct rfl_cursor known = {0};
  enum rfl_code code;
  if (gone) { /* of what is held nothing was committed */
    rfl_batch_release(&l->batch);
    rfl_batch_release(&l->held);
  } else if (!l->spec->unit && l->spec->store && l->dirty) {
    RFL_TRY(rfl_save_plain(l, err));
  }
  RFL_TRY(known_positions(l, &known, err));
  if (!gone)
    code = settle_border(l, &known, err);
  else
    code = settle(l, &known, err);
  l->seen = false;
  if (!code && gone && !l->spec->unit) code = start(l, &known, err);
  rfl_cursor_release(&known);
  if (!code && gone && l->spec->unit) code = rfl_restart(l, true, err);
  return code;
}
