/* Text <-> numbers, exactly and in the C locale whatever LC_NUMERIC says. Thread-safe.
 *
 *     const char *end = rfl_parse_double(p, stop, &x);  // NULL: not a number
 *     size_t n = rfl_print_double(buf, 0.1);            // "0.1": the shortest
 *
 * A parser reads as far as its grammar goes ("12.5,7" is 12.5) and gives the position
 * behind: whether something is left over is for the caller to say. Where it gives NULL it
 * has written nothing. */
#ifndef RFL_BASE_TEXT_H
#define RFL_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A JSON number (RFC 8259: no leading zeros, no "+", no ".5", no NaN) at [at, end). Gives
 * the position after it, or NULL. Correctly rounded; overflow gives +-Inf. */
const char *rfl_parse_double(const char *at, const char *end, double *gives);
/* The same grammar without fraction and exponent ("12.5" is 12, and ".5" is left over).
 * *fits is false, and nothing given, when it is an integer outside int64. */
const char *rfl_parse_int64(const char *at, const char *end, int64_t *gives, bool *fits);

enum { RFL_DOUBLE_TEXT = 32 };
/* Shortest decimal that reads back to the same bits, at most RFL_DOUBLE_TEXT bytes, no
 * NUL; NaN and Inf as "NaN" "Inf" "-Inf". With an exponent ("1.5e-7", "1e17") only below
 * 0.0001 or from 1e17 on; a whole number has no point. */
size_t rfl_print_double(char *to, double x);
size_t rfl_print_int64(char *to, int64_t x);

/* RFC 3339 / ISO 8601 instants to microseconds since 1970 UTC:
 * "2019-11-24T00:03:13.442536Z", also with a space, with an offset "+01:00", "+0100" or
 * "+01", without (UTC), without seconds' fraction. Digits past microseconds are cut;
 * ":60" is the next minute. NULL: not one. */
const char *rfl_parse_instant(const char *at, const char *end, int64_t *gives_us);
/* "2019-11-24T00:03:13.442536Z", at most RFL_DOUBLE_TEXT bytes. */
size_t rfl_print_instant(char *to, int64_t us);
/* "2019-11-24" to days since 1970-01-01, proleptic Gregorian; NULL: not a date that
 * exists. */
const char *rfl_parse_date(const char *at, const char *end, int32_t *gives_days);
size_t rfl_print_date(char *to, int32_t days);

/* Whether [p, p + n) is UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool rfl_utf8_valid(const char *p, size_t n);
/* Length of the longest prefix of at most `n` bytes that ends at a whole character. */
size_t rfl_utf8_prefix(const char *p, size_t n);

#endif
