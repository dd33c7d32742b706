/* Chunks one behind the other in a file without a name, and where each begins.
 *
 *     put(frame)    codes -> codes of the spool's dictionaries -> bytes -> write()
 *     get(k)        pread() of chunk k, the kernel told to read k + 1 and k + 2 ahead
 *
 * A spool has one dictionary a factor column, into which those of the frames flow
 * together: frames of one source share theirs, so the table of codes is made once a level
 * and not once a frame. A chunk's checksum is looked at when it is first read; later
 * passes, which would spend as much on it as on reading, check its structure only. The
 * file is written, never mapped: a mapped write on a full disk is a signal, not an error.
 */
#include "store/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "store/chunk.h"

enum { AHEAD = 2, NAMES_TRIED = 100 };

struct lane {            /* how the codes of a factor column become the spool's */
  struct rfl_dict *from; /* kept: whose codes `map` is for */
  int32_t *map, n_map;
};
struct place {
  uint64_t at, size;
  bool known; /* atomic: it was read and found whole */
};
struct spool {
  struct rfl_spool face; /* first: a spool is one of these */
  const struct rfl_disk *disk;
  char *folder;
  int fd;
  bool sealed;
  uint64_t end;
  size_t n, cap;
  struct place *chunk;
  struct rfl_schema *schema, *bytes;
  struct rfl_dict **dict;
  int32_t *levels; /* of each dictionary; final once sealed */
  struct lane *lane;
  struct rfl_chunk_codes *codes; /* of each lane */
  struct rfl_buf buf;
};

static struct spool *self(const struct rfl_spool *s) { return (struct spool *)s; }

/* ---- the file ---- */

/* A file that is unlinked a moment after it was made. */
static int open_named(const struct rfl_disk *disk, const char *folder, size_t size) {
  char *path = rfl_alloc(size, 1);
  if (!path) {
    errno = ENOMEM;
    return -1;
  }
  int fd = -1;
  for (uint64_t k = 0; k < NAMES_TRIED; k++) {
    snprintf(path, size, "%s/riffle-spool-%ld-%llu", folder, (long)getpid(),
             (unsigned long long)(rfl_random((uint64_t)(uintptr_t)path, k, 0) % 1000000));
    fd = rfl_disk_open(disk, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd >= 0 || errno != EEXIST) break;
  }
  if (fd >= 0 && !rfl_disk_unlink(disk, path)) {
    int error = errno;
    rfl_disk_close(disk, fd);
    errno = error;
    fd = -1;
  }
  rfl_free(path);
  return fd;
}

static int open_file(const struct rfl_disk *disk, const char *folder) {
  size_t size = strlen(folder) + 80;
#ifdef O_TMPFILE
  int fd = rfl_disk_open(disk, folder, O_TMPFILE | O_RDWR, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
#endif
  return open_named(disk, folder, size);
}

static enum rfl_code no_file(const struct spool *s, struct rfl_err *err) {
  int error = errno;
  char reason[RFL_DISK_REASON];
  if (error == ENOMEM) return rfl_no_memory(err);
  return rfl_fail(err, RFL_EIO, "A file for rows cannot be made in `%s`: %s.", s->folder,
                  rfl_disk_reason(error, reason));
}

static enum rfl_code append(struct spool *s, struct rfl_err *err) {
  if (rfl_disk_write(s->disk, s->fd, s->buf.p, s->buf.n)) return RFL_OK;
  char reason[RFL_DISK_REASON];
  rfl_disk_reason(errno, reason);
  if (lseek(s->fd, (off_t)s->end, SEEK_SET) < 0 || ftruncate(s->fd, (off_t)s->end) != 0)
    s->sealed = true; /* where the next chunk would go is not known any more */
  return rfl_fail(err, RFL_EIO,
                  "Rows cannot be written to disk in `%s`: %s. %zu bytes more are needed "
                  "than the %llu that are there.",
                  s->folder, reason, s->buf.n, (unsigned long long)s->end);
}

/* ---- putting ---- */

static enum rfl_code map_codes(struct spool *s, size_t c, const struct rfl_column *x,
                               struct rfl_err *err) {
  struct lane *lane = &s->lane[c];
  if (lane->from != x->dict) {
    rfl_dict_release(lane->from);
    lane->from = rfl_dict_keep(x->dict);
    lane->n_map = 0;
  }
  if (x->levels > lane->n_map || !lane->map) {
    int32_t *more = rfl_grow(lane->map, (size_t)x->levels + 1, sizeof *more);
    if (!more) return rfl_no_memory(err);
    lane->map = more;
    if (!lane->n_map) more[0] = 0; /* what a column without a level holds */
  }
  for (; lane->n_map < x->levels; lane->n_map++) {
    struct rfl_bytes text = rfl_dict_level(x->dict, lane->n_map);
    RFL_TRY(rfl_dict_code(s->dict[c], (const char *)text.p, text.n,
                          &lane->map[lane->n_map], err));
  }
  s->levels[c] = rfl_dict_size(s->dict[c]);
  s->codes[c] = (struct rfl_chunk_codes){lane->map, s->levels[c]};
  return RFL_OK;
}

static enum rfl_code check_frame(const struct spool *s, const struct rfl_frame *f,
                                 struct rfl_err *err) {
  if (s->sealed)
    return rfl_fail(err, RFL_EBUSY, "Rows cannot be added to a spool that is sealed.");
  bool same = f->schema->n == s->schema->n;
  for (size_t c = 0; same && c < s->schema->n; c++)
    same = f->schema->field[c].type == s->schema->field[c].type &&
           !strcmp(f->schema->field[c].name, s->schema->field[c].name);
  if (!same)
    return rfl_fail(err, RFL_ESCHEMA, "The rows have other columns than the spool.");
  return RFL_OK;
}

static enum rfl_code room_for_chunk(struct spool *s, struct rfl_err *err) {
  if (s->n < s->cap) return RFL_OK;
  size_t cap = s->cap ? 2 * s->cap : 64;
  struct place *more = rfl_grow(s->chunk, cap, sizeof *more);
  if (!more) return rfl_no_memory(err);
  s->chunk = more;
  s->cap = cap;
  return RFL_OK;
}

static enum rfl_code put(struct rfl_spool *face, struct rfl_frame *f,
                         struct rfl_err *err) {
  struct spool *s = self(face);
  RFL_TRY(check_frame(s, f, err));
  RFL_TRY(room_for_chunk(s, err));
  for (size_t c = 0; c < s->schema->n; c++)
    if (s->dict[c]) RFL_TRY(map_codes(s, c, &f->column[c], err));
  rfl_chunk_write(f, s->codes, &s->buf);
  RFL_TRY(rfl_buf_check(&s->buf, err));
  RFL_TRY(append(s, err));
  s->chunk[s->n++] = (struct place){.at = s->end, .size = s->buf.n};
  s->end += s->buf.n;
  return RFL_OK;
}

static void release_lanes(struct spool *s) {
  for (size_t c = 0; s->lane && c < s->schema->n; c++) {
    rfl_dict_release(s->lane[c].from);
    rfl_free(s->lane[c].map);
  }
  rfl_free(s->lane);
  rfl_free(s->codes);
  s->lane = NULL;
  s->codes = NULL;
  rfl_buf_release(&s->buf);
}

static enum rfl_code seal(struct rfl_spool *face, size_t *n_chunks, struct rfl_err *err) {
  (void)err;
  struct spool *s = self(face);
  s->sealed = true;
  release_lanes(s);
  *n_chunks = s->n;
  return RFL_OK;
}

/* ---- getting ---- */

static void read_ahead(const struct spool *s, size_t k) {
#ifdef POSIX_FADV_WILLNEED
  size_t last = k + AHEAD < s->n ? k + AHEAD : s->n - 1;
  if (last <= k) return;
  uint64_t from = s->chunk[k + 1].at, to = s->chunk[last].at + s->chunk[last].size;
  posix_fadvise(s->fd, (off_t)from, (off_t)(to - from), POSIX_FADV_WILLNEED);
#else
  (void)s;
  (void)k;
#endif
}

static enum rfl_code load(const struct spool *s, const struct place *place, uint8_t *to,
                          struct rfl_err *err) {
  size_t done = 0;
  while (done < place->size) {
    ssize_t got =
        pread(s->fd, to + done, place->size - done, (off_t)(place->at + (uint64_t)done));
    if (got < 0 && errno == EINTR) continue;
    char reason[RFL_DISK_REASON] = "the file is cut short";
    if (got < 0) rfl_disk_reason(errno, reason);
    if (got <= 0)
      return rfl_fail(err, RFL_EIO,
                      "Rows cannot be read back from disk in `%s`: %s, at byte %llu.",
                      s->folder, reason, (unsigned long long)(place->at + done));
    done += (size_t)got;
  }
  return RFL_OK;
}

static enum rfl_code get(struct rfl_spool *face, size_t k, struct rfl_frame **gives,
                         struct rfl_err *err) {
  struct spool *s = self(face);
  if (!s->sealed || k >= s->n)
    return rfl_fail(err, RFL_EARGUMENT, "There is no chunk %zu to be read.", k);
  uint8_t *bytes = rfl_grow(NULL, s->chunk[k].size, 1);
  if (!bytes) return rfl_no_memory(err);
  enum rfl_code code = load(s, &s->chunk[k], bytes, err);
  if (code) {
    rfl_free(bytes);
    return code;
  }
  read_ahead(s, k);
  const struct rfl_chunk_shape shape = {
      .schema = s->schema,
      .bytes = s->bytes,
      .dict = s->dict,
      .levels = s->levels,
      .known = __atomic_load_n(&s->chunk[k].known, __ATOMIC_RELAXED)};
  code = rfl_chunk_read(&shape, bytes, s->chunk[k].size, gives, err);
  if (!code) __atomic_store_n(&s->chunk[k].known, true, __ATOMIC_RELAXED);
  if (code != RFL_EDATA) return code;
  return rfl_fail(err, RFL_EIO,
                  "Rows that were on disk in `%s` came back damaged, at byte %llu.",
                  s->folder, (unsigned long long)s->chunk[k].at);
}

/* ---- life ---- */

static void release(struct rfl_spool *face) {
  struct spool *s = self(face);
  if (!s) return;
  if (s->fd >= 0) rfl_disk_close(s->disk, s->fd);
  release_lanes(s);
  for (size_t c = 0; s->dict && c < s->schema->n; c++) rfl_dict_release(s->dict[c]);
  rfl_free(s->dict);
  rfl_free(s->levels);
  rfl_free(s->chunk);
  rfl_free(s->folder);
  rfl_schema_release(s->schema);
  rfl_schema_release(s->bytes);
  rfl_free(s);
}

static enum rfl_code fill(struct spool *s, const char *folder, struct rfl_err *err) {
  size_t n = s->schema->n;
  const struct rfl_field whole = {.name = "chunk", .type = RFL_RAW};
  s->folder = rfl_strdup(folder);
  s->dict = rfl_alloc(n, sizeof(struct rfl_dict *));
  s->levels = rfl_alloc(n, sizeof *s->levels);
  s->lane = rfl_alloc(n, sizeof *s->lane);
  s->codes = rfl_alloc(n, sizeof *s->codes);
  if (!s->folder || !s->dict || !s->levels || !s->lane || !s->codes)
    return rfl_no_memory(err);
  RFL_TRY(rfl_schema_flat(&whole, 1, &s->bytes, err));
  for (size_t c = 0; c < n; c++)
    if (s->schema->field[c].type == RFL_FACTOR) RFL_TRY(rfl_dict_new(&s->dict[c], err));
  s->fd = open_file(s->disk, folder);
  return s->fd < 0 ? no_file(s, err) : RFL_OK;
}

enum rfl_code rfl_spool_new_on(const struct rfl_disk *disk, const char *folder,
                               struct rfl_schema *schema, struct rfl_spool **gives,
                               struct rfl_err *err) {
  struct spool *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->face = (struct rfl_spool){.put = put, .seal = seal, .get = get, .release = release};
  s->disk = disk;
  s->fd = -1;
  s->schema = rfl_schema_keep(schema);
  enum rfl_code code = fill(s, folder, err);
  if (code) {
    release(&s->face);
    return code;
  }
  *gives = &s->face;
  return RFL_OK;
}

enum rfl_code rfl_spool_new(const char *folder, struct rfl_schema *schema,
                            struct rfl_spool **gives, struct rfl_err *err) {
  return rfl_spool_new_on(&rfl_disk_real, folder, schema, gives, err);
}

uint64_t rfl_spool_bytes(const struct rfl_spool *s) { return self(s)->end; }
