/* Clusters, topics, offsets, producing and looking at records, for R. What the core gives
 * goes into a handle before R allocates anything. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "decode/json.h"
#include "glue.h"
#include "kafka/broker.h"
#include "kafka/topic_sink.h"
#include "kafka/topic_source.h"

/* Rows of a frame that is produced: between two the user may interrupt. */
enum { PRODUCE_ROWS = 20000 };

/* ---- clusters ---- */

static void release_kafka(void *object) { rfl_kafka_release(object); }
static const struct r_type kafka_type = {"a Kafka cluster", release_kafka, R_CLIENTS};

struct rfl_kafka *r_kafka_get(SEXP handle) {
  return r_handle_get(handle, &kafka_type);
}

static struct rfl_kafka_options read_options(SEXP keys, SEXP values, SEXP timeout) {
  return (struct rfl_kafka_options){.n = (size_t)Rf_xlength(keys),
                                    .key = r_texts(keys),
                                    .value = r_texts(values),
                                    .timeout_ms = (int32_t)(r_number(timeout) * 1000),
                                    .tick = r_tick()};
}

SEXP ffi_kafka_new(SEXP brokers, SEXP keys, SEXP values, SEXP timeout) {
  struct rfl_kafka_options options = read_options(keys, values, timeout);
  options.brokers = r_string(brokers);
  SEXP handle = PROTECT(r_handle_new(&kafka_type, R_NilValue));
  struct rfl_kafka *k;
  struct rfl_err err;
  enum rfl_code code = rfl_kafka_new(&options, &k, &err);
  if (!code) r_handle_fill(handle, k);
  r_finish(code, &err);
  UNPROTECT(1);
  return handle;
}

/* The client keeps the embedded broker alive, so the broker needs no handle. */
SEXP ffi_kafka_local(SEXP nodes, SEXP topics, SEXP partitions) {
  const char *const *topic = r_texts(topics);
  const int *count = INTEGER_RO(partitions);
  R_xlen_t n = Rf_xlength(topics);
  struct rfl_kafka_options options = {.timeout_ms = 5000, .tick = r_tick()};
  SEXP handle = PROTECT(r_handle_new(&kafka_type, R_NilValue));
  struct rfl_broker *broker;
  struct rfl_kafka *k;
  struct rfl_err err;
  enum rfl_code code = rfl_broker_new(Rf_asInteger(nodes), &broker, &err);
  if (!code) {
    for (R_xlen_t i = 0; !code && i < n; i++) {
      code = rfl_broker_create_topic(broker, topic[i], count[i], &err);
    }
    if (!code) code = rfl_broker_connect(broker, &options, &k, &err);
    if (!code) r_handle_fill(handle, k);
    rfl_broker_release(broker);
  }
  r_finish(code, &err);
  UNPROTECT(1);
  return handle;
}

SEXP ffi_kafka_state(SEXP handle) {
  const struct rfl_kafka *k = r_kafka_get(handle);
  const char *names[] = {"brokers", "nodes", "embedded", ""};
  SEXP state = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(state, 0, r_from_text(rfl_kafka_brokers(k)));
  SET_VECTOR_ELT(state, 1, Rf_ScalarInteger(rfl_kafka_nodes(k)));
  SET_VECTOR_ELT(state, 2, Rf_ScalarLogical(rfl_kafka_embedded(k)));
  UNPROTECT(1);
  return state;
}

/* ---- topics ---- */

struct topics {
  struct rfl_topic_info *info;
  size_t n;
};

static void release_topics(void *object) {
  struct topics *t = object;
  rfl_topics_free(t->info, t->n);
  rfl_free(t);
}
static const struct r_type topics_type = {"a list of topics", release_topics, R_MEMORY};

SEXP ffi_kafka_topics(SEXP kafka) {
  struct rfl_kafka *k = r_kafka_get(kafka);
  SEXP handle = PROTECT(r_handle_new(&topics_type, R_NilValue));
  struct rfl_err err;
  struct topics *t = rfl_alloc(1, sizeof *t);
  r_finish(t ? RFL_OK : rfl_no_memory(&err), &err);
  r_handle_fill(handle, t);
  r_finish(rfl_kafka_topics(k, &t->info, &t->n, &err), &err);
  const char *names[] = {"topic", "partitions", "replicas", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SEXP topic = SET_VECTOR_ELT(list, 0, Rf_allocVector(STRSXP, (R_xlen_t)t->n));
  SEXP partitions = SET_VECTOR_ELT(list, 1, Rf_allocVector(INTSXP, (R_xlen_t)t->n));
  SEXP replicas = SET_VECTOR_ELT(list, 2, Rf_allocVector(INTSXP, (R_xlen_t)t->n));
  for (size_t i = 0; i < t->n; i++) {
    const struct rfl_topic_info *info = &t->info[i];
    SET_STRING_ELT(topic, (R_xlen_t)i, r_from_bytes(info->name, strlen(info->name)));
    INTEGER(partitions)[i] = info->partitions;
    INTEGER(replicas)[i] = info->replicas;
  }
  r_handle_close(handle);
  UNPROTECT(2);
  return list;
}

SEXP ffi_kafka_partitions(SEXP kafka, SEXP topic) {
  struct rfl_kafka *k = r_kafka_get(kafka);
  int32_t n = 0;
  struct rfl_err err;
  r_finish(rfl_kafka_partitions(k, r_string(topic), &n, &err), &err);
  return Rf_ScalarInteger(n);
}

/* `counts`: partitions and replicas, below 1 for the cluster's default. TRUE when the
 * topic was there already. */
SEXP ffi_kafka_create_topic(SEXP kafka, SEXP topic, SEXP counts, SEXP keys, SEXP values,
                            SEXP exists_ok) {
  struct rfl_kafka *k = r_kafka_get(kafka);
  const int *count = INTEGER_RO(counts);
  bool existed = false;
  struct rfl_err err;
  enum rfl_code code = rfl_kafka_create_topic(
      k, r_string(topic), count[0], count[1], (size_t)Rf_xlength(keys), r_texts(keys),
      r_texts(values), r_flag(exists_ok), &existed, &err);
  r_finish(code, &err);
  return Rf_ScalarLogical(existed);
}

/* How much of a topic is there, and how many records the embedded broker has forgotten.
 */
SEXP ffi_kafka_kept(SEXP kafka, SEXP topic) {
  struct rfl_kafka *k = r_kafka_get(kafka);
  int64_t counts[2] = {0, 0};
  struct rfl_err err;
  r_finish(rfl_kafka_kept(k, r_string(topic), &counts[0], &counts[1], &err), &err);
  return r_doubles(counts, 2);
}

/* ---- positions ---- */

void r_at_read(SEXP from, const char *topic, struct r_at *gives) {
  *gives = (struct r_at){.topic = topic};
  gives->at.kind = (enum rfl_position)Rf_asInteger(r_get(from, "kind"));
  if (gives->at.kind == RFL_AT_TIME) {
    gives->at.time_ms = (int64_t)r_number(r_get(from, "time_ms"));
  } else if (gives->at.kind == RFL_AT_CURSOR) {
    SEXP partition = r_get(from, "partition"), offset = r_get(from, "offset");
    gives->n = (size_t)Rf_xlength(partition);
    gives->partition = INTEGER_RO(partition);
    gives->offset = REAL_RO(offset);
  }
}

enum rfl_code r_at_open(struct r_at *at, struct rfl_err *err) {
  for (size_t i = 0; i < at->n; i++) {
    RFL_TRY(rfl_cursor_set(&at->cursor, at->topic, at->partition[i],
                           (int64_t)at->offset[i], err));
  }
  at->at.cursor = &at->cursor;
  return RFL_OK;
}

void r_at_release(struct r_at *at) { rfl_cursor_release(&at->cursor); }

struct offsets {
  int64_t *at, *low, *high;
};

static void release_offsets(void *object) {
  struct offsets *o = object;
  rfl_free(o->at);
  rfl_free(o->low);
  rfl_free(o->high);
  rfl_free(o);
}
static const struct r_type offsets_type = {"offsets", release_offsets, R_MEMORY};

SEXP ffi_kafka_offsets(SEXP kafka, SEXP topic, SEXP where) {
  struct rfl_kafka *k = r_kafka_get(kafka);
  bool asked = where != R_NilValue;
  struct r_at at = {.topic = r_string(topic)};
  if (asked) r_at_read(where, at.topic, &at);
  SEXP handle = PROTECT(r_handle_new(&offsets_type, R_NilValue));
  struct rfl_err err;
  struct offsets *o = rfl_alloc(1, sizeof *o);
  r_finish(o ? RFL_OK : rfl_no_memory(&err), &err);
  r_handle_fill(handle, o);
  int32_t n = 0;
  enum rfl_code code = r_at_open(&at, &err);
  if (!code) {
    code = rfl_kafka_offsets(k, at.topic, asked ? &at.at : NULL, &n,
                             asked ? &o->at : NULL, &o->low, &o->high, &err);
  }
  r_at_release(&at);
  r_finish(code, &err);
  const char *names[] = {"earliest", "latest", "offset", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, r_doubles(o->low, (size_t)n));
  SET_VECTOR_ELT(list, 1, r_doubles(o->high, (size_t)n));
  if (asked) SET_VECTOR_ELT(list, 2, r_doubles(o->at, (size_t)n));
  r_handle_close(handle);
  UNPROTECT(2);
  return list;
}

/* ---- producing ---- */

static void release_sink(void *object) {
  struct rfl_sink *sink = object;
  sink->release(sink);
}
static const struct r_type sink_type = {"a topic to produce to", release_sink, R_ENDS};

struct produce { /* what R asked for */
  const char *topic;
  const struct r_table *table;
  struct r_fields fields;
  bool raw;
  size_t n_columns;
  size_t *column; /* of the values */
  ptrdiff_t key, timestamp, partition;
  size_t n_headers;
  const char *const *header; /* their names */
  ptrdiff_t *header_column;
};

static ptrdiff_t column_number(SEXP options, const char *name) {
  SEXP at = r_get(options, name);
  return at == R_NilValue ? -1 : Rf_asInteger(at);
}

static void read_produce(SEXP columns, SEXP fields, SEXP options, struct produce *p) {
  p->table = r_table_read(columns, fields);
  p->fields = r_fields_read(fields);
  p->topic = r_string(r_get(options, "topic"));
  p->raw = r_flag(r_get(options, "raw"));
  p->key = column_number(options, "key");
  p->timestamp = column_number(options, "timestamp");
  p->partition = column_number(options, "partition");
  SEXP headers = r_get(options, "headers");
  p->n_headers = (size_t)Rf_xlength(headers);
  p->header = r_texts(r_get(options, "header_names"));
  p->header_column = r_scratch(p->n_headers, sizeof *p->header_column);
  for (size_t i = 0; i < p->n_headers; i++) p->header_column[i] = INTEGER_RO(headers)[i];
  SEXP values = r_get(options, "value");
  p->n_columns = (size_t)Rf_xlength(values);
  p->column = r_scratch(p->n_columns, sizeof *p->column);
  for (size_t i = 0; i < p->n_columns; i++) p->column[i] = (size_t)INTEGER_RO(values)[i];
}

static enum rfl_code open_sink(struct rfl_kafka *k, const struct produce *p,
                               struct rfl_schema *schema, struct rfl_sink **gives,
                               struct rfl_err *err) {
  struct rfl_encoder *encoder = NULL;
  if (!p->raw) {
    RFL_TRY(rfl_json_encoder_new(schema, p->column, p->n_columns, true, &encoder, err));
  }
  struct rfl_topic_sink_options o = {.topic = p->topic,
                                     .key_column = p->key,
                                     .timestamp_column = p->timestamp,
                                     .partition_column = p->partition,
                                     .n_headers = p->n_headers,
                                     .header = p->header,
                                     .header_column = p->header_column,
                                     .report = true};
  return rfl_topic_sink_new(k, &o, encoder, gives, err);
}

/* Frame by frame; not a record is confirmed yet. */
static enum rfl_code put_all(struct rfl_sink *sink, const struct produce *p,
                             struct rfl_schema *schema, struct rfl_err *err) {
  size_t n = r_table_rows(p->table);
  for (size_t from = 0; from < n; from += PRODUCE_ROWS) {
    struct r_cut cut = {.from = from, .n = n - from, .borrow = true};
    if (cut.n > PRODUCE_ROWS) cut.n = PRODUCE_ROWS;
    struct rfl_frame *frame;
    RFL_TRY(r_table_frame(p->table, &cut, schema, &frame, err));
    enum rfl_code code = sink->put(sink, 0, frame, err);
    rfl_frame_release(frame);
    if (code) return code;
    if (!r_go_on(NULL)) return RFL_EHOST;
  }
  return RFL_OK;
}

/* Until every record is confirmed or has failed. Ctrl-C leaves: what was confirmed stays
 * in the topic, what was not is dropped with the sink. */
static enum rfl_code confirm(struct rfl_sink *sink, struct rfl_tally *failed,
                             struct rfl_err *err) {
  for (;;) {
    enum rfl_code code = sink->flush(sink, rfl_now_ns() + 100 * RFL_MS, failed, err);
    if (code != RFL_EAGAIN) return code;
    if (!r_go_on(NULL)) return RFL_EHOST;
  }
}

static SEXP report(struct rfl_sink *sink, const struct rfl_tally *failed) {
  const int32_t *partition = NULL;
  const int64_t *offset = NULL;
  size_t n = rfl_topic_sink_report(sink, &partition, &offset);
  const char *names[] = {"partition", "offset", "failed", "why", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, r_integers(partition, n));
  SET_VECTOR_ELT(list, 1, r_doubles(offset, n));
  SET_VECTOR_ELT(list, 2, Rf_ScalarReal((double)failed->failed));
  SET_VECTOR_ELT(list, 3, r_from_text(failed->first_bad));
  UNPROTECT(1);
  return list;
}

SEXP ffi_kafka_produce(SEXP kafka, SEXP columns, SEXP fields, SEXP options) {
  struct rfl_kafka *k = r_kafka_get(kafka);
  struct produce p = {0};
  read_produce(columns, fields, options, &p);
  SEXP handle = PROTECT(r_handle_new(&sink_type, kafka));
  struct rfl_err err;
  struct rfl_schema *schema;
  struct rfl_sink *sink = NULL;
  struct rfl_tally failed = {0};
  enum rfl_code code = rfl_schema_new(p.fields.field, p.fields.n, &schema, &err);
  r_finish(code, &err);
  code = open_sink(k, &p, schema, &sink, &err);
  if (!code) {
    r_handle_fill(handle, sink);
    code = put_all(sink, &p, schema, &err);
  }
  rfl_schema_release(schema);
  if (!code) code = confirm(sink, &failed, &err);
  if (!code && !failed.failed) code = rfl_topic_sink_check_kept(sink, &err);
  if (code) r_handle_close(handle);
  r_finish(code, &err);
  SEXP list = PROTECT(report(sink, &failed));
  r_handle_close(handle);
  UNPROTECT(2);
  return list;
}

/* ---- looking at records ---- */

static void release_guess(void *object) { rfl_json_guess_release(object); }
static const struct r_type guess_type = {"a guess at a schema", release_guess, R_MEMORY};

static SEXP guess_to_r(struct rfl_json_guess *guess, size_t looked) {
  const struct rfl_json_guess_field *field = NULL;
  size_t n = rfl_json_guess_fields(guess, &field);
  const char *names[] = {"name", "type",   "left_out", "mixed",
                         "long", "looked", "bad",      ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SEXP name = SET_VECTOR_ELT(list, 0, Rf_allocVector(STRSXP, (R_xlen_t)n));
  SEXP type = SET_VECTOR_ELT(list, 1, Rf_allocVector(STRSXP, (R_xlen_t)n));
  SEXP left_out = SET_VECTOR_ELT(list, 2, Rf_allocVector(STRSXP, (R_xlen_t)n));
  SEXP mixed = SET_VECTOR_ELT(list, 3, Rf_allocVector(LGLSXP, (R_xlen_t)n));
  SEXP big = SET_VECTOR_ELT(list, 4, Rf_allocVector(LGLSXP, (R_xlen_t)n));
  SET_VECTOR_ELT(list, 5, Rf_ScalarReal((double)looked));
  SET_VECTOR_ELT(list, 6, Rf_ScalarReal((double)rfl_json_guess_bad(guess)));
  for (size_t i = 0; i < n; i++) {
    SET_STRING_ELT(name, (R_xlen_t)i, r_from_bytes(field[i].name, strlen(field[i].name)));
    SET_STRING_ELT(type, (R_xlen_t)i, Rf_mkChar(rfl_type_name(field[i].type)));
    SET_STRING_ELT(left_out, (R_xlen_t)i,
                   field[i].left_out ? Rf_mkChar(field[i].left_out) : NA_STRING);
    LOGICAL(mixed)[i] = field[i].mixed;
    LOGICAL(big)[i] = field[i].integer64;
  }
  UNPROTECT(1);
  return list;
}

static SEXP new_guess(struct rfl_json_guess **gives) {
  SEXP handle = PROTECT(r_handle_new(&guess_type, R_NilValue));
  struct rfl_err err;
  r_finish(rfl_json_guess_new(gives, &err), &err);
  r_handle_fill(handle, *gives);
  UNPROTECT(1);
  return handle;
}

SEXP ffi_guess_topic(SEXP kafka, SEXP topic, SEXP where, SEXP n) {
  struct rfl_kafka *k = r_kafka_get(kafka);
  struct r_at at;
  r_at_read(where, r_string(topic), &at);
  struct rfl_json_guess *guess = NULL;
  SEXP handle = PROTECT(new_guess(&guess));
  struct rfl_bytes *values = NULL;
  size_t n_values = 0, looked = 0;
  struct rfl_err err;
  enum rfl_code code = r_at_open(&at, &err);
  if (!code) {
    code = rfl_kafka_peek(k, at.topic, &at.at, (size_t)r_number(n), &values, &n_values,
                          &err);
  }
  for (size_t i = 0; i < n_values; i++) {
    if (!code && values[i].p) {
      code = rfl_json_guess_look(guess, values[i], &err);
      looked++;
    }
    rfl_free((void *)values[i].p);
  }
  rfl_free(values);
  r_at_release(&at);
  r_finish(code, &err);
  SEXP list = PROTECT(guess_to_r(guess, looked));
  r_handle_close(handle);
  UNPROTECT(2);
  return list;
}

SEXP ffi_guess_texts(SEXP texts) {
  R_xlen_t n = Rf_xlength(texts);
  const char *const *text = r_texts(texts);
  struct rfl_json_guess *guess = NULL;
  SEXP handle = PROTECT(new_guess(&guess));
  struct rfl_err err;
  enum rfl_code code = RFL_OK;
  size_t looked = 0;
  for (R_xlen_t i = 0; !code && i < n; i++) {
    if (!text[i]) continue;
    struct rfl_bytes value = {(const uint8_t *)text[i], strlen(text[i])};
    code = rfl_json_guess_look(guess, value, &err);
    looked++;
  }
  r_finish(code, &err);
  SEXP list = PROTECT(guess_to_r(guess, looked));
  r_handle_close(handle);
  UNPROTECT(2);
  return list;
}
