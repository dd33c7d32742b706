/* What the tests of this floor share: a decoder with its builder, random numbers, files,
 * and a text that grows. */
#ifndef RFL_TEST_DECODE_HELP_H
#define RFL_TEST_DECODE_HELP_H
#include "decode/json.h"

struct session { /* a schema, what decodes into it, and what was decoded last */
  struct rfl_schema *schema;
  struct rfl_builder *builder;
  struct rfl_decoder *decoder;
  struct rfl_fault why;
  struct rfl_err err;
};
enum rfl_code session_open(struct session *, const struct rfl_field *, size_t n);
void session_close(struct session *);
/* Decodes a record of exactly n bytes on the heap, so that the sanitizer sees every read
 * past it. Commits, or rolls back. */
enum rfl_code session_take(struct session *, const char *text, size_t n);
enum rfl_code session_take_text(struct session *, const char *text);
/* The rows so far, as a frame of the caller; NULL when there is no memory. */
struct rfl_frame *session_frame(struct session *);
/* One record to a frame of one row; NULL when it is bad. */
struct rfl_frame *session_row(struct session *, const char *text);

/* Whether two cells are both missing or hold the same bits, or text. */
bool same_cell(const struct rfl_column *x, size_t i, const struct rfl_column *y,
               size_t j);
struct rfl_bytes cell_text(const struct rfl_column *, size_t row);

struct dice { /* a sequence of random numbers: set the seed */
  uint64_t seed, next;
};
uint64_t roll(struct dice *);
size_t below(struct dice *, size_t n);

struct text {
  size_t n;
  char p[1 << 16];
};
void say(struct text *, const char *what, size_t n);
void say_text(struct text *, const char *what);
/* A character of any width as UTF-8. */
void say_char(struct text *, unsigned code);

/* A file, by malloc; NULL when it cannot be read. */
char *read_file(const char *path, size_t *n);
/* $RIFFLE_DATA/<path>; NULL when RIFFLE_DATA is not set. */
const char *data_path(const char *path);

#endif
