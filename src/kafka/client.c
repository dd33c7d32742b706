#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/inside.h"

enum rfl_code rfl_pid_here(pid_t pid, const char *what, struct rfl_err *err) {
  if (pid == getpid()) return RFL_OK;
  return rfl_fail(err, RFL_EBUSY,
                  "this %s was made in another process: connect again after a fork",
                  what);
}

enum rfl_code rfl_kafka_here(const struct rfl_kafka *k, struct rfl_err *err) {
  return rfl_pid_here(k->pid, "Kafka connection", err);
}

bool rfl_kafka_go_on(const struct rfl_kafka *k) {
  if (!k->tick.go_on || !pthread_equal(k->home, pthread_self())) return true;
  return k->tick.go_on(k->tick.data);
}

/* ---- what went wrong ---- */

static enum rfl_code nobody_answers(const struct rfl_kafka *k,
                                    const struct rfl_news *news, struct rfl_err *err) {
  const char *where = k->brokers;
  char reason[400];
  if (news->error) {
    if (news->where[0] && !strchr(k->brokers, ',')) where = news->where;
    snprintf(reason, sizeof reason, "%s", news->reason);
  } else {
    snprintf(reason, sizeof reason, "no reply within %g s", k->timeout_ms / 1000.0);
  }
  const char *next = "Is the broker running?";
  if (strstr(reason, "ame or service") || strstr(reason, "odename nor servname"))
    next = "Is the name right?";
  if (strstr(reason, "security.protocol"))
    next = "Check the property `security.protocol`.";
  return rfl_fail(err, RFL_ETIMEOUT, "nobody answers at %s (%s). %s", where, reason,
                  next);
}

enum rfl_code rfl_kafka_trouble(struct rfl_kafka *k, rd_kafka_resp_err_t error,
                                const char *what, struct rfl_err *err) {
  pthread_mutex_lock(&k->lock);
  rfl_news_poll(&k->news, k->events);
  struct rfl_news news = k->news;
  pthread_mutex_unlock(&k->lock);
  rfl_conf_mask(k, news.reason);
  enum rfl_code code = rfl_kafka_code(error);
  if (news.refused)
    return rfl_fail(err, RFL_EAUTH, "%s refuses the connection: %s",
                    news.where[0] ? news.where : k->brokers, news.reason);
  if (code == RFL_ETIMEOUT) return nobody_answers(k, &news, err);
  return rfl_fail(err, code, "%s failed while %s: %s", k->brokers, what,
                  rd_kafka_err2str(error));
}

/* ---- life ---- */

static enum rfl_code copy_options(struct rfl_kafka *k, const struct rfl_kafka_options *o,
                                  struct rfl_err *err) {
  k->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : 5000;
  k->tick = o->tick;
  k->brokers = rfl_strdup(o->brokers);
  k->key = rfl_alloc(o->n, sizeof *k->key);
  k->value = rfl_alloc(o->n, sizeof *k->value);
  if (!k->brokers || !k->key || !k->value) return rfl_no_memory(err);
  for (size_t i = 0; i < o->n; i++, k->n++) {
    k->key[i] = rfl_strdup(o->key[i]);
    k->value[i] = rfl_strdup(o->value[i]);
    if (k->key[i] && k->value[i]) continue;
    rfl_free(k->key[i]);
    rfl_free(k->value[i]);
    return rfl_no_memory(err);
  }
  return RFL_OK;
}

static enum rfl_code check_options(const struct rfl_kafka_options *o,
                                   const struct rfl_broker *broker, struct rfl_err *err) {
  if (!o->brokers || !o->brokers[0])
    return rfl_fail(err, RFL_EARGUMENT, "`brokers` must name a host and a port");
  for (size_t i = 0; broker && i < o->n; i++)
    if (strncmp(o->key[i], "sasl.", 5) == 0 || strncmp(o->key[i], "ssl.", 4) == 0 ||
        strcmp(o->key[i], "security.protocol") == 0)
      return rfl_fail(err, RFL_EARGUMENT, "`%s` needs a real broker", o->key[i]);
  return RFL_OK;
}

static enum rfl_code open_handle(struct rfl_kafka *k, struct rfl_err *err) {
  rd_kafka_conf_t *conf = NULL;
  /* The producer's settings are tried too: what is wrong is told now, not at first use.
   */
  RFL_TRY(rfl_conf_new(k, RFL_PRODUCES, &conf, err));
  rd_kafka_conf_destroy(conf);
  RFL_TRY(rfl_conf_new(k, RFL_ASKS, &conf, err));
  RFL_TRY(rfl_handle_new(k, RD_KAFKA_CONSUMER, conf, &k->rk, err));
  k->events = rd_kafka_queue_get_main(k->rk);
  const struct rd_kafka_metadata *m = NULL;
  RFL_TRY(rfl_ask_metadata(k, &m, err));
  rd_kafka_metadata_destroy(m);
  return RFL_OK;
}

enum rfl_code rfl_kafka_connect(const struct rfl_kafka_options *o,
                                struct rfl_broker *broker, struct rfl_kafka **gives,
                                struct rfl_err *err) {
  RFL_TRY(check_options(o, broker, err));
  struct rfl_kafka *k = rfl_alloc(1, sizeof *k);
  if (!k) return rfl_no_memory(err);
  k->refs = 1;
  k->pid = getpid();
  k->home = pthread_self();
  if (pthread_mutex_init(&k->lock, NULL)) {
    rfl_free(k);
    return rfl_no_memory(err);
  }
  if (broker) k->broker = rfl_broker_keep(broker);
  enum rfl_code code = copy_options(k, o, err);
  if (!code) code = open_handle(k, err);
  if (code) {
    rfl_kafka_release(k);
    return code;
  }
  *gives = k;
  return RFL_OK;
}

enum rfl_code rfl_kafka_new(const struct rfl_kafka_options *o, struct rfl_kafka **gives,
                            struct rfl_err *err) {
  return rfl_kafka_connect(o, NULL, gives, err);
}

struct rfl_kafka *rfl_kafka_keep(struct rfl_kafka *k) {
  atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
  return k;
}

void rfl_kafka_release(struct rfl_kafka *k) {
  if (!k || k->pid != getpid()) return;
  if (atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1) return;
  if (k->events) rd_kafka_queue_destroy(k->events);
  rfl_handle_release(k->rk);
  rfl_broker_release(k->broker); /* after its client */
  for (size_t i = 0; i < k->n; i++) {
    rfl_free(k->key[i]);
    rfl_free(k->value[i]);
  }
  rfl_free(k->key);
  rfl_free(k->value);
  rfl_free(k->brokers);
  pthread_mutex_destroy(&k->lock);
  rfl_free(k);
}

const char *rfl_kafka_brokers(const struct rfl_kafka *k) { return k->brokers; }
bool rfl_kafka_embedded(const struct rfl_kafka *k) { return k->broker != NULL; }
const char *rfl_kafka_version_text(void) { return rd_kafka_version_str(); }

int rfl_kafka_nodes(const struct rfl_kafka *k) {
  pthread_mutex_lock((pthread_mutex_t *)&k->lock);
  int nodes = k->nodes;
  pthread_mutex_unlock((pthread_mutex_t *)&k->lock);
  return nodes;
}

enum rfl_code rfl_kafka_needs_real(const struct rfl_kafka *k, const char *what,
                                   struct rfl_err *err) {
  if (!k->broker) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT, "`%s` needs a real broker", what);
}

/* ---- topics ---- */

static int by_name(const void *a, const void *b) {
  const struct rfl_topic_info *x = a, *y = b;
  return strcmp(x->name, y->name);
}

static enum rfl_code list_topics(const struct rd_kafka_metadata *m,
                                 struct rfl_topic_info **gives, size_t *n,
                                 struct rfl_err *err) {
  struct rfl_topic_info *topic = rfl_alloc((size_t)m->topic_cnt, sizeof *topic);
  if (!topic) return rfl_no_memory(err);
  size_t count = 0;
  for (int i = 0; i < m->topic_cnt; i++) {
    const rd_kafka_metadata_topic_t *t = &m->topics[i];
    if (strncmp(t->topic, "__", 2) == 0) continue;
    topic[count].name = rfl_strdup(t->topic);
    if (!topic[count].name) {
      rfl_topics_free(topic, count);
      return rfl_no_memory(err);
    }
    topic[count].partitions = t->partition_cnt;
    topic[count++].replicas = t->partition_cnt ? t->partitions[0].replica_cnt : 0;
  }
  qsort(topic, count, sizeof *topic, by_name);
  *gives = topic;
  *n = count;
  return RFL_OK;
}

enum rfl_code rfl_kafka_topics(struct rfl_kafka *k, struct rfl_topic_info **gives,
                               size_t *n, struct rfl_err *err) {
  const struct rd_kafka_metadata *m = NULL;
  RFL_TRY(rfl_kafka_here(k, err));
  RFL_TRY(rfl_ask_metadata(k, &m, err));
  enum rfl_code code = list_topics(m, gives, n, err);
  rd_kafka_metadata_destroy(m);
  return code;
}

void rfl_topics_free(struct rfl_topic_info *topic, size_t n) {
  for (size_t i = 0; i < n; i++) rfl_free(topic[i].name);
  rfl_free(topic);
}

static enum rfl_code count_partitions(struct rfl_kafka *k,
                                      const struct rd_kafka_metadata *m,
                                      const char *topic, int32_t *gives,
                                      struct rfl_err *err) {
  const rd_kafka_metadata_topic_t *t = rfl_metadata_topic(m, topic);
  if (!t) return rfl_no_topic(m, topic, err);
  if (t->err && !t->partition_cnt)
    return rfl_kafka_trouble(k, t->err, "looking at the topic", err);
  *gives = t->partition_cnt;
  return RFL_OK;
}

/* Of several nodes one may not have heard of a topic that was just made: a topic is
 * missing when it is missing three times. */
enum rfl_code rfl_kafka_partitions(struct rfl_kafka *k, const char *topic, int32_t *gives,
                                   struct rfl_err *err) {
  RFL_TRY(rfl_kafka_here(k, err));
  for (int tries = 1;; tries++) {
    const struct rd_kafka_metadata *m = NULL;
    RFL_TRY(rfl_ask_metadata(k, &m, err));
    bool last = rfl_metadata_topic(m, topic) || m->broker_cnt == 1 || tries == 3;
    enum rfl_code code = RFL_OK;
    if (last) code = count_partitions(k, m, topic, gives, err);
    rd_kafka_metadata_destroy(m);
    if (last) return code;
    struct timespec pause = {.tv_nsec = 50 * RFL_MS};
    nanosleep(&pause, NULL);
  }
}
