#include "learn/metrics.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"

enum { VERSION = 1, BINS = RFL_METRIC_BINS, PER_ODDS = 64 };
static const uint64_t bootstrap_seed = 0x626f6f74; /* fixed: replicates pair everywhere */

struct sums { /* of the rows, or of a replicate's rows */
  double weight, events, loss;
  double one[BINS], zero[BINS]; /* w y and w (1 - y) by log odds */
};
struct rfl_metrics {
  double n, predicted, square;
  int32_t replicates;
  struct sums all;
  struct sums *replicate;
};

enum rfl_code rfl_metrics_new(int32_t replicates, struct rfl_metrics **gives,
                              struct rfl_err *err) {
  if (replicates < 0 || replicates > RFL_METRIC_REPLICATES)
    return rfl_fail(err, RFL_EARGUMENT, "There can be 0 to %d replicates, not %d.",
                    RFL_METRIC_REPLICATES, replicates);
  struct rfl_metrics *m = rfl_alloc(1, sizeof *m);
  if (!m) return rfl_no_memory(err);
  m->replicates = replicates;
  m->replicate = rfl_alloc((size_t)replicates, sizeof *m->replicate);
  if (!m->replicate) {
    rfl_free(m);
    return rfl_no_memory(err);
  }
  *gives = m;
  return RFL_OK;
}

void rfl_metrics_release(struct rfl_metrics *m) {
  if (!m) return;
  rfl_free(m->replicate);
  rfl_free(m);
}

/* ---- rows ---- */

static double loss_of(double y, double p) {
  double one = y > 0 ? -y * log(p) : 0, zero = y < 1 ? -(1 - y) * log1p(-p) : 0;
  return one + zero;
}

static int bin_of(double p) {
  if (!(p > 0)) return 0;
  if (!(p < 1)) return BINS - 1;
  double at = floor((log(p) - log1p(-p)) * PER_ODDS) + BINS / 2;
  return at < 0 ? 0 : at >= BINS ? BINS - 1 : (int)at;
}

static void sums_add(struct sums *s, double w, double y, double loss, int bin) {
  s->weight += w;
  s->events += w * y;
  s->loss += w * loss;
  s->one[bin] += w * y;
  s->zero[bin] += w * (1 - y);
}

/* Poisson(1) by its distribution function: 0 to 9 is all that 53 bits ever draw but for
 * 1e-7 of them, which count 9. */
static int poisson_draw(double u) {
  double p = exp(-1.0), below = p;
  int k = 0;
  while (u >= below && k < 9) {
    p /= ++k;
    below += p;
  }
  return k;
}

static void resample(struct rfl_metrics *m, uint64_t cluster, double w, double y,
                     double loss, int bin) {
  for (int32_t r = 0; r < m->replicates; r++) {
    int times = poisson_draw(rfl_uniform(bootstrap_seed, cluster, (uint64_t)r));
    if (times) sums_add(&m->replicate[r], times * w, y, loss, bin);
  }
}

void rfl_metrics_add(struct rfl_metrics *m, const struct rfl_metric_rows *rows) {
  for (size_t i = 0; i < rows->n; i++) {
    double y = rows->y[i], p = rows->p[i], w = rows->weight ? rows->weight[i] : 1;
    uint64_t own = rfl_hash_i64(bootstrap_seed, (int64_t)m->n);
    m->n++;
    m->predicted += w * p;
    m->square += w * (y - p) * (y - p);
    bool chance = p >= 0 && p <= 1 && y >= 0 && y <= 1;
    double loss = chance ? loss_of(y, p) : NAN;
    int bin = chance ? bin_of(p) : 0;
    sums_add(&m->all, w, y, loss, bin);
    resample(m, rows->cluster ? rows->cluster[i] : own, w, y, loss, bin);
  }
}

static void sums_merge(struct sums *to, const struct sums *from) {
  to->weight += from->weight;
  to->events += from->events;
  to->loss += from->loss;
  for (int b = 0; b < BINS; b++) {
    to->one[b] += from->one[b];
    to->zero[b] += from->zero[b];
  }
}

enum rfl_code rfl_metrics_merge(struct rfl_metrics *to, const struct rfl_metrics *from,
                                struct rfl_err *err) {
  if (to->replicates != from->replicates)
    return rfl_fail(err, RFL_EARGUMENT,
                    "Metrics of %d and %d replicates cannot be merged.", to->replicates,
                    from->replicates);
  to->n += from->n;
  to->predicted += from->predicted;
  to->square += from->square;
  sums_merge(&to->all, &from->all);
  for (int32_t r = 0; r < to->replicates; r++)
    sums_merge(&to->replicate[r], &from->replicate[r]);
  return RFL_OK;
}

/* ---- results ---- */

static double area(const struct sums *s, double *bound) {
  double below = 0, pairs = 0, ties = 0, ones = 0;
  for (int b = 0; b < BINS; b++) {
    pairs += s->one[b] * (below + s->zero[b] / 2);
    ties += s->one[b] * s->zero[b];
    below += s->zero[b];
    ones += s->one[b];
  }
  double all = ones * below;
  if (bound) *bound = all > 0 ? ties / 2 / all : NAN;
  return all > 0 ? pairs / all : NAN;
}

/* Average precision: precision at each bin, from the top, by the recall it adds. */
static double precision_area(const struct sums *s) {
  double ones = 0, found = 0, taken = 0, sum = 0;
  for (int b = 0; b < BINS; b++) ones += s->one[b];
  for (int b = BINS - 1; b >= 0; b--) {
    found += s->one[b];
    taken += s->one[b] + s->zero[b];
    if (s->one[b] > 0) sum += s->one[b] / ones * found / taken;
  }
  return ones > 0 ? sum : NAN;
}

/* The 95 % interval of a Poisson mean from its count, by Wilson and Hilferty's
 * approximation to the chi-squared quantiles (1931): within 1 % from 5 events on. */
static void poisson_interval(double count, double *low, double *high) {
  const double z = 1.959963984540054;
  double a = count, b = count + 1;
  double l = 1 - 1 / (9 * a) - z / (3 * sqrt(a));
  double h = 1 - 1 / (9 * b) + z / (3 * sqrt(b));
  *low = a > 0 && l > 0 ? a * l * l * l : 0;
  *high = b * h * h * h;
}

void rfl_metrics_result(const struct rfl_metrics *m, struct rfl_metric_result *r) {
  const struct sums *s = &m->all;
  double w = s->weight;
  *r = (struct rfl_metric_result){.n = m->n, .weight = w, .events = s->events};
  r->observed = s->events / w;
  r->predicted = m->predicted / w;
  r->log_loss = s->loss / w;
  r->normalised_entropy = r->log_loss / loss_of(r->observed, r->observed);
  r->brier = m->square / w;
  r->rmse = sqrt(r->brier);
  r->deviance = 2 * r->log_loss;
  double low, high;
  poisson_interval(s->events, &low, &high);
  r->calibration = m->predicted / s->events;
  r->calibration_low = m->predicted / high;
  r->calibration_high = low > 0 ? m->predicted / low : INFINITY;
  bool chance = !isnan(s->loss);
  r->auc = chance ? area(s, &r->auc_bound) : NAN;
  if (!chance) r->auc_bound = NAN;
  r->pr_auc = chance ? precision_area(s) : NAN;
  r->replicates = m->replicates;
  for (int32_t k = 0; k < m->replicates; k++) {
    const struct sums *of = &m->replicate[k];
    r->replicate_log_loss[k] = of->loss / of->weight;
    r->replicate_auc[k] = chance ? area(of, NULL) : NAN;
  }
}

/* ---- bytes ---- */

static void sums_write(const struct sums *s, struct rfl_buf *out) {
  const double head[] = {s->weight, s->events, s->loss};
  rfl_buf_doubles(out, head, 3);
  rfl_buf_doubles(out, s->one, BINS);
  rfl_buf_doubles(out, s->zero, BINS);
}

void rfl_metrics_write(const struct rfl_metrics *m, struct rfl_buf *out) {
  const double head[] = {m->n, m->predicted, m->square};
  rfl_buf_u32(out, VERSION);
  rfl_buf_i32(out, m->replicates);
  rfl_buf_doubles(out, head, 3);
  sums_write(&m->all, out);
  for (int32_t r = 0; r < m->replicates; r++) sums_write(&m->replicate[r], out);
}

static void sums_read(struct rfl_reader *in, struct sums *s) {
  s->weight = rfl_read_double(in);
  s->events = rfl_read_double(in);
  s->loss = rfl_read_double(in);
  rfl_read_doubles(in, s->one, BINS);
  rfl_read_doubles(in, s->zero, BINS);
}

enum rfl_code rfl_metrics_read(struct rfl_reader *in, struct rfl_metrics **gives,
                               struct rfl_err *err) {
  uint32_t version = rfl_read_u32(in);
  int32_t replicates = rfl_read_i32(in);
  size_t size = (3 + 2 * BINS) * sizeof(double);
  if (in->bad || version != VERSION || replicates < 0 ||
      replicates > RFL_METRIC_REPLICATES ||
      (size_t)(in->end - in->at) < 24 + size * ((size_t)replicates + 1))
    return rfl_fail(err, RFL_EDATA, "The metrics are damaged.");
  struct rfl_metrics *m = NULL;
  RFL_TRY(rfl_metrics_new(replicates, &m, err));
  m->n = rfl_read_double(in);
  m->predicted = rfl_read_double(in);
  m->square = rfl_read_double(in);
  sums_read(in, &m->all);
  for (int32_t r = 0; r < replicates; r++) sums_read(in, &m->replicate[r]);
  if (!(m->n >= 0 && m->n <= 0x1p53)) {
    rfl_metrics_release(m);
    return rfl_fail(err, RFL_EDATA, "The metrics are damaged.");
  }
  *gives = m;
  return RFL_OK;
}
