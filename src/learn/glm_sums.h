/* What a pass sums, and what for; what a state shares with its parts. */
#ifndef RFL_LEARN_GLM_SUMS_H
#define RFL_LEARN_GLM_SUMS_H
#include <stdatomic.h>

#include "num/chol.h"
#include "num/contrast.h"
#include "num/gram.h"

enum glm_scalar { /* in front of the cross products */
                  GLM_ROWS,
                  GLM_ZERO,   /* rows of weight 0 */
                  GLM_WEIGHT, /* sum of w */
                  GLM_EVENTS, /* sum of w y */
                  GLM_OFFSET, /* sum of w * offset */
                  GLM_DEVIANCE,
                  GLM_PEARSON,
                  GLM_ROUNDED,   /* see glm_rounded(); taken when GLM_UNEVEN is known */
                  GLM_SATURATED, /* this and the next two only in a counting pass */
                  GLM_LOG_WEIGHT,
                  GLM_UNEVEN,     /* rows whose counts are not whole */
                  GLM_NULL_SCORE, /* of the intercept-only model, at null_beta */
                  GLM_NULL_INFO,
                  GLM_NULL_DEVIANCE,
                  GLM_THETA_SCORE, /* these three while theta is estimated */
                  GLM_THETA_INFO,
                  GLM_THETA_DEVIANCE,
                  GLM_N_SCALARS = 24
};

struct glm_design { /* immutable, shared by a state and its parts */
  atomic_int refs;
  struct rfl_layout layout;
  struct rfl_contrast contrast;
  struct rfl_gram gram;
  size_t counts; /* where rows, events and weight of each column of Z begin */
  size_t n_sums;
  size_t n_scratch;
};

enum { GLM_BUCKETS = 256 }; /* of clusters */

struct glm_lever { /* the factor of the information at the iterate before, for Firth */
  atomic_int refs;
  struct rfl_chol chol;
};

enum glm_stage { /* what a pass is for */
                 GLM_FITTING,
                 GLM_MOMENTS, /* scales of the columns */
                 GLM_CLOSING, /* the information at the optimum that Newton's steps found
                               */
                 GLM_INTERCEPT, /* Firth: the intercept alone */
                 GLM_OUTER,     /* outer products of the scores, at the estimate */
                 GLM_N_STAGES
};

#endif
