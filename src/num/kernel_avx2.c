#if defined(__x86_64__)
#define RFL_VEC_LEVEL 1
#define KERNELS rfl_kernels_avx2
#include "num/kernel_body.h"
#else
extern const int rfl_kernels_avx2_none; /* a file must declare something */
#endif
