/* Fills the BLAS table with the OpenBLAS that the test is linked with, on one thread. */
#ifndef RFL_TEST_OPENBLAS_H
#define RFL_TEST_OPENBLAS_H

void fill_blas(void);

#endif
