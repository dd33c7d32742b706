# Every kind of value that a record may have, and rows of them.
records <- function(n, seed) {
  set.seed(seed)
  data.frame(
    click = rbinom(n, 1L, 0.4), x = rnorm(n), k = sample(9L, n, TRUE),
    day = as.Date("2024-01-01") + sample(50, n, TRUE),
    at = .POSIXct(1.7e9 + 1e4 * runif(n), "UTC"), f = factor(sample(c("u", "v"), n, TRUE)),
    s = sample(c("red", "gr\u00fcn"), n, TRUE), flag = runif(n) < 0.5
  )
}

as_json <- function(d) {
  d$flag <- ifelse(is.na(d$flag), "null", tolower(d$flag))
  number <- \(x) ifelse(is.na(x), "null", sprintf("%.17g", x))
  text <- \(x) ifelse(is.na(x), "null", sprintf("\"%s\"", x))
  sprintf(
    "{\"unused\": [1, {\"x\": 2}], \"x\": %s, \"k\": %s, \"f\": %s, \"s\": %s, \"flag\": %s}",
    number(d$x), number(d$k), text(d$f), text(d$s), d$flag
  )
}

rows_of <- function(d) lapply(seq_len(nrow(d)), \(i) as.list(d[i, ]))

test_that("a scorer gives what predict() gives, to the last bit, for every model", {
  d <- records(300, seed = 1)
  models <- list(
    stream_glm(click ~ x + k + f * s + flag, d, binomial),
    stream_glm(x ~ k + s + offset(k), d), stream_glm(k ~ x + f, d, poisson),
    stream_naive_bayes(click ~ x + k + f + s + flag, d, likelihood = c(k = "poisson"))
  )
  for (m in models) {
    p <- unname(predict(m, d, type = "response"))
    expect_identical(vapply(rows_of(d), scorer(m), 0), p)
    expect_identical(vapply(as_json(d), scorer(m, "json"), 0, USE.NAMES = FALSE), p)
  }
  links <- unname(predict(models[[1]], d, type = "link"))
  expect_identical(vapply(rows_of(d), scorer(models[[1]], type = "link"), 0), links)
  clusters <- stream_kmeans(~ x + k, d, k = 3, seed = 1)
  near <- unname(predict(clusters, d))
  expect_equal(vapply(rows_of(d), scorer(clusters), 0), as.double(near))
})

test_that("several numbers come with their names", {
  d <- records(100, seed = 2)
  m <- stream_naive_bayes(s ~ x + f, d)
  p <- predict(m, d, type = "prob")
  score <- scorer(m, type = "prob")
  expect_identical(score(d[7, ]), p[7, ])
  expect_identical(scorer(m, "json", "prob")(as_json(d)[[7]]), p[7, ])
})

test_that("dates, times, 64-bit integers and factors are read as in data frames", {
  d <- records(60, seed = 3)
  d$big <- bit64::as.integer64(d$k) * 1000L
  d$level <- d$k %% 3L
  m <- stream_glm(x ~ day + at + big + level, d)
  expect_identical(vapply(rows_of(d), scorer(m), 0), unname(predict(m, d)))
  by_text <- stream_naive_bayes(click ~ s + f, d)
  score <- scorer(by_text)
  p <- unname(predict(by_text, d, type = "response"))
  expect_identical(vapply(seq_len(60), \(i) score(d[i, ]), 0), p)
  latin <- list(s = iconv("gr\u00fcn", "UTF-8", "latin1"), f = "u")
  expect_identical(score(latin), score(list(s = "gr\u00fcn", f = "u")))
})

test_that("missing values and unseen levels give what predict() gives", {
  d <- records(100, seed = 4)
  models <- list(
    stream_glm(click ~ x + s, d, binomial), stream_naive_bayes(click ~ x + s, d)
  )
  odd <- d[1:4, ]
  odd$x[1] <- NA
  odd$s[2:3] <- c(NA, "purple")
  for (m in models) {
    p <- suppressWarnings(unname(predict(m, odd, type = "response")))
    expect_identical(vapply(rows_of(odd), scorer(m), 0), p)
    expect_identical(vapply(as_json(odd), scorer(m, "json"), 0, USE.NAMES = FALSE), p)
  }
  expect_equal(scorer(models[[2]], "json")("{}"), models[[2]]$prior[[2]], tolerance = 1e-15)
})

test_that("a scorer of a live model follows it", {
  d <- records(400, seed = 5)
  live <- live_model(stream_naive_bayes(click ~ x + f, d[1:100, ]))
  score <- scorer(live)
  before <- score(d[1, ])
  expect_identical(before, unname(predict(live, d[1, ], type = "response")))
  update(live, d[101:400, ], flush = TRUE)
  expect_identical(score(d[1, ]), unname(predict(live, d[1, ], type = "response")))
  expect_false(identical(score(d[1, ]), before))
})

test_that("predict() of one row is that of the row among others, with its name and warnings", {
  d <- records(50, seed = 6)
  m <- stream_glm(click ~ x + s, d, binomial)
  nb <- stream_naive_bayes(click ~ x + s, d)
  for (i in c(1, 20)) {
    expect_identical(predict(m, d[i, ]), predict(m, d)[i])
    expect_identical(predict(nb, d[i, ]), predict(nb, d)[i])
    p <- predict(nb, d, type = "prob")
    expect_identical(predict(nb, d[i, ], type = "prob"), p[i, , drop = FALSE])
  }
  expect_warning(predict(m, transform(d[1, ], s = "purple")), class = "riffle_warning_unseen")
  expect_warning(predict(nb, transform(d[1, ], s = "purple")), class = "riffle_warning_unseen")
  expect_error(predict(m, d[1, "x", drop = FALSE]), class = "riffle_error_schema")
  expect_error(predict(m, transform(d[1, ], x = "a")), class = "riffle_error_schema")
  twice <- predict(update(nb, d), d[1, ], type = "prob")
  expect_false(identical(twice, predict(nb, d[1, ], type = "prob")))
})

test_that("nothing is left alive by scorers that are gone", {
  d <- records(50, seed = 7)
  m <- stream_glm(click ~ x + s, d, binomial)
  make <- \() {
    scorer(m)(d[1, ])
    scorer(m, "json")(as_json(d)[[1]])
    try(scorer(m, "json")("{"), silent = TRUE)
  }
  make()
  before <- live()
  make()
  expect_identical(live(), before)
})

test_that("mistakes are told by name", {
  d <- records(50, seed = 8)
  m <- stream_glm(click ~ x + s + flag, d, binomial)
  score <- scorer(m)
  json <- scorer(m, "json")
  good <- list(x = 1, s = "red", flag = TRUE)
  computed <- stream_glm(click ~ log(k), d, binomial)
  expect_snapshot(error = TRUE, {
    scorer(1)
    scorer(m, "xml")
    scorer(m, type = "prob")
    scorer(computed)
    score(3)
    score(list(1, "red", TRUE))
    score(good[-1])
    score(replace(good, "x", "one"))
    score(replace(good, "x", list(1:2)))
    score(replace(good, "x", list(list(1))))
    json(3)
    json(NA_character_)
    json("{\"x\": 1")
    json("[1]")
    json("{\"x\": \"one\"}")
    json("{\"flag\": 3}")
  })
})
