/* The glue's own tools: how a C object gets an R handle, how an error of the core becomes
 * an R condition, and how R is called from inside the core.
 *
 *     static const struct r_type kafka = {"a Kafka cluster", release, R_CLIENTS};
 *     SEXP handle = PROTECT(r_handle_new(&kafka, R_NilValue));   // first the handle,
 *     code = rfl_kafka_new(&options, &k, &err);                  // then what it holds
 *     if (!code) r_handle_fill(handle, k);
 *     r_finish(code, &err);                  // raises, or lets R jump on, or returns
 *
 * R may jump out of any of its own functions. Three rules make that harmless: a C object
 * is in a handle before R is called again; the core calls R only through r_tick(),
 * which turns a jump into RFL_EHOST; r_finish() comes last, when nothing is
 * held. Everything here is for the R thread. */
#ifndef RFL_GLUE_H
#define RFL_GLUE_H
#include <Rinternals.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "frame/flow.h"
#include "frame/frame.h"
#include "kafka/client.h"

/* ---- handles ---- */
enum r_rank { R_QUERIES, R_ENDS, R_CLIENTS, R_MEMORY }; /* order of release at unload */
struct r_type {
  const char *name;        /* for messages: "a Kafka cluster" */
  void (*release)(void *); /* of the C object; never called in a forked child */
  enum r_rank rank;
};
/* An external pointer without an object. `prot` stays alive as long as the handle. */
SEXP r_handle_new(const struct r_type *, SEXP prot);
void r_handle_fill(SEXP handle, void *object); /* the handle owns it from now on */
/* The object; raises when there is none: a handle of another session, of a parent
 * process, closed, or of another type. */
void *r_handle_get(SEXP handle, const struct r_type *);
void r_handle_close(SEXP handle); /* releases now; once more is fine */

/* ---- errors ---- */
/* Raises a condition of class riffle_error_<kind of the code>. Nothing may be held. */
_Noreturn void r_raise(const struct rfl_err *);
/* The same for a mistake in what R handed over. */
_Noreturn void r_fail(enum rfl_code, const char *fmt, ...) RFL_PRINTF(2, 3);
/* What ends every entry that called the core: see above. */
void r_finish(enum rfl_code, const struct rfl_err *);

/* ---- R from inside the core ---- */
bool r_go_on(void *unused); /* false: the user interrupts. True on any other thread */
struct rfl_tick r_tick(void);
/* fn(data), which may call R: a jump out of it becomes RFL_EHOST, and goes on in
 * r_finish(). On the R thread only. */
enum rfl_code r_guarded(SEXP (*fn)(void *), void *data) RFL_CHECKED;

/* ---- values ---- */
void *r_scratch(size_t n, size_t size); /* zeroed; R frees it when .Call() returns */
const char *r_text(SEXP strings, R_xlen_t i); /* UTF-8; NULL for NA */
const char *const *r_texts(SEXP strings);     /* all of them, in scratch memory */
const char *r_string(SEXP string);            /* of one string; NULL for R's NULL */
SEXP r_from_text(const char *text);           /* one string; NULL gives NA */
SEXP r_from_bytes(const char *p, size_t n);   /* a CHARSXP */
SEXP r_get(SEXP list, const char *name);      /* R_NilValue when it is not there */
double r_number(SEXP x);
bool r_flag(SEXP x);
SEXP r_doubles(const int64_t *x, size_t n);
SEXP r_integers(const int32_t *x, size_t n);

/* ---- what the files of the glue offer each other ---- */
/* r_table.c: a data frame, read into plain pointers, so that the core can make frames of
 * it without R. `columns` and `fields` are those of plain_columns() and plain_fields() of
 * R/frame.R. */
struct r_table;
struct r_table *r_table_read(SEXP columns, SEXP fields); /* scratch memory; may raise */
size_t r_table_rows(const struct r_table *);
struct r_cut {
  size_t from, n;
  bool borrow; /* doubles and factors without NA are views of R's memory: it must outlive
                  the frame */
};
enum rfl_code r_table_frame(const struct r_table *, const struct r_cut *,
                            struct rfl_schema *, struct rfl_frame **gives,
                            struct rfl_err *) RFL_CHECKED;

struct r_fields { /* a schema as R describes it, in scratch memory */
  size_t n;
  struct rfl_field *field;
};
struct r_fields r_fields_read(SEXP fields); /* may raise */

/* r_hold.c: rows behind a handle, as frames in canonical order, in memory or on disk. */
struct r_frames;
SEXP r_frames_new(SEXP prot, struct r_frames **gives); /* a handle; may raise */
struct r_frames *r_frames_get(SEXP handle);            /* borrowed; may raise */
enum rfl_code r_frames_add(struct r_frames *, struct rfl_frame *takes,
                           struct rfl_err *) RFL_CHECKED; /* takes on success only */
/* The same for a frame whose rows follow those of the last one: no sorting. */
enum rfl_code r_frames_follow(struct r_frames *, struct rfl_frame *takes,
                              struct rfl_err *) RFL_CHECKED;
/* Notes the positions of a frame that is not added. */
enum rfl_code r_frames_pass(struct r_frames *, const struct rfl_frame *,
                            struct rfl_err *) RFL_CHECKED;
/* Cuts and copies the frames where needed so that they follow each other in canonical
 * order. `rows`: how many rows each has (the last may have fewer; 0: as it comes); left
 * to the handle where it has a budget. */
enum rfl_code r_frames_sort(struct r_frames *, size_t rows, struct rfl_err *) RFL_CHECKED;
size_t r_frames_count(const struct r_frames *);
double r_frames_rows(const struct r_frames *);
/* Frame k, kept: the caller releases it. [any] once sorted */
enum rfl_code r_frames_take(const struct r_frames *, size_t k, struct rfl_frame **gives,
                            struct rfl_err *) RFL_CHECKED;
struct rfl_fit_input; /* valid as long as the handle is not added to */
enum rfl_code r_frames_input(struct r_frames *, struct rfl_fit_input *gives,
                             struct rfl_err *) RFL_CHECKED;

/* r_kafka.c */
struct rfl_kafka *r_kafka_get(SEXP handle); /* borrowed; may raise */
struct r_at { /* a position, as R describes it, in scratch memory */
  struct rfl_at at;
  const char *topic;
  size_t n;
  const int32_t *partition;
  const double *offset;
  struct rfl_cursor cursor; /* filled by r_at_open() */
};
void r_at_read(SEXP from, const char *topic, struct r_at *gives); /* may raise */
enum rfl_code r_at_open(struct r_at *, struct rfl_err *) RFL_CHECKED;
void r_at_release(struct r_at *);

/* r_stream.c: the source that source_spec() of R/read-stream.R describes. Reads R's
 * values first, so call it while nothing is held; then it makes C objects only. */
enum rfl_code r_source_make(SEXP spec, struct rfl_source **gives,
                            struct rfl_schema **gives_schema,
                            struct rfl_err *) RFL_CHECKED;

#endif
