/* Processes over a world in memory (ends.h): scripts, what a process is made of, and when
 * two worlds look the same. */
#ifndef RFL_TEST_PROCESS_H
#define RFL_TEST_PROCESS_H
#include "base/clock.h"
#include "ends.h"
#include "stream/query.h"

enum { BLOCK = 7, MOST_PROCESSES = 12, MOST_STATE = 8192 };

/* ROWS of one or two pieces, as {place, first, next}. */
#define ONE(a, b, c)                                 \
  {                                                  \
    .what = RFL_ROWS, .n = 1, .piece = { {a, b, c} } \
  }
#define TWO(a, b, c, d, e, f)                                   \
  {                                                             \
    .what = RFL_ROWS, .n = 2, .piece = { {a, b, c}, {d, e, f} } \
  }
/* Three batches, the second cut by the border: short, for all pairs of faults. */

enum { /* what a setting has; SAVES: a checkpoint a batch, else as seldom as can be */
       UNIT = 1,
       BOUND = 2,
       GLM = 4,
       STEP = 8,
       SAVES = 16,
       SCORES = 32 /* only: nothing is learnt, so nothing needs a checkpoint */
};
struct setting { /* of a sweep */
  const char *name;
  const struct event *script;
  size_t n_script;
  unsigned with;
};

struct image { /* of the model and the step at the end */
  size_t n;
  uint8_t bytes[MOST_STATE];
};

/* A fresh model that learns in blocks of BLOCK rows. */
enum rfl_code new_live(const struct setting *, struct rfl_recipe *,
                       struct rfl_live **gives, struct rfl_err *);
void open_world(struct world *, const struct setting *);
/* One process, from its beginning to its end. */
enum rfl_code run_process(const struct setting *, struct world *, struct image *,
                          struct rfl_query_status *, struct rfl_err *);
/* Processes follow each other until one comes to the end. */
bool run_plan(const struct setting *, struct world *, struct image *);

/* Every row once, with the score and version that it has in the other world. */
bool same_rows(const struct world *, const struct world *calm);
/* Every row at least once, and always with the same score. */
bool no_row_lost(const struct world *, const struct world *calm);

#endif
