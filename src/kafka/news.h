/* News: what librdkafka had to say about its brokers. It reports errors as events of a
 * queue (nothing is ever printed); whoever polls the queue hands them in, and messages
 * are made of the newest.
 *
 *     rfl_news_poll(&news, events);                       // empties the queue, never
 * waits
 *     rfl_news_say(&news, text, sizeof text);   // "localhost:9092 (Connection refused)"
 *
 * A plain value; its owner guards it. */
#ifndef RFL_KAFKA_NEWS_H
#define RFL_KAFKA_NEWS_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct rfl_news {
  rd_kafka_resp_err_t
      error;        /* the newest that a broker gave; 0: none since it was clear */
  char where[160];  /* "localhost:9092" */
  char reason[320]; /* "Connection refused" */
  bool refused;     /* login or TLS: waiting will not help */
  bool fatal;       /* the handle cannot go on */
};

/* One event: errors and logs are noted, every other kind is left alone (false). */
bool rfl_news_take(struct rfl_news *, rd_kafka_event_t *);
void rfl_news_poll(struct rfl_news *, rd_kafka_queue_t *);
/* "localhost:9092 (Connection refused)", or "" when there is nothing to say. */
void rfl_news_say(const struct rfl_news *, char *to, size_t size);
/* The kind of failure that an error of librdkafka is. */
enum rfl_code rfl_kafka_code(rd_kafka_resp_err_t);

#endif
