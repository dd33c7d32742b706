/* Numbers as JSON writes them. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { EXACT_DIGITS = 800, EXPONENT_BOUND = 100000 };

static bool is_digit(const char *at, const char *end) {
  return at < end && *at >= '0' && *at <= '9';
}

struct decimal {
  uint64_t w;           /* the first 19 significant digits */
  int used;             /* how many they are */
  bool more;            /* a non-zero digit was left out of w */
  int64_t power;        /* value = w * 10^power, or a little more */
  const char *at, *end; /* the digits, with perhaps a point among them */
};

static void add_digit(struct decimal *d, char c) {
  int digit = c - '0';
  if (d->used == 19) {
    d->more |= digit != 0;
    d->power++;
    return;
  }
  d->w = 10 * d->w + (uint64_t)digit;
  d->used += d->w != 0;
}

static const char *parse_exponent(const char *at, const char *end, int64_t *power) {
  if (at == end || (*at != 'e' && *at != 'E')) return at;
  at++;
  bool minus = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) at++;
  if (!is_digit(at, end)) return NULL;
  int64_t e = 0;
  for (; is_digit(at, end); at++)
    if (e < INT64_MAX / 20) e = 10 * e + (*at - '0');
  *power += minus ? -e : e;
  return at;
}

static const char *parse_decimal(const char *at, const char *end, struct decimal *d) {
  d->at = at;
  if (!is_digit(at, end)) return NULL;
  if (*at == '0' && is_digit(at + 1, end)) return NULL;
  for (; is_digit(at, end); at++) add_digit(d, *at);
  if (at < end && *at == '.') {
    at++;
    if (!is_digit(at, end)) return NULL;
    for (; is_digit(at, end); at++) {
      add_digit(d, *at);
      d->power--;
    }
  }
  d->end = at;
  return parse_exponent(at, end, &d->power);
}

/* strtod() of "<digits>e<power>": without a point it means the same in every locale. */
static double parse_slowly(const struct decimal *d) {
  char text[EXACT_DIGITS + 32];
  int n = 0;
  int64_t power = d->power;
  bool more = false;
  int seen = 0;
  for (const char *p = d->at; p < d->end; p++) {
    if (*p == '.' || (n == 0 && *p == '0')) continue;
    if (++seen <= 19) {
      text[n++] = *p;
    } else {
      if (n < EXACT_DIGITS) {
        text[n++] = *p;
        power--;
      } else
        more |= *p != '0';
    }
  }
  if (more) {
    text[n++] = '1';
    power--;
  }
  if (power > EXPONENT_BOUND) power = EXPONENT_BOUND;
  if (power < -EXPONENT_BOUND) power = -EXPONENT_BOUND;
  snprintf(text + n, sizeof text - (size_t)n, "e%d", (int)power);
  int before = errno;
  double x = strtod(text, NULL);
  errno = before;
  return x;
}

static double to_double(const struct decimal *d) {
  static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (d->w == 0) return 0;
  if (!d->more && d->w <= UINT64_C(1) << 53 && d->power >= -22 && d->power <= 22)
    return d->power < 0 ? (double)d->w / tens[-d->power] : (double)d->w * tens[d->power];
  return parse_slowly(d);
}

const char *rfl_parse_double(const char *at, const char *end, double *gives) {
  bool minus = at < end && *at == '-';
  struct decimal d = {0};
  const char *rest = parse_decimal(at + minus, end, &d);
  if (!rest) return NULL;
  double x = to_double(&d);
  *gives = minus ? -x : x;
  return rest;
}

const char *rfl_parse_int64(const char *at, const char *end, int64_t *gives, bool *fits) {
  bool minus = at < end && *at == '-', over = false;
  at += minus;
  if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end))) return NULL;
  int64_t x = 0; /* built downwards: INT64_MIN has no positive twin */
  for (; is_digit(at, end); at++)
    over |= __builtin_mul_overflow(x, 10, &x) ||
            __builtin_sub_overflow(x, (int64_t)(*at - '0'), &x);
  if (!minus) over |= __builtin_sub_overflow(INT64_C(0), x, &x);
  *fits = !over;
  if (!over) *gives = x;
  return at;
}

size_t rfl_print_int64(char *to, int64_t x) {
  char text[20];
  size_t n = 0;
  uint64_t left = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
  do {
    text[n++] = (char)('0' + left % 10);
    left /= 10;
  } while (left > 0);
  char *p = to;
  if (x < 0) *p++ = '-';
  while (n > 0) *p++ = text[--n];
  return (size_t)(p - to);
}

static size_t put_text(char *to, const char *text) {
  size_t n = strlen(text);
  memcpy(to, text, n);
  return n;
}

/* Shortest digits of x > 0: x = digits * 10^power. */
static int shortest(double x, char *to, int *power) {
  for (int precision = 15;; precision++) {
    char text[RFL_DOUBLE_TEXT];
    snprintf(text, sizeof text, "%.*e", precision - 1, x);
    struct decimal d = {0};
    int n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
      if (*p >= '0' && *p <= '9') to[n++] = *p;
    *power = atoi(p + 1) - (n - 1);
    char again[RFL_DOUBLE_TEXT + 8];
    int length = snprintf(again, sizeof again, "%.*se%d", n, to, *power);
    double y = 0;
    if (precision == 17 ||
        (parse_decimal(again, again + length, &d) && (y = to_double(&d)) == x)) {
      while (n > 1 && to[n - 1] == '0') {
        n--;
        ++*power;
      }
      return n;
    }
  }
}

/* digits * 10^power as text: positional for exponents -5 to 16, else "1.5e-7". */
static char *put_decimal(char *to, const char *digits, int n, int power) {
  int point = n + power; /* digits before the point */
  if (point > 17 || point < -4) {
    *to++ = digits[0];
    if (n > 1) {
      *to++ = '.';
      memcpy(to, digits + 1, (size_t)n - 1);
      to += n - 1;
    }
    *to++ = 'e';
    return to + rfl_print_int64(to, point - 1);
  }
  if (point <= 0) {
    *to++ = '0';
    *to++ = '.';
    for (; point < 0; point++) *to++ = '0';
    memcpy(to, digits, (size_t)n);
    return to + n;
  }
  for (int i = 0; i < n || i < point; i++) {
    if (i == point) *to++ = '.';
    *to++ = i < n ? digits[i] : '0';
  }
  return to;
}

size_t rfl_print_double(char *to, double x) {
  if (isnan(x)) return put_text(to, "NaN");
  if (isinf(x)) return put_text(to, x < 0 ? "-Inf" : "Inf");
  char *p = to;
  if (signbit(x)) *p++ = '-';
  x = fabs(x);
  if (x < 1e15 && x == (double)(int64_t)x)
    return (size_t)(p - to) + rfl_print_int64(p, (int64_t)x);
  char digits[20];
  int power;
  int n = shortest(x, digits, &power);
  return (size_t)(put_decimal(p, digits, n, power) - to);
}
