/* Dictionary: the distinct strings of a factor column, in the order first seen.
 * Append-only while frames share it.
 *
 *     int32_t code;
 *     RFL_TRY(rfl_dict_code(dict, "mobile", 6, &code, err));   // adds it when new
 *     struct rfl_bytes text = rfl_dict_level(dict, code);      // valid as long as the
 * dictionary
 *
 * Threads: one writer; any thread may read levels below a count that was published to it
 * with a frame, while the writer goes on adding: levels never move. Invariant: level k
 * was the (k+1)-th distinct string added. */
#ifndef RFL_FRAME_DICT_H
#define RFL_FRAME_DICT_H
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct rfl_dict;
enum rfl_code rfl_dict_new(struct rfl_dict **gives, struct rfl_err *) RFL_CHECKED;
struct rfl_dict *rfl_dict_keep(struct rfl_dict *); /* [any] */
void rfl_dict_release(struct rfl_dict *);          /* [any] */
enum rfl_code rfl_dict_code(struct rfl_dict *, const char *text, size_t n, int32_t *gives,
                            struct rfl_err *) RFL_CHECKED;
int32_t rfl_dict_find(const struct rfl_dict *, const char *text,
                      size_t n); /* the writer's thread only; -1: not there */
int32_t rfl_dict_size(const struct rfl_dict *); /* the writer's thread only */
struct rfl_bytes rfl_dict_level(const struct rfl_dict *,
                                int32_t code); /* bytes are followed by a NUL */
/* Forget the levels from `size` on (a row that was rolled back). No frame may have seen
 * them. */
void rfl_dict_cut(struct rfl_dict *, int32_t size);

#endif
