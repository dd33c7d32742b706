# Rscript tools/test-r.R RESULTS: runs tests/testthat against the installed package; one line a test into RESULTS
# (ok | not ok | skip, file, name). RIFFLE_ONLY: a regular expression on file names.
args <- commandArgs(trailingOnly = TRUE)
suppressPackageStartupMessages({
  library(testthat)
  library(riffle)
})
only <- Sys.getenv("RIFFLE_ONLY", "")
run <- test_dir(
  "tests/testthat", package = "riffle", load_package = "installed", stop_on_failure = FALSE,
  filter = if (nzchar(only)) only, reporter = "summary"
)
state <- function(result) {
  kinds <- vapply(result$results, \(e) class(e)[[1L]], "")
  if (any(kinds %in% c("expectation_failure", "expectation_error"))) {
    "not ok"
  } else if (any(kinds == "expectation_skip")) {
    "skip"
  } else {
    "ok"
  }
}
reason <- function(result) {
  skips <- Filter(\(e) inherits(e, "expectation_skip"), result$results)
  if (length(skips)) paste0(" (", gsub("[\t\n]", " ", conditionMessage(skips[[1L]])), ")") else ""
}
states <- vapply(run, state, "")
names <- vapply(run, \(r) gsub("[\t\n]", " ", r$test), "")
files <- vapply(run, \(r) r$file, "")
why <- ifelse(states == "skip", vapply(run, reason, ""), "")
writeLines(paste(states, paste0("tests/testthat/", files), paste0(names, why), sep = "\t"), args[[1L]])
cat(sum(states == "ok"), "passed,", sum(states == "not ok"), "failed,", sum(states == "skip"), "skipped\n")
quit(status = as.integer(any(states == "not ok") || !length(run)))
