/* A librdkafka consumer with explicit positions (no group is joined) whose partitions all
 * deliver into one data queue of our own.
 *
 *     struct rfl_consumer c = {0};
 *     RFL_TRY(rfl_consumer_open(&c, k, &plan, err));
 *     n = rfl_consumer_serve(&c, &serve, 1000, 50);    // calls serve.see(), never waits
 * when something is there
 *     rfl_consumer_close(&c);
 *
 * What comes: messages, and messages with `err` set: _PARTITION_EOF (offset: where),
 * _AUTO_OFFSET_RESET (a position that is not there any more), broker errors. One handle
 * for one reading: librdkafka forgets a forwarded queue when it is assigned again.
 *
 * Threads: one at a time; rfl_consumer_wake() [any]. */
#ifndef RFL_KAFKA_CONSUMER_H
#define RFL_KAFKA_CONSUMER_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kafka/client.h"
#include "kafka/news.h"

struct rfl_consumer_plan {
  const char *topic;
  int32_t n; /* partitions 0 .. n - 1 */
  const int64_t *from;
  const bool *skip; /* not read at all; NULL: none is skipped */
  size_t memory;    /* bytes that librdkafka may queue */
};
struct rfl_consumer {
  rd_kafka_t *rk;
  rd_kafka_queue_t *data, *events;
  rd_kafka_topic_partition_list_t *list; /* what is assigned */
  struct rfl_news news;
  size_t full;     /* the queue's length at which librdkafka stops fetching */
  bool needs_kick; /* before 2.2: it does not resume fast by itself */
  bool was_full;   /* and has not been woken since */
};
enum rfl_code rfl_consumer_open(struct rfl_consumer *gives, struct rfl_kafka *,
                                const struct rfl_consumer_plan *,
                                struct rfl_err *) RFL_CHECKED;
enum { RFL_CONSUMER_BATCH = 4000 };
struct rfl_serve {
  /* The message lives for the call. false: enough; what was taken with it may be dropped,
   * so that the reading is over or begins anew. */
  bool (*see)(void *data, const rd_kafka_message_t *);
  void *data;
};
/* At most `n` messages, and at most RFL_CONSUMER_BATCH; waits up to `wait_ms` for the
 * first one only. Gives how many were taken, seen or not: less than that means that no
 * more were there. */
size_t rfl_consumer_serve(struct rfl_consumer *, const struct rfl_serve *, size_t n,
                          int wait_ms);
void rfl_consumer_news(struct rfl_consumer *); /* takes what librdkafka has to say */
void rfl_consumer_wake(struct rfl_consumer *); /* [any] serve() returns now */
/* The partition is done: fetch no more of it. */
void rfl_consumer_stop(struct rfl_consumer *, const char *topic, int32_t partition);
void rfl_consumer_close(struct rfl_consumer *); /* a zeroed one is fine */

#endif
