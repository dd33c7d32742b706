#include "r_rows.h"

#include "base/mem.h"
#include "frame/order.h"

enum { FRAME_ROWS = 8192 };

struct rows {
  struct rfl_source base;
  struct rfl_frame *all;
  char *name;
  uint32_t next;
};

static enum rfl_code start(struct rfl_source *source, const struct rfl_cursor *from,
                           struct rfl_err *err) {
  struct rows *s = (struct rows *)source;
  const struct rfl_place *p = from ? rfl_cursor_find(from, s->name, 0) : NULL;
  if (p && (p->next < 0 || p->next > s->all->n_rows)) {
    return rfl_fail(err, RFL_ELOSS, "the data has %u rows, but row %lld was taken before",
                    s->all->n_rows, (long long)p->next);
  }
  s->next = p ? (uint32_t)p->next : 0;
  return RFL_OK;
}

/* Rows [next, next + n) as a frame of their own, with where they are from. */
static enum rfl_code cut(const struct rows *s, uint32_t n, struct rfl_frame **gives,
                         struct rfl_err *err) {
  struct rfl_rows rows = {.frame = s->all, .row = s->next, .n = n};
  struct rfl_frame *f;
  RFL_TRY(rfl_frame_gather(&rows, 1, &f, err));
  rfl_cursor_release(&f->places);
  rfl_free(f->span);
  f->n_spans = 0;
  f->span = rfl_alloc(1, sizeof *f->span);
  int64_t first = s->next;
  enum rfl_code code = f->span ? RFL_OK : rfl_no_memory(err);
  if (!code) code = rfl_cursor_set(&f->places, s->name, 0, first + n, err);
  if (code) {
    rfl_frame_release(f);
    return code;
  }
  f->n_spans = 1;
  f->span[0] = (struct rfl_span){.n_rows = n, .first = first, .next = first + n};
  f->tally = (struct rfl_tally){.rows = n};
  *gives = f;
  return RFL_OK;
}

static enum rfl_code next(struct rfl_source *source, const struct rfl_want *want,
                          enum rfl_event *event, struct rfl_frame **gives,
                          struct rfl_err *err) {
  struct rows *s = (struct rows *)source;
  uint32_t end = s->all->n_rows;
  const struct rfl_place *upto =
      want->upto ? rfl_cursor_find(want->upto, s->name, 0) : NULL;
  if (upto && upto->next < end) end = upto->next > 0 ? (uint32_t)upto->next : 0;
  uint32_t n = end > s->next ? end - s->next : 0;
  if (n > FRAME_ROWS) n = FRAME_ROWS;
  if (want->max_rows && n > want->max_rows) n = want->max_rows;
  if (!n) {
    *event = upto ? RFL_UPTO : RFL_END;
    return RFL_OK;
  }
  RFL_TRY(cut(s, n, gives, err));
  s->next += n;
  *event = RFL_ROWS;
  return RFL_OK;
}

static void wake(struct rfl_source *source) { (void)source; /* it never waits */ }

static void release(struct rfl_source *source) {
  if (!source) return;
  rfl_frame_release(((struct rows *)source)->all);
  rfl_free(((struct rows *)source)->name);
  rfl_free(source);
}

enum rfl_code r_rows_source(struct rfl_frame *takes, const char *name,
                            struct rfl_source **gives, struct rfl_err *err) {
  struct rows *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->name = rfl_strdup(name);
  if (!s->name) {
    rfl_free(s);
    return rfl_no_memory(err);
  }
  s->base =
      (struct rfl_source){.start = start, .next = next, .wake = wake, .release = release};
  s->all = takes;
  *gives = &s->base;
  return RFL_OK;
}
