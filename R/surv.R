# What the formula of a survival model says beyond the design: Surv() on its left, strata() on its
# right, clusters. Each becomes columns of the data by their names or, in a data frame,
# expressions that R evaluates; C reads times and statuses out of them (learn/aft_times.c).

# ---- the left side -------------------------------------------------------------------

survival_types <- c(right = 0L, left = 1L, interval = 2L, interval2 = 3L)

# What Surv() says: its type, the expressions of time, time2 and status, and which status is an
# event (`strict`: any other must be one less).
parse_surv <- function(left, data, env) {
  text <- paste(deparse(left), collapse = " ")
  surv <- is.call(left) && (identical(left[[1L]], quote(Surv)) ||
    identical(left[[1L]], quote(survival::Surv)))
  if (!surv) {
    return(surv_column(left, text, data, env))
  }
  given <- tryCatch(
    match.call(\(time, time2, event, type, origin) NULL, left),
    error = \(e) abort_argument("The response `{text}` is not a call of Surv() that can be read.")
  )
  given <- as.list(given)[-1L]
  if (!is.null(given$origin)) abort_argument("`{text}` must not have an `origin`.")
  if (is.null(given$time)) abort_argument("`{text}` must have a time.")
  type <- surv_type(given, text)
  if (type %in% c("right", "left")) {
    if (is.null(given$event)) given$event <- given$time2
    given$time2 <- NULL
  }
  wanted <- switch(type,
    interval = c("time2", "event"),
    interval2 = "time2"
  )
  lacks <- setdiff(wanted, names(given))
  if (length(lacks) || (type == "interval2" && !is.null(given$event))) {
    needs <- paste(c("time", wanted), collapse = ", ")
    abort_argument("`{text}` must have {needs}, and nothing else, for the type {.val {type}}.")
  }
  c(
    list(type = type, text = text),
    columns_of_surv(given, type, data, env)
  )
}

surv_type <- function(given, text) {
  n <- length(intersect(c("time2", "event"), names(given)))
  if (is.null(given$type)) {
    if (n == 2L) abort_counting(text)
    return("right")
  }
  type <- given$type
  known <- c("right", "left", "interval", "counting", "interval2", "mstate")
  type <- if (is.character(type)) known[pmatch(type, known)]
  if (is.null(type) || is.na(type)) {
    abort_argument("`type` of `{text}` must be {.or {.val {names(survival_types)}}}.")
  }
  if (type == "counting") abort_counting(text)
  if (type == "mstate") abort_multistate(text)
  if (n == 2L && type %in% c("right", "left")) {
    abort_argument("`{text}` must have a time and an event for the type {.val {type}}.")
  }
  type
}

abort_counting <- function(text) {
  abort_argument(c(
    "`{text}` is a counting process, and survival regression has none.",
    i = "For intervals that hold the event give {.code type = \"interval2\"}."
  ))
}

abort_multistate <- function(text) {
  abort_argument(
    "`{text}` has several states, and survival regression takes one event: a logical or a number."
  )
}

columns_of_surv <- function(given, type, data, env) {
  ends <- type == "interval2"
  out <- list(
    time = surv_end(given$time, "(time)", data, env, ends),
    time2 = if (!is.null(given$time2)) surv_end(given$time2, "(time2)", data, env, ends)
  )
  if (is.null(given$event)) {
    return(c(out, list(event = 1, strict = TRUE)))
  }
  c(out, surv_event(given$event, type, data, env))
}

# A column of the data by its name, or an expression that R evaluates in a data frame.
surv_expr <- function(expr, name, data) {
  if (is.symbol(expr) && as.character(expr) %in% names(data)) {
    return(list(name = as.character(expr)))
  }
  if (is_stream(data)) {
    if (is.symbol(expr)) {
      abort_kind("schema", c(
        "The stream has no field `{as.character(expr)}`, which the formula uses.",
        i = "Its fields are {.val {names(data)}}."
      ))
    }
    abort_argument(
      "`{deparse1(expr)}` must be a column of the stream: R computes nothing of its rows."
    )
  }
  list(name = name, expr = expr)
}

surv_value <- function(expr, data, env) {
  value <- tryCatch(eval(expr, data, env), error = \(e) {
    reason <- conditionMessage(e)
    abort_argument("`{deparse1(expr)}` cannot be evaluated: {reason}")
  })
  if (is.null(dim(value)) && length(value) == nrow(data)) {
    return(value)
  }
  abort_argument("`{deparse1(expr)}` must have {nrow(data)} values, one a row.")
}

# The end of an interval that is not known may be infinite in a data frame.
surv_end <- function(expr, name, data, env, open) {
  out <- surv_expr(expr, name, data)
  if (is_stream(data)) {
    return(out)
  }
  value <- surv_value(expr, data, env)
  if (!is.numeric(value) && !inherits(value, c("Date", "POSIXct", "difftime"))) {
    abort_argument("`{deparse1(expr)}` must be a number, not {describe(value)}.")
  }
  if (open && any(is.infinite(value))) {
    return(list(name = name, expr = as.call(list(quote(replace), expr, call(
      "is.infinite", expr
    ), NA_real_))))
  }
  out
}

surv_event <- function(expr, type, data, env) {
  if (type != "interval" && is_comparison(expr, data)) {
    return(list(
      status = list(name = as.character(expr[[2L]])), event = as.numeric(expr[[3L]]),
      strict = FALSE
    ))
  }
  out <- list(status = surv_expr(expr, "(status)", data), event = 1, strict = TRUE)
  if (is_stream(data)) {
    return(out)
  }
  value <- surv_value(expr, data, env)
  if (is.factor(value)) abort_multistate(deparse1(expr))
  if (!is.numeric(value) && !is.logical(value)) {
    abort_argument("`{deparse1(expr)}` must be a number or a logical, not {describe(value)}.")
  }
  codes <- value[!is.na(value)]
  if (type != "interval" && length(codes) && max(codes) == 2) out$event <- 2
  out
}

# `status == 2`, of a column that is a number: C compares.
is_comparison <- function(expr, data) {
  if (!is.call(expr) || !identical(expr[[1L]], quote(`==`)) || !is.symbol(expr[[2L]]) ||
    !is.numeric(expr[[3L]])) {
    return(FALSE)
  }
  name <- as.character(expr[[2L]])
  if (is_stream(data)) {
    return(name %in% names(data) && !stream_types(data)[[name]] %in% c("string", "factor", "raw"))
  }
  name %in% names(data) && is.numeric(data[[name]])
}

# A column, or a variable of the session, that is a Surv object already.
surv_column <- function(left, text, data, env) {
  value <- if (!is_stream(data)) tryCatch(eval(left, data, env), error = \(e) NULL)
  if (!inherits(value, "Surv")) {
    abort_argument(c(
      "The response `{text}` must be a call of Surv().",
      i = "Such as {.code Surv(time, event) ~ x}."
    ))
  }
  type <- attr(value, "type")
  if (type == "counting") abort_counting(text)
  if (!type %in% names(survival_types)) abort_multistate(text)
  part <- \(k) list(name = c("(time)", "(time2)", "(status)")[[k]], expr = bquote(
    unclass(.(left))[, .(if (k == 3L && type != "interval") 2L else k)]
  ))
  list(
    type = type, text = text, time = part(1L), time2 = if (type == "interval") part(2L),
    status = part(3L), event = 1, strict = TRUE
  )
}

# ---- the right side ------------------------------------------------------------------

survival_refused <- c(
  frailty = "frailty", frailty.gamma = "frailty", frailty.gaussian = "frailty",
  frailty.t = "frailty", pspline = "penalised spline", ridge = "ridge", tt = "time transform"
)

# The formula without strata(), and the variables inside it.
take_strata <- function(formula) {
  tt <- stats::terms(formula, specials = c("strata", "cluster", names(survival_refused)),
    allowDotAsName = TRUE
  )
  special <- attr(tt, "specials")
  refused <- names(survival_refused)[lengths(special[names(survival_refused)]) > 0L]
  if (length(refused)) {
    what <- survival_refused[[refused[[1L]]]]
    abort_argument("{.code {refused[[1L]]}()} is a {what} term, and stream_survreg() has none.")
  }
  if (length(special$cluster)) {
    abort_argument("Give {.code cluster = } as an argument, not cluster() in the formula.")
  }
  if (!length(special$strata)) {
    return(list(formula = formula, strata = NULL))
  }
  variables <- as.list(attr(tt, "variables"))[-1L]
  pattern <- attr(tt, "factors")[special$strata, , drop = FALSE] > 0L
  inside <- colSums(pattern) > 0L
  if (any(attr(tt, "order")[inside] > 1L)) {
    abort_argument("strata() must not be in an interaction.")
  }
  calls <- variables[special$strata]
  offsets <- vapply(variables[attr(tt, "offset")], deparse1, "")
  kept <- c(attr(tt, "term.labels")[!inside], offsets)
  out <- stats::reformulate(
    if (length(kept)) kept else "1", formula[[2L]], attr(tt, "intercept") == 1L,
    environment(formula)
  )
  list(formula = out, strata = unlist(lapply(calls, \(call) as.list(call)[-1L])))
}

# The column of strata: a factor or string of the data by its name, or labels that R pastes.
strata_column <- function(parts, data) {
  if (is.null(parts)) {
    return(NULL)
  }
  one <- length(parts) == 1L && is.symbol(parts[[1L]]) &&
    as.character(parts[[1L]]) %in% names(data)
  name <- if (one) as.character(parts[[1L]])
  if (is_stream(data)) {
    if (!one) abort_argument("strata() must hold one column of the stream.")
    return(list(name = name))
  }
  if (one && (is.factor(data[[name]]) || is.character(data[[name]]))) {
    return(list(name = name))
  }
  labels <- vapply(parts, deparse1, "")
  pieces <- Map(\(part, label) call("paste0", paste0(label, "="), part), parts, labels)
  list(name = "(strata)", expr = as.call(c(quote(paste), unname(pieces), list(sep = ", "))))
}

cluster_column <- function(expr, data) {
  if (!is.null(expr)) surv_expr(expr, "(cluster)", data)
}
