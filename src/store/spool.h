/* Spool: frames in a file on local disk that has no name, so that later passes over more
 * rows than memory holds need not decode again.
 *
 *     RFL_TRY(rfl_spool_new("/var/tmp", schema, &spool, err));
 *     RFL_TRY(spool->put(spool, frame, err));      // chunk 0: all rows of the frame
 *     RFL_TRY(spool->seal(spool, &n, err));
 *     RFL_TRY(spool->get(spool, k, &frame, err));  // [any]; gives
 *
 * What comes back has the rows, columns and spans that were put, not the tally. The file
 * is for its owner only and is unlinked as it is made: whatever ends the process, nothing
 * is left. A chunk that fails to be written (RFL_EIO: the folder, the reason and the
 * bytes) leaves the spool as it was. A frame that was given may outlive the spool. */
#ifndef RFL_STORE_SPOOL_H
#define RFL_STORE_SPOOL_H
#include "store/disk.h"

enum rfl_code rfl_spool_new(const char *folder, struct rfl_schema *,
                            struct rfl_spool **gives, struct rfl_err *) RFL_CHECKED;
/* Over other system calls: for tests. */
enum rfl_code rfl_spool_new_on(const struct rfl_disk *, const char *folder,
                               struct rfl_schema *, struct rfl_spool **gives,
                               struct rfl_err *) RFL_CHECKED;
uint64_t rfl_spool_bytes(const struct rfl_spool *); /* on disk */

#endif
