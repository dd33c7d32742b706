/* Records to rows: one message of librdkafka becomes one row of a builder, or is bad.
 *
 *     RFL_TRY(rfl_record_init(&r, topic, schema, on_bad, err));
 *     code = rfl_record_take(&r, decoder, builder, message, &rows, err);
 *
 * Borrows what it is given. */
#ifndef RFL_KAFKA_RECORD_H
#define RFL_KAFKA_RECORD_H
#include <librdkafka/rdkafka.h>

#include "frame/flow.h"
#include "kafka/topic_source.h"

enum { RFL_N_METAS = RFL_META_RAW + 1 };
struct rfl_record {
  const char *topic;
  size_t topic_size;
  const struct rfl_schema *schema;
  ptrdiff_t column[RFL_N_METAS]; /* -1: the schema has no such field */
  bool plain;                    /* it has none at all */
  enum rfl_on_bad on_bad;
};
/* RFL_ESCHEMA when a meta field has a type that it cannot have. */
enum rfl_code rfl_record_init(struct rfl_record *, const char *topic,
                              const struct rfl_schema *, enum rfl_on_bad,
                              struct rfl_err *) RFL_CHECKED;
/* Adds a row, counts the record in the builder's tally. *rows is 0 for a bad record that
 * was skipped. RFL_EDATA (on_bad = fail) names topic, partition, offset, field, reason.
 */
enum rfl_code rfl_record_take(const struct rfl_record *, struct rfl_decoder *,
                              struct rfl_builder *, const rd_kafka_message_t *,
                              uint32_t *rows, struct rfl_err *) RFL_CHECKED;

#endif
