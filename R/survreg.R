#' Survival regression on data that need not fit in memory
#'
#' `stream_survreg()` fits accelerated failure time models, and location-scale models of censored
#' numbers in general, to a data frame or to a Kafka topic: `log(time) = x'b + sigma W`.
#' Coefficients, standard errors and log-likelihood are those of [survival::survreg()] run to
#' convergence. The result is a value: it holds what was learnt, not the rows. It can be saved,
#' used to predict, and updated with new rows.
#'
#' @param formula A formula with `Surv()` on the left: `Surv(time, event)`, `Surv(time, event,
#'   type = "left")`, `Surv(time, time2, event, type = "interval")`, `Surv(time, time2, type =
#'   "interval2")`, or `Surv(time)` where nothing is censored. On the right as in [stream_glm()],
#'   and `strata(f)` for a scale for each level of `f`.
#' @param data A data frame, or a stream from [read_stream()], which is read from its start to
#'   the end as of now.
#' @param dist `"weibull"`, `"exponential"`, `"rayleigh"`, `"lognormal"` (or `"loggaussian"`) and
#'   `"loglogistic"` for times above 0; `"extreme"`, `"gaussian"`, `"logistic"` and `"t"` for any
#'   numbers. A string.
#' @param weights,subset As in [survival::survreg()]: evaluated in `data`, then where the formula
#'   was written. A weight is the row so many times in the log-likelihood; a row of weight 0 is
#'   left out. For a stream `weights` is the name of a column, and `subset` must be left out.
#' @param na.action `na.omit`: rows with a missing value in a used column are left out and
#'   counted; `na.fail`: they are an error. A missing end of an `interval2` row is no missing
#'   value: it says that the end is not known.
#' @param scale A number above 0 to fix the scale, 0 to estimate it. Exponential and Rayleigh
#'   distributions have scales of their own.
#' @param parms For `"t"`: its degrees of freedom, above 2, as a number or `c(df = 4)`; `NULL`
#'   for 4.
#' @param cluster A column whose values rows share that are not independent (a user): standard
#'   errors are then robust, from the scores summed by 256 buckets of its hashed values. `NULL`:
#'   rows are independent.
#' @param half_life For updates: rows after which a row counts half. `Inf`: never.
#' @param control A list: `threads` (2), `memory` (256), `spool`, `block` (rows of a learning
#'   block in updates, 1000), `epsilon` (stop when Newton's decrement is below it, 1e-14),
#'   `maxit` (passes at most, 100). See [stream_glm()].
#' @param map Must be `NULL`.
#' @returns A model of class `riffle_survreg` and `riffle_model`.
#'
#' @details
#' With `z = (y - x'b) / sigma`, `y` the time or its logarithm, a row adds `log f(z) -
#' log(sigma)` to the log-likelihood when its time is exact, `log S(z)` when it is
#' right-censored, `log F(z)` when it is left-censored and `log(F(z2) - F(z1))` when it is known
#' to an interval. The log-likelihood is on the scale of time. Newton's method runs in `b` and
#' `log(sigma)` with step halving; where the observed information is not positive definite the
#' outer product of the scores stands for it.
#'
#' A numeric event is read as in [survival::Surv()]: 0 and 1, or, when a 2 occurs in a data frame,
#' 1 and 2. On a stream it must be 0 and 1, or be written as `status == 2`.
#'
#' A level whose rows are all right-censored has no finite estimate: a warning of class
#' `riffle_warning_separation` says so, and its standard error prints as `Inf`. A column that is
#' a combination of earlier ones has the coefficient `NA`.
#'
#' Sums are accumulated in fixed cells of rows, so the result is the same to the last bit however
#' the rows are cut into frames and on any number of threads.
#'
#' Updates solve the renewable equation of [update.riffle_glm()] in `b` and `log(sigma)`. They
#' begin from this fit, which should hold ten rows that are not right-censored for each
#' parameter or more.
#'
#' @section Errors:
#' `riffle_error_argument` for a wrong argument, by name, and for what survival models on streams
#' do not have: counting process and multi-state responses, `frailty()`, `pspline()`, `ridge()`,
#' `tt()`, `cluster()` in the formula. `riffle_error_schema` when a column is not there.
#' `riffle_error_data` for rows that cannot be learnt: none left, no event, a time of 0 or less
#' under a distribution of log(time), an interval that ends before it begins, negative weights,
#' infinite values.
#' @source Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, 2nd
#'   edition, chapter 3; [survival::survreg()]. Outer products: Berndt, Hall, Hall and Hausman
#'   (1974), Estimation and inference in nonlinear structural models. Updates: Luo and Song
#'   (2020), Renewable estimation and incremental inference in generalized linear models with
#'   streaming data sets, JRSS B 82.
#' @seealso [predict.riffle_survreg()], [survreg-methods], [live_model()]
#' @export
#' @examples
#' set.seed(1)
#' d <- data.frame(x = rnorm(2000), f = sample(c("a", "b"), 2000, TRUE))
#' time <- exp(1 + 0.5 * d$x - 0.4 * (d$f == "b") + 0.7 * log(rexp(2000)))
#' end <- rexp(2000, 0.1)
#' d$time <- pmin(time, end)
#' d$event <- time <= end
#' m <- stream_survreg(Surv(time, event) ~ x + f, d[1:1500, ])
#' summary(m)
#' predict(m, d[1:3, ], type = "quantile", p = c(0.1, 0.5, 0.9))
#' update(m, d[1501:2000, ])
stream_survreg <- function(formula, data, dist = "weibull", weights, subset,
                           na.action = na.omit, scale = 0, parms = NULL, cluster = NULL,
                           half_life = Inf, control = list(), map = NULL) {
  if (missing(data)) abort_argument("`data` must be given: a data frame or a stream.")
  check_data(data)
  if (!is.null(map)) abort_argument("`map` must be NULL, not {describe(map)}.")
  dist <- check_survival(dist, scale, !missing(scale), parms)
  check_half_life(half_life)
  spec <- list(
    call = tidy_call(match.call(), quote(stream_survreg)), formula = formula, data = data,
    dist = dist, control = check_control(control), na_action = check_na_action(na.action),
    half_life = half_life,
    calls = list(
      weights = if (!missing(weights)) substitute(weights),
      cluster = if (!missing(cluster)) substitute(cluster)
    )
  )
  env <- if (inherits(formula, "formula")) environment(formula)
  spec$subset <- subset_rows(if (!missing(subset)) substitute(subset), data, env)
  fit_survreg(spec)
}

# ---- distributions -------------------------------------------------------------------

# `base` is the distribution of (y - eta) / sigma, as C numbers them; `log`: y is log(time).
survival_bases <- c(extreme = 0L, logistic = 1L, gaussian = 2L, t = 3L)
survival_dists <- list(
  weibull = list(name = "Weibull", base = "extreme", log = TRUE),
  exponential = list(name = "Exponential", base = "extreme", log = TRUE, scale = 1),
  rayleigh = list(name = "Rayleigh", base = "extreme", log = TRUE, scale = 0.5),
  lognormal = list(name = "Log Normal", base = "gaussian", log = TRUE),
  loggaussian = list(name = "Log Normal", base = "gaussian", log = TRUE),
  loglogistic = list(name = "Log logistic", base = "logistic", log = TRUE),
  extreme = list(name = "Extreme value", base = "extreme", log = FALSE),
  gaussian = list(name = "Gaussian", base = "gaussian", log = FALSE),
  logistic = list(name = "Logistic", base = "logistic", log = FALSE),
  t = list(name = "Student-t", base = "t", log = FALSE, df = 4)
)

check_survival <- function(dist, scale, scale_given, parms) {
  dist <- check_choice(dist, names(survival_dists))
  out <- c(list(dist = dist), survival_dists[[dist]])
  check_not_negative(scale, "scale")
  if (!is.null(out$scale) && scale_given && scale > 0 && scale != out$scale) {
    abort_argument(
      "`scale` must be left out: the {out$name} distribution has the scale {out$scale}."
    )
  }
  if (is.null(out$scale)) out$scale <- scale
  if (is.null(parms)) {
    return(out)
  }
  if (is.null(out$df)) {
    abort_argument("`parms` must be NULL: the {out$name} distribution has no parameters.")
  }
  df <- unlist(parms, use.names = FALSE)
  named <- is.null(names(parms)) || identical(names(parms), "df")
  if (!is_number(df) || df <= 2 || !named) {
    abort_argument("`parms` must be one number above 2, the degrees of freedom `df`.")
  }
  out$df <- df
  out
}

# ---- the fit -------------------------------------------------------------------------

n_clusters <- 256L

# `cut`: rows of a frame; NULL for one frame. Only tests cut.
fit_survreg <- function(spec, cut = NULL) {
  if (!inherits(spec$formula, "formula") || length(spec$formula) != 3L) {
    abort_argument("`formula` must be a formula with a response, not {describe(spec$formula)}.")
  }
  data <- spec$data
  env <- environment(spec$formula)
  split <- take_strata(expand_dot(spec$formula, data_fields(data)))
  plan <- parse_formula(split$formula, data_fields(data), own = TRUE)
  columns <- list(
    surv = parse_surv(spec$formula[[2L]], data, env), strata = strata_column(split$strata, data),
    cluster = cluster_column(spec$calls$cluster, data)
  )
  if (!is.null(columns$strata) && spec$dist$scale > 0) {
    abort_argument("`scale` must be 0, estimated, with strata().")
  }
  weights <- extra_column(spec$calls$weights, data, env, "weights", "(weights)")
  object <- fit_rows(
    list(
      call = spec$call, plan = plan, data = data,
      extras = if (!is.null(weights)) list(weights = weights), calls = spec$calls,
      subset = spec$subset, na_action = spec$na_action, contrasts = NULL,
      defaults = getOption("contrasts"), control = spec$control, half_life = spec$half_life,
      learner = "aft", recipe = list(extras = survival_extras(columns), response = "none"),
      options = \(recipe) survival_options(columns, recipe, spec$dist, spec$control),
      finish = finish_survreg
    ),
    cut,
    class = "riffle_survreg"
  )
  object$dist <- spec$dist
  object$surv <- columns$surv
  object$formula <- spec$formula
  environment(object$formula) <- environment(object$terms)
  object$cluster_call <- spec$calls$cluster
  say_survreg(object)
  object
}

# Extra columns in the order in which survival_options() counts them.
survival_extras <- function(columns) {
  surv <- columns$surv
  ends <- surv$type == "interval2"
  second <- surv$type %in% c("interval", "interval2")
  Filter(\(extra) !is.null(extra$name), list(
    time = c(surv$time, list(kind = "number", may_miss = ends)),
    time2 = if (second) c(surv$time2, list(kind = "number", may_miss = TRUE)),
    status = c(surv$status, if (!is.null(surv$status)) list(kind = "number")),
    strata = c(columns$strata, if (!is.null(columns$strata)) {
      list(kind = "level", for_scoring = TRUE)
    }),
    cluster = c(columns$cluster, if (!is.null(columns$cluster)) {
      list(kind = "bucket", buckets = n_clusters)
    })
  ))
}

survival_options <- function(columns, recipe, dist, control) {
  surv <- columns$surv
  present <- c(
    "time", if (surv$type %in% c("interval", "interval2")) "time2",
    if (!is.null(surv$status)) "status", if (!is.null(columns$strata)) "strata",
    if (!is.null(columns$cluster)) "cluster"
  )
  at <- match(c("time", "time2", "status", "strata", "cluster"), present) - 1L
  at[is.na(at)] <- -1L
  list(
    dist = survival_bases[[dist$base]], type = survival_types[[surv$type]], log_time = dist$log,
    strict = surv$strict, df = if (is.null(dist$df)) 0 else dist$df, scale = dist$scale,
    event = surv$event, time = at[[1L]], time2 = at[[2L]], status = at[[3L]],
    stratum = at[[4L]], cluster = at[[5L]],
    n_strata = if (at[[4L]] < 0L) 0L else length(recipe$extras[[at[[4L]] + 1L]]$levels),
    n_clusters = if (at[[5L]] < 0L) 0L else n_clusters,
    epsilon = control$epsilon, maxit = control$maxit
  )
}

# The model of the mean and the scales alone, on the same rows: variables without terms still
# leave rows with missing values out.
finish_survreg <- function(object, frames, options) {
  null <- object$recipe
  if (length(null$terms) || !null$intercept) {
    null$terms <- list()
    null$intercept <- TRUE
    fitted <- .Call(c_model_fit, "aft", frames, null, options)
    object$null_loglik <- .Call(c_model_result, "aft", fitted$state)$loglik
  } else {
    object$null_loglik <- object$fit$loglik
  }
  object
}

set_state.riffle_survreg <- function(object, state) {
  result <- .Call(c_model_result, "aft", state)
  learnt <- !is.null(object$version) && result$version > object$version
  object$state <- state
  object$coefficients <- stats::setNames(result$coef, design_columns(object$recipe)$names)
  levels <- strata_levels(object)
  object$scale <- exp(result$log_scale)
  if (length(levels)) names(object$scale) <- levels
  object$fit <- result[!names(result) %in% c("coef", "log_scale", "vcov", "robust")]
  if (learnt) object$null_loglik <- NA_real_
  object$version <- result$version
  object
}

strata_levels <- function(object) {
  for (extra in object$recipe$extras) if (extra$kind == "level") return(extra$levels)
  NULL
}

score_types.riffle_survreg <- function(object) c(response = 1L, lp = 0L)

say_survreg <- function(object) {
  fit <- object$fit
  aliased <- names(object$coefficients)[is.na(object$coefficients)]
  if (length(aliased)) inform_aliased(aliased)
  if (fit$separated) {
    at <- intersect(names(which(is.infinite(survival_errors(object)))), names(object$coefficients))
    warn_kind("separation", c(
      "Some coefficients have no finite estimate: {.val {at}}.",
      i = "The rows of such a level are all right-censored, or all left-censored."
    ))
  }
  if (!fit$converged && !fit$separated) {
    warn_kind("convergence", c(
      "The fit has not converged within {fit$passes} pass{?es}.",
      i = "Raise `control$maxit`."
    ))
  }
}
