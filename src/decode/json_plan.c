#include "decode/json_plan.h"

#include "base/mem.h"
#include "base/random.h"
#include "decode/json.h"

static uint64_t hash(const struct rfl_json_plan *plan, const struct rfl_json_object *of,
                     const char *name, size_t n) {
  return rfl_hash((uint64_t)(of - plan->object), name, n);
}

static struct rfl_json_key *find_member(const struct rfl_json_plan *plan,
                                        const struct rfl_json_object *of,
                                        const char *name, size_t n) {
  for (uint64_t i = hash(plan, of, name, n);; i++) {
    struct rfl_json_key *k = plan->slot[i & plan->mask];
    if (!k || (k->of == of && k->n == n && memcmp(k->name, name, n) == 0)) return k;
  }
}

struct rfl_json_key *rfl_json_plan_find(const struct rfl_json_plan *plan,
                                        struct rfl_json_object *of, const char *name,
                                        size_t n) {
  struct rfl_json_key *k = find_member(plan, of, name, n);
  if (k) return k;
  for (;;) {
    const char *dot = memchr(name, '.', n);
    size_t head = dot ? (size_t)(dot - name) : n;
    k = find_member(plan, of, name, head);
    if (!k || !dot) return k && k->kind != RFL_JSON_OBJECT ? k : NULL;
    if (k->kind != RFL_JSON_OBJECT) return NULL;
    of = k->inside;
    name += head + 1;
    n -= head + 1;
  }
}

/* A name that JSON writes with escapes is never recognised by its bytes, a long one not
 * by these: the masks are empty and the word is not. */
static void set_pattern(struct rfl_json_key *k) {
  char text[16] = "\"";
  k->size = k->n + 3;
  k->longer = k->size > sizeof text;
  k->word0 = 1;
  for (uint32_t i = 0; i < k->n; i++) {
    unsigned char c = (unsigned char)k->name[i];
    k->escaped |= c < 0x20 || c == '"' || c == '\\';
  }
  if (k->longer || k->escaped) return;
  memcpy(text + 1, k->name, k->n);
  memcpy(text + 1 + k->n, "\":", 2);
  k->mask0 = k->size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * k->size)) - 1;
  k->mask1 = k->size >= 16 ? UINT64_MAX
             : k->size > 8 ? (UINT64_C(1) << (8 * (k->size - 8))) - 1
                           : 0;
  k->word0 = rfl_json_load8(text) & k->mask0;
  k->word1 = rfl_json_load8(text + 8) & k->mask1;
}

static struct rfl_json_key *add_member(struct rfl_json_plan *plan,
                                       struct rfl_json_object *of, const char *name,
                                       size_t n) {
  struct rfl_json_key *k = &plan->key[plan->n_keys++];
  k->of = of;
  k->name = name;
  k->n = (uint32_t)n;
  set_pattern(k);
  if (!of->first) of->first = k;
  if (of->last) of->last->next = k;
  of->last = k;
  k->next = of->first;
  uint64_t i = hash(plan, of, name, n);
  while (plan->slot[i & plan->mask]) i++;
  plan->slot[i & plan->mask] = k;
  return k;
}

/* The object that the member `name` is. A schema has no path through a value, so a
 * member that is there already is an object. */
static struct rfl_json_object *enter(struct rfl_json_plan *plan,
                                     struct rfl_json_object *of, const char *name,
                                     size_t n, int32_t column) {
  struct rfl_json_key *k = find_member(plan, of, name, n);
  if (k) return k->inside;
  k = add_member(plan, of, name, n);
  k->kind = RFL_JSON_OBJECT;
  k->column = column;
  k->inside = &plan->object[plan->n_objects++];
  k->inside->as = k;
  k->inside->depth = of->depth + 1;
  return k->inside;
}

static enum rfl_code add_column(struct rfl_json_plan *plan, const struct rfl_field *f,
                                int32_t column, struct rfl_err *err) {
  if (f->type == RFL_RAW)
    return rfl_fail(
        err, RFL_ESCHEMA,
        "the field `%s` is raw, and JSON has no raw values; declare it string", f->name);
  struct rfl_json_object *of = &plan->object[0];
  const char *name = f->name;
  for (const char *dot; (dot = strchr(name, '.')); name = dot + 1) {
    if (of->depth == RFL_JSON_DEPTH)
      return rfl_fail(err, RFL_ESCHEMA, "a field of the schema lies more than %d deep",
                      (int)RFL_JSON_DEPTH);
    of = enter(plan, of, name, (size_t)(dot - name), column);
  }
  struct rfl_json_key *k = add_member(plan, of, name, strlen(name));
  k->kind = (uint8_t)f->type;
  k->column = column;
  k->to_us = f->per_second == 1 ? 6 : f->per_second == 1000000 ? 0 : 3;
  return RFL_OK;
}

static size_t count_segments(const struct rfl_schema *schema) {
  size_t n = 0;
  for (size_t c = 0; c < schema->n; c++) {
    n++;
    for (const char *p = schema->field[c].name; *p; p++) n += *p == '.';
  }
  return n;
}

static enum rfl_code add_columns(struct rfl_json_plan *plan,
                                 const struct rfl_schema *schema, const size_t *columns,
                                 size_t n, struct rfl_err *err) {
  for (size_t i = 0; i < (columns ? n : schema->n); i++) {
    size_t c = columns ? columns[i] : i;
    if (!schema->field[c].meta)
      RFL_TRY(add_column(plan, &schema->field[c], (int32_t)c, err));
  }
  if (plan->n_keys == 0) { /* a prediction that never comes true */
    plan->key[0] = (struct rfl_json_key){.word0 = 1, .next = &plan->key[0]};
    plan->object[0].first = &plan->key[0];
  }
  return RFL_OK;
}

enum rfl_code rfl_json_plan_make(const struct rfl_schema *schema, const size_t *columns,
                                 size_t n, struct rfl_json_plan *gives,
                                 struct rfl_err *err) {
  struct rfl_json_plan plan = {.n_objects = 1, .stranger.kind = RFL_JSON_STRANGER};
  size_t keys = count_segments(schema), slots = 4;
  while (slots < 2 * keys + 2) slots *= 2;
  plan.mask = slots - 1;
  plan.key = rfl_alloc(keys + 1, sizeof *plan.key);
  plan.object = rfl_alloc(keys + 1, sizeof *plan.object);
  plan.slot = rfl_alloc(slots, sizeof *plan.slot);
  enum rfl_code code = RFL_OK;
  if (!plan.key || !plan.object || !plan.slot) {
    code = rfl_no_memory(err);
  } else {
    plan.object[0].depth = 1;
    code = add_columns(&plan, schema, columns, n, err);
  }
  if (code) {
    rfl_json_plan_release(&plan);
    return code;
  }
  *gives = plan;
  return RFL_OK;
}

void rfl_json_plan_release(struct rfl_json_plan *plan) {
  rfl_free(plan->key);
  rfl_free(plan->object);
  rfl_free(plan->slot);
  *plan = (struct rfl_json_plan){0};
}
