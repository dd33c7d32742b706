/* The ring of frames, and cutting a frame: no broker is needed. */
#include "kafka/ring.h"

#include <pthread.h>

#include "base/clock.h"
#include "frame/builder.h"
#include "harness.h"

static struct rfl_err err;

enum { N_ROWS = 12 };
/* Position of row i of its place; between them are gaps and skipped positions. */
static const uint32_t place_of[N_ROWS] = {0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1};
static const int64_t at[N_ROWS] = {5, 6, 9, 0, 1, 2, 30, 12, 13, 31, 40, 41};

static struct rfl_schema *one_column(void) {
  const struct rfl_field f = {.name = "x", .type = RFL_INTEGER};
  struct rfl_schema *schema = NULL;
  CHECK_OK(rfl_schema_new(&f, 1, &schema, &err), &err);
  return schema;
}

/* Rows x = 0 .. 11 as above; place 0 begins at 3, has a bad record at 7 and ends with
 * skipped positions up to 20. */
static struct rfl_crate *crate(void) {
  struct rfl_schema *schema = one_column();
  struct rfl_builder *b = NULL;
  struct rfl_crate *c = rfl_alloc(1, sizeof *c);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  CHECK_OK(rfl_builder_name_place(b, 0, "t", 0, &err), &err);
  CHECK_OK(rfl_builder_name_place(b, 1, "t", 1, &err), &err);
  CHECK_OK(rfl_builder_skip_to(b, 0, 3, &err), &err);
  CHECK_OK(rfl_builder_skip_to(b, 1, 0, &err), &err);
  c->run = rfl_alloc(N_ROWS, sizeof *c->run);
  for (int i = 0; i < N_ROWS; i++) {
    if (i == 2) CHECK_OK(rfl_builder_place(b, 0, 7, 0, &err), &err);
    CHECK_OK(rfl_builder_skip_to(b, place_of[i], at[i], &err), &err);
    CHECK_OK(rfl_builder_open(b, &err), &err);
    rfl_builder_int(b, 0, i);
    rfl_builder_commit(b);
    CHECK_OK(rfl_builder_place(b, place_of[i], at[i], 1, &err), &err);
    if (i && place_of[i] == place_of[i - 1] && at[i] == at[i - 1] + 1) continue;
    c->run[c->n_runs++] = (struct rfl_run){.row = (uint32_t)i, .offset = at[i]};
  }
  CHECK_OK(rfl_builder_skip_to(b, 0, 20, &err), &err);
  rfl_builder_tally(b)->rows = N_ROWS + 1;
  rfl_builder_tally(b)->bad = 1;
  CHECK_OK(rfl_builder_finish(b, &c->frame, &err), &err);
  rfl_builder_release(b);
  rfl_schema_release(schema);
  return c;
}

struct seen {
  int64_t next[2];
  int64_t rows;
  uint64_t counted, bad;
};

static void look(const struct rfl_frame *f, struct seen *s) {
  uint32_t row = 0;
  for (uint32_t i = 0; i < f->n_rows; i++) CHECK_EQ(f->column[0].i32[i], s->rows + i);
  for (size_t i = 0; i < f->n_spans; i++) {
    const struct rfl_span *span = &f->span[i];
    int32_t p = f->places.place[span->place].shard;
    CHECK_EQ(span->row, row);
    CHECK_EQ(span->first, s->next[p]); /* spans meet */
    for (uint32_t r = span->row; r < span->row + span->n_rows; r++) {
      int64_t offset = at[s->rows + r];
      CHECK(offset >= span->first && offset < span->next);
      CHECK_EQ((int32_t)place_of[s->rows + r], p);
    }
    s->next[p] = span->next;
    row += span->n_rows;
    CHECK(f->places.place[span->place].next >= span->next);
  }
  CHECK_EQ(row, f->n_rows);
  s->rows += f->n_rows;
  s->counted += f->tally.rows;
  s->bad += f->tally.bad;
}

TEST(pieces_of_a_frame_meet_at_every_cut) {
  struct rfl_crate *c = crate();
  for (uint32_t size = 1; size <= N_ROWS; size++) {
    struct seen s = {.next = {3, 0}};
    for (uint32_t row = 0; row < N_ROWS; row += size) {
      uint32_t n = size < N_ROWS - row ? size : N_ROWS - row;
      struct rfl_frame *piece = NULL;
      CHECK_OK(rfl_crate_cut(c, row, n, &piece, &err), &err);
      CHECK_EQ(piece->n_rows, n);
      look(piece, &s);
      rfl_frame_release(piece);
    }
    CHECK_EQ(s.rows, N_ROWS);
    CHECK_EQ(s.next[0], 20);
    CHECK_EQ(s.next[1], 42);
    CHECK_EQ(s.counted, N_ROWS + 1);
    CHECK_EQ(s.bad, 1);
  }
  rfl_crate_release(c);
}

static enum rfl_code cut_once(const struct rfl_crate *c) {
  struct rfl_frame *piece = NULL;
  enum rfl_code code = rfl_crate_cut(c, 2, 7, &piece, &err);
  rfl_frame_release(piece);
  return code;
}

TEST(a_cut_may_lack_memory) {
  struct rfl_crate *c = crate();
  SWEEP(cut_once(c));
  rfl_crate_release(c);
}

static struct rfl_crate *empty_crate(size_t bytes) {
  struct rfl_schema *schema = one_column();
  struct rfl_builder *b = NULL;
  struct rfl_crate *c = rfl_alloc(1, sizeof *c);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  CHECK_OK(rfl_builder_finish(b, &c->frame, &err), &err);
  rfl_builder_release(b);
  rfl_schema_release(schema);
  c->bytes = bytes;
  return c;
}

static int64_t in_ms(int ms) { return rfl_now_ns() + ms * (int64_t)RFL_MS; }

TEST(a_full_ring_has_no_room_until_one_is_taken) {
  struct rfl_ring r;
  struct rfl_crate *c = NULL;
  CHECK_OK(rfl_ring_init(&r, &err), &err);
  rfl_ring_reset(&r, 100);
  CHECK(rfl_ring_room(&r, in_ms(0)));
  rfl_ring_put(&r, empty_crate(60));
  CHECK(rfl_ring_room(&r, in_ms(0)));
  rfl_ring_put(&r, empty_crate(60));
  CHECK(!rfl_ring_room(&r, in_ms(5)));
  CHECK_EQ(rfl_ring_take(&r, in_ms(0), &c), RFL_TOOK);
  rfl_crate_release(c);
  CHECK(rfl_ring_room(&r, in_ms(0)));
  CHECK_EQ(rfl_ring_take(&r, in_ms(0), &c), RFL_TOOK_LAST);
  rfl_crate_release(c);
  CHECK_EQ(rfl_ring_take(&r, in_ms(5), &c), RFL_TOOK_NOTHING);
  rfl_ring_destroy(&r);
}

TEST(what_was_put_comes_before_why_it_was_closed) {
  struct rfl_ring r;
  struct rfl_crate *c = NULL;
  struct rfl_err why = {.code = RFL_EDATA, .message = "a bad record"};
  CHECK_OK(rfl_ring_init(&r, &err), &err);
  rfl_ring_reset(&r, 100);
  rfl_ring_put(&r, empty_crate(1));
  rfl_ring_close(&r, RFL_EDATA, &why);
  CHECK_EQ(rfl_ring_take(&r, in_ms(0), &c), RFL_TOOK_LAST);
  rfl_crate_release(c);
  for (int i = 0; i < 2; i++)
    CHECK_EQ(rfl_ring_take(&r, in_ms(1000), &c), RFL_TOOK_CLOSED);
  CHECK_EQ(r.code, RFL_EDATA);
  CHECK_STR(r.why.message, "a bad record");
  rfl_ring_put(&r, empty_crate(1)); /* what is left is released with the ring */
  rfl_ring_destroy(&r);
}

TEST(a_wake_is_not_forgotten_when_nobody_waits) {
  struct rfl_ring r;
  struct rfl_crate *c = NULL;
  CHECK_OK(rfl_ring_init(&r, &err), &err);
  rfl_ring_reset(&r, 100);
  rfl_ring_wake(&r);
  int64_t before = rfl_now_ns();
  CHECK_EQ(rfl_ring_take(&r, in_ms(5000), &c), RFL_TOOK_NOTHING);
  CHECK(rfl_now_ns() - before < RFL_SECOND);
  rfl_ring_destroy(&r);
}

static void *write_many(void *arg) {
  struct rfl_ring *r = arg;
  for (int i = 1; i <= 2000; i++) {
    while (!rfl_ring_room(r, in_ms(100))) continue;
    rfl_ring_put(r, empty_crate((size_t)i));
  }
  struct rfl_err none = {0};
  rfl_ring_close(r, RFL_OK, &none);
  return NULL;
}

TEST(two_threads_pass_everything_in_order) {
  struct rfl_ring r;
  CHECK_OK(rfl_ring_init(&r, &err), &err);
  rfl_ring_reset(&r, 5000);
  pthread_t writer;
  CHECK_EQ(pthread_create(&writer, NULL, write_many, &r), 0);
  size_t next = 1;
  for (;;) {
    struct rfl_crate *c = NULL;
    enum rfl_took took = rfl_ring_take(&r, in_ms(5000), &c);
    if (took == RFL_TOOK_CLOSED || took == RFL_TOOK_NOTHING) break;
    CHECK_EQ(c->bytes, next++);
    rfl_crate_release(c);
  }
  CHECK_EQ(next, 2001);
  pthread_join(writer, NULL);
  rfl_ring_destroy(&r);
}

int main(void) {
  RUN(pieces_of_a_frame_meet_at_every_cut);
  RUN(a_cut_may_lack_memory);
  RUN(a_full_ring_has_no_room_until_one_is_taken);
  RUN(what_was_put_comes_before_why_it_was_closed);
  RUN(a_wake_is_not_forgotten_when_nobody_waits);
  RUN(two_threads_pass_everything_in_order);
  return harness_end();
}
