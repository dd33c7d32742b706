#include "base/bytes.h"

#include "base/random.h"
#include "harness.h"

/* Inputs of the reader are copied to blocks of exactly their size, so that the address
 * sanitizer sees a read of one byte too many. */
static struct rfl_reader exactly(const void *bytes, size_t n, uint8_t **block) {
  *block = malloc(n ? n : 1);
  if (n > 0) memcpy(*block, bytes, n);
  return (struct rfl_reader){.at = *block, .end = *block + n};
}

static enum rfl_code write_all(struct rfl_buf *b, struct rfl_err *err) {
  static const double x[] = {1.5, -0.0, 1e300};
  static const int32_t i[] = {-1, 7};
  rfl_buf_u8(b, 200);
  rfl_buf_u32(b, 0x01020304);
  rfl_buf_u64(b, UINT64_C(0x0102030405060708));
  rfl_buf_i32(b, INT32_MIN);
  rfl_buf_i64(b, INT64_MIN);
  rfl_buf_double(b, -0.0);
  rfl_buf_doubles(b, x, 3);
  rfl_buf_i32s(b, i, 2);
  rfl_buf_string(b, "riffle");
  rfl_buf_string(b, NULL);
  rfl_buf_string(b, "");
  rfl_buf_blob(b, "a\0b", 3);
  return rfl_buf_check(b, err);
}

TEST(what_was_written_is_read) {
  struct rfl_err err;
  struct rfl_buf b = {0};
  CHECK_OK(write_all(&b, &err), &err);
  struct rfl_reader r = {.at = b.p, .end = b.p + b.n};
  CHECK_EQ(rfl_read_u8(&r), 200);
  CHECK_EQ(rfl_read_u32(&r), 0x01020304);
  CHECK(rfl_read_u64(&r) == UINT64_C(0x0102030405060708));
  CHECK_EQ(rfl_read_i32(&r), INT32_MIN);
  CHECK(rfl_read_i64(&r) == INT64_MIN);
  CHECK(signbit(rfl_read_double(&r)));
  double x[3];
  rfl_read_doubles(&r, x, 3);
  CHECK(x[0] == 1.5 && x[1] == 0 && signbit(x[1]) && x[2] == 1e300);
  int32_t i[2];
  rfl_read_i32s(&r, i, 2);
  CHECK(i[0] == -1 && i[1] == 7);
  char *name = NULL, *null = (char *)&r, *empty = NULL;
  CHECK_OK(rfl_read_string(&r, &name, &err), &err);
  CHECK_OK(rfl_read_string(&r, &null, &err), &err);
  CHECK_OK(rfl_read_string(&r, &empty, &err), &err);
  CHECK_STR(name, "riffle");
  CHECK(null == NULL);
  CHECK_STR(empty, "");
  struct rfl_bytes blob = rfl_read_blob(&r);
  CHECK(blob.n == 3 && memcmp(blob.p, "a\0b", 3) == 0);
  CHECK_OK(rfl_read_done(&r, "It", &err), &err);
  rfl_free(name);
  rfl_free(empty);
  rfl_buf_release(&b);
}

TEST(the_layout_is_little_endian) {
  struct rfl_buf b = {0};
  rfl_buf_u32(&b, 0x01020304);
  rfl_buf_double(&b, 1.0);
  rfl_buf_string(&b, "A");
  static const uint8_t expected[] = {4, 3,    2,    1, 0, 0, 0, 0,  0,
                                     0, 0xf0, 0x3f, 1, 0, 0, 0, 'A'};
  CHECK_EQ(b.n, sizeof expected);
  CHECK(memcmp(b.p, expected, sizeof expected) == 0);
  rfl_buf_release(&b);
}

TEST(nan_payloads_survive) {
  uint64_t bits = UINT64_C(0x7ff80000000007a2), again; /* R's NA_real_ has payload 1954 */
  double x, y;
  memcpy(&x, &bits, sizeof x);
  struct rfl_buf b = {0};
  rfl_buf_double(&b, x);
  struct rfl_reader r = {.at = b.p, .end = b.p + b.n};
  y = rfl_read_double(&r);
  memcpy(&again, &y, sizeof again);
  CHECK(again == bits);
  rfl_buf_release(&b);
}

/* Reading a cut input gives the values that are whole, then only zeros, and never a byte
 * from behind the cut. */
TEST(every_cut_is_noticed) {
  struct rfl_err err;
  struct rfl_buf b = {0};
  CHECK_OK(write_all(&b, &err), &err);
  for (size_t cut = 0; cut < b.n; cut++) {
    uint8_t *block;
    struct rfl_reader r = exactly(b.p, cut, &block);
    double x[4];
    int32_t i[2];
    rfl_read_u8(&r);
    rfl_read_u32(&r);
    rfl_read_u64(&r);
    rfl_read_i32(&r);
    rfl_read_i64(&r);
    rfl_read_doubles(&r, x, 4);
    rfl_read_i32s(&r, i, 2);
    char *text[3] = {0};
    enum rfl_code code = RFL_OK;
    for (int k = 0; !code && k < 3; k++) code = rfl_read_string(&r, &text[k], &err);
    rfl_read_blob(&r);
    CHECK(code == RFL_OK || code == RFL_EDATA);
    CHECK(r.bad);
    CHECK_EQ(rfl_read_done(&r, "The model file", &err), RFL_EDATA);
    CHECK_STR(err.message, "The model file is damaged.");
    CHECK_EQ(rfl_read_u8(&r), 0);
    for (int k = 0; k < 3; k++) rfl_free(text[k]);
    free(block);
  }
  rfl_buf_release(&b);
}

TEST(bytes_left_over_are_damage) {
  uint8_t *block;
  struct rfl_reader r = exactly("\1\2", 2, &block);
  struct rfl_err err;
  CHECK_EQ(rfl_read_u8(&r), 1);
  CHECK_EQ(rfl_read_done(&r, "It", &err), RFL_EDATA);
  CHECK_EQ(rfl_read_u8(&r), 2);
  CHECK_EQ(rfl_read_done(&r, "It", &err), RFL_OK);
  free(block);
}

/* Lengths that lie: longer than the input, and so long that a product overflows. */
TEST(lengths_are_bounded_by_the_input) {
  static const uint64_t lies[] = {2, 1000, UINT64_C(1) << 61, UINT64_MAX};
  for (size_t k = 0; k < 4; k++) {
    struct rfl_buf b = {0};
    rfl_buf_u64(&b, lies[k]);
    rfl_buf_double(&b, 1);
    struct rfl_reader r = {.at = b.p, .end = b.p + b.n}, again = r, many = r;
    CHECK_EQ(rfl_read_count(&r, 8), 0);
    CHECK(r.bad);
    struct rfl_bytes blob = rfl_read_blob(&again);
    CHECK(k == 0 ? blob.n == 2 : again.bad && blob.p == NULL && blob.n == 0);
    (void)rfl_read_u64(&many);
    CHECK_EQ(rfl_read_count(&many, 1), 0); /* 1.0 read as a count is over 2^61 */
    rfl_buf_release(&b);
  }
  struct rfl_buf b = {0};
  rfl_buf_u64(&b, 2);
  rfl_buf_u64(&b, 0);
  struct rfl_reader r = {.at = b.p, .end = b.p + b.n};
  CHECK_EQ(rfl_read_count(&r, 4), 2);
  CHECK(!r.bad);
  rfl_buf_release(&b);
}

TEST(many_values_are_all_there_or_all_zero) {
  uint8_t *block;
  double x[2] = {7, 7};
  struct rfl_reader r = exactly("123456789012345", 15, &block);
  rfl_read_doubles(&r, x, 2);
  CHECK(r.bad && x[0] == 0 && x[1] == 0);
  free(block);
}

TEST(a_text_with_a_zero_inside_is_damage) {
  struct rfl_buf b = {0};
  rfl_buf_u32(&b, 3);
  rfl_buf_put(&b, "a\0b", 3);
  struct rfl_reader r = {.at = b.p, .end = b.p + b.n};
  char *text = NULL;
  CHECK_EQ(rfl_read_string(&r, &text, NULL), RFL_EDATA);
  CHECK(text == NULL && r.bad);
  rfl_buf_release(&b);
}

TEST(a_buffer_grows_in_any_steps) {
  struct rfl_buf b = {0};
  uint8_t piece[300];
  uint32_t crc = 0;
  for (uint64_t k = 0; k < 400; k++) {
    size_t n = (size_t)(rfl_random(1, k, 0) % sizeof piece);
    for (size_t i = 0; i < n; i++) piece[i] = (uint8_t)rfl_random(2, k, i);
    rfl_buf_put(&b, piece, n);
    crc = rfl_crc32c(crc, piece, n);
  }
  CHECK(!b.failed && b.n <= b.cap);
  CHECK_EQ(rfl_crc32c(0, b.p, b.n), crc);
  size_t cap = b.cap;
  rfl_buf_clear(&b);
  CHECK(b.n == 0 && b.cap == cap);
  rfl_buf_release(&b);
  rfl_buf_release(&b);
  rfl_buf_release(NULL);
  CHECK(b.p == NULL);
}

TEST(a_buffer_that_failed_stays_as_it_was_until_cleared) {
  struct rfl_buf b = {0};
  rfl_buf_text(&b, "kept");
  CHECK(!rfl_buf_reserve(&b, SIZE_MAX));
  CHECK(b.failed);
  rfl_buf_u8(&b, 1);
  CHECK(b.n == 4 && memcmp(b.p, "kept", 4) == 0);
  struct rfl_err err;
  CHECK_EQ(rfl_buf_check(&b, &err), RFL_ENOMEM);
  rfl_buf_clear(&b);
  rfl_buf_u8(&b, 1);
  CHECK_EQ(b.n, 1);
  CHECK_OK(rfl_buf_check(&b, &err), &err);
  rfl_buf_release(&b);
}

TEST(many_values_are_no_more_than_memory_holds) {
  static const double x[1] = {1};
  static const int32_t i[1] = {1};
  struct rfl_buf b = {0};
  rfl_mem_fail_after(0);
  rfl_buf_doubles(&b, x, 1);
  rfl_buf_clear(&b);
  rfl_buf_i32s(&b, i, 1);
  rfl_mem_fail_after(-1);
  CHECK(b.failed && b.n == 0 && b.p == NULL);
  rfl_buf_release(&b);
}

static enum rfl_code round_trip(void) {
  struct rfl_err err;
  struct rfl_buf b = {0};
  enum rfl_code code = write_all(&b, &err);
  char *text = NULL;
  if (!code) {
    struct rfl_reader r = {.at = b.p + 65, .end = b.p + b.n}; /* where "riffle" starts */
    code = rfl_read_string(&r, &text, &err);
    CHECK(code || strcmp(text, "riffle") == 0);
  }
  rfl_free(text);
  rfl_buf_release(&b);
  return code;
}

TEST(every_allocation_may_fail) { SWEEP(round_trip()); }

int main(void) {
  RUN(what_was_written_is_read);
  RUN(the_layout_is_little_endian);
  RUN(nan_payloads_survive);
  RUN(every_cut_is_noticed);
  RUN(bytes_left_over_are_damage);
  RUN(lengths_are_bounded_by_the_input);
  RUN(many_values_are_all_there_or_all_zero);
  RUN(a_text_with_a_zero_inside_is_damage);
  RUN(a_buffer_grows_in_any_steps);
  RUN(a_buffer_that_failed_stays_as_it_was_until_cleared);
  RUN(many_values_are_no_more_than_memory_holds);
  RUN(every_allocation_may_fail);
  return harness_end();
}
