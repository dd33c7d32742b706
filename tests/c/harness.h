/* The whole test framework. A test file has one TEST per idea, named by a sentence, and
 * lists them in RUN at its foot:
 *
 *     TEST(grow_keeps_the_old_block_when_it_fails) { CHECK(p != NULL); CHECK_EQ(n, 3); }
 *     int main(void) { RUN(grow_keeps_the_old_block_when_it_fails); return harness_end();
 * }
 *
 * Prints `not ok <name>: file:line: what` for failures, `ok <name>` for passes (one line
 * a test, read by tools/test), and fails a test that leaves allocations alive. */
#ifndef RFL_TEST_HARNESS_H
#define RFL_TEST_HARNESS_H
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"

static int harness_failed_, harness_tests_, harness_failures_, harness_skipped_;

#define TEST(name) static void test_##name(void)

#define RUN(name) harness_run_(#name, test_##name)

#define CHECK(cond)                                                           \
  do {                                                                        \
    if (!(cond)) harness_fail_(__FILE__, __LINE__, "%s", "not true: " #cond); \
  } while (0)

#define CHECK_EQ(a, b)                                                                \
  do {                                                                                \
    long long a_ = (long long)(a), b_ = (long long)(b);                               \
    if (a_ != b_)                                                                     \
      harness_fail_(__FILE__, __LINE__, "%s is %lld, not %s = %lld", #a, a_, #b, b_); \
  } while (0)

#define CHECK_STR(a, b)                                                 \
  do {                                                                  \
    const char *a_ = (a), *b_ = (b);                                    \
    if (!a_ || !b_ || strcmp(a_, b_) != 0)                              \
      harness_fail_(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a, \
                    a_ ? a_ : "NULL", b_ ? b_ : "NULL");                \
  } while (0)

#define CHECK_NEAR(a, b, tol)                                                           \
  do {                                                                                  \
    double a_ = (a), b_ = (b);                                                          \
    if (!(fabs(a_ - b_) <= (tol)))                                                      \
      harness_fail_(__FILE__, __LINE__, "%s is %.17g, not %s = %.17g", #a, a_, #b, b_); \
  } while (0)

/* RFL_OK or a failure that shows the message. */
#define CHECK_OK(expr, err)                                             \
  do {                                                                  \
    enum rfl_code code_ = (expr);                                       \
    if (code_) harness_fail_(__FILE__, __LINE__, "%s", (err)->message); \
  } while (0)

#define SKIP(why)             \
  do {                        \
    harness_skipped_++;       \
    printf("skip %s\n", why); \
    return;                   \
  } while (0)

/* Run `body` (an expression that returns enum rfl_code and leaves nothing behind) with
 * the k-th allocation failing, for every k until it succeeds; checks that each failure is
 * RFL_ENOMEM and that nothing leaks. Gives the number of allocations swept. */
#define SWEEP(body)                      \
  do {                                   \
    int64_t before_ = rfl_mem_live();    \
    for (int64_t k_ = 0;; k_++) {        \
      rfl_mem_fail_after(k_);            \
      enum rfl_code code_ = (body);      \
      int blown_ = rfl_mem_failed();     \
      rfl_mem_fail_after(-1);            \
      CHECK_EQ(rfl_mem_live(), before_); \
      if (!blown_) {                     \
        CHECK_EQ(code_, RFL_OK);         \
        break;                           \
      }                                  \
      CHECK_EQ(code_, RFL_ENOMEM);       \
      if (harness_failed_) break;        \
    }                                    \
  } while (0)

/* The first failure of a test is shown. */
__attribute__((format(printf, 3, 4))) static inline void harness_fail_(const char *file,
                                                                       int line,
                                                                       const char *fmt,
                                                                       ...) {
  if (!harness_failed_) {
    va_list args;
    va_start(args, fmt);
    printf("not ok at %s:%d: ", file, line);
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
  }
  harness_failed_ = 1;
}

static inline void harness_run_(const char *name, void (*test)(void)) {
  const char *only = getenv("RFL_ONLY");
  if (only && !strstr(name, only)) return;
  int64_t live = rfl_mem_live();
  int skipped = harness_skipped_;
  harness_failed_ = 0;
  test();
  if (!harness_failed_ && rfl_mem_live() != live) {
    printf("not ok %s: %lld allocations left alive\n", name,
           (long long)(rfl_mem_live() - live));
    harness_failed_ = 1;
  } else if (harness_failed_) {
    printf("not ok %s\n", name);
  } else if (skipped == harness_skipped_) {
    printf("ok %s\n", name);
  }
  harness_tests_++;
  harness_failures_ += harness_failed_;
  fflush(stdout);
}

static inline int harness_end(void) {
  printf("# %d passed, %d failed, %d skipped\n",
         harness_tests_ - harness_failures_ - harness_skipped_, harness_failures_,
         harness_skipped_);
  return harness_failures_ != 0;
}

/* Call first in main() of numeric tests: RIFFLE_CPU=base forces the plain kernels. */
static inline void harness_cpu(void) {
  int level = rfl_cpu_parse(getenv("RIFFLE_CPU"));
  if (level >= 0) rfl_cpu_use((enum rfl_cpu)level);
}

#endif
