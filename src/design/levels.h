/* Levels: what the first pass of a fit finds: the levels of category columns that occur
 * in rows which are complete in every used column, so that a level whose rows are all
 * left out is not in the model (as in R's model.frame()).
 *
 *     struct rfl_levels_spec spec = {.used = names, .n_used = 3, .category = names,
 *                                    .n = 1, .limit = 1000};
 *     RFL_TRY(rfl_levels_find(frames, n_frames, &spec, &levels, err));
 *     for (int32_t k = 0; k < levels[0].n; k++) use(rfl_levels_text(&levels[0], k));
 *     rfl_levels_free(levels, 1);
 *
 * Levels are in C order: by bytes, whatever the locale. Invariant: texts live as long as
 * the set. */
#ifndef RFL_DESIGN_LEVELS_H
#define RFL_DESIGN_LEVELS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "frame/frame.h"

struct rfl_levels_spec {
  const char *const *used; /* columns that a row must have, beside the
                             category itself: all those of the fit */
  size_t n_used;
  const char *const *category; /* columns whose levels are wanted */
  size_t n;
  int32_t limit; /* of levels of a string column; 0: none */
};
struct rfl_levels {
  struct rfl_dict *dict;
  int32_t n, *order; /* dictionary codes in C order */
  uint64_t *rows;    /* in which each code occurs: see rfl_levels_rows() */
  int32_t cap;       /* of `rows` */
  bool over;         /* a string column with more than `limit` levels: n is 0 */
};

/* The search a frame at a time, for rows that are not all in memory; close() does not
 * release. RFL_ESCHEMA: a frame lacks a column, or a category is a time or raw. */
struct rfl_levels_search;
enum rfl_code rfl_levels_search_new(const struct rfl_levels_spec *,
                                    struct rfl_levels_search **gives,
                                    struct rfl_err *) RFL_CHECKED; /* borrows its texts */
enum rfl_code rfl_levels_search_take(struct rfl_levels_search *, const struct rfl_frame *,
                                     struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_levels_search_close(struct rfl_levels_search *,
                                      struct rfl_levels **gives,
                                      struct rfl_err *) RFL_CHECKED;
void rfl_levels_search_release(struct rfl_levels_search *);
/* The same over frames in memory. */
enum rfl_code rfl_levels_find(struct rfl_frame *const *, size_t n_frames,
                              const struct rfl_levels_spec *, struct rfl_levels **gives,
                              struct rfl_err *) RFL_CHECKED;
const char *rfl_levels_text(const struct rfl_levels *, int32_t k);
uint64_t rfl_levels_rows(const struct rfl_levels *, int32_t k);
void rfl_levels_free(struct rfl_levels *, size_t n); /* the array too */

#endif
