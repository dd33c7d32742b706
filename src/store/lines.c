#include "store/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"
#include "store/disk.h"

enum { ROOM_AT_FIRST = 1 << 18, LONGEST = 1 << 30, TAIL = 16 };

struct rfl_lines {
  char *path;
  gzFile file;
  int64_t limit, left; /* bytes of a plain file that may still be read */
  uint8_t *p;          /* [at, end) is read and not given yet */
  size_t room, at, end;
  bool over, begun;
};

static enum rfl_code no_file(const char *path, const char *why, struct rfl_err *err) {
  return rfl_fail(err, RFL_EIO, "file `%s` cannot be read: %s", path, why);
}

static enum rfl_code no_file_errno(const char *path, struct rfl_err *err) {
  char reason[RFL_DISK_REASON];
  return no_file(path, rfl_disk_reason(errno, reason), err);
}

/* Whether the file begins as gzip does; its size. */
static enum rfl_code look(int fd, const char *path, bool *gzip, int64_t *size,
                          struct rfl_err *err) {
  struct stat st;
  uint8_t magic[2] = {0};
  if (fstat(fd, &st) != 0) return no_file_errno(path, err);
  if (S_ISDIR(st.st_mode)) return no_file(path, "it is a folder", err);
  if (!S_ISREG(st.st_mode)) return no_file(path, "it is not a regular file", err);
  if (pread(fd, magic, 2, 0) < 0) return no_file_errno(path, err);
  *gzip = magic[0] == 0x1f && magic[1] == 0x8b;
  *size = st.st_size;
  return RFL_OK;
}

static enum rfl_code open_file(struct rfl_lines *l, const char *path, int64_t limit,
                               struct rfl_err *err) {
  l->path = rfl_strdup(path);
  l->p = rfl_grow(NULL, ROOM_AT_FIRST, 1);
  l->room = ROOM_AT_FIRST;
  if (!l->path || !l->p) return rfl_no_memory(err);
  int fd = rfl_disk_open(&rfl_disk_real, path, O_RDONLY | O_NONBLOCK, 0);
  if (fd < 0) return no_file_errno(path, err);
  bool gzip = false;
  int64_t size = 0;
  enum rfl_code code = look(fd, path, &gzip, &size, err);
  if (!code) l->file = gzdopen(fd, "rb");
  if (!l->file) {
    rfl_disk_close(&rfl_disk_real, fd);
    return code ? code : rfl_no_memory(err);
  }
  gzbuffer(l->file, 1 << 17);
  l->limit = gzip ? -1 : limit >= 0 ? limit : size;
  l->left = gzip ? INT64_MAX : l->limit;
  return RFL_OK;
}

enum rfl_code rfl_lines_open(const char *path, int64_t limit, struct rfl_lines **gives,
                             struct rfl_err *err) {
  struct rfl_lines *l = rfl_alloc(1, sizeof *l);
  if (!l) return rfl_no_memory(err);
  enum rfl_code code = open_file(l, path, limit, err);
  if (code)
    rfl_lines_release(l);
  else
    *gives = l;
  return code;
}

void rfl_lines_release(struct rfl_lines *l) {
  if (!l) return;
  if (l->file) gzclose_r(l->file);
  rfl_free(l->path);
  rfl_free(l->p);
  rfl_free(l);
}

int64_t rfl_lines_limit(const struct rfl_lines *l) { return l->limit; }

/* Room behind `end`: by moving what is not given to the front, else by growing. Some
 * bytes stay free behind what is read, for readers of whole words. */
static enum rfl_code make_room(struct rfl_lines *l, struct rfl_err *err) {
  if (l->at > 0) {
    memmove(l->p, l->p + l->at, l->end - l->at);
    l->end -= l->at;
    l->at = 0;
  }
  if (l->end + TAIL < l->room) return RFL_OK;
  if (l->room >= LONGEST)
    return rfl_fail(err, RFL_EDATA, "file `%s` has a line of more than 1 GB", l->path);
  uint8_t *more = rfl_grow(l->p, 2 * l->room, 1);
  if (!more) return rfl_no_memory(err);
  l->p = more;
  l->room *= 2;
  return RFL_OK;
}

static enum rfl_code read_more(struct rfl_lines *l, struct rfl_err *err) {
  RFL_TRY(make_room(l, err));
  size_t want = l->room - TAIL - l->end;
  if (l->left < (int64_t)want) want = (size_t)l->left;
  int got = want ? gzread(l->file, l->p + l->end, (unsigned)want) : 0;
  int problem = Z_OK;
  const char *why = gzerror(l->file, &problem);
  if (got < 0 || (problem != Z_OK && problem != Z_STREAM_END)) {
    if (problem == Z_ERRNO) return no_file_errno(l->path, err);
    if (problem == Z_BUF_ERROR) why = "it is compressed, and cut short";
    return no_file(l->path, why, err);
  }
  l->end += (size_t)got;
  l->left -= got;
  l->over = got == 0;
  if (!l->begun && l->end >= 3 && memcmp(l->p, "\xef\xbb\xbf", 3) == 0) l->at = 3;
  l->begun = true;
  return RFL_OK;
}

enum rfl_code rfl_lines_next(struct rfl_lines *l, struct rfl_bytes *gives,
                             struct rfl_err *err) {
  size_t seen = 0;
  for (;;) {
    size_t n = l->end - l->at;
    const uint8_t *from = l->p + l->at;
    const uint8_t *stop = n > seen ? memchr(from + seen, '\n', n - seen) : NULL;
    if (stop || l->over) {
      size_t size = stop ? (size_t)(stop - from) : n;
      *gives = (struct rfl_bytes){0};
      if (!stop && !n) return RFL_OK;
      l->at += size + (stop != NULL);
      if (size && from[size - 1] == '\r') size--;
      *gives = (struct rfl_bytes){from, size};
      return RFL_OK;
    }
    bool fresh = !l->begun;
    seen = n;
    RFL_TRY(read_more(l, err));
    if (fresh) seen = 0;
  }
}
