/* Numbers to text. The shortest decimal that reads back as the same double, and of those
 * the nearest to it, is found as Giulietti (2020), "The Schubfach way to render doubles",
 * does it: scale the double and the two ends of its rounding interval by one power of ten
 * to integers of about 17 digits (times 4, the lowest bit sticky), and look whether a
 * multiple of ten, else of one, lies within. About 40 ns, no loop, no allocation. */
#include <math.h>
#include <string.h>

#include "base/powers.h"
#include "base/text.h"

__extension__ typedef unsigned __int128 wide;

enum { FRACTION_BITS = 52, BIAS = 1075 };
static const uint64_t HIDDEN_BIT = UINT64_C(1) << FRACTION_BITS;

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

struct decimal { /* digits * 10^power */
  uint64_t digits;
  int power;
};

/* floor(g * c / 2^128), with the lowest bit set when anything but a rounding of the table
 * was cut off (section 9.8 of the paper). */
static uint64_t scale(struct rfl_power g, uint64_t c) {
  wide x = (wide)g.low * c, y = (wide)g.high * c + (uint64_t)(x >> 64);
  return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

static struct decimal shortest(uint64_t bits) {
  uint64_t fraction = bits & (HIDDEN_BIT - 1);
  int biased = (int)(bits >> FRACTION_BITS);
  uint64_t c = biased ? fraction | HIDDEN_BIT : fraction;
  int q = (biased ? biased : 1) - BIAS;
  bool odd = c & 1;                          /* then the interval is open */
  bool closer = fraction == 0 && biased > 1; /* the next double below is half as far */
  /* floor(log10(2^q)), or of 3/4 of that. */
  int k = rfl_floor_shift(q * 1262611 - (closer ? 524031 : 0), 22);
  int h = q + rfl_power_log2(-k) + 1;
  struct rfl_power g = rfl_power_of_ten(-k);
  uint64_t low = scale(g, (4 * c - 2 + closer) << h) + odd;
  uint64_t mid = scale(g, (4 * c) << h);
  uint64_t high = scale(g, (4 * c + 2) << h) - odd;

  uint64_t s = mid / 4, tens = s / 10;
  bool down = low <= 40 * tens, up = 40 * tens + 40 <= high;
  if (s >= 10 && down != up) return (struct decimal){tens + up, k + 1};
  down = low <= 4 * s;
  up = 4 * s + 4 <= high;
  if (down == up) up = mid > 4 * s + 2 || (mid == 4 * s + 2 && (s & 1));
  return (struct decimal){s + up, k};
}

static size_t put_text(char *to, const char *text) {
  size_t n = strlen(text);
  memcpy(to, text, n);
  return n;
}

/* "1.5e-7": one digit before the point. */
static char *put_exponent(char *to, const char *digits, size_t n, int exponent) {
  *to++ = digits[0];
  if (n > 1) {
    *to++ = '.';
    memcpy(to, digits + 1, n - 1);
    to += n - 1;
  }
  *to++ = 'e';
  return to + rfl_print_int64(to, exponent);
}

/* Positional from 0.0001 to 17 digits before the point, else with an exponent. */
static char *put_decimal(char *to, struct decimal d) {
  for (; d.digits % 10 == 0; d.power++) d.digits /= 10;
  char digits[20];
  size_t n = rfl_print_int64(digits, (int64_t)d.digits);
  int point = (int)n + d.power; /* digits before the point */
  if (point > 17 || point < -3) return put_exponent(to, digits, n, point - 1);
  if (point <= 0) {
    memcpy(to, "0.000", 5);
    memcpy(to + 2 - point, digits, n);
    return to + 2 - point + n;
  }
  size_t whole = (size_t)point;
  if (whole >= n) {
    memcpy(to, digits, n);
    memset(to + n, '0', whole - n);
    return to + whole;
  }
  memcpy(to, digits, whole);
  to[whole] = '.';
  memcpy(to + whole + 1, digits + whole, n - whole);
  return to + n + 1;
}

size_t rfl_print_double(char *to, double x) {
  if (isnan(x)) return put_text(to, "NaN");
  if (isinf(x)) return put_text(to, x < 0 ? "-Inf" : "Inf");
  char *p = to;
  if (signbit(x)) *p++ = '-';
  x = fabs(x);
  if (x < 1e15 && x == (double)(int64_t)x)
    return (size_t)(p - to) + rfl_print_int64(p, (int64_t)x);
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (size_t)(put_decimal(p, shortest(bits)) - to);
}
