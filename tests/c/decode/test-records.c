/* Whole records: order, repeats, nesting, and what a second decoder makes of the same
 * bytes. */
#include "../harness.h"
#include "draw_json.h"
#include "help.h"
#include "reference.h"

static const struct rfl_field mixed[] = {
    {.name = "a", .type = RFL_INTEGER},
    {.name = "user.id", .type = RFL_STRING},
    {.name = ".timestamp", .type = RFL_TIMESTAMP, .meta = RFL_META_TIMESTAMP},
    {.name = "b", .type = RFL_DOUBLE},
    {.name = "user.geo.country", .type = RFL_FACTOR},
    {.name = "quite a long name, past two words", .type = RFL_LOGICAL},
    {.name = "user.age", .type = RFL_INTEGER64},
    {.name = "when", .type = RFL_TIMESTAMP},
    {.name = "quote \" and \xc3\xa9", .type = RFL_DATE},
    {.name = "exactly13chrs", .type = RFL_FACTOR},
    {.name = "exactly 14 chr", .type = RFL_INTEGER},
    {.name = "user.geo.city", .type = RFL_STRING},
    {.name = "aa", .type = RFL_DOUBLE}};
enum { N_MIXED = sizeof mixed / sizeof *mixed };

static const char whole_record[] =
    "{\"a\":1,\"user\":{\"id\":\"u1\",\"geo\":{\"country\":\"NZ\",\"city\":\"D\\u016b\"},"
    "\"age\":44},\"b\":2.5,\"quite a long name, past two words\":true,"
    "\"when\":\"2019-11-24T00:03:13Z\",\"quote \\\" and \xc3\xa9\":\"2019-11-24\","
    "\"exactly13chrs\":\"x\",\"exactly 14 chr\":-3,\"aa\":1e3}";

/* Whether a record decodes as the reference says: fits or not, and value by value. */
static bool agrees(struct session *s, const char *text, size_t n) {
  struct node *record = reference_parse(text, n);
  bool good = record && reference_is_object(record) && reference_fits(record, s->schema);
  const char *why = rfl_json_check((struct rfl_bytes){(const uint8_t *)text, n}, NULL);
  enum rfl_code code = session_take(s, text, n);
  bool agree = (why == NULL) == (record != NULL) && code == (good ? RFL_OK : RFL_EDATA);
  struct rfl_frame *f = agree && good ? session_frame(s) : NULL;
  for (size_t c = 0; f && c < s->schema->n; c++)
    agree &= reference_holds(record, &s->schema->field[c], &f->column[c], 0);
  rfl_frame_release(f);
  reference_free(record);
  if (!agree) printf("# they differ on: %.*s (%s)\n", (int)n, text, s->err.message);
  return agree;
}

static void all_agree(const struct rfl_field *field, size_t n_fields,
                      const char *const *text, size_t n) {
  struct session s;
  CHECK_OK(session_open(&s, field, n_fields), &s.err);
  for (size_t i = 0; i < n; i++) CHECK(agrees(&s, text[i], strlen(text[i])));
  session_close(&s);
}

TEST(fields_come_in_any_order_and_unknown_ones_are_skipped) {
  const struct rfl_field f[] = {{.name = "a", .type = RFL_INTEGER},
                                {.name = "b", .type = RFL_STRING},
                                {.name = "c", .type = RFL_DOUBLE}};
  static const char *const text[] = {
      "{}", " { } ", "{\"a\":1,\"b\":\"x\",\"c\":2}", "{\"c\":2,\"b\":\"x\",\"a\":1}",
      "{\"c\":2,\"a\":1}", "{\"b\":null}", "\t{ \"a\" :\r\n1 , \"b\":\t\"x\" }\n",
      "{\"z\":{\"a\":[1,{\"b\":2}]},\"a\":1,\"y\":\"\\u0000\",\"b\":\"x\"}",
      "{\"A\":1,\"ab\":2,\"\":3,\"a\":4}", "{\"\\u0061\":1,\"\\u0062\":\"x\"}",
      "{\"a\\u0000\":1}", "{\"a\\u0000\":1,\"a\":\"\\u0000\"}",
      /* bad ones */
      "", " ", "[]", "1", "null", "\"a\"", "{", "{\"a\":1", "{\"a\":1,}", "{,\"a\":1}",
      "{\"a\":1}}", "{\"a\":1} x", "{\"a\":1}{\"a\":1}", "{\"a\":1 \"b\":\"x\"}", "{a:1}",
      "{\"a\":01}", "{\"z\":01}", "{\"z\":tru}", "{\"z\":\"\xff\"}",
      "{\"z\":\"\\ud800\"}", "{\"\\ud800\":1}", "{\"\xff\":1}", "{\"a\":1,\"z\":[}",
      "{\"a\":1;}", "{\"a\"1}", "{\"a\" 1}", "\xef\xbb\xbf{\"a\":1}", "{\"a\":1}\x0b",
      "{'a':1}", "{\"a\":\f1}"};
  all_agree(f, 3, text, sizeof text / sizeof *text);
}

TEST(of_a_repeated_name_the_last_wins_also_when_it_is_an_object) {
  const struct rfl_field f[] = {{.name = "a", .type = RFL_FACTOR},
                                {.name = "u.x", .type = RFL_INTEGER},
                                {.name = "u.v.y", .type = RFL_STRING},
                                {.name = "ux", .type = RFL_INTEGER}};
  static const char *const text[] = {
      "{\"a\":\"p\",\"a\":\"q\"}", "{\"a\":\"p\",\"a\":null}", "{\"a\":null,\"a\":\"p\"}",
      "{\"a\":\"p\",\"a\":\"p\",\"a\":\"r\"}", "{\"a\":\"\\u0061\",\"\\u0061\":\"b\"}",
      "{\"u\":{\"x\":1,\"x\":2}}", "{\"u\":{\"x\":1},\"u\":{\"v\":{\"y\":\"s\"}}}",
      "{\"u\":{\"x\":1,\"v\":{\"y\":\"s\"}},\"u\":{\"x\":2}}",
      "{\"u\":{\"x\":1,\"v\":{\"y\":\"s\"}},\"u\":{}}",
      "{\"u\":{\"x\":1,\"v\":{\"y\":\"s\"}},\"u\":null}", "{\"u\":null,\"u\":{\"x\":1}}",
      "{\"ux\":5,\"u\":{\"x\":1},\"u\":{}}",
      "{\"u\":{\"v\":{\"y\":\"s\"},\"v\":{}},\"a\":\"p\"}",
      "{\"u\":{\"v\":{\"y\":\"s\"},\"v\":null,\"x\":3},\"a\":\"p\"}",
      "{\"u\":{\"v\":{}},\"u\":{\"v\":{\"y\":\"t\"}}}",
      /* what does not fit is bad even where something else replaces it */
      "{\"u\":1,\"u\":{\"x\":1}}", "{\"u\":[]}", "{\"u\":{\"v\":\"s\"}}",
      "{\"u\":{\"x\":\"s\",\"x\":1}}"};
  all_agree(f, 4, text, sizeof text / sizeof *text);
}

TEST(a_name_with_dots_of_its_own_is_a_path) {
  const struct rfl_field f[] = {{.name = "a.b", .type = RFL_INTEGER},
                                {.name = "c", .type = RFL_INTEGER}};
  struct session s;
  CHECK_OK(session_open(&s, f, 2), &s.err);
  /* The prediction stays with the object: the second b is the record's own. */
  struct rfl_frame *row = session_row(&s, "{\"a.b\":7,\"b\":8,\"c\":9}");
  CHECK(row && row->column[0].i32[0] == 7 && row->column[1].i32[0] == 9);
  rfl_frame_release(row);
  row = session_row(&s, "{\"a.b\":7,\"c\":8}");
  CHECK(row && row->column[0].i32[0] == 7 && row->column[1].i32[0] == 8);
  rfl_frame_release(row);
  row = session_row(&s, "{\"a.b\":{\"x\":1},\"a.c\":2,\"c.b\":3,\"a\":{\"b\":7}}");
  CHECK_EQ(s.why.column, 0); /* an object where an integer is expected */
  CHECK(row == NULL);
  row = session_row(&s, "{\"a.c\":2,\"c.b\":3,\".\":1,\"a.\":4,\"a\":{\"b\":7}}");
  CHECK(row && row->column[0].i32[0] == 7 && !rfl_column_has(&row->column[1], 0));
  rfl_frame_release(row);
  session_close(&s);
}

TEST(meta_columns_are_left_alone) {
  const struct rfl_field f[] = {
      {.name = ".offset", .type = RFL_DOUBLE, .meta = RFL_META_OFFSET}};
  struct session s;
  CHECK_OK(session_open(&s, f, 1), &s.err);
  struct rfl_frame *row = session_row(&s, "{\"\":{\"offset\":1},\".offset\":2,\"z\":3}");
  CHECK(row && !rfl_column_has(&row->column[0], 0));
  rfl_frame_release(row);
  session_close(&s);
}

TEST(a_bad_record_leaves_no_trace) {
  const struct rfl_field f[] = {{.name = "s", .type = RFL_STRING},
                                {.name = "f", .type = RFL_FACTOR},
                                {.name = "i", .type = RFL_INTEGER}};
  struct session s;
  CHECK_OK(session_open(&s, f, 3), &s.err);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(session_take_text(&s, "{\"s\":\"x\",\"f\":\"p\",\"i\":1}"), RFL_OK);
    CHECK_EQ(session_take_text(&s, "{\"s\":\"y\",\"f\":\"q\",\"i\":1.5}"), RFL_EDATA);
  }
  struct rfl_frame *frame = session_frame(&s);
  CHECK(frame && frame->n_rows == 3);
  if (frame) {
    CHECK_EQ(frame->column[1].levels, 1);
    CHECK_EQ(frame->column[0].offset[3], 3);
  }
  rfl_frame_release(frame);
  session_close(&s);
}

TEST(objects_nest_1024_deep_and_no_more) {
  char name[2 * 1024 + 2];
  for (int i = 0; i < 1024; i++) memcpy(name + 2 * i, "a.", 2);
  name[2 * 1024 - 1] = '\0'; /* a value inside 1,024 objects, the record among them */
  struct rfl_field f = {.name = name, .type = RFL_INTEGER};
  struct session s;
  CHECK_OK(session_open(&s, &f, 1), &s.err);
  static struct text t;
  t.n = 0;
  for (int i = 0; i < 1024; i++) say_text(&t, "{\"a\":");
  say_text(&t, "7");
  for (int i = 0; i < 1024; i++) say_text(&t, "}");
  struct rfl_frame *row = session_row(&s, t.p);
  CHECK(row && row->column[0].i32[0] == 7);
  rfl_frame_release(row);
  /* an unknown array at the bottom would be one more */
  t.n = 0;
  for (int i = 0; i < 1024; i++) say_text(&t, i < 1023 ? "{\"a\":" : "{\"z\":");
  say_text(&t, "[]");
  for (int i = 0; i < 1024; i++) say_text(&t, "}");
  CHECK_EQ(session_take(&s, t.p, t.n), RFL_EDATA);
  CHECK_STR(s.why.reason, "nested more than 1,024 deep");
  session_close(&s);
  memcpy(name + 2 * 1024 - 1, ".a", 3);
  CHECK_EQ(session_open(&s, &f, 1), RFL_ESCHEMA);
}

TEST(raw_columns_are_refused) {
  const struct rfl_field f = {.name = "bytes", .type = RFL_RAW};
  struct session s;
  CHECK_EQ(session_open(&s, &f, 1), RFL_ESCHEMA);
  CHECK(strstr(s.err.message, "`bytes`") != NULL);
}

/* ---- random records ---- */

TEST(random_records_decode_as_the_reference_says) {
  struct session s;
  struct dice d = {.seed = 5};
  static struct text t;
  CHECK_OK(session_open(&s, mixed, N_MIXED), &s.err);
  int good = 0, n = 4000;
  for (int i = 0; i < n && !harness_failed_; i++) {
    t.n = 0;
    say_record(&d, &t, mixed, N_MIXED);
    CHECK(agrees(&s, t.p, t.n));
    good += s.why.reason == NULL;
  }
  CHECK(good > n / 4 && good < n - n / 10); /* both happen often */
  session_close(&s);
}

TEST(mutated_records_decode_as_the_reference_says) {
  struct session s;
  struct dice d = {.seed = 6};
  static struct text t;
  CHECK_OK(session_open(&s, mixed, N_MIXED), &s.err);
  static const char odd[] = "\"\\{}[]:,0123456789.eE+-tfnu \n\x1f\x7f\x80\xc3\xff";
  for (int i = 0; i < 6000 && !harness_failed_; i++) {
    t.n = 0;
    say_record(&d, &t, mixed, N_MIXED);
    for (size_t k = 1 + below(&d, 3); k && t.n; k--) {
      size_t at = below(&d, t.n);
      if (below(&d, 4) == 0)
        memmove(t.p + at, t.p + at + 1, --t.n - at);
      else
        t.p[at] = odd[below(&d, sizeof odd)]; /* its NUL is one of them */
    }
    CHECK(agrees(&s, t.p, t.n));
  }
  session_close(&s);
}

TEST(every_single_byte_of_a_record_may_be_any_byte) {
  struct session s;
  char text[sizeof whole_record];
  size_t n = sizeof whole_record - 1;
  CHECK_OK(session_open(&s, mixed, N_MIXED), &s.err);
  CHECK(agrees(&s, whole_record, n));
  for (size_t at = 0; at < n && !harness_failed_; at++) {
    for (int byte = 0; byte < 256; byte += at % 8 ? 7 : 1) {
      memcpy(text, whole_record, n);
      text[at] = (char)byte;
      CHECK(agrees(&s, text, n));
    }
  }
  session_close(&s);
}

TEST(every_prefix_of_a_record_is_refused) {
  struct session s;
  CHECK_OK(session_open(&s, mixed, N_MIXED), &s.err);
  CHECK_EQ(session_take(&s, whole_record, sizeof whole_record - 1), RFL_OK);
  for (size_t n = 0; n < sizeof whole_record - 1; n++) {
    CHECK_EQ(session_take(&s, whole_record, n), RFL_EDATA);
    struct rfl_bytes prefix = {(const uint8_t *)whole_record, n};
    CHECK(rfl_json_check(prefix, NULL) != NULL);
    CHECK(s.why.at <= n);
  }
  session_close(&s);
}

TEST(what_was_before_in_the_buffer_does_not_show) {
  struct session s;
  CHECK_OK(session_open(&s, mixed, N_MIXED), &s.err);
  CHECK_EQ(session_take(&s, whole_record, sizeof whole_record - 1), RFL_OK);
  /* The rest of the number, string and record lies behind these. */
  CHECK_EQ(session_take(&s, whole_record, 5), RFL_EDATA);
  CHECK_EQ(session_take(&s, whole_record, 6), RFL_EDATA);
  CHECK_EQ(session_take_text(&s, "{\"a\":1}"), RFL_OK);
  CHECK_EQ(session_take_text(&s, "{\"user\":{\"id\":\"u"), RFL_EDATA);
  session_close(&s);
}

static enum rfl_code decode_some(void) {
  struct session s;
  RFL_TRY(session_open(&s, mixed, N_MIXED));
  enum rfl_code code = session_take(&s, whole_record, sizeof whole_record - 1);
  static struct text t;
  t.n = 0;
  say_text(&t, "{\"user\":{\"id\":\"");
  for (int i = 0; i < 500; i++) say_text(&t, "growing, ");
  say_text(&t, "\"},\"a\":3.0,\"exactly13chrs\":12}");
  if (!code) code = session_take(&s, t.p, t.n);
  session_close(&s);
  return code;
}

TEST(any_allocation_may_fail) { SWEEP(decode_some()); }

int main(void) {
  RUN(fields_come_in_any_order_and_unknown_ones_are_skipped);
  RUN(of_a_repeated_name_the_last_wins_also_when_it_is_an_object);
  RUN(a_name_with_dots_of_its_own_is_a_path);
  RUN(meta_columns_are_left_alone);
  RUN(a_bad_record_leaves_no_trace);
  RUN(objects_nest_1024_deep_and_no_more);
  RUN(raw_columns_are_refused);
  RUN(random_records_decode_as_the_reference_says);
  RUN(mutated_records_decode_as_the_reference_says);
  RUN(every_single_byte_of_a_record_may_be_any_byte);
  RUN(every_prefix_of_a_record_is_refused);
  RUN(what_was_before_in_the_buffer_does_not_show);
  RUN(any_allocation_may_fail);
  return harness_end();
}
