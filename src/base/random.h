/* Hashes and random numbers that are the same on every platform, in every order and on
 * any number of threads.
 *
 *     uint64_t h = rfl_hash(seed, "user", 4);
 *     double u = rfl_uniform(seed, rfl_hash_i64(seed, offset), 0);  // its first draw
 *
 * A draw is a pure function of (seed, key, index): replay and resume agree. */
#ifndef RFL_BASE_RANDOM_H
#define RFL_BASE_RANDOM_H
#include <stddef.h>
#include <stdint.h>

/* Golden values in the tests: never changes. */
uint64_t rfl_hash(uint64_t seed, const void *bytes, size_t n);
uint64_t rfl_hash_i64(uint64_t seed, int64_t x);
uint64_t rfl_random(uint64_t seed, uint64_t key, uint64_t index); /* 64 random bits */
double rfl_uniform(uint64_t seed, uint64_t key, uint64_t index);  /* [0, 1), 53 bits */
double rfl_normal(uint64_t seed, uint64_t key, uint64_t index);   /* N(0, 1) */
/* The p-quantile of N(0, 1), to about 16 digits; -Inf at 0, Inf at 1, NaN outside. */
double rfl_normal_quantile(double p);

#endif
