/* Positions in every partition of a topic.
 *
 * The embedded broker does not answer by time. There we read: from the start of each
 * partition to the first record at or past the time. That is at most what it keeps (5 MB
 * a partition), and exact also where timestamps go back and forth, as a real broker's
 * answer is; a bisection would not be. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kafka/inside.h"
#include "kafka/sweep.h"

struct borders { /* of n partitions; each array by rfl_free */
  int32_t n;
  int64_t *at, *low, *high;
};

static void release(struct borders *b) {
  rfl_free(b->at);
  rfl_free(b->low);
  rfl_free(b->high);
}

static enum rfl_code make(struct borders *b, struct rfl_err *err) {
  b->at = rfl_alloc((size_t)b->n, sizeof *b->at);
  b->low = rfl_alloc((size_t)b->n, sizeof *b->low);
  b->high = rfl_alloc((size_t)b->n, sizeof *b->high);
  return b->at && b->low && b->high ? RFL_OK : rfl_no_memory(err);
}

static void fill(int64_t *x, int32_t n, int64_t value) {
  for (int32_t p = 0; p < n; p++) x[p] = value;
}

struct search {
  int64_t time_ms;
  int64_t *at;
};

static enum rfl_code look(void *data, const rd_kafka_message_t *m, bool *enough,
                          struct rfl_err *err) {
  (void)err;
  struct search *s = data;
  rd_kafka_timestamp_type_t type;
  if (rd_kafka_message_timestamp(m, &type) < s->time_ms) return RFL_OK;
  s->at[m->partition] = m->offset;
  *enough = true;
  return RFL_OK;
}

static enum rfl_code at_time(struct rfl_kafka *k, const char *topic, int64_t time_ms,
                             struct borders *b, struct rfl_err *err) {
  if (k->broker) {
    memcpy(b->at, b->high, (size_t)b->n * sizeof *b->at);
    struct search me = {.time_ms = time_ms, .at = b->at};
    struct rfl_sweep sweep = {.topic = topic,
                              .n = b->n,
                              .from = b->low,
                              .to = b->high,
                              .see = look,
                              .data = &me};
    return rfl_sweep_run(k, &sweep, err);
  }
  /* Negative times are Kafka's own words for ends; before 1970 there are no records. */
  fill(b->at, b->n, time_ms < 0 ? 0 : time_ms);
  RFL_TRY(rfl_ask_offsets(k, topic, b->n, b->at, err));
  for (int32_t p = 0; p < b->n; p++)
    if (b->at[p] < 0) b->at[p] = b->high[p];
  return RFL_OK;
}

static enum rfl_code at_cursor(const char *topic, const struct rfl_cursor *cursor,
                               struct borders *b, struct rfl_err *err) {
  for (int32_t p = 0; p < b->n; p++) {
    const struct rfl_place *place = cursor ? rfl_cursor_find(cursor, topic, p) : NULL;
    if (!place)
      return rfl_fail(err, RFL_EARGUMENT,
                      "the offsets must name every partition: partition %ld of `%s` is "
                      "missing",
                      (long)p, topic);
    if (place->next < 0 || place->next > b->high[p])
      return rfl_fail(err, RFL_EARGUMENT,
                      "offset %lld is not in topic `%s`, partition %ld: it has %lld to "
                      "%lld",
                      (long long)place->next, topic, (long)p, (long long)b->low[p],
                      (long long)b->high[p]);
    b->at[p] = place->next;
  }
  for (size_t i = 0; cursor && i < cursor->n; i++)
    if (strcmp(cursor->place[i].stream, topic) == 0 && cursor->place[i].shard >= b->n)
      return rfl_fail(err, RFL_EARGUMENT, "topic `%s` has no partition %ld", topic,
                      (long)cursor->place[i].shard);
  return RFL_OK;
}

static enum rfl_code resolve(struct rfl_kafka *k, const char *topic,
                             const struct rfl_at *at, struct borders *b,
                             struct rfl_err *err) {
  fill(b->low, b->n, RFL_TIME_EARLIEST);
  fill(b->high, b->n, RFL_TIME_LATEST);
  RFL_TRY(rfl_ask_offsets(k, topic, b->n, b->low, err));
  RFL_TRY(rfl_ask_offsets(k, topic, b->n, b->high, err));
  if (!at) return RFL_OK;
  switch (at->kind) {
    case RFL_EARLIEST:
      memcpy(b->at, b->low, (size_t)b->n * sizeof *b->at);
      return RFL_OK;
    case RFL_LATEST:
      memcpy(b->at, b->high, (size_t)b->n * sizeof *b->at);
      return RFL_OK;
    case RFL_AT_TIME:
      return at_time(k, topic, at->time_ms, b, err);
    case RFL_AT_CURSOR:
      return at_cursor(topic, at->cursor, b, err);
    default:
      return rfl_fail(err, RFL_EARGUMENT, "no such kind of position");
  }
}

static void give(int64_t **from, int64_t **to) {
  if (!to) return;
  *to = *from;
  *from = NULL;
}

enum rfl_code rfl_kafka_offsets(struct rfl_kafka *k, const char *topic,
                                const struct rfl_at *at, int32_t *gives_n,
                                int64_t **gives_at, int64_t **gives_low,
                                int64_t **gives_high, struct rfl_err *err) {
  struct borders b = {0};
  RFL_TRY(rfl_kafka_partitions(k, topic, &b.n, err));
  enum rfl_code code = make(&b, err);
  if (!code) code = resolve(k, topic, at, &b, err);
  if (!code) {
    *gives_n = b.n;
    give(&b.at, gives_at);
    give(&b.low, gives_low);
    give(&b.high, gives_high);
  }
  release(&b);
  return code;
}
