/* Damaged files: every byte changed, every length cut, bytes added, a wrong name. What is
 * damaged is never loaded, not even in part, and what is older is. */
#include <unistd.h>

#include "base/bytes.h"
#include "fixture.h"
#include "harness.h"
#include "store/checkpoint.h"

static struct rfl_err err;
static char *folder;
static struct rfl_store *store;
static struct rfl_buf whole; /* the file of checkpoint 2 */

static void write_file(const char *path, const void *bytes, size_t n) {
  FILE *file = fopen(path, "wb");
  CHECK(file && fwrite(bytes, 1, n, file) == n);
  if (file) fclose(file);
}

static void read_file(const char *path, struct rfl_buf *to) {
  uint8_t bytes[4096];
  FILE *file = fopen(path, "rb");
  size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  CHECK(n > 0 && n < sizeof bytes);
  rfl_buf_put(to, bytes, n);
  if (file) fclose(file);
}

static void set_up(void) {
  folder = fixture_folder();
  CHECK_OK(rfl_folder_store_new(folder, &store, &err), &err);
  CHECK_OK(fixture_save(store, 1, &err), &err);
  CHECK_OK(fixture_save_on(store, 2, 1, &err), &err);
  read_file(fixture_path(folder, 2), &whole);
}

static void tear_down(void) {
  store->release(store);
  rfl_buf_release(&whole);
  fixture_remove(folder);
}

/* The file of checkpoint 2 holds these bytes, which are not what was saved. */
static void check_refused(const void *bytes, size_t n) {
  char name[FIXTURE_NAME];
  fixture_name(name, 2);
  write_file(fixture_path(folder, 2), bytes, n);
  CHECK_EQ(fixture_load(store, NULL), 1);
  CHECK(strstr(rfl_folder_store_note(store), fixture_path(folder, 2)) != NULL);
  CHECK(strstr(rfl_folder_store_note(store), "is damaged") != NULL);
  CHECK_EQ(fixture_load(store, name), -1);
  CHECK_EQ(fixture_error.code, RFL_EDATA);
}

TEST(a_changed_byte_anywhere_is_damage) {
  set_up();
  const uint8_t flips[] = {0x01, 0x80, 0xff};
  for (size_t i = 0; i < whole.n * 3 && !harness_failed_; i++) {
    whole.p[i / 3] ^= flips[i % 3];
    check_refused(whole.p, whole.n);
    whole.p[i / 3] ^= flips[i % 3];
  }
  write_file(fixture_path(folder, 2), whole.p, whole.n);
  CHECK_EQ(fixture_load(store, NULL), 2); /* it was the change, not the test */
  tear_down();
}

TEST(a_file_cut_anywhere_or_grown_is_damage) {
  set_up();
  for (size_t n = 0; n < whole.n && !harness_failed_; n++) check_refused(whole.p, n);
  rfl_buf_u8(&whole, 0);
  check_refused(whole.p, whole.n);
  tear_down();
}

TEST(a_file_under_another_name_is_damage) {
  set_up();
  struct rfl_buf other = {0};
  read_file(fixture_path(folder, 1), &other);
  check_refused(other.p, other.n);
  rfl_buf_release(&other);
  tear_down();
}

/* Bytes whose checksums are right, made by somebody who wants to see it fall. With two
 * parts their sizes add up to nothing in 64 bits. */
static void forge(struct rfl_buf *out, uint32_t version, const char *base, uint64_t n,
                  uint64_t size) {
  char name[FIXTURE_NAME];
  struct rfl_cursor none = {0};
  fixture_name(name, 2);
  rfl_buf_clear(out);
  rfl_buf_put(out, "RFLCKPT1", 8);
  rfl_buf_u32(out, version);
  rfl_buf_u32(out, 0);
  rfl_buf_string(out, name);
  rfl_cursor_write(&none, out);
  rfl_buf_u64(out, n);
  for (int i = 0; i < (n == 2 ? 2 : 1); i++) {
    rfl_buf_string(out, "model");
    rfl_buf_string(out, base);
    rfl_buf_u32(out, 0);
    rfl_buf_u32(out, 0);
    rfl_buf_u64(out, i ? 0 - size : size);
  }
  out->p[12] = (uint8_t)(out->n + 4);
  rfl_buf_u32(out, rfl_crc32c(0, out->p, out->n));
}

TEST(forged_files_with_right_checksums_are_refused_too) {
  set_up();
  struct rfl_buf forged = {0};
  forge(&forged, 1, NULL, 1, 0);
  write_file(fixture_path(folder, 2), forged.p, forged.n);
  struct rfl_cursor c = {0};
  struct rfl_part *part = NULL;
  size_t n = 0;
  CHECK_OK(store->load(store, NULL, &c, &part, &n, &err), &err); /* this one is well */
  CHECK_EQ(n, 1);
  rfl_parts_release(part, n);
  const uint64_t huge[] = {1, UINT64_MAX, UINT64_MAX / 2, (uint64_t)1 << 40};
  for (size_t i = 0; i < 4; i++) {
    forge(&forged, 1, NULL, 1, huge[i]); /* more data than the file has */
    check_refused(forged.p, forged.n);
    forge(&forged, 1, NULL, huge[i] - 1 ? huge[i] : 3, 0); /* more parts */
    check_refused(forged.p, forged.n);
  }
  forge(&forged, 1, NULL, 2, (uint64_t)1 << 63); /* twice 2^63 bytes: none in all */
  check_refused(forged.p, forged.n);
  forge(&forged, 1, "../../etc/passwd", 1, 0);
  check_refused(forged.p, forged.n);
  forge(&forged, 1, "00000000000000000002-ab12", 1, 0); /* builds on itself */
  check_refused(forged.p, forged.n);
  forge(&forged, 0, NULL, 1, 0);
  check_refused(forged.p, forged.n);
  rfl_buf_release(&forged);
  tear_down();
}

TEST(a_later_version_is_an_error_and_not_passed_over) {
  set_up();
  struct rfl_buf forged = {0};
  forge(&forged, 2, NULL, 1, 0);
  write_file(fixture_path(folder, 2), forged.p, forged.n);
  CHECK_EQ(fixture_load(store, NULL), -1);
  CHECK_EQ(fixture_error.code, RFL_ECONFIG);
  CHECK(strstr(fixture_error.message, fixture_path(folder, 2)) &&
        strstr(fixture_error.message, "of version 2"));
  rfl_buf_release(&forged);
  tear_down();
}

int main(void) {
  RUN(a_changed_byte_anywhere_is_damage);
  RUN(a_file_cut_anywhere_or_grown_is_damage);
  RUN(a_file_under_another_name_is_damage);
  RUN(forged_files_with_right_checksums_are_refused_too);
  RUN(a_later_version_is_an_error_and_not_passed_over);
  return harness_end();
}
