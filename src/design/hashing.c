/* Hashed features: a value becomes 64 bits, its slot is their top bits.
 *
 *     key    = hash(seed, the column's name)        once a column of a recipe
 *     value  = hash(key, the value's canonical text)
 *     cross  = join(join(value a, value b), value c)     hashed(a, b, c)
 *
 * The canonical text is UTF-8 and the same wherever a value comes from, so 7, 7L and "7"
 * are one user:
 *
 *     string, factor   its bytes
 *     logical          TRUE, FALSE
 *     integer, double  the shortest decimal that reads back to the same number, without a
 *                      point when it is whole: 7, -0.25, 1e17; no sign of zero; Inf, -Inf
 *     timestamp        2019-11-24T00:03:13.442536Z
 *     date             2019-11-24
 *
 * A missing value (NaN too) has no text and a hash of its own. Models keep slots for
 * ever: the golden values in the tests stand guard over all of this. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "design/workspace.h"

uint64_t hash_key(uint64_t seed, const char *name) {
  return rfl_hash(seed, name, strlen(name));
}

uint64_t hash_text(uint64_t key, struct rfl_bytes text) {
  return rfl_hash(key, text.p, text.n);
}

uint64_t hash_missing(uint64_t key) { return rfl_hash_i64(key, 0); }

uint64_t hash_join(uint64_t first, uint64_t next) {
  return rfl_hash_i64(first, (int64_t)next);
}

static size_t print_double(char *to, double x) {
  if (x > -1e17 && x < 1e17 && x == (double)(int64_t)x)
    return rfl_print_int64(to, (int64_t)x);
  return rfl_print_double(to, x);
}

struct rfl_bytes value_text(const struct rfl_column *c, size_t row, char *room) {
  struct rfl_bytes text = {(const uint8_t *)room, 0};
  switch (c->type) {
    case RFL_LOGICAL:
      text.n = c->i32[row] ? 4 : 5;
      memcpy(room, c->i32[row] ? "TRUE" : "FALSE", text.n);
      return text;
    case RFL_INTEGER:
      text.n = rfl_print_int64(room, c->i32[row]);
      return text;
    case RFL_INTEGER64:
      text.n = rfl_print_int64(room, c->i64[row]);
      return text;
    case RFL_DOUBLE:
      text.n = print_double(room, c->f64[row]);
      return text;
    case RFL_TIMESTAMP:
      text.n = rfl_print_instant(room, c->i64[row]);
      return text;
    case RFL_DATE:
      text.n = rfl_print_date(room, c->i32[row]);
      return text;
    case RFL_FACTOR:
      return rfl_dict_level(c->dict, c->i32[row]);
    default:
      return (struct rfl_bytes){(const uint8_t *)c->bytes + c->offset[row],
                                (size_t)(c->offset[row + 1] - c->offset[row])};
  }
}

uint64_t hash_value(uint64_t key, const struct rfl_column *c, size_t row) {
  char room[RFL_DOUBLE_TEXT];
  if (c->type == RFL_DOUBLE && isnan(c->f64[row])) return hash_missing(key);
  return hash_text(key, value_text(c, row, room));
}

/* ---- keys of rows ---- */

/* Rows without positions: their number in the pass. */
static void number_rows(struct rfl_workspace *w, uint32_t n) {
  uint64_t none = hash_key(0, "");
  for (uint32_t i = 0; i < n; i++)
    w->key[i] = rfl_hash_i64(none, (int64_t)(w->next_row + i));
}

/* Position of a frame's row in a span: by `.offset` where the frame has it, else by
 * counting, which positions with gaps do not allow. */
static enum rfl_code key_span(struct rfl_workspace *w, const struct rfl_rows *rows,
                              const struct rfl_span *span, struct rfl_err *err) {
  const struct rfl_frame *f = rows->frame;
  const struct rfl_place *place = &f->places.place[span->place];
  uint64_t shard = rfl_hash_i64(hash_key(0, place->stream), place->shard);
  const double *offset = w->offset_at < 0 ? NULL : f->column[w->offset_at].f64;
  if (!offset && span->next - span->first != (int64_t)span->n_rows)
    return rfl_fail(err, RFL_ESCHEMA,
                    "The positions of `%s` have gaps: the column `.offset` must be there "
                    "to tell its records apart.",
                    place->stream);
  uint32_t from = span->row > rows->row ? span->row : rows->row;
  uint32_t end = span->row + span->n_rows, stop = rows->row + rows->n;
  for (uint32_t row = from; row < end && row < stop; row++) {
    int64_t position = offset ? (int64_t)offset[row] : span->first + (row - span->row);
    w->key[row - rows->row] = rfl_hash_i64(shard, position);
  }
  return RFL_OK;
}

enum rfl_code keys_load(struct rfl_workspace *w, const struct rfl_rows *rows,
                        struct rfl_err *err) {
  const struct rfl_frame *f = rows->frame;
  if (!f->n_spans) number_rows(w, rows->n);
  for (size_t k = 0; k < f->n_spans; k++)
    if (f->span[k].row < rows->row + rows->n &&
        f->span[k].row + f->span[k].n_rows > rows->row)
      RFL_TRY(key_span(w, rows, &f->span[k], err));
  return RFL_OK;
}
