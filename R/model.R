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

# ---- the fit -------------------------------------------------------------------------

# Rows -> levels -> recipe -> state -> model, for every learner. `job` holds
#   call, plan, data, extras (columns of weights and offset), calls (their expressions), subset,
#   na_action, contrasts, defaults (options("contrasts")), control, family (or NULL)
#   learner   its name in C
#   recipe    further arguments of compile_recipe(), a list
#   levels    declared levels, a list by name; or NULL
#   min_count rows below which a level is pooled into `other`; or NULL
#   check     function(rows): refuses rows that the learner cannot take; or NULL
#   options   function(recipe): the learner's options for C, a list
#   finish    function(object, frames, options): what else the model learns of its rows; or NULL
#   half_life rows after which a row counts half in updates; NULL: never
# `cut`: rows of a frame; NULL for one frame. Only tests cut.
fit_rows <- function(job, cut = NULL, class) {
  job$data <- with_budget(job$data, job$control)
  more <- job$recipe$extras
  check_trials(job$plan, job$family)
  rows <- learning_rows(job$plan, job$data, job$extras, job$subset, cut, more, job$recipe$keyed)
  if (!is.null(job$check)) job$check(rows)
  levels <- find_levels(
    job$plan, rows, job$levels, job$min_count, isTRUE(job$recipe$hash),
    isTRUE(job$recipe$missing), identical(job$recipe$response, "code"), more
  )
  recipe <- do.call(compile_recipe, c(
    list(
      job$plan, rows, levels, job$contrasts, job$defaults,
      weight = rows$extras$weights$name, offset = rows$extras$offset$name
    ),
    job$recipe
  ))
  options <- c(
    job$options(recipe), list(threads = job$control$threads, fail = job$na_action == "na.fail")
  )
  fitted <- .Call(c_model_fit, job$learner, rows$frames, recipe, options)
  tt <- job$plan$terms
  environment(tt) <- kept_environment(job, recipe)
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
  object <- set_state(object, fitted$state)
  if (is.null(job$finish)) object else job$finish(object, rows$frames, options)
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

# The formula's environment may hold the data: it is kept only for weights or an offset that are a
# vector of it. What terms took from it is in the recipe.
kept_environment <- function(job, recipe) {
  if (any(vapply(job$extras, \(extra) !is.null(extra$value), NA))) {
    return(environment(job$plan$terms))
  }
  taken <- unlist(lapply(recipe$computed, \(entry) c(entry$constants, entry$functions)),
    recursive = FALSE)
  taken <- taken[!startsWith(as.character(names(taken)), ".")]
  if (length(taken)) list2env(taken, parent = globalenv()) else globalenv()
}

factor_levels <- function(recipe) {
  is_factor <- vapply(recipe$variables, \(v) v$kind == "category" && !v$logical, NA)
  found <- lapply(recipe$variables[is_factor], \(v) v$levels)
  names(found) <- vapply(recipe$variables[is_factor], \(v) v$label, "")
  if (length(found)) found
}

# ---- rows for a model that is there --------------------------------------------------

# Scores of C: `what` is a code of the learner. Several columns come one after the other.
score_frames <- function(object, frames, what, unseen) {
  .Call(c_model_score, object$learner, object$state, object$recipe, frames, what, unseen)
}

# A model that has learnt new rows too.
learn_rows <- function(object, newdata) {
  check_data(newdata, "newdata")
  if (is_stream(newdata)) newdata <- skip_learnt(object, newdata)
  frames <- new_rows(object, newdata, "learn")
  learn_frames(widen_model(object, frames), frames)
}

# The stream from where the model's knowledge of its topic ends, and how many positions that skips.
skip_learnt <- function(object, stream) {
  learnt <- object$positions
  if (stream$kind == "bind") {
    stream$sources <- lapply(stream$sources, skip_learnt, object = object)
    return(stream)
  }
  if (stream$kind == "file") {
    return(skip_lines(learnt, stream))
  }
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
