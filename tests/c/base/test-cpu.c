#include "base/cpu.h"

#include "base/clock.h"
#include "harness.h"

TEST(levels_have_names_that_are_parsed_back) {
  for (int level = RFL_CPU_BASE; level <= RFL_CPU_AVX512; level++)
    CHECK_EQ(rfl_cpu_parse(rfl_cpu_name((enum rfl_cpu)level)), level);
  CHECK_EQ(rfl_cpu_parse("best"), rfl_cpu_best());
  CHECK_EQ(rfl_cpu_parse(NULL), rfl_cpu_best());
  CHECK_EQ(rfl_cpu_parse(""), -1);
  CHECK_EQ(rfl_cpu_parse("avx"), -1);
  CHECK_EQ(rfl_cpu_parse("AVX2"), -1);
}

TEST(the_level_is_the_best_until_told_and_never_above) {
  CHECK_EQ(rfl_cpu_level(), rfl_cpu_best());
  rfl_cpu_use(RFL_CPU_BASE);
  CHECK_EQ(rfl_cpu_level(), RFL_CPU_BASE);
  rfl_cpu_use(RFL_CPU_AVX512);
  CHECK_EQ(rfl_cpu_level(), rfl_cpu_best());
}

TEST(monotonic_time_never_goes_back) {
  int64_t last = rfl_now_ns(), first = last;
  for (int i = 0; i < 10000; i++) {
    int64_t now = rfl_now_ns();
    CHECK(now >= last);
    last = now;
  }
  CHECK(last > first);
}

TEST(wall_time_is_after_this_was_written) {
  int64_t written_us = INT64_C(1795000000) * 1000000; /* November 2026 */
  CHECK(rfl_wall_us() > written_us - INT64_C(400) * 86400 * 1000000);
}

TEST(work_costs_cpu_time) {
  int64_t before = rfl_cpu_ns();
  volatile double x = 1;
  for (int i = 0; i < 2000000; i++) x = x * 1.0000001;
  CHECK(rfl_cpu_ns() > before);
}

int main(void) {
  RUN(the_level_is_the_best_until_told_and_never_above);
  RUN(levels_have_names_that_are_parsed_back);
  RUN(monotonic_time_never_goes_back);
  RUN(wall_time_is_after_this_was_written);
  RUN(work_costs_cpu_time);
  return harness_end();
}
