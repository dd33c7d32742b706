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
