/* Builders against a naive store of rows: random programs of sets, repeated sets, nulls,
 * rollbacks and commits over random schemas, through the safe setters and the inline
 * ones, frame after frame. */
#include "frame/builder.h"

#include "draw.h"
#include "frame/builder_inline.h"
#include "harness.h"

static struct rfl_err err;

enum { COLUMNS_AT_MOST = 140, ROWS_AT_MOST = 400, TEXT_AT_MOST = 24 };

struct cell {
  bool set;
  int64_t number; /* double columns: the value of a quarter of it */
  uint8_t n;
  char text[TEXT_AT_MOST];
};

struct store { /* the model */
  uint32_t n_rows;
  struct cell row[ROWS_AT_MOST + 1][COLUMNS_AT_MOST];
  /* Distinct texts of committed rows, a column: what the dictionary must hold. */
  int32_t n_levels[COLUMNS_AT_MOST];
};

static struct rfl_schema *draw_schema(struct draw *d, size_t n) {
  static char name[COLUMNS_AT_MOST][24];
  struct rfl_field f[COLUMNS_AT_MOST];
  for (size_t c = 0; c < n; c++) {
    snprintf(name[c], sizeof name[c], "c%zu", c);
    f[c] = (struct rfl_field){.name = name[c],
                              .type = (enum rfl_type)draw_below(d, RFL_N_TYPES)};
  }
  struct rfl_schema *s = NULL;
  CHECK_OK(rfl_schema_new(f, n, &s, &err), &err);
  return s;
}

static void set_text(struct rfl_builder *b, size_t c, const char *text, size_t n,
                     bool fast) {
  char padded[TEXT_AT_MOST + RFL_DICT_PADDING];
  memset(padded, '#', sizeof padded);
  memcpy(padded, text, n);
  if (!fast)
    CHECK_OK(rfl_builder_text(b, c, padded, n, &err), &err);
  else if (rfl_builder_dict(b, c))
    CHECK_OK(rfl_row_factor(b, c, padded, n, &err), &err);
  else
    CHECK_OK(rfl_row_text(b, c, padded, n, &err), &err);
}

static void set(struct draw *d, struct rfl_builder *b, size_t c, struct cell *cell) {
  bool fast = draw_below(d, 2);
  *cell = (struct cell){.set = true};
  cell->number = (int64_t)draw_below(d, 2000) - 1000;
  switch (rfl_builder_schema(b)->field[c].type) {
    case RFL_LOGICAL:
    case RFL_INTEGER:
    case RFL_DATE:
      (fast ? rfl_row_int : rfl_builder_int)(b, c, (int32_t)cell->number);
      break;
    case RFL_INTEGER64:
    case RFL_TIMESTAMP:
      cell->number *= INT64_C(1) << 40;
      (fast ? rfl_row_long : rfl_builder_long)(b, c, cell->number);
      break;
    case RFL_DOUBLE:
      (fast ? rfl_row_double : rfl_builder_double)(b, c, (double)cell->number / 4);
      break;
    default:
      cell->n = (uint8_t)draw_text(d, cell->text, draw_below(d, 2) ? 5 : TEXT_AT_MOST);
      set_text(b, c, cell->text, cell->n, fast);
  }
}

/* One row: most columns set, some again, some to null, some never. */
static void fill_row(struct draw *d, struct rfl_builder *b, struct cell *row) {
  size_t n = rfl_builder_schema(b)->n;
  uint32_t lacks = draw_below(d, 3) ? 0 : 4;
  for (size_t c = 0; c < n; c++) {
    row[c].set = false;
    if (lacks && draw_below(d, lacks) == 0) continue;
    set(d, b, c, &row[c]);
  }
  for (uint32_t again = draw_below(d, 4); again > 0; again--) {
    size_t c = draw_below(d, (uint32_t)n);
    if (draw_below(d, 3)) {
      set(d, b, c, &row[c]);
    } else {
      rfl_builder_missing(b, c);
      row[c].set = false;
    }
  }
}

static void check_cell(const struct rfl_column *col, uint32_t i,
                       const struct cell *want) {
  CHECK_EQ(rfl_column_has(col, i), want->set);
  struct cell none = {0};
  if (!want->set) want = &none; /* an empty slot holds 0 or no text */
  switch (col->type) {
    case RFL_INTEGER64:
    case RFL_TIMESTAMP:
      CHECK_EQ(col->i64[i], want->number);
      return;
    case RFL_DOUBLE:
      CHECK(col->f64[i] == (double)want->number / 4);
      return;
    case RFL_STRING:
    case RFL_RAW:
      CHECK_EQ(col->offset[i + 1] - col->offset[i], want->n);
      CHECK(memcmp(col->bytes + col->offset[i], want->text, want->n) == 0);
      return;
    case RFL_FACTOR:
      if (!want->set) {
        CHECK_EQ(col->i32[i], 0);
        return;
      }
      CHECK(col->i32[i] >= 0 && col->i32[i] < col->levels);
      struct rfl_bytes b = rfl_dict_level(col->dict, col->i32[i]);
      CHECK_EQ(b.n, want->n);
      CHECK(memcmp(b.p, want->text, want->n) == 0);
      return;
    default:
      CHECK_EQ(col->i32[i], want->number);
  }
}

static void check_frame(const struct rfl_frame *f, struct store *m) {
  CHECK_EQ(f->n_rows, m->n_rows);
  for (size_t c = 0; c < f->schema->n && !harness_failed_; c++) {
    const struct rfl_column *col = &f->column[c];
    bool gaps = false;
    for (uint32_t i = 0; i < m->n_rows; i++) {
      check_cell(col, i, &m->row[i][c]);
      gaps = gaps || !m->row[i][c].set;
    }
    CHECK_EQ(col->valid != NULL, gaps); /* lazily: only where something is missing */
    if (gaps && f->n_rows % 8) CHECK_EQ(col->valid[f->n_rows / 8] >> f->n_rows % 8, 0);
    if (col->type == RFL_STRING || col->type == RFL_RAW)
      CHECK(col->bytes != NULL && col->offset[0] == 0);
    if (col->dict) CHECK_EQ(col->levels, m->n_levels[c]);
  }
}

/* A level of the dictionary that was not there before counts once its row is committed:
 * the model finds it by looking through the rows of this frame and `old` ones. */
static void count_levels(struct store *m, const struct rfl_builder *b,
                         const struct cell *row) {
  for (size_t c = 0; c < rfl_builder_schema(b)->n; c++) {
    struct rfl_dict *dict = rfl_builder_dict(b, c);
    if (!dict || !row[c].set) continue;
    int32_t code = rfl_dict_find(dict, row[c].text, row[c].n);
    CHECK(code >= 0 && code <= m->n_levels[c]);
    if (code == m->n_levels[c]) m->n_levels[c]++;
    CHECK_EQ(rfl_dict_size(dict), m->n_levels[c]); /* nothing of nulls and repeats */
  }
}

static void run_program(uint64_t seed, size_t n_columns, int frames) {
  static struct store m;
  struct draw d = {.seed = seed};
  struct rfl_schema *schema = draw_schema(&d, n_columns);
  struct rfl_builder *b = NULL;
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  rfl_schema_release(schema);
  memset(m.n_levels, 0, sizeof m.n_levels);
  for (int k = 0; k < frames && !harness_failed_; k++) {
    m.n_rows = 0;
    uint32_t rows = draw_below(&d, 3) ? draw_below(&d, 20) : draw_below(&d, ROWS_AT_MOST);
    while (m.n_rows < rows && !harness_failed_) {
      struct cell *row = m.row[m.n_rows];
      CHECK_OK(draw_below(&d, 2) ? rfl_row_open(b, &err) : rfl_builder_open(b, &err),
               &err);
      fill_row(&d, b, row);
      if (draw_below(&d, 5) == 0) {
        rfl_builder_rollback(b);
        continue;
      }
      (draw_below(&d, 2) ? rfl_row_commit : rfl_builder_commit)(b);
      count_levels(&m, b, row);
      m.n_rows++;
      CHECK_EQ(rfl_builder_rows(b), m.n_rows);
    }
    if (draw_below(&d, 8) == 0) {
      rfl_builder_clear(b);
      m.n_rows = 0;
    }
    struct rfl_frame *f = NULL;
    CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
    CHECK_EQ(rfl_builder_rows(b), 0);
    check_frame(f, &m);
    rfl_frame_release(f);
  }
  rfl_builder_release(b);
}

TEST(a_builder_is_a_store_of_rows) {
  for (uint64_t seed = 1; seed < 60 && !harness_failed_; seed++)
    run_program(seed, 1 + seed % 12, 12);
}

TEST(more_columns_than_a_word_has_bits) {
  const size_t n[] = {63, 64, 65, 127, 128, 129, COLUMNS_AT_MOST};
  for (size_t i = 0; i < sizeof n / sizeof *n && !harness_failed_; i++)
    run_program(100 + i, n[i], 3);
}

TEST(a_schema_without_columns_still_counts_rows) {
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  struct rfl_frame *f = NULL;
  CHECK_OK(rfl_schema_new(NULL, 0, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &b, &err), &err);
  for (int i = 0; i < 100; i++) {
    CHECK_OK(rfl_builder_open(b, &err), &err);
    rfl_builder_commit(b);
  }
  CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
  CHECK_EQ(f->n_rows, 100);
  rfl_frame_release(f);
  rfl_builder_release(b);
  rfl_schema_release(schema);
}

static struct rfl_builder *two_columns(enum rfl_type first) {
  struct rfl_field field[] = {{.name = "x", .type = first},
                              {.name = "s", .type = RFL_STRING}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *b = NULL;
  if (!rfl_schema_new(field, 2, &schema, &err))
    CHECK(rfl_builder_new(schema, &b, &err) == RFL_OK || rfl_mem_failed());
  rfl_schema_release(schema);
  return b;
}

TEST(frames_outlive_their_builder_and_share_its_dictionary) {
  struct rfl_builder *b = two_columns(RFL_FACTOR);
  struct rfl_frame *f[2] = {NULL};
  for (int k = 0; k < 2; k++) {
    const char *level = k ? "desktop" : "mobile";
    CHECK_OK(rfl_builder_open(b, &err), &err);
    CHECK_OK(rfl_builder_text(b, 0, level, strlen(level), &err), &err);
    rfl_builder_commit(b);
    CHECK_OK(rfl_builder_finish(b, &f[k], &err), &err);
  }
  rfl_builder_release(b);
  CHECK(f[0]->column[0].dict == f[1]->column[0].dict);
  CHECK_EQ(f[0]->column[0].levels, 1); /* what was added later is not this frame's */
  CHECK_EQ(f[1]->column[0].levels, 2);
  CHECK_EQ(f[1]->column[0].i32[0], 1);
  rfl_frame_release(f[0]);
  CHECK_STR((const char *)rfl_dict_level(f[1]->column[0].dict, 0).p, "mobile");
  rfl_frame_release(f[1]);
}

TEST(a_level_set_and_taken_back_in_one_row_is_gone) {
  struct rfl_builder *b = two_columns(RFL_FACTOR);
  struct rfl_dict *dict = rfl_builder_dict(b, 0);
  CHECK_OK(rfl_builder_open(b, &err), &err);
  CHECK_OK(rfl_builder_text(b, 0, "typo", 4, &err), &err);
  CHECK_EQ(rfl_dict_size(dict), 1);
  CHECK_OK(rfl_builder_text(b, 0, "mobile", 6, &err), &err);
  rfl_builder_commit(b);
  CHECK_EQ(rfl_dict_size(dict), 1);
  CHECK_EQ(rfl_dict_find(dict, "typo", 4), -1);
  CHECK_OK(rfl_builder_open(b, &err), &err);
  CHECK_OK(rfl_builder_text(b, 0, "typo", 4, &err), &err);
  rfl_builder_missing(b, 0);
  rfl_builder_commit(b);
  CHECK_EQ(rfl_dict_size(dict), 1);
  CHECK_OK(rfl_builder_open(b, &err), &err);
  CHECK_OK(rfl_builder_text(b, 0, "typo", 4, &err), &err);
  rfl_builder_rollback(b);
  CHECK_EQ(rfl_dict_size(dict), 1);
  rfl_builder_release(b);
}

TEST(the_bytes_held_are_those_of_the_rows) {
  struct rfl_builder *b = two_columns(RFL_DOUBLE);
  CHECK_EQ(rfl_builder_bytes(b), 0);
  for (int i = 0; i < 1000; i++) {
    CHECK_OK(rfl_builder_open(b, &err), &err);
    rfl_builder_double(b, 0, i);
    CHECK_OK(rfl_builder_text(b, 1, "0123456789", 10, &err), &err);
    rfl_builder_commit(b);
  }
  CHECK_EQ(rfl_builder_bytes(b), 1000 * (8 + 4 + 10));
  rfl_builder_clear(b);
  CHECK_EQ(rfl_builder_bytes(b), 0);
  rfl_builder_release(b);
}

TEST(text_beyond_an_offset_is_refused_not_wrapped) {
  struct rfl_builder *b = two_columns(RFL_DOUBLE);
  CHECK_OK(rfl_builder_open(b, &err), &err);
  CHECK_OK(rfl_builder_text(b, 1, "some", 4, &err), &err);
  rfl_builder_commit(b);
  CHECK_OK(rfl_builder_open(b, &err), &err);
  CHECK_EQ(rfl_builder_text(b, 1, "x", (size_t)INT32_MAX - 3, &err), RFL_EDATA);
  CHECK(strstr(err.message, "`s`") != NULL);
  rfl_builder_release(b);
}

/* ---- no memory ---- */

static enum rfl_code one_row(struct rfl_builder *b, int i) {
  char text[40];
  int n = snprintf(text, sizeof text, "a text of some length, %d", i);
  RFL_TRY(rfl_builder_open(b, &err));
  RFL_TRY(rfl_builder_text(b, 0, text, (size_t)n, &err));
  if (i % 5) RFL_TRY(rfl_builder_text(b, 1, text, (size_t)n, &err));
  rfl_builder_commit(b);
  return rfl_builder_place(b, (uint32_t)i % 3, i, 1, &err);
}

static enum rfl_code two_frames(void) {
  struct rfl_builder *b = two_columns(RFL_FACTOR);
  if (!b) return RFL_ENOMEM;
  enum rfl_code code = RFL_OK;
  for (uint32_t p = 0; p < 3 && !code; p++)
    code = rfl_builder_name_place(b, p, "clicks", (int32_t)p, &err);
  for (int k = 0; k < 2 && !code; k++) {
    for (int i = 0; i < 150 && !code; i++) code = one_row(b, 150 * k + i);
    struct rfl_frame *f = NULL;
    if (!code) code = rfl_builder_finish(b, &f, &err);
    if (!code) CHECK_EQ(f->n_rows, 150);
    rfl_frame_release(f);
  }
  rfl_builder_release(b);
  return code;
}

TEST(no_memory_at_any_point_leaves_nothing) { SWEEP(two_frames()); }

/* A finish that had no memory may be asked again and gives the same frame. */
TEST(no_memory_at_finish_loses_no_row) {
  for (int64_t k = 0; !harness_failed_; k++) {
    struct rfl_builder *b = two_columns(RFL_FACTOR);
    for (uint32_t p = 0; p < 3; p++)
      CHECK_OK(rfl_builder_name_place(b, p, "clicks", (int32_t)p, &err), &err);
    for (int i = 0; i < 67; i++) CHECK_OK(one_row(b, i), &err);
    struct rfl_frame *f = NULL;
    rfl_mem_fail_once(k);
    enum rfl_code code = rfl_builder_finish(b, &f, &err);
    int blown = rfl_mem_failed();
    rfl_mem_fail_after(-1);
    CHECK_EQ(code, blown ? RFL_ENOMEM : RFL_OK);
    if (code) {
      CHECK(f == NULL);
      CHECK_OK(one_row(b, 67), &err);
      CHECK_OK(rfl_builder_finish(b, &f, &err), &err);
    }
    CHECK_EQ(f->n_rows, code ? 68 : 67);
    CHECK_EQ(f->n_spans, f->n_rows);
    for (uint32_t i = 0; i < f->n_rows; i++) {
      CHECK_EQ(f->column[0].i32[i], i);
      CHECK_EQ(rfl_column_has(&f->column[1], i), i % 5 != 0);
    }
    rfl_frame_release(f);
    rfl_builder_release(b);
    if (!blown) break;
  }
}

int main(void) {
  RUN(a_builder_is_a_store_of_rows);
  RUN(more_columns_than_a_word_has_bits);
  RUN(a_schema_without_columns_still_counts_rows);
  RUN(frames_outlive_their_builder_and_share_its_dictionary);
  RUN(a_level_set_and_taken_back_in_one_row_is_gone);
  RUN(the_bytes_held_are_those_of_the_rows);
  RUN(text_beyond_an_offset_is_refused_not_wrapped);
  RUN(no_memory_at_any_point_leaves_nothing);
  RUN(no_memory_at_finish_loses_no_row);
  return harness_end();
}
