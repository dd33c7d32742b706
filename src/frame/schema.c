#include "frame/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const type_names[RFL_N_TYPES] = {"logical",   "integer", "integer64",
                                                    "double",    "string",  "factor",
                                                    "timestamp", "date",    "raw"};

const char *rfl_type_name(enum rfl_type type) {
  return (unsigned)type < RFL_N_TYPES ? type_names[type] : "unknown";
}

int rfl_type_parse(const char *name) {
  for (int i = 0; i < RFL_N_TYPES; i++)
    if (strcmp(name, type_names[i]) == 0) return i;
  return -1;
}

int rfl_meta_parse(const char *name) {
  static const struct {
    const char *name;
    enum rfl_meta meta;
  } known[] = {{".topic", RFL_META_TOPIC},   {".partition", RFL_META_PARTITION},
               {".offset", RFL_META_OFFSET}, {".timestamp", RFL_META_TIMESTAMP},
               {".key", RFL_META_KEY},       {".error", RFL_META_ERROR},
               {".raw", RFL_META_RAW}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(name, known[i].name) == 0) return (int)known[i].meta;
  return RFL_META_NONE;
}

/* Orders names so that a path comes directly before the paths that run through it: a dot
 * sorts below every other character ("a", "a.b", "a-b"). */
static int compare_paths(const void *va, const void *vb) {
  const unsigned char *a =
      (const unsigned char *)(*(const struct rfl_field *const *)va)->name;
  const unsigned char *b =
      (const unsigned char *)(*(const struct rfl_field *const *)vb)->name;
  while (*a && *a == *b) a++, b++;
  int x = *a == '.' ? 1 : *a + (*a != 0);
  int y = *b == '.' ? 1 : *b + (*b != 0);
  return x - y;
}

static enum rfl_code check_neighbours(const struct rfl_field *const *f, size_t n,
                                      bool paths, struct rfl_err *err) {
  const struct rfl_field *path = NULL; /* the last one that is not metadata */
  for (size_t i = 0; i < n; i++) {
    if (i && strcmp(f[i - 1]->name, f[i]->name) == 0)
      return rfl_fail(err, RFL_ESCHEMA, "The schema names the field `%s` twice.",
                      f[i]->name);
    if (f[i]->meta || !paths) continue;
    size_t length = path ? strlen(path->name) : 0;
    if (path && strncmp(path->name, f[i]->name, length) == 0 && f[i]->name[length] == '.')
      return rfl_fail(err, RFL_ESCHEMA,
                      "The schema names both the field `%s` and `%s` inside it: a field "
                      "is either a value or an object.",
                      path->name, f[i]->name);
    path = f[i];
  }
  return RFL_OK;
}

static enum rfl_code check(const struct rfl_field *field, size_t n, bool paths,
                           struct rfl_err *err) {
  for (size_t i = 0; i < n; i++) {
    const struct rfl_field *f = &field[i];
    if (!f->name || !*f->name)
      return rfl_fail(err, RFL_ESCHEMA, "Field %zu of the schema has no name.", i + 1);
    if ((unsigned)f->type >= RFL_N_TYPES)
      return rfl_fail(err, RFL_ESCHEMA, "The field `%s` has no type that exists.",
                      f->name);
    int32_t unit = f->per_second;
    if (unit != 0 && unit != 1 && unit != 1000 && unit != 1000000)
      return rfl_fail(err, RFL_ESCHEMA,
                      "The field `%s` counts %d a second; expected 1, 1000 or 1000000.",
                      f->name, (int)unit);
  }
  const struct rfl_field **sorted = rfl_alloc(n, sizeof *sorted);
  if (!sorted) return rfl_no_memory(err);
  for (size_t i = 0; i < n; i++) sorted[i] = &field[i];
  if (n) qsort(sorted, n, sizeof *sorted, compare_paths);
  enum rfl_code code = check_neighbours(sorted, n, paths, err);
  rfl_free(sorted);
  return code;
}

static enum rfl_code copy_fields(const struct rfl_field *field, size_t n,
                                 struct rfl_schema **gives, struct rfl_err *err) {
  struct rfl_schema *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->refs = 1;
  s->field = rfl_alloc(n, sizeof *s->field);
  if (!s->field) goto oom;
  for (; s->n < n; s->n++) {
    struct rfl_field *to = &s->field[s->n];
    *to = field[s->n];
    to->name = rfl_strdup(field[s->n].name);
    if (!to->name) goto oom;
  }
  *gives = s;
  return RFL_OK;
oom:
  rfl_schema_release(s);
  return rfl_no_memory(err);
}

enum rfl_code rfl_schema_new(const struct rfl_field *field, size_t n,
                             struct rfl_schema **gives, struct rfl_err *err) {
  RFL_TRY(check(field, n, true, err));
  return copy_fields(field, n, gives, err);
}

enum rfl_code rfl_schema_flat(const struct rfl_field *field, size_t n,
                              struct rfl_schema **gives, struct rfl_err *err) {
  RFL_TRY(check(field, n, false, err));
  return copy_fields(field, n, gives, err);
}

struct rfl_schema *rfl_schema_keep(struct rfl_schema *s) {
  __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
  return s;
}

void rfl_schema_release(struct rfl_schema *s) {
  if (!s || __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
  for (size_t i = 0; i < s->n; i++) rfl_free((void *)s->field[i].name);
  rfl_free(s->field);
  rfl_free(s);
}

ptrdiff_t rfl_schema_find(const struct rfl_schema *s, const char *name) {
  for (size_t i = 0; i < s->n; i++)
    if (strcmp(s->field[i].name, name) == 0) return (ptrdiff_t)i;
  return -1;
}
