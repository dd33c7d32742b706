/* Canonical order: the rows of several frames by place, then position, whatever order
 * they arrived in.
 *
 *     RFL_TRY(rfl_order(frame, n, &rows, &n_rows, err));           // slices, in order
 *     code = rfl_frame_gather(rows, n_rows, &whole, err);          // when one frame is
 *     rfl_free(rows);                                              // wanted
 *
 * Invariant: every row of the frames is in exactly one slice; the order depends on the
 * spans only. Cost: rfl_order() sorts spans, not rows; rfl_frame_gather() copies. */
#ifndef RFL_FRAME_ORDER_H
#define RFL_FRAME_ORDER_H
#include "frame/frame.h"

/* Slices by stream (C order), shard, position, none without rows; the array by rfl_free,
 * the frames are borrowed. Rows of frames without spans come last, as given. */
enum rfl_code rfl_order(struct rfl_frame *const *, size_t n, struct rfl_rows **gives,
                        size_t *gives_n, struct rfl_err *) RFL_CHECKED;

/* The rows of the slices copied into one frame. All come from frames of the first one's
 * schema and dictionaries (RFL_ESCHEMA otherwise). The spans of the rows come along when
 * no slice cuts one; positions that gave no row, and tallies, are the frames' and do not.
 * No slices: RFL_EARGUMENT. */
enum rfl_code rfl_frame_gather(const struct rfl_rows *, size_t n,
                               struct rfl_frame **gives, struct rfl_err *) RFL_CHECKED;

#endif
