#include <math.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "learn/ftrl_kernel.h"

#define TARGET

#if defined(__SSE2__)

/* A plain sqrt() must set errno, which keeps compilers from using vectors; and pairs are
 * loaded whole, since vectors that are put together in memory wait for their parts. */
static inline void roots_of_floats(const void *from, void *to) {
  const float *x = from;
  float *y = to;
  for (size_t k = 0; k < FTRL_LANES; k += 4)
    _mm_storeu_ps(y + k, _mm_sqrt_ps(_mm_loadu_ps(x + k)));
}

static inline void take_floats(void *const *at, void *z, void *n) {
  for (size_t k = 0; k < FTRL_LANES; k += 4) {
    __m128 a = _mm_loadh_pi(_mm_loadl_pi(_mm_setzero_ps(), at[k]), at[k + 1]);
    __m128 b = _mm_loadh_pi(_mm_loadl_pi(_mm_setzero_ps(), at[k + 2]), at[k + 3]);
    _mm_storeu_ps((float *)z + k, _mm_shuffle_ps(a, b, 0x88));
    _mm_storeu_ps((float *)n + k, _mm_shuffle_ps(a, b, 0xdd));
  }
}

static inline void give_floats(void *const *at, const void *z, const void *n) {
  for (size_t k = 0; k < FTRL_LANES; k += 2) {
    __m128 a = _mm_castpd_ps(_mm_load_sd((const double *)((const float *)z + k)));
    __m128 b = _mm_castpd_ps(_mm_load_sd((const double *)((const float *)n + k)));
    __m128 both = _mm_unpacklo_ps(a, b), zero = _mm_setzero_ps();
    _mm_storel_pi(at[k], _mm_add_ps(_mm_loadl_pi(zero, at[k]), both));
    both = _mm_movehl_ps(both, both);
    _mm_storel_pi(at[k + 1], _mm_add_ps(_mm_loadl_pi(zero, at[k + 1]), both));
  }
}

static inline void roots_of_doubles(const void *from, void *to) {
  const double *x = from;
  double *y = to;
  for (size_t k = 0; k < FTRL_LANES; k += 2)
    _mm_storeu_pd(y + k, _mm_sqrt_pd(_mm_loadu_pd(x + k)));
}

static inline void take_doubles(void *const *at, void *z, void *n) {
  for (size_t k = 0; k < FTRL_LANES; k += 2) {
    __m128d a = _mm_loadu_pd(at[k]), b = _mm_loadu_pd(at[k + 1]);
    _mm_storeu_pd((double *)z + k, _mm_unpacklo_pd(a, b));
    _mm_storeu_pd((double *)n + k, _mm_unpackhi_pd(a, b));
  }
}

static inline void give_doubles(void *const *at, const void *z, const void *n) {
  for (size_t k = 0; k < FTRL_LANES; k += 2) {
    __m128d a = _mm_loadu_pd((const double *)z + k),
            b = _mm_loadu_pd((const double *)n + k);
    _mm_storeu_pd(at[k], _mm_add_pd(_mm_loadu_pd(at[k]), _mm_unpacklo_pd(a, b)));
    _mm_storeu_pd(at[k + 1], _mm_add_pd(_mm_loadu_pd(at[k + 1]), _mm_unpackhi_pd(a, b)));
  }
}

#else

#define PLAIN(type, root)                                                            \
  static inline void roots_of_##type##s(const void *from, void *to) {                \
    for (size_t k = 0; k < FTRL_LANES; k++)                                          \
      ((type *)to)[k] = root(((const type *)from)[k]);                               \
  }                                                                                  \
  static inline void take_##type##s(void *const *at, void *z, void *n) {             \
    for (size_t k = 0; k < FTRL_LANES; k++) {                                        \
      ((type *)z)[k] = ((const type *)at[k])[0];                                     \
      ((type *)n)[k] = ((const type *)at[k])[1];                                     \
    }                                                                                \
  }                                                                                  \
  static inline void give_##type##s(void *const *at, const void *z, const void *n) { \
    for (size_t k = 0; k < FTRL_LANES; k++) {                                        \
      ((type *)at[k])[0] += ((const type *)z)[k];                                    \
      ((type *)at[k])[1] += ((const type *)n)[k];                                    \
    }                                                                                \
  }
PLAIN(float, sqrtf)
PLAIN(double, sqrt)

#endif

#define TYPE float
#define FIELD f
#define BITS uint32_t
#define LANES float_lanes
#define WORDS float_words
#define ROOT roots_of_floats
#define TAKE take_floats
#define GIVE give_floats
#define KERNEL ftrl_floats_base
#include "learn/ftrl_kernel_body.h"

#define TYPE double
#define FIELD d
#define BITS uint64_t
#define LANES double_lanes
#define WORDS double_words
#define ROOT roots_of_doubles
#define TAKE take_doubles
#define GIVE give_doubles
#define KERNEL ftrl_doubles_base
#include "learn/ftrl_kernel_body.h"
