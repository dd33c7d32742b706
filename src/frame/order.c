#include "frame/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- slices in order ---- */

struct piece {                   /* a span of one of the frames */
  const struct rfl_place *place; /* NULL: rows without a position */
  int64_t first;
  size_t given; /* breaks ties, so that the order is total */
  struct rfl_rows rows;
};

static int compare(const void *va, const void *vb) {
  const struct piece *a = va, *b = vb;
  if (!a->place != !b->place) return a->place ? -1 : 1;
  if (a->place) {
    int order = strcmp(a->place->stream, b->place->stream);
    if (order) return order;
    if (a->place->shard != b->place->shard)
      return a->place->shard < b->place->shard ? -1 : 1;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
  }
  return (a->given > b->given) - (a->given < b->given);
}

static size_t cut(struct rfl_frame *const *frame, size_t n, struct piece *piece) {
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    const struct rfl_frame *f = frame[i];
    for (size_t j = 0; j < f->n_spans; j++) {
      const struct rfl_span *s = &f->span[j];
      if (!s->n_rows) continue;
      piece[k] = (struct piece){.place = &f->places.place[s->place],
                                .first = s->first,
                                .given = k,
                                .rows = {f, s->row, s->n_rows}};
      k++;
    }
    if (f->n_spans || !f->n_rows) continue;
    piece[k] = (struct piece){.given = k, .rows = {f, 0, f->n_rows}};
    k++;
  }
  return k;
}

enum rfl_code rfl_order(struct rfl_frame *const *frame, size_t n, struct rfl_rows **gives,
                        size_t *gives_n, struct rfl_err *err) {
  size_t most = n;
  for (size_t i = 0; i < n; i++) most += frame[i]->n_spans;
  struct piece *piece = rfl_alloc(most, sizeof *piece);
  struct rfl_rows *rows = rfl_alloc(most, sizeof *rows);
  if (!piece || !rows) {
    rfl_free(piece);
    rfl_free(rows);
    return rfl_no_memory(err);
  }
  size_t n_pieces = cut(frame, n, piece), k = 0;
  qsort(piece, n_pieces, sizeof *piece, compare);
  for (size_t i = 0; i < n_pieces; i++) {
    const struct rfl_rows *next = &piece[i].rows;
    struct rfl_rows *last = k ? &rows[k - 1] : NULL;
    if (last && last->frame == next->frame && last->row + last->n == next->row)
      last->n += next->n;
    else
      rows[k++] = *next;
  }
  rfl_free(piece);
  *gives = rows;
  *gives_n = k;
  return RFL_OK;
}

/* ---- slices copied ---- */

struct job {
  const struct rfl_rows *rows;
  size_t n;
  uint32_t n_rows;
};

static size_t width_of(enum rfl_type type) {
  switch (type) {
    case RFL_INTEGER64:
    case RFL_DOUBLE:
    case RFL_TIMESTAMP:
      return 8;
    default:
      return 4;
  }
}

static bool is_text(enum rfl_type type) { return type == RFL_STRING || type == RFL_RAW; }

static enum rfl_code copy_numbers(const struct job *job, size_t c, struct rfl_column *to,
                                  struct rfl_err *err) {
  size_t width = width_of(to->type);
  char *out = rfl_alloc(job->n_rows, width);
  if (!out) return rfl_no_memory(err);
  to->data = out;
  for (size_t k = 0; k < job->n; k++) {
    const struct rfl_rows *r = &job->rows[k];
    if (!r->n) continue;
    const char *in = (const char *)r->frame->column[c].data + r->row * width;
    memcpy(out, in, r->n * width);
    out += r->n * width;
  }
  return RFL_OK;
}

static enum rfl_code copy_text(const struct job *job, size_t c, struct rfl_column *to,
                               struct rfl_err *err) {
  size_t size = 0;
  for (size_t k = 0; k < job->n; k++) {
    const struct rfl_rows *r = &job->rows[k];
    const int32_t *offset = r->frame->column[c].offset;
    if (r->n) size += (size_t)(offset[r->row + r->n] - offset[r->row]);
  }
  if (size > INT32_MAX)
    return rfl_fail(err, RFL_EDATA,
                    "The column `%s` would hold more than 2 GB of text in one frame.",
                    job->rows->frame->schema->field[c].name);
  int32_t *out = rfl_alloc((size_t)job->n_rows + 1, sizeof *out);
  if (!out) return rfl_no_memory(err);
  to->offset = out;
  char *bytes = rfl_alloc(size + 1, 1);
  if (!bytes) return rfl_no_memory(err);
  to->bytes = bytes;
  int32_t end = 0;
  for (size_t k = 0; k < job->n; k++) {
    const struct rfl_rows *r = &job->rows[k];
    if (!r->n) continue;
    const struct rfl_column *from = &r->frame->column[c];
    const int32_t *offset = from->offset + r->row;
    size_t length = (size_t)(offset[r->n] - offset[0]);
    if (length) memcpy(bytes + end, from->bytes + offset[0], length);
    for (uint32_t i = 1; i <= r->n; i++) *++out = end + (offset[i] - offset[0]);
    end = *out;
  }
  return RFL_OK;
}

static enum rfl_code copy_validity(const struct job *job, size_t c, struct rfl_column *to,
                                   struct rfl_err *err) {
  bool gaps = false;
  for (size_t k = 0; k < job->n; k++) gaps = gaps || job->rows[k].frame->column[c].valid;
  if (!gaps) return RFL_OK;
  uint8_t *valid = rfl_alloc(((size_t)job->n_rows + 7) / 8, 1);
  if (!valid) return rfl_no_memory(err);
  to->valid = valid;
  size_t row = 0;
  for (size_t k = 0; k < job->n; k++) {
    const struct rfl_rows *r = &job->rows[k];
    const struct rfl_column *from = &r->frame->column[c];
    for (uint32_t i = 0; i < r->n; i++, row++)
      if (rfl_column_has(from, (size_t)r->row + i))
        valid[row >> 3] |= (uint8_t)(1u << (row & 7));
  }
  return RFL_OK;
}

static enum rfl_code copy_column(const struct job *job, size_t c, struct rfl_column *to,
                                 struct rfl_err *err) {
  const struct rfl_column *first = &job->rows->frame->column[c];
  to->type = first->type;
  if (is_text(to->type))
    RFL_TRY(copy_text(job, c, to, err));
  else
    RFL_TRY(copy_numbers(job, c, to, err));
  RFL_TRY(copy_validity(job, c, to, err));
  for (size_t k = 0; first->dict && k < job->n; k++)
    if (job->rows[k].frame->column[c].levels > to->levels)
      to->levels = job->rows[k].frame->column[c].levels;
  if (first->dict) to->dict = rfl_dict_keep(first->dict);
  return RFL_OK;
}

static void drop_columns(struct rfl_column *column, size_t n) {
  for (size_t c = 0; c < n; c++) {
    rfl_free((void *)column[c].data);
    rfl_free((void *)column[c].offset);
    rfl_free((void *)column[c].bytes);
    rfl_free((void *)column[c].valid);
    rfl_dict_release(column[c].dict);
  }
  rfl_free(column);
}

static enum rfl_code check_alike(const struct job *job, struct rfl_err *err) {
  const struct rfl_frame *first = job->rows->frame;
  for (size_t k = 1; k < job->n; k++) {
    const struct rfl_frame *f = job->rows[k].frame;
    if (f == first) continue;
    if (f->schema->n != first->schema->n)
      return rfl_fail(err, RFL_ESCHEMA,
                      "Frames of %zu and of %zu columns do not make one frame.",
                      first->schema->n, f->schema->n);
    for (size_t c = 0; c < f->schema->n; c++)
      if (f->column[c].type != first->column[c].type ||
          f->column[c].dict != first->column[c].dict)
        return rfl_fail(err, RFL_ESCHEMA,
                        "The column `%s` differs in type or dictionary between frames.",
                        first->schema->field[c].name);
  }
  return RFL_OK;
}

/* Counts the spans with rows that lie in the slice; false when the slice cuts
 * one, or its frame has none. */
static bool whole_spans(const struct rfl_rows *r, size_t *n) {
  uint32_t covered = 0;
  for (size_t j = 0; j < r->frame->n_spans; j++) {
    const struct rfl_span *s = &r->frame->span[j];
    if (!s->n_rows || s->row + s->n_rows <= r->row || s->row >= r->row + r->n) continue;
    if (s->row < r->row || s->row + s->n_rows > r->row + r->n) return false;
    covered += s->n_rows;
    ++*n;
  }
  return covered == r->n;
}

static bool in_slice(const struct rfl_span *s, const struct rfl_rows *r) {
  return s->n_rows && s->row >= r->row && s->row < r->row + r->n;
}

static enum rfl_code copy_places(const struct job *job, struct rfl_cursor *to,
                                 struct rfl_err *err) {
  for (size_t k = 0; k < job->n; k++) {
    const struct rfl_frame *f = job->rows[k].frame;
    for (size_t j = 0; j < f->n_spans; j++) {
      if (!in_slice(&f->span[j], &job->rows[k])) continue;
      const struct rfl_place *p = &f->places.place[f->span[j].place];
      RFL_TRY(rfl_cursor_set(to, p->stream, p->shard, f->span[j].next, err));
    }
  }
  return RFL_OK;
}

static enum rfl_code copy_spans(const struct job *job, struct rfl_frame *to,
                                struct rfl_err *err) {
  size_t n = 0;
  for (size_t k = 0; k < job->n; k++)
    if (!whole_spans(&job->rows[k], &n)) return RFL_OK;
  if (!n) return RFL_OK;
  RFL_TRY(copy_places(job, &to->places, err));
  to->span = rfl_alloc(n, sizeof *to->span);
  if (!to->span) return rfl_no_memory(err);
  uint32_t row = 0;
  for (size_t k = 0; k < job->n; k++) {
    const struct rfl_frame *f = job->rows[k].frame;
    for (size_t j = 0; j < f->n_spans; j++) {
      if (!in_slice(&f->span[j], &job->rows[k])) continue;
      const struct rfl_place *p = &f->places.place[f->span[j].place];
      struct rfl_span *s = &to->span[to->n_spans++];
      *s = f->span[j];
      s->place = (uint32_t)(rfl_cursor_find(&to->places, p->stream, p->shard) -
                            to->places.place);
      s->row = row;
      row += s->n_rows;
    }
  }
  return RFL_OK;
}

enum rfl_code rfl_frame_gather(const struct rfl_rows *rows, size_t n,
                               struct rfl_frame **gives, struct rfl_err *err) {
  if (!n) return rfl_fail(err, RFL_EARGUMENT, "There are no rows to gather.");
  struct job job = {.rows = rows, .n = n};
  uint64_t total = 0;
  for (size_t k = 0; k < n; k++) total += rows[k].n;
  if (total >= INT32_MAX)
    return rfl_fail(err, RFL_EDATA, "A frame cannot hold %llu rows.",
                    (unsigned long long)total);
  job.n_rows = (uint32_t)total;
  RFL_TRY(check_alike(&job, err));
  struct rfl_schema *schema = rows->frame->schema;
  struct rfl_column *column = rfl_alloc(schema->n, sizeof *column);
  if (!column) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  for (size_t c = 0; !code && c < schema->n; c++)
    code = copy_column(&job, c, &column[c], err);
  struct rfl_frame *f = NULL;
  if (!code) code = rfl_frame_new(schema, column, job.n_rows, &f, err);
  if (code) {
    drop_columns(column, schema->n);
    return code;
  }
  rfl_free(column);
  code = copy_spans(&job, f, err);
  if (code) {
    rfl_frame_release(f);
    return code;
  }
  *gives = f;
  return RFL_OK;
}
