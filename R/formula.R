# A formula becomes a recipe: a plain list that can be printed and saved. It says which columns
# of the data are used, which levels a category has, how levels are coded in each term, and
# where response, weights and offset come from. C compiles the list to code that runs over
# frames (r_model.c); R never builds a model matrix.
#
#   parse_formula()   R's terms(): which columns, which products         -> plan
#   compile_recipe()  with the levels that the first pass found          -> recipe
#   design_columns()  the names of model.matrix() and their terms

# ---- what the formula says -----------------------------------------------------------

# `fields`: names of the data's columns that `.` may stand for.
parse_formula <- function(formula, fields, need_response = TRUE) {
  if (!inherits(formula, "formula")) {
    abort_argument("`formula` must be a formula, not {describe(formula)}.")
  }
  tt <- stats::terms(expand_dot(formula, fields))
  parts <- as.list(attr(tt, "variables"))[-1L]
  response <- attr(tt, "response")
  offset <- attr(tt, "offset")
  if (need_response && response == 0L) {
    abort_argument("`formula` must have a response on the left of `~`.")
  }
  column <- character(length(parts))
  for (i in seq_along(parts)) {
    role <- if (i == response) "response" else if (i %in% offset) "offset" else "term"
    column[[i]] <- plain_column(parts[[i]], role)
  }
  plan <- list(
    terms = tt, column = column, response = response, offset = column[offset],
    intercept = attr(tt, "intercept") == 1L, factors = attr(tt, "factors"),
    order = attr(tt, "term.labels")
  )
  if (response > 0L && length(plan$order) && any(plan$factors[response, ] > 0L)) {
    abort_argument(
      "`formula` must not have the response `{column[[response]]}` on the right of `~`."
    )
  }
  # A column that was taken out again (`. - x`) is not used: its missing values leave no row out.
  in_terms <- if (length(plan$order)) which(rowSums(plan$factors > 0L) > 0L) else integer()
  plan$used <- unique(column[sort(unique(c(response[response > 0L], offset, in_terms)))])
  plan$in_terms <- in_terms
  plan$label <- if (length(plan$order)) rownames(plan$factors) else column
  plan
}

# `.` as the sum of the fields that are not in the response. terms(data =) would do it, but warns
# of its own fault when the formula also names a column that `.` leaves out.
expand_dot <- function(formula, fields) {
  right <- formula[[length(formula)]]
  if (!"." %in% all.vars(right)) {
    return(formula)
  }
  left <- if (length(formula) == 3L) all.vars(formula[[2L]])
  columns <- lapply(setdiff(fields, left), as.name)
  sum <- if (length(columns)) Reduce(\(a, b) call("+", a, b), columns) else 1
  formula[[length(formula)]] <- do.call(substitute, list(right, list(. = call("(", sum))))
  formula
}

# The name of the column that a variable of the formula is; anything that would have to be
# computed is refused by name.
plain_column <- function(part, role) {
  if (role == "offset") part <- part[[2L]]
  if (is.symbol(part)) {
    return(as.character(part))
  }
  text <- paste(deparse(part), collapse = " ")
  if (role == "response" && is.call(part) && identical(part[[1L]], quote(cbind))) {
    abort_argument(c(
      "The response `{text}` has two columns, and must be one.",
      i = "Give the share of successes as the response and the number of trials as `weights`."
    ))
  }
  what <- switch(role,
    response = "The response",
    offset = "The offset",
    "The term"
  )
  abort_argument(c(
    "{what} `{text}` must be a column of the data, not something to compute.",
    i = "Add it to the data as a column, and use the column's name in the formula."
  ))
}

# ---- the recipe ----------------------------------------------------------------------

# `kind`: "number", "logical", "factor", "string" of every used column, by name. `levels`: of
# every category, by name, in the order of their codes. `ordered`, `own`: names of ordered
# factors, and the contrasts that factors bring along. `defaults`: options("contrasts").
compile_recipe <- function(plan, kind, levels, ordered = character(), own = list(),
                           contrasts = NULL, defaults = c("contr.treatment", "contr.poly"),
                           weight = NULL, offset = NULL) {
  in_terms <- plan$in_terms
  variables <- lapply(in_terms, \(i) {
    name <- plan$column[[i]]
    variable <- list(name = name, label = plan$label[[i]], kind = "number")
    if (kind[[name]] != "number") {
      variable$kind <- "category"
      variable$logical <- kind[[name]] == "logical"
      variable$levels <- levels[[name]]
    }
    variable
  })
  names(variables) <- plan$column[in_terms]
  category <- vapply(variables, \(v) v$kind == "category", NA)
  check_contrasts(contrasts, names(variables)[category])
  coded <- lapply(names(variables)[category], \(name) {
    choice <- contrasts[[name]]
    if (is.null(choice)) choice <- own[[name]]
    if (is.null(choice)) choice <- defaults[[1L + name %in% ordered]]
    contrast_coding(name, variables[[name]]$levels, name %in% ordered, choice)
  })
  names(coded) <- names(variables)[category]
  structure(
    list(
      variables = unname(variables), intercept = plan$intercept,
      terms = compile_terms(plan, in_terms, variables, coded),
      response = compile_response(plan, kind, levels),
      weight = weight, offset = c(plan$offset, offset),
      contrasts = lapply(coded, \(code) code$choice)
    ),
    class = "riffle_recipe"
  )
}

# A response that is a factor or a string is a class (the first level is failure, as in glm());
# logicals and numbers are numbers.
compile_response <- function(plan, kind, levels) {
  if (plan$response == 0L) {
    return(NULL)
  }
  name <- plan$column[[plan$response]]
  if (kind[[name]] %in% c("number", "logical")) {
    return(list(name = name, kind = "number"))
  }
  list(name = name, kind = "class", levels = levels[[name]])
}

# One entry a term: its variables in the order of R's column names (the rows of the factor
# pattern), each with its coding.
compile_terms <- function(plan, in_terms, variables, coded) {
  if (!length(plan$order)) {
    return(list())
  }
  pattern <- plan$factors[in_terms, , drop = FALSE]
  category <- names(variables) %in% names(coded)
  if (!plan$intercept) pattern <- widen_first_factor(pattern, category)
  lapply(seq_along(plan$order), \(t) {
    members <- which(pattern[, t] > 0L)
    codings <- lapply(members, \(i) {
      if (!category[[i]]) {
        return(NULL)
      }
      variable <- variables[[i]]
      if (pattern[i, t] == 2L) full_coding(variable$levels) else coded[[variable$name]]$coding
    })
    list(label = plan$order[[t]], variables = unname(members), codings = unname(codings))
  })
}

# Without an intercept model.matrix() codes the first factor that it meets by all its levels.
widen_first_factor <- function(pattern, category) {
  at <- which(pattern > 0L & category, arr.ind = TRUE)
  if (nrow(at)) pattern[at[1L, , drop = FALSE]] <- 2L
  pattern
}

full_coding <- function(levels) list(names = levels, select = seq_along(levels) - 1L, matrix = NULL)

# The coding of a factor by its contrasts: `select` (the column of each level, -1 for none) when
# the contrasts only pick, else the matrix. `choice`: a function's name, a function or a matrix.
contrast_coding <- function(name, levels, ordered, choice) {
  if (length(levels) < 2L) {
    abort_kind("data", c(
      "`{name}` must have two levels or more where it is coded by contrasts, not {length(levels)}.",
      i = if (length(levels)) "Its only level is {.val {levels}}: leave it out of the formula."
    ))
  }
  f <- factor(levels, levels = levels, ordered = ordered)
  stats::contrasts(f) <- choice
  matrix <- stats::contrasts(f)
  names <- colnames(matrix)
  if (is.null(names)) names <- as.character(seq_len(ncol(matrix)))
  storage.mode(matrix) <- "double"
  picks <- all(matrix %in% c(0, 1)) && all(rowSums(matrix) <= 1) && all(colSums(matrix) == 1)
  coding <- if (picks) {
    list(names = names, select = as.integer(matrix %*% seq_along(names)) - 1L, matrix = NULL)
  } else {
    list(names = names, select = NULL, matrix = unname(matrix))
  }
  kept <- attr(f, "contrasts")
  list(coding = coding, choice = if (is.null(kept)) matrix else kept)
}

check_contrasts <- function(contrasts, factors) {
  if (is.null(contrasts)) {
    return()
  }
  if (!is.list(contrasts) || is.null(names(contrasts)) || !all(nzchar(names(contrasts)))) {
    abort_argument("`contrasts` must be a list named by factors, not {describe(contrasts)}.")
  }
  unknown <- setdiff(names(contrasts), factors)
  if (length(unknown)) {
    abort_argument(
      "`contrasts` must name factors of the formula; {.val {unknown}} {?is/are} not among them."
    )
  }
}

# Names of the model matrix's columns, as model.matrix() makes them, and the number of the term
# of each.
design_columns <- function(recipe) {
  named <- lapply(recipe$terms, \(term) {
    labels <- Map(\(i, coding) {
      variable <- recipe$variables[[i]]
      if (is.null(coding)) variable$label else paste0(variable$label, coding$names)
    }, term$variables, term$codings)
    Reduce(\(first, next_one) as.vector(outer(first, next_one, paste, sep = ":")), labels)
  })
  assign <- rep(seq_along(named), lengths(named))
  names <- as.character(unlist(named))
  if (recipe$intercept) {
    names <- c("(Intercept)", names)
    assign <- c(0L, assign)
  }
  list(names = names, assign = assign)
}

# Names of the data's columns that scoring or learning need.
recipe_columns <- function(model, what = c("score", "learn")) {
  what <- check_choice(what, c("score", "learn"))
  if (inherits(model, "riffle_live")) model <- model$model
  recipe <- model$recipe
  columns <- c(vapply(recipe$variables, \(v) v$name, ""), recipe$offset)
  if (what == "learn") columns <- c(recipe$response$name, columns, recipe$weight)
  unique(columns)
}

#' @export
print.riffle_recipe <- function(x, ...) {
  response <- x$response
  columns <- design_columns(x)
  cat(sprintf(
    "<recipe: %s from %d columns, %d coefficients>\n",
    if (is.null(response)) "no response" else response$name, length(x$variables),
    length(columns$names)
  ))
  if (!is.null(response$levels)) {
    success <- toString(response$levels[-1L], 60L)
    cat(sprintf("  failure: %s; success: %s\n", response$levels[[1L]], success))
  }
  for (variable in x$variables) {
    levels <- variable$levels
    what <- if (is.null(levels)) "number" else sprintf("%d levels", length(levels))
    shown <- if (is.null(levels)) "" else paste0(" (", toString(levels, 60L), ")")
    cat("  ", variable$name, ": ", what, shown, "\n", sep = "")
  }
  terms <- vapply(x$terms, \(term) term$label, "")
  cat("  terms:", paste(c(if (x$intercept) "1" else "0", terms), collapse = " + "), "\n")
  invisible(x)
}
