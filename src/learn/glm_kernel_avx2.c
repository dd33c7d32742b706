#if defined(__x86_64__)
#define RFL_VEC_LEVEL 1
#define KERNELS glm_kernels_avx2
#include "learn/glm_kernel_body.h"
#else
extern const int glm_kernels_avx2_none; /* a file must declare something */
#endif
