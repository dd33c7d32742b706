/* Helpers of the tests of naive Bayes: rows of every kind of feature, fits of them, and
 * what is compared. */
#ifndef RFL_TEST_BAYES_WORLD_H
#define RFL_TEST_BAYES_WORLD_H
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

static inline double draw(size_t row, uint64_t column) {
  return rfl_uniform(11, row, column);
}

static inline void fill_row(struct world *w, size_t i) {
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

static inline const struct rfl_block *rows(void) {
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
static inline struct rfl_block slice(const struct rfl_block *b, size_t from, size_t n,
                                     int slot) {
  static struct rfl_coded coded[2][FACTORS];
  static const double *dense[2][NUMBERS];
  for (size_t f = 0; f < b->n_coded; f++)
    coded[slot][f] = (struct rfl_coded){b->coded[f].code + from, b->coded[f].levels};
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
static inline struct rfl_layout layout_of(const int32_t *levels, size_t n_coded,
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

static inline struct rfl_layout world_layout(void) {
  return layout_of(factor_levels, FACTORS, NUMBERS);
}
static const struct rfl_bayes_options plain = {
    .n_classes = 3, .likelihood = kinds, .laplace = 1};

/* ---- fits ---- */

struct how {
  size_t rows, cut, parts; /* of a cell; pieces that the block comes in; parts in turn */
};

static inline enum rfl_code take(struct rfl_state *s, struct rfl_state *part,
                                 const struct rfl_block *cell) {
  RFL_TRY(rfl_bayes.part(s, &part, &err));
  RFL_TRY(rfl_bayes.absorb(part, cell, &err));
  return rfl_bayes.merge(s, part, &err);
}

static inline enum rfl_code drive(struct rfl_state *s, const struct rfl_block *b,
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

static inline struct rfl_state *fit(const struct rfl_bayes_options *o,
                                    const struct rfl_layout *l,
                                    const struct rfl_block *b) {
  struct rfl_state *s = NULL;
  bool again;
  CHECK_OK(rfl_bayes.open(&o->base, l, &s, &err), &err);
  CHECK_OK(rfl_bayes.absorb(s, b, &err), &err);
  CHECK_OK(rfl_bayes.settle(s, &again, &err), &err);
  return s;
}

static inline struct rfl_state *fit_world(const struct rfl_block *b) {
  struct rfl_layout l = world_layout();
  return fit(&plain, &l, b);
}

static inline struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf out = {0};
  rfl_bayes.write(s, &out);
  CHECK_OK(rfl_buf_check(&out, &err), &err);
  return out;
}

static inline void check_same_bytes(const struct rfl_state *a,
                                    const struct rfl_state *b) {
  struct rfl_buf x = bytes_of(a), y = bytes_of(b);
  CHECK(x.n == y.n && memcmp(x.p, y.p, x.n) == 0);
  rfl_buf_release(&x);
  rfl_buf_release(&y);
}

static double posterior[2][4 * ROWS];
static inline void score(const struct rfl_state *s, const struct rfl_block *b,
                         double *out) {
  CHECK_OK(rfl_bayes.score(s, b, RFL_BAYES_PROB, out, &err), &err);
}

static inline void check_near_posteriors(const struct rfl_state *a,
                                         const struct rfl_state *b,
                                         const struct rfl_block *rows_of, double tol) {
  score(a, rows_of, posterior[0]);
  score(b, rows_of, posterior[1]);
  double off = 0;
  for (size_t i = 0; i < 3 * rows_of->n; i++)
    off = fmax(off, fabs(posterior[0][i] - posterior[1][i]));
  CHECK_NEAR(off, 0, tol);
}

#endif
