#' riffle: machine learning on streams
#'
#' Reads Kafka topics into typed columns and fits and scores models on data that fits in memory
#' and on data that never ends. Start with [read_stream()], [stream_glm()] and [start_query()], or
#' run [demo_adclicks()].
#'
#' @keywords internal
#' @useDynLib riffle, .registration = TRUE, .fixes = "c_"
"_PACKAGE"

.onLoad <- function(libname, pkgname) { # nolint
  cpu <- Sys.getenv("RIFFLE_CPU")
  if (!cpu %in% c("", "base", "avx2", "avx512", "best")) {
    warning(
      "RIFFLE_CPU must be base, avx2, avx512 or best, not ", cpu, ": it is ignored.", call. = FALSE
    )
  }
}

# Stops queries, then clients. The library stays loaded while R still has handles, whose
# finalizers are in it, or a thread was left behind that runs its code.
.onUnload <- function(libpath) { # nolint
  .Call(c_handles_close)
  gc()
  if (.Call(c_handles_close) == 0) library.dynam.unload("riffle", libpath)
}
