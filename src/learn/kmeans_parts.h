/* What the files of k-means offer each other. */
#ifndef RFL_LEARN_KMEANS_PARTS_H
#define RFL_LEARN_KMEANS_PARTS_H
#include <math.h>

#include "learn/kmeans_state.h"

/* kmeans.c */
enum rfl_code km_setup_new(const struct rfl_kmeans_options *, const struct rfl_layout *,
                           struct km_setup **gives, struct rfl_err *);
void km_setup_release(struct km_setup *);
enum rfl_code km_state_new(struct km_setup *keeps, struct km_iterate *takes,
                           struct rfl_state **gives, struct rfl_err *);
void km_release(struct rfl_state *);

/* kmeans_iterate.c */
enum rfl_code km_iterate_new(const struct km_setup *, int32_t n_runs,
                             struct km_iterate **gives, struct rfl_err *);
enum rfl_code km_iterate_copy(const struct km_setup *, const struct km_iterate *,
                              struct km_iterate **gives, struct rfl_err *);
void km_iterate_release(struct km_iterate *);
/* Another run's centres and weights. */
void km_run_take(const struct km_setup *, const struct km_run *from, struct km_run *to);
void km_iterate_only_first(struct km_iterate *);
/* A run enters a phase with centres or points that its traces know nothing of. */
void km_begin(struct km_iterate *, struct km_run *, enum km_phase);
bool km_iterate_same(const struct km_setup *, const struct km_iterate *,
                     const struct km_iterate *);
enum rfl_code km_field_set(struct km_field *, const double *x, size_t n, size_t stride,
                           struct rfl_err *);
/* The field of a run and its reach, after its centres were set. */
enum rfl_code km_run_ready(const struct km_setup *, struct km_run *, struct rfl_err *);

/* kmeans_sums.c */
enum rfl_code km_sums_new(const struct km_setup *, int32_t n_runs, struct km_sums *,
                          struct rfl_err *);
void km_sums_release(struct km_sums *);
void km_sums_clear(struct rfl_state *);
/* Room for the weights of candidates, where a run tallies. */
enum rfl_code km_sums_need(struct rfl_state *, struct rfl_err *);
enum rfl_code km_list_reserve(struct km_list *, size_t more, size_t stride,
                              struct rfl_err *);
enum rfl_code km_merge(struct rfl_state *, const struct rfl_state *, struct rfl_err *);

/* kmeans_cell.c */
enum rfl_code km_store_new(double bytes, struct km_store **gives, struct rfl_err *);
struct km_store *km_store_keep(struct km_store *);
void km_store_release(struct km_store *);
void km_store_empty(struct km_store *, double bytes);
void km_cell_release(struct km_cell *);
/* The block's rows as coordinates: kept ones, or in the state's scratch. */
enum rfl_code km_cell_get(struct rfl_state *, const struct rfl_block *,
                          struct km_cell **gives, struct rfl_err *);
enum rfl_code km_scratch(struct rfl_state *, size_t n, struct rfl_err *); /* s->column */
/* Columns of the block as they come: d pointers of n. */
enum rfl_code km_columns(struct rfl_state *, const struct rfl_block *,
                         const double **column, struct rfl_err *);
void km_coded_column(const struct km_setup *, const struct rfl_block *, size_t j,
                     double *to);
int32_t km_dense_of(const struct km_setup *, size_t j); /* -1: coded */

/* kmeans_near.c */
double km_square(const double *x, const double *c, size_t stride);
double km_gamma(size_t d); /* bounds the relative rounding of a sum of d squares */
/* The nearest point by definition; *square its squared distance. */
int32_t km_nearest(const double *x, const struct km_field *, size_t stride,
                   double *square);
struct km_near { /* bounds of the distances to the nearest point and to all others */
  int32_t label;
  double upper, lower;
};
/* Rows row[0 .. m) of the cell, m <= KM_TILE. */
void km_near_tile(const struct km_setup *, const struct km_field *,
                  const struct km_cell *, const uint32_t *row, size_t m,
                  struct km_near *out);
/* Labels of all rows of the cell, by the trace's bounds where they are good; how many
 * changed. */
size_t km_assign(const struct km_setup *, const struct km_run *, const struct km_cell *,
                 struct km_trace *);

/* kmeans_kernel_*.c */
struct km_tile {
  const double *x; /* d x KM_TILE: lanes are rows */
  size_t d, stride;
  double best[KM_TILE], second[KM_TILE], which[KM_TILE]; /* of |c|^2 / 2 - x c */
};
struct km_kernels {
  void (*near)(const struct km_field *, struct km_tile *);
};
extern const struct km_kernels km_kernels_base, km_kernels_avx2, km_kernels_avx512;

/* kmeans_absorb.c */
enum rfl_code km_absorb(struct rfl_state *, const struct rfl_block *, struct rfl_err *);
/* to: weight, mean, m2 of d columns, joined with another run of rows. Chan, Golub &
 * LeVeque (1979), eq. 2.1. */
struct km_moments {
  double weight, *mean, *m2;
};
void km_moments_join(struct km_moments *to, const struct km_moments *from, size_t d);

/* kmeans_seed.c: what follows a pass of a run that is being seeded */
enum rfl_code km_seeded(struct rfl_state *, struct km_iterate *, int32_t run,
                        struct rfl_err *);
uint64_t km_seed(const struct km_setup *, int32_t run);

/* kmeans_polish.c: what follows when all starts have ended */
/* One more round of swaps, or the polish of the best; false: there is nothing left. */
bool km_polish(const struct km_setup *, struct km_iterate *);
bool km_few(const struct km_iterate *);
int32_t km_best(const struct km_iterate *);
/* After a pass of NUDGE: one row goes over; false: none gains. */
bool km_nudged(const struct rfl_state *, struct km_iterate *, int32_t run);

/* kmeans_settle.c */
enum rfl_code km_settle(struct rfl_state *, bool *again, struct rfl_err *);
enum rfl_code km_renew(struct rfl_state *, double keep, struct rfl_err *);

/* kmeans_score.c */
uint32_t km_width(const struct rfl_state *, int what);
enum rfl_code km_score(const struct rfl_state *, const struct rfl_block *, int what,
                       double *out, struct rfl_err *);

/* kmeans_write.c */
void km_write(const struct rfl_state *, struct rfl_buf *);
enum rfl_code km_read(struct rfl_bytes, struct rfl_state **gives, struct rfl_err *);

#endif
