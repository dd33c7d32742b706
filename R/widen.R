# New levels in new rows: the recipe is made anew over all levels, and the state is spread over
# it, where its learner can.

# The recipe with more levels: `more` is a list by the name of the variable. New levels come after
# the old ones, so the coefficients of those keep their meaning; contrasts that are not picked
# (sum, Helmert, polynomial) would change theirs, and are refused.
widen_recipe <- function(recipe, more) {
  wide <- vapply(recipe$variables, \(v) v$kind == "category" && v$name %in% names(more), NA)
  for (i in which(wide)) {
    v <- recipe$variables[[i]]
    recipe$variables[[i]]$levels <- c(v$levels, setdiff(more[[v$name]], v$levels))
  }
  for (t in seq_along(recipe$terms)) {
    term <- recipe$terms[[t]]
    for (k in which(wide[term$variables])) {
      v <- recipe$variables[[term$variables[[k]]]]
      recipe$terms[[t]]$codings[[k]] <- widen_coding(term$codings[[k]], v)
    }
  }
  recipe
}

widen_coding <- function(coding, variable) {
  if (is.null(coding$select)) {
    abort_kind("model", c(
      "`{variable$name}` cannot take new levels: its contrasts would change their meaning.",
      i = "Fit with treatment contrasts, or declare all levels by `levels`."
    ))
  }
  new <- variable$levels[-seq_along(coding$select)]
  list(
    names = c(coding$names, new),
    select = c(coding$select, length(coding$names) + seq_along(new) - 1L), matrix = NULL
  )
}

# Where each column of the indicator space of `recipe` is in that of `wider`, from 0.
widen_map <- function(recipe, wider) {
  to <- if (recipe$intercept) 0L else integer()
  from <- length(to)
  for (t in seq_along(recipe$terms)) {
    term <- recipe$terms[[t]]
    old <- recipe$variables[term$variables]
    new <- wider$variables[term$variables]
    cells <- term_map(old, new)
    if (!(recipe$shared && term_hashed(recipe, term))) {
      to <- c(to, as.integer(from + cells))
      from <- from + term_cells(wider, wider$terms[[t]])
    }
  }
  if (recipe$shared) to <- c(to, as.integer(from + seq_len(recipe$slots) - 1L))
  to
}

# Cells of a term, the first factor fastest.
term_map <- function(old, new) {
  maps <- Map(\(a, b) {
    switch(a$kind,
      number = 0L, hashed = seq_len(a$slots) - 1L, match(a$levels, b$levels) - 1L
    )
  }, old, new)
  sizes <- vapply(new, \(v) switch(v$kind, number = 1, hashed = v$slots, length(v$levels)), 1)
  strides <- cumprod(c(1, sizes))
  grid <- expand_indices(lengths(maps))
  cells <- numeric(nrow(grid))
  for (k in seq_along(maps)) cells <- cells + maps[[k]][grid[, k]] * strides[[k]]
  cells
}

# The model over its own levels and those of the frames; itself where there is nothing new, or
# where its learner cannot. Levels that were declared are all there are.
widen_model <- function(object, frames) {
  recipe <- object$recipe
  closed <- Filter(\(v) {
    v$kind == "category" && !v$logical && is.null(v$other) && !v$name %in% names(object$declared)
  }, recipe$variables)
  if (!length(closed) || !.Call(c_model_widens, object$learner)) {
    return(object)
  }
  names <- vapply(closed, \(v) v$name, "")
  complete <- if (recipe$missing) {
    c(recipe$response$name, recipe$weight, recipe$offset)
  } else {
    recipe_frame_columns(recipe, "learn")
  }
  found <- .Call(c_frames_levels, frames, as.character(complete), unique(names), 0L)
  more <- stats::setNames(lapply(found, as.vector), unique(names))
  new <- Map(\(v) setdiff(more[[v$name]], v$levels), closed)
  names(new) <- names
  for (v in closed) check_widened(v, new[[v$name]])
  new <- new[lengths(new) > 0L]
  if (!length(new)) {
    return(object)
  }
  wider <- widen_recipe(recipe, new)
  state <- .Call(
    c_model_widen, object$learner, object$state, wider, widen_map(recipe, wider)
  )
  object$recipe <- wider
  object$xlevels <- factor_levels(wider)
  set_state(object, state)
}

# A category that a fit would refuse is not reached by updates either.
check_widened <- function(variable, new) {
  had <- length(variable$levels)
  if (had <= max_levels && had + length(new) > max_levels) {
    abort_argument(c(
      "`{variable$name}` would have {big(had + length(new))} levels, too many for a factor.",
      i = "Use {.code hashed({variable$name})} in the formula, or pool rare levels by `min_count`."
    ))
  }
}
