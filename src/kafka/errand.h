/* Errands: a call that blocks, made on a thread of its own, so that whoever needs the
 * answer waits in slices, may ask between them whether to go on, and may leave.
 *
 *     struct rfl_errand e = {.run = ask, .drop = free_question, .arg = question};
 *     RFL_TRY(rfl_errand_go(&e, until_ns, &patience, err));   // question answered: ours
 * again
 *
 * librdkafka's questions (metadata, offsets) and its destroy (which may hang in a name
 * look-up) block for seconds and cannot be cancelled. An errand that was left behind ends
 * by itself and drops what it held. */
#ifndef RFL_KAFKA_ERRAND_H
#define RFL_KAFKA_ERRAND_H
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct rfl_errand {
  void (*run)(void *arg);  /* on the errand's thread */
  void (*drop)(void *arg); /* frees arg; by the errand when it was left behind */
  void *arg;
};
struct rfl_patience { /* asked every 100 ms on the caller's thread; not RFL_OK: leave with
                         it */
  enum rfl_code (*go_on)(void *data);
  void *data;
};
/* RFL_OK: run() has returned and arg is the caller's again. RFL_EAGAIN (time is up),
 * go_on()'s code, RFL_ENOMEM: arg was dropped, or will be once run() returns; `err` is
 * only written for RFL_ENOMEM. */
enum rfl_code rfl_errand_go(const struct rfl_errand *, int64_t until_ns,
                            const struct rfl_patience *, struct rfl_err *) RFL_CHECKED;

/* The memory of an errand that must not fail for want of it: made beforehand, used up by
 * going (whatever comes of it), or released unused. */
struct rfl_errand_seat;
enum rfl_code rfl_errand_seat_new(struct rfl_errand_seat **gives,
                                  struct rfl_err *) RFL_CHECKED;
void rfl_errand_seat_release(struct rfl_errand_seat *);
enum rfl_code rfl_errand_go_seated(struct rfl_errand_seat *takes,
                                   const struct rfl_errand *, int64_t until_ns,
                                   const struct rfl_patience *,
                                   struct rfl_err *) RFL_CHECKED;

#endif
