rows_of <- function(n = 60, seed = 3) {
  set.seed(seed)
  data.frame(
    y = rnorm(n), x = runif(n, 1, 5), z = rnorm(n), f = factor(sample(c("p", "q", "r"), n, TRUE)),
    o = factor(sample(1:4, n, TRUE), ordered = TRUE), l = runif(n) > 0.4,
    s = sample(c("u", "v"), n, TRUE)
  )
}

# The basis of poly() is evaluated by its recursion here, by QR in model.matrix(): they agree to
# rounding.
expect_design <- function(formula, d, contrasts = NULL, tolerance = 1e-12) {
  expected <- model.matrix(formula, in_c_order(d), contrasts.arg = contrasts)
  got <- matrix_of(recipe_of(formula, d, contrasts), d)
  expect_identical(colnames(got), colnames(expected))
  expect_identical(attr(got, "assign"), attr(expected, "assign"))
  expect_equal(got, expected, ignore_attr = TRUE, tolerance = tolerance)
}

test_that("terms that R computes give the columns of model.matrix()", {
  d <- rows_of()
  k <- c(2, 3)
  twice <- function(x) 2 * x
  for (formula in list(
    y ~ log(x) + I(x^2), y ~ poly(x, 2), y ~ poly(x, 1), y ~ poly(x, 2, raw = TRUE) + z,
    y ~ splines::ns(x, knots = k), y ~ splines::bs(x, df = 4) * f, y ~ f * poly(x, 2),
    y ~ poly(x, 2):f, y ~ poly(x, 2) * f * poly(z, 2), y ~ 0 + poly(x, 2):f + f, y ~ x > 3,
    y ~ cut(x, 3) * z, y ~ cut(x, c(0, 2, 6)) + f, y ~ factor(round(x)), y ~ scale(x) + scale(z),
    y ~ twice(x):l, y ~ (x > 3):f, y ~ poly(x, z, degree = 2), y ~ o:poly(x, 2),
    y ~ ifelse(l, x, z), y ~ paste0(f, s), y ~ exp(-x) %in% x, y ~ pmin(x, 3) + o,
    y ~ I(x - mean(x))
  )) expect_design(formula, d)
  expect_design(y ~ poly(x, 2) * f, d, list(f = "contr.sum"))
})

test_that("a basis is frozen: a row's columns do not depend on the rows beside it", {
  d <- rows_of()
  lower <- 1
  for (formula in list(
    y ~ poly(x, 3), y ~ splines::ns(x, df = 3), y ~ cut(x, 4), y ~ scale(x), y ~ I(x - mean(x)),
    y ~ I(scale(x)^2), y ~ log(x + lower), y ~ splines::bs(x, df = 5), y ~ I(x / max(x))
  )) {
    recipe <- recipe_of(formula, d)
    all <- matrix_of(recipe, d)
    few <- matrix_of(recipe, d[7:9, ])
    expect_identical(unname(few[, ]), unname(all[7:9, ]))
  }
  lower <- 100
  expect_identical(matrix_of(recipe, d[7:9, ])[1, ], all[7, ])
})

test_that("fits with computed terms equal glm(), and predict() as its predict()", {
  d <- rows_of(200)
  formula <- y ~ poly(x, 3) + splines::ns(z, df = 3) * f + log(x) + offset(log(x) / 2)
  m <- stream_glm(formula, d, weights = x + 1)
  truth <- glm(formula, gaussian, d, weights = x + 1)
  expect_equal(coef(m), coef(truth), tolerance = 1e-8)
  new <- rows_of(10, seed = 4)
  new$x <- pmin(pmax(new$x, min(d$x)), max(d$x))
  expect_equal(predict(m, new), suppressWarnings(predict(truth, new)), tolerance = 1e-8)
  path <- tempfile(fileext = ".riffle")
  write_model(m, path)
  expect_identical(predict(read_model(path), new), predict(m, new))
})


test_that("a model with a function of the user's is read with trust only", {
  d <- rows_of()
  half <- function(x) x / 2
  m <- stream_glm(y ~ half(x) + f, d)
  path <- tempfile(fileext = ".riffle")
  write_model(m, path)
  expect_error(read_model(path), class = "riffle_error_model")
  expect_identical(predict(read_model(path, trust = TRUE), d), predict(m, d))
  rm(half)
  expect_length(predict(m, d[1:3, ]), 3L)
})

test_that("a computed term reaches base, stats and splines by its words only", {
  d <- rows_of()
  m <- stream_glm(y ~ log(x), d)
  m$recipe$computed[[1L]]$expr <- quote(system("true"))
  expect_error(predict(m, d), class = "riffle_error_data")
})

test_that("cbind(successes, failures) and shares with weights equal glm()", {
  set.seed(8)
  d <- data.frame(x = rnorm(80), n = rpois(80, 5), w = runif(80, 1, 2))
  d$s <- rbinom(80, d$n, plogis(0.3 * d$x))
  d$f <- d$n - d$s
  m <- stream_glm(cbind(s, f) ~ x, d, binomial)
  truth <- oracle(cbind(s, f) ~ x, d, binomial)
  expect_meets_contract(m, truth)
  expect_equal(coef(stream_glm(I(ifelse(n == 0, 0, s / n)) ~ x, d, binomial, weights = n)), coef(m))
  weighted <- quietly(glm(cbind(s, f) ~ x, binomial, d, weights = w))
  expect_equal(coef(stream_glm(cbind(s, f) ~ x, d, binomial, weights = w)), coef(weighted),
    tolerance = 1e-7)
  again <- update(m, d)
  expect_equal(again$counts$used, 160)
})

test_that("responses are computed as in glm()", {
  d <- rows_of()
  expect_equal(coef(stream_glm(log(x) ~ z, d)), coef(lm(log(x) ~ z, d)), tolerance = 1e-10)
  m <- stream_glm(y > 0 ~ z + f, d, binomial)
  expect_equal(coef(m), coef(glm(y > 0 ~ z + f, binomial, d)), tolerance = 1e-7)
  m <- stream_glm(factor(y > 0, labels = c("no", "yes")) ~ z, d, binomial)
  expect_equal(coef(m), coef(glm(y > 0 ~ z, binomial, d)), tolerance = 1e-7)
})

test_that("hashed() in a formula has slots of its own, the same as hashed() on data", {
  d <- rows_of(400)
  d$id <- sample(c(1:20, NA), 400, TRUE)
  recipe <- recipe_of(y ~ x + hashed(id, bits = 3) + hashed(s, f, bits = 2):z, d)
  columns <- design_columns(recipe)
  expect_identical(columns$names[3:10], paste0("hashed(id, bits = 3)", 0:7))
  expect_identical(columns$names[11:14], paste0("hashed(s, f, bits = 2)", 0:3, ":z"))
  x <- matrix_of(recipe, d)
  expect_equal(nrow(x), 400)
  slot <- with(d, hashed(id, bits = 3))
  expect_equal(unname(x[, 3:10]), unname(outer(as.integer(slot), 1:8, `==`) + 0))
  expect_identical(hashed(id = as.character(d$id), bits = 3), slot)
  crossed <- with(d, hashed(s, f, bits = 2))
  expect_equal(unname(x[, 11:14]), unname(d$z * outer(as.integer(crossed), 1:4, `==`)))
})

test_that("stream_glm() fits hashed terms as a factor of their slots", {
  d <- rows_of(300)
  d$id <- sample(50, 300, TRUE)
  m <- quietly(stream_glm(y ~ 0 + hashed(id, bits = 3) + x, d))
  d$slot <- hashed(id = d$id, bits = 3)
  truth <- lm(y ~ 0 + slot + x, d)
  expect_equal(unname(coef(m)), unname(coef(truth)), tolerance = 1e-9)
  expect_equal(unname(predict(m, d[1:5, ])), unname(predict(truth, d[1:5, ])), tolerance = 1e-9)
})

test_that("hashed terms share one table, stay open, or take every category", {
  d <- rows_of()
  recipe <- recipe_of(y ~ x + f + hashed(s) + hashed(s):x, d, shared = 2^20)
  expect_identical(design_columns(recipe)$names, c("(Intercept)", "x", "fq", "fr"))
  expect_true(recipe$shared)
  all <- recipe_of(y ~ x + f * s + l, d, shared = 2^20, hash = TRUE)
  kinds <- vapply(all$variables, \(v) v$kind, "")
  expect_identical(sort(table(kinds), decreasing = TRUE)[["hashed"]], 4L)
  expect_error(
    recipe_of(y ~ hashed(s, bits = 3), d, shared = 2^20), class = "riffle_error_argument"
  )
  open <- recipe_of(y ~ hashed(s), d, open = TRUE)
  expect_identical(open$variables[[1L]]$slots, 0)
})

test_that("levels are declared, found, or pooled into `other`", {
  d <- data.frame(y = rnorm(10), s = rep(c("a", "b", "c", "d"), c(5, 3, 1, 1)))
  declared <- recipe_of(y ~ s, d, levels = list(s = c("d", "c", "b", "a", "never")))
  expect_identical(declared$variables[[1L]]$levels, c("d", "c", "b", "a", "never"))
  pooled <- recipe_of(y ~ s, d, min_count = 2)
  expect_identical(pooled$variables[[1L]]$levels, c("a", "b", "other"))
  x <- matrix_of(pooled, data.frame(s = c("a", "c", "zz", "b")))
  expect_equal(unname(x[, "sother"]), c(0, 1, 1, 0))
  expect_snapshot(error = TRUE, {
    recipe_of(y ~ s, d, levels = list(t = "a"))
    recipe_of(y ~ s, d, levels = list(s = c("a", "a")))
    recipe_of(y ~ s, d, levels = c("a", "b"))
  })
})

test_that("a learner's extra columns, codes and full codings come as asked for", {
  d <- rows_of()
  extras <- list(
    list(name = "z", kind = "number"), list(name = "s", kind = "level"),
    list(name = "(t)", kind = "bucket", buckets = 8, expr = quote(round(x)))
  )
  plan <- parse_formula(f ~ x + l, names(d))
  rows <- learning_rows(plan, d, list(), more = extras)
  levels <- find_levels(plan, rows, code = TRUE, extras = extras)
  recipe <- compile_recipe(
    plan, rows, levels, extras = extras, response = "code", coding = "full", intercept = FALSE
  )
  expect_identical(recipe$response, list(name = "f", kind = "code", levels = c("p", "q", "r")))
  expect_identical(recipe$extras[[2L]]$levels, c("u", "v"))
  expect_identical(design_columns(recipe)$names, c("x", "lFALSE", "lTRUE"))
})
