/* The bodies of num/kernel.h, for one level: included by kernel_base.c and its sisters
 * after RFL_VEC_LEVEL and KERNELS (the table's name) were defined. */
#include <math.h>
#include <string.h>

#include "num/kernel.h"
#include "num/vec.h"

static VEC_TARGET void add(double *eta, const double *const *x, const double *b,
                           size_t columns, size_t n) {
  size_t i = 0;
  if (columns == 4) {
    vec b0 = VEC_ALL(b[0]), b1 = VEC_ALL(b[1]), b2 = VEC_ALL(b[2]), b3 = VEC_ALL(b[3]);
    for (; i + VEC <= n; i += VEC) {
      vec e = VEC_FMA(VEC_LOAD(x[0] + i), b0, VEC_LOAD(eta + i));
      e = VEC_FMA(VEC_LOAD(x[1] + i), b1, e);
      e = VEC_FMA(VEC_LOAD(x[2] + i), b2, e);
      VEC_STORE(eta + i, VEC_FMA(VEC_LOAD(x[3] + i), b3, e));
    }
  }
  for (; i < n; i++) {
    double e = eta[i];
    for (size_t j = 0; j < columns; j++) e = one_fma(x[j][i], b[j], e);
    eta[i] = e;
  }
}

static VEC_TARGET void turn(double *x, size_t stride, const double *const *column,
                            size_t columns, size_t n) {
  size_t i = 0;
#if RFL_VEC_LEVEL
  for (; columns == 4 && i + 4 <= n; i += 4) {
    __m256d a = _mm256_loadu_pd(column[0] + i), b = _mm256_loadu_pd(column[1] + i);
    __m256d c = _mm256_loadu_pd(column[2] + i), d = _mm256_loadu_pd(column[3] + i);
    __m256d ab0 = _mm256_unpacklo_pd(a, b), ab1 = _mm256_unpackhi_pd(a, b);
    __m256d cd0 = _mm256_unpacklo_pd(c, d), cd1 = _mm256_unpackhi_pd(c, d);
    double *to = x + i * stride;
    _mm256_storeu_pd(to, _mm256_permute2f128_pd(ab0, cd0, 0x20));
    _mm256_storeu_pd(to + stride, _mm256_permute2f128_pd(ab1, cd1, 0x20));
    _mm256_storeu_pd(to + 2 * stride, _mm256_permute2f128_pd(ab0, cd0, 0x31));
    _mm256_storeu_pd(to + 3 * stride, _mm256_permute2f128_pd(ab1, cd1, 0x31));
  }
#endif
  for (; i < n; i++)
    for (size_t j = 0; j < columns; j++) x[i * stride + j] = column[j][i];
}

static VEC_TARGET void weigh(double *wx, const double *x, const double *w,
                             const double *r, size_t n, size_t stride, size_t last) {
  for (size_t i = 0; i < n; i++, x += stride, wx += stride) {
    vec v = VEC_ALL(w[i]);
    for (size_t j = 0; j < stride; j += VEC) VEC_STORE(wx + j, v * VEC_LOAD(x + j));
    wx[last] = r[i];
  }
}

/* `ROWS` rows of g by `COLUMNS` vectors: the sums stay in registers over all rows of the
 * chunk, and there are enough of them to hide the latency of a fused multiply-add. The
 * loops over them are unrolled, so that no array is left. */
#define TILE(name, COLUMNS)                                                              \
  static VEC_TARGET void name(double *g, const double *x, const double *y, size_t n,     \
                              size_t stride) {                                           \
    vec sum[ROWS][COLUMNS];                                                              \
    UNROLL for (size_t i = 0; i < ROWS; i++) UNROLL for (size_t j = 0; j < COLUMNS; j++) \
        sum[i][j] = VEC_LOAD(g + i * stride + j * VEC);                                  \
    for (; n; n--, x += stride, y += stride) {                                           \
      vec row[COLUMNS];                                                                  \
      UNROLL for (size_t j = 0; j < COLUMNS; j++) row[j] = VEC_LOAD(y + j * VEC);        \
      UNROLL for (size_t i = 0; i < ROWS; i++) {                                         \
        vec v = VEC_ALL(x[i]);                                                           \
        UNROLL for (size_t j = 0; j < COLUMNS; j++) sum[i][j] =                          \
            VEC_FMA(v, row[j], sum[i][j]);                                               \
      }                                                                                  \
    }                                                                                    \
    UNROLL for (size_t i = 0; i < ROWS; i++) UNROLL for (size_t j = 0; j < COLUMNS; j++) \
        VEC_STORE(g + i * stride + j * VEC, sum[i][j]);                                  \
  }
#define UNROLL _Pragma("GCC unroll 8")
enum { ROWS = RFL_VEC_LEVEL == 2 ? 8 : 4 };
TILE(tile3, 3)
TILE(tile2, 2)
TILE(tile1, 1)

static VEC_TARGET void rank(double *g, const double *x, const double *wx, size_t n,
                            size_t stride, size_t rows_of_g) {
  for (size_t i = 0; i < rows_of_g; i += ROWS) {
    size_t j = i / VEC * VEC;
    for (; j + 3 * VEC <= stride; j += 3 * VEC)
      tile3(g + i * stride + j, x + i, wx + j, n, stride);
    if (j + 2 * VEC <= stride) {
      tile2(g + i * stride + j, x + i, wx + j, n, stride);
      j += 2 * VEC;
    }
    if (j < stride) tile1(g + i * stride + j, x + i, wx + j, n, stride);
  }
}

static VEC_TARGET void axpy(double *to, const double *from, double v, size_t n) {
  vec all = VEC_ALL(v);
  size_t j = 0;
  for (; j + VEC <= n; j += VEC)
    VEC_STORE(to + j, VEC_FMA(all, VEC_LOAD(from + j), VEC_LOAD(to + j)));
  for (; j < n; j++) to[j] = one_fma(v, from[j], to[j]);
}

/* What rounding lost of p = a * b. */
VEC_FN vec lost(vec a, vec b, vec p) {
#if RFL_VEC_LEVEL
  return VEC_FMA(a, b, -p);
#else
  vec split = VEC_ALL(134217729.0), ca = split * a, cb = split * b;
  vec ah = ca - (ca - a), al = a - ah, bh = cb - (cb - b), bl = b - bh;
  return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

static VEC_TARGET void exact(double *hi, double *lo, const double *x, double h, double l,
                             size_t n) {
  vec vh = VEC_ALL(h), vl = VEC_ALL(l);
  for (size_t j = 0; j < n; j += VEC) {
    vec a = VEC_LOAD(x + j), p = vh * a, was = VEC_LOAD(hi + j);
    vec e = VEC_FMA(vl, a, lost(vh, a, p));
    vec s = was + p, b = s - was;
    VEC_STORE(hi + j, s);
    VEC_STORE(lo + j, VEC_LOAD(lo + j) + (((was - (s - b)) + (p - b)) + e));
  }
}

static VEC_TARGET void exponential(double *to, const double *x, size_t n) {
  size_t i = 0;
  for (; i + VEC <= n; i += VEC) VEC_STORE(to + i, vec_exp(VEC_LOAD(x + i)));
  double last[VEC] = {0};
  if (i == n) return;
  memcpy(last, x + i, (n - i) * sizeof *last);
  VEC_STORE(last, vec_exp(VEC_LOAD(last)));
  memcpy(to + i, last, (n - i) * sizeof *last);
}

/* vec_log() takes normal numbers: those that are not, which nobody meets, go by the
 * library's, one by one beside the others. */
static VEC_TARGET void logarithm(double *to, const double *x, size_t n) {
  size_t i = 0, odd = 0;
  for (size_t j = 0; j < n; j++) odd += x[j] < 2.3e-308;
  for (; odd && i < n; i++)
    to[i] = x[i] < 2.3e-308 ? log(x[i]) : vec_log(VEC_ALL(x[i]))[0];
  for (; i + VEC <= n; i += VEC) VEC_STORE(to + i, vec_log(VEC_LOAD(x + i)));
  if (i == n) return;
  double last[VEC];
  for (size_t j = 0; j < VEC; j++) last[j] = i + j < n ? x[i + j] : 1.0;
  VEC_STORE(last, vec_log(VEC_LOAD(last)));
  memcpy(to + i, last, (n - i) * sizeof *last);
}

const struct rfl_kernels KERNELS = {add,  turn,  weigh,       rank,
                                    axpy, exact, exponential, logarithm};
