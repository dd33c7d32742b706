test_that("library(riffle) masks nothing of base R, survival, dplyr, arrow and data.table", {
  here <- getNamespaceExports("riffle")
  # The verbs of the package generics; and dplyr's combine(), which dplyr gave up in 1.0.0 (2020).
  generics <- c("tidy", "glance", "augment", "fit", "explain", "combine")
  packages <- c(
    "base", "stats", "utils", "graphics", "grDevices", "methods", "datasets", "survival", "dplyr",
    "arrow", "data.table"
  )
  for (p in packages) {
    if (!requireNamespace(p, quietly = TRUE)) next
    theirs <- if (p == "base") ls(baseenv(), all.names = TRUE) else getNamespaceExports(p)
    both <- setdiff(intersect(here, theirs), generics)
    expect_identical(both, character(), info = p)
  }
  # Of those that may not be installed here: what they export in riffle's own words.
  theirs <- c(
    "explain", "sql", "collect", "compute", "filter", "lag", "schema", "field", "read_schema",
    "open_dataset", "read_table",
    "write_dataset", "record_batch", "as_schema", "data_type", "between", "first", "last", "shift",
    "set", "copy", "key", "rbindlist"
  )
  expect_identical(intersect(here, theirs), character())
})

test_that("a handle that was saved says that it comes from another session", {
  k <- local_kafka(c(t = 1))
  file <- withr::local_tempfile()
  saveRDS(k, file)
  back <- readRDS(file)
  expect_snapshot(kafka_topics(back), error = TRUE)
  expect_error(kafka_topics(back), class = "riffle_error_state")
  expect_output(print(back), "made in another session")
})

test_that("a handle used after a fork says so, and the parent goes on", {
  k <- local_kafka(c(t = 2))
  job <- parallel::mcparallel({
    e <- tryCatch(kafka_topics(k), error = identity)
    rm(k)
    gc()
    list(class = class(e)[[1L]], message = conditionMessage(e))
  })
  told <- parallel::mccollect(job)[[1L]]
  expect_identical(told$class, "riffle_error_state")
  expect_match(told$message, "was made before a fork")
  expect_identical(kafka_topics(k)$topic, "t")
})

test_that("what is dropped is released: no allocation is alive at the end", {
  out <- run_r(c(
    "k <- local_kafka(c(a = 2, b = 1))",
    "kafka_produce(k, 'a', data.frame(x = 1:100, y = c('u', 'v')), key = 'y')",
    "s <- read_stream(k, 'a', record_schema(x = 'integer', y = 'factor'))",
    "stopifnot(nrow(as.data.frame(s)) == 100L, nrow(head(s)) == 6L)",
    "f <- riffle:::stream_frames(s); d <- riffle:::df_frames(data.frame(x = 1, y = 'a'))",
    "try(read_stream(k, 'nosuch'), silent = TRUE)",
    "try(kafka('localhost:1', timeout = 0.5), silent = TRUE)",
    "rm(k, s, f, d); for (i in 1:3) invisible(gc())",
    "cat('alive:', .Call(riffle:::c_mem_live))"
  ))
  expect_identical(utils::tail(out, 1L), "alive: 0")
})

test_that("unloading releases first; a handle that is still there keeps the library", {
  out <- run_r(c(
    "k <- local_kafka(c(a = 1))", "s <- read_stream(k, 'a', record_schema(x = 'integer'))",
    "unloadNamespace('riffle')", "invisible(gc())", "cat('ok')"
  ))
  expect_identical(utils::tail(out, 1L), "ok")
})

test_that("an interrupt ends a wait at once and leaves nothing behind", {
  before <- live()
  # A port that accepts and never answers.
  port <- 20000L + Sys.getpid() %% 10000L
  listener <- serverSocket(port)
  on.exit(close(listener))
  system(sprintf("sh -c 'sleep 0.4; kill -INT %d' &", Sys.getpid()))
  started <- proc.time()[["elapsed"]]
  got <- tryCatch(
    kafka(paste0("localhost:", port), timeout = 6), interrupt = function(e) "interrupted"
  )
  expect_identical(got, "interrupted")
  expect_lt(proc.time()[["elapsed"]] - started, 3)
  # The question that was given up is let go when its own time is over.
  while (live() > before && proc.time()[["elapsed"]] - started < 15) Sys.sleep(0.2)
  expect_equal(live(), before)
})

test_that("any allocation may fail: the error is riffle_error_nomem and nothing leaks", {
  d <- data.frame(
    a = c(1L, NA), b = c(0.5, NA), c = c("x", NA), f = factor(c("u", "v")), t = .POSIXct(
      c(0, NA), "UTC"
    ),
    d = as.Date(c("2020-01-01", NA)), l = c(TRUE, NA)
  )
  frames_to_df(df_frames(d))
  before <- live()
  for (k in 0:200) {
    .Call(c_mem_fail_after, k)
    e <- tryCatch(frames_to_df(df_frames(d)), error = identity)
    .Call(c_mem_fail_after, -1)
    if (is.data.frame(e)) break
    expect_s3_class(e, "riffle_error_nomem")
  }
  expect_identical(e, d)
  expect_gt(k, 10)
  rm(e)
  expect_equal(live(), before)
})

test_that("the glue protects what it makes", {
  skip_on_cran()
  d <- data.frame(
    x = c("a", NA, "b"), f = factor(c("u", "v", "u")), t = .POSIXct(c(1, 2, 3), "UTC"), n = 1:3
  )
  gctorture2(step = 7L)
  on.exit(gctorture2(step = 0L))
  back <- frames_to_df(df_frames(d))
  gctorture2(step = 0L)
  expect_identical(back, d)
})

test_that("errors of the core name the user's verb", {
  k <- local_kafka(c(clicks = 1))
  e <- tryCatch(kafka_offsets(k, "click"), error = identity)
  expect_s3_class(e, c("riffle_error_broker", "riffle_error"), exact = FALSE)
  expect_identical(as.character(e$call[[1L]]), "kafka_offsets")
  expect_match(conditionMessage(e), "did you mean `clicks`")
})

test_that("riffle_info() tells what is in use, and RIFFLE_CPU chooses lower kernels", {
  i <- riffle_info()
  expect_s3_class(i, "riffle_info")
  expect_match(i$librdkafka, "^[0-9]+\\.[0-9]+")
  expect_true(i$cpu %in% c("base", "avx2", "avx512"))
  expect_output(print(i), "librdkafka")
  withr::local_envvar(RIFFLE_CPU = "base")
  expect_identical(utils::tail(run_r("cat(riffle_info()$cpu)"), 1L), "base")
  withr::local_envvar(RIFFLE_CPU = "fast")
  expect_match(paste(run_r("1"), collapse = " "), "RIFFLE_CPU must be base")
})
