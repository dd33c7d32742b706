#' What riffle runs on
#'
#' The versions of the libraries, and which linear algebra and which kernels are really in use.
#'
#' @returns A list of class `riffle_info`: `riffle` (its version), `librdkafka` (the version in
#'   use), `blas` (the name of the library that does the linear algebra), `blas_shared` (whether R
#'   itself uses that copy; then its number of threads is R's to set, else it runs on one thread),
#'   `cpu` (the kernels in use: `"base"`, `"avx2"`, `"avx512"`), `cpu_best` (what the machine
#'   has). The environment variable `RIFFLE_CPU`, read when the package is loaded, chooses lower
#'   kernels.
#' @examples
#' riffle_info()
#' @export
riffle_info <- function() {
  structure(
    c(list(riffle = as.character(utils::packageVersion("riffle"))), .Call(c_info)),
    class = "riffle_info"
  )
}

#' @export
print.riffle_info <- function(x, ...) {
  cat(sprintf(
    "<riffle %s> librdkafka %s, %s%s, %s kernels (best here: %s)\n", x$riffle, x$librdkafka, x$blas,
    if (x$blas_shared && x$blas != "R's BLAS") " (R's own)" else "", x$cpu, x$cpu_best
  ))
  invisible(x)
}
