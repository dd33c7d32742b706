#' Judge models as they would have served
#'
#' `backtest()` goes through rows in their order as a live system would: every model scores a row
#' before it learns it, and learns it only when its outcome would have been known. Beside the
#' models stands a running rate without any features, since on drifting data it is harder to beat
#' than it seems.
#'
#' @param data The rows to go through, in the order of time: a data frame, or a stream, which is
#'   read as a whole.
#' @param models A model, or a list of models named by what to call them, fitted on rows before
#'   these. All must have the same response.
#' @param delay How many rows later an outcome is known, a whole number. Zero flatters: most
#'   outcomes take time.
#' @param refresh Rows between two updates of the models, a whole number; `Inf`: they learn nothing
#'   on the way. `NULL`: 1,000.
#' @param window Rows of a window of the table, a whole number; `NULL`: a twentieth of the rows.
#' @param by Names of columns to slice the metrics by; `NULL`: none.
#' @param cluster Name of the column of what rows belong together, such as users; `NULL`: none.
#' @param x A backtest.
#' @param metric What to plot, the name of a column of [model_metrics()].
#' @param ... Unused, or passed on to [graphics::matplot()].
#' @returns A `riffle_backtest`, a list of
#' * `metrics`: a data frame, one row a model (and `"running rate"`), see [model_metrics()];
#' * `windows`: the same by window, with `from` and `to`, row numbers;
#' * `differences`: log loss of each model less that of the running rate and of the first model,
#'   with 95 % intervals from paired replicates that respect `cluster`;
#' * `slices`: the metrics by slice, or `NULL`;
#' * `alarms`: where the predictions of a model drifted from the outcomes, see [drift_alarms()];
#' * `models`: the models after the last row that they learnt.
#'
#' `as.data.frame()` gives `windows`.
#' @details The running rate is the mean of the last 100 outcomes known and of one outcome more: the
#'   first model's mean score of the first rows, so that it is never 0 or 1. An unseen level
#'   counts as the first. Rows without outcome or without score are left out of the metrics of
#'   that model.
#' @section Errors:
#' `riffle_error_argument` for a wrong argument; those of `predict()` and `update()`.
#' @source Test-then-train with delayed labels: Grzenda, Gomes and Bifet (2020), Delayed labelling
#'   evaluation for data streams, Data Mining and Knowledge Discovery 34.
#' @export
#' @examples
#' d <- sim_adclicks(6000, seed = 1)
#' history <- d[1:3000, ]
#' plain <- stream_glm(click ~ device, history, family = binomial)
#' rich <- stream_glm(click ~ device + position, history, family = binomial)
#' b <- backtest(d[3001:6000, ], list(plain = plain, rich = rich), delay = 200, cluster = "user_id")
#' b
#' plot(b)
backtest <- function(data, models, delay = 0, refresh = NULL, window = NULL, by = NULL,
                     cluster = NULL) {
  check_data(data)
  models <- check_models(models, substitute(models))
  if (!is_number(delay) || delay < 0 || delay != trunc(delay)) {
    abort_argument("`delay` must be a whole number of at least 0, not {describe(delay)}.")
  }
  if (is.null(refresh)) refresh <- 1000
  if (!identical(refresh, Inf)) check_count(refresh)
  if (is_stream(data)) data <- as.data.frame(data)
  n <- nrow(data)
  if (!n) abort_kind("data", "`data` has no rows.")
  if (is.null(window)) window <- ceiling(n / 20)
  check_count(window)
  check_columns(by, data, "by")
  check_columns(cluster, data, "cluster")
  response <- models[[1L]]$recipe$response$name
  y <- outcome_numbers(data[[response]])
  done <- run_backtest(data, models, delay, min(refresh, n))
  start <- mean(done$scores[[1L]][seq_len(min(n, refresh))], na.rm = TRUE)
  scores <- c(done$scores, list(`running rate` = running_rate(y, delay, start)))
  groups <- if (!is.null(cluster)) data[[cluster]]
  judge_scores(
    scores, y, groups, if (!is.null(by)) data[by], list(window = window, n = n, delay = delay),
    done$models
  )
}

check_models <- function(models, given) {
  if (inherits(models, "riffle_model")) {
    models <- stats::setNames(list(models), if (is.symbol(given)) as.character(given) else "model")
  }
  named <- !is.null(names(models)) && all(nzchar(names(models)))
  if (!is.list(models) || !length(models) || !named) {
    abort_argument("`models` must be a model or a list of models with names.")
  }
  for (name in names(models)) {
    if (!inherits(models[[name]], "riffle_model")) {
      abort_argument("`models${name}` must be a model, not {describe(models[[name]])}.")
    }
  }
  responses <- vapply(models, \(m) as.character(m$recipe$response$name)[1L], "")
  if (anyNA(responses) || length(unique(responses)) > 1L) {
    abort_argument("`models` must have the same response; they have {.val {unique(responses)}}.")
  }
  models
}

check_columns <- function(names, data, arg) {
  if (is.null(names)) {
    return()
  }
  if (arg == "cluster") check_string(names, arg) else check_strings(names, arg)
  unknown <- setdiff(names, names(data))
  if (length(unknown)) {
    abort_argument(
      "`{arg}` must name columns of `data`; {.val {unknown}} {?is/are} not among them."
    )
  }
}

# Scores of every model, each row scored with what was known when it came.
run_backtest <- function(data, models, delay, refresh) {
  n <- nrow(data)
  scores <- lapply(models, \(m) rep(NA_real_, n))
  learnt <- 0
  for (from in seq(1, n, by = refresh)) {
    known <- from - 1 - delay
    if (known > learnt) {
      rows <- data[seq(learnt + 1, known), , drop = FALSE]
      models <- lapply(models, learn_known, rows)
      learnt <- known
    }
    here <- seq(from, min(n, from + refresh - 1))
    for (name in names(models)) {
      scores[[name]][here] <- event_scores(models[[name]], data[here, , drop = FALSE])
    }
  }
  list(scores = scores, models = models)
}

learn_known <- function(model, rows) {
  learn_frames(model, new_rows(model, rows, "learn"), unseen = "reference")
}

# The probability of an event (or the mean), one a row, as backtests and rankings need it.
event_scores <- function(object, rows) UseMethod("event_scores")

event_scores.default <- function(object, rows) {
  scored <- score_frames(
    object, new_rows(object, rows, "score"), score_types(object)[["response"]],
    unseen_codes[["reference"]]
  )
  scored$scores
}

# The mean of the last 100 outcomes that were known when a row came, and one of `start`.
running_rate <- function(y, delay, start) {
  known <- cumsum(ifelse(is.na(y), 0, 1))
  sums <- cumsum(ifelse(is.na(y), 0, y))
  last <- seq_along(y) - 1 - delay
  first <- last - 100
  at <- \(x, i) ifelse(i < 1, 0, x[pmax(i, 1)])
  (at(sums, last) - at(sums, first) + start) / (at(known, last) - at(known, first) + 1)
}

judge_scores <- function(scores, y, groups, by, plan, models) {
  rows <- lapply(scores, \(p) metric_rows(y, p, NULL, groups))
  both <- lapply(scores, \(p) which(!is.na(y) & !is.na(p)))
  sums <- Map(metric_sums, rows, both)
  cut <- (seq_len(plan$n) - 1) %/% plan$window
  named <- \(name, table) cbind(model = name, table)
  windows <- lapply(names(scores), \(name) {
    parts <- split(both[[name]], cut[both[[name]]])
    table <- do.call(rbind, lapply(parts, \(i) metric_table(rows[[name]], i)))
    number <- as.integer(names(parts))
    from <- number * plan$window + 1
    to <- pmin(plan$n, from + plan$window - 1)
    cbind(model = name, window = number + 1L, from = from, to = to, table)
  })
  slices <- if (!is.null(by)) {
    lapply(names(scores), \(name) named(name, model_metrics(y, scores[[name]], NULL, by, groups)))
  }
  drift <- lapply(names(models), \(name) {
    found <- drift_alarms(y[both[[name]]], scores[[name]][both[[name]]])
    found$row <- both[[name]][found$row]
    if (nrow(found)) named(name, found)
  })
  stack <- \(tables) {
    if (is.null(tables)) return(NULL)
    out <- do.call(rbind, unname(tables))
    if (!is.null(out)) rownames(out) <- NULL
    out
  }
  overall <- Map(\(name, i) named(name, metric_table(rows[[name]], i)), names(scores), both)
  structure(
    list(
      metrics = stack(overall), windows = stack(windows), differences = difference_table(sums),
      slices = stack(slices), alarms = stack(drift), models = models, delay = plan$delay
    ),
    class = "riffle_backtest"
  )
}

# Log loss of each against the running rate (the last) and against the first model.
difference_table <- function(sums) {
  names <- names(sums)
  models <- utils::head(names, -1L)
  pairs <- rbind(
    data.frame(model = models, versus = utils::tail(names, 1L)),
    data.frame(model = models[-1L], versus = rep(models[[1L]], length(models) - 1L))
  )
  values <- Map(\(a, b) {
    difference <- sums[[a]]$log_loss - sums[[b]]$log_loss
    spread <- sums[[a]]$replicate_log_loss - sums[[b]]$replicate_log_loss
    c(difference, spread_around(difference, spread))
  }, pairs$model, pairs$versus)
  values <- do.call(rbind, unname(values))
  cbind(pairs, data.frame(log_loss = values[, 1L], low = values[, 2L], high = values[, 3L]))
}

#' Alarms for drifting predictions
#'
#' `drift_alarms()` tells where predictions and outcomes parted: Page's two-sided cumulative sum
#' test over blocks of rows, with a stated rate of false alarms.
#'
#' @param observed,predicted Outcomes (0 and 1, logical or counts) and their predicted means, in the
#'   order of time, without missing values.
#' @param per_million False alarms per million rows that are accepted on average while the
#'   predictions are right.
#' @param events Expected events of a block, a number. A block ends when the sum of its predictions
#'   reaches it.
#' @returns A data frame, one row an alarm: `row` (the last of the block that raised it),
#'   `direction` (`"more"` or `"fewer"` events than predicted), `observed` and `predicted` sums
#'   since the last alarm. After an alarm the test begins anew.
#' @details Block k with Y events where P were predicted gives z, the normal quantile of the mid-p
#'   value of Y for a Poisson mean of P. The sums S+ = max(0, S+ + z - 1/2) and S- likewise raise an
#'   alarm above h, where h solves Siegmund's formula for the mean number of blocks between false
#'   alarms. With 20 events a block the true rate is within a quarter of the stated one.
#' @section Errors: `riffle_error_argument` for a wrong argument.
#' @source Page (1954), Continuous inspection schemes, Biometrika 41; Siegmund (1985), Sequential
#'   Analysis, chapter 2.
#' @export
#' @examples
#' p <- rep(0.02, 50000)
#' y <- c(rbinom(25000, 1, 0.02), rbinom(25000, 1, 0.03))
#' drift_alarms(y, p)
drift_alarms <- function(observed, predicted, per_million = 1, events = 20) {
  y <- outcome_numbers(observed)
  if (!is.numeric(predicted) || length(predicted) != length(y)) {
    abort_argument("`predicted` must be {length(y)} number{?s}, one an outcome.")
  }
  if (anyNA(y) || anyNA(predicted) || any(predicted < 0)) {
    abort_argument("`observed` and `predicted` must have no missing and no negative values.")
  }
  check_positive(per_million)
  check_positive(events)
  none <- data.frame(
    row = integer(), direction = character(), observed = numeric(), predicted = numeric()
  )
  sums <- c(0, cumsum(predicted))
  ends <- which(diff(floor(sums / events)) > 0)
  if (!length(ends)) {
    return(none)
  }
  observed_by <- diff(c(0, cumsum(y)[ends]))
  predicted_by <- diff(c(0, sums[ends + 1L]))
  z <- poisson_score(observed_by, predicted_by)
  mean_rows <- utils::tail(ends, 1L) / length(ends)
  found <- page_test(z, page_threshold(1e6 / per_million / mean_rows))
  if (!nrow(found)) {
    return(none)
  }
  first <- c(1L, utils::head(found$at, -1L) + 1L)
  total <- \(x) mapply(\(a, b) sum(x[a:b]), first, found$at)
  data.frame(
    row = ends[found$at], direction = found$direction, observed = total(observed_by),
    predicted = total(predicted_by)
  )
}

# The normal quantile of a count's mid-p value, from the side where it is accurate.
poisson_score <- function(y, mean) {
  half <- stats::dpois(round(y), mean) / 2
  below <- stats::ppois(round(y) - 1, mean) + half
  above <- stats::ppois(round(y), mean, lower.tail = FALSE) + half
  least <- .Machine$double.xmin
  ifelse(
    below < above, stats::qnorm(pmax(below, least)),
    stats::qnorm(pmax(above, least), lower.tail = FALSE)
  )
}

page_slack <- 0.5

page_test <- function(z, h) {
  up <- down <- 0
  at <- integer()
  direction <- character()
  for (k in seq_along(z)) {
    up <- max(0, up + z[[k]] - page_slack)
    down <- max(0, down - z[[k]] - page_slack)
    if (max(up, down) > h) {
      at <- c(at, k)
      direction <- c(direction, if (up > h) "more" else "fewer")
      up <- down <- 0
    }
  }
  data.frame(at = at, direction = direction)
}

# The threshold with `blocks` blocks between false alarms of either side, by Siegmund.
page_threshold <- function(blocks) {
  length_at <- \(h) {
    b <- 2 * page_slack * (h + 1.166)
    (exp(b) - b - 1) / (2 * page_slack^2) / 2
  }
  if (length_at(0) >= blocks) {
    return(0)
  }
  stats::uniroot(\(h) log(length_at(h)) - log(blocks), c(0, 200), tol = 1e-10)$root
}

# ---- what a backtest shows -------------------------------------------------------------

#' @export
print.riffle_backtest <- function(x, digits = 4L, ...) {
  m <- x$metrics
  rows <- max(x$windows$to)
  cat(sprintf(
    "<backtest: %s rows in %d windows, outcomes known %s rows later>\n", big(rows),
    max(x$windows$window), big(x$delay)
  ))
  shown <- m[c("model", "log_loss", "normalised_entropy", "auc", "auc_within", "calibration")]
  if (all(is.na(m$log_loss))) shown <- m[c("model", "rmse", "observed", "predicted")]
  if (all(is.na(shown$auc_within))) shown$auc_within <- NULL
  print(shown, digits = digits, row.names = FALSE)
  d <- x$differences
  if (nrow(d) && !all(is.na(d$log_loss))) {
    cat("Log loss, difference with its 95 % interval:\n")
    numbers <- lapply(d[c("log_loss", "low", "high")], format, digits = 3L)
    cat(sprintf(
      "  %s - %s: %s (%s to %s)\n", d$model, d$versus, numbers[[1L]], numbers[[2L]], numbers[[3L]]
    ), sep = "")
  }
  first <- utils::head(x$alarms, 3L)
  if (NROW(first)) {
    cat(sprintf(
      "Drift: %s at row %s (%s events than predicted)\n", first$model, big(first$row),
      first$direction
    ), sep = "")
    more <- nrow(x$alarms) - nrow(first)
    if (more) cat("  and", big(more), "more: see $alarms\n")
  }
  invisible(x)
}

#' @rdname backtest
#' @export
plot.riffle_backtest <- function(x, metric = "log_loss", ...) {
  metric <- check_choice(metric, setdiff(names(x$windows), c("model", "window", "from", "to")))
  models <- unique(x$windows$model)
  wide <- vapply(models, \(name) {
    here <- x$windows[x$windows$model == name, ]
    here[[metric]][match(seq_len(max(x$windows$window)), here$window)]
  }, numeric(max(x$windows$window)))
  wide <- matrix(wide, ncol = length(models))
  colours <- grDevices::hcl.colors(max(3L, length(models)), "Dark 3")[seq_along(models)]
  graphics::matplot(
    wide, type = "b", pch = 19, lty = 1, col = colours, xlab = "window", ylab = metric, ...
  )
  graphics::legend("topright", models, col = colours, lty = 1, pch = 19, bty = "n")
  invisible(x)
}

#' @rdname backtest
#' @param row.names,optional As in [base::as.data.frame()].
#' @export
as.data.frame.riffle_backtest <- function(x, row.names = NULL, optional = FALSE, ...) x$windows
