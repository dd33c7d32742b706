/* Rows to records. The names, their nesting and their escapes are compiled once into a
 * list of operations; a row runs through it. An object whose values are all missing is
 * taken back when it closes empty. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "decode/json.h"
#include "decode/json_plan.h"

struct op {
  enum { OPEN, VALUE, CLOSE } what;
  size_t key, key_size; /* OPEN, VALUE: "name": in `keys`, escaped */
  size_t column;        /* VALUE */
  size_t from;          /* OPEN: where it began in the row under way; CLOSE: its OPEN */
};
struct encoder {
  struct rfl_encoder face; /* first: the encoder is found from it */
  struct rfl_schema *schema;
  struct op *op;
  size_t n_ops;
  struct rfl_buf keys;
  bool nulls;
};

/* ---- values ---- */

static void put_escape(struct rfl_buf *out, uint8_t c) {
  static const char hex[] = "0123456789abcdef", letters[] = "btn?fr";
  char text[] = {'\\', (char)c, '0', '0', hex[c >> 4], hex[c & 15]};
  size_t n = 2;
  if (c >= '\b' && c <= '\r' && c != '\v') {
    text[1] = letters[c - '\b'];
  } else if (c < 0x20) {
    text[1] = 'u';
    n = sizeof text;
  }
  rfl_buf_put(out, text, n);
}

/* To the first byte that needs an escape. */
static const char *plain_run(const char *p, const char *end) {
  for (; end - p >= RFL_JSON_STRIDE; p += RFL_JSON_STRIDE) {
    uint32_t stop = rfl_json_escapes(p);
    if (stop) return p + rfl_json_lowest(stop);
  }
  while (p < end && (uint8_t)*p >= 0x20 && *p != '"' && *p != '\\') p++;
  return p;
}

static void put_string(struct rfl_buf *out, const char *p, size_t n) {
  const char *end = p + n;
  rfl_buf_u8(out, '"');
  for (;;) {
    const char *stop = plain_run(p, end);
    rfl_buf_put(out, p, (size_t)(stop - p));
    if (stop == end) break;
    put_escape(out, (uint8_t)*stop);
    p = stop + 1;
  }
  rfl_buf_u8(out, '"');
}

/* Most doubles in data have few decimals. When x is the double nearest to m / 10^k for
 * the least k, and m has at most 15 digits, then no other decimal of 15 digits reads as
 * x, and m / 10^k is the shortest text of it. Gives 0 when x is not so simple. */
static size_t print_simply(char *to, double x) {
  static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
  double size = fabs(x);
  if (!(size >= 1e-3 && size < 1e9)) return 0;
  for (int k = 1; k <= 8; k++) {
    int64_t m = (int64_t)(size * tens[k] + 0.5);
    if (m >= INT64_C(1000000000000000)) return 0;
    if ((double)m / tens[k] != size) continue;
    char digits[RFL_DOUBLE_TEXT], *p = to;
    int n = (int)rfl_print_int64(digits, m), whole = n - k;
    if (x < 0) *p++ = '-';
    if (whole <= 0) *p++ = '0';
    for (int i = whole < 0 ? whole : 0; i < n; i++) {
      if (i == whole) *p++ = '.';
      *p++ = i < 0 ? '0' : digits[i];
    }
    return (size_t)(p - to);
  }
  return 0;
}

/* Integers past 2^53 whose shortest digits are not their value get a point, so that they
 * read as numbers that were rounded, not as integers that were. */
static void put_double(struct rfl_buf *out, double x) {
  char text[RFL_DOUBLE_TEXT + 2];
  if (!isfinite(x)) {
    rfl_buf_text(out, "null");
    return;
  }
  size_t n = x == floor(x) ? 0 : print_simply(text, x);
  if (!n) n = rfl_print_double(text, x);
  if (fabs(x) >= 9007199254740992.0 && !memchr(text, 'e', n)) {
    text[n++] = '.';
    text[n++] = '0';
  }
  rfl_buf_put(out, text, n);
}

static void put_instant(struct rfl_buf *out, int64_t us) {
  char text[RFL_DOUBLE_TEXT + 1];
  size_t n = rfl_print_instant(text, us), zone = n - 1;
  size_t drop = us % 1000000 == 0 ? 7 : us % 1000 == 0 ? 3 : 0;
  text[zone - drop] = 'Z';
  rfl_buf_u8(out, '"');
  rfl_buf_put(out, text, n - drop);
  rfl_buf_u8(out, '"');
}

static void put_date(struct rfl_buf *out, int32_t days) {
  char text[RFL_DOUBLE_TEXT];
  rfl_buf_u8(out, '"');
  rfl_buf_put(out, text, rfl_print_date(text, days));
  rfl_buf_u8(out, '"');
}

static void put_int(struct rfl_buf *out, int64_t x) {
  char text[RFL_DOUBLE_TEXT];
  rfl_buf_put(out, text, rfl_print_int64(text, x));
}

static void put_value(struct rfl_buf *out, const struct rfl_column *c, size_t row) {
  struct rfl_bytes level;
  switch (c->type) {
    case RFL_LOGICAL:
      rfl_buf_text(out, c->i32[row] ? "true" : "false");
      return;
    case RFL_INTEGER:
      put_int(out, c->i32[row]);
      return;
    case RFL_INTEGER64:
      put_int(out, c->i64[row]);
      return;
    case RFL_DOUBLE:
      put_double(out, c->f64[row]);
      return;
    case RFL_STRING:
      put_string(out, c->bytes + c->offset[row],
                 (size_t)(c->offset[row + 1] - c->offset[row]));
      return;
    case RFL_FACTOR:
      level = rfl_dict_level(c->dict, c->i32[row]);
      put_string(out, (const char *)level.p, level.n);
      return;
    case RFL_TIMESTAMP:
      put_instant(out, c->i64[row]);
      return;
    case RFL_DATE:
      put_date(out, c->i32[row]);
      return;
    default: /* raw columns were refused when the encoder was made */
      return;
  }
}

/* ---- rows ---- */

static void put_key(const struct encoder *e, const struct op *op, struct rfl_buf *out) {
  if (out->n && out->p[out->n - 1] != '{') rfl_buf_u8(out, ',');
  rfl_buf_put(out, e->keys.p + op->key, op->key_size);
}

static void run(struct encoder *e, const struct rfl_frame *f, size_t row,
                struct rfl_buf *out) {
  for (struct op *op = e->op; op < e->op + e->n_ops; op++) {
    if (op->what == VALUE) {
      const struct rfl_column *c = &f->column[op->column];
      bool has = rfl_column_has(c, row);
      if (!has && !e->nulls) continue;
      put_key(e, op, out);
      if (has)
        put_value(out, c, row);
      else
        rfl_buf_text(out, "null");
    } else if (op->what == OPEN) {
      op->from = out->n;
      put_key(e, op, out);
      rfl_buf_u8(out, '{');
    } else if (out->n && out->p[out->n - 1] == '{') {
      out->n = e->op[op->from].from;
    } else {
      rfl_buf_u8(out, '}');
    }
  }
}

static enum rfl_code encode_row(struct rfl_encoder *face, const struct rfl_frame *f,
                                uint32_t row, struct rfl_buf *out, struct rfl_err *err) {
  struct encoder *e = (struct encoder *)face;
  assert(row < f->n_rows && f->schema->n == e->schema->n);
  size_t before = out->n;
  rfl_buf_u8(out, '{');
  run(e, f, row, out);
  rfl_buf_u8(out, '}');
  enum rfl_code code = rfl_buf_check(out, err);
  if (code) out->n = before;
  return code;
}

/* ---- compiling ---- */

static void add_op(struct encoder *e, struct op op, const struct rfl_json_key *k) {
  if (k) {
    op.key = e->keys.n;
    put_string(&e->keys, k->name, k->n);
    rfl_buf_u8(&e->keys, ':');
    op.key_size = e->keys.n - op.key;
  }
  e->op[e->n_ops++] = op;
}

/* Depth first through the plan's tree. An object's `from` is borrowed to remember its
 * operation until it closes. */
static enum rfl_code compile(struct encoder *e, struct rfl_json_plan *plan,
                             struct rfl_err *err) {
  e->op = rfl_alloc(2 * plan->n_keys, sizeof *e->op);
  if (!e->op) return rfl_no_memory(err);
  const struct rfl_json_key *k = plan->n_keys ? plan->object->first : NULL;
  while (k) {
    if (k->kind == RFL_JSON_OBJECT) {
      k->inside->record = e->n_ops;
      add_op(e, (struct op){.what = OPEN}, k);
      k = k->inside->first;
      continue;
    }
    add_op(e, (struct op){.what = VALUE, .column = (size_t)k->column}, k);
    while (k && k == k->of->last) {
      const struct rfl_json_object *of = k->of;
      k = of->as;
      if (k) add_op(e, (struct op){.what = CLOSE, .from = of->record}, NULL);
    }
    if (k) k = k->next;
  }
  return rfl_buf_check(&e->keys, err);
}

static enum rfl_code check_columns(const struct rfl_schema *schema, const size_t *columns,
                                   size_t n, struct rfl_err *err) {
  bool *taken = rfl_alloc(schema->n, sizeof *taken);
  if (!taken) return rfl_no_memory(err);
  enum rfl_code code = RFL_OK;
  for (size_t i = 0; !code && columns && i < n; i++) {
    if (columns[i] >= schema->n || taken[columns[i]])
      code = rfl_fail(err, RFL_EARGUMENT, "column %zu is not there, or is named twice",
                      columns[i]);
    else
      taken[columns[i]] = true;
  }
  rfl_free(taken);
  for (size_t c = 0; !code && c < schema->n; c++)
    if (!rfl_utf8_valid(schema->field[c].name, strlen(schema->field[c].name)))
      code = rfl_fail(err, RFL_ESCHEMA, "the name of field %zu is not UTF-8", c + 1);
  return code;
}

static void release(struct rfl_encoder *face) {
  struct encoder *e = (struct encoder *)face;
  if (!e) return;
  rfl_schema_release(e->schema);
  rfl_buf_release(&e->keys);
  rfl_free(e->op);
  rfl_free(e);
}

enum rfl_code rfl_json_encoder_new(struct rfl_schema *schema, const size_t *columns,
                                   size_t n, bool nulls, struct rfl_encoder **gives,
                                   struct rfl_err *err) {
  RFL_TRY(check_columns(schema, columns, n, err));
  struct rfl_json_plan plan = {0};
  RFL_TRY(rfl_json_plan_make(schema, columns, n, &plan, err));
  struct encoder *e = rfl_alloc(1, sizeof *e);
  enum rfl_code code = e ? RFL_OK : rfl_no_memory(err);
  if (e) {
    e->face = (struct rfl_encoder){.row = encode_row, .release = release};
    e->schema = rfl_schema_keep(schema);
    e->nulls = nulls;
    code = compile(e, &plan, err);
  }
  rfl_json_plan_release(&plan);
  if (code) {
    if (e) release(&e->face);
    return code;
  }
  *gives = &e->face;
  return RFL_OK;
}
