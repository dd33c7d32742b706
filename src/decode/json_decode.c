/* The fast half of the decoder.
 *
 * A record is walked once, without a tree. Three things make it fast, each a matter of
 * what is usual in a topic, never of what is right:
 *
 * - The next member is predicted: the bytes  "name":  of the one that followed last time
 *   are compared with two masked words. When that fails, the few after it are tried (a
 *   member was left out), then the name is read and looked up, and the prediction bent.
 * - Numbers are read eight digits at a time. Up to 15 digits with a point are exact as
 *   double / double (Clinger 1990, "How to read floating point numbers accurately", the
 *   simple case); what has more digits or an exponent goes to rfl_json_value().
 * - Strings are searched for their quote sixteen bytes at a time, and coded to their
 *   dictionary where they stand. One that holds an escape or is not ASCII goes to
 *   rfl_json_value().
 *
 * The record is copied to a padded buffer first: these loads may run past its end, and
 * escapes are taken out in place. The copy is about 5 % of the time.
 *
 * Nested objects are the plan's tree, walked by its own pointers; an object that is not
 * expected is skipped with a stack of bits. So nothing recurses. Of a repeated name the
 * last wins: setting a column again is free, and an object that comes again takes back
 * what its columns were set to. */
#include "decode/json_decode.h"

#include <float.h>

#include "base/mem.h"
#include "decode/json_scan.h"
#include "frame/builder_inline.h"

enum { TRIES = 4 };

const char *rfl_json_fault(struct rfl_json_decoder *d, int32_t column, const char *at,
                           const char *reason) {
  size_t byte = (size_t)(at - d->text);
  *d->why = (struct rfl_fault){.column = column, .at = byte, .reason = reason};
  const char *name = column < 0 ? NULL : d->schema->field[column].name;
  d->code = rfl_fail(d->err, RFL_EDATA, "%s%s%sbyte %zu: %s", name ? "field `" : "",
                     name ? name : "", name ? "`, " : "", byte, reason);
  return NULL;
}

static inline const char *skip_space(const char *p) {
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') p++;
  return p;
}

static inline bool ends_value(char c) { return c == ',' || c == '}'; }

/* ---- values as usual; NULL: not as usual ---- */

static const uint64_t tens[] = {1,
                                10,
                                100,
                                1000,
                                10000,
                                100000,
                                1000000,
                                10000000,
                                100000000,
                                1000000000,
                                10000000000,
                                100000000000,
                                1000000000000,
                                10000000000000,
                                100000000000000,
                                1000000000000000};

/* A run of at most 15 digits. *n: how many; 0 when there are none, or more.
 *
 * The digits of a word end at the lowest byte that is none, whose high bit is `bit`;
 * shifting that byte and what is behind it out leaves the digits at the high end, with
 * zeros before them. */
static inline const char *read_digits(const char *p, uint64_t *value, unsigned *n) {
  uint64_t word = rfl_json_digit_values(rfl_json_load8(p));
  uint64_t stop = rfl_json_not_digits(word);
  if (RFL_LIKELY(stop != 0)) {
    unsigned bit = (unsigned)__builtin_ctzll(stop), k = bit >> 3;
    *n = k;
    *value = rfl_json_eight(word << ((7 - bit) & 63));
    return p + k;
  }
  uint64_t high = rfl_json_eight(word);
  word = rfl_json_digit_values(rfl_json_load8(p + 8));
  stop = rfl_json_not_digits(word);
  *n = 0;
  if (RFL_UNLIKELY(stop == 0)) return p;
  unsigned bit = (unsigned)__builtin_ctzll(stop), k = bit >> 3;
  *n = 8 + k;
  *value = k ? high * tens[k] + rfl_json_eight(word << ((7 - bit) & 63)) : high;
  return p + 8 + k;
}

/* A plain integer of at most 15 digits. */
static inline const char *read_integer(const char *p, int64_t *value) {
  bool minus = *p == '-';
  uint64_t m = 0;
  unsigned n;
  const char *digits = p + minus, *end = read_digits(digits, &m, &n);
  if (RFL_UNLIKELY(n == 0 || (*digits == '0' && n > 1) || !ends_value(*end))) return NULL;
  *value = minus ? -(int64_t)m : (int64_t)m;
  return end;
}

static inline const char *read_double(const char *p, double *value) {
  static const double scale[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  bool minus = *p == '-';
  uint64_t m = 0;
  unsigned n;
  const char *digits = p + minus, *end = read_digits(digits, &m, &n);
  if (RFL_UNLIKELY(n == 0 || (*digits == '0' && n > 1))) return NULL;
  double x;
  if (*end == '.') {
    uint64_t fraction = 0;
    unsigned places;
    end = read_digits(end + 1, &fraction, &places);
    if (RFL_UNLIKELY(places == 0 || n + places > 15)) return NULL;
    x = (double)(int64_t)(m * tens[places] + fraction) / scale[places];
  } else {
    x = (double)(int64_t)m;
  }
  if (RFL_UNLIKELY(!ends_value(*end) || FLT_EVAL_METHOD != 0)) return NULL;
  *value = minus ? -x : x;
  return end;
}

/* The closing quote of a string of plain ASCII that begins at `p`. */
static inline const char *find_quote(const char *p) {
  for (;; p += RFL_JSON_STRIDE) {
    struct rfl_json_marks m = rfl_json_marks(p);
#if defined(RFL_SEED_BUG) && RFL_SEED_BUG == 3
    /* Planted for the test of the tests: control characters from 0x10 on pass. */
    if (m.odd && p[rfl_json_lowest(m.odd)] >> 4 == 1) m.odd &= m.odd - 1;
#endif
    if (RFL_LIKELY(m.quote != 0)) {
      uint32_t before = (m.quote & -m.quote) - 1;
      if (RFL_UNLIKELY(m.odd != 0) && m.odd & before) return NULL;
      return p + rfl_json_lowest(m.quote);
    }
    if (RFL_UNLIKELY(m.odd != 0)) return NULL;
  }
}

/* Each of these leaves what is not as usual to rfl_json_value(). */

static inline const char *take_text(struct rfl_json_decoder *d,
                                    const struct rfl_json_key *k, const char *p) {
  const char *quote = *p == '"' ? find_quote(p + 1) : NULL;
  if (RFL_UNLIKELY(!quote)) return rfl_json_value(d, k, p);
  d->code =
      rfl_row_text(d->to, (size_t)k->column, p + 1, (size_t)(quote - p - 1), d->err);
  return RFL_LIKELY(!d->code) ? quote + 1 : NULL;
}

static inline const char *take_level(struct rfl_json_decoder *d,
                                     const struct rfl_json_key *k, const char *p) {
  const char *quote = *p == '"' ? find_quote(p + 1) : NULL;
  if (RFL_UNLIKELY(!quote)) return rfl_json_value(d, k, p);
  enum rfl_code code =
      rfl_row_factor(d->to, (size_t)k->column, p + 1, (size_t)(quote - p - 1), d->err);
  if (RFL_LIKELY(!code)) return quote + 1;
  d->code = code;
  return NULL;
}

static inline const char *take_integer(struct rfl_json_decoder *d,
                                       const struct rfl_json_key *k, const char *p) {
  int64_t x;
  const char *end = read_integer(p, &x);
  if (RFL_UNLIKELY(!end || x > INT32_MAX || x < -INT32_MAX))
    return rfl_json_value(d, k, p);
  rfl_row_int(d->to, (size_t)k->column, (int32_t)x);
  return end;
}

static inline const char *take_integer64(struct rfl_json_decoder *d,
                                         const struct rfl_json_key *k, const char *p) {
  int64_t x;
  const char *end = read_integer(p, &x);
  if (RFL_UNLIKELY(!end)) return rfl_json_value(d, k, p);
  rfl_row_long(d->to, (size_t)k->column, x);
  return end;
}

static inline const char *take_double(struct rfl_json_decoder *d,
                                      const struct rfl_json_key *k, const char *p) {
  double x;
  const char *end = read_double(p, &x);
  if (RFL_UNLIKELY(!end)) return rfl_json_value(d, k, p);
  rfl_row_double(d->to, (size_t)k->column, x);
  return end;
}

/* ---- members ---- */

static bool key_is_at(const struct rfl_json_decoder *d, const struct rfl_json_key *k,
                      const char *p) {
  if (!k->longer || k->escaped) return rfl_json_key_matches(k, p);
  return (size_t)(d->end - p) >= k->size && *p == '"' &&
         memcmp(p + 1, k->name, k->n) == 0 && p[k->n + 1] == '"' && p[k->n + 2] == ':';
}

/* The member at `p`, which is not the predicted one as it stands. Gives where its value
 * begins, and moves the prediction behind it. */
static const char *find_key(struct rfl_json_decoder *d, struct rfl_json_object *of,
                            struct rfl_json_key ***link, struct rfl_json_key **k,
                            const char *p) {
  struct rfl_json_key *guess = **link;
  p = skip_space(p);
  for (int i = 0; i < TRIES; i++, guess = guess->next) {
    if (!key_is_at(d, guess, p)) continue;
    *k = guess;
    *link = &guess->next;
    return p + guess->size;
  }
  struct rfl_json_scan s = {.at = p, .end = d->end};
  const char *name;
  size_t n;
  bool escaped;
  if (!rfl_json_name(&s, &name, &n, &escaped)) return rfl_json_fault(d, -1, s.at, s.why);
  if (escaped) n = rfl_json_unescape(d->text + (name - d->text), name, n);
  struct rfl_json_key *found = rfl_json_plan_find(&d->plan, of, name, n);
  *k = found ? found : &d->plan.stranger;
  if (found && found->of == of) {
    **link = found;
    *link = &found->next;
  }
  return s.at;
}

/* Takes back what the columns inside an object were set to. */
static void forget(struct rfl_json_decoder *d, const struct rfl_json_object *object) {
  const struct rfl_json_key *as = object->as;
  const char *path = d->schema->field[as->column].name;
  size_t n = (size_t)(as->name + as->n + 1 - path); /* with the dot */
  for (size_t c = 0; c < d->schema->n; c++) {
    const struct rfl_field *f = &d->schema->field[c];
    if (!f->meta && strncmp(f->name, path, n) == 0) rfl_builder_missing(d->to, c);
  }
}

/* The value of a member that is expected to be an object. Gives where it ends, and
 * changes nothing else, when it is null or {}; else where its first member begins, and
 * it is *object. */
static const char *enter(struct rfl_json_decoder *d, struct rfl_json_object **object,
                         const struct rfl_json_key *k, const char *p) {
  struct rfl_json_object *inside = k->inside;
  if (*p != '{' && memcmp(p, "null", 4) != 0)
    return rfl_json_fault(d, k->column, p, "expected an object");
  if (inside->record == d->record) forget(d, inside);
  inside->record = d->record;
  if (*p != '{') return p + 4;
  p = skip_space(p + 1);
  if (*p == '}') return p + 1;
  *object = inside;
  return p;
}

static const char *skip_stranger(struct rfl_json_decoder *d,
                                 const struct rfl_json_object *of, const char *p) {
  struct rfl_json_scan s = {.at = p, .end = d->end};
  if (!rfl_json_skip(&s, of->depth)) return rfl_json_fault(d, -1, s.at, s.why);
  return s.at;
}

/* After a value: leaves the objects that end here. Gives where the next member begins;
 * *object is NULL, and the place that after the record, when there is none. */
static const char *leave(struct rfl_json_decoder *d, struct rfl_json_object **object,
                         struct rfl_json_key ***link, const char *p) {
  for (;;) {
    p = skip_space(p);
    if (*p == ',') return p + 1;
    if (*p != '}') return rfl_json_fault(d, -1, p, "expected ',' or '}'");
    p++;
    const struct rfl_json_key *as = (*object)->as;
    *object = as ? as->of : NULL;
    if (!as) return p;
    *link = &((struct rfl_json_key *)as)->next;
  }
}

/* The members of the record, the first of which begins at `p`. `link` is where the
 * prediction stands: the `next` of the member before, or the object's `first`. */
static const char *take_members(struct rfl_json_decoder *d, const char *p) {
  struct rfl_json_object *object = d->plan.object, *around;
  struct rfl_json_key **link = &object->first, *k;
  for (;;) {
    k = *link;
    if (RFL_LIKELY(rfl_json_key_matches(k, p))) {
      p += k->size;
      link = &k->next;
    } else if (!(p = find_key(d, object, &link, &k, p))) {
      return NULL;
    }
    if (RFL_UNLIKELY((unsigned char)*p <= ' ')) p = skip_space(p);
    switch (k->kind) {
      case RFL_INTEGER:
        p = take_integer(d, k, p);
        break;
      case RFL_INTEGER64:
        p = take_integer64(d, k, p);
        break;
      case RFL_DOUBLE:
        p = take_double(d, k, p);
        break;
      case RFL_STRING:
        p = take_text(d, k, p);
        break;
      case RFL_FACTOR:
        p = take_level(d, k, p);
        break;
      case RFL_JSON_OBJECT:
        around = object;
        p = enter(d, &object, k, p);
        if (object == around) break;
        link = &object->first;
        continue;
      case RFL_JSON_STRANGER:
        p = skip_stranger(d, object, p);
        break;
      default:
        p = rfl_json_value(d, k, p);
    }
    if (RFL_UNLIKELY(!p)) return NULL;
    if (RFL_LIKELY(*p == ',')) {
      p++;
      continue;
    }
    p = leave(d, &object, &link, p);
    if (!p || !object) return p;
  }
}

/* ---- records ---- */

static enum rfl_code copy_record(struct rfl_json_decoder *d, struct rfl_bytes value,
                                 struct rfl_err *err) {
  if (RFL_UNLIKELY(d->room < RFL_JSON_PADDING || value.n > d->room - RFL_JSON_PADDING)) {
    if (value.n > SIZE_MAX / 2 - RFL_JSON_PADDING) return rfl_no_memory(err);
    size_t room = value.n + value.n / 2 + RFL_JSON_PADDING;
    char *text = rfl_alloc(room, 1);
    if (!text) return rfl_no_memory(err);
    rfl_free(d->text);
    d->text = text;
    d->room = room;
  }
  if (value.n) memcpy(d->text, value.p, value.n);
  d->text[value.n] = '\0';
  d->end = d->text + value.n;
  return RFL_OK;
}

static const char *take_record(struct rfl_json_decoder *d) {
  const char *p = skip_space(d->text);
  if (*p != '{')
    return rfl_json_fault(d, -1, p,
                          p == d->end ? "the record is empty" : "expected an object");
  p = skip_space(p + 1);
  p = *p == '}' ? p + 1 : take_members(d, p);
  if (!p) return NULL;
  p = skip_space(p);
  return p == d->end ? p : rfl_json_fault(d, -1, p, "text after the object");
}

static enum rfl_code decode_row(struct rfl_decoder *face, struct rfl_bytes value,
                                struct rfl_builder *to, struct rfl_fault *why,
                                struct rfl_err *err) {
  struct rfl_json_decoder *d = (struct rfl_json_decoder *)face;
  RFL_TRY(copy_record(d, value, err));
  d->record++;
  d->to = to;
  d->why = why;
  d->err = err;
  d->code = RFL_OK;
  take_record(d);
  return d->code;
}

static void release(struct rfl_decoder *face) {
  struct rfl_json_decoder *d = (struct rfl_json_decoder *)face;
  if (!d) return;
  rfl_json_plan_release(&d->plan);
  rfl_schema_release(d->schema);
  rfl_free(d->text);
  rfl_free(d);
}

enum rfl_code rfl_json_decoder_new(struct rfl_schema *schema, struct rfl_decoder **gives,
                                   struct rfl_err *err) {
  struct rfl_json_decoder *d = rfl_alloc(1, sizeof *d);
  if (!d) return rfl_no_memory(err);
  d->face = (struct rfl_decoder){.row = decode_row, .release = release};
  d->schema = rfl_schema_keep(schema);
  enum rfl_code code = rfl_json_plan_make(schema, NULL, 0, &d->plan, err);
  if (code) {
    release(&d->face);
    return code;
  }
  *gives = &d->face;
  return RFL_OK;
}
