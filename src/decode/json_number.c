/* Numbers off the fast path. A number is kept as its digits and a power of ten until it
 * is known what it becomes, so that 5.0 and 1e2 are integers and nothing is rounded
 * twice. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "decode/json_scan.h"

static bool is_digit(const char *p, const char *end) {
  return p < end && (unsigned char)(*p - '0') < 10;
}

static const char *skip_digits(const char *p, const char *end) {
  while (is_digit(p, end)) p++;
  return p;
}

/* Past what matters the exponent stands still: no text is long enough to bring a number
 * back that far. */
static const char *read_exponent(const char *p, const char *end, int64_t *power) {
  bool minus = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (!is_digit(p, end)) return NULL;
  int64_t e = 0;
  for (; is_digit(p, end); p++)
    if (e < INT64_C(1000000000000000)) e = 10 * e + (*p - '0');
  *power += minus ? -e : e;
  return p;
}

bool rfl_json_number(struct rfl_json_scan *s, struct rfl_json_number *x) {
  const char *p = s->at, *end = s->end;
  *x = (struct rfl_json_number){.text = p, .plain = true};
  x->negative = p < end && *p == '-';
  x->digits = p += x->negative;
  if (!is_digit(p, end)) return rfl_json_bad(s, p, "expected a digit");
  if (*p == '0' && is_digit(p + 1, end))
    return rfl_json_bad(s, p, "a number that begins with 0");
  p = skip_digits(p, end);
  if (p < end && *p == '.') {
    const char *fraction = p + 1;
    p = skip_digits(fraction, end);
    if (p == fraction) return rfl_json_bad(s, p, "expected a digit");
    x->power = fraction - p;
    x->plain = false;
  }
  x->digits_end = p;
  if (p < end && (*p == 'e' || *p == 'E')) {
    const char *after = read_exponent(p + 1, end, &x->power);
    if (!after) return rfl_json_bad(s, p, "an exponent without digits");
    p = after;
    x->plain = false;
  }
  s->at = x->end = p;
  return true;
}

/* The digits without the point and without zeros at either end. Nothing left: zero. */
struct digits {
  const char *first, *end;
  int64_t n, power;
};

static struct digits trim(const struct rfl_json_number *x) {
  struct digits d = {.first = x->digits, .end = x->digits_end, .power = x->power};
  while (d.first < d.end && (*d.first == '0' || *d.first == '.')) d.first++;
  while (d.first < d.end && (d.end[-1] == '0' || d.end[-1] == '.'))
    d.power += *--d.end == '0';
  for (const char *p = d.first; p < d.end; p++) d.n += *p != '.';
  return d;
}

size_t rfl_json_digits_of(const struct rfl_json_number *x) { return (size_t)trim(x).n; }

/* *cut: digits below one were left out. */
static enum rfl_json_fit scaled(const struct rfl_json_number *x, int shift,
                                uint64_t *gives, bool *cut) {
  struct digits d = trim(x);
  d.power += shift;
  *gives = 0;
  *cut = d.n > 0 && d.power < 0;
  int64_t keep = d.power < 0 ? d.n + d.power : d.n;
  if (d.n == 0 || keep <= 0) return RFL_JSON_FITS;
  if (keep + (d.power > 0 ? d.power : 0) > 19) return RFL_JSON_TOO_LARGE;
  uint64_t m = 0;
  for (const char *p = d.first; keep > 0; p++) {
    if (*p == '.') continue;
    m = 10 * m + (uint64_t)(*p - '0');
    keep--;
  }
  for (; d.power > 0; d.power--) m *= 10;
  *gives = m;
  return m > (uint64_t)INT64_MAX ? RFL_JSON_TOO_LARGE : RFL_JSON_FITS;
}

enum rfl_json_fit rfl_json_int64(const struct rfl_json_number *x, int shift,
                                 int64_t *gives) {
  uint64_t m;
  bool cut;
  enum rfl_json_fit fit = scaled(x, shift, &m, &cut);
  if (cut) return RFL_JSON_FRACTION;
  if (!fit) *gives = x->negative ? -(int64_t)m : (int64_t)m;
  return fit;
}

enum rfl_json_fit rfl_json_floor(const struct rfl_json_number *x, int shift,
                                 int64_t *gives) {
  uint64_t m;
  bool cut;
  enum rfl_json_fit fit = scaled(x, shift, &m, &cut);
  if (x->negative && cut && m == (uint64_t)INT64_MAX) return RFL_JSON_TOO_LARGE;
  if (!fit) *gives = x->negative ? -(int64_t)m - cut : (int64_t)m;
  return fit;
}

double rfl_json_double(const struct rfl_json_number *x) {
  double y = 0;
  const char *end = rfl_parse_double(x->text, x->end, &y);
  return end ? y : 0; /* never NULL: the token was checked */
}

/* 2^1024 has 309 digits. "%.0f" writes a double's exact value. */
bool rfl_json_exact(const struct rfl_json_number *x) {
  char exact[320];
  double y = rfl_json_double(x);
  size_t n = (size_t)(x->digits_end - x->digits);
  if (n >= sizeof exact) return false;
  int length = snprintf(exact, sizeof exact, "%.0f", x->negative ? -y : y);
  return (size_t)length == n && memcmp(exact, x->digits, n) == 0;
}
