/* Random JSON: any, and records made for a schema. */
#ifndef RFL_TEST_DECODE_DRAW_JSON_H
#define RFL_TEST_DECODE_DRAW_JSON_H
#include "help.h"

/* A value of any shape. */
void say_anything(struct dice *, struct text *, int depth);
/* An object for the fields: in any order, some left out, some twice, strangers between
 * them, white space and escapes here and there; most values fit their fields. */
void say_record(struct dice *, struct text *, const struct rfl_field *, size_t n);

#endif
