/* What the tests of FTRL share: random rows, options, and verbs that check themselves. */
#ifndef RFL_TEST_FTRL_WORLD_H
#define RFL_TEST_FTRL_WORLD_H
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

static inline void add_term(struct world *w, int32_t coded, int32_t dense,
                            int32_t slots) {
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

static inline double respond(enum rfl_ftrl_family family, double eta, uint64_t i) {
  double u = rfl_uniform(11, i, 0);
  if (family == RFL_FTRL_GAUSSIAN) return 50 + 4 * (eta + rfl_normal(12, i, 0));
  if (family == RFL_FTRL_BINOMIAL) return u < 1 / (1 + exp(-eta));
  double p = exp(-exp(eta)), below = p, y = 0;
  for (; u > below && y < 100; below += p) p *= exp(eta) / ++y;
  return y;
}

/* open: the factors are open sets of values, not slots. */
static inline struct world *world(enum rfl_ftrl_family family, bool open) {
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

static inline struct rfl_ftrl_options plain_options(enum rfl_ftrl_family family) {
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
static inline struct rfl_block slice(const struct rfl_block *b, size_t from, size_t n) {
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

static inline struct rfl_state *open_state(const struct rfl_ftrl_options *o,
                                           const struct world *w) {
  struct rfl_err err = {0};
  struct rfl_state *s = NULL;
  CHECK_OK(rfl_ftrl.open(&o->base, &w->layout, &s, &err), &err);
  return s;
}

static inline void absorb(struct rfl_state *s, const struct rfl_block *b, size_t from,
                          size_t n, size_t cut) {
  struct rfl_err err = {0};
  for (size_t end = from + n; from < end; from += cut) {
    struct rfl_block piece = slice(b, from, cut < end - from ? cut : end - from);
    CHECK_OK(rfl_ftrl.absorb(s, &piece, &err), &err);
  }
}

static inline struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_ftrl.write(s, &out);
  CHECK(!out.failed);
  return out;
}

static inline bool same_bytes(const struct rfl_state *a, const struct rfl_state *b) {
  struct rfl_buf x = bytes_of(a), y = bytes_of(b);
  bool same = x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
  rfl_buf_release(&x);
  rfl_buf_release(&y);
  return same;
}

static inline struct rfl_state *read_back(const struct rfl_state *s) {
  struct rfl_err err = {0};
  struct rfl_state *back = NULL;
  struct rfl_buf bytes = bytes_of(s);
  CHECK_OK(rfl_ftrl.read((struct rfl_bytes){bytes.p, bytes.n}, &back, &err), &err);
  rfl_buf_release(&bytes);
  return back;
}

static inline struct rfl_ftrl_result result_of(const struct rfl_state *s) {
  struct rfl_ftrl_result r;
  rfl_ftrl_result(s, &r);
  return r;
}

static inline void score(const struct rfl_state *s, const struct rfl_block *b, int what,
                         double *out) {
  struct rfl_err err = {0};
  CHECK_OK(rfl_ftrl.score(s, b, what, out, &err), &err);
}

/* Everything at once, so that every part of the state is in play. */
static inline struct rfl_ftrl_options rich_options(enum rfl_ftrl_family family,
                                                   bool wide) {
  struct rfl_ftrl_options o = plain_options(family);
  o.keep_negatives = 0.4;
  o.admit_count = 3;
  o.half_life = 400;
  o.clip = 3;
  o.wide = wide;
  return o;
}

static inline struct world *rich_world(enum rfl_ftrl_family family, bool open) {
  struct world *w = world(family, open);
  w->block.weight = w->weight;
  w->block.offset = w->offset;
  w->block.key = w->key;
  return w;
}

#endif
