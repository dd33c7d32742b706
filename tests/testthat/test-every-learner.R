# What every learner promises, asked of each in the same way.
rows <- sim_adclicks(3000, seed = 9)
rows <- rows[c("device", "daypart", "position", "hour", "quality", "user_id", "click")]
rows$user_id <- paste0("u", rows$user_id)
rows$click <- as.integer(rows$click)
set.seed(9)
rows$time <- round(rexp(3000, 0.1 * exp(0.3 * rows$quality)) + 0.01, 3)
rows$seen <- rbinom(3000, 1, 0.7)
rows[c("device", "daypart", "position")] <- lapply(
  rows[c("device", "daypart", "position")], as.character
)

quiet <- function(x) suppressMessages(suppressWarnings(x))
learners <- list(
  glm = \(d) stream_glm(click ~ device + position + hour, d, binomial()),
  ftrl = \(d) stream_ftrl(click ~ user_id + device + hour, d, slots = 2^12, seed = 1),
  bayes = \(d) stream_naive_bayes(click ~ device + position + hour, d),
  kmeans = \(d) stream_kmeans(~ hour + quality, d, k = 3, nstart = 3, seed = 1),
  survreg = \(d) stream_survreg(survival::Surv(time, seen) ~ device + quality, d)
)
scores <- function(m, d) {
  type <- switch(class(m)[[1L]],
    riffle_naive_bayes = "prob",
    riffle_kmeans = "distance",
    "response"
  )
  unname(as.matrix(predict(m, d, type = type)))
}

same_fit_everywhere <- function(w) {
  kafka_produce(w$k, w$topic[["every"]], rows)
  path <- withr::local_tempfile(fileext = ".jsonl")
  text <- lapply(rows, \(x) if (is.character(x)) dQuote(x, FALSE) else format(x, digits = 17))
  fields <- Map(\(name, x) paste0(dQuote(name, FALSE), ":", trimws(x)), names(text), text)
  writeLines(paste0("{", do.call(paste, c(unname(fields), sep = ",")), "}"), path)
  schema <- record_schema(
    device = "string", daypart = "string", position = "string", hour = "integer",
    quality = "double", user_id = "string", click = "integer", time = "double", seen = "integer"
  )
  for (name in names(learners)) {
    fit <- learners[[name]]
    from_rows <- quiet(fit(rows))
    from_topic <- quiet(fit(read_stream(w$k, w$topic[["every"]], schema)))
    from_file <- quiet(fit(read_stream(path, schema)))
    expect_identical(scores(from_topic, rows), scores(from_rows, rows), info = name)
    expect_identical(scores(from_file, rows), scores(from_rows, rows), info = name)
    expect_identical(from_file$state, from_topic$state, info = name)
  }
}

on_each_kafka(
  "a topic, a file and a data frame with the same rows give the same fit to the bit",
  c(every = 1), same_fit_everywhere
)

test_that("a model that was saved goes on learning as if it had not been", {
  path <- withr::local_tempfile(fileext = ".riffle")
  for (name in names(learners)) {
    m <- quiet(learners[[name]](rows[1:2000, ]))
    write_model(m, path, overwrite = TRUE)
    again <- read_model(path)
    expect_identical(again$state, m$state, info = name)
    expect_identical(scores(again, rows), scores(m, rows), info = name)
    there <- quiet(update(m, rows[2001:3000, ]))
    expect_identical(quiet(update(again, rows[2001:3000, ]))$state, there$state, info = name)
    copy <- unserialize(serialize(m, NULL))
    expect_identical(scores(copy, rows[1:5, ]), scores(m, rows[1:5, ]), info = name)
  }
})

test_that("one row scored is its row of the batch, and no rows are no scores", {
  for (name in names(learners)) {
    m <- quiet(learners[[name]](rows))
    all <- scores(m, rows[1:20, ])
    one <- do.call(rbind, lapply(1:20, \(i) scores(m, rows[i, ])))
    expect_identical(one, all, info = name)
    expect_identical(nrow(scores(m, rows[0L, ])), 0L, info = name)
    holes <- rows[1:3, ]
    for (column in c("device", "hour", "quality")) holes[[column]][] <- NA
    gone <- scores(m, holes)
    expect_identical(nrow(gone), 3L, info = name)
    expect_true(all(is.na(gone)) || name %in% c("bayes", "ftrl"), info = name)
  }
})

test_that("threads change nothing", {
  for (name in setdiff(names(learners), "ftrl")) {
    fits <- lapply(c(1L, 3L), \(n) {
      threads <- list(threads = n)
      quiet(switch(name,
        glm = stream_glm(click ~ device * position + hour, rows, binomial(), control = threads),
        bayes = stream_naive_bayes(click ~ device + hour, rows, control = threads),
        kmeans = stream_kmeans(~ hour + quality, rows, 3, nstart = 3, seed = 1, control = threads),
        survreg = stream_survreg(survival::Surv(time, seen) ~ device, rows, control = threads)
      ))
    })
    expect_identical(fits[[1L]]$state, fits[[2L]]$state, info = name)
  }
})

test_that("a live model learns as its value does, and says how far it is", {
  for (name in names(learners)) {
    m <- quiet(learners[[name]](rows[1:1000, ]))
    live <- live_model(m)
    quiet(update(live, rows[1001:3000, ]))
    now <- current_model(live)
    there <- quiet(update(m, rows[1001:3000, ]))
    # Naive Bayes keeps room for levels that may still come while it is live.
    if (name != "bayes") expect_identical(scores(now, rows), scores(there, rows), info = name)
    expect_gt(now$version, m$version)
    expect_output(print(live), "updates in place")
  }
})

test_that("every model prints, is tidied and glanced at", {
  for (name in names(learners)) {
    m <- quiet(learners[[name]](rows))
    expect_output(print(m))
    expect_output(print(summary(m)))
    expect_s3_class(tidy(m), "data.frame")
    expect_identical(nrow(glance(m)), 1L)
  }
})
