test_that("link, response and their standard errors are predict.glm()'s", {
  d <- mixed_rows(500, seed = 40)
  cases <- list(
    list(y ~ x * a + f, gaussian()), list(click ~ x * a + f, binomial()),
    list(count ~ x * a + offset(o), poisson())
  )
  for (case in cases) {
    m <- stream_glm(case[[1L]], d, case[[2L]])
    g <- oracle(case[[1L]], d, case[[2L]])$fit
    new <- in_c_order(d)[1:50, ]
    for (type in c("link", "response")) {
      expect_equal(predict(m, new, type), predict(g, new, type), tolerance = 1e-9)
      ours <- predict(m, new, type, se.fit = TRUE)
      theirs <- predict(g, new, type, se.fit = TRUE)
      expect_equal(ours$fit, theirs$fit, tolerance = 1e-9)
      expect_equal(ours$se.fit, theirs$se.fit, tolerance = 1e-6)
      expect_equal(ours$residual.scale, theirs$residual.scale, tolerance = 1e-9)
    }
  }
})

test_that("terms add up to the link", {
  d <- mixed_rows(300, seed = 41)
  m <- stream_glm(click ~ x * a + flag, d, binomial)
  p <- predict(m, d, type = "terms", se.fit = TRUE)
  expect_identical(colnames(p$fit), attr(terms(m), "term.labels"))
  expect_equal(rowSums(p$fit) + attr(p$fit, "constant"), predict(m, d), tolerance = 1e-12)
  # The standard error of a term that is one column is that of its coefficient, scaled.
  expect_equal(unname(p$se.fit[, "x"]), abs(d$x) * sqrt(vcov(m)["x", "x"]), tolerance = 1e-12)
})

test_that("one row out for each row in, always, and NA where something is missing", {
  d <- mixed_rows(100, seed = 42)
  m <- stream_glm(click ~ x + a, d, binomial)
  new <- d[c(1:5), ]
  new$x[2] <- NA
  new$a[4] <- NA
  new$x[5] <- Inf
  p <- predict(m, new)
  expect_identical(is.na(unname(p)), c(FALSE, TRUE, FALSE, TRUE, TRUE))
  expect_identical(names(p), row.names(new))
  expect_length(predict(m, new[0, ]), 0L)
  expect_length(predict(m, new, na.action = na.omit), 2L)
  expect_identical(is.na(predict(m, new, type = "terms")[, "x"]), is.na(p))
})

test_that("one row at a time gives the same bits as all rows at once", {
  d <- mixed_rows(200, seed = 43)
  m <- stream_glm(click ~ x * a + f, d, binomial)
  for (type in c("link", "response")) {
    single <- vapply(seq_len(nrow(d)), \(i) predict(m, d[i, ], type), 0)
    expect_identical(unname(single), unname(predict(m, d, type)))
  }
  all <- predict(m, d, se.fit = TRUE)$se.fit
  single <- vapply(1:20, \(i) predict(m, d[i, ], se.fit = TRUE)$se.fit, 0)
  expect_identical(unname(single), unname(all[1:20]))
})

test_that("columns may come in any order, with others among them", {
  d <- mixed_rows(50, seed = 44)
  m <- stream_glm(y ~ x + a, d)
  expect_identical(predict(m, d[c("a", "z", "x")]), predict(m, d))
  expect_snapshot(error = TRUE, {
    predict(m, d["x"])
    predict(m, 1:3)
    predict(m, d, type = "class")
    predict(m, d, unseen = "drop")
  })
})

test_that("an unseen level gives NA with one warning, the reference, or an error that names it", {
  d <- mixed_rows(100, seed = 45)
  m <- stream_glm(y ~ x + a, d)
  new <- d[1:3, ]
  new$a[2] <- "new"
  expect_snapshot(p <- predict(m, new))
  expect_identical(is.na(unname(p)), c(FALSE, TRUE, FALSE))
  expect_warning(p <- predict(m, new, unseen = "reference"), class = "riffle_warning_unseen")
  new$a[2] <- "A"
  expect_identical(p, predict(m, new))
  new$a[2] <- "new"
  expect_snapshot(error = TRUE, predict(m, new, unseen = "error"))
})

test_that("a factor and a string predict alike, whatever the order of the factor's levels", {
  d <- mixed_rows(100, seed = 46)
  m <- stream_glm(y ~ a * f, d)
  turned <- d
  turned$a <- factor(d$a, levels = c("c", "b", "A", "other"))
  turned$f <- as.character(d$f)
  expect_identical(predict(m, turned), predict(m, d))
})

test_that("aliased columns count as nothing, as in predict.glm()", {
  d <- mixed_rows(60, seed = 47)
  d$twice <- 2 * d$x
  m <- quietly(stream_glm(y ~ x + twice, d))
  expect_equal(predict(m, d), fitted(lm(y ~ x, d)), tolerance = 1e-10)
})

# ---- update --------------------------------------------------------------------------

test_that("update() with rows gives a new model and leaves the old one", {
  d <- mixed_rows(3000, seed = 48)
  m <- stream_glm(click ~ x + a, d[1:1000, ], binomial)
  before <- m$state
  m2 <- update(m, d[1001:3000, ])
  expect_identical(m$state, before)
  expect_equal(m$version, 0)
  expect_equal(m2$version, 2)
  expect_equal(nobs(m2), 3000)
  expect_equal(m2$counts$rows, 3000)
})

test_that("an updated model is within 0.1 standard errors of the fit to all rows", {
  d <- mixed_rows(20000, seed = 49)
  all <- stream_glm(click ~ x + a + flag, d, binomial)
  m <- update(stream_glm(click ~ x + a + flag, d[1:2000, ], binomial), d[-(1:2000), ])
  se <- sqrt(diag(vcov(all)))
  expect_lte(max(abs(coef(m) - coef(all)) / se), 0.1)
  expect_lte(max(abs(sqrt(diag(vcov(m))) / se - 1)), 0.02)
})

test_that("for gaussian rows an update is the fit to all rows", {
  d <- mixed_rows(2500, seed = 50)
  m <- update(stream_glm(y ~ x + a, d[1:500, ]), d[-(1:500), ])
  all <- stream_glm(y ~ x + a, d)
  # The normal equations are linear: nothing is linearised at an early estimate.
  expect_equal(coef(m), coef(all), tolerance = 1e-10)
})

test_that("an update does not depend on how its rows are cut", {
  d <- mixed_rows(2600, seed = 51)
  m <- stream_glm(click ~ x + a, d[1:500, ], binomial)
  new <- d[-(1:500), ]
  whole <- learn_frames(m, new_rows(m, new, "learn"))
  for (cut in c(7L, 999L, 1000L)) {
    expect_identical(learn_frames(m, new_rows(m, new, "learn", cut = cut))$state, whole$state)
  }
})

test_that("learning blocks have control$block rows, the last one what is left", {
  d <- mixed_rows(1000, seed = 52)
  m <- stream_glm(click ~ x, d[1:500, ], binomial, control = list(block = 200))
  expect_equal(update(m, d[501:1000, ])$version, 3)
})

test_that("update() counts what it leaves out, and refuses a level beyond declared ones by name", {
  d <- mixed_rows(600, seed = 53)
  m <- stream_glm(click ~ x + a, d[1:500, ], binomial, levels = list(a = c("A", "b", "c")))
  new <- d[501:600, ]
  new$x[1:4] <- NA
  expect_equal(update(m, new)$counts$missing, 4)
  new$a[9] <- "new"
  expect_snapshot(error = TRUE, update(m, new))
  expect_snapshot(error = TRUE, update(m, new["x"]))
})

test_that("weights that are an expression are evaluated in the new rows", {
  d <- mixed_rows(900, seed = 54)
  d$twice <- 2 * d$w
  by_name <- update(stream_glm(click ~ x, d[1:500, ], binomial, weights = twice), d[501:900, ])
  by_call <- update(stream_glm(click ~ x, d[1:500, ], binomial, weights = 2 * w), d[501:900, ])
  expect_identical(coef(by_call), coef(by_name))
})

test_that("update() with a formula and data fits anew", {
  d <- mixed_rows(200, seed = 55)
  m <- stream_glm(click ~ x + a, d, binomial, weights = w, contrasts = list(a = "contr.sum"))
  without <- stream_glm(click ~ a, d, binomial, weights = w, contrasts = list(a = "contr.sum"))
  expect_equal(coef(update(m, . ~ . - x, data = d)), coef(without))
  only <- stream_glm(click ~ x, d, binomial, weights = w)
  expect_equal(coef(update(m, formula. = . ~ x, data = d)), coef(only))
  expect_equal(update(m, . ~ . - x, data = d)$call$formula, click ~ a, ignore_attr = TRUE)
})
