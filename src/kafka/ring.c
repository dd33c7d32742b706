#include "kafka/ring.h"

#include <string.h>

#include "base/mem.h"
#include "base/thread.h"

void rfl_crate_release(struct rfl_crate *c) {
  if (!c) return;
  rfl_frame_release(c->frame);
  rfl_free(c->run);
  rfl_free(c);
}

enum rfl_code rfl_ring_init(struct rfl_ring *r, struct rfl_err *err) {
  memset(r, 0, sizeof *r);
  if (pthread_mutex_init(&r->lock, NULL)) return rfl_no_memory(err);
  if (rfl_cond_init(&r->filled)) {
    pthread_mutex_destroy(&r->lock);
    return rfl_no_memory(err);
  }
  if (rfl_cond_init(&r->emptied)) {
    pthread_cond_destroy(&r->filled);
    pthread_mutex_destroy(&r->lock);
    return rfl_no_memory(err);
  }
  return RFL_OK;
}

static void empty(struct rfl_ring *r) {
  while (r->head) {
    struct rfl_crate *c = r->head;
    r->head = c->next;
    rfl_crate_release(c);
  }
  r->tail = NULL;
  r->bytes = 0;
}

void rfl_ring_destroy(struct rfl_ring *r) {
  empty(r);
  pthread_cond_destroy(&r->emptied);
  pthread_cond_destroy(&r->filled);
  pthread_mutex_destroy(&r->lock);
}

void rfl_ring_reset(struct rfl_ring *r, size_t most) {
  pthread_mutex_lock(&r->lock);
  empty(r);
  r->most = most;
  r->stopped = r->closed = false;
  r->code = RFL_OK;
  r->trouble[0] = '\0';
  pthread_mutex_unlock(&r->lock);
}

bool rfl_ring_room(struct rfl_ring *r, int64_t until_ns) {
  pthread_mutex_lock(&r->lock);
  bool in_time = true;
  while (in_time && !r->stopped && r->bytes >= r->most)
    in_time = rfl_cond_wait_until(&r->emptied, &r->lock, until_ns);
  bool room = !r->stopped && r->bytes < r->most;
  pthread_mutex_unlock(&r->lock);
  return room;
}

bool rfl_ring_empty(struct rfl_ring *r) {
  pthread_mutex_lock(&r->lock);
  bool is = !r->head;
  pthread_mutex_unlock(&r->lock);
  return is;
}

void rfl_ring_put(struct rfl_ring *r, struct rfl_crate *c) {
  c->next = NULL;
  pthread_mutex_lock(&r->lock);
  if (r->tail)
    r->tail->next = c;
  else
    r->head = c;
  r->tail = c;
  r->bytes += c->bytes;
  pthread_cond_signal(&r->filled);
  pthread_mutex_unlock(&r->lock);
}

void rfl_ring_close(struct rfl_ring *r, enum rfl_code code, const struct rfl_err *why) {
  pthread_mutex_lock(&r->lock);
  r->closed = true;
  r->code = code;
  r->why = *why;
  pthread_cond_signal(&r->filled);
  pthread_mutex_unlock(&r->lock);
}

bool rfl_ring_stopped(struct rfl_ring *r) {
  pthread_mutex_lock(&r->lock);
  bool stopped = r->stopped;
  pthread_mutex_unlock(&r->lock);
  return stopped;
}

void rfl_ring_say(struct rfl_ring *r, const char *trouble) {
  pthread_mutex_lock(&r->lock);
  strncpy(r->trouble, trouble, sizeof r->trouble - 1);
  pthread_mutex_unlock(&r->lock);
}

enum rfl_took rfl_ring_take(struct rfl_ring *r, int64_t until_ns,
                            struct rfl_crate **gives) {
  enum rfl_took took = RFL_TOOK_NOTHING;
  pthread_mutex_lock(&r->lock);
  bool in_time = true;
  while (in_time && !r->head && !r->closed && !r->woken)
    in_time = rfl_cond_wait_until(&r->filled, &r->lock, until_ns);
  if (r->woken) {
    r->woken = false;
  } else if (r->head) {
    *gives = r->head;
    r->head = r->head->next;
    if (!r->head) r->tail = NULL;
    r->bytes -= (*gives)->bytes;
    took = r->head ? RFL_TOOK : RFL_TOOK_LAST;
    pthread_cond_signal(&r->emptied);
  } else if (r->closed) {
    took = RFL_TOOK_CLOSED;
  }
  pthread_mutex_unlock(&r->lock);
  return took;
}

void rfl_ring_wake(struct rfl_ring *r) {
  pthread_mutex_lock(&r->lock);
  r->woken = true;
  pthread_cond_signal(&r->filled);
  pthread_mutex_unlock(&r->lock);
}

void rfl_ring_stop(struct rfl_ring *r) {
  pthread_mutex_lock(&r->lock);
  r->stopped = true;
  pthread_cond_signal(&r->emptied);
  pthread_mutex_unlock(&r->lock);
}

bool rfl_ring_await_close(struct rfl_ring *r, int64_t until_ns) {
  pthread_mutex_lock(&r->lock);
  bool in_time = true;
  while (in_time && !r->closed)
    in_time = rfl_cond_wait_until(&r->filled, &r->lock, until_ns);
  bool closed = r->closed;
  pthread_mutex_unlock(&r->lock);
  return closed;
}
