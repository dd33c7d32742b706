/* Predictions against outcomes, as sums: one pass over any number of rows, mergeable.
 *
 *     RFL_TRY(rfl_metrics_new(20, &m, err));
 *     rfl_metrics_add(m, &(struct rfl_metric_rows){n, y, p, NULL, user}); // as rows come
 *     rfl_metrics_merge(m, of_another_shard);
 *     rfl_metrics_result(m, &r);
 *
 * Outcomes are 0 or 1 (or shares between) and predictions probabilities for log loss,
 * area and calibration; rows with any other number count for the squared error only, and
 * make the former NaN.
 *
 * The area under the ROC curve is taken from a histogram of log odds: RFL_METRIC_BINS
 * bins of 1/64 from -16 to 16. Pairs within a bin count half, and `auc_bound` says how
 * far off that can be. rfl_ranking() gives the exact one for rows in memory.
 *
 * Replicates are the Poisson bootstrap: in replicate r every row of cluster c counts
 * Poisson(1) times, a draw fixed by (c, r). So replicates of two models on the same rows
 * are paired, their differences have honest spreads, and shards may be merged. */
#ifndef RFL_LEARN_METRICS_H
#define RFL_LEARN_METRICS_H
#include "base/bytes.h"
#include "base/error.h"

enum { RFL_METRIC_BINS = 2048, RFL_METRIC_REPLICATES = 64 };

struct rfl_metric_rows {
  size_t n;
  const double *y, *p;
  const double *weight;    /* NULL: ones */
  const uint64_t *cluster; /* NULL: every row its own, by its number since the start */
};
struct rfl_metric_result {
  double n, weight, events; /* rows; sums of w and of w y */
  double observed, predicted;
  double log_loss, normalised_entropy;      /* the latter: by the log loss of the mean */
  double brier, rmse, deviance;             /* mean; deviance: twice the log loss */
  double calibration;                       /* sum of w p by sum of w y, ... */
  double calibration_low, calibration_high; /* ... with its 95 % Poisson interval */
  double auc, auc_bound, pr_auc;
  int32_t replicates;
  double replicate_log_loss[RFL_METRIC_REPLICATES], replicate_auc[RFL_METRIC_REPLICATES];
};

struct rfl_metrics;
/* replicates: 0 to RFL_METRIC_REPLICATES. */
enum rfl_code rfl_metrics_new(int32_t replicates, struct rfl_metrics **gives,
                              struct rfl_err *) RFL_CHECKED;
void rfl_metrics_release(struct rfl_metrics *);
void rfl_metrics_add(struct rfl_metrics *, const struct rfl_metric_rows *);
/* RFL_EARGUMENT: made with other replicates. */
enum rfl_code rfl_metrics_merge(struct rfl_metrics *, const struct rfl_metrics *,
                                struct rfl_err *) RFL_CHECKED;
void rfl_metrics_result(const struct rfl_metrics *, struct rfl_metric_result *gives);
void rfl_metrics_write(const struct rfl_metrics *, struct rfl_buf *);
enum rfl_code rfl_metrics_read(struct rfl_reader *, struct rfl_metrics **gives,
                               struct rfl_err *) RFL_CHECKED; /* hostile bytes */

/* Exact, for rows in memory, ties counting half: area under the ROC curve, average
 * precision, and the area within groups: the mean over groups that have both outcomes,
 * weighted by their rows. NaN where there is no pair. */
struct rfl_ranking {
  double auc, pr_auc, auc_within;
  double groups; /* that have both outcomes */
};
enum rfl_code rfl_ranking(const struct rfl_metric_rows *, struct rfl_ranking *gives,
                          struct rfl_err *) RFL_CHECKED;

#endif
