#include "help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum rfl_code session_open(struct session *s, const struct rfl_field *field, size_t n) {
  *s = (struct session){0};
  enum rfl_code code = rfl_schema_new(field, n, &s->schema, &s->err);
  if (!code) code = rfl_builder_new(s->schema, &s->builder, &s->err);
  if (!code) code = rfl_json_decoder_new(s->schema, &s->decoder, &s->err);
  if (code) session_close(s);
  return code;
}

void session_close(struct session *s) {
  if (s->decoder) s->decoder->release(s->decoder);
  rfl_builder_release(s->builder);
  rfl_schema_release(s->schema);
  s->decoder = NULL;
  s->builder = NULL;
  s->schema = NULL;
}

enum rfl_code session_take(struct session *s, const char *text, size_t n) {
  uint8_t *exact = malloc(n ? n : 1);
  if (!exact) return RFL_ENOMEM;
  if (n) memcpy(exact, text, n);
  s->why = (struct rfl_fault){0};
  enum rfl_code code = rfl_builder_open(s->builder, &s->err);
  if (!code)
    code = s->decoder->row(s->decoder, (struct rfl_bytes){exact, n}, s->builder, &s->why,
                           &s->err);
  if (code)
    rfl_builder_rollback(s->builder);
  else
    rfl_builder_commit(s->builder);
  free(exact);
  return code;
}

enum rfl_code session_take_text(struct session *s, const char *text) {
  return session_take(s, text, strlen(text));
}

struct rfl_frame *session_frame(struct session *s) {
  struct rfl_frame *frame = NULL;
  return rfl_builder_finish(s->builder, &frame, &s->err) ? NULL : frame;
}

struct rfl_frame *session_row(struct session *s, const char *text) {
  return session_take_text(s, text) ? NULL : session_frame(s);
}

struct rfl_bytes cell_text(const struct rfl_column *c, size_t row) {
  if (c->type == RFL_FACTOR) return rfl_dict_level(c->dict, c->i32[row]);
  return (struct rfl_bytes){(const uint8_t *)c->bytes + c->offset[row],
                            (size_t)(c->offset[row + 1] - c->offset[row])};
}

bool same_cell(const struct rfl_column *x, size_t i, const struct rfl_column *y,
               size_t j) {
  if (x->type != y->type || rfl_column_has(x, i) != rfl_column_has(y, j)) return false;
  if (!rfl_column_has(x, i)) return true;
  switch (x->type) {
    case RFL_STRING:
    case RFL_FACTOR: {
      struct rfl_bytes a = cell_text(x, i), b = cell_text(y, j);
      return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
    }
    case RFL_DOUBLE:
      return memcmp(&x->f64[i], &y->f64[j], sizeof(double)) == 0;
    case RFL_INTEGER64:
    case RFL_TIMESTAMP:
      return x->i64[i] == y->i64[j];
    default:
      return x->i32[i] == y->i32[j];
  }
}

uint64_t roll(struct dice *d) { return rfl_random(d->seed, 0, d->next++); }

size_t below(struct dice *d, size_t n) { return (size_t)(roll(d) % n); }

void say(struct text *t, const char *what, size_t n) {
  if (n > sizeof t->p - 1 - t->n) n = sizeof t->p - 1 - t->n;
  memcpy(t->p + t->n, what, n);
  t->n += n;
  t->p[t->n] = '\0';
}

void say_text(struct text *t, const char *what) { say(t, what, strlen(what)); }

void say_char(struct text *t, unsigned c) {
  char b[4];
  size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n; i-- > 1; c >>= 6) b[i] = (char)(0x80 | (c & 0x3f));
  b[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
  say(t, b, n);
}

char *read_file(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  size_t room = 1 << 16;
  char *p = malloc(room);
  *n = 0;
  while (p) {
    size_t got = fread(p + *n, 1, room - *n, f);
    *n += got;
    if (got == 0) break;
    if (*n < room) continue;
    char *more = realloc(p, room *= 2);
    if (!more) free(p);
    p = more;
  }
  fclose(f);
  return p;
}

const char *data_path(const char *path) {
  static char full[4096];
  const char *data = getenv("RIFFLE_DATA");
  if (!data) return NULL;
  snprintf(full, sizeof full, "%s/%s", data, path);
  return full;
}
