/* Queries and sinks for R. Reading R's values may raise, so it is done first, into plain
 * memory of R_alloc(); then the ends are made by code that never calls R; what failed is
 * raised last. */
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "decode/json.h"
#include "glue.h"
#include "kafka/topic_sink.h"
#include "r_model.h"
#include "store/folder.h"
#include "stream/memory_sink.h"
#include "stream/query.h"

/* ---- the sink that keeps rows ---- */

static void release_memory(void *p) { rfl_memory_sink_release(p); }
static const struct r_type memory_type = {"a memory sink", release_memory, R_MEMORY};

SEXP ffi_memory_sink_new(SEXP rows) {
  SEXP handle = PROTECT(r_handle_new(&memory_type, R_NilValue));
  struct rfl_memory_sink *sink = NULL;
  struct rfl_err err = {0};
  enum rfl_code code = rfl_memory_sink_new((uint64_t)r_number(rows), &sink, &err);
  if (!code) r_handle_fill(handle, sink);
  r_finish(code, &err);
  UNPROTECT(1);
  return handle;
}

SEXP ffi_memory_sink_seen(SEXP handle) {
  return Rf_ScalarReal((double)rfl_memory_sink_seen(r_handle_get(handle, &memory_type)));
}

SEXP ffi_memory_sink_frames(SEXP handle) {
  struct rfl_memory_sink *sink = r_handle_get(handle, &memory_type);
  struct r_frames *to = NULL;
  SEXP frames = PROTECT(r_frames_new(handle, &to));
  struct rfl_frame **frame = NULL;
  size_t n = 0, taken = 0;
  struct rfl_err err = {0};
  enum rfl_code code = rfl_memory_sink_take(sink, &frame, &n, &err);
  while (!code && taken < n) {
    code = r_frames_add(to, frame[taken], &err);
    if (!code) taken++;
  }
  for (size_t i = taken; i < n; i++) rfl_frame_release(frame[i]);
  rfl_free(frame);
  r_finish(code, &err);
  UNPROTECT(1);
  return frames;
}

/* ---- starting a query ---- */

struct sink_plan { /* one sink, as R asked for it; borrowed from the call */
  struct rfl_memory_sink *memory;
  struct rfl_kafka *kafka;
  const char *topic, *key;
  size_t n_columns;
  const char *const *column;
};

struct plan { /* the whole query; arrays are R_alloc'ed */
  struct rfl_query_spec spec;
  SEXP source;
  struct rfl_schema *schema, *output;
  const char *checkpoint;
  size_t n_sinks;
  struct sink_plan *sink;
  struct rfl_sink **made;
};

static void read_sink(SEXP from, struct sink_plan *to) {
  if (!strcmp(r_string(r_get(from, "kind")), "memory")) {
    to->memory = r_handle_get(r_get(from, "handle"), &memory_type);
    return;
  }
  to->kafka = r_kafka_get(r_get(from, "k"));
  to->topic = r_string(r_get(from, "topic"));
  to->key = r_string(r_get(from, "key"));
  SEXP columns = r_get(from, "columns");
  if (Rf_isNull(columns)) return;
  to->n_columns = (size_t)Rf_xlength(columns);
  to->column = r_texts(columns);
}

static void read_score(SEXP from, struct rfl_query_spec *spec) {
  if (Rf_isNull(from)) return;
  spec->score.live = r_live_get(r_get(from, "live"));
  spec->score.what = (int)r_number(r_get(from, "what"));
  spec->score.into = r_string(r_get(from, "into"));
  spec->score.unseen =
      r_number(r_get(from, "unseen")) == 1 ? RFL_UNSEEN_NA : RFL_UNSEEN_REFERENCE;
  spec->score.judged = r_flag(r_get(from, "judged"));
  spec->n_keep = (size_t)Rf_xlength(r_get(from, "keep"));
  spec->keep = r_texts(r_get(from, "keep"));
}

/* All that may raise. */
static void read_plan(SEXP from, struct plan *plan) {
  memset(plan, 0, sizeof *plan);
  struct rfl_query_spec *spec = &plan->spec;
  const double *number = REAL_RO(r_get(from, "numbers"));
  spec->name = r_string(r_get(from, "name"));
  spec->max_batch = number[0] < 1e9 ? (uint32_t)number[0] : 1000000000U;
  spec->save_every_ns = (int64_t)(number[1] * RFL_SECOND);
  spec->drain_ns = (int64_t)(number[2] * RFL_SECOND);
  spec->pace = (int64_t)number[3];
  spec->trigger = number[4] != 0 ? RFL_AVAILABLE_NOW : RFL_ASAP;
  plan->checkpoint = r_string(r_get(from, "checkpoint"));
  plan->source = r_get(from, "source");
  read_score(r_get(from, "score"), spec);
  SEXP learn = r_get(from, "learn");
  spec->learn = Rf_isNull(learn) ? NULL : r_live_get(learn);
  spec->learn_unseen = RFL_UNSEEN_REFERENCE;
  SEXP sinks = r_get(from, "sinks");
  plan->n_sinks = (size_t)Rf_xlength(sinks);
  plan->sink = r_scratch(plan->n_sinks + 1, sizeof *plan->sink);
  plan->made = r_scratch(plan->n_sinks + 1, sizeof *plan->made);
  for (size_t i = 0; i < plan->n_sinks; i++) {
    read_sink(VECTOR_ELT(sinks, (R_xlen_t)i), &plan->sink[i]);
  }
}

static enum rfl_code find_columns(const struct sink_plan *plan,
                                  const struct rfl_schema *schema, size_t *column,
                                  struct rfl_err *err) {
  for (size_t i = 0; i < plan->n_columns; i++) {
    ptrdiff_t at = rfl_schema_find(schema, plan->column[i]);
    if (at < 0) {
      return rfl_fail(err, RFL_EARGUMENT,
                      "`columns` of the sink names \"%s\", which no row has",
                      plan->column[i]);
    }
    column[i] = (size_t)at;
  }
  return RFL_OK;
}

static enum rfl_code make_topic_sink(const struct sink_plan *plan,
                                     struct rfl_schema *schema, struct rfl_sink **gives,
                                     struct rfl_err *err) {
  struct rfl_topic_sink_options options = {.topic = plan->topic,
                                           .key_column = rfl_schema_find(schema, "key"),
                                           .timestamp_column = -1,
                                           .partition_column = -1};
  if (plan->key) {
    options.key_column = rfl_schema_find(schema, plan->key);
    if (options.key_column < 0) {
      return rfl_fail(err, RFL_EARGUMENT, "`key` of the sink is \"%s\", which no row has",
                      plan->key);
    }
  }
  size_t *column = NULL;
  if (plan->column) {
    column = rfl_alloc(plan->n_columns, sizeof *column);
    if (!column) return rfl_no_memory(err);
  }
  struct rfl_encoder *encoder = NULL;
  enum rfl_code code = column ? find_columns(plan, schema, column, err) : RFL_OK;
  if (!code) {
    code = rfl_json_encoder_new(schema, column, plan->n_columns, true, &encoder, err);
  }
  rfl_free(column);
  if (code) return code;
  return rfl_topic_sink_new(plan->kafka, &options, encoder, gives, err);
}

static enum rfl_code make_ends(struct plan *plan, struct rfl_err *err) {
  struct rfl_query_spec *spec = &plan->spec;
  RFL_TRY(r_source_make(plan->source, &spec->source, &plan->schema, err));
  RFL_TRY(rfl_query_output(spec, plan->schema, &plan->output, err));
  for (size_t i = 0; i < plan->n_sinks; i++) {
    const struct sink_plan *sink = &plan->sink[i];
    if (sink->memory) {
      RFL_TRY(rfl_memory_sink_end(sink->memory, &plan->made[i], err));
    } else {
      RFL_TRY(make_topic_sink(sink, plan->output, &plan->made[i], err));
    }
  }
  spec->sink = plan->made;
  spec->n_sinks = plan->n_sinks;
  if (plan->checkpoint) {
    RFL_TRY(rfl_folder_store_new(plan->checkpoint, &spec->store, err));
  }
  return RFL_OK;
}

static void drop_ends(struct plan *plan) {
  struct rfl_query_spec *spec = &plan->spec;
  if (spec->source) spec->source->release(spec->source);
  for (size_t i = 0; i < plan->n_sinks; i++) {
    if (plan->made[i]) plan->made[i]->release(plan->made[i]);
  }
  if (spec->store) spec->store->release(spec->store);
}

static void release_query(void *p) { rfl_query_release(p); }
static const struct r_type query_type = {"a query", release_query, R_QUERIES};

SEXP ffi_query_start(SEXP from) {
  SEXP handle = PROTECT(r_handle_new(&query_type, from));
  struct plan plan;
  read_plan(from, &plan);
  struct rfl_err err = {0};
  struct rfl_query *query = NULL;
  enum rfl_code code = make_ends(&plan, &err);
  if (!code) code = rfl_query_start(&plan.spec, &query, &err);
  if (code) drop_ends(&plan);
  rfl_schema_release(plan.schema);
  rfl_schema_release(plan.output);
  if (!code) r_handle_fill(handle, query);
  r_finish(code, &err);
  UNPROTECT(1);
  return handle;
}

/* ---- looking at one ---- */

static void put_real(SEXP list, int at, double x) {
  SET_VECTOR_ELT(list, at, Rf_ScalarReal(x));
}

static SEXP judged_list(const struct rfl_metric_result *m) {
  static const char *names[] = {"n",
                                "events",
                                "observed",
                                "predicted",
                                "log_loss",
                                "normalised_entropy",
                                "auc",
                                "auc_bound",
                                "pr_auc",
                                "brier",
                                "rmse",
                                "deviance",
                                "calibration",
                                "calibration_low",
                                "calibration_high",
                                ""};
  const double x[] = {m->n,
                      m->events,
                      m->observed,
                      m->predicted,
                      m->log_loss,
                      m->normalised_entropy,
                      m->auc,
                      m->auc_bound,
                      m->pr_auc,
                      m->brier,
                      m->rmse,
                      m->deviance,
                      m->calibration,
                      m->calibration_low,
                      m->calibration_high};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  for (int i = 0; i < (int)(sizeof x / sizeof *x); i++) put_real(out, i, x[i]);
  UNPROTECT(1);
  return out;
}

SEXP ffi_query_status(SEXP handle) {
  static const char *names[] = {
      "phase",      "batches",    "rows",     "scored",    "unscored",
      "learnt",     "unseen",     "missing",  "pending",   "version",
      "saves",      "bad",        "repeated", "lost",      "failed_rows",
      "started",    "last_batch", "resumed",  "first_bad", "error",
      "error_kind", "metrics",    ""};
  struct rfl_query_status *s = r_scratch(1, sizeof *s);
  rfl_query_status(r_handle_get(handle, &query_type), s);
  const double number[] = {(double)s->phase,
                           (double)s->batches,
                           (double)s->rows,
                           (double)s->scored,
                           (double)s->unscored,
                           (double)s->learnt,
                           (double)s->unseen,
                           (double)s->missing,
                           (double)s->pending,
                           (double)s->version,
                           (double)s->saves,
                           (double)s->tally.bad,
                           (double)s->tally.repeated,
                           (double)s->tally.lost,
                           (double)s->tally.failed,
                           (double)s->started_us / 1e6,
                           s->last_batch_us ? (double)s->last_batch_us / 1e6 : NA_REAL};
  const int n = (int)(sizeof number / sizeof *number);
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  for (int i = 0; i < n; i++) put_real(out, i, number[i]);
  SET_VECTOR_ELT(out, n, Rf_ScalarLogical(s->resumed));
  SET_VECTOR_ELT(out, n + 1, r_from_text(s->tally.first_bad));
  if (s->phase == RFL_QUERY_FAILED) {
    SET_VECTOR_ELT(out, n + 2, r_from_text(s->error.message));
    SET_VECTOR_ELT(out, n + 3, r_from_text(rfl_code_class(s->error.code)));
  }
  if (s->judged.n > 0) SET_VECTOR_ELT(out, n + 4, judged_list(&s->judged));
  UNPROTECT(1);
  return out;
}

/* The newest batches, in a handle so that R's allocations may fail safely. */
struct progress_box {
  struct rfl_progress *row;
  size_t n;
};

static void release_progress(void *p) {
  struct progress_box *box = p;
  rfl_progress_free(box->row, box->n);
  rfl_free(box);
}
static const struct r_type progress_type = {"a query's progress", release_progress,
                                            R_MEMORY};

static SEXP end_of(const struct rfl_cursor *end) {
  R_xlen_t n = (R_xlen_t)end->n;
  SEXP out = PROTECT(Rf_allocVector(VECSXP, 3));
  SET_VECTOR_ELT(out, 0, Rf_allocVector(STRSXP, n));
  SET_VECTOR_ELT(out, 1, Rf_allocVector(INTSXP, n));
  SET_VECTOR_ELT(out, 2, Rf_allocVector(REALSXP, n));
  for (R_xlen_t i = 0; i < n; i++) {
    SET_STRING_ELT(VECTOR_ELT(out, 0), i, Rf_mkCharCE(end->place[i].stream, CE_UTF8));
    INTEGER(VECTOR_ELT(out, 1))[i] = end->place[i].shard;
    REAL(VECTOR_ELT(out, 2))[i] = (double)end->place[i].next;
  }
  UNPROTECT(1);
  return out;
}

static SEXP progress_frame(const struct progress_box *box) {
  static const char *names[] = {"batch", "rows", "version", "time",    "read", "score",
                                "learn", "put",  "save",    "latency", "end",  ""};
  R_xlen_t n = (R_xlen_t)box->n;
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, names));
  double *column[10];
  for (int j = 0; j < 10; j++) {
    SET_VECTOR_ELT(out, j, Rf_allocVector(REALSXP, n));
    column[j] = REAL(VECTOR_ELT(out, j));
  }
  SEXP ends = Rf_allocVector(VECSXP, n);
  SET_VECTOR_ELT(out, 10, ends);
  for (R_xlen_t i = 0; i < n; i++) {
    const struct rfl_progress *p = &box->row[i];
    const double value[10] = {
        (double)p->batch, (double)p->rows, (double)p->version, (double)p->at_us / 1e6,
        p->read_ms,       p->score_ms,     p->learn_ms,        p->put_ms,
        p->save_ms,       p->latency_ms};
    for (int j = 0; j < 10; j++) column[j][i] = value[j];
    SET_VECTOR_ELT(ends, i, end_of(&p->end));
  }
  UNPROTECT(1);
  return out;
}

SEXP ffi_query_progress(SEXP handle, SEXP n) {
  struct rfl_query *query = r_handle_get(handle, &query_type);
  SEXP held = PROTECT(r_handle_new(&progress_type, R_NilValue));
  struct rfl_err err = {0};
  struct progress_box *box = rfl_alloc(1, sizeof *box);
  r_finish(box ? RFL_OK : rfl_no_memory(&err), &err);
  r_handle_fill(held, box);
  enum rfl_code code =
      rfl_query_progress(query, (size_t)r_number(n), &box->row, &box->n, &err);
  r_finish(code, &err);
  SEXP out = PROTECT(progress_frame(box));
  r_handle_close(held);
  UNPROTECT(2);
  return out;
}

SEXP ffi_query_stop(SEXP handle) {
  rfl_query_stop(r_handle_get(handle, &query_type));
  return R_NilValue;
}

/* ---- waiting, with Ctrl-C and SIGTERM held for as long ---- */

static volatile sig_atomic_t signalled;
static struct sigaction old_int, old_term, old_hup;
static int holding;

static void on_signal(int signal) { signalled = signal; }

SEXP ffi_query_signals(SEXP on) {
  if (r_flag(on) && !holding++) {
    struct sigaction take = {.sa_handler = on_signal};
    sigemptyset(&take.sa_mask);
    signalled = 0;
    sigaction(SIGINT, &take, &old_int);
    sigaction(SIGTERM, &take, &old_term);
    sigaction(SIGHUP, &take, &old_hup);
  } else if (!r_flag(on) && holding && !--holding) {
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGHUP, &old_hup, NULL);
  }
  return R_NilValue;
}

SEXP ffi_query_signalled(void) {
  int signal = signalled;
  signalled = 0;
  return Rf_ScalarLogical(signal != 0);
}

/* TRUE once the query has ended; waits in slices so that a signal is seen within 50 ms.
 */
SEXP ffi_query_wait(SEXP handle, SEXP seconds) {
  struct rfl_query *query = r_handle_get(handle, &query_type);
  double left = r_number(seconds);
  int64_t until = rfl_now_ns() + (int64_t)((left < 1e6 ? left : 1e6) * RFL_SECOND);
  bool ended = false;
  do {
    int64_t slice = rfl_now_ns() + 50 * (int64_t)RFL_MS;
    ended = !rfl_query_wait(query, slice < until ? slice : until);
    R_CheckUserInterrupt(); /* time limits and windows, also while ^C is held */
  } while (!ended && !signalled && rfl_now_ns() < until);
  if (ended) rfl_query_finish(query);
  return Rf_ScalarLogical(ended);
}
