/* Threads of our own: started with all signals blocked and 4 MB of stack, and a pool that
 * runs numbered tasks.
 *
 *     struct rfl_pool *pool;
 *     RFL_TRY(rfl_pool_new(2, &pool, err));
 *     rfl_pool_run(pool, n_cells, absorb_cell, &job);  // returns when all are done
 *     rfl_pool_release(pool);
 *
 * Which thread runs which task is not defined: results must depend on the task's number
 * only. In a forked child a pool is dropped, not joined, and runs its tasks on the
 * caller. */
#ifndef RFL_BASE_THREAD_H
#define RFL_BASE_THREAD_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum rfl_code rfl_thread_start(pthread_t *gives, void *(*run)(void *), void *arg,
                               struct rfl_err *) RFL_CHECKED;
/* Leaves a thread behind that hangs: it ends by itself, nobody knows when. From then on
 * rfl_thread_left() is true for ever, and the library must stay loaded, since the code
 * that the thread runs is in it. */
void rfl_thread_leave(pthread_t);
bool rfl_thread_left(void);

/* Wait on `cond` (made by rfl_cond_init: monotonic clock) until `until_ns`; false once
 * that has passed. */
int rfl_cond_init(pthread_cond_t *);
bool rfl_cond_wait_until(pthread_cond_t *, pthread_mutex_t *, int64_t until_ns);

struct rfl_pool;
enum rfl_code rfl_pool_new(int threads, struct rfl_pool **gives, struct rfl_err *)
    RFL_CHECKED;                               /* threads >= 1, the caller included */
int rfl_pool_threads(const struct rfl_pool *); /* NULL: 1 */
/* task(ctx, k, slot) for k in [0, n): slot in [0, threads) is this thread's own, for its
 * scratch. NULL pool: on the caller. Not from within a task of the same pool. */
void rfl_pool_run(struct rfl_pool *, size_t n,
                  void (*task)(void *ctx, size_t k, int slot), void *ctx);
void rfl_pool_release(struct rfl_pool *);

#endif
