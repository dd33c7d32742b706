# Rscript bench/kmeans.R: Lloyd's algorithm from the same centres against stats::kmeans(algorithm = "Lloyd") and, where python3 has it,
# scikit-learn's KMeans(algorithm = "lloyd"): one iteration (the difference of runs of 12 and 2), and to convergence. Outputs compared.
suppressPackageStartupMessages(library(riffle))
quick <- nzchar(Sys.getenv("BENCH_QUICK"))
repeats <- if (quick) 1L else 3L

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

set.seed(1)
n <- if (quick) 1e5 else 1e6
d <- 16L
k <- 32L
at <- matrix(rnorm(40 * d, sd = 1.2), 40)
x <- at[sample(40, n, TRUE), ] + rnorm(n * d)
colnames(x) <- paste0("x", seq_len(d))
rows <- as.data.frame(x)
start <- x[sample(n, k), ]
most <- 2000L

# A fit that is cut short says so; here it is meant.
ours <- function(iterations, threads) {
  suppressWarnings(stream_kmeans(~., rows, start, max_iter = iterations, control = list(threads = threads)))
}
theirs <- function(iterations) suppressWarnings(stats::kmeans(x, start, iterations, algorithm = "Lloyd"))
each <- function(run, times) (median_of(times, \() run(12L))$s - median_of(times, \() run(2L))$s) / 10

# Seconds for an iteration, for the run to convergence, iterations and inertia by scikit-learn; NULL without it.
python <- '
import sys, time, warnings, numpy as np
warnings.simplefilter("ignore")
from sklearn.cluster import KMeans
x = np.fromfile(sys.argv[1]).reshape(-1, int(sys.argv[2])); c = np.fromfile(sys.argv[3]).reshape(-1, int(sys.argv[2]))
def run(n):
    t = time.perf_counter()
    m = KMeans(len(c), init=c, n_init=1, max_iter=n, tol=0, algorithm="lloyd").fit(x)
    return time.perf_counter() - t, m
run(2)
each = (np.median([run(12)[0] for _ in range(3)]) - np.median([run(2)[0] for _ in range(3)])) / 10
t, m = run(int(sys.argv[4]))
print(each, t, m.n_iter_, repr(float(m.inertia_)))
'
sklearn <- function(threads) {
  if (system2("python3", c("-c", shQuote("import sklearn")), stdout = FALSE, stderr = FALSE) != 0L) return(NULL)
  files <- c(tempfile(), tempfile(), tempfile())
  on.exit(unlink(files))
  writeBin(as.vector(t(x)), files[[1L]])
  writeBin(as.vector(t(start)), files[[2L]])
  writeLines(python, files[[3L]])
  env <- paste0(c("OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS="), threads)
  out <- system2("python3", c(files[[3L]], files[[1L]], d, files[[2L]], most), stdout = TRUE, env = env)
  stats::setNames(as.numeric(strsplit(out, " ")[[1L]]), c("each", "all", "iterations", "inertia"))
}
sk <- lapply(1:2, sklearn)

show <- function(what, peer, mine) {
  cat(sprintf("%-52s %9.4f s %9.4f s %7.1f x\n", what, peer, mine, peer / mine))
}
cat(sprintf("k-means n = %.0e, d = %d, k = %d\n%-52s %11s %11s %9s\n", n, d, k, "", "peer", "riffle", "ratio"))
peer <- each(theirs, repeats)
mine <- vapply(1:2, \(threads) each(\(i) ours(i, threads), repeats), 0)
for (t in 1:2) show(sprintf("an iteration, stats Lloyd (1T), riffle %dT", t), peer, mine[[t]])
for (t in 1:2) if (!is.null(sk[[t]])) show(sprintf("an iteration, scikit-learn %dT, riffle %dT", t, t), sk[[t]][["each"]], mine[[t]])

full <- seconds(\() theirs(most))
for (t in 1:2) {
  m <- median_of(repeats, \() ours(most, t))
  off <- max(abs(m$value$centers - full$value$centers))
  stopifnot(m$value$fit$converged, off < 1e-10, identical(as.numeric(m$value$size), as.numeric(full$value$size)))
  show(sprintf("to convergence, stats Lloyd (1T), riffle %dT", t), full$s, m$s)
  if (!is.null(sk[[t]])) {
    stopifnot(abs(sk[[t]][["inertia"]] / m$value$tot.withinss - 1) < 1e-6)
    show(sprintf("to convergence, scikit-learn %dT, riffle %dT", t, t), sk[[t]][["all"]], m$s)
  }
}
cat(sprintf("%d iterations; largest difference of centres %.1e\n", full$value$iter, off))
# An iteration is 2 n d k flops of ranking; 32 flops a cycle (two FMA units of 8 doubles) is the limit of a core with AVX-512.
cat(sprintf("%.1f GFLOP/s on one thread in plain iterations\n", 2 * n * d * k / mine[[1L]] / 1e9))
if (is.null(sk[[1L]])) cat("scikit-learn is not installed: not compared\n")
