/* Gather: joins blocks into ones of exactly `rows` rows: the fixed cells that make cuts
 * and threads invisible.
 *
 *     for (size_t from = 0, taken; from < block->n; from += taken) {
 *       RFL_TRY(rfl_gather_add(g, block, from, &taken, err));
 *       const struct rfl_block *cell = rfl_gather_block(g, false);
 *       if (cell) absorb(cell);              // a full one; dead at the next add
 *     }
 *     const struct rfl_block *last = rfl_gather_block(g, true);   // what is left, or
 * NULL
 *
 * When a gather is empty and the block holds a whole cell from `from` on, the cell is a
 * view of the block: nothing is copied. */
#ifndef RFL_NUM_GATHER_H
#define RFL_NUM_GATHER_H
#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "num/block.h"
#include "num/layout.h"

struct rfl_gather;
enum rfl_code rfl_gather_new(const struct rfl_layout *, uint32_t rows, uint64_t first_row,
                             struct rfl_gather **gives, struct rfl_err *) RFL_CHECKED;
/* Takes rows [from, from + *taken) of the block; stops when a cell is full. */
enum rfl_code rfl_gather_add(struct rfl_gather *, const struct rfl_block *, size_t from,
                             size_t *taken, struct rfl_err *) RFL_CHECKED;
const struct rfl_block *rfl_gather_block(struct rfl_gather *, bool rest);
size_t rfl_gather_pending(const struct rfl_gather *); /* rows waiting */
/* Part "pending" of a checkpoint: the rows of an unfilled cell. */
void rfl_gather_write(const struct rfl_gather *, struct rfl_buf *);
enum rfl_code rfl_gather_read(struct rfl_gather *, struct rfl_reader *,
                              struct rfl_err *) RFL_CHECKED; /* hostile bytes */
void rfl_gather_release(struct rfl_gather *);

#endif
