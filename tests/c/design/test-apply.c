/* Frames to blocks: types, missing and infinite values, levels never seen, what is copied
 * and what is counted. */
#include "design/recipe.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

static const char *const colours[] = {"blue", "green", "red"};
static int32_t treatment[] = {-1, 0, 1};
static const int32_t first[] = {0}, second[] = {1};
static const struct rfl_coding none[] = {{0}},
                               by_colour[] = {{3, 2, treatment, NULL, NULL}};
static const struct rfl_term_spec terms[] = {{1, first, none}, {1, second, by_colour}};
static const struct rfl_variable variables[] = {
    {.name = "x"}, {.name = "f", .kind = RFL_CATEGORY, .level = colours, .n_levels = 3}};

/* y ~ x + f, with what a test adds. */
static struct rfl_recipe_spec base_spec(void) {
  return (struct rfl_recipe_spec){.n_variables = 2,
                                  .variable = variables,
                                  .intercept = true,
                                  .n_terms = 2,
                                  .term = terms};
}

struct use { /* a recipe with a workspace */
  struct rfl_recipe *recipe;
  struct rfl_workspace *ws;
  struct rfl_block block;
};

static struct use use_of(struct rfl_recipe_spec spec, enum rfl_purpose purpose,
                         enum rfl_unseen unseen) {
  struct use u = {0};
  CHECK_OK(rfl_recipe_new(&spec, &u.recipe, &err), &err);
  CHECK_OK(rfl_workspace_new(u.recipe, purpose, unseen, &u.ws, &err), &err);
  return u;
}

static void use_end(struct use *u) {
  rfl_workspace_release(u->ws);
  rfl_recipe_release(u->recipe);
}

static enum rfl_code apply(struct use *u, const struct rfl_frame *f, uint32_t row,
                           uint32_t n) {
  return rfl_recipe_apply(u->recipe, &(struct rfl_rows){f, row, n}, u->ws, &u->block,
                          &err);
}

/* Applies to the whole of a frame that is made and dropped here. */
static enum rfl_code apply_text(struct use *u, const char *schema, const char *rows) {
  struct rfl_frame *f = frame_of(schema, rows);
  enum rfl_code code = apply(u, f, 0, f->n_rows);
  rfl_frame_release(f);
  return code;
}

TEST(complete_doubles_are_not_copied) {
  struct use u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_NA);
  struct rfl_frame *f = frame_of("x double, f factor", "1 red;2 blue;3 green;4 red");
  CHECK_OK(apply(&u, f, 1, 3), &err);
  CHECK(u.block.dense[0] == f->column[0].f64 + 1);
  CHECK(u.block.row == NULL);
  CHECK_EQ(u.block.n, 3);
  CHECK_EQ(u.block.coded[0].code[0], 0);
  CHECK_EQ(u.block.coded[0].code[1], 1);
  CHECK_EQ(u.block.coded[0].code[2], 2);
  CHECK_EQ(u.block.coded[0].levels, 3);
  CHECK(!u.block.y && !u.block.weight && !u.block.offset);
  rfl_frame_release(f);
  use_end(&u);
}

TEST(rows_with_missing_values_are_left_out_and_counted) {
  struct use u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_NA);
  struct rfl_frame *f =
      frame_of("x double, f factor", "1 red;NA red;3 NA;nan blue;5 green;6 blue");
  CHECK_OK(apply(&u, f, 1, 5), &err);
  CHECK_EQ(u.block.n, 2);
  CHECK_EQ(u.block.row[0], 4);
  CHECK_EQ(u.block.row[1], 5);
  CHECK_NEAR(u.block.dense[0][0], 5, 0);
  CHECK_NEAR(u.block.dense[0][1], 6, 0);
  CHECK_EQ(u.block.coded[0].code[0], 1);
  CHECK_EQ(u.block.coded[0].code[1], 0);
  const struct rfl_count *c = rfl_workspace_count(u.ws);
  CHECK_EQ(c->rows, 5);
  CHECK_EQ(c->used, 2);
  CHECK_EQ(c->missing, 3);
  CHECK_EQ(c->unseen, 0);
  CHECK_NEAR(f->column[0].f64[4], 5, 0); /* the frame is never written to */
  rfl_frame_release(f);
  use_end(&u);
}

TEST(infinite_values_are_refused_when_learning_and_missing_when_scoring) {
  struct rfl_recipe_spec spec = base_spec();
  spec.response = RFL_RESPONSE_NUMBER;
  spec.y = "y";
  struct use u = use_of(spec, RFL_FOR_LEARNING, RFL_UNSEEN_ERROR);
  CHECK_EQ(apply_text(&u, "x double, f factor, y double", "1 red 0;inf blue 1"),
           RFL_EDATA);
  CHECK_STR(err.message, "The column `x` is infinite in row 2.");
  CHECK_EQ(apply_text(&u, "x double, f factor, y double", "1 red inf"), RFL_EDATA);
  CHECK_OK(apply_text(&u, "x double, f factor, y double", "inf red NA;1 red 1"), &err);
  CHECK_EQ(u.block.n, 1);
  use_end(&u);
  u = use_of(spec, RFL_FOR_SCORING, RFL_UNSEEN_ERROR);
  CHECK_OK(apply_text(&u, "x double, f factor", "1 red;-inf blue"), &err);
  CHECK_EQ(u.block.n, 1);
  CHECK_EQ(rfl_workspace_count(u.ws)->missing, 1);
  use_end(&u);
}

TEST(a_level_never_seen_follows_the_policy) {
  const char *schema = "x double, f string", *rows = "1 red;2 mauve;3 blue;NA pink";
  struct use u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_ERROR);
  CHECK_EQ(apply_text(&u, schema, rows), RFL_EDATA);
  CHECK_STR(err.message, "Row 2 has a level that the model does not know: f: 'mauve'.");
  CHECK_EQ(rfl_workspace_count(u.ws)->rows, 0); /* nothing was done */
  use_end(&u);
  u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_NA);
  CHECK_OK(apply_text(&u, schema, rows), &err);
  CHECK_EQ(u.block.n, 2);
  CHECK_EQ(u.block.row[1], 2);
  CHECK_EQ(rfl_workspace_count(u.ws)->unseen, 1);
  CHECK_EQ(rfl_workspace_count(u.ws)->missing, 1);
  CHECK_STR(rfl_workspace_count(u.ws)->first_unseen, "f: 'mauve'");
  use_end(&u);
  u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_REFERENCE);
  CHECK_OK(apply_text(&u, schema, rows), &err);
  CHECK_EQ(u.block.n, 3);
  CHECK_EQ(u.block.coded[0].code[1], 0);
  CHECK_EQ(rfl_workspace_count(u.ws)->unseen, 1);
  use_end(&u);
}

TEST(categories_come_as_factor_string_logical_or_integer) {
  static const char *const numbers[] = {"10", "2", "TRUE"};
  struct rfl_variable own[] = {variables[0], variables[1]};
  struct rfl_recipe_spec spec = base_spec();
  own[1].level = numbers;
  spec.variable = own;
  struct use u = use_of(spec, RFL_FOR_SCORING, RFL_UNSEEN_NA);
  CHECK_OK(apply_text(&u, "x double, f integer", "1 2;2 10;3 7"), &err);
  CHECK_EQ(u.block.n, 2);
  CHECK_EQ(u.block.coded[0].code[0], 1);
  CHECK_EQ(u.block.coded[0].code[1], 0);
  CHECK_STR(rfl_workspace_count(u.ws)->first_unseen, "f: '7'");
  CHECK_OK(apply_text(&u, "x double, f integer64", "1 2"), &err);
  CHECK_EQ(u.block.coded[0].code[0], 1);
  CHECK_OK(apply_text(&u, "x double, f logical", "1 1;1 0"), &err);
  CHECK_EQ(u.block.n, 1);
  CHECK_EQ(u.block.coded[0].code[0], 2);
  CHECK_OK(apply_text(&u, "x double, f string", "1 10"), &err);
  CHECK_EQ(u.block.coded[0].code[0], 0);
  CHECK_OK(apply_text(&u, "x double, f double", "1 10;2 nan;3 2.5"), &err);
  CHECK_EQ(u.block.n, 1);
  CHECK_EQ(apply_text(&u, "x double, f date", "1 10"), RFL_ESCHEMA);
  CHECK_STR(err.message,
            "The column `f` is of type date; the model uses it as a category.");
  use_end(&u);
}

/* As R's as.numeric(): seconds of a timestamp, days of a date. */
TEST(numbers_come_in_every_numeric_type) {
  struct use u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_NA);
  const struct {
    const char *schema, *rows;
    double x;
  } cases[] = {{"x integer, f factor", "7 red", 7},
               {"x integer64, f factor", "9007199254740992 red", 9007199254740992.0},
               {"x logical, f factor", "1 red", 1},
               {"x date, f factor", "19000 red", 19000},
               {"x timestamp, f factor", "1500000 red", 1.5}};
  for (size_t k = 0; k < 5; k++) {
    CHECK_OK(apply_text(&u, cases[k].schema, cases[k].rows), &err);
    CHECK_NEAR(u.block.dense[0][0], cases[k].x, 0);
  }
  CHECK_EQ(apply_text(&u, "x string, f factor", "a red"), RFL_ESCHEMA);
  CHECK_STR(err.message,
            "The column `x` is of type string; the model uses it as a number.");
  CHECK_EQ(apply_text(&u, "x double, g factor", "1 red"), RFL_ESCHEMA);
  CHECK_STR(err.message, "There is no column `f`, which the model uses.");
  use_end(&u);
}

TEST(dictionaries_are_mapped_as_they_grow) {
  struct use u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_NA);
  struct rfl_builder *b = builder_of("x double, f factor");
  struct rfl_frame *one = frame_more(b, "1 red;2 blue"),
                   *two = frame_more(b, "1 green;2 ochre;3 red");
  CHECK_OK(apply(&u, one, 0, 2), &err);
  CHECK_EQ(u.block.coded[0].code[0], 2);
  CHECK_OK(apply(&u, two, 0, 3), &err);
  CHECK_EQ(u.block.n, 2);
  CHECK_EQ(u.block.coded[0].code[0], 1);
  CHECK_EQ(u.block.coded[0].code[1], 2);
  CHECK_OK(apply(&u, one, 1, 1), &err);
  CHECK_EQ(u.block.coded[0].code[0], 0);
  rfl_frame_release(one);
  rfl_frame_release(two);
  rfl_builder_release(b);
  for (int k = 0; k < 30; k++) { /* more dictionaries than are kept */
    CHECK_OK(
        apply_text(&u, "x double, f factor", k % 2 ? "1 green;2 red" : "1 red;2 green"),
        &err);
    CHECK_EQ(u.block.coded[0].code[0], k % 2 ? 1 : 2);
  }
  use_end(&u);
}

TEST(a_class_is_0_for_its_first_level_and_1_for_any_other) {
  static const char *const classes[] = {"no", "maybe", "yes"};
  struct rfl_recipe_spec spec = base_spec();
  spec.response = RFL_RESPONSE_CLASS;
  spec.y = "y";
  spec.y_level = classes;
  spec.n_y_levels = 3;
  struct use u = use_of(spec, RFL_FOR_LEARNING, RFL_UNSEEN_REFERENCE);
  CHECK_OK(apply_text(&u, "x double, f factor, y string",
                      "1 red no;2 red yes;3 red maybe;4 red what;5 red NA"),
           &err);
  CHECK_EQ(u.block.n, 3); /* a response has no reference level to fall back on */
  CHECK_NEAR(u.block.y[0], 0, 0);
  CHECK_NEAR(u.block.y[1], 1, 0);
  CHECK_NEAR(u.block.y[2], 1, 0);
  CHECK_EQ(rfl_workspace_count(u.ws)->unseen, 1);
  use_end(&u);
  u = use_of(spec, RFL_FOR_LEARNING, RFL_UNSEEN_ERROR);
  CHECK_EQ(apply_text(&u, "x double, f factor, y string", "4 red what"), RFL_EDATA);
  use_end(&u);
}

TEST(weights_and_offsets) {
  static const char *const offsets[] = {"o1", "o2"};
  struct rfl_recipe_spec spec = base_spec();
  spec.response = RFL_RESPONSE_NUMBER;
  spec.y = "y";
  spec.weight = "w";
  spec.n_offsets = 2;
  spec.offset = offsets;
  struct use u = use_of(spec, RFL_FOR_LEARNING, RFL_UNSEEN_ERROR);
  const char *schema = "x double, f factor, y logical, w integer, o1 double, o2 integer";
  CHECK_OK(apply_text(&u, schema, "1 red 1 2 0.5 1;2 red 0 0 0.25 2;3 red 1 1 NA 2"),
           &err);
  CHECK_EQ(u.block.n, 2);
  CHECK_NEAR(u.block.y[0], 1, 0);
  CHECK_NEAR(u.block.weight[0], 2, 0);
  CHECK_NEAR(u.block.offset[0], 1.5, 0);
  CHECK_NEAR(u.block.offset[1], 2.25, 0);
  CHECK_EQ(rfl_workspace_count(u.ws)->zero_weight, 1);
  CHECK_EQ(rfl_workspace_count(u.ws)->missing, 1);
  CHECK_EQ(apply_text(&u, schema, "1 red 1 -2 0.5 1"), RFL_EDATA);
  CHECK_STR(err.message, "The weight `w` of row 1 is missing, negative or infinite.");
  CHECK_EQ(apply_text(&u, schema, "1 red 1 NA 0.5 1"), RFL_EDATA);
  use_end(&u);
  u = use_of(spec, RFL_FOR_SCORING, RFL_UNSEEN_ERROR); /* needs offsets, but no more */
  CHECK_OK(apply_text(&u, "x double, f factor, o1 double, o2 double", "1 red 1 2"), &err);
  CHECK_NEAR(u.block.offset[0], 3, 0);
  CHECK(!u.block.y && !u.block.weight);
  use_end(&u);
}

TEST(slices_of_any_size_give_the_same_rows) {
  struct use u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_NA);
  char rows[3000] = "";
  for (int i = 0; i < 150; i++) {
    char x[16];
    snprintf(x, sizeof x, "%d", i);
    snprintf(rows + strlen(rows), 40, "%s%s %s", i ? ";" : "", i % 7 == 6 ? "NA" : x,
             colours[i % 3]);
  }
  struct rfl_frame *f = frame_of("x double, f factor", rows);
  for (uint32_t size = 1; size < 160; size += 13) {
    uint32_t seen = 0;
    for (uint32_t at = 0; at < f->n_rows; at += size) {
      CHECK_OK(apply(&u, f, at, f->n_rows - at < size ? f->n_rows - at : size), &err);
      for (size_t i = 0; i < u.block.n; i++, seen++) {
        uint32_t row = u.block.row ? u.block.row[i] : at + (uint32_t)i;
        CHECK_EQ(u.block.dense[0][i], row);
        CHECK_EQ(u.block.coded[0].code[i], row % 3);
      }
    }
    CHECK_EQ(seen, 150 - 150 / 7);
  }
  rfl_frame_release(f);
  use_end(&u);
}

TEST(a_slice_without_rows_is_a_block_without_rows) {
  struct use u = use_of(base_spec(), RFL_FOR_SCORING, RFL_UNSEEN_NA);
  struct rfl_frame *f = frame_of("x double, f factor", "1 red");
  CHECK_OK(apply(&u, f, 1, 0), &err);
  CHECK_EQ(u.block.n, 0);
  rfl_frame_release(f);
  use_end(&u);
}

int main(void) {
  RUN(complete_doubles_are_not_copied);
  RUN(rows_with_missing_values_are_left_out_and_counted);
  RUN(infinite_values_are_refused_when_learning_and_missing_when_scoring);
  RUN(a_level_never_seen_follows_the_policy);
  RUN(categories_come_as_factor_string_logical_or_integer);
  RUN(numbers_come_in_every_numeric_type);
  RUN(dictionaries_are_mapped_as_they_grow);
  RUN(a_class_is_0_for_its_first_level_and_1_for_any_other);
  RUN(weights_and_offsets);
  RUN(slices_of_any_size_give_the_same_rows);
  RUN(a_slice_without_rows_is_a_block_without_rows);
  return harness_end();
}
