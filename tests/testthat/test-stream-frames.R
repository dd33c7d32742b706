# Data frame -> frames of the core -> data frame.
round_trip <- function(d) frames_to_df(df_frames(d))

test_that("every type comes back identical", {
  d <- data.frame(
    l = c(TRUE, NA, FALSE), i = c(1L, NA, -.Machine$integer.max), x = c(
      pi, NA, -Inf
    ), s = c("a", NA, ""),
    f = factor(c("b", NA, "a")), t = as.POSIXct(
      c(1e9 + 0.123456, NA, -1.5), origin = "1970-01-01", tz = "UTC"
    ),
    d = as.Date(c("2019-11-24", NA, "1900-02-28"))
  )
  expect_identical(round_trip(d), d)
  expect_identical(round_trip(d[0, ]), {
    none <- d[0, ]
    none$f <- factor(character())
    none
  })
})

test_that("integer64 keeps all 64 bits", {
  skip_if_not_installed("bit64")
  d <- data.frame(n = bit64::as.integer64(c("9007199254740993", NA, "-9223372036854775807")))
  expect_identical(round_trip(d), d)
})

test_that("levels are those that occur, in C order whatever the session's collation", {
  d <- data.frame(f = factor(c("b", "A", "a", "B", "b"), levels = c("unused", "b", "A", "a", "B")))
  expect_identical(levels(round_trip(d)$f), c("A", "B", "a", "b"))
  expect_identical(as.character(round_trip(d)$f), as.character(d$f))
})

test_that("text of any encoding comes back as UTF-8", {
  latin <- "caf\xe9"
  Encoding(latin) <- "latin1"
  d <- data.frame(s = c(latin, "\u20ac \U1f600", "plain"), stringsAsFactors = FALSE)
  expect_identical(round_trip(d)$s, enc2utf8(d$s))
  expect_identical(levels(round_trip(data.frame(f = factor(latin)))$f), enc2utf8(latin))
})

test_that("bytes come back as raw vectors, missing ones as NULL", {
  d <- data.frame(n = 1:3)
  d$r <- list(as.raw(0:3), NULL, raw())
  expect_identical(round_trip(d)$r, d$r)
})

test_that("columns like 1:n and lazy text are read whole", {
  d <- data.frame(i = 1:1000, s = as.character(1:1000))
  expect_identical(round_trip(d), d)
})

test_that("dots in a data frame's names are no paths", {
  d <- data.frame(x = 1:2, x.1 = 3:4)
  expect_identical(round_trip(d), d)
})

test_that("columns that cannot be used are named", {
  d <- data.frame(n = 1:2)
  d$bad <- list(1, "a")
  expect_snapshot(df_frames(d), error = TRUE)
  d$bad <- c(1i, 2i)
  expect_error(df_frames(d), "`bad`", class = "riffle_error_argument")
})
