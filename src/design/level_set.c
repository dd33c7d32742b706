/* A set of levels: their texts, and an open-addressed table to find them by. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "design/compiled.h"

void levels_release(struct level_set *s) {
  for (int32_t k = 0; s->text && k < s->n; k++) rfl_free(s->text[k]);
  rfl_free(s->text);
  rfl_free(s->slot);
}

int32_t level_find(const struct level_set *s, const char *text, size_t n) {
  if (!s->n) return -1;
  for (uint64_t at = rfl_hash(0, text, n);; at++) {
    int32_t k = s->slot[at & s->mask] - 1;
    if (k < 0) return -1;
    if (strlen(s->text[k]) == n && memcmp(s->text[k], text, n) == 0) return k;
  }
}

enum rfl_code levels_new(struct level_set *s, const char *const *level, int32_t n,
                         struct rfl_err *err) {
  if (n < 0 || n > INT32_MAX / 4)
    return rfl_fail(err, RFL_EARGUMENT, "A variable cannot have %d levels.", n);
  size_t slots = 4;
  while (slots < 2 * (size_t)n) slots *= 2;
  s->mask = (uint32_t)slots - 1;
  s->text = rfl_alloc((size_t)n, sizeof *s->text);
  s->slot = rfl_alloc(slots, sizeof *s->slot);
  if (!s->text || !s->slot) return rfl_no_memory(err);
  for (int32_t k = 0; k < n; k++) {
    if (!level[k]) return rfl_fail(err, RFL_EARGUMENT, "A level cannot be missing.");
    size_t size = strlen(level[k]);
    if (level_find(s, level[k], size) >= 0)
      return rfl_fail(err, RFL_EARGUMENT, "The level '%s' is there twice.", level[k]);
    if (!(s->text[k] = rfl_strdup(level[k]))) return rfl_no_memory(err);
    s->n = k + 1;
    uint64_t at = rfl_hash(0, level[k], size);
    while (s->slot[at & s->mask]) at++;
    s->slot[at & s->mask] = k + 1;
  }
  return RFL_OK;
}
