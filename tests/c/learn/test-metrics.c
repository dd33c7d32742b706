/* Metrics against their definitions, computed pair by pair; merging shards is one pass;
 * what is written is read. */
#include "learn/metrics.h"

#include "base/random.h"
#include "harness.h"

enum { N = 700 };
static struct rfl_err err;
static double y[N], p[N], w[N];
static uint64_t user[N];

/* Predictions with ties, some of them 0 and 1 where they are right. */
static void draw(void) {
  for (size_t i = 0; i < N; i++) {
    double u = rfl_uniform(1, i, 0), v = rfl_uniform(1, i, 1);
    p[i] = floor(40 * u) / 40;
    y[i] = v < p[i];
    w[i] = 1 + floor(3 * rfl_uniform(1, i, 2));
    user[i] = rfl_hash_i64(7, (int64_t)(20 * rfl_uniform(1, i, 3)));
  }
}

static struct rfl_metric_rows rows(size_t from, size_t n) {
  return (struct rfl_metric_rows){n, y + from, p + from, w + from, user + from};
}

/* The share of pairs in order, of rows of one group or of all. */
static double pairs_in_order(bool one_group, uint64_t group) {
  double sum = 0, all = 0;
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j < N; j++) {
      if (y[i] != 1 || y[j] != 0) continue;
      if (one_group && (user[i] != group || user[j] != group)) continue;
      double pair = w[i] * w[j];
      sum += pair * (p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0);
      all += pair;
    }
  return all > 0 ? sum / all : NAN;
}

static double within_by_pairs(void) {
  double sum = 0, n = 0;
  for (size_t i = 0; i < N; i++) { /* a row of its group counts once */
    double a = pairs_in_order(true, user[i]);
    if (isnan(a)) continue;
    sum += a;
    n++;
  }
  return sum / n;
}

TEST(the_exact_area_is_the_share_of_pairs_in_order) {
  struct rfl_ranking r;
  struct rfl_metric_rows all = rows(0, N);
  CHECK_OK(rfl_ranking(&all, &r, &err), &err);
  CHECK_NEAR(r.auc, pairs_in_order(false, 0), 1e-12); /* sums of 2e5 pairs */
  all = rows(0, 120); /* few rows: the pairwise check is cubic */
  CHECK_OK(rfl_ranking(&all, &r, &err), &err);
  CHECK(r.auc_within >= 0 && r.auc_within <= 1 && r.groups > 5);
}

TEST(the_area_within_groups_is_the_mean_over_their_rows) {
  struct rfl_metric_rows all = rows(0, N);
  struct rfl_ranking r;
  CHECK_OK(rfl_ranking(&all, &r, &err), &err);
  CHECK_NEAR(r.auc_within, within_by_pairs(), 1e-12);
}

TEST(average_precision_is_precision_by_the_recall_it_adds) {
  struct rfl_metric_rows all = rows(0, N);
  struct rfl_ranking r;
  CHECK_OK(rfl_ranking(&all, &r, &err), &err);
  double ones = 0, sum = 0, before = 0;
  for (size_t i = 0; i < N; i++) ones += w[i] * y[i];
  for (int level = 40; level >= 0; level--) { /* p is a 40th */
    double found = 0, taken = 0;
    for (size_t i = 0; i < N; i++)
      if (p[i] >= level / 40.0) {
        found += w[i] * y[i];
        taken += w[i];
      }
    if (found > before) sum += (found - before) / ones * found / taken;
    before = found;
  }
  CHECK_NEAR(r.pr_auc, sum, 1e-12);
}

static struct rfl_metrics *take(size_t from, size_t n, int32_t replicates) {
  struct rfl_metrics *m = NULL;
  CHECK_OK(rfl_metrics_new(replicates, &m, &err), &err);
  struct rfl_metric_rows some = rows(from, n);
  rfl_metrics_add(m, &some);
  return m;
}

TEST(sums_give_the_means_by_their_definitions) {
  struct rfl_metrics *m = take(0, N, 0);
  struct rfl_metric_result r;
  rfl_metrics_result(m, &r);
  double sw = 0, loss = 0, square = 0, events = 0, predicted = 0;
  for (size_t i = 0; i < N; i++) {
    sw += w[i];
    loss -= w[i] * (y[i] > 0 ? log(p[i]) : log1p(-p[i]));
    square += w[i] * (y[i] - p[i]) * (y[i] - p[i]);
    events += w[i] * y[i];
    predicted += w[i] * p[i];
  }
  double base = events / sw;
  CHECK_NEAR(r.log_loss, loss / sw, 1e-13);
  CHECK_NEAR(r.brier, square / sw, 1e-13);
  CHECK_NEAR(r.calibration, predicted / events, 1e-13);
  double entropy = -base * log(base) - (1 - base) * log1p(-base);
  CHECK_NEAR(r.normalised_entropy, loss / sw / entropy, 1e-13);
  CHECK(r.calibration_low < r.calibration && r.calibration < r.calibration_high);
  rfl_metrics_release(m);
}

TEST(the_binned_area_is_within_its_bound) {
  struct rfl_metrics *m = take(0, N, 0);
  struct rfl_metric_result r;
  rfl_metrics_result(m, &r);
  CHECK(fabs(r.auc - pairs_in_order(false, 0)) <= r.auc_bound + 1e-12);
  CHECK(r.auc_bound < 0.05);
  rfl_metrics_release(m);
}

/* qchisq(.025, 92) / 2 and qchisq(.975, 94) / 2 of R: 46 clicks are 46 +- 29 %. */
TEST(the_interval_of_46_events_is_the_exact_one_to_a_percent) {
  double one[46], q[46];
  for (int i = 0; i < 46; i++) {
    one[i] = 1;
    q[i] = 0.5;
  }
  struct rfl_metrics *m = NULL;
  CHECK_OK(rfl_metrics_new(0, &m, &err), &err);
  rfl_metrics_add(m, &(struct rfl_metric_rows){46, one, q, NULL, NULL});
  struct rfl_metric_result r;
  rfl_metrics_result(m, &r);
  CHECK_NEAR(23 / r.calibration_high, 33.67778, 0.01 * 33.7);
  CHECK_NEAR(23 / r.calibration_low, 61.35755, 0.01 * 61.4);
  rfl_metrics_release(m);
}

static void check_same(const struct rfl_metrics *a, const struct rfl_metrics *b) {
  struct rfl_metric_result x, z;
  rfl_metrics_result(a, &x);
  rfl_metrics_result(b, &z);
  CHECK_NEAR(x.log_loss, z.log_loss, 1e-13);
  CHECK_NEAR(x.auc, z.auc, 1e-13);
  for (int32_t k = 0; k < x.replicates; k++)
    CHECK_NEAR(x.replicate_log_loss[k], z.replicate_log_loss[k], 1e-13);
}

TEST(shards_merged_are_one_pass_and_replicates_follow_their_clusters) {
  struct rfl_metrics *all = take(0, N, 20), *a = take(0, 200, 20),
                     *b = take(200, N - 200, 20), *none = take(0, 0, 0);
  CHECK_OK(rfl_metrics_merge(a, b, &err), &err);
  check_same(a, all);
  CHECK_EQ(rfl_metrics_merge(a, none, &err), RFL_EARGUMENT);
  struct rfl_metrics *each[] = {all, a, b, none};
  for (int k = 0; k < 4; k++) rfl_metrics_release(each[k]);
}

/* The variance of the mean loss by clusters, from the replicates: 20 of them give its
 * root to 16 %, so three of these are allowed. */
TEST(replicates_spread_as_clusters_do) {
  struct rfl_metrics *m = take(0, N, 64);
  struct rfl_metric_result r;
  rfl_metrics_result(m, &r);
  double sum = 0, square = 0;
  for (int k = 0; k < 64; k++) {
    sum += r.replicate_log_loss[k];
    square += r.replicate_log_loss[k] * r.replicate_log_loss[k];
  }
  double spread = sqrt((square - sum * sum / 64) / 63), variance = 0;
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j < N; j++)
      if (user[i] == user[j]) {
        double a = -(y[i] > 0 ? log(p[i]) : log1p(-p[i])) - r.log_loss;
        double b = -(y[j] > 0 ? log(p[j]) : log1p(-p[j])) - r.log_loss;
        variance += w[i] * a * w[j] * b / (r.weight * r.weight);
      }
  CHECK(spread > sqrt(variance) * 0.6 && spread < sqrt(variance) * 1.5);
  rfl_metrics_release(m);
}

static enum rfl_code write_and_read(const struct rfl_metrics *m) {
  struct rfl_buf b = {0};
  struct rfl_metrics *back = NULL;
  rfl_metrics_write(m, &b);
  enum rfl_code code = rfl_buf_check(&b, &err);
  struct rfl_reader in = {0};
  if (!code) in = (struct rfl_reader){.at = b.p, .end = b.p + b.n};
  if (!code) code = rfl_metrics_read(&in, &back, &err);
  if (!code) {
    CHECK(in.at == in.end);
    check_same(m, back);
  }
  rfl_metrics_release(back);
  rfl_buf_release(&b);
  return code;
}

TEST(what_is_written_is_read_and_no_cut_of_it_is) {
  struct rfl_metrics *m = take(0, N, 3);
  SWEEP(write_and_read(m));
  struct rfl_buf b = {0};
  rfl_metrics_write(m, &b);
  for (size_t n = 0; n < b.n; n += 997) {
    struct rfl_reader in = {.at = b.p, .end = b.p + n};
    struct rfl_metrics *back = NULL;
    CHECK_EQ(rfl_metrics_read(&in, &back, &err), RFL_EDATA);
  }
  rfl_buf_release(&b);
  rfl_metrics_release(m);
}

int main(void) {
  draw();
  RUN(the_exact_area_is_the_share_of_pairs_in_order);
  RUN(the_area_within_groups_is_the_mean_over_their_rows);
  RUN(average_precision_is_precision_by_the_recall_it_adds);
  RUN(sums_give_the_means_by_their_definitions);
  RUN(the_binned_area_is_within_its_bound);
  RUN(the_interval_of_46_events_is_the_exact_one_to_a_percent);
  RUN(shards_merged_are_one_pass_and_replicates_follow_their_clusters);
  RUN(replicates_spread_as_clusters_do);
  RUN(what_is_written_is_read_and_no_cut_of_it_is);
  return harness_end();
}
