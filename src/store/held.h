/* Descriptors that only this process may hold: a forked child closes its copies as it
 * begins, so that what they stand for (a lock) ends with the process that took it.
 *
 *     rfl_held_add(&s->held, fd);      // s stays where it is
 *     ...
 *     fd = rfl_held_drop(&s->held);    // -1 in a forked child: nothing is left to close
 *
 * All functions [any thread]. */
#ifndef RFL_STORE_HELD_H
#define RFL_STORE_HELD_H

struct rfl_held {
  int fd;
  struct rfl_held *next;
};
void rfl_held_add(struct rfl_held *, int fd);
int rfl_held_drop(struct rfl_held *);

#endif
