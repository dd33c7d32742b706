/* Questions to the cluster: metadata and offsets.
 *
 * librdkafka's calls for both block until their timeout. Cutting them into calls of
 * 100 ms would throw away every answer that takes longer, so the whole call is an errand,
 * and the asking thread waits for it in slices: it takes the news (a refused login ends
 * the wait at once) and asks the host whether to go on. A question that was left behind
 * keeps the connection until its call returns. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/errand.h"
#include "kafka/inside.h"
#include "kafka/nearest.h"

struct question {
  struct rfl_kafka *k; /* kept */
  int64_t until_ns;
  _Atomic bool left;                     /* nobody waits for the answer any more */
  rd_kafka_topic_partition_list_t *list; /* offsets: asked, and answered in place */
  const struct rd_kafka_metadata *metadata;
  rd_kafka_resp_err_t error;
};

static void drop(void *arg) {
  struct question *q = arg;
  if (q->list) rd_kafka_topic_partition_list_destroy(q->list);
  if (q->metadata) rd_kafka_metadata_destroy(q->metadata);
  rfl_kafka_release(q->k);
  rfl_free(q);
}

static int ms_left(const struct question *q) {
  int64_t left = (q->until_ns - rfl_now_ns()) / RFL_MS;
  return left < 1 ? 1 : left > 1000000 ? 1000000 : (int)left;
}

static bool passes(rd_kafka_resp_err_t error) { /* may be gone in a moment */
  return error == RD_KAFKA_RESP_ERR__TRANSPORT ||
         error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
         error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
         error == RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE ||
         error == RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE ||
         error == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE ||
         error == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH ||
         /* A topic that was just made: not every node has heard of it. */
         error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
         error == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH;
}

static rd_kafka_resp_err_t offsets_once(struct question *q) {
  rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(q->list);
  rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(q->k->rk, asked, ms_left(q));
  for (int i = 0; !error && i < asked->cnt; i++) error = asked->elems[i].err;
  if (error) {
    rd_kafka_topic_partition_list_destroy(asked);
    return error;
  }
  rd_kafka_topic_partition_list_destroy(q->list);
  q->list = asked;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void ask(void *arg) {
  struct question *q = arg;
  for (;;) {
    q->error = q->list ? offsets_once(q)
                       : rd_kafka_metadata(q->k->rk, 1, NULL, &q->metadata, ms_left(q));
    if (!passes(q->error) || q->left || rfl_now_ns() >= q->until_ns) return;
    struct timespec pause = {.tv_nsec = 20 * RFL_MS};
    nanosleep(&pause, NULL);
  }
}

static enum rfl_code patient(void *data) {
  struct question *q = data;
  struct rfl_kafka *k = q->k;
  pthread_mutex_lock(&k->lock);
  rfl_news_poll(&k->news, k->events);
  bool refused = k->news.refused;
  pthread_mutex_unlock(&k->lock);
  enum rfl_code code = RFL_OK;
  if (refused) code = RFL_EAUTH;
  if (!rfl_kafka_go_on(k)) code = RFL_EHOST;
  if (code) q->left = true;
  return code;
}

static struct question *new_question(struct rfl_kafka *k) {
  struct question *q = rfl_alloc(1, sizeof *q);
  if (!q) return NULL;
  q->k = rfl_kafka_keep(k);
  q->until_ns = rfl_now_ns() + k->timeout_ms * (int64_t)RFL_MS;
  return q;
}

/* RFL_OK: the answer is in q, which is the caller's to drop. Else q is gone. */
static enum rfl_code put(struct question *q, const char *what, struct rfl_err *err) {
  struct rfl_kafka *k = rfl_kafka_keep(q->k); /* outlives q */
  struct rfl_errand e = {.run = ask, .drop = drop, .arg = q};
  struct rfl_patience patience = {.go_on = patient, .data = q};
  int64_t grace = q->until_ns + 200 * (int64_t)RFL_MS; /* for the call to notice */
  enum rfl_code code = rfl_errand_go(&e, grace, &patience, err);
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (!code && q->error) {
    error = q->error;
    drop(q);
    code = rfl_kafka_trouble(k, error, what, err);
  } else if (code == RFL_EAGAIN) {
    code = rfl_kafka_trouble(k, RD_KAFKA_RESP_ERR__TIMED_OUT, what, err);
  } else if (code == RFL_EAUTH) {
    code = rfl_kafka_trouble(k, RD_KAFKA_RESP_ERR__AUTHENTICATION, what, err);
  } else if (code == RFL_EHOST) {
    code = rfl_fail(err, RFL_EHOST, "interrupted while %s", what);
  }
  rfl_kafka_release(k);
  return code;
}

enum rfl_code rfl_ask_metadata(struct rfl_kafka *k,
                               const struct rd_kafka_metadata **gives,
                               struct rfl_err *err) {
  struct question *q = new_question(k);
  if (!q) return rfl_no_memory(err);
  RFL_TRY(put(q, "asking for the list of topics", err));
  *gives = q->metadata;
  q->metadata = NULL;
  drop(q);
  pthread_mutex_lock(&k->lock);
  k->nodes = (*gives)->broker_cnt;
  memset(&k->news, 0, sizeof k->news); /* somebody answers again */
  pthread_mutex_unlock(&k->lock);
  return RFL_OK;
}

const rd_kafka_metadata_topic_t *rfl_metadata_topic(const struct rd_kafka_metadata *m,
                                                    const char *topic) {
  for (int i = 0; i < m->topic_cnt; i++)
    if (strcmp(m->topics[i].topic, topic) == 0) return &m->topics[i];
  return NULL;
}

enum rfl_code rfl_no_topic(const struct rd_kafka_metadata *m, const char *topic,
                           struct rfl_err *err) {
  const char *near = NULL;
  const char **name = rfl_alloc((size_t)m->topic_cnt + 1, sizeof *name);
  if (!name) return rfl_no_memory(err);
  for (int i = 0; i < m->topic_cnt; i++) name[i] = m->topics[i].topic;
  near = rfl_nearest(topic, name, (size_t)m->topic_cnt);
  enum rfl_code code =
      near ? rfl_fail(err, RFL_EBROKER, "there is no topic `%s`; did you mean `%s`?",
                      topic, near)
           : rfl_fail(err, RFL_EBROKER, "there is no topic `%s`", topic);
  rfl_free(name);
  return code;
}

/* offsets_for_times() sends the times as they are, and -1 and -2 are Kafka's own for the
 * end and the start: one request a leader, instead of one for each partition that
 * query_watermark_offsets() would make. */
enum rfl_code rfl_ask_offsets(struct rfl_kafka *k, const char *topic, int32_t n,
                              int64_t *inout, struct rfl_err *err) {
  struct question *q = new_question(k);
  if (!q) return rfl_no_memory(err);
  q->list = rd_kafka_topic_partition_list_new(n);
  for (int32_t p = 0; p < n; p++)
    rd_kafka_topic_partition_list_add(q->list, topic, p)->offset = inout[p];
  RFL_TRY(put(q, "asking for offsets", err));
  for (int i = 0; i < q->list->cnt; i++) {
    const rd_kafka_topic_partition_t *e = &q->list->elems[i];
    if (e->partition >= 0 && e->partition < n) inout[e->partition] = e->offset;
  }
  drop(q);
  return RFL_OK;
}
