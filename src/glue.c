/* Handles, conditions, and R called from inside the core. See glue.h for the rules.
 *
 * A handle is an external pointer to a box, and the box holds the C object. Boxes are
 * linked, so that unloading the package can release what is still alive in a fixed order:
 * queries before the ends they read, ends before clients. Each box knows the process that
 * made it: a forked child inherits the memory but none of the threads behind it, so there
 * a handle is dead and its finalizer does nothing.
 *
 * R jumps (an error, Ctrl-C, a restart) are caught by R_UnwindProtect() before they cross
 * a frame of the core, kept in `token`, and taken up again by r_finish(). One token is
 * enough, also for nested calls: an inner jump is caught by the outer guard and written
 * into the token anew. */
#include "glue.h"

#include <R_ext/Utils.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "glue_start.h"

/* ---- handles ---- */

struct box {
  const struct r_type *type;
  void *object; /* NULL: not filled yet, or closed */
  pid_t pid;
  struct box *next, *prev;
};

static struct box boxes = {.next = &boxes, .prev = &boxes}; /* a ring; R thread only */

static void empty(struct box *box) {
  void *object = box->object;
  box->object = NULL;
  if (object) box->type->release(object);
}

static void finalize(SEXP handle) {
  struct box *box = R_ExternalPtrAddr(handle);
  if (!box || box->pid != getpid()) return;
  R_ClearExternalPtr(handle);
  empty(box);
  box->prev->next = box->next;
  box->next->prev = box->prev;
  rfl_free(box);
}

SEXP r_handle_new(const struct r_type *type, SEXP prot) {
  SEXP handle = PROTECT(R_MakeExternalPtr(NULL, Rf_install(type->name), prot));
  R_RegisterCFinalizerEx(handle, finalize, TRUE);
  Rf_setAttrib(handle, R_ClassSymbol, PROTECT(Rf_mkString("riffle_handle")));
  struct box *box = rfl_alloc(1, sizeof *box);
  if (!box) r_fail(RFL_ENOMEM, "There is no memory for %s.", type->name);
  *box = (struct box){.type = type, .pid = getpid(), .next = boxes.next, .prev = &boxes};
  boxes.next->prev = box;
  boxes.next = box;
  R_SetExternalPtrAddr(handle, box);
  UNPROTECT(2);
  return handle;
}

void r_handle_fill(SEXP handle, void *object) {
  struct box *box = R_ExternalPtrAddr(handle);
  box->object = object;
}

void *r_handle_get(SEXP handle, const struct r_type *type) {
  if (TYPEOF(handle) != EXTPTRSXP || R_ExternalPtrTag(handle) != Rf_install(type->name)) {
    r_fail(RFL_EARGUMENT, "The handle must be that of %s.", type->name);
  }
  const struct box *box = R_ExternalPtrAddr(handle);
  if (!box) {
    r_fail(RFL_EBUSY,
           "This handle of %s comes from another session: handles do not survive "
           "saveRDS() or a restart. Make it again.",
           type->name);
  }
  if (box->pid != getpid()) {
    r_fail(RFL_EBUSY,
           "This handle of %s was made before a fork: its threads live in the parent "
           "process. Make a new one in this process.",
           type->name);
  }
  if (!box->object) r_fail(RFL_EBUSY, "This handle of %s is closed.", type->name);
  return box->object;
}

void r_handle_close(SEXP handle) {
  struct box *box = R_ExternalPtrAddr(handle);
  if (box && box->pid == getpid()) empty(box);
}

/* Releases every object in the order of ranks and tells what still needs the library, so
 * that it may be unloaded only at 0: handles, whose finalizers are in it, and threads
 * that were left behind. */
SEXP ffi_handles_close(void) {
  double alive = rfl_thread_left();
  for (int rank = R_QUERIES; rank <= R_MEMORY; rank++) {
    for (struct box *b = boxes.next; b != &boxes; b = b->next) {
      if ((int)b->type->rank == rank && b->pid == getpid()) empty(b);
    }
  }
  for (const struct box *b = boxes.next; b != &boxes; b = b->next) alive++;
  return Rf_ScalarReal(alive);
}

/* ---- errors ---- */

static SEXP package; /* the namespace */

_Noreturn void r_raise(const struct rfl_err *err) {
  SEXP kind = PROTECT(Rf_mkString(rfl_code_class(err->code)));
  SEXP message = PROTECT(r_from_text(err->message));
  SEXP call = PROTECT(Rf_lang3(Rf_install("abort_native"), kind, message));
  Rf_eval(call, package);
  Rf_error("%s", err->message); /* abort_native() does not return */
}

_Noreturn void r_fail(enum rfl_code code, const char *fmt, ...) {
  struct rfl_err err = {.code = code};
  va_list args;
  va_start(args, fmt);
  vsnprintf(err.message, sizeof err.message, fmt, args);
  va_end(args);
  r_raise(&err);
}

/* ---- R from inside the core ---- */

static SEXP token;
static bool jumping; /* token holds a jump that waits for r_finish() */
static pthread_t r_thread;

static void on_unwind(void *here, Rboolean jump) {
  if (jump) longjmp(*(jmp_buf *)here, 1);
}

enum rfl_code r_guarded(SEXP (*fn)(void *), void *data) {
  jmp_buf here;
  if (jumping) return RFL_EHOST; /* R has asked already; the core is on its way out */
  if (setjmp(here)) {
    jumping = true;
    return RFL_EHOST;
  }
  R_UnwindProtect(fn, data, on_unwind, &here, token);
  return RFL_OK;
}

static SEXP check_interrupt(void *unused) {
  (void)unused;
  R_CheckUserInterrupt();
  return R_NilValue;
}

bool r_go_on(void *unused) {
  if (!pthread_equal(pthread_self(), r_thread)) return true;
  return r_guarded(check_interrupt, unused) == RFL_OK;
}

struct rfl_tick r_tick(void) {
  return (struct rfl_tick){.go_on = r_go_on};
}

void r_finish(enum rfl_code code, const struct rfl_err *err) {
  if (jumping) {
    jumping = false;
    R_ContinueUnwind(token);
  }
  if (code) r_raise(err);
}

void glue_start(void) {
  r_thread = pthread_self();
  token = R_MakeUnwindCont();
  R_PreserveObject(token);
  SEXP name = PROTECT(Rf_mkString("riffle"));
  package = R_FindNamespace(name);
  R_PreserveObject(package);
  UNPROTECT(1);
}

/* ---- values ---- */

void *r_scratch(size_t n, size_t size) {
  void *p = R_alloc(n ? n : 1, (int)size);
  memset(p, 0, (n ? n : 1) * size);
  return p;
}

const char *r_text(SEXP strings, R_xlen_t i) {
  SEXP s = STRING_ELT(strings, i);
  return s == NA_STRING ? NULL : Rf_translateCharUTF8(s);
}

const char *const *r_texts(SEXP strings) {
  R_xlen_t n = Rf_xlength(strings);
  const char **all = r_scratch((size_t)n, sizeof *all);
  for (R_xlen_t i = 0; i < n; i++) all[i] = r_text(strings, i);
  return all;
}

const char *r_string(SEXP string) {
  return string == R_NilValue ? NULL : r_text(string, 0);
}

SEXP r_from_bytes(const char *p, size_t n) { return Rf_mkCharLenCE(p, (int)n, CE_UTF8); }

SEXP r_from_text(const char *text) {
  SEXP s = PROTECT(text ? Rf_mkCharCE(text, CE_UTF8) : NA_STRING);
  SEXP string = Rf_ScalarString(s);
  UNPROTECT(1);
  return string;
}

SEXP r_get(SEXP list, const char *name) {
  SEXP names = Rf_getAttrib(list, R_NamesSymbol);
  for (R_xlen_t i = 0; i < Rf_xlength(names); i++) {
    if (strcmp(CHAR(STRING_ELT(names, i)), name) == 0) return VECTOR_ELT(list, i);
  }
  return R_NilValue;
}

double r_number(SEXP x) { return Rf_asReal(x); }

bool r_flag(SEXP x) { return Rf_asLogical(x) == TRUE; }

SEXP r_doubles(const int64_t *x, size_t n) {
  SEXP v = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)n));
  for (size_t i = 0; i < n; i++) REAL(v)[i] = (double)x[i];
  UNPROTECT(1);
  return v;
}

SEXP r_integers(const int32_t *x, size_t n) {
  SEXP v = Rf_allocVector(INTSXP, (R_xlen_t)n);
  if (n) memcpy(INTEGER(v), x, n * sizeof *x);
  return v;
}

/* ---- for tests ---- */

SEXP ffi_mem_live(void) { return Rf_ScalarReal((double)rfl_mem_live()); }

SEXP ffi_mem_fail_after(SEXP k) {
  rfl_mem_fail_after((int64_t)r_number(k));
  return R_NilValue;
}
