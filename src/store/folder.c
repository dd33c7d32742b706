/* What a folder of checkpoints promises, and how.
 *
 * Durable  save() writes a temporary file, syncs it, renames it, syncs the folder. Killed
 *          or failed anywhere in between, the folder holds the old checkpoints, or those
 *          and the new one, whole.
 * Newest   load(NULL) takes the newest by name that is whole, and whose bases are (a part
 *          may hold only what changed since its base). Damaged ones are passed over, and
 *          said. When there are some and none is whole that is an error: to begin anew in
 *          silence would emit everything again.
 * Kept     keep(oldest) drops what is older, but for bases in use and the newest whole
 *          one: what was last saved or loaded here, else whatever a search finds.
 *
 * A base is older by name than what builds on it (the reader insists), so one walk from
 * the newest name down meets every checkpoint before the bases of it. */
#include "store/folder.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/folder_files.h"
#include "store/held.h"

struct store {
  struct rfl_store end; /* first: what the world sees */
  struct rfl_folder folder;
  char *path;
  struct rfl_held lock;
  char whole[RFL_CHECKPOINT_NAME]; /* the newest known to be whole, or "" */
  char note[2048];
};

static const struct store *inside(const struct rfl_store *end) {
  return (const struct store *)end;
}

static struct store *inside_mutable(struct rfl_store *end) { return (struct store *)end; }

static void note(struct store *s, const struct rfl_err *why) {
  size_t n = strlen(s->note);
  snprintf(s->note + n, sizeof s->note - n, "%s%s", n ? " " : "", why->message);
}

static enum rfl_code check_name(const char *name, struct rfl_err *err) {
  if (rfl_checkpoint_named(name)) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT,
                  "`%s` cannot name a checkpoint: 1 to %d of A-Z a-z 0-9 . _ - and no "
                  "dot in front.",
                  name, RFL_CHECKPOINT_NAME - 1);
}

/* ---- save ---- */

static enum rfl_code save(struct rfl_store *end, const char *name,
                          const struct rfl_cursor *cursor, const struct rfl_part *part,
                          size_t n, int64_t until_ns, struct rfl_err *err) {
  struct store *s = inside_mutable(end);
  (void)until_ns; /* a disk has no time-out: what is begun is ended */
  RFL_TRY(check_name(name, err));
  for (size_t i = 0; i < n; i++) {
    if (!part[i].base) continue;
    RFL_TRY(check_name(part[i].base, err));
    if (strcmp(part[i].base, name) >= 0)
      return rfl_fail(err, RFL_EARGUMENT,
                      "The checkpoint `%s` cannot build on `%s`, which is not older.",
                      name, part[i].base);
  }
  RFL_TRY(rfl_folder_write(&s->folder, name, cursor, part, n, err));
  if (strcmp(name, s->whole) > 0) snprintf(s->whole, sizeof s->whole, "%s", name);
  return RFL_OK;
}

/* ---- load ---- */

static enum rfl_code load_one(struct store *s, const char *name, struct rfl_cursor *gives,
                              struct rfl_part **gives_parts, size_t *n,
                              struct rfl_err *err) {
  struct rfl_checkpoint c = {0};
  RFL_TRY(rfl_folder_read(&s->folder, name, &c, gives_parts, err));
  *gives = c.cursor;
  *n = c.n;
  c.cursor = (struct rfl_cursor){0};
  rfl_checkpoint_release(&c);
  return RFL_OK;
}

static size_t find(char *const *name, size_t n, const char *wanted) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(name[i], wanted) == 0) return i;
  return n;
}

/* Marks the bases of `c` among name[0..n); RFL_EDATA when one is not there. */
static enum rfl_code mark_bases(const struct rfl_checkpoint *c, char *const *name,
                                size_t n, bool *marked, struct rfl_err *err) {
  for (size_t i = 0; i < c->n; i++) {
    if (!c->part[i].base) continue;
    size_t at = find(name, n, c->part[i].base);
    if (at == n)
      return rfl_fail(err, RFL_EDATA,
                      "The checkpoint `%s` builds on `%s`, which is not there.", c->name,
                      c->part[i].base);
    marked[at] = true;
  }
  return RFL_OK;
}

/* RFL_OK when name[at] is whole, and everything that it builds on. */
static enum rfl_code check_whole(struct store *s, char *const *name, size_t at,
                                 struct rfl_err *err) {
  bool *needed = rfl_alloc(at + 1, sizeof *needed);
  if (!needed) return rfl_no_memory(err);
  needed[at] = true;
  enum rfl_code code = RFL_OK;
  for (size_t i = at + 1; i-- > 0 && !code;) {
    if (!needed[i]) continue;
    struct rfl_checkpoint c = {0};
    struct rfl_part *part = NULL;
    code = rfl_folder_read(&s->folder, name[i], &c, &part, err);
    if (!code) code = mark_bases(&c, name, i, needed, err);
    rfl_parts_release(part, c.n);
    rfl_checkpoint_release(&c);
  }
  rfl_free(needed);
  return code;
}

/* The newest whole one of name[0..n), from the back; n when there is none. */
static enum rfl_code newest_whole(struct store *s, char *const *name, size_t n,
                                  size_t *gives, struct rfl_err *err) {
  for (size_t i = n; i-- > 0;) {
    struct rfl_err why;
    enum rfl_code code = check_whole(s, name, i, &why);
    if (code == RFL_EDATA) {
      note(s, &why);
      continue;
    }
    if (code) return rfl_fail(err, code, "%s", why.message);
    *gives = i;
    return RFL_OK;
  }
  *gives = n;
  return RFL_OK;
}

static enum rfl_code load_newest(struct store *s, struct rfl_cursor *gives,
                                 struct rfl_part **gives_parts, size_t *gives_n,
                                 struct rfl_err *err) {
  char **name;
  size_t n, at;
  RFL_TRY(rfl_folder_names(&s->folder, &name, &n, err));
  enum rfl_code code = newest_whole(s, name, n, &at, err);
  if (!code && n == 0) {
    *gives = (struct rfl_cursor){0};
    *gives_parts = NULL;
    *gives_n = 0;
  } else if (!code && at == n) {
    code = rfl_fail(err, RFL_EDATA,
                    "No checkpoint in `%s` is whole; remove them to begin anew. %s",
                    s->path, s->note);
  } else if (!code) {
    code = load_one(s, name[at], gives, gives_parts, gives_n, err);
    if (!code) snprintf(s->whole, sizeof s->whole, "%s", name[at]);
  }
  rfl_folder_names_free(name, n);
  return code;
}

static enum rfl_code load(struct rfl_store *end, const char *name,
                          struct rfl_cursor *gives, struct rfl_part **gives_parts,
                          size_t *n, struct rfl_err *err) {
  struct store *s = inside_mutable(end);
  s->note[0] = '\0';
  if (!name) return load_newest(s, gives, gives_parts, n, err);
  RFL_TRY(check_name(name, err));
  return load_one(s, name, gives, gives_parts, n, err);
}

/* ---- keep ---- */

/* Marks what stays: name[i] >= oldest, the newest whole one, and their bases. */
static enum rfl_code mark_kept(struct store *s, char *const *name, size_t n,
                               const char *oldest, bool *kept, struct rfl_err *err) {
  for (size_t i = 0; i < n; i++) kept[i] = strcmp(name[i], oldest) >= 0;
  size_t whole = find(name, n, s->whole);
  if (whole == n) RFL_TRY(newest_whole(s, name, n, &whole, err));
  if (whole < n) kept[whole] = true;
  for (size_t i = n; i-- > 0;) {
    if (!kept[i]) continue;
    struct rfl_checkpoint c = {0};
    struct rfl_err why;
    enum rfl_code code = rfl_folder_read(&s->folder, name[i], &c, NULL, &why);
    /* A damaged one has no bases that anybody could use, and one whose base is gone is
     * no worse for it. */
    if (!code) code = mark_bases(&c, name, i, kept, &why);
    rfl_checkpoint_release(&c);
    if (code && code != RFL_EDATA) return rfl_fail(err, code, "%s", why.message);
  }
  return RFL_OK;
}

static enum rfl_code keep(struct rfl_store *end, const char *oldest,
                          struct rfl_err *err) {
  struct store *s = inside_mutable(end);
  char **name;
  size_t n;
  RFL_TRY(rfl_folder_names(&s->folder, &name, &n, err));
  bool *kept = rfl_alloc(n, sizeof *kept);
  enum rfl_code code =
      kept ? mark_kept(s, name, n, oldest, kept, err) : rfl_no_memory(err);
  /* From the newest down: cut off half-way, nothing is left whose base is gone. */
  for (size_t i = n; i-- > 0 && !code;)
    if (!kept[i]) code = rfl_folder_remove(&s->folder, name[i], err);
  rfl_free(kept);
  rfl_folder_names_free(name, n);
  return code;
}

/* ---- the store ---- */

static void release(struct rfl_store *end) {
  if (!end) return;
  struct store *s = inside_mutable(end);
  /* Closing is what unlocks. A forked child has no copy any more. */
  int lock = rfl_held_drop(&s->lock);
  if (lock >= 0) rfl_disk_close(s->folder.disk, lock);
  rfl_free(s->path);
  rfl_free(s);
}

enum rfl_code rfl_folder_store_new_on(const struct rfl_disk *disk, const char *path,
                                      struct rfl_store **gives, struct rfl_err *err) {
  if (!*path)
    return rfl_fail(err, RFL_EARGUMENT, "A checkpoint folder must have a name.");
  struct store *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->lock.fd = -1;
  int lock = -1;
  s->path = rfl_strdup(path);
  s->folder = (struct rfl_folder){.disk = disk, .path = s->path};
  s->end =
      (struct rfl_store){.save = save, .load = load, .keep = keep, .release = release};
  enum rfl_code code = s->path ? RFL_OK : rfl_no_memory(err);
  if (!code) code = rfl_folder_make(&s->folder, err);
  if (!code) code = rfl_folder_lock(&s->folder, &lock, err);
  if (!code) rfl_held_add(&s->lock, lock);
  if (!code) code = rfl_folder_sweep(&s->folder, err);
  if (code) {
    release(&s->end);
    return code;
  }
  *gives = &s->end;
  return RFL_OK;
}

enum rfl_code rfl_folder_store_new(const char *path, struct rfl_store **gives,
                                   struct rfl_err *err) {
  return rfl_folder_store_new_on(&rfl_disk_real, path, gives, err);
}

const char *rfl_folder_store_note(const struct rfl_store *end) {
  return inside(end)->note;
}

enum rfl_code rfl_folder_store_list(const struct rfl_store *end, char ***gives, size_t *n,
                                    struct rfl_err *err) {
  return rfl_folder_names(&inside(end)->folder, gives, n, err);
}
