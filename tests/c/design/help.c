#include "help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rfl_err err;

static void must(enum rfl_code code) {
  if (!code) return;
  printf("a test's frame: %s\n", err.message);
  abort();
}

struct rfl_builder *builder_of(const char *schema) {
  char text[500], *at = text;
  struct rfl_field field[16] = {0};
  size_t n = 0;
  snprintf(text, sizeof text, "%s", schema);
  for (char *one; (one = strsep(&at, ","));) {
    while (*one == ' ') one++;
    char *type = strchr(one, ' ');
    *type++ = 0;
    field[n++] =
        (struct rfl_field){.name = one, .type = (enum rfl_type)rfl_type_parse(type)};
  }
  struct rfl_schema *s = NULL;
  struct rfl_builder *b = NULL;
  must(rfl_schema_new(field, n, &s, &err));
  must(rfl_builder_new(s, &b, &err));
  rfl_schema_release(s);
  return b;
}

static void set(struct rfl_builder *b, size_t column, const char *cell) {
  if (strcmp(cell, "NA") == 0) return;
  switch (rfl_builder_schema(b)->field[column].type) {
    case RFL_LOGICAL:
    case RFL_INTEGER:
    case RFL_DATE:
      rfl_builder_int(b, column, atoi(cell));
      break;
    case RFL_INTEGER64:
    case RFL_TIMESTAMP:
      rfl_builder_long(b, column, atoll(cell));
      break;
    case RFL_DOUBLE:
      rfl_builder_double(b, column, strtod(cell, NULL));
      break;
    default:
      must(rfl_builder_text(b, column, cell, strlen(cell), &err));
  }
}

struct rfl_frame *frame_more(struct rfl_builder *b, const char *rows) {
  char *text = strdup(rows), *at = text;
  struct rfl_frame *f = NULL;
  for (char *row; (row = strsep(&at, ";"));) {
    size_t column = 0;
    must(rfl_builder_open(b, &err));
    for (char *cell; (cell = strsep(&row, " "));)
      if (*cell) set(b, column++, cell);
    rfl_builder_commit(b);
  }
  free(text);
  must(rfl_builder_finish(b, &f, &err));
  return f;
}

struct rfl_frame *frame_of(const char *schema, const char *rows) {
  struct rfl_builder *b = builder_of(schema);
  struct rfl_frame *f = frame_more(b, rows);
  rfl_builder_release(b);
  return f;
}
