#' Run a stream
#'
#' `start_query()` starts a stream's steps on a thread of its own and returns at once; the console
#' stays free. The query reads what arrives, scores it, learns from it and hands the rows to its
#' sinks, until it is stopped or, with `trigger = "available-now"`, until it has read what was
#' there when it started.
#'
#' @param x A stream with at least one of [score_with()], [learn_with()] or a sink.
#' @param sink A sink, a list of sinks, or `NULL`: see [sink_topic()].
#' @param name Name of the query, a string; `NULL` for the topic's name. Two running queries cannot
#'   have one name.
#' @param checkpoint A folder for the query's state: positions, the live model that learns, the
#'   rows of its unfilled block. Started again with the same folder, the query goes on where it
#'   was. `NULL`: no state outlives the query.
#' @param trigger `"asap"`: batches as records arrive, until stopped. `"available-now"`: what is
#'   there now, then done.
#' @param max_batch Rows of a batch at most, a number.
#' @param memory Budget for records on their way, in MB.
#' @param drain Seconds that stopping may take to finish the batch in hand.
#' @param save_every Seconds between checkpoints; 0: after every batch.
#' @param pace Rows a second at most; `Inf`: no limit.
#' @param q A query.
#' @param n How many of the last batches.
#' @param timeout Seconds to wait; `Inf`: until it ends.
#' @param ... Unused.
#' @returns `start_query()`: a `riffle_query`. `query_status()`: a list with `name`, `phase`
#'   (`"starting"`, `"running"`, `"stopping"`, `"done"`, `"stopped"`, `"failed"`), counts
#'   (`batches`, `rows`, `scored`, `unscored`, `learnt`, `unseen`, `missing`, `pending`, `bad`,
#'   `repeated`, `lost`, `failed_rows`), `version` of the model, `resumed`, `started`, `last_batch`
#'   (POSIXct, UTC), `error` (a message or `NULL`) and, of a query that scores the response and
#'   learns it, `metrics`: a data frame as [model_metrics()] gives it (areas from bins) of the rows
#'   of this run, each scored before it was learnt. `query_progress()`: a data frame, a row a
#'   batch: `batch`, `rows`, `version` (that scored it), `time` (POSIXct), milliseconds of `read`,
#'   `score`, `learn`, `put`, `save`, `latency` (from the newest record's timestamp to its
#'   confirmed score), and `end`, a list of data frames (`topic`, `partition`, `offset`: the first
#'   offset not taken). `await_query()`: `TRUE` when the query has ended, `FALSE` when time was up,
#'   invisibly. `stop_query()`: `q`, invisibly. `list_queries()`: a data frame (`name`, `phase`,
#'   `rows`, `started`).
#'
#' @section What is promised:
#' At least once: every record is scored and its score is confirmed by the broker before the
#' position is saved. After a crash the rows of the batches since the last checkpoint may be scored
#' and sent again; with a checkpoint folder nothing is learnt twice and nothing is lost, because
#' positions and model are saved together in one file. Stopping (by [stop_query()], Ctrl-C or
#' SIGTERM inside `await_query()`) finishes the batch in hand and saves; `await_query()` then
#' returns `TRUE`, and a script goes on behind it: without a `quit()` of its own its exit status is
#' 0. A second signal does not wait for the end.
#'
#' In `start_query()` a stream without `to` never ends; in reads and fits `to = NULL` means the end
#' as of now.
#'
#' @section Errors:
#' `riffle_error_argument`; `riffle_error_schema` when the stream lacks a field that the model
#' needs; `riffle_error_state` when another process holds the checkpoint folder, when another query
#' learns with the same live model, or when the live model was updated since [live_model()] and the
#' folder holds a state; `riffle_error_broker`, `riffle_error_data`, `riffle_error_io` from the
#' query itself: they stop it, show in `query_status()$error`, are said at the next `print()`, and
#' `await_query()` raises them.
#' @source Checkpoint protocol: positions and state in one atomic file, written after the sinks
#' have confirmed.
#' @name query
#' @examples
#' k <- local_kafka(c(clicks = 2, scores = 1))
#' d <- sim_adclicks(2000, seed = 1)
#' kafka_produce(k, "clicks", d[c("device", "click")])
#' live <- live_model(stream_glm(click ~ device, d, binomial()))
#' q <- read_stream(k, "clicks", record_schema(device = "factor", click = "integer")) |>
#'   score_with(live) |>
#'   learn_with(live) |>
#'   start_query(sink_topic(k, "scores"), trigger = "available-now")
#' await_query(q)
#' q
#' query_progress(q)
NULL

running <- new.env(parent = emptyenv())

#' @rdname query
#' @export
start_query <- function(x, sink = NULL, name = NULL, checkpoint = NULL, trigger = "asap",
                        max_batch = 1e5, memory = 256, drain = 10, save_every = 1, pace = Inf) {
  check_stream(x)
  if (inherits(sink, "riffle_sink")) sink <- list(sink)
  check_sinks(sink)
  name <- check_query_name(name, x)
  trigger <- check_choice(trigger, c("asap", "available-now"))
  if (!is.null(checkpoint)) check_string(checkpoint)
  check_count(max_batch)
  check_positive(memory)
  check_positive(drain)
  check_not_negative(save_every)
  check_positive(pace)
  if (is.null(x$score) && is.null(x$learn) && !length(sink)) {
    abort_argument("`x` does nothing: add score_with(), learn_with() or a `sink`.")
  }
  if (!is.null(x$score) && !length(sink) && is.null(x$learn)) {
    abort_argument("`sink` must say where the scores go, for example sink_memory().")
  }
  spec <- query_spec(x, sink, trigger, memory)
  spec$name <- name
  if (!is.null(checkpoint)) spec$checkpoint <- path.expand(checkpoint)
  spec$numbers <- as.double(c(
    max_batch, save_every, drain, if (is.finite(pace)) pace else 0, trigger == "available-now"
  ))
  q <- structure(
    list(
      handle = .Call(c_query_start, spec), name = name, stream = x, sink = sink,
      checkpoint = checkpoint
    ),
    class = "riffle_query"
  )
  assign(name, q, envir = running)
  q
}

check_sinks <- function(sink) {
  ok <- is.null(sink) || (is.list(sink) && all(vapply(sink, inherits, NA, "riffle_sink")))
  if (!ok) abort_argument("`sink` must be a sink or a list of sinks, not {describe(sink)}.")
}

check_query_name <- function(name, x) {
  if (is.null(name)) name <- x$topic
  check_string(name)
  # Waiting frees what has ended.
  for (q in mget(ls(running), envir = running)) .Call(c_query_wait, q$handle, 0)
  old <- running[[name]]
  if (!is.null(old) && phase_of(old) %in% c("starting", "running", "stopping")) {
    abort_kind("state", paste0(
      "`name` must be free: a query \"{name}\" is running. ",
      "Stop it, or choose another name."
    ))
  }
  name
}

score_code <- function(model, type) score_types(model)[[type]]

# All that the C side needs to start, as one plain list.
query_spec <- function(x, sink, trigger, memory) {
  fields <- character()
  spec <- list()
  if (!is.null(x$score)) {
    check_no_computed(x$score$model, "score_with()")
    live <- if (inherits(x$score$model, "riffle_live")) x$score$model else as_live(x$score$model)
    fields <- c(fields, recipe_columns(x$score$model, "score"), x$score$keep)
    spec$score <- list(
      live = live_handle(live), what = score_code(live$model, x$score$type), into = x$score$into,
      judged = x$score$type == "response" && identical(
        live$model$recipe$response$name, x$learn$model$model$recipe$response$name
      ),
      unseen = if (x$score$unseen == "na") 1L else 2L, keep = as.character(x$score$keep)
    )
  }
  if (!is.null(x$learn)) {
    check_no_computed(x$learn$model, "learn_with()")
    if (!is.null(x$learn$block)) set_block(x$learn$model, x$learn$block)
    fields <- c(fields, recipe_columns(x$learn$model, "learn"))
    spec$learn <- live_handle(x$learn$model)
  }
  needed <- unique(fields)
  check_stream_has(x, needed)
  columns <- if (is.null(x$score) && length(sink)) NULL else setdiff(needed, meta_names())
  meta <- unique(c(intersect(needed, meta_names()), if (!is.null(x$score)) ".key", ".timestamp"))
  spec$bounded <- trigger == "available-now" || !is.null(x$to)
  spec$source <- source_spec(
    x, columns = columns, meta = meta, bounded = spec$bounded, memory = memory
  )
  spec$sinks <- lapply(sink, function(s) {
    if (s$kind == "topic") {
      list(kind = "topic", k = s$k$handle, topic = s$topic, key = s$key, columns = s$columns)
    } else {
      list(kind = "memory", handle = s$handle)
    }
  })
  spec
}

check_stream_has <- function(x, needed) {
  missing <- setdiff(needed, c(names(x), meta_names()))
  if (length(missing)) {
    abort_kind("schema", c(
      "The stream lacks {length(missing)} field{?s} that the model needs: {.val {missing}}.",
      i = "Its fields are {.val {names(x)}}."
    ))
  }
}

phases <- c("starting", "running", "stopping", "done", "stopped", "failed")

phase_of <- function(q) phases[[.Call(c_query_status, q$handle)$phase + 1L]]

check_query <- function(q) {
  if (!inherits(q, "riffle_query")) abort_argument("`q` must be a query, not {describe(q)}.")
}

#' @rdname query
#' @export
query_status <- function(q) {
  check_query(q)
  s <- .Call(c_query_status, q$handle)
  s$phase <- phases[[s$phase + 1L]]
  s$started <- .POSIXct(s$started, "UTC")
  s$last_batch <- .POSIXct(s$last_batch, "UTC")
  if (!is.null(s$metrics)) s$metrics <- as.data.frame(s$metrics)
  c(list(name = q$name), s)
}

#' @rdname query
#' @export
query_progress <- function(q, n = 100L) {
  check_query(q)
  check_count(n)
  p <- .Call(c_query_progress, q$handle, as.double(n))
  p$time <- .POSIXct(p$time, "UTC")
  ends <- lapply(p$end, \(e) data.frame(topic = e[[1L]], partition = e[[2L]], offset = e[[3L]]))
  p$end <- NULL
  p <- as.data.frame(p)
  p$end <- ends
  p
}

#' @rdname query
#' @export
list_queries <- function() {
  names <- sort(ls(running), method = "radix")
  status <- lapply(names, \(name) query_status(running[[name]]))
  data.frame(
    name = as.character(names),
    phase = vapply(status, \(s) s$phase, ""),
    rows = vapply(status, \(s) s$rows, 0),
    started = .POSIXct(vapply(status, \(s) as.double(s$started), 0), "UTC")
  )
}

#' @rdname query
#' @export
await_query <- function(q, timeout = Inf) {
  check_query(q)
  check_not_negative(timeout)
  until <- proc.time()[["elapsed"]] + timeout
  .Call(c_query_signals, TRUE)
  on.exit(.Call(c_query_signals, FALSE))
  bar <- watch_bar(q)
  asked <- FALSE
  repeat {
    left <- until - proc.time()[["elapsed"]]
    ended <- .Call(c_query_wait, q$handle, max(0, min(left, 0.25)))
    bar$tick()
    if (ended) break
    if (.Call(c_query_signalled)) {
      if (asked) break
      asked <- TRUE
      .Call(c_query_stop, q$handle)
    }
    if (left <= 0 && !asked) {
      bar$done()
      return(invisible(FALSE))
    }
  }
  bar$done()
  raise_query_error(q)
  invisible(ended)
}

# A line that moves while someone watches, else nothing.
watch_bar <- function(q) {
  none <- list(tick = function() NULL, done = function() NULL)
  if (!someone_watches()) {
    return(none)
  }
  id <- cli::cli_progress_bar(
    format = "{cli::pb_spin} {q$name}: {cli::pb_current} rows [{cli::pb_elapsed}]", total = NA,
    clear = TRUE, .auto_close = FALSE
  )
  list(
    tick = function() cli::cli_progress_update(set = .Call(c_query_status, q$handle)$rows, id = id),
    done = function() cli::cli_progress_done(id = id)
  )
}

raise_query_error <- function(q) {
  s <- .Call(c_query_status, q$handle)
  if (phases[[s$phase + 1L]] == "failed") {
    text <- paste0("Query \"", q$name, "\" failed. ", s$error)
    abort_native(s$error_kind, text, call = sys.call(-1L))
  }
}

#' @rdname query
#' @export
stop_query <- function(q, drain = 10) {
  check_query(q)
  check_positive(drain)
  .Call(c_query_stop, q$handle)
  if (!.Call(c_query_wait, q$handle, drain)) {
    cli::cli_warn(
      "Query {.val {q$name}} has not ended within {drain} s; it ends by itself.",
      class = "riffle_warning_drain"
    )
  }
  invisible(q)
}

#' @rdname query
#' @param con A query, as in the generic [close()].
#' @export
close.riffle_query <- function(con, ...) {
  stop_query(con)
  invisible(NULL)
}

#' @export
print.riffle_query <- function(x, ...) {
  s <- query_status(x)
  cat(sprintf(
    "<query %s: %s> %s rows in %s batches, %s scored, %s learnt (%s waiting), version %s\n",
    x$name, s$phase, big(s$rows), big(s$batches), big(s$scored), big(s$learnt), big(s$pending),
    big(s$version)
  ))
  m <- s$metrics
  if (!is.null(m) && is.finite(m$log_loss)) {
    numbers <- lapply(m[c("log_loss", "auc", "calibration")], format, digits = 3L)
    cat(sprintf(
      "  log loss %s, AUC %s, predicted by observed %s\n", numbers[[1L]], numbers[[2L]],
      numbers[[3L]]
    ))
  }
  odd <- c(
    "bad records" = s$bad, "without a score" = s$unscored, "unseen levels" = s$unseen,
    "positions lost" = s$lost, "rows not delivered" = s$failed_rows
  )
  odd <- odd[odd > 0]
  if (length(odd)) cat(" ", paste(big(odd), names(odd), collapse = ", "), "\n")
  if (nzchar(s$first_bad)) cat("  first:", s$first_bad, "\n")
  if (!is.null(s$error)) cat("  error:", s$error, "\n")
  invisible(x)
}

#' @export
summary.riffle_query <- function(object, ...) {
  p <- query_progress(object, 10000L)
  numbers <- c("rows", "read", "score", "learn", "put", "save", "latency")
  shown <- vapply(p[numbers], stats::quantile, numeric(3), probs = c(0.5, 0.9, 0.99), na.rm = TRUE)
  structure(
    list(status = query_status(object), batches = t(shown)),
    class = "summary.riffle_query"
  )
}

#' @export
print.summary.riffle_query <- function(x, ...) {
  cat(sprintf("Query %s: %s, %s rows\n", x$status$name, x$status$phase, big(x$status$rows)))
  cat("A batch (rows; milliseconds):\n")
  print(round(x$batches, 2))
  invisible(x)
}

#' @export
plot.riffle_query <- function(x, ...) {
  p <- query_progress(x, 10000L)
  old <- graphics::par(mfrow = c(2, 1), mar = c(4, 4, 1, 1))
  on.exit(graphics::par(old))
  graphics::plot(p$time, cumsum(p$rows), type = "s", xlab = "", ylab = "rows", ...)
  if (all(is.na(p$latency))) p$latency <- p$read + p$score + p$learn + p$put
  graphics::plot(p$time, p$latency, type = "h", xlab = "time (UTC)", ylab = "latency, ms", ...)
  invisible(x)
}
