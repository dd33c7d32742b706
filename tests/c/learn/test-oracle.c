/* The GLM against stats::glm() iterated to the end, by the contract of the learner:
 * |b - b*| <= 1e-7 SE* + 1e-10 |b*|, |SE / SE* - 1| <= 1e-7, deviances to 1e-10. AIC and
 * log-likelihood, sums of n terms of order 1 to 10, to 1e-9 relative. */
#include "blas_fill.h"
#include "harness.h"
#include "help.h"
#include "oracle-glm.inc"

static void near_relative(const char *what, const char *name, double a, double b,
                          double tolerance) {
  char why[300];
  if (isnan(b) ? isnan(a) : a == b || fabs(a - b) <= tolerance * fabs(b)) return;
  snprintf(why, sizeof why, "%s: %s is %.17g, not %.17g", name, what, a, b);
  harness_fail_(__FILE__, __LINE__, "%s", why);
}

static void compare(const struct oracle *o, const struct rfl_glm_result *r) {
  CHECK_EQ(r->n_x, o->n_x);
  near_relative("rank", o->name, r->rank, o->rank, 0);
  for (int32_t j = 0; j < o->n_x && j < r->n_x; j++) {
    double b = o->coef[j], se = o->se[j], mine = sqrt(r->vcov[j + j * o->n_x]);
    char what[32];
    snprintf(what, sizeof what, "coefficient %d", j);
    double slack = isnan(se) ? 1e-9 * fabs(b) : 1e-7 * se + 1e-10 * fabs(b);
    if (isnan(b) != isnan(r->coef[j]) || fabs(b - r->coef[j]) > slack)
      near_relative(what, o->name, r->coef[j], b, 0);
    snprintf(what, sizeof what, "SE %d", j);
    near_relative(what, o->name, mine, se, 1e-7);
  }
  double df = r->n - r->n_zero - r->rank;
  CHECK_EQ(df, o->df_residual);
  CHECK(r->converged);
  CHECK(!r->separated);
  if (o->df_residual > 0)
    near_relative("deviance", o->name, r->deviance, o->deviance, 1e-10);
  if (o->df_residual > 0)
    near_relative("dispersion", o->name, r->dispersion, o->dispersion, 1e-9);
  near_relative("null deviance", o->name, r->null_deviance, o->null_deviance, 1e-10);
  if (o->df_residual > 0) near_relative("AIC", o->name, r->aic, o->aic, 1e-9);
  if (o->df_residual > 0)
    near_relative("log-likelihood", o->name, r->loglik, o->loglik, 1e-9);
}

static void check_all(struct how how) {
  struct rfl_err err;
  for (size_t k = 0; k < sizeof oracles / sizeof *oracles; k++) {
    const struct oracle *o = &oracles[k];
    struct rfl_layout l = layout_of(o);
    struct rfl_block b = block_of(o);
    struct rfl_glm_options options = {.family = o->family};
    struct rfl_state *s = NULL;
    struct rfl_glm_result r;
    CHECK_OK(fit(&options, &l, &b, how, &s, &err), &err);
    if (s) {
      CHECK_OK(rfl_glm_result(s, &r, &err), &err);
      compare(o, &r);
      if (getenv("RFL_SHOW"))
        printf("# %s: %d passes, exact %d\n", o->name, r.passes, r.double_double);
    }
    rfl_glm.release(s);
    layout_free(&l);
  }
}

TEST(fits_equal_glm_iterated_to_the_end) { check_all((struct how){0}); }
TEST(fits_equal_glm_from_cells_of_seven_rows_in_three_parts) {
  check_all((struct how){.rows = 7, .cut = 5, .parts = 3});
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(fits_equal_glm_iterated_to_the_end);
  RUN(fits_equal_glm_from_cells_of_seven_rows_in_three_parts);
  return harness_end();
}
