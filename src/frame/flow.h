/* The flow: the ends that frames move between, and the one atomic step. kafka/, store/,
 * decode/ and the glue implement them; stream/ drives them and names none of them.
 *
 * Threads    an object is used by one thread at a time, handed over only by lock or join;
 *            [any] = from any thread, any time. Nothing here calls R.
 * Ownership  pointers are borrowed for the call; "gives" = the caller releases; outputs
 *            on success only; release(NULL) is fine.
 * Time       until_ns (rfl_now_ns): past it RFL_EAGAIN, nothing lost, call again.
 *
 * A batch: source.next* -> steps -> score, then learn -> begin -> put* -> flush ->
 *     commit(cursor, fence, mark) -> keep
 * Without a unit: put* -> flush -> save(name, cursor, state); the save commits.
 * Restart with a unit: recover() = B, mark; load(mark.checkpoint) = A <= B; start(A);
 *     learn (A, B] by mark.plan WITHOUT putting; go on from B.
 *
 * The order of a batch is by place, then position (the spans of all its frames), never by
 * arrival. */
#ifndef RFL_FRAME_FLOW_H
#define RFL_FRAME_FLOW_H
#include "frame/codec.h"
#include "frame/cursor.h"

/* ---- where rows come from ---- */
struct rfl_want {
  uint32_t max_rows;
  size_t max_bytes; /* 0: no limit */
  int64_t until_ns;
  const struct rfl_cursor *upto; /* NULL: none */
};
enum rfl_event { RFL_ROWS, RFL_IDLE, RFL_UPTO, RFL_BORDER, RFL_END };
struct rfl_change {
  bool gone;
  struct rfl_cursor lost, gained;
};
struct rfl_source { /* pulled by one thread; may own threads that nobody else sees */
  /* NULL: as declared. Also rewinds: a bounded source fixes its ends at the first start
   * and keeps them. */
  enum rfl_code (*start)(struct rfl_source *, const struct rfl_cursor *from,
                         struct rfl_err *);
  /* Once started: where each place begins ("latest" came to). NULL: always the same */
  enum rfl_code (*where)(struct rfl_source *, struct rfl_cursor *gives, struct rfl_err *);
  enum rfl_code (*next)(struct rfl_source *, const struct rfl_want *, enum rfl_event *,
                        struct rfl_frame **gives, struct rfl_err *);
  /* ROWS    gives a frame whose spans go on where the place's last frame ended: what a
   *         library repeats is cut here, a hole nobody explains is RFL_ELOSS. want.upto:
   *         no row at or past it is given, and UPTO comes once every place is there.
   * IDLE    nothing within until_ns, or woken. No frame.
   * END     the fixed ends were seen as positions or end-of-partition events; rows are
   *         not counted.
   * BORDER  change() says what is taken and given; the caller commits what it holds of
   *         them (drops it if gone), then settles. */
  const struct rfl_change *(*change)(struct rfl_source *); /* NULL: never borders */
  /* Starts the gained ones at `from`. NULL: never borders */
  enum rfl_code (*settle)(struct rfl_source *, const struct rfl_cursor *from,
                          struct rfl_err *);
  /* NULL: none */
  enum rfl_code (*fence)(struct rfl_source *, struct rfl_buf *token, struct rfl_err *);
  /* NULL: none; for lag tools, truth is elsewhere */
  enum rfl_code (*ack)(struct rfl_source *, const struct rfl_cursor *, struct rfl_err *);
  void (*wake)(struct rfl_source *); /* [any] next() returns IDLE now */
  /* Bounded join of its threads; does nothing in a forked child. */
  void (*release)(struct rfl_source *);
};

/* ---- what is done on the way ---- */
struct rfl_step { /* frame -> frame, in the order written; event time only, no clock */
  uint32_t n_inputs;
  enum rfl_code (*put)(struct rfl_step *, uint32_t input, struct rfl_frame *,
                       struct rfl_frame **gives, struct rfl_err *);
  enum rfl_code (*border)(struct rfl_step *, bool end, struct rfl_frame **gives,
                          struct rfl_err *);
  /* NULL: it has no state */
  enum rfl_code (*write)(const struct rfl_step *, struct rfl_buf *, struct rfl_err *);
  enum rfl_code (*read)(struct rfl_step *, struct rfl_bytes, struct rfl_err *);
  void (*release)(struct rfl_step *);
};

/* ---- where rows go, and the one atomic step ---- */
struct rfl_mark { /* rides in the commit */
  uint64_t batch;
  char checkpoint[64];
  size_t n_plan;
  struct rfl_cursor *plan; /* ends of the batches after `checkpoint`, oldest first */
};
void rfl_mark_release(struct rfl_mark *);

/* ONE atomic step: puts of all sinks and stores bound to it + cursor + mark, or nothing
 */
struct rfl_unit {
  /* First call: fences older holders of the same name, ends what they left open, tells
   * the last committed step (cursor n = 0 and mark.batch = 0 when there is none). */
  enum rfl_code (*recover)(struct rfl_unit *, struct rfl_cursor *gives,
                           struct rfl_mark *gives_mark, struct rfl_err *);
  /* Late, with results in hand. */
  enum rfl_code (*begin)(struct rfl_unit *, struct rfl_err *);
  enum rfl_code (*commit)(struct rfl_unit *, const struct rfl_cursor *upto,
                          struct rfl_bytes fence, const struct rfl_mark *,
                          int64_t until_ns, struct rfl_err *);
  /* OK | EAGAIN call again | EABORT abort(), then begin/put/flush/commit the SAME held
   * frames and scores: the state has learnt them, the source is not rewound | EUNSURE
   * recover(); if it did not happen, the same | EFENCED somebody else holds the name:
   * stop and write nothing | EFATAL. */
  enum rfl_code (*abort)(struct rfl_unit *, struct rfl_err *);
  void (*release)(struct rfl_unit *);
};
struct rfl_sink {
  struct rfl_unit *unit; /* borrowed; NULL: at least once ... */
  bool idempotent;       /* ... unless repeating (batch, row) changes nothing */
  enum rfl_code (*put)(struct rfl_sink *, uint64_t batch, struct rfl_frame *,
                       struct rfl_err *); /* keeps a reference if it buffers */
  enum rfl_code (*flush)(struct rfl_sink *, int64_t until_ns, struct rfl_tally *failed,
                         struct rfl_err *); /* every row confirmed or named */
  void (*release)(struct rfl_sink *);
};
struct rfl_part {    /* model, pending rows, metrics, steps' states */
  char *name, *base; /* base: the checkpoint that these changes apply to; NULL: whole */
  struct rfl_bytes data;
};
void rfl_parts_release(struct rfl_part *parts, size_t n); /* what load() gave */
struct rfl_store {       /* checkpoints: named, immutable, whole or absent */
  struct rfl_unit *unit; /* bound (topic) or NULL (folder: durable when save() returns) */
  enum rfl_code (*save)(struct rfl_store *, const char *name, const struct rfl_cursor *,
                        const struct rfl_part *, size_t n, int64_t until_ns,
                        struct rfl_err *);
  /* name NULL: newest whole one. None there: RFL_OK with *n = 0 and an empty cursor. */
  enum rfl_code (*load)(struct rfl_store *, const char *name, struct rfl_cursor *gives,
                        struct rfl_part **gives_parts, size_t *n, struct rfl_err *);
  /* Drops older ones, but for bases in use. */
  enum rfl_code (*keep)(struct rfl_store *, const char *oldest, struct rfl_err *);
  void (*release)(struct rfl_store *);
};
struct rfl_spool { /* frames on local disk for later passes */
  enum rfl_code (*put)(struct rfl_spool *, struct rfl_frame *, struct rfl_err *);
  enum rfl_code (*seal)(struct rfl_spool *, size_t *n_chunks, struct rfl_err *);
  enum rfl_code (*get)(struct rfl_spool *, size_t chunk, struct rfl_frame **gives,
                       struct rfl_err *); /* [any] */
  void (*release)(struct rfl_spool *);
};

#endif
