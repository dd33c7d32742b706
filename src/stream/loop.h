/* What the files of the loop share; nobody else includes this.
 *
 *     batch.c     the frames of one batch and where they end
 *     emit.c      scored rows: the frames that the sinks get
 *     process.c   steps -> score, then learn: from a batch to held frames
 *     deliver.c   held frames -> sinks, the unit's protocol
 *     save.c      checkpoints: their parts, written and read
 *     restart.c   where a run begins: recover, load, learn again what was committed
 *     loop.c      the order of it all
 *     control.c   what other threads see of it
 *     query.c     the thread around it
 *
 * Threads: struct rfl_loop belongs to the thread that runs it; struct rfl_control is what
 * it shares with everybody else, under its lock. */
#ifndef RFL_STREAM_LOOP_H
#define RFL_STREAM_LOOP_H
#include "base/clock.h"
#include "stream/control.h"
#include "stream/emit.h"
#include "stream/judge.h"
#include "stream/query.h"

/* ---- batch.c ---- */
struct rfl_batch { /* frames in the order in which they came; each kept */
  struct rfl_frame **frame;
  size_t n, cap;
  uint64_t rows;
};
/* Takes the frame, also on failure. */
enum rfl_code rfl_batch_add(struct rfl_batch *, struct rfl_frame *takes,
                            struct rfl_err *) RFL_CHECKED;
void rfl_batch_release(struct rfl_batch *); /* back to empty */
/* Moves the cursor to the ends of the batch's spans. *grew: places that it did not have.
 */
enum rfl_code rfl_batch_advance(const struct rfl_batch *, struct rfl_cursor *, bool *grew,
                                struct rfl_err *) RFL_CHECKED;
/* Adds the places of `from` that `to` lacks. */
enum rfl_code rfl_cursor_fill(struct rfl_cursor *to, const struct rfl_cursor *from,
                              struct rfl_err *) RFL_CHECKED;

/* ---- the loop ---- */
enum { RFL_PLAN_MAX = 256 }; /* batches after a checkpoint that a mark has room for */

struct rfl_loop {
  const struct rfl_query_spec *spec;
  struct rfl_control *control;
  const char *writer; /* under which `learn` is claimed */
  bool stateful;      /* there is a model or a step whose state must be kept */
  uint32_t max_rows;  /* of a batch */
  char instance[17];  /* of this run: in the names of its checkpoints */
  uint64_t restarts;
  bool running; /* the first restart is behind it */
  struct rfl_workspace *score_ws, *learn_ws;
  struct rfl_emit *emit;
  struct rfl_judge *judge; /* NULL: nothing is judged */

  struct rfl_batch batch; /* being collected */
  bool seen;            /* the source has told a border that is not settled yet, or ... */
  enum rfl_event event; /* ... something while a commit was tried again: this. It counts
                           after the frames in `batch` */
  struct rfl_batch held; /* what the batch in work gives to the sinks */

  uint64_t number;          /* of the batch in work, or the last one */
  struct rfl_cursor cursor; /* everything up to here was taken */
  bool grew;                /* places came or went since the last save */
  bool dirty;               /* batches were put since the last save */
  int64_t saved_ns;
  char named[64], before[64]; /* the checkpoint that the last commit names (without a
                                 unit: the last save), and the one before it */

  char durable[64];        /* with a unit: the newest checkpoint, and ... */
  struct rfl_cursor *plan; /* ... the ends of the batches after it */
  size_t n_plan;
  struct rfl_buf initial; /* the model before the first commit, to go back to */

  uint64_t learnt_before; /* rows the model had taken before this run */
  struct rfl_count
      before_run; /* what the learning workspace counted while learning again */
  struct rfl_progress progress; /* of the batch in work, and ... */
  uint64_t scored, unscored;    /* ... what it adds to the status once it is delivered */
  struct rfl_tally tally;
  int64_t newest_us; /* the newest record's timestamp, INT64_MIN: unknown */
  int64_t pace_ns;   /* when the next batch may begin */
};

bool rfl_loop_stopping(struct rfl_loop *);
/* Whether to call again what answered RFL_EAGAIN: not once stop's time is up. Waits
 * longer from the second time on; *tries begins at 0. */
bool rfl_loop_patient(struct rfl_loop *, int *tries);
int64_t rfl_loop_until(struct rfl_loop *); /* for calls that wait: a short while */
/* Sleeps until then; wakes up when stop is asked for. */
void rfl_loop_sleep(struct rfl_loop *, int64_t until_ns);

/* process.c: empties the batch. end: the source's END. replay: learn without scoring. */
enum rfl_code rfl_process(struct rfl_loop *, bool end, bool replay,
                          struct rfl_err *) RFL_CHECKED;

/* deliver.c: last: nothing follows, so a checkpoint is due. *gone: a place was lost
 * before the batch could be committed; nothing was. */
enum rfl_code rfl_deliver(struct rfl_loop *, bool last, bool *gone,
                          struct rfl_err *) RFL_CHECKED;
/* Without a unit: saves, and drops what is older than the save before. */
enum rfl_code rfl_save_plain(struct rfl_loop *, struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_recover(struct rfl_loop *, struct rfl_cursor *gives,
                          struct rfl_mark *gives_mark, struct rfl_err *) RFL_CHECKED;

/* save.c */
enum rfl_code rfl_save(struct rfl_loop *, char name[64], struct rfl_err *) RFL_CHECKED;
/* Loads the checkpoint (NULL: the newest) into model and steps, number and cursor.
 * *found: there was one. fresh: the model must not have learnt anything else. */
enum rfl_code rfl_load(struct rfl_loop *, const char *name, bool fresh, bool *found,
                       struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_keep(struct rfl_loop *, struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_write_state(struct rfl_loop *, struct rfl_buf *,
                              struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_read_state(struct rfl_loop *, struct rfl_bytes,
                             struct rfl_err *) RFL_CHECKED;

/* restart.c: again: in the same run, after a place was lost. */
enum rfl_code rfl_restart(struct rfl_loop *, bool again, struct rfl_err *) RFL_CHECKED;
/* BORDER: what is held is committed (or dropped when gone); settles. */
enum rfl_code rfl_border(struct rfl_loop *, struct rfl_err *) RFL_CHECKED;
void rfl_plan_clear(struct rfl_loop *);
enum rfl_code rfl_plan_add(struct rfl_loop *, const struct rfl_cursor *,
                           struct rfl_err *) RFL_CHECKED;

/* loop.c */
enum rfl_code rfl_check_spec(const struct rfl_query_spec *, struct rfl_err *) RFL_CHECKED;
/* From its start to its end; the outcome is in the control's status. The caller has
 * claimed `learn`; it is given back before the end is told. */
void rfl_loop_run(const struct rfl_query_spec *, struct rfl_control *);

#endif
