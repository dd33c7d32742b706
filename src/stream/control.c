#include "stream/control.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

enum { LOG_MAX = 10000 };

void rfl_control_init(struct rfl_control *c) {
  *c = (struct rfl_control){0};
  pthread_mutex_init(&c->lock, NULL);
  rfl_cond_init(&c->changed);
  c->status.started_us = rfl_wall_us();
}

void rfl_control_release(struct rfl_control *c) {
  for (size_t i = 0; i < c->log_n; i++) rfl_cursor_release(&c->log[i].end);
  rfl_free(c->log);
  pthread_cond_destroy(&c->changed);
  pthread_mutex_destroy(&c->lock);
}

static enum rfl_code grow_log(struct rfl_control *c, struct rfl_err *err) {
  if (c->log_n < c->log_cap || c->log_cap == LOG_MAX) return RFL_OK;
  size_t cap = c->log_cap ? 2 * c->log_cap : 16;
  if (cap > LOG_MAX) cap = LOG_MAX;
  struct rfl_progress *more = rfl_grow(c->log, cap, sizeof *more);
  if (!more) return rfl_no_memory(err);
  c->log = more;
  c->log_next = c->log_n; /* a full ring had just come round to its beginning */
  c->log_cap = cap;
  return RFL_OK;
}

/* It grows only when it is full and has just come round, so its oldest entry is the
 * array's first and growing moves nothing. */
enum rfl_code rfl_control_log(struct rfl_control *c, struct rfl_progress *takes,
                              struct rfl_err *err) {
  enum rfl_code code = grow_log(c, err);
  if (code) return code;
  if (c->log_n == c->log_cap)
    rfl_cursor_release(&c->log[c->log_next].end);
  else
    c->log_n++;
  c->log[c->log_next] = *takes;
  c->log_next = (c->log_next + 1) % c->log_cap;
  return RFL_OK;
}

static enum rfl_code copy_log(const struct rfl_control *c, size_t n,
                              struct rfl_progress *to, struct rfl_err *err) {
  for (size_t i = 0; i < n; i++) {
    size_t at = (c->log_next + c->log_cap - n + i) % c->log_cap;
    to[i] = c->log[at];
    to[i].end = (struct rfl_cursor){0};
    RFL_TRY(rfl_cursor_copy(&c->log[at].end, &to[i].end, err));
  }
  return RFL_OK;
}

enum rfl_code rfl_control_read_log(struct rfl_control *c, size_t n,
                                   struct rfl_progress **gives, size_t *gives_n,
                                   struct rfl_err *err) {
  pthread_mutex_lock(&c->lock);
  if (n > c->log_n) n = c->log_n;
  struct rfl_progress *list = rfl_alloc(n, sizeof *list);
  enum rfl_code code = list ? copy_log(c, n, list, err) : rfl_no_memory(err);
  pthread_mutex_unlock(&c->lock);
  if (code) {
    rfl_progress_free(list, n);
    return code;
  }
  *gives = list;
  *gives_n = n;
  return RFL_OK;
}
