#include "store/chunk.h"

#include <string.h>

#include "base/mem.h"

enum { MAGIC = 0x634c4652, LEAD = 32, LINE = 16, SPAN = 28, CHECKED_FROM = 8 };

static size_t padded(size_t n) { return (n + 7) & ~(size_t)7; }

static bool is_text(enum rfl_type type) { return type == RFL_STRING || type == RFL_RAW; }

static bool is_wide(enum rfl_type type) {
  return type == RFL_DOUBLE || type == RFL_INTEGER64 || type == RFL_TIMESTAMP;
}

/* ---- writing ---- */

static void pad(struct rfl_buf *b) {
  static const uint8_t zeros[8];
  rfl_buf_put(b, zeros, padded(b->n) - b->n);
}

/* The largest value taken as unsigned: a negative one needs all four bytes. */
static uint32_t largest(const int32_t *x, size_t n, const int32_t *map) {
  uint32_t most = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t v = (uint32_t)(map ? map[x[i]] : x[i]);
    most = v > most ? v : most;
  }
  return most;
}

static uint8_t width_of(const struct rfl_column *c, size_t n, const int32_t *map) {
  if (is_wide(c->type)) return 8;
  if (is_text(c->type)) return 4;
  uint32_t most = largest(c->i32, n, map);
  return most < 256 ? 1 : most < 65536 ? 2 : 4;
}

static void put_narrow(const int32_t *x, size_t n, const int32_t *map, uint8_t width,
                       struct rfl_buf *b) {
  if (!rfl_buf_reserve(b, n * width)) return;
  uint8_t *to = b->p + b->n;
  for (size_t i = 0; i < n; i++) {
    uint32_t v = (uint32_t)(map ? map[x[i]] : x[i]);
    uint16_t two = (uint16_t)v;
    if (width == 1)
      to[i] = (uint8_t)v;
    else if (width == 2)
      memcpy(to + 2 * i, &two, 2);
    else
      memcpy(to + 4 * i, &v, 4);
  }
  b->n += n * width;
}

static void put_text(const struct rfl_column *c, size_t n, struct rfl_buf *b) {
  int32_t first = n ? c->offset[0] : 0, end = n ? c->offset[n] - first : 0;
  if (!rfl_buf_reserve(b, (n + 1) * sizeof end)) return;
  uint8_t *to = b->p + b->n;
  for (size_t i = 0; i < n; i++, to += 4) {
    int32_t at = c->offset[i] - first;
    memcpy(to, &at, 4);
  }
  memcpy(to, &end, 4);
  b->n += (n + 1) * sizeof end;
  pad(b);
  rfl_buf_put(b, c->bytes + first, (size_t)end);
}

static void put_column(const struct rfl_column *c, size_t n, const int32_t *map,
                       uint8_t width, struct rfl_buf *b) {
  if (c->valid) rfl_buf_put(b, c->valid, (n + 7) / 8);
  pad(b);
  if (is_text(c->type))
    put_text(c, n, b);
  else if (is_wide(c->type))
    rfl_buf_put(b, c->data, n * 8);
  else
    put_narrow(c->i32, n, map, width, b);
  pad(b);
}

static void put_u32(struct rfl_buf *b, uint32_t x) { rfl_buf_put(b, &x, sizeof x); }
static void put_u64(struct rfl_buf *b, uint64_t x) { rfl_buf_put(b, &x, sizeof x); }

static uint64_t text_size(const struct rfl_column *c, size_t n) {
  return is_text(c->type) && n ? (uint64_t)(c->offset[n] - c->offset[0]) : 0;
}

/* Gives the bytes of the places. */
static uint32_t put_spans(const struct rfl_frame *f, struct rfl_buf *b) {
  size_t from = b->n;
  rfl_cursor_write(&f->places, b);
  uint32_t size = (uint32_t)(b->n - from);
  pad(b);
  for (size_t i = 0; i < f->n_spans; i++) {
    const struct rfl_span *s = &f->span[i];
    rfl_buf_u32(b, s->place);
    rfl_buf_u32(b, s->row);
    rfl_buf_u32(b, s->n_rows);
    rfl_buf_i64(b, s->first);
    rfl_buf_i64(b, s->next);
  }
  pad(b);
  return size;
}

void rfl_chunk_write(const struct rfl_frame *f, const struct rfl_chunk_codes *codes,
                     struct rfl_buf *b) {
  size_t n = f->n_rows, columns = f->schema->n;
  rfl_buf_clear(b);
  put_u32(b, MAGIC);
  put_u32(b, 0);
  put_u32(b, f->n_rows);
  put_u32(b, (uint32_t)columns);
  put_u64(b, 0);
  put_u64(b, 0);
  for (size_t c = 0; c < columns; c++) {
    const struct rfl_column *x = &f->column[c];
    uint8_t line[4] = {(uint8_t)x->type, width_of(x, n, codes[c].code), x->valid != NULL,
                       0};
    rfl_buf_put(b, line, sizeof line);
    put_u32(b, (uint32_t)codes[c].levels);
    put_u64(b, text_size(x, n));
  }
  for (size_t c = 0; c < columns && !b->failed; c++)
    put_column(&f->column[c], n, codes[c].code, b->p[LEAD + c * LINE + 1], b);
  uint32_t spans[2] = {(uint32_t)f->n_spans, put_spans(f, b)};
  if (b->failed) return;
  uint64_t size = b->n;
  memcpy(b->p + 16, &size, sizeof size);
  memcpy(b->p + 24, spans, sizeof spans);
  uint32_t crc = rfl_crc32c(0, b->p + CHECKED_FROM, b->n - CHECKED_FROM);
  memcpy(b->p + 4, &crc, sizeof crc);
}

/* ---- reading ---- */

struct input {
  const uint8_t *p;
  size_t n, at;
  uint32_t rows, n_spans, n_places; /* n_places: bytes */
  bool bad;
};

/* The next `size` bytes, and past their padding; NULL and bad when they do not lie ahead.
 */
static const uint8_t *take(struct input *in, uint64_t size) {
  if (in->bad || size > in->n - in->at || padded((size_t)size) > in->n - in->at) {
    in->bad = true;
    return NULL;
  }
  const uint8_t *p = in->p + in->at;
  in->at += padded((size_t)size);
  return p;
}

/* Widens n values, which must all be below `limit` (0: any). */
static enum rfl_code widen(const uint8_t *from, size_t n, uint8_t width, uint32_t limit,
                           struct rfl_column *to, bool *fits, struct rfl_err *err) {
  uint32_t most = 0;
  if (width == 4) {
    to->i32 = (const int32_t *)(const void *)from;
    for (size_t i = 0; limit && i < n; i++) {
      uint32_t v = (uint32_t)to->i32[i];
      most = v > most ? v : most;
    }
    *fits = !limit || n == 0 || most < limit;
    return RFL_OK;
  }
  int32_t *x = rfl_grow(NULL, n ? n : 1, sizeof *x);
  if (!x) return rfl_no_memory(err);
  const uint16_t *two = (const uint16_t *)(const void *)from;
  for (size_t i = 0; i < n; i++) {
    uint32_t v = width == 1 ? from[i] : two[i];
    most = v > most ? v : most;
    x[i] = (int32_t)v;
  }
  to->i32 = x;
  to->borrowed = false;
  *fits = !limit || n == 0 || most < limit;
  return RFL_OK;
}

/* A column owns all of its buffers or none. */
static enum rfl_code own_bits(const struct input *in, struct rfl_column *to,
                              struct rfl_err *err) {
  if (!to->valid) return RFL_OK;
  size_t n = ((size_t)in->rows + 7) / 8;
  uint8_t *bits = rfl_grow(NULL, n ? n : 1, 1);
  if (bits && n) memcpy(bits, to->valid, n);
  to->valid = bits;
  return bits ? RFL_OK : rfl_no_memory(err);
}

static bool offsets_rise(const int32_t *offset, size_t n, uint64_t size) {
  if (offset[0] != 0 || (uint64_t)offset[n] != size) return false;
  for (size_t i = 0; i < n; i++)
    if (offset[i + 1] < offset[i]) return false;
  return true;
}

static bool read_text(struct input *in, uint64_t size, struct rfl_column *to) {
  size_t n = in->rows;
  const uint8_t *offset = take(in, (uint64_t)(n + 1) * 4);
  const uint8_t *bytes = take(in, size);
  if (in->bad || size > INT32_MAX) return false;
  to->offset = (const int32_t *)(const void *)offset;
  to->bytes = (const char *)bytes;
  return offsets_rise(to->offset, n, size);
}

/* Reads the line at `line` and its buffers. A column that owns its buffer is not
 * `borrowed`. */
static enum rfl_code read_column(struct input *in, const uint8_t *line,
                                 enum rfl_type type, int32_t levels,
                                 struct rfl_column *to, bool *fits, struct rfl_err *err) {
  uint8_t width = line[1];
  uint64_t text;
  int32_t used;
  memcpy(&used, line + 4, sizeof used);
  memcpy(&text, line + 8, sizeof text);
  *to = (struct rfl_column){.type = type, .borrowed = true};
  *fits = false;
  if (line[0] != type || line[2] > 1 || line[3] != 0) return RFL_OK;
  if (line[2]) to->valid = take(in, ((uint64_t)in->rows + 7) / 8);
  if (is_text(type)) {
    *fits = width == 4 && !used && read_text(in, text, to);
    return RFL_OK;
  }
  bool known = is_wide(type) ? width == 8 : width == 1 || width == 2 || width == 4;
  bool counted = type == RFL_FACTOR ? used >= 0 && used <= levels : used == 0;
  if (!known || !counted || text) return RFL_OK;
  const uint8_t *data = take(in, (uint64_t)in->rows * width);
  if (!data) return RFL_OK;
  to->levels = used;
  to->data = data;
  *fits = true;
  if (is_wide(type)) return RFL_OK;
  /* A missing value has the code 0, also where there is no level. */
  uint32_t limit = type == RFL_FACTOR ? (uint32_t)(used ? used : 1) : 0;
  RFL_TRY(widen(data, in->rows, width, limit, to, fits, err));
  return to->borrowed ? RFL_OK : own_bits(in, to, err);
}

static bool read_lead(struct input *in, size_t columns, bool known) {
  uint32_t magic, crc, n;
  uint64_t size;
  if (in->n < LEAD) return false;
  memcpy(&magic, in->p, 4);
  memcpy(&crc, in->p + 4, 4);
  memcpy(&in->rows, in->p + 8, 4);
  memcpy(&n, in->p + 12, 4);
  memcpy(&size, in->p + 16, 8);
  memcpy(&in->n_spans, in->p + 24, 4);
  memcpy(&in->n_places, in->p + 28, 4);
  if (magic != MAGIC || size != in->n || n != columns || in->rows >= INT32_MAX)
    return false;
  if (!known && crc != rfl_crc32c(0, in->p + CHECKED_FROM, in->n - CHECKED_FROM))
    return false;
  in->at = LEAD;
  return take(in, (uint64_t)columns * LINE) != NULL;
}

static void drop(struct rfl_column *column, size_t n) {
  for (size_t c = 0; column && c < n; c++) {
    if (column[c].borrowed) continue;
    rfl_free((void *)column[c].data);
    rfl_free((void *)column[c].valid);
  }
  rfl_free(column);
}

static enum rfl_code damaged(const struct input *in, struct rfl_err *err) {
  return rfl_fail(err, RFL_EDATA, "a chunk of %zu bytes is damaged", in->n);
}

static enum rfl_code read_columns(const struct rfl_chunk_shape *shape, struct input *in,
                                  struct rfl_column *column, struct rfl_err *err) {
  bool fits = read_lead(in, shape->schema->n, shape->known);
  for (size_t c = 0; fits && c < shape->schema->n; c++)
    RFL_TRY(read_column(in, in->p + LEAD + c * LINE, shape->schema->field[c].type,
                        shape->levels[c], &column[c], &fits, err));
  return fits ? RFL_OK : damaged(in, err);
}

static bool read_span(struct rfl_reader *r, const struct rfl_frame *f, uint32_t row,
                      struct rfl_span *s) {
  s->place = rfl_read_u32(r);
  s->row = rfl_read_u32(r);
  s->n_rows = rfl_read_u32(r);
  s->first = rfl_read_i64(r);
  s->next = rfl_read_i64(r);
  return !r->bad && s->place < f->places.n && s->row == row && s->first <= s->next &&
         s->n_rows <= f->n_rows - row;
}

static enum rfl_code read_spans(struct input *in, struct rfl_frame *f,
                                struct rfl_err *err) {
  const uint8_t *places = take(in, in->n_places);
  const uint8_t *spans = take(in, (uint64_t)in->n_spans * SPAN);
  if (in->bad || in->at != in->n) return damaged(in, err);
  struct rfl_reader r = {.at = places, .end = places + in->n_places};
  RFL_TRY(rfl_cursor_read(&r, &f->places, err));
  RFL_TRY(rfl_read_done(&r, "a list of places", err));
  if (!in->n_spans) return RFL_OK;
  f->span = rfl_grow(NULL, in->n_spans, sizeof *f->span);
  if (!f->span) return rfl_no_memory(err);
  r = (struct rfl_reader){.at = spans, .end = spans + (size_t)in->n_spans * SPAN};
  uint32_t row = 0;
  for (uint32_t i = 0; i < in->n_spans; i++) {
    if (!read_span(&r, f, row, &f->span[i])) return damaged(in, err);
    row += f->span[i].n_rows;
    f->n_spans++;
  }
  return row == f->n_rows ? RFL_OK : damaged(in, err);
}

/* The frame that owns the bytes: one raw value. */
static enum rfl_code hold(const struct rfl_chunk_shape *shape, uint8_t *takes,
                          struct rfl_frame **gives, struct rfl_err *err) {
  struct rfl_column whole = {.type = RFL_RAW, .bytes = (const char *)takes};
  return rfl_frame_new(shape->bytes, &whole, 0, gives, err);
}

enum rfl_code rfl_chunk_read(const struct rfl_chunk_shape *shape, uint8_t *takes,
                             size_t n, struct rfl_frame **gives, struct rfl_err *err) {
  struct rfl_frame *owner;
  enum rfl_code code = hold(shape, takes, &owner, err);
  if (code) {
    rfl_free(takes);
    return code;
  }
  size_t columns = shape->schema->n;
  struct input in = {.p = takes, .n = n};
  struct rfl_column *column = rfl_alloc(columns, sizeof *column);
  for (size_t c = 0; column && c < columns; c++) column[c].borrowed = true;
  code = column ? read_columns(shape, &in, column, err) : rfl_no_memory(err);
  owner->n_rows = in.rows; /* rows are the parent's: see rfl_frame_pick() */
  struct rfl_frame *f = NULL;
  if (!code) code = rfl_frame_pick(owner, NULL, 0, shape->schema, column, &f, err);
  rfl_frame_release(owner);
  if (code) {
    drop(column, columns);
    return code;
  }
  for (size_t c = 0; c < columns; c++)
    if (shape->dict[c]) f->column[c].dict = rfl_dict_keep(shape->dict[c]);
  rfl_free(column);
  code = read_spans(&in, f, err);
  if (code)
    rfl_frame_release(f);
  else
    *gives = f;
  return code;
}
