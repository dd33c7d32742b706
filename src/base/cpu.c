#include "base/cpu.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum { UNSET = -1 };

static atomic_int level_in_use = UNSET; /* set once, by rfl_cpu_use or the first look */

#if defined(__x86_64__)
enum rfl_cpu rfl_cpu_best(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return RFL_CPU_BASE;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return RFL_CPU_AVX512;
  return RFL_CPU_AVX2;
}
#else
enum rfl_cpu rfl_cpu_best(void) { return RFL_CPU_BASE; }
#endif

void rfl_cpu_use(enum rfl_cpu level) {
  enum rfl_cpu best = rfl_cpu_best();
  atomic_store(&level_in_use, (int)(level < best ? level : best));
}

enum rfl_cpu rfl_cpu_level(void) {
  int level = atomic_load_explicit(&level_in_use, memory_order_relaxed);
  if (level != UNSET) return (enum rfl_cpu)level;
  int best = (int)rfl_cpu_best();
  int unset = UNSET; /* a rfl_cpu_use() that comes in between wins */
  return (enum rfl_cpu)(
      atomic_compare_exchange_strong(&level_in_use, &unset, best) ? best : unset);
}

const char *rfl_cpu_name(enum rfl_cpu level) {
  switch (level) {
    case RFL_CPU_AVX512:
      return "avx512";
    case RFL_CPU_AVX2:
      return "avx2";
    default:
      return "base";
  }
}

int rfl_cpu_parse(const char *text) {
  if (!text || strcmp(text, "best") == 0) return (int)rfl_cpu_best();
  for (int level = RFL_CPU_BASE; level <= RFL_CPU_AVX512; level++)
    if (strcmp(text, rfl_cpu_name((enum rfl_cpu)level)) == 0) return level;
  return -1;
}
