# The levels of categories: declared, or found in a first pass; rare ones pooled.

max_levels <- 1000L

# `levels`: declared ones, by name; `min_count`: rows below which a level goes to `other`; `hash`:
# nobody wants levels of the terms; `missing`: features may be missing, so that a level counts
# where only the response and its like are there. Of every category the levels in the order of
# their codes, with the attribute `other`: the number of the level that stands for all others.
#
# A level counts when it occurs in a complete row. A factor of a data frame keeps its own order,
# all others are in C order (numbers: in theirs), whatever the session's collation.
find_levels <- function(plan, rows, levels = NULL, min_count = 0, hash = FALSE, missing = FALSE,
                        code = FALSE, extras = NULL) {
  if (is.null(min_count)) min_count <- 0
  features <- if (!hash) feature_categories(plan, rows)
  check_declared(levels, features)
  response <- if (plan$response > 0L) plan$column[[plan$response]]
  if (!code && !is.null(response) && rows$kind[[response]] %in% c("number", "logical")) {
    response <- NULL
  }
  wanted <- Filter(\(extra) extra$kind == "level" && is.null(extra$levels), extras)
  other <- c(response, vapply(wanted, \(extra) extra$name, ""))
  all <- unique(c(features, other))
  logical <- all[rows$kind[all] == "logical"]
  search <- setdiff(all, c(names(levels), logical))
  complete <- if (missing) setdiff(rows$used, feature_columns(plan, rows)) else rows$used
  limit <- if (min_count > 0) 0L else max_levels
  found <- .Call(c_frames_levels, rows$frames, complete, search, limit)
  out <- Map(\(name, texts) found_levels(name, texts, rows, if (name %in% features) min_count),
    stats::setNames(nm = search), found)
  out[logical] <- rep(list(c("FALSE", "TRUE")), length(logical))
  out[names(levels)] <- lapply(levels, declared_levels)
  out
}

feature_categories <- function(plan, rows) {
  parts <- Filter(\(part) part$kind != "hashed", plan$parts[plan$in_terms])
  columns <- unlist(lapply(parts, \(part) unname(rows$made[[part$column]])))
  unique(columns[rows$kind[columns] != "number"])
}

feature_columns <- function(plan, rows) {
  unlist(lapply(plan$parts[plan$in_terms], \(part) {
    if (part$kind == "hashed") part$columns else rows$made[[part$column]]
  }))
}

found_levels <- function(name, texts, rows, min_count) {
  if (is.null(texts)) {
    abort_argument(c(
      "`{name}` has more than {big(max_levels)} levels, too many for a factor.",
      i = "Use {.code hashed({name})} in the formula, or pool rare levels by `min_count`."
    ))
  }
  count <- attr(texts, "rows")
  attr(texts, "rows") <- NULL
  own <- base::levels(rows$columns[[name]])
  if (is.null(own)) own <- rows$levels[[name]]
  order <- if (!is.null(own)) {
    match(own[own %in% texts], texts)
  } else if (rows$kind[[name]] == "number") {
    order(as.numeric(texts))
  } else {
    seq_along(texts)
  }
  if (is.null(min_count) || min_count <= 1) {
    return(texts[order])
  }
  rare <- count[order] < min_count
  kept <- texts[order][!rare]
  if (any(rare) && !"other" %in% kept) kept <- c(kept, "other")
  if (length(kept) > max_levels && rows$kind[[name]] != "factor") {
    abort_argument(c(
      "`{name}` has {big(length(kept))} levels with {big(min_count)} rows or more, too many.",
      i = "Use {.code hashed({name})} in the formula, or raise `min_count`."
    ))
  }
  structure(kept, other = if ("other" %in% kept) match("other", kept))
}

declared_levels <- function(texts) {
  structure(texts, other = if ("other" %in% texts) match("other", texts))
}

check_declared <- function(levels, features) {
  if (is.null(levels)) {
    return()
  }
  if (!is.list(levels) || is.null(names(levels)) || !all(nzchar(names(levels)))) {
    abort_argument("`levels` must be a list named by columns, not {describe(levels)}.")
  }
  unknown <- setdiff(names(levels), features)
  if (length(unknown)) {
    abort_argument(
      "`levels` must name categories of the formula; {.val {unknown}} {?is/are} not among them."
    )
  }
  for (name in names(levels)) {
    texts <- levels[[name]]
    if (!is.character(texts) || !length(texts) || anyNA(texts) || anyDuplicated(texts)) {
      abort_argument(
        "`levels${name}` must be a character vector without repeats, not {describe(texts)}."
      )
    }
  }
}

check_min_count <- function(min_count) {
  if (!is.numeric(min_count) || length(min_count) != 1L || is.na(min_count) || min_count < 0) {
    abort_argument("`min_count` must be a number of rows, not {describe(min_count)}.")
  }
}
