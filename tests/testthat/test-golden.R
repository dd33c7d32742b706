# Model files written once and read for ever. A new file is added when a format changes; none is
# ever replaced. golden/make.R wrote them.
golden_rows <- function() {
  i <- 1:40
  data.frame(
    device = c("mobile", "desktop", "tablet")[i %% 3 + 1L], hour = (i * 7) %% 24,
    quality = round(sin(i), 3), user_id = sprintf("u%02d", i %% 11),
    click = as.integer(i * i %% 7 < 2), time = round(1 + 10 * abs(cos(i)), 3),
    seen = as.integer(i %% 4 > 0), stringsAsFactors = FALSE
  )
}

test_that("model files of every version are read, and score as they did", {
  files <- list.files(test_path("golden"), "[.]riffle$", full.names = TRUE)
  expect_gte(length(files), 5L)
  for (file in files) {
    expected <- utils::read.csv(sub("[.]riffle$", ".csv", file))
    m <- read_model(file)
    type <- switch(class(m)[[1L]],
      riffle_naive_bayes = "prob",
      riffle_kmeans = "distance",
      "response"
    )
    found <- as.matrix(predict(m, golden_rows(), type = type))
    # Written to 17 digits; the last may differ between mathematical libraries.
    expect_equal(unname(found), unname(as.matrix(expected)), tolerance = 1e-12, info = file)
    expect_s3_class(update(m, golden_rows()), class(m)[[1L]])
  }
})
