/* Little-endian loads and stores for the files of base/: compilers turn them into one
 * instruction where the machine is little-endian.
 *
 *     uint64_t x = load_u64(p); */
#ifndef RFL_BASE_LITTLE_H
#define RFL_BASE_LITTLE_H
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { HOST_IS_LITTLE = 1 };
#else
enum { HOST_IS_LITTLE = 0 };
#endif

static inline uint32_t load_u32(const void *p) {
  uint32_t x;
  memcpy(&x, p, sizeof x);
  return HOST_IS_LITTLE ? x : __builtin_bswap32(x);
}

static inline uint64_t load_u64(const void *p) {
  uint64_t x;
  memcpy(&x, p, sizeof x);
  return HOST_IS_LITTLE ? x : __builtin_bswap64(x);
}

static inline void store_u32(void *p, uint32_t x) {
  if (!HOST_IS_LITTLE) x = __builtin_bswap32(x);
  memcpy(p, &x, sizeof x);
}

static inline void store_u64(void *p, uint64_t x) {
  if (!HOST_IS_LITTLE) x = __builtin_bswap64(x);
  memcpy(p, &x, sizeof x);
}

#endif
