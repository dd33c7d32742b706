/* The inside of the handle of rows, for the files that fill it and look into it:
 * r_hold.c, r_frame.c, r_stream.c. Everybody else uses glue.h.
 *
 * A read under a budget keeps its rows as pieces of one place each, some ten thousand
 * rows long, so that putting the pieces in order puts the rows in order: frames wait
 * until they are a window full, which is then cut by place and copied. Once the pieces
 * are more than the budget allows they all go to a spool, and so do those that follow.
 *
 *     frames -> pending -> (a window full) -> pieces in memory -> (the budget) -> spool
 *
 * Without a budget a frame is a piece, as it came. */
#ifndef RFL_R_HOLD_H
#define RFL_R_HOLD_H
#include "glue.h"

struct r_piece {
  struct rfl_frame *frame; /* NULL: on disk */
  struct rfl_spool
      *spool; /* whose chunk it is; of this handle or one it was joined from */
  size_t chunk;
  uint32_t n_rows;
  const char *stream; /* where it is from, in `upto`; NULL: nowhere */
  int32_t shard;
  int64_t first;
  size_t at; /* breaks ties */
};

struct r_frames {
  struct rfl_schema *schema; /* kept, or NULL: of the frames when there are none */
  struct rfl_cursor upto;    /* the positions that the frames reach */
  size_t n, cap;
  struct r_piece *piece;
  struct rfl_frame **frame; /* of all pieces, or NULL: made when asked for */
  uint32_t *rows_of;        /* the same */
  struct rfl_rows *rows;    /* canonical order of rows in memory; NULL: not asked yet */
  size_t n_rows;
  bool ordered; /* the pieces are in the order of the rows */

  size_t budget, held; /* bytes; budget 0: none. held: by pieces in memory */
  char *folder;
  struct rfl_spool *spool;
  size_t n_pending, cap_pending, waiting; /* waiting: bytes */
  struct rfl_frame **pending;
};

/* A handle whose rows go to disk in `folder` once they hold more than `budget` bytes. */
SEXP r_frames_new_within(size_t budget, const char *folder, struct r_frames **gives);
/* Canonical order of the rows, in f->rows; all pieces are in memory. */
enum rfl_code r_frames_order(struct r_frames *, struct rfl_err *) RFL_CHECKED;
bool r_frames_on_disk(const struct r_frames *); /* whether some are */
void r_frames_drop(struct r_frames *);          /* the pieces */
/* Appends a piece; takes the frame on success only. */
enum rfl_code r_frames_piece(struct r_frames *, struct rfl_frame *takes,
                             struct rfl_err *) RFL_CHECKED;

#endif
