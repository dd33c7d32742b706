/* Recipes: columns and names are model.matrix()'s; bytes and memory. */
#include "design/recipe.h"

#include "harness.h"
#include "help.h"
#include "oracle-design.inc"

static struct rfl_err err;

static const struct rfl_variable variables[] = {
    {.name = "x"},
    {.name = "u"},
    {.name = "f", .kind = RFL_CATEGORY, .level = levels_f, .n_levels = 3},
    {.name = "g", .kind = RFL_CATEGORY, .level = levels_g, .n_levels = 4},
    {.name = "b", .kind = RFL_CATEGORY, .logical = true}};

static struct rfl_recipe_spec spec_of(const struct design_oracle *o) {
  return (struct rfl_recipe_spec){.n_variables = 5,
                                  .variable = variables,
                                  .intercept = o->intercept,
                                  .n_terms = o->n_terms,
                                  .term = o->term};
}

static struct rfl_frame *oracle_frame(void) {
  char rows[4000] = "";
  for (size_t i = 0; i < ORACLE_ROWS; i++)
    snprintf(rows + strlen(rows), 200, "%s%.17g %.17g %s %s %d", i ? ";" : "", data_x[i],
             data_u[i], data_f[i], data_g[i], data_b[i]);
  return frame_of("x double, u double, f factor, g string, b logical", rows);
}

static void check_recipe(const struct rfl_recipe *r, const struct design_oracle *o,
                         const struct rfl_frame *f) {
  struct rfl_workspace *ws = NULL;
  struct rfl_block b;
  CHECK_OK(rfl_workspace_new(r, RFL_FOR_SCORING, RFL_UNSEEN_ERROR, &ws, &err), &err);
  CHECK_OK(rfl_recipe_apply(r, &(struct rfl_rows){f, 0, f->n_rows}, ws, &b, &err), &err);
  CHECK_EQ(rfl_recipe_layout(r)->n_x, o->n_x);
  CHECK_OK(rfl_layout_check(rfl_recipe_layout(r), &err), &err);
  double *x = calloc((size_t)o->n_x * b.n, sizeof *x);
  rfl_design_expand(rfl_recipe_layout(r), &b, x);
  for (int32_t j = 0; j < o->n_x && !harness_failed_; j++) {
    CHECK_STR(rfl_recipe_column(r, j), o->name[j]);
    for (size_t i = 0; i < b.n; i++) /* products of the same doubles in another order */
      CHECK_NEAR(x[i + (size_t)j * b.n], o->x[i + (size_t)j * b.n], 1e-13);
  }
  if (harness_failed_) printf("# %s\n", o->formula);
  free(x);
  rfl_workspace_release(ws);
}

enum { N_ORACLES = sizeof oracles / sizeof *oracles };

TEST(columns_and_names_are_those_of_model_matrix) {
  struct rfl_frame *f = oracle_frame();
  for (size_t k = 0; k < N_ORACLES; k++) {
    struct rfl_recipe_spec spec = spec_of(&oracles[k]);
    struct rfl_recipe *r = NULL;
    CHECK_OK(rfl_recipe_new(&spec, &r, &err), &err);
    if (r) check_recipe(r, &oracles[k], f);
    rfl_recipe_release(r);
  }
  rfl_frame_release(f);
}

TEST(equal_products_share_a_column) {
  struct rfl_recipe *r = NULL;
  struct rfl_recipe_spec spec = spec_of(&oracles[1]); /* x * f * g */
  CHECK_OK(rfl_recipe_new(&spec, &r, &err), &err);
  const struct rfl_layout *l = rfl_recipe_layout(r);
  CHECK_EQ(l->n_dense, 1);
  CHECK_EQ(l->n_coded, 3); /* f, g, f:g */
  CHECK_EQ(l->n_terms, 8);
  CHECK_EQ(l->n_z, 1 + 1 + 3 + 4 + 3 + 4 + 12 + 12);
  rfl_recipe_release(r);
}

static const char *const answers[] = {"no", "yes"};

static struct rfl_recipe_spec full_spec(void) {
  static const char *const offsets[] = {"o1", "o2"};
  struct rfl_recipe_spec spec = spec_of(&oracles[7]);
  spec.response = RFL_RESPONSE_CLASS;
  spec.y = "y";
  spec.y_level = answers;
  spec.n_y_levels = 2;
  spec.weight = "w";
  spec.n_offsets = 2;
  spec.offset = offsets;
  return spec;
}

static struct rfl_buf bytes_of(const struct rfl_recipe *r) {
  struct rfl_buf out = {0};
  rfl_recipe_write(r, &out);
  CHECK_OK(rfl_buf_check(&out, &err), &err);
  return out;
}

TEST(bytes_give_the_same_recipe) {
  struct rfl_frame *f = oracle_frame();
  for (size_t k = 0; k < N_ORACLES; k++) {
    struct rfl_recipe_spec spec = k == 7 ? full_spec() : spec_of(&oracles[k]);
    struct rfl_recipe *r = NULL, *back = NULL;
    CHECK_OK(rfl_recipe_new(&spec, &r, &err), &err);
    struct rfl_buf a = bytes_of(r);
    struct rfl_reader in = {.at = a.p, .end = a.p + a.n};
    CHECK_OK(rfl_recipe_read(&in, &back, &err), &err);
    CHECK(in.at == in.end);
    struct rfl_buf b = bytes_of(back);
    CHECK(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
    if (k != 7) check_recipe(back, &oracles[k], f); /* 7 has offsets, which f lacks */
    rfl_buf_release(&a);
    rfl_buf_release(&b);
    rfl_recipe_release(r);
    rfl_recipe_release(back);
  }
  rfl_frame_release(f);
}

TEST(damaged_bytes_are_refused_or_give_a_sound_recipe) {
  struct rfl_recipe_spec spec = full_spec();
  struct rfl_recipe *r = NULL;
  CHECK_OK(rfl_recipe_new(&spec, &r, &err), &err);
  struct rfl_buf a = bytes_of(r);
  for (size_t i = 0; i < a.n; i++) {
    for (int bit = 0; bit < 8; bit += 3) {
      struct rfl_recipe *back = NULL;
      a.p[i] ^= (uint8_t)(1 << bit);
      struct rfl_reader in = {.at = a.p, .end = a.p + a.n};
      if (!rfl_recipe_read(&in, &back, &err))
        CHECK_OK(rfl_layout_check(rfl_recipe_layout(back), &err), &err);
      rfl_recipe_release(back);
      a.p[i] ^= (uint8_t)(1 << bit);
    }
    struct rfl_recipe *cut = NULL;
    struct rfl_reader in = {.at = a.p, .end = a.p + i};
    CHECK_EQ(rfl_recipe_read(&in, &cut, &err), RFL_EDATA);
  }
  rfl_buf_release(&a);
  rfl_recipe_release(r);
}

static enum rfl_code try_spec(const struct rfl_recipe_spec *spec) {
  struct rfl_recipe *r = NULL;
  enum rfl_code code = rfl_recipe_new(spec, &r, &err);
  rfl_recipe_release(r);
  return code;
}

TEST(a_spec_that_does_not_fit_together_is_refused) {
  struct rfl_recipe_spec spec = spec_of(&oracles[0]);
  struct rfl_variable own[5];
  memcpy(own, variables, sizeof own);
  spec.variable = own;
  CHECK_EQ(try_spec(&spec), RFL_OK);
  own[2].n_levels = 2;
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  CHECK_STR(err.message, "The contrasts of `f` do not fit its 2 levels.");
  static const char *const twice[] = {"a", "b", "a"};
  own[2].level = twice;
  own[2].n_levels = 3;
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  CHECK_STR(err.message, "The level 'a' is there twice.");
  memcpy(own, variables, sizeof own);
  spec.n_variables = 2;
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  spec.n_variables = 5;
  own[0].name = NULL;
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  own[0].name = "x";
  own[2].n_levels = 0;
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
}

static enum rfl_code whole_life(const struct rfl_frame *f) {
  struct rfl_recipe_spec spec = full_spec();
  struct rfl_recipe *r = NULL, *back = NULL;
  struct rfl_workspace *ws = NULL;
  struct rfl_buf bytes = {0};
  struct rfl_block b;
  enum rfl_code code = rfl_recipe_new(&spec, &r, &err);
  if (!code) rfl_recipe_write(r, &bytes);
  if (!code) code = rfl_buf_check(&bytes, &err);
  struct rfl_reader in = {0};
  if (!code) in = (struct rfl_reader){.at = bytes.p, .end = bytes.p + bytes.n};
  if (!code) code = rfl_recipe_read(&in, &back, &err);
  if (!code) code = rfl_workspace_new(back, RFL_FOR_LEARNING, RFL_UNSEEN_NA, &ws, &err);
  if (!code) code = rfl_recipe_apply(back, &(struct rfl_rows){f, 0, 2}, ws, &b, &err);
  if (!code) code = rfl_recipe_apply(back, &(struct rfl_rows){f, 0, 3}, ws, &b, &err);
  rfl_workspace_release(ws);
  rfl_recipe_release(r);
  rfl_recipe_release(back);
  rfl_buf_release(&bytes);
  return code;
}

TEST(every_allocation_may_fail) {
  struct rfl_frame *f = frame_of(
      "x double, u integer, f factor, g string, b logical, y factor, w double, o1 "
      "double, o2 integer",
      "1 2 lo a 1 no 1 0 1; 2 3 hi b 0 yes 2 1 0; NA 2 lo c 1 yes 1 1 1");
  SWEEP(whole_life(f));
  rfl_frame_release(f);
}

int main(void) {
  RUN(columns_and_names_are_those_of_model_matrix);
  RUN(equal_products_share_a_column);
  RUN(bytes_give_the_same_recipe);
  RUN(damaged_bytes_are_refused_or_give_a_sound_recipe);
  RUN(a_spec_that_does_not_fit_together_is_refused);
  RUN(every_allocation_may_fail);
  return harness_end();
}
