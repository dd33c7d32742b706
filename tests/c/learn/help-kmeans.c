#include "help-kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../harness.h"
#include "base/random.h"

static struct rfl_err err;

const struct rfl_kmeans_options km_plans[N_PLANS] = {
    {.k = 6, .starts = 3, .seed = 1},
    {.k = 9, .starts = 2, .seed = 2, .parallel = true},
    {.k = 4, .starts = 2, .seed = 3, .scale = true},
    {.k = 7, .starts = 4, .seed = 4, .sample = 700},
    {.k = 5, .starts = 2, .seed = 5, .sample = 600, .parallel = true, .max_iter = 3}};

/* ---- rows ---- */

void rows_shape(struct rows *r, size_t n, size_t d) {
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
struct rows *rows_clouds(uint64_t seed, size_t n, size_t d, size_t groups, double apart) {
  struct rows *r = malloc(sizeof *r);
  rows_shape(r, n, d);
  for (size_t i = 0; i < n; i++) {
    uint64_t g = rfl_random(seed, i, 0) % groups;
    for (size_t j = 0; j < d; j++)
      r->column[j][i] = apart * rfl_normal(seed + 1, g, j) + rfl_normal(seed + 2, i, j);
  }
  return r;
}

void rows_weigh(struct rows *r, uint64_t seed) {
  r->weight = calloc(r->n + 1, sizeof(double));
  for (size_t i = 0; i < r->n; i++) r->weight[i] = floor(4 * rfl_uniform(seed, i, 9)) / 2;
  r->block.weight = r->weight;
}

void rows_free(struct rows *r) {
  for (size_t j = 0; j < r->d; j++) free(r->column[j]);
  free(r->weight);
  free(r);
}

struct rfl_block rows_slice(const struct rfl_block *b, size_t from, size_t n,
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

struct rfl_buf km_bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_kmeans.write(s, &out);
  CHECK_OK(rfl_buf_check(&out, &err), &err);
  return out;
}

bool km_same(const struct rfl_state *a, const struct rfl_state *b) {
  if (!a || !b) return false;
  struct rfl_buf x = km_bytes_of(a), y = km_bytes_of(b);
  bool equal = x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
  rfl_buf_release(&x);
  rfl_buf_release(&y);
  return equal;
}

void km_travel(struct rfl_state **s) {
  struct rfl_buf out = km_bytes_of(*s);
  struct rfl_state *back = NULL;
  CHECK_OK(rfl_kmeans.read((struct rfl_bytes){out.p, out.n}, &back, &err), &err);
  CHECK(km_same(*s, back));
  rfl_buf_release(&out);
  if (!back) return;
  rfl_kmeans.release(*s);
  *s = back;
}

enum rfl_code km_pass(struct rfl_state **s, const struct rfl_block *b, struct how how,
                      struct rfl_err *e) {
  size_t cell = how.cell ? how.cell : 256;
  struct rfl_state *part[4] = {0};
  enum rfl_code code = RFL_OK;
  const double *dense[MOST_D];
  for (size_t from = 0, k = 0; !code && from < b->n; from += cell, k++) {
    size_t n = b->n - from < cell ? b->n - from : cell;
    struct rfl_block rows = rows_slice(b, from, n, dense);
    if (!how.parts) {
      code = rfl_kmeans.absorb(*s, &rows, e);
      continue;
    }
    struct rfl_state **p = &part[k % how.parts];
    code = rfl_kmeans.part(*s, p, e);
    if (!code) code = rfl_kmeans.absorb(*p, &rows, e);
    if (!code && how.bytes) km_travel(p);
    if (!code) code = rfl_kmeans.merge(*s, *p, e);
  }
  for (int k = 0; k < 4; k++) rfl_kmeans.release(part[k]);
  return code;
}

enum rfl_code km_fit(const struct rfl_kmeans_options *o, const struct rows *r,
                     struct how how, struct rfl_state **gives, struct rfl_err *e) {
  struct rfl_state *s = NULL;
  RFL_TRY(rfl_kmeans.open(&o->base, &r->layout, &s, e));
  enum rfl_code code = RFL_OK;
  int passes = 0;
  for (bool again = true; !code && again && passes < 3000; passes++) {
    code = km_pass(&s, &r->block, how, e);
    if (!code && how.bytes) km_travel(&s);
    if (!code) code = rfl_kmeans.settle(s, &again, e);
    if (!code && how.bytes) km_travel(&s);
  }
  CHECK(passes < 3000);
  if (code)
    rfl_kmeans.release(s);
  else
    *gives = s;
  return code;
}

struct rfl_state *km_fitted(const struct rfl_kmeans_options *o, const struct rows *r) {
  struct rfl_state *s = NULL;
  CHECK_OK(km_fit(o, r, (struct how){0}, &s, &err), &err);
  return s;
}

struct rfl_kmeans_result km_result_of(const struct rfl_state *s) {
  struct rfl_kmeans_result r = {0};
  CHECK_OK(rfl_kmeans_result(s, &r, &err), &err);
  return r;
}

enum rfl_code km_learn(struct rfl_state *s, const struct rfl_block *b, double keep) {
  bool again = true;
  RFL_TRY(rfl_kmeans.absorb(s, b, &err));
  RFL_TRY(rfl_kmeans.settle(s, &again, &err));
  CHECK(!again);
  return rfl_kmeans.renew(s, keep, &err);
}

double *rows_first(const struct rows *r, size_t k) {
  double *start = calloc(k * r->d, sizeof *start);
  for (size_t c = 0; c < k; c++)
    for (size_t j = 0; j < r->d; j++) start[c + j * k] = r->column[j][c];
  return start;
}
