/* The rows of a frame as a source: what a data frame is when it plays the stream.
 *
 *     RFL_TRY(r_rows_source(frame, "data", &source, err));  // takes the frame, on
 * success
 *                                                           // only; copies the name
 *
 * Row i is position i of the only place (name, 0), so that a query over it saves and
 * resumes as over a topic. No R in here. */
#ifndef RFL_R_ROWS_H
#define RFL_R_ROWS_H
#include "frame/flow.h"

enum rfl_code r_rows_source(struct rfl_frame *takes, const char *name,
                            struct rfl_source **gives, struct rfl_err *) RFL_CHECKED;

#endif
