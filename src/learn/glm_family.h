/* The families' kernels over a chunk of rows, compiled for each level of CPU (num/vec.h).
 * n is a multiple of 8; rows added to get there have weight 0 and y 0. */
#ifndef RFL_LEARN_GLM_FAMILY_H
#define RFL_LEARN_GLM_FAMILY_H
#include <stdbool.h>
#include <stddef.h>

#include "learn/glm.h"

struct glm_rows {
  size_t n;
  const double *y, *weight; /* prior weights */
  const double *eta;
  double *w; /* out: the information of each row about eta */
  double *r; /* out: its score, weight * (y - mu) */
};
struct glm_kernels {
  /* At eta. sum[0] += deviance, sum[1] += Pearson's sum. */
  void (*at[RFL_N_FAMILIES])(const struct glm_rows *, double *sum);
  /* At glm()'s starting values (mustart), as a step from eta = offset: r = w (z - offset)
   * with z the working response; eta holds the offset. NULL: starts at 0. */
  void (*start[RFL_N_FAMILIES])(const struct glm_rows *);
};
extern const struct glm_kernels glm_kernels_base, glm_kernels_avx2, glm_kernels_avx512;
const struct glm_kernels *glm_kernels(void);

/* One row's part of the log-likelihood of the saturated model, as R's family()$aic counts
 * it. */
double glm_saturated(enum rfl_family, double y, double weight);
/* Binomial: what R's rounding of w y and w to whole numbers adds to the log-likelihood;
 * 0 when they are whole. */
double glm_rounded(double y, double weight, double eta);
bool glm_uneven(double y, double weight);
double glm_link(enum rfl_family, double mu);
/* What y must be, in words. */
const char *glm_range(enum rfl_family);
bool glm_in_range(enum rfl_family, double y);

#endif
