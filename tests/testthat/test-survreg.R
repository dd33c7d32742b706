skip_if_not_installed("survival")

# ---- against survreg() ---------------------------------------------------------------

package_sets <- local({
  sets <- list(
    lung = list(Surv(time, status) ~ age + sex + ph.ecog, "weibull"),
    lung = list(Surv(time, status) ~ age + strata(sex), "weibull"),
    lung = list(Surv(time, status) ~ age + factor_sex, "lognormal"),
    lung = list(Surv(time, status) ~ age + sex, "loglogistic"),
    lung = list(Surv(time, status) ~ age, "exponential"),
    lung = list(Surv(time, status) ~ age, "rayleigh"),
    lung = list(Surv(time, status) ~ age, "t"),
    lung = list(Surv(time, status) ~ age, "extreme"),
    lung = list(Surv(time, status) ~ age, "logistic"),
    ovarian = list(Surv(futime, fustat) ~ ecog.ps + rx, "weibull"),
    ovarian = list(Surv(futime, fustat) ~ ecog.ps + rx, "exponential"),
    tobin = list(Surv(durable, durable > 0, type = "left") ~ age + quant, "gaussian"),
    tobin = list(Surv(durable, durable > 0, type = "left") ~ age + quant, "logistic"),
    veteran = list(Surv(time, status) ~ trt + celltype + karno, "weibull"),
    kidney = list(Surv(time, status) ~ age + sex + disease, "lognormal"),
    leukemia = list(Surv(time, status) ~ x, "loglogistic"),
    stanford2 = list(Surv(time, status) ~ age, "weibull"),
    imotor = list(Surv(time, status) ~ temp, "lognormal")
  )
  stats::setNames(sets, names(sets))
})

survival_data <- function(name) {
  file <- switch(name,
    lung = "cancer", ovarian = "cancer", leukemia = "cancer", veteran = "cancer",
    kidney = "cancer", stanford2 = "heart", imotor = "reliability", tobin = "tobin"
  )
  found <- new.env()
  utils::data(list = file, package = "survival", envir = found)
  d <- as.data.frame(get(name, found))
  if (name == "lung") d$factor_sex <- factor(d$sex)
  if (name == "stanford2") d <- d[d$time > 0, ]
  d
}

for (k in seq_along(package_sets)) {
  set <- names(package_sets)[[k]]
  formula <- package_sets[[k]][[1L]]
  dist <- package_sets[[k]][[2L]]
  test_that(paste("survival's", set, deparse1(formula), dist, "equals survreg()"), {
    d <- survival_data(set)
    expect_meets_survreg(stream_survreg(formula, d, dist), survreg_oracle(formula, d, dist = dist))
  })
}

real_file <- function(path, ...) {
  utils::read.csv(skip_without_data(file.path("survival", path)), ...)
}

test_that("larynx, right-censored Weibull, equals survreg()", {
  d <- real_file("lifelines/larynx.csv")
  f <- Surv(time, death) ~ age + Stage_II + Stage_III + Stage_IV
  expect_meets_survreg(stream_survreg(f, d), survreg_oracle(f, d))
})

test_that("gbsg2, right-censored log-normal with factors, equals survreg()", {
  d <- real_file("lifelines/gbsg2.csv", stringsAsFactors = TRUE)
  f <- Surv(time, cens) ~ horTh + age + menostat + tsize + tgrade + pnodes
  expect_meets_survreg(
    stream_survreg(f, d, "lognormal"), survreg_oracle(f, d, dist = "lognormal")
  )
})

test_that("rossi, right-censored log-logistic, equals survreg()", {
  d <- real_file("lifelines/rossi.csv")
  f <- Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio
  expect_meets_survreg(
    stream_survreg(f, d, "loglogistic"), survreg_oracle(f, d, dist = "loglogistic")
  )
})

test_that("waltons, right-censored by strata, equals survreg()", {
  d <- real_file("lifelines/waltons_dataset.csv", stringsAsFactors = TRUE)
  d$time <- d$T
  f <- Surv(time, E) ~ group + strata(group)
  expect_meets_survreg(stream_survreg(f, d), survreg_oracle(f, d))
})

test_that("fan, right-censored with a constant alone, equals survreg()", {
  d <- real_file("fan_sas_liferex5.csv")
  f <- Surv(life, censored == 0) ~ 1
  expect_meets_survreg(stream_survreg(f, d), survreg_oracle(f, d))
})

test_that("motorettes, right-censored at a high share, equals survreg()", {
  d <- real_file("motorettes_sas_liferex1.csv")
  d$z <- 1000 / (273.2 + d$temp)
  f <- Surv(time, status) ~ z
  expect_meets_survreg(stream_survreg(f, d), survreg_oracle(f, d))
})

test_that("CuZn, left-censored log-normal, equals survreg()", {
  d <- real_file("lifelines/CuZn-LeftCensoredDataset.csv", stringsAsFactors = TRUE)
  d$time <- d$T
  f <- Surv(time, E, type = "left") ~ group
  for (dist in c("lognormal", "weibull", "gaussian")) {
    expect_meets_survreg(stream_survreg(f, d, dist), survreg_oracle(f, d, dist = dist))
  }
})

test_that("nh4, left-censored Weibull, equals survreg()", {
  d <- real_file("lifelines/nh4.csv")
  f <- Surv(NH4.mg.per.L, !Censored, type = "left") ~ Week
  expect_meets_survreg(stream_survreg(f, d), survreg_oracle(f, d))
})

test_that("diabetes, interval2 with exact rows, equals survreg()", {
  d <- real_file("lifelines/interval_diabetes.csv", stringsAsFactors = TRUE)
  d$left[d$left == 0] <- NA
  f <- Surv(left, right, type = "interval2") ~ gender
  for (dist in c("weibull", "loglogistic", "lognormal")) {
    expect_meets_survreg(stream_survreg(f, d, dist), survreg_oracle(f, d, dist = dist))
  }
})

test_that("mice, interval2 with ends that are not known, equals survreg()", {
  d <- real_file("lifelines/mice.csv", stringsAsFactors = TRUE)
  d$l[d$l == 0] <- NA
  f <- Surv(l, u, type = "interval2") ~ grp
  for (dist in c("weibull", "exponential", "loglogistic")) {
    expect_meets_survreg(stream_survreg(f, d, dist), survreg_oracle(f, d, dist = dist))
  }
})

test_that("all status codes, weights, offset and strata together equal survreg()", {
  d <- survival_rows(400, 1)
  f <- Surv(low, high, kind, type = "interval") ~ x + f + offset(o) + strata(g)
  for (dist in c("weibull", "lognormal", "loglogistic", "t", "gaussian", "logistic", "extreme")) {
    m <- stream_survreg(f, d, dist, weights = w)
    expect_meets_survreg(m, survreg_oracle(f, d, dist = dist, weights = w))
  }
})

test_that("a fixed scale and parms of t are those of survreg()", {
  d <- survival_rows(300, 2)
  f <- Surv(time, event) ~ x * f
  expect_meets_survreg(
    stream_survreg(f, d, scale = 0.7), survreg_oracle(f, d, scale = 0.7)
  )
  f <- Surv(log(time), event) ~ x
  expect_meets_survreg(
    stream_survreg(f, d, "t", parms = c(df = 7)),
    survreg_oracle(f, d, dist = "t", parms = c(df = 7))
  )
})

test_that("missing values leave rows out of both models; infinite ends are open ends", {
  d <- survival_rows(300, 3)
  d$x[5] <- NA
  d$time[9] <- NA
  d$event[11] <- NA
  f <- Surv(time, event) ~ x
  m <- stream_survreg(f, d)
  expect_meets_survreg(m, survreg_oracle(f, d))
  expect_equal(nobs(m), 297)
  d$low[d$kind == 2] <- -Inf
  d$high[d$kind == 0] <- Inf
  f <- Surv(low, high, type = "interval2") ~ v
  m <- stream_survreg(f, d, "gaussian")
  expect_meets_survreg(m, survreg_oracle(f, d, dist = "gaussian"))
})

test_that("a collinear column is NA, and a message says so", {
  d <- survival_rows(200, 4)
  d$twice <- 2 * d$x - 1
  f <- Surv(time, event) ~ x + twice + f
  expect_message(m <- stream_survreg(f, d), class = "riffle_message_aliased")
  o <- survreg_oracle(Surv(time, event) ~ x + f, d)
  expect_true(is.na(coef(m)[["twice"]]))
  expect_equal(unname(coef(m)[-3]), unname(coef(o)), tolerance = 1e-8)
  expect_identical(which(is.na(diag(vcov(m)))), c(twice = 3L))
  expect_equal(dim(vcov(m, complete = FALSE)), c(5L, 5L))
})

# Six users whose buckets do not collide: then buckets are clusters.
test_that("clusters give survreg()'s robust standard errors", {
  d <- survival_rows(400, 5)
  f <- Surv(time, event) ~ x + f
  m <- stream_survreg(f, d, cluster = user)
  o <- survreg_oracle(f, d, cluster = user)
  expect_meets_survreg(m, o)
  expect_equal(sqrt(diag(vcov(m))), sqrt(diag(vcov(o))), tolerance = 1e-5, ignore_attr = TRUE)
  expect_true("(Naive SE)" %in% colnames(summary(m)$table))
  se <- predict(m, d[1:5, ], type = "lp", se.fit = TRUE)$se.fit
  expect_equal(unname(se), unname(predict(o, d[1:5, ], type = "lp", se.fit = TRUE)$se.fit),
    tolerance = 1e-5
  )
})

# ---- predictions and residuals -------------------------------------------------------

test_that("predictions are those of survreg()", {
  d <- survival_rows(300, 6)
  new <- d[1:7, ]
  fits <- list(
    list(Surv(time, event) ~ x + f, "weibull"), list(Surv(time, event) ~ x + f, "lognormal"),
    list(Surv(time, event) ~ x + f, "logistic"), list(Surv(time, event) ~ x, "t"),
    list(Surv(time, event) ~ x, "exponential")
  )
  for (fit in fits) {
    m <- stream_survreg(fit[[1L]], d, fit[[2L]])
    o <- survreg_oracle(fit[[1L]], d, dist = fit[[2L]])
    for (type in c("response", "lp", "quantile", "uquantile")) {
      a <- predict(m, new, type = type, se.fit = TRUE, p = c(0.2, 0.5, 0.9))
      b <- predict(o, new, type = type, se.fit = TRUE, p = c(0.2, 0.5, 0.9))
      expect_equal(unname(a$fit), unname(b$fit), tolerance = 1e-6, ignore_attr = TRUE)
      expect_equal(unname(a$se.fit), unname(b$se.fit), tolerance = 1e-5, ignore_attr = TRUE)
    }
    expect_equal(
      unname(predict(m, new, type = "quantile", p = 0.5)),
      unname(c(predict(o, new, type = "quantile", p = 0.5))),
      tolerance = 1e-6
    )
  }
})

test_that("survival probabilities turn quantiles round, with errors by the delta method", {
  d <- survival_rows(300, 7)
  for (dist in c("weibull", "lognormal", "loglogistic")) {
    m <- stream_survreg(Surv(time, event) ~ x + strata(g), d, dist)
    q <- predict(m, d[1:4, ], type = "quantile", p = c(0.1, 0.7))
    s <- predict(m, d[1:4, ], type = "survival", times = q[3, ])
    expect_equal(unname(s[3, ]), c(0.9, 0.3), tolerance = 1e-10)
    a <- predict(m, d[1:4, ], type = "survival", times = 1.5, se.fit = TRUE)
    f <- function(par) {
      n <- m
      tau <- par[3:4]
      eta <- par[[1]] + par[[2]] * d$x[1:4]
      z <- (log(1.5) - eta) / exp(tau[as.integer(d$g[1:4])])
      survival_functions(m$dist)$above(z)
    }
    par <- survival_parameters(m)
    slopes <- vapply(1:4, \(j) {
      h <- replace(numeric(4), j, 1e-5)
      (f(par + h) - f(par - h)) / 2e-5
    }, numeric(4))
    error <- sqrt(rowSums((slopes %*% vcov(m)) * slopes))
    expect_equal(unname(a$se.fit), unname(error), tolerance = 1e-7)
  }
  expect_equal(unname(predict(m, d[1, ], type = "survival", times = c(0, Inf))[1, ]), c(1, 0))
})

test_that("unseen levels and missing values predict NA, one row for each", {
  d <- survival_rows(300, 8)
  m <- stream_survreg(Surv(time, event) ~ x + f, d)
  new <- data.frame(x = c(1, NA, 2), f = c("a", "b", "zz"))
  expect_warning(p <- predict(m, new), class = "riffle_warning_unseen")
  expect_identical(is.na(unname(p)), c(FALSE, TRUE, TRUE))
  expect_error(predict(m, new, unseen = "error"), class = "riffle_error_data")
})

# survreg()'s deviance residuals of intervals leave sigma out of the best location: ours do not.
test_that("residuals are those of survreg()", {
  d <- survival_rows(250, 9)
  fits <- list(
    list(Surv(time, event) ~ x + f, "weibull"), list(Surv(time, event) ~ x, "lognormal"),
    list(Surv(time, event) ~ x + strata(g), "loglogistic"),
    list(Surv(time, event) ~ x + v, "exponential"),
    list(Surv(time, event, type = "left") ~ x, "weibull")
  )
  for (fit in fits) {
    m <- stream_survreg(fit[[1L]], d, fit[[2L]])
    o <- survreg_oracle(fit[[1L]], d, dist = fit[[2L]])
    for (type in survival_residuals) {
      expect_equal(
        unname(residuals(m, d, type = type)), unname(residuals(o, type = type)),
        tolerance = 1e-5, ignore_attr = TRUE, info = paste(fit[[2L]], type)
      )
    }
  }
  # Of rows in intervals survival has the derivative by log(sigma) with the wrong sign (3.5-3):
  # tests/c/learn/test-aft.c checks ours against differences.
  f <- Surv(low, high, kind, type = "interval") ~ x
  m <- stream_survreg(f, d)
  o <- survreg_oracle(f, d)
  known <- d$kind != 3
  for (type in c("working", "dfbeta", "dfbetas", "ldcase", "ldresp", "ldshape", "matrix")) {
    expect_equal(
      as.matrix(residuals(m, d, type = type))[known, ],
      as.matrix(residuals(o, type = type))[known, ],
      tolerance = 1e-5, ignore_attr = TRUE, info = type
    )
  }
  sure <- c("g", "dg", "ddg")
  expect_equal(
    residuals(m, d, type = "matrix")[, sure], residuals(o, type = "matrix")[, sure],
    tolerance = 1e-6, ignore_attr = TRUE
  )
  weighted <- stream_survreg(Surv(time, event) ~ x, d, weights = w)
  expect_equal(
    residuals(weighted, d, type = "working", weighted = TRUE),
    residuals(weighted, d, type = "working") * d$w
  )
})

# ---- methods -------------------------------------------------------------------------

test_that("anova, logLik, AIC, BIC and confint are those of survreg()", {
  d <- survival_rows(300, 10)
  m <- stream_survreg(Surv(time, event) ~ x + f, d)
  o <- survreg_oracle(Surv(time, event) ~ x + f, d)
  expect_equal(as.numeric(logLik(m)), o$loglik[[2]], tolerance = 1e-9)
  expect_equal(AIC(m), AIC(o), tolerance = 1e-9)
  expect_equal(BIC(m), -2 * o$loglik[[2]] + 5 * log(300), tolerance = 1e-9)
  expect_equal(confint(m)[1:4, ], confint(o)[1:4, ], tolerance = 1e-6, ignore_attr = TRUE)
  a <- anova(m, data = d)
  small <- survreg_oracle(Surv(time, event) ~ x, d)
  b <- -2 * c(o$loglik[[1]], small$loglik[[2]], o$loglik[[2]])
  expect_equal(a[["-2*LL"]], b, tolerance = 1e-9)
  expect_equal(a$Df, c(NA, 1, 2))
  two <- anova(stream_survreg(Surv(time, event) ~ x, d), m)
  expect_equal(two$Deviance[[2]], b[[2]] - b[[3]], tolerance = 1e-7)
  expect_error(anova(m), class = "riffle_error_argument")
})

test_that("tidy, glance, augment and plot", {
  d <- survival_rows(300, 11)
  m <- stream_survreg(Surv(time, event) ~ x + strata(g), d)
  t <- tidy(m, conf.int = TRUE)
  expect_identical(t$term, c("(Intercept)", "x", "u", "w"))
  expect_equal(tidy(m, exponentiate = TRUE)$estimate[1:2], exp(unname(coef(m))))
  g <- glance(m)
  expect_equal(g$df, 4)
  expect_equal(g$nobs, 300)
  a <- augment(m, d[1:6, ], type.predict = "response")
  expect_equal(a$.resid, a$time - a$.fitted)
  withr::local_pdf(NULL)
  curves <- plot(m, d[1:3, ])
  expect_equal(dim(curves), c(200L, 3L))
  expect_true(all(diff(curves) <= 0))
  expect_equal(ncol(plot(stream_survreg(Surv(time, event) ~ 1, d))), 1L)
})

test_that("print and summary say what survreg() says", {
  d <- survival_rows(300, 12)
  d$x[3] <- NA
  expect_snapshot(stream_survreg(Surv(time, event) ~ x + f, d))
  expect_snapshot(summary(stream_survreg(Surv(time, event) ~ x + strata(g), d, "lognormal")))
  expect_snapshot(summary(stream_survreg(Surv(time, event) ~ x, d, "exponential")))
})

# ---- invariance, streams, updates ----------------------------------------------------

test_that("a fit is the same to the last bit for any cut and on any number of threads", {
  d <- survival_rows(9000, 13)
  spec <- \(threads) list(
    call = quote(stream_survreg()), formula = Surv(low, high, kind, type = "interval") ~ x + f,
    data = d, dist = check_survival("weibull", 0, FALSE, NULL),
    control = check_control(list(threads = threads)), na_action = "na.omit", half_life = Inf,
    calls = list(), subset = NULL
  )
  whole <- fit_survreg(spec(1L))
  for (cut in c(100L, 777L, 5000L)) {
    expect_identical(fit_survreg(spec(2L), cut)$state, whole$state)
  }
})

test_that("weight 0 leaves a row out; the order of rows does not matter", {
  d <- survival_rows(400, 14)
  d$w[1:100] <- 0
  f <- Surv(time, event) ~ x + f
  m <- stream_survreg(f, d, weights = w)
  o <- stream_survreg(f, d[101:400, ], weights = w)
  expect_equal(coef(m), coef(o), tolerance = 1e-10)
  expect_equal(nobs(m), 300)
  turned <- stream_survreg(f, d[400:1, ], weights = w)
  expect_equal(vcov(turned), vcov(m), tolerance = 1e-9)
})

topic_of_times <- function(d) {
  w <- test_world(c(times = 3))
  fields <- c("x", "v", "f", "g", "w", "user", "time", "event", "low", "high", "kind")
  kafka_produce(w$k, w$topic[["times"]], d[fields])
  schema <- record_schema(
    x = "double", v = "double", f = "factor", g = "factor", w = "integer", user = "string",
    time = "double", event = "logical", low = "double", high = "double", kind = "integer"
  )
  list(
    k = w$k, topic = w$topic[["times"]],
    stream = \(...) read_stream(w$k, w$topic[["times"]], schema, ...)
  )
}

test_that("the same rows from a data frame and from a topic give the same fit to the bit", {
  d <- survival_rows(1500, 15)
  d$high[d$kind == 0] <- NA
  d$low[d$kind == 2] <- NA
  w <- topic_of_times(d)
  rows <- as.data.frame(w$stream())
  formulas <- list(
    Surv(time, event) ~ x + f + strata(g), Surv(time, kind == 1) ~ x + f,
    Surv(low, high, type = "interval2") ~ x + v
  )
  for (f in formulas) {
    a <- stream_survreg(f, w$stream(), weights = w)
    b <- stream_survreg(f, rows, weights = w)
    expect_identical(a$state, b$state)
    expect_equal(a$null_loglik, b$null_loglik)
  }
})

test_that("updates stay near the fit of all rows, by value and live, and go on after saving", {
  d <- survival_rows(8000, 16)
  f <- Surv(time, event) ~ x + f
  m <- stream_survreg(f, d[1:2000, ])
  m2 <- update(m, d[2001:8000, ])
  whole <- stream_survreg(f, d)
  se <- sqrt(diag(vcov(whole)))
  expect_lt(max(abs(survival_parameters(m2) - survival_parameters(whole)) / se), 0.15)
  expect_equal(sqrt(diag(vcov(m2))), se, tolerance = 0.02)
  expect_equal(m2$version, 6)
  expect_equal(nobs(m2), 8000)
  expect_true(is.na(m2$null_loglik))
  live <- live_model(m)
  update(live, d[2001:8000, ])
  expect_identical(current_model(live)$state, m2$state)
  expect_identical(predict(live, d[1:5, ]), predict(m2, d[1:5, ]))
  file <- withr::local_tempfile()
  saveRDS(m, file)
  expect_identical(update(readRDS(file), d[2001:8000, ])$state, m2$state)
  forgets <- stream_survreg(f, d[1:2000, ], half_life = 1000)
  expect_lt(update(forgets, d[2001:8000, ])$fit$effective_n, 4000)
})

test_that("an event is read in new rows as it was in the first ones", {
  d <- survival_rows(3000, 17)
  d$status <- d$event + 1
  m <- stream_survreg(Surv(time, status) ~ x, d[1:1000, ])
  new <- d[1001:3000, ]
  censored <- new[new$status == 1, ][1:200, ] # Surv() alone would read these as events
  m2 <- update(m, censored)
  expect_equal(m2$fit$n_status, m$fit$n_status + c(200, 0, 0, 0))
})

test_that("queries score and learn with survival models", {
  d <- survival_rows(3000, 18)
  f <- Surv(time, event) ~ x + f
  live <- live_model(stream_survreg(f, d[1:1000, ]))
  w <- topic_of_times(d[1001:3000, ])
  scores <- sink_memory()
  q <- w$stream() |>
    score_with(live, into = "location", type = "lp", keep = "x") |>
    learn_with(live) |>
    start_query(scores, trigger = "available-now")
  await_query(q, 60)
  expect_equal(current_model(live)$version, 2)
  out <- as.data.frame(scores)
  expect_equal(nrow(out), 2000)
  expect_true(all(is.finite(out$location)))
})

test_that("one row scored equals the batch", {
  d <- survival_rows(500, 19)
  m <- stream_survreg(Surv(time, event) ~ x + f + strata(g), d)
  for (type in c("response", "lp", "quantile")) {
    all <- predict(m, d, type = type, p = 0.3)
    one <- vapply(1:20, \(i) unname(predict(m, d[i, ], type = type, p = 0.3)), 1)
    expect_identical(unname(all[1:20]), one)
  }
})

test_that("a model file holds what update() and predict() need, computed columns too", {
  d <- survival_rows(3000, 24)
  f <- Surv(log(time), event) ~ poly(x, 2) + strata(g, f)
  m <- stream_survreg(f, d[1:1000, ], "logistic", weights = w, cluster = user)
  expect_identical(names(m$scale), levels(survival::strata(g = d$g, f = d$f)))
  file <- withr::local_tempfile()
  write_model(m, file)
  back <- read_model(file)
  expect_identical(update(back, d[1001:3000, ])$state, update(m, d[1001:3000, ])$state)
  expect_identical(
    predict(back, d[1:3, ], type = "quantile"), predict(m, d[1:3, ], type = "quantile")
  )
  expect_warning(p <- predict(m, replace(d[1:2, ], "g", "new"), type = "quantile"), "strata")
  expect_true(all(is.na(p)))
})

# One exact time t: the exponential's optimum is log(t).
test_that("one row, no row, and nothing but missing values", {
  one <- stream_survreg(Surv(time, event) ~ 1, data.frame(time = 5, event = 1), "exponential")
  expect_equal(coef(one)[[1]], log(5), tolerance = 1e-12)
  expect_equal(vcov(one)[[1]], 1, tolerance = 1e-6)
  d <- survival_rows(300, 25)
  m <- stream_survreg(Surv(time, event) ~ x, d)
  expect_identical(coef(update(m, d[0, ])), coef(m))
  gone <- replace(d, "x", NA_real_)
  expect_identical(coef(update(m, gone)), coef(m))
  expect_error(stream_survreg(Surv(time, event) ~ x, gone), class = "riffle_error_data")
  expect_length(predict(m, d[0, ]), 0)
  expect_equal(nobs(update(m, d[1, ])), 301)
})

# ---- refusals ------------------------------------------------------------------------

test_that("what survival models do not have is refused by name", {
  d <- survival_rows(50, 20)
  d$state <- factor(sample(c("censor", "a", "b"), 50, TRUE))
  expect_snapshot(error = TRUE, {
    stream_survreg(Surv(low, high, event) ~ x, d)
    stream_survreg(Surv(time, state) ~ x, d)
    stream_survreg(time ~ x, d)
    stream_survreg(Surv(time, event) ~ x + frailty(user), d)
    stream_survreg(Surv(time, event) ~ pspline(x), d)
    stream_survreg(Surv(time, event) ~ ridge(x, v), d)
    stream_survreg(Surv(time, event) ~ x + cluster(user), d)
    stream_survreg(Surv(time, event) ~ x * strata(g), d)
    stream_survreg(Surv(low, high, type = "interval") ~ x, d)
    stream_survreg(Surv(time, event) ~ x, d, "gamma")
    stream_survreg(Surv(time, event) ~ x, d, "exponential", scale = 2)
    stream_survreg(Surv(time, event) ~ x + strata(g), d, scale = 1)
    stream_survreg(Surv(time, event) ~ x, d, "t", parms = 1)
    stream_survreg(Surv(time, event) ~ x, d, parms = 1)
    stream_survreg(Surv(time, event) ~ x, d, map = lapply)
  })
})

test_that("rows that cannot be learnt are errors that say why", {
  d <- survival_rows(50, 21)
  none <- replace(d, "event", FALSE)
  zero <- replace(d, "time", 0)
  back <- replace(d, "high", d$low / 2)
  odd <- replace(d, "kind", 5)
  expect_snapshot(error = TRUE, {
    stream_survreg(Surv(time, event) ~ x, none)
    stream_survreg(Surv(time, event) ~ x, zero)
    stream_survreg(Surv(low, high, type = "interval2") ~ x, back)
    stream_survreg(Surv(low, high, kind, type = "interval") ~ x, odd)
    stream_survreg(Surv(time, event) ~ x, d[0, ])
    stream_survreg(Surv(time, event) ~ x, d, weights = -w)
  })
  expect_equal(nobs(stream_survreg(Surv(time, event) ~ x, zero, "gaussian", scale = 1)), 50)
})

test_that("a level without an event is told", {
  d <- survival_rows(600, 22)
  d$event[d$f == "c"] <- FALSE
  expect_warning(
    m <- stream_survreg(Surv(time, event) ~ x + f, d), "fc",
    class = "riffle_warning_separation"
  )
  expect_identical(unname(is.infinite(sqrt(diag(vcov(m))))), c(FALSE, FALSE, FALSE, TRUE, FALSE))
})

test_that("times of any size are taken", {
  d <- survival_rows(300, 23)
  f <- Surv(time, event) ~ x
  m <- stream_survreg(f, d)
  for (unit in c(1e-300, 1e300)) {
    scaled <- stream_survreg(f, replace(d, "time", d$time * unit))
    expect_equal(coef(scaled)[["x"]], coef(m)[["x"]], tolerance = 1e-6)
    expect_equal(coef(scaled)[[1]] - log(unit), coef(m)[[1]], tolerance = 1e-6)
  }
})
