# Checks of what users hand over. Each names the argument, says what it must be and what it is.
# They return nothing, but for check_choice().

name_of <- function(x) deparse1(x)

check_stream <- function(x, arg = name_of(substitute(x))) {
  if (!inherits(x, "riffle_stream")) {
    abort_argument("`{arg}` must be a stream, from read_stream(), not {describe(x)}.")
  }
}

check_kafka <- function(k, arg = name_of(substitute(k))) {
  if (!inherits(k, "riffle_kafka")) {
    abort_argument(
      "`{arg}` must be a Kafka cluster, from kafka() or local_kafka(), not {describe(k)}."
    )
  }
}

check_string <- function(x, arg = name_of(substitute(x))) {
  if (!is.character(x) || length(x) != 1L || is.na(x) || !nzchar(x)) {
    abort_argument("`{arg}` must be a string, not {describe(x)}.")
  }
}

check_strings <- function(x, arg = name_of(substitute(x))) {
  if (!is.character(x) || !length(x) || anyNA(x) || !all(nzchar(x))) {
    abort_argument(
      "`{arg}` must be a character vector without missing or empty strings, not {describe(x)}."
    )
  }
}

# The choice made; the whole vector of choices, as a default, means the first.
check_choice <- function(x, choices, arg = name_of(substitute(x))) {
  if (identical(x, choices)) {
    return(choices[[1L]])
  }
  if (!is.character(x) || length(x) != 1L || !x %in% choices) {
    abort_argument("`{arg}` must be {.or {.val {choices}}}, not {describe(x)}.")
  }
  x
}

check_flag <- function(x, arg = name_of(substitute(x))) {
  if (!isTRUE(x) && !isFALSE(x)) abort_argument("`{arg}` must be TRUE or FALSE, not {describe(x)}.")
}

is_number <- function(x) is.numeric(x) && length(x) == 1L && !is.na(x)

check_count <- function(x, arg = name_of(substitute(x))) {
  if (!is_number(x) || x < 1 || x != trunc(x) || x > 2^53) {
    abort_argument("`{arg}` must be a whole number of at least 1, not {describe(x)}.")
  }
}

check_positive <- function(x, arg = name_of(substitute(x))) {
  if (!is_number(x) || x <= 0) {
    abort_argument("`{arg}` must be a number above 0, not {describe(x)}.")
  }
}

check_not_negative <- function(x, arg = name_of(substitute(x))) {
  if (!is_number(x) || x < 0) {
    abort_argument("`{arg}` must be a number of at least 0, not {describe(x)}.")
  }
}

# Names of fields of a stream; metadata may be asked of any.
check_fields <- function(x, stream, arg = name_of(substitute(x))) {
  check_strings(x, arg)
  unknown <- setdiff(x, c(names(stream), meta_names()))
  if (length(unknown)) {
    abort_argument(c(
      "`{arg}` must name fields of the stream, and {.val {unknown[[1L]]}} is not one.",
      i = "Its fields are {.val {names(stream)}}."
    ))
  }
}

check_data_frame <- function(data, arg = name_of(substitute(data))) {
  if (!is.data.frame(data)) abort_argument("`{arg}` must be a data frame, not {describe(data)}.")
}

check_no_dots <- function(...) {
  if (...length()) {
    extra <- ...names()
    extra <- extra[!is.na(extra) & nzchar(extra)]
    what <- if (length(extra)) paste0("`", extra[[1L]], "`") else describe(...elt(1L))
    abort_argument("There is no argument for {what} here.")
  }
}

# ---- words -----------------------------------------------------------------------------

# What a value is, for the end of a sentence.
describe <- function(x) {
  if (is.null(x)) return("NULL")
  if (is.data.frame(x)) return("a data frame")
  if (is.function(x)) return("a function")
  if (is.object(x)) return(paste("an object of class", class(x)[[1L]]))
  if (is.list(x)) return("a list")
  if (length(x) == 1L) {
    if (is.na(x)) return("NA")
    if (is.character(x)) return(paste0("\"", x, "\""))
    if (is.numeric(x) || is.logical(x)) return(format(x, digits = 15L))
  }
  if (is.character(x) || is.numeric(x) || is.logical(x)) {
    kind <- if (is.character(x)) "character" else if (is.logical(x)) "logical" else "numeric"
    return(paste0("a ", kind, " vector of length ", length(x)))
  }
  paste("an object of type", typeof(x))
}

# 1234567 -> "1,234,567".
big <- function(x) format(x, big.mark = ",", trim = TRUE, scientific = FALSE)

someone_watches <- function() isatty(stderr())
