/* The drain: the thread that takes librdkafka's messages as fast as they come, decodes
 * them straight into columns and puts frames into the ring.
 *
 *     RFL_TRY(rfl_drain_start(&d, err));       // all fields above the line are set
 *     ... rfl_ring_take(&d->ring, ...) ...
 *     if (!rfl_drain_stop(&d)) ...             // still stuck after 10 s: leave it alone
 *
 * Invariant: while it runs, everything but the ring belongs to its thread (and whoever
 * wakes its consumer holds the ring's lock). */
#ifndef RFL_KAFKA_DRAIN_H
#define RFL_KAFKA_DRAIN_H
#include <pthread.h>

#include "kafka/consumer.h"
#include "kafka/record.h"
#include "kafka/ring.h"

struct rfl_lane {   /* a partition */
  int64_t expected; /* the next position */
  int64_t end;      /* the first position not wanted; INT64_MAX: none */
  int64_t low;      /* what the broker had when it was asked: below is gone */
  bool done;
};
struct rfl_drain {
  struct rfl_kafka *k; /* borrowed, all four */
  const char *topic;
  struct rfl_decoder *decoder;
  struct rfl_builder *builder; /* place p is partition p, named */
  struct rfl_record record;
  struct rfl_ring ring;
  int32_t n;
  struct rfl_lane *lane; /* n of them, owned */
  bool warn_on_loss;
  bool bounded;  /* silence for too long is an error */
  double most;   /* rows at most */
  size_t memory; /* three quarters for librdkafka's queue, one for the ring */
  uint32_t frame_rows;
  /* ---- its own ---- */
  struct rfl_consumer consumer; /* replaced under the ring's lock */
  bool reopen; /* some lane must go on where librdkafka does not expect it */
  pthread_t thread;
  bool running;
  bool moved;          /* the builder holds rows or positions */
  size_t taken;        /* bytes of the records in the builder */
  struct rfl_run *run; /* where the builder's rows stand */
  size_t n_runs, run_cap;
  int32_t at;      /* the partition whose run is open; -1: none is */
  uint32_t placed; /* rows before it, whose places the builder knows */
  int32_t left;    /* lanes that are not done */
  int64_t progress_ns;
  enum rfl_code code;  /* of the turn: the first thing that went wrong ... */
  struct rfl_err *err; /* ... told here */
  bool good;           /* something came that was not an error */
};
enum rfl_code rfl_drain_start(struct rfl_drain *, struct rfl_err *) RFL_CHECKED;
/* Stops the thread and closes its handle; drops what was not taken. false: it did not
 * stop within 10 s; then nothing that it uses may be touched or freed any more. */
bool rfl_drain_stop(struct rfl_drain *);
/* The reader has nothing left: rows that wait for a fuller frame follow at once. */
void rfl_drain_hurry(struct rfl_drain *);

#endif
