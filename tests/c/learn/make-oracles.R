# Writes oracle-glm.inc: small data sets with what stats::glm() says of them when it is
# iterated to the end. Standard errors are from the information at the estimate (glm()'s
# own are from the iteration before). Run in this folder: Rscript make-oracles.R
#
# The design is given to C in the indicator space of num/layout.h. That it is the same
# design is checked here: the columns built from it must equal model.matrix().

num <- function(x) {
  x <- as.double(x)
  out <- sprintf("%.17g", x)
  out[is.na(x)] <- "NAN"
  out[is.infinite(x) & x > 0] <- "INFINITY"
  out[is.infinite(x) & x < 0] <- "-INFINITY"
  out
}
wrap <- function(x) paste(strwrap(paste(x, collapse = ", "), 88), collapse = "\n    ")
array_of <- function(type, name, x) {
  if (!length(x)) x <- "0"
  sprintf("static const %s %s[] = {\n    %s};\n", type, name, wrap(x))
}

# Factors and numbers of each term, and their codings, as the design layer makes them.
layout_of <- function(fit, mf) {
  tt <- terms(fit)
  fac <- attr(tt, "factors")
  labels <- attr(tt, "term.labels")
  if (!attr(tt, "intercept")) # as model.matrix(): the first factor on its own is then full
    for (t in seq_along(labels)) {
      v <- rownames(fac)[fac[, t] > 0]
      if (length(v) == 1 && (is.factor(mf[[v]]) || is.logical(mf[[v]]))) { fac[v, t] <- 2L; break }
    }
  mm <- model.matrix(fit)
  contr <- attr(mm, "contrasts")
  dense <- list(); codes <- list(); levels <- list(); terms <- list()
  if (attr(tt, "intercept")) terms <- list(list(coded = -1L, dense = -1L, assign = 0L, codings = list()))
  for (t in seq_along(labels)) {
    vars <- rownames(fac)[fac[, t] > 0]
    is_factor <- vapply(vars, function(v) is.factor(mf[[v]]) || is.logical(mf[[v]]), NA)
    code <- NULL; codings <- list(); n_levels <- 1L
    for (v in vars[is_factor]) {
      f <- mf[[v]]
      if (is.logical(f)) f <- factor(f, c(FALSE, TRUE))
      k <- nlevels(f)
      cm <- if (fac[v, t] == 2) diag(k) else {
        how <- contr[[v]]
        if (is.character(how)) {
          g <- f; contrasts(g) <- how; contrasts(g)
        } else how
      }
      cm <- unname(as.matrix(cm))
      codings <- c(codings, list(cm))
      code <- if (is.null(code)) as.integer(f) - 1L else code + n_levels * (as.integer(f) - 1L)
      n_levels <- n_levels * k
    }
    number <- NULL
    for (v in vars[!is_factor]) number <- if (is.null(number)) as.double(mf[[v]]) else number * as.double(mf[[v]])
    d <- -1L; cd <- -1L
    if (!is.null(number)) { dense <- c(dense, list(number)); d <- length(dense) - 1L }
    if (!is.null(code)) {
      codes <- c(codes, list(code)); levels <- c(levels, n_levels); cd <- length(codes) - 1L
    }
    terms <- c(terms, list(list(coded = cd, dense = d, assign = t, codings = codings)))
  }
  list(dense = dense, codes = codes, levels = unlist(levels), terms = terms, mm = mm)
}

expand <- function(l, n) {
  do.call(cbind, lapply(l$terms, function(t) {
    v <- if (t$dense >= 0) l$dense[[t$dense + 1]] else rep(1, n)
    if (t$coded < 0) return(matrix(v))
      T <- Reduce(function(a, b) kronecker(b, a), t$codings)
    v * T[l$codes[[t$coded + 1]] + 1, , drop = FALSE]
  }))
}

selects <- function(cm) all(cm %in% c(0, 1)) && all(rowSums(cm) <= 1)

cases <- character()
out <- sprintf("/* Made by make-oracles.R with R %s.%s: do not edit. */\n", R.version$major, R.version$minor)

oracle <- function(name, formula, data, family, weights = NULL, offset = NULL, contrasts = NULL) {
  data$.w <- if (is.null(weights)) rep(1, nrow(data)) else weights
  data$.o <- if (is.null(offset)) rep(0, nrow(data)) else offset
  environment(formula) <- list2env(list(), parent = environment())
  fit <- suppressWarnings(glm(formula, family, data,
    weights = if (is.null(weights)) NULL else .w, offset = if (is.null(offset)) NULL else .o,
    contrasts = contrasts, control = glm.control(epsilon = 1e-14, maxit = 100)))
  l <- layout_of(fit, model.frame(fit))
  # glm() looks for aliased columns with min(1e-7, epsilon / 1000), so it sees none now: lm()'s
  # rule says which to leave out, and glm.fit() fits the others.
  q <- qr(l$mm[fit$prior.weights > 0, , drop = FALSE], tol = 1e-7)
  kept <- sort(q$pivot[seq_len(q$rank)])
  if (length(kept) < ncol(l$mm) || anyNA(coef(fit))) {
    part <- suppressWarnings(glm.fit(l$mm[, kept], fit$y, fit$prior.weights, offset = fit$offset, family = family,
      intercept = attr(terms(fit), "intercept") > 0, control = glm.control(epsilon = 1e-14, maxit = 100)))
    stopifnot(part$rank == length(kept))
    fit[names(part)] <- part
    fit$coefficients <- replace(rep(NA_real_, ncol(l$mm)), kept, part$coefficients)
  }
  n <- nrow(l$mm)
  stopifnot(max(abs(expand(l, n) - l$mm)) < 1e-14)
  mu <- fit$fitted.values
  w <- fit$prior.weights * family$variance(mu)
  if (family$family == "gaussian") w <- fit$prior.weights
  b <- coef(fit); keep <- !is.na(b); ok <- fit$prior.weights > 0
  phi <- if (family$family == "gaussian") sum((fit$prior.weights * fit$residuals^2)[ok]) / fit$df.residual else 1
  X <- (sqrt(w) * l$mm)[ok, keep, drop = FALSE]
  se <- rep(NA, length(b))
  if (fit$df.residual > 0 || family$family != "gaussian")
    se[keep] <- sqrt(phi * rowSums(backsolve(qr.R(qr(X, tol = 1e-12)), diag(sum(keep)))^2))
  id <- paste0(gsub("[^a-z0-9]", "_", name), "_")
  emit <- function(...) out <<- c(out, ...)
  for (k in seq_along(l$dense)) emit(array_of("double", paste0(id, "d", k), num(l$dense[[k]])))
  for (k in seq_along(l$codes)) emit(array_of("int32_t", paste0(id, "c", k), l$codes[[k]]))
  emit(array_of("double", paste0(id, "y"), num(fit$y)))
  if (!is.null(weights) || any(fit$prior.weights != 1)) emit(array_of("double", paste0(id, "w"), num(fit$prior.weights)))
  if (!is.null(offset)) emit(array_of("double", paste0(id, "o"), num(data$.o)))
  codings <- character(); terms <- character()
  for (t in seq_along(l$terms)) {
    term <- l$terms[[t]]
    for (k in seq_along(term$codings)) {
      cm <- term$codings[[k]]; cid <- sprintf("%st%dk%d", id, t, k)
      if (selects(cm)) {
        emit(array_of("int32_t", cid, apply(cm, 1, function(r) if (any(r == 1)) which(r == 1) - 1L else -1L)))
        codings <- c(codings, sprintf("{%d, %d, %s, NULL}", nrow(cm), ncol(cm), cid))
      } else {
        emit(array_of("double", cid, num(cm)))
        codings <- c(codings, sprintf("{%d, %d, NULL, %s}", nrow(cm), ncol(cm), cid))
      }
    }
    terms <- c(terms, sprintf("{%d, %d, %d, %d}", term$coded, term$dense, term$assign, length(term$codings)))
  }
  emit(sprintf("static const struct oracle_coding %scodings[] = {%s};\n", id, paste(c(codings, "{0}"), collapse = ", ")))
  emit(sprintf("static const struct oracle_term %sterms[] = {%s};\n", id, paste(terms, collapse = ", ")))
  emit(sprintf("static const double *const %sdense[] = {%s};\n", id, paste(c(if (length(l$dense)) paste0(id, "d", seq_along(l$dense)), "NULL"), collapse = ", ")))
  emit(sprintf("static const struct rfl_coded %scoded[] = {%s};\n", id,
    paste(c(if (length(l$codes)) sprintf("{%sc%d, %d}", id, seq_along(l$codes), l$levels), "{0}"), collapse = ", ")))
  emit(array_of("double", paste0(id, "b"), num(b)), array_of("double", paste0(id, "se"), num(se)))
  null_dev <- fit$null.deviance
  ll <- as.numeric(logLik(fit))
  cases <<- c(cases, sprintf(paste0("{.name = \"%s\", .family = %s, .n = %d, .n_dense = %d, .dense = %sdense, .n_coded = %d, .coded = %scoded, ",
    ".n_terms = %d, .term = %sterms, .coding = %scodings, .y = %sy, .weight = %s, .offset = %s, .n_x = %d, .coef = %sb, .se = %sse, ",
    ".deviance = %s, .null_deviance = %s, .aic = %s, .loglik = %s, .dispersion = %s, .rank = %d, .df_residual = %d}"),
    name, paste0("RFL_", toupper(family$family)), n, length(l$dense), id, length(l$codes), id, length(l$terms), id, id, id,
    if (!is.null(weights) || any(fit$prior.weights != 1)) paste0(id, "w") else "NULL", if (!is.null(offset)) paste0(id, "o") else "NULL",
    length(b), id, id, num(fit$deviance), num(null_dev), num(fit$aic), num(ll), num(phi), fit$rank, fit$df.residual))
}

options(contrasts = c("contr.treatment", "contr.poly"))
set.seed(20261122)
cars <- transform(mtcars, cyl = factor(cyl), am = am == 1, gear = factor(gear))
esoph$n <- with(esoph, ncases + ncontrols)
esoph$prop <- esoph$ncases / esoph$n
n <- 120
sim <- data.frame(x = rnorm(n), u = runif(n, 5, 50), f = factor(sample(letters[1:5], n, TRUE)), g = factor(sample(LETTERS[1:3], n, TRUE)))
sim$clicks <- rbinom(n, 1, plogis(-0.5 + sim$x + (sim$f == "b")))
sim$count <- rpois(n, sim$u * exp(-1 + 0.3 * sim$x))
sim$coin <- rbinom(n, 1, 0.5)
sim$z <- 2 * sim$x - 3
sim$k <- 4

oracle("gaussian, factors by logical", mpg ~ wt + cyl * am, cars, gaussian())
oracle("gaussian, everything crossed", mpg ~ wt * hp + cyl:wt + gear, cars, gaussian())
oracle("gaussian, weights and offset", mpg ~ wt + gear, cars, gaussian(), weights = cars$carb, offset = cars$qsec / 10)
oracle("gaussian, zero weights, no intercept", mpg ~ wt + cyl - 1, cars, gaussian(), weights = (seq_len(32) %% 4) / 2)
oracle("gaussian, aliased columns", clicks ~ x + z + k + f + u, sim, gaussian())
oracle("gaussian, more columns than rows", mpg ~ wt + hp + qsec + drat + gear + disp + carb, cars[1:6, ], gaussian())
oracle("gaussian, constant response columns", len ~ supp * dose, ToothGrowth, gaussian())
oracle("poisson, wool by tension", breaks ~ wool * tension, warpbreaks, poisson())
oracle("poisson, sum contrasts", breaks ~ wool * tension, warpbreaks, poisson(), contrasts = list(wool = "contr.sum", tension = "contr.helmert"))
oracle("poisson, exposure", count ~ x + f, sim, poisson(), offset = log(sim$u))
oracle("poisson, exposure, no intercept", count ~ x + g - 1, sim, poisson(), offset = log(sim$u))
oracle("poisson, weights", count ~ x * g, sim, poisson(), weights = rep(1:4, 30) / 2)
oracle("binomial, infertility", case ~ spontaneous + induced + education + age, infert, binomial())
oracle("binomial, ordered factors, counts", prop ~ agegp + alcgp + tobgp, esoph, binomial(), weights = esoph$n)
oracle("binomial, factor by number", clicks ~ f:x + g, sim, binomial())
oracle("binomial, sum contrasts by number", coin ~ f * x, sim, binomial(), contrasts = list(f = "contr.sum"))
oracle("binomial, offset", clicks ~ x + g, sim, binomial(), offset = sim$u / 20)
oracle("binomial, offset, no intercept", clicks ~ x:g - 1, sim, binomial(), offset = sim$u / 20 - 1)
oracle("binomial, weights that are not whole", clicks ~ x + g, sim, binomial(), weights = rep(c(0.3, 1, 0, 2.6), 30))
oracle("binomial, aliased, zero weights", clicks ~ x + z + f * g, sim, binomial(), weights = as.numeric(sim$f != "c"))

out <- c(out, "static const struct oracle oracles[] = {\n", paste(cases, collapse = ",\n"), "};\n")
writeLines(out, "oracle-glm.inc", sep = "")
