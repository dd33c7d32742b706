# The algorithm of McMahan et al. (2013), in plain R: weights by name, numbers scaled by what
# their first `settle` values were. `x`: a matrix of numbers; `values`: names of the row's values.
plain_ftrl <- function(y, x, values, rate = 0.1, offset = 1, bias = 1, l1 = 0, l2 = 1,
                       settle = 1000) {
  names <- c("(bias)", colnames(x), unique(unlist(values)))
  z <- n <- stats::setNames(numeric(length(names)), names)
  alpha <- stats::setNames(rep(c(bias, rate), c(1, length(names) - 1)), names)
  pen1 <- stats::setNames(rep(c(0, l1), c(1, length(names) - 1)), names)
  pen2 <- stats::setNames(rep(c(0, l2), c(1, length(names) - 1)), names)
  weight <- \(at) {
    raw <- (z[at] - sign(z[at]) * pen1[at]) / ((offset + sqrt(n[at])) / alpha[at] + pen2[at])
    ifelse(abs(z[at]) <= pen1[at], 0, -raw)
  }
  loss <- 0
  for (i in seq_along(y)) {
    seen <- x[seq_len(min(i, settle)), , drop = FALSE]
    centre <- colMeans(seen)
    spread <- sqrt(colMeans(sweep(seen, 2, centre)^2))
    spread[spread == 0] <- 1
    at <- c("(bias)", colnames(x), values[[i]])
    v <- c(1, (x[i, ] - centre) / spread, rep(1, length(values[[i]])))
    w <- weight(at)
    p <- stats::plogis(sum(w * v))
    loss <- loss - log(if (y[[i]] > 0) p else 1 - p)
    g <- (p - y[[i]]) * v
    z[at] <- z[at] + g - (sqrt(n[at] + g^2) - sqrt(n[at])) / alpha[at] * w
    n[at] <- n[at] + g^2
  }
  list(weight = weight(names), loss = loss / length(y), centre = centre, spread = spread)
}

clicks <- function(n, seed = 7) {
  d <- sim_adclicks(n, seed = seed)
  d$device <- as.character(d$device)
  d
}

small <- click ~ ad_id + device:category + quality + activity

test_that("weights are those of a plain R implementation of the paper, to 1e-6", {
  d <- clicks(10000)
  f <- click ~ user_id + device + ad_id + quality + activity
  values <- Map(
    \(u, v, a) c(paste("user_id", u), paste("device", v), paste("ad_id", a)),
    as.character(d$user_id), d$device, as.character(d$ad_id)
  )
  for (l1 in c(0, 0.3)) {
    m <- stream_ftrl(f, d, l1 = l1, slots = NULL, precision = "double")
    want <- plain_ftrl(d$click, as.matrix(d[c("quality", "activity")]), values, l1 = l1)
    got <- coef(m, d)
    expect_identical(nrow(got), length(want$weight) - 3L)
    # Rounding is all that may differ: 1e-6 is the promise, 1e-9 is what holds.
    expect_lt(max(abs(got$weight - want$weight[paste(got$term, got$value)])), 1e-9)
    slope <- want$weight[c("quality", "activity")] / want$spread
    expect_equal(coef(m)[c("quality", "activity")], slope, tolerance = 1e-9)
    expect_equal(
      coef(m)[["(Intercept)"]], want$weight[["(bias)"]] - sum(slope * want$centre),
      tolerance = 1e-9
    )
    expect_equal(glance(m)$loss, want$loss, tolerance = 1e-9)
  }
})

test_that("a fit is the same to the last bit however the rows are cut, and in parts", {
  d <- clicks(3000)
  d$quality[5:9] <- NA
  d$ad_id[c(3, 8)] <- NA
  fit <- \(rows, cut = NULL, ...) {
    settings <- ftrl_settings(utils::modifyList(list(
      learn_rate = 0.1, learn_offset = 1, l1 = 0.1, l2 = 1, slots = 2^12, admit = 1,
      keep_negatives = 0.5, passes = 1L, precision = "float", half_life = 700, seed = 3
    ), list(...), keep.null = TRUE), binomial(), list())
    fit_ftrl(list(
      learner = "ftrl", call = quote(stream_ftrl()), plan = parse_formula(small, names(d)),
      data = rows, family = binomial(), extras = list(), calls = list(), na_action = "na.omit",
      control = settings, half_life = settings$half_life, defaults = getOption("contrasts")
    ), cut)
  }
  for (more in list(list(), list(slots = NULL, admit = 3), list(precision = "double"))) {
    whole <- do.call(fit, c(list(d), more))
    for (cut in c(1L, 7L, 1000L)) {
      expect_identical(do.call(fit, c(list(d, cut), more))$state, whole$state)
    }
    parts <- update(do.call(fit, c(list(d[1:1234, ]), more)), d[1235:3000, ])
    expect_identical(parts$state, whole$state)
    expect_identical(parts$version, 3000)
  }
})

test_that("a model that was saved goes on to the same bits", {
  d <- clicks(2000)
  m <- stream_ftrl(small, d[1:1000, ], slots = 2^12, keep_negatives = 0.5, seed = 1)
  path <- withr::local_tempfile()
  saveRDS(m, path)
  expect_identical(update(readRDS(path), d[1001:2000, ])$state, update(m, d[1001:2000, ])$state)
  write_model(m, path, overwrite = TRUE)
  again <- read_model(path)
  expect_identical(predict(again, d), predict(m, d))
  expect_identical(update(again, d[1001:2000, ])$state, update(m, d[1001:2000, ])$state)
})

test_that("the progressive log loss on simulated clicks is within 1 % of the true model's", {
  d <- sim_adclicks(2e5, seed = 2)
  p <- attr(d, "probability")
  m <- stream_ftrl(attr(d, "formula"), d)
  truth <- -mean(d$click * log(p) + (1 - d$click) * log1p(-p))
  expect_lt(glance(m)$loss / truth, 1.01)
  expect_equal(mean(predict(m, d, type = "response")) / mean(d$click), 1, tolerance = 0.05)
})

test_that("purchases of real shoppers are predicted far better than by their rate", {
  dir <- Sys.getenv("RIFFLE_DATA")
  if (!nzchar(dir)) skip("RIFFLE_DATA is not set")
  d <- utils::read.csv2(file.path(dir, "ctr", "online_shoppers_intention.csv.gz"), dec = ".")
  m <- stream_ftrl(Revenue ~ ., d)
  # The best constant is known afterwards only; the model starts from nothing.
  expect_lt(glance(m)$normalised.loss, 0.72)
  expect_identical(glance(m)$nobs, 12330)
})

test_that("real impressions with few clicks do not lead it astray", {
  dir <- Sys.getenv("RIFFLE_DATA")
  if (!nzchar(dir)) skip("RIFFLE_DATA is not set")
  d <- utils::read.csv(file.path(dir, "ctr", "obd_random_men.csv.gz"))
  m <- stream_ftrl(
    click ~ user_feature_0 + user_feature_1 + user_feature_2 + user_feature_3 +
      hashed(item_id) + hashed(position), d
  )
  # 46 clicks in 10,000 rows: nothing to gain, and little may be lost while the rate is learnt.
  expect_lt(glance(m)$normalised.loss, 1.15)
  # The standard error of the logarithm of the rate is 0.15, and one pass ends on a noisy step.
  expect_lt(abs(log(mean(predict(m, d, type = "response")) / mean(d$click))), 0.6)
})

test_that("the audit table ties values to slots and weights", {
  d <- clicks(3000)
  m <- stream_ftrl(click ~ ad_id + device:category + device:quality, d, slots = 2^8)
  a <- coef(m, d)
  expect_identical(names(a), c("term", "value", "slot", "weight", "shared"))
  expect_setequal(a$term, c("ad_id", "device:category", "device:quality"))
  expect_identical(
    sum(a$term == "device:category"), nrow(unique(d[c("device", "category")]))
  )
  expect_true(all(a$slot >= 0 & a$slot < 2^8))
  expect_identical(a$shared, a$slot %in% a$slot[duplicated(a$slot)])
  # What the table adds up to is the prediction.
  look <- \(term, value) a$weight[match(paste(term, value), paste(a$term, a$value))]
  sum <- coef(m)[["(Intercept)"]] + look("ad_id", d$ad_id) +
    look("device:category", paste(d$device, d$category, sep = ":")) +
    look("device:quality", d$device) * d$quality
  expect_equal(unname(predict(m, d)), sum, tolerance = 1e-5) # floats
  unknown <- d[1, ]
  unknown$ad_id <- "never seen"
  exact <- stream_ftrl(click ~ ad_id, d, slots = NULL)
  expect_identical(coef(exact, unknown)$weight, 0)
  expect_identical(coef(exact, unknown)$slot, NA_real_)
})

test_that("missing numbers are skipped, missing categories are a value of their own", {
  d <- clicks(2000)
  m <- stream_ftrl(click ~ ad_id + quality, d, slots = 2^12)
  row <- d[1, ]
  row$quality <- NA
  b <- coef(m)
  at_mean <- (predict(m, d[1, ]) - predict(m, row)) / b[["quality"]]
  expect_equal(unname(d$quality[[1]] - at_mean), mean(d$quality[1:1000]), tolerance = 1e-6)
  row$ad_id <- NA
  expect_false(is.na(predict(m, row)))
  d$click[1:10] <- NA
  expect_identical(stream_ftrl(click ~ ad_id, d, slots = 2^12)$counts$missing, 10)
})

test_that("gaussian and poisson find the scale of the data by themselves", {
  withr::local_seed(1)
  n <- 20000
  d <- data.frame(x = rnorm(n, 50, 10), g = sample(letters, n, TRUE))
  effect <- stats::setNames(rnorm(26), letters)
  d$y <- 1e4 + 30 * (d$x - 50) + 200 * effect[d$g] + rnorm(n, sd = 100)
  m <- stream_ftrl(y ~ x + g, d, family = gaussian)
  late <- 15000:n
  expect_lt(mean((d$y[late] - predict(m, d[late, ]))^2), 1.05 * 100^2)
  # One pass ends on a noisy step of a rate that has not vanished: 5 %.
  expect_equal(coef(m)[["x"]], 30, tolerance = 0.05)
  d$k <- rpois(n, exp(1 + 0.05 * (d$x - 50) + 0.3 * effect[d$g]))
  m <- stream_ftrl(k ~ x + g, d, family = poisson)
  expect_equal(coef(m)[["x"]], 0.05, tolerance = 0.1)
  expect_equal(mean(predict(m, d, type = "response")), mean(d$k), tolerance = 0.05)
})

test_that("kept negatives, admission and seeds are reproducible", {
  d <- clicks(4000)
  fit <- \(...) stream_ftrl(click ~ ad_id + user_id, d, ...)
  withr::local_seed(5)
  a <- fit(slots = 2^12, keep_negatives = 0.2)
  withr::local_seed(5)
  expect_identical(fit(slots = 2^12, keep_negatives = 0.2)$state, a$state)
  expect_false(identical(fit(slots = 2^12, keep_negatives = 0.2)$state, a$state))
  expect_lt(a$fit$kept, 0.25 * 4000)
  expect_equal(a$fit$weight, 4000, tolerance = 0.1)
  all <- fit(slots = NULL)$fit$entries
  third <- fit(slots = NULL, admit = 3)$fit$entries
  seen <- c(table(d$ad_id), table(d$user_id))
  expect_identical(all, as.numeric(sum(seen > 0)))
  expect_identical(third, as.numeric(sum(seen >= 3)))
  expect_lt(fit(slots = NULL, admit = 0.01, seed = 1)$fit$entries, all / 2)
  before <- .Random.seed
  fit(slots = 2^12)
  expect_identical(.Random.seed, before) # nothing is drawn where nothing is random
})

test_that("weights, offset, passes and half-life do what they say", {
  d <- clicks(4000)
  d$w <- rep(c(0, 1), each = 2000)
  some <- stream_ftrl(small, d, weights = w, slots = 2^12)
  half <- stream_ftrl(small, d[2001:4000, ], slots = 2^12)
  expect_identical(predict(some, d), predict(half, d))
  d$o <- 1
  with <- stream_ftrl(click ~ offset(o), d)
  plain <- stream_ftrl(click ~ 1, d)
  expect_equal(coef(with)[[1]] + 1, coef(plain)[[1]], tolerance = 0.1)
  twice <- stream_ftrl(small, d, passes = 2, slots = 2^12)
  once <- stream_ftrl(small, d, slots = 2^12)
  expect_identical(glance(twice)$loss, glance(once)$loss)
  expect_identical(glance(twice)$nobs, 8000)
  expect_identical(update(once, d)$coefficients, twice$coefficients)
  changed <- rbind(d, transform(d[1:200, ], click = 1 - click))
  forgets <- stream_ftrl(small, changed, half_life = 300, slots = 2^12)
  keeps <- stream_ftrl(small, changed, slots = 2^12)
  last <- \(m) mean(predict(m, d, type = "response"))
  expect_gt(last(forgets), last(keeps))
})

test_that("a live model learns every row at once", {
  d <- clicks(2000)
  m <- stream_ftrl(small, d[1:1000, ], slots = 2^12)
  live <- live_model(m)
  for (i in 1001:1005) update(live, d[i, ])
  expect_match(paste(capture.output(live), collapse = " "), "version 5")
  update(live, d[1006:2000, ])
  expect_identical(current_model(live)$state, update(m, d[1001:2000, ])$state)
  for (type in c("link", "response")) {
    expect_identical(predict(live, d, type), predict(current_model(live), d, type))
  }
  row <- d[1, ]
  row$ad_id <- "never seen"
  row$quality <- NA
  expect_identical(predict(live, row), predict(current_model(live), row))
  update(live, d[1:10, ])
  expect_identical(predict(live, d), predict(current_model(live), d))
  expect_error(update(m, . ~ . - ad_id), class = "riffle_error_argument")
})

test_that("a query scores with it and learns into it", {
  d <- clicks(1000)
  m <- stream_ftrl(small, d[1:500, ], slots = 2^12)
  k <- local_kafka(c(clicks = 1L))
  kafka_produce(k, "clicks", d[501:1000, all.vars(small)])
  schema <- record_schema(
    click = "integer", ad_id = "string", device = "string", category = "string",
    quality = "double", activity = "double"
  )
  live <- live_model(m)
  out <- sink_memory()
  q <- read_stream(k, "clicks", schema) |>
    score_with(live, type = "response") |>
    learn_with(live) |>
    start_query(out, trigger = "available-now")
  await_query(q, 60)
  close(q)
  expect_identical(nrow(as.data.frame(out)), 500L)
  # The first batch was scored before anything was learnt.
  expect_equal(
    as.data.frame(out)$score[[1L]], predict(m, d[501, ], type = "response")[[1L]]
  )
  expect_identical(current_model(live)$state, update(m, d[501:1000, ])$state)
  fitted <- stream_ftrl(small, read_stream(k, "clicks", schema), slots = 2^12)
  expect_identical(fitted$state, stream_ftrl(small, d[501:1000, ], slots = 2^12)$state)
})

test_that("which negatives of a topic are kept is a function of their positions", {
  d <- clicks(1000)[c(all.vars(small))]
  k <- local_kafka(c(clicks = 2L))
  schema <- record_schema(
    click = "integer", ad_id = "string", device = "string", category = "string",
    quality = "double", activity = "double"
  )
  fit <- \(...) {
    stream_ftrl(
      small, read_stream(k, "clicks", schema, ...), slots = 2^12, keep_negatives = 0.3, seed = 4
    )
  }
  kafka_produce(k, "clicks", d[1:600, ])
  first <- fit()
  kafka_produce(k, "clicks", d[601:1000, ])
  # The same rows in two parts are other rows in another order: the same ones are learnt.
  parts <- suppressMessages(update(first, read_stream(k, "clicks", schema)))
  expect_identical(parts$fit$kept, fit()$fit$kept)
  expect_identical(fit()$state, fit()$state)
})

test_that("it prints what it learnt and what memory it takes", {
  d <- clicks(2000)
  m <- stream_ftrl(small, d, slots = 2^12)
  expect_snapshot({
    m
    stream_ftrl(click ~ ad_id, d, slots = NULL, precision = "double", admit = 2, seed = 2)
    summary(m)
  })
  expect_identical(tidy(m)$term, c("(Intercept)", "quality", "activity"))
  expect_true("ad_id=ad00003" %in% tidy(m, d)$term)
  expect_identical(nobs(m), 2000)
  expect_identical(nrow(glance(m)), 1L)
})

test_that("wrong arguments are named", {
  d <- clicks(200)
  fit <- \(...) stream_ftrl(click ~ ad_id, d, ...)
  expect_snapshot(error = TRUE, fit(slots = 1000))
  expect_snapshot(error = TRUE, fit(admit = 2))
  expect_snapshot(error = TRUE, fit(admit = 0, slots = NULL))
  expect_snapshot(error = TRUE, fit(family = binomial("probit")))
  expect_snapshot(error = TRUE, fit(keep_negatives = 0))
  expect_snapshot(error = TRUE, fit(keep_negatives = 0.5, family = gaussian))
  expect_snapshot(error = TRUE, fit(learn_rate = 0))
  expect_snapshot(error = TRUE, fit(half_life = 10))
  expect_snapshot(error = TRUE, fit(control = list(speed = 1)))
  expect_snapshot(error = TRUE, stream_ftrl(quality ~ ad_id, d))
  m <- fit()
  expect_snapshot(error = TRUE, predict(m, d, se.fit = TRUE))
  expect_snapshot(error = TRUE, vcov(m))
  expect_snapshot(error = TRUE, logLik(m))
  expect_error(predict(m), class = "riffle_error_argument")
  expect_error(fit(seed = -1), class = "riffle_error_argument")
})
