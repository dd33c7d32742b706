/* The kernels of the three common kinds (constant variance and identity, logistic, counts
 * with a log link) over a chunk of rows, compiled for each level of CPU (num/vec.h).
 * n is a multiple of 8; rows added to get there have weight 0 and y 0. */
#ifndef RFL_LEARN_GLM_FAMILY_H
#define RFL_LEARN_GLM_FAMILY_H
#include <stdbool.h>
#include <stddef.h>

#include "learn/glm.h"

enum rfl_fast { RFL_FAST_LINEAR, RFL_FAST_LOGISTIC, RFL_FAST_COUNT, RFL_N_FAST };

struct glm_rows {
  size_t n;
  const double *y, *weight; /* prior weights */
  const double *eta;
  double *w; /* out: the information of each row about eta */
  double *r; /* out: its score; at the canonical link weight * (y - mu) */
};
struct glm_kernels {
  /* At eta. sum[0] += deviance, sum[1] += Pearson's sum. */
  void (*at[RFL_N_FAST])(const struct glm_rows *, double *sum);
  /* At glm()'s starting values (mustart), as a step from eta = offset: r = w (z - offset)
   * with z the working response; eta holds the offset. NULL: starts at 0. */
  void (*start[RFL_N_FAST])(const struct glm_rows *);
};
extern const struct glm_kernels glm_kernels_base, glm_kernels_avx2, glm_kernels_avx512;
const struct glm_kernels *glm_kernels(void);

#endif
