#include "num/kernel.h"

#include "base/cpu.h"

const struct rfl_kernels *rfl_kernels(void) {
#if defined(__x86_64__)
  if (rfl_cpu_level() >= RFL_CPU_AVX512) return &rfl_kernels_avx512;
  if (rfl_cpu_level() >= RFL_CPU_AVX2) return &rfl_kernels_avx2;
#endif
  return &rfl_kernels_base;
}
