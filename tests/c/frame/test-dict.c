#include "frame/dict.h"

#include <pthread.h>
#include <sched.h>

#include "draw.h"
#include "frame/dict_inline.h"
#include "harness.h"

static struct rfl_err err;

enum { MODEL_AT_MOST = 3000, TEXT_AT_MOST = 80 };

/* The model: a list of texts, searched from the front. */
struct model {
  int32_t n;
  struct {
    size_t n;
    char text[TEXT_AT_MOST];
    const char *at; /* where the dictionary said that it is */
  } level[MODEL_AT_MOST];
};

static int32_t model_find(const struct model *m, const char *text, size_t n) {
  for (int32_t i = 0; i < m->n; i++)
    if (m->level[i].n == n && memcmp(m->level[i].text, text, n) == 0) return i;
  return -1;
}

static void check_levels(const struct rfl_dict *d, struct model *m) {
  CHECK_EQ(rfl_dict_size(d), m->n);
  for (int32_t i = 0; i < m->n; i++) {
    struct rfl_bytes b = rfl_dict_level(d, i);
    CHECK_EQ(b.n, m->level[i].n);
    CHECK(memcmp(b.p, m->level[i].text, b.n) == 0);
    CHECK(b.p[b.n] == 0);
    CHECK((const char *)b.p == m->level[i].at); /* levels never move */
    CHECK_EQ(rfl_dict_find(d, (const char *)b.p, b.n), i);
  }
}

/* Adds, looks up and cuts at random; the inline lookup, the safe one and the model agree
 * at every step. */
static void run_model(uint64_t seed, size_t most, uint32_t cuts) {
  static struct model m;
  m.n = 0;
  struct draw draw = {.seed = seed};
  struct rfl_dict *d = NULL;
  CHECK_OK(rfl_dict_new(&d, &err), &err);
  for (int step = 0; step < 6000 && m.n < MODEL_AT_MOST && !harness_failed_; step++) {
    char text[TEXT_AT_MOST + RFL_DICT_PADDING];
    memset(text, 'z', sizeof text); /* what lies behind a text must not matter */
    size_t n = draw_text(&draw, text, most);
    int32_t expected = model_find(&m, text, n), code = -2;
    CHECK_EQ(rfl_dict_lookup(d, text, n), expected);
    CHECK_EQ(rfl_dict_find(d, text, n), expected);
    if (draw_below(&draw, 4) == 0) continue;
    CHECK_OK(rfl_dict_code(d, text, n, &code, &err), &err);
    CHECK_EQ(code, expected < 0 ? m.n : expected);
    if (expected < 0) {
      m.level[m.n].n = n;
      m.level[m.n].at = (const char *)rfl_dict_level(d, code).p;
      memcpy(m.level[m.n++].text, text, n);
    }
    if (cuts && draw_below(&draw, cuts) == 0) {
      uint32_t drop = draw_below(&draw, 8) ? 3 : (uint32_t)m.n + 1;
      m.n -= (int32_t)draw_below(&draw, drop) % (m.n + 1);
      rfl_dict_cut(d, m.n);
    }
  }
  check_levels(d, &m);
  rfl_dict_release(d);
}

TEST(a_dictionary_is_a_list_of_distinct_texts) {
  run_model(1, 8, 0);
  run_model(2, 20, 0);
  run_model(3, 40, 0);
  run_model(4, 80, 0);
}

TEST(cutting_forgets_the_newest_levels_and_no_other) {
  for (uint64_t seed = 10; seed < 30 && !harness_failed_; seed++)
    run_model(seed, seed % 2 ? 12 : 70, 5);
}

TEST(the_lookup_reads_sixteen_bytes_and_never_more) {
  struct rfl_dict *d = NULL;
  CHECK_OK(rfl_dict_new(&d, &err), &err);
  for (size_t n = 0; n <= 64; n++) {
    size_t size = n > RFL_DICT_PADDING ? n : RFL_DICT_PADDING;
    char *text = rfl_alloc(size, 1); /* the address sanitizer watches its end */
    int32_t code = -1;
    memset(text, 'x', n);
    CHECK_EQ(rfl_dict_lookup(d, text, n), -1);
    char *exact = rfl_alloc(n, 1);
    memset(exact, 'x', n);
    CHECK_OK(rfl_dict_code(d, exact, n, &code, &err), &err);
    CHECK_EQ(rfl_dict_lookup(d, text, n), code);
    rfl_free(exact);
    rfl_free(text);
  }
  CHECK_EQ(rfl_dict_size(d), 65);
  rfl_dict_release(d);
}

TEST(a_hundred_thousand_levels_keep_their_codes) {
  struct rfl_dict *d = NULL;
  CHECK_OK(rfl_dict_new(&d, &err), &err);
  char text[64];
  for (int pass = 0; pass < 2; pass++) {
    for (int32_t i = 0; i < 100000; i++) {
      int n =
          snprintf(text, sizeof text, i % 3 ? "user-%d" : "www.site-%d.example.com", i);
      int32_t code = -1;
      CHECK_OK(rfl_dict_code(d, text, (size_t)n, &code, &err), &err);
      CHECK_EQ(code, i);
    }
  }
  rfl_dict_cut(d, 70);
  CHECK_EQ(rfl_dict_size(d), 70);
  CHECK_EQ(rfl_dict_find(d, "user-70", 7), -1);
  CHECK_EQ(rfl_dict_find(d, "user-68", 7), 68);
  rfl_dict_release(d);
}

TEST(a_text_longer_than_a_block_has_a_block_of_its_own) {
  struct rfl_dict *d = NULL;
  CHECK_OK(rfl_dict_new(&d, &err), &err);
  size_t size = (size_t)3 << 20;
  char *text = rfl_alloc(size, 1);
  int32_t code = -1;
  memset(text, 'l', size);
  CHECK_OK(rfl_dict_code(d, "a", 1, &code, &err), &err);
  CHECK_OK(rfl_dict_code(d, text, size, &code, &err), &err);
  CHECK_OK(rfl_dict_code(d, "b", 1, &code, &err), &err);
  CHECK_EQ(rfl_dict_find(d, text, size), 1);
  CHECK_EQ(rfl_dict_find(d, text, size - 1), -1);
  rfl_dict_cut(d, 1);
  CHECK_EQ(rfl_dict_find(d, text, size), -1);
  CHECK_OK(rfl_dict_code(d, "b", 1, &code, &err), &err);
  CHECK_EQ(code, 1);
  rfl_free(text);
  rfl_dict_release(d);
}

/* One writer adds and takes back; a reader reads every level below the count that it was
 * last told, with nothing but that hand-over between them. */
struct shared {
  struct rfl_dict *dict;
  int32_t told; /* atomic */
  int32_t wrong;
};
enum { TOLD_AT_MOST = 20000 };

static void *read_levels(void *arg) {
  struct shared *s = arg;
  int32_t from = 0, told = 0;
  while (told < TOLD_AT_MOST) {
    told = __atomic_load_n(&s->told, __ATOMIC_ACQUIRE);
    if (told == from) sched_yield();
    for (int32_t i = told > 200 ? told - 200 : 0; i < told; i++) {
      char text[32];
      int n = snprintf(text, sizeof text, "level %d", (int)i);
      struct rfl_bytes b = rfl_dict_level(s->dict, i);
      if (b.n != (size_t)n || memcmp(b.p, text, b.n) != 0) s->wrong++;
    }
    from = told;
  }
  rfl_dict_release(s->dict);
  return NULL;
}

TEST(a_reader_needs_no_lock_while_the_writer_goes_on) {
  struct shared s = {0};
  CHECK_OK(rfl_dict_new(&s.dict, &err), &err);
  struct rfl_dict *d = rfl_dict_keep(s.dict);
  pthread_t reader;
  CHECK_EQ(pthread_create(&reader, NULL, read_levels, &s), 0);
  char text[32];
  for (int32_t i = 0; i < TOLD_AT_MOST; i++) {
    int32_t code = -1;
    int n = snprintf(text, sizeof text, "level %d", (int)i);
    CHECK_OK(rfl_dict_code(d, text, (size_t)n, &code, &err), &err);
    if (i % 7 == 0) { /* a row that is rolled back */
      CHECK_OK(rfl_dict_code(d, "a level that nobody is told of", 30, &code, &err), &err);
      rfl_dict_cut(d, i + 1);
    }
    if (i % 50 == 49) __atomic_store_n(&s.told, i + 1, __ATOMIC_RELEASE);
  }
  CHECK_EQ(pthread_join(reader, NULL), 0);
  CHECK_EQ(s.wrong, 0);
  rfl_dict_release(d);
}

static enum rfl_code fill(void) {
  struct rfl_dict *d = NULL;
  RFL_TRY(rfl_dict_new(&d, &err));
  enum rfl_code code = RFL_OK;
  for (int i = 0; i < 200 && !code; i++) {
    char text[64];
    int32_t gives = -7;
    int n = snprintf(text, sizeof text, i % 2 ? "%d" : "a longer text, number %d", i);
    code = rfl_dict_code(d, text, (size_t)n, &gives, &err);
    if (!code) CHECK_EQ(gives, i);
    if (code) { /* a dictionary that had no memory is as it was */
      CHECK_EQ(gives, -7);
      CHECK_EQ(rfl_dict_size(d), i);
      CHECK_EQ(rfl_dict_find(d, text, (size_t)n), -1);
      rfl_mem_fail_after(-1);
      CHECK_OK(rfl_dict_code(d, text, (size_t)n, &gives, &err), &err);
      CHECK_EQ(gives, i);
      rfl_mem_fail_after(0);
    }
  }
  rfl_dict_release(d);
  return code;
}

TEST(no_memory_leaves_the_dictionary_as_it_was) {
  int64_t live = rfl_mem_live();
  for (int64_t k = 0; k < 1000; k++) {
    rfl_mem_fail_after(k);
    enum rfl_code code = fill();
    rfl_mem_fail_after(-1);
    CHECK_EQ(rfl_mem_live(), live);
    if (code == RFL_OK || harness_failed_) break;
    CHECK_EQ(code, RFL_ENOMEM);
  }
}

int main(void) {
  RUN(a_dictionary_is_a_list_of_distinct_texts);
  RUN(cutting_forgets_the_newest_levels_and_no_other);
  RUN(the_lookup_reads_sixteen_bytes_and_never_more);
  RUN(a_hundred_thousand_levels_keep_their_codes);
  RUN(a_text_longer_than_a_block_has_a_block_of_its_own);
  RUN(a_reader_needs_no_lock_while_the_writer_goes_on);
  RUN(no_memory_leaves_the_dictionary_as_it_was);
  return harness_end();
}
