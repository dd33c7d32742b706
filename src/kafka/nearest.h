/* The name that somebody who wrote `name` probably meant: for "did you mean" in messages.
 *
 *     const char *meant = rfl_nearest("adclick", topics, n);   // "adclicks", or NULL
 */
#ifndef RFL_KAFKA_NEAREST_H
#define RFL_KAFKA_NEAREST_H
#include <stddef.h>

/* Of the candidates at most a third of the letters away (swaps, changes, insertions) the
 * nearest, the first of equals; NULL when none is near. Borrowed. */
const char *rfl_nearest(const char *name, const char *const *candidate, size_t n);

#endif
