#' What a generalised linear model tells of rows
#'
#' Residuals, leverages, influence, simulated responses and model matrices of `newdata`. A model
#' keeps no rows, so each of these reads the rows once: for the rows that it was fitted to they are
#' what [stats::glm()]'s methods give.
#'
#' @param object,model,formula,x A model from [stream_glm()].
#' @param newdata A data frame with the columns of the formula and the response.
#' @param type For `residuals()`: `"deviance"`, `"pearson"`, `"response"`, `"working"` or
#'   `"partial"` (a matrix, one column a term: working residuals plus what the term adds, centred
#'   over `newdata`). For `rstandard()`: `"deviance"` or `"pearson"`. For `weights()`: `"prior"` or
#'   `"working"`.
#' @param nsim,seed As in [stats::simulate()].
#' @param do.coef Whether `influence()` adds the change of each coefficient when a row is left
#'   out, a matrix of one row a row.
#' @param which What to plot: `"coefficients"` with intervals, or `"calibration"`: observed against
#'   predicted means in bins of equal numbers of rows of `newdata`.
#' @param level Confidence level of the intervals.
#' @param bins Number of bins.
#' @param ... Passed on, or unused.
#' @returns Vectors named by the rows of `newdata`, matrices with a row a row, or data frames;
#'   `influence()` a list of `hat`, `coefficients`, `sigma`, `dev.res`, `pear.res` as
#'   [stats::influence()] gives. Rows with a missing value get `NA`.
#' @details
#' `sigma`, `rstudent()`, `cooks.distance()` and `dfbetas()` take `newdata` to be the rows of the
#' fit: they leave one of them out.
#'
#' `simulate()` draws Gamma responses with shape 1 / dispersion, Tweedie ones (with a power from 1
#' to 2) as sums of Gamma variables, inverse Gaussian ones by Michael, Schucany and Haas. A quasi
#' family has no distribution: that is an error.
#' @section Errors:
#' `riffle_error_argument` when `newdata` is missing; `riffle_error_schema` when it lacks a column.
#' @source Williams (1987), Generalized linear model diagnostics using the deviance and single case
#'   deletions, Applied Statistics 36; Michael, Schucany and Haas (1976), The American Statistician
#'   30.
#' @name glm-rows
#' @importFrom stats cooks.distance dfbeta dfbetas hatvalues influence rstandard rstudent weights
#' @examples
#' m <- stream_glm(am ~ wt, mtcars, binomial)
#' head(residuals(m, mtcars))
#' head(cooks.distance(m, mtcars))
#' plot(m, "calibration", mtcars, bins = 4)
NULL

# ---- what needs rows -----------------------------------------------------------------

#' @rdname glm-rows
#' @export
fitted.riffle_glm <- function(object, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("fitted")
  predict.riffle_glm(object, newdata, type = "response")
}

# All that residuals are made of: response, prior weight, linear predictor and mean of each row.
row_parts <- function(object, newdata, verb, se = FALSE) {
  if (missing(newdata)) abort_keeps_no_rows(verb)
  check_data_frame(newdata)
  link <- predict.riffle_glm(object, newdata, se.fit = se)
  eta <- if (se) link$fit else link
  mu <- object$family$linkinv(eta)
  y <- response_values(object, newdata)
  parts <- list(
    y = y, w = weight_values(object, newdata), eta = eta, mu = mu,
    slope = object$family$mu.eta(eta), variance = object$family$variance(mu),
    known = !is.na(mu) & !is.na(y), names = row.names(newdata)
  )
  parts$working <- parts$w * parts$slope^2 / parts$variance
  if (se) parts$hat <- parts$working * link$se.fit^2 / object$fit$dispersion
  parts
}

glm_deviance_residuals <- function(object, parts) {
  known <- parts$known
  d <- rep(NA_real_, length(known))
  squares <- object$family$dev.resids(parts$y[known], parts$mu[known], parts$w[known])
  d[known] <- sqrt(pmax(squares, 0))
  d * ifelse(parts$y > parts$mu, 1, -1)
}

glm_pearson_residuals <- function(parts) (parts$y - parts$mu) * sqrt(parts$w / parts$variance)

#' @rdname glm-rows
#' @export
residuals.riffle_glm <- function(object, newdata,
                                 type = c("deviance", "pearson", "response", "working", "partial"),
                                 ...) {
  type <- check_choice(type, c("deviance", "pearson", "response", "working", "partial"))
  parts <- row_parts(object, newdata, "residuals")
  out <- switch(type,
    response = parts$y - parts$mu,
    working = (parts$y - parts$mu) / parts$slope,
    pearson = glm_pearson_residuals(parts),
    deviance = glm_deviance_residuals(object, parts),
    partial = {
      terms <- predict.riffle_glm(object, newdata, type = "terms")
      terms <- sweep(terms, 2L, colMeans(terms, na.rm = TRUE))
      (parts$y - parts$mu) / parts$slope + terms
    }
  )
  named_rows(out, parts$names)
}

# The response as a number: 0 for the first level of a class, 1 for any other.
response_values <- function(object, newdata) {
  response <- object$recipe$response
  y <- frame_columns(newdata, response$name, arg = "newdata")[[1L]]
  if (response$kind == "number") {
    return(as.double(y))
  }
  as.numeric(as.character(y) != response$levels[[1L]])
}

weight_values <- function(object, newdata) {
  env <- environment(object$terms)
  extra <- extra_column(object$weights_call, newdata, env, "weights", "(weights)")
  if (is.null(extra)) {
    return(rep(1, nrow(newdata)))
  }
  if (is.null(extra$value)) as.double(newdata[[extra$name]]) else extra$value
}

#' @rdname glm-rows
#' @export
model.frame.riffle_glm <- function(formula, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("model.frame")
  stats::model.frame(formula$terms, newdata, xlev = formula$xlevels, ...)
}

#' @rdname glm-rows
#' @export
model.matrix.riffle_glm <- function(object, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("model.matrix")
  frames <- new_rows(object, newdata, "score")
  out <- .Call(c_recipe_matrix, object$recipe, frames, unseen_codes[["error"]])
  columns <- design_columns(object$recipe)
  rows <- if (is.data.frame(newdata)) row.names(newdata) else as.character(seq_len(out$n))
  x <- out$x
  dimnames(x) <- list(rows[out$row], columns$names)
  attr(x, "assign") <- columns$assign
  if (!is.null(object$contrasts)) attr(x, "contrasts") <- object$contrasts
  x
}

#' @rdname glm-rows
#' @export
simulate.riffle_glm <- function(object, nsim = 1, seed = NULL, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("simulate", "newdata = newdata")
  check_data_frame(newdata)
  check_count(nsim)
  if (!is.null(seed)) set.seed(seed)
  mu <- predict.riffle_glm(object, newdata, type = "response")
  draw <- simulator(object, mu, weight_values(object, newdata))
  out <- replicate(nsim, draw(), simplify = FALSE)
  names(out) <- paste0("sim_", seq_len(nsim))
  as_columns(out, length(mu))
}

# A function that draws one response a row.
simulator <- function(object, mu, w) {
  n <- length(mu)
  phi <- object$fit$dispersion
  name <- sub("\\(.*", "", object$family$family)
  draw <- switch(name,
    gaussian = \() mu + stats::rnorm(n) * sqrt(phi / w),
    poisson = \() stats::rpois(n, mu),
    binomial = \() stats::rbinom(n, round(w), mu) / round(w),
    Gamma = \() stats::rgamma(n, shape = w / phi, rate = w / (phi * mu)),
    inverse.gaussian = \() inverse_gaussian(mu, w / phi),
    `Negative Binomial` = \() stats::rnbinom(n, size = object$fit$theta, mu = mu),
    Tweedie = tweedie_draw(family_power(object$family), mu, phi / w)
  )
  if (is.null(draw)) {
    abort_argument("`object` must have a distribution to draw from; {name} has none.")
  }
  draw
}

inverse_gaussian <- function(mu, shape) {
  y <- stats::rnorm(length(mu))^2
  x <- mu + mu^2 * y / (2 * shape) - mu / (2 * shape) * sqrt(4 * mu * shape * y + mu^2 * y^2)
  ifelse(stats::runif(length(mu)) <= mu / (mu + x), x, mu^2 / x)
}

# A Poisson number of Gamma amounts: the Tweedie distribution of a power between 1 and 2.
tweedie_draw <- function(power, mu, phi) {
  if (power <= 1 || power >= 2) {
    return(NULL)
  }
  number <- mu^(2 - power) / (phi * (2 - power))
  shape <- (2 - power) / (power - 1)
  scale <- phi * (power - 1) * mu^(power - 1)
  \() {
    n <- stats::rpois(length(mu), number)
    ifelse(n == 0, 0, stats::rgamma(length(mu), pmax(n, 1) * shape, scale = scale))
  }
}

#' @rdname glm-rows
#' @export
weights.riffle_glm <- function(object, newdata, type = c("prior", "working"), ...) {
  type <- check_choice(type, c("prior", "working"))
  parts <- row_parts(object, newdata, "weights")
  named_rows(if (type == "prior") parts$w else parts$working, parts$names)
}

# ---- leverage and influence ----------------------------------------------------------

#' @rdname glm-rows
#' @export
hatvalues.riffle_glm <- function(model, newdata, ...) {
  parts <- row_parts(model, newdata, "hatvalues", se = TRUE)
  named_rows(parts$hat, parts$names)
}

#' @rdname glm-rows
#' @export
influence.riffle_glm <- function(model, newdata, do.coef = TRUE, ...) {
  check_flag(do.coef)
  parts <- row_parts(model, newdata, "influence", se = TRUE)
  d <- glm_deviance_residuals(model, parts)
  left <- df.residual(model) - 1
  sigma <- sqrt(pmax(model$fit$deviance - d^2 / (1 - parts$hat), 0) / left)
  out <- list(hat = parts$hat, sigma = sigma, dev.res = d, pear.res = glm_pearson_residuals(parts))
  out <- lapply(out, named_rows, parts$names)
  if (do.coef) out <- append(out, list(coefficients = row_changes(model, newdata, parts, d)), 1L)
  out
}

# How much each coefficient changes when a row is left out, by one step.
row_changes <- function(model, newdata, parts, d) {
  x <- model.matrix.riffle_glm(model, newdata)
  used <- !is.na(model$coefficients)
  at <- match(rownames(x), parts$names)
  scaled <- sqrt(parts$working) * d / (1 - parts$hat)
  inverse <- vcov.riffle_glm(model)[used, used, drop = FALSE] / model$fit$dispersion
  out <- matrix(
    NA_real_, length(parts$names), sum(used),
    dimnames = list(parts$names, names(model$coefficients)[used])
  )
  out[at, ] <- (x[, used, drop = FALSE] %*% inverse) * scaled[at]
  out
}

#' @rdname glm-rows
#' @export
rstandard.riffle_glm <- function(model, newdata, type = c("deviance", "pearson"), ...) {
  type <- check_choice(type, c("deviance", "pearson"))
  parts <- row_parts(model, newdata, "rstandard", se = TRUE)
  pearson <- type == "pearson"
  r <- if (pearson) glm_pearson_residuals(parts) else glm_deviance_residuals(model, parts)
  named_rows(r / sqrt(model$fit$dispersion * (1 - parts$hat)), parts$names)
}

#' @rdname glm-rows
#' @export
rstudent.riffle_glm <- function(model, newdata, ...) {
  i <- influence.riffle_glm(model, newdata, do.coef = FALSE)
  r <- sign(i$dev.res) * sqrt(i$dev.res^2 + i$hat * i$pear.res^2 / (1 - i$hat))
  r[is.infinite(r)] <- NaN
  if (fixed_dispersion(model$family)) r else r / i$sigma
}

#' @rdname glm-rows
#' @export
cooks.distance.riffle_glm <- function(model, newdata, ...) {
  parts <- row_parts(model, newdata, "cooks.distance", se = TRUE)
  p <- model$fit$rank
  d <- (glm_pearson_residuals(parts) / (1 - parts$hat))^2 * parts$hat / (model$fit$dispersion * p)
  named_rows(d, parts$names)
}

#' @rdname glm-rows
#' @export
dfbeta.riffle_glm <- function(model, newdata, ...) {
  influence.riffle_glm(model, newdata)$coefficients
}

#' @rdname glm-rows
#' @export
dfbetas.riffle_glm <- function(model, newdata, ...) {
  i <- influence.riffle_glm(model, newdata)
  scale <- sqrt(diag(vcov.riffle_glm(model, complete = FALSE)) / model$fit$dispersion)
  i$coefficients / outer(i$sigma, scale)
}

# ---- pictures ------------------------------------------------------------------------

#' @rdname glm-rows
#' @export
plot.riffle_glm <- function(x, which = c("coefficients", "calibration"), newdata, level = 0.95,
                            bins = 10L, ...) {
  which <- check_choice(which, c("coefficients", "calibration"))
  if (which == "coefficients") {
    plot_coefficients(x, level, ...)
  } else {
    if (missing(newdata)) abort_keeps_no_rows("plot", "\"calibration\", newdata")
    check_count(bins)
    plot_calibration(x, newdata, level, bins, ...)
  }
  invisible(x)
}

plot_coefficients <- function(x, level, ...) {
  keep <- setdiff(names(which(!is.na(x$coefficients))), "(Intercept)")
  if (!length(keep)) keep <- names(x$coefficients)
  ci <- confint.riffle_glm(x, keep, level)
  ci[!is.finite(ci)] <- NA
  estimate <- x$coefficients[keep]
  at <- rev(seq_along(keep))
  old <- graphics::par(mar = c(4, min(14, 2 + 0.55 * max(nchar(keep))), 2, 1))
  on.exit(graphics::par(old))
  graphics::plot(
    estimate, at,
    xlim = range(c(estimate, ci, 0), finite = TRUE), yaxt = "n", ylab = "", pch = 19,
    xlab = sprintf("coefficient with %g %% interval", 100 * level), ...
  )
  graphics::axis(2, at, keep, las = 1)
  graphics::abline(v = 0, lty = 2, col = "grey50")
  graphics::segments(ci[, 1L], at, ci[, 2L], at)
}

# Bins of equal numbers of rows: weighted means, and the interval of the observed one.
calibration_table <- function(object, newdata, level, bins) {
  parts <- row_parts(object, newdata, "plot")
  rows <- which(parts$known & parts$w > 0)
  rows <- rows[order(parts$mu[rows])]
  bin <- ceiling(seq_along(rows) * bins / length(rows))
  table <- lapply(split(rows, bin), \(i) {
    w <- parts$w[i]
    mean <- sum(w * parts$y[i]) / sum(w)
    se <- sqrt(object$fit$dispersion * sum(w * parts$variance[i])) / sum(w)
    half <- stats::qnorm((1 + level) / 2) * se
    data.frame(
      n = length(i), predicted = sum(w * parts$mu[i]) / sum(w), observed = mean,
      low = mean - half, high = mean + half
    )
  })
  do.call(rbind, unname(table))
}

plot_calibration <- function(x, newdata, level, bins, ...) {
  table <- calibration_table(x, newdata, level, bins)
  graphics::plot(
    table$predicted, table$observed,
    ylim = range(table[c("observed", "low", "high")]), pch = 19,
    xlab = "predicted mean", ylab = "observed mean", ...
  )
  graphics::abline(0, 1, lty = 2, col = "grey50")
  graphics::segments(table$predicted, table$low, table$predicted, table$high)
}
