/* Schema: the names and types of the columns of a frame. Immutable once made, shared by
 * reference count.
 *
 *     struct rfl_field f[] = {{.name = "user.id", .type = RFL_STRING}, {.name =
 * ".offset", .type = RFL_DOUBLE, .meta = RFL_META_OFFSET}}; RFL_TRY(rfl_schema_new(f, 2,
 * &schema, err));    // copies names rfl_schema_release(schema);
 *
 * A field with a meta kind is filled by the source (where the record came from), every
 * other by the decoder from the record's value. A name with dots is a path into nested
 * objects: "user.id" is the member `id` of the member `user`. */
#ifndef RFL_FRAME_SCHEMA_H
#define RFL_FRAME_SCHEMA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum rfl_type {                /* how a value is held */
                RFL_LOGICAL,   /* int32: 0, 1 */
                RFL_INTEGER,   /* int32 */
                RFL_INTEGER64, /* int64 */
                RFL_DOUBLE,    /* double; NaN counts as missing where statistics begin */
                RFL_STRING,    /* UTF-8, int32 offsets (n + 1) */
                RFL_FACTOR,    /* int32 codes (0-based) into a dictionary */
                RFL_TIMESTAMP, /* int64 microseconds since 1970 UTC */
                RFL_DATE,      /* int32 days since 1970 */
                RFL_RAW,       /* bytes, int32 offsets (n + 1) */
                RFL_N_TYPES
};
const char *rfl_type_name(
    enum rfl_type);                   /* "logical", "integer", ... as users write it */
int rfl_type_parse(const char *name); /* -1: no such type */

enum rfl_meta {
  RFL_META_NONE,
  RFL_META_TOPIC,     /* ".topic" factor */
  RFL_META_PARTITION, /* ".partition" integer */
  RFL_META_OFFSET,    /* ".offset" double */
  RFL_META_TIMESTAMP, /* ".timestamp" timestamp: the record's, not the clock's */
  RFL_META_KEY,       /* ".key" string or factor; a missing key is NA */
  RFL_META_ERROR,     /* ".error" string: why a record is bad (on_bad = keep) */
  RFL_META_RAW        /* ".raw" raw: its bytes */
};
int rfl_meta_parse(
    const char *name); /* ".offset" -> RFL_META_OFFSET; RFL_META_NONE for other names */

struct rfl_field {
  const char *name;
  enum rfl_type type;
  enum rfl_meta meta;
  int32_t per_second; /* of a number that stands for a timestamp: 1, 1000 or 1000000; 0
                         means 1000 */
};

struct rfl_schema {
  int32_t refs; /* atomic */
  size_t n;
  struct rfl_field *field;
};

/* RFL_ESCHEMA: a name twice, empty, or a path that runs through another field. */
enum rfl_code rfl_schema_new(const struct rfl_field *, size_t n,
                             struct rfl_schema **gives, struct rfl_err *) RFL_CHECKED;
/* The same for a frame that no record is decoded into: names with dots are only names. */
enum rfl_code rfl_schema_flat(const struct rfl_field *, size_t n,
                              struct rfl_schema **gives, struct rfl_err *) RFL_CHECKED;
struct rfl_schema *rfl_schema_keep(struct rfl_schema *); /* [any] */
void rfl_schema_release(struct rfl_schema *);            /* [any] */
ptrdiff_t rfl_schema_find(const struct rfl_schema *,
                          const char *name); /* -1: no such field */

#endif
