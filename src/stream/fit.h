/* Batch fits: the driver that makes cuts and threads invisible. Rows are cut into cells
 * of the learner's grid, cells are absorbed into parts (on a pool when there is one) and
 * merged in the order of the cells. Rows that memory does not hold are got frame by frame
 * and pass by pass, a few frames at a time. Below it: one learning block, online learning
 * of a value, scores of a slice.
 *
 *     struct rfl_fit_input in = {.frame = frames, .n_frames = n};
 *     RFL_TRY(rfl_fit(&rfl_glm, &o.base, recipe, &in, &job, &state, &report, err));
 */
#ifndef RFL_STREAM_FIT_H
#define RFL_STREAM_FIT_H
#include "base/thread.h"
#include "design/recipe.h"
#include "num/learner.h"

struct rfl_fit_input {            /* frames in canonical order */
  struct rfl_frame *const *frame; /* kept in memory; NULL: got when they are needed */
  size_t n_frames;
  const uint32_t *n_rows; /* of each, when they are got */
  enum rfl_code (*get)(void *data, size_t k, struct rfl_frame **gives,
                       struct rfl_err *); /* [any] */
  void *data;
};
struct rfl_fit_job {
  struct rfl_pool *pool; /* NULL: the caller's thread only */
  bool (*go_on)(void *data, int pass,
                double done); /* between cells, on the caller's thread; false: leave with
                                 RFL_EHOST */
  void *data;
  double warm; /* share of the rows for a first rough fit, 0: none. Cells are chosen by
                  number: the same on every run. Left out where the rows are few */
};
struct rfl_fit_report {
  struct rfl_count count; /* of the rows, once */
  int32_t passes;
};
enum rfl_code rfl_fit(const struct rfl_learner *, const struct rfl_options *,
                      const struct rfl_recipe *, const struct rfl_fit_input *,
                      const struct rfl_fit_job *, struct rfl_state **gives,
                      struct rfl_fit_report *, struct rfl_err *) RFL_CHECKED;

/* One learning block: absorb and settle until the learner is content, then renew with
 * keep (per row) to the power of the block's rows. On failure the state is not to be used
 * any more. */
enum rfl_code rfl_learn_block(const struct rfl_learner *, struct rfl_state *,
                              const struct rfl_block *, double keep,
                              struct rfl_err *) RFL_CHECKED;
/* Online learning on given rows, in place: blocks of as many rows as the gather was made
 * for; what does not fill one waits in `pending`. With `flush` the rest is learnt as a
 * short block, and the gather is then to be released. An ORDERED learner learns every row
 * at once and needs no gather. `versions` grows by one a block (a row if ORDERED). */
struct rfl_gather;
enum rfl_code rfl_learn_rows(const struct rfl_learner *, struct rfl_state *,
                             const struct rfl_block *, struct rfl_gather *pending,
                             double keep, bool flush, uint64_t *versions,
                             struct rfl_err *) RFL_CHECKED;
/* One score a row of the slice: out[column * rows->n + i]; missing scores are NaN with
 * the payload of R's NA_real_. */
enum rfl_code rfl_score_rows(const struct rfl_learner *, const struct rfl_state *,
                             const struct rfl_recipe *, struct rfl_workspace *,
                             const struct rfl_rows *, int what, double *out,
                             struct rfl_err *) RFL_CHECKED;

#endif
