/* The spans of a builder against a list of what every position gave. */
#include "draw.h"
#include "frame/builder.h"
#include "harness.h"

static struct rfl_err err;

enum { PLACES = 4, POSITIONS = 400 };

static struct rfl_builder *new_builder(void) {
  struct rfl_field field[] = {{.name = "place", .type = RFL_INTEGER},
                              {.name = ".offset", .type = RFL_DOUBLE}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  CHECK_OK(rfl_schema_new(field, 2, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  rfl_schema_release(schema);
  return b;
}

static void add_row(struct rfl_builder *b, uint32_t place, int64_t position) {
  CHECK_OK(rfl_builder_open(b, &err), &err);
  rfl_builder_int(b, 0, (int32_t)place);
  rfl_builder_double(b, 1, (double)position);
  rfl_builder_commit(b);
  CHECK_OK(rfl_builder_place(b, place, position, 1, &err), &err);
}

/* The source's indices are not in the order of the cursor, on purpose. */
static const struct {
  const char *stream;
  int32_t shard;
} named[PLACES] = {{"views", 1}, {"clicks", 7}, {"views", 0}, {"clicks", 2}};

static void name_all(struct rfl_builder *b) {
  for (uint32_t p = 0; p < PLACES; p++)
    CHECK_OK(rfl_builder_name_place(b, p, named[p].stream, named[p].shard, &err), &err);
}

/* What the spans of a frame must be: in row order, covering all rows, each holding the
 * rows of its own place only, going on where the place's last span ended. */
static void check_spans(const struct rfl_frame *f, int64_t next[PLACES]) {
  uint32_t row = 0;
  int64_t last[PLACES];
  memset(last, 0xff, sizeof last);
  for (size_t i = 0; i < f->n_spans; i++) {
    const struct rfl_span *s = &f->span[i];
    const struct rfl_place *at = &f->places.place[s->place];
    uint32_t p = 0;
    while (strcmp(named[p].stream, at->stream) || named[p].shard != at->shard) p++;
    CHECK_EQ(s->row, row);
    CHECK_EQ(s->first, next[p]);
    CHECK(s->next > s->first);
    for (uint32_t k = 0; k < s->n_rows; k++, row++) {
      CHECK_EQ(f->column[0].i32[row], p);
      CHECK(f->column[1].f64[row] >= (double)s->first &&
            f->column[1].f64[row] < (double)s->next);
    }
    next[p] = last[p] = s->next;
  }
  if (f->n_spans) CHECK_EQ(row, f->n_rows);
  for (size_t k = 0; k < f->places.n; k++) {
    uint32_t p = 0;
    while (strcmp(named[p].stream, f->places.place[k].stream) ||
           named[p].shard != f->places.place[k].shard)
      p++;
    CHECK_EQ(f->places.place[k].next, last[p]);
  }
}

TEST(spans_cover_all_rows_and_go_on_from_frame_to_frame) {
  struct draw d = {.seed = 77};
  for (int run = 0; run < 60 && !harness_failed_; run++) {
    struct rfl_builder *b = new_builder();
    name_all(b);
    int64_t at[PLACES], next[PLACES];
    for (uint32_t p = 0; p < PLACES; p++) {
      at[p] = next[p] = draw_below(&d, 1000);
      CHECK_EQ(rfl_builder_expected(b, p), -1);
      CHECK_OK(rfl_builder_skip_to(b, p, at[p], &err), &err); /* begins here */
      CHECK_EQ(rfl_builder_expected(b, p), at[p]);
    }
    for (int i = 0; i < POSITIONS; i++) {
      uint32_t p = draw_below(&d, PLACES), what = draw_below(&d, 12);
      if (what == 0) {
        at[p] += draw_below(&d, 5); /* a gap: may be of nothing */
        CHECK_OK(rfl_builder_skip_to(b, p, at[p], &err), &err);
      } else if (what == 1) { /* a bad record */
        CHECK_OK(rfl_builder_place(b, p, at[p]++, 0, &err), &err);
      } else {
        if (what == 2) at[p] += 3; /* a gap that place() sees itself */
        add_row(b, p, at[p]++);
      }
      CHECK_EQ(rfl_builder_expected(b, p), at[p]);
      if (draw_below(&d, 40)) continue;
      struct rfl_frame *f = NULL;
      CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
      check_spans(f, next);
      for (uint32_t q = 0; q < PLACES; q++) CHECK_EQ(next[q], at[q]);
      rfl_frame_release(f);
    }
    rfl_builder_release(b);
  }
}

TEST(rows_of_one_place_are_one_span_and_interleaved_ones_several) {
  struct rfl_builder *b = new_builder();
  struct rfl_frame *f = NULL;
  name_all(b);
  for (int i = 0; i < 5; i++) add_row(b, 0, 10 + i);
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  CHECK_EQ(f->n_spans, 1);
  CHECK_EQ(f->span[0].first, 10);
  CHECK_EQ(f->span[0].next, 15);
  rfl_frame_release(f);
  for (int i = 0; i < 4; i++) add_row(b, i % 2 ? 3 : 0, 20 + i);
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  CHECK_EQ(f->n_spans, 4);
  CHECK_EQ(f->places.n, 2);
  CHECK_STR(f->places.place[0].stream, "clicks");
  CHECK_EQ(f->span[0].place, 1);
  CHECK_EQ(f->span[0].first, 15); /* positions 15 to 19 had no row */
  CHECK_EQ(f->span[0].next, 21);
  rfl_frame_release(f);
  rfl_builder_release(b);
}

TEST(a_frame_may_hold_positions_and_no_rows) {
  struct rfl_builder *b = new_builder();
  struct rfl_frame *f = NULL;
  name_all(b);
  CHECK_OK(rfl_builder_place(b, 2, 5, 0, &err), &err);
  CHECK_OK(rfl_builder_skip_to(b, 2, 9, &err), &err);
  rfl_builder_tally(b)->rows = 1;
  rfl_builder_tally(b)->bad = 1;
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  CHECK_EQ(f->n_rows, 0);
  CHECK_EQ(f->n_spans, 1);
  CHECK_EQ(f->span[0].first, 5);
  CHECK_EQ(f->places.place[0].next, 9);
  CHECK_EQ(f->tally.bad, 1);
  CHECK_EQ(rfl_builder_tally(b)->bad, 0); /* counted once */
  rfl_frame_release(f);
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  CHECK_EQ(f->n_spans, 0);
  CHECK_EQ(f->places.n, 0);
  rfl_frame_release(f);
  rfl_builder_release(b);
}

TEST(a_position_twice_is_refused_and_a_forgotten_place_begins_anew) {
  struct rfl_builder *b = new_builder();
  struct rfl_frame *f = NULL;
  name_all(b);
  CHECK_EQ(rfl_builder_place(b, 9, 0, 1, &err), RFL_EARGUMENT);
  add_row(b, 1, 40);
  CHECK_EQ(rfl_builder_place(b, 1, 40, 1, &err), RFL_EARGUMENT);
  CHECK_STR(err.message, "Position 40 of `clicks` shard 7 came again: 41 was expected.");
  CHECK_OK(rfl_builder_skip_to(b, 1, 30, &err), &err); /* nothing to skip */
  CHECK_EQ(rfl_builder_expected(b, 1), 41);
  rfl_builder_clear(b);
  CHECK_EQ(rfl_builder_expected(b, 1), 41);
  rfl_builder_forget_place(b, 1);
  CHECK_EQ(rfl_builder_expected(b, 1), -1);
  add_row(b, 1, 12);
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  CHECK_EQ(f->n_spans, 1);
  CHECK_EQ(f->span[0].first, 12);
  rfl_frame_release(f);
  rfl_builder_release(b);
}

TEST(a_span_without_memory_leaves_the_place_where_it_was) {
  struct rfl_builder *b = new_builder();
  name_all(b);
  rfl_mem_fail_after(0);
  enum rfl_code first = rfl_builder_place(b, 0, 7, 1, &err);
  rfl_mem_fail_after(-1);
  CHECK_EQ(first, RFL_ENOMEM);
  CHECK_EQ(rfl_builder_expected(b, 0), -1);
  CHECK_OK(rfl_builder_place(b, 0, 5, 0, &err), &err);
  CHECK_EQ(rfl_builder_expected(b, 0), 6);
  rfl_builder_release(b);
}

int main(void) {
  RUN(spans_cover_all_rows_and_go_on_from_frame_to_frame);
  RUN(rows_of_one_place_are_one_span_and_interleaved_ones_several);
  RUN(a_frame_may_hold_positions_and_no_rows);
  RUN(a_position_twice_is_refused_and_a_forgotten_place_begins_anew);
  RUN(a_span_without_memory_leaves_the_place_where_it_was);
  return harness_end();
}
