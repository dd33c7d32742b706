#include "store/folder.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "fixture.h"
#include "harness.h"

static struct rfl_err err;

static struct rfl_store *open_store(const char *folder) {
  struct rfl_store *s = NULL;
  CHECK_OK(rfl_folder_store_new(folder, &s, &err), &err);
  return s;
}

TEST(what_was_saved_is_loaded_by_name_and_as_the_newest) {
  char *folder = fixture_folder(), name[FIXTURE_NAME];
  struct rfl_store *s = open_store(folder);
  CHECK_EQ(fixture_load(s, NULL), 0);
  for (int k = 1; k <= 12; k++) CHECK_OK(fixture_save(s, k, &err), &err);
  CHECK_EQ(fixture_load(s, NULL), 12);
  CHECK_STR(rfl_folder_store_note(s), "");
  fixture_name(name, 7);
  CHECK_EQ(fixture_load(s, name), 7);
  s->release(s);
  s = open_store(folder); /* a restart */
  CHECK_EQ(fixture_load(s, NULL), 12);
  fixture_name(name, 13);
  CHECK_EQ(fixture_load(s, name), -1);
  CHECK(strstr(fixture_error.message, name) != NULL);
  s->release(s);
  fixture_remove(folder);
}

TEST(a_checkpoint_without_parts_and_places_is_one_too) {
  char *folder = fixture_folder();
  struct rfl_store *s = open_store(folder);
  struct rfl_cursor none = {0}, c = {0};
  struct rfl_part *part = NULL;
  size_t n = 9;
  CHECK_OK(s->save(s, "empty", &none, NULL, 0, 0, &err), &err);
  CHECK_OK(s->load(s, "empty", &c, &part, &n, &err), &err);
  CHECK_EQ(n, 0);
  CHECK_EQ(c.n, 0);
  rfl_parts_release(part, n);
  s->release(s);
  fixture_remove(folder);
}

TEST(names_that_could_leave_the_folder_are_refused) {
  char *folder = fixture_folder();
  struct rfl_store *s = open_store(folder);
  struct rfl_cursor none = {0};
  char longest[80];
  memset(longest, 'n', sizeof longest);
  longest[64] = '\0';
  const char *const bad[] = {"",     ".",   "..",       ".hidden", "a/b",
                             "../x", "a b", "\xC3\xA9", longest};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_EQ(s->save(s, bad[i], &none, NULL, 0, 0, &err), RFL_EARGUMENT);
    CHECK(strstr(err.message, "cannot name a checkpoint") != NULL);
    CHECK_EQ(fixture_load(s, bad[i]), -1);
    CHECK_EQ(fixture_error.code, RFL_EARGUMENT);
  }
  longest[63] = '\0';
  CHECK_OK(s->save(s, longest, &none, NULL, 0, 0, &err), &err);
  CHECK_EQ(fixture_count(folder, ".ckpt"), 1);
  s->release(s);
  fixture_remove(folder);
}

TEST(files_are_for_their_owner_only_and_strangers_are_left_alone) {
  char *folder = fixture_folder(), path[800];
  snprintf(path, sizeof path, "%s/README.txt", folder);
  FILE *stranger = fopen(path, "w");
  fclose(stranger);
  snprintf(path, sizeof path, "%s/.old.tmp", folder); /* what a killed save leaves */
  FILE *leftover = fopen(path, "w");
  fclose(leftover);
  mode_t mask = umask(0);
  struct rfl_store *s = open_store(folder);
  CHECK_OK(fixture_save(s, 1, &err), &err);
  umask(mask);
  struct stat file;
  CHECK_EQ(stat(fixture_path(folder, 1), &file), 0);
  CHECK_EQ(file.st_mode & 0777, 0600);
  CHECK_EQ(fixture_count(folder, ".tmp"), 0);
  CHECK_EQ(fixture_count(folder, ".txt"), 1);
  char **name = NULL;
  size_t n = 0;
  CHECK_OK(rfl_folder_store_list(s, &name, &n, &err), &err);
  CHECK_EQ(n, 1);
  for (size_t i = 0; i < n; i++) rfl_free(name[i]);
  rfl_free(name);
  s->release(s);
  fixture_remove(folder);
}

TEST(the_folder_and_those_above_it_are_made) {
  char *folder = fixture_folder(), deep[800];
  snprintf(deep, sizeof deep, "%s/a/b//c/", folder);
  struct rfl_store *s = open_store(deep);
  CHECK_OK(fixture_save(s, 1, &err), &err);
  CHECK_EQ(fixture_load(s, NULL), 1);
  s->release(s);
  fixture_remove(rfl_strdup(deep));
  snprintf(deep, sizeof deep, "%s/a/b", folder);
  rmdir(deep);
  snprintf(deep, sizeof deep, "%s/a", folder);
  rmdir(deep);
  snprintf(deep, sizeof deep, "%s/file", folder);
  FILE *file = fopen(deep, "w");
  fclose(file);
  s = NULL;
  CHECK_EQ(rfl_folder_store_new(deep, &s, &err), RFL_EIO);
  CHECK(strstr(err.message, deep) && strstr(err.message, "Not a directory"));
  CHECK_EQ(rfl_folder_store_new("", &s, &err), RFL_EARGUMENT);
  CHECK(s == NULL);
  fixture_remove(folder);
}

/* ---- one holder ---- */

TEST(a_second_holder_is_told_who_the_first_is) {
  char *folder = fixture_folder(), pid[32];
  struct rfl_store *s = open_store(folder), *other = NULL;
  CHECK_EQ(rfl_folder_store_new(folder, &other, &err), RFL_EBUSY);
  snprintf(pid, sizeof pid, "(%ld)", (long)getpid());
  CHECK(strstr(err.message, folder) && strstr(err.message, pid));
  s->release(s);
  s = open_store(folder);
  s->release(s);
  fixture_remove(folder);
}

TEST(a_killed_holder_holds_nothing) {
  char *folder = fixture_folder(), text[40];
  int ready[2];
  CHECK_EQ(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    struct rfl_store *s = NULL;
    struct rfl_err ignored;
    char ok = rfl_folder_store_new(folder, &s, &ignored) == RFL_OK;
    if (write(ready[1], &ok, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char ok = 0;
  CHECK_EQ(read(ready[0], &ok, 1), 1);
  CHECK_EQ(ok, 1);
  struct rfl_store *s = NULL;
  CHECK_EQ(rfl_folder_store_new(folder, &s, &err), RFL_EBUSY);
  snprintf(text, sizeof text, "process %ld", (long)child);
  CHECK(strstr(err.message, text) != NULL);
  kill(child, SIGKILL);
  CHECK_EQ(waitpid(child, NULL, 0), child);
  CHECK_OK(rfl_folder_store_new(folder, &s, &err), &err);
  s->release(s);
  close(ready[0]);
  close(ready[1]);
  fixture_remove(folder);
}

TEST(a_forked_child_that_releases_leaves_the_lock_with_its_parent) {
  char *folder = fixture_folder();
  struct rfl_store *s = open_store(folder), *other = NULL;
  pid_t child = fork();
  if (child == 0) {
    s->release(s);
    _exit(0);
  }
  CHECK_EQ(waitpid(child, NULL, 0), child);
  CHECK_EQ(rfl_folder_store_new(folder, &other, &err), RFL_EBUSY);
  s->release(s);
  fixture_remove(folder);
}

/* A process that takes the folder, and a child of it that lives on. Says in the pipe who
 * the child is, once it runs. */
static void hold_and_fork(const char *folder, int told) {
  struct rfl_store *s = NULL;
  struct rfl_err ignored;
  if (rfl_folder_store_new(folder, &s, &ignored)) _exit(1);
  if (fork() == 0) {
    pid_t self = getpid();
    if (write(told, &self, sizeof self) != sizeof self) _exit(1);
  }
  for (;;) pause();
}

TEST(a_forked_child_that_outlives_a_holder_holds_nothing) {
  char *folder = fixture_folder();
  struct rfl_store *s = NULL;
  int told[2];
  CHECK_EQ(pipe(told), 0);
  pid_t holder = fork();
  if (holder == 0) hold_and_fork(folder, told[1]);
  pid_t child = 0;
  CHECK_EQ(read(told[0], &child, sizeof child), (ssize_t)sizeof child);
  CHECK_EQ(rfl_folder_store_new(folder, &s, &err), RFL_EBUSY);
  kill(holder, SIGKILL);
  CHECK_EQ(waitpid(holder, NULL, 0), holder);
  CHECK_EQ(kill(child, 0), 0); /* it lives */
  CHECK_OK(rfl_folder_store_new(folder, &s, &err), &err);
  s->release(s);
  kill(child, SIGKILL);
  close(told[0]);
  close(told[1]);
  fixture_remove(folder);
}

/* ---- bases and keep ---- */

TEST(a_checkpoint_is_whole_only_with_its_bases) {
  char *folder = fixture_folder(), name[FIXTURE_NAME];
  struct rfl_store *s = open_store(folder);
  CHECK_OK(fixture_save(s, 1, &err), &err);
  CHECK_OK(fixture_save(s, 2, &err), &err);
  CHECK_OK(fixture_save_on(s, 3, 2, &err), &err);
  CHECK_OK(fixture_save_on(s, 4, 3, &err), &err);
  CHECK_EQ(fixture_load(s, NULL), 4);
  CHECK_EQ(fixture_save_on(s, 5, 5, &err), RFL_EARGUMENT);
  CHECK_EQ(fixture_save_on(s, 5, 6, &err), RFL_EARGUMENT);
  CHECK_EQ(truncate(fixture_path(folder, 2), 60), 0);
  CHECK_EQ(fixture_load(s, NULL), 1);
  CHECK(strstr(rfl_folder_store_note(s), "0002-ab12.ckpt` is damaged") != NULL);
  CHECK_EQ(unlink(fixture_path(folder, 2)), 0);
  CHECK_EQ(fixture_load(s, NULL), 1);
  fixture_name(name, 3);
  CHECK(strstr(rfl_folder_store_note(s), "which is not there") != NULL);
  CHECK_EQ(fixture_load(s, name), 3); /* asked for by name: its bases are asked for too */
  s->release(s);
  fixture_remove(folder);
}

TEST(nothing_whole_is_an_error_and_not_a_beginning) {
  char *folder = fixture_folder();
  struct rfl_store *s = open_store(folder);
  CHECK_OK(fixture_save(s, 1, &err), &err);
  CHECK_EQ(truncate(fixture_path(folder, 1), 30), 0);
  CHECK_EQ(fixture_load(s, NULL), -1);
  CHECK_EQ(fixture_error.code, RFL_EDATA);
  CHECK(strstr(fixture_error.message, folder) &&
        strstr(fixture_error.message, "It is cut short."));
  s->release(s);
  fixture_remove(folder);
}

/* keep() against its words, over random folders: what is at or past `oldest`, the newest
 * whole one and the bases of both stay; nothing else does. */
static void try_keep(uint64_t seed, bool reopened) {
  enum { N = 12 };
  char *folder = fixture_folder(), oldest[FIXTURE_NAME];
  struct rfl_store *s = open_store(folder);
  int base[N + 1] = {0};
  bool stays[N + 1] = {false}, whole[N + 1] = {false};
  for (int k = 1; k <= N; k++) {
    if (k > 1 && rfl_random(seed, 1, (uint64_t)k) % 2)
      base[k] = 1 + (int)(rfl_random(seed, 2, (uint64_t)k) % (uint64_t)(k - 1));
    CHECK_OK(fixture_save_on(s, k, base[k], &err), &err);
  }
  int hurt = 1 + (int)(rfl_random(seed, 3, 0) % N);
  int from = 1 + (int)(rfl_random(seed, 4, 0) % (N + 2));
  if (reopened) { /* what is whole must be found by reading */
    s->release(s);
    s = open_store(folder);
    CHECK_EQ(truncate(fixture_path(folder, hurt), 50), 0);
  } else {
    hurt = 0;
  }
  int newest = 0;
  for (int k = 1; k <= N; k++) {
    whole[k] = k != hurt && (!base[k] || whole[base[k]]);
    if (whole[k]) newest = k;
    stays[k] = k >= from;
  }
  if (newest) stays[newest] = true;
  for (int k = N; k >= 1; k--)
    if (stays[k] && base[k] && k != hurt) stays[base[k]] = true;
  fixture_name(oldest, from);
  CHECK_OK(s->keep(s, oldest, &err), &err);
  for (int k = 1; k <= N; k++)
    CHECK_EQ(access(fixture_path(folder, k), F_OK) == 0, stays[k]);
  CHECK_EQ(fixture_load(s, NULL), newest ? newest : -1);
  s->release(s);
  fixture_remove(folder);
}

TEST(keep_drops_what_is_older_but_bases_and_the_newest_whole) {
  for (uint64_t seed = 0; seed < 60 && !harness_failed_; seed++)
    try_keep(seed, seed % 2 == 1);
}

int main(void) {
  RUN(what_was_saved_is_loaded_by_name_and_as_the_newest);
  RUN(a_checkpoint_without_parts_and_places_is_one_too);
  RUN(names_that_could_leave_the_folder_are_refused);
  RUN(files_are_for_their_owner_only_and_strangers_are_left_alone);
  RUN(the_folder_and_those_above_it_are_made);
  RUN(a_second_holder_is_told_who_the_first_is);
  RUN(a_killed_holder_holds_nothing);
  RUN(a_forked_child_that_releases_leaves_the_lock_with_its_parent);
  RUN(a_forked_child_that_outlives_a_holder_holds_nothing);
  RUN(a_checkpoint_is_whole_only_with_its_bases);
  RUN(nothing_whole_is_an_error_and_not_a_beginning);
  RUN(keep_drops_what_is_older_but_bases_and_the_newest_whole);
  return harness_end();
}
