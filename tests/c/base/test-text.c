#include "base/text.h"

#include <time.h>

#include "base/random.h"
#include "harness.h"

static const int64_t DAY_US = INT64_C(86400000000);
static const int32_t YEAR_0 = -719528, YEAR_10000 = 2932897; /* days of 0000-01-01, ... */

/* The instant in the whole of `text`, read from a block of exactly its size. */
static bool instant(const char *text, int64_t *us) {
  size_t n = strlen(text);
  char *block = malloc(n ? n : 1);
  memcpy(block, text, n);
  bool whole = rfl_parse_instant(block, block + n, us) == block + n;
  free(block);
  return whole;
}

static bool date(const char *text, int32_t *days) {
  size_t n = strlen(text);
  char *block = malloc(n ? n : 1);
  memcpy(block, text, n);
  bool whole = rfl_parse_date(block, block + n, days) == block + n;
  free(block);
  return whole;
}

TEST(dates_that_everybody_knows) {
  static const struct {
    const char *text;
    int32_t days;
  } known[] = {{"1970-01-01", 0},       {"1969-12-31", -1},      {"2000-02-29", 11016},
               {"2000-03-01", 11017},   {"1900-02-28", -25509},  {"1900-03-01", -25508},
               {"0000-01-01", -719528}, {"9999-12-31", 2932896}, {"2019-11-24", 18224}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    int32_t days = 1;
    CHECK(date(known[i].text, &days));
    CHECK_EQ(days, known[i].days);
    char text[RFL_DOUBLE_TEXT + 1];
    text[rfl_print_date(text, known[i].days)] = '\0';
    CHECK_STR(text, known[i].text);
  }
}

TEST(every_day_of_ten_thousand_years_reads_back) {
  char last[RFL_DOUBLE_TEXT] = "";
  for (int32_t day = YEAR_0; day < YEAR_10000; day++) {
    char text[RFL_DOUBLE_TEXT];
    int32_t back = 1;
    CHECK_EQ(rfl_print_date(text, day), 10);
    CHECK(rfl_parse_date(text, text + 10, &back) == text + 10);
    CHECK_EQ(back, day);
    CHECK(memcmp(last, text, 10) < 0); /* text sorts as days do */
    memcpy(last, text, 10);
  }
}

/* The C library is the oracle for the calendar. */
TEST(days_agree_with_gmtime) {
  for (uint64_t i = 0; i < 20000; i++) {
    int64_t us = (int64_t)(rfl_uniform(1, 1, i) * 2.5e17) + YEAR_0 * DAY_US;
    time_t second = (time_t)(us / 1000000 - (us % 1000000 < 0));
    struct tm t;
    gmtime_r(&second, &t);
    char theirs[80], mine[RFL_DOUBLE_TEXT + 1];
    snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
             t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
             (int)(us - (int64_t)second * 1000000));
    mine[rfl_print_instant(mine, us)] = '\0';
    CHECK_STR(mine, theirs);
    int64_t back = 0;
    CHECK(instant(mine, &back) && back == us);
  }
}

TEST(days_that_do_not_exist_are_refused) {
  static const char *const bad[] = {
      "2019-02-29", "1900-02-29", "2100-02-29", "2019-04-31", "2019-00-10", "2019-13-10",
      "2019-01-00", "2019-01-32", "2019-1-1",   "2019/01/01", "19-01-01",   "",
      "2019-01-0",  "2019-01-0x", "-019-01-01", "+2019-01-1", "2019-01",    "20190101"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int32_t days = 42;
    CHECK(!date(bad[i], &days) && days == 42);
  }
  int32_t days;
  CHECK(date("2000-02-29", &days) && date("2400-02-29", &days));
}

TEST(instants_in_all_their_spellings) {
  static const struct {
    const char *text;
    int64_t us;
  } known[] = {{"1970-01-01T00:00:00Z", 0},
               {"1970-01-01T00:00:00", 0},
               {"1970-01-01 00:00:00z", 0},
               {"1970-01-01t00:00:01.5Z", 1500000},
               {"2019-11-24T00:03:13.442536Z", INT64_C(1574553793442536)},
               {"2019-11-24 00:03:13.442536789Z", INT64_C(1574553793442536)},
               {"2019-11-24T01:03:13.442536+01:00", INT64_C(1574553793442536)},
               {"2019-11-23T18:33:13.442536-0530", INT64_C(1574553793442536)},
               {"2019-11-24T01:03:13.442536+01", INT64_C(1574553793442536)},
               {"1969-12-31T23:59:59.999999Z", -1},
               {"1969-12-31T23:59:59.9999999Z", -1},
               {"1969-12-31T23:59:59Z", -1000000},
               {"1970-01-01T00:00:00.0000001", 0},
               {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)}, /* a leap second */
               {"0000-01-01T00:00:00Z", INT64_C(-62167219200000000)},
               {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    int64_t us = 42;
    CHECK(instant(known[i].text, &us));
    CHECK_EQ(us, known[i].us);
  }
}

TEST(what_is_not_an_instant_is_refused) {
  static const char *const bad[] = {"",
                                    "2019-11-24",
                                    "2019-11-24T",
                                    "2019-11-24T00:03",
                                    "2019-11-24T00:03:1",
                                    "2019-11-24X00:03:13Z",
                                    "2019-11-24T24:00:00Z",
                                    "2019-11-24T00:60:00Z",
                                    "2019-11-24T00:00:61Z",
                                    "2019-11-24T00:00:00.Z",
                                    "2019-11-24T00:00:00+1",
                                    "2019-11-24T00:00:00+24:00",
                                    "2019-11-24T00:00:00+01:60",
                                    "2019-11-24T00:00:00+01:0",
                                    "2019-11-24T00:00:00+01:",
                                    "2019-11-24T00:00:00+010",
                                    "2019-11-24T00-00-00Z",
                                    "2019-02-30T00:00:00Z"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int64_t us = 42;
    CHECK(!instant(bad[i], &us) && us == 42);
  }
}

TEST(an_instant_ends_where_its_grammar_ends) {
  static const char text[] = "2019-11-24T00:00:00Z,7";
  int64_t us;
  CHECK(rfl_parse_instant(text, text + sizeof text - 1, &us) == text + 20);
  CHECK(rfl_parse_instant(text, text + 19, &us) == text + 19);
}

TEST(instants_of_any_year_fit_their_text) {
  static const struct {
    int64_t us;
    const char *text;
  } known[] = {{INT64_MAX, "+294247-01-10T04:00:54.775807Z"},
               {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
               {INT64_C(253402300800000000), "+10000-01-01T00:00:00.000000Z"},
               {INT64_C(-62167219200000001), "-0001-12-31T23:59:59.999999Z"}};
  for (size_t i = 0; i < 4; i++) {
    char text[RFL_DOUBLE_TEXT + 1];
    size_t n = rfl_print_instant(text, known[i].us);
    CHECK(n <= RFL_DOUBLE_TEXT);
    text[n] = '\0';
    CHECK_STR(text, known[i].text);
  }
  char text[RFL_DOUBLE_TEXT + 1];
  text[rfl_print_date(text, INT32_MAX)] = '\0';
  CHECK_STR(text, "+5881580-07-11");
}

/* The definition, from the code points: encode all of them, and nothing else is valid. */
static size_t encode(uint32_t c, char *to) {
  uint8_t *p = (uint8_t *)to;
  if (c < 0x80) {
    p[0] = (uint8_t)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, c >>= 6) p[i] = (uint8_t)(0x80 | (c & 0x3f));
  p[0] = (uint8_t)(c | (n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0));
  return n;
}

TEST(utf8_is_every_code_point_but_surrogates) {
  for (uint32_t c = 0; c < 0x120000; c++) {
    char text[4];
    size_t n = encode(c, text);
    bool valid = c < 0x110000 && !(c >= 0xd800 && c < 0xe000);
    CHECK(rfl_utf8_valid(text, n) == valid);
    if (n > 1) CHECK(!rfl_utf8_valid(text, n - 1));
  }
}

TEST(utf8_has_no_overlong_forms) {
  static const char *const bad[] = {
      "\xc0\x80", "\xc1\xbf",         "\xe0\x80\x80",     "\xe0\x9f\xbf",
      "\x80",     "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xff",
      "\xfe",     "\xf5\x80\x80\x80", "\xc3\xa9\xa9",     "\xe2\x82"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    for (size_t before = 0; before < 20; before++) { /* behind the fast path, or not */
      char text[40];
      memset(text, 'x', sizeof text);
      memcpy(text + before, bad[i], strlen(bad[i]));
      CHECK(!rfl_utf8_valid(text, before + strlen(bad[i])));
      CHECK(rfl_utf8_valid(text, before));
    }
  CHECK(rfl_utf8_valid("", 0));
}

TEST(a_prefix_ends_at_a_whole_character) {
  static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8az";
  static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
  for (size_t n = 0; n <= 11; n++) CHECK_EQ(rfl_utf8_prefix(text, n), whole[n]);
}

int main(void) {
  RUN(dates_that_everybody_knows);
  RUN(every_day_of_ten_thousand_years_reads_back);
  RUN(days_agree_with_gmtime);
  RUN(days_that_do_not_exist_are_refused);
  RUN(instants_in_all_their_spellings);
  RUN(what_is_not_an_instant_is_refused);
  RUN(an_instant_ends_where_its_grammar_ends);
  RUN(instants_of_any_year_fit_their_text);
  RUN(utf8_is_every_code_point_but_surrogates);
  RUN(utf8_has_no_overlong_forms);
  RUN(a_prefix_ends_at_a_whole_character);
  return harness_end();
}
