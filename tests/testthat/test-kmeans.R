blobs <- function(n, d, groups, apart, seed, share = rep(1, groups)) {
  withr::with_seed(seed, {
    at <- matrix(rnorm(groups * d, sd = apart), groups)
    x <- at[sample(groups, n, TRUE, share), , drop = FALSE] + rnorm(n * d)
  })
  as.data.frame(x)
}

first_rows <- function(d, k) as.matrix(d[seq_len(k), ])

kmeans_job <- function(formula, data, k, init = "++", weights = NULL, ...) {
  plan <- parse_formula(formula, data_fields(data), need_response = FALSE)
  extras <- if (!is.null(weights)) list(weights = list(name = weights, value = NULL))
  list(
    call = quote(stream_kmeans()), plan = plan, data = data, extras = extras, calls = list(),
    na_action = "na.omit", control = check_kmeans_control(list()),
    defaults = c("contr.treatment", "contr.poly"), half_life = Inf, k = k, nstart = 3, init = init,
    scale = FALSE, max_iter = 200, seed = 1
  )
}

test_that("from given centres it is kmeans(algorithm = \"Lloyd\"): centres, sizes, sums, labels", {
  sets <- list(
    list(blobs(3000, 2, 6, 4, 1), 6), list(blobs(2000, 7, 12, 1, 2), 12),
    list(blobs(1500, 16, 8, 2, 3), 20), list(iris[1:4], 3), list(faithful, 2), list(quakes, 5)
  )
  for (set in sets) {
    d <- set[[1L]]
    start <- first_rows(d, set[[2L]])
    if (anyDuplicated(start)) start <- as.matrix(unique(d)[seq_len(set[[2L]]), ])
    expected <- kmeans(d, start, iter.max = 1000, algorithm = "Lloyd")
    m <- stream_kmeans(~., d, start, max_iter = 1000)
    expect_equal(unname(m$centers), unname(expected$centers), tolerance = 1e-12)
    expect_equal(m$size, expected$size)
    expect_equal(m$withinss, unname(expected$withinss), tolerance = 1e-11)
    expect_equal(m$totss, expected$totss, tolerance = 1e-11)
    expect_equal(m$betweenss, expected$betweenss, tolerance = 1e-10)
    expect_identical(unname(predict(m, d)), unname(expected$cluster))
  }
})

test_that("scale = TRUE is kmeans() of scaled columns, with centres in the data's units", {
  d <- iris[1:4]
  start <- first_rows(unique(d), 4)
  z <- scale(d)
  zstart <- scale(start, attr(z, "scaled:center"), attr(z, "scaled:scale"))
  expected <- kmeans(z, zstart, iter.max = 1000, algorithm = "Lloyd")
  m <- stream_kmeans(~., d, start, scale = TRUE)
  expect_equal(m$size, expected$size)
  expect_equal(m$totss, expected$totss, tolerance = 1e-12)
  expect_equal(m$withinss, unname(expected$withinss), tolerance = 1e-11)
  expect_equal(m$divisor, vapply(d, sd, 0), tolerance = 1e-12)
  by <- split(seq_len(nrow(d)), predict(m, d))
  for (c in seq_along(by)) {
    expect_equal(m$centers[c, ], colMeans(d[by[[c]], ]), tolerance = 1e-12)
  }
})

test_that("on S4 20 of 20 seeds come within 0.1 % of the best known sum of squares", {
  path <- skip_without_data("kmeans/s4.txt")
  d <- stats::setNames(utils::read.table(path), c("x", "y"))
  best <- 1.570314e13
  found <- vapply(1:20, \(seed) {
    stream_kmeans(~ x + y, d, 15, nstart = 30, seed = seed)$tot.withinss
  }, 0)
  expect_lte(max(found), 1.001 * best)
})

test_that("as many starts are never worse than those of kmeans() on ten simulated sets", {
  far <- function(d, n, by) rbind(d, d[seq_len(n), ] + by)
  sets <- list(
    list(blobs(2000, 2, 5, 5, 1), 5), list(blobs(2000, 2, 15, 3, 2), 15),
    list(blobs(3000, 3, 6, 4, 3, share = c(100, 1, 1, 1, 1, 1)), 6),
    list(blobs(3000, 2, 8, 6, 4, share = 2^(8:1)), 8),
    list(blobs(2000, 32, 10, 1.5, 5), 10), list(blobs(1000, 32, 20, 2, 6), 20),
    list(far(blobs(2000, 2, 4, 5, 7), 3, 1e3), 5), list(far(blobs(1500, 5, 6, 3, 8), 1, 1e6), 7),
    list(blobs(1500, 1, 6, 5, 9), 6), list(blobs(2500, 4, 9, 4, 10), 9)
  )
  for (i in seq_along(sets)) {
    d <- sets[[i]][[1L]]
    k <- sets[[i]][[2L]]
    other <- withr::with_seed(i, suppressWarnings(kmeans(d, k, nstart = 20, iter.max = 100)))
    m <- suppressWarnings(stream_kmeans(~., d, k, nstart = 20, seed = i, max_iter = 1000))
    # Both are sums of squares about the same centres, when they agree: rounding aside.
    expect_lte(m$tot.withinss, other$tot.withinss * (1 + 1e-9), label = paste("set", i))
  }
})

test_that("the fit is the same to the bit however rows are cut, on any threads, with any memory", {
  d <- blobs(10000, 5, 7, 1, 4)
  d$w <- rep(c(1, 2, 0, 0.5), 2500)
  d$V2[c(5, 9000)] <- NA
  for (init in c("++", "parallel")) {
    job <- kmeans_job(~ V1 + V2 + V3 + V4 + V5, d, 7, init = init, weights = "w")
    one <- fit_kmeans(job)
    for (cut in c(999L, 4096L, 7001L)) expect_identical(fit_kmeans(job, cut)$state, one$state)
    job$control$threads <- 1L
    expect_identical(fit_kmeans(job, 3000L)$state, one$state)
    job$control$memory <- 1e-3
    expect_identical(fit_kmeans(job)$state, one$state)
  }
})

test_that("a seed fixes the fit; without one R's own generator does", {
  d <- blobs(500, 2, 6, 1, 1)
  a <- stream_kmeans(~., d, 6, nstart = 1, seed = 4)
  expect_identical(stream_kmeans(~., d, 6, nstart = 1, seed = 4)$state, a$state)
  b <- withr::with_seed(1, stream_kmeans(~., d, 6, nstart = 1))
  expect_identical(withr::with_seed(1, stream_kmeans(~., d, 6, nstart = 1))$state, b$state)
  seeds <- vapply(1:8, \(s) stream_kmeans(~., d, 6, nstart = 1, seed = s)$tot.withinss, 0)
  expect_gt(length(unique(seeds)), 1)
})

test_that("starts on a sample of the rows end as those on all", {
  d <- blobs(20000, 3, 6, 8, 3)
  all <- stream_kmeans(~., d, 6, nstart = 5, seed = 1)
  some <- stream_kmeans(~., d, 6, nstart = 5, seed = 1, control = list(sample = 2000))
  expect_true(some$fit$sampled && !all$fit$sampled)
  expect_equal(some$tot.withinss, all$tot.withinss, tolerance = 1e-9)
  expect_equal(some$size, all$size)
})

test_that("logicals are 0 and 1, products are coordinates, missing rows are left out", {
  d <- data.frame(x = c(1, 2, NA, 11, 12, 13), on = c(TRUE, TRUE, TRUE, FALSE, FALSE, FALSE))
  m <- stream_kmeans(~ x + on + x:on, d, 2, seed = 1)
  expect_setequal(colnames(m$centers), c("x", "onTRUE", "x:onTRUE"))
  expect_equal(m$size, c(3, 2))
  expect_equal(unname(m$centers[1L, "x"]), 12)
  expect_equal(unname(m$centers[, "onTRUE"]), c(0, 1))
  expect_equal(predict(m, d), c("1" = 2L, "2" = 2L, "3" = NA, "4" = 1L, "5" = 1L, "6" = 1L))
})

test_that("what is not as asked for is said", {
  d <- data.frame(x = rep(c(1, 5, 9), 20), y = 3)
  expect_snapshot(m <- stream_kmeans(~ x + y, d, 5, seed = 1))
  expect_equal(m$size, c(20, 20, 20))
  expect_equal(m$tot.withinss, 0)
  start <- rbind(c(1, 3), c(1, 3), c(9, 3))
  expect_snapshot(m <- stream_kmeans(~ x + y, d, start))
  expect_equal(sort(m$centers[, 1L]), c(1, 5, 9), ignore_attr = TRUE)
  expect_snapshot(stream_kmeans(~., blobs(500, 2, 9, 1, 2), 9, max_iter = 1, seed = 1)$iter)
})

test_that("arguments that are wrong are refused by name", {
  d <- data.frame(x = c(1, 2, 3), s = c("a", "b", "c"), w = c(1, 1, -1))
  expect_snapshot(error = TRUE, {
    stream_kmeans(~x, d)
    stream_kmeans(x ~ w, d, 2)
    stream_kmeans(~ x + s, d, 2)
    stream_kmeans(~ 0 + x, d, 2)
    stream_kmeans(~1, d, 2)
    stream_kmeans(~ log(x), d, 2)
    stream_kmeans(~x, d, 0)
    stream_kmeans(~x, d, matrix(1:4, 2))
    stream_kmeans(~x, d, 2, weights = w)
    stream_kmeans(~x, d, 2, init = "random")
    stream_kmeans(~x, d, 2, seed = 1.5)
    stream_kmeans(~x, d, 2, half_life = as.difftime(1, units = "hours"))
    stream_kmeans(~x, d, 2, control = list(epsilon = 1))
    stream_kmeans(~x, d, 2, control = list(sample = "all"))
    stream_kmeans(~x, d[0, ], 2)
    predict(stream_kmeans(~x, d, 2, seed = 1))
    update(stream_kmeans(~x, d, 2, seed = 1), . ~ .)
  })
})

test_that("update() follows the rule of blocks, keeps labels, and forgets by half_life", {
  m <- stream_kmeans(~x, data.frame(x = c(0, 10)), matrix(c(0, 10)), half_life = 2)
  new <- update(m, data.frame(x = c(1, 2, 9)))
  # Spark's StreamingKMeans with a half-life of two points.
  expect_equal(unname(new$centers[, 1L]), c(1.274668343, 9.261203875), tolerance = 1e-9)
  expect_equal(new$weight, c(2.353553391, 1.353553391), tolerance = 1e-9)
  expect_equal(new$size, c(3, 2))
  expect_equal(new$version, 1)
  expect_equal(m$version, 0)
  d <- blobs(3000, 2, 4, 10, 5)
  m <- stream_kmeans(~., d[1:1000, ], 4, seed = 1)
  after <- update(m, d[1001:3000, ])
  expect_identical(predict(after, d), predict(m, d))
  expect_equal(sum(after$size), 3000)
})

test_that("a cluster that dies is seeded anew, and it is said", {
  d <- data.frame(x = rep(c(-0.5, 0.5), 500))
  m <- stream_kmeans(~x, data.frame(x = c(0, 10)), matrix(c(0, 10)),
    half_life = 20, control = list(block = 100)
  )
  expect_message(after <- update(m, d), class = "riffle_message_reseeded")
  expect_equal(glance(after)$reseeded, 1)
  expect_equal(sort(after$centers[, 1L]), c(-0.5, 0.5), tolerance = 0.05, ignore_attr = TRUE)
})

test_that("distances are to all centres, and the nearest is the cluster's", {
  m <- stream_kmeans(~., iris[1:4], 3, seed = 1)
  distance <- predict(m, iris, type = "distance")
  expect_identical(dim(distance), c(150L, 3L))
  direct <- as.matrix(dist(rbind(m$centers, as.matrix(iris[1:4]))))[-(1:3), 1:3]
  expect_equal(unname(distance), unname(direct), tolerance = 1e-12)
  expect_identical(unname(apply(distance, 1, which.min)), unname(predict(m, iris)))
  expect_identical(predict(m, iris, type = "nearest"), apply(distance, 1, min))
  expect_identical(predict(m, iris[7, ]), predict(m, iris)[7])
  expect_identical(fitted(m, iris)[3, ], m$centers[predict(m, iris)[[3]], ])
})

test_that("tidy(), glance(), augment(), print(), summary() and plot() tell the model", {
  m <- stream_kmeans(~ Petal.Length + Petal.Width, iris, 3, seed = 1)
  expect_snapshot({
    m
    summary(m)
    tidy(m)
    glance(m)
    head(augment(m, iris[1:4]), 3)
  })
  expect_equal(nobs(m), 150)
  local({
    grDevices::pdf(NULL)
    on.exit(grDevices::dev.off())
    expect_invisible(plot(m))
    expect_invisible(plot(m, newdata = iris))
    expect_invisible(plot(stream_kmeans(~Petal.Width, iris, 2, seed = 1), newdata = iris))
  })
  expect_error(plot(m, columns = "z"), class = "riffle_error_argument")
})

test_that("a live model learns as update() does, and files keep every bit", {
  d <- blobs(4000, 3, 5, 2, 6)
  m <- stream_kmeans(~., d[1:2000, ], 5, seed = 1, half_life = 5000)
  live <- live_model(m)
  expect_output(print(live), "live model m: ~")
  update(live, d[2001:4000, ])
  expect_identical(current_model(live)$state, update(m, d[2001:4000, ])$state)
  expect_identical(predict(live, d), predict(current_model(live), d))
  path <- withr::local_tempfile()
  write_model(m, path)
  back <- read_model(path)
  expect_identical(predict(back, d), predict(m, d))
  expect_identical(update(back, d[2001:4000, ])$state, update(m, d[2001:4000, ])$state)
  rds <- unserialize(serialize(m, NULL))
  expect_identical(update(rds, d[2001:4000, ])$state, update(m, d[2001:4000, ])$state)
})

test_that("the same rows from a data frame and from a topic give the same fit to the bit", {
  d <- blobs(6000, 3, 4, 3, 7)
  d$on <- rep(c(TRUE, FALSE, FALSE), 2000)
  d$V2[17] <- NA
  w <- test_world(c(rows = 1))
  kafka_produce(w$k, w$topic[["rows"]], d)
  schema <- record_schema(V1 = "double", V2 = "double", V3 = "double", on = "logical")
  s <- read_stream(w$k, w$topic[["rows"]], schema)
  a <- stream_kmeans(~ V1 + V2 + V3 + on, d, 4, seed = 3)
  b <- stream_kmeans(~ V1 + V2 + V3 + on, s, 4, seed = 3)
  expect_identical(b$state, a$state)
  expect_equal(b$counts$missing, 1)
  expect_identical(unname(predict(a, d)), predict(b, s))
  # On disk beyond a budget, the same again.
  spooled <- stream_kmeans(~ V1 + V2 + V3 + on, s, 4, seed = 3, control = list(memory = 0.05))
  expect_identical(spooled$state, a$state)
  expect_message(again <- update(b, s), "6,000 positions", class = "riffle_message_skipped")
  expect_identical(again$state, b$state)
})

test_that("a query scores clusters and learns blocks, as update() and predict() do", {
  d <- blobs(4000, 2, 4, 5, 8)
  w <- test_world(c(rows = 1))
  kafka_produce(w$k, w$topic[["rows"]], d[2001:4000, ])
  m <- stream_kmeans(~ V1 + V2, d[1:2000, ], 4, seed = 3)
  live <- live_model(m)
  s <- read_stream(w$k, w$topic[["rows"]], record_schema(V1 = "double", V2 = "double"))
  q <- start_query(score_with(s, m, into = "cluster"), out <- sink_memory(),
    trigger = "available-now"
  )
  expect_true(await_query(q, 60))
  scored <- as.data.frame(out)
  expect_equal(scored$cluster, as.numeric(predict(m, d[2001:4000, ])))
  q <- start_query(learn_with(s, live), trigger = "available-now")
  expect_true(await_query(q, 60))
  expect_identical(current_model(live)$state, update(m, d[2001:4000, ])$state)
})
