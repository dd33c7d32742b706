#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

#include "learn/ftrl_kernel.h"

/* Without fused multiply-adds: the bits are those of the base level. */
#define TARGET __attribute__((target("avx2")))

static inline TARGET void roots_of_floats(const void *from, void *to) {
  _mm256_storeu_ps(to, _mm256_sqrt_ps(_mm256_loadu_ps(from)));
}

static inline TARGET __m256 two_by_two(void *a, void *b, void *c, void *d) {
  __m128 low = _mm_loadh_pi(_mm_loadl_pi(_mm_setzero_ps(), a), b);
  __m128 high = _mm_loadh_pi(_mm_loadl_pi(_mm_setzero_ps(), c), d);
  return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}

static inline TARGET void take_floats(void *const *at, void *z, void *n) {
  __m256 a = two_by_two(at[0], at[1], at[4], at[5]);
  __m256 b = two_by_two(at[2], at[3], at[6], at[7]);
  _mm256_storeu_ps(z, _mm256_shuffle_ps(a, b, 0x88));
  _mm256_storeu_ps(n, _mm256_shuffle_ps(a, b, 0xdd));
}

static inline TARGET void add_two(void *a, void *b, __m128 both) {
  __m128 zero = _mm_setzero_ps();
  _mm_storel_pi(a, _mm_add_ps(_mm_loadl_pi(zero, a), both));
  _mm_storel_pi(b, _mm_add_ps(_mm_loadl_pi(zero, b), _mm_movehl_ps(both, both)));
}

static inline TARGET void give_floats(void *const *at, const void *z, const void *n) {
  __m256 a = _mm256_loadu_ps(z), b = _mm256_loadu_ps(n);
  __m256 even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b);
  add_two(at[0], at[1], _mm256_castps256_ps128(even));
  add_two(at[2], at[3], _mm256_castps256_ps128(odd));
  add_two(at[4], at[5], _mm256_extractf128_ps(even, 1));
  add_two(at[6], at[7], _mm256_extractf128_ps(odd, 1));
}

static inline TARGET void roots_of_doubles(const void *from, void *to) {
  const double *x = from;
  double *y = to;
  _mm256_storeu_pd(y, _mm256_sqrt_pd(_mm256_loadu_pd(x)));
  _mm256_storeu_pd(y + 4, _mm256_sqrt_pd(_mm256_loadu_pd(x + 4)));
}

static inline TARGET __m256d side_by_side(const void *a, const void *b) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(a)), _mm_loadu_pd(b),
                              1);
}

static inline TARGET void take_doubles(void *const *at, void *z, void *n) {
  for (size_t k = 0; k < FTRL_LANES; k += 4) {
    __m256d a = side_by_side(at[k], at[k + 2]), b = side_by_side(at[k + 1], at[k + 3]);
    _mm256_storeu_pd((double *)z + k, _mm256_unpacklo_pd(a, b));
    _mm256_storeu_pd((double *)n + k, _mm256_unpackhi_pd(a, b));
  }
}

static inline TARGET void give_doubles(void *const *at, const void *z, const void *n) {
  for (size_t k = 0; k < FTRL_LANES; k += 2) {
    __m128d a = _mm_loadu_pd((const double *)z + k),
            b = _mm_loadu_pd((const double *)n + k);
    _mm_storeu_pd(at[k], _mm_add_pd(_mm_loadu_pd(at[k]), _mm_unpacklo_pd(a, b)));
    _mm_storeu_pd(at[k + 1], _mm_add_pd(_mm_loadu_pd(at[k + 1]), _mm_unpackhi_pd(a, b)));
  }
}

#define TYPE float
#define FIELD f
#define BITS uint32_t
#define LANES float_lanes
#define WORDS float_words
#define ROOT roots_of_floats
#define TAKE take_floats
#define GIVE give_floats
#define KERNEL ftrl_floats_avx2
#include "learn/ftrl_kernel_body.h"

#define TYPE double
#define FIELD d
#define BITS uint64_t
#define LANES double_lanes
#define WORDS double_words
#define ROOT roots_of_doubles
#define TAKE take_doubles
#define GIVE give_doubles
#define KERNEL ftrl_doubles_avx2
#include "learn/ftrl_kernel_body.h"
#else
extern const int ftrl_kernels_avx2_none; /* a file must declare something */
#endif
