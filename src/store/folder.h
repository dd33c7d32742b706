/* Checkpoints in a folder: a store whose save() is durable when it returns (temporary
 * file, fsync, rename, fsync of the folder). One file a checkpoint, sections with CRC32C;
 * names sort by age. Leftover temporary files are removed when the store is opened.
 *
 *     RFL_TRY(rfl_folder_store_new("ckpt", &store, err));     // makes the folder; flock
 * tells a second live holder (RFL_EBUSY)
 *
 * Reading survives anything: a damaged or cut file is passed over for the next older
 * whole one, and said by rfl_folder_store_note(). */
#ifndef RFL_STORE_FOLDER_H
#define RFL_STORE_FOLDER_H
#include "frame/flow.h"

enum rfl_code rfl_folder_store_new(const char *path, struct rfl_store **gives,
                                   struct rfl_err *) RFL_CHECKED;
const char *rfl_folder_store_note(
    const struct rfl_store *); /* what was passed over at the last load, or "" */
/* Names of what is there, oldest first; each and the array by rfl_free. */
enum rfl_code rfl_folder_store_list(const struct rfl_store *, char ***gives, size_t *n,
                                    struct rfl_err *) RFL_CHECKED;

#endif
