#include "kafka/sweep.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/consumer.h"
#include "kafka/inside.h"

enum { BATCH = 500, SWEEP_MEMORY = 32 << 20 };

struct sweeping {
  const struct rfl_sweep *s;
  struct rfl_consumer consumer;
  bool *done;
  int32_t left; /* partitions that are not done */
  enum rfl_code code;
  struct rfl_err *err;
};

static void finish(struct sweeping *w, int32_t p) {
  if (w->done[p]) return;
  w->done[p] = true;
  w->left--;
  rfl_consumer_stop(&w->consumer, w->s->topic, p);
}

static enum rfl_code look(struct sweeping *w, const rd_kafka_message_t *m,
                          struct rfl_err *err) {
  int32_t p = m->partition;
  if (p < 0 || p >= w->s->n || w->done[p]) return RFL_OK;
  if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
    return rfl_fail(err, rfl_kafka_code(m->err), "topic `%s`, partition %ld: %s",
                    w->s->topic, (long)p, rd_kafka_message_errstr(m));
  bool enough = m->offset >= w->s->to[p];
  if (!m->err && !enough) {
    RFL_TRY(w->s->see(w->s->data, m, &enough, err));
    if (m->offset + 1 >= w->s->to[p]) enough = true;
  }
  if (enough) finish(w, p);
  return RFL_OK;
}

static bool see(void *data, const rd_kafka_message_t *m) {
  struct sweeping *w = data;
  w->code = look(w, m, w->err);
  return !w->code && w->left;
}

static enum rfl_code take(struct rfl_kafka *k, struct sweeping *w, struct rfl_err *err) {
  struct rfl_serve serve = {.see = see, .data = w};
  int64_t patience = k->timeout_ms * (int64_t)RFL_MS, last = rfl_now_ns();
  w->err = err;
  while (w->left) {
    size_t n = rfl_consumer_serve(&w->consumer, &serve, BATCH, 100);
    rfl_consumer_news(&w->consumer);
    if (w->code) return w->code;
    if (!rfl_kafka_go_on(k))
      return rfl_fail(err, RFL_EHOST, "interrupted while reading `%s`", w->s->topic);
    int64_t now = rfl_now_ns();
    if (n) last = now;
    if (now - last < patience) continue;
    char said[512];
    rfl_news_say(&w->consumer.news, said, sizeof said);
    return rfl_fail(err, RFL_ETIMEOUT, "no record of topic `%s` came for %g s%s%s",
                    w->s->topic, k->timeout_ms / 1000.0, said[0] ? ": " : "", said);
  }
  return RFL_OK;
}

enum rfl_code rfl_sweep_run(struct rfl_kafka *k, const struct rfl_sweep *s,
                            struct rfl_err *err) {
  struct sweeping w = {.s = s};
  w.done = rfl_alloc((size_t)s->n, sizeof *w.done);
  if (!w.done) return rfl_no_memory(err);
  for (int32_t p = 0; p < s->n; p++) {
    w.done[p] = s->from[p] >= s->to[p];
    w.left += !w.done[p];
  }
  enum rfl_code code = RFL_OK;
  if (w.left) {
    struct rfl_consumer_plan plan = {.topic = s->topic,
                                     .n = s->n,
                                     .from = s->from,
                                     .skip = w.done,
                                     .memory = SWEEP_MEMORY};
    code = rfl_consumer_open(&w.consumer, k, &plan, err);
    if (!code) code = take(k, &w, err);
    rfl_consumer_close(&w.consumer);
  }
  rfl_free(w.done);
  return code;
}
