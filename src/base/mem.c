/* Every allocation of the core passes through here: one counter of what is alive, so
 * that tests can demand zero, and one fuse, so that tests can make the k-th allocation
 * fail. Both cost one relaxed atomic operation an allocation. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { ALIGNMENT = 64, FUSE_OFF = 0, FUSE_AFTER = 1, FUSE_ONCE = 2 };

static atomic_int_least64_t live;
static atomic_int fuse_mode;
static atomic_int_least64_t fuse_left; /* allocations that still succeed */
static atomic_int fuse_blown;

static int blows(void) {
  int mode = atomic_load_explicit(&fuse_mode, memory_order_relaxed);
  if (mode == FUSE_OFF) return 0;
  int64_t left = atomic_fetch_sub(&fuse_left, 1);
  if (mode == FUSE_ONCE ? left != 0 : left > 0) return 0;
  atomic_store(&fuse_blown, 1);
  return 1;
}

static void *counted(void *p) {
  if (p) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
  return p;
}

static void uncount(void) { atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed); }

/* A length out of damaged bytes can ask for anything. 512 GB in one piece is never right,
 * and refusing it here spares the allocators that would rather abort. */
static bool too_much(size_t n, size_t size, size_t *bytes) {
  const uint64_t most = UINT64_C(1) << 39;
  return __builtin_mul_overflow(n, size, bytes) || *bytes > most;
}

void *rfl_alloc(size_t n, size_t size) {
  size_t bytes;
  if (blows() || too_much(n, size, &bytes)) return NULL;
  return counted(calloc(bytes ? bytes : 1, 1));
}

void *rfl_grow(void *p, size_t n, size_t size) {
  size_t bytes;
  if (blows() || too_much(n, size, &bytes)) return NULL;
  void *moved = realloc(p, bytes ? bytes : 1);
  return p ? moved : counted(moved);
}

void *rfl_alloc_aligned(size_t n, size_t size) {
  size_t bytes;
  if (blows() || too_much(n, size, &bytes)) return NULL;
  bytes = (bytes / ALIGNMENT + (bytes % ALIGNMENT || bytes == 0)) * ALIGNMENT;
  void *p = aligned_alloc(ALIGNMENT, bytes);
  return counted(p ? memset(p, 0, bytes) : NULL);
}

void rfl_free(void *p) {
  if (!p) return;
  uncount();
  free(p);
}

void rfl_free_aligned(void *p) { rfl_free(p); /* C11: free() takes both kinds */ }

char *rfl_strndup(const char *text, size_t n) {
  if (n == SIZE_MAX) return NULL;
  char *copy = rfl_alloc(n + 1, 1);
  if (copy && n > 0) memcpy(copy, text, n);
  return copy;
}

char *rfl_strdup(const char *text) { return rfl_strndup(text, strlen(text)); }

int64_t rfl_mem_live(void) { return atomic_load(&live); }

static void set_fuse(int mode, int64_t k) {
  atomic_store(&fuse_left, k);
  atomic_store(&fuse_blown, 0);
  atomic_store(&fuse_mode, k < 0 ? FUSE_OFF : mode);
}

void rfl_mem_fail_after(int64_t k) { set_fuse(FUSE_AFTER, k); }

void rfl_mem_fail_once(int64_t k) { set_fuse(FUSE_ONCE, k); }

int rfl_mem_failed(void) { return atomic_load(&fuse_blown); }

#if defined(__linux__) && defined(MADV_HUGEPAGE) && defined(MADV_POPULATE_WRITE)
static void advise(void *p, size_t size, size_t page, int advice) {
  uintptr_t from = ((uintptr_t)p + page - 1) & ~(uintptr_t)(page - 1);
  uintptr_t end = ((uintptr_t)p + size) & ~(uintptr_t)(page - 1);
  if (end > from) madvise((void *)from, end - from, advice);
}

void rfl_mem_will_fill(void *p, size_t size) {
  const size_t small = 4096, large = (size_t)2 << 20;
  if (size >= 2 * large)
    advise(p, size, large, MADV_HUGEPAGE);
  else if (size >= 4 * small)
    advise(p, size, small, MADV_POPULATE_WRITE);
}
#else
void rfl_mem_will_fill(void *p, size_t size) {
  (void)p;
  (void)size;
}
#endif
