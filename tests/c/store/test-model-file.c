/* Model files: what is written is read, whatever is damaged is told, and a disk that
 * fails at any call leaves the old file or the new one. Values: every kind comes back,
 * and nothing that is no value passes the check. */
#include "store/model_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "harness.h"
#include "store/value.h"

static struct rfl_err err;
static const uint8_t one[] = {1, 2, 3}, two[] = {9, 8, 7, 6, 5};
static const struct rfl_section both[] = {{"META", true, {one, sizeof one}},
                                          {"NOTE", false, {two, sizeof two}}};

static enum rfl_code read_it(const struct rfl_buf *b, const char *known,
                             struct rfl_model_file *f) {
  return rfl_model_file_read((struct rfl_bytes){b->p, b->n}, known, f, &err);
}

TEST(sections_come_back_and_optional_ones_need_not_be_known) {
  struct rfl_buf b = {0};
  struct rfl_model_file f;
  CHECK_OK(rfl_model_file_write(both, 2, &b, &err), &err);
  CHECK_OK(read_it(&b, "META,STAT", &f), &err);
  CHECK_EQ(f.n, 2);
  const struct rfl_section *note = rfl_model_file_find(&f, "NOTE");
  CHECK(note && note->data.n == sizeof two && !memcmp(note->data.p, two, sizeof two));
  CHECK(rfl_model_file_find(&f, "STAT") == NULL);
  CHECK_EQ(read_it(&b, "STAT", &f), RFL_ECONFIG);
  CHECK(strstr(err.message, "META") != NULL);
  rfl_buf_release(&b);
}

TEST(a_changed_byte_or_a_cut_anywhere_is_told) {
  struct rfl_buf b = {0};
  struct rfl_model_file f;
  CHECK_OK(rfl_model_file_write(both, 2, &b, &err), &err);
  for (size_t at = 0; at < b.n; at++) {
    b.p[at] ^= 0x40;
    CHECK(read_it(&b, "META", &f) != RFL_OK);
    b.p[at] ^= 0x40;
  }
  for (size_t n = b.n; n-- > 0;) {
    struct rfl_bytes cut = {b.p, n};
    CHECK_EQ(rfl_model_file_read(cut, "META", &f, &err), RFL_EDATA);
  }
  rfl_buf_u8(&b, 0);
  CHECK_EQ(read_it(&b, "META", &f), RFL_EDATA);
  rfl_buf_release(&b);
}

/* ---- the disk ---- */

static void put_file(const char *path, const struct rfl_section *s, size_t n) {
  struct rfl_buf b = {0};
  CHECK_OK(rfl_model_file_write(s, n, &b, &err), &err);
  CHECK_OK(rfl_model_file_save(&rfl_disk_real, path, &b, true, &err), &err);
  rfl_buf_release(&b);
}

static size_t sections_of(const char *path) {
  struct rfl_buf b = {0};
  struct rfl_model_file f = {0};
  CHECK_OK(rfl_model_file_load(path, &b, &err), &err);
  CHECK_OK(read_it(&b, "META", &f), &err);
  rfl_buf_release(&b);
  return f.n;
}

TEST(a_disk_that_fails_at_any_call_leaves_the_old_file_or_the_new_one) {
  char *folder = fixture_folder(), path[4096];
  snprintf(path, sizeof path, "%s/m.riffle", folder);
  struct rfl_buf b = {0};
  CHECK_OK(rfl_model_file_write(both, 2, &b, &err), &err);
  long calls = 1;
  for (long at = 0; at < calls; at++) {
    put_file(path, both, 1);
    bad_disk = (struct bad_disk){.how = BAD_ERROR, .error = ENOSPC, .at = at};
    enum rfl_code code = rfl_model_file_save(&bad_disk_calls, path, &b, true, &err);
    calls = bad_disk.calls > calls ? bad_disk.calls : calls;
    if (code) {
      CHECK_EQ(code, RFL_EIO);
      CHECK(strstr(err.message, path) != NULL);
    }
    size_t n = sections_of(path);
    CHECK(n == 2 || (n == 1 && code));
    CHECK_EQ(fixture_count(folder, ".tmp"), 0);
  }
  CHECK(calls >= 5); /* open, write, fsync, close, rename */
  bad_disk.how = BAD_NEVER;
  rfl_buf_release(&b);
  fixture_remove(folder);
}

TEST(a_file_that_is_there_is_kept_unless_asked) {
  char *folder = fixture_folder(), path[4096];
  snprintf(path, sizeof path, "%s/m.riffle", folder);
  put_file(path, both, 1);
  struct rfl_buf b = {0};
  CHECK_OK(rfl_model_file_write(both, 2, &b, &err), &err);
  CHECK_EQ(rfl_model_file_save(&rfl_disk_real, path, &b, false, &err), RFL_EBUSY);
  CHECK_EQ(sections_of(path), 1);
  rfl_buf_release(&b);
  CHECK_EQ(rfl_model_file_load(folder, &b, &err), RFL_EIO); /* a folder is no file */
  rfl_buf_release(&b);
  fixture_remove(folder);
}

/* ---- values ---- */

static void open_value(struct rfl_buf *b, enum rfl_value_kind kind, uint64_t n) {
  rfl_value_open(b, &(struct rfl_value_head){.kind = kind, .n = n});
}

/* list(NULL, c(TRUE, NA), 7L, c(a = 1.5), c("x", NA), raw, list()) */
static void put_sample(struct rfl_buf *b) {
  open_value(b, RFL_VALUE_LIST, 7);
  open_value(b, RFL_VALUE_NULL, 0);
  open_value(b, RFL_VALUE_LOGICAL, 2);
  rfl_buf_u8(b, 1);
  rfl_buf_u8(b, 2);
  open_value(b, RFL_VALUE_INTEGER, 1);
  rfl_buf_i32(b, 7);
  rfl_value_open(b, &(struct rfl_value_head){RFL_VALUE_DOUBLE, true, 1});
  rfl_buf_string(b, "a");
  rfl_buf_double(b, 1.5);
  open_value(b, RFL_VALUE_STRING, 2);
  rfl_buf_string(b, "x");
  rfl_buf_string(b, NULL);
  open_value(b, RFL_VALUE_RAW, 3);
  rfl_buf_put(b, one, 3);
  open_value(b, RFL_VALUE_LIST, 0);
}

static enum rfl_code check_value(const struct rfl_buf *b) {
  return rfl_value_check((struct rfl_bytes){b->p, b->n}, &err);
}

TEST(values_of_every_kind_pass_and_every_cut_of_them_fails) {
  struct rfl_buf b = {0};
  put_sample(&b);
  CHECK_OK(check_value(&b), &err);
  for (size_t n = 0; n < b.n; n++)
    CHECK_EQ(rfl_value_check((struct rfl_bytes){b.p, n}, &err), RFL_EDATA);
  struct rfl_reader in = {.at = b.p, .end = b.p + b.n};
  struct rfl_value_head h = rfl_value_head(&in);
  CHECK(h.kind == RFL_VALUE_LIST && h.n == 7 && !in.bad);
  rfl_buf_u8(&b, 0);
  CHECK_EQ(check_value(&b), RFL_EDATA);
  rfl_buf_release(&b);
}

TEST(lists_may_be_as_deep_as_stated_and_no_deeper) {
  for (int deep = RFL_VALUE_DEPTH - 2; deep <= RFL_VALUE_DEPTH; deep++) {
    struct rfl_buf b = {0};
    for (int i = 0; i < deep; i++) open_value(&b, RFL_VALUE_LIST, 1);
    open_value(&b, RFL_VALUE_NULL, 0);
    CHECK_EQ(check_value(&b), deep < RFL_VALUE_DEPTH ? RFL_OK : RFL_EDATA);
    rfl_buf_release(&b);
  }
}

TEST(texts_that_are_none_and_counts_that_cannot_be_fail) {
  static const char *const bad[] = {"\xff", "\xc3", "\xed\xa0\x80"};
  for (size_t k = 0; k < 3; k++) {
    struct rfl_buf b = {0};
    open_value(&b, RFL_VALUE_STRING, 1);
    rfl_buf_string(&b, bad[k]);
    CHECK_EQ(check_value(&b), RFL_EDATA);
    rfl_buf_release(&b);
  }
  for (int kind = 0; kind < RFL_N_VALUES; kind++) {
    struct rfl_buf b = {0};
    open_value(&b, (enum rfl_value_kind)kind, UINT64_MAX / 4);
    rfl_buf_u64(&b, 0);
    CHECK_EQ(check_value(&b), RFL_EDATA);
    rfl_buf_release(&b);
  }
}

static enum rfl_code write_and_read(const char *path) {
  struct rfl_buf b = {0}, back = {0};
  struct rfl_model_file f;
  enum rfl_code code = rfl_model_file_write(both, 2, &b, &err);
  if (!code) code = rfl_model_file_save(&rfl_disk_real, path, &b, true, &err);
  if (!code) code = rfl_model_file_load(path, &back, &err);
  if (!code) code = read_it(&back, "META", &f);
  rfl_buf_release(&b);
  rfl_buf_release(&back);
  return code;
}

TEST(no_memory_at_any_point_leaves_nothing_behind) {
  char *folder = fixture_folder(), path[4096];
  snprintf(path, sizeof path, "%s/m.riffle", folder);
  SWEEP(write_and_read(path));
  CHECK_EQ(fixture_count(folder, ".tmp"), 0);
  fixture_remove(folder);
}

int main(void) {
  RUN(sections_come_back_and_optional_ones_need_not_be_known);
  RUN(a_changed_byte_or_a_cut_anywhere_is_told);
  RUN(a_disk_that_fails_at_any_call_leaves_the_old_file_or_the_new_one);
  RUN(a_file_that_is_there_is_kept_unless_asked);
  RUN(values_of_every_kind_pass_and_every_cut_of_them_fails);
  RUN(lists_may_be_as_deep_as_stated_and_no_deeper);
  RUN(texts_that_are_none_and_counts_that_cannot_be_fail);
  RUN(no_memory_at_any_point_leaves_nothing_behind);
  return harness_end();
}
