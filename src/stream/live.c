/* Two locks, always taken in this order:
 *
 *     work    one learner, saver or restorer at a time; guards the pending rows
 *     lock    a readers' and writers' lock made of a mutex and two conditions; guards the
 *             state against readers while it is replaced, and the numbers
 *
 *     reader      enter (waits while a writer writes OR waits), score, leave
 *     learner     work; copy the state, learn the copy; write side: swap; free the old
 * one
 *
 * The state is replaced by holders of `work` only, so whoever holds it may read the state
 * without entering. A waiting writer goes first: glibc's rwlock prefers readers, and a
 * busy scorer would starve the learner. An ORDERED learner learns in place, on the write
 * side: its state may be large, and a row is soon learnt. */
#include "stream/live.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "num/gather.h"
#include "stream/fit.h"

enum {
  FORMAT = 1,
  MOST_ROWS = 1 << 22 /* of a block: what a damaged checkpoint may make us allocate */
};

struct rfl_live {
  int32_t refs; /* atomic */
  char *name;
  const struct rfl_learner *learner;
  struct rfl_recipe *recipe;

  pthread_mutex_t work;
  struct rfl_gather *pending; /* NULL for an ORDERED learner */
  uint32_t block;
  double keep;

  pthread_mutex_t lock;
  pthread_cond_t may_read, may_write;
  uint32_t readers, waiting; /* waiting: writers */
  bool writing;
  struct rfl_state *state;
  uint64_t version, learnt;
  size_t n_pending;
  bool touched;
  char *writer; /* who has claimed it */
};

static void init_locks(struct rfl_live *live) {
  pthread_mutex_init(&live->work, NULL); /* cannot fail with their defaults */
  pthread_mutex_init(&live->lock, NULL);
  pthread_cond_init(&live->may_read, NULL);
  pthread_cond_init(&live->may_write, NULL);
}

static enum rfl_code check_new(const struct rfl_learner *learner, uint32_t block,
                               double keep, struct rfl_err *err) {
  if (block < 1 || block > MOST_ROWS)
    return rfl_fail(err, RFL_EARGUMENT, "A learning block has 1 to %d rows, not %u.",
                    MOST_ROWS, block);
  if (!(keep > 0 && keep <= 1))
    return rfl_fail(err, RFL_EARGUMENT,
                    "The forgetting factor must lie in (0, 1], not %g.", keep);
  if (learner->merge && !learner->renew)
    return rfl_fail(err, RFL_EMODEL, "A %s model cannot learn online.", learner->name);
  return RFL_OK;
}

enum rfl_code rfl_live_new(const struct rfl_learner *learner, struct rfl_state *takes,
                           struct rfl_recipe *recipe, const char *name, uint32_t block,
                           double keep, struct rfl_live **gives, struct rfl_err *err) {
  RFL_TRY(check_new(learner, block, keep, err));
  struct rfl_live *live = rfl_alloc(1, sizeof *live);
  if (!live) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  live->name = rfl_strdup(name ? name : "model");
  if (!live->name) code = rfl_no_memory(err);
  if (!code && learner->merge)
    code = rfl_gather_new(learner->layout(takes), block, 0, &live->pending, err);
  if (code) {
    rfl_free(live->name);
    rfl_free(live);
    return code;
  }
  init_locks(live);
  live->refs = 1;
  live->learner = learner;
  live->recipe = rfl_recipe_keep(recipe);
  live->block = block;
  live->keep = keep;
  live->state = takes;
  *gives = live;
  return RFL_OK;
}

struct rfl_live *rfl_live_keep(struct rfl_live *live) {
  __atomic_fetch_add(&live->refs, 1, __ATOMIC_RELAXED);
  return live;
}

void rfl_live_release(struct rfl_live *live) {
  if (!live || __atomic_fetch_sub(&live->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
  live->learner->release(live->state);
  rfl_gather_release(live->pending);
  rfl_recipe_release(live->recipe);
  pthread_cond_destroy(&live->may_read);
  pthread_cond_destroy(&live->may_write);
  pthread_mutex_destroy(&live->lock);
  pthread_mutex_destroy(&live->work);
  rfl_free(live->writer);
  rfl_free(live->name);
  rfl_free(live);
}

const char *rfl_live_name(const struct rfl_live *live) { return live->name; }
const struct rfl_learner *rfl_live_learner(const struct rfl_live *live) {
  return live->learner;
}
struct rfl_recipe *rfl_live_recipe(const struct rfl_live *live) {
  return live->recipe;
}

uint64_t rfl_live_version(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  uint64_t version = live->version;
  pthread_mutex_unlock(&live->lock);
  return version;
}

uint64_t rfl_live_learnt(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  uint64_t learnt = live->learnt;
  pthread_mutex_unlock(&live->lock);
  return learnt;
}

size_t rfl_live_pending(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  size_t pending = live->n_pending;
  pthread_mutex_unlock(&live->lock);
  return pending;
}

bool rfl_live_touched(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  bool touched = live->touched;
  pthread_mutex_unlock(&live->lock);
  return touched;
}

/* ---- one writer ---- */

enum rfl_code rfl_live_claim(struct rfl_live *live, const char *writer,
                             struct rfl_err *err) {
  char *copy = rfl_strdup(writer);
  if (!copy) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  pthread_mutex_lock(&live->lock);
  if (live->writer)
    code = rfl_fail(err, RFL_EBUSY,
                    "The live model `%s` is being learnt by `%s`: one writer at a time.",
                    live->name, live->writer);
  else
    live->writer = copy;
  pthread_mutex_unlock(&live->lock);
  if (code) rfl_free(copy);
  return code;
}

void rfl_live_unclaim(struct rfl_live *live, const char *writer) {
  pthread_mutex_lock(&live->lock);
  char *holder = live->writer;
  bool mine = holder && strcmp(holder, writer) == 0;
  if (mine) live->writer = NULL;
  pthread_mutex_unlock(&live->lock);
  if (mine) rfl_free(holder);
}

static enum rfl_code check_writer(struct rfl_live *live, const char *writer,
                                  struct rfl_err *err) {
  pthread_mutex_lock(&live->lock);
  bool mine = live->writer && strcmp(live->writer, writer) == 0;
  pthread_mutex_unlock(&live->lock);
  if (mine) return RFL_OK;
  return rfl_fail(err, RFL_EBUSY, "`%s` has not claimed the live model `%s`.", writer,
                  live->name);
}

enum rfl_code rfl_live_set_block(struct rfl_live *live, uint32_t block,
                                 struct rfl_err *err) {
  RFL_TRY(check_new(live->learner, block, live->keep, err));
  if (!live->pending) return RFL_OK; /* ordered: a block is a row */
  struct rfl_gather *fresh = NULL;
  RFL_TRY(rfl_gather_new(rfl_recipe_layout(live->recipe), block, 0, &fresh, err));
  enum rfl_code code = RFL_OK;
  pthread_mutex_lock(&live->work);
  pthread_mutex_lock(&live->lock);
  if (live->writer)
    code = rfl_fail(err, RFL_EBUSY, "The live model `%s` is being learnt by `%s`.",
                    live->name, live->writer);
  else if (live->n_pending)
    code = rfl_fail(err, RFL_EBUSY,
                    "The live model `%s` has %zu rows waiting for a block of %u.",
                    live->name, live->n_pending, live->block);
  pthread_mutex_unlock(&live->lock);
  if (!code) {
    struct rfl_gather *old = live->pending;
    live->pending = fresh;
    live->block = block;
    fresh = old;
  }
  pthread_mutex_unlock(&live->work);
  rfl_gather_release(fresh);
  return code;
}

/* ---- readers and the swap ---- */

const struct rfl_state *rfl_live_enter(struct rfl_live *live, uint64_t *gives_version) {
  pthread_mutex_lock(&live->lock);
  while (live->writing || live->waiting) pthread_cond_wait(&live->may_read, &live->lock);
  live->readers++;
  *gives_version = live->version;
  const struct rfl_state *state = live->state;
  pthread_mutex_unlock(&live->lock);
  return state;
}

void rfl_live_leave(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  if (--live->readers == 0) pthread_cond_signal(&live->may_write);
  pthread_mutex_unlock(&live->lock);
}

static void enter_to_write(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  live->waiting++;
  while (live->readers || live->writing) pthread_cond_wait(&live->may_write, &live->lock);
  live->waiting--;
  live->writing = true;
  pthread_mutex_unlock(&live->lock);
}

static void leave_written(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  live->writing = false;
  if (live->waiting)
    pthread_cond_signal(&live->may_write);
  else
    pthread_cond_broadcast(&live->may_read);
  pthread_mutex_unlock(&live->lock);
}

/* Puts the new state in the place of the old one, which nobody reads any more when this
 * returns. */
static void swap_state(struct rfl_live *live, struct rfl_state *takes, uint64_t rows) {
  enter_to_write(live);
  struct rfl_state *old = live->state;
  live->state = takes;
  pthread_mutex_lock(&live->lock);
  live->version++;
  live->learnt += rows;
  pthread_mutex_unlock(&live->lock);
  leave_written(live);
  live->learner->release(old);
}

enum rfl_code rfl_live_score(struct rfl_live *live, const struct rfl_rows *rows,
                             struct rfl_workspace *ws, int what, double *out,
                             uint64_t *gives_version, struct rfl_err *err) {
  uint64_t version;
  const struct rfl_state *state = rfl_live_enter(live, &version);
  enum rfl_code code =
      rfl_score_rows(live->learner, state, live->recipe, ws, rows, what, out, err);
  rfl_live_leave(live);
  if (!code) *gives_version = version;
  return code;
}

/* ---- learning ---- */

static void note_pending(struct rfl_live *live) {
  pthread_mutex_lock(&live->lock);
  live->n_pending = live->pending ? rfl_gather_pending(live->pending) : 0;
  live->touched = true;
  pthread_mutex_unlock(&live->lock);
}

static enum rfl_code learn_cell(struct rfl_live *live, const struct rfl_block *cell,
                                struct rfl_err *err) {
  struct rfl_state *next = NULL;
  RFL_TRY(live->learner->copy(live->state, &next, err));
  enum rfl_code code = rfl_learn_block(live->learner, next, cell, live->keep, err);
  if (code) {
    live->learner->release(next);
    return code;
  }
  swap_state(live, next, cell->n);
  return RFL_OK;
}

static enum rfl_code learn_in_place(struct rfl_live *live, const struct rfl_block *block,
                                    struct rfl_err *err) {
  enter_to_write(live);
  enum rfl_code code = live->learner->absorb(live->state, block, err);
  if (!code) {
    pthread_mutex_lock(&live->lock);
    live->version += block->n;
    live->learnt += block->n;
    pthread_mutex_unlock(&live->lock);
  }
  leave_written(live);
  return code;
}

static enum rfl_code learn_blocks(struct rfl_live *live, const struct rfl_block *block,
                                  struct rfl_err *err) {
  if (!live->pending) return learn_in_place(live, block, err);
  for (size_t from = 0, taken; from < block->n; from += taken) {
    RFL_TRY(rfl_gather_add(live->pending, block, from, &taken, err));
    const struct rfl_block *cell = rfl_gather_block(live->pending, false);
    if (cell) RFL_TRY(learn_cell(live, cell, err));
  }
  return RFL_OK;
}

enum rfl_code rfl_live_learn(struct rfl_live *live, const char *writer,
                             const struct rfl_rows *rows, struct rfl_workspace *ws,
                             struct rfl_err *err) {
  RFL_TRY(check_writer(live, writer, err));
  struct rfl_block block = {0};
  RFL_TRY(rfl_recipe_apply(live->recipe, rows, ws, &block, err));
  if (!block.n) return RFL_OK;
  pthread_mutex_lock(&live->work);
  enum rfl_code code = learn_blocks(live, &block, err);
  note_pending(live);
  pthread_mutex_unlock(&live->work);
  return code;
}

/* A gather begins anew for the blocks that follow, so that theirs are full ones again. */
static enum rfl_code flush(struct rfl_live *live, struct rfl_err *err) {
  if (!live->pending || !rfl_gather_pending(live->pending)) return RFL_OK;
  struct rfl_gather *fresh = NULL;
  RFL_TRY(rfl_gather_new(rfl_recipe_layout(live->recipe), live->block, 0, &fresh, err));
  enum rfl_code code = learn_cell(live, rfl_gather_block(live->pending, true), err);
  if (code) {
    rfl_gather_release(fresh);
    return code;
  }
  rfl_gather_release(live->pending);
  live->pending = fresh;
  note_pending(live);
  return RFL_OK;
}

enum rfl_code rfl_live_flush(struct rfl_live *live, const char *writer,
                             struct rfl_err *err) {
  RFL_TRY(check_writer(live, writer, err));
  pthread_mutex_lock(&live->work);
  enum rfl_code code = flush(live, err);
  pthread_mutex_unlock(&live->work);
  return code;
}

enum rfl_code rfl_live_copy(struct rfl_live *live, struct rfl_state **gives,
                            uint64_t *gives_version, struct rfl_err *err) {
  uint64_t version;
  const struct rfl_state *state = rfl_live_enter(live, &version);
  enum rfl_code code = live->learner->copy(state, gives, err);
  rfl_live_leave(live);
  if (!code) *gives_version = version;
  return code;
}

/* ---- checkpoints ---- */

enum rfl_code rfl_live_write(struct rfl_live *live, struct rfl_buf *out,
                             struct rfl_err *err) {
  struct rfl_buf state = {0};
  pthread_mutex_lock(&live->work);
  live->learner->write(live->state, &state);
  rfl_buf_u32(out, FORMAT);
  rfl_buf_string(out, live->learner->name);
  rfl_buf_u64(out, live->version); /* changed by holders of `work` only */
  rfl_buf_u64(out, live->learnt);
  rfl_buf_u32(out, live->block);
  rfl_buf_double(out, live->keep);
  rfl_buf_blob(out, state.p, state.n);
  if (live->pending) rfl_gather_write(live->pending, out);
  pthread_mutex_unlock(&live->work);
  if (state.failed) out->failed = true;
  rfl_buf_release(&state);
  return rfl_buf_check(out, err);
}

struct image { /* what a checkpoint part holds */
  uint64_t version, learnt;
  uint32_t block;
  double keep;
  struct rfl_state *state;
  struct rfl_gather *pending;
};

static void release_image(const struct rfl_live *live, struct image *in) {
  live->learner->release(in->state);
  rfl_gather_release(in->pending);
}

/* The recipe and the state must speak of the same columns. */
static enum rfl_code check_layout(const struct rfl_live *live,
                                  const struct rfl_state *state, struct rfl_err *err) {
  struct rfl_buf mine = {0}, its = {0};
  rfl_layout_write(rfl_recipe_layout(live->recipe), &mine);
  rfl_layout_write(live->learner->layout(state), &its);
  enum rfl_code code = rfl_buf_check(&mine, err);
  if (!code) code = rfl_buf_check(&its, err);
  if (!code && (mine.n != its.n || memcmp(mine.p, its.p, mine.n) != 0))
    code = rfl_fail(err, RFL_EMODEL,
                    "The checkpoint holds a model of another formula or other levels "
                    "than `%s`.",
                    live->name);
  rfl_buf_release(&mine);
  rfl_buf_release(&its);
  return code;
}

static enum rfl_code read_head(const struct rfl_live *live, struct rfl_reader *in,
                               struct image *gives, struct rfl_err *err) {
  uint32_t format = rfl_read_u32(in);
  if (!in->bad && format != FORMAT)
    return rfl_fail(err, RFL_EDATA, "The model in the checkpoint has format %u, not %d.",
                    format, FORMAT);
  char *name = NULL;
  RFL_TRY(rfl_read_string(in, &name, err));
  bool same = name && strcmp(name, live->learner->name) == 0;
  enum rfl_code code = RFL_OK;
  if (name && !same)
    code = rfl_fail(err, RFL_EMODEL, "The checkpoint holds a %.40s model, `%s` is a %s.",
                    name, live->name, live->learner->name);
  else if (!name)
    code = rfl_fail(err, RFL_EDATA, "The model in the checkpoint is damaged.");
  rfl_free(name);
  if (code) return code;
  gives->version = rfl_read_u64(in);
  gives->learnt = rfl_read_u64(in);
  gives->block = rfl_read_u32(in);
  gives->keep = rfl_read_double(in);
  if (in->bad || !gives->block || gives->block > MOST_ROWS ||
      !(gives->keep > 0 && gives->keep <= 1))
    return rfl_fail(err, RFL_EDATA, "The model in the checkpoint is damaged.");
  return RFL_OK;
}

static enum rfl_code read_image(const struct rfl_live *live, struct rfl_reader *in,
                                struct image *gives, struct rfl_err *err) {
  RFL_TRY(read_head(live, in, gives, err));
  struct rfl_bytes state = rfl_read_blob(in);
  if (in->bad) return rfl_fail(err, RFL_EDATA, "The model in the checkpoint is damaged.");
  RFL_TRY(live->learner->read(state, &gives->state, err));
  RFL_TRY(check_layout(live, gives->state, err));
  if (live->learner->merge) {
    RFL_TRY(rfl_gather_new(rfl_recipe_layout(live->recipe), gives->block, 0,
                           &gives->pending, err));
    RFL_TRY(rfl_gather_read(gives->pending, in, err));
  }
  return rfl_read_done(in, "The model in the checkpoint", err);
}

/* Swaps the image in; what was there before is left in the image. */
static void put_image(struct rfl_live *live, struct image *in) {
  pthread_mutex_lock(&live->work);
  enter_to_write(live);
  struct rfl_state *state = live->state;
  live->state = in->state;
  in->state = state;
  struct rfl_gather *pending = live->pending;
  live->pending = in->pending;
  in->pending = pending;
  live->block = in->block;
  live->keep = in->keep;
  pthread_mutex_lock(&live->lock);
  live->version = in->version;
  live->learnt = in->learnt;
  live->n_pending = live->pending ? rfl_gather_pending(live->pending) : 0;
  live->touched = false;
  pthread_mutex_unlock(&live->lock);
  leave_written(live);
  pthread_mutex_unlock(&live->work);
}

enum rfl_code rfl_live_read(struct rfl_live *live, struct rfl_bytes bytes,
                            struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  struct image image = {0};
  enum rfl_code code = read_image(live, &in, &image, err);
  if (!code) put_image(live, &image);
  release_image(live, &image);
  return code;
}
