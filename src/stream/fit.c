/* A pass over rows that are cut into cells.
 *
 * Cell c is the rows [c * grid, (c + 1) * grid) of the input, counted over all frames,
 * rows with missing values included: which rows belong together does not depend on how
 * they were cut into frames. A cell that lies within one frame is a view of it; one that
 * straddles frames is joined by a gather, so that a learner sees the same block.
 *
 *     thread a   take 0, absorb ....... merge 0, take 2, absorb .... merge 2
 *     thread b   take 1, absorb .. wait ....... merge 1, take 3, absorb ... merge 3
 *
 * Threads take cells in order and absorb them into parts of their own at the same time;
 * the parts are merged into the state strictly in the order of the cells. Every sum is
 * therefore formed in one order, whatever the threads: the result is the same to the bit.
 * As cells are taken in order, all cells before one that is taken are done or in work, so
 * nobody waits for a turn that never comes; and of several cells that fail the first one
 * tells the error. */
#include "stream/fit.h"

#include <stdio.h>

#include "base/mem.h"
#include "num/gather.h"
#include "stream/shelf.h"

enum {
  WARM_PASSES = 5, /* Newton's first steps; a sample may be separated, so no more */
  WARM_CELLS = 4   /* with fewer a rough fit saves nothing */
};

struct slot { /* what one thread works with */
  struct rfl_workspace *ws;
  struct rfl_state *part;
};

struct pass {
  const struct rfl_learner *learner;
  const struct rfl_options *options;
  const struct rfl_recipe *recipe;
  const struct rfl_fit_input *in;
  const struct rfl_fit_job *job;
  struct rfl_shelf *shelf;
  struct rfl_state *state;
  struct rfl_state *seed; /* an empty part: what threads make theirs from, since part() of
                             the state would read it while another thread merges */
  uint64_t *start;        /* number of the first row of each frame, and of the end */
  uint64_t grid, stride, n_cells; /* cells 0, stride, 2 * stride, ...: n_cells of them */
  int32_t number;                 /* of the pass; 0: warm */
  pthread_t caller;
  int n_slots;
  struct slot *slot;

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t turned;
  uint64_t next, turn;
  uint64_t failed; /* the first cell that failed, UINT64_MAX: none */
  enum rfl_code code;
  struct rfl_err err;
};

/* The frame that holds row `row`: the last one that starts at or before it and is not
 * empty. */
static size_t find_frame(const struct pass *p, uint64_t row) {
  size_t low = 0, high = p->in->n_frames;
  while (high - low > 1) {
    size_t mid = low + (high - low) / 2;
    if (p->start[mid] <= row)
      low = mid;
    else
      high = mid;
  }
  return low;
}

static enum rfl_code add_all(struct rfl_gather *g, const struct rfl_block *block,
                             struct rfl_err *err) {
  for (size_t from = 0, taken; from < block->n; from += taken)
    RFL_TRY(rfl_gather_add(g, block, from, &taken, err));
  return RFL_OK;
}

/* The rows [row, end) of frame f that lie in it, as a slice whose frame is kept. */
static enum rfl_code slice(const struct pass *p, size_t f, uint64_t row, uint64_t end,
                           struct rfl_rows *gives, struct rfl_err *err) {
  uint64_t stop = p->start[f + 1] < end ? p->start[f + 1] : end;
  struct rfl_frame *frame;
  RFL_TRY(rfl_shelf_take(p->shelf, f, &frame, err));
  *gives = (struct rfl_rows){
      .frame = frame, .row = (uint32_t)(row - p->start[f]), .n = (uint32_t)(stop - row)};
  return RFL_OK;
}

static void let_go(const struct rfl_rows *rows) {
  rfl_frame_release((struct rfl_frame *)rows->frame);
}

static enum rfl_code absorb_joined(const struct pass *p, const struct slot *s,
                                   struct rfl_state *to, uint64_t row, uint64_t end,
                                   struct rfl_err *err) {
  struct rfl_gather *g = NULL;
  RFL_TRY(rfl_gather_new(rfl_recipe_layout(p->recipe), (uint32_t)p->grid, row, &g, err));
  enum rfl_code code = RFL_OK;
  for (size_t f = find_frame(p, row); !code && row < end; f++) {
    if (p->start[f + 1] == p->start[f]) continue;
    struct rfl_rows rows;
    struct rfl_block block = {0};
    code = slice(p, f, row, end, &rows, err);
    if (code) break;
    row += rows.n;
    code = rfl_recipe_apply(p->recipe, &rows, s->ws, &block, err);
    if (!code) code = add_all(g, &block, err);
    let_go(&rows);
  }
  const struct rfl_block *cell = code ? NULL : rfl_gather_block(g, true);
  if (cell && cell->n) code = p->learner->absorb(to, cell, err);
  rfl_gather_release(g);
  return code;
}

static enum rfl_code absorb_cell(const struct pass *p, const struct slot *s,
                                 struct rfl_state *to, uint64_t k, struct rfl_err *err) {
  uint64_t row = k * p->stride * p->grid, end = row + p->grid;
  uint64_t total = p->start[p->in->n_frames];
  if (end > total) end = total;
  rfl_workspace_seek(s->ws, row);
  size_t f = find_frame(p, row);
  if (p->start[f + 1] < end) return absorb_joined(p, s, to, row, end, err);
  struct rfl_rows rows;
  struct rfl_block block = {0};
  RFL_TRY(slice(p, f, row, end, &rows, err));
  enum rfl_code code = rfl_recipe_apply(p->recipe, &rows, s->ws, &block, err);
  block.first_row = row;
  if (!code && block.n) code = p->learner->absorb(to, &block, err);
  let_go(&rows);
  return code;
}

static bool take_cell(struct pass *p, uint64_t *gives) {
  pthread_mutex_lock(&p->lock);
  bool taken = p->next < p->n_cells && p->failed == UINT64_MAX;
  if (taken) *gives = p->next++;
  pthread_mutex_unlock(&p->lock);
  return taken;
}

/* Merging needs no lock of its own: only the thread whose turn it is touches the state.
 */
static void merge_in_turn(struct pass *p, const struct rfl_state *part, uint64_t k,
                          enum rfl_code code, struct rfl_err *err) {
  pthread_mutex_lock(&p->lock);
  while (!code && p->turn != k && p->failed > k) pthread_cond_wait(&p->turned, &p->lock);
  if (!code && p->failed > k) {
    pthread_mutex_unlock(&p->lock);
    code = p->learner->merge(p->state, part, err);
    pthread_mutex_lock(&p->lock);
    if (!code) p->turn++;
  }
  if (code && k < p->failed) {
    p->failed = k;
    p->code = code;
    p->err = *err;
  }
  pthread_cond_broadcast(&p->turned);
  pthread_mutex_unlock(&p->lock);
}

static enum rfl_code tick(const struct pass *p, uint64_t k, struct rfl_err *err) {
  if (!p->job->go_on || !pthread_equal(pthread_self(), p->caller)) return RFL_OK;
  double done = p->n_cells ? (double)k / (double)p->n_cells : 0;
  if (p->job->go_on(p->job->data, p->number, done)) return RFL_OK;
  return rfl_fail(err, RFL_EHOST, "The fit was interrupted.");
}

static void work(void *ctx, size_t task, int slot) {
  (void)task; /* one a thread: each takes cells until none are left */
  struct pass *p = ctx;
  struct slot *s = &p->slot[slot];
  uint64_t k;
  while (take_cell(p, &k)) {
    struct rfl_err err = {0};
    enum rfl_code code = tick(p, k, &err);
    if (!code) code = p->learner->part(p->seed, &s->part, &err);
    if (!code) code = absorb_cell(p, s, s->part, k, &err);
    merge_in_turn(p, s->part, k, code, &err);
  }
}

/* An ORDERED learner has no parts: cell after cell into the state, on the caller. */
static enum rfl_code run_in_order(struct pass *p, struct rfl_err *err) {
  for (uint64_t k = 0; k < p->n_cells; k++) {
    RFL_TRY(tick(p, k, err));
    RFL_TRY(absorb_cell(p, &p->slot[0], p->state, k, err));
  }
  return RFL_OK;
}

static enum rfl_code run_pass(struct pass *p, bool *again, struct rfl_err *err) {
  *again = false;
  p->next = p->turn = 0;
  p->failed = UINT64_MAX;
  rfl_shelf_clear(p->shelf);
  RFL_TRY(tick(p, 0, err)); /* once a pass at least: others may take all the cells */
  if (p->learner->merge) {
    RFL_TRY(p->learner->part(p->state, &p->seed, err));
    rfl_pool_run(p->job->pool, (size_t)p->n_slots, work, p);
    if (p->failed != UINT64_MAX) {
      if (err) *err = p->err;
      return p->code;
    }
  } else {
    RFL_TRY(run_in_order(p, err));
  }
  return p->learner->settle(p->state, again, err);
}

static void choose_cells(struct pass *p, uint64_t stride) {
  uint64_t total = p->start[p->in->n_frames], cells = (total + p->grid - 1) / p->grid;
  p->stride = stride;
  p->n_cells = (cells + stride - 1) / stride;
}

static enum rfl_code fit_roughly(struct pass *p, struct rfl_err *err) {
  p->number = 0;
  bool again = true;
  for (int i = 0; again && i < WARM_PASSES; i++) RFL_TRY(run_pass(p, &again, err));
  return RFL_OK;
}

/* A rough fit on some of the cells; the full one goes on from its iterate. What is wrong
 * with the sample (no events in it, say) is no error: the full fit begins from nothing
 * then, and meets what is wrong with the data itself. */
static enum rfl_code warm_up(struct pass *p, struct rfl_err *err) {
  if (!(p->job->warm > 0 && p->job->warm < 1) || !p->learner->merge) return RFL_OK;
  choose_cells(p, (uint64_t)(1 / p->job->warm + 0.5));
  if (p->stride < 2 || p->n_cells < WARM_CELLS) return RFL_OK;
  enum rfl_code code = fit_roughly(p, err);
  if (code == RFL_ENOMEM || code == RFL_EHOST) return code;
  struct rfl_state *fresh = NULL;
  if (code)
    code = p->learner->open(p->options, rfl_recipe_layout(p->recipe), &fresh, err);
  else
    code = p->learner->part(p->state, &fresh, err);
  if (code) return code;
  p->learner->release(p->state);
  p->state = fresh;
  return RFL_OK;
}

/* What the workspaces have counted so far, all together. */
static struct rfl_count count_all(const struct pass *p) {
  struct rfl_count sum = {0};
  for (int i = 0; i < p->n_slots; i++) {
    const struct rfl_count *c = rfl_workspace_count(p->slot[i].ws);
    sum.rows += c->rows;
    sum.used += c->used;
    sum.missing += c->missing;
    sum.unseen += c->unseen;
    sum.zero_weight += c->zero_weight;
    sum.pooled += c->pooled;
    if (!sum.first_unseen[0] && c->unseen)
      snprintf(sum.first_unseen, sizeof sum.first_unseen, "%s", c->first_unseen);
  }
  return sum;
}

static void take_off(struct rfl_count *c, const struct rfl_count *before) {
  c->rows -= before->rows;
  c->used -= before->used;
  c->missing -= before->missing;
  c->unseen -= before->unseen;
  c->zero_weight -= before->zero_weight;
  c->pooled -= before->pooled;
}

static enum rfl_code run_all(struct pass *p, struct rfl_fit_report *report,
                             struct rfl_err *err) {
  RFL_TRY(warm_up(p, err));
  choose_cells(p, 1);
  struct rfl_count before = count_all(p);
  p->number = 0;
  for (bool again = true; again;) {
    p->number++;
    RFL_TRY(run_pass(p, &again, err));
    if (p->number > 1) continue;
    report->count = count_all(p); /* every pass sees the same rows: they count once */
    take_off(&report->count, &before);
  }
  report->passes = p->number;
  return RFL_OK;
}

static enum rfl_code open_pass(struct pass *p, struct rfl_err *err) {
  size_t n = p->in->n_frames;
  p->start = rfl_alloc(n + 1, sizeof *p->start);
  p->slot = rfl_alloc((size_t)p->n_slots, sizeof *p->slot);
  if (!p->start || !p->slot) return rfl_no_memory(err);
  for (size_t f = 0; f < n; f++)
    p->start[f + 1] =
        p->start[f] + (p->in->frame ? p->in->frame[f]->n_rows : p->in->n_rows[f]);
  RFL_TRY(rfl_shelf_new(p->in, p->n_slots, &p->shelf, err));
  for (int i = 0; i < p->n_slots; i++)
    RFL_TRY(rfl_workspace_new(p->recipe, RFL_FOR_LEARNING, RFL_UNSEEN_ERROR,
                              &p->slot[i].ws, err));
  const struct rfl_layout *layout = rfl_recipe_layout(p->recipe);
  p->grid = p->learner->grid(layout);
  return p->learner->open(p->options, layout, &p->state, err);
}

static void close_pass(struct pass *p) {
  for (int i = 0; p->slot && i < p->n_slots; i++) {
    rfl_workspace_release(p->slot[i].ws);
    if (p->slot[i].part) p->learner->release(p->slot[i].part);
  }
  if (p->seed) p->learner->release(p->seed);
  if (p->state) p->learner->release(p->state);
  rfl_shelf_release(p->shelf);
  rfl_free(p->slot);
  rfl_free(p->start);
  pthread_cond_destroy(&p->turned);
  pthread_mutex_destroy(&p->lock);
}

enum rfl_code rfl_fit(const struct rfl_learner *learner,
                      const struct rfl_options *options, const struct rfl_recipe *recipe,
                      const struct rfl_fit_input *in, const struct rfl_fit_job *job,
                      struct rfl_state **gives, struct rfl_fit_report *report,
                      struct rfl_err *err) {
  struct pass p = {.learner = learner,
                   .options = options,
                   .recipe = recipe,
                   .in = in,
                   .job = job,
                   .caller = pthread_self(),
                   .n_slots = learner->merge ? rfl_pool_threads(job->pool) : 1};
  pthread_mutex_init(&p.lock, NULL);
  pthread_cond_init(&p.turned, NULL);
  struct rfl_fit_report done = {0};
  enum rfl_code code = open_pass(&p, err);
  if (!code) code = run_all(&p, &done, err);
  if (!code) {
    *gives = p.state;
    p.state = NULL;
    if (report) *report = done;
  }
  close_pass(&p);
  return code;
}
