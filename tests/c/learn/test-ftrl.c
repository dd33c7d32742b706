/* FTRL against a plain reference; weights, samples, the dictionary, what it tells. */
#include "ftrl_world.h"

/* ---- the paper's algorithm, coordinate by coordinate, with no table and no lanes ----
 */

struct naive {
  double z[1 + NUMBERS + SLOTS], n[1 + NUMBERS + SLOTS];
  double count[NUMBERS + 2], mean[NUMBERS + 2], m2[NUMBERS + 2]; /* 2: of factor 0 by
                                                                   number 0; 3: of y */
  double loss;
};

static double naive_weight(const struct naive *m, const struct rfl_ftrl_options *o,
                           int j) {
  double l1 = j ? o->l1 : 0, l2 = j ? o->l2 : 0, rate = j ? o->rate : o->bias_rate;
  if (fabs(m->z[j]) <= l1) return 0;
  double sign = m->z[j] < 0 ? -1 : 1;
  return -(m->z[j] - sign * l1) / ((o->offset + sqrt(m->n[j])) / rate + l2);
}

static void naive_moment(struct naive *m, int k, double x, int32_t settle) {
  if (m->count[k] >= settle) return;
  double before = m->mean[k];
  m->count[k]++;
  m->mean[k] += (x - before) / m->count[k];
  m->m2[k] += (x - before) * (x - m->mean[k]);
}

static double naive_sd(const struct naive *m, int k) {
  double v = m->count[k] > 1 ? m->m2[k] / m->count[k] : 0;
  return v > 0 ? sqrt(v) : 1;
}

/* Where the slots of factor 0 by number 0 are: found by asking the learner's audit. */
static void naive_learn(struct naive *m, const struct rfl_ftrl_options *o,
                        const struct world *w, size_t i, const int *slot_of_product) {
  int j[1 + NUMBERS + FACTORS + 1], n = 0;
  double x[1 + NUMBERS + FACTORS + 1], decay = exp2(-1 / o->half_life);
  for (int c = 0; c < 1 + NUMBERS + SLOTS; c++) {
    m->z[c] *= decay;
    m->n[c] *= decay * decay;
  }
  j[n] = 0;
  x[n++] = 1;
  for (int k = 0; k < NUMBERS; k++) {
    naive_moment(m, k, w->number[k][i], o->settle_scale);
    j[n] = 1 + k;
    x[n++] = (w->number[k][i] - m->mean[k]) / naive_sd(m, k);
  }
  for (int f = 0; f < FACTORS; f++) {
    j[n] = 1 + NUMBERS + w->code[f][i];
    x[n++] = 1;
  }
  j[n] = 1 + NUMBERS + slot_of_product[w->code[0][i]];
  x[n++] = w->number[0][i] / sqrt(m->mean[0] * m->mean[0] + m->m2[0] / m->count[0]);
  double weight[1 + NUMBERS + FACTORS + 1], was[1 + NUMBERS + FACTORS + 1];
  double eta = 0, y = w->y[i], slope;
  for (int k = 0; k < n; k++) {
    eta += x[k] * (weight[k] = naive_weight(m, o, j[k]));
    was[k] = m->n[j[k]]; /* a slot met twice learns twice from the same prediction */
  }
  if (o->family == RFL_FTRL_GAUSSIAN) {
    double guess = m->mean[3] + naive_sd(m, 3) * eta;
    m->loss += 0.5 * (y - guess) * (y - guess);
    naive_moment(m, 3, y, o->settle_scale);
    slope = eta - (y - m->mean[3]) / naive_sd(m, 3);
  } else if (o->family == RFL_FTRL_POISSON) {
    slope = exp(eta) - y;
    m->loss += (y > 0 ? y * log(y / exp(eta)) : 0) - (y - exp(eta));
  } else {
    double p = 1 / (1 + exp(-eta));
    slope = p - y;
    m->loss -= log(y > 0 ? p : 1 - p);
  }
  for (int k = 0; k < n; k++) {
    double g = slope * x[k], rate = j[k] ? o->rate : o->bias_rate;
    m->z[j[k]] += g - (sqrt(was[k] + g * g) - sqrt(was[k])) / rate * weight[k];
    m->n[j[k]] += g * g;
  }
}

static void compare_with_naive(struct rfl_ftrl_options o) {
  struct world *w = world(o.family, false);
  struct rfl_state *s = open_state(&o, w);
  static double out[8 * ROWS];
  static struct naive m;
  int slot_of_product[SLOTS] = {0};
  memset(&m, 0, sizeof m);
  score(s, &w->block, RFL_FTRL_AUDIT, out);
  for (size_t i = 0; i < ROWS; i++)
    slot_of_product[w->code[0][i]] = (int)out[7 * ROWS + i];
  for (size_t i = 0; i < ROWS; i++) naive_learn(&m, &o, w, i, slot_of_product);
  absorb(s, &w->block, 0, ROWS, 999);
  score(s, &w->block, RFL_FTRL_AUDIT, out);
  double unit = o.family == RFL_FTRL_GAUSSIAN ? naive_sd(&m, 3) : 1;
  /* Rounding only: sums are formed in another order, 10,000 steps long. */
  for (size_t i = 0; i < ROWS; i += 7)
    for (size_t f = 0; f < FACTORS; f++) {
      double want = unit * naive_weight(&m, &o, 1 + NUMBERS + w->code[f][i]);
      CHECK_NEAR(out[2 * f * ROWS + i], want, 1e-9);
    }
  double coef[NUMBERS];
  rfl_ftrl_numbers(s, coef);
  for (int k = 0; k < NUMBERS; k++)
    CHECK_NEAR(coef[k], unit * naive_weight(&m, &o, 1 + k) / naive_sd(&m, k), 1e-9);
  CHECK_NEAR(result_of(s).loss, m.loss / ROWS, 1e-9 * fabs(m.loss));
  rfl_ftrl.release(s);
}

TEST(the_weights_are_those_of_a_plain_reference) {
  for (int family = 0; family < RFL_FTRL_N_FAMILIES; family++)
    compare_with_naive(plain_options((enum rfl_ftrl_family)family));
}

TEST(forgetting_is_decay_of_z_and_n_row_by_row) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  o.half_life = 300; /* 33 half-lives: the table is scaled back four times */
  compare_with_naive(o);
}

/* ---- weights, samples ---- */

TEST(a_large_weight_does_not_overshoot) {
  for (int family = 0; family < RFL_FTRL_N_FAMILIES; family++) {
    struct rfl_ftrl_options o = plain_options((enum rfl_ftrl_family)family);
    o.l1 = 0;
    struct world *w = world(o.family, false);
    struct rfl_state *s = open_state(&o, w);
    absorb(s, &w->block, 0, 2000, 2000);
    double weight = 1e6, before, after, y = o.family == RFL_FTRL_GAUSSIAN ? 55 : 1;
    struct rfl_block one = slice(&w->block, 2000, 1);
    one.weight = &weight;
    one.y = &y;
    score(s, &one, RFL_FTRL_RESPONSE, &before);
    absorb(s, &one, 0, 1, 1);
    score(s, &one, RFL_FTRL_RESPONSE, &after);
    /* The curve ends at y; the rates shrink on the way, so the step stops short of it. */
    if (before < y) CHECK(after > before && after <= y);
    if (before > y) CHECK(after < before && after >= y);
    rfl_ftrl.release(s);
  }
}

TEST(a_weight_of_one_and_a_bit_is_near_a_weight_of_one) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  struct world *w = world(o.family, false);
  double eta[2], weight[2] = {1, 1 + 1e-9};
  for (int k = 0; k < 2; k++) {
    struct rfl_state *s = open_state(&o, w);
    struct rfl_block one = slice(&w->block, 5, 1);
    one.weight = &weight[k];
    absorb(s, &one, 0, 1, 1);
    score(s, &one, RFL_FTRL_LINK, &eta[k]);
    rfl_ftrl.release(s);
  }
  CHECK_NEAR(eta[0], eta[1], 1e-8);
}

TEST(a_sample_of_the_negatives_keeps_the_rate_right) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  o.l1 = 0;
  struct world *w = world(o.family, false);
  double events = 0, expected = 0;
  o.keep_negatives = 0.25;
  w->block.key = w->key;
  struct rfl_state *s = open_state(&o, w);
  static double p[ROWS];
  absorb(s, &w->block, 0, ROWS, ROWS);
  score(s, &w->block, RFL_FTRL_RESPONSE, p);
  for (size_t i = 0; i < ROWS; i++) {
    events += w->y[i];
    expected += p[i];
  }
  double kept = events + 0.25 * (ROWS - events);
  /* Four standard deviations of the sample's size. */
  CHECK_NEAR(result_of(s).kept, kept, 4 * sqrt(0.25 * 0.75 * (ROWS - events)));
  /* One pass with a decaying rate does not end at the optimum: 5 %. */
  CHECK_NEAR(expected / events, 1, 0.05);
  rfl_ftrl.release(s);
}

/* ---- the dictionary ---- */

TEST(a_value_enters_at_the_sight_that_was_asked_for) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  o.l1 = 0;
  o.admit_count = 3;
  struct world *w = world(o.family, true);
  struct rfl_state *s = open_state(&o, w);
  for (int sight = 1; sight <= 4; sight++) {
    absorb(s, &w->block, 0, 1, 1);
    /* Four coded terms, each with a value of its own. */
    CHECK_EQ(result_of(s).entries, sight < 3 ? 0 : 4);
  }
  rfl_ftrl.release(s);
}

TEST(values_enter_with_the_probability_that_was_asked_for_by_record) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  struct world *w = world(o.family, true);
  for (size_t i = 0; i < ROWS; i++) w->hash[0][i] = rfl_hash_i64(9, (int64_t)i);
  w->block.key = w->key;
  o.admit_share = 0.2;
  struct rfl_state *a = open_state(&o, w), *b = open_state(&o, w);
  o.admit_share = 1;
  struct rfl_state *all = open_state(&o, w);
  absorb(a, &w->block, 0, ROWS, ROWS);
  absorb(b, &w->block, ROWS / 2, ROWS / 2, ROWS);
  absorb(b, &w->block, 0, ROWS / 2, ROWS);
  absorb(all, &w->block, 0, ROWS, ROWS);
  /* Factor 0 and its product have 2 * ROWS values that occur once: four sd. The others
   * have at most 200 and enter sooner or later. */
  CHECK_NEAR(result_of(a).entries, 0.2 * 2 * ROWS, 4 * sqrt(0.16 * 2 * ROWS) + 200);
  CHECK_NEAR(result_of(b).entries, result_of(a).entries, 20);
  CHECK(result_of(all).entries >= 2 * ROWS);
  rfl_ftrl.release(a);
  rfl_ftrl.release(b);
  rfl_ftrl.release(all);
}

TEST(a_dictionary_predicts_as_a_table_without_collisions) {
  static double p[ROWS], q[ROWS];
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  struct world *w = world(o.family, true);
  struct rfl_state *exact = open_state(&o, w);
  absorb(exact, &w->block, 0, ROWS, ROWS);
  score(exact, &w->block, RFL_FTRL_LINK, p);
  /* A table of its own for every factor, and codes that are the values' ranks in it. */
  w = world(o.family, false);
  int32_t wide = 1 << 20;
  for (size_t f = 0; f < FACTORS; f++) {
    w->levels[f] = w->coded[f].levels = wide;
    for (size_t i = 0; i < ROWS; i++)
      w->code[f][i] = (int32_t)(w->hash[f][i] % (uint64_t)wide);
  }
  w->layout.slots = wide;
  for (size_t t = 1 + NUMBERS; t < w->layout.n_terms; t++)
    w->term[t].n_z = w->term[t].n_x = wide;
  w->layout.n_z = w->layout.n_x = 1 + NUMBERS + wide;
  struct rfl_state *hashed = open_state(&o, w);
  absorb(hashed, &w->block, 0, ROWS, ROWS);
  score(hashed, &w->block, RFL_FTRL_LINK, q);
  CHECK_EQ(result_of(hashed).occupied, result_of(exact).entries); /* no collision */
  for (size_t i = 0; i < ROWS; i++) CHECK_NEAR(p[i], q[i], 1e-12);
  rfl_ftrl.release(exact);
  rfl_ftrl.release(hashed);
}

/* ---- what it tells ---- */

TEST(the_table_tells_how_many_values_share_a_slot) {
  enum { VALUES = 3000, TABLE = 4096 };
  static int32_t code[VALUES];
  static double y[VALUES];
  static int in_slot[TABLE];
  memset(in_slot, 0, sizeof in_slot);
  for (int i = 0; i < VALUES; i++) {
    code[i] = (int32_t)(rfl_hash_i64(1, i) % TABLE);
    in_slot[code[i]]++;
    y[i] = i % 2;
  }
  struct rfl_term term = {.coded = 0, .dense = -1, .n_z = TABLE, .n_x = TABLE};
  int32_t levels = TABLE;
  struct rfl_layout l = {.n_coded = 1,
                         .levels = &levels,
                         .slots = TABLE,
                         .n_terms = 1,
                         .term = &term,
                         .n_z = TABLE,
                         .n_x = TABLE};
  struct rfl_coded coded = {code, TABLE};
  struct rfl_block b = {.n = VALUES, .n_coded = 1, .coded = &coded, .y = y};
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  struct rfl_state *s = NULL;
  struct rfl_err err = {0};
  CHECK_OK(rfl_ftrl.open(&o.base, &l, &s, &err), &err);
  CHECK_OK(rfl_ftrl.absorb(s, &b, &err), &err);
  struct rfl_ftrl_result r = result_of(s);
  double alone = 0, occupied = 0;
  for (int k = 0; k < TABLE; k++) {
    alone += in_slot[k] == 1;
    occupied += in_slot[k] > 0;
  }
  CHECK_EQ(r.occupied, occupied);
  /* Linear counting at this load has a relative sd of 1.1 %. */
  CHECK_NEAR(r.distinct, VALUES, 0.045 * VALUES);
  CHECK_NEAR(r.shared, 1 - alone / VALUES, 0.04);
  CHECK(isnan(r.intercept));
  rfl_ftrl.release(s);
}

TEST(coefficients_are_on_the_scale_of_the_data) {
  static double eta[ROWS];
  for (int family = 0; family < RFL_FTRL_N_FAMILIES; family++) {
    struct rfl_ftrl_options o = plain_options((enum rfl_ftrl_family)family);
    struct world *w = world(o.family, false);
    w->layout.n_terms = 1 + NUMBERS; /* numbers only */
    w->layout.slots = 0;
    w->layout.n_z = w->layout.n_x = 1 + NUMBERS;
    struct rfl_state *s = open_state(&o, w);
    absorb(s, &w->block, 0, ROWS, ROWS);
    double coef[NUMBERS], intercept = result_of(s).intercept;
    rfl_ftrl_numbers(s, coef);
    score(s, &w->block, RFL_FTRL_LINK, eta);
    for (size_t i = 0; i < ROWS; i += 17) {
      double sum = intercept;
      for (size_t k = 0; k < NUMBERS; k++) sum += coef[k] * w->number[k][i];
      CHECK_NEAR(eta[i], sum, 1e-10 * (1 + fabs(sum)));
    }
    rfl_ftrl.release(s);
  }
}

TEST(only_the_first_pass_and_rows_after_the_fit_are_progressive) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  struct world *w = world(o.family, false);
  o.passes = 2;
  struct rfl_state *s = open_state(&o, w);
  struct rfl_err err = {0};
  bool again = false;
  absorb(s, &w->block, 0, 500, 500);
  CHECK_OK(rfl_ftrl.settle(s, &again, &err), &err);
  CHECK(again);
  double first = result_of(s).loss;
  absorb(s, &w->block, 0, 500, 500);
  CHECK_OK(rfl_ftrl.settle(s, &again, &err), &err);
  CHECK(!again);
  CHECK(result_of(s).loss == first);
  CHECK_EQ(result_of(s).weight, 500);
  CHECK_EQ(result_of(s).passes, 2);
  absorb(s, &w->block, 500, 500, 500);
  CHECK_EQ(result_of(s).weight, 1000);
  rfl_ftrl.release(s);
}

TEST(a_wild_value_of_a_number_stays_harmless) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_POISSON);
  struct world *w = world(o.family, false);
  static double p[ROWS];
  o.clip = 10;
  o.wide = false;
  w->number[0][5000] = 1e300;
  w->number[1][6000] = -1e300;
  w->y[7000] = 1e12;
  w->block.weight = w->weight;
  w->weight[8000] = 1e300;
  struct rfl_state *s = open_state(&o, w);
  absorb(s, &w->block, 0, ROWS, ROWS);
  score(s, &w->block, RFL_FTRL_RESPONSE, p);
  for (size_t i = 0; i < ROWS; i++) CHECK(p[i] >= 0 && p[i] < 1e9);
  struct rfl_state *back = read_back(s);
  rfl_ftrl.release(back);
  rfl_ftrl.release(s);
}

int main(void) {
  harness_cpu();
  RUN(the_weights_are_those_of_a_plain_reference);
  RUN(forgetting_is_decay_of_z_and_n_row_by_row);
  RUN(a_large_weight_does_not_overshoot);
  RUN(a_weight_of_one_and_a_bit_is_near_a_weight_of_one);
  RUN(a_sample_of_the_negatives_keeps_the_rate_right);
  RUN(a_value_enters_at_the_sight_that_was_asked_for);
  RUN(values_enter_with_the_probability_that_was_asked_for_by_record);
  RUN(a_dictionary_predicts_as_a_table_without_collisions);
  RUN(the_table_tells_how_many_values_share_a_slot);
  RUN(coefficients_are_on_the_scale_of_the_data);
  RUN(only_the_first_pass_and_rows_after_the_fit_are_progressive);
  RUN(a_wild_value_of_a_number_stays_harmless);
  return harness_end();
}
