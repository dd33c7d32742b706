# The format gate of R: lintr by the rules of .lintr.
found <- lintr::lint_dir("R")
more <- lintr::lint_dir("tests/testthat")
if (length(found) + length(more)) {
  print(found)
  print(more)
  quit(status = 1)
}
