# Rscript frame.R BROKERS TOPIC: the whole topic as a data frame with factors, one line for bench/kafka/run. The process's own CPU,
# all threads; what comes before the read (R, the package, the connection) is left out.
args <- commandArgs(trailingOnly = TRUE)
suppressPackageStartupMessages(library(riffle))
k <- kafka(args[[1L]])
schema <- record_schema(
  ts = "double", user_id = "integer", ad_id = "integer", campaign = "factor", site = "factor", device = "factor",
  country = "factor", bid = "double", pos = "integer", age = "double", click = "integer"
)
x <- read_stream(k, args[[2L]], schema)
before <- proc.time()
d <- as.data.frame(x)
took <- proc.time() - before
cpu <- took[["user.self"]] + took[["sys.self"]]
peak <- as.numeric(gsub("\\D", "", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))) / 1024
stopifnot(!anyNA(d), nlevels(d$device) == 4L, all(d$pos %in% 0:7))
cat(paste("data.frame", nrow(d), sum(as.double(d$ad_id)), sprintf("%.4f", took[["elapsed"]]), sprintf("%.4f", cpu),
          sprintf("%.3f", cpu / nrow(d) * 1e6), round(nrow(d) / took[["elapsed"]]), round(peak), sep = "\t"), "\n")
