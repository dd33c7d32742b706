/* Canonical order against sorting single rows: whatever order records arrive in and
 * however they are cut into frames, what is gathered is the same. */
#include "frame/order.h"

#include "draw.h"
#include "frame/builder.h"
#include "harness.h"

static struct rfl_err err;

enum { PLACES = 3, FRAMES_AT_MOST = 64 };

static const struct {
  const char *stream;
  int32_t shard;
} named[PLACES] = {{"views", 10}, {"clicks", 9}, {"views", 2}};

/* Every column of a row follows from its place and position. */
static enum rfl_code add_row(struct rfl_builder *b, uint32_t place, int64_t position) {
  char text[32];
  int n = snprintf(text, sizeof text, "%d", (int)(position % 7));
  RFL_TRY(rfl_builder_open(b, &err));
  rfl_builder_int(b, 0, named[place].shard);
  rfl_builder_long(b, 1, position);
  RFL_TRY(rfl_builder_text(b, 2, text, (size_t)n, &err));
  if (position % 3) RFL_TRY(rfl_builder_text(b, 3, text, (size_t)n, &err));
  if (position % 5) rfl_builder_double(b, 4, (double)position / 8);
  rfl_builder_commit(b);
  return rfl_builder_place(b, place, position, 1, &err);
}

static enum rfl_code new_builder(struct rfl_builder **b) {
  const struct rfl_field f[] = {{.name = "shard", .type = RFL_INTEGER},
                                {.name = "position", .type = RFL_INTEGER64},
                                {.name = "level", .type = RFL_FACTOR},
                                {.name = "text", .type = RFL_STRING},
                                {.name = "x", .type = RFL_DOUBLE}};
  struct rfl_schema *schema = NULL;
  RFL_TRY(rfl_schema_new(f, 5, &schema, &err));
  enum rfl_code code = rfl_builder_new(schema, b, &err);
  rfl_schema_release(schema);
  for (uint32_t p = 0; p < PLACES && !code; p++)
    code = rfl_builder_name_place(*b, p, named[p].stream, named[p].shard, &err);
  return code;
}

static void check_row(const struct rfl_frame *f, uint32_t i, uint32_t place, int64_t k) {
  char text[32];
  int n = snprintf(text, sizeof text, "%d", (int)(k % 7));
  const struct rfl_column *c = f->column;
  CHECK_EQ(c[0].i32[i], named[place].shard);
  CHECK_EQ(c[1].i64[i], k);
  CHECK_STR((const char *)rfl_dict_level(c[2].dict, c[2].i32[i]).p, text);
  CHECK_EQ(rfl_column_has(&c[3], i), k % 3 != 0);
  CHECK_EQ(c[3].offset[i + 1] - c[3].offset[i], k % 3 ? n : 0);
  if (k % 3) CHECK(memcmp(c[3].bytes + c[3].offset[i], text, (size_t)n) == 0);
  CHECK_EQ(rfl_column_has(&c[4], i), k % 5 != 0);
  CHECK(c[4].f64[i] == (k % 5 ? (double)k / 8 : 0));
}

/* Draws frames of interleaved places; gives how far each place came. */
static size_t draw_frames(struct draw *d, struct rfl_frame **frame, int64_t end[PLACES]) {
  struct rfl_builder *b = NULL;
  CHECK_OK(new_builder(&b), &err);
  size_t n = 1 + draw_below(d, 8);
  uint32_t sticky = 1 + draw_below(d, 6);
  for (size_t k = 0; k < n; k++) {
    uint32_t p = 0;
    for (uint32_t i = draw_below(d, 30); i > 0; i--) {
      if (draw_below(d, sticky) == 0) p = draw_below(d, PLACES);
      if (draw_below(d, 9) == 0)
        CHECK_OK(rfl_builder_place(b, p, end[p]++, 0, &err), &err);
      else
        CHECK_OK(add_row(b, p, end[p]++), &err);
    }
    CHECK_OK(rfl_builder_finish(b, &frame[k], &err), &err);
  }
  rfl_builder_release(b);
  return n;
}

static void check_order(const struct rfl_frame *f, uint32_t n_rows) {
  static const uint32_t canonical[PLACES] = {1, 2, 0};
  uint32_t row = 0;
  CHECK_EQ(f->n_rows, n_rows);
  for (uint32_t k = 0; k < PLACES; k++) {
    int64_t last = -1;
    while (row < f->n_rows && f->column[0].i32[row] == named[canonical[k]].shard) {
      int64_t position = f->column[1].i64[row];
      CHECK(position > last);
      last = position;
      check_row(f, row++, canonical[k], position);
    }
  }
  CHECK_EQ(row, n_rows); /* every row, once: positions rise and the count is right */
}

static void check_spans(const struct rfl_frame *f) {
  uint32_t row = 0;
  for (size_t i = 0; i < f->n_spans; i++) {
    const struct rfl_span *s = &f->span[i];
    CHECK_EQ(s->row, row);
    for (uint32_t k = 0; k < s->n_rows; k++, row++) {
      CHECK_EQ(f->column[0].i32[row], f->places.place[s->place].shard);
      CHECK(f->column[1].i64[row] >= s->first && f->column[1].i64[row] < s->next);
    }
  }
  CHECK_EQ(row, f->n_rows);
}

TEST(gathered_rows_are_in_order_of_place_and_position) {
  struct draw d = {.seed = 11};
  for (int run = 0; run < 150 && !harness_failed_; run++) {
    struct rfl_frame *frame[FRAMES_AT_MOST], *whole = NULL;
    int64_t end[PLACES] = {3, 1000, 0};
    size_t n = draw_frames(&d, frame, end), n_rows = 0;
    uint32_t total = 0;
    for (size_t i = n - 1; i > 0; i--) { /* shuffled: arrival must not matter */
      size_t j = draw_below(&d, (uint32_t)i + 1);
      struct rfl_frame *f = frame[i];
      frame[i] = frame[j];
      frame[j] = f;
    }
    for (size_t i = 0; i < n; i++) total += frame[i]->n_rows;
    struct rfl_rows *rows = NULL;
    CHECK_OK(rfl_order(frame, n, &rows, &n_rows, &err), &err);
    if (n_rows) {
      CHECK_OK(rfl_frame_gather(rows, n_rows, &whole, &err), &err);
      check_order(whole, total);
      check_spans(whole);
    } else {
      CHECK_EQ(total, 0);
    }
    rfl_free(rows);
    for (size_t i = 0; i < n; i++) rfl_frame_release(frame[i]);
    rfl_frame_release(whole);
  }
}

TEST(spans_that_follow_one_another_are_one_slice) {
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL;
  struct rfl_rows *rows = NULL;
  size_t n = 0;
  CHECK_OK(new_builder(&b), &err);
  CHECK_OK(add_row(b, 1, 5), &err);
  CHECK_OK(add_row(b, 2, 5), &err);
  CHECK_OK(add_row(b, 0, 5), &err);
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  CHECK_EQ(f->n_spans, 3);
  CHECK_OK(rfl_order(&f, 1, &rows, &n, &err), &err);
  CHECK_EQ(n, 1);
  CHECK_EQ(rows[0].n, 3);
  rfl_free(rows);
  rfl_frame_release(f);
  rfl_builder_release(b);
}

TEST(a_slice_that_cuts_a_span_has_rows_and_no_positions) {
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL, *part = NULL;
  CHECK_OK(new_builder(&b), &err);
  for (int i = 0; i < 10; i++) CHECK_OK(add_row(b, 1, i), &err);
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  struct rfl_rows cut[] = {{f, 7, 2}, {f, 0, 3}};
  CHECK_OK(rfl_frame_gather(cut, 2, &part, &err), &err);
  CHECK_EQ(part->n_rows, 5);
  CHECK_EQ(part->n_spans, 0);
  for (uint32_t i = 0; i < 5; i++) check_row(part, i, 1, i < 2 ? 7 + i : i - 2);
  rfl_frame_release(part);
  rfl_frame_release(f);
  rfl_builder_release(b);
}

TEST(frames_of_other_dictionaries_do_not_mix) {
  struct rfl_builder *a = NULL, *b = NULL;
  struct rfl_frame *f[2] = {NULL, NULL}, *whole = NULL;
  CHECK_OK(new_builder(&a), &err);
  CHECK_OK(new_builder(&b), &err);
  CHECK_OK(add_row(a, 0, 1), &err);
  CHECK_OK(add_row(b, 0, 2), &err);
  CHECK_OK(rfl_builder_finish(a, &f[0], &err), &err);
  CHECK_OK(rfl_builder_finish(b, &f[1], &err), &err);
  struct rfl_rows rows[] = {{f[0], 0, 1}, {f[1], 0, 1}};
  CHECK_EQ(rfl_frame_gather(rows, 2, &whole, &err), RFL_ESCHEMA);
  CHECK(strstr(err.message, "`level`") != NULL);
  CHECK_EQ(rfl_frame_gather(rows, 0, &whole, &err), RFL_EARGUMENT);
  for (int i = 0; i < 2; i++) rfl_frame_release(f[i]);
  rfl_builder_release(a);
  rfl_builder_release(b);
}

TEST(rows_without_positions_come_last_as_given) {
  static const double x[4] = {4, 3, 2, 1};
  const struct rfl_field f = {.name = "x", .type = RFL_DOUBLE};
  struct rfl_column column = {.type = RFL_DOUBLE, .borrowed = true};
  struct rfl_schema *schema = NULL;
  struct rfl_frame *frame[4] = {NULL};
  CHECK_OK(rfl_schema_new(&f, 1, &schema, &err), &err);
  for (uint32_t i = 0; i < 3; i++) {
    column.f64 = x + i;
    CHECK_OK(rfl_frame_new(schema, &column, i == 1 ? 0 : 2, &frame[i], &err), &err);
  }
  rfl_schema_release(schema);
  struct rfl_builder *b = NULL;
  CHECK_OK(new_builder(&b), &err);
  CHECK_OK(add_row(b, 0, 1), &err);
  CHECK_OK(rfl_builder_finish(b, &frame[3], &err), &err);
  rfl_builder_release(b);
  struct rfl_rows *rows = NULL;
  size_t n = 0;
  CHECK_OK(rfl_order(frame, 4, &rows, &n, &err), &err);
  CHECK_EQ(n, 3); /* the frame without rows gives no slice */
  CHECK(rows[0].frame == frame[3] && rows[1].frame == frame[0] &&
        rows[2].frame == frame[2]);
  rfl_free(rows);
  for (int i = 0; i < 4; i++) rfl_frame_release(frame[i]);
}

static enum rfl_code order_and_gather(struct rfl_frame *const *frame, size_t n) {
  struct rfl_rows *rows = NULL;
  struct rfl_frame *whole = NULL;
  size_t n_rows = 0;
  enum rfl_code code = rfl_order(frame, n, &rows, &n_rows, &err);
  if (!code) code = rfl_frame_gather(rows, n_rows, &whole, &err);
  rfl_free(rows);
  rfl_frame_release(whole);
  return code;
}

TEST(no_memory_at_any_point_leaves_nothing) {
  struct draw d = {.seed = 12};
  struct rfl_frame *frame[FRAMES_AT_MOST];
  int64_t end[PLACES] = {0};
  size_t n = draw_frames(&d, frame, end);
  SWEEP(order_and_gather(frame, n));
  for (size_t i = 0; i < n; i++) rfl_frame_release(frame[i]);
}

int main(void) {
  RUN(gathered_rows_are_in_order_of_place_and_position);
  RUN(spans_that_follow_one_another_are_one_slice);
  RUN(a_slice_that_cuts_a_span_has_rows_and_no_positions);
  RUN(frames_of_other_dictionaries_do_not_mix);
  RUN(rows_without_positions_come_last_as_given);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
