/* The state of FTRL, and what its files offer each other.
 *
 * The intercept and the numbers are few: they are kept as doubles, one struct each. The
 * (z, n) pairs of hashed terms lie side by side in one table, so that a feature costs one
 * cache line. Values of open sets have their pairs in the entries of a dictionary.
 *
 * Forgetting: z decays by 2^(-1 / half-life) a row and n by its square, as if z and n had
 * been learnt from losses that weigh less the older they are. What is stored is z times
 * 2^(clock / half-life), so that a row touches only its own pairs; every 8 half-lives all
 * of them are scaled back. */
#ifndef RFL_LEARN_FTRL_STATE_H
#define RFL_LEARN_FTRL_STATE_H
#include "learn/ftrl.h"
#include "learn/ftrl_kernel.h"

enum { FTRL_AHEAD = 2 }; /* rows between fetching pairs and using them */

struct ftrl_scale { /* Welford (1962); fixed once it has seen settle_scale values */
  double n, mean, m2;
};
struct ftrl_number { /* a numeric term */
  int32_t dense;
  struct ftrl_scale scale;
  double z, n;
};
struct ftrl_feature {   /* a hashed term or an open set */
  int32_t coded, dense; /* dense -1: the value is 1 */
  int32_t levels;       /* slots; 0: an open set */
  uint64_t at;          /* hashed: its first pair in the table. Else mixed into the key */
  uint64_t turn;        /* with a number: moves codes or keys away from those of the term
                           without it */
  struct ftrl_scale scale; /* of the number: scaled, not centred */
};

/* Entries in the order in which their values entered, and an index by open addressing:
 * the same rows give the same bytes. */
struct ftrl_dict {
  size_t n, cap, index_size; /* index_size: a power of two, at least twice cap */
  uint8_t *entry;            /* cap of them: key (8 bytes), then the pair */
  uint64_t *index;           /* 0: empty; else upper half of the key, number + 1 */
  uint8_t *seen; /* counts of values that have not entered yet (conservative update,
                    Estan & Varghese 2002); NULL where the first sight is enough */
};

struct ftrl_sums { /* of the rows that were predicted before they were learnt */
  double weight, events, loss; /* of w, w y, w times the loss */
  double mean, shape; /* gaussian: Welford's mean and sum of squares of y. Poisson: shape
                         is the sum of w y log(y) */
};

struct rfl_state {
  struct rfl_layout layout;
  struct rfl_ftrl_options o;
  double bias_z, bias_n;
  size_t n_numbers, n_features;
  struct ftrl_number *number;
  struct ftrl_feature *feature;
  bool open_sets, plain; /* plain: all features are hashed and have the value 1 */
  size_t n_pairs;
  void *pair;
  struct ftrl_dict dict;
  struct ftrl_scale response;
  uint64_t rows, kept, clock;
  int32_t passes;
  struct ftrl_sums sums;
  struct ftrl_row *row; /* scratch of learning; made at the first block */
};

/* ftrl.c */
static inline size_t ftrl_pair_size(const struct rfl_state *s) {
  return s->o.wide ? 2 * sizeof(double) : 2 * sizeof(float);
}
/* An empty state of options and a layout that nobody has checked. */
enum rfl_code ftrl_new(const struct rfl_ftrl_options *, const struct rfl_layout *,
                       struct rfl_state **gives, struct rfl_err *);
void ftrl_release(struct rfl_state *);
size_t ftrl_size(const struct rfl_state *);

/* ftrl_row.c: what learning and scoring share */
void ftrl_scale_take(struct ftrl_scale *, double x, int32_t settle);
double ftrl_scale_sd(const struct ftrl_scale *);  /* 1 where there is none yet */
double ftrl_scale_rms(const struct ftrl_scale *); /* the same */
/* How a number enters: centred when the model has an intercept. */
double ftrl_number_value(const struct rfl_state *, const struct ftrl_number *, double x);
struct ftrl_rates ftrl_rates(const struct rfl_state *, uint64_t clock);
const struct ftrl_kernel *ftrl_kernel(const struct rfl_state *);
double ftrl_weight(const struct ftrl_rates *, double z, double n);
enum rfl_code ftrl_check_columns(const struct rfl_state *, const struct rfl_block *,
                                 struct rfl_err *);
void ftrl_view(const struct rfl_state *, const struct rfl_block *, struct ftrl_row *);
void ftrl_prefetch(const struct rfl_state *, const struct rfl_block *, size_t i,
                   const struct ftrl_row *);
/* Key of feature f in row i, an open set. */
uint64_t ftrl_key(const struct ftrl_feature *f, const struct rfl_block *, size_t i);
/* Fills the row and gives its linear predictor, without the offset. */
double ftrl_predict(const struct rfl_state *, const struct ftrl_rates *,
                    const struct rfl_block *, size_t i, struct ftrl_row *);
/* The response that belongs to a linear predictor, offset included. */
double ftrl_respond(const struct rfl_state *, double eta, double offset);

/* ftrl_learn.c */
enum rfl_code ftrl_absorb(struct rfl_state *, const struct rfl_block *, struct rfl_err *);

/* ftrl_score.c */
uint32_t ftrl_width(const struct rfl_state *, int what);
enum rfl_code ftrl_score(const struct rfl_state *, const struct rfl_block *, int what,
                         double *out, struct rfl_err *);

/* ftrl_dict.c. A pair is pair_size bytes. */
void ftrl_dict_release(struct ftrl_dict *);
enum rfl_code ftrl_dict_count_sights(struct ftrl_dict *, struct rfl_err *);
/* Room for so many more entries, so that entering cannot fail. */
enum rfl_code ftrl_dict_reserve(struct ftrl_dict *, size_t more, size_t pair_size,
                                struct rfl_err *);
void *ftrl_dict_find(const struct ftrl_dict *, uint64_t key, size_t pair_size);
void ftrl_dict_prefetch(const struct ftrl_dict *, uint64_t key);
void *ftrl_dict_enter(struct ftrl_dict *, uint64_t key, size_t pair_size);
/* Notes a sight of a value that is not in; whether it was at least the `admit`-th. */
bool ftrl_dict_sight(struct ftrl_dict *, uint64_t key, int32_t admit);
enum rfl_code ftrl_dict_copy(const struct ftrl_dict *, struct ftrl_dict *gives,
                             size_t pair_size, struct rfl_err *);
size_t ftrl_dict_size(const struct ftrl_dict *, size_t pair_size);
enum { FTRL_SEEN = 1 << 22 }; /* counters */

/* ftrl_write.c */
void ftrl_write(const struct rfl_state *, struct rfl_buf *);
enum rfl_code ftrl_read(struct rfl_bytes, struct rfl_state **gives, struct rfl_err *);

#endif
