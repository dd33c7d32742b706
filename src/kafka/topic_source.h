/* A topic as a source of frames. A drain thread takes librdkafka's messages from an own
 * data queue (so that librdkafka's queue never fills), decodes them at once into columns
 * and puts frames into a bounded ring; next() takes them out.
 *
 *     struct rfl_topic_source_options o = {.topic = "clicks", .from = {.kind =
 * RFL_EARLIEST}, .bounded = true, .to = {.kind = RFL_LATEST}};
 *     RFL_TRY(rfl_topic_source_new(k, &o, schema, decoder, &source, err));
 *     RFL_TRY(source->start(source, NULL, err));
 *
 * Fills the schema's meta fields; the decoder fills the others. */
#ifndef RFL_KAFKA_TOPIC_SOURCE_H
#define RFL_KAFKA_TOPIC_SOURCE_H
#include "frame/flow.h"
#include "kafka/client.h"

enum rfl_on_bad {
  RFL_BAD_FAIL,
  RFL_BAD_SKIP,
  RFL_BAD_KEEP
}; /* KEEP: a row of NA with .error and .raw, where the schema has them */
struct rfl_topic_source_options {
  const char *topic;
  struct rfl_at from;
  bool bounded;
  struct rfl_at to; /* bounded: fixed at the first start() */
  enum rfl_on_bad on_bad;
  bool warn_on_loss; /* false: positions that have expired are RFL_ELOSS; true: counted in
                        the tally */
  double max_records;  /* rows given at most, in canonical order is not promised: for
                          head(); INFINITY: all */
  size_t memory;       /* bytes for librdkafka's queue and the ring; 0: 128 MB, at least
                          4 MB */
  uint32_t frame_rows; /* a frame is handed over at this many rows or when the queue runs
                          empty; 0: 8,192 */
};
/* Takes the decoder (also on failure); borrows nothing else: keeps k and schema. */
enum rfl_code rfl_topic_source_new(struct rfl_kafka *,
                                   const struct rfl_topic_source_options *,
                                   struct rfl_schema *, struct rfl_decoder *takes,
                                   struct rfl_source **gives,
                                   struct rfl_err *) RFL_CHECKED;
/* The fixed ends of a bounded source, after start(); borrowed. */
const struct rfl_cursor *rfl_topic_source_ends(const struct rfl_source *);
/* What the source is struggling with now ("localhost:9092 (Connection refused)"), or "":
 * an unbounded source goes on trying and gives IDLE meanwhile; a bounded one gives up
 * with RFL_ETIMEOUT after six of the connection's timeouts without a record. [any] */
void rfl_topic_source_trouble(const struct rfl_source *, char *to, size_t size);

/* Raw records, for guess_schema(): the values of at most `n` records from `at` on, spread
 * over the partitions; each by rfl_free, p NULL: tombstone. */
enum rfl_code rfl_kafka_peek(struct rfl_kafka *, const char *topic,
                             const struct rfl_at *at, size_t n, struct rfl_bytes **gives,
                             size_t *gives_n, struct rfl_err *) RFL_CHECKED;

#endif
