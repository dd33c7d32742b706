/* A schema out of records. Each record is checked whole before any of it counts; then its
 * members are walked by their dotted names, and of each field is kept which kinds of
 * values it had. The fields come out of those sets of kinds at the end, so the order of
 * the records changes nothing but the order of the fields. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "decode/json.h"
#include "decode/json_scan.h"

enum kind { /* of values, as a set */
            IS_LOGICAL = 1 << 0,
            IS_INT32 = 1 << 1,
            IS_EXACT = 1 << 2,  /* an integer up to 2^53 */
            IS_INT64 = 1 << 3,  /* past that */
            IS_LONGER = 1 << 4, /* past int64 */
            IS_REAL = 1 << 5,
            IS_TOO_LARGE = 1 << 6, /* past the doubles */
            IS_INSTANT = 1 << 7,
            IS_DATE = 1 << 8,
            IS_TEXT = 1 << 9,
            HAS_NUL = 1 << 10,
            IS_ARRAY = 1 << 11,
            IS_OBJECT = 1 << 12,
            UNDER_DOTS = 1 << 13, /* inside an object whose own name has a dot */
            PAST_DOUBLE = IS_INT64 | IS_LONGER | IS_TOO_LARGE,
            NUMBERS = IS_INT32 | IS_EXACT | IS_REAL | PAST_DOUBLE,
            TEXTS = IS_INSTANT | IS_DATE | IS_TEXT,
            VALUES = IS_LOGICAL | NUMBERS | TEXTS | IS_ARRAY
};
enum { MOST_LEVELS = 1000, TEXT_SLOTS = 2048 };

struct field {
  char *name;
  size_t n;
  uint64_t record; /* the last that it was in */
  uint64_t seen, null, texts;
  unsigned kinds;
  bool parent;       /* another field lies inside it */
  uint32_t distinct; /* texts; MOST_LEVELS + 1: too many */
  uint64_t *text;    /* their hashes, open addressing; NULL when there are too many */
};
struct rfl_json_guess {
  uint64_t records, bad;
  struct field *field;
  struct rfl_json_guess_field *report; /* as much room as `field` has */
  size_t n, room;
  size_t *slot; /* index + 1 into field, by name; at most half full */
  size_t mask;
  struct rfl_buf path, text;
  size_t base[RFL_JSON_DEPTH + 1]; /* how much of the path stands before a member */
};

enum rfl_code rfl_json_guess_new(struct rfl_json_guess **gives, struct rfl_err *err) {
  struct rfl_json_guess *g = rfl_alloc(1, sizeof *g);
  if (!g) return rfl_no_memory(err);
  *gives = g;
  return RFL_OK;
}

void rfl_json_guess_release(struct rfl_json_guess *g) {
  if (!g) return;
  for (size_t i = 0; i < g->n; i++) {
    rfl_free(g->field[i].name);
    rfl_free(g->field[i].text);
  }
  rfl_free(g->field);
  rfl_free(g->report);
  rfl_free(g->slot);
  rfl_buf_release(&g->path);
  rfl_buf_release(&g->text);
  rfl_free(g);
}

uint64_t rfl_json_guess_bad(const struct rfl_json_guess *g) { return g->bad; }

/* ---- fields by name ---- */

/* The slot of a name: of its field, or the empty one where it would go. */
static size_t find_slot(const struct rfl_json_guess *g, const char *name, size_t n) {
  size_t i = (size_t)rfl_hash(0, name, n) & g->mask;
  for (; g->slot[i]; i = (i + 1) & g->mask) {
    const struct field *f = &g->field[g->slot[i] - 1];
    if (f->n == n && memcmp(f->name, name, n) == 0) break;
  }
  return i;
}

static enum rfl_code make_room(struct rfl_json_guess *g, struct rfl_err *err) {
  if (g->n < g->room) return RFL_OK;
  size_t room = g->room ? 2 * g->room : 16;
  struct field *field = rfl_grow(g->field, room, sizeof *field);
  if (!field) return rfl_no_memory(err);
  g->field = field;
  struct rfl_json_guess_field *report = rfl_grow(g->report, room, sizeof *report);
  if (!report) return rfl_no_memory(err);
  g->report = report;
  size_t *slot = rfl_alloc(2 * room, sizeof *slot);
  if (!slot) return rfl_no_memory(err);
  rfl_free(g->slot);
  g->slot = slot;
  g->mask = 2 * room - 1;
  g->room = room;
  for (size_t i = 0; i < g->n; i++) slot[find_slot(g, field[i].name, field[i].n)] = i + 1;
  return RFL_OK;
}

/* The field whose name is in g->path, made when it is new, and counted. */
static enum rfl_code see_field(struct rfl_json_guess *g, struct field **gives,
                               struct rfl_err *err) {
  RFL_TRY(rfl_buf_check(&g->path, err));
  RFL_TRY(make_room(g, err));
  const char *name = g->path.n ? (const char *)g->path.p : "";
  size_t i = find_slot(g, name, g->path.n);
  if (!g->slot[i]) {
    struct field f = {.name = rfl_strndup(name, g->path.n), .n = g->path.n};
    if (!f.name) return rfl_no_memory(err);
    g->field[g->n] = f;
    g->slot[i] = ++g->n;
  }
  struct field *f = &g->field[g->slot[i] - 1];
  f->seen += f->record != g->records;
  f->record = g->records;
  *gives = f;
  return RFL_OK;
}

/* ---- values ---- */

static unsigned kind_of_number(const struct rfl_json_number *x) {
  const int64_t exact = INT64_C(1) << 53;
  int64_t y;
  if (!x->plain) {
    double z = rfl_json_double(x);
    return z - z == 0 ? IS_REAL : IS_TOO_LARGE; /* Inf - Inf is no number */
  }
  if (rfl_json_int64(x, 0, &y)) return IS_LONGER;
  if (y >= -INT32_MAX && y <= INT32_MAX) return IS_INT32;
  return y >= -exact && y <= exact ? IS_EXACT : IS_INT64;
}

static enum rfl_code count_text(struct field *f, const char *p, size_t n,
                                struct rfl_err *err) {
  f->texts++;
  if (f->distinct > MOST_LEVELS) return RFL_OK;
  if (!f->text) f->text = rfl_alloc(TEXT_SLOTS, sizeof *f->text);
  if (!f->text) return rfl_no_memory(err);
  uint64_t hash = rfl_hash(1, p, n) | 1; /* 0 is an empty slot */
  size_t i = hash / 2 % TEXT_SLOTS;
  for (; f->text[i]; i = (i + 1) % TEXT_SLOTS)
    if (f->text[i] == hash) return RFL_OK;
  f->text[i] = hash;
  if (++f->distinct <= MOST_LEVELS) return RFL_OK;
  rfl_free(f->text);
  f->text = NULL;
  return RFL_OK;
}

static enum rfl_code see_text(struct rfl_json_guess *g, struct field *f,
                              struct rfl_json_scan *s, struct rfl_err *err) {
  const char *from = ++s->at, *p = from;
  bool escaped;
  if (!rfl_json_string(s, &escaped)) return RFL_OK; /* never: the record was checked */
  size_t n = (size_t)(s->at - 1 - from);
  if (escaped) {
    rfl_buf_clear(&g->text);
    if (!rfl_buf_reserve(&g->text, n)) return rfl_no_memory(err);
    n = rfl_json_unescape((char *)g->text.p, from, n);
    p = (const char *)g->text.p;
    if (memchr(p, '\0', n)) f->kinds |= HAS_NUL;
  }
  int64_t us;
  int32_t days;
  if (rfl_parse_instant(p, p + n, &us) == p + n)
    f->kinds |= IS_INSTANT;
  else if (rfl_parse_date(p, p + n, &days) == p + n)
    f->kinds |= IS_DATE;
  else
    f->kinds |= IS_TEXT;
  return count_text(f, p, n, err);
}

/* A value that is no object. */
static enum rfl_code see_value(struct rfl_json_guess *g, struct field *f,
                               struct rfl_json_scan *s, struct rfl_err *err) {
  struct rfl_json_number x;
  char c = *s->at;
  if (c == '"') return see_text(g, f, s, err);
  if (c == 'n') {
    f->null++;
  } else if (c == 't' || c == 'f') {
    f->kinds |= IS_LOGICAL;
  } else if (c == '[') {
    f->kinds |= IS_ARRAY;
  } else if (rfl_json_number(s, &x)) {
    f->kinds |= kind_of_number(&x);
    return RFL_OK;
  }
  (void)rfl_json_skip(s, 1);
  return RFL_OK;
}

/* ---- records ---- */

/* Puts a member's name behind the path of the objects around it. *dots: it has some of
 * its own. */
static bool name_member(struct rfl_json_guess *g, unsigned depth, struct rfl_json_scan *s,
                        bool *dots) {
  const char *name;
  size_t n;
  bool escaped;
  if (!rfl_json_name(s, &name, &n, &escaped)) return false;
  g->path.n = g->base[depth];
  if (!rfl_buf_reserve(&g->path, n + 1)) return false;
  char *to = (char *)g->path.p + g->path.n;
  n = rfl_json_unescape(to, name, n);
  g->path.n += n;
  *dots = memchr(to, '.', n) != NULL;
  return true;
}

/* The record's members, the syntax of which was checked, from behind its brace. */
static enum rfl_code walk(struct rfl_json_guess *g, struct rfl_json_scan *s,
                          struct rfl_err *err) {
  unsigned depth = 0, under = 0; /* under: the depth inside a name with dots; 0: not */
  g->base[0] = 0;
  for (;;) {
    int c = rfl_json_peek(s);
    if (c == ',' || c == '}') {
      s->at++;
      if (c == '}' && depth == 0) return RFL_OK;
      depth -= c == '}';
      if (depth < under) under = 0;
      continue;
    }
    bool dots;
    struct field *f = NULL;
    if (!name_member(g, depth, s, &dots)) return rfl_no_memory(err);
    c = rfl_json_peek(s);
    RFL_TRY(see_field(g, &f, err));
    if (under) f->kinds |= UNDER_DOTS;
    if (c != '{') {
      RFL_TRY(see_value(g, f, s, err));
      continue;
    }
    f->kinds |= IS_OBJECT;
    s->at++;
    rfl_buf_u8(&g->path, '.');
    g->base[++depth] = g->path.n;
    if (dots && !under) under = depth;
  }
}

enum rfl_code rfl_json_guess_look(struct rfl_json_guess *g, struct rfl_bytes value,
                                  struct rfl_err *err) {
  if (!value.p) return RFL_OK;
  g->records++;
  struct rfl_json_scan s = {.at = (const char *)value.p};
  s.end = s.at + value.n;
  if (rfl_json_peek(&s) != '{' || rfl_json_check(value, NULL)) {
    g->bad++;
    return RFL_OK;
  }
  s.at++;
  return walk(g, &s, err);
}

/* ---- the answer ---- */

static void mark_parents(struct rfl_json_guess *g) {
  for (size_t i = 0; i < g->n; i++) {
    const struct field *f = &g->field[i];
    for (size_t k = 0; k < f->n; k++) {
      if (f->name[k] != '.') continue;
      size_t at = g->slot[find_slot(g, f->name, k)];
      if (at) g->field[at - 1].parent = true;
    }
  }
}

/* A member before one of its dots is not always an object. */
static bool runs_through_value(const struct rfl_json_guess *g, const struct field *f) {
  for (size_t k = 0; k < f->n; k++) {
    if (f->name[k] != '.') continue;
    size_t at = g->slot[find_slot(g, f->name, k)];
    if (at && g->field[at - 1].kinds & VALUES) return true;
  }
  return false;
}

static const char *why_left_out(const struct rfl_json_guess *g, const struct field *f) {
  unsigned kinds = f->kinds & (VALUES | IS_OBJECT);
  if (f->n == 0) return "it has no name";
  if (strlen(f->name) != f->n) return "its name holds a NUL";
  if (rfl_meta_parse(f->name)) return "its name is one of riffle's own";
  if (kinds == IS_ARRAY) return "it is an array";
  if (kinds & IS_OBJECT) return "it is sometimes an object, sometimes not";
  if (kinds & IS_ARRAY) return "it is sometimes an array";
  if (f->kinds & HAS_NUL) return "its text holds a NUL";
  if (f->kinds & UNDER_DOTS) return "it is inside an object whose name has a dot";
  if (runs_through_value(g, f)) return "what it is inside is not always an object";
  return NULL;
}

static enum rfl_type type_of_text(const struct field *f) {
  if ((f->kinds & TEXTS) == IS_INSTANT) return RFL_TIMESTAMP;
  if ((f->kinds & TEXTS) == IS_DATE) return RFL_DATE;
  bool few = f->distinct <= MOST_LEVELS && 2 * (uint64_t)f->distinct < f->texts;
  return few ? RFL_FACTOR : RFL_STRING;
}

static struct rfl_json_guess_field answer(const struct rfl_json_guess *g,
                                          const struct field *f) {
  struct rfl_json_guess_field a = {
      .name = f->name, .type = RFL_STRING, .seen = f->seen, .null = f->null};
  unsigned kinds = f->kinds & (VALUES & ~(unsigned)IS_ARRAY);
  a.left_out = why_left_out(g, f);
  if (kinds == IS_LOGICAL) {
    a.type = RFL_LOGICAL;
  } else if (kinds && !(kinds & ~(unsigned)TEXTS)) {
    a.type = type_of_text(f);
  } else if (kinds & PAST_DOUBLE) {
    a.mixed = kinds & ~(unsigned)(IS_INT32 | IS_EXACT | IS_INT64 | IS_LONGER);
    a.integer64 = !(kinds & ~(unsigned)(IS_INT32 | IS_EXACT | IS_INT64));
  } else if (kinds && !(kinds & ~(unsigned)NUMBERS)) {
    a.type = kinds == IS_INT32 ? RFL_INTEGER : RFL_DOUBLE;
  } else {
    a.mixed = kinds != 0;
  }
  return a;
}

size_t rfl_json_guess_fields(struct rfl_json_guess *g,
                             const struct rfl_json_guess_field **gives) {
  size_t n = 0;
  if (g->n) mark_parents(g);
  for (size_t i = 0; i < g->n; i++) {
    const struct field *f = &g->field[i];
    bool holds_nothing = !(f->kinds & VALUES) && (f->parent || f->kinds & IS_OBJECT);
    if (!holds_nothing) g->report[n++] = answer(g, f);
  }
  *gives = g->report;
  return n;
}
