#include "store/model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static const char magic[8] = {'R', 'F', 'L', 'M', 'O', 'D', 'L', '1'};
enum {
  VERSION = 1,
  LEAD = 16,  /* bytes before the table */
  ENTRY = 28, /* of a section in the table */
  CRC_SIZE = 4,
  REQUIRED = 1
};

static const char damaged[] = "It is no whole model file: %s.";

enum rfl_code rfl_model_file_write(const struct rfl_section *s, size_t n,
                                   struct rfl_buf *out, struct rfl_err *err) {
  size_t start = out->n;
  rfl_buf_put(out, magic, sizeof magic);
  rfl_buf_u32(out, VERSION);
  rfl_buf_u32(out, (uint32_t)n);
  uint64_t offset = LEAD + ENTRY
  *(uint64_t)n + CRC_SIZE;
  for (size_t k = 0; k < n; k++) {
    rfl_buf_put(out, s[k].tag, 4);
    rfl_buf_u32(out, s[k].required ? REQUIRED : 0);
    rfl_buf_u64(out, offset);
    rfl_buf_u64(out, s[k].data.n);
    rfl_buf_u32(out, rfl_crc32c(0, s[k].data.p, s[k].data.n));
    offset += s[k].data.n;
  }
  RFL_TRY(rfl_buf_check(out, err));
  rfl_buf_u32(out, rfl_crc32c(0, out->p + start, out->n - start));
  for (size_t k = 0; k < n; k++) rfl_buf_put(out, s[k].data.p, s[k].data.n);
  return rfl_buf_check(out, err);
}

static bool known_tag(const char *tag, const char *known) {
  for (const char *at = known; *at; at += at[4] ? 5 : 4)
    if (memcmp(at, tag, 4) == 0) return true;
  return false;
}

/* Sections lie back to back, so that an offset says nothing that sizes do not. */
static enum rfl_code read_entry(struct rfl_reader *in, struct rfl_bytes file,
                                uint64_t *offset, struct rfl_section *s,
                                struct rfl_err *err) {
  for (int i = 0; i < 4; i++) s->tag[i] = (char)rfl_read_u8(in);
  uint32_t flags = rfl_read_u32(in);
  uint64_t at = rfl_read_u64(in), size = rfl_read_u64(in);
  uint32_t crc = rfl_read_u32(in);
  for (int i = 0; i < 4; i++)
    if (s->tag[i] < ' ' || s->tag[i] > '~' || s->tag[i] == ',')
      return rfl_fail(err, RFL_EDATA, damaged, "a section has no name");
  if (at != *offset || size > file.n - at)
    return rfl_fail(err, RFL_EDATA, damaged, "it is cut short");
  *offset += size;
  s->required = flags & REQUIRED;
  s->data = (struct rfl_bytes){file.p + at, (size_t)size};
  if (rfl_crc32c(0, s->data.p, s->data.n) != crc)
    return rfl_fail(err, RFL_EDATA,
                    "It is damaged: section %s does not match its checksum.", s->tag);
  return RFL_OK;
}

enum rfl_code rfl_model_file_read(struct rfl_bytes file, const char *known,
                                  struct rfl_model_file *gives, struct rfl_err *err) {
  if (file.n < LEAD + CRC_SIZE || memcmp(file.p, magic, sizeof magic) != 0)
    return rfl_fail(err, RFL_EDATA, damaged, "it does not begin as one");
  struct rfl_reader in = {.at = file.p + sizeof magic, .end = file.p + file.n};
  uint32_t version = rfl_read_u32(&in), n = rfl_read_u32(&in);
  if (version > VERSION)
    return rfl_fail(err, RFL_ECONFIG,
                    "It is of version %lu and this riffle reads version %d.",
                    (unsigned long)version, VERSION);
  if (!version || n > RFL_MAX_SECTIONS || file.n < LEAD + ENTRY * (size_t)n + CRC_SIZE)
    return rfl_fail(err, RFL_EDATA, damaged, "its table cannot be");
  size_t table = LEAD + ENTRY
  *(size_t)n;
  struct rfl_reader tail = {.at = file.p + table, .end = file.p + table + CRC_SIZE};
  if (rfl_read_u32(&tail) != rfl_crc32c(0, file.p, table))
    return rfl_fail(err, RFL_EDATA,
                    "It is damaged: its table does not match its checksum.");
  struct rfl_model_file found = {.n = n};
  uint64_t offset = table + CRC_SIZE;
  for (size_t k = 0; k < n; k++) {
    struct rfl_section *s = &found.section[k];
    RFL_TRY(read_entry(&in, file, &offset, s, err));
    if (s->required && !known_tag(s->tag, known))
      return rfl_fail(
          err, RFL_ECONFIG,
          "It has a section %s that this riffle does not know: it needs a later one.",
          s->tag);
  }
  if (offset != file.n)
    return rfl_fail(err, RFL_EDATA, damaged, "something follows its end");
  *gives = found;
  return RFL_OK;
}

const struct rfl_section *rfl_model_file_find(const struct rfl_model_file *f,
                                              const char *tag) {
  for (size_t k = 0; k < f->n; k++)
    if (strcmp(f->section[k].tag, tag) == 0) return &f->section[k];
  return NULL;
}

/* ---- the disk ---- */

static enum rfl_code fail_io(const char *what, const char *path, int error,
                             struct rfl_err *err) {
  char reason[RFL_DISK_REASON];
  return rfl_fail(err, RFL_EIO, "Cannot %s `%s`: %s.", what, path,
                  rfl_disk_reason(error, reason));
}

/* 0, or the errno that stopped it. */
static int write_temporary(const struct rfl_disk *disk, const char *path,
                           const struct rfl_buf *bytes) {
  int fd = rfl_disk_open(disk, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd < 0) return errno;
  bool whole = rfl_disk_write(disk, fd, bytes->p, bytes->n) && rfl_disk_sync(disk, fd);
  int error = whole ? 0 : errno;
  if (!rfl_disk_close(disk, fd) && !error) error = errno;
  return error;
}

/* The folder that holds the path; by rfl_free. */
static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return rfl_strdup(".");
  return rfl_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static enum rfl_code replace(const struct rfl_disk *disk, const char *path,
                             const char *temporary, const struct rfl_buf *bytes,
                             struct rfl_err *err) {
  int error = write_temporary(disk, temporary, bytes);
  if (!error && !rfl_disk_rename(disk, temporary, path)) error = errno;
  if (error) {
    rfl_disk_unlink(disk, temporary);
    return fail_io("write the model", path, error, err);
  }
  char *folder = folder_of(path);
  if (!folder) return rfl_no_memory(err);
  bool synced = rfl_disk_sync_folder(disk, folder);
  error = errno;
  rfl_free(folder);
  return synced ? RFL_OK : fail_io("write the model", path, error, err);
}

enum rfl_code rfl_model_file_save(const struct rfl_disk *disk, const char *path,
                                  const struct rfl_buf *bytes, bool overwrite,
                                  struct rfl_err *err) {
  struct stat there;
  if (!overwrite && stat(path, &there) == 0)
    return rfl_fail(err, RFL_EBUSY, "There is a file `%s` already.", path);
  size_t n = strlen(path) + 32;
  char *temporary = rfl_alloc(n, 1);
  if (!temporary) return rfl_no_memory(err);
  snprintf(temporary, n, "%s.%ld.tmp", path, (long)getpid());
  enum rfl_code code = replace(disk, path, temporary, bytes, err);
  rfl_free(temporary);
  return code;
}

enum rfl_code rfl_model_file_load(const char *path, struct rfl_buf *to,
                                  struct rfl_err *err) {
  int fd = rfl_disk_open(&rfl_disk_real, path, O_RDONLY, 0);
  if (fd < 0) return fail_io("open the model", path, errno, err);
  struct stat s;
  int error = fstat(fd, &s) ? errno : S_ISREG(s.st_mode) ? 0 : EISDIR;
  size_t n = error ? 0 : (size_t)s.st_size;
  bool room = error || rfl_buf_reserve(to, n);
  errno = 0;
  if (!error && room && !rfl_disk_read(fd, to->p + to->n, n)) error = errno ? errno : EIO;
  rfl_disk_close(&rfl_disk_real, fd);
  if (!room) return rfl_no_memory(err);
  if (error) return fail_io("read the model", path, error, err);
  to->n += n;
  return RFL_OK;
}
