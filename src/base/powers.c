/* The table is computed when it is first needed (exactly, about a millisecond) rather
 * than kept as 667 lines of constants. */
#include "base/powers.h"

#include <assert.h>
#include <pthread.h>

#include "base/bignum.h"

static struct rfl_power table[RFL_POWER_MAX - RFL_POWER_MIN + 1];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* Rounded up: one more when something was left over. */
static struct rfl_power rounded_up(uint64_t high, uint64_t low, int left_over) {
  low += left_over != 0;
  high += left_over && low == 0;
  return (struct rfl_power){.high = high, .low = low};
}

/* The first 128 bits of a / b, by long division bit for bit. */
static struct rfl_power divide(struct rfl_big *a, struct rfl_big *b) {
  int shift = rfl_big_bits(a) - rfl_big_bits(b);
  if (shift > 0) rfl_big_shift(b, shift);
  if (shift < 0) rfl_big_shift(a, -shift);
  if (rfl_big_compare(a, b) < 0) rfl_big_shift(a, 1); /* now 1 <= a / b < 2 */
  uint64_t high = 0, low = 0;
  for (int bit = 0; bit < 128; bit++) {
    int one = rfl_big_compare(a, b) >= 0;
    if (one) rfl_big_subtract(a, b);
    rfl_big_shift(a, 1);
    high = high << 1 | low >> 63;
    low = low << 1 | (uint64_t)one;
  }
  return rounded_up(high, low, a->n > 0);
}

static void fill_table(void) {
  for (int power = RFL_POWER_MIN; power <= RFL_POWER_MAX; power++) {
    struct rfl_big a, b;
    rfl_big_set(&a, 1);
    rfl_big_set(&b, 1);
    rfl_big_mul_pow5(power < 0 ? &b : &a, power < 0 ? -power : power);
    table[power - RFL_POWER_MIN] = divide(&a, &b); /* a factor 2^power changes no bit */
  }
}

struct rfl_power rfl_power_of_ten(int power) {
  assert(power >= RFL_POWER_MIN && power <= RFL_POWER_MAX);
  pthread_once(&table_once, fill_table);
  return table[power - RFL_POWER_MIN];
}
