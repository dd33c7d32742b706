#' Generalised linear models on data that need not fit in memory
#'
#' `stream_glm()` fits a generalised linear model to a data frame or to a Kafka topic.
#' Coefficients, standard errors and deviances are those of [stats::glm()] run to convergence; a
#' model matrix is never made and factors are never expanded. The result is a value: it holds
#' what was learnt, not the rows. It can be saved, used to predict, and updated with new rows
#' (see [update.riffle_glm()]).
#'
#' @param formula A formula as in [stats::glm()]: numbers, factors, strings, logicals, any
#'   interaction of them, `offset()`, `0 +`, `.` (all other columns but metadata, whose names begin
#'   with a dot, and raw ones), [hashed()], and terms that R computes, such as `log(x)`,
#'   `poly(x, 2)`, `splines::ns(x, 3)` or `cut(x, breaks)`. The response may be computed, and be
#'   `cbind(successes, failures)` for `binomial`.
#' @param data A data frame, or a stream from [read_stream()], which is read from its start to
#'   the end as of now.
#' @param family A family: the name or the function of one of `stats` (all of them, with any of
#'   R's links), [nb_family()], [tweedie_family()], or any other family object.
#' @param weights,offset,subset As in [stats::glm()]: evaluated in `data`, then where the
#'   formula was written. Weights are precisions (for `binomial`: numbers of trials), not counts
#'   of rows. For a stream they are computed from its columns, batch by batch; `subset` is
#'   logical then.
#' @param na.action `na.omit`: rows with a missing value in a used column are left out and
#'   counted; `na.fail`: they are an error.
#' @param contrasts A list named by factors, as in [stats::glm()]; `NULL`: `options("contrasts")`.
#' @param start Coefficients to start from, or `NULL`.
#' @param l1,l2 Penalties, numbers of at least 0: what is minimised is half the mean deviance
#'   `sum(w d(y, mu)) / (2 sum(w))` plus `l1 sum(|b|) + l2 / 2 sum(b^2)`, the intercept free. They
#'   are on the scale of glmnet's `lambda alpha` and `lambda (1 - alpha)`.
#' @param standardize `TRUE`: the penalty is that of columns scaled to a standard deviation of 1;
#'   coefficients are on the scale of the data all the same.
#' @param bias `"firth"`: Firth's bias reduction, for inference on rare or separated events in
#'   `binomial` (logit) and `poisson` (log) models.
#' @param cluster A column, unquoted, that tells which rows belong together, such as a user:
#'   `vcov(type = "cluster")` then allows for their dependence. Values are hashed into 256 buckets,
#'   which keeps the state small; intervals hold as long as there are many buckets in use.
#' @param levels Levels of categories that are declared rather than found: a list named by columns,
#'   such as `list(device = c("mobile", "desktop"))`. They stay when no row has them; a level that
#'   is not declared is an error, or goes to `"other"` when that is declared.
#' @param min_count Levels with fewer rows than this are pooled into one, `other`, to which unseen
#'   levels go as well; 0: none are.
#' @param map Must be `NULL`: models of shards are joined by [combine()].
#' @param freq `TRUE`: weights count rows, so that a row of weight 2 is the row twice, also in
#'   standard errors and degrees of freedom.
#' @param half_life For updates: the number of rows after which a row counts half; `Inf`: rows are
#'   never forgotten.
#' @param control A list: `threads` (2), `memory` (MB that the rows of a stream may take, 256;
#'   beyond that they go to disk), `spool` (the folder for that, `tempdir()`), `block` (rows of a
#'   learning block in updates, 1000), `epsilon` (stop when Newton's decrement, in squared standard
#'   errors, is below it, 1e-14), `maxit` (passes at most, 100), `robust` (`FALSE`; `TRUE`: one more
#'   pass for `vcov(type = "HC0")`, which small fits take anyway).
#' @returns A model of class `riffle_glm` and `riffle_model`.
#'
#' @details
#' Levels of strings are found in a first pass, in C order whatever the session's collation, so
#' the first of them is the reference. A factor of a data frame keeps its own order, as in
#' `glm()`. A string with more than 1,000 levels is refused: use [hashed()].
#'
#' For `binomial` the response is a logical, a number from 0 to 1, a factor or a string whose
#' first level is failure.
#'
#' A term that R computes is frozen at the fit: constants and functions of the formula's
#' environment are kept as they are then, and what depends on the data as a whole (the knots of
#' `ns()`, the coefficients of `poly()`, the breaks of `cut(x, 3)`, `mean(x)`) is computed once,
#' from all rows; of a stream of more than a million rows from the first 100,000. `print()` says
#' which.
#' Functions beyond those of arithmetic, text, dates, `stats::poly()` and `splines` are kept with
#' the model, and [read_model()] takes such a model with `trust = TRUE` only. A query
#' ([start_query()]) runs without R, and refuses models with computed terms.
#'
#' A column that is a combination of earlier ones has the coefficient `NA`, and a message names
#' it. A level without an event, or with nothing but events, has no finite estimate: a warning
#' of class `riffle_warning_separation` names it, and its standard error prints as `Inf`.
#'
#' Cross-products are accumulated in fixed cells of rows, so the result is the same to the last
#' bit however the rows are cut into frames and on any number of threads.
#'
#' @section Families:
#' Compiled are all families of `stats` with all links of R and [stats::power()], [nb_family()],
#' [tweedie_family()] and those of MASS and statmod. Any other family object is evaluated in R,
#' chunk by chunk, on one thread; its AIC is `NA`, it takes no updates and no live queries. Where
#' the link is not canonical the fit takes Newton's steps with the observed information near the
#' optimum; standard errors are from the expected information, as those of `glm()`.
#'
#' @section Penalties:
#' With `l1` or `l2` no column is aliased, no level separated, and `summary()` shows no p-values:
#' a penalised estimate has no t distribution. `vcov()` is `dispersion (H + n l2)^-1` with `l2`
#' alone (`H` the information, `n` the sum of weights), and an error with `l1`. The fit equals
#' `glmnet(standardize = FALSE)` at `lambda = l1 + l2`, `alpha = l1 / (l1 + l2)` for binomial,
#' Poisson and Gamma models. For gaussian ones glmnet first scales the response to a standard
#' deviation of 1, which leaves its `l1` as it is and makes its `l2` that of `l2 / sd(y)` here.
#' In updates `l2` counts as information of the first fit, `n l2` of it, and is not added again.
#'
#' @section Firth:
#' The maximum of the likelihood times the root of the information's determinant: estimates are
#' finite for separated levels and less biased. It overpredicts rare events, 57 for 46 say; so the
#' intercept is then fitted anew, the others kept, until as many events are expected as observed
#' (FLIC). It is meant for inference; for predictions use `l2`. Covariances are those of Firth's
#' estimate.
#'
#' @section Errors:
#' `riffle_error_argument` for a wrong argument, by name; `riffle_error_schema` when a column is
#' not there; `riffle_error_data` for rows that cannot be learnt: none left, a response out of
#' the family's range, one class only, negative weights, infinite values.
#' @source Newton's method as in McCullagh and Nelder (1989), Generalized Linear Models, 2nd
#'   edition, chapter 2. Updates: Luo and Song (2020), Renewable estimation and incremental
#'   inference in generalized linear models with streaming data sets, JRSS B 82. Penalties:
#'   Friedman, Hastie and Tibshirani (2010), Regularization paths for generalized linear models via
#'   coordinate
#'   descent, J. Stat. Software 33. Firth (1993), Bias reduction of maximum likelihood estimates,
#'   Biometrika 80; Puhr et al. (2017), Firth's logistic regression with rare events, Statistics in
#'   Medicine 36.
#' @seealso [predict.riffle_glm()], [summary.riffle_glm()], [update.riffle_glm()], [live_model()]
#' @export
#' @examples
#' d <- sim_adclicks(5000, seed = 1)
#' m <- stream_glm(click ~ device * daypart + position, d, family = binomial)
#' m
#' summary(m)
#' head(predict(m, d, type = "response"))
stream_glm <- function(formula, data, family = gaussian(), weights, offset, subset,
                       na.action = na.omit, contrasts = NULL, start = NULL, l1 = 0, l2 = 0,
                       standardize = FALSE, bias = c("none", "firth"), cluster = NULL,
                       levels = NULL, min_count = 0, freq = FALSE, half_life = Inf,
                       control = list(), map = NULL) {
  if (missing(data)) abort_argument("`data` must be given: a data frame or a stream.")
  check_data(data)
  family <- as_family(family)
  control <- check_control(control)
  check_flag(freq)
  check_half_life(half_life)
  check_penalty(l1)
  check_penalty(l2)
  check_flag(standardize)
  bias <- check_choice(bias, c("none", "firth"))
  check_bias(bias, family, l1 + l2)
  check_min_count(min_count)
  if (!is.null(map)) {
    abort_argument(c(
      "`map` must be NULL: one fit is not spread over shards.",
      i = "Fit each shard with the same levels, and join the models by {.fn combine}."
    ))
  }
  na_action <- check_na_action(na.action)
  plan <- parse_formula(formula, data_fields(data))
  env <- environment(plan$terms)
  calls <- list(
    weights = if (!missing(weights)) substitute(weights),
    offset = if (!missing(offset)) substitute(offset)
  )
  extras <- list(
    weights = extra_column(calls$weights, data, env, "weights", "(weights)"),
    offset = extra_column(calls$offset, data, env, "offset", "(offset)")
  )
  rows <- subset_rows(if (!missing(subset)) substitute(subset), data, env)
  fit_glm(list(
    call = tidy_call(match.call(), quote(stream_glm)), plan = plan, data = data, family = family,
    extras = Filter(Negate(is.null), extras), calls = calls, subset = rows,
    na_action = na_action, contrasts = contrasts, start = start, control = control,
    defaults = getOption("contrasts"), freq = freq, half_life = half_life,
    l1 = l1, l2 = l2, standardize = standardize, bias = bias, levels = levels,
    min_count = min_count, cluster = cluster_extra(substitute(cluster), data)
  ))
}

# The clusters as a column that comes as a bucket: one of the data's, or computed from them.
cluster_extra <- function(expr, data) {
  if (is.null(expr)) {
    return(NULL)
  }
  if (is.call(expr) && identical(expr[[1L]], quote(`~`)) && length(expr) == 2L) expr <- expr[[2L]]
  name <- if (is.symbol(expr) || is.character(expr) && length(expr) == 1L) as.character(expr)
  if (is.null(name) && !is.call(expr)) {
    abort_argument("`cluster` must be a column of the data, not {deparse1(expr)}.")
  }
  if (!is.null(name) && !name %in% names(data)) {
    abort_kind("schema", c(
      "`data` has no column `{name}`, which `cluster` names.", i = "It has {.val {names(data)}}."
    ))
  }
  extra <- list(name = if (is.null(name)) "(cluster)" else name, kind = "bucket", buckets = 256L)
  if (is.null(name)) extra$expr <- expr
  extra
}

check_penalty <- function(x, arg = name_of(substitute(x))) {
  if (!is_number(x) || x < 0 || is.infinite(x)) {
    abort_argument("`{arg}` must be a finite number of at least 0, not {describe(x)}.")
  }
}

check_bias <- function(bias, family, penalty) {
  if (bias == "none") {
    return(invisible())
  }
  known <- family$family == "binomial" && family$link == "logit" ||
    family$family == "poisson" && family$link == "log"
  if (!known) {
    abort_argument(
      "`bias` must be \"none\" for {.val {family$family}}: Firth's method is for binomial with ",
      "the logit link and poisson with the log link."
    )
  }
  if (penalty > 0) abort_argument("`bias` must be \"none\" with a penalty, `l1` or `l2`.")
}

check_half_life <- function(x, arg = name_of(substitute(x))) {
  if (!is_number(x) || x <= 0) {
    abort_argument("`{arg}` must be a number of rows above 0, or Inf, not {describe(x)}.")
  }
}

# `cut`: rows of a frame; NULL for one frame. Only tests cut.
fit_glm <- function(job, cut = NULL) {
  job$learner <- "glm"
  if (!is.null(job$cluster)) job$recipe$extras <- list(job$cluster)
  plain <- list(freq = FALSE, l1 = 0, l2 = 0, standardize = FALSE, bias = "none")
  job <- c(job, plain[setdiff(names(plain), names(job))])
  if (is_custom(job$family)) job$control$threads <- 1L
  job$check <- \(rows) check_response_kind(job$plan, rows$kind, job$family)
  job$options <- \(recipe) {
    list(
      kind = family_spec(job$family), host = if (is_custom(job$family)) custom_host(job$family),
      freq = isTRUE(job$freq), l1 = job$l1, l2 = job$l2, standardize = job$standardize,
      firth = job$bias == "firth", robust = job$control$robust,
      cluster = !is.null(job$cluster), epsilon = job$control$epsilon, maxit = job$control$maxit,
      start = check_start(job$start, design_columns(recipe)$names)
    )
  }
  object <- fit_rows(job, cut, class = "riffle_glm")
  object$freq <- isTRUE(job$freq)
  object$penalty <- list(l1 = job$l1, l2 = job$l2, standardize = job$standardize)
  object$bias <- job$bias
  object[c("cluster", "min_count", "declared")] <- list(job$cluster, job$min_count, job$levels)
  say_fit(object)
  object
}

# ---- arguments -----------------------------------------------------------------------

default_control <- list(
  threads = 2L, memory = 256, spool = NULL, block = 1000L, epsilon = 1e-14, maxit = 100L,
  robust = FALSE
)

check_control <- function(control) {
  if (!is.list(control)) abort_argument("`control` must be a list, not {describe(control)}.")
  unknown <- setdiff(names(control), names(default_control))
  if (length(unknown) || (length(control) && is.null(names(control)))) {
    abort_argument(c(
      "`control` must have names out of {.val {names(default_control)}}.",
      i = if (length(unknown)) "{.val {unknown}} {?is/are} not among them."
    ))
  }
  out <- utils::modifyList(default_control, control)
  if (!is.null(out$spool)) check_string(out$spool, "control$spool")
  for (name in setdiff(names(out), "spool")) {
    x <- out[[name]]
    if (name == "robust") {
      check_flag(x, "control$robust")
      next
    }
    check_positive(x, paste0("control$", name))
    if (!name %in% c("epsilon", "memory")) {
      check_count(x, paste0("control$", name))
      out[[name]] <- as.integer(min(x, 1e9))
    }
  }
  out
}

check_start <- function(start, names) {
  if (is.null(start)) {
    return(NULL)
  }
  if (!is.numeric(start) || length(start) != length(names) || !all(is.finite(start))) {
    abort_argument(
      "`start` must be {length(names)} finite number{?s}, one a coefficient, not {describe(start)}."
    )
  }
  as.double(start)
}

check_response_kind <- function(plan, kind, family) {
  name <- plan$column[[plan$response]]
  if (!is_share(family) && kind[[name]] %in% c("factor", "string")) {
    abort_argument(
      "The response `{name}` must be a number for the {family$family} family, not a {kind[[name]]}."
    )
  }
}

# ---- the value -----------------------------------------------------------------------

set_state.riffle_glm <- function(object, state) {
  result <- .Call(c_model_result, "glm", state)
  object$state <- state
  object$coefficients <- stats::setNames(result$coef, design_columns(object$recipe)$names)
  object$levels <- level_counts(object$recipe, result$level_rows, result$level_events)
  object$fit <- result[!names(result) %in% c("coef", "level_rows", "level_events")]
  object$version <- result$version
  if (family_spec(object$family)$family == family_codes[["negative"]]) {
    object$family <- nb_family(result$theta, object$family$link)
  }
  object
}

# Rows and events of every cell of the terms that have only categories, from the counts that C
# keeps for the columns of the indicator space.
level_counts <- function(recipe, rows, events) {
  at <- as.integer(recipe$intercept)
  cells <- lapply(recipe$terms, \(term) {
    levels <- term_levels(recipe, term)
    here <- at + seq_len(term_cells(recipe, term))
    at <<- max(at, here)
    if (length(levels) < length(term$variables)) {
      return(NULL)
    }
    grid <- do.call(expand.grid, c(unname(levels), stringsAsFactors = FALSE))
    data.frame(
      term = rep(term$label, length(here)), level = do.call(paste, c(unname(grid), sep = ":")),
      rows = rows[here], events = events[here]
    )
  })
  do.call(rbind, cells)
}

# The levels of the categories of a term, by name.
term_levels <- function(recipe, term) {
  variables <- recipe$variables[term$variables]
  levels <- lapply(variables, \(v) v$levels)
  names(levels) <- vapply(variables, \(v) v$name, "")
  Filter(Negate(is.null), levels)
}

# ---- what a fit says -----------------------------------------------------------------

inform_aliased <- function(aliased) {
  cli::cli_inform(
    c(
      paste(
        "{cli::qty(aliased)}Column{?s} {.val {aliased}}",
        "{?is a combination/are combinations} of earlier ones."
      ),
      i = "{cli::qty(aliased)}{?Its coefficient is/Their coefficients are} NA."
    ),
    class = c("riffle_message_aliased", "riffle_message")
  )
}

say_fit <- function(object) {
  fit <- object$fit
  aliased <- names(object$coefficients)[is.na(object$coefficients)]
  if (length(aliased)) inform_aliased(aliased)
  warn_separation(object)
  if (!fit$converged && !fit$separated) {
    warn_kind("convergence", c(
      "The fit has not converged within {fit$passes} pass{?es}.",
      i = "Raise `control$maxit`."
    ))
  }
}

# Cells that have no event, or nothing but events: the likelihood has no maximum there. A cell
# within a margin that is listed already is not told again.
separated_levels <- function(object) {
  cells <- object$levels
  if (!runs_away(object$family) || is.null(cells)) {
    return(NULL)
  }
  counts_trials <- !is_share(object$family) || !is.null(object$recipe$weight)
  full <- !counts_trials & cells$events >= cells$rows
  found <- which(cells$rows > 0 & (cells$events <= 0 | full))
  parts <- lapply(found, \(i) cell_parts(object, i))
  implied <- vapply(parts, \(mine) {
    any(vapply(parts, \(other) length(other) < length(mine) && all(other %in% mine), NA))
  }, NA)
  cells <- cells[found[!implied], , drop = FALSE]
  rownames(cells) <- NULL
  cells
}

# "device=mobile", "hour=7": the levels that make up cell i.
cell_parts <- function(object, i) {
  label <- object$levels$term[[i]]
  labels <- vapply(object$recipe$terms, \(term) term$label, "")
  levels <- term_levels(object$recipe, object$recipe$terms[[match(label, labels)]])
  number <- i - match(label, object$levels$term) + 1L
  at <- arrayInd(number, lengths(levels))
  paste(names(levels), Map(`[[`, levels, at), sep = "=")
}

warn_separation <- function(object) {
  if (is_penalised(object) || identical(object$bias, "firth")) {
    return(invisible())
  }
  cells <- separated_levels(object)
  if (!object$fit$separated && !NROW(cells)) {
    return(invisible())
  }
  shown <- utils::head(cells, 5L)
  lines <- if (NROW(cells)) {
    counts <- list(big(shown$rows), big(shown$events))
    sprintf("%s '%s': %s rows, %s events", shown$term, shown$level, counts[[1L]], counts[[2L]])
  } else {
    sprintf("column '%s'", utils::head(names(which(is.infinite(standard_errors(object)))), 5L))
  }
  more <- NROW(cells) - NROW(shown)
  border <- if (is_share(object$family)) "a probability of 0 or 1" else "a mean of 0"
  cli::cli_warn(
    c(
      "Some coefficients have no finite estimate: the rows are fitted best by {border}.",
      stats::setNames(sprintf("{lines[[%d]]}", seq_along(lines)), rep("*", length(lines))),
      if (more > 0L) c("*" = "and {big(more)} more"),
      i = "Their standard errors print as Inf. Join or drop such levels, or collect more rows."
    ),
    class = c("riffle_warning_separation", "riffle_warning"), levels = cells
  )
}
