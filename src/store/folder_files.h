/* The files of a checkpoint folder, one at a time: `<name>.ckpt` each, `.<name>.tmp`
 * while it is written, `.lock` with the pid of who holds the folder. What a store does
 * with them is in folder.c.
 *
 *     struct rfl_folder f = {.disk = &rfl_disk_real, .path = "ckpt"};
 *     RFL_TRY(rfl_folder_write(&f, "3-ab", &cursor, parts, n, err));    // durable now
 *
 * Invariant: a `.ckpt` appears whole or not at all, by rename. */
#ifndef RFL_STORE_FOLDER_FILES_H
#define RFL_STORE_FOLDER_FILES_H
#include "store/checkpoint.h"
#include "store/disk.h"

struct rfl_folder {
  const struct rfl_disk *disk;
  const char *path;
};

/* Makes the folder and those above it that are missing. */
enum rfl_code rfl_folder_make(const struct rfl_folder *, struct rfl_err *) RFL_CHECKED;
/* RFL_EBUSY names the process that holds it. The descriptor is the lock. */
enum rfl_code rfl_folder_lock(const struct rfl_folder *, int *gives_fd,
                              struct rfl_err *) RFL_CHECKED;
/* Removes what a save that was cut off has left. */
enum rfl_code rfl_folder_sweep(const struct rfl_folder *, struct rfl_err *) RFL_CHECKED;
/* Names, in order; each and the array by rfl_free. */
enum rfl_code rfl_folder_names(const struct rfl_folder *, char ***gives, size_t *n,
                               struct rfl_err *) RFL_CHECKED;
void rfl_folder_names_free(char **, size_t n);

enum rfl_code rfl_folder_write(const struct rfl_folder *, const char *name,
                               const struct rfl_cursor *, const struct rfl_part *,
                               size_t n, struct rfl_err *) RFL_CHECKED;
/* RFL_EDATA: it is damaged. `gives_parts` NULL: only the head is read. */
enum rfl_code rfl_folder_read(const struct rfl_folder *, const char *name,
                              struct rfl_checkpoint *gives, struct rfl_part **gives_parts,
                              struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_folder_remove(const struct rfl_folder *, const char *name,
                                struct rfl_err *) RFL_CHECKED;

#endif
