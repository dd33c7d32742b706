/* What the files of the ends in memory share. */
#ifndef RFL_TEST_ENDS_INSIDE_H
#define RFL_TEST_ENDS_INSIDE_H
#include "ends.h"

void ends_wrong(struct world *, const char *what);
/* Begins a call. *kind: the fault that it meets; anything but RFL_OK is its answer. */
enum rfl_code ends_enter(struct ends *, enum call, enum fault_kind *kind,
                         struct rfl_err *);
/* Ends a call that happened. */
enum rfl_code ends_leave(struct ends *, enum fault_kind, struct rfl_err *);
enum rfl_code ends_to_cursor(const int64_t at[PLACES], struct rfl_cursor *gives,
                             struct rfl_err *);
void ends_from_cursor(const struct rfl_cursor *, int64_t at[PLACES]);

enum rfl_code ends_open_source(struct ends *, struct rfl_err *);
void ends_close_source(struct ends *);

#endif
