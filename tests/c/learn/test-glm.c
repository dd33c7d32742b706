/* The GLM against a naive fit in long double on random designs, and its corners: scores,
 * separation, what is refused, bytes, memory. */
#include "base/random.h"
#include "blas_fill.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

static void against_naive(const struct world_plan *p) {
  struct world *w = world_new(p);
  struct rfl_glm_options o = {.family = p->family};
  struct rfl_state *s = NULL;
  struct rfl_glm_result r = {0};
  size_t n_x = (size_t)w->layout.n_x;
  double *coef = calloc(n_x, sizeof *coef), *se = calloc(n_x, sizeof *se);
  naive_glm(p->family, &w->layout, &w->block, coef, se);
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){.parts = 2}, &s, &err), &err);
  if (s) CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK_EQ(r.rank, n_x);
  double zero = 0;
  for (size_t i = 0; p->weights && i < p->n; i++) zero += w->weight[i] == 0;
  double f = p->family == RFL_GAUSSIAN /* naive divides by n - p, zero weights included */
                 ? sqrt((double)(p->n - n_x) / ((double)(p->n - n_x) - zero))
                 : 1;
  for (size_t j = 0; j < n_x && !harness_failed_; j++) {
    CHECK_NEAR(r.coef[j], coef[j], 1e-7 * se[j] + 1e-10 * fabs(coef[j]));
    CHECK_NEAR(sqrt(r.vcov[j + j * n_x]), f * se[j], 1e-7 * se[j]);
  }
  free(coef);
  free(se);
  rfl_glm.release(s);
  world_free(w);
}

TEST(random_designs_equal_a_naive_fit_in_long_double) {
  for (uint64_t seed = 100; seed < 130 && !harness_failed_; seed++) {
    struct world_plan p = {.seed = seed, .family = seed % 3, .n = 500 + seed % 7 * 53};
    p.numbers = seed % 5 * 3;
    if (seed % 4) p.factor[0] = 2 + (int32_t)(seed % 3);
    if (seed % 4 > 1) p.factor[1] = 3;
    p.cross = seed % 4 == 3 && p.numbers;
    p.weights = seed % 2;
    p.offset = seed % 5 == 1;
    p.dense_contrasts = seed % 3 == 1;
    if (seed % 4 == 0 && !p.numbers) p.numbers = 1;
    against_naive(&p);
  }
}

/* rows * p^2 > 1e7: the sums stay in doubles. */
TEST(large_designs_in_plain_doubles_equal_a_naive_fit) {
  struct world_plan p = {.seed = 7,
                         .family = RFL_BINOMIAL,
                         .n = 30000,
                         .numbers = 15,
                         .factor = {6},
                         .base = -2};
  against_naive(&p);
  struct world_plan q = {.seed = 8,
                         .family = RFL_POISSON,
                         .n = 30000,
                         .numbers = 15,
                         .factor = {6},
                         .offset = true};
  against_naive(&q);
}

/* lm()'s rule: a column is aliased when less than 1e-7 of its length is outside of those
 * before it; also where only double-double sums can tell, and in rows so many that plain
 * ones were taken first. */
TEST(nearly_collinear_columns_are_kept_or_dropped_as_by_lm) {
  for (int k = 0; k < 6; k++) {
    struct world_plan p = {.seed = 20,
                           .family = k % 2 ? RFL_BINOMIAL : RFL_GAUSSIAN,
                           .n = k < 4 ? 400 : 450000,
                           .numbers = 4};
    struct world *w = world_new(&p);
    double apart = k % 4 < 2 ? 1e-6 : 1e-9;
    for (size_t i = 0; i < p.n; i++)
      w->number[2][i] = w->number[0][i] + apart * w->number[2][i];
    struct rfl_glm_options o = {.family = p.family};
    struct rfl_state *s = NULL;
    struct rfl_glm_result r;
    CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){.parts = 1}, &s, &err), &err);
    CHECK_OK(rfl_glm_result(s, &r, &err), &err);
    CHECK_EQ(isnan(r.coef[3]), apart < 1e-7);
    CHECK(!isnan(r.coef[1]) && !isnan(r.coef[4]));
    CHECK(r.converged && !r.separated);
    rfl_glm.release(s);
    world_free(w);
  }
}

/* Newton alone diverges from here: halving brings it back. */
TEST(a_start_far_away_leads_to_the_same_place) {
  for (int family = 1; family <= RFL_POISSON; family++) {
    struct world_plan p = {.seed = 21,
                           .family = (enum rfl_family)family,
                           .n = 700,
                           .numbers = 3,
                           .factor = {3}};
    struct world *w = world_new(&p);
    double start[] = {4, -3, NAN, 2, 5, -5};
    struct rfl_glm_options o = {.family = p.family},
                           far = {.family = p.family, .start = start};
    struct rfl_state *s = NULL, *t = NULL;
    struct rfl_glm_result a, b;
    CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
    CHECK_OK(fit(&far, &w->layout, &w->block, (struct how){0}, &t, &err), &err);
    CHECK_OK(rfl_glm_result(s, &a, &err), &err);
    CHECK_OK(rfl_glm_result(t, &b, &err), &err);
    CHECK(b.converged);
    for (int32_t j = 0; j < a.n_x; j++)
      CHECK_NEAR(a.coef[j], b.coef[j], 1e-8 * sqrt(a.vcov[j + j * a.n_x]));
    start[0] = 800; /* cannot be evaluated for counts */
    rfl_glm.release(t);
    t = NULL;
    CHECK_OK(fit(&far, &w->layout, &w->block, (struct how){0}, &t, &err), &err);
    CHECK_OK(rfl_glm_result(t, &b, &err), &err);
    for (int32_t j = 0; j < a.n_x; j++)
      CHECK_NEAR(a.coef[j], b.coef[j], 1e-8 * sqrt(a.vcov[j + j * a.n_x]));
    rfl_glm.release(s);
    rfl_glm.release(t);
    world_free(w);
  }
}

TEST(passes_may_be_limited) {
  struct world_plan p = {.seed = 22, .family = RFL_BINOMIAL, .n = 700, .numbers = 3};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family, .max_passes = 2};
  struct rfl_state *s = NULL;
  struct rfl_glm_result r;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
  CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK_EQ(r.passes, 2);
  CHECK(!r.converged);
  rfl_glm.release(s);
  world_free(w);
}

TEST(lapack_and_plain_loops_factor_alike) {
  struct world_plan p = {.seed = 9,
                         .family = RFL_POISSON,
                         .n = 6000,
                         .numbers = 2,
                         .factor = {60, 50},
                         .base = 1};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL, *t = NULL;
  struct rfl_glm_result a, b;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
  struct rfl_blas all = rfl_blas;
  rfl_blas.potrf = NULL;
  rfl_blas.potri = NULL;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &t, &err), &err);
  CHECK_OK(rfl_glm_result(t, &b, &err), &err);
  rfl_blas = all;
  CHECK_OK(rfl_glm_result(s, &a, &err), &err);
  for (int32_t j = 0; j < a.n_x && !harness_failed_; j++) {
    double se = sqrt(a.vcov[j + j * a.n_x]);
    CHECK_NEAR(a.coef[j], b.coef[j], 1e-9 * se);
    CHECK_NEAR(se, sqrt(b.vcov[j + j * a.n_x]), 1e-9 * se);
  }
  rfl_glm.release(s);
  rfl_glm.release(t);
  world_free(w);
}

TEST(a_row_alone_scores_as_in_the_batch_to_the_bit) {
  struct world_plan p = {.seed = 10,
                         .family = RFL_BINOMIAL,
                         .n = 1003,
                         .numbers = 7,
                         .factor = {3, 4},
                         .cross = true,
                         .offset = true,
                         .base = -1};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
  double *all = calloc(2 * p.n, sizeof *all), one[2];
  for (int what = RFL_GLM_LINK; what <= RFL_GLM_LINK_SE; what++) {
    uint32_t width = rfl_glm.width(s, what);
    CHECK_EQ(width, what == RFL_GLM_LINK_SE ? 2 : 1);
    CHECK_OK(rfl_glm.score(s, &w->block, what, all, &err), &err);
    for (size_t i = 0; i < p.n; i += i < 20 ? 1 : 37) {
      struct rfl_block b = slice_of(&w->block, i, 1, 1);
      CHECK_OK(rfl_glm.score(s, &b, what, one, &err), &err);
      for (uint32_t c = 0; c < width; c++)
        CHECK(memcmp(&one[c], &all[c * p.n + i], sizeof *one) == 0);
    }
  }
  free(all);
  rfl_glm.release(s);
  world_free(w);
}

/* eta = X b + offset, mu, and sqrt(x' V x), computed the long way; a few roundings. */
TEST(scores_are_the_linear_predictor_its_error_and_the_response) {
  for (int family = 0; family <= RFL_POISSON; family++) {
    struct world_plan p = {.seed = 11,
                           .family = (enum rfl_family)family,
                           .n = 400,
                           .numbers = 3,
                           .factor = {3, 2},
                           .cross = true,
                           .offset = true,
                           .dense_contrasts = true};
    struct world *w = world_new(&p);
    struct rfl_glm_options o = {.family = p.family};
    struct rfl_state *s = NULL;
    struct rfl_glm_result r;
    CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
    CHECK_OK(rfl_glm_result(s, &r, &err), &err);
    double *x = matrix_of(&w->layout, &w->block), *out = calloc(3 * p.n, sizeof *out);
    CHECK_OK(rfl_glm.score(s, &w->block, RFL_GLM_LINK_SE, out, &err), &err);
    CHECK_OK(rfl_glm.score(s, &w->block, RFL_GLM_RESPONSE, out + 2 * p.n, &err), &err);
    for (size_t i = 0; i < p.n && !harness_failed_; i++) {
      double eta = w->offset[i], v = 0;
      for (int32_t j = 0; j < r.n_x; j++) {
        eta += x[i + (size_t)j * p.n] * r.coef[j];
        for (int32_t k = 0; k < r.n_x; k++)
          v += x[i + (size_t)j * p.n] * x[i + (size_t)k * p.n] * r.vcov[j + k * r.n_x];
      }
      double mu = family == RFL_BINOMIAL  ? 1 / (1 + exp(-eta))
                  : family == RFL_POISSON ? exp(eta)
                                          : eta;
      CHECK_NEAR(out[i], eta, 1e-12);
      CHECK_NEAR(out[p.n + i], sqrt(v), 1e-10);
      CHECK_NEAR(out[2 * p.n + i], mu, 1e-12 * (1 + fabs(mu)));
    }
    free(x);
    free(out);
    rfl_glm.release(s);
    world_free(w);
  }
}

/* ---- separation ---- */

/* Rows of level `level` of factor 0 get the response `y`. */
static void force(struct world *w, int32_t level, double y) {
  for (size_t i = 0; i < w->block.n; i++)
    if (w->code[0][i] == level) w->y[i] = y;
}

/* The limit of the other coefficients is the fit without the level's rows. */
static void check_limit(enum rfl_family family, int32_t level, double y, bool reference) {
  struct world_plan p = {.seed = 12,
                         .family = family,
                         .n = 900,
                         .numbers = 2,
                         .factor = {5, 3},
                         .base = 0.2};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = family};
  struct rfl_state *s = NULL, *t = NULL;
  struct rfl_glm_result r, q;
  force(w, level, y);
  CHECK_OK(
      fit(&o, &w->layout, &w->block, (struct how){.rows = 100, .parts = 2}, &s, &err),
      &err);
  CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK(r.separated && r.converged);
  CHECK(r.passes < 16);
  w->weight = calloc(p.n, sizeof(double));
  for (size_t i = 0; i < p.n; i++) w->weight[i] = w->code[0][i] != level;
  w->block.weight = w->weight;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &t, &err), &err);
  CHECK_OK(rfl_glm_result(t, &q, &err), &err);
  CHECK(!q.separated);
  CHECK_NEAR(r.deviance, q.deviance, 1e-9 * q.deviance);
  for (int32_t j = 0; j < r.n_x; j++) {
    double se = sqrt(r.vcov[j + j * r.n_x]);
    /* Columns: intercept, two numbers, four levels, two levels. */
    bool runs = reference ? j == 0 || (j >= 3 && j <= 6) : j == 2 + level;
    CHECK_EQ(isinf(se), runs);
    if (runs) continue;
    double other = sqrt(q.vcov[j + j * r.n_x]);
    CHECK_NEAR(r.coef[j], q.coef[j], 1e-7 * other);
    CHECK_NEAR(se, other, 1e-6 * other);
  }
  /* A score's error is infinite in the level only, where there is nothing to go by. */
  double *out = calloc(2 * p.n, sizeof *out);
  CHECK_OK(rfl_glm.score(s, &w->block, RFL_GLM_LINK_SE, out, &err), &err);
  for (size_t i = 0; i < p.n; i++) CHECK_EQ(isinf(out[p.n + i]), w->code[0][i] == level);
  free(out);
  double *rows = calloc(2 * (size_t)w->layout.n_z, sizeof *rows),
         *events = rows + w->layout.n_z;
  CHECK_OK(rfl_glm_level_counts(s, rows, events, &err), &err);
  CHECK(isnan(rows[0]) && isnan(events[1]));
  double n = 0;
  for (size_t i = 0; i < p.n; i++) n += w->code[0][i] == level;
  CHECK_EQ(rows[3 + level], n);
  CHECK_EQ(events[3 + level], n * y);
  free(rows);
  rfl_glm.release(s);
  rfl_glm.release(t);
  world_free(w);
}

TEST(a_level_without_events_is_flagged_and_leaves_the_others_alone) {
  check_limit(RFL_BINOMIAL, 2, 0, false);
  check_limit(RFL_POISSON, 3, 0, false);
}
TEST(a_level_with_only_events_is_flagged) { check_limit(RFL_BINOMIAL, 1, 1, false); }
TEST(a_reference_level_without_events_makes_its_whole_factor_infinite) {
  check_limit(RFL_BINOMIAL, 0, 0, true);
  check_limit(RFL_POISSON, 0, 0, true);
}

TEST(separation_by_a_number_is_flagged_and_is_no_error) {
  struct world_plan p = {.seed = 13, .family = RFL_BINOMIAL, .n = 300, .numbers = 2};
  struct world *w = world_new(&p);
  for (size_t i = 0; i < p.n; i++) w->y[i] = w->number[0][i] > 0.1;
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL;
  struct rfl_glm_result r;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
  CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK(r.separated);
  CHECK(isinf(r.vcov[1 + 1 * r.n_x]));
  CHECK(r.deviance < 1e-6);
  rfl_glm.release(s);
  world_free(w);
}

TEST(a_sample_without_events_in_a_level_is_a_good_start) {
  struct world_plan p = {.seed = 14,
                         .family = RFL_BINOMIAL,
                         .n = 20000,
                         .numbers = 2,
                         .factor = {30},
                         .base = -5.5};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *cold = NULL, *warm = NULL, *full = NULL;
  struct rfl_glm_result a, b;
  struct rfl_block sample = slice_of(&w->block, 0, 1500, 2);
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){.parts = 1}, &cold, &err), &err);
  CHECK_OK(fit(&o, &w->layout, &sample, (struct how){.parts = 1}, &warm, &err), &err);
  CHECK_OK(rfl_glm_result(warm, &a, &err), &err);
  CHECK(a.separated);
  CHECK_OK(rfl_glm.part(warm, &full, &err), &err);
  CHECK_OK(drive(full, &w->block, (struct how){.parts = 2}, &err), &err);
  CHECK_OK(rfl_glm_result(cold, &a, &err), &err);
  CHECK_OK(rfl_glm_result(full, &b, &err), &err);
  CHECK_EQ(a.n, b.n);
  CHECK_EQ(a.events, b.events);
  CHECK(b.passes <= a.passes + 3);
  for (int32_t j = 0; j < a.n_x; j++) {
    double se = sqrt(a.vcov[j + j * a.n_x]);
    if (!isinf(se)) CHECK_NEAR(a.coef[j], b.coef[j], 1e-7 * se);
  }
  rfl_glm.release(cold);
  rfl_glm.release(warm);
  rfl_glm.release(full);
  world_free(w);
}

/* ---- what is refused ---- */

static enum rfl_code try_fit(const struct world *w, enum rfl_family family) {
  struct rfl_glm_options o = {.family = family};
  struct rfl_state *s = NULL;
  enum rfl_code code = fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err);
  rfl_glm.release(s);
  return code;
}

TEST(what_cannot_be_fitted_is_refused_by_name) {
  struct world_plan p = {.seed = 15, .family = RFL_BINOMIAL, .n = 50, .numbers = 1};
  struct world *w = world_new(&p);
  struct rfl_block all = w->block;
  w->y[7] = 1.5;
  CHECK_EQ(try_fit(w, RFL_BINOMIAL), RFL_EDATA);
  CHECK_STR(err.message, "The response must be between 0 and 1, not 1.5.");
  w->y[7] = -1;
  CHECK_EQ(try_fit(w, RFL_POISSON), RFL_EDATA);
  w->y[7] = NAN;
  CHECK_EQ(try_fit(w, RFL_GAUSSIAN), RFL_EDATA);
  for (size_t i = 0; i < p.n; i++) w->y[i] = 1;
  CHECK_EQ(try_fit(w, RFL_BINOMIAL), RFL_EDATA);
  CHECK_STR(err.message, "The response has one value only, 1, in all 50 rows.");
  w->y[3] = 0;
  w->block.n = 0;
  CHECK_EQ(try_fit(w, RFL_BINOMIAL), RFL_EDATA);
  CHECK_STR(err.message, "There are no rows to learn from.");
  w->block = all;
  w->block.weight = w->weight = calloc(p.n, sizeof(double));
  CHECK_EQ(try_fit(w, RFL_BINOMIAL), RFL_EDATA);
  CHECK_STR(err.message, "Every row has weight 0.");
  w->weight[2] = -1;
  CHECK_EQ(try_fit(w, RFL_BINOMIAL), RFL_EDATA);
  w->block.weight = NULL;
  w->block.y = NULL;
  CHECK_EQ(try_fit(w, RFL_BINOMIAL), RFL_EARGUMENT);
  w->block.y = w->y;
  w->block.n_dense = 0;
  CHECK_EQ(try_fit(w, RFL_BINOMIAL), RFL_EARGUMENT);
  world_free(w);
}

TEST(a_model_that_was_not_fitted_does_not_score) {
  struct world_plan p = {.seed = 15, .family = RFL_BINOMIAL, .n = 5, .numbers = 1};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL;
  struct rfl_glm_result r;
  double out[5];
  CHECK_OK(rfl_glm.open(&o.base, &w->layout, &s, &err), &err);
  CHECK_EQ(rfl_glm.score(s, &w->block, RFL_GLM_LINK, out, &err), RFL_EMODEL);
  CHECK_EQ(rfl_glm_result(s, &r, &err), RFL_EMODEL);
  rfl_glm.release(s);
  world_free(w);
}

/* ---- bytes and memory ---- */

static void check_round_trip(const struct rfl_state *s) {
  struct rfl_buf a = {0}, b = {0}, c = {0};
  struct rfl_state *back = NULL, *copy = NULL;
  rfl_glm.write(s, &a);
  CHECK_OK(rfl_glm.read((struct rfl_bytes){a.p, a.n}, &back, &err), &err);
  CHECK_OK(rfl_glm.copy(s, &copy, &err), &err);
  if (back) rfl_glm.write(back, &b);
  if (copy) rfl_glm.write(copy, &c);
  CHECK(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  CHECK(a.n == c.n && memcmp(a.p, c.p, a.n) == 0);
  for (size_t n = 0; n < a.n; n += 1 + n / 50) { /* every cut is refused */
    struct rfl_state *cut = NULL;
    CHECK(rfl_glm.read((struct rfl_bytes){a.p, n}, &cut, &err) == RFL_EDATA);
  }
  rfl_glm.release(back);
  rfl_glm.release(copy);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_buf_release(&c);
}

TEST(bytes_give_the_same_state_in_every_situation) {
  struct world_plan p = {.seed = 16,
                         .family = RFL_BINOMIAL,
                         .n = 600,
                         .numbers = 2,
                         .factor = {3, 3},
                         .cross = true,
                         .weights = true};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL;
  bool again;
  CHECK_OK(rfl_glm.open(&o.base, &w->layout, &s, &err), &err);
  check_round_trip(s);
  for (int pass = 0; pass < 3; pass++) {
    CHECK_OK(rfl_glm.absorb(s, &w->block, &err), &err);
    check_round_trip(s);
    CHECK_OK(rfl_glm.settle(s, &again, &err), &err);
    check_round_trip(s);
  }
  CHECK_OK(drive(s, &w->block, (struct how){0}, &err), &err);
  check_round_trip(s);
  CHECK_OK(learn(s, &w->block, 0.9, &err), &err);
  check_round_trip(s);
  CHECK_OK(learn(s, &w->block, 1, &err), &err);
  CHECK_OK(rfl_glm.absorb(s, &w->block, &err), &err);
  check_round_trip(s);
  rfl_glm.release(s);
  world_free(w);
}

TEST(a_state_from_bytes_goes_on_as_the_original) {
  struct world_plan p = {
      .seed = 17, .family = RFL_POISSON, .n = 900, .numbers = 3, .factor = {4}};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL, *back = NULL;
  struct rfl_buf a = {0}, b = {0}, c = {0};
  struct rfl_block more = slice_of(&w->block, 100, 500, 2);
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
  rfl_glm.write(s, &a);
  CHECK_OK(rfl_glm.read((struct rfl_bytes){a.p, a.n}, &back, &err), &err);
  CHECK_OK(learn(s, &more, 0.99, &err), &err);
  CHECK_OK(learn(back, &more, 0.99, &err), &err);
  rfl_glm.write(s, &b);
  rfl_glm.write(back, &c);
  CHECK(b.n == c.n && memcmp(b.p, c.p, b.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_buf_release(&c);
  rfl_glm.release(s);
  rfl_glm.release(back);
  world_free(w);
}

/* Bytes with any one byte changed are refused or give a state that can be used. */
TEST(damaged_bytes_never_harm) {
  struct world_plan p = {
      .seed = 18, .family = RFL_BINOMIAL, .n = 80, .numbers = 1, .factor = {3}};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL;
  struct rfl_buf a = {0};
  double *out = calloc(2 * p.n, sizeof *out);
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &s, &err), &err);
  rfl_glm.write(s, &a);
  for (size_t i = 0; i < a.n; i++) {
    struct rfl_state *back = NULL;
    uint8_t was = a.p[i];
    a.p[i] ^= (uint8_t)(1u << (i % 8));
    if (!rfl_glm.read((struct rfl_bytes){a.p, a.n}, &back, &err)) {
      bool again = true;
      struct rfl_glm_result r;
      if (!rfl_glm.score(back, &w->block, RFL_GLM_LINK_SE, out, &err))
        (void)!rfl_glm_result(back, &r, &err);
      if (!rfl_glm.absorb(back, &w->block, &err))
        (void)!rfl_glm.settle(back, &again, &err);
    }
    rfl_glm.release(back);
    a.p[i] = was;
  }
  free(out);
  rfl_buf_release(&a);
  rfl_glm.release(s);
  world_free(w);
}

static enum rfl_code whole_life(const struct world *w, double *out) {
  struct rfl_glm_options o = {.family = RFL_BINOMIAL};
  struct rfl_state *s = NULL, *copy = NULL;
  struct rfl_buf bytes = {0};
  struct rfl_glm_result r;
  enum rfl_code code =
      fit(&o, &w->layout, &w->block, (struct how){.rows = 100, .parts = 2}, &s, &err);
  if (!code) code = rfl_glm_result(s, &r, &err);
  if (!code) code = learn(s, &w->block, 0.9, &err);
  if (!code) code = rfl_glm_result(s, &r, &err);
  if (!code) code = rfl_glm.score(s, &w->block, RFL_GLM_LINK_SE, out, &err);
  if (!code) code = rfl_glm.copy(s, &copy, &err);
  rfl_glm.release(copy);
  copy = NULL;
  if (!code) rfl_glm.write(s, &bytes);
  if (!code) code = rfl_buf_check(&bytes, &err);
  if (!code) code = rfl_glm.read((struct rfl_bytes){bytes.p, bytes.n}, &copy, &err);
  rfl_glm.release(copy);
  rfl_glm.release(s);
  rfl_buf_release(&bytes);
  return code;
}

TEST(every_allocation_may_fail) {
  struct world_plan p = {
      .seed = 19, .family = RFL_BINOMIAL, .n = 150, .numbers = 2, .factor = {3}};
  struct world *w = world_new(&p);
  double *out = calloc(2 * p.n, sizeof *out);
  SWEEP(whole_life(w, out));
  free(out);
  world_free(w);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(random_designs_equal_a_naive_fit_in_long_double);
  RUN(large_designs_in_plain_doubles_equal_a_naive_fit);
  RUN(nearly_collinear_columns_are_kept_or_dropped_as_by_lm);
  RUN(a_start_far_away_leads_to_the_same_place);
  RUN(passes_may_be_limited);
  RUN(lapack_and_plain_loops_factor_alike);
  RUN(a_row_alone_scores_as_in_the_batch_to_the_bit);
  RUN(scores_are_the_linear_predictor_its_error_and_the_response);
  RUN(a_level_without_events_is_flagged_and_leaves_the_others_alone);
  RUN(a_level_with_only_events_is_flagged);
  RUN(a_reference_level_without_events_makes_its_whole_factor_infinite);
  RUN(separation_by_a_number_is_flagged_and_is_no_error);
  RUN(a_sample_without_events_in_a_level_is_a_good_start);
  RUN(what_cannot_be_fitted_is_refused_by_name);
  RUN(a_model_that_was_not_fitted_does_not_score);
  RUN(bytes_give_the_same_state_in_every_situation);
  RUN(a_state_from_bytes_goes_on_as_the_original);
  RUN(damaged_bytes_never_harm);
  RUN(every_allocation_may_fail);
  return harness_end();
}
