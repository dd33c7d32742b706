#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "kafka/inside.h"

struct rfl_broker {
  _Atomic int32_t refs;
  pid_t pid;
  int nodes;
  rd_kafka_t *rk; /* the cluster's landlord: sends nothing */
  rd_kafka_mock_cluster_t *mock;
  char *servers;
};

/* The landlord's log has nobody to read it, and librdkafka would print it. */
static void be_silent(const rd_kafka_t *rk, int level, const char *fac, const char *buf) {
  (void)rk;
  (void)level;
  (void)fac;
  (void)buf;
}

static enum rfl_code open_cluster(struct rfl_broker *b, struct rfl_err *err) {
  char why[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, be_silent);
  b->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!b->rk) {
    rd_kafka_conf_destroy(conf);
    return rfl_fail(err, RFL_EBROKER, "the embedded broker does not start: %s", why);
  }
  /* The mock cluster's thread takes a poll() that a signal interrupts for its end, and
   * dies without a word: it must be born with all signals blocked. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  b->mock = rd_kafka_mock_cluster_new(b->rk, b->nodes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!b->mock)
    return rfl_fail(err, RFL_EBROKER,
                    "the embedded broker does not start: no port could be opened");
  b->servers = rfl_strdup(rd_kafka_mock_cluster_bootstraps(b->mock));
  return b->servers ? RFL_OK : rfl_no_memory(err);
}

enum rfl_code rfl_broker_new(int nodes, struct rfl_broker **gives, struct rfl_err *err) {
  if (nodes < 1 || nodes > 9)
    return rfl_fail(err, RFL_EARGUMENT, "`nodes` must be 1 to 9, not %d", nodes);
  struct rfl_broker *b = rfl_alloc(1, sizeof *b);
  if (!b) return rfl_no_memory(err);
  b->refs = 1;
  b->pid = getpid();
  b->nodes = nodes;
  enum rfl_code code = open_cluster(b, err);
  if (code) {
    rfl_broker_release(b);
    return code;
  }
  *gives = b;
  return RFL_OK;
}

struct rfl_broker *rfl_broker_keep(struct rfl_broker *b) {
  atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
  return b;
}

void rfl_broker_release(struct rfl_broker *b) {
  if (!b || b->pid != getpid()) return;
  if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
  if (b->mock) rd_kafka_mock_cluster_destroy(b->mock);
  if (b->rk) rd_kafka_destroy(b->rk); /* it talks to nobody: returns at once */
  rfl_free(b->servers);
  rfl_free(b);
}

enum rfl_code rfl_broker_create_topic(struct rfl_broker *b, const char *topic,
                                      int32_t partitions, struct rfl_err *err) {
  RFL_TRY(rfl_pid_here(b->pid, "embedded broker", err));
  RFL_TRY(rfl_topic_name_check(topic, err));
  if (partitions < 1) partitions = RFL_BROKER_PARTITIONS;
  if (partitions > 1000)
    return rfl_fail(err, RFL_EARGUMENT,
                    "the embedded broker takes at most 1,000 partitions a topic, not %ld",
                    (long)partitions);
  rd_kafka_resp_err_t error =
      rd_kafka_mock_topic_create(b->mock, topic, (int)partitions, 1);
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
    return rfl_fail(err, RFL_EBROKER, "the topic `%s` exists already", topic);
  if (error)
    return rfl_fail(err, RFL_EBROKER, "the topic `%s` cannot be created: %s", topic,
                    rd_kafka_err2str(error));
  return RFL_OK;
}

enum rfl_code rfl_broker_connect(struct rfl_broker *b, const struct rfl_kafka_options *o,
                                 struct rfl_kafka **gives, struct rfl_err *err) {
  RFL_TRY(rfl_pid_here(b->pid, "embedded broker", err));
  struct rfl_kafka_options options = {0};
  if (o) options = *o;
  options.brokers = b->servers;
  return rfl_kafka_connect(&options, b, gives, err);
}

const char *rfl_broker_servers(const struct rfl_broker *b) { return b->servers; }
int rfl_broker_nodes(const struct rfl_broker *b) { return b->nodes; }
rd_kafka_mock_cluster_t *rfl_broker_mock(struct rfl_broker *b) { return b->mock; }

static int64_t sum(const int64_t *x, int32_t n) {
  int64_t s = 0;
  for (int32_t i = 0; i < n; i++) s += x[i];
  return s;
}

enum rfl_code rfl_kafka_kept(struct rfl_kafka *k, const char *topic, int64_t *gives_kept,
                             int64_t *gives_gone, struct rfl_err *err) {
  int32_t n = 0;
  int64_t *low = NULL, *high = NULL;
  RFL_TRY(rfl_kafka_offsets(k, topic, NULL, &n, NULL, &low, &high, err));
  *gives_gone = k->broker ? sum(low, n) : 0; /* a real log's start moves by its rules */
  *gives_kept = sum(high, n) - sum(low, n);
  rfl_free(low);
  rfl_free(high);
  return RFL_OK;
}
