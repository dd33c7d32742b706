#' Score one record at a time
#'
#' `scorer()` makes a model ready to score single records: a function that takes a record and
#' gives its score in a few microseconds, the same number that `predict()` gives.
#'
#' @param model A model, or a live model: then every record is scored with what has been learnt
#'   until then.
#' @param input `"list"`: a record is a list of named values, one each (a data frame of one row is
#'   such a list); `"json"`: it is a string of JSON, an object, or its bytes as a raw vector.
#' @param type What to score: a type of the model's `predict()` that gives numbers, such as
#'   `"response"`; where a model has no response, its first type by default.
#' @returns A function of one argument, the record. It gives a number; several, named, where the
#'   type has several columns (such as `"prob"`). `NA` where `predict()` gives `NA`: for a missing
#'   value, or a level that the model has not seen.
#' @details
#' Values that the model does not use may be in the record. A value that it uses must be in a list;
#' one that is not in a JSON record is missing, as `null` is. In JSON a number is a number and a
#' logical `true` or `false`; names with dots are paths into nested objects.
#'
#' The function belongs to the R session: it cannot be saved. Save the model.
#' @section Errors:
#' `riffle_error_argument` for a wrong argument, a formula with terms that R computes (make them
#' columns), or a record that is not one; `riffle_error_schema` for a record that lacks a value or
#' has one of the wrong type; `riffle_error_data` for text that is not JSON.
#' @source The same code as `predict()`: there is no other formula.
#' @export
#' @examples
#' d <- sim_adclicks(2000, seed = 1)
#' m <- stream_glm(click ~ device + position + activity, d, family = binomial)
#' score <- scorer(m)
#' score(list(device = "mobile", position = "top", activity = 0.4))
#' score_json <- scorer(m, "json")
#' score_json('{"device": "mobile", "position": "top", "activity": 0.4}')
scorer <- function(model, input = c("list", "json"), type = "response") {
  check_a_model(model)
  input <- check_choice(input, c("list", "json"))
  value <- if (inherits(model, "riffle_live")) model$model else model
  types <- score_types(value)
  type <- if (missing(type) && !"response" %in% names(types)) {
    names(types)[[1L]]
  } else {
    check_choice(type, names(types))
  }
  handle <- new_scorer(model, input == "json", types[[type]])
  columns <- score_columns(value, type)
  if (is.null(columns)) {
    return(function(record) .Call(c_scorer_score, handle, record))
  }
  function(record) structure(.Call(c_scorer_score, handle, record), names = columns)
}

new_scorer <- function(model, json, what) {
  live <- inherits(model, "riffle_live")
  value <- if (live) model$model else model
  recipe <- value$recipe
  needed <- recipe_frame_columns(recipe, "score")
  computed <- computed_for(recipe, needed)
  if (length(computed)) {
    abort_argument(
      "`model` must use columns only: `{computed[[1L]]$label}` is computed by R. Make it a column."
    )
  }
  .Call(
    c_scorer_new, value$learner, if (live) model$handle else value$state, recipe,
    list(name = needed, kind = column_uses(recipe, needed)), list(json = json, what = what)
  )
}

# How the recipe uses each of the frames' columns: "number", "logical" or "text".
column_uses <- function(recipe, columns) {
  use <- stats::setNames(rep("text", length(columns)), columns)
  for (v in recipe$variables) {
    if (isTRUE(v$logical)) use[[v$name]] <- "logical"
  }
  numbers <- c(
    unlist(lapply(Filter(\(v) v$kind == "number", recipe$variables), \(v) v$name)), recipe$offset,
    unlist(lapply(Filter(\(extra) extra$kind == "number", recipe$extras), \(extra) extra$name))
  )
  use[intersect(columns, numbers)] <- "number"
  unname(use)
}

# Names of the several numbers of a type; NULL for one number.
score_columns <- function(object, type) UseMethod("score_columns")

#' @export
score_columns.default <- function(object, type) NULL

# ---- predict() of one row ------------------------------------------------------------

# The scores of a data frame of one row by a scorer that is kept ready; NULL for other rows, and
# where there is something to be told (a column that is not there, an unseen level).
one_row <- function(object, newdata, what) {
  if (!is.data.frame(newdata) || .row_names_info(newdata, 2L) != 1L) {
    return(NULL)
  }
  handle <- ready_scorer(object, what)
  if (!is.null(handle)) .Call(c_scorer_row, handle, newdata)
}

# Scorers of the last few models that predicted one row, the newest first. Large states are not
# kept alive for it. Handles do not survive a fork.
ready <- new.env(parent = emptyenv())
ready$scorers <- list()

ready_scorer <- function(object, what) {
  pid <- Sys.getpid()
  for (one in ready$scorers) {
    same <- identical(one$state, object$state) && one$what == what && one$pid == pid &&
      identical(one$recipe, object$recipe)
    if (same) {
      return(one$handle)
    }
  }
  recipe <- object$recipe
  computed <- computed_for(recipe, recipe_frame_columns(recipe, "score"))
  if (length(object$state) > 1e6 || length(computed)) {
    return(NULL)
  }
  handle <- new_scorer(object, FALSE, what)
  one <- list(state = object$state, recipe = recipe, what = what, pid = pid, handle = handle)
  ready$scorers <- c(list(one), utils::head(ready$scorers, 3L))
  handle
}
