/* Time. Monotonic nanoseconds for deadlines, wall microseconds for what is written down.
 * [any thread] */
#ifndef RFL_BASE_CLOCK_H
#define RFL_BASE_CLOCK_H
#include <stdint.h>

int64_t rfl_now_ns(void);  /* monotonic */
int64_t rfl_wall_us(void); /* since 1970 UTC */
int64_t rfl_cpu_ns(void);  /* user + system time of this process, all threads */

enum { RFL_MS = 1000000, RFL_SECOND = 1000000000 };

#endif
