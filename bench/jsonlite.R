# Rscript bench/jsonlite.R: a topic of JSON records as a data frame, beside jsonlite::fromJSON() on each record; the same records,
# the same values.
suppressPackageStartupMessages(library(riffle))
n <- 200000L
some <- 2000L
d <- sim_adclicks(n, seed = 1)[c(
  "user_id", "segment", "device", "hour", "daypart", "ad_id", "category", "quality", "position", "activity", "click"
)]
k <- local_kafka(c(records = 16L))
kafka_produce(k, "records", d)
types <- ifelse(vapply(d, is.factor, NA), "factor", ifelse(vapply(d, is.integer, NA), "integer", "double"))
x <- read_stream(k, "records", do.call(record_schema, as.list(types)))
ours <- stats::median(replicate(5L, system.time(as.data.frame(x))[["elapsed"]])) / n
con <- textConnection("lines", "w")
jsonlite::stream_out(d[seq_len(some), ], con, verbose = FALSE, digits = NA)
close(con)
theirs <- system.time(rows <- lapply(lines, jsonlite::fromJSON))[["elapsed"]] / some
back <- as.data.frame(x)
key <- function(d) sort(do.call(paste, lapply(d, as.character)), method = "radix")
peer <- do.call(rbind.data.frame, rows)
stopifnot(nrow(back) == n, all(key(peer) %in% key(back)))
cat(sprintf(
  "a record: riffle (topic to data frame) %.2f us, jsonlite::fromJSON (text to list) %.1f us, ratio %.0f\n", ours * 1e6,
  theirs * 1e6, theirs / ours
))
