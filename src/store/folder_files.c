#include "store/folder_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static const char suffix[] = ".ckpt", temporary[] = ".tmp";

/* "<folder>/<before><name><after>", by rfl_free. */
static char *join(const struct rfl_folder *f, const char *before, const char *name,
                  const char *after) {
  size_t n = strlen(f->path) + strlen(before) + strlen(name) + strlen(after) + sizeof "/";
  char *path = rfl_alloc(n, 1);
  if (path) snprintf(path, n, "%s/%s%s%s", f->path, before, name, after);
  return path;
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), k = strlen(end);
  return n > k && strcmp(text + n - k, end) == 0;
}

static enum rfl_code fail_io(const char *what, const char *path, int error,
                             struct rfl_err *err) {
  char reason[RFL_DISK_REASON];
  return rfl_fail(err, RFL_EIO, "%s `%s`: %s.", what, path,
                  rfl_disk_reason(error, reason));
}

/* ---- the folder ---- */

/* Makes `path` and, when it is new, its name in the folder above durable. */
static bool make_one(const struct rfl_folder *f, char *path) {
  if (mkdir(path, 0700) != 0) return errno == EEXIST;
  char *slash = strrchr(path, '/');
  if (!slash) return rfl_disk_sync_folder(f->disk, ".");
  if (slash == path) return rfl_disk_sync_folder(f->disk, "/");
  *slash = '\0';
  bool synced = rfl_disk_sync_folder(f->disk, path);
  *slash = '/';
  return synced;
}

enum rfl_code rfl_folder_make(const struct rfl_folder *f, struct rfl_err *err) {
  char *path = rfl_strdup(f->path);
  if (!path) return rfl_no_memory(err);
  bool made = true;
  for (size_t i = 1; made && path[i]; i++) {
    if (path[i] != '/' || path[i - 1] == '/') continue;
    path[i] = '\0';
    made = make_one(f, path);
    path[i] = '/';
  }
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') path[--n] = '\0';
  made = made && make_one(f, path);
  int error = errno;
  rfl_free(path);
  if (!made) return fail_io("Cannot make the checkpoint folder", f->path, error, err);
  return RFL_OK;
}

static enum rfl_code tell_holder(const struct rfl_folder *f, int fd,
                                 struct rfl_err *err) {
  char text[24] = "";
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  long pid = n > 0 ? strtol(text, NULL, 10) : 0;
  if (pid == (long)getpid())
    return rfl_fail(err, RFL_EBUSY,
                    "The checkpoint folder `%s` is in use by another query of this "
                    "process (%ld): stop that one, or use another folder.",
                    f->path, pid);
  if (pid > 0)
    return rfl_fail(err, RFL_EBUSY,
                    "The checkpoint folder `%s` is in use by process %ld: stop that one, "
                    "or use another folder.",
                    f->path, pid);
  return rfl_fail(err, RFL_EBUSY, "The checkpoint folder `%s` is in use by a process.",
                  f->path);
}

/* The pid is written for the message of the next one only: that there is no room for it
 * is not a reason to refuse. */
static void write_pid(const struct rfl_folder *f, int fd) {
  char text[24];
  int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) == 0) (void)rfl_disk_write(f->disk, fd, text, (size_t)n);
}

enum rfl_code rfl_folder_lock(const struct rfl_folder *f, int *gives_fd,
                              struct rfl_err *err) {
  char *path = join(f, "", ".lock", "");
  if (!path) return rfl_no_memory(err);
  int fd = rfl_disk_open(f->disk, path, O_RDWR | O_CREAT, 0600);
  enum rfl_code code =
      fd < 0 ? fail_io("Cannot open the lock", path, errno, err) : RFL_OK;
  rfl_free(path);
  if (code) return code;
  int failed;
  do failed = flock(fd, LOCK_EX | LOCK_NB);
  while (failed && errno == EINTR);
  if (failed && errno == EWOULDBLOCK) {
    code = tell_holder(f, fd, err);
    rfl_disk_close(f->disk, fd);
    return code;
  }
  /* Any other failure: a file system without locks. The lock is advice there. */
  write_pid(f, fd);
  *gives_fd = fd;
  return RFL_OK;
}

/* Calls `each` for every name in the folder, until it fails. */
static enum rfl_code walk(const struct rfl_folder *f,
                          enum rfl_code (*each)(void *, const char *, struct rfl_err *),
                          void *ctx, struct rfl_err *err) {
  DIR *dir = opendir(f->path);
  if (!dir) return fail_io("Cannot list the checkpoint folder", f->path, errno, err);
  enum rfl_code code = RFL_OK;
  while (!code) {
    errno = 0;
    const struct dirent *entry = readdir(dir);
    if (!entry && errno)
      code = fail_io("Cannot list the checkpoint folder", f->path, errno, err);
    if (!entry) break;
    code = each(ctx, entry->d_name, err);
  }
  closedir(dir);
  return code;
}

static enum rfl_code sweep_one(void *ctx, const char *name, struct rfl_err *err) {
  const struct rfl_folder *f = ctx;
  if (name[0] != '.' || !ends_with(name, temporary)) return RFL_OK;
  char *path = join(f, "", name, "");
  if (!path) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  if (!rfl_disk_unlink(f->disk, path))
    code = fail_io("Cannot remove the leftover file", path, errno, err);
  rfl_free(path);
  return code;
}

enum rfl_code rfl_folder_sweep(const struct rfl_folder *f, struct rfl_err *err) {
  return walk(f, sweep_one, (void *)f, err);
}

struct names {
  char **name;
  size_t n;
};

static enum rfl_code list_one(void *ctx, const char *file, struct rfl_err *err) {
  struct names *names = ctx;
  if (!ends_with(file, suffix)) return RFL_OK;
  char *name = rfl_strndup(file, strlen(file) - strlen(suffix));
  if (!name) return rfl_no_memory(err);
  if (!rfl_checkpoint_named(name)) {
    rfl_free(name);
    return RFL_OK;
  }
  char **more = rfl_grow(names->name, names->n + 1, sizeof *more);
  if (!more) {
    rfl_free(name);
    return rfl_no_memory(err);
  }
  names->name = more;
  names->name[names->n++] = name;
  return RFL_OK;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void rfl_folder_names_free(char **name, size_t n) {
  for (size_t i = 0; i < n; i++) rfl_free(name[i]);
  rfl_free(name);
}

enum rfl_code rfl_folder_names(const struct rfl_folder *f, char ***gives, size_t *n,
                               struct rfl_err *err) {
  struct names names = {0};
  enum rfl_code code = walk(f, list_one, &names, err);
  if (code) {
    rfl_folder_names_free(names.name, names.n);
    return code;
  }
  if (names.n) qsort(names.name, names.n, sizeof *names.name, compare);
  *gives = names.name;
  *n = names.n;
  return RFL_OK;
}

/* ---- writing ---- */

static enum rfl_code fail_write(const char *path, int error, uint64_t size,
                                struct rfl_err *err) {
  char reason[RFL_DISK_REASON];
  rfl_disk_reason(error, reason);
  if (error == ENOSPC || error == EDQUOT)
    return rfl_fail(err, RFL_EIO,
                    "Cannot write the checkpoint `%s`: %s. It needs %llu bytes.", path,
                    reason, (unsigned long long)size);
  return rfl_fail(err, RFL_EIO, "Cannot write the checkpoint `%s`: %s.", path, reason);
}

/* Writes and syncs the temporary file; 0, or the errno that stopped it. */
static int write_file(const struct rfl_disk *disk, const char *path,
                      const struct rfl_buf *head, const struct rfl_part *part, size_t n) {
  int fd = rfl_disk_open(disk, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return errno;
  bool whole = rfl_disk_write(disk, fd, head->p, head->n);
  for (size_t i = 0; whole && i < n; i++)
    whole = rfl_disk_write(disk, fd, part[i].data.p, part[i].data.n);
  whole = whole && rfl_disk_sync(disk, fd);
  int error = whole ? 0 : errno;
  if (!rfl_disk_close(disk, fd) && !error) error = errno;
  return error;
}

/* Both names are on the heap since a path may be long. */
static enum rfl_code write_renamed(const struct rfl_folder *f, const char *temp,
                                   const char *path, const struct rfl_buf *head,
                                   const struct rfl_part *part, size_t n,
                                   struct rfl_err *err) {
  uint64_t size = head->n;
  for (size_t i = 0; i < n; i++) size += part[i].data.n;
  int error = write_file(f->disk, temp, head, part, n);
  if (!error && !rfl_disk_rename(f->disk, temp, path)) error = errno;
  if (error) {
    rfl_disk_unlink(f->disk, temp); /* else the next one to open the folder does */
    return fail_write(path, error, size, err);
  }
  if (!rfl_disk_sync_folder(f->disk, f->path)) return fail_write(path, errno, size, err);
  return RFL_OK;
}

enum rfl_code rfl_folder_write(const struct rfl_folder *f, const char *name,
                               const struct rfl_cursor *cursor,
                               const struct rfl_part *part, size_t n,
                               struct rfl_err *err) {
  struct rfl_buf head = {0};
  char *temp = join(f, ".", name, temporary), *path = join(f, "", name, suffix);
  enum rfl_code code = temp && path
                           ? rfl_checkpoint_write(name, cursor, part, n, &head, err)
                           : rfl_no_memory(err);
  if (!code) code = write_renamed(f, temp, path, &head, part, n, err);
  rfl_buf_release(&head);
  rfl_free(temp);
  rfl_free(path);
  return code;
}

/* ---- reading ---- */

/* A read that ended early. A sector that cannot be read is damage; anything else, such as
 * no descriptors left, may be gone the next time and must not look like it. */
static enum rfl_code fail_read(struct rfl_err *err) {
  char reason[RFL_DISK_REASON];
  if (errno == 0) return rfl_fail(err, RFL_EDATA, "It is cut short.");
  return rfl_fail(err, errno == EIO ? RFL_EDATA : RFL_EIO, "%s.",
                  rfl_disk_reason(errno, reason));
}

static enum rfl_code read_head(int fd, struct rfl_checkpoint *gives,
                               struct rfl_err *err) {
  struct stat file;
  uint8_t lead[RFL_CHECKPOINT_LEAD];
  if (fstat(fd, &file) != 0) return fail_read(err);
  if (!S_ISREG(file.st_mode)) return rfl_fail(err, RFL_EDATA, "It is not a file.");
  if (!rfl_disk_read(fd, lead, sizeof lead)) return fail_read(err);
  uint32_t size;
  RFL_TRY(rfl_checkpoint_lead(lead, (uint64_t)file.st_size, &size, err));
  uint8_t *head = rfl_alloc(size, 1);
  if (!head) return rfl_no_memory(err);
  memcpy(head, lead, sizeof lead);
  enum rfl_code code = RFL_OK;
  if (!rfl_disk_read(fd, head + sizeof lead, size - sizeof lead)) code = fail_read(err);
  if (!code)
    code = rfl_checkpoint_read((struct rfl_bytes){head, size}, (uint64_t)file.st_size,
                               gives, err);
  rfl_free(head);
  return code;
}

static enum rfl_code read_part(int fd, const struct rfl_checkpoint_part *from,
                               struct rfl_part *to, struct rfl_err *err) {
  uint8_t *data = rfl_alloc((size_t)from->size, 1);
  if (!data) return rfl_no_memory(err);
  to->data = (struct rfl_bytes){data, (size_t)from->size};
  if (!rfl_disk_read(fd, data, (size_t)from->size)) return fail_read(err);
  if (rfl_crc32c(0, data, (size_t)from->size) != from->crc)
    return rfl_fail(err, RFL_EDATA, "Its part `%s` does not match its checksum.",
                    from->name);
  to->name = rfl_strdup(from->name);
  if (from->base) to->base = rfl_strdup(from->base);
  return to->name && (to->base || !from->base) ? RFL_OK : rfl_no_memory(err);
}

static enum rfl_code read_parts(int fd, const struct rfl_checkpoint *c,
                                struct rfl_part **gives, struct rfl_err *err) {
  struct rfl_part *part = rfl_alloc(c->n, sizeof *part);
  if (!part) return rfl_no_memory(err);
  for (size_t i = 0; i < c->n; i++) {
    enum rfl_code code = read_part(fd, &c->part[i], &part[i], err);
    if (code) {
      rfl_parts_release(part, c->n);
      return code;
    }
  }
  *gives = part;
  return RFL_OK;
}

static enum rfl_code read_open(int fd, const char *name, struct rfl_checkpoint *gives,
                               struct rfl_part **gives_parts, struct rfl_err *err) {
  struct rfl_checkpoint c = {0};
  RFL_TRY(read_head(fd, &c, err));
  enum rfl_code code = RFL_OK;
  if (strcmp(c.name, name) != 0)
    code = rfl_fail(err, RFL_EDATA, "It holds the checkpoint `%s`.", c.name);
  if (!code && gives_parts) code = read_parts(fd, &c, gives_parts, err);
  if (code) {
    rfl_checkpoint_release(&c);
    return code;
  }
  *gives = c;
  return RFL_OK;
}

enum rfl_code rfl_folder_read(const struct rfl_folder *f, const char *name,
                              struct rfl_checkpoint *gives, struct rfl_part **gives_parts,
                              struct rfl_err *err) {
  char *path = join(f, "", name, suffix);
  if (!path) return rfl_no_memory(err);
  struct rfl_err why;
  enum rfl_code code;
  int fd = rfl_disk_open(f->disk, path, O_RDONLY, 0);
  if (fd < 0) {
    code = fail_io("Cannot read the checkpoint", path, errno, err);
  } else {
    code = read_open(fd, name, gives, gives_parts, &why);
    rfl_disk_close(f->disk, fd); /* nothing was written */
    if (code == RFL_EDATA)
      rfl_fail(err, code, "The checkpoint `%s` is damaged. %s", path, why.message);
    else if (code == RFL_EIO || code == RFL_ECONFIG)
      rfl_fail(err, code, "Cannot read the checkpoint `%s`. %s", path, why.message);
    else if (code)
      rfl_fail(err, code, "%s", why.message);
  }
  rfl_free(path);
  return code;
}

enum rfl_code rfl_folder_remove(const struct rfl_folder *f, const char *name,
                                struct rfl_err *err) {
  char *path = join(f, "", name, suffix);
  if (!path) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  if (!rfl_disk_unlink(f->disk, path))
    code = fail_io("Cannot remove the checkpoint", path, errno, err);
  rfl_free(path);
  return code;
}
