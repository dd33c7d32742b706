/* What the tests of this floor stand on: a broker, topics, records with known content,
 * and a decoder and an encoder as small as they can be (the kafka floor does not see
 * decode).
 *
 * The broker is the embedded one, or the real one that RIFFLE_KAFKA names; topics get
 * names that nobody has used. A value is "<integer>,<text>". */
#ifndef RFL_TEST_KAFKA_STAGE_H
#define RFL_TEST_KAFKA_STAGE_H
#include <stdbool.h>

#include "frame/flow.h"
#include "harness.h"
#include "kafka/inside.h"
#include "kafka/topic_sink.h"
#include "kafka/topic_source.h"

struct stage {
  struct rfl_broker *broker; /* NULL: a real one */
  struct rfl_kafka *k;
  char brokers[256];
};
extern struct stage stage; /* open between stage_open() and stage_close() */
int stage_open(int nodes); /* 0, or says why not */
void stage_close(void);
/* A new topic; the text lives until the next eight calls. */
const char *stage_topic(const char *name, int32_t partitions);
/* A connection of one's own, with properties "key=value" up to a NULL. */
struct rfl_kafka *stage_connect(int timeout_ms, const char *const *properties);

enum {
  STAGE_N,
  STAGE_TEXT,
  STAGE_PARTITION,
  STAGE_OFFSET,
  STAGE_TIME,
  STAGE_KEY,
  STAGE_TOPIC,
  STAGE_ERROR,
  STAGE_RAW,
  STAGE_COLUMNS
};
struct rfl_schema *stage_schema(void);
struct rfl_decoder *stage_decoder(void);
struct rfl_encoder *stage_encoder(void);

/* Raw production: partition -1 by key; NULL value: a tombstone; time 0: now. */
struct stage_record {
  int32_t partition;
  const char *key, *value;
  int64_t time_ms;
};
int stage_produce(const char *topic, const struct stage_record *, size_t n);
/* Records i = 0 .. n - 1 to partition i % partitions, value "i,w<i % 7>". */
int stage_count(const char *topic, int32_t partitions, int64_t n);

/* A source over the stage's schema; bounded to the end as of now unless changed. */
struct rfl_topic_source_options stage_options(const char *topic);
struct rfl_source *stage_source(struct rfl_kafka *,
                                const struct rfl_topic_source_options *,
                                struct rfl_err *);

/* Everything that next() gives until it says something other than ROWS. */
struct reading {
  enum rfl_code code;
  enum rfl_event event;
  int64_t rows, frames, sum; /* sum of the integers */
  int64_t next[128];         /* by partition: where the last span ended; -1: none */
  int64_t in_partition[128];
  bool ordered; /* spans and offsets went up, one after the other, in every partition */
  struct rfl_tally tally;
  struct rfl_err err;
};
struct stage_read {
  uint32_t max_rows;
  const struct rfl_cursor *upto;
  int64_t seconds; /* IDLE after this; 0: 20 */
};
void stage_read(struct rfl_source *, const struct stage_read *, struct reading *);

#endif
