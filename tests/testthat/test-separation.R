# Where a level has no event the coefficients run to infinity, but the fitted means do not: they
# are compared with those of glm() run for so long that its own are there.
long <- glm.control(epsilon = 1e-14, maxit = 100)

fitted_gap <- function(formula, d, family = binomial()) {
  m <- suppressMessages(suppressWarnings(stream_glm(formula, d, family)))
  g <- suppressWarnings(glm(formula, family, d, control = long))
  expect_true(all(is.finite(coef(m)[!is.na(coef(m))])))
  expect_true(m$fit$converged || m$fit$separated)
  expect_equal(deviance(m), deviance(g), tolerance = 1e-8)
  max(abs(predict(m, d, type = "response") - fitted(g)))
}

test_that("a reference level without events is held like any other", {
  d <- data.frame(ad = rep(c("a", "b", "c"), each = 50), click = rep(c(0, 1, 0), c(90, 10, 50)))
  expect_lt(fitted_gap(click ~ ad, d), 1e-10)
  m <- suppressWarnings(stream_glm(click ~ ad, d, binomial()))
  # b has 10 events of 50: the sum of the two is known, each alone is not.
  expect_equal(sum(coef(m)[c("(Intercept)", "adb")]), qlogis(0.2), tolerance = 1e-8)
  expect_true(all(is.infinite(sqrt(diag(vcov(m))))))
  p <- predict(m, data.frame(ad = c("a", "b", "c")), se.fit = TRUE)
  expect_equal(unname(p$se.fit[[2L]]), 1 / sqrt(50 * 0.2 * 0.8), tolerance = 1e-6)
  expect_warning(stream_glm(click ~ ad, d, binomial()), class = "riffle_warning_separation")
})

test_that("cells of interactions without events, and Poisson levels, have glm()'s means", {
  set.seed(1)
  for (k in 1:40) {
    n <- 200
    d <- data.frame(
      a = sample(c("p", "q", "r"), n, TRUE), b = sample(c("s", "t", "u"), n, TRUE), x = rnorm(n)
    )
    d$y <- rbinom(n, 1, plogis(-0.5 + 0.5 * d$x))
    empty <- sample(c("p", "q", "r"), 1L)
    other <- sample(c("s", "t", "u"), 1L)
    if (k %% 4 == 0) {
      d$y[d$a == empty] <- 0
    } else if (k %% 4 == 1) {
      d$y[d$a == empty & d$b == other] <- 0
    } else if (k %% 4 == 2) {
      d$y[d$a == empty] <- 1
      d$y[d$b == other & d$a != empty] <- 0
    } else {
      d$y[d$a == empty & d$b != other] <- 0
    }
    f <- if (k %% 2) y ~ a * b + x else y ~ a + b + x
    # glm() stops when its means are within about 1e-8 of the border.
    expect_lt(fitted_gap(f, d), 1e-6)
    if (k %% 4 != 2) expect_lt(fitted_gap(f, d, poisson()), 1e-6)
  }
})
