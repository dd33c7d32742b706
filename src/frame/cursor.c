#include "frame/cursor.h"

#include <string.h>

#include "base/mem.h"

/* What a place takes at least when written: length of the stream, shard, epoch, next. */
enum { PLACE_SIZE = 4 + 4 + 4 + 8 };

void rfl_cursor_release(struct rfl_cursor *c) {
  if (!c) return;
  for (size_t i = 0; i < c->n; i++) rfl_free(c->place[i].stream);
  rfl_free(c->place);
  *c = (struct rfl_cursor){0};
}

static int compare(const struct rfl_place *p, const char *stream, int32_t shard) {
  int order = strcmp(p->stream, stream);
  if (order) return order;
  return (p->shard > shard) - (p->shard < shard);
}

/* The first place that is not before (stream, shard): c->n when all are. */
static size_t seek(const struct rfl_cursor *c, const char *stream, int32_t shard) {
  size_t low = 0, high = c->n;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (compare(&c->place[mid], stream, shard) < 0)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

enum rfl_code rfl_cursor_copy(const struct rfl_cursor *from, struct rfl_cursor *gives,
                              struct rfl_err *err) {
  struct rfl_cursor c = {0};
  if (from->n) {
    c.place = rfl_alloc(from->n, sizeof *c.place);
    if (!c.place) return rfl_no_memory(err);
  }
  for (; c.n < from->n; c.n++) {
    c.place[c.n] = from->place[c.n];
    c.place[c.n].stream = rfl_strdup(from->place[c.n].stream);
    if (!c.place[c.n].stream) {
      rfl_cursor_release(&c);
      return rfl_no_memory(err);
    }
  }
  *gives = c;
  return RFL_OK;
}

enum rfl_code rfl_cursor_set(struct rfl_cursor *c, const char *stream, int32_t shard,
                             int64_t next, struct rfl_err *err) {
  size_t at = seek(c, stream, shard);
  if (at < c->n && compare(&c->place[at], stream, shard) == 0) {
    c->place[at].next = next;
    c->place[at].epoch = -1; /* an epoch belongs to the position that it came with */
    return RFL_OK;
  }
  char *name = rfl_strdup(stream);
  if (!name) return rfl_no_memory(err);
  struct rfl_place *more = rfl_grow(c->place, c->n + 1, sizeof *more);
  if (!more) {
    rfl_free(name);
    return rfl_no_memory(err);
  }
  c->place = more;
  memmove(&more[at + 1], &more[at], (c->n - at) * sizeof *more);
  more[at] =
      (struct rfl_place){.stream = name, .shard = shard, .epoch = -1, .next = next};
  c->n++;
  return RFL_OK;
}

const struct rfl_place *rfl_cursor_find(const struct rfl_cursor *c, const char *stream,
                                        int32_t shard) {
  size_t at = seek(c, stream, shard);
  if (at == c->n || compare(&c->place[at], stream, shard) != 0) return NULL;
  return &c->place[at];
}

bool rfl_cursor_equal(const struct rfl_cursor *a, const struct rfl_cursor *b) {
  if (a->n != b->n) return false;
  for (size_t i = 0; i < a->n; i++)
    if (compare(&a->place[i], b->place[i].stream, b->place[i].shard) != 0 ||
        a->place[i].next != b->place[i].next)
      return false;
  return true;
}

bool rfl_cursor_reaches(const struct rfl_cursor *b, const struct rfl_cursor *a) {
  for (size_t i = 0; i < a->n; i++) {
    const struct rfl_place *p = rfl_cursor_find(b, a->place[i].stream, a->place[i].shard);
    if (!p || p->next < a->place[i].next) return false;
  }
  return true;
}

void rfl_cursor_write(const struct rfl_cursor *c, struct rfl_buf *out) {
  rfl_buf_u32(out, (uint32_t)c->n);
  for (size_t i = 0; i < c->n; i++) {
    rfl_buf_string(out, c->place[i].stream);
    rfl_buf_i32(out, c->place[i].shard);
    rfl_buf_i32(out, c->place[i].epoch);
    rfl_buf_i64(out, c->place[i].next);
  }
}

/* Reads one place and appends it; places that are not in order are damage, so that the
 * binary search above may trust what was read. */
static enum rfl_code read_place(struct rfl_reader *in, struct rfl_cursor *c,
                                struct rfl_err *err) {
  struct rfl_place p = {0};
  RFL_TRY(rfl_read_string(in, &p.stream, err));
  p.shard = rfl_read_i32(in);
  p.epoch = rfl_read_i32(in);
  p.next = rfl_read_i64(in);
  bool whole = !in->bad && p.stream;
  if (whole && c->n) whole = compare(&c->place[c->n - 1], p.stream, p.shard) < 0;
  if (!whole) {
    rfl_free(p.stream);
    in->bad = true;
    return rfl_fail(err, RFL_EDATA, "The stored positions are damaged.");
  }
  c->place[c->n++] = p;
  return RFL_OK;
}

enum rfl_code rfl_cursor_read(struct rfl_reader *in, struct rfl_cursor *gives,
                              struct rfl_err *err) {
  struct rfl_cursor c = {0};
  uint32_t n = rfl_read_u32(in);
  /* No allocation may be larger than what the input could fill. */
  if (in->bad || n > (size_t)(in->end - in->at) / PLACE_SIZE) {
    in->bad = true;
    return rfl_fail(err, RFL_EDATA, "The stored positions are damaged.");
  }
  if (n) {
    c.place = rfl_alloc(n, sizeof *c.place);
    if (!c.place) return rfl_no_memory(err);
  }
  for (uint32_t i = 0; i < n; i++) {
    enum rfl_code code = read_place(in, &c, err);
    if (code) {
      rfl_cursor_release(&c);
      return code;
    }
  }
  *gives = c;
  return RFL_OK;
}
