/* Which libraries and kernels are really in use.
 *
 * The core calls BLAS through a table. Linking -lopenblas beside R's own BLAS silently
 * gives R's, because the names are already bound; so OpenBLAS is opened by name, locally
 * and with its own bindings first (RTLD_DEEPBIND). When R runs on OpenBLAS itself the
 * library is in the process already, and there is one copy with one number of threads:
 * that number is R's to choose and is left alone. Without OpenBLAS the table holds R's
 * BLAS. */
#define USE_FC_LEN_T
#include <R_ext/BLAS.h>
#include <R_ext/Lapack.h>
#include <R_ext/Rdynload.h>
#ifndef FCONE
#define FCONE
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "glue.h"
#include "glue_start.h"
#include "num/blas.h"

#ifndef RIFFLE_OPENBLAS
#define RIFFLE_OPENBLAS "libopenblas.so.0"
#endif
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__)
enum { HOW = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND };
#else /* AddressSanitizer refuses RTLD_DEEPBIND; macOS does not have or need it */
enum { HOW = RTLD_NOW | RTLD_LOCAL };
#endif

static char blas_name[64] = "R's BLAS";
static bool private_blas; /* OpenBLAS, and nobody else in this process uses it */

static void syrk(const char *uplo, const char *trans, const int *n, const int *k,
                 const double *alpha, const double *a, const int *lda, const double *beta,
                 double *c, const int *ldc) {
  F77_CALL(dsyrk)(uplo, trans, n, k, alpha, a, lda, beta, c, ldc FCONE FCONE);
}

static void gemv(const char *trans, const int *m, const int *n, const double *alpha,
                 const double *a, const int *lda, const double *x, const int *incx,
                 const double *beta, double *y, const int *incy) {
  F77_CALL(dgemv)(trans, m, n, alpha, a, lda, x, incx, beta, y, incy FCONE);
}

static void gemm(const char *transa, const char *transb, const int *m, const int *n,
                 const int *k, const double *alpha, const double *a, const int *lda,
                 const double *b, const int *ldb, const double *beta, double *c,
                 const int *ldc) {
  F77_CALL(dgemm)
  (transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc FCONE FCONE);
}

static void trsm(const char *side, const char *uplo, const char *transa, const char *diag,
                 const int *m, const int *n, const double *alpha, const double *a,
                 const int *lda, double *b, const int *ldb) {
  F77_CALL(dtrsm)
  (side, uplo, transa, diag, m, n, alpha, a, lda, b, ldb FCONE FCONE FCONE FCONE);
}

static void potrf(const char *uplo, const int *n, double *a, const int *lda, int *info) {
  F77_CALL(dpotrf)(uplo, n, a, lda, info FCONE);
}

static void potri(const char *uplo, const int *n, double *a, const int *lda, int *info) {
  F77_CALL(dpotri)(uplo, n, a, lda, info FCONE);
}

static const struct rfl_blas r_blas = {.name = blas_name,
                                       .syrk = syrk,
                                       .gemv = gemv,
                                       .gemm = gemm,
                                       .trsm = trsm,
                                       .potrf = potrf,
                                       .potri = potri};

/* ISO C has no way to turn an object pointer into a function pointer; POSIX promises that
 * copying the bits works. */
static bool find(void *library, const char *name, void *function) {
  void *symbol = dlsym(library, name);
  memcpy(function, &symbol, sizeof symbol);
  return symbol != NULL;
}

/* OpenBLAS starts its threads when it is loaded: with all signals blocked, since R's
 * handlers must run on R's thread. */
static void *load_blas(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  void *library = dlopen(RIFFLE_OPENBLAS, HOW);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return library;
}

static bool open_blas(struct rfl_blas *table) {
  bool shared = dlopen(RIFFLE_OPENBLAS, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) != NULL;
  void *library = load_blas();
  if (!library) return false;
  bool all =
      find(library, "dsyrk_", &table->syrk) && find(library, "dgemv_", &table->gemv) &&
      find(library, "dgemm_", &table->gemm) && find(library, "dtrsm_", &table->trsm) &&
      find(library, "dpotrf_", &table->potrf) && find(library, "dpotri_", &table->potri);
  char *(*config)(void);
  void (*set_threads)(int);
  if (!all || !find(library, "openblas_get_config", &config) ||
      !find(library, "openblas_set_num_threads", &set_threads)) {
    dlclose(library);
    return false;
  }
  private_blas = !shared;
  if (private_blas) set_threads(1);
  char version[32] = "";
  sscanf(config(), "OpenBLAS %31s", version);
  snprintf(blas_name, sizeof blas_name, "OpenBLAS %s", version);
  return true;
}

void info_start(void) {
  rfl_blas = r_blas;
  struct rfl_blas table = r_blas;
  if (open_blas(&table)) rfl_blas = table;
  int level = rfl_cpu_parse(getenv("RIFFLE_CPU"));
  if (level >= 0) rfl_cpu_use((enum rfl_cpu)level);
}

SEXP ffi_info(void) {
  const char *names[] = {"librdkafka", "blas", "blas_shared", "cpu", "cpu_best", ""};
  SEXP info = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(info, 0, r_from_text(rfl_kafka_version_text()));
  SET_VECTOR_ELT(info, 1, r_from_text(rfl_blas.name));
  SET_VECTOR_ELT(info, 2, Rf_ScalarLogical(!private_blas));
  SET_VECTOR_ELT(info, 3, r_from_text(rfl_cpu_name(rfl_cpu_level())));
  SET_VECTOR_ELT(info, 4, r_from_text(rfl_cpu_name(rfl_cpu_best())));
  UNPROTECT(1);
  return info;
}
