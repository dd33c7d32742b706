/* The learner: an algorithm over blocks. It sees no frame, no file and no clock; batch,
 * out-of-core and online are drivers (in stream/) of the same verbs:
 *
 *     open -> { part -> absorb* -> merge }* -> settle(&again), again and again: a fit
 *     open or read -> { absorb, settle*, renew }*: batch-online, block by block
 *
 * A pass on several threads: cells of grid(layout) rows by the gather -> absorb into a
 * part() each -> merge in the order of the cells -> settle. Bit-equal for any cut and any
 * number of threads. */
#ifndef RFL_NUM_LEARNER_H
#define RFL_NUM_LEARNER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "num/block.h"
#include "num/layout.h"

enum {
  RFL_SUMMABLE = 1, /* commutative sum: merge() is exact to rounding; cells merged in
                       order: exact to the bit */
  RFL_ORDERED =
      2, /* fold in row order: no merge(); fixed by the order of rows, whatever the cut */
  RFL_SKETCH = 4,  /* mergeable with a stated error */
  RFL_PASSES = 8,  /* settle() may ask for the same rows again */
  RFL_BLOCKED = 16 /* batch-online: learns whole blocks of a fixed number of rows, by
                      absorb, settle*, renew */
};

struct rfl_state;   /* plain memory of one thread; each learner defines its own */
struct rfl_options; /* each learner defines its own: struct rfl_glm_options begins with it
                     */
struct rfl_options {
  uint32_t version; /* of the learner's own options struct, for the record */
};

struct rfl_learner { /* a constant table */
  const char *name;
  uint32_t (*traits)(const struct rfl_options *);
  uint32_t (*grid)(
      const struct rfl_layout *); /* rows of a cell of the reduction grid; grows with p */
  enum rfl_code (*open)(const struct rfl_options *, const struct rfl_layout *,
                        struct rfl_state **gives, struct rfl_err *);
  enum rfl_code (*part)(const struct rfl_state *, struct rfl_state **gives,
                        struct rfl_err *); /* empty sums, same iterate; reuses *gives */
  enum rfl_code (*absorb)(struct rfl_state *, const struct rfl_block *,
                          struct rfl_err *); /* all of the block or nothing */
  enum rfl_code (*merge)(struct rfl_state *, const struct rfl_state *,
                         struct rfl_err *); /* NULL if ORDERED */
  enum rfl_code (*settle)(struct rfl_state *, bool *again,
                          struct rfl_err *); /* end of pass: step, halve, stop */
  enum rfl_code (*renew)(
      struct rfl_state *, double keep,
      struct rfl_err *); /* BLOCKED: the fit becomes the prior: J <- keep J + H */
  uint32_t (*width)(const struct rfl_state *, int what);
  enum rfl_code (*score)(const struct rfl_state *, const struct rfl_block *, int what,
                         double *out, struct rfl_err *);
  /* out[column * block->n + i] for block row i; reads the state only, so many threads may
   * score at once */
  enum rfl_code (*copy)(const struct rfl_state *, struct rfl_state **gives,
                        struct rfl_err *);
  void (*write)(
      const struct rfl_state *,
      struct rfl_buf *); /* little-endian, fixed widths, version; holds its layout */
  enum rfl_code (*read)(struct rfl_bytes, struct rfl_state **gives,
                        struct rfl_err *); /* hostile bytes */
  size_t (*size)(const struct rfl_state *);
  const struct rfl_layout *(*layout)(const struct rfl_state *);
  void (*release)(struct rfl_state *);
  /* The same knowledge over a layout that has more levels: column z of the old Z is
   * column to[z] of the new one. New columns are as if no row had had them. NULL: cannot.
   */
  enum rfl_code (*widen)(const struct rfl_state *, const struct rfl_layout *wider,
                         const int32_t *to, struct rfl_state **gives, struct rfl_err *);
};

#endif
