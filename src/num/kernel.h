/* The hot loops over a chunk of rows, compiled for each level of CPU (num/vec.h says what
 * differs). Chosen once: rfl_kernels() follows rfl_cpu_level().
 *
 * Rows of a chunk lie row by row with a stride that is a multiple of 8 (x and wx below);
 * no alignment is asked for. */
#ifndef RFL_NUM_KERNEL_H
#define RFL_NUM_KERNEL_H
#include <stddef.h>

struct rfl_kernels {
  /* eta[i] += x[0][i] b[0] + ... in this order, for 1 to 4 columns: the same bits for a
   * row wherever it stands. */
  void (*add)(double *eta, const double *const *x, const double *b, size_t columns,
              size_t n);
  /* x[i * stride + j] = column[j][i] for 1 to 4 columns: a transposition. */
  void (*turn)(double *x, size_t stride, const double *const *column, size_t columns,
               size_t n);
  /* wx row i = w[i] * x row i, and wx[i][last] = r[i]. */
  void (*weigh)(double *wx, const double *x, const double *w, const double *r, size_t n,
                size_t stride, size_t last);
  /* g[i][j] += sum over rows of x[row][i] * wx[row][j] for j >= i (whole vectors, so some
   * below the diagonal too), i < rows_of_g; added row by row. */
  void (*rank)(double *g, const double *x, const double *wx, size_t n, size_t stride,
               size_t rows_of_g);
  /* to[j] += v * from[j]. */
  void (*axpy)(double *to, const double *from, double v, size_t n);
  /* (hi + lo)[j] += (h + l) * x[j], each product exact, as in Ogita, Rump & Oishi's Dot2.
   */
  void (*exact)(double *hi, double *lo, const double *x, double h, double l, size_t n);
  void (*exp)(double *to, const double *x, size_t n); /* any n: whole vectors inside */
  void (*log)(double *to, const double *x, size_t n); /* the same; x above 0 */
};
extern const struct rfl_kernels rfl_kernels_base, rfl_kernels_avx2, rfl_kernels_avx512;
const struct rfl_kernels *rfl_kernels(void);

#endif
