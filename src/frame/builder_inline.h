/* The inside of a builder: the setters of builder.h as inline functions, for decoders.
 *
 *     RFL_TRY(rfl_row_open(b, err));
 *     rfl_row_int(b, 0, 7);
 *     RFL_TRY(rfl_row_factor(b, 1, p, n, err));   // 16 bytes readable at p, whatever n
 *     rfl_row_commit(b);
 *
 * A value is written straight to its column's buffer, at the index of the open row; what
 * makes it part of the frame is commit, which counts the row. Opening a row made sure
 * that every column has room for it. A column that the row did not set gets an empty slot
 * and a cleared validity bit; the bitmaps are all ones ahead of the rows, so that a row
 * with every column set touches none of them. Text goes behind the text of the rows so
 * far, from `used` to `end`: setting it again, or rolling back, starts at `used` again.
 */
#ifndef RFL_FRAME_BUILDER_INLINE_H
#define RFL_FRAME_BUILDER_INLINE_H
#include "frame/builder.h"
#include "frame/dict_inline.h"

struct rfl_slot { /* a column being filled */
  union {
    void *data;
    int32_t *i32;
    int64_t *i64;
    double *f64;
  };
  struct rfl_dict *dict; /* factor */
  int32_t *offset;       /* string, raw */
  char *bytes;
  uint32_t used, end, room; /* bytes: of committed rows; with the open row; there are */
  int32_t grown_from;       /* levels before the open row added some; -1: it added none */
  uint8_t *valid;           /* all ones where no missing value is */
  uint32_t valid_room;
  uint8_t type, width; /* width: bytes a value in `data`, 0 for text */
  bool gaps;           /* some committed row is missing here */
};

struct rfl_builder {
  uint32_t rows, cap;
  uint32_t n_words, n_text, n_grown;
  struct rfl_slot *slot;
  uint64_t *seen;  /* bit c: the open row has set column c; n_words of them */
  uint64_t *all;   /* what `seen` is when nothing is missing */
  uint32_t *text;  /* the text columns */
  uint32_t *grown; /* factor columns to which the open row added levels */
  uint32_t hint;   /* rows of the last frame */
  struct rfl_schema *schema;
  struct rfl_column *column; /* scratch for the frame to be made */
  struct rfl_tally tally;
  struct rfl_posts *posts; /* places and spans, in builder_place.c */
};

/* Room for one more row in every column. */
enum rfl_code rfl_builder_reserve(struct rfl_builder *, struct rfl_err *) RFL_CHECKED;
/* Room for `n` bytes more of text behind the committed ones. */
enum rfl_code rfl_builder_text_room(struct rfl_builder *, size_t column, size_t n,
                                    struct rfl_err *) RFL_CHECKED;
/* A text that is no level yet, or a row that has added one already. */
enum rfl_code rfl_builder_new_level(struct rfl_builder *, size_t column, const char *p,
                                    size_t n, struct rfl_err *) RFL_CHECKED;
void rfl_builder_fill_gaps(struct rfl_builder *);
void rfl_builder_forget_grown(struct rfl_builder *);

static inline void rfl_row_saw(struct rfl_builder *b, size_t column) {
  b->seen[column >> 6] |= UINT64_C(1) << (column & 63);
}

static inline enum rfl_code rfl_row_open(struct rfl_builder *b, struct rfl_err *err) {
  if (RFL_UNLIKELY(b->rows == b->cap)) RFL_TRY(rfl_builder_reserve(b, err));
  for (uint32_t w = 0; w < b->n_words; w++) b->seen[w] = 0;
  return RFL_OK;
}

static inline void rfl_row_int(struct rfl_builder *b, size_t column, int32_t x) {
  b->slot[column].i32[b->rows] = x;
  rfl_row_saw(b, column);
}

static inline void rfl_row_long(struct rfl_builder *b, size_t column, int64_t x) {
  b->slot[column].i64[b->rows] = x;
  rfl_row_saw(b, column);
}

static inline void rfl_row_double(struct rfl_builder *b, size_t column, double x) {
  b->slot[column].f64[b->rows] = x;
  rfl_row_saw(b, column);
}

/* Factor. Reads 16 bytes at `p`, whatever `n`. */
static inline enum rfl_code rfl_row_factor(struct rfl_builder *b, size_t column,
                                           const char *p, size_t n, struct rfl_err *err) {
  struct rfl_slot *s = &b->slot[column];
  int32_t code = rfl_dict_lookup(s->dict, p, n);
  if (RFL_UNLIKELY(code < 0 || b->n_grown))
    return rfl_builder_new_level(b, column, p, n, err);
  s->i32[b->rows] = code;
  rfl_row_saw(b, column);
  return RFL_OK;
}

/* String or raw. */
static inline enum rfl_code rfl_row_text(struct rfl_builder *b, size_t column,
                                         const char *p, size_t n, struct rfl_err *err) {
  struct rfl_slot *s = &b->slot[column];
  if (RFL_UNLIKELY(n > s->room - s->used))
    RFL_TRY(rfl_builder_text_room(b, column, n, err));
  if (n) memcpy(s->bytes + s->used, p, n);
  s->end = s->used + (uint32_t)n;
  rfl_row_saw(b, column);
  return RFL_OK;
}

static inline void rfl_row_commit(struct rfl_builder *b) {
  uint64_t gaps = 0;
  for (uint32_t w = 0; w < b->n_words; w++) gaps |= b->seen[w] ^ b->all[w];
  if (RFL_UNLIKELY(gaps != 0)) rfl_builder_fill_gaps(b);
  b->rows++;
  for (uint32_t i = 0; i < b->n_text; i++) {
    struct rfl_slot *s = &b->slot[b->text[i]];
    s->offset[b->rows] = (int32_t)s->end;
    s->used = s->end;
  }
  if (RFL_UNLIKELY(b->n_grown != 0)) rfl_builder_forget_grown(b);
}

#endif
