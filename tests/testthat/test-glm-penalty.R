penalty_rows <- function(n = 400, seed = 1) {
  withr::local_seed(seed)
  d <- data.frame(x1 = stats::rnorm(n), x2 = 2 * stats::rnorm(n), x3 = stats::runif(n))
  d$x4 <- d$x1 + 0.3 * stats::rnorm(n)
  d$a <- factor(sample(letters[1:4], n, TRUE))
  d$w <- stats::runif(n, 0.5, 2)
  eta <- 0.3 + 0.6 * d$x1 - 0.2 * d$x2 + c(0, 0.3, -0.3, 0)[d$a]
  d$count <- stats::rpois(n, exp(eta))
  d$click <- stats::rbinom(n, 1, stats::plogis(eta - 1))
  d$amount <- exp(eta) * stats::rgamma(n, 3) / 3
  d$y <- eta + stats::rnorm(n)
  d
}

# The slope of the documented objective at the estimate, from the model matrix alone: 0 for the
# intercept, within l1 of -l2 b otherwise (Karush, Kuhn and Tucker).
kkt <- function(m, d, weights = rep(1, nrow(d)), scale = NULL) {
  x <- model.matrix(m, d)
  b <- coef(m)
  family <- family(m)
  y <- d[[as.character(formula(m)[[2L]])]]
  eta <- drop(x %*% b)
  mu <- family$linkinv(eta)
  slope <- -colSums(weights * (y - mu) * family$mu.eta(eta) / family$variance(mu) * x)
  slope <- slope / sum(weights)
  if (is.null(scale)) scale <- c(0, rep(1, length(b) - 1L))
  l1 <- m$penalty$l1 * scale
  slope <- slope + m$penalty$l2 * scale^2 * b
  ifelse(b != 0 | l1 == 0, abs(slope + l1 * sign(b)), pmax(0, abs(slope) - l1))
}

cases <- list(
  list("click", binomial()), list("count", poisson()), list("amount", Gamma("log")),
  list("y", gaussian()), list("click", binomial("probit")), list("count", nb_family(2))
)
rhs <- "x1 + x2 + x3 + x4 + a"

test_that("a penalised fit is the optimum of the documented objective", {
  d <- penalty_rows()
  for (case in cases) {
    for (net in list(c(0.02, 0), c(0, 0.1), c(0.03, 0.05), c(0.1, 0.001))) {
      f <- as.formula(paste(case[[1L]], "~", rhs))
      m <- stream_glm(f, d, case[[2L]], weights = w, l1 = net[[1L]], l2 = net[[2L]])
      # Proximal Newton's method leaves 1e-7 standard errors, which is far below this in the slope.
      expect_lte(max(kkt(m, d, d$w)), 1e-8)
      expect_true(m$fit$converged)
    }
  }
})

test_that("a large l1 leaves the intercept alone", {
  d <- penalty_rows()
  m <- stream_glm(click ~ x1 + x2 + a, d, binomial, l1 = 10)
  expect_equal(unname(coef(m)), c(qlogis(mean(d$click)), rep(0, 5)), tolerance = 1e-9)
})

test_that("standardize penalises columns scaled to a standard deviation of 1", {
  d <- penalty_rows(seed = 2)
  m <- stream_glm(click ~ x1 + x2 + x3 + a, d, binomial,
    weights = w, l1 = 0.01, l2 = 0.02, standardize = TRUE
  )
  x <- model.matrix(m, d)
  centre <- colSums(d$w * x) / sum(d$w)
  sd <- sqrt(colSums(d$w * sweep(x, 2, centre)^2) / sum(d$w))
  expect_lte(max(kkt(m, d, d$w, unname(sd))), 1e-8)
})

test_that("a penalised fit equals glmnet's", {
  skip_if_not_installed("glmnet")
  glmnet::glmnet.control(epsnr = 1e-14, mxitnr = 200) # for its family objects
  withr::defer(glmnet::glmnet.control(factory = TRUE))
  d <- penalty_rows(seed = 3)
  x <- stats::model.matrix(as.formula(paste("~", rhs)), d)[, -1L]
  for (case in cases[1:3]) {
    for (net in list(c(0.02, 0.01), c(0.05, 0), c(0, 0.2))) {
      f <- as.formula(paste(case[[1L]], "~", rhs))
      m <- stream_glm(f, d, case[[2L]], weights = w, l1 = net[[1L]], l2 = net[[2L]])
      theirs <- glmnet::glmnet(
        x, d[[case[[1L]]]], if (is_share(case[[2L]])) "binomial" else case[[2L]],
        weights = d$w, lambda = sum(net), alpha = net[[1L]] / sum(net), standardize = FALSE,
        thresh = 1e-15, maxit = 1e6
      )
      expect_equal(unname(coef(m)), as.vector(as.matrix(stats::coef(theirs))), tolerance = 1e-5)
    }
  }
})

test_that("penalised fits are the same to the last bit however the rows are cut", {
  d <- penalty_rows(300, seed = 4)
  fits <- lapply(list(NULL, 1L, 7L, 100L), \(cut) {
    job <- list(l1 = 0.01, l2 = 0.02, standardize = TRUE)
    fit_cut(click ~ x1 + x2 + a, d, binomial, cut = cut, job = job)$state
  })
  for (state in fits[-1L]) expect_identical(state, fits[[1L]])
  firth <- lapply(list(NULL, 7L), \(cut) {
    fit_cut(click ~ x1 + a, d, binomial, cut = cut, job = list(bias = "firth"))$state
  })
  expect_identical(firth[[2L]], firth[[1L]])
})

test_that("with more columns than rows a penalised fit has every coefficient", {
  withr::local_seed(5)
  d <- as.data.frame(matrix(stats::rnorm(20 * 30), 20))
  d$y <- stats::rnorm(20)
  ridge <- stream_glm(y ~ ., d, l2 = 0.1)
  expect_false(anyNA(coef(ridge)))
  expect_lte(max(kkt(ridge, d)), 1e-9)
  lasso <- stream_glm(y ~ ., d, l1 = 0.2)
  expect_lte(max(kkt(lasso, d)), 1e-8)
})

test_that("a separated level has a finite estimate with a penalty, and no warning", {
  d <- data.frame(g = rep(c("a", "b", "c"), each = 20))
  d$y <- c(rep(0:1, 10), rep(0, 20), rep(1, 20))
  expect_silent(m <- stream_glm(y ~ g, d, binomial, l2 = 1e-4))
  expect_true(all(is.finite(coef(m))))
  expect_lte(max(kkt(m, d)), 1e-9)
})

test_that("covariances and tests of penalised fits: with l2 (H + n l2)^-1, with l1 none", {
  d <- penalty_rows(seed = 6)
  m <- stream_glm(click ~ x1 + a, d, binomial, l2 = 0.05)
  x <- model.matrix(m, d)
  mu <- predict(m, d, type = "response")
  h <- crossprod(x, mu * (1 - mu) * x) + diag(c(0, rep(0.05 * nrow(d), 4)))
  expect_equal(vcov(m), solve(h), tolerance = 1e-7, ignore_attr = "assign")
  expect_snapshot({
    summary(m)
    summary(stream_glm(click ~ x1 + a, d, binomial, l1 = 0.05))
  })
  lasso <- stream_glm(click ~ x1 + a, d, binomial, l1 = 0.02)
  expect_error(vcov(lasso), class = "riffle_error_model")
  expect_error(confint(m), class = "riffle_error_model")
  expect_error(update(lasso, d), class = "riffle_error_model")
  expect_identical(AIC(m), NA_real_)
})

test_that("updates keep the information of l2 and do not add it again", {
  d <- penalty_rows(3000, seed = 7)
  m <- stream_glm(y ~ x1 + a, d[1:1000, ], l2 = 0.1)
  later <- update(m, d[1001:3000, ])
  x <- stats::model.matrix(~ x1 + a, d)
  h <- crossprod(x) + diag(c(0, rep(0.1 * 1000, 4)))
  # Gaussian rows are learnt exactly, so this is the ridge fit of all rows.
  expect_equal(unname(coef(later)), unname(drop(solve(h, crossprod(x, d$y)))), tolerance = 1e-8)
})

# ---- Firth ---------------------------------------------------------------------------

# Newton's method on the modified score equations, dense and in R: Firth (1993), and the intercept
# of FLIC by uniroot().
firth_in_r <- function(x, y, w, family) {
  b <- rep(0, ncol(x))
  if (family$family == "poisson") b[[1L]] <- log(mean(y))
  for (k in 1:200) {
    mu <- family$linkinv(drop(x %*% b))
    v <- w * family$variance(mu)
    inverse <- solve(crossprod(x, v * x))
    h <- v * rowSums((x %*% inverse) * x)
    bend <- if (family$family == "poisson") 0.5 else 0.5 - mu
    step <- drop(inverse %*% crossprod(x, w * (y - mu) + h * bend))
    b <- b + step * min(1, 2 / max(abs(step)))
    if (max(abs(step)) < 1e-13) break
  }
  rest <- drop(x[, -1L, drop = FALSE] %*% b[-1L])
  gap <- \(a) sum(w * (y - family$linkinv(a + rest)))
  b[[1L]] <- stats::uniroot(gap, b[[1L]] + c(-3, 3), tol = 1e-13)$root
  list(coef = b, se = sqrt(diag(inverse)))
}

test_that("Firth's fit solves the modified score equations, with the intercept of FLIC", {
  d <- penalty_rows(150, seed = 8)
  d$rare <- as.numeric(d$x1 + stats::rnorm(150) > 2.2)
  for (case in c(list(list("rare", binomial())), cases[1:2])) {
    f <- as.formula(paste(case[[1L]], "~ x1 + x2 + a"))
    m <- stream_glm(f, d, case[[2L]], weights = w, bias = "firth")
    x <- model.matrix(m, d)
    truth <- firth_in_r(x, d[[case[[1L]]]], d$w, case[[2L]])
    expect_lte(max(abs(coef(m) - truth$coef) / truth$se), 1e-6)
    expect_equal(unname(sqrt(diag(vcov(m)))), unname(truth$se), tolerance = 1e-6)
    expect_equal(sum(d$w * predict(m, d, type = "response")), sum(d$w * d[[case[[1L]]]]),
      tolerance = 1e-9
    )
  }
})

test_that("Firth's fit is finite where a level separates", {
  d <- data.frame(g = rep(c("a", "b", "c"), each = 20))
  d$y <- c(rep(0:1, 10), rep(0, 20), rep(1, 20))
  expect_silent(m <- stream_glm(y ~ g, d, binomial, bias = "firth"))
  expect_true(all(is.finite(coef(m))) && all(is.finite(diag(vcov(m)))))
  truth <- firth_in_r(model.matrix(m, d), d$y, rep(1, 60), binomial())
  expect_equal(unname(coef(m)), unname(truth$coef), tolerance = 1e-6)
})

test_that("penalties and bias are checked by name", {
  d <- penalty_rows(50)
  expect_snapshot(error = TRUE, {
    stream_glm(click ~ x1, d, binomial, l1 = -1)
    stream_glm(click ~ x1, d, binomial, l2 = Inf)
    stream_glm(click ~ x1, d, binomial, standardize = NA)
    stream_glm(click ~ x1, d, binomial, bias = "flic")
    stream_glm(y ~ x1, d, bias = "firth")
    stream_glm(click ~ x1, d, binomial, bias = "firth", l2 = 1)
  })
})

# ---- sandwiches ----------------------------------------------------------------------

test_that("HC0 covariances equal those of sandwich", {
  skip_if_not_installed("sandwich")
  d <- penalty_rows(seed = 9)
  for (case in cases[1:5]) {
    f <- as.formula(paste(case[[1L]], "~ x1 + x2 + a"))
    m <- stream_glm(f, d, case[[2L]], weights = w)
    truth <- oracle(f, d, case[[2L]], weights = w)
    expected <- sandwich::vcovHC(truth$fit, type = "HC0")
    # sandwich takes glm()'s working weights, of the iteration before the last.
    expect_equal(vcov(m, type = "HC0"), expected, tolerance = 1e-6)
  }
  large <- stream_glm(click ~ x1, d, binomial, control = list(robust = TRUE))
  expect_equal(vcov(large, type = "HC0"), vcov(stream_glm(click ~ x1, d, binomial), type = "HC0"))
  expect_error(vcov(update(large, d), type = "HC0"), class = "riffle_error_model")
})

test_that("cluster covariances equal those of sandwich over the buckets", {
  skip_if_not_installed("sandwich")
  d <- penalty_rows(1500, seed = 10)
  d$user <- sprintf("u%d", rep(1:300, 5))
  withr::local_seed(10)
  effect <- stats::rnorm(300)
  d$click <- stats::rbinom(1500, 1, stats::plogis(effect[rep(1:300, 5)] - 1 + 0.3 * d$x1))
  m <- stream_glm(click ~ x1 + a, d, binomial, cluster = user)
  # Three users have three buckets, so this is the clustering by user.
  few <- d[d$user %in% sprintf("u%d", 1:3), ]
  one <- stream_glm(y ~ x1, few, cluster = user)
  expect_equal(one$fit$clusters, 3)
  truth <- oracle(y ~ x1, few, gaussian())
  expected <- sandwich::vcovCL(truth$fit, cluster = few$user, type = "HC0", cadjust = TRUE)
  expect_equal(vcov(one, type = "cluster"), expected, tolerance = 1e-6)
  # 300 users in 256 buckets: a coarser clustering, whose standard errors stay near the finer one's.
  # 256 (1 - exp(-300 / 256)) = 177 buckets are in use, give or take 6.
  expect_true(abs(m$fit$clusters - 177) < 30)
  fit <- oracle(click ~ x1 + a, d, binomial())$fit
  fine <- sandwich::vcovCL(fit, cluster = d$user, type = "HC0")
  expect_equal(sqrt(diag(vcov(m, type = "cluster"))), sqrt(diag(fine)), tolerance = 0.15)
  expect_gt(vcov(m, type = "cluster")[1L, 1L], 1.1 * vcov(m)[1L, 1L])
  whole <- stream_glm(click ~ x1 + a, d, binomial, cluster = user, control = list(threads = 1))
  expect_identical(whole$state, m$state)
  expect_error(vcov(stream_glm(y ~ x1, d), type = "cluster"), class = "riffle_error_model")
  expect_error(stream_glm(y ~ x1, d, cluster = nobody), class = "riffle_error_schema")
})

test_that("a model with clusters is saved, updated and written to a file", {
  d <- penalty_rows(600, seed = 11)
  d$user <- rep(1:60, 10)
  m <- stream_glm(click ~ x1 + a, d[1:400, ], binomial, cluster = user)
  path <- withr::local_tempfile()
  write_model(m, path)
  back <- read_model(path)
  expect_identical(vcov(back, type = "cluster"), vcov(m, type = "cluster"))
  expect_identical(predict(back, d), predict(m, d))
  expect_equal(nobs(update(m, d[401:600, ])), 600)
})
