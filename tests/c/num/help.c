#include "help.h"

#include <stdlib.h>

#include "base/random.h"

static int32_t treat2[] = {-1, 0}, full3[] = {0, 1, 2};
static double sum3[] = {1, 0, -1, 0, 1, -1};
static struct rfl_coding by_f[] = {{3, 2, NULL, sum3, NULL}};
static struct rfl_coding by_g[] = {{2, 1, treat2, NULL, NULL}};
static struct rfl_coding by_both[] = {{3, 2, NULL, sum3, NULL},
                                      {2, 1, treat2, NULL, NULL}};
static struct rfl_coding by_full[] = {{3, 3, full3, NULL, NULL}};
static int32_t levels[] = {3, 2, 6};

static void add(struct rfl_layout *l, int32_t coded, int32_t dense, size_t n,
                struct rfl_coding *coding) {
  struct rfl_term *t = &l->term[l->n_terms];
  *t = (struct rfl_term){.coded = coded,
                         .dense = dense,
                         .assign = (int32_t)l->n_terms,
                         .n_codings = n,
                         .coding = coding,
                         .z = l->n_z,
                         .x = l->n_x,
                         .n_z = 1,
                         .n_x = 1};
  for (size_t k = 0; k < n; k++) {
    t->n_z *= coding[k].levels;
    t->n_x *= coding[k].columns;
  }
  l->n_terms++;
  l->n_z += t->n_z;
  l->n_x += t->n_x;
}

struct rfl_layout every_layout(size_t numbers) {
  struct rfl_layout l = {
      .n_dense = numbers, .n_coded = 3, .levels = levels, .intercept = true};
  l.term = calloc(numbers + 8, sizeof *l.term);
  add(&l, -1, -1, 0, NULL);
  for (size_t k = 0; k < numbers; k++) add(&l, -1, (int32_t)k, 0, NULL);
  add(&l, 0, -1, 1, by_f);
  add(&l, 1, -1, 1, by_g);
  add(&l, 2, -1, 2, by_both);
  if (numbers) add(&l, 0, 0, 1, by_full);
  return l;
}

void every_layout_free(struct rfl_layout *l) { free(l->term); }

void rows_fill(struct rows *r, size_t n, size_t numbers) {
  *r = (struct rows){.block = {.n = n, .n_dense = numbers, .n_coded = 3}};
  for (size_t k = 0; k < numbers; k++) {
    r->dense[k] = calloc(MANY, sizeof(double));
    r->dense_view[k] = r->dense[k];
    for (size_t i = 0; i < n; i++) r->dense[k][i] = rfl_normal(1, i, k);
  }
  for (size_t i = 0; i < n; i++) {
    r->code[0][i] = (int32_t)(3 * rfl_uniform(2, i, 0));
    r->code[1][i] = (int32_t)(2 * rfl_uniform(2, i, 1));
    r->code[2][i] = r->code[0][i] + 3 * r->code[1][i];
    r->y[i] = rfl_normal(3, i, 0);
    r->weight[i] = rfl_uniform(3, i, 1);
    r->offset[i] = rfl_normal(3, i, 2);
    r->key[i] = rfl_random(4, i, 0);
  }
  for (int k = 0; k < 3; k++) r->coded[k] = (struct rfl_coded){r->code[k], levels[k]};
  r->block.dense = r->dense_view;
  r->block.coded = r->coded;
  r->block.y = r->y;
  r->block.weight = r->weight;
  r->block.offset = r->offset;
}

void rows_free(struct rows *r) {
  for (int k = 0; k < 20; k++) free(r->dense[k]);
}
