#if defined(__x86_64__)
#define RFL_VEC_LEVEL 2
#define KERNELS glm_kernels_avx512
#include "learn/glm_kernel_body.h"
#else
extern const int glm_kernels_avx512_none; /* a file must declare something */
#endif
