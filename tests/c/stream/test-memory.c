/* The sink that keeps the last rows for R to look at. */
#include "../harness.h"
#include "rows.h"
#include "stream/memory_sink.h"

/* ---- the memory sink ---- */

TEST(the_memory_sink_keeps_whole_frames_of_at_least_the_last_rows) {
  struct rfl_err err = {0};
  struct rfl_memory_sink *m = NULL;
  struct rfl_sink *sink = NULL;
  struct cut cut = {0};
  CHECK_OK(rfl_memory_sink_new(25, &m, &err), &err);
  CHECK_OK(rfl_memory_sink_end(m, &sink, &err), &err);
  CHECK_OK(cut_rows(1000, 10, 0, &cut, &err), &err);
  for (size_t i = 0; i < cut.n_frames; i++) {
    CHECK_OK(sink->put(sink, i, cut.frame[i], &err), &err);
    struct rfl_frame **frame = NULL;
    size_t n = 0;
    CHECK_OK(rfl_memory_sink_take(m, &frame, &n, &err), &err);
    CHECK_EQ(n, i < 3 ? i + 1 : 3);
    CHECK(frame[n - 1] == cut.frame[i]);
    for (size_t k = 0; k < n; k++) rfl_frame_release(frame[k]);
    rfl_free(frame);
  }
  CHECK_EQ(rfl_memory_sink_seen(m), 1000);
  rfl_memory_sink_release(m); /* the sink holds it still */
  CHECK_OK(sink->put(sink, 1, cut.frame[0], &err), &err);
  sink->release(sink);
  cut_release(&cut);
}

int main(void) {
  RUN(the_memory_sink_keeps_whole_frames_of_at_least_the_last_rows);
  return harness_end();
}
