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
 * is in a handle before R is called again; the core calls R only through r_tick() and
 * r_eval(), which turn a jump into RFL_EHOST; r_finish() comes last, when nothing is
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
/* Evaluates; RFL_EHOST when R jumps. *gives is not protected. */
enum rfl_code r_eval(SEXP call, SEXP env, SEXP *gives) RFL_CHECKED;

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
extern const struct r_type r_kafka_type;
struct rfl_kafka *r_kafka_get(SEXP handle); /* borrowed */

struct r_frames { /* frames in memory, in canonical order, behind a handle */
  size_t n, cap;
  struct rfl_frame **frame;
};
struct r_frames *r_frames_get(SEXP handle); /* borrowed */
/* A handle with an empty struct r_frames. */
SEXP r_frames_new(SEXP prot, struct r_frames **gives);
enum rfl_code r_frames_add(struct r_frames *, struct rfl_frame *takes,
                           struct rfl_err *) RFL_CHECKED;
/* A named list of columns with classes and levels, ready to become a data frame. `frames`
 * is a handle that the caller protects. */
SEXP r_frames_to_df(SEXP frames);
/* The rows of a data frame as one frame. Doubles are views of `data` when `borrow`: then
 * `data` must outlive the frame. */
enum rfl_code r_frame_from_df(SEXP data, struct rfl_schema *, bool borrow,
                              struct rfl_frame **gives, struct rfl_err *) RFL_CHECKED;
/* A schema out of list(name =, type =, per_second =). */
enum rfl_code r_schema_make(SEXP fields, struct rfl_schema **gives,
                            struct rfl_err *) RFL_CHECKED;
/* The source that source_spec() describes; no call of R, so nothing can jump. */
enum rfl_code r_source_make(SEXP spec, struct rfl_source **gives,
                            struct rfl_schema **gives_schema,
                            struct rfl_err *) RFL_CHECKED;

#endif
