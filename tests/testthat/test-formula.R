test_that("model matrices equal model.matrix() on data in C order, over random designs", {
  set.seed(20)
  n <- 40
  for (round in seq_len(150)) {
    d <- data.frame(
      y = rnorm(n), x = rnorm(n), z = rnorm(n), a = sample(c("a1", "B", "c"), n, TRUE),
      l = runif(n) > 0.5, b = factor(sample(c("q", "p"), n, TRUE), levels = c("q", "p")),
      o = factor(sample(1:4, n, TRUE), ordered = TRUE),
      `my v` = rnorm(n), `f f` = sample(c("u", "v"), n, TRUE), check.names = FALSE
    )
    vars <- sample(c("x", "z", "a", "b", "o", "l", "`my v`", "`f f`"), sample(1:4, 1))
    right <- paste(vars, collapse = sample(c(" + ", " * ", ":"), 1))
    if (length(vars) > 1 && runif(1) < 0.5) {
      right <- paste(vars[1], "+", paste(vars, collapse = ":"))
    }
    formula <- as.formula(paste("y ~", if (runif(1) < 0.3) "0 +", right))
    codings <- c("contr.sum", "contr.helmert", "contr.treatment", "contr.SAS")
    contrasts <- if ("a" %in% all.vars(formula)) list(a = sample(codings, 1))
    expected <- model.matrix(formula, in_c_order(d), contrasts.arg = contrasts)
    got <- matrix_of(recipe_of(formula, d, contrasts), d)
    expect_identical(colnames(got), colnames(expected))
    expect_identical(attr(got, "assign"), attr(expected, "assign"))
    # Products of two numbers are the same product in C; nothing is rounded elsewhere.
    expect_equal(got, expected, ignore_attr = TRUE, tolerance = 1e-15)
  }
})

test_that("a contrast matrix keeps its column names, and a function may be given", {
  d <- data.frame(y = 1:6, g = rep(c("a", "b", "c"), 2))
  own <- cbind(first = c(1, 0, -1), second = c(0.5, -1, 0.5))
  got <- matrix_of(recipe_of(y ~ g, d, list(g = own)), d)
  expect_identical(colnames(got), c("(Intercept)", "gfirst", "gsecond"))
  expected <- model.matrix(y ~ g, in_c_order(d), contrasts.arg = list(g = own))
  expect_equal(got, expected, ignore_attr = TRUE)
  expect_equal(
    matrix_of(recipe_of(y ~ g, d, list(g = contr.sum)), d),
    model.matrix(y ~ g, in_c_order(d), contrasts.arg = list(g = contr.sum)),
    ignore_attr = TRUE
  )
})

test_that("contrasts that a factor brings along are used", {
  d <- data.frame(y = 1:6, g = factor(rep(c("a", "b", "c"), 2)))
  contrasts(d$g) <- contr.sum(3)
  expect_equal(matrix_of(recipe_of(y ~ g, d), d), model.matrix(y ~ g, d), ignore_attr = TRUE)
})

test_that("levels of strings are in C order, those of a factor in its own", {
  d <- data.frame(y = 1:4, s = c("b", "A", "a", "B"))
  d$f <- factor(c("z", "y", "z", "y"), levels = c("z", "unused", "y"))
  recipe <- recipe_of(y ~ s + f, d)
  expect_identical(recipe$variables[[1L]]$levels, c("A", "B", "a", "b"))
  expect_identical(recipe$variables[[2L]]$levels, c("z", "y"))
})

test_that("levels that occur only in rows with a missing value are not in the model", {
  d <- data.frame(y = 1:5, x = c(1, NA, 2, 3, 4), s = c("a", "gone", "b", "a", "b"))
  expect_identical(recipe_of(y ~ s + x, d)$variables[[1L]]$levels, c("a", "b"))
  expect_identical(recipe_of(y ~ s, d)$variables[[1L]]$levels, c("a", "b", "gone"))
})

test_that("`.` leaves out metadata and raw columns", {
  d <- data.frame(y = 1:3, x = 1:3, .offset = 1:3, .partition = 1:3)
  d$bytes <- I(list(raw(1), raw(1), raw(1)))
  plan <- parse_formula(y ~ ., data_fields(d))
  expect_identical(plan$order, "x")
  expect_identical(parse_formula(y ~ . + .offset, data_fields(d))$order, c("x", ".offset"))
})

test_that("a column that is taken out again leaves no row out", {
  d <- data.frame(y = c(1, 2, 4, 3), x = c(NA, 1, 2, 3), z = c(1, 3, 2, 5))
  plan <- parse_formula(y ~ . - x, data_fields(d))
  expect_identical(names(learning_rows(plan, d, list())$kind), c("y", "z"))
  expect_equal(stream_glm(y ~ . - x, d)$counts$used, 4)
})

test_that("a variable of the caller's environment stands for a column at the fit only", {
  d <- data.frame(y = c(1, 2, 4, 3), x = c(2, 1, 3, 5))
  outside <- c(1, 0, 0, 1)
  m <- stream_glm(y ~ x + outside, d)
  expect_equal(coef(m), coef(lm(y ~ x + outside, d)), tolerance = 1e-12)
  expect_error(predict(m, d), class = "riffle_error_schema")
})

test_that("what cannot be compiled is refused by name", {
  d <- data.frame(y = 1:4, x = c(1, 2, 3, 5), g = "one", s = sprintf("s%d", 1:4))
  d$n <- matrix(1:8, 4)
  d$list <- as.list(1:4)
  too_short <- 1:3
  expect_snapshot(error = TRUE, {
    parse_formula("y ~ x", names(d))
    parse_formula(~x, names(d))
    parse_formula(y ~ hashed(log(x)), names(d))
    parse_formula(y ~ hashed(x, bits = 30), names(d))
    parse_formula(hashed(y) ~ x, names(d))
    parse_formula(cbind(y, x, x) ~ s, names(d))
    stream_glm(cbind(y, x) ~ s, d, poisson)
    parse_formula(y ~ x + y:x, names(d))
    recipe_of(y ~ nosuch(x), d)
    recipe_of(y ~ log(x, nosuch), d)
    recipe_of(y ~ log(s), d)
    recipe_of(y ~ I(1:3), d)
    recipe_of(y ~ g, d)
    recipe_of(y ~ n, d)
    recipe_of(y ~ list, d)
    recipe_of(y ~ nowhere, d)
    recipe_of(y ~ too_short, d)
    recipe_of(y ~ offset(s), d)
    recipe_of(y ~ s, d, list(x = "contr.sum"))
    recipe_of(y ~ s, d, "contr.sum")
  })
})

test_that("a string with more than 1,000 levels is refused, and a factor is not", {
  d <- data.frame(y = rnorm(1001), id = sprintf("u%04d", 1:1001))
  expect_snapshot(error = TRUE, recipe_of(y ~ id, d))
  expect_length(recipe_of(y ~ id, d[1:1000, ])$variables[[1L]]$levels, 1000L)
  d$id <- factor(d$id)
  expect_length(recipe_of(y ~ id, d)$variables[[1L]]$levels, 1001L)
})

test_that("a recipe is a plain list that prints", {
  d <- data.frame(income = c("<=50K", ">50K"), age = c(20, 30), sex = c("Male", "Female"))
  recipe <- recipe_of(income ~ age * sex, d)
  expect_snapshot(recipe)
  expect_identical(unserialize(serialize(recipe, NULL)), recipe)
})
