/* Hashed features, extra columns, missing features, keys: what a recipe can do beside
 * R's model matrix. */
#include "base/random.h"
#include "design/recipe.h"
#include "harness.h"
#include "help.h"

static struct rfl_err err;

static const struct rfl_coding none[] = {{0}, {0}};
static const int32_t at0[] = {0}, at1[] = {1}, at2[] = {2}, at01[] = {0, 1};
static const char *const with_ad[] = {"ad"};

struct use { /* a recipe with a workspace */
  struct rfl_recipe *recipe;
  struct rfl_workspace *ws;
  struct rfl_block block;
};

static struct use use_of(struct rfl_recipe_spec spec, enum rfl_purpose purpose) {
  struct use u = {0};
  CHECK_OK(rfl_recipe_new(&spec, &u.recipe, &err), &err);
  CHECK_OK(rfl_layout_check(rfl_recipe_layout(u.recipe), &err), &err);
  CHECK_OK(rfl_workspace_new(u.recipe, purpose, RFL_UNSEEN_ERROR, &u.ws, &err), &err);
  return u;
}

static void use_end(struct use *u) {
  rfl_workspace_release(u->ws);
  rfl_recipe_release(u->recipe);
}

static enum rfl_code apply(struct use *u, const struct rfl_frame *f, uint32_t row,
                           uint32_t n) {
  return rfl_recipe_apply(u->recipe, &(struct rfl_rows){f, row, n}, u->ws, &u->block,
                          &err);
}

static enum rfl_code apply_text(struct use *u, const char *schema, const char *rows) {
  struct rfl_frame *f = frame_of(schema, rows);
  enum rfl_code code = apply(u, f, 0, f->n_rows);
  rfl_frame_release(f);
  return code;
}

/* ~ 0 + hashed(user), of 2^k slots; 0: an open set */
static struct rfl_recipe_spec hashed_spec(int32_t slots) {
  static struct rfl_variable user;
  static const struct rfl_term_spec term[] = {{1, at0, none}};
  user = (struct rfl_variable){
      .name = "user", .kind = RFL_HASHED, .slots = slots, .seed = 42};
  return (struct rfl_recipe_spec){
      .n_variables = 1, .variable = &user, .n_terms = 1, .term = term};
}

static uint64_t hash_of(const char *type, const char *cell) {
  struct use u = use_of(hashed_spec(0), RFL_FOR_SCORING);
  char schema[64];
  snprintf(schema, sizeof schema, "user %s", type);
  CHECK_OK(apply_text(&u, schema, cell), &err);
  CHECK_EQ(u.block.coded[0].levels, 0);
  CHECK(u.block.coded[0].code == NULL);
  uint64_t h = u.block.hash[0][0];
  use_end(&u);
  return h;
}

/* These never change: models that were saved hold weights by slot. */
TEST(hashes_are_golden) {
  CHECK(hash_of("string", "7") == 0x4f38ff72e994fba1u);
  CHECK(hash_of("string", "u17") == 0x858ceb22db4a9829u);
  CHECK(hash_of("double", "-0.25") == 0x970b573a83185497u);
  CHECK(hash_of("double", "1e17") == 0xfbc397c181dc96d3u);
  CHECK(hash_of("logical", "1") == 0xd80ae00b3b4f7e54u);
  CHECK(hash_of("timestamp", "1500000") == 0x27c4efcc3241a061u);
  CHECK(hash_of("date", "19000") == 0x3e1d6535b1fb0f48u);
  CHECK(hash_of("string", "NA") == 0x4f204c24e33e73d4u);
}

TEST(a_value_has_one_hash_whatever_its_type) {
  uint64_t seven = hash_of("string", "7");
  CHECK(hash_of("factor", "7") == seven);
  CHECK(hash_of("integer", "7") == seven);
  CHECK(hash_of("integer64", "7") == seven);
  CHECK(hash_of("double", "7") == seven);
  CHECK(hash_of("double", "-0") == hash_of("string", "0"));
  CHECK(hash_of("integer", "-12") == hash_of("string", "-12"));
  CHECK(hash_of("double", "0.1") == hash_of("string", "0.1"));
  CHECK(hash_of("logical", "0") == hash_of("string", "FALSE"));
  CHECK(hash_of("date", "0") == hash_of("string", "1970-01-01"));
  CHECK(hash_of("timestamp", "0") == hash_of("string", "1970-01-01T00:00:00.000000Z"));
  CHECK(hash_of("double", "inf") == hash_of("string", "Inf"));
  CHECK(seven != hash_of("string", "8"));
}

TEST(a_missing_value_is_one_of_its_own) {
  uint64_t missing = hash_of("string", "NA");
  CHECK(hash_of("factor", "NA") == missing);
  CHECK(hash_of("double", "NA") == missing);
  CHECK(hash_of("double", "nan") == missing);
  CHECK(hash_of("integer", "NA") == missing);
  CHECK(hash_of("string", "NaN") != missing);
  struct use u = use_of(hashed_spec(8), RFL_FOR_SCORING);
  CHECK_OK(apply_text(&u, "user string", "a;NA;b"), &err);
  CHECK_EQ(u.block.n, 3);
  CHECK_EQ(rfl_workspace_count(u.ws)->missing, 0);
  use_end(&u);
}

TEST(a_slot_is_the_top_bits_of_the_hash) {
  for (int bits = 0; bits <= 20; bits += 4) {
    struct use u = use_of(hashed_spec(1 << bits), RFL_FOR_SCORING);
    CHECK_OK(apply_text(&u, "user factor", "u17;7;u17"), &err);
    uint64_t h = hash_of("string", "u17");
    CHECK_EQ(u.block.coded[0].code[0], bits ? (int32_t)(h >> (64 - bits)) : 0);
    CHECK_EQ(u.block.coded[0].code[2], u.block.coded[0].code[0]);
    CHECK_EQ(u.block.coded[0].levels, 1 << bits);
    CHECK(u.block.hash == NULL);
    use_end(&u);
  }
}

TEST(the_name_and_the_seed_are_part_of_the_hash) {
  struct rfl_recipe_spec spec = hashed_spec(0);
  struct rfl_variable other[2] = {spec.variable[0], spec.variable[0]};
  static const struct rfl_term_spec term[] = {{1, at0, none}, {1, at1, none}};
  other[1].name = "ad";
  spec.variable = other;
  spec.n_variables = 2;
  spec.n_terms = 2;
  spec.term = term;
  struct use u = use_of(spec, RFL_FOR_SCORING);
  CHECK_OK(apply_text(&u, "user string, ad string", "7 7"), &err);
  CHECK(u.block.hash[0][0] != u.block.hash[1][0]);
  use_end(&u);
  other[0].seed = 43;
  u = use_of(spec, RFL_FOR_SCORING);
  CHECK_OK(apply_text(&u, "user string, ad string", "7 7"), &err);
  CHECK(u.block.hash[0][0] != hash_of("string", "7"));
  use_end(&u);
}

/* hashed(user, ad) */
static struct rfl_recipe_spec crossed_spec(int32_t slots) {
  static struct rfl_variable own;
  struct rfl_recipe_spec spec = hashed_spec(slots);
  own = spec.variable[0];
  own.with = with_ad;
  own.n_with = 1;
  spec.variable = &own;
  return spec;
}

TEST(crossing_joins_the_hashes_of_the_values) {
  struct use u = use_of(crossed_spec(0), RFL_FOR_SCORING);
  CHECK_OK(apply_text(&u, "ad integer, user string", "1 a;2 a;1 b;NA a;1 NA;1 a"), &err);
  const uint64_t *h = u.block.hash[0];
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < i; j++) CHECK(h[i] != h[j]);
  CHECK(h[5] == h[0]);
  CHECK(h[0] == 0x97d0df71f693dd3cu); /* golden */
  use_end(&u);
}

TEST(slots_of_its_own_are_columns_with_names) {
  struct rfl_recipe_spec spec = crossed_spec(4);
  spec.intercept = true;
  struct use u = use_of(spec, RFL_FOR_SCORING);
  const struct rfl_layout *l = rfl_recipe_layout(u.recipe);
  CHECK_EQ(l->n_x, 5);
  CHECK_EQ(l->n_z, 5);
  CHECK_EQ(l->slots, 0);
  CHECK_EQ(l->term[1].n_codings, 0);
  CHECK_STR(rfl_recipe_column(u.recipe, 0), "(Intercept)");
  CHECK_STR(rfl_recipe_column(u.recipe, 1), "hashed(user, ad)0");
  CHECK_STR(rfl_recipe_column(u.recipe, 4), "hashed(user, ad)3");
  CHECK_OK(apply_text(&u, "ad integer, user string", "1 a;2 b;NA c"), &err);
  double x[15];
  rfl_design_expand(l, &u.block, x);
  for (size_t i = 0; i < 3; i++)
    for (int32_t s = 0; s < 4; s++)
      CHECK_NEAR(x[(size_t)(s + 1) * 3 + i], u.block.coded[0].code[i] == s, 0);
  use_end(&u);
}

/* 1 + x + hashed(user):x + f + hashed(ad), over one table */
static struct rfl_recipe_spec shared_spec(int32_t slots) {
  static const char *const levels[] = {"a", "b"};
  static int32_t select[] = {-1, 0};
  static const struct rfl_coding by_level[] = {{2, 1, select, NULL, NULL}};
  static const int32_t at3[] = {3};
  static const struct rfl_term_spec term[] = {
      {1, at0, none}, {2, at01, none}, {1, at2, by_level}, {1, at3, none}};
  static struct rfl_variable v[4];
  v[0] = (struct rfl_variable){.name = "x"};
  v[1] = (struct rfl_variable){.name = "user", .kind = RFL_HASHED, .slots = slots};
  v[2] = (struct rfl_variable){
      .name = "f", .kind = RFL_CATEGORY, .level = levels, .n_levels = 2};
  v[3] = (struct rfl_variable){.name = "ad", .kind = RFL_HASHED, .slots = slots};
  return (struct rfl_recipe_spec){.n_variables = 4,
                                  .variable = v,
                                  .intercept = true,
                                  .n_terms = 4,
                                  .term = term,
                                  .shared = true};
}

TEST(a_shared_table_stands_once_behind_all_other_columns) {
  struct use u = use_of(shared_spec(1 << 22), RFL_FOR_SCORING);
  const struct rfl_layout *l = rfl_recipe_layout(u.recipe);
  CHECK_EQ(l->slots, 1 << 22);
  CHECK_EQ(l->n_x, 3 + (1 << 22)); /* 1, x, fb */
  CHECK_EQ(l->n_z, 4 + (1 << 22));
  CHECK_EQ(l->term[2].x, 3);
  CHECK_EQ(l->term[4].x, 3);
  CHECK_EQ(l->term[3].x, 2);
  CHECK_STR(rfl_recipe_column(u.recipe, 2), "fb");
  CHECK_STR(rfl_recipe_column(u.recipe, 3), "hashed");
  use_end(&u);
}

TEST(terms_that_share_slots_add_up_in_the_model_matrix) {
  struct use u = use_of(shared_spec(1), RFL_FOR_SCORING);
  struct rfl_frame *f =
      frame_of("x double, user string, f string, ad string", "3 u a v;5 v b u");
  CHECK_OK(apply(&u, f, 0, 2), &err);
  double x[8]; /* 1, x, fb, and the one slot: x of hashed(user):x and 1 of hashed(ad) */
  rfl_design_expand(rfl_recipe_layout(u.recipe), &u.block, x);
  CHECK_NEAR(x[4], 0, 0);
  CHECK_NEAR(x[5], 1, 0);
  CHECK_NEAR(x[6], 3 + 1, 0);
  CHECK_NEAR(x[7], 5 + 1, 0);
  rfl_frame_release(f);
  use_end(&u);
}

static enum rfl_code try_spec(const struct rfl_recipe_spec *spec) {
  struct rfl_recipe *r = NULL;
  enum rfl_code code = rfl_recipe_new(spec, &r, &err);
  rfl_recipe_release(r);
  return code;
}

TEST(slots_that_cannot_be_are_refused) {
  struct rfl_recipe_spec spec = hashed_spec(6);
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  CHECK_STR(err.message, "The slots of hashed `user` must be a power of two, not 6.");
  spec = hashed_spec(-8);
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  spec = hashed_spec(1 << 21);
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  spec = shared_spec(0);
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  spec = shared_spec(4);
  struct rfl_variable own[4];
  memcpy(own, spec.variable, sizeof own);
  spec.variable = own;
  own[3].slots = 8;
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  own[3] = own[1];
  own[0] = own[1]; /* hashed(user):hashed(user) */
  CHECK_EQ(try_spec(&spec), RFL_EARGUMENT);
  CHECK_STR(err.message,
            "A hashed variable cannot be in one term with another category.");
}

/* ---- extra columns, codes as response ---- */

static struct rfl_recipe_spec extras_spec(bool may_miss) {
  static const char *const strata[] = {"north", "south"}, *const kinds[] = {"a", "b",
                                                                            "c"};
  static struct rfl_extra_spec extra[3];
  extra[0] = (struct rfl_extra_spec){.name = "time", .may_miss = may_miss};
  extra[1] = (struct rfl_extra_spec){.name = "stratum",
                                     .kind = RFL_EXTRA_LEVEL,
                                     .may_miss = may_miss,
                                     .for_scoring = true,
                                     .level = strata,
                                     .n_levels = 2};
  extra[2] = (struct rfl_extra_spec){
      .name = "user", .kind = RFL_EXTRA_BUCKET, .may_miss = may_miss, .buckets = 256};
  return (struct rfl_recipe_spec){.response = RFL_RESPONSE_CODE,
                                  .y = "y",
                                  .y_level = kinds,
                                  .n_y_levels = 3,
                                  .intercept = true,
                                  .n_extra = 3,
                                  .extra = extra};
}

static const char *const extras_schema =
    "y factor, time double, stratum string, user integer";
static const char *const extras_rows =
    "b 1.5 south 7;c NA north 8;a 2 NA 8;c 3 north NA;c 4 north 7";

TEST(extra_columns_come_as_doubles) {
  struct use u = use_of(extras_spec(false), RFL_FOR_LEARNING);
  CHECK_EQ(rfl_recipe_layout(u.recipe)->n_extra, 3);
  CHECK_OK(apply_text(&u, extras_schema, extras_rows), &err);
  CHECK_EQ(u.block.n, 2);
  CHECK_EQ(u.block.n_extra, 3);
  CHECK_NEAR(u.block.y[0], 1, 0);
  CHECK_NEAR(u.block.y[1], 2, 0);
  CHECK_NEAR(u.block.extra[0][1], 4, 0);
  CHECK_NEAR(u.block.extra[1][0], 1, 0);
  CHECK_NEAR(u.block.extra[1][1], 0, 0);
  CHECK_NEAR(u.block.extra[2][0], u.block.extra[2][1], 0);
  CHECK(u.block.extra[2][0] >= 0 && u.block.extra[2][0] < 256);
  CHECK_EQ(rfl_workspace_count(u.ws)->missing, 3);
  use_end(&u);
}

TEST(an_extra_that_may_miss_leaves_no_row_out) {
  struct use u = use_of(extras_spec(true), RFL_FOR_LEARNING);
  CHECK_OK(apply_text(&u, extras_schema, extras_rows), &err);
  CHECK_EQ(u.block.n, 5);
  CHECK(isnan(u.block.extra[0][1]) && isnan(u.block.extra[1][2]) &&
        isnan(u.block.extra[2][3]));
  CHECK_NEAR(u.block.extra[0][4], 4, 0);
  use_end(&u);
}

TEST(scoring_wants_only_the_extras_that_say_so) {
  struct use u = use_of(extras_spec(false), RFL_FOR_SCORING);
  CHECK_OK(apply_text(&u, "stratum string", "south;north"), &err);
  CHECK(u.block.extra[0] == NULL && u.block.extra[2] == NULL && u.block.y == NULL);
  CHECK_NEAR(u.block.extra[1][0], 1, 0);
  use_end(&u);
}

TEST(a_code_that_is_no_level_is_refused_and_named) {
  struct use u = use_of(extras_spec(true), RFL_FOR_LEARNING);
  CHECK_EQ(apply_text(&u, extras_schema, "b 1 south 7;z 1 south 7"), RFL_EDATA);
  CHECK_STR(err.message, "Row 2 has a level that the model does not know: y: 'z'.");
  use_end(&u);
}

/* ---- missing features ---- */

static struct rfl_recipe_spec missing_spec(void) {
  static const char *const f[] = {"a", "b"}, *const g[] = {"p", "q", "r"};
  static int32_t all2[] = {0, 1}, all3[] = {0, 1, 2};
  static const int32_t at12[] = {1, 2};
  static const struct rfl_coding cf[] = {{2, 2, all2, NULL, NULL}};
  static const struct rfl_coding cfg[] = {{2, 2, all2, NULL, NULL},
                                          {3, 3, all3, NULL, NULL}};
  static const struct rfl_variable v[] = {
      {.name = "x"},
      {.name = "f", .kind = RFL_CATEGORY, .level = f, .n_levels = 2},
      {.name = "g", .kind = RFL_CATEGORY, .level = g, .n_levels = 3}};
  static const struct rfl_term_spec term[] = {
      {1, at0, none}, {1, at1, cf}, {2, at12, cfg}};
  return (struct rfl_recipe_spec){.n_variables = 3,
                                  .variable = v,
                                  .n_terms = 3,
                                  .term = term,
                                  .response = RFL_RESPONSE_NUMBER,
                                  .y = "y",
                                  .missing = true};
}

TEST(rows_with_missing_features_stay_where_the_learner_takes_them) {
  struct use u = use_of(missing_spec(), RFL_FOR_LEARNING);
  const char *schema = "x double, f factor, g string, y double";
  CHECK_OK(apply_text(&u, schema, "1 b r 0;NA a q 1;3 NA q 1;4 z p 0;5 b NA 0;6 a p NA"),
           &err);
  CHECK(rfl_recipe_layout(u.recipe)->missing);
  CHECK_EQ(u.block.n, 5); /* a missing response still leaves the row out */
  CHECK(u.block.dense[0][0] == 1 && isnan(u.block.dense[0][1]) &&
        u.block.dense[0][4] == 5);
  const int32_t f[] = {1, 0, -1, -2, 1}, fg[] = {5, 2, -1, -2, -1};
  for (int i = 0; i < 5; i++) {
    CHECK_EQ(u.block.coded[0].code[i], f[i]);
    CHECK_EQ(u.block.coded[1].code[i], fg[i]);
  }
  const struct rfl_count *c = rfl_workspace_count(u.ws);
  CHECK_EQ(c->missing, 1);
  CHECK_EQ(c->unseen, 1);
  CHECK_STR(c->first_unseen, "f: 'z'");
  CHECK_EQ(apply_text(&u, schema, "inf b r 0"), RFL_EDATA);
  use_end(&u);
  u = use_of(missing_spec(), RFL_FOR_SCORING);
  CHECK_OK(apply_text(&u, schema, "inf b r 0;2 b r 0"), &err);
  CHECK_EQ(u.block.n, 2);
  CHECK(isnan(u.block.dense[0][0]));
  use_end(&u);
}

TEST(the_level_other_stands_for_all_that_is_no_level) {
  struct rfl_recipe_spec spec = missing_spec();
  struct rfl_variable own[3];
  memcpy(own, spec.variable, sizeof own);
  own[1].other = 2;
  spec.variable = own;
  spec.missing = false;
  struct use u = use_of(spec, RFL_FOR_SCORING);
  CHECK_OK(apply_text(&u, "x double, f factor, g string", "1 a p;2 zz q;3 b p;4 NA p"),
           &err);
  CHECK_EQ(u.block.n, 3);
  CHECK_EQ(u.block.coded[0].code[0], 0);
  CHECK_EQ(u.block.coded[0].code[1], 1);
  CHECK_EQ(rfl_workspace_count(u.ws)->pooled, 1);
  CHECK_EQ(rfl_workspace_count(u.ws)->unseen, 0);
  use_end(&u);
}

/* ---- keys ---- */

static struct rfl_recipe_spec keyed_spec(void) {
  struct rfl_recipe_spec spec = hashed_spec(16);
  spec.keyed = true;
  return spec;
}

TEST(keys_of_rows_without_positions_are_their_numbers) {
  struct use u = use_of(keyed_spec(), RFL_FOR_LEARNING);
  struct rfl_frame *f = frame_of("user string", "a;b;c;d;e");
  uint64_t key[5];
  CHECK_OK(apply(&u, f, 0, 5), &err);
  memcpy(key, u.block.key, sizeof key);
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < i; j++) CHECK(key[i] != key[j]);
  rfl_workspace_seek(u.ws, 0);
  CHECK_OK(apply(&u, f, 0, 2), &err);
  CHECK(u.block.key[1] == key[1]);
  CHECK_OK(apply(&u, f, 2, 3), &err);
  CHECK(u.block.key[0] == key[2] && u.block.key[2] == key[4]);
  use_end(&u);
  rfl_frame_release(f);
}

/* A frame whose rows are the positions [first, next) of topic/3. */
static void place_rows(struct rfl_frame *f, struct rfl_span *span, int64_t first,
                       int64_t next) {
  CHECK_OK(rfl_cursor_set(&f->places, "topic", 3, next, &err), &err);
  *span = (struct rfl_span){.n_rows = f->n_rows, .first = first, .next = next};
  f->span = span;
  f->n_spans = 1;
}

static void unplace(struct rfl_frame *f) {
  f->span = NULL;
  f->n_spans = 0;
  rfl_frame_release(f);
}

TEST(keys_of_records_are_their_positions_however_they_are_cut) {
  struct rfl_span a = {0}, b = {0};
  struct rfl_frame *whole = frame_of("user string", "a;b;c;d");
  struct rfl_frame *part = frame_of("user string", "c;d");
  place_rows(whole, &a, 10, 14);
  place_rows(part, &b, 12, 14);
  struct use u = use_of(keyed_spec(), RFL_FOR_LEARNING);
  CHECK_OK(apply(&u, whole, 0, 4), &err);
  uint64_t key[4];
  memcpy(key, u.block.key, sizeof key);
  CHECK(key[0] != key[1]);
  CHECK_OK(apply(&u, part, 0, 2), &err);
  CHECK(u.block.key[0] == key[2] && u.block.key[1] == key[3]);
  CHECK_OK(apply(&u, whole, 3, 1), &err);
  CHECK(u.block.key[0] == key[3]);
  b.next = 20; /* a gap */
  CHECK_EQ(apply(&u, part, 0, 2), RFL_ESCHEMA);
  CHECK_STR(err.message,
            "The positions of `topic` have gaps: the column `.offset` must be there to "
            "tell its records apart.");
  use_end(&u);
  unplace(whole);
  unplace(part);
}

TEST(keys_of_records_with_gaps_come_from_their_offsets) {
  struct rfl_span a = {0}, b = {0};
  struct rfl_frame *whole = frame_of("user string", "a;b;c;d");
  struct rfl_field field[] = {
      {.name = "user", .type = RFL_STRING},
      {.name = ".offset", .type = RFL_DOUBLE, .meta = RFL_META_OFFSET}};
  struct rfl_schema *schema = NULL;
  struct rfl_builder *builder = NULL;
  CHECK_OK(rfl_schema_new(field, 2, &schema, &err), &err);
  CHECK_OK(rfl_builder_new(schema, &builder, &err), &err);
  struct rfl_frame *part = frame_more(builder, "a 10;c 12");
  place_rows(whole, &a, 10, 14);
  place_rows(part, &b, 10, 13);
  struct use u = use_of(keyed_spec(), RFL_FOR_LEARNING);
  CHECK_OK(apply(&u, whole, 0, 4), &err);
  uint64_t key[4];
  memcpy(key, u.block.key, sizeof key);
  CHECK_OK(apply(&u, part, 0, 2), &err);
  CHECK(u.block.key[0] == key[0] && u.block.key[1] == key[2]);
  use_end(&u);
  unplace(whole);
  unplace(part);
  rfl_builder_release(builder);
  rfl_schema_release(schema);
}

/* ---- bytes and memory ---- */

static enum rfl_code same_bytes(struct rfl_recipe_spec spec) {
  struct rfl_recipe *r = NULL, *back = NULL;
  struct rfl_buf a = {0}, b = {0};
  enum rfl_code code = rfl_recipe_new(&spec, &r, &err);
  if (!code) rfl_recipe_write(r, &a);
  if (!code) code = rfl_buf_check(&a, &err);
  struct rfl_reader in = {0};
  if (!code) in = (struct rfl_reader){.at = a.p, .end = a.p + a.n};
  if (!code) code = rfl_recipe_read(&in, &back, &err);
  if (!code) CHECK(in.at == in.end);
  if (!code) rfl_recipe_write(back, &b);
  if (!code) code = rfl_buf_check(&b, &err);
  if (!code) CHECK(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_recipe_release(r);
  rfl_recipe_release(back);
  return code;
}

TEST(bytes_give_the_same_recipe) {
  CHECK_OK(same_bytes(crossed_spec(1024)), &err);
  CHECK_OK(same_bytes(hashed_spec(0)), &err);
  CHECK_OK(same_bytes(shared_spec(1 << 22)), &err);
  CHECK_OK(same_bytes(extras_spec(true)), &err);
  CHECK_OK(same_bytes(missing_spec()), &err);
  CHECK_OK(same_bytes(keyed_spec()), &err);
}

static enum rfl_code whole_life(struct rfl_recipe_spec spec, const struct rfl_frame *f) {
  struct rfl_recipe *r = NULL;
  struct rfl_workspace *ws = NULL;
  struct rfl_block b;
  enum rfl_code code = same_bytes(spec);
  if (!code) code = rfl_recipe_new(&spec, &r, &err);
  if (!code) code = rfl_workspace_new(r, RFL_FOR_LEARNING, RFL_UNSEEN_NA, &ws, &err);
  if (!code)
    code = rfl_recipe_apply(r, &(struct rfl_rows){f, 0, f->n_rows}, ws, &b, &err);
  rfl_workspace_release(ws);
  rfl_recipe_release(r);
  return code;
}

TEST(every_allocation_may_fail) {
  struct rfl_frame *f = frame_of(
      "x double, user factor, ad string, f factor, g string, y factor, time double, "
      "stratum string",
      "1 u1 a a p a 1 north;2 u2 b b q b 2 south");
  struct rfl_recipe_spec crossed = crossed_spec(8);
  crossed.keyed = true;
  SWEEP(whole_life(crossed, f));
  SWEEP(whole_life(hashed_spec(0), f));
  SWEEP(whole_life(shared_spec(16), f));
  SWEEP(whole_life(extras_spec(true), f));
  rfl_frame_release(f);
}

int main(void) {
  RUN(hashes_are_golden);
  RUN(a_value_has_one_hash_whatever_its_type);
  RUN(a_missing_value_is_one_of_its_own);
  RUN(a_slot_is_the_top_bits_of_the_hash);
  RUN(the_name_and_the_seed_are_part_of_the_hash);
  RUN(crossing_joins_the_hashes_of_the_values);
  RUN(slots_of_its_own_are_columns_with_names);
  RUN(a_shared_table_stands_once_behind_all_other_columns);
  RUN(terms_that_share_slots_add_up_in_the_model_matrix);
  RUN(slots_that_cannot_be_are_refused);
  RUN(extra_columns_come_as_doubles);
  RUN(an_extra_that_may_miss_leaves_no_row_out);
  RUN(scoring_wants_only_the_extras_that_say_so);
  RUN(a_code_that_is_no_level_is_refused_and_named);
  RUN(rows_with_missing_features_stay_where_the_learner_takes_them);
  RUN(the_level_other_stands_for_all_that_is_no_level);
  RUN(keys_of_rows_without_positions_are_their_numbers);
  RUN(keys_of_records_are_their_positions_however_they_are_cut);
  RUN(keys_of_records_with_gaps_come_from_their_offsets);
  RUN(bytes_give_the_same_recipe);
  RUN(every_allocation_may_fail);
  return harness_end();
}
