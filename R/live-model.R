#' Live models
#'
#' A model is a value; a live model is the one object that learns in place. Queries score with
#' it ([score_with()]) and learn into it ([learn_with()]); `current_model()` takes a snapshot, a
#' value again.
#'
#' @param model A model, such as [stream_glm()] makes.
#' @param name Its name in scores, a string; `NULL` for the name of the variable given.
#' @param half_life The number of rows after which a row counts half in what the live model learns,
#'   above 0; `Inf`: none is forgotten; `NULL`: as the model was fitted with. Snapshots keep it.
#' @param x A live model, or a query that learns.
#' @param object A live model.
#' @param newdata Rows to learn or to score: a data frame or a stream.
#' @param flush `TRUE`: rows that do not fill a learning block are learnt at once as a shorter
#'   one; `FALSE`: they wait for more.
#' @param ... Passed on to the model's own `predict()`, or unused.
#' @returns `live_model()`: a `riffle_live`. `update()`: the live model, invisibly. `predict()`:
#'   as for the model that it is now. `current_model()`: a model.
#' @details
#' The version grows by one with every learning block (`control$block` rows of the model). One
#' writer at a time: while a query learns, `update()` is an error that names it. A row with an
#' unseen level counts as the first level, with a warning. An interrupted `update()` keeps what
#' it had learnt.
#'
#' A live model belongs to its R session: it cannot be saved. Save `current_model(x)`.
#' @section Errors:
#' `riffle_error_argument` for a wrong argument; `riffle_error_state` when somebody else learns
#' with it, or when it comes from another session.
#' @source The renewable equation of [update.riffle_glm()].
#' @export
#' @examples
#' d <- sim_adclicks(5000, seed = 1)
#' m <- stream_glm(click ~ device + position, d[1:3000, ], family = binomial)
#' live <- live_model(m)
#' live
#' update(live, d[3001:5000, ])
#' live
#' predict(live, d[1:3, ], type = "response")
#' current_model(live)$version
live_model <- function(model, name = NULL, half_life = NULL) {
  if (!inherits(model, "riffle_model")) {
    abort_argument("`model` must be a model, not {describe(model)}.")
  }
  refuse_custom(model, "be a live one")
  if (is.null(name)) {
    given <- substitute(model)
    name <- if (is.symbol(given)) as.character(given) else "model"
  }
  check_string(name)
  if (!is.null(half_life)) {
    check_half_life(half_life)
    refuse_own_half_life(model)
    model$half_life <- half_life
  }
  as_live(model, name)
}

refuse_own_half_life <- function(model) {
  if (inherits(model, c("riffle_naive_bayes", "riffle_ftrl"))) {
    fit <- sub("riffle_", "stream_", class(model)[[1L]])
    abort_argument(
      "`half_life` must be NULL for a model of {.fn {fit}}, which forgets as it was fitted. ",
      "Fit it with another `half_life`."
    )
  }
}

# A fresh live model around a value.
as_live <- function(model, name = "model") {
  handle <- .Call(
    c_live_new, model$learner, model$state, model$recipe, name, model$control$block,
    row_keep(model)
  )
  structure(list(handle = handle, model = model, name = name), class = "riffle_live")
}

live_handle <- function(live) live$handle

# Rows of a learning block from now on; an error while rows wait or somebody learns.
set_block <- function(live, block) {
  .Call(c_live_set_block, live$handle, block)
}

#' @rdname live_model
#' @export
current_model <- function(x) {
  if (inherits(x, "riffle_query")) x <- x$stream$learn$model
  if (!inherits(x, "riffle_live")) {
    abort_argument("`x` must be a live model or a query that learns, not {describe(x)}.")
  }
  status <- .Call(c_live_status, x$handle)
  state <- .Call(c_live_state, x$handle)
  model <- x$model
  model$counts$rows <- model$counts$rows + status$learnt
  model$counts$used <- model$counts$used + status$learnt
  set_state(model, state)
}

#' @rdname live_model
#' @export
print.riffle_live <- function(x, ...) {
  status <- .Call(c_live_status, x$handle)
  cat(sprintf(
    "<live model %s: %s%s> updates in place, version %s\n", x$name, deparse1(x$model$formula),
    coefficient_count(x$model), big(status$version)
  ))
  if (status$touched) {
    counts <- c(big(status$learnt), big(status$pending))
    cat(sprintf("  %s rows learnt, %s waiting for a full block\n", counts[[1L]], counts[[2L]]))
  }
  invisible(x)
}

coefficient_count <- function(model) {
  n <- length(model$coefficients)
  if (n) sprintf(", %s coefficients", big(n)) else ""
}

#' @rdname live_model
#' @export
update.riffle_live <- function(object, newdata, ..., flush = FALSE) {
  if (missing(newdata)) abort_argument("`newdata` must be given: rows to learn.")
  check_flag(flush)
  counts <- .Call(c_live_learn, object$handle, new_rows(object$model, newdata, "learn"), flush)
  warn_unseen(counts, "reference")
  invisible(object)
}

#' @rdname live_model
#' @export
predict.riffle_live <- function(object, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("predict")
  model <- object$model
  if (inherits(model, "riffle_ftrl")) {
    model$live <- object$handle # its table is scored where it is: a copy would cost more
  } else {
    model <- current_model(object)
  }
  stats::predict(model, newdata, ...)
}
