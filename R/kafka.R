#' Connect to Kafka
#'
#' `kafka()` connects to a cluster and asks for its metadata at once, so that a wrong address or
#' password is told here and not later. The other verbs tell what is there.
#'
#' @param brokers Addresses of brokers, `"host:port"`; several in one string with commas or as a
#'   character vector.
#' @param ... Properties of librdkafka by name, for example `security.protocol = "SASL_SSL"`.
#'   Passwords never appear in messages.
#' @param config A named list or character vector of more such properties, for those read from a
#'   file.
#' @param timeout Seconds to wait for an answer, here and in what is asked later.
#' @param k A Kafka cluster: `kafka()` or [local_kafka()].
#' @param pattern A regular expression that the names must match; `NULL` for all.
#' @param topic Name of a topic.
#' @param partitions,replicas How many; `NULL` for the cluster's own default.
#' @param exists What to do when the topic is there already: `"error"`, or `"ok"` to leave it as
#'   it is.
#' @param at A position to look up in each partition: see [read_stream()], argument `from`; `NULL`
#'   for none.
#' @returns `kafka()`: a `riffle_kafka`. `kafka_topics()`: a data frame (`topic`, `partitions`,
#'   `replicas`), sorted by name, without Kafka's internal topics. `kafka_create_topic()`: `k`,
#'   invisibly. `kafka_offsets()`: a data frame, a row a partition: `partition`, `earliest` (the
#'   first offset there), `latest` (one past the last), and with `at` the `offset` found.
#' @section Errors: `riffle_error_timeout` when nobody answers within `timeout` seconds (it names
#'   host, port and reason), `riffle_error_auth` when the broker refuses, `riffle_error_config`
#'   for a property that librdkafka does not know, `riffle_error_broker` for a topic that is not
#'   there (similar names are offered; none is created), `riffle_error_argument`.
#' @source The properties are those of librdkafka's CONFIGURATION.md.
#' @seealso [local_kafka()], [kafka_produce()], [read_stream()]
#' @name kafka
#' @examples
#' k <- local_kafka(c(clicks = 2))
#' k
#' kafka_topics(k)
#' kafka_create_topic(k, "scores", partitions = 1)
#' kafka_offsets(k, "clicks")
#' # Nobody is at this port: an error, after a second.
#' try(kafka("localhost:1", timeout = 1))
NULL

#' @rdname kafka
#' @export
kafka <- function(brokers = "localhost:9092", ..., config = NULL, timeout = 5) {
  check_strings(brokers)
  check_positive(timeout)
  brokers <- paste(brokers, collapse = ",")
  properties <- c(properties_of(list(...), "..."), properties_of(config, "config"))
  handle <- .Call(c_kafka_new, brokers, names(properties), unname(properties), as.double(timeout))
  structure(list(handle = handle, brokers = brokers), class = "riffle_kafka")
}

# Properties as a named character vector. librdkafka writes logicals in small letters and numbers
# in full.
properties_of <- function(x, arg) {
  if (!length(x)) {
    return(stats::setNames(character(), character()))
  }
  if (is.null(names(x)) || !all(nzchar(names(x)))) {
    abort_argument("`{arg}` must have a name for each property.")
  }
  vapply(names(x), function(name) {
    value <- x[[name]]
    if (is.logical(value) && length(value) == 1L && !is.na(value)) {
      tolower(value)
    } else if (is_number(value)) {
      format(value, scientific = FALSE, digits = 15L)
    } else if (is.character(value) && length(value) == 1L && !is.na(value)) {
      value
    } else {
      abort_argument("The property {.val {name}} must be one string, number or logical.")
    }
  }, "")
}

#' A Kafka broker inside R
#'
#' Starts a broker in this process, for trying things out, examples and tests: it needs no network
#' and no Java. It goes when the last connection to it does.
#'
#' It is librdkafka's mock cluster. What it cannot do is refused and not pretended: transactions,
#' deleting, settings, security. It keeps 5 MB (compressed) a partition and forgets what is older;
#' [kafka_produce()] notices and says so, and `print()` shows what is there.
#'
#' @param topics Topics to begin with: names (8 partitions each), or numbers of partitions with
#'   the topics as names, `c(clicks = 4, scores = 1)`.
#' @param nodes How many brokers it plays, 1 to 9.
#' @returns A `riffle_local_kafka`, which is a `riffle_kafka` too.
#' @section Errors:
#' `riffle_error_argument`.
#' @source librdkafka, `rdkafka_mock.h`.
#' @seealso [kafka()] for a real cluster.
#' @examples
#' k <- local_kafka(c(clicks = 4, scores = 1))
#' kafka_produce(k, "clicks", data.frame(user = c("a", "b"), click = c(TRUE, FALSE)), key = "user")
#' k
#' @export
local_kafka <- function(topics = NULL, nodes = 1L) {
  check_count(nodes)
  counts <- topic_counts(topics)
  handle <- .Call(c_kafka_local, as.integer(nodes), names(counts), unname(counts))
  structure(
    list(handle = handle, brokers = .Call(c_kafka_state, handle)$brokers),
    class = c("riffle_local_kafka", "riffle_kafka")
  )
}

# Partitions by topic; 0 leaves the number to the broker.
topic_counts <- function(topics) {
  if (is.null(topics)) {
    return(stats::setNames(integer(), character()))
  }
  if (is.character(topics)) {
    check_strings(topics)
    return(stats::setNames(integer(length(topics)), topics))
  }
  topics <- unlist(topics)
  named <- !is.null(names(topics)) && all(nzchar(names(topics)))
  if (!is.numeric(topics) || !named || anyNA(topics) || any(topics < 1 | topics != trunc(topics))) {
    abort_argument(
      "`topics` must be names of topics, or numbers of partitions with the topics as names, ",
      "not {describe(topics)}."
    )
  }
  stats::setNames(as.integer(topics), names(topics))
}

#' @rdname kafka
#' @export
kafka_topics <- function(k, pattern = NULL) {
  check_kafka(k)
  if (!is.null(pattern)) check_string(pattern)
  topics <- as.data.frame(.Call(c_kafka_topics, k$handle))
  if (is.null(pattern)) {
    return(topics)
  }
  topics <- topics[grepl(pattern, topics$topic), , drop = FALSE]
  rownames(topics) <- NULL
  topics
}

#' @rdname kafka
#' @export
kafka_create_topic <- function(
  k, topic, partitions = NULL, replicas = NULL, config = NULL, exists = c("error", "ok")
) {
  check_kafka(k)
  check_string(topic)
  if (!is.null(partitions)) check_count(partitions)
  if (!is.null(replicas)) check_count(replicas)
  exists <- check_choice(exists, c("error", "ok"))
  properties <- properties_of(config, "config")
  counts <- as.integer(c(partitions %||% 0L, replicas %||% 0L))
  .Call(
    c_kafka_create_topic, k$handle, topic, counts, names(properties), unname(
      properties
    ), exists == "ok"
  )
  invisible(k)
}

`%||%` <- function(x, y) if (is.null(x)) y else x

#' @rdname kafka
#' @export
kafka_offsets <- function(k, topic, at = NULL) {
  check_kafka(k)
  check_string(topic)
  found <- .Call(c_kafka_offsets, k$handle, topic, position(at, topic, k))
  partition <- seq_along(found$earliest) - 1L
  as.data.frame(c(list(partition = partition), Filter(Negate(is.null), found)))
}

#' @export
print.riffle_kafka <- function(x, ...) {
  state <- live_state(x)
  cat(
    sprintf(
      "<kafka %s> %s\n", x$brokers,
      if (is.character(state)) state else plural(state$nodes, "broker")
    )
  )
  invisible(x)
}

#' @export
print.riffle_local_kafka <- function(x, ...) {
  state <- live_state(x)
  if (is.character(state)) {
    cat(sprintf("<embedded kafka %s> %s\n", x$brokers, state))
    return(invisible(x))
  }
  topics <- kafka_topics(x)
  cat(sprintf("<embedded kafka %s> %s\n", x$brokers, plural(nrow(topics), "topic")))
  for (i in seq_len(min(3L, nrow(topics)))) {
    kept <- .Call(c_kafka_kept, x$handle, topics$topic[[i]])
    cat(sprintf(
      "  %s: %s, %s%s\n", topics$topic[[i]], plural(topics$partitions[[i]], "partition"), plural(
        kept[[1L]], "record"
      ),
      if (kept[[2L]] > 0) paste0(", ", big(kept[[2L]]), " forgotten") else ""
    ))
  }
  invisible(x)
}

# What the handle tells, or one word on why it tells nothing.
live_state <- function(k) {
  tryCatch(
    .Call(c_kafka_state, k$handle),
    riffle_error_state = function(e) "not usable here: made in another session or process"
  )
}

plural <- function(n, noun) paste0(big(n), " ", noun, if (n != 1) "s")
