#' Where the rows of a query go
#'
#' `sink_topic()` produces every row to a Kafka topic, `sink_memory()` keeps the last rows in this
#' process, to be looked at with `as.data.frame()` while the query runs.
#'
#' @param k A Kafka cluster: [kafka()] or [local_kafka()].
#' @param topic Name of the topic, which must exist: see [kafka_create_topic()].
#' @param key Name of the column whose text is the record's key; `NULL` for the column `key` when
#'   there is one (scores have the key of the record they belong to), else no key. Records of one
#'   key go to one partition, by the hash that Java's producer uses.
#' @param columns Names of the columns that the records hold; `NULL` for all.
#' @param format `"json"`: one object a record. Missing values are `null`, times RFC 3339 text in
#'   UTC, numbers the shortest text that reads back equal.
#' @param rows How many of the last rows to keep, a number.
#' @param x A `sink_memory()`.
#' @param ... Unused.
#' @param row.names,optional Unused, as in the generic.
#' @returns A `riffle_sink` for [start_query()]; `as.data.frame()` gives the rows kept, oldest
#'   first.
#' @section Errors:
#' `riffle_error_argument`: a wrong type; `riffle_error_broker`: there is no such topic.
#' @name sinks
#' @examples
#' k <- local_kafka(c(scores = 1))
#' sink_topic(k, "scores")
#' last <- sink_memory(rows = 1000)
#' last
NULL

#' @rdname sinks
#' @export
sink_topic <- function(k, topic, key = NULL, columns = NULL, format = "json") {
  check_kafka(k)
  check_string(topic)
  if (!is.null(key)) check_string(key)
  if (!is.null(columns)) check_strings(columns)
  check_choice(format, "json")
  .Call(c_kafka_partitions, k$handle, topic)
  structure(
    list(kind = "topic", k = k, topic = topic, key = key, columns = columns),
    class = c("riffle_sink_topic", "riffle_sink")
  )
}

#' @rdname sinks
#' @export
sink_memory <- function(rows = 1e5) {
  check_count(rows)
  structure(
    list(kind = "memory", handle = .Call(c_memory_sink_new, as.double(rows)), rows = rows),
    class = c("riffle_sink_memory", "riffle_sink")
  )
}

#' @export
print.riffle_sink_topic <- function(x, ...) {
  cat(sprintf("<sink: topic %s at %s>\n", x$topic, x$k$brokers))
  invisible(x)
}

#' @export
print.riffle_sink_memory <- function(x, ...) {
  seen <- .Call(c_memory_sink_seen, x$handle)
  cat(sprintf("<sink: memory, the last %s rows; %s seen>\n", big(x$rows), big(seen)))
  invisible(x)
}

#' @rdname sinks
#' @export
as.data.frame.riffle_sink_memory <- function(x, row.names = NULL, optional = FALSE, ...) { # nolint
  d <- frames_to_df(.Call(c_memory_sink_frames, x$handle))
  d <- utils::tail(d, x$rows)
  row.names(d) <- NULL
  d
}
