# A topic that holds mixed_rows(), and the stream that reads it.
topic_of_rows <- function(d, partitions = 3) {
  w <- test_world(c(rows = partitions))
  columns <- c("x", "z", "k", "a", "f", "flag", "w", "o", "y", "click", "count")
  kafka_produce(w$k, w$topic[["rows"]], d[columns])
  w$schema <- record_schema(
    x = "double", z = "double", k = "integer", a = "factor", f = "string", flag = "logical",
    w = "double", o = "double", y = "double", click = "integer", count = "integer"
  )
  w$stream <- function(...) read_stream(w$k, w$topic[["rows"]], w$schema, ...)
  w
}

test_that("a fit of a topic meets the contract of the fit of its rows", {
  d <- mixed_rows(900, seed = 70)
  d$x[4] <- NA
  d$f <- as.character(d$f)
  w <- topic_of_rows(d)
  f <- click ~ x * a + f + flag + offset(o)
  m <- quietly(stream_glm(f, w$stream(), binomial, weights = w))
  expect_meets_contract(m, oracle(f, d, binomial(), weights = w))
  expect_equal(m$counts$missing, 1)
})

test_that("a model knows the positions that it learnt, and update() skips them", {
  d <- mixed_rows(600, seed = 71)
  w <- topic_of_rows(d[1:400, ])
  m <- stream_glm(y ~ x + a, w$stream())
  expect_equal(sum(m$positions$offset), 400)
  kafka_produce(w$k, w$topic[["rows"]], d[401:600, names(d)])
  expect_message(m2 <- update(m, w$stream()), "400 positions", class = "riffle_message_skipped")
  expect_equal(nobs(m2), 600)
  expect_equal(sum(m2$positions$offset), 600)
  # Gaussian updates are exact, so learning a row twice would show.
  expect_equal(coef(m2), coef(stream_glm(y ~ x + a, d)), tolerance = 1e-10)
  expect_message(m3 <- update(m2, w$stream()), "600 positions")
  expect_identical(coef(m3), coef(m2))
})

test_that("predictions of a stream are those of its rows", {
  d <- mixed_rows(100, seed = 72)
  w <- topic_of_rows(d, partitions = 1)
  m <- stream_glm(click ~ x + a, d, binomial)
  expect_identical(predict(m, w$stream()), unname(predict(m, d)))
})

test_that("`.` leaves metadata out, and what a stream cannot do is told by name", {
  d <- mixed_rows(50, seed = 73)
  w <- topic_of_rows(d)
  m <- quietly(stream_glm(y ~ . - a - f, w$stream()))
  labels <- c("x", "z", "k", "flag", "w", "o", "click", "count")
  expect_identical(attr(terms(m), "term.labels"), labels)
  outside <- 3
  s <- w$stream()
  expect_snapshot(error = TRUE, {
    stream_glm(y ~ x + outside, s)
    stream_glm(y ~ x, s, weights = rep(2, 50))
    stream_glm(y ~ x, s, subset = k)
  })
})
