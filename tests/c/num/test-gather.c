/* The gather: cells of exactly so many rows, whatever blocks the rows came in. */
#include "num/gather.h"

#include "harness.h"
#include "help.h"

static struct rfl_err err;

static struct rfl_block part_of(const struct rows *r, size_t from, size_t n) {
  static const double *dense[20];
  static struct rfl_coded coded[3];
  struct rfl_block b = r->block;
  b.n = n;
  for (size_t k = 0; k < b.n_dense; k++) dense[k] = r->dense[k] + from;
  for (size_t k = 0; k < 3; k++)
    coded[k] = (struct rfl_coded){r->code[k] + from, r->coded[k].levels};
  b.dense = dense;
  b.coded = coded;
  b.y = b.y ? b.y + from : NULL;
  b.weight = b.weight ? b.weight + from : NULL;
  b.offset = b.offset ? b.offset + from : NULL;
  b.key = b.key ? b.key + from : NULL;
  return b;
}

/* Rows [from, from + cell->n) of r. */
static void check_cell(const struct rfl_block *cell, const struct rows *r, size_t from) {
  CHECK_EQ(cell->first_row, 1000 + from);
  for (size_t i = 0; i < cell->n; i++) {
    for (size_t k = 0; k < r->block.n_dense; k++)
      CHECK_NEAR(cell->dense[k][i], r->dense[k][from + i], 0);
    for (size_t k = 0; k < 3; k++) CHECK_EQ(cell->coded[k].code[i], r->code[k][from + i]);
    CHECK_NEAR(cell->y[i], r->y[from + i], 0);
    CHECK_NEAR(cell->weight[i], r->weight[from + i], 0);
    CHECK_NEAR(cell->offset[i], r->offset[from + i], 0);
    CHECK(cell->key[i] == r->key[from + i]);
  }
}

TEST(cells_do_not_depend_on_the_cut) {
  struct rfl_layout l = every_layout(2);
  struct rows r;
  rows_fill(&r, 250, 2);
  r.block.key = r.key;
  for (size_t cut = 1; cut <= 250; cut = cut * 2 + 1) {
    struct rfl_gather *g = NULL;
    size_t seen = 0;
    CHECK_OK(rfl_gather_new(&l, 40, 1000, &g, &err), &err);
    for (size_t at = 0; at < 250; at += cut) {
      struct rfl_block b = part_of(&r, at, 250 - at < cut ? 250 - at : cut);
      for (size_t from = 0, taken; from < b.n; from += taken) {
        CHECK_OK(rfl_gather_add(g, &b, from, &taken, &err), &err);
        CHECK(taken > 0);
        const struct rfl_block *cell = rfl_gather_block(g, false);
        if (!cell) continue;
        CHECK_EQ(cell->n, 40);
        check_cell(cell, &r, seen);
        seen += cell->n;
        CHECK_EQ(rfl_gather_pending(g), 0); /* handed out: nothing waits */
        CHECK(rfl_gather_block(g, false) == NULL);
      }
    }
    CHECK_EQ(rfl_gather_pending(g), 10);
    const struct rfl_block *rest = rfl_gather_block(g, true);
    CHECK_EQ(rest->n, 10);
    check_cell(rest, &r, seen);
    CHECK(rfl_gather_block(g, true) == NULL);
    rfl_gather_release(g);
  }
  rows_free(&r);
  every_layout_free(&l);
}

TEST(whole_cells_are_views) {
  struct rfl_layout l = every_layout(1);
  struct rows r;
  struct rfl_gather *g = NULL;
  size_t taken;
  rows_fill(&r, 100, 1);
  CHECK_OK(rfl_gather_new(&l, 30, 0, &g, &err), &err);
  CHECK_OK(rfl_gather_add(g, &r.block, 10, &taken, &err), &err);
  CHECK_EQ(taken, 30);
  const struct rfl_block *cell = rfl_gather_block(g, false);
  CHECK(cell->dense[0] == r.dense[0] + 10);
  CHECK(cell->coded[2].code == r.code[2] + 10);
  CHECK(cell->y == r.y + 10 && cell->weight == r.weight + 10);
  CHECK(cell->key == NULL);
  rfl_gather_release(g);
  rows_free(&r);
  every_layout_free(&l);
}

/* A block without weights joined by one with: those before it weigh 1, without offset 0.
 */
TEST(what_one_block_lacks_is_filled_when_another_has_it) {
  struct rfl_layout l = every_layout(0);
  struct rows r;
  struct rfl_gather *g = NULL;
  size_t taken;
  rows_fill(&r, 30, 0);
  CHECK_OK(rfl_gather_new(&l, 30, 0, &g, &err), &err);
  struct rfl_block bare = part_of(&r, 0, 10);
  bare.weight = bare.offset = NULL;
  CHECK_OK(rfl_gather_add(g, &bare, 0, &taken, &err), &err);
  struct rfl_block rich = part_of(&r, 10, 10);
  rich.key = r.key + 10;
  CHECK_OK(rfl_gather_add(g, &rich, 0, &taken, &err), &err);
  bare = part_of(&r, 20, 10);
  bare.weight = bare.offset = NULL;
  CHECK_OK(rfl_gather_add(g, &bare, 0, &taken, &err), &err);
  const struct rfl_block *cell = rfl_gather_block(g, false);
  for (size_t i = 0; i < 30; i++) {
    bool has = i >= 10 && i < 20;
    CHECK_NEAR(cell->weight[i], has ? r.weight[i] : 1, 0);
    CHECK_NEAR(cell->offset[i], has ? r.offset[i] : 0, 0);
    CHECK(cell->key[i] == (has ? r.key[i] : 0));
  }
  rfl_gather_release(g);
  rows_free(&r);
  every_layout_free(&l);
}

TEST(waiting_rows_survive_as_bytes) {
  struct rfl_layout l = every_layout(2);
  struct rows r;
  struct rfl_gather *g = NULL, *h = NULL;
  struct rfl_buf a = {0}, b = {0};
  size_t taken;
  rows_fill(&r, 100, 2);
  r.block.key = r.key;
  CHECK_OK(rfl_gather_new(&l, 40, 1000, &g, &err), &err);
  struct rfl_block head = part_of(&r, 0, 17);
  CHECK_OK(rfl_gather_add(g, &head, 0, &taken, &err), &err);
  rfl_gather_write(g, &a);
  CHECK_OK(rfl_gather_new(&l, 40, 0, &h, &err), &err);
  struct rfl_reader in = {.at = a.p, .end = a.p + a.n};
  CHECK_OK(rfl_gather_read(h, &in, &err), &err);
  CHECK(in.at == in.end);
  rfl_gather_write(h, &b);
  CHECK(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  struct rfl_block tail = part_of(&r, 17, 23);
  CHECK_OK(rfl_gather_add(h, &tail, 0, &taken, &err), &err);
  CHECK_EQ(taken, 23);
  check_cell(rfl_gather_block(h, false), &r, 0);
  rfl_buf_clear(&b);
  rfl_gather_write(h, &b); /* the cell was handed out: no rows, but where to go on */
  in = (struct rfl_reader){.at = b.p, .end = b.p + b.n};
  CHECK_OK(rfl_gather_read(g, &in, &err), &err);
  CHECK_EQ(rfl_gather_pending(g), 0);
  struct rfl_block next = part_of(&r, 40, 40);
  CHECK_OK(rfl_gather_add(g, &next, 0, &taken, &err), &err);
  check_cell(rfl_gather_block(g, false), &r, 40);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_gather_release(g);
  rfl_gather_release(h);
  rows_free(&r);
  every_layout_free(&l);
}

TEST(damaged_waiting_rows_are_refused_or_sound) {
  struct rfl_layout l = every_layout(1);
  struct rows r;
  struct rfl_gather *g = NULL, *h = NULL;
  struct rfl_buf a = {0};
  size_t taken;
  rows_fill(&r, 5, 1);
  CHECK_OK(rfl_gather_new(&l, 8, 0, &g, &err), &err);
  CHECK_OK(rfl_gather_new(&l, 8, 0, &h, &err), &err);
  CHECK_OK(rfl_gather_add(g, &r.block, 0, &taken, &err), &err);
  rfl_gather_write(g, &a);
  for (size_t i = 0; i < a.n; i++) {
    for (int bit = 0; bit < 8; bit++) {
      a.p[i] ^= (uint8_t)(1 << bit);
      struct rfl_reader in = {.at = a.p, .end = a.p + a.n};
      bool ok = !rfl_gather_read(h, &in, &err);
      const struct rfl_block *rest = rfl_gather_block(h, true);
      CHECK(ok || !rest);
      for (size_t k = 0; rest && k < rest->n; k++) {
        CHECK(rest->coded[0].code[k] >= 0 && rest->coded[0].code[k] < 3);
        CHECK(rest->coded[2].code[k] >= 0 && rest->coded[2].code[k] < 6);
      }
      a.p[i] ^= (uint8_t)(1 << bit);
    }
    struct rfl_reader in = {.at = a.p, .end = a.p + i};
    CHECK_EQ(rfl_gather_read(h, &in, &err), RFL_EDATA);
  }
  rfl_buf_release(&a);
  rfl_gather_release(g);
  rfl_gather_release(h);
  rows_free(&r);
  every_layout_free(&l);
}

TEST(blocks_of_another_layout_are_refused) {
  struct rfl_layout l = every_layout(2);
  struct rows r;
  struct rfl_gather *g = NULL;
  size_t taken;
  rows_fill(&r, 5, 1);
  CHECK_OK(rfl_gather_new(&l, 8, 0, &g, &err), &err);
  CHECK_EQ(rfl_gather_add(g, &r.block, 0, &taken, &err), RFL_EARGUMENT);
  rfl_gather_release(g);
  g = NULL;
  CHECK_EQ(rfl_gather_new(&l, 0, 0, &g, &err), RFL_EARGUMENT);
  CHECK(g == NULL);
  rows_free(&r);
  every_layout_free(&l);
}

static enum rfl_code fill_some(const struct rfl_layout *l, const struct rows *r) {
  struct rfl_gather *g = NULL;
  size_t taken;
  struct rfl_block b = part_of(r, 0, 7);
  enum rfl_code code = rfl_gather_new(l, 10, 0, &g, &err);
  if (!code) code = rfl_gather_add(g, &b, 0, &taken, &err);
  if (code && g) CHECK_EQ(rfl_gather_pending(g), 0);
  rfl_gather_release(g);
  return code;
}

TEST(every_allocation_may_fail) {
  struct rfl_layout l = every_layout(2);
  struct rows r;
  rows_fill(&r, 20, 2);
  SWEEP(fill_some(&l, &r));
  rows_free(&r);
  every_layout_free(&l);
}

int main(void) {
  RUN(cells_do_not_depend_on_the_cut);
  RUN(whole_cells_are_views);
  RUN(what_one_block_lacks_is_filled_when_another_has_it);
  RUN(waiting_rows_survive_as_bytes);
  RUN(damaged_waiting_rows_are_refused_or_sound);
  RUN(blocks_of_another_layout_are_refused);
  RUN(every_allocation_may_fail);
  return harness_end();
}
