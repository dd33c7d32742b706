#' Families of generalised linear models
#'
#' `nb_family()` and `tweedie_family()` are families for [stream_glm()] that `stats` does not
#' have: counts that vary more than Poisson ones, and amounts that are often zero. Any `family()`
#' object works in [stream_glm()]; see there which ones are compiled.
#'
#' @param theta The shape of the negative binomial, a number above 0: the variance is `mu +
#'   mu^2 / theta`. `NULL`: it is estimated with the coefficients.
#' @param link A link: `"log"`, `"sqrt"`, `"identity"` or an object of [stats::make.link()].
#' @param var.power The power `p` of the variance `mu^p`; between 1 and 2 for amounts with zeros.
#' @param link.power The link is `mu^link.power`; 0 is the log. The default is the canonical one.
#' @returns An object of class `family`.
#' @details
#' `nb_family(NULL)` estimates theta by Newton's method beside the coefficients. Where the counts
#' vary no more than Poisson ones (the score about `1 / theta` at 0 is not positive) theta is
#' `Inf` and the fit is the Poisson one. The dispersion is 1 and covariances are conditional on
#' theta, as in `MASS::glm.nb()`; the AIC counts theta. Updates with new rows keep theta. The
#' fitted theta and its standard error are `m$fit$theta` and `m$fit$theta_se`.
#'
#' The dispersion of `tweedie_family()` is estimated by Pearson's sum; it has no AIC.
#' @section Errors:
#' `riffle_error_argument` for a `theta`, a power or a link that is none.
#' @source Venables and Ripley (2002), Modern Applied Statistics with S, 4th edition, 7.4, and
#'   `MASS::negative.binomial()`. Dunn and Smyth (2018), Generalized Linear Models With Examples
#'   in R, 12, and `statmod::tweedie()`.
#' @name families
#' @export
#' @examples
#' d <- data.frame(x = rep(1:50, 4))
#' set.seed(1)
#' d$y <- rnbinom(200, size = 2, mu = exp(0.5 + 0.02 * d$x))
#' m <- stream_glm(y ~ x, d, nb_family())
#' m
#' m$fit$theta
nb_family <- function(theta = NULL, link = "log") {
  if (!is.null(theta)) check_positive(theta)
  link <- as_link(link)
  shape <- if (is.null(theta)) NA_real_ else as.double(theta)
  size <- if (is.null(theta)) 1 else shape
  structure(list(
    family = if (is.null(theta)) "Negative Binomial" else nb_name(shape),
    link = link$name, linkfun = link$linkfun, linkinv = link$linkinv, mu.eta = link$mu.eta,
    valideta = link$valideta, theta = shape, variance = \(mu) mu + mu^2 / size,
    validmu = \(mu) all(mu > 0),
    dev.resids = \(y, mu, wt) {
      ratio <- if (is.infinite(size)) y - mu else (y + size) * log((y + size) / (mu + size))
      2 * wt * (y * log(ifelse(y > 0, y, mu) / mu) - ratio)
    },
    aic = \(y, n, mu, wt, dev) -2 * sum(wt * stats::dnbinom(y, size, mu = mu, log = TRUE)),
    initialize = expression({
      if (any(y < 0)) stop("negative values not allowed for the negative binomial family")
      n <- rep(1, nobs)
      mustart <- y + (y == 0) / 6
    }),
    simulate = \(object, nsim) {
      mu <- stats::fitted(object)
      stats::rnbinom(nsim * length(mu), size, mu = mu)
    }
  ), class = "family")
}

nb_name <- function(theta) sprintf("Negative Binomial(%s)", format(theta, digits = 4L))

#' @rdname families
#' @export
tweedie_family <- function(var.power, link.power = 1 - var.power) {
  if (missing(var.power) || !is_number(var.power) || abs(var.power) > 100) {
    abort_argument("`var.power` must be a number, the power of the variance.")
  }
  if (!is_number(link.power) || abs(link.power) > 100) {
    abort_argument("`link.power` must be a number, not {describe(link.power)}.")
  }
  link <- power_link(link.power)
  p <- var.power
  structure(list(
    family = sprintf("Tweedie(%s)", format(p)), link = link$name, linkfun = link$linkfun,
    linkinv = link$linkinv, mu.eta = link$mu.eta, valideta = link$valideta, power = p,
    variance = \(mu) mu^p, validmu = \(mu) p == 0 || all(mu > 0),
    dev.resids = \(y, mu, wt) {
      some <- ifelse(y > 0, y, mu)
      one <- if (p == 1) log(some / mu) else (some^(1 - p) - mu^(1 - p)) / (1 - p)
      two <- if (p == 2) log(y / mu) else (y^(2 - p) - mu^(2 - p)) / (2 - p)
      2 * wt * (ifelse(y == 0, 0, y * one) - two)
    },
    aic = \(y, n, mu, wt, dev) NA_real_,
    initialize = expression({
      n <- rep(1, nobs)
      mustart <- y + 0.1 * (y == 0)
    })
  ), class = "family")
}

# eta = mu^lambda in the way of statmod: increasing or not, as the power says.
power_link <- function(lambda) {
  if (lambda == 0) {
    return(stats::make.link("log"))
  }
  if (lambda == 1) {
    return(stats::make.link("identity"))
  }
  structure(list(
    linkfun = \(mu) mu^lambda, linkinv = \(eta) eta^(1 / lambda),
    mu.eta = \(eta) eta^(1 / lambda - 1) / lambda,
    valideta = \(eta) all(is.finite(eta)) && all(eta > 0),
    name = sprintf("mu^%s", format(lambda, digits = 15L))
  ), class = "link-glm")
}

as_link <- function(link) {
  found <- if (inherits(link, "link-glm")) {
    link
  } else if (is.character(link) && length(link) == 1L) {
    tryCatch(stats::make.link(link), error = \(e) NULL)
  }
  if (is.null(found)) abort_argument("`link` must be a link such as \"log\", not {describe(link)}.")
  found
}

# ---- what C knows of a family --------------------------------------------------------

family_codes <- c(
  gaussian = 0L, binomial = 1L, poisson = 2L, Gamma = 3L, inverse.gaussian = 4L, quasi = 5L,
  quasibinomial = 6L, quasipoisson = 7L, negative = 8L, tweedie = 9L, custom = 10L
)
link_codes <- c(
  identity = 1L, log = 2L, logit = 3L, probit = 4L, cauchit = 5L, cloglog = 6L, inverse = 7L,
  `1/mu^2` = 8L, sqrt = 9L
)
power_code <- 10L
variance_codes <- c(constant = 0L, `mu(1-mu)` = 1L, mu = 2L, `mu^2` = 3L, `mu^3` = 4L)

# What enum rfl_family, rfl_link and rfl_variance of learn/glm.h say of it; a family whose
# functions must run in R is "custom". The names decide: a family of one's own needs a name of its
# own.
family_spec <- function(family) {
  spec <- list(family = NA_integer_, link = 0L, variance = 0L, shape = 0, lambda = 0)
  link <- link_spec(family)
  name <- family$family
  if (name %in% c(names(family_codes)[1:8])) {
    spec$family <- family_codes[[name]]
    if (name == "quasi") {
      if (!isTRUE(family$varfun %in% names(variance_codes))) return(custom_spec())
      spec$variance <- variance_codes[[family$varfun]]
    }
  } else if (startsWith(name, "Negative Binomial")) {
    spec$family <- family_codes[["negative"]]
    spec$shape <- family_theta(family)
  } else if (startsWith(name, "Tweedie")) {
    spec$family <- family_codes[["tweedie"]]
    spec$shape <- family_power(family)
  }
  if (is.na(spec$family) || is.null(link) || is.na(spec$shape)) {
    return(custom_spec())
  }
  spec[names(link)] <- link
  spec
}

custom_spec <- function() {
  list(family = family_codes[["custom"]], link = 0L, variance = 0L, shape = 0, lambda = 0)
}

is_custom <- function(family) family_spec(family)$family == family_codes[["custom"]]

# "log", or "mu^0.5": power() and statmod's name for it, whose digits are rounded. NULL: a link
# of one's own.
link_spec <- function(family) {
  link <- family$link
  if (!is.character(link) || length(link) != 1L) {
    return(NULL)
  }
  if (link %in% names(link_codes)) {
    return(list(link = link_codes[[link]]))
  }
  power <- get0("lambda", environment(family$linkfun), inherits = FALSE)
  if (startsWith(link, "mu^") && is_number(power) && abs(power) <= 100) {
    list(link = power_code, lambda = power)
  }
}

# Theta of nb_family() or of MASS; 0: to be estimated.
family_theta <- function(family) {
  if (!is.null(family$theta)) {
    return(if (is.na(family$theta)) 0 else family$theta)
  }
  theta <- get0(".Theta", environment(family$variance), inherits = FALSE)
  if (is_number(theta) && theta > 0) theta else NA_real_
}

# The power of tweedie_family() or of statmod.
family_power <- function(family) {
  if (!is.null(family$power)) {
    return(family$power)
  }
  power <- get0("var.power", environment(family$variance), inherits = FALSE)
  if (is_number(power) && abs(power) <= 100) power else NA_real_
}

as_family <- function(family) {
  given <- family
  known <- names(family_codes)[1:8]
  if (is.character(family) && length(family) == 1L && family %in% known) {
    family <- get(family, envir = asNamespace("stats"), mode = "function")
  }
  if (is.function(family)) family <- tryCatch(family(), error = \(e) NULL)
  needed <- c("family", "link", "linkfun", "linkinv", "variance", "dev.resids", "mu.eta")
  if (inherits(family, "family") && all(needed %in% names(family))) {
    return(family)
  }
  found <- if (is.character(given) && length(given) == 1L) dQuote(given, FALSE) else describe(given)
  abort_argument(
    "`family` must be a family object, or the name of one of stats ({.val {known}}), not {found}."
  )
}

# The dispersion is 1 by the family.
fixed_dispersion <- function(family) {
  family$family %in% c("binomial", "poisson") || startsWith(family$family, "Negative Binomial")
}

# binomial and quasibinomial: the response may be a class.
is_share <- function(family) family$family %in% c("binomial", "quasibinomial")

# Where the mean runs to the border of its range while the linear predictor runs to infinity: a
# level without events has no finite estimate.
runs_away <- function(family) {
  spec <- family_spec(family)
  share <- is_share(family) || identical(family$varfun, "mu(1-mu)")
  share && family$link %in% c("logit", "probit", "cauchit", "cloglog") ||
    family$link == "log" && (family$family %in% c("poisson", "quasipoisson") ||
      identical(family$varfun, "mu") || spec$family == family_codes[["negative"]] ||
      spec$family == family_codes[["tweedie"]] && spec$shape < 2)
}

# The functions of a family as C calls them (r_glm.c): each takes and gives plain vectors.
custom_host <- function(family) {
  valid <- \(mu, eta) {
    (is.null(family$valideta) || isTRUE(family$valideta(eta))) &&
      (is.null(family$validmu) || isTRUE(family$validmu(mu)))
  }
  list(
    \(y, weights, eta) {
      mu <- as.double(family$linkinv(eta))
      n <- length(eta)
      if (!valid(mu, eta)) return(list(mu, rep(1, n), rep(1, n), rep(Inf, n)))
      answer <- list(mu, family$mu.eta(eta), family$variance(mu), family$dev.resids(y, mu, weights))
      check_answer(lapply(answer, as.double), n, family)
    },
    \(y, weights) {
      here <- list2env(
        list(
          y = y, weights = weights, nobs = length(y), family = family, etastart = NULL,
          start = NULL, mustart = NULL
        ),
        parent = asNamespace("stats")
      )
      eval(family$initialize, here)
      check_answer(list(as.double(family$linkfun(here$mustart))), length(y), family)
    },
    \(mu) check_answer(list(as.double(family$linkfun(mu))), 1L, family)
  )
}

check_answer <- function(answer, n, family) {
  if (any(lengths(answer) != n)) {
    abort_argument(
      "`family` must have functions that give one value a row; one of {.val {family$family}} ",
      "gives {lengths(answer)[lengths(answer) != n][[1L]]} for {n}."
    )
  }
  answer
}
