/* A topic as a sink.
 *
 * Rows are numbered from the first put after a flush that succeeded: that window is what
 * the report and the messages speak of. The row's number rides through librdkafka as the
 * message's opaque pointer and comes back in its delivery report, which is an event of
 * the handle's main queue (with a callback, flush would poll in steps of 10 ms). A sink
 * never gives up on a row by itself: librdkafka tells of each one, after its
 * message.timeout.ms at the latest, and what failed is named. */
#include "kafka/topic_sink.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "kafka/inside.h"

enum { NAMED = 8, KEY_TEXT = 64 }; /* failed rows named in a message */

struct topic_sink {
  struct rfl_sink face; /* first */
  struct rfl_kafka *k;
  struct rfl_topic_sink_options options;
  char *topic;
  struct rfl_encoder *encoder;
  struct rfl_buf value;
  pid_t pid;
  rd_kafka_t *rk;
  rd_kafka_topic_t *rkt;
  rd_kafka_queue_t *events;
  struct rfl_news news;
  int64_t low_before; /* embedded: records that were gone when it was made */
  /* of the window */
  bool flushed; /* the next put begins a new one */
  size_t rows, waiting;
  int32_t *partition; /* with report */
  int64_t *offset;
  size_t cap;
  size_t n_failed, failed[NAMED];
  char reason[256]; /* of the first that failed */
};

static struct topic_sink *self(const struct rfl_sink *s) {
  return (struct topic_sink *)s;
}

/* ---- what became of a row ---- */

static void row_failed(struct topic_sink *s, size_t row, rd_kafka_resp_err_t error) {
  if (!s->n_failed) {
    char said[200];
    rfl_news_say(&s->news, said, sizeof said);
    bool silence = rfl_kafka_code(error) == RFL_ETIMEOUT && said[0];
    snprintf(s->reason, sizeof s->reason, "%s%s%s", rd_kafka_err2str(error),
             silence ? "; " : "", silence ? said : "");
  }
  if (s->n_failed < NAMED) s->failed[s->n_failed] = row;
  s->n_failed++;
}

static void delivered(struct topic_sink *s, const rd_kafka_message_t *m) {
  size_t row = (size_t)(uintptr_t)m->_private;
  s->waiting--;
  if (m->err) {
    row_failed(s, row, m->err);
  } else if (s->options.report) {
    s->partition[row] = m->partition;
    s->offset[row] = m->offset;
  }
}

/* Takes events, waiting up to `wait_ms` for the first. true: something was delivered, or
 * failed for good. */
static bool take_events(struct topic_sink *s, int wait_ms) {
  size_t before = s->waiting;
  for (rd_kafka_event_t *e; (e = rd_kafka_queue_poll(s->events, wait_ms)) != NULL;) {
    wait_ms = 0;
    if (rd_kafka_event_type(e) == RD_KAFKA_EVENT_DR) {
      const rd_kafka_message_t *m;
      while ((m = rd_kafka_event_message_next(e)) != NULL) delivered(s, m);
    } else {
      rfl_news_take(&s->news, e);
    }
    rd_kafka_event_destroy(e);
  }
  return s->waiting != before;
}

static enum rfl_code check_handle(struct topic_sink *s, struct rfl_err *err) {
  char why[400];
  rd_kafka_resp_err_t error = rd_kafka_fatal_error(s->rk, why, sizeof why);
  if (!error) return RFL_OK;
  enum rfl_code code = rfl_kafka_code(error) == RFL_EFENCED ? RFL_EFENCED : RFL_EFATAL;
  return rfl_fail(err, code, "nothing more can be sent to topic `%s`: %s", s->topic, why);
}

/* ---- a row on its way ---- */

/* The key's text, in `text` or where the frame has it. p NULL: no key. */
static struct rfl_bytes key_of(const struct rfl_column *c, uint32_t row, char *text) {
  struct rfl_bytes key = {.p = (const uint8_t *)text};
  if (!rfl_column_has(c, row)) return (struct rfl_bytes){0};
  switch (c->type) {
    case RFL_STRING:
    case RFL_RAW:
      key.n = (size_t)(c->offset[row + 1] - c->offset[row]);
      if (key.n) key.p = (const uint8_t *)c->bytes + c->offset[row];
      return key;
    case RFL_FACTOR:
      return rfl_dict_level(c->dict, c->i32[row]);
    case RFL_LOGICAL:
      key.p = (const uint8_t *)(c->i32[row] ? "TRUE" : "FALSE");
      key.n = c->i32[row] ? 4 : 5;
      return key;
    case RFL_INTEGER:
      key.n = rfl_print_int64(text, c->i32[row]);
      return key;
    case RFL_INTEGER64:
      key.n = rfl_print_int64(text, c->i64[row]);
      return key;
    case RFL_DOUBLE:
      key.n = rfl_print_double(text, c->f64[row]);
      return key;
    case RFL_TIMESTAMP:
      key.n = rfl_print_instant(text, c->i64[row]);
      return key;
    case RFL_DATE:
      key.n = rfl_print_date(text, c->i32[row]);
      return key;
    default:
      return (struct rfl_bytes){0};
  }
}

static const struct rfl_column *column(const struct rfl_frame *f, ptrdiff_t c) {
  return c < 0 ? NULL : &f->column[c];
}

struct outgoing { /* a row as librdkafka wants it */
  struct rfl_bytes key, value;
  int32_t partition;
  int64_t time_ms; /* 0: now */
  char text[KEY_TEXT];
  size_t n_headers;
  struct {
    const char *name;
    struct rfl_bytes value;
    char text[KEY_TEXT];
  } header[RFL_HEADERS_MOST];
};

static void fill_headers(const struct topic_sink *s, const struct rfl_frame *f,
                         uint32_t row, struct outgoing *o) {
  const struct rfl_topic_sink_options *options = &s->options;
  o->n_headers = 0;
  for (size_t i = 0; i < options->n_headers; i++) {
    const struct rfl_column *c = &f->column[options->header_column[i]];
    if (!rfl_column_has(c, row)) continue;
    size_t k = o->n_headers++;
    o->header[k].name = options->header[i];
    o->header[k].value = key_of(c, row, o->header[k].text);
  }
}

static enum rfl_code fill(struct topic_sink *s, const struct rfl_frame *f, uint32_t row,
                          struct outgoing *o, struct rfl_err *err) {
  const struct rfl_column *key = column(f, s->options.key_column);
  const struct rfl_column *time = column(f, s->options.timestamp_column);
  const struct rfl_column *partition = column(f, s->options.partition_column);
  o->key = key ? key_of(key, row, o->text) : (struct rfl_bytes){0};
  o->partition = RD_KAFKA_PARTITION_UA;
  if (partition && rfl_column_has(partition, row)) o->partition = partition->i32[row];
  o->time_ms = 0;
  if (time && rfl_column_has(time, row)) {
    int64_t us = time->i64[row];
    o->time_ms = us / 1000 - (us % 1000 < 0);
  }
  fill_headers(s, f, row, o);
  if (!s->encoder) {
    o->value = key_of(&f->column[0], row, o->text);
    return RFL_OK;
  }
  rfl_buf_clear(&s->value);
  RFL_TRY(s->encoder->row(s->encoder, f, row, &s->value, err));
  RFL_TRY(rfl_buf_check(&s->value, err));
  o->value = (struct rfl_bytes){.p = s->value.p, .n = s->value.n};
  if (!o->value.p) o->value.p = (const uint8_t *)""; /* empty is not missing */
  return RFL_OK;
}

enum { PARTS = 7 }; /* of a record, without its headers */

static rd_kafka_resp_err_t hand_in(struct topic_sink *s, const struct outgoing *o,
                                   size_t row) {
  rd_kafka_vu_t part[PARTS + RFL_HEADERS_MOST] = {
      {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = s->rkt},
      {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = o->partition},
      {.vtype = RD_KAFKA_VTYPE_VALUE,
       .u.mem = {.ptr = (void *)(uintptr_t)o->value.p, .size = o->value.n}},
      {.vtype = RD_KAFKA_VTYPE_KEY,
       .u.mem = {.ptr = (void *)(uintptr_t)o->key.p, .size = o->key.n}},
      {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = o->time_ms},
      {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
      {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)row},
  };
  for (size_t i = 0; i < o->n_headers; i++) {
    rd_kafka_vu_t *to = &part[PARTS + i];
    to->vtype = RD_KAFKA_VTYPE_HEADER;
    to->u.header.name = o->header[i].name;
    to->u.header.val = o->header[i].value.p;
    to->u.header.size = (ssize_t)o->header[i].value.n;
  }
  rd_kafka_error_t *error = rd_kafka_produceva(s->rk, part, PARTS + o->n_headers);
  if (!error) return RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  return code;
}

static enum rfl_code stuck(struct topic_sink *s, struct rfl_err *err) {
  char said[400];
  rfl_news_say(&s->news, said, sizeof said);
  return rfl_fail(err, RFL_ETIMEOUT,
                  "topic `%s` has taken nothing for %g s and %zu records wait%s%s",
                  s->topic, RFL_PATIENCE * s->k->timeout_ms / 1000.0, s->waiting,
                  said[0] ? ": " : "", said);
}

/* A full queue is waited out: as long as something is delivered, and then for as long as
 * the connection's patience. */
static enum rfl_code put_row(struct topic_sink *s, const struct outgoing *o,
                             struct rfl_err *err) {
  int64_t patience = RFL_PATIENCE * s->k->timeout_ms * (int64_t)RFL_MS;
  int64_t since = rfl_now_ns();
  for (;;) {
    rd_kafka_resp_err_t error = hand_in(s, o, s->rows);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      if (take_events(s, 100)) since = rfl_now_ns();
      if (!rfl_kafka_go_on(s->k))
        return rfl_fail(err, RFL_EHOST, "interrupted while sending to `%s`", s->topic);
      if (rfl_now_ns() - since > patience) return stuck(s, err);
      continue;
    }
    if (error == RD_KAFKA_RESP_ERR__FATAL) return check_handle(s, err);
    if (error)
      row_failed(s, s->rows, error);
    else
      s->waiting++;
    s->rows++;
    return RFL_OK;
  }
}

/* ---- put and flush ---- */

static enum rfl_code check_columns(const struct topic_sink *s, const struct rfl_frame *f,
                                   struct rfl_err *err) {
  const struct rfl_topic_sink_options *o = &s->options;
  ptrdiff_t n = (ptrdiff_t)f->schema->n;
  if (o->key_column >= n || o->timestamp_column >= n || o->partition_column >= n)
    return rfl_fail(err, RFL_ESCHEMA, "the frame for topic `%s` has only %zu columns",
                    s->topic, f->schema->n);
  for (size_t i = 0; i < o->n_headers; i++)
    if (o->header_column[i] < 0 || o->header_column[i] >= n)
      return rfl_fail(err, RFL_ESCHEMA, "the frame for topic `%s` has no column %td",
                      s->topic, o->header_column[i]);
  if (o->timestamp_column >= 0 && f->column[o->timestamp_column].type != RFL_TIMESTAMP)
    return rfl_fail(err, RFL_ESCHEMA, "`%s` must be a timestamp, not of type %s",
                    f->schema->field[o->timestamp_column].name,
                    rfl_type_name(f->column[o->timestamp_column].type));
  if (o->partition_column >= 0 && f->column[o->partition_column].type != RFL_INTEGER)
    return rfl_fail(err, RFL_ESCHEMA, "`%s` must be integer, not of type %s",
                    f->schema->field[o->partition_column].name,
                    rfl_type_name(f->column[o->partition_column].type));
  if (s->encoder) return RFL_OK;
  if (n < 1 || (f->column[0].type != RFL_STRING && f->column[0].type != RFL_RAW))
    return rfl_fail(err, RFL_ESCHEMA,
                    "values that are sent as they are must be strings or raw");
  return RFL_OK;
}

static enum rfl_code make_report(struct topic_sink *s, size_t more, struct rfl_err *err) {
  if (!s->options.report || s->rows + more <= s->cap) return RFL_OK;
  size_t cap = s->cap * 2 > s->rows + more ? s->cap * 2 : s->rows + more;
  int32_t *partition = rfl_grow(s->partition, cap, sizeof *partition);
  if (!partition) return rfl_no_memory(err);
  s->partition = partition;
  int64_t *offset = rfl_grow(s->offset, cap, sizeof *offset);
  if (!offset) return rfl_no_memory(err);
  s->offset = offset;
  s->cap = cap;
  return RFL_OK;
}

static void begin_window(struct topic_sink *s) {
  if (!s->flushed) return;
  s->flushed = false;
  s->rows = 0;
  s->n_failed = 0;
  s->reason[0] = '\0';
}

static enum rfl_code sink_put(struct rfl_sink *face, uint64_t batch, struct rfl_frame *f,
                              struct rfl_err *err) {
  (void)batch;
  struct topic_sink *s = self(face);
  struct outgoing o;
  RFL_TRY(rfl_pid_here(s->pid, "topic sink", err));
  RFL_TRY(check_handle(s, err));
  RFL_TRY(check_columns(s, f, err));
  begin_window(s);
  RFL_TRY(make_report(s, f->n_rows, err));
  for (uint32_t row = 0; row < f->n_rows; row++) {
    if (s->options.report) {
      s->partition[s->rows] = -1;
      s->offset[s->rows] = -1;
    }
    RFL_TRY(fill(s, f, row, &o, err));
    RFL_TRY(put_row(s, &o, err));
    if ((row & 1023) == 1023) take_events(s, 0);
  }
  take_events(s, 0);
  return RFL_OK;
}

static void name_failed(const struct topic_sink *s, struct rfl_tally *gives) {
  char rows[160] = "";
  size_t used = 0, named = s->n_failed < NAMED ? s->n_failed : NAMED;
  for (size_t i = 0; i < named; i++)
    used += (size_t)snprintf(rows + used, sizeof rows - used, "%s%zu", i ? ", " : "",
                             s->failed[i] + 1);
  if (s->n_failed > named)
    snprintf(rows + used, sizeof rows - used, " and %zu more", s->n_failed - named);
  struct rfl_tally t = {.failed = s->n_failed};
  snprintf(t.first_bad, sizeof t.first_bad, "row%s %.150s for topic `%.80s`: %.120s",
           s->n_failed == 1 ? "" : "s", rows, s->topic, s->reason);
  rfl_tally_add(gives, &t);
}

static enum rfl_code sink_flush(struct rfl_sink *face, int64_t until_ns,
                                struct rfl_tally *failed, struct rfl_err *err) {
  struct topic_sink *s = self(face);
  RFL_TRY(rfl_pid_here(s->pid, "topic sink", err));
  if (s->flushed) return RFL_OK; /* nothing was put since */
  take_events(s, 0);
  while (s->waiting) {
    int64_t left = (until_ns - rfl_now_ns()) / RFL_MS;
    if (left < 0)
      return rfl_fail(err, RFL_EAGAIN, "%zu records for topic `%s` are on their way",
                      s->waiting, s->topic);
    take_events(s, left > 100 ? 100 : (int)left);
    if (!s->waiting) break;
    RFL_TRY(check_handle(s, err));
    if (!rfl_kafka_go_on(s->k))
      return rfl_fail(err, RFL_EHOST, "interrupted while sending to `%s`", s->topic);
  }
  s->flushed = true;
  if (s->n_failed && failed) name_failed(s, failed);
  return RFL_OK;
}

size_t rfl_topic_sink_report(const struct rfl_sink *face, const int32_t **partition,
                             const int64_t **offset) {
  const struct topic_sink *s = self(face);
  if (!s->options.report) return 0;
  *partition = s->partition;
  *offset = s->offset;
  return s->rows;
}

enum rfl_code rfl_topic_sink_check_kept(const struct rfl_sink *face,
                                        struct rfl_err *err) {
  const struct topic_sink *s = self(face);
  int64_t kept = 0, gone = 0;
  if (!s->k->broker) return RFL_OK;
  RFL_TRY(rfl_kafka_kept(s->k, s->topic, &kept, &gone, err));
  if (gone <= s->low_before) return RFL_OK;
  return rfl_fail(err, RFL_ELOSS,
                  "the embedded broker keeps 5 MB a partition; %lld records of `%s` are "
                  "gone: use more partitions or a real broker",
                  (long long)gone, s->topic);
}

/* ---- life ---- */

static void sink_release(struct rfl_sink *face) {
  struct topic_sink *s = self(face);
  if (!s || s->pid != getpid()) return;
  if (s->rkt) rd_kafka_topic_destroy(s->rkt);
  if (s->rk) rd_kafka_purge(s->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  if (s->events) rd_kafka_queue_destroy(s->events);
  rfl_handle_release(s->rk);
  if (s->encoder) s->encoder->release(s->encoder);
  rfl_buf_release(&s->value);
  rfl_free(s->partition);
  rfl_free(s->offset);
  rfl_free(s->topic);
  rfl_kafka_release(s->k);
  rfl_free(s);
}

static enum rfl_code open_producer(struct topic_sink *s, struct rfl_err *err) {
  rd_kafka_conf_t *conf = NULL;
  int64_t kept = 0;
  /* Before any handle: a handle for a topic that is not there would make it. */
  RFL_TRY(rfl_kafka_kept(s->k, s->topic, &kept, &s->low_before, err));
  RFL_TRY(rfl_conf_new(s->k, RFL_PRODUCES, &conf, err));
  RFL_TRY(rfl_handle_new(s->k, RD_KAFKA_PRODUCER, conf, &s->rk, err));
  s->events = rd_kafka_queue_get_main(s->rk);
  s->rkt = rd_kafka_topic_new(s->rk, s->topic, NULL);
  if (s->rkt) return RFL_OK;
  return rfl_fail(err, RFL_EBROKER, "the topic `%s` cannot be written: %s", s->topic,
                  rd_kafka_err2str(rd_kafka_last_error()));
}

enum rfl_code rfl_topic_sink_new(struct rfl_kafka *k,
                                 const struct rfl_topic_sink_options *o,
                                 struct rfl_encoder *encoder, struct rfl_sink **gives,
                                 struct rfl_err *err) {
  enum rfl_code code = rfl_kafka_here(k, err);
  struct topic_sink *s = code ? NULL : rfl_alloc(1, sizeof *s);
  if (!code && !s) code = rfl_no_memory(err);
  if (code) {
    if (encoder) encoder->release(encoder);
    return code;
  }
  s->face =
      (struct rfl_sink){.put = sink_put, .flush = sink_flush, .release = sink_release};
  s->pid = getpid();
  s->k = rfl_kafka_keep(k);
  s->encoder = encoder;
  s->options = *o;
  s->topic = rfl_strdup(o->topic);
  code = s->topic ? open_producer(s, err) : rfl_no_memory(err);
  if (code) {
    sink_release(&s->face);
    return code;
  }
  *gives = &s->face;
  return RFL_OK;
}
