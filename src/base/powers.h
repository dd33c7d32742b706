/* The powers of ten to 128 bits, which both directions of text <-> double need.
 *
 *     struct rfl_power p = rfl_power_of_ten(-5);
 *     // 10^-5 = (p.high * 2^64 + p.low) * 2^(rfl_power_log2(-5) - 127), rounded up
 *
 * Invariant: the highest bit of p.high is set; exact for powers 0 to 55, else the true
 * value is less by under one unit of p.low. [any thread] */
#ifndef RFL_BASE_POWERS_H
#define RFL_BASE_POWERS_H
#include <stdint.h>

enum { RFL_POWER_MIN = -342, RFL_POWER_MAX = 324, RFL_POWER_EXACT = 55 };

struct rfl_power {
  uint64_t high, low;
};

struct rfl_power rfl_power_of_ten(int power);

/* floor(x / 2^bits), also for negative x. */
static inline int rfl_floor_shift(int x, int bits) {
  return x < 0 ? ~(~x >> bits) : x >> bits;
}

/* floor(log2(10^power)), for |power| <= 1233. */
static inline int rfl_power_log2(int power) {
  return rfl_floor_shift(power * 1741647, 19);
}

#endif
