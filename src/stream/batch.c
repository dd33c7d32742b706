#include "base/mem.h"
#include "stream/loop.h"

enum rfl_code rfl_batch_add(struct rfl_batch *b, struct rfl_frame *takes,
                            struct rfl_err *err) {
  if (b->n == b->cap) {
    size_t cap = b->cap ? 2 * b->cap : 8;
    struct rfl_frame **more = rfl_grow(b->frame, cap, sizeof *more);
    if (!more) {
      rfl_frame_release(takes);
      return rfl_no_memory(err);
    }
    b->frame = more;
    b->cap = cap;
  }
  b->frame[b->n++] = takes;
  b->rows += takes->n_rows;
  return RFL_OK;
}

void rfl_batch_release(struct rfl_batch *b) {
  for (size_t i = 0; i < b->n; i++) rfl_frame_release(b->frame[i]);
  rfl_free(b->frame);
  *b = (struct rfl_batch){0};
}

enum rfl_code rfl_batch_advance(const struct rfl_batch *b, struct rfl_cursor *cursor,
                                bool *grew, struct rfl_err *err) {
  for (size_t i = 0; i < b->n; i++) {
    const struct rfl_frame *f = b->frame[i];
    for (size_t s = 0; s < f->n_spans; s++) {
      const struct rfl_place *p = &f->places.place[f->span[s].place];
      if (!rfl_cursor_find(cursor, p->stream, p->shard)) *grew = true;
      RFL_TRY(rfl_cursor_set(cursor, p->stream, p->shard, f->span[s].next, err));
    }
  }
  return RFL_OK;
}

enum rfl_code rfl_cursor_fill(struct rfl_cursor *to, const struct rfl_cursor *from,
                              struct rfl_err *err) {
  for (size_t i = 0; i < from->n; i++) {
    const struct rfl_place *p = &from->place[i];
    if (rfl_cursor_find(to, p->stream, p->shard)) continue;
    RFL_TRY(rfl_cursor_set(to, p->stream, p->shard, p->next, err));
  }
  return RFL_OK;
}
