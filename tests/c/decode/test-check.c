/* The syntax check, against the public test suites and a few positions of our own. */
#include <dirent.h>

#include "../harness.h"
#include "help.h"

static const char *check(const char *text, size_t n, size_t *at) {
  uint8_t *exact = malloc(n ? n : 1); /* exactly n bytes, for the sanitizer */
  if (n) memcpy(exact, text, n);
  const char *why = rfl_json_check((struct rfl_bytes){exact, n}, at);
  free(exact);
  return why;
}

static const char *why(const char *text) { return check(text, strlen(text), NULL); }

/* Whether the file `name` is judged as its name says: y, n, or i for either. */
static void judge(const char *folder, const char *name, char verdict) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  size_t n, at = 0;
  char *text = read_file(path, &n);
  if (!text) {
    CHECK_STR(name, "a file that can be read");
    return;
  }
  const char *reason = check(text, n, &at);
  CHECK(!reason || at <= n);
  if (verdict == 'y' && reason) CHECK_STR(name, reason);
  if (verdict == 'n' && !reason) CHECK_STR(name, "refused");
  free(text);
}

TEST(every_file_of_JSONTestSuite_is_judged_as_named) {
  const char *folder = data_path("json/JSONTestSuite/test_parsing");
  if (!folder) SKIP("RIFFLE_DATA is not set");
  DIR *dir = opendir(folder);
  CHECK(dir != NULL);
  int files = 0;
  for (struct dirent *e; dir && (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    judge(folder, e->d_name, e->d_name[0]);
    files++;
  }
  if (dir) closedir(dir);
  CHECK_EQ(files, 318);
}

TEST(every_file_of_nativejson_is_judged_as_named) {
  const char *checker = data_path("json/nativejson/data/jsonchecker");
  if (!checker) SKIP("RIFFLE_DATA is not set");
  char name[64];
  /* 01 is a text that is no container, 18 is twenty arrays deep: both are JSON today. */
  for (int i = 2; i <= 33; i++) {
    snprintf(name, sizeof name, "fail%02d.json", i);
    if (i != 18) judge(checker, name, 'n');
  }
  for (int i = 1; i <= 3; i++) {
    snprintf(name, sizeof name, "pass%02d.json", i);
    judge(checker, name, 'y');
  }
  const char *data = data_path("json/nativejson/data");
  for (int i = 1; i <= 27; i++) {
    snprintf(name, sizeof name, "roundtrip/roundtrip%02d.json", i);
    judge(data, name, 'y');
  }
  judge(data, "canada.json", 'y');
  judge(data, "citm_catalog.json", 'y');
  judge(data, "twitter.json", 'y');
}

static size_t nest(char *to, size_t depth, const char *open, const char *close) {
  size_t n = 0, o = strlen(open), c = strlen(close);
  for (size_t i = 0; i < depth; i++, n += o) memcpy(to + n, open, o);
  for (size_t i = 0; i < depth; i++, n += c) memcpy(to + n, close, c);
  return n;
}

TEST(depth_1024_is_read_and_1025_is_not) {
  static char text[16000];
  CHECK(!check(text, nest(text, 1024, "[", "]"), NULL));
  CHECK(check(text, nest(text, 1025, "[", "]"), NULL) != NULL);
  CHECK(!check(text, nest(text, 1024, "[ ", " ] "), NULL));
  size_t n = nest(text, 1024, "{\"a\":", "}");
  CHECK(check(text, n, NULL) != NULL); /* the innermost has no value */
  memmove(text + 1024 * 5 + 1, text + 1024 * 5, 1024);
  text[1024 * 5] = '7';
  CHECK(!check(text, n + 1, NULL));
}

TEST(a_reason_comes_with_the_byte_where_it_holds) {
  static const struct {
    const char *text, *why;
    size_t at;
  } table[] = {{"", "the text ends too early", 0},
               {"  ", "the text ends too early", 2},
               {"1 2", "text after the value", 2},
               {"[1,]", "expected a value", 3},
               {"[1 2]", "expected ',' or ']'", 3},
               {"{\"a\":1 \"b\"}", "expected ',' or '}'", 7},
               {"{1:2}", "expected a name in quotes", 1},
               {"{\"a\" 2}", "expected ':'", 5},
               {"[01]", "a number that begins with 0", 1},
               {"[1.]", "expected a digit", 3},
               {"[1e+]", "an exponent without digits", 2},
               {"[-]", "expected a digit", 2},
               {"[\"ab", "a string without an end", 1},
               {"[\"a\nb\"]", "a control character in a string", 3},
               {"[\"a\\x\"]", "an escape that is none", 3},
               {"[\"\\u12g4\"]", "expected four hexadecimal digits", 2},
               {"[\"\\ud800\"]", "a lone surrogate", 2},
               {"[\"\\udc00\"]", "a lone surrogate", 2},
               {"[\"\\ud800\\ud800\"]", "a lone surrogate", 2},
               {"[\"\xc3\xa9\xed\xa0\x80\"]", "not UTF-8", 4},
               {"[tru]", "expected a value", 1},
               {"\xef\xbb\xbf{}", "expected a value", 0}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    size_t at = 99;
    const char *reason = check(table[i].text, strlen(table[i].text), &at);
    CHECK_STR(reason ? reason : "none", table[i].why);
    CHECK_EQ(at, table[i].at);
  }
}

/* Strings of every length around the stride, with one odd byte at every place. */
TEST(an_odd_byte_is_found_wherever_it_stands) {
  char text[64];
  for (size_t n = 1; n < 50; n++) {
    for (size_t k = 0; k < n; k++) {
      memset(text, 'x', sizeof text);
      text[0] = text[n + 1] = '"';
      CHECK(!check(text, n + 2, NULL));
      text[k + 1] = '\x1f';
      CHECK(check(text, n + 2, NULL) != NULL);
      text[k + 1] = '\x7f';
      CHECK(!check(text, n + 2, NULL));
      text[k + 1] = '\x80';
      CHECK(check(text, n + 2, NULL) != NULL);
      text[k + 1] = '"';
      CHECK(check(text, n + 2, NULL) != NULL);
      text[k + 1] = '\\'; /* escapes x, which is none, or the closing quote */
      CHECK(check(text, n + 2, NULL) != NULL);
      CHECK(check(text, n + 1, NULL) != NULL);
    }
  }
}

TEST(null_bytes_are_no_text) {
  size_t at = 7;
  CHECK(rfl_json_check((struct rfl_bytes){NULL, 0}, &at) != NULL);
  CHECK_EQ(at, 0);
  CHECK(why("null\0") == NULL);
  CHECK(check("null\0", 5, NULL) != NULL);
}

int main(void) {
  RUN(every_file_of_JSONTestSuite_is_judged_as_named);
  RUN(every_file_of_nativejson_is_judged_as_named);
  RUN(depth_1024_is_read_and_1025_is_not);
  RUN(a_reason_comes_with_the_byte_where_it_holds);
  RUN(an_odd_byte_is_found_wherever_it_stands);
  RUN(null_bytes_are_no_text);
  return harness_end();
}
