adult_schema <- function(d) {
  types <- ifelse(vapply(d, is.numeric, NA), "integer", "factor")
  do.call(record_schema, as.list(stats::setNames(types, names(d))))
}

test_that("adult census from a topic meets the contract, frames cut at 1, 7, 1,000 rows, whole", {
  d <- adult_data()
  w <- test_world(c(adult = 4))
  kafka_produce(w$k, w$topic[["adult"]], d)
  x <- read_stream(w$k, w$topic[["adult"]], adult_schema(d))
  back <- as.data.frame(x)
  expect_identical(nrow(back), nrow(d))
  m <- stream_glm(adult_formula, x, binomial())
  expect_length(coef(m), 34L)
  truth <- oracle(adult_formula, transform(d, income = as.integer(income == ">50K")), binomial())
  expect_meets_contract(m, truth)
  for (cut in c(1, 7, 1000)) {
    again <- fit_cut(adult_formula, x, binomial(), cut = cut)
    expect_identical(coef(again), coef(m))
    expect_identical(vcov(again), vcov(m))
  }
  whole <- stream_glm(adult_formula, back, binomial())
  expect_identical(coef(whole), coef(m))
})

test_that("clicks by position from a topic keyed by user equal the closed form to 1e-10", {
  d <- bandit_data()
  w <- test_world(c(clicks = 4))
  kafka_produce(w$k, w$topic[["clicks"]], d, key = "user_feature_0")
  x <- read_stream(w$k, w$topic[["clicks"]], record_schema(position = "factor", click = "integer"))
  m <- stream_glm(click ~ position, x, binomial())
  cells <- tapply(d$click, d$position, \(y) log(sum(y) / sum(1 - y)))
  expect_equal(
    unname(coef(m)), unname(c(cells[[1L]], cells[-1L] - cells[[1L]])), tolerance = 1e-10
  )
})

test_that("with a user feature the separation warning names exactly the levels without a click", {
  d <- bandit_data()
  w <- test_world(c(clicks = 2))
  kafka_produce(w$k, w$topic[["clicks"]], d)
  x <- read_stream(
    w$k, w$topic[["clicks"]],
    record_schema(position = "factor", click = "integer", user_feature_2 = "factor")
  )
  clicks <- tapply(d$click, d$user_feature_2, sum)
  without <- names(clicks)[clicks == 0]
  expect_gt(length(without), 0)
  said <- NULL
  withCallingHandlers(
    stream_glm(click ~ position + user_feature_2, x, binomial()),
    riffle_warning_separation = function(w) {
      said <<- conditionMessage(w)
      invokeRestart("muffleWarning")
    }
  )
  named <- vapply(names(clicks), grepl, NA, x = said, fixed = TRUE)
  expect_setequal(names(clicks)[named], without)
})

test_that("scores read by an independent client equal predict()", {
  servers <- Sys.getenv("RIFFLE_KAFKA")
  skip_if(!nzchar(servers), "needs a real Kafka: RIFFLE_KAFKA")
  d <- adult_data()[1:5000, ]
  d$id <- seq_len(nrow(d))
  w <- test_world(c(adult = 3, scores = 3))
  m <- quietly(stream_glm(adult_formula, d, binomial()))
  kafka_produce(w$k, w$topic[["adult"]], d)
  q <- read_stream(w$k, w$topic[["adult"]], adult_schema(d)) |>
    score_with(m, keep = "id") |>
    start_query(sink_topic(w$k, w$topic[["scores"]]), trigger = "available-now")
  await_query(q, 60)
  client <- tempfile(fileext = ".py")
  writeLines(c(
    "import sys, kafka",
    "c = kafka.KafkaConsumer(bootstrap_servers=sys.argv[1], auto_offset_reset='earliest',",
    "                        enable_auto_commit=False, consumer_timeout_ms=10000)",
    "c.assign([kafka.TopicPartition(sys.argv[2], p) for p in range(3)])",
    "c.seek_to_beginning()",
    "for i, m in enumerate(c):",
    "    print(m.value.decode())",
    "    if i == 4999: break"
  ), client)
  lines <- system2("/usr/bin/python3", c(client, servers, w$topic[["scores"]]), stdout = TRUE)
  expect_length(lines, 5000L)
  s <- jsonlite::stream_in(textConnection(lines), verbose = FALSE)
  s <- s[order(s$id), ]
  expect_equal(s$score, unname(predict(m, d, type = "response")), tolerance = 1e-15)
  expect_identical(unique(s$version), 0L)
})
