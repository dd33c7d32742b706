shards_of <- function(d, n) unname(split(d, rep_len(seq_len(n), nrow(d))))

test_that("models of shards add up to the fit of all rows, whatever levels each shard has", {
  set.seed(1)
  d <- data.frame(
    y = sample(c("a", "b", "c"), 900, TRUE), x = rnorm(900), s = sample(letters, 900, TRUE),
    f = sample(c("u", "v"), 900, TRUE)
  )
  d <- d[order(d$s), ] # so that shards have levels of their own
  d$y[1:300] <- sample(c("b", "c"), 300, TRUE)
  shards <- list(d[601:900, ], d[1:300, ], d[301:600, ])
  models <- lapply(shards, \(rows) stream_naive_bayes(y ~ x + s + s:f, rows))
  m <- do.call(combine, models)
  all <- stream_naive_bayes(y ~ x + s + s:f, d)
  for (name in names(all$tables)) {
    both <- m$tables[[name]][rownames(all$tables[[name]]), colnames(all$tables[[name]])]
    expect_equal(both, all$tables[[name]], tolerance = 1e-12)
  }
  p <- predict(m, d, type = "prob")[, names(all$prior)]
  expect_equal(p, predict(all, d, type = "prob"), tolerance = 1e-10)
  expect_equal(nobs(m), 900)
  expect_equal(m$counts$rows, 900)
  expect_identical(combine(models[[1]])$state, models[[1]]$state)
})

test_that("a combined model goes on: it is updated, written and read", {
  shards <- shards_of(iris, 3)
  models <- lapply(shards[1:2], \(rows) stream_naive_bayes(Species ~ ., rows, prior = c(1, 1, 2)))
  m <- combine(models[[1]], models[[2]])
  expect_equal(unname(m$prior), c(0.25, 0.25, 0.5))
  all <- stream_naive_bayes(Species ~ ., iris, prior = c(1, 1, 2))
  expect_equal(update(m, shards[[3]])$tables, all$tables, tolerance = 1e-12)
  path <- withr::local_tempfile(fileext = ".riffle")
  write_model(m, path)
  expect_identical(predict(read_model(path), iris, type = "prob"), predict(m, iris, type = "prob"))
})

test_that("what does not add up is refused by name", {
  nb <- stream_naive_bayes(Species ~ ., iris)
  glm <- stream_glm(mpg ~ wt, mtcars)
  clusters <- stream_kmeans(~ wt + hp, mtcars, k = 2, seed = 1)
  live <- live_model(nb)
  expect_snapshot(error = TRUE, {
    combine()
    combine(1)
    combine(nb, live)
    combine(nb, glm)
    combine(clusters, clusters)
    combine(nb, stream_naive_bayes(Species ~ Sepal.Length, iris))
    combine(nb, stream_naive_bayes(Species ~ ., iris, laplace = 2))
    combine(nb, stream_naive_bayes(Species ~ ., iris, likelihood = "poisson"))
    combine(nb, stream_naive_bayes(Species ~ ., iris, prior = c(1, 1, 2)))
    combine(nb, stream_naive_bayes(Species ~ ., iris, half_life = 100))
  })
})

clicks_of <- function(n, seed = 1) {
  set.seed(seed)
  d <- data.frame(
    x = rnorm(n), a = sample(c("u", "v", "w"), n, TRUE), w = runif(n, 0.5, 2), o = rnorm(n) / 5
  )
  eta <- -1 + 0.4 * d$x + 0.5 * (d$a == "v") + d$o
  d$click <- runif(n) < plogis(eta)
  d$count <- rpois(n, exp(eta))
  d$y <- rnorm(n, eta)
  d$size <- rgamma(n, shape = 2, rate = 2 / exp(eta))
  d
}

test_that("gaussian models of shards are the fit of all rows, to rounding", {
  d <- clicks_of(3000)
  d$a[1:1000] <- "v" # a shard that knows neither the reference nor the third level
  shards <- list(d[1:1000, ], d[1001:1900, ], d[1901:3000, ])
  fit <- function(rows) {
    quietly(stream_glm(
      y ~ x * a + offset(o), rows, weights = w, levels = list(a = c("u", "v", "w"))
    ))
  }
  m <- do.call(combine, lapply(shards, fit))
  all <- fit(d)
  se <- sqrt(diag(vcov(all)))
  # Sums of squares of a few thousand rows are known to about 1e-13 of their size.
  expect_lte(max(abs(coef(m) - coef(all)) / se), 1e-9)
  expect_equal(vcov(m), vcov(all), tolerance = 1e-10)
  for (name in c("deviance", "null_deviance", "loglik", "aic", "n", "events", "dispersion")) {
    expect_equal(m$fit[[name]], all$fit[[name]], tolerance = 1e-10)
  }
  expect_equal(m$levels, all$levels)
  expect_equal(m$counts, all$counts)
  expect_equal(df.residual(m), df.residual(all))
  expect_identical(combine(m)$state, m$state)
})

test_that("models of shards of 20,000 rows are within a tenth of a standard error of all rows'", {
  d <- clicks_of(60000)
  shards <- shards_of(d, 3)
  kinds <- list(
    click ~ x + a + offset(o), binomial(), click ~ x + a + offset(o), binomial("probit"),
    count ~ x + a + offset(o), poisson(), size ~ x + a + offset(o), Gamma("log")
  )
  for (k in seq(1, length(kinds), by = 2)) {
    all <- stream_glm(kinds[[k]], d, kinds[[k + 1]])
    fits <- lapply(shards, \(rows) stream_glm(kinds[[k]], rows, kinds[[k + 1]]))
    m <- do.call(combine, fits)
    se <- sqrt(diag(vcov(all)))
    expect_lte(max(abs(coef(m) - coef(all)) / se), 0.1)
    expect_lte(max(abs(sqrt(diag(vcov(m))) / se - 1)), 0.01)
    # The second order of the deviance between shards and the whole.
    expect_equal(deviance(m), deviance(all), tolerance = 1e-3)
    expect_equal(m$fit$null_deviance, all$fit$null_deviance, tolerance = 1e-3)
    expect_equal(nobs(m), 60000)
    expect_equal(m$fit$events, all$fit$events)
  }
})

test_that("a combined GLM goes on: it is updated, written and read, and keeps its positions", {
  d <- clicks_of(9000)
  fits <- lapply(shards_of(d[1:6000, ], 2), \(rows) stream_glm(click ~ x + a, rows, binomial))
  fits[[1]]$positions <- data.frame(topic = "t", partition = 0:1, offset = c(5, 9))
  fits[[2]]$positions <- data.frame(topic = "t", partition = 1:2, offset = c(7, 3))
  m <- combine(fits[[1]], fits[[2]])
  expect_equal(m$positions$offset, c(5, 9, 3))
  expect_equal(m$version, 0)
  later <- update(m, d[6001:9000, ])
  all <- stream_glm(click ~ x + a, d, binomial)
  expect_lte(max(abs(coef(later) - coef(all)) / sqrt(diag(vcov(all)))), 0.1)
  expect_equal(nobs(later), 9000)
  path <- withr::local_tempfile(fileext = ".riffle")
  write_model(m, path)
  expect_identical(predict(read_model(path), d, se.fit = TRUE), predict(m, d, se.fit = TRUE))
})

test_that("models that forget are added up as they are now", {
  d <- clicks_of(4000)
  halves <- shards_of(d, 2)
  fits <- lapply(halves, \(rows) {
    m <- stream_glm(y ~ 1, rows[1:1000, ], half_life = 500)
    update(m, rows[1001:2000, ])
  })
  m <- do.call(combine, fits)
  # With the intercept alone, coefficients are weighted by what counts of each shard: the same.
  expect_equal(unname(coef(m)), mean(vapply(fits, coef, 1)), tolerance = 1e-10)
  expect_equal(m$fit$effective_n, 2 * fits[[1]]$fit$effective_n, tolerance = 1e-10)
})

test_that("GLMs that do not add up are refused by name", {
  d <- clicks_of(600)
  d$a <- factor(d$a)
  m <- stream_glm(click ~ x + a, d, binomial)
  few <- stream_glm(click ~ x + a, d[d$a != "u", ], binomial)
  own <- structure(
    list(
      family = "mine", link = "log", linkfun = log, linkinv = exp, mu.eta = exp,
      variance = \(mu) mu, valideta = \(eta) TRUE, validmu = \(mu) all(mu > 0),
      dev.resids = poisson()$dev.resids, aic = \(y, n, mu, wt, dev) NA,
      initialize = expression({
        n <- rep(1, nobs)
        mustart <- y + 0.1
      })
    ),
    class = "family"
  )
  odd <- stream_glm(count ~ x, d, own)
  counts <- lapply(shards_of(d, 2), \(rows) quietly(stream_glm(count ~ x, rows, nb_family())))
  counts[[1]]$family <- counts[[2]]$family
  lasso <- stream_glm(click ~ x + a, d, binomial, l1 = 0.01)
  expect_snapshot(error = TRUE, {
    combine(m, few)
    combine(m, stream_glm(click ~ x, d, binomial))
    combine(m, stream_glm(click ~ x + a, d, binomial("probit")))
    combine(m, stream_glm(click ~ x + a, d, binomial, l2 = 1))
    combine(m, stream_glm(click ~ x + a, d, binomial, weights = w))
    combine(m, stream_glm(click ~ x + a, d, binomial, half_life = 100))
    combine(odd, odd)
    combine(lasso, lasso)
  })
  expect_error(combine(counts[[1]], counts[[2]]), class = "riffle_error_model")
})
