#include "num/blas.h"

struct rfl_blas rfl_blas;
