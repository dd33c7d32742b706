# Rows with every kind of feature, and holes in them.
bayes_rows <- function(n, seed, holes = TRUE) {
  set.seed(seed)
  class <- sample(c("a", "b", "c"), n, TRUE, c(5, 3, 2))
  k <- match(class, c("a", "b", "c"))
  d <- data.frame(
    class = factor(class), x = rnorm(n, k), z = rnorm(n, 100 - k, 1 + k),
    f = factor(sample(c("u", "v", "w"), n, TRUE), levels = c("w", "u", "v", "none")),
    s = sample(c("red", "green", "blue"), n, TRUE), flag = runif(n) < k / 4,
    count = rpois(n, k), w = sample(0:3, n, TRUE)
  )
  d$f[k == 3 & runif(n) < 0.6] <- "u"
  if (holes) {
    for (name in c("x", "f", "s", "flag", "count")) d[[name]][sample(n, n %/% 20)] <- NA
  }
  d
}

# naiveBayes() has levels of factors only; strings in C order.
e1071_bayes <- function(formula, data, laplace = 1) {
  skip_if_not_installed("e1071")
  e1071::naiveBayes(formula, in_c_order(data), laplace = laplace, na.action = stats::na.pass)
}

expect_same_posteriors <- function(m, peer, d, tolerance = 1e-10) {
  ours <- predict(m, d, type = "prob")
  theirs <- stats::predict(peer, in_c_order(d), type = "raw")
  expect_lte(max(abs(ours - theirs)), tolerance)
  expect_identical(
    as.character(predict(m, d)), as.character(stats::predict(peer, in_c_order(d)))
  )
}

test_that("posteriors and tables equal e1071's, with missing values, empty levels and laplace", {
  d <- bayes_rows(800, seed = 1)
  for (laplace in c(0, 1, 2.5)) {
    m <- stream_naive_bayes(class ~ x + z + f + s, d, laplace = laplace)
    peer <- e1071_bayes(class ~ x + z + f + s, d, laplace)
    for (name in c("x", "z", "f", "s")) {
      expect_equal(unname(m$tables[[name]]), unname(unclass(peer$tables[[name]])),
        tolerance = 1e-12, ignore_attr = TRUE
      )
    }
    # Without smoothing e1071 takes 0.001 for a probability of 0 (the level "none").
    expect_same_posteriors(m, peer, d)
  }
  expect_identical(colnames(m$tables$f), levels(d$f))
})

test_that("posteriors equal e1071's on data sets of R", {
  skip_if_not_installed("e1071")
  sets <- list(
    list(Species ~ ., iris), list(cyl ~ mpg + wt + hp, transform(mtcars, cyl = factor(cyl))),
    list(Survived ~ ., as.data.frame(Titanic)[rep(1:32, as.data.frame(Titanic)$Freq), -5]),
    list(feed ~ weight, chickwts), list(supp ~ len + dose, ToothGrowth)
  )
  for (set in sets) {
    m <- stream_naive_bayes(set[[1]], set[[2]])
    expect_same_posteriors(m, e1071_bayes(set[[1]], set[[2]]), set[[2]])
  }
})

test_that("where e1071 gives up the posterior is right", {
  skip_if_not_installed("e1071")
  d <- data.frame(y = factor(rep(c("a", "b"), each = 2)), x = c(-1, 1, 9, 11))
  far <- data.frame(x = c(200, -200))
  peer <- e1071_bayes(y ~ x, d)
  expect_equal(unname(stats::predict(peer, far, type = "raw")), matrix(0.5, 2, 2))
  # Two gaussians of variance 2 around 0 and 10: the log odds are 5 (x - 5).
  odds <- 5 * (far$x - 5)
  m <- stream_naive_bayes(y ~ x, d)
  expect_equal(unname(predict(m, far, type = "prob")[, "b"]), plogis(odds))
  near <- data.frame(x = c(4.9, 5, 5.2))
  expect_equal(unname(predict(m, near, type = "prob")[, "b"]), plogis(5 * (near$x - 5)))
})

test_that("each likelihood is what its formula says", {
  d <- bayes_rows(500, seed = 2, holes = FALSE)
  d$bit <- as.numeric(d$x > 1.5)
  m <- stream_naive_bayes(class ~ bit + count + w + flag, d, laplace = 2, likelihood = c(
    bit = "bernoulli", count = "poisson", w = "multinomial"
  ))
  expect_identical(
    m$likelihood, c(bit = "bernoulli", count = "poisson", w = "multinomial", flag = "bernoulli")
  )
  n <- as.vector(table(d$class))
  sums <- rowsum(as.matrix(d[c("bit", "count", "w")]), d$class)
  expect_equal(unname(m$tables$bit[, "1"]), unname((sums[, "bit"] + 2) / (n + 4)))
  rate <- (sums[, "count"] + 2 * mean(d$count)) / (n + 2)
  expect_equal(unname(m$tables$count[, "rate"]), unname(rate))
  expect_equal(unname(m$tables$w[, "share"]), rep(1, 3)) # the only one of its group
  flag <- rowsum(as.numeric(d$flag), d$class)
  expect_equal(unname(m$tables$flag[, "TRUE"]), unname((flag[, 1] + 2) / (n + 4)))

  one <- d[7, ]
  log_p <- log(n) + dbinom(one$bit, 1, m$tables$bit[, "1"], log = TRUE) +
    dpois(one$count, rate, log = TRUE) + log(m$tables$flag[, as.character(one$flag)])
  p <- exp(log_p - max(log_p))
  expect_equal(as.vector(predict(m, one, type = "prob")), unname(p / sum(p)))
})

test_that("multinomial features are one group", {
  set.seed(3)
  words <- as.data.frame(matrix(rpois(200 * 6, rep(1:6, each = 200)), 200))
  words$y <- sample(c("ham", "spam"), 200, TRUE)
  m <- stream_naive_bayes(y ~ ., words, likelihood = "multinomial")
  sums <- rowsum(as.matrix(words[1:6]), words$y) + 1
  share <- sums / rowSums(sums)
  expect_equal(unname(sapply(m$tables, \(t) t[, "share"])), unname(share))
  log_p <- as.matrix(words[1:6]) %*% t(log(share)) + rep(log(table(words$y)), each = 200)
  p <- exp(log_p - apply(log_p, 1, max))
  expect_equal(unname(predict(m, words, type = "prob")), unname(p / rowSums(p)))
})

test_that("the result does not depend on threads or on how rows are cut, to the last bit", {
  d <- bayes_rows(30000, seed = 4)
  one <- stream_naive_bayes(class ~ ., d, control = list(threads = 1))
  expect_identical(stream_naive_bayes(class ~ ., d, control = list(threads = 3))$state, one$state)
  job <- list(
    call = quote(f()), plan = parse_formula(class ~ ., names(d)), data = d, extras = list(),
    calls = list(), laplace = 1, prior = NULL, likelihood = NULL, half_life = Inf,
    control = check_control(list())
  )
  expect_identical(fit_bayes(job, cut = 777)$state, one$state)
  expect_identical(fit_bayes(job, cut = 9000)$state, one$state)
})

test_that("update() gives the fit of all rows, whatever levels and classes come", {
  d <- bayes_rows(600, seed = 5)
  d$class <- as.character(d$class)
  first <- d[d$class != "c" & d$s %in% "red", ][1:60, ]
  rest <- d[setdiff(row.names(d), row.names(first)), ]
  m <- update(stream_naive_bayes(class ~ x + f:s + s + flag, first), rest)
  all <- stream_naive_bayes(class ~ x + f:s + s + flag, rbind(first, rest))
  expect_equal(m$prior[names(all$prior)], all$prior, tolerance = 1e-14)
  for (name in names(all$tables)) {
    both <- m$tables[[name]][rownames(all$tables[[name]]), colnames(all$tables[[name]])]
    expect_equal(both, all$tables[[name]], tolerance = 1e-12)
  }
  p <- predict(m, d, type = "prob")[, names(all$prior)]
  expect_equal(p, predict(all, d, type = "prob"), tolerance = 1e-10)
  expect_equal(m$version, 1)
  expect_equal(nobs(m), 600)
  expect_identical(update(m, d[0, ])$tables, m$tables)
})

test_that("weights count rows, and a half-life makes them fade row by row", {
  d <- bayes_rows(300, seed = 6)
  m <- stream_naive_bayes(class ~ x + f + flag, d, weights = w)
  twice <- stream_naive_bayes(class ~ x + f + flag, d[rep(1:300, d$w), ])
  expect_equal(m$tables, twice$tables, tolerance = 1e-12)
  expect_equal(nobs(m), sum(d$w > 0))
  fades <- stream_naive_bayes(class ~ x + f + flag, d, half_life = 40)
  told <- stream_naive_bayes(class ~ x + f + flag, d, weights = 0.5^((299:0) / 40))
  expect_equal(fades$tables, told$tables, tolerance = 1e-10)
  expect_equal(fades$apriori, told$apriori, tolerance = 1e-10)
  parts <- stream_naive_bayes(class ~ x + f + flag, d[1:120, ], half_life = 40)
  expect_equal(update(parts, d[121:300, ])$tables, fades$tables, tolerance = 1e-10)
})

test_that("priors may be given, by name or in order", {
  d <- bayes_rows(200, seed = 7)
  m <- stream_naive_bayes(class ~ x, d, prior = c(c = 2, a = 1, b = 1))
  expect_equal(m$prior, c(a = 0.25, b = 0.25, c = 0.5))
  p <- predict(m, data.frame(x = NA_real_), type = "prob")
  expect_equal(as.vector(p), c(0.25, 0.25, 0.5))
  expect_error(
    update(m, data.frame(x = 1, class = "new")), "no prior", class = "riffle_error_data"
  )
})

test_that("predictions: one a row, classes, response, rows of missing values, unseen levels", {
  d <- bayes_rows(300, seed = 8)
  m <- stream_naive_bayes(class ~ x + s, d)
  new <- d[c(5, 9), ]
  new[2, c("x", "s")] <- NA
  p <- predict(m, new, type = "prob")
  expect_identical(dimnames(p), list(c("5", "9"), c("a", "b", "c")))
  expect_equal(p[2, ], m$prior, tolerance = 1e-15)
  expect_equal(rowSums(p), c("5" = 1, "9" = 1))
  expect_equal(predict(m, new, type = "response"), rowSums(p[, -1]), tolerance = 1e-15)
  expect_s3_class(predict(m, new), "factor")
  new$s[1] <- "purple"
  expect_warning(odd <- predict(m, new, type = "prob"), class = "riffle_warning_unseen")
  expect_equal(odd[1, ], predict(m, transform(new, s = NA_character_), type = "prob")[1, ])
  expect_error(predict(m, new, unseen = "error"), "purple", class = "riffle_error_data")
  expect_identical(nrow(predict(m, d[0, ], type = "prob")), 0L)
  alone <- vapply(1:50, \(i) predict(m, d[i, ], type = "prob")[[2]], 0)
  expect_identical(alone, unname(predict(m, d[1:50, ], type = "prob")[, 2]))
})

test_that("hard rows: one row, a class seen once, one level, extreme scales, weights of 0", {
  one <- stream_naive_bayes(y ~ x + f, data.frame(y = "only", x = 3, f = "l"))
  expect_equal(unname(predict(one, data.frame(x = 5, f = "l"), type = "prob")), matrix(1))
  d <- data.frame(
    y = c("a", "a", "a", "b"), x = c(1, 2, 4, 7), same = 5, f = "only", big = c(1, 2, 4, 7) * 1e300,
    small = c(1, 2, 4, 7) * 1e-300
  )
  m <- stream_naive_bayes(y ~ ., d)
  expect_equal(unname(m$tables$x[, "sd"]), c(sd(c(1, 2, 4)), sd(d$x)))
  expect_equal(m$tables$big[, "sd"] / 1e300, m$tables$x[, "sd"])
  expect_equal(m$tables$small[, "mean"] * 1e300, m$tables$x[, "mean"])
  p <- predict(m, d, type = "prob")
  expect_true(all(is.finite(p)))
  for (name in c("big", "small")) {
    other <- stream_naive_bayes(reformulate(name, "y"), d)
    expect_equal(predict(other, d, type = "prob"), predict(
      stream_naive_bayes(y ~ x, d), d, type = "prob"
    ), tolerance = 1e-12)
  }
  expect_error(
    stream_naive_bayes(y ~ x, d, weights = rep(0, 4)), "no rows", class = "riffle_error_data"
  )
  expect_error(
    stream_naive_bayes(y ~ x, transform(d, y = NA_character_)), "no rows",
    class = "riffle_error_data"
  )
  expect_error(stream_naive_bayes(y ~ x, d[0, ]), "no rows", class = "riffle_error_data")
  none <- stream_naive_bayes(y ~ x, transform(d, x = NA_real_))
  expect_equal(unname(predict(none, d, type = "prob")[1, ]), c(0.75, 0.25))
})

test_that("responses may be logicals and whole numbers", {
  d <- bayes_rows(200, seed = 9)
  by_flag <- stream_naive_bayes(flag ~ x + f, d)
  expect_identical(names(by_flag$prior), c("FALSE", "TRUE"))
  peer <- e1071_bayes(flag ~ x + f, transform(d[!is.na(d$flag), ], flag = factor(flag)))
  expect_same_posteriors(by_flag, peer, d)
  d$k <- rep(c(10L, 9L, 2L, 10L), 50)
  expect_identical(names(stream_naive_bayes(k ~ x, d)$prior), c("2", "9", "10"))
})

test_that("a model is written and read, and goes on learning, to the last bit", {
  d <- bayes_rows(400, seed = 10)
  m <- stream_naive_bayes(class ~ x + f + s, d[1:200, ], likelihood = c(x = "gaussian"))
  path <- withr::local_tempfile(fileext = ".riffle")
  write_model(m, path)
  back <- read_model(path)
  expect_identical(predict(back, d, type = "prob"), predict(m, d, type = "prob"))
  expect_identical(update(back, d[201:400, ])$state, update(m, d[201:400, ])$state)
})

test_that("a live model learns with a bucket for unknown levels and skips unknown classes", {
  d <- bayes_rows(3000, seed = 11)
  d$s <- factor(d$s)
  m <- stream_naive_bayes(class ~ x + s, d[1:1000, ])
  live <- live_model(m)
  update(live, d[1001:3000, ])
  now <- current_model(live)
  expect_equal(now$version, 2)
  expect_identical(colnames(now$tables$s), c("blue", "green", "red", "(unknown)"))
  n <- table(d$class, d$s)
  expect_equal(unname(now$tables$s[, 1:3]), unname(unclass((n + 1) / (rowSums(n) + 4))),
    ignore_attr = TRUE
  )
  all <- stream_naive_bayes(class ~ x + s, d)
  expect_equal(now$tables$x, all$tables$x, tolerance = 1e-12)
  odd <- d[1:1000, ]
  odd$s <- as.character(odd$s)
  odd$class <- as.character(odd$class)
  odd$s[1:10] <- "purple"
  odd$class[11:15] <- "new"
  expect_warning(update(live, odd, flush = TRUE), class = "riffle_warning_unseen")
  after <- current_model(live)
  expect_equal(sum(after$apriori), 3995)
  purple <- table(d$class[1:10])
  known <- table(d$class, is.na(d$s))[, 1] + table(odd$class, is.na(odd$s))[levels(d$class), 1]
  unknown <- (purple + 1) / (known + 4)
  expect_equal(as.vector(after$tables$s[, "(unknown)"]), as.vector(unknown))
})

test_that("rows of a topic give the fit of the data frame, and queries score and learn", {
  d <- bayes_rows(900, seed = 12)
  d$f <- as.character(d$f)
  w <- test_world(c(rows = 1))
  kafka_produce(w$k, w$topic[["rows"]], d[c("class", "x", "f", "count")])
  schema <- record_schema(class = "string", x = "double", f = "string", count = "integer")
  stream <- read_stream(w$k, w$topic[["rows"]], schema)
  m <- stream_naive_bayes(class ~ x + f + count, stream)
  plain <- transform(d, class = as.character(class))
  expect_identical(m$state, stream_naive_bayes(class ~ x + f + count, plain)$state)
  expect_identical(predict(m, stream, type = "response"), unname(predict(m, d, type = "response")))

  live <- live_model(stream_naive_bayes(class ~ x + f + count, plain[1:300, ]))
  out <- sink_memory()
  q <- stream |> score_with(live, type = "prob") |> learn_with(live)
  q <- start_query(q, out, trigger = "available-now")
  await_query(q)
  scores <- as.data.frame(out)
  expect_equal(nrow(scores), 900)
  expect_equal(scores$score + scores$score_2 + scores$score_3, rep(1, 900))
  expect_message(same <- update(m, stream), class = "riffle_message_skipped")
  expect_identical(same$tables, m$tables)
})

test_that("a model tells what it is", {
  d <- bayes_rows(250, seed = 13)
  m <- stream_naive_bayes(class ~ x + f + count, d, likelihood = c(count = "poisson"))
  expect_snapshot({
    print(m)
    summary(m)
    glance(m)
    head(tidy(m), 8)
  })
  a <- augment(m, d[1:3, ])
  expect_identical(tail(names(a), 4), c(".fitted", ".prob_a", ".prob_b", ".prob_c"))
  expect_identical(a$.fitted, unname(predict(m, d[1:3, ])))
  other <- update(m, . ~ . - count, data = d)
  expect_identical(names(other$tables), c("x", "f"))
})

test_that("mistakes are told by name", {
  d <- bayes_rows(60, seed = 14)
  m <- stream_naive_bayes(class ~ x, d)
  expect_snapshot(error = TRUE, {
    stream_naive_bayes(class ~ x)
    stream_naive_bayes(class ~ x, d, laplace = -1)
    stream_naive_bayes(class ~ x, d, half_life = "7 days")
    stream_naive_bayes(class ~ x, d, prior = c(1, 2))
    stream_naive_bayes(class ~ x, d, prior = c(a = 1, b = 2, d = 3))
    stream_naive_bayes(class ~ x, d, likelihood = "normal")
    stream_naive_bayes(class ~ f, d, likelihood = "poisson")
    stream_naive_bayes(class ~ f + x, d, likelihood = c(f = "gaussian"))
    stream_naive_bayes(class ~ f + x, d, likelihood = c(y = "gaussian"))
    stream_naive_bayes(class ~ f + x, d, likelihood = c("gaussian", "categorical"))
    stream_naive_bayes(class ~ f:x, d)
    stream_naive_bayes(class ~ f + offset(x), d)
    stream_naive_bayes(class ~ x, d, likelihood = "poisson")
    stream_naive_bayes(class ~ count, transform(d, count = -1), likelihood = "poisson")
    stream_naive_bayes(x ~ f, d)
    stream_naive_bayes(class ~ absent, d)
    predict(m)
    predict(m, d, type = "link")
    predict(m, d["f"])
    update(m)
    update(m, . ~ . + f)
    augment(m)
  })
})
