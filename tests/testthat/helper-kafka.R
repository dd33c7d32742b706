# A Kafka with topics of the test's own: list(k, topic), `topic` gives the real name of each. The
# embedded broker; with RIFFLE_KAFKA ("host:port") set and `real`, that one.
test_world <- function(topics = c(clicks = 4), real = nzchar(Sys.getenv("RIFFLE_KAFKA"))) {
  names <- names(topics)
  if (!real) {
    return(list(k = local_kafka(topics), topic = stats::setNames(names, names)))
  }
  k <- kafka(Sys.getenv("RIFFLE_KAFKA"))
  topic <- stats::setNames(paste(names, Sys.getpid(), test_number(), sep = "-"), names)
  for (name in names) kafka_create_topic(k, topic[[name]], topics[[name]])
  list(k = k, topic = topic)
}

test_number <- local({
  n <- 0L
  function() n <<- n + 1L
})

# Whole seconds of yesterday: a real Kafka deletes records that are older than a week.
yesterday <- function(seconds) .POSIXct(floor(as.double(Sys.time())) - 86400 + seconds, "UTC")

# One test on the embedded broker, and one on the real Kafka when there is one.
on_each_kafka <- function(name, topics, body) {
  test_that(name, {
    body(test_world(topics, real = FALSE))
  })
  if (nzchar(Sys.getenv("RIFFLE_KAFKA"))) {
    test_that(paste0(name, ", on a real Kafka"), {
      body(test_world(topics, real = TRUE))
    })
  }
}

# Full path of a file of real data; the test is skipped where the data is not.
skip_without_data <- function(path) {
  folder <- Sys.getenv("RIFFLE_DATA")
  if (!nzchar(folder)) skip("RIFFLE_DATA is not set")
  file.path(folder, path)
}

# Error snapshots without what differs from run to run.
scrub <- function(lines) gsub("(127\\.0\\.0\\.1|localhost):[0-9]{2,5}", "<broker>", lines)

# Runs R code in a process of its own, with this riffle; gives its lines.
run_r <- function(code) {
  script <- withr::local_tempfile(fileext = ".R", lines = c("library(riffle)", code))
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  suppressWarnings(
    system2(
      file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE, stderr = TRUE
    )
  )
}

live <- function() {
  for (i in 1:3) gc()
  .Call(c_mem_live)
}
