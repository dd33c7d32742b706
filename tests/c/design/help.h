/* Helpers of the design tests: frames from a few words. */
#ifndef RFL_TEST_DESIGN_HELP_H
#define RFL_TEST_DESIGN_HELP_H
#include "design/recipe.h"
#include "frame/builder.h"

/* A frame of rows written as texts, cells parted by spaces, rows by ";": "1 a; NA b". The
 * schema is written "x double, f factor". A given builder goes on with its dictionaries;
 * aborts when anything fails. */
struct rfl_frame *frame_of(const char *schema, const char *rows);
struct rfl_builder *builder_of(const char *schema);
struct rfl_frame *frame_more(struct rfl_builder *, const char *rows);

#endif
