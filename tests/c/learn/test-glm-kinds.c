/* Fits of every kind (families, penalties, Firth, clusters): through bytes at every pass,
 * merged from parts, with every allocation failing, and the links at the ends of their
 * range. What they equal is checked in R, where there are oracles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../blas_fill.h"
#include "base/mem.h"
#include "harness.h"
#include "help.h"
#include "learn/glm_kind.h"

static struct rfl_err err;

struct kind_case {
  const char *name;
  enum rfl_family draw; /* what the response is drawn from */
  struct rfl_glm_options o;
};
static const struct kind_case cases[] = {
    {"probit", RFL_BINOMIAL, {.family = RFL_BINOMIAL, .link = RFL_PROBIT}},
    {"cauchit", RFL_BINOMIAL, {.family = RFL_BINOMIAL, .link = RFL_CAUCHIT}},
    {"cloglog", RFL_BINOMIAL, {.family = RFL_QUASIBINOMIAL, .link = RFL_CLOGLOG}},
    {"counts by quasi",
     RFL_POISSON,
     {.family = RFL_QUASI, .variance = RFL_V_MU, .link = RFL_LOG}},
    {"negative binomial", RFL_POISSON, {.family = RFL_NEGATIVE_BINOMIAL, .shape = 2}},
    {"theta", RFL_POISSON, {.family = RFL_NEGATIVE_BINOMIAL}},
    {"tweedie", RFL_POISSON, {.family = RFL_TWEEDIE, .shape = 1.5, .link = RFL_LOG}},
    {"elastic net", RFL_BINOMIAL, {.family = RFL_BINOMIAL, .l1 = 0.01, .l2 = 0.02}},
    {"standardized",
     RFL_POISSON,
     {.family = RFL_POISSON, .l1 = 0.01, .l2 = 0.1, .standardize = true}},
    {"ridge", RFL_BINOMIAL, {.family = RFL_BINOMIAL, .l2 = 0.1}},
    {"firth", RFL_BINOMIAL, {.family = RFL_BINOMIAL, .firth = true}},
    {"firth counts", RFL_POISSON, {.family = RFL_POISSON, .firth = true}},
    {"clusters", RFL_BINOMIAL, {.family = RFL_BINOMIAL, .cluster = true}},
    {"frequencies", RFL_POISSON, {.family = RFL_POISSON, .freq = true, .link = RFL_SQRT}},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* A world with a bucket for every row. */
static struct world *world_of(const struct kind_case *k, size_t n, double **bucket) {
  static const double *extra[1];
  struct world_plan p = {.seed = 31,
                         .family = k->draw,
                         .n = n,
                         .numbers = 2,
                         .factor = {3},
                         .base = k->o.link == RFL_SQRT ? 2 : 0};
  struct world *w = world_new(&p);
  *bucket = calloc(n, sizeof **bucket);
  for (size_t i = 0; i < n; i++) (*bucket)[i] = (double)(i * 37 % 41);
  extra[0] = *bucket;
  w->block.n_extra = w->layout.n_extra = 1;
  w->block.extra = extra;
  return w;
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_glm.write(s, &out);
  return out;
}

static struct rfl_state *reread(const struct rfl_state *s) {
  struct rfl_state *back = NULL;
  struct rfl_buf a = bytes_of(s);
  CHECK_OK(rfl_glm.read((struct rfl_bytes){a.p, a.n}, &back, &err), &err);
  struct rfl_buf b = {0};
  if (back) b = bytes_of(back);
  CHECK(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  return back;
}

/* Firth's factor is not in the bytes: a fit that goes on from them takes it anew. */
TEST(a_fit_goes_on_from_bytes_after_any_pass) {
  for (size_t k = 0; k < N_CASES; k++) {
    double *bucket;
    struct world *w = world_of(&cases[k], 400, &bucket);
    struct rfl_state *s = NULL, *whole = NULL;
    struct rfl_glm_result a, b;
    CHECK_OK(fit(&cases[k].o, &w->layout, &w->block, (struct how){0}, &whole, &err),
             &err);
    CHECK_OK(rfl_glm.open(&cases[k].o.base, &w->layout, &s, &err), &err);
    for (bool again = true; again && !harness_failed_;) {
      CHECK_OK(rfl_glm.absorb(s, &w->block, &err), &err);
      CHECK_OK(rfl_glm.settle(s, &again, &err), &err);
      struct rfl_state *back = reread(s);
      rfl_glm.release(s);
      s = back;
      if (!s) return;
    }
    CHECK_OK(rfl_glm_result(whole, &a, &err), &err);
    CHECK_OK(rfl_glm_result(s, &b, &err), &err);
    CHECK(a.converged && b.converged);
    for (int32_t j = 0; j < a.n_x; j++) /* 1e-7 standard errors is the contract */
      CHECK_NEAR(a.coef[j], b.coef[j], 1e-6 * (0.01 + fabs(a.coef[j])));
    rfl_glm.release(s);
    rfl_glm.release(whole);
    free(bucket);
    world_free(w);
  }
}

TEST(cuts_and_parts_do_not_change_a_bit) {
  for (size_t k = 0; k < N_CASES; k++) {
    double *bucket;
    struct world *w = world_of(&cases[k], 600, &bucket);
    struct rfl_state *a = NULL, *b = NULL;
    struct how one = {.rows = 100, .parts = 1},
               three = {.rows = 100, .cut = 7, .parts = 3};
    CHECK_OK(fit(&cases[k].o, &w->layout, &w->block, one, &a, &err), &err);
    struct rfl_block plain = w->block;
    if (cases[k].o.cluster) three.cut = 0; /* the helper's slices have no extras */
    CHECK_OK(fit(&cases[k].o, &w->layout, &plain, three, &b, &err), &err);
    struct rfl_buf x = bytes_of(a), y = bytes_of(b);
    CHECK(x.n == y.n && memcmp(x.p, y.p, x.n) == 0);
    rfl_buf_release(&x);
    rfl_buf_release(&y);
    rfl_glm.release(a);
    rfl_glm.release(b);
    free(bucket);
    world_free(w);
  }
}

/* Fit, covariances, a learning block, copy and bytes. */
static enum rfl_code live(const struct kind_case *k, const struct world *w, double *v) {
  struct rfl_state *s = NULL, *copy = NULL;
  enum rfl_code code =
      fit(&k->o, &w->layout, &w->block, (struct how){.rows = 50, .parts = 2}, &s, &err);
  if (!code) code = rfl_glm_vcov(s, RFL_VCOV_MODEL, v, &err);
  if (!code && k->o.cluster) code = rfl_glm_vcov(s, RFL_VCOV_CLUSTER, v, &err);
  if (code == RFL_EMODEL) code = RFL_OK; /* l1 has no covariance */
  if (!code) code = rfl_glm.copy(s, &copy, &err);
  if (!code && !(k->o.l1 > 0)) code = learn(s, &w->block, 0.99, &err);
  rfl_glm.release(s);
  rfl_glm.release(copy);
  return code;
}

TEST(every_allocation_may_fail) {
  static const size_t which[] = {0, 5, 8, 10, 12};
  for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
    const struct kind_case *k = &cases[which[i]];
    double *bucket;
    struct world *w = world_of(k, 150, &bucket);
    double *v = calloc((size_t)w->layout.n_x * (size_t)w->layout.n_x, sizeof *v);
    SWEEP(live(k, w, v));
    free(v);
    free(bucket);
    world_free(w);
  }
}

/* The mean and its complement add up to 1, and keep their digits where one of them is
 * tiny: against the leading terms of the tails. */
TEST(tails_of_probabilities_keep_their_digits) {
  struct glm_strip s = {.n = 3, .eta = {-30, 0.3, 30}};
  struct glm_kind k = {.family = RFL_BINOMIAL, .variance = RFL_V_SHARE};
  const enum rfl_link links[] = {RFL_LOGIT, RFL_PROBIT, RFL_CAUCHIT, RFL_CLOGLOG};
  for (int i = 0; i < 4; i++) {
    k.link = links[i];
    glm_invert(&k, &s);
    for (size_t j = 0; j < s.n; j++) CHECK_NEAR(s.mu[j] + s.nu[j], 1, 1e-15);
    CHECK_NEAR(glm_link(&k, s.mu[1]), 0.3, 1e-14);
  }
  k.link = RFL_LOGIT;
  glm_invert(&k, &s);
  double small = exp(-30) / (1 + exp(-30));
  CHECK_NEAR(s.mu[0], small, 1e-15 * small);
  CHECK_NEAR(s.nu[2], small, 1e-15 * small);
  k.link = RFL_CAUCHIT; /* atan(x) = x - x^3 / 3 */
  glm_invert(&k, &s);
  double x = 1.0 / 30,
         tail = (x - x * x * x / 3 + pow(x, 5) / 5) / 3.14159265358979323846;
  CHECK_NEAR(s.mu[0], tail, 1e-9 * tail);
  CHECK_NEAR(s.nu[2], tail, 1e-9 * tail);
}

TEST(what_does_not_go_together_is_refused) {
  double *bucket;
  struct world *w = world_of(&cases[0], 20, &bucket);
  struct rfl_state *s = NULL;
  const struct rfl_glm_options wrong[] = {
      {.family = RFL_GAUSSIAN, .firth = true},
      {.family = RFL_BINOMIAL, .firth = true, .l2 = 1},
      {.family = RFL_BINOMIAL, .l1 = -1},
      {.family = RFL_BINOMIAL, .l2 = INFINITY},
      {.family = RFL_CUSTOM},
      {.family = RFL_TWEEDIE, .shape = 1e9},
      {.family = RFL_POISSON, .link = RFL_POWER, .lambda = NAN}};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
    CHECK_EQ(rfl_glm.open(&wrong[k].base, &w->layout, &s, &err), RFL_EARGUMENT);
  free(bucket);
  world_free(w);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(a_fit_goes_on_from_bytes_after_any_pass);
  RUN(cuts_and_parts_do_not_change_a_bit);
  RUN(every_allocation_may_fail);
  RUN(tails_of_probabilities_keep_their_digits);
  RUN(what_does_not_go_together_is_refused);
  return harness_end();
}
