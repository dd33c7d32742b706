# Rscript bench/outofcore.R [ROWS]: a logistic regression on ROWS (50 million) dictionary-coded rows that a function gives chunk by
# chunk, under a budget of 256 MB, with the peak of the process's memory; and later passes from disk (warm page cache) against passes
# over the same rows in memory, on 2 million rows. Outputs are compared. BENCH_QUICK=1: a tenth of the rows.
suppressPackageStartupMessages(library(riffle))
quick <- nzchar(Sys.getenv("BENCH_QUICK"))
asked <- as.numeric(commandArgs(TRUE))
rows <- if (length(asked)) asked[[1L]] else if (quick) 5e6 else 5e7
chunk_rows <- 1e5

memory_of <- function(what) {
  line <- grep(paste0("^", what), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
# The kernel keeps the peak; writing 5 sets it back to what is held now.
forget_peak <- function() cat("5", file = "/proc/self/clear_refs")
seconds <- function(f) {
  gc(FALSE)
  t <- proc.time()
  value <- f()
  list(s = (proc.time() - t)[["elapsed"]], value = value)
}

# ---- a topic, from within ----
# Peak memory above the start of a fit to 2,000,000 records of a topic, beside one to 200,000. Each in a process of its own; the
# embedded broker, which is part of it, holds the records before the measurement begins.
if (nzchar(Sys.getenv("BENCH_PEAK"))) {
  n <- as.numeric(Sys.getenv("BENCH_PEAK"))
  k <- local_kafka(c(clicks = 100))
  columns <- c("segment", "device", "daypart", "position", "activity", "quality", "click")
  for (i in seq_len(n / 50000)) kafka_produce(k, "clicks", sim_adclicks(50000, seed = i)[columns])
  s <- read_stream(k, "clicks", record_schema(
    segment = "factor", device = "factor", daypart = "factor", position = "factor", activity = "double", quality = "double",
    click = "integer"
  ))
  invisible(gc())
  forget_peak()
  before <- memory_of("VmRSS")
  m <- stream_glm(click ~ segment + device * daypart + position + activity + quality, s, binomial)
  stopifnot(m$counts$rows == n)
  cat("peak", memory_of("VmHWM") - before, "\n")
  quit("no")
}

# Chunk k is always the same rows. The truth is a sum of effects of the levels.
sizes <- c(a = 10L, b = 50L, c = 100L, d = 500L, e = 1000L)
effect <- lapply(sizes, \(n) sin(seq_len(n)) / 2)
make_chunk <- function(k) {
  set.seed(k)
  codes <- lapply(sizes, \(n) sample.int(n, chunk_rows, TRUE))
  eta <- Reduce(`+`, Map(\(x, code) x[code], effect, codes)) - 2
  columns <- Map(\(code, n) structure(code, levels = sprintf("l%04d", seq_len(n)), class = "factor"), codes, sizes)
  columns$click <- as.integer(runif(chunk_rows) < plogis(eta))
  structure(columns, class = "data.frame", row.names = .set_row_names(chunk_rows))
}
generator <- function(n) {
  k <- 0
  function(reset) {
    if (reset) {
      k <<- 0
      return(NULL)
    }
    if (k * chunk_rows >= n) {
      return(NULL)
    }
    k <<- k + 1
    make_chunk(k)
  }
}
schema <- record_schema(a = "factor", b = "factor", c = "factor", d = "factor", e = "factor", click = "integer")
formula <- click ~ a + b + c + d + e

# ---- the size ----
invisible(stream_glm(formula, read_stream(generator(2e5), schema), binomial))
invisible(gc())
forget_peak()
before <- memory_of("VmRSS")
big <- seconds(\() stream_glm(formula, read_stream(generator(rows), schema), binomial, control = list(memory = 256)))
peak <- memory_of("VmHWM") - before
alone <- seconds(\() for (k in seq_len(min(rows, 5e6) / chunk_rows)) make_chunk(k))
alone <- alone$s * rows / min(rows, 5e6)
m <- big$value
cat(sprintf("%s rows, %d columns of X: %.1f s, of it making the rows %.1f s; %d passes\n", format(rows, big.mark = ","),
  length(coef(m)), big$s, alone, m$fit$passes))
cat(sprintf("memory above the start: %.0f MB at its peak (budget 256 MB, the model's state %.0f MB)\n", peak,
  length(m$state) / 2^20))
off <- max(abs(coef(m)[-1] - unlist(lapply(effect, \(x) x[-1] - x[1]))) / sqrt(diag(vcov(m)))[-1])
cat(sprintf("largest distance from the truth: %.2f standard errors of %d\n", off, length(coef(m)) - 1L))
stopifnot(m$counts$rows == rows, peak < 256 + 4 * length(m$state) / 2^20, off < 6)

# ---- the passes ----
small <- min(rows, 2e6)
compare <- function(what, formula, source, columns, threads) {
  handle <- function(memory) {
    riffle:::stream_frames(riffle:::with_budget(source, list(memory = memory)), columns)
  }
  places <- list(memory = handle(1e5), disk = handle(8))
  stopifnot(.Call(riffle:::c_frames_where, places$memory)[[2]] == 0, .Call(riffle:::c_frames_where, places$disk)[[2]] > 0)
  recipe <- stream_glm(formula, source, binomial)$recipe
  fit <- function(frames) {
    .Call(riffle:::c_model_fit, "glm", frames, recipe, list(
      kind = riffle:::family_spec(binomial()), host = NULL, freq = FALSE, epsilon = 1e-14, maxit = 100, start = NULL, l1 = 0, l2 = 0, standardize = FALSE,
      firth = FALSE, robust = FALSE, cluster = FALSE,
      threads = threads, fail = FALSE
    ))
  }
  times <- vapply(1:5, \(i) c(memory = seconds(\() fit(places$memory))$s, disk = seconds(\() fit(places$disk))$s), c(0, 0))
  stopifnot(identical(fit(places$memory)$state, fit(places$disk)$state))
  s <- apply(times, 1L, stats::median)
  mb <- .Call(riffle:::c_frames_where, places$disk)[[3]] / 2^20
  cat(sprintf("%-28s %d T %9.3f s in memory %9.3f s from disk (%.0f MB) %6.2f x\n", what, threads, s[["memory"]],
    s[["disk"]], mb, s[["disk"]] / s[["memory"]]))
}
for (threads in 1:2) {
  compare("five factors", formula, read_stream(generator(small), schema), names(schema), threads)
}
set.seed(1)
dense <- as.data.frame(matrix(rnorm(small / 4 * 20), ncol = 20))
dense$y <- as.integer(runif(nrow(dense)) < plogis(rowSums(dense[1:5]) / 3))
for (threads in 1:2) compare("20 numbers", y ~ ., read_stream(dense), names(dense), threads)

# ---- a topic, from without ----
peaks <- vapply(c(2e5, 2e6), \(n) {
  out <- system2(file.path(R.home("bin"), "Rscript"), "bench/outofcore.R", env = sprintf("BENCH_PEAK=%d", n), stdout = TRUE)
  as.numeric(sub("peak ", "", grep("^peak", out, value = TRUE)))
}, 0)
cat(sprintf("a topic: %.0f MB for 200,000 records, %.0f MB for 2,000,000\n", peaks[[1L]], peaks[[2L]]))
stopifnot(peaks[[2L]] <= peaks[[1L]] + 150)
