/* Creating topics: by an admin request on a real cluster, at the cluster's own door on
 * the embedded one; done when the metadata shows every partition with a leader, so that
 * what comes next finds it. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "kafka/inside.h"

struct wish { /* a topic to be */
  const char *topic;
  int32_t partitions, replicas;
  size_t n;
  const char *const *key, *const *value;
};

enum rfl_code rfl_topic_name_check(const char *topic, struct rfl_err *err) {
  size_t n = strlen(topic);
  size_t good =
      strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
  if (n >= 1 && n <= 249 && good == n && strcmp(topic, ".") && strcmp(topic, ".."))
    return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT,
                  "a topic's name has 1 to 249 letters, digits, dots, dashes and "
                  "underscores, not `%.80s`",
                  topic);
}

static enum rfl_code new_topic(const struct wish *w, rd_kafka_NewTopic_t **gives,
                               struct rfl_err *err) {
  char why[256];
  rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(w->topic, (int)w->partitions,
                                                 (int)w->replicas, why, sizeof why);
  if (!t) return rfl_fail(err, RFL_EARGUMENT, "topic `%s`: %s", w->topic, why);
  for (size_t i = 0; i < w->n; i++) {
    if (!rd_kafka_NewTopic_set_config(t, w->key[i], w->value[i])) continue;
    rd_kafka_NewTopic_destroy(t);
    return rfl_fail(err, RFL_ECONFIG, "topic `%s`: `%s` cannot be set", w->topic,
                    w->key[i]);
  }
  *gives = t;
  return RFL_OK;
}

/* Waits in slices for the answer to the admin request on `queue`. */
static enum rfl_code await_answer(struct rfl_kafka *k, rd_kafka_queue_t *queue,
                                  rd_kafka_event_t **gives, struct rfl_err *err) {
  int64_t until = rfl_now_ns() + (k->timeout_ms + 500) * (int64_t)RFL_MS;
  while (rfl_now_ns() < until) {
    rd_kafka_event_t *e = rd_kafka_queue_poll(queue, 100);
    if (e) {
      *gives = e;
      return RFL_OK;
    }
    if (!rfl_kafka_go_on(k))
      return rfl_fail(err, RFL_EHOST, "interrupted while creating a topic");
  }
  return rfl_kafka_trouble(k, RD_KAFKA_RESP_ERR__TIMED_OUT, "creating a topic", err);
}

struct verdict {
  rd_kafka_resp_err_t error;
  char why[512];
};

static void judge(const rd_kafka_event_t *event, struct verdict *v) {
  const rd_kafka_CreateTopics_result_t *r =
      rd_kafka_event_CreateTopics_result((rd_kafka_event_t *)event);
  size_t n = 0;
  const rd_kafka_topic_result_t **topic =
      r ? rd_kafka_CreateTopics_result_topics(r, &n) : NULL;
  const char *why = rd_kafka_event_error_string((rd_kafka_event_t *)event);
  v->error = rd_kafka_event_error((rd_kafka_event_t *)event);
  if (!v->error && n) {
    v->error = rd_kafka_topic_result_error(topic[0]);
    why = rd_kafka_topic_result_error_string(topic[0]);
  }
  size_t size = why ? strlen(why) : 0;
  if (size >= sizeof v->why) size = sizeof v->why - 1;
  if (size) memcpy(v->why, why, size);
  v->why[size] = '\0';
}

static enum rfl_code request(struct rfl_kafka *k, const struct wish *w, struct verdict *v,
                             struct rfl_err *err) {
  rd_kafka_NewTopic_t *topic = NULL;
  RFL_TRY(new_topic(w, &topic, err));
  char why[256];
  rd_kafka_AdminOptions_t *o =
      rd_kafka_AdminOptions_new(k->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_AdminOptions_set_request_timeout(o, k->timeout_ms, why, sizeof why);
  rd_kafka_AdminOptions_set_operation_timeout(o, k->timeout_ms, why, sizeof why);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(k->rk);
  rd_kafka_CreateTopics(k->rk, &topic, 1, o, queue);
  rd_kafka_event_t *event = NULL;
  enum rfl_code code = await_answer(k, queue, &event, err);
  if (!code) {
    judge(event, v);
    rd_kafka_event_destroy(event);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_AdminOptions_destroy(o);
  rd_kafka_NewTopic_destroy(topic);
  return code;
}

static enum rfl_code create_real(struct rfl_kafka *k, struct wish w, bool *existed,
                                 struct rfl_err *err) {
  struct verdict v = {0};
  RFL_TRY(request(k, &w, &v, err));
  /* Brokers before 2.4 have no default to ask for. */
  if ((v.error == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS && w.partitions < 0) ||
      (v.error == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR && w.replicas < 0)) {
    if (w.partitions < 0) w.partitions = 1;
    if (w.replicas < 0) w.replicas = 1;
    RFL_TRY(request(k, &w, &v, err));
  }
  *existed = v.error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
  if (!v.error || *existed) return RFL_OK;
  if (rfl_kafka_code(v.error) == RFL_ETIMEOUT)
    return rfl_kafka_trouble(k, v.error, "creating a topic", err);
  return rfl_fail(err, rfl_kafka_code(v.error), "the topic `%s` cannot be created: %s",
                  w.topic, v.why[0] ? v.why : rd_kafka_err2str(v.error));
}

static enum rfl_code create_embedded(struct rfl_kafka *k, const struct wish *w,
                                     struct rfl_err *err) {
  if (w->n) return rfl_kafka_needs_real(k, w->key[0], err);
  if (w->replicas > 1) return rfl_kafka_needs_real(k, "replicas", err);
  return rfl_broker_create_topic(k->broker, w->topic, w->partitions, err);
}

static bool has_leaders(const rd_kafka_metadata_topic_t *t) {
  if (!t || t->err || !t->partition_cnt) return false;
  for (int p = 0; p < t->partition_cnt; p++)
    if (t->partitions[p].err || t->partitions[p].leader < 0) return false;
  return true;
}

static enum rfl_code await_leaders(struct rfl_kafka *k, const char *topic,
                                   struct rfl_err *err) {
  int64_t until = rfl_now_ns() + k->timeout_ms * (int64_t)RFL_MS;
  int seen = 0; /* times in a row: any node may answer, and they learn of it one by one */
  for (;;) {
    const struct rd_kafka_metadata *m = NULL;
    RFL_TRY(rfl_ask_metadata(k, &m, err));
    seen = has_leaders(rfl_metadata_topic(m, topic)) ? seen + 1 : 0;
    bool ready = seen >= m->broker_cnt;
    rd_kafka_metadata_destroy(m);
    if (ready) return RFL_OK;
    if (seen) continue;
    if (rfl_now_ns() >= until)
      return rfl_fail(err, RFL_ETIMEOUT,
                      "the topic `%s` was created, but its partitions have no leaders "
                      "after %g s",
                      topic, k->timeout_ms / 1000.0);
    struct timespec pause = {.tv_nsec = 20 * RFL_MS};
    nanosleep(&pause, NULL);
  }
}

enum rfl_code rfl_kafka_create_topic(struct rfl_kafka *k, const char *topic,
                                     int32_t partitions, int32_t replicas, size_t n,
                                     const char *const *key, const char *const *value,
                                     bool exists_ok, bool *existed, struct rfl_err *err) {
  RFL_TRY(rfl_kafka_here(k, err));
  RFL_TRY(rfl_topic_name_check(topic, err));
  struct wish w = {.topic = topic,
                   .partitions = partitions < 1 ? -1 : partitions,
                   .replicas = replicas < 1 ? -1 : replicas,
                   .n = n,
                   .key = key,
                   .value = value};
  const struct rd_kafka_metadata *m = NULL;
  RFL_TRY(rfl_ask_metadata(k, &m, err));
  bool there = rfl_metadata_topic(m, topic) != NULL;
  rd_kafka_metadata_destroy(m);
  if (!there && k->broker) RFL_TRY(create_embedded(k, &w, err));
  if (!there && !k->broker) RFL_TRY(create_real(k, w, &there, err));
  if (there && !exists_ok)
    return rfl_fail(err, RFL_EBROKER, "the topic `%s` exists already", topic);
  RFL_TRY(await_leaders(k, topic, err));
  if (existed) *existed = there;
  return RFL_OK;
}
