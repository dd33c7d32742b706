/* Estimates out of sums: what the score tables and the tables for people are made of. */
#include <math.h>

#include "learn/bayes_state.h"

static const double variance_floor = 1e-9; /* of the feature's largest variance */

/* What is farther from 1 has run out of the range of doubles: weights that were
 * forgotten, or bytes that no fit wrote. */
static const double least = 1e-290, most = 1e290;

/* (n + a) / (total + a cells), for a = laplace. */
static struct bayes_chance smoothed(double n, double total, double laplace,
                                    double cells) {
  double all = total + laplace * cells;
  if (!(all > least && all < most)) return (struct bayes_chance){1 / cells, false};
  double p = ((n > 0 ? n : 0) + laplace) / all;
  if (p > least) return (struct bayes_chance){p, false};
  return (struct bayes_chance){1 / all, true};
}

bool bayes_counts_unknown(const struct rfl_state *s, size_t k) {
  return s->streaming && s->design->feature[k].kind == RFL_LIKE_CATEGORICAL;
}

struct bayes_all bayes_levels_all(const struct rfl_state *s, size_t k, size_t c) {
  const struct bayes_feature *f = &s->design->feature[k];
  size_t classes = s->design->n_classes, levels = (size_t)f->levels;
  const double *sum = s->sum + f->sum + c;
  bool unknown = bayes_counts_unknown(s, k);
  struct bayes_all all = {.cells = (double)(levels + unknown)};
  if (unknown) all.total = sum[BAYES_UNKNOWN * classes];
  for (size_t l = 0; l < levels; l++) all.total += sum[(BAYES_LEVELS + l) * classes];
  return all;
}

struct bayes_chance bayes_level_chance(const struct rfl_state *s, double n,
                                       struct bayes_all all) {
  return smoothed(n, all.total, s->laplace, all.cells);
}

static struct bayes_moments all_moments(const struct rfl_state *s, size_t k) {
  struct bayes_moments all = {0};
  for (size_t c = 0; c < s->design->n_classes; c++)
    bayes_moments_merge(&all, bayes_moments_of(s, k, c));
  return all;
}

static double variance(struct bayes_moments m, double otherwise) {
  return m.n >= 2 ? m.m2 / (m.n - 1) : otherwise;
}

void bayes_normals(const struct rfl_state *s, size_t k, double *mean, double *var) {
  struct bayes_moments all = all_moments(s, k);
  double overall = variance(all, 0), largest = overall;
  for (size_t c = 0; c < s->design->n_classes; c++) {
    struct bayes_moments m = bayes_moments_of(s, k, c);
    mean[c] = m.n > 0 ? m.mean : all.mean;
    var[c] = variance(m, overall);
    largest = fmax(largest, var[c]);
  }
  bool tells = largest > least && largest < most;
  for (size_t c = 0; c < s->design->n_classes; c++)
    var[c] = tells ? fmax(var[c], variance_floor * largest) : 0;
}

static double weight_of(const struct rfl_state *s, size_t k, size_t c) {
  return s->sum[s->design->feature[k].sum + c];
}
static double total_of(const struct rfl_state *s, size_t k, size_t c) {
  return s->sum[s->design->feature[k].sum + s->design->n_classes + c];
}

struct bayes_chance bayes_one_chance(const struct rfl_state *s, size_t k, size_t c,
                                     bool one) {
  double n = weight_of(s, k, c), ones = total_of(s, k, c);
  return smoothed(one ? ones : n - ones, n, s->laplace, 2);
}

/* p NaN: no row has the feature, or it is 0 everywhere. */
struct bayes_chance bayes_rate(const struct rfl_state *s, size_t k, size_t c) {
  double weight = 0, total = 0;
  for (size_t j = 0; j < s->design->n_classes; j++) {
    weight += weight_of(s, k, j);
    total += total_of(s, k, j);
  }
  double mean = total / weight, n = weight_of(s, k, c) + s->laplace;
  if (!(mean > least && mean < most)) return (struct bayes_chance){NAN, false};
  if (!(n > least && n < most)) return (struct bayes_chance){mean, false};
  double rate = (total_of(s, k, c) + s->laplace * mean) / n, slope = mean / n;
  if (rate > least && rate < most) return (struct bayes_chance){rate, false};
  if (slope > least && slope < most) return (struct bayes_chance){slope, true};
  return (struct bayes_chance){NAN, false};
}

struct bayes_all bayes_shares_all(const struct rfl_state *s, size_t c) {
  struct bayes_all all = {0};
  for (size_t k = 0; k < s->design->n_features; k++) {
    if (s->design->feature[k].kind != RFL_LIKE_MULTINOMIAL) continue;
    all.total += total_of(s, k, c);
    all.cells++;
  }
  return all;
}

struct bayes_chance bayes_share(const struct rfl_state *s, size_t k, size_t c,
                                struct bayes_all all) {
  return smoothed(total_of(s, k, c), all.total, s->laplace, all.cells);
}

/* ---- for people ---- */

void rfl_bayes_result(const struct rfl_state *s, struct rfl_bayes_result *gives) {
  *gives = (struct rfl_bayes_result){.n_classes = (int32_t)s->design->n_classes,
                                     .n_features = s->design->n_features,
                                     .rows = s->sum + BAYES_CLASSES,
                                     .weight = s->sum + s->design->faded,
                                     .n = s->sum[BAYES_ROWS],
                                     .n_zero = s->sum[BAYES_ZERO],
                                     .laplace = s->laplace,
                                     .keep = s->keep,
                                     .own_prior = s->prior != NULL,
                                     .streaming = s->streaming,
                                     .version = s->version};
}

void rfl_bayes_prior(const struct rfl_state *s, double *out) {
  const double *from = s->prior ? s->prior : s->sum + s->design->faded;
  double sum = 0;
  for (size_t c = 0; c < s->design->n_classes; c++) sum += from[c];
  for (size_t c = 0; c < s->design->n_classes; c++) out[c] = from[c] / sum;
}

static int32_t width_of(const struct rfl_state *s, size_t k) {
  const struct bayes_feature *f = &s->design->feature[k];
  if (f->levels) return f->levels + bayes_counts_unknown(s, k);
  return f->kind == RFL_LIKE_GAUSSIAN || f->kind == RFL_LIKE_BERNOULLI ? 2 : 1;
}

void rfl_bayes_feature(const struct rfl_state *s, size_t k,
                       struct rfl_bayes_feature *gives) {
  const struct bayes_feature *f = &s->design->feature[k];
  *gives = (struct rfl_bayes_feature){
      .likelihood = f->kind, .term = f->term, .width = width_of(s, k)};
  for (size_t c = 0; c < s->design->n_classes; c++) {
    const double *sum = s->sum + f->sum + c;
    double lack = f->levels ? sum[BAYES_MISSING * s->design->n_classes]
                            : s->sum[s->design->faded + c] - sum[0];
    gives->missing += lack > 0 ? lack : 0;
  }
}

static void normal_table(const struct rfl_state *s, size_t k, double *out) {
  size_t classes = s->design->n_classes;
  bayes_normals(s, k, out, out + classes);
  double seen = 0;
  for (size_t c = 0; c < classes; c++) seen += weight_of(s, k, c);
  for (size_t c = 0; c < classes; c++) {
    double *mean = out + c, *sd = out + classes + c;
    *mean = seen > 0 ? ldexp(*mean, s->scale[k]) : NAN;
    *sd = *sd > 0 ? ldexp(sqrt(*sd), s->scale[k]) : NAN;
  }
}

static void level_table(const struct rfl_state *s, size_t k, size_t c, double *out) {
  const struct bayes_feature *f = &s->design->feature[k];
  size_t classes = s->design->n_classes, levels = (size_t)f->levels;
  struct bayes_all all = bayes_levels_all(s, k, c);
  for (size_t l = 0; l < (size_t)width_of(s, k); l++) {
    size_t row = l < levels ? BAYES_LEVELS + l : BAYES_UNKNOWN;
    struct bayes_chance p =
        bayes_level_chance(s, s->sum[f->sum + row * classes + c], all);
    out[l * classes + c] = p.zero ? 0 : p.p;
  }
}

void rfl_bayes_table(const struct rfl_state *s, size_t k, double *out) {
  const struct bayes_feature *f = &s->design->feature[k];
  size_t classes = s->design->n_classes;
  if (f->kind == RFL_LIKE_GAUSSIAN) normal_table(s, k, out);
  for (size_t c = 0; c < classes; c++) {
    struct bayes_chance p = {0};
    if (f->levels) level_table(s, k, c, out);
    if (f->levels || f->kind == RFL_LIKE_GAUSSIAN) continue;
    for (int one = 0; f->kind == RFL_LIKE_BERNOULLI && one < 2; one++) {
      p = bayes_one_chance(s, k, c, one);
      out[(size_t)one * classes + c] = p.zero ? 0 : p.p;
    }
    if (f->kind == RFL_LIKE_BERNOULLI) continue;
    p = f->kind == RFL_LIKE_POISSON ? bayes_rate(s, k, c)
                                    : bayes_share(s, k, c, bayes_shares_all(s, c));
    out[c] = p.zero ? 0 : p.p;
  }
}
