/* What a fit may not depend on: how rows were cut, how many parts took them, where they
 * lay in memory: to the bit. Their order, and how they were sharded: to rounding. */
#include "blas_fill.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

static const struct world_plan plans[] = {
    {.seed = 1,
     .family = RFL_BINOMIAL,
     .n = 700,
     .numbers = 5,
     .factor = {3, 4},
     .cross = true,
     .base = -1,
     .weights = true},
    {.seed = 2,
     .family = RFL_POISSON,
     .n = 650,
     .numbers = 1,
     .factor = {5, 2, 3},
     .offset = true},
    {.seed = 3,
     .family = RFL_GAUSSIAN,
     .n = 500,
     .numbers = 9,
     .factor = {3, 3},
     .cross = true,
     .dense_contrasts = true},
    {.seed = 4, .family = RFL_BINOMIAL, .n = 900, .factor = {4, 6, 3}, .base = 0.5},
    {.seed = 5,
     .family = RFL_POISSON,
     .n = 400,
     .numbers = 2,
     .factor = {3},
     .no_intercept = true,
     .offset = true,
     .weights = true},
    {.seed = 6,
     .family = RFL_BINOMIAL,
     .n = 60000,
     .numbers = 14,
     .base = -2} /* not exact */
};
enum { N_PLANS = sizeof plans / sizeof *plans };

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_glm.write(s, &out);
  CHECK_OK(rfl_buf_check(&out, &err), &err);
  return out;
}

static bool same_bytes(const struct rfl_buf *a, const struct rfl_buf *b) {
  return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static struct rfl_buf fitted_bytes(const struct world *w, enum rfl_family family,
                                   struct how how) {
  struct rfl_glm_options o = {.family = family};
  struct rfl_state *s = NULL;
  struct rfl_buf out = {0};
  CHECK_OK(fit(&o, &w->layout, &w->block, how, &s, &err), &err);
  if (s) out = bytes_of(s);
  rfl_glm.release(s);
  return out;
}

TEST(cuts_and_parts_do_not_change_a_bit) {
  for (size_t k = 0; k < N_PLANS; k++) {
    struct world *w = world_new(&plans[k]);
    uint32_t rows = plans[k].n > 10000 ? 4096 : 100;
    struct rfl_buf one =
        fitted_bytes(w, plans[k].family, (struct how){.rows = rows, .parts = 1});
    size_t cuts[] = {1, 7, 100, 333};
    for (size_t c = 0; c < 4; c++) {
      size_t cut = cuts[c] * (rows > 100 ? 97 : 1);
      struct how how = {.rows = rows, .cut = cut, .parts = 1 + c};
      struct rfl_buf other = fitted_bytes(w, plans[k].family, how);
      CHECK(same_bytes(&one, &other));
      rfl_buf_release(&other);
    }
    rfl_buf_release(&one);
    world_free(w);
  }
}

/* Coefficients in standard errors of each other; 1e-8 is far below the contract's 1e-7
 * and far above what rounding does. */
static void check_near(const struct rfl_state *a, const struct rfl_state *b,
                       double tolerance) {
  struct rfl_glm_result r, q;
  CHECK_OK(rfl_glm_result(a, &r, &err), &err);
  CHECK_OK(rfl_glm_result(b, &q, &err), &err);
  for (int32_t j = 0; j < r.n_x; j++) {
    double se = sqrt(r.vcov[j + j * r.n_x]), other = sqrt(q.vcov[j + j * r.n_x]);
    CHECK_EQ(isnan(r.coef[j]), isnan(q.coef[j]));
    if (isnan(r.coef[j]) || isinf(se)) continue;
    CHECK_NEAR(r.coef[j], q.coef[j], tolerance * se + 1e-14);
    CHECK_NEAR(se, other, 1e-7 * se);
  }
  CHECK_NEAR(r.deviance, q.deviance, 1e-10 * r.deviance);
  CHECK_NEAR(r.null_deviance, q.null_deviance, 1e-10 * r.null_deviance);
}

TEST(the_order_of_rows_matters_to_rounding_only) {
  for (size_t k = 0; k < N_PLANS; k++) {
    struct world *w = world_new(&plans[k]);
    struct rfl_glm_options o = {.family = plans[k].family};
    struct rfl_state *a = NULL, *b = NULL;
    CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &a, &err), &err);
    size_t n = w->block.n;
    double *columns[] = {w->y, w->weight, w->offset};
    for (size_t i = 0; i < n / 2; i++) {
      for (size_t c = 0; c < 3 + 16; c++) {
        double *x = c < 3 ? columns[c] : w->number[c - 3];
        if (!x) continue;
        double t = x[i];
        x[i] = x[n - 1 - i];
        x[n - 1 - i] = t;
      }
      for (size_t c = 0; c < 8 && w->code[c]; c++) {
        int32_t t = w->code[c][i];
        w->code[c][i] = w->code[c][n - 1 - i];
        w->code[c][n - 1 - i] = t;
      }
    }
    CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &b, &err), &err);
    if (a && b) check_near(a, b, 1e-8);
    rfl_glm.release(a);
    rfl_glm.release(b);
    world_free(w);
  }
}

TEST(direct_absorbing_and_merged_parts_agree) {
  for (size_t k = 0; k < N_PLANS; k++) {
    struct world *w = world_new(&plans[k]);
    struct rfl_glm_options o = {.family = plans[k].family};
    struct rfl_state *a = NULL, *b = NULL;
    CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){.rows = 131}, &a, &err), &err);
    CHECK_OK(
        fit(&o, &w->layout, &w->block, (struct how){.rows = 200, .parts = 3}, &b, &err),
        &err);
    if (a && b) check_near(a, b, 1e-8);
    rfl_glm.release(a);
    rfl_glm.release(b);
    world_free(w);
  }
}

/* Shards absorbed apart and merged are one pass: also through bytes. */
TEST(shards_merge_to_one_pass_through_bytes) {
  struct world *w = world_new(&plans[0]);
  struct rfl_glm_options o = {.family = plans[0].family};
  struct rfl_state *a = NULL, *b = NULL;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &a, &err), &err);
  CHECK_OK(rfl_glm.open(&o.base, &w->layout, &b, &err), &err);
  for (bool again = true; again && !harness_failed_;) {
    for (size_t from = 0; from < w->block.n; from += 250) {
      size_t n = w->block.n - from < 250 ? w->block.n - from : 250;
      struct rfl_block shard = slice_of(&w->block, from, n, 1);
      struct rfl_state *part = NULL, *back = NULL;
      CHECK_OK(rfl_glm.part(b, &part, &err), &err);
      CHECK_OK(rfl_glm.absorb(part, &shard, &err), &err);
      struct rfl_buf out = bytes_of(part);
      CHECK_OK(rfl_glm.read((struct rfl_bytes){out.p, out.n}, &back, &err), &err);
      if (back) CHECK_OK(rfl_glm.merge(b, back, &err), &err);
      rfl_buf_release(&out);
      rfl_glm.release(part);
      rfl_glm.release(back);
    }
    CHECK_OK(rfl_glm.settle(b, &again, &err), &err);
  }
  check_near(a, b, 1e-8);
  rfl_glm.release(a);
  rfl_glm.release(b);
  world_free(w);
}

TEST(sums_do_not_depend_on_where_rows_lie) {
  for (size_t k = 0; k < N_PLANS - 1; k++) {
    struct world *w = world_new(&plans[k]);
    struct rfl_glm_options o = {.family = plans[k].family};
    struct rfl_state *s = NULL, *part = NULL;
    CHECK_OK(rfl_glm.open(&o.base, &w->layout, &s, &err), &err);
    struct rfl_block b = slice_of(&w->block, 3, 211, 1);
    CHECK_OK(rfl_glm.part(s, &part, &err), &err);
    CHECK_OK(rfl_glm.absorb(part, &b, &err), &err);
    struct rfl_buf first = bytes_of(part);
    double *copy = calloc((b.n + 1) * (b.n_dense + 3), sizeof *copy);
    const double *dense[16];
    struct rfl_block moved = b;
    for (size_t c = 0; c < b.n_dense; c++) {
      double *to = copy + 1 + c * (b.n + 1); /* another alignment */
      memcpy(to, b.dense[c], b.n * sizeof *to);
      dense[c] = to;
    }
    moved.dense = dense;
    CHECK_OK(rfl_glm.part(s, &part, &err), &err);
    CHECK_OK(rfl_glm.absorb(part, &moved, &err), &err);
    struct rfl_buf second = bytes_of(part);
    CHECK(same_bytes(&first, &second));
    free(copy);
    rfl_buf_release(&first);
    rfl_buf_release(&second);
    rfl_glm.release(part);
    rfl_glm.release(s);
    world_free(w);
  }
}

TEST(a_state_of_another_pass_or_model_is_not_merged) {
  struct world *w = world_new(&plans[0]), *v = world_new(&plans[1]);
  struct rfl_glm_options o = {.family = plans[0].family}, p = {.family = plans[1].family};
  struct rfl_state *a = NULL, *b = NULL, *c = NULL;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &a, &err), &err);
  CHECK_OK(rfl_glm.open(&o.base, &w->layout, &b, &err), &err);
  CHECK_OK(rfl_glm.open(&p.base, &v->layout, &c, &err), &err);
  CHECK_EQ(rfl_glm.merge(b, a, &err), RFL_EMODEL);
  CHECK_EQ(rfl_glm.merge(b, c, &err), RFL_EMODEL);
  rfl_glm.release(a);
  rfl_glm.release(b);
  rfl_glm.release(c);
  world_free(w);
  world_free(v);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(cuts_and_parts_do_not_change_a_bit);
  RUN(the_order_of_rows_matters_to_rounding_only);
  RUN(direct_absorbing_and_merged_parts_agree);
  RUN(shards_merge_to_one_pass_through_bytes);
  RUN(sums_do_not_depend_on_where_rows_lie);
  RUN(a_state_of_another_pass_or_model_is_not_merged);
  return harness_end();
}
