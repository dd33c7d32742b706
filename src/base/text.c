#include "base/text.h"

#include <string.h>

#include "base/little.h"

/* Days since 1970-01-01 of a proleptic Gregorian date, and back: Hinnant's "chrono-
 * compatible low-level date algorithms". Years run from March, so that the leap day is
 * the last; an era is 400 years = 146,097 days. */
enum { DAYS_OF_ERA = 146097, EPOCH_FROM_MARCH_0000 = 719468 };
static const int64_t US_OF_DAY = INT64_C(86400000000);

struct date {
  int64_t year;
  int month, day;
};

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int64_t days_from(struct date d) {
  int64_t year = d.year - (d.month <= 2);
  int64_t era = floor_div(year, 400), of_era = year - era * 400;
  int64_t of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
  int64_t day = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
  return era * DAYS_OF_ERA + day - EPOCH_FROM_MARCH_0000;
}

static struct date date_of(int64_t days) {
  days += EPOCH_FROM_MARCH_0000;
  int64_t era = floor_div(days, DAYS_OF_ERA), day = days - era * DAYS_OF_ERA;
  int64_t of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  int64_t of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
  int64_t month = (5 * of_year + 2) / 153;
  struct date d = {.year = of_era + era * 400,
                   .month = (int)(month < 10 ? month + 3 : month - 9),
                   .day = (int)(of_year - (153 * month + 2) / 5 + 1)};
  d.year += d.month <= 2;
  return d;
}

static int days_in_month(int64_t year, int month) {
  static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

/* Exactly `n` digits at `at`, or -1. */
static int digits(const char *at, const char *end, int n) {
  if (end - at < n) return -1;
  int x = 0;
  for (int i = 0; i < n; i++) {
    if (at[i] < '0' || at[i] > '9') return -1;
    x = 10 * x + (at[i] - '0');
  }
  return x;
}

static const char *parse_days(const char *at, const char *end, int64_t *gives) {
  if (end - at < 10 || at[4] != '-' || at[7] != '-') return NULL;
  int year = digits(at, end, 4), month = digits(at + 5, end, 2);
  int day = digits(at + 8, end, 2);
  if (year < 0 || month < 1 || month > 12) return NULL;
  if (day < 1 || day > days_in_month(year, month)) return NULL;
  *gives = days_from((struct date){.year = year, .month = month, .day = day});
  return at + 10;
}

const char *rfl_parse_date(const char *at, const char *end, int32_t *gives_days) {
  int64_t days;
  const char *rest = parse_days(at, end, &days);
  if (rest) *gives_days = (int32_t)days;
  return rest;
}

/* ".442536": microseconds; digits past the sixth are cut. */
static const char *parse_fraction(const char *at, const char *end, int64_t *us) {
  if (at == end || *at != '.') return at;
  int64_t scale = 100000;
  const char *p = at + 1;
  for (; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10) *us += scale * (*p - '0');
  return p == at + 1 ? NULL : p;
}

/* "Z", "+01:00", "-0530", "+01" or nothing, which is UTC. */
static const char *parse_zone(const char *at, const char *end, int64_t *us) {
  if (at == end || (*at != '+' && *at != '-'))
    return at < end && (*at == 'Z' || *at == 'z') ? at + 1 : at;
  int hours = digits(at + 1, end, 2), minutes = 0;
  if (hours < 0 || hours > 23) return NULL;
  const char *p = at + 3;
  bool colon = p < end && *p == ':';
  if (colon || (p < end && *p >= '0' && *p <= '9')) {
    p += colon;
    minutes = digits(p, end, 2);
    if (minutes < 0 || minutes > 59) return NULL;
    p += 2;
  }
  int64_t offset = (hours * INT64_C(60) + minutes) * 60000000;
  *us -= *at == '-' ? -offset : offset;
  return p;
}

/* A leap second (":60") is the first of the next minute, as POSIX time has none. */
const char *rfl_parse_instant(const char *at, const char *end, int64_t *gives_us) {
  int64_t days;
  const char *p = parse_days(at, end, &days);
  if (!p || end - p < 9) return NULL;
  if (*p != 'T' && *p != 't' && *p != ' ') return NULL;
  int hour = digits(p + 1, end, 2), minute = digits(p + 4, end, 2);
  int second = digits(p + 7, end, 2);
  if (p[3] != ':' || p[6] != ':') return NULL;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return NULL;
  int64_t us =
      days * US_OF_DAY + ((hour * INT64_C(60) + minute) * 60 + second) * INT64_C(1000000);
  p = parse_fraction(p + 9, end, &us);
  if (p) p = parse_zone(p, end, &us);
  if (p) *gives_us = us;
  return p;
}

static char *put_digits(char *to, int64_t x, int n) {
  for (int i = n - 1; i >= 0; i--, x /= 10) to[i] = (char)('0' + x % 10);
  return to + n;
}

/* Years outside 0000 to 9999 get a sign, as in ISO 8601's expanded form. */
static char *put_date(char *to, int64_t days) {
  struct date d = date_of(days);
  int64_t year = d.year < 0 ? -d.year : d.year;
  int width = 4;
  for (int64_t bound = 10000; year >= bound; bound *= 10) width++;
  if (d.year < 0 || width > 4) *to++ = d.year < 0 ? '-' : '+';
  to = put_digits(to, year, width);
  *to++ = '-';
  to = put_digits(to, d.month, 2);
  *to++ = '-';
  return put_digits(to, d.day, 2);
}

size_t rfl_print_date(char *to, int32_t days) {
  return (size_t)(put_date(to, days) - to);
}

size_t rfl_print_instant(char *to, int64_t us) {
  int64_t days = floor_div(us, US_OF_DAY), of_day = us % US_OF_DAY;
#if defined(RFL_SEED_BUG) && RFL_SEED_BUG == 6
  of_day = us - days * US_OF_DAY; /* the product may not fit */
#endif
  if (of_day < 0) of_day += US_OF_DAY;
  int64_t second = of_day / 1000000;
  char *p = put_date(to, days);
  *p++ = 'T';
  p = put_digits(p, second / 3600, 2);
  *p++ = ':';
  p = put_digits(p, second / 60 % 60, 2);
  *p++ = ':';
  p = put_digits(p, second % 60, 2);
  *p++ = '.';
  p = put_digits(p, of_day % 1000000, 6);
  *p++ = 'Z';
  return (size_t)(p - to);
}

/* The length of the character that starts at p, at most n bytes; 0: not UTF-8. The
 * bounds of the second byte are table 3-7 of the Unicode standard. */
static size_t utf8_length(const uint8_t *p, size_t n) {
  uint8_t lead = p[0];
  if (lead < 0x80) return 1;
  size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (lead < 0xc2 || lead > 0xf4 || n < length) return 0;
  uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < length; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  return length;
}

bool rfl_utf8_valid(const char *text, size_t n) {
  const uint8_t *p = (const uint8_t *)text;
  for (size_t i = 0; i < n;) {
    if (n - i >= 8 && !(load_u64(p + i) & 0x8080808080808080u)) {
      i += 8;
      continue;
    }
    size_t length = utf8_length(p + i, n - i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

/* Looks at the last four bytes only: a character that the cut broke is left out whole. */
size_t rfl_utf8_prefix(const char *text, size_t n) {
  const uint8_t *p = (const uint8_t *)text;
  for (size_t back = 1; back <= 4 && back <= n; back++) {
    uint8_t byte = p[n - back];
    if ((byte & 0xc0) == 0x80) continue;
    size_t length = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > back ? n - back : n;
  }
  return n;
}
