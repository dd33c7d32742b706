links_of <- list(
  gaussian = c("identity", "log", "inverse"), Gamma = c("inverse", "identity", "log"),
  poisson = c("log", "identity", "sqrt"), inverse.gaussian = c("1/mu^2", "inverse", "log"),
  binomial = c("logit", "probit", "cauchit", "cloglog", "log")
)

family_of <- function(name, ...) do.call(name, list(...), envir = asNamespace("stats"))

# Responses whose mean is linkinv(eta), with the family's own spread.
draw_family <- function(name, mu, trials) {
  n <- length(mu)
  switch(name,
    gaussian = stats::rnorm(n, mu, 0.2 * mean(abs(mu))),
    Gamma = mu * stats::rgamma(n, 4) / 4,
    inverse.gaussian = mu * stats::rgamma(n, 9) / 9,
    poisson = stats::rpois(n, mu),
    binomial = stats::rbinom(n, trials, mu) / trials
  )
}

# Effects that every link can carry: eta is moved to where its range is.
family_rows <- function(name, link, n = 500, seed = 1, rare = FALSE) {
  withr::local_seed(seed)
  d <- data.frame(
    x = stats::rnorm(n), z = stats::runif(n), a = factor(sample(letters[1:3], n, TRUE)),
    o = stats::runif(n) / 10, w = sample(1:4, n, TRUE)
  )
  eta <- 0.25 * d$x + 0.3 * d$z + c(0, 0.2, -0.2)[d$a]
  positive <- c("identity", "inverse", "sqrt", "1/mu^2")
  base <- if (link %in% positive) 2.5 else if (name == "binomial" && link == "log") -2.5 else 0
  if (rare) base <- c(logit = -4, probit = -2, cloglog = -4, log = -4)[[link]]
  mu <- family_of(if (name == "binomial") "quasibinomial" else name, link)$linkinv(eta + base)
  d$y <- draw_family(name, mu, d$w)
  d
}

test_that("every family with every link that R allows meets the contract", {
  for (name in names(links_of)) {
    for (link in links_of[[name]]) {
      for (seed in 1:2) {
        d <- family_rows(name, link, seed = seed)
        family <- family_of(name, link)
        truth <- oracle(y ~ x * a + z, d, family, weights = w)
        m <- stream_glm(y ~ x * a + z, d, family, weights = w)
        expect_meets_contract(m, truth)
        expect_equal(AIC(m), AIC(truth$fit), tolerance = 1e-9, info = paste(name, link))
      }
    }
  }
})

test_that("offsets meet the contract for links that are not canonical", {
  for (case in list(c("poisson", "sqrt"), c("Gamma", "log"), c("binomial", "cloglog"))) {
    d <- family_rows(case[[1L]], case[[2L]], seed = 3)
    family <- family_of(case[[1L]], case[[2L]])
    f <- y ~ x + a + offset(o)
    expect_meets_contract(stream_glm(f, d, family, weights = w), oracle(f, d, family, weights = w))
    f <- y ~ 0 + a + x
    m <- stream_glm(f, d, family, weights = w)
    truth <- oracle(f, d, family, weights = w)
    expect_equal(coef(m), truth$coef, tolerance = 1e-9)
  }
})

test_that("rare events meet the contract with every link of a probability", {
  for (link in c("logit", "probit", "cloglog", "log")) {
    d <- family_rows("binomial", link, n = 20000, seed = 4, rare = TRUE)
    d$y <- as.numeric(d$y > 0)
    expect_lt(mean(d$y), 0.1)
    m <- stream_glm(y ~ x + a, d, binomial(link))
    expect_meets_contract(m, oracle(y ~ x + a, d, family_of("binomial", link)))
  }
})

test_that("quasi families meet the contract and have no AIC", {
  variances <- c(
    constant = "gaussian", mu = "poisson", "mu(1-mu)" = "binomial", "mu^2" = "Gamma",
    "mu^3" = "inverse.gaussian"
  )
  for (variance in names(variances)) {
    name <- variances[[variance]]
    for (link in setdiff(links_of[[name]], c("cauchit", "1/mu^2"))) {
      d <- family_rows(name, link, seed = 5)
      family <- eval(bquote(quasi(link = .(link), variance = .(variance))))
      m <- stream_glm(y ~ x + a, d, family, weights = w)
      expect_meets_contract(m, oracle(y ~ x + a, d, family, weights = w))
      expect_identical(AIC(m), NA_real_)
    }
  }
  for (name in c("quasibinomial", "quasipoisson")) {
    d <- family_rows(sub("quasi", "", name), "log", seed = 6)
    family <- family_of(name)
    m <- stream_glm(y ~ x + a, d, family, weights = w)
    truth <- oracle(y ~ x + a, d, family, weights = w)
    expect_meets_contract(m, truth)
    expect_equal(m$fit$dispersion, summary(truth$fit)$dispersion, tolerance = 1e-7)
    expect_identical(AIC(m), NA_real_)
  }
})

test_that("power links meet the contract", {
  d <- family_rows("poisson", "sqrt", seed = 7)
  for (lambda in c(0.5, 1 / 3, 1)) {
    m <- stream_glm(y ~ x + a, d, poisson(power(lambda)))
    expect_meets_contract(m, oracle(y ~ x + a, d, poisson(power(lambda))))
  }
})

test_that("tweedie families of riffle and of statmod meet the contract", {
  skip_if_not_installed("statmod")
  withr::local_seed(8)
  d <- family_rows("Gamma", "log", seed = 8)
  d$y <- d$y * stats::rbinom(nrow(d), 1, 0.7)
  for (link.power in c(0, -0.5)) {
    theirs <- statmod::tweedie(1.5, link.power)
    m <- stream_glm(y ~ x + a, d, tweedie_family(1.5, link.power), weights = w)
    expect_meets_contract(m, oracle(y ~ x + a, d, theirs, weights = w))
    expect_equal(coef(stream_glm(y ~ x + a, d, theirs, weights = w)), coef(m), tolerance = 1e-12)
  }
  mine <- tweedie_family(1.5, 0)
  theirs <- statmod::tweedie(1.5, 0)
  mu <- c(0.5, 2, 3)
  y <- c(0, 1.5, 3)
  # statmod puts 0.1 for a 0; the limit at 0 is the same since it is multiplied by y.
  expect_equal(mine$dev.resids(y, mu, 1:3), theirs$dev.resids(y, mu, 1:3))
  expect_equal(mine$variance(mu), theirs$variance(mu))
})

test_that("a negative binomial of fixed theta meets the contract, MASS's family too", {
  skip_if_not_installed("MASS")
  withr::local_seed(9)
  for (link in c("log", "sqrt", "identity")) {
    d <- family_rows("poisson", link, seed = 9)
    d$y <- stats::rnbinom(nrow(d), 3, mu = d$y + 1)
    theirs <- eval(bquote(MASS::negative.binomial(3, link = .(link))))
    truth <- oracle(y ~ x + a, d, theirs)
    m <- stream_glm(y ~ x + a, d, nb_family(3, link))
    expect_meets_contract(m, truth)
    expect_equal(AIC(m), AIC(truth$fit), tolerance = 1e-9)
    expect_equal(coef(stream_glm(y ~ x + a, d, theirs)), coef(m), tolerance = 1e-12)
  }
})

test_that("an estimated theta equals that of MASS::glm.nb(), with its standard error", {
  skip_if_not_installed("MASS")
  withr::local_seed(10)
  for (theta in c(0.4, 2, 30)) {
    d <- family_rows("poisson", "log", n = 1000, seed = 10)
    d$y <- stats::rnbinom(nrow(d), theta, mu = exp(1 + 0.3 * d$x))
    m <- stream_glm(y ~ x + a, d, nb_family())
    theirs <- MASS::glm.nb(y ~ x + a, d, control = glm.control(epsilon = 1e-12, maxit = 200))
    # glm.nb() alternates until the likelihood stands still; its theta is good to about 1e-5.
    expect_equal(m$fit$theta, theirs$theta, tolerance = 1e-5)
    expect_equal(m$fit$theta_se, theirs$SE.theta, tolerance = 1e-4)
    expect_gte(as.numeric(logLik(m)), as.numeric(logLik(theirs)) - 1e-9)
    expect_equal(AIC(m), AIC(theirs), tolerance = 1e-9)
    again <- oracle(y ~ x + a, d, MASS::negative.binomial(m$fit$theta))
    expect_meets_contract(m, again)
    expect_match(family(m)$family, "^Negative Binomial\\(")
  }
})

test_that("counts that vary no more than Poisson ones have an infinite theta", {
  d <- family_rows("poisson", "log", n = 800, seed = 11)
  d$y <- stats::rbinom(nrow(d), 10, 0.3)
  m <- stream_glm(y ~ x, d, nb_family())
  plain <- stream_glm(y ~ x, d, poisson)
  expect_identical(m$fit$theta, Inf)
  expect_equal(coef(m), coef(plain), tolerance = 1e-10)
  expect_equal(as.numeric(logLik(m)), as.numeric(logLik(plain)), tolerance = 1e-10)
})

test_that("a family of one's own runs in R and equals glm()", {
  d <- family_rows("poisson", "log", seed = 12)
  odd <- poisson()
  odd$family <- "mine"
  odd$variance <- \(mu) mu^1.2
  odd$dev.resids <- tweedie_family(1.2)$dev.resids
  truth <- oracle(y ~ x + a, d, odd)
  m <- stream_glm(y ~ x + a, d, odd)
  expect_equal(coef(m), truth$coef, tolerance = 1e-7)
  expect_equal(sqrt(diag(vcov(m))), truth$se, tolerance = 1e-7)
  expect_identical(AIC(m), NA_real_)
  expect_error(live_model(m), class = "riffle_error_argument")
  expect_error(update(m, d), class = "riffle_error_argument")
  expect_equal(predict(m, d, type = "response"), predict(truth$fit, type = "response"),
    tolerance = 1e-7
  )
})

test_that("an error in a family of one's own is that error, and nothing is left alive", {
  d <- family_rows("poisson", "log", seed = 13)
  odd <- poisson()
  odd$family <- "mine"
  odd$variance <- \(mu) stop("no variance today")
  gc()
  before <- .Call(c_mem_live)
  expect_error(stream_glm(y ~ x, d, odd), "no variance today")
  odd$variance <- \(mu) mu[-1L]
  expect_error(stream_glm(y ~ x, d, odd), class = "riffle_error_argument")
  gc()
  expect_equal(.Call(c_mem_live), before)
})

test_that("fits of all families are the same to the last bit however the rows are cut", {
  for (case in list(c("Gamma", "log"), c("binomial", "probit"), c("poisson", "sqrt"))) {
    d <- family_rows(case[[1L]], case[[2L]], seed = 14)
    family <- family_of(case[[1L]], case[[2L]])
    whole <- fit_cut(y ~ x * a, d, family)
    for (cut in c(1L, 7L, 100L)) {
      expect_identical(fit_cut(y ~ x * a, d, family, cut = cut)$state, whole$state)
    }
    one <- fit_cut(y ~ x * a, d, family, control = list(threads = 1))
    expect_identical(one$state, whole$state)
  }
  d$y <- stats::rnbinom(nrow(d), 1, mu = 3)
  whole <- fit_cut(y ~ x, d, nb_family())
  expect_identical(fit_cut(y ~ x, d, nb_family(), cut = 7L)$state, whole$state)
})

test_that("frequencies as weights equal the rows repeated", {
  for (case in list(c("gaussian", "log"), c("binomial", "probit"), c("Gamma", "inverse"))) {
    d <- family_rows(case[[1L]], case[[2L]], seed = 15)
    if (case[[1L]] == "binomial") d$y <- as.numeric(d$y > 0.5)
    family <- family_of(case[[1L]], case[[2L]])
    long <- d[rep(seq_len(nrow(d)), d$w), ]
    m <- stream_glm(y ~ x + a, d, family, weights = w, freq = TRUE)
    truth <- stream_glm(y ~ x + a, long, family)
    expect_equal(coef(m), coef(truth), tolerance = 1e-9)
    expect_equal(vcov(m), vcov(truth), tolerance = 1e-8)
    expect_equal(logLik(m), logLik(truth), tolerance = 1e-9)
    expect_equal(df.residual(m), df.residual(truth))
  }
})

test_that("updates of every family learn as the batch fit, within a tenth of a standard error", {
  cases <- list(c("Gamma", "log"), c("binomial", "cloglog"), c("poisson", "sqrt"),
    c("inverse.gaussian", "log"))
  for (case in cases) {
    d <- family_rows(case[[1L]], case[[2L]], n = 6000, seed = 16)
    family <- family_of(case[[1L]], case[[2L]])
    if (case[[1L]] == "binomial") d$y <- as.numeric(d$y > 0.5)
    first <- stream_glm(y ~ x + a, d[1:2000, ], family)
    m <- update(first, d[2001:6000, ])
    whole <- stream_glm(y ~ x + a, d, family)
    se <- sqrt(diag(vcov(whole)))
    expect_lte(max(abs(coef(m) - coef(whole)) / se), 0.1)
    expect_lte(max(abs(sqrt(diag(vcov(m))) / se - 1)), 0.02)
    expect_equal(m$version, 4)
  }
})
