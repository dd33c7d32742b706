/* Hashes and counter-based random numbers.
 *
 * rfl_hash folds 16 bytes a step with one 64 x 64 -> 128 bit multiplication, the idea of
 * Wang Yi's wyhash, with constants and a finish of our own. The finish is the mixer of
 * splitmix64 (Steele, Lea & Flood 2014, variant 13 of Stafford), a bijection of 64 bits
 * in which every input bit flips every output bit with probability near 1/2.
 *
 * rfl_random(seed, key, index) is that mixer, three times: it costs about 3 ns and has no
 * state, so the draw of a record does not depend on which thread or which run asks.
 *
 * Models and plans keep these numbers for ever. Changing one bit of them breaks every
 * hashed model that was saved: the golden values in the tests stand guard. */
#include "base/random.h"

#include <math.h>

#include "base/little.h"

__extension__ typedef unsigned __int128 wide;

static const uint64_t GOLDEN = 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio, odd */
static const uint64_t LEFT = 0xa0761d6478bd642fu, RIGHT = 0xe7037ed1a0b428dbu;

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static uint64_t fold(uint64_t a, uint64_t b) {
  wide product = (wide)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The last n <= 8 bytes as a number; the length is mixed in elsewhere. */
static uint64_t load_tail(const uint8_t *p, size_t n) {
  uint64_t x = 0;
  for (size_t i = 0; i < n; i++) x |= (uint64_t)p[i] << (8 * i);
  return x;
}

uint64_t rfl_hash(uint64_t seed, const void *bytes, size_t n) {
  const uint8_t *p = bytes;
  size_t left = n;
  uint64_t h = mix(seed + GOLDEN);
  for (; left > 16; left -= 16, p += 16)
    h = fold(load_u64(p) ^ LEFT, load_u64(p + 8) ^ h) + GOLDEN;
  uint64_t a = left >= 8 ? load_u64(p) : load_tail(p, left);
  uint64_t b = left > 8 ? load_tail(p + 8, left - 8) : 0;
  h ^= fold(a ^ LEFT, b ^ h ^ RIGHT);
  return mix(h + (uint64_t)n * GOLDEN);
}

uint64_t rfl_hash_i64(uint64_t seed, int64_t x) {
  return mix(mix(seed + GOLDEN) ^ (uint64_t)x);
}

uint64_t rfl_random(uint64_t seed, uint64_t key, uint64_t index) {
  return mix(mix(mix(seed + GOLDEN) ^ key) + (index + 1) * GOLDEN);
}

double rfl_uniform(uint64_t seed, uint64_t key, uint64_t index) {
  return (double)(rfl_random(seed, key, index) >> 11) * 0x1p-53;
}

/* Wichura (1988), algorithm AS 241, PPND16: about 16 digits. A rational function for the
 * middle, one for the tails and one for the far tails. */
struct rational {
  double above[8], below[8];
};

static const struct rational MIDDLE = {
    {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
     1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
     3.3430575583588128105e+4, 2.5090809287301226727e+3},
    {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
     2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
     5.2264952788528545610e+3}};
static const struct rational TAIL = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9}};
static const struct rational FAR_TAIL = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15}};

static double evaluate(const struct rational *f, double x) {
  double above = f->above[7], below = f->below[7];
  for (int k = 6; k >= 0; k--) {
    above = above * x + f->above[k];
    below = below * x + f->below[k];
  }
  return above / below;
}

double rfl_normal_quantile(double p) {
  if (!(p > 0 && p < 1)) return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
  double q = p - 0.5;
  if (fabs(q) <= 0.425) return q * evaluate(&MIDDLE, 0.180625 - q * q);
  double r = sqrt(-log(q < 0 ? p : 1 - p));
  double x = r <= 5 ? evaluate(&TAIL, r - 1.6) : evaluate(&FAR_TAIL, r - 5);
  return q < 0 ? -x : x;
}

double rfl_normal(uint64_t seed, uint64_t key, uint64_t index) {
  /* 52 bits and a half: never 0, never 1, and exact. */
  return rfl_normal_quantile(((double)(rfl_random(seed, key, index) >> 12) + 0.5) *
                             0x1p-52);
}
