#include "tiny.h"

#include <string.h>

#include "base/mem.h"

struct tiny { /* what rfl_state is here */
  struct rfl_layout layout;
  int32_t passes, pass;
  double sum, iterate;
  uint64_t renewed;
  int32_t *id;
  size_t n, cap;
};

static struct tiny *of(struct rfl_state *s) { return (struct tiny *)(void *)s; }
static const struct tiny *as(const struct rfl_state *s) {
  return (const struct tiny *)(const void *)s;
}

static void release(struct rfl_state *s) {
  if (!s) return;
  rfl_layout_release(&of(s)->layout);
  rfl_free(of(s)->id);
  rfl_free(s);
}

static uint32_t tiny_traits(const struct rfl_options *o) {
  (void)o;
  return RFL_SUMMABLE | RFL_PASSES | RFL_BLOCKED;
}

static uint32_t fold_traits(const struct rfl_options *o) {
  (void)o;
  return RFL_ORDERED;
}

static uint32_t grid(const struct rfl_layout *l) {
  (void)l;
  return 16;
}

static enum rfl_code make(const struct rfl_layout *layout, struct tiny **gives,
                          struct rfl_err *err) {
  struct tiny *t = rfl_alloc(1, sizeof *t);
  if (!t) return rfl_no_memory(err);
  enum rfl_code code = rfl_layout_copy(layout, &t->layout, err);
  if (code) {
    rfl_free(t);
    return code;
  }
  *gives = t;
  return RFL_OK;
}

static enum rfl_code open(const struct rfl_options *o, const struct rfl_layout *layout,
                          struct rfl_state **gives, struct rfl_err *err) {
  struct tiny *t = NULL;
  RFL_TRY(make(layout, &t, err));
  t->passes = o ? ((const struct tiny_options *)(const void *)o)->passes : 1;
  *gives = (struct rfl_state *)(void *)t;
  return RFL_OK;
}

static enum rfl_code part(const struct rfl_state *s, struct rfl_state **gives,
                          struct rfl_err *err) {
  const struct tiny *from = as(s);
  if (!*gives) {
    struct tiny *t = NULL;
    RFL_TRY(make(&from->layout, &t, err));
    *gives = (struct rfl_state *)(void *)t;
  }
  struct tiny *t = of(*gives);
  t->passes = from->passes;
  t->iterate = from->iterate;
  t->pass = 0;
  t->sum = 0;
  t->n = 0;
  return RFL_OK;
}

static enum rfl_code reserve(struct tiny *t, size_t more, struct rfl_err *err) {
  if (t->n + more <= t->cap) return RFL_OK;
  size_t cap = 2 * t->cap + more + 16;
  int32_t *id = rfl_grow(t->id, cap, sizeof *id);
  if (!id) return rfl_no_memory(err);
  t->id = id;
  t->cap = cap;
  return RFL_OK;
}

/* The sum is of numbers that do not add exactly, and knows the iterate. */
static enum rfl_code absorb(struct rfl_state *s, const struct rfl_block *b,
                            struct rfl_err *err) {
  struct tiny *t = of(s);
  RFL_TRY(reserve(t, b->n, err));
  for (size_t i = 0; i < b->n; i++) {
    t->id[t->n++] = (int32_t)b->dense[1][i];
    t->sum += b->dense[0][i] * (b->y[i] + 0.1) + 0.01 * t->iterate;
  }
  return RFL_OK;
}

static enum rfl_code merge(struct rfl_state *s, const struct rfl_state *other,
                           struct rfl_err *err) {
  struct tiny *t = of(s);
  const struct tiny *from = as(other);
  RFL_TRY(reserve(t, from->n, err));
  if (from->n) memcpy(t->id + t->n, from->id, from->n * sizeof *t->id);
  t->n += from->n;
  t->sum += from->sum;
  return RFL_OK;
}

static enum rfl_code settle(struct rfl_state *s, bool *again, struct rfl_err *err) {
  (void)err;
  struct tiny *t = of(s);
  t->iterate = 0.5 * t->iterate + t->sum / (double)(t->n + 1);
  *again = ++t->pass < t->passes;
  if (*again) {
    t->n = 0;
    t->sum = 0;
  }
  return RFL_OK;
}

/* The next block is learnt from here: its sums go on. */
static enum rfl_code renew(struct rfl_state *s, double keep, struct rfl_err *err) {
  (void)err;
  of(s)->renewed++;
  of(s)->sum *= keep;
  return RFL_OK;
}

static enum rfl_code fold(struct rfl_state *s, const struct rfl_block *b,
                          struct rfl_err *err) {
  struct tiny *t = of(s);
  RFL_TRY(reserve(t, b->n, err));
  for (size_t i = 0; i < b->n; i++) {
    t->id[t->n++] = (int32_t)b->dense[1][i];
    t->iterate = 0.9 * t->iterate + b->dense[0][i] + 0.1 * b->y[i];
  }
  return RFL_OK;
}

static enum rfl_code fold_settle(struct rfl_state *s, bool *again, struct rfl_err *err) {
  (void)s;
  (void)err;
  *again = false;
  return RFL_OK;
}

static uint32_t width(const struct rfl_state *s, int what) {
  (void)s;
  return what == 1 ? 2 : 1;
}

/* Column 0 tells what the state is, column 1 how many rows it has learnt. */
static enum rfl_code score(const struct rfl_state *s, const struct rfl_block *b, int what,
                           double *out, struct rfl_err *err) {
  (void)err;
  for (size_t i = 0; i < b->n; i++) {
    out[i] = b->dense[0][i] + as(s)->iterate;
    if (what == 1) out[b->n + i] = (double)as(s)->n;
  }
  return RFL_OK;
}

static enum rfl_code copy(const struct rfl_state *s, struct rfl_state **gives,
                          struct rfl_err *err) {
  const struct tiny *from = as(s);
  struct tiny *t = NULL;
  RFL_TRY(make(&from->layout, &t, err));
  enum rfl_code code = reserve(t, from->n, err);
  if (code) {
    release((struct rfl_state *)(void *)t);
    return code;
  }
  if (from->n) memcpy(t->id, from->id, from->n * sizeof *t->id);
  t->n = from->n;
  t->passes = from->passes;
  t->pass = from->pass;
  t->sum = from->sum;
  t->iterate = from->iterate;
  t->renewed = from->renewed;
  *gives = (struct rfl_state *)(void *)t;
  return RFL_OK;
}

static void write(const struct rfl_state *s, struct rfl_buf *out) {
  const struct tiny *t = as(s);
  rfl_layout_write(&t->layout, out);
  rfl_buf_i32(out, t->passes);
  rfl_buf_i32(out, t->pass);
  rfl_buf_double(out, t->sum);
  rfl_buf_double(out, t->iterate);
  rfl_buf_u64(out, t->renewed);
  rfl_buf_u64(out, t->n);
  rfl_buf_i32s(out, t->id, t->n);
}

static enum rfl_code read_into(struct rfl_reader *in, struct tiny *t,
                               struct rfl_err *err) {
  t->passes = rfl_read_i32(in);
  t->pass = rfl_read_i32(in);
  t->sum = rfl_read_double(in);
  t->iterate = rfl_read_double(in);
  t->renewed = rfl_read_u64(in);
  size_t n = (size_t)rfl_read_count(in, sizeof *t->id);
  RFL_TRY(reserve(t, n, err));
  rfl_read_i32s(in, t->id, n);
  t->n = n;
  return rfl_read_done(in, "The tiny state", err);
}

static enum rfl_code read(struct rfl_bytes bytes, struct rfl_state **gives,
                          struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  struct rfl_layout layout = {0};
  RFL_TRY(rfl_layout_read(&in, &layout, err));
  struct tiny *t = rfl_alloc(1, sizeof *t);
  if (!t) {
    rfl_layout_release(&layout);
    return rfl_no_memory(err);
  }
  t->layout = layout;
  enum rfl_code code = read_into(&in, t, err);
  if (code) {
    release((struct rfl_state *)(void *)t);
    return code;
  }
  *gives = (struct rfl_state *)(void *)t;
  return RFL_OK;
}

static size_t size(const struct rfl_state *s) {
  return sizeof(struct tiny) + as(s)->cap * sizeof(int32_t);
}

static const struct rfl_layout *layout_of(const struct rfl_state *s) {
  return &as(s)->layout;
}

const struct rfl_learner rfl_tiny = {.name = "tiny",
                                     .traits = tiny_traits,
                                     .grid = grid,
                                     .open = open,
                                     .part = part,
                                     .absorb = absorb,
                                     .merge = merge,
                                     .settle = settle,
                                     .renew = renew,
                                     .width = width,
                                     .score = score,
                                     .copy = copy,
                                     .write = write,
                                     .read = read,
                                     .size = size,
                                     .layout = layout_of,
                                     .release = release};

const struct rfl_learner rfl_fold = {.name = "fold",
                                     .traits = fold_traits,
                                     .grid = grid,
                                     .open = open,
                                     .absorb = fold,
                                     .settle = fold_settle,
                                     .width = width,
                                     .score = score,
                                     .copy = copy,
                                     .write = write,
                                     .read = read,
                                     .size = size,
                                     .layout = layout_of,
                                     .release = release};

void tiny_look(const struct rfl_state *s, struct tiny_view *gives) {
  const struct tiny *t = as(s);
  *gives = (struct tiny_view){.n = t->n,
                              .id = t->id,
                              .sum = t->sum,
                              .iterate = t->iterate,
                              .renewed = t->renewed};
}

enum rfl_code tiny_recipe(struct rfl_recipe **gives, struct rfl_err *err) {
  struct rfl_variable variable[] = {{.name = "x", .kind = RFL_NUMBER},
                                    {.name = "id", .kind = RFL_NUMBER}};
  int32_t x[] = {0}, id[] = {1};
  struct rfl_coding none[1] = {{0}};
  struct rfl_term_spec term[] = {{.n = 1, .variable = x, .coding = none},
                                 {.n = 1, .variable = id, .coding = none}};
  struct rfl_recipe_spec spec = {.n_variables = 2,
                                 .variable = variable,
                                 .intercept = true,
                                 .n_terms = 2,
                                 .term = term,
                                 .response = RFL_RESPONSE_NUMBER,
                                 .y = "y"};
  return rfl_recipe_new(&spec, gives, err);
}
