#define RFL_VEC_LEVEL 0
#define KERNELS glm_kernels_base
#include "learn/glm_kernel_body.h"
