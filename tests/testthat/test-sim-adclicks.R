test_that("the same seed gives the same bytes, another seed others", {
  d <- sim_adclicks(2000, seed = 7)
  expect_identical(sim_adclicks(2000, seed = 7), d)
  expect_equal(attr(d, "probability") > 0 & attr(d, "probability") < 1, rep(TRUE, 2000))
  expect_false(identical(sim_adclicks(2000, seed = 8)$click, d$click))
})

test_that("the bytes are the same on every platform", {
  # Recorded once. Every value is a whole number of thousandths (times: of milliseconds), so the
  # sums are exact and change when any value does.
  d <- sim_adclicks(10000, users = 300, ads = 20, drift = 0.5, seed = 42)
  weigh <- function(x) sum(round(as.numeric(x) * 1000) %% 1e6 * (seq_along(x) %% 97 + 1))
  expect_identical(vapply(d, weigh, 0), c(
    time = 245419114625, user_id = 49481589000, segment = 1181673000,
    activity = 254911426860, device = 882785000, hour = 5631591000, daypart = 1223889000,
    ad_id = 5112952000, category = 1473927000, quality = 270744521990,
    position = 975754000, click = 10873000
  ))
})

test_that("set.seed() governs when no seed is given", {
  set.seed(3)
  a <- sim_adclicks(100)
  set.seed(3)
  expect_identical(sim_adclicks(100), a)
  expect_false(identical(sim_adclicks(100), a))
})

test_that("columns are what the page says", {
  d <- sim_adclicks(5000, users = 40, ads = 10, seed = 1)
  expect_named(d, c(
    "time", "user_id", "segment", "activity", "device", "hour", "daypart", "ad_id", "category",
    "quality", "position", "click"
  ))
  expect_false(is.unsorted(d$time))
  expect_identical(attr(d$time, "tzone"), "UTC")
  expect_lte(as.numeric(difftime(max(d$time), min(d$time), units = "days")), 7)
  expect_identical(as.integer(format(d$time, "%H")), d$hour)
  expect_setequal(d$click, 0:1)
  expect_identical(nlevels(d$user_id), 40L)
  for (name in names(Filter(is.factor, d))) {
    expect_identical(levels(d[[name]]), sort(levels(d[[name]]), method = "radix"))
  }
  expect_true(all(tapply(d$quality, d$ad_id, \(x) length(unique(x))) == 1L, na.rm = TRUE))
})

test_that("the mean rate is the one asked for", {
  for (rate in c(0.01, 0.02, 0.2)) {
    d <- sim_adclicks(50000, click_rate = rate, seed = 1)
    # 4 standard deviations of a mean of 50,000.
    expect_lt(abs(mean(d$click) - rate), 4 * sqrt(rate / 50000))
  }
})

test_that("the truth is found again by its own formula", {
  d <- sim_adclicks(200000, seed = 11)
  m <- stream_glm(attr(d, "formula"), d, binomial)
  truth <- attr(d, "truth")
  expect_identical(names(coef(m)), names(truth))
  z <- (coef(m) - truth) / sqrt(diag(vcov(m)))
  # 35 standard normal numbers: 4.5 is passed once in 4,000 seeds; the mean square is 1 +- 4 *
  # sqrt(2 / 35).
  expect_lt(max(abs(z)), 4.5)
  expect_lt(abs(mean(z^2) - 1), 4 * sqrt(2 / length(z)))
})

test_that("drift moves the truth from start to end", {
  d <- sim_adclicks(100000, drift = 1.5, click_rate = 0.2, seed = 12)
  moved <- attr(d, "truth_end") - attr(d, "truth")
  expect_equal(moved[moved != 0], c(categorygames = -1.5, devicemobile = 1.5))
  rate <- function(part) mean(d$click[part & d$device == "mobile" & d$category != "games"])
  late <- seq_len(nrow(d)) > 80000
  early <- seq_len(nrow(d)) <= 20000
  expect_gt(rate(late), rate(early) + 0.1)
  still <- sim_adclicks(10, seed = 1)
  expect_identical(attr(still, "truth_end"), attr(still, "truth"))
})

test_that("wrong arguments are told by name", {
  expect_snapshot(error = TRUE, {
    sim_adclicks(0)
    sim_adclicks(10, users = 3)
    sim_adclicks(10, ads = 4.5)
    sim_adclicks(10, click_rate = 0.9)
    sim_adclicks(10, drift = NA)
    sim_adclicks(10, seed = -1)
  })
})
