/* A model's file: named sections under checksums, so that a model saved today is read by
 * every later version, and a reader never trusts a byte that it has not checked.
 *
 *     lead      "RFLMODL1", u32 version (1), u32 number of sections
 *     table     for each: 4 letters, u32 flags (bit 0: required), u64 offset from the
 *               file's begin, u64 size, u32 CRC32C of its bytes
 *               u32 CRC32C of everything before
 *     sections  back to back in the table's order, to the end of the file
 *
 * Little-endian. A reader that does not know a section skips it, unless it is required:
 * then the file is of a later version for it. "META" and "STAT" are what models have: a
 * value (store/value.h) that says what the model is, and the learner's state.
 *
 *     struct rfl_section s[2] = {{"META", true, meta}, {"STAT", true, state}};
 *     RFL_TRY(rfl_model_file_write(s, 2, &out, err));
 *     RFL_TRY(rfl_model_file_save(&rfl_disk_real, path, &out, false, err));
 *     RFL_TRY(rfl_model_file_load(path, &in, err));
 *     RFL_TRY(rfl_model_file_read((struct rfl_bytes){in.p, in.n}, &file, err));
 *
 * Saving writes a temporary file beside the path, syncs it and renames it: at every
 * moment the path holds the whole old file or the whole new one. */
#ifndef RFL_STORE_MODEL_FILE_H
#define RFL_STORE_MODEL_FILE_H
#include "store/disk.h"

enum { RFL_MAX_SECTIONS = 16 };
struct rfl_section {
  char tag[5];
  bool required;
  struct rfl_bytes data; /* borrowed */
};
struct rfl_model_file {
  size_t n;
  struct rfl_section section[RFL_MAX_SECTIONS];
};

/* Appends the file's bytes. */
enum rfl_code rfl_model_file_write(const struct rfl_section *, size_t n, struct rfl_buf *,
                                   struct rfl_err *) RFL_CHECKED;
/* Hostile bytes. RFL_EDATA: damaged, with the reason; RFL_ECONFIG: of a later version.
 * `known` tags, by commas ("META,STAT"): a required section that is not among them is of
 * a later version. Sections are views of the bytes. */
enum rfl_code rfl_model_file_read(struct rfl_bytes, const char *known,
                                  struct rfl_model_file *gives,
                                  struct rfl_err *) RFL_CHECKED;
/* NULL: it is not there. */
const struct rfl_section *rfl_model_file_find(const struct rfl_model_file *,
                                              const char *tag);

/* RFL_EIO names path and reason. Without `overwrite` a file that is there is RFL_EBUSY.
 */
enum rfl_code rfl_model_file_save(const struct rfl_disk *, const char *path,
                                  const struct rfl_buf *, bool overwrite,
                                  struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_model_file_load(const char *path, struct rfl_buf *,
                                  struct rfl_err *) RFL_CHECKED;

#endif
