# Fits to rows that go to disk: the same numbers, little memory, nothing left behind.

clicks <- function(n, seed = 1) {
  d <- sim_adclicks(n, seed = seed)
  d$device[seq(7, n, by = 97)] <- NA
  d$n <- seq_len(n)
  d
}

as_topic <- function(d, partitions = 3) {
  k <- local_kafka(c(clicks = partitions))
  kafka_produce(k, "clicks", d)
  read_stream(k, "clicks", record_schema(
    click = "integer", device = "factor", daypart = "string", position = "factor",
    quality = "double", n = "integer"
  ))
}

spooled <- function(s, control = list(memory = 0.01)) {
  columns <- c("click", "device", "daypart", "position", "quality", "n")
  stream_frames(with_budget(s, control), columns)
}

test_that("rows beyond the budget go to disk and come back in canonical order", {
  d <- clicks(20000)
  s <- as_topic(d)
  memory <- spooled(s, list())
  disk <- spooled(s)
  expect_identical(.Call(c_frames_where, memory)[[2L]], 0)
  expect_gt(.Call(c_frames_where, disk)[[2L]], 2)
  expect_gt(.Call(c_frames_where, disk)[[3L]], 1e5)
  rows <- as.data.frame(s)
  expect_identical(frames_to_df(memory), rows)
  expect_identical(frames_to_df(disk), rows)
  expect_identical(.Call(c_frames_rows, disk), nrow(d) + 0)
  expect_identical(frames_positions(disk), frames_positions(memory))
})

test_that("a fit from disk is the fit in memory to the bit, on any number of threads", {
  s <- as_topic(clicks(20000))
  fit <- function(...) {
    stream_glm(click ~ device * daypart + position + quality, s, binomial, control = list(...))
  }
  memory <- fit()
  for (threads in c(1, 2, 3, 8)) {
    disk <- fit(memory = 0.01, threads = threads)
    expect_identical(disk$state, memory$state)
    expect_identical(disk$counts, memory$counts)
    expect_identical(disk$positions, memory$positions)
  }
  expect_identical(predict(disk, s), predict(memory, s))
  kafka_produce(s$k, "clicks", clicks(3000, seed = 2))
  expect_message(a <- update(disk, s), class = "riffle_message_skipped")
  b <- suppressMessages(update(memory, s))
  expect_identical(a$state, b$state)
  expect_identical(a$positions, b$positions)
})

test_that("random choices keyed by position do not see the disk", {
  s <- as_topic(clicks(10000))
  fit <- function(...) {
    stream_ftrl(
      click ~ device + daypart + quality, s, keep_negatives = 0.3, seed = 7, control = list(...)
    )
  }
  expect_identical(fit(memory = 0.01)$state, fit()$state)
})

test_that("a folder that cannot hold the rows is told", {
  s <- as_topic(clicks(5000))
  control <- list(memory = 0.01, spool = "/nowhere/at/all")
  error <- expect_error(
    stream_glm(click ~ position, s, binomial, control = control), class = "riffle_error_io"
  )
  expect_match(
    conditionMessage(error), "`/nowhere/at/all`: No such file or directory", fixed = TRUE
  )
})

test_that("a disk that is full is told with its folder and the bytes", {
  skip_if_not(file.exists("/dev/shm") && nzchar(Sys.which("bash")), "no way to limit a file's size")
  code <- c(
    "suppressPackageStartupMessages(library(riffle))",
    "d <- sim_adclicks(50000, seed = 1)",
    "k <- local_kafka(c(clicks = 1))",
    "kafka_produce(k, 'clicks', d)",
    "s <- read_stream(k, 'clicks', record_schema(click = 'integer', quality = 'double'))",
    "m <- tryCatch(",
    "  stream_glm(click ~ quality, s, binomial, control = list(memory = 0.01)),",
    "  riffle_error_io = function(e) cat('told:', conditionMessage(e))",
    ")"
  )
  script <- tempfile(fileext = ".R")
  writeLines(code, script)
  on.exit(unlink(script))
  # ulimit -f counts in kB; the signal that comes with it is ignored, so that write() fails.
  out <- suppressWarnings(system2("bash", c("-c", shQuote(sprintf(
    "trap '' XFSZ; ulimit -f 100; exec %s %s 2>&1", file.path(R.home("bin"), "Rscript"), script
  ))), stdout = TRUE))
  told <- paste(out, collapse = " ")
  expect_match(told, "told: Rows cannot be written to disk in `.*`: File too large")
  expect_match(told, "[0-9]+ bytes more are needed than the [0-9]+ that are there")
})

test_that("nothing is left in the folder, also when R is killed", {
  folder <- file.path(tempfile("spool"))
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  code <- sprintf(paste(
    "suppressPackageStartupMessages(library(riffle)); k <- local_kafka(c(clicks = 1));",
    "kafka_produce(k, 'clicks', sim_adclicks(20000, seed = 1));",
    "s <- read_stream(k, 'clicks', record_schema(click = 'integer', quality = 'double'));",
    "f <- riffle:::stream_frames(riffle:::with_budget(s, list(memory = 0.01, spool = '%s')));",
    "stopifnot(.Call(riffle:::c_frames_where, f)[[2]] > 0, !length(dir('%s', all.files = TRUE,",
    "no.. = TRUE))); tools::pskill(Sys.getpid(), tools::SIGKILL)"
  ), folder, folder)
  status <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stdout = FALSE, stderr = FALSE
  ))
  expect_identical(status, 137L)
  expect_identical(dir(folder, all.files = TRUE, no.. = TRUE), character())
})

test_that("memory does not grow with the rows once they go to disk", {
  skip_if(file.access("/proc/self/clear_refs", 2L) != 0L, "the peak of memory cannot be set back")
  peak <- function(rows) {
    lines <- run_r(c(
      sprintf("k <- local_kafka(c(clicks = %d))", max(2L, rows %/% 10000L)),
      "make <- function(i) sim_adclicks(20000, seed = i)",
      sprintf("for (i in 1:%d) kafka_produce(k, 'clicks', make(i))", rows / 2e4),
      "s <- read_stream(k, 'clicks', record_schema(click = 'integer', quality = 'double',",
      "  activity = 'double', device = 'factor', ad_id = 'factor'))",
      "of <- function(what) as.numeric(gsub('[^0-9]', '', grep(paste0('^', what),",
      "  readLines('/proc/self/status'), value = TRUE))) / 1024",
      "invisible(gc())", "cat('5', file = '/proc/self/clear_refs')", "before <- of('VmRSS')",
      "m <- stream_glm(click ~ quality + activity + device + ad_id, s, binomial,",
      "  control = list(memory = 8))",
      "cat('\\npeak', of('VmHWM') - before, m$counts$rows, '\\n')"
    ))
    found <- strsplit(grep("^peak", lines, value = TRUE), " ")[[1L]]
    expect_identical(as.numeric(found[[3L]]), rows)
    as.numeric(found[[2L]])
  }
  small <- peak(40000)
  large <- peak(400000)
  # The rows that were added take 10 MB in memory and 14 MB as frames that wait; what differs from
  # run to run (the allocator, librdkafka's queue) is some 10 MB.
  expect_lt(large, small + 25)
})
