/* Cutting a frame. Its spans tell how many rows a stretch of positions gave, not which
 * position each row had; the crate's runs do, so that a cut within a span gives two
 * spans that meet at the position of the first row behind the cut. */
#include "base/mem.h"
#include "frame/order.h"
#include "kafka/ring.h"

/* Where a row stands in its partition: by the last run that begins at or before it. */
static int64_t offset_of(const struct rfl_crate *c, uint32_t row) {
  size_t low = 0, high = c->n_runs;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (c->run[middle].row <= row)
      low = middle;
    else
      high = middle;
  }
  return c->run[low].offset + (row - c->run[low].row);
}

/* The part of a span that goes with rows [row, end); false: none does. */
static bool part(const struct rfl_crate *c, const struct rfl_span *s, uint32_t row,
                 uint32_t end, struct rfl_span *gives) {
  uint32_t stop = s->row + s->n_rows;
  if (!s->n_rows) { /* goes with the row before it; the first ones with the first piece */
    *gives = *s;
    gives->row = s->row - row;
    return s->row ? s->row > row && s->row <= end : row == 0;
  }
  if (stop <= row || s->row >= end) return false;
  uint32_t from = s->row > row ? s->row : row, to = stop < end ? stop : end;
  *gives = (struct rfl_span){.place = s->place,
                             .row = from - row,
                             .n_rows = to - from,
                             .first = from > s->row ? offset_of(c, from) : s->first,
                             .next = to < stop ? offset_of(c, to) : s->next};
  return true;
}

static enum rfl_code cut_spans(const struct rfl_crate *c, uint32_t row, uint32_t end,
                               struct rfl_frame *piece, struct rfl_err *err) {
  const struct rfl_frame *f = c->frame;
  rfl_cursor_release(&piece->places);
  rfl_free(piece->span);
  piece->n_spans = 0;
  piece->span = rfl_alloc(f->n_spans, sizeof *piece->span);
  if (!piece->span) return rfl_no_memory(err);
  for (size_t i = 0; i < f->n_spans; i++) {
    struct rfl_span s;
    if (!part(c, &f->span[i], row, end, &s)) continue;
    const struct rfl_place *p = &f->places.place[s.place];
    RFL_TRY(rfl_cursor_set(&piece->places, p->stream, p->shard, s.next, err));
    piece->span[piece->n_spans++] = s;
  }
  for (size_t i = 0; i < piece->n_spans; i++) { /* places dropped out: number them anew */
    const struct rfl_place *p = &f->places.place[piece->span[i].place];
    piece->span[i].place =
        (uint32_t)(rfl_cursor_find(&piece->places, p->stream, p->shard) -
                   piece->places.place);
  }
  return RFL_OK;
}

static void share_tally(const struct rfl_frame *f, uint32_t row, uint32_t n,
                        struct rfl_frame *piece) {
  piece->tally = (struct rfl_tally){.rows = n};
  if (row) return;
  uint64_t rest = f->n_rows - n;
  piece->tally = f->tally;
  piece->tally.rows = f->tally.rows > rest ? f->tally.rows - rest : 0;
}

enum rfl_code rfl_crate_cut(const struct rfl_crate *c, uint32_t row, uint32_t n,
                            struct rfl_frame **gives, struct rfl_err *err) {
  if (row == 0 && n == c->frame->n_rows) {
    *gives = rfl_frame_keep(c->frame);
    return RFL_OK;
  }
  struct rfl_rows rows = {.frame = c->frame, .row = row, .n = n};
  struct rfl_frame *piece = NULL;
  RFL_TRY(rfl_frame_gather(&rows, 1, &piece, err));
  enum rfl_code code = cut_spans(c, row, row + n, piece, err);
  if (code) {
    rfl_frame_release(piece);
    return code;
  }
  share_tally(c->frame, row, n, piece);
  *gives = piece;
  return RFL_OK;
}
