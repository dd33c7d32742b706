/* What the files of the GLM offer each other. */
#ifndef RFL_LEARN_GLM_PARTS_H
#define RFL_LEARN_GLM_PARTS_H
#include "learn/glm_state.h"

/* glm.c */
enum rfl_code glm_state_new(struct glm_design *keeps, struct rfl_state **gives,
                            struct rfl_err *);
enum rfl_code glm_design_new(const struct rfl_layout *, struct glm_design **gives,
                             struct rfl_err *);
void glm_design_release(struct glm_design *);
void glm_release(struct rfl_state *);
enum rfl_code glm_need_exact(struct rfl_state *, struct rfl_err *); /* room for sums.lo */
void glm_take_plain(struct rfl_state *to, const struct rfl_state *from);
void glm_clear(struct rfl_state *); /* empties the sums; gamma = T beta */

/* glm_absorb.c */
enum rfl_code glm_absorb(struct rfl_state *, const struct rfl_block *, struct rfl_err *);

/* glm_settle.c */
struct glm_work { /* what one settle() needs; p or z long */
  struct rfl_chol chol;
  struct rfl_sums score, step; /* of everything: data, prior, pseudo counts */
  double *data_score, *spare;  /* spare: 2 n_x */
  double *e, *ze;              /* n_z */
};
enum rfl_code glm_settle(struct rfl_state *, bool *again, struct rfl_err *);

/* glm_step.c: what the next pass is */
/* Dispersion by the sums of this pass; 1 where it is known. */
double glm_noise(const struct rfl_state *);
/* Whether the next pass is to be exact. `repeat`: this one must be taken again, since the
 * aliased columns cannot be told from it. */
bool glm_wants_exact(const struct rfl_state *, const struct glm_work *, bool *repeat);
bool glm_small(const struct rfl_state *); /* twice the precision costs nothing */
/* From the factor on: a step, a jump, or the end (false). */
bool glm_advance(struct rfl_state *, struct glm_work *, double objective);
/* The same for the pass of Firth's intercept. */
bool glm_advance_intercept(struct rfl_state *, struct glm_work *);
void glm_start_anew(struct rfl_state *);

/* glm_penalty.c */
bool glm_penalised(const struct rfl_state *);
int32_t glm_intercept(const struct rfl_state *); /* its column of X, or -1 */
void glm_scale_columns(struct rfl_state *);
void glm_scale_equal(struct rfl_state *);
double glm_penalise(const struct rfl_state *, struct glm_work *);
double glm_proximal(const struct rfl_state *, struct glm_work *);
void glm_keep_penalty(struct rfl_state *);

/* glm_firth.c */
void glm_lever_release(struct glm_lever *);
struct glm_lever *glm_lever_keep(struct glm_lever *);
enum rfl_code glm_lever_new(struct rfl_state *, struct rfl_err *);
enum rfl_code glm_lever_set(struct rfl_state *, const struct glm_work *,
                            struct rfl_err *);
double glm_log_determinant(const struct rfl_chol *);
void glm_firth_add(const struct rfl_state *, const struct rfl_block *, size_t from,
                   const struct glm_rows *, double *x);
bool glm_flic(struct rfl_state *, const struct glm_work *);

/* glm_outer.c */
enum rfl_code glm_need_buckets(struct rfl_state *, struct rfl_err *);
void glm_bucket_rows(struct rfl_state *, const struct rfl_block *, size_t from, size_t n,
                     const double *r);
enum rfl_code glm_outer_settle(struct rfl_state *, struct glm_work *, struct rfl_err *);

/* glm_separation.c */
/* Levels whose rows have no event (-1) or only events (+1), into e; how many. */
size_t glm_lonely(const struct rfl_state *, double *e);
/* Takes pseudo counts for such levels from the sums of the counting pass; false: there
 * are none. */
bool glm_begin_bend(struct rfl_state *, struct glm_work *);
/* Adds the pseudo counts to the score and gives what they add to the objective. */
double glm_bend(const struct rfl_state *, struct glm_work *);
void glm_unbend(struct rfl_state *);
/* From the optimum with pseudo counts to where the levels' own optimum is, at infinity:
 * beta is set. */
void glm_jump(struct rfl_state *, struct glm_work *);
/* After a jump: damps the steps, so that what the data no longer tell stays where it is.
 */
void glm_hold(const struct rfl_state *, struct glm_work *);
/* Marks the coefficients that the damping alone holds: their variance is infinite. */
void glm_undetermined(struct rfl_state *, const struct glm_work *);

/* glm_finish.c: the end of a fit, and of a block */
enum rfl_code glm_null_settle(struct rfl_state *, struct rfl_err *);
void glm_finish(struct rfl_state *, struct glm_work *, bool converged);
enum rfl_code glm_renew(struct rfl_state *, double keep, struct rfl_err *);
/* The weak prior of columns that no row spoke for, or whose optimum was at infinity
 * (`runs`, `or_runs`: n_x directions, 0 for none). */
void glm_weaken(struct rfl_state *, const double *runs, const double *or_runs);
/* past and now together; what was forgotten counts less. */
struct glm_totals glm_total(const struct rfl_state *);
double glm_dispersion(const struct rfl_state *);
/* (beta - prior_beta)' J (beta - prior_beta); with `gradient` also J times that. */
double glm_prior_distance(const struct rfl_state *, const double *beta, double *gradient);
int32_t glm_rank(const struct rfl_state *);
bool glm_identified(const struct rfl_state *, const struct glm_totals *);

/* glm_score.c */
/* Row i of the block as a row of X. */
void glm_expand(const struct rfl_state *, const struct rfl_block *, size_t i, double *x);
/* What J^-1 K J^-1 has for K: what was forgotten counts by the square. */
double glm_outer(const struct rfl_state *, size_t i, size_t j);
uint32_t glm_width(const struct rfl_state *, int what);
enum rfl_code glm_score(const struct rfl_state *, const struct rfl_block *, int what,
                        double *out, struct rfl_err *);

/* glm_write.c */
void glm_write(const struct rfl_state *, struct rfl_buf *);
enum rfl_code glm_read(struct rfl_bytes, struct rfl_state **gives, struct rfl_err *);
size_t glm_size(const struct rfl_state *);

/* glm_widen.c */
enum rfl_code glm_widen(const struct rfl_state *, const struct rfl_layout *wider,
                        const int32_t *to, struct rfl_state **gives, struct rfl_err *);

#endif
