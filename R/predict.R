#' Predict, and learn from new rows
#'
#' `predict()` gives one prediction for each row of `newdata`, always: a row with a missing
#' value, or with a level that the model has not seen, gets `NA`. `update()` with rows returns a
#' new model that has learnt them too, without the old rows.
#'
#' @param object A model from [stream_glm()].
#' @param newdata A data frame or a stream with the columns of the formula. For `update()` also
#'   a formula, such as `. ~ . - x`: then the model is fitted anew, and `data` must be given
#'   since a model keeps no rows.
#' @param type `"link"` (the linear predictor), `"response"` (a mean or a probability) or
#'   `"terms"` (a matrix: what each term adds. It is not centred, because the model keeps no
#'   rows; the attribute `constant` is the intercept).
#' @param se.fit Whether standard errors are wanted: then the result is a list with `fit`,
#'   `se.fit` and `residual.scale`.
#' @param unseen What an unseen level does: `"na"`, `"reference"` (the first level stands for
#'   it) or `"error"`; both of the first two warn once with class `riffle_warning_unseen`.
#' @param na.action What becomes of missing predictions: `na.pass` keeps them.
#' @param data For `update()` with a formula: the rows to fit.
#' @param ... Unused.
#' @returns `predict()`: a numeric vector named by the rows of `newdata`, or a list, or a
#'   matrix, as said. `update()`: a model.
#' @details
#' Learning is by blocks of `control$block` rows: for each block the equation `J (b_old - b) +
#' U(b) = 0` is solved, where `J` is the information so far and `U` the score of the block,
#' which is the batch fit with the old estimate as its prior. The rest of the rows is a shorter
#' block. The rows of the first fit should hold ten events a coefficient or more; after 30
#' events a coefficient the result is within a tenth of a standard error of the fit to all rows.
#'
#' A level that the model has not seen is learnt by `update()` as if it had been declared at the
#' first fit, where no row had it: it gets coefficients of its own, behind those of the levels
#' there are, which keep their meaning. Their prior is a standard deviation of 10 on the scale of
#' the link (none in gaussian models, which are exact), so the first rows of a new level decide;
#' the first block that has it is for its coefficients what the first fit is for the others.
#' Contrasts must be treatment contrasts; levels declared by `levels` stay all there are; where
#' `other` stands for rare levels, new ones go there.
#'
#' A model knows the positions of topics that it has learnt: `update(m, stream)` skips those and
#' says how many.
#' @section Errors:
#' `riffle_error_schema` when `newdata` lacks a column; `riffle_error_data` for an unseen level
#' with `unseen = "error"`, and in `update()` where the levels were declared;
#' `riffle_error_model` for a new level where contrasts would change their meaning;
#' `riffle_error_argument` when `newdata` or `data` is missing, or when there would be more than
#' 1,000 levels.
#' @source Luo and Song (2020), Renewable estimation and incremental inference in generalized
#'   linear models with streaming data sets, JRSS B 82.
#' @name predict.riffle_glm
#' @aliases update.riffle_glm
#' @examples
#' d <- sim_adclicks(4000, seed = 1)
#' m <- stream_glm(click ~ device + position, d[1:3000, ], family = binomial)
#' predict(m, d[1:3, ], type = "response")
#' predict(m, d[1:3, ], se.fit = TRUE)
#' m2 <- update(m, d[3001:4000, ])
#' m2$version
NULL

#' @rdname predict.riffle_glm
#' @export
predict.riffle_glm <- function(object, newdata, type = c("link", "response", "terms"),
                               se.fit = FALSE, unseen = c("na", "reference", "error"),
                               na.action = na.pass, ...) {
  if (missing(newdata)) abort_keeps_no_rows("predict")
  type <- check_choice(type, c("link", "response", "terms"))
  unseen <- check_choice(unseen, c("na", "reference", "error"))
  check_flag(se.fit)
  if (!se.fit && type != "terms" && !is_custom(object$family)) {
    fit <- one_row(object, newdata, score_codes[[type]])
    if (!is.null(fit)) {
      return(na.action(named_rows(fit, row.names(newdata))))
    }
  }
  frames <- new_rows(object, newdata, "score")
  out <- if (type == "terms") {
    term_effects(object, frames, unseen, se.fit)
  } else {
    link_scores(object, frames, unseen, type, se.fit)
  }
  warn_unseen(out$counts, unseen)
  names <- if (is.data.frame(newdata)) row.names(newdata)
  out$fit <- na.action(named_rows(out$fit, names))
  if (!se.fit) {
    return(out$fit)
  }
  se <- na.action(named_rows(out$se, names))
  list(fit = out$fit, se.fit = se, residual.scale = sqrt(object$fit$dispersion))
}

named_rows <- function(x, names) {
  if (is.matrix(x)) rownames(x) <- names else names(x) <- names
  x
}

score_codes <- c(link = 0L, response = 1L, link_se = 2L)

score_types.riffle_glm <- function(object) {
  refuse_custom(object, "be scored in a query")
  score_codes[c("response", "link")]
}

refuse_custom <- function(object, what) {
  if (inherits(object, "riffle_glm") && is_custom(object$family)) {
    abort_argument(
      "A model of the family {.val {object$family$family}}, whose functions run in R, ",
      "cannot {what}."
    )
  }
}

link_scores <- function(object, frames, unseen, type, se) {
  in_r <- type == "response" && is_custom(object$family)
  what <- if (se) "link_se" else if (in_r) "link" else type
  codes <- list(score_codes[[what]], unseen_codes[[unseen]])
  scored <- score_frames(object, frames, codes[[1L]], codes[[2L]])
  if (!se) {
    if (in_r) scored$scores <- object$family$linkinv(scored$scores)
    return(list(fit = scored$scores, counts = scored$counts))
  }
  n <- length(scored$scores) / 2
  fit <- scored$scores[seq_len(n)]
  error <- scored$scores[n + seq_len(n)]
  if (type == "response") {
    error <- error * abs(object$family$mu.eta(fit))
    fit <- object$family$linkinv(fit)
  }
  list(fit = fit, se = error, counts = scored$counts)
}

# What each term adds to the linear predictor, from the model matrix of the new rows.
term_effects <- function(object, frames, unseen, se) {
  out <- .Call(c_recipe_matrix, object$recipe, frames, unseen_codes[[unseen]])
  columns <- design_columns(object$recipe)
  labels <- attr(object$terms, "term.labels")
  b <- object$coefficients
  used <- !is.na(b)
  effects <- matrix(NA_real_, out$n, length(labels), dimnames = list(NULL, labels))
  errors <- effects
  v <- if (se) vcov.riffle_glm(object)
  for (t in seq_along(labels)) {
    at <- which(columns$assign == t & used)
    x <- out$x[, at, drop = FALSE]
    effects[out$row, t] <- x %*% b[at]
    if (se) errors[out$row, t] <- sqrt(rowSums((x %*% v[at, at, drop = FALSE]) * x))
  }
  attr(effects, "constant") <- if (object$recipe$intercept) b[["(Intercept)"]] else 0
  list(fit = effects, se = errors, counts = out$counts)
}

# ---- update --------------------------------------------------------------------------

#' @rdname predict.riffle_glm
#' @export
update.riffle_glm <- function(object, newdata, ..., data) {
  dots <- list(...)
  if (missing(newdata)) {
    if (is.null(dots$formula.)) {
      abort_argument("`newdata` must be given: rows to learn, or a formula with `data`.")
    }
    newdata <- dots$formula.
  }
  if (inherits(newdata, "formula")) {
    if (missing(data)) {
      abort_argument(c(
        "`data` must be given to fit another formula: the model keeps no rows.",
        i = "Use {.code update(m, {deparse1(newdata)}, data = rows)}."
      ))
    }
    return(refit(object, newdata, data))
  }
  refuse_custom(object, "learn new rows: fit it anew")
  learn_rows(object, newdata)
}

refit <- function(object, formula, data) {
  call <- object$call
  call$formula <- stats::update(object$formula, formula)
  environment(call$formula) <- environment(object$formula)
  check_data(data)
  env <- environment(object$terms)
  plan <- parse_formula(call$formula, data_fields(data))
  extras <- list(
    weights = extra_column(object$weights_call, data, env, "weights", "(weights)"),
    offset = extra_column(object$offset_call, data, env, "offset", "(offset)")
  )
  kept <- object$contrasts[intersect(names(object$contrasts), plan$column)]
  fit_glm(list(
    call = call, plan = plan, data = data, family = object$family,
    extras = Filter(Negate(is.null), extras),
    calls = list(weights = object$weights_call, offset = object$offset_call),
    subset = NULL, na_action = object$na.action, contrasts = if (length(kept)) kept, start = NULL,
    control = object$control, defaults = getOption("contrasts"), freq = object$freq,
    half_life = object$half_life, l1 = object$penalty$l1, l2 = object$penalty$l2,
    standardize = object$penalty$standardize, bias = object$bias, cluster = object$cluster,
    min_count = object$min_count
  ))
}
