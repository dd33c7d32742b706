/* Sandwich covariances: after the last step, one more pass at the estimate sums the outer
 * products of the rows' scores,
 *
 *     HC0:      sum r_i^2 x_i x_i'                    (White 1980, Econometrica 48)
 *     cluster:  sum over clusters of u u', u = sum r_i x_i  (Liang & Zeger 1986,
 *               Biometrika 73), here over 256 buckets that clusters are hashed into
 *
 * The first is X'WX with the weights r^2: the same code sums it. For the second the
 * scores of a bucket are kept in the indicator space: 256 n_z numbers, whatever the
 * number of clusters. Clusters that share a bucket count as one, which is still a valid
 * clustering, only a coarser one. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/glm_parts.h"

enum rfl_code glm_need_buckets(struct rfl_state *s, struct rfl_err *err) {
  if (!s->cluster || s->buckets) return RFL_OK;
  s->buckets = rfl_alloc(GLM_BUCKETS * (glm_z(s) + 1), sizeof *s->buckets);
  return s->buckets ? RFL_OK : rfl_no_memory(err);
}

/* The scores r of rows [from, from + n) into their buckets. */
void glm_bucket_rows(struct rfl_state *s, const struct rfl_block *b, size_t from,
                     size_t n, const double *r) {
  const struct rfl_gram *g = &s->design->gram;
  size_t width = glm_z(s) + 1;
  for (size_t i = 0; i < n; i++) {
    size_t k = (size_t)b->extra[0][from + i];
    double *to = s->buckets + (k < GLM_BUCKETS ? k : 0) * width;
    to[width - 1] += 1;
    for (size_t j = 0; j < g->plain; j++)
      if (g->z[j] >= 0)
        to[g->z[j]] += r[i] * (g->dense[j] < 0 ? 1.0 : b->dense[g->dense[j]][from + i]);
    for (size_t t = 0; t < g->n_wide; t++) {
      const struct rfl_gram_wide *w = &g->wide[t];
      double v = w->dense < 0 ? 1.0 : b->dense[w->dense][from + i];
      to[w->z + b->coded[w->coded].code[from + i]] += r[i] * v;
    }
  }
}

static bool room(double **p, size_t n) {
  if (!*p) *p = rfl_alloc(n, sizeof **p);
  return *p != NULL;
}

/* G / (G - 1) is the small-sample factor of sandwich::vcovCL(). */
static void fold(struct rfl_state *s, double *u) {
  size_t p = glm_p(s), width = glm_z(s) + 1;
  double used = 0;
  memset(s->by_cluster, 0, p * p * sizeof *s->by_cluster);
  for (size_t k = 0; k < GLM_BUCKETS; k++) {
    const double *from = s->buckets + k * width;
    if (!(from[width - 1] > 0)) continue;
    used++;
    memset(u, 0, p * sizeof *u);
    rfl_contrast_collect(&s->design->contrast, from, u);
    for (size_t j = 0; j < p; j++)
      for (size_t i = 0; i <= j; i++) s->by_cluster[i + j * p] += u[i] * u[j];
  }
  for (size_t k = 0; k < p * p; k++) s->by_cluster[k] *= used / (used - 1);
  s->clusters = used;
}

/* The end of the pass; w->chol.a.hi holds the sum of outer products. */
enum rfl_code glm_outer_settle(struct rfl_state *s, struct glm_work *w,
                               struct rfl_err *err) {
  size_t p = glm_p(s);
  if (!room(&s->by_row, p * p) || (s->cluster && !room(&s->by_cluster, p * p)))
    return rfl_no_memory(err);
  memcpy(s->by_row, w->chol.a.hi, p * p * sizeof *s->by_row);
  if (s->cluster) fold(s, w->spare);
  rfl_free(s->buckets);
  s->buckets = NULL;
  s->stage = GLM_FITTING;
  s->settled = true;
  return RFL_OK;
}
