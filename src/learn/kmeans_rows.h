/* Rows as k-means works with them: a cell is a block's rows as coordinates, a trace what
 * one run remembers of them, and the store keeps cells from pass to pass. */
#ifndef RFL_LEARN_KMEANS_ROWS_H
#define RFL_LEARN_KMEANS_ROWS_H
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { KM_TILE = 32 }; /* rows that a kernel takes at once */

struct km_trace { /* what is remembered of a cell's rows for one run */
  uint32_t epoch; /* 0: nothing */
  size_t steps;   /* centres in `upper`, when it holds squared distances (PICK, SPRAY) */
  int32_t *label;
  double *upper, *lower;  /* of distances, less `moved`, plus `drift` */
  double *sum, *weight;   /* k x stride, k: of the rows with that label */
  uint8_t *stale;         /* k: the sum is to be made anew */
  double *count, *within; /* k: of a MEASURE */
};
struct km_cell {
  uint64_t first;
  size_t rows;     /* of the block */
  size_t n, cap;   /* rows here: no zero weights, perhaps a sample */
  double *x;       /* n x stride */
  double *norm;    /* n */
  double *w;       /* n; NULL: all ones */
  uint32_t *index; /* n: row of the block */
  size_t n_traces;
  struct km_trace *trace;
  struct km_cell *next; /* of the same slot of the store */
};

struct km_store {
  atomic_int refs;
  pthread_mutex_t lock; /* guards what follows; a cell belongs to who works on it */
  double left;          /* bytes */
  size_t n_slots;
  struct km_cell **slot;
};

#endif
