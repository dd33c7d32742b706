/* A step that lets everything pass and folds the ids of the rows that it saw: a state
 * that no other order of rows, and no row more or less, gives. */
#ifndef RFL_TEST_STEP_H
#define RFL_TEST_STEP_H
#include "frame/flow.h"

struct fold_step {
  struct rfl_step base;
  uint64_t fold, rows, borders;
};
void fold_step_init(struct fold_step *);

#endif
