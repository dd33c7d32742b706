/* Frames of made-up rows, the same rows however they are cut: row i of place 0 has the id
 * i; every 11th has no y, every 13th no x. */
#ifndef RFL_TEST_ROWS_H
#define RFL_TEST_ROWS_H
#include "frame/builder.h"

/* The schema x, id, y, .key, .timestamp. */
enum rfl_code rows_schema(struct rfl_schema **gives, struct rfl_err *err);
enum rfl_code rows_builder(struct rfl_builder **gives, struct rfl_err *err);
/* Rows [from, from + n). */
enum rfl_code rows_frame(struct rfl_builder *, int64_t from, uint32_t n,
                         struct rfl_frame **gives, struct rfl_err *err);
bool row_has_x(int64_t i);
bool row_has_y(int64_t i);

struct cut { /* rows [0, n) in frames */
  struct rfl_frame **frame;
  size_t n_frames;
};
/* In frames of `size` rows; size 0: of random sizes from 0 to 40, by the seed. */
enum rfl_code cut_rows(int64_t n, uint32_t size, uint64_t seed, struct cut *gives,
                       struct rfl_err *err);
void cut_release(struct cut *);

#endif
