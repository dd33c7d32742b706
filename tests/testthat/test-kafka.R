on_each_kafka("topics are created, listed and asked for their offsets", c(clicks = 3), function(w) {
  topic <- w$topic[["clicks"]]
  found <- kafka_topics(w$k)
  expect_identical(found$partitions[found$topic == topic], 3L)
  expect_identical(kafka_topics(w$k, paste0("^", topic, "$"))$topic, topic)
  expect_identical(nrow(kafka_topics(w$k, "^nothing like it")), 0L)
  expect_error(kafka_create_topic(w$k, topic), class = "riffle_error_broker")
  expect_identical(kafka_create_topic(w$k, topic, exists = "ok"), w$k)
  expect_equal(kafka_offsets(w$k, topic), data.frame(partition = 0:2, earliest = 0, latest = 0))
  kafka_produce(w$k, topic, data.frame(x = 1:6, p = c(0, 0, 0, 1, 1, 2)), partition = "p")
  o <- kafka_offsets(w$k, topic, at = c("0" = 1, "1" = 0, "2" = 1))
  expect_equal(
    o, data.frame(partition = 0:2, earliest = 0, latest = c(3, 2, 1), offset = c(1, 0, 1))
  )
})

test_that("local_kafka() makes the topics it is given", {
  expect_identical(
    kafka_topics(local_kafka(c("b", "a")))[1:2], data.frame(topic = c("a", "b"), partitions = 8L)
  )
  expect_identical(kafka_topics(local_kafka(list(a = 2)))$partitions, 2L)
  expect_snapshot(local_kafka(2), error = TRUE)
  expect_snapshot(local_kafka(c(a = 0)), error = TRUE)
})

test_that("clusters print in a line or a few", {
  k <- local_kafka(c(a = 2, b = 1))
  kafka_produce(k, "a", data.frame(x = 1:3))
  expect_snapshot(k, transform = scrub)
  expect_snapshot(kafka(k$brokers), transform = scrub)
})

test_that("nobody at the port: told within the timeout, with host, port and what to try", {
  started <- proc.time()[["elapsed"]]
  e <- tryCatch(kafka("localhost:1", timeout = 1), error = identity)
  expect_lt(proc.time()[["elapsed"]] - started, 5)
  expect_s3_class(e, "riffle_error_timeout")
  expect_match(conditionMessage(e), "localhost:1.*refused.*Is the broker running\\?")
})

test_that("mistakes in what is handed over are named", {
  k <- local_kafka(c(clicks = 1))
  expect_snapshot(error = TRUE, transform = scrub, {
    kafka(1)
    kafka(k$brokers, timeout = 0)
    kafka(k$brokers, "plain")
    kafka(k$brokers, no.such.property = TRUE)
    kafka(k$brokers, security.protocol = c("a", "b"))
    kafka(k$brokers, config = list(linger.ms = "soon"))
    kafka_topics("localhost")
    kafka_offsets(k, "click")
    kafka_offsets(k, "clicks", at = "noon")
    kafka_offsets(k, "clicks", at = c(1, 2))
    kafka_create_topic(k, "a topic")
    kafka_create_topic(k, "clicks")
  })
})

test_that("a typo creates no topic", {
  k <- local_kafka(c(clicks = 1))
  try(kafka_produce(k, "click", data.frame(x = 1)), silent = TRUE)
  try(read_stream(k, "clik"), silent = TRUE)
  expect_identical(kafka_topics(k)$topic, "clicks")
})

on_each_kafka("each row becomes a record and is told its place", c(t = 3), function(w) {
  d <- data.frame(
    user = c("a", "b", NA, "a"), x = c(0.1, NA, 1e300, -0), n = c(1L, NA, 3L, 4L), ok = c(
      TRUE, FALSE, NA, TRUE
    ),
    t = as.POSIXct(c(1.5e9 + 0.125, NA, 0, 1), origin = "1970-01-01", tz = "UTC"), s = c(
      "q\"uote", "\u20ac", NA, ""
    )
  )
  sent <- kafka_produce(w$k, w$topic[["t"]], d, key = "user")
  expect_named(sent, c("row", "partition", "offset"))
  expect_identical(sent$partition[[1L]], sent$partition[[4L]])
  schema <- record_schema(
    user = "string", x = "double", n = "integer", ok = "logical", t = "timestamp", s = "string",
    .key = "string"
  )
  back <- as.data.frame(read_stream(w$k, w$topic[["t"]], schema), meta = TRUE)
  row <- match(paste(sent$partition, sent$offset), paste(back$.partition, back$.offset))
  expect_identical(back[row, names(d)], d, ignore_attr = "row.names")
  expect_identical(back$.key[row], d$user)
  expect_identical(back, back[order(back$.partition, back$.offset), ])
})

on_each_kafka("records have the time, place and fields they are given", c(t = 2), function(w) {
  d <- data.frame(
    x = 1:3, y = 4:6, at = yesterday(c(0.5, 2000, 3000)),
    p = c(1, 0, 1)
  )
  sent <- kafka_produce(w$k, w$topic[["t"]], d, value = "x", timestamp = "at", partition = "p")
  expect_identical(sent$partition, c(1L, 0L, 1L))
  back <- as.data.frame(
    read_stream(w$k, w$topic[["t"]], record_schema(x = "integer", y = "integer")), meta = TRUE
  )
  expect_identical(back$x, c(2L, 1L, 3L))
  expect_identical(back$y, rep(NA_integer_, 3))
  expect_identical(back$.timestamp, d$at[c(2, 1, 3)])
})

on_each_kafka("values are sent as they are, a missing one as a null", c(t = 1), function(w) {
  d <- data.frame(k = c("a", "b"), v = c('{"x": 1}', NA))
  kafka_produce(w$k, w$topic[["t"]], d, key = "k", value = "v", format = "raw")
  kafka_produce(w$k, w$topic[["t"]], '{"x": 3}')
  raws <- data.frame(k = "c")
  raws$v <- list(charToRaw('{"x": 4}'))
  kafka_produce(w$k, w$topic[["t"]], raws, value = "v", format = "raw")
  back <- as.data.frame(
    read_stream(w$k, w$topic[["t"]], record_schema(x = "integer"), on_bad = "keep"), meta = TRUE
  )
  expect_identical(back$x, c(1L, NA, 3L, 4L))
  expect_identical(back$.key, c("a", "b", NA, NA))
})

test_that("columns of headers are taken by name and are no part of the value", {
  k <- local_kafka(c(t = 1))
  d <- data.frame(x = 1:2, id = c("a", NA), when = .POSIXct(c(10, 20), "UTC"))
  sent <- kafka_produce(k, "t", d, headers = c(trace = "id", "when"))
  expect_identical(sent$offset, c(0, 1))
  back <- as.data.frame(read_stream(k, "t", record_schema(x = "integer", id = "string")))
  expect_identical(back, data.frame(x = 1:2, id = NA_character_))
})

test_that("mistakes in what is produced are named", {
  k <- local_kafka(c(t = 2))
  d <- data.frame(x = 1:2, p = c(0, 7))
  expect_snapshot(error = TRUE, transform = scrub, {
    kafka_produce(k, "u", d)
    kafka_produce(k, "t", 1:3)
    kafka_produce(k, "t", d, key = "user")
    kafka_produce(k, "t", d, headers = "h")
    kafka_produce(k, "t", d, headers = 1)
    kafka_produce(k, "t", d, headers = rep("x", 33))
    kafka_produce(k, "t", d, timestamp = "x")
    kafka_produce(k, "t", d, partition = "p")
    kafka_produce(k, "t", d, format = "xml")
    kafka_produce(k, "t", d, value = "x", format = "raw")
    kafka_produce(k, "t", d, format = "raw")
  })
})

test_that("what the embedded broker has forgotten is an error", {
  k <- local_kafka(c(t = 1))
  set.seed(1)
  d <- data.frame(x = replicate(2000, paste(sample(c(letters, 0:9), 8000, TRUE), collapse = "")))
  e <- tryCatch(kafka_produce(k, "t", d), error = identity)
  expect_s3_class(e, "riffle_error_data")
  expect_match(conditionMessage(e), "5 MB a partition")
  expect_output(print(k), "forgotten")
})

test_that("no rows are no records", {
  k <- local_kafka(c(t = 1))
  expect_identical(nrow(kafka_produce(k, "t", data.frame(x = integer()))), 0L)
})
