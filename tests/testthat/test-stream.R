on_each_kafka("a topic comes back by partition and offset, with metadata", c(t = 3), function(w) {
  d <- data.frame(x = 1:3000, who = paste0("u", 1:3000 %% 7))
  sent <- kafka_produce(w$k, w$topic[["t"]], d, key = "who")
  s <- read_stream(w$k, w$topic[["t"]], record_schema(x = "integer", who = "factor"))
  back <- as.data.frame(s, meta = TRUE)
  o <- order(sent$partition, sent$offset)
  expect_identical(back$x, d$x[o])
  expect_identical(as.character(back$who), d$who[o])
  expect_identical(levels(back$who), sort(unique(d$who), method = "radix"))
  expect_identical(back$.partition, sent$partition[o])
  expect_identical(back$.offset, sent$offset[o])
  expect_identical(back$.key, d$who[o])
  expect_identical(levels(back$.topic), w$topic[["t"]])
  expect_s3_class(back$.timestamp, "POSIXct")
  expect_lt(max(abs(as.double(back$.timestamp) - as.double(Sys.time()))), 60)
  expect_identical(names(as.data.frame(s)), c("x", "who"))
})

on_each_kafka("metadata may be named in the schema", c(t = 1), function(w) {
  kafka_produce(w$k, w$topic[["t"]], data.frame(x = 1:2, u = c("a", NA)), key = "u")
  s <- read_stream(
    w$k, w$topic[["t"]], record_schema(.offset = "double", x = "integer", .key = "factor")
  )
  expect_identical(
    as.data.frame(s), data.frame(.offset = c(0, 1), x = 1:2, .key = factor(c("a", NA)))
  )
})

on_each_kafka("a range begins and ends where it is told", c(t = 2), function(w) {
  topic <- w$topic[["t"]]
  at <- yesterday(1:6)
  d <- data.frame(x = 1:6, p = c(0, 1, 0, 1, 0, 1), at = at)
  kafka_produce(w$k, topic, d, value = "x", partition = "p", timestamp = "at")
  read <- function(...) {
    sort(as.data.frame(read_stream(w$k, topic, record_schema(x = "integer"), ...))$x)
  }
  expect_identical(read(), 1:6)
  expect_identical(read(from = "latest"), integer())
  expect_identical(read(from = at[[3]]), 3:6)
  expect_identical(read(from = at[[3]] + 0.5, to = at[[6]]), 4:5)
  expect_identical(read(to = at[[1]]), integer())
  expect_identical(read(from = c("0" = 1, "1" = 2)), c(3L, 5L, 6L))
  expect_identical(read(to = data.frame(partition = 1:0, offset = c(1, 2))), 1:3)
  expect_identical(read(from = c("0" = 1, "1" = 1), to = c("0" = 1, "1" = 2)), 4L)
  expect_error(
    read(from = c("0" = 2, "1" = 0), to = c("0" = 1, "1" = 2)), "past `to`",
    class = "riffle_error_argument"
  )
  expect_identical(read(from = as.difftime(-1, units = "hours")), integer())
  kafka_produce(w$k, topic, data.frame(x = 7L))
  expect_identical(read(from = as.difftime(-1, units = "hours")), 7L)
  expect_identical(length(read(max_records = 2)), 2L)
})

on_each_kafka("the end is fixed when reading begins, not before", c(t = 1), function(w) {
  s <- read_stream(w$k, w$topic[["t"]], record_schema(x = "integer"))
  expect_identical(as.data.frame(s), data.frame(x = integer()))
  kafka_produce(w$k, w$topic[["t"]], data.frame(x = 1L))
  expect_identical(as.data.frame(s)$x, 1L)
})

on_each_kafka("head() takes what is there and never waits", c(t = 2), function(w) {
  s <- read_stream(w$k, w$topic[["t"]], record_schema(x = "integer"))
  started <- proc.time()[["elapsed"]]
  expect_identical(nrow(head(s)), 0L)
  kafka_produce(w$k, w$topic[["t"]], data.frame(x = 1:3))
  expect_identical(sort(head(s, 10)$x), 1:3)
  expect_identical(nrow(head(s, 2)), 2L)
  expect_lt(proc.time()[["elapsed"]] - started, 5)
})

bad_topic <- function(w) {
  good <- '{"x": 1, "y": "a"}'
  kafka_produce(w$k, w$topic[["t"]], c(good, '{"x": "one"}', '{"x": 2', good, "\u20ac"))
  function(...) read_stream(w$k, w$topic[["t"]], record_schema(x = "integer", y = "string"), ...)
}

on_each_kafka("a bad record fails, is skipped and counted, or is kept", c(t = 1), function(w) {
  stream <- bad_topic(w)
  e <- tryCatch(as.data.frame(stream()), error = identity)
  expect_s3_class(e, "riffle_error_data")
  expect_match(conditionMessage(e), w$topic[["t"]], fixed = TRUE)
  expect_match(conditionMessage(e), "partition 0")
  expect_match(conditionMessage(e), "offset 1")
  expect_match(conditionMessage(e), "x")
  expect_warning(
    skipped <- as.data.frame(stream(on_bad = "skip")), "3 of 5 records.*bad",
    class = "riffle_warning_skipped"
  )
  expect_identical(skipped, data.frame(x = c(1L, 1L), y = c("a", "a")))
  expect_silent(kept <- as.data.frame(stream(on_bad = "keep")))
  expect_identical(kept$x, c(1L, NA, NA, 1L, NA))
  expect_identical(is.na(kept$.error), c(TRUE, FALSE, FALSE, TRUE, FALSE))
  expect_identical(kept$.raw[[3L]], charToRaw('{"x": 2'))
  expect_null(kept$.raw[[1L]])
})

test_that("a bad record's message shows what is there", {
  w <- test_world(c(t = 1), real = FALSE)
  stream <- bad_topic(w)
  expect_snapshot(as.data.frame(stream()), error = TRUE)
  expect_snapshot(d <- as.data.frame(stream(on_bad = "skip")))
  expect_snapshot(as.data.frame(stream(on_bad = "keep"))$.error)
})

on_each_kafka("without a schema one is guessed, printed and kept to", c(t = 2), function(w) {
  d <- data.frame(x = 1:50, who = rep(c("a", "b"), 25), t = .POSIXct(1.6e9 + 1:50 / 8, "UTC"))
  kafka_produce(w$k, w$topic[["t"]], d)
  said <- NULL
  s <- withCallingHandlers(read_stream(w$k, w$topic[["t"]]), riffle_message_schema = function(m) {
    said <<- conditionMessage(m)
    rlang::cnd_muffle(m)
  })
  code <- sub("^[^\n]*\n", "", said)
  pasted <- eval(parse(text = code))
  expect_identical(names(pasted), c("x", "who", "t"))
  expect_identical(pasted$type, c("integer", "factor", "timestamp"))
  back <- as.data.frame(s)
  expect_identical(back[order(back$x), "t"], d$t)
  expect_identical(as.data.frame(read_stream(w$k, w$topic[["t"]], pasted)), back)
})

test_that("a stream prints in a few lines and is described by names(), dim() and summary()", {
  k <- local_kafka(c(clicks = 2))
  s <- read_stream(
    k, "clicks", record_schema(user = "string", x = "integer"), from = .POSIXct(0, "UTC"),
    on_bad = "skip"
  )
  expect_snapshot(s, transform = scrub)
  expect_snapshot(summary(s), transform = scrub)
  expect_identical(names(s), c("user", "x"))
  expect_identical(dim(s), c(NA, 2L))
  expect_identical(nrow(s), NA_integer_)
})

test_that("mistakes in reading are named", {
  k <- local_kafka(c(clicks = 2))
  schema <- record_schema(x = "integer")
  expect_snapshot(error = TRUE, transform = scrub, {
    read_stream("clicks")
    read_stream(k, "click", schema)
    read_stream(k, 1)
    read_stream(k, "clicks")
    read_stream(k, "clicks", list(x = "integer"))
    read_stream(k, "clicks", schema, form = "earliest")
    read_stream(k, "clicks", schema, from = "begin")
    read_stream(k, "clicks", schema, from = as.difftime(2, units = "hours"))
    read_stream(k, "clicks", schema, on_bad = "ignore")
    read_stream(k, "clicks", schema, dead_letter = "bad")
    read_stream(k, "clicks", schema, max_records = 0)
    as.data.frame(read_stream(k, "clicks", schema, from = c("0" = 0)))
    as.data.frame(read_stream(k, "clicks", schema, from = c("0" = 0, "1" = 9)))
    as.data.frame(read_stream(k, "clicks", schema), meta = 1)
    head(read_stream(k, "clicks", schema), -1)
  })
})

test_that("a data frame plays a stream", {
  d <- data.frame(x = c(1.5, NA, 3), f = factor(c("b", "a", "b")))
  s <- read_stream(d)
  expect_snapshot(s)
  expect_identical(as.data.frame(s), d)
  expect_identical(head(s, 2)$x, d$x[1:2])
  back <- as.data.frame(s, meta = TRUE)
  expect_identical(back$.offset, c(0, 1, 2))
  expect_identical(back$.key, rep(NA_character_, 3))
  expect_identical(as.data.frame(read_stream(d[0, ])), data.frame(x = double(), f = factor()))
  expect_snapshot(read_stream(data.frame()), error = TRUE)
})

# ---- what fits read --------------------------------------------------------------------

on_each_kafka("fields asked for come in canonical order, however cut", c(t = 3), function(w) {
  d <- data.frame(x = 1:500, u = paste0("u", 1:500 %% 11), z = runif(500))
  kafka_produce(w$k, w$topic[["t"]], d, key = "u")
  s <- read_stream(w$k, w$topic[["t"]], record_schema(x = "integer", u = "factor", z = "double"))
  whole <- as.data.frame(s)
  for (rows in c(0, 1, 7, 1000)) {
    frames <- stream_frames(s, c("u", "x"), frame_rows = rows)
    expect_identical(frames_to_df(frames), whole[c("u", "x")])
  }
  at <- frames_positions(stream_frames(s, "x"))
  expect_identical(at$topic, rep(w$topic[["t"]], 3))
  expect_equal(at$offset, kafka_offsets(w$k, w$topic[["t"]])$latest)
  expect_error(stream_frames(s, "nosuch"), class = "riffle_error_schema")
  expect_identical(names(frames_to_df(stream_frames(s, c("x", ".offset")))), c("x", ".offset"))
})

# ---- real data -------------------------------------------------------------------------

events_schema <- function() {
  record_schema(
    time = "timestamp", channel = "factor", cityName = "string", comment = "string",
    countryIsoCode = "factor",
    countryName = "factor", isAnonymous = "logical", isMinor = "logical", isNew = "logical",
    isRobot = "logical",
    isUnpatrolled = "logical", metroCode = "integer", namespace = "factor", page = "string",
    regionIsoCode = "factor",
    regionName = "factor", user = "string", delta = "integer", added = "integer",
    deleted = "integer"
  )
}

on_each_kafka("39,244 Wikipedia events come back as jsonlite reads them", c(wiki = 8), function(w) {
  path <- skip_without_data("events/wikiticker-2015-09-12-sampled.json.gz")
  lines <- readLines(path, encoding = "UTF-8")
  expect_length(lines, 39244L)
  sent <- kafka_produce(w$k, w$topic[["wiki"]], lines)
  back <- as.data.frame(read_stream(w$k, w$topic[["wiki"]], events_schema()), meta = TRUE)
  oracle <- jsonlite::stream_in(textConnection(lines), verbose = FALSE)
  oracle <- oracle[order(sent$partition, sent$offset), ]
  oracle$time <- as.POSIXct(oracle$time, format = "%Y-%m-%dT%H:%M:%OSZ", tz = "UTC")
  for (name in names(events_schema())) {
    mine <- back[[name]]
    if (is.factor(mine)) mine <- as.character(mine)
    if (name == "time") {
      # Both are next to the millisecond; strptime() adds the fraction to the second.
      expect_equal(as.double(mine), as.double(oracle[[name]]), tolerance = 1e-15)
    } else {
      expect_identical(mine, oracle[[name]], info = name)
    }
  }
  expect_identical(names(events_schema()), names(oracle))
})

on_each_kafka("Open Bandit impressions come back equal field by field", c(obd = 8), function(w) {
  path <- skip_without_data("ctr/obd_random_men.csv.gz")
  d <- utils::read.csv(path, check.names = FALSE)[-1L]
  d$timestamp <- as.POSIXct(
    sub("\\+00:00$", "", d$timestamp), format = "%Y-%m-%d %H:%M:%OS", tz = "UTC"
  )
  # The instants are whole microseconds.
  d$timestamp <- .POSIXct(round(as.double(d$timestamp) * 1e6) / 1e6, "UTC")
  sent <- kafka_produce(w$k, w$topic[["obd"]], d, key = "user_feature_0", timestamp = NULL)
  s <- read_stream(w$k, w$topic[["obd"]], fields_of(d))
  back <- as.data.frame(s, meta = TRUE)
  expect_identical(nrow(back), 10000L)
  o <- order(sent$partition, sent$offset)
  for (name in names(d)) expect_identical(back[[name]], d[[name]][o], info = name)
  expect_identical(back$.key, d$user_feature_0[o])
  # One user, one partition.
  expect_true(all(rowSums(table(back$.key, back$.partition) > 0) == 1))
})

on_each_kafka("a stream may begin where a model stopped", c(t = 4), function(w) {
  d <- data.frame(x = 1:40, y = sin(1:40), p = 0:1)
  kafka_produce(w$k, w$topic[["t"]], d, partition = "p")
  s <- read_stream(w$k, w$topic[["t"]], record_schema(x = "integer", y = "double"))
  m <- stream_glm(y ~ x, s)
  more <- data.frame(x = 41:44, y = 0, p = 0:3)
  kafka_produce(w$k, w$topic[["t"]], more, partition = "p")
  s$from <- m
  expect_identical(as.data.frame(s)$x, 41:44)
  expect_output(print(s), "where the model stopped")
  expect_error(read_stream(w$k, w$topic[["t"]], s$schema, from = 1), "must be a position")
})
