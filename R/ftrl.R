#' Online regression with hashed features
#'
#' `stream_ftrl()` learns a linear model row by row, in the order of the rows, by FTRL-proximal
#' with a learning rate for every coordinate. Every category goes into a hashed table whose
#' memory is fixed in advance, so that a feature may have any number of values, new ones at any
#' time; or, with `slots = NULL`, into an exact dictionary. Each row is predicted before it is
#' learnt: the progressive loss of the model is an honest one.
#'
#' @param formula A formula whose variables are columns of `data`. Numbers enter as they are;
#'   factors, strings, logicals and `hashed(column)` (a number taken as a category) are hashed;
#'   `a:b` and `hashed(a, b)` cross categories; a number by a category is a slope for every
#'   value. `offset(column)`, `0 +` and `.` as in [stream_glm()].
#' @param data A data frame, or a stream from [read_stream()], read from its start to the end as
#'   of now. A topic's rows are learnt in the order of partition, then offset.
#' @param family `binomial` (0 and 1, a logical, or two levels of which the first is failure),
#'   `gaussian` or `poisson`, at their canonical links.
#' @param weights,offset As in [stats::glm()]; names of columns for a stream. A weight is an
#'   importance: a row of weight 100 moves the prediction towards its response, never beyond.
#' @param learn_rate,learn_offset The rate of a coordinate is `learn_rate / (learn_offset +
#'   sqrt(n))`, where `n` is the sum of its squared gradients.
#' @param l1,l2 Penalties. They act on the **sum** of the losses over all rows, as in McMahan et
#'   al. (2013); those of glmnet act on the mean. The intercept has none.
#' @param slots Slots of the table that all categories share, a power of two up to 2^26; or
#'   `NULL` for a dictionary of all values, which grows.
#' @param admit When a value enters the dictionary: a whole number `k` for its k-th sight (up to
#'   255, counted in a sketch of 4 MB), or a probability below 1 at every sight. For `slots =
#'   NULL` only.
#' @param keep_negatives The share of rows with response 0 that are learnt; each then has the
#'   weight `1 / keep_negatives`, so predictions need no correction.
#' @param passes Passes over the rows. Only the first counts for the progressive loss.
#' @param precision Whether the table holds floats (8 bytes a slot) or doubles (16).
#' @param half_life Rows after which what was learnt weighs half as much; `Inf`: for ever.
#' @param seed A whole number from which random choices are made; `NULL`: drawn from R's
#'   generator. In a fit or an update with a topic they are a function of seed and position;
#'   for a data frame and in a live model, of seed and the number of rows learnt so far.
#' @param control A list: `bias_rate` (learning rate of the intercept, 1), `scale_rows` (so many
#'   values of a number fix its centre and its scale, 1000), `clip` (residuals of `gaussian` and
#'   `poisson` beyond so many standard deviations of the response count as that, 10), `memory` (MB
#'   that the rows of a stream may take, 256; beyond that they go to disk), `spool` (the folder for
#'   that, `tempdir()`).
#' @returns A model of class `riffle_ftrl` and `riffle_model`.
#'
#' @details
#' For a row with features `x`, prediction `p` and response `y` the gradient is `g = (p - y) x`.
#' Each coordinate keeps `z` and `n`; its weight is 0 where `|z| <= l1`, and else
#' `-(z - sign(z) l1) / ((learn_offset + sqrt(n)) / learn_rate + l2)`. A row adds `g -
#' (sqrt(n + g^2) - sqrt(n)) / learn_rate * w` to `z` and `g^2` to `n`.
#'
#' The slot of a value is a hash of the feature's name and of the value's text, so `"7"` of two
#' features differ, and 7, 7.0 and "7" agree. A missing value of a category is a value of its
#' own; a missing number is skipped. A number is centred (where there is an intercept) and
#' scaled by the mean and the standard deviation of the rows so far, which are fixed after
#' `scale_rows` of its values; so is the response of `gaussian`. Further than 100 standard
#' deviations counts as 100.
#'
#' The result depends on the order of the rows and on nothing else: it is the same to the last
#' bit however the rows are cut into batches, after a restart, and on any processor of a kind.
#' There are no standard errors: the weights are penalised and the rates decay.
#'
#' @section Errors:
#' `riffle_error_argument` for a wrong argument, by name; `riffle_error_schema` when a column is
#' not there; `riffle_error_data` for rows that cannot be learnt.
#' @source McMahan et al. (2013), Ad click prediction: a view from the trenches, KDD, algorithm 1.
#'   Weights above 1: Karampatziakis and Langford (2011), Online importance weight aware updates,
#'   UAI. Collisions: Whang, Vander-Zanden and Taylor (1990), A linear-time probabilistic
#'   counting algorithm, ACM TODS 15.
#' @seealso [predict.riffle_ftrl()], [live_model()], [stream_glm()]
#' @export
#' @examples
#' d <- sim_adclicks(5000, seed = 1)
#' m <- stream_ftrl(click ~ user_id + ad_id + device:ad_id + quality, d, slots = 2^16)
#' m
#' glance(m)
#' head(predict(m, d, type = "response"))
#' exact <- stream_ftrl(click ~ device + ad_id, d, slots = NULL)
#' head(coef(exact, d))
stream_ftrl <- function(formula, data, family = binomial(), weights, offset, learn_rate = 0.1,
                        learn_offset = 1, l1 = 0, l2 = 1, slots = 2^22, admit = 1L,
                        keep_negatives = 1, passes = 1L, precision = c("float", "double"),
                        half_life = Inf, seed = NULL, control = list()) {
  if (missing(data)) abort_argument("`data` must be given: a data frame or a stream.")
  check_data(data)
  family <- ftrl_family(family)
  settings <- ftrl_settings(list(
    learn_rate = learn_rate, learn_offset = learn_offset, l1 = l1, l2 = l2, slots = slots,
    admit = admit, keep_negatives = keep_negatives, passes = passes,
    precision = check_choice(precision, c("float", "double")), half_life = half_life, seed = seed
  ), family, control)
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
  fit_ftrl(list(
    learner = "ftrl", call = tidy_call(match.call(), quote(stream_ftrl)), plan = plan,
    data = data, family = family, extras = Filter(Negate(is.null), extras), calls = calls,
    na_action = "na.omit", control = settings, half_life = settings$half_life,
    defaults = getOption("contrasts")
  ))
}

# `cut`: rows of a frame; NULL for one frame. Only tests cut.
fit_ftrl <- function(job, cut = NULL) {
  settings <- job$control
  job$check <- \(rows) check_response_kind(job$plan, rows$kind, job$family)
  job$options <- \(recipe) ftrl_options(settings, job$family)
  job$recipe <- c(
    list(hash = TRUE, missing = TRUE, keyed = ftrl_keyed(settings, job$data), seed = 0),
    if (is.null(settings$slots)) list(open = TRUE) else list(shared = settings$slots)
  )
  object <- fit_rows(job, cut, class = "riffle_ftrl")
  object$recipe$keyed <- FALSE # a live model counts rows, whatever they come from
  object
}

# Rows of a topic bring keys for random choices; rows of a data frame are counted by the model,
# so that rows learnt one by one do not all have the same key.
ftrl_keyed <- function(settings, data) {
  is_stream(data) && (settings$keep_negatives < 1 || settings$admit < 1)
}

# ---- arguments -----------------------------------------------------------------------

ftrl_families <- c(gaussian = 0L, binomial = 1L, poisson = 2L)
ftrl_links <- c(gaussian = "identity", binomial = "logit", poisson = "log")

ftrl_family <- function(family) {
  family <- as_family(family)
  if (!identical(unname(ftrl_links[family$family]), family$link)) {
    abort_argument(
      "`family` must be binomial, gaussian or poisson at its canonical link, not ",
      "{family$family}(link = \"{family$link}\")."
    )
  }
  family
}

ftrl_settings <- function(x, family, control) {
  for (name in c("learn_rate", "learn_offset")) check_between(x[[name]], 1e-8, 1e6, name)
  for (name in c("l1", "l2")) check_between(x[[name]], 0, 1e12, name)
  check_slots(x$slots)
  check_admit(x$admit, x$slots)
  check_share(x$keep_negatives, "keep_negatives")
  if (x$keep_negatives < 1 && family$family != "binomial") {
    abort_argument("`keep_negatives` must be 1 for the {family$family} family.")
  }
  check_count(x$passes, "passes")
  x$passes <- as.integer(min(x$passes, 1e9))
  if (!is_number(x$half_life) || x$half_life < 100) {
    abort_argument(
      "`half_life` must be a number of rows of at least 100, or Inf, not {describe(x$half_life)}."
    )
  }
  if (!is.null(x$seed)) check_between(x$seed, 0, 2^53, "seed")
  draws <- x$keep_negatives < 1 || x$admit < 1
  x$seed <- if (!is.null(x$seed)) trunc(x$seed) else if (draws) draw_seed() else 0
  c(x, ftrl_control(control), list(threads = 1L, block = 1000L))
}

draw_seed <- function() sample.int(.Machine$integer.max, 1L)

check_between <- function(x, low, high, arg) {
  if (!is_number(x) || x < low || x > high) {
    abort_argument("`{arg}` must be a number from {low} to {high}, not {describe(x)}.")
  }
}

check_share <- function(x, arg) {
  if (!is_number(x) || x <= 0 || x > 1) {
    abort_argument("`{arg}` must be a number above 0 and up to 1, not {describe(x)}.")
  }
}

check_slots <- function(slots) {
  if (is.null(slots)) {
    return()
  }
  if (!is_number(slots) || slots < 2 || slots > 2^26 || log2(slots) != trunc(log2(slots))) {
    abort_argument("`slots` must be a power of two up to 2^26, or NULL, not {describe(slots)}.")
  }
}

check_admit <- function(admit, slots) {
  share <- is_number(admit) && admit > 0 && admit < 1
  count <- is_number(admit) && admit >= 1 && admit <= 255 && admit == trunc(admit)
  if (!share && !count) {
    abort_argument(
      "`admit` must be a whole number from 1 to 255, or a probability, not {describe(admit)}."
    )
  }
  if (admit != 1 && !is.null(slots)) {
    abort_argument(
      "`admit` must be 1 with hashed slots: only a dictionary (`slots = NULL`) admits values."
    )
  }
}

ftrl_control <- function(control) {
  default <- list(bias_rate = 1, scale_rows = 1000L, clip = 10, memory = 256, spool = NULL)
  if (!is.list(control)) abort_argument("`control` must be a list, not {describe(control)}.")
  unknown <- setdiff(names(control), names(default))
  if (length(unknown) || (length(control) && is.null(names(control)))) {
    abort_argument(c(
      "`control` must have names out of {.val {names(default)}}.",
      i = if (length(unknown)) "{.val {unknown}} {?is/are} not among them."
    ))
  }
  out <- utils::modifyList(default, control)
  check_between(out$bias_rate, 1e-8, 1e6, "control$bias_rate")
  check_count(out$scale_rows, "control$scale_rows")
  out$scale_rows <- as.integer(min(out$scale_rows, 1e9))
  check_positive(out$clip, "control$clip")
  check_positive(out$memory, "control$memory")
  if (!is.null(out$spool)) check_string(out$spool, "control$spool")
  out
}

ftrl_options <- function(settings, family) {
  kept <- c(
    "learn_rate", "learn_offset", "bias_rate", "l1", "l2", "keep_negatives", "passes",
    "half_life", "clip", "seed"
  )
  share <- settings$admit < 1
  c(settings[kept], list(
    family = ftrl_families[[family$family]], settle_scale = settings$scale_rows,
    wide = settings$precision == "double", admit_share = if (share) settings$admit else 1,
    admit_count = if (share) 1 else settings$admit
  ))
}

# ---- the value -----------------------------------------------------------------------

set_state.riffle_ftrl <- function(object, state) {
  fit <- .Call(c_model_result, object$learner, state)
  object$state <- state
  object$coefficients <- c(
    if (object$recipe$intercept) c("(Intercept)" = fit$intercept),
    stats::setNames(fit$numbers, number_terms(object$recipe))
  )
  object$fit <- fit[!names(fit) %in% c("intercept", "numbers")]
  object$version <- fit$rows
  object
}

ftrl_codes <- c(link = 0L, response = 1L, audit = 2L)

score_types.riffle_ftrl <- function(object) ftrl_codes[c("response", "link")]
