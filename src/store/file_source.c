#include "store/file_source.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/lines.h"

enum { DEFAULT_ROWS = 8192, LINES_A_LOOK = 2048, N_METAS = RFL_META_RAW + 1, SHOWN = 60 };

struct file {
  char *path, *name;
  int64_t next;  /* the first line that was not given */
  int64_t limit; /* of its bytes, once it was opened; -1: all */
  bool done;     /* it was read to its end */
};
struct file_source {
  struct rfl_source face; /* first: a source is one of these */
  struct rfl_schema *schema;
  struct rfl_decoder *decoder;
  struct rfl_builder *builder;
  enum rfl_on_bad_line on_bad;
  uint32_t frame_rows;
  double max_records, most; /* most: that may still be given */
  ptrdiff_t column[N_METAS];
  struct file *file;
  size_t n, at;            /* files, the one in hand */
  struct rfl_lines *lines; /* of the file in hand, at `line`; NULL: not open */
  int64_t line;
  atomic_bool woken;
};

static struct file_source *self(struct rfl_source *s) { return (struct file_source *)s; }

/* ---- where it is ---- */

static void close_lines(struct file_source *s) {
  rfl_lines_release(s->lines);
  s->lines = NULL;
  s->line = 0;
}

static enum rfl_code file_start(struct rfl_source *face, const struct rfl_cursor *from,
                                struct rfl_err *err) {
  (void)err;
  struct file_source *s = self(face);
  close_lines(s);
  rfl_builder_clear(s->builder);
  s->at = 0;
  s->most = s->max_records;
  for (size_t i = 0; i < s->n; i++) {
    const struct rfl_place *p = from ? rfl_cursor_find(from, s->file[i].name, 0) : NULL;
    s->file[i].next = p && p->next > 0 ? p->next : 0;
    s->file[i].done = false;
    rfl_builder_forget_place(s->builder, (uint32_t)i);
  }
  return RFL_OK;
}

/* Opens the file in hand and passes the lines that were taken before. */
static enum rfl_code open_lines(struct file_source *s, struct rfl_err *err) {
  struct file *f = &s->file[s->at];
  RFL_TRY(rfl_lines_open(f->path, f->limit, &s->lines, err));
  f->limit = rfl_lines_limit(s->lines);
  for (s->line = 0; s->line < f->next; s->line++) {
    struct rfl_bytes line;
    RFL_TRY(rfl_lines_next(s->lines, &line, err));
    if (!line.p)
      return rfl_fail(err, RFL_ELOSS,
                      "file `%s` has %lld lines, but %lld were taken before", f->name,
                      (long long)s->line, (long long)f->next);
  }
  return RFL_OK;
}

/* ---- what is wrong ---- */

/* 60 bytes around byte `at`, what is not plain ASCII as \xNN. */
static void show(struct rfl_bytes v, size_t at, char *to, size_t size) {
  size_t from = at > 40 && v.n > SHOWN ? at - 40 : 0;
  if (from + SHOWN > v.n) from = v.n > SHOWN ? v.n - SHOWN : 0;
  size_t end = from + SHOWN < v.n ? from + SHOWN : v.n, used = 0;
  if (from) used = (size_t)snprintf(to, size, "...");
  for (size_t i = from; i < end && used + 8 < size; i++) {
    if (v.p[i] >= 0x20 && v.p[i] < 0x7f)
      to[used++] = (char)v.p[i];
    else
      used += (size_t)snprintf(to + used, size - used, "\\x%02x", v.p[i]);
  }
  snprintf(to + used, size - used, "%s", end < v.n ? "..." : "");
}

static void describe(const struct file_source *s, struct rfl_bytes line,
                     const struct rfl_fault *why, char *to, size_t size) {
  char field[160] = "", shown[4 * SHOWN + 16];
  if (why->column >= 0 && (size_t)why->column < s->schema->n)
    snprintf(field, sizeof field, "field `%.120s`: ", s->schema->field[why->column].name);
  show(line, why->at, shown, sizeof shown);
  snprintf(to, size, "file `%s`, line %lld: %s%s at byte %zu of %s", s->file[s->at].path,
           (long long)s->line + 1, field, why->reason, why->at, shown);
}

/* ---- a line ---- */

static enum rfl_code set_text(const struct file_source *s, enum rfl_meta meta,
                              const void *p, size_t n, struct rfl_err *err) {
  ptrdiff_t c = s->column[meta];
  return c < 0 ? RFL_OK : rfl_builder_text(s->builder, (size_t)c, p, n, err);
}

static enum rfl_code set_metas(const struct file_source *s, struct rfl_err *err) {
  const ptrdiff_t *c = s->column;
  const char *name = s->file[s->at].name;
  if (c[RFL_META_PARTITION] >= 0)
    rfl_builder_int(s->builder, (size_t)c[RFL_META_PARTITION], 0);
  if (c[RFL_META_OFFSET] >= 0)
    rfl_builder_double(s->builder, (size_t)c[RFL_META_OFFSET], (double)s->line);
  return set_text(s, RFL_META_TOPIC, name, strlen(name), err);
}

static enum rfl_code keep_bad(const struct file_source *s, struct rfl_bytes line,
                              const char *said, struct rfl_err *err) {
  RFL_TRY(rfl_builder_open(s->builder, err));
  enum rfl_code code = set_metas(s, err);
  if (!code) code = set_text(s, RFL_META_ERROR, said, strlen(said), err);
  if (!code) code = set_text(s, RFL_META_RAW, line.p, line.n, err);
  if (code)
    rfl_builder_rollback(s->builder);
  else
    rfl_builder_commit(s->builder);
  return code;
}

static enum rfl_code bad(const struct file_source *s, struct rfl_bytes line,
                         const struct rfl_fault *why, struct rfl_err *err) {
  char said[768];
  describe(s, line, why, said, sizeof said);
  if (s->on_bad == RFL_LINE_FAIL) return rfl_fail(err, RFL_EDATA, "%s", said);
  if (s->on_bad == RFL_LINE_KEEP) RFL_TRY(keep_bad(s, line, said, err));
  struct rfl_tally *tally = rfl_builder_tally(s->builder);
  tally->rows++;
  tally->bad++;
  if (!tally->first_bad[0]) {
    size_t n = rfl_utf8_prefix(said, strlen(said));
    if (n >= sizeof tally->first_bad) n = sizeof tally->first_bad - 1;
    memcpy(tally->first_bad, said, n);
    tally->first_bad[n] = '\0';
  }
  return RFL_OK;
}

static bool blank(struct rfl_bytes line) {
  for (size_t i = 0; i < line.n; i++)
    if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r') return false;
  return true;
}

/* Adds the line's row; *rows is how many it gave. */
static enum rfl_code take_line(const struct file_source *s, struct rfl_bytes line,
                               uint32_t *rows, struct rfl_err *err) {
  *rows = 0;
  if (blank(line)) return RFL_OK;
  struct rfl_fault why = {.column = -1, .reason = "it cannot be decoded"};
  RFL_TRY(rfl_builder_open(s->builder, err));
  enum rfl_code code = set_metas(s, err);
  if (!code) code = s->decoder->row(s->decoder, line, s->builder, &why, err);
  if (!code) {
    rfl_builder_commit(s->builder);
    rfl_builder_tally(s->builder)->rows++;
    *rows = 1;
    return RFL_OK;
  }
  rfl_builder_rollback(s->builder);
  if (code != RFL_EDATA) return code;
  RFL_TRY(bad(s, line, &why, err));
  *rows = s->on_bad == RFL_LINE_KEEP;
  return RFL_OK;
}

/* ---- giving ---- */

/* The first line of file i that may not be given. */
static int64_t stop_at(const struct file_source *s, size_t i,
                       const struct rfl_want *want) {
  if (!want->upto) return INT64_MAX;
  const struct rfl_place *p = rfl_cursor_find(want->upto, s->file[i].name, 0);
  return p ? p->next : 0;
}

static bool enough(const struct file_source *s, const struct rfl_want *want) {
  uint32_t rows = rfl_builder_rows(s->builder);
  if (rows >= s->frame_rows || (want->max_rows && rows >= want->max_rows)) return true;
  if (s->most <= 0) return true;
  return want->max_bytes && rows && rfl_builder_bytes(s->builder) >= want->max_bytes;
}

/* The next line of the file in hand; *over at its end, and where it must stop. */
static enum rfl_code step(struct file_source *s, const struct rfl_want *want, bool *over,
                          struct rfl_err *err) {
  struct file *f = &s->file[s->at];
  *over = f->next >= stop_at(s, s->at, want);
  if (*over) return RFL_OK;
  if (!s->lines) RFL_TRY(open_lines(s, err));
  struct rfl_bytes line;
  RFL_TRY(rfl_lines_next(s->lines, &line, err));
  *over = f->done = !line.p;
  if (*over) return RFL_OK;
  uint32_t rows;
  RFL_TRY(take_line(s, line, &rows, err));
  RFL_TRY(rfl_builder_place(s->builder, (uint32_t)s->at, s->line, rows, err));
  s->most -= rows;
  f->next = ++s->line;
  return RFL_OK;
}

/* Goes to the first file that has more to give; false when there is none. A file that a
 * bound stopped has more once the bound is lifted. */
static bool go_on(struct file_source *s, const struct rfl_want *want) {
  for (size_t i = 0; i < s->n; i++) {
    const struct file *f = &s->file[i];
    if (f->done || f->next >= stop_at(s, i, want)) continue;
    if (i != s->at) close_lines(s);
    s->at = i;
    return true;
  }
  return false;
}

/* Reads until a frame is full, all files are done, or time is up. */
static enum rfl_code fill(struct file_source *s, const struct rfl_want *want, bool *waits,
                          struct rfl_err *err) {
  bool over = true;
  for (uint64_t k = 0; !enough(s, want); k++) {
    if (over && !go_on(s, want)) return RFL_OK;
    RFL_TRY(step(s, want, &over, err));
    *waits = k % LINES_A_LOOK == LINES_A_LOOK - 1 &&
             (rfl_now_ns() >= want->until_ns || atomic_exchange(&s->woken, false));
    if (*waits) return RFL_OK;
  }
  return RFL_OK;
}

static enum rfl_code file_next(struct rfl_source *face, const struct rfl_want *want,
                               enum rfl_event *event, struct rfl_frame **gives,
                               struct rfl_err *err) {
  struct file_source *s = self(face);
  bool waits = false;
  RFL_TRY(fill(s, want, &waits, err));
  if (rfl_builder_rows(s->builder) || rfl_builder_tally(s->builder)->rows) {
    RFL_TRY(rfl_builder_finish(s->builder, gives, err));
    *event = RFL_ROWS;
    return RFL_OK;
  }
  *event = waits ? RFL_IDLE : want->upto && s->most > 0 ? RFL_UPTO : RFL_END;
  return RFL_OK;
}

/* ---- life ---- */

static void file_wake(struct rfl_source *face) { atomic_store(&self(face)->woken, true); }

static void file_release(struct rfl_source *face) {
  struct file_source *s = self(face);
  if (!s) return;
  close_lines(s);
  rfl_builder_release(s->builder);
  if (s->decoder) s->decoder->release(s->decoder);
  for (size_t i = 0; s->file && i < s->n; i++) {
    rfl_free(s->file[i].path);
    rfl_free(s->file[i].name);
  }
  rfl_free(s->file);
  rfl_schema_release(s->schema);
  rfl_free(s);
}

static enum rfl_code set_up(struct file_source *s, const struct rfl_file_options *o,
                            struct rfl_err *err) {
  s->on_bad = o->on_bad;
  s->frame_rows = o->frame_rows ? o->frame_rows : DEFAULT_ROWS;
  s->max_records = s->most = o->max_records;
  for (size_t m = 0; m < N_METAS; m++) s->column[m] = -1;
  for (size_t c = 0; c < s->schema->n; c++)
    if (s->schema->field[c].meta) s->column[s->schema->field[c].meta] = (ptrdiff_t)c;
  s->file = rfl_alloc(o->n, sizeof *s->file);
  if (!s->file) return rfl_no_memory(err);
  s->n = o->n;
  RFL_TRY(rfl_builder_new(s->schema, &s->builder, err));
  for (size_t i = 0; i < o->n; i++) {
    const char *name = o->name ? o->name[i] : o->path[i];
    s->file[i] = (struct file){
        .path = rfl_strdup(o->path[i]), .name = rfl_strdup(name), .limit = -1};
    if (!s->file[i].path || !s->file[i].name) return rfl_no_memory(err);
    RFL_TRY(rfl_builder_name_place(s->builder, (uint32_t)i, name, 0, err));
  }
  return RFL_OK;
}

enum rfl_code rfl_file_source_new(const struct rfl_file_options *o,
                                  struct rfl_schema *schema, struct rfl_decoder *decoder,
                                  struct rfl_source **gives, struct rfl_err *err) {
  struct file_source *s = rfl_alloc(1, sizeof *s);
  if (!s) {
    decoder->release(decoder);
    return rfl_no_memory(err);
  }
  s->face = (struct rfl_source){
      .start = file_start, .next = file_next, .wake = file_wake, .release = file_release};
  s->schema = rfl_schema_keep(schema);
  s->decoder = decoder;
  enum rfl_code code = set_up(s, o, err);
  if (code)
    file_release(&s->face);
  else
    *gives = &s->face;
  return code;
}
