/* Shelf: the frames of a fit's rows that are in use, when they are fetched (from a spool)
 * rather than kept in memory. Threads that work on neighbouring rows share a frame; one
 * that would wait for it fetches the next one meanwhile.
 *
 *     RFL_TRY(rfl_shelf_new(&input, threads, &shelf, err));
 *     RFL_TRY(rfl_shelf_take(shelf, k, &frame, err));   // [any]; gives
 *     rfl_shelf_clear(shelf);                           // before the next pass
 *
 * Invariant: at most threads + 2 frames are on it. Over frames in memory it holds none.
 */
#ifndef RFL_STREAM_SHELF_H
#define RFL_STREAM_SHELF_H
#include "stream/fit.h"

struct rfl_shelf;
enum rfl_code rfl_shelf_new(const struct rfl_fit_input *, int threads,
                            struct rfl_shelf **gives, struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_shelf_take(struct rfl_shelf *, size_t k, struct rfl_frame **gives,
                             struct rfl_err *) RFL_CHECKED;
/* While nobody takes. What was taken stays the taker's. */
void rfl_shelf_clear(struct rfl_shelf *);
void rfl_shelf_release(struct rfl_shelf *);

#endif
