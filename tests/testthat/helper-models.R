# Strings as factors with their levels in C order: what riffle does with them, for the oracles,
# which sort by the session's locale.
in_c_order <- function(data) {
  text <- vapply(data, is.character, NA)
  data[text] <- lapply(data[text], \(x) factor(x, levels = sort(unique(x), method = "radix")))
  data
}

# glm() run to convergence, with standard errors from the information at the estimate. glm()'s own
# are those of the iteration before (up to 6e-5 off), and its default tolerance leaves
# coefficients up to 1e-7 off. Which columns are aliased is glm()'s default answer: with a
# tight epsilon its rank tolerance is 1e-17 and sees none.
oracle <- function(formula, data, family, ...) {
  call <- match.call()
  call[[1L]] <- quote(stats::glm)
  call$data <- in_c_order(data)
  fit <- tryCatch(suppressWarnings(eval(call, parent.frame())), error = identity)
  if (inherits(fit, "error")) { # glm()'s own start is out of range: the mean alone is not
    frame <- stats::model.frame(formula, call$data)
    mean <- family$linkfun(mean(stats::model.response(frame)))
    x <- stats::model.matrix(formula, frame)
    call$start <- c(mean, rep(0, ncol(x) - 1L))
    fit <- suppressWarnings(eval(call, parent.frame()))
  }
  keep <- !is.na(stats::coef(fit))
  x <- stats::model.matrix(fit)[, keep, drop = FALSE]
  call$control <- stats::glm.control(epsilon = 1e-14, maxit = 100)
  if (all(keep)) {
    fit <- suppressWarnings(eval(call, parent.frame()))
    # Where scoring converges linearly, a deviance that moves by 1e-14 leaves coefficients up to
    # 1e-7 standard errors off: a few more steps from there.
    for (k in 1:6) {
      call$start <- stats::coef(fit)
      call$control <- stats::glm.control(epsilon = 1e-15, maxit = 3)
      more <- tryCatch(suppressWarnings(eval(call, parent.frame())), error = \(e) NULL)
      if (is.null(more)) break
      more$null.deviance <- fit$null.deviance
      fit <- more
    }
  } else {
    tight <- suppressWarnings(stats::glm.fit(
      x, fit$y, fit$prior.weights,
      offset = fit$offset, family = family, control = call$control,
      intercept = attr(stats::terms(fit), "intercept") == 1L
    ))
    fit$coefficients[keep] <- tight$coefficients
    same <- c("fitted.values", "linear.predictors", "deviance", "aic")
    fit[same] <- tight[same]
  }
  list(
    fit = fit, coef = stats::coef(fit), se = information_errors(fit, x, keep),
    deviance = stats::deviance(fit)
  )
}

information_errors <- function(fit, x, keep) {
  eta <- fit$linear.predictors
  family <- fit$family
  weight <- fit$prior.weights * family$mu.eta(eta)^2 / family$variance(fit$fitted.values)
  phi <- 1
  if (!fixed_dispersion(family)) {
    mu <- fit$fitted.values
    phi <- sum(fit$prior.weights * (fit$y - mu)^2 / family$variance(mu)) / fit$df.residual
  }
  # Columns are scaled first: the Gram matrix of columns of unlike size loses digits.
  scale <- sqrt(colSums(weight * x^2))
  inverse <- chol2inv(qr.R(qr(sqrt(weight) * sweep(x, 2L, scale, "/"), tol = 0)))
  se <- rep(NA_real_, length(keep))
  se[keep] <- sqrt(phi * diag(inverse)) / scale
  stats::setNames(se, names(keep))
}

# The contract of a fit: coefficients within 1e-7 standard errors (and 1e-10 of their size,
# which is what double precision leaves of a coefficient that is known to many digits), standard
# errors to 1e-7, deviance to 1e-10, the same coefficients NA.
expect_meets_contract <- function(m, truth, deviance = TRUE) {
  expect_identical(names(coef(m)), names(truth$coef))
  expect_identical(is.na(coef(m)), is.na(truth$coef))
  ok <- !is.na(truth$coef)
  off <- abs(coef(m) - truth$coef)[ok] / (1e-7 * truth$se[ok] + 1e-10 * abs(truth$coef[ok]))
  expect_lte(max(off), 1)
  se <- sqrt(diag(vcov(m)))
  expect_lte(max(abs(se[ok] / truth$se[ok] - 1)), 1e-7)
  # A deviance near 0 (a saturated fit) is rounding; 1e-10 of the null deviance is its scale then.
  if (deviance) {
    scale <- max(truth$deviance, truth$fit$null.deviance)
    expect_lte(abs(deviance(m) - truth$deviance), 1e-10 * scale)
    expect_equal(m$fit$null_deviance, truth$fit$null.deviance, tolerance = 1e-10)
  }
  expect_equal(df.residual(m), truth$fit$df.residual)
}

# What a model says while it is made (aliased columns, separation) is not the matter of most
# tests.
quietly <- function(expr) suppressWarnings(suppressMessages(expr))

# The same fit from frames of `cut` rows.
fit_cut <- function(formula, data, family = gaussian(), cut = NULL, weights = NULL,
                    control = list(), job = list()) {
  plan <- parse_formula(formula, data_fields(data))
  extras <- if (!is.null(weights)) list(weights = list(name = weights, value = NULL))
  fit_glm(c(job, list(
    call = quote(fit()), plan = plan, data = data, family = as_family(family),
    extras = extras, calls = list(weights = if (!is.null(weights)) as.name(weights)),
    subset = NULL, na_action = "na.omit", contrasts = NULL, start = NULL,
    control = check_control(control), defaults = c("contr.treatment", "contr.poly")
  )), cut = cut)
}

# The compiled recipe of a formula over a data frame, and its model matrix from C.
recipe_of <- function(formula, data, contrasts = NULL, ..., levels = NULL, min_count = 0,
                      hash = FALSE) {
  plan <- parse_formula(formula, data_fields(data))
  rows <- learning_rows(plan, data, list())
  found <- find_levels(plan, rows, levels, min_count, hash)
  compile_recipe(plan, rows, found, contrasts, hash = hash, ...)
}

matrix_of <- function(recipe, data) {
  model <- list(recipe = recipe, terms = y ~ x, control = list())
  out <- .Call(c_recipe_matrix, recipe, new_rows(model, data, "score"), 0L)
  columns <- design_columns(recipe)
  names <- list(rownames(data)[out$row], columns$names)
  structure(out$x, dimnames = names, assign = columns$assign)
}

adult_formula <- income ~ age * sex + education_num + marital + race + relationship +
  occupation + hr_per_week

adult_data <- function() {
  path <- skip_without_data("glm/adult.data.gz")
  utils::read.csv(path, stringsAsFactors = FALSE, strip.white = TRUE)
}

bandit_data <- function() {
  path <- skip_without_data("ctr/obd_random_men.csv.gz")
  d <- utils::read.csv(path, check.names = FALSE)
  d <- d[c("timestamp", "item_id", "position", "click", paste0("user_feature_", 0:3))]
  d$position <- as.character(d$position)
  d
}

# Rows of a mixed design with every kind of column, the same for every run.
mixed_rows <- function(n, seed = 1) {
  set.seed(seed)
  d <- data.frame(
    x = rnorm(n), z = rexp(n), k = sample(0:5, n, TRUE), a = sample(c("b", "A", "c"), n, TRUE),
    f = factor(sample(c("low", "mid", "high"), n, TRUE), levels = c("low", "mid", "high")),
    flag = runif(n) < 0.4, w = sample(c(0.5, 1, 2), n, TRUE), o = round(runif(n), 2)
  )
  eta <- -0.5 + 0.4 * d$x - 0.3 * (d$a == "c") + 0.5 * d$flag * d$x + 0.2 * d$k
  d$y <- eta + rnorm(n)
  d$click <- as.integer(runif(n) < plogis(eta))
  d$count <- rpois(n, exp(eta / 2))
  d
}
