#include <math.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "learn/ftrl_kernel.h"

#define TARGET

/* A plain sqrt() must set errno, which keeps compilers from using vectors. */
static inline void roots_of_floats(const void *from, void *to) {
  const float *x = from;
  float *y = to;
#if defined(__SSE2__)
  for (size_t k = 0; k < FTRL_LANES; k += 4)
    _mm_storeu_ps(y + k, _mm_sqrt_ps(_mm_loadu_ps(x + k)));
#else
  for (size_t k = 0; k < FTRL_LANES; k++) y[k] = sqrtf(x[k]);
#endif
}

static inline void roots_of_doubles(const void *from, void *to) {
  const double *x = from;
  double *y = to;
#if defined(__SSE2__)
  for (size_t k = 0; k < FTRL_LANES; k += 2)
    _mm_storeu_pd(y + k, _mm_sqrt_pd(_mm_loadu_pd(x + k)));
#else
  for (size_t k = 0; k < FTRL_LANES; k++) y[k] = sqrt(x[k]);
#endif
}

#define TYPE float
#define FIELD f
#define BITS uint32_t
#define LANES float_lanes
#define WORDS float_words
#define ROOT roots_of_floats
#define KERNEL ftrl_floats_base
#include "learn/ftrl_kernel_body.h"

#define TYPE double
#define FIELD d
#define BITS uint64_t
#define LANES double_lanes
#define WORDS double_words
#define ROOT roots_of_doubles
#define KERNEL ftrl_doubles_base
#include "learn/ftrl_kernel_body.h"
