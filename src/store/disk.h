/* The system calls that a checkpoint depends on, behind a table, so that a test can make
 * the k-th of them fail; and what is built of them: writing all, naming the reason.
 *
 *     const struct rfl_disk *disk = &rfl_disk_real;
 *     int fd = rfl_disk_open(disk, path, O_WRONLY | O_CREAT, 0600);     // EINTR: again
 *     if (!rfl_disk_write(disk, fd, p, n)) why = errno;                 // all or false
 *
 * The members behave and set errno as the calls of their names. */
#ifndef RFL_STORE_DISK_H
#define RFL_STORE_DISK_H
#include <stdbool.h>
#include <sys/types.h>

#include "frame/flow.h"

struct rfl_disk {
  int (*open)(const char *path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void *bytes, size_t n);
  int (*fsync)(int fd);
  int (*rename)(const char *from, const char *to);
  int (*close)(int fd);
  int (*unlink)(const char *path);
};
extern const struct rfl_disk rfl_disk_real;

/* Each goes on after EINTR. Descriptors are not handed to children that exec. */
int rfl_disk_open(const struct rfl_disk *, const char *path, int flags, mode_t mode);
bool rfl_disk_write(const struct rfl_disk *, int fd, const void *bytes, size_t n);
bool rfl_disk_read(int fd, void *to,
                   size_t n); /* false: cut short (errno 0) or an error */
bool rfl_disk_sync(const struct rfl_disk *, int fd);
/* After fsync() an interrupted close has nothing left to lose, and closing again could
 * close somebody else's file: EINTR counts as closed. */
bool rfl_disk_close(const struct rfl_disk *, int fd);
bool rfl_disk_rename(const struct rfl_disk *, const char *from, const char *to);
bool rfl_disk_unlink(const struct rfl_disk *, const char *path); /* true when not there */
/* Makes what was created, renamed or removed in a folder durable. */
bool rfl_disk_sync_folder(const struct rfl_disk *, const char *path);

enum { RFL_DISK_REASON = 128 };
/* What errno says, in words; safe from any thread. */
const char *rfl_disk_reason(int error, char to[RFL_DISK_REASON]);

/* rfl_folder_store_new() over other system calls: for tests. */
enum rfl_code rfl_folder_store_new_on(const struct rfl_disk *, const char *path,
                                      struct rfl_store **gives,
                                      struct rfl_err *) RFL_CHECKED;

#endif
