#' The main job, from clicks to scores
#'
#' Publishes simulated ad impressions to a Kafka topic, fits a click model to the first half,
#' scores and learns the second half as it arrives, reads the scores back and compares each with
#' `predict()` of the model version that it names. `sh tools/demo` runs it.
#'
#' @param brokers Addresses of a Kafka cluster, a string; `NULL` for a broker inside this session.
#'   On a cluster that already has topics `adclicks` or `scores`, new ones with a number behind
#'   their name are made.
#' @param n How many impressions, a whole number of at least 20,000.
#' @param pace Impressions a second at which the second half arrives; `Inf`: as fast as it goes.
#' @param plot File of the plot (PNG); `NULL` draws on the open device. The default writes
#'   `riffle-adclicks.png` in the working directory of a script, and draws in an interactive
#'   session.
#' @param seed Seed of [sim_adclicks()].
#' @returns A `riffle_demo`, invisibly: a list with `coefficients` (data frame: `term`, `truth`,
#'   `estimate`, `std.error`, `z`), `windows` (data frame, a row a time window: `rows`, `clicks`,
#'   `predicted`, `log_loss`, `constant` (log loss of the constant model), `auc`), `checked`
#'   (scores compared), `versions`, `seconds` (a named vector), `rate` (records a second),
#'   `latency` (milliseconds: p50, p99) and `best` (data frame: the best ads for one user).
#' @details The constant model predicts the click rate of the first half for everybody. "Latency"
#'   is the time from a record's timestamp to the broker's confirmation of its score, for the
#'   newest record of each batch. The check replays the batches that the query recorded: rows in
#'   the order of partition and offset, in blocks of 1,000, learnt by `update()`; a score is right
#'   when it equals `predict()` to the last bit, after its way through JSON.
#' @section Errors:
#' Those of [kafka()], [kafka_produce()], [stream_glm()] and [start_query()]; `riffle_error_data`
#' when a score differs.
#' @source Test-then-train evaluation: Gama, Sebastiao and Rodrigues (2013), On evaluating stream
#' learning algorithms, Machine Learning 90.
#' @export
#' @examples
#' r <- demo_adclicks(n = 20000, pace = Inf, plot = tempfile(fileext = ".png"))
#' r$windows
demo_adclicks <- function(brokers = NULL, n = 4e5, pace = 20000,
                          plot = if (interactive()) NULL else "riffle-adclicks.png", seed = 1) {
  check_count(n)
  check_positive(pace)
  if (n < 20000) abort_argument("`n` must be a whole number of at least 20,000, not {n}.")
  clock <- stop_watch()
  world <- demo_world(brokers, n, seed)
  demo_say(paste(
    "Publishing the first {big(world$half)} of {big(n)} impressions",
    "to {world$topics[[1L]]} at {world$k$brokers}"
  ))
  demo_publish(world, seq_len(world$half), Inf)
  clock("publish")
  m <- demo_fit(world)
  clock("fit")
  live <- live_model(m, name = "adclicks")
  q <- demo_query(world, live)
  on.exit(stop_query(q))
  demo_say("Scoring and learning the other half as it arrives")
  demo_publish(world, world$half + seq_len(n - world$half), pace)
  demo_wait(q, n - world$half)
  stop_query(q)
  clock("stream")
  counted <- sum(demo_count(world))
  if (counted != n) abort_kind("data", "The topic holds {counted} impressions, not {n}.")
  demo_say("{big(n)} published, {big(counted)} counted back")
  scores <- demo_scores(world)
  checked <- demo_check(world, m, q, scores)
  clock("check")
  result <- demo_result(world, m, live, q, scores, checked)
  result$seconds <- clock()
  demo_plot(result, plot)
  if (!is.null(plot)) demo_say("The plot is in {plot}")
  print(result)
  invisible(result)
}

demo_say <- function(text, env = parent.frame()) {
  cli::cli_inform(c("*" = paste(text, collapse = " ")), .envir = env)
}

# A function that notes the seconds since it was last called under a name, and tells them all
# without one.
stop_watch <- function() {
  last <- proc.time()[["elapsed"]]
  noted <- numeric()
  function(name = NULL) {
    if (is.null(name)) {
      return(noted)
    }
    now <- proc.time()[["elapsed"]]
    noted[[name]] <<- now - last # nolint
    last <<- now # nolint
  }
}

demo_world <- function(brokers, n, seed) {
  d <- sim_adclicks(n, seed = seed)
  truth <- attributes(d)[c("truth", "formula")]
  d$id <- seq_len(n)
  k <- if (is.null(brokers)) local_kafka() else kafka(brokers)
  topics <- vapply(c("adclicks", "scores"), free_name, "", taken = kafka_topics(k)$topic)
  for (topic in topics) kafka_create_topic(k, topic, partitions = 16L)
  types <- vapply(d, function(x) {
    if (is.factor(x)) {
      "factor"
    } else if (inherits(x, "POSIXct")) {
      "timestamp"
    } else if (is.integer(x)) {
      "integer"
    } else {
      "double"
    }
  }, "")
  list(
    k = k, topics = unname(topics), data = d, half = n %/% 2, truth = truth$truth,
    formula = truth$formula,
    schema = do.call(record_schema, as.list(types)), share = mean(d$click[seq_len(n %/% 2)])
  )
}

free_name <- function(name, taken) {
  tries <- c(name, paste0(name, "-", seq_len(length(taken)) + 1L))
  setdiff(tries, taken)[[1L]]
}

# Sends rows in slices, so that a pace can be kept and the bar can move.
demo_publish <- function(world, rows, pace) {
  slice <- if (is.finite(pace)) max(1, pace %/% 10) else 20000
  starts <- seq(1, length(rows), by = slice)
  bar <- demo_bar("impressions", length(rows))
  on.exit(bar(NULL))
  begun <- proc.time()[["elapsed"]]
  for (from in starts) {
    upto <- min(from + slice - 1, length(rows))
    due <- begun + (from - 1) / pace
    ahead <- due - proc.time()[["elapsed"]]
    if (ahead > 0) Sys.sleep(ahead)
    kafka_produce(world$k, world$topics[[1L]], world$data[rows[from:upto], ], key = "user_id")
    bar(upto)
  }
}

# A progress bar when someone watches; bar(done) moves it, bar(NULL) ends it.
demo_bar <- function(what, total) {
  if (!someone_watches()) {
    return(function(done) NULL)
  }
  id <- cli::cli_progress_bar(what, total = total, .auto_close = FALSE)
  function(done) {
    if (is.null(done)) {
      cli::cli_progress_done(id = id)
    } else {
      cli::cli_progress_update(set = done, id = id)
    }
  }
}

demo_count <- function(world) {
  o <- kafka_offsets(world$k, world$topics[[1L]])
  o$latest - o$earliest
}

demo_fit <- function(world) {
  history <- read_stream(world$k, world$topics[[1L]], world$schema)
  m <- stream_glm(world$formula, history, family = stats::binomial())
  demo_say(paste(
    "A logistic model with {length(coef(m))} coefficients is fitted",
    "to {big(nobs(m))} impressions"
  ))
  m
}

demo_query <- function(world, live) {
  o <- kafka_offsets(world$k, world$topics[[1L]])
  from <- data.frame(partition = o$partition, offset = o$latest)
  read_stream(world$k, world$topics[[1L]], world$schema, from = from) |>
    score_with(live, keep = c("id", "click")) |>
    learn_with(live) |>
    start_query(
      sink_topic(world$k, world$topics[[2L]]), name = world$topics[[2L]], max_batch = 20000
    )
}

demo_wait <- function(q, rows) {
  until <- proc.time()[["elapsed"]] + 60
  repeat {
    s <- query_status(q)
    late <- proc.time()[["elapsed"]] >= until
    if (s$rows >= rows || s$phase != "running" || late) break
    Sys.sleep(0.02)
  }
  if (s$phase == "failed") await_query(q)
}

demo_scores <- function(world) {
  schema <- record_schema(
    id = "integer", click = "integer", score = "double", model = "factor", version = "double"
  )
  s <- as.data.frame(read_stream(world$k, world$topics[[2L]], schema))
  s <- s[order(s$id), ]
  expected <- world$half + seq_len(nrow(world$data) - world$half)
  if (!identical(s$id, as.integer(expected))) {
    abort_kind("data", paste(
      "The topic {.val {world$topics[[2L]]}} does not hold one score for each", "impression."
    ))
  }
  s
}

# The order in which the query learnt: by batch, then partition, then offset.
demo_order <- function(rows, progress) {
  batch <- rep(NA_integer_, nrow(rows))
  for (p in unique(rows$.partition)) {
    ends <- vapply(progress$end, \(e) max(-1, e$offset[e$partition == p]), 0)
    mine <- rows$.partition == p
    batch[mine] <- findInterval(rows$.offset[mine], cummax(ends)) + 1L
  }
  order(batch, rows$.partition, rows$.offset)
}

# Learns the second half anew, block by block, and compares every score with predict() of the
# version that it names.
demo_check <- function(world, m, q, scores) {
  rows <- as.data.frame(read_stream(world$k, world$topics[[1L]], world$schema), meta = TRUE)
  rows <- rows[rows$id > world$half, ]
  learnt <- rows[demo_order(rows, query_progress(q, 10000L)), ]
  rows <- rows[order(rows$id), ]
  block <- m$control$block
  versions <- sort(unique(scores$version))
  bar <- demo_bar("versions checked", length(versions))
  on.exit(bar(NULL))
  replayed <- live_model(m, name = "replay")
  done <- 0
  for (version in versions) {
    upto <- version * block
    if (upto > done) update(replayed, learnt[(done + 1):upto, ])
    done <- max(done, upto)
    mine <- scores$version == version
    p <- unname(predict(current_model(replayed), rows[mine, ], type = "response"))
    if (!identical(p, scores$score[mine])) {
      worst <- max(abs(p - scores$score[mine]))
      abort_kind("data", "Scores of version {version} differ from predict() by up to {worst}.")
    }
    bar(match(version, versions))
  }
  demo_say(paste(
    "{big(nrow(scores))} scores read back equal predict() of the version each names",
    "({length(versions)} versions)"
  ))
  nrow(scores)
}

demo_result <- function(world, m, live, q, scores, checked) {
  est <- coef(m)
  se <- sqrt(diag(vcov(m)))
  now <- coef(current_model(live))
  truth <- world$truth[names(est)]
  progress <- query_progress(q, 10000L)
  busy <- as.double(diff(range(progress$time)), units = "secs")
  structure(list(
    coefficients = data.frame(
      term = names(est), truth = unname(truth), estimate = unname(est), std.error = unname(se),
      z = unname((est - truth) / se), online = unname(now), row.names = NULL
    ),
    windows = demo_windows(scores, world$share), checked = checked,
    versions = length(unique(scores$version)),
    rate = (sum(progress$rows) - progress$rows[[1L]]) / max(busy, 1e-3),
    latency = stats::setNames(
      stats::quantile(progress$latency, c(0.5, 0.99), na.rm = TRUE, names = FALSE),
      c("p50", "p99")
    ),
    best = demo_best(world, live), n = nrow(world$data)
  ), class = "riffle_demo")
}

demo_windows <- function(scores, share, windows = 8L) {
  window <- (seq_len(nrow(scores)) - 1L) %/% ceiling(nrow(scores) / windows)
  parts <- lapply(split(scores, window), function(s) {
    data.frame(
      rows = nrow(s), clicks = sum(s$click), predicted = sum(s$score),
      ratio = sum(s$score) / sum(s$click), log_loss = log_loss(s$click, s$score),
      constant = log_loss(s$click, rep(share, nrow(s))), auc = auc(s$click, s$score)
    )
  })
  d <- do.call(rbind, parts)
  row.names(d) <- NULL
  d
}

log_loss <- function(y, p) -mean(ifelse(y == 1, log(p), log1p(-p)))

# The chance that a click has a higher score than a non-click (Mann and Whitney 1947); ties
# count half.
auc <- function(y, p) {
  ones <- sum(y == 1)
  (sum(rank(p)[y == 1]) - ones * (ones + 1) / 2) / (ones * (length(y) - ones))
}

# Every ad, for the last user at that user's place and time.
demo_best <- function(world, live, n = 3L) {
  d <- world$data
  user <- d[nrow(d), ]
  about <- c("ad_id", "category", "quality")
  ads <- d[!duplicated(d$ad_id), about]
  candidates <- user[rep(1L, nrow(ads)), ]
  candidates[about] <- ads
  candidates$probability <- unname(predict(current_model(live), candidates, type = "response"))
  shown <- c("user_id", "ad_id", "category", "probability")
  best <- candidates[order(-candidates$probability), shown]
  row.names(best) <- NULL
  utils::head(best, n)
}

demo_plot <- function(result, file) {
  if (!is.null(file)) {
    grDevices::png(file, width = 1000, height = 450)
    on.exit(grDevices::dev.off())
  }
  plot(result)
}

#' @export
plot.riffle_demo <- function(x, ...) {
  old <- graphics::par(mfrow = c(1, 2), mar = c(4.2, 4.2, 2, 1))
  on.exit(graphics::par(old))
  co <- x$coefficients
  reach <- range(
    co$truth, co$estimate + 2 * co$std.error, co$estimate - 2 * co$std.error, finite = TRUE
  )
  graphics::plot(
    co$truth, co$estimate, xlim = reach, ylim = reach, pch = 19, xlab = "true coefficient",
    ylab = "estimate, two standard errors", main = "First half"
  )
  graphics::segments(co$truth, co$estimate - 2 * co$std.error, y1 = co$estimate + 2 * co$std.error)
  graphics::abline(0, 1, col = "grey")
  w <- x$windows
  graphics::plot(
    seq_len(nrow(w)), w$constant, type = "b", pch = 1, ylim = range(w$constant, w$log_loss),
    xlab = "time window", ylab = "log loss", main = "Second half, scored before learnt"
  )
  graphics::lines(seq_len(nrow(w)), w$log_loss, type = "b", pch = 19)
  graphics::legend("topright", c("constant", "model"), pch = c(1, 19), bty = "n")
  invisible(x)
}

#' @export
print.riffle_demo <- function(x, ...) {
  co <- x$coefficients
  inside <- sum(abs(co$z) < 2, na.rm = TRUE)
  cat(sprintf(
    "\nTrue against estimated coefficients (%d of %d within two standard errors):\n", inside,
    sum(!is.na(co$z))
  ))
  print(format(co, digits = 3), row.names = FALSE)
  cat("\nThe second half, scored before it was learnt:\n")
  print(format(x$windows, digits = 4), row.names = FALSE)
  cat("\nThe best ads for one user:\n")
  print(format(x$best, digits = 3), row.names = FALSE)
  cat(sprintf(
    "\n%s records a second; latency p50 %.1f ms, p99 %.1f ms; %s scores checked over %d versions\n",
    big(round(x$rate)), x$latency[["p50"]], x$latency[["p99"]], big(x$checked), x$versions
  ))
  cat(paste0(names(x$seconds), " ", sprintf("%.1f s", x$seconds), collapse = ", "), "\n")
  invisible(x)
}
