/* A topic as a sink: rows are encoded and produced, every delivery is confirmed or its
 * row is named.
 *
 *     struct rfl_topic_sink_options o = {.topic = "scores", .key_column = 0};
 *     RFL_TRY(rfl_topic_sink_new(k, &o, encoder, &sink, err));
 *     RFL_TRY(sink->put(sink, batch, frame, err));
 *     RFL_TRY(sink->flush(sink, until_ns, &failed, err));
 *
 * Idempotent producer, acks = all, linger 5 ms, zstd or lz4. A full queue is waited out
 * (polling), never an error by itself. */
#ifndef RFL_KAFKA_TOPIC_SINK_H
#define RFL_KAFKA_TOPIC_SINK_H
#include "frame/flow.h"
#include "kafka/client.h"

enum { RFL_HEADERS_MOST = 32 };
struct rfl_topic_sink_options {
  const char *topic;
  ptrdiff_t key_column; /* of the frames put, -1: no key. Its text is the key; missing: a
                           null key */
  ptrdiff_t timestamp_column; /* -1: now */
  ptrdiff_t partition_column; /* -1: by the key's murmur2 hash, as Java's producer */
  size_t n_headers; /* at most RFL_HEADERS_MOST; a missing value's header is left out */
  const char *const *header; /* names, and columns of their text; both borrowed */
  const ptrdiff_t *header_column;
  bool report; /* keep (partition, offset) of each row, for kafka_produce() */
};
/* Takes the encoder (also on failure). NULL encoder: the value is the frame's first
 * column, string or raw, as it is. */
enum rfl_code rfl_topic_sink_new(struct rfl_kafka *,
                                 const struct rfl_topic_sink_options *,
                                 struct rfl_encoder *takes, struct rfl_sink **gives,
                                 struct rfl_err *) RFL_CHECKED;
/* Of the rows put since the last flush that returned RFL_OK, in order: partition and
 * offset, -1 for a row that failed. Borrowed until the next put. */
size_t rfl_topic_sink_report(const struct rfl_sink *, const int32_t **partition,
                             const int64_t **offset);
/* On the embedded broker: RFL_ELOSS when records of the topic that were delivered are
 * gone again (5 MB a partition). */
enum rfl_code rfl_topic_sink_check_kept(const struct rfl_sink *,
                                        struct rfl_err *) RFL_CHECKED;

#endif
