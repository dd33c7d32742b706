test_that("the main job checks every score and meets its deadline", {
  file <- withr::local_tempfile(fileext = ".png")
  servers <- Sys.getenv("RIFFLE_KAFKA")
  took <- system.time(
    out <- capture.output(r <- suppressMessages(demo_adclicks(
      brokers = if (nzchar(servers)) servers, n = 40000, pace = Inf, plot = file
    )))
  )[["elapsed"]]
  expect_equal(r$checked, 20000)
  expect_gt(file.size(file), 1000)
  expect_match(out, "True against estimated", all = FALSE)
  expect_gt(mean(abs(r$coefficients$z) < 2), 0.85)
  expect_lt(sum(r$windows$log_loss), sum(r$windows$constant))
  expect_gt(mean(r$windows$auc), 0.6)
  expect_lt(took, 45)
})

test_that("log loss and AUC agree with their definitions", {
  set.seed(1)
  y <- rbinom(200, 1, 0.3)
  p <- round(runif(200, 0.05, 0.95), 1)
  expect_equal(riffle:::log_loss(y, p), -mean(stats::dbinom(y, 1, p, log = TRUE)))
  pairs <- outer(p[y == 1], p[y == 0], \(a, b) (a > b) + 0.5 * (a == b))
  expect_equal(riffle:::auc(y, p), mean(pairs))
})

test_that("too few impressions are refused by name", {
  expect_error(demo_adclicks(n = 10), "`n`", class = "riffle_error_argument")
})
