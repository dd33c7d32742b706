/* The slow half of the decoder: one value of a column, whatever it looks like. */
#include <float.h>
#include <math.h>

#include "base/text.h"
#include "decode/json_decode.h"
#include "decode/json_scan.h"

static const char *const expected[RFL_N_TYPES] = {
    [RFL_LOGICAL] = "expected true or false",
    [RFL_INTEGER] = "expected an integer",
    [RFL_INTEGER64] = "expected an integer",
    [RFL_DOUBLE] = "expected a number",
    [RFL_STRING] = "expected a string",
    [RFL_FACTOR] = "expected a string",
    [RFL_TIMESTAMP] = "expected an instant: RFC 3339 text or a number",
    [RFL_DATE] = "expected a date like 2019-11-24",
    [RFL_RAW] = "expected nothing"};

static const char *misfit(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                          const char *p) {
  return rfl_json_fault(d, k->column, p, expected[k->kind]);
}

static bool holds_text(const struct rfl_json_key *k) {
  return k->kind == RFL_STRING || k->kind == RFL_FACTOR;
}

static bool put_text(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                     const char *text, size_t n) {
  d->code = rfl_builder_text(d->to, (size_t)k->column, text, n, d->err);
  return d->code == RFL_OK;
}

/* ---- strings ---- */

static const char *take_string(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                               const char *p) {
  struct rfl_json_scan s = {.at = p + 1, .end = d->end};
  bool escaped;
  if (!rfl_json_string(&s, &escaped)) return rfl_json_fault(d, k->column, s.at, s.why);
  char *text = d->text + (p + 1 - d->text);
  size_t n = (size_t)(s.at - 1 - text);
  if (escaped) {
    n = rfl_json_unescape(text, text, n);
    if (memchr(text, '\0', n))
      return rfl_json_fault(d, k->column, p, "a NUL inside a string");
  }
  int64_t us;
  int32_t days;
  switch (k->kind) {
    case RFL_STRING:
    case RFL_FACTOR:
      return put_text(d, k, text, n) ? s.at : NULL;
    case RFL_TIMESTAMP:
      if (rfl_parse_instant(text, text + n, &us) != text + n) return misfit(d, k, p);
      rfl_builder_long(d->to, (size_t)k->column, us);
      return s.at;
    case RFL_DATE:
      if (rfl_parse_date(text, text + n, &days) != text + n) return misfit(d, k, p);
      rfl_builder_int(d->to, (size_t)k->column, days);
      return s.at;
    default:
      return misfit(d, k, p);
  }
}

/* ---- numbers ---- */

/* The text of a number in a column of text: equal values have equal texts. An integer is
 * its digits; of other numbers the shortest text of the double, as long as that loses
 * nothing; else the number as it is written. */
static bool put_number_text(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                            const struct rfl_json_number *x) {
  char text[RFL_DOUBLE_TEXT];
  int64_t whole;
  if (rfl_json_int64(x, 0, &whole) == RFL_JSON_FITS)
    return put_text(d, k, text, rfl_print_int64(text, whole));
  double y = x->plain || rfl_json_digits_of(x) > DBL_DIG ? HUGE_VAL : rfl_json_double(x);
  if (isinf(y) || fabs(y) < DBL_MIN)
    return put_text(d, k, x->text, (size_t)(x->end - x->text));
  return put_text(d, k, text, rfl_print_double(text, y));
}

/* INT32_MIN is not in range: where integer goes, it stands for NA. */
static const char *put_integer(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                               const struct rfl_json_number *x) {
  bool wide = k->kind == RFL_INTEGER64;
  int64_t y = 0;
  enum rfl_json_fit fit = rfl_json_int64(x, 0, &y);
  if (fit == RFL_JSON_FRACTION) return misfit(d, k, x->text);
  if (!wide && (y > INT32_MAX || y < -INT32_MAX)) fit = RFL_JSON_TOO_LARGE;
  if (fit)
    return rfl_json_fault(d, k->column, x->text,
                          wide ? "too large for integer64: use double or string"
                               : "too large for integer: use double or integer64");
  if (wide)
    rfl_builder_long(d->to, (size_t)k->column, y);
  else
    rfl_builder_int(d->to, (size_t)k->column, (int32_t)y);
  return x->end;
}

static const char *put_double(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                              const struct rfl_json_number *x) {
  const double exact_below = 9007199254740992.0; /* 2^53 */
  double y = rfl_json_double(x);
  if (isinf(y)) return rfl_json_fault(d, k->column, x->text, "number too large");
  if (x->plain && fabs(y) >= exact_below && !rfl_json_exact(x))
    return rfl_json_fault(d, k->column, x->text,
                          "integer not exact as double: declare it string or integer64");
  rfl_builder_double(d->to, (size_t)k->column, y);
  return x->end;
}

static const char *take_number(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                               const char *p) {
  struct rfl_json_scan s = {.at = p, .end = d->end};
  struct rfl_json_number x;
  if (!rfl_json_number(&s, &x)) return rfl_json_fault(d, k->column, s.at, s.why);
  int64_t us;
  switch (k->kind) {
    case RFL_INTEGER:
    case RFL_INTEGER64:
      return put_integer(d, k, &x);
    case RFL_DOUBLE:
      return put_double(d, k, &x);
    case RFL_STRING:
    case RFL_FACTOR:
      return put_number_text(d, k, &x) ? x.end : NULL;
    case RFL_TIMESTAMP:
      if (rfl_json_floor(&x, k->to_us, &us))
        return rfl_json_fault(d, k->column, p, "too large for an instant");
      rfl_builder_long(d->to, (size_t)k->column, us);
      return x.end;
    default:
      return misfit(d, k, p);
  }
}

/* ---- words ---- */

static const char *take_word(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                             const char *p) {
  bool yes = *p == 't';
  size_t n = yes || *p == 'n' ? 4 : 5;
  if (memcmp(p, yes ? "true" : *p == 'n' ? "null" : "false", n) != 0)
    return rfl_json_fault(d, k->column, p, "expected a value");
  if (*p == 'n') {
    rfl_builder_missing(d->to, (size_t)k->column);
  } else if (holds_text(k)) {
    if (!put_text(d, k, p, n)) return NULL;
  } else if (k->kind == RFL_LOGICAL) {
    rfl_builder_int(d->to, (size_t)k->column, yes);
  } else {
    return misfit(d, k, p);
  }
  return p + n;
}

const char *rfl_json_value(struct rfl_json_decoder *d, const struct rfl_json_key *k,
                           const char *p) {
  switch (*p) {
    case '"':
      return take_string(d, k, p);
    case 'n':
    case 't':
    case 'f':
      return take_word(d, k, p);
    case '{':
    case '[':
      return misfit(d, k, p);
    default:
      if (*p == '-' || (*p >= '0' && *p <= '9')) return take_number(d, k, p);
      return rfl_json_fault(d, k->column, p, "expected a value");
  }
}
