/* Schemas out of records: the rules one by one, and that what is guessed decodes. */
#include <dirent.h>

#include "../harness.h"
#include "draw_json.h"
#include "help.h"

static enum rfl_code look(struct rfl_json_guess *g, const char *text, size_t n,
                          struct rfl_err *err) {
  return rfl_json_guess_look(g, (struct rfl_bytes){(const uint8_t *)text, n}, err);
}

static struct rfl_json_guess *guess(const char *const *text, size_t n) {
  struct rfl_json_guess *g;
  struct rfl_err err;
  CHECK_OK(rfl_json_guess_new(&g, &err), &err);
  for (size_t i = 0; i < n; i++) CHECK_OK(look(g, text[i], strlen(text[i]), &err), &err);
  return g;
}

/* "name type[ mixed][ integer64], ..." or "name (why)" of what the records become. */
static char *said(const char *const *text, size_t n) {
  static char line[4096];
  const struct rfl_json_guess_field *f;
  struct rfl_json_guess *g = guess(text, n);
  size_t fields = rfl_json_guess_fields(g, &f), at = 0;
  line[0] = '\0';
  for (size_t i = 0; i < fields; i++) {
    at +=
        (size_t)snprintf(line + at, sizeof line - at, "%s%s ", i ? ", " : "", f[i].name);
    if (f[i].left_out)
      at += (size_t)snprintf(line + at, sizeof line - at, "(%s)", f[i].left_out);
    else
      at += (size_t)snprintf(line + at, sizeof line - at, "%s%s%s",
                             rfl_type_name(f[i].type), f[i].mixed ? " mixed" : "",
                             f[i].integer64 ? " integer64" : "");
  }
  rfl_json_guess_release(g);
  return line;
}

static char *said_of(const char *a, const char *b) {
  const char *text[] = {a, b};
  return said(text, b ? 2 : 1);
}

TEST(numbers_widen_and_integers_past_the_doubles_are_strings) {
  CHECK_STR(said_of("{\"x\":1}", "{\"x\":-2147483647}"), "x integer");
  CHECK_STR(said_of("{\"x\":1}", "{\"x\":-2147483648}"), "x double");
  CHECK_STR(said_of("{\"x\":1}", "{\"x\":2147483648}"), "x double");
  CHECK_STR(said_of("{\"x\":1}", "{\"x\":5.0}"), "x double");
  CHECK_STR(said_of("{\"x\":1e2}", NULL), "x double");
  CHECK_STR(said_of("{\"x\":1}", "{\"x\":9007199254740992}"), "x double");
  CHECK_STR(said_of("{\"x\":1}", "{\"x\":9007199254740993}"), "x string integer64");
  CHECK_STR(said_of("{\"x\":1.5}", "{\"x\":9007199254740993}"), "x string mixed");
  CHECK_STR(said_of("{\"x\":9223372036854775808}", NULL), "x string");
  CHECK_STR(said_of("{\"x\":1e400}", NULL), "x string mixed");
}

TEST(types_that_do_not_go_together_are_strings_and_said) {
  CHECK_STR(said_of("{\"x\":true}", "{\"x\":false}"), "x logical");
  CHECK_STR(said_of("{\"x\":true}", "{\"x\":1}"), "x string mixed");
  CHECK_STR(said_of("{\"x\":\"a\"}", "{\"x\":1}"), "x string mixed");
  CHECK_STR(said_of("{\"x\":\"2019-11-24\"}", "{\"x\":1}"), "x string mixed");
  CHECK_STR(said_of("{\"x\":null}", "{\"x\":1}"), "x integer");
  CHECK_STR(said_of("{\"x\":null}", NULL), "x string");
}

TEST(texts_are_instants_dates_factors_or_strings) {
  CHECK_STR(
      said_of("{\"x\":\"2019-11-24T00:03:13Z\"}", "{\"x\":\"2019-11-24 00:03:13\"}"),
      "x timestamp");
  CHECK_STR(said_of("{\"x\":\"2019-11-24\"}", "{\"x\":\"2020-02-29\"}"), "x date");
  CHECK_STR(said_of("{\"x\":\"2019-11-24\"}", "{\"x\":\"2019-11-24T00:03:13Z\"}"),
            "x string");
  CHECK_STR(said_of("{\"x\":\"2019-11-24\"}", "{\"x\":\"2019-02-29\"}"), "x string");
  CHECK_STR(said_of("{\"x\":\"a\"}", "{\"x\":\"a\"}"),
            "x string"); /* 1 of 2: not fewer than half */
  const char *three[] = {"{\"x\":\"a\"}", "{\"x\":\"a\"}", "{\"x\":\"\\u0061\"}"};
  CHECK_STR(said(three, 3), "x factor");
}

/* `distinct` texts, each `times` times. */
static char *said_of_texts(int distinct, int times) {
  static char text[4000][32];
  static const char *record[4000];
  int n = 0;
  for (int k = 0; k < distinct; k++)
    for (int i = 0; i < times; i++, n++) {
      snprintf(text[n], sizeof text[n], "{\"x\":\"level %d\"}", k);
      record[n] = text[n];
    }
  return said(record, (size_t)n);
}

TEST(a_factor_has_at_most_1000_levels) {
  CHECK_STR(said_of_texts(1000, 3), "x factor");
  CHECK_STR(said_of_texts(1001, 3), "x string");
  CHECK_STR(said_of_texts(1000, 2), "x string");
}

TEST(objects_become_paths_and_what_is_no_column_is_named) {
  CHECK_STR(said_of("{\"u\":{\"id\":1,\"g\":{\"c\":\"x\"}},\"a\":2}", "{\"u\":null}"),
            "u.id integer, u.g.c string, a integer");
  CHECK_STR(said_of("{\"t\":[1,2],\"a\":1}", "{\"t\":null}"),
            "t (it is an array), a integer");
  CHECK_STR(said_of("{\"t\":[1,2]}", "{\"t\":1}"), "t (it is sometimes an array)");
  CHECK_STR(said_of("{\"t\":{\"a\":1}}", "{\"t\":1}"),
            "t (it is sometimes an object, sometimes not), "
            "t.a (what it is inside is not always an object)");
  CHECK_STR(said_of("{\"t\":{}}", NULL), "");
  CHECK_STR(said_of("{\"a.b\":1}", "{\"a\":{\"b\":2}}"), "a.b integer");
  CHECK_STR(said_of("{\"a.b\":1}", "{\"a\":2}"),
            "a.b (what it is inside is not always an object), a integer");
  CHECK_STR(said_of("{\"a.b\":{\"c\":1}}", NULL),
            "a.b.c (it is inside an object whose name has a dot)");
  CHECK_STR(said_of("{\"\":1}", NULL), " (it has no name)");
  CHECK_STR(said_of("{\"a\\u0000b\":1}", NULL), "a (its name holds a NUL)");
  CHECK_STR(said_of("{\".offset\":1}", NULL),
            ".offset (its name is one of riffle's own)");
  CHECK_STR(said_of("{\"x\":\"a\\u0000\"}", NULL), "x (its text holds a NUL)");
}

TEST(records_are_counted_once_a_field_and_bad_ones_apart) {
  const char *text[] = {
      "{\"a\":1,\"a\":2}", "{\"a\":null,\"b\":3}", "{\"b\":3,", "[]", "", "{\"b\":3}x"};
  struct rfl_json_guess *g = guess(text, 6);
  struct rfl_err err;
  const struct rfl_json_guess_field *f;
  CHECK_OK(rfl_json_guess_look(g, (struct rfl_bytes){NULL, 0}, &err), &err);
  CHECK_EQ(rfl_json_guess_bad(g), 4);
  CHECK_EQ(rfl_json_guess_fields(g, &f), 2);
  CHECK_EQ(f[0].seen, 2);
  CHECK_EQ(f[0].null, 1);
  CHECK_EQ(f[1].seen, 1);
  rfl_json_guess_release(g);
}

/* ---- what is guessed decodes ---- */

static size_t columns(struct rfl_json_guess *g, struct rfl_field *to, size_t room) {
  const struct rfl_json_guess_field *f;
  size_t n = 0;
  for (size_t i = 0, all = rfl_json_guess_fields(g, &f); i < all && n < room; i++)
    if (!f[i].left_out)
      to[n++] = (struct rfl_field){.name = f[i].name, .type = f[i].type};
  return n;
}

TEST(a_guessed_schema_decodes_all_records_that_it_was_guessed_from) {
  static const struct rfl_field fields[] = {{.name = "a", .type = RFL_INTEGER},
                                            {.name = "b.c", .type = RFL_FACTOR},
                                            {.name = "b.d.e", .type = RFL_TIMESTAMP},
                                            {.name = "f", .type = RFL_DOUBLE}};
  enum { RECORDS = 12 };
  static struct text t[RECORDS];
  struct rfl_field guessed[512];
  struct rfl_err err;
  struct dice d = {.seed = 23};
  for (int round = 0; round < 150 && !harness_failed_; round++) {
    struct rfl_json_guess *g;
    struct session s;
    CHECK_OK(rfl_json_guess_new(&g, &err), &err);
    for (int i = 0; i < RECORDS; i++) {
      t[i].n = 0;
      say_record(&d, &t[i], fields, 4);
      CHECK_OK(look(g, t[i].p, t[i].n, &err), &err);
    }
    CHECK_EQ(rfl_json_guess_bad(g), 0);
    CHECK_OK(session_open(&s, guessed, columns(g, guessed, 512)), &s.err);
    for (int i = 0; i < RECORDS && s.decoder; i++)
      CHECK_OK(session_take(&s, t[i].p, t[i].n), &s.err);
    session_close(&s);
    rfl_json_guess_release(g);
  }
}

/* Guesses a file's schema and decodes it; the number of its columns, -1: no object. */
static int read_object(const char *text, size_t n) {
  struct rfl_json_guess *g;
  struct rfl_field guessed[64];
  struct rfl_err err;
  struct session s;
  int columns_there = -1;
  CHECK_OK(rfl_json_guess_new(&g, &err), &err);
  CHECK_OK(look(g, text, n, &err), &err);
  if (rfl_json_guess_bad(g) == 0) {
    size_t k = columns(g, guessed, 64);
    columns_there = (int)k;
    CHECK_OK(session_open(&s, guessed, k), &s.err);
    CHECK_OK(session_take(&s, text, n), &s.err);
    session_close(&s);
  }
  rfl_json_guess_release(g);
  return columns_there;
}

TEST(objects_of_JSONTestSuite_decode_as_records_of_their_names) {
  const char *folder = data_path("json/JSONTestSuite/test_parsing");
  if (!folder) SKIP("RIFFLE_DATA is not set");
  char path[4096];
  DIR *dir = opendir(folder);
  int objects = 0, fields = 0;
  for (struct dirent *e; dir && (e = readdir(dir));) {
    if (e->d_name[0] != 'y') continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    size_t n;
    char *text = read_file(path, &n);
    int there = text ? read_object(text, n) : -1;
    objects += there >= 0;
    fields += there > 0 ? there : 0;
    CHECK(text && (there >= 0 || !strchr("{", text[strspn(text, " \n")])));
    free(text);
  }
  if (dir) closedir(dir);
  CHECK_EQ(objects, 12);
  CHECK_EQ(fields, 10); /* one object is empty, one has no name, one a NUL in its name */
}

TEST(any_allocation_may_fail_while_looking) {
  static const char *const text[] = {
      "{\"a\":\"x\\u0041\",\"b\":{\"c\":1.5,\"d\":[]},\"e\":null}",
      "{\"f0\":1,\"f1\":1,\"f2\":1,\"f3\":1,\"f4\":1,\"f5\":1,\"f6\":1,\"f7\":1,\"f8\":1,"
      "\"f9\":1,\"g0\":1,\"g1\":1,\"g2\":1,\"g3\":1,\"g4\":1,\"g5\":1,\"g6\":1}"};
  int64_t before = rfl_mem_live();
  for (int64_t k = 0;; k++) {
    struct rfl_json_guess *g = NULL;
    struct rfl_err err;
    rfl_mem_fail_after(k);
    enum rfl_code code = rfl_json_guess_new(&g, &err);
    for (int i = 0; !code && i < 2; i++) code = look(g, text[i], strlen(text[i]), &err);
    int blown = rfl_mem_failed();
    rfl_mem_fail_after(-1);
    rfl_json_guess_release(g);
    CHECK_EQ(rfl_mem_live(), before);
    CHECK_EQ(code, blown ? RFL_ENOMEM : RFL_OK);
    if (!blown || harness_failed_) break;
  }
}

int main(void) {
  RUN(numbers_widen_and_integers_past_the_doubles_are_strings);
  RUN(types_that_do_not_go_together_are_strings_and_said);
  RUN(texts_are_instants_dates_factors_or_strings);
  RUN(a_factor_has_at_most_1000_levels);
  RUN(objects_become_paths_and_what_is_no_column_is_named);
  RUN(records_are_counted_once_a_field_and_bad_ones_apart);
  RUN(a_guessed_schema_decodes_all_records_that_it_was_guessed_from);
  RUN(objects_of_JSONTestSuite_decode_as_records_of_their_names);
  RUN(any_allocation_may_fail_while_looking);
  return harness_end();
}
