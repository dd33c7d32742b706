/* Every system call of a save fails in turn, in every way; the process is killed at each
 * of them; every allocation fails. Whatever happens, what was there loads whole, or what
 * was to come does, and the caller was told the truth. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "harness.h"

static struct rfl_err err;

/* A folder that holds checkpoint 1. */
static char *folder_with_one(void) {
  char *folder = fixture_folder();
  struct rfl_store *s = NULL;
  CHECK_OK(rfl_folder_store_new(folder, &s, &err), &err);
  CHECK_OK(fixture_save(s, 1, &err), &err);
  s->release(s);
  return folder;
}

static int load_again(const char *folder) {
  struct rfl_store *s = NULL;
  CHECK_OK(rfl_folder_store_new(folder, &s, &err), &err);
  int number = fixture_load(s, NULL);
  s->release(s);
  return number;
}

static void check_message(const char *folder, int error) {
  CHECK(strstr(err.message, folder) != NULL);
  CHECK(strstr(err.message, strerror(error)) != NULL);
  if (error == ENOSPC)
    CHECK(strstr(err.message, "It needs ") && strstr(err.message, " bytes"));
}

/* Saves checkpoint 2 while the disk is `bad`; gives whether the fault came to pass. */
static bool save_on(struct bad_disk bad) {
  char *folder = folder_with_one();
  int descriptors = fixture_descriptors();
  struct rfl_store *s = NULL;
  bad_disk = (struct bad_disk){.how = BAD_NEVER};
  CHECK_OK(rfl_folder_store_new_on(&bad_disk_calls, folder, &s, &err), &err);
  bad_disk = bad;
  enum rfl_code code = fixture_save(s, 2, &err);
  bool met = bad_disk.calls > bad.at;
  bool harmless = bad.error == EINTR || bad.how == BAD_SHORT;
  if (code) check_message(folder, bad.error);
  CHECK_EQ(code, met && !harmless ? RFL_EIO : RFL_OK);
  if (!bad.stays) CHECK_EQ(fixture_count(folder, ".tmp"), 0);
  if (code && !bad.stays) { /* the disk is well again: so is the store */
    CHECK_OK(fixture_save(s, 2, &err), &err);
    CHECK_EQ(fixture_load(s, NULL), 2);
  }
  bad_disk.how = BAD_NEVER;
  s->release(s);
  CHECK_EQ(fixture_descriptors(), descriptors);
  int number = load_again(folder);
  CHECK(number == 2 || (number == 1 && code));
  CHECK_EQ(fixture_count(folder, ".tmp"), 0);
  fixture_remove(folder);
  return met;
}

/* That power may fail at any moment cannot be tried here, but this is what it takes: the
 * data is on the disk before the name is, and the name before save() returns. */
TEST(a_save_syncs_the_file_then_renames_then_syncs_the_folder) {
  char *folder = folder_with_one();
  struct rfl_store *s = NULL;
  bad_disk = (struct bad_disk){.how = BAD_NEVER};
  CHECK_OK(rfl_folder_store_new_on(&bad_disk_calls, folder, &s, &err), &err);
  bad_disk = (struct bad_disk){.how = BAD_NEVER};
  CHECK_OK(fixture_save(s, 2, &err), &err);
  CHECK_STR(bad_disk.log, "owfcrofc");
  s->release(s);
  fixture_remove(folder);
}

/* All k; at least the calls that a save consists of. */
static void save_for_all(struct bad_disk bad) {
  for (bad.at = 0; !harness_failed_; bad.at++) {
    bad.calls = 0;
    if (!save_on(bad)) break;
  }
  CHECK(bad.at >= 9); /* open, 3 writes, fsync, close, rename, open, fsync, close */
}

TEST(a_failed_call_is_told_with_path_and_reason) {
  save_for_all((struct bad_disk){.how = BAD_ERROR, .error = EIO});
  save_for_all((struct bad_disk){.how = BAD_ERROR, .error = ENOSPC});
}

TEST(a_disk_that_stays_bad_loses_nothing_that_was_there) {
  save_for_all((struct bad_disk){.how = BAD_ERROR, .error = EIO, .stays = true});
  save_for_all((struct bad_disk){.how = BAD_ERROR, .error = ENOSPC, .stays = true});
}

TEST(a_call_that_was_done_and_says_it_failed_is_a_failure) {
  save_for_all((struct bad_disk){.how = BAD_ERROR_AFTER, .error = EIO});
}

TEST(interrupted_calls_and_short_writes_go_on) {
  save_for_all((struct bad_disk){.how = BAD_ERROR, .error = EINTR});
  save_for_all((struct bad_disk){.how = BAD_SHORT});
  save_for_all((struct bad_disk){.how = BAD_SHORT, .stays = true});
}

TEST(the_bytes_that_are_needed_are_the_size_of_the_file) {
  char *folder = folder_with_one(), needs[60];
  struct rfl_store *s = NULL;
  bad_disk = (struct bad_disk){.how = BAD_NEVER};
  CHECK_OK(rfl_folder_store_new_on(&bad_disk_calls, folder, &s, &err), &err);
  bad_disk = (struct bad_disk){.how = BAD_ERROR, .error = ENOSPC, .at = 2};
  CHECK_EQ(fixture_save(s, 2, &err), RFL_EIO);
  bad_disk.how = BAD_NEVER;
  struct rfl_err ignored;
  CHECK_OK(fixture_save(s, 2, &ignored), &ignored);
  FILE *file = fopen(fixture_path(folder, 2), "rb");
  CHECK_EQ(fseek(file, 0, SEEK_END), 0);
  snprintf(needs, sizeof needs, "It needs %ld bytes.", ftell(file));
  CHECK(strstr(err.message, needs) != NULL);
  fclose(file);
  s->release(s);
  fixture_remove(folder);
}

/* Opening the folder meets the bad disk too. */
TEST(a_folder_that_cannot_be_opened_says_why) {
  for (long k = 0; !harness_failed_; k++) {
    char *folder = folder_with_one();
    int descriptors = fixture_descriptors();
    struct rfl_store *s = NULL;
    bad_disk = (struct bad_disk){.how = BAD_ERROR, .error = EIO, .at = k};
    enum rfl_code code = rfl_folder_store_new_on(&bad_disk_calls, folder, &s, &err);
    bool met = bad_disk.calls > k;
    bad_disk.how = BAD_NEVER;
    CHECK(code == RFL_OK || (code == RFL_EIO && strstr(err.message, folder)));
    if (code == RFL_OK) s->release(s);
    CHECK_EQ(fixture_descriptors(), descriptors);
    CHECK_EQ(load_again(folder), 1);
    fixture_remove(folder);
    if (!met) break;
  }
}

TEST(a_file_that_cannot_be_removed_fails_keep_and_harms_nothing) {
  for (long k = 0; !harness_failed_; k++) {
    char *folder = folder_with_one(), oldest[FIXTURE_NAME];
    struct rfl_store *s = NULL;
    bad_disk = (struct bad_disk){.how = BAD_NEVER};
    CHECK_OK(rfl_folder_store_new_on(&bad_disk_calls, folder, &s, &err), &err);
    for (int i = 2; i < 6; i++) CHECK_OK(fixture_save(s, i, &err), &err);
    fixture_name(oldest, 4);
    bad_disk = (struct bad_disk){.how = BAD_ERROR, .error = EIO, .at = k};
    enum rfl_code code = s->keep(s, oldest, &err);
    bool met = bad_disk.calls > k;
    bad_disk.how = BAD_NEVER;
    if (code) check_message(folder, EIO);
    CHECK(code == RFL_OK || code == RFL_EIO);
    CHECK_OK(s->keep(s, oldest, &err), &err);
    CHECK_EQ(fixture_count(folder, ".ckpt"), 2);
    CHECK_EQ(fixture_load(s, NULL), 5);
    s->release(s);
    fixture_remove(folder);
    if (!met) break;
  }
}

/* ---- killed ---- */

/* The child saves 2 and 3 and dies at call k; gives whether it did. */
static bool die_at(enum bad_how how, long k) {
  char *folder = folder_with_one();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    struct rfl_store *s = NULL;
    struct rfl_err ignored;
    bad_disk = (struct bad_disk){.how = how, .at = k};
    if (rfl_folder_store_new_on(&bad_disk_calls, folder, &s, &ignored)) _exit(1);
    if (fixture_save(s, 2, &ignored)) _exit(1);
    _exit(fixture_save(s, 3, &ignored) ? 1 : 0);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  bool died = WEXITSTATUS(status) == BAD_EXIT;
  CHECK(died || WEXITSTATUS(status) == 0);
  int number = load_again(folder);
  CHECK(died ? number >= 1 && number <= 3 : number == 3);
  CHECK_EQ(fixture_count(folder, ".tmp"), 0);
  fixture_remove(folder);
  return died;
}

TEST(killed_at_any_call_the_folder_loads_whole) {
  const enum bad_how ways[] = {BAD_DIES_BEFORE, BAD_DIES_HALF, BAD_DIES_AFTER};
  for (size_t i = 0; i < 3; i++) {
    long k = 0, deaths = 0;
    for (; k < 40 && !harness_failed_; k++) deaths += die_at(ways[i], k);
    CHECK(ways[i] == BAD_DIES_HALF ? deaths >= 6 : deaths >= 18);
    CHECK(!die_at(ways[i], k)); /* the last one lives: all calls were met */
  }
}

/* ---- no memory ---- */

static char *sweep_folder;

static enum rfl_code open_it(void) {
  struct rfl_store *s = NULL;
  RFL_TRY(rfl_folder_store_new(sweep_folder, &s, &err));
  s->release(s);
  return RFL_OK;
}

static enum rfl_code load_it(struct rfl_store *s) {
  int number = fixture_load(s, NULL);
  if (number == -1) return fixture_error.code;
  CHECK_EQ(number, 4);
  return RFL_OK;
}

static enum rfl_code list_it(struct rfl_store *s) {
  char **name = NULL;
  size_t n = 0;
  RFL_TRY(rfl_folder_store_list(s, &name, &n, &err));
  for (size_t i = 0; i < n; i++) rfl_free(name[i]);
  rfl_free(name);
  return RFL_OK;
}

TEST(no_memory_at_any_point_leaves_nothing) {
  char oldest[FIXTURE_NAME];
  sweep_folder = folder_with_one();
  int descriptors = fixture_descriptors();
  SWEEP(open_it());
  struct rfl_store *s = NULL;
  CHECK_OK(rfl_folder_store_new(sweep_folder, &s, &err), &err);
  SWEEP(fixture_save(s, 2, &err));
  SWEEP(fixture_save_on(s, 3, 2, &err));
  SWEEP(fixture_save_on(s, 4, 3, &err));
  SWEEP(load_it(s));
  SWEEP(list_it(s));
  s->release(s);
  CHECK_OK(rfl_folder_store_new(sweep_folder, &s, &err), &err);
  fixture_name(oldest, 9);
  SWEEP(s->keep(s, oldest, &err)); /* must find the newest whole one by reading */
  CHECK_EQ(fixture_count(sweep_folder, ".ckpt"), 3);
  s->release(s);
  CHECK_EQ(fixture_descriptors(), descriptors);
  fixture_remove(sweep_folder);
}

int main(void) {
  RUN(a_save_syncs_the_file_then_renames_then_syncs_the_folder);
  RUN(a_failed_call_is_told_with_path_and_reason);
  RUN(a_disk_that_stays_bad_loses_nothing_that_was_there);
  RUN(a_call_that_was_done_and_says_it_failed_is_a_failure);
  RUN(interrupted_calls_and_short_writes_go_on);
  RUN(the_bytes_that_are_needed_are_the_size_of_the_file);
  RUN(a_folder_that_cannot_be_opened_says_why);
  RUN(a_file_that_cannot_be_removed_fails_keep_and_harms_nothing);
  RUN(killed_at_any_call_the_folder_loads_whole);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
