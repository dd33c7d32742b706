# Terms that R computes: log(x), poly(x, 2), ns(x, 3), cut(x, breaks), x > 3, functions of the
# user. Their values become columns of the frames; C sees numbers and levels only.
#
# At the fit an expression is frozen: variables and functions of the formula's environment are
# taken as they are now, and what depends on the data as a whole (the knots of ns(), the
# coefficients of poly(), the breaks of cut(x, 3), mean(x)) is computed once and put in as a
# constant. So a frozen expression gives the same for a row whatever rows stand beside it.
#
#   entry: list(label, columns, inputs, expr, constants, functions, basis)
#
# It is evaluated in a closed environment: functions of base, stats and splines that cannot do
# more than compute, and the entry's own constants and functions. Nothing else can be reached, so
# a model that brings no functions of its own cannot run code of a stranger.

# ---- what may be called --------------------------------------------------------------

term_words <- list(
  base = c(
    "(", "+", "-", "*", "/", "^", "%%", "%/%", "%in%", "==", "!=", "<", "<=", ">", ">=", "!", "&",
    "|", "xor", ":", "[", "[[", "c", "I", "abs", "sign", "sqrt", "exp", "expm1", "log", "log1p",
    "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh",
    "gamma", "lgamma", "beta", "lbeta", "digamma", "choose", "floor", "ceiling", "round", "signif",
    "trunc", "pmin", "pmax", "ifelse", "is.na", "is.finite", "rep", "seq", "seq_len", "cbind",
    "factor", "ordered", "as.factor", "as.ordered", "cut", "findInterval", "interaction", "match",
    "as.numeric", "as.double", "as.integer", "as.logical", "as.character", "as.Date", "as.POSIXct",
    "nchar", "substr", "substring", "toupper", "tolower", "trimws", "startsWith", "endsWith",
    "paste", "paste0", "grepl", "sub", "gsub", "sprintf", "format", "weekdays", "months",
    "quarters", "julian", "difftime", "ISOdate", "scale", "isTRUE"
  ),
  stats = c(
    "poly", "polym", "relevel", "pnorm", "dnorm", "qnorm", "plogis", "qlogis", "dlogis", "pexp",
    "pt", "offset"
  ),
  splines = c("ns", "bs")
)

# Of the data as a whole: their values at the fit stand for them afterwards.
term_summaries <- list(
  base = c("mean", "min", "max", "range", "sum", "length"),
  stats = c("sd", "var", "median", "quantile", "IQR", "mad")
)

term_function <- function(name) {
  for (package in names(term_words)) {
    if (name %in% c(term_words[[package]], term_summaries[[package]])) {
      return(get(name, envir = asNamespace(package), mode = "function"))
    }
  }
  own <- list(.share = share_of, .trials = trials_of)
  own[[name]]
}

# Of cbind(successes, failures): what glm() makes of it.
share_of <- function(successes, failures) {
  n <- successes + failures
  ifelse(!is.na(n) & n == 0, 0, successes / n)
}
trials_of <- function(successes, failures) successes + failures

# ---- freezing ------------------------------------------------------------------------

# `data`: the rows that the basis is taken from, a list of columns; `env`: where the formula was
# written; `basis`: what to call these rows.
freeze_term <- function(expr, label, name, data, env, basis = "all rows") {
  entry <- list(
    label = label, name = name, columns = name, inputs = character(), expr = plain_calls(expr),
    constants = list(), functions = list()
  )
  entry <- take_names(entry, data, env)
  complete <- complete_rows(data[entry$inputs])
  frozen <- freeze_calls(entry, entry$expr, data, complete)
  if (!identical(frozen$entry$expr, frozen$expr)) entry$basis <- basis
  entry$constants <- frozen$entry$constants
  entry$expr <- frozen$expr
  entry
}

complete_rows <- function(columns) {
  if (!length(columns)) {
    return(TRUE)
  }
  Reduce(`&`, lapply(columns, \(x) !is.na(x)))
}

# stats::poly(x) as poly(x): the closed environment knows packages by their words only.
plain_calls <- function(expr) {
  if (!is.call(expr)) {
    return(expr)
  }
  head <- expr[[1L]]
  if (is.call(head) && as.character(head[[1L]])[[1L]] %in% c("::", ":::")) {
    name <- as.character(head[[3L]])
    known <- as.character(head[[2L]]) %in% names(term_words) && !is.null(term_function(name))
    expr[[1L]] <- as.name(if (known) name else deparse1(head))
  }
  for (i in seq_along(expr)) {
    if (!rlang::is_missing(expr[[i]])) expr[[i]] <- plain_calls(expr[[i]])
  }
  expr
}

called_names <- function(expr) {
  if (!is.call(expr)) {
    return(character())
  }
  head <- if (is.symbol(expr[[1L]])) as.character(expr[[1L]])
  unique(c(head, unlist(lapply(as.list(expr), called_names))))
}

# Columns of the data that the expression names, and copies of what else it names.
take_names <- function(entry, data, env) {
  names <- all.vars(entry$expr)
  heads <- called_names(entry$expr)
  entry$inputs <- intersect(names, names(data))
  # Parameters of functions written in place, and names behind `$`, are no variables.
  strict <- !any(c("function", "$", "@", "\\") %in% heads)
  for (name in setdiff(names, names(data))) {
    value <- get0(name, envir = env)
    if (is.null(value) && strict) {
      abort_kind("schema", c(
        "There is no `{name}`, which `{entry$label}` uses.",
        i = "The data has {.val {names(data)}}."
      ))
    }
    if (is.function(value)) heads <- c(heads, name)
    if (is.atomic(value) && !is.null(value)) entry$constants[[name]] <- value
    if (is.list(value)) entry$constants[[name]] <- value
  }
  for (name in unique(heads)) entry$functions[[name]] <- own_function(name, env, entry$label)
  entry
}

# A function that is not one of the words is taken as it is now; NULL for a word.
own_function <- function(name, env, label) {
  word <- term_function(name)
  value <- get0(name, envir = env, mode = "function")
  if (grepl("::", name, fixed = TRUE)) {
    value <- tryCatch(eval(str2lang(name), baseenv()), error = \(e) NULL)
  }
  if (!is.null(word) && (is.null(value) || identical(value, word))) {
    return(NULL)
  }
  if (is.null(value)) {
    abort_argument("There is no function `{name}`, which `{label}` calls.")
  }
  value
}

# Calls that depend on the data as a whole, from the inside out.
freeze_calls <- function(entry, expr, data, complete) {
  if (!is.call(expr)) {
    return(list(entry = entry, expr = expr))
  }
  for (i in seq_along(expr)[-1L]) {
    if (rlang::is_missing(expr[[i]]) || is.null(expr[[i]])) next
    inner <- freeze_calls(entry, expr[[i]], data, complete)
    entry <- inner$entry
    expr[[i]] <- inner$expr
  }
  head <- if (is.symbol(expr[[1L]])) as.character(expr[[1L]]) else ""
  if (head %in% names(entry$functions)) {
    return(list(entry = entry, expr = expr))
  }
  if (head %in% unlist(term_summaries)) {
    return(stash(entry, quote(.), run_term(entry, expr, data)))
  }
  if (head %in% c("poly", "polym", "ns", "bs", "scale", "cut")) {
    rows <- lapply(data[entry$inputs], \(x) x[complete])
    expr <- if (head == "cut") {
      freeze_breaks(entry, expr, rows)
    } else {
      stats::makepredictcall(run_term(entry, expr, rows), expr)
    }
    return(stash_arguments(entry, expr))
  }
  list(entry = entry, expr = expr)
}

# Numbers go to the constants, where they keep all their digits when a model is saved.
stash <- function(entry, expr, value) {
  name <- paste0(".", length(entry$constants) + 1L)
  entry$constants[[name]] <- value
  list(entry = entry, expr = as.name(name))
}

stash_arguments <- function(entry, expr) {
  for (i in seq_along(expr)[-1L]) {
    value <- expr[[i]]
    if (is.language(value) || is.null(value) || rlang::is_missing(expr[[i]])) next
    if (length(value) == 1L && !is.list(value) && !is.double(value)) next
    kept <- stash(entry, quote(.), value)
    entry <- kept$entry
    expr[[i]] <- kept$expr
  }
  list(entry = entry, expr = expr)
}

# cut(x, 3) with the breaks that cut() would choose: equal widths over the range, a thousandth
# wider at both ends.
freeze_breaks <- function(entry, expr, data) {
  full <- match.call(cut.default, expr)
  breaks <- if (is.null(full$breaks)) NULL else run_term(entry, full$breaks, data)
  if (length(breaks) != 1L || !is.numeric(breaks)) {
    return(expr)
  }
  range <- range(run_term(entry, full$x, data), na.rm = TRUE)
  width <- diff(range)
  if (width == 0) width <- abs(range[[1L]])
  ends <- if (diff(range) == 0) range + c(-1, 1) * width / 1000 else range
  points <- seq.int(ends[[1L]], ends[[2L]], length.out = breaks + 1)
  if (diff(range) != 0) points[c(1L, breaks + 1)] <- range + c(-1, 1) * width / 1000
  full$breaks <- points
  full
}

# ---- evaluating ----------------------------------------------------------------------

run_term <- function(entry, expr, data) {
  words <- lapply(stats::setNames(nm = unique(called_names(expr))), term_function)
  home <- list2env(Filter(Negate(is.null), words), parent = emptyenv())
  home <- list2env(c(entry$constants, entry$functions), parent = home)
  tryCatch(eval(expr, data[intersect(names(data), entry$inputs)], home), error = \(e) {
    reason <- conditionMessage(e)
    abort_kind("data", "`{entry$label}` cannot be computed: {reason}")
  })
}

# The columns of an entry, for `n` rows of data: one, or one for each column of a matrix.
compute_term <- function(entry, data, n) {
  value <- run_term(entry, entry$expr, data)
  if (inherits(value, "AsIs")) class(value) <- setdiff(class(value), "AsIs")
  if (NROW(value) != n) {
    abort_argument("`{entry$label}` must have {n} value{?s}, one a row, not {NROW(value)}.")
  }
  if (!is.matrix(value)) {
    return(stats::setNames(list(value), entry$name))
  }
  if (!is.numeric(value) && !is.logical(value)) {
    abort_argument("The matrix `{entry$label}` must be of numbers, not {typeof(value)}.")
  }
  names <- if (ncol(value) > 1L) colnames(value) else ""
  if (is.null(names)) names <- as.character(seq_len(ncol(value)))
  columns <- lapply(seq_len(ncol(value)), \(k) as.double(value[, k]))
  stats::setNames(columns, paste0(entry$name, names))
}

# Which computed columns of a recipe are among `columns`, by entry.
computed_for <- function(recipe, columns) {
  Filter(\(entry) any(entry$columns %in% columns), recipe$computed)
}

# Whether a model must be trusted before it is run: it brings functions of its own.
brings_functions <- function(recipe) {
  any(vapply(recipe$computed, \(entry) length(entry$functions) > 0L, NA))
}
