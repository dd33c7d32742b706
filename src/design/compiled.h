/* The inside of a recipe, for the files of this folder. */
#ifndef RFL_DESIGN_COMPILED_H
#define RFL_DESIGN_COMPILED_H
#include <stdatomic.h>

#include "design/recipe.h"

struct level_set { /* texts, and an open-addressed table of their numbers + 1 */
  int32_t n;
  char **text;
  uint32_t mask;
  int32_t *slot;
};
struct hashing { /* of one or more columns' values to 64 bits (hashing.c) */
  size_t n_with;
  char **with;
  uint64_t *key; /* 1 + n_with: what the values of each column are hashed with */
  int32_t slots;
  int shift; /* the slot is the hash's top bits */
};
struct variable {
  char *name;
  enum rfl_variable_kind kind;
  bool logical;
  int32_t other; /* as in the spec */
  struct level_set levels;
  uint64_t seed;
  struct hashing hashing;
};
struct extra {
  char *name;
  enum rfl_extra_kind kind;
  bool may_miss, for_scoring;
  struct level_set levels;
  int32_t buckets;
  uint64_t key;
};
struct product { /* of variables: a dense column (numbers) or a coded one (categories) */
  size_t n;
  int32_t *variable;
};
struct compiled_term { /* as in the spec */
  size_t n;
  int32_t *variable;
  struct rfl_coding *coding; /* names included; all zeros for numbers and hashed ones */
};
struct rfl_recipe {
  atomic_int refs;
  size_t n_variables, n_terms, n_offsets, n_extra;
  struct variable *variable;
  struct compiled_term *term;
  bool intercept, missing, shared, keyed;
  enum rfl_response response;
  char *y, *weight, **offset;
  struct level_set y_levels;
  struct extra *extra;
  struct rfl_layout layout;
  struct product *dense, *coded; /* one a column of the block */
  struct rfl_buf names;          /* of the model matrix's columns, each with its NUL */
  size_t *name_at;
};

void levels_release(struct level_set *);
enum rfl_code levels_new(struct level_set *, const char *const *level, int32_t n,
                         struct rfl_err *);
/* -1: not there. [any thread] */
int32_t level_find(const struct level_set *, const char *text, size_t n);
enum rfl_code name_columns(struct rfl_recipe *, struct rfl_err *);

/* ---- hashing.c ---- */

/* What the values of a column are hashed with. */
uint64_t hash_key(uint64_t seed, const char *name);
/* Canonical text of a value that is there, maybe in `room` of RFL_DOUBLE_TEXT bytes. */
struct rfl_bytes value_text(const struct rfl_column *, size_t row, char *room);
/* Of the value's canonical text; of a missing one a number of its own. */
uint64_t hash_value(uint64_t key, const struct rfl_column *, size_t row);
uint64_t hash_text(uint64_t key, struct rfl_bytes);
uint64_t hash_missing(uint64_t key);
uint64_t hash_join(uint64_t first, uint64_t next); /* of crossed values */

#endif
