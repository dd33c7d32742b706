#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#undef rfl_fail /* an analyser's stand-ins */
#undef rfl_no_memory

/* Bytes of a record can reach a message, so what is not UTF-8 becomes '?': R must be able
 * to show it. */
static void make_utf8(char *text, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t length = 1;
    while (length < 4 && i + length < n && !rfl_utf8_valid(text + i, length)) length++;
    if (rfl_utf8_valid(text + i, length)) {
      i += length;
    } else {
      text[i++] = '?';
    }
  }
}

enum rfl_code rfl_fail(struct rfl_err *err, enum rfl_code code, const char *fmt, ...) {
  if (!err) return code;
  char text[sizeof err->message]; /* the arguments may point into err->message */
  va_list args;
  va_start(args, fmt);
  int length = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  size_t n = length < 0 ? 0 : (size_t)length;
  if (n >= sizeof text) n = rfl_utf8_prefix(text, sizeof text - 1);
  if (!rfl_utf8_valid(text, n)) make_utf8(text, n);
  memcpy(err->message, text, n);
  err->message[n] = '\0';
  err->code = code;
  return code;
}

enum rfl_code rfl_no_memory(struct rfl_err *err) {
  return rfl_fail(err, RFL_ENOMEM, "There is not enough memory.");
}

const char *rfl_code_class(enum rfl_code code) {
  static const char *const classes[RFL_N_CODES] = {
      [RFL_OK] = "ok",          [RFL_EARGUMENT] = "argument", [RFL_ECONFIG] = "config",
      [RFL_EAUTH] = "auth",     [RFL_ETIMEOUT] = "timeout",   [RFL_EBROKER] = "broker",
      [RFL_EDATA] = "data",     [RFL_ELOSS] = "data",         [RFL_ESCHEMA] = "schema",
      [RFL_EMODEL] = "model",   [RFL_EBUSY] = "state",        [RFL_EIO] = "io",
      [RFL_EFENCED] = "fenced", [RFL_EFATAL] = "broker",      [RFL_ENOMEM] = "nomem",
      [RFL_EAGAIN] = "again",   [RFL_EABORT] = "abort",       [RFL_EUNSURE] = "unsure",
      [RFL_ENEED] = "need",     [RFL_EHOST] = "host",
  };
  if ((unsigned)code >= RFL_N_CODES) return "unknown";
  return classes[code];
}
