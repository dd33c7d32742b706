/* A look at the values of a topic: as many from each partition as its share allows. */
#include <string.h>

#include "base/mem.h"
#include "kafka/inside.h"
#include "kafka/sweep.h"
#include "kafka/topic_source.h"

struct peeking {
  struct rfl_bytes *value;
  size_t n, cap;
  size_t *share; /* of partition p: still to be taken */
};

/* Shares of `n` out of what the partitions have, as even as they can be: rounds of one
 * each would do the same. */
static void deal(size_t n, int32_t partitions, const int64_t *from, const int64_t *to,
                 size_t *share) {
  for (bool some = true; n && some;) {
    size_t open = 0;
    for (int32_t p = 0; p < partitions; p++) open += (int64_t)share[p] < to[p] - from[p];
    size_t each = open ? n / open : 0;
    if (!each) each = 1;
    some = false;
    for (int32_t p = 0; p < partitions && n; p++) {
      int64_t room = to[p] - from[p] - (int64_t)share[p];
      if (room <= 0) continue;
      size_t more = (int64_t)each < room ? each : (size_t)room;
      if (more > n) more = n;
      share[p] += more;
      n -= more;
      some = true;
    }
  }
}

static enum rfl_code look(void *data, const rd_kafka_message_t *m, bool *enough,
                          struct rfl_err *err) {
  struct peeking *me = data;
  size_t *share = &me->share[m->partition];
  if (me->n == me->cap || !*share) {
    *enough = true;
    return RFL_OK;
  }
  struct rfl_bytes value = {0};
  if (m->payload) {
    uint8_t *copy = rfl_alloc(m->len, 1);
    if (!copy) return rfl_no_memory(err);
    memcpy(copy, m->payload, m->len);
    value = (struct rfl_bytes){.p = copy, .n = m->len};
  }
  me->value[me->n++] = value;
  *enough = --*share == 0;
  return RFL_OK;
}

struct range { /* each by rfl_free */
  int32_t n;
  int64_t *from, *low, *to;
};

static enum rfl_code peek(struct rfl_kafka *k, const char *topic, const struct range *r,
                          struct peeking *me, struct rfl_err *err) {
  me->value = rfl_alloc(me->cap, sizeof *me->value);
  me->share = rfl_alloc((size_t)r->n, sizeof *me->share);
  if (!me->value || !me->share) return rfl_no_memory(err);
  for (int32_t p = 0; p < r->n; p++)
    if (r->from[p] < r->low[p]) r->from[p] = r->low[p];
  deal(me->cap, r->n, r->from, r->to, me->share);
  for (int32_t p = 0; p < r->n; p++)
    if (!me->share[p]) r->to[p] = r->from[p]; /* nothing is wanted of it */
  struct rfl_sweep sweep = {
      .topic = topic, .n = r->n, .from = r->from, .to = r->to, .see = look, .data = me};
  return rfl_sweep_run(k, &sweep, err);
}

enum rfl_code rfl_kafka_peek(struct rfl_kafka *k, const char *topic,
                             const struct rfl_at *at, size_t n, struct rfl_bytes **gives,
                             size_t *gives_n, struct rfl_err *err) {
  struct range r = {0};
  struct peeking me = {.cap = n};
  RFL_TRY(rfl_kafka_offsets(k, topic, at, &r.n, &r.from, &r.low, &r.to, err));
  enum rfl_code code = peek(k, topic, &r, &me, err);
  rfl_free(r.from);
  rfl_free(r.low);
  rfl_free(r.to);
  rfl_free(me.share);
  if (code) {
    for (size_t i = 0; i < me.n; i++) rfl_free((void *)me.value[i].p);
    rfl_free(me.value);
    return code;
  }
  *gives = me.value;
  *gives_n = me.n;
  return RFL_OK;
}
