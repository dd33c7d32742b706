/* Files of lines as a source of frames: each line one record, one file behind the other.
 *
 *     struct rfl_file_options o = {.path = paths, .n = n};
 *     RFL_TRY(rfl_file_source_new(&o, schema, decoder, &source, err));
 *     RFL_TRY(source->start(source, NULL, err));
 *
 * A file is a place (its name, shard 0); line k, from 0, is position k, and an empty line
 * a position without a row. Plain files end where they ended when they were first opened.
 * Fills the schema's meta fields .topic (the name), .partition, .offset, .error, .raw;
 * the decoder fills the others. */
#ifndef RFL_STORE_FILE_SOURCE_H
#define RFL_STORE_FILE_SOURCE_H
#include "frame/flow.h"

enum rfl_on_bad_line {
  RFL_LINE_FAIL, /* RFL_EDATA names file, line, field and reason */
  RFL_LINE_SKIP,
  RFL_LINE_KEEP /* a row of NA with .error and .raw, where the schema has them */
};
struct rfl_file_options {
  const char *const *path; /* in C order, none twice */
  const char *const *name; /* what they are called in messages, places and .topic; NULL:
                              by their paths */
  size_t n;
  enum rfl_on_bad_line on_bad;
  double max_records;  /* INFINITY: all */
  uint32_t frame_rows; /* 0: 8,192 */
};
/* Takes the decoder (also on failure); keeps the schema. Files are opened when they are
 * read: RFL_EIO names one that is gone then. */
enum rfl_code rfl_file_source_new(const struct rfl_file_options *, struct rfl_schema *,
                                  struct rfl_decoder *takes, struct rfl_source **gives,
                                  struct rfl_err *) RFL_CHECKED;

#endif
