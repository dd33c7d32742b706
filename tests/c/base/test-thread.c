#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "harness.h"

enum { TASKS = 1000, SLOTS = 4 };

struct job {
  int done[TASKS];            /* plain: a task runs once, so nobody else writes it */
  int64_t sum[SLOTS];         /* plain: a slot belongs to one thread at a time */
  atomic_int inside[SLOTS];   /* threads within a task of this slot */
  atomic_int shared, strange; /* slots met twice, or out of range */
};

static void task(void *ctx, size_t k, int slot) {
  struct job *job = ctx;
  if (slot < 0 || slot >= SLOTS || k >= TASKS) {
    atomic_fetch_add(&job->strange, 1);
    return;
  }
  if (atomic_fetch_add(&job->inside[slot], 1) != 0) atomic_fetch_add(&job->shared, 1);
  job->done[k]++;
  job->sum[slot] += (int64_t)k;
  atomic_fetch_sub(&job->inside[slot], 1);
}

static void check_job(struct rfl_pool *pool, size_t n) {
  struct job job = {0};
  rfl_pool_run(pool, n, task, &job);
  int64_t sum = 0;
  for (size_t k = 0; k < TASKS; k++) CHECK_EQ(job.done[k], k < n);
  for (int s = 0; s < SLOTS; s++) sum += job.sum[s];
  CHECK_EQ(sum, n == 0 ? 0 : (int64_t)(n * (n - 1) / 2));
  CHECK_EQ(job.shared, 0);
  CHECK_EQ(job.strange, 0);
}

TEST(every_task_runs_once_in_a_slot_of_its_own) {
  struct rfl_err err;
  for (int threads = 1; threads <= SLOTS; threads++) {
    struct rfl_pool *pool = NULL;
    CHECK_OK(rfl_pool_new(threads, &pool, &err), &err);
    CHECK_EQ(rfl_pool_threads(pool), threads);
    for (size_t n = 0; n <= TASKS; n = n * 3 + 1) check_job(pool, n);
    check_job(pool, TASKS);
    rfl_pool_release(pool);
  }
}

static void *wait_for_go(void *arg) {
  while (!atomic_load((atomic_bool *)arg)) sched_yield();
  atomic_store((atomic_bool *)arg, false);
  return NULL;
}

TEST(a_thread_that_was_left_behind_is_known) {
  struct rfl_err err;
  atomic_bool go = false;
  pthread_t thread;
  CHECK_OK(rfl_thread_start(&thread, wait_for_go, &go, &err), &err);
  CHECK(!rfl_thread_left());
  rfl_thread_leave(thread);
  CHECK(rfl_thread_left());
  atomic_store(&go, true);
  while (atomic_load(&go)) sched_yield();
  CHECK(rfl_thread_left()); /* it may not have returned yet */
}

TEST(no_pool_runs_on_the_caller) {
  CHECK_EQ(rfl_pool_threads(NULL), 1);
  check_job(NULL, TASKS);
  rfl_pool_release(NULL);
}

/* Many short jobs: late workers must not touch a job that is over, nor miss the next. */
TEST(jobs_follow_each_other_without_a_race) {
  struct rfl_err err;
  struct rfl_pool *pool = NULL;
  CHECK_OK(rfl_pool_new(SLOTS, &pool, &err), &err);
  for (int round = 0; round < 3000; round++) check_job(pool, (size_t)(round % 7));
  rfl_pool_release(pool);
}

static void meet(void *ctx, size_t k, int slot) {
  (void)k, (void)slot;
  atomic_int *here = ctx;
  atomic_fetch_add(here, 1);
  int64_t until = rfl_now_ns() + 5 * (int64_t)RFL_SECOND;
  while (atomic_load(here) < 2 && rfl_now_ns() < until) usleep(100);
}

/* Two tasks that wait for each other end only when two threads work. */
TEST(tasks_run_at_the_same_time) {
  struct rfl_err err;
  struct rfl_pool *pool = NULL;
  CHECK_OK(rfl_pool_new(2, &pool, &err), &err);
  atomic_int here = 0;
  int64_t start = rfl_now_ns();
  rfl_pool_run(pool, 2, meet, &here);
  CHECK_EQ(here, 2);
  CHECK(rfl_now_ns() - start < 4 * (int64_t)RFL_SECOND);
  rfl_pool_release(pool);
}

TEST(a_pool_nobody_used_can_be_released) {
  struct rfl_pool *pool = NULL;
  struct rfl_err err;
  for (int i = 0; i < 50; i++) {
    CHECK_OK(rfl_pool_new(3, &pool, &err), &err);
    rfl_pool_release(pool);
  }
}

TEST(a_pool_has_at_least_one_thread) {
  struct rfl_pool *pool = NULL;
  struct rfl_err err;
  CHECK_EQ(rfl_pool_new(0, &pool, &err), RFL_EARGUMENT);
  CHECK_EQ(rfl_pool_new(-1, &pool, &err), RFL_EARGUMENT);
  CHECK_EQ(rfl_pool_new(100000, &pool, &err), RFL_EARGUMENT);
  CHECK(pool == NULL);
}

/* A forked child runs the tasks itself and releases without waiting for threads that it
 * does not have. The alarm ends a child that hangs. */
TEST(a_forked_child_works_alone_and_does_not_hang) {
  struct rfl_err err;
  struct rfl_pool *pool = NULL;
  CHECK_OK(rfl_pool_new(SLOTS, &pool, &err), &err);
  check_job(pool, TASKS);
  pid_t child = fork();
  if (child == 0) {
    alarm(10);
    check_job(pool, TASKS);
    rfl_pool_release(pool);
    _exit(harness_failed_);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  check_job(pool, TASKS);
  rfl_pool_release(pool);
}

struct facts {
  bool blocked;
  size_t stack;
};

static void *look(void *arg) {
  struct facts *facts = arg;
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  facts->blocked = sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) &&
                   sigismember(&mask, SIGCHLD) && sigismember(&mask, SIGUSR1);
  /* Three of the four MB; the thread sanitizer keeps its own things in the fourth. */
  volatile char big[3 << 20];
  for (size_t i = 0; i < sizeof big; i += 1024) big[i] = 1;
  facts->stack = sizeof big;
  return NULL;
}

TEST(threads_block_signals_and_have_a_stack) {
  struct rfl_err err;
  struct facts facts = {0};
  pthread_t thread;
  CHECK_OK(rfl_thread_start(&thread, look, &facts, &err), &err);
  pthread_join(thread, NULL);
  CHECK(facts.blocked);
  CHECK_EQ(facts.stack, 3 << 20);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  CHECK(!sigismember(&mask, SIGINT)); /* the caller's mask is as it was */
}

struct mailbox {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  bool full;
};

static void *post(void *arg) {
  struct mailbox *box = arg;
  pthread_mutex_lock(&box->mutex);
  box->full = true;
  pthread_cond_signal(&box->cond);
  pthread_mutex_unlock(&box->mutex);
  return NULL;
}

TEST(a_wait_ends_at_its_time_or_with_the_news) {
  struct rfl_err err;
  struct mailbox box = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  CHECK_EQ(rfl_cond_init(&box.cond), 0);
  pthread_mutex_lock(&box.mutex);
  int64_t until = rfl_now_ns() + 20 * RFL_MS;
  while (rfl_cond_wait_until(&box.cond, &box.mutex, until)) continue;
  CHECK(rfl_now_ns() >= until);
  CHECK(!rfl_cond_wait_until(&box.cond, &box.mutex, 0));
  CHECK(!rfl_cond_wait_until(&box.cond, &box.mutex, -5));
  pthread_t thread;
  CHECK_OK(rfl_thread_start(&thread, post, &box, &err), &err);
  until = rfl_now_ns() + 10 * (int64_t)RFL_SECOND;
  while (!box.full && rfl_cond_wait_until(&box.cond, &box.mutex, until)) continue;
  CHECK(box.full && rfl_now_ns() < until);
  pthread_mutex_unlock(&box.mutex);
  pthread_join(thread, NULL);
  pthread_cond_destroy(&box.cond);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#if !defined(SANITIZED) && !defined(__APPLE__)
/* A child without room for more stacks: some of the many threads start (their stacks are
 * left over from threads before), the next does not, and the first are ended. The
 * sanitizers' own runtime would abort, so they do without this test. */
TEST(a_thread_that_does_not_start_ends_the_pool) {
  pid_t child = fork();
  if (child == 0) {
    struct rfl_err err;
    struct rfl_pool *pool = NULL;
    struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    alarm(10);
    int64_t live = rfl_mem_live();
    setrlimit(RLIMIT_AS, &none);
    CHECK_EQ(rfl_pool_new(500, &pool, &err), RFL_ENOMEM);
    CHECK(pool == NULL && strstr(err.message, "refused to start a thread"));
    CHECK_EQ(rfl_mem_live(), live);
    struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &all); /* exit() may write counts */
    exit(harness_failed_);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

static enum rfl_code make_and_use(void) {
  struct rfl_pool *pool = NULL;
  struct rfl_err err;
  RFL_TRY(rfl_pool_new(2, &pool, &err));
  check_job(pool, 10);
  rfl_pool_release(pool);
  return RFL_OK;
}

TEST(every_allocation_may_fail) { SWEEP(make_and_use()); }

int main(void) {
  RUN(every_task_runs_once_in_a_slot_of_its_own);
  RUN(a_thread_that_was_left_behind_is_known);
  RUN(no_pool_runs_on_the_caller);
  RUN(jobs_follow_each_other_without_a_race);
  RUN(tasks_run_at_the_same_time);
  RUN(a_pool_nobody_used_can_be_released);
  RUN(a_pool_has_at_least_one_thread);
  RUN(a_forked_child_works_alone_and_does_not_hang);
  RUN(threads_block_signals_and_have_a_stack);
  RUN(a_wait_ends_at_its_time_or_with_the_news);
#if !defined(SANITIZED) && !defined(__APPLE__)
  RUN(a_thread_that_does_not_start_ends_the_pool);
#endif
  RUN(every_allocation_may_fail);
  return harness_end();
}
