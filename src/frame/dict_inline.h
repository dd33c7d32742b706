/* The inside of a dictionary, for those who look up a level a nanosecond: the builder's
 * setters and through them the decoders. Everybody else uses dict.h.
 *
 *     int32_t code = rfl_dict_lookup(d, p, n);   // 16 bytes must be readable at p,
 * whatever n if (code < 0) RFL_TRY(rfl_dict_code(d, p, n, &code, err));
 *
 * Texts of up to 16 bytes are held in the table itself, as two zero-padded words; longer
 * ones by a 64-bit hash and where their text is. Both tables are open-addressed with
 * linear probing, at most half full, and their entries stand as if put in by rising
 * level: so the newest level can be taken out by clearing its slot (rfl_dict_cut).
 *
 * The hash is seeded by the dictionary's address, so that nobody can send texts that all
 * collide; codes are given by order of sight and do not depend on it. */
#ifndef RFL_FRAME_DICT_INLINE_H
#define RFL_FRAME_DICT_INLINE_H
#include <string.h>

#include "frame/dict.h"

#define RFL_LIKELY(x) __builtin_expect(!!(x), 1)
#define RFL_UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { RFL_DICT_SHORT = 16, RFL_DICT_PADDING = 16, RFL_DICT_CHUNKS = 26 };

struct rfl_dict_short {
  uint64_t a, b;     /* the text, zero-padded */
  uint32_t n, code1; /* code + 1; 0: an empty slot */
};
struct rfl_dict_long {
  uint64_t hash;
  const char *text; /* the level's, which never moves */
  uint32_t n, code1;
};
struct rfl_dict_level {
  const char *text;
  uint32_t n;
};
struct rfl_dict_arena;
struct rfl_dict {
  struct rfl_dict_short *shorts;
  uint64_t seed;
  uint32_t short_mask, long_mask;
  struct rfl_dict_long *longs;
  uint32_t n_shorts, n_longs;
  int32_t size;
  int32_t refs; /* atomic */
  struct rfl_dict_arena *arena;
  /* Chunk k holds 64 * 2^k levels and is never moved or freed before the dictionary is:
   * that is what lets readers go on while the writer adds. */
  struct rfl_dict_level *chunk[RFL_DICT_CHUNKS];
};

static inline uint64_t rfl_dict_word(const char *p) {
  uint64_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

/* The high and the low half of a 128-bit product, folded. */
static inline uint64_t rfl_dict_mix(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 wide;
  wide x = (wide)a * b;
  return (uint64_t)x ^ (uint64_t)(x >> 64);
}

static inline uint64_t rfl_dict_hash_short(uint64_t seed, uint64_t a, uint64_t b,
                                           size_t n) {
  return rfl_dict_mix(a ^ seed, b ^ 0xE7037ED1A0B428DBULL ^ n);
}

/* n in (16, 32]: the first and the last 16 bytes, which may overlap. */
static inline uint64_t rfl_dict_hash_32(uint64_t seed, const char *p, size_t n) {
  return rfl_dict_mix(rfl_dict_word(p) ^ seed,
                      rfl_dict_word(p + 8) ^ 0xE7037ED1A0B428DBULL ^ n) ^
         rfl_dict_mix(rfl_dict_word(p + n - 16) ^ seed ^ 0x8EBC6AF09C88C6E3ULL,
                      rfl_dict_word(p + n - 8) ^ 0x589965CC75374CC3ULL);
}

static inline bool rfl_dict_same_32(const char *x, const char *y, size_t n) {
  return ((rfl_dict_word(x) ^ rfl_dict_word(y)) |
          (rfl_dict_word(x + 8) ^ rfl_dict_word(y + 8)) |
          (rfl_dict_word(x + n - 16) ^ rfl_dict_word(y + n - 16)) |
          (rfl_dict_word(x + n - 8) ^ rfl_dict_word(y + n - 8))) == 0;
}

/* The first `n` <= 8 bytes of a word that was read from memory. */
static inline uint64_t rfl_dict_head(uint64_t word, size_t n) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return n == 0 ? 0 : word << (64 - 8 * n) >> (64 - 8 * n);
#else
  return n == 0 ? 0 : word >> (64 - 8 * n) << (64 - 8 * n);
#endif
}

static inline int32_t rfl_dict_probe_short(const struct rfl_dict *d, uint64_t a,
                                           uint64_t b, size_t n) {
  uint64_t i = rfl_dict_hash_short(d->seed, a, b, n);
  for (;; i++) {
    const struct rfl_dict_short *e = &d->shorts[i & d->short_mask];
    if (RFL_LIKELY(((e->a ^ a) | (e->b ^ b) | (e->n ^ n)) == 0))
      return (int32_t)e->code1 - 1; /* the empty text meets empty slots: -1 */
    if (!e->code1) return -1;
  }
}

/* The code of a text, or -1 when it is no level yet. Reads 16 bytes at `p` whatever `n`
 * is, and none past p + n when n > 16. The writer's thread only. */
static inline int32_t rfl_dict_lookup(const struct rfl_dict *d, const char *p, size_t n) {
  if (RFL_LIKELY(n <= 16)) {
    size_t head = n < 8 ? n : 8;
    return rfl_dict_probe_short(d, rfl_dict_head(rfl_dict_word(p), head),
                                rfl_dict_head(rfl_dict_word(p + 8), n - head), n);
  }
  if (RFL_UNLIKELY(n > 32)) return rfl_dict_find(d, p, n);
  uint64_t hash = rfl_dict_hash_32(d->seed, p, n);
  for (uint64_t i = hash;; i++) {
    const struct rfl_dict_long *e = &d->longs[i & d->long_mask];
    if (!e->code1) return -1;
    if (e->hash == hash && e->n == n && rfl_dict_same_32(e->text, p, n))
      return (int32_t)e->code1 - 1;
  }
}

#endif
