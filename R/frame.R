# Between data frames and frames of the core. R keeps classes and encodings here; C moves the
# values (src/r_table.c, src/r_frame.c).

# The fields of a data frame, as a schema.
fields_of <- function(data, arg = "x") {
  type <- vapply(names(data), \(name) type_of(data[[name]], name, arg), "")
  structure(
    list(name = enc2utf8(names(data)), type = unname(type), per_second = integer(length(type))),
    class = "riffle_schema"
  )
}

type_of <- function(x, name, arg) {
  if (is.null(dim(x))) {
    if (is.factor(x)) return("factor")
    if (inherits(x, "integer64")) return("integer64")
    if (inherits(x, c("POSIXct", "POSIXlt"))) return("timestamp")
    if (inherits(x, "Date")) return("date")
    if (is.character(x)) return("string")
    if (is.logical(x)) return("logical")
    if (is.integer(x)) return("integer")
    if (is.double(x)) return("double")
    if (is.list(x) && all(vapply(x, \(value) is.null(value) || is.raw(value), NA))) return("raw")
  }
  abort_argument(
    "Column `{name}` of `{arg}` must be logical, numeric, text, a factor, a date or a time, ",
    "not {describe(x)}."
  )
}

# The columns without their classes, as C reads them: text in UTF-8, times in seconds, dates in
# days.
plain_columns <- function(data, type) {
  Map(plain_column_of, unclass(data)[seq_along(type)], type)
}

plain_column_of <- function(x, type) {
  switch(type,
    factor = if (is.character(x)) enc2utf8(x) else plain_factor(x),
    string = enc2utf8(as.character(x)),
    timestamp = as.double(as.POSIXct(x)),
    date = as.double(unclass(x)),
    double = if (is.double(x)) x else as.double(x),
    raw = if (is.character(x)) enc2utf8(x) else x,
    x
  )
}

# The factor itself, which is not copied, where its levels are in UTF-8 already.
plain_factor <- function(x) {
  levels <- levels(x)
  utf8 <- enc2utf8(levels)
  same <- identical(Encoding(levels), Encoding(utf8)) && identical(levels, utf8)
  # is.integer() is FALSE of every factor.
  if (same && typeof(x) == "integer") x else structure(as.integer(x), levels = utf8)
}

# A data frame as frames in memory. Columns of doubles, and factors without NA, are not copied: the
# handle keeps them.
df_frames <- function(data, columns = names(data)) {
  data <- unclass(data)[columns]
  schema <- fields_of(data, "data")
  .Call(c_frames_from_df, plain_columns(data, schema$type), unclass(schema))
}

# Frames in memory as a data frame, rows in canonical order.
frames_to_df <- function(frames) .Call(c_frames_df, frames)

# topic, partition and the first offset that the frames do not reach.
frames_positions <- function(frames) as.data.frame(.Call(c_frames_positions, frames))
