/* The source of the ends in memory: its script, told again from any cursor. */
#include <stdio.h>

#include "ends_inside.h"

/* Fields of the frames: what the recipe of tiny.h needs, and where a row is from. */
enum { F_X, F_ID, F_Y, F_KEY, F_TIME, N_FIELDS };

bool has_record(int place, int64_t p) { return (p + place) % 5 != 2; }

size_t count_records(const struct event *script, size_t n) {
  size_t rows = 0;
  for (size_t i = 0; i < n; i++)
    for (int k = 0; script[i].what == RFL_ROWS && k < script[i].n; k++)
      for (int64_t p = script[i].piece[k].first; p < script[i].piece[k].next; p++)
        rows += has_record(script[i].piece[k].place, p);
  return rows;
}

static struct ends *of_source(struct rfl_source *s) { return (struct ends *)(void *)s; }

static int64_t first_position(const struct world *w, int place) {
  for (size_t i = 0; i < w->n_script; i++)
    for (int k = 0; w->script[i].what == RFL_ROWS && k < w->script[i].n; k++)
      if (w->script[i].piece[k].place == place) return w->script[i].piece[k].first;
  return 0;
}

/* Whether the frame lies before where its places are. */
static bool taken(const struct ends *e, const struct event *ev) {
  bool all = ev->what == RFL_ROWS;
  for (int k = 0; all && k < ev->n; k++)
    all = ev->piece[k].next <= e->next[ev->piece[k].place];
  return all;
}

static enum rfl_code source_start(struct rfl_source *s, const struct rfl_cursor *from,
                                  struct rfl_err *err) {
  struct ends *e = of_source(s);
  enum fault_kind kind;
  RFL_TRY(ends_enter(e, CALL_START, &kind, err));
  int64_t at[PLACES] = {-1, -1, -1};
  if (from) ends_from_cursor(from, at);
  if (!from && !e->world->unit && e->world->gave_rows)
    ends_wrong(e->world, "where the source begins is found out anew behind its rows");
  for (int p = 0; p < PLACES; p++)
    e->next[p] = at[p] >= 0 ? at[p] : first_position(e->world, p);
  e->at = 0; /* behind the last frame that was taken */
  for (size_t i = 0; i < e->world->n_script; i++)
    if (taken(e, &e->world->script[i])) e->at = i + 1;
  e->border = false;
  return ends_leave(e, kind, err);
}

static enum rfl_code source_where(struct rfl_source *s, struct rfl_cursor *gives,
                                  struct rfl_err *err) {
  return ends_to_cursor(of_source(s)->next, gives, err);
}

static enum rfl_code build_piece(struct ends *e, const struct piece *p,
                                 struct rfl_err *err) {
  struct rfl_builder *b = e->builder;
  uint32_t place = (uint32_t)p->place;
  if (p->first != e->next[p->place]) ends_wrong(e->world, "a frame leaves a hole");
  RFL_TRY(rfl_builder_skip_to(b, place, p->first, err));
  for (int64_t at = p->first; at < p->next; at++) {
    if (!has_record(p->place, at)) {
      RFL_TRY(rfl_builder_skip_to(b, place, at + 1, err));
      continue;
    }
    RFL_TRY(rfl_builder_open(b, err));
    double id = 1000.0 * p->place + (double)at;
    rfl_builder_double(b, F_X, 0.1 * (double)((at * 7 + p->place * 3) % 11) + 0.03);
    rfl_builder_double(b, F_ID, id);
    if (at % 7 != 3) rfl_builder_double(b, F_Y, 0.3 * (double)((at * 5) % 13) + 0.7);
    char key[8];
    int n = snprintf(key, sizeof key, "u%d", (int)(at % 3));
    RFL_TRY(rfl_builder_text(b, F_KEY, key, (size_t)n, err));
    rfl_builder_long(b, F_TIME, 1000000 * at);
    rfl_builder_commit(b);
    RFL_TRY(rfl_builder_place(b, place, at, 1, err));
  }
  e->next[p->place] = p->next;
  return RFL_OK;
}

static enum rfl_code give_frame(struct ends *e, const struct event *ev,
                                const struct rfl_want *want, struct rfl_frame **gives,
                                struct rfl_err *err) {
  rfl_builder_clear(e->builder);
  for (int k = 0; k < ev->n; k++) {
    if (want->upto) {
      const struct rfl_place *upto =
          rfl_cursor_find(want->upto, "clicks", ev->piece[k].place);
      if (upto && ev->piece[k].next > upto->next)
        ends_wrong(e->world, "a plan cuts a frame");
    }
    rfl_builder_forget_place(e->builder, (uint32_t)ev->piece[k].place);
    RFL_TRY(build_piece(e, &ev->piece[k], err));
  }
  return rfl_builder_finish(e->builder, gives, err);
}

static bool reached(const struct ends *e, const struct rfl_cursor *upto) {
  for (size_t i = 0; i < upto->n; i++)
    if (e->next[upto->place[i].shard] < upto->place[i].next) return false;
  return true;
}

static enum rfl_code announce(struct ends *e, const struct event *ev,
                              struct rfl_err *err) {
  rfl_cursor_release(&e->change.lost);
  rfl_cursor_release(&e->change.gained);
  e->change.gone = ev->gone;
  for (int k = 0; k < 2; k++) {
    if (ev->takes[k] < 0) continue;
    RFL_TRY(rfl_cursor_set(&e->change.lost, "clicks", ev->takes[k], 0, err));
    if (!ev->for_good)
      RFL_TRY(rfl_cursor_set(&e->change.gained, "clicks", ev->takes[k], 0, err));
  }
  if (ev->gains >= 0)
    RFL_TRY(rfl_cursor_set(&e->change.gained, "clicks", ev->gains, 0, err));
  e->border = true;
  return RFL_OK;
}

static enum rfl_code next_event(struct ends *e, const struct rfl_want *want,
                                enum rfl_event *event, struct rfl_frame **gives,
                                struct rfl_err *err) {
  const struct world *w = e->world;
  if (e->border) ends_wrong(e->world, "a border is not settled");
  if (want->upto && reached(e, want->upto)) {
    *event = RFL_UPTO;
    return RFL_OK;
  }
  while (e->at < w->n_script && w->script[e->at].what == RFL_BORDER &&
         e->settled >> e->at & 1)
    e->at++;
  const struct event *ev = &w->script[e->at];
  *event = ev->what;
  if (ev->what == RFL_END) return RFL_OK;
  if (ev->what == RFL_ROWS) RFL_TRY(give_frame(e, ev, want, gives, err));
  if (ev->what == RFL_BORDER) RFL_TRY(announce(e, ev, err));
  e->at++;
  return RFL_OK;
}

static enum rfl_code source_next(struct rfl_source *s, const struct rfl_want *want,
                                 enum rfl_event *event, struct rfl_frame **gives,
                                 struct rfl_err *err) {
  struct ends *e = of_source(s);
  enum fault_kind kind;
  RFL_TRY(ends_enter(e, CALL_NEXT, &kind, err));
  RFL_TRY(next_event(e, want, event, gives, err));
  if (*event == RFL_ROWS) e->world->gave_rows = true;
  if (kind == DIE_AFTER && *event == RFL_ROWS) rfl_frame_release(*gives);
  return ends_leave(e, kind, err);
}

static const struct rfl_change *source_change(struct rfl_source *s) {
  return &of_source(s)->change;
}

static enum rfl_code source_settle(struct rfl_source *s, const struct rfl_cursor *at,
                                   struct rfl_err *err) {
  struct ends *e = of_source(s);
  enum fault_kind kind;
  RFL_TRY(ends_enter(e, CALL_SETTLE, &kind, err));
  if (!e->border) ends_wrong(e->world, "settled without a border");
  for (size_t i = 0; i < e->change.gained.n; i++) {
    const struct rfl_place *p = &e->change.gained.place[i];
    const struct rfl_place *known = rfl_cursor_find(at, p->stream, p->shard);
    if (known) e->next[p->shard] = known->next;
  }
  e->border = false;
  e->settled |= 1u << (e->at - 1);
  return ends_leave(e, kind, err);
}

/* For lag tools: that it fails must change nothing. */
static enum rfl_code source_ack(struct rfl_source *s, const struct rfl_cursor *at,
                                struct rfl_err *err) {
  (void)s, (void)at;
  return rfl_fail(err, RFL_EIO, "Nobody listens.");
}

/* ---- a process's ---- */

static void wake(struct rfl_source *s) { (void)s; }

enum rfl_code ends_open_source(struct ends *e, struct rfl_err *err) {
  struct rfl_field field[N_FIELDS] = {
      [F_X] = {.name = "x", .type = RFL_DOUBLE},
      [F_ID] = {.name = "id", .type = RFL_DOUBLE},
      [F_Y] = {.name = "y", .type = RFL_DOUBLE},
      [F_KEY] = {.name = ".key", .type = RFL_FACTOR, .meta = RFL_META_KEY},
      [F_TIME] = {
          .name = ".timestamp", .type = RFL_TIMESTAMP, .meta = RFL_META_TIMESTAMP}};
  e->source = (struct rfl_source){.start = source_start,
                                  .where = source_where,
                                  .next = source_next,
                                  .change = source_change,
                                  .settle = source_settle,
                                  .ack = source_ack,
                                  .wake = wake};
  RFL_TRY(rfl_schema_new(field, N_FIELDS, &e->schema, err));
  RFL_TRY(rfl_builder_new(e->schema, &e->builder, err));
  for (uint32_t p = 0; p < PLACES; p++)
    RFL_TRY(rfl_builder_name_place(e->builder, p, "clicks", (int32_t)p, err));
  return RFL_OK;
}

void ends_close_source(struct ends *e) {
  rfl_cursor_release(&e->change.lost);
  rfl_cursor_release(&e->change.gained);
  rfl_builder_release(e->builder);
  rfl_schema_release(e->schema);
  e->builder = NULL;
  e->schema = NULL;
}
