/* The inside of a workspace, for the files of this folder: the columns of the frame that
 * a recipe needs, loaded one by one, then made to a block.
 *
 *     RFL_TRY(workspace_bind(w, schema, err));
 *     RFL_TRY(workspace_room(w, n, err));
 *     RFL_TRY(column_load(w, &w->column[k], rows, err));   // each; marks rows in w->mark
 */
#ifndef RFL_DESIGN_WORKSPACE_H
#define RFL_DESIGN_WORKSPACE_H
#include "design/compiled.h"

enum { MAPS = 8 };
struct dict_map {        /* codes of one dictionary -> levels or hashes, grown lazily */
  struct rfl_dict *dict; /* kept */
  int32_t n, cap;
  int32_t *level; /* -1: not a level of the recipe */
  bool shifts;    /* every level is its code + level[0] */
  uint64_t *hash;
};
enum load { LOAD_NUMBER, LOAD_LEVEL, LOAD_HASH };
struct source_column { /* one column of the frame that is needed */
  const char *name;
  enum load load;
  const struct level_set *levels; /* LEVEL */
  uint64_t key;                   /* HASH */
  const struct hashing *slots;    /* HASH: `hash` becomes `code`, by its slots */
  int32_t buckets;                /* HASH: it becomes `number` */
  bool with;                      /* HASH: it is joined to the column `join` */
  size_t join;
  /* How rows are marked; without a mark the block has NaN, or -1. */
  uint8_t missing, infinite, unseen;
  bool weight, feature;
  int32_t other; /* the code of texts that are no level; -1: none has */
  ptrdiff_t at;  /* in the schema */
  struct dict_map map[MAPS];
  int next; /* the map to be replaced next */
  double *number;
  int32_t *code;
  uint64_t *hash;
  const double *view; /* the number's values: `number`, or the frame's own */
};
struct rfl_workspace {
  struct rfl_recipe *recipe; /* kept */
  enum rfl_purpose purpose;
  enum rfl_unseen unseen;
  struct rfl_count count;
  uint64_t next_row;         /* number of the next slice's first row */
  struct rfl_schema *schema; /* kept: what `at` was looked up in */
  ptrdiff_t offset_at;       /* the column `.offset`; -1: none */
  size_t n_columns; /* variables, y, weight, offsets, extras, what is crossed with hashed
                       variables: in this order */
  struct source_column *column;
  size_t y_at, weight_at, offsets_at; /* in `column`; 0 stands for none */
  size_t *extra_at;                   /* SIZE_MAX: not wanted */
  size_t cap;                         /* rows there is room for */
  uint8_t *mark;
  uint32_t *row;
  uint64_t *key;
  double **product, *offset;
  int32_t **cross;
  const double **dense, **extra;
  const uint64_t **hash; /* of open sets */
  bool open;             /* there are some */
  struct rfl_coded *coded;
};

/* UNSEEN rows follow the policy; NEW and POOLED ones are used and counted. */
enum {
  MARK_MISSING = 1,
  MARK_UNSEEN = 2,
  MARK_INFINITE = 4,
  MARK_WEIGHT = 8,
  MARK_NEW = 16,
  MARK_POOLED = 32
};

/* Finds the columns of this frame's schema. */
enum rfl_code workspace_bind(struct rfl_workspace *, const struct rfl_schema *,
                             struct rfl_err *);
/* Room for n rows in every buffer. */
enum rfl_code workspace_room(struct rfl_workspace *, size_t n, struct rfl_err *);
/* Values of a slice into c->number (or a view), c->code or c->hash; marks rows. */
enum rfl_code column_load(struct rfl_workspace *, struct source_column *,
                          const struct rfl_rows *, struct rfl_err *);
/* What value of row i of the slice is no level: "user_id: 'u17'". */
void unseen_describe(const struct rfl_workspace *, const struct rfl_rows *, size_t i,
                     char *out, size_t size);
/* Keys of the rows of a slice into w->key. */
enum rfl_code keys_load(struct rfl_workspace *, const struct rfl_rows *,
                        struct rfl_err *);

#endif
