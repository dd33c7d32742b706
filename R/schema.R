#' Names and types of a stream's fields
#'
#' `record_schema()` says which fields of the records become which columns. Fields that it does
#' not name are skipped, fields that a record lacks are `NA`. `guess_schema()` looks at records
#' and proposes one, printed so that it can be pasted.
#'
#' A name with dots is a path into nested objects: `user.id` is the member `id` of the member
#' `user`. The names `.topic`, `.partition`, `.offset`, `.timestamp`, `.key` are columns about the
#' record, not in it: give them in the schema, each with the type it has (`"factor"`, `"integer"`,
#' `"double"`, `"timestamp"`, `"string"`; `.key` may be a `"factor"` too), or read with `meta =
#' TRUE`.
#'
#' @param ... Types by the names of fields. Types are `"logical"`; `"integer"` (whole numbers
#'   below 2^31); `"integer64"` (below 2^63; needs the package bit64 to be printed); `"double"`
#'   (any number); `"string"`; `"factor"` (text of few values: the cheapest way to hold it);
#'   `"timestamp"` (text by RFC 3339, or milliseconds since 1970; `"timestamp(s)"` and
#'   `"timestamp(us)"` for numbers in seconds and microseconds), in R a `POSIXct` in UTC; `"date"`
#'   (`"2019-11-24"`). For `guess_schema()` see the methods' arguments.
#' @param ddl The same in Spark's notation, `"user STRING, bid DOUBLE, geo STRUCT<city: STRING>"`;
#'   fields in `...` are added to it.
#' @param x What to look at: a Kafka cluster, a character vector of JSON records or of files' names
#'   (with wildcards), or a data frame.
#' @param topic Name of a topic.
#' @param from Where to begin, as in [read_stream()].
#' @param n How many records to look at.
#' @returns A `riffle_schema`.
#' @section Errors: `riffle_error_schema`: a name twice, an unknown type, or a path that runs
#'   through another field. `riffle_error_argument`. `riffle_error_data` when there is nothing to
#'   look at.
#' @source Types of Spark's DDL: the Spark SQL reference, "Data Types".
#' @examples
#' record_schema(user.id = "string", device = "factor", bid = "double", time = "timestamp")
#' record_schema(ddl = "user STRUCT<id: STRING>, bid DOUBLE")
#' guess_schema(c('{"user": {"id": "u7"}, "bid": 0.25}', '{"user": {"id": "u8"}, "won": true}'))
#' @export
record_schema <- function(..., ddl = NULL) {
  types <- list(...)
  if (!is.null(ddl)) {
    check_string(ddl)
    types <- c(as.list(read_ddl(ddl)), types)
  }
  ok <- length(types) && !is.null(names(types)) && all(nzchar(names(types))) &&
    all(vapply(types, \(t) is.character(t) && length(t) == 1L && !is.na(t), NA))
  if (!ok) abort_argument("`...` must be types by the names of fields, like `bid = \"double\"`.")
  make_schema(names(types), unlist(types, use.names = FALSE))
}

stamps <- c(
  "timestamp" = 0L, "timestamp(s)" = 1L, "timestamp(ms)" = 1000L, "timestamp(us)" = 1000000L
)
types <- c("logical", "integer", "integer64", "double", "string", "factor", "timestamp", "date")

make_schema <- function(name, type) {
  stamp <- type %in% names(stamps)
  per_second <- integer(length(type))
  per_second[stamp] <- stamps[type[stamp]]
  type[stamp] <- "timestamp"
  unknown <- setdiff(type, types)
  if (length(unknown)) {
    abort_kind("schema", "A type must be {.or {.val {types}}}, not {.val {unknown[[1L]]}}.")
  }
  schema <- structure(
    list(name = enc2utf8(name), type = type, per_second = per_second), class = "riffle_schema"
  )
  check_meta_types(schema)
  .Call(c_schema_check, unclass(schema))
  schema
}

# Columns about a record: name -> types it may have, the usual one first.
meta_types <- list(
  .topic = "factor", .partition = "integer", .offset = "double", .timestamp = "timestamp", .key = c(
    "string", "factor"
  )
)
meta_names <- function() names(meta_types)

check_meta_types <- function(schema) {
  for (i in which(schema$name %in% c(meta_names(), ".error", ".raw"))) {
    name <- schema$name[[i]]
    can <- meta_types[[name]]
    if (is.null(can)) {
      abort_kind(
        "schema",
        "{.val {name}} cannot be in a schema: read with `on_bad = \"keep\"`, which adds it."
      )
    }
    if (!schema$type[[i]] %in% can) {
      abort_kind(
        "schema", "{.val {name}} must be {.or {.val {can}}}, not {.val {schema$type[[i]]}}."
      )
    }
  }
}

# ---- Spark's notation ------------------------------------------------------------------

ddl_types <- c(
  boolean = "logical", byte = "integer", tinyint = "integer", short = "integer",
  smallint = "integer", int = "integer",
  integer = "integer", long = "integer64", bigint = "integer64", float = "double", real = "double",
  double = "double",
  decimal = "double", string = "string", varchar = "string", char = "string",
  timestamp = "timestamp", date = "date"
)

# Types by dotted path.
read_ddl <- function(text, within = character()) {
  fields <- lapply(cut_top(text), function(field) {
    m <- regmatches(
      field, regexec("^\\s*(`[^`]+`|[^\\s:`]+)\\s*:?\\s*(.+?)\\s*$", field, perl = TRUE)
    )[[1L]]
    if (!length(m)) {
      abort_kind("schema", "`ddl` must be \"name TYPE, ...\", and {.val {trimws(field)}} is not.")
    }
    path <- paste(c(within, gsub("`", "", m[[2L]])), collapse = ".")
    type <- tolower(sub("\\s+not\\s+null$", "", m[[3L]], ignore.case = TRUE))
    if (startsWith(type, "struct")) {
      return(read_ddl(sub("(?is)^struct\\s*<(.*)>$", "\\1", m[[3L]], perl = TRUE), path))
    }
    mapped <- ddl_types[sub("\\s*\\(.*$", "", type)]
    if (is.na(mapped)) {
      abort_kind(
        "schema", "`ddl` gives {.val {path}} the type {.val {m[[3L]]}}, which riffle does not have."
      )
    }
    stats::setNames(unname(mapped), path)
  })
  unlist(fields)
}

# Cut at the commas that are in no bracket.
cut_top <- function(text) {
  letters <- strsplit(text, "", fixed = TRUE)[[1L]]
  depth <- cumsum(letters %in% c("<", "(")) - cumsum(letters %in% c(">", ")"))
  piece <- cumsum(letters == "," & depth == 0L)
  letters[letters == "," & depth == 0L] <- ""
  unname(vapply(split(letters, piece), paste, "", collapse = ""))
}

# ---- guessing --------------------------------------------------------------------------

#' @rdname record_schema
#' @export
guess_schema <- function(x, ..., n = 1000L) UseMethod("guess_schema")

#' @rdname record_schema
#' @export
guess_schema.riffle_kafka <- function(x, topic, from = "earliest", ..., n = 1000L) { # nolint
  check_string(topic)
  check_count(n)
  check_no_dots(...)
  guess <- .Call(c_guess_topic, x$handle, topic, position(from, topic, x), as.double(n))
  if (guess$looked == 0) {
    abort_kind("data", c(
      "There is no record in topic `{topic}` to guess a schema from.",
      i = "Give one: `record_schema(user = \"string\", ...)`."
    ))
  }
  guessed(guess, paste0("topic `", topic, "`"))
}

#' @rdname record_schema
#' @export
guess_schema.character <- function(x, ..., n = 1000L) {
  check_count(n)
  check_no_dots(...)
  if (!any(grepl("[{[]", x)) && all(file.exists(x) | nzchar(vapply(x, one_file, "")))) {
    return(guess_lines(first_lines(find_files(x), n), "`x`"))
  }
  guessed(.Call(c_guess_texts, enc2utf8(utils::head(x, n))), "`x`")
}

# A file that a pattern stands for, or "".
one_file <- function(pattern) c(Sys.glob(pattern), "")[[1L]]

#' @rdname record_schema
#' @export
guess_schema.data.frame <- function(x, ..., n = 1000L) { # nolint
  check_no_dots(...)
  fields_of(x)
}

#' @export
guess_schema.default <- function(x, ..., n = 1000L) {
  abort_argument(
    "`x` must be a Kafka cluster, a character vector of JSON records or a data frame, ",
    "not {describe(x)}."
  )
}

guessed <- function(guess, what) {
  use <- is.na(guess$left_out)
  if (guess$looked == guess$bad || !any(use)) {
    abort_kind("data", c(
      "No record of {what} is a JSON object with fields that can be columns.",
      i = paste(
        "{guess$looked} record{?s} {?was/were} looked at,",
        "{guess$bad} of them {?is/are} not a JSON object."
      )
    ))
  }
  schema <- make_schema(guess$name[use], guess$type[use])
  notes <- c(
    sprintf("%s: left out, %s", guess$name[!use], guess$left_out[!use]),
    sprintf("%s: several types, read as text", guess$name[use & guess$mixed]),
    sprintf(
      "%s: integers beyond 2^53, read as text; \"integer64\" would hold them",
      guess$name[use & guess$long]
    ),
    if (guess$bad > 0) {
      sprintf("%s of %s records are not JSON objects", big(guess$bad), big(guess$looked))
    }
  )
  attr(schema, "guess") <- list(looked = guess$looked, notes = notes)
  schema
}

# ---- looking at it ---------------------------------------------------------------------

#' @export
format.riffle_schema <- function(x, ...) {
  plain <- make.names(x$name) == x$name
  name <- ifelse(plain, x$name, paste0("`", gsub("`", "\\\\`", x$name), "`"))
  unit <- names(stamps)[match(x$per_second, stamps)]
  type <- ifelse(x$type == "timestamp", unit, x$type)
  lines <- paste0("  ", name, " = \"", type, "\"", ifelse(seq_along(name) < length(name), ",", ""))
  c("record_schema(", lines, ")")
}

#' @export
print.riffle_schema <- function(x, ...) {
  notes <- attr(x, "guess")$notes
  writeLines(c(format(x), if (length(notes)) paste("#", notes)))
  invisible(x)
}

#' @export
names.riffle_schema <- function(x) unclass(x)$name
