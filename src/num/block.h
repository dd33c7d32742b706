/* Block: the rows handed to a learner. Borrowed views, dead at the next apply() or
 * gather. No missing values: rows with one were left out (row[] tells which frame rows
 * are here). Only where the layout says `missing` may a dense value be NaN and a code -1,
 * or -2 for a level that the recipe does not know; only an extra column whose learner
 * asked for it may hold NaN. */
#ifndef RFL_NUM_BLOCK_H
#define RFL_NUM_BLOCK_H
#include <stddef.h>
#include <stdint.h>

struct rfl_coded {
  const int32_t *code; /* 0-based, in [0, levels); NULL when levels is 0 */
  int32_t levels;      /* or slots, of a hashed feature. 0: an open set of values */
};
struct rfl_block {
  size_t n;
  uint64_t first_row;  /* number of row 0 in the pass: what reductions are anchored to */
  const uint32_t *row; /* frame row of each block row; NULL: row i is frame row first + i
                          of the slice applied to */
  size_t n_dense;
  const double *const *dense;
  size_t n_coded;
  const struct rfl_coded *coded;
  const uint64_t *const *hash; /* of coded columns that are open sets: 64 bits of each
                                  value's feature and text. NULL: there are none */
  size_t n_extra; /* what else a learner asked for: times, status, strata, clusters */
  const double *const *extra;
  const double *y;      /* NULL when only scored; a class: its 0-based code */
  const double *weight; /* NULL: all ones */
  const double *offset; /* NULL: all zeros */
  const uint64_t *key;  /* hash of (stream, shard, position), or NULL: every random choice
                           is f(seed, key) */
};

#endif
