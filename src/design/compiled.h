/* The inside of a recipe and of a workspace, for the files of this folder. */
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
struct variable {
  char *name;
  enum rfl_variable_kind kind;
  bool logical;
  struct level_set levels;
};
struct product { /* of variables: a dense column (numbers) or a coded one (categories) */
  size_t n;
  int32_t *variable;
};
struct compiled_term { /* as in the spec */
  size_t n;
  int32_t *variable;
  struct rfl_coding *coding; /* names included; all zeros for numbers */
};
struct rfl_recipe {
  atomic_int refs;
  size_t n_variables, n_terms, n_offsets;
  struct variable *variable;
  struct compiled_term *term;
  bool intercept;
  enum rfl_response response;
  char *y, *weight, **offset;
  struct level_set y_levels;
  struct rfl_layout layout;
  struct product *dense, *coded; /* one a column of the block */
  struct rfl_buf names;          /* of the model matrix's columns, each with its NUL */
  size_t *name_at;
};

/* -1: not there. [any thread] */
int32_t level_find(const struct level_set *, const char *text, size_t n);

/* ---- workspace ---- */

enum { MAPS = 8 };
struct dict_map {        /* codes of one dictionary -> levels, grown lazily */
  struct rfl_dict *dict; /* kept */
  int32_t n, cap;
  int32_t *level; /* -1: not a level of the recipe */
};
struct source_column { /* one column of the frame that is needed */
  const char *name;
  bool category, weight;
  const struct level_set *levels;
  ptrdiff_t at; /* in the schema */
  struct dict_map map[MAPS];
  int next; /* the map to be replaced next */
  double *number;
  int32_t *code;
  const double *view; /* the number's values: `number`, or the frame's own */
};
struct rfl_workspace {
  struct rfl_recipe *recipe; /* kept */
  enum rfl_purpose purpose;
  enum rfl_unseen unseen;
  struct rfl_count count;
  struct rfl_schema *schema; /* kept: what `at` was looked up in */
  size_t n_columns;          /* variables, y, weight, offsets, in this order */
  struct source_column *column;
  size_t cap; /* rows there is room for */
  uint8_t *mark;
  uint32_t *row;
  double **product, *offset;
  int32_t **cross;
  const double **dense;
  struct rfl_coded *coded;
};

enum { MARK_MISSING = 1, MARK_UNSEEN = 2, MARK_INFINITE = 4, MARK_WEIGHT = 8 };

/* Finds the columns of this frame's schema. */
enum rfl_code workspace_bind(struct rfl_workspace *, const struct rfl_schema *,
                             struct rfl_err *);
/* Room for n rows in every buffer. */
enum rfl_code workspace_room(struct rfl_workspace *, size_t n, struct rfl_err *);
/* Values of a slice into c->number (or a view) or c->code; marks rows. */
enum rfl_code column_load(struct rfl_workspace *, struct source_column *,
                          const struct rfl_rows *, struct rfl_err *);
/* What value of row i of the slice is no level: "user_id: 'u17'". */
void unseen_describe(const struct rfl_workspace *, const struct rfl_rows *, size_t i,
                     char *out, size_t size);

#endif
