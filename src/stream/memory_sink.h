/* The sink that keeps the last rows in memory for R to look at. Reference counted, so
 * that the query and R may both hold it.
 *
 *     RFL_TRY(rfl_memory_sink_new(100000, &mem, err));
 *     struct rfl_sink *sink = rfl_memory_sink_end(mem);       // a new reference, as a
 * sink RFL_TRY(rfl_memory_sink_take(mem, &frames, &n, err));   // [any] keeps of the
 * frames there now, oldest first
 */
#ifndef RFL_STREAM_MEMORY_SINK_H
#define RFL_STREAM_MEMORY_SINK_H
#include "frame/flow.h"

struct rfl_memory_sink;
enum rfl_code rfl_memory_sink_new(uint64_t rows, struct rfl_memory_sink **gives,
                                  struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_memory_sink_end(struct rfl_memory_sink *, struct rfl_sink **gives,
                                  struct rfl_err *) RFL_CHECKED;
/* Whole frames whose rows make up at least the last `rows`; each to be released, the
 * array by rfl_free. */
enum rfl_code rfl_memory_sink_take(struct rfl_memory_sink *, struct rfl_frame ***gives,
                                   size_t *n, struct rfl_err *) RFL_CHECKED;
uint64_t rfl_memory_sink_seen(struct rfl_memory_sink *); /* rows put since it was made */
void rfl_memory_sink_release(struct rfl_memory_sink *);

#endif
