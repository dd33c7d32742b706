script <- function() system.file("scripts", "score.R", package = "riffle")

run_script <- function(...) {
  out <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"), c(shQuote(script()), ...), stdout = TRUE, stderr = TRUE
  ))
  list(status = attr(out, "status") %||% 0L, text = as.character(out))
}

`%||%` <- function(x, y) if (is.null(x)) y else x

test_that("score.R scores what is there; the second run reads only what is new", {
  w <- test_world(c(clicks = 2, scores = 2))
  d <- sim_adclicks(3000, seed = 5, click_rate = 0.1)
  m <- stream_glm(click ~ device, d, binomial())
  folder <- withr::local_tempdir()
  saveRDS(m, file.path(folder, "m.rds"))
  args <- c(
    "--brokers", w$k$brokers, "--model", file.path(folder, "m.rds"), "--from", w$topic[["clicks"]],
    "--to", w$topic[["scores"]], "--checkpoint", file.path(folder, "ckpt"), "--learn"
  )
  kafka_produce(w$k, w$topic[["clicks"]], d[1:2000, c("device", "click")])
  first <- run_script(args)
  expect_identical(first$status, 0L, info = paste(first$text, collapse = "\n"))
  expect_match(utils::tail(first$text, 1L), '"rows":2000,"scored":2000,.*"resumed":false')
  kafka_produce(w$k, w$topic[["clicks"]], d[2001:3000, c("device", "click")])
  second <- run_script(args)
  expect_identical(second$status, 0L, info = paste(second$text, collapse = "\n"))
  told <- utils::tail(second$text, 1L)
  expect_match(told, '"rows":1000,"scored":1000,.*"version":3,"resumed":true')
  expect_equal(sum(kafka_offsets(w$k, w$topic[["scores"]])$latest), 3000)
})

test_that("score.R exits 3 for a configuration that cannot work and 1 for what failed", {
  w <- test_world(c(clicks = 1, scores = 1))
  folder <- withr::local_tempdir()
  expect_identical(run_script("--from", "x")$status, 3L)
  m <- stream_glm(y ~ x, data.frame(x = c(1, 2, 3, 4), y = c(0, 1, 0, 1)), binomial())
  path <- file.path(folder, "m.rds")
  saveRDS(m, path)
  args <- function(from) {
    c(
      "--brokers", w$k$brokers, "--model", path, "--from", from, "--to", w$topic[["scores"]],
      "--checkpoint", file.path(folder, "ckpt")
    )
  }
  kafka_produce(w$k, w$topic[["clicks"]], data.frame(other = 1))
  expect_identical(run_script(args(w$topic[["clicks"]]))$status, 3L)
  expect_identical(run_script(args("no-such-topic"))$status, 1L)
})

# A process that learns from topic `clicks` until it gets a signal. It tells that `rows` rows are
# learnt, and which process it is, in a file; `arguments` are further ones of start_query().
learning_job <- function(w, m, folder, arguments = "", from = "earliest") {
  saveRDS(m, file.path(folder, "m.rds"))
  job <- file.path(folder, "job.R")
  writeLines(c(
    "library(riffle)",
    sprintf("k <- kafka('%s')", w$k$brokers),
    sprintf("live <- live_model(readRDS('%s'))", file.path(folder, "m.rds")),
    "schema <- record_schema(device = 'factor', click = 'integer')",
    sprintf("stream <- read_stream(k, '%s', schema, from = '%s')", w$topic[["clicks"]], from),
    "q <- stream |> learn_with(live) |>",
    sprintf("  start_query(checkpoint = '%s'%s)", file.path(folder, "ckpt"), arguments),
    "args <- commandArgs(TRUE)",
    sprintf("while (!length(dir('%s', 'ckpt$'))) Sys.sleep(0.02)", file.path(folder, "ckpt")),
    "while (query_status(q)$rows < as.numeric(args[[1]])) Sys.sleep(0.02)",
    "writeLines(as.character(Sys.getpid()), paste0(args[[2]], '.new'))",
    "file.rename(paste0(args[[2]], '.new'), args[[2]])",
    "ended <- await_query(q)",
    "s <- query_status(q)",
    "cat(s$phase, s$rows, s$version, s$pending, s$resumed, ended, '\\n')"
  ), job)
  job
}

# Runs it, sends the signal a little after it is ready, gives what it printed and its status.
signalled_job <- function(job, rows, signal, by = "Rscript") {
  ready <- tempfile()
  out <- tempfile()
  command <- paste(file.path(R.home("bin"), by), job, rows, ready)
  if (by == "R") {
    command <- sprintf(
      "%s --interactive --no-save --no-readline --slave --args %d %s < %s",
      file.path(R.home("bin"), "R"), rows, ready, job
    )
  }
  system(sprintf("{ %s; echo \"status $?\"; } > %s 2>&1 &", command, out))
  until <- Sys.time() + 60
  while (!file.exists(ready) && Sys.time() < until) Sys.sleep(0.05)
  Sys.sleep(0.2)
  tools::pskill(as.integer(readLines(ready)), signal)
  while (!any(grepl("^status", text <- readLines(out))) && Sys.time() < until) Sys.sleep(0.05)
  text
}

test_that("SIGTERM stops an awaited query cleanly; it resumes without learning a record twice", {
  w <- test_world(c(clicks = 2))
  d <- sim_adclicks(4000, seed = 5, click_rate = 0.1)
  job <- learning_job(w, stream_glm(click ~ device, d, binomial()), withr::local_tempdir())
  kafka_produce(w$k, w$topic[["clicks"]], d[1:2500, c("device", "click")])
  first <- signalled_job(job, 2500, tools::SIGTERM)
  expect_match(first, "stopped 2500 2 500", all = FALSE)
  kafka_produce(w$k, w$topic[["clicks"]], d[2501:4000, c("device", "click")])
  second <- signalled_job(job, 1500, tools::SIGTERM)
  expect_match(second, "stopped 1500 4 0", all = FALSE)
})

test_that("Ctrl-C stops an awaited query in the middle; the script goes on and exits with 0", {
  w <- test_world(c(clicks = 2))
  d <- sim_adclicks(4000, seed = 5, click_rate = 0.1)
  m <- stream_glm(click ~ device, d, binomial())
  for (by in c("Rscript", "R")) {
    job <- learning_job(w, m, withr::local_tempdir(), ", pace = 4000, max_batch = 100")
    if (by == "Rscript") kafka_produce(w$k, w$topic[["clicks"]], d[c("device", "click")])
    first <- signalled_job(job, 300, tools::SIGINT, by)
    expect_match(first, "^status 0$", all = FALSE, info = by)
    told <- strsplit(grep("^stopped", first, value = TRUE), " ")[[1L]]
    learnt <- as.numeric(told[[2L]])
    expect_true(learnt >= 300 && learnt < 4000, info = paste(first, collapse = "\n"))
    expect_identical(told[5:6], c("FALSE", "TRUE"), info = by)
    second <- signalled_job(job, 4000 - learnt, tools::SIGINT, by)
    rest <- sprintf("^stopped %d 4 0 TRUE TRUE", 4000 - learnt)
    expect_match(second, rest, all = FALSE, info = by)
    expect_match(second, "^status 0$", all = FALSE, info = by)
  }
})

test_that("\"latest\" is the same place after a crash before the first record", {
  w <- test_world(c(clicks = 2))
  d <- sim_adclicks(4000, seed = 5, click_rate = 0.1)
  m <- stream_glm(click ~ device, d, binomial())
  job <- learning_job(w, m, withr::local_tempdir(), from = "latest")
  kafka_produce(w$k, w$topic[["clicks"]], d[1:1000, c("device", "click")])
  first <- signalled_job(job, 0, tools::SIGKILL)
  expect_match(first, "^status 137$", all = FALSE)
  kafka_produce(w$k, w$topic[["clicks"]], d[1001:2500, c("device", "click")])
  second <- signalled_job(job, 1500, tools::SIGTERM)
  expect_match(second, "^stopped 1500 1 500 TRUE TRUE", all = FALSE)
})
