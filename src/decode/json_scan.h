/* The grammar of RFC 8259, bounded and without memory: what the decoder does off its fast
 * path, the syntax check and the guess have in common.
 *
 *     struct rfl_json_scan s = {.at = text, .end = text + n};
 *     if (!rfl_json_skip(&s, 0)) complain(s.why, s.at);     // one value, whatever it is
 *
 * Invariant: at <= end, and nothing outside [at, end) is read. A function that gives
 * false has set `why` to a constant reason and `at` to the byte where it holds. */
#ifndef RFL_DECODE_JSON_SCAN_H
#define RFL_DECODE_JSON_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rfl_json_scan {
  const char *at, *end;
  const char *why;
};

static inline bool rfl_json_bad(struct rfl_json_scan *s, const char *at,
                                const char *why) {
  s->at = at;
  s->why = why;
  return false;
}

/* Past white space; gives the byte there, -1 at the end. */
static inline int rfl_json_peek(struct rfl_json_scan *s) {
  for (; s->at < s->end; s->at++) {
    unsigned char c = (unsigned char)*s->at;
    if (c > ' ' || !(c == ' ' || c == '\n' || c == '\r' || c == '\t')) return c;
  }
  return -1;
}

/* One value at `at`, white space before it included, after which `at` stands. `depth`
 * objects and arrays are open around it; more than RFL_JSON_DEPTH in all is an error. */
bool rfl_json_skip(struct rfl_json_scan *, unsigned depth);

/* A string whose opening quote is the byte before `at`; goes past the closing one.
 * Escapes, control characters and UTF-8 are checked. *escaped: it holds a backslash. */
bool rfl_json_string(struct rfl_json_scan *, bool *escaped);

/* The text of a string that was checked, [from, from + n) between its quotes. It never
 * becomes longer, and `to` may be `from`. Gives its length. */
size_t rfl_json_unescape(char *to, const char *from, size_t n);

/* A member's name at `at`, its quote first, and the colon after it: *name and *n are what
 * stands between the quotes. */
bool rfl_json_name(struct rfl_json_scan *, const char **name, size_t *n, bool *escaped);

/* A number, taken apart. */
struct rfl_json_number {
  const char *text, *end; /* the token */
  const char *digits;     /* its first digit */
  const char *digits_end; /* after the last digit of integer part and fraction */
  int64_t power;          /* value = digits without the point * 10^power */
  bool negative, plain;   /* plain: neither fraction nor exponent */
};
bool rfl_json_number(struct rfl_json_scan *, struct rfl_json_number *gives);

/* The number times 10^shift as int64, exactly. INT64_MIN is too large: it stands for NA
 * where integer64 goes. */
enum rfl_json_fit { RFL_JSON_FITS, RFL_JSON_FRACTION, RFL_JSON_TOO_LARGE };
enum rfl_json_fit rfl_json_int64(const struct rfl_json_number *, int shift,
                                 int64_t *gives);
/* The same, but what is below one is cut off, towards minus infinity. */
enum rfl_json_fit rfl_json_floor(const struct rfl_json_number *, int shift,
                                 int64_t *gives);
/* The nearest double; +-Inf when it is too large. */
double rfl_json_double(const struct rfl_json_number *);
/* Whether a plain number is the exact value of the double that it reads as. */
bool rfl_json_exact(const struct rfl_json_number *);
/* How many significant digits it is written with. */
size_t rfl_json_digits_of(const struct rfl_json_number *);

#endif
