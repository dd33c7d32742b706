/* Scored rows as the sinks get them: key, score, model, version, time, kept columns. For
 * the loop only.
 *
 *     RFL_TRY(rfl_emit_new(spec, frame->schema, width, &emit, err));
 *     RFL_TRY(rfl_emit_frame(emit, frame, score, version, &out, &missing, err));
 */
#ifndef RFL_STREAM_EMIT_H
#define RFL_STREAM_EMIT_H
#include "stream/query.h"

struct rfl_emit; /* how frames of one schema become output frames */
enum rfl_code rfl_emit_new(const struct rfl_query_spec *, struct rfl_schema *from,
                           uint32_t width, struct rfl_emit **gives,
                           struct rfl_err *) RFL_CHECKED;
void rfl_emit_release(struct rfl_emit *);
bool rfl_emit_fits(const struct rfl_emit *, const struct rfl_schema *from);
uint32_t rfl_emit_width(const struct rfl_emit *);
/* Takes score (width * n_rows doubles by rfl_alloc, NaN: missing), also on failure.
 * Gives the frame and adds the rows with a missing score to *missing. */
enum rfl_code rfl_emit_frame(struct rfl_emit *, struct rfl_frame *, double *takes_score,
                             uint64_t version, struct rfl_frame **gives,
                             uint64_t *missing, struct rfl_err *) RFL_CHECKED;

#endif
