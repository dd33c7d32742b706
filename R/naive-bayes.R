#' Naive Bayes on data that need not fit in memory
#'
#' `stream_naive_bayes()` fits a naive Bayes classifier to a data frame or to a Kafka topic: the
#' features are taken to be independent within each class, each with a likelihood of its own. One
#' pass of sums is all there is to a fit, so two fits can be added up ([combine()]) and new rows
#' learnt ([update()][update.riffle_naive_bayes]) without loss.
#'
#' @param formula A formula: the response (a factor, a string, a logical or a whole number) and
#'   the features, columns of `data`. `a:b` of two factors is one feature with a level for each
#'   pair.
#' @param data A data frame, or a stream from [read_stream()], which is read from its start to the
#'   end as of now.
#' @param weights Numbers of times that a row counts: evaluated in `data`, then where the formula
#'   was written; for a stream the name of a column. A row of weight 2 is the row twice.
#' @param laplace How much is added to every count, a number of at least 0.
#' @param prior The probabilities of the classes, in any unit, in the order of the response's
#'   levels or named by them; `NULL`: the shares of the classes.
#' @param likelihood `NULL`: by type (numbers are gaussian, factors and strings categorical,
#'   logicals bernoulli). A string, for all features of a type that it fits; or strings named by
#'   features: `"gaussian"`, `"bernoulli"` (numbers 0 and 1, logicals, factors of two levels),
#'   `"poisson"`, `"multinomial"` (numbers of at least 0), `"categorical"`.
#' @param half_life The number of rows after which a row counts half; `Inf`: never forget.
#' @param control A list: `threads` (2), `memory` (MB that the rows of a stream may take, 256;
#'   beyond that they go to disk), `spool` (the folder for that), `block` (rows of a learning block
#'   of a live model, 1000).
#' @returns A model of class `riffle_naive_bayes` and `riffle_model`. Among its parts: `apriori`
#'   (weights of the classes), `prior`, and `tables`, a list named by features of matrices with a
#'   row for each class: probabilities of the levels; mean and sd; the probabilities of 0 and 1; a
#'   rate; a share.
#'
#' @details
#' `P(class | row)` is proportional to `P(class)` times the product of `P(feature | class)`, added
#' up as logarithms. With `a` for `laplace`, weights `n` and sums `S` within the class:
#' * categorical and bernoulli: `(n(level) + a) / (n + a L)`. `L` counts the declared levels, those
#'   that no row has too, and in a live model one bucket for all unknown levels;
#' * gaussian: mean, and sd with `n - 1`, which is at least `sqrt(1e-9)` times that of the feature's
#'   largest variance. A class with fewer than two values has the feature's overall variance, one
#'   without any its overall mean too. A number that never varies tells nothing;
#' * poisson: rate `(S + a m) / (n + a)`, where `m` is the feature's overall mean;
#' * multinomial: share `(S + a) / (sum of S + a p)` among the `p` multinomial features.
#'
#' A missing value leaves its feature out of the row, in fitting and in predicting. A level that
#' the model has not seen does so too, unless the model is live. Rows without a response are left
#' out. Without smoothing a probability may be 0: a class with fewer impossible values than all
#' others then has all of the posterior.
#'
#' Posteriors are right as densities underflow, where other implementations give up. But features
#' are hardly ever independent, so they are too near 0 and 1: good for ranking and choosing, not
#' for bids. The result does not depend on how rows are cut into frames or on the number of
#' threads.
#' @section Errors:
#' `riffle_error_argument` for a wrong argument, by name; `riffle_error_schema` when a column is
#' not there; `riffle_error_data` for rows that cannot be learnt: none left, negative weights or
#' counts, infinite values.
#' @source Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, 6.6.3.
#'   Multinomial: Manning, Raghavan and Schuetze (2008), Introduction to Information Retrieval,
#'   13.2. The same model: `naiveBayes()` of package e1071. Variances: Chan, Golub and LeVeque
#'   (1979), Updating formulae and a pairwise algorithm for computing sample variances.
#' @seealso [predict.riffle_naive_bayes()], [combine()], [live_model()]
#' @export
#' @examples
#' m <- stream_naive_bayes(Species ~ ., iris)
#' m
#' m$tables$Sepal.Length
#' table(predict(m, iris), iris$Species)
#' predict(m, iris[c(1, 71), ], type = "prob")
#'
#' d <- sim_adclicks(5000, seed = 1)
#' clicks <- stream_naive_bayes(click ~ device + daypart + hour + activity, d,
#'   likelihood = c(hour = "poisson")
#' )
#' head(predict(clicks, d, type = "response"))
stream_naive_bayes <- function(formula, data, weights, laplace = 1, prior = NULL,
                               likelihood = NULL, half_life = Inf, control = list()) {
  if (missing(data)) abort_argument("`data` must be given: a data frame or a stream.")
  check_data(data)
  check_not_negative(laplace)
  check_half_life(half_life)
  control <- check_control(control)
  plan <- parse_formula(formula, data_fields(data))
  calls <- list(weights = if (!missing(weights)) substitute(weights))
  extra <- extra_column(calls$weights, data, environment(plan$terms), "weights", "(weights)")
  fit_bayes(list(
    call = tidy_call(match.call(), quote(stream_naive_bayes)), plan = plan, data = data,
    extras = Filter(Negate(is.null), list(weights = extra)), calls = calls, laplace = laplace,
    prior = prior, likelihood = likelihood, half_life = half_life, control = control
  ))
}

# `cut`: rows of a frame; NULL for one frame. Only tests cut.
fit_bayes <- function(job, cut = NULL) {
  if (length(job$plan$offset)) {
    abort_argument("`formula` must not have an offset: naive Bayes has no use for one.")
  }
  job$learner <- "naive_bayes"
  job$na_action <- "na.omit"
  job$defaults <- getOption("contrasts")
  job$recipe <- list(response = "code", missing = TRUE, coding = "full", intercept = FALSE)
  job$levels <- declared_categories(job$plan, job$data)
  kind <- NULL
  job$check <- \(rows) kind <<- rows$kind[[job$plan$column[[job$plan$response]]]]
  job$options <- \(recipe) {
    check_classes(recipe$response, kind)
    bayes_options(job, recipe)
  }
  object <- fit_rows(job, cut, class = "riffle_naive_bayes")
  if (!sum(object$apriori) > 0) abort_no_rows()
  object$settings <- job[c("laplace", "prior", "likelihood")]
  names(object$settings) <- c("laplace", "prior", "likelihood")
  object
}

abort_no_rows <- function() {
  abort_kind("data", "There are no rows to learn from: none has a response and a weight.")
}

check_classes <- function(response, kind) {
  if (!length(response$levels)) abort_no_rows()
  if (kind == "number" && any(grepl("[^0-9-]", response$levels))) {
    abort_argument(
      "The response `{response$name}` must be classes: a factor, a string, a logical or a whole ",
      "number, not a number such as {response$levels[grepl(\"[^0-9-]\", response$levels)][[1L]]}."
    )
  }
}

# The levels that factors of a data frame declare, with those that no row has.
declared_categories <- function(plan, data) {
  if (is_stream(data)) {
    return(NULL)
  }
  columns <- intersect(plan$column[plan$in_terms], names(data))
  factors <- Filter(is.factor, unclass(data)[columns])
  if (length(factors)) lapply(factors, levels)
}

# ---- likelihoods ---------------------------------------------------------------------

likelihoods <- c(
  categorical = 0L, gaussian = 1L, bernoulli = 2L, poisson = 3L, multinomial = 4L
)

bayes_options <- function(settings, recipe) {
  classes <- recipe$response$levels
  list(
    classes = length(classes), likelihood = term_likelihoods(recipe, settings$likelihood),
    laplace = settings$laplace, prior = check_prior(settings$prior, classes),
    keep = 0.5^(1 / settings$half_life)
  )
}

# What a term may be, the first by default: "number", "logical", "pair" (a factor of two levels) or
# "factor".
term_type <- function(recipe, term) {
  variables <- recipe$variables[term$variables]
  category <- vapply(variables, \(v) v$kind != "number", NA)
  if (any(category) && !all(category)) {
    abort_argument(
      "The term `{term$label}` must not be the product of a number and a factor: naive Bayes has ",
      "no likelihood for it."
    )
  }
  if (!any(category)) return("number")
  if (length(variables) > 1L || variables[[1L]]$kind == "hashed") return("factor")
  if (isTRUE(variables[[1L]]$logical)) return("logical")
  if (length(variables[[1L]]$levels) == 2L) "pair" else "factor"
}

fitting_likelihoods <- list(
  number = c("gaussian", "poisson", "multinomial", "bernoulli"),
  logical = c("bernoulli", "categorical"), pair = c("categorical", "bernoulli"),
  factor = "categorical"
)

# The code of each term's likelihood. `given`: the argument of the user.
term_likelihoods <- function(recipe, given) {
  labels <- vapply(recipe$terms, \(term) term$label, "")
  types <- vapply(recipe$terms, \(term) term_type(recipe, term), "")
  chosen <- vapply(types, \(type) fitting_likelihoods[[type]][[1L]], "")
  check_likelihood(given, labels)
  for (t in seq_along(labels)) {
    fits <- fitting_likelihoods[[types[[t]]]]
    asked <- if (is.null(names(given))) given else given[names(given) == labels[[t]]]
    if (!length(asked)) next
    if (asked %in% fits) {
      chosen[[t]] <- asked
    } else if (!is.null(names(given))) {
      abort_argument(
        "`likelihood` of `{labels[[t]]}` must be {.or {.val {fits}}}, not {.val {asked}}."
      )
    }
  }
  if (length(given) == 1L && is.null(names(given)) && !given %in% chosen) {
    abort_argument("`likelihood` must fit a feature, and {.val {given}} fits none.")
  }
  unname(likelihoods[chosen])
}

check_likelihood <- function(given, labels) {
  if (is.null(given)) {
    return()
  }
  known <- names(likelihoods)
  if (!is.character(given) || !all(given %in% known)) {
    odd <- if (is.character(given)) setdiff(given, known)[[1L]] else given
    abort_argument("`likelihood` must be out of {.val {known}}, not {describe(odd)}.")
  }
  if (is.null(names(given)) && length(given) != 1L) {
    abort_argument("`likelihood` must be one string, or strings named by features.")
  }
  unknown <- setdiff(names(given), labels)
  if (length(unknown)) {
    abort_argument(
      "`likelihood` must name features of the formula; {.val {unknown}} {?is/are} not among them."
    )
  }
}

check_prior <- function(prior, classes) {
  if (is.null(prior)) {
    return(NULL)
  }
  ok <- is.numeric(prior) && length(prior) == length(classes) && all(is.finite(prior)) &&
    all(prior >= 0) && sum(prior) > 0
  if (!ok) {
    abort_argument(
      "`prior` must be {length(classes)} number{?s} of at least 0, one for each class, ",
      "not {describe(prior)}."
    )
  }
  if (!is.null(names(prior))) {
    if (!setequal(names(prior), classes)) {
      abort_argument("`prior` must be named by the classes {.val {classes}}.")
    }
    prior <- prior[classes]
  }
  as.double(prior)
}

# ---- the value -----------------------------------------------------------------------

#' @export
set_state.riffle_naive_bayes <- function(object, state) {
  result <- .Call(c_model_result, object$learner, state)
  classes <- object$recipe$response$levels
  labels <- vapply(object$recipe$terms, \(term) term$label, "")
  object$state <- state
  object$apriori <- stats::setNames(result$weight, classes)
  object$prior <- stats::setNames(result$prior, classes)
  object$likelihood <- stats::setNames(names(likelihoods)[result$likelihood + 1L], labels)
  object$tables <- Map(\(table, term, kind) {
    dimnames(table) <- list(classes, table_columns(object$recipe, term, kind, ncol(table)))
    table
  }, stats::setNames(result$tables, labels), object$recipe$terms, object$likelihood)
  object$fit <- list(
    n = result$n, n_zero = result$n_zero, rows = stats::setNames(result$rows, classes),
    missing = stats::setNames(result$missing, labels), streaming = result$streaming
  )
  object$version <- result$version
  object
}

table_columns <- function(recipe, term, kind, n) {
  switch(kind,
    gaussian = c("mean", "sd"),
    poisson = "rate",
    multinomial = "share",
    {
      cells <- cell_names(recipe, term)
      if (is.null(cells)) cells <- c("0", "1")
      c(cells, if (n > length(cells)) "(unknown)")
    }
  )
}

# Levels of a category, or of crossed ones: the first varies fastest. NULL for a number.
cell_names <- function(recipe, term) {
  levels <- lapply(recipe$variables[term$variables], \(v) v$levels)
  if (is.null(levels[[1L]])) {
    return(NULL)
  }
  Reduce(\(first, next_one) as.vector(outer(first, next_one, paste, sep = ":")), levels)
}

#' @export
score_types.riffle_naive_bayes <- function(object) c(response = 2L, prob = 0L)

#' @export
score_columns.riffle_naive_bayes <- function(object, type) {
  if (type == "prob") object$recipe$response$levels
}
