#include "stream/memory_sink.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

struct rfl_memory_sink {
  int32_t refs; /* atomic */
  uint64_t rows;
  pthread_mutex_t lock; /* guards what follows */
  struct rfl_frame **frame;
  size_t first, n, cap; /* frames [first, first + n) of the array are there */
  uint64_t held, seen;  /* rows */
};

enum rfl_code rfl_memory_sink_new(uint64_t rows, struct rfl_memory_sink **gives,
                                  struct rfl_err *err) {
  struct rfl_memory_sink *m = rfl_alloc(1, sizeof *m);
  if (!m) return rfl_no_memory(err);
  m->refs = 1;
  m->rows = rows;
  pthread_mutex_init(&m->lock, NULL);
  *gives = m;
  return RFL_OK;
}

void rfl_memory_sink_release(struct rfl_memory_sink *m) {
  if (!m || __atomic_fetch_sub(&m->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
  for (size_t i = 0; i < m->n; i++) rfl_frame_release(m->frame[m->first + i]);
  rfl_free(m->frame);
  pthread_mutex_destroy(&m->lock);
  rfl_free(m);
}

/* Room for one more behind the last: the dropped ones' room at the front is used again
 * once it is half of the array, so that a put costs O(1) on average. */
static enum rfl_code make_room(struct rfl_memory_sink *m, struct rfl_err *err) {
  if (m->first + m->n < m->cap) return RFL_OK;
  if (m->first > m->cap / 2) {
    memmove(m->frame, m->frame + m->first, m->n * sizeof *m->frame);
    m->first = 0;
    return RFL_OK;
  }
  size_t cap = m->cap ? 2 * m->cap : 16;
  struct rfl_frame **more = rfl_grow(m->frame, cap, sizeof *more);
  if (!more) return rfl_no_memory(err);
  m->frame = more;
  m->cap = cap;
  return RFL_OK;
}

static void drop_old(struct rfl_memory_sink *m) {
  while (m->n > 1 && m->held - m->frame[m->first]->n_rows >= m->rows) {
    m->held -= m->frame[m->first]->n_rows;
    rfl_frame_release(m->frame[m->first]);
    m->first++;
    m->n--;
  }
}

static enum rfl_code put_frame(struct rfl_memory_sink *m, struct rfl_frame *frame,
                               struct rfl_err *err) {
  pthread_mutex_lock(&m->lock);
  enum rfl_code code = make_room(m, err);
  if (!code) {
    m->frame[m->first + m->n++] = rfl_frame_keep(frame);
    m->held += frame->n_rows;
    m->seen += frame->n_rows;
    drop_old(m);
  }
  pthread_mutex_unlock(&m->lock);
  return code;
}

enum rfl_code rfl_memory_sink_take(struct rfl_memory_sink *m, struct rfl_frame ***gives,
                                   size_t *gives_n, struct rfl_err *err) {
  pthread_mutex_lock(&m->lock);
  size_t n = m->n;
  struct rfl_frame **list = rfl_alloc(n, sizeof *list);
  for (size_t i = 0; list && i < n; i++) list[i] = rfl_frame_keep(m->frame[m->first + i]);
  pthread_mutex_unlock(&m->lock);
  if (!list) return rfl_no_memory(err);
  *gives = list;
  *gives_n = n;
  return RFL_OK;
}

uint64_t rfl_memory_sink_seen(struct rfl_memory_sink *m) {
  pthread_mutex_lock(&m->lock);
  uint64_t seen = m->seen;
  pthread_mutex_unlock(&m->lock);
  return seen;
}

/* ---- as a sink ---- */

struct end {
  struct rfl_sink base; /* first: the pointers are the same */
  struct rfl_memory_sink *to;
};

static enum rfl_code put(struct rfl_sink *sink, uint64_t batch, struct rfl_frame *frame,
                         struct rfl_err *err) {
  (void)batch;
  return put_frame(((struct end *)sink)->to, frame, err);
}

static enum rfl_code flush(struct rfl_sink *sink, int64_t until_ns,
                           struct rfl_tally *failed, struct rfl_err *err) {
  (void)sink;
  (void)until_ns;
  (void)failed;
  (void)err;
  return RFL_OK; /* put() has kept them */
}

static void release(struct rfl_sink *sink) {
  if (!sink) return;
  rfl_memory_sink_release(((struct end *)sink)->to);
  rfl_free(sink);
}

enum rfl_code rfl_memory_sink_end(struct rfl_memory_sink *m, struct rfl_sink **gives,
                                  struct rfl_err *err) {
  struct end *e = rfl_alloc(1, sizeof *e);
  if (!e) return rfl_no_memory(err);
  __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
  e->base = (struct rfl_sink){.put = put, .flush = flush, .release = release};
  e->to = m;
  *gives = &e->base;
  return RFL_OK;
}
