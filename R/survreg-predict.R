#' Predict times and probabilities, and learn from new rows
#'
#' `predict()` gives one prediction for each row of `newdata`, always: a row with a missing
#' value, or with a level that the model has not seen, gets `NA`. `update()` with rows returns a
#' new model that has learnt them too, without the old rows.
#'
#' @param object A model from [stream_survreg()].
#' @param newdata A data frame or a stream with the columns of the formula's right side. For
#'   `update()` with times and events, or a formula such as `. ~ . - x`: then the model is fitted
#'   anew, and `data` must be given since a model keeps no rows.
#' @param type `"response"` (the location on the scale of time), `"lp"` (or `"link"`, `"linear"`:
#'   the linear predictor), `"quantile"` (times by which the event has come with probability
#'   `p`), `"uquantile"` (the same before times are transformed back) or `"survival"`
#'   (probabilities that it comes after `times`).
#' @param se.fit Whether standard errors are wanted: then the result is a list with `fit` and
#'   `se.fit`.
#' @param p Probabilities of quantiles.
#' @param times Times of survival probabilities, in the unit of the data.
#' @param unseen What an unseen level does: `"na"`, `"reference"` (the first level stands for
#'   it) or `"error"`; both of the first two warn once with class `riffle_warning_unseen`.
#' @param na.action What becomes of missing predictions: `na.pass` keeps them.
#' @param data For `update()` with a formula: the rows to fit.
#' @param ... Unused.
#' @returns `predict()`: a numeric vector named by the rows of `newdata`; a matrix with a column
#'   for each of several `p` or `times`; or a list, as said. `update()`: a model.
#' @details
#' Standard errors of quantiles and probabilities are by the delta method, with the covariance of
#' coefficients and scales. They are robust in a model with clusters.
#'
#' What follows from updates is said at [predict.riffle_glm()]; an event is coded in new rows as
#' it was in the first ones.
#' @section Errors:
#' `riffle_error_schema` when `newdata` lacks a column; `riffle_error_data` for an unseen level
#' with `unseen = "error"`; `riffle_error_argument` when `newdata`, `times` or `data` is missing.
#' @source [survival::predict.survreg()]; Luo and Song (2020), Renewable estimation and incremental
#'   inference in generalized linear models with streaming data sets, JRSS B 82.
#' @name predict.riffle_survreg
#' @aliases update.riffle_survreg
#' @examples
#' d <- data.frame(x = rep(c(-1, 0, 1, 2), 50), time = rexp(200), event = rep(c(1, 1, 0, 1, 1), 40))
#' m <- stream_survreg(Surv(time, event) ~ x, d)
#' predict(m, d[1:2, ], type = "quantile", p = c(0.5, 0.9), se.fit = TRUE)
#' predict(m, d[1:2, ], type = "survival", times = c(0.5, 1, 2))
NULL

# What the distribution of (y - eta) / sigma offers R.
survival_functions <- function(dist) {
  switch(dist$base,
    extreme = list(
      quantile = \(p) log(-log1p(-p)), above = \(z) exp(-exp(z)), density = \(z) exp(z - exp(z))
    ),
    logistic = list(
      quantile = stats::qlogis, above = \(z) stats::plogis(-z), density = stats::dlogis
    ),
    gaussian = list(
      quantile = stats::qnorm, above = \(z) stats::pnorm(-z), density = stats::dnorm
    ),
    t = list(
      quantile = \(p) stats::qt(p, dist$df), above = \(z) stats::pt(-z, dist$df),
      density = \(z) stats::dt(z, dist$df)
    )
  )
}

survival_what <- c(lp = 0L, response = 1L, lp_se = 2L, parts = 3L, derivatives = 4L)
survival_predictions <- c(
  "response", "lp", "link", "linear", "quantile", "uquantile", "survival"
)

#' @rdname predict.riffle_survreg
#' @export
predict.riffle_survreg <- function(object, newdata, type = survival_predictions, se.fit = FALSE,
                                   p = c(0.1, 0.9), times = NULL,
                                   unseen = c("na", "reference", "error"), na.action = na.pass,
                                   ...) {
  if (missing(newdata)) abort_keeps_no_rows("predict")
  type <- check_choice(type, survival_predictions)
  unseen <- check_choice(unseen, c("na", "reference", "error"))
  check_flag(se.fit)
  check_ends(type, p, times)
  frames <- new_rows(object, newdata, "score")
  out <- if (type == "survival") {
    survival_at(object, frames, unseen, times, se.fit)
  } else if (type %in% c("quantile", "uquantile")) {
    quantiles_at(object, frames, unseen, p, type == "quantile", se.fit)
  } else {
    locations_at(object, frames, unseen, type == "response", se.fit)
  }
  warn_unseen(out$counts, unseen)
  names <- if (is.data.frame(newdata)) row.names(newdata)
  fit <- na.action(named_rows(out$fit, names))
  if (!se.fit) {
    return(fit)
  }
  list(fit = fit, se.fit = na.action(named_rows(out$se, names)))
}

check_ends <- function(type, p, times) {
  if (type %in% c("quantile", "uquantile")) {
    if (!is.numeric(p) || !length(p) || anyNA(p) || any(p < 0 | p > 1)) {
      abort_argument("`p` must be probabilities, not {describe(p)}.")
    }
  }
  if (type == "survival" && (!is.numeric(times) || !length(times) || anyNA(times))) {
    abort_argument("`times` must be numbers, at which probabilities are wanted.")
  }
}

# Columns of scores as a list.
survival_scores <- function(object, frames, what, unseen, columns) {
  scored <- score_frames(object, frames, survival_what[[what]], unseen_codes[[unseen]])
  n <- length(scored$scores) / length(columns)
  parts <- lapply(seq_along(columns), \(k) scored$scores[(k - 1) * n + seq_len(n)])
  c(stats::setNames(parts, columns), list(counts = scored$counts))
}

parts_columns <- c("lp", "sigma", "own", "shared", "scale")

locations_at <- function(object, frames, unseen, response, se) {
  if (!se) {
    s <- survival_scores(object, frames, if (response) "response" else "lp", unseen, "fit")
    return(s)
  }
  s <- survival_scores(object, frames, "lp_se", unseen, c("fit", "se"))
  if (response && object$dist$log) {
    s$fit <- exp(s$fit)
    s$se <- s$se * s$fit
  }
  s
}

quantiles_at <- function(object, frames, unseen, p, back, se) {
  s <- survival_scores(object, frames, "parts", unseen, parts_columns)
  q <- survival_functions(object$dist)$quantile(p)
  fit <- outer(s$sigma, q) + s$lp
  step <- outer(s$sigma, q)
  error <- sqrt(s$own + 2 * step * s$shared + step^2 * s$scale)
  if (back && object$dist$log) {
    fit <- exp(fit)
    error <- error * fit
  }
  list(fit = narrow_matrix(fit, p), se = if (se) narrow_matrix(error, p), counts = s$counts)
}

survival_at <- function(object, frames, unseen, times, se) {
  s <- survival_scores(object, frames, "parts", unseen, parts_columns)
  f <- survival_functions(object$dist)
  y <- if (object$dist$log) suppressWarnings(log(pmax(times, 0))) else times
  z <- -outer(s$lp, y, `-`) / s$sigma
  fit <- f$above(z)
  slope <- f$density(z) / s$sigma
  turn <- ifelse(is.finite(z), f$density(z) * z, 0 * z)
  error <- sqrt(slope^2 * s$own + 2 * slope * turn * s$shared + turn^2 * s$scale)
  list(fit = narrow_matrix(fit, times), se = if (se) narrow_matrix(error, times), counts = s$counts)
}

# One column is a vector.
narrow_matrix <- function(x, names) {
  if (ncol(x) == 1L) {
    return(as.vector(x))
  }
  colnames(x) <- format(names, trim = TRUE)
  x
}

# ---- residuals -----------------------------------------------------------------------

survival_residuals <- c(
  "response", "deviance", "working", "dfbeta", "dfbetas", "ldcase", "ldresp", "ldshape", "matrix"
)

#' @rdname survreg-methods
#' @export
residuals.riffle_survreg <- function(object, newdata, type = survival_residuals,
                                     weighted = FALSE, ...) {
  if (missing(newdata)) abort_keeps_no_rows("residuals")
  check_data_frame(newdata)
  check_flag(weighted)
  type <- check_choice(type, survival_residuals)
  all_extras <- object
  all_extras$recipe$extras <- lapply(object$recipe$extras, \(extra) {
    extra$for_scoring <- extra$kind != "bucket"
    extra
  })
  d <- survival_scores(
    all_extras, new_rows(all_extras, newdata, "score"), "derivatives", "na",
    c("lp", "sigma", "g", "dg", "ddg", "ds", "dds", "dsg")
  )
  warn_unseen(d$counts, "na")
  out <- switch(type,
    response = response_residuals(object, newdata, d),
    deviance = survival_deviance(object, newdata, d),
    working = -d$dg / d$ddg,
    matrix = do.call(cbind, d[c("g", "dg", "ddg", "ds", "dds", "dsg")]),
    influence_residuals(object, newdata, d, type)
  )
  if (weighted) out <- out * weight_values(object, newdata)
  named_rows(out, row.names(newdata))
}

column_value <- function(column, data, env) {
  if (is.null(column$expr)) data[[column$name]] else eval(column$expr, data, env)
}

# Times of rows as the learner sees them: y, y2 and the status 0 to 3.
survival_times <- function(object, newdata) {
  surv <- object$surv
  env <- environment(object$terms)
  value <- \(column) {
    if (is.null(column)) {
      return(NULL)
    }
    as.numeric(column_value(column, newdata, env))
  }
  time <- value(surv$time)
  time2 <- value(surv$time2)
  status <- value(surv$status)
  kind <- switch(surv$type,
    right = if (is.null(status)) rep(1, length(time)) else as.numeric(status == surv$event),
    left = ifelse(status == surv$event, 1, 2),
    interval = status,
    ifelse(is.na(time), 2, ifelse(is.na(time2), 0, ifelse(time == time2, 1, 3)))
  )
  if (surv$type == "interval2") time <- ifelse(kind == 2, time2, time)
  back <- if (object$dist$log) log else identity
  list(
    y = back(time), y2 = if (is.null(time2)) time else back(ifelse(kind == 3, time2, time)),
    status = kind
  )
}

# The location that fits a row best, and the log-likelihood that it has there.
saturated <- function(object, newdata, sigma) {
  t <- survival_times(object, newdata)
  inside <- !is.na(t$status) & t$status == 3
  exact <- t$status == 1
  width <- ifelse(inside, (t$y2 - t$y) / sigma, 1)
  middle <- ifelse(inside, (t$y + t$y2) / 2, t$y)
  f <- survival_functions(object$dist)
  if (object$dist$base == "extreme") {
    # The mode: where the hazards at both ends balance.
    step <- log(width) - log(expm1(width))
    best <- ifelse(inside, t$y - step * sigma, t$y)
    over <- ifelse(inside, -exp(step) + log(-expm1(-exp(step) * expm1(width))), 0)
    loglik <- ifelse(exact, -1 - log(sigma), over)
  } else {
    best <- middle
    over <- ifelse(inside, log(f$above(-width / 2) - f$above(width / 2)), 0)
    loglik <- ifelse(exact, log(f$density(0)) - log(sigma), over)
  }
  list(centre = best, loglik = loglik)
}

response_residuals <- function(object, newdata, d) {
  centre <- saturated(object, newdata, d$sigma)$centre
  if (object$dist$log) exp(centre) - exp(d$lp) else centre - d$lp
}

survival_deviance <- function(object, newdata, d) {
  best <- saturated(object, newdata, d$sigma)
  sign(-d$dg / d$ddg) * sqrt(pmax(0, 2 * (best$loglik - d$g)))
}

influence_residuals <- function(object, newdata, d, type) {
  v <- survival_vcov(object, naive = TRUE)
  v[is.na(v)] <- 0
  n <- nrow(newdata)
  frames <- new_rows(object, newdata, "score")
  made <- .Call(c_recipe_matrix, object$recipe, frames, unseen_codes[["na"]])
  x <- matrix(NA_real_, n, ncol(made$x))
  x[made$row, ] <- made$x
  spread <- \(each) scale_columns(object, newdata, each)
  if (type == "ldresp") {
    score <- cbind(d$ddg * x * d$sigma, spread(d$dsg * d$sigma))
    return(rowSums((score %*% v) * score))
  }
  if (type == "ldshape") {
    score <- cbind(d$dsg * x, spread(d$dds))
    return(rowSums((score %*% v) * score))
  }
  score <- cbind(d$dg * x, spread(d$ds))
  out <- score %*% v
  if (type == "ldcase") {
    return(rowSums(out * score))
  }
  colnames(out) <- colnames(v)
  if (type == "dfbetas") out / rep(sqrt(diag(v)), each = n) else out
}

# A column for each scale that is estimated, with `each` in the row's own.
scale_columns <- function(object, newdata, each) {
  if (object$fit$n_scale == 0) {
    return(NULL)
  }
  levels <- strata_levels(object)
  if (is.null(levels)) {
    return(each)
  }
  extra <- Filter(\(extra) extra$kind == "level", object$recipe$extras)[[1L]]
  value <- column_value(extra, newdata, environment(object$terms))
  code <- match(as.character(value), levels)
  out <- matrix(0, nrow(newdata), length(levels))
  known <- which(!is.na(code))
  out[cbind(known, code[known])] <- each[known]
  out[is.na(code), ] <- NA_real_
  out
}

# ---- update --------------------------------------------------------------------------

#' @rdname predict.riffle_survreg
#' @export
update.riffle_survreg <- function(object, newdata, ..., data) {
  dots <- list(...)
  if (missing(newdata)) {
    if (is.null(dots$formula.)) {
      abort_argument("`newdata` must be given: rows to learn, or a formula with `data`.")
    }
    newdata <- dots$formula.
  }
  if (!inherits(newdata, "formula")) {
    return(learn_rows(object, newdata))
  }
  if (missing(data)) {
    abort_argument(c(
      "`data` must be given to fit another formula: the model keeps no rows.",
      i = "Use {.code update(m, {deparse1(newdata)}, data = rows)}."
    ))
  }
  check_data(data)
  call <- object$call
  formula <- stats::update(object$formula, newdata)
  environment(formula) <- environment(object$formula)
  call$formula <- formula
  fit_survreg(list(
    call = call, formula = formula, data = data, dist = object$dist, control = object$control,
    na_action = object$na.action, half_life = object$half_life,
    calls = list(weights = object$weights_call, cluster = object$cluster_call), subset = NULL
  ))
}
