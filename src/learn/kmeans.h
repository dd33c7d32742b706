/* k-means: Lloyd's algorithm over passes of cells, started by k-means++ (Arthur &
 * Vassilvitskii 2007) or k-means|| (Bahmani et al. 2012), and batch-online with
 * forgetting.
 *
 *     struct rfl_kmeans_options o = {.k = 3, .starts = 20, .seed = 1};
 *     RFL_TRY(rfl_kmeans.open(&o.base, layout, &state, err));
 *     ... absorb / merge / settle(&again) until !again ...
 *     RFL_TRY(rfl_kmeans_result(state, &result, err));
 *
 * The coordinates of a row are the columns of X but the intercept. Every random draw is a
 * function of the seed and the number of the row in the pass. A row belongs to the
 * nearest centre by one definition of the distance (kmeans_near.c), ties to the lowest
 * number: kernels and bounds only save work, so labels, and all that follows from them,
 * are the same to the bit on any CPU, number of threads, and with any `memory`.
 *
 * Online: absorb() on a finished fit takes the block's rows to their nearest centres,
 * renew(keep) moves the centres: c <- (d N c + S) / (d N + m). part() of a finished fit
 * is a fresh fit that starts from its centres. Traits: SUMMABLE | PASSES | BLOCKED. */
#ifndef RFL_LEARN_KMEANS_H
#define RFL_LEARN_KMEANS_H
#include "num/learner.h"

struct rfl_kmeans_options {
  struct rfl_options base;
  int32_t k;
  int32_t starts;   /* random starts, of which the best is kept; 0: 1 */
  bool parallel;    /* k-means|| rather than k-means++ */
  bool scale;       /* divide each coordinate by its standard deviation */
  int32_t max_iter; /* 0: 100 */
  uint64_t seed;
  double sample; /* with more rows the starts are tried on about so many of them, and
                    the best goes on over all; 0: always all */
  const double *start; /* k x coordinates, column-major: the only start; or NULL */
  double memory; /* bytes of rows that may be kept from pass to pass. More than 0 only
                    where first_row numbers the same rows in every pass of a fit */
};
extern const struct rfl_learner rfl_kmeans;

enum rfl_kmeans_score {
  RFL_KMEANS_CLUSTER,  /* 1, 2, ... */
  RFL_KMEANS_DISTANCE, /* to every centre: as many columns as there are clusters */
  RFL_KMEANS_NEAREST   /* to the nearest centre */
};

struct rfl_kmeans_result { /* arrays are borrowed from the state, valid until it changes;
                              clusters x coordinates ones are column-major */
  int32_t k;               /* clusters there are: fewer than asked for if there are fewer
                              distinct rows */
  int32_t wanted, coordinates;
  const double *centre;       /* in the units of the data */
  const double *within;       /* sums of squares by cluster, forgotten as weights are */
  const double *size;         /* rows learnt, never forgotten */
  const double *weight;       /* their weights, forgotten */
  const double *divisor;      /* of each coordinate, when scaled; else ones */
  const uint8_t *constant;    /* by coordinate: the fit saw one value only */
  double total_within, total; /* sums of squares; of scaled coordinates when scaled */
  double n, n_zero, sum_weight;
  int32_t iterations, passes, starts, reseeded;
  bool converged, sampled;
  uint64_t version; /* learning blocks taken since the batch fit */
};
/* RFL_EMODEL before the fit has ended. Fills a cache in the state: one thread at a time
 * for a state. */
enum rfl_code rfl_kmeans_result(const struct rfl_state *, struct rfl_kmeans_result *gives,
                                struct rfl_err *) RFL_CHECKED;

#endif
