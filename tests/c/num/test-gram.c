/* Cross products against long double, in doubles and in twice the precision; the vector
 * exponential; Cholesky with R's rule for aliased columns. */
#include "num/gram.h"

#include "base/random.h"
#include "blas_fill.h"
#include "harness.h"
#include "help.h"
#include "num/chol.h"
#include "num/dd.h"
#include "num/kernel.h"

static struct rfl_err err;

static double entry(const struct rfl_coding *c, int32_t level, int32_t column) {
  return c->select ? c->select[level] == column : c->matrix[column * c->levels + level];
}

/* Row i of X. */
static void expand(const struct rfl_layout *l, const struct rfl_block *b, size_t i,
                   double *x) {
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    for (int32_t j = 0; j < term->n_x; j++) {
      double v = term->dense < 0 ? 1 : b->dense[term->dense][i];
      int32_t z = term->coded < 0 ? 0 : b->coded[term->coded].code[i], c = j;
      for (size_t k = 0; k < term->n_codings; k++) {
        v *= entry(&term->coding[k], z % term->coding[k].levels,
                   c % term->coding[k].columns);
        z /= term->coding[k].levels;
        c /= term->coding[k].columns;
      }
      x[term->x + j] = v;
    }
  }
}

/* X'WX and X'r of the rows with weights `weight` and residuals `y`, by the module,
 * against long double. What is lost is 2^-53 times the sum of absolute terms, and in
 * twice the precision nothing that a double could show. */
static void check_products(size_t numbers, size_t n, bool exact) {
  struct rows r;
  struct rfl_layout l = every_layout(numbers);
  struct rfl_gram g;
  struct rfl_contrast c;
  rows_fill(&r, n, numbers);
  CHECK_OK(rfl_gram_plan(&l, &g, &err), &err);
  CHECK_OK(rfl_contrast_new(&l, &c, &err), &err);
  size_t p = (size_t)l.n_x;
  double *hi = calloc(2 * g.n_sums, sizeof *hi), *a = calloc(2 * p * (p + 1), sizeof *a);
  double *x = calloc(2 * g.rows * g.stride, sizeof *x), *row = calloc(p, sizeof *row);
  struct rfl_sums sums = {hi, exact ? hi + g.n_sums : NULL};
  struct rfl_sums matrix = {a, exact ? a + p * (p + 1) : NULL};
  struct rfl_sums score = {a + p * p, exact ? a + p * (p + 1) + p * p : NULL};
  for (size_t from = 0; from < n; from += g.rows) {
    size_t m = n - from < g.rows ? n - from : g.rows;
    struct rfl_gram_rows chunk = {.n = m,
                                  .w = r.weight + from,
                                  .r = r.y + from,
                                  .x = x,
                                  .wx = x + g.rows * g.stride};
    rfl_gram_add(&g, &r.block, from, &chunk, sums);
  }
  rfl_gram_matrix(&g, sums, &c, matrix);
  rfl_gram_score(&g, sums, &c, score);
  for (size_t j = 0; j < p; j++) {
    for (size_t k = 0; k <= j + 1; k++) { /* k = j + 1: the score */
      long double sum = 0, size = 0;
      for (size_t i = 0; i < n; i++) {
        expand(&l, &r.block, i, row);
        long double v = k > j ? (long double)row[j] * r.y[i]
                              : (long double)row[j] * row[k] * r.weight[i];
        sum += v;
        size += fabsl(v);
      }
      double got = k > j ? score.hi[j] : a[k + j * p];
      if (exact) got += k > j ? score.lo[j] : matrix.lo[k + j * p];
      CHECK_NEAR(got, (double)sum,
                 exact ? 4e-16 * fabs((double)sum) + 1e-19 * (double)size
                       : 1e-16 * (double)n * (double)size + 1e-30);
    }
  }
  free(hi);
  free(a);
  free(x);
  free(row);
  rfl_gram_release(&g);
  rfl_contrast_release(&c);
  every_layout_free(&l);
  rows_free(&r);
}

TEST(cross_products_equal_long_double) {
  size_t numbers[] = {0, 1, 2, 6, 7, 13, 20};
  for (size_t k = 0; k < 7; k++) check_products(numbers[k], 77 + 31 * k, false);
}

TEST(exact_cross_products_lose_nothing) {
  size_t numbers[] = {0, 1, 6, 13};
  for (size_t k = 0; k < 4; k++) check_products(numbers[k], 77 + 31 * k, true);
}

/* Z'v of all rows, chunk by chunk, and of three groups of them; brought to X by the
 * contrasts. */
TEST(cross_products_with_a_vector_go_by_groups) {
  enum { N = 217, GROUPS = 3 };
  struct rows r;
  struct rfl_layout l = every_layout(7);
  struct rfl_gram g;
  struct rfl_contrast c;
  rows_fill(&r, N, 7);
  CHECK_OK(rfl_gram_plan(&l, &g, &err), &err);
  CHECK_OK(rfl_contrast_new(&l, &c, &err), &err);
  size_t z = (size_t)l.n_z, p = (size_t)l.n_x;
  double *all = calloc(z + GROUPS * z, sizeof *all), *row = calloc(p, sizeof *row);
  double *x = calloc(p, sizeof *x);
  int32_t group[N];
  for (size_t i = 0; i < N; i++) group[i] = (int32_t)(i * i % GROUPS);
  for (size_t from = 0; from < N; from += g.rows) {
    size_t m = N - from < g.rows ? N - from : g.rows;
    struct rfl_gram_groups one = {m, r.y + from, NULL, z};
    struct rfl_gram_groups three = {m, r.y + from, group + from, z};
    rfl_gram_cross(&g, &r.block, from, &one, all);
    rfl_gram_cross(&g, &r.block, from, &three, all + z);
  }
  for (size_t k = 0; k < 1 + GROUPS; k++) {
    memset(x, 0, p * sizeof *x);
    rfl_contrast_collect(&c, all + k * z, x);
    for (size_t j = 0; j < p; j++) {
      long double sum = 0, size = 0;
      for (size_t i = 0; i < N; i++) {
        if (k && group[i] != (int32_t)k - 1) continue;
        expand(&l, &r.block, i, row);
        sum += (long double)row[j] * r.y[i];
        size += fabsl((long double)row[j] * r.y[i]);
      }
      CHECK_NEAR(x[j], (double)sum, 1e-16 * N * (double)size + 1e-30);
    }
  }
  free(all);
  free(row);
  free(x);
  rfl_contrast_release(&c);
  rfl_gram_release(&g);
  every_layout_free(&l);
  rows_free(&r);
}

/* An ulp of the library's, whose own error is half of one; subnormal numbers too. */
TEST(the_logarithm_is_right_to_an_ulp_at_any_place) {
  enum { N = 1003 };
  double x[N], y[N];
  for (size_t i = 0; i < N; i++) x[i] = exp(1400 * rfl_uniform(3, i, 0) - 700);
  for (int odd = 0; odd < 2; odd++) {
    if (odd) x[500] = 5e-324;
    rfl_kernels()->log(y, x, N);
    for (size_t i = 0; i < N; i++) {
      double one;
      CHECK_NEAR(y[i], log(x[i]), 2.3e-16 * (fabs(y[i]) + 1e-2));
      rfl_kernels()->log(&one, &x[i], 1);
      CHECK(one == y[i]);
    }
  }
}

/* AVX2 and AVX-512 sum rows in the same order with the same rounding. */
TEST(wide_kernels_agree_to_the_bit) {
  if (rfl_cpu_best() < RFL_CPU_AVX512) SKIP("no AVX-512 here");
  enum rfl_cpu was = rfl_cpu_level();
  struct rows r;
  struct rfl_layout l = every_layout(11);
  struct rfl_gram g;
  rows_fill(&r, 64, 11);
  CHECK_OK(rfl_gram_plan(&l, &g, &err), &err);
  double *sums = calloc(2 * g.n_sums, sizeof *sums),
         *x = calloc(2 * g.rows * g.stride, sizeof *x);
  double eta[2][64], gamma[64];
  for (int32_t z = 0; z < l.n_z; z++) gamma[z] = rfl_normal(9, (uint64_t)z, 0);
  for (int level = 0; level < 2; level++) {
    rfl_cpu_use(level ? RFL_CPU_AVX512 : RFL_CPU_AVX2);
    struct rfl_gram_rows chunk = {
        .n = 64, .w = r.weight, .r = r.y, .x = x, .wx = x + g.rows * g.stride};
    rfl_gram_add(&g, &r.block, 0, &chunk,
                 (struct rfl_sums){sums + (size_t)level * g.n_sums, NULL});
    rfl_gram_eta(&g, gamma, &r.block, 0, 64, eta[level]);
  }
  rfl_cpu_use(was);
  for (size_t i = 0; i < g.plain; i++) /* below the diagonal stands what a tile needs */
    for (size_t j = i; j <= g.plain; j++)
      CHECK(sums[i * g.stride + j] == sums[g.n_sums + i * g.stride + j]);
  size_t wide = g.wide[0].at;
  CHECK(memcmp(sums + wide, sums + g.n_sums + wide, (g.n_sums - wide) * sizeof *sums) ==
        0);
  CHECK(memcmp(eta[0], eta[1], sizeof eta[0]) == 0);
  free(sums);
  free(x);
  rfl_gram_release(&g);
  every_layout_free(&l);
  rows_free(&r);
}

TEST(eta_is_the_offset_and_z_gamma) {
  struct rows r;
  struct rfl_layout l = every_layout(9);
  struct rfl_gram g;
  struct rfl_contrast c;
  rows_fill(&r, 300, 9);
  CHECK_OK(rfl_gram_plan(&l, &g, &err), &err);
  CHECK_OK(rfl_contrast_new(&l, &c, &err), &err);
  double beta[64], gamma[64], eta[300], hi[300], lo[300], x[64];
  for (int32_t j = 0; j < l.n_x; j++) beta[j] = rfl_normal(5, (uint64_t)j, 0);
  rfl_contrast_spread(&c, beta, gamma);
  rfl_gram_eta(&g, gamma, &r.block, 0, 300, eta);
  rfl_gram_eta_exact(&g, gamma, &r.block, 0, 300, (struct rfl_sums){hi, lo});
  for (size_t i = 0; i < 300; i++) {
    long double sum = r.offset[i];
    expand(&l, &r.block, i, x);
    for (int32_t j = 0; j < l.n_x; j++) sum += (long double)x[j] * beta[j];
    CHECK_NEAR(eta[i], (double)sum, 1e-14);
    CHECK_NEAR(hi[i] + lo[i], (double)sum, 2e-15); /* gamma was rounded */
  }
  rfl_gram_release(&g);
  rfl_contrast_release(&c);
  every_layout_free(&l);
  rows_free(&r);
}

TEST(the_exponential_is_right_to_an_ulp_at_any_place) {
  enum { N = 1003 };
  double x[N], y[N], one;
  for (int i = 0; i < N; i++)
    x[i] = i < 900 ? 1400 * rfl_uniform(1, (uint64_t)i, 0) - 700
                   : rfl_normal(1, (uint64_t)i, 0) / 100;
  rfl_kernels()->exp(y, x, N);
  for (int i = 0; i < N; i++) {
    long double e = expl(x[i]);
    CHECK_NEAR(y[i], (double)e, 2.3e-16 * (double)e);
    rfl_kernels()->exp(&one, &x[i], 1);
    CHECK(one == y[i]);
  }
}

/* ---- double-double ---- */

TEST(double_double_arithmetic_has_thirty_digits) {
  for (uint64_t k = 0; k < 2000; k++) {
    double a = rfl_normal(1, k, 0), b = rfl_normal(1, k, 1) * pow(2, (double)(k % 40)),
           c = rfl_normal(1, k, 2) / 1e3;
    struct rfl_dd p = rfl_dd_product(a, b);
    __extension__ typedef __float128 quad;
    CHECK((quad)p.hi + (quad)p.lo == (quad)a * (quad)b);
    struct rfl_dd s = rfl_dd_sum(a, b);
    CHECK((quad)s.hi + (quad)s.lo == (quad)a + (quad)b);
    struct rfl_dd q = rfl_dd_div(p, rfl_dd_sum(b, c));
    quad exact = (quad)a * (quad)b / ((quad)b + (quad)c),
         off = ((quad)q.hi + (quad)q.lo) / exact - 1;
    CHECK(fabs((double)off) < 1e-30);
    struct rfl_dd root = rfl_dd_sqrt(rfl_dd_product(b, b)); /* |b|, exactly known */
    CHECK_NEAR(root.hi, fabs(b), 0);
    CHECK(fabs(root.lo) <= 1e-30 * fabs(b));
    struct rfl_dd m = rfl_dd_mul(q, rfl_dd_sum(b, c));
    quad back = ((quad)m.hi + (quad)m.lo) / ((quad)a * (quad)b) - 1;
    CHECK(fabs((double)back) < 1e-30);
  }
}

/* ---- Cholesky ---- */

/* A = B'B for n x p random B, whose column `twin` is twice column 0 (-1: none). */
static void gram_of(struct rfl_chol *c, size_t n, int twin) {
  size_t p = c->p;
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i <= j; i++) {
      double sum = 0;
      for (size_t k = 0; k < n; k++) {
        double x = (int)i == twin ? 2 * rfl_normal(7, k, 0) : rfl_normal(7, k, i);
        double y = (int)j == twin ? 2 * rfl_normal(7, k, 0) : rfl_normal(7, k, j);
        sum += x * y;
      }
      c->a.hi[i + j * p] = sum;
    }
  }
}

static void check_solution(size_t p, bool exact) {
  struct rfl_chol c, a;
  CHECK_OK(rfl_chol_new(p, exact, &c, &err), &err);
  CHECK_OK(rfl_chol_new(p, false, &a, &err), &err);
  gram_of(&c, 3 * p, -1);
  gram_of(&a, 3 * p, -1);
  rfl_chol_factor(&c, 1e-11);
  CHECK_EQ(c.rank, p);
  CHECK(c.least > 0 && c.least <= 1);
  double *b = calloc(3 * p + p * p, sizeof *b), *x = b + p, *copy = b + 2 * p,
         *inverse = b + 3 * p;
  for (size_t j = 0; j < p; j++) b[j] = x[j] = copy[j] = rfl_normal(8, j, 0);
  rfl_chol_solve(&c, (struct rfl_sums){x, NULL});
  rfl_chol_inverse(&c, inverse);
  double form = rfl_chol_norm2(&c, copy), direct = 0;
  for (size_t i = 0; i < p; i++) {
    double sum = 0, by_inverse = 0;
    for (size_t j = 0; j < p; j++) {
      sum += a.a.hi[i <= j ? i + j * p : j + i * p] * x[j];
      by_inverse += inverse[i + j * p] * b[j];
    }
    CHECK_NEAR(sum, b[i], 1e-11);
    CHECK_NEAR(by_inverse, x[i], 1e-11);
    direct += b[i] * x[i];
  }
  CHECK_NEAR(form, direct, 1e-11 * direct);
  free(b);
  rfl_chol_release(&c);
  rfl_chol_release(&a);
}

TEST(cholesky_solves_and_inverts) {
  check_solution(1, false);
  check_solution(5, false);
  check_solution(40, false);
  check_solution(120, false); /* by LAPACK */
  check_solution(12, true);
}

TEST(the_first_of_collinear_columns_is_kept) {
  for (size_t p = 6; p <= 120;
       p += 114) { /* plain loops, and LAPACK that has to give up */
    struct rfl_chol c;
    CHECK_OK(rfl_chol_new(p, false, &c, &err), &err);
    gram_of(&c, 2 * p, 3);
    for (size_t i = 0; i < p; i++)
      c.a.hi[i <= 4 ? i + 4 * p : 4 + i * p] = 0; /* a column of zeros */
    rfl_chol_factor(&c, 1e-11);
    CHECK_EQ(c.rank, p - 2);
    CHECK(c.kept[0] && !c.kept[3] && !c.kept[4] && c.kept[5]);
    double *b = calloc(p, sizeof *b), *inverse = calloc(p * p, sizeof *inverse);
    for (size_t j = 0; j < p; j++) b[j] = 1;
    rfl_chol_solve(&c, (struct rfl_sums){b, NULL});
    CHECK_NEAR(b[3], 0, 0);
    CHECK_NEAR(b[4], 0, 0);
    rfl_chol_inverse(&c, inverse);
    CHECK(isnan(inverse[3]) && isnan(inverse[4 + 5 * p]) && !isnan(inverse[5 + 5 * p]));
    free(b);
    free(inverse);
    rfl_chol_release(&c);
  }
}

static enum rfl_code plan_all(const struct rfl_layout *l) {
  struct rfl_gram g = {0};
  struct rfl_contrast c = {0};
  struct rfl_chol f = {0};
  enum rfl_code code = rfl_gram_plan(l, &g, &err);
  if (!code) code = rfl_contrast_new(l, &c, &err);
  if (!code) code = rfl_chol_new(100, false, &f, &err);
  rfl_chol_release(&f);
  if (!code) code = rfl_chol_new(4, true, &f, &err);
  rfl_chol_release(&f);
  rfl_contrast_release(&c);
  rfl_gram_release(&g);
  return code;
}

TEST(every_allocation_may_fail) {
  struct rfl_layout l = every_layout(3);
  SWEEP(plan_all(&l));
  every_layout_free(&l);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(cross_products_equal_long_double);
  RUN(exact_cross_products_lose_nothing);
  RUN(cross_products_with_a_vector_go_by_groups);
  RUN(the_logarithm_is_right_to_an_ulp_at_any_place);
  RUN(wide_kernels_agree_to_the_bit);
  RUN(eta_is_the_offset_and_z_gamma);
  RUN(the_exponential_is_right_to_an_ulp_at_any_place);
  RUN(double_double_arithmetic_has_thirty_digits);
  RUN(cholesky_solves_and_inverts);
  RUN(the_first_of_collinear_columns_is_kept);
  RUN(every_allocation_may_fail);
  return harness_end();
}
