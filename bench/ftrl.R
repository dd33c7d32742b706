# Rscript bench/ftrl.R: FTRL on 20 hashed features against Vowpal Wabbit and scikit-learn's SGDClassifier, on the same rows, one core
# (Vowpal Wabbit parses its text on a second thread). Progressive log losses are compared. PYTHON: an interpreter that has vowpalwabbit
# (and scikit-learn, if it is to be timed); without it a virtual environment is made in build/bench.
suppressPackageStartupMessages(library(riffle))
quick <- nzchar(Sys.getenv("BENCH_QUICK"))
rows <- if (quick) 1e5 else 1e6
out <- file.path("build", "bench")
dir.create(out, showWarnings = FALSE, recursive = TRUE)
text <- file.path(out, "ftrl-rows.vw")

run <- function(command, args) {
  lines <- system2(command, args, stdout = TRUE)
  if (length(attr(lines, "status"))) stop(command, " failed")
  lines
}
python <- Sys.getenv("PYTHON")
if (!nzchar(python)) {
  venv <- file.path(out, "venv")
  python <- file.path(venv, "bin", "python")
  if (!file.exists(python)) {
    run("python3", c("-m", "venv", venv))
    run(python, c("-m", "pip", "install", "--quiet", "vowpalwabbit", "scikit-learn"))
  }
}

# ---- the core, from columns of slots ----
run("sh", c("bench/ftrl/run", out))
ours <- utils::read.table(
  text = run(file.path(out, "bench-ftrl"), c(format(rows, scientific = FALSE), text)),
  col.names = c("slots", "bytes", "median", "best", "loss", "scored")
)
peers <- utils::read.table(
  text = run(python, c("bench/ftrl/peers.py", text, 22L)), col.names = c("peer", "median", "loss")
)

# ---- the package, from columns of factors, hashing included ----
words <- utils::read.table(text, sep = " ", colClasses = c("integer", "NULL", rep("character", 20L)))
names(words) <- c("y", letters[1:20])
words$y <- as.integer(words$y > 0)
words[-1L] <- lapply(words[-1L], factor)
fitted <- lapply(seq_len(if (quick) 1L else 5L), \(i) {
  gc(FALSE)
  t <- proc.time()
  m <- stream_ftrl(y ~ ., words, l1 = 1, control = list(bias_rate = 0.1))
  list(rate = rows / 1e6 / (proc.time() - t)[["elapsed"]], loss = glance(m)$loss)
})
whole <- stats::median(vapply(fitted, \(f) f$rate, 0))

cat(sprintf("%-52s %9s %9s %10s\n", "FTRL, 20 hashed features, million rows/s", "median", "best", "log loss"))
for (i in seq_len(nrow(ours))) {
  what <- sprintf("riffle, 2^%d slots, %d bytes a number", log2(ours$slots[[i]]), ours$bytes[[i]])
  cat(sprintf("%-52s %9.2f %9.2f %10.5f   scored %.2f\n", what, ours$median[[i]], ours$best[[i]], ours$loss[[i]], ours$scored[[i]]))
}
cat(sprintf("%-52s %9.2f %9s %10.5f\n", "stream_ftrl() on a data frame, all of it", whole, "", fitted[[1L]]$loss))
for (i in seq_len(nrow(peers))) {
  cat(sprintf(
    "%-52s %9.2f %9s %10.5f   riffle is %.1f times as fast\n", peers$peer[[i]], peers$median[[i]], "", peers$loss[[i]],
    ours$median[[1L]] / peers$median[[i]]
  ))
}
vw <- peers[startsWith(peers$peer, "vw"), ]
cat(sprintf("progressive log loss against Vowpal Wabbit's: %+.4f %%\n", 100 * (ours$loss[[1L]] / vw$loss[[1L]] - 1)))
stopifnot(abs(ours$loss[[1L]] / vw$loss - 1) < 0.001)
if (!quick) stopifnot(ours$median[[1L]] >= 5, ours$median[[1L]] >= 6 * max(vw$median))
