/* The live model: one state that one writer learns and many readers score with, in one
 * process. Its lock lets a waiting writer go first. Learning solves on a copy and takes
 * the lock only to swap. Everything [any thread]; reference counted.
 *
 *     RFL_TRY(rfl_live_new(&rfl_glm, takes_state, recipe, "m", 1000, 1.0, &live, err));
 *     RFL_TRY(rfl_live_claim(live, me, err));                    // RFL_EBUSY names the
 * holder RFL_TRY(rfl_live_learn(live, me, &rows, ws, err)); rfl_live_unclaim(live, me);
 *
 * Invariant: the version grows by one with every learning block (with every row of an
 * ORDERED learner, whose blocks are rows); a score call sees one version from beginning
 * to end. */
#ifndef RFL_STREAM_LIVE_H
#define RFL_STREAM_LIVE_H
#include "design/recipe.h"
#include "num/learner.h"

struct rfl_live;
/* Takes the state on success; keeps the recipe. block: rows of a learning block. keep:
 * forgetting factor per row (1: never). */
enum rfl_code rfl_live_new(const struct rfl_learner *, struct rfl_state *takes,
                           struct rfl_recipe *, const char *name, uint32_t block,
                           double keep, struct rfl_live **gives,
                           struct rfl_err *) RFL_CHECKED;
struct rfl_live *rfl_live_keep(struct rfl_live *);
void rfl_live_release(struct rfl_live *);
const char *rfl_live_name(const struct rfl_live *);
const struct rfl_learner *rfl_live_learner(const struct rfl_live *);
struct rfl_recipe *rfl_live_recipe(const struct rfl_live *); /* borrowed */
uint64_t rfl_live_version(struct rfl_live *);
uint64_t rfl_live_learnt(
    struct rfl_live *); /* rows learnt since it was made, pending ones not counted */
size_t rfl_live_pending(struct rfl_live *); /* rows of the unfilled block */
bool rfl_live_touched(
    struct rfl_live *); /* learnt anything since it was made or restored */
/* Other rows a learning block than it was made with. RFL_EBUSY: rows are pending, or a
 * writer holds it. */
enum rfl_code rfl_live_set_block(struct rfl_live *, uint32_t block,
                                 struct rfl_err *) RFL_CHECKED;

enum rfl_code rfl_live_claim(struct rfl_live *, const char *writer,
                             struct rfl_err *) RFL_CHECKED;
void rfl_live_unclaim(struct rfl_live *, const char *writer);
/* What: as in score() of the learner. The version that scored is given. */
enum rfl_code rfl_live_score(struct rfl_live *, const struct rfl_rows *,
                             struct rfl_workspace *, int what, double *out,
                             uint64_t *gives_version, struct rfl_err *) RFL_CHECKED;
/* The read side, for as many score calls of rfl_score_rows() as shall see one version:
 * the state, borrowed until leave. No rfl_live_score() of the same model in between: it
 * would wait for a writer who waits for the caller. */
const struct rfl_state *rfl_live_enter(struct rfl_live *, uint64_t *gives_version);
void rfl_live_leave(struct rfl_live *);
/* The rows of the slice that have all that learning needs. Whole blocks are learnt, the
 * rest waits. */
enum rfl_code rfl_live_learn(struct rfl_live *, const char *writer,
                             const struct rfl_rows *, struct rfl_workspace *,
                             struct rfl_err *) RFL_CHECKED;
/* Learn the rows of the unfilled block as a short one. */
enum rfl_code rfl_live_flush(struct rfl_live *, const char *writer,
                             struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_live_copy(struct rfl_live *, struct rfl_state **gives,
                            uint64_t *gives_version, struct rfl_err *) RFL_CHECKED;
/* Checkpoint part: state, version, size and pending rows of the block. The same bytes
 * whenever the model is the same. */
enum rfl_code rfl_live_write(struct rfl_live *, struct rfl_buf *,
                             struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_live_read(struct rfl_live *, struct rfl_bytes, struct rfl_err *)
    RFL_CHECKED; /* hostile bytes; replaces all of it, the block's size and the forgetting
                    too, but for the name */

#endif
