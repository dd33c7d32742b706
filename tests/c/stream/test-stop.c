/* How a query stops, keeps its pace, and bears threads and forks around it. */
#include <sys/wait.h>
#include <unistd.h>

#include "../harness.h"
#include "base/clock.h"
#include "base/thread.h"
#include "blas_fill.h"
#include "kit.h"
#include "rows.h"
#include "tiny.h"

static struct kit kit; /* large */

/* Starts it: source and sink are the query's from then on. */
static struct rfl_query *start(struct kit *k) {
  struct rfl_query *q = NULL;
  struct rfl_err err = {0};
  CHECK_OK(rfl_query_start(&k->spec, &q, &err), &err);
  k->sink = NULL;
  k->source = NULL;
  return q;
}

/* Every id of the sink's frames, in order, from `from` on. */
static void check_ids(struct rfl_memory_sink *m, int64_t from, int64_t to) {
  struct rfl_frame **frame = NULL;
  size_t n = 0;
  struct rfl_err err = {0};
  CHECK_OK(rfl_memory_sink_take(m, &frame, &n, &err), &err);
  int64_t next = from;
  for (size_t i = 0; i < n; i++) {
    ptrdiff_t id = rfl_schema_find(frame[i]->schema, "id");
    for (uint32_t r = 0; r < frame[i]->n_rows; r++)
      CHECK_EQ(frame[i]->column[id].f64[r], next++);
    rfl_frame_release(frame[i]);
  }
  CHECK_EQ(next, to);
  rfl_free(frame);
}

/* ---- stopping ---- */

TEST(an_idle_query_stops_at_once_and_goes_on_where_it_was_without_learning_twice) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, -730, 100, &err), &err);
  kit.spec.store = &kit.ends.store;
  struct rfl_query *q = start(&kit);
  int64_t deadline = in_ms(10000);
  do {
    rfl_query_status(q, &status);
  } while (status.rows < 730 && rfl_now_ns() < deadline);
  int64_t from = rfl_now_ns();
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  CHECK(rfl_now_ns() - from < 2 * (int64_t)RFL_SECOND); /* not its drain time */
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_STOPPED);
  CHECK_EQ(status.saves, 2); /* the first batch's, and the last */
  rfl_query_release(q);
  /* Again, in a new process: a new model gets the state. */
  rfl_live_release(kit.live);
  CHECK_OK(kit_new_live(&kit, &err), &err);
  CHECK_OK(rfl_memory_sink_end(kit.memory, &kit.sink, &err), &err);
  CHECK_OK(new_maker(1500, 100, &kit.source, &err), &err);
  kit.spec.source = kit.source;
  kit.spec.learn = kit.spec.score.live = kit.live;
  q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_DONE);
  CHECK(status.resumed);
  CHECK_EQ(status.rows, 770);
  check_ids(kit.memory, 0, 1500);
  CHECK_EQ(rfl_live_learnt(kit.live) + rfl_live_pending(kit.live), usable(1500));
  CHECK_EQ(status.learnt, rfl_live_learnt(kit.live) - usable(730) / 50 * 50);
  rfl_query_release(q);
  kit_release(&kit);
}

static enum rfl_code never(struct rfl_sink *s, int64_t until_ns, struct rfl_tally *failed,
                           struct rfl_err *err) {
  (void)s;
  (void)failed;
  while (rfl_now_ns() < until_ns) usleep(1000);
  return rfl_fail(err, RFL_EAGAIN, "Not yet.");
}

TEST(stop_gives_up_a_sink_that_never_answers_within_the_drain_time) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 100, 100, &err), &err);
  kit.sink->flush = never;
  kit.spec.drain_ns = 200 * (int64_t)RFL_MS;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(150)), RFL_EAGAIN);
  int64_t from = rfl_now_ns();
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  int64_t took = rfl_now_ns() - from;
  CHECK(took >= 150 * (int64_t)RFL_MS && took < 3 * (int64_t)RFL_SECOND);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_FAILED);
  CHECK_EQ(status.error.code, RFL_ETIMEOUT);
  CHECK(strstr(status.error.message, "read again") != NULL);
  rfl_query_release(q);
  kit_release(&kit);
}

static enum rfl_code never_load(struct rfl_store *s, const char *name,
                                struct rfl_cursor *c, struct rfl_part **p, size_t *n,
                                struct rfl_err *err) {
  (void)s, (void)name, (void)c, (void)p, (void)n;
  return rfl_fail(err, RFL_EAGAIN, "Not yet.");
}

TEST(a_query_that_has_not_begun_can_be_stopped) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 100, 100, &err), &err);
  kit.spec.store = &kit.ends.store;
  kit.ends.store.load = never_load;
  kit.spec.drain_ns = 50 * (int64_t)RFL_MS;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_ready(q, in_ms(50)), RFL_EAGAIN);
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_STOPPED);
  CHECK_EQ(status.rows, 0);
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_quiet_stream_is_saved_too) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, -200, 100, &err), &err);
  kit.spec.store = &kit.ends.store;
  kit.spec.save_every_ns = 300 * (int64_t)RFL_MS;
  struct rfl_query *q = start(&kit);
  int64_t deadline = in_ms(10000);
  do {
    rfl_query_status(q, &status);
    usleep(1000);
  } while (status.saves < 2 && rfl_now_ns() < deadline);
  CHECK_EQ(status.batches, 2);
  CHECK_EQ(status.saves, 2); /* the first batch, and the second once it was quiet */
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  rfl_query_status(q, &status);
  CHECK_EQ(status.saves, 2); /* nothing is new */
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_paced_query_keeps_its_pace) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, 600, 600, &err), &err);
  kit.spec.pace = 1000;
  int64_t from = rfl_now_ns();
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_wait(q, in_ms(20000)), RFL_OK);
  double took = (double)(rfl_now_ns() - from) / RFL_SECOND;
  CHECK(took > 0.3); /* 600 rows at 1,000 a second, less the share it may run ahead */
  rfl_query_status(q, &status);
  CHECK_EQ(status.rows, 600);
  CHECK(status.batches >= 5); /* smooth: about a tenth of a second each */
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_paced_query_stops_at_once) {
  struct rfl_err err = {0};
  CHECK_OK(kit_new(&kit, 100000, 1000, &err), &err);
  kit.spec.pace = 10;
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_ready(q, in_ms(10000)), RFL_OK);
  int64_t from = rfl_now_ns();
  rfl_query_release(q);
  CHECK(rfl_now_ns() - from < 2 * (int64_t)RFL_SECOND);
  kit_release(&kit);
}

/* ---- threads and processes ---- */

struct watcher {
  struct rfl_query *q;
  struct rfl_live *live;
  struct rfl_memory_sink *memory;
  bool *stop; /* atomic */
  uint64_t rows;
  bool fell_back;
};

static void *watch(void *arg) {
  struct watcher *w = arg;
  while (!__atomic_load_n(w->stop, __ATOMIC_RELAXED)) {
    struct rfl_query_status status;
    struct rfl_progress *p = NULL;
    struct rfl_state *state = NULL;
    struct rfl_frame **frame = NULL;
    struct rfl_err err;
    uint64_t version;
    size_t n = 0;
    rfl_query_status(w->q, &status);
    if (status.rows < w->rows) w->fell_back = true;
    w->rows = status.rows;
    if (!rfl_query_progress(w->q, 50, &p, &n, &err)) rfl_progress_free(p, n);
    if (!rfl_live_copy(w->live, &state, &version, &err)) rfl_tiny.release(state);
    if (!rfl_memory_sink_take(w->memory, &frame, &n, &err)) {
      for (size_t i = 0; i < n; i++) rfl_frame_release(frame[i]);
      rfl_free(frame);
    }
    (void)!rfl_query_wait(w->q, 0);
  }
  return NULL;
}

TEST(a_running_query_may_be_watched_scored_with_and_stopped_from_any_thread) {
  enum { WATCHERS = 2 };
  struct rfl_err err = {0};
  bool stop = false;
  pthread_t thread[WATCHERS];
  struct watcher watcher[WATCHERS];
  CHECK_OK(kit_new(&kit, -20000, 100, &err), &err);
  struct rfl_query *q = start(&kit);
  for (int i = 0; i < WATCHERS; i++) {
    watcher[i] =
        (struct watcher){.q = q, .live = kit.live, .memory = kit.memory, .stop = &stop};
    CHECK_OK(rfl_thread_start(&thread[i], watch, &watcher[i], &err), &err);
  }
  struct rfl_query_status status;
  int64_t deadline = in_ms(20000);
  do {
    rfl_query_status(q, &status);
  } while (status.rows < 3000 && rfl_now_ns() < deadline);
  CHECK(status.rows >= 3000);
  rfl_query_stop(q);
  CHECK_EQ(rfl_query_wait(q, in_ms(10000)), RFL_OK);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < WATCHERS; i++) {
    pthread_join(thread[i], NULL);
    CHECK(!watcher[i].fell_back);
  }
  rfl_query_release(q);
  kit_release(&kit);
}

TEST(a_forked_child_may_release_the_query_and_nothing_happens) {
  struct rfl_err err = {0};
  struct rfl_query_status status;
  CHECK_OK(kit_new(&kit, -100, 100, &err), &err);
  struct rfl_query *q = start(&kit);
  CHECK_EQ(rfl_query_ready(q, in_ms(10000)), RFL_OK);
  pid_t child = fork();
  if (child == 0) {
    alarm(10);
    rfl_query_release(q);
    _exit(0);
  }
  int how = 1;
  CHECK_EQ(waitpid(child, &how, 0), child);
  CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  rfl_query_status(q, &status);
  CHECK_EQ(status.phase, RFL_QUERY_RUNNING);
  rfl_query_release(q);
  kit_release(&kit);
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(an_idle_query_stops_at_once_and_goes_on_where_it_was_without_learning_twice);
  RUN(stop_gives_up_a_sink_that_never_answers_within_the_drain_time);
  RUN(a_query_that_has_not_begun_can_be_stopped);
  RUN(a_quiet_stream_is_saved_too);
  RUN(a_paced_query_keeps_its_pace);
  RUN(a_paced_query_stops_at_once);
  RUN(a_running_query_may_be_watched_scored_with_and_stopped_from_any_thread);
  RUN(a_forked_child_may_release_the_query_and_nothing_happens);
  return harness_end();
}
