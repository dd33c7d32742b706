#include "kafka/nearest.h"

#include <string.h>

enum { LONGEST = 96 }; /* longer names are not compared: a message is not worth more */

static size_t least(size_t a, size_t b, size_t c) {
  size_t m = a < b ? a : b;
  return m < c ? m : c;
}

static char folded(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

/* Levenshtein distance over two rows, case folded. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
  size_t row[LONGEST + 1];
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t above = row[j];
      size_t change = diagonal + (folded(a[i - 1]) != folded(b[j - 1]));
      row[j] = least(above + 1, row[j - 1] + 1, change);
      diagonal = above;
    }
  }
  return row[m];
}

const char *rfl_nearest(const char *name, const char *const *candidate, size_t n) {
  size_t len = strlen(name);
  if (len > LONGEST) return NULL;
  size_t best = len / 3 + 1; /* nearest so far is nearer than this */
  if (best > 4) best = 4;
  const char *found = NULL;
  for (size_t i = 0; i < n; i++) {
    size_t m = strlen(candidate[i]);
    if (m > LONGEST) continue;
    size_t d = distance(name, len, candidate[i], m);
    if (d >= best) continue;
    best = d;
    found = candidate[i];
  }
  return found;
}
