#include "base/bignum.h"

#include <assert.h>
#include <string.h>

static void push(struct rfl_big *x, uint32_t limb) {
  assert(x->n < RFL_BIG_LIMBS);
  x->limb[x->n++] = limb;
}

void rfl_big_set(struct rfl_big *x, uint64_t value) {
  x->n = 0;
  for (; value > 0; value >>= 32) push(x, (uint32_t)value);
}

void rfl_big_muladd(struct rfl_big *x, uint32_t by, uint32_t add) {
  uint64_t carry = add;
  for (int i = 0; i < x->n; i++) {
    carry += (uint64_t)x->limb[i] * by;
    x->limb[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry) push(x, (uint32_t)carry);
}

void rfl_big_mul_pow5(struct rfl_big *x, int power) {
  for (; power >= 13; power -= 13) rfl_big_muladd(x, 1220703125, 0); /* 5^13 */
  uint32_t rest = 1;
  for (; power > 0; power--) rest *= 5;
  rfl_big_muladd(x, rest, 0);
}

void rfl_big_shift(struct rfl_big *x, int bits) {
  int limbs = bits / 32;
  rfl_big_muladd(x, UINT32_C(1) << (bits % 32), 0);
  if (limbs == 0 || x->n == 0) return;
  assert(x->n + limbs <= RFL_BIG_LIMBS);
  memmove(x->limb + limbs, x->limb, (size_t)x->n * sizeof *x->limb);
  memset(x->limb, 0, (size_t)limbs * sizeof *x->limb);
  x->n += limbs;
}

int rfl_big_compare(const struct rfl_big *a, const struct rfl_big *b) {
  if (a->n != b->n) return a->n < b->n ? -1 : 1;
  for (int i = a->n - 1; i >= 0; i--)
    if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
  return 0;
}

void rfl_big_subtract(struct rfl_big *from, const struct rfl_big *what) {
  int64_t borrow = 0;
  for (int i = 0; i < from->n; i++) {
    int64_t x = (int64_t)from->limb[i] - (i < what->n ? what->limb[i] : 0) - borrow;
    borrow = x < 0;
    from->limb[i] = (uint32_t)x;
  }
  assert(borrow == 0);
  while (from->n > 0 && from->limb[from->n - 1] == 0) from->n--;
}

int rfl_big_bits(const struct rfl_big *x) {
  return x->n == 0 ? 0 : 32 * x->n - __builtin_clz(x->limb[x->n - 1]);
}
