#include "design/levels.h"
#include "frame/builder.h"
#include "harness.h"

static struct rfl_builder *open_builder(void) {
  static const struct rfl_field field[] = {
      {.name = "x", .type = RFL_DOUBLE},
      {.name = "f", .type = RFL_FACTOR},
      {.name = "s", .type = RFL_STRING},
  };
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  if (!rfl_schema_new(field, 3, &schema, NULL) && rfl_builder_new(schema, &b, NULL))
    b = NULL;
  rfl_schema_release(schema);
  return b;
}

/* x 0: missing. f, s NULL: missing. */
static void add_row(struct rfl_builder *b, double x, const char *f, const char *s) {
  struct rfl_err err;
  CHECK_OK(rfl_builder_open(b, &err), &err);
  if (x != 0) rfl_builder_double(b, 0, x);
  if (f) CHECK_OK(rfl_builder_text(b, 1, f, strlen(f), &err), &err);
  if (s) CHECK_OK(rfl_builder_text(b, 2, s, strlen(s), &err), &err);
  rfl_builder_commit(b);
}

static struct rfl_frame *give(struct rfl_builder *b) {
  struct rfl_frame *frame = NULL;
  struct rfl_err err;
  CHECK_OK(rfl_builder_finish(b, &frame, &err), &err);
  return frame;
}

static const char *const all[] = {"x", "f", "s"};
static const char *const both[] = {"f", "s"};

TEST(levels_are_in_c_order_over_all_frames) {
  struct rfl_builder *b = open_builder();
  struct rfl_frame *frame[3];
  add_row(b, 1, "b", "zz");
  add_row(b, 1, "B", "z");
  frame[0] = give(b);
  frame[1] = give(b); /* without rows */
  add_row(b, 1, "\xc3\xa4", "z");
  add_row(b, 1, "a", "");
  frame[2] = give(b);
  struct rfl_levels_spec spec = {all, 3, both, 2, 0};
  struct rfl_levels *found = NULL;
  struct rfl_err err;
  CHECK_OK(rfl_levels_find(frame, 3, &spec, &found, &err), &err);
  const char *const f[] = {"B", "a", "b", "\xc3\xa4"}, *const s[] = {"", "z", "zz"};
  CHECK_EQ(found[0].n, 4);
  for (int k = 0; k < 4; k++) CHECK_STR(rfl_levels_text(&found[0], k), f[k]);
  CHECK_EQ(found[1].n, 3);
  for (int k = 0; k < 3; k++) CHECK_STR(rfl_levels_text(&found[1], k), s[k]);
  const uint64_t rows[] = {1, 2, 1};
  for (int k = 0; k < 3; k++) CHECK_EQ(rfl_levels_rows(&found[1], k), rows[k]);
  rfl_levels_free(found, 2);
  for (int k = 0; k < 3; k++) rfl_frame_release(frame[k]);
  rfl_builder_release(b);
}

TEST(a_level_counts_only_where_the_row_is_complete) {
  struct rfl_builder *b = open_builder();
  add_row(b, 1, "kept", "s");
  add_row(b, 0, "x is missing", "s");
  add_row(b, NAN, "x is NaN", "s");
  add_row(b, 1, "s is missing", NULL);
  add_row(b, 1, NULL, "f is missing");
  struct rfl_frame *frame = give(b);
  struct rfl_levels_spec spec = {all, 3, both, 2, 0};
  struct rfl_levels *found = NULL;
  struct rfl_err err;
  CHECK_OK(rfl_levels_find(&frame, 1, &spec, &found, &err), &err);
  CHECK_EQ(found[0].n, 1);
  CHECK_STR(rfl_levels_text(&found[0], 0), "kept");
  CHECK_EQ(found[1].n, 1);
  rfl_levels_free(found, 2);
  rfl_frame_release(frame);
  rfl_builder_release(b);
}

TEST(a_string_beyond_the_limit_is_told_and_a_factor_has_none) {
  struct rfl_builder *b = open_builder();
  char text[16];
  for (int k = 0; k < 12; k++) {
    snprintf(text, sizeof text, "l%02d", k);
    add_row(b, 1, text, text);
  }
  struct rfl_frame *frame = give(b);
  struct rfl_levels *found = NULL;
  struct rfl_err err;
  for (int limit = 11; limit <= 12; limit++) {
    struct rfl_levels_spec spec = {all, 3, both, 2, limit};
    CHECK_OK(rfl_levels_find(&frame, 1, &spec, &found, &err), &err);
    CHECK_EQ(found[0].n, 12);
    CHECK_EQ(found[1].over, limit == 11);
    CHECK_EQ(found[1].n, limit == 11 ? 0 : 12);
    rfl_levels_free(found, 2);
  }
  rfl_frame_release(frame);
  rfl_builder_release(b);
}

TEST(numbers_have_their_texts_as_levels) {
  struct rfl_builder *b = open_builder();
  add_row(b, 10, "a", "b");
  add_row(b, 2.5, "a", "b");
  add_row(b, 10, "a", "b");
  struct rfl_frame *frame = give(b);
  struct rfl_levels *found = NULL;
  struct rfl_err err;
  struct rfl_levels_spec number = {all, 3, all, 1, 0};
  CHECK_OK(rfl_levels_find(&frame, 1, &number, &found, &err), &err);
  CHECK_EQ(found[0].n, 2);
  CHECK_STR(rfl_levels_text(&found[0], 0), "10");
  CHECK_EQ(rfl_levels_rows(&found[0], 0), 2);
  CHECK_STR(rfl_levels_text(&found[0], 1), "2.5");
  rfl_levels_free(found, 1);
  rfl_frame_release(frame);
  rfl_builder_release(b);
}

TEST(a_missing_column_is_refused_by_name) {
  struct rfl_builder *b = open_builder();
  add_row(b, 1, "a", "b");
  struct rfl_frame *frame = give(b);
  struct rfl_levels *found = NULL;
  struct rfl_err err;
  static const char *const other[] = {"nope"};
  struct rfl_levels_spec spec = {other, 1, both, 2, 0};
  CHECK_EQ(rfl_levels_find(&frame, 1, &spec, &found, &err), RFL_ESCHEMA);
  CHECK_STR(err.message, "There is no column `nope`.");
  CHECK(found == NULL);
  rfl_frame_release(frame);
  rfl_builder_release(b);
}

static enum rfl_code find_once(struct rfl_frame *frame) {
  struct rfl_levels_spec spec = {all, 3, both, 2, 0};
  struct rfl_levels *found = NULL;
  struct rfl_err err;
  enum rfl_code code = rfl_levels_find(&frame, 1, &spec, &found, &err);
  rfl_levels_free(found, 2);
  return code;
}

TEST(every_allocation_may_fail) {
  struct rfl_builder *b = open_builder();
  add_row(b, 1, "b", "d");
  add_row(b, 1, "a", "c");
  struct rfl_frame *frame = give(b);
  SWEEP(find_once(frame));
  rfl_frame_release(frame);
  rfl_builder_release(b);
}

int main(void) {
  RUN(levels_are_in_c_order_over_all_frames);
  RUN(a_level_counts_only_where_the_row_is_complete);
  RUN(a_string_beyond_the_limit_is_told_and_a_factor_has_none);
  RUN(numbers_have_their_texts_as_levels);
  RUN(a_missing_column_is_refused_by_name);
  RUN(every_allocation_may_fail);
  return harness_end();
}
