/* A sweep: the records of ranges of a topic's partitions, once, on the caller's thread,
 * handed to a function; no frames, no decoding. For looking at a topic and for positions
 * by time.
 *
 *     struct rfl_sweep s = {.topic = t, .n = n, .from = low, .to = high, .see = look,
 * .data = &me};
 *     RFL_TRY(rfl_sweep_run(k, &s, err));
 *
 * Ends when every partition was seen up to `to` or see() has had enough of it. */
#ifndef RFL_KAFKA_SWEEP_H
#define RFL_KAFKA_SWEEP_H
#include <librdkafka/rdkafka.h>

#include "kafka/client.h"

struct rfl_sweep {
  const char *topic;
  int32_t n; /* partitions */
  const int64_t *from, *to;
  /* *enough: no more of this partition. */
  enum rfl_code (*see)(void *data, const rd_kafka_message_t *, bool *enough,
                       struct rfl_err *);
  void *data;
};
/* RFL_ETIMEOUT when nothing comes for the connection's timeout. */
enum rfl_code rfl_sweep_run(struct rfl_kafka *, const struct rfl_sweep *,
                            struct rfl_err *) RFL_CHECKED;

#endif
