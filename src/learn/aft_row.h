/* One row of a location-scale model for censored times: its log-likelihood and the
 * derivatives, accurate in the far tails.
 *
 *     struct aft_dist dist;
 *     aft_dist_set(&dist, RFL_AFT_EXTREME, 0);
 *     aft_row_at(&dist, RFL_AFT_RIGHT, z, 0, &row);
 *
 * With z = (y - eta) / sigma and tau = log(sigma) the row's part of the log-likelihood is
 * g = l(z) (less tau for an exact row). What is given is free of sigma:
 *     a = sigma dg/deta      b = -sigma^2 d2g/deta2     c = dg/dtau
 *     d = -d2g/dtau2         e = -sigma d2g/(deta dtau) */
#ifndef RFL_LEARN_AFT_ROW_H
#define RFL_LEARN_AFT_ROW_H
#include "learn/aft.h"

struct aft_dist {
  enum rfl_aft_dist base;
  double df;       /* of t */
  double constant; /* of t: the logarithm of its density at 0 */
  double beta;     /* of t: log B(df / 2, 1 / 2) */
};
struct aft_row {
  double l, a, b, c, d, e;
};

void aft_dist_set(struct aft_dist *, enum rfl_aft_dist, double df);
/* z2 is read for RFL_AFT_INTERVAL only, and must be above z. */
void aft_row_at(const struct aft_dist *, enum rfl_aft_status, double z, double z2,
                struct aft_row *gives);
/* Standard deviation over mean absolute deviation, by sigma: a first guess of sigma is
 * this times the mean absolute residual. */
double aft_spread(const struct aft_dist *);
/* Where the mean lies, in sigmas. */
double aft_centre(const struct aft_dist *);

#endif
