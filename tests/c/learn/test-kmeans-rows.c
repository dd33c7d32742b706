/* k-means: rows of all kinds, scores, learning blocks, and failing memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../harness.h"
#include "base/random.h"
#include "help-kmeans.h"

static struct rfl_err err;

/* ---- rows of all kinds ---- */

TEST(weights_count_rows) {
  struct rows *r = rows_clouds(5, 600, 3, 4, 2), *twice = malloc(sizeof *twice);
  rows_weigh(r, 1);
  size_t n = 0;
  for (size_t i = 0; i < r->n; i++) n += (size_t)(2 * r->weight[i]);
  rows_shape(twice, n, 3);
  n = 0;
  for (size_t i = 0; i < r->n; i++)
    for (int k = 0; k < 2 * r->weight[i]; k++, n++)
      for (size_t j = 0; j < 3; j++) twice->column[j][n] = r->column[j][i];
  double *start = rows_first(r, 4);
  struct rfl_kmeans_options o = {.k = 4, .start = start};
  struct rfl_state *a = km_fitted(&o, r), *b = km_fitted(&o, twice);
  struct rfl_kmeans_result x = km_result_of(a), y = km_result_of(b);
  for (size_t i = 0; i < 12; i++) CHECK_NEAR(x.centre[i], y.centre[i], 1e-12);
  CHECK_NEAR(2 * x.total_within, y.total_within, 1e-9);
  CHECK_NEAR(2 * x.total, y.total, 1e-9);
  CHECK(x.n_zero > 50);
  CHECK_NEAR(x.n + x.n_zero, 600, 0);
  rfl_kmeans.release(a);
  rfl_kmeans.release(b);
  free(start);
  rows_free(r);
  rows_free(twice);
}

/* A power of two changes no digit: the same fit to the bit, at both ends of doubles. */
TEST(extreme_scales_change_nothing) {
  static const int power[] = {-990, 990};
  struct rows *r = rows_clouds(5, 800, 3, 4, 2);
  struct rfl_kmeans_options o = {.k = 5, .starts = 2, .seed = 2};
  struct rfl_state *a = km_fitted(&o, r);
  for (int e = 0; e < 2; e++) {
    struct rows *far = rows_clouds(5, 800, 3, 4, 2);
    for (size_t j = 0; j < 3; j++)
      for (size_t i = 0; i < r->n; i++)
        far->column[j][i] = ldexp(r->column[j][i], power[e]);
    struct rfl_state *b = km_fitted(&o, far);
    struct rfl_kmeans_result x = km_result_of(a), y = km_result_of(b);
    for (size_t i = 0; i < 15; i++)
      CHECK(y.centre[i] - ldexp(x.centre[i], power[e]) == 0);
    for (int c = 0; c < 5; c++) CHECK_NEAR(x.size[c], y.size[c], 0);
    double out[800], same_out[800];
    CHECK_OK(rfl_kmeans.score(a, &r->block, RFL_KMEANS_NEAREST, out, &err), &err);
    CHECK_OK(rfl_kmeans.score(b, &far->block, RFL_KMEANS_NEAREST, same_out, &err), &err);
    for (size_t i = 0; i < 800; i++) CHECK(same_out[i] - ldexp(out[i], power[e]) == 0);
    rfl_kmeans.release(b);
    rows_free(far);
  }
  rfl_kmeans.release(a);
  rows_free(r);
}

TEST(scaling_divides_by_standard_deviations_and_leaves_constants) {
  struct rows *r = rows_clouds(5, 800, 3, 4, 2);
  for (size_t i = 0; i < r->n; i++) {
    r->column[1][i] *= 1e200;
    r->column[2][i] = 1e-7;
  }
  struct rfl_kmeans_options o = {.k = 4, .starts = 2, .seed = 2, .scale = true};
  struct rfl_state *s = km_fitted(&o, r);
  struct rfl_kmeans_result t = km_result_of(s);
  CHECK(!t.constant[0] && !t.constant[1] && t.constant[2]);
  CHECK_NEAR(t.total, 2 * 799, 1e-8); /* of two scaled columns: p (n - 1) */
  for (int c = 0; c < 4; c++) CHECK_NEAR(t.centre[c + 8], 1e-7, 1e-22);
  double mean = 0, m2 = 0;
  for (size_t i = 0; i < r->n; i++) mean += r->column[0][i] / 800;
  for (size_t i = 0; i < r->n; i++)
    m2 += (r->column[0][i] - mean) * (r->column[0][i] - mean);
  CHECK_NEAR(t.divisor[0], sqrt(m2 / 799), 1e-12);
  rfl_kmeans.release(s);
  rows_free(r);
}

TEST(ties_go_to_the_lowest_number) {
  struct rows *r = malloc(sizeof *r);
  rows_shape(r, 5, 1);
  const double at[] = {-1, 0, 1, -1, 1};
  for (size_t i = 0; i < 5; i++) r->column[0][i] = at[i];
  const double start[] = {1, -1};
  struct rfl_kmeans_options o = {.k = 2, .start = start, .max_iter = 1};
  struct rfl_state *s = km_fitted(&o, r);
  struct rfl_kmeans_result t = km_result_of(s);
  CHECK_NEAR(t.centre[0], 2.0 / 3, 1e-15); /* 1, 0, 1 */
  CHECK_NEAR(t.centre[1], -1, 0);
  rfl_kmeans.release(s);
  rows_free(r);
}

TEST(no_rows_and_no_weight_are_errors) {
  struct rows *r = rows_clouds(5, 50, 2, 4, 2), *none = rows_clouds(5, 0, 2, 4, 2);
  r->weight = calloc(50, sizeof(double));
  r->block.weight = r->weight;
  struct rfl_kmeans_options o = {.k = 2};
  struct rfl_state *s = NULL;
  CHECK_EQ(km_fit(&o, r, (struct how){0}, &s, &err), RFL_EDATA);
  CHECK_EQ(km_fit(&o, none, (struct how){0}, &s, &err), RFL_EDATA);
  const double bad[] = {1, 2, INFINITY, 3};
  o.start = bad;
  CHECK_EQ(km_fit(&o, r, (struct how){0}, &s, &err), RFL_EARGUMENT);
  o = (struct rfl_kmeans_options){.k = 0};
  CHECK_EQ(km_fit(&o, r, (struct how){0}, &s, &err), RFL_EARGUMENT);
  rows_free(r);
  rows_free(none);
}

/* A logical as R codes it: one column that is 1 at the second level. */
TEST(a_coded_column_is_a_coordinate) {
  struct rows *r = rows_clouds(5, 400, 2, 3, 6), *number = rows_clouds(5, 400, 2, 3, 6);
  int32_t *code = calloc(400, sizeof *code), select[] = {-1, 0}, levels[] = {2};
  for (size_t i = 0; i < 400; i++)
    number->column[1][i] = code[i] = (int32_t)(rfl_random(1, i, 0) % 2);
  struct rfl_coding coding = {.levels = 2, .columns = 1, .select = select};
  r->term[2] = (struct rfl_term){.coded = 0,
                                 .dense = -1,
                                 .assign = 2,
                                 .n_codings = 1,
                                 .coding = &coding,
                                 .z = 2,
                                 .n_z = 2,
                                 .x = 2,
                                 .n_x = 1};
  struct rfl_coded coded = {code, 2};
  r->layout.n_dense = r->block.n_dense = 1;
  r->layout.n_coded = r->block.n_coded = 1;
  r->layout.levels = levels;
  r->layout.n_z = 4;
  r->block.coded = &coded;
  struct rfl_kmeans_options o = {.k = 4, .starts = 2, .seed = 2};
  struct rfl_state *a = NULL, *b = NULL;
  CHECK_OK(km_fit(&o, r, (struct how){.cell = 400}, &a, &err), &err);
  CHECK_OK(km_fit(&o, number, (struct how){.cell = 400}, &b, &err), &err);
  struct rfl_kmeans_result x = km_result_of(a), y = km_result_of(b);
  for (int i = 0; i < 8; i++) CHECK(x.centre[i] - y.centre[i] == 0);
  double out[400], other[400];
  CHECK_OK(rfl_kmeans.score(a, &r->block, RFL_KMEANS_CLUSTER, out, &err), &err);
  CHECK_OK(rfl_kmeans.score(b, &number->block, RFL_KMEANS_CLUSTER, other, &err), &err);
  CHECK(memcmp(out, other, sizeof out) == 0);
  rfl_kmeans.release(a);
  rfl_kmeans.release(b);
  free(code);
  rows_free(r);
  rows_free(number);
}

/* ---- scores ---- */

TEST(a_row_alone_scores_as_in_the_batch) {
  struct rows *r = rows_clouds(8, 500, 6, 5, 2);
  struct rfl_kmeans_options o = {.k = 5, .starts = 2, .seed = 2};
  struct rfl_state *s = km_fitted(&o, r);
  static double cluster[500], nearby[500], all[5 * 500];
  CHECK_OK(rfl_kmeans.score(s, &r->block, RFL_KMEANS_CLUSTER, cluster, &err), &err);
  CHECK_OK(rfl_kmeans.score(s, &r->block, RFL_KMEANS_NEAREST, nearby, &err), &err);
  CHECK_OK(rfl_kmeans.score(s, &r->block, RFL_KMEANS_DISTANCE, all, &err), &err);
  const double *dense[MOST_D];
  for (size_t i = 0; i < r->n; i++) {
    struct rfl_block one = rows_slice(&r->block, i, 1, dense);
    double out[5], label;
    CHECK_OK(rfl_kmeans.score(s, &one, RFL_KMEANS_CLUSTER, &label, &err), &err);
    CHECK(label - cluster[i] == 0);
    CHECK_OK(rfl_kmeans.score(s, &one, RFL_KMEANS_DISTANCE, out, &err), &err);
    for (size_t c = 0; c < 5; c++) {
      CHECK(out[c] - all[c * 500 + i] == 0);
      CHECK(out[c] >= nearby[i]);
    }
    CHECK(out[(int)label - 1] - nearby[i] == 0);
  }
  rfl_kmeans.release(s);
  rows_free(r);
}

/* Squares of rows far away are no doubles; the nearest centre is still known. */
TEST(a_row_out_of_all_proportion_has_its_nearest_centre) {
  struct rows *r = malloc(sizeof *r), *far = malloc(sizeof *far);
  rows_shape(r, 4, 2);
  rows_shape(far, 1, 2);
  const double x[] = {0, 1, 0, 1}, y[] = {0, 0, 1, 1};
  for (size_t i = 0; i < 4; i++) r->column[0][i] = x[i], r->column[1][i] = y[i];
  double *start = rows_first(r, 4);
  struct rfl_kmeans_options o = {.k = 4, .start = start};
  struct rfl_state *s = km_fitted(&o, r);
  far->column[0][0] = 1e305;
  far->column[1][0] = -1e305;
  double label;
  CHECK_OK(rfl_kmeans.score(s, &far->block, RFL_KMEANS_CLUSTER, &label, &err), &err);
  CHECK(label >= 1 && label <= 4);
  CHECK_EQ(rfl_kmeans.absorb(s, &far->block, &err), RFL_EDATA);
  rfl_kmeans.release(s);
  free(start);
  rows_free(r);
  rows_free(far);
}

/* ---- blocks ---- */

static struct rfl_state *two_centres(void) {
  struct rows *r = malloc(sizeof *r);
  rows_shape(r, 2, 1);
  r->column[0][1] = 10;
  const double start[] = {0, 10};
  struct rfl_kmeans_options o = {.k = 2, .start = start};
  struct rfl_state *s = km_fitted(&o, r);
  rows_free(r);
  return s;
}

/* Centres 0 and 10 of weight 1, then the rows 1, 2, 9: c <- (d n c + S) / (d n + m), the
 * rule of Spark's StreamingKMeans. */
TEST(a_block_moves_centres_by_the_rule_with_forgetting) {
  struct rows *r = malloc(sizeof *r);
  rows_shape(r, 3, 1);
  const double x[] = {1, 2, 9};
  memcpy(r->column[0], x, sizeof x);
  struct rfl_state *s = two_centres();
  CHECK_OK(km_learn(s, &r->block, 0.5), &err);
  struct rfl_kmeans_result t = km_result_of(s);
  CHECK_NEAR(t.centre[0], 1.2, 1e-15);
  CHECK_NEAR(t.centre[1], 28.0 / 3, 1e-14);
  CHECK_NEAR(t.weight[0], 2.5, 0);
  CHECK_NEAR(t.weight[1], 1.5, 0);
  CHECK_NEAR(t.size[0], 3, 0);
  CHECK_EQ(t.version, 1);
  rfl_kmeans.release(s);
  s = two_centres(); /* a half-life of two rows: each counts sqrt(1 / 2) of the next */
  CHECK_OK(km_learn(s, &r->block, pow(0.5, 1.5)), &err);
  t = km_result_of(s);
  CHECK_NEAR(t.centre[0], 1.274668343, 1e-9);
  CHECK_NEAR(t.centre[1], 9.261203875, 1e-9);
  CHECK_NEAR(t.weight[0], 2.353553391, 1e-9);
  rfl_kmeans.release(s);
  rows_free(r);
}

TEST(one_centre_that_never_forgets_is_the_mean_of_all) {
  struct rows *r = rows_clouds(4, 700, 3, 3, 2);
  struct rfl_kmeans_options o = {.k = 1};
  const double *dense[MOST_D];
  struct rows head = *r;
  head.block.n = 100;
  struct rfl_state *s = km_fitted(&o, &head);
  for (size_t from = 100; from < 700; from += 50) {
    struct rfl_block b = rows_slice(&r->block, from, 50, dense);
    CHECK_OK(km_learn(s, &b, 1), &err);
  }
  struct rfl_kmeans_result t = km_result_of(s);
  for (size_t j = 0; j < 3; j++) {
    double mean = 0, m2 = 0;
    for (size_t i = 0; i < 700; i++) mean += r->column[j][i] / 700;
    for (size_t i = 0; i < 700; i++)
      m2 += (r->column[j][i] - mean) * (r->column[j][i] - mean);
    CHECK_NEAR(t.centre[j], mean, 1e-13);
    CHECK(m2 > 0);
  }
  CHECK_NEAR(t.n, 700, 0);
  CHECK_EQ(t.version, 12);
  rfl_kmeans.release(s);
  rows_free(r);
}

/* A block that is settled, saved, read and renewed; blocks of none and of no weight. */
TEST(saved_between_all_steps_of_blocks_it_goes_on_the_same) {
  struct rows *r = rows_clouds(4, 900, 3, 3, 2);
  struct rfl_kmeans_options o = {.k = 4, .starts = 2};
  const double *dense[MOST_D];
  struct rows head = *r;
  head.block.n = 300;
  struct rfl_state *a = km_fitted(&o, &head), *b = NULL;
  CHECK_OK(rfl_kmeans.copy(a, &b, &err), &err);
  for (size_t from = 300; from < 900; from += 60) {
    struct rfl_block rows = rows_slice(&r->block, from, from == 360 ? 0 : 60, dense);
    bool again;
    CHECK_OK(km_learn(a, &rows, 0.9), &err);
    CHECK_OK(rfl_kmeans.absorb(b, &rows, &err), &err);
    km_travel(&b);
    CHECK_OK(rfl_kmeans.settle(b, &again, &err), &err);
    km_travel(&b);
    struct rfl_state *copy = NULL;
    CHECK_OK(rfl_kmeans.copy(b, &copy, &err), &err);
    rfl_kmeans.release(b);
    b = copy;
    CHECK_OK(rfl_kmeans.renew(b, 0.9, &err), &err);
    km_travel(&b);
    CHECK(km_same(a, b));
  }
  rfl_kmeans.release(a);
  rfl_kmeans.release(b);
  rows_free(r);
}

TEST(a_dying_cluster_takes_half_of_the_heaviest_and_is_counted) {
  struct rows *r = malloc(sizeof *r);
  rows_shape(r, 40, 1);
  for (size_t i = 0; i < 40; i++) r->column[0][i] = i % 2 ? 0.5 : -0.5;
  struct rfl_state *s = two_centres();
  CHECK_OK(km_learn(s, &r->block, 1), &err);
  CHECK_EQ(km_result_of(s).reseeded, 0);
  for (int k = 0; k < 40; k++) CHECK_OK(km_learn(s, &r->block, 0.5), &err);
  struct rfl_kmeans_result t = km_result_of(s);
  CHECK_EQ(t.reseeded, 1);
  /* Both sides of what was one cluster. */
  CHECK_NEAR(fabs(t.centre[0]), 0.5, 0.01);
  CHECK_NEAR(t.centre[0] + t.centre[1], 0, 0.01);
  rfl_kmeans.release(s);
  rows_free(r);
}

TEST(a_part_of_a_finished_fit_fits_more_rows_from_its_centres) {
  struct rows *r = rows_clouds(4, 900, 3, 4, 8);
  struct rfl_kmeans_options o = {.k = 4, .starts = 3};
  struct rfl_state *s = km_fitted(&o, r), *part = NULL;
  CHECK_OK(rfl_kmeans.part(s, &part, &err), &err);
  for (bool again = true; again && !harness_failed_;) {
    CHECK_OK(km_pass(&part, &r->block, (struct how){0}, &err), &err);
    CHECK_OK(rfl_kmeans.settle(part, &again, &err), &err);
  }
  struct rfl_kmeans_result x = km_result_of(s), y = km_result_of(part);
  for (int i = 0; i < 12; i++) CHECK_NEAR(x.centre[i], y.centre[i], 1e-12);
  rfl_kmeans.release(s);
  rfl_kmeans.release(part);
  rows_free(r);
}

/* ---- memory ---- */

static enum rfl_code whole_life(const struct rows *r, size_t plan) {
  struct rfl_state *s = NULL, *copy = NULL;
  struct rfl_kmeans_options o = km_plans[plan];
  struct rfl_kmeans_result t;
  o.memory = 1e6;
  o.k = 3; /* few passes: each is gone through once an allocation */
  o.starts = 2;
  o.max_iter = 3;
  struct rfl_buf out = {0};
  double scores[300];
  enum rfl_code code = km_fit(&o, r, (struct how){.parts = 2}, &s, &err);
  if (!code) code = rfl_kmeans.absorb(s, &r->block, &err);
  if (!code) code = rfl_kmeans.renew(s, 0.5, &err);
  if (!code) code = rfl_kmeans.copy(s, &copy, &err);
  if (!code) code = rfl_kmeans.score(copy, &r->block, RFL_KMEANS_CLUSTER, scores, &err);
  if (!code) code = rfl_kmeans_result(copy, &t, &err);
  if (!code) {
    rfl_kmeans.write(copy, &out);
    code = rfl_buf_check(&out, &err);
  }
  rfl_kmeans.release(copy);
  copy = NULL;
  if (!code) code = rfl_kmeans.read((struct rfl_bytes){out.p, out.n}, &copy, &err);
  rfl_kmeans.release(copy);
  rfl_kmeans.release(s);
  rfl_buf_release(&out);
  return code;
}

TEST(every_failed_allocation_is_told_and_nothing_leaks) {
  for (size_t k = 0; k < 2; k++) {
    struct rows *r = rows_clouds(4, 60, 2, 3, 8);
    SWEEP(whole_life(r, k));
    rows_free(r);
  }
}

int main(void) {
  harness_cpu();
  RUN(weights_count_rows);
  RUN(extreme_scales_change_nothing);
  RUN(scaling_divides_by_standard_deviations_and_leaves_constants);
  RUN(ties_go_to_the_lowest_number);
  RUN(no_rows_and_no_weight_are_errors);
  RUN(a_coded_column_is_a_coordinate);
  RUN(a_row_alone_scores_as_in_the_batch);
  RUN(a_row_out_of_all_proportion_has_its_nearest_centre);
  RUN(a_block_moves_centres_by_the_rule_with_forgetting);
  RUN(one_centre_that_never_forgets_is_the_mean_of_all);
  RUN(saved_between_all_steps_of_blocks_it_goes_on_the_same);
  RUN(a_dying_cluster_takes_half_of_the_heaviest_and_is_counted);
  RUN(a_part_of_a_finished_fit_fits_more_rows_from_its_centres);
  RUN(every_failed_allocation_is_told_and_nothing_leaks);
  return harness_end();
}
