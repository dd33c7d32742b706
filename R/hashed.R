#' Hashed features
#'
#' In a formula `hashed(user_id)` is a feature of any number of values: each value is hashed into
#' one of `2^bits` slots, and the slots are the columns. `hashed(user_id, ad_id)` crosses columns:
#' a value is a pair. No levels are looked for, kept or unseen. Called on vectors it gives the
#' slots, as a factor.
#'
#' @param ... In a formula: names of columns. Called on data: vectors of one length; their names
#'   (or the expressions given) are part of the hash.
#' @param bits The number of slots is `2^bits`: a whole number from 1 to 20. `NULL` means 10 for a
#'   term of its own table. In [stream_ftrl()] all hashed terms share one table, whose size is its
#'   `slots`, and `bits` must be left out.
#' @returns A factor with the levels 0, 1, ..., `2^bits - 1`.
#' @details
#' The slot is the top `bits` bits of `h(h(seed, name), text)`, with the canonical text of the
#' value in UTF-8: `7`, `7L` and `"7"` are one user; `TRUE` and `FALSE`; a number is the shortest
#' decimal that reads back to it, without a point when it is whole; times are
#' `2019-11-24T00:03:13.442536Z`, dates `2019-11-24`. `NA` is a value of its own. Crossed values
#' are hashed one after the other. The hash never changes between versions or platforms, so a
#' saved model knows its slots for ever.
#'
#' Values that share a slot share its coefficient. With `n` values in `m` slots a value has a slot
#' to itself with probability `exp(-n / m)` or so. Columns of a term are named
#' `hashed(user_id)0`, `hashed(user_id)1`, and so on; those of empty slots have the coefficient
#' `NA` in [stream_glm()], and so has one slot beside an intercept.
#' @section Errors:
#' `riffle_error_argument` when an argument is not the name of a column (in a formula), not a
#' vector, or of another length, or when `bits` is not a whole number from 1 to 20.
#' @source Weinberger, Dasgupta, Langford, Smola and Attenberg (2009), Feature hashing for large
#'   scale multitask learning, ICML 26.
#' @export
#' @examples
#' user <- c("anna", "ben", "anna")
#' hashed(user, bits = 4)
#' d <- sim_adclicks(2000, seed = 1)
#' m <- suppressMessages(stream_glm(click ~ position + hashed(user_id, bits = 4), d, binomial()))
#' head(coef(m))
hashed <- function(..., bits = NULL) {
  values <- list(...)
  given <- vapply(as.list(substitute(list(...)))[-1L], deparse1, "")
  if (!length(values)) abort_argument("`...` must be one vector or more.")
  if (is.null(bits)) bits <- 10
  check_bits(bits, "bits")
  names <- if (is.null(names(values))) given else names(values)
  names <- ifelse(nzchar(names), names, given)
  n <- length(values[[1L]])
  for (k in seq_along(values)) {
    if (is.list(values[[k]]) || length(values[[k]]) != n) {
      abort_argument(
        "`{names[[k]]}` must be a vector of {n} value{?s}, not {describe(values[[k]])}."
      )
    }
  }
  columns <- stats::setNames(values, make.unique(names))
  recipe <- list(
    variables = list(list(
      name = names(columns)[[1L]], kind = "hashed", with = names(columns)[-1L], slots = 2^bits,
      seed = 0
    )),
    terms = list(list(variables = 1L, codings = list(NULL))), intercept = FALSE
  )
  codes <- .Call(c_hashed_codes, df_frames(as_columns(columns, n)), recipe)
  structure(codes + 1L, levels = as.character(seq_len(2^bits) - 1), class = "factor")
}

check_bits <- function(bits, arg) {
  whole <- is.numeric(bits) && length(bits) == 1L && !is.na(bits) && bits == floor(bits)
  if (!whole || bits < 1 || bits > 20) {
    abort_argument("`{arg}` must be a whole number from 1 to 20, not {describe(bits)}.")
  }
}
