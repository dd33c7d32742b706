#include "frame/frame.h"

#include <pthread.h>

#include "frame/builder.h"
#include "frame/flow.h"
#include "harness.h"

static struct rfl_err err;

static const struct rfl_field fields[] = {{.name = "x", .type = RFL_DOUBLE},
                                          {.name = "s", .type = RFL_STRING},
                                          {.name = "f", .type = RFL_FACTOR}};

static enum rfl_code build(struct rfl_frame **gives) {
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  RFL_TRY(rfl_schema_new(fields, 3, &schema, &err));
  enum rfl_code code = rfl_builder_new(schema, &b, &err);
  rfl_schema_release(schema);
  if (!code) code = rfl_builder_name_place(b, 0, "clicks", 2, &err);
  for (int i = 0; i < 9 && !code; i++) {
    const char *text = i % 2 ? "odd" : "even";
    code = rfl_builder_open(b, &err);
    if (code) break;
    if (i != 4) rfl_builder_double(b, 0, i / 2.0);
    code = rfl_builder_text(b, 1, text, strlen(text), &err);
    if (!code) code = rfl_builder_text(b, 2, text, strlen(text), &err);
    if (code) break;
    rfl_builder_commit(b);
    code = rfl_builder_place(b, 0, 100 + i, 1, &err);
  }
  if (!code) code = rfl_builder_finish(b, gives, &err);
  rfl_builder_release(b);
  return code;
}

/* "score" (own buffer) behind two of the built frame's columns. */
static enum rfl_code pick(struct rfl_frame *from, struct rfl_frame **gives) {
  const struct rfl_field f[] = {{.name = "f", .type = RFL_FACTOR},
                                {.name = "x", .type = RFL_DOUBLE},
                                {.name = "score", .type = RFL_DOUBLE}};
  struct rfl_schema *schema = NULL;
  RFL_TRY(rfl_schema_new(f, 3, &schema, &err));
  double *score = rfl_alloc(from->n_rows, sizeof *score);
  enum rfl_code code = score ? RFL_OK : RFL_ENOMEM;
  for (uint32_t i = 0; score && i < from->n_rows; i++) score[i] = 0.25 * i;
  struct rfl_column extra = {.type = RFL_DOUBLE, .f64 = score};
  if (!code)
    code = rfl_frame_pick(from, (size_t[]){2, 0}, 2, schema, &extra, gives, &err);
  rfl_schema_release(schema);
  if (code) rfl_free(score); /* taken on success only */
  return code;
}

TEST(a_picked_frame_shares_columns_and_keeps_positions) {
  struct rfl_frame *whole = NULL, *part = NULL;
  CHECK_OK(build(&whole), &err);
  CHECK_OK(pick(whole, &part), &err);
  const void *x = whole->column[0].data;
  rfl_frame_release(whole); /* the picked one keeps it */
  CHECK(part->column[1].data == x);
  CHECK_EQ(part->n_rows, 9);
  CHECK(!rfl_column_has(&part->column[1], 4));
  CHECK(rfl_column_has(&part->column[1], 5));
  CHECK_EQ(part->column[0].levels, 2);
  CHECK_STR((const char *)rfl_dict_level(part->column[0].dict, 1).p, "odd");
  CHECK_NEAR(part->column[2].f64[8], 2.0, 0);
  CHECK_EQ(part->n_spans, 1);
  CHECK_EQ(part->places.place[0].next, 109);
  rfl_frame_release(part);
}

static enum rfl_code pick_twice(void) {
  struct rfl_frame *a = NULL, *b = NULL, *c = NULL;
  enum rfl_code code = build(&a);
  if (!code) code = pick(a, &b);
  if (!code) {
    const struct rfl_field f = {.name = "score", .type = RFL_DOUBLE};
    struct rfl_schema *schema = NULL;
    code = rfl_schema_new(&f, 1, &schema, &err);
    if (!code) code = rfl_frame_pick(b, (size_t[]){2}, 1, schema, NULL, &c, &err);
    rfl_schema_release(schema);
  }
  rfl_frame_release(a);
  rfl_frame_release(b);
  if (!code) CHECK_NEAR(c->column[0].f64[4], 1.0, 0);
  rfl_frame_release(c);
  return code;
}

TEST(no_memory_at_any_point_leaves_nothing) { SWEEP(pick_twice()); }

TEST(a_frame_over_borrowed_buffers_frees_none) {
  static const double x[3] = {1, 2, 3};
  const struct rfl_field f = {.name = "x", .type = RFL_DOUBLE};
  struct rfl_column column = {.type = RFL_DOUBLE, .borrowed = true, .f64 = x};
  struct rfl_schema *schema = NULL;
  struct rfl_frame *frame = NULL;
  CHECK_OK(rfl_schema_new(&f, 1, &schema, &err), &err);
  CHECK_OK(rfl_frame_new(schema, &column, 3, &frame, &err), &err);
  rfl_schema_release(schema);
  CHECK_EQ(frame->n_spans, 0);
  CHECK_NEAR(frame->column[0].f64[2], 3, 0);
  rfl_frame_release(frame);
  rfl_frame_release(NULL);
}

static void *keep_and_release(void *arg) {
  for (int i = 0; i < 10000; i++) rfl_frame_release(rfl_frame_keep(arg));
  rfl_frame_release(arg);
  return NULL;
}

TEST(references_are_counted_from_any_thread) {
  struct rfl_frame *f = NULL;
  pthread_t thread[2];
  CHECK_OK(build(&f), &err);
  for (int i = 0; i < 2; i++)
    CHECK_EQ(pthread_create(&thread[i], NULL, keep_and_release, rfl_frame_keep(f)), 0);
  rfl_frame_release(f);
  for (int i = 0; i < 2; i++) CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

TEST(tallies_add_up_and_remember_the_first) {
  struct rfl_tally a = {.rows = 1, .bad = 2}, b = {.rows = 10, .lost = 5, .failed = 1};
  strcpy(b.first_bad, "clicks 2 at 7");
  rfl_tally_add(&a, &b);
  strcpy(b.first_bad, "another");
  rfl_tally_add(&a, &b);
  CHECK_EQ(a.rows, 21);
  CHECK_EQ(a.bad, 2);
  CHECK_EQ(a.lost, 10);
  CHECK_EQ(a.failed, 2);
  CHECK_STR(a.first_bad, "clicks 2 at 7");
}

TEST(marks_and_parts_release_all_that_they_hold) {
  struct rfl_mark m = {.batch = 3, .n_plan = 2};
  m.plan = rfl_alloc(2, sizeof *m.plan);
  CHECK_OK(rfl_cursor_set(&m.plan[1], "clicks", 0, 9, &err), &err);
  rfl_mark_release(&m);
  CHECK(m.plan == NULL && m.n_plan == 0);
  rfl_mark_release(&m);
  struct rfl_part *part = rfl_alloc(2, sizeof *part);
  part[0] = (struct rfl_part){rfl_strdup("state"), NULL, {rfl_alloc(4, 1), 4}};
  part[1] = (struct rfl_part){rfl_strdup("pages"), rfl_strdup("base"), {NULL, 0}};
  rfl_parts_release(part, 2);
  rfl_parts_release(NULL, 0);
}

int main(void) {
  RUN(a_picked_frame_shares_columns_and_keeps_positions);
  RUN(no_memory_at_any_point_leaves_nothing);
  RUN(a_frame_over_borrowed_buffers_frees_none);
  RUN(references_are_counted_from_any_thread);
  RUN(tallies_add_up_and_remember_the_first);
  RUN(marks_and_parts_release_all_that_they_hold);
  return harness_end();
}
