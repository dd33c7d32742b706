/* Naive Bayes against closed forms; what it refuses. */
#include "bayes_world.h"

/* ---- values ---- */

/* The posterior as its definition says, with sums in long double, from the rows. */
static long double log_density(const struct rfl_block *b, size_t t, size_t row,
                               double c) {
  long double n = 0, sum = 0, hits = 0, total = 0;
  if (t < FACTORS) {
    int32_t code = b->coded[t].code[row];
    for (size_t i = 0; i < b->n; i++) {
      int32_t other = b->coded[t].code[i];
      if (b->y[i] != c || other < 0) continue;
      n++;
      hits += other == code;
    }
    return code < 0 ? 0 : logl((hits + 1) / (n + b->coded[t].levels));
  }
  const double *x = b->dense[t - FACTORS];
  long double all = 0, all_n = 0, group = 0;
  for (size_t i = 0; i < b->n; i++) {
    if (b->y[i] == c && !isnan(b->dense[3][i])) group += b->dense[3][i];
    if (b->y[i] == c && !isnan(b->dense[4][i])) group += b->dense[4][i];
    if (isnan(x[i])) continue;
    all += x[i];
    all_n++;
    if (b->y[i] != c) continue;
    n++;
    sum += x[i];
  }
  long double mean = sum / n, rate = (sum + all / all_n) / (n + 1), v = x[row];
  if (isnan(x[row])) return 0;
  for (size_t i = 0; i < b->n; i++)
    if (b->y[i] == c && !isnan(x[i])) total += (x[i] - mean) * (x[i] - mean);
  long double var = total / (n - 1);
  switch (kinds[t]) {
    case RFL_LIKE_GAUSSIAN:
      return -logl(var) / 2 - (v - mean) * (v - mean) / (2 * var);
    case RFL_LIKE_BERNOULLI:
      return logl(v > 0 ? (sum + 1) / (n + 2) : (n - sum + 1) / (n + 2));
    case RFL_LIKE_POISSON:
      return v * logl(rate) - rate;
    default:
      return v * logl((sum + 1) / (group + 2));
  }
}

TEST(posteriors_are_those_of_the_definition) {
  const struct rfl_block *b = rows();
  struct rfl_state *s = fit_world(b);
  score(s, b, posterior[0]);
  for (size_t row = 0; row < 40; row++) {
    long double p[3], all = 0;
    for (int c = 0; c < 3; c++) {
      long double n = 0;
      for (size_t i = 0; i < b->n; i++) n += b->y[i] == c;
      p[c] = logl(n);
      for (size_t t = 0; t < FACTORS + NUMBERS; t++) p[c] += log_density(b, t, row, c);
    }
    for (int c = 0; c < 3; c++) all += expl(p[c] - p[0]);
    for (int c = 0; c < 3; c++) /* 13 terms of size 10: a few 1e-15 of rounding */
      CHECK_NEAR(posterior[0][(size_t)c * ROWS + row], (double)(expl(p[c] - p[0]) / all),
                 1e-12);
  }
  rfl_bayes.release(s);
}

TEST(tables_are_the_estimates) {
  const double x[] = {1, 3, 2, 4, 6}, y[] = {0, 0, 1, 1, 1};
  const int32_t code[] = {0, 1, 1, 1, -1}, levels[] = {3};
  const double *dense[] = {x};
  struct rfl_coded coded[] = {{code, 3}};
  struct rfl_block b = {
      .n = 5, .n_dense = 1, .dense = dense, .n_coded = 1, .coded = coded, .y = y};
  struct rfl_layout l = layout_of(levels, 1, 1);
  struct rfl_bayes_options o = {.n_classes = 2, .laplace = 1};
  struct rfl_state *s = fit(&o, &l, &b);
  double t[8], prior[2];
  rfl_bayes_table(s, 0, t);
  const double expect[] = {2. / 5, 1. / 5, 2. / 5, 3. / 5, 1. / 5, 1. / 5};
  for (int j = 0; j < 6; j++) CHECK_NEAR(t[j], expect[j], 1e-15);
  rfl_bayes_table(s, 1, t);
  CHECK_NEAR(t[0], 2, 1e-15);
  CHECK_NEAR(t[1], 4, 1e-15);
  CHECK_NEAR(t[2], sqrt(2), 1e-15);
  CHECK_NEAR(t[3], 2, 1e-15);
  rfl_bayes_prior(s, prior);
  CHECK_NEAR(prior[1], 0.6, 1e-15);
  struct rfl_bayes_feature f;
  rfl_bayes_feature(s, 0, &f);
  CHECK_EQ(f.width, 3);
  CHECK_NEAR(f.missing, 1, 0);
  struct rfl_bayes_result r;
  rfl_bayes_result(s, &r);
  CHECK(r.n == 5 && r.rows[0] == 2 && r.weight[1] == 3 && r.n_features == 2);
  rfl_bayes.release(s);
}

/* Densities underflow for every class there: their ratio is known all the same. */
TEST(far_from_every_class_the_posterior_is_right) {
  const double x[] = {-1, 1, 9, 11}, y[] = {0, 0, 1, 1}, far[] = {1e4, -1e4, 1e200, 5.5};
  const double *dense[] = {x}, *new[] = {far};
  struct rfl_block b = {.n = 4, .n_dense = 1, .dense = dense, .y = y};
  struct rfl_layout l = layout_of(NULL, 0, 1);
  struct rfl_bayes_options o = {.n_classes = 2, .laplace = 1};
  struct rfl_state *s = fit(&o, &l, &b);
  b.dense = new;
  score(s, &b, posterior[0]);
  CHECK_NEAR(posterior[0][4], 1, 0);
  CHECK_NEAR(posterior[0][1], 1, 0);
  CHECK_NEAR(posterior[0][4 + 2], 1, 0);
  /* equal variances 2: log odds = (x - 5) 10 / 2 */
  CHECK_NEAR(posterior[0][4 + 3], 1 / (1 + exp(-2.5)), 1e-15);
  rfl_bayes.release(s);
}

TEST(a_value_never_seen_without_smoothing_rules_a_class_out) {
  const double y[] = {0, 0, 0, 1, 1};
  const int32_t a[] = {0, 0, 1, 1, 1}, levels[] = {3, 2}, d[] = {0, 1, 0, 0, 1};
  struct rfl_coded coded[] = {{a, 3}, {d, 2}};
  struct rfl_block b = {.n = 5, .n_coded = 2, .coded = coded, .y = y};
  struct rfl_layout l = layout_of(levels, 2, 0);
  struct rfl_bayes_options o = {.n_classes = 2};
  struct rfl_state *s = fit(&o, &l, &b);
  const int32_t new_a[] = {0, 2, 2, 1}, new_d[] = {0, 0, -1, -1};
  coded[0].code = new_a;
  coded[1].code = new_d;
  b.n = 4;
  score(s, &b, posterior[0]);
  CHECK_NEAR(posterior[0][0], 1, 0);
  CHECK_NEAR(posterior[0][4], 0, 0);
  /* level 2 in no class: the limit of a -> 0 is (a / 3) : (a / 2) beside the rest */
  CHECK_NEAR(posterior[0][1], (3. * 2 / 9) / (3. * 2 / 9 + 2. / 4), 1e-15);
  CHECK_NEAR(posterior[0][2], 0.5, 1e-15);
  CHECK_NEAR(posterior[0][3], 1. / 3, 1e-15); /* 3 * 1/3 : 2 * 1 */
  rfl_bayes.release(s);
}

TEST(scales_of_1e300_and_1e_300_are_as_good_as_1) {
  const double at[] = {1, 1e300, 1e-300, 1.5e308, 3e-308};
  const double x[] = {-0.9, 0.1, -0.5, 0.3, 1, 0.8, 0.9, 0.7},
               y[] = {0, 0, 0, 0, 1, 1, 1, 1};
  struct rfl_layout l = layout_of(NULL, 0, 1);
  struct rfl_bayes_options o = {.n_classes = 2, .laplace = 1};
  double table[4], expect[4];
  for (int k = 0; k < 5; k++) {
    double v[8];
    const double *dense[] = {v};
    for (int i = 0; i < 8; i++) v[i] = x[i] * at[k];
    struct rfl_block b = {.n = 8, .n_dense = 1, .dense = dense, .y = y};
    struct rfl_state *s = fit(&o, &l, &b);
    score(s, &b, posterior[k > 0]);
    rfl_bayes_table(s, 0, k ? table : expect);
    for (int i = 0; k && i < 16; i++) /* 3e-308 x is rounded: 1e-16 relative */
      CHECK_NEAR(posterior[1][i], posterior[0][i], k == 4 ? 1e-9 : 1e-13);
    for (int i = 0; k && k < 4 && i < 4; i++)
      CHECK_NEAR(table[i] / at[k], expect[i], 1e-14);
    rfl_bayes.release(s);
  }
}

TEST(a_class_seen_once_and_features_without_spread_give_finite_posteriors) {
  const double x[] = {1, 2, 4, 7}, same[] = {5, 5, 5, 5}, y[] = {0, 0, 0, 1};
  const int32_t code[] = {0, 0, 0, 0}, levels[] = {1};
  const double *dense[] = {x, same};
  struct rfl_coded coded[] = {{code, 1}};
  struct rfl_block b = {
      .n = 4, .n_dense = 2, .dense = dense, .n_coded = 1, .coded = coded, .y = y};
  struct rfl_layout l = layout_of(levels, 1, 2);
  struct rfl_bayes_options o = {.n_classes = 3, .laplace = 1};
  struct rfl_state *s = fit(&o, &l, &b);
  score(s, &b, posterior[0]);
  for (size_t i = 0; i < 4; i++) {
    CHECK_NEAR(posterior[0][i] + posterior[0][4 + i], 1, 1e-15);
    CHECK(posterior[0][i] > 0 && posterior[0][4 + i] > 0 && posterior[0][8 + i] == 0);
  }
  double table[6];
  rfl_bayes_table(s, 1, table);
  CHECK_NEAR(table[4], sqrt(7), 1e-14); /* the overall variance of 1, 2, 4, 7 is 7 */
  rfl_bayes_table(s, 2, table);
  CHECK(isnan(table[3]) && table[0] == 5);
  rfl_bayes.release(s);
}

/* ---- refusals ---- */

static enum rfl_code open_with(const struct rfl_bayes_options *o) {
  struct rfl_layout l = world_layout();
  struct rfl_state *s = NULL;
  enum rfl_code code = rfl_bayes.open(&o->base, &l, &s, &err);
  rfl_bayes.release(s);
  return code;
}

TEST(what_makes_no_sense_is_refused) {
  const struct rfl_block *b = rows();
  struct rfl_bayes_options o = plain;
  o.laplace = -1;
  CHECK_EQ(open_with(&o), RFL_EARGUMENT);
  o = plain;
  o.keep = 2;
  CHECK_EQ(open_with(&o), RFL_EARGUMENT);
  o = plain;
  o.prior = (double[]){0, 0, 0};
  CHECK_EQ(open_with(&o), RFL_EARGUMENT);
  o = plain;
  int32_t wrong[FACTORS + NUMBERS];
  memcpy(wrong, kinds, sizeof wrong);
  wrong[1] = RFL_LIKE_GAUSSIAN;
  o.likelihood = wrong;
  CHECK_EQ(open_with(&o), RFL_EARGUMENT);

  struct rfl_layout l = world_layout();
  struct rfl_state *s = NULL;
  CHECK_OK(rfl_bayes.open(&plain.base, &l, &s, &err), &err);
  bool again;
  CHECK_OK(rfl_bayes.settle(s, &again, &err), &err); /* of no rows: nothing is known */
  CHECK_EQ(rfl_bayes.score(s, b, RFL_BAYES_PROB, posterior[0], &err), RFL_EMODEL);
  struct rfl_block bad = *b;
  bad.y = world.number[0];
  struct rfl_buf before = bytes_of(s);
  CHECK_EQ(rfl_bayes.absorb(s, &bad, &err), RFL_EDATA);
  bad = *b;
  const double *dense[NUMBERS];
  for (size_t f = 0; f < NUMBERS; f++) dense[f] = world.dense[f];
  dense[2] = world.number[0];
  world.number[0][ROWS - 1] = -1; /* a poisson feature */
  bad.dense = dense;
  CHECK_EQ(rfl_bayes.absorb(s, &bad, &err), RFL_EDATA);
  struct rfl_buf after = bytes_of(s); /* all of a block or nothing */
  CHECK(before.n == after.n && memcmp(before.p, after.p, before.n) == 0);
  rfl_buf_release(&before);
  rfl_buf_release(&after);
  rfl_bayes.release(s);
}

static enum rfl_code whole_life(const struct rfl_block *b) {
  struct rfl_layout l = world_layout();
  struct rfl_state *s = NULL, *part = NULL, *copy = NULL, *back = NULL, *wide = NULL;
  struct rfl_buf bytes = {0};
  struct rfl_bayes_options o = plain;
  o.prior = (double[]){1, 2, 3};
  bool again;
  enum rfl_code code = rfl_bayes.open(&o.base, &l, &s, &err);
  if (!code) code = rfl_bayes.part(s, &part, &err);
  if (!code) code = rfl_bayes.absorb(part, b, &err);
  if (!code) code = rfl_bayes.merge(s, part, &err);
  if (!code) code = rfl_bayes.settle(s, &again, &err);
  if (!code) code = rfl_bayes.score(s, b, RFL_BAYES_PROB, posterior[0], &err);
  if (!code) code = rfl_bayes.copy(s, &copy, &err);
  if (!code) rfl_bayes.write(s, &bytes);
  if (!code) code = rfl_buf_check(&bytes, &err);
  if (!code) code = rfl_bayes.read((struct rfl_bytes){bytes.p, bytes.n}, &back, &err);
  if (!code) code = rfl_bayes.widen(s, &l, NULL, &wide, &err);
  if (!code) code = rfl_bayes_join(wide, part, &err);
  rfl_buf_release(&bytes);
  struct rfl_state *all[] = {s, part, copy, back, wide};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) rfl_bayes.release(all[k]);
  return code;
}

TEST(no_memory_anywhere_is_told_and_nothing_leaks) {
  const struct rfl_block *b = rows();
  SWEEP(whole_life(b));
}

int main(void) {
  harness_cpu();
  RUN(posteriors_are_those_of_the_definition);
  RUN(tables_are_the_estimates);
  RUN(far_from_every_class_the_posterior_is_right);
  RUN(a_value_never_seen_without_smoothing_rules_a_class_out);
  RUN(scales_of_1e300_and_1e_300_are_as_good_as_1);
  RUN(a_class_seen_once_and_features_without_spread_give_finite_posteriors);
  RUN(what_makes_no_sense_is_refused);
  RUN(no_memory_anywhere_is_told_and_nothing_leaks);
  return harness_end();
}
