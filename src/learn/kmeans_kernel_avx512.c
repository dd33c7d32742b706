#if defined(__x86_64__)
#define RFL_VEC_LEVEL 2
#define KERNELS km_kernels_avx512
#include "learn/kmeans_kernel_body.h"
#else
extern const int km_kernels_avx512_none; /* a file must declare something */
#endif
