#include "learn/glm_family.h"

#include "base/cpu.h"

const struct glm_kernels *glm_kernels(void) {
#if defined(__x86_64__)
  if (rfl_cpu_level() >= RFL_CPU_AVX512) return &glm_kernels_avx512;
  if (rfl_cpu_level() >= RFL_CPU_AVX2) return &glm_kernels_avx2;
#endif
  return &glm_kernels_base;
}
