# A formula becomes a recipe: a plain list that can be printed and saved. It says which columns
# are used, which levels a category has, how levels are coded in each term, and where response,
# weights and offset come from. C compiles the list to code that runs over frames (r_recipe.c);
# R never builds a model matrix.
#
#   parse_formula()   R's terms(): which columns, which products          -> plan
#   learning_rows()   the rows, and the columns that R has to compute     -> rows (model.R, terms.R)
#   find_levels()     the first pass                                      -> levels (levels.R)
#   compile_recipe()                                                      -> recipe (recipe.R)

# ---- what the formula says -----------------------------------------------------------

# `fields`: names of the data's columns that `.` may stand for. `own`: the response is not the
# recipe's matter (its learner reads plan$left itself).
#
# Each variable of the formula is a part: list(kind, column, expr), where kind is "column" (of the
# data), "computed" (by R, see terms.R), "hashed" (then `columns` and `bits` too) or "trials" (the
# response cbind(successes, failures)).
parse_formula <- function(formula, fields, need_response = TRUE, own = FALSE) {
  if (!inherits(formula, "formula")) {
    abort_argument("`formula` must be a formula, not {describe(formula)}.")
  }
  tt <- stats::terms(expand_dot(formula, fields))
  variables <- as.list(attr(tt, "variables"))[-1L]
  response <- attr(tt, "response")
  offset <- attr(tt, "offset")
  if (need_response && response == 0L) {
    abort_argument("`formula` must have a response on the left of `~`.")
  }
  order <- attr(tt, "term.labels")
  factors <- attr(tt, "factors")
  label <- if (length(order)) rownames(factors) else vapply(variables, deparse1, "")
  parts <- lapply(seq_along(variables), \(i) {
    role <- if (i == response) "response" else if (i %in% offset) "offset" else "term"
    formula_part(variables[[i]], role, label[[i]], fields)
  })
  if (response > 0L && length(order) && any(factors[response, ] > 0L)) {
    abort_argument(
      "`formula` must not have the response `{label[[response]]}` on the right of `~`."
    )
  }
  # A column that was taken out again (`. - x`) is not used: its missing values leave no row out.
  in_terms <- if (length(order)) which(rowSums(factors > 0L) > 0L) else integer()
  left <- if (response > 0L) variables[[response]]
  if (own) response <- 0L
  here <- sort(unique(c(response[response > 0L], offset, in_terms)))
  column <- vapply(parts, \(part) part$column, "")
  list(
    terms = tt, parts = parts, column = column, label = label, response = response, left = left,
    offset = unname(column[offset]), offset_at = offset, intercept = attr(tt, "intercept") == 1L,
    factors = factors, order = order, in_terms = unname(in_terms), here = unname(here)
  )
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

formula_part <- function(expr, role, label, fields) {
  if (role == "offset") expr <- expr[[2L]]
  if (is.symbol(expr)) {
    return(list(kind = "column", column = as.character(expr), expr = expr))
  }
  if (is_call_of(expr, "hashed")) {
    if (role != "term") abort_argument("`{label}` must be a term on the right of `~`.")
    return(hashed_part(expr, label))
  }
  if (role == "response" && is_call_of(expr, "cbind")) {
    if (length(expr) != 3L) {
      abort_argument("The response `{label}` must have two columns: successes and failures.")
    }
    return(list(kind = "trials", column = computed_name(label, fields), expr = expr))
  }
  if (role == "offset") label <- paste(deparse(expr, 500L), collapse = " ")
  list(kind = "computed", column = computed_name(label, fields), expr = expr)
}

is_call_of <- function(expr, name) {
  is.call(expr) && (identical(expr[[1L]], as.name(name)) ||
    identical(expr[[1L]], call("::", quote(riffle), as.name(name))))
}

# The column that R computes is called what R calls the variable, unless the data has such a
# column.
computed_name <- function(label, fields) {
  if (label %in% fields) paste0("(", label, ")") else label
}

# hashed(a, b, bits = 10): the columns that are crossed, and the bits of its own table (NULL: not
# said).
hashed_part <- function(expr, label) {
  arguments <- as.list(expr)[-1L]
  names <- if (is.null(names(arguments))) rep("", length(arguments)) else names(arguments)
  bits <- if ("bits" %in% names) eval(arguments[[match("bits", names)]], baseenv())
  if (!is.null(bits)) check_bits(bits, paste0("bits` of `", label))
  arguments <- arguments[names != "bits"]
  plain <- vapply(arguments, is.symbol, NA)
  if (!length(arguments) || !all(plain)) {
    abort_argument("`{label}` must have names of columns as its arguments, and `bits`.")
  }
  columns <- vapply(arguments, as.character, "")
  list(kind = "hashed", column = label, columns = unname(columns), bits = bits, expr = expr)
}
