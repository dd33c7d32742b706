#' One model out of models of shards
#'
#' `combine()` adds up models that were fitted to different rows: the result is the model of all
#' rows, as if one fit had seen them, or near to it.
#'
#' @param x,... Models of one kind, fitted with the same formula and settings to rows that no two
#'   of them share.
#' @returns A model. Its version is the sum of theirs, its rows and positions are those of all.
#' @details
#' Only what a learner keeps as sums can be added up without loss. Naive Bayes does
#' ([stream_naive_bayes()]): levels and classes that only some shards have are joined, those of
#' earlier models first. Counts are equal to the bit to those of one fit; means and standard
#' deviations to rounding.
#' A model with a `half_life` cannot be combined, since the order of its rows counts; one with given
#' priors only with models of the same classes and priors.
#'
#' Models of [stream_glm()] must have the same columns: declare the levels by `levels` where a shard
#' may lack one. Coefficients are `b = (sum J_i)^-1 sum J_i b_i` with the information `J_i` of each
#' fit, and `sum J_i` is that of the result. For `gaussian` with the identity link that is the fit
#' of all rows to rounding. For other families it is near to it: within a tenth of a standard error
#' for three shards of 20,000 rows and a few coefficients. The distance is of the order of
#' `sqrt(n) / n_i` standard errors with `n` rows in all and `n_i` in a shard, or events where they
#' are rare: so shards should be few and large, and a level
#' should have some events in each. Deviances are taken to second order. The result is as a model
#' after [update.riffle_glm()]: only `vcov(type = "model")` is known of it, and it learns on. Models
#' that forget are added up as they are now. Estimated shapes (`nb_family()` without theta) and `l1`
#' penalties cannot be combined.
#' @section Errors:
#' `riffle_error_argument` when the arguments are not models of one kind, or their formulas or
#' settings differ; `riffle_error_model` for models that cannot be added up.
#' @source Chan, Golub and LeVeque (1979), Updating formulae and a pairwise algorithm for computing
#'   sample variances. Lin and Xi (2011), Aggregated estimating equation estimation, Statistics and
#'   Its Interface 4; Luo and Song (2020), Renewable estimation and incremental inference in
#'   generalized linear models with streaming data sets, JRSS B 82.
#' @export
#' @examples
#' shards <- split(iris, rep(1:3, length.out = 150))
#' models <- lapply(shards, \(rows) stream_naive_bayes(Species ~ ., rows))
#' m <- do.call(combine, unname(models))
#' all.equal(m$tables, stream_naive_bayes(Species ~ ., iris)$tables)
#'
#' fits <- lapply(shards, \(rows) stream_glm(Sepal.Length ~ Petal.Length + Species, rows))
#' g <- do.call(combine, unname(fits))
#' all.equal(coef(g), coef(stream_glm(Sepal.Length ~ Petal.Length + Species, iris)))
combine <- function(x, ...) {
  if (missing(x)) abort_argument("`x` must be given: a model.")
  models <- list(x, ...)
  for (model in models) {
    if (!inherits(model, "riffle_model")) {
      abort_argument(
        "All arguments must be models, not {describe(model)}. ",
        "Take `current_model()` of a live model."
      )
    }
  }
  kinds <- unique(vapply(models, \(model) class(model)[[1L]], ""))
  if (length(kinds) > 1L) {
    abort_argument("The models must be of one kind, not {.val {kinds}}.")
  }
  UseMethod("combine")
}

#' @export
combine.riffle_model <- function(x, ...) {
  abort_kind("model", c(
    "Models of class {.cls {class(x)[[1L]]}} cannot be added up without loss.",
    i = "Fit one model to all rows, or update one with the rows of the others."
  ))
}

#' @rdname combine
#' @export
combine.riffle_naive_bayes <- function(x, ...) Reduce(combine_bayes, list(...), x)

#' @rdname combine
#' @export
combine.riffle_glm <- function(x, ...) Reduce(combine_glm, list(...), x)

combine_glm <- function(a, b) {
  refuse_custom(a, "be combined")
  check_same_glm(a, b)
  object <- a
  object$counts <- add_counts(a$counts, b$counts)
  object$positions <- join_positions(a$positions, b$positions)
  set_state(object, .Call(c_glm_combine, a$state, b$state))
}

check_same_glm <- function(a, b) {
  same <- \(part) isTRUE(all.equal(part(a), part(b), check.environment = FALSE))
  what <- if (!same(\(m) vapply(m$recipe$terms, \(term) term$label, ""))) {
    "formula"
  } else if (!same(\(m) m$recipe$response$name)) {
    "response"
  } else if (!same(\(m) unclass(m$family)[c("family", "link")])) {
    "family"
  } else if (!same(\(m) m$recipe$contrasts)) {
    "contrasts"
  } else if (!same(\(m) m$penalty)) {
    "penalty"
  } else if (!same(\(m) m$bias)) {
    "`bias`"
  } else if (!same(\(m) m$freq)) {
    "`freq`"
  } else if (!same(\(m) m$half_life)) {
    "`half_life`"
  }
  if (!is.null(what)) abort_argument("The models must have the same {what}.")
  check_same_levels(a, b)
  if (!same(\(m) m$recipe)) {
    abort_argument(
      "The models must have the same recipe: terms that R computes, such as `poly()`, have taken ",
      "another basis from each shard, or weights, offset or `min_count` differ."
    )
  }
}

check_same_levels <- function(a, b) {
  mine <- recipe_levels(a$recipe)
  theirs <- recipe_levels(b$recipe)
  differ <- names(mine)[!mapply(identical, mine, theirs[names(mine)])]
  if (length(differ)) {
    name <- differ[[1L]]
    abort_argument(c(
      "The models must have the same levels of `{name}`, in the same order.",
      i = "Declare them at each fit: {.code levels = list({name} = )}."
    ))
  }
}

combine_bayes <- function(a, b) {
  check_same_settings(a, b)
  recipe <- wider_recipe(a$recipe, recipe_levels(b$recipe))
  wide <- move_bayes(a, recipe)
  wide$counts <- add_counts(a$counts, b$counts)
  wide$positions <- join_positions(a$positions, b$positions)
  set_state(wide, .Call(c_bayes_join, wide$state, move_bayes(b, recipe)$state, FALSE))
}

recipe_levels <- function(recipe) {
  parts <- c(Filter(\(v) v$kind == "category", recipe$variables), list(recipe$response))
  levels <- lapply(parts, \(part) part$levels)
  stats::setNames(levels, vapply(parts, \(part) part$name, ""))
}

check_same_settings <- function(a, b) {
  terms <- \(m) vapply(m$recipe$terms, \(term) term$label, "")
  what <- if (!identical(terms(a), terms(b))) {
    "formulas"
  } else if (!identical(a$recipe$response$name, b$recipe$response$name)) {
    "responses"
  } else if (!identical(a$settings$laplace, b$settings$laplace)) {
    "`laplace`"
  } else if (!identical(a$likelihood, b$likelihood)) {
    "likelihoods"
  } else if (!identical(given_prior(a), given_prior(b))) {
    "`prior`"
  }
  if (!is.null(what)) abort_argument("The models must have the same {what}.")
  if (is.finite(a$half_life) || is.finite(b$half_life)) {
    abort_argument("Models with a `half_life` cannot be combined: the order of their rows counts.")
  }
}

given_prior <- function(m) if (!is.null(m$settings$prior)) m$prior
