#include "reference.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "help.h"

enum what { NOTHING, WORD, NUMBER, STRING, ARRAY, OBJECT };
struct node {
  enum what what;
  char *text; /* WORD, NUMBER: the token; STRING: unescaped; with a NUL behind */
  size_t n;   /* bytes of text, or children */
  struct node **child;
  struct node **name; /* OBJECT: a STRING for each child */
};
struct parser {
  const unsigned char *p, *end;
  int depth;
};

void reference_free(struct node *x) {
  if (!x) return;
  for (size_t i = 0; x->child && i < x->n; i++) {
    reference_free(x->child[i]);
    if (x->name) reference_free(x->name[i]);
  }
  free(x->child);
  free(x->name);
  free(x->text);
  free(x);
}

static struct node *make(enum what what, const char *text, size_t n) {
  struct node *x = calloc(1, sizeof *x);
  x->what = what;
  x->text = calloc(n + 1, 1);
  if (n) memcpy(x->text, text, n);
  x->n = n;
  return x;
}

static void space(struct parser *s) {
  while (s->p < s->end && strchr(" \t\r\n", *s->p) && *s->p) s->p++;
}

static bool eat(struct parser *s, char c) {
  if (s->p == s->end || *s->p != (unsigned char)c) return false;
  s->p++;
  return true;
}

static long unit(struct parser *s) { /* XXXX */
  long x = 0;
  for (int i = 0; i < 4; i++, s->p++) {
    if (s->p == s->end || !isxdigit(*s->p)) return -1;
    x = x * 16 + (isdigit(*s->p) ? *s->p - '0' : tolower(*s->p) - 'a' + 10);
  }
  return x;
}

/* A character of UTF-8 as RFC 3629 defines it: decoded, then judged by its value. */
static long utf8(struct parser *s) {
  static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
  int n = *s->p < 0x80       ? 1
          : *s->p >> 5 == 6  ? 2
          : *s->p >> 4 == 14 ? 3
          : *s->p >> 3 == 30 ? 4
                             : 0;
  if (n == 0 || s->end - s->p < n) return -1;
  long x = n == 1 ? *s->p : *s->p & (0x7f >> n);
  for (int i = 1; i < n; i++) {
    if (s->p[i] >> 6 != 2) return -1;
    x = x << 6 | (s->p[i] & 0x3f);
  }
  s->p += n;
  return x < least[n] || x > 0x10ffff || (x >= 0xd800 && x < 0xe000) ? -1 : x;
}

static long escape(struct parser *s) { /* behind the backslash */
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (s->p == s->end) return -1;
  const char *at = *s->p ? strchr(from, *s->p) : NULL;
  if (at) {
    s->p++;
    return to[at - from];
  }
  if (!eat(s, 'u')) return -1;
  long x = unit(s);
  if (x < 0xd800 || x > 0xdfff) return x;
  if (x > 0xdbff || !eat(s, '\\') || !eat(s, 'u')) return -1;
  long low = unit(s);
  if (low < 0xdc00 || low > 0xdfff) return -1;
  return 0x10000 + (x - 0xd800) * 0x400 + (low - 0xdc00);
}

static struct node *string(struct parser *s) {
  if (!eat(s, '"')) return NULL;
  static struct text t;
  t.n = 0;
  struct node *x = NULL;
  while (s->p < s->end) {
    if (eat(s, '"')) {
      x = make(STRING, t.p, t.n);
      break;
    }
    if (*s->p < 0x20) break;
    long c = eat(s, '\\') ? escape(s) : utf8(s);
    if (c < 0) break;
    say_char(&t, (unsigned)c);
  }
  return x;
}

static struct node *number(struct parser *s) {
  const unsigned char *from = s->p;
  eat(s, '-');
  if (!eat(s, '0')) {
    if (s->p == s->end || !isdigit(*s->p)) return NULL;
    while (s->p < s->end && isdigit(*s->p)) s->p++;
  }
  if (eat(s, '.')) {
    if (s->p == s->end || !isdigit(*s->p)) return NULL;
    while (s->p < s->end && isdigit(*s->p)) s->p++;
  }
  if (eat(s, 'e') || eat(s, 'E')) {
    if (!eat(s, '+')) eat(s, '-');
    if (s->p == s->end || !isdigit(*s->p)) return NULL;
    while (s->p < s->end && isdigit(*s->p)) s->p++;
  }
  return make(NUMBER, (const char *)from, (size_t)(s->p - from));
}

static struct node *word(struct parser *s, const char *w) {
  size_t n = strlen(w);
  if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0) return NULL;
  s->p += n;
  return make(WORD, w, n);
}

static struct node *value(struct parser *s);

static bool add(struct node *to, struct node *name, struct node *child) {
  to->child = realloc(to->child, (to->n + 1) * sizeof *to->child);
  to->child[to->n] = child;
  if (to->what == OBJECT) {
    to->name = realloc(to->name, (to->n + 1) * sizeof *to->name);
    to->name[to->n] = name;
  }
  to->n++;
  return child && (to->what == ARRAY || name);
}

static struct node *container(struct parser *s, bool object) {
  char close = object ? '}' : ']';
  if (++s->depth > 1024) return NULL;
  struct node *x = make(object ? OBJECT : ARRAY, "", 0);
  s->p++;
  space(s);
  if (eat(s, close)) {
    s->depth--;
    return x;
  }
  for (;;) {
    space(s);
    struct node *name = object ? string(s) : NULL;
    space(s);
    bool good = !object || (name && eat(s, ':'));
    if (!add(x, name, good ? value(s) : NULL)) break;
    space(s);
    if (eat(s, close)) {
      s->depth--;
      return x;
    }
    if (!eat(s, ',')) break;
  }
  reference_free(x);
  return NULL;
}

static struct node *value(struct parser *s) {
  space(s);
  if (s->p == s->end) return NULL;
  switch (*s->p) {
    case '{':
      return container(s, true);
    case '[':
      return container(s, false);
    case '"':
      return string(s);
    case 't':
      return word(s, "true");
    case 'f':
      return word(s, "false");
    case 'n':
      return word(s, "null");
    default:
      return number(s);
  }
}

struct node *reference_parse(const char *text, size_t n) {
  struct parser s = {.p = (const unsigned char *)text};
  s.end = s.p + n;
  struct node *x = value(&s);
  space(&s);
  if (s.p == s.end) return x;
  reference_free(x);
  return NULL;
}

bool reference_is_object(const struct node *x) { return x->what == OBJECT; }

/* ---- values ---- */

/* The integer part of a number times 10^shift, by moving the point, digit for digit. It
 * must have at most 19 digits. *cut: something other than zeros was behind the point. */
static bool whole_digits(const char *token, int shift, char *to, bool *cut) {
  char digits[400];
  int n = 0, point = -1, out = 0;
  if (*token == '-') token++;
  for (; *token && *token != 'e' && *token != 'E'; token++) {
    if (*token == '.')
      point = n;
    else if (n < 300)
      digits[n++] = *token;
  }
  bool zero = true;
  for (int i = 0; i < n; i++) zero &= digits[i] == '0';
  long long e = *token && !zero ? atoll(token + 1) : 0;
  if (e > 400) e = 400;
  if (e < -400) e = -400;
  point = (point < 0 ? n : point) + (int)e + shift;
  *cut = !zero && point < 0;
  for (int i = 0; i < n || i < point; i++) {
    char c = i < n ? digits[i] : '0';
    *cut |= i >= point && c != '0';
    if (i >= point || (out == 0 && c == '0')) continue;
    if (out == 19) return false;
    to[out++] = c;
  }
  if (out == 0) to[out++] = '0';
  to[out] = '\0';
  return true;
}

static bool floored(const struct node *x, int shift, int64_t *y, bool *cut) {
  char digits[32];
  if (!whole_digits(x->text, shift, digits, cut)) return false;
  errno = 0;
  *y = strtoll(digits, NULL, 10);
  if (errno) return false;
  if (*x->text == '-') *y = -*y - *cut;
  return true;
}

static bool whole(const struct node *x, int shift, int64_t *y) {
  bool cut;
  return floored(x, shift, y, &cut) && !cut;
}

static bool plain(const struct node *x) { return !strpbrk(x->text, ".eE"); }

/* A plain integer is a double's value when that double prints as it. */
static bool real(const struct node *x, double *y) {
  char text[400];
  *y = strtod(x->text, NULL);
  if (isinf(*y)) return false;
  if (!plain(x) || fabs(*y) < 9007199254740992.0) return true;
  snprintf(text, sizeof text, "%.0f", *y);
  return strcmp(text, x->text) == 0;
}

static int significant(const char *token) {
  int n = 0, last = 0;
  for (; *token && *token != 'e' && *token != 'E'; token++) {
    if (!isdigit((unsigned char)*token)) continue;
    if (n || *token != '0') n++;
    if (*token != '0') last = n;
  }
  return last;
}

static void text_of(const struct node *x, char *to, size_t room) {
  int64_t i;
  double y = x->what == NUMBER ? strtod(x->text, NULL) : 0;
  if (x->what == NUMBER && whole(x, 0, &i))
    snprintf(to, room, "%lld", (long long)i);
  else if (x->what != NUMBER || plain(x) || significant(x->text) > 15 || isinf(y) ||
           fabs(y) < 2.2250738585072014e-308)
    snprintf(to, room, "%s", x->text);
  else
    to[rfl_print_double(to, y)] = '\0';
}

static bool same_text(const struct node *x, const struct rfl_column *c, size_t row) {
  static char canonical[1 << 16];
  struct rfl_bytes t = cell_text(c, row);
  if (x->what == STRING) return t.n == x->n && memcmp(t.p, x->text, t.n) == 0;
  text_of(x, canonical, sizeof canonical);
  return t.n == strlen(canonical) && memcmp(t.p, canonical, t.n) == 0;
}

static bool is_null(const struct node *x) {
  return !x || (x->what == WORD && *x->text == 'n');
}

static bool instant(const struct node *x, const struct rfl_field *f, int64_t *us) {
  int shift = f->per_second == 1 ? 6 : f->per_second == 1000000 ? 0 : 3;
  if (x->what == STRING)
    return rfl_parse_instant(x->text, x->text + x->n, us) == x->text + x->n;
  bool cut;
  return x->what == NUMBER && floored(x, shift, us, &cut);
}

/* Fits, and when `c` is given, is what its row holds. */
static bool scalar(const struct node *x, const struct rfl_field *f,
                   const struct rfl_column *c, size_t row) {
  int64_t i = 0;
  int32_t days;
  double y;
  if (is_null(x)) return !c || !rfl_column_has(c, row);
  if (c && !rfl_column_has(c, row)) return false;
  if (x->what == STRING && memchr(x->text, 0, x->n)) return false;
  switch (f->type) {
    case RFL_LOGICAL:
      return x->what == WORD && (!c || c->i32[row] == (*x->text == 't'));
    case RFL_INTEGER:
      return x->what == NUMBER && whole(x, 0, &i) && i <= INT32_MAX && i >= -INT32_MAX &&
             (!c || c->i32[row] == i);
    case RFL_INTEGER64:
      return x->what == NUMBER && whole(x, 0, &i) && (!c || c->i64[row] == i);
    case RFL_DOUBLE:
      return x->what == NUMBER && real(x, &y) &&
             (!c || memcmp(&c->f64[row], &y, sizeof y) == 0);
    case RFL_TIMESTAMP:
      return instant(x, f, &i) && (!c || c->i64[row] == i);
    case RFL_DATE:
      return x->what == STRING &&
             rfl_parse_date(x->text, x->text + x->n, &days) == x->text + x->n &&
             (!c || c->i32[row] == days);
    default:
      return x->what < ARRAY && (!c || same_text(x, c, row));
  }
}

/* ---- paths ---- */

static bool named(const struct node *name, const char *path, size_t n) {
  return name->n == n && memcmp(name->text, path, n) == 0;
}

/* All values at `path` fit; what is on the way is an object or null. */
static bool fits(const struct node *x, const char *path, const struct rfl_field *f) {
  if (x->what != OBJECT) return is_null(x);
  size_t head = strcspn(path, ".");
  for (size_t i = 0; i < x->n; i++) {
    if (!named(x->name[i], path, head)) continue;
    const struct node *child = x->child[i];
    if (path[head] ? !fits(child, path + head + 1, f) : !scalar(child, f, NULL, 0))
      return false;
  }
  return true;
}

bool reference_fits(const struct node *record, const struct rfl_schema *schema) {
  for (size_t c = 0; c < schema->n; c++)
    if (!schema->field[c].meta && !fits(record, schema->field[c].name, &schema->field[c]))
      return false;
  return true;
}

bool reference_holds(const struct node *record, const struct rfl_field *f,
                     const struct rfl_column *c, size_t row) {
  if (f->meta) return !rfl_column_has(c, row);
  const struct node *x = record;
  for (const char *path = f->name; x && x->what == OBJECT;) {
    size_t head = strcspn(path, ".");
    const struct node *last = NULL;
    for (size_t i = 0; i < x->n; i++)
      if (named(x->name[i], path, head)) last = x->child[i];
    x = last;
    if (!path[head]) break;
    path += head + 1;
  }
  return scalar(x, f, c, row);
}
