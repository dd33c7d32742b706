#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "learn/ftrl_state.h"

enum { KEY = 8, HASHES = 3 };

void ftrl_dict_release(struct ftrl_dict *d) {
  rfl_free(d->entry);
  rfl_free(d->index);
  rfl_free(d->seen);
  *d = (struct ftrl_dict){0};
}

enum rfl_code ftrl_dict_count_sights(struct ftrl_dict *d, struct rfl_err *err) {
  d->seen = rfl_alloc(FTRL_SEEN, 1);
  return d->seen ? RFL_OK : rfl_no_memory(err);
}

static uint64_t key_at(const struct ftrl_dict *d, size_t e, size_t stride) {
  uint64_t key;
  memcpy(&key, d->entry + e * stride, KEY);
  return key;
}

/* Keys are hashes, so their low bits may choose the place; mixed once more, since a
 * stored model may hold keys that somebody chose. */
static size_t place(uint64_t key, size_t size) {
  return (size_t)(rfl_random(0x66747264, key, 0)) & (size - 1);
}

static void put(uint64_t *index, size_t size, uint64_t key, size_t e) {
  size_t i = place(key, size);
  while (index[i]) i = (i + 1) & (size - 1);
  index[i] = (key >> 32 << 32) | (uint64_t)(e + 1);
}

enum rfl_code ftrl_dict_reserve(struct ftrl_dict *d, size_t more, size_t pair_size,
                                struct rfl_err *err) {
  size_t need = d->n + more, stride = KEY + pair_size;
  if (need <= d->cap) return RFL_OK;
  if (need > UINT32_MAX / 2)
    return rfl_fail(err, RFL_EMODEL, "The dictionary of a model is full: %zu values.",
                    d->n);
  if (need < d->cap + d->cap / 2) need = d->cap + d->cap / 2;
  size_t size = d->index_size ? d->index_size : 16;
  while (size < 2 * need) size *= 2;
  uint64_t *index = d->index;
  if (size > d->index_size && !(index = rfl_alloc(size, sizeof *index)))
    return rfl_no_memory(err);
  uint8_t *entry = rfl_grow(d->entry, need, stride);
  if (!entry) {
    if (index != d->index) rfl_free(index);
    return rfl_no_memory(err);
  }
  d->entry = entry;
  d->cap = need;
  if (index == d->index) return RFL_OK;
  for (size_t e = 0; e < d->n; e++) put(index, size, key_at(d, e, stride), e);
  rfl_free(d->index);
  d->index = index;
  d->index_size = size;
  return RFL_OK;
}

void *ftrl_dict_find(const struct ftrl_dict *d, uint64_t key, size_t pair_size) {
  if (!d->n) return NULL;
  size_t stride = KEY + pair_size;
  for (size_t i = place(key, d->index_size); d->index[i];
       i = (i + 1) & (d->index_size - 1)) {
    if ((d->index[i] ^ key) >> 32) continue;
    size_t e = (uint32_t)d->index[i] - 1;
    if (key_at(d, e, stride) == key) return d->entry + e * stride + KEY;
  }
  return NULL;
}

void ftrl_dict_prefetch(const struct ftrl_dict *d, uint64_t key) {
  if (d->n) __builtin_prefetch(&d->index[place(key, d->index_size)]);
}

void *ftrl_dict_enter(struct ftrl_dict *d, uint64_t key, size_t pair_size) {
  size_t e = d->n++;
  uint8_t *entry = d->entry + e * (KEY + pair_size);
  memcpy(entry, &key, KEY);
  memset(entry + KEY, 0, pair_size);
  put(d->index, d->index_size, key, e);
  return entry + KEY;
}

bool ftrl_dict_sight(struct ftrl_dict *d, uint64_t key, int32_t admit) {
  if (!d->seen) return true;
  uint8_t *at[HASHES], least = UINT8_MAX;
  for (size_t k = 0; k < HASHES; k++) {
    at[k] = &d->seen[rfl_random(0x7365656e, key, k) % FTRL_SEEN];
    if (*at[k] < least) least = *at[k];
  }
  for (size_t k = 0; k < HASHES; k++)
    if (*at[k] == least && least < UINT8_MAX) *at[k] = (uint8_t)(least + 1);
  return least + 1 >= admit;
}

enum rfl_code ftrl_dict_copy(const struct ftrl_dict *from, struct ftrl_dict *gives,
                             size_t pair_size, struct rfl_err *err) {
  struct ftrl_dict d = {.n = from->n, .cap = from->n, .index_size = from->index_size};
  size_t stride = KEY + pair_size;
  bool ok = true;
  if (from->cap) {
    d.entry = rfl_alloc(from->n, stride);
    d.index = rfl_alloc(d.index_size, sizeof *d.index);
    ok = d.entry && d.index;
  }
  if (ok && from->seen) ok = (d.seen = rfl_alloc(FTRL_SEEN, 1)) != NULL;
  if (!ok) {
    ftrl_dict_release(&d);
    return rfl_no_memory(err);
  }
  if (from->n) memcpy(d.entry, from->entry, from->n * stride);
  if (d.index) memcpy(d.index, from->index, d.index_size * sizeof *d.index);
  if (d.seen) memcpy(d.seen, from->seen, FTRL_SEEN);
  *gives = d;
  return RFL_OK;
}

size_t ftrl_dict_size(const struct ftrl_dict *d, size_t pair_size) {
  return d->cap * (KEY + pair_size) + d->index_size * sizeof *d->index +
         (d->seen ? FTRL_SEEN : 0);
}
