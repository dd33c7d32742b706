/* Frame: equal-length typed columns, in Arrow's physical layout, with where its rows came
 * from. Immutable once given; shared by reference count [any thread].
 *
 *     const struct rfl_column *x = &frame->column[rfl_schema_find(frame->schema, "bid")];
 *     if (rfl_column_has(x, row)) sum += x->f64[row];
 *     rfl_frame_release(frame);
 *
 * Invariant: every column has n_rows values; codes lie in [0, levels) where present;
 * spans are in row order and, when there are any, cover all rows. A missing value's slot
 * holds 0 (or an empty string). */
#ifndef RFL_FRAME_FRAME_H
#define RFL_FRAME_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "frame/cursor.h"
#include "frame/dict.h"
#include "frame/schema.h"

struct rfl_column {
  enum rfl_type type;
  bool borrowed;        /* buffers belong to somebody who outlives the frame; not freed */
  const uint8_t *valid; /* bit i (LSB first) set: present; NULL: all are */
  union {
    const void *data;
    const int32_t *i32; /* logical, integer, factor (codes), date */
    const int64_t *i64; /* integer64, timestamp */
    const double *f64;  /* double */
  };
  const int32_t *offset; /* string, raw: value i is bytes [offset[i], offset[i + 1]) */
  const char *bytes;
  struct rfl_dict *dict; /* factor: kept by the frame */
  int32_t levels; /* factor: how many of the dictionary's levels the frame may use */
};

static inline bool rfl_column_has(const struct rfl_column *c, size_t row) {
  return !c->valid || (c->valid[row >> 3] >> (row & 7) & 1);
}

struct rfl_span { /* rows [row, row + n_rows) are all there is of `place` in positions
                     [first, next) */
  uint32_t place; /* index into frame->places */
  uint32_t row, n_rows;
  int64_t first, next;
};

struct rfl_tally {   /* what was counted on the way; adds up */
  uint64_t rows;     /* records taken, good or bad */
  uint64_t bad;      /* of them bad (skipped, kept as NA, or sent to the dead letters) */
  uint64_t repeated; /* records the library gave twice, cut */
  uint64_t lost;     /* positions that were promised and are gone (on_loss = warn) */
  uint64_t failed;   /* rows a sink could not deliver */
  char first_bad[384]; /* where and why, of the first bad or failed one; "" when there is
                          none */
};
void rfl_tally_add(struct rfl_tally *, const struct rfl_tally *);

struct rfl_frame {
  int32_t refs; /* atomic */
  uint32_t n_rows;
  struct rfl_schema *schema;
  struct rfl_column *column; /* schema->n of them */
  struct rfl_cursor places; /* whose positions the spans are; `next` of each is the end of
                               its last span */
  size_t n_spans;
  struct rfl_span *span;
  struct rfl_tally tally;   /* of the positions in the spans */
  struct rfl_frame *parent; /* whose columns are shared here (kept), or NULL */
};

struct rfl_frame *rfl_frame_keep(struct rfl_frame *); /* [any] */
void rfl_frame_release(struct rfl_frame *);           /* [any] */

/* A frame over given columns, without spans. Takes over the buffers that are not
 * `borrowed` (made by rfl_alloc) and one reference of each dictionary, which the caller
 * had, on success only; keeps the schema. */
enum rfl_code rfl_frame_new(struct rfl_schema *, const struct rfl_column *,
                            uint32_t n_rows, struct rfl_frame **gives,
                            struct rfl_err *) RFL_CHECKED;
/* The columns picked[0..n) of `from`, shared, followed by `extra` columns (taken as in
 * rfl_frame_new); `schema` names them all. The rows are the same ones, so positions and
 * tally are too. */
enum rfl_code rfl_frame_pick(struct rfl_frame *from, const size_t *picked, size_t n,
                             struct rfl_schema *schema, const struct rfl_column *extra,
                             struct rfl_frame **gives, struct rfl_err *) RFL_CHECKED;

struct rfl_rows { /* a slice, borrowed */
  const struct rfl_frame *frame;
  uint32_t row, n;
};

#endif
