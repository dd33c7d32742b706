/* Helpers of the k-means tests: rows, and drivers of fits. */
#ifndef RFL_TEST_HELP_KMEANS_H
#define RFL_TEST_HELP_KMEANS_H
#include "base/bytes.h"
#include "learn/kmeans.h"

enum { MOST_D = 20 };
struct rows {
  size_t n, d;
  double *column[MOST_D], *weight;
  const double *dense[MOST_D];
  struct rfl_term term[MOST_D + 1];
  struct rfl_layout layout;
  struct rfl_block block;
};

struct how {
  size_t cell;  /* rows of a cell; 0: 256 */
  size_t parts; /* that take the cells in turn; 0: absorbed directly */
  bool bytes;   /* state and parts travel as bytes between all steps */
};

void rows_shape(struct rows *r, size_t n, size_t d);
struct rows *rows_clouds(uint64_t seed, size_t n, size_t d, size_t groups, double apart);
void rows_weigh(struct rows *r, uint64_t seed);
void rows_free(struct rows *r);
struct rfl_block rows_slice(const struct rfl_block *b, size_t from, size_t n,
                            const double **dense);
struct rfl_buf km_bytes_of(const struct rfl_state *s);
bool km_same(const struct rfl_state *a, const struct rfl_state *b);
void km_travel(struct rfl_state **s);
enum rfl_code km_pass(struct rfl_state **s, const struct rfl_block *b, struct how how,
                      struct rfl_err *e);
enum rfl_code km_fit(const struct rfl_kmeans_options *o, const struct rows *r,
                     struct how how, struct rfl_state **gives, struct rfl_err *e);
struct rfl_state *km_fitted(const struct rfl_kmeans_options *o, const struct rows *r);
struct rfl_kmeans_result km_result_of(const struct rfl_state *s);
enum rfl_code km_learn(struct rfl_state *s, const struct rfl_block *b, double keep);
double *rows_first(const struct rows *r, size_t k);

/* Fits of all kinds. */
enum { N_PLANS = 5 };
extern const struct rfl_kmeans_options km_plans[N_PLANS];

#endif
