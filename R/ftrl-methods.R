#' What an FTRL model tells and predicts
#'
#' @param x,object A model from [stream_ftrl()].
#' @param newdata A data frame or a stream with the columns of the formula; for `update()` with
#'   the response, and with rows to learn.
#' @param type `"link"` (the linear predictor) or `"response"` (a mean or a probability).
#' @param se.fit Must be `FALSE`: an online model with decaying rates has no standard errors.
#' @param na.action What becomes of missing predictions: `na.pass` keeps them.
#' @param data For `coef()` and `tidy()`: a data frame or a stream whose values are looked up,
#'   since a model keeps no names; or `NULL`.
#' @param ... Unused.
#' @returns `predict()`: a numeric vector named by the rows of `newdata`. `update()`: a new model
#'   that has learnt the rows too. `coef()` without `data`: the intercept and the coefficients of
#'   the numbers, on the scale of the data; with `data`: a data frame with a row for every value
#'   that occurs in it: `term`, `value`, `slot` (`NA` in a dictionary), `weight` (0: nothing
#'   learnt), `shared` (whether another value of `data` has the same slot). `tidy()`: the
#'   coefficients, or the weights of the values of `data`, as a data frame with `term` and
#'   `estimate`. `glance()`: a data frame with one row: `nobs`, `loss` (mean progressive loss),
#'   `base.loss` (of the best constant, known afterwards), `normalised.loss` (their ratio; for
#'   binomial the normalised entropy), and what fills the table.
#' @details
#' The progressive loss is the mean, by weight, of the loss of each row's prediction before the
#' row was learnt: the log loss for binomial, half the squared error for gaussian, half the
#' deviance for poisson. With `keep_negatives` below 1 it is that of the rows that were kept, by
#' their weights, which estimates the loss over all rows.
#'
#' How many values share a slot is estimated from the slots that are in use (linear counting);
#' names are not kept.
#' @source As for [stream_ftrl()].
#' @name ftrl-methods
#' @aliases predict.riffle_ftrl update.riffle_ftrl
#' @examples
#' d <- sim_adclicks(5000, seed = 1)
#' m <- stream_ftrl(click ~ ad_id + device + quality, d[1:4000, ], slots = 2^16)
#' predict(m, d[1:3, ])
#' m2 <- update(m, d[4001:5000, ])
#' coef(m2)
#' head(coef(m2, d))
#' glance(m2)
NULL

# ---- words ---------------------------------------------------------------------------

#' @rdname ftrl-methods
#' @export
print.riffle_ftrl <- function(x, ...) {
  cat("\nFTRL-proximal, ", x$family$family, ": ", deparse1(x$formula), "\n", sep = "")
  cat(ftrl_lines(x), sep = "\n")
  cat("\n")
  invisible(x)
}

ftrl_lines <- function(x) {
  fit <- x$fit
  counts <- x$counts
  left <- c(
    if (counts$missing > 0) sprintf("%s left out (a missing response)", big(counts$missing)),
    if (fit$kept < fit$rows) sprintf("%s learnt", big(fit$kept))
  )
  c(
    paste0("Rows: ", big(fit$rows), if (length(left)) paste0(", ", paste(left, collapse = ", "))),
    loss_line(x), table_line(x$control, fit)
  )
}

loss_names <- c(
  binomial = "log loss", gaussian = "half squared error", poisson = "half deviance"
)

loss_line <- function(x) {
  fit <- x$fit
  if (is.na(fit$loss)) {
    return("Progressive loss: nothing learnt yet")
  }
  ratio <- if (fit$base_loss > 0) {
    sprintf("; %s of the best constant's", format(fit$loss / fit$base_loss, digits = 4L))
  }
  paste0(
    "Progressive ", loss_names[[x$family$family]], ": ", format(fit$loss, digits = 5L), ratio
  )
}

table_line <- function(control, fit) {
  size <- format(structure(fit$size, class = "object_size"), units = "auto", standard = "SI")
  if (is.null(control$slots)) {
    return(sprintf(
      "Dictionary: %s values, %s, as %ss", big(fit$entries), size, control$precision
    ))
  }
  share <- format(100 * fit$shared, digits = 2L)
  c(
    sprintf("Table: %s slots of %ss, %s", big(fit$slots), control$precision, size),
    sprintf(
      "  %s in use by about %s values, of which %s %% share a slot", big(fit$occupied),
      if (is.finite(fit$distinct)) big(round(fit$distinct)) else "too many", share
    )
  )
}

#' @rdname ftrl-methods
#' @export
summary.riffle_ftrl <- function(object, ...) {
  structure(
    c(
      object[c("call", "formula", "family", "coefficients", "fit", "control", "counts")],
      list(lines = ftrl_lines(object))
    ),
    class = "summary.riffle_ftrl"
  )
}

#' @rdname ftrl-methods
#' @export
print.summary.riffle_ftrl <- function(x, ...) {
  cat("\nCall:\n", paste(deparse(x$call), collapse = "\n"), "\n\n", sep = "")
  if (length(x$coefficients)) {
    cat("Coefficients that are not of categories:\n")
    print.default(format(x$coefficients, digits = 4L), print.gap = 2L, quote = FALSE)
    cat("\n")
  }
  cat(x$lines, sep = "\n")
  shown <- c("learn_rate", "learn_offset", "bias_rate", "l1", "l2", "half_life", "passes")
  values <- vapply(x$control[shown], format, "", digits = 6L)
  cat("Settings:", paste(shown, values, sep = " = ", collapse = ", "), "\n")
  if (x$control$keep_negatives < 1) {
    cat("Negatives kept: ", format(x$control$keep_negatives), ", seed ", big(x$control$seed),
      "\n",
      sep = ""
    )
  }
  cat("\n")
  invisible(x)
}

# ---- values --------------------------------------------------------------------------

# Terms of numbers only, by label; and terms with a category, in the order of C's audit.
is_number_term <- function(recipe) {
  vapply(recipe$terms, \(term) {
    all(vapply(recipe$variables[term$variables], \(v) v$kind == "number", NA))
  }, NA)
}

number_terms <- function(recipe) {
  vapply(recipe$terms[is_number_term(recipe)], \(term) term$label, "")
}

#' @rdname ftrl-methods
#' @export
coef.riffle_ftrl <- function(object, data = NULL, ...) {
  if (is.null(data)) {
    return(object$coefficients)
  }
  check_data(data)
  if (is_stream(data)) data <- as.data.frame(data)
  audited <- score_frames(
    object, new_rows(object, data, "score"), ftrl_codes[["audit"]], unseen_codes[["na"]]
  )
  found <- matrix(audited$scores, nrow(data))
  terms <- object$recipe$terms[!is_number_term(object$recipe)]
  tables <- lapply(seq_along(terms), \(k) {
    value <- term_values(object$recipe, terms[[k]], data)
    first <- which(!duplicated(value))
    data.frame(
      term = rep(terms[[k]]$label, length(first)), value = value[first],
      slot = found[first, 2L * k], weight = found[first, 2L * k - 1L]
    )
  })
  out <- do.call(rbind, tables)
  if (is.null(out)) {
    out <- data.frame(
      term = character(), value = character(), slot = numeric(), weight = numeric()
    )
  }
  out <- out[order(out$term, out$value, method = "radix"), , drop = FALSE]
  rownames(out) <- NULL
  out$slot[is.nan(out$slot)] <- NA_real_
  again <- duplicated(out$slot) | duplicated(out$slot, fromLast = TRUE)
  out$shared <- !is.na(out$slot) & again
  out
}

# The texts of a term's categories in every row, joined by colons.
term_values <- function(recipe, term, data) {
  category <- Filter(\(v) v$kind != "number", recipe$variables[term$variables])
  columns <- unlist(lapply(category, \(v) c(v$name, v$with)))
  do.call(paste, c(lapply(columns, \(name) as.character(data[[name]])), sep = ":"))
}

#' @rdname ftrl-methods
#' @export
tidy.riffle_ftrl <- function(x, data = NULL, ...) {
  if (is.null(data)) {
    b <- x$coefficients
    return(data.frame(term = names(b), estimate = unname(b)))
  }
  values <- coef.riffle_ftrl(x, data)
  data.frame(term = paste(values$term, values$value, sep = "="), estimate = values$weight)
}

#' @rdname ftrl-methods
#' @export
glance.riffle_ftrl <- function(x, ...) {
  fit <- x$fit
  data.frame(
    nobs = fit$rows, kept = fit$kept, loss = fit$loss, base.loss = fit$base_loss,
    normalised.loss = fit$loss / fit$base_loss, slots = fit$slots, occupied = fit$occupied,
    non.zero = fit$non_zero, distinct = fit$distinct, shared = fit$shared,
    entries = fit$entries, size = fit$size
  )
}

#' @export
nobs.riffle_ftrl <- function(object, ...) object$fit$rows

#' @export
family.riffle_ftrl <- function(object, ...) object$family

#' @export
formula.riffle_ftrl <- function(x, ...) x$formula

#' @export
terms.riffle_ftrl <- function(x, ...) x$terms

#' @export
vcov.riffle_ftrl <- function(object, ...) refuse_errors()

#' @export
confint.riffle_ftrl <- function(object, ...) refuse_errors()

#' @export
logLik.riffle_ftrl <- function(object, ...) {
  abort_kind("model", c(
    "An FTRL model has no likelihood: its weights are not those of a maximum.",
    i = "{.code glance(m)} has its progressive loss."
  ))
}

refuse_errors <- function() {
  abort_kind("model", c(
    "An FTRL model has no standard errors: its weights are penalised and its rates decay.",
    i = "{.code stream_glm()} has them, online too."
  ))
}

# ---- predict and update --------------------------------------------------------------

#' @rdname ftrl-methods
#' @export
predict.riffle_ftrl <- function(object, newdata, type = c("link", "response"), se.fit = FALSE,
                                na.action = na.pass, ...) {
  if (missing(newdata)) abort_keeps_no_rows("predict")
  type <- check_choice(type, c("link", "response"))
  check_flag(se.fit)
  if (se.fit) refuse_errors()
  frames <- new_rows(object, newdata, "score")
  codes <- list(ftrl_codes[[type]], unseen_codes[["na"]])
  scored <- if (is.null(object$live)) {
    score_frames(object, frames, codes[[1L]], codes[[2L]])
  } else {
    .Call(c_live_score, object$live, frames, codes[[1L]], codes[[2L]])
  }
  names <- if (is.data.frame(newdata)) row.names(newdata)
  na.action(named_rows(scored$scores, names))
}

#' @rdname ftrl-methods
#' @export
update.riffle_ftrl <- function(object, newdata, ...) {
  if (missing(newdata) || inherits(newdata, "formula")) {
    abort_argument(c(
      "`newdata` must be rows to learn: a data frame or a stream.",
      i = "To change the formula, fit anew by {.code stream_ftrl()}."
    ))
  }
  object$recipe$keyed <- ftrl_keyed(object$control, newdata)
  learn_rows(object, newdata)
}
