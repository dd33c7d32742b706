# Every condition of the package is raised here. Two classes, riffle_error_<kind> and
# riffle_error, and the call that the user wrote. Kinds: argument, config, auth, timeout, broker,
# data, schema, model, state, io, fenced, nomem.

# `message`: cli text, filled in from the caller's variables; several lines as cli::cli_abort()
# takes them.
abort_kind <- function(kind, message, call = user_frame(), env = parent.frame()) {
  force(call) # before frames of cli stand between
  cli::cli_abort(
    message, class = c(paste0("riffle_error_", kind), "riffle_error"), call = call, .envir = env
  )
}

# The user's argument is wrong. Several strings are pasted together.
abort_argument <- function(..., call = user_frame(), env = parent.frame()) {
  force(call)
  parts <- list(...)
  abort_kind("argument", if (length(parts) == 1L) parts[[1L]] else paste0(...), call, env)
}

# What the core says, as it is; C calls this (r_raise() in src/glue.c).
abort_native <- function(kind, message, call = user_frame()) {
  force(call)
  rlang::abort(
    sentence(message), class = c(paste0("riffle_error_", kind), "riffle_error"), call = call
  )
}

# Records were left out or are gone: the result stands, and says so.
warn_kind <- function(kind, message, env = parent.frame()) {
  cli::cli_warn(message, class = c(paste0("riffle_warning_", kind), "riffle_warning"), .envir = env)
}

sentence <- function(text) {
  if (grepl("^[a-z]+[ ,]", text) && !startsWith(text, "librdkafka")) {
    text <- paste0(toupper(substr(text, 1L, 1L)), substring(text, 2L))
  }
  if (grepl("[.?!]$", text)) text else paste0(text, ".")
}

# The frame of the verb that the user called: the outermost one of this package below the user's
# own code. Frames of base R between two of ours (lapply(), tryCatch()) are passed over.
user_frame <- function() {
  ours <- topenv()
  found <- 0L
  for (i in rev(seq_len(sys.nframe() - 1L))) {
    home <- topenv(environment(sys.function(i)))
    if (identical(home, ours)) {
      found <- i
    } else if (!identical(home, .BaseNamespaceEnv) && !identical(home, baseenv())) {
      break
    }
  }
  if (found) sys.frame(found)
}
