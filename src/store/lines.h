/* Lines: the lines of a text file, plain or compressed by gzip, one after the other.
 *
 *     RFL_TRY(rfl_lines_open(path, -1, &lines, err));
 *     for (;;) {
 *       RFL_TRY(rfl_lines_next(lines, &line, err));
 *       if (!line.p) break;                          // the end
 *       use(line.p, line.n);                         // until the next call
 *     }
 *     rfl_lines_release(lines);
 *
 * Without its line end ("\n", "\r\n"); the last line needs none. A byte order mark before
 * the first is left out. */
#ifndef RFL_STORE_LINES_H
#define RFL_STORE_LINES_H
#include "base/bytes.h"

struct rfl_lines;
/* RFL_EIO: the file and why. `limit`: bytes of a plain file at most, -1: as many as it
 * has now; what is appended later is not seen. */
enum rfl_code rfl_lines_open(const char *path, int64_t limit, struct rfl_lines **gives,
                             struct rfl_err *) RFL_CHECKED;
/* A line of more than 1 GB is RFL_EDATA, a file that is cut or damaged RFL_EIO. */
enum rfl_code rfl_lines_next(struct rfl_lines *, struct rfl_bytes *gives,
                             struct rfl_err *) RFL_CHECKED;
int64_t rfl_lines_limit(const struct rfl_lines *); /* to open it again alike; -1: gzip */
void rfl_lines_release(struct rfl_lines *);

#endif
