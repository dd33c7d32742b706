/* Batch-online learning by the renewable equation: what is promised of it against the
 * maximum likelihood estimate of all rows. */
#include "base/random.h"
#include "blas_fill.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

/* Anchor on the first `anchor` rows, then blocks of `rows`. */
static struct rfl_state *stream(const struct world *w, enum rfl_family family,
                                size_t anchor, size_t rows, double keep) {
  struct rfl_glm_options o = {.family = family};
  struct rfl_state *s = NULL;
  struct rfl_block first = slice_of(&w->block, 0, anchor, 1);
  CHECK_OK(fit(&o, &w->layout, &first, (struct how){.parts = 1}, &s, &err), &err);
  for (size_t at = anchor; s && at < w->block.n; at += rows) {
    size_t n = w->block.n - at < rows ? w->block.n - at : rows;
    struct rfl_block b = slice_of(&w->block, at, n, 1);
    CHECK_OK(learn(s, &b, keep, &err), &err);
  }
  return s;
}

static double events_of(const struct world *w, size_t n) {
  double events = 0;
  for (size_t i = 0; i < n; i++) events += w->y[i];
  return events;
}

/* |online - MLE| <= .1 SE once an anchor has 300 events and ten a coefficient. Standard
 * errors within 2 %; of rare events 5 %: past information stays that of the coefficients
 * at its time, and where the rate moves by a tenth between anchor and end (its own
 * standard error at 30 events a level) so does its information. */
static void check_contract(const struct world_plan *p, size_t anchor,
                           double se_tolerance) {
  struct world *w = world_new(p);
  CHECK(p->family == RFL_GAUSSIAN || events_of(w, anchor) >= 300);
  struct rfl_glm_options o = {.family = p->family};
  struct rfl_state *batch = NULL, *online = stream(w, p->family, anchor, 1000, 1);
  struct rfl_glm_result a, b;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &batch, &err), &err);
  CHECK_OK(rfl_glm_result(batch, &a, &err), &err);
  CHECK_OK(rfl_glm_result(online, &b, &err), &err);
  CHECK(b.identified);
  CHECK_EQ(b.version, (p->n - anchor) / 1000);
  CHECK_EQ(a.n, b.n);
  CHECK_EQ(a.events, b.events);
  double worst = 0;
  for (int32_t j = 0; j < a.n_x; j++) {
    double se = sqrt(a.vcov[j + j * a.n_x]);
    worst = fmax(worst, fabs(a.coef[j] - b.coef[j]) / se);
    CHECK_NEAR(sqrt(b.vcov[j + j * a.n_x]), se, se_tolerance * se);
  }
  CHECK(worst <= 0.1);
  CHECK_NEAR(b.deviance, a.deviance, 1e-3 * a.deviance);
  CHECK_NEAR(b.null_deviance, a.null_deviance, 1e-3 * a.null_deviance);
  CHECK_NEAR(b.loglik, a.loglik, 1e-3 * fabs(a.loglik));
  printf("# %d events, worst distance %.3f SE\n", (int)a.events, worst);
  rfl_glm.release(batch);
  rfl_glm.release(online);
  world_free(w);
}

TEST(online_stays_within_a_tenth_of_a_standard_error_of_the_mle) {
  struct world_plan half = {
      .seed = 1, .family = RFL_BINOMIAL, .n = 21000, .numbers = 3, .factor = {4, 3}};
  struct world_plan six = half, one = half, counts = half;
  six.base = -3.2;
  one.base = -5;
  one.n = 81000;
  counts.family = RFL_POISSON;
  counts.base = -1;
  check_contract(&half, 1000, 0.02);
  check_contract(&six, 6000, 0.02);
  check_contract(&one, 41000, 0.05);
  check_contract(&counts, 1000, 0.02);
}

/* A quadratic is renewed exactly: online equals batch to rounding. */
TEST(gaussian_rows_are_learnt_exactly) {
  struct world_plan p = {.seed = 2,
                         .family = RFL_GAUSSIAN,
                         .n = 5000,
                         .numbers = 4,
                         .factor = {3, 5},
                         .cross = true,

                         .offset = true};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *batch = NULL, *online = stream(w, p.family, 1000, 500, 1);
  struct rfl_glm_result a, b;
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &batch, &err), &err);
  CHECK_OK(rfl_glm_result(batch, &a, &err), &err);
  CHECK_OK(rfl_glm_result(online, &b, &err), &err);
  for (int32_t j = 0; j < a.n_x; j++) {
    double se = sqrt(a.vcov[j + j * a.n_x]);
    CHECK_NEAR(a.coef[j], b.coef[j], 1e-9 * se);
    CHECK_NEAR(sqrt(b.vcov[j + j * a.n_x]), se, 1e-9 * se);
  }
  CHECK_NEAR(b.deviance, a.deviance, 1e-10 * a.deviance);
  CHECK_NEAR(b.null_deviance, a.null_deviance, 1e-10 * a.null_deviance);
  CHECK_NEAR(b.aic, a.aic, 1e-9 * fabs(a.aic));
  rfl_glm.release(batch);
  rfl_glm.release(online);
  world_free(w);
}

/* With the intercept alone everything is known in closed form: weights d^age per block,
 * variance phi * sum of squared weights / (sum of weights)^2. */
TEST(forgetting_gives_the_weighted_mean_and_the_sandwich) {
  enum { BLOCKS = 30, ROWS = 50 };
  const double d = 0.8;
  struct world_plan p = {
      .seed = 3, .family = RFL_GAUSSIAN, .n = BLOCKS * ROWS, .base = 5};
  struct world *w = world_new(&p);
  struct rfl_state *s = stream(w, p.family, ROWS, ROWS, d);
  struct rfl_glm_result r;
  CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  double sum = 0, sum2 = 0, mean = 0, rss = 0;
  /* The first block after the anchor is solved before `keep` was told, so the anchor is
   * discounted from its renewal on: once less in the estimate's equation than in J. */
  for (size_t i = 0; i < p.n; i++) {
    double age = (double)(BLOCKS - 1 - i / ROWS), weight = pow(d, age);
    sum += weight;
    sum2 += weight * weight;
    mean += weight * w->y[i];
  }
  mean /= sum;
  for (size_t i = 0; i < p.n; i++)
    rss += pow(d, (double)(BLOCKS - 1 - i / ROWS)) * (w->y[i] - mean) * (w->y[i] - mean);
  double se = sqrt(rss / (sum - 1) * sum2) / sum;
  CHECK_NEAR(r.coef[0], mean, 0.02 * se);
  CHECK_NEAR(sqrt(r.vcov[0]), se, 0.01 * se);
  CHECK_NEAR(r.effective_n, sum * sum / sum2, 1e-9 * r.effective_n);
  double out[2];
  struct rfl_block one = slice_of(&w->block, 0, 1, 1);
  CHECK_OK(rfl_glm.score(s, &one, RFL_GLM_LINK_SE, out, &err), &err);
  CHECK_NEAR(out[1], sqrt(r.vcov[0]), 1e-12);
  rfl_glm.release(s);
  world_free(w);
}

/* A level the anchor never saw is NA, enters with a weak prior, and is then learnt. */
TEST(a_level_that_appears_later_is_learnt) {
  struct world_plan p = {
      .seed = 4, .family = RFL_BINOMIAL, .n = 12000, .numbers = 1, .factor = {3}};
  struct world *w = world_new(&p);
  for (size_t i = 0; i < 4000; i++)
    if (w->code[0][i] == 2) w->code[0][i] = 1;
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_block first = slice_of(&w->block, 0, 4000, 2);
  struct rfl_state *batch = NULL, *s = NULL;
  struct rfl_glm_result a, b;
  CHECK_OK(fit(&o, &w->layout, &first, (struct how){0}, &s, &err), &err);
  CHECK_OK(rfl_glm_result(s, &a, &err), &err);
  CHECK(isnan(a.coef[3]) && a.rank == 3);
  for (size_t at = 4000; at < p.n; at += 1000) {
    struct rfl_block block = slice_of(&w->block, at, 1000, 2);
    CHECK_OK(learn(s, &block, 1, &err), &err);
  }
  CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &batch, &err), &err);
  CHECK_OK(rfl_glm_result(batch, &a, &err), &err);
  CHECK_OK(rfl_glm_result(s, &b, &err), &err);
  CHECK_EQ(b.rank, 4);
  for (int32_t j = 0; j < 4; j++) {
    double se = sqrt(a.vcov[j + j * 4]);
    CHECK_NEAR(b.coef[j], a.coef[j], 0.1 * se);
    CHECK_NEAR(sqrt(b.vcov[j + j * 4]), se, 0.02 * se);
  }
  rfl_glm.release(batch);
  rfl_glm.release(s);
  world_free(w);
}

/* A level without events at the anchor gets some later: from -infinity back to a number.
 */
TEST(a_level_without_events_at_the_anchor_recovers) {
  struct world_plan p = {
      .seed = 5, .family = RFL_BINOMIAL, .n = 20000, .numbers = 1, .factor = {4}};
  struct world *w = world_new(&p);
  for (size_t i = 0; i < 1000; i++)
    if (w->code[0][i] == 3) w->y[i] = 0;
  struct rfl_state *s = stream(w, p.family, 1000, 1000, 1);
  struct rfl_glm_result r;
  CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK(!r.separated);
  CHECK(fabs(r.coef[4]) < 1);
  CHECK(r.converged);
  for (int32_t j = 0; j < r.n_x; j++) CHECK(sqrt(r.vcov[j + j * r.n_x]) < 0.2);
  rfl_glm.release(s);
  world_free(w);
}

TEST(few_events_are_not_yet_identified) {
  struct world_plan p = {
      .seed = 6, .family = RFL_BINOMIAL, .n = 600, .numbers = 2, .base = -2.5};
  struct world *w = world_new(&p);
  struct rfl_state *s = stream(w, p.family, 200, 100, 1);
  struct rfl_glm_result r;
  CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK(r.events >= 30 && r.identified);
  rfl_glm.release(s);
  w->block.n = 300;
  s = stream(w, p.family, 200, 100, 1);
  CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK(r.events < 30 && !r.identified);
  rfl_glm.release(s);
  world_free(w);
}

TEST(renew_asks_for_a_finished_fit) {
  struct world_plan p = {.seed = 7, .family = RFL_BINOMIAL, .n = 600, .numbers = 2};
  struct world *w = world_new(&p);
  struct rfl_glm_options o = {.family = p.family};
  struct rfl_state *s = NULL;
  CHECK_OK(rfl_glm.open(&o.base, &w->layout, &s, &err), &err);
  CHECK_EQ(rfl_glm.renew(s, 1, &err), RFL_EBUSY);
  CHECK_OK(drive(s, &w->block, (struct how){0}, &err), &err);
  CHECK_EQ(rfl_glm.renew(s, 0, &err), RFL_EARGUMENT);
  CHECK_EQ(rfl_glm.renew(s, 1.5, &err), RFL_EARGUMENT);
  CHECK_OK(rfl_glm.renew(s, 1, &err), &err);
  CHECK_OK(rfl_glm.absorb(s, &w->block, &err), &err);
  CHECK_EQ(rfl_glm.renew(s, 1, &err), RFL_EBUSY);
  rfl_glm.release(s);
  world_free(w);
}

#if defined(RFL_SLOW) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif

/* 95 % intervals cover the truth: within 4 sigma of .95 (.009 for 10,000 replicates), and
 * as often as the MLE's on the same rows, within .01. Fewer replicates under sanitizers,
 * with the bounds that go with them. */
TEST(intervals_cover_as_often_as_those_of_the_mle) {
#ifdef SLOW
  enum { REPLICATES = 1000 };
#else
  enum { REPLICATES = 10000 };
#endif
  enum { P = 3 };
  int online[P] = {0}, batch[P] = {0};
  for (uint64_t k = 0; k < REPLICATES; k++) {
    struct world_plan p = {
        .seed = 1000 + 10 * k, .family = RFL_BINOMIAL, .n = 800, .numbers = 2};
    struct world *w = world_new(&p);
    for (size_t i = 0; i < p.n; i++) { /* one truth for all replicates */
      double eta = 0.3 + 0.5 * w->number[0][i] - 0.2 * w->number[1][i];
      w->y[i] = rfl_uniform(p.seed, i, 77) < 1 / (1 + exp(-eta));
    }
    static const double truth[P] = {0.3, 0.5, -0.2};
    struct rfl_glm_options o = {.family = p.family};
    struct rfl_state *a = NULL, *b = stream(w, p.family, 400, 200, 1);
    struct rfl_glm_result r, q;
    CHECK_OK(fit(&o, &w->layout, &w->block, (struct how){0}, &a, &err), &err);
    CHECK_OK(rfl_glm_result(a, &r, &err), &err);
    CHECK_OK(rfl_glm_result(b, &q, &err), &err);
    for (int j = 0; j < P; j++) {
      batch[j] += fabs(r.coef[j] - truth[j]) <= 1.959964 * sqrt(r.vcov[j + j * P]);
      online[j] += fabs(q.coef[j] - truth[j]) <= 1.959964 * sqrt(q.vcov[j + j * P]);
    }
    rfl_glm.release(a);
    rfl_glm.release(b);
    world_free(w);
  }
  for (int j = 0; j < P; j++) {
    printf("# coverage %.4f online, %.4f batch\n", online[j] / (double)REPLICATES,
           batch[j] / (double)REPLICATES);
    CHECK_NEAR(online[j] / (double)REPLICATES, 0.95,
               4 * sqrt(0.95 * 0.05 / REPLICATES) + 3e-4);
    CHECK_NEAR(online[j] / (double)REPLICATES, batch[j] / (double)REPLICATES, 0.01);
  }
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(online_stays_within_a_tenth_of_a_standard_error_of_the_mle);
  RUN(gaussian_rows_are_learnt_exactly);
  RUN(forgetting_gives_the_weighted_mean_and_the_sandwich);
  RUN(a_level_that_appears_later_is_learnt);
  RUN(a_level_without_events_at_the_anchor_recovers);
  RUN(few_events_are_not_yet_identified);
  RUN(renew_asks_for_a_finished_fit);
  RUN(intervals_cover_as_often_as_those_of_the_mle);
  return harness_end();
}
