/* The state of k-means.
 *
 *   setup     what was asked for: immutable, shared by a state and its parts
 *   iterate   where the fit stands: immutable while shared; settle() makes the next one
 *   sums      what one pass adds up at the iterate
 *   store     rows kept from pass to pass, shared by a state and its parts: an
 *             acceleration, no result depends on it
 *
 * A fit goes through stages, all its rows in every pass:
 *
 *   SCAN    ranges of the coordinates                 -> powers of two that tame them
 *   SPREAD  means and squares about them              -> the scale
 *   SAMPLE  all starts side by side, on a sample of the rows or on all
 *   FULL    the best one, on all rows
 *   READY   fitted; learns blocks
 *
 * and within SAMPLE and FULL each run through phases of its own. */
#ifndef RFL_LEARN_KMEANS_STATE_H
#define RFL_LEARN_KMEANS_STATE_H
#include <stdatomic.h>

#include "learn/kmeans.h"
#include "learn/kmeans_rows.h"
#include "num/contrast.h"

enum km_stage { KM_SCAN, KM_SPREAD, KM_SAMPLE, KM_FULL, KM_READY };
enum km_phase {
  KM_PICK,    /* k-means++: draw one more centre */
  KM_COVER,   /* k-means||: sum of squares to the candidates */
  KM_SPRAY,   /* k-means||: draw many candidates */
  KM_TALLY,   /* k-means||: weights of the candidates */
  KM_LLOYD,   /* move the centres */
  KM_FAR,     /* find the farthest row, for an empty cluster */
  KM_MEASURE, /* sizes and sums of squares */
  KM_NUDGE,   /* find the row that gains most by going to another cluster */
  KM_DONE
};
struct km_setup {
  atomic_int refs;
  struct rfl_layout layout;
  struct rfl_contrast contrast; /* when `coded` */
  bool coded;                   /* some coordinate comes from codes */
  size_t d, stride;             /* coordinates; a multiple of 4, the rest zeros */
  int32_t k, starts, max_iter;
  bool parallel, scale;
  uint64_t seed;
  double sample, memory;
  double *start; /* k x d, column-major, or NULL */
};

/* Points that distances are taken to, and what follows from them. */
struct km_field {
  size_t n;
  double *at;    /* n x stride */
  double *minus; /* -at */
  double *half;  /* |at|^2 / 2; infinite: nobody's nearest */
  double longest;
};

struct km_run {
  enum km_phase phase;
  int32_t n;    /* centres there are */
  int32_t step; /* draws done */
  int32_t iterations, reseeded;
  bool converged;
  int32_t round; /* of swaps that it came from */
  int32_t nudges;
  bool polished;          /* goes on from LLOYD to NUDGE */
  double *centre;         /* k x stride */
  double *weight;         /* k, of the rows at each in the last pass of LLOYD */
  double *count, *within; /* k, of the last MEASURE, and then of blocks */
  uint8_t *empty;         /* k */
  size_t n_points;        /* candidates of k-means|| */
  double *points;         /* n_points x stride */
  double potential;       /* of the last COVER */
  /* What follows is not written. */
  struct km_field field;
  uint32_t epoch;       /* bounds of another epoch are no good */
  double *moved, drift; /* how far each centre, and the farthest one, went since then */
  double *reach;        /* k: half the distance to the nearest other centre */
  double restless;      /* share of rows that changed in the last pass */
};

struct km_iterate {
  atomic_int refs;
  enum km_stage stage;
  int32_t passes;
  double rows, zero, sum_weight;        /* of all rows, forgotten in `sum_weight` only */
  double *multiplier, *shift, *inverse; /* d: u = (x multiplier - shift) inverse */
  uint8_t *constant;                    /* d */
  double *mean, *m2;                    /* d: of u, over all rows; forgotten */
  int32_t round;                        /* of swaps */
  double share;                         /* of the rows that SAMPLE takes */
  uint64_t version;
  int32_t n_runs;
  struct km_run *run;
  uint32_t epochs; /* given so far; not written */
};

struct km_list { /* candidates drawn in a pass */
  size_t n, cap;
  double *x; /* n x stride */
};
struct km_sums {
  int32_t n_runs; /* that there is room for */
  bool any;       /* rows were absorbed */
  double rows, zero, weight;
  double *low, *high;          /* d */
  double *mean, *m2;           /* d; of `weight` */
  double *sum;                 /* runs x k x stride */
  double *at, *count, *within; /* runs x k: weights, rows, squares */
  double *potential;           /* runs */
  double *key, *number;        /* runs: the pick; key infinite: none */
  double *heft;                /* runs: the weight of the pick */
  double *pick;                /* runs x stride */
  double *changed;             /* runs: rows, where it is known */
  double **tally;              /* runs: n_points of each, or NULL */
  struct km_list *list;        /* runs */
};

struct rfl_state {
  struct km_setup *setup;
  struct km_iterate *it;
  struct km_sums sums;
  struct km_store *store; /* NULL: none */
  struct km_cell *cell;   /* scratch, where nothing is kept */
  double *column;         /* scratch of absorb(): coded coordinates, tallies */
  size_t n_column;
  bool learnt;  /* READY: a block was settled, renew() is to come */
  double *told; /* filled by rfl_kmeans_result() */
};

#endif
