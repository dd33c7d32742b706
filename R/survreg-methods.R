#' What a survival model tells
#'
#' The methods that R's models have. A model keeps no rows: `residuals()`, `augment()` and the
#' curves of a model with covariates need `newdata`.
#'
#' @param x,object A model from [stream_survreg()].
#' @param newdata A data frame (for `residuals()` with times and events in it).
#' @param complete Whether aliased coefficients have rows and columns of `NA`.
#' @param naive Whether the covariance that takes rows for independent is wanted of a model with
#'   clusters.
#' @param parm Names or numbers of parameters; all when missing.
#' @param level,conf.level Confidence level.
#' @param conf.int,exponentiate Whether to add the Wald interval, and to exponentiate estimates
#'   and interval of the coefficients (then they are ratios of times).
#' @param type For `residuals()`: `"response"`, `"deviance"`, `"working"`, `"dfbeta"`,
#'   `"dfbetas"`, `"ldcase"`, `"ldresp"`, `"ldshape"` or `"matrix"`, as in
#'   [survival::residuals.survreg()].
#' @param weighted Whether residuals are multiplied by the rows' weights.
#' @param type.predict As `type` of [predict.riffle_survreg()]: `"lp"` or `"response"`.
#' @param data For `anova()` of one model: the rows, since its terms are taken away one by one.
#' @param test `"Chisq"` or `"none"`.
#' @param times For `plot()`: times at which curves are drawn; `NULL` for 200 up to the 98 %
#'   quantile of the slowest curve.
#' @param digits,signif.stars As in [stats::printCoefmat()].
#' @param ... Passed on, or unused.
#' @returns `summary()`: a `summary.riffle_survreg` with the matrix `table`. `vcov()`, `confint()`:
#'   matrices over coefficients and `Log(scale)` (with strata: one of each name). `plot()`: the
#'   curves, a matrix of survival probabilities, invisibly. `tidy()`, `glance()`, `augment()`: data
#'   frames. The others give what their generics promise.
#' @details
#' With `cluster =` standard errors are from the sandwich over 256 buckets of clusters, `summary()`
#' shows the others beside. The log-likelihood of the model without terms is known for fits only:
#' it is `NA` after updates.
#' @source [survival::survreg()]; Escobar and Meeker (1992), Assessing influence in regression
#'   analysis with censored data, Biometrics 48, for the residuals `ldcase`, `ldresp` and `ldshape`.
#' @name survreg-methods
#' @aliases summary.riffle_survreg
#' @examples
#' d <- data.frame(
#'   x = c(-1, 0, 1, 2, 0, 1), time = c(5, 3, 4, 1, 6, 2), event = c(1, 1, 0, 1, 0, 1)
#' )
#' m <- stream_survreg(Surv(time, event) ~ x, d, dist = "exponential")
#' m
#' confint(m)
#' residuals(m, d, type = "deviance")
#' tidy(m, conf.int = TRUE)
NULL

# ---- covariance ----------------------------------------------------------------------

# Names of all parameters: coefficients, then the logarithms of scales that are estimated.
survival_names <- function(object) {
  n <- object$fit$n_scale
  scales <- if (n == 1) "Log(scale)" else if (n > 1) strata_levels(object)
  c(names(object$coefficients), scales)
}

survival_vcov <- function(object, naive = FALSE) {
  result <- .Call(c_model_result, "aft", object$state)
  v <- if (is.null(result$robust) || naive) result$vcov else result$robust
  names <- survival_names(object)
  dimnames(v) <- list(names, names)
  v
}

survival_errors <- function(object, naive = FALSE) {
  se <- sqrt(diag(survival_vcov(object, naive)))
  if (!object$fit$identified) se[] <- NA_real_
  se
}

survival_parameters <- function(object) {
  tau <- if (object$fit$n_scale > 0) log(object$scale)
  stats::setNames(c(object$coefficients, tau), survival_names(object))
}

is_clustered <- function(object) {
  any(vapply(object$recipe$extras, \(extra) extra$kind == "bucket", NA))
}

#' @rdname survreg-methods
#' @export
vcov.riffle_survreg <- function(object, complete = TRUE, naive = FALSE, ...) {
  v <- survival_vcov(object, naive)
  keep <- complete | !is.na(survival_parameters(object))
  v[keep, keep, drop = FALSE]
}

#' @rdname survreg-methods
#' @export
confint.riffle_survreg <- function(object, parm, level = 0.95, ...) {
  if (!is_number(level) || level <= 0 || level >= 1) {
    abort_argument("`level` must be one number between 0 and 1, not {describe(level)}.")
  }
  estimate <- survival_parameters(object)
  names <- names(estimate)
  pick <- if (missing(parm)) names else if (is.numeric(parm)) names[parm] else parm
  unknown <- pick[!pick %in% names]
  if (length(unknown)) {
    abort_argument("`parm` must name parameters; {.val {unknown}} {?is/are} not among them.")
  }
  tail <- (1 - level) / 2
  half <- stats::qnorm(1 - tail) * survival_errors(object)
  out <- cbind(estimate - half, estimate + half)
  percent <- paste(format(100 * c(tail, 1 - tail), trim = TRUE, digits = 3), "%")
  dimnames(out) <- list(names, percent)
  structure(out[pick, , drop = FALSE], method = "Wald")
}

# ---- what it says --------------------------------------------------------------------

#' @export
print.riffle_survreg <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("\nCall:\n", paste(deparse(x$call), collapse = "\n"), "\n\n", sep = "")
  cat("Coefficients:\n")
  print.default(format(x$coefficients, digits = digits), print.gap = 2L, quote = FALSE)
  cat_scale(x, digits)
  cat_loglik(x, digits)
  cat("\n", rows_line(x), "\n", sep = "")
  invisible(x)
}

cat_scale <- function(x, digits) {
  if (x$fit$n_scale == 0) {
    cat("\nScale fixed at", format(x$scale, digits = digits), "\n")
  } else if (x$fit$n_scale == 1) {
    cat("\nScale=", format(x$scale, digits = digits), "\n")
  } else {
    cat("\nScale:\n")
    print(x$scale, digits = digits)
  }
}

cat_loglik <- function(x, digits) {
  if (is.na(x$null_loglik)) {
    cat("\nLoglik(model)=", format(round(x$fit$loglik, 1)), "\n")
    return()
  }
  df <- x$fit$rank - 1
  chi <- 2 * (x$fit$loglik - x$null_loglik)
  cat(
    "\nLoglik(model)=", format(round(x$fit$loglik, 1)),
    "  Loglik(intercept only)=", format(round(x$null_loglik, 1))
  )
  if (df > 0) {
    p <- format.pval(stats::pchisq(chi, df, lower.tail = FALSE), digits)
    cat("\n\tChisq=", format(round(chi, 2)), "on", df, "degrees of freedom, p=", p)
  }
  cat("\n")
}

survival_table <- function(object) {
  estimate <- survival_parameters(object)
  keep <- !is.na(estimate)
  se <- survival_errors(object)[keep]
  estimate <- estimate[keep]
  z <- ifelse(is.infinite(se), NA_real_, estimate / se)
  table <- cbind(
    Value = estimate, "Std. Error" = se,
    "(Naive SE)" = if (is_clustered(object)) survival_errors(object, naive = TRUE)[keep],
    z = z, p = 2 * stats::pnorm(-abs(z))
  )
  rownames(table) <- names(estimate)
  table
}

#' @rdname survreg-methods
#' @export
summary.riffle_survreg <- function(object, ...) {
  kept <- c("call", "dist", "scale", "fit", "counts", "version", "null_loglik", "surv")
  structure(
    c(object[kept], list(
      table = survival_table(object), coefficients = object$coefficients, rows = rows_line(object)
    )),
    class = "summary.riffle_survreg"
  )
}

#' @rdname survreg-methods
#' @export
print.summary.riffle_survreg <- function(x, digits = max(3L, getOption("digits") - 3L),
                                         signif.stars = getOption("show.signif.stars"), ...) {
  cat("\nCall:\n", paste(deparse(x$call), collapse = "\n"), "\n", sep = "")
  if (!x$fit$identified) cat("\nNot yet identified: too few events for standard errors.\n")
  stats::printCoefmat(
    x$table,
    digits = digits, signif.stars = signif.stars, P.values = TRUE, has.Pvalue = TRUE,
    cs.ind = seq_len(ncol(x$table) - 2L), tst.ind = ncol(x$table) - 1L, na.print = "NA", ...
  )
  cat_scale(x, digits)
  cat("\n", x$dist$name, " distribution", sep = "")
  if (!is.null(x$dist$df)) cat(", df =", format(x$dist$df))
  cat_loglik(x, digits)
  n <- x$fit$n_status
  names(n) <- c("right-censored", "exact", "left-censored", "in intervals")
  shown <- n[n > 0]
  cat("\n", x$rows, "\n", sep = "")
  cat(paste(big(shown), names(shown), collapse = ", "), "\n", sep = "")
  if (x$version == 0) cat("Passes of Newton's method: ", x$fit$passes, "\n", sep = "")
  if (x$fit$outer) cat("Standard errors are from the outer product of the scores.\n")
  cat("\n")
  invisible(x)
}

#' @export
coef.riffle_survreg <- function(object, complete = TRUE, ...) {
  if (complete) object$coefficients else object$coefficients[!is.na(object$coefficients)]
}

#' @export
logLik.riffle_survreg <- function(object, ...) {
  structure(
    object$fit$loglik,
    df = object$fit$rank + object$fit$n_scale, nobs = nobs.riffle_survreg(object),
    class = "logLik"
  )
}

#' @export
nobs.riffle_survreg <- function(object, ...) object$fit$n - object$fit$n_zero

#' @export
df.residual.riffle_survreg <- function(object, ...) {
  nobs.riffle_survreg(object) - object$fit$rank - object$fit$n_scale
}

#' @export
formula.riffle_survreg <- function(x, ...) x$formula

#' @export
terms.riffle_survreg <- function(x, ...) x$terms

# ---- anova ---------------------------------------------------------------------------

#' @rdname survreg-methods
#' @export
anova.riffle_survreg <- function(object, ..., data, test = c("Chisq", "none")) {
  test <- check_choice(test, c("Chisq", "none"))
  others <- list(...)
  if (length(others)) {
    return(compare_survival(c(list(object), others), test))
  }
  if (missing(data)) {
    abort_argument(c(
      "`data` must be given: the model keeps no rows.",
      i = "Use {.code anova(model, data = rows)}, or {.code anova(smaller, larger)}."
    ))
  }
  labels <- attr(object$terms, "term.labels")
  models <- list(object)
  for (label in rev(labels)) {
    smaller <- stats::as.formula(paste(". ~ . -", label))
    models <- c(list(update.riffle_survreg(models[[1L]], smaller, data = data)), models)
  }
  anova_table(
    models, c("NULL", labels), test,
    c(
      "Analysis of Deviance Table\n", paste(object$dist$name, "distribution"),
      paste0("Response: ", object$surv$text, "\n"),
      if (object$fit$n_scale) "Scale estimated" else paste("Scale fixed at", format(object$scale)),
      "Terms added sequentially (first to last)"
    )
  )
}

compare_survival <- function(models, test) {
  known <- vapply(models, inherits, NA, "riffle_survreg")
  if (!all(known)) abort_argument("`...` must be models of stream_survreg().")
  rows <- vapply(models, nobs.riffle_survreg, 1)
  if (length(unique(rows)) > 1L) {
    abort_argument("The models must be of the same rows; they have {.val {big(rows)}}.")
  }
  texts <- vapply(models, \(m) deparse1(m$formula), "")
  anova_table(models, as.character(seq_along(models)), test, c(
    "Analysis of Deviance Table\n", paste0("Model ", seq_along(models), ": ", texts), ""
  ))
}

anova_table <- function(models, names, test, heading) {
  twice <- vapply(models, \(m) -2 * m$fit$loglik, 1)
  left <- vapply(models, df.residual.riffle_survreg, 1)
  out <- data.frame(
    Df = c(NA, -diff(left)), Deviance = c(NA, -diff(twice)), "Resid. Df" = left,
    "-2*LL" = twice, row.names = names, check.names = FALSE
  )
  if (test == "Chisq") {
    # A model with fewer parameters may come second: then the signs of both turn.
    side <- sign(out$Df)
    out[["Pr(>Chi)"]] <- stats::pchisq(out$Deviance * side, abs(out$Df), lower.tail = FALSE)
    out[["Pr(>Chi)"]][!is.na(out$Df) & out$Df == 0] <- NA
  }
  structure(out, heading = heading, class = c("anova", "data.frame"))
}

# ---- data frames of what it says -----------------------------------------------------

#' @rdname survreg-methods
#' @export
tidy.riffle_survreg <- function(x, conf.int = FALSE, conf.level = 0.95, exponentiate = FALSE,
                                ...) {
  table <- survival_table(x)
  out <- data.frame(
    term = rownames(table), estimate = table[, "Value"], std.error = table[, "Std. Error"],
    statistic = table[, "z"], p.value = table[, "p"], row.names = NULL
  )
  if (conf.int) {
    ci <- confint.riffle_survreg(x, rownames(table), conf.level)
    out$conf.low <- unname(ci[, 1L])
    out$conf.high <- unname(ci[, 2L])
  }
  scaled <- intersect(c("estimate", "conf.low", "conf.high"), names(out))
  rows <- out$term %in% names(x$coefficients)
  if (exponentiate) out[rows, scaled] <- lapply(out[rows, scaled, drop = FALSE], exp)
  out
}

#' @rdname survreg-methods
#' @export
glance.riffle_survreg <- function(x, ...) {
  chi <- 2 * (x$fit$loglik - x$null_loglik)
  df <- x$fit$rank - 1
  data.frame(
    iter = x$fit$passes, df = x$fit$rank + x$fit$n_scale, statistic = chi,
    logLik = x$fit$loglik, AIC = stats::AIC(x), BIC = stats::BIC(x),
    df.residual = df.residual.riffle_survreg(x), nobs = nobs.riffle_survreg(x),
    p.value = if (df > 0) stats::pchisq(chi, df, lower.tail = FALSE) else NA_real_
  )
}

#' @rdname survreg-methods
#' @export
augment.riffle_survreg <- function(x, newdata, type.predict = c("lp", "response"), ...) {
  if (missing(newdata)) abort_keeps_no_rows("augment")
  check_data_frame(newdata)
  type <- check_choice(type.predict, c("lp", "response"))
  fit <- predict.riffle_survreg(x, newdata, type = type, se.fit = TRUE)
  out <- newdata
  out$.fitted <- unname(fit$fit)
  out$.se.fit <- unname(fit$se.fit)
  if (all(all.vars(x$formula[[2L]]) %in% names(newdata))) {
    out$.resid <- unname(residuals.riffle_survreg(x, newdata, type = "response"))
  }
  out
}

# ---- curves --------------------------------------------------------------------------

#' @rdname survreg-methods
#' @export
plot.riffle_survreg <- function(x, newdata, times = NULL, ...) {
  if (missing(newdata)) {
    if (length(recipe_columns(x, "score"))) abort_keeps_no_rows("plot")
    newdata <- data.frame(row.names = "all rows")
  }
  check_data_frame(newdata)
  if (nrow(newdata) > 20L) {
    abort_argument("`newdata` must have 20 rows at most, one a curve, not {nrow(newdata)}.")
  }
  if (is.null(times)) {
    ends <- predict.riffle_survreg(x, newdata, type = "quantile", p = c(0.002, 0.98))
    ends <- range(ends, na.rm = TRUE)
    times <- seq(if (x$dist$log) 0 else ends[[1L]], ends[[2L]], length.out = 201L)
    if (x$dist$log) times <- times[-1L]
  }
  curves <- t(predict.riffle_survreg(x, newdata, type = "survival", times = times))
  colours <- grDevices::hcl.colors(max(2L, ncol(curves)), "Dark 3")[seq_len(ncol(curves))]
  graphics::matplot(
    times, curves,
    type = "l", lty = 1, lwd = 2, col = colours, ylim = 0:1, xlab = x$surv$text,
    ylab = "still to come", ...
  )
  if (ncol(curves) > 1L) {
    graphics::legend("topright", legend = colnames(curves), col = colours, lwd = 2, bty = "n")
  }
  invisible(curves)
}
