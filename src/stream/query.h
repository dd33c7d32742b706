/* The query: source -> steps -> score, then learn -> sinks, over and over, with the
 * positions and the model state that belong to it. The loop is one function over the ends
 * of frame/flow.h; rfl_query runs it on a native thread.
 *
 *     struct rfl_query_spec spec = {.source = s, .sink = &sink, .n_sinks = 1, .store =
 * store, .learn = live}; RFL_TRY(rfl_query_start(&spec, &q, err));          // takes
 * source, steps, sinks, unit and store, on success only while (rfl_query_wait(q,
 * rfl_now_ns() + 100 * RFL_MS) == RFL_EAGAIN) tick(); rfl_query_status(q, &status);
 *     rfl_query_release(q);                              // stops it first, within its
 * drain time
 *
 * Guarantee without a unit (at least once): nothing is lost; rows of the batches since
 * the last save may be put twice; with a store nothing is learnt twice. With a unit:
 * nothing is put, lost or learnt twice by the sinks that are bound to it; the others are
 * at least once. loop.c tells how. */
#ifndef RFL_STREAM_QUERY_H
#define RFL_STREAM_QUERY_H
#include "frame/flow.h"
#include "learn/metrics.h"
#include "stream/live.h"

enum rfl_trigger {
  RFL_ASAP,
  RFL_AVAILABLE_NOW
}; /* the second ends at the source's END; the first treats END as the end too */

struct rfl_score_spec {  /* how rows are scored; `live` or a fixed model wrapped in a live
                            one nobody writes */
  struct rfl_live *live; /* NULL: no scoring */
  int what;
  const char *into; /* name of the score column */
  enum rfl_unseen unseen;
  bool judged; /* the score predicts the response that `learn` learns: metrics are kept */
};
struct rfl_query_spec {
  const char *name;
  struct rfl_source *source;
  struct rfl_step *const *step;
  size_t n_steps;
  struct rfl_score_spec score;
  /* What the sinks get: the columns named in keep, after key, score, model, version, time
   * (".key" as `key` when the schema has it). Without scoring: the frame as it is. */
  const char *const *keep;
  size_t n_keep;
  struct rfl_live *learn; /* NULL: no learning; kept */
  enum rfl_unseen learn_unseen;
  struct rfl_sink *const *sink;
  size_t n_sinks;
  struct rfl_unit *unit;   /* NULL: at least once */
  struct rfl_store *store; /* NULL: no checkpoint */
  enum rfl_trigger trigger;
  uint32_t max_batch;    /* rows */
  int64_t save_every_ns; /* 0: every batch */
  int64_t drain_ns;      /* how long stop may take */
  int64_t pace;          /* rows a second at most, 0: no limit */
};

enum rfl_query_phase {
  RFL_QUERY_STARTING,
  RFL_QUERY_RUNNING,
  RFL_QUERY_STOPPING,
  RFL_QUERY_DONE,
  RFL_QUERY_STOPPED,
  RFL_QUERY_FAILED
};
struct rfl_query_status { /* a copy */
  enum rfl_query_phase phase;
  uint64_t batches, rows, scored, learnt,
      unscored;             /* unscored: rows with a missing score. learnt: rows that the
                               model has taken in this run, pending ones not counted */
  uint64_t unseen, missing; /* levels, rows with NA: as learning counts them, else as
                               scoring does */
  uint64_t pending;         /* rows waiting for a full learning block */
  uint64_t version;
  uint64_t saves;
  struct rfl_tally tally;
  struct rfl_metric_result judged; /* of this run; n is 0 when nothing was judged */
  bool resumed;                    /* a checkpoint was loaded */
  int64_t started_us, last_batch_us;
  struct rfl_err error; /* FAILED: why */
};
struct rfl_progress {            /* of one batch */
  uint64_t batch, rows, version; /* version: the one that scored it */
  int64_t at_us;
  double read_ms, score_ms, learn_ms, put_ms, save_ms,
      latency_ms; /* latency: from the newest record's timestamp to confirmed, NaN if
                     unknown */
  struct rfl_cursor end;
};

struct rfl_query;
enum rfl_code rfl_query_start(const struct rfl_query_spec *, struct rfl_query **gives,
                              struct rfl_err *) RFL_CHECKED;
/* The schema of the frames that the sinks will get when the source (or the last step) has
 * this one: for encoders that are made before the query starts. Kept meta columns lose
 * their dot; ".key" in keep is not repeated beside `key`. RFL_ESCHEMA: a kept column is
 * not there or is named like one of the others. */
enum rfl_code rfl_query_output(const struct rfl_query_spec *,
                               const struct rfl_schema *source, struct rfl_schema **gives,
                               struct rfl_err *) RFL_CHECKED;
/* The same loop on the caller's thread, until its end: for tests. Takes nothing; the
 * status is given on failure too, when the spec itself was right. */
enum rfl_code rfl_query_run(const struct rfl_query_spec *, struct rfl_query_status *gives,
                            struct rfl_err *) RFL_CHECKED;
void rfl_query_status(struct rfl_query *, struct rfl_query_status *gives); /* [any] */
/* The newest `n` batches, oldest first; *gives by rfl_progress_free. At most the last
 * 10,000 are remembered. */
enum rfl_code rfl_query_progress(struct rfl_query *, size_t n,
                                 struct rfl_progress **gives, size_t *gives_n,
                                 struct rfl_err *) RFL_CHECKED; /* [any] */
void rfl_progress_free(struct rfl_progress *, size_t n);
void rfl_query_stop(struct rfl_query *); /* [any] asks; does not wait */
/* RFL_OK: it has read its checkpoint and begun, or has ended. RFL_EAGAIN: time is up. */
enum rfl_code rfl_query_ready(struct rfl_query *, int64_t until_ns) RFL_CHECKED;
/* RFL_OK: it has ended (see the status for how). RFL_EAGAIN: time is up. */
enum rfl_code rfl_query_wait(struct rfl_query *, int64_t until_ns) RFL_CHECKED;
/* Joins the thread and releases source, sinks and store (a checkpoint folder is free
 * then); status and progress stay. Waits for the end. By the thread that releases the
 * query. */
void rfl_query_finish(struct rfl_query *);
void rfl_query_release(struct rfl_query *); /* in a forked child: nothing */

#endif
