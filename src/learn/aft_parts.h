/* What the files of the AFT model offer each other. */
#ifndef RFL_LEARN_AFT_PARTS_H
#define RFL_LEARN_AFT_PARTS_H
#include "learn/aft_state.h"

/* aft.c */
/* tau of a stratum, estimated or fixed. */
double aft_tau(const struct rfl_state *, size_t stratum);
enum rfl_code aft_options_check(const struct rfl_aft_options *, const struct rfl_layout *,
                                struct rfl_err *);
enum rfl_code aft_design_new(const struct rfl_aft_options *, const struct rfl_layout *,
                             struct aft_design **gives, struct rfl_err *);
void aft_design_release(struct aft_design *);
enum rfl_code aft_state_new(struct aft_design *keeps, struct rfl_state **gives,
                            struct rfl_err *);
void aft_release(struct rfl_state *);
void aft_clear(struct rfl_state *);  /* empties the sums; gamma = T beta */
bool aft_room(double **p, size_t n); /* *p, or n doubles for it */

/* aft_times.c: extras as times on the scale of y */
struct aft_times { /* a chunk, filled up to whole vectors by rows of weight 0 */
  double *y, *y2, *weight, *log_time; /* log_time: what exact rows lose, or 0 */
  uint8_t *status;
  int32_t *stratum, *cluster;
};
/* RFL_EDATA when a row of the block cannot be learnt; `learning`: weights are read. */
enum rfl_code aft_times_check(const struct aft_design *, const struct rfl_block *,
                              bool learning, struct rfl_err *);
void aft_times_load(const struct aft_design *, const struct rfl_block *, size_t from,
                    size_t n, const struct aft_times *);

/* aft_absorb.c */
enum rfl_code aft_columns_check(const struct aft_design *, const struct rfl_block *,
                                struct rfl_err *);
enum rfl_code aft_absorb(struct rfl_state *, const struct rfl_block *, struct rfl_err *);

/* aft_settle.c */
struct aft_work { /* what one settle() needs; q long */
  struct rfl_chol chol;
  double *score, *data_score, *step;
};
enum rfl_code aft_settle(struct rfl_state *, bool *again, struct rfl_err *);

/* aft_finish.c */
void aft_finish(struct rfl_state *, struct aft_work *, bool converged);
enum rfl_code aft_renew(struct rfl_state *, double keep, struct rfl_err *);
struct aft_totals aft_total(const struct rfl_state *);
/* (theta - prior)' J (theta - prior); with `gradient` also J times that. */
double aft_prior_distance(const struct rfl_state *, double *gradient);
int32_t aft_rank(const struct rfl_state *);
bool aft_identified(const struct rfl_state *, const struct aft_totals *);

/* aft_result.c */
/* v (q * q, full) = the covariance of theta: by clusters when there are any and `robust`,
 * by J^-1 K J^-1 where something was forgotten, else the inverse information; 0 in rows
 * and columns of aliased ones. `scratch` is q * q. */
enum rfl_code aft_covariance(const struct rfl_state *, bool robust, double *v,
                             struct rfl_err *);

/* aft_score.c */
uint32_t aft_width(const struct rfl_state *, int what);
enum rfl_code aft_score(const struct rfl_state *, const struct rfl_block *, int what,
                        double *out, struct rfl_err *);

/* aft_write.c */
void aft_write(const struct rfl_state *, struct rfl_buf *);
enum rfl_code aft_read(struct rfl_bytes, struct rfl_state **gives, struct rfl_err *);
size_t aft_size(const struct rfl_state *);

#endif
