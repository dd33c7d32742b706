/* The reader of stored recipes. Whatever the bytes are: a recipe that is given has a
 * sound layout, names for all its columns, can be bound, and once written reads back to
 * the same bytes. */
#include <string.h>

#include "base/mem.h"
#include "design/recipe.h"

static void demand(bool truth) {
  if (!truth) __builtin_trap();
}

static struct rfl_buf bytes_of(const struct rfl_recipe *r) {
  struct rfl_buf out = {0};
  rfl_recipe_write(r, &out);
  demand(rfl_buf_check(&out, NULL) == RFL_OK);
  return out;
}

static void check(const struct rfl_recipe *r) {
  struct rfl_err err;
  const struct rfl_layout *l = rfl_recipe_layout(r);
  demand(rfl_layout_check(l, &err) == RFL_OK);
  size_t text = 0;
  for (int32_t x = 0; x < l->n_x; x++) text += strlen(rfl_recipe_column(r, x));
  demand(text < SIZE_MAX / 2); /* every name was read to its end */
  struct rfl_workspace *ws = NULL;
  demand(rfl_workspace_new(r, RFL_FOR_LEARNING, RFL_UNSEEN_NA, &ws, &err) == RFL_OK);
  rfl_workspace_release(ws);
  struct rfl_buf a = bytes_of(r);
  struct rfl_recipe *back = NULL;
  struct rfl_reader in = {.at = a.p, .end = a.p + a.n};
  demand(rfl_recipe_read(&in, &back, &err) == RFL_OK && in.at == in.end);
  struct rfl_buf b = bytes_of(back);
  demand(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_recipe_release(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  struct rfl_err err = {0};
  struct rfl_recipe *r = NULL;
  struct rfl_reader in = {.at = bytes, .end = bytes + n};
  enum rfl_code code = rfl_recipe_read(&in, &r, &err);
  if (code)
    demand(!r && err.message[0]);
  else
    check(r);
  rfl_recipe_release(r);
  demand(rfl_mem_live() == 0);
  return 0;
}
