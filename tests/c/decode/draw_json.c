#include "draw_json.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {"",
                                    "NZ",
                                    "a text of more than sixteen",
                                    "a text that is longer than thirty-two bytes",
                                    "K\303\270benhavn",
                                    "\xf0\x9d\x84\x9e\" \\",
                                    "null",
                                    "2019-11-24",
                                    "2019-11-24T00:03:13.442536Z"};
enum {
  N_WORDS = sizeof words / sizeof *words,
  DATE = N_WORDS - 2,
  INSTANT = N_WORDS - 1
};

static void say_space(struct dice *d, struct text *t) {
  while (below(d, 8) == 0) say(t, &" \n\r\t"[below(d, 4)], 1);
}

static void say_string(struct dice *d, struct text *t, const char *what) {
  say_text(t, "\"");
  for (const char *p = what; *p; p++) {
    char escape[8];
    bool plain = *p != '"' && *p != '\\';
    if ((unsigned char)*p < 0x80 && (!plain || below(d, 12) == 0)) {
      snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*p);
      say_text(t, escape);
    } else {
      say(t, p, 1);
    }
  }
  say_text(t, "\"");
}

/* Integers near the ends of the types, also as 5.0; or with fractions and exponents. */
static void say_number(struct dice *d, struct text *t, bool whole) {
  static const uint64_t bounds[] = {1, 10, 1000, INT32_MAX, UINT64_C(1) << 53, INT64_MAX};
  char text[64];
  uint64_t x = (roll(d) >> 1) % bounds[below(d, whole ? 4 : 6)];
  int n = snprintf(text, sizeof text, "%s%llu", below(d, 2) ? "-" : "",
                   (unsigned long long)x);
  if (!whole && below(d, 2))
    n += snprintf(text + n, 16, ".%u", (unsigned)below(d, 99999));
  else if (below(d, 6) == 0)
    n += snprintf(text + n, 16, ".0");
  if (!whole && below(d, 4) == 0)
    n += snprintf(text + n, 16, "e%d", (int)below(d, 40) - 20);
  say(t, text, (size_t)n);
}

static void say_any_word(struct dice *d, struct text *t) {
  say_string(d, t, words[below(d, N_WORDS)]);
}

void say_anything(struct dice *d, struct text *t, int depth) {
  static const char *const plain[] = {"null", "true", "false"};
  size_t n = below(d, 4), kind = below(d, depth > 3 ? 5 : 7);
  if (kind == 0) say_number(d, t, false);
  if (kind == 1) say_any_word(d, t);
  if (kind >= 2 && kind < 5) say_text(t, plain[kind - 2]);
  if (kind < 5) return;
  say_text(t, kind == 5 ? "[" : "{");
  for (size_t i = 0; i < n; i++) {
    if (i) say_text(t, ",");
    say_space(d, t);
    if (kind == 6) say_any_word(d, t);
    if (kind == 6) say_text(t, ":");
    say_anything(d, t, depth + 1);
    say_space(d, t);
  }
  say_text(t, kind == 5 ? "]" : "}");
}

static void say_fitting(struct dice *d, struct text *t, enum rfl_type type) {
  switch (type) {
    case RFL_LOGICAL:
      say_text(t, below(d, 2) ? "true" : "false");
      break;
    case RFL_INTEGER:
    case RFL_INTEGER64:
      say_number(d, t, true);
      break;
    case RFL_DOUBLE:
      say_number(d, t, below(d, 2));
      break;
    case RFL_TIMESTAMP:
      if (below(d, 2))
        say_text(t, "1574553793442");
      else
        say_string(d, t, words[INSTANT]);
      break;
    case RFL_DATE:
      say_string(d, t, words[DATE]);
      break;
    default:
      if (below(d, 9))
        say_any_word(d, t);
      else
        say_number(d, t, false);
  }
}

static void say_value(struct dice *d, struct text *t, enum rfl_type type) {
  if (below(d, 10) == 0)
    say_text(t, "null");
  else if (below(d, 60) == 0)
    say_anything(d, t, 0);
  else
    say_fitting(d, t, type);
}

struct fields {
  const struct rfl_field *field;
  size_t n;
};

static void say_object(struct dice *d, struct text *t, struct fields all,
                       const char *path);

/* The member that leads from `path` to the field: its value, or an object. */
static void say_member(struct dice *d, struct text *t, struct fields all,
                       const struct rfl_field *f, size_t path) {
  char text[64];
  size_t head = strcspn(f->name + path, ".");
  bool object = f->name[path + head] != '\0';
  snprintf(text, sizeof text, "%.*s", (int)head, f->name + path);
  say_string(d, t, text);
  say_space(d, t);
  say_text(t, ":");
  say_space(d, t);
  snprintf(text, sizeof text, "%.*s.", (int)(path + head), f->name);
  if (object && below(d, 12))
    say_object(d, t, all, text);
  else
    say_value(d, t, object ? RFL_LOGICAL : f->type);
}

static void say_object(struct dice *d, struct text *t, struct fields all,
                       const char *path) {
  bool first = true;
  say_text(t, "{");
  for (size_t k = 0, n = below(d, 2 * all.n); k < n; k++) {
    const struct rfl_field *f = &all.field[below(d, all.n)];
    bool stranger = f->meta || strncmp(f->name, path, strlen(path)) != 0;
    if (stranger && below(d, 4)) continue;
    if (!first) say_text(t, ",");
    first = false;
    say_space(d, t);
    if (stranger) {
      say_any_word(d, t);
      say_text(t, ":");
      say_anything(d, t, 0);
    } else {
      say_member(d, t, all, f, strlen(path));
    }
    say_space(d, t);
  }
  say_text(t, "}");
}

void say_record(struct dice *d, struct text *t, const struct rfl_field *field, size_t n) {
  say_object(d, t, (struct fields){field, n}, "");
}
