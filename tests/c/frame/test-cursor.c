#include "frame/cursor.h"

#include "draw.h"
#include "harness.h"

static struct rfl_err err;
static const char *const streams[] = {"clicks", "Clicks", "click", "s\xC3\xA9rie", ""};

static struct rfl_cursor drawn(struct draw *d, uint32_t sets) {
  struct rfl_cursor c = {0};
  for (uint32_t i = 0; i < sets; i++)
    CHECK_OK(rfl_cursor_set(&c, streams[draw_below(d, 5)], (int32_t)draw_below(d, 6) - 1,
                            draw_below(d, 50), &err),
             &err);
  return c;
}

TEST(the_last_set_of_a_place_is_what_it_holds) {
  struct draw draw = {.seed = 5};
  for (int run = 0; run < 200; run++) {
    struct rfl_cursor c = {0};
    int64_t model[5][6];
    memset(model, 0xff, sizeof model);
    for (uint32_t i = draw_below(&draw, 40); i > 0; i--) {
      uint32_t stream = draw_below(&draw, 5), shard = draw_below(&draw, 6);
      int64_t next = draw_below(&draw, 1000);
      CHECK_OK(rfl_cursor_set(&c, streams[stream], (int32_t)shard, next, &err), &err);
      model[stream][shard] = next;
    }
    size_t n = 0;
    for (uint32_t i = 0; i < 30; i++) {
      const struct rfl_place *p = rfl_cursor_find(&c, streams[i / 6], (int32_t)(i % 6));
      CHECK_EQ(p ? p->next : -1, model[i / 6][i % 6]);
      n += p != NULL;
    }
    CHECK_EQ(c.n, n);
    for (size_t i = 1; i < c.n; i++) {
      int order = strcmp(c.place[i - 1].stream, c.place[i].stream);
      CHECK(order < 0 || (order == 0 && c.place[i - 1].shard < c.place[i].shard));
    }
    rfl_cursor_release(&c);
  }
}

TEST(reaching_is_at_or_before_at_every_place) {
  struct draw draw = {.seed = 6};
  for (int run = 0; run < 300; run++) {
    struct rfl_cursor a = drawn(&draw, draw_below(&draw, 4));
    struct rfl_cursor b = drawn(&draw, draw_below(&draw, 12));
    bool expected = true;
    for (size_t i = 0; i < a.n; i++) {
      bool there = false;
      for (size_t j = 0; j < b.n; j++)
        there = there || (strcmp(a.place[i].stream, b.place[j].stream) == 0 &&
                          a.place[i].shard == b.place[j].shard &&
                          a.place[i].next <= b.place[j].next);
      expected = expected && there;
    }
    CHECK_EQ(rfl_cursor_reaches(&b, &a), expected);
    CHECK(rfl_cursor_reaches(&a, &a));
    CHECK(rfl_cursor_equal(&a, &b) ==
          (a.n == b.n && rfl_cursor_reaches(&a, &b) && rfl_cursor_reaches(&b, &a)));
    rfl_cursor_release(&a);
    rfl_cursor_release(&b);
  }
}

static enum rfl_code read_back(struct rfl_bytes in, struct rfl_cursor *gives) {
  struct rfl_reader r = {.at = in.p, .end = in.p + in.n};
  RFL_TRY(rfl_cursor_read(&r, gives, &err));
  enum rfl_code code = rfl_read_done(&r, "the cursor", &err);
  if (code) rfl_cursor_release(gives);
  return code;
}

TEST(what_is_written_reads_back_equal_and_cut_bytes_do_not) {
  struct draw draw = {.seed = 7};
  for (int run = 0; run < 50; run++) {
    struct rfl_cursor c = drawn(&draw, draw_below(&draw, 9)), back = {0};
    if (c.n) c.place[0].epoch = 12;
    struct rfl_buf out = {0};
    rfl_cursor_write(&c, &out);
    CHECK_OK(rfl_buf_check(&out, &err), &err);
    CHECK_OK(read_back((struct rfl_bytes){out.p, out.n}, &back), &err);
    CHECK(rfl_cursor_equal(&c, &back));
    if (c.n) CHECK_EQ(back.place[0].epoch, 12);
    rfl_cursor_release(&back);
    for (size_t n = 0; n < out.n; n++)
      CHECK_EQ(read_back((struct rfl_bytes){out.p, n}, &back), RFL_EDATA);
    rfl_buf_release(&out);
    rfl_cursor_release(&c);
  }
}

/* Whatever one changed byte makes of it, what was read is sorted and without repeats, or
 * an error that left nothing behind. */
TEST(a_changed_byte_never_gives_a_cursor_out_of_order) {
  struct draw draw = {.seed = 8};
  struct rfl_cursor c = drawn(&draw, 9);
  struct rfl_buf out = {0};
  rfl_cursor_write(&c, &out);
  size_t refused = 0;
  for (size_t i = 0; i < out.n * 255; i++) {
    uint8_t old = out.p[i / 255];
    out.p[i / 255] = (uint8_t)(old + 1 + i % 255);
    struct rfl_cursor back = {0};
    enum rfl_code code = read_back((struct rfl_bytes){out.p, out.n}, &back);
    out.p[i / 255] = old;
    CHECK(code == RFL_OK || code == RFL_EDATA);
    refused += code != RFL_OK;
    for (size_t k = 1; k < back.n; k++) {
      int order = strcmp(back.place[k - 1].stream, back.place[k].stream);
      CHECK(order < 0 || (order == 0 && back.place[k - 1].shard < back.place[k].shard));
    }
    rfl_cursor_release(&back);
  }
  CHECK(refused > 0);
  rfl_buf_release(&out);
  rfl_cursor_release(&c);
}

TEST(a_claimed_count_allocates_no_more_than_the_input_could_fill) {
  const uint8_t huge[8] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4};
  struct rfl_cursor back = {0};
  CHECK_EQ(read_back((struct rfl_bytes){huge, sizeof huge}, &back), RFL_EDATA);
  CHECK_EQ(back.n, 0);
}

TEST(setting_a_place_forgets_its_epoch) {
  struct rfl_cursor c = {0};
  CHECK_OK(rfl_cursor_set(&c, "clicks", 3, 7, &err), &err);
  c.place[0].epoch = 4;
  CHECK_OK(rfl_cursor_set(&c, "clicks", 3, 8, &err), &err);
  CHECK_EQ(c.n, 1);
  CHECK_EQ(c.place[0].epoch, -1);
  rfl_cursor_release(&c);
  rfl_cursor_release(&c);
  CHECK(rfl_cursor_find(&c, "clicks", 3) == NULL);
}

static enum rfl_code all_of_it(void) {
  struct rfl_cursor c = {0}, copy = {0}, back = {0};
  struct rfl_buf out = {0};
  enum rfl_code code = rfl_cursor_set(&c, "b", 1, 2, &err);
  if (!code) code = rfl_cursor_set(&c, "a", 1, 2, &err);
  if (!code) code = rfl_cursor_copy(&c, &copy, &err);
  if (!code) rfl_cursor_write(&copy, &out);
  if (!code) code = rfl_buf_check(&out, &err);
  if (!code) code = read_back((struct rfl_bytes){out.p, out.n}, &back);
  if (!code) CHECK(rfl_cursor_equal(&c, &back));
  rfl_buf_release(&out);
  rfl_cursor_release(&c);
  rfl_cursor_release(&copy);
  rfl_cursor_release(&back);
  return code;
}

TEST(no_memory_at_any_point_leaves_nothing) { SWEEP(all_of_it()); }

int main(void) {
  RUN(the_last_set_of_a_place_is_what_it_holds);
  RUN(reaching_is_at_or_before_at_every_place);
  RUN(what_is_written_reads_back_equal_and_cut_bytes_do_not);
  RUN(a_changed_byte_never_gives_a_cursor_out_of_order);
  RUN(a_claimed_count_allocates_no_more_than_the_input_could_fill);
  RUN(setting_a_place_forgets_its_epoch);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
