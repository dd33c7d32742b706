/* What a naive Bayes fit may not depend on, and what its states survive. */
#include "bayes_world.h"

/* ---- invariance ---- */

TEST(cuts_and_parts_do_not_change_a_bit) {
  const struct rfl_block *b = rows();
  struct rfl_layout l = world_layout();
  for (int weighted = 0; weighted < 3; weighted++) {
    struct rfl_block all = *b;
    struct rfl_bayes_options o = plain;
    if (weighted == 1) all.weight = world.weight;
    if (weighted == 2) o.keep = 0.999;
    struct rfl_state *one = NULL;
    CHECK_OK(rfl_bayes.open(&o.base, &l, &one, &err), &err);
    CHECK_OK(drive(one, &all, (struct how){256, ROWS, 1}), &err);
    for (size_t k = 0; k < 4; k++) {
      struct rfl_state *other = NULL;
      struct how how = {256, (size_t[]){1, 7, 256, 1000}[k], 1 + k};
      CHECK_OK(rfl_bayes.open(&o.base, &l, &other, &err), &err);
      CHECK_OK(drive(other, &all, how), &err);
      check_same_bytes(one, other);
      rfl_bayes.release(other);
    }
    struct rfl_state *whole = fit(&o, &l, &all); /* other cells: to rounding */
    check_near_posteriors(one, whole, b, 1e-11);
    rfl_bayes.release(one);
    rfl_bayes.release(whole);
  }
}

TEST(order_of_rows_and_of_shards_is_rounding) {
  const struct rfl_block *b = rows();
  struct rfl_state *one = fit_world(b), *sum = NULL;
  struct rfl_layout l = world_layout();
  CHECK_OK(rfl_bayes.open(&plain.base, &l, &sum, &err), &err);
  const size_t from[] = {2000, 0, 1999}, n[] = {1000, 1999, 1};
  for (int k = 0; k < 3; k++) {
    struct rfl_block piece = slice(b, from[k], n[k], 0);
    struct rfl_state *shard = fit_world(&piece);
    CHECK_OK(rfl_bayes.merge(sum, shard, &err), &err);
    rfl_bayes.release(shard);
  }
  bool again;
  CHECK_OK(rfl_bayes.settle(sum, &again, &err), &err);
  check_near_posteriors(one, sum, b, 1e-11);
  struct rfl_state *other = NULL;
  struct rfl_bayes_options o = plain;
  o.laplace = 2;
  CHECK_OK(rfl_bayes.open(&o.base, &l, &other, &err), &err);
  CHECK_EQ(rfl_bayes.merge(sum, other, &err), RFL_EMODEL);
  rfl_bayes.release(other);
  rfl_bayes.release(one);
  rfl_bayes.release(sum);
}

TEST(weight_two_is_the_row_twice_and_weight_zero_is_no_row) {
  const struct rfl_block *b = rows();
  struct rfl_block weighted = *b;
  weighted.weight = world.weight;
  struct rfl_state *one = fit_world(&weighted), *times = NULL;
  struct rfl_layout l = world_layout();
  bool again;
  CHECK_OK(rfl_bayes.open(&plain.base, &l, &times, &err), &err);
  for (size_t i = 0; i < b->n; i++) {
    struct rfl_block row = slice(b, i, 1, 0);
    for (int k = 0; k < world.weight[i]; k++)
      CHECK_OK(rfl_bayes.absorb(times, &row, &err), &err);
  }
  CHECK_OK(rfl_bayes.settle(times, &again, &err), &err);
  check_near_posteriors(one, times, b, 1e-11);
  struct rfl_bayes_result r;
  rfl_bayes_result(one, &r);
  double zeros = 0;
  for (size_t i = 0; i < b->n; i++) zeros += world.weight[i] == 0;
  CHECK(r.n == ROWS && r.n_zero == zeros);
  rfl_bayes.release(one);
  rfl_bayes.release(times);
}

TEST(forgetting_is_a_weight_of_keep_to_the_power_of_the_rows_since) {
  const struct rfl_block *b = rows();
  struct rfl_layout l = world_layout();
  struct rfl_bayes_options o = plain;
  o.keep = 0.995;
  struct rfl_state *fades = fit(&o, &l, b);
  static double weight[ROWS];
  for (size_t i = 0; i < ROWS; i++) weight[i] = pow(0.995, (double)(ROWS - 1 - i));
  struct rfl_block weighted = *b;
  weighted.weight = weight;
  struct rfl_state *told = fit_world(&weighted);
  check_near_posteriors(fades, told, b, 1e-11);
  struct rfl_state *by_rows = NULL;
  CHECK_OK(rfl_bayes.open(&o.base, &l, &by_rows, &err), &err);
  CHECK_OK(drive(by_rows, b, (struct how){1, 500, 1}), &err);
  check_near_posteriors(fades, by_rows, b, 1e-11);
  /* renew() is told what absorb() has done already, and nothing else. */
  struct rfl_block some = slice(b, 0, 10, 0);
  bool again;
  CHECK_OK(rfl_bayes.absorb(fades, &some, &err), &err);
  CHECK_OK(rfl_bayes.settle(fades, &again, &err), &err);
  CHECK_EQ(rfl_bayes.renew(fades, 1, &err), RFL_EARGUMENT);
  double two = 0.995 * 0.995, four = two * two; /* 0.995^10 by squaring */
  CHECK_OK(rfl_bayes.renew(fades, two * (four * four), &err), &err);
  rfl_bayes.release(by_rows);
  rfl_bayes.release(fades);
  rfl_bayes.release(told);
}

TEST(a_row_alone_is_scored_as_in_the_batch) {
  const struct rfl_block *b = rows();
  struct rfl_state *s = fit_world(b);
  score(s, b, posterior[0]);
  CHECK_OK(rfl_bayes.score(s, b, RFL_BAYES_CLASS, posterior[1], &err), &err);
  for (size_t i = 0; i < b->n; i++) {
    struct rfl_block row = slice(b, i, 1, 0);
    double p[3], which, response, most = 0;
    score(s, &row, p);
    CHECK_OK(rfl_bayes.score(s, &row, RFL_BAYES_RESPONSE, &response, &err), &err);
    CHECK(response == p[1] + p[2]);
    CHECK_OK(rfl_bayes.score(s, &row, RFL_BAYES_CLASS, &which, &err), &err);
    for (size_t c = 0; c < 3; c++) {
      CHECK(p[c] == posterior[0][c * ROWS + i]);
      if (p[c] > p[(size_t)most]) most = (double)c;
    }
    CHECK(which == most && which == posterior[1][i]);
  }
  rfl_bayes.release(s);
}

/* ---- states ---- */

TEST(a_saved_state_goes_on_as_if_it_had_stayed) {
  const struct rfl_block *b = rows();
  struct rfl_block first = slice(b, 0, 1234, 0), second = slice(b, 1234, 1000, 1);
  struct rfl_state *s = fit_world(&first), *back = NULL, *copy = NULL;
  struct rfl_buf bytes = bytes_of(s);
  CHECK_OK(rfl_bayes.read((struct rfl_bytes){bytes.p, bytes.n}, &back, &err), &err);
  CHECK_OK(rfl_bayes.copy(s, &copy, &err), &err);
  bool again;
  struct rfl_state *all[] = {s, back, copy};
  for (int k = 0; k < 3; k++) {
    CHECK_OK(rfl_bayes.absorb(all[k], &second, &err), &err);
    CHECK_OK(rfl_bayes.settle(all[k], &again, &err), &err);
    CHECK_OK(rfl_bayes.renew(all[k], 1, &err), &err);
  }
  check_same_bytes(s, back);
  check_same_bytes(s, copy);
  check_near_posteriors(s, back, b, 0);
  for (size_t n = 0; n < bytes.n; n += 3) {
    struct rfl_state *none = NULL;
    CHECK(rfl_bayes.read((struct rfl_bytes){bytes.p, n}, &none, &err) == RFL_EDATA);
  }
  rfl_buf_release(&bytes);
  for (int k = 0; k < 3; k++) rfl_bayes.release(all[k]);
}

TEST(a_model_that_streams_keeps_a_bucket_for_unknown_levels) {
  const double y[] = {0, 0, 0, 1};
  const int32_t code[] = {0, 1, 1, 1}, levels[] = {2}, new_code[] = {-2, -1, 0};
  struct rfl_coded coded[] = {{code, 2}};
  struct rfl_block b = {.n = 4, .n_coded = 1, .coded = coded, .y = y};
  struct rfl_layout l = layout_of(levels, 1, 0);
  struct rfl_bayes_options o = {.n_classes = 2, .laplace = 1};
  struct rfl_state *s = fit(&o, &l, &b);
  struct rfl_block new = {.n = 3, .n_coded = 1, .coded = coded};
  coded[0].code = new_code;
  score(s, &new, posterior[0]);
  CHECK_NEAR(posterior[0][0], 0.75, 1e-15); /* before: as if it were missing */
  CHECK_OK(rfl_bayes.renew(s, 1, &err), &err);
  score(s, &new, posterior[0]);
  double odds = 3 * (1. / 6) / (1 * (1. / 4)); /* prior times (0 + 1) / (n + 3) */
  CHECK_NEAR(posterior[0][0], odds / (1 + odds), 1e-15);
  CHECK_NEAR(posterior[0][1], 0.75, 1e-15);
  odds = 3 * (2. / 6) / (1 * (1. / 4));
  CHECK_NEAR(posterior[0][2], odds / (1 + odds), 1e-15);
  double table[6];
  rfl_bayes_table(s, 0, table);
  CHECK_NEAR(table[4], 1. / 6, 1e-15);
  const double one[] = {1, 1, 1};
  new.y = one;
  bool again;
  CHECK_OK(rfl_bayes.absorb(s, &new, &err), &err);
  CHECK_OK(rfl_bayes.settle(s, &again, &err), &err);
  rfl_bayes_table(s, 0, table);
  CHECK_NEAR(table[5], 2. / 6, 1e-15); /* one unknown of three */
  rfl_bayes.release(s);
}

TEST(wider_levels_and_classes_are_as_if_they_had_been_declared) {
  const struct rfl_block *b = rows();
  struct rfl_state *s = fit_world(b), *wide = NULL;
  const int32_t levels[FACTORS] = {2, 9, 3},
                insert[] = {0, 8, 3, 4, 5, 6, 7}; /* in any order */
  int32_t to[2 + 7 + 1 + NUMBERS];
  to[0] = 0;
  to[1] = 1;
  for (int k = 0; k < 7; k++) to[2 + k] = 2 + insert[k];
  to[9] = 2 + 9 + 1;
  for (int k = 0; k < NUMBERS; k++) to[10 + k] = 14 + k;
  const int32_t to_class[] = {0, 2, 3};
  struct rfl_layout l = layout_of(levels, FACTORS, NUMBERS);
  struct rfl_bayes_wider w = {
      .layout = &l, .to = to, .n_classes = 5, .to_class = to_class};
  CHECK_OK(rfl_bayes_widen(s, &w, &wide, &err), &err);
  static int32_t code[FACTORS][ROWS];
  static double y[ROWS];
  struct rfl_coded coded[FACTORS];
  for (size_t i = 0; i < ROWS; i++) {
    y[i] = to_class[(int)b->y[i]];
    for (size_t f = 0; f < FACTORS; f++) {
      int32_t c = b->coded[f].code[i];
      code[f][i] = c < 0 ? c : f == 1 ? insert[c] : f == 2 ? c + 1 : c;
    }
  }
  for (size_t f = 0; f < FACTORS; f++) coded[f] = (struct rfl_coded){code[f], levels[f]};
  struct rfl_block other = *b;
  other.coded = coded;
  other.y = y;
  struct rfl_bayes_options o = plain;
  o.n_classes = 5;
  struct rfl_state *declared = fit(&o, &l, &other);
  check_same_bytes(wide, declared);
  int32_t wrong[sizeof to / sizeof *to];
  memcpy(wrong, to, sizeof to);
  wrong[3] = wrong[4];
  w.to = wrong;
  CHECK_EQ(rfl_bayes_widen(s, &w, &declared, &err), RFL_EARGUMENT);
  rfl_bayes.release(declared);
  rfl_bayes.release(wide);
  rfl_bayes.release(s);
}

TEST(blocks_of_none_of_one_and_of_all_missing_rows_are_fine) {
  const struct rfl_block *b = rows();
  struct rfl_state *s = fit_world(b);
  struct rfl_block none = slice(b, 0, 0, 0);
  bool again;
  CHECK_OK(rfl_bayes.absorb(s, &none, &err), &err);
  CHECK_OK(rfl_bayes.settle(s, &again, &err), &err);
  CHECK_OK(rfl_bayes.score(s, &none, RFL_BAYES_PROB, posterior[0], &err), &err);
  const double nan[] = {NAN};
  const int32_t missing[] = {-1};
  struct rfl_block all_missing = slice(b, 0, 1, 0);
  struct rfl_coded coded[FACTORS];
  const double *dense[NUMBERS] = {nan, nan, nan, nan, nan};
  for (size_t f = 0; f < FACTORS; f++)
    coded[f] = (struct rfl_coded){missing, factor_levels[f]};
  all_missing.coded = coded;
  all_missing.dense = dense;
  double prior[3], p[3];
  rfl_bayes_prior(s, prior);
  score(s, &all_missing, p);
  for (int c = 0; c < 3; c++) CHECK_NEAR(p[c], prior[c], 1e-15);
  struct rfl_state *only = fit_world(&all_missing);
  score(only, &all_missing, p);
  CHECK(p[(int)b->y[0]] == 1);
  score(only, b, posterior[0]);
  CHECK(posterior[0][(size_t)b->y[0] * ROWS + 7] == 1);
  rfl_bayes.release(only);
  rfl_bayes.release(s);
}

TEST(own_priors_take_the_place_of_shares) {
  const struct rfl_block *b = rows();
  struct rfl_layout l = world_layout();
  struct rfl_bayes_options o = plain;
  const double prior[] = {1, 0, 3};
  o.prior = prior;
  struct rfl_state *s = fit(&o, &l, b);
  double p[3];
  rfl_bayes_prior(s, p);
  CHECK(p[0] == 0.25 && p[1] == 0 && p[2] == 0.75);
  score(s, b, posterior[0]);
  for (size_t i = 0; i < 100; i++) {
    CHECK(posterior[0][ROWS + i] == 0);
    CHECK_NEAR(posterior[0][i] + posterior[0][2 * ROWS + i], 1, 1e-15);
  }
  rfl_bayes.release(s);
}

int main(void) {
  harness_cpu();
  RUN(cuts_and_parts_do_not_change_a_bit);
  RUN(order_of_rows_and_of_shards_is_rounding);
  RUN(weight_two_is_the_row_twice_and_weight_zero_is_no_row);
  RUN(forgetting_is_a_weight_of_keep_to_the_power_of_the_rows_since);
  RUN(a_row_alone_is_scored_as_in_the_batch);
  RUN(a_saved_state_goes_on_as_if_it_had_stayed);
  RUN(a_model_that_streams_keeps_a_bucket_for_unknown_levels);
  RUN(wider_levels_and_classes_are_as_if_they_had_been_declared);
  RUN(blocks_of_none_of_one_and_of_all_missing_rows_are_fine);
  RUN(own_priors_take_the_place_of_shares);
  return harness_end();
}
