# The oracle is stats' glm() run to convergence on the same rows.
tight <- glm.control(epsilon = 1e-14, maxit = 100)
rows <- data.frame(
  x = mtcars$wt, f = factor(mtcars$cyl), w = rep(c(1, 2), 16), am = mtcars$am, mpg = mtcars$mpg,
  carb = mtcars$carb
)
pairs <- list(
  binomial = list(am ~ x + f, binomial()), poisson = list(carb ~ x + f, poisson()),
  gaussian = list(mpg ~ x * f, gaussian()), Gamma = list(mpg ~ x + f, Gamma("log")),
  inverse = list(mpg ~ x, inverse.gaussian("log"))
)
fits <- lapply(pairs, \(p) {
  list(
    ours = suppressWarnings(stream_glm(p[[1L]], rows, p[[2L]])),
    theirs = suppressWarnings(glm(p[[1L]], p[[2L]], rows, control = tight))
  )
})
# Separated fits have leverages that depend on when the iteration stopped.
fits$binomial <- list(
  ours = stream_glm(am ~ x, rows, binomial()),
  theirs = glm(am ~ x, binomial(), rows, control = tight)
)
same <- function(a, b, tolerance = 1e-6) {
  expect_equal(a, b, tolerance = tolerance, ignore_attr = TRUE)
}

test_that("residuals of every type are those of glm()", {
  for (fit in fits) {
    for (type in c("deviance", "pearson", "response", "working", "partial")) {
      same(residuals(fit$ours, rows, type), residuals(fit$theirs, type))
    }
    expect_named(residuals(fit$ours, rows), row.names(rows))
    same(weights(fit$ours, rows, "working"), weights(fit$theirs, "working"))
  }
})

test_that("leverage and influence are those of glm()", {
  for (fit in fits) {
    same(hatvalues(fit$ours, rows), hatvalues(fit$theirs))
    same(cooks.distance(fit$ours, rows), cooks.distance(fit$theirs))
    same(rstandard(fit$ours, rows), rstandard(fit$theirs))
    same(rstandard(fit$ours, rows, "pearson"), rstandard(fit$theirs, type = "pearson"))
    same(rstudent(fit$ours, rows), rstudent(fit$theirs))
    ours <- influence(fit$ours, rows)
    theirs <- influence(fit$theirs)
    for (part in names(theirs)) same(ours[[part]], theirs[[part]])
    expect_named(ours, names(theirs))
    same(dfbetas(fit$ours, rows), dfbetas(fit$theirs))
  }
})

test_that("rows with a missing value have missing residuals", {
  holes <- rows
  holes$x[[3L]] <- NA
  r <- residuals(fits$gaussian$ours, holes)
  expect_identical(which(is.na(unname(r))), 3L)
  expect_identical(which(is.na(unname(hatvalues(fits$gaussian$ours, holes)))), 3L)
  expect_true(all(is.na(influence(fits$gaussian$ours, holes)$coefficients[3L, ])))
})

test_that("simulated responses have the mean and the variance of the family", {
  d <- data.frame(y = c(2, 3, 4, 2.5), one = 1)
  big <- d[rep(1:4, 5000), ]
  for (family in list(gaussian(), Gamma("log"), inverse.gaussian("log"))) {
    m <- stream_glm(y ~ 1, big, family)
    y <- simulate(m, 1, seed = 1, newdata = big)$sim_1
    # Twenty thousand draws: the mean to 4 standard errors, the variance to a tenth.
    v <- m$fit$dispersion * family$variance(2.875)
    expect_lt(abs(mean(y) - 2.875), 4 * sqrt(v / 20000))
    expect_lt(abs(var(y) / v - 1), 0.1)
  }
  quasi_model <- stream_glm(y ~ 1, d, quasi(link = "log", variance = "mu"))
  expect_error(simulate(quasi_model, newdata = d), class = "riffle_error_argument")
})

test_that("analysis of deviance is that of glm()", {
  for (name in c("poisson", "gaussian", "Gamma")) {
    fit <- fits[[name]]
    theirs <- anova(fit$theirs, test = if (name == "poisson") "Chisq" else "F")
    ours <- anova(fit$ours, data = rows)
    expect_identical(dimnames(ours), dimnames(theirs))
    same(as.matrix(ours), as.matrix(theirs))
  }
  small <- stream_glm(carb ~ x, rows, poisson())
  their_small <- glm(carb ~ x, poisson(), rows, control = tight)
  ours <- anova(small, fits$poisson$ours)
  same(as.matrix(ours), as.matrix(anova(their_small, fits$poisson$theirs, test = "Chisq")))
  expect_output(print(ours), "Analysis of Deviance")
  expect_error(anova(small), class = "riffle_error_argument")
  expect_error(anova(small, fits$gaussian$ours), class = "riffle_error_argument")
})

test_that("calibration bins hold equal numbers of rows and the observed means", {
  m <- fits$poisson$ours
  table <- riffle:::calibration_table(m, rows, 0.95, 4L)
  expect_identical(table$n, rep(8L, 4L))
  expect_equal(sum(table$n * table$observed), sum(rows$carb))
  expect_equal(sum(table$n * table$predicted), sum(rows$carb), tolerance = 1e-8)
  file <- withr::local_tempfile()
  withr::with_pdf(file, {
    plot(m)
    plot(m, "calibration", rows, bins = 4)
  })
  expect_gt(file.size(file), 1000)
  expect_error(plot(m, "calibration"), class = "riffle_error_argument")
})

test_that("sandwich, lmtest and emmeans work on a model", {
  skip_if_not_installed("sandwich")
  skip_if_not_installed("lmtest")
  for (name in c("poisson", "gaussian", "Gamma")) {
    ours <- fits[[name]]$ours
    theirs <- fits[[name]]$theirs
    e <- environment()
    ours$call$data <- quote(rows)
    environment(ours$terms) <- e
    same(sandwich::sandwich(ours), sandwich::sandwich(theirs))
    same(
      sandwich::vcovCL(ours, cluster = rows$carb, type = "HC0", cadjust = FALSE),
      sandwich::vcovCL(theirs, cluster = rows$carb, type = "HC0", cadjust = FALSE)
    )
    same(unclass(lmtest::coeftest(ours)), unclass(lmtest::coeftest(theirs)))
  }
  smaller <- glm(carb ~ x, poisson(), rows, control = tight)
  ours <- lmtest::lrtest(stream_glm(carb ~ x, rows, poisson()), fits$poisson$ours)
  same(ours$Chisq, lmtest::lrtest(smaller, fits$poisson$theirs)$Chisq)
})

test_that("emmeans gives the means that it gives for glm(), and knows what cannot be estimated", {
  skip_if_not_installed("emmeans")
  fit <- fits$Gamma
  ours <- summary(emmeans::emmeans(fit$ours, "f", data = rows))
  theirs <- summary(emmeans::emmeans(fit$theirs, "f"))
  same(ours$emmean, theirs$emmean)
  same(ours$SE, theirs$SE)
  same(ours$df, theirs$df)
  holes <- expand.grid(a = c("p", "q"), b = c("r", "s", "t"), k = 1:4)
  holes <- holes[!(holes$a == "q" & holes$b == "t"), ]
  holes$y <- seq_len(nrow(holes))^1.3
  m <- suppressMessages(stream_glm(y ~ a * b, holes))
  g <- glm(y ~ a * b, gaussian(), holes, control = tight)
  ours <- as.data.frame(emmeans::emmeans(m, c("a", "b"), data = holes))
  theirs <- as.data.frame(emmeans::emmeans(g, c("a", "b")))
  same(ours$emmean, theirs$emmean)
  expect_identical(sum(is.na(ours$emmean)), 1L)
})
