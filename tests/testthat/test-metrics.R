test_that("metrics are what their definitions give", {
  set.seed(1)
  p <- round(runif(500), 2) * 0.98 + 0.01
  y <- rbinom(500, 1, p)
  m <- model_metrics(y, p)
  expect_equal(m$log_loss, -mean(ifelse(y == 1, log(p), log1p(-p))), tolerance = 1e-12)
  expect_equal(m$brier, mean((y - p)^2), tolerance = 1e-12)
  # Wilcoxon's statistic is the number of pairs in order.
  w <- suppressWarnings(stats::wilcox.test(p[y == 1], p[y == 0])$statistic)
  expect_equal(m$auc, unname(w) / sum(y == 1) / sum(y == 0), tolerance = 1e-12)
  expect_lte(abs(m$auc - m$auc_binned), m$auc_bound)
  expect_equal(m$calibration, sum(p) / sum(y), tolerance = 1e-12)
  exact <- sum(p) / (stats::qchisq(c(0.975, 0.025), 2 * c(sum(y) + 1, sum(y))) / 2)
  expect_equal(c(m$calibration_low, m$calibration_high), exact, tolerance = 1e-3)
  base <- mean(y)
  entropy <- -base * log(base) - (1 - base) * log(1 - base)
  expect_equal(m$normalised_entropy, m$log_loss / entropy, tolerance = 1e-12)
})

test_that("slices are the metrics of their rows, and the rest is one", {
  set.seed(2)
  d <- data.frame(a = rep(sprintf("u%03d", 1:80), each = 20), y = rbinom(1600, 1, 0.3))
  p <- runif(1600)
  m <- model_metrics(d$y, p, by = d["a"])
  expect_identical(nrow(m), 51L)
  expect_identical(sum(m$n), 1600)
  one <- model_metrics(d$y[d$a == "u001"], p[d$a == "u001"])
  expect_equal(m[m$a == "u001", -1L], one, ignore_attr = TRUE)
  expect_identical(m$a[[51L]], "other")
})

test_that("numbers have a squared error, and missing rows are counted", {
  m <- model_metrics(c(1.5, 2, NA), c(1, 2, 3))
  expect_equal(m$rmse, sqrt(0.125), tolerance = 1e-12)
  expect_true(is.na(m$log_loss))
  expect_identical(attr(m, "missing"), 1L)
})

test_that("wrong arguments of metrics are named", {
  expect_snapshot(model_metrics("a", 1), error = TRUE)
  expect_snapshot(model_metrics(c(0, 1), 0.5), error = TRUE)
  expect_snapshot(model_metrics(c(0, 1), c(0.5, 2)), error = TRUE)
  expect_snapshot(model_metrics(c(0, 1), c(0.5, 0.5), weights = c(1, -1)), error = TRUE)
  expect_snapshot(model_metrics(c(0, 1), c(0.5, 0.5), by = 1:3), error = TRUE)
})

clicks <- sim_adclicks(9000, seed = 3)
plain <- stream_glm(click ~ device, clicks[1:4000, ], family = binomial)
rich <- stream_glm(click ~ device + position, clicks[1:4000, ], family = binomial)

test_that("a backtest scores each row with what was known when it came", {
  new <- clicks[4001:9000, ]
  b <- backtest(new, list(plain = plain, rich = rich), delay = 300, refresh = 500)
  m <- plain
  expected <- numeric(5000)
  learnt <- 0
  for (from in seq(1, 5000, by = 500)) {
    known <- from - 1 - 300
    if (known > learnt) m <- update(m, new[(learnt + 1):known, ])
    learnt <- max(learnt, known)
    here <- from:(from + 499)
    expected[here] <- predict(m, new[here, ], type = "response")
  }
  one <- model_metrics(new$click, expected)
  found <- b$metrics[b$metrics$model == "plain", names(one)]
  expect_equal(found, one, ignore_attr = TRUE, tolerance = 1e-12)
  expect_identical(b$models$plain$state, m$state)
  expect_identical(b$metrics$model, c("plain", "rich", "running rate"))
  expect_identical(sum(b$windows$n[b$windows$model == "rich"]), 5000)
})

test_that("the running rate uses the last hundred outcomes that are known", {
  y <- rep(c(0, 1, 0, 0), 100)
  rate <- riffle:::running_rate(y, 10, 0.3)
  expect_identical(rate[1:11], rep(0.3, 11))
  expect_equal(rate[[12L]], (y[[1L]] + 0.3) / 2)
  expect_equal(rate[[300L]], (sum(y[190:289]) + 0.3) / 101)
})

test_that("differences are paired, and a model against itself has none", {
  b <- backtest(clicks[4001:9000, ], list(a = rich, b = rich), refresh = Inf, cluster = "user_id")
  same <- b$differences[b$differences$versus == "a", ]
  expect_identical(same$log_loss, 0)
  expect_identical(c(same$low, same$high), c(0, 0))
  against <- b$differences[b$differences$model == "a", ]
  expect_lt(against$high - against$low, 0.05)
  expect_output(print(b), "running rate")
  expect_s3_class(as.data.frame(b), "data.frame")
  withr::with_pdf(withr::local_tempfile(), expect_identical(plot(b), b))
})

test_that("drift alarms come when predictions part from outcomes, and hardly before", {
  set.seed(4)
  p <- rep(0.02, 2e5)
  y <- c(rbinom(1e5, 1, 0.02), rbinom(1e5, 1, 0.03))
  found <- drift_alarms(y, p)
  expect_gt(found$row[[1L]], 1e5)
  # A click rate half as high again is noticed within 15,000 rows: 300 expected clicks.
  expect_lt(found$row[[1L]], 1.15e5)
  expect_identical(found$direction[[1L]], "more")
})

test_that("false alarms are as rare as stated", {
  set.seed(5)
  z <- riffle:::poisson_score(rpois(4e5, 20), 20)
  # 200 alarms are expected in 400,000 blocks; their own spread is 7 %, the formula's error and
  # that of whole counts are allowed a quarter.
  n <- nrow(riffle:::page_test(z, riffle:::page_threshold(2000)))
  expect_gt(n, 150)
  expect_lt(n, 250)
})

test_that("wrong arguments of a backtest are named", {
  expect_snapshot(backtest(clicks, 1), error = TRUE)
  expect_snapshot(backtest(clicks, list(rich)), error = TRUE)
  expect_snapshot(backtest(clicks, rich, delay = -1), error = TRUE)
  expect_snapshot(backtest(clicks, rich, cluster = "nobody"), error = TRUE)
  expect_snapshot(drift_alarms(1, c(1, 2)), error = TRUE)
})
