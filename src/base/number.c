/* Decimal text to numbers, correctly rounded and the same in every locale.
 *
 * A decimal is w * 10^power with w its first 19 significant digits. Three ways, the
 * cheapest that is certain to be right:
 *   1. w < 2^53 and |power| <= 22: both are doubles, so one multiplication or division
 *      rounds once (Clinger 1990). Most numbers in records.
 *   2. Two bounds of the true value in 128 bits, from the table of powers; where both
 *      round to the same double, that is the one. About 25 ns; scores with 17 digits.
 *   3. The bounds straddle the middle of two doubles: compare all the digits with that
 *      middle in whole numbers. One in 10^12 by chance, but easy to send on purpose, so
 *      it is bounded: digits past the 800th only tell whether something is left over (a
 *      middle of two doubles has at most 767). */
#include <math.h>
#include <string.h>

#include "base/bignum.h"
#include "base/powers.h"
#include "base/text.h"

__extension__ typedef unsigned __int128 wide;

enum { W_DIGITS = 19, BIG_DIGITS = 800, MANTISSA_BITS = 53, LEAST_EXPONENT = -1074 };

struct decimal {
  uint64_t w;           /* the first W_DIGITS significant digits */
  int used;             /* how many w has */
  bool more;            /* a digit other than 0 was left out: below (w + 1) * 10^power */
  int64_t power;        /* of the last digit of w */
  const char *at, *end; /* all digits, with perhaps a point among them */
};

static bool is_digit(const char *at, const char *end) {
  return at < end && *at >= '0' && *at <= '9';
}

static void add_digit(struct decimal *d, char c) {
  if (d->used == W_DIGITS) {
    d->more |= c != '0';
    d->power++;
    return;
  }
  d->w = 10 * d->w + (uint64_t)(c - '0');
  d->used += d->w != 0;
}

static const char *parse_exponent(const char *at, const char *end, int64_t *power) {
  if (at == end || (*at != 'e' && *at != 'E')) return at;
  at++;
  bool minus = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) at++;
  if (!is_digit(at, end)) return NULL;
  int64_t exponent = 0;
  for (; is_digit(at, end); at++)
    if (exponent < INT64_MAX / 20) exponent = 10 * exponent + (*at - '0');
  *power += minus ? -exponent : exponent;
  return at;
}

static const char *parse_decimal(const char *at, const char *end, struct decimal *d) {
  d->at = at;
  if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end))) return NULL;
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

/* A non-negative double is m * 2^e with m < 2^53, e >= LEAST_EXPONENT; its bits count up
 * with its value, and the step after the greatest is infinity. */
static double from_bits(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* The bits of the double nearest to x * 2^exponent, ties to even. The highest bit of x
 * is set. */
static uint64_t round_bits(wide x, int exponent) {
  int drop = 128 - MANTISSA_BITS;
  if (exponent + drop < LEAST_EXPONENT) drop = LEAST_EXPONENT - exponent;
  if (drop > 128) return 0;
  uint64_t m = drop == 128 ? 0 : (uint64_t)(x >> drop);
  wide rest = drop == 128 ? x : x & (((wide)1 << drop) - 1), half = (wide)1 << (drop - 1);
  int biased = exponent + drop - LEAST_EXPONENT; /* 0: subnormal or the first binade */
  uint64_t bits = m + ((uint64_t)biased << (MANTISSA_BITS - 1));
  bits += rest > half || (rest == half && (m & 1));
  uint64_t infinity = UINT64_C(0x7ff) << 52;
  return biased > 2046 || bits > infinity ? infinity : bits;
}

/* The highest 128 bits of w * p, normalised; `up` rounds what is cut off upwards. */
static uint64_t product_bits(uint64_t w, struct rfl_power p, int exponent, bool up) {
  wide low = (wide)w * p.low, x = (wide)w * p.high + (uint64_t)(low >> 64);
  uint64_t cut = (uint64_t)low;
  exponent += 64;
  while (!(x >> 127)) { /* at most twice */
    x = x << 1 | cut >> 63;
    cut <<= 1;
    exponent--;
  }
  if (up && cut && ++x == 0) {
    x = (wide)1 << 127;
    exponent++;
  }
  return round_bits(x, exponent);
}

/* All digits as a whole number (to BIG_DIGITS and a mark for the rest); gives the power
 * of ten that belongs to it. */
static int all_digits(const struct decimal *d, struct rfl_big *x) {
  int n = 0;
  int64_t power = d->power;
  bool more = false;
  for (const char *p = d->at; p < d->end; p++) {
    if (*p == '.' || (n == 0 && *p == '0')) continue;
    if (n < BIG_DIGITS) {
      rfl_big_muladd(x, 10, (uint32_t)(*p - '0'));
      power -= n++ >= W_DIGITS;
    } else {
      more |= *p != '0';
    }
  }
  if (more) rfl_big_muladd(x, 10, 1);
  return (int)power - more;
}

/* Whether the decimal is below (-1), at (0) or above (1) the middle of the double with
 * these bits and the next. */
static int compare_middle(const struct decimal *d, uint64_t bits) {
  uint64_t m = bits & ((UINT64_C(1) << 52) - 1);
  int biased = (int)(bits >> 52);
  if (biased > 0) m |= UINT64_C(1) << 52;
  int exponent = LEAST_EXPONENT - 1 + (biased > 0 ? biased - 1 : 0);
  struct rfl_big left = {0}, right;
  int power = all_digits(d, &left);
  rfl_big_set(&right, 2 * m + 1);
  rfl_big_mul_pow5(power < 0 ? &right : &left, power < 0 ? -power : power);
  int shift = power - exponent; /* left * 2^power against right * 2^exponent */
  rfl_big_shift(shift < 0 ? &right : &left, shift < 0 ? -shift : shift);
  return rfl_big_compare(&left, &right);
}

static double round_decimal(const struct decimal *d) {
  if (d->power < RFL_POWER_MIN) return 0; /* below 10^19 * 10^-343 */
  if (d->power > RFL_POWER_MAX) return INFINITY;
  int power = (int)d->power, exponent = rfl_power_log2(power) - 127;
  struct rfl_power p = rfl_power_of_ten(power), below = p;
  if (power < 0 || power > RFL_POWER_EXACT) {
    below.high -= below.low == 0;
    below.low--;
  }
  uint64_t above = d->w + d->more; /* at most 10^19: no overflow */
  int zeros = __builtin_clzll(above);
  uint64_t low = product_bits(d->w << zeros, below, exponent - zeros, false);
  uint64_t high = product_bits(above << zeros, p, exponent - zeros, true);
  if (low == high) return from_bits(low);
  int side = compare_middle(d, low);
  return from_bits(low + (side > 0 || (side == 0 && (low & 1))));
}

static double to_double(const struct decimal *d) {
  static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (d->w == 0) return 0;
  if (d->more || d->w > UINT64_C(1) << MANTISSA_BITS) return round_decimal(d);
  if (d->power < -22 || d->power > 22) return round_decimal(d);
  return d->power < 0 ? (double)d->w / tens[-d->power] : (double)d->w * tens[d->power];
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
  int64_t x = 0; /* counted downwards: INT64_MIN has no positive twin */
  for (; is_digit(at, end); at++)
    over = over || __builtin_mul_overflow(x, 10, &x) ||
           __builtin_sub_overflow(x, (int64_t)(*at - '0'), &x);
  if (!minus) over = over || __builtin_sub_overflow(INT64_C(0), x, &x);
  *fits = !over;
  if (!over) *gives = x;
  return at;
}
