#define RFL_VEC_LEVEL 0
#define KERNELS km_kernels_base
#include "learn/kmeans_kernel_body.h"
