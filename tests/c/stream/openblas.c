#include "openblas.h"

#include "num/blas.h"

/* As the table has them: without the hidden lengths of strings, which OpenBLAS does not
 * look at. */
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

void fill_blas(void) {
  openblas_set_num_threads(1);
  rfl_blas = (struct rfl_blas){.name = "OpenBLAS",
                               .syrk = dsyrk_,
                               .gemv = dgemv_,
                               .gemm = dgemm_,
                               .trsm = dtrsm_,
                               .potrf = dpotrf_,
                               .potri = dpotri_};
}
