/* What was put comes back, value for value, whatever the disk does in between is told,
 * and nothing is left of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "fixture.h"
#include "harness.h"
#include "store/spool.h"

static struct rfl_err err;

enum { CHUNKS = 12, FIELDS = RFL_N_TYPES };

/* One column of each type. */
static struct rfl_schema *all_types(void) {
  struct rfl_field f[FIELDS];
  struct rfl_schema *schema = NULL;
  for (int t = 0; t < FIELDS; t++)
    f[t] = (struct rfl_field){.name = rfl_type_name((enum rfl_type)t),
                              .type = (enum rfl_type)t};
  CHECK_OK(rfl_schema_flat(f, FIELDS, &schema, &err), &err);
  return schema;
}

static enum rfl_code set(struct rfl_builder *b, size_t c, uint64_t x, uint64_t spread) {
  char text[40];
  int n = snprintf(text, sizeof text, "v%llu", (unsigned long long)(x % spread));
  switch ((enum rfl_type)c) {
    case RFL_LOGICAL:
      rfl_builder_int(b, c, (int32_t)(x & 1));
      break;
    case RFL_INTEGER:
    case RFL_DATE: /* narrow and wide ones, and negative ones */
      rfl_builder_int(b, c, (int32_t)(x % spread) - (int32_t)(spread > 300 ? 7 : 0));
      break;
    case RFL_DOUBLE:
      rfl_builder_double(b, c, x % 17 ? (double)x / 3 : NAN);
      break;
    case RFL_INTEGER64:
    case RFL_TIMESTAMP:
      rfl_builder_long(b, c, (int64_t)x);
      break;
    default:
      return rfl_builder_text(b, c, text, x % 5 ? (size_t)n : 0, &err);
  }
  return RFL_OK;
}

/* Frame k: 0 to 400 rows, of a dictionary of 3, 300 or 70,000 possible levels. */
static enum rfl_code make_frame(struct rfl_builder *b, int k, struct rfl_frame **gives) {
  const uint64_t spread[] = {3, 300, 70000};
  uint32_t n = k == 3 ? 0 : (uint32_t)(rfl_random(5, (uint64_t)k, 0) % 400) + 1;
  for (uint32_t i = 0; i < n; i++) {
    RFL_TRY(rfl_builder_open(b, &err));
    for (size_t c = 0; c < FIELDS; c++) {
      uint64_t x = rfl_random(9, (uint64_t)k * 1000 + i, c);
      bool gap = k % 2 && x % 13 == 0;
      if (!gap) RFL_TRY(set(b, c, x >> 8, spread[k % 3]));
    }
    rfl_builder_commit(b);
    RFL_TRY(rfl_builder_place(b, i % 3, (int64_t)k * 1000 + i, 1, &err));
  }
  return rfl_builder_finish(b, gives, &err);
}

static struct rfl_bytes text_of(const struct rfl_column *c, uint32_t i) {
  if (c->dict) return rfl_dict_level(c->dict, c->i32[i]);
  return (struct rfl_bytes){(const uint8_t *)c->bytes + c->offset[i],
                            (size_t)(c->offset[i + 1] - c->offset[i])};
}

static bool same_value(const struct rfl_column *a, const struct rfl_column *b,
                       uint32_t i) {
  if (rfl_column_has(a, i) != rfl_column_has(b, i) || a->type != b->type) return false;
  if (a->type == RFL_STRING || a->type == RFL_RAW || a->type == RFL_FACTOR) {
    if (!rfl_column_has(a, i)) return true;
    if (a->dict && b->i32[i] >= b->levels) return false;
    struct rfl_bytes x = text_of(a, i), y = text_of(b, i);
    return x.n == y.n && (x.n == 0 || memcmp(x.p, y.p, x.n) == 0);
  }
  bool wide =
      a->type == RFL_DOUBLE || a->type == RFL_INTEGER64 || a->type == RFL_TIMESTAMP;
  return wide ? a->i64[i] == b->i64[i] : a->i32[i] == b->i32[i];
}

static bool same_spans(const struct rfl_frame *a, const struct rfl_frame *b) {
  if (a->n_spans != b->n_spans || !rfl_cursor_equal(&a->places, &b->places)) return false;
  for (size_t i = 0; i < a->n_spans; i++) {
    const struct rfl_span *x = &a->span[i], *y = &b->span[i];
    if (x->place != y->place || x->row != y->row || x->n_rows != y->n_rows ||
        x->first != y->first || x->next != y->next)
      return false;
  }
  return true;
}

static bool same_frame(const struct rfl_frame *a, const struct rfl_frame *b) {
  if (a->n_rows != b->n_rows || a->schema->n != b->schema->n) return false;
  if (!same_spans(a, b)) return false;
  for (size_t c = 0; c < a->schema->n; c++)
    for (uint32_t i = 0; i < a->n_rows; i++)
      if (!same_value(&a->column[c], &b->column[c], i)) return false;
  return true;
}

struct made { /* frames of two sources, and a folder to spool them in */
  struct rfl_schema *schema;
  struct rfl_frame *frame[CHUNKS];
  char *folder;
};

static struct made make(void) {
  struct made m = {.schema = all_types(), .folder = fixture_folder()};
  struct rfl_builder *b[2] = {NULL, NULL};
  for (int i = 0; i < 2; i++) CHECK_OK(rfl_builder_new(m.schema, &b[i], &err), &err);
  for (uint32_t i = 0; i < 6; i++)
    CHECK_OK(rfl_builder_name_place(b[i / 3], i % 3, "clicks", (int32_t)i % 3, &err),
             &err);
  for (int k = 0; k < CHUNKS; k++)
    CHECK_OK(make_frame(b[k >= CHUNKS / 2], k, &m.frame[k]), &err);
  for (int i = 0; i < 2; i++) rfl_builder_release(b[i]);
  return m;
}

static void unmake(struct made *m) {
  CHECK_EQ(fixture_count(m->folder, ""), 2); /* "." and ".." */
  for (int k = 0; k < CHUNKS; k++) rfl_frame_release(m->frame[k]);
  rfl_schema_release(m->schema);
  fixture_remove(m->folder);
}

static enum rfl_code put_all(struct rfl_spool *s, const struct made *m) {
  for (int k = 0; k < CHUNKS; k++) RFL_TRY(s->put(s, m->frame[k], &err));
  return RFL_OK;
}

static enum rfl_code check_all(struct rfl_spool *s, const struct made *m) {
  for (size_t k = CHUNKS; k-- > 0;) {
    struct rfl_frame *f = NULL;
    RFL_TRY(s->get(s, k, &f, &err));
    CHECK(same_frame(m->frame[k], f));
    rfl_frame_release(f);
  }
  return RFL_OK;
}

static enum rfl_code round_trip(const struct rfl_disk *disk, const struct made *m) {
  struct rfl_spool *s = NULL;
  size_t n = 0;
  RFL_TRY(rfl_spool_new_on(disk, m->folder, m->schema, &s, &err));
  enum rfl_code code = put_all(s, m);
  if (!code) code = s->seal(s, &n, &err);
  if (!code) CHECK_EQ(n, CHUNKS);
  if (!code) code = check_all(s, m);
  s->release(s);
  return code;
}

TEST(rows_come_back_from_disk_value_for_value) {
  struct made m = make();
  int descriptors = fixture_descriptors();
  CHECK_OK(round_trip(&rfl_disk_real, &m), &err);
  CHECK_EQ(fixture_descriptors(), descriptors);
  unmake(&m);
}

TEST(a_frame_may_outlive_its_spool) {
  struct made m = make();
  struct rfl_spool *s = NULL;
  struct rfl_frame *f = NULL;
  size_t n;
  CHECK_OK(rfl_spool_new(m.folder, m.schema, &s, &err), &err);
  CHECK_OK(put_all(s, &m), &err);
  CHECK_OK(s->seal(s, &n, &err), &err);
  CHECK_OK(s->get(s, 1, &f, &err), &err);
  s->release(s);
  CHECK(same_frame(m.frame[1], f));
  rfl_frame_release(f);
  unmake(&m);
}

/* ---- threads ---- */

struct reader {
  struct rfl_spool *spool;
  const struct made *made;
  int wrong;
};

static void *read_many(void *arg) {
  struct reader *r = arg;
  for (size_t i = 0; i < 5 * CHUNKS; i++) {
    size_t k = (size_t)(rfl_random(1, (uint64_t)(uintptr_t)r, i) % CHUNKS);
    struct rfl_err mine;
    struct rfl_frame *f = NULL;
    if (r->spool->get(r->spool, k, &f, &mine) || !same_frame(r->made->frame[k], f))
      r->wrong++;
    rfl_frame_release(f);
  }
  return NULL;
}

TEST(any_thread_may_read_at_any_time) {
  struct made m = make();
  struct rfl_spool *s = NULL;
  size_t n;
  CHECK_OK(rfl_spool_new(m.folder, m.schema, &s, &err), &err);
  CHECK_OK(put_all(s, &m), &err);
  CHECK_OK(s->seal(s, &n, &err), &err);
  pthread_t thread[4];
  struct reader reader[4];
  for (int i = 0; i < 4; i++) {
    reader[i] = (struct reader){.spool = s, .made = &m};
    CHECK_EQ(pthread_create(&thread[i], NULL, read_many, &reader[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(thread[i], NULL);
    CHECK_EQ(reader[i].wrong, 0);
  }
  s->release(s);
  unmake(&m);
}

/* ---- what goes wrong ---- */

/* Spools everything while one call fails; a put that failed is done again. */
static bool spool_on(struct bad_disk bad, const struct made *m) {
  struct rfl_spool *s = NULL;
  size_t n;
  bool told = false;
  int descriptors = fixture_descriptors();
  bad_disk = bad;
  enum rfl_code code = rfl_spool_new_on(&bad_disk_calls, m->folder, m->schema, &s, &err);
  for (int k = 0; !code && k < CHUNKS; k++) {
    code = s->put(s, m->frame[k], &err);
    if (code != RFL_EIO || told) continue;
    CHECK(strstr(err.message, " bytes more are needed") != NULL);
    told = true;
    code = s->put(s, m->frame[k], &err);
  }
  bool met = bad_disk.calls > bad.at, harmless = bad.error == EINTR;
  CHECK(!code || code == RFL_EIO);
  if (code || told) CHECK(strstr(err.message, m->folder) || !code);
  if (code) CHECK(strstr(err.message, strerror(bad.error)) != NULL);
  CHECK(harmless ? !code && !told : (code || told) == met || bad.how == BAD_SHORT);
  bad_disk.how = BAD_NEVER;
  if (!code) CHECK_OK(s->seal(s, &n, &err), &err);
  if (!code) CHECK_OK(check_all(s, m), &err);
  if (s) s->release(s);
  CHECK_EQ(fixture_descriptors(), descriptors);
  CHECK_EQ(fixture_count(m->folder, ""), 2);
  return met;
}

static void spool_for_all(struct bad_disk bad) {
  struct made m = make();
  for (bad.at = 0; !harness_failed_; bad.at++)
    if (!spool_on(bad, &m)) break;
  CHECK(bad.at > CHUNKS);
  unmake(&m);
}

TEST(a_full_disk_is_told_with_its_folder_and_the_bytes_and_the_spool_goes_on) {
  spool_for_all((struct bad_disk){.how = BAD_ERROR, .error = ENOSPC});
  spool_for_all((struct bad_disk){.how = BAD_ERROR, .error = EIO});
}

TEST(short_and_interrupted_writes_go_on) {
  spool_for_all((struct bad_disk){.how = BAD_ERROR, .error = EINTR});
  spool_for_all((struct bad_disk){.how = BAD_SHORT, .error = EIO});
}

/* Half a chunk is written, then the disk is full. */
TEST(a_chunk_that_was_half_written_is_as_if_it_never_was) {
  struct made m = make();
  struct rfl_spool *s = NULL;
  size_t n;
  bad_disk = (struct bad_disk){.how = BAD_NEVER};
  CHECK_OK(rfl_spool_new_on(&bad_disk_calls, m.folder, m.schema, &s, &err), &err);
  CHECK_OK(s->put(s, m.frame[0], &err), &err);
  bad_disk = (struct bad_disk){.how = BAD_SHORT, .stays = true};
  CHECK_OK(s->put(s, m.frame[1], &err), &err);
  for (int k = 2; k < CHUNKS; k++) {
    uint64_t before = rfl_spool_bytes(s);
    bad_disk = (struct bad_disk){.how = BAD_ERROR, .error = ENOSPC, .at = 0};
    CHECK_EQ(s->put(s, m.frame[k], &err), RFL_EIO);
    CHECK_EQ(rfl_spool_bytes(s), before);
    bad_disk = (struct bad_disk){.how = BAD_NEVER};
    CHECK_OK(s->put(s, m.frame[k], &err), &err);
  }
  CHECK_OK(s->seal(s, &n, &err), &err);
  CHECK_OK(check_all(s, &m), &err);
  s->release(s);
  unmake(&m);
}

/* A file system without O_TMPFILE. */
TEST(where_a_file_must_have_a_name_it_loses_it_at_once) {
  struct made m = make();
  struct rfl_spool *s = NULL;
  bad_disk = (struct bad_disk){.how = BAD_ERROR, .error = EOPNOTSUPP, .at = 0};
  CHECK_OK(rfl_spool_new_on(&bad_disk_calls, m.folder, m.schema, &s, &err), &err);
  CHECK_STR(bad_disk.log, "ou");
  CHECK_EQ(fixture_count(m.folder, ""), 2);
  CHECK_OK(s->put(s, m.frame[0], &err), &err);
  s->release(s);
  unmake(&m);
}

TEST(a_folder_that_is_not_there_is_told) {
  struct rfl_schema *schema = all_types();
  struct rfl_spool *s = NULL;
  CHECK_EQ(rfl_spool_new("/nowhere/at/all", schema, &s, &err), RFL_EIO);
  CHECK_STR(err.message,
            "A file for rows cannot be made in `/nowhere/at/all`: No such file or "
            "directory.");
  rfl_schema_release(schema);
}

/* The file of a spool, found by what is open. */
static int file_of(const char *folder) {
  for (int fd = 3; fd < 200; fd++) {
    char link[64], path[500];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) continue;
    path[n] = '\0';
    if (strstr(path, folder)) return fd;
  }
  return -1;
}

TEST(the_file_is_for_its_owner_only) {
  struct made m = make();
  struct rfl_spool *s = NULL;
  CHECK_OK(rfl_spool_new(m.folder, m.schema, &s, &err), &err);
  struct stat st;
  CHECK_EQ(fstat(file_of(m.folder), &st), 0);
  CHECK_EQ(st.st_mode & 0777, 0600);
  CHECK_EQ(st.st_nlink, 0);
  s->release(s);
  unmake(&m);
}

TEST(a_byte_that_changed_on_the_disk_is_noticed) {
  struct made m = make();
  struct rfl_spool *s = NULL;
  size_t n;
  CHECK_OK(rfl_spool_new(m.folder, m.schema, &s, &err), &err);
  CHECK_OK(s->put(s, m.frame[0], &err), &err);
  CHECK_OK(s->seal(s, &n, &err), &err);
  int fd = file_of(m.folder);
  for (off_t at = 0; at < (off_t)rfl_spool_bytes(s); at += 7) {
    uint8_t byte = 0, other;
    CHECK_EQ(pread(fd, &byte, 1, at), 1);
    other = byte ^ 0x20;
    CHECK_EQ(pwrite(fd, &other, 1, at), 1);
    struct rfl_frame *f = NULL;
    CHECK_EQ(s->get(s, 0, &f, &err), RFL_EIO);
    CHECK(strstr(err.message, "came back damaged") && strstr(err.message, m.folder));
    CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
  }
  CHECK_EQ(ftruncate(fd, 100), 0);
  struct rfl_frame *f = NULL;
  CHECK_EQ(s->get(s, 0, &f, &err), RFL_EIO);
  CHECK(strstr(err.message, "the file is cut short, at byte 100") != NULL);
  s->release(s);
  unmake(&m);
}

TEST(rows_of_other_columns_and_rows_too_late_are_refused) {
  struct made m = make();
  struct rfl_spool *s = NULL;
  struct rfl_schema *other = NULL;
  const struct rfl_field field = {.name = "x", .type = RFL_DOUBLE};
  size_t n;
  CHECK_OK(rfl_schema_flat(&field, 1, &other, &err), &err);
  CHECK_OK(rfl_spool_new(m.folder, other, &s, &err), &err);
  CHECK_EQ(s->put(s, m.frame[0], &err), RFL_ESCHEMA);
  CHECK_OK(s->seal(s, &n, &err), &err);
  CHECK_EQ(n, 0);
  CHECK_EQ(s->put(s, m.frame[0], &err), RFL_EBUSY);
  struct rfl_frame *f = NULL;
  CHECK_EQ(s->get(s, 0, &f, &err), RFL_EARGUMENT);
  s->release(s);
  rfl_schema_release(other);
  unmake(&m);
}

TEST(killed_at_any_moment_it_leaves_nothing_behind) {
  struct made m = make();
  fflush(stdout);
  int ready[2];
  CHECK_EQ(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    struct rfl_spool *s = NULL;
    bool made = !rfl_spool_new(m.folder, m.schema, &s, &err) && !put_all(s, &m);
    if (write(ready[1], made ? "y" : "n", 1) == 1) pause();
    _exit(1);
  }
  char answer = 0;
  CHECK_EQ(read(ready[0], &answer, 1), 1);
  CHECK_EQ(answer, 'y');
  CHECK_EQ(kill(child, SIGKILL), 0);
  CHECK_EQ(waitpid(child, NULL, 0), child);
  close(ready[0]);
  close(ready[1]);
  unmake(&m);
}

static struct made *swept;
static enum rfl_code sweep(void) { return round_trip(&rfl_disk_real, swept); }

TEST(no_memory_at_any_point_leaves_nothing) {
  struct made m = make();
  int descriptors = fixture_descriptors();
  swept = &m;
  SWEEP(sweep());
  CHECK_EQ(fixture_descriptors(), descriptors);
  unmake(&m);
}

int main(void) {
  RUN(rows_come_back_from_disk_value_for_value);
  RUN(a_frame_may_outlive_its_spool);
  RUN(any_thread_may_read_at_any_time);
  RUN(a_full_disk_is_told_with_its_folder_and_the_bytes_and_the_spool_goes_on);
  RUN(short_and_interrupted_writes_go_on);
  RUN(a_chunk_that_was_half_written_is_as_if_it_never_was);
  RUN(where_a_file_must_have_a_name_it_loses_it_at_once);
  RUN(a_folder_that_is_not_there_is_told);
  RUN(the_file_is_for_its_owner_only);
  RUN(a_byte_that_changed_on_the_disk_is_noticed);
  RUN(rows_of_other_columns_and_rows_too_late_are_refused);
  RUN(killed_at_any_moment_it_leaves_nothing_behind);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
