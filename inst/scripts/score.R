#!/usr/bin/env Rscript
# Scores what is there and ends. A job for cron, systemd or a container:
#
#   Rscript score.R --model model.rds --from adclicks --to scores --checkpoint /var/lib/riffle/scores
#           [--brokers localhost:9092] [--schema schema.R] [--keep user_id,ad_id] [--learn] [--name NAME] [--quiet]
#           [--config properties] [--max-batch 100000]
#
# --model    a model saved by saveRDS()
# --schema   a file with a record_schema() call; without it the fields are guessed from 1,000 records
# --config   a file of librdkafka properties, a `name=value` a line (passwords belong there, not on the command line)
# --learn    learn from every row too; the learnt state is kept in the checkpoint
#
# A second run goes on where the first ended. Prints one line of JSON on standard output when done.
# Exit codes: 0 done (or stopped cleanly by SIGTERM), 1 failed, 3 configuration.

usage <- function(why) {
  writeLines(c(paste("score.R:", why), "usage: score.R --model FILE --from TOPIC --to TOPIC --checkpoint DIR"), stderr())
  quit(status = 3L)
}

read_arguments <- function(args) {
  flags <- c("learn", "quiet")
  values <- c("model", "from", "to", "checkpoint", "brokers", "schema", "keep", "name", "config", "max-batch")
  given <- list()
  i <- 1L
  while (i <= length(args)) {
    name <- sub("^--", "", args[[i]])
    if (!startsWith(args[[i]], "--") || !name %in% c(flags, values)) usage(paste("unknown argument", args[[i]]))
    if (name %in% flags) {
      given[[name]] <- TRUE
      i <- i + 1L
    } else {
      if (i == length(args)) usage(paste(args[[i]], "needs a value"))
      given[[name]] <- args[[i + 1L]]
      i <- i + 2L
    }
  }
  for (name in c("model", "from", "to", "checkpoint")) if (is.null(given[[name]])) usage(paste0("--", name, " is missing"))
  given
}

read_properties <- function(path) {
  if (is.null(path)) return(NULL)
  lines <- trimws(readLines(path))
  lines <- lines[nzchar(lines) & !startsWith(lines, "#")]
  at <- regexpr("=", lines, fixed = TRUE)
  if (any(at < 2L)) usage(paste("a line of", path, "is not name=value"))
  as.list(stats::setNames(substring(lines, at + 1L), substring(lines, 1L, at - 1L)))
}

score <- function(given) {
  k <- riffle::kafka(given$brokers %||% "localhost:9092", config = read_properties(given$config))
  model <- readRDS(given$model)
  if (isTRUE(given$learn)) model <- riffle::live_model(model)
  schema <- if (!is.null(given$schema)) eval(parse(given$schema), asNamespace("riffle"))
  keep <- if (!is.null(given$keep)) strsplit(given$keep, ",", fixed = TRUE)[[1L]]
  stream <- riffle::score_with(riffle::read_stream(k, given$from, schema), model, keep = keep)
  if (isTRUE(given$learn)) stream <- riffle::learn_with(stream, model)
  q <- riffle::start_query(
    stream, riffle::sink_topic(k, given$to), name = given$name %||% given$from, checkpoint = given$checkpoint,
    trigger = "available-now", max_batch = as.numeric(given[["max-batch"]] %||% 1e5)
  )
  riffle::await_query(q)
  riffle::query_status(q)
}

`%||%` <- function(x, y) if (is.null(x)) y else x

configuration <- c("riffle_error_argument", "riffle_error_config", "riffle_error_schema", "riffle_error_auth")
given <- read_arguments(commandArgs(trailingOnly = TRUE))
if (!file.exists(given$model)) usage(paste("there is no file", given$model))
status <- tryCatch(score(given), error = function(e) {
  writeLines(paste("score.R:", conditionMessage(e)), stderr())
  quit(status = if (inherits(e, configuration)) 3L else 1L)
})
if (!isTRUE(given$quiet)) {
  cat(sprintf(
    '{"phase":"%s","rows":%.0f,"scored":%.0f,"unscored":%.0f,"learnt":%.0f,"bad":%.0f,"version":%.0f,"resumed":%s}\n',
    status$phase, status$rows, status$scored, status$unscored, status$learnt, status$bad, status$version,
    if (status$resumed) "true" else "false"
  ))
}
quit(status = 0L)
