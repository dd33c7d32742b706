#' Send records to a topic
#'
#' Each row of a data frame becomes a record. Every delivery is confirmed by the broker before the
#' function returns; rows that could not be delivered are named.
#'
#' @param k A Kafka cluster: [kafka()] or [local_kafka()].
#' @param topic Name of the topic, which must exist: see [kafka_create_topic()].
#' @param data A data frame; or a character vector of ready values, one a record.
#' @param key Name of the column whose text is the key; `NULL` for no key. Records of one key go
#'   to one partition, by the hash that Java's producer uses. A missing key is a null key.
#' @param value Names of the columns that the records hold; `NULL` for all but those of
#'   `headers`, `timestamp` and `partition`. A name with dots makes nested objects.
#' @param headers Names of the columns whose text the records carry as headers, at most 32; a
#'   header has the name of its element (`c(trace = "id")`), else that of its column. A missing
#'   value's header is left out. `NULL` for none.
#' @param timestamp Name of the column (`POSIXct`) with the records' times; `NULL` for now.
#' @param partition Name of the column (whole numbers from 0) with their partitions; `NULL`: by
#'   the key.
#' @param format `"json"`: one object a record; missing values are `null`, times RFC 3339 text in
#'   UTC, numbers the shortest text that reads back equal. `"raw"`: the bytes of the one column of
#'   `value` (text, or a list of raw vectors) as they are; a missing one is a null value (a
#'   tombstone).
#' @returns A data frame, a row a record: `row`, `partition`, `offset`, invisibly.
#' @section Errors: `riffle_error_broker` when rows could not be delivered (it names them), for a
#'   topic that is not there; `riffle_error_data` when the embedded broker has forgotten records
#'   again ([local_kafka()]); `riffle_error_argument`.
#' @source Murmur2 partitioning: Apache Kafka, `org.apache.kafka.clients.producer`.
#' @examples
#' k <- local_kafka(c(clicks = 2))
#' clicks <- data.frame(user = c("a", "b"), bid = c(0.5, NA))
#' sent <- kafka_produce(k, "clicks", clicks, key = "user")
#' sent
#' as.data.frame(read_stream(k, "clicks", record_schema(user = "string", bid = "double")))
#' @export
kafka_produce <- function(k, topic, data, key = NULL, value = NULL, headers = NULL,
                          timestamp = NULL, partition = NULL, format = "json") {
  check_kafka(k)
  check_string(topic)
  format <- check_choice(format, c("json", "raw"))
  headers <- header_columns(headers)
  if (is.character(data)) {
    data <- data.frame(value = data, stringsAsFactors = FALSE)
    value <- "value"
    format <- "raw"
  }
  check_data_frame(data)
  for (name in list(key, timestamp, partition)) if (!is.null(name)) check_string(
    name, "key, timestamp and partition"
  )
  value <- value_columns(data, value, c(headers, timestamp, partition), format)
  used <- unique(c(value, key, headers, timestamp, partition))
  data <- ready_columns(data, used, timestamp, partition)
  schema <- fields_of(data, "data")
  if (format == "raw" && !schema$type[[1L]] %in% c("string", "raw")) {
    abort_argument(
      "`value` must name a column of text or of raw vectors, not {describe(data[[1L]])}."
    )
  }
  at <- function(name) if (!is.null(name)) match(name, names(data)) - 1L
  sent <- .Call(
    c_kafka_produce, k$handle, plain_columns(data, schema$type), unclass(schema),
    list(
      topic = topic, raw = format == "raw", value = match(value, names(data)) - 1L, key = at(key),
      timestamp = at(timestamp), partition = at(partition),
      headers = match(headers, names(data)) - 1L, header_names = names(headers)
    )
  )
  if (sent$failed > 0) abort_undelivered(sent, topic)
  invisible(
    data.frame(row = seq_along(sent$offset), partition = sent$partition, offset = sent$offset)
  )
}

# Columns by the names of their headers.
header_columns <- function(headers) {
  if (is.null(headers)) return(stats::setNames(character(), character()))
  check_strings(headers)
  if (length(headers) > 32L) {
    abort_argument("`headers` must name at most 32 columns, not {length(headers)}.")
  }
  called <- names(headers)
  if (is.null(called)) called <- headers
  called[!nzchar(called)] <- headers[!nzchar(called)]
  stats::setNames(unname(headers), called)
}

value_columns <- function(data, value, others, format) {
  if (is.null(value)) value <- setdiff(names(data), others)
  check_strings(value)
  if (format == "raw" && length(value) != 1L) {
    abort_argument("`value` must name one column when `format` is \"raw\", not {length(value)}.")
  }
  value
}

# The columns in use, those of the value first.
ready_columns <- function(data, columns, timestamp, partition) {
  unknown <- setdiff(columns, names(data))
  if (length(unknown)) {
    abort_argument(c(
      "`data` must have the column {.val {unknown[[1L]]}}.",
      i = "Its columns are {.val {names(data)}}."
    ))
  }
  data <- data[columns]
  if (!is.null(timestamp) && !inherits(data[[timestamp]], "POSIXct")) {
    abort_argument(
      "Column `{timestamp}` of `data` must be a POSIXct to be the time, ",
      "not {describe(data[[timestamp]])}."
    )
  }
  if (!is.null(partition)) {
    to <- data[[partition]]
    if (!is.numeric(to) || anyNA(to) || any(to != trunc(to) | to < 0)) {
      abort_argument(
        "Column `{partition}` of `data` must be whole numbers from 0 to be the partition, ",
        "not {describe(to)}."
      )
    }
    data[[partition]] <- as.integer(to)
  }
  data
}

abort_undelivered <- function(sent, topic) {
  rows <- which(sent$offset < 0)
  shown <- paste(utils::head(rows, 10L), collapse = ", ")
  if (length(rows) > 10L) shown <- paste0(shown, ", ...")
  count <- paste(big(sent$failed), "of", plural(length(sent$offset), "row"))
  abort_kind("broker", c(
    "{count} could not be delivered to topic `{topic}`: {shown}.",
    i = "The first: {sent$why}"
  ))
}
