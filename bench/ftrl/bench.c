/* FTRL on rows of 20 hashed features, from columns of slots, on one core.
 *
 *     bench-ftrl ROWS [FILE]
 *
 * Feature f has about 10^(1 + f / 4) values, drawn so that the logarithm of the value's
 * rank is uniform (few frequent, many rare). FILE gets the same rows in Vowpal Wabbit's
 * text format. A line for each table: slots, bytes a number, million rows a second
 * (median and best of 5), progressive log loss, million rows scored a second. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "learn/ftrl.h"

enum { FEATURES = 20, RUNS = 5 };

struct rows {
  size_t n;
  uint32_t *value[FEATURES];
  int32_t *slot[FEATURES];
  double *y, *p;
};

static double weight(uint32_t f, uint32_t value) {
  return 0.5 * (rfl_uniform(4, f, value & 1023) - 0.5);
}

static void fail(const char *why) {
  fprintf(stderr, "bench-ftrl: %s\n", why);
  exit(1);
}

static void *need(size_t n, size_t size) {
  void *p = calloc(n, size);
  if (!p) fail("no memory");
  return p;
}

static void draw(struct rows *r) {
  r->y = need(r->n, sizeof *r->y);
  r->p = need(r->n, sizeof *r->p);
  for (uint32_t f = 0; f < FEATURES; f++) {
    r->value[f] = need(r->n, sizeof *r->value[f]);
    r->slot[f] = need(r->n, sizeof *r->slot[f]);
    double values = pow(10, 1 + 5.0 * f / FEATURES);
    for (size_t i = 0; i < r->n; i++) {
      double rank = pow(values + 1, rfl_uniform(2, i, f));
      r->value[f][i] = (uint32_t)rank - 1;
      r->p[i] += weight(f, r->value[f][i]);
    }
  }
  for (size_t i = 0; i < r->n; i++)
    r->y[i] = rfl_uniform(3, i, 0) < 1 / (1 + exp(2 - r->p[i]));
}

static void write_text(const struct rows *r, const char *path) {
  FILE *out = fopen(path, "w");
  if (!out) fail("the file cannot be written");
  for (size_t i = 0; i < r->n; i++) {
    fprintf(out, "%d |", r->y[i] > 0 ? 1 : -1);
    for (int f = 0; f < FEATURES; f++) fprintf(out, " %c%u", 'a' + f, r->value[f][i]);
    fputc('\n', out);
  }
  if (fclose(out)) fail("the file cannot be written");
}

static void hash(const struct rows *r, int32_t slots) {
  for (uint32_t f = 0; f < FEATURES; f++)
    for (size_t i = 0; i < r->n; i++)
      r->slot[f][i] = (int32_t)(rfl_hash_i64(f, r->value[f][i]) % (uint64_t)slots);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double seconds_since(int64_t start) {
  return 1e-9 * (double)(rfl_now_ns() - start);
}

static void run(const struct rows *r, int32_t slots, bool wide) {
  struct rfl_term term[FEATURES + 1] = {{.coded = -1, .dense = -1, .n_z = 1, .n_x = 1}};
  struct rfl_coded coded[FEATURES];
  int32_t levels[FEATURES];
  for (int32_t f = 0; f < FEATURES; f++) {
    term[f + 1] = (struct rfl_term){.coded = f,
                                    .dense = -1,
                                    .assign = f + 1,
                                    .z = 1,
                                    .n_z = slots,
                                    .x = 1,
                                    .n_x = slots};
    levels[f] = slots;
    coded[f] = (struct rfl_coded){r->slot[f], slots};
  }
  struct rfl_layout layout = {.n_coded = FEATURES,
                              .levels = levels,
                              .slots = slots,
                              .n_terms = FEATURES + 1,
                              .term = term,
                              .n_z = slots + 1,
                              .n_x = slots + 1,
                              .intercept = true};
  struct rfl_ftrl_options o = {.family = RFL_FTRL_BINOMIAL,
                               .rate = 0.1,
                               .offset = 1,
                               .bias_rate = 0.1,
                               .l1 = 1,
                               .l2 = 1,
                               .keep_negatives = 1,
                               .admit_share = 1,
                               .admit_count = 1,
                               .passes = 1,
                               .wide = wide,
                               .half_life = INFINITY,
                               .clip = 10,
                               .settle_scale = 1000};
  struct rfl_block block = {.n = r->n, .n_coded = FEATURES, .coded = coded, .y = r->y};
  struct rfl_ftrl_result result = {0};
  double learnt[RUNS], scored[RUNS];
  for (int k = 0; k < RUNS; k++) {
    struct rfl_state *s = NULL;
    struct rfl_err err;
    if (rfl_ftrl.open(&o.base, &layout, &s, &err)) fail(err.message);
    int64_t start = rfl_now_ns();
    if (rfl_ftrl.absorb(s, &block, &err)) fail(err.message);
    learnt[k] = seconds_since(start);
    start = rfl_now_ns();
    if (rfl_ftrl.score(s, &block, RFL_FTRL_RESPONSE, r->p, &err)) fail(err.message);
    scored[k] = seconds_since(start);
    rfl_ftrl_result(s, &result);
    rfl_ftrl.release(s);
  }
  qsort(learnt, RUNS, sizeof *learnt, by_size);
  qsort(scored, RUNS, sizeof *scored, by_size);
  double n = 1e-6 * (double)r->n;
  printf("%d %d %.3f %.3f %.6f %.3f\n", (int)slots, wide ? 8 : 4, n / learnt[RUNS / 2],
         n / learnt[0], result.loss, n / scored[RUNS / 2]);
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) fail("bench-ftrl ROWS [FILE]");
  struct rows r = {.n = strtoul(argv[1], NULL, 10)};
  if (!r.n) fail("ROWS must be a number above 0");
  draw(&r);
  if (argc == 3) write_text(&r, argv[2]);
  hash(&r, 1 << 22);
  run(&r, 1 << 22, false);
  run(&r, 1 << 22, true);
  hash(&r, 1 << 18);
  run(&r, 1 << 18, false);
  for (int f = 0; f < FEATURES; f++) {
    free(r.value[f]);
    free(r.slot[f]);
  }
  free(r.y);
  free(r.p);
  return 0;
}
