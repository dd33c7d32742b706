clicks <- function(n = 4000, seed = 1) sim_adclicks(n, seed = seed)

test_that("a model comes back from its file as it was, and goes on learning the same", {
  d <- clicks()
  m <- suppressWarnings(stream_glm(click ~ device * daypart, d[1:3000, ], family = binomial()))
  path <- withr::local_tempfile(fileext = ".riffle")
  expect_identical(write_model(m, path), path)
  again <- read_model(path)
  expect_identical(again$state, m$state)
  expect_identical(coef(again), coef(m))
  expect_identical(predict(again, d, se.fit = TRUE), predict(m, d, se.fit = TRUE))
  expect_identical(update(again, d[3001:4000, ])$state, update(m, d[3001:4000, ])$state)
  expect_setequal(names(unclass(again)), names(unclass(m)))
  expect_identical(deparse(formula(again)), deparse(formula(m)))
  expect_identical(attr(terms(again), "term.labels"), attr(terms(m), "term.labels"))
  expect_output(print(again), "click ~ device")
})

test_that("weights and offsets of the caller's environment are in the file", {
  d <- clicks(500)
  half <- rep(c(1, 2), 250)
  m <- stream_glm(click ~ position, d, family = poisson(), weights = half, offset = half / 10)
  path <- withr::local_tempfile(fileext = ".riffle")
  write_model(m, path)
  again <- read_model(path)
  expect_identical(predict(again, d), predict(m, d))
  expect_identical(update(again, d)$state, update(m, d)$state)
})

test_that("saveRDS() keeps a model too", {
  m <- stream_glm(mpg ~ wt, mtcars)
  path <- withr::local_tempfile(fileext = ".rds")
  saveRDS(m, path)
  expect_identical(predict(readRDS(path), mtcars), predict(m, mtcars))
})

test_that("a file that is there is not replaced unless asked", {
  m <- stream_glm(mpg ~ wt, mtcars)
  path <- withr::local_tempfile(fileext = ".riffle")
  write_model(m, path)
  expect_error(write_model(m, path), class = "riffle_error_argument")
  write_model(stream_glm(mpg ~ hp, mtcars), path, overwrite = TRUE)
  expect_named(coef(read_model(path)), c("(Intercept)", "hp"))
  expect_identical(list.files(dirname(path), pattern = "[.]tmp$"), character())
})

test_that("what is no whole model is refused with the reason", {
  path <- withr::local_tempfile(fileext = ".riffle")
  expect_error(read_model(path), class = "riffle_error_io")
  writeLines("not a model", path)
  expect_error(read_model(path), class = "riffle_error_data")
  m <- stream_glm(mpg ~ wt, mtcars)
  write_model(m, path, overwrite = TRUE)
  bytes <- readBin(path, "raw", 1e6)
  for (at in c(9L, 40L, length(bytes) %/% 2L, length(bytes))) {
    broken <- bytes
    broken[[at]] <- xor(broken[[at]], as.raw(1L))
    writeBin(broken, path)
    expect_error(read_model(path), class = "riffle_error")
  }
  writeBin(bytes[seq_len(length(bytes) - 5L)], path)
  expect_error(read_model(path), class = "riffle_error_data")
  writeBin(bytes, path)
  expect_s3_class(read_model(path), "riffle_glm")
})

test_that("reading a file runs nothing that is in it, and functions need trust", {
  m <- stream_glm(mpg ~ wt, mtcars)
  m$call <- quote(stop("this ran"))
  path <- withr::local_tempfile(fileext = ".riffle")
  write_model(m, path)
  expect_identical(read_model(path)$call, quote(stop("this ran")))
  m$control$own <- function(x) x
  write_model(m, path, overwrite = TRUE)
  expect_error(read_model(path), class = "riffle_error_model")
  expect_identical(read_model(path, trust = TRUE)$control$own(3), 3)
})

test_that("models of every family come back", {
  set.seed(1)
  d <- data.frame(x = runif(60), y = rgamma(60, 3), n = rpois(60, 3))
  own <- poisson()
  own$family <- "mine"
  families <- list(
    gaussian(), Gamma("log"), inverse.gaussian("log"), quasi("log", variance = "mu^2"),
    Gamma(power(0.5)), tweedie_family(1.5), tweedie_family(1.5, 0), nb_family(3), nb_family(),
    quasipoisson("sqrt")
  )
  path <- withr::local_tempfile(fileext = ".riffle")
  for (family in families) {
    counts <- grepl("Negative|quasipoisson", family$family)
    m <- stream_glm(if (counts) n ~ x else y ~ x, d, family)
    write_model(m, path, overwrite = TRUE)
    again <- read_model(path)
    expect_identical(predict(again, d, "response"), predict(m, d, "response"))
    expect_identical(again$family$family, m$family$family)
    expect_identical(update(again, d)$state, update(m, d)$state)
    expect_equal(residuals(again, d), residuals(m, d))
  }
  m <- stream_glm(n ~ x, d, own)
  write_model(m, path, overwrite = TRUE)
  expect_error(read_model(path), class = "riffle_error_model")
  expect_equal(coef(read_model(path, trust = TRUE)), coef(m))
})
