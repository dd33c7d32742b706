#include "frame/builder.h"

#include <assert.h>

#include "base/mem.h"
#include "frame/builder_inline.h"
#include "frame/builder_place.h"

enum { ROWS_AT_FIRST = 64, TEXT_AT_FIRST = 64, ROWS_AT_MOST = INT32_MAX - 1 };

static uint8_t width_of(enum rfl_type type) {
  switch (type) {
    case RFL_LOGICAL:
    case RFL_INTEGER:
    case RFL_FACTOR:
    case RFL_DATE:
      return 4;
    case RFL_INTEGER64:
    case RFL_DOUBLE:
    case RFL_TIMESTAMP:
      return 8;
    default:
      return 0;
  }
}

static enum rfl_code set_up_slots(struct rfl_builder *b, struct rfl_err *err) {
  const struct rfl_schema *schema = b->schema;
  for (size_t c = 0; c < schema->n; c++) {
    struct rfl_slot *s = &b->slot[c];
    s->type = (uint8_t)schema->field[c].type;
    s->width = width_of(schema->field[c].type);
    s->grown_from = -1;
    if (!s->width) b->text[b->n_text++] = (uint32_t)c;
    if (s->type == RFL_FACTOR) RFL_TRY(rfl_dict_new(&s->dict, err));
    b->all[c >> 6] |= UINT64_C(1) << (c & 63);
  }
  return RFL_OK;
}

enum rfl_code rfl_builder_new(struct rfl_schema *schema, struct rfl_builder **gives,
                              struct rfl_err *err) {
  struct rfl_builder *b = rfl_alloc(1, sizeof *b);
  if (!b) return rfl_no_memory(err);
  size_t n = schema->n;
  b->schema = rfl_schema_keep(schema);
  b->n_words = (uint32_t)((n + 63) / 64);
  b->slot = rfl_alloc(n, sizeof *b->slot);
  b->seen = rfl_alloc(b->n_words, sizeof *b->seen);
  b->all = rfl_alloc(b->n_words, sizeof *b->all);
  b->text = rfl_alloc(n, sizeof *b->text);
  b->grown = rfl_alloc(n, sizeof *b->grown);
  b->column = rfl_alloc(n, sizeof *b->column);
  b->posts = rfl_posts_new();
  enum rfl_code code = RFL_OK;
  if (!b->slot || !b->seen || !b->all || !b->text || !b->grown || !b->column || !b->posts)
    code = rfl_no_memory(err);
  if (!code) code = set_up_slots(b, err);
  if (code) {
    rfl_builder_release(b);
    return code;
  }
  *gives = b;
  return RFL_OK;
}

void rfl_builder_release(struct rfl_builder *b) {
  if (!b) return;
  for (size_t c = 0; b->slot && c < b->schema->n; c++) {
    struct rfl_slot *s = &b->slot[c];
    rfl_free(s->data);
    rfl_free(s->offset);
    rfl_free(s->bytes);
    rfl_free(s->valid);
    rfl_dict_release(s->dict);
  }
  rfl_free(b->slot);
  rfl_free(b->seen);
  rfl_free(b->all);
  rfl_free(b->text);
  rfl_free(b->grown);
  rfl_free(b->column);
  rfl_posts_release(b->posts);
  rfl_schema_release(b->schema);
  rfl_free(b);
}

struct rfl_schema *rfl_builder_schema(const struct rfl_builder *b) {
  return b->schema;
}

struct rfl_dict *rfl_builder_dict(const struct rfl_builder *b, size_t column) {
  return b->slot[column].dict;
}

/* ---- room ---- */

static enum rfl_code grow(void *at, size_t n, size_t size, struct rfl_err *err) {
  void *p;
  memcpy(&p, at, sizeof p);
  p = rfl_grow(p, n, size);
  if (!p) return rfl_no_memory(err);
  memcpy(at, &p, sizeof p);
  return RFL_OK;
}

static enum rfl_code reserve_slot(struct rfl_slot *s, uint32_t cap, struct rfl_err *err) {
  if (s->width) {
    RFL_TRY(grow(&s->data, cap, s->width, err));
    rfl_mem_will_fill(s->data, (size_t)cap * s->width);
  } else {
    bool fresh = !s->offset;
    RFL_TRY(grow(&s->offset, (size_t)cap + 1, sizeof *s->offset, err));
    if (fresh) s->offset[0] = 0;
    if (!s->bytes) {
      RFL_TRY(grow(&s->bytes, TEXT_AT_FIRST, 1, err));
      s->room = TEXT_AT_FIRST;
    }
  }
  if (s->valid_room < cap) {
    size_t had = (s->valid_room + 7) / 8, size = ((size_t)cap + 7) / 8;
    RFL_TRY(grow(&s->valid, size, 1, err));
    memset(s->valid + had, 0xff, size - had);
    s->valid_room = (uint32_t)(size * 8);
  }
  return RFL_OK;
}

enum rfl_code rfl_builder_reserve(struct rfl_builder *b, struct rfl_err *err) {
  if (b->rows >= ROWS_AT_MOST)
    return rfl_fail(err, RFL_EDATA, "A frame holds at most %d rows.", ROWS_AT_MOST);
  uint64_t cap = b->cap ? (uint64_t)b->cap * 2 : b->hint;
  if (cap < ROWS_AT_FIRST) cap = ROWS_AT_FIRST;
  if (cap > ROWS_AT_MOST) cap = ROWS_AT_MOST;
  for (size_t c = 0; c < b->schema->n; c++)
    RFL_TRY(reserve_slot(&b->slot[c], (uint32_t)cap, err));
  b->cap = (uint32_t)cap;
  return RFL_OK;
}

enum rfl_code rfl_builder_text_room(struct rfl_builder *b, size_t column, size_t n,
                                    struct rfl_err *err) {
  struct rfl_slot *s = &b->slot[column];
  if (n > (size_t)INT32_MAX - s->used)
    return rfl_fail(err, RFL_EDATA,
                    "The column `%s` would hold more than 2 GB of text in one frame.",
                    b->schema->field[column].name);
  size_t room = s->room;
  while (room < s->used + n) room *= 2;
  if (room > INT32_MAX) room = INT32_MAX;
  RFL_TRY(grow(&s->bytes, room, 1, err));
  s->room = (uint32_t)room;
  return RFL_OK;
}

/* ---- a row ---- */

enum rfl_code rfl_builder_open(struct rfl_builder *b, struct rfl_err *err) {
  return rfl_row_open(b, err);
}

void rfl_builder_int(struct rfl_builder *b, size_t column, int32_t x) {
  assert(column < b->schema->n && b->slot[column].width == 4);
  rfl_row_int(b, column, x);
}

void rfl_builder_long(struct rfl_builder *b, size_t column, int64_t x) {
  assert(column < b->schema->n && b->slot[column].width == 8 &&
         b->slot[column].type != RFL_DOUBLE);
  rfl_row_long(b, column, x);
}

void rfl_builder_double(struct rfl_builder *b, size_t column, double x) {
  assert(column < b->schema->n && b->slot[column].type == RFL_DOUBLE);
  rfl_row_double(b, column, x);
}

static void take_back_levels(struct rfl_slot *s) {
  if (s->grown_from >= 0) rfl_dict_cut(s->dict, s->grown_from);
}

/* A level that this row added to this column and now sets to something else goes again:
 * the dictionary holds what rows hold. */
enum rfl_code rfl_builder_new_level(struct rfl_builder *b, size_t column, const char *p,
                                    size_t n, struct rfl_err *err) {
  struct rfl_slot *s = &b->slot[column];
  take_back_levels(s);
  int32_t before = rfl_dict_size(s->dict), code;
  RFL_TRY(rfl_dict_code(s->dict, p, n, &code, err));
  if (code == before && s->grown_from < 0) {
    s->grown_from = before;
    b->grown[b->n_grown++] = (uint32_t)column;
  }
  s->i32[b->rows] = code;
  rfl_row_saw(b, column);
  return RFL_OK;
}

enum rfl_code rfl_builder_text(struct rfl_builder *b, size_t column, const char *p,
                               size_t n, struct rfl_err *err) {
  struct rfl_slot *s = &b->slot[column];
  assert(column < b->schema->n && (s->dict || !s->width));
  if (!s->dict) return rfl_row_text(b, column, p, n, err);
  int32_t code = rfl_dict_find(s->dict, p, n);
  if (code < 0 || b->n_grown) return rfl_builder_new_level(b, column, p, n, err);
  rfl_row_int(b, column, code);
  return RFL_OK;
}

void rfl_builder_missing(struct rfl_builder *b, size_t column) {
  struct rfl_slot *s = &b->slot[column];
  assert(column < b->schema->n);
  b->seen[column >> 6] &= ~(UINT64_C(1) << (column & 63));
  s->end = s->used;
  take_back_levels(s);
}

void rfl_builder_commit(struct rfl_builder *b) {
  assert(b->rows < b->cap);
  rfl_row_commit(b);
}

void rfl_builder_fill_gaps(struct rfl_builder *b) {
  uint32_t row = b->rows;
  for (uint32_t w = 0; w < b->n_words; w++) {
    for (uint64_t gaps = b->seen[w] ^ b->all[w]; gaps; gaps &= gaps - 1) {
      struct rfl_slot *s = &b->slot[w * 64 + (uint32_t)__builtin_ctzll(gaps)];
      s->valid[row >> 3] &= (uint8_t) ~(1u << (row & 7));
      s->gaps = true;
      if (s->width) memset((char *)s->data + (size_t)row * s->width, 0, s->width);
    }
  }
}

void rfl_builder_forget_grown(struct rfl_builder *b) {
  for (uint32_t i = 0; i < b->n_grown; i++) b->slot[b->grown[i]].grown_from = -1;
  b->n_grown = 0;
}

void rfl_builder_rollback(struct rfl_builder *b) {
  for (uint32_t i = 0; i < b->n_text; i++) {
    struct rfl_slot *s = &b->slot[b->text[i]];
    s->end = s->used;
  }
  for (uint32_t i = 0; i < b->n_grown; i++) take_back_levels(&b->slot[b->grown[i]]);
  rfl_builder_forget_grown(b);
}

uint32_t rfl_builder_rows(const struct rfl_builder *b) { return b->rows; }

size_t rfl_builder_bytes(const struct rfl_builder *b) {
  size_t bits = 0, text = 0;
  for (size_t c = 0; c < b->schema->n; c++) {
    const struct rfl_slot *s = &b->slot[c];
    bits += (s->width ? 8u * s->width : 32u) + (s->gaps ? 1 : 0);
    text += s->used;
  }
  return (bits * b->rows + 7) / 8 + text;
}

struct rfl_tally *rfl_builder_tally(struct rfl_builder *b) {
  return &b->tally;
}

/* ---- the frame ---- */

/* Gives back what is far too much. The capacity is lowered first, so that the builder is
 * whole also when a later column has no memory. */
static enum rfl_code trim(struct rfl_builder *b, struct rfl_err *err) {
  if (b->rows > b->cap / 2) return RFL_OK;
  b->cap = b->rows ? b->rows : 1;
  for (size_t c = 0; c < b->schema->n; c++) {
    struct rfl_slot *s = &b->slot[c];
    if (s->width) {
      RFL_TRY(grow(&s->data, b->cap, s->width, err));
      continue;
    }
    RFL_TRY(grow(&s->offset, (size_t)b->cap + 1, sizeof *s->offset, err));
    uint32_t room = s->used > TEXT_AT_FIRST ? s->used : TEXT_AT_FIRST;
    RFL_TRY(grow(&s->bytes, room, 1, err));
    s->room = room;
  }
  return RFL_OK;
}

static void describe_columns(struct rfl_builder *b) {
  for (size_t c = 0; c < b->schema->n; c++) {
    struct rfl_slot *s = &b->slot[c];
    struct rfl_column *to = &b->column[c];
    *to = (struct rfl_column){.type = s->type,
                              .data = s->data,
                              .offset = s->offset,
                              .bytes = s->bytes,
                              .dict = s->dict};
    if (s->dict) to->levels = rfl_dict_size(s->dict);
    if (s->gaps) to->valid = s->valid;
  }
}

/* The buffers are the frame's now. A bitmap without a gap stays for the next frame. */
static void start_anew(struct rfl_builder *b) {
  for (size_t c = 0; c < b->schema->n; c++) {
    struct rfl_slot *s = &b->slot[c];
    s->data = NULL;
    s->offset = NULL;
    s->bytes = NULL;
    s->used = s->end = s->room = 0;
    if (s->dict) rfl_dict_keep(s->dict);
    if (!s->gaps) continue;
    if (b->rows & 7) s->valid[b->rows >> 3] &= (uint8_t)((1u << (b->rows & 7)) - 1);
    s->valid = NULL;
    s->valid_room = 0;
    s->gaps = false;
  }
  b->hint = b->rows;
  b->rows = b->cap = 0;
  b->tally = (struct rfl_tally){0};
}

enum rfl_code rfl_builder_finish(struct rfl_builder *b, struct rfl_frame **gives,
                                 struct rfl_err *err) {
  rfl_builder_rollback(b);
  if (!b->cap) RFL_TRY(rfl_builder_reserve(b, err));
  RFL_TRY(trim(b, err));
  struct rfl_cursor places = {0};
  struct rfl_span *span = NULL;
  size_t n_spans = 0;
  RFL_TRY(rfl_posts_spans(b->posts, &places, &span, &n_spans, err));
  describe_columns(b);
  struct rfl_frame *f;
  enum rfl_code code = rfl_frame_new(b->schema, b->column, b->rows, &f, err);
  if (code) {
    rfl_cursor_release(&places);
    rfl_free(span);
    return code;
  }
  f->places = places;
  f->span = span;
  f->n_spans = n_spans;
  f->tally = b->tally;
  rfl_posts_clear(b->posts);
  start_anew(b);
  *gives = f;
  return RFL_OK;
}

void rfl_builder_clear(struct rfl_builder *b) {
  rfl_builder_rollback(b);
  for (size_t c = 0; c < b->schema->n; c++) {
    struct rfl_slot *s = &b->slot[c];
    s->used = s->end = 0;
    if (s->gaps) memset(s->valid, 0xff, s->valid_room / 8);
    s->gaps = false;
  }
  b->rows = 0;
  b->tally = (struct rfl_tally){0};
  rfl_posts_clear(b->posts);
}
