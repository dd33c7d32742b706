/* The embedded broker: librdkafka's mock cluster in this process, honest about what it
 * cannot do (it keeps 5 MB a partition and forgets the rest; no transactions' isolation,
 * no deleting, no settings, no ACL).
 *
 *     RFL_TRY(rfl_broker_new(1, &broker, err));
 *     RFL_TRY(rfl_broker_create_topic(broker, "clicks", 8, err));
 *     RFL_TRY(rfl_broker_connect(broker, &options, &k, err));    // k keeps the broker
 * alive
 *
 * (options NULL: the defaults; their `brokers` is not looked at.)
 *
 * Reference counted; the cluster goes when the last holder has gone. Does nothing in a
 * forked child. */
#ifndef RFL_KAFKA_BROKER_H
#define RFL_KAFKA_BROKER_H
#include "kafka/client.h"

enum { RFL_BROKER_PARTITIONS = 8 }; /* of a topic whose number nobody named */
struct rfl_broker;
enum rfl_code rfl_broker_new(int nodes, struct rfl_broker **gives,
                             struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_broker_create_topic(struct rfl_broker *, const char *topic,
                                      int32_t partitions,
                                      struct rfl_err *) RFL_CHECKED; /* < 1: 8 of them */
enum rfl_code rfl_broker_connect(struct rfl_broker *, const struct rfl_kafka_options *,
                                 struct rfl_kafka **gives, struct rfl_err *) RFL_CHECKED;
const char *rfl_broker_servers(const struct rfl_broker *); /* "127.0.0.1:41231" */
void rfl_broker_release(struct rfl_broker *);

/* How much of a topic is there, in positions, and how many records the embedded broker
 * has forgotten (always 0 on a real one, where retention is the owner's wish). */
enum rfl_code rfl_kafka_kept(struct rfl_kafka *, const char *topic, int64_t *gives_kept,
                             int64_t *gives_gone, struct rfl_err *) RFL_CHECKED;

#endif
