#' How good predictions are
#'
#' `model_metrics()` compares predictions with what happened: how well they rank (area under the
#' ROC curve, also within each user), how well they are calibrated (predicted by observed), and
#' how much they say (log loss, normalised entropy), in total or by slice.
#'
#' @param observed What happened: logical, 0 and 1, or a factor whose first level is failure, for
#'   probabilities; any number otherwise (then only `rmse`, `observed` and `predicted` are told).
#' @param predicted What was predicted: probabilities, or numbers; one a row.
#' @param weights Weights of the rows, numbers of at least 0; `NULL`: ones.
#' @param by What to slice by: a vector, or a list or data frame of vectors; `NULL`: one slice. The
#'   50 largest slices are told; the rest are `"other"`.
#' @param cluster What rows belong together, such as users: intervals then respect that they do, and
#'   `auc_within` is the area within each. `NULL`: every row stands alone.
#' @returns A data frame, one row a slice, with the columns of `by` and
#' * `n`, `events`, `observed`, `predicted`: rows, sum of outcomes, weighted means;
#' * `log_loss` (nats a row), `log_loss_low`, `log_loss_high`; `normalised_entropy`: log loss by
#'   that of the slice's own mean, below 1 when the predictions say more than it;
#' * `auc` (exact, ties half), `auc_low`, `auc_high`; `auc_binned`, `auc_bound`: from bins of 1/64
#'   of log odds, as queries on streams have it, and how far off that can be; `auc_within`: mean
#'   over clusters with both outcomes, weighted by rows; `pr_auc`: average precision;
#' * `brier`, `rmse`, `deviance` (mean, twice the log loss);
#' * `calibration`: sum of predictions by sum of outcomes, with `calibration_low` and
#'   `calibration_high`, the 95 % interval from the Poisson spread of the outcomes.
#'
#' Rows with a missing value are left out; the attribute `missing` counts them.
#' @details
#' The intervals of log loss and area are 95 % ones from 20 replicates of the Poisson bootstrap,
#' keyed by cluster: two models on the same rows have the same replicates, so their difference
#' can be judged (see [backtest()]).
#' @section Errors:
#' `riffle_error_argument` for lengths that do not fit, probabilities outside of 0 to 1 with
#' outcomes of 0 and 1, negative weights.
#' @source Normalised entropy: He et al. (2014), Practical lessons from predicting clicks on ads at
#'   Facebook. Average precision: Davis and Goadrich (2006). Poisson bootstrap: Chamandy et
#'   al. (2012), Estimating uncertainty for massive data streams. Interval of a Poisson mean:
#'   Wilson and Hilferty (1931).
#' @export
#' @examples
#' d <- sim_adclicks(4000, seed = 1)
#' m <- stream_glm(click ~ device + position, d[1:2000, ], family = binomial)
#' new <- d[2001:4000, ]
#' p <- predict(m, new, type = "response")
#' model_metrics(new$click, p)
#' model_metrics(new$click, p, by = new["device"], cluster = new$user_id)
model_metrics <- function(observed, predicted, weights = NULL, by = NULL, cluster = NULL) {
  rows <- metric_rows(observed, predicted, weights, cluster)
  slices <- slice_rows(by, length(rows$y))
  whole <- !is.na(rows$y) & !is.na(rows$p)
  tables <- lapply(slices$rows, \(i) metric_table(rows, i[whole[i]]))
  out <- do.call(rbind, tables)
  if (!is.null(slices$labels)) out <- cbind(slices$labels, out)
  rownames(out) <- NULL
  attr(out, "missing") <- sum(!whole)
  out
}

n_replicates <- 20L

metric_rows <- function(observed, predicted, weights, cluster) {
  y <- outcome_numbers(observed)
  n <- length(y)
  if (!is.numeric(predicted) || !is.null(dim(predicted)) || length(predicted) != n) {
    abort_argument("`predicted` must be {n} number{?s}, one an outcome, not {describe(predicted)}.")
  }
  p <- as.double(predicted)
  if (is_chance(y) && any(p < 0 | p > 1, na.rm = TRUE)) {
    abort_argument("`predicted` must be probabilities from 0 to 1 where outcomes are 0 and 1.")
  }
  if (!is.null(weights)) {
    if (!is.numeric(weights) || length(weights) != n || anyNA(weights) || any(weights < 0)) {
      abort_argument("`weights` must be {n} number{?s} of at least 0, not {describe(weights)}.")
    }
    weights <- as.double(weights)
  }
  if (!is.null(cluster) && (length(cluster) != n || !is.null(dim(cluster)))) {
    abort_argument("`cluster` must have {n} value{?s}, one an outcome, not {describe(cluster)}.")
  }
  list(y = y, p = p, w = weights, cluster = cluster)
}

outcome_numbers <- function(observed) {
  if (is.factor(observed)) {
    return(as.double(as.integer(observed) > 1L))
  }
  if (!(is.numeric(observed) || is.logical(observed)) || !is.null(dim(observed))) {
    abort_argument("`observed` must be logical, numbers or a factor, not {describe(observed)}.")
  }
  as.double(observed)
}

is_chance <- function(y) all(is.na(y) | y == 0 | y == 1)

# Row numbers of each slice, and a data frame that names them.
slice_rows <- function(by, n) {
  if (is.null(by)) {
    return(list(rows = list(seq_len(n))))
  }
  if (!is.list(by)) by <- list(by = by)
  if (!all(lengths(by) == n) || !length(by)) {
    abort_argument("`by` must have {n} value{?s}, one an outcome.")
  }
  if (is.null(names(by))) names(by) <- paste0("by", seq_along(by))
  texts <- lapply(by, as.character)
  key <- do.call(paste, c(unname(texts), sep = "\r"))
  size <- sort(table(key), decreasing = TRUE)
  kept <- utils::head(names(size), 50L)
  key[!key %in% kept] <- "other"
  order <- c(sort(kept, method = "radix"), if (length(size) > 50L) "other")
  rows <- split(seq_len(n), factor(key, levels = order))
  first <- vapply(rows, `[[`, 0L, 1L)
  labels <- as.data.frame(lapply(by, \(x) x[first]), stringsAsFactors = FALSE)
  if (length(size) > 50L) {
    labels[] <- lapply(labels, as.character)
    labels[nrow(labels), ] <- "other"
  }
  list(rows = unname(rows), labels = labels)
}

metric_sums <- function(rows, i) {
  cluster <- if (!is.null(rows$cluster)) factor(rows$cluster[i], exclude = NULL)
  if (!is.null(cluster)) levels(cluster)[is.na(levels(cluster))] <- "NA"
  w <- if (!is.null(rows$w)) rows$w[i]
  .Call(c_metrics, rows$y[i], rows$p[i], w, cluster, n_replicates)
}

metric_table <- function(rows, i) {
  m <- metric_sums(rows, i)
  log_loss <- spread_around(m$log_loss, m$replicate_log_loss)
  auc <- spread_around(m$auc, m$replicate_auc)
  data.frame(
    n = m$n, events = m$events, observed = m$observed, predicted = m$predicted,
    log_loss = m$log_loss, log_loss_low = log_loss[[1L]], log_loss_high = log_loss[[2L]],
    normalised_entropy = m$normalised_entropy,
    auc = m$auc, auc_low = auc[[1L]], auc_high = auc[[2L]],
    auc_binned = m$auc_binned, auc_bound = m$auc_bound, auc_within = m$auc_within,
    pr_auc = m$pr_auc, brier = m$brier, rmse = m$rmse, deviance = m$deviance,
    calibration = m$calibration, calibration_low = m$calibration_low,
    calibration_high = m$calibration_high
  )
}

# The 95 % interval around x from replicates: t quantiles, since they are few.
spread_around <- function(x, replicates) {
  half <- stats::qt(0.975, length(replicates) - 1) * stats::sd(replicates)
  c(x - half, x + half)
}
