/* Chunk: the rows of a frame as bytes on this machine's disk, and back. What a spool is
 * made of.
 *
 *     rfl_chunk_write(frame, codes, &buf);                // rfl_buf_check() says whether
 *     RFL_TRY(rfl_chunk_read(&shape, takes, n, &frame, err));
 *
 * In the machine's own byte order, as only the process that wrote it reads it: a lead
 * (magic, checksum of all that follows, rows, columns, size), a line a column, then the
 * columns' buffers, each at a multiple of 8 bytes:
 *
 *     u32 'RFLc' u32 crc u32 rows u32 columns u64 size u32 spans u32 bytes of places
 *     a column: u8 type, u8 width, u8 gaps, u8 0, i32 levels, u64 bytes of text
 *     its buffers: validity bits if gaps; rows * width of values, or rows + 1 offsets
 *     and the text
 *     the places (a cursor), the spans: u32 place row rows, i64 first next
 *
 * Whole numbers and codes have the smallest width of 1, 2 and 4 bytes that holds them. */
#ifndef RFL_STORE_CHUNK_H
#define RFL_STORE_CHUNK_H
#include "frame/flow.h"

struct rfl_chunk_codes { /* of a factor column */
  const int32_t
      *code;      /* what to write for each level of its dictionary; NULL: no factor */
  int32_t levels; /* all of them are below */
};
/* `codes`: of each column. */
void rfl_chunk_write(const struct rfl_frame *, const struct rfl_chunk_codes *,
                     struct rfl_buf *);

struct rfl_chunk_shape {        /* what a chunk is read as */
  struct rfl_schema *schema;    /* of the frame that is given */
  struct rfl_schema *bytes;     /* of one raw column: what holds the chunk */
  struct rfl_dict *const *dict; /* of each column; NULL where it is no factor */
  const int32_t *levels;        /* of each dictionary, published to the reader */
  bool known;                   /* these bytes passed their checksum before */
};
/* Takes the bytes (made by rfl_alloc; also on failure): the frame's columns are views of
 * them, but for narrow ones. RFL_EDATA: they are not a chunk of this shape; anything may
 * be handed in. */
enum rfl_code rfl_chunk_read(const struct rfl_chunk_shape *, uint8_t *takes, size_t n,
                             struct rfl_frame **gives, struct rfl_err *) RFL_CHECKED;

#endif
