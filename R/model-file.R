#' Models in files
#'
#' `write_model()` saves a model in one documented, versioned, checksummed little-endian file;
#' `read_model()` reads it back on any platform, as the same model to the last bit: it predicts
#' the same and goes on learning the same.
#'
#' @param model A model, or a live model (what it is now is written).
#' @param path Where: a string. `~` is expanded.
#' @param overwrite Whether a file that is there is replaced. It is replaced at once: at every
#'   moment the path holds the whole old file or the whole new one.
#' @param trust Whether functions in the file may be taken. They are there only when a formula
#'   uses functions of its own; such a file is refused with `trust = FALSE`, since `predict()`
#'   would run them.
#' @returns `write_model()`: `path`, invisibly. `read_model()`: the model.
#' @details
#' Reading a file never runs code that is in it. Formulas and calls are kept as text and parsed,
#' not evaluated; environments are not kept, but for the values of variables that `weights`,
#' `offset` or terms took from where the formula was written. `saveRDS()` works too, but
#' [readRDS()] of a file from somebody else may run code.
#'
#' The layout is in `vignette("internals")`. A file of a later version of riffle that needs what
#' this version does not know is refused, by name.
#' @section Errors:
#' `riffle_error_argument` for a wrong argument, or a file that is there when `overwrite` is
#' `FALSE`; `riffle_error_io` when the disk says no; `riffle_error_data` for a damaged file;
#' `riffle_error_config` for one of a later version; `riffle_error_model` when `trust` is needed.
#' @source The layout follows no other format; its checksum is CRC32C (RFC 3720).
#' @export
#' @examples
#' m <- stream_glm(mpg ~ wt + hp, mtcars)
#' path <- tempfile(fileext = ".riffle")
#' write_model(m, path)
#' again <- read_model(path)
#' identical(predict(again, mtcars), predict(m, mtcars))
write_model <- function(model, path, overwrite = FALSE) {
  if (inherits(model, "riffle_live")) model <- current_model(model)
  if (!inherits(model, "riffle_model")) {
    abort_argument("`model` must be a model or a live model, not {describe(model)}.")
  }
  check_string(path)
  check_flag(overwrite)
  full <- path.expand(path)
  if (!overwrite && file.exists(full)) {
    abort_argument("`path` must be new, or `overwrite` TRUE: there is a file `{path}`.")
  }
  meta <- unclass(model)
  state <- meta$state
  # What set_state() makes of the state is made again by the reader.
  meta <- meta[!names(meta) %in% c("state", derived_parts(model))]
  meta <- list(
    riffle = as.character(utils::packageVersion("riffle")), class = class(model), parts = pack(meta)
  )
  .Call(c_model_file_write, full, meta, state, overwrite)
  invisible(path)
}

#' @rdname write_model
#' @export
read_model <- function(path, trust = FALSE) {
  check_string(path)
  check_flag(trust)
  file <- .Call(c_model_file_read, path.expand(path))
  meta <- file$meta
  damaged <- function(e) {
    if (inherits(e, "riffle_error")) stop(e)
    abort_kind("data", "`{path}` holds no model that can be made: {conditionMessage(e)}.")
  }
  tryCatch({
    parts <- unpack(meta$parts, trust)
    known <- is.list(parts) && is.character(meta$class) && "riffle_model" %in% meta$class &&
      all(startsWith(meta$class, "riffle_"))
    if (!known) stop("it is not a model")
    set_state(structure(parts, class = meta$class), file$state)
  }, error = damaged)
}

# Parts of a model that set_state() makes of the state.
derived_parts <- function(model) {
  bare <- unclass(model)
  bare <- structure(bare[names(bare) != "state"], class = class(model))
  for (name in setdiff(names(bare), kept_parts)) bare[[name]] <- NULL
  setdiff(names(set_state(bare, model$state)), c(names(bare), "state"))
}

# What fit_rows() and the learners put into a model themselves.
kept_parts <- c(
  "call", "formula", "terms", "learner", "family", "recipe", "contrasts", "xlevels",
  "weights_call", "offset_call", "na.action", "control", "half_life", "counts", "positions"
)

# ---- values that hold no code ---------------------------------------------------------

# A model's parts as nested lists of plain vectors: list(kind, value, attributes). What cannot be
# data is kept as text: calls and formulas ("code"), families ("family"), functions ("function",
# which only a trusted reader takes), environments ("environment": their plain variables).
pack <- function(x) {
  if (inherits(x, "family")) {
    return(pack_family(x))
  }
  if (is.environment(x)) {
    return(list(kind = "environment", value = pack_environment(x)))
  }
  if (is.function(x)) {
    return(list(kind = "function", value = paste(deparse(x), collapse = "\n")))
  }
  if (is.language(x)) {
    bare <- x
    attributes(bare) <- NULL
    value <- paste(deparse(bare, width.cutoff = 500L), collapse = "\n")
    return(list(kind = "code", value = value, attributes = pack_attributes(x)))
  }
  if (is.list(x)) {
    return(list(
      kind = "list", value = lapply(unname(unclass(x)), pack), attributes = pack_attributes(x)
    ))
  }
  if (!is.null(x) && !is.atomic(x)) {
    abort_kind("model", "A model with a part of type {typeof(x)} cannot be written.")
  }
  value <- x
  attributes(value) <- NULL
  list(kind = "vector", value = value, attributes = pack_attributes(x))
}

pack_attributes <- function(x) {
  a <- attributes(x)
  a <- a[!names(a) %in% c("srcref", "wholeSrcref", "srcfile")]
  if (identical(a$row.names, seq_along(a$row.names))) a$row.names <- as.integer(a$row.names)
  lapply(a, pack)
}

# The session's and packages' environments go by name; any other by its plain variables.
pack_environment <- function(x) {
  if (identical(x, globalenv()) || isNamespace(x) || identical(x, baseenv())) {
    return(list())
  }
  names <- ls(x, all.names = TRUE)
  values <- mget(names, envir = x)
  plain <- vapply(values, \(v) is.atomic(v) && !is.null(v), NA)
  lapply(values[plain], pack)
}

# A family that C knows by its parameters; any other is its functions.
pack_family <- function(x) {
  if (is_custom(x)) {
    bare <- lapply(unname(unclass(x)), pack)
    return(list(kind = "list", value = bare, attributes = pack_attributes(x)))
  }
  kind <- if (x$family %in% names(family_codes)[1:8]) x$family else sub(" ?\\(.*", "", x$family)
  value <- list(kind = kind, family = x$family, link = x$link, variance = x$varfun)
  value$lambda <- link_spec(x)$lambda
  if (kind == "Negative Binomial") value$theta <- family_theta(x)
  if (kind == "Tweedie") value$power <- family_power(x)
  list(kind = "family", value = value)
}

unpack_family <- function(x) {
  power <- is_number(x$lambda)
  if (!power && !isTRUE(x$link %in% names(link_codes))) stop("its link is not known")
  if (x$kind == "Tweedie") {
    by_power <- if (power) x$lambda else match(x$link, c("log", "identity")) - 1
    family <- tweedie_family(x$power, by_power)
  } else if (x$kind == "Negative Binomial") {
    given <- if (power) power_link(x$lambda) else x$link
    family <- nb_family(if (x$theta > 0) x$theta, given)
  } else {
    if (!isTRUE(x$kind %in% names(family_codes)[1:8])) stop("its family is not known")
    # The families of stats look at the expression of the link: an object must come by a name.
    power_object <- if (power) stats::power(x$lambda)
    given <- list(link = if (power) quote(power_object) else x$link)
    if (x$kind == "quasi") given$variance <- x$variance
    make <- get(x$kind, asNamespace("stats"), mode = "function")
    family <- eval(as.call(c(make, given)))
  }
  family$family <- x$family
  family
}

unpack <- function(x, trust) {
  switch(x$kind,
    vector = unpack_attributes(x$value, x$attributes, trust),
    list = unpack_attributes(lapply(x$value, unpack, trust), x$attributes, trust),
    code = unpack_attributes(str2lang(x$value), x$attributes, trust),
    environment = list2env(lapply(x$value, unpack, trust), parent = globalenv()),
    family = unpack_family(x$value),
    "function" = unpack_function(x$value, trust),
    stop("a part is of unknown kind")
  )
}

unpack_attributes <- function(x, given, trust) {
  for (name in names(given)) {
    value <- unpack(given[[name]], trust)
    if (name == "class" && !all(value %in% known_classes | startsWith(value, "riffle_"))) {
      stop(paste("its class", value[[1L]], "is not known"))
    }
    attr(x, name) <- value
  }
  x
}

known_classes <- c(
  "formula", "terms", "factor", "ordered", "data.frame", "POSIXct", "POSIXt", "Date", "difftime",
  "integer64", "call", "name", "poly", "ns", "bs", "basis", "matrix", "table", "family"
)

unpack_function <- function(text, trust) {
  if (!trust) {
    abort_kind("model", c(
      "The model uses a function of its own, which predict() would run.",
      i = "Read it with `trust = TRUE` if you know where the file comes from."
    ))
  }
  eval(str2lang(text), new.env(parent = globalenv()))
}
