/* Natural numbers of up to 3,072 bits, for base/number.c and base/powers.c only: enough
 * for 5^1124 and for 800 decimal digits, which is the longest comparison that rounding a
 * double can need.
 *
 *     struct rfl_big x = {0};          // zero
 *     rfl_big_muladd(&x, 10, 7);       // x = 10 x + 7
 *
 * Invariant: limb[n - 1] != 0, n = 0 for zero. The caller keeps within the bound. */
#ifndef RFL_BASE_BIGNUM_H
#define RFL_BASE_BIGNUM_H
#include <stdint.h>

enum { RFL_BIG_LIMBS = 96 };

struct rfl_big {
  int n;
  uint32_t limb[RFL_BIG_LIMBS]; /* least significant first */
};

void rfl_big_set(struct rfl_big *, uint64_t value);
void rfl_big_muladd(struct rfl_big *, uint32_t by, uint32_t add);
void rfl_big_mul_pow5(struct rfl_big *, int power);
void rfl_big_shift(struct rfl_big *, int bits); /* to the left */
int rfl_big_compare(const struct rfl_big *, const struct rfl_big *);
void rfl_big_subtract(struct rfl_big *from,
                      const struct rfl_big *what); /* what <= from */
int rfl_big_bits(const struct rfl_big *); /* position of the highest bit, from 1 */

#endif
