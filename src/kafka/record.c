#include "kafka/record.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "frame/builder_inline.h"

static bool fits(enum rfl_meta meta, enum rfl_type type) {
  switch (meta) {
    case RFL_META_TOPIC:
    case RFL_META_KEY:
      return type == RFL_FACTOR || type == RFL_STRING;
    case RFL_META_ERROR:
      return type == RFL_FACTOR || type == RFL_STRING;
    case RFL_META_PARTITION:
      return type == RFL_INTEGER;
    case RFL_META_OFFSET:
      return type == RFL_DOUBLE;
    case RFL_META_TIMESTAMP:
      return type == RFL_TIMESTAMP;
    case RFL_META_RAW:
      return type == RFL_RAW;
    default:
      return true;
  }
}

enum rfl_code rfl_record_init(struct rfl_record *r, const char *topic,
                              const struct rfl_schema *schema, enum rfl_on_bad on_bad,
                              struct rfl_err *err) {
  *r = (struct rfl_record){.topic = topic,
                           .topic_size = strlen(topic),
                           .schema = schema,
                           .plain = true,
                           .on_bad = on_bad};
  for (size_t m = 0; m < RFL_N_METAS; m++) r->column[m] = -1;
  for (size_t c = 0; c < schema->n; c++) {
    const struct rfl_field *f = &schema->field[c];
    if (f->meta == RFL_META_NONE) continue;
    if (!fits(f->meta, f->type))
      return rfl_fail(err, RFL_ESCHEMA, "`%s` cannot be of type %s", f->name,
                      rfl_type_name(f->type));
    r->column[f->meta] = (ptrdiff_t)c;
    r->plain = false;
  }
  return RFL_OK;
}

/* ---- saying what is wrong ---- */

enum { SHOWN = 60 };

/* 60 bytes of the value around byte `at`, control characters and what is not ASCII as
 * \xNN: the message stays one line of text whatever came. */
static void show(const void *payload, size_t n, size_t at, char *to, size_t size) {
  const unsigned char *p = payload;
  size_t from = at > 40 && n > SHOWN ? at - 40 : 0;
  if (from + SHOWN > n) from = n > SHOWN ? n - SHOWN : 0;
  size_t end = from + SHOWN < n ? from + SHOWN : n, used = 0;
  if (from) used = (size_t)snprintf(to, size, "...");
  for (size_t i = from; i < end && used + 8 < size; i++) {
    if (p[i] >= 0x20 && p[i] < 0x7f)
      to[used++] = (char)p[i];
    else
      used += (size_t)snprintf(to + used, size - used, "\\x%02x", p[i]);
  }
  snprintf(to + used, size - used, "%s", end < n ? "..." : "");
}

static void describe(const struct rfl_record *r, const rd_kafka_message_t *m,
                     const struct rfl_fault *why, char *to, size_t size) {
  char field[160] = "", shown[4 * SHOWN + 16];
  bool is_key = why->column >= 0 && why->column == r->column[RFL_META_KEY];
  if (why->column >= 0 && (size_t)why->column < r->schema->n)
    snprintf(field, sizeof field, "field `%.120s`: ", r->schema->field[why->column].name);
  const void *bytes = is_key ? m->key : m->payload;
  size_t n = is_key ? m->key_len : m->len;
  show(bytes, n, why->at, shown, sizeof shown);
  snprintf(to, size, "topic `%s`, partition %ld, offset %lld: %s%s at byte %zu of %s",
           r->topic, (long)m->partition, (long long)m->offset, field, why->reason,
           why->at, shown);
}

/* ---- setting ---- */

static enum rfl_code text(const struct rfl_record *r, struct rfl_builder *b,
                          enum rfl_meta meta, const void *p, size_t n,
                          struct rfl_err *err) {
  ptrdiff_t c = r->column[meta];
  if (c < 0) return RFL_OK;
  return rfl_builder_text(b, (size_t)c, p, n, err);
}

static enum rfl_code set_key(const struct rfl_record *r, struct rfl_builder *b,
                             const rd_kafka_message_t *m, struct rfl_fault *why,
                             struct rfl_err *err) {
  ptrdiff_t c = r->column[RFL_META_KEY];
  if (c < 0 || !m->key) return RFL_OK;
  *why = (struct rfl_fault){.column = (int32_t)c};
  const char *nul = memchr(m->key, 0, m->key_len);
  if (nul) {
    why->reason = "the key has an embedded NUL";
    why->at = (size_t)(nul - (const char *)m->key);
    return RFL_EDATA;
  }
  if (!rfl_utf8_valid(m->key, m->key_len)) {
    why->reason = "the key is not UTF-8";
    return RFL_EDATA;
  }
  return rfl_builder_text(b, (size_t)c, m->key, m->key_len, err);
}

static enum rfl_code set_metas(const struct rfl_record *r, struct rfl_builder *b,
                               const rd_kafka_message_t *m, struct rfl_err *err) {
  const ptrdiff_t *c = r->column;
  if (c[RFL_META_PARTITION] >= 0)
    rfl_builder_int(b, (size_t)c[RFL_META_PARTITION], m->partition);
  if (c[RFL_META_OFFSET] >= 0)
    rfl_builder_double(b, (size_t)c[RFL_META_OFFSET], (double)m->offset);
  if (c[RFL_META_TIMESTAMP] >= 0) {
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(m, &type);
    if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && ms >= 0)
      rfl_builder_long(b, (size_t)c[RFL_META_TIMESTAMP], ms * 1000);
  }
  return text(r, b, RFL_META_TOPIC, r->topic, r->topic_size, err);
}

/* A row whose values are missing, with what was wrong and the bytes, where there are
 * fields for them. */
static enum rfl_code keep_bad(const struct rfl_record *r, struct rfl_builder *b,
                              const rd_kafka_message_t *m, const char *said,
                              struct rfl_err *err) {
  struct rfl_fault ignored;
  RFL_TRY(rfl_builder_open(b, err));
  enum rfl_code code = set_metas(r, b, m, err);
  if (!code) code = set_key(r, b, m, &ignored, err);
  if (code == RFL_EDATA) code = RFL_OK; /* the key is what was bad: missing */
  if (!code) code = text(r, b, RFL_META_ERROR, said, strlen(said), err);
  if (!code && m->payload) code = text(r, b, RFL_META_RAW, m->payload, m->len, err);
  if (code)
    rfl_builder_rollback(b);
  else
    rfl_builder_commit(b);
  return code;
}

static enum rfl_code bad(const struct rfl_record *r, struct rfl_builder *b,
                         const rd_kafka_message_t *m, const struct rfl_fault *why,
                         struct rfl_err *err) {
  char said[768];
  describe(r, m, why, said, sizeof said);
  if (r->on_bad == RFL_BAD_FAIL) return rfl_fail(err, RFL_EDATA, "%s", said);
  if (r->on_bad == RFL_BAD_KEEP) RFL_TRY(keep_bad(r, b, m, said, err));
  struct rfl_tally *tally = rfl_builder_tally(b);
  tally->rows++;
  tally->bad++;
  if (!tally->first_bad[0]) {
    size_t n = rfl_utf8_prefix(said, strlen(said));
    if (n >= sizeof tally->first_bad) n = sizeof tally->first_bad - 1;
    memcpy(tally->first_bad, said, n);
    tally->first_bad[n] = '\0';
  }
  return RFL_OK;
}

static enum rfl_code decode(const struct rfl_record *r, struct rfl_decoder *d,
                            struct rfl_builder *b, const rd_kafka_message_t *m,
                            struct rfl_fault *why, struct rfl_err *err) {
  if (!r->plain) {
    RFL_TRY(set_metas(r, b, m, err));
    RFL_TRY(set_key(r, b, m, why, err));
  }
  if (!m->payload) return RFL_OK; /* a tombstone: every value is missing */
  struct rfl_bytes value = {.p = m->payload, .n = m->len};
  return d->row(d, value, b, why, err);
}

enum rfl_code rfl_record_take(const struct rfl_record *r, struct rfl_decoder *d,
                              struct rfl_builder *b, const rd_kafka_message_t *m,
                              uint32_t *rows, struct rfl_err *err) {
  struct rfl_fault why = {.column = -1, .reason = "it cannot be decoded"};
  RFL_TRY(rfl_row_open(b, err));
  enum rfl_code code = decode(r, d, b, m, &why, err);
  if (!code) {
    rfl_row_commit(b);
    rfl_builder_tally(b)->rows++;
    *rows = 1;
    return RFL_OK;
  }
  rfl_builder_rollback(b);
  if (code != RFL_EDATA) return code;
  RFL_TRY(bad(r, b, m, &why, err));
  *rows = r->on_bad == RFL_BAD_KEEP;
  return RFL_OK;
}
