# What every learner's R side shares: which rows it learns from or scores, the levels they have,
# the recipe over them. Rows travel as frames in memory behind a handle (df_frames(),
# stream_frames()); nothing here does arithmetic on them.

# ---- sources of rows -----------------------------------------------------------------

is_stream <- function(data) inherits(data, "riffle_stream")

check_data <- function(data, arg = "data") {
  if (is.function(data) || inherits(data, "family")) {
    abort_argument("`{arg}` is a family: name it, as in `family = binomial`.")
  }
  if (!is.data.frame(data) && !is_stream(data)) {
    abort_argument("`{arg}` must be a data frame or a stream, not {describe(data)}.")
  }
}

# Names that `.` stands for: metadata (a leading dot) and raw columns are left out.
data_fields <- function(data) {
  raw <- if (is_stream(data)) {
    stream_types(data) == "raw"
  } else {
    vapply(data, \(x) is.raw(x) || is.list(x), NA)
  }
  fields <- names(data)[!raw]
  fields[!startsWith(fields, ".")]
}

stream_types <- function(x) stats::setNames(x$schema$type, x$schema$name)

column_kind <- function(x, name) {
  if (is.null(dim(x))) {
    if (is.factor(x)) {
      return("factor")
    }
    if (is.character(x)) {
      return("string")
    }
    if (is.logical(x)) {
      return("logical")
    }
    if (is.numeric(x) || inherits(x, c("Date", "POSIXct", "difftime", "integer64"))) {
      return("number")
    }
  }
  what <- if (is.null(dim(x))) describe(x) else "a matrix"
  abort_argument("`{name}` must be a number, a factor, a string or a logical, not {what}.")
}

stream_kind <- function(type, name) {
  switch(type,
    factor = "factor",
    string = "string",
    logical = "logical",
    raw = abort_argument("`{name}` must be a number, a factor, a string or a logical, not raw."),
    "number"
  )
}

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
# A plain column name stays a name, so that update() finds it in new rows; anything else becomes
# the column `into`.
extra_column <- function(expr, data, env, arg, into) {
  if (is.null(expr)) {
    return(NULL)
  }
  if (is.symbol(expr) && as.character(expr) %in% names(data)) {
    return(list(name = as.character(expr), value = NULL))
  }
  if (is_stream(data)) {
    abort_argument("`{arg}` must be a column of the stream, not `{deparse1(expr)}`.")
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

subset_rows <- function(expr, data, env) {
  if (is.null(expr)) {
    return(NULL)
  }
  if (is_stream(data)) {
    abort_argument("`subset` must be left out for a stream: it is evaluated in a data frame.")
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

# Everything that a fit needs to know of its rows: kinds of the columns, contrasts that factors
# bring along, and the frames. `cut`: rows of a frame, for tests; NULL: one frame.
learning_rows <- function(plan, data, extras, subset = NULL, cut = NULL) {
  if (is_stream(data)) {
    return(stream_rows(plan, data, extras))
  }
  columns <- frame_columns(data, plan$used, environment(plan$terms))
  kind <- vapply(names(columns), \(name) column_kind(columns[[name]], name), "")
  for (extra in extras) {
    value <- extra$value
    if (is.null(value)) {
      value <- data[[extra$name]]
      if (!is.numeric(value)) {
        abort_argument("The column `{extra$name}` must be numeric, not {describe(value)}.")
      }
    }
    columns[[extra$name]] <- value
  }
  if (!is.null(subset)) columns <- lapply(columns, \(x) x[subset])
  rows <- as_columns(columns, if (is.null(subset)) nrow(data) else length(subset))
  check_offsets(plan, kind)
  list(
    kind = kind, columns = rows, used = names(rows), frames = cut_frames(rows, cut),
    own = lapply(Filter(is.factor, columns), \(f) attr(f, "contrasts")),
    ordered = names(Filter(is.ordered, columns))
  )
}

check_offsets <- function(plan, kind) {
  odd <- plan$offset[kind[plan$offset] != "number"]
  if (length(odd)) {
    abort_argument("The offset `{odd[[1L]]}` must be a number, not a {kind[[odd[[1L]]]]}.")
  }
}

stream_rows <- function(plan, data, extras) {
  types <- stream_types(data)
  unknown <- setdiff(plan$used, names(types))
  if (length(unknown)) {
    abort_kind("schema", c(
      "The stream has no field {.val {unknown}}, which the formula uses.",
      i = "Its fields are {.val {names(types)}}.",
      i = "A variable of the session cannot stand for a column of a stream."
    ))
  }
  kind <- vapply(plan$used, \(name) stream_kind(types[[name]], name), "")
  fields <- unique(c(plan$used, vapply(extras, \(extra) extra$name, "")))
  check_offsets(plan, kind)
  list(
    kind = kind, columns = NULL, used = fields, frames = stream_frames(data, fields),
    own = list(), ordered = character()
  )
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

# ---- levels --------------------------------------------------------------------------

max_levels <- 1000L

# The levels of every category that occur in complete rows: a factor of a data frame keeps its
# own order, all others are in C order, whatever the session's collation.
find_levels <- function(plan, rows) {
  category <- plan$used[rows$kind[plan$used] %in% c("factor", "string")]
  found <- .Call(c_frames_levels, rows$frames, rows$used, category, max_levels)
  levels <- stats::setNames(found, category)
  for (name in category) {
    if (is.null(levels[[name]])) {
      abort_argument(c(
        "`{name}` has more than {big(max_levels)} levels, too many for a factor.",
        i = "Declare fewer levels, or drop it from the formula."
      ))
    }
    own <- base::levels(rows$columns[[name]])
    if (!is.null(own)) levels[[name]] <- own[own %in% levels[[name]]]
  }
  logical <- names(rows$kind)[rows$kind == "logical"]
  levels[logical] <- rep(list(c("FALSE", "TRUE")), length(logical))
  levels
}

# ---- the fit -------------------------------------------------------------------------

# Rows -> levels -> recipe -> state -> model, for every learner. `job` holds
#   call, plan, data, extras (columns of weights and offset), calls (their expressions), subset,
#   na_action, contrasts, defaults (options("contrasts")), control, family (or NULL)
#   learner   its name in C
#   recipe    further arguments of compile_recipe(), a list
#   check     function(rows): refuses rows that the learner cannot take; or NULL
#   options   function(recipe): the learner's options for C, a list
#   half_life rows after which a row counts half in updates; NULL: never
# `cut`: rows of a frame; NULL for one frame. Only tests cut.
fit_rows <- function(job, cut = NULL, class) {
  job$data <- with_budget(job$data, job$control)
  rows <- learning_rows(job$plan, job$data, job$extras, job$subset, cut)
  if (!is.null(job$check)) job$check(rows)
  recipe <- do.call(compile_recipe, c(
    list(
      job$plan, rows$kind, find_levels(job$plan, rows), rows$ordered, rows$own, job$contrasts,
      job$defaults,
      weight = job$extras$weights$name, offset = job$extras$offset$name
    ),
    job$recipe
  ))
  options <- c(
    job$options(recipe), list(threads = job$control$threads, fail = job$na_action == "na.fail")
  )
  fitted <- .Call(c_model_fit, job$learner, rows$frames, recipe, options)
  tt <- job$plan$terms
  environment(tt) <- kept_environment(job)
  object <- structure(
    list(
      call = job$call, formula = stats::formula(tt), terms = tt, learner = job$learner,
      family = job$family, recipe = recipe,
      contrasts = if (length(recipe$contrasts)) recipe$contrasts,
      xlevels = factor_levels(recipe), weights_call = job$call$weights,
      offset_call = job$call$offset, na.action = job$na_action, control = job$control,
      half_life = if (is.null(job$half_life)) Inf else job$half_life,
      counts = fitted$counts, positions = frames_positions(rows$frames)
    ),
    class = c(class, "riffle_model")
  )
  set_state(object, fitted$state)
}

# The value that holds `state` (the learner's bytes) and what R shows of it. It sets `state` and
# `version`.
set_state <- function(object, state) UseMethod("set_state")

# What a query may write as a score: names of types, and their codes in C.
score_types <- function(object) UseMethod("score_types")

# What a row's weight becomes with every row that follows.
row_keep <- function(object) 0.5^(1 / object$half_life)

check_na_action <- function(action) {
  known <- c("na.omit", "na.exclude", "na.fail")
  if (is.character(action) && length(action) == 1L && action %in% known) {
    return(action)
  }
  for (name in known) {
    if (identical(action, get(name, envir = asNamespace("stats")))) {
      return(name)
    }
  }
  abort_argument("`na.action` must be na.omit, na.exclude or na.fail.")
}

# The call without the rows that do.call() may have put into it.
tidy_call <- function(call, verb) {
  if (is.function(call[[1L]])) call[[1L]] <- verb
  if (inherits(call$formula, "formula")) environment(call$formula) <- globalenv()
  for (name in intersect(c("data", "weights", "offset", "subset"), names(call))) {
    if (!is.language(call[[name]])) call[[name]] <- as.name(name)
  }
  call
}

# The formula's environment may hold the data: it is kept only for weights or an offset that are
# computed from variables of it.
kept_environment <- function(job) {
  outside <- setdiff(unlist(lapply(job$calls, all.vars)), names(job$data))
  if (length(outside)) environment(job$plan$terms) else globalenv()
}

factor_levels <- function(recipe) {
  is_factor <- vapply(recipe$variables, \(v) v$kind == "category" && !v$logical, NA)
  found <- lapply(recipe$variables[is_factor], \(v) v$levels)
  names(found) <- vapply(recipe$variables[is_factor], \(v) v$label, "")
  if (length(found)) found
}

# ---- rows for a model that is there --------------------------------------------------

# The frames of new rows: the columns that scoring or learning need, by name, and weights and
# offset that are expressions.
new_rows <- function(object, newdata, what, cut = NULL) {
  check_data(newdata, "newdata")
  needed <- recipe_columns(object, what)
  if (is_stream(newdata)) {
    newdata <- with_budget(newdata, object$control)
    return(stream_frames(newdata, if (length(needed)) needed else names(newdata)[[1L]]))
  }
  env <- environment(object$terms)
  given <- list("(weights)" = object$weights_call, "(offset)" = object$offset_call)
  made <- lapply(intersect(needed, names(given)), \(name) {
    arg <- if (name == "(weights)") "weights" else "offset"
    extra_column(given[[name]], newdata, env, arg, name)
  })
  plain <- setdiff(needed, names(given))
  columns <- frame_columns(newdata, plain, arg = "newdata")
  # Frames without a column have no rows, and a model of the mean alone needs none.
  if (!length(columns)) columns <- list(.row = numeric(nrow(newdata)))
  for (extra in made) columns[[extra$name]] <- extra$value
  cut_frames(as_columns(columns, nrow(newdata)), cut)
}

# Scores of C: `what` is a code of the learner. Several columns come one after the other.
score_frames <- function(object, frames, what, unseen) {
  .Call(c_model_score, object$learner, object$state, object$recipe, frames, what, unseen)
}

# A model that has learnt new rows too.
learn_rows <- function(object, newdata) {
  check_data(newdata, "newdata")
  if (is_stream(newdata)) newdata <- skip_learnt(object, newdata)
  learn_frames(object, new_rows(object, newdata, "learn"))
}

# The stream from where the model's knowledge of its topic ends, and how many positions that skips.
skip_learnt <- function(object, stream) {
  learnt <- object$positions
  learnt <- learnt[as.character(learnt$topic) == stream$topic, , drop = FALSE]
  if (stream$kind != "kafka" || !nrow(learnt)) {
    return(stream)
  }
  now <- kafka_offsets(stream$k, stream$topic, at = stream$from)
  known <- learnt$offset[match(now$partition, learnt$partition)]
  from <- pmax(now$offset, known, na.rm = TRUE)
  skipped <- sum(pmin(from, now$latest) - pmin(now$offset, now$latest))
  if (skipped > 0) {
    cli::cli_inform(
      paste(
        "{big(skipped)}{cli::qty(skipped)} position{?s} of topic `{stream$topic}`",
        "{?is/are} learnt already and skipped."
      ),
      class = c("riffle_message_skipped", "riffle_message")
    )
    stream$from <- data.frame(partition = now$partition, offset = from)
  }
  stream
}

learn_frames <- function(object, frames, unseen = "error") {
  learnt <- .Call(c_model_learn, object$learner, object$state, object$recipe, frames, list(
    block = object$control$block, unseen = unseen_codes[[unseen]], keep = row_keep(object)
  ))
  object$counts <- add_counts(object$counts, learnt$counts)
  object$positions <- join_positions(object$positions, frames_positions(frames))
  set_state(object, learnt$state)
}

add_counts <- function(a, b) {
  sums <- setdiff(names(a), "first_unseen")
  a[sums] <- Map(`+`, a[sums], b[sums])
  if (!nzchar(a$first_unseen)) a$first_unseen <- b$first_unseen
  a
}

# The farther position of every partition.
join_positions <- function(a, b) {
  both <- rbind(a, b)
  if (!NROW(both)) {
    return(both)
  }
  both <- both[order(both$topic, both$partition, -both$offset, method = "radix"), , drop = FALSE]
  both <- both[!duplicated(both[c("topic", "partition")]), , drop = FALSE]
  rownames(both) <- NULL
  both
}

# `unseen` and `na.action` as C knows them.
unseen_codes <- c(error = 0L, na = 1L, reference = 2L)

warn_unseen <- function(counts, unseen) {
  if (counts$unseen > 0 && unseen != "error") {
    what <- if (unseen == "na") "the prediction is NA" else "the first level stands for them"
    n <- counts$unseen
    warn_kind("unseen", c(
      "{big(n)}{cli::qty(n)} row{?s} {?has/have} a level that the model has not seen: {what}.",
      i = "The first is {counts$first_unseen}."
    ))
  }
}

abort_keeps_no_rows <- function(verb, rows = "newdata") {
  abort_argument(c(
    "`newdata` must be given: the model keeps no rows.",
    i = "Use {.code {verb}(model, {rows})}."
  ))
}
