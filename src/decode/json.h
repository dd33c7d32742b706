/* JSON: records to rows by a decoder compiled from the schema, rows to records, and a
 * syntax check. Strict RFC 8259, UTF-8 checked, depth at most 1,024, no recursion.
 *
 *     RFL_TRY(rfl_json_decoder_new(schema, &decoder, err));
 *     code = decoder->row(decoder, value, builder, &why, err);
 *
 * As records: the value must be one object. Any order of fields; unknown fields are
 * checked and skipped; missing fields and null are NA; of a repeated field the last wins.
 * Exact numbers: an integer column takes only integers in range (1e2 and 5.0 are
 * integers), an integer64 column exact int64, a double column any number, correctly
 * rounded. Strings with an embedded NUL are bad records. */
#ifndef RFL_DECODE_JSON_H
#define RFL_DECODE_JSON_H
#include "frame/flow.h"

enum { RFL_JSON_DEPTH = 1024 };
enum rfl_code rfl_json_decoder_new(struct rfl_schema *, struct rfl_decoder **gives,
                                   struct rfl_err *) RFL_CHECKED;

/* NULL when `text` is one JSON value and nothing else; else why not, and *at the byte. */
const char *rfl_json_check(struct rfl_bytes text, size_t *at);

/* One object a row: {"a":1,"b":"x"}; missing values are null when `nulls`, else left out.
 * Doubles in the shortest form that reads back equal (NaN, Inf: null); timestamps RFC
 * 3339 text with microseconds as needed; dates ISO text; dotted names nest. Meta columns
 * are left out. `columns`: which of the schema's to write (NULL: all that are not meta).
 */
enum rfl_code rfl_json_encoder_new(struct rfl_schema *, const size_t *columns, size_t n,
                                   bool nulls, struct rfl_encoder **gives,
                                   struct rfl_err *) RFL_CHECKED;

/* Schema inference: look at records, then ask. Widens integer -> integer64? -> double;
 * text that is always an instant becomes timestamp, always a date becomes date; few
 * distinct texts a factor; nested objects become dotted names; arrays are strings of JSON
 * text? no: left out and named. */
struct rfl_json_guess;
enum rfl_code rfl_json_guess_new(struct rfl_json_guess **gives,
                                 struct rfl_err *) RFL_CHECKED;
enum rfl_code rfl_json_guess_look(struct rfl_json_guess *, struct rfl_bytes value,
                                  struct rfl_err *)
    RFL_CHECKED; /* bad records are counted */
struct rfl_json_guess_field {
  const char *name; /* borrowed from the guess */
  enum rfl_type type;
  uint64_t seen, null; /* records it was in; of them null */
  bool mixed;          /* types that do not go together: given as string, and said */
};
size_t rfl_json_guess_fields(
    struct rfl_json_guess *,
    const struct rfl_json_guess_field **gives); /* in order of first sight */
uint64_t rfl_json_guess_bad(const struct rfl_json_guess *);
void rfl_json_guess_release(struct rfl_json_guess *);

#endif
