/* Two fits as one: against the fit of all rows. */
#include "blas_fill.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

static enum rfl_code fit_rows(const struct world *w, enum rfl_family family, size_t from,
                              size_t n, struct rfl_state **gives) {
  struct rfl_glm_options o = {.family = family};
  struct rfl_block rows = slice_of(&w->block, from, n, 1);
  return fit(&o, &w->layout, &rows, (struct how){.parts = 1}, gives, &err);
}

static void check_near(const struct world_plan *p, double distance, double totals) {
  struct world *w = world_new(p);
  size_t half = p->n / 2;
  struct rfl_state *a = NULL, *b = NULL, *all = NULL, *both = NULL;
  CHECK_OK(fit_rows(w, p->family, 0, half, &a), &err);
  CHECK_OK(fit_rows(w, p->family, half, p->n - half, &b), &err);
  CHECK_OK(fit_rows(w, p->family, 0, p->n, &all), &err);
  CHECK_OK(rfl_glm_combine(a, b, &both, &err), &err);
  struct rfl_glm_result x, y;
  CHECK_OK(rfl_glm_result(all, &x, &err), &err);
  CHECK_OK(rfl_glm_result(both, &y, &err), &err);
  for (int32_t j = 0; j < x.n_x; j++) {
    double se = sqrt(x.vcov[j + j * x.n_x]);
    CHECK_NEAR(x.coef[j], y.coef[j], distance * se);
    CHECK_NEAR(sqrt(y.vcov[j + j * x.n_x]), se, totals * se);
  }
  CHECK_NEAR(y.deviance, x.deviance, totals * x.deviance);
  CHECK_NEAR(y.null_deviance, x.null_deviance, totals * x.null_deviance);
  CHECK_EQ(x.n, y.n);
  CHECK(y.converged && y.identified);
  rfl_glm.release(a);
  rfl_glm.release(b);
  rfl_glm.release(all);
  rfl_glm.release(both);
  world_free(w);
}

TEST(two_fits_are_the_fit_of_all_rows) {
  struct world_plan line = {.seed = 1,
                            .family = RFL_GAUSSIAN,
                            .n = 4000,
                            .numbers = 3,
                            .factor = {4, 3},
                            .cross = true,
                            .offset = true};
  struct world_plan share = {
      .seed = 2, .family = RFL_BINOMIAL, .n = 40000, .numbers = 3, .factor = {4, 3}};
  struct world_plan counts = share;
  counts.family = RFL_POISSON;
  check_near(&line, 1e-9, 1e-9);
  check_near(&share, 0.1, 0.01);
  check_near(&counts, 0.1, 0.01);
}

/* A shard adds to what a stream has taught, whichever is named first. */
TEST(a_renewed_model_takes_a_shard) {
  struct world_plan p = {.seed = 3, .family = RFL_GAUSSIAN, .n = 3000, .numbers = 2};
  struct world *w = world_new(&p);
  struct rfl_state *a = NULL, *b = NULL, *all = NULL, *ab = NULL, *ba = NULL;
  CHECK_OK(fit_rows(w, p.family, 0, 1000, &a), &err);
  struct rfl_block more = slice_of(&w->block, 1000, 1000, 1);
  CHECK_OK(learn(a, &more, 1, &err), &err);
  CHECK_OK(fit_rows(w, p.family, 2000, 1000, &b), &err);
  CHECK_OK(fit_rows(w, p.family, 0, 3000, &all), &err);
  CHECK_OK(rfl_glm_combine(a, b, &ab, &err), &err);
  CHECK_OK(rfl_glm_combine(b, a, &ba, &err), &err);
  struct rfl_glm_result x, y, z;
  CHECK_OK(rfl_glm_result(all, &x, &err), &err);
  CHECK_OK(rfl_glm_result(ab, &y, &err), &err);
  CHECK_OK(rfl_glm_result(ba, &z, &err), &err);
  for (int32_t j = 0; j < x.n_x; j++) {
    double se = sqrt(x.vcov[j + j * x.n_x]);
    CHECK_NEAR(x.coef[j], y.coef[j], 1e-9 * se);
    CHECK_NEAR(x.coef[j], z.coef[j], 1e-9 * se);
  }
  CHECK_EQ(y.version, 1);
  struct rfl_state *const made[] = {a, b, all, ab, ba};
  for (size_t k = 0; k < 5; k++) rfl_glm.release(made[k]);
  world_free(w);
}

TEST(models_of_other_columns_or_families_are_refused) {
  struct world_plan p = {.seed = 4, .family = RFL_BINOMIAL, .n = 500, .numbers = 2},
                    q = p, r = p;
  q.numbers = 3;
  r.family = RFL_POISSON;
  struct world *w[] = {world_new(&p), world_new(&q), world_new(&r)};
  struct rfl_state *s[3] = {0}, *none = NULL;
  CHECK_OK(fit_rows(w[0], p.family, 0, 500, &s[0]), &err);
  CHECK_OK(fit_rows(w[1], q.family, 0, 500, &s[1]), &err);
  CHECK_OK(fit_rows(w[2], r.family, 0, 500, &s[2]), &err);
  CHECK_EQ(rfl_glm_combine(s[0], s[1], &none, &err), RFL_EMODEL);
  CHECK_EQ(rfl_glm_combine(s[0], s[2], &none, &err), RFL_EMODEL);
  CHECK(!none);
  for (size_t k = 0; k < 3; k++) {
    rfl_glm.release(s[k]);
    world_free(w[k]);
  }
}

static enum rfl_code join(const struct rfl_state *a, const struct rfl_state *b) {
  struct rfl_state *both = NULL;
  enum rfl_code code = rfl_glm_combine(a, b, &both, &err);
  rfl_glm.release(both);
  return code;
}

TEST(every_allocation_may_fail) {
  struct world_plan p = {.seed = 5, .family = RFL_BINOMIAL, .n = 2000, .factor = {3}};
  struct world *w = world_new(&p);
  struct rfl_state *a = NULL, *b = NULL;
  CHECK_OK(fit_rows(w, p.family, 0, 1000, &a), &err);
  CHECK_OK(fit_rows(w, p.family, 1000, 900, &b), &err);
  struct rfl_block more = slice_of(&w->block, 1900, 100, 1);
  CHECK_OK(learn(b, &more, 0.99, &err), &err);
  SWEEP(join(a, b));
  rfl_glm.release(a);
  rfl_glm.release(b);
  world_free(w);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(two_fits_are_the_fit_of_all_rows);
  RUN(a_renewed_model_takes_a_shard);
  RUN(models_of_other_columns_or_families_are_refused);
  RUN(every_allocation_may_fail);
  return harness_end();
}
