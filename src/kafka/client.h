/* The Kafka cluster as one sees it from outside: who is there, which topics, which
 * offsets. One struct rfl_kafka is settings plus one librdkafka handle for questions;
 * sources and sinks make handles of their own from the settings.
 *
 *     struct rfl_kafka_options o = {.brokers = "localhost:9092", .timeout_ms = 5000};
 *     RFL_TRY(rfl_kafka_new(&o, &k, err));                 // asks for the metadata at
 * once: RFL_ETIMEOUT names host, port, reason RFL_TRY(rfl_kafka_topics(k, &topics, &n,
 * err)); rfl_kafka_release(k);
 *
 * Reference counted; [any] thread may keep, release and ask. Every call looks a topic's
 * name up in the list of all topics before it makes a handle for it: a typo never creates
 * a topic. In a forked child every call says so (RFL_EBUSY) and release does nothing.
 * Waiting is cut into slices of 100 ms with `tick` between them. Secrets (password,
 * secret, token, key.pem) never appear in messages. */
#ifndef RFL_KAFKA_CLIENT_H
#define RFL_KAFKA_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "frame/cursor.h"

struct rfl_tick { /* asked between slices of waiting, only on the thread that made the
                     connection; false: leave with RFL_EHOST */
  bool (*go_on)(void *data);
  void *data;
};
struct rfl_kafka_options {
  const char *brokers;
  size_t n; /* librdkafka properties */
  const char *const *key, *const *value;
  int32_t timeout_ms;
  struct rfl_tick tick; /* go_on NULL: never asked */
};
struct rfl_kafka;
enum rfl_code rfl_kafka_new(const struct rfl_kafka_options *, struct rfl_kafka **gives,
                            struct rfl_err *) RFL_CHECKED;
struct rfl_kafka *rfl_kafka_keep(struct rfl_kafka *);
void rfl_kafka_release(struct rfl_kafka *);
const char *rfl_kafka_brokers(const struct rfl_kafka *);
bool rfl_kafka_embedded(const struct rfl_kafka *);
const char *rfl_kafka_version_text(void); /* of the librdkafka in use */
/* Broker count and cluster description for print(), from the last metadata. */
int rfl_kafka_nodes(const struct rfl_kafka *);
/* What the embedded broker cannot do: RFL_EARGUMENT "`what` needs a real broker" there.
 */
enum rfl_code rfl_kafka_needs_real(const struct rfl_kafka *, const char *what,
                                   struct rfl_err *) RFL_CHECKED;

struct rfl_topic_info {
  char *name;
  int32_t partitions, replicas;
};
/* All topics but internal ones (name begins with "__"), sorted in C order. Freed by
 * rfl_topics_free. */
enum rfl_code rfl_kafka_topics(struct rfl_kafka *, struct rfl_topic_info **gives,
                               size_t *n, struct rfl_err *) RFL_CHECKED;
void rfl_topics_free(struct rfl_topic_info *, size_t n);
/* RFL_EBROKER "there is no topic `adclick`; did you mean `adclicks`?" */
enum rfl_code rfl_kafka_partitions(struct rfl_kafka *, const char *topic, int32_t *gives,
                                   struct rfl_err *) RFL_CHECKED;
/* partitions, replicas < 1: the cluster's default. *existed tells instead of failing when
 * `exists_ok`. */
enum rfl_code rfl_kafka_create_topic(struct rfl_kafka *, const char *topic,
                                     int32_t partitions, int32_t replicas, size_t n,
                                     const char *const *key, const char *const *value,
                                     bool exists_ok, bool *existed,
                                     struct rfl_err *) RFL_CHECKED;

enum rfl_position { RFL_EARLIEST, RFL_LATEST, RFL_AT_TIME, RFL_AT_CURSOR };
struct rfl_at { /* a position in every partition of a topic */
  enum rfl_position kind;
  int64_t time_ms; /* AT_TIME: the first offset with timestamp >= it, else the end */
  const struct rfl_cursor *cursor; /* AT_CURSOR: must name every partition; a number past
                                      the end is RFL_EARGUMENT */
};
/* Offsets of `at` (NULL: not asked), for every partition; low and high watermarks too
 * (each n = partitions; arrays given, by rfl_free; may be NULL when not wanted). The
 * embedded broker does not answer by time: there the records' timestamps are read. */
enum rfl_code rfl_kafka_offsets(struct rfl_kafka *, const char *topic,
                                const struct rfl_at *at, int32_t *gives_n,
                                int64_t **gives_at, int64_t **gives_low,
                                int64_t **gives_high, struct rfl_err *) RFL_CHECKED;

#endif
