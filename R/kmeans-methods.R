#' What a k-means model tells
#'
#' `predict()` gives the cluster of each row of `newdata`, always: a row with a missing value gets
#' `NA`. `update()` returns a new model that has learnt new rows too, without the old ones.
#'
#' @param object,x A model from [stream_kmeans()].
#' @param newdata A data frame or a stream with the columns of the formula.
#' @param type `"cluster"`: its number; `"distance"`: a matrix, the Euclidean distances to all
#'   centres; `"nearest"`: the distance to the nearest centre. Distances are in the units of the
#'   data, or of scaled columns when the model scales.
#' @param na.action What becomes of missing predictions: `na.pass` keeps them.
#' @param columns For `plot()`: two columns to show, by name.
#' @param digits Significant digits that are shown.
#' @param ... Passed on to [graphics::plot()], or unused.
#' @returns `predict()`: an integer vector, a numeric matrix with a column each cluster or a
#'   numeric vector, named by the rows of `newdata`. `update()`: a model. `summary()`: a
#'   `summary.riffle_kmeans`. `tidy()`: a data frame with a row each cluster: its centre, `size`,
#'   `weight`, `withinss`, `cluster`. `glance()`: one row with `totss`, `tot.withinss`,
#'   `betweenss`, `iter`, `nobs`. `augment()`: `newdata` with `.cluster` and `.distance`.
#'   `fitted()`: a matrix with the centre of each row of `newdata`.
#' @details
#' Rows are learnt in blocks of `control$block`, whatever batches they come in. A block's rows go to
#' their nearest centres, and then each centre \eqn{m} of weight \eqn{N}, with \eqn{w} more from
#' rows whose weighted sum is \eqn{S}, moves: \eqn{m \leftarrow (d N m + S) / (d N + w)}{m <- (d N
#' m + S) / (d N + w)}, \eqn{N \leftarrow d N + w}{N <- d N + w}, where \eqn{d} halves in
#' `half_life` rows. Clusters keep their numbers; the scale is that of the fit. Sums of squares are
#' those of rows to the centres that they came to, forgotten as weights are.
#'
#' A cluster whose weight falls below 1e-8 of the heaviest one's is dead: it takes half of that
#' one, and both start a mean radius away from where it was (message of class
#' `riffle_message_reseeded`; `glance()` counts them as `reseeded`).
#'
#' A model knows the positions of topics that it has learnt: `update(m, stream)` skips those.
#' @section Errors:
#' `riffle_error_schema` when `newdata` lacks a column; `riffle_error_argument` when `newdata` is
#' missing; `riffle_error_data` for rows that cannot be learnt.
#' @source The rule of updates is that of Spark's StreamingKMeans, after Bahmani et al.; see also
#'   MacQueen (1967), Some methods for classification and analysis of multivariate observations.
#' @name predict.riffle_kmeans
#' @aliases update.riffle_kmeans
#' @examples
#' m <- stream_kmeans(~ Petal.Length + Petal.Width, iris[-(1:20), ], k = 3, seed = 1)
#' predict(m, iris[1:3, ])
#' predict(m, iris[1:3, ], type = "distance")
#' update(m, iris[1:20, ])
#' glance(m)
NULL

#' @rdname predict.riffle_kmeans
#' @export
predict.riffle_kmeans <- function(object, newdata, type = c("cluster", "distance", "nearest"),
                                  na.action = na.pass, ...) {
  if (missing(newdata)) abort_keeps_no_rows("predict")
  type <- check_choice(type, c("cluster", "distance", "nearest"))
  code <- kmeans_codes[[type]]
  out <- one_row(object, newdata, code)
  if (is.null(out)) {
    frames <- new_rows(object, newdata, "score")
    out <- score_frames(object, frames, code, unseen_codes[["na"]])$scores
  }
  if (type == "cluster") out <- as.integer(out)
  if (type == "distance") {
    out <- matrix(out, ncol = nrow(object$centers), dimnames = list(NULL, rownames(object$centers)))
  }
  na.action(named_rows(out, if (is.data.frame(newdata)) row.names(newdata)))
}

#' @rdname predict.riffle_kmeans
#' @export
update.riffle_kmeans <- function(object, newdata, ...) {
  if (missing(newdata)) abort_argument("`newdata` must be given: rows to learn.")
  if (inherits(newdata, "formula")) {
    abort_argument("`newdata` must be rows, not a formula: fit another one by stream_kmeans().")
  }
  check_no_dots(...)
  after <- learn_rows(object, newdata)
  say_reseeded(after$fit$reseeded - object$fit$reseeded, "died and was", "died and were")
  after
}

#' @rdname predict.riffle_kmeans
#' @export
fitted.riffle_kmeans <- function(object, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("fitted")
  cluster <- predict.riffle_kmeans(object, newdata)
  out <- object$centers[cluster, , drop = FALSE]
  rownames(out) <- names(cluster)
  out
}

#' @export
formula.riffle_kmeans <- function(x, ...) x$formula

#' @export
nobs.riffle_kmeans <- function(object, ...) object$fit$n

# What was learnt, in one line.
kmeans_line <- function(x) {
  left <- c(
    if (x$counts$missing > 0) sprintf("%s left out (a missing value)", big(x$counts$missing)),
    if (x$fit$n_zero > 0) sprintf("%s of weight 0", big(x$fit$n_zero))
  )
  paste0(
    "Rows: ", big(x$counts$rows), if (length(left)) paste0(", of them ", toString(left)),
    if (x$version > 0) sprintf("; version %s (learning blocks since the fit)", big(x$version)),
    if (x$fit$reseeded > 0) sprintf("; %s clusters seeded anew", big(x$fit$reseeded))
  )
}

#' @export
print.riffle_kmeans <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("\nCall:  ", paste(deparse(x$call), collapse = "\n"), "\n\n", sep = "")
  cat(sprintf("%s clusters of sizes %s\n\n", big(length(x$size)), toString(big(x$size), 60L)))
  cat("Centres:\n")
  print.default(x$centers, digits = digits, ...)
  share <- if (x$totss > 0) sprintf(" (%.1f %%)", 100 * x$betweenss / x$totss) else ""
  cat("\nBetween / total sum of squares: ", format(signif(x$betweenss, digits)), " / ",
    format(signif(x$totss, digits)), share, "\n", kmeans_line(x), "\n",
    sep = ""
  )
  invisible(x)
}

#' @rdname predict.riffle_kmeans
#' @export
summary.riffle_kmeans <- function(object, ...) {
  structure(
    list(
      call = object$call, clusters = tidy.riffle_kmeans(object),
      glance = glance.riffle_kmeans(object),
      divisor = if (isTRUE(object$scale)) object$divisor, rows = kmeans_line(object)
    ),
    class = "summary.riffle_kmeans"
  )
}

#' @rdname predict.riffle_kmeans
#' @export
print.summary.riffle_kmeans <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("\nCall:  ", paste(deparse(x$call), collapse = "\n"), "\n\n", sep = "")
  print(x$clusters, digits = digits, row.names = FALSE)
  cat("\n")
  print(x$glance, digits = digits, row.names = FALSE)
  if (!is.null(x$divisor)) {
    cat("\nStandard deviations that columns are divided by:\n")
    print(x$divisor, digits = digits)
  }
  cat("\n", x$rows, "\n", sep = "")
  invisible(x)
}

#' @rdname predict.riffle_kmeans
#' @export
tidy.riffle_kmeans <- function(x, ...) {
  out <- as.data.frame(x$centers, row.names = FALSE)
  clusters <- rownames(x$centers)
  cbind(out, data.frame(
    size = x$size, weight = x$weight, withinss = x$withinss,
    cluster = factor(clusters, levels = clusters)
  ))
}

#' @rdname predict.riffle_kmeans
#' @export
glance.riffle_kmeans <- function(x, ...) {
  data.frame(
    totss = x$totss, tot.withinss = x$tot.withinss, betweenss = x$betweenss, iter = x$iter,
    nobs = x$fit$n, reseeded = x$fit$reseeded
  )
}

#' @rdname predict.riffle_kmeans
#' @export
augment.riffle_kmeans <- function(x, newdata, ...) {
  if (missing(newdata)) abort_keeps_no_rows("augment")
  check_data_frame(newdata)
  clusters <- rownames(x$centers)
  newdata$.cluster <- factor(predict.riffle_kmeans(x, newdata), levels = clusters)
  newdata$.distance <- unname(predict.riffle_kmeans(x, newdata, type = "nearest"))
  newdata
}

#' @rdname predict.riffle_kmeans
#' @export
plot.riffle_kmeans <- function(x, newdata = NULL, columns = NULL, ...) {
  names <- colnames(x$centers)
  if (is.null(columns)) columns <- names[seq_len(min(2L, length(names)))]
  if (!is.character(columns) || length(columns) > 2L || !all(columns %in% names)) {
    abort_argument("`columns` must be two of {.val {names}}, not {describe(columns)}.")
  }
  at <- x$centers[, columns, drop = FALSE]
  if (ncol(at) == 1L) at <- cbind(at, cluster = seq_len(nrow(at)))
  rows <- if (!is.null(newdata)) shown_rows(x, newdata, columns)
  area <- apply(rbind(at, rows$at), 2L, range, finite = TRUE)
  size <- 1 + 3 * sqrt(x$weight / max(x$weight))
  graphics::plot(at, type = "n", xlim = area[, 1L], ylim = area[, 2L], ...)
  if (!is.null(rows)) graphics::points(rows$at, col = rows$cluster, pch = 20, cex = 0.4)
  graphics::points(at, cex = size, pch = 21, bg = "white", col = seq_len(nrow(at)), lwd = 2)
  graphics::text(at, rownames(x$centers), cex = 0.7)
  invisible(x)
}

shown_rows <- function(x, newdata, columns) {
  check_data_frame(newdata)
  cluster <- predict.riffle_kmeans(x, newdata)
  at <- lapply(frame_columns(newdata, columns, arg = "newdata"), as.double)
  at <- matrix(unlist(at), ncol = length(columns))
  if (ncol(at) == 1L) at <- cbind(at, cluster)
  list(at = at, cluster = cluster)
}
