#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int real_open(const char *path, int flags, mode_t mode) {
  return open(path, flags, mode);
}

const struct rfl_disk rfl_disk_real = {.open = real_open,
                                       .write = write,
                                       .fsync = fsync,
                                       .rename = rename,
                                       .close = close,
                                       .unlink = unlink};

int rfl_disk_open(const struct rfl_disk *disk, const char *path, int flags, mode_t mode) {
  int fd;
  do fd = disk->open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

bool rfl_disk_write(const struct rfl_disk *disk, int fd, const void *bytes, size_t n) {
  const char *p = bytes;
  while (n > 0) {
    size_t piece = n < ((size_t)1 << 30) ? n : (size_t)1 << 30;
    ssize_t wrote = disk->write(fd, p, piece);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote == 0) errno = EIO; /* a disk that takes nothing would be asked for ever */
    if (wrote <= 0) return false;
    p += wrote;
    n -= (size_t)wrote;
  }
  return true;
}

bool rfl_disk_read(int fd, void *to, size_t n) {
  char *p = to;
  while (n > 0) {
    ssize_t got = read(fd, p, n < ((size_t)1 << 30) ? n : (size_t)1 << 30);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = 0;
    if (got <= 0) return false;
    p += got;
    n -= (size_t)got;
  }
  return true;
}

bool rfl_disk_sync(const struct rfl_disk *disk, int fd) {
  int failed;
  do failed = disk->fsync(fd);
  while (failed && errno == EINTR);
  return !failed;
}

bool rfl_disk_close(const struct rfl_disk *disk, int fd) {
  return disk->close(fd) == 0 || errno == EINTR;
}

bool rfl_disk_rename(const struct rfl_disk *disk, const char *from, const char *to) {
  int failed;
  do failed = disk->rename(from, to);
  while (failed && errno == EINTR);
  return !failed;
}

bool rfl_disk_unlink(const struct rfl_disk *disk, const char *path) {
  int failed;
  do failed = disk->unlink(path);
  while (failed && errno == EINTR);
  return !failed || errno == ENOENT;
}

bool rfl_disk_sync_folder(const struct rfl_disk *disk, const char *path) {
  int fd = rfl_disk_open(disk, path, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return false;
  bool synced = rfl_disk_sync(disk, fd);
  int error = errno;
  bool closed = rfl_disk_close(disk, fd);
  if (!synced) errno = error;
  return synced && closed;
}

/* strerror_r() gives a text in one C library and a number in another. */
static const char *given(const char *text, const char *buffer) {
  (void)buffer;
  return text;
}
static const char *filled(int failed, const char *buffer) {
  return failed ? "an error without a name" : buffer;
}

const char *rfl_disk_reason(int error, char to[RFL_DISK_REASON]) {
  to[0] = '\0';
  const char *text = _Generic(strerror_r(error, to, RFL_DISK_REASON), int
                              : filled, default
                              : given)(strerror_r(error, to, RFL_DISK_REASON), to);
  if (text != to) snprintf(to, RFL_DISK_REASON, "%s", text);
  return to;
}
