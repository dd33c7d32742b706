/* What the glue's files of models offer each other: reading a recipe's plain list, and a
 * bench: a handle that owns whatever an entry makes on its way, so that nothing leaks
 * when R jumps.
 *
 *     struct r_bench *b;
 *     SEXP handle = PROTECT(r_bench_new(family, &b));
 *     code = r_recipe_make(list, &b->recipe, &err);
 *     r_finish(code, &err);
 *     ... make the result out of b ...
 *     r_handle_close(handle);
 */
#ifndef RFL_R_MODEL_H
#define RFL_R_MODEL_H
#include "design/levels.h"
#include "design/recipe.h"
#include "glue.h"
#include "num/gather.h"
#include "stream/fit.h"
#include "stream/live.h"

struct r_bench;
/* A learner as the glue sees it. Each has its own file, and a line in r_family_get(). */
struct r_family {
  const char *name;
  const struct rfl_learner *learner;
  double warm; /* share of the rows for a first rough fit; 0: none */
  const struct rfl_options *(*options)(SEXP list); /* in scratch memory; may raise */
  SEXP (*result)(struct r_bench *); /* a named list of what b->state tells; may raise */
};
struct r_bench {                     /* all of it is released with the handle */
  const struct rfl_learner *learner; /* of the state */
  struct rfl_recipe *recipe;
  struct rfl_state *state;
  struct rfl_workspace *ws;
  struct rfl_gather *pending;
  struct rfl_pool *pool;
  struct rfl_buf bytes;
  struct rfl_levels_search *search;
  struct rfl_levels *levels;
  size_t n_levels;
};
SEXP r_bench_new(const struct r_family *, struct r_bench **gives); /* NULL: no state */
const struct r_family *r_family_get(SEXP name); /* raises when there is none */
extern const struct r_family r_aft, r_bayes, r_ftrl, r_glm, r_kmeans;

/* The recipe that compile_recipe() of R describes. Reading the list may raise: so only
 * with everything held in handles. */
enum rfl_code r_recipe_make(SEXP list, struct rfl_recipe **gives,
                            struct rfl_err *) RFL_CHECKED;
/* b->state out of a raw vector. */
enum rfl_code r_state_read(struct r_bench *b, SEXP raw, struct rfl_err *) RFL_CHECKED;
/* A raw vector out of a state, by way of b->bytes. */
SEXP r_state_write(struct r_bench *b, const struct rfl_state *);
SEXP r_counts(const struct rfl_count *); /* a named list */

/* The live model behind a handle, borrowed; raises when it is from another session. */
struct rfl_live *r_live_get(SEXP handle);

#endif
