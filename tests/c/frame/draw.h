/* Random draws for property tests: the same on every machine, from a seed that the test
 * writes down.
 *
 *     struct draw d = {.seed = 7};
 *     uint32_t die = draw_below(&d, 6);
 */
#ifndef RFL_TEST_DRAW_H
#define RFL_TEST_DRAW_H
#include "base/random.h"

struct draw {
  uint64_t seed, at;
};

static inline uint32_t draw_below(struct draw *d, uint32_t n) {
  return (uint32_t)(rfl_random(d->seed, 1, d->at++) % n);
}

/* A text of at most `most` bytes over three letters, so that prefixes and equal texts are
 * common; now and then with a NUL inside. Gives its length. */
static inline size_t draw_text(struct draw *d, char *to, size_t most) {
  size_t n = draw_below(d, (uint32_t)most + 1);
  for (size_t i = 0; i < n; i++) to[i] = "ab\xC3"[draw_below(d, 8) / 3];
  if (n && draw_below(d, 40) == 0) to[draw_below(d, (uint32_t)n)] = '\0';
  return n;
}

#endif
