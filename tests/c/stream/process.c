#include "process.h"

#include <stdio.h>
#include <string.h>

#include "learn/glm.h"
#include "step.h"
#include "tiny.h"

static const int64_t RARELY = 3600 * (int64_t)RFL_SECOND;

/* A GLM must have been fitted before it learns online: on a few made-up rows. */
static enum rfl_code fit_first(const struct rfl_learner *learner, struct rfl_state *state,
                               struct rfl_err *err) {
  enum { N = 12 };
  double x[N], id[N], y[N];
  for (int i = 0; i < N; i++) {
    x[i] = 0.1 * (i * 5 % 7);
    id[i] = 100.0 * (i * 3 % 8);
    y[i] = 1 + x[i] - 0.001 * id[i] + 0.2 * (i % 3);
  }
  const double *dense[] = {x, id};
  struct rfl_block block = {.n = N, .n_dense = 2, .dense = dense, .y = y};
  for (bool again = true; again;) {
    RFL_TRY(learner->absorb(state, &block, err));
    RFL_TRY(learner->settle(state, &again, err));
  }
  return RFL_OK;
}

enum rfl_code new_live(const struct setting *s, struct rfl_recipe *recipe,
                       struct rfl_live **gives, struct rfl_err *err) {
  struct tiny_options tiny = {.passes = 1};
  struct rfl_glm_options glm = {.family = RFL_GAUSSIAN};
  const struct rfl_learner *learner = (s->with & GLM) ? &rfl_glm : &rfl_tiny;
  struct rfl_state *state = NULL;
  RFL_TRY(learner->open((s->with & GLM) ? &glm.base : &tiny.base,
                        rfl_recipe_layout(recipe), &state, err));
  enum rfl_code code = (s->with & GLM) ? fit_first(learner, state, err) : RFL_OK;
  if (!code) code = rfl_live_new(learner, state, recipe, "m", BLOCK, 1.0, gives, err);
  if (code) learner->release(state);
  return code;
}

static enum rfl_code look(struct rfl_live *live, const struct fold_step *step,
                          struct image *gives, struct rfl_err *err) {
  struct rfl_buf buf = {0};
  enum rfl_code code = rfl_live_write(live, &buf, err);
  if (!code && step) code = step->base.write(&step->base, &buf, err);
  gives->n = 0;
  if (!code && buf.n <= sizeof gives->bytes) {
    gives->n = buf.n;
    memcpy(gives->bytes, buf.p, buf.n);
  }
  rfl_buf_release(&buf);
  return code;
}

enum rfl_code run_process(const struct setting *s, struct world *w, struct image *image,
                          struct rfl_query_status *status, struct rfl_err *err) {
  struct ends e;
  struct rfl_live *live = NULL;
  struct rfl_recipe *recipe = NULL;
  RFL_TRY(ends_open(&e, w, err));
  enum rfl_code code = tiny_recipe(&recipe, err);
  if (!code) code = new_live(s, recipe, &live, err);
  struct fold_step step;
  struct rfl_step *steps = &step.base;
  fold_step_init(&step);
  struct rfl_sink *sink[SINKS] = {&e.sink[0], &e.sink[1]};
  struct rfl_query_spec spec = {.name = "q",
                                .source = &e.source,
                                .score = {.live = live},
                                .learn = s->with & SCORES ? NULL : live,
                                .learn_unseen = RFL_UNSEEN_REFERENCE,
                                .step = &steps,
                                .n_steps = s->with & STEP ? 1 : 0,
                                .sink = sink,
                                .n_sinks = SINKS,
                                .unit = (s->with & UNIT) ? &e.unit : NULL,
                                .store = &e.store,
                                .max_batch = 1000,
                                .save_every_ns = s->with & SAVES ? 0 : RARELY,
                                .drain_ns = RFL_SECOND};
  const char *keep[] = {"id"};
  spec.keep = keep;
  spec.n_keep = 1;
  if (!code) code = rfl_query_run(&spec, status, err);
  if (!code) code = look(live, s->with & STEP ? &step : NULL, image, err);
  rfl_live_release(live);
  rfl_recipe_release(recipe);
  ends_close(&e);
  return code;
}

bool run_plan(const struct setting *s, struct world *w, struct image *image) {
  for (int i = 0; i < MOST_PROCESSES; i++) {
    struct rfl_query_status status;
    struct rfl_err err = {0};
    enum rfl_code code = run_process(s, w, image, &status, &err);
    if (!code && status.phase == RFL_QUERY_DONE) return true;
    if (code == RFL_EIO || code == RFL_EFENCED) continue;
    printf("# a process ended with code %d: %s\n", code, err.message);
    return false;
  }
  printf("# no process came to the end\n");
  return false;
}

void open_world(struct world *w, const struct setting *s) {
  world_new(w, s->script, s->n_script, (s->with & UNIT));
  w->bound_store = (s->with & BOUND);
}

/* ---- two worlds ---- */

static bool same_row(const struct seen *a, const struct seen *b) {
  return a->place == b->place && a->position == b->position && a->score == b->score &&
         a->version == b->version && a->batch == b->batch;
}

bool same_rows(const struct world *w, const struct world *calm) {
  for (int k = 0; k < SINKS; k++) {
    if (w->rows[k] != calm->rows[k]) return false;
    for (size_t i = 0; i < w->rows[k]; i++)
      if (!same_row(&w->row[k][i], &calm->row[k][i])) return false;
  }
  return true;
}

bool no_row_lost(const struct world *w, const struct world *calm) {
  for (int k = 0; k < SINKS; k++) {
    size_t known = 0;
    for (size_t i = 0; i < calm->rows[k]; i++) {
      bool found = false;
      for (size_t j = 0; j < w->rows[k]; j++) {
        bool same = same_row(&w->row[k][j], &calm->row[k][i]);
        found = found || same;
        known += same;
      }
      if (!found) return false;
    }
    if (known != w->rows[k]) return false;
  }
  return true;
}
