rows_to_widen <- function() {
  set.seed(5)
  data.frame(
    y = rnorm(30), x = rnorm(30), a = sample(c("p", "q", "r"), 30, TRUE),
    b = sample(c("u", "v"), 30, TRUE)
  )
}

test_that("a wider recipe keeps the old columns where the map says", {
  d <- rows_to_widen()
  f <- y ~ x * a * b + hashed(a, bits = 2) + x:b
  old <- recipe_of(f, d, coding = "full", intercept = TRUE)
  new <- widen_recipe(old, list(a = c("n1", "n2"), b = "m"))
  to <- widen_map(old, new) + 1L
  # All levels are columns, so the model matrix is the indicator space itself.
  before <- matrix_of(old, d)[, ]
  after <- matrix_of(new, d)[, ]
  expect_identical(unname(after[, to]), unname(before))
  expect_true(all(after[, -to] == 0))
  expect_identical(colnames(after)[to], colnames(before))
  expect_gt(ncol(after), ncol(before))
})

test_that("new levels keep the base and come last in treatment contrasts", {
  d <- rows_to_widen()
  wide <- widen_recipe(recipe_of(y ~ a + x, d), list(a = "b"))
  expect_identical(design_columns(wide)$names, c("(Intercept)", "aq", "ar", "ab", "x"))
  x <- matrix_of(wide, data.frame(a = c("b", "p"), x = 1))
  expect_equal(unname(x[, "ab"]), c(1, 0))
})

test_that("contrasts that would change their meaning refuse new levels by name", {
  d <- rows_to_widen()
  recipe <- recipe_of(y ~ a, d, list(a = "contr.sum"))
  expect_snapshot(error = TRUE, widen_recipe(recipe, list(a = "b")))
})

test_that("update() takes new levels, or says which row has one", {
  d <- rows_to_widen()
  m <- stream_glm(y ~ a + x, d)
  new <- d[1:6, ]
  new$a <- "new"
  if (.Call(c_model_widens, "glm")) {
    expect_identical(names(coef(update(m, new))), c("(Intercept)", "aq", "ar", "anew", "x"))
  } else {
    expect_error(update(m, new), "'new'", class = "riffle_error_data")
  }
})
