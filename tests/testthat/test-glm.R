test_that("all families meet the contract, with weights, offset, subset and missing values", {
  d <- mixed_rows(800)
  d$x[c(3, 50)] <- NA
  d$a[7] <- NA
  for (case in list(list("y", gaussian()), list("click", binomial()), list("count", poisson()))) {
    f <- as.formula(paste(case[[1L]], "~ x * flag + a + f + k + offset(o)"))
    expect_meets_contract(stream_glm(f, d, case[[2L]]), oracle(f, d, case[[2L]]))
    m <- quietly(stream_glm(f, d, case[[2L]], weights = w, subset = k > 0))
    truth <- oracle(f, d, case[[2L]], weights = w, subset = k > 0)
    expect_meets_contract(m, truth)
    expect_equal(AIC(m), AIC(truth$fit), tolerance = 1e-10)
  }
})

test_that("fits without an intercept, with interactions and with contrasts meet the contract", {
  d <- mixed_rows(600, seed = 2)
  formulas <- list(
    click ~ 0 + a + x, click ~ 0 + x + a:f, click ~ a * f * flag, click ~ x:z + a:x, click ~ 1
  )
  for (f in formulas) {
    expect_meets_contract(quietly(stream_glm(f, d, binomial)), oracle(f, d, binomial()))
  }
  f <- count ~ a * f
  codings <- list(a = "contr.sum", f = contr.helmert(3))
  m <- stream_glm(f, d, poisson, contrasts = codings)
  expect_meets_contract(m, oracle(f, d, poisson(), contrasts = codings))
})

test_that("adult census, 34 coefficients, meets the contract", {
  d <- adult_data()
  m <- stream_glm(adult_formula, d, binomial)
  expect_length(coef(m), 34L)
  d$income <- factor(d$income, levels = c("<=50K", ">50K"))
  expect_meets_contract(m, oracle(adult_formula, d, binomial()))
})

test_that("adult census is the same to the last bit however it is cut, and on one thread", {
  d <- adult_data()
  whole <- stream_glm(adult_formula, d, binomial)
  for (m in list(
    fit_cut(adult_formula, d, binomial, cut = 1000L),
    fit_cut(adult_formula, d, binomial, control = list(threads = 1)),
    fit_cut(adult_formula, d, binomial, cut = 4999L, control = list(threads = 1))
  )) {
    expect_identical(coef(m), coef(whole))
    expect_identical(vcov(m), vcov(whole))
    expect_identical(deviance(m), deviance(whole))
  }
})

test_that("a fit is the same to the last bit however the rows are cut, also at single rows", {
  d <- mixed_rows(300, seed = 3)
  d$x[5] <- NA
  whole <- fit_cut(count ~ x + a * f, d, poisson)
  for (cut in c(1L, 7L, 100L)) {
    m <- fit_cut(count ~ x + a * f, d, poisson, cut = cut)
    expect_identical(m$state, whole$state)
  }
})

test_that("clicks by position equal the closed form: log odds of the cell counts", {
  d <- bandit_data()
  m <- stream_glm(click ~ position, d, binomial)
  rows <- tapply(d$click, d$position, length)
  events <- tapply(d$click, d$position, sum)
  logit <- log(events / (rows - events))
  variance <- 1 / events + 1 / (rows - events)
  # The estimate is a difference of logarithms of whole numbers; what is left is Newton's last
  # step.
  expect_equal(unname(coef(m)), unname(c(logit[1L], logit[-1L] - logit[1L])), tolerance = 1e-10)
  expected <- c(variance[1L], variance[-1L] + variance[1L])
  expect_equal(unname(diag(vcov(m))), unname(expected), tolerance = 1e-7)
})

test_that("the separation warning names exactly the levels without a click", {
  d <- bandit_data()
  f <- click ~ user_feature_1
  silent <- tapply(d$click, d$user_feature_1, sum) == 0
  caught <- tryCatch(stream_glm(f, d, binomial), riffle_warning_separation = identity)
  expect_s3_class(caught, "riffle_warning_separation")
  expect_setequal(caught$levels$level, names(silent)[silent])
  expect_equal(caught$levels$events, rep(0, sum(silent)))
  expect_equal(caught$levels$rows, as.vector(table(d$user_feature_1)[caught$levels$level]))
  m <- quietly(stream_glm(f, d, binomial))
  table <- summary(m)$coefficients
  none <- paste0("user_feature_1", names(silent)[silent])
  expect_true(all(is.infinite(table[intersect(none, rownames(table)), "Std. Error"])))
  # What is estimable still meets the contract: levels with clicks, when the base level has some.
  if (!silent[[1L]]) {
    expected <- oracle(f, d, binomial())
    finite <- setdiff(names(coef(m)), none)
    expect_equal(coef(m)[finite], expected$coef[finite], tolerance = 1e-7)
    expect_true(all(is.finite(table[finite, "Std. Error"])))
  }
})

test_that("separated levels are told with their counts, for clicks and for counts", {
  d <- data.frame(g = rep(c("a", "b", "c"), each = 20))
  d$y <- c(rep(0:1, 10), rep(0, 20), rep(1, 20))
  expect_snapshot(m <- stream_glm(y ~ g, d, binomial))
  expect_equal(unname(is.infinite(summary(m)$coefficients[, 2L])), c(FALSE, TRUE, TRUE))
  d$n <- c(rep(1:4, 5), rep(0, 20), rep(2, 20))
  expect_warning(m <- stream_glm(n ~ g, d, poisson), class = "riffle_warning_separation")
  expect_equal(unname(is.infinite(summary(m)$coefficients[, 2L])), c(FALSE, TRUE, FALSE))
})

test_that("a number that separates warns too", {
  d <- data.frame(x = 1:20, y = rep(0:1, each = 10))
  expect_warning(stream_glm(y ~ x, d, binomial), class = "riffle_warning_separation")
})

test_that("aliased columns are NA as in glm(), told by one message", {
  d <- mixed_rows(100, seed = 4)
  d$twice <- 2 * d$x
  d$constant <- 3
  expect_snapshot(m <- stream_glm(y ~ x + twice + constant + a, d))
  expect_meets_contract(m, oracle(y ~ x + twice + constant + a, d, gaussian()))
  few <- d[1:4, ]
  m <- quietly(stream_glm(y ~ x + z + k + o + w, few))
  expect_identical(is.na(coef(m)), is.na(coef(glm(y ~ x + z + k + o + w, data = few))))
})

test_that("rows of weight 0 leave the degrees of freedom", {
  d <- mixed_rows(200, seed = 5)
  d$w[1:30] <- 0
  m <- stream_glm(y ~ x + a, d, weights = w)
  expect_meets_contract(m, oracle(y ~ x + a, d, gaussian(), weights = w))
  expect_equal(nobs(m), 170)
  expect_equal(df.residual(m), 166)
})

test_that("weights are evaluated as in glm(): in the data, then where the formula was written", {
  d <- mixed_rows(200, seed = 6)
  outside <- d$w
  m <- stream_glm(click ~ x, d, binomial, weights = w)
  expect_equal(coef(stream_glm(click ~ x, d, binomial, weights = outside)), coef(m))
  doubled <- stream_glm(click ~ x, d, binomial, weights = 2 * w)
  expect_equal(coef(doubled), coef(m), tolerance = 1e-12)
  in_a_function <- function(data) {
    inner <- data$w
    stream_glm(click ~ x, data, binomial, weights = inner)
  }
  expect_equal(coef(in_a_function(d)), coef(m))
  m <- stream_glm(click ~ x, d, binomial, offset = o)
  expect_meets_contract(m, oracle(click ~ x, d, binomial(), offset = o))
})

test_that("a share with numbers of trials as weights equals glm()", {
  d <- data.frame(trials = c(10, 20, 5, 8), wins = c(3, 11, 1, 7), x = 1:4)
  d$share <- d$wins / d$trials
  m <- stream_glm(share ~ x, d, binomial, weights = trials)
  expected <- oracle(share ~ x, d, binomial(), weights = trials)
  expect_meets_contract(m, expected)
  expect_equal(as.numeric(logLik(m)), as.numeric(logLik(expected$fit)), tolerance = 1e-10)
})

test_that("a class response: the first level is failure, any other success", {
  d <- mixed_rows(150, seed = 7)
  for (f in list(a ~ x, f ~ x, flag ~ x)) {
    expect_meets_contract(stream_glm(f, d, binomial), oracle(f, d, binomial()))
  }
})

test_that("a family may be a string, a function or an object", {
  d <- mixed_rows(100, seed = 8)
  m <- stream_glm(count ~ x, d, poisson())
  expect_identical(coef(stream_glm(count ~ x, d, "poisson")), coef(m))
  expect_identical(coef(stream_glm(count ~ x, d, poisson)), coef(m))
})

test_that("saving and loading a model is the identity", {
  d <- mixed_rows(100, seed = 9)
  m <- stream_glm(click ~ x * a, d, binomial)
  path <- withr::local_tempfile()
  saveRDS(m, path)
  back <- readRDS(path)
  expect_identical(coef(back), coef(m))
  expect_identical(back$state, m$state)
  expect_identical(predict(back, d), predict(m, d))
  expect_true(all.equal(back, m))
})

test_that("a saved model holds none of the rows that it was fitted to", {
  fit <- function() {
    rows <- mixed_rows(20000, seed = 9)
    do.call(stream_glm, list(click ~ x * a, rows, binomial))
  }
  # 20,000 rows are 1.5 MB; the model is its coefficients and cross-products.
  expect_lt(length(serialize(fit(), NULL)), 1e5)
})

test_that("permuting the rows changes nothing but rounding", {
  d <- mixed_rows(500, seed = 10)
  m <- stream_glm(click ~ x + a * flag, d, binomial)
  turned <- stream_glm(click ~ x + a * flag, d[sample(nrow(d)), ], binomial)
  # Sums of 500 terms in another order: a few hundred units in the last place at most.
  expect_equal(coef(turned), coef(m), tolerance = 1e-11)
})

test_that("rows that are left out are counted", {
  d <- mixed_rows(50, seed = 11)
  d$x[1:3] <- NA
  d$y[4] <- NaN
  m <- stream_glm(y ~ x, d)
  expect_equal(m$counts$missing, 4)
  expect_equal(nobs(m), 46)
  expect_error(stream_glm(y ~ x, d, na.action = na.fail), class = "riffle_error_data")
})

test_that("rows that cannot be learnt are errors", {
  d <- mixed_rows(30, seed = 12)
  d$minus <- -d$w
  d$inf <- replace(d$x, 3, Inf)
  d$none <- NA_real_
  d$zero <- 0
  expect_snapshot(error = TRUE, {
    stream_glm(y ~ x, d[0, ])
    stream_glm(y ~ none, d)
    stream_glm(y ~ x, d, weights = minus)
    stream_glm(y ~ inf, d)
    stream_glm(count ~ x, d, binomial)
    stream_glm(y ~ x, d, poisson)
    stream_glm(zero ~ x, d, binomial)
    stream_glm(y ~ x, d, subset = x > 100)
  })
})

test_that("wrong arguments are told by name", {
  d <- mixed_rows(30, seed = 13)
  expect_snapshot(error = TRUE, {
    stream_glm(y ~ x)
    stream_glm(y ~ x, binomial, d)
    stream_glm(y ~ x, binomial(), d)
    stream_glm(y ~ x, list(1))
    stream_glm(y ~ x, d, list(family = "gaussian"))
    nb_family(theta = -1)
    nb_family(link = "lug")
    tweedie_family()
    tweedie_family(1.5, "log")
    stream_glm(click ~ x, d, "binomal")
    stream_glm(click ~ x, d, 3)
    stream_glm(a ~ x, d)
    stream_glm(y ~ x, d, weights = "w")
    stream_glm(y ~ x, d, weights = 1:3)
    stream_glm(y ~ x, d, subset = "all")
    stream_glm(y ~ x, d, start = 1)
    stream_glm(y ~ x, d, na.action = na.pass)
    stream_glm(y ~ x, d, control = list(treads = 2))
    stream_glm(y ~ x, d, control = list(threads = 0))
    stream_glm(y ~ x, d, contrasts = list(x = "contr.sum"))
  })
})

test_that("a start is taken, and a wrong number of passes is told", {
  d <- mixed_rows(200, seed = 14)
  m <- stream_glm(click ~ x, d, binomial)
  again <- stream_glm(click ~ x, d, binomial, start = coef(m))
  expect_equal(coef(again), coef(m), tolerance = 1e-12)
  expect_lte(again$fit$passes, m$fit$passes)
  expect_warning(
    stream_glm(click ~ x, d, binomial, control = list(maxit = 1)),
    class = "riffle_warning_convergence"
  )
})

test_that("the null deviance with an offset and without an intercept is glm()'s", {
  d <- mixed_rows(150, seed = 15)
  for (f in list(count ~ x + offset(o), count ~ 0 + x, count ~ 0 + x + offset(o))) {
    expected <- glm(f, poisson, d, control = glm.control(epsilon = 1e-14, maxit = 100))
    m <- stream_glm(f, d, poisson)
    expect_equal(m$fit$null_deviance, expected$null.deviance, tolerance = 1e-9)
  }
})

test_that("nothing is left alive in C after fits, predictions and errors", {
  d <- mixed_rows(100, seed = 16)
  gc()
  before <- .Call(c_mem_live)
  m <- stream_glm(click ~ x * a, d, binomial)
  predict(m, d, se.fit = TRUE)
  update(m, d)
  try(stream_glm(y ~ x, d, weights = -w), silent = TRUE)
  gc()
  expect_equal(.Call(c_mem_live), before)
})

test_that("a fit, a prediction and an update survive every failed allocation", {
  d <- mixed_rows(60, seed = 17)
  m <- stream_glm(click ~ x + a, d, binomial, control = list(threads = 1))
  live <- live_model(m)
  update(live, d) # makes the memory in which rows wait for a full block
  verbs <- list(
    \() stream_glm(click ~ x + a, d, binomial, control = list(threads = 1)),
    \() predict(m, d, se.fit = TRUE), \() update(m, d), \() vcov(m),
    \() model.matrix(m, d), \() live_model(m), \() update(live, d), \() current_model(live)
  )
  for (verb in verbs) {
    gc()
    before <- .Call(c_mem_live)
    failures <- 0
    repeat {
      .Call(c_mem_fail_after, failures)
      caught <- tryCatch(verb(), riffle_error = identity)
      .Call(c_mem_fail_after, -1)
      if (!inherits(caught, "riffle_error_nomem")) break
      failures <- failures + 1
    }
    expect_false(inherits(caught, "riffle_error"))
    expect_gt(failures, 5)
    rm(caught)
    gc()
    expect_equal(.Call(c_mem_live), before)
  }
})
