/* Fuzz target of the JSON decoder (clang -fsanitize=fuzzer,address,undefined). What must
 * hold for any bytes:
 *
 * - a record that decodes is JSON by rfl_json_check(), and a refused one says where;
 * - what was decoded, encoded and decoded again is the same row, cell by cell;
 * - the guess takes any bytes, and the schema that it gives decodes them.
 *
 * The corpus is in tests/fuzz/corpus/json. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rfl_field fields[] = {
    {.name = "l", .type = RFL_LOGICAL},
    {.name = "i", .type = RFL_INTEGER},
    {.name = "big", .type = RFL_INTEGER64},
    {.name = "d", .type = RFL_DOUBLE},
    {.name = "u.s", .type = RFL_STRING},
    {.name = "f", .type = RFL_FACTOR},
    {.name = "u.v.t", .type = RFL_TIMESTAMP},
    {.name = "u.day", .type = RFL_DATE},
    {.name = "a name of more than sixteen bytes", .type = RFL_FACTOR}};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static void must(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "fuzz-json: %s\n", what);
  abort();
}

struct target {
  struct rfl_schema *schema;
  struct rfl_builder *builder;
  struct rfl_decoder *decoder;
};

static void open_target(struct target *t, const struct rfl_field *field, size_t n) {
  struct rfl_err err;
  must(!rfl_schema_new(field, n, &t->schema, &err), "a schema");
  must(!rfl_builder_new(t->schema, &t->builder, &err), "a builder");
  must(!rfl_json_decoder_new(t->schema, &t->decoder, &err), "a decoder");
}

static void close_target(struct target *t) {
  t->decoder->release(t->decoder);
  rfl_builder_release(t->builder);
  rfl_schema_release(t->schema);
}

/* A frame of one row, NULL: refused. */
static struct rfl_frame *decode(struct target *t, struct rfl_bytes value) {
  struct rfl_fault why = {.reason = NULL};
  struct rfl_err err;
  struct rfl_frame *frame = NULL;
  must(!rfl_builder_open(t->builder, &err), "a row");
  if (t->decoder->row(t->decoder, value, t->builder, &why, &err)) {
    rfl_builder_rollback(t->builder);
    must(why.reason && why.at <= value.n && why.column < (int32_t)t->schema->n,
         "a refused record comes with a reason and a place");
    return NULL;
  }
  rfl_builder_commit(t->builder);
  must(!rfl_builder_finish(t->builder, &frame, &err), "a frame");
  return frame;
}

static struct rfl_bytes text_of(const struct rfl_column *c) {
  if (c->type == RFL_FACTOR) return rfl_dict_level(c->dict, c->i32[0]);
  return (struct rfl_bytes){(const uint8_t *)c->bytes, (size_t)c->offset[1]};
}

static int same(const struct rfl_column *x, const struct rfl_column *y) {
  if (rfl_column_has(x, 0) != rfl_column_has(y, 0)) return 0;
  if (!rfl_column_has(x, 0)) return 1;
  if (x->type == RFL_STRING || x->type == RFL_FACTOR) {
    struct rfl_bytes a = text_of(x), b = text_of(y);
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
  }
  int wide =
      x->type == RFL_DOUBLE || x->type == RFL_INTEGER64 || x->type == RFL_TIMESTAMP;
  return memcmp(x->data, y->data, wide ? 8 : 4) == 0;
}

/* Years of five digits are written, but RFC 3339 has no way to read them. */
static int can_be_read_back(const struct rfl_frame *f) {
  const struct rfl_column *t = &f->column[6];
  const int64_t first = INT64_C(-62167219200000000), end = INT64_C(253402300800000000);
  return !rfl_column_has(t, 0) || (t->i64[0] >= first && t->i64[0] < end);
}

static void there_and_back(struct target *t, struct rfl_frame *x) {
  struct rfl_encoder *encoder;
  struct rfl_buf out = {0};
  struct rfl_err err;
  must(!rfl_json_encoder_new(t->schema, NULL, 0, false, &encoder, &err), "an encoder");
  must(!encoder->row(encoder, x, 0, &out, &err), "a row is encoded");
  struct rfl_bytes text = {out.p, out.n};
  must(!rfl_json_check(text, NULL), "what is encoded is JSON");
  struct rfl_frame *y = decode(t, text);
  must(y != NULL, "what is encoded decodes");
  for (size_t c = 0; y && c < t->schema->n; c++)
    must(same(&x->column[c], &y->column[c]), "what is encoded decodes to the same");
  rfl_frame_release(y);
  rfl_buf_release(&out);
  encoder->release(encoder);
}

static void guess(struct rfl_bytes value, int is_json) {
  struct rfl_json_guess *g;
  const struct rfl_json_guess_field *found;
  struct rfl_field column[64];
  struct rfl_err err;
  must(!rfl_json_guess_new(&g, &err), "a guess");
  must(!rfl_json_guess_look(g, value, &err), "a look");
  must(is_json || rfl_json_guess_bad(g) == 1, "a bad record is counted");
  size_t all = rfl_json_guess_fields(g, &found), n = 0;
  for (size_t i = 0; i < all && n < 64; i++)
    if (!found[i].left_out)
      column[n++] = (struct rfl_field){.name = found[i].name, .type = found[i].type};
  if (rfl_json_guess_bad(g) == 0) {
    struct target t;
    open_target(&t, column, n);
    struct rfl_frame *f = decode(&t, value);
    must(f != NULL, "a guessed schema decodes its record");
    rfl_frame_release(f);
    close_target(&t);
  }
  rfl_json_guess_release(g);
}

/* The same target for a thousand inputs: opening it costs more than they do, and the
 * dictionaries must not grow for ever. */
static struct target *shared_target(void) {
  static struct target t;
  static unsigned uses;
  if (uses++ % 1000 == 0) {
    if (t.schema) close_target(&t);
    open_target(&t, fields, N_FIELDS);
  }
  return &t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct rfl_bytes value = {data, size};
  struct target *t = shared_target();
  size_t at = 0;
  const char *why = rfl_json_check(value, &at);
  must(!why || at <= size, "a reason comes with a place");
  struct rfl_frame *x = decode(t, value);
  must(!x || !why, "what decodes is JSON");
  if (x && can_be_read_back(x)) there_and_back(t, x);
  rfl_frame_release(x);
  if (data) guess(value, !why);
  return 0;
}
