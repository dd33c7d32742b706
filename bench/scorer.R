# Rscript bench/scorer.R: one record at a time. Median and 99th percentile of a score beyond those of a call of a compiled routine that
# does nothing (R's own call), in batches of 100 calls; then predict() of a data frame with one row, beyond the making of that data frame.
suppressPackageStartupMessages(library(riffle))
d <- sim_adclicks(5000, seed = 1)
models <- list(
  glm = stream_glm(click ~ segment * category + device * daypart + position + activity + quality, d, binomial),
  naive_bayes = stream_naive_bayes(click ~ segment + category + device + daypart + position + activity + quality, d)
)
nothing <- getNamespace("riffle")$c_mem_live
call_nothing <- function(record) .Call(nothing)

batch <- 100L
microseconds <- function(f, record, batches = 2000L) {
  for (i in seq_len(1000L)) f(record)
  vapply(seq_len(batches), \(b) {
    t <- Sys.time()
    for (i in seq_len(batch)) f(record)
    as.numeric(Sys.time() - t, units = "secs") / batch * 1e6
  }, 0)
}
tell <- function(what, times, base, limit) {
  p <- stats::quantile(times, c(0.5, 0.99)) - stats::median(base)
  cat(sprintf("%-40s p50 %6.2f us, p99 %6.2f us beyond an empty call (asked: %.1f)\n", what, p[[1L]], p[[2L]], limit))
}

record <- as.list(d[7L, ])
text <- sprintf(
  paste0(
    "{\"segment\":\"%s\",\"category\":\"%s\",\"device\":\"%s\",\"daypart\":\"%s\",\"position\":\"%s\",",
    "\"activity\":%.17g,\"quality\":%.17g}"
  ),
  record$segment, record$category, record$device, record$daypart, record$position, record$activity, record$quality
)
base <- microseconds(call_nothing, record)
cat(sprintf("an empty call: p50 %.2f us\n", stats::median(base)))
for (name in names(models)) {
  m <- models[[name]]
  expected <- unname(predict(m, d[7L, ], type = "response"))
  for (input in c("list", "json")) {
    score <- scorer(m, input)
    x <- if (input == "json") text else record
    stopifnot(identical(score(x), expected))
    tell(paste("scorer", name, input), microseconds(score, x), base, 1.5)
  }
  one <- microseconds(\(r) as.data.frame(r), record, 100L)
  both <- microseconds(\(r) predict(m, as.data.frame(r), type = "response"), record, 100L)
  cat(sprintf("%-40s p50 %6.2f us beyond the making of its data frame (asked: 30)\n", paste("predict() of a row,", name),
              stats::median(both) - stats::median(one)))
}
