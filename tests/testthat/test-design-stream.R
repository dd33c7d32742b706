stream_of_rows <- function(d, partitions = 3) {
  w <- test_world(c(rows = partitions))
  columns <- c("x", "z", "k", "a", "f", "flag", "w", "y", "click")
  kafka_produce(w$k, w$topic[["rows"]], d[columns])
  w$schema <- record_schema(
    x = "double", z = "double", k = "integer", a = "factor", f = "string", flag = "logical",
    w = "double", y = "double", click = "integer"
  )
  w$stream <- function(...) read_stream(w$k, w$topic[["rows"]], w$schema, ...)
  w
}

test_that("terms that R computes on a stream equal those on its rows", {
  d <- mixed_rows(900, seed = 80)
  d$f <- as.character(d$f)
  d$x[5] <- NA
  w <- stream_of_rows(d)
  power <- 2
  f <- y ~ poly(x, 2) * a + splines::ns(z, df = 3) + cut(x, 3) + factor(k) + I(w^power)
  m <- quietly(stream_glm(f, w$stream(), weights = 2 * w))
  truth <- quietly(stream_glm(f, d, weights = 2 * w))
  expect_identical(names(coef(m)), names(coef(truth)))
  expect_equal(coef(m), coef(truth), tolerance = 1e-8)
  power <- 7
  new <- w$stream(max_records = 50)
  expect_equal(predict(m, new), unname(predict(truth, as.data.frame(new))), tolerance = 1e-8)
  expect_output(print(m$recipe), "basis from all rows")
})

test_that("the subset of a stream is computed batch by batch", {
  d <- mixed_rows(500, seed = 81)
  w <- stream_of_rows(d)
  least <- 1
  m <- stream_glm(y ~ x + a, w$stream(), subset = k > least & !is.na(x))
  truth <- stream_glm(y ~ x + a, d, subset = k > least)
  expect_equal(coef(m), coef(truth), tolerance = 1e-10)
  expect_equal(m$counts$used, truth$counts$used)
  expect_equal(sum(m$positions$offset), 500)
})

test_that("update() of a model with computed terms learns a stream's new rows", {
  d <- mixed_rows(600, seed = 82)
  w <- stream_of_rows(d[1:400, ])
  f <- y ~ log(z + 1) + x:a
  m <- stream_glm(f, w$stream())
  kafka_produce(w$k, w$topic[["rows"]], d[401:600, c("x", "z", "k", "a", "y")])
  expect_message(m <- update(m, w$stream()), "400 positions")
  expect_equal(coef(m), coef(stream_glm(f, d)), tolerance = 1e-9)
})

test_that("two-column responses and hashed terms come from streams too", {
  set.seed(9)
  d <- data.frame(x = rnorm(300), id = sample(40, 300, TRUE), n = rpois(300, 4) + 1)
  d$s <- rbinom(300, d$n, plogis(d$x))
  d$f <- d$n - d$s
  s <- read_stream(d)
  f <- cbind(s, f) ~ x + hashed(id, bits = 3)
  m <- quietly(stream_glm(f, s, binomial))
  expect_equal(coef(m), coef(quietly(stream_glm(f, d, binomial))), tolerance = 1e-9)
})

test_that("a query refuses a model with terms that R computes, by name", {
  d <- mixed_rows(100, seed = 83)
  w <- stream_of_rows(d)
  live <- live_model(stream_glm(y ~ log(z + 1), d))
  expect_snapshot(error = TRUE, {
    w$stream() |> score_with(live) |> start_query(sink_memory())
    w$stream() |> learn_with(live) |> start_query()
  })
})
