/* FTRL against a plain reference, and what an ordered learner promises. */
#include "../harness.h"
#include "base/random.h"
#include "learn/ftrl.h"

enum { ROWS = 10000, FACTORS = 3, NUMBERS = 2, SLOTS = 256, TERMS = 8 };

/* ---- a world: an intercept, two numbers, three hashed factors, factor 0 by number 0
 * ---- */

struct world {
  struct rfl_layout layout;
  struct rfl_term term[TERMS];
  int32_t levels[FACTORS];
  int32_t code[FACTORS][ROWS];
  double number[NUMBERS][ROWS], y[ROWS], weight[ROWS], offset[ROWS];
  uint64_t hash[FACTORS][ROWS], key[ROWS];
  struct rfl_coded coded[FACTORS];
  const double *dense[NUMBERS];
  const uint64_t *hashes[FACTORS];
  struct rfl_block block;
};
static struct world the_world;

static void add_term(struct world *w, int32_t coded, int32_t dense, int32_t slots) {
  struct rfl_layout *l = &w->layout;
  int32_t at = coded < 0 ? (int32_t)l->n_terms : 1 + NUMBERS, n = coded < 0 ? 1 : slots;
  w->term[l->n_terms] = (struct rfl_term){.coded = coded,
                                          .dense = dense,
                                          .assign = (int32_t)l->n_terms,
                                          .z = at,
                                          .x = at,
                                          .n_z = n,
                                          .n_x = n};
  l->n_terms++;
}

static double respond(enum rfl_ftrl_family family, double eta, uint64_t i) {
  double u = rfl_uniform(11, i, 0);
  if (family == RFL_FTRL_GAUSSIAN) return 50 + 4 * (eta + rfl_normal(12, i, 0));
  if (family == RFL_FTRL_BINOMIAL) return u < 1 / (1 + exp(-eta));
  double p = exp(-exp(eta)), below = p, y = 0;
  for (; u > below && y < 100; below += p) p *= exp(eta) / ++y;
  return y;
}

/* open: the factors are open sets of values, not slots. */
static struct world *world(enum rfl_ftrl_family family, bool open) {
  struct world *w = &the_world;
  memset(w, 0, sizeof *w);
  int32_t slots = open ? 0 : SLOTS;
  w->layout = (struct rfl_layout){.n_dense = NUMBERS,
                                  .n_coded = FACTORS,
                                  .levels = w->levels,
                                  .slots = slots,
                                  .term = w->term,
                                  .intercept = true};
  add_term(w, -1, -1, slots);
  for (int32_t k = 0; k < NUMBERS; k++) add_term(w, -1, k, slots);
  for (int32_t f = 0; f < FACTORS; f++) add_term(w, f, -1, slots);
  add_term(w, 0, 0, slots);
  w->layout.n_z = w->layout.n_x = 1 + NUMBERS + slots;
  for (size_t i = 0; i < ROWS; i++) {
    double eta = -1;
    w->number[0][i] = 3 + 2 * rfl_normal(1, i, 0);
    w->number[1][i] = 1e4 * rfl_uniform(1, i, 1);
    eta += 0.3 * (w->number[0][i] - 3) + 1e-4 * (w->number[1][i] - 5e3);
    for (size_t f = 0; f < FACTORS; f++) {
      uint64_t value = (uint64_t)(pow(40.0 * (double)(f + 1), rfl_uniform(2, i, f)));
      w->hash[f][i] = rfl_hash_i64(f, (int64_t)value);
      w->code[f][i] = (int32_t)(w->hash[f][i] % SLOTS);
      eta += 0.5 * rfl_normal(3 + f, value, 0);
    }
    w->y[i] = respond(family, eta, i);
    w->weight[i] = 0.5 + (double)(i % 3);
    w->offset[i] = 0.2 * (double)(i % 2);
    w->key[i] = rfl_hash_i64(77, (int64_t)i);
  }
  for (size_t f = 0; f < FACTORS; f++) {
    w->levels[f] = slots;
    w->coded[f] = (struct rfl_coded){open ? NULL : w->code[f], slots};
    w->hashes[f] = w->hash[f];
  }
  for (size_t k = 0; k < NUMBERS; k++) w->dense[k] = w->number[k];
  w->block = (struct rfl_block){.n = ROWS,
                                .n_dense = NUMBERS,
                                .dense = w->dense,
                                .n_coded = FACTORS,
                                .coded = w->coded,
                                .hash = open ? w->hashes : NULL,
                                .y = w->y};
  return w;
}

static struct rfl_ftrl_options plain_options(enum rfl_ftrl_family family) {
  return (struct rfl_ftrl_options){.family = family,
                                   .rate = 0.1,
                                   .offset = 1,
                                   .bias_rate = 0.2,
                                   .l1 = 0.5,
                                   .l2 = 1,
                                   .keep_negatives = 1,
                                   .admit_share = 1,
                                   .admit_count = 1,
                                   .passes = 1,
                                   .wide = true,
                                   .half_life = INFINITY,
                                   .clip = INFINITY,
                                   .settle_scale = 500,
                                   .seed = 5};
}

/* Rows [from, from + n) of a block, in views that live until the next call. */
static struct rfl_block slice(const struct rfl_block *b, size_t from, size_t n) {
  static const double *dense[NUMBERS];
  static struct rfl_coded coded[FACTORS];
  static const uint64_t *hash[FACTORS];
  struct rfl_block s = *b;
  for (size_t k = 0; k < NUMBERS; k++) dense[k] = b->dense[k] + from;
  for (size_t f = 0; f < FACTORS; f++) {
    coded[f] = b->coded[f];
    if (coded[f].code) coded[f].code += from;
    if (b->hash) hash[f] = b->hash[f] + from;
  }
  s.n = n;
  s.first_row = from;
  s.dense = dense;
  s.coded = coded;
  s.hash = b->hash ? hash : NULL;
  s.y = b->y ? b->y + from : NULL;
  s.weight = b->weight ? b->weight + from : NULL;
  s.offset = b->offset ? b->offset + from : NULL;
  s.key = b->key ? b->key + from : NULL;
  return s;
}

static struct rfl_state *open_state(const struct rfl_ftrl_options *o,
                                    const struct world *w) {
  struct rfl_err err = {0};
  struct rfl_state *s = NULL;
  CHECK_OK(rfl_ftrl.open(&o->base, &w->layout, &s, &err), &err);
  return s;
}

static void absorb(struct rfl_state *s, const struct rfl_block *b, size_t from, size_t n,
                   size_t cut) {
  struct rfl_err err = {0};
  for (size_t end = from + n; from < end; from += cut) {
    struct rfl_block piece = slice(b, from, cut < end - from ? cut : end - from);
    CHECK_OK(rfl_ftrl.absorb(s, &piece, &err), &err);
  }
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_ftrl.write(s, &out);
  CHECK(!out.failed);
  return out;
}

static bool same_bytes(const struct rfl_state *a, const struct rfl_state *b) {
  struct rfl_buf x = bytes_of(a), y = bytes_of(b);
  bool same = x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
  rfl_buf_release(&x);
  rfl_buf_release(&y);
  return same;
}

static struct rfl_state *read_back(const struct rfl_state *s) {
  struct rfl_err err = {0};
  struct rfl_state *back = NULL;
  struct rfl_buf bytes = bytes_of(s);
  CHECK_OK(rfl_ftrl.read((struct rfl_bytes){bytes.p, bytes.n}, &back, &err), &err);
  rfl_buf_release(&bytes);
  return back;
}

static struct rfl_ftrl_result result_of(const struct rfl_state *s) {
  struct rfl_ftrl_result r;
  rfl_ftrl_result(s, &r);
  return r;
}

static void score(const struct rfl_state *s, const struct rfl_block *b, int what,
                  double *out) {
  struct rfl_err err = {0};
  CHECK_OK(rfl_ftrl.score(s, b, what, out, &err), &err);
}

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

/* ---- an ordered learner ---- */

/* Everything at once, so that every part of the state is in play. */
static struct rfl_ftrl_options rich_options(enum rfl_ftrl_family family, bool wide) {
  struct rfl_ftrl_options o = plain_options(family);
  o.keep_negatives = 0.4;
  o.admit_count = 3;
  o.half_life = 400;
  o.clip = 3;
  o.wide = wide;
  return o;
}

static struct world *rich_world(enum rfl_ftrl_family family, bool open) {
  struct world *w = world(family, open);
  w->block.weight = w->weight;
  w->block.offset = w->offset;
  w->block.key = w->key;
  return w;
}

TEST(the_state_is_the_same_to_the_bit_however_rows_are_cut) {
  const size_t cuts[] = {1, 7, 1000, ROWS};
  for (int k = 0; k < 12; k++) {
    enum rfl_ftrl_family family = (enum rfl_ftrl_family)(k % 3);
    struct rfl_ftrl_options o = rich_options(family, k / 6);
    struct world *w = rich_world(family, k / 3 % 2);
    struct rfl_state *whole = open_state(&o, w);
    absorb(whole, &w->block, 0, ROWS, ROWS);
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
      struct rfl_state *s = open_state(&o, w);
      absorb(s, &w->block, 0, ROWS, cuts[c]);
      CHECK(same_bytes(s, whole));
      rfl_ftrl.release(s);
    }
    rfl_ftrl.release(whole);
  }
}

TEST(a_state_that_was_stored_goes_on_to_the_same_bits) {
  for (int k = 0; k < 12; k++) {
    enum rfl_ftrl_family family = (enum rfl_ftrl_family)(k % 3);
    struct rfl_ftrl_options o = rich_options(family, k / 6);
    struct world *w = rich_world(family, k / 3 % 2);
    struct rfl_state *whole = open_state(&o, w), *s = open_state(&o, w);
    absorb(whole, &w->block, 0, ROWS, ROWS);
    absorb(s, &w->block, 0, 4321, 500);
    struct rfl_state *back = read_back(s), *copy = NULL;
    struct rfl_err err = {0};
    CHECK(same_bytes(s, back));
    CHECK_OK(rfl_ftrl.copy(back, &copy, &err), &err);
    absorb(copy, &w->block, 4321, ROWS - 4321, 321);
    CHECK(same_bytes(copy, whole));
    rfl_ftrl.release(copy);
    rfl_ftrl.release(back);
    rfl_ftrl.release(s);
    rfl_ftrl.release(whole);
  }
}

TEST(all_levels_of_cpu_give_the_same_bits) {
  enum rfl_cpu level = rfl_cpu_level();
  for (int wide = 0; wide < 2; wide++) {
    struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, wide);
    struct world *w = rich_world(RFL_FTRL_BINOMIAL, false);
    struct rfl_state *base = open_state(&o, w), *best = open_state(&o, w);
    rfl_cpu_use(RFL_CPU_BASE);
    absorb(base, &w->block, 0, ROWS, ROWS);
    rfl_cpu_use(rfl_cpu_best());
    absorb(best, &w->block, 0, ROWS, ROWS);
    rfl_cpu_use(level);
    CHECK(same_bytes(base, best));
    rfl_ftrl.release(base);
    rfl_ftrl.release(best);
  }
}

TEST(another_order_of_rows_gives_another_state_and_the_same_choice_of_rows) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, true);
  struct world *w = rich_world(RFL_FTRL_BINOMIAL, false);
  struct rfl_state *a = open_state(&o, w), *b = open_state(&o, w);
  absorb(a, &w->block, 0, ROWS, ROWS);
  absorb(b, &w->block, ROWS / 2, ROWS / 2, ROWS);
  absorb(b, &w->block, 0, ROWS / 2, ROWS);
  CHECK(!same_bytes(a, b));
  CHECK_EQ(result_of(a).kept, result_of(b).kept);
  CHECK_NEAR(result_of(a).weight, result_of(b).weight, 1e-6);
  rfl_ftrl.release(a);
  rfl_ftrl.release(b);
}

TEST(one_row_scores_as_it_does_in_a_batch) {
  static double all[ROWS];
  for (int k = 0; k < 4; k++) {
    struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, k / 2);
    struct world *w = rich_world(RFL_FTRL_BINOMIAL, k % 2);
    struct rfl_state *s = open_state(&o, w);
    absorb(s, &w->block, 0, ROWS, ROWS);
    w->number[0][11] = NAN; /* is skipped, here and in its product */
    w->code[1][12] = -1;
    score(s, &w->block, RFL_FTRL_RESPONSE, all);
    for (size_t i = 0; i < ROWS; i += i < 40 ? 1 : 113) {
      struct rfl_block one = slice(&w->block, i, 1);
      double p;
      score(s, &one, RFL_FTRL_RESPONSE, &p);
      CHECK(p == all[i] && p > 0 && p < 1);
    }
    rfl_ftrl.release(s);
  }
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

/* ---- refusals, memory, damage ---- */

TEST(a_block_with_a_wrong_row_teaches_nothing) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, false);
  struct world *w = rich_world(o.family, true);
  struct rfl_state *s = open_state(&o, w);
  struct rfl_err err = {0};
  absorb(s, &w->block, 0, 100, 100);
  struct rfl_buf before = bytes_of(s);
  double *wrong[] = {&w->y[150], &w->weight[150], &w->offset[150]};
  for (size_t k = 0; k < 3; k++) {
    double kept = *wrong[k];
    *wrong[k] = k == 0 ? 0.5 : k == 1 ? -1 : INFINITY;
    struct rfl_block b = slice(&w->block, 100, 100);
    CHECK_EQ(rfl_ftrl.absorb(s, &b, &err), RFL_EDATA);
    *wrong[k] = kept;
  }
  struct rfl_block narrow = slice(&w->block, 100, 100);
  narrow.n_dense--;
  CHECK_EQ(rfl_ftrl.absorb(s, &narrow, &err), RFL_EARGUMENT);
  struct rfl_buf after = bytes_of(s);
  CHECK(before.n == after.n && memcmp(before.p, after.p, before.n) == 0);
  rfl_buf_release(&before);
  rfl_buf_release(&after);
  rfl_ftrl.release(s);
}

TEST(what_it_cannot_do_is_refused) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL), wrong = o;
  struct world *w = world(o.family, false);
  struct rfl_state *s = NULL;
  struct rfl_err err = {0};
  wrong.rate = 0;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  CHECK(strstr(err.message, "learning rate") != NULL);
  wrong = o;
  wrong.l2 = NAN;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  wrong = o;
  wrong.keep_negatives = 0;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  wrong = o;
  wrong.half_life = 0;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  int32_t select[] = {-1, 0}, levels = 2;
  struct rfl_coding coding = {.levels = 2, .columns = 1, .select = select};
  struct rfl_term term = {
      .coded = 0, .dense = -1, .n_codings = 1, .coding = &coding, .n_z = 2, .n_x = 1};
  struct rfl_layout l = {
      .n_coded = 1, .levels = &levels, .n_terms = 1, .term = &term, .n_z = 2, .n_x = 1};
  CHECK_EQ(rfl_ftrl.open(&o.base, &l, &s, &err), RFL_EARGUMENT);
  CHECK(strstr(err.message, "hashed") != NULL);
  CHECK(!s);
}

static enum rfl_code everything(struct rfl_err *err) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, false);
  struct world *w = &the_world;
  struct rfl_state *s = NULL, *copy = NULL, *back = NULL;
  struct rfl_buf bytes = {0};
  RFL_TRY(rfl_ftrl.open(&o.base, &w->layout, &s, err));
  struct rfl_block b = slice(&w->block, 0, 60);
  enum rfl_code code = rfl_ftrl.absorb(s, &b, err);
  if (!code) code = rfl_ftrl.copy(s, &copy, err);
  if (!code) rfl_ftrl.write(copy, &bytes);
  if (!code) code = rfl_buf_check(&bytes, err);
  if (!code) code = rfl_ftrl.read((struct rfl_bytes){bytes.p, bytes.n}, &back, err);
  rfl_buf_release(&bytes);
  rfl_ftrl.release(s);
  rfl_ftrl.release(copy);
  rfl_ftrl.release(back);
  return code;
}

TEST(no_lack_of_memory_leaks) {
  struct rfl_err err = {0};
  rich_world(RFL_FTRL_BINOMIAL, true);
  SWEEP(everything(&err));
  rich_world(RFL_FTRL_BINOMIAL, false);
  SWEEP(everything(&err));
}

TEST(damaged_bytes_are_told) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_POISSON, true);
  o.admit_count = 1; /* a small state, so that every byte can be tried */
  for (int open = 0; open < 2; open++) {
    struct world *w = rich_world(o.family, open);
    struct rfl_state *s = open_state(&o, w), *back = NULL;
    struct rfl_err err = {0};
    absorb(s, &w->block, 0, 12, 12);
    struct rfl_buf bytes = bytes_of(s);
    for (size_t n = 0; n < bytes.n; n++)
      CHECK_EQ(rfl_ftrl.read((struct rfl_bytes){bytes.p, n}, &back, &err), RFL_EDATA);
    for (size_t k = 0; k < 8 * bytes.n; k++) {
      bytes.p[k / 8] ^= (uint8_t)(1u << k % 8);
      if (!rfl_ftrl.read((struct rfl_bytes){bytes.p, bytes.n}, &back, &err)) {
        struct rfl_block b = slice(&w->block, 0, 3);
        double out[2 * TERMS * 3];
        (void)!rfl_ftrl.score(back, &b, RFL_FTRL_AUDIT, out, &err);
        (void)!rfl_ftrl.score(back, &b, RFL_FTRL_LINK, out, &err);
        (void)!rfl_ftrl.absorb(back, &b, &err);
        rfl_ftrl.release(back);
        back = NULL;
      }
      bytes.p[k / 8] ^= (uint8_t)(1u << k % 8);
    }
    rfl_buf_release(&bytes);
    rfl_ftrl.release(s);
  }
}

TEST(a_large_table_with_few_values_is_few_bytes) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  struct world *w = world(o.family, false);
  int32_t slots = 1 << 22;
  o.wide = false;
  w->layout.slots = slots;
  for (size_t f = 0; f < FACTORS; f++) w->levels[f] = w->coded[f].levels = slots;
  for (size_t t = 1 + NUMBERS; t < w->layout.n_terms; t++)
    w->term[t].n_z = w->term[t].n_x = slots;
  w->layout.n_z = w->layout.n_x = 1 + NUMBERS + slots;
  struct rfl_state *s = open_state(&o, w);
  absorb(s, &w->block, 0, ROWS, ROWS);
  struct rfl_buf bytes = bytes_of(s);
  CHECK(bytes.n < 10000 && rfl_ftrl.size(s) > (size_t)slots * 8);
  rfl_buf_release(&bytes);
  rfl_ftrl.release(s);
}

int main(void) {
  harness_cpu();
  RUN(the_weights_are_those_of_a_plain_reference);
  RUN(forgetting_is_decay_of_z_and_n_row_by_row);
  RUN(the_state_is_the_same_to_the_bit_however_rows_are_cut);
  RUN(a_state_that_was_stored_goes_on_to_the_same_bits);
  RUN(all_levels_of_cpu_give_the_same_bits);
  RUN(another_order_of_rows_gives_another_state_and_the_same_choice_of_rows);
  RUN(one_row_scores_as_it_does_in_a_batch);
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
  RUN(a_block_with_a_wrong_row_teaches_nothing);
  RUN(what_it_cannot_do_is_refused);
  RUN(no_lack_of_memory_leaks);
  RUN(damaged_bytes_are_told);
  RUN(a_large_table_with_few_values_is_few_bytes);
  return harness_end();
}
