/* Bytes <-> rows: what decode/ implements and sources and sinks use.
 *
 *     code = decoder->row(decoder, value, builder, &why, err);   // into the open row
 *     if (code == RFL_EDATA) reject(&why);                       // else commit it
 *
 * A decoder is compiled from a schema: no allocation a record, no recursion, no I/O, no
 * policy. Used by one thread at a time. */
#ifndef RFL_FRAME_CODEC_H
#define RFL_FRAME_CODEC_H
#include "base/bytes.h"
#include "base/error.h"
#include "frame/builder.h"
#include "frame/frame.h"

struct rfl_fault {    /* why a record is bad */
  int32_t column;     /* of the schema; -1: the record as a whole */
  size_t at;          /* byte in the value */
  const char *reason; /* a constant string: "expected a number" */
  uint64_t need;
};
struct rfl_decoder {
  /* Sets the non-meta columns of the row that the SOURCE opened; the source commits.
   * RFL_EDATA: *why tells, the source rolls back, applies on_bad and counts. */
  enum rfl_code (*row)(struct rfl_decoder *, struct rfl_bytes value, struct rfl_builder *,
                       struct rfl_fault *why, struct rfl_err *);
  void (*release)(struct rfl_decoder *);
};
struct rfl_encoder { /* a row of a frame -> bytes, appended to `out` */
  enum rfl_code (*row)(struct rfl_encoder *, const struct rfl_frame *, uint32_t row,
                       struct rfl_buf *out, struct rfl_err *);
  void (*release)(struct rfl_encoder *);
};

#endif
