#include "base/bytes.h"

#include <assert.h>
#include <string.h>

#include "base/little.h"
#include "base/mem.h"

static const uint32_t NULL_STRING = 0xffffffffu;

void rfl_buf_release(struct rfl_buf *b) {
  if (!b) return;
  rfl_free(b->p);
  *b = (struct rfl_buf){0};
}

void rfl_buf_clear(struct rfl_buf *b) {
  b->n = 0;
  b->failed = false;
}

/* Doubles, so that n appends cost O(n). */
bool rfl_buf_reserve(struct rfl_buf *b, size_t more) {
  if (b->failed) return false;
  if (more <= b->cap - b->n && b->p) return true;
  size_t need;
  if (__builtin_add_overflow(b->n, more, &need)) {
    b->failed = true;
    return false;
  }
  size_t cap = b->cap < 32 ? 64 : b->cap <= SIZE_MAX / 2 ? 2 * b->cap : SIZE_MAX;
  if (cap < need) cap = need;
  uint8_t *p = rfl_grow(b->p, cap, 1);
#if defined(RFL_SEED_BUG) && RFL_SEED_BUG == 2
  b->p = p; /* loses the old block when there is no new one */
#endif
  if (!p) {
    b->failed = true;
    return false;
  }
  b->p = p;
  b->cap = cap;
  return true;
}

void rfl_buf_put(struct rfl_buf *b, const void *bytes, size_t n) {
  if (n == 0 || !rfl_buf_reserve(b, n)) return;
  memcpy(b->p + b->n, bytes, n);
  b->n += n;
}

void rfl_buf_text(struct rfl_buf *b, const char *text) {
  rfl_buf_put(b, text, strlen(text));
}

void rfl_buf_u8(struct rfl_buf *b, uint8_t x) { rfl_buf_put(b, &x, 1); }

void rfl_buf_u32(struct rfl_buf *b, uint32_t x) {
  if (!rfl_buf_reserve(b, sizeof x)) return;
  store_u32(b->p + b->n, x);
  b->n += sizeof x;
}

void rfl_buf_u64(struct rfl_buf *b, uint64_t x) {
  if (!rfl_buf_reserve(b, sizeof x)) return;
  store_u64(b->p + b->n, x);
  b->n += sizeof x;
}

void rfl_buf_i32(struct rfl_buf *b, int32_t x) { rfl_buf_u32(b, (uint32_t)x); }

void rfl_buf_i64(struct rfl_buf *b, int64_t x) { rfl_buf_u64(b, (uint64_t)x); }

void rfl_buf_double(struct rfl_buf *b, double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  rfl_buf_u64(b, bits);
}

void rfl_buf_doubles(struct rfl_buf *b, const double *x, size_t n) {
  if (HOST_IS_LITTLE && n <= SIZE_MAX / sizeof *x) {
    rfl_buf_put(b, x, n * sizeof *x);
    return;
  }
  for (size_t i = 0; i < n && !b->failed; i++) rfl_buf_double(b, x[i]);
}

void rfl_buf_i32s(struct rfl_buf *b, const int32_t *x, size_t n) {
  if (HOST_IS_LITTLE && n <= SIZE_MAX / sizeof *x) {
    rfl_buf_put(b, x, n * sizeof *x);
    return;
  }
  for (size_t i = 0; i < n && !b->failed; i++) rfl_buf_i32(b, x[i]);
}

void rfl_buf_string(struct rfl_buf *b, const char *text) {
  size_t n = text ? strlen(text) : 0;
  if (n >= NULL_STRING) { /* no such text fits the format */
    b->failed = true;
    return;
  }
  rfl_buf_u32(b, text ? (uint32_t)n : NULL_STRING);
  rfl_buf_put(b, text, n);
}

void rfl_buf_blob(struct rfl_buf *b, const void *bytes, size_t n) {
  rfl_buf_u64(b, n);
  rfl_buf_put(b, bytes, n);
}

enum rfl_code rfl_buf_check(const struct rfl_buf *b, struct rfl_err *err) {
  return b->failed ? rfl_no_memory(err) : RFL_OK;
}

/* The only place that moves a reader on: NULL, and bad for good, unless n bytes lie
 * ahead. */
static const uint8_t *take(struct rfl_reader *r, size_t n) {
#if defined(RFL_SEED_BUG) && RFL_SEED_BUG == 1 /* one byte too many */
  if (r->bad || n > (size_t)(r->end - r->at) + 1) {
#else
  if (r->bad || n > (size_t)(r->end - r->at)) {
#endif
    r->bad = true;
    return NULL;
  }
  const uint8_t *p = r->at;
  r->at += n;
  return p;
}

uint8_t rfl_read_u8(struct rfl_reader *r) {
  const uint8_t *p = take(r, 1);
  return p ? *p : 0;
}

uint32_t rfl_read_u32(struct rfl_reader *r) {
  const uint8_t *p = take(r, 4);
  return p ? load_u32(p) : 0;
}

uint64_t rfl_read_u64(struct rfl_reader *r) {
  const uint8_t *p = take(r, 8);
  return p ? load_u64(p) : 0;
}

int32_t rfl_read_i32(struct rfl_reader *r) { return (int32_t)rfl_read_u32(r); }

int64_t rfl_read_i64(struct rfl_reader *r) { return (int64_t)rfl_read_u64(r); }

double rfl_read_double(struct rfl_reader *r) {
  uint64_t bits = rfl_read_u64(r);
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* n things of `size` bytes, or NULL. A product that overflows cannot lie ahead. */
static const uint8_t *take_many(struct rfl_reader *r, size_t n, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes)) r->bad = true;
  return r->bad ? NULL : take(r, bytes);
}

void rfl_read_doubles(struct rfl_reader *r, double *to, size_t n) {
  const uint8_t *p = take_many(r, n, sizeof *to);
  for (size_t i = 0; i < n; i++) {
    uint64_t bits = p ? load_u64(p + i * sizeof *to) : 0;
    memcpy(to + i, &bits, sizeof *to);
  }
}

void rfl_read_i32s(struct rfl_reader *r, int32_t *to, size_t n) {
  const uint8_t *p = take_many(r, n, sizeof *to);
  for (size_t i = 0; i < n; i++) to[i] = p ? (int32_t)load_u32(p + i * sizeof *to) : 0;
}

uint64_t rfl_read_count(struct rfl_reader *r, size_t size) {
  assert(size > 0);
  uint64_t n = rfl_read_u64(r);
  if (r->bad || n <= (size_t)(r->end - r->at) / size) return n;
  r->bad = true;
  return 0;
}

static enum rfl_code damaged(struct rfl_reader *r, struct rfl_err *err) {
  r->bad = true;
  return rfl_fail(err, RFL_EDATA, "A text in the stored bytes is damaged.");
}

enum rfl_code rfl_read_string(struct rfl_reader *r, char **gives, struct rfl_err *err) {
  uint32_t n = rfl_read_u32(r);
  if (r->bad) return damaged(r, err);
  if (n == NULL_STRING) {
    *gives = NULL;
    return RFL_OK;
  }
  const uint8_t *p = take(r, n);
  if (!p || (n > 0 && memchr(p, 0, n))) return damaged(r, err);
  char *text = rfl_strndup((const char *)p, n);
  if (!text) return rfl_no_memory(err);
  *gives = text;
  return RFL_OK;
}

struct rfl_bytes rfl_read_blob(struct rfl_reader *r) {
  uint64_t n = rfl_read_count(r, 1);
  const uint8_t *p = take(r, (size_t)n);
  return (struct rfl_bytes){.p = p, .n = p ? (size_t)n : 0};
}

enum rfl_code rfl_read_done(const struct rfl_reader *r, const char *what,
                            struct rfl_err *err) {
  if (r->bad || r->at != r->end) return rfl_fail(err, RFL_EDATA, "%s is damaged.", what);
  return RFL_OK;
}
