#include "ends.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Fields of the frames: what the recipe of tiny.h needs, and where a row is from. */
enum { F_X, F_ID, F_Y, F_KEY, F_TIME, N_FIELDS };

static void wrong(struct world *w, const char *what) {
  if (!w->wrong[0])
    snprintf(w->wrong, sizeof w->wrong, "%s (call %llu)", what,
             (unsigned long long)w->calls);
}

void world_new(struct world *w, const struct event *script, size_t n, bool unit) {
  memset(w, 0, sizeof *w);
  w->script = script;
  w->n_script = n;
  w->unit = unit;
}

static void release_saved(struct saved *s) {
  for (size_t i = 0; i < s->n; i++) {
    rfl_free(s->part[i].name);
    rfl_free((void *)s->part[i].data.p);
  }
  s->n = 0;
}

void world_release(struct world *w) {
  for (size_t i = 0; i < w->n_saved; i++) release_saved(&w->saved[i]);
  w->n_saved = 0;
}

bool has_record(int place, int64_t p) { return (p + place) % 5 != 2; }

size_t count_records(const struct event *script, size_t n) {
  size_t rows = 0;
  for (size_t i = 0; i < n; i++)
    for (int k = 0; script[i].what == RFL_ROWS && k < script[i].n; k++)
      for (int64_t p = script[i].piece[k].first; p < script[i].piece[k].next; p++)
        rows += has_record(script[i].piece[k].place, p);
  return rows;
}

/* ---- faults ---- */

bool fault_fits(enum call call, enum fault_kind kind, bool unit) {
  bool step =
      call == CALL_BEGIN || call == CALL_PUT || call == CALL_FLUSH || call == CALL_COMMIT;
  switch (kind) {
    case DIE_BEFORE:
    case DIE_AFTER:
    case AGAIN:
      return true;
    case ABORT:
      return unit && step;
    case UNSURE_DONE:
    case UNSURE_NOT:
      return unit && call == CALL_COMMIT;
    case FENCE:
    case ZOMBIE:
      return unit;
    case NO_FAULT:
      break;
  }
  return false;
}

/* Begins a call. *kind: the fault that it meets; anything but RFL_OK is its answer. */
static enum rfl_code enter(struct ends *e, enum call call, enum fault_kind *kind,
                           struct rfl_err *err) {
  struct world *w = e->world;
  *kind = NO_FAULT;
  if (e->dead) return rfl_fail(err, RFL_EIO, "The process is dead.");
  uint64_t number = w->calls++;
  if (number < MOST_CALLS) w->log[number] = (uint8_t)call;
  if (number > 100 * MOST_CALLS) { /* it does not end: stop it */
    wrong(w, "the loop does not end");
    e->dead = true;
  }
  for (int i = 0; i < FAULTS; i++)
    if (w->fault[i].kind && w->fault[i].at == number) *kind = w->fault[i].kind;
  if (!fault_fits(call, *kind, w->unit)) *kind = NO_FAULT;
  if (*kind == FENCE) w->epoch++;
  if (*kind == ZOMBIE && w->meanwhile) w->meanwhile(w);
  if (*kind == AGAIN) return rfl_fail(err, RFL_EAGAIN, "Not now.");
  if (*kind == DIE_BEFORE) {
    e->dead = true;
    return rfl_fail(err, RFL_EIO, "Died before call %llu.", (unsigned long long)number);
  }
  return RFL_OK;
}

/* Ends a call that happened. */
static enum rfl_code leave(struct ends *e, enum fault_kind kind, struct rfl_err *err) {
  if (kind != DIE_AFTER) return RFL_OK;
  e->dead = true;
  return rfl_fail(err, RFL_EIO, "Died in a call.");
}

/* Writing calls of a unit's holder. */
static enum rfl_code check_holder(struct ends *e, struct rfl_err *err) {
  if (e->fenced) wrong(e->world, "a fenced process went on writing");
  if (!e->world->unit || e->epoch == e->world->epoch) return RFL_OK;
  e->fenced = true;
  return rfl_fail(err, RFL_EFENCED, "Somebody else holds the name.");
}

/* ---- cursors ---- */

static enum rfl_code to_cursor(const int64_t at[PLACES], struct rfl_cursor *gives,
                               struct rfl_err *err) {
  struct rfl_cursor c = {0};
  for (int p = 0; p < PLACES; p++) {
    if (at[p] < 0) continue;
    enum rfl_code code = rfl_cursor_set(&c, "clicks", p, at[p], err);
    if (code) {
      rfl_cursor_release(&c);
      return code;
    }
  }
  *gives = c;
  return RFL_OK;
}

static void from_cursor(const struct rfl_cursor *c, int64_t at[PLACES]) {
  for (int p = 0; p < PLACES; p++) at[p] = -1;
  for (size_t i = 0; i < c->n; i++) at[c->place[i].shard] = c->place[i].next;
}

/* ---- source ---- */

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
  RFL_TRY(enter(e, CALL_START, &kind, err));
  int64_t at[PLACES] = {-1, -1, -1};
  if (from) from_cursor(from, at);
  for (int p = 0; p < PLACES; p++)
    e->next[p] = at[p] >= 0 ? at[p] : first_position(e->world, p);
  e->at = 0; /* behind the last frame that was taken */
  for (size_t i = 0; i < e->world->n_script; i++)
    if (taken(e, &e->world->script[i])) e->at = i + 1;
  e->border = false;
  return leave(e, kind, err);
}

static enum rfl_code build_piece(struct ends *e, const struct piece *p,
                                 struct rfl_err *err) {
  struct rfl_builder *b = e->builder;
  uint32_t place = (uint32_t)p->place;
  if (p->first != e->next[p->place]) wrong(e->world, "a frame leaves a hole");
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
      if (upto && ev->piece[k].next > upto->next) wrong(e->world, "a plan cuts a frame");
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
  if (e->border) wrong(e->world, "a border is not settled");
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
  RFL_TRY(enter(e, CALL_NEXT, &kind, err));
  RFL_TRY(next_event(e, want, event, gives, err));
  if (kind == DIE_AFTER && *event == RFL_ROWS) rfl_frame_release(*gives);
  return leave(e, kind, err);
}

static const struct rfl_change *source_change(struct rfl_source *s) {
  return &of_source(s)->change;
}

static enum rfl_code source_settle(struct rfl_source *s, const struct rfl_cursor *at,
                                   struct rfl_err *err) {
  struct ends *e = of_source(s);
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_SETTLE, &kind, err));
  if (!e->border) wrong(e->world, "settled without a border");
  for (size_t i = 0; i < e->change.gained.n; i++) {
    const struct rfl_place *p = &e->change.gained.place[i];
    const struct rfl_place *known = rfl_cursor_find(at, p->stream, p->shard);
    if (known) e->next[p->shard] = known->next;
  }
  e->border = false;
  e->settled |= 1u << (e->at - 1);
  return leave(e, kind, err);
}

/* ---- sinks ---- */

static enum rfl_code stage(struct ends *e, int k, uint64_t batch,
                           const struct rfl_frame *f, struct rfl_err *err) {
  ptrdiff_t id = rfl_schema_find(f->schema, "id");
  ptrdiff_t score = rfl_schema_find(f->schema, "score");
  ptrdiff_t version = rfl_schema_find(f->schema, "version");
  if (id < 0) return rfl_fail(err, RFL_ESCHEMA, "no id");
  for (uint32_t i = 0; i < f->n_rows && e->n_staged[k] < MOST_ROWS; i++) {
    int row = (int)f->column[id].f64[i];
    e->staged[k][e->n_staged[k]++] =
        (struct seen){.place = row / 1000,
                      .position = row % 1000,
                      .score = score < 0 ? 0 : f->column[score].f64[i],
                      .version = version < 0 ? 0 : f->column[version].f64[i],
                      .batch = batch};
  }
  return RFL_OK;
}

/* Now everybody sees it. Without a unit nothing that a save covers may come again. */
static void show(struct ends *e, int k) {
  struct world *w = e->world;
  for (size_t i = 0; i < e->n_staged[k]; i++) {
    const struct seen *row = &e->staged[k][i];
    if (!w->unit && w->n_saved && row->position < w->saved[w->n_saved - 1].at[row->place])
      wrong(w, "a row that was saved is put again");
    if (w->rows[k] < MOST_ROWS)
      w->row[k][w->rows[k]++] = *row;
    else
      wrong(w, "more rows than there can be");
  }
  e->n_staged[k] = 0;
}

static enum rfl_code sink_put(struct ends *e, int k, uint64_t batch, struct rfl_frame *f,
                              struct rfl_err *err) {
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_PUT, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (e->world->unit && !e->open) wrong(e->world, "put outside of a step");
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  RFL_TRY(stage(e, k, batch, f, err));
  if (!e->world->unit && k == 0) show(e, k); /* this one does not buffer */
  return leave(e, kind, err);
}

static enum rfl_code sink_flush(struct ends *e, int k, struct rfl_err *err) {
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_FLUSH, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  if (!e->world->unit) show(e, k);
  return leave(e, kind, err);
}

struct sink_and_ends { /* where sink k of the ends is */
  struct ends *e;
  int k;
};

static struct sink_and_ends of_sink(struct rfl_sink *s) {
  /* The sinks' unit or, without one, their order tells which is which: the second has
   * `idempotent` set. */
  int k = s->idempotent ? 1 : 0;
  char *base = (char *)s - offsetof(struct ends, sink) - (size_t)k * sizeof *s;
  return (struct sink_and_ends){(struct ends *)(void *)base, k};
}

static enum rfl_code put(struct rfl_sink *s, uint64_t batch, struct rfl_frame *f,
                         struct rfl_err *err) {
  struct sink_and_ends at = of_sink(s);
  return sink_put(at.e, at.k, batch, f, err);
}

static enum rfl_code flush(struct rfl_sink *s, int64_t until_ns, struct rfl_tally *failed,
                           struct rfl_err *err) {
  (void)until_ns;
  (void)failed;
  struct sink_and_ends at = of_sink(s);
  return sink_flush(at.e, at.k, err);
}

/* ---- store ---- */

static struct ends *of_store(struct rfl_store *s) {
  return (struct ends *)(void *)((char *)s - offsetof(struct ends, store));
}

static enum rfl_code copy_part(const struct rfl_part *from, struct rfl_part *gives,
                               struct rfl_err *err) {
  char *name = rfl_strdup(from->name);
  uint8_t *data = rfl_alloc(from->data.n, 1);
  if (!name || !data) {
    rfl_free(name);
    rfl_free(data);
    return rfl_no_memory(err);
  }
  if (from->data.n) memcpy(data, from->data.p, from->data.n);
  *gives = (struct rfl_part){.name = name, .data = {.p = data, .n = from->data.n}};
  return RFL_OK;
}

static enum rfl_code copy_parts(const struct rfl_part *from, size_t n, struct saved *to,
                                struct rfl_err *err) {
  for (to->n = 0; to->n < n; to->n++) {
    enum rfl_code code = copy_part(&from[to->n], &to->part[to->n], err);
    if (code) {
      release_saved(to);
      return code;
    }
  }
  return RFL_OK;
}

/* Sorted by name, as a folder is. */
static void insert_saved(struct world *w, const struct saved *s) {
  size_t at = w->n_saved;
  while (at > 0 && strcmp(w->saved[at - 1].name, s->name) > 0) at--;
  if (at > 0 && strcmp(w->saved[at - 1].name, s->name) == 0)
    wrong(w, "a checkpoint's name is used again");
  if (w->n_saved == MOST_SAVED) {
    wrong(w, "checkpoints are not dropped");
    w->n_saved--;
    release_saved(&w->saved[w->n_saved]);
  }
  memmove(&w->saved[at + 1], &w->saved[at], (w->n_saved - at) * sizeof *s);
  w->saved[at] = *s;
  w->n_saved++;
  w->saves++;
}

static void drop_staged_save(struct ends *e) {
  if (e->has_staged_save) release_saved(&e->staged_save);
  e->has_staged_save = false;
}

static enum rfl_code store_save(struct rfl_store *store, const char *name,
                                const struct rfl_cursor *cursor,
                                const struct rfl_part *part, size_t n, int64_t until_ns,
                                struct rfl_err *err) {
  (void)until_ns;
  struct ends *e = of_store(store);
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_SAVE, &kind, err));
  if (e->fenced) wrong(e->world, "a fenced process saved");
  struct saved s = {0};
  snprintf(s.name, sizeof s.name, "%s", name);
  from_cursor(cursor, s.at);
  RFL_TRY(copy_parts(part, n, &s, err));
  if (!e->world->bound_store) {
    insert_saved(e->world, &s);
  } else {
    if (!e->open) wrong(e->world, "a bound store saves outside of a step");
    drop_staged_save(e);
    e->staged_save = s;
    e->has_staged_save = true;
  }
  return leave(e, kind, err);
}

static enum rfl_code give_saved(const struct saved *s, struct rfl_cursor *gives,
                                struct rfl_part **gives_parts, size_t *n,
                                struct rfl_err *err) {
  struct saved copy = {0};
  struct rfl_cursor cursor = {0};
  struct rfl_part *part = rfl_alloc(s->n, sizeof *part);
  if (!part) return rfl_no_memory(err);
  enum rfl_code code = to_cursor(s->at, &cursor, err);
  if (!code) code = copy_parts(s->part, s->n, &copy, err);
  if (code) {
    rfl_cursor_release(&cursor);
    rfl_free(part);
    return code;
  }
  memcpy(part, copy.part, s->n * sizeof *part);
  *gives = cursor;
  *gives_parts = part;
  *n = s->n;
  return RFL_OK;
}

static enum rfl_code store_load(struct rfl_store *store, const char *name,
                                struct rfl_cursor *gives, struct rfl_part **gives_parts,
                                size_t *n, struct rfl_err *err) {
  struct ends *e = of_store(store);
  struct world *w = e->world;
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_LOAD, &kind, err));
  const struct saved *found = NULL;
  for (size_t i = 0; i < w->n_saved; i++)
    if (!name || strcmp(name, w->saved[i].name) == 0) found = &w->saved[i];
  RFL_TRY(leave(e, kind, err));
  if (found) return give_saved(found, gives, gives_parts, n, err);
  *gives = (struct rfl_cursor){0};
  *gives_parts = NULL;
  *n = 0;
  return RFL_OK;
}

static enum rfl_code store_keep(struct rfl_store *store, const char *oldest,
                                struct rfl_err *err) {
  struct ends *e = of_store(store);
  struct world *w = e->world;
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_KEEP, &kind, err));
  if (e->fenced) wrong(w, "a fenced process dropped checkpoints");
  while (w->n_saved && strcmp(w->saved[0].name, oldest) < 0) {
    release_saved(&w->saved[0]);
    w->n_saved--;
    memmove(&w->saved[0], &w->saved[1], w->n_saved * sizeof w->saved[0]);
  }
  return leave(e, kind, err);
}

/* ---- unit ---- */

static struct ends *of_unit(struct rfl_unit *u) {
  return (struct ends *)(void *)((char *)u - offsetof(struct ends, unit));
}

static void forget_step(struct ends *e) {
  e->open = false;
  for (int k = 0; k < SINKS; k++) e->n_staged[k] = 0;
  drop_staged_save(e);
}

static enum rfl_code give_plan(const struct commit *c, struct rfl_mark *mark,
                               struct rfl_err *err) {
  mark->plan = rfl_alloc(c->n_plan, sizeof *mark->plan);
  if (!mark->plan) return rfl_no_memory(err);
  for (; mark->n_plan < c->n_plan; mark->n_plan++)
    RFL_TRY(to_cursor(c->plan[mark->n_plan], &mark->plan[mark->n_plan], err));
  return RFL_OK;
}

static enum rfl_code give_commit(const struct world *w, struct rfl_cursor *gives,
                                 struct rfl_mark *gives_mark, struct rfl_err *err) {
  struct rfl_cursor cursor = {0};
  struct rfl_mark mark = {.batch = w->commit.batch};
  memcpy(mark.checkpoint, w->commit.checkpoint, sizeof mark.checkpoint);
  if (mark.batch) {
    enum rfl_code code = to_cursor(w->commit.at, &cursor, err);
    if (!code) code = give_plan(&w->commit, &mark, err);
    if (code) {
      rfl_cursor_release(&cursor);
      rfl_mark_release(&mark);
      return code;
    }
  }
  *gives = cursor;
  *gives_mark = mark;
  return RFL_OK;
}

static enum rfl_code unit_recover(struct rfl_unit *u, struct rfl_cursor *gives,
                                  struct rfl_mark *gives_mark, struct rfl_err *err) {
  struct ends *e = of_unit(u);
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_RECOVER, &kind, err));
  if (!e->epoch) e->epoch = ++e->world->epoch; /* the first call fences */
  RFL_TRY(check_holder(e, err));
  forget_step(e);
  RFL_TRY(leave(e, kind, err));
  return give_commit(e->world, gives, gives_mark, err);
}

static enum rfl_code unit_begin(struct rfl_unit *u, struct rfl_err *err) {
  struct ends *e = of_unit(u);
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_BEGIN, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (e->open) wrong(e->world, "a step was open already");
  e->open = true;
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  return leave(e, kind, err);
}

static void apply(struct ends *e, const struct rfl_cursor *upto,
                  const struct rfl_mark *mark) {
  struct world *w = e->world;
  struct commit *c = &w->commit;
  if (mark->batch <= c->batch) wrong(w, "a batch was committed twice");
  if (mark->n_plan > MOST_PLAN) {
    wrong(w, "the plan is too long");
    return;
  }
  int64_t at[PLACES];
  from_cursor(upto, at);
  if (!c->batch)
    for (int p = 0; p < PLACES; p++) c->at[p] = -1;
  for (int p = 0; p < PLACES; p++)
    if (at[p] >= 0) c->at[p] = at[p];
  c->batch = mark->batch;
  memcpy(c->checkpoint, mark->checkpoint, sizeof c->checkpoint);
  c->n_plan = mark->n_plan;
  for (size_t i = 0; i < mark->n_plan; i++) from_cursor(&mark->plan[i], c->plan[i]);
  for (int k = 0; k < SINKS; k++) show(e, k);
  if (e->has_staged_save) insert_saved(w, &e->staged_save);
  e->has_staged_save = false;
  e->open = false;
  w->commits++;
}

static enum rfl_code unit_commit(struct rfl_unit *u, const struct rfl_cursor *upto,
                                 struct rfl_bytes fence, const struct rfl_mark *mark,
                                 int64_t until_ns, struct rfl_err *err) {
  (void)fence;
  (void)until_ns;
  struct ends *e = of_unit(u);
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_COMMIT, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (!e->open) wrong(e->world, "a commit outside of a step");
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  if (kind != UNSURE_NOT) apply(e, upto, mark);
  if (kind == UNSURE_DONE || kind == UNSURE_NOT)
    return rfl_fail(err, RFL_EUNSURE, "Nobody answered.");
  return leave(e, kind, err);
}

static enum rfl_code unit_abort(struct rfl_unit *u, struct rfl_err *err) {
  struct ends *e = of_unit(u);
  enum fault_kind kind;
  RFL_TRY(enter(e, CALL_ABORT, &kind, err));
  RFL_TRY(check_holder(e, err));
  forget_step(e);
  return leave(e, kind, err);
}

/* ---- a process ---- */

static void wake(struct rfl_source *s) { (void)s; }

enum rfl_code ends_open(struct ends *e, struct world *w, struct rfl_err *err) {
  memset(e, 0, sizeof *e);
  e->world = w;
  struct rfl_field field[N_FIELDS] = {
      [F_X] = {.name = "x", .type = RFL_DOUBLE},
      [F_ID] = {.name = "id", .type = RFL_DOUBLE},
      [F_Y] = {.name = "y", .type = RFL_DOUBLE},
      [F_KEY] = {.name = ".key", .type = RFL_FACTOR, .meta = RFL_META_KEY},
      [F_TIME] = {
          .name = ".timestamp", .type = RFL_TIMESTAMP, .meta = RFL_META_TIMESTAMP}};
  e->source = (struct rfl_source){.start = source_start,
                                  .next = source_next,
                                  .change = source_change,
                                  .settle = source_settle,
                                  .wake = wake};
  for (int k = 0; k < SINKS; k++)
    e->sink[k] = (struct rfl_sink){.unit = w->unit ? &e->unit : NULL,
                                   .idempotent = k == 1,
                                   .put = put,
                                   .flush = flush};
  e->unit = (struct rfl_unit){.recover = unit_recover,
                              .begin = unit_begin,
                              .commit = unit_commit,
                              .abort = unit_abort};
  e->store = (struct rfl_store){.unit = w->bound_store ? &e->unit : NULL,
                                .save = store_save,
                                .load = store_load,
                                .keep = store_keep};
  RFL_TRY(rfl_schema_new(field, N_FIELDS, &e->schema, err));
  enum rfl_code code = rfl_builder_new(e->schema, &e->builder, err);
  for (uint32_t p = 0; !code && p < PLACES; p++)
    code = rfl_builder_name_place(e->builder, p, "clicks", (int32_t)p, err);
  if (code) ends_close(e);
  return code;
}

void ends_close(struct ends *e) {
  drop_staged_save(e);
  rfl_cursor_release(&e->change.lost);
  rfl_cursor_release(&e->change.gained);
  rfl_builder_release(e->builder);
  rfl_schema_release(e->schema);
  e->builder = NULL;
  e->schema = NULL;
}
