#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"

struct rfl_err fixture_error;
struct bad_disk bad_disk;

/* ---- folders ---- */

char *fixture_folder(void) {
  const char *base = getenv("TMPDIR");
  char path[400];
  snprintf(path, sizeof path, "%s/riffle-store-XXXXXX", base ? base : "/tmp");
  if (!mkdtemp(path)) {
    perror(path);
    exit(2);
  }
  return rfl_strdup(path);
}

static void remove_files(const char *folder) {
  DIR *dir = opendir(folder);
  for (struct dirent *e; dir && (e = readdir(dir));) {
    char path[800];
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) unlink(path);
  }
  if (dir) closedir(dir);
}

void fixture_remove(char *folder) {
  remove_files(folder);
  rmdir(folder);
  rfl_free(folder);
}

int fixture_count(const char *folder, const char *suffix) {
  int n = 0;
  DIR *dir = opendir(folder);
  for (struct dirent *e; dir && (e = readdir(dir));) {
    size_t length = strlen(e->d_name), k = strlen(suffix);
    n += length >= k && strcmp(e->d_name + length - k, suffix) == 0;
  }
  if (dir) closedir(dir);
  return n;
}

int fixture_descriptors(void) { return fixture_count("/proc/self/fd", ""); }

/* ---- checkpoints ---- */

void fixture_name(char to[FIXTURE_NAME], int number) {
  snprintf(to, FIXTURE_NAME, "%020d-ab12", number);
}

const char *fixture_path(const char *folder, int number) {
  static char path[800];
  char name[FIXTURE_NAME];
  fixture_name(name, number);
  snprintf(path, sizeof path, "%s/%s.ckpt", folder, name);
  return path;
}

static size_t part_size(int number, int part) {
  return part == 1 ? 0
                   : 40u + (size_t)rfl_random(3, (uint64_t)number, (uint64_t)part) % 99;
}

static uint8_t part_byte(int number, int part, size_t i) {
  return (uint8_t)rfl_random((uint64_t)number, (uint64_t)part, i);
}

enum rfl_code fixture_save_on(struct rfl_store *store, int number, int base,
                              struct rfl_err *err) {
  static uint8_t data[FIXTURE_PARTS][200];
  static char *names[FIXTURE_PARTS] = {"model", "pending", "metrics"};
  char name[FIXTURE_NAME], base_name[FIXTURE_NAME];
  struct rfl_part part[FIXTURE_PARTS] = {{0}};
  for (int k = 0; k < FIXTURE_PARTS; k++) {
    size_t n = part_size(number, k);
    for (size_t i = 0; i < n; i++) data[k][i] = part_byte(number, k, i);
    part[k].name = names[k];
    part[k].data = (struct rfl_bytes){data[k], n};
  }
  fixture_name(base_name, base);
  if (base > 0) part[0].base = base_name;
  struct rfl_cursor cursor = {0};
  enum rfl_code code = rfl_cursor_set(&cursor, "clicks", 3, 100 + number, err);
  if (!code) code = rfl_cursor_set(&cursor, "clicks", 1, number, err);
  fixture_name(name, number);
  if (!code) code = store->save(store, name, &cursor, part, FIXTURE_PARTS, 0, err);
  rfl_cursor_release(&cursor);
  return code;
}

enum rfl_code fixture_save(struct rfl_store *store, int number, struct rfl_err *err) {
  return fixture_save_on(store, number, 0, err);
}

static bool same(const struct rfl_cursor *c, const struct rfl_part *part, size_t n,
                 int number) {
  static const char *const names[FIXTURE_PARTS] = {"model", "pending", "metrics"};
  if (n != FIXTURE_PARTS || c->n != 2 || c->place[1].next != 100 + number) return false;
  for (int k = 0; k < FIXTURE_PARTS; k++) {
    if (strcmp(part[k].name, names[k]) || !part[k].data.p ||
        part[k].data.n != part_size(number, k))
      return false;
    for (size_t i = 0; i < part[k].data.n; i++)
      if (part[k].data.p[i] != part_byte(number, k, i)) return false;
  }
  return true;
}

int fixture_load(struct rfl_store *store, const char *name) {
  struct rfl_cursor c = {0};
  struct rfl_part *part = NULL;
  size_t n = 99;
  enum rfl_code code = store->load(store, name, &c, &part, &n, &fixture_error);
  if (code) return c.n || part || n != 99 ? -2 : -1; /* outputs only on success */
  int number = c.n ? (int)c.place[0].next : 0;
  if (number && !same(&c, part, n, number)) number = -2;
  if (!number && (n || part)) number = -2;
  rfl_parts_release(part, n);
  rfl_cursor_release(&c);
  return number;
}

/* ---- the disk ---- */

static bool turn(char kind) {
  long call = bad_disk.calls++;
  size_t n = strlen(bad_disk.log);
  if (n + 1 < sizeof bad_disk.log && (n == 0 || bad_disk.log[n - 1] != kind))
    bad_disk.log[n] = kind;
  bool now = bad_disk.stays ? call >= bad_disk.at : call == bad_disk.at;
  if (now && bad_disk.how == BAD_DIES_BEFORE) _exit(BAD_EXIT);
  return now;
}

/* What the call gives, once it was done: `failed` when the world must think so. */
static bool spoilt(bool now) {
  if (now && bad_disk.how == BAD_DIES_AFTER) _exit(BAD_EXIT);
  if (!now || bad_disk.how != BAD_ERROR_AFTER) return false;
  errno = bad_disk.error;
  return true;
}

static bool refused(bool now) {
  if (!now || bad_disk.how != BAD_ERROR) return false;
  errno = bad_disk.error;
  return true;
}

static int bad_open(const char *path, int flags, mode_t mode) {
  bool now = turn('o');
  if (refused(now)) return -1;
  int fd = open(path, flags, mode);
  if (spoilt(now)) {
    if (fd >= 0) close(fd);
    return -1;
  }
  return fd;
}

static ssize_t bad_write(int fd, const void *bytes, size_t n) {
  bool now = turn('w');
  if (refused(now)) return -1;
  bool half = now && (bad_disk.how == BAD_SHORT || bad_disk.how == BAD_DIES_HALF);
  ssize_t wrote = write(fd, bytes, half && n > 1 ? n / 2 : n);
  if (now && bad_disk.how == BAD_DIES_HALF) _exit(BAD_EXIT);
  return spoilt(now) ? -1 : wrote;
}

static int bad_fsync(int fd) {
  bool now = turn('f');
  if (refused(now)) return -1;
  int failed = fsync(fd);
  return spoilt(now) ? -1 : failed;
}

static int bad_rename(const char *from, const char *to) {
  bool now = turn('r');
  if (refused(now)) return -1;
  int failed = rename(from, to);
  return spoilt(now) ? -1 : failed;
}

/* A close that fails has closed all the same, as on Linux. */
static int bad_close(int fd) {
  bool now = turn('c');
  int failed = close(fd);
  return refused(now) || spoilt(now) ? -1 : failed;
}

static int bad_unlink(const char *path) {
  bool now = turn('u');
  if (refused(now)) return -1;
  int failed = unlink(path);
  return spoilt(now) ? -1 : failed;
}

const struct rfl_disk bad_disk_calls = {.open = bad_open,
                                        .write = bad_write,
                                        .fsync = bad_fsync,
                                        .rename = bad_rename,
                                        .close = bad_close,
                                        .unlink = bad_unlink};
