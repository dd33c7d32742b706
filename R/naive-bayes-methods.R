#' Predict with naive Bayes, and learn from new rows
#'
#' `predict()` gives the most likely class, or the posterior probabilities, of each row. `update()`
#' gives a model that has learnt new rows too: the one that a fit of all rows would have been, with
#' levels and classes that come for the first time.
#'
#' @param object,x A model from [stream_naive_bayes()].
#' @param newdata A data frame or a stream with the columns of the formula.
#' @param type `"class"`: a factor; of equally likely classes the first. `"prob"`: a matrix with a
#'   column for each class. `"response"`: the probability that it is not the first class, which for
#'   two classes is that of the second.
#' @param unseen What a level does that the model has not seen: `"ignore"` (its feature is left out
#'   of the row; a live model has a bucket for it; warns with class `riffle_warning_unseen`) or
#'   `"error"`.
#' @param data For `update()` with a formula instead of rows: the rows to fit anew.
#' @param digits Significant digits.
#' @param ... Unused.
#' @returns `predict()`: one value or one row for each row of `newdata`, always. `update()`: a
#'   model. `summary()`: a `summary.riffle_naive_bayes` with the data frames `classes` and
#'   `features`. `tidy()`: a data frame with a row for each number of the tables. `glance()`: a
#'   data frame with one row. `augment()`: `newdata` with `.fitted` and a column `.prob_<class>`
#'   for each class.
#' @details
#' `update()` adds sums, so the order of updates does not matter (but with a `half_life`), and
#' a model's knowledge of the positions of topics is used as in [update.riffle_glm()]. A new class
#' is an error when the model has priors of its own.
#' @section Errors:
#' `riffle_error_schema` when `newdata` lacks a column; `riffle_error_data` for an unseen level with
#' `unseen = "error"`, or a new class beside given priors; `riffle_error_argument` when `newdata` or
#' `data` is missing.
#' @source See [stream_naive_bayes()].
#' @name predict.riffle_naive_bayes
#' @aliases update.riffle_naive_bayes
#' @examples
#' m <- stream_naive_bayes(Species ~ ., iris[1:75, ])
#' m2 <- update(m, iris[76:150, ])
#' all.equal(m2$tables, stream_naive_bayes(Species ~ ., iris)$tables)
#' predict(m2, iris[c(1, 51, 101), ], type = "prob")
#' tidy(m2)
#' glance(m2)
NULL

#' @rdname predict.riffle_naive_bayes
#' @export
predict.riffle_naive_bayes <- function(object, newdata, type = c("class", "prob", "response"),
                                       unseen = c("ignore", "error"), ...) {
  if (missing(newdata)) abort_keeps_no_rows("predict")
  type <- check_choice(type, c("class", "prob", "response"))
  unseen <- check_choice(unseen, c("ignore", "error"))
  code <- c(prob = 0L, class = 1L, response = 2L)[[type]]
  scores <- one_row(object, newdata, code)
  if (is.null(scores)) {
    scored <- score_frames(object, new_rows(object, newdata, "score"), code, unseen_codes[["na"]])
    tell_unknown(object, scored$counts, unseen)
    scores <- scored$scores
  }
  names <- if (is.data.frame(newdata)) row.names(newdata)
  classes <- object$recipe$response$levels
  if (type == "prob") {
    return(matrix(scores, ncol = length(classes), dimnames = list(names, classes)))
  }
  if (type == "class") {
    scores <- structure(as.integer(scores) + 1L, levels = classes, class = "factor")
  }
  names(scores) <- names
  scores
}

tell_unknown <- function(object, counts, unseen) {
  if (!counts$unseen > 0) {
    return()
  }
  n <- counts$unseen
  if (unseen == "error") {
    abort_kind("data", c(
      "{big(n)}{cli::qty(n)} row{?s} {?has/have} a level that the model has not seen.",
      i = "The first is {counts$first_unseen}."
    ))
  }
  what <- if (object$fit$streaming) "counts as unknown" else "tells nothing"
  warn_kind("unseen", c(
    "{big(n)}{cli::qty(n)} row{?s} {?has/have} a level that the model has not seen: it {what}.",
    i = "The first is {counts$first_unseen}."
  ))
}

# ---- update --------------------------------------------------------------------------

#' @rdname predict.riffle_naive_bayes
#' @export
update.riffle_naive_bayes <- function(object, newdata, ..., data) {
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
    return(refit_bayes(object, newdata, data))
  }
  check_data(newdata, "newdata")
  if (is_stream(newdata)) newdata <- skip_learnt(object, newdata)
  frames <- new_rows(object, newdata, "learn")
  wide <- move_bayes(object, wider_recipe(object$recipe, new_levels(object, frames)))
  options <- c(bayes_settings(wide), list(threads = object$control$threads, fail = FALSE))
  fitted <- .Call(c_model_fit, object$learner, frames, wide$recipe, options)
  wide$counts <- add_counts(object$counts, fitted$counts)
  wide$positions <- join_positions(object$positions, frames_positions(frames))
  set_state(wide, .Call(c_bayes_join, wide$state, fitted$state, TRUE))
}

# The options of C that the model was fitted with, for the recipe that it has now.
bayes_settings <- function(object) {
  classes <- object$recipe$response$levels
  prior <- object$settings$prior
  list(
    classes = length(classes), likelihood = unname(likelihoods[object$likelihood]),
    laplace = object$settings$laplace, prior = if (!is.null(prior)) check_prior(prior, classes),
    keep = row_keep(object)
  )
}

refit_bayes <- function(object, formula, data) {
  check_data(data)
  call <- object$call
  call$formula <- stats::update(object$formula, formula)
  environment(call$formula) <- environment(object$formula)
  plan <- parse_formula(call$formula, data_fields(data))
  env <- environment(object$terms)
  extra <- extra_column(object$weights_call, data, env, "weights", "(weights)")
  settings <- object$settings
  given <- settings$likelihood
  if (!is.null(names(given))) settings$likelihood <- given[names(given) %in% plan$order]
  if (!length(settings$likelihood)) settings["likelihood"] <- list(NULL)
  fit_bayes(c(list(
    call = call, plan = plan, data = data, extras = Filter(Negate(is.null), list(weights = extra)),
    calls = list(weights = object$weights_call), half_life = object$half_life,
    control = object$control
  ), settings))
}

# ---- more levels ---------------------------------------------------------------------

# The object over a recipe that has its levels and classes too, in whatever order.
move_bayes <- function(object, recipe) {
  if (identical(recipe, object$recipe)) {
    return(object)
  }
  classes <- recipe$response$levels
  old <- object$recipe$response$levels
  prior <- object$settings$prior
  if (!is.null(prior) && length(classes) > length(old)) {
    new <- setdiff(classes, old)
    abort_kind("data", c(
      "The rows have classes that the model has no prior for: {.val {new}}.",
      i = "Fit it again with a `prior` for all classes."
    ))
  }
  to <- unlist(Map(\(was, now) term_places(object$recipe, was, recipe, now),
    object$recipe$terms, recipe$terms))
  starts <- cumsum(c(0L, vapply(recipe$terms, \(term) term_size(recipe, term), 1L)))
  sizes <- vapply(object$recipe$terms, \(term) term_size(object$recipe, term), 1L)
  to <- as.integer(to + rep(starts[seq_along(sizes)], sizes))
  places <- list(n = length(classes), to = match(old, classes) - 1L)
  if (!is.null(prior)) prior <- as.double(object$prior[classes])
  object$state <- .Call(c_bayes_widen, object$state, recipe, to, places, prior)
  object$recipe <- recipe
  object$xlevels <- factor_levels(recipe)
  object
}

# The recipe with more levels, a list by column, behind its own.
wider_recipe <- function(recipe, levels) {
  recipe$variables <- lapply(recipe$variables, \(v) {
    if (v$kind == "category") v$levels <- union(v$levels, levels[[v$name]])
    v
  })
  recipe$terms <- lapply(recipe$terms, \(term) {
    term$codings <- Map(\(coding, i) {
      if (is.null(coding)) NULL else full_coding(recipe$variables[[i]]$levels)
    }, term$codings, term$variables)
    term
  })
  name <- recipe$response$name
  recipe$response$levels <- union(recipe$response$levels, levels[[name]])
  recipe
}

term_size <- function(recipe, term) {
  cells <- cell_names(recipe, term)
  if (is.null(cells)) 1L else length(cells)
}

# Where the cells of a term are in the wider one, from 0.
term_places <- function(recipe, term, wider, now) {
  levels <- function(r, t) lapply(r$variables[t$variables], \(v) v$levels)
  old <- levels(recipe, term)
  new <- levels(wider, now)
  if (is.null(old[[1L]])) {
    return(0L)
  }
  strides <- cumprod(c(1L, lengths(new)))[seq_along(new)]
  steps <- Map(\(was, is, stride) (match(was, is) - 1L) * stride, old, new, strides)
  as.vector(Reduce(\(a, b) outer(a, b, `+`), steps))
}

# Levels of the categories and classes of new rows, by column. A level counts where the response is
# there.
new_levels <- function(object, frames) {
  recipe <- object$recipe
  searched <- vapply(recipe$variables, \(v) v$kind == "category" && !isTRUE(v$logical), NA)
  names <- unique(c(
    vapply(recipe$variables[searched], \(v) v$name, ""),
    if (!identical(recipe$response$levels, c("FALSE", "TRUE"))) recipe$response$name
  ))
  found <- .Call(c_frames_levels, frames, c(recipe$response$name, recipe$weight), names, 0L)
  stats::setNames(lapply(found, as.vector), names)
}

# ---- what a model tells --------------------------------------------------------------

#' @rdname predict.riffle_naive_bayes
#' @export
print.riffle_naive_bayes <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("\nNaive Bayes\n\nCall:  ", paste(deparse(x$call), collapse = "\n"), "\n\n", sep = "")
  own <- if (!is.null(x$settings$prior)) " (given)"
  cat("P(class)", own, ":\n", sep = "")
  print.default(format(x$prior, digits = digits), print.gap = 2L, quote = FALSE)
  cat("\nFeatures:\n")
  for (kind in unique(x$likelihood)) {
    features <- names(x$likelihood)[x$likelihood == kind]
    cat("  ", kind, ": ", toString(features, 70L), "\n", sep = "")
  }
  cat("\n", bayes_rows_line(x), "\n", sep = "")
  invisible(x)
}

bayes_rows_line <- function(x) {
  counts <- x$counts
  left <- c(
    if (counts$missing > 0) sprintf("%s left out (no class)", big(counts$missing)),
    if (x$fit$n_zero > 0) sprintf("%s of weight 0", big(x$fit$n_zero)),
    if (counts$unseen > 0) sprintf("%s with an unknown level", big(counts$unseen))
  )
  paste0(
    "Rows: ", big(counts$rows), if (length(left)) paste0(", of them ", toString(left)),
    if (x$version > 0) sprintf("; version %s (learning steps since the fit)", big(x$version))
  )
}

#' @rdname predict.riffle_naive_bayes
#' @export
summary.riffle_naive_bayes <- function(object, ...) {
  fit <- object$fit
  classes <- data.frame(
    class = names(object$prior), rows = unname(fit$rows), weight = unname(object$apriori),
    prior = unname(object$prior)
  )
  features <- data.frame(
    feature = names(object$likelihood), likelihood = unname(object$likelihood),
    columns = vapply(object$tables, ncol, 1L, USE.NAMES = FALSE), missing = unname(fit$missing)
  )
  structure(
    list(
      call = object$call, classes = classes, features = features,
      laplace = object$settings$laplace, half_life = object$half_life,
      rows = bayes_rows_line(object)
    ),
    class = "summary.riffle_naive_bayes"
  )
}

#' @export
print.summary.riffle_naive_bayes <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("\nCall:\n", paste(deparse(x$call), collapse = "\n"), "\n\nClasses:\n", sep = "")
  print(x$classes, digits = digits, row.names = FALSE)
  cat("\nFeatures:\n")
  print(x$features, digits = digits, row.names = FALSE)
  cat("\nLaplace ", format(x$laplace), sep = "")
  if (is.finite(x$half_life)) cat(", half-life ", big(x$half_life), " rows", sep = "")
  cat("\n", x$rows, "\n", sep = "")
  invisible(x)
}

#' @export
nobs.riffle_naive_bayes <- function(object, ...) object$fit$n - object$fit$n_zero

#' @export
formula.riffle_naive_bayes <- function(x, ...) x$formula

#' @rdname predict.riffle_naive_bayes
#' @export
tidy.riffle_naive_bayes <- function(x, ...) {
  parts <- Map(\(table, term, kind) {
    data.frame(
      term = term, likelihood = kind, class = rep(rownames(table), ncol(table)),
      parameter = rep(colnames(table), each = nrow(table)), estimate = as.vector(table)
    )
  }, x$tables, names(x$tables), x$likelihood)
  out <- do.call(rbind, unname(parts))
  if (is.null(out)) {
    out <- data.frame(
      term = character(), likelihood = character(), class = character(), parameter = character(),
      estimate = numeric()
    )
  }
  out
}

#' @rdname predict.riffle_naive_bayes
#' @export
glance.riffle_naive_bayes <- function(x, ...) {
  data.frame(
    classes = length(x$prior), features = length(x$tables), laplace = x$settings$laplace,
    half_life = x$half_life, nobs = stats::nobs(x), version = x$version
  )
}

#' @rdname predict.riffle_naive_bayes
#' @export
augment.riffle_naive_bayes <- function(x, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("augment")
  if (!is.data.frame(newdata)) {
    abort_argument("`newdata` must be a data frame, not {describe(newdata)}.")
  }
  prob <- stats::predict(x, newdata, type = "prob")
  newdata$.fitted <- unname(suppressWarnings(
    stats::predict(x, newdata, type = "class"), classes = "riffle_warning_unseen"
  ))
  newdata[paste0(".prob_", colnames(prob))] <- as.data.frame(unname(prob))
  newdata
}
