#if defined(__x86_64__)
#define RFL_VEC_LEVEL 1
#define KERNELS bayes_kernels_avx2
#include "learn/bayes_kernel_body.h"
#else
extern const int bayes_kernels_avx2_none; /* a file must declare something */
#endif
