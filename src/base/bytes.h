/* Bytes: a borrowed run of them, a growing buffer to write into, and a reader that
 * hostile bytes cannot fool.
 *
 *     struct rfl_buf out = {0};
 *     rfl_buf_u32(&out, 7);               // writers are sticky: check once, at the end
 *     RFL_TRY(rfl_buf_check(&out, err));
 *     struct rfl_reader in = {.at = out.p, .end = out.p + out.n};
 *     uint32_t seven = rfl_read_u32(&in);  // sticky too: 0 and in.bad once past the end
 *     rfl_buf_release(&out);
 *
 * Everything is little-endian with fixed widths. Invariant: n <= cap; a buffer that
 * failed keeps what it had. */
#ifndef RFL_BASE_BYTES_H
#define RFL_BASE_BYTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct rfl_bytes { /* p NULL: null (a tombstone); n 0 with p: empty */
  const uint8_t *p;
  size_t n;
};

struct rfl_buf {
  uint8_t *p;
  size_t n, cap;
  bool failed; /* an allocation failed; nothing was written since */
};

void rfl_buf_release(struct rfl_buf *);
void rfl_buf_clear(struct rfl_buf *); /* n = 0, keeps the memory, forgets a failure */
/* Room for `more` bytes at p + n; false (and failed) when there is none. The caller then
 * sets n itself. */
bool rfl_buf_reserve(struct rfl_buf *, size_t more);
void rfl_buf_put(struct rfl_buf *, const void *bytes, size_t n);
void rfl_buf_text(struct rfl_buf *, const char *text); /* without its NUL */
void rfl_buf_u8(struct rfl_buf *, uint8_t);
void rfl_buf_u32(struct rfl_buf *, uint32_t);
void rfl_buf_u64(struct rfl_buf *, uint64_t);
void rfl_buf_i32(struct rfl_buf *, int32_t);
void rfl_buf_i64(struct rfl_buf *, int64_t);
/* The IEEE bits: NaN payloads and -0 survive. */
void rfl_buf_double(struct rfl_buf *, double);
void rfl_buf_doubles(struct rfl_buf *, const double *, size_t n); /* only the values */
void rfl_buf_i32s(struct rfl_buf *, const int32_t *, size_t n);
void rfl_buf_string(struct rfl_buf *,
                    const char *text); /* u32 length, bytes; NULL is length 0xffffffff */
void rfl_buf_blob(struct rfl_buf *, const void *bytes, size_t n); /* u64 length, bytes */
enum rfl_code rfl_buf_check(const struct rfl_buf *, struct rfl_err *) RFL_CHECKED;

struct rfl_reader {
  const uint8_t *at, *end;
  bool bad; /* read past the end, or a length that cannot be; every later read gives 0 */
};

uint8_t rfl_read_u8(struct rfl_reader *);
uint32_t rfl_read_u32(struct rfl_reader *);
uint64_t rfl_read_u64(struct rfl_reader *);
int32_t rfl_read_i32(struct rfl_reader *);
int64_t rfl_read_i64(struct rfl_reader *);
double rfl_read_double(struct rfl_reader *);
void rfl_read_doubles(struct rfl_reader *, double *to, size_t n);
void rfl_read_i32s(struct rfl_reader *, int32_t *to, size_t n);
/* A count of things of at least `size` bytes each that must still lie ahead: bounds an
 * allocation by the input. */
uint64_t rfl_read_count(struct rfl_reader *, size_t size);
/* Gives a NUL-terminated copy (rfl_free), NULL for a NULL string. RFL_EDATA, and the
 * reader is bad, when it does not lie ahead or has a NUL inside. */
enum rfl_code rfl_read_string(struct rfl_reader *, char **gives,
                              struct rfl_err *) RFL_CHECKED;
struct rfl_bytes rfl_read_blob(struct rfl_reader *); /* borrowed from the input */
/* RFL_EDATA "<what> is damaged" when bad, or when bytes are left over. */
enum rfl_code rfl_read_done(const struct rfl_reader *, const char *what,
                            struct rfl_err *) RFL_CHECKED;

/* CRC32C (Castagnoli), of RFC 3720; start with crc = 0 and chain. */
uint32_t rfl_crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
