live_fit <- function() {
  d <- mixed_rows(3000, seed = 60)
  m <- stream_glm(click ~ x + a, d[1:1000, ], binomial)
  list(m = m, d = d, new = d[1001:3000, ])
}

test_that("a live model updates in place; its model was and stays a value", {
  f <- live_fit()
  live <- live_model(f$m)
  before <- coef(f$m)
  update(live, f$new)
  expect_identical(coef(f$m), before)
  expect_equal(current_model(live)$version, 2)
  expect_false(isTRUE(all.equal(coef(current_model(live)), before)))
})

test_that("a live model that learnt rows equals the value updated with them, to the last bit", {
  f <- live_fit()
  live <- live_model(f$m)
  update(live, f$new)
  expect_identical(coef(current_model(live)), coef(update(f$m, f$new)))
  expect_identical(current_model(live)$state, update(f$m, f$new)$state)
})

test_that("rows of an unfilled block wait, and come into the next one however they arrive", {
  f <- live_fit()
  live <- live_model(f$m)
  update(live, f$new[1:300, ])
  expect_identical(coef(current_model(live)), coef(f$m))
  update(live, f$new[301:1150, ])
  once <- live_model(f$m)
  update(once, f$new[1:1150, ])
  expect_identical(current_model(live)$state, current_model(once)$state)
  update(live, f$new[1151:1200, ], flush = TRUE)
  expect_equal(current_model(live)$version, 2)
})

test_that("predict() of a live model is that of what it is now", {
  f <- live_fit()
  live <- live_model(f$m)
  expect_identical(predict(live, f$d), predict(f$m, f$d))
  update(live, f$new)
  expected <- predict(current_model(live), f$d, type = "response")
  expect_identical(predict(live, f$d, type = "response"), expected)
})

test_that("a live model prints what it is", {
  f <- live_fit()
  m <- f$m
  live <- live_model(m)
  expect_snapshot({
    live
    update(live, f$new[1:1500, ])
    live
  })
})

test_that("an unseen level counts as the first, with a warning", {
  f <- live_fit()
  live <- live_model(f$m)
  odd <- f$new
  odd$a[5] <- "new"
  expect_warning(update(live, odd), class = "riffle_warning_unseen")
  plain <- f$new
  plain$a[5] <- "A"
  expect_identical(coef(current_model(live)), coef(update(f$m, plain)))
})

test_that("a live model from another session is told so", {
  live <- live_model(live_fit()$m)
  path <- withr::local_tempfile()
  saveRDS(live, path)
  expect_error(print(readRDS(path)), class = "riffle_error_state")
})

test_that("wrong arguments are told by name", {
  f <- live_fit()
  live <- live_model(f$m)
  expect_snapshot(error = TRUE, {
    live_model(1)
    live_model(f$m, name = 3)
    current_model(f$m)
    update(live)
    update(live, 3)
    update(live, f$new, flush = NA)
    update(live, f$new["x"])
    predict(live)
    live_model(f$m, half_life = 0)
    live_model(f$m, half_life = "long")
    live_model(stream_naive_bayes(Species ~ ., iris), half_life = 100)
    live_model(stream_ftrl(click ~ x + a, f$d, family = "binomial"), half_life = 100)
  })
})

test_that("a live model's half-life is that of the renewable equation, block by block", {
  set.seed(5)
  d <- data.frame(y = rnorm(3000, rep(c(0, 3), c(1000, 2000))))
  m <- stream_glm(y ~ 1, d[1:1000, , drop = FALSE], control = list(block = 200L))
  live <- live_model(m, half_life = 300)
  update(live, d[1001:3000, , drop = FALSE])
  # What is known before a block is discounted by the block before: not at the first.
  keep <- 0.5^(200 / 300)
  mean <- unname(coef(m))
  info <- 1000
  prior <- info
  for (y in split(d$y[1001:3000], rep(1:10, each = 200))) {
    mean <- (prior * mean + sum(y)) / (prior + 200)
    info <- keep * info + 200
    prior <- keep * info
  }
  now <- current_model(live)
  expect_equal(unname(coef(now)), mean, tolerance = 1e-9)
  expect_equal(now$half_life, 300)
})

test_that("a live model with a half-life follows a change that one without does not", {
  set.seed(6)
  d <- data.frame(x = rnorm(8000))
  # The slope turns round after the first half.
  d$y <- rnorm(8000, d$x * rep(c(1, -1), each = 4000))
  m <- stream_glm(y ~ x, d[1:4000, ], control = list(block = 250L))
  forgets <- live_model(m, half_life = 500)
  keeps <- live_model(m)
  for (live in list(forgets, keeps)) update(live, d[4001:8000, ])
  # 8 half-lives leave 2^-8 of the old slope, and about 720 rows count: a standard error of 0.04.
  expect_lt(abs(coef(current_model(forgets))[["x"]] + 1), 0.2)
  expect_lt(abs(coef(current_model(keeps))[["x"]]), 0.2)
  own <- live_model(stream_glm(y ~ x, d[1:4000, ], half_life = 500, control = list(block = 250L)))
  update(own, d[4001:8000, ])
  expect_identical(current_model(own)$state, current_model(forgets)$state)
})

test_that("an infinite half-life overrides the model's", {
  f <- live_fit()
  forgetful <- stream_glm(click ~ x + a, f$d[1:1000, ], binomial, half_life = 100)
  live <- live_model(forgetful, half_life = Inf)
  update(live, f$new)
  expect_identical(coef(current_model(live)), coef(update(f$m, f$new)))
})

test_that("the rows of a learning block can be set while none waits", {
  f <- live_fit()
  live <- live_model(f$m)
  set_block(live, 250L)
  update(live, f$new[1:600, ])
  expect_equal(current_model(live)$version, 2)
  expect_error(set_block(live, 10L), class = "riffle_error_state")
})

test_that("what scoring and learning need of the data is told for queries", {
  d <- mixed_rows(50, seed = 61)
  m <- quietly(stream_glm(click ~ x + a + offset(o), d, binomial, weights = w))
  expect_setequal(recipe_columns(m, "score"), c("x", "a", "o"))
  expect_setequal(recipe_columns(live_model(m), "learn"), c("click", "x", "a", "o", "w"))
})

test_that("nothing is left alive in C when a live model is gone", {
  f <- live_fit()
  gc()
  before <- .Call(c_mem_live)
  live <- live_model(f$m)
  update(live, f$new)
  current_model(live)
  rm(live)
  gc()
  expect_equal(.Call(c_mem_live), before)
})
