test_that("a schema prints as the code that makes it", {
  s <- record_schema(
    user.id = "string", `odd name` = "factor", t = "timestamp", at = "timestamp(us)", d = "date",
    n = "integer64", .key = "string"
  )
  expect_snapshot(s)
  expect_identical(eval(parse(text = format(s))), s)
  expect_identical(names(s), c("user.id", "odd name", "t", "at", "d", "n", ".key"))
})

test_that("Spark's notation gives the same schema", {
  expect_identical(
    record_schema(
      ddl = paste(
        "user STRUCT<id: STRING, geo: STRUCT<lat: DOUBLE>>, `a b` INT NOT NULL,",
        "p DECIMAL(10,2), ok BOOLEAN"
      )
    ),
    record_schema(
      user.id = "string", user.geo.lat = "double", `a b` = "integer", p = "double", ok = "logical"
    )
  )
  expect_identical(
    record_schema(ddl = "a BIGINT", b = "date"), record_schema(a = "integer64", b = "date")
  )
})

test_that("what is wrong with a schema is said", {
  expect_snapshot(error = TRUE, {
    record_schema("a")
    record_schema()
    record_schema(a = "number")
    record_schema(a = "string", a = "string")
    record_schema(user = "string", user.id = "string")
    record_schema(.offset = "integer")
    record_schema(.error = "string")
    record_schema(ddl = "a MAP<STRING, INT>")
    record_schema(ddl = "a")
  })
})

test_that("a schema is guessed from records, and says what it could not take", {
  lines <- c(
    paste(
      '{"id": 1, "u": {"name": "x"}, "bid": 1, "t": "2019-11-24T00:03:13Z", "d": "2019-11-24",',
      '"tags": [1], "ok": true, "m": 1}'
    ),
    paste(
      '{"id": 2, "u": {"name": "y"}, "bid": 0.5, "t": "2019-11-24T00:03:14.5Z",',
      '"d": "2019-11-25", "ok": null, "m": "one", "big": 9007199254740993}'
    ),
    "no json"
  )
  s <- guess_schema(lines)
  expect_s3_class(s, "riffle_schema")
  expect_snapshot(s)
  expect_identical(
    names(guess_schema(lines, n = 1L)), c("id", "u.name", "bid", "t", "d", "ok", "m")
  )
})

test_that("a schema is guessed from a data frame and from a topic", {
  d <- data.frame(a = 1L, b = "x", f = factor("u"), t = .POSIXct(0, "UTC"))
  expect_identical(
    guess_schema(d), record_schema(a = "integer", b = "string", f = "factor", t = "timestamp")
  )
  k <- local_kafka(c(t = 2, empty = 1))
  kafka_produce(k, "t", d)
  s <- guess_schema(k, "t")
  expect_identical(names(s), c("a", "b", "f", "t"))
  expect_snapshot(error = TRUE, {
    guess_schema(k, "empty")
    guess_schema(1)
    guess_schema("[1]")
    guess_schema(k, "t", n = 0)
  })
})
