#include "base/mem.h"

#include <stdint.h>

#include "harness.h"

TEST(memory_is_zeroed_and_counted) {
  int64_t live = rfl_mem_live();
  unsigned char *p = rfl_alloc(1000, 3);
  CHECK(p != NULL);
  CHECK_EQ(rfl_mem_live(), live + 1);
  int sum = 0;
  for (int i = 0; i < 3000; i++) sum += p[i];
  CHECK_EQ(sum, 0);
  rfl_free(p);
  CHECK_EQ(rfl_mem_live(), live);
  rfl_free(NULL);
  CHECK_EQ(rfl_mem_live(), live);
}

TEST(nothing_asked_for_is_a_pointer_that_can_be_freed) {
  void *a = rfl_alloc(0, 8), *b = rfl_alloc(8, 0), *c = rfl_alloc_aligned(0, 0);
  void *d = rfl_grow(NULL, 0, 8);
  CHECK(a && b && c && d);
  d = rfl_grow(d, 0, 8);
  CHECK(d != NULL);
  rfl_free(a);
  rfl_free(b);
  rfl_free_aligned(c);
  rfl_free(d);
}

/* The products are 2^64 or more; volatile, or the compiler sees through it. */
TEST(sizes_that_overflow_are_refused) {
  volatile size_t half = SIZE_MAX / 2 + 1;
  CHECK(rfl_alloc(half, 2) == NULL);
  CHECK(rfl_alloc_aligned(half, 2) == NULL);
  CHECK(rfl_alloc_aligned(SIZE_MAX - 8, half / half) == NULL);
  CHECK(rfl_alloc(half, 1) == NULL);
  CHECK(rfl_alloc(1, ((size_t)1 << 39) + half % 2 + 1) == NULL);
  char *p = rfl_alloc(4, 1);
  memcpy(p, "abc", 4);
  CHECK(rfl_grow(p, half, 2) == NULL);
  CHECK_STR(p, "abc");
  CHECK(rfl_strndup("x", SIZE_MAX) == NULL);
  rfl_free(p);
}

TEST(advice_changes_nothing_but_speed) {
  size_t n = (size_t)5 << 20;
  unsigned char *p = rfl_alloc(n, 1);
  CHECK(p != NULL);
  if (!p) return;
  p[0] = 1;
  p[n - 1] = 2;
  p[n / 2] = 3;
  rfl_mem_will_fill(p, n);
  rfl_mem_will_fill(p, 100000);
  rfl_mem_will_fill(p + 1, 100);
  rfl_mem_will_fill(NULL, 0);
  size_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += p[i];
  CHECK_EQ(sum, 6);
  CHECK(p[0] == 1 && p[n - 1] == 2 && p[n / 2] == 3);
  rfl_free(p);
}

TEST(aligned_memory_is_aligned_and_zeroed) {
  for (size_t n = 0; n < 200; n++) {
    unsigned char *p = rfl_alloc_aligned(n, 1);
    CHECK(p != NULL);
    CHECK_EQ((uintptr_t)p % 64, 0);
    for (size_t i = 0; i < n; i++) CHECK_EQ(p[i], 0);
    rfl_free_aligned(p);
  }
}

TEST(grow_keeps_what_was_there) {
  int *p = NULL;
  for (int n = 1; n <= 1000; n++) {
    int *more = rfl_grow(p, (size_t)n, sizeof *p);
    CHECK(more != NULL);
    p = more;
    p[n - 1] = n;
  }
  for (int i = 0; i < 1000; i++) CHECK_EQ(p[i], i + 1);
  rfl_free(p);
}

TEST(grow_keeps_the_old_block_when_it_fails) {
  int64_t live = rfl_mem_live();
  char *p = rfl_strdup("kept");
  rfl_mem_fail_after(0);
  CHECK(rfl_grow(p, 1000, 1) == NULL);
  CHECK(rfl_grow(NULL, 1000, 1) == NULL);
  rfl_mem_fail_after(-1);
  CHECK_STR(p, "kept");
  CHECK_EQ(rfl_mem_live(), live + 1);
  rfl_free(p);
}

TEST(copies_of_text_end_with_a_zero) {
  char *a = rfl_strdup(""), *b = rfl_strndup("riffle", 3), *c = rfl_strndup(NULL, 0);
  CHECK_STR(a, "");
  CHECK_STR(b, "rif");
  CHECK_STR(c, "");
  rfl_free(a);
  rfl_free(b);
  rfl_free(c);
}

TEST(the_fuse_blows_at_the_kth_allocation_and_after) {
  rfl_mem_fail_after(2);
  void *p[5];
  for (int i = 0; i < 5; i++) p[i] = i == 3 ? rfl_alloc_aligned(1, 1) : rfl_alloc(1, 1);
  CHECK(p[0] && p[1] && !p[2] && !p[3] && !p[4]);
  CHECK(rfl_mem_failed());
  rfl_mem_fail_after(-1);
  CHECK(!rfl_mem_failed());
  for (int i = 0; i < 2; i++) rfl_free(p[i]);
}

TEST(the_fuse_can_blow_once) {
  rfl_mem_fail_once(1);
  char *a = rfl_strdup("a"), *b = rfl_strdup("b"), *c = rfl_strdup("c");
  CHECK(a && !b && c);
  CHECK(rfl_mem_failed());
  rfl_mem_fail_after(-1);
  rfl_free(a);
  rfl_free(c);
}

TEST(a_fuse_that_was_not_reached_has_not_blown) {
  rfl_mem_fail_after(5);
  rfl_free(rfl_alloc(1, 1));
  CHECK(!rfl_mem_failed());
  rfl_mem_fail_after(-1);
}

int main(void) {
  RUN(memory_is_zeroed_and_counted);
  RUN(nothing_asked_for_is_a_pointer_that_can_be_freed);
  RUN(sizes_that_overflow_are_refused);
  RUN(advice_changes_nothing_but_speed);
  RUN(aligned_memory_is_aligned_and_zeroed);
  RUN(grow_keeps_what_was_there);
  RUN(grow_keeps_the_old_block_when_it_fails);
  RUN(copies_of_text_end_with_a_zero);
  RUN(the_fuse_blows_at_the_kth_allocation_and_after);
  RUN(the_fuse_can_blow_once);
  RUN(a_fuse_that_was_not_reached_has_not_blown);
  return harness_end();
}
