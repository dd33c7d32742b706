# man/ and NAMESPACE are what roxygen2 makes of R/: fails and names the files that differ.
copy <- file.path(tempdir(), "riffle")
dir.create(copy)
invisible(file.copy(c("DESCRIPTION", "NAMESPACE", "R", "man", "src", "configure", "cleanup", "LICENSE", "inst"), copy, recursive = TRUE))
roxygen2::roxygenise(copy, load_code = roxygen2::load_installed)
same <- function(path) {
  here <- list.files(path, recursive = TRUE)
  there <- list.files(file.path(copy, path), recursive = TRUE)
  differ <- Filter(\(f) !f %in% here || !f %in% there || !identical(readLines(file.path(path, f)), readLines(file.path(copy, path, f))), union(here, there))
  file.path(path, differ)
}
stale <- c(same("man"), if (!identical(readLines("NAMESPACE"), readLines(file.path(copy, "NAMESPACE")))) "NAMESPACE")
if (length(stale)) {
  cat("Not what roxygen2 makes of R/ (run Rscript tools/document.R):", stale, sep = "\n  ")
  quit(status = 1)
}
