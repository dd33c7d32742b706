/* Bytes looked at many at a time: eight in a word, sixteen with SSE2. All loads are
 * unaligned and little-endian on every machine; who calls answers for the bytes being
 * there (the decoder pads its copy of a record, the scanner checks). */
#ifndef RFL_DECODE_JSON_SWAR_H
#define RFL_DECODE_JSON_SWAR_H
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline uint64_t rfl_json_load8(const char *p) {
  uint64_t x;
  memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  x = __builtin_bswap64(x);
#endif
  return x;
}

static inline unsigned rfl_json_lowest(uint32_t bits) {
  return (unsigned)__builtin_ctz(bits);
}

/* For each of the next RFL_JSON_STRIDE bytes a bit, the first byte's lowest: whether it
 * is a quote, and whether it is odd: a backslash, a control character or not ASCII. */
struct rfl_json_marks {
  uint32_t quote, odd;
};

#ifdef __SSE2__
enum { RFL_JSON_STRIDE = 16 };
static inline struct rfl_json_marks rfl_json_marks(const char *p) {
  __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
  /* Signed: bytes of 0x80 and more are below the space too. */
  __m128i low = _mm_cmplt_epi8(x, _mm_set1_epi8(0x20));
  __m128i odd = _mm_or_si128(low, _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
  __m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
  return (struct rfl_json_marks){.quote = (uint32_t)_mm_movemask_epi8(quote),
                                 .odd = (uint32_t)_mm_movemask_epi8(odd)};
}
/* The bits of the bytes that JSON writes with an escape. */
static inline uint32_t rfl_json_escapes(const char *p) {
  __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
  __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
  __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\\')),
                              _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
  return (uint32_t)_mm_movemask_epi8(_mm_or_si128(control, mark));
}
#else
enum { RFL_JSON_STRIDE = 8 };
static const uint64_t rfl_json_ones = UINT64_C(0x0101010101010101);
static const uint64_t rfl_json_highs = UINT64_C(0x8080808080808080);
/* The high bit of each byte that is zero; exact, without carries from byte to byte. */
static inline uint64_t rfl_json_zero_bytes(uint64_t x) {
  return ~(((x & ~rfl_json_highs) + ~rfl_json_highs) | x) & rfl_json_highs;
}
/* The high bits of eight bytes, gathered: no two products meet in one bit. */
static inline uint32_t rfl_json_gather(uint64_t highs) {
  return (uint32_t)((highs >> 7) * UINT64_C(0x0102040810204080) >> 56);
}
static inline uint64_t rfl_json_bytes_like(uint64_t x, char c) {
  return rfl_json_zero_bytes(x ^ (rfl_json_ones * (uint8_t)c));
}
static inline uint64_t rfl_json_controls(uint64_t x) {
  return rfl_json_zero_bytes(x & (rfl_json_ones * 0xe0));
}
static inline struct rfl_json_marks rfl_json_marks(const char *p) {
  uint64_t x = rfl_json_load8(p);
  uint64_t odd =
      rfl_json_controls(x) | rfl_json_bytes_like(x, '\\') | (x & rfl_json_highs);
  return (struct rfl_json_marks){.quote = rfl_json_gather(rfl_json_bytes_like(x, '"')),
                                 .odd = rfl_json_gather(odd)};
}
static inline uint32_t rfl_json_escapes(const char *p) {
  uint64_t x = rfl_json_load8(p);
  return rfl_json_gather(rfl_json_controls(x) | rfl_json_bytes_like(x, '\\') |
                         rfl_json_bytes_like(x, '"'));
}
#endif

/* Eight digits become their values, 0 to 9; every other byte something above. */
static inline uint64_t rfl_json_digit_values(uint64_t x) {
  return x ^ UINT64_C(0x3030303030303030);
}
/* The high bit of each byte that is above 9. */
static inline uint64_t rfl_json_not_digits(uint64_t x) {
  uint64_t above = (x & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7676767676767676);
  return (above | x) & UINT64_C(0x8080808080808080);
}

/* Eight values of digits to a number: pairs, then fours, then all, by three
 * multiplications. */
static inline uint64_t rfl_json_eight(uint64_t x) {
  x = x * 2561 >> 8;
  x = (x & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
  return (x & UINT64_C(0x0000ffff0000ffff)) * UINT64_C(42949672960001) >> 32;
}

#endif
