# How sessions end. Each one runs in a process of its own: it must reach its last line and leave
# with the status it asked for, whatever still runs then. tools/sanitized-r runs these under
# the sanitizers.

session <- function(...) {
  lines <- run_r(c(
    "k <- local_kafka(c(clicks = 2, scores = 2, odd = 1))",
    "d <- sim_adclicks(3000, seed = 1)[c('device', 'click')]",
    "kafka_produce(k, 'clicks', d)",
    "schema <- record_schema(device = 'factor', click = 'integer')",
    "live <- live_model(stream_glm(click ~ device, d, binomial()))",
    "x <- read_stream(k, 'clicks', schema)",
    "go <- function(name, ...) {",
    "  learn_with(score_with(x, live), live) |>",
    "    start_query(list(sink_topic(k, 'scores'), sink_memory(100)), name = name, ...)",
    "}", ..., "cat('last line\\n')", "quit('no', 7)"
  ))
  list(status = attr(lines, "status"), last = utils::tail(as.character(lines), 1L), lines = lines)
}

expect_clean_end <- function(s) {
  expect_identical(s$status, 7L, info = paste(s$lines, collapse = "\n"))
  expect_identical(s$last, "last line", info = paste(s$lines, collapse = "\n"))
}

test_that("a session may quit while queries run", {
  expect_clean_end(session(
    "q <- go('a', checkpoint = tempfile())",
    "score_with(x, live) |> start_query(sink_memory(), name = 'b', max_batch = 7) -> q2",
    "score_with(x, live) |> start_query(sink_memory(), name = 'c', pace = 50) -> q3",
    "kafka_produce(k, 'clicks', d)"
  ))
})

test_that("a session may quit after queries that failed or did not start", {
  expect_clean_end(session(
    "fails <- function(code) stopifnot(inherits(try(code, silent = TRUE), 'try-error'))",
    "fails(go('a', checkpoint = '/proc/none'))",
    "fails(score_with(x, live) |> start_query(sink_topic(k, 'scores', key = 'nope')))",
    "fails(read_stream(k, 'nope', schema) |> score_with(live) |> start_query(sink_memory()))",
    "folder <- tempfile()",
    "q <- go('b', checkpoint = folder)",
    "fails(go('c', checkpoint = folder))",
    "kafka_produce(k, 'odd', '{\"device\":')",
    "q2 <- read_stream(k, 'odd', schema) |> score_with(live) |> start_query(sink_memory())",
    "fails(await_query(q2, 30))",
    "rm(q, q2)", "invisible(gc())"
  ))
})

test_that("a session may drop everything while queries run", {
  expect_clean_end(session(
    "q <- go('a')", "rm(list = ls())", "rm(list = ls(riffle:::running), envir = riffle:::running)",
    "invisible(gc())", "invisible(gc())"
  ))
})

test_that("the package may be unloaded while queries run, and loaded again", {
  expect_clean_end(session(
    "q <- go('a')", "unloadNamespace('riffle')", "invisible(gc())", "library(riffle)",
    "k2 <- local_kafka('t')", "kafka_produce(k2, 't', data.frame(a = 1))", "rm(q, k, live, x)",
    "invisible(gc())"
  ))
})

test_that("an error within await_query() leaves the query to itself", {
  expect_clean_end(session(
    "q <- go('a')",
    "started <- proc.time()[['elapsed']]",
    "r <- try({setTimeLimit(elapsed = 0.5, transient = TRUE); await_query(q, 60)}, silent = TRUE)",
    "setTimeLimit()",
    "stopifnot(inherits(r, 'try-error'), proc.time()[['elapsed']] - started < 20)",
    "stopifnot(query_status(q)$phase == 'running')"
  ))
})

test_that("queries survive a collection at any allocation", {
  skip_on_cran()
  expect_clean_end(session(
    "gctorture2(50)",
    "q <- go('a', trigger = 'available-now')", "await_query(q, 60)",
    "stopifnot(query_status(q)$rows == 3000, sum(query_progress(q)$rows) == 3000)",
    "out <- sink_memory()",
    "q <- score_with(x, live) |> start_query(out, name = 'b', trigger = 'available-now')",
    "await_query(q, 60)", "stopifnot(nrow(as.data.frame(out)) == 3000)",
    "gctorture2(0)"
  ))
})
