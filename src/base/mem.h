/* The only door to malloc. Counts what is alive, and can be told to fail.
 *
 *     double *x = rfl_alloc(n, sizeof *x);           // zeroed; NULL when there is none
 *     double *more = rfl_grow(x, 2 * n, sizeof *x);  // NULL: x is as it was
 *     if (more) x = more;
 *     rfl_free(x);                                   // NULL is fine
 *
 * A product n * size that overflows, or is over 512 GB, gives NULL like any other lack.
 * Invariant: rfl_mem_live() is 0 when every object was released. All functions [any
 * thread]. */
#ifndef RFL_BASE_MEM_H
#define RFL_BASE_MEM_H
#include <stddef.h>
#include <stdint.h>

void *rfl_alloc(size_t n, size_t size); /* n = 0 gives a pointer that may be freed */
/* What is new is not zeroed; p may be NULL. */
void *rfl_grow(void *p, size_t n, size_t size);
/* 64-byte aligned and zeroed; freed by rfl_free_aligned() only. */
void *rfl_alloc_aligned(size_t n, size_t size);
void rfl_free_aligned(void *p);
void rfl_free(void *p);
char *rfl_strdup(const char *text); /* NULL on no memory; `text` must not be NULL */
char *rfl_strndup(const char *text, size_t n);

/* Advice about memory, anybody's, that was just allocated and will be written from end to
 * end: large pages where it is large, else all its pages at once, since a page fault
 * costs more than what is written there. Changes no byte. */
void rfl_mem_will_fill(void *p, size_t size);

int64_t rfl_mem_live(void); /* allocations alive now */

/* The fuse, for tests: the k-th allocation from now fails, and all after it until
 * rfl_mem_fail_after(-1). k counts from 0. */
void rfl_mem_fail_after(int64_t k);
/* The same, but only the k-th fails. */
void rfl_mem_fail_once(int64_t k);
/* True when the fuse has blown since it was last set. */
int rfl_mem_failed(void);

#endif
