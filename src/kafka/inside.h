/* The inside of a connection, for the files of this floor: the settings, the librdkafka
 * handle for questions, and how handles are made and let go.
 *
 * Threads: `lock` guards news and nodes; everything else is constant after
 * rfl_kafka_new(). librdkafka's handle may be asked by several threads at once, so that a
 * query's thread and R's may both hold a connection. */
#ifndef RFL_KAFKA_INSIDE_H
#define RFL_KAFKA_INSIDE_H
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "kafka/broker.h"
#include "kafka/client.h"
#include "kafka/news.h"

/* How many of the connection's timeouts a bounded read, or a sink whose queue is full,
 * bears without any progress: 30 s by default, time enough for a leader to be elected. */
enum { RFL_PATIENCE = 6 };

struct rfl_kafka {
  _Atomic int32_t refs;
  pid_t pid;      /* whose threads serve the handle: a forked child has none of them */
  pthread_t home; /* the only thread on which `tick` is asked */
  struct rfl_tick tick;
  char *brokers;
  size_t n; /* properties */
  char **key, **value;
  int32_t timeout_ms;
  struct rfl_broker *broker; /* kept; NULL: a real cluster */
  rd_kafka_t *rk; /* a consumer that never consumes: it knows the isolation level */
  rd_kafka_queue_t *events;
  pthread_mutex_t lock;
  struct rfl_news news; /* lock */
  int nodes;            /* lock */
};

/* ---- conf.c ---- */
enum rfl_role { RFL_ASKS, RFL_CONSUMES, RFL_PRODUCES };
/* The settings of a handle: ours, then the user's, then those that the contracts rest on.
 * RFL_ECONFIG names a property that is unknown, refused or not accepted; a secret's value
 * is never in a message. */
enum rfl_code rfl_conf_new(const struct rfl_kafka *, enum rfl_role,
                           rd_kafka_conf_t **gives, struct rfl_err *) RFL_CHECKED;
/* Whether the user gave the property. */
bool rfl_conf_given(const struct rfl_kafka *, const char *key);
/* One setting of ours; RFL_ECONFIG when librdkafka does not take it. */
enum rfl_code rfl_conf_set(rd_kafka_conf_t *, const char *key, const char *value,
                           struct rfl_err *) RFL_CHECKED;
/* Replaces the value of every secret property that stands in `text` by stars. */
void rfl_conf_mask(const struct rfl_kafka *, char *text);
/* Takes the conf (also on failure); the handle's errors and logs go to its main queue. */
enum rfl_code rfl_handle_new(const struct rfl_kafka *, rd_kafka_type_t,
                             rd_kafka_conf_t *takes, rd_kafka_t **gives,
                             struct rfl_err *) RFL_CHECKED;
/* Destroys a handle on a thread of its own and waits 5 s at most: a name look-up that
 * hangs must not hang R. Its queues must be gone. NULL is fine. */
void rfl_handle_release(rd_kafka_t *);

/* ---- client.c ---- */
/* RFL_EBUSY in a forked child. */
enum rfl_code rfl_kafka_here(const struct rfl_kafka *, struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_pid_here(pid_t, const char *what, struct rfl_err *) RFL_CHECKED;
/* false: the host wants to leave (RFL_EHOST). */
bool rfl_kafka_go_on(const struct rfl_kafka *);
/* What a failed question is told as, with what the brokers said. */
enum rfl_code rfl_kafka_trouble(struct rfl_kafka *, rd_kafka_resp_err_t, const char *what,
                                struct rfl_err *) RFL_CHECKED;
/* New connection to the cluster of `broker` (kept), or a real one (NULL). */
enum rfl_code rfl_kafka_connect(const struct rfl_kafka_options *, struct rfl_broker *,
                                struct rfl_kafka **gives, struct rfl_err *) RFL_CHECKED;

/* ---- question.c ---- */
/* All topics; by rd_kafka_metadata_destroy(). */
enum rfl_code rfl_ask_metadata(struct rfl_kafka *, const struct rd_kafka_metadata **gives,
                               struct rfl_err *) RFL_CHECKED;
/* The topic's entry in the list of all topics, or NULL. */
const rd_kafka_metadata_topic_t *rfl_metadata_topic(const struct rd_kafka_metadata *,
                                                    const char *topic);
/* RFL_EBROKER "there is no topic `adclick`; did you mean `adclicks`?" */
enum rfl_code rfl_no_topic(const struct rd_kafka_metadata *, const char *topic,
                           struct rfl_err *) RFL_CHECKED;
/* Asks the leaders for one offset in each of n partitions; in: time[p] (ms, or the two
 * below), out: offset[p]. */
#define RFL_TIME_LATEST (-1)
#define RFL_TIME_EARLIEST (-2)
enum rfl_code rfl_ask_offsets(struct rfl_kafka *, const char *topic, int32_t n,
                              int64_t *inout, struct rfl_err *) RFL_CHECKED;

/* ---- broker.c ---- */
struct rfl_broker *rfl_broker_keep(struct rfl_broker *);
rd_kafka_mock_cluster_t *rfl_broker_mock(struct rfl_broker *);
int rfl_broker_nodes(const struct rfl_broker *);

/* ---- admin.c ---- */
/* Kafka's rules: 1 to 249 of [A-Za-z0-9._-], not "." or "..". RFL_EARGUMENT. */
enum rfl_code rfl_topic_name_check(const char *topic, struct rfl_err *) RFL_CHECKED;

#endif
