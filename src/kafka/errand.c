#include "kafka/errand.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

struct rfl_errand_seat { /* shared by the two threads; the last of them frees it */
  struct rfl_errand errand;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool done, left; /* lock */
};

void rfl_errand_seat_release(struct rfl_errand_seat *r) {
  if (!r) return;
  pthread_cond_destroy(&r->changed);
  pthread_mutex_destroy(&r->lock);
  rfl_free(r);
}

static void *go(void *arg) {
  struct rfl_errand_seat *r = arg;
  r->errand.run(r->errand.arg);
  pthread_mutex_lock(&r->lock);
  r->done = true;
  bool left = r->left;
  pthread_cond_signal(&r->changed);
  pthread_mutex_unlock(&r->lock);
  if (left) {
    r->errand.drop(r->errand.arg);
    rfl_errand_seat_release(r);
  }
  return NULL;
}

enum rfl_code rfl_errand_seat_new(struct rfl_errand_seat **gives, struct rfl_err *err) {
  struct rfl_errand_seat *r = rfl_alloc(1, sizeof *r);
  if (!r) return rfl_no_memory(err);
  if (pthread_mutex_init(&r->lock, NULL)) {
    rfl_free(r);
    return rfl_no_memory(err);
  }
  if (rfl_cond_init(&r->changed)) {
    pthread_mutex_destroy(&r->lock);
    rfl_free(r);
    return rfl_no_memory(err);
  }
  *gives = r;
  return RFL_OK;
}

/* Returns with the lock held. */
static enum rfl_code wait_done(struct rfl_errand_seat *r, int64_t until_ns,
                               const struct rfl_patience *patience) {
  pthread_mutex_lock(&r->lock);
  while (!r->done) {
    int64_t now = rfl_now_ns(), slice = now + 100 * (int64_t)RFL_MS;
    if (now >= until_ns) return RFL_EAGAIN;
    rfl_cond_wait_until(&r->changed, &r->lock, slice < until_ns ? slice : until_ns);
    if (r->done || !patience || !patience->go_on) continue;
    pthread_mutex_unlock(&r->lock);
    enum rfl_code code = patience->go_on(patience->data);
    pthread_mutex_lock(&r->lock);
    if (code && !r->done) return code;
  }
  return RFL_OK;
}

enum rfl_code rfl_errand_go_seated(struct rfl_errand_seat *r, const struct rfl_errand *e,
                                   int64_t until_ns, const struct rfl_patience *patience,
                                   struct rfl_err *err) {
  pthread_t thread;
  r->errand = *e;
  enum rfl_code code = rfl_thread_start(&thread, go, r, err);
  if (code) {
    rfl_errand_seat_release(r);
    e->drop(e->arg);
    return code;
  }
  code = wait_done(r, until_ns, patience);
  r->left = code != RFL_OK;
  pthread_mutex_unlock(&r->lock);
  if (code) {
    rfl_thread_leave(thread);
    return code;
  }
  pthread_join(thread, NULL);
  rfl_errand_seat_release(r);
  return RFL_OK;
}

enum rfl_code rfl_errand_go(const struct rfl_errand *e, int64_t until_ns,
                            const struct rfl_patience *patience, struct rfl_err *err) {
  struct rfl_errand_seat *seat = NULL;
  enum rfl_code code = rfl_errand_seat_new(&seat, err);
  if (code) {
    e->drop(e->arg);
    return code;
  }
  return rfl_errand_go_seated(seat, e, until_ns, patience, err);
}
