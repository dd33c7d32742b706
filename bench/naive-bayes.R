# Rscript bench/naive-bayes.R: naive Bayes against e1071 and, when python3 has it, scikit-learn, on 1e6 x (8 factors + 4 numbers); outputs
# compared, threads named, and the share of memory bandwidth (one read of all columns) beside the fit.
suppressPackageStartupMessages(library(riffle))
quick <- nzchar(Sys.getenv("BENCH_QUICK"))
n <- if (quick) 1e5 else 1e6
repeats <- if (quick) 3L else 7L

seconds <- function(f) {
  gc(FALSE)
  t <- proc.time()
  value <- f()
  list(s = (proc.time() - t)[["elapsed"]], value = value)
}
median_of <- function(times, f) {
  runs <- lapply(seq_len(times), \(i) seconds(f))
  list(s = stats::median(vapply(runs, \(r) r$s, 0)), value = runs[[1L]]$value)
}
peak_memory <- function() sub("VmHWM:\\s*", "", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))

set.seed(4)
levels <- c(4L, 8L, 10L, 24L, 50L, 100L, 200L, 1000L)
codes <- lapply(levels, \(l) sample.int(l, n, TRUE))
numbers <- lapply(1:4, \(j) rnorm(n))
d <- as.data.frame(c(Map(\(code, l) factor(code, levels = seq_len(l)), codes, levels), numbers))
names(d) <- c(paste0("f", 1:8), paste0("x", 1:4))
y <- factor(sample(c("no", "yes"), n, TRUE))
features <- d
d$y <- y

# How fast memory is read: the limit of any fit, which reads every column once.
bytes <- n * (8 * 4 + 4 * 8 + 4)
read <- median_of(5L, \() lapply(numbers, sum))
bandwidth <- n * 4 * 8 / read$s

peer <- median_of(if (quick) 1L else 3L, \() e1071::naiveBayes(features, y, laplace = 1))
cat(sprintf("%-30s %8.3f s\n", "e1071::naiveBayes()", peer$s))
for (threads in 1:2) {
  ours <- median_of(repeats, \() stream_naive_bayes(y ~ ., d, control = list(threads = threads)))
  cat(sprintf(
    "riffle fit, %d thread%s %15.4f s %8.1f x (asked: %d), %.0f %% of the limit\n", threads, if (threads > 1) "s" else " ",
    ours$s, peer$s / ours$s, if (threads == 1) 20L else 35L, 100 * bytes / bandwidth / ours$s
  ))
}
m <- ours$value
for (name in names(features)) {
  stopifnot(max(abs(unname(m$tables[[name]]) - unname(unclass(peer$value$tables[[name]])))) < 1e-10)
}

some <- features[seq_len(min(n, 3000L)), ]
slow <- seconds(\() predict(peer$value, some, type = "raw"))
ours <- median_of(repeats, \() predict(m, features, type = "prob"))
off <- max(abs(slow$value - ours$value[seq_len(nrow(some)), ]))
stopifnot(off < 1e-10)
cat(sprintf(
  "riffle scoring %.1f M rows/s, e1071 %.0f rows/s: %.0f x (asked: 10,000); largest difference %.1e\n", n / ours$s / 1e6,
  nrow(some) / slow$s, n / ours$s / (nrow(some) / slow$s), off
))
cat("peak memory of this process:", peak_memory(), "\n")

# scikit-learn: the factors by CategoricalNB and the numbers by GaussianNB, whose log posteriors add up; MultinomialNB of counts.
folder <- tempfile("nb")
dir.create(folder)
put <- function(x, name) {
  file <- file(file.path(folder, name), "wb")
  on.exit(close(file))
  writeBin(x, file)
}
put(unlist(lapply(codes, \(code) code - 1L)), "codes")
put(unlist(numbers), "numbers")
put(as.integer(y) - 1L, "y")
counts <- matrix(rpois(2e4 * 20, rep(1:20, each = 2e4) / 5), 2e4)
put(as.vector(counts), "counts")
script <- file.path(folder, "nb.py")
writeLines(c(
  "import sys, time",
  "try:",
  "    import numpy as np, sklearn",
  "    from sklearn.naive_bayes import CategoricalNB, GaussianNB, MultinomialNB",
  "except ImportError:",
  "    print('absent'); sys.exit(0)",
  "folder, n = sys.argv[1], int(float(sys.argv[2]))",
  "codes = np.fromfile(folder + '/codes', dtype=np.int32).reshape(8, n).T.copy()",
  "numbers = np.fromfile(folder + '/numbers').reshape(4, n).T.copy()",
  "y = np.fromfile(folder + '/y', dtype=np.int32)",
  "def median(f):",
  "    times = []",
  "    for i in range(5):",
  "        t = time.perf_counter(); value = f(); times.append(time.perf_counter() - t)",
  "    return sorted(times)[2], value",
  "fit, models = median(lambda: (CategoricalNB(alpha=1).fit(codes, y), GaussianNB().fit(numbers, y)))",
  "score, _ = median(lambda: (models[0].predict_log_proba(codes), models[1].predict_log_proba(numbers)))",
  "counts = np.fromfile(folder + '/counts', dtype=np.int32).reshape(20, 20000).T",
  "m = MultinomialNB(alpha=1).fit(counts, y[:20000])",
  "m.predict_proba(counts)[:, 1].astype(np.float64).tofile(folder + '/multinomial')",
  "print(sklearn.__version__, fit, score)"
), script)
told <- tryCatch(
  system2("python3", c(script, folder, format(n, scientific = FALSE)), stdout = TRUE), error = \(e) "absent"
)
if (identical(told[[1L]], "absent")) {
  cat("scikit-learn is not installed: its rows are left out\n")
} else {
  parts <- strsplit(told[[1L]], " ")[[1L]]
  times <- as.numeric(parts[2:3])
  cat(sprintf("scikit-learn %s: fit %.3f s, scoring %.3f s: riffle scores %.1f x (asked: 8)\n", parts[[1L]], times[[1L]],
              times[[2L]], times[[2L]] / ours$s))
  words <- as.data.frame(counts)
  words$y <- y[seq_len(2e4)]
  mm <- stream_naive_bayes(y ~ ., words, likelihood = "multinomial")
  theirs <- readBin(file.path(folder, "multinomial"), "double", 2e4)
  off <- max(abs(predict(mm, words, type = "response") - theirs))
  cat(sprintf("multinomial posteriors: largest difference %.1e\n", off))
  stopifnot(off < 1e-10)
}
