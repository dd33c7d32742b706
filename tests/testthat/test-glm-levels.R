# levels = and min_count = of stream_glm(), and what its models do with levels they do not have.

devices <- function(n = 900, seed = 1) {
  set.seed(seed)
  device <- sample(c("tv", "phone", "desk", "watch", "car"), n, TRUE, c(30, 30, 35, 3, 2) / 100)
  d <- data.frame(device = device, x = rnorm(n))
  d$y <- rnorm(n, d$x + 2 * (device == "phone"))
  d
}

test_that("declared levels keep their order and stay when no row has them", {
  d <- devices()
  d <- d[d$device %in% c("tv", "phone"), ]
  declared <- c("tv", "never", "phone")
  expect_message(
    m <- stream_glm(y ~ device + x, d, levels = list(device = declared)),
    "devicenever", class = "riffle_message_aliased"
  )
  expect_identical(m$xlevels, list(device = declared))
  g <- glm(y ~ device + x, data = transform(d, device = factor(device, declared)))
  expect_identical(names(which(is.na(coef(m)))), "devicenever")
  # glm() drops the level that no row has.
  expect_equal(coef(m)[names(coef(g))], coef(g), tolerance = 1e-9)
  rows <- m$levels$rows[match(declared, m$levels$level)]
  expect_equal(rows, c(sum(d$device == "tv"), 0, sum(d$device == "phone")))
})

test_that("a level that is not declared is an error, or goes to `other` when that is declared", {
  d <- devices()
  expect_error(
    stream_glm(y ~ device, d, levels = list(device = c("tv", "phone"))),
    class = "riffle_error_data"
  )
  m <- stream_glm(y ~ device + x, d, levels = list(device = c("tv", "phone", "other")))
  pooled <- ifelse(d$device %in% c("tv", "phone"), d$device, "other")
  g <- glm(y ~ device + x, data = transform(d, device = factor(pooled, c("tv", "phone", "other"))))
  expect_equal(coef(m), coef(g), tolerance = 1e-9)
  expect_equal(m$counts$pooled, sum(pooled == "other"))
})

test_that("levels with fewer rows than min_count are one, and so are unseen ones", {
  d <- devices()
  rows <- table(d$device)
  rare <- names(rows)[rows < 100]
  expect_setequal(rare, c("watch", "car"))
  m <- stream_glm(y ~ device + x, d, min_count = 100)
  pooled <- ifelse(d$device %in% rare, "other", d$device)
  expect_identical(m$xlevels$device, c("desk", "phone", "tv", "other"))
  g <- glm(y ~ device + x, data = transform(d, device = factor(pooled, m$xlevels$device)))
  expect_equal(coef(m), coef(g), tolerance = 1e-9)
  expect_equal(m$counts$pooled, sum(rows[rare]))

  new <- data.frame(device = c("watch", "fridge", "tv"), x = 0)
  same <- data.frame(device = c("other", "other", "tv"), x = 0)
  expect_no_warning(p <- predict(m, new))
  expect_equal(unname(p), unname(predict(g, same)), tolerance = 1e-9)
})

test_that("a model without `other` says which level it has not seen", {
  d <- devices()
  m <- stream_glm(y ~ device + x, d)
  new <- data.frame(device = c("tv", "fridge"), x = 0)
  expect_warning(p <- predict(m, new), "fridge", class = "riffle_warning_unseen")
  expect_identical(is.na(unname(p)), c(FALSE, TRUE))
  expect_error(predict(m, new, unseen = "error"), "fridge", class = "riffle_error_data")
})

test_that("update() of a model with `other` pools unseen levels, as the fit of all rows does", {
  d <- devices(1800)
  d$device[1000:1050] <- "fridge"
  kept <- list(device = c("desk", "phone", "tv", "other"))
  first <- stream_glm(y ~ device + x, d[1:900, ], levels = kept)
  both <- update(first, d[901:1800, ])
  all <- stream_glm(y ~ device + x, d, levels = kept)
  expect_identical(both$xlevels, first$xlevels)
  # Gaussian rows are renewed exactly: to rounding.
  expect_equal(coef(both), coef(all), tolerance = 1e-9)
  expect_equal(both$counts$pooled, all$counts$pooled)
})

test_that("min_count counts complete rows only, the same from frames of any cut", {
  d <- devices()
  d$x[d$device == "tv"][1:200] <- NA
  complete <- table(d$device[!is.na(d$x)])
  expect_lt(complete[["tv"]], 150)
  m <- stream_glm(y ~ device + x, d, min_count = 150)
  expect_identical(m$xlevels$device, c("desk", "phone", "other"))
  cut <- fit_cut(y ~ device + x, d, cut = 70, job = list(min_count = 150))
  expect_identical(cut$state, m$state)
})

test_that("a model whose family runs in R refuses update() and live models by name", {
  d <- transform(devices(300), count = rpois(300, exp(x / 2)))
  own <- poisson()
  own$family <- "mine"
  m <- stream_glm(count ~ x, d, own)
  expect_snapshot(error = TRUE, {
    update(m, d)
    live_model(m)
    stream_glm(count ~ x, d, map = lapply)
  })
})
