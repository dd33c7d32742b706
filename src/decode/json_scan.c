#include "decode/json_scan.h"

#include <string.h>

#include "base/text.h"
#include "decode/json.h"
#include "decode/json_swar.h"

/* ---- strings ---- */

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Four hexadecimal digits at p, or -1. */
static int hex4(const char *p, const char *end) {
  if (end - p < 4) return -1;
  int x = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(p[i]);
    if (digit < 0) return -1;
    x = 16 * x + digit;
  }
  return x;
}

/* The escape whose backslash is at s->at. */
static bool check_escape(struct rfl_json_scan *s) {
  const char *p = s->at + 1;
  if (p < s->end && *p && strchr("\"\\/bfnrt", *p)) {
    s->at = p + 1;
    return true;
  }
  if (p == s->end || *p != 'u') return rfl_json_bad(s, s->at, "an escape that is none");
  int unit = hex4(p + 1, s->end);
  if (unit < 0) return rfl_json_bad(s, s->at, "expected four hexadecimal digits");
  if (unit >= 0xd800 && unit < 0xe000) {
    bool pair = unit < 0xdc00 && s->end - p >= 11 && p[5] == '\\' && p[6] == 'u';
    int low = pair ? hex4(p + 7, s->end) : -1;
    if (low < 0xdc00 || low >= 0xe000) return rfl_json_bad(s, s->at, "a lone surrogate");
    p += 6;
  }
  s->at = p + 5;
  return true;
}

/* To the first byte at or after `p` that is a quote, a backslash, a control character or
 * not ASCII. */
static const char *plain_run(const char *p, const char *end) {
  while (end - p >= RFL_JSON_STRIDE) {
    struct rfl_json_marks m = rfl_json_marks(p);
    uint32_t stop = m.quote | m.odd;
    if (stop) return p + rfl_json_lowest(stop);
    p += RFL_JSON_STRIDE;
  }
  while (p < end && *p != '"' && *p != '\\' && (unsigned char)(*p - 0x20) < 0x60) p++;
  return p;
}

/* The run of bytes that are not ASCII at s->at must be UTF-8. Only complaints pay for
 * finding the character. */
static bool check_utf8(struct rfl_json_scan *s) {
  const char *from = s->at, *p = from;
  while (p < s->end && (*p & 0x80)) p++;
  s->at = p;
  if (rfl_utf8_valid(from, (size_t)(p - from))) return true;
  for (;;) {
    size_t n = 1;
    while (n < 4 && from + n < p && (from[n] & 0xc0) == 0x80) n++;
    if (!rfl_utf8_valid(from, n)) return rfl_json_bad(s, from, "not UTF-8");
    from += n;
  }
}

bool rfl_json_string(struct rfl_json_scan *s, bool *escaped) {
  const char *open = s->at - 1;
  *escaped = false;
  for (;;) {
    s->at = plain_run(s->at, s->end);
    if (s->at == s->end) return rfl_json_bad(s, open, "a string without an end");
    unsigned char c = (unsigned char)*s->at;
    if (c == '"') break;
    if (c < 0x20) return rfl_json_bad(s, s->at, "a control character in a string");
    if (c == '\\') *escaped = true;
    if (!(c == '\\' ? check_escape(s) : check_utf8(s))) return false;
  }
  s->at++;
  return true;
}

static char *put_utf8(char *to, unsigned c) {
  if (c < 0x80) {
    *to++ = (char)c;
    return to;
  }
  if (c < 0x800) {
    *to++ = (char)(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      *to++ = (char)(0xe0 | c >> 12);
    } else {
      *to++ = (char)(0xf0 | c >> 18);
      *to++ = (char)(0x80 | (c >> 12 & 0x3f));
    }
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
  }
  *to++ = (char)(0x80 | (c & 0x3f));
  return to;
}

size_t rfl_json_unescape(char *to, const char *from, size_t n) {
  char *out = to;
  const char *p = from, *end = from + n;
  while (p < end) {
    const char *backslash = memchr(p, '\\', (size_t)(end - p));
    size_t run = (size_t)((backslash ? backslash : end) - p);
    memmove(out, p, run);
    out += run;
    if (!backslash) break;
    p = backslash + 2;
    switch (backslash[1]) {
      case 'b':
        *out++ = '\b';
        continue;
      case 'f':
        *out++ = '\f';
        continue;
      case 'n':
        *out++ = '\n';
        continue;
      case 'r':
        *out++ = '\r';
        continue;
      case 't':
        *out++ = '\t';
        continue;
      case 'u':
        break;
      default:
        *out++ = backslash[1];
        continue;
    }
    unsigned c = (unsigned)hex4(p, end);
    p += 4;
    if (c >= 0xd800 && c < 0xdc00) {
      c = 0x10000 + ((c - 0xd800) << 10) + ((unsigned)hex4(p + 2, end) - 0xdc00);
      p += 6;
    }
    out = put_utf8(out, c);
  }
  return (size_t)(out - to);
}

bool rfl_json_name(struct rfl_json_scan *s, const char **name, size_t *n, bool *escaped) {
  if (rfl_json_peek(s) != '"') return rfl_json_bad(s, s->at, "expected a name in quotes");
  const char *first = ++s->at;
  if (!rfl_json_string(s, escaped)) return false;
  *name = first;
  *n = (size_t)(s->at - 1 - first);
  if (rfl_json_peek(s) != ':') return rfl_json_bad(s, s->at, "expected ':'");
  s->at++;
  return true;
}

/* ---- any value ---- */

static bool skip_word(struct rfl_json_scan *s, const char *word, size_t n) {
  if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
    return rfl_json_bad(s, s->at, "expected a value");
  s->at += n;
  return true;
}

static bool skip_scalar(struct rfl_json_scan *s, int c) {
  struct rfl_json_number number;
  bool escaped;
  switch (c) {
    case '"':
      s->at++;
      return rfl_json_string(s, &escaped);
    case 't':
      return skip_word(s, "true", 4);
    case 'f':
      return skip_word(s, "false", 5);
    case 'n':
      return skip_word(s, "null", 4);
    case -1:
      return rfl_json_bad(s, s->at, "the text ends too early");
    default:
      if (c == '-' || (c >= '0' && c <= '9')) return rfl_json_number(s, &number);
      return rfl_json_bad(s, s->at, "expected a value");
  }
}

/* The objects and arrays that are open: a bit each, set for an object. */
struct open {
  uint64_t object[RFL_JSON_DEPTH / 64];
  unsigned n;
};

static bool innermost_is_object(const struct open *o) {
  unsigned k = o->n - 1;
  return o->object[k / 64] >> (k % 64) & 1;
}

static void push(struct open *o, bool object) {
  uint64_t bit = UINT64_C(1) << (o->n % 64), *word = &o->object[o->n / 64];
  *word = object ? *word | bit : *word & ~bit;
  o->n++;
}

/* After a value: closes what ends here. *more: another value follows, and s->at stands
 * before it. */
static bool skip_close(struct rfl_json_scan *s, struct open *o, bool *more) {
  const char *name;
  size_t n;
  bool escaped;
  for (*more = false; o->n; o->n--) {
    bool object = innermost_is_object(o);
    int c = rfl_json_peek(s);
    if (c == ',') {
      s->at++;
      *more = true;
      return !object || rfl_json_name(s, &name, &n, &escaped);
    }
    if (c != (object ? '}' : ']'))
      return rfl_json_bad(s, s->at,
                          object ? "expected ',' or '}'" : "expected ',' or ']'");
    s->at++;
  }
  return true;
}

bool rfl_json_skip(struct rfl_json_scan *s, unsigned depth) {
  struct open o;
  const char *name;
  size_t n;
  bool escaped, more = true;
  o.n = 0;
  while (more) {
    int c = rfl_json_peek(s);
    if (c != '{' && c != '[') {
      if (!skip_scalar(s, c) || !skip_close(s, &o, &more)) return false;
      continue;
    }
    if (depth + o.n >= RFL_JSON_DEPTH)
      return rfl_json_bad(s, s->at, "nested more than 1,024 deep");
    push(&o, c == '{');
    s->at++;
    if (rfl_json_peek(s) == (c == '{' ? '}' : ']')) {
      o.n--;
      s->at++;
      if (!skip_close(s, &o, &more)) return false;
    } else if (c == '{' && !rfl_json_name(s, &name, &n, &escaped)) {
      return false;
    }
  }
  return true;
}

const char *rfl_json_check(struct rfl_bytes text, size_t *at) {
  static const char nothing[1] = "";
  const char *first = text.p ? (const char *)text.p : nothing;
  struct rfl_json_scan s = {.at = first, .end = first + (text.p ? text.n : 0)};
  if (!rfl_json_skip(&s, 0) ||
      (rfl_json_peek(&s) != -1 && !rfl_json_bad(&s, s.at, "text after the value"))) {
    if (at) *at = (size_t)(s.at - first);
    return s.why;
  }
  return NULL;
}
