/* A second decoder, naive and recursive, written from RFC 8259 and json.h without a look
 * at the first: a tree, then a value by its path. */
#ifndef RFL_TEST_DECODE_REFERENCE_H
#define RFL_TEST_DECODE_REFERENCE_H
#include "frame/frame.h"

struct node; /* a value; freed with everything in it */
/* NULL when the text is not one JSON value. */
struct node *reference_parse(const char *text, size_t n);
void reference_free(struct node *);
bool reference_is_object(const struct node *);

/* Whether every value that the record has for the schema's fields fits, also those that
 * a later one of the same name replaces. */
bool reference_fits(const struct node *record, const struct rfl_schema *);
/* Whether row `row` of a column holds what the record has for the field. */
bool reference_holds(const struct node *record, const struct rfl_field *,
                     const struct rfl_column *, size_t row);

#endif
