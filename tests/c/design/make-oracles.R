# Writes oracle-design.inc: formulas with the columns and names of model.matrix(), as specs
# of a recipe. Run in this folder: Rscript make-oracles.R
set.seed(7)
n <- 14
d <- data.frame(
  x = round(rnorm(n), 3), u = round(runif(n, 1, 9), 2),
  f = factor(c("lo", "mid", "hi", sample(c("lo", "mid", "hi"), n - 3, TRUE)), c("hi", "lo", "mid")),
  g = factor(c("a", "b", "c", "d", sample(letters[1:4], n - 4, TRUE))),
  b = c(TRUE, FALSE, sample(c(TRUE, FALSE), n - 2, TRUE)))
num <- function(x) sprintf("%.17g", as.double(x))
text <- function(x) paste0("\"", x, "\"", collapse = ", ")
vars <- names(d)
out <- character(); cases <- character()
emit <- function(...) out <<- c(out, sprintf(...))
emit("/* Made by make-oracles.R with R %s.%s: do not edit. */\nenum { ORACLE_ROWS = %d };\n", R.version$major, R.version$minor, n)
for (v in c("x", "u")) emit("static const double data_%s[] = {%s};\n", v, paste(num(d[[v]]), collapse = ", "))
for (v in c("f", "g")) {
  emit("static const char *const data_%s[] = {%s};\n", v, text(d[[v]]))
  emit("static const char *const levels_%s[] = {%s};\n", v, text(levels(d[[v]])))
}
emit("static const int32_t data_b[] = {%s};\n", paste(as.integer(d$b), collapse = ", "))

oracle <- function(formula, contrasts = NULL) {
  k <- length(cases)
  tt <- terms(formula); fac <- attr(tt, "factors")
  mm <- model.matrix(formula, d, contrasts.arg = contrasts)
  if (!attr(tt, "intercept"))
    for (t in seq_len(ncol(fac))) {
      v <- rownames(fac)[fac[, t] > 0]
      if (length(v) == 1 && !is.numeric(d[[v]])) { fac[v, t] <- 2L; break }
    }
  terms <- character()
  for (t in seq_len(ncol(fac))) {
    used <- rownames(fac)[fac[, t] > 0]
    codings <- character()
    for (v in used) {
      if (is.numeric(d[[v]])) { codings <- c(codings, "{0}"); next }
      g <- if (is.logical(d[[v]])) factor(d[[v]]) else d[[v]]
      cm <- if (fac[v, t] == 2) diag(nlevels(g)) else {
        how <- contrasts[[v]]
        if (is.character(how)) contrasts(g) <- how
        contrasts(g)
      }
      named <- fac[v, t] != 2 && !is.null(colnames(cm)) && !all(colnames(cm) %in% levels(g))
      id <- sprintf("c%d_%d_%s", k, t, v)
      if (named) emit("static char *%s_names[] = {%s};\n", id, text(colnames(cm)))
      if (all(cm %in% 0:1) && all(rowSums(cm) <= 1))
        emit("static int32_t %s[] = {%s};\n", id, paste(apply(cm, 1, function(r) if (any(r == 1)) which(r == 1) - 1L else -1L), collapse = ", "))
      else emit("static double %s[] = {%s};\n", id, paste(num(cm), collapse = ", "))
      codings <- c(codings, sprintf("{%d, %d, %s, %s}", nrow(cm), ncol(cm),
        if (all(cm %in% 0:1) && all(rowSums(cm) <= 1)) paste0(id, ", NULL") else paste0("NULL, ", id), if (named) paste0(id, "_names") else "NULL"))
    }
    emit("static const int32_t v%d_%d[] = {%s};\n", k, t, paste(match(used, vars) - 1L, collapse = ", "))
    emit("static const struct rfl_coding k%d_%d[] = {%s};\n", k, t, paste(codings, collapse = ", "))
    terms <- c(terms, sprintf("{%d, v%d_%d, k%d_%d}", length(used), k, t, k, t))
  }
  emit("static const struct rfl_term_spec t%d[] = {%s};\n", k, paste(c(terms, "{0}"), collapse = ", "))
  emit("static const char *const n%d[] = {%s};\n", k, text(colnames(mm)))
  emit("static const double m%d[] = {%s};\n", k, paste(num(mm), collapse = ", "))
  cases <<- c(cases, sprintf("{\"%s\", %s, %d, t%d, %d, n%d, m%d}", deparse(formula), if (attr(tt, "intercept")) "true" else "false",
    ncol(fac), k, ncol(mm), k, k))
}
oracle(~ x + f + g)
oracle(~ x * f * g)
oracle(~ b * f + x:u + u)
oracle(~ g - 1)
oracle(~ f:g)
oracle(~ f + f:x - 1)
oracle(~ x:f:u + b:g)
oracle(~ f * g, list(f = "contr.sum", g = "contr.helmert"))
oracle(~ g * x, list(g = "contr.poly"))
oracle(~ f + x + b:x, list(f = "contr.SAS"))
oracle(~ f:x:b)
emit("static const struct design_oracle {\n  const char *formula;\n  bool intercept;\n  size_t n_terms;\n  const struct rfl_term_spec *term;\n  int32_t n_x;\n  const char *const *name;\n  const double *x;\n} oracles[] = {%s};\n", paste(cases, collapse = ",\n"))
writeLines(out, "oracle-design.inc", sep = "")
