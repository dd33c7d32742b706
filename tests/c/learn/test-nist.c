/* NIST's reference data sets for linear least squares. Longley stands here; the others
 * are read from $RIFFLE_DATA (coefficients there are exact to 16 digits, by rational
 * arithmetic).
 *
 * Digits are those of the worst coefficient, -log10 |b / b* - 1|. Promised: 12 on all
 * sets but Filip, whose inputs (10 powers of x) are known to 7.6 digits only once they
 * are doubles: 7 where the tolerance admits its rank of 11, else lm()'s NA. */
#include "blas_fill.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

static const double longley[16][7] = {{60323, 83.0, 234289, 2356, 1590, 107608, 1947},
                                      {61122, 88.5, 259426, 2325, 1456, 108632, 1948},
                                      {60171, 88.2, 258054, 3682, 1616, 109773, 1949},
                                      {61187, 89.5, 284599, 3351, 1650, 110929, 1950},
                                      {63221, 96.2, 328975, 2099, 3099, 112075, 1951},
                                      {63639, 98.1, 346999, 1932, 3594, 113270, 1952},
                                      {64989, 99.0, 365385, 1870, 3547, 115094, 1953},
                                      {63761, 100.0, 363112, 3578, 3350, 116219, 1954},
                                      {66019, 101.2, 397469, 2904, 3048, 117388, 1955},
                                      {67857, 104.6, 419180, 2822, 2857, 118734, 1956},
                                      {68169, 108.4, 442769, 2936, 2798, 120445, 1957},
                                      {66513, 110.8, 444546, 4681, 2637, 121950, 1958},
                                      {68655, 112.6, 482704, 3813, 2552, 123366, 1959},
                                      {69564, 114.2, 502601, 3931, 2514, 125368, 1960},
                                      {69331, 115.7, 518173, 4806, 2572, 127852, 1961},
                                      {70551, 116.9, 554894, 4007, 2827, 130081, 1962}};
static const double longley_coef[] = {
    -3482258.63459582, 15.0618722713733,       -0.358191792925910E-01, -2.02022980381683,
    -1.03322686717359, -0.511041056535807E-01, 1829.15146461355};
static const double longley_se[] = {
    890420.383607373,  84.9149257747669,  0.334910077722432E-01, 0.488399681651699,
    0.214274163161675, 0.226073200069370, 455.478499142212};

struct table { /* column-major numbers; column 0 is y */
  size_t n, columns;
  double *x;
};

/* Fits y ~ (1 +) columns 1, 2, ...; digits of the worst coefficient and standard error; 0
 * when there are aliased ones. */
static void digits_of(const struct table *t, bool intercept, double rank_tolerance,
                      const double *coef, const double *se, double *digits,
                      double *se_digits, int32_t *aliased) {
  struct rfl_term term[16];
  const double *dense[16];
  struct rfl_layout l = {.n_dense = t->columns - 1, .term = term, .intercept = intercept};
  for (size_t j = intercept ? 0 : 1; j < t->columns; j++) {
    term[l.n_terms] = (struct rfl_term){.coded = -1,
                                        .dense = (int32_t)j - 1,
                                        .assign = (int32_t)j,
                                        .z = l.n_z,
                                        .n_z = 1,
                                        .x = l.n_x,
                                        .n_x = 1};
    l.n_terms++;
    l.n_z++;
    l.n_x++;
  }
  for (size_t j = 1; j < t->columns; j++) dense[j - 1] = t->x + j * t->n;
  struct rfl_block b = {.n = t->n, .n_dense = l.n_dense, .dense = dense, .y = t->x};
  struct rfl_glm_options o = {.family = RFL_GAUSSIAN, .rank_tolerance = rank_tolerance};
  struct rfl_state *s = NULL;
  struct rfl_glm_result r = {0};
  CHECK_OK(fit(&o, &l, &b, (struct how){.rows = 10, .parts = 2}, &s, &err), &err);
  if (s) CHECK_OK(rfl_glm_result(s, &r, &err), &err);
  CHECK(r.double_double);
  *digits = *se_digits = 16;
  *aliased = r.n_x - r.rank;
  for (int32_t j = 0; j < r.n_x; j++) {
    double off = fabs(r.coef[j] / coef[j] - 1),
           other = fabs(sqrt(r.vcov[j + j * r.n_x]) / se[j] - 1);
    if (off > 0) *digits = fmin(*digits, -log10(off));
    if (other > 0 && se[j] > 0) *se_digits = fmin(*se_digits, -log10(other));
    if (isnan(off)) *digits = 0;
  }
  rfl_glm.release(s);
}

TEST(longley_has_twelve_digits) {
  double x[7 * 16], digits, se_digits;
  int32_t aliased;
  for (size_t i = 0; i < 16; i++)
    for (size_t j = 0; j < 7; j++) x[j * 16 + i] = longley[i][j];
  struct table t = {16, 7, x};
  digits_of(&t, true, 0, longley_coef, longley_se, &digits, &se_digits, &aliased);
  printf("# longley: %.1f digits, standard errors %.1f\n", digits, se_digits);
  CHECK_EQ(aliased, 0);
  CHECK(digits >= 12); /* NIST prints 15 */
  CHECK(se_digits >= 10);
}

/* ---- the other sets ---- */

static char *slurp(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  char *text = calloc(1, 1 << 20);
  size_t n = fread(text, 1, (1 << 20) - 1, f);
  text[n] = 0;
  fclose(f);
  return text;
}

static bool read_table(const char *folder, const char *name, struct table *t) {
  char path[1200];
  snprintf(path, sizeof path, "%s/%s.csv", folder, name);
  char *text = slurp(path), *at = text;
  if (!text) return false;
  t->columns = 1;
  for (; *at && *at != '\n'; at++) t->columns += *at == ',';
  t->x = calloc(100 * 16, sizeof *t->x);
  double *rows = calloc(100 * 16, sizeof *rows);
  while (*at && t->n < 100) {
    for (size_t j = 0; j < t->columns; j++) {
      at++;
      rows[t->n * t->columns + j] = strtod(at, &at);
    }
    if (*at == '\r') at++;
    t->n++;
    if (*at && !at[1]) break;
  }
  for (size_t i = 0; i < t->n; i++)
    for (size_t j = 0; j < t->columns; j++) t->x[j * t->n + i] = rows[i * t->columns + j];
  free(rows);
  free(text);
  return true;
}

/* y, x -> y, x, x^2, ..., of p coefficients. */
static void powers(struct table *t, size_t p, bool intercept) {
  for (size_t k = 2; k + intercept <= p; k++, t->columns++)
    for (size_t i = 0; i < t->n; i++)
      t->x[k * t->n + i] = t->x[(k - 1) * t->n + i] * t->x[t->n + i];
}

static void numbers_after(const char *at, const char *key, double *to) {
  at = strstr(at, key);
  at = at ? strchr(at, '[') : NULL;
  while (at && *at && *at != ']') {
    const char *quote = strpbrk(at + 1, "\"]");
    if (!quote || *quote == ']') return;
    *to++ = strtod(quote + 1, NULL);
    at = strchr(quote + 1, '"');
  }
}

static void check_set(const char *folder, const char *json, const char *name) {
  struct table t = {0};
  double coef[16] = {0}, se[16] = {0}, digits, se_digits;
  int32_t aliased;
  char key[64];
  snprintf(key, sizeof key, "\"%s\":", name);
  const char *at = strstr(json, key);
  if (!at || !read_table(folder, name, &t)) {
    harness_fail_(__FILE__, __LINE__, "%s is not there", name);
    return;
  }
  size_t p = (size_t)strtol(strstr(at, "\"p\":") + 4, NULL, 10);
  bool intercept = strncmp(strstr(at, "\"intercept\": ") + 13, "true", 4) == 0;
  if (t.columns == 2) powers(&t, p, intercept);
  numbers_after(at, "\"coef\"", coef);
  numbers_after(at, "\"se\"", se);
  bool filip = strcmp(name, "filip") == 0;
  if (filip) {
    digits_of(&t, intercept, 0, coef, se, &digits, &se_digits, &aliased);
    CHECK_EQ(aliased, 1);
  }
  digits_of(&t, intercept, filip ? 1e-10 : 0, coef, se, &digits, &se_digits, &aliased);
  printf("# %s: %.1f digits, standard errors %.1f\n", name, digits, se_digits);
  CHECK(digits >= (filip ? 7 : 12));
  CHECK(se_digits >= (filip ? 6 : 9));
  free(t.x);
}

TEST(all_sets_have_twelve_digits_and_filip_seven) {
  const char *data = getenv("RIFFLE_DATA");
  if (!data) SKIP("RIFFLE_DATA is not set");
  char folder[1000], path[1100];
  snprintf(folder, sizeof folder, "%s/glm/nist", data);
  snprintf(path, sizeof path, "%s/nist_lls_exact.json", folder);
  char *json = slurp(path);
  if (!json) SKIP("no nist_lls_exact.json under RIFFLE_DATA");
  static const char *const sets[] = {"norris",   "pontius",  "noint1",   "noint2",
                                     "longley",  "filip",    "wampler1", "wampler2",
                                     "wampler3", "wampler4", "wampler5"};
  for (size_t k = 0; k < sizeof sets / sizeof *sets; k++)
    check_set(folder, json, sets[k]);
  free(json);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(longley_has_twelve_digits);
  RUN(all_sets_have_twelve_digits_and_filip_seven);
  return harness_end();
}
