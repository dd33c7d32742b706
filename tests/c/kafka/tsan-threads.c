/* librdkafka makes its threads and locks by C11's <threads.h>, which the thread sanitizer
 * does not know: a thread that thrd_create() made has no place in it and crashes at its
 * first intercepted call, and what mtx_lock() orders looks like a race. So under the
 * sanitizer the program brings its own <threads.h>, made of POSIX threads, which the
 * sanitizer follows: librdkafka binds to it too. */
#if defined(__SANITIZE_THREAD__)
#define RFL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RFL_TSAN 1
#endif
#endif

#ifdef RFL_TSAN
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a lock fits");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition fits");

/* Its reference counts are atomics in code that the sanitizer has not instrumented: what
 * they order is not seen. Races are looked for between our own lines only. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) { return "race:librdkafka\n"; }

struct job {
  thrd_start_t run;
  void *arg;
};

static void *start(void *arg) {
  struct job job = *(struct job *)arg;
  free(arg);
  return (void *)(intptr_t)job.run(job.arg);
}

static int told(int error) {
  return error == 0           ? thrd_success
         : error == ETIMEDOUT ? thrd_timedout
         : error == EBUSY     ? thrd_busy
                              : thrd_error;
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *arg) {
  struct job *job = malloc(sizeof *job);
  if (!job) return thrd_nomem;
  *job = (struct job){.run = run, .arg = arg};
  int error = pthread_create(thread, NULL, start, job);
  if (error) free(job);
  return told(error);
}

int thrd_join(thrd_t thread, int *gives) {
  void *result = NULL;
  int error = pthread_join(thread, &result);
  if (gives) *gives = (int)(intptr_t)result;
  return told(error);
}

static pthread_mutex_t *lock_of(mtx_t *m) { return (pthread_mutex_t *)(void *)m; }
static pthread_cond_t *cond_of(cnd_t *c) { return (pthread_cond_t *)(void *)c; }

int mtx_init(mtx_t *m, int type) {
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  if (type & mtx_recursive) pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
  int error = pthread_mutex_init(lock_of(m), &attr);
  pthread_mutexattr_destroy(&attr);
  return told(error);
}
int mtx_lock(mtx_t *m) { return told(pthread_mutex_lock(lock_of(m))); }
int mtx_unlock(mtx_t *m) { return told(pthread_mutex_unlock(lock_of(m))); }
void mtx_destroy(mtx_t *m) { pthread_mutex_destroy(lock_of(m)); }

int cnd_init(cnd_t *c) { return told(pthread_cond_init(cond_of(c), NULL)); }
int cnd_signal(cnd_t *c) { return told(pthread_cond_signal(cond_of(c))); }
int cnd_broadcast(cnd_t *c) { return told(pthread_cond_broadcast(cond_of(c))); }
int cnd_wait(cnd_t *c, mtx_t *m) {
  return told(pthread_cond_wait(cond_of(c), lock_of(m)));
}
int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m,
                  const struct timespec *restrict until) {
  return told(pthread_cond_timedwait(cond_of(c), lock_of(m), until));
}
void cnd_destroy(cnd_t *c) { pthread_cond_destroy(cond_of(c)); }
#else
typedef int rfl_nothing_to_see_here; /* an empty file is not C */
#endif
