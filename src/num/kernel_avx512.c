#if defined(__x86_64__)
#define RFL_VEC_LEVEL 2
#define KERNELS rfl_kernels_avx512
#include "num/kernel_body.h"
#else
extern const int rfl_kernels_avx512_none; /* a file must declare something */
#endif
