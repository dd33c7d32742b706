/* JSON: records to rows by a decoder compiled from the schema, rows to records, a syntax
 * check, and a schema guessed from records. Strict RFC 8259, UTF-8 checked, depth at most
 * 1,024, no recursion.
 *
 *     RFL_TRY(rfl_json_decoder_new(schema, &decoder, err));
 *     code = decoder->row(decoder, value, builder, &why, err);
 *
 * As records: the value must be one object. Any order of fields; unknown fields are
 * checked and skipped; missing fields and null are NA; of a repeated field the last wins,
 * also when it is an object. A member whose own name has dots ("a.b": 1) is taken for the
 * path. A value that does not fit makes the record bad, with column, byte and reason:
 *
 *     logical     true, false
 *     integer     integers, 5.0 and 1e2 among them, of magnitude below 2^31
 *     integer64   integers of magnitude below 2^63 (R's NA is the one that is left)
 *     double      any number, correctly rounded; not one that overflows, and not a plain
 *                 integer that is not exactly a double
 *     string,     text; of numbers and logicals their canonical text: 5.0 is "5", 1e2
 *     factor      "100", 1.50 "1.5"; integers and what has more than 15 digits keep
 *                 every digit. A NUL inside makes the record bad, not so in names
 *     timestamp   RFC 3339 text, or a number of the field's units since 1970; what is
 *                 below a microsecond is cut
 *     date        "2019-11-24"
 */
#ifndef RFL_DECODE_JSON_H
#define RFL_DECODE_JSON_H
#include "frame/flow.h"

enum { RFL_JSON_DEPTH = 1024 };
/* RFL_ESCHEMA when a field is raw. A decoder is used by one thread at a time, with
 * builders of the same schema. */
enum rfl_code rfl_json_decoder_new(struct rfl_schema *, struct rfl_decoder **gives,
                                   struct rfl_err *) RFL_CHECKED;

/* NULL when `text` is one JSON value and nothing else; else why not, and *at the byte. */
const char *rfl_json_check(struct rfl_bytes text, size_t *at);

/* One object a row: {"a":1,"b":"x"}; missing values are null when `nulls`, else left out.
 * Doubles in the shortest form that reads back equal (NaN, Inf: null); timestamps RFC
 * 3339 text with milli- or microseconds as needed; dates ISO text; dotted names nest, one
 * object for a prefix however the columns are mixed. Meta columns are left out, raw ones
 * refused. `columns`: which of the schema's to write (NULL: all that are not meta). Text
 * in the frame is valid UTF-8. */
enum rfl_code rfl_json_encoder_new(struct rfl_schema *, const size_t *columns, size_t n,
                                   bool nulls, struct rfl_encoder **gives,
                                   struct rfl_err *) RFL_CHECKED;

/* Schema inference: look at records, then ask. Numbers: integer, double when one has a
 * point or exponent or an integer passes integer's range, string when an integer passes
 * 2^53. Texts: timestamp when all are instants, date when all are dates, factor when at
 * most 1,000 are distinct and fewer than half of those seen, else string. Nested objects
 * become dotted names. What was only ever null is a string. A schema of the fields that
 * are not left out decodes every record that was looked at and is not bad. */
struct rfl_json_guess;
enum rfl_code rfl_json_guess_new(struct rfl_json_guess **gives,
                                 struct rfl_err *) RFL_CHECKED;
/* Bad records (no JSON, no object) are counted; a null one is passed over. */
enum rfl_code rfl_json_guess_look(struct rfl_json_guess *, struct rfl_bytes value,
                                  struct rfl_err *) RFL_CHECKED;
struct rfl_json_guess_field {
  const char *name; /* borrowed from the guess */
  enum rfl_type type;
  uint64_t seen, null;  /* records it was in; of them null */
  bool mixed;           /* types that do not go together: given as string, and said */
  bool integer64;       /* a string for integers past 2^53: integer64 would hold them */
  const char *left_out; /* NULL, or why it cannot be a column: "it is an array" */
};
/* In order of first sight; valid until the next look. */
size_t rfl_json_guess_fields(struct rfl_json_guess *,
                             const struct rfl_json_guess_field **gives);
uint64_t rfl_json_guess_bad(const struct rfl_json_guess *);
void rfl_json_guess_release(struct rfl_json_guess *);

#endif
