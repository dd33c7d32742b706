/* Families that the host evaluates: rows that weigh nothing never reach it, since its
 * functions may not be able to take them. */
#include <math.h>
#include <string.h>

#include "learn/glm_kind.h"

enum { CHUNK = 256 }; /* rows of one question */

struct asked {
  size_t n, row[CHUNK];
  double y[CHUNK], weight[CHUNK], eta[CHUNK];
  double mu[CHUNK], slope[CHUNK], variance[CHUNK], deviance[CHUNK];
};

/* The rows from `from` on that count, as many as fit; where to go on. */
static size_t choose(const struct glm_rows *c, size_t from, struct asked *a) {
  a->n = 0;
  for (; from < c->n && a->n < CHUNK; from++) {
    c->w[from] = c->r[from] = 0;
    if (!(c->weight[from] > 0)) continue;
    a->row[a->n] = from;
    a->y[a->n] = c->y[from];
    a->weight[a->n] = c->weight[from];
    a->eta[a->n++] = c->eta[from];
  }
  return from;
}

static enum rfl_code ask(const struct rfl_glm_custom *host, struct asked *a,
                         struct rfl_err *err) {
  return host->at(host->data, a->n, a->y, a->weight, a->eta, a->mu, a->slope, a->variance,
                  a->deviance, err);
}

static enum rfl_code check(const struct glm_kind *k, struct rfl_err *err) {
  if (k->custom) return RFL_OK;
  return rfl_fail(
      err, RFL_EMODEL,
      "A model of a family of one's own learns only where its functions are.");
}

enum rfl_code glm_custom_at(const struct glm_kind *k, const struct glm_rows *c,
                            double *sum, struct rfl_err *err) {
  RFL_TRY(check(k, err));
  struct asked a;
  for (size_t from = 0; from < c->n;) {
    from = choose(c, from, &a);
    if (!a.n) continue;
    RFL_TRY(ask(k->custom, &a, err));
    for (size_t i = 0; i < a.n; i++) {
      double miss = a.y[i] - a.mu[i], slope = a.slope[i] / a.variance[i];
      sum[0] += a.deviance[i] - a.deviance[i] == 0 ? a.deviance[i] : INFINITY;
      sum[1] += a.weight[i] * (miss * (miss / a.variance[i]));
      c->w[a.row[i]] = a.weight[i] * (a.slope[i] * slope);
      c->r[a.row[i]] = a.weight[i] * (miss * slope);
    }
  }
  return RFL_OK;
}

enum rfl_code glm_custom_start(const struct glm_kind *k, const struct glm_rows *c,
                               struct rfl_err *err) {
  RFL_TRY(check(k, err));
  struct asked a;
  for (size_t from = 0; from < c->n;) {
    from = choose(c, from, &a);
    if (!a.n) continue;
    double offset[CHUNK];
    memcpy(offset, a.eta, a.n * sizeof *offset);
    RFL_TRY(k->custom->start(k->custom->data, a.n, a.y, a.weight, a.eta, err));
    RFL_TRY(ask(k->custom, &a, err));
    for (size_t i = 0; i < a.n; i++) {
      double w = a.weight[i] * a.slope[i] * (a.slope[i] / a.variance[i]);
      double z = a.eta[i] - offset[i] + (a.y[i] - a.mu[i]) / a.slope[i];
      c->w[a.row[i]] = w;
      c->r[a.row[i]] = w * z;
    }
  }
  return RFL_OK;
}
