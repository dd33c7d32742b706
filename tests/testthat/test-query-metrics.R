test_that("a query that scores and learns tells the metrics of its own scores", {
  k <- local_kafka(c(clicks = 1))
  d <- sim_adclicks(6000, seed = 2)
  d$click[c(5, 4000)] <- NA
  kafka_produce(k, "clicks", d[3001:6000, c("device", "position", "click")])
  m <- stream_glm(click ~ device + position, d[1:3000, ], family = binomial())
  live <- live_model(m)
  fields <- record_schema(device = "factor", position = "factor", click = "integer")
  sink <- sink_memory(1e4)
  q <- read_stream(k, "clicks", fields) |>
    score_with(live, keep = "click") |>
    learn_with(live) |>
    start_query(sink, trigger = "available-now", max_batch = 700)
  await_query(q, 30)
  scores <- as.data.frame(sink)
  theirs <- model_metrics(scores$click, scores$score)
  ours <- query_status(q)$metrics
  expect_identical(ours$n, 2999)
  # Sums in the order of batches: equal to rounding.
  same <- c(
    "n", "events", "observed", "predicted", "log_loss", "normalised_entropy", "brier",
    "calibration", "calibration_low", "calibration_high"
  )
  expect_equal(ours[same], theirs[same], tolerance = 1e-12)
  expect_equal(ours$auc, theirs$auc_binned, tolerance = 1e-12)
  expect_equal(ours$auc_bound, theirs$auc_bound, tolerance = 1e-12)
  expect_lte(abs(ours$auc - theirs$auc), ours$auc_bound)
  expect_output(print(q), "log loss")
})

test_that("a query that only scores has no metrics", {
  k <- local_kafka(c(clicks = 1))
  d <- sim_adclicks(2000, seed = 2)
  kafka_produce(k, "clicks", d[1:100, c("device", "click")])
  m <- stream_glm(click ~ device, d, family = binomial())
  q <- read_stream(k, "clicks", record_schema(device = "factor", click = "integer")) |>
    score_with(m) |>
    start_query(sink_memory(), trigger = "available-now")
  await_query(q, 30)
  expect_null(query_status(q)$metrics)
})
