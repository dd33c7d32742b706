/* FTRL as an ordered learner: cuts, restarts, levels of CPU; refusals, memory, damage. */
#include "ftrl_world.h"

TEST(the_state_is_the_same_to_the_bit_however_rows_are_cut) {
  const size_t cuts[] = {1, 7, 1000, ROWS};
  for (int k = 0; k < 12; k++) {
    enum rfl_ftrl_family family = (enum rfl_ftrl_family)(k % 3);
    struct rfl_ftrl_options o = rich_options(family, k / 6);
    struct world *w = rich_world(family, k / 3 % 2);
    struct rfl_state *whole = open_state(&o, w);
    absorb(whole, &w->block, 0, ROWS, ROWS);
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
      struct rfl_state *s = open_state(&o, w);
      absorb(s, &w->block, 0, ROWS, cuts[c]);
      CHECK(same_bytes(s, whole));
      rfl_ftrl.release(s);
    }
    rfl_ftrl.release(whole);
  }
}

TEST(a_state_that_was_stored_goes_on_to_the_same_bits) {
  for (int k = 0; k < 12; k++) {
    enum rfl_ftrl_family family = (enum rfl_ftrl_family)(k % 3);
    struct rfl_ftrl_options o = rich_options(family, k / 6);
    struct world *w = rich_world(family, k / 3 % 2);
    struct rfl_state *whole = open_state(&o, w), *s = open_state(&o, w);
    absorb(whole, &w->block, 0, ROWS, ROWS);
    absorb(s, &w->block, 0, 4321, 500);
    struct rfl_state *back = read_back(s), *copy = NULL;
    struct rfl_err err = {0};
    CHECK(same_bytes(s, back));
    CHECK_OK(rfl_ftrl.copy(back, &copy, &err), &err);
    absorb(copy, &w->block, 4321, ROWS - 4321, 321);
    CHECK(same_bytes(copy, whole));
    rfl_ftrl.release(copy);
    rfl_ftrl.release(back);
    rfl_ftrl.release(s);
    rfl_ftrl.release(whole);
  }
}

TEST(all_levels_of_cpu_give_the_same_bits) {
  enum rfl_cpu level = rfl_cpu_level();
  for (int wide = 0; wide < 2; wide++) {
    struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, wide);
    struct world *w = rich_world(RFL_FTRL_BINOMIAL, false);
    struct rfl_state *base = open_state(&o, w), *best = open_state(&o, w);
    rfl_cpu_use(RFL_CPU_BASE);
    absorb(base, &w->block, 0, ROWS, ROWS);
    rfl_cpu_use(rfl_cpu_best());
    absorb(best, &w->block, 0, ROWS, ROWS);
    rfl_cpu_use(level);
    CHECK(same_bytes(base, best));
    rfl_ftrl.release(base);
    rfl_ftrl.release(best);
  }
}

TEST(another_order_of_rows_gives_another_state_and_the_same_choice_of_rows) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, true);
  struct world *w = rich_world(RFL_FTRL_BINOMIAL, false);
  struct rfl_state *a = open_state(&o, w), *b = open_state(&o, w);
  absorb(a, &w->block, 0, ROWS, ROWS);
  absorb(b, &w->block, ROWS / 2, ROWS / 2, ROWS);
  absorb(b, &w->block, 0, ROWS / 2, ROWS);
  CHECK(!same_bytes(a, b));
  CHECK_EQ(result_of(a).kept, result_of(b).kept);
  CHECK_NEAR(result_of(a).weight, result_of(b).weight, 1e-6);
  rfl_ftrl.release(a);
  rfl_ftrl.release(b);
}

TEST(one_row_scores_as_it_does_in_a_batch) {
  static double all[ROWS];
  for (int k = 0; k < 4; k++) {
    struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, k / 2);
    struct world *w = rich_world(RFL_FTRL_BINOMIAL, k % 2);
    struct rfl_state *s = open_state(&o, w);
    absorb(s, &w->block, 0, ROWS, ROWS);
    w->number[0][11] = NAN; /* is skipped, here and in its product */
    w->code[1][12] = -1;
    score(s, &w->block, RFL_FTRL_RESPONSE, all);
    for (size_t i = 0; i < ROWS; i += i < 40 ? 1 : 113) {
      struct rfl_block one = slice(&w->block, i, 1);
      double p;
      score(s, &one, RFL_FTRL_RESPONSE, &p);
      CHECK(p == all[i] && p > 0 && p < 1);
    }
    rfl_ftrl.release(s);
  }
}

/* ---- refusals, memory, damage ---- */

TEST(a_block_with_a_wrong_row_teaches_nothing) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, false);
  struct world *w = rich_world(o.family, true);
  struct rfl_state *s = open_state(&o, w);
  struct rfl_err err = {0};
  absorb(s, &w->block, 0, 100, 100);
  struct rfl_buf before = bytes_of(s);
  double *wrong[] = {&w->y[150], &w->weight[150], &w->offset[150]};
  for (size_t k = 0; k < 3; k++) {
    double kept = *wrong[k];
    *wrong[k] = k == 0 ? 0.5 : k == 1 ? -1 : INFINITY;
    struct rfl_block b = slice(&w->block, 100, 100);
    CHECK_EQ(rfl_ftrl.absorb(s, &b, &err), RFL_EDATA);
    *wrong[k] = kept;
  }
  struct rfl_block narrow = slice(&w->block, 100, 100);
  narrow.n_dense--;
  CHECK_EQ(rfl_ftrl.absorb(s, &narrow, &err), RFL_EARGUMENT);
  struct rfl_buf after = bytes_of(s);
  CHECK(before.n == after.n && memcmp(before.p, after.p, before.n) == 0);
  rfl_buf_release(&before);
  rfl_buf_release(&after);
  rfl_ftrl.release(s);
}

TEST(what_it_cannot_do_is_refused) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL), wrong = o;
  struct world *w = world(o.family, false);
  struct rfl_state *s = NULL;
  struct rfl_err err = {0};
  wrong.rate = 0;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  CHECK(strstr(err.message, "learning rate") != NULL);
  wrong = o;
  wrong.l2 = NAN;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  wrong = o;
  wrong.keep_negatives = 0;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  wrong = o;
  wrong.half_life = 0;
  CHECK_EQ(rfl_ftrl.open(&wrong.base, &w->layout, &s, &err), RFL_EARGUMENT);
  int32_t select[] = {-1, 0}, levels = 2;
  struct rfl_coding coding = {.levels = 2, .columns = 1, .select = select};
  struct rfl_term term = {
      .coded = 0, .dense = -1, .n_codings = 1, .coding = &coding, .n_z = 2, .n_x = 1};
  struct rfl_layout l = {
      .n_coded = 1, .levels = &levels, .n_terms = 1, .term = &term, .n_z = 2, .n_x = 1};
  CHECK_EQ(rfl_ftrl.open(&o.base, &l, &s, &err), RFL_EARGUMENT);
  CHECK(strstr(err.message, "hashed") != NULL);
  CHECK(!s);
}

static enum rfl_code everything(struct rfl_err *err) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_BINOMIAL, false);
  struct world *w = &the_world;
  struct rfl_state *s = NULL, *copy = NULL, *back = NULL;
  struct rfl_buf bytes = {0};
  RFL_TRY(rfl_ftrl.open(&o.base, &w->layout, &s, err));
  struct rfl_block b = slice(&w->block, 0, 60);
  enum rfl_code code = rfl_ftrl.absorb(s, &b, err);
  if (!code) code = rfl_ftrl.copy(s, &copy, err);
  if (!code) rfl_ftrl.write(copy, &bytes);
  if (!code) code = rfl_buf_check(&bytes, err);
  if (!code) code = rfl_ftrl.read((struct rfl_bytes){bytes.p, bytes.n}, &back, err);
  rfl_buf_release(&bytes);
  rfl_ftrl.release(s);
  rfl_ftrl.release(copy);
  rfl_ftrl.release(back);
  return code;
}

TEST(no_lack_of_memory_leaks) {
  struct rfl_err err = {0};
  rich_world(RFL_FTRL_BINOMIAL, true);
  SWEEP(everything(&err));
  rich_world(RFL_FTRL_BINOMIAL, false);
  SWEEP(everything(&err));
}

TEST(damaged_bytes_are_told) {
  struct rfl_ftrl_options o = rich_options(RFL_FTRL_POISSON, true);
  o.admit_count = 1; /* a small state, so that every byte can be tried */
  for (int open = 0; open < 2; open++) {
    struct world *w = rich_world(o.family, open);
    struct rfl_state *s = open_state(&o, w), *back = NULL;
    struct rfl_err err = {0};
    absorb(s, &w->block, 0, 12, 12);
    struct rfl_buf bytes = bytes_of(s);
    for (size_t n = 0; n < bytes.n; n++)
      CHECK_EQ(rfl_ftrl.read((struct rfl_bytes){bytes.p, n}, &back, &err), RFL_EDATA);
    for (size_t k = 0; k < 8 * bytes.n; k++) {
      bytes.p[k / 8] ^= (uint8_t)(1u << k % 8);
      if (!rfl_ftrl.read((struct rfl_bytes){bytes.p, bytes.n}, &back, &err)) {
        struct rfl_block b = slice(&w->block, 0, 3);
        double out[2 * TERMS * 3];
        (void)!rfl_ftrl.score(back, &b, RFL_FTRL_AUDIT, out, &err);
        (void)!rfl_ftrl.score(back, &b, RFL_FTRL_LINK, out, &err);
        (void)!rfl_ftrl.absorb(back, &b, &err);
        rfl_ftrl.release(back);
        back = NULL;
      }
      bytes.p[k / 8] ^= (uint8_t)(1u << k % 8);
    }
    rfl_buf_release(&bytes);
    rfl_ftrl.release(s);
  }
}

TEST(a_large_table_with_few_values_is_few_bytes) {
  struct rfl_ftrl_options o = plain_options(RFL_FTRL_BINOMIAL);
  struct world *w = world(o.family, false);
  int32_t slots = 1 << 22;
  o.wide = false;
  w->layout.slots = slots;
  for (size_t f = 0; f < FACTORS; f++) w->levels[f] = w->coded[f].levels = slots;
  for (size_t t = 1 + NUMBERS; t < w->layout.n_terms; t++)
    w->term[t].n_z = w->term[t].n_x = slots;
  w->layout.n_z = w->layout.n_x = 1 + NUMBERS + slots;
  struct rfl_state *s = open_state(&o, w);
  absorb(s, &w->block, 0, ROWS, ROWS);
  struct rfl_buf bytes = bytes_of(s);
  CHECK(bytes.n < 10000 && rfl_ftrl.size(s) > (size_t)slots * 8);
  rfl_buf_release(&bytes);
  rfl_ftrl.release(s);
}

int main(void) {
  harness_cpu();
  RUN(the_state_is_the_same_to_the_bit_however_rows_are_cut);
  RUN(a_state_that_was_stored_goes_on_to_the_same_bits);
  RUN(all_levels_of_cpu_give_the_same_bits);
  RUN(another_order_of_rows_gives_another_state_and_the_same_choice_of_rows);
  RUN(one_row_scores_as_it_does_in_a_batch);
  RUN(a_block_with_a_wrong_row_teaches_nothing);
  RUN(what_it_cannot_do_is_refused);
  RUN(no_lack_of_memory_leaks);
  RUN(damaged_bytes_are_told);
  RUN(a_large_table_with_few_values_is_few_bytes);
  return harness_end();
}
