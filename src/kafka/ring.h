/* The ring between a drain thread and the reader: a queue of frames, bounded by bytes,
 * with one writer and one reader.
 *
 *     while (rfl_ring_room(&ring, until)) rfl_ring_put(&ring, crate);   // writer
 *     rfl_ring_close(&ring, code, &why);
 *     what = rfl_ring_take(&ring, until, &crate, &why);                 // reader
 *
 * The bound is soft: put() never waits and never fails; the writer asks for room before
 * it makes more. One lock and two conditions are enough at one hand-over per thousand
 * rows. rfl_ring_wake() [any thread]. */
#ifndef RFL_KAFKA_RING_H
#define RFL_KAFKA_RING_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame/frame.h"

struct rfl_run { /* the rows from `row` on stand at `offset`, offset + 1 ... */
  uint32_t row;
  int64_t offset;
};
struct rfl_crate { /* a frame on its way */
  struct rfl_crate *next;
  struct rfl_frame *frame; /* owned */
  struct rfl_run *run;     /* by row, each as far as the next; owned */
  size_t n_runs;
  size_t bytes;
};
void rfl_crate_release(struct rfl_crate *);
/* Rows [row, row + n) of a crate as a frame of their own: their columns copied (all of
 * them: shared), the spans cut at the rows' positions. Positions without rows go with the
 * row before them, counts that belong to no row with the first piece. */
enum rfl_code rfl_crate_cut(const struct rfl_crate *, uint32_t row, uint32_t n,
                            struct rfl_frame **gives, struct rfl_err *) RFL_CHECKED;

struct rfl_ring {
  pthread_mutex_t lock; /* guards all that follows */
  pthread_cond_t filled, emptied;
  struct rfl_crate *head, *tail;
  size_t bytes, most; /* there are; the writer pauses at */
  bool woken, stopped, closed;
  enum rfl_code code; /* closed: why, RFL_OK for the end */
  struct rfl_err why;
  char trouble[512]; /* what the writer is struggling with now, or "" */
};
enum rfl_code rfl_ring_init(struct rfl_ring *, struct rfl_err *) RFL_CHECKED;
void rfl_ring_destroy(struct rfl_ring *);
/* Empty, open, not stopped: for the next writer. */
void rfl_ring_reset(struct rfl_ring *, size_t most);

/* writer */
bool rfl_ring_room(struct rfl_ring *, int64_t until_ns); /* false: full all the time, or
                                                            stopped */
bool rfl_ring_empty(struct rfl_ring *);
void rfl_ring_put(struct rfl_ring *, struct rfl_crate *takes);
void rfl_ring_close(struct rfl_ring *, enum rfl_code, const struct rfl_err *why);
bool rfl_ring_stopped(struct rfl_ring *);
void rfl_ring_say(struct rfl_ring *, const char *trouble);

/* reader */
enum rfl_took { RFL_TOOK, RFL_TOOK_LAST, RFL_TOOK_NOTHING, RFL_TOOK_CLOSED };
/* TOOK_LAST: the ring is empty now. TOOK_CLOSED: it was empty and closed; why is in the
 * ring. */
enum rfl_took rfl_ring_take(struct rfl_ring *, int64_t until_ns,
                            struct rfl_crate **gives);
void rfl_ring_wake(struct rfl_ring *);
void rfl_ring_stop(struct rfl_ring *);
bool rfl_ring_await_close(struct rfl_ring *, int64_t until_ns);

#endif
