/* Cursor: how far each ordered shard of a stream has been taken. A value; sorted by
 * (stream, shard), no place twice.
 *
 *     struct rfl_cursor c = {0};
 *     RFL_TRY(rfl_cursor_set(&c, "clicks", 3, 1041, err));   // everything of partition 3
 * below 1041 is taken rfl_cursor_release(&c);
 */
#ifndef RFL_FRAME_CURSOR_H
#define RFL_FRAME_CURSOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct rfl_place {
  char *stream;         /* topic, path or query text; owned by the cursor */
  int32_t shard, epoch; /* partition; leader epoch, -1 unknown */
  int64_t next; /* first position NOT taken. A position, never a count: control records
                   and compaction leave gaps */
};
struct rfl_cursor {
  size_t n;
  struct rfl_place *place;
};

void rfl_cursor_release(struct rfl_cursor *);
enum rfl_code rfl_cursor_copy(const struct rfl_cursor *, struct rfl_cursor *gives,
                              struct rfl_err *) RFL_CHECKED;
/* Set or add one place; its epoch becomes unknown. */
enum rfl_code rfl_cursor_set(struct rfl_cursor *, const char *stream, int32_t shard,
                             int64_t next, struct rfl_err *) RFL_CHECKED;
const struct rfl_place *rfl_cursor_find(const struct rfl_cursor *, const char *stream,
                                        int32_t shard); /* NULL: not there */
/* The same places at the same positions; epochs are hints and not compared. */
bool rfl_cursor_equal(const struct rfl_cursor *, const struct rfl_cursor *);
/* Whether every place of `a` is at or before the same place in `b`; a place that `b`
 * lacks counts as not before. */
bool rfl_cursor_reaches(const struct rfl_cursor *b, const struct rfl_cursor *a);
void rfl_cursor_write(const struct rfl_cursor *, struct rfl_buf *);
enum rfl_code rfl_cursor_read(struct rfl_reader *, struct rfl_cursor *gives,
                              struct rfl_err *) RFL_CHECKED; /* hostile bytes */

#endif
