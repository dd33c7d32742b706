/* Builder: a frame being filled row by row. One writer.
 *
 *     RFL_TRY(rfl_builder_open(b, err));            // a new row: every column missing
 *     rfl_builder_int(b, 0, 7);                     // set; the last set of a column wins
 *     RFL_TRY(rfl_builder_text(b, 1, p, n, err));   // string or factor
 *     rfl_builder_commit(b);                        // or rfl_builder_rollback(b)
 *     rfl_builder_place(b, place, offset, 1, err);  // source: this row is position
 * `offset` of that place RFL_TRY(rfl_builder_finish(b, &frame, err));  // gives what is
 * there and starts anew, same dictionaries
 *
 * Invariant: between open and commit nothing of the row is visible; rollback forgets its
 * strings and new dictionary levels. Setting a value does no allocation but for amortised
 * growth. The hot setters are inline in builder_inline.h when they need to be. */
#ifndef RFL_FRAME_BUILDER_H
#define RFL_FRAME_BUILDER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "frame/frame.h"

struct rfl_builder;
/* Dictionaries live as long as the builder and are shared by all frames it gives. */
enum rfl_code rfl_builder_new(struct rfl_schema *, struct rfl_builder **gives,
                              struct rfl_err *) RFL_CHECKED;
void rfl_builder_release(struct rfl_builder *);
struct rfl_schema *rfl_builder_schema(const struct rfl_builder *); /* borrowed */

enum rfl_code rfl_builder_open(struct rfl_builder *, struct rfl_err *) RFL_CHECKED;
void rfl_builder_missing(struct rfl_builder *,
                         size_t column); /* takes a set back: an explicit null */
void rfl_builder_int(struct rfl_builder *, size_t column,
                     int32_t); /* logical, integer, date */
void rfl_builder_long(struct rfl_builder *, size_t column,
                      int64_t); /* integer64, timestamp */
void rfl_builder_double(struct rfl_builder *, size_t column, double);
enum rfl_code rfl_builder_text(struct rfl_builder *, size_t column, const char *p,
                               size_t n,
                               struct rfl_err *) RFL_CHECKED; /* string, factor, raw */
void rfl_builder_commit(struct rfl_builder *);
void rfl_builder_rollback(struct rfl_builder *);

uint32_t rfl_builder_rows(const struct rfl_builder *); /* committed */
size_t rfl_builder_bytes(const struct rfl_builder *); /* held by the rows so far, about */
struct rfl_tally *rfl_builder_tally(struct rfl_builder *);

/* Positions. `place` is an index that the source chose; rfl_builder_name_place() tells
 * what it is, once. rfl_builder_place() extends the open span of that place to position +
 * 1 and adds `rows` (0: a position without a row: bad and skipped, or a gap) to it, or
 * begins a span. */
enum rfl_code rfl_builder_name_place(struct rfl_builder *, uint32_t place,
                                     const char *stream, int32_t shard,
                                     struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_builder_place(struct rfl_builder *, uint32_t place, int64_t position,
                                uint32_t rows, struct rfl_err *) RFL_CHECKED;
/* Positions below `next` are taken without rows: a gap that control records or compaction
 * explain. */
enum rfl_code rfl_builder_skip_to(struct rfl_builder *, uint32_t place, int64_t next,
                                  struct rfl_err *) RFL_CHECKED;
/* Where the next position of `place` is expected, once it began. */
int64_t rfl_builder_expected(const struct rfl_builder *,
                             uint32_t place); /* -1: has not begun */
/* The place begins again wherever it is next seen (it was lost and gained, or the source
 * was rewound). skip_to() on a place that has not begun only says where it begins. */
void rfl_builder_forget_place(struct rfl_builder *, uint32_t place);

/* Gives a frame of the committed rows (n_rows may be 0 when only positions moved), spans
 * and tally, and starts anew. */
enum rfl_code rfl_builder_finish(struct rfl_builder *, struct rfl_frame **gives,
                                 struct rfl_err *) RFL_CHECKED;
/* Forgets the rows, spans and tally since the last frame; dictionaries and expected
 * positions stay. */
void rfl_builder_clear(struct rfl_builder *);
/* The dictionary of a factor column, borrowed; a code of it may be set by
 * rfl_builder_int(). */
struct rfl_dict *rfl_builder_dict(const struct rfl_builder *, size_t column);

#endif
