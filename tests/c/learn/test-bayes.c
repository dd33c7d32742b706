/* Naive Bayes against closed forms, and what a fit may not depend on. */
#include "base/random.h"
#include "harness.h"
#include "learn/bayes.h"
#include "num/gather.h"

static struct rfl_err err;

/* ---- a world: random rows of every kind of feature ---- */

enum { FACTORS = 3, NUMBERS = 5, ROWS = 3000 };
static const int32_t factor_levels[FACTORS] = {2, 7, 1};
/* terms: the factors, then the numbers */
static const int32_t kinds[FACTORS + NUMBERS] = {
    RFL_LIKE_BERNOULLI, RFL_LIKE_CATEGORICAL, RFL_LIKE_CATEGORICAL, RFL_LIKE_GAUSSIAN,
    RFL_LIKE_BERNOULLI, RFL_LIKE_POISSON,     RFL_LIKE_MULTINOMIAL, RFL_LIKE_MULTINOMIAL};

struct world {
  int32_t code[FACTORS][ROWS];
  double number[NUMBERS][ROWS], y[ROWS], weight[ROWS];
  struct rfl_coded coded[FACTORS];
  const double *dense[NUMBERS];
  struct rfl_block block;
};
static struct world world;

static double draw(size_t row, uint64_t column) { return rfl_uniform(11, row, column); }

static void fill_row(struct world *w, size_t i) {
  double c = draw(i, 0) < 0.2 ? 2 : draw(i, 0) < 0.5;
  w->y[i] = c;
  w->weight[i] = draw(i, 1) < 0.1 ? 0 : floor(1 + 3 * draw(i, 2));
  for (size_t f = 0; f < FACTORS; f++) {
    double u = draw(i, 10 + f), lean = c == 1 ? u * u : u;
    w->code[f][i] = (int32_t)(lean * factor_levels[f]);
    if (draw(i, 20 + f) < 0.05) w->code[f][i] = -1;
  }
  w->number[0][i] = 1e3 + c + rfl_normal(12, i, 0);
  w->number[1][i] = draw(i, 30) < 0.3 + 0.2 * c;
  for (size_t f = 2; f < NUMBERS; f++) w->number[f][i] = floor((2 + c) * draw(i, 40 + f));
  for (size_t f = 0; f < NUMBERS; f++)
    if (draw(i, 50 + f) < 0.05) w->number[f][i] = NAN;
}

static const struct rfl_block *rows(void) {
  struct world *w = &world;
  for (size_t i = 0; i < ROWS; i++) fill_row(w, i);
  for (size_t f = 0; f < FACTORS; f++)
    w->coded[f] = (struct rfl_coded){w->code[f], factor_levels[f]};
  for (size_t f = 0; f < NUMBERS; f++) w->dense[f] = w->number[f];
  w->block = (struct rfl_block){.n = ROWS,
                                .n_dense = NUMBERS,
                                .dense = w->dense,
                                .n_coded = FACTORS,
                                .coded = w->coded,
                                .y = w->y};
  return &w->block;
}

/* Rows [from, from + n) of a block, in arrays that live until the next call with `slot`.
 */
static struct rfl_block slice(const struct rfl_block *b, size_t from, size_t n,
                              int slot) {
  static struct rfl_coded coded[2][FACTORS];
  static const double *dense[2][NUMBERS];
  for (size_t f = 0; f < b->n_coded; f++)
    coded[slot][f] =
        (struct rfl_coded){b->coded[f].code + from, b->coded[f].levels};
  for (size_t f = 0; f < b->n_dense; f++) dense[slot][f] = b->dense[f] + from;
  struct rfl_block out = *b;
  out.n = n;
  out.first_row += from;
  out.coded = coded[slot];
  out.dense = dense[slot];
  if (b->y) out.y = b->y + from;
  if (b->weight) out.weight = b->weight + from;
  return out;
}

/* A layout of coded columns with the levels given, then numbers. */
static struct rfl_layout layout_of(const int32_t *levels, size_t n_coded,
                                   size_t n_dense) {
  static struct rfl_term term[2][16];
  static struct rfl_coding coding[2][16];
  static int32_t at, kept[2][16], select[16];
  at = !at;
  int32_t z = 0;
  for (size_t k = 0; k < 16; k++) select[k] = (int32_t)k;
  for (size_t t = 0; t < n_coded + n_dense; t++) {
    bool coded = t < n_coded;
    int32_t n = coded ? levels[t] : 1;
    if (coded) kept[at][t] = n;
    coding[at][t] = (struct rfl_coding){.levels = n, .columns = n, .select = select};
    term[at][t] = (struct rfl_term){.coded = coded ? (int32_t)t : -1,
                                    .dense = coded ? -1 : (int32_t)(t - n_coded),
                                    .assign = (int32_t)t + 1,
                                    .n_codings = coded,
                                    .coding = coded ? &coding[at][t] : NULL,
                                    .z = z,
                                    .n_z = n,
                                    .x = z,
                                    .n_x = n};
    z += n;
  }
  return (struct rfl_layout){.n_dense = n_dense,
                             .n_coded = n_coded,
                             .levels = kept[at],
                             .missing = true,
                             .n_terms = n_coded + n_dense,
                             .term = term[at],
                             .n_z = z,
                             .n_x = z};
}

static struct rfl_layout world_layout(void) {
  return layout_of(factor_levels, FACTORS, NUMBERS);
}
static const struct rfl_bayes_options plain = {
    .n_classes = 3, .likelihood = kinds, .laplace = 1};

/* ---- fits ---- */

struct how {
  size_t rows, cut, parts; /* of a cell; pieces that the block comes in; parts in turn */
};

static enum rfl_code take(struct rfl_state *s, struct rfl_state *part,
                          const struct rfl_block *cell) {
  RFL_TRY(rfl_bayes.part(s, &part, &err));
  RFL_TRY(rfl_bayes.absorb(part, cell, &err));
  return rfl_bayes.merge(s, part, &err);
}

static enum rfl_code drive(struct rfl_state *s, const struct rfl_block *b,
                           struct how how) {
  struct rfl_gather *g = NULL;
  struct rfl_state *part[4] = {0};
  enum rfl_code code =
      rfl_gather_new(rfl_bayes.layout(s), (uint32_t)how.rows, 0, &g, &err);
  for (size_t p = 0; !code && p < how.parts; p++)
    code = rfl_bayes.part(s, &part[p], &err);
  size_t cell_number = 0;
  for (size_t at = 0; !code && at < b->n;) {
    size_t n = b->n - at < how.cut ? b->n - at : how.cut, taken = 0;
    struct rfl_block piece = slice(b, at, n, 1);
    for (size_t from = 0; !code && from < n; from += taken) {
      code = rfl_gather_add(g, &piece, from, &taken, &err);
      const struct rfl_block *cell = code ? NULL : rfl_gather_block(g, false);
      if (cell) code = take(s, part[cell_number++ % how.parts], cell);
    }
    at += n;
  }
  const struct rfl_block *rest = code ? NULL : rfl_gather_block(g, true);
  if (rest) code = take(s, part[cell_number % how.parts], rest);
  bool again;
  if (!code) code = rfl_bayes.settle(s, &again, &err);
  for (size_t p = 0; p < how.parts; p++) rfl_bayes.release(part[p]);
  rfl_gather_release(g);
  return code;
}

static struct rfl_state *fit(const struct rfl_bayes_options *o,
                             const struct rfl_layout *l, const struct rfl_block *b) {
  struct rfl_state *s = NULL;
  bool again;
  CHECK_OK(rfl_bayes.open(&o->base, l, &s, &err), &err);
  CHECK_OK(rfl_bayes.absorb(s, b, &err), &err);
  CHECK_OK(rfl_bayes.settle(s, &again, &err), &err);
  return s;
}

static struct rfl_state *fit_world(const struct rfl_block *b) {
  struct rfl_layout l = world_layout();
  return fit(&plain, &l, b);
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_bayes.write(s, &out);
  CHECK_OK(rfl_buf_check(&out, &err), &err);
  return out;
}

static void check_same_bytes(const struct rfl_state *a, const struct rfl_state *b) {
  struct rfl_buf x = bytes_of(a), y = bytes_of(b);
  CHECK(x.n == y.n && memcmp(x.p, y.p, x.n) == 0);
  rfl_buf_release(&x);
  rfl_buf_release(&y);
}

static double posterior[2][4 * ROWS];
static void score(const struct rfl_state *s, const struct rfl_block *b, double *out) {
  CHECK_OK(rfl_bayes.score(s, b, RFL_BAYES_PROB, out, &err), &err);
}

static void check_near_posteriors(const struct rfl_state *a, const struct rfl_state *b,
                                  const struct rfl_block *rows_of, double tol) {
  score(a, rows_of, posterior[0]);
  score(b, rows_of, posterior[1]);
  double off = 0;
  for (size_t i = 0; i < 3 * rows_of->n; i++)
    off = fmax(off, fabs(posterior[0][i] - posterior[1][i]));
  CHECK_NEAR(off, 0, tol);
}

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
  const double x[] = {-0.9, 0.1, -0.5, 0.3, 1, 0.8, 0.9, 0.7}, y[] = {0, 0, 0, 0, 1, 1, 1, 1};
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
  CHECK_EQ(rfl_bayes.renew(fades, 0.5, &err), RFL_EARGUMENT);
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
    double p[3], which, most = 0;
    score(s, &row, p);
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
  const int32_t levels[FACTORS] = {2, 9, 3}, insert[] = {0, 1, 3, 4, 5, 6, 7, 8, 9};
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
  CHECK_EQ(rfl_bayes.score(s, b, RFL_BAYES_PROB, posterior[0], &err), RFL_EMODEL);
  bool again;
  CHECK_EQ(rfl_bayes.settle(s, &again, &err), RFL_EDATA);
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
  RUN(what_makes_no_sense_is_refused);
  RUN(no_memory_anywhere_is_told_and_nothing_leaks);
  return harness_end();
}
