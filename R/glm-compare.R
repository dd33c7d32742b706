#' Analysis of deviance
#'
#' Compares nested models of [stream_glm()], or the terms of one model in their order.
#'
#' @param object A model from [stream_glm()].
#' @param ... More models, from the smaller to the larger.
#' @param data For one model: the rows that it was fitted to, a data frame or a stream. The model
#'   is fitted anew for each of its terms but the last, since it keeps no rows.
#' @param test `"Chisq"`, `"LRT"`, `"F"`, `"Cp"` or `FALSE` (none); `NULL`: `"F"` where the
#'   dispersion is estimated, else `"Chisq"`.
#' @returns An `anova` data frame as [stats::anova.glm()] gives it.
#' @section Errors:
#' `riffle_error_argument` when `data` is missing for one model, or models have different
#' responses, families or numbers of rows.
#' @source McCullagh and Nelder (1989), Generalized Linear Models, 2nd edition;
#'   [stats::anova.glm()].
#' @importFrom stats anova
#' @export
#' @examples
#' small <- stream_glm(am ~ wt, mtcars, binomial)
#' large <- stream_glm(am ~ wt + hp, mtcars, binomial)
#' anova(small, large)
#' anova(large, data = mtcars)
anova.riffle_glm <- function(object, ..., data, test = NULL) {
  others <- list(...)
  if (!is.null(test)) test <- check_test(test)
  if (length(others)) {
    return(anova_models(c(list(object), others), test))
  }
  if (missing(data)) {
    abort_argument(c(
      "`data` must be given: the model keeps no rows, and is fitted anew for its terms.",
      i = "Use {.code anova(model, data = rows)}."
    ))
  }
  anova_terms(object, data, test)
}

check_test <- function(test) {
  if (isFALSE(test)) {
    return(FALSE)
  }
  check_choice(test, c("Chisq", "LRT", "F", "Cp"))
}

default_test <- function(object, test) {
  if (is.null(test)) if (fixed_dispersion(object$family)) "Chisq" else "F" else test
}

anova_models <- function(models, test) {
  ours <- vapply(models, inherits, NA, "riffle_glm")
  if (!all(ours)) abort_argument("`...` must be models of stream_glm().")
  same <- \(f) length(unique(vapply(models, f, ""))) == 1L
  if (!same(\(m) m$recipe$response$name) || !same(\(m) m$family$family)) {
    abort_argument("The models must have the same response and the same family.")
  }
  if (!same(\(m) format(nobs.riffle_glm(m)))) {
    abort_argument("The models must have been fitted to the same number of rows.")
  }
  df <- vapply(models, df.residual, 0)
  dev <- vapply(models, stats::deviance, 0)
  table <- data.frame(df, dev, c(NA, -diff(df)), c(NA, -diff(dev)))
  dimnames(table) <- list(
    seq_along(models), c("Resid. Df", "Resid. Dev", "Df", "Deviance")
  )
  formulas <- vapply(models, \(m) deparse1(m$formula), "")
  heading <- c(
    "Analysis of Deviance Table\n",
    paste0("Model ", format(seq_along(models)), ": ", formulas, collapse = "\n")
  )
  finish_anova(table, models[[which.min(df)]], test, heading)
}

anova_terms <- function(object, data, test) {
  labels <- attr(object$terms, "term.labels")
  offsets <- vapply(attr(object$terms, "offset"), \(i) {
    deparse1(attr(object$terms, "variables")[[i + 1L]])
  }, "")
  intercept <- object$recipe$intercept
  fits <- lapply(seq_along(labels[-1L]), \(k) {
    right <- c(if (!intercept) "0", labels[seq_len(k)], offsets)
    formula <- stats::reformulate(right, object$formula[[2L]])
    environment(formula) <- environment(object$formula)
    m <- suppressWarnings(suppressMessages(refit(object, formula, data)))
    if (m$fit$n != object$fit$n) {
      abort_argument(c(
        "`data` must be complete in all columns of the model.",
        i = "{.val {labels[seq_len(k)]}} alone has {big(m$fit$n)} rows, not {big(object$fit$n)}."
      ))
    }
    m
  })
  fits <- c(fits, list(object))
  df <- c(null_df(object), vapply(fits, df.residual, 0))
  dev <- c(object$fit$null_deviance, vapply(fits, stats::deviance, 0))
  if (!length(labels)) df <- df[1L]
  if (!length(labels)) dev <- dev[1L]
  table <- data.frame(c(NA, -diff(df)), c(NA, pmax(0, -diff(dev))), df, dev)
  dimnames(table) <- list(c("NULL", labels), c("Df", "Deviance", "Resid. Df", "Resid. Dev"))
  heading <- paste0(
    "Analysis of Deviance Table", "\n\nModel: ", object$family$family, ", link: ",
    object$family$link, "\n\nResponse: ", deparse1(object$formula[[2L]]),
    "\n\nTerms added sequentially (first to last)\n\n"
  )
  finish_anova(table, object, test, heading)
}

finish_anova <- function(table, largest, test, heading) {
  test <- default_test(largest, test)
  if (!isFALSE(test)) {
    table <- stats::stat.anova(
      table, test, scale = largest$fit$dispersion, df.scale = df.residual(largest),
      n = nobs.riffle_glm(largest)
    )
  }
  structure(table, heading = heading, class = c("anova", "data.frame"))
}

# ---- other packages ------------------------------------------------------------------

#' Packages that work on these models
#'
#' Methods for emmeans, sandwich and lmtest. They need the rows of the fit: give them as `data`
#' ([emmeans::emmeans()]); where a package gives no way to hand them over
#' ([sandwich::sandwich()], [sandwich::vcovCL()]), the data of the model's call are looked up by
#' their name.
#'
#' @param x,object A model from [stream_glm()].
#' @param data,newdata The rows of the fit, a data frame.
#' @param trms,xlev,grid As in [emmeans::emm_basis()].
#' @param ... Passed on, or unused.
#' @returns As the generics of those packages say.
#' @source Lenth, emmeans; Zeileis (2006), Object-oriented computation of sandwich estimators,
#'   Journal of Statistical Software 16.
#' @name glm-packages
#' @examples
#' m <- stream_glm(am ~ wt, mtcars, binomial)
#' if (requireNamespace("sandwich", quietly = TRUE)) sandwich::sandwich(m)
#' if (requireNamespace("emmeans", quietly = TRUE)) {
#'   emmeans::emmeans(m, "wt", data = mtcars, type = "response")
#' }
NULL

#' @rdname glm-packages
#' @exportS3Method emmeans::recover_data
recover_data.riffle_glm <- function(object, data = called_rows(object, "emmeans"), ...) {
  out <- emmeans::recover_data(
    object$call, stats::delete.response(object$terms), "na.omit",
    data = data, ...
  )
  # Which means can be estimated is seen in the rows, where coefficients are aliased.
  if (anyNA(object$coefficients)) {
    attr(out, "misc") <- list(unseen_space = null_space(model.matrix.riffle_glm(object, data)))
  }
  out
}

# Directions in which the columns of x say nothing: an orthonormal basis, one a column.
null_space <- function(x) {
  r <- qr(x, tol = 1e-7)
  p <- ncol(x)
  if (r$rank == p) {
    return(matrix(NA))
  }
  whole <- qr.Q(qr(t(qr.R(r)[seq_len(r$rank), order(r$pivot), drop = FALSE])), complete = TRUE)
  whole[, seq(r$rank + 1L, p), drop = FALSE]
}

#' @rdname glm-packages
#' @param misc What `recover_data()` noted.
#' @exportS3Method emmeans::emm_basis
emm_basis.riffle_glm <- function(object, trms, xlev, grid, misc = list(), ...) {
  frame <- stats::model.frame(trms, grid, na.action = na.pass, xlev = xlev)
  x <- stats::model.matrix(trms, frame, contrasts.arg = object$contrasts)
  nbasis <- if (is.null(misc$unseen_space)) matrix(NA) else misc$unseen_space
  df <- if (fixed_dispersion(object$family)) Inf else df.residual(object)
  list(
    X = x, bhat = as.numeric(object$coefficients), nbasis = nbasis,
    V = vcov.riffle_glm(object, complete = FALSE),
    dffun = \(k, dfargs) dfargs$df, dfargs = list(df = df),
    misc = emmeans::.std.link.labels(object$family, list())
  )
}

#' @rdname glm-packages
#' @method estfun riffle_glm
#' @rawNamespace S3method(sandwich::estfun, riffle_glm)
estfun.riffle_glm <- function(x, newdata, ...) {
  if (missing(newdata)) newdata <- called_rows(x, "estfun")
  parts <- row_parts(x, newdata, "estfun")
  design <- model.matrix.riffle_glm(x, newdata)
  at <- match(rownames(design), parts$names)
  score <- parts$working * (parts$y - parts$mu) / parts$slope
  out <- design[, !is.na(x$coefficients), drop = FALSE] * score[at]
  attributes(out)[c("assign", "contrasts")] <- NULL
  out
}

#' @rdname glm-packages
#' @exportS3Method sandwich::bread
bread.riffle_glm <- function(x, ...) {
  vcov.riffle_glm(x, complete = FALSE) / x$fit$dispersion * nobs.riffle_glm(x)
}

# The data of the model's call, by their name, from where the formula was written or the session.
called_rows <- function(object, verb) {
  name <- object$call$data
  data <- if (is.symbol(name)) {
    get0(as.character(name), envir = environment(object$terms), inherits = TRUE)
  }
  if (!is.data.frame(data)) abort_keeps_no_rows(verb)
  data
}

#' @rdname glm-packages
#' @param vcov.,df As in [lmtest::coeftest()]: normal quantiles, as for [stats::glm()].
#' @method coeftest riffle_glm
#' @rawNamespace S3method(lmtest::coeftest, riffle_glm)
coeftest.riffle_glm <- function(x, vcov. = NULL, df = Inf, ...) NextMethod(df = df)
