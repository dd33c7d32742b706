/* Times and statuses as Surv() means them, from the extra columns of a block to the scale
 * of y. All that can be wrong with a row is found before any of the block is learnt. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "learn/aft_parts.h"
#include "num/kernel.h"

struct columns { /* of the block; NULL: the model has none */
  const double *time, *time2, *status, *stratum, *cluster;
};

static const double *column(const struct rfl_block *b, int32_t k) {
  return k < 0 ? NULL : b->extra[k];
}

static struct columns columns_of(const struct aft_design *d, const struct rfl_block *b) {
  const struct rfl_aft_options *o = &d->options;
  return (struct columns){.time = column(b, o->time),
                          .time2 = column(b, o->time2),
                          .status = column(b, o->status),
                          .stratum = column(b, o->stratum),
                          .cluster = column(b, o->cluster)};
}

struct row { /* ends as they came; `none`: neither is known */
  enum rfl_aft_status status;
  double time, time2;
  bool none;
};

/* Whether a status is one at all, and which: -1 for none. */
static int status_of(const struct rfl_aft_options *o, double x) {
  if (o->type == RFL_AFT_TYPE_INTERVAL)
    return x == 0 || x == 1 || x == 2 || x == 3 ? (int)x : -1;
  if (x == o->event) return RFL_AFT_EXACT;
  if (!(x - x == 0) || (o->strict && x != o->event - 1)) return -1;
  return o->type == RFL_AFT_TYPE_LEFT ? RFL_AFT_LEFT : RFL_AFT_RIGHT;
}

static struct row interval2(double time, double time2) {
  bool open = isnan(time) || time == -INFINITY, ends = !isnan(time2) && time2 < INFINITY;
  if (open) return (struct row){RFL_AFT_LEFT, time2, 0, !ends};
  if (!ends) return (struct row){RFL_AFT_RIGHT, time, 0, false};
  if (time == time2) return (struct row){RFL_AFT_EXACT, time, 0, false};
  return (struct row){RFL_AFT_INTERVAL, time, time2, false};
}

/* A row that was checked. */
static struct row row_of(const struct rfl_aft_options *o, const struct columns *c,
                         size_t i) {
  if (o->type == RFL_AFT_TYPE_INTERVAL2) return interval2(c->time[i], c->time2[i]);
  int status = c->status ? status_of(o, c->status[i]) : RFL_AFT_EXACT;
  if (status == RFL_AFT_INTERVAL)
    return (struct row){RFL_AFT_INTERVAL, c->time[i], c->time2[i], false};
  return (struct row){(enum rfl_aft_status)status, c->time[i], 0, false};
}

static enum rfl_code check_code(double x, int32_t n, const char *what,
                                struct rfl_err *err) {
  if (x >= 0 && x < n && x == floor(x)) return RFL_OK;
  return rfl_fail(err, RFL_EDATA, "A row has a %s that the model does not know.", what);
}

static enum rfl_code bad_status(const struct rfl_aft_options *o, double x,
                                struct rfl_err *err) {
  if (o->type == RFL_AFT_TYPE_INTERVAL)
    return rfl_fail(err, RFL_EDATA, "A status must be 0, 1, 2 or 3, not %g.", x);
  return rfl_fail(err, RFL_EDATA, "A status must be %g or %g, not %g.", o->event - 1,
                  o->event, x);
}

static enum rfl_code check_row(const struct aft_design *d, const struct columns *c,
                               size_t i, struct rfl_err *err) {
  const struct rfl_aft_options *o = &d->options;
  if (c->status && status_of(o, c->status[i]) < 0)
    return bad_status(o, c->status[i], err);
  struct row r = row_of(o, c, i);
  if (r.none) return RFL_OK;
  if (!(fabs(r.time) <= DBL_MAX))
    return rfl_fail(err, RFL_EDATA, "A time must be finite, not %g.", r.time);
  if (o->log_time && !(r.time > 0))
    return rfl_fail(err, RFL_EDATA,
                    "A time must be above 0 for this distribution, not %g.", r.time);
  if (r.status == RFL_AFT_INTERVAL && !(r.time2 > r.time && r.time2 <= DBL_MAX))
    return rfl_fail(err, RFL_EDATA,
                    "An interval must end after it begins; %g to %g does not.", r.time,
                    r.time2);
  return RFL_OK;
}

/* Whether exact and right-censored rows are all fine, in a few comparisons each; if not,
 * check_row() finds the one that is to blame. */
static bool plain_rows(const struct aft_design *d, const struct columns *c, size_t n) {
  const struct rfl_aft_options *o = &d->options;
  if (o->type != RFL_AFT_TYPE_RIGHT || !o->strict) return false;
  double low = o->log_time ? DBL_TRUE_MIN : -DBL_MAX;
  size_t bad = 0;
  for (size_t i = 0; i < n; i++) bad += !(c->time[i] >= low) | !(c->time[i] <= DBL_MAX);
  for (size_t i = 0; c->status && i < n; i++)
    bad += (c->status[i] != o->event) & (c->status[i] != o->event - 1);
  return bad == 0;
}

enum rfl_code aft_times_check(const struct aft_design *d, const struct rfl_block *b,
                              bool learning, struct rfl_err *err) {
  const struct rfl_aft_options *o = &d->options;
  struct columns c = columns_of(d, b);
  bool cluster = learning && o->cluster >= 0;
  if (!c.time || (o->time2 >= 0 && !c.time2) || (o->status >= 0 && !c.status) ||
      (o->stratum >= 0 && !c.stratum) || (cluster && !c.cluster))
    return rfl_fail(err, RFL_EARGUMENT, "Rows to learn from need times and statuses.");
  bool plain = plain_rows(d, &c, b->n);
  for (size_t i = 0; !plain && i < b->n; i++) RFL_TRY(check_row(d, &c, i, err));
  for (size_t i = 0; c.stratum && i < b->n; i++)
    RFL_TRY(check_code(c.stratum[i], o->n_strata, "stratum", err));
  for (size_t i = 0; cluster && i < b->n; i++)
    RFL_TRY(check_code(c.cluster[i], o->n_clusters, "cluster", err));
  for (size_t i = 0; learning && b->weight && i < b->n; i++)
    if (!(b->weight[i] >= 0 && b->weight[i] <= DBL_MAX))
      return rfl_fail(err, RFL_EDATA, "A weight must be 0 or more, not %g.",
                      b->weight[i]);
  return RFL_OK;
}

/* Right-censored and exact rows, the usual ones: no branches but the status's. */
static void load_right(const struct rfl_aft_options *o, const struct columns *c,
                       size_t from, size_t n, const struct aft_times *t) {
  memcpy(t->y, c->time + from, n * sizeof *t->y);
  if (c->status)
    for (size_t i = 0; i < n; i++) t->status[i] = c->status[from + i] == o->event;
  else
    memset(t->status, RFL_AFT_EXACT, n);
}

static void load_any(const struct rfl_aft_options *o, const struct columns *c,
                     size_t from, size_t n, const struct aft_times *t) {
  for (size_t i = 0; i < n; i++) {
    struct row r = row_of(o, c, from + i);
    bool both = r.status == RFL_AFT_INTERVAL;
    t->status[i] = (uint8_t)r.status;
    t->y[i] = r.none ? 1 : r.time;
    t->y2[i] = both ? r.time2 : t->y[i];
    if (r.none) t->weight[i] = 0;
  }
}

static void load_codes(const double *x, size_t from, size_t n, int32_t *to) {
  if (!x) {
    memset(to, 0, n * sizeof *to);
    return;
  }
  for (size_t i = 0; i < n; i++) to[i] = (int32_t)x[from + i];
}

void aft_times_load(const struct aft_design *d, const struct rfl_block *b, size_t from,
                    size_t n, const struct aft_times *t) {
  const struct rfl_aft_options *o = &d->options;
  struct columns c = columns_of(d, b);
  size_t whole = (n + 7) / 8 * 8;
  for (size_t i = 0; i < n; i++) t->weight[i] = b->weight ? b->weight[from + i] : 1.0;
  load_codes(c.stratum, from, n, t->stratum);
  load_codes(c.cluster, from, n, t->cluster);
  for (size_t i = n; i < whole; i++) {
    t->y[i] = t->y2[i] = 1;
    t->weight[i] = 0;
    t->status[i] = RFL_AFT_RIGHT;
    t->stratum[i] = t->cluster[i] = 0;
  }
  bool right = o->type == RFL_AFT_TYPE_RIGHT;
  if (right)
    load_right(o, &c, from, n, t);
  else
    load_any(o, &c, from, n, t);
  memset(t->log_time, 0, whole * sizeof *t->log_time);
  if (!o->log_time) return;
  const struct rfl_kernels *k = rfl_kernels();
  k->log(t->y, t->y, whole);
  if (!right) k->log(t->y2, t->y2, whole);
  for (size_t i = 0; i < n; i++)
    if (t->status[i] == RFL_AFT_EXACT) t->log_time[i] = t->y[i];
}
