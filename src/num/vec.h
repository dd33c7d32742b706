/* Vectors of doubles, written once and compiled for each level of CPU: a kernel file
 * defines RFL_VEC_LEVEL (0 base, 1 AVX2 + FMA, 2 AVX-512) and includes this, then its
 * bodies. The functions carry `target` attributes, so that the files need no compiler
 * flags and only run where base/cpu.h says they can.
 *
 * What differs between levels: the base level rounds a * b + c twice where the others
 * round once (so every kernel's last bits differ between base and the others), and sums
 * over lanes (the deviance and Pearson's sum) have 2, 4 or 8 partial sums. Cross products
 * are summed row by row at every level, so AVX2 and AVX-512 agree on them to the bit.
 *
 * Loads and stores are unaligned throughout: no result depends on where memory lies. */
#include <stddef.h>
#include <stdint.h>

#if RFL_VEC_LEVEL == 2
#include <immintrin.h>
enum { VEC = 8 };
#define VEC_TARGET __attribute__((target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")))
#define VEC_FMA(a, b, c) ((vec)_mm512_fmadd_pd((a), (b), (c)))
#define VEC_ALL(x) ((vec)_mm512_set1_pd(x))
#elif RFL_VEC_LEVEL == 1
#include <immintrin.h>
enum { VEC = 4 };
#define VEC_TARGET __attribute__((target("avx2,fma")))
#define VEC_FMA(a, b, c) ((vec)_mm256_fmadd_pd((a), (b), (c)))
#define VEC_ALL(x) ((vec)_mm256_set1_pd(x))
#else
enum { VEC = 2 };
#define VEC_TARGET
#define VEC_FMA(a, b, c) ((a) * (b) + (c))
#define VEC_ALL(x) ((vec){(x), (x)})
#endif
#define VEC_FN static inline VEC_TARGET

#if RFL_VEC_LEVEL == 0
typedef double vec __attribute__((vector_size(16)));
typedef double vec_free __attribute__((vector_size(16), aligned(8), may_alias));
typedef uint64_t vec_bits __attribute__((vector_size(16)));
#elif RFL_VEC_LEVEL == 1
typedef double vec __attribute__((vector_size(32)));
typedef double vec_free __attribute__((vector_size(32), aligned(8), may_alias));
typedef uint64_t vec_bits __attribute__((vector_size(32)));
#else
typedef double vec __attribute__((vector_size(64)));
typedef double vec_free __attribute__((vector_size(64), aligned(8), may_alias));
typedef uint64_t vec_bits __attribute__((vector_size(64)));
#endif

#define VEC_LOAD(p) (*(const vec_free *)(p))
#define VEC_STORE(p, x) (*(vec_free *)(p) = (x))
/* mask ? a : b, lane by lane; a mask is what a comparison gives. */
#define VEC_IF(mask, a, b) \
  ((vec)(((vec_bits)(mask) & (vec_bits)(a)) | (~(vec_bits)(mask) & (vec_bits)(b))))

/* The scalar twin of VEC_FMA: the rows behind the last whole vector round as the others
 * do. */
VEC_FN double one_fma(double a, double b, double c) {
#if RFL_VEC_LEVEL
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/* e^x, below 1 ulp for x in [-708, 709], clamped to that range. Reduction of Cody & Waite
 * (1980), then Taylor's series on |r| <= log(2) / 2, whose 14th term is below 5e-18. */
VEC_FN vec vec_exp(vec x) {
  x = VEC_IF(x > VEC_ALL(-708.0), x, VEC_ALL(-708.0));
  x = VEC_IF(x < VEC_ALL(709.0), x, VEC_ALL(709.0));
  const double whole = 6755399441055744.0; /* 1.5 * 2^52: the low bits hold round(x) */
  vec t = VEC_FMA(x, VEC_ALL(1.4426950408889634074), VEC_ALL(whole));
  vec k = t - VEC_ALL(whole);
  vec r = VEC_FMA(k, VEC_ALL(-6.93147180369123816490e-01), x);
  r = VEC_FMA(k, VEC_ALL(-1.90821492927058770002e-10), r);
  vec p = VEC_ALL(1.0 / 6227020800.0);
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 479001600.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 39916800.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 3628800.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 362880.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 40320.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 5040.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 720.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 120.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 24.0));
  p = VEC_FMA(p, r, VEC_ALL(1.0 / 6.0));
  p = VEC_FMA(p, r, VEC_ALL(0.5));
  p = VEC_FMA(p, r * r, r) + VEC_ALL(1.0);
  return p * (vec)(((vec_bits)t << 52) + ((uint64_t)1023 << 52));
}

/* log(x) for normal x > 0, below 1 ulp: fdlibm's e_log.c. */
VEC_FN vec vec_log(vec x) {
  vec_bits bits = (vec_bits)x + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
  vec_bits top = bits >> 52;
  vec m = (vec)((bits & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu);
  vec k = (vec)(top + 0x4330000000000000u) - VEC_ALL(4503599627370496.0 + 1023.0);
  vec f = m - VEC_ALL(1.0), s = f / (VEC_ALL(2.0) + f), z = s * s;
  vec p = VEC_ALL(1.479819860511658591e-01);
  p = VEC_FMA(p, z, VEC_ALL(1.531383769920937332e-01));
  p = VEC_FMA(p, z, VEC_ALL(1.818357216161805012e-01));
  p = VEC_FMA(p, z, VEC_ALL(2.222219843214978396e-01));
  p = VEC_FMA(p, z, VEC_ALL(2.857142874366239149e-01));
  p = VEC_FMA(p, z, VEC_ALL(3.999999999940941908e-01));
  p = VEC_FMA(p, z, VEC_ALL(6.666666666666735130e-01));
  vec half = f * f * VEC_ALL(0.5);
  vec low = VEC_FMA(s, VEC_FMA(p, z, half), k * VEC_ALL(1.90821492927058770002e-10));
  return VEC_FMA(k, VEC_ALL(6.93147180369123816490e-01), f - (half - low));
}
