/* The table through which the core reaches BLAS and LAPACK. Filled once, by the glue
 * (OpenBLAS, else R's) or by a test main (linked OpenBLAS), before work starts.
 * Column-major, Fortran conventions, without hidden string lengths.
 *
 *     rfl_blas.potrf("U", &n, a, &n, &info);
 */
#ifndef RFL_NUM_BLAS_H
#define RFL_NUM_BLAS_H

struct rfl_blas {
  const char *name; /* "OpenBLAS 0.3.21", "R's BLAS" */
  void (*syrk)(const char *uplo, const char *trans, const int *n, const int *k,
               const double *alpha, const double *a, const int *lda, const double *beta,
               double *c, const int *ldc);
  void (*gemv)(const char *trans, const int *m, const int *n, const double *alpha,
               const double *a, const int *lda, const double *x, const int *incx,
               const double *beta, double *y, const int *incy);
  void (*gemm)(const char *transa, const char *transb, const int *m, const int *n,
               const int *k, const double *alpha, const double *a, const int *lda,
               const double *b, const int *ldb, const double *beta, double *c,
               const int *ldc);
  void (*trsm)(const char *side, const char *uplo, const char *transa, const char *diag,
               const int *m, const int *n, const double *alpha, const double *a,
               const int *lda, double *b, const int *ldb);
  void (*potrf)(const char *uplo, const int *n, double *a, const int *lda, int *info);
  void (*potri)(const char *uplo, const int *n, double *a, const int *lda, int *info);
};
extern struct rfl_blas rfl_blas;

#endif
