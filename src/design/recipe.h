/* Recipe: a compiled formula. Turns rows of a frame into a block; frozen, used by any
 * number of threads, each with a workspace of its own, and saved with the model.
 *
 *     RFL_TRY(rfl_recipe_new(&spec, &recipe, err));
 *     RFL_TRY(rfl_workspace_new(recipe, RFL_FOR_LEARNING, RFL_UNSEEN_ERROR, &ws, err));
 *     RFL_TRY(rfl_recipe_apply(recipe, &rows, ws, &block, err));      // block views live
 * in ws or in the frame
 *
 * Invariant: columns, names and base levels are those of R's model.matrix() on the same
 * data with factor levels in C order. A missing value (or NaN, Inf) in a used column
 * leaves the row out and counts it; +-Inf counts as missing only in learning's sense of
 * R: na.omit keeps Inf, so Inf is RFL_EDATA when learning, a missing score when scoring.
 */
#ifndef RFL_DESIGN_RECIPE_H
#define RFL_DESIGN_RECIPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "frame/frame.h"
#include "num/block.h"
#include "num/layout.h"

enum rfl_variable_kind { RFL_NUMBER, RFL_CATEGORY, RFL_HASHED };
struct rfl_variable { /* a column of the frame that the formula uses */
  const char *name;
  /* HASHED: hashed(name, with...), any type: the slot of a value is the hash of seed, the
   * names and the canonical texts, by 2^k slots. 0 slots: an open set, 64 bits a value. A
   * missing value is a value of its own. */
  size_t n_with;
  const char *const *with;
  int32_t slots;
  uint64_t seed;
  enum rfl_variable_kind kind; /* logical is a category with the levels FALSE, TRUE */
  bool logical;
  int32_t other; /* number, from 1, of the level that stands for every text that is none
                    of the levels; 0: none does */
  const char *const *level; /* category: declared or discovered, in C order */
  int32_t n_levels;
};
struct rfl_term_spec { /* a product of variables */
  size_t n;
  const int32_t *variable;         /* in the order of R's column names */
  const struct rfl_coding *coding; /* one a variable; of categories only. A term with a
                                      hashed variable has no other category */
};
enum rfl_response {
  RFL_RESPONSE_NONE,
  RFL_RESPONSE_NUMBER,
  RFL_RESPONSE_CLASS, /* y = 0 for the first level, 1 for any other (as glm()) */
  RFL_RESPONSE_CODE   /* y = the 0-based code of the level */
};
enum rfl_extra_kind { RFL_EXTRA_NUMBER, RFL_EXTRA_LEVEL, RFL_EXTRA_BUCKET };
struct rfl_extra_spec { /* a column that comes as block->extra, as doubles */
  const char *name;
  enum rfl_extra_kind kind; /* a number, the code of a level, the hash modulo `buckets` */
  bool may_miss;            /* NaN is delivered; else a missing one leaves the row out */
  bool for_scoring;         /* wanted when scoring too */
  const char *const *level;
  int32_t n_levels, buckets;
};
struct rfl_recipe_spec { /* borrowed; copied */
  size_t n_variables;
  const struct rfl_variable *variable;
  bool intercept;
  size_t n_terms;
  const struct rfl_term_spec *term;
  enum rfl_response response;
  const char *y;              /* column of the response */
  const char *const *y_level; /* CLASS, CODE: its levels */
  int32_t n_y_levels;         /* a logical or 0/1 number response is a NUMBER */
  const char *weight;         /* column, or NULL */
  size_t n_offsets;           /* columns that add up to the offset */
  const char *const *offset;
  size_t n_extra;
  const struct rfl_extra_spec *extra;
  bool missing; /* rows with missing features stay: NaN, code -1. The response, weight,
                   offset and extras still leave a row out. An unseen level is then -2 */
  bool shared;  /* hashed variables (all of the same slots) share one table */
  bool keyed;   /* block->key is filled: topic, partition and offset, or the row number.
                   Where a topic's positions have gaps the frame must have `.offset` */
};

struct rfl_recipe;
enum rfl_code rfl_recipe_new(const struct rfl_recipe_spec *, struct rfl_recipe **gives,
                             struct rfl_err *) RFL_CHECKED;
struct rfl_recipe *rfl_recipe_keep(struct rfl_recipe *); /* [any] */
void rfl_recipe_release(struct rfl_recipe *);            /* [any] */
const struct rfl_layout *rfl_recipe_layout(const struct rfl_recipe *);
/* R's name of column x of the model matrix ("ageold:sexmale", "(Intercept)",
 * "hashed(user)7"). The columns of a shared table are all called "hashed". */
const char *rfl_recipe_column(const struct rfl_recipe *, int32_t x);
void rfl_recipe_write(const struct rfl_recipe *, struct rfl_buf *);
enum rfl_code rfl_recipe_read(struct rfl_reader *, struct rfl_recipe **gives,
                              struct rfl_err *) RFL_CHECKED; /* hostile bytes */

enum rfl_purpose {
  RFL_FOR_LEARNING,
  RFL_FOR_SCORING
}; /* scoring needs no response and no weight */
enum rfl_unseen {
  RFL_UNSEEN_ERROR,    /* RFL_EDATA that names variable and level */
  RFL_UNSEEN_NA,       /* the row is left out: its score is missing */
  RFL_UNSEEN_REFERENCE /* the first level */
};
struct rfl_workspace; /* one thread's scratch: buffers, dictionary maps, counts */
struct rfl_count {    /* since the workspace was made */
  uint64_t rows, used, missing, unseen,
      zero_weight;        /* zero_weight rows are used but leave the degrees of freedom */
  uint64_t pooled;        /* rows with a value that the level `other` stands for */
  char first_unseen[256]; /* "user_id: 'u17'"; "" for none */
};
enum rfl_code rfl_workspace_new(const struct rfl_recipe *, enum rfl_purpose,
                                enum rfl_unseen, struct rfl_workspace **gives,
                                struct rfl_err *) RFL_CHECKED;
void rfl_workspace_release(struct rfl_workspace *);
const struct rfl_count *rfl_workspace_count(const struct rfl_workspace *);
/* The number of the next slice's first row in its pass, which the keys of rows without
 * positions are made from. Without this call rows are numbered as they come. */
void rfl_workspace_seek(struct rfl_workspace *, uint64_t row);

/* Columns are found by name; a frame that lacks one, or has it with a type that does not
 * fit, is RFL_ESCHEMA naming both. A number may be integer, double, logical, integer64,
 * date, timestamp; a category factor, string, logical, or (by its canonical text)
 * a number. block->row is set (frame rows, relative to the frame, not the slice) unless
 * every row of the slice is used. Negative or missing weights are RFL_EDATA. Plain double
 * columns of complete slices are views of the frame: nothing is copied (but with
 * `missing`). */
enum rfl_code rfl_recipe_apply(const struct rfl_recipe *, const struct rfl_rows *,
                               struct rfl_workspace *, struct rfl_block *,
                               struct rfl_err *) RFL_CHECKED;
/* The model matrix of a block, n x n_x column-major, for tests and for R's
 * model.matrix(). */
void rfl_design_expand(const struct rfl_layout *, const struct rfl_block *, double *x);

#endif
