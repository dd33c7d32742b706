/* Errors of the core: a code that says what kind, and a message for the person who must
 * act.
 *
 *     enum rfl_code open_it(struct rfl_err *err) {
 *       RFL_TRY(check_name(name, err));
 *       if (n > cap) return rfl_fail(err, RFL_EDATA, "offset %lld: too long", offset);
 *       return RFL_OK;
 *     }
 *
 * Invariant: a function that returns anything but RFL_OK has written its message (unless
 * `err` is NULL), has released what it made, and has left its outputs as they were.
 * Messages are whole sentences in UTF-8 and never hold a secret. */
#ifndef RFL_BASE_ERROR_H
#define RFL_BASE_ERROR_H

enum rfl_code {
  RFL_OK = 0,
  RFL_EARGUMENT, /* class argument: the caller's argument is wrong */
  RFL_ECONFIG,   /* config: a setting is unknown, or two do not go together */
  RFL_EAUTH,     /* auth: refused by the broker, or TLS failed */
  RFL_ETIMEOUT,  /* timeout: nobody answered in time */
  RFL_EBROKER,   /* broker: the broker answered with an error */
  RFL_EDATA,     /* data: a record or a row is wrong */
  RFL_ELOSS,     /* data: records are gone that were promised */
  RFL_ESCHEMA,   /* schema: fields and types do not fit */
  RFL_EMODEL,    /* model: the model cannot do this */
  RFL_EBUSY,     /* state: somebody else holds it, or it is in the wrong state */
  RFL_EIO,       /* io: files and disks */
  RFL_EFENCED,   /* fenced: a younger holder of the same name took over */
  RFL_EFATAL,    /* broker: the client cannot go on */
  RFL_ENOMEM,    /* nomem */
  /* What follows steers the loop and never reaches R. */
  RFL_EAGAIN,  /* time is up, nothing was lost: call again */
  RFL_EABORT,  /* abort the unit, then do the same step again */
  RFL_EUNSURE, /* it may have happened: ask recover() */
  RFL_ENEED,   /* something must be fetched first */
  RFL_EHOST,   /* R wants to jump: release, return, let the glue go on */
  RFL_N_CODES
};

struct rfl_err {
  enum rfl_code code;
  char message[1024];
};

#define RFL_CHECKED __attribute__((warn_unused_result))
#define RFL_PRINTF(fmt, first) __attribute__((format(__printf__, fmt, first)))

/* Leave the function with the code of `expr` unless it is RFL_OK. Only where nothing is
 * held. */
#define RFL_TRY(expr)                 \
  do {                                \
    enum rfl_code try_code_ = (expr); \
    if (try_code_) return try_code_;  \
  } while (0)

/* Write code and message (cut at a whole UTF-8 character) into `err`, which may be NULL;
 * returns `code`. */
enum rfl_code rfl_fail(struct rfl_err *err, enum rfl_code code, const char *fmt, ...)
    RFL_PRINTF(3, 4);

/* rfl_fail(RFL_ENOMEM) in one word. */
enum rfl_code rfl_no_memory(struct rfl_err *err);

#if defined(RFL_ANALYZE)
/* For a static analyser, which does not see into error.c: a failure is never RFL_OK. */
#define rfl_fail(err, code, ...) (rfl_fail(err, code, __VA_ARGS__), (enum rfl_code)(code))
#define rfl_no_memory(err) (rfl_no_memory(err), RFL_ENOMEM)
#endif

/* The class suffix of a code: "argument", "broker", ... A constant string, also for codes
 * that never reach R. */
const char *rfl_code_class(enum rfl_code code);

#endif
