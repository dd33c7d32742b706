# Writes oracle-aft.inc: what survival::survreg() says of 50 simulated rows under every
# distribution and kind of censoring, run to convergence (rel.tolerance 1e-14). Run from here:
#   Rscript make-aft-oracles.R
library(survival)
set.seed(20)
n <- 50L
x <- round(rnorm(n), 3)
v <- round(rexp(n), 3)
f <- factor(sample(c("a", "b", "c"), n, TRUE))
g <- factor(sample(c("u", "w"), n, TRUE))
weight <- sample(1:3, n, TRUE)
offset <- round(runif(n) - 0.5, 2)
eta <- 1 + 0.4 * x - 0.3 * v + c(0, 0.5, -0.2)[f]
times <- lapply(1:3, \(k) round(exp(eta + 0.6 * log(rexp(n))), 4) + 1e-3)
time <- times[[1]]
limit <- round(rexp(n, 0.15), 4) + 0.02
right <- as.numeric(time <= limit)
time_right <- pmin(time, limit)
left <- as.numeric(time >= limit / 3)
time_left <- pmax(time, limit / 3)
low <- floor(time * 2) / 2
high <- low + 0.5
kind <- sample(0:3, n, TRUE, c(2, 3, 1, 4))
start <- ifelse(kind == 3 & low <= 0, 0.01, ifelse(kind == 3, low, time))
stop <- ifelse(kind == 3, pmax(high, start + 0.2), 1)
status <- cbind(right, left, kind)

fits <- list(
  list("weibull", Surv(time_right, right), TRUE, 0),
  list("exponential", Surv(time_right, right), TRUE, 1),
  list("rayleigh", Surv(time_right, right), TRUE, 0.5),
  list("lognormal", Surv(time_right, right), TRUE, 0),
  list("loglogistic", Surv(time_right, right), TRUE, 0),
  list("gaussian", Surv(time_right, right), FALSE, 0),
  list("logistic", Surv(time_right, right), FALSE, 0),
  list("extreme", Surv(time_right, right), FALSE, 0),
  list("t", Surv(time_right, right), FALSE, 0),
  list("weibull", Surv(time_left, left, type = "left"), TRUE, 0),
  list("lognormal", Surv(time_left, left, type = "left"), TRUE, 0),
  list("loglogistic", Surv(time_left, left, type = "left"), TRUE, 0),
  list("t", Surv(time_left, left, type = "left"), FALSE, 0),
  list("weibull", Surv(start, stop, kind, type = "interval"), TRUE, 0),
  list("exponential", Surv(start, stop, kind, type = "interval"), TRUE, 1),
  list("lognormal", Surv(start, stop, kind, type = "interval"), TRUE, 0),
  list("loglogistic", Surv(start, stop, kind, type = "interval"), TRUE, 0),
  list("gaussian", Surv(start, stop, kind, type = "interval"), FALSE, 0),
  list("t", Surv(start, stop, kind, type = "interval"), FALSE, 0),
  list("gaussian", Surv(start, stop, kind, type = "interval"), FALSE, 1.5)
)
base <- c(weibull = 0, exponential = 0, rayleigh = 0, extreme = 0, lognormal = 2, gaussian = 2,
          loglogistic = 1, logistic = 1, t = 3)
types <- c(right = 0, left = 1, interval = 2)
number <- function(x) ifelse(is.na(x), "NAN", sprintf("%.17g", x))
put <- function(x) paste(number(x), collapse = ", ")
array <- function(name, x) sprintf("static const double %s[] = {%s};", name, put(x))
out <- c(
  "/* Made by make-aft-oracles.R. */",
  sprintf("enum { AFT_N = %d };", n), array("aft_x", x), array("aft_v", v),
  sprintf("static const int32_t aft_f[] = {%s};", paste(as.integer(f) - 1L, collapse = ", ")),
  array("aft_g", as.integer(g) - 1), array("aft_weight", weight), array("aft_offset", offset),
  array("aft_right", right), array("aft_time_right", time_right),
  array("aft_left", left), array("aft_time_left", time_left),
  array("aft_kind", kind), array("aft_start", start), array("aft_stop", stop)
)
rows <- character()
for (k in seq_along(fits)) {
  fit <- fits[[k]]
  for (strata in c(FALSE, TRUE)) {
    if (strata && fit[[4]] > 0) next
    y <- fit[[2]]
    formula <- if (strata) y ~ x + v + f + offset(offset) + strata(g) else y ~ x + v + f + offset(offset)
    fixed <- fit[[1]] %in% c("exponential", "rayleigh")
    args <- list(formula, dist = fit[[1]], weights = weight,
                 control = list(rel.tolerance = 1e-14, iter.max = 200))
    if (!fixed) args$scale <- fit[[4]]
    m <- do.call(survreg, args)
    type <- attr(y, "type")
    name <- sprintf("aft_%d%s", k, if (strata) "s" else "")
    tau <- if (fit[[4]] > 0) numeric() else log(m$scale)
    out <- c(out, array(paste0(name, "_coef"), c(coef(m), tau)),
             array(paste0(name, "_se"), sqrt(diag(vcov(m)))))
    rows <- c(rows, sprintf(
      "    {\"%s %s%s\", %d, %d, %s, %s, %s, %s, %s, %s},", fit[[1]], type,
      if (strata) " strata" else "", base[[fit[[1]]]], types[[type]],
      if (fit[[3]]) "true" else "false", number(fit[[4]]), if (strata) "true" else "false",
      paste0(name, "_coef"), paste0(name, "_se"), number(m$loglik[[2]])))
  }
}
out <- c(out, "static const struct oracle aft_oracles[] = {", rows, "};")
writeLines(unlist(lapply(out, strwrap, 88, exdent = 4)), "oracle-aft.inc")
