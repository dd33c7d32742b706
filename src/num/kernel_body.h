/* The bodies of num/kernel.h, for one level: included by kernel_base.c and its sisters
 * after RFL_VEC_LEVEL and KERNELS (the table's name) were defined. */
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

/* Four rows of g by three vectors: twelve sums stay in registers over all rows of the
 * chunk, which is what hides the latency of the fused multiply-add. */
static VEC_TARGET void tile3(double *g, const double *x, const double *y, size_t n,
                             size_t stride) {
  double *g0 = g, *g1 = g + stride, *g2 = g1 + stride, *g3 = g2 + stride;
  enum { B = VEC, C = 2 * VEC };
  vec a0 = VEC_LOAD(g0), a1 = VEC_LOAD(g0 + B), a2 = VEC_LOAD(g0 + C);
  vec b0 = VEC_LOAD(g1), b1 = VEC_LOAD(g1 + B), b2 = VEC_LOAD(g1 + C);
  vec c0 = VEC_LOAD(g2), c1 = VEC_LOAD(g2 + B), c2 = VEC_LOAD(g2 + C);
  vec d0 = VEC_LOAD(g3), d1 = VEC_LOAD(g3 + B), d2 = VEC_LOAD(g3 + C);
  for (size_t i = 0; i < n; i++, x += stride, y += stride) {
    vec y0 = VEC_LOAD(y), y1 = VEC_LOAD(y + B), y2 = VEC_LOAD(y + C), s = VEC_ALL(x[0]);
    a0 = VEC_FMA(s, y0, a0), a1 = VEC_FMA(s, y1, a1), a2 = VEC_FMA(s, y2, a2);
    s = VEC_ALL(x[1]);
    b0 = VEC_FMA(s, y0, b0), b1 = VEC_FMA(s, y1, b1), b2 = VEC_FMA(s, y2, b2);
    s = VEC_ALL(x[2]);
    c0 = VEC_FMA(s, y0, c0), c1 = VEC_FMA(s, y1, c1), c2 = VEC_FMA(s, y2, c2);
    s = VEC_ALL(x[3]);
    d0 = VEC_FMA(s, y0, d0), d1 = VEC_FMA(s, y1, d1), d2 = VEC_FMA(s, y2, d2);
  }
  VEC_STORE(g0, a0), VEC_STORE(g0 + B, a1), VEC_STORE(g0 + C, a2);
  VEC_STORE(g1, b0), VEC_STORE(g1 + B, b1), VEC_STORE(g1 + C, b2);
  VEC_STORE(g2, c0), VEC_STORE(g2 + B, c1), VEC_STORE(g2 + C, c2);
  VEC_STORE(g3, d0), VEC_STORE(g3 + B, d1), VEC_STORE(g3 + C, d2);
}

static VEC_TARGET void tile1(double *g, const double *x, const double *y, size_t n,
                             size_t stride) {
  double *g0 = g, *g1 = g + stride, *g2 = g1 + stride, *g3 = g2 + stride;
  vec a = VEC_LOAD(g0), b = VEC_LOAD(g1), c = VEC_LOAD(g2), d = VEC_LOAD(g3);
  for (size_t i = 0; i < n; i++, x += stride, y += stride) {
    vec y0 = VEC_LOAD(y);
    a = VEC_FMA(VEC_ALL(x[0]), y0, a);
    b = VEC_FMA(VEC_ALL(x[1]), y0, b);
    c = VEC_FMA(VEC_ALL(x[2]), y0, c);
    d = VEC_FMA(VEC_ALL(x[3]), y0, d);
  }
  VEC_STORE(g0, a), VEC_STORE(g1, b), VEC_STORE(g2, c), VEC_STORE(g3, d);
}

static VEC_TARGET void rank(double *g, const double *x, const double *wx, size_t n,
                            size_t stride, size_t rows_of_g) {
  for (size_t i = 0; i < rows_of_g; i += 4) {
    size_t j = i / VEC * VEC;
    for (; j + 3 * VEC <= stride; j += 3 * VEC)
      tile3(g + i * stride + j, x + i, wx + j, n, stride);
    for (; j < stride; j += VEC) tile1(g + i * stride + j, x + i, wx + j, n, stride);
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

const struct rfl_kernels KERNELS = {add, turn, weigh, rank, axpy, exact, exponential};
