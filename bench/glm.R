# Rscript bench/glm.R: logistic regression against stats::glm.fit, one thread and two; outputs compared; the share of the flop limit beside.
suppressPackageStartupMessages(library(riffle))
quick <- nzchar(Sys.getenv("BENCH_QUICK"))
repeats <- if (quick) 1L else 3L
ours_repeats <- 7L

seconds <- function(f) {
  gc(FALSE)
  t <- proc.time()
  value <- f()
  list(s = (proc.time() - t)[["elapsed"]], value = value)
}
median_of <- function(n, f) {
  runs <- lapply(seq_len(n), \(i) seconds(f))
  list(s = stats::median(vapply(runs, \(r) r$s, 0)), value = runs[[1L]]$value)
}
# The contract: distance from the converged oracle in standard errors.
check_equal <- function(m, oracle) {
  info <- chol2inv(oracle$qr$qr[seq_along(oracle$coefficients), , drop = FALSE])
  se <- sqrt(diag(info))
  off <- max(abs(coef(m) - oracle$coefficients) / se)
  ratio <- max(abs(sqrt(diag(vcov(m))) / se - 1))
  stopifnot(off < 1e-6, ratio < 1e-5, abs(deviance(m) / oracle$deviance - 1) < 1e-9)
  off
}
report <- function(what, peer, one, two, flops) {
  cat(sprintf(
    "%-34s %9.3f s %9.4f s %7.1f x %9.4f s %7.1f x\n", what, peer$s, one$s, peer$s / one$s, two$s, peer$s / two$s
  ))
  if (flops > 0) cat(sprintf("%-34s passes %d, %.1f GFLOP/s on one thread\n", "", one$value$passes, flops * one$value$passes / one$s / 1e9))
}

set.seed(1)
n <- if (quick) 1e5 else 1e6
p <- 50L
cat(sprintf("%-34s %11s %11s %9s %11s %9s\n", "", "glm.fit", "riffle 1T", "ratio", "riffle 2T", "ratio"))
x <- matrix(rnorm(n * p), n, p, dimnames = list(NULL, paste0("x", seq_len(p))))
d <- as.data.frame(x)
d$y <- rbinom(n, 1L, plogis(drop(x %*% rnorm(p, sd = 0.1)) - 1))
f <- reformulate(colnames(x), "y")
one <- median_of(ours_repeats, \() stream_glm(f, d, binomial(), control = list(threads = 1L)))
two <- median_of(ours_repeats, \() stream_glm(f, d, binomial(), control = list(threads = 2L)))
X <- cbind(1, x)
peer <- median_of(repeats, \() glm.fit(X, d$y, family = binomial(), control = list(epsilon = 1e-10)))
off <- check_equal(one$value, peer$value)
stopifnot(identical(coef(one$value), coef(two$value)))
report(sprintf("logistic n = %.0e, p = 50 dense", n), peer, one, two, n * (p + 1) * (p + 2))
cat(sprintf("%-34s largest difference %.1e standard errors\n", "", off))
rm(x, X, d)

n <- 1e5
levels <- c(10L, 20L, 50L, 100L)
d <- as.data.frame(lapply(levels, \(l) factor(sample.int(l, n, TRUE), levels = seq_len(l))))
names(d) <- paste0("f", levels)
eta <- Reduce(`+`, lapply(d, \(g) rnorm(nlevels(g), sd = 0.3)[g])) - 1
d$y <- rbinom(n, 1L, plogis(eta))
f <- y ~ f10 + f20 + f50 + f100
one <- median_of(ours_repeats, \() stream_glm(f, d, binomial(), control = list(threads = 1L)))
two <- median_of(ours_repeats, \() stream_glm(f, d, binomial(), control = list(threads = 2L)))
made <- seconds(\() model.matrix(f, d))
peer <- median_of(repeats, \() glm.fit(made$value, d$y, family = binomial(), control = list(epsilon = 1e-10)))
off <- check_equal(one$value, peer$value)
report("four factors, n = 1e5, p = 177", peer, one, two, 0)
cat(sprintf("%-34s largest difference %.1e standard errors; model.matrix() alone takes the peer %.3f s\n", "", off, made$s))
peak <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
cat("peak memory of this process:", sub("VmHWM:\\s*", "", peak), "\n")
