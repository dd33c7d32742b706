#include "ends.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ends_inside.h"

void ends_wrong(struct world *w, const char *what) {
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
enum rfl_code ends_enter(struct ends *e, enum call call, enum fault_kind *kind,
                         struct rfl_err *err) {
  struct world *w = e->world;
  *kind = NO_FAULT;
  if (e->dead) return rfl_fail(err, RFL_EIO, "The process is dead.");
  uint64_t number = w->calls++;
  if (number < MOST_CALLS) w->log[number] = (uint8_t)call;
  if (w->watch) w->watch(w, number, false);
  if (number > 100 * MOST_CALLS) { /* it does not end: stop it */
    ends_wrong(w, "the loop does not end");
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
enum rfl_code ends_leave(struct ends *e, enum fault_kind kind, struct rfl_err *err) {
  struct world *w = e->world;
  if (w->watch) w->watch(w, w->calls - 1, true);
  if (kind != DIE_AFTER) return RFL_OK;
  e->dead = true;
  return rfl_fail(err, RFL_EIO, "Died in a call.");
}

/* Writing calls of a unit's holder. */
static enum rfl_code check_holder(struct ends *e, struct rfl_err *err) {
  if (e->fenced) ends_wrong(e->world, "a fenced process went on writing");
  if (!e->world->unit || e->epoch == e->world->epoch) return RFL_OK;
  e->fenced = true;
  return rfl_fail(err, RFL_EFENCED, "Somebody else holds the name.");
}

/* ---- cursors ---- */

enum rfl_code ends_to_cursor(const int64_t at[PLACES], struct rfl_cursor *gives,
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

void ends_from_cursor(const struct rfl_cursor *c, int64_t at[PLACES]) {
  for (int p = 0; p < PLACES; p++) at[p] = -1;
  for (size_t i = 0; i < c->n; i++) at[c->place[i].shard] = c->place[i].next;
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

static bool shown(const struct world *w, int k, const struct seen *row) {
  for (size_t i = 0; i < w->rows[k]; i++)
    if (w->row[k][i].place == row->place && w->row[k][i].position == row->position)
      return true;
  return false;
}

/* Now everybody sees it. Without a unit rows may come again, but none that a save covers.
 */
static void show(struct ends *e, int k) {
  struct world *w = e->world;
  for (size_t i = 0; i < e->n_staged[k]; i++) {
    const struct seen *row = &e->staged[k][i];
    bool saved =
        !w->unit && w->n_saved && row->position < w->saved[w->n_saved - 1].at[row->place];
    if (saved && shown(w, k, row)) ends_wrong(w, "a row that was saved is put again");
    if (w->rows[k] < MOST_ROWS)
      w->row[k][w->rows[k]++] = *row;
    else
      ends_wrong(w, "more rows than there can be");
  }
  e->n_staged[k] = 0;
}

static enum rfl_code sink_put(struct ends *e, int k, uint64_t batch, struct rfl_frame *f,
                              struct rfl_err *err) {
  enum fault_kind kind;
  RFL_TRY(ends_enter(e, CALL_PUT, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (e->world->unit && !e->open) ends_wrong(e->world, "put outside of a step");
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  RFL_TRY(stage(e, k, batch, f, err));
  if (!e->world->unit && k == 0) show(e, k); /* this one does not buffer */
  return ends_leave(e, kind, err);
}

static enum rfl_code sink_flush(struct ends *e, int k, struct rfl_err *err) {
  enum fault_kind kind;
  RFL_TRY(ends_enter(e, CALL_FLUSH, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  if (!e->world->unit) show(e, k);
  return ends_leave(e, kind, err);
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
    ends_wrong(w, "a checkpoint's name is used again");
  if (w->n_saved == MOST_SAVED) {
    ends_wrong(w, "checkpoints are not dropped");
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
  RFL_TRY(ends_enter(e, CALL_SAVE, &kind, err));
  if (e->fenced) ends_wrong(e->world, "a fenced process saved");
  struct saved s = {0};
  snprintf(s.name, sizeof s.name, "%s", name);
  ends_from_cursor(cursor, s.at);
  RFL_TRY(copy_parts(part, n, &s, err));
  if (!e->world->bound_store) {
    insert_saved(e->world, &s);
  } else {
    if (!e->open) ends_wrong(e->world, "a bound store saves outside of a step");
    drop_staged_save(e);
    e->staged_save = s;
    e->has_staged_save = true;
  }
  return ends_leave(e, kind, err);
}

static enum rfl_code give_saved(const struct saved *s, struct rfl_cursor *gives,
                                struct rfl_part **gives_parts, size_t *n,
                                struct rfl_err *err) {
  struct saved copy = {0};
  struct rfl_cursor cursor = {0};
  struct rfl_part *part = rfl_alloc(s->n, sizeof *part);
  if (!part) return rfl_no_memory(err);
  enum rfl_code code = ends_to_cursor(s->at, &cursor, err);
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
  RFL_TRY(ends_enter(e, CALL_LOAD, &kind, err));
  const struct saved *found = NULL;
  for (size_t i = 0; i < w->n_saved; i++)
    if (!name || strcmp(name, w->saved[i].name) == 0) found = &w->saved[i];
  RFL_TRY(ends_leave(e, kind, err));
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
  RFL_TRY(ends_enter(e, CALL_KEEP, &kind, err));
  if (e->fenced) ends_wrong(w, "a fenced process dropped checkpoints");
  while (w->n_saved && strcmp(w->saved[0].name, oldest) < 0) {
    release_saved(&w->saved[0]);
    w->n_saved--;
    memmove(&w->saved[0], &w->saved[1], w->n_saved * sizeof w->saved[0]);
  }
  return ends_leave(e, kind, err);
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
    RFL_TRY(ends_to_cursor(c->plan[mark->n_plan], &mark->plan[mark->n_plan], err));
  return RFL_OK;
}

static enum rfl_code give_commit(const struct world *w, struct rfl_cursor *gives,
                                 struct rfl_mark *gives_mark, struct rfl_err *err) {
  struct rfl_cursor cursor = {0};
  struct rfl_mark mark = {.batch = w->commit.batch};
  memcpy(mark.checkpoint, w->commit.checkpoint, sizeof mark.checkpoint);
  if (mark.batch) {
    enum rfl_code code = ends_to_cursor(w->commit.at, &cursor, err);
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
  RFL_TRY(ends_enter(e, CALL_RECOVER, &kind, err));
  if (!e->epoch) e->epoch = ++e->world->epoch; /* the first call fences */
  RFL_TRY(check_holder(e, err));
  forget_step(e);
  RFL_TRY(ends_leave(e, kind, err));
  return give_commit(e->world, gives, gives_mark, err);
}

static enum rfl_code unit_begin(struct rfl_unit *u, struct rfl_err *err) {
  struct ends *e = of_unit(u);
  enum fault_kind kind;
  RFL_TRY(ends_enter(e, CALL_BEGIN, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (e->open) ends_wrong(e->world, "a step was open already");
  e->open = true;
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  return ends_leave(e, kind, err);
}

static void apply(struct ends *e, const struct rfl_cursor *upto,
                  const struct rfl_mark *mark) {
  struct world *w = e->world;
  struct commit *c = &w->commit;
  if (mark->batch <= c->batch) ends_wrong(w, "a batch was committed twice");
  if (mark->n_plan > MOST_PLAN) {
    ends_wrong(w, "the plan is too long");
    return;
  }
  int64_t at[PLACES];
  ends_from_cursor(upto, at);
  if (!c->batch)
    for (int p = 0; p < PLACES; p++) c->at[p] = -1;
  for (int p = 0; p < PLACES; p++)
    if (at[p] >= 0) c->at[p] = at[p];
  memcpy(c->asked, at, sizeof c->asked);
  c->batch = mark->batch;
  memcpy(c->checkpoint, mark->checkpoint, sizeof c->checkpoint);
  c->n_plan = mark->n_plan;
  for (size_t i = 0; i < mark->n_plan; i++) ends_from_cursor(&mark->plan[i], c->plan[i]);
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
  RFL_TRY(ends_enter(e, CALL_COMMIT, &kind, err));
  RFL_TRY(check_holder(e, err));
  if (!e->open) ends_wrong(e->world, "a commit outside of a step");
  if (kind == ABORT) return rfl_fail(err, RFL_EABORT, "Do it again.");
  if (kind != UNSURE_NOT) apply(e, upto, mark);
  if (kind == UNSURE_DONE || kind == UNSURE_NOT)
    return rfl_fail(err, RFL_EUNSURE, "Nobody answered.");
  return ends_leave(e, kind, err);
}

static enum rfl_code unit_abort(struct rfl_unit *u, struct rfl_err *err) {
  struct ends *e = of_unit(u);
  enum fault_kind kind;
  RFL_TRY(ends_enter(e, CALL_ABORT, &kind, err));
  RFL_TRY(check_holder(e, err));
  forget_step(e);
  return ends_leave(e, kind, err);
}

/* ---- a process ---- */

enum rfl_code ends_open(struct ends *e, struct world *w, struct rfl_err *err) {
  memset(e, 0, sizeof *e);
  e->world = w;
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
  enum rfl_code code = ends_open_source(e, err);
  if (code) ends_close(e);
  return code;
}

void ends_close(struct ends *e) {
  drop_staged_save(e);
  ends_close_source(e);
}
