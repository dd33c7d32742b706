/* Text to numbers, instants and dates, and the reader of stored bytes. The first byte
 * says which. Numbers are compared with the C library; what was read must print and read
 * back; whatever the bytes are, nothing may be touched outside them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/text.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

static void number(const char *at, const char *end) {
  double x = 0, again = 1;
  const char *rest = rfl_parse_double(at, end, &x);
  if (!rest) return;
  demand(rest > at && rest <= end);
  char *copy = malloc((size_t)(rest - at) + 1);
  memcpy(copy, at, (size_t)(rest - at));
  copy[rest - at] = '\0';
  double expected = strtod(copy, NULL);
  free(copy);
  demand(memcmp(&x, &expected, sizeof x) == 0);
  char text[RFL_DOUBLE_TEXT];
  size_t n = rfl_print_double(text, x);
  demand(n <= sizeof text);
  if (x - x != 0) return; /* an infinity has a name, not a number */
  demand(rfl_parse_double(text, text + n, &again) == text + n);
  demand(memcmp(&x, &again, sizeof x) == 0);
}

static void integer(const char *at, const char *end) {
  int64_t x = 0, again = 1;
  bool fits = false;
  const char *rest = rfl_parse_int64(at, end, &x, &fits);
  if (!rest || !fits) return;
  char text[RFL_DOUBLE_TEXT];
  size_t n = rfl_print_int64(text, x);
  demand(rfl_parse_int64(text, text + n, &again, &fits) == text + n);
  demand(fits && x == again);
}

static void instant(const char *at, const char *end) {
  int64_t us = 0, again = 1;
  int32_t days = 0, same = 1;
  char text[RFL_DOUBLE_TEXT];
  if (rfl_parse_instant(at, end, &us)) {
    size_t n = rfl_print_instant(text, us);
    demand(n <= sizeof text);
    /* An offset may lead out of the years that are read. */
    if (n == 27) demand(rfl_parse_instant(text, text + n, &again) && us == again);
  }
  if (rfl_parse_date(at, end, &days)) {
    size_t n = rfl_print_date(text, days);
    demand(rfl_parse_date(text, text + n, &same) && days == same);
  }
}

static void utf8(const char *at, const char *end) {
  size_t n = (size_t)(end - at);
  bool valid = rfl_utf8_valid(at, n);
  for (size_t cut = 0; cut <= n && cut < 64; cut++) {
    size_t whole = rfl_utf8_prefix(at, cut);
    demand(whole <= cut && cut - whole < 4);
    if (valid) demand(rfl_utf8_valid(at, whole));
  }
}

/* The first byte of each step is what to read next. */
static void stored(const uint8_t *at, const uint8_t *end) {
  struct rfl_reader r = {.at = at, .end = end};
  int64_t live = rfl_mem_live();
  while (!r.bad && r.at < r.end) {
    char *text = NULL;
    double x[3];
    int32_t i[3];
    struct rfl_bytes blob;
    switch (rfl_read_u8(&r) % 6) {
      case 0:
        if (!rfl_read_string(&r, &text, NULL) && text) demand(strlen(text) < 65536);
        rfl_free(text);
        break;
      case 1:
        blob = rfl_read_blob(&r);
        demand(blob.n <= (size_t)(end - at));
        break;
      case 2:
        rfl_read_doubles(&r, x, 3);
        break;
      case 3:
        rfl_read_i32s(&r, i, 3);
        break;
      case 4:
        demand(rfl_read_count(&r, 8) <= (size_t)(r.end - r.at) / 8);
        break;
      default:
        rfl_read_double(&r);
    }
  }
  if (rfl_read_done(&r, "It", NULL) == RFL_OK) demand(r.at == end);
  demand(rfl_mem_live() == live);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  if (n == 0) return 0;
  const char *at = (const char *)bytes + 1, *end = (const char *)bytes + n;
  switch (bytes[0]) {
    case 'i':
      integer(at, end);
      break;
    case 't':
      instant(at, end);
      break;
    case 'u':
      utf8(at, end);
      break;
    case 'b':
      stored(bytes + 1, bytes + n);
      break;
    default:
      number(at, end);
  }
  return 0;
}
