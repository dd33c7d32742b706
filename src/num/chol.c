#include "num/chol.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "num/blas.h"
#include "num/dd.h"

enum { BLOCKED = 96 }; /* columns from which LAPACK is faster than the plain loops */

enum rfl_code rfl_chol_new(size_t p, bool exact, struct rfl_chol *gives,
                           struct rfl_err *err) {
  struct rfl_chol c = {.p = p};
  size_t cells;
  if (__builtin_mul_overflow(p, p, &cells)) return rfl_no_memory(err);
  c.a.hi = rfl_alloc(cells, sizeof *c.a.hi);
  if (exact) c.a.lo = rfl_alloc(cells, sizeof *c.a.lo);
  c.scale = rfl_alloc(p, sizeof *c.scale);
  c.kept = rfl_alloc(p, sizeof *c.kept);
  bool blocked = !exact && p > BLOCKED && p < INT32_MAX;
  if (blocked) c.spare = rfl_alloc(cells, sizeof *c.spare);
  if (!c.a.hi || (exact && !c.a.lo) || (blocked && !c.spare) || !c.scale || !c.kept) {
    rfl_chol_release(&c);
    return rfl_no_memory(err);
  }
  memset(c.kept, 1, p);
  *gives = c;
  return RFL_OK;
}

void rfl_chol_release(struct rfl_chol *c) {
  if (!c) return;
  rfl_free(c->a.hi);
  rfl_free(c->a.lo);
  rfl_free(c->scale);
  rfl_free(c->kept);
  rfl_free(c->spare);
  *c = (struct rfl_chol){0};
}

/* Column j out of the problem: the identity's. */
static void drop(struct rfl_chol *c, size_t j) {
  c->kept[j] = 0;
  c->scale[j] = 1;
  for (size_t i = 0; i < c->p; i++) {
    size_t at = i <= j ? i + j * c->p : j + i * c->p;
    c->a.hi[at] = i == j;
    if (c->a.lo) c->a.lo[at] = 0;
  }
}

static void scale_columns(struct rfl_chol *c) {
  size_t p = c->p;
  for (size_t j = 0; j < p; j++) {
    double d = c->a.hi[j + j * p];
    if (!c->kept[j] || !(d > 0) || !(d - d == 0)) drop(c, j);
    if (c->kept[j]) c->scale[j] = sqrt(d);
  }
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i <= j; i++) {
      size_t at = i + j * p;
      if (!c->a.lo) {
        c->a.hi[at] = c->a.hi[at] / c->scale[i] / c->scale[j];
        continue;
      }
      struct rfl_dd v = rfl_dd_sum(c->a.hi[at], c->a.lo[at]);
      v = rfl_dd_div(v, rfl_dd_product(c->scale[i], c->scale[j]));
      c->a.hi[at] = v.hi;
      c->a.lo[at] = v.lo;
    }
  }
}

/* a[i] . a[j] over rows [0, n). */
static struct rfl_dd dot(const struct rfl_chol *c, size_t i, size_t j, size_t n) {
  const double *x = c->a.hi + i * c->p, *y = c->a.hi + j * c->p;
  if (!c->a.lo) {
    double s0 = 0, s1 = 0;
    size_t k = 0;
    for (; k + 2 <= n; k += 2) {
      s0 += x[k] * y[k];
      s1 += x[k + 1] * y[k + 1];
    }
    if (k < n) s0 += x[k] * y[k];
    return (struct rfl_dd){s0 + s1, 0};
  }
  const double *xl = c->a.lo + i * c->p, *yl = c->a.lo + j * c->p;
  struct rfl_dd s = {0, 0};
  for (size_t k = 0; k < n; k++)
    s = rfl_dd_add(
        s, rfl_dd_mul((struct rfl_dd){x[k], xl[k]}, (struct rfl_dd){y[k], yl[k]}));
  return s;
}

static void set(struct rfl_chol *c, size_t at, struct rfl_dd v) {
  c->a.hi[at] = v.hi;
  if (c->a.lo) c->a.lo[at] = v.lo;
}

static struct rfl_dd get(const struct rfl_chol *c, size_t at) {
  return (struct rfl_dd){c->a.hi[at], c->a.lo ? c->a.lo[at] : 0};
}

static struct rfl_dd minus(struct rfl_dd a, struct rfl_dd b) {
  return rfl_dd_add(a, rfl_dd_negate(b));
}

/* Column by column: the pivot of j is what the columns before it leave of it. */
static void factor_in_order(struct rfl_chol *c, double tolerance2) {
  size_t p = c->p;
  for (size_t j = 0; j < p; j++) {
    if (!c->kept[j]) continue;
    for (size_t i = 0; i < j; i++) {
      size_t at = i + j * p;
      struct rfl_dd v = minus(get(c, at), dot(c, i, j, i));
      if (!c->a.lo)
        v.hi /= c->a.hi[i + i * p];
      else if (c->kept[i])
        v = rfl_dd_div(v, get(c, i + i * p));
      set(c, at, c->kept[i] ? v : (struct rfl_dd){0, 0});
    }
    struct rfl_dd pivot = minus(get(c, j + j * p), dot(c, j, j, j));
    if (!(pivot.hi > tolerance2)) {
      drop(c, j);
      continue;
    }
    if (pivot.hi < c->least) c->least = pivot.hi;
    set(c, j + j * p, c->a.lo ? rfl_dd_sqrt(pivot) : (struct rfl_dd){sqrt(pivot.hi), 0});
  }
}

/* LAPACK's factor; false (and the matrix as it was) when a column would be dropped. */
static bool factor_blocked(struct rfl_chol *c, double tolerance2) {
  size_t p = c->p;
  memcpy(c->spare, c->a.hi, p * p * sizeof *c->spare);
  int n = (int)p, info = 0;
  rfl_blas.potrf("U", &n, c->a.hi, &n, &info);
  double least = 1;
  for (size_t j = 0; !info && j < p; j++) {
    double pivot = c->a.hi[j + j * p] * c->a.hi[j + j * p];
    if (c->kept[j] && pivot < least) least = pivot;
  }
  bool ok = !info && least > tolerance2;
  if (ok)
    c->least = least;
  else
    memcpy(c->a.hi, c->spare, p * p * sizeof *c->spare);
  return ok;
}

void rfl_chol_factor(struct rfl_chol *c, double tolerance2) {
  c->least = 1;
  scale_columns(c);
  bool large = c->spare && rfl_blas.potrf;
  if (!large || !factor_blocked(c, tolerance2)) factor_in_order(c, tolerance2);
  c->rank = 0;
  for (size_t j = 0; j < c->p; j++) c->rank += c->kept[j];
}

static void forward(const struct rfl_chol *c, struct rfl_sums b) {
  for (size_t j = 0; j < c->p; j++) {
    struct rfl_dd v = {b.hi[j], b.lo ? b.lo[j] : 0};
    if (!c->a.lo) {
      const double *column = c->a.hi + j * c->p;
      for (size_t i = 0; i < j; i++) v.hi -= column[i] * b.hi[i];
      v.hi /= column[j];
    } else {
      for (size_t i = 0; i < j; i++)
        v = minus(v, rfl_dd_mul(get(c, i + j * c->p),
                                (struct rfl_dd){b.hi[i], b.lo ? b.lo[i] : 0}));
      v = rfl_dd_div(v, get(c, j + j * c->p));
    }
    b.hi[j] = v.hi;
    if (b.lo) b.lo[j] = v.lo;
  }
}

static void backward(const struct rfl_chol *c, struct rfl_sums b) {
  for (size_t j = c->p; j-- > 0;) {
    struct rfl_dd v = {b.hi[j], b.lo ? b.lo[j] : 0};
    if (c->a.lo)
      v = rfl_dd_div(v, get(c, j + j * c->p));
    else
      v.hi /= c->a.hi[j + j * c->p];
    b.hi[j] = v.hi;
    if (b.lo) b.lo[j] = v.lo;
    for (size_t i = 0; i < j; i++) {
      if (!c->a.lo) {
        b.hi[i] -= c->a.hi[i + j * c->p] * v.hi;
        continue;
      }
      struct rfl_dd w = {b.hi[i], b.lo ? b.lo[i] : 0};
      w = minus(w, rfl_dd_mul(get(c, i + j * c->p), v));
      b.hi[i] = w.hi;
      if (b.lo) b.lo[i] = w.lo;
    }
  }
}

/* b / scale; dropped columns become 0. */
static void unscale(const struct rfl_chol *c, struct rfl_sums b) {
  for (size_t j = 0; j < c->p; j++) {
    struct rfl_dd v = {b.hi[j], b.lo ? b.lo[j] : 0};
    if (b.lo)
      v = rfl_dd_div(v, (struct rfl_dd){c->scale[j], 0});
    else
      v.hi /= c->scale[j];
    b.hi[j] = c->kept[j] ? v.hi : 0;
    if (b.lo) b.lo[j] = c->kept[j] ? v.lo : 0;
  }
}

void rfl_chol_solve(const struct rfl_chol *c, struct rfl_sums b) {
  unscale(c, b);
  forward(c, b);
  backward(c, b);
  unscale(c, b);
}

double rfl_chol_norm2(const struct rfl_chol *c, double *b) {
  double sum = 0;
  unscale(c, (struct rfl_sums){b, NULL});
  for (size_t j = 0; j < c->p; j++) {
    const double *column = c->a.hi + j * c->p;
    double v = b[j];
    for (size_t i = 0; i < j; i++) v -= column[i] * b[i];
    b[j] = v / column[j];
    sum += b[j] * b[j];
  }
  return sum;
}

/* The inverse of the upper triangular factor, in place. */
static void invert_factor(double *r, size_t p) {
  for (size_t j = 0; j < p; j++) {
    double *column = r + j * p, d = 1 / column[j];
    for (size_t i = 0; i < j; i++) {
      double sum = 0;
      for (size_t k = i; k < j; k++) sum += r[i + k * p] * column[k];
      column[i] = -sum * d;
    }
    column[j] = d;
  }
}

/* a = u u' for the inverse factor u; both triangles. */
static void square(const double *u, size_t p, double *a) {
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i <= j; i++) {
      double sum = 0;
      for (size_t k = j; k < p; k++) sum += u[i + k * p] * u[j + k * p];
      a[i + j * p] = a[j + i * p] = sum;
    }
  }
}

void rfl_chol_inverse(const struct rfl_chol *c, double *to) {
  size_t p = c->p;
  memcpy(to, c->a.hi, p * p * sizeof *to);
  if (p > BLOCKED && rfl_blas.potri) {
    int n = (int)p, info = 0;
    rfl_blas.potri("U", &n, to, &n, &info);
    for (size_t j = 0; j < p; j++)
      for (size_t i = 0; i < j; i++) to[j + i * p] = to[i + j * p];
  } else {
    invert_factor(to, p);
    /* In place: entry (i, j) reads the rows i and j from column j on, which only later
     * entries overwrite; what goes below the diagonal is never read. */
    square(to, p, to);
  }
  for (size_t j = 0; j < p; j++)
    for (size_t i = 0; i < p; i++) {
      double *v = &to[i + j * p];
      *v = c->kept[i] && c->kept[j] ? *v / c->scale[i] / c->scale[j] : NAN;
    }
}
