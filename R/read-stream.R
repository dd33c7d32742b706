#' Read a stream
#'
#' `read_stream()` describes a stream: a Kafka topic with a range, files of JSON lines, a data
#' frame, a connection, or a function that gives data frames.
#' Nothing is read until `head()`, `as.data.frame()`, a fit or [start_query()] does.
#'
#' @param x A Kafka cluster ([kafka()], [local_kafka()]); names of files, with the wildcards of
#'   [Sys.glob()], plain or compressed by gzip; a data frame; a connection, whose lines are copied
#'   to a temporary file when they are first needed; or a function of one argument, `reset`: called
#'   with `TRUE` it goes back to its beginning, with `FALSE` it gives the next data frame, or `NULL`
#'   at the end. For the other verbs a stream.
#' @param topic Name of the topic.
#' @param schema Names and types of the fields, from [record_schema()]. `NULL`: 1,000 records are
#'   looked at, the schema is printed to be pasted, and kept to.
#' @param from Where to begin: `"earliest"`, `"latest"`, a `POSIXct` (the first record of each
#'   partition at or after that time), a negative difference of times (`as.difftime(-2, units =
#'   "hours")`: the last two hours), or offsets: numbers named by partition (`c("0" = 100, "1" =
#'   0)`) or a data frame with `partition` and `offset`, naming every partition; or a model that
#'   learnt from the topic: where it stopped.
#' @param to Where to end, in the same words; the record at `to` is not in the range. `NULL`: the
#'   end as of when reading begins (in [start_query()]: no end).
#' @param format `"json"`: each record's value, or each line, is a JSON object. `NULL` for files:
#'   by their names (`.json`, `.jsonl`, `.ndjson`, each also with `.gz`).
#' @param key_format `"string"`: keys are text.
#' @param on_bad What a record that is no JSON or does not fit the schema does. `"fail"`: an error
#'   that names topic, partition, offset, field and reason. `"skip"`: it is left out and counted;
#'   a warning tells. `"keep"`: a row of `NA` with the columns `.error` (why) and `.raw` (its
#'   bytes).
#' @param dead_letter Must be `NULL`: a topic for bad records cannot be given.
#' @param on_loss What records do that expired before they could be read: `"fail"`, or `"warn"` to
#'   go on and count them.
#' @param max_records How many records to take at most; which ones, when there are more, is not
#'   defined.
#' @param meta Whether to add the columns `.topic`, `.partition`, `.offset`, `.timestamp` and
#'   `.key`.
#' @param n How many records.
#' @param object A stream.
#' @param row.names,optional Unused, as in the generic.
#' @param ... Unused.
#' @returns `read_stream()`: a `riffle_stream`. `head()` and `as.data.frame()`: a data frame, rows
#'   by partition and offset; `head()` takes what is there and never waits for more. Factors have
#'   the levels that occur, in C order; times are `POSIXct` in UTC. `names()`: the fields.
#'   `dim()`: `NA` rows. `summary()`: offsets by partition.
#' @details A bounded read fixes its ends when it begins and returns exactly the records in the
#'   range. A field that a record lacks is `NA`, fields that the schema does not name are skipped.
#'   In an interactive session Ctrl-C makes `as.data.frame()` return what has been read, with a
#'   warning of class `riffle_warning_interrupted`.
#'
#'   Files are read in the order of their paths. Lines end with LF or CRLF, the last needs no end,
#'   empty ones are passed over; what is appended to a plain file after it was first opened is not
#'   in the range. `.topic` is the path, `.offset` the number of the line, from 0.
#'
#'   Fits and updates keep the rows in memory up to `control$memory` MB; beyond that they go to a
#'   file without a name in `control$spool`, only the columns that are used, and later passes read
#'   them there.
#' @section Errors: `riffle_error_data` for a bad record (with topic, partition and offset, or file
#'   and line) or lost records, `riffle_error_io` for files, `riffle_error_broker`
#'   for a topic that is not there, `riffle_error_timeout`, `riffle_error_schema`,
#'   `riffle_error_argument`. Warnings: `riffle_warning_skipped`, `riffle_warning_lost`.
#' @source RFC 8259 (JSON), RFC 3339 (times).
#' @seealso [record_schema()], [bind_streams()], [stream_glm()], [start_query()]
#' @examples
#' k <- local_kafka(c(clicks = 2))
#' kafka_produce(k, "clicks", data.frame(user = c("a", "b", "a"), bid = c(0.5, 1, 2)), key = "user")
#' s <- read_stream(k, "clicks", record_schema(user = "factor", bid = "double"))
#' s
#' head(s, 2)
#' as.data.frame(s, meta = TRUE)
#'
#' file <- tempfile(fileext = ".jsonl")
#' writeLines(c('{"user": "a", "bid": 0.5}', '{"user": "b", "bid": 1}'), file)
#' head(read_stream(file))
#' @export
read_stream <- function(x, ...) UseMethod("read_stream")

#' @export
read_stream.default <- function(x, ...) {
  abort_argument(
    "`x` must be a Kafka cluster, names of files, a data frame, a connection or a function, ",
    "not {describe(x)}."
  )
}

#' @rdname read_stream
#' @export
read_stream.riffle_kafka <- function(x, topic, schema = NULL, from = "earliest", to = NULL, # nolint
                                     format = "json", key_format = "string",
                                     on_bad = c("fail", "skip", "keep"), dead_letter = NULL,
                                     on_loss = c("fail", "warn"), max_records = Inf, ...) {
  check_no_dots(...)
  check_string(topic)
  check_choice(format, "json")
  check_choice(key_format, "string")
  on_bad <- check_choice(on_bad, c("fail", "skip", "keep"))
  on_loss <- check_choice(on_loss, c("fail", "warn"))
  if (!is.null(dead_letter)) {
    abort_argument("`dead_letter` must be NULL: use `on_bad = \"keep\"` to look at bad records.")
  }
  if (!identical(max_records, Inf)) check_count(max_records)
  check_schema(schema)
  position(from, topic)
  position(to, topic)
  .Call(c_kafka_partitions, x$handle, topic)
  if (is.null(schema)) {
    schema <- guess_schema(x, topic, from = if (identical(from, "latest")) "earliest" else from)
    say_guess(schema, paste0("topic `", topic, "`"))
  }
  new_stream(
    kind = "kafka", k = x, from = from, to = to, on_loss = on_loss, topic = topic, schema = schema,
    on_bad = on_bad, max_records = max_records
  )
}

say_guess <- function(schema, what) {
  guess <- attr(schema, "guess")
  heading <- sprintf(
    "Schema guessed from %s of %s. To keep it, paste:", plural(guess$looked, "record"), what
  )
  notes <- if (length(guess$notes)) paste("#", guess$notes)
  text <- paste(c(heading, format(schema), notes), collapse = "\n")
  rlang::inform(text, class = "riffle_message_schema")
}

#' @rdname read_stream
#' @export
read_stream.data.frame <- function(x, ...) { # nolint
  check_no_dots(...)
  if (!length(x)) abort_argument("`x` must have columns.")
  new_stream(kind = "frame", data = x, topic = "data", schema = fields_of(x))
}

# ---- positions -------------------------------------------------------------------------

# A position as C reads it: list(kind, time_ms | partition, offset); NULL for NULL. Differences of
# times count from now.
# `k`: the cluster, to complete the positions of a model.
position <- function(x, topic, k = NULL, arg = name_of(substitute(x))) {
  if (is.null(x)) {
    return(NULL)
  }
  if (inherits(x, "riffle_model")) x <- model_offsets(x, topic, k)
  if (identical(x, "earliest")) {
    return(list(kind = 0L))
  }
  if (identical(x, "latest")) {
    return(list(kind = 1L))
  }
  if (inherits(x, "difftime") && length(x) == 1L && !is.na(x) && x < 0) {
    x <- Sys.time() + x
  }
  if (inherits(x, "POSIXct") && length(x) == 1L && !is.na(x)) {
    # Kafka counts milliseconds; what R holds may be a hair above the millisecond that was meant.
    return(list(kind = 2L, time_ms = ceiling(round(as.double(x) * 1e6) / 1e3)))
  }
  if (is.data.frame(x) && all(c("partition", "offset") %in% names(x))) {
    if ("topic" %in% names(x)) x <- x[as.character(x$topic) == topic, , drop = FALSE]
    x <- stats::setNames(x$offset, x$partition)
  }
  if (is.numeric(x) && !is.object(x) && good_offsets(x)) {
    return(list(kind = 3L, partition = as.integer(names(x)), offset = as.double(x)))
  }
  abort_argument(c(
    "`{arg}` must be a position in a topic, not {describe(x)}.",
    i = paste(
      "That is \"earliest\", \"latest\", a POSIXct, a negative difference of times, or offsets:",
      "numbers named by partition, or a data frame with `partition` and `offset`."
    )
  ))
}

# Where a model stopped learning in each partition; a partition that it has not seen is read from
# its earliest record.
model_offsets <- function(model, topic, k) {
  at <- model$positions
  at <- at[at$topic == topic, , drop = FALSE]
  if (!NROW(at)) abort_argument("The model has not learnt from topic `{topic}`.")
  if (is.null(k)) {
    return(at)
  }
  offset <- .Call(c_kafka_offsets, k$handle, topic, NULL)$earliest
  offset[at$partition + 1L] <- pmax(offset[at$partition + 1L], at$offset)
  data.frame(partition = seq_along(offset) - 1L, offset = offset)
}

good_offsets <- function(x) {
  named <- length(x) > 0L && !is.null(names(x)) && all(grepl("^[0-9]{1,9}$", names(x)))
  named && !anyDuplicated(names(x)) && !anyNA(x) && all(x >= 0 & x == trunc(x) & x <= 2^53)
}

# ---- sources ---------------------------------------------------------------------------

# The plain list of which C makes a source (r_source_make()). `columns`: names of the fields
# wanted, NULL for all; `meta`: metadata to add; `memory`: MB for records on their way.
source_spec <- function(stream, columns = NULL, meta = character(), bounded = TRUE, memory = 128,
                        extra = character(), max_records = stream$max_records) {
  fields <- pick_fields(stream$schema, columns, meta, extra)
  if (stream$kind == "frame") {
    columns <- frame_source_columns(stream$data, fields)
    return(list(fields = fields, columns = columns, place = stream$topic))
  }
  on_bad <- match(stream$on_bad, c("fail", "skip", "keep")) - 1L
  if (stream$kind == "file") {
    stream <- open_files(stream)
    return(list(
      fields = fields, files = stream$files, names = stream$names, at = stream$at,
      on_bad = on_bad, max_records = as.double(max_records), frame_rows = 0
    ))
  }
  if (stream$kind != "kafka") {
    what <- if (stream$kind == "bind") "Several sources" else "A function"
    abort_argument("{what} cannot be run as a query: only topics, files and data frames can.")
  }
  list(
    fields = fields, k = stream$k$handle, topic = stream$topic,
    from = position(stream$from, stream$topic, stream$k), bounded = bounded,
    to = position(if (is.null(stream$to)) "latest" else stream$to, stream$topic, stream$k),
    on_bad = on_bad, warn_on_loss = stream$on_loss == "warn",
    max_records = as.double(max_records), memory = as.double(memory),
    frame_rows = 0
  )
}

bad_types <- c(.error = "string", .raw = "raw")

pick_fields <- function(schema, columns, meta, extra) {
  name <- schema$name
  wanted <- if (is.null(columns)) name else setdiff(columns, setdiff(meta_names(), name))
  use <- match(wanted, name)
  if (anyNA(use)) {
    unknown <- setdiff(columns, name)
    abort_kind("schema", "The stream has no field {.val {unknown}}: its fields are {.val {name}}.")
  }
  more <- setdiff(c(intersect(columns, meta_names()), meta, extra), name[use])
  usual <- c(lapply(meta_types, \(types) types[[1L]]), bad_types)
  type <- vapply(more, \(m) usual[[m]], "")
  list(
    name = c(name[use], more), type = c(schema$type[use], unname(type)),
    per_second = c(schema$per_second[use], integer(length(more)))
  )
}

# Columns of a data frame that plays a topic; what a record would have and a row has not is missing.
frame_source_columns <- function(data, fields) {
  n <- nrow(data)
  made <- list(
    .topic = factor(rep("data", n)), .partition = integer(n), .offset = as.double(seq_len(n) - 1),
    .timestamp = rep(NA_real_, n), .key = rep(NA_character_, n)
  )
  columns <- lapply(fields$name, \(name) if (name %in% names(data)) data[[name]] else made[[name]])
  plain_columns(columns, fields$type)
}

# ---- reading ---------------------------------------------------------------------------

# Reads the range of a stream into frames in memory and gives their handle. `keep`: what an
# interrupt leaves is the result.
read_frames <- function(stream, spec, keep = FALSE, frames = .Call(c_frames_new, NULL, NULL)) {
  reader <- .Call(c_reader_new, spec, frames)
  on.exit(.Call(c_reader_close, reader))
  if (keep) {
    tryCatch(read_all(reader, frames, stream$topic), interrupt = function(e) {
      records <- plural(.Call(c_frames_rows, frames), "record")
      warn_kind("interrupted", "Interrupted: this is what was read until then, {records}.")
    })
  } else {
    read_all(reader, frames, stream$topic)
  }
  say_tally(stream, .Call(c_reader_tally, reader))
  frames
}

read_all <- function(reader, frames, what) {
  bar <- NULL
  while (!.Call(c_reader_read, reader, 0.25)) {
    if (is.null(bar) && someone_watches()) {
      bar <- cli::cli_progress_bar(
        format = "{cli::pb_spin} {what}: {cli::pb_current} records [{cli::pb_elapsed}]", total = NA,
        clear = TRUE
      )
    }
    if (!is.null(bar)) cli::cli_progress_update(set = .Call(c_frames_rows, frames), id = bar)
  }
}

say_tally <- function(stream, tally) {
  where <- paste0("of ", if (stream$kind == "kafka") "topic ", "`", stream$topic, "`")
  if (tally$bad > 0 && stream$on_bad == "skip") {
    records <- paste(big(tally$bad), "of", plural(tally$rows, "record"))
    warn_kind("skipped", c(
      "{records} {where} {cli::qty(tally$bad)}{?was/were} bad and left out.",
      i = "The first: {tally$first_bad}"
    ))
  }
  if (tally$lost > 0) {
    records <- plural(tally$lost, "record")
    warn_kind(
      "lost",
      "{records} {where} expired before {cli::qty(tally$lost)}{?it/they} could be read."
    )
  }
}

# What the rows of a stream may take in memory while it is read for a fit, in MB, and the folder
# where they go beyond that.
with_budget <- function(data, control) {
  if (!is_stream(data)) {
    return(data)
  }
  folder <- if (is.null(control$spool)) tempdir() else control$spool
  memory <- if (is.null(control$memory)) default_control$memory else control$memory
  data$budget <- list(memory = as.double(memory), folder = normalizePath(folder, mustWork = FALSE))
  data
}

# The rows of a stream, put into `frames` and sorted. A quarter of the memory is for records on
# their way. `frame_rows`: rows of each frame, 0 as they come; for tests that the cut changes
# nothing.
take_rows <- function(stream, frames, columns = NULL, meta = character(), extra = character(),
                      memory = 128, keep = FALSE, frame_rows = 0) {
  if (stream$kind == "function") {
    fields <- pick_fields(stream$schema, columns, meta, extra)
    if (length(meta)) abort_argument("`meta` must be FALSE: rows of a function have no metadata.")
    read_chunks(stream, fields, frames, stream$max_records)
  } else {
    spec <- source_spec(stream, columns, meta = meta, extra = extra, memory = memory)
    spec$frame_rows <- frame_rows
    read_frames(stream, spec, keep = keep, frames = frames)
  }
  .Call(c_frames_sort, frames, frame_rows)
}

# The fields `columns` of a stream's range, as frames in canonical order, in memory or on disk: what
# fits and predictions read.
stream_frames <- function(stream, columns = NULL, frame_rows = 0) {
  refuse_steps(stream)
  if (is.null(stream$budget)) stream <- with_budget(stream, NULL)
  budget <- stream$budget
  if (stream$kind == "bind") {
    budget$memory <- budget$memory / length(stream$sources)
    if (is.null(columns)) columns <- stream$schema$name
    return(.Call(c_frames_join, lapply(stream$sources, \(source) {
      source$budget <- budget
      stream_frames(source, columns, frame_rows)
    })))
  }
  frames <- .Call(c_frames_new, if (frame_rows == 0) budget$memory * 1e6, budget$folder)
  take_rows(stream, frames, columns, memory = budget$memory / 4, frame_rows = frame_rows)
}

refuse_steps <- function(x) {
  if (!is.null(x$score) || !is.null(x$learn)) {
    abort_argument(
      "`x` must be a stream as it was read: one that scores or learns is run by start_query()."
    )
  }
}

#' @rdname read_stream
#' @export
as.data.frame.riffle_stream <- function(x, row.names = NULL, optional = FALSE, ..., # nolint
                                        meta = FALSE) {
  check_flag(meta)
  check_no_dots(...)
  refuse_steps(x)
  sources <- if (x$kind == "bind") x$sources else list(x)
  meta <- if (meta) meta_names() else character()
  bad <- vapply(sources, \(source) source$on_bad == "keep", NA)
  extra <- if (any(bad)) names(bad_types) else character()
  columns <- if (x$kind == "bind") names(x)
  taken <- lapply(sources, \(source) {
    frames <- .Call(c_frames_new, NULL, NULL)
    take_rows(source, frames, columns, meta, extra, keep = interactive())
  })
  frames_to_df(if (length(taken) > 1L) .Call(c_frames_join, taken) else taken[[1L]])
}

#' @rdname read_stream
#' @importFrom utils head
#' @export
head.riffle_stream <- function(x, n = 6L, ...) {
  check_count(n)
  check_no_dots(...)
  if (x$kind == "bind") {
    return(head_bound(x, n))
  }
  if (x$kind == "frame") {
    x$data <- head(x$data, n)
  } else {
    x$max_records <- min(n, x$max_records)
  }
  head(as.data.frame(x), n)
}

# As many of the sources as it takes.
head_bound <- function(x, n) {
  rows <- 0
  used <- list()
  for (source in x$sources) {
    if (source$kind == "frame") {
      source$data <- head(source$data, n - rows)
    } else {
      source$max_records <- min(n - rows, source$max_records)
    }
    used <- c(used, list(source))
    rows <- rows + nrow(as.data.frame(source))
    if (rows >= n) break
  }
  x$sources <- used
  head(as.data.frame(x), n)
}

#' @export
names.riffle_stream <- function(x) unclass(x)$schema$name

#' @export
dim.riffle_stream <- function(x) c(NA_integer_, length(names(x)))

#' @export
print.riffle_stream <- function(x, ...) {
  where <- switch(x$kind,
    frame = plural(nrow(x$data), "row"),
    file = if (is.null(x$con)) plural(length(x$files), "file") else "a connection",
    "function" = "read chunk by chunk",
    bind = paste(vapply(x$sources, \(source) source$topic, ""), collapse = ", "),
    sprintf(
      "%s, %s to %s", x$k$brokers, show_position(x$from),
      if (is.null(x$to)) "the end" else show_position(x$to)
    )
  )
  cat(sprintf("<stream %s> %s, %s\n", x$topic, where, plural(length(names(x)), "field")))
  shown <- paste0(x$schema$name, " (", x$schema$type, ")")
  width <- as.integer(0.9 * getOption("width"))
  lines <- strwrap(paste(shown, collapse = ", "), width = width, indent = 2L, exdent = 2L)
  if (length(lines) > 2L) lines <- c(lines[[1L]], paste0(lines[[2L]], " ..."))
  writeLines(lines)
  step <- c(
    if (!is.null(x$score)) "scores", if (!is.null(x$learn)) "learns",
    if (x$on_bad != "fail") paste(x$on_bad, "bad records")
  )
  if (length(step)) cat("  then:", paste(step, collapse = ", "), "\n")
  invisible(x)
}

show_position <- function(x) {
  if (is.character(x)) return(x)
  if (inherits(x, "POSIXct")) return(format(x, "%Y-%m-%d %H:%M:%OS3 UTC", tz = "UTC"))
  if (inherits(x, "difftime")) return(paste(format(-x), "ago"))
  if (inherits(x, "riffle_model")) return("where the model stopped")
  "offsets"
}

#' @rdname read_stream
#' @export
summary.riffle_stream <- function(object, ...) {
  ends <- if (object$kind == "kafka") kafka_offsets(object$k, object$topic)
  structure(list(stream = object, offsets = ends), class = "summary.riffle_stream")
}

#' @export
print.summary.riffle_stream <- function(x, ...) {
  print(x$stream)
  if (!is.null(x$offsets)) print(x$offsets, row.names = FALSE)
  invisible(x)
}
