/* New levels: a model that is widened when they come is the model in which they were
 * declared from the beginning, and what it knew stays as it was. */
#include "base/random.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

enum { MOST = 128 };
static const size_t anchor = 3000, all_rows = 6000;

struct pair {              /* the same rows with all levels declared, and with those of */
  struct world *all, *few; /* the first rows only */
  int32_t to[MOST];
};

static void pair_free(struct pair *p) {
  world_free(p->all);
  world_free(p->few);
}

/* Codes of the crossed factors, which come last, by those of the first two. */
static void cross_again(struct world *w, const struct world_plan *p) {
  for (size_t i = 0; p->cross && i < p->n; i++)
    w->code[2][i] = w->code[0][i] + p->factor[0] * w->code[1][i];
}

/* Where the cells of `few` are in `all`, term by term, the first factor fastest. */
static void map_to(struct pair *p) {
  for (size_t t = 0; t < p->few->layout.n_terms; t++) {
    const struct rfl_term *a = &p->few->layout.term[t], *b = &p->all->layout.term[t];
    for (int32_t k = 0; k < a->n_z; k++) {
      int32_t rest = k, stride = 1, at = b->z;
      for (size_t f = 0; f < a->n_codings; f++) {
        at += rest % a->coding[f].levels * stride;
        rest /= a->coding[f].levels;
        stride *= b->coding[f].levels;
      }
      p->to[a->z + k] = at;
    }
  }
}

/* Two factors, of which the first rows have `a` and `b` levels only. */
static struct pair pair_new(struct world_plan plan, int32_t a, int32_t b) {
  struct world_plan thin = plan;
  const int32_t levels[] = {a, b};
  thin.factor[0] = a;
  thin.factor[1] = b;
  struct pair p = {.all = world_new(&plan), .few = world_new(&thin)};
  for (size_t i = 0; i < plan.n; i++) {
    p.few->y[i] = p.all->y[i];
    for (size_t f = 0; f < 2; f++) {
      if (i < anchor + 1000) p.all->code[f][i] %= levels[f];
      p.few->code[f][i] = p.all->code[f][i] % levels[f];
    }
  }
  cross_again(p.all, &plan);
  cross_again(p.few, &thin);
  map_to(&p);
  return p;
}

static struct world_plan plan_of(enum rfl_family family, bool cross) {
  return (struct world_plan){.seed = 11,
                             .family = family,
                             .n = all_rows,
                             .numbers = 2,
                             .factor = {4, 3},
                             .cross = cross,
                             .weights = true,
                             .offset = true};
}

/* The fit to the first rows, with `blocks` blocks learnt behind it. */
static struct rfl_state *begun(const struct world *w, const struct rfl_glm_options *o,
                               size_t blocks, double keep) {
  struct rfl_state *s = NULL;
  struct rfl_block first = slice_of(&w->block, 0, anchor, 0);
  CHECK_OK(fit(o, &w->layout, &first, (struct how){0}, &s, &err), &err);
  if (blocks) CHECK_OK(rfl_glm.renew(s, keep, &err), &err);
  for (size_t k = 0; k < blocks; k++) {
    struct rfl_block b = slice_of(&w->block, anchor + 500 * k, 500, 0);
    CHECK_OK(learn(s, &b, keep, &err), &err);
  }
  return s;
}

static void go_on(struct rfl_state *s, const struct world *w, size_t from, double keep) {
  CHECK_OK(rfl_glm.renew(s, keep, &err), &err);
  for (size_t at = from; at < w->block.n; at += 500) {
    struct rfl_block b = slice_of(&w->block, at, 500, 0);
    CHECK_OK(learn(s, &b, keep, &err), &err);
  }
}

static struct rfl_state *widened(const struct pair *p, const struct rfl_state *s) {
  struct rfl_state *wide = NULL;
  CHECK_OK(rfl_glm.widen(s, &p->all->layout, p->to, &wide, &err), &err);
  return wide;
}

static struct rfl_buf bytes_of(const struct rfl_state *s) {
  struct rfl_buf b = {0};
  rfl_glm.write(s, &b);
  CHECK_OK(rfl_buf_check(&b, &err), &err);
  return b;
}

static bool same_bytes(const struct rfl_state *a, const struct rfl_state *b) {
  struct rfl_buf x = bytes_of(a), y = bytes_of(b);
  bool same = x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
  rfl_buf_release(&x);
  rfl_buf_release(&y);
  return same;
}

/* ---- nothing new ---- */

TEST(widening_by_nothing_changes_no_byte) {
  const struct rfl_glm_options options[] = {{.family = RFL_BINOMIAL},
                                            {.family = RFL_BINOMIAL, .firth = true},
                                            {.family = RFL_POISSON, .l2 = 0.01},
                                            {.family = RFL_GAUSSIAN, .robust = true}};
  for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
    struct world_plan plan = plan_of(options[k].family, true);
    plan.dense_contrasts = k % 2;
    struct world *w = world_new(&plan);
    for (size_t blocks = 0; blocks < 3; blocks++) {
      struct rfl_state *s = begun(w, &options[k], blocks, 0.9), *wide = NULL;
      CHECK_OK(rfl_glm.widen(s, &w->layout, NULL, &wide, &err), &err);
      CHECK(same_bytes(s, wide));
      rfl_glm.release(s);
      rfl_glm.release(wide);
    }
    world_free(w);
  }
}

/* ---- as if declared ---- */

/* The declared model solves with the same numbers among zeros: 1e-8 standard errors is
 * what rounding could do, ten million times over. */
static void check_same(const struct rfl_state *a, const struct rfl_state *b) {
  struct rfl_glm_result x, y;
  CHECK_OK(rfl_glm_result(a, &x, &err), &err);
  CHECK_OK(rfl_glm_result(b, &y, &err), &err);
  CHECK_EQ(x.n_x, y.n_x);
  CHECK_EQ(x.rank, y.rank);
  CHECK_EQ(x.version, y.version);
  CHECK_EQ(x.identified, y.identified);
  CHECK_EQ(x.n, y.n);
  CHECK_NEAR(x.deviance, y.deviance, 1e-10 * y.deviance);
  CHECK_NEAR(x.null_deviance, y.null_deviance, 1e-10 * y.null_deviance);
  for (int32_t j = 0; j < x.n_x; j++) {
    double se = sqrt(y.vcov[j + j * x.n_x]);
    CHECK(isnan(x.coef[j]) == isnan(y.coef[j]));
    if (isnan(x.coef[j])) continue;
    CHECK_NEAR(x.coef[j], y.coef[j], 1e-8 * se);
    CHECK_NEAR(sqrt(x.vcov[j + j * x.n_x]), se, 1e-8 * se);
  }
}

struct stream {
  struct rfl_glm_options o;
  bool cross;
  size_t blocks; /* learnt before the new levels are known; they come after two */
  double keep;
};

static void check_stream(struct stream how) {
  struct pair p = pair_new(plan_of(how.o.family, how.cross), 3, 2);
  struct rfl_state *declared = begun(p.all, &how.o, how.blocks, how.keep);
  struct rfl_state *s = begun(p.few, &how.o, how.blocks, how.keep);
  struct rfl_state *wide = widened(&p, s);
  /* Later the declared model counts its weak priors as rank. */
  if (!how.blocks) check_same(wide, declared);
  size_t from = anchor + 500 * how.blocks;
  go_on(wide, p.all, from, how.keep);
  go_on(declared, p.all, from, how.keep);
  check_same(wide, declared);
  struct rfl_glm_result r;
  CHECK_OK(rfl_glm_result(wide, &r, &err), &err);
  for (int32_t j = 0; j < r.n_x; j++)
    CHECK(!isnan(r.coef[j]) && r.vcov[j + j * r.n_x] > 0);
  struct rfl_state *all[] = {declared, s, wide};
  for (size_t k = 0; k < 3; k++) rfl_glm.release(all[k]);
  pair_free(&p);
}

TEST(a_level_that_comes_later_is_learnt_as_if_it_had_been_declared) {
  const enum rfl_family families[] = {RFL_BINOMIAL, RFL_POISSON, RFL_GAUSSIAN};
  for (size_t k = 0; k < 3; k++)
    for (int cross = 0; cross < 2; cross++)
      for (size_t blocks = 0; blocks < 3; blocks++)
        check_stream((struct stream){{.family = families[k]}, cross, blocks, 1});
}

TEST(so_it_is_with_forgetting_penalties_and_firth) {
  check_stream((struct stream){{.family = RFL_BINOMIAL}, true, 0, 0.9});
  check_stream((struct stream){{.family = RFL_GAUSSIAN}, true, 2, 0.9});
  check_stream((struct stream){{.family = RFL_BINOMIAL, .firth = true}, true, 0, 1});
  check_stream((struct stream){{.family = RFL_POISSON, .l2 = 0.01}, true, 0, 1});
  check_stream((struct stream){{.family = RFL_BINOMIAL, .robust = true}, false, 0, 1});
}

/* ---- what was known ---- */

TEST(what_was_known_stays_to_the_bit) {
  for (size_t blocks = 0; blocks < 3; blocks++) {
    struct pair p = pair_new(plan_of(RFL_BINOMIAL, true), 3, 2);
    struct rfl_glm_options o = {.family = RFL_BINOMIAL};
    struct rfl_state *s = begun(p.few, &o, blocks, 0.9), *wide = widened(&p, s);
    double *before = calloc(4 * anchor, sizeof *before), *after = before + 2 * anchor;
    struct rfl_block few = slice_of(&p.few->block, 0, anchor, 0);
    struct rfl_block all = slice_of(&p.all->block, 0, anchor, 1);
    CHECK_OK(rfl_glm.score(s, &few, RFL_GLM_LINK_SE, before, &err), &err);
    CHECK_OK(rfl_glm.score(wide, &all, RFL_GLM_LINK_SE, after, &err), &err);
    CHECK(memcmp(before, after, anchor * sizeof *before) == 0);
    /* Standard errors are summed over zeros too, in vectors: another order. */
    for (size_t i = anchor; i < 2 * anchor; i++)
      CHECK_NEAR(after[i], before[i], 1e-13 * before[i]);
    struct rfl_glm_result a, b;
    CHECK_OK(rfl_glm_result(s, &a, &err), &err);
    CHECK_OK(rfl_glm_result(wide, &b, &err), &err);
    CHECK(a.deviance == b.deviance && a.aic == b.aic && a.rank == b.rank);
    int32_t old = 0;
    for (int32_t j = 0; j < b.n_x; j++)
      if (!isnan(b.coef[j])) CHECK(b.coef[j] == a.coef[old++]);
    CHECK_EQ(old, a.n_x);
    CHECK(b.n_x > a.n_x);
    free(before);
    rfl_glm.release(s);
    rfl_glm.release(wide);
    pair_free(&p);
  }
}

TEST(counts_of_levels_move_with_them) {
  struct pair p = pair_new(plan_of(RFL_BINOMIAL, true), 3, 2);
  struct rfl_glm_options o = {.family = RFL_BINOMIAL};
  struct rfl_state *s = begun(p.few, &o, 1, 1), *wide = widened(&p, s);
  double few[2][MOST], all[2][MOST], seen = 0, sum = 0;
  CHECK_OK(rfl_glm_level_counts(s, few[0], few[1], &err), &err);
  CHECK_OK(rfl_glm_level_counts(wide, all[0], all[1], &err), &err);
  for (int32_t z = 0; z < p.few->layout.n_z; z++) {
    CHECK(isnan(few[0][z]) ? isnan(all[0][p.to[z]]) : few[0][z] == all[0][p.to[z]]);
    CHECK(isnan(few[1][z]) ? isnan(all[1][p.to[z]]) : few[1][z] == all[1][p.to[z]]);
    seen += isnan(few[0][z]) ? 0 : few[0][z];
  }
  for (int32_t z = 0; z < p.all->layout.n_z; z++) sum += isnan(all[0][z]) ? 0 : all[0][z];
  CHECK(sum == seen && sum > 0);
  rfl_glm.release(s);
  rfl_glm.release(wide);
  pair_free(&p);
}

TEST(a_widened_model_is_saved_and_read_and_learns_on_the_same) {
  for (size_t blocks = 0; blocks < 2; blocks++) {
    struct pair p = pair_new(plan_of(RFL_POISSON, true), 3, 2);
    struct rfl_glm_options o = {.family = RFL_POISSON};
    struct rfl_state *s = begun(p.few, &o, blocks, 1), *wide = widened(&p, s);
    struct rfl_state *back = NULL;
    struct rfl_buf b = bytes_of(wide);
    CHECK_OK(rfl_glm.read((struct rfl_bytes){b.p, b.n}, &back, &err), &err);
    CHECK(same_bytes(wide, back));
    go_on(wide, p.all, anchor + 500 * blocks, 1);
    go_on(back, p.all, anchor + 500 * blocks, 1);
    CHECK(same_bytes(wide, back));
    rfl_buf_release(&b);
    struct rfl_state *all[] = {s, wide, back};
    for (size_t k = 0; k < 3; k++) rfl_glm.release(all[k]);
    pair_free(&p);
  }
}

/* ---- what is refused, and what is not ---- */

static void check_refused(const struct pair *p, const struct rfl_state *s,
                          enum rfl_code code, const char *word) {
  struct rfl_state *wide = NULL;
  CHECK_EQ(rfl_glm.widen(s, &p->all->layout, p->to, &wide, &err), code);
  CHECK(!wide && strstr(err.message, word));
}

TEST(contrasts_that_would_change_are_refused_others_beside_them_are_not) {
  struct world_plan plan = plan_of(RFL_GAUSSIAN, true);
  plan.dense_contrasts = true;
  struct rfl_glm_options o = {.family = RFL_GAUSSIAN};
  struct pair p = pair_new(plan, 3, 3);
  struct rfl_state *s = begun(p.few, &o, 0, 1);
  check_refused(&p, s, RFL_EMODEL, "contrasts");
  rfl_glm.release(s);
  pair_free(&p);
  /* The second factor alone is wider; its own term gets picked contrasts, its product
   * with the first keeps that one's sums to zero. */
  p = pair_new(plan, 4, 2);
  struct world *both[] = {p.all, p.few};
  for (size_t k = 0; k < 2; k++) {
    struct rfl_coding *c = &both[k]->layout.term[4].coding[0];
    free(c->matrix);
    c->matrix = NULL;
    c->select = calloc((size_t)c->levels, sizeof *c->select);
    for (int32_t l = 0; l < c->levels; l++) c->select[l] = l - 1;
  }
  s = begun(p.few, &o, 0, 1);
  struct rfl_state *wide = widened(&p, s), *declared = begun(p.all, &o, 0, 1);
  go_on(wide, p.all, anchor, 1);
  go_on(declared, p.all, anchor, 1);
  check_same(wide, declared);
  struct rfl_state *all[] = {s, wide, declared};
  for (size_t k = 0; k < 3; k++) rfl_glm.release(all[k]);
  pair_free(&p);
}

TEST(a_fit_in_the_middle_and_a_lasso_take_no_levels) {
  struct pair p = pair_new(plan_of(RFL_BINOMIAL, false), 3, 2);
  struct rfl_glm_options o = {.family = RFL_BINOMIAL};
  struct rfl_block b = slice_of(&p.few->block, 0, anchor, 0);
  struct rfl_state *s = NULL;
  bool again;
  CHECK_OK(rfl_glm.open(&o.base, &p.few->layout, &s, &err), &err);
  check_refused(&p, s, RFL_EBUSY, "finished");
  CHECK_OK(rfl_glm.absorb(s, &b, &err), &err);
  CHECK_OK(rfl_glm.settle(s, &again, &err), &err);
  check_refused(&p, s, RFL_EBUSY, "finished");
  rfl_glm.release(s);
  s = begun(p.few, &o, 1, 1);
  b = slice_of(&p.few->block, anchor, 500, 0);
  CHECK_OK(rfl_glm.absorb(s, &b, &err), &err);
  check_refused(&p, s, RFL_EBUSY, "finished");
  rfl_glm.release(s);
  o.l1 = 0.01;
  s = begun(p.few, &o, 0, 1);
  check_refused(&p, s, RFL_EMODEL, "l1");
  rfl_glm.release(s);
  pair_free(&p);
}

TEST(a_layout_that_does_not_hold_the_old_one_is_refused) {
  struct pair p = pair_new(plan_of(RFL_BINOMIAL, true), 3, 2), wrong = p;
  struct rfl_glm_options o = {.family = RFL_BINOMIAL};
  struct rfl_state *s = begun(p.few, &o, 0, 1);
  int32_t z = p.few->layout.term[3].z;
  const int32_t places[] = {p.to[z], p.to[z + 1] + 9, -1, INT32_MAX, 0};
  for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
    wrong.to[z + 1] = places[k];
    check_refused(&wrong, s, RFL_EARGUMENT, "hold");
  }
  wrong.to[z + 1] = p.to[z + 1];
  p.all->layout.term[1].dense = 1;
  p.all->layout.term[2].dense = 0;
  check_refused(&wrong, s, RFL_EARGUMENT, "hold");
  rfl_glm.release(s);
  pair_free(&p);
}

static enum rfl_code widen_once(const struct pair *p, const struct rfl_state *s) {
  struct rfl_state *wide = NULL;
  enum rfl_code code = rfl_glm.widen(s, &p->all->layout, p->to, &wide, &err);
  rfl_glm.release(wide);
  return code;
}

TEST(every_allocation_of_widening_may_fail) {
  for (size_t blocks = 0; blocks < 2; blocks++) {
    struct pair p = pair_new(plan_of(RFL_BINOMIAL, true), 3, 2);
    struct rfl_glm_options o = {.family = RFL_BINOMIAL, .robust = true};
    struct rfl_state *s = begun(p.few, &o, blocks, 0.9);
    SWEEP(widen_once(&p, s));
    rfl_glm.release(s);
    pair_free(&p);
  }
}

int main(void) {
  harness_cpu();
  RUN(widening_by_nothing_changes_no_byte);
  RUN(a_level_that_comes_later_is_learnt_as_if_it_had_been_declared);
  RUN(so_it_is_with_forgetting_penalties_and_firth);
  RUN(what_was_known_stays_to_the_bit);
  RUN(counts_of_levels_move_with_them);
  RUN(a_widened_model_is_saved_and_read_and_learns_on_the_same);
  RUN(contrasts_that_would_change_are_refused_others_beside_them_are_not);
  RUN(a_fit_in_the_middle_and_a_lasso_take_no_levels);
  RUN(a_layout_that_does_not_hold_the_old_one_is_refused);
  RUN(every_allocation_of_widening_may_fail);
  return harness_end();
}
