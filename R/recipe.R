# The recipe: what C compiles. See formula.R for where it stands.

# `rows`: of learning_rows(): kinds of the columns, what R computed, contrasts that factors bring
# along. `levels`: of every category, by name, in the order of their codes. `contrasts`,
# `defaults`: as in glm(), and options("contrasts"). The rest is what a learner asks for:
#   extras    list(list(name, kind = "number", "level" or "bucket", may_miss, for_scoring, levels,
#             buckets)): columns that it gets beside the design
#   response  "number", "class" (0 for the first level, 1 for any other), "code" (of the level),
#             "none"; NULL: by its type
#   missing   rows with missing features stay
#   shared    slots of the one table of all hashed terms, or 0: each term has its own
#   open      hashed terms have no slots: their learner keeps a dictionary
#   hash      every category is hashed: no levels are looked for
#   coding    "full": every factor has all its levels as columns, one being enough
#   intercept FALSE: none, whatever the formula says
#   keyed     random choices are keyed by position
#   seed      of the hashes
compile_recipe <- function(plan, rows, levels, contrasts = NULL,
                           defaults = c("contr.treatment", "contr.poly"), weight = NULL,
                           offset = NULL, extras = NULL, response = NULL, missing = FALSE,
                           shared = 0, open = FALSE, hash = FALSE, keyed = FALSE, seed = 0,
                           coding = c("contrasts", "full"), intercept = plan$intercept) {
  coding <- check_choice(coding, c("contrasts", "full"))
  build <- new_build(plan, rows, levels, list(
    shared = shared, open = open, hash = hash, seed = seed
  ))
  coded <- if (coding == "contrasts") code_factors(build, rows, contrasts, defaults)
  terms <- compile_terms(build, coded)
  structure(
    list(
      variables = build$variables, intercept = intercept, terms = terms,
      response = compile_response(plan, rows, levels, response),
      weight = weight, offset = c(plan$offset, offset),
      contrasts = lapply(coded, \(code) code$choice), extras = compile_extras(extras, levels),
      missing = missing, shared = shared > 0 && !open, slots = shared, keyed = keyed,
      computed = rows$computed
    ),
    class = "riffle_recipe"
  )
}

# ---- variables -----------------------------------------------------------------------

# A recipe on its way: `variables` grow; part i of the plan is variables member[[i]] (several for a
# matrix, none for what is only hashed).
new_build <- function(plan, rows, levels, options) {
  build <- list2env(list(
    plan = plan, options = options, variables = list(), member = list(), category = logical(),
    hashed = logical()
  ))
  for (i in plan$in_terms) add_part(build, i, rows, levels)
  build
}

add_variable <- function(build, variable) {
  same <- vapply(build$variables, identical, NA, variable)
  if (any(same)) {
    return(which(same)[[1L]])
  }
  build$variables <- c(build$variables, list(variable))
  length(build$variables)
}

add_part <- function(build, i, rows, levels) {
  part <- build$plan$parts[[i]]
  label <- build$plan$label[[i]]
  key <- as.character(i)
  name <- part$column
  build$hashed[[key]] <- part$kind == "hashed"
  build$category[[key]] <- part$kind == "hashed" || rows$kind[[rows$made[[name]][[1L]]]] != "number"
  if (part$kind == "hashed" || (build$options$hash && build$category[[key]])) {
    return()
  }
  columns <- rows$made[[name]]
  if (!build$category[[key]]) {
    # A matrix of one column has R's name of a number.
    labels <- if (length(columns) == 1L) label else paste0(label, names(columns))
    build$member[[key]] <- vapply(seq_along(columns), \(k) {
      add_variable(build, list(name = columns[[k]], label = labels[[k]], kind = "number"))
    }, 1L)
    return()
  }
  own <- levels[[columns]]
  build$member[[key]] <- add_variable(build, list(
    name = unname(columns), label = label, kind = "category",
    logical = rows$kind[[columns]] == "logical", levels = as.vector(own),
    other = attr(own, "other")
  ))
}

# The variable that crosses all hashed parts and categories of a term: hashed(a):f is
# hashed(a, f).
add_hashed <- function(build, parts) {
  plan <- build$plan
  columns <- unlist(lapply(parts, \(i) {
    part <- plan$parts[[i]]
    if (part$kind == "hashed") part$columns else part$column
  }))
  bits <- unlist(lapply(parts, \(i) plan$parts[[i]]$bits))
  options <- build$options
  label <- paste(plan$label[parts], collapse = ":")
  if (!is.null(bits) && (options$shared > 0 || options$open)) {
    abort_argument("`{label}` must not have `bits`: all hashed terms share one table.")
  }
  slots <- 2^(if (is.null(bits)) 10 else max(bits))
  if (options$open) slots <- 0
  if (options$shared > 0) slots <- options$shared
  add_variable(build, list(
    name = columns[[1L]], label = label, kind = "hashed", with = columns[-1L], slots = slots,
    seed = options$seed
  ))
}

# ---- contrasts -----------------------------------------------------------------------

code_factors <- function(build, rows, contrasts, defaults) {
  factors <- Filter(\(v) v$kind == "category", build$variables)
  names(factors) <- vapply(factors, \(v) v$name, "")
  check_contrasts(contrasts, names(factors))
  lapply(factors, \(v) {
    choice <- contrasts[[v$name]]
    if (is.null(choice)) choice <- rows$own[[v$name]]
    if (is.null(choice)) choice <- defaults[[1L + v$name %in% rows$ordered]]
    contrast_coding(v$name, v$levels, v$name %in% rows$ordered, choice)
  })
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

# ---- terms ---------------------------------------------------------------------------

# Entries for C, in the order of R's columns: the variables of a product in the order of R's
# column names (the rows of the factor pattern), each with its coding, and the number of R's term.
# A term is one product, but for terms with a matrix: those have one for each of its columns.
compile_terms <- function(build, coded) {
  plan <- build$plan
  if (!length(plan$order)) {
    return(list())
  }
  pattern <- plan$factors
  if (!plan$intercept) pattern <- widen_first_factor(build, pattern)
  products <- lapply(seq_along(plan$order), \(t) {
    members <- which(pattern[, t] > 0L)
    keys <- as.character(members)
    hashes <- build$hashed[keys] | (build$options$hash & build$category[keys])
    made <- if (any(hashes)) {
      hashed_products(build, members)
    } else {
      plain_products(build, members, pattern[, t] == 2L, coded)
    }
    lapply(made, \(product) c(list(label = plan$order[[t]], assign = t), product))
  })
  unlist(products, recursive = FALSE)
}

# Without an intercept model.matrix() codes the first factor that it meets by all its levels; a
# hashed term has them all anyway.
widen_first_factor <- function(build, pattern) {
  category <- rep(FALSE, nrow(pattern))
  category[as.integer(names(build$category))] <- build$category
  at <- which(pattern > 0L & category, arr.ind = TRUE)
  if (nrow(at)) pattern[at[1L, , drop = FALSE]] <- 2L
  pattern
}

hashed_products <- function(build, members) {
  category <- build$category[as.character(members)]
  hashed <- add_hashed(build, members[category])
  numbers <- lapply(build$member[as.character(members[!category])], as.integer)
  grid <- expand_indices(lengths(numbers))
  ahead <- sum(cumsum(category) == 0L)
  lapply(seq_len(nrow(grid)), \(g) {
    chosen <- as.integer(unlist(Map(`[`, numbers, grid[g, ])))
    list(
      variables = append(chosen, hashed, ahead), codings = vector("list", length(chosen) + 1L)
    )
  })
}

# R's columns of a product vary fastest in its first variable. So do C's in one with a column for
# each number: factors that stand behind a matrix are taken a column of their coding at a time.
plain_products <- function(build, members, full, coded) {
  variables <- build$member[as.character(members)]
  codings <- lapply(members, \(i) {
    if (!build$category[[as.character(i)]]) {
      return(NULL)
    }
    variable <- build$variables[[build$member[[as.character(i)]]]]
    if (full[[i]] || is.null(coded)) {
      full_coding(variable$levels)
    } else {
      coded[[variable$name]]$coding
    }
  })
  wide <- lengths(variables) > 1L
  behind <- cumsum(wide) > 0L & !vapply(codings, is.null, NA)
  choices <- lengths(variables)
  choices[behind] <- vapply(codings[behind], \(coding) length(coding$names), 1L)
  grid <- expand_indices(choices)
  lapply(seq_len(nrow(grid)), \(g) {
    at <- grid[g, ]
    list(
      variables = unname(mapply(`[`, variables, ifelse(behind, 1L, at))),
      codings = unname(Map(\(coding, k, one) if (one) coding_column(coding, k) else coding,
        codings, at, behind))
    )
  })
}

# All indices below `sizes`, the first fastest, one row each.
expand_indices <- function(sizes) {
  if (!length(sizes)) {
    return(matrix(integer(), 1L, 0L))
  }
  n <- prod(sizes)
  before <- c(1, cumprod(sizes))
  matrix(unlist(lapply(seq_along(sizes), \(k) {
    ((seq_len(n) - 1L) %/% before[[k]]) %% sizes[[k]] + 1L
  })), nrow = n, ncol = length(sizes))
}

coding_column <- function(coding, k) {
  list(
    names = coding$names[[k]],
    select = if (!is.null(coding$select)) ifelse(coding$select == k - 1L, 0L, -1L),
    matrix = if (!is.null(coding$matrix)) coding$matrix[, k, drop = FALSE]
  )
}

# ---- response and extras -------------------------------------------------------------

# A response that is a factor or a string is a class (the first level is failure, as in glm());
# logicals and numbers are numbers.
compile_response <- function(plan, rows, levels, want) {
  if (plan$response == 0L || identical(want, "none")) {
    return(NULL)
  }
  name <- plan$column[[plan$response]]
  kind <- rows$kind[[name]]
  if (is.null(want)) want <- if (kind %in% c("number", "logical")) "number" else "class"
  if (want == "number") {
    if (!kind %in% c("number", "logical")) {
      abort_argument("The response `{name}` must be a number, not a {kind}.")
    }
    return(list(name = name, kind = "number"))
  }
  if (want == "class" && kind == "number") {
    abort_argument("The response `{name}` must be a factor, a string or a logical, not a number.")
  }
  list(name = name, kind = want, levels = as.vector(levels[[name]]))
}

compile_extras <- function(extras, levels) {
  lapply(extras, \(extra) {
    if (extra$kind == "level" && is.null(extra$levels)) {
      extra$levels <- as.vector(levels[[extra$name]])
    }
    extra
  })
}

# ---- what a recipe says --------------------------------------------------------------

# Names of the model matrix's columns, as model.matrix() makes them, and the number of the term
# of each. The slots of a shared table have no names.
design_columns <- function(recipe) {
  terms <- if (recipe$shared) {
    Filter(\(term) !term_hashed(recipe, term), recipe$terms)
  } else {
    recipe$terms
  }
  named <- lapply(terms, \(term) {
    labels <- Map(\(i, coding) {
      variable <- recipe$variables[[i]]
      if (variable$kind == "hashed") {
        paste0(variable$label, seq_len(variable$slots) - 1)
      } else if (is.null(coding)) {
        variable$label
      } else {
        paste0(variable$label, coding$names)
      }
    }, term$variables, term$codings)
    Reduce(\(first, next_one) as.vector(outer(first, next_one, paste, sep = ":")), labels)
  })
  assign <- rep(as.integer(vapply(terms, \(term) term$assign, 1)), lengths(named))
  names <- as.character(unlist(named))
  if (recipe$intercept) {
    names <- c("(Intercept)", names)
    assign <- c(0L, assign)
  }
  list(names = names, assign = assign)
}

term_hashed <- function(recipe, term) {
  any(vapply(recipe$variables[term$variables], \(v) v$kind == "hashed", NA))
}

# Columns of the indicator space that a term has: cells of its factors, or slots.
term_cells <- function(recipe, term) {
  sizes <- vapply(recipe$variables[term$variables], \(v) {
    switch(v$kind, number = 1, category = length(v$levels), v$slots)
  }, 1)
  prod(sizes)
}

# Names of the columns of frames that scoring or learning need: of the data, or made by R.
recipe_frame_columns <- function(recipe, what) {
  for_scoring <- vapply(recipe$extras, \(extra) isTRUE(extra$for_scoring), NA)
  extras <- vapply(recipe$extras, \(extra) extra$name, "")
  columns <- c(
    unlist(lapply(recipe$variables, \(v) c(v$name, v$with))), recipe$offset,
    if (what == "learn") extras else extras[for_scoring]
  )
  if (what == "learn") columns <- c(recipe$response$name, columns, recipe$weight)
  unique(as.character(columns))
}

# Names of the data's columns that scoring or learning need: for a computed column those that it
# is computed from.
recipe_columns <- function(model, what = c("score", "learn")) {
  what <- check_choice(what, c("score", "learn"))
  if (inherits(model, "riffle_live")) model <- model$model
  recipe <- model$recipe
  columns <- recipe_frame_columns(recipe, what)
  computed <- computed_for(recipe, columns)
  made <- unlist(lapply(computed, \(entry) entry$columns))
  inputs <- unlist(lapply(computed, \(entry) entry$inputs))
  unique(c(setdiff(columns, made), inputs))
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
  for (variable in x$variables) cat("  ", describe_variable(variable), "\n", sep = "")
  print_basis(x, "  ")
  terms <- unique(vapply(x$terms, \(term) term$label, ""))
  cat("  terms:", paste(c(if (x$intercept) "1" else "0", terms), collapse = " + "), "\n")
  invisible(x)
}

# Which rows the frozen parts of computed terms come from.
print_basis <- function(recipe, indent = "") {
  for (entry in recipe$computed) {
    if (is.null(entry$basis)) next
    cat(indent, entry$label, ": basis from ", entry$basis, "\n", sep = "")
  }
}

describe_variable <- function(variable) {
  switch(variable$kind,
    number = paste0(variable$name, ": number"),
    hashed = paste0(
      variable$label, ": ",
      if (variable$slots > 0) paste(big(variable$slots), "slots") else "open dictionary"
    ),
    paste0(
      variable$name, ": ", length(variable$levels), " levels (", toString(variable$levels, 60L), ")"
    )
  )
}
