fits <- function(formula = click ~ x + a * flag, family = binomial(), n = 400) {
  d <- mixed_rows(n, seed = 30)
  list(m = stream_glm(formula, d, family), truth = oracle(formula, d, family), data = in_c_order(d))
}

each_family <- list(
  list(y ~ x + a, gaussian()), list(click ~ x + a, binomial()), list(count ~ x + a, poisson())
)

test_that("vcov, logLik, AIC, BIC, nobs, deviance, df.residual and family are glm()'s", {
  for (case in each_family) {
    both <- fits(case[[1L]], case[[2L]])
    m <- both$m
    g <- both$truth$fit
    expect_equal(vcov(m), vcov(g), tolerance = 1e-6)
    expect_equal(as.numeric(logLik(m)), as.numeric(logLik(g)), tolerance = 1e-10)
    expect_identical(attr(logLik(m), "df"), attr(logLik(g), "df") + 0)
    expect_equal(AIC(m), AIC(g), tolerance = 1e-10)
    expect_equal(BIC(m), BIC(g), tolerance = 1e-10)
    expect_equal(nobs(m), nobs(g))
    expect_equal(deviance(m), deviance(g), tolerance = 1e-10)
    expect_equal(df.residual(m), df.residual(g))
    expect_equal(family(m)$family, family(g)$family)
    expect_identical(formula(m), formula(g), ignore_attr = TRUE)
    expect_identical(attr(terms(m), "term.labels"), attr(terms(g), "term.labels"))
  }
})

test_that("summary() has glm()'s table: estimates, standard errors, z or t, p values", {
  for (case in list(list(y ~ x + a, gaussian()), list(click ~ x + a, binomial()))) {
    both <- fits(case[[1L]], case[[2L]])
    ours <- summary(both$m)$coefficients
    theirs <- summary(both$truth$fit)$coefficients
    expect_identical(dimnames(ours), dimnames(theirs))
    # glm()'s standard errors are those of the iteration before the last.
    expect_equal(ours, theirs, tolerance = 1e-6)
  }
})

test_that("confint() is Wald and says so: t quantiles for gaussian, normal ones otherwise", {
  both <- fits(y ~ x + a, gaussian())
  expected <- confint(lm(y ~ x + a, both$data))
  expect_equal(confint(both$m), expected, tolerance = 1e-7, ignore_attr = TRUE)
  expect_identical(attr(confint(both$m), "method"), "Wald")
  both <- fits()
  expected <- confint.default(both$truth$fit, level = 0.9)
  expect_equal(confint(both$m, level = 0.9), expected, tolerance = 1e-6, ignore_attr = TRUE)
  expect_identical(rownames(confint(both$m, "x")), "x")
  expect_identical(rownames(confint(both$m, 2:3)), names(coef(both$m))[2:3])
  expect_snapshot(error = TRUE, {
    confint(both$m, "nope")
    confint(both$m, level = 95)
  })
})

test_that("model.matrix() and model.frame() of new rows are R's", {
  both <- fits()
  new <- both$data[11:20, ]
  new$x[3] <- NA
  g <- both$truth$fit
  expected <- model.matrix(delete.response(terms(g)), new, xlev = g$xlevels)
  got <- model.matrix(both$m, new)
  expect_equal(got, expected, ignore_attr = c("assign", "contrasts"))
  expect_identical(attr(got, "assign"), attr(expected, "assign"))
  expect_identical(attr(got, "contrasts"), attr(expected, "contrasts"))
  expect_identical(names(model.frame(both$m, new)), names(model.frame(g)))
})

test_that("residuals() of the rows that were fitted are glm()'s", {
  for (case in each_family) {
    both <- fits(case[[1L]], case[[2L]])
    for (type in c("deviance", "pearson", "response", "working")) {
      expect_equal(
        residuals(both$m, both$data, type = type), residuals(both$truth$fit, type = type),
        tolerance = 1e-7, ignore_attr = TRUE
      )
    }
    expect_equal(fitted(both$m, both$data), fitted(both$truth$fit), tolerance = 1e-9)
  }
})

test_that("what needs rows says that the model keeps none", {
  m <- fits()$m
  expect_snapshot(error = TRUE, {
    predict(m)
    residuals(m)
    fitted(m)
    model.frame(m)
    model.matrix(m)
    simulate(m)
    augment(m)
    update(m)
    update(m, . ~ . - x)
  })
})

test_that("tidy(), glance() and augment() give data frames", {
  both <- fits()
  t <- tidy(both$m, conf.int = TRUE)
  expect_identical(t$term, names(coef(both$m)))
  expect_equal(t$estimate, unname(coef(both$m)))
  expect_equal(t$conf.low, unname(confint(both$m)[, 1L]))
  expect_equal(tidy(both$m, exponentiate = TRUE)$estimate, exp(t$estimate))
  expect_equal(glance(both$m)$AIC, AIC(both$m))
  expect_equal(glance(both$m)$df.null, both$truth$fit$df.null)
  a <- augment(both$m, both$data[1:5, ], type.predict = "response")
  expect_equal(a$.fitted, unname(predict(both$m, both$data[1:5, ], type = "response")))
  expect_named(a, c(names(both$data), ".fitted", ".resid"))
})

test_that("printing shows call, coefficients, rows and deviances", {
  d <- mtcars
  d$hp[1] <- NA
  m <- stream_glm(mpg ~ wt + hp + twice, transform(d, twice = 2 * wt)) |> quietly()
  expect_snapshot({
    m
    summary(m)
  })
  b <- stream_glm(am ~ wt, mtcars, binomial)
  expect_snapshot({
    b
    summary(b)
  })
})

test_that("all.equal() compares what was learnt", {
  d <- mixed_rows(200, seed = 31)
  m <- stream_glm(y ~ x, d)
  expect_true(all.equal(m, stream_glm(y ~ x, d)))
  expect_match(all.equal(m, stream_glm(y ~ x, d[-1, ]))[1L], "coefficients")
  expect_match(all.equal(m, lm(y ~ x, d)), "not a model")
})

test_that("simulate() draws from the model and takes a seed", {
  d <- mixed_rows(2000, seed = 32)
  m <- stream_glm(click ~ x, d, binomial)
  s <- simulate(m, 2, seed = 1, newdata = d)
  expect_identical(s, simulate(m, 2, seed = 1, newdata = d))
  # 2,000 coins: 4 standard deviations of their mean.
  expect_lt(abs(mean(s$sim_1) - mean(d$click)), 4 * sqrt(0.25 / 2000))
  expect_named(simulate(stream_glm(count ~ x, d, poisson), newdata = d), "sim_1")
  s <- simulate(stream_glm(y ~ 1, d), seed = 1, newdata = d)
  # A standard deviation of 2,000 normal numbers is known to 1.6 %.
  expect_equal(sd(s$sim_1), sd(d$y), tolerance = 0.1)
})

test_that("plot() draws every coefficient and returns the model", {
  pdf(NULL)
  on.exit(dev.off())
  m <- fits()$m
  expect_identical(withVisible(plot(m))$value, m)
  d <- data.frame(g = rep(c("a", "b"), each = 4), y = c(0, 1, 0, 1, 0, 0, 0, 0))
  separated <- quietly(stream_glm(y ~ g, d, binomial))
  expect_identical(withVisible(plot(separated))$visible, FALSE)
})

test_that("coeftest() of lmtest works on a model", {
  skip_if_not_installed("lmtest")
  m <- fits()$m
  expected <- summary(m)$coefficients
  expect_equal(lmtest::coeftest(m, df = Inf)[, ], expected, ignore_attr = TRUE, tolerance = 1e-12)
})
