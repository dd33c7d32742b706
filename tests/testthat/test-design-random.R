# 500 random designs against model.matrix(): numbers, factors, strings, ordered factors, logicals,
# missing values, crossed and nested, contrasts by argument and by attribute, bases with their
# knots given, with and without an intercept.

random_rows <- function(n) {
  d <- data.frame(
    y = rnorm(n), x = runif(n, 1, 9), z = rnorm(n), a = sample(c("a1", "B", "c"), n, TRUE),
    b = factor(sample(c("q", "p"), n, TRUE), levels = c("q", "p")), l = runif(n) > 0.5,
    o = factor(sample(1:4, n, TRUE), ordered = TRUE),
    f = factor(sample(c("u", "v", "w"), n, TRUE), levels = c("w", "u", "v")),
    `my v` = rnorm(n), `f f` = sample(c("u", "v"), n, TRUE), check.names = FALSE
  )
  if (runif(1) < 0.3) contrasts(d$f) <- sample(c("contr.sum", "contr.helmert"), 1)
  for (name in sample(c("x", "a", "o", "l", "my v"), sample(0:2, 1))) d[[name]][sample(n, 2)] <- NA
  d
}

random_variables <- c(
  "x", "z", "a", "b", "o", "l", "f", "`my v`", "`f f`", "log(x)", "I(x^2)", "(x > 4)",
  "cut(x, c(0, 3, 6, 10))", "poly(z, 2)", "splines::ns(z, knots = c(-0.5, 0.5))",
  "splines::bs(z, knots = 0.2, degree = 2)", "factor(round(x / 3))", "exp(z)"
)

random_formula <- function() {
  v <- sample(random_variables, sample(1:4, 1))
  right <- switch(sample(7, 1),
    paste(v, collapse = " + "), paste(v, collapse = " * "), paste(v, collapse = ":"),
    paste(v[1], "+", paste(v, collapse = ":")), paste0("(", paste(v, collapse = " + "), ")^2"),
    if (length(v) > 1) paste(v[1], "%in%", v[2], "+", v[2]) else v,
    if (length(v) > 1) paste(v[1], "/", v[2]) else v
  )
  as.formula(paste("y ~", if (runif(1) < 0.3) "0 +", right), env = globalenv())
}

# Whether R itself makes a design of it: contrasts need two levels.
reference <- function(formula, d, contrasts) {
  tryCatch(
    model.matrix(formula, model.frame(formula, d), contrasts.arg = contrasts),
    error = \(e) NULL
  )
}

test_that("columns, names and numbers equal model.matrix() over 500 random designs", {
  set.seed(500)
  made <- 0
  while (made < 500) {
    d <- random_rows(sample(c(25, 60), 1))
    formula <- random_formula()
    contrasts <- if ("a" %in% all.names(formula)) {
      list(a = sample(c("contr.sum", "contr.helmert", "contr.treatment", "contr.SAS"), 1))
    }
    expected <- reference(formula, in_c_order(d), contrasts)
    if (is.null(expected) || ncol(expected) > 400) next
    made <- made + 1
    got <- matrix_of(recipe_of(formula, d, contrasts), d)
    label <- paste(deparse(formula), collapse = " ")
    expect_identical(colnames(got), colnames(expected), label = label)
    expect_identical(attr(got, "assign"), attr(expected, "assign"), label = label)
    # poly() is by its recursion here, by QR there; products are the same products.
    expect_equal(got, expected, ignore_attr = TRUE, tolerance = 1e-11, label = label)
  }
})

test_that("empty cells of an interaction are columns of zeros, and aliased in a fit", {
  d <- data.frame(y = rnorm(6), f = c("a", "a", "b", "b", "c", "c"), g = rep(c("u", "v"), 3))
  d <- d[!(d$f == "c" & d$g == "v"), ]
  got <- matrix_of(recipe_of(y ~ f * g, d), d)
  expect_equal(got, model.matrix(y ~ f * g, d), ignore_attr = TRUE)
  m <- quietly(stream_glm(y ~ f * g, d))
  expect_identical(names(which(is.na(coef(m)))), names(which(is.na(coef(lm(y ~ f * g, d))))))
})
