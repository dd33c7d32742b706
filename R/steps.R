#' Score and learn on the way
#'
#' `score_with()` adds the prediction of a model to every row of a stream; `learn_with()` lets a
#' live model learn from every row. Nothing runs until [start_query()]. In one query a batch is
#' scored first, with one version of the model, and learnt after that, so a score never knows its
#' own row's outcome.
#'
#' @param x A stream, from [read_stream()].
#' @param model For `score_with()`: a model (a value: it scores with that value for ever) or a live
#'   model (it scores with what has been learnt so far). For `learn_with()`: a live model, see
#'   [live_model()]; a value is an error.
#' @param into Name of the score column, a string.
#' @param type What to score, a string: a type of the model's `predict()` that gives one number a
#'   row, such as `"response"` (a probability, a mean; the default of [stream_glm()]) or `"link"`.
#' @param keep Names of fields of the stream that go out beside the score.
#' @param unseen What an unseen level of a factor does: `"reference"` (the default: it counts as
#'   the first level, and is counted in [query_status()]) or `"na"` (the score is missing). It
#'   never stops a stream.
#' @param block Rows of a learning block, a whole number; `NULL` for the model's own (1,000). A
#'   learning block is a number of rows, whatever the batches: `query_status()$pending` tells how
#'   many rows wait for a full block.
#' @returns `x` with the step added, a `riffle_stream`.
#'
#' @details What goes out to a sink is `key` (the record's key), the score, `model` (its name),
#'   `version` (learning blocks taken when the row was scored), `time` (when it was scored, UTC),
#'   then the `keep` fields. A row with a missing or infinite predictor gets a missing score and
#'   stays; rows with a missing outcome are not learnt; both are counted.
#'
#' @section Errors:
#' `riffle_error_argument` when `x` is not a stream, `model` is not a model, a field of `keep` is
#' not in the stream, or the model is a value where a live model is needed; `riffle_error_schema`
#' at [start_query()] when the stream lacks a field that the model needs.
#' @source The order "score, then learn" is test-then-train (prequential) evaluation: Gama,
#' Sebastiao and Rodrigues (2013), On evaluating stream learning algorithms, Machine Learning 90.
#' @name steps
#' @examples
#' k <- local_kafka(c(clicks = 2))
#' d <- sim_adclicks(500, seed = 1)
#' kafka_produce(k, "clicks", d[c("device", "hour", "click")])
#' m <- stream_glm(click ~ device, d, binomial())
#' live <- live_model(m)
#' read_stream(k, "clicks", record_schema(device = "factor", click = "integer")) |>
#'   score_with(live) |>
#'   learn_with(live)
NULL

#' @rdname steps
#' @export
score_with <- function(x, model, into = "score", type = NULL, keep = NULL,
                       unseen = "reference") {
  check_stream(x)
  check_a_model(model)
  check_string(into)
  value <- if (inherits(model, "riffle_live")) model$model else model
  types <- names(score_types(value))
  type <- if (is.null(type)) types[[1L]] else check_choice(type, types)
  unseen <- check_choice(unseen, c("reference", "na"))
  if (!is.null(keep)) check_fields(keep, x)
  taken <- c("key", "model", "version", "time")
  if (into %in% taken || into %in% keep) {
    abort_argument("`into` must be a name that no other column of the scores has, not \"{into}\".")
  }
  twice <- intersect(keep, taken)
  if (length(twice)) {
    abort_argument("`keep` must not name \"{twice[[1L]]}\": the scores have a column of that name.")
  }
  x$score <- list(model = model, into = into, type = type, keep = keep, unseen = unseen)
  x
}

#' @rdname steps
#' @export
learn_with <- function(x, model, block = NULL) {
  check_stream(x)
  if (inherits(model, "riffle_model")) {
    abort_argument(
      "`model` must be a live model, not a value: a query updates it in place. ",
      "Use `live <- live_model(model)` and `learn_with(live)`."
    )
  }
  if (!inherits(model, "riffle_live")) {
    abort_argument("`model` must be a live model, not {describe(model)}.")
  }
  if (!is.null(block)) check_count(block)
  x$learn <- list(model = model, block = block)
  x
}

check_a_model <- function(model) {
  if (!inherits(model, c("riffle_model", "riffle_live"))) {
    abort_argument("`model` must be a model or a live model, not {describe(model)}.")
  }
}
