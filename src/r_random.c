/* Random numbers that are the same on every platform, for the simulator. */
#include <Rinternals.h>

#include "base/random.h"
#include "glue.h"

/* Draw `index` of the records 0, 1, ... n - 1: uniform on [0, 1). */
SEXP ffi_random_uniform(SEXP seed, SEXP index, SEXP n) {
  uint64_t s = (uint64_t)r_number(seed), k = (uint64_t)r_number(index);
  R_xlen_t rows = (R_xlen_t)r_number(n);
  SEXP out = Rf_allocVector(REALSXP, rows);
  double *u = REAL(out);
  for (R_xlen_t i = 0; i < rows; i++) u[i] = rfl_uniform(s, (uint64_t)i, k);
  return out;
}
