/* AFT models against survival::survreg() (oracle-aft.inc), and their rows' derivatives
 * against differences. */
#include "blas_fill.h"
#include "harness.h"
#include "learn/aft.h"
#include "learn/aft_row.h"
#include "num/gather.h"

static struct rfl_err err;

struct oracle {
  const char *name;
  int dist, type;
  bool log_time;
  double scale;
  bool strata;
  const double *coef, *se; /* beta, then tau */
  double loglik;
};
#include "oracle-aft.inc"

/* ---- a world: intercept, two numbers, a factor; times and what belongs to them ---- */

enum { TIME, TIME2, STATUS, STRATUM, CLUSTER, N_EXTRA };
static int32_t select_levels[] = {-1, 0, 1};
static struct rfl_coding coding = {.levels = 3, .columns = 2, .select = select_levels};
static int32_t levels[] = {3};
static struct rfl_term terms[] = {
    {.coded = -1, .dense = -1, .assign = 0, .z = 0, .n_z = 1, .x = 0, .n_x = 1},
    {.coded = -1, .dense = 0, .assign = 1, .z = 1, .n_z = 1, .x = 1, .n_x = 1},
    {.coded = -1, .dense = 1, .assign = 2, .z = 2, .n_z = 1, .x = 2, .n_x = 1},
    {.coded = 0,
     .dense = -1,
     .assign = 3,
     .n_codings = 1,
     .coding = &coding,
     .z = 3,
     .n_z = 3,
     .x = 3,
     .n_x = 2}};
static const struct rfl_layout layout = {.n_dense = 2,
                                         .n_coded = 1,
                                         .n_extra = N_EXTRA,
                                         .levels = levels,
                                         .n_terms = 4,
                                         .term = terms,
                                         .n_z = 6,
                                         .n_x = 5,
                                         .intercept = true};
enum { P = 5 };

struct rows { /* a block's views, which may be cut */
  const double *dense[2], *extra[N_EXTRA];
  struct rfl_coded coded[1];
  struct rfl_block block;
};

static const double *clusters(void) {
  static double code[AFT_N];
  for (size_t i = 0; i < AFT_N; i++) code[i] = (double)(i % 7);
  return code;
}

static struct rfl_block cut(struct rows *r, const struct oracle *o, size_t from,
                            size_t n) {
  const double *times[] = {aft_time_right, aft_time_left, aft_start};
  const double *status[] = {aft_right, aft_left, aft_kind};
  r->dense[0] = aft_x + from;
  r->dense[1] = aft_v + from;
  r->coded[0] = (struct rfl_coded){aft_f + from, 3};
  r->extra[TIME] = times[o->type] + from;
  r->extra[TIME2] = aft_stop + from;
  r->extra[STATUS] = status[o->type] + from;
  r->extra[STRATUM] = aft_g + from;
  r->extra[CLUSTER] = clusters() + from;
  r->block = (struct rfl_block){.n = n,
                                .n_dense = 2,
                                .dense = r->dense,
                                .n_coded = 1,
                                .coded = r->coded,
                                .n_extra = N_EXTRA,
                                .extra = r->extra,
                                .weight = aft_weight + from,
                                .offset = aft_offset + from};
  return r->block;
}

static struct rfl_aft_options options_of(const struct oracle *o) {
  return (struct rfl_aft_options){.dist = (enum rfl_aft_dist)o->dist,
                                  .type = (enum rfl_aft_type)o->type,
                                  .log_time = o->log_time,
                                  .df = 4,
                                  .scale = o->scale,
                                  .event = 1,
                                  .strict = true,
                                  .time = TIME,
                                  .time2 = o->type == RFL_AFT_TYPE_INTERVAL ? TIME2 : -1,
                                  .status = STATUS,
                                  .stratum = o->strata ? STRATUM : -1,
                                  .n_strata = o->strata ? 2 : 0,
                                  .cluster = -1};
}

/* Passes over cells of `rows` rows, each absorbed into a part and merged. */
static enum rfl_code drive(struct rfl_state *s, const struct oracle *o, size_t rows,
                           struct rfl_err *e) {
  struct rfl_state *part = NULL;
  enum rfl_code code = RFL_OK;
  for (bool again = true; again && !code;) {
    for (size_t from = 0; from < AFT_N && !code; from += rows) {
      struct rows r;
      struct rfl_block b = cut(&r, o, from, AFT_N - from < rows ? AFT_N - from : rows);
      code = rfl_aft.part(s, &part, e);
      if (!code) code = rfl_aft.absorb(part, &b, e);
      if (!code) code = rfl_aft.merge(s, part, e);
    }
    if (!code) code = rfl_aft.settle(s, &again, e);
  }
  rfl_aft.release(part);
  return code;
}

static struct rfl_state *fit_with(const struct rfl_aft_options *o, const struct oracle *q,
                                  size_t rows) {
  struct rfl_state *s = NULL;
  CHECK_OK(rfl_aft.open(&o->base, &layout, &s, &err), &err);
  if (s) CHECK_OK(drive(s, q, rows, &err), &err);
  return s;
}

static struct rfl_state *fit(const struct oracle *o, size_t rows) {
  struct rfl_aft_options a = options_of(o);
  return fit_with(&a, o, rows);
}

enum { N_ORACLES = sizeof aft_oracles / sizeof *aft_oracles };

/* survreg() itself, at rel.tolerance 1e-14, is good to about 1e-8; its standard errors
 * are those of the iterate before the last. */
TEST(fits_are_those_of_survreg) {
  for (size_t k = 0; k < N_ORACLES; k++) {
    const struct oracle *o = &aft_oracles[k];
    struct rfl_state *s = fit(o, 1000);
    struct rfl_aft_result r;
    CHECK_OK(rfl_aft_result(s, &r, &err), &err);
    int32_t q = P + r.n_scale;
    for (int32_t j = 0; j < q; j++) {
      double value = j < P ? r.coef[j] : r.log_scale[j - P];
      CHECK_NEAR(value, o->coef[j], 1e-7 * (1 + fabs(o->coef[j])));
      CHECK_NEAR(sqrt(r.vcov[j + j * q]), o->se[j], 1e-5 * o->se[j]);
    }
    CHECK_NEAR(r.loglik, o->loglik, 1e-9 * fabs(o->loglik));
    CHECK(r.converged && !r.separated && r.rank == P);
    if (harness_failed_) printf("# in %s\n", o->name);
    rfl_aft.release(s);
  }
}

/* ---- rows ---- */

static double slow_l(const struct aft_dist *d, enum rfl_aft_status status, double y,
                     double y2, double eta, double tau) {
  struct aft_row r;
  double sigma = exp(tau);
  aft_row_at(d, status, (y - eta) / sigma, (y2 - eta) / sigma, &r);
  return r.l - (status == RFL_AFT_EXACT ? tau : 0);
}

/* Slopes by central differences: good to about h^2 = 1e-8 of what they are; second
 * derivatives are slopes of first ones. */
static void check_row(const struct aft_dist *d, enum rfl_aft_status status, double z,
                      double z2) {
  struct aft_row r, up, down;
  double h = 1e-5;
  aft_row_at(d, status, z, z2, &r);
  double da =
      (slow_l(d, status, z, z2, h, 0) - slow_l(d, status, z, z2, -h, 0)) / (2 * h);
  double dc =
      (slow_l(d, status, z, z2, 0, h) - slow_l(d, status, z, z2, 0, -h)) / (2 * h);
  double size = 1 + fabs(r.l) + z * z;
  CHECK_NEAR(r.a, da, 1e-8 * size + 1e-7 * fabs(da));
  CHECK_NEAR(r.c, dc, 1e-8 * size + 1e-7 * fabs(dc));
  aft_row_at(d, status, z - h, z2 - h, &up);
  aft_row_at(d, status, z + h, z2 + h, &down);
  double db = (down.a - up.a) / (2 * h), slack = 1e-7 * (1 + fabs(r.b) + fabs(r.d));
  CHECK_NEAR(r.b, db, slack);
  double e = (down.c - up.c) / (2 * h);
  CHECK_NEAR(r.e, e, slack);
  aft_row_at(d, status, z * exp(-h), z2 * exp(-h), &up);
  aft_row_at(d, status, z * exp(h), z2 * exp(h), &down);
  CHECK_NEAR(r.d, (down.c - up.c) / (2 * h), slack);
}

TEST(derivatives_of_rows_are_slopes) {
  for (int dist = 0; dist <= RFL_AFT_T; dist++) {
    struct aft_dist d;
    aft_dist_set(&d, (enum rfl_aft_dist)dist, 4.5);
    for (int status = 0; status < 4; status++)
      for (double z = -6; z <= (dist ? 6 : 3); z += 0.37)
        for (double w = 0.2; w < 4; w *= 2)
          check_row(&d, (enum rfl_aft_status)status, z, z + w);
  }
}

static double l_of(enum rfl_aft_dist dist, enum rfl_aft_status status, double z,
                   double z2) {
  struct aft_dist d;
  struct aft_row r;
  aft_dist_set(&d, dist, 4);
  aft_row_at(&d, status, z, z2, &r);
  CHECK(r.a - r.a == 0 && r.b - r.b == 0 && r.c - r.c == 0);
  CHECK(r.d - r.d == 0 && r.e - r.e == 0);
  return r.l;
}

/* From R: pnorm(), plogis(), pt() with log.p = TRUE, and closed forms. */
TEST(tails_keep_their_digits) {
  const enum rfl_aft_status right = RFL_AFT_RIGHT, left = RFL_AFT_LEFT,
                            both = RFL_AFT_INTERVAL;
  CHECK_NEAR(l_of(RFL_AFT_GAUSSIAN, right, 10, 0), -53.23128515051247, 1e-13 * 53);
  CHECK_NEAR(l_of(RFL_AFT_GAUSSIAN, right, 40, 0), -804.6084420137538, 1e-13 * 804);
  CHECK_NEAR(l_of(RFL_AFT_GAUSSIAN, left, -1e4, 0), -50000010.129278913, 1e-13 * 5e7);
  CHECK_NEAR(l_of(RFL_AFT_T, right, 1e6, 0), -54.163429943195652, 1e-13 * 54);
  CHECK_NEAR(l_of(RFL_AFT_T, left, 0.3, 0), -0.49357644023553210, 1e-14);
  CHECK_NEAR(l_of(RFL_AFT_LOGISTIC, right, 800, 0), -800, 1e-13);
  CHECK_NEAR(l_of(RFL_AFT_EXTREME, left, -500, 0), -500, 1e-13);
  /* Intervals of width 1e-9 about z are 1e-9 f(z); the width itself is known to 6e-14. */
  double w = 1e-9;
  CHECK_NEAR(l_of(RFL_AFT_GAUSSIAN, both, 3, 3 + w), -0.91893853320467274 - 4.5 + log(w),
             1e-7);
  CHECK_NEAR(l_of(RFL_AFT_EXTREME, both, -400, -400 + w), -400 + log(w), 1e-4);
  CHECK_NEAR(l_of(RFL_AFT_LOGISTIC, both, 300, 300 + w), -300 + log(w), 1e-4);
  /* An interval without an upper end is a right-censored row. */
  for (int dist = 0; dist <= RFL_AFT_T; dist++)
    for (double z = -3; z < 3; z++) {
      enum rfl_aft_dist d = (enum rfl_aft_dist)dist;
      CHECK_NEAR(l_of(d, both, z, 1e30), l_of(d, right, z, 0), 1e-12);
    }
}

/* Two intervals that meet are one: log(exp(a) + exp(b)), in the middle and far out, wide
 * and narrow. */
TEST(intervals_add_up) {
  const double at[] = {-30, -8, -1, -0.01, 0.2, 2, 4};
  const double widths[] = {1e-7, 1e-3, 0.3, 1, 3};
  for (int k = 0; k <= RFL_AFT_T; k++)
    for (size_t i = 0; i < 7; i++)
      for (size_t j = 0; j < 5; j++) {
        enum rfl_aft_dist d = (enum rfl_aft_dist)k;
        double z = at[i], w = widths[j];
        double mid = z + 0.4 * w, top = z + w;
        double a = l_of(d, RFL_AFT_INTERVAL, z, mid);
        double b = l_of(d, RFL_AFT_INTERVAL, mid, top);
        double m = fmax(a, b), sum = m + log(exp(a - m) + exp(b - m));
        /* The ends themselves are known to 1e-16 z only. */
        double slack = 1e-12 + 1e-15 * (1 + fabs(z)) * (1 + fabs(z) + exp(z)) / w;
        CHECK_NEAR(l_of(d, RFL_AFT_INTERVAL, z, top), sum, slack + 1e-13 * fabs(sum));
      }
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(fits_are_those_of_survreg);
  RUN(derivatives_of_rows_are_slopes);
  RUN(tails_keep_their_digits);
  RUN(intervals_add_up);
  return harness_end();
}
