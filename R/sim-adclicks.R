#' Simulate ad impressions and clicks
#'
#' A generator with a known truth: who clicks follows a logistic model of the user, the device,
#' the time of day, the ad and two crossed effects. The same seed gives the same bytes on every
#' platform.
#'
#' @param n Number of impressions.
#' @param users,ads How many users (at least 4) and ads (at least 5) there are.
#' @param click_rate Mean rate of clicks at the start, between 0 and 0.5. Real ads have 0.01 to
#'   0.02.
#' @param drift How much the truth moves from the first to the last impression, in logits: the
#'   effect of `mobile` rises by `drift`, that of `games` falls by it. 0: the truth stands
#'   still.
#' @param seed A whole number, or `NULL` for one drawn from R's generator, so that `set.seed()`
#'   governs.
#' @returns A data frame in the order of time, with seven days of impressions:
#'   `time` (POSIXct, UTC), `user_id`, `segment` (4 kinds of users), `activity` (how active the
#'   user is, mean 0), `device` (desktop, mobile, tablet), `hour` (0 to 23), `daypart` (night,
#'   morning, afternoon, evening; levels in C order), `ad_id`, `category` (5 kinds of ads),
#'   `quality` (of the ad, -1 to 1), `position` (top, side, bottom) and `click` (0 or 1).
#'   Attributes: `truth`, the coefficients by the names that [stream_glm()] gives them;
#'   `truth_end`, those at the last impression; `probability`, the true one of each row;
#'   `formula`, the formula that holds them; `seed`.
#' @details
#' Ads are shown independently of users, and users come with unequal frequency: a few make most
#' of the impressions. The time is spread evenly over seven days. Every effect is a whole number
#' of thousandths of a logit and the probability is rounded to nine digits before it is compared
#' with the draw, so no platform's `exp()` can change a click. Draws come from a counter-based
#' generator: each is a function of the seed, the row and the number of the draw.
#' @section Errors:
#' `riffle_error_argument` for a wrong argument.
#' @source A logistic model of independent impressions as in McMahan et al. (2013), Ad click
#'   prediction: a view from the trenches, KDD; no data of a real site are in it.
#' @export
#' @examples
#' d <- sim_adclicks(20000, seed = 1)
#' head(d)
#' mean(d$click)
#' m <- stream_glm(attr(d, "formula"), d, family = binomial)
#' round(cbind(truth = attr(d, "truth"), estimate = coef(m)), 2)[1:8, ]
sim_adclicks <- function(n, users = 1000L, ads = 50L, click_rate = 0.02, drift = 0, seed = NULL) {
  check_count(n)
  check_whole_from(users, 4, "users")
  check_whole_from(ads, 5, "ads")
  check_in(click_rate, 0.0005, 0.5, "click_rate")
  check_in(drift, -5, 5, "drift")
  if (is.null(seed)) seed <- sample.int(.Machine$integer.max, 1L)
  check_in(seed, 0, 2^53, "seed")
  who <- sim_users(users, seed)
  what <- sim_ads(ads, seed)
  shown <- sim_impressions(n, who, what, seed)
  effects <- sim_effects()
  drawn <- sim_clicks(shown, effects, click_rate, drift, seed)
  shown$click <- drawn$click
  attr(shown, "probability") <- drawn$probability
  attr(shown, "truth") <- sim_truth(effects, drawn$intercept, 0)
  attr(shown, "truth_end") <- sim_truth(effects, drawn$intercept, round_half_up(1000 * drift))
  attr(shown, "formula") <- stats::as.formula(
    "click ~ segment * category + device * daypart + position + activity + quality", globalenv()
  )
  attr(shown, "seed") <- seed
  shown
}

check_whole_from <- function(x, least, arg) {
  if (!is.numeric(x) || length(x) != 1L || is.na(x) || x < least || x > 1e7 || x != floor(x)) {
    abort_argument("`{arg}` must be one whole number of {least} or more, not {describe(x)}.")
  }
}

check_in <- function(x, from, to, arg) {
  if (!is.numeric(x) || length(x) != 1L || is.na(x) || x < from || x > to) {
    abort_argument("`{arg}` must be one number from {from} to {to}, not {describe(x)}.")
  }
}

# ---- who, what, when: numbers of draws are fixed, 0 to 9 for impressions, from 10 on f

draw <- function(seed, index, n) {
  .Call(c_random_uniform, as.double(seed), as.double(index), as.double(n))
}

round_half_up <- function(x) floor(x + 0.5)

# Everything in whole thousandths: sums of them are exact.
sim_users <- function(users, seed) {
  k <- seq_len(users) - 1L
  spread <- draw(seed, 10, users) + draw(seed, 11, users) + draw(seed, 12, users) - 1.5
  list(
    id = sprintf("u%06d", k), segment = k %% 4L + 1L, # every segment has users
    activity = round_half_up(spread * 200) * 10
  )
}

sim_ads <- function(ads, seed) {
  k <- seq_len(ads) - 1L
  quality <- round_half_up((draw(seed, 13, ads) * 2 - 1) * 100) * 10
  list(id = sprintf("ad%05d", k), category = k %% 5L + 1L, quality = quality)
}

sim_levels <- list(
  segment = c("bargain", "loyal", "new", "sport"),
  category = c("books", "games", "music", "shoes", "travel"),
  device = c("desktop", "mobile", "tablet"),
  daypart = c("afternoon", "evening", "morning", "night"),
  position = c("bottom", "side", "top")
)

factor_of <- function(code, levels) {
  structure(as.integer(code), levels = levels, class = "factor")
}

sim_impressions <- function(n, who, what, seed) {
  i <- seq_len(n) - 1
  u <- draw(seed, 1, n)
  user <- floor(u * u * length(who$id)) + 1
  ad <- floor(draw(seed, 2, n) * length(what$id)) + 1
  v <- draw(seed, 3, n)
  w <- draw(seed, 4, n)
  ms <- floor((i + draw(seed, 5, n)) / n * 604800000)
  hour <- as.integer(floor(ms / 3600000) %% 24)
  level <- function(name, code) factor_of(code, sim_levels[[name]])
  as_columns(list(
    time = .POSIXct(1700438400 + ms / 1000, "UTC"),
    user_id = factor_of(user, who$id),
    segment = level("segment", who$segment[user]), activity = who$activity[user] / 1000,
    device = level("device", 1 + (v < 0.7) + (v < 0.1)), hour = hour,
    daypart = level("daypart", c(4L, 3L, 1L, 2L)[hour %/% 6L + 1L]), ad_id = factor_of(ad, what$id),
    category = level("category", what$category[ad]), quality = what$quality[ad] / 1000,
    position = level("position", 1 + (w < 0.7) + (w < 0.3))
  ), n)
}

# ---- the truth -----------------------------------------------------------------------

# Thousandths of a logit. Rows of `segment_category` are segments, of `device_daypart` devices;
# the first row and column are 0.
sim_effects <- function() {
  list(
    segment = c(0, 350, -400, 150), category = c(0, 250, 100, -150, -300),
    device = c(0, 300, 100),
    daypart = c(0, 400, -200, -500), position = c(0, 250, 700), activity = 500, quality = 800,
    segment_category = rbind(
      0, c(0, -200, 150, 100, 300), c(0, 400, 200, -100, -200), c(0, 100, -150, 900, 200)
    ),
    device_daypart = rbind(0, c(0, 350, 300, 250), c(0, 500, -200, 150))
  )
}

sim_logits <- function(x, effects, drift) {
  code <- lapply(x[names(sim_levels)], as.integer)
  passed <- (seq_along(code$device) - 1) / length(code$device)
  moved <- round_half_up(1000 * drift * passed) * ((code$device == 2L) - (code$category == 2L))
  main <- lapply(stats::setNames(nm = names(code)), \(name) effects[[name]][code[[name]]])
  numbers <- lapply(c("activity", "quality"), \(name) round_half_up(x[[name]] * effects[[name]]))
  crossed <- effects$segment_category[cbind(code$segment, code$category)] +
    effects$device_daypart[cbind(code$device, code$daypart)]
  Reduce(`+`, c(main, numbers)) + crossed + moved
}

# The intercept, in thousandths, that makes the mean rate the one asked for: by bisection,
# before any drift.
sim_clicks <- function(x, effects, click_rate, drift, seed) {
  base <- tabulate_logits(sim_logits(x, effects, 0))
  low <- -12000
  high <- 4000
  while (high - low > 1) {
    middle <- floor((low + high) / 2)
    rate <- sum(base$count * chance(base$logit + middle)) / nrow(x)
    if (rate > click_rate) high <- middle else low <- middle
  }
  p <- chance(sim_logits(x, effects, drift) + low)
  list(intercept = low, probability = p, click = as.integer(draw(seed, 0, nrow(x)) < p))
}

tabulate_logits <- function(logit) {
  from <- min(logit)
  count <- tabulate(logit - from + 1)
  list(logit = which(count > 0) + from - 1, count = count[count > 0])
}

chance <- function(thousandths) round_half_up(stats::plogis(thousandths / 1000) * 1e9) / 1e9

# By R's names of the model matrix's columns, first levels as references.
sim_truth <- function(effects, intercept, drift) {
  named <- function(name) {
    stats::setNames(effects[[name]][-1L], paste0(name, sim_levels[[name]])[-1L])
  }
  crossed <- function(a, b, values) {
    labels <- outer(paste0(a, sim_levels[[a]]), paste0(b, sim_levels[[b]]), paste, sep = ":")
    stats::setNames(as.vector(values[-1L, -1L]), as.vector(labels[-1L, -1L]))
  }
  truth <- c(
    "(Intercept)" = intercept, named("segment"), named("category"), named("device"),
    named("daypart"), named("position"),
    activity = effects$activity, quality = effects$quality,
    crossed("segment", "category", effects$segment_category),
    crossed("device", "daypart", effects$device_daypart)
  )
  truth[["devicemobile"]] <- truth[["devicemobile"]] + drift
  truth[["categorygames"]] <- truth[["categorygames"]] - drift
  truth / 1000
}
