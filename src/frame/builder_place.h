/* Where the rows of a builder came from: places, and the spans of positions since the
 * last frame. The builder's own; sources use builder.h.
 *
 * Invariant: the spans of one place go on from one another, within a frame and from frame
 * to frame, and their rows add up to the rows that were counted to them. */
#ifndef RFL_FRAME_BUILDER_PLACE_H
#define RFL_FRAME_BUILDER_PLACE_H
#include "frame/frame.h"

struct rfl_posts;
struct rfl_posts *rfl_posts_new(void); /* NULL: no memory */
void rfl_posts_release(struct rfl_posts *);
/* The spans since the last clear, over places in the order of a cursor; gives NULL and 0
 * when there are none. */
enum rfl_code rfl_posts_spans(const struct rfl_posts *, struct rfl_cursor *gives_places,
                              struct rfl_span **gives, size_t *n,
                              struct rfl_err *) RFL_CHECKED;
void rfl_posts_clear(struct rfl_posts *); /* of spans; places keep what they expect */

#endif
