/* A fit to frames that are fetched is the fit to the same rows in memory, to the bit; a
 * frame is fetched once a pass, and few are there at a time. */
#include <stdio.h>

#include "../harness.h"
#include "base/thread.h"
#include "blas_fill.h"
#include "frame/order.h"
#include "learn/glm.h"
#include "rows.h"
#include "stream/fit.h"
#include "stream/shelf.h"
#include "tiny.h"

enum { ROWS = 1000, MOST = 2000 };

static const struct tiny_options three_passes = {.passes = 3};
static const struct rfl_glm_options logit = {.family = RFL_BINOMIAL};

struct disk { /* where frames are fetched from */
  struct cut cut;
  uint32_t n_rows[MOST];
  pthread_mutex_t lock;
  int fetched[MOST];
  size_t bad; /* this one cannot be read; MOST: all can */
};

static enum rfl_code get(void *data, size_t k, struct rfl_frame **gives,
                         struct rfl_err *err) {
  struct disk *d = data;
  pthread_mutex_lock(&d->lock);
  d->fetched[k]++;
  pthread_mutex_unlock(&d->lock);
  if (k == d->bad) return rfl_fail(err, RFL_EIO, "frame %zu cannot be read", k);
  struct rfl_rows all = {.frame = d->cut.frame[k], .n = d->cut.frame[k]->n_rows};
  return rfl_frame_gather(&all, 1, gives, err);
}

static enum rfl_code disk_open(struct disk *d, int64_t n, uint32_t size, size_t bad,
                               struct rfl_err *err) {
  *d = (struct disk){.bad = bad};
  pthread_mutex_init(&d->lock, NULL);
  RFL_TRY(cut_rows(n, size, size + 17, &d->cut, err));
  for (size_t k = 0; k < d->cut.n_frames; k++) d->n_rows[k] = d->cut.frame[k]->n_rows;
  return RFL_OK;
}

static void disk_close(struct disk *d) {
  cut_release(&d->cut);
  pthread_mutex_destroy(&d->lock);
}

struct learning {
  const struct rfl_learner *learner;
  const struct rfl_options *options;
};
static const struct learning tiny = {&rfl_tiny, &three_passes.base};
static const struct learning fold = {&rfl_fold, &three_passes.base};
static const struct learning glm = {&rfl_glm, &logit.base};

static enum rfl_code fit(const struct learning *l, struct disk *d, bool fetched,
                         const struct rfl_fit_job *job, struct rfl_buf *gives,
                         struct rfl_err *err) {
  struct rfl_recipe *recipe = NULL;
  struct rfl_state *state = NULL;
  struct rfl_fit_input in = {.n_frames = d->cut.n_frames};
  if (fetched) {
    in.n_rows = d->n_rows;
    in.get = get;
    in.data = d;
  } else {
    in.frame = d->cut.frame;
  }
  RFL_TRY(tiny_recipe(&recipe, err));
  enum rfl_code code =
      rfl_fit(l->learner, l->options, recipe, &in, job, &state, NULL, err);
  if (!code) {
    rfl_buf_clear(gives);
    l->learner->write(state, gives);
    code = rfl_buf_check(gives, err);
    l->learner->release(state);
  }
  rfl_recipe_release(recipe);
  return code;
}

static void check_same(const struct learning *l, uint32_t size, int threads,
                       double warm) {
  static struct disk d;
  struct rfl_err err = {0};
  struct rfl_buf memory = {0}, disk = {0};
  struct rfl_pool *pool = NULL;
  if (threads > 1) CHECK_OK(rfl_pool_new(threads, &pool, &err), &err);
  struct rfl_fit_job alone = {.warm = warm}, job = {.pool = pool, .warm = warm};
  CHECK_OK(disk_open(&d, ROWS, size, MOST, &err), &err);
  CHECK_OK(fit(l, &d, false, &alone, &memory, &err), &err);
  CHECK_OK(fit(l, &d, true, &job, &disk, &err), &err);
  CHECK(memory.n == disk.n && memory.n > 0 && !memcmp(memory.p, disk.p, disk.n));
  rfl_buf_release(&memory);
  rfl_buf_release(&disk);
  rfl_pool_release(pool);
  disk_close(&d);
}

TEST(fetched_rows_are_fitted_as_those_in_memory_to_the_bit) {
  const uint32_t sizes[] = {1, 7, 16, 100, ROWS, 0};
  const int threads[] = {1, 2, 3, 8};
  const struct learning *learners[] = {&tiny, &fold, &glm};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (size_t t = 0; t < 4; t++)
      for (size_t l = 0; l < 3; l++)
        check_same(learners[l], sizes[i], threads[t], t % 2 ? 0.1 : 0);
}

TEST(a_frame_is_fetched_once_a_pass) {
  static struct disk d;
  struct rfl_err err = {0};
  struct rfl_buf bytes = {0};
  struct rfl_fit_job alone = {0};
  CHECK_OK(disk_open(&d, ROWS, 50, MOST, &err), &err);
  CHECK_OK(fit(&tiny, &d, true, &alone, &bytes, &err), &err);
  for (size_t k = 0; k < d.cut.n_frames; k++) CHECK_EQ(d.fetched[k], 3);
  rfl_buf_release(&bytes);
  disk_close(&d);
}

TEST(a_frame_that_cannot_be_fetched_is_the_error_of_the_fit) {
  static struct disk d;
  struct rfl_err err = {0};
  struct rfl_buf bytes = {0};
  for (int threads = 1; threads <= 3; threads += 2) {
    struct rfl_pool *pool = NULL;
    CHECK_OK(rfl_pool_new(threads, &pool, &err), &err);
    struct rfl_fit_job job = {.pool = pool};
    CHECK_OK(disk_open(&d, ROWS, 50, 7, &err), &err);
    CHECK_EQ(fit(&tiny, &d, true, &job, &bytes, &err), RFL_EIO);
    CHECK_STR(err.message, "frame 7 cannot be read");
    disk_close(&d);
    rfl_pool_release(pool);
  }
  rfl_buf_release(&bytes);
}

/* ---- the shelf itself ---- */

struct walker {
  struct rfl_shelf *shelf;
  struct disk *disk;
  size_t *next;
  int wrong;
};

/* Threads take frames upwards, as the cells of a pass do. */
static void *walk(void *arg) {
  struct walker *w = arg;
  struct rfl_err err;
  for (;;) {
    size_t k = __atomic_fetch_add(w->next, 1, __ATOMIC_RELAXED) / 5;
    if (k >= w->disk->cut.n_frames) return NULL;
    struct rfl_frame *f = NULL;
    if (rfl_shelf_take(w->shelf, k, &f, &err))
      w->wrong++;
    else
      w->wrong += f->n_rows != w->disk->n_rows[k];
    rfl_frame_release(f);
  }
}

TEST(threads_share_frames_and_hold_few_of_them) {
  static struct disk d;
  struct rfl_err err = {0};
  CHECK_OK(disk_open(&d, ROWS, 10, MOST, &err), &err);
  struct rfl_fit_input in = {
      .n_frames = d.cut.n_frames, .n_rows = d.n_rows, .get = get, .data = &d};
  struct rfl_shelf *shelf = NULL;
  CHECK_OK(rfl_shelf_new(&in, 3, &shelf, &err), &err);
  int64_t live = rfl_mem_live();
  size_t next = 0;
  pthread_t thread[3];
  struct walker w[3];
  for (int i = 0; i < 3; i++) {
    w[i] = (struct walker){.shelf = shelf, .disk = &d, .next = &next};
    CHECK_EQ(pthread_create(&thread[i], NULL, walk, &w[i]), 0);
  }
  for (int i = 0; i < 3; i++) {
    pthread_join(thread[i], NULL);
    CHECK_EQ(w[i].wrong, 0);
  }
  /* A frame of five columns is some 15 allocations; five of the hundred may be there. */
  CHECK(rfl_mem_live() - live <= 5 * 20);
  rfl_shelf_clear(shelf);
  CHECK_EQ(rfl_mem_live(), live);
  int sum = 0;
  for (size_t k = 0; k < d.cut.n_frames; k++) sum += d.fetched[k];
  CHECK(sum < 2 * (int)d.cut.n_frames); /* five takes each, hardly ever fetched twice */
  rfl_shelf_release(shelf);
  disk_close(&d);
}

static enum rfl_code fit_once(struct rfl_pool *pool) {
  static struct disk d;
  struct rfl_buf bytes = {0};
  struct rfl_fit_job job = {.pool = pool};
  enum rfl_code code = disk_open(&d, 130, 9, MOST, NULL);
  if (!code) code = fit(&tiny, &d, true, &job, &bytes, NULL);
  disk_close(&d);
  rfl_buf_release(&bytes);
  return code;
}

TEST(no_memory_at_any_point_leaves_nothing) {
  struct rfl_pool *pool = NULL;
  struct rfl_err err = {0};
  SWEEP(fit_once(NULL));
  CHECK_OK(rfl_pool_new(2, &pool, &err), &err);
  SWEEP(fit_once(pool));
  rfl_pool_release(pool);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(fetched_rows_are_fitted_as_those_in_memory_to_the_bit);
  RUN(a_frame_is_fetched_once_a_pass);
  RUN(a_frame_that_cannot_be_fetched_is_the_error_of_the_fit);
  RUN(threads_share_frames_and_hold_few_of_them);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
