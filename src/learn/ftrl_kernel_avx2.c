#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

#include "learn/ftrl_kernel.h"

/* Without fused multiply-adds: the bits are those of the base level. */
#define TARGET __attribute__((target("avx2")))

static inline TARGET void roots_of_floats(const void *from, void *to) {
  const float *x = from;
  float *y = to;
  _mm256_storeu_ps(y, _mm256_sqrt_ps(_mm256_loadu_ps(x)));
}

static inline TARGET void roots_of_doubles(const void *from, void *to) {
  const double *x = from;
  double *y = to;
  _mm256_storeu_pd(y, _mm256_sqrt_pd(_mm256_loadu_pd(x)));
  _mm256_storeu_pd(y + 4, _mm256_sqrt_pd(_mm256_loadu_pd(x + 4)));
}

#define TYPE float
#define FIELD f
#define BITS uint32_t
#define LANES float_lanes
#define WORDS float_words
#define ROOT roots_of_floats
#define KERNEL ftrl_floats_avx2
#include "learn/ftrl_kernel_body.h"

#define TYPE double
#define FIELD d
#define BITS uint64_t
#define LANES double_lanes
#define WORDS double_words
#define ROOT roots_of_doubles
#define KERNEL ftrl_doubles_avx2
#include "learn/ftrl_kernel_body.h"
#else
extern const int ftrl_kernels_avx2_none; /* a file must declare something */
#endif
