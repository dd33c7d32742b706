# Sources that are not topics: files, connections, functions, and several sources as one.

new_stream <- function(..., kind, topic, schema, on_bad = "fail", max_records = Inf) {
  structure(
    list(
      kind = kind, ..., topic = topic, schema = schema, on_bad = on_bad, max_records = max_records
    ),
    class = "riffle_stream"
  )
}

check_schema <- function(schema) {
  if (!is.null(schema) && !inherits(schema, "riffle_schema")) {
    abort_argument("`schema` must be a schema, from record_schema(), not {describe(schema)}.")
  }
}

# ---- files -----------------------------------------------------------------------------

#' @rdname read_stream
#' @export
read_stream.character <- function(x, schema = NULL, format = NULL, # nolint
                                  on_bad = c("fail", "skip", "keep"), max_records = Inf, ...) {
  check_no_dots(...)
  check_strings(x)
  check_schema(schema)
  on_bad <- check_choice(on_bad, c("fail", "skip", "keep"))
  if (!identical(max_records, Inf)) check_count(max_records)
  files <- find_files(x)
  check_format(format, files)
  label <- if (length(x) == 1L) x else paste0(x[[1L]], " and others")
  if (is.null(schema)) {
    schema <- guess_lines(first_lines(files, 1000L), paste0("`", label, "`"))
    say_guess(schema, paste0("`", label, "`"))
  }
  new_stream(
    kind = "file", files = files, topic = label, schema = schema, on_bad = on_bad,
    max_records = max_records
  )
}

# The files that names and patterns stand for, by full paths in C order.
find_files <- function(x, arg = "x") {
  found <- lapply(x, \(name) {
    files <- if (file.exists(name)) name else Sys.glob(name)
    files <- files[!dir.exists(files)]
    if (!length(files)) {
      abort_kind("io", "`{arg}` must name files: there is none of the name {.file {name}}.")
    }
    files
  })
  sort(unique(normalizePath(enc2utf8(unlist(found)))), method = "radix")
}

check_format <- function(format, files) {
  if (!is.null(format)) {
    check_choice(format, "json")
    return(invisible())
  }
  odd <- files[!grepl("[.](json|jsonl|ndjson)([.]gz)?$", files, ignore.case = TRUE)]
  if (length(odd)) {
    abort_argument(c(
      "`format` must be given for the file {.file {odd[[1L]]}}.",
      i = "`format = \"json\"` reads JSON lines; other formats cannot be read."
    ))
  }
}

# The first lines of the files that are not empty, at most `n`.
first_lines <- function(files, n) {
  lines <- character()
  for (file in files) {
    con <- gzfile(file, "rt", encoding = "UTF-8")
    got <- tryCatch(readLines(con, n, warn = FALSE), finally = close(con))
    got <- sub("^\ufeff", "", got)
    lines <- utils::head(c(lines, got[grepl("[^[:space:]]", got, useBytes = TRUE)]), n)
    if (length(lines) >= n) break
  }
  lines
}

guess_lines <- function(lines, what) {
  if (!length(lines)) {
    abort_kind("data", c(
      "There is no line in {what} to guess a schema from.",
      i = "Give one: `record_schema(user = \"string\", ...)`."
    ))
  }
  guessed(.Call(c_guess_texts, lines), what)
}

# Where a model stopped in each file, and how many lines that skips.
skip_lines <- function(learnt, stream) {
  stream <- open_files(stream)
  names <- file_names(stream)
  known <- learnt$offset[match(names, as.character(learnt$topic))]
  known[is.na(known)] <- 0
  skipped <- sum(known)
  if (skipped > 0) {
    cli::cli_inform(
      paste(
        "{big(skipped)}{cli::qty(skipped)} line{?s} of `{stream$topic}`",
        "{?is/are} learnt already and skipped."
      ),
      class = c("riffle_message_skipped", "riffle_message")
    )
  }
  stream$at <- list(names, as.double(known))
  stream
}

file_names <- function(stream) if (is.null(stream$names)) stream$files else stream$names

# ---- connections -----------------------------------------------------------------------

#' @rdname read_stream
#' @export
read_stream.connection <- function(x, schema = NULL, format = NULL, # nolint
                                   on_bad = c("fail", "skip", "keep"), max_records = Inf, ...) {
  check_no_dots(...)
  check_schema(schema)
  on_bad <- check_choice(on_bad, c("fail", "skip", "keep"))
  if (!is.null(format)) check_choice(format, "json")
  if (!identical(max_records, Inf)) check_count(max_records)
  label <- summary(x)$description
  stream <- new_stream(
    kind = "file", con = x, copy = new.env(parent = emptyenv()), names = label, topic = label,
    schema = schema, on_bad = on_bad, max_records = max_records
  )
  if (is.null(schema)) {
    stream <- open_files(stream)
    stream$schema <- guess_lines(first_lines(stream$files, 1000L), paste0("`", label, "`"))
    say_guess(stream$schema, paste0("`", label, "`"))
  }
  stream
}

# A connection gives its lines once: they are copied to a file of the session when they are first
# needed, and every read is of that file.
open_files <- function(stream) {
  if (is.null(stream$con)) {
    return(stream)
  }
  if (is.null(stream$copy$file)) {
    file <- tempfile("connection-", fileext = ".jsonl")
    stream$copy$file <- file
    reg.finalizer(stream$copy, \(copy) unlink(copy$file))
    copy_lines(stream$con, file)
  }
  stream$files <- stream$copy$file
  stream
}

copy_lines <- function(con, file) {
  if (!isOpen(con)) {
    open(con, "rt")
    on.exit(close(con))
  }
  out <- file(file, "wb")
  on.exit(close(out), add = TRUE)
  repeat {
    lines <- readLines(con, 10000L, warn = FALSE)
    if (!length(lines)) break
    writeLines(enc2utf8(lines), out, useBytes = TRUE)
  }
}

# ---- functions -------------------------------------------------------------------------

#' @rdname read_stream
#' @export
read_stream.function <- function(x, schema = NULL, ...) {
  check_no_dots(...)
  check_schema(schema)
  if (is.null(schema)) {
    x(TRUE)
    first <- next_chunk(x, 1L)
    if (is.null(first)) {
      abort_kind("data", "`x` must give a data frame when no `schema` is given, and it gave NULL.")
    }
    schema <- fields_of(first)
  }
  new_stream(kind = "function", data = x, topic = "function", schema = schema)
}

next_chunk <- function(f, number) {
  chunk <- f(FALSE)
  if (!is.null(chunk) && !is.data.frame(chunk)) {
    abort_kind(
      "data", "The function must give a data frame or NULL; chunk {number} is {describe(chunk)}."
    )
  }
  chunk
}

# Puts what the function gives into `frames`, `limit` rows or a little more.
read_chunks <- function(stream, fields, frames, limit) {
  stream$data(TRUE)
  number <- rows <- 0
  while (rows < limit) {
    chunk <- next_chunk(stream$data, number + 1)
    if (is.null(chunk)) break
    number <- number + 1
    columns <- Map(\(name, type) chunk_column(chunk, name, type, number), fields$name, fields$type)
    .Call(c_frames_push, frames, unname(columns), fields)
    rows <- rows + nrow(chunk)
  }
  frames
}

# A column as the schema says it is. Text may be a factor and the other way round, integers
# doubles; a column of nothing but NA is anything.
chunk_column <- function(chunk, name, type, number) {
  x <- chunk[[name]]
  if (is.null(x)) {
    abort_kind("schema", "Chunk {number} of the function has no column `{name}`.")
  }
  if (is.logical(x) && all(is.na(x))) {
    empty <- list(string = NA_character_, factor = NA_character_, integer = NA_integer_)
    x <- rep(if (is.null(empty[[type]])) NA_real_ else empty[[type]], length(x))
  } else {
    given <- type_of(x, name, "the function's data")
    alike <- list(double = c("integer", "double"), string = c("string", "factor"), factor = c(
      "string", "factor"
    ))
    if (!given %in% c(type, alike[[type]])) {
      abort_kind("schema", paste(
        "Column `{name}` of chunk {number} of the function must be {.val {type}},",
        "not {.val {given}}."
      ))
    }
  }
  if (type == "logical") as.logical(x) else plain_column_of(x, type)
}

# ---- several sources -------------------------------------------------------------------

#' Several sources as one stream
#'
#' `bind_streams()` puts streams one behind the other: history in files, what came since in a
#' topic, corrections in a data frame. A fit to them is the fit to one data frame of the same rows
#' in that order.
#'
#' @param ... Streams from [read_stream()], or data frames. All have the same fields with the same
#'   types, in any order.
#' @returns A `riffle_stream` for [stream_glm()] and the other fits, `update()`, `predict()`,
#'   `head()` and `as.data.frame()`. The rows of the first come first; within a topic they are by
#'   partition and offset, within files by path and line. A model keeps the positions of each:
#'   `update(m, bind_streams(...))` skips what it has learnt of each topic and file.
#' @section Errors: `riffle_error_schema` when fields or types differ, naming the field;
#'   `riffle_error_argument` when a topic or a file is in it twice, or for what is no stream.
#'   [start_query()] refuses it.
#' @seealso [read_stream()]
#' @source The union of streams of one schema, as in SQL's UNION ALL.
#' @examples
#' d <- sim_adclicks(3000, seed = 1)
#' file <- tempfile(fileext = ".jsonl")
#' writeLines(c('{"device": "mobile", "click": 1}', '{"device": "tablet", "click": 0}'), file)
#' s <- read_stream(file, record_schema(device = "factor", click = "integer"))
#' both <- bind_streams(s, d[c("device", "click")])
#' both
#' stream_glm(click ~ device, both, family = binomial)
#' @export
bind_streams <- function(...) {
  sources <- lapply(list(...), \(x) if (is.data.frame(x)) read_stream(x) else x)
  if (!length(sources)) abort_argument("`...` must be streams or data frames: there is none.")
  for (i in seq_along(sources)) {
    if (!is_stream(sources[[i]])) {
      abort_argument("`..{i}` must be a stream or a data frame, not {describe(sources[[i]])}.")
    }
    refuse_steps(sources[[i]])
  }
  sources <- do.call(c, lapply(sources, \(s) if (s$kind == "bind") s$sources else list(s)))
  schema <- sources[[1L]]$schema
  for (i in seq_along(sources)) check_same_schema(schema, sources[[i]]$schema, i)
  new_stream(kind = "bind", sources = name_sources(sources), topic = "bound", schema = schema)
}

check_same_schema <- function(first, other, i) {
  missing <- setdiff(first$name, other$name)
  more <- setdiff(other$name, first$name)
  if (length(missing)) {
    abort_kind("schema", "Stream {i} has no field {.val {missing[[1L]]}}, which the first one has.")
  }
  if (length(more)) {
    abort_kind("schema", "Stream {i} has a field {.val {more[[1L]]}}, which the first one has not.")
  }
  type <- other$type[match(first$name, other$name)]
  odd <- which(type != first$type)
  if (length(odd)) {
    at <- odd[[1L]]
    abort_kind("schema", paste(
      "The field {.val {first$name[[at]]}} is {.val {first$type[[at]]}} in the first stream",
      "and {.val {type[[at]]}} in stream {i}."
    ))
  }
}

# Every source has places of its own, since positions are kept by their names.
name_sources <- function(sources) {
  frames <- 0L
  taken <- character()
  lapply(sources, \(s) {
    if (s$kind == "frame") {
      frames <<- frames + 1L # nolint
      if (frames > 1L) s$topic <- paste("data", frames)
    }
    here <- if (s$kind == "file" && is.null(s$con)) s$files else s$topic
    twice <- if (s$kind != "function") intersect(here, taken)
    if (length(twice)) abort_argument("`...` must not have {.val {twice[[1L]]}} twice.")
    taken <<- c(taken, here) # nolint
    s
  })
}
