# Which rows a learner sees: columns of a data frame or a stream, and what R computes from them, as
# frames behind a handle.

# The columns of a data frame that a plan uses, as a list. A name that is not a column may be a
# variable of the formula's environment when `env` is given: its values are taken now.
frame_columns <- function(data, names, env = NULL, arg = "data") {
  columns <- lapply(stats::setNames(nm = names), \(name) {
    if (name %in% base::names(data)) {
      return(data[[name]])
    }
    value <- if (is.null(env)) NULL else get0(name, envir = env)
    if (is.null(value) || is.function(value)) {
      abort_kind("schema", c(
        "`{arg}` has no column `{name}`, which the formula uses.",
        i = "It has {.val {base::names(data)}}."
      ))
    }
    if (length(value) != nrow(data)) {
      abort_argument(
        "`{name}` is not a column of `{arg}`, and as a variable it must have {nrow(data)} values, ",
        "not {length(value)}."
      )
    }
    value
  })
  columns
}

# `weights` and `offset` as in glm(): evaluated in the data, then where the formula was written.
# A plain column name stays a name, so that update() finds it in new rows. What can be computed
# from new rows becomes an expression with its constants frozen (terms.R); a vector of the
# caller's is a value. Both are the column `into`.
extra_column <- function(expr, data, env, arg, into) {
  if (is.null(expr)) {
    return(NULL)
  }
  if (is.symbol(expr) && as.character(expr) %in% names(data)) {
    return(list(name = as.character(expr)))
  }
  if (of_rows(expr, data, env)) {
    return(list(name = into, expr = expr, env = env))
  }
  if (is_stream(data)) {
    abort_argument("`{arg}` must be computed from columns of the stream, not `{deparse1(expr)}`.")
  }
  value <- tryCatch(eval(expr, data, env), error = \(e) {
    reason <- conditionMessage(e)
    abort_argument("`{arg}` cannot be evaluated: {reason}.")
  })
  if (is.null(value)) {
    return(NULL)
  }
  if (!is.numeric(value) || !is.null(dim(value))) {
    abort_argument("`{arg}` must be a numeric vector, not {describe(value)}.")
  }
  if (length(value) != nrow(data)) {
    abort_argument("`{arg}` must have {nrow(data)} values, one a row, not {length(value)}.")
  }
  list(name = into, value = as.double(value))
}

# Whether an expression can be computed from rows: it names a column, and what else it names is
# one value each.
of_rows <- function(expr, data, env) {
  names <- all.vars(expr)
  outside <- lapply(setdiff(names, names(data)), get0, envir = env)
  is.call(expr) && any(names %in% names(data)) && all(lengths(outside) == 1L)
}

# Rows of a data frame by number; for a stream the expression, to be computed batch by batch.
subset_rows <- function(expr, data, env) {
  if (is.null(expr)) {
    return(NULL)
  }
  if (is_stream(data)) {
    return(expr)
  }
  rows <- eval(expr, data, env)
  if (is.null(rows)) {
    return(NULL)
  }
  if (is.logical(rows)) rows <- rows & !is.na(rows)
  if (!is.logical(rows) && !is.numeric(rows)) {
    abort_argument("`subset` must be logical or row numbers, not {describe(rows)}.")
  }
  seq_len(nrow(data))[rows]
}

# ---- the rows of a fit ---------------------------------------------------------------

# Everything that a fit needs to know of its rows: kinds of the columns, which columns each part of
# the formula is (`made`), what R computed, contrasts that factors bring along, and the frames.
# `extras`: weights and offset; `more`: what else the learner asks for. `cut`: rows of a frame, for
# tests; NULL: one frame. `keyed`: where records have positions they come along.
learning_rows <- function(plan, data, extras, subset = NULL, cut = NULL, more = NULL,
                          keyed = FALSE) {
  extras <- trial_weights(plan, extras)
  wanted <- wanted_columns(plan, extras, more)
  rows <- if (is_stream(data)) {
    stream_rows(data, wanted, subset, plan, isTRUE(keyed))
  } else {
    data_rows(data, wanted, subset, plan, cut)
  }
  check_numbers(vapply(extras, \(extra) extra$name, ""), rows$kind, "The column")
  check_numbers(plan$offset, rows$kind, "The offset")
  optional <- Filter(\(extra) isTRUE(extra$may_miss), more)
  rows$used <- setdiff(names(rows$kind), vapply(optional, \(extra) extra$name, ""))
  rows$extras <- extras
  rows
}

# Which columns a fit needs: `plain` ones of the data (or of the caller's environment), `values`,
# and expressions that R computes: list(name, expr, label, env).
wanted_columns <- function(plan, extras, more) {
  env <- environment(plan$terms)
  parts <- plan$parts[plan$here]
  plain <- unlist(lapply(parts, \(part) {
    switch(part$kind, column = part$column, hashed = part$columns)
  }))
  computed <- Filter(\(part) part$kind %in% c("computed", "trials"), parts)
  computed <- lapply(computed, \(part) {
    expr <- part$expr
    if (part$kind == "trials") expr[[1L]] <- quote(.share)
    list(name = part$column, expr = expr, label = deparse1(part$expr), env = env)
  })
  given <- c(unname(extras), more)
  by_expr <- Filter(\(extra) !is.null(extra$expr), given)
  named <- Filter(\(extra) is.null(extra$expr) && is.null(extra$value), given)
  computed <- c(computed, lapply(by_expr, \(extra) {
    list(
      name = extra$name, expr = extra$expr, label = deparse1(extra$expr),
      env = if (is.null(extra$env)) env else extra$env
    )
  }))
  list(
    plain = unique(c(plain, vapply(named, \(extra) extra$name, ""))),
    computed = computed[!duplicated(vapply(computed, \(one) one$name, ""))],
    values = Filter(\(extra) !is.null(extra$value), given)
  )
}

# Of cbind(successes, failures) the weights are the trials, times the weights given.
trial_weights <- function(plan, extras) {
  part <- if (plan$response > 0L) plan$parts[[plan$response]]
  if (is.null(part) || part$kind != "trials") {
    return(extras)
  }
  given <- extras$weights
  if (!is.null(given$value)) {
    abort_argument(
      "`weights` must be computed from columns of the data where the response is `cbind()`."
    )
  }
  expr <- as.call(c(quote(.trials), as.list(part$expr)[-1L]))
  factor <- if (is.null(given$expr) && !is.null(given)) as.name(given$name) else given$expr
  if (!is.null(factor)) expr <- call("*", expr, factor)
  env <- if (is.null(given$env)) environment(plan$terms) else given$env
  extras$weights <- list(name = "(weights)", expr = expr, env = env)
  extras
}

check_trials <- function(plan, family) {
  part <- if (plan$response > 0L) plan$parts[[plan$response]]
  if (is.null(part) || part$kind != "trials") {
    return()
  }
  if (is.null(family) || !family$family %in% c("binomial", "quasibinomial")) {
    what <- if (is.null(family)) "this model" else paste("the", family$family, "family")
    abort_argument("The response `{plan$label[[plan$response]]}` must be one column for {what}.")
  }
}

# Names of the frames' columns by the part of the formula that they are.
made_by <- function(plan, computed) {
  made <- lapply(plan$parts, \(part) stats::setNames(part$column, ""))
  names(made) <- vapply(plan$parts, \(part) part$column, "")
  for (entry in computed) {
    if (entry$name %in% names(made)) {
      suffix <- substring(entry$columns, nchar(entry$name) + 1L)
      made[[entry$name]] <- stats::setNames(entry$columns, suffix)
    }
  }
  made
}

data_rows <- function(data, wanted, subset, plan, cut) {
  columns <- frame_columns(data, wanted$plain, environment(plan$terms))
  computed <- lapply(wanted$computed, \(one) {
    entry <- freeze_term(one$expr, one$label, one$name, data, one$env)
    made <- compute_term(entry, data, nrow(data))
    entry$columns <- names(made)
    list(entry = entry, made = made)
  })
  for (one in computed) columns[names(one$made)] <- one$made
  for (extra in wanted$values) columns[[extra$name]] <- extra$value
  computed <- lapply(computed, \(one) one$entry)
  kind <- vapply(names(columns), \(name) column_kind(columns[[name]], name), "")
  if (!is.null(subset)) columns <- lapply(columns, \(x) x[subset])
  rows <- as_columns(columns, if (is.null(subset)) nrow(data) else length(subset))
  list(
    kind = kind, columns = rows, frames = cut_frames(rows, cut), computed = computed,
    made = made_by(plan, computed),
    own = lapply(Filter(is.factor, columns), \(f) attr(f, "contrasts")),
    ordered = names(Filter(is.ordered, columns))
  )
}

check_numbers <- function(names, kind, what) {
  odd <- names[!kind[names] %in% "number"]
  if (length(odd)) {
    abort_argument("{what} `{odd[[1L]]}` must be a number, not a {kind[[odd[[1L]]]]}.")
  }
}

stream_rows <- function(data, wanted, subset, plan, keyed) {
  types <- stream_types(data)
  computed <- c(wanted$computed, if (!is.null(subset)) list(list(
    name = "(subset)", expr = subset, label = "subset", env = environment(plan$terms)
  )))
  inputs <- unlist(lapply(computed, \(one) intersect(all.vars(one$expr), names(types))))
  unknown <- setdiff(wanted$plain, names(types))
  if (length(unknown)) {
    abort_kind("schema", c(
      "The stream has no field {.val {unknown}}, which the formula uses.",
      i = "Its fields are {.val {names(types)}}.",
      i = "A variable of the session cannot stand for a column of a stream."
    ))
  }
  kind <- vapply(wanted$plain, \(name) stream_kind(types[[name]], name), "")
  fields <- unique(c(wanted$plain, inputs, if (keyed && data$kind == "kafka") ".offset"))
  frames <- stream_frames(data, fields)
  if (!length(computed)) {
    return(list(
      kind = kind, columns = NULL, frames = frames, computed = list(), made = made_by(plan, list()),
      own = list(), ordered = character()
    ))
  }
  entries <- freeze_stream_terms(computed, frames, unique(inputs))
  made <- widen_frames(frames, entries, data$budget)
  entries <- Filter(\(entry) entry$name != "(subset)", made$entries)
  list(
    kind = c(kind, made$kind), columns = NULL, frames = made$frames, computed = entries,
    made = made_by(plan, entries), own = list(), ordered = made$ordered, levels = made$levels
  )
}

# How many rows of a stream a basis is taken from: all of them, or the first.
basis_rows <- list(all = 1e6, first = 1e5)

freeze_stream_terms <- function(computed, frames, inputs) {
  total <- .Call(c_frames_rows, frames)
  limit <- if (total <= basis_rows$all) total else basis_rows$first
  parts <- list()
  n <- 0
  for (k in seq_len(.Call(c_frames_count, frames))) {
    if (n >= limit && k > 1L) break
    parts[[k]] <- frames_to_df(.Call(c_frames_slice, frames, k, inputs))
    n <- n + nrow(parts[[k]])
  }
  data <- utils::head(do.call(rbind, parts), limit)
  basis <- if (total <= limit) "all rows" else paste("the first", big(limit), "rows")
  lapply(computed, \(one) freeze_term(one$expr, one$label, one$name, data, one$env, basis))
}

# Frames with the columns that R computes, frame by frame. A factor travels as its texts; levels
# that all frames share keep their order. An entry named "(subset)" tells which rows stay.
widen_frames <- function(frames, entries, budget) {
  wide <- .Call(c_frames_new, if (!is.null(budget)) budget$memory * 1e6, budget$folder)
  kind <- character()
  ordered <- character()
  levels <- list()
  for (k in seq_len(.Call(c_frames_count, frames))) {
    inputs <- unique(unlist(lapply(entries, \(entry) entry$inputs)))
    data <- frames_to_df(.Call(c_frames_slice, frames, k, inputs))
    made <- lapply(entries, compute_term, data, nrow(data))
    for (e in seq_along(entries)) entries[[e]]$columns <- names(made[[e]])
    columns <- do.call(c, made)
    kind <- vapply(names(columns), \(name) column_kind(columns[[name]], name), "")
    for (name in names(Filter(is.factor, columns))) {
      levels[[name]] <- join_levels(levels[[name]], base::levels(columns[[name]]), k)
    }
    ordered <- names(Filter(is.ordered, columns))
    keep <- columns[["(subset)"]]
    columns <- lapply(columns[names(columns) != "(subset)"], travelling)
    columns <- as_columns(columns, nrow(data))
    schema <- fields_of(columns)
    .Call(
      c_frames_widen, wide, frames, k, plain_columns(columns, schema$type), unclass(schema),
      if (!is.null(keep)) as_kept(keep)
    )
  }
  kind[kind == "factor"] <- "string"
  list(
    frames = .Call(c_frames_sort, wide, 0), entries = entries,
    kind = kind[names(kind) != "(subset)"], ordered = ordered,
    levels = lapply(levels, \(one) if (isTRUE(one$same)) one$levels)
  )
}

# Frame k's levels and those before: the same in all, or nobody's order.
join_levels <- function(before, levels, k) {
  if (is.null(before)) {
    return(list(levels = levels, same = k == 1L))
  }
  same <- before$same && identical(before$levels, levels)
  both <- union(before$levels, levels)
  number <- suppressWarnings(as.numeric(both))
  list(levels = if (anyNA(number)) both else both[order(number)], same = same || !anyNA(number))
}

travelling <- function(x) {
  if (is.factor(x)) as.character(x) else if (is.integer(x)) as.double(x) else x
}

as_kept <- function(keep) {
  if (!is.logical(keep)) {
    abort_argument("`subset` must be logical for a stream, not of type {typeof(keep)}.")
  }
  keep & !is.na(keep)
}

# A list of columns as a data frame, without any of data.frame()'s conversions.
as_columns <- function(columns, n) {
  structure(columns, class = "data.frame", row.names = .set_row_names(n))
}

cut_frames <- function(rows, cut) {
  if (is.null(cut)) {
    return(df_frames(rows))
  }
  starts <- seq(1L, max(1L, nrow(rows)), by = cut)
  .Call(c_frames_join, lapply(starts, \(from) {
    upto <- min(nrow(rows), from + cut - 1L)
    df_frames(rows[seq_len(upto - from + 1L) + from - 1L, , drop = FALSE])
  }))
}

# ---- rows for a model that is there --------------------------------------------------

# The frames of new rows: the columns that scoring or learning need, by name, and what R computes
# from them.
new_rows <- function(object, newdata, what, cut = NULL) {
  check_data(newdata, "newdata")
  needed <- recipe_frame_columns(object$recipe, what)
  computed <- computed_for(object$recipe, needed)
  plain <- setdiff(needed, unlist(lapply(computed, \(entry) entry$columns)))
  if (is_stream(newdata)) {
    return(new_stream_rows(object, with_budget(newdata, object$control), plain, computed))
  }
  env <- environment(object$terms)
  given <- list("(weights)" = object$weights_call, "(offset)" = object$offset_call)
  given <- given[intersect(plain, names(given))]
  columns <- frame_columns(newdata, setdiff(plain, names(given)), arg = "newdata")
  for (name in names(given)) {
    arg <- if (name == "(weights)") "weights" else "offset"
    columns[[name]] <- extra_column(given[[name]], newdata, env, arg, name)$value
  }
  for (entry in computed) {
    inputs <- frame_columns(newdata, entry$inputs, arg = "newdata")
    made <- compute_term(entry, inputs, nrow(newdata))
    columns[names(made)] <- made
  }
  # Frames without a column have no rows, and a model of the mean alone needs none.
  if (!length(columns)) columns <- list(.row = numeric(nrow(newdata)))
  cut_frames(as_columns(columns, nrow(newdata)), cut)
}

new_stream_rows <- function(object, stream, plain, computed) {
  inputs <- unlist(lapply(computed, \(entry) entry$inputs))
  fields <- unique(c(
    plain, inputs, if (object$recipe$keyed && stream$kind == "kafka") ".offset"
  ))
  frames <- stream_frames(stream, if (length(fields)) fields else names(stream)[[1L]])
  if (!length(computed)) {
    return(frames)
  }
  widen_frames(frames, computed, stream$budget)$frames
}

# A query runs without R.
check_no_computed <- function(model, verb) {
  if (inherits(model, "riffle_live")) model <- model$model
  computed <- model$recipe$computed
  if (length(computed)) {
    abort_kind("model", c(
      "`{verb}` needs a model without terms that R computes, such as `{computed[[1L]]$label}`.",
      i = "Make it a field of the records, and use the field in the formula."
    ))
  }
}
