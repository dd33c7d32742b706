/* The plan of a decoder: the schema's dotted names as a tree of the members that are
 * expected, each with the bytes by which it is recognised.
 *
 *     key = plan.root->first;                        // predicted: the order of the
 * schema if (!rfl_json_key_matches(key, p)) ...         // else rfl_json_plan_find() key
 * = key->next;                               // after it, on a ring
 *
 * `next` is a guess only, and the decoder bends it to the order in which records come.
 * Invariant: every key is in exactly one object's ring, and found by its name there. */
#ifndef RFL_DECODE_JSON_PLAN_H
#define RFL_DECODE_JSON_PLAN_H
#include "decode/json_swar.h"
#include "frame/schema.h"

enum { /* a key's kind: a type, or one of these */
       RFL_JSON_OBJECT = RFL_N_TYPES,
       RFL_JSON_STRANGER /* stands for every member that is not expected */
};

struct rfl_json_object;
struct rfl_json_key {
  uint64_t word0, mask0; /* "name":  when that is at most 16 bytes */
  uint64_t word1, mask1;
  uint32_t size;        /* of all of it */
  uint8_t kind;         /* enum rfl_type, or see above */
  bool longer, escaped; /* than 16 bytes; JSON writes it with escapes: not by words */
  int8_t to_us;         /* timestamp: 10^to_us microseconds are one unit */
  int32_t column;       /* object: the first column inside */
  struct rfl_json_key *next;
  struct rfl_json_object *of, *inside; /* the object it is a member of; object: its own */
  const char *name; /* borrowed from the schema, with the path before */
  uint32_t n;
};
struct rfl_json_object {
  struct rfl_json_key *first, *last; /* as the schema has them */
  struct rfl_json_key *as;           /* the member that it is; NULL: the record */
  uint64_t record;                   /* the last record that had it */
  uint32_t depth;                    /* the record's is 1 */
};
struct rfl_json_plan {
  struct rfl_json_key *key;
  struct rfl_json_object *object; /* object[0] is the record */
  size_t n_keys, n_objects;
  struct rfl_json_key **slot; /* open addressing, by object and name; half empty */
  uint64_t mask;
  struct rfl_json_key stranger; /* on no ring; its kind is all that it has */
};

static inline bool rfl_json_key_matches(const struct rfl_json_key *k, const char *p) {
  uint64_t a = (rfl_json_load8(p) & k->mask0) ^ k->word0;
  uint64_t b = (rfl_json_load8(p + 8) & k->mask1) ^ k->word1;
  return (a | b) == 0;
}

/* Of columns[0..n), NULL: of all; meta columns are left out. RFL_ESCHEMA: a column that
 * JSON cannot hold (raw), a path that is too deep. Borrows names from the schema. */
enum rfl_code rfl_json_plan_make(const struct rfl_schema *, const size_t *columns,
                                 size_t n, struct rfl_json_plan *gives,
                                 struct rfl_err *) RFL_CHECKED;
void rfl_json_plan_release(struct rfl_json_plan *);
/* The member `name` of an object, NULL: not expected. A name with dots that is no member
 * itself is tried as a path to a value. */
struct rfl_json_key *rfl_json_plan_find(const struct rfl_json_plan *,
                                        struct rfl_json_object *, const char *name,
                                        size_t n);

#endif
