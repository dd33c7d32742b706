#include "frame/schema.h"
#include "harness.h"

static struct rfl_err err;

static enum rfl_code try_names(const char *const *name, size_t n) {
  struct rfl_field f[8];
  for (size_t i = 0; i < n; i++) f[i] = (struct rfl_field){.name = name[i]};
  struct rfl_schema *s = NULL;
  enum rfl_code code = rfl_schema_new(f, n, &s, &err);
  CHECK((code == RFL_OK) == (s != NULL));
  rfl_schema_release(s);
  return code;
}

#define NAMES(...)                         \
  try_names((const char *[]){__VA_ARGS__}, \
            sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

TEST(type_names_read_back_as_themselves) {
  for (int t = 0; t < RFL_N_TYPES; t++)
    CHECK_EQ(rfl_type_parse(rfl_type_name((enum rfl_type)t)), t);
  CHECK_EQ(rfl_type_parse("number"), -1);
  CHECK_EQ(rfl_type_parse(""), -1);
}

TEST(meta_names_are_known_and_others_are_not) {
  CHECK_EQ(rfl_meta_parse(".offset"), RFL_META_OFFSET);
  CHECK_EQ(rfl_meta_parse(".raw"), RFL_META_RAW);
  CHECK_EQ(rfl_meta_parse(".headers"), RFL_META_NONE);
  CHECK_EQ(rfl_meta_parse("offset"), RFL_META_NONE);
}

TEST(a_name_twice_or_empty_is_refused_by_name) {
  CHECK_EQ(NAMES("a", "b", "a"), RFL_ESCHEMA);
  CHECK_STR(err.message, "The schema names the field `a` twice.");
  CHECK_EQ(NAMES("a", ""), RFL_ESCHEMA);
  CHECK_STR(err.message, "Field 2 of the schema has no name.");
}

TEST(a_field_is_a_value_or_an_object_never_both) {
  CHECK_EQ(NAMES("user.id", "user"), RFL_ESCHEMA);
  CHECK_STR(err.message,
            "The schema names both the field `user` and `user.id` inside it: a field is "
            "either a value or an object.");
  /* '-' sorts below '.' in C order: the two must be found all the same. */
  CHECK_EQ(NAMES("a.b.c", "a-b", "a", "a!"), RFL_ESCHEMA);
  CHECK_EQ(NAMES("a.b", "a.b.c"), RFL_ESCHEMA);
  CHECK_OK(NAMES("a.b", "ab", "a.c", "a-b", "a.bc", "\xC3\xA9.a"), &err);
}

TEST(metadata_is_no_path) {
  struct rfl_field f[] = {{.name = "k.v"}, {.name = "k", .meta = RFL_META_KEY}};
  struct rfl_schema *s = NULL;
  CHECK_OK(rfl_schema_new(f, 2, &s, &err), &err);
  rfl_schema_release(s);
}

TEST(a_flat_schema_takes_dots_for_letters) {
  struct rfl_field f[] = {{.name = "x"}, {.name = "x.1"}, {.name = "x"}};
  struct rfl_schema *s = NULL;
  CHECK_EQ(rfl_schema_new(f, 2, &s, &err), RFL_ESCHEMA);
  CHECK_EQ(rfl_schema_flat(f, 3, &s, &err), RFL_ESCHEMA); /* a name twice is refused */
  CHECK_OK(rfl_schema_flat(f, 2, &s, &err), &err);
  CHECK_EQ(rfl_schema_find(s, "x.1"), 1);
  rfl_schema_release(s);
}

TEST(types_and_units_that_do_not_exist_are_refused) {
  struct rfl_field f = {.name = "x", .type = RFL_N_TYPES};
  struct rfl_schema *s = NULL;
  CHECK_EQ(rfl_schema_new(&f, 1, &s, &err), RFL_ESCHEMA);
  f = (struct rfl_field){.name = "x", .type = RFL_TIMESTAMP, .per_second = 60};
  CHECK_EQ(rfl_schema_new(&f, 1, &s, &err), RFL_ESCHEMA);
  CHECK(strstr(err.message, "`x`") && strstr(err.message, "60"));
}

TEST(a_schema_copies_names_and_finds_them) {
  char name[] = "bid";
  struct rfl_field f[] = {{.name = name, .type = RFL_DOUBLE}, {.name = ".offset"}};
  struct rfl_schema *s = NULL;
  CHECK_OK(rfl_schema_new(f, 2, &s, &err), &err);
  name[0] = 'x';
  CHECK_EQ(rfl_schema_find(s, "bid"), 0);
  CHECK_EQ(rfl_schema_find(s, ".offset"), 1);
  CHECK_EQ(rfl_schema_find(s, "xid"), -1);
  CHECK(rfl_schema_keep(s) == s);
  rfl_schema_release(s);
  CHECK_EQ(s->field[0].type, RFL_DOUBLE);
  rfl_schema_release(s);
}

static enum rfl_code make_one(void) { return NAMES("a", "b.c", "b.d", "e"); }

TEST(no_memory_at_any_point_leaves_nothing) {
  SWEEP(make_one());
  SWEEP(try_names(NULL, 0));
}

int main(void) {
  RUN(type_names_read_back_as_themselves);
  RUN(meta_names_are_known_and_others_are_not);
  RUN(a_name_twice_or_empty_is_refused_by_name);
  RUN(a_field_is_a_value_or_an_object_never_both);
  RUN(metadata_is_no_path);
  RUN(a_flat_schema_takes_dots_for_letters);
  RUN(types_and_units_that_do_not_exist_are_refused);
  RUN(a_schema_copies_names_and_finds_them);
  RUN(no_memory_at_any_point_leaves_nothing);
  return harness_end();
}
