#include "stream/query.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "stream/loop.h"

struct rfl_query {
  pid_t pid; /* whose thread it is */
  pthread_t thread;
  bool finished; /* joined, and what it had taken is released */
  struct rfl_control control;
  struct rfl_query_spec spec; /* with copies of what it points to, all below */
  char *name, *into;
  char **keep;
  struct rfl_step **step;
  struct rfl_sink **sink;
};

/* ---- the spec, copied ---- */

static enum rfl_code copy_texts(struct rfl_query *q, const struct rfl_query_spec *spec,
                                struct rfl_err *err) {
  q->name = rfl_strdup(spec->name ? spec->name : "query");
  q->into = rfl_strdup(spec->score.into ? spec->score.into : "score");
  q->keep = rfl_alloc(spec->n_keep, sizeof *q->keep);
  if (!q->name || !q->into || !q->keep) return rfl_no_memory(err);
  for (size_t i = 0; i < spec->n_keep; i++) {
    q->keep[i] = rfl_strdup(spec->keep[i]);
    if (!q->keep[i]) return rfl_no_memory(err);
  }
  q->spec.name = q->name;
  q->spec.score.into = q->into;
  q->spec.keep = (const char *const *)q->keep;
  return RFL_OK;
}

static enum rfl_code copy_spec(struct rfl_query *q, const struct rfl_query_spec *spec,
                               struct rfl_err *err) {
  q->spec = *spec;
  q->step = rfl_alloc(spec->n_steps, sizeof *q->step);
  q->sink = rfl_alloc(spec->n_sinks, sizeof *q->sink);
  if (!q->step || !q->sink) return rfl_no_memory(err);
  for (size_t i = 0; i < spec->n_steps; i++) q->step[i] = spec->step[i];
  for (size_t i = 0; i < spec->n_sinks; i++) q->sink[i] = spec->sink[i];
  q->spec.step = q->step;
  q->spec.sink = q->sink;
  return copy_texts(q, spec, err);
}

/* The memory of the handle, not what it has taken. */
static void release_shell(struct rfl_query *q) {
  rfl_control_release(&q->control);
  for (size_t i = 0; q->keep && i < q->spec.n_keep; i++) rfl_free(q->keep[i]);
  rfl_free(q->keep);
  rfl_free(q->name);
  rfl_free(q->into);
  rfl_free(q->step);
  rfl_free(q->sink);
  rfl_free(q);
}

/* ---- the thread ---- */

static void *run(void *arg) {
  struct rfl_query *q = arg;
  rfl_loop_run(&q->spec, &q->control);
  return NULL;
}

static enum rfl_code launch(struct rfl_query *q, struct rfl_err *err) {
  if (q->spec.learn) RFL_TRY(rfl_live_claim(q->spec.learn, q->name, err));
  enum rfl_code code = rfl_thread_start(&q->thread, run, q, err);
  if (code && q->spec.learn) rfl_live_unclaim(q->spec.learn, q->name);
  return code;
}

enum rfl_code rfl_query_start(const struct rfl_query_spec *spec, struct rfl_query **gives,
                              struct rfl_err *err) {
  RFL_TRY(rfl_check_spec(spec, err));
  struct rfl_query *q = rfl_alloc(1, sizeof *q);
  if (!q) return rfl_no_memory(err);
  q->pid = getpid();
  rfl_control_init(&q->control);
  enum rfl_code code = copy_spec(q, spec, err);
  /* The thread may end and the live models be released before this returns: keep first.
   */
  if (!code && spec->learn) rfl_live_keep(spec->learn);
  if (!code && spec->score.live) rfl_live_keep(spec->score.live);
  bool kept = !code;
  if (!code) code = launch(q, err);
  if (code) {
    if (kept) rfl_live_release(spec->learn);
    if (kept) rfl_live_release(spec->score.live);
    release_shell(q);
    return code;
  }
  *gives = q;
  return RFL_OK;
}

enum rfl_code rfl_query_run(const struct rfl_query_spec *spec,
                            struct rfl_query_status *gives, struct rfl_err *err) {
  RFL_TRY(rfl_check_spec(spec, err));
  const char *writer = spec->name ? spec->name : "query";
  if (spec->learn) RFL_TRY(rfl_live_claim(spec->learn, writer, err));
  struct rfl_control control;
  rfl_control_init(&control);
  rfl_loop_run(spec, &control);
  *gives = control.status;
  rfl_control_release(&control);
  if (gives->phase != RFL_QUERY_FAILED) return RFL_OK;
  if (err) *err = gives->error;
  return gives->error.code;
}

/* ---- from other threads ---- */

void rfl_query_status(struct rfl_query *q, struct rfl_query_status *gives) {
  pthread_mutex_lock(&q->control.lock);
  *gives = q->control.status;
  pthread_mutex_unlock(&q->control.lock);
}

enum rfl_code rfl_query_progress(struct rfl_query *q, size_t n,
                                 struct rfl_progress **gives, size_t *gives_n,
                                 struct rfl_err *err) {
  return rfl_control_read_log(&q->control, n, gives, gives_n, err);
}

void rfl_progress_free(struct rfl_progress *list, size_t n) {
  for (size_t i = 0; list && i < n; i++) rfl_cursor_release(&list[i].end);
  rfl_free(list);
}

void rfl_query_stop(struct rfl_query *q) {
  struct rfl_control *c = &q->control;
  pthread_mutex_lock(&c->lock);
  if (!c->stop) c->stop_ns = rfl_now_ns();
  c->stop = true;
  if (!c->ended) c->status.phase = RFL_QUERY_STOPPING;
  pthread_cond_broadcast(&c->changed);
  pthread_mutex_unlock(&c->lock);
  bool wake = !q->finished && q->spec.source->wake;
  if (wake) q->spec.source->wake(q->spec.source);
}

static enum rfl_code wait_for(struct rfl_query *q, bool end, int64_t until_ns) {
  struct rfl_control *c = &q->control;
  pthread_mutex_lock(&c->lock);
  bool there = false, time = true;
  while (!there && time) {
    there = c->ended || (!end && c->status.phase != RFL_QUERY_STARTING);
    if (!there) time = rfl_cond_wait_until(&c->changed, &c->lock, until_ns);
  }
  pthread_mutex_unlock(&c->lock);
  return there ? RFL_OK : RFL_EAGAIN;
}

enum rfl_code rfl_query_wait(struct rfl_query *q, int64_t until_ns) {
  return wait_for(q, true, until_ns);
}

enum rfl_code rfl_query_ready(struct rfl_query *q, int64_t until_ns) {
  return wait_for(q, false, until_ns);
}

/* Sinks and the store before the unit that they are bound to. In a forked child the
 * thread is not there and its locks may be held for ever: nothing is touched. */
void rfl_query_finish(struct rfl_query *q) {
  if (q->finished || q->pid != getpid()) return;
  pthread_join(q->thread, NULL);
  struct rfl_query_spec *s = &q->spec;
  for (size_t i = 0; i < s->n_sinks; i++) s->sink[i]->release(s->sink[i]);
  for (size_t i = 0; i < s->n_steps; i++) s->step[i]->release(s->step[i]);
  if (s->store) s->store->release(s->store);
  if (s->unit) s->unit->release(s->unit);
  s->source->release(s->source);
  rfl_live_release(s->learn);
  rfl_live_release(s->score.live);
  q->finished = true;
}

void rfl_query_release(struct rfl_query *q) {
  if (!q || q->pid != getpid()) return;
  rfl_query_stop(q);
  rfl_query_finish(q);
  release_shell(q);
}
