/* A set of worlds between two processes. What a dead process leaves is its world: when
 * two worlds are the same byte by byte in all that a process or a judge can see, then
 * what follows is the same, fault for fault. So a sweep that has followed one need not
 * follow the other.
 *
 *     struct meeting *m = worlds_meet(&worlds, &world);   // NULL: no memory
 *     if (m->seen++) ...                                  // not for the first time
 *     worlds_release(&worlds);
 */
#ifndef RFL_TEST_WORLDS_H
#define RFL_TEST_WORLDS_H
#include "base/bytes.h"
#include "ends.h"

struct meeting {
  uint64_t hash;
  struct rfl_buf bytes;
  uint64_t seen;    /* the caller's: times that it was met */
  uint64_t seconds; /* the caller's: plans tried from here on; 0: none yet */
};
struct worlds {
  struct meeting *meeting; /* moves when the set grows */
  size_t n, cap;
  uint32_t *slot; /* index + 1; 0: empty */
  size_t n_slots; /* a power of 2 */
  struct rfl_buf scratch;
};
struct meeting *worlds_meet(struct worlds *, const struct world *);
void worlds_release(struct worlds *);

#endif
