#define RFL_VEC_LEVEL 0
#define KERNELS rfl_kernels_base
#include "num/kernel_body.h"
