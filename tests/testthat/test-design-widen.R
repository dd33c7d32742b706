rows_to_widen <- function() {
  set.seed(5)
  data.frame(
    y = rnorm(30), x = rnorm(30), a = sample(c("p", "q", "r"), 30, TRUE),
    b = sample(c("u", "v"), 30, TRUE)
  )
}

test_that("a wider recipe keeps the old columns where the map says", {
  d <- rows_to_widen()
  f <- y ~ x * a * b + hashed(a, bits = 2) + x:b
  old <- recipe_of(f, d, coding = "full", intercept = TRUE)
  new <- widen_recipe(old, list(a = c("n1", "n2"), b = "m"))
  to <- widen_map(old, new) + 1L
  # All levels are columns, so the model matrix is the indicator space itself.
  before <- matrix_of(old, d)[, ]
  after <- matrix_of(new, d)[, ]
  expect_identical(unname(after[, to]), unname(before))
  expect_true(all(after[, -to] == 0))
  expect_identical(colnames(after)[to], colnames(before))
  expect_gt(ncol(after), ncol(before))
})

test_that("new levels keep the base and come last in treatment contrasts", {
  d <- rows_to_widen()
  wide <- widen_recipe(recipe_of(y ~ a + x, d), list(a = "b"))
  expect_identical(design_columns(wide)$names, c("(Intercept)", "aq", "ar", "ab", "x"))
  x <- matrix_of(wide, data.frame(a = c("b", "p"), x = 1))
  expect_equal(unname(x[, "ab"]), c(1, 0))
})

test_that("contrasts that would change their meaning refuse new levels by name", {
  d <- rows_to_widen()
  recipe <- recipe_of(y ~ a, d, list(a = "contr.sum"))
  expect_snapshot(error = TRUE, widen_recipe(recipe, list(a = "b")))
})

# ---- update() ------------------------------------------------------------------------

# The last rows have levels that the first 4,000 do not have.
rows_with_more <- function(seed) {
  d <- mixed_rows(6000, seed = seed)
  late <- 4301:6000
  d$a[late] <- sample(c("b", "A", "c", "new", "Best"), length(late), TRUE)
  d
}

test_that("update() gives a new level coefficients, near those of the fit to all rows", {
  d <- rows_with_more(61)
  f <- click ~ x * a + a:f + flag
  m <- stream_glm(f, d[1:4000, ], binomial)
  wide <- update(m, d[-(1:4000), ])
  all <- stream_glm(f, d, binomial, levels = list(a = c("A", "b", "c", "Best", "new")))
  expect_identical(wide$xlevels$a, c("A", "b", "c", "Best", "new"))
  expect_identical(names(coef(wide)), names(coef(all)))
  # The contract of online learning for what the first fit knew. A new level's first block, 140
  # rows here, stands for the first fit of its coefficients: fewer events than the contract asks
  # for (over ten seeds the worst was 0.12).
  se <- sqrt(diag(vcov(all)))
  off <- abs(coef(wide) - coef(all)) / se
  late <- grepl("new|Best", names(se))
  expect_lte(max(off[!late]), 0.1)
  expect_lte(max(off[late]), 0.25)
  expect_lte(max(abs(sqrt(diag(vcov(wide))) / se - 1)), 0.05)
  expect_equal(nobs(wide), 6000)
  expect_false(anyNA(predict(wide, d)))
})

test_that("levels that come late are learnt as if they had been declared, to the bit", {
  d <- rows_with_more(62)
  all <- list(a = c("A", "b", "c", "Best", "new"))
  for (family in list(binomial(), gaussian(), poisson(), Gamma("log"))) {
    d$r <- switch(family$family, binomial = d$click, poisson = d$count, Gamma = exp(d$y), d$y)
    found <- stream_glm(r ~ x * a, d[1:4000, ], family)
    declared <- quietly(stream_glm(r ~ x * a, d[1:4000, ], family, levels = all))
    found <- update(found, d[-(1:4000), ])
    declared <- update(declared, d[-(1:4000), ])
    expect_identical(coef(found), coef(declared))
    expect_identical(vcov(found), vcov(declared))
    expect_identical(deviance(found), deviance(declared))
  }
})

test_that("widening leaves predictions for the old levels as they are", {
  d <- rows_with_more(63)
  m <- stream_glm(click ~ x * a, d[1:4000, ], binomial)
  rows <- new_rows(m, d[4301:6000, ], "learn")
  wide <- widen_model(m, rows)
  expect_identical(predict(wide, d[1:4000, ]), predict(m, d[1:4000, ]))
  expect_true(all(is.na(coef(wide)[c("aBest", "anew", "x:aBest", "x:anew")])))
  expect_identical(coef(wide)[names(coef(m))], coef(m))
  expect_identical(deviance(wide), deviance(m))
  learnt <- update(m, d[4001:4500, ])
  moved <- abs(predict(learnt, d[1:4000, ]) - predict(m, d[1:4000, ]))
  expect_lt(max(moved / predict(m, d[1:4000, ], se.fit = TRUE)$se.fit), 1.5)
  expect_identical(widen_model(m, new_rows(m, d[1:10, ], "learn")), m)
})

test_that("for gaussian rows new levels make the fit to all rows, one update after the other", {
  d <- rows_with_more(64)
  d$b <- d$f
  levels(d$b)[2] <- "late"
  d$b[1:5000][d$b[1:5000] == "late"] <- "low"
  m <- stream_glm(y ~ a * b + x, d[1:4000, ])
  for (rows in split(4001:6000, rep(1:4, each = 500))) m <- update(m, d[rows, ])
  level_order <- list(a = m$xlevels$a, b = m$xlevels$b)
  all <- stream_glm(y ~ a * b + x, d, levels = level_order)
  expect_equal(coef(m), coef(all), tolerance = 1e-10)
  expect_equal(vcov(m), vcov(all), tolerance = 1e-8)
})

test_that("a widened model goes to a file and learns on, and makes a live one", {
  d <- rows_with_more(65)
  m <- update(stream_glm(click ~ x + a, d[1:4000, ], binomial), d[4001:5000, ])
  file <- tempfile()
  on.exit(unlink(file))
  write_model(m, file)
  expect_identical(update(read_model(file), d[5001:6000, ])$state, update(m, d[5001:6000, ])$state)
  live <- live_model(m)
  update(live, d[5001:6000, ])
  expect_identical(coef(current_model(live)), coef(update(m, d[5001:6000, ])))
})

test_that("what cannot take new levels says so by name", {
  d <- rows_with_more(66)
  old <- d[1:4000, ]
  new <- d[5001:5100, ]
  sums <- stream_glm(click ~ a, old, binomial, contrasts = list(a = "contr.sum"))
  declared <- stream_glm(click ~ a, old, binomial, levels = list(a = c("A", "b", "c")))
  lasso <- stream_glm(click ~ a, old, binomial, l1 = 0.001)
  many <- d[rep(5001, 998), ]
  many$a <- sprintf("level %d", seq_len(998))
  expect_snapshot(error = TRUE, {
    update(sums, new)
    update(lasso, new)
    update(stream_glm(click ~ a, old, binomial), many)
  })
  expect_error(update(declared, new), "does not know: a: ", class = "riffle_error_data")
  # Levels of a factor that no row has are no new levels.
  few <- old[1:50, ]
  few$f <- factor(as.character(few$f), levels = c("low", "mid", "high", "never"))
  m <- update(stream_glm(click ~ f, old, binomial), few)
  expect_identical(m$xlevels$f, c("low", "mid", "high"))
})
