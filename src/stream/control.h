/* What other threads see of a loop, and the one thing that they tell it: to stop. For the
 * loop and the query only. */
#ifndef RFL_STREAM_CONTROL_H
#define RFL_STREAM_CONTROL_H
#include <pthread.h>

#include "stream/query.h"

struct rfl_control {
  pthread_mutex_t lock; /* guards everything below */
  pthread_cond_t changed;
  bool stop, ended;
  int64_t stop_ns; /* when stop was asked for */
  struct rfl_query_status status;
  struct rfl_progress *log; /* a ring of the newest batches */
  size_t log_n, log_cap, log_next;
};
void rfl_control_init(struct rfl_control *);
void rfl_control_release(struct rfl_control *);
enum rfl_code rfl_control_log(struct rfl_control *, struct rfl_progress *takes,
                              struct rfl_err *) RFL_CHECKED;
/* The newest n batches, oldest first: a copy. */
enum rfl_code rfl_control_read_log(struct rfl_control *, size_t n,
                                   struct rfl_progress **gives, size_t *gives_n,
                                   struct rfl_err *) RFL_CHECKED;

#endif
