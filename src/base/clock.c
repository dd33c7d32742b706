#include "base/clock.h"

#include <time.h>

static int64_t nanoseconds(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t) != 0) return 0;
  return (int64_t)t.tv_sec * RFL_SECOND + t.tv_nsec;
}

int64_t rfl_now_ns(void) { return nanoseconds(CLOCK_MONOTONIC); }

int64_t rfl_wall_us(void) { return nanoseconds(CLOCK_REALTIME) / 1000; }

int64_t rfl_cpu_ns(void) { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }
