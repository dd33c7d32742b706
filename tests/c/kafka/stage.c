#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

struct stage stage;

/* ---- the broker ---- */

int stage_open(int nodes) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct rfl_err err;
  struct rfl_kafka_options o = {.timeout_ms = 5000};
  const char *real = getenv("RIFFLE_KAFKA");
  enum rfl_code code;
  if (real && *real) {
    o.brokers = real;
    code = rfl_kafka_new(&o, &stage.k, &err);
  } else {
    code = rfl_broker_new(nodes, &stage.broker, &err);
    if (!code) code = rfl_broker_connect(stage.broker, &o, &stage.k, &err);
  }
  if (code) {
    printf("not ok stage: %s\n", err.message);
    return 1;
  }
  snprintf(stage.brokers, sizeof stage.brokers, "%s", rfl_kafka_brokers(stage.k));
  return 0;
}

void stage_close(void) {
  rfl_kafka_release(stage.k);
  rfl_broker_release(stage.broker);
}

const char *stage_topic(const char *name, int32_t partitions) {
  static char names[8][128];
  static int count;
  char *text = names[count % 8];
  struct rfl_err err;
  snprintf(text, sizeof names[0], "%s-%ld-%d", name, (long)getpid(), count++);
  CHECK_OK(rfl_kafka_create_topic(stage.k, text, partitions, 1, 0, NULL, NULL, false,
                                  NULL, &err),
           &err);
  return text;
}

struct rfl_kafka *stage_connect(int timeout_ms, const char *const *properties) {
  const char *key[16], *value[16];
  char text[16][256];
  struct rfl_kafka_options o = {
      .brokers = stage.brokers, .timeout_ms = timeout_ms, .key = key, .value = value};
  for (; properties && properties[o.n]; o.n++) {
    snprintf(text[o.n], sizeof text[0], "%s", properties[o.n]);
    char *eq = strchr(text[o.n], '=');
    *eq = '\0';
    key[o.n] = text[o.n];
    value[o.n] = eq + 1;
  }
  struct rfl_kafka *k = NULL;
  struct rfl_err err;
  CHECK_OK(stage.broker ? rfl_broker_connect(stage.broker, &o, &k, &err)
                        : rfl_kafka_new(&o, &k, &err),
           &err);
  return k;
}

/* ---- columns, decoder, encoder ---- */

struct rfl_schema *stage_schema(void) {
  const struct rfl_field field[STAGE_COLUMNS] = {
      {.name = "n", .type = RFL_INTEGER},
      {.name = "text", .type = RFL_FACTOR},
      {.name = ".partition", .type = RFL_INTEGER, .meta = RFL_META_PARTITION},
      {.name = ".offset", .type = RFL_DOUBLE, .meta = RFL_META_OFFSET},
      {.name = ".timestamp", .type = RFL_TIMESTAMP, .meta = RFL_META_TIMESTAMP},
      {.name = ".key", .type = RFL_STRING, .meta = RFL_META_KEY},
      {.name = ".topic", .type = RFL_FACTOR, .meta = RFL_META_TOPIC},
      {.name = ".error", .type = RFL_STRING, .meta = RFL_META_ERROR},
      {.name = ".raw", .type = RFL_RAW, .meta = RFL_META_RAW},
  };
  struct rfl_schema *schema = NULL;
  struct rfl_err err;
  CHECK_OK(rfl_schema_new(field, STAGE_COLUMNS, &schema, &err), &err);
  return schema;
}

static enum rfl_code decode(struct rfl_decoder *d, struct rfl_bytes value,
                            struct rfl_builder *b, struct rfl_fault *why,
                            struct rfl_err *err) {
  (void)d;
  const char *p = (const char *)value.p, *end = p + value.n;
  int64_t x = 0;
  bool fits = true;
  const char *comma = rfl_parse_int64(p, end, &x, &fits);
  *why = (struct rfl_fault){.column = STAGE_N, .reason = "expected an integer"};
  if (!comma || !fits) return RFL_EDATA;
  *why = (struct rfl_fault){
      .column = -1, .at = (size_t)(comma - p), .reason = "expected a comma"};
  if (comma == end || *comma != ',') return RFL_EDATA;
  rfl_builder_int(b, STAGE_N, (int32_t)x);
  return rfl_builder_text(b, STAGE_TEXT, comma + 1, (size_t)(end - comma - 1), err);
}
static void keep_decoder(struct rfl_decoder *d) { (void)d; }

struct rfl_decoder *stage_decoder(void) {
  static struct rfl_decoder d = {.row = decode, .release = keep_decoder};
  return &d;
}

static enum rfl_code encode(struct rfl_encoder *e, const struct rfl_frame *f,
                            uint32_t row, struct rfl_buf *out, struct rfl_err *err) {
  (void)e;
  char text[RFL_DOUBLE_TEXT];
  rfl_buf_put(out, text, rfl_print_int64(text, f->column[0].i32[row]));
  rfl_buf_put(out, ",", 1);
  if (f->schema->n > 1 && rfl_column_has(&f->column[1], row)) {
    const struct rfl_column *c = &f->column[1];
    rfl_buf_put(out, c->bytes + c->offset[row],
                (size_t)(c->offset[row + 1] - c->offset[row]));
  }
  return rfl_buf_check(out, err);
}
static void keep_encoder(struct rfl_encoder *e) { (void)e; }

struct rfl_encoder *stage_encoder(void) {
  static struct rfl_encoder e = {.row = encode, .release = keep_encoder};
  return &e;
}

/* ---- records ---- */

struct producing {
  rd_kafka_t *rk;
  size_t sent, failed;
};

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
  (void)rk;
  struct producing *me = opaque;
  me->sent++;
  me->failed += m->err != 0;
}

/* A producer that owes nothing to the code under test. */
static int open_producer(struct producing *me) {
  char why[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  const char *set[][2] = {{"bootstrap.servers", stage.brokers},
                          {"compression.type", "zstd"},
                          {"linger.ms", "2"},
                          {"enable.idempotence", "true"}};
  for (size_t i = 0; i < sizeof set / sizeof *set; i++)
    rd_kafka_conf_set(conf, set[i][0], set[i][1], why, sizeof why);
  rd_kafka_conf_set_dr_msg_cb(conf, on_report);
  rd_kafka_conf_set_opaque(conf, me);
  me->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  return !me->rk;
}

static int send_one(struct producing *me, const char *topic,
                    const struct stage_record *r) {
  rd_kafka_resp_err_t e;
  do {
    rd_kafka_vu_t part[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = r->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)r->value, r->value ? strlen(r->value) : 0}},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)r->key, r->key ? strlen(r->key) : 0}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = r->time_ms},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(me->rk, part, sizeof part / sizeof *part);
    e = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error) rd_kafka_error_destroy(error);
    rd_kafka_poll(me->rk, e == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 10 : 0);
  } while (e == RD_KAFKA_RESP_ERR__QUEUE_FULL);
  return e != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static int close_producer(struct producing *me, size_t n) {
  rd_kafka_flush(me->rk, 20000);
  rd_kafka_destroy(me->rk);
  return me->sent != n || me->failed;
}

int stage_produce(const char *topic, const struct stage_record *r, size_t n) {
  struct producing me = {0};
  int failed = open_producer(&me);
  for (size_t i = 0; !failed && i < n; i++) failed = send_one(&me, topic, &r[i]);
  return me.rk ? close_producer(&me, n) | failed : 1;
}

int stage_count(const char *topic, int32_t partitions, int64_t n) {
  struct producing me = {0};
  int failed = open_producer(&me);
  for (int64_t i = 0; !failed && i < n; i++) {
    char value[64];
    snprintf(value, sizeof value, "%lld,w%lld", (long long)i, (long long)(i % 7));
    struct stage_record r = {.partition = (int32_t)(i % partitions), .value = value};
    failed = send_one(&me, topic, &r);
  }
  return me.rk ? close_producer(&me, (size_t)n) | failed : 1;
}

/* ---- reading ---- */

struct rfl_topic_source_options stage_options(const char *topic) {
  return (struct rfl_topic_source_options){.topic = topic,
                                           .from = {.kind = RFL_EARLIEST},
                                           .bounded = true,
                                           .to = {.kind = RFL_LATEST},
                                           .max_records = INFINITY};
}

struct rfl_source *stage_source(struct rfl_kafka *k,
                                const struct rfl_topic_source_options *o,
                                struct rfl_err *err) {
  struct rfl_schema *schema = stage_schema();
  struct rfl_source *s = NULL;
  enum rfl_code code = rfl_topic_source_new(k, o, schema, stage_decoder(), &s, err);
  rfl_schema_release(schema);
  return code ? NULL : s;
}

static void look_at_spans(const struct rfl_frame *f, struct reading *r) {
  const double *offset = f->column[STAGE_OFFSET].f64;
  for (size_t i = 0; i < f->n_spans; i++) {
    const struct rfl_span *s = &f->span[i];
    int32_t p = f->places.place[s->place].shard;
    if (r->next[p] >= 0 && s->first != r->next[p]) r->ordered = false;
    if (s->next < s->first) r->ordered = false;
    int64_t at = s->first - 1;
    for (uint32_t row = s->row; row < s->row + s->n_rows; row++) {
      if ((int64_t)offset[row] <= at || (int64_t)offset[row] >= s->next)
        r->ordered = false;
      if (f->column[STAGE_PARTITION].i32[row] != p) r->ordered = false;
      at = (int64_t)offset[row];
    }
    r->in_partition[p] += s->n_rows;
    r->next[p] = s->next;
  }
}

static void look_at(const struct rfl_frame *f, struct reading *r) {
  r->frames++;
  r->rows += f->n_rows;
  for (uint32_t row = 0; row < f->n_rows; row++)
    if (rfl_column_has(&f->column[STAGE_N], row)) r->sum += f->column[STAGE_N].i32[row];
  look_at_spans(f, r);
  rfl_tally_add(&r->tally, &f->tally);
}

void stage_read(struct rfl_source *s, const struct stage_read *how, struct reading *r) {
  memset(r, 0, sizeof *r);
  memset(r->next, -1, sizeof r->next);
  r->ordered = true;
  int64_t seconds = how && how->seconds ? how->seconds : 20;
  struct rfl_want want = {.max_rows = how ? how->max_rows : 0,
                          .upto = how ? how->upto : NULL};
  for (;;) {
    struct rfl_frame *f = NULL;
    want.until_ns = rfl_now_ns() + seconds * (int64_t)RFL_SECOND;
    r->code = s->next(s, &want, &r->event, &f, &r->err);
    if (r->code || r->event != RFL_ROWS) return;
    if (want.max_rows && f->n_rows > want.max_rows) r->ordered = false;
    look_at(f, r);
    rfl_frame_release(f);
  }
}
