/* Helpers of the num tests: one layout with every kind of term, and rows for it. */
#ifndef RFL_TEST_NUM_HELP_H
#define RFL_TEST_NUM_HELP_H
#include "num/block.h"
#include "num/layout.h"

enum { MANY = 500 };
struct rows { /* up to MANY rows: `numbers` dense columns, factors of 3, 2 and crossed 6
               * levels
               */
  double *dense[20], y[MANY], weight[MANY], offset[MANY];
  int32_t code[3][MANY];
  uint64_t key[MANY];
  const double *dense_view[20];
  struct rfl_coded coded[3];
  struct rfl_block block;
};
/* intercept + numbers + f + g + f:g (f by sums to zero, g by treatment) + number 0 by f.
 */
struct rfl_layout every_layout(size_t numbers);
void every_layout_free(struct rfl_layout *);
void rows_fill(struct rows *, size_t n, size_t numbers);
void rows_free(struct rows *);

#endif
