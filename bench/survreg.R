# Rscript bench/survreg.R: Weibull regression against survival::survreg(), one thread and two; outputs compared; the largest difference beside.
suppressPackageStartupMessages({
  library(riffle)
  library(survival)
})
quick <- nzchar(Sys.getenv("BENCH_QUICK"))
median_of <- function(n, f) {
  runs <- lapply(seq_len(n), \(i) {
    gc(FALSE)
    t <- proc.time()
    value <- f()
    list(s = (proc.time() - t)[["elapsed"]], value = value)
  })
  list(s = stats::median(vapply(runs, \(r) r$s, 0)), value = runs[[1L]]$value)
}
rows <- function(n, p) {
  set.seed(5)
  x <- matrix(rnorm(n * (p - 1)), n, dimnames = list(NULL, paste0("x", seq_len(p - 1))))
  time <- exp(2 + drop(x %*% rnorm(p - 1, sd = 0.3)) + 0.7 * log(rexp(n)))
  end <- rexp(n, 1 / quantile(time, 0.8))
  data.frame(x, time = pmin(time, end), event = as.numeric(time <= end))
}
cat(sprintf("%-38s %11s %11s %9s %11s %9s\n", "", "survreg", "riffle 1T", "ratio", "riffle 2T", "ratio"))
for (n in if (quick) 2e4 else c(2e5, 1e6)) {
  p <- 10L
  d <- rows(n, p)
  f <- reformulate(paste0("x", seq_len(p - 1)), "Surv(time, event)")
  one <- median_of(7L, \() stream_survreg(f, d, control = list(threads = 1L)))
  two <- median_of(7L, \() stream_survreg(f, d, control = list(threads = 2L)))
  peer <- median_of(if (quick) 1L else 3L, \() survreg(f, d))
  tight <- survreg(f, d, control = survreg.control(rel.tolerance = 1e-12))
  off <- max(abs(coef(one$value) - coef(tight)) / sqrt(diag(vcov(tight)))[seq_len(p)])
  stopifnot(identical(coef(one$value), coef(two$value)), off < 1e-6)
  cat(sprintf(
    "%-38s %9.3f s %9.4f s %7.1f x %9.4f s %7.1f x\n", sprintf("Weibull n = %.0e, p = %d, %.0f %% censored", n, p, 100 * mean(!d$event)),
    peer$s, one$s, peer$s / one$s, two$s, peer$s / two$s
  ))
  cat(sprintf("%-38s largest difference %.1e standard errors, %d passes\n", "", off, one$value$fit$passes))
}
cat("peak memory of this process:", sub("VmHWM:\\s*", "", grep("VmHWM", readLines("/proc/self/status"), value = TRUE)), "\n")
