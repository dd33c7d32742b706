/* Rows to records: what is written, and that it reads back. */
#include "../harness.h"
#include "base/text.h"
#include "help.h"

static const struct rfl_field every_type[] = {
    {.name = "l", .type = RFL_LOGICAL},
    {.name = "deep.er.i", .type = RFL_INTEGER},
    {.name = "big", .type = RFL_INTEGER64},
    {.name = "deep.d", .type = RFL_DOUBLE},
    {.name = ".offset", .type = RFL_DOUBLE, .meta = RFL_META_OFFSET},
    {.name = "s \"quoted\"\n", .type = RFL_STRING},
    {.name = "deep.er.f", .type = RFL_FACTOR},
    {.name = "t", .type = RFL_TIMESTAMP},
    {.name = "other.day", .type = RFL_DATE},
    {.name = "d", .type = RFL_DOUBLE}};
enum { N_TYPES = sizeof every_type / sizeof *every_type };

static char *encode(struct rfl_encoder *e, const struct rfl_frame *f, uint32_t row) {
  static char text[1 << 16];
  struct rfl_buf out = {0};
  struct rfl_err err;
  CHECK_OK(e->row(e, f, row, &out, &err), &err);
  CHECK(out.n < sizeof text);
  memcpy(text, out.p, out.n);
  text[out.n] = '\0';
  rfl_buf_release(&out);
  return text;
}

/* Decodes `text`, encodes the row. */
static char *through(const struct rfl_field *f, size_t n, bool nulls, const char *text) {
  struct session s;
  struct rfl_encoder *e;
  CHECK_OK(session_open(&s, f, n), &s.err);
  CHECK_OK(rfl_json_encoder_new(s.schema, NULL, 0, nulls, &e, &s.err), &s.err);
  struct rfl_frame *row = session_row(&s, text);
  char *again = row ? encode(e, row, 0) : s.err.message;
  if (!row) CHECK_STR(s.err.message, "no error");
  rfl_frame_release(row);
  e->release(e);
  session_close(&s);
  return again;
}

TEST(a_row_is_one_object_with_one_object_for_a_prefix) {
  const char *whole =
      "{\"l\":true,\"deep\":{\"er\":{\"i\":-7,\"f\":\"x\"},\"d\":0.25},"
      "\"big\":9223372036854775807,\"s \\\"quoted\\\"\\n\":\"\\t\\u0001\\\\\xc3\xa9/\","
      "\"t\":\"2019-11-24T00:03:13.442Z\",\"other\":{\"day\":\"2019-11-24\"},\"d\":100}";
  CHECK_STR(through(every_type, N_TYPES, false, whole), whole);
  CHECK_STR(through(every_type, N_TYPES, true, whole), whole);
}

TEST(missing_values_are_left_out_or_null) {
  CHECK_STR(through(every_type, N_TYPES, false, "{}"), "{}");
  CHECK_STR(through(every_type, N_TYPES, false, "{\"deep\":{\"er\":{\"f\":\"{\"}}}"),
            "{\"deep\":{\"er\":{\"f\":\"{\"}}}");
  CHECK_STR(through(every_type, N_TYPES, false, "{\"d\":1,\"l\":false}"),
            "{\"l\":false,\"d\":1}");
  CHECK_STR(
      through(every_type, N_TYPES, true, "{\"d\":1}"),
      "{\"l\":null,\"deep\":{\"er\":{\"i\":null,\"f\":null},\"d\":null},"
      "\"big\":null,\"s \\\"quoted\\\"\\n\":null,\"t\":null,\"other\":{\"day\":null},"
      "\"d\":1}");
  CHECK_STR(through(every_type, 0, true, "{\"a\":1}"), "{}");
}

TEST(columns_are_written_in_the_order_asked_for) {
  struct session s;
  struct rfl_encoder *e = NULL;
  CHECK_OK(session_open(&s, every_type, N_TYPES), &s.err);
  struct rfl_frame *f = session_row(&s, "{\"d\":1,\"deep\":{\"d\":2,\"er\":{\"i\":3}}}");
  const size_t columns[] = {9, 3, 4, 1}, twice[] = {1, 1}, beyond[] = {N_TYPES};
  CHECK_OK(rfl_json_encoder_new(s.schema, columns, 4, false, &e, &s.err), &s.err);
  CHECK_STR(encode(e, f, 0), "{\"d\":1,\"deep\":{\"d\":2,\"er\":{\"i\":3}}}");
  e->release(e);
  CHECK_EQ(rfl_json_encoder_new(s.schema, twice, 2, false, &e, &s.err), RFL_EARGUMENT);
  CHECK_EQ(rfl_json_encoder_new(s.schema, beyond, 1, false, &e, &s.err), RFL_EARGUMENT);
  rfl_frame_release(f);
  session_close(&s);
}

TEST(a_schema_that_json_cannot_hold_is_refused) {
  const struct rfl_field raw = {.name = "bytes", .type = RFL_RAW};
  const struct rfl_field odd = {.name = "\xff", .type = RFL_INTEGER};
  struct rfl_schema *schema;
  struct rfl_encoder *e;
  struct rfl_err err;
  CHECK_OK(rfl_schema_new(&raw, 1, &schema, &err), &err);
  CHECK_EQ(rfl_json_encoder_new(schema, NULL, 0, false, &e, &err), RFL_ESCHEMA);
  rfl_schema_release(schema);
  CHECK_OK(rfl_schema_new(&odd, 1, &schema, &err), &err);
  CHECK_EQ(rfl_json_encoder_new(schema, NULL, 0, false, &e, &err), RFL_ESCHEMA);
  rfl_schema_release(schema);
}

/* The text of one double, through a frame. */
static char *double_text(double x) {
  const struct rfl_field f = {.name = "x", .type = RFL_DOUBLE};
  struct session s;
  struct rfl_encoder *e;
  CHECK_OK(session_open(&s, &f, 1), &s.err);
  CHECK_OK(rfl_json_encoder_new(s.schema, NULL, 0, false, &e, &s.err), &s.err);
  CHECK_OK(rfl_builder_open(s.builder, &s.err), &s.err);
  rfl_builder_double(s.builder, 0, x);
  rfl_builder_commit(s.builder);
  struct rfl_frame *frame = session_frame(&s);
  char *text = encode(e, frame, 0) + strlen("{\"x\":");
  text[strlen(text) - 1] = '\0';
  rfl_frame_release(frame);
  e->release(e);
  session_close(&s);
  return text;
}

TEST(doubles_are_the_shortest_text_that_reads_back) {
  static const struct {
    double x;
    const char *text;
  } table[] = {{0, "0"},
               {-0.0, "-0"},
               {0.1, "0.1"},
               {-0.001, "-0.001"},
               {0.0625, "0.0625"},
               {-12.5, "-12.5"},
               {1234567.125, "1234567.125"},
               {99.99999999, "99.99999999"},
               {1e22, "1e22"},
               {1.5e-7, "1.5e-7"},
               {9007199254740992.0, "9007199254740992.0"},
               {NAN, "null"},
               {INFINITY, "null"},
               {-INFINITY, "null"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    CHECK_STR(double_text(table[i].x), table[i].text);
}

/* The short way of the encoder against the long way of base, over decimals of all kinds,
 * their neighbours among the doubles, and doubles at random. */
TEST(the_short_way_to_print_a_double_agrees_with_the_long_one) {
  struct dice d = {.seed = 3};
  char text[RFL_DOUBLE_TEXT + 1];
  for (int i = 0; i < 6000 && !harness_failed_; i++) {
    double x = (double)(int64_t)(roll(&d) >> (13 + below(&d, 50)));
    x /= pow(10, (double)below(&d, 12));
    if (below(&d, 4) == 0) x = nextafter(x, below(&d, 2) ? 0 : INFINITY);
    if (below(&d, 2)) x = -x;
    if (fabs(x) >= 9007199254740992.0) continue; /* these get a point, see above */
    text[rfl_print_double(text, x)] = '\0';
    CHECK_STR(double_text(x), text);
  }
}

/* ---- identity ---- */

static void say_random_text(struct dice *d, struct text *t) {
  static const unsigned widest[] = {0x20, 0x7f, 0x7ff, 0xffff, 0x10ffff};
  t->n = 0;
  for (size_t n = below(d, below(d, 4) ? 12 : 70); n; n--) {
    unsigned c = 1 + (unsigned)below(d, widest[below(d, 5)]);
    bool surrogate = c >= 0xd800 && c < 0xe000;
    say_char(t, surrogate ? '"' : below(d, 15) ? c : '\\');
  }
}

static double random_double(struct dice *d) {
  double x;
  do {
    uint64_t bits = roll(d);
    memcpy(&x, &bits, sizeof x);
  } while (!isfinite(x));
  return below(d, 2) ? x : round(fmod(x, 1e6)) / 100;
}

static void set_random(struct session *s, struct dice *d, size_t c) {
  static struct text t;
  const int64_t day = INT64_C(86400000000), year0 = -719528, year9999 = 2932896;
  int64_t us = (int64_t)(roll(d) >> 1);
  int32_t sign = below(d, 2) ? 1 : -1;
  switch (s->schema->field[c].type) {
    case RFL_LOGICAL:
      rfl_builder_int(s->builder, c, (int32_t)below(d, 2));
      break;
    case RFL_INTEGER:
      rfl_builder_int(s->builder, c, sign * (int32_t)(roll(d) >> (33 + below(d, 31))));
      break;
    case RFL_INTEGER64:
      rfl_builder_long(s->builder, c, sign * (int64_t)(roll(d) >> (1 + below(d, 63))));
      break;
    case RFL_DOUBLE:
      rfl_builder_double(s->builder, c, random_double(d));
      break;
    case RFL_TIMESTAMP:
      us = year0 * day + us % ((year9999 - year0 + 1) * day);
      rfl_builder_long(s->builder, c, below(d, 2) ? us : us / 1000000 * 1000000);
      break;
    case RFL_DATE:
      rfl_builder_int(s->builder, c, (int32_t)(year0 + us % (year9999 - year0 + 1)));
      break;
    default:
      say_random_text(d, &t);
      CHECK_OK(rfl_builder_text(s->builder, c, t.p, t.n, &s->err), &s->err);
  }
}

static struct rfl_frame *random_frame(struct session *s, struct dice *d, uint32_t rows) {
  for (uint32_t i = 0; i < rows; i++) {
    CHECK_OK(rfl_builder_open(s->builder, &s->err), &s->err);
    for (size_t c = 0; c < s->schema->n; c++)
      if (!s->schema->field[c].meta && below(d, 5)) set_random(s, d, c);
    rfl_builder_commit(s->builder);
  }
  return session_frame(s);
}

static void there_and_back(bool nulls) {
  struct session s;
  struct rfl_encoder *e;
  struct dice d = {.seed = 17};
  enum { ROWS = 1500 };
  CHECK_OK(session_open(&s, every_type, N_TYPES), &s.err);
  CHECK_OK(rfl_json_encoder_new(s.schema, NULL, 0, nulls, &e, &s.err), &s.err);
  struct rfl_frame *x = random_frame(&s, &d, ROWS);
  for (uint32_t i = 0; i < ROWS && !harness_failed_; i++)
    CHECK_OK(session_take_text(&s, encode(e, x, i)), &s.err);
  struct rfl_frame *y = session_frame(&s);
  CHECK_EQ(y->n_rows, ROWS);
  for (uint32_t i = 0; i < ROWS && !harness_failed_; i++)
    for (size_t c = 0; c < s.schema->n; c++)
      if (!s.schema->field[c].meta) CHECK(same_cell(&x->column[c], i, &y->column[c], i));
  rfl_frame_release(x);
  rfl_frame_release(y);
  e->release(e);
  session_close(&s);
}

TEST(what_is_encoded_decodes_to_the_same_frame) {
  there_and_back(false);
  there_and_back(true);
}

TEST(rows_are_appended_and_a_failure_takes_nothing) {
  struct session s;
  struct rfl_encoder *e;
  struct rfl_buf out = {0};
  CHECK_OK(session_open(&s, every_type, N_TYPES), &s.err);
  CHECK_OK(rfl_json_encoder_new(s.schema, NULL, 0, false, &e, &s.err), &s.err);
  struct rfl_frame *f = session_row(&s, "{\"l\":true}");
  rfl_buf_text(&out, "{");
  CHECK_OK(e->row(e, f, 0, &out, &s.err), &s.err);
  CHECK_OK(e->row(e, f, 0, &out, &s.err), &s.err);
  CHECK(out.n == 21 && memcmp(out.p, "{{\"l\":true}{\"l\":true}", 21) == 0);
  rfl_buf_release(&out);
  rfl_frame_release(f);
  e->release(e);
  session_close(&s);
}

static enum rfl_code encode_some(const struct rfl_frame *f) {
  struct rfl_encoder *e;
  struct rfl_err err;
  RFL_TRY(rfl_json_encoder_new(f->schema, NULL, 0, true, &e, &err));
  struct rfl_buf out = {0};
  enum rfl_code code = RFL_OK;
  for (uint32_t i = 0; !code && i < f->n_rows; i++) {
    size_t before = out.n;
    code = e->row(e, f, i, &out, &err);
    if (code) CHECK_EQ(out.n, before);
  }
  rfl_buf_release(&out);
  e->release(e);
  return code;
}

TEST(any_allocation_may_fail) {
  struct session s;
  struct dice d = {.seed = 2};
  CHECK_OK(session_open(&s, every_type, N_TYPES), &s.err);
  struct rfl_frame *f = random_frame(&s, &d, 30);
  SWEEP(encode_some(f));
  rfl_frame_release(f);
  session_close(&s);
}

int main(void) {
  RUN(a_row_is_one_object_with_one_object_for_a_prefix);
  RUN(missing_values_are_left_out_or_null);
  RUN(columns_are_written_in_the_order_asked_for);
  RUN(a_schema_that_json_cannot_hold_is_refused);
  RUN(doubles_are_the_shortest_text_that_reads_back);
  RUN(the_short_way_to_print_a_double_agrees_with_the_long_one);
  RUN(what_is_encoded_decodes_to_the_same_frame);
  RUN(rows_are_appended_and_a_failure_takes_nothing);
  RUN(any_allocation_may_fail);
  return harness_end();
}
