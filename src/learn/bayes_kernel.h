/* What a number adds to the log posterior of a chunk of rows, for each level of CPU. The
 * same operations for a row wherever it stands: a row alone gives the bits it gives in a
 * batch. A NaN adds 0. */
#ifndef RFL_LEARN_BAYES_KERNEL_H
#define RFL_LEARN_BAYES_KERNEL_H
#include <stddef.h>

/* A gaussian class beside the base class: for v = unit x - mean of the base, and z the
 * deviation in sds,
 *     z of the base - z = slope v + shift,   their sum = sum v - shift,
 * and log of the ratio of their densities is height + the product of both / 2. */
struct bayes_pair {
  double unit, base_mean, slope, sum, shift, height;
};
struct bayes_kernels {
  void (*pair)(double *sum, const double *x, size_t n, const struct bayes_pair *);
  void (*line)(double *sum, const double *x, size_t n, double intercept, double slope);
};
extern const struct bayes_kernels bayes_kernels_base, bayes_kernels_avx2,
    bayes_kernels_avx512;
const struct bayes_kernels *bayes_kernels(void);

#endif
