# Rscript bench/start.R: from `library(riffle)` to the first scored row on the embedded broker, in fresh processes.
script <- tempfile(fileext = ".R")
writeLines(c(
  "t <- Sys.time()",
  "library(riffle)",
  "k <- local_kafka(c(clicks = 2L, scores = 2L))",
  "d <- data.frame(x = rnorm(1000), y = rbinom(1000, 1, 0.5))",
  "m <- stream_glm(y ~ x, d, binomial())",
  "out <- sink_memory()",
  "q <- read_stream(k, 'clicks', record_schema(x = 'double')) |> score_with(m) |> start_query(out)",
  "kafka_produce(k, 'clicks', d['x'])",
  "while (!nrow(s <- as.data.frame(out))) Sys.sleep(0.001)",
  "cat(as.numeric(Sys.time() - t, units = 'secs'), s$score[[1]], '\\n')",
  "stop_query(q)"
), script)
took <- vapply(seq_len(7L), function(i) {
  out <- system2("Rscript", script, stdout = TRUE, stderr = FALSE)
  as.numeric(strsplit(out[[length(out)]], " ")[[1L]][[1L]])
}, 0)
cat(sprintf("library(riffle) to the first scored row: median %.2f s, longest %.2f s of %d (limit 2 s)\n",
            stats::median(took), max(took), length(took)))
stopifnot(stats::median(took) <= 2)
