#' k-means on data that need not fit in memory
#'
#' `stream_kmeans()` splits rows into `k` clusters by Lloyd's algorithm: each row belongs to the
#' nearest centre, each centre is the mean of its rows. The rows are a data frame or a Kafka
#' topic. The result is a value: it holds the centres, not the rows; it tells the cluster of new
#' rows and learns from them (see [predict.riffle_kmeans()]).
#'
#' @param formula A formula without a response, `~ x + y`, or `~ .` for all columns but metadata,
#'   whose names begin with a dot. Numbers, logicals (`TRUE` is 1) and products of them; a factor
#'   or a string has no distance, and is refused by name.
#' @param data A data frame, or a stream from [read_stream()], which is read from its start to
#'   the end as of now.
#' @param k The number of clusters, or a matrix of centres to start from, a row each, whose
#'   columns are the terms of the formula.
#' @param weights As in [stats::glm()], but how often a row counts: numbers of at least 0. For a
#'   stream the name of a column.
#' @param nstart Random starts; the one with the least sum of squares is kept. They are made side
#'   by side, in the same passes over the rows.
#' @param init How they are made: `"++"`, k-means++ (one row after the other is drawn by its
#'   squared distance to those drawn before); `"parallel"`, k-means|| (many rows at a time in
#'   five rounds: about 12 passes, whatever `k`).
#' @param scale Whether each column is divided by its standard deviation (of the rows of this
#'   fit: later rows are scaled alike).
#' @param max_iter Moves of the centres, at most.
#' @param half_life Rows after which a row counts half in updates; `Inf`: nothing is forgotten.
#' @param seed A whole number. `NULL`: drawn from R's own generator, so that [set.seed()] fixes it.
#' @param control A list: `threads` (2), `block` (rows of a learning block in updates, 1000),
#'   `sample` (with more rows, the random starts are tried on a sample of about so many, and the
#'   best goes on over all rows; 65536; `Inf`: always on all), `memory` (megabytes of rows kept
#'   between passes, and of a stream's rows, 256) and `spool` (the folder for a stream's rows
#'   beyond that).
#' @returns A model of class `riffle_kmeans` and `riffle_model`: a list that has, as the result of
#'   [stats::kmeans()], `centers` (a matrix, a row each cluster), `size`, `withinss`,
#'   `tot.withinss`, `totss`, `betweenss` and `iter`; and `weight`, the weight of each cluster
#'   after forgetting. `size` counts rows and forgets none.
#'
#' @details
#' Minimised is \eqn{\sum_i w_i \min_c \|x_i - m_c\|^2}{sum_i w_i min_c |x_i - m_c|^2}. From
#' given centres the result is that of `kmeans(algorithm = "Lloyd")`. Distances that tie go to
#' the cluster with the lower number. Clusters are numbered by their weight, the heaviest first;
#' with given centres, as they were given. With `scale = TRUE` sums of squares and distances
#' are of scaled columns, centres are in the units of the data.
#'
#' Random draws are a function of the seed and the number of a row, and all sums are formed in
#' fixed cells of rows: the result is the same to the last bit for any number of threads, any
#' `memory`, any kind of CPU, and for the same rows from a data frame or a topic.
#'
#' What is not as asked for is said. A cluster that loses all its rows starts anew at the row
#' farthest from its centre (message of class `riffle_message_reseeded`). With fewer distinct rows
#' than `k`, there are as many clusters as distinct rows (warning `riffle_warning_clusters`). A
#' constant column adds nothing to any distance (message `riffle_message_constant`). When
#' `max_iter` did not suffice, a warning `riffle_warning_convergence` says so.
#'
#' @section Errors:
#' `riffle_error_argument` for a wrong argument, by name; `riffle_error_schema` when a column is
#' not there; `riffle_error_data` for rows that cannot be learnt: none left, negative weights,
#' infinite values.
#' @source Lloyd (1982), Least squares quantization in PCM, IEEE Transactions on Information
#'   Theory 28. Arthur and Vassilvitskii (2007), k-means++: the advantages of careful seeding,
#'   SODA. Bahmani et al. (2012), Scalable k-means++, VLDB 5. Hamerly (2010), Making k-means even
#'   faster, SDM.
#' @seealso [predict.riffle_kmeans()], [live_model()]
#' @export
#' @examples
#' m <- stream_kmeans(~ Petal.Length + Petal.Width, iris, k = 3, seed = 1)
#' m
#' table(predict(m, iris), iris$Species)
#' tidy(m)
stream_kmeans <- function(formula, data, k, weights, nstart = 20L, init = c("++", "parallel"),
                          scale = FALSE, max_iter = 100L, half_life = Inf, seed = NULL,
                          control = list()) {
  if (missing(data)) abort_argument("`data` must be given: a data frame or a stream.")
  if (missing(k)) abort_argument("`k` must be given: the number of clusters, or their centres.")
  check_data(data)
  check_count(nstart)
  init <- check_choice(init, c("++", "parallel"))
  check_flag(scale)
  check_count(max_iter)
  check_half_life(half_life)
  if (!is.null(seed)) check_seed(seed)
  control <- check_kmeans_control(control)
  plan <- parse_formula(formula, data_fields(data), need_response = FALSE)
  check_coordinates(plan)
  weights <- if (!missing(weights)) substitute(weights)
  extra <- extra_column(weights, data, environment(plan$terms), "weights", "(weights)")
  fit_kmeans(list(
    call = tidy_call(match.call(), quote(stream_kmeans)), plan = plan, data = data,
    extras = Filter(Negate(is.null), list(weights = extra)), calls = list(weights = weights),
    na_action = "na.omit", control = control, defaults = c("contr.treatment", "contr.poly"),
    half_life = half_life, k = k, nstart = nstart, init = init, scale = scale,
    max_iter = max_iter, seed = if (is.null(seed)) sample.int(.Machine$integer.max, 1L) else seed
  ))
}

# `cut`: rows of a frame; NULL for one frame. Only tests cut.
fit_kmeans <- function(job, cut = NULL) {
  job$learner <- "kmeans"
  job$check <- \(rows) check_kinds(job$plan, rows$kind)
  job$options <- \(recipe) {
    start <- check_k(job$k, coordinate_names(recipe))
    list(
      k = if (is.null(start)) job$k else nrow(start), start = start,
      nstart = min(job$nstart, 1e6), parallel = job$init == "parallel", scale = job$scale,
      max_iter = min(job$max_iter, 1e9), seed = job$seed,
      sample = if (is.finite(job$control$sample)) job$control$sample else 0,
      memory = 1e6 * job$control$memory
    )
  }
  object <- fit_rows(job, cut, class = "riffle_kmeans")
  object$seed <- job$seed
  object$scale <- job$scale
  say_kmeans(object)
  object
}

# ---- arguments -----------------------------------------------------------------------

check_seed <- function(seed) {
  if (!is_number(seed) || seed != trunc(seed) || abs(seed) > 2^53) {
    abort_argument("`seed` must be a whole number, not {describe(seed)}.")
  }
}

kmeans_control <- list(threads = 2L, memory = 256, spool = NULL, block = 1000L, sample = 65536)

check_kmeans_control <- function(control) {
  sample <- if (is.list(control)) control$sample
  if (!is.null(sample) && (!is_number(sample) || sample < 1)) {
    abort_argument("`control$sample` must be a number of rows or Inf, not {describe(sample)}.")
  }
  known <- c("threads", "memory", "spool", "block")
  rest <- if (is.list(control)) control[setdiff(names(control), "sample")] else control
  odd <- setdiff(names(rest), known)
  if (length(odd)) {
    abort_argument(c(
      "`control` must have names out of {.val {names(kmeans_control)}}.",
      i = "{.val {odd}} {?is/are} not among them."
    ))
  }
  out <- check_control(rest)[known]
  out$sample <- if (is.null(sample)) kmeans_control$sample else as.double(sample)
  out
}

check_coordinates <- function(plan) {
  if (plan$response > 0L) {
    name <- plan$column[[plan$response]]
    abort_argument("`formula` must not have a response: write `~ ...` without {.code {name}}.")
  }
  if (length(plan$offset)) abort_argument("`formula` must not have an offset.")
  if (!plan$intercept) {
    abort_argument("`formula` must not leave out the intercept: k-means has none.")
  }
  if (!length(plan$order)) abort_argument("`formula` must have a column on the right of `~`.")
}

check_kinds <- function(plan, kind) {
  used <- unique(plan$column[plan$in_terms])
  odd <- used[!kind[used] %in% c("number", "logical")]
  if (length(odd)) {
    what <- kind[[odd[[1L]]]]
    abort_argument(c(
      "The column `{odd[[1L]]}` must be a number or a logical, not a {what}: it has no distance.",
      i = "Leave it out, or make logical columns of its levels."
    ))
  }
}

# NULL for a number of clusters; the matrix of centres in the order of the coordinates.
check_k <- function(k, coordinates) {
  if (!is.matrix(k) && !is.data.frame(k)) {
    check_count(k, "k")
    if (k > 1e6) abort_argument("`k` must be at most 1,000,000, not {describe(k)}.")
    return(NULL)
  }
  k <- as.matrix(k)
  named <- !is.null(colnames(k))
  fits <- is.numeric(k) && nrow(k) > 0L && all(is.finite(k)) &&
    ncol(k) == length(coordinates) && (!named || setequal(colnames(k), coordinates))
  if (!fits) {
    abort_argument(c(
      "`k` as centres must be a matrix of finite numbers with a column each coordinate.",
      i = "The coordinates are {.val {coordinates}}."
    ))
  }
  if (named) k <- k[, coordinates, drop = FALSE]
  storage.mode(k) <- "double"
  k
}

coordinate_names <- function(recipe) setdiff(design_columns(recipe)$names, "(Intercept)")

# ---- the value -----------------------------------------------------------------------

set_state.riffle_kmeans <- function(object, state) {
  result <- .Call(c_model_result, "kmeans", state)
  names <- coordinate_names(object$recipe)
  clusters <- as.character(seq_along(result$size))
  object$state <- state
  object$centers <- result$centers
  dimnames(object$centers) <- list(clusters, names)
  object$size <- result$size
  object$weight <- result$weight
  object$withinss <- result$withinss
  object$totss <- result$totss
  object$tot.withinss <- result$tot.withinss
  object$betweenss <- result$totss - result$tot.withinss
  object$iter <- result$iter
  object$divisor <- stats::setNames(result$divisor, names)
  shown <- c("centers", "size", "weight", "withinss", "totss", "tot.withinss", "iter", "divisor")
  object$fit <- result[setdiff(names(result), shown)]
  object$version <- result$version
  object
}

kmeans_codes <- c(cluster = 0L, distance = 1L, nearest = 2L)

score_types.riffle_kmeans <- function(object) kmeans_codes[c("cluster", "nearest")]

say_kmeans <- function(object) {
  fit <- object$fit
  found <- length(object$size)
  if (found < fit$wanted) {
    warn_kind("clusters", c(
      paste(
        "There {cli::qty(found)}{?is/are} only {big(found)} distinct {cli::qty(found)}row{?s}: the",
        "model has as many clusters, not {fit$wanted}."
      )
    ))
  }
  constant <- colnames(object$centers)[fit$constant]
  if (length(constant)) {
    cli::cli_inform(
      paste(
        "{cli::qty(constant)}The column{?s} {.val {constant}} {?is/are} constant:",
        "no distance has {cli::qty(constant)}{?it/them}."
      ),
      class = c("riffle_message_constant", "riffle_message")
    )
  }
  say_reseeded(fit$reseeded, "lost all rows and was", "lost all rows and were")
  if (!fit$converged) {
    warn_kind("convergence", c(
      "The centres still moved after {object$iter} iteration{?s}.",
      i = "Raise `max_iter`."
    ))
  }
}

say_reseeded <- function(n, one, many) {
  if (n > 0) {
    what <- if (n == 1) one else many
    cli::cli_inform(
      "{big(n)} {cli::qty(n)}cluster{?s} {what} seeded anew.",
      class = c("riffle_message_reseeded", "riffle_message")
    )
  }
}
