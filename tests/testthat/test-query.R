click_schema <- function() {
  record_schema(id = "integer", device = "factor", position = "factor", click = "integer")
}

click_world <- function(n = 4000, seed = 3, topics = c(clicks = 4, scores = 4)) {
  d <- sim_adclicks(n, seed = seed, click_rate = 0.1)
  d$id <- seq_len(n)
  w <- test_world(topics)
  w$data <- d[c("id", "user_id", "device", "position", "click")]
  w
}

test_that("a query scores every record once, with the prediction of its model", {
  w <- click_world()
  m <- stream_glm(click ~ device + position, w$data, binomial())
  kafka_produce(w$k, w$topic[["clicks"]], w$data, key = "user_id")
  q <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |>
    score_with(m, keep = "id") |>
    start_query(sink_topic(w$k, w$topic[["scores"]]), trigger = "available-now")
  expect_true(await_query(q, 60))
  s <- as.data.frame(read_stream(
    w$k, w$topic[["scores"]],
    record_schema(
      key = "string", score = "double", model = "factor", version = "double", time = "timestamp",
      id = "integer"
    )
  ))
  s <- s[order(s$id), ]
  expect_identical(s$id, w$data$id)
  expect_identical(s$score, unname(predict(m, w$data, type = "response")))
  expect_identical(s$key, as.character(w$data$user_id))
  expect_true(all(s$version == 0))
  status <- query_status(q)
  expect_identical(status$phase, "done")
  expect_equal(c(status$rows, status$scored, status$learnt), c(4000, 4000, 0))
})

test_that("a live model learns while it scores; scores name versions; a replay gives its model", {
  w <- click_world(6000)
  m <- stream_glm(click ~ device + position, w$data[1:2000, ], binomial())
  live <- live_model(m)
  kafka_produce(w$k, w$topic[["clicks"]], w$data[2001:6000, ], key = "user_id")
  out <- sink_memory(1e5)
  q <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |>
    score_with(live, keep = c("id", "click")) |>
    learn_with(live) |>
    start_query(out, trigger = "available-now", max_batch = 700)
  await_query(q, 60)
  expect_equal(query_status(q)$learnt, 4000)
  expect_equal(query_status(q)$pending, 0)
  s <- as.data.frame(out)
  expect_identical(sort(s$id), 2001:6000)
  rows <- as.data.frame(read_stream(w$k, w$topic[["clicks"]], click_schema()), meta = TRUE)
  learnt <- rows[riffle:::demo_order(rows, query_progress(q)), ]
  again <- m
  for (v in 0:3) {
    mine <- rows[rows$id %in% s$id[s$version == v], ]
    expect_identical(
      unname(predict(again, mine, type = "response")), s$score[match(mine$id, s$id)]
    )
    again <- update(again, learnt[v * 1000 + 1:1000, ])
  }
  expect_identical(coef(again), coef(current_model(live)))
  expect_identical(vcov(again), vcov(current_model(live)))
})

test_that("a stopped query goes on from its checkpoint: nothing is learnt twice, nothing is lost", {
  w <- click_world(5000)
  folder <- withr::local_tempdir()
  m <- stream_glm(click ~ device + position, w$data, binomial())
  pieces <- list(1:1700, 1701:3900, 3901:5000)
  learnt <- 0
  ids <- integer()
  for (piece in pieces) {
    kafka_produce(w$k, w$topic[["clicks"]], w$data[piece, ], key = "user_id")
    live <- live_model(m)
    out <- sink_memory()
    q <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |>
      score_with(live, keep = "id") |>
      learn_with(live) |>
      start_query(out, checkpoint = folder, trigger = "available-now", max_batch = 400)
    await_query(q, 60)
    expect_equal(query_status(q)$rows, length(piece))
    expect_identical(query_status(q)$resumed, !identical(piece, pieces[[1L]]))
    learnt <- learnt + query_status(q)$learnt
    ids <- c(ids, as.data.frame(out)$id)
    close(q)
  }
  expect_equal(learnt + query_status(q)$pending, 5000)
  expect_identical(sort(ids), 1:5000)
  expect_equal(current_model(live)$version, 5)
})

test_that("a live model that learnt on its own is not overwritten by a checkpoint", {
  w <- click_world(3000)
  folder <- withr::local_tempdir()
  m <- stream_glm(click ~ device + position, w$data, binomial())
  run <- function(live) {
    q <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |>
      learn_with(live) |>
      start_query(checkpoint = folder, trigger = "available-now")
    on.exit(close(q))
    await_query(q, 60)
  }
  kafka_produce(w$k, w$topic[["clicks"]], w$data, key = "user_id")
  run(live_model(m))
  touched <- live_model(m)
  update(touched, w$data)
  expect_error(run(touched), class = "riffle_error_state")
})

test_that("an unseen level scores as the first and is counted; a missing value gives none", {
  w <- click_world(1000)
  m <- stream_glm(click ~ device, w$data, binomial())
  odd <- data.frame(id = 1:3, device = c("mobile", "watch", NA), click = 0L)
  kafka_produce(w$k, w$topic[["clicks"]], odd)
  out <- sink_memory()
  q <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |>
    score_with(m, keep = "id") |>
    start_query(out, trigger = "available-now")
  await_query(q, 60)
  s <- as.data.frame(out)
  s <- s[order(s$id), ]
  base <- data.frame(device = c("mobile", "desktop"))
  expect_identical(s$score, c(unname(predict(m, base, type = "response")), NA))
  expect_equal(query_status(q)$unseen, 1)
  expect_equal(query_status(q)$unscored, 1)
})

test_that("stop_query() ends an endless query at once, and it can be started again", {
  w <- click_world(1000)
  m <- stream_glm(click ~ device, w$data, binomial())
  scored <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |> score_with(m)
  q <- start_query(scored, sink_memory(), name = "endless")
  expect_error(start_query(scored, sink_memory(), name = "endless"), class = "riffle_error_state")
  expect_false(await_query(q, 0.2))
  expect_identical(list_queries()$phase[list_queries()$name == "endless"], "running")
  took <- system.time(stop_query(q))[["elapsed"]]
  expect_lt(took, 3)
  expect_identical(query_status(q)$phase, "stopped")
  q <- start_query(scored, sink_memory(), name = "endless")
  close(q)
  expect_identical(query_status(q)$phase, "stopped")
})

test_that("the error of a background query is told by its status, its print and await_query()", {
  w <- click_world(1000)
  m <- stream_glm(click ~ device, w$data, binomial())
  kafka_produce(w$k, w$topic[["clicks"]], "{\"device\":")
  q <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |>
    score_with(m) |>
    start_query(sink_memory(), trigger = "available-now")
  expect_error(await_query(q, 60), class = "riffle_error_data")
  expect_identical(query_status(q)$phase, "failed")
  expect_match(query_status(q)$error, "offset 0")
  expect_output(print(q), "failed")
})

test_that("wrong arguments are told by name", {
  skip_on_cran()
  w <- click_world(1000)
  m <- stream_glm(click ~ device, w$data, binomial())
  x <- read_stream(w$k, w$topic[["clicks"]], click_schema())
  expect_snapshot(error = TRUE, {
    learn_with(x, m)
    score_with(x, "m")
    score_with(1, m)
    score_with(x, m, keep = "nothing")
    score_with(x, m, into = "version")
    start_query(x)
    start_query(score_with(x, m))
    start_query(score_with(x, m), sink = 7)
    start_query(score_with(x, m), sink_memory(), trigger = "hourly")
    start_query(score_with(x, m), sink_memory(), max_batch = 0)
    query_status(m)
    sink_memory("many")
  })
})

test_that("a stream without a field that the model needs is refused before anything runs", {
  w <- click_world(1000)
  m <- stream_glm(click ~ device, w$data, binomial())
  x <- read_stream(w$k, w$topic[["clicks"]], record_schema(id = "integer"))
  expect_error(
    start_query(score_with(x, m), sink_memory()), "device", class = "riffle_error_schema"
  )
})

test_that("plot(), summary() and query_progress() tell of every batch", {
  w <- click_world(2000)
  m <- stream_glm(click ~ device, w$data, binomial())
  kafka_produce(w$k, w$topic[["clicks"]], w$data)
  q <- read_stream(w$k, w$topic[["clicks"]], click_schema()) |>
    score_with(m) |>
    start_query(sink_memory(), trigger = "available-now", max_batch = 500)
  await_query(q, 60)
  p <- query_progress(q)
  expect_equal(sum(p$rows), 2000)
  expect_true(all(p$rows <= 500))
  last <- p$end[[nrow(p)]]
  expect_equal(sum(last$offset), 2000)
  expect_output(print(summary(q)), "2,000 rows")
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_invisible(plot(q))
})

test_that("a row that cannot be delivered stops the query and is named; nothing is passed over", {
  w <- click_world(10)
  d <- data.frame(id = 1:3, device = "mobile", click = 0L, note = c("a", strrep("x", 5000), "b"))
  kafka_produce(w$k, w$topic[["clicks"]], d)
  m <- stream_glm(click ~ device, click_world(1000)$data, binomial())
  small <- kafka(w$k$brokers, message.max.bytes = "1000")
  folder <- withr::local_tempdir()
  schema <- record_schema(id = "integer", device = "factor", click = "integer", note = "string")
  run <- function(sink) {
    q <- read_stream(w$k, w$topic[["clicks"]], schema) |>
      score_with(m, keep = c("id", "note")) |>
      start_query(sink, name = "small", checkpoint = folder, trigger = "available-now")
    on.exit(close(q))
    await_query(q, 60)
    q
  }
  expect_error(run(sink_topic(small, w$topic[["scores"]])), "1 rows", class = "riffle_error_broker")
  out <- sink_memory()
  run(out)
  again <- as.data.frame(out)$id
  expect_true(2L %in% again)
  # Rows of an earlier batch went out before: they need not come again.
  sent <- as.data.frame(
    read_stream(w$k, w$topic[["scores"]], record_schema(id = "integer", score = "double"))
  )
  expect_setequal(c(again, sent$id), 1:3)
})
