/* One value in one column: what is taken, as what, and with which words it is refused. */
#include "../harness.h"
#include "base/text.h"
#include "help.h"

/* The frame of the record {"x": <value>} with x of a type; NULL: *reason tells. */
static struct rfl_frame *take_unit(enum rfl_type type, int32_t per_second,
                                   const char *value, const char **reason) {
  struct rfl_field x = {.name = "x", .type = type, .per_second = per_second};
  struct session s;
  static char text[4096];
  snprintf(text, sizeof text, "{\"x\": %s}", value);
  *reason = "";
  if (session_open(&s, &x, 1)) return NULL;
  struct rfl_frame *f = session_row(&s, text);
  if (!f) *reason = s.why.reason ? s.why.reason : "no reason";
  if (!f) CHECK_EQ(s.why.column, 0);
  session_close(&s);
  return f;
}

static struct rfl_frame *take(enum rfl_type type, const char *value,
                              const char **reason) {
  return take_unit(type, 0, value, reason);
}

static void gives_int(enum rfl_type type, const char *value, int64_t expected) {
  const char *reason;
  struct rfl_frame *f = take(type, value, &reason);
  CHECK_STR(reason, "");
  if (!f) return;
  CHECK(rfl_column_has(&f->column[0], 0));
  bool wide = type == RFL_INTEGER64 || type == RFL_TIMESTAMP;
  CHECK_EQ(wide ? f->column[0].i64[0] : f->column[0].i32[0], expected);
  rfl_frame_release(f);
}

static void gives_text(enum rfl_type type, const char *value, const char *expected) {
  const char *reason;
  struct rfl_frame *f = take(type, value, &reason);
  CHECK_STR(reason, "");
  if (!f) return;
  struct rfl_bytes text = cell_text(&f->column[0], 0);
  CHECK_EQ(text.n, strlen(expected));
  CHECK(text.n == strlen(expected) && memcmp(text.p, expected, text.n) == 0);
  rfl_frame_release(f);
}

static void refuses(enum rfl_type type, const char *value, const char *why) {
  const char *reason;
  struct rfl_frame *f = take(type, value, &reason);
  CHECK(f == NULL);
  rfl_frame_release(f);
  if (strcmp(reason, why) != 0) printf("# %s\n", value);
  CHECK_STR(reason, why);
}

static const char *const too_large = "too large for integer: use double or integer64";
static const char *const too_large64 = "too large for integer64: use double or string";
static const char *const inexact =
    "integer not exact as double: declare it string or integer64";

TEST(integers_are_numbers_without_a_fraction_in_range) {
  static const struct {
    const char *value;
    int64_t x;
  } good[] = {{"0", 0},
              {"-0", 0},
              {"-0.000", 0},
              {"0e99999999999999999999", 0},
              {"7", 7},
              {"-7", -7},
              {"5.0", 5},
              {"1e2", 100},
              {"1E+2", 100},
              {"1.2300e3", 1230},
              {"120e-1", 12},
              {"1000000000000e-12", 1},
              {"0.0000000000000000000000000000000007e34", 7},
              {"12345678", 12345678},
              {"123456789", 123456789},
              {"2147483647", INT32_MAX},
              {"-2147483647", -INT32_MAX}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    gives_int(RFL_INTEGER, good[i].value, good[i].x);
    gives_int(RFL_INTEGER64, good[i].value, good[i].x);
  }
  static const char *const large[] = {"2147483648",           "-2147483648",
                                      "4294967297",           "1e10",
                                      "18446744073709551617", "1e400",
                                      "-9999999999999999",    "1e99999999999999999999"};
  for (size_t i = 0; i < sizeof large / sizeof *large; i++)
    refuses(RFL_INTEGER, large[i], too_large);
  refuses(RFL_INTEGER, "1.5", "expected an integer");
  refuses(RFL_INTEGER, "1e-1", "expected an integer");
  refuses(RFL_INTEGER, "1e-99999999999999999999", "expected an integer");
  refuses(RFL_INTEGER, "100000000000000000000.5", "expected an integer");
  refuses(RFL_INTEGER, "\"7\"", "expected an integer");
  refuses(RFL_INTEGER, "true", "expected an integer");
  refuses(RFL_INTEGER, "[7]", "expected an integer");
  refuses(RFL_INTEGER, "{}", "expected an integer");
}

TEST(integer64_is_exact_up_to_its_ends) {
  gives_int(RFL_INTEGER64, "9223372036854775807", INT64_MAX);
  gives_int(RFL_INTEGER64, "-9223372036854775807", -INT64_MAX);
  gives_int(RFL_INTEGER64, "9007199254740993", 9007199254740993);
  gives_int(RFL_INTEGER64, "922337203685477580.7e1", INT64_MAX);
  gives_int(RFL_INTEGER64, "999999999999999", 999999999999999);
  gives_int(RFL_INTEGER64, "1000000000000000", 1000000000000000);
  refuses(RFL_INTEGER64, "9223372036854775808", too_large64);
  refuses(RFL_INTEGER64, "-9223372036854775808", too_large64); /* R's NA */
  refuses(RFL_INTEGER64, "18446744073709551616", too_large64);
  refuses(RFL_INTEGER64, "1e19", too_large64);
  refuses(RFL_INTEGER64, "9223372036854775807.5", "expected an integer");
}

static void gives_double(const char *value, double expected) {
  const char *reason;
  struct rfl_frame *f = take(RFL_DOUBLE, value, &reason);
  if (*reason) printf("# %s\n", value);
  CHECK_STR(reason, "");
  if (!f) return;
  if (memcmp(&f->column[0].f64[0], &expected, sizeof expected) != 0)
    printf("# %s: %.17g\n", value, f->column[0].f64[0]);
  CHECK(memcmp(&f->column[0].f64[0], &expected, sizeof expected) == 0);
  rfl_frame_release(f);
}

/* The C library's strtod() is the oracle: glibc's and macOS's round correctly. */
TEST(doubles_are_correctly_rounded) {
  static const char *const table[] = {"0",
                                      "-0",
                                      "-0.0",
                                      "0.1",
                                      "-12.5",
                                      "3.14159265358979",
                                      "3.141592653589793",
                                      "3.1415926535897932384626433832795028841971",
                                      "123456789012345",
                                      "1234567.89012345",
                                      "0.000000000000001",
                                      "9007199254740991",
                                      "9007199254740992",
                                      "9007199254740994",
                                      "1e22",
                                      "1e23",
                                      "8.5e-323",
                                      "4.9e-324",
                                      "2.4703282292062327e-324",
                                      "2.4703282292062328e-324",
                                      "1e-400",
                                      "1.7976931348623157e308",
                                      "179769313486231570e291",
                                      "2.2250738585072011e-308",
                                      "6.02214076e+23",
                                      "9007199254740993.0",
                                      "1e-5",
                                      "36028797018963968",
                                      "0.3e1"};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    gives_double(table[i], strtod(table[i], NULL));
  /* 2^65 as a plain integer is exactly a double, 10^23 is not. */
  gives_double("36893488147419103232", 36893488147419103232.0);
  refuses(RFL_DOUBLE, "100000000000000000000000", inexact);
  refuses(RFL_DOUBLE, "9007199254740993", inexact);
  refuses(RFL_DOUBLE, "-9007199254740993", inexact);
  refuses(RFL_DOUBLE, "1e400", "number too large");
  refuses(RFL_DOUBLE, "-1e400", "number too large");
  refuses(RFL_DOUBLE, "1.7976931348623159e308", "number too large");
  refuses(RFL_DOUBLE, "\"1\"", "expected a number");
  refuses(RFL_DOUBLE, "false", "expected a number");
}

/* All shapes around the ends of the fast path: digits before and after the point. */
TEST(doubles_of_every_length_are_what_strtod_reads) {
  struct dice d = {.seed = 11};
  char text[64];
  for (int i = 0; i < 20000; i++) {
    size_t whole = 1 + below(&d, 19), places = below(&d, 20), n = 0;
    if (below(&d, 4) == 0) text[n++] = '-';
    text[n++] = (char)(whole > 1 ? '1' + below(&d, 9) : '0' + below(&d, 10));
    for (size_t k = 1; k < whole; k++) text[n++] = (char)('0' + below(&d, 10));
    text[n++] = '.';
    for (size_t k = 0; k <= places; k++) text[n++] = (char)('0' + below(&d, 10));
    if (below(&d, 5) == 0)
      n += (size_t)snprintf(text + n, 8, "e%d", (int)below(&d, 60) - 30);
    text[n] = '\0';
    gives_double(text, strtod(text, NULL));
  }
}

TEST(what_is_no_number_is_refused_by_name) {
  static const enum rfl_type types[] = {RFL_INTEGER, RFL_INTEGER64, RFL_DOUBLE,
                                        RFL_STRING,  RFL_FACTOR,    RFL_TIMESTAMP};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    refuses(types[i], "01", "a number that begins with 0");
    refuses(types[i], "-01", "a number that begins with 0");
    refuses(types[i], "00000000000000001", "a number that begins with 0");
    refuses(types[i], "1.", "expected a digit");
    refuses(types[i], "1.e5", "expected a digit");
    refuses(types[i], "-", "expected a digit");
    refuses(types[i], "-a", "expected a digit");
    refuses(types[i], "1e", "an exponent without digits");
    refuses(types[i], ".5", "expected a value");
    refuses(types[i], "+5", "expected a value");
    refuses(types[i], "NaN", "expected a value");
    refuses(types[i], "Infinity", "expected a value");
    refuses(types[i], "nul", "expected a value");
  }
}

TEST(logicals_are_words_only) {
  gives_int(RFL_LOGICAL, "true", 1);
  gives_int(RFL_LOGICAL, "false", 0);
  refuses(RFL_LOGICAL, "1", "expected true or false");
  refuses(RFL_LOGICAL, "0", "expected true or false");
  refuses(RFL_LOGICAL, "\"true\"", "expected true or false");
  refuses(RFL_LOGICAL, "[]", "expected true or false");
  refuses(RFL_LOGICAL, "True", "expected a value");
}

TEST(null_is_missing_in_every_type) {
  for (int type = 0; type < RFL_RAW; type++) {
    const char *reason;
    struct rfl_frame *f = take((enum rfl_type)type, "null", &reason);
    CHECK_STR(reason, "");
    CHECK(f && !rfl_column_has(&f->column[0], 0));
    rfl_frame_release(f);
  }
}

TEST(strings_lose_their_escapes_and_nothing_else) {
  static const struct {
    const char *value, *text;
  } table[] = {{"\"\"", ""},
               {"\"a\"", "a"},
               {"\"sixteen bytes...\"", "sixteen bytes..."},
               {"\"a text of more than thirty-two bytes, for the long levels\"",
                "a text of more than thirty-two bytes, for the long levels"},
               {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
               {"\"\\u0041\\u00e9\\u20ac\\ud834\\uDD1E.\"",
                "A\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e."},
               {"\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\"",
                "\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e"},
               {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"},
               {"\"\\uFFFF\"", "\xef\xbf\xbf"},
               {"\"\x7f\"", "\x7f"},
               {"\"{\\\"a\\\":[1]}\"", "{\"a\":[1]}"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    gives_text(RFL_STRING, table[i].value, table[i].text);
    gives_text(RFL_FACTOR, table[i].value, table[i].text);
  }
  static const struct {
    const char *value, *why;
  } bad[] = {{"\"\\ud800\"", "a lone surrogate"},
             {"\"\\ud800x\"", "a lone surrogate"},
             {"\"\\ud800\\n\"", "a lone surrogate"},
             {"\"\\ud800\\u0041\"", "a lone surrogate"},
             {"\"\\ud800\\ue000\"", "a lone surrogate"},
             {"\"\\udc00\\ud800\"", "a lone surrogate"},
             {"\"\\u00g0\"", "expected four hexadecimal digits"},
             {"\"\\U0041\"", "an escape that is none"},
             {"\"a\tb\"", "a control character in a string"},
             {"\"\xff\"", "not UTF-8"},
             {"\"\xc0\x80\"", "not UTF-8"},
             {"\"\xed\xa0\x80\"", "not UTF-8"},
             {"\"\xe2\x82\"", "not UTF-8"},
             {"\"\\u0000\"", "a NUL inside a string"},
             {"\"a\\u0000b\"", "a NUL inside a string"},
             {"[\"a\"]", "expected a string"},
             {"{\"a\":1}", "expected a string"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    refuses(RFL_STRING, bad[i].value, bad[i].why);
    refuses(RFL_FACTOR, bad[i].value, bad[i].why);
  }
  refuses(RFL_TIMESTAMP, "\"a\\u0000\"", "a NUL inside a string");
  refuses(RFL_INTEGER, "\"a\\u0000\"", "a NUL inside a string");
}

TEST(numbers_and_words_in_text_columns_are_their_canonical_text) {
  static const struct {
    const char *value, *text;
  } table[] = {{"7", "7"},
               {"7.0", "7"},
               {"70e-1", "7"},
               {"-0", "0"},
               {"1e2", "100"},
               {"1.50", "1.5"},
               {"15e-1", "1.5"},
               {"0.1", "0.1"},
               {"-2.5E0", "-2.5"},
               {"true", "true"},
               {"false", "false"},
               {"12345678901234567890123", "12345678901234567890123"},
               {"-9223372036854775808", "-9223372036854775808"},
               {"123456789012345678.0", "123456789012345678"},
               {"0.12345678901234567890", "0.12345678901234567890"},
               {"1e400", "1e400"},
               {"1e-400", "1e-400"},
               {"1e300", "1e300"},
               {"1000e297", "1e300"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    gives_text(RFL_STRING, table[i].value, table[i].text);
    gives_text(RFL_FACTOR, table[i].value, table[i].text);
  }
}

static void instant(int32_t per_second, const char *value, int64_t us) {
  const char *reason;
  struct rfl_frame *f = take_unit(RFL_TIMESTAMP, per_second, value, &reason);
  CHECK_STR(reason, "");
  if (f) CHECK_EQ(f->column[0].i64[0], us);
  rfl_frame_release(f);
}

TEST(instants_are_text_or_numbers_in_the_units_of_the_field) {
  instant(0, "\"1970-01-01T00:00:01Z\"", 1000000);
  instant(0, "\"2019-11-24T00:03:13.442536Z\"", 1574553793442536);
  instant(0, "\"2019-11-24 01:03:13.442536+01:00\"", 1574553793442536);
  instant(0, "\"1970-01-01T00\\u003a00:01Z\"", 1000000);
  instant(0, "1712345678901", 1712345678901000);
  instant(1000, "1712345678901.25", 1712345678901250);
  instant(1, "1712345678", 1712345678000000);
  instant(1, "1712345678.901", 1712345678901000);
  instant(1, "1.7123456789019999e9", 1712345678901999); /* below 1 us is cut */
  instant(1, "-0.0000001", -1);
  instant(1, "-1.5", -1500000);
  instant(1000000, "1712345678901234", 1712345678901234);
  const char *const what = "expected an instant: RFC 3339 text or a number";
  refuses(RFL_TIMESTAMP, "\"2019-11-24\"", what);
  refuses(RFL_TIMESTAMP, "\"2019-11-24T00:00:00Zx\"", what);
  refuses(RFL_TIMESTAMP, "\"2019-02-29T00:00:00Z\"", what);
  refuses(RFL_TIMESTAMP, "true", what);
  refuses(RFL_TIMESTAMP, "[1]", what);
  refuses(RFL_TIMESTAMP, "9223372036854776", "too large for an instant");
  refuses(RFL_TIMESTAMP, "1e400", "too large for an instant");
}

TEST(dates_are_iso_text) {
  gives_int(RFL_DATE, "\"1970-01-02\"", 1);
  gives_int(RFL_DATE, "\"2019-11-24\"", 18224);
  gives_int(RFL_DATE, "\"1969-12-31\"", -1);
  refuses(RFL_DATE, "\"2019-02-29\"", "expected a date like 2019-11-24");
  refuses(RFL_DATE, "\"2019-11-24T00:00:00Z\"", "expected a date like 2019-11-24");
  refuses(RFL_DATE, "18224", "expected a date like 2019-11-24");
  refuses(RFL_DATE, "false", "expected a date like 2019-11-24");
}

TEST(a_fault_names_column_and_byte) {
  const struct rfl_field f[] = {
      {.name = "a", .type = RFL_INTEGER},
      {.name = ".offset", .type = RFL_DOUBLE, .meta = RFL_META_OFFSET},
      {.name = "b.c", .type = RFL_DOUBLE}};
  struct session s;
  CHECK_OK(session_open(&s, f, 3), &s.err);
  const char *text = "{\"a\":1,\"z\":[0],\"b\":{\"c\":\"no\"}}";
  CHECK_EQ(session_take_text(&s, text), RFL_EDATA);
  CHECK_EQ(s.why.column, 2);
  CHECK_EQ(s.why.at, 24);
  CHECK_STR(s.err.message, "field `b.c`, byte 24: expected a number");
  text = "{\"a\":1,\"z\":[0,],\"b\":{\"c\":\"no\"}}";
  CHECK_EQ(session_take_text(&s, text), RFL_EDATA);
  CHECK_EQ(s.why.column, -1);
  CHECK_EQ(s.why.at, 14);
  CHECK_STR(s.err.message, "byte 14: expected a value");
  text = "{\"b\":3}";
  CHECK_EQ(session_take_text(&s, text), RFL_EDATA);
  CHECK_EQ(s.why.column, 2);
  CHECK_STR(s.why.reason, "expected an object");
  session_close(&s);
}

int main(void) {
  RUN(integers_are_numbers_without_a_fraction_in_range);
  RUN(integer64_is_exact_up_to_its_ends);
  RUN(doubles_are_correctly_rounded);
  RUN(doubles_of_every_length_are_what_strtod_reads);
  RUN(what_is_no_number_is_refused_by_name);
  RUN(logicals_are_words_only);
  RUN(null_is_missing_in_every_type);
  RUN(strings_lose_their_escapes_and_nothing_else);
  RUN(numbers_and_words_in_text_columns_are_their_canonical_text);
  RUN(instants_are_text_or_numbers_in_the_units_of_the_field);
  RUN(dates_are_iso_text);
  RUN(a_fault_names_column_and_byte);
  return harness_end();
}
