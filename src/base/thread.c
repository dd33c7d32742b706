/* A pool of `threads - 1` workers and the caller.
 *
 *     caller                      worker
 *     lock; job = (task, n)       wait until a job is open that it has not seen
 *     open, wake all; unlock      joined++; unlock
 *     take tasks until none       take tasks until none
 *     lock; close                 lock; joined--, wake the caller at 0
 *     wait until joined == 0      wait again
 *
 * A worker that wakes late finds the job closed and sleeps on: the caller never waits for
 * threads that did not take part. Tasks are handed out by one atomic counter. */
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { STACK_SIZE = 4 << 20 };

/* Signals are blocked before the thread exists, so that not even its first instruction
 * can be interrupted: R's handlers must run on R's thread. */
enum rfl_code rfl_thread_start(pthread_t *gives, void *(*run)(void *), void *arg,
                               struct rfl_err *err) {
  pthread_attr_t attr;
  if (pthread_attr_init(&attr) != 0) return rfl_no_memory(err);
  pthread_attr_setstacksize(&attr, STACK_SIZE);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int failed = pthread_create(&thread, &attr, run, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (failed)
    return rfl_fail(err, RFL_ENOMEM, "The system refused to start a thread (errno %d).",
                    failed);
  *gives = thread;
  return RFL_OK;
}

static atomic_bool some_left;

void rfl_thread_leave(pthread_t thread) {
  pthread_detach(thread);
  some_left = true;
}

bool rfl_thread_left(void) { return some_left; }

#if defined(__APPLE__)
int rfl_cond_init(pthread_cond_t *cond) { return pthread_cond_init(cond, NULL); }

bool rfl_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ns) {
  int64_t left = until_ns - rfl_now_ns();
  if (left <= 0) return false;
  struct timespec t = {.tv_sec = left / RFL_SECOND, .tv_nsec = left % RFL_SECOND};
  return pthread_cond_timedwait_relative_np(cond, mutex, &t) != ETIMEDOUT;
}
#else
int rfl_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  int failed = pthread_condattr_init(&attr);
  if (failed) return failed;
  failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  if (!failed) failed = pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
  return failed;
}

bool rfl_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ns) {
  if (until_ns < 0) until_ns = 0;
  struct timespec t = {.tv_sec = until_ns / RFL_SECOND, .tv_nsec = until_ns % RFL_SECOND};
  return pthread_cond_timedwait(cond, mutex, &t) != ETIMEDOUT;
}
#endif

struct job {
  void (*task)(void *ctx, size_t k, int slot);
  void *ctx;
  size_t n;
#if defined(RFL_SEED_BUG) && RFL_SEED_BUG == 4 /* a race */
  size_t next;
#else
  atomic_size_t next;
#endif
};

struct worker {
  struct rfl_pool *pool;
  pthread_t thread;
  int slot;
};

struct rfl_pool {
  pid_t pid; /* whose threads these are */
  int threads, started;
  pthread_mutex_t mutex; /* guards what follows, but job.next */
  pthread_cond_t opened, left;
  uint64_t round; /* counts jobs */
  bool open, stop;
  int joined;
  struct job job; /* written while closed and nobody has joined */
  struct worker workers[];
};

static void take_tasks(struct job *job, int slot) {
  for (;;) {
#if defined(RFL_SEED_BUG) && RFL_SEED_BUG == 4
    size_t k = job->next++;
#else
    size_t k = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
#endif
    if (k >= job->n) return;
    job->task(job->ctx, k, slot);
  }
}

static void *work(void *arg) {
  struct worker *me = arg;
  struct rfl_pool *pool = me->pool;
  uint64_t seen = 0;
  pthread_mutex_lock(&pool->mutex);
  while (!pool->stop) {
    if (!pool->open || pool->round == seen) {
      pthread_cond_wait(&pool->opened, &pool->mutex);
      continue;
    }
    seen = pool->round;
    pool->joined++;
    pthread_mutex_unlock(&pool->mutex);
    take_tasks(&pool->job, me->slot);
    pthread_mutex_lock(&pool->mutex);
    if (--pool->joined == 0) pthread_cond_signal(&pool->left);
  }
  pthread_mutex_unlock(&pool->mutex);
  return NULL;
}

static enum rfl_code start_workers(struct rfl_pool *pool, struct rfl_err *err) {
  for (; pool->started < pool->threads - 1; pool->started++) {
    struct worker *w = &pool->workers[pool->started];
    *w = (struct worker){.pool = pool, .slot = pool->started + 1};
    RFL_TRY(rfl_thread_start(&w->thread, work, w, err));
  }
  return RFL_OK;
}

enum rfl_code rfl_pool_new(int threads, struct rfl_pool **gives, struct rfl_err *err) {
  if (threads < 1 || threads > 1024)
    return rfl_fail(err, RFL_EARGUMENT, "%d threads were asked for, not 1 to 1024.",
                    threads);
  size_t size = sizeof(struct rfl_pool) + (size_t)threads * sizeof(struct worker);
  struct rfl_pool *pool = rfl_alloc(1, size);
  if (!pool) return rfl_no_memory(err);
  pool->pid = getpid();
  pool->threads = threads;
  pthread_mutex_init(&pool->mutex,
                     NULL); /* these three cannot fail with their defaults */
  pthread_cond_init(&pool->opened, NULL);
  pthread_cond_init(&pool->left, NULL);
  enum rfl_code code = start_workers(pool, err);
  if (code) {
    rfl_pool_release(pool);
    return code;
  }
  *gives = pool;
  return RFL_OK;
}

int rfl_pool_threads(const struct rfl_pool *pool) { return pool ? pool->threads : 1; }

static void run_alone(size_t n, void (*task)(void *ctx, size_t k, int slot), void *ctx) {
  for (size_t k = 0; k < n; k++) task(ctx, k, 0);
}

void rfl_pool_run(struct rfl_pool *pool, size_t n,
                  void (*task)(void *ctx, size_t k, int slot), void *ctx) {
  if (!pool || pool->threads == 1 || n <= 1 || pool->pid != getpid()) {
    run_alone(n, task, ctx);
    return;
  }
  pthread_mutex_lock(&pool->mutex);
  assert(!pool->open && pool->joined == 0);
  pool->job.task = task;
  pool->job.ctx = ctx;
  pool->job.n = n;
  pool->job.next = 0;
  pool->round++;
  pool->open = true;
  pthread_cond_broadcast(&pool->opened);
  pthread_mutex_unlock(&pool->mutex);
  take_tasks(&pool->job, 0);
  pthread_mutex_lock(&pool->mutex);
  pool->open = false;
  while (pool->joined > 0) pthread_cond_wait(&pool->left, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
}

/* A forked child has neither the threads nor a right to the locks: it frees the memory
 * only. */
void rfl_pool_release(struct rfl_pool *pool) {
  if (!pool) return;
  if (pool->pid == getpid()) {
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->opened);
    pthread_cond_destroy(&pool->left);
    pthread_mutex_destroy(&pool->mutex);
  }
  rfl_free(pool);
}
