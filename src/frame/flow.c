#include "frame/flow.h"

#include "base/mem.h"

void rfl_mark_release(struct rfl_mark *m) {
  if (!m) return;
  for (size_t i = 0; i < m->n_plan; i++) rfl_cursor_release(&m->plan[i]);
  rfl_free(m->plan);
  *m = (struct rfl_mark){0};
}

void rfl_parts_release(struct rfl_part *part, size_t n) {
  if (!part) return;
  for (size_t i = 0; i < n; i++) {
    rfl_free(part[i].name);
    rfl_free(part[i].base);
    rfl_free((void *)part[i].data.p);
  }
  rfl_free(part);
}
