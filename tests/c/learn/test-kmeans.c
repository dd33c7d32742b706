/* k-means: against the algorithm written down plainly, and against itself: cuts, threads'
 * parts, memory, CPUs, shards and bytes change no bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../harness.h"
#include "base/bytes.h"
#include "base/random.h"
#include "learn/kmeans.h"
#include "num/gather.h"

static struct rfl_err err;

/* ---- rows ---- */

enum { MOST_D = 20 };
struct rows {
  size_t n, d;
  double *column[MOST_D], *weight;
  const double *dense[MOST_D];
  struct rfl_term term[MOST_D + 1];
  struct rfl_layout layout;
  struct rfl_block block;
};

static void shape(struct rows *r, size_t n, size_t d) {
  *r = (struct rows){.n = n, .d = d};
  r->term[0] = (struct rfl_term){.coded = -1, .dense = -1, .n_z = 1, .n_x = 1};
  for (size_t j = 0; j < d; j++) {
    int32_t at = (int32_t)j + 1;
    r->column[j] = calloc(n + 1, sizeof(double));
    r->dense[j] = r->column[j];
    r->term[j + 1] = (struct rfl_term){.coded = -1,
                                       .dense = (int32_t)j,
                                       .assign = at,
                                       .z = at,
                                       .x = at,
                                       .n_z = 1,
                                       .n_x = 1};
  }
  int32_t all = (int32_t)d + 1;
  r->layout = (struct rfl_layout){.n_dense = d,
                                  .n_terms = d + 1,
                                  .term = r->term,
                                  .n_z = all,
                                  .n_x = all,
                                  .intercept = true};
  r->block = (struct rfl_block){.n = n, .n_dense = d, .dense = r->dense};
}

/* `groups` normal clouds with centres about `apart` from each other. */
static struct rows *clouds(uint64_t seed, size_t n, size_t d, size_t groups,
                           double apart) {
  struct rows *r = malloc(sizeof *r);
  shape(r, n, d);
  for (size_t i = 0; i < n; i++) {
    uint64_t g = rfl_random(seed, i, 0) % groups;
    for (size_t j = 0; j < d; j++)
      r->column[j][i] = apart * rfl_normal(seed + 1, g, j) + rfl_normal(seed + 2, i, j);
  }
  return r;
}

static void add_weights(struct rows *r, uint64_t seed) {
  r->weight = calloc(r->n + 1, sizeof(double));
  for (size_t i = 0; i < r->n; i++) r->weight[i] = floor(4 * rfl_uniform(seed, i, 9)) / 2;
  r->block.weight = r->weight;
}

static void rows_free(struct rows *r) {
  for (size_t j = 0; j < r->d; j++) free(r->column[j]);
  free(r->weight);
  free(r);
}

static struct rfl_block slice(const struct rfl_block *b, size_t from, size_t n,
                              const double **dense) {
  struct rfl_block s = *b;
  s.n = n;
  s.first_row = b->first_row + from;
  for (size_t j = 0; j < b->n_dense; j++) dense[j] = b->dense[j] + from;
  s.dense = dense;
  if (b->weight) s.weight = b->weight + from;
  return s;
}

/* ---- drivers ---- */

struct how {
  size_t cell;  /* rows of a cell; 0: 256 */
  size_t parts; /* that take the cells in turn; 0: absorbed directly */
  bool bytes;   /* state and parts travel as bytes between all steps */
};

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_kmeans.write(s, &out);
  CHECK_OK(rfl_buf_check(&out, &err), &err);
  return out;
}

static bool same(const struct rfl_state *a, const struct rfl_state *b) {
  if (!a || !b) return false;
  struct rfl_buf x = bytes_of(a), y = bytes_of(b);
  bool equal = x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
  rfl_buf_release(&x);
  rfl_buf_release(&y);
  return equal;
}

static void travel(struct rfl_state **s) {
  struct rfl_buf out = bytes_of(*s);
  struct rfl_state *back = NULL;
  CHECK_OK(rfl_kmeans.read((struct rfl_bytes){out.p, out.n}, &back, &err), &err);
  CHECK(same(*s, back));
  rfl_buf_release(&out);
  if (!back) return;
  rfl_kmeans.release(*s);
  *s = back;
}

static enum rfl_code one_pass(struct rfl_state **s, const struct rfl_block *b,
                              struct how how, struct rfl_err *e) {
  size_t cell = how.cell ? how.cell : 256;
  struct rfl_state *part[4] = {0};
  enum rfl_code code = RFL_OK;
  const double *dense[MOST_D];
  for (size_t from = 0, k = 0; !code && from < b->n; from += cell, k++) {
    size_t n = b->n - from < cell ? b->n - from : cell;
    struct rfl_block rows = slice(b, from, n, dense);
    if (!how.parts) {
      code = rfl_kmeans.absorb(*s, &rows, e);
      continue;
    }
    struct rfl_state **p = &part[k % how.parts];
    code = rfl_kmeans.part(*s, p, e);
    if (!code) code = rfl_kmeans.absorb(*p, &rows, e);
    if (!code && how.bytes) travel(p);
    if (!code) code = rfl_kmeans.merge(*s, *p, e);
  }
  for (int k = 0; k < 4; k++) rfl_kmeans.release(part[k]);
  return code;
}

static enum rfl_code fit(const struct rfl_kmeans_options *o, const struct rows *r,
                         struct how how, struct rfl_state **gives, struct rfl_err *e) {
  struct rfl_state *s = NULL;
  RFL_TRY(rfl_kmeans.open(&o->base, &r->layout, &s, e));
  enum rfl_code code = RFL_OK;
  int passes = 0;
  for (bool again = true; !code && again && passes < 3000; passes++) {
    code = one_pass(&s, &r->block, how, e);
    if (!code && how.bytes) travel(&s);
    if (!code) code = rfl_kmeans.settle(s, &again, e);
    if (!code && how.bytes) travel(&s);
  }
  CHECK(passes < 3000);
  if (code)
    rfl_kmeans.release(s);
  else
    *gives = s;
  return code;
}

static struct rfl_state *fitted(const struct rfl_kmeans_options *o,
                                const struct rows *r) {
  struct rfl_state *s = NULL;
  CHECK_OK(fit(o, r, (struct how){0}, &s, &err), &err);
  return s;
}

static struct rfl_kmeans_result result_of(const struct rfl_state *s) {
  struct rfl_kmeans_result r = {0};
  CHECK_OK(rfl_kmeans_result(s, &r, &err), &err);
  return r;
}

static enum rfl_code learn(struct rfl_state *s, const struct rfl_block *b, double keep) {
  bool again = true;
  RFL_TRY(rfl_kmeans.absorb(s, b, &err));
  RFL_TRY(rfl_kmeans.settle(s, &again, &err));
  CHECK(!again);
  return rfl_kmeans.renew(s, keep, &err);
}

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

static double *first_rows(const struct rows *r, size_t k) {
  double *start = calloc(k * r->d, sizeof *start);
  for (size_t c = 0; c < k; c++)
    for (size_t j = 0; j < r->d; j++) start[c + j * k] = r->column[j][c];
  return start;
}

static void check_against_plain(struct rows *r, size_t k) {
  double *start = first_rows(r, k), size[64];
  long double *centre = calloc(k * r->d, sizeof *centre), within[64];
  plain(r, start, k, centre, size, within);
  struct rfl_kmeans_options o = {
      .k = (int32_t)k, .start = start, .max_iter = 1000, .memory = 1e8};
  struct rfl_state *s = fitted(&o, r);
  struct rfl_kmeans_result t = result_of(s);
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
    struct rows *r = clouds(10 * i, world[i].n, world[i].d, 6, world[i].apart);
    if (world[i].weights) add_weights(r, i);
    check_against_plain(r, world[i].k);
    rows_free(r);
  }
}

/* ---- what changes no bit ---- */

static const struct rfl_kmeans_options plans[] = {
    {.k = 6, .starts = 3, .seed = 1},
    {.k = 9, .starts = 2, .seed = 2, .parallel = true},
    {.k = 4, .starts = 2, .seed = 3, .scale = true},
    {.k = 7, .starts = 4, .seed = 4, .sample = 700},
    {.k = 5, .starts = 2, .seed = 5, .sample = 600, .parallel = true, .max_iter = 3}};
enum { N_PLANS = sizeof plans / sizeof *plans };

static struct rows *world(size_t plan) {
  struct rows *r = clouds(100 + plan, 2300, 3 + plan, 8, 1.5);
  if (plan % 2) add_weights(r, plan);
  return r;
}

TEST(parts_and_memory_change_no_bit) {
  for (size_t k = 0; k < N_PLANS; k++) {
    struct rows *r = world(k);
    struct rfl_state *plain_one = fitted(&plans[k], r);
    static const double memory[] = {0, 1e9, 150000};
    for (size_t m = 0; m < 3; m++)
      for (size_t parts = 0; parts < 4; parts++) {
        struct rfl_kmeans_options o = plans[k];
        o.memory = memory[m];
        struct rfl_state *s = NULL;
        CHECK_OK(fit(&o, r, (struct how){.parts = parts}, &s, &err), &err);
        CHECK(same(plain_one, s));
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
    struct rfl_kmeans_options o = plans[k];
    o.memory = 1e8;
    struct rfl_state *base = NULL;
    for (int level = RFL_CPU_BASE; level <= (int)rfl_cpu_best(); level++) {
      rfl_cpu_use((enum rfl_cpu)level);
      struct rfl_state *s = fitted(&o, r);
      if (base) CHECK(same(base, s));
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
    struct rfl_state *a = fitted(&plans[k], r), *b = NULL;
    CHECK_OK(fit(&plans[k], r, (struct how){.parts = 2, .bytes = true}, &b, &err), &err);
    CHECK(same(a, b));
    rfl_kmeans.release(a);
    rfl_kmeans.release(b);
    rows_free(r);
  }
}

/* Other cells draw other starts, and sums round in another order: from given centres the
 * result agrees to rounding. */
TEST(the_order_of_rows_and_their_cells_matter_to_rounding_only) {
  struct rows *r = clouds(7, 1500, 4, 5, 4), *back = clouds(7, 1500, 4, 5, 4);
  for (size_t j = 0; j < r->d; j++)
    for (size_t i = 0; i < r->n; i++) back->column[j][i] = r->column[j][r->n - 1 - i];
  double *start = first_rows(r, 5);
  struct rfl_kmeans_options o = {.k = 5, .start = start};
  struct rfl_state *a = fitted(&o, r), *b = fitted(&o, back), *c = NULL;
  CHECK_OK(fit(&o, r, (struct how){.cell = 101, .parts = 3}, &c, &err), &err);
  struct rfl_kmeans_result x = result_of(a), y = result_of(b), z = result_of(c);
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
  CHECK_OK(rfl_kmeans.open(&plans[0].base, &r->layout, &s, &err), &err);
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
      struct rows *r = clouds(3, 1200, 4, 6, 40);
      struct rfl_kmeans_options o = {
          .k = 6, .starts = 5, .seed = seed, .parallel = parallel, .memory = 1e8};
      struct rfl_state *s = fitted(&o, r);
      struct rfl_kmeans_result t = result_of(s);
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
    struct rows *r = clouds(3, 600, 2, 4, 5);
    for (size_t i = 0; i < r->n; i++)
      for (size_t j = 0; j < 2; j++) r->column[j][i] = (double)((i % 3 + 1) * (j + 2));
    struct rfl_kmeans_options o = {
        .k = 8, .starts = 3, .seed = 5, .parallel = parallel, .sample = 200};
    struct rfl_state *s = fitted(&o, r);
    struct rfl_kmeans_result t = result_of(s);
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
  struct rows *r = clouds(3, 1200, 2, 6, 40);
  double *start = first_rows(r, 6);
  for (size_t j = 0; j < 2; j++) start[3 + j * 6] = start[5 + j * 6] = start[j * 6];
  struct rfl_kmeans_options o = {.k = 6, .start = start};
  struct rfl_state *s = fitted(&o, r);
  struct rfl_kmeans_result t = result_of(s);
  CHECK_EQ(t.k, 6);
  CHECK(t.reseeded >= 2);
  CHECK(t.converged);
  for (int c = 0; c < 6; c++) CHECK(t.size[c] > 0);
  rfl_kmeans.release(s);
  free(start);
  rows_free(r);
}

TEST(too_few_iterations_are_told) {
  struct rows *r = clouds(3, 1200, 2, 6, 1);
  double *start = first_rows(r, 6);
  struct rfl_kmeans_options o = {.k = 6, .start = start, .max_iter = 2};
  struct rfl_state *s = fitted(&o, r);
  struct rfl_kmeans_result t = result_of(s);
  CHECK(!t.converged);
  CHECK_EQ(t.iterations, 2);
  rfl_kmeans.release(s);
  free(start);
  rows_free(r);
}

/* ---- rows of all kinds ---- */

TEST(weights_count_rows) {
  struct rows *r = clouds(5, 600, 3, 4, 2), *twice = malloc(sizeof *twice);
  add_weights(r, 1);
  size_t n = 0;
  for (size_t i = 0; i < r->n; i++) n += (size_t)(2 * r->weight[i]);
  shape(twice, n, 3);
  n = 0;
  for (size_t i = 0; i < r->n; i++)
    for (int k = 0; k < 2 * r->weight[i]; k++, n++)
      for (size_t j = 0; j < 3; j++) twice->column[j][n] = r->column[j][i];
  double *start = first_rows(r, 4);
  struct rfl_kmeans_options o = {.k = 4, .start = start};
  struct rfl_state *a = fitted(&o, r), *b = fitted(&o, twice);
  struct rfl_kmeans_result x = result_of(a), y = result_of(b);
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
  struct rows *r = clouds(5, 800, 3, 4, 2);
  struct rfl_kmeans_options o = {.k = 5, .starts = 2, .seed = 2};
  struct rfl_state *a = fitted(&o, r);
  for (int e = 0; e < 2; e++) {
    struct rows *far = clouds(5, 800, 3, 4, 2);
    for (size_t j = 0; j < 3; j++)
      for (size_t i = 0; i < r->n; i++)
        far->column[j][i] = ldexp(r->column[j][i], power[e]);
    struct rfl_state *b = fitted(&o, far);
    struct rfl_kmeans_result x = result_of(a), y = result_of(b);
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
  struct rows *r = clouds(5, 800, 3, 4, 2);
  for (size_t i = 0; i < r->n; i++) {
    r->column[1][i] *= 1e200;
    r->column[2][i] = 1e-7;
  }
  struct rfl_kmeans_options o = {.k = 4, .starts = 2, .seed = 2, .scale = true};
  struct rfl_state *s = fitted(&o, r);
  struct rfl_kmeans_result t = result_of(s);
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
  shape(r, 5, 1);
  const double at[] = {-1, 0, 1, -1, 1};
  for (size_t i = 0; i < 5; i++) r->column[0][i] = at[i];
  const double start[] = {1, -1};
  struct rfl_kmeans_options o = {.k = 2, .start = start, .max_iter = 1};
  struct rfl_state *s = fitted(&o, r);
  struct rfl_kmeans_result t = result_of(s);
  CHECK_NEAR(t.centre[0], 2.0 / 3, 1e-15); /* 1, 0, 1 */
  CHECK_NEAR(t.centre[1], -1, 0);
  rfl_kmeans.release(s);
  rows_free(r);
}

TEST(no_rows_and_no_weight_are_errors) {
  struct rows *r = clouds(5, 50, 2, 4, 2), *none = clouds(5, 0, 2, 4, 2);
  r->weight = calloc(50, sizeof(double));
  r->block.weight = r->weight;
  struct rfl_kmeans_options o = {.k = 2};
  struct rfl_state *s = NULL;
  CHECK_EQ(fit(&o, r, (struct how){0}, &s, &err), RFL_EDATA);
  CHECK_EQ(fit(&o, none, (struct how){0}, &s, &err), RFL_EDATA);
  const double bad[] = {1, 2, INFINITY, 3};
  o.start = bad;
  CHECK_EQ(fit(&o, r, (struct how){0}, &s, &err), RFL_EARGUMENT);
  o = (struct rfl_kmeans_options){.k = 0};
  CHECK_EQ(fit(&o, r, (struct how){0}, &s, &err), RFL_EARGUMENT);
  rows_free(r);
  rows_free(none);
}

/* A logical as R codes it: one column that is 1 at the second level. */
TEST(a_coded_column_is_a_coordinate) {
  struct rows *r = clouds(5, 400, 2, 3, 6), *number = clouds(5, 400, 2, 3, 6);
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
  CHECK_OK(fit(&o, r, (struct how){.cell = 400}, &a, &err), &err);
  CHECK_OK(fit(&o, number, (struct how){.cell = 400}, &b, &err), &err);
  struct rfl_kmeans_result x = result_of(a), y = result_of(b);
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
  struct rows *r = clouds(8, 500, 6, 5, 2);
  struct rfl_kmeans_options o = {.k = 5, .starts = 2, .seed = 2};
  struct rfl_state *s = fitted(&o, r);
  static double cluster[500], nearby[500], all[5 * 500];
  CHECK_OK(rfl_kmeans.score(s, &r->block, RFL_KMEANS_CLUSTER, cluster, &err), &err);
  CHECK_OK(rfl_kmeans.score(s, &r->block, RFL_KMEANS_NEAREST, nearby, &err), &err);
  CHECK_OK(rfl_kmeans.score(s, &r->block, RFL_KMEANS_DISTANCE, all, &err), &err);
  const double *dense[MOST_D];
  for (size_t i = 0; i < r->n; i++) {
    struct rfl_block one = slice(&r->block, i, 1, dense);
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
  shape(r, 4, 2);
  shape(far, 1, 2);
  const double x[] = {0, 1, 0, 1}, y[] = {0, 0, 1, 1};
  for (size_t i = 0; i < 4; i++) r->column[0][i] = x[i], r->column[1][i] = y[i];
  double *start = first_rows(r, 4);
  struct rfl_kmeans_options o = {.k = 4, .start = start};
  struct rfl_state *s = fitted(&o, r);
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
  shape(r, 2, 1);
  r->column[0][1] = 10;
  const double start[] = {0, 10};
  struct rfl_kmeans_options o = {.k = 2, .start = start};
  struct rfl_state *s = fitted(&o, r);
  rows_free(r);
  return s;
}

/* Centres 0 and 10 of weight 1, then the rows 1, 2, 9: c <- (d n c + S) / (d n + m), the
 * rule of Spark's StreamingKMeans. */
TEST(a_block_moves_centres_by_the_rule_with_forgetting) {
  struct rows *r = malloc(sizeof *r);
  shape(r, 3, 1);
  const double x[] = {1, 2, 9};
  memcpy(r->column[0], x, sizeof x);
  struct rfl_state *s = two_centres();
  CHECK_OK(learn(s, &r->block, 0.5), &err);
  struct rfl_kmeans_result t = result_of(s);
  CHECK_NEAR(t.centre[0], 1.2, 1e-15);
  CHECK_NEAR(t.centre[1], 28.0 / 3, 1e-14);
  CHECK_NEAR(t.weight[0], 2.5, 0);
  CHECK_NEAR(t.weight[1], 1.5, 0);
  CHECK_NEAR(t.size[0], 3, 0);
  CHECK_EQ(t.version, 1);
  rfl_kmeans.release(s);
  s = two_centres(); /* a half-life of two rows: each counts sqrt(1 / 2) of the next */
  CHECK_OK(learn(s, &r->block, pow(0.5, 1.5)), &err);
  t = result_of(s);
  CHECK_NEAR(t.centre[0], 1.274668343, 1e-9);
  CHECK_NEAR(t.centre[1], 9.261203875, 1e-9);
  CHECK_NEAR(t.weight[0], 2.353553391, 1e-9);
  rfl_kmeans.release(s);
  rows_free(r);
}

TEST(one_centre_that_never_forgets_is_the_mean_of_all) {
  struct rows *r = clouds(4, 700, 3, 3, 2);
  struct rfl_kmeans_options o = {.k = 1};
  const double *dense[MOST_D];
  struct rows head = *r;
  head.block.n = 100;
  struct rfl_state *s = fitted(&o, &head);
  for (size_t from = 100; from < 700; from += 50) {
    struct rfl_block b = slice(&r->block, from, 50, dense);
    CHECK_OK(learn(s, &b, 1), &err);
  }
  struct rfl_kmeans_result t = result_of(s);
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
  struct rows *r = clouds(4, 900, 3, 3, 2);
  struct rfl_kmeans_options o = {.k = 4, .starts = 2};
  const double *dense[MOST_D];
  struct rows head = *r;
  head.block.n = 300;
  struct rfl_state *a = fitted(&o, &head), *b = NULL;
  CHECK_OK(rfl_kmeans.copy(a, &b, &err), &err);
  for (size_t from = 300; from < 900; from += 60) {
    struct rfl_block rows = slice(&r->block, from, from == 360 ? 0 : 60, dense);
    bool again;
    CHECK_OK(learn(a, &rows, 0.9), &err);
    CHECK_OK(rfl_kmeans.absorb(b, &rows, &err), &err);
    travel(&b);
    CHECK_OK(rfl_kmeans.settle(b, &again, &err), &err);
    travel(&b);
    struct rfl_state *copy = NULL;
    CHECK_OK(rfl_kmeans.copy(b, &copy, &err), &err);
    rfl_kmeans.release(b);
    b = copy;
    CHECK_OK(rfl_kmeans.renew(b, 0.9, &err), &err);
    travel(&b);
    CHECK(same(a, b));
  }
  rfl_kmeans.release(a);
  rfl_kmeans.release(b);
  rows_free(r);
}

TEST(a_dying_cluster_takes_half_of_the_heaviest_and_is_counted) {
  struct rows *r = malloc(sizeof *r);
  shape(r, 40, 1);
  for (size_t i = 0; i < 40; i++) r->column[0][i] = i % 2 ? 0.5 : -0.5;
  struct rfl_state *s = two_centres();
  CHECK_OK(learn(s, &r->block, 1), &err);
  CHECK_EQ(result_of(s).reseeded, 0);
  for (int k = 0; k < 40; k++) CHECK_OK(learn(s, &r->block, 0.5), &err);
  struct rfl_kmeans_result t = result_of(s);
  CHECK_EQ(t.reseeded, 1);
  /* Both sides of what was one cluster. */
  CHECK_NEAR(fabs(t.centre[0]), 0.5, 0.01);
  CHECK_NEAR(t.centre[0] + t.centre[1], 0, 0.01);
  rfl_kmeans.release(s);
  rows_free(r);
}

TEST(a_part_of_a_finished_fit_fits_more_rows_from_its_centres) {
  struct rows *r = clouds(4, 900, 3, 4, 8);
  struct rfl_kmeans_options o = {.k = 4, .starts = 3};
  struct rfl_state *s = fitted(&o, r), *part = NULL;
  CHECK_OK(rfl_kmeans.part(s, &part, &err), &err);
  for (bool again = true; again && !harness_failed_;) {
    CHECK_OK(one_pass(&part, &r->block, (struct how){0}, &err), &err);
    CHECK_OK(rfl_kmeans.settle(part, &again, &err), &err);
  }
  struct rfl_kmeans_result x = result_of(s), y = result_of(part);
  for (int i = 0; i < 12; i++) CHECK_NEAR(x.centre[i], y.centre[i], 1e-12);
  rfl_kmeans.release(s);
  rfl_kmeans.release(part);
  rows_free(r);
}

/* ---- memory ---- */

static enum rfl_code whole_life(const struct rows *r, size_t plan) {
  struct rfl_state *s = NULL, *copy = NULL;
  struct rfl_kmeans_options o = plans[plan];
  struct rfl_kmeans_result t;
  o.memory = 1e6;
  struct rfl_buf out = {0};
  double scores[300];
  enum rfl_code code = fit(&o, r, (struct how){.parts = 2}, &s, &err);
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
    struct rows *r = clouds(4, 300, 2, 40, 8);
    SWEEP(whole_life(r, k));
    rows_free(r);
  }
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
