# Rscript make.R VERSION, in this folder, with the riffle of that format installed: writes
# <learner>-<version>.riffle and .csv. Only for new formats: old files stay as they are.
library(riffle)
version <- commandArgs(TRUE)[[1L]]
text <- parse("../test-golden.R")
eval(text[[1L]]) # golden_rows()
d <- golden_rows()
models <- list(
  glm = stream_glm(click ~ device + poly(hour, 2) + quality, d, binomial(), l2 = 0.01),
  ftrl = stream_ftrl(click ~ user_id + device + hour, d, slots = 2^10, seed = 1),
  bayes = stream_naive_bayes(click ~ device + hour, d),
  kmeans = stream_kmeans(~ hour + quality, d, k = 3, seed = 1),
  survreg = stream_survreg(survival::Surv(time, seen) ~ device + quality, d)
)
types <- c(glm = "response", ftrl = "response", bayes = "prob", kmeans = "distance",
  survreg = "response")
for (name in names(models)) {
  file <- paste0(name, "-", version)
  write_model(models[[name]], paste0(file, ".riffle"))
  scores <- as.data.frame(as.matrix(predict(models[[name]], d, type = types[[name]])))
  scores[] <- lapply(scores, format, digits = 17)
  write.csv(scores, paste0(file, ".csv"), row.names = FALSE, quote = FALSE)
}
