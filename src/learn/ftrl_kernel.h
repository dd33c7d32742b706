/* The hot loops of FTRL over the features of one row, for floats and doubles, compiled
 * for each level of CPU. All levels give the same bits: eight lanes, no fused operations,
 * and one order of the final sum. */
#ifndef RFL_LEARN_FTRL_KERNEL_H
#define RFL_LEARN_FTRL_KERNEL_H
#include <stddef.h>

#include "learn/ftrl.h"

enum {
  FTRL_LANES = 8,
  FTRL_ROOM =
      RFL_FTRL_MOST_FEATURES + FTRL_LANES /* not 4096 bytes apart: loads do not wait
                                             for stores of the array before */
};

struct ftrl_rates {
  double offset, per_rate; /* beta, 1 / alpha */
  double l1, l2;
  double shrink, grow; /* what is stored times shrink is z; 1 unless there is a half-life.
                          n by their squares */
};

/* One row. The arrays of features are floats or doubles by the kernel. Behind the last
 * feature, up to a multiple of FTRL_LANES, x is 0 and `at` a pair of zeros that stays so:
 * what is added to it is 0. */
struct ftrl_row {
  size_t n;            /* features that are there */
  size_t ones;         /* x is known to be 1 for so many and 0 behind */
  void *at[FTRL_ROOM]; /* the (z, n) pair of each */
  union {
    float f[FTRL_ROOM];
    double d[FTRL_ROOM];
  } x, z, sum, w, root;           /* value, z, n, weight, sqrt(n) */
  const int32_t *code[FTRL_ROOM]; /* of a block: codes of every feature (NULL: open) */
  char *first[FTRL_ROOM];         /* and where its pairs begin */
  double nobody[2];               /* the pair behind the last feature */
  double bias_w;
  double number_x[RFL_FTRL_MOST_NUMBERS], number_w[RFL_FTRL_MOST_NUMBERS];
};

struct ftrl_kernel {
  /* Loads z and n, forms w and root; the sum of w x. */
  double (*weigh)(const struct ftrl_rates *, struct ftrl_row *);
  /* Adds what the row teaches, given the derivative of the loss by the linear predictor.
   * A slot met twice learns twice, from the same prediction. */
  void (*step)(const struct ftrl_rates *, struct ftrl_row *, double slope);
};
extern const struct ftrl_kernel ftrl_floats_base, ftrl_doubles_base;
extern const struct ftrl_kernel ftrl_floats_avx2, ftrl_doubles_avx2;

#endif
