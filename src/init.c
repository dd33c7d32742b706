/* The table of routines, and what happens when the library is loaded. */
#include <R_ext/Rdynload.h>
#include <R_ext/Visibility.h>
#include <Rinternals.h>

#include "glue_start.h"

#define TAKES_0 void
#define TAKES_1 SEXP
#define TAKES_2 SEXP, SEXP
#define TAKES_3 SEXP, SEXP, SEXP
#define TAKES_4 SEXP, SEXP, SEXP, SEXP
#define TAKES_5 SEXP, SEXP, SEXP, SEXP, SEXP
#define TAKES_6 SEXP, SEXP, SEXP, SEXP, SEXP, SEXP

#define ENTRY(name, arity) SEXP ffi_##name(TAKES_##arity);
#include "entries.h"
#undef ENTRY

#define ENTRY(name, arity) {#name, (DL_FUNC)&ffi_##name, arity},
static const R_CallMethodDef routines[] = {
#include "entries.h"
    {NULL, NULL, 0}};
#undef ENTRY

void attribute_visible R_init_riffle(DllInfo *dll) {
  R_registerRoutines(dll, NULL, routines, NULL, NULL);
  R_useDynamicSymbols(dll, FALSE);
  R_forceSymbols(dll, TRUE);
  glue_start();
  info_start();
}
