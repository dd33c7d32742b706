#include "base/error.h"

#include "base/text.h"
#include "harness.h"

TEST(fail_writes_code_and_message) {
  struct rfl_err err = {0};
  CHECK_EQ(rfl_fail(&err, RFL_EDATA, "offset %d: '%s'", 7, "x"), RFL_EDATA);
  CHECK_EQ(err.code, RFL_EDATA);
  CHECK_STR(err.message, "offset 7: 'x'");
  CHECK_EQ(rfl_no_memory(&err), RFL_ENOMEM);
  CHECK_EQ(err.code, RFL_ENOMEM);
}

TEST(nobody_need_listen) {
  CHECK_EQ(rfl_fail(NULL, RFL_EIO, "%s", "lost"), RFL_EIO);
  CHECK_EQ(rfl_no_memory(NULL), RFL_ENOMEM);
}

TEST(a_message_can_be_wrapped_in_another) {
  struct rfl_err err;
  rfl_fail(&err, RFL_EIO, "the disk is full");
  rfl_fail(&err, RFL_EIO, "Checkpoint '%s': %s.", "a", err.message);
  CHECK_STR(err.message, "Checkpoint 'a': the disk is full.");
}

/* Every length of the text before the cut, so that the cut falls inside the character at
 * each of its bytes. */
TEST(a_long_message_is_cut_at_a_whole_character) {
  static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac",
                                           "\xf0\x9f\x8c\x8a"};
  for (size_t c = 0; c < 4; c++)
    for (size_t before = 0; before < 8; before++) {
      char text[2000];
      size_t n = before, size = strlen(characters[c]);
      memset(text, 'x', before);
      while (n + size < sizeof text) {
        memcpy(text + n, characters[c], size);
        n += size;
      }
      text[n] = '\0';
      struct rfl_err err;
      rfl_fail(&err, RFL_EDATA, "%s", text);
      size_t kept = strlen(err.message);
      CHECK(kept < sizeof err.message && kept + size >= sizeof err.message);
      CHECK_EQ((kept - before) % size, 0);
      CHECK(memcmp(err.message, text, kept) == 0);
    }
}

TEST(bytes_that_are_not_utf8_are_shown_as_question_marks) {
  struct rfl_err err;
  rfl_fail(&err, RFL_EDATA, "<%s>", "a\xff\xc3\xa9\xc3(\xe2\x82");
  CHECK_STR(err.message,
            "<a?\xc3\xa9?(?"
            "?>");
  CHECK(rfl_utf8_valid(err.message, strlen(err.message)));
}

TEST(every_code_has_a_class) {
  for (int code = 0; code < RFL_N_CODES; code++) {
    const char *name = rfl_code_class((enum rfl_code)code);
    CHECK(name && strlen(name) > 1 && strcmp(name, "unknown") != 0);
  }
  CHECK_STR(rfl_code_class(RFL_ELOSS), "data");
  CHECK_STR(rfl_code_class(RFL_EBUSY), "state");
  CHECK_STR(rfl_code_class(RFL_EFATAL), "broker");
  CHECK_STR(rfl_code_class(RFL_ENOMEM), "nomem");
  CHECK_STR(rfl_code_class(RFL_N_CODES), "unknown");
}

int main(void) {
  RUN(fail_writes_code_and_message);
  RUN(nobody_need_listen);
  RUN(a_message_can_be_wrapped_in_another);
  RUN(a_long_message_is_cut_at_a_whole_character);
  RUN(bytes_that_are_not_utf8_are_shown_as_question_marks);
  RUN(every_code_has_a_class);
  return harness_end();
}
