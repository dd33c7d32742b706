#include "stream/shelf.h"

#include <assert.h>

#include "base/mem.h"

enum state { EMPTY, FETCHING, THERE };
struct slot {
  enum state state;
  size_t k;
  struct rfl_frame *frame;
};
struct rfl_shelf {
  const struct rfl_fit_input *in;
  size_t n, ahead; /* slots; how far beyond the wanted frame others fetch */
  struct slot *slot;
  pthread_mutex_t lock; /* guards the slots */
  pthread_cond_t fetched;
};

enum rfl_code rfl_shelf_new(const struct rfl_fit_input *in, int threads,
                            struct rfl_shelf **gives, struct rfl_err *err) {
  struct rfl_shelf *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->in = in;
  s->ahead = (size_t)threads;
  s->n = (size_t)threads + 2;
  s->slot = rfl_alloc(s->n, sizeof *s->slot);
  if (!s->slot) {
    rfl_free(s);
    return rfl_no_memory(err);
  }
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->fetched, NULL);
  *gives = s;
  return RFL_OK;
}

void rfl_shelf_clear(struct rfl_shelf *s) {
  for (size_t i = 0; i < s->n; i++) rfl_frame_release(s->slot[i].frame);
  for (size_t i = 0; i < s->n; i++) s->slot[i] = (struct slot){0};
}

void rfl_shelf_release(struct rfl_shelf *s) {
  if (!s) return;
  rfl_shelf_clear(s);
  pthread_cond_destroy(&s->fetched);
  pthread_mutex_destroy(&s->lock);
  rfl_free(s->slot);
  rfl_free(s);
}

static struct slot *find(struct rfl_shelf *s, size_t k) {
  for (size_t i = 0; i < s->n; i++)
    if (s->slot[i].state != EMPTY && s->slot[i].k == k) return &s->slot[i];
  return NULL;
}

/* An empty slot, else that of the lowest frame below `k`, else (when `must`) of the
 * highest: a pass goes upwards, and frames below are done with. */
static struct slot *choose(struct rfl_shelf *s, size_t k, bool must) {
  struct slot *low = NULL, *high = NULL;
  for (size_t i = 0; i < s->n; i++) {
    struct slot *x = &s->slot[i];
    if (x->state == EMPTY) return x;
    if (x->state == FETCHING) continue;
    if (x->k < k && (!low || x->k < low->k)) low = x;
    if (!high || x->k > high->k) high = x;
  }
  return low ? low : must ? high : NULL;
}

/* Fetches frame k into a slot; called and left with the lock held. */
static enum rfl_code fetch(struct rfl_shelf *s, struct slot *x, size_t k,
                           struct rfl_err *err) {
  rfl_frame_release(x->frame);
  *x = (struct slot){.state = FETCHING, .k = k};
  pthread_mutex_unlock(&s->lock);
  struct rfl_frame *frame = NULL;
  enum rfl_code code = s->in->get(s->in->data, k, &frame, err);
  pthread_mutex_lock(&s->lock);
  *x = (struct slot){.state = code ? EMPTY : THERE, .k = k, .frame = frame};
  pthread_cond_broadcast(&s->fetched);
  return code;
}

/* While another thread fetches frame k, fetches one of those that follow it; false when
 * there is none to fetch. What fails here fails again when it is wanted. */
static bool fetch_ahead(struct rfl_shelf *s, size_t k) {
  for (size_t j = k + 1; j < s->in->n_frames && j <= k + s->ahead; j++) {
    if (find(s, j)) continue;
    struct slot *x = choose(s, k, false);
    return x && !fetch(s, x, j, NULL);
  }
  return false;
}

static enum rfl_code take_fetched(struct rfl_shelf *s, size_t k, struct rfl_frame **gives,
                                  struct rfl_err *err) {
  for (;;) {
    struct slot *x = find(s, k);
    if (x && x->state == THERE) {
      *gives = rfl_frame_keep(x->frame);
      return RFL_OK;
    }
    if (!x) {
      x = choose(s, k, true);
      assert(x !=
             NULL); /* the other threads fetch one each: fewer than there are slots */
      RFL_TRY(fetch(s, x, k, err));
    } else if (!fetch_ahead(s, k)) {
      x = find(s, k);
      if (x && x->state == FETCHING) pthread_cond_wait(&s->fetched, &s->lock);
    }
  }
}

enum rfl_code rfl_shelf_take(struct rfl_shelf *s, size_t k, struct rfl_frame **gives,
                             struct rfl_err *err) {
  if (s->in->frame) {
    *gives = rfl_frame_keep(s->in->frame[k]);
    return RFL_OK;
  }
  pthread_mutex_lock(&s->lock);
  enum rfl_code code = take_fetched(s, k, gives, err);
  pthread_mutex_unlock(&s->lock);
  return code;
}
