/* What the fast and the slow half of the JSON decoder share. json_decode.c walks a record
 * and takes the values that are as usual; whatever is not (escapes, null, exponents,
 * wrong types) it leaves to rfl_json_value(), which begins with that value anew.
 *
 * Invariant: text[0 .. end) is the record, *end is NUL, and RFL_JSON_PADDING bytes are
 * readable from end on. NUL is no part of JSON, so that every loop that looks at bytes
 * stops at `end` without comparing pointers. */
#ifndef RFL_DECODE_JSON_DECODE_H
#define RFL_DECODE_JSON_DECODE_H
#include "decode/json.h"
#include "decode/json_plan.h"

enum { RFL_JSON_PADDING = 64 };

struct rfl_json_decoder {
  struct rfl_decoder face; /* first: the decoder is found from it */
  struct rfl_schema *schema;
  struct rfl_json_plan plan;
  char *text; /* a copy of the record: padded, and unescaped in place */
  size_t room;
  uint64_t record; /* how many came */
  /* The record under way. */
  const char *end;
  struct rfl_builder *to;
  struct rfl_fault *why;
  struct rfl_err *err;
  enum rfl_code code;
};

/* The record is bad: says so and gives NULL. */
const char *rfl_json_fault(struct rfl_json_decoder *, int32_t column, const char *at,
                           const char *reason);

/* Takes the value at `p`, whatever it is, for the column of `k`; gives where it ends, or
 * NULL with `code` set. */
const char *rfl_json_value(struct rfl_json_decoder *, const struct rfl_json_key *k,
                           const char *p);

#endif
