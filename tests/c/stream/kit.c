#include "kit.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "rows.h"
#include "tiny.h"

int64_t in_ms(int64_t ms) { return rfl_now_ns() + ms * RFL_MS; }

uint64_t usable(int64_t n) {
  uint64_t m = 0;
  for (int64_t i = 0; i < n; i++) m += row_has_x(i) && row_has_y(i);
  return m;
}

struct maker *maker_of(struct rfl_source *s) {
  return (struct maker *)(void *)s;
}

static enum rfl_code maker_start(struct rfl_source *s, const struct rfl_cursor *from,
                                 struct rfl_err *err) {
  (void)err;
  const struct rfl_place *p = from ? rfl_cursor_find(from, "clicks", 0) : NULL;
  maker_of(s)->at = p ? p->next : 0;
  return RFL_OK;
}

static void wait_idle(struct maker *m, int64_t until_ns) {
  pthread_mutex_lock(&m->lock);
  while (!m->wake && rfl_cond_wait_until(&m->woken, &m->lock, until_ns)) {
  }
  m->wake = false;
  pthread_mutex_unlock(&m->lock);
}

/* An endless one (end < 0) idles once it has given -end rows. */
static enum rfl_code maker_next(struct rfl_source *s, const struct rfl_want *want,
                                enum rfl_event *event, struct rfl_frame **gives,
                                struct rfl_err *err) {
  struct maker *m = maker_of(s);
  int64_t end = m->end < 0 ? -m->end : m->end;
  uint32_t n = m->frame;
  if (n > want->max_rows) n = want->max_rows;
  if (n > end - m->at) n = (uint32_t)(end - m->at);
  bool pause = m->idle_every && m->at % m->idle_every == 0 && !m->idle;
  if ((!n && m->end < 0) || pause) {
    m->idle = true;
    *event = RFL_IDLE;
    if (!pause) wait_idle(m, want->until_ns);
    return RFL_OK;
  }
  m->idle = false;
  *event = n ? RFL_ROWS : RFL_END;
  if (!n) return RFL_OK;
  RFL_TRY(rows_frame(m->builder, m->at, n, gives, err));
  m->at += n;
  return RFL_OK;
}

static void maker_wake(struct rfl_source *s) {
  pthread_mutex_lock(&maker_of(s)->lock);
  maker_of(s)->wake = true;
  pthread_cond_signal(&maker_of(s)->woken);
  pthread_mutex_unlock(&maker_of(s)->lock);
}

static void maker_release(struct rfl_source *s) {
  if (!s) return;
  rfl_builder_release(maker_of(s)->builder);
  pthread_cond_destroy(&maker_of(s)->woken);
  pthread_mutex_destroy(&maker_of(s)->lock);
  rfl_free(s);
}

enum rfl_code new_maker(int64_t end, uint32_t frame, struct rfl_source **gives,
                        struct rfl_err *err) {
  struct maker *m = rfl_alloc(1, sizeof *m);
  if (!m) return rfl_no_memory(err);
  m->base = (struct rfl_source){.start = maker_start,
                                .next = maker_next,
                                .wake = maker_wake,
                                .release = maker_release};
  m->end = end;
  m->frame = frame;
  m->idle_every = frame;
  m->idle = true;
  pthread_mutex_init(&m->lock, NULL);
  rfl_cond_init(&m->woken);
  enum rfl_code code = rows_builder(&m->builder, err);
  if (code)
    maker_release(&m->base);
  else
    *gives = &m->base;
  return code;
}

/* ---- the kit ---- */

enum rfl_code kit_new_live(struct kit *k, struct rfl_err *err) {
  struct tiny_options once = {.passes = 1};
  struct rfl_state *state = NULL;
  RFL_TRY(rfl_tiny.open(&once.base, rfl_recipe_layout(k->recipe), &state, err));
  enum rfl_code code =
      rfl_live_new(&rfl_tiny, state, k->recipe, "ctr", 50, 1, &k->live, err);
  if (code) rfl_tiny.release(state);
  return code;
}

void kit_release(struct kit *k) {
  if (k->sink) k->sink->release(k->sink);
  if (k->source) k->source->release(k->source);
  rfl_memory_sink_release(k->memory);
  rfl_live_release(k->live);
  rfl_recipe_release(k->recipe);
  ends_close(&k->ends);
  world_release(&k->world);
}

static void no_release(struct rfl_store *s) { (void)s; }

static const struct event no_script[] = {{.what = RFL_END}};
static const char *const keep_id[] = {"id"};

enum rfl_code kit_new(struct kit *k, int64_t end, uint32_t frame, struct rfl_err *err) {
  memset(k, 0, sizeof *k);
  world_new(&k->world, no_script, 1, false);
  enum rfl_code code = ends_open(&k->ends, &k->world, err);
  k->ends.store.release = no_release;
  if (!code) code = tiny_recipe(&k->recipe, err);
  if (!code) code = kit_new_live(k, err);
  if (!code) code = rfl_memory_sink_new(1000000, &k->memory, err);
  if (!code) code = rfl_memory_sink_end(k->memory, &k->sink, err);
  if (!code) code = new_maker(end, frame, &k->source, err);
  k->spec = (struct rfl_query_spec){.name = "clicks",
                                    .source = k->source,
                                    .score = {.live = k->live},
                                    .learn = k->live,
                                    .learn_unseen = RFL_UNSEEN_REFERENCE,
                                    .keep = keep_id,
                                    .n_keep = 1,
                                    .sink = &k->sink,
                                    .n_sinks = 1,
                                    .max_batch = 1000,
                                    .save_every_ns = 3600 * (int64_t)RFL_SECOND,
                                    .drain_ns = 5 * (int64_t)RFL_SECOND};
  if (code) kit_release(k);
  return code;
}
