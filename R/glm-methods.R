#' What a generalised linear model tells
#'
#' The methods that R's models have. A model keeps no rows: what is told of rows needs `newdata`,
#' see [glm-rows].
#'
#' @param x,object A model from [stream_glm()].
#' @param newdata A data frame with the columns of the formula.
#' @param complete Whether aliased coefficients have rows and columns of `NA`.
#' @param type For `vcov()`: `"model"` (the information's inverse), `"HC0"` (White's, kept by small
#'   fits and by `control = list(robust = TRUE)`), or `"cluster"` (by the clusters of the fit,
#'   hashed into 256 buckets, with the factor G / (G - 1)).
#' @param parm Names or numbers of coefficients; all when missing.
#' @param level,conf.level Confidence level.
#' @param conf.int,exponentiate Whether to add the Wald interval, and to exponentiate estimates
#'   and interval.
#' @param type.predict As `type` of [predict.riffle_glm()].
#' @param digits,signif.stars As in [stats::print.summary.glm()].
#' @param target,current,tolerance As in [base::all.equal()].
#' @param ... Passed on, or unused.
#' @returns `summary()`: a `summary.riffle_glm` with the matrix `coefficients`. `confint()`: a
#'   matrix of Wald intervals (t quantiles for gaussian, normal ones otherwise), whose attribute
#'   `method` says so. `tidy()`, `glance()`, `augment()`: data frames. The others give what
#'   their generics promise.
#' @details
#' Standard errors come from the information at the estimate. They print as `Inf` where levels
#' are separated. After updates of a model that began without enough events, `summary()` says
#' "not yet identified" and shows `NA`.
#' @source Wald intervals and tests: McCullagh and Nelder (1989), Generalized Linear Models, 2nd
#'   edition.
#' @name glm-methods
#' @importFrom stats coef confint deviance df.residual family fitted formula logLik
#' @importFrom stats model.frame model.matrix nobs predict residuals simulate terms update vcov
#' @importFrom stats binomial gaussian na.omit na.pass
#' @aliases summary.riffle_glm
#' @examples
#' m <- stream_glm(mpg ~ wt + hp, mtcars)
#' summary(m)
#' confint(m)
#' vcov(m)
#' AIC(m)
#' tidy(m, conf.int = TRUE)
#' head(residuals(m, mtcars))
NULL

#' @export
print.riffle_glm <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("\nCall:  ", paste(deparse(x$call), collapse = "\n"), "\n\n", sep = "")
  cat("Coefficients:\n")
  print.default(format(x$coefficients, digits = digits), print.gap = 2L, quote = FALSE)
  cat("\n", rows_line(x), "\n", sep = "")
  print_basis(x$recipe)
  fit <- x$fit
  if (is.finite(fit$deviance)) {
    cat(sprintf("Degrees of Freedom: %s Total (i.e. Null);  ", big(null_df(x))))
    cat(sprintf("%s Residual\n", big(df.residual(x))))
    cat("Null Deviance:\t   ", format(signif(fit$null_deviance, digits)), "\n")
    cat("Residual Deviance:", format(signif(fit$deviance, digits)))
    cat("\tAIC:", format(signif(stats::AIC(x), digits)), "\n")
  }
  invisible(x)
}

# What was learnt, in one line.
rows_line <- function(x) {
  counts <- x$counts
  left <- c(
    if (counts$missing > 0) sprintf("%s left out (a missing value)", big(counts$missing)),
    if (counts$zero_weight > 0) sprintf("%s of weight 0", big(counts$zero_weight)),
    if (counts$unseen > 0) sprintf("%s with an unseen level", big(counts$unseen)),
    if (isTRUE(counts$pooled > 0)) sprintf("%s with a pooled level", big(counts$pooled))
  )
  paste0(
    "Rows: ", big(counts$rows),
    if (length(left)) paste0(", of them ", paste(left, collapse = ", ")),
    if (x$version > 0) sprintf("; version %s (learning blocks since the fit)", big(x$version)),
    if (isTRUE(x$fit$double_double)) "; cross-products in twice the precision"
  )
}

null_df <- function(x) x$fit$n - x$fit$n_zero - as.integer(x$recipe$intercept)

dispersion_known <- function(x) fixed_dispersion(x$family)

# Standard errors as they are shown: Inf where a separated level has none, NA before the model
# is identified.
standard_errors <- function(object) {
  if (object$penalty$l1 > 0) {
    return(stats::setNames(rep(NA_real_, length(object$coefficients)), names(object$coefficients)))
  }
  se <- sqrt(diag(vcov.riffle_glm(object)))
  if (!object$fit$identified) se[] <- NA_real_
  se
}

coefficient_table <- function(object) {
  keep <- !is.na(object$coefficients)
  estimate <- object$coefficients[keep]
  se <- standard_errors(object)[keep]
  if (is_penalised(object)) {
    none <- rep(NA_real_, length(se))
    names <- c("Estimate", "Std. Error", "z value", "Pr(>|z|)")
    return(matrix(c(estimate, se, none, none), ncol = 4L, dimnames = list(names(estimate), names)))
  }
  statistic <- ifelse(is.infinite(se), NA_real_, estimate / se)
  normal <- dispersion_known(object)
  below <- if (normal) stats::pnorm else \(t) stats::pt(t, df.residual(object))
  p <- 2 * below(-abs(statistic))
  table <- cbind(estimate, se, statistic, p)
  dimnames(table) <- list(
    names(estimate),
    c("Estimate", "Std. Error", if (normal) c("z value", "Pr(>|z|)") else c("t value", "Pr(>|t|)"))
  )
  table
}

#' @rdname glm-methods
#' @export
summary.riffle_glm <- function(object, ...) {
  structure(
    c(
      object[c("call", "family", "fit", "counts", "version")],
      list(
        coefficients = coefficient_table(object), aliased = is.na(object$coefficients),
        dispersion = object$fit$dispersion, df.residual = df.residual(object),
        df.null = null_df(object), deviance = object$fit$deviance,
        null.deviance = object$fit$null_deviance, aic = stats::AIC(object),
        rows = rows_line(object), penalty = object$penalty, penalised = is_penalised(object)
      )
    ),
    class = "summary.riffle_glm"
  )
}

#' @rdname glm-methods
#' @export
print.summary.riffle_glm <- function(x, digits = max(3L, getOption("digits") - 3L),
                                     signif.stars = getOption("show.signif.stars"), ...) {
  cat("\nCall:\n", paste(deparse(x$call), collapse = "\n"), "\n\n", sep = "")
  if (!x$fit$identified) cat("Not yet identified: too few events for standard errors.\n\n")
  n_aliased <- sum(x$aliased)
  note <- if (n_aliased) sprintf(" (%d not defined because of singularities)", n_aliased)
  cat("Coefficients:", note, "\n", sep = "")
  table <- x$coefficients
  if (n_aliased) {
    names <- list(names(x$aliased), colnames(table))
    table <- matrix(NA_real_, length(x$aliased), 4L, dimnames = names)
    table[!x$aliased, ] <- x$coefficients
  }
  if (x$penalised) {
    print(table[, if (x$penalty$l1 > 0) 1L else 1:2, drop = FALSE], digits = digits)
    cat(sprintf(
      "\nPenalised by l1 = %s, l2 = %s: no tests.\n", format(x$penalty$l1), format(x$penalty$l2)
    ))
  } else {
    stats::printCoefmat(table, digits = digits, signif.stars = signif.stars, na.print = "NA", ...)
  }
  cat(sprintf(
    "\n(Dispersion parameter for %s family taken to be %s)\n\n", x$family$family,
    format(x$dispersion)
  ))
  if (is.finite(x$deviance)) {
    both <- format(signif(c(x$null.deviance, x$deviance), max(5L, digits + 1L)))
    df <- format(c(x$df.null, x$df.residual))
    names <- c("    Null deviance:", "Residual deviance:")
    cat(paste(names, both, " on", df, " degrees of freedom\n"), sep = "")
    cat("AIC: ", format(x$aic, digits = max(4L, digits + 1L)), "\n\n", sep = "")
  }
  cat(x$rows, "\n", sep = "")
  if (x$version == 0) cat("Passes of Newton's method: ", x$fit$passes, "\n", sep = "")
  cat("\n")
  invisible(x)
}

#' @export
coef.riffle_glm <- function(object, complete = TRUE, ...) {
  if (complete) object$coefficients else object$coefficients[!is.na(object$coefficients)]
}

#' @rdname glm-methods
#' @export
vcov.riffle_glm <- function(object, complete = TRUE, type = c("model", "HC0", "cluster"), ...) {
  names <- names(object$coefficients)
  type <- check_choice(type, names(vcov_codes))
  check_vcov(object, type)
  v <- .Call(c_glm_vcov, object$state, vcov_codes[[type]])
  dimnames(v) <- list(names, names)
  keep <- complete | !is.na(object$coefficients)
  v[keep, keep, drop = FALSE]
}

vcov_codes <- c(model = 0L, HC0 = 1L, cluster = 2L)

check_vcov <- function(object, type) {
  if (object$penalty$l1 > 0) {
    abort_kind("model", "A fit with an l1 penalty has no covariance: refit its columns without.")
  }
  if (type != "model" && object$version > 0) {
    abort_kind("model", "After updates only `type = \"model\"` is known.")
  }
  if (type == "HC0" && !object$fit$has_rows_outer) {
    abort_kind("model", c(
      "The fit has not kept what `type = \"HC0\"` needs.",
      i = "Fit with {.code control = list(robust = TRUE)}."
    ))
  }
  if (type == "cluster" && !object$fit$has_clusters) {
    abort_kind("model", c(
      "`type = \"cluster\"` needs clusters.", i = "Fit with {.code cluster = column}."
    ))
  }
}

is_penalised <- function(object) object$penalty$l1 + object$penalty$l2 > 0

#' @rdname glm-methods
#' @export
confint.riffle_glm <- function(object, parm, level = 0.95, ...) {
  if (!is.numeric(level) || length(level) != 1L || is.na(level) || level <= 0 || level >= 1) {
    abort_argument("`level` must be one number between 0 and 1, not {describe(level)}.")
  }
  names <- names(object$coefficients)
  pick <- if (missing(parm)) names else if (is.numeric(parm)) names[parm] else parm
  unknown <- pick[!pick %in% names]
  if (length(unknown)) {
    abort_argument("`parm` must name coefficients; {.val {unknown}} {?is/are} not among them.")
  }
  if (is_penalised(object)) {
    abort_kind("model", "Penalised estimates have no confidence intervals.")
  }
  tail <- (1 - level) / 2
  normal <- dispersion_known(object)
  q <- if (normal) stats::qnorm(1 - tail) else stats::qt(1 - tail, df.residual(object))
  half <- q * standard_errors(object)
  out <- cbind(object$coefficients - half, object$coefficients + half)
  percent <- paste(format(100 * c(tail, 1 - tail), trim = TRUE, digits = 3), "%")
  dimnames(out) <- list(names, percent)
  structure(out[pick, , drop = FALSE], method = "Wald")
}

#' @export
logLik.riffle_glm <- function(object, ...) {
  structure(
    object$fit$loglik,
    df = object$fit$rank + as.integer(!dispersion_known(object) || !is.na(object$fit$theta_se)),
    nobs = nobs.riffle_glm(object),
    class = "logLik"
  )
}

#' @export
nobs.riffle_glm <- function(object, ...) object$fit$n - object$fit$n_zero

#' @export
deviance.riffle_glm <- function(object, ...) object$fit$deviance

#' @export
df.residual.riffle_glm <- function(object, ...) object$fit$n - object$fit$n_zero - object$fit$rank

#' @export
family.riffle_glm <- function(object, ...) object$family

#' @export
formula.riffle_glm <- function(x, ...) x$formula

#' @export
terms.riffle_glm <- function(x, ...) x$terms

# ---- comparing and showing -----------------------------------------------------------

#' @rdname glm-methods
#' @method all.equal riffle_glm
#' @export
all.equal.riffle_glm <- function(target, current, ..., tolerance = 1.5e-8) {
  if (!inherits(current, "riffle_glm")) {
    return("current is not a model of stream_glm()")
  }
  parts <- list(
    formula = \(m) deparse1(formula(m)), family = \(m) m$family$family,
    coefficients = stats::coef, vcov = vcov.riffle_glm,
    deviance = deviance, counts = \(m) m$counts, version = \(m) m$version
  )
  differ <- lapply(names(parts), \(name) {
    found <- all.equal(parts[[name]](target), parts[[name]](current), tolerance = tolerance, ...)
    if (!isTRUE(found)) paste0(name, ": ", found)
  })
  differ <- unlist(differ)
  if (is.null(differ)) TRUE else differ
}

#' @importFrom generics tidy
#' @export
generics::tidy

#' @importFrom generics glance
#' @export
generics::glance

#' @importFrom generics augment
#' @export
generics::augment

#' @rdname glm-methods
#' @export
tidy.riffle_glm <- function(x, conf.int = FALSE, conf.level = 0.95, exponentiate = FALSE, ...) {
  table <- coefficient_table(x)
  out <- data.frame(
    term = rownames(table), estimate = table[, 1L], std.error = table[, 2L],
    statistic = table[, 3L], p.value = table[, 4L], row.names = NULL
  )
  if (conf.int) {
    ci <- confint.riffle_glm(x, rownames(table), conf.level)
    out$conf.low <- unname(ci[, 1L])
    out$conf.high <- unname(ci[, 2L])
  }
  scaled <- intersect(c("estimate", "conf.low", "conf.high"), names(out))
  if (exponentiate) out[scaled] <- lapply(out[scaled], exp)
  out
}

#' @rdname glm-methods
#' @export
glance.riffle_glm <- function(x, ...) {
  data.frame(
    null.deviance = x$fit$null_deviance, df.null = null_df(x),
    logLik = as.numeric(logLik.riffle_glm(x)), AIC = stats::AIC(x), BIC = stats::BIC(x),
    deviance = x$fit$deviance, df.residual = df.residual(x), nobs = nobs.riffle_glm(x)
  )
}

#' @rdname glm-methods
#' @export
augment.riffle_glm <- function(x, newdata, type.predict = c("link", "response", "terms"), ...) {
  if (missing(newdata)) abort_keeps_no_rows("augment")
  check_data_frame(newdata)
  type <- check_choice(type.predict, c("link", "response", "terms"))
  fit <- predict.riffle_glm(x, newdata, type = type)
  out <- newdata
  out$.fitted <- if (is.matrix(fit)) fit else unname(fit)
  if (x$recipe$response$name %in% names(newdata)) {
    out$.resid <- unname(residuals.riffle_glm(x, newdata))
  }
  out
}
