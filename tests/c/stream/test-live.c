/* The live model: one writer, many readers, versions by counted rows, checkpoints. */
#include <stdio.h>

#include "../harness.h"
#include "base/clock.h"
#include "base/thread.h"
#include "blas_fill.h"
#include "learn/glm.h"
#include "rows.h"
#include "stream/fit.h"
#include "stream/live.h"
#include "tiny.h"

enum { BLOCK = 30, ROWS = 510 };

static enum rfl_code new_live(const struct rfl_learner *learner, struct rfl_live **gives,
                              struct rfl_err *err) {
  struct tiny_options once = {.passes = 1};
  struct rfl_recipe *recipe = NULL;
  struct rfl_state *state = NULL;
  RFL_TRY(tiny_recipe(&recipe, err));
  enum rfl_code code = learner->open(&once.base, rfl_recipe_layout(recipe), &state, err);
  if (!code) code = rfl_live_new(learner, state, recipe, "ctr", BLOCK, 0.999, gives, err);
  if (code && state) learner->release(state);
  rfl_recipe_release(recipe);
  return code;
}

/* Frames [first, last) of the cut. */
static enum rfl_code learn_frames(struct rfl_live *live, const struct cut *cut,
                                  size_t first, size_t last, struct rfl_err *err) {
  struct rfl_workspace *ws = NULL;
  RFL_TRY(rfl_workspace_new(rfl_live_recipe(live), RFL_FOR_LEARNING, RFL_UNSEEN_REFERENCE,
                            &ws, err));
  enum rfl_code code = RFL_OK;
  for (size_t i = first; !code && i < last; i++) {
    struct rfl_rows rows = {.frame = cut->frame[i], .n = cut->frame[i]->n_rows};
    code = rfl_live_learn(live, "w", &rows, ws, err);
  }
  rfl_workspace_release(ws);
  return code;
}

static enum rfl_code learn_all(const struct rfl_learner *learner, uint32_t size,
                               struct rfl_buf *gives, struct rfl_err *err) {
  struct rfl_live *live = NULL;
  struct cut cut = {0};
  RFL_TRY(new_live(learner, &live, err));
  enum rfl_code code = cut_rows(ROWS, size, 5, &cut, err);
  if (!code) code = rfl_live_claim(live, "w", err);
  if (!code) code = learn_frames(live, &cut, 0, cut.n_frames, err);
  if (!code) code = rfl_live_write(live, gives, err);
  cut_release(&cut);
  rfl_live_release(live);
  return code;
}

static size_t usable_rows(void) {
  size_t n = 0;
  for (int64_t i = 0; i < ROWS; i++) n += row_has_x(i) && row_has_y(i);
  return n;
}

TEST(the_model_does_not_depend_on_how_rows_come) {
  const struct rfl_learner *both[] = {&rfl_tiny, &rfl_fold};
  const uint32_t sizes[] = {1, 29, 30, 31, 0};
  struct rfl_err err = {0};
  for (int k = 0; k < 2; k++) {
    struct rfl_buf whole = {0};
    CHECK_OK(learn_all(both[k], ROWS, &whole, &err), &err);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      struct rfl_buf bytes = {0};
      CHECK_OK(learn_all(both[k], sizes[i], &bytes, &err), &err);
      CHECK_EQ(bytes.n, whole.n);
      CHECK(bytes.n == whole.n && memcmp(bytes.p, whole.p, whole.n) == 0);
      rfl_buf_release(&bytes);
    }
    rfl_buf_release(&whole);
  }
}

TEST(the_version_counts_full_blocks_and_the_rest_waits_until_flushed) {
  struct rfl_err err = {0};
  struct rfl_live *live = NULL;
  struct cut cut = {0};
  size_t n = usable_rows();
  CHECK_OK(new_live(&rfl_tiny, &live, &err), &err);
  CHECK_OK(cut_rows(ROWS, 64, 0, &cut, &err), &err);
  CHECK(!rfl_live_touched(live));
  CHECK_OK(rfl_live_claim(live, "w", &err), &err);
  CHECK_OK(learn_frames(live, &cut, 0, cut.n_frames, &err), &err);
  CHECK(rfl_live_touched(live));
  CHECK_EQ(rfl_live_version(live), n / BLOCK);
  CHECK_EQ(rfl_live_learnt(live), n - n % BLOCK);
  CHECK_EQ(rfl_live_pending(live), n % BLOCK);
  CHECK_OK(rfl_live_flush(live, "w", &err), &err);
  CHECK_OK(rfl_live_flush(live, "w", &err), &err); /* nothing is left to flush */
  CHECK_EQ(rfl_live_version(live), n / BLOCK + 1);
  CHECK_EQ(rfl_live_learnt(live), n);
  CHECK_EQ(rfl_live_pending(live), 0);
  cut_release(&cut);
  rfl_live_release(live);
}

TEST(every_row_of_an_ordered_learner_is_a_version) {
  struct rfl_err err = {0};
  struct rfl_live *live = NULL;
  struct cut cut = {0};
  CHECK_OK(new_live(&rfl_fold, &live, &err), &err);
  CHECK_OK(cut_rows(ROWS, 7, 0, &cut, &err), &err);
  CHECK_OK(rfl_live_claim(live, "w", &err), &err);
  CHECK_OK(learn_frames(live, &cut, 0, cut.n_frames, &err), &err);
  CHECK_EQ(rfl_live_version(live), usable_rows());
  CHECK_EQ(rfl_live_pending(live), 0);
  CHECK_OK(rfl_live_flush(live, "w", &err), &err);
  cut_release(&cut);
  rfl_live_release(live);
}

TEST(one_writer_at_a_time_and_the_error_names_it) {
  struct rfl_err err = {0};
  struct rfl_live *live = NULL;
  struct rfl_rows none = {0};
  CHECK_OK(new_live(&rfl_tiny, &live, &err), &err);
  CHECK_OK(rfl_live_claim(live, "clicks", &err), &err);
  CHECK_EQ(rfl_live_claim(live, "other", &err), RFL_EBUSY);
  CHECK(strstr(err.message, "`clicks`") != NULL);
  CHECK(strstr(err.message, "`ctr`") != NULL);
  CHECK_EQ(rfl_live_claim(live, "clicks", &err), RFL_EBUSY);
  CHECK_EQ(rfl_live_learn(live, "other", &none, NULL, &err), RFL_EBUSY);
  CHECK_EQ(rfl_live_flush(live, "other", &err), RFL_EBUSY);
  rfl_live_unclaim(live, "other"); /* not its to give back */
  CHECK_EQ(rfl_live_claim(live, "other", &err), RFL_EBUSY);
  rfl_live_unclaim(live, "clicks");
  CHECK_OK(rfl_live_claim(live, "other", &err), &err);
  rfl_live_release(live);
}

TEST(the_block_changes_only_while_nobody_writes_and_nothing_waits) {
  struct rfl_err err = {0};
  struct rfl_live *live = NULL;
  struct cut cut = {0};
  CHECK_OK(new_live(&rfl_tiny, &live, &err), &err);
  CHECK_OK(cut_rows(40, 40, 0, &cut, &err), &err);
  CHECK_OK(rfl_live_set_block(live, 10, &err), &err);
  CHECK_EQ(rfl_live_set_block(live, 0, &err), RFL_EARGUMENT);
  CHECK_OK(rfl_live_claim(live, "w", &err), &err);
  CHECK_EQ(rfl_live_set_block(live, 20, &err), RFL_EBUSY);
  CHECK_OK(learn_frames(live, &cut, 0, 1, &err), &err);
  rfl_live_unclaim(live, "w");
  CHECK_EQ(rfl_live_version(live), 3); /* 35 of the 40 rows have x and y */
  CHECK_EQ(rfl_live_pending(live), 5);
  CHECK_EQ(rfl_live_set_block(live, 20, &err), RFL_EBUSY);
  CHECK(strstr(err.message, "5 rows") != NULL);
  cut_release(&cut);
  rfl_live_release(live);
}

/* ---- checkpoints ---- */

static enum rfl_code restore(const struct rfl_learner *learner,
                             const struct rfl_buf *from, struct rfl_live **gives,
                             struct rfl_err *err) {
  struct rfl_live *live = NULL;
  RFL_TRY(new_live(learner, &live, err));
  struct rfl_bytes bytes = {.p = from->p, .n = from->n};
  enum rfl_code code = rfl_live_read(live, bytes, err);
  if (code)
    rfl_live_release(live);
  else
    *gives = live;
  return code;
}

static void check_goes_on(const struct rfl_learner *learner, size_t at) {
  struct rfl_err err = {0};
  struct rfl_live *live = NULL, *other = NULL;
  struct cut cut = {0};
  struct rfl_buf middle = {0}, end = {0}, other_end = {0};
  CHECK_OK(new_live(learner, &live, &err), &err);
  CHECK_OK(cut_rows(ROWS, 16, 0, &cut, &err), &err);
  CHECK_OK(rfl_live_claim(live, "w", &err), &err);
  CHECK_OK(learn_frames(live, &cut, 0, at, &err), &err);
  CHECK_OK(rfl_live_write(live, &middle, &err), &err);
  CHECK_OK(learn_frames(live, &cut, at, cut.n_frames, &err), &err);
  CHECK_OK(rfl_live_write(live, &end, &err), &err);
  CHECK_OK(restore(learner, &middle, &other, &err), &err);
  CHECK(!rfl_live_touched(other));
  CHECK_OK(rfl_live_claim(other, "w", &err), &err);
  CHECK_OK(learn_frames(other, &cut, at, cut.n_frames, &err), &err);
  CHECK_OK(rfl_live_write(other, &other_end, &err), &err);
  CHECK(end.n == other_end.n && memcmp(end.p, other_end.p, end.n) == 0);
  rfl_buf_release(&middle);
  rfl_buf_release(&end);
  rfl_buf_release(&other_end);
  cut_release(&cut);
  rfl_live_release(live);
  rfl_live_release(other);
}

TEST(a_restored_model_goes_on_as_if_it_had_never_stopped) {
  for (size_t at = 0; at < 32; at += 3) {
    check_goes_on(&rfl_tiny, at);
    check_goes_on(&rfl_fold, at);
  }
}

/* What is cut off is noticed; what is changed inside is the store's checksum to find, but
 * must not break anything. */
TEST(damaged_bytes_are_refused_or_harmless) {
  struct rfl_err err = {0};
  struct rfl_buf whole = {0};
  CHECK_OK(learn_all(&rfl_tiny, 64, &whole, &err), &err);
  size_t n = whole.n;
  for (size_t k = 0; k < n; k++) {
    struct rfl_live *live = NULL;
    struct rfl_buf part = {.p = whole.p, .n = k};
    CHECK(restore(&rfl_tiny, &part, &live, &err) != RFL_OK);
    rfl_live_release(live);
    live = NULL;
    whole.p[k] ^= 0x81;
    (void)!restore(&rfl_tiny, &whole, &live, &err);
    rfl_live_release(live);
    whole.p[k] ^= 0x81;
  }
  rfl_buf_release(&whole);
}

TEST(another_learners_checkpoint_is_refused_by_name) {
  struct rfl_err err = {0};
  struct rfl_buf whole = {0};
  struct rfl_live *live = NULL;
  CHECK_OK(learn_all(&rfl_tiny, 64, &whole, &err), &err);
  CHECK_EQ(restore(&rfl_fold, &whole, &live, &err), RFL_EMODEL);
  CHECK(strstr(err.message, "tiny") != NULL && strstr(err.message, "fold") != NULL);
  rfl_buf_release(&whole);
}

static enum rfl_code one_variable(struct rfl_recipe **gives, struct rfl_err *err) {
  struct rfl_variable x = {.name = "x", .kind = RFL_NUMBER};
  int32_t first[] = {0};
  struct rfl_coding none[1] = {{0}};
  struct rfl_term_spec term = {.n = 1, .variable = first, .coding = none};
  struct rfl_recipe_spec spec = {.n_variables = 1,
                                 .variable = &x,
                                 .intercept = true,
                                 .n_terms = 1,
                                 .term = &term,
                                 .response = RFL_RESPONSE_NUMBER,
                                 .y = "y"};
  return rfl_recipe_new(&spec, gives, err);
}

TEST(another_formulas_checkpoint_is_refused) {
  struct rfl_err err = {0};
  struct rfl_buf whole = {0};
  struct rfl_recipe *recipe = NULL;
  struct rfl_state *state = NULL;
  struct rfl_live *live = NULL;
  struct tiny_options once = {.passes = 1};
  CHECK_OK(learn_all(&rfl_tiny, 64, &whole, &err), &err);
  CHECK_OK(one_variable(&recipe, &err), &err);
  CHECK_OK(rfl_tiny.open(&once.base, rfl_recipe_layout(recipe), &state, &err), &err);
  CHECK_OK(rfl_live_new(&rfl_tiny, state, recipe, "m", 5, 1, &live, &err), &err);
  struct rfl_bytes bytes = {.p = whole.p, .n = whole.n};
  CHECK_EQ(rfl_live_read(live, bytes, &err), RFL_EMODEL);
  CHECK(strstr(err.message, "another formula") != NULL);
  rfl_live_release(live);
  rfl_recipe_release(recipe);
  rfl_buf_release(&whole);
}

/* ---- threads ---- */

struct reader {
  struct rfl_live *live;
  const struct cut *cut;
  bool *stop;    /* atomic */
  uint64_t rows; /* of a version */
  bool torn;
  uint64_t calls, last;
};

/* The state tells how many rows it has learnt: its version must be that many blocks (rows
 * of an ORDERED learner), in every call of one entry, and never fall back. */
static void *read_on(void *arg) {
  struct reader *r = arg;
  struct rfl_workspace *ws = NULL;
  struct rfl_err err;
  double out[2 * 64];
  if (rfl_workspace_new(rfl_live_recipe(r->live), RFL_FOR_SCORING, RFL_UNSEEN_REFERENCE,
                        &ws, &err))
    return NULL;
  struct rfl_rows rows = {.frame = r->cut->frame[0], .row = 6, .n = 1}; /* has x */
  do {
    uint64_t version;
    if (rfl_live_score(r->live, &rows, ws, 1, out, &version, &err)) r->torn = true;
    if (out[1] != (double)(version * r->rows)) r->torn = true;
    const struct rfl_state *state = rfl_live_enter(r->live, &version);
    for (int i = 0; i < 3; i++) {
      if (rfl_score_rows(rfl_live_learner(r->live), state, rfl_live_recipe(r->live), ws,
                         &rows, 1, out, &err))
        r->torn = true;
      if (out[1] != (double)(version * r->rows)) r->torn = true;
    }
    rfl_live_leave(r->live);
    if (version < r->last) r->torn = true;
    r->last = version;
    r->calls++;
  } while (!__atomic_load_n(r->stop, __ATOMIC_RELAXED));
  rfl_workspace_release(ws);
  return NULL;
}

/* Also: busy readers do not keep the writer from getting through. */
static void check_readers(const struct rfl_learner *learner, uint64_t rows) {
  enum { READERS = 3 };
  struct rfl_err err = {0};
  struct rfl_live *live = NULL;
  struct cut cut = {0};
  bool stop = false;
  pthread_t thread[READERS];
  struct reader reader[READERS];
  CHECK_OK(new_live(learner, &live, &err), &err);
  CHECK_OK(cut_rows(ROWS, 25, 0, &cut, &err), &err);
  CHECK_OK(rfl_live_claim(live, "w", &err), &err);
  for (int i = 0; i < READERS; i++) {
    reader[i] = (struct reader){.live = live, .cut = &cut, .stop = &stop, .rows = rows};
    CHECK_OK(rfl_thread_start(&thread[i], read_on, &reader[i], &err), &err);
  }
  int64_t deadline = rfl_now_ns() + 20 * (int64_t)RFL_SECOND;
  int rounds = 0;
  while (rounds < 20 && rfl_now_ns() < deadline) {
    CHECK_OK(learn_frames(live, &cut, 0, cut.n_frames, &err), &err);
    struct rfl_buf bytes = {0};
    CHECK_OK(rfl_live_write(live, &bytes, &err), &err);
    rfl_buf_release(&bytes);
    rounds++;
  }
  CHECK_EQ(rounds, 20);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < READERS; i++) {
    pthread_join(thread[i], NULL);
    CHECK(!reader[i].torn);
    CHECK(reader[i].calls > 0);
  }
  cut_release(&cut);
  rfl_live_release(live);
}

TEST(readers_see_whole_versions_while_a_writer_learns_and_do_not_starve_it) {
  check_readers(&rfl_tiny, BLOCK);
}

/* Its rows are learnt in place: readers must never meet a half of them. */
TEST(readers_see_whole_versions_while_an_ordered_learner_learns_in_place) {
  check_readers(&rfl_fold, 1);
}

TEST(a_copy_is_of_one_version) {
  struct rfl_err err = {0};
  struct rfl_live *live = NULL;
  struct cut cut = {0};
  struct rfl_state *state = NULL;
  uint64_t version = 99;
  struct tiny_view view;
  CHECK_OK(new_live(&rfl_tiny, &live, &err), &err);
  CHECK_OK(cut_rows(ROWS, 100, 0, &cut, &err), &err);
  CHECK_OK(rfl_live_claim(live, "w", &err), &err);
  CHECK_OK(learn_frames(live, &cut, 0, 2, &err), &err);
  CHECK_OK(rfl_live_copy(live, &state, &version, &err), &err);
  CHECK_OK(learn_frames(live, &cut, 2, 5, &err), &err);
  tiny_look(state, &view);
  CHECK_EQ(view.n, version * BLOCK);
  CHECK(rfl_live_version(live) > version);
  rfl_tiny.release(state);
  cut_release(&cut);
  rfl_live_release(live);
}

/* ---- memory ---- */

static enum rfl_code live_once(void) {
  struct rfl_buf bytes = {0};
  struct rfl_live *live = NULL;
  enum rfl_code code = learn_all(&rfl_tiny, 50, &bytes, NULL);
  if (!code) code = restore(&rfl_tiny, &bytes, &live, NULL);
  if (!code) code = rfl_live_claim(live, "w", NULL);
  if (!code) code = rfl_live_flush(live, "w", NULL);
  if (!code) code = rfl_live_set_block(live, 5, NULL) == RFL_EBUSY ? RFL_OK : RFL_ENOMEM;
  rfl_buf_release(&bytes);
  rfl_live_release(live);
  return code;
}

TEST(a_live_model_that_gets_no_memory_says_so_and_leaves_nothing) { SWEEP(live_once()); }

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(the_model_does_not_depend_on_how_rows_come);
  RUN(the_version_counts_full_blocks_and_the_rest_waits_until_flushed);
  RUN(every_row_of_an_ordered_learner_is_a_version);
  RUN(one_writer_at_a_time_and_the_error_names_it);
  RUN(the_block_changes_only_while_nobody_writes_and_nothing_waits);
  RUN(a_restored_model_goes_on_as_if_it_had_never_stopped);
  RUN(damaged_bytes_are_refused_or_harmless);
  RUN(another_learners_checkpoint_is_refused_by_name);
  RUN(another_formulas_checkpoint_is_refused);
  RUN(readers_see_whole_versions_while_a_writer_learns_and_do_not_starve_it);
  RUN(readers_see_whole_versions_while_an_ordered_learner_learns_in_place);
  RUN(a_copy_is_of_one_version);
  RUN(a_live_model_that_gets_no_memory_says_so_and_leaves_nothing);
  return harness_end();
}
