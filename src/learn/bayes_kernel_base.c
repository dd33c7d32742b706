#define RFL_VEC_LEVEL 0
#define KERNELS bayes_kernels_base
#include "learn/bayes_kernel_body.h"
