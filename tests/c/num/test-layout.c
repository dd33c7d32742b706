/* Layouts: copies, bytes, and what does not fit together. */
#include "harness.h"
#include "help.h"

static struct rfl_err err;

static struct rfl_buf bytes_of(const struct rfl_layout *l) {
  struct rfl_buf out = {0};
  rfl_layout_write(l, &out);
  CHECK_OK(rfl_buf_check(&out, &err), &err);
  return out;
}

TEST(copies_and_bytes_are_the_same_layout) {
  struct rfl_layout l = every_layout(3), copy = {0}, back = {0};
  CHECK_OK(rfl_layout_check(&l, &err), &err);
  CHECK_OK(rfl_layout_copy(&l, &copy, &err), &err);
  struct rfl_buf a = bytes_of(&l), b = bytes_of(&copy);
  struct rfl_reader in = {.at = a.p, .end = a.p + a.n};
  CHECK_OK(rfl_layout_read(&in, &back, &err), &err);
  CHECK(in.at == in.end);
  struct rfl_buf c = bytes_of(&back);
  CHECK(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  CHECK(a.n == c.n && memcmp(a.p, c.p, a.n) == 0);
  rfl_buf_release(&a);
  rfl_buf_release(&b);
  rfl_buf_release(&c);
  rfl_layout_release(&copy);
  rfl_layout_release(&copy); /* again: nothing */
  rfl_layout_release(&back);
  every_layout_free(&l);
}

TEST(damaged_bytes_are_refused_or_fit_together) {
  struct rfl_layout l = every_layout(2);
  struct rfl_buf a = bytes_of(&l);
  for (size_t i = 0; i < a.n; i++) {
    for (int bit = 0; bit < 8; bit++) {
      struct rfl_layout back = {0};
      a.p[i] ^= (uint8_t)(1 << bit);
      struct rfl_reader in = {.at = a.p, .end = a.p + a.n};
      if (!rfl_layout_read(&in, &back, &err))
        CHECK_OK(rfl_layout_check(&back, &err), &err);
      rfl_layout_release(&back);
      a.p[i] ^= (uint8_t)(1 << bit);
    }
    struct rfl_layout cut = {0};
    struct rfl_reader in = {.at = a.p, .end = a.p + i};
    CHECK_EQ(rfl_layout_read(&in, &cut, &err), RFL_EDATA);
    CHECK(!cut.term && !cut.levels);
  }
  rfl_buf_release(&a);
  every_layout_free(&l);
}

TEST(indices_that_lead_astray_are_found) {
  struct rfl_layout l = every_layout(2);
  struct rfl_term *f = &l.term[3], was = *f;
#define BAD(change)                                  \
  do {                                               \
    change;                                          \
    CHECK_EQ(rfl_layout_check(&l, &err), RFL_EDATA); \
    *f = was;                                        \
  } while (0)
  BAD(f->coded = 3);
  BAD(f->dense = 2);
  BAD(f->z = 0);
  BAD(f->x = 5);
  BAD(f->n_z = 4);
  BAD(f->n_x = 3);
  BAD(f->n_codings = 0);
  CHECK_OK(rfl_layout_check(&l, &err), &err);
  l.intercept = false;
  CHECK_EQ(rfl_layout_check(&l, &err), RFL_EDATA);
  l.intercept = true;
  l.n_z++;
  CHECK_EQ(rfl_layout_check(&l, &err), RFL_EDATA);
  every_layout_free(&l);
}

static enum rfl_code round_trip(const struct rfl_layout *l) {
  struct rfl_layout copy = {0}, back = {0};
  struct rfl_buf out = {0};
  enum rfl_code code = rfl_layout_copy(l, &copy, &err);
  if (!code) rfl_layout_write(&copy, &out);
  if (!code) code = rfl_buf_check(&out, &err);
  struct rfl_reader in = {0};
  if (!code) in = (struct rfl_reader){.at = out.p, .end = out.p + out.n};
  if (!code) code = rfl_layout_read(&in, &back, &err);
  rfl_layout_release(&copy);
  rfl_layout_release(&back);
  rfl_buf_release(&out);
  return code;
}

TEST(every_allocation_may_fail) {
  struct rfl_layout l = every_layout(2);
  SWEEP(round_trip(&l));
  every_layout_free(&l);
}

int main(void) {
  RUN(copies_and_bytes_are_the_same_layout);
  RUN(damaged_bytes_are_refused_or_fit_together);
  RUN(indices_that_lead_astray_are_found);
  RUN(every_allocation_may_fail);
  return harness_end();
}
