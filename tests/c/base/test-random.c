#include "base/random.h"

#include "harness.h"

static const char FOX[] = "the quick brown fox jumps over the lazy dog";

/* Computed by a second implementation of the comment in random.c, in another language
 * with unbounded integers. Saved models depend on these numbers: a change that makes this
 * test fail is wrong. */
TEST(hashes_never_change) {
  CHECK(rfl_hash(0, "", 0) == UINT64_C(0xcb236975bd1908b0));
  CHECK(rfl_hash(0, NULL, 0) == UINT64_C(0xcb236975bd1908b0));
  CHECK(rfl_hash(0, "user", 4) == UINT64_C(0x2526581772c4ba9a));
  CHECK(rfl_hash(7, "user", 4) == UINT64_C(0x94d2c2fa197584f4));
  static const struct {
    size_t n;
    uint64_t hash;
  } fox[] = {{8, UINT64_C(0xb9c15f32a02b1150)},  {9, UINT64_C(0x7a5b28783444eebb)},
             {16, UINT64_C(0x40806b464a18a8f0)}, {17, UINT64_C(0x1d19c73f356a6177)},
             {32, UINT64_C(0x73ebd6ea8cb414ba)}, {33, UINT64_C(0x5b2343439e86315a)},
             {43, UINT64_C(0xe86039b1cdf57d99)}};
  for (size_t i = 0; i < 7; i++) CHECK(rfl_hash(1, FOX, fox[i].n) == fox[i].hash);
  CHECK(rfl_hash_i64(0, 0) == UINT64_C(0x48218226ff3cd4bf));
  CHECK(rfl_hash_i64(42, -7) == UINT64_C(0x26a83721d3f433e7));
}

TEST(draws_never_change) {
  CHECK(rfl_random(0, 0, 0) == UINT64_C(0x568a9b0b1a2c05ec));
  CHECK(rfl_random(1, 2, 3) == UINT64_C(0xeb3aa0ce549fec8c));
  CHECK(rfl_uniform(1, 2, 3) == 0.91886334454886731);
  /* libm's log() may differ by one unit in the last place between platforms. */
  CHECK_NEAR(rfl_normal(1, 2, 3), 1.3974665761142502, 1e-15);
  CHECK_NEAR(rfl_normal(0, 0, 0), -0.41778419382256521, 1e-15);
}

TEST(a_hash_reads_its_bytes_only_and_at_any_alignment) {
  uint64_t here = rfl_hash(5, FOX, 43);
  for (size_t shift = 0; shift < 9; shift++) {
    char *block = malloc(43 + shift); /* ends with the text: reads past it are seen */
    memcpy(block + shift, FOX, 43);
    CHECK(rfl_hash(5, block + shift, 43) == here);
    for (size_t n = 0; n <= 43; n++)
      CHECK(rfl_hash(5, block + shift + 43 - n, n) == rfl_hash(5, FOX + 43 - n, n));
    free(block);
  }
}

/* Flipping a bit of the text or the seed flips each bit of the hash half of the time: of
 * 64 bits 32 on average, standard error over 8 * 43 flips 0.22. Seven of them: 1.5. */
TEST(a_flipped_bit_flips_half_of_the_hash) {
  for (size_t n = 1; n <= 43; n += 7) {
    char text[44];
    memcpy(text, FOX, 43);
    uint64_t hash = rfl_hash(9, text, n);
    int flipped = 0;
    for (size_t bit = 0; bit < 8 * n; bit++) {
      text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
      int flips = __builtin_popcountll(hash ^ rfl_hash(9, text, n));
      CHECK(flips > 8 && flips < 56); /* 32 +- 6 standard deviations */
      flipped += flips;
      text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    }
    double mean = flipped / (8.0 * (double)n);
    CHECK_NEAR(mean, 32, 7 * 4 / sqrt(8.0 * (double)n));
    for (int bit = 0; bit < 64; bit++) {
      int flips = __builtin_popcountll(hash ^ rfl_hash(9 ^ UINT64_C(1) << bit, text, n));
      CHECK(flips > 8 && flips < 56);
    }
  }
}

/* 2^16 short keys in 2^20 buckets: the number of occupied buckets has mean
 * m (1 - (1 - 1/m)^n) = 63,530.8 and variance near n^2 / (2 m) = 2048, sd 45; 6 sd. */
TEST(near_keys_collide_no_more_than_chance) {
  static uint8_t seen[1 << 20];
  for (int kind = 0; kind < 3; kind++) {
    memset(seen, 0, sizeof seen);
    int occupied = 0;
    for (int key = 0; key < 1 << 16; key++) {
      char text[16];
      int n = snprintf(text, sizeof text, "%d", key);
      uint64_t hash = kind == 0   ? rfl_hash(1, text, (size_t)n)
                      : kind == 1 ? rfl_hash_i64(1, key)
                                  : rfl_hash(1, &key, sizeof key);
      uint8_t *bucket = &seen[hash & (sizeof seen - 1)];
      occupied += !*bucket;
      *bucket = 1;
    }
    CHECK_NEAR(occupied, 63530.8, 6 * 45);
  }
}

/* Chi-squared over 1,000 cells, 999 degrees of freedom: sd sqrt(2 * 999) = 45; 6 sd.
 * Along the index, along the key and along the seed. */
TEST(draws_are_uniform_along_every_axis) {
  for (int axis = 0; axis < 3; axis++) {
    static int cells[1000];
    memset(cells, 0, sizeof cells);
    enum { N = 200000 };
    double lag = 0, last = 0.5;
    for (uint64_t i = 0; i < N; i++) {
      double u = rfl_uniform(axis == 2 ? i : 1, axis == 1 ? i : 2, axis == 0 ? i : 3);
      CHECK(u >= 0 && u < 1);
      cells[(int)(u * 1000)]++;
      lag += (u - 0.5) * (last - 0.5);
      last = u;
    }
    double chi2 = 0;
    for (int c = 0; c < 1000; c++) chi2 += (cells[c] - 200.0) * (cells[c] - 200.0) / 200;
    CHECK_NEAR(chi2, 999, 6 * 45);
    /* Neighbours: each product has sd 1/12. */
    CHECK_NEAR(lag / N, 0, 6.0 / 12 / sqrt(N));
  }
}

TEST(one_key_never_repeats_a_draw) {
  uint64_t fold = 0;
  for (uint64_t i = 0; i < 1000; i++)
    for (uint64_t j = 0; j < i; j++) fold |= rfl_random(1, 1, i) == rfl_random(1, 1, j);
  CHECK_EQ(fold, 0);
}

/* R's qnorm(), which is another implementation of the same algorithm; the bound is two
 * units in the last place. The table reaches all three branches on both sides. */
TEST(quantiles_of_the_normal_distribution) {
  static const struct {
    double p, x;
  } known[] = {{0x1p-53, -8.20953615160138561}, {1e-10, -6.36134090240405570},
               {1e-5, -4.26489079392282555},    {0.01, -2.32634787404084076},
               {0.07, -1.47579102817917018},    {0.08, -1.40507156030963221},
               {0.3, -0.52440051270804067},     {0.5, 0},
               {0.9, 1.28155156554460081},      {0.93, 1.47579102817917085},
               {0.999, 3.09023230616781319},    {1 - 0x1p-53, 8.20953615160138561}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    CHECK_NEAR(rfl_normal_quantile(known[i].p), known[i].x,
               2 * 0x1p-52 * fabs(known[i].x));
  CHECK(rfl_normal_quantile(0) == -INFINITY && rfl_normal_quantile(1) == INFINITY);
  CHECK(isnan(rfl_normal_quantile(-0.1)) && isnan(rfl_normal_quantile(1.5)));
  CHECK(isnan(rfl_normal_quantile(NAN)));
}

/* Phi, by libm's erfc, gives the probability back; relative error of x is about 1e-16,
 * times x^2 < 40 in probability, times the error of erfc. */
TEST(quantiles_invert_the_distribution_function) {
  for (uint64_t i = 0; i < 20000; i++) {
    double p = exp(-40 * rfl_uniform(1, 1, i));
    if (p >= 1) continue;
    double back = 0.5 * erfc(-rfl_normal_quantile(p) / sqrt(2));
    CHECK_NEAR(back / p, 1, 1e-13);
  }
}

/* Mean 0 and variance 1 within 6 standard errors: 1 / sqrt(N) and sqrt(2 / N). */
TEST(normal_draws_have_mean_zero_and_variance_one) {
  enum { N = 200000 };
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < N; i++) {
    double x = rfl_normal(4, i, 0);
    CHECK(isfinite(x));
    sum += x;
    squares += x * x;
  }
  CHECK_NEAR(sum / N, 0, 6 / sqrt(N));
  CHECK_NEAR(squares / N, 1, 6 * sqrt(2.0 / N));
}

int main(void) {
  RUN(hashes_never_change);
  RUN(draws_never_change);
  RUN(a_hash_reads_its_bytes_only_and_at_any_alignment);
  RUN(a_flipped_bit_flips_half_of_the_hash);
  RUN(near_keys_collide_no_more_than_chance);
  RUN(draws_are_uniform_along_every_axis);
  RUN(one_key_never_repeats_a_draw);
  RUN(quantiles_of_the_normal_distribution);
  RUN(quantiles_invert_the_distribution_function);
  RUN(normal_draws_have_mean_zero_and_variance_one);
  return harness_end();
}
