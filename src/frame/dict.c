#include <assert.h>

#include "base/mem.h"
#include "frame/dict_inline.h"

/* Text lives in a stack of blocks: levels are added at the end and taken back from the
 * end, so a block is freed only when every level in it was cut. */
struct rfl_dict_arena {
  struct rfl_dict_arena *below;
  size_t used, room;
  char text[];
};

enum { TABLE_AT_FIRST = 16, BLOCK_AT_FIRST = 1024, BLOCK_AT_MOST = 1 << 20 };
static const uint32_t TABLE_AT_MOST = UINT32_C(1) << 31;

enum rfl_code rfl_dict_new(struct rfl_dict **gives, struct rfl_err *err) {
  struct rfl_dict *d = rfl_alloc(1, sizeof *d);
  if (!d) return rfl_no_memory(err);
  d->refs = 1;
  d->seed = rfl_dict_mix((uint64_t)(uintptr_t)d | 1, 0xA0761D6478BD642FULL);
  d->short_mask = d->long_mask = TABLE_AT_FIRST - 1;
  d->shorts = rfl_alloc(TABLE_AT_FIRST, sizeof *d->shorts);
  d->longs = rfl_alloc(TABLE_AT_FIRST, sizeof *d->longs);
  if (!d->shorts || !d->longs) {
    rfl_dict_release(d);
    return rfl_no_memory(err);
  }
  *gives = d;
  return RFL_OK;
}

struct rfl_dict *rfl_dict_keep(struct rfl_dict *d) {
  __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
  return d;
}

static void pop_arena(struct rfl_dict *d) {
  struct rfl_dict_arena *top = d->arena;
  d->arena = top->below;
  rfl_free(top);
}

void rfl_dict_release(struct rfl_dict *d) {
  if (!d || __atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
  while (d->arena) pop_arena(d);
  for (int k = 0; k < RFL_DICT_CHUNKS; k++) rfl_free(d->chunk[k]);
  rfl_free(d->shorts);
  rfl_free(d->longs);
  rfl_free(d);
}

/* Level `code` is in chunk k at *at; chunk k begins at level 64 * 2^k - 64. */
static int locate(int32_t code, uint32_t *at) {
  uint32_t x = (uint32_t)code + 64;
  int k = 25 - __builtin_clz(x);
  *at = x - (UINT32_C(64) << k);
  return k;
}

struct rfl_bytes rfl_dict_level(const struct rfl_dict *d, int32_t code) {
  uint32_t at;
  int k = locate(code, &at);
  const struct rfl_dict_level *level = &d->chunk[k][at];
  return (struct rfl_bytes){(const uint8_t *)level->text, level->n};
}

int32_t rfl_dict_size(const struct rfl_dict *d) { return d->size; }

static void short_words(const char *p, size_t n, uint64_t *a, uint64_t *b) {
  uint64_t words[2] = {0, 0};
  if (n) memcpy(words, p, n);
  *a = words[0];
  *b = words[1];
}

static uint64_t hash_long(uint64_t seed, const char *p, size_t n) {
  if (n <= 32) return rfl_dict_hash_32(seed, p, n);
  uint64_t hash = seed ^ n;
  size_t i = 0;
  for (; i + 16 < n; i += 16)
    hash = rfl_dict_mix(rfl_dict_word(p + i) ^ hash,
                        rfl_dict_word(p + i + 8) ^ 0xE7037ED1A0B428DBULL);
  return rfl_dict_mix(rfl_dict_word(p + n - 16) ^ hash,
                      rfl_dict_word(p + n - 8) ^ 0x589965CC75374CC3ULL);
}

int32_t rfl_dict_find(const struct rfl_dict *d, const char *text, size_t n) {
  if (n <= RFL_DICT_SHORT) {
    uint64_t a, b;
    short_words(text, n, &a, &b);
    return rfl_dict_probe_short(d, a, b, n);
  }
  uint64_t hash = hash_long(d->seed, text, n);
  for (uint64_t i = hash;; i++) {
    const struct rfl_dict_long *e = &d->longs[i & d->long_mask];
    if (!e->code1) return -1;
    if (e->hash == hash && e->n == n && memcmp(e->text, text, n) == 0)
      return (int32_t)e->code1 - 1;
  }
}

static void place_short(struct rfl_dict_short *table, uint32_t mask, uint64_t hash,
                        const struct rfl_dict_short *entry) {
  while (table[hash & mask].code1) hash++;
  table[hash & mask] = *entry;
}

static void place_long(struct rfl_dict_long *table, uint32_t mask,
                       const struct rfl_dict_long *entry) {
  uint64_t i = entry->hash;
  while (table[i & mask].code1) i++;
  table[i & mask] = *entry;
}

static struct rfl_dict_short short_entry(const char *text, size_t n, uint32_t code1) {
  struct rfl_dict_short e = {.n = (uint32_t)n, .code1 = code1};
  short_words(text, n, &e.a, &e.b);
  return e;
}

/* Twice the table, filled by rising level. */
static enum rfl_code widen_shorts(struct rfl_dict *d, struct rfl_err *err) {
  uint32_t mask = d->short_mask * 2 + 1;
  struct rfl_dict_short *table = rfl_alloc((size_t)mask + 1, sizeof *table);
  if (!table) return rfl_no_memory(err);
  for (int32_t code = 0; code < d->size; code++) {
    struct rfl_bytes t = rfl_dict_level(d, code);
    if (t.n > RFL_DICT_SHORT) continue;
    struct rfl_dict_short e = short_entry((const char *)t.p, t.n, (uint32_t)code + 1);
    place_short(table, mask, rfl_dict_hash_short(d->seed, e.a, e.b, e.n), &e);
  }
  rfl_free(d->shorts);
  d->shorts = table;
  d->short_mask = mask;
  return RFL_OK;
}

static enum rfl_code widen_longs(struct rfl_dict *d, struct rfl_err *err) {
  uint32_t mask = d->long_mask * 2 + 1;
  struct rfl_dict_long *table = rfl_alloc((size_t)mask + 1, sizeof *table);
  if (!table) return rfl_no_memory(err);
  for (int32_t code = 0; code < d->size; code++) {
    struct rfl_bytes t = rfl_dict_level(d, code);
    if (t.n <= RFL_DICT_SHORT) continue;
    const char *text = (const char *)t.p;
    struct rfl_dict_long e = {hash_long(d->seed, text, t.n), text, (uint32_t)t.n,
                              (uint32_t)code + 1};
    place_long(table, mask, &e);
  }
  rfl_free(d->longs);
  d->longs = table;
  d->long_mask = mask;
  return RFL_OK;
}

static enum rfl_code make_room(struct rfl_dict *d, size_t n, struct rfl_err *err) {
  if (n > INT32_MAX || d->size == INT32_MAX || d->n_shorts >= TABLE_AT_MOST / 2 ||
      d->n_longs >= TABLE_AT_MOST / 2)
    return rfl_fail(err, RFL_EDATA,
                    "A factor cannot hold this level: %zu bytes, after %ld levels.", n,
                    (long)d->size);
  if (n <= RFL_DICT_SHORT && d->n_shorts > d->short_mask / 2)
    RFL_TRY(widen_shorts(d, err));
  if (n > RFL_DICT_SHORT && d->n_longs > d->long_mask / 2) RFL_TRY(widen_longs(d, err));
  uint32_t at;
  int k = locate(d->size, &at);
  if (!d->chunk[k]) {
    d->chunk[k] = rfl_alloc((size_t)64 << k, sizeof **d->chunk);
    if (!d->chunk[k]) return rfl_no_memory(err);
  }
  struct rfl_dict_arena *top = d->arena;
  if (top && top->room - top->used > n) return RFL_OK;
  size_t room = top ? top->room * 2 : BLOCK_AT_FIRST;
  if (room > BLOCK_AT_MOST) room = BLOCK_AT_MOST;
  if (room < n + 1) room = n + 1;
  struct rfl_dict_arena *block = rfl_grow(NULL, 1, sizeof *block + room);
  if (!block) return rfl_no_memory(err);
  block->below = top;
  block->used = 0;
  block->room = room;
  d->arena = block;
  return RFL_OK;
}

static enum rfl_code add(struct rfl_dict *d, const char *text, size_t n, int32_t *gives,
                         struct rfl_err *err) {
  RFL_TRY(make_room(d, n, err));
  char *copy = d->arena->text + d->arena->used;
  if (n) memcpy(copy, text, n);
  copy[n] = '\0';
  d->arena->used += n + 1;
  uint32_t at;
  int k = locate(d->size, &at);
  d->chunk[k][at] = (struct rfl_dict_level){copy, (uint32_t)n};
  uint32_t code1 = (uint32_t)d->size + 1;
  if (n <= RFL_DICT_SHORT) {
    struct rfl_dict_short e = short_entry(copy, n, code1);
    place_short(d->shorts, d->short_mask, rfl_dict_hash_short(d->seed, e.a, e.b, n), &e);
    d->n_shorts++;
  } else {
    struct rfl_dict_long e = {hash_long(d->seed, copy, n), copy, (uint32_t)n, code1};
    place_long(d->longs, d->long_mask, &e);
    d->n_longs++;
  }
  *gives = d->size++;
  return RFL_OK;
}

enum rfl_code rfl_dict_code(struct rfl_dict *d, const char *text, size_t n,
                            int32_t *gives, struct rfl_err *err) {
  int32_t code = rfl_dict_find(d, text, n);
  if (code < 0) return add(d, text, n, gives, err);
  *gives = code;
  return RFL_OK;
}

/* Takes the newest level out of its table. No other entry was placed past it because of
 * it, since every other one is older. */
static void take_out(struct rfl_dict *d, struct rfl_bytes level) {
  const char *text = (const char *)level.p;
  uint32_t code1 = (uint32_t)d->size;
  if (level.n <= RFL_DICT_SHORT) {
    struct rfl_dict_short e = short_entry(text, level.n, code1);
    uint64_t i = rfl_dict_hash_short(d->seed, e.a, e.b, e.n);
    while (d->shorts[i & d->short_mask].code1 != code1) i++;
    d->shorts[i & d->short_mask] = (struct rfl_dict_short){0};
    d->n_shorts--;
  } else {
    uint64_t i = hash_long(d->seed, text, level.n);
    while (d->longs[i & d->long_mask].code1 != code1) i++;
    d->longs[i & d->long_mask] = (struct rfl_dict_long){0};
    d->n_longs--;
  }
}

static bool in_arena(const struct rfl_dict_arena *a, const char *p) {
  uintptr_t at = (uintptr_t)p, from = (uintptr_t)a->text;
  return at >= from && at < from + a->used;
}

void rfl_dict_cut(struct rfl_dict *d, int32_t size) {
  assert(size >= 0);
  while (d->size > size) {
    struct rfl_bytes level = rfl_dict_level(d, d->size - 1);
    take_out(d, level);
    while (!in_arena(d->arena, (const char *)level.p)) pop_arena(d);
    d->arena->used = (size_t)((const char *)level.p - d->arena->text);
    d->size--;
  }
}
