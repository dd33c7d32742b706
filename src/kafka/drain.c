/* The drain thread.
 *
 *     librdkafka's        own data      batches       decoder,        ring of
 *     broker threads  ->  queue     ->  of 4,000  ->  builder     ->  frames   -> next()
 *
 * It never leaves messages lying in librdkafka's queue while there is room in the ring:
 * a full queue puts librdkafka to sleep (consumer.c). When the ring is full it does not
 * touch the data queue, goes on taking librdkafka's news, and looks again every 100 ms.
 *
 * A frame goes into the ring when it has frame_rows rows, or when the data queue has run
 * empty and the reader has nothing left: a reader that keeps up sees every record at
 * once, one that does not gets full frames. A reader that takes the last frame wakes the
 * thread, so that rows held back for a fuller frame follow at once.
 *
 * Positions. A lane knows which offset it expects next. Smaller: librdkafka repeats
 * itself; cut and counted. Larger: the log has a gap there (control records, compaction),
 * since positions that are gone come as an error and never as a jump
 * (auto.offset.reset = error). A lane is done when a record at or past its end was seen,
 * or an end-of-partition event there: the last position may hold a control record that
 * is never seen. */
#include "kafka/drain.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kafka/inside.h"

/* What librdkafka may queue, however much memory there is: a hundredth of a second at
 * full speed. A longer queue only means that the messages have left the processor's cache
 * when their turn comes (measured: 5 to 8 % of the processor time). */
enum { QUEUE_MOST = 16 << 20, SLICE_MS = 50, STOP_S = 10 };

static void lane_done(struct rfl_drain *d, int32_t p) {
  struct rfl_lane *lane = &d->lane[p];
  if (lane->done) return;
  lane->done = true;
  d->left--;
  if (d->consumer.rk && d->left) rfl_consumer_stop(&d->consumer, d->topic, p);
}

/* ---- runs ---- */

/* Rows of one partition at offsets without a gap are told to the builder together. */
static enum rfl_code close_run(struct rfl_drain *d, struct rfl_err *err) {
  int32_t p = d->at;
  if (p < 0) return RFL_OK;
  uint32_t rows = rfl_builder_rows(d->builder), before = d->placed;
  d->at = -1;
  d->placed = rows;
  return rfl_builder_place(d->builder, (uint32_t)p, d->lane[p].expected - 1,
                           rows - before, err);
}

/* Notes where the next row stands; the run is open once that row is there. */
static enum rfl_code note_run(struct rfl_drain *d, int64_t offset, struct rfl_err *err) {
  RFL_TRY(close_run(d, err));
  if (d->n_runs == d->run_cap) {
    size_t cap = d->run_cap ? d->run_cap * 2 : 16;
    struct rfl_run *more = rfl_grow(d->run, cap, sizeof *more);
    if (!more) return rfl_no_memory(err);
    d->run = more;
    d->run_cap = cap;
  }
  uint32_t row = rfl_builder_rows(d->builder);
  d->run[d->n_runs++] = (struct rfl_run){.row = row, .offset = offset};
  return RFL_OK;
}

/* Positions below `next` hold nothing. */
static enum rfl_code skip_to(struct rfl_drain *d, int32_t p, int64_t next,
                             struct rfl_err *err) {
  struct rfl_lane *lane = &d->lane[p];
  if (next > lane->end) next = lane->end;
  if (next > lane->expected) {
    RFL_TRY(close_run(d, err));
    RFL_TRY(rfl_builder_skip_to(d->builder, (uint32_t)p, next, err));
    lane->expected = next;
    d->moved = true;
  }
  if (lane->expected >= lane->end) lane_done(d, p);
  return RFL_OK;
}

/* ---- handing over ---- */

static enum rfl_code hand_over(struct rfl_drain *d, struct rfl_err *err) {
  if (!d->moved) return RFL_OK;
  RFL_TRY(close_run(d, err));
  struct rfl_crate *c = rfl_alloc(1, sizeof *c);
  if (!c) return rfl_no_memory(err);
  c->bytes = rfl_builder_bytes(d->builder) + d->run_cap * sizeof *d->run;
  enum rfl_code code = rfl_builder_finish(d->builder, &c->frame, err);
  if (code) {
    rfl_free(c);
    return code;
  }
  c->run = d->run;
  c->n_runs = d->n_runs;
  d->run = NULL;
  d->n_runs = d->run_cap = 0;
  d->placed = 0;
  d->moved = false;
  d->taken = 0;
  rfl_ring_put(&d->ring, c);
  return RFL_OK;
}

/* ---- what comes ---- */

static enum rfl_code gone(struct rfl_drain *d, int32_t p, int64_t low,
                          struct rfl_err *err) {
  struct rfl_lane *lane = &d->lane[p];
  if (!d->warn_on_loss)
    return rfl_fail(err, RFL_ELOSS,
                    "topic `%s`, partition %ld: offset %lld was expected, but the topic "
                    "now begins at %lld: the records between are gone",
                    d->topic, (long)p, (long long)lane->expected, (long long)low);
  int64_t upto = low < lane->end ? low : lane->end;
  rfl_builder_tally(d->builder)->lost += (uint64_t)(upto - lane->expected);
  return skip_to(d, p, upto, err);
}

/* The position we wanted is not in the log: it has expired, or the log ends before it. Or
 * it is there after all. librdkafka has stopped reading the partition and will not seek
 * in it, so that reading goes on with a new handle. */
static enum rfl_code out_of_range(struct rfl_drain *d, int32_t p, struct rfl_err *err) {
  struct rfl_lane *lane = &d->lane[p];
  int64_t low = 0, high = 0;
  rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
      d->consumer.rk, d->topic, p, &low, &high, d->k->timeout_ms);
  if (error) return rfl_kafka_trouble(d->k, error, "asking for offsets", err);
  if (lane->expected > high)
    return rfl_fail(err, RFL_ELOSS,
                    "topic `%s`, partition %ld: offset %lld was expected, but the topic "
                    "ends at %lld: was it deleted and made again?",
                    d->topic, (long)p, (long long)lane->expected, (long long)high);
  if (low > lane->expected) RFL_TRY(gone(d, p, low, err));
  if (!lane->done) d->reopen = true;
  return RFL_OK;
}

static bool is_lasting(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
         error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
         error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
         error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
         error == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
         error == RD_KAFKA_RESP_ERR__BAD_MSG ||
         error == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
         error == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED || error == RD_KAFKA_RESP_ERR__FATAL;
}

static enum rfl_code see_error(struct rfl_drain *d, const rd_kafka_message_t *m,
                               struct rfl_err *err) {
  int32_t p = m->partition;
  bool ours = p >= 0 && p < d->n && !d->lane[p].done;
  if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
    return ours ? skip_to(d, p, m->offset, err) : RFL_OK;
  if (ours && rfl_kafka_code(m->err) == RFL_ELOSS) return out_of_range(d, p, err);
  if (is_lasting(m->err))
    return rfl_fail(err, rfl_kafka_code(m->err), "the topic `%s` cannot be read: %s",
                    d->topic, rd_kafka_message_errstr(m));
  rfl_ring_say(&d->ring, rd_kafka_message_errstr(m)); /* librdkafka tries again */
  return RFL_OK;
}

static enum rfl_code see_record(struct rfl_drain *d, const rd_kafka_message_t *m,
                                struct rfl_err *err) {
  int32_t p = m->partition;
  if (p < 0 || p >= d->n || d->lane[p].done) return RFL_OK;
  struct rfl_lane *lane = &d->lane[p];
  if (m->offset < lane->expected) {
    rfl_builder_tally(d->builder)->repeated++;
    return RFL_OK;
  }
  if (m->offset > lane->expected) RFL_TRY(skip_to(d, p, m->offset, err));
  if (lane->done) return RFL_OK;
  uint32_t rows = 0;
  if (p != d->at) RFL_TRY(note_run(d, m->offset, err));
  RFL_TRY(rfl_record_take(&d->record, d->decoder, d->builder, m, &rows, err));
  d->at = p;
  d->moved = true;
  d->taken += m->len + m->key_len;
  d->most -= rows;
  lane->expected = m->offset + 1;
  if (!rows) RFL_TRY(close_run(d, err));
  if (lane->expected >= lane->end) lane_done(d, p);
  bool full = rfl_builder_rows(d->builder) >= d->frame_rows || d->taken > d->memory / 16;
  return full ? hand_over(d, err) : RFL_OK;
}

/* ---- the handle ---- */

/* Puts the consumer in its place, where the reader's thread may wake it. */
static void put_consumer(struct rfl_drain *d, const struct rfl_consumer *consumer) {
  pthread_mutex_lock(&d->ring.lock);
  d->consumer = *consumer;
  pthread_mutex_unlock(&d->ring.lock);
}

static void close_consumer(struct rfl_drain *d) {
  const struct rfl_consumer none = {0};
  struct rfl_consumer old = d->consumer;
  put_consumer(d, &none);
  rfl_consumer_close(&old);
}

static enum rfl_code open_consumer(struct rfl_drain *d, struct rfl_err *err) {
  int64_t *from = rfl_alloc((size_t)d->n, sizeof *from);
  bool *skip = rfl_alloc((size_t)d->n, sizeof *skip);
  enum rfl_code code = RFL_OK;
  if (!from || !skip) code = rfl_no_memory(err);
  for (int32_t p = 0; !code && p < d->n; p++) {
    from[p] = d->lane[p].expected;
    skip[p] = d->lane[p].done;
  }
  size_t memory = d->memory / 4 * 3;
  struct rfl_consumer_plan plan = {.topic = d->topic,
                                   .n = d->n,
                                   .from = from,
                                   .skip = skip,
                                   .memory = memory < QUEUE_MOST ? memory : QUEUE_MOST};
  struct rfl_consumer consumer = {0};
  if (!code) code = rfl_consumer_open(&consumer, d->k, &plan, err);
  if (!code) put_consumer(d, &consumer);
  rfl_free(from);
  rfl_free(skip);
  return code;
}

/* What the old handle had queued and was not seen is fetched again. */
static enum rfl_code reopen(struct rfl_drain *d, struct rfl_err *err) {
  d->reopen = false;
  if (!d->left) return RFL_OK;
  close_consumer(d);
  return open_consumer(d, err);
}

/* ---- the thread ---- */

static enum rfl_code too_quiet(struct rfl_drain *d, struct rfl_err *err) {
  int32_t p = 0;
  while (p + 1 < d->n && d->lane[p].done) p++;
  char said[512];
  rfl_news_say(&d->consumer.news, said, sizeof said);
  return rfl_fail(err, RFL_ETIMEOUT,
                  "nothing came from topic `%s`, partition %ld, offset %lld on for %g s, "
                  "although it goes on to %lld%s%s",
                  d->topic, (long)p, (long long)d->lane[p].expected,
                  RFL_PATIENCE * d->k->timeout_ms / 1000.0, (long long)d->lane[p].end,
                  said[0] ? ": " : "", said);
}

static void all_is_well(struct rfl_drain *d) {
  d->progress_ns = rfl_now_ns();
  if (!d->consumer.news.error) return;
  memset(&d->consumer.news, 0, sizeof d->consumer.news);
  rfl_ring_say(&d->ring, "");
}

static bool see(void *data, const rd_kafka_message_t *m) {
  struct rfl_drain *d = data;
  if (!m->err || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) d->good = true;
  d->code = m->err ? see_error(d, m, d->err) : see_record(d, m, d->err);
  return !d->code && d->most > 0 && d->left && !d->reopen;
}

static void take_news(struct rfl_drain *d) {
  rd_kafka_resp_err_t before = d->consumer.news.error;
  rfl_consumer_news(&d->consumer);
  if (d->consumer.news.error == before) return;
  char said[512];
  rfl_news_say(&d->consumer.news, said, sizeof said);
  rfl_ring_say(&d->ring, said);
}

static enum rfl_code turn(struct rfl_drain *d, struct rfl_err *err) {
  if (!rfl_ring_room(&d->ring, rfl_now_ns() + 100 * (int64_t)RFL_MS)) {
    d->progress_ns = rfl_now_ns(); /* the reader's pause is no silence */
    take_news(d);
    return RFL_OK;
  }
  size_t most = d->frame_rows < RFL_CONSUMER_BATCH ? d->frame_rows : RFL_CONSUMER_BATCH;
  struct rfl_serve serve = {.see = see, .data = d};
  d->code = RFL_OK;
  d->err = err;
  d->good = false;
  size_t n = rfl_consumer_serve(&d->consumer, &serve, most, SLICE_MS);
  take_news(d);
  if (d->good) all_is_well(d);
  if (d->code) return d->code;
  if (d->reopen) RFL_TRY(reopen(d, err));
  if (n < most && d->moved && rfl_ring_empty(&d->ring)) RFL_TRY(hand_over(d, err));
  int64_t patience = RFL_PATIENCE * d->k->timeout_ms * (int64_t)RFL_MS;
  if (d->consumer.news.refused || d->consumer.news.fatal)
    return rfl_fail(err, d->consumer.news.fatal ? RFL_EFATAL : RFL_EAUTH,
                    "the topic `%s` cannot be read: %s", d->topic,
                    d->consumer.news.reason);
  if (d->bounded && d->left && d->most > 0 && rfl_now_ns() - d->progress_ns > patience)
    return too_quiet(d, err);
  return RFL_OK;
}

static void *run(void *arg) {
  struct rfl_drain *d = arg;
  struct rfl_err why = {0}, late = {0};
  enum rfl_code code = RFL_OK;
  while (!code && d->left && d->most > 0 && !rfl_ring_stopped(&d->ring))
    code = turn(d, &why);
  /* The rows before what went wrong are good; what cannot even be handed over is worse.
   */
  enum rfl_code last = hand_over(d, &late);
  if (!code && last) {
    code = last;
    why = late;
  }
  rfl_ring_close(&d->ring, code, &why);
  return NULL;
}

/* ---- start and stop ---- */

/* The builder's places begin where the lanes do; positions that have expired since they
 * were noted are told, or counted. */
static enum rfl_code begin(struct rfl_drain *d, struct rfl_err *err) {
  rfl_builder_clear(d->builder);
  d->moved = false;
  d->taken = 0;
  d->at = -1;
  d->placed = 0;
  d->n_runs = 0;
  d->left = d->n;
  d->reopen = false;
  for (int32_t p = 0; p < d->n; p++) {
    struct rfl_lane *lane = &d->lane[p];
    lane->done = false;
    rfl_builder_forget_place(d->builder, (uint32_t)p);
    RFL_TRY(rfl_builder_skip_to(d->builder, (uint32_t)p, lane->expected, err));
    if (lane->expected < lane->end && lane->expected < lane->low)
      RFL_TRY(gone(d, p, lane->low, err));
    if (lane->expected >= lane->end) lane_done(d, p);
  }
  return RFL_OK;
}

enum rfl_code rfl_drain_start(struct rfl_drain *d, struct rfl_err *err) {
  rfl_ring_reset(&d->ring, d->memory / 4);
  RFL_TRY(begin(d, err));
  if (!d->left || d->most <= 0) { /* nothing to read: the end is all there is */
    struct rfl_err none = {0};
    RFL_TRY(hand_over(d, err));
    rfl_ring_close(&d->ring, RFL_OK, &none);
    return RFL_OK;
  }
  RFL_TRY(open_consumer(d, err));
  d->progress_ns = rfl_now_ns();
  enum rfl_code code = rfl_thread_start(&d->thread, run, d, err);
  if (code)
    close_consumer(d);
  else
    d->running = true;
  return code;
}

void rfl_drain_hurry(struct rfl_drain *d) {
  pthread_mutex_lock(&d->ring.lock);
  if (d->consumer.data) rfl_consumer_wake(&d->consumer);
  pthread_mutex_unlock(&d->ring.lock);
}

bool rfl_drain_stop(struct rfl_drain *d) {
  if (d->running) {
    rfl_ring_stop(&d->ring);
    rfl_drain_hurry(d);
    if (!rfl_ring_await_close(&d->ring, rfl_now_ns() + STOP_S * (int64_t)RFL_SECOND)) {
      rfl_thread_leave(d->thread);
      return false;
    }
    pthread_join(d->thread, NULL);
    d->running = false;
    close_consumer(d);
  }
  rfl_ring_reset(&d->ring, 0);
  rfl_free(d->run);
  d->run = NULL;
  d->n_runs = d->run_cap = 0;
  return true;
}
