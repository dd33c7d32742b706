/* k-means: against the algorithm written down plainly, and against itself: cuts, threads'
 * parts, memory, CPUs, shards and bytes change no bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../harness.h"
#include "base/random.h"
#include "help-kmeans.h"

static struct rfl_err err;

/* ---- the plain algorithm ---- */

static size_t nearest(const struct rows *r, size_t i, const long double *centre, size_t k,
                      long double *square) {
  size_t label = 0;
  *square = INFINITY;
  for (size_t c = 0; c < k; c++) {
    long double s = 0;
    for (size_t j = 0; j < r->d; j++) {
      long double e = r->column[j][i] - centre[c + j * k];
      s += e * e;
    }
    if (s < *square) {
      *square = s;
      label = c;
    }
  }
  return label;
}

/* Lloyd from `start` (k x d) until no label changes; centres, sizes and squares. */
static void plain(const struct rows *r, const double *start, size_t k,
                  long double *centre, double *size, long double *within) {
  size_t *label = calloc(r->n + 1, sizeof *label);
  for (size_t i = 0; i < k * r->d; i++) centre[i] = start[i];
  for (bool changed = true; changed;) {
    changed = false;
    long double *sum = calloc(k * r->d, sizeof *sum), *weight = calloc(k, sizeof *weight);
    for (size_t c = 0; c < k; c++) size[c] = 0, within[c] = 0;
    for (size_t i = 0; i < r->n; i++) {
      long double w = r->weight ? r->weight[i] : 1, square;
      if (!(w > 0)) continue;
      size_t c = nearest(r, i, centre, k, &square);
      changed |= c + 1 != label[i];
      label[i] = c + 1;
      size[c]++;
      weight[c] += w;
      within[c] += w * square;
      for (size_t j = 0; j < r->d; j++) sum[c + j * k] += w * r->column[j][i];
    }
    for (size_t c = 0; c < k; c++)
      for (size_t j = 0; weight[c] > 0 && j < r->d; j++)
        centre[c + j * k] = sum[c + j * k] / weight[c];
    free(sum);
    free(weight);
  }
  free(label);
}

static void check_against_plain(struct rows *r, size_t k) {
  double *start = rows_first(r, k), size[64];
  long double *centre = calloc(k * r->d, sizeof *centre), within[64];
  plain(r, start, k, centre, size, within);
  struct rfl_kmeans_options o = {
      .k = (int32_t)k, .start = start, .max_iter = 1000, .memory = 1e8};
  struct rfl_state *s = km_fitted(&o, r);
  struct rfl_kmeans_result t = km_result_of(s);
  CHECK(t.converged);
  CHECK_EQ(t.k, k);
  for (size_t c = 0; c < k && !harness_failed_; c++) {
    CHECK_NEAR(t.size[c], size[c], 0);
    /* Sums of some thousand terms in doubles. */
    CHECK_NEAR(t.within[c], (double)within[c], 1e-10 * (double)within[c] + 1e-12);
    for (size_t j = 0; j < r->d; j++)
      CHECK_NEAR(t.centre[c + j * k], (double)centre[c + j * k], 1e-11);
  }
  rfl_kmeans.release(s);
  free(start);
  free(centre);
}

TEST(lloyd_from_given_centres_is_the_plain_algorithm) {
  static const struct {
    size_t n, d, k;
    double apart;
    bool weights;
  } world[] = {{2000, 2, 7, 3, false}, {1500, 5, 12, 1, true}, {900, 16, 32, 0.5, false},
               {700, 1, 3, 2, true},   {1200, 19, 9, 2, true}, {400, 3, 1, 1, false}};
  for (size_t i = 0; i < sizeof world / sizeof *world; i++) {
    struct rows *r = rows_clouds(10 * i, world[i].n, world[i].d, 6, world[i].apart);
    if (world[i].weights) rows_weigh(r, i);
    check_against_plain(r, world[i].k);
    rows_free(r);
  }
}

/* ---- what changes no bit ---- */

static struct rows *world(size_t plan) {
  struct rows *r = rows_clouds(100 + plan, 2300, 3 + plan, 8, 1.5);
  if (plan % 2) rows_weigh(r, plan);
  return r;
}

TEST(parts_and_memory_change_no_bit) {
  for (size_t k = 0; k < N_PLANS; k++) {
    struct rows *r = world(k);
    struct rfl_state *plain_one = km_fitted(&km_plans[k], r);
    static const double memory[] = {0, 1e9, 150000};
    for (size_t m = 0; m < 3; m++)
      for (size_t parts = 0; parts < 4; parts++) {
        struct rfl_kmeans_options o = km_plans[k];
        o.memory = memory[m];
        struct rfl_state *s = NULL;
        CHECK_OK(km_fit(&o, r, (struct how){.parts = parts}, &s, &err), &err);
        CHECK(km_same(plain_one, s));
        rfl_kmeans.release(s);
      }
    rfl_kmeans.release(plain_one);
    rows_free(r);
  }
}

TEST(all_kernels_give_the_same_bits) {
  enum rfl_cpu now = rfl_cpu_level();
  for (size_t k = 0; k < N_PLANS; k++) {
    struct rows *r = world(k);
    struct rfl_kmeans_options o = km_plans[k];
    o.memory = 1e8;
    struct rfl_state *base = NULL;
    for (int level = RFL_CPU_BASE; level <= (int)rfl_cpu_best(); level++) {
      rfl_cpu_use((enum rfl_cpu)level);
      struct rfl_state *s = km_fitted(&o, r);
      if (base) CHECK(km_same(base, s));
      if (base)
        rfl_kmeans.release(s);
      else
        base = s;
    }
    rfl_cpu_use(now);
    rfl_kmeans.release(base);
    rows_free(r);
  }
}

TEST(states_and_parts_travel_as_bytes_in_every_pass) {
  for (size_t k = 0; k < N_PLANS; k++) {
    struct rows *r = world(k);
    struct rfl_state *a = km_fitted(&km_plans[k], r), *b = NULL;
    CHECK_OK(km_fit(&km_plans[k], r, (struct how){.parts = 2, .bytes = true}, &b, &err),
             &err);
    CHECK(km_same(a, b));
    rfl_kmeans.release(a);
    rfl_kmeans.release(b);
    rows_free(r);
  }
}

/* Other cells draw other starts, and sums round in another order: from given centres the
 * result agrees to rounding. */
TEST(the_order_of_rows_and_their_cells_matter_to_rounding_only) {
  struct rows *r = rows_clouds(7, 1500, 4, 5, 4), *back = rows_clouds(7, 1500, 4, 5, 4);
  for (size_t j = 0; j < r->d; j++)
    for (size_t i = 0; i < r->n; i++) back->column[j][i] = r->column[j][r->n - 1 - i];
  double *start = rows_first(r, 5);
  struct rfl_kmeans_options o = {.k = 5, .start = start};
  struct rfl_state *a = km_fitted(&o, r), *b = km_fitted(&o, back), *c = NULL;
  CHECK_OK(km_fit(&o, r, (struct how){.cell = 101, .parts = 3}, &c, &err), &err);
  struct rfl_kmeans_result x = km_result_of(a), y = km_result_of(b), z = km_result_of(c);
  for (size_t i = 0; i < 5 * r->d; i++) {
    CHECK_NEAR(x.centre[i], y.centre[i], 1e-12);
    CHECK_NEAR(x.centre[i], z.centre[i], 1e-12);
  }
  CHECK_NEAR(x.total_within, y.total_within, 1e-9);
  rfl_kmeans.release(a);
  rfl_kmeans.release(b);
  rfl_kmeans.release(c);
  free(start);
  rows_free(r);
  rows_free(back);
}

TEST(sums_of_another_pass_are_not_merged) {
  struct rows *r = world(0);
  struct rfl_state *s = NULL, *part = NULL;
  bool again = true;
  CHECK_OK(rfl_kmeans.open(&km_plans[0].base, &r->layout, &s, &err), &err);
  CHECK_OK(rfl_kmeans.part(s, &part, &err), &err);
  CHECK_OK(rfl_kmeans.absorb(part, &r->block, &err), &err);
  CHECK_OK(rfl_kmeans.merge(s, part, &err), &err);
  CHECK_OK(rfl_kmeans.settle(s, &again, &err), &err);
  CHECK_EQ(rfl_kmeans.merge(s, part, &err), RFL_EMODEL);
  CHECK_EQ(rfl_kmeans.renew(s, 1, &err), RFL_EMODEL);
  double out[4];
  CHECK_EQ(rfl_kmeans.score(s, &r->block, RFL_KMEANS_CLUSTER, out, &err), RFL_EMODEL);
  rfl_kmeans.release(s);
  rfl_kmeans.release(part);
  rows_free(r);
}

/* ---- starts ---- */

TEST(both_starts_find_clouds_that_lie_apart) {
  for (int parallel = 0; parallel < 2; parallel++)
    for (uint64_t seed = 0; seed < 5; seed++) {
      struct rows *r = rows_clouds(3, 1200, 4, 6, 40);
      struct rfl_kmeans_options o = {
          .k = 6, .starts = 5, .seed = seed, .parallel = parallel, .memory = 1e8};
      struct rfl_state *s = km_fitted(&o, r);
      struct rfl_kmeans_result t = km_result_of(s);
      /* Within a cloud squares are chi-squared with n d degrees of freedom, less k d. */
      CHECK_NEAR(t.total_within / (1194 * 4), 1, 0.1);
      for (int c = 1; c < 6; c++) CHECK(t.size[c - 1] >= t.size[c]);
      CHECK(t.total > 100 * t.total_within);
      rfl_kmeans.release(s);
      rows_free(r);
    }
}

TEST(more_clusters_than_distinct_rows_gives_those_there_are) {
  for (int parallel = 0; parallel < 2; parallel++) {
    struct rows *r = rows_clouds(3, 600, 2, 4, 5);
    for (size_t i = 0; i < r->n; i++)
      for (size_t j = 0; j < 2; j++) r->column[j][i] = (double)((i % 3 + 1) * (j + 2));
    struct rfl_kmeans_options o = {
        .k = 8, .starts = 3, .seed = 5, .parallel = parallel, .sample = 200};
    struct rfl_state *s = km_fitted(&o, r);
    struct rfl_kmeans_result t = km_result_of(s);
    CHECK_EQ(t.k, 3);
    CHECK_EQ(t.wanted, 8);
    CHECK_NEAR(t.total_within, 0, 0);
    CHECK(t.converged);
    for (int c = 0; c < 3; c++) CHECK_NEAR(t.size[c], 200, 0);
    CHECK_EQ(rfl_kmeans.width(s, RFL_KMEANS_DISTANCE), 3);
    rfl_kmeans.release(s);
    rows_free(r);
  }
}

/* Given centres that coincide: one of two gets no row, and moves to the farthest. */
TEST(empty_clusters_are_seeded_anew_and_counted) {
  struct rows *r = rows_clouds(3, 1200, 2, 6, 40);
  double *start = rows_first(r, 6);
  for (size_t j = 0; j < 2; j++) start[3 + j * 6] = start[5 + j * 6] = start[j * 6];
  struct rfl_kmeans_options o = {.k = 6, .start = start};
  struct rfl_state *s = km_fitted(&o, r);
  struct rfl_kmeans_result t = km_result_of(s);
  CHECK_EQ(t.k, 6);
  CHECK(t.reseeded >= 2);
  CHECK(t.converged);
  for (int c = 0; c < 6; c++) CHECK(t.size[c] > 0);
  rfl_kmeans.release(s);
  free(start);
  rows_free(r);
}

TEST(too_few_iterations_are_told) {
  struct rows *r = rows_clouds(3, 1200, 2, 6, 1);
  double *start = rows_first(r, 6);
  struct rfl_kmeans_options o = {.k = 6, .start = start, .max_iter = 2};
  struct rfl_state *s = km_fitted(&o, r);
  struct rfl_kmeans_result t = km_result_of(s);
  CHECK(!t.converged);
  CHECK_EQ(t.iterations, 2);
  rfl_kmeans.release(s);
  free(start);
  rows_free(r);
}

int main(void) {
  harness_cpu();
  RUN(lloyd_from_given_centres_is_the_plain_algorithm);
  RUN(parts_and_memory_change_no_bit);
  RUN(all_kernels_give_the_same_bits);
  RUN(states_and_parts_travel_as_bytes_in_every_pass);
  RUN(the_order_of_rows_and_their_cells_matter_to_rounding_only);
  RUN(sums_of_another_pass_are_not_merged);
  RUN(both_starts_find_clouds_that_lie_apart);
  RUN(more_clusters_than_distinct_rows_gives_those_there_are);
  RUN(empty_clusters_are_seeded_anew_and_counted);
  RUN(too_few_iterations_are_told);
  return harness_end();
}
