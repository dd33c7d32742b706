/* Fills the core's BLAS table from the OpenBLAS that the test programs link, and keeps it
 * on one thread. Call first in main(). */
#ifndef RFL_TEST_BLAS_FILL_H
#define RFL_TEST_BLAS_FILL_H
#include "num/blas.h"

void dsyrk_(const char *, const char *, const int *, const int *, const double *,
            const double *, const int *, const double *, double *, const int *);
void dgemv_(const char *, const int *, const int *, const double *, const double *,
            const int *, const double *, const int *, const double *, double *,
            const int *);
void dgemm_(const char *, const char *, const int *, const int *, const int *,
            const double *, const double *, const int *, const double *, const int *,
            const double *, double *, const int *);
void dtrsm_(const char *, const char *, const char *, const char *, const int *,
            const int *, const double *, const double *, const int *, double *,
            const int *);
void dpotrf_(const char *, const int *, double *, const int *, int *);
void dpotri_(const char *, const int *, double *, const int *, int *);
void openblas_set_num_threads(int);

static inline void blas_fill(void) {
  openblas_set_num_threads(1);
  rfl_blas = (struct rfl_blas){.name = "OpenBLAS (linked)",
                               .syrk = dsyrk_,
                               .gemv = dgemv_,
                               .gemm = dgemm_,
                               .trsm = dtrsm_,
                               .potrf = dpotrf_,
                               .potri = dpotri_};
}

#endif
