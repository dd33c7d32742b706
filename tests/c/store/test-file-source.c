/* Files of lines: every line one record, whatever its end, its length and how the file is
 * compressed; what is wrong is told with file and line; positions are lines. */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/text.h"
#include "fixture.h"
#include "harness.h"
#include "store/file_source.h"
#include "store/lines.h"

static struct rfl_err err;

/* ---- a decoder of numbers ---- */

static enum rfl_code number_row(struct rfl_decoder *d, struct rfl_bytes v,
                                struct rfl_builder *b, struct rfl_fault *why,
                                struct rfl_err *e) {
  (void)d;
  (void)e;
  double x;
  const char *p = (const char *)v.p, *end = rfl_parse_double(p, p + v.n, &x);
  if (end != p + v.n) {
    *why = (struct rfl_fault){.column = 0, .at = 1, .reason = "expected a number"};
    return RFL_EDATA;
  }
  rfl_builder_double(b, 0, x);
  return RFL_OK;
}
static void number_release(struct rfl_decoder *d) { rfl_free(d); }

static enum rfl_code number_decoder(struct rfl_decoder **gives) {
  struct rfl_decoder *d = rfl_alloc(1, sizeof *d);
  if (!d) return rfl_no_memory(&err);
  *d = (struct rfl_decoder){number_row, number_release};
  *gives = d;
  return RFL_OK;
}

/* ---- files ---- */

static char *folder, path[3][500];

static void begin(void) {
  folder = fixture_folder();
  for (int i = 0; i < 3; i++)
    snprintf(path[i], sizeof path[i], "%s/%c.jsonl", folder, 'a' + i);
}
static void finish(void) { fixture_remove(folder); }

static void put(int i, const char *text, size_t n, bool gzip) {
  gzFile f = gzopen(path[i], gzip ? "wb" : "wbT");
  CHECK(f && (n == 0 || gzwrite(f, text, (unsigned)n) == (int)n));
  CHECK_EQ(gzclose(f), Z_OK);
}
static void put_text(int i, const char *text) { put(i, text, strlen(text), false); }

static enum rfl_code open_source(size_t n, enum rfl_on_bad_line on_bad, double most,
                                 uint32_t rows, struct rfl_source **gives) {
  const char *paths[] = {path[0], path[1], path[2]};
  const struct rfl_field field[] = {
      {.name = "x", .type = RFL_DOUBLE},
      {.name = ".offset", .type = RFL_DOUBLE, .meta = RFL_META_OFFSET},
      {.name = ".topic", .type = RFL_FACTOR, .meta = RFL_META_TOPIC},
      {.name = ".partition", .type = RFL_INTEGER, .meta = RFL_META_PARTITION},
      {.name = ".error", .type = RFL_STRING, .meta = RFL_META_ERROR},
      {.name = ".raw", .type = RFL_RAW, .meta = RFL_META_RAW}};
  struct rfl_file_options o = {
      .path = paths, .n = n, .on_bad = on_bad, .max_records = most, .frame_rows = rows};
  struct rfl_schema *schema = NULL;
  struct rfl_decoder *decoder = NULL;
  RFL_TRY(rfl_schema_flat(field, 6, &schema, &err));
  enum rfl_code code = number_decoder(&decoder);
  if (!code) code = rfl_file_source_new(&o, schema, decoder, gives, &err);
  rfl_schema_release(schema);
  return code;
}

struct seen { /* the rows in the order they came */
  int n, frames;
  double x[2000], offset[2000];
  struct rfl_tally tally;
  struct rfl_cursor upto;
  enum rfl_event last;
};

static enum rfl_code take(struct seen *s, const struct rfl_frame *f) {
  for (uint32_t i = 0; i < f->n_rows && s->n < 2000; i++, s->n++) {
    s->x[s->n] = rfl_column_has(&f->column[0], i) ? f->column[0].f64[i] : NAN;
    s->offset[s->n] = f->column[1].f64[i];
  }
  for (size_t i = 0; i < f->n_spans; i++) {
    const struct rfl_place *p = &f->places.place[f->span[i].place];
    RFL_TRY(rfl_cursor_set(&s->upto, p->stream, 0, f->span[i].next, &err));
  }
  rfl_tally_add(&s->tally, &f->tally);
  s->frames++;
  return RFL_OK;
}

static enum rfl_code read_all(struct rfl_source *source, const struct rfl_cursor *upto,
                              struct seen *s) {
  struct rfl_want want = {.max_rows = UINT32_MAX, .until_ns = INT64_MAX, .upto = upto};
  for (s->last = RFL_ROWS; s->last == RFL_ROWS;) {
    struct rfl_frame *f = NULL;
    RFL_TRY(source->next(source, &want, &s->last, &f, &err));
    enum rfl_code code = s->last == RFL_ROWS ? take(s, f) : RFL_OK;
    rfl_frame_release(f);
    RFL_TRY(code);
  }
  return RFL_OK;
}

static enum rfl_code read_files(size_t n, enum rfl_on_bad_line on_bad, uint32_t rows,
                                const struct rfl_cursor *from, struct seen *s) {
  struct rfl_source *source = NULL;
  *s = (struct seen){0};
  RFL_TRY(open_source(n, on_bad, INFINITY, rows, &source));
  enum rfl_code code = source->start(source, from, &err);
  if (!code) code = read_all(source, NULL, s);
  source->release(source);
  return code;
}

static void forget(struct seen *s) { rfl_cursor_release(&s->upto); }

static struct seen seen;

/* ---- lines ---- */

TEST(lines_end_by_lf_or_crlf_and_the_last_needs_no_end) {
  begin();
  put_text(0,
           "\xef\xbb\xbf"
           "1\n2\r\n\n  \t\r\n3");
  put_text(1, "");
  put_text(2, "4\n");
  CHECK_OK(read_files(3, RFL_LINE_FAIL, 0, NULL, &seen), &err);
  CHECK_EQ(seen.n, 4);
  const double offset[] = {0, 1, 4, 0};
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(seen.x[i], i + 1);
    CHECK_EQ(seen.offset[i], offset[i]);
  }
  CHECK_EQ(rfl_cursor_find(&seen.upto, path[0], 0)->next, 5);
  CHECK_EQ(seen.last, RFL_END);
  CHECK_EQ(seen.tally.rows, 4);
  forget(&seen);
  finish();
}

static size_t many(char *to, int n) {
  size_t at = 0;
  for (int i = 0; i < n; i++) at += (size_t)sprintf(to + at, "%d\n", i);
  return at;
}

TEST(gzip_is_read_as_plain_text_is) {
  static char text[40000];
  begin();
  size_t n = many(text, 1500);
  put(0, text, n, true);
  put(1, text, 600, false);
  CHECK_OK(read_files(1, RFL_LINE_FAIL, 100, NULL, &seen), &err);
  CHECK_EQ(seen.n, 1500);
  CHECK_EQ(seen.frames, 15);
  for (int i = 0; i < 1500; i++) CHECK_EQ(seen.x[i], i);
  forget(&seen);
  finish();
}

TEST(a_line_may_be_longer_than_any_buffer) {
  size_t n = 3000000;
  char *text = malloc(n + 3);
  begin();
  memset(text, '0', n);
  memcpy(text, "1.", 2);
  memcpy(text + n, "\n7\n", 3);
  put(0, text, n + 3, false);
  CHECK_OK(read_files(1, RFL_LINE_FAIL, 0, NULL, &seen), &err);
  CHECK_EQ(seen.n, 2);
  CHECK_EQ(seen.x[0], 1);
  CHECK_EQ(seen.x[1], 7);
  forget(&seen);
  free(text);
  finish();
}

/* ---- what is wrong ---- */

TEST(a_bad_line_fails_with_file_line_field_and_reason) {
  char what[700];
  begin();
  put_text(0, "1\n\nnot\tme\n3\n");
  CHECK_EQ(read_files(1, RFL_LINE_FAIL, 0, NULL, &seen), RFL_EDATA);
  snprintf(what, sizeof what,
           "file `%s`, line 3: field `x`: expected a number at byte 1 of not\\x09me",
           path[0]);
  CHECK_STR(err.message, what);
  forget(&seen);
  finish();
}

TEST(a_bad_line_is_skipped_or_kept_and_counted) {
  begin();
  put_text(0, "1\nbad\n3\nworse");
  CHECK_OK(read_files(1, RFL_LINE_SKIP, 0, NULL, &seen), &err);
  CHECK_EQ(seen.n, 2);
  CHECK_EQ(seen.tally.bad, 2);
  CHECK_EQ(seen.tally.rows, 4);
  CHECK(strstr(seen.tally.first_bad, "line 2") != NULL);
  CHECK_EQ(rfl_cursor_find(&seen.upto, path[0], 0)->next, 4);
  forget(&seen);
  CHECK_OK(read_files(1, RFL_LINE_KEEP, 0, NULL, &seen), &err);
  CHECK_EQ(seen.n, 4);
  CHECK(isnan(seen.x[1]) && seen.offset[3] == 3);
  forget(&seen);
  finish();
}

TEST(a_file_that_is_gone_a_folder_or_cut_short_is_told) {
  static char text[40000];
  struct rfl_source *source = NULL;
  begin();
  put_text(0, "1\n");
  put_text(1, "2\n");
  CHECK_OK(open_source(2, RFL_LINE_FAIL, INFINITY, 0, &source), &err);
  CHECK_OK(source->start(source, NULL, &err), &err);
  unlink(path[1]); /* it vanishes while others are read */
  CHECK_EQ(read_all(source, NULL, &seen), RFL_EIO);
  CHECK(strstr(err.message, path[1]) && strstr(err.message, "No such file"));
  source->release(source);
  forget(&seen);
  CHECK_EQ(mkdir(path[1], 0700), 0);
  CHECK_EQ(read_files(2, RFL_LINE_FAIL, 0, NULL, &seen), RFL_EIO);
  CHECK(strstr(err.message, "it is a folder") != NULL);
  forget(&seen);
  rmdir(path[1]);
  put(2, text, many(text, 1500), true);
  CHECK_EQ(truncate(path[2], 900), 0);
  CHECK_EQ(rename(path[2], path[0]), 0);
  CHECK_EQ(read_files(1, RFL_LINE_SKIP, 0, NULL, &seen), RFL_EIO);
  CHECK(strstr(err.message, "cut short") != NULL);
  forget(&seen);
  finish();
}

/* ---- positions ---- */

TEST(a_read_goes_on_from_the_positions_it_is_given) {
  static char text[40000];
  begin();
  put(0, text, many(text, 100), true);
  put(1, text, many(text, 50), false);
  struct rfl_cursor from = {0};
  CHECK_OK(rfl_cursor_set(&from, path[0], 0, 98, &err), &err);
  CHECK_OK(rfl_cursor_set(&from, path[1], 0, 49, &err), &err);
  CHECK_OK(read_files(2, RFL_LINE_FAIL, 0, &from, &seen), &err);
  CHECK_EQ(seen.n, 3);
  CHECK_EQ(seen.x[0], 98);
  CHECK_EQ(seen.x[2], 49);
  forget(&seen);
  CHECK_OK(rfl_cursor_set(&from, path[1], 0, 51, &err), &err);
  CHECK_EQ(read_files(2, RFL_LINE_FAIL, 0, &from, &seen), RFL_ELOSS);
  CHECK(strstr(err.message, "has 50 lines, but 51 were taken before") != NULL);
  forget(&seen);
  rfl_cursor_release(&from);
  finish();
}

TEST(a_bound_is_reached_and_not_passed_and_the_rest_comes_when_it_is_lifted) {
  static char text[40000];
  begin();
  put(0, text, many(text, 100), false);
  put(1, text, many(text, 50), true);
  struct rfl_cursor upto = {0};
  struct rfl_source *source = NULL;
  CHECK_OK(open_source(2, RFL_LINE_FAIL, INFINITY, 7, &source), &err);
  CHECK_OK(source->start(source, NULL, &err), &err);
  seen = (struct seen){0};
  for (int64_t step = 10; step <= 40; step += 10) {
    CHECK_OK(rfl_cursor_set(&upto, path[0], 0, 2 * step, &err), &err);
    CHECK_OK(rfl_cursor_set(&upto, path[1], 0, step, &err), &err);
    CHECK_OK(read_all(source, &upto, &seen), &err);
    CHECK_EQ(seen.last, RFL_UPTO);
    CHECK_EQ(seen.n, 3 * step);
  }
  CHECK_OK(read_all(source, NULL, &seen), &err);
  CHECK_EQ(seen.n, 150);
  CHECK_EQ(seen.last, RFL_END);
  double sum = 0;
  for (int i = 0; i < 150; i++) sum += seen.x[i];
  CHECK_EQ(sum, 99 * 50 + 49 * 25);
  CHECK_OK(source->start(source, NULL, &err), &err); /* rewound: all again, in order */
  forget(&seen);
  seen = (struct seen){0};
  CHECK_OK(read_all(source, NULL, &seen), &err);
  CHECK_EQ(seen.n, 150);
  for (int i = 0; i < 150; i++) CHECK_EQ(seen.x[i], i % 100);
  source->release(source);
  rfl_cursor_release(&upto);
  forget(&seen);
  finish();
}

TEST(what_is_appended_after_the_first_look_is_not_in_the_range) {
  struct rfl_source *source = NULL;
  begin();
  put_text(0, "1\n2\n");
  CHECK_OK(open_source(1, RFL_LINE_FAIL, INFINITY, 1, &source), &err);
  for (int pass = 0; pass < 2; pass++) {
    CHECK_OK(source->start(source, NULL, &err), &err);
    seen = (struct seen){0};
    CHECK_OK(read_all(source, NULL, &seen), &err);
    CHECK_EQ(seen.n, 2);
    forget(&seen);
    FILE *f = fopen(path[0], "a");
    fputs("3\n", f);
    fclose(f);
  }
  source->release(source);
  finish();
}

TEST(no_more_records_than_asked_for) {
  struct rfl_source *source = NULL;
  begin();
  put_text(0, "1\n2\n3\n4\n");
  CHECK_OK(open_source(1, RFL_LINE_FAIL, 3, 2, &source), &err);
  CHECK_OK(source->start(source, NULL, &err), &err);
  seen = (struct seen){0};
  CHECK_OK(read_all(source, NULL, &seen), &err);
  CHECK_EQ(seen.n, 3);
  CHECK_EQ(seen.last, RFL_END);
  source->release(source);
  forget(&seen);
  finish();
}

static enum rfl_code sweep(void) {
  enum rfl_code code = read_files(2, RFL_LINE_KEEP, 2, NULL, &seen);
  forget(&seen);
  return code;
}

TEST(no_memory_at_any_point_leaves_nothing) {
  begin();
  int descriptors = fixture_descriptors();
  put_text(0, "1\nbad\n3\n4\n");
  put(1, "5\n6\n", 4, true);
  SWEEP(sweep());
  CHECK_EQ(fixture_descriptors(), descriptors);
  finish();
}

int main(void) {
  RUN(lines_end_by_lf_or_crlf_and_the_last_needs_no_end);
  RUN(gzip_is_read_as_plain_text_is);
  RUN(a_line_may_be_longer_than_any_buffer);
  RUN(a_bad_line_fails_with_file_line_field_and_reason);
  RUN(a_bad_line_is_skipped_or_kept_and_counted);
  RUN(a_file_that_is_gone_a_folder_or_cut_short_is_told);
  RUN(a_read_goes_on_from_the_positions_it_is_given);
  RUN(a_bound_is_reached_and_not_passed_and_the_rest_comes_when_it_is_lifted);
  RUN(what_is_appended_after_the_first_look_is_not_in_the_range);
  RUN(no_more_records_than_asked_for);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
