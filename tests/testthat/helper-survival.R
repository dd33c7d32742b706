# survival::survreg() run to convergence. Surv() and strata() need not be attached.
survreg_oracle <- function(formula, data, ...) {
  call <- match.call()
  call[[1L]] <- survival::survreg
  environment(formula) <- list2env(
    list(Surv = survival::Surv, strata = survival::strata),
    parent = parent.frame()
  )
  call$formula <- formula
  call$control <- survival::survreg.control(rel.tolerance = 1e-12, maxiter = 200)
  suppressWarnings(eval(call, parent.frame()))
}

# Coefficients, log(scale) and log-likelihoods to 1e-7 of what they are (or of one), standard
# errors to 1e-5.
expect_meets_survreg <- function(m, o) {
  known <- !is.na(stats::coef(o))
  estimate <- c(stats::coef(o)[known], if (nrow(o$var) > length(known)) log(o$scale))
  ours <- survival_parameters(m)
  expect_identical(names(stats::coef(m)), names(stats::coef(o)))
  expect_identical(unname(is.na(stats::coef(m))), unname(!known))
  ours <- ours[!is.na(ours)]
  expect_lt(max(abs(ours - estimate) / pmax(1, abs(estimate))), 1e-7)
  se <- sqrt(diag(if (is.null(o$naive.var)) o$var else o$naive.var))
  se <- se[c(known, rep(TRUE, length(se) - length(known)))]
  mine <- sqrt(diag(survival_vcov(m, naive = TRUE)))
  expect_lt(max(abs(mine[!is.na(mine)] / se - 1)), 1e-5)
  expect_lt(abs(m$fit$loglik / o$loglik[[2L]] - 1), 1e-7)
  expect_lt(abs(m$null_loglik / o$loglik[[1L]] - 1), 1e-7)
}

# Simulated rows: x, v numbers, f and g factors, time and event right-censored, low and high an
# interval, kind its status.
survival_rows <- function(n, seed) {
  set.seed(seed)
  d <- data.frame(
    x = rnorm(n), v = rexp(n), f = factor(sample(c("a", "b", "c"), n, TRUE)),
    g = factor(sample(c("u", "w"), n, TRUE)), w = sample(1:3, n, TRUE),
    user = sample(c("ann", "bob", "cy", "di", "ed", "flo"), n, TRUE), o = runif(n) - 0.5
  )
  eta <- 1 + 0.5 * d$x - 0.3 * d$v + c(0, 0.4, -0.2)[d$f] + d$o
  d$true <- exp(eta + 0.6 * log(rexp(n)))
  end <- rexp(n, 0.1)
  d$event <- d$true <= end
  d$time <- pmin(d$true, end)
  d$low <- d$true * 0.8
  d$high <- d$true * 1.3
  d$kind <- sample(0:3, n, TRUE)
  d
}
