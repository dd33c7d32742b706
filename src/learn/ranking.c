/* Exact ranking measures by sorting. Rows are sorted by prediction, and for the area
 * within groups by group, then prediction. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/metrics.h"

struct ranked {
  uint64_t group;
  double p, one, zero; /* one, zero: w y and w (1 - y) */
};

static int by_prediction(const void *a, const void *b) {
  double x = ((const struct ranked *)a)->p, y = ((const struct ranked *)b)->p;
  return (x > y) - (x < y);
}

static int by_group(const void *a, const void *b) {
  uint64_t x = ((const struct ranked *)a)->group, y = ((const struct ranked *)b)->group;
  return x != y ? (x > y) - (x < y) : by_prediction(a, b);
}

/* The end of the run of equal predictions that starts at i, and its sums. */
static size_t run(const struct ranked *r, size_t i, size_t n, double *one, double *zero) {
  double p = r[i].p;
  *one = *zero = 0;
  for (; i < n && r[i].p == p; i++) {
    *one += r[i].one;
    *zero += r[i].zero;
  }
  return i;
}

static double area(const struct ranked *r, size_t n) {
  double below = 0, pairs = 0, ones = 0, one, zero;
  for (size_t i = 0; i < n;) {
    i = run(r, i, n, &one, &zero);
    pairs += one * (below + zero / 2);
    below += zero;
    ones += one;
  }
  return ones * below > 0 ? pairs / (ones * below) : NAN;
}

/* Average precision, from the highest prediction down; ties are taken together. The run
 * is found from its lower end, since the rows ascend. */
static double average_precision(const struct ranked *r, size_t n) {
  double ones = 0, found = 0, taken = 0, sum = 0;
  for (size_t i = 0; i < n; i++) ones += r[i].one;
  for (size_t end = n; end > 0;) {
    size_t from = end - 1;
    while (from > 0 && r[from - 1].p == r[end - 1].p) from--;
    double one, zero;
    run(r, from, end, &one, &zero);
    found += one;
    taken += one + zero;
    if (one > 0) sum += one / ones * (found / taken);
    end = from;
  }
  return ones > 0 ? sum : NAN;
}

static void within(const struct ranked *r, size_t n, struct rfl_ranking *gives) {
  double sum = 0, rows = 0;
  for (size_t from = 0, to; from < n; from = to) {
    for (to = from; to < n && r[to].group == r[from].group;) to++;
    double a = area(r + from, to - from);
    if (isnan(a)) continue;
    sum += a * (double)(to - from);
    rows += (double)(to - from);
    gives->groups++;
  }
  gives->auc_within = rows > 0 ? sum / rows : NAN;
}

enum rfl_code rfl_ranking(const struct rfl_metric_rows *rows, struct rfl_ranking *gives,
                          struct rfl_err *err) {
  *gives = (struct rfl_ranking){NAN, NAN, NAN, 0};
  struct ranked *r = rfl_alloc(rows->n, sizeof *r);
  if (!r) return rfl_no_memory(err);
  for (size_t i = 0; i < rows->n; i++) {
    double w = rows->weight ? rows->weight[i] : 1, y = rows->y[i];
    r[i] = (struct ranked){.group = rows->cluster ? rows->cluster[i] : 0,
                           .p = rows->p[i],
                           .one = w * y,
                           .zero = w * (1 - y)};
  }
  if (rows->n) qsort(r, rows->n, sizeof *r, by_prediction);
  gives->auc = area(r, rows->n);
  gives->pr_auc = average_precision(r, rows->n);
  if (rows->cluster && rows->n) {
    qsort(r, rows->n, sizeof *r, by_group);
    within(r, rows->n, gives);
  }
  rfl_free(r);
  return RFL_OK;
}
