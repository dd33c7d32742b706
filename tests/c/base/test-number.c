#include <float.h>
#include <locale.h>

#include "base/random.h"
#include "base/text.h"
#include "harness.h"

static uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static double random_double(uint64_t i) {
  uint64_t bits = rfl_random(11, 0, i);
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* The whole of `text` as a number; a block of exactly its size shows reads past it. */
static bool parse(const char *text, double *x) {
  size_t n = strlen(text);
  char *block = malloc(n ? n : 1);
  memcpy(block, text, n);
  const char *end = rfl_parse_double(block, block + n, x);
  bool whole = end == block + n;
  free(block);
  return whole;
}

/* The C library is the oracle: its strtod() rounds correctly. The tests run in the C
 * locale, but for the one that is about locales. */
static void check_against_strtod(const char *text) {
  double x = -1;
  CHECK(parse(text, &x));
  double expected = strtod(text, NULL);
  if (bits_of(x) != bits_of(expected)) CHECK_STR(text, "rounded like strtod()");
}

TEST(numbers_of_the_json_grammar_are_read) {
  static const char *const good[] = {
      "0",       "-0",          "0.0",    "-0.0e0", "1",         "12",        "-1.5",
      "1e5",     "1E5",         "1e+5",   "1e-5",   "0.1",       "0e7",       "1.25e-3",
      "1e00007", "123456789.5", "0.3e-0", "1e23",   "1.0000000", "100000000", "4.35"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) check_against_strtod(good[i]);
  double x;
  CHECK(parse("-0", &x) && x == 0 && signbit(x));
}

TEST(other_spellings_are_not_numbers) {
  static const char *const bad[] = {"",    "-",   "+1",  ".5",  "5.",   "-.5", "01",
                                    "-01", "00",  "1e",  "1e+", "1.e5", "e5",  "NaN",
                                    "Inf", "nan", "--1", " 1",  "0x10", "1,5", "1.-5"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    double x = 42;
    CHECK(!parse(bad[i], &x));
  }
  static const char *const none[] = {"", "-", "01", "5.", "1e", ".5", "-.5", "+1"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    double x = 42;
    CHECK(rfl_parse_double(none[i], none[i] + strlen(none[i]), &x) == NULL);
    CHECK(x == 42);
  }
}

TEST(a_number_ends_where_its_grammar_ends) {
  double x;
  static const char text[] = "12.5,7";
  CHECK(rfl_parse_double(text, text + 6, &x) == text + 4 && x == 12.5);
  CHECK(rfl_parse_double(text, text + 2, &x) == text + 2 && x == 12);
  int64_t i;
  bool fits;
  CHECK(rfl_parse_int64(text, text + 6, &i, &fits) == text + 2 && i == 12 && fits);
}

TEST(extremes_round_to_zero_and_infinity) {
  static const char *const extremes[] = {
      "1.7976931348623157e308",
      "1.7976931348623158e308",
      "1.7976931348623159e308",
      "179769313486231580793e289",
      "2e308",
      "1e309",
      "1e400",
      "-1e400",
      "1e99999999999",
      "4.9e-324",
      "5e-324",
      "2.4703282292062327e-324",
      "2.4703282292062328e-324",
      "2.5e-324",
      "1e-400",
      "-1e-400",
      "1e-99999999999999999999",
      "0e99999999999999999",
      "2.2250738585072014e-308",
      "2.2250738585072011e-308",
      "2.225073858507201e-308",
      "9999999999999999999e-343",
      "9999999999999999999e-342",
      "1e-342",
      "1e324",
      "0.000000000000000000000000000000000000000000000000000000000001e60",
      "9223372036854775807.5e-1",
      "18446744073709551615",
      "9007199254740993",
      "9007199254740993.0000000000000000000000000000000000000000000000001"};
  for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++)
    check_against_strtod(extremes[i]);
}

TEST(decimals_of_any_length_round_like_strtod) {
  for (uint64_t i = 0; i < 200000; i++) {
    char text[80];
    int n = 0, digits = 1 + (int)(rfl_random(1, i, 0) % 40);
    int point = (int)(rfl_random(1, i, 1) % (uint64_t)(digits + 1));
    for (int d = 0; d < digits; d++) {
      if (d == point && d > 0) text[n++] = '.';
      text[n++] = (char)('0' + (d == 0 ? 1 + rfl_random(1, i, 2) % 9
                                       : rfl_random(1, i, 3 + (uint64_t)d) % 10));
    }
    int spread = i % 4 ? 40 : 700;
    int exponent = (int)(rfl_random(1, i, 99) % (uint64_t)spread) - spread / 2;
    snprintf(text + n, sizeof text - (size_t)n, "e%d", exponent);
    check_against_strtod(text);
  }
}

/* Written out in full, the middle of two doubles has up to 767 digits. It rounds to the
 * even neighbour; a digit more, however far behind, tips it. long double holds the middle
 * exactly where it has 54 bits. */
TEST(the_middle_of_two_doubles_goes_to_the_even_one) {
  if (LDBL_MANT_DIG <= DBL_MANT_DIG) SKIP("long double is double here");
  static char text[3600]; /* 309 digits, a point, 1,120 digits; 1,001 more */
  for (uint64_t i = 0; i < 3000; i++) {
    double x = fabs(random_double(i));
    if (i % 3 == 0) x = ldexp(1 + rfl_uniform(1, i, 0), (int)(i % 100) - 50);
    if (i % 3 == 1) x = ldexp((double)(rfl_random(1, i, 1) >> 20), -1074); /* subnormal */
    double next = nextafter(x, INFINITY);
    if (!isfinite(x) || !isfinite(next)) continue;
    long double middle = ((long double)x + (long double)next) / 2;
    int n = snprintf(text, sizeof text - 1100, "%.1120Lf", middle);
    double y = 0;
    CHECK(parse(text, &y));
    CHECK(bits_of(y) == (bits_of(x) & 1 ? bits_of(next) : bits_of(x)));
    check_against_strtod(text);
    memset(text + n, '0', 1000);
    memcpy(text + n + 1000, "1", 2);
    CHECK(parse(text, &y));
    CHECK(bits_of(y) == bits_of(next));
    text[n] = '\0';
    char *digit = text + n - 1; /* one less at the last digit, with borrowing */
    for (; *digit == '0' || *digit == '.'; digit--)
      if (*digit == '0') *digit = '9';
    --*digit;
    CHECK(parse(text, &y));
    CHECK(bits_of(y) == bits_of(x));
  }
}

TEST(a_million_doubles_read_back_as_they_were_printed) {
  for (uint64_t i = 0; i < 1000000; i++) {
    double x = i % 2 ? random_double(i) : rfl_uniform(5, 1, i), y = 0;
    if (!isfinite(x)) continue;
    char text[RFL_DOUBLE_TEXT];
    size_t n = rfl_print_double(text, x);
    CHECK(n <= sizeof text);
    CHECK(rfl_parse_double(text, text + n, &y) == text + n);
    CHECK(bits_of(x) == bits_of(y));
  }
}

/* The digits without point, leading and trailing zeros. */
static int significant(const char *text, size_t n, char *digits) {
  int k = 0;
  for (size_t i = 0; i < n && text[i] != 'e'; i++)
    if (text[i] >= '0' && text[i] <= '9' && (k > 0 || text[i] != '0'))
      digits[k++] = text[i];
  while (k > 0 && digits[k - 1] == '0') k--;
  digits[k] = '\0';
  return k;
}

/* The least precision at which printf() reads back gives the shortest digits, and printf
 * rounds to the nearest of that length. Not so at a power of two, whose interval reaches
 * further up than down: there a text can read back that is not the nearest of its length,
 * and be shorter than any that printf() can offer. */
static void check_shortest(double x, bool power_of_two) {
  char text[RFL_DOUBLE_TEXT], mine[40], theirs[40], shown[40];
  size_t n = rfl_print_double(text, x);
  significant(text, n, mine);
  for (int precision = 0; precision < 17; precision++) {
    snprintf(shown, sizeof shown, "%.*e", precision, x);
    if (strtod(shown, NULL) == x) break;
  }
  significant(shown, strlen(shown), theirs);
  if (power_of_two && strlen(mine) < strlen(theirs)) return;
  CHECK_STR(mine, theirs);
}

TEST(no_shorter_text_reads_back_and_none_of_that_length_is_nearer) {
  for (uint64_t i = 0; i < 30000; i++) {
    double x = i % 2 ? random_double(i) : rfl_uniform(6, 1, i);
    if (isfinite(x)) check_shortest(x, false);
  }
  for (int e = -1074; e < 1024; e++) { /* the interval below a power of two is shorter */
    check_shortest(ldexp(1, e), true);
    check_shortest(nextafter(ldexp(1, e), 0), false);
  }
}

TEST(the_next_double_prints_differently) {
  for (uint64_t i = 0; i < 20000; i++) {
    double x = random_double(i), next = nextafter(x, 0);
    if (!isfinite(x) || x == next) continue;
    char a[RFL_DOUBLE_TEXT], b[RFL_DOUBLE_TEXT];
    size_t n = rfl_print_double(a, x), m = rfl_print_double(b, next);
    CHECK(n != m || memcmp(a, b, n) != 0);
  }
}

TEST(doubles_print_as_people_write_them) {
  static const struct {
    double x;
    const char *text;
  } known[] = {{0, "0"},
               {-0.0, "-0"},
               {3, "3"},
               {-17, "-17"},
               {0.1, "0.1"},
               {0.5, "0.5"},
               {1e5, "100000"},
               {999999999999999, "999999999999999"},
               {1e15, "1000000000000000"},
               {1e17, "1e17"},
               {1e22, "1e22"},
               {1e23, "1e23"},
               {123456789012345680, "1.2345678901234568e17"},
               {0.0001, "0.0001"},
               {0.00012345, "0.00012345"},
               {0.00001, "1e-5"},
               {1.5e-7, "1.5e-7"},
               {123.456, "123.456"},
               {1.0 / 3, "0.3333333333333333"},
               {2.0 / 3, "0.6666666666666666"},
               {0.1 + 0.2, "0.30000000000000004"},
               {5e-324, "5e-324"},
               {2.2250738585072014e-308, "2.2250738585072014e-308"},
               {-DBL_MAX, "-1.7976931348623157e308"},
               {INFINITY, "Inf"},
               {-INFINITY, "-Inf"},
               {NAN, "NaN"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    char text[RFL_DOUBLE_TEXT + 1];
    text[rfl_print_double(text, known[i].x)] = '\0';
    CHECK_STR(text, known[i].text);
  }
}

TEST(integers_read_back_as_they_were_printed) {
  static const int64_t edges[] = {0,         1,         -1,        9,  10, -10,
                                  INT32_MAX, INT32_MIN, INT64_MAX, 99, 100};
  for (uint64_t i = 0; i < 20011; i++) {
    int64_t x = i < 11 ? edges[i] : (int64_t)(rfl_random(1, 1, i) >> (i % 64)), y = 1;
    if (i == 11) x = INT64_MIN;
    char text[RFL_DOUBLE_TEXT], theirs[RFL_DOUBLE_TEXT];
    size_t n = rfl_print_int64(text, x);
    int m = snprintf(theirs, sizeof theirs, "%lld", (long long)x);
    CHECK(n == (size_t)m && memcmp(text, theirs, n) == 0);
    bool fits = false;
    CHECK(rfl_parse_int64(text, text + n, &y, &fits) == text + n);
    CHECK(fits && x == y);
  }
}

TEST(integers_that_do_not_fit_say_so) {
  static const char *const big[] = {"9223372036854775808", "-9223372036854775809",
                                    "18446744073709551616", "99999999999999999999999",
                                    "-99999999999999999999999"};
  for (size_t i = 0; i < 5; i++) {
    int64_t x = 42;
    bool fits = true;
    const char *end = big[i] + strlen(big[i]);
    CHECK(rfl_parse_int64(big[i], end, &x, &fits) == end);
    CHECK(!fits && x == 42);
  }
  static const char *const bad[] = {"", "-", "+1", "01", "-01", "x", " 1"};
  for (size_t i = 0; i < 7; i++) {
    int64_t x = 42;
    bool fits = true;
    CHECK(!rfl_parse_int64(bad[i], bad[i] + strlen(bad[i]), &x, &fits));
    CHECK(x == 42);
  }
}

TEST(the_locale_does_not_matter) {
  if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
    SKIP("the_locale_does_not_matter: no locale with a decimal comma is installed");
  char shown[8], text[RFL_DOUBLE_TEXT + 1];
  snprintf(shown, sizeof shown, "%.1f", 0.5);
  double x = 0;
  bool parsed = parse("1234.5678901234567890123", &x);
  text[rfl_print_double(text, 0.25)] = '\0';
  setlocale(LC_ALL, "C");
  CHECK_STR(shown, "0,5");
  CHECK(parsed && x == 1234.5678901234567890123);
  CHECK_STR(text, "0.25");
}

int main(void) {
  RUN(numbers_of_the_json_grammar_are_read);
  RUN(other_spellings_are_not_numbers);
  RUN(a_number_ends_where_its_grammar_ends);
  RUN(extremes_round_to_zero_and_infinity);
  RUN(decimals_of_any_length_round_like_strtod);
  RUN(the_middle_of_two_doubles_goes_to_the_even_one);
  RUN(a_million_doubles_read_back_as_they_were_printed);
  RUN(no_shorter_text_reads_back_and_none_of_that_length_is_nearer);
  RUN(the_next_double_prints_differently);
  RUN(doubles_print_as_people_write_them);
  RUN(integers_read_back_as_they_were_printed);
  RUN(integers_that_do_not_fit_say_so);
  RUN(the_locale_does_not_matter);
  return harness_end();
}
