#include "r_hold.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "frame/order.h"
#include "store/spool.h"
#include "stream/fit.h"

enum {
  WINDOWS = 16,          /* the share of the budget that waits to be cut */
  PIECE_ROWS = 65536,    /* of a piece at most, ... */
  PIECE_BYTES = 1 << 20, /* ... and about as many bytes, ... */
  PIECE_LEAST = 4096,    /* ... but no fewer rows */
  LEAST_WINDOW = 1 << 16
};

/* ---- the handle ---- */

void r_frames_drop(struct r_frames *f) {
  for (size_t i = 0; i < f->n; i++) rfl_frame_release(f->piece[i].frame);
  rfl_free(f->piece);
  rfl_free(f->frame);
  rfl_free(f->rows_of);
  rfl_free(f->rows);
  f->piece = NULL;
  f->frame = NULL;
  f->rows_of = NULL;
  f->rows = NULL;
  f->n = f->cap = f->n_rows = f->held = 0;
}

static void drop_pending(struct r_frames *f) {
  for (size_t i = 0; i < f->n_pending; i++) rfl_frame_release(f->pending[i]);
  f->n_pending = f->waiting = 0;
}

static void release(void *object) {
  struct r_frames *f = object;
  r_frames_drop(f);
  drop_pending(f);
  rfl_free(f->pending);
  if (f->spool) f->spool->release(f->spool);
  rfl_free(f->folder);
  rfl_cursor_release(&f->upto);
  rfl_schema_release(f->schema);
  rfl_free(f);
}

static const struct r_type frames_type = {"rows", release, R_MEMORY};

SEXP r_frames_new(SEXP prot, struct r_frames **gives) {
  SEXP handle = PROTECT(r_handle_new(&frames_type, prot));
  struct r_frames *f = rfl_alloc(1, sizeof *f);
  if (!f) r_fail(RFL_ENOMEM, "There is no memory for the rows.");
  r_handle_fill(handle, f);
  *gives = f;
  UNPROTECT(1);
  return handle;
}

SEXP r_frames_new_within(size_t budget, const char *folder, struct r_frames **gives) {
  SEXP handle = PROTECT(r_frames_new(R_NilValue, gives));
  (*gives)->folder = rfl_strdup(folder);
  if (!(*gives)->folder) r_fail(RFL_ENOMEM, "There is no memory for the rows.");
  (*gives)->budget = budget;
  UNPROTECT(1);
  return handle;
}

struct r_frames *r_frames_get(SEXP handle) {
  return r_handle_get(handle, &frames_type);
}

/* ---- adding ---- */

static bool grow(void *at, size_t *cap, size_t n, size_t size) {
  if (n < *cap) return true;
  void *p;
  memcpy(&p, at, sizeof p);
  size_t more = *cap ? 2 * *cap : 16;
  p = rfl_grow(p, more, size);
  if (!p) return false;
  memcpy(at, &p, sizeof p);
  *cap = more;
  return true;
}

enum rfl_code r_frames_pass(struct r_frames *f, const struct rfl_frame *frame,
                            struct rfl_err *err) {
  for (size_t i = 0; i < frame->places.n; i++) {
    const struct rfl_place *p = &frame->places.place[i];
    const struct rfl_place *old = rfl_cursor_find(&f->upto, p->stream, p->shard);
    if (old && old->next >= p->next) continue;
    RFL_TRY(rfl_cursor_set(&f->upto, p->stream, p->shard, p->next, err));
  }
  return RFL_OK;
}

/* The span that holds a row: the last one that begins at or before it. */
static const struct rfl_span *span_at(const struct rfl_frame *f, uint32_t row) {
  size_t low = 0, high = f->n_spans;
  while (high - low > 1) {
    size_t mid = low + (high - low) / 2;
    if (f->span[mid].row <= row)
      low = mid;
    else
      high = mid;
  }
  return f->n_spans ? &f->span[low] : NULL;
}

enum rfl_code r_frames_piece(struct r_frames *f, struct rfl_frame *takes,
                             struct rfl_err *err) {
  if (!grow(&f->piece, &f->cap, f->n, sizeof *f->piece)) return rfl_no_memory(err);
  if (!f->schema) f->schema = rfl_schema_keep(takes->schema);
  struct r_piece *piece = &f->piece[f->n];
  *piece = (struct r_piece){.frame = takes, .n_rows = takes->n_rows, .at = f->n};
  const struct rfl_span *span = span_at(takes, 0);
  if (span) {
    const struct rfl_place *p = &takes->places.place[span->place];
    const struct rfl_place *mine = rfl_cursor_find(&f->upto, p->stream, p->shard);
    piece->stream = mine ? mine->stream : NULL;
    piece->shard = p->shard;
    piece->first = span->first;
  }
  f->n++;
  rfl_free(f->rows);
  rfl_free(f->frame);
  rfl_free(f->rows_of);
  f->rows = NULL;
  f->frame = NULL;
  f->rows_of = NULL;
  f->n_rows = 0;
  return RFL_OK;
}

/* ---- the budget ---- */

static size_t bytes_of(const struct rfl_frame *f) {
  size_t bytes = f->n_spans * sizeof *f->span;
  for (size_t c = 0; c < f->schema->n; c++) {
    const struct rfl_column *x = &f->column[c];
    bool wide =
        x->type == RFL_DOUBLE || x->type == RFL_INTEGER64 || x->type == RFL_TIMESTAMP;
    bytes += (size_t)f->n_rows * (wide ? 8 : 4) + (x->valid ? f->n_rows / 8 : 0);
    if (x->offset) bytes += (size_t)(x->offset[f->n_rows] - x->offset[0]);
  }
  return bytes;
}

static enum rfl_code to_disk(struct r_frames *f, struct r_piece *piece,
                             struct rfl_err *err) {
  RFL_TRY(f->spool->put(f->spool, piece->frame, err));
  rfl_frame_release(piece->frame);
  piece->frame = NULL;
  piece->spool = f->spool;
  return RFL_OK;
}

/* Takes a frame, also on failure, as the next piece; beyond the budget all pieces go to
 * disk. */
static enum rfl_code hold(struct r_frames *f, struct rfl_frame *takes,
                          struct rfl_err *err) {
  size_t bytes = bytes_of(takes);
  enum rfl_code code = r_frames_piece(f, takes, err);
  if (code) {
    rfl_frame_release(takes);
    return code;
  }
  f->held += bytes;
  if (!f->spool && f->held <= f->budget / 2) return RFL_OK;
  if (!f->spool) RFL_TRY(rfl_spool_new(f->folder, f->schema, &f->spool, err));
  for (size_t i = 0; i < f->n; i++) {
    if (!f->piece[i].frame) continue;
    f->piece[i].chunk = i;
    RFL_TRY(to_disk(f, &f->piece[i], err));
  }
  f->held = 0;
  return RFL_OK;
}

/* ---- a window ---- */

struct bits { /* the pending rows in order, each slice of one place */
  struct rfl_rows *rows;
  const struct rfl_place **place;
  size_t n;
};

static enum rfl_code cut_by_place(const struct r_frames *f, const struct rfl_rows *slice,
                                  size_t n, struct bits *b, struct rfl_err *err) {
  size_t most = n;
  for (size_t i = 0; i < f->n_pending; i++) most += f->pending[i]->n_spans;
  b->rows = rfl_alloc(most, sizeof *b->rows);
  b->place = rfl_alloc(most, sizeof(const struct rfl_place *));
  if (!b->rows || !b->place) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++) {
    struct rfl_rows left = slice[i];
    while (left.n) {
      const struct rfl_span *span = span_at(left.frame, left.row);
      uint32_t here = span->row + span->n_rows - left.row;
      if (here > left.n) here = left.n;
      b->rows[b->n] = (struct rfl_rows){left.frame, left.row, here};
      b->place[b->n++] = &left.frame->places.place[span->place];
      left.row += here;
      left.n -= here;
    }
  }
  return RFL_OK;
}

static bool same_place(const struct rfl_place *a, const struct rfl_place *b) {
  return a->shard == b->shard && strcmp(a->stream, b->stream) == 0;
}

static uint32_t rows_of_piece(const struct r_frames *f) {
  size_t rows = 0;
  for (size_t i = 0; i < f->n_pending; i++) rows += f->pending[i]->n_rows;
  size_t fit = rows ? PIECE_BYTES / (f->waiting / rows + 1) : PIECE_ROWS;
  fit -= fit % PIECE_LEAST;
  return fit > PIECE_ROWS ? PIECE_ROWS : fit < PIECE_LEAST ? PIECE_LEAST : (uint32_t)fit;
}

static enum rfl_code keep_bits(struct r_frames *f, const struct bits *b,
                               struct rfl_err *err) {
  uint32_t most = rows_of_piece(f);
  for (size_t i = 0, j; i < b->n; i = j) {
    size_t rows = b->rows[i].n;
    for (j = i + 1; j < b->n && rows + b->rows[j].n <= most; j++) {
      if (!same_place(b->place[i], b->place[j])) break;
      rows += b->rows[j].n;
    }
    struct rfl_frame *whole;
    RFL_TRY(rfl_frame_gather(b->rows + i, j - i, &whole, err));
    RFL_TRY(hold(f, whole, err));
  }
  return RFL_OK;
}

/* Makes pieces of the frames that wait. */
static enum rfl_code settle(struct r_frames *f, struct rfl_err *err) {
  struct bits b = {0};
  struct rfl_rows *slice = NULL;
  size_t n = 0;
  enum rfl_code code = rfl_order(f->pending, f->n_pending, &slice, &n, err);
  if (!code) code = cut_by_place(f, slice, n, &b, err);
  if (!code) code = keep_bits(f, &b, err);
  rfl_free(slice);
  rfl_free(b.rows);
  rfl_free(b.place);
  drop_pending(f);
  return code;
}

/* Takes a frame, also on failure. */
static enum rfl_code wait_for_more(struct r_frames *f, struct rfl_frame *takes,
                                   struct rfl_err *err) {
  if (!grow(&f->pending, &f->cap_pending, f->n_pending, sizeof(struct rfl_frame *))) {
    rfl_frame_release(takes);
    return rfl_no_memory(err);
  }
  f->pending[f->n_pending++] = takes;
  f->waiting += bytes_of(takes);
  size_t window = f->budget / WINDOWS;
  if (f->waiting < (window < LEAST_WINDOW ? LEAST_WINDOW : window)) return RFL_OK;
  return settle(f, err);
}

enum rfl_code r_frames_add(struct r_frames *f, struct rfl_frame *takes,
                           struct rfl_err *err) {
  RFL_TRY(r_frames_pass(f, takes, err));
  if (!f->budget) return r_frames_piece(f, takes, err);
  struct rfl_frame *mine = rfl_frame_keep(takes);
  enum rfl_code code = takes->n_spans ? wait_for_more(f, mine, err) : hold(f, mine, err);
  if (!code) rfl_frame_release(takes);
  return code;
}

enum rfl_code r_frames_follow(struct r_frames *f, struct rfl_frame *takes,
                              struct rfl_err *err) {
  RFL_TRY(r_frames_pass(f, takes, err));
  f->ordered = true;
  if (!f->budget) return r_frames_piece(f, takes, err);
  RFL_TRY(hold(f, rfl_frame_keep(takes), err));
  rfl_frame_release(takes);
  return RFL_OK;
}

/* ---- order ---- */

static int by_place(const void *va, const void *vb) {
  const struct r_piece *a = va, *b = vb;
  if (!a->stream != !b->stream) return a->stream ? -1 : 1;
  if (a->stream) {
    int order = strcmp(a->stream, b->stream);
    if (order) return order;
    if (a->shard != b->shard) return a->shard < b->shard ? -1 : 1;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
  }
  return (a->at > b->at) - (a->at < b->at);
}

static enum rfl_code finish(struct r_frames *f, struct rfl_err *err) {
  if (!f->ordered) RFL_TRY(settle(f, err));
  size_t chunks;
  if (f->spool) RFL_TRY(f->spool->seal(f->spool, &chunks, err));
  if (!f->ordered && f->n) qsort(f->piece, f->n, sizeof *f->piece, by_place);
  f->ordered = true;
  return RFL_OK;
}

static enum rfl_code list_frames(struct r_frames *f, struct rfl_err *err) {
  if (f->frame) return RFL_OK;
  f->frame = rfl_alloc(f->n, sizeof(struct rfl_frame *));
  if (!f->frame) return rfl_no_memory(err);
  for (size_t i = 0; i < f->n; i++) f->frame[i] = f->piece[i].frame;
  return RFL_OK;
}

static enum rfl_code as_they_are(struct r_frames *f, struct rfl_err *err) {
  f->rows = rfl_alloc(f->n, sizeof *f->rows);
  if (!f->rows) return rfl_no_memory(err);
  for (f->n_rows = 0; f->n_rows < f->n; f->n_rows++)
    f->rows[f->n_rows] = (struct rfl_rows){.frame = f->piece[f->n_rows].frame,
                                           .n = f->piece[f->n_rows].n_rows};
  return RFL_OK;
}

enum rfl_code r_frames_order(struct r_frames *f, struct rfl_err *err) {
  if (f->rows || !f->n) return RFL_OK;
  if (f->ordered) return as_they_are(f, err);
  RFL_TRY(list_frames(f, err));
  return rfl_order(f->frame, f->n, &f->rows, &f->n_rows, err);
}

/* Whether slice i is all of piece i, for all of them. */
static bool in_order(const struct r_frames *f) {
  size_t k = 0;
  for (size_t i = 0; i < f->n_rows; i++) {
    const struct rfl_rows *r = &f->rows[i];
    while (k < f->n && f->piece[k].frame != r->frame) {
      if (f->piece[k++].n_rows) return false;
    }
    if (k == f->n || r->row != 0 || r->n != r->frame->n_rows) return false;
    k++;
  }
  return true;
}

/* Rows that are copied into one frame at most: bounds the text of a column far below
 * what 32-bit offsets reach. */
enum { GATHER_ROWS = 1000000 };

/* Copies the first slices of [rows, rows + n), up to `limit` rows, into one frame of
 * `to`. Gives how many slices were used up; the next one is cut where the rows ended. */
static enum rfl_code gather(struct rfl_rows *rows, size_t n, size_t limit,
                            struct r_frames *to, size_t *used, struct rfl_err *err) {
  size_t taken = 0, k = 0;
  while (k < n && taken + rows[k].n <= limit) taken += rows[k++].n;
  struct rfl_rows cut = {0};
  if (k < n && taken < limit) {
    cut = rows[k];
    rows[k].n = (uint32_t)(limit - taken);
  }
  struct rfl_frame *whole;
  RFL_TRY(rfl_frame_gather(rows, cut.n ? k + 1 : k, &whole, err));
  if (cut.n) {
    rows[k].row = cut.row + rows[k].n;
    rows[k].n = cut.n - rows[k].n;
  }
  *used = k;
  enum rfl_code code = r_frames_piece(to, whole, err);
  if (code) rfl_frame_release(whole);
  return code;
}

enum rfl_code r_frames_sort(struct r_frames *f, size_t rows, struct rfl_err *err) {
  if (f->budget) return finish(f, err);
  if (f->ordered && !rows) return RFL_OK;
  RFL_TRY(r_frames_order(f, err));
  if (!rows && in_order(f)) return RFL_OK;
  size_t limit = rows && rows < GATHER_ROWS ? rows : GATHER_ROWS;
  struct r_frames sorted = {0};
  enum rfl_code code = RFL_OK;
  for (size_t i = 0, used; !code && i < f->n_rows; i += used) {
    code = gather(f->rows + i, f->n_rows - i, limit, &sorted, &used, err);
  }
  rfl_schema_release(sorted.schema);
  r_frames_drop(code ? &sorted : f);
  if (code) { /* slices may have been cut: order them anew when asked */
    rfl_free(f->rows);
    f->rows = NULL;
    f->n_rows = 0;
    return code;
  }
  f->piece = sorted.piece;
  f->n = sorted.n;
  f->cap = sorted.cap;
  f->ordered = true;
  return RFL_OK;
}

/* ---- looking ---- */

size_t r_frames_count(const struct r_frames *f) { return f->n; }

double r_frames_rows(const struct r_frames *f) {
  double rows = 0;
  for (size_t i = 0; i < f->n; i++) rows += f->piece[i].n_rows;
  for (size_t i = 0; i < f->n_pending; i++) rows += f->pending[i]->n_rows;
  return rows;
}

bool r_frames_on_disk(const struct r_frames *f) {
  for (size_t i = 0; i < f->n; i++)
    if (!f->piece[i].frame) return true;
  return false;
}

enum rfl_code r_frames_take(const struct r_frames *f, size_t k, struct rfl_frame **gives,
                            struct rfl_err *err) {
  const struct r_piece *p = &f->piece[k];
  if (!p->frame) return p->spool->get(p->spool, p->chunk, gives, err);
  *gives = rfl_frame_keep(p->frame);
  return RFL_OK;
}

static enum rfl_code get(void *data, size_t k, struct rfl_frame **gives,
                         struct rfl_err *err) {
  return r_frames_take(data, k, gives, err);
}

enum rfl_code r_frames_input(struct r_frames *f, struct rfl_fit_input *gives,
                             struct rfl_err *err) {
  *gives = (struct rfl_fit_input){.n_frames = f->n};
  if (!r_frames_on_disk(f)) {
    RFL_TRY(list_frames(f, err));
    gives->frame = f->frame;
    return RFL_OK;
  }
  if (!f->rows_of) f->rows_of = rfl_alloc(f->n, sizeof *f->rows_of);
  if (!f->rows_of) return rfl_no_memory(err);
  for (size_t i = 0; i < f->n; i++) f->rows_of[i] = f->piece[i].n_rows;
  gives->n_rows = f->rows_of;
  gives->get = get;
  gives->data = f;
  return RFL_OK;
}

/* ---- entries ---- */

/* `budget`: bytes in memory, NULL: no limit; `folder`: where to go beyond it. */
SEXP ffi_frames_new(SEXP budget, SEXP folder) {
  struct r_frames *f;
  if (Rf_isNull(budget)) return r_frames_new(R_NilValue, &f);
  return r_frames_new_within((size_t)r_number(budget), r_string(folder), &f);
}

SEXP ffi_frames_sort(SEXP frames, SEXP rows) {
  struct rfl_err err;
  r_finish(r_frames_sort(r_frames_get(frames), (size_t)r_number(rows), &err), &err);
  return frames;
}

SEXP ffi_frames_rows(SEXP frames) {
  return Rf_ScalarReal(r_frames_rows(r_frames_get(frames)));
}

/* Adds a data frame (its plain columns), copied. */
SEXP ffi_frames_push(SEXP frames, SEXP columns, SEXP fields) {
  struct r_frames *f = r_frames_get(frames);
  const struct r_table *table = r_table_read(columns, fields);
  struct r_fields described = r_fields_read(fields);
  struct r_cut all = {.n = r_table_rows(table)};
  struct rfl_frame *frame = NULL;
  struct rfl_err err = {0};
  enum rfl_code code = RFL_OK;
  if (!f->schema) code = rfl_schema_flat(described.field, described.n, &f->schema, &err);
  if (!code) code = r_table_frame(table, &all, f->schema, &frame, &err);
  if (!code && frame->n_rows) code = r_frames_add(f, frame, &err);
  if (frame && (code || !frame->n_rows)) rfl_frame_release(frame);
  r_finish(code, &err);
  return frames;
}

/* c(pieces, pieces on disk, bytes on disk) */
SEXP ffi_frames_where(SEXP frames) {
  const struct r_frames *f = r_frames_get(frames);
  double disk = 0, bytes = f->spool ? (double)rfl_spool_bytes(f->spool) : 0;
  for (size_t i = 0; i < f->n; i++) disk += !f->piece[i].frame;
  SEXP out = Rf_allocVector(REALSXP, 3);
  REAL(out)[0] = (double)f->n;
  REAL(out)[1] = disk;
  REAL(out)[2] = bytes;
  return out;
}

static enum rfl_code join_one(struct r_frames *to, const struct r_frames *from,
                              struct rfl_err *err) {
  if (!to->schema && from->schema) to->schema = rfl_schema_keep(from->schema);
  for (size_t i = 0; i < from->upto.n; i++) {
    const struct rfl_place *p = &from->upto.place[i];
    RFL_TRY(rfl_cursor_set(&to->upto, p->stream, p->shard, p->next, err));
  }
  for (size_t k = 0; k < from->n; k++) {
    if (!grow(&to->piece, &to->cap, to->n, sizeof *to->piece)) return rfl_no_memory(err);
    to->piece[to->n] = from->piece[k];
    to->piece[to->n].at = to->n;
    if (from->piece[k].frame) rfl_frame_keep(from->piece[k].frame);
    to->n++;
  }
  to->ordered = true;
  return RFL_OK;
}

/* The rows of several handles, which it keeps alive, one behind the other. */
SEXP ffi_frames_join(SEXP handles) {
  struct r_frames *to = NULL;
  SEXP joined = PROTECT(r_frames_new(handles, &to));
  struct rfl_err err = {0};
  enum rfl_code code = RFL_OK;
  for (R_xlen_t i = 0; !code && i < Rf_xlength(handles); i++)
    code = join_one(to, r_frames_get(VECTOR_ELT(handles, i)), &err);
  r_finish(code, &err);
  UNPROTECT(1);
  return joined;
}

/* Frame k, from 0, in memory. */
SEXP ffi_frames_part(SEXP frames, SEXP k) {
  const struct r_frames *f = r_frames_get(frames);
  size_t at = (size_t)r_number(k);
  if (at >= f->n) r_fail(RFL_EARGUMENT, "There are only %zu pieces.", f->n);
  struct r_frames *to = NULL;
  SEXP part = PROTECT(r_frames_new(R_NilValue, &to));
  struct rfl_err err = {0};
  struct rfl_frame *frame = NULL;
  enum rfl_code code = r_frames_take(f, at, &frame, &err);
  if (!code) {
    code = r_frames_piece(to, frame, &err);
    if (code) rfl_frame_release(frame);
  }
  r_finish(code, &err);
  UNPROTECT(1);
  return part;
}
