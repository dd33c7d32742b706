# Files, connections, functions and several sources as streams.

folder <- tempfile("files")
dir.create(folder)

schema <- record_schema(
  click = "integer", device = "factor", daypart = "string", quality = "double"
)
fields <- names(schema)

as_lines <- function(d) {
  vapply(seq_len(nrow(d)), \(i) {
    values <- lapply(d[i, , drop = FALSE], \(x) if (is.factor(x)) as.character(x) else x)
    as.character(jsonlite::toJSON(values, auto_unbox = TRUE, digits = NA))
  }, "")
}

clicks <- function(n, seed) sim_adclicks(n, seed = seed)[fields]

# Lines in a file of the folder; gzip by its name.
put_file <- function(lines, name, sep = "\n") {
  path <- file.path(folder, name)
  con <- if (endsWith(name, ".gz")) gzfile(path, "wb") else file(path, "wb")
  writeLines(lines, con, sep = sep, useBytes = TRUE)
  close(con)
  normalizePath(path)
}

# What a stream gives: factors with the levels that occur, in C order.
plain <- function(d) {
  d$device <- factor(as.character(d$device))
  d$daypart <- as.character(d$daypart)
  rownames(d) <- NULL
  d
}

test_that("files are read in the order of their paths, plain and compressed", {
  skip_if_not_installed("jsonlite")
  d <- clicks(300, 1)
  put_file(as_lines(d[1:100, ]), "p1.jsonl")
  put_file(as_lines(d[101:250, ]), "p2.jsonl.gz")
  put_file(as_lines(d[251:300, ]), "p3.json", sep = "\r\n")
  s <- read_stream(file.path(folder, "p*.json*"), schema)
  expect_identical(as.data.frame(s), plain(d))
  expect_identical(head(s, 120), plain(d[1:120, ]))
  expect_identical(names(s), fields)
  meta <- as.data.frame(s, meta = TRUE)
  expect_identical(meta$.offset, c(0:99, 0:149, 0:49) + 0)
  expect_identical(levels(meta$.topic), normalizePath(file.path(
    folder, c("p1.jsonl", "p2.jsonl.gz", "p3.json")
  )))
  expect_output(print(s), "3 files, 4 fields")
})

test_that("without a schema it is guessed, said, and kept to", {
  skip_if_not_installed("jsonlite")
  file <- put_file(c("", as_lines(clicks(50, 2))), "guess.jsonl")
  expect_message(
    s <- read_stream(file), "Schema guessed from 50 records", class = "riffle_message_schema"
  )
  expect_identical(nrow(as.data.frame(s)), 50L)
  expect_identical(unclass(guess_schema(file))$name, fields)
  expect_identical(names(guess_schema('{"a": 1}')), "a")
})

test_that("a broken line is told with file, line and field, skipped, or kept", {
  lines <- c('{"click": 1, "device": "a"}', "", '{"click": "x"}', '{"click": 0, "dev')
  file <- put_file(lines, "broken.jsonl", sep = "\n")
  error <- expect_error(as.data.frame(read_stream(file, schema)), class = "riffle_error_data")
  expect_match(conditionMessage(error), "broken.jsonl`, line 3: field `click`: ", fixed = TRUE)
  expect_warning(
    d <- as.data.frame(read_stream(file, schema, on_bad = "skip")), "2 of 3 records",
    class = "riffle_warning_skipped"
  )
  expect_identical(d$click, 1L)
  kept <- as.data.frame(read_stream(file, schema, on_bad = "keep"))
  expect_identical(kept$click, c(1L, NA, NA))
  expect_identical(rawToChar(kept$.raw[[3L]]), lines[[4L]])
  expect_match(kept$.error[[3L]], "line 4", fixed = TRUE)
})

test_that("lines of any length and alphabet are read", {
  long <- strrep("x", 2e6)
  file <- put_file(c(sprintf('{"s": "%s"}', long), '{"s": "\u20ac\U1f600"}'), "long.jsonl")
  d <- as.data.frame(read_stream(file, record_schema(s = "string")))
  expect_identical(d$s, c(long, "\u20ac\U1f600"))
})

test_that("integer64 comes when it is asked for", {
  skip_if_not_installed("bit64")
  file <- put_file(c('{"n": 9007199254740993}', '{"n": null}'), "long-integers.jsonl")
  d <- as.data.frame(read_stream(file, record_schema(n = "integer64")))
  expect_identical(d$n, bit64::as.integer64(c("9007199254740993", NA)))
  expect_error(as.data.frame(read_stream(file, record_schema(n = "integer"))), "line 1")
})

test_that("wrong arguments are told by name", {
  bad <- put_file("a,b", "table.csv")
  expect_error(
    read_stream(file.path(folder, "none*.jsonl")), "none of the name", class = "riffle_error_io"
  )
  expect_error(read_stream(bad), "`format` must be given", class = "riffle_error_argument")
  expect_error(read_stream(bad, format = "csv"), class = "riffle_error_argument")
  expect_error(read_stream(1), "must be a Kafka cluster", class = "riffle_error_argument")
  expect_error(
    read_stream(bad, schema = 1, format = "json"), "`schema`", class = "riffle_error_argument"
  )
  gone <- put_file('{"a": 1}', "gone.jsonl")
  s <- read_stream(gone, record_schema(a = "integer"))
  unlink(gone)
  expect_error(
    as.data.frame(s), "gone.jsonl` cannot be read: No such file", class = "riffle_error_io"
  )
})

test_that("a connection is read again and again though it gives its lines once", {
  skip_if_not_installed("jsonlite")
  d <- clicks(60, 3)
  lines <- as_lines(d)
  s <- read_stream(textConnection(lines), schema)
  expect_identical(head(s, 5), plain(d[1:5, ]))
  expect_identical(as.data.frame(s), plain(d))
  expect_identical(as.data.frame(s), plain(d))
  open <- file(put_file(lines, "open.jsonl"))
  expect_identical(suppressMessages(as.data.frame(read_stream(open)))$click, d$click)
})

# function(reset) over a data frame, in chunks.
chunked <- function(d, size) {
  at <- 0
  function(reset) {
    if (reset) {
      at <<- 0
      return(NULL)
    }
    if (at >= nrow(d)) {
      return(NULL)
    }
    rows <- seq(at + 1, min(nrow(d), at + size))
    at <<- max(rows)
    d[rows, , drop = FALSE]
  }
}

test_that("a function gives its data frames, again after it is reset", {
  d <- clicks(500, 4)
  s <- read_stream(chunked(d, 70))
  expect_identical(as.data.frame(s), transform(plain(d), daypart = factor(daypart)))
  expect_identical(nrow(head(s, 100)), 100L)
  typed <- read_stream(chunked(d, 70), schema)
  expect_identical(as.data.frame(typed), plain(d))
  fit <- function(data, ...) {
    stream_glm(click ~ device + daypart + quality, data, gaussian, control = list(...))
  }
  whole <- fit(plain(d))
  expect_identical(fit(typed)$state, whole$state)
  expect_identical(fit(typed, memory = 0.001)$state, whole$state)
})

test_that("what a function gives is checked", {
  odd <- local({
    n <- 0
    function(reset) {
      if (reset) n <<- 0 else n <<- n + 1
      if (!reset && n <= 2) if (n == 1) data.frame(x = 1) else data.frame(x = "a")
    }
  })
  expect_error(as.data.frame(read_stream(odd)), "chunk 2", class = "riffle_error_schema")
  expect_error(
    as.data.frame(read_stream(\(reset) 1, schema)), "must give a data frame",
    class = "riffle_error_data"
  )
  expect_error(read_stream(\(reset) NULL), class = "riffle_error_data")
  expect_error(
    as.data.frame(read_stream(chunked(data.frame(y = 1), 1), record_schema(x = "double"))),
    "no column `x`", class = "riffle_error_schema"
  )
  expect_error(
    start_query(read_stream(chunked(clicks(5, 1), 2), schema), sink_memory()), "cannot be run",
    class = "riffle_error_argument"
  )
})

test_that("several sources are fitted as one data frame of their rows, to the bit", {
  skip_if_not_installed("jsonlite")
  d <- clicks(9000, 5)
  k <- local_kafka(c(clicks = 1))
  kafka_produce(k, "clicks", d[1:4000, ])
  put_file(as_lines(d[4001:5000, ]), "joined1.jsonl")
  put_file(as_lines(d[5001:6000, ]), "joined2.jsonl.gz")
  both <- bind_streams(
    read_stream(k, "clicks", schema), read_stream(file.path(folder, "joined*"), schema, "json"),
    plain(d[6001:7000, ]), read_stream(chunked(d[7001:9000, ], 300), schema)
  )
  expect_identical(as.data.frame(both), plain(d))
  expect_identical(head(both, 4500), plain(d[1:4500, ]))
  fit <- function(data, ...) {
    stream_glm(click ~ device * daypart + quality, data, binomial, control = list(...))
  }
  whole <- fit(plain(d))
  m <- fit(both)
  expect_identical(m$state, whole$state)
  expect_identical(fit(both, memory = 0.05, threads = 3)$state, whole$state)
  bent <- function(data, ...) {
    stream_glm(click ~ device + I(quality^2), data, binomial, control = list(...))$state
  }
  expect_identical(bent(both), bent(plain(d)))
  expect_identical(bent(both, memory = 0.05), bent(plain(d)))
  expect_identical(m$positions$offset[m$positions$topic == "clicks"], 4000)
  expect_setequal(m$positions$offset, c(4000, 1000))
  expect_identical(predict(m, both), unname(predict(m, plain(d))))
  expect_output(print(both), "clicks, .*joined[*], data, function, 4 fields")
})

test_that("an update skips what it has learnt of each source, and says how many", {
  skip_if_not_installed("jsonlite")
  d <- clicks(3000, 6)
  k <- local_kafka(c(more = 2))
  kafka_produce(k, "more", d[1:1000, ])
  file <- put_file(as_lines(d[1001:2000, ]), "u.jsonl")
  both <- bind_streams(read_stream(k, "more", schema), read_stream(file, schema))
  m <- stream_glm(click ~ device + quality, both, binomial)
  expect_message(
    expect_message(
      same <- update(m, both), "1,000 positions of topic", class = "riffle_message_skipped"
    ),
    "1,000 lines of", class = "riffle_message_skipped"
  )
  expect_identical(coef(same), coef(m))
  expect_identical(same$counts$rows, m$counts$rows)
  cat(as_lines(d[2001:3000, ]), file = file, sep = "\n", append = TRUE)
  more <- suppressMessages(update(m, bind_streams(
    read_stream(k, "more", schema), read_stream(file, schema)
  )))
  expect_identical(more$state, update(m, plain(d[2001:3000, ]))$state)
  expect_identical(more$positions$offset[more$positions$topic == file], 2000)
  shorter <- put_file(as_lines(d[1:10, ]), "u.jsonl")
  expect_error(
    suppressMessages(update(m, read_stream(shorter, schema))), "has 10 lines, but 1000 were",
    class = "riffle_error_data"
  )
})

test_that("sources that do not go together are told by field", {
  a <- data.frame(x = 1, y = "a")
  expect_error(bind_streams(a, data.frame(x = 1)), "no field", class = "riffle_error_schema")
  expect_error(bind_streams(a, data.frame(a, z = 1)), "has a field", class = "riffle_error_schema")
  expect_error(
    bind_streams(a, data.frame(x = 1L, y = "a")), "\"double\" in the first stream",
    class = "riffle_error_schema"
  )
  expect_error(bind_streams(a, 1), "`..2` must be a stream", class = "riffle_error_argument")
  expect_error(bind_streams(), "there is none", class = "riffle_error_argument")
  file <- put_file('{"a": 1}', "twice.jsonl")
  s <- read_stream(file, record_schema(a = "integer"))
  expect_error(bind_streams(s, s), "twice", class = "riffle_error_argument")
  expect_identical(nrow(as.data.frame(bind_streams(a, a[2:1], bind_streams(a)))), 3L)
  expect_error(
    start_query(bind_streams(a, a), sink_memory()), "cannot be run", class = "riffle_error_argument"
  )
})

test_that("a query runs over files, and goes on where it was", {
  skip_if_not_installed("jsonlite")
  d <- clicks(4000, 7)
  file <- put_file(as_lines(d[1:2500, ]), "q.jsonl")
  m <- stream_glm(click ~ device, plain(clicks(2000, 8)), binomial)
  live <- live_model(m)
  checkpoint <- tempfile()
  run <- function(sink) {
    q <- read_stream(file, schema) |>
      score_with(live) |>
      learn_with(live) |>
      start_query(sink, name = "files", checkpoint = checkpoint, trigger = "available-now")
    await_query(q)
    query_status(q)
  }
  expect_identical(run(sink_memory())$rows, 2500)
  cat(as_lines(d[2501:4000, ]), file = file, sep = "\n", append = TRUE)
  live <- live_model(m)
  status <- run(sink_memory())
  expect_identical(status$rows, 1500)
  once <- live_model(m)
  update(once, plain(d))
  expect_identical(current_model(live)$state, current_model(once)$state)
})
