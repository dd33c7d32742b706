#include "store/value.h"

#include <string.h>

#include "base/text.h"

static const char damaged[] = "What the model says of itself is damaged: %s.";
static const size_t least[RFL_N_VALUES] = {0, 1, 4, 8,
                                           4, 1, 10}; /* bytes of an element */

void rfl_value_open(struct rfl_buf *out, const struct rfl_value_head *h) {
  rfl_buf_u8(out, (uint8_t)h->kind);
  rfl_buf_u8(out, h->named ? 1 : 0);
  rfl_buf_u64(out, h->n);
}

struct rfl_value_head rfl_value_head(struct rfl_reader *in) {
  uint8_t kind = rfl_read_u8(in), named = rfl_read_u8(in);
  uint64_t n = rfl_read_u64(in);
  if (kind >= RFL_N_VALUES || named > 1) in->bad = true;
  if (in->bad) return (struct rfl_value_head){.kind = RFL_VALUE_NULL};
  return (struct rfl_value_head){(enum rfl_value_kind)kind, named == 1, n};
}

struct rfl_bytes rfl_value_text(struct rfl_reader *in) {
  uint32_t n = rfl_read_u32(in);
  if (n == UINT32_MAX) return (struct rfl_bytes){0};
  if (in->bad || n > (size_t)(in->end - in->at)) {
    in->bad = true;
    return (struct rfl_bytes){0};
  }
  struct rfl_bytes text = {in->at, n};
  in->at += n;
  return text;
}

/* `count` strings. */
static const char *texts_fault(struct rfl_reader *in, uint64_t count) {
  for (uint64_t i = 0; i < count && !in->bad; i++) {
    struct rfl_bytes t = rfl_value_text(in);
    if (!t.p) continue;
    if (memchr(t.p, 0, t.n)) return "a text has a NUL";
    if (!rfl_utf8_valid((const char *)t.p, t.n)) return "a text is not UTF-8";
  }
  return NULL;
}

static void skip(struct rfl_reader *in, uint64_t n) {
  if (n > (uint64_t)(in->end - in->at))
    in->bad = true;
  else
    in->at += n;
}

static const char *logicals_fault(struct rfl_reader *in, uint64_t n) {
  for (uint64_t i = 0; i < n && !in->bad; i++)
    if (rfl_read_u8(in) > 2) return "a logical is none";
  return NULL;
}

/* The lists that are open: how many of their values are still to come. */
struct open_lists {
  uint64_t left[RFL_VALUE_DEPTH];
  size_t n;
};

static const char *one_fault(struct rfl_reader *in, struct open_lists *open) {
  struct rfl_value_head h = rfl_value_head(in);
  if (in->bad) return NULL;
  uint64_t ahead = (uint64_t)(in->end - in->at);
  if (h.kind == RFL_VALUE_NULL ? h.n || h.named : h.n > ahead / least[h.kind])
    return "a length cannot be";
  const char *fault = h.named ? texts_fault(in, h.n) : NULL;
  if (fault) return fault;
  switch (h.kind) {
    case RFL_VALUE_LIST:
      if (open->n == RFL_VALUE_DEPTH) return "it is too deep";
      open->left[open->n++] = h.n;
      return NULL;
    case RFL_VALUE_STRING:
      return texts_fault(in, h.n);
    case RFL_VALUE_LOGICAL:
      return logicals_fault(in, h.n);
    default:
      skip(in, h.n * least[h.kind]);
      return NULL;
  }
}

enum rfl_code rfl_value_check(struct rfl_bytes bytes, struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  struct open_lists open = {.left = {1}, .n = 1}; /* the value itself, as a list of one */
  while (open.n && !in.bad) {
    uint64_t *left = &open.left[open.n - 1];
    if (!*left) {
      open.n--;
      continue;
    }
    --*left;
    const char *fault = one_fault(&in, &open);
    if (fault) return rfl_fail(err, RFL_EDATA, damaged, fault);
  }
  if (in.bad) return rfl_fail(err, RFL_EDATA, damaged, "it ends too early");
  if (in.at != in.end) return rfl_fail(err, RFL_EDATA, damaged, "something follows it");
  return RFL_OK;
}
