# The data sets on which generalised linear models are taught (copies of statsmodels' and Stata's),
# each with the model it is known for, against glm() run to convergence.
classic <- function(name) {
  folder <- Sys.getenv("RIFFLE_DATA")
  skip_if(!nzchar(folder), "RIFFLE_DATA is not set")
  file <- file.path(folder, "glm", "statsmodels", name)
  utils::read.csv(if (endsWith(name, ".gz")) gzfile(file) else file, stringsAsFactors = TRUE)
}

expect_classic <- function(formula, data, family) {
  known <- startsWith(family$family, "Negative")
  theirs <- if (known) MASS::negative.binomial(family$theta) else family
  truth <- oracle(formula, data, theirs)
  m <- quietly(stream_glm(formula, data, family))
  expect_meets_contract(m, truth)
  expect_equal(AIC(m), AIC(truth$fit), tolerance = 1e-9)
  invisible(m)
}

test_that("Scottish votes on taxes (Gamma) meet the contract", {
  d <- classic("scotvote.csv")
  f <- YES ~ COUTAX + UNEMPF + MOR + ACT + GDP + AGE + COUTAX_FEMALEUNEMP
  expect_classic(f, d, Gamma())
  expect_classic(f, d, Gamma("log"))
  expect_classic(f, d, Gamma("identity"))
})

test_that("Californian schools (binomial counts) meet the contract", {
  d <- classic("star98.csv")
  d$share <- d$MATHTOT / (d$MATHTOT + d$PR50M)
  d$pupils <- d$MATHTOT + d$PR50M
  f <- share ~ LOWINC + PERASIAN + PERBLACK + PERHISP + PCTCHRT + PCTYRRND + PTRATIO
  for (link in c("logit", "probit", "cloglog", "cauchit")) {
    family <- do.call(binomial, list(link))
    m <- quietly(stream_glm(f, d, family, weights = pupils))
    truth <- oracle(f, d, family, weights = pupils)
    expect_meets_contract(m, truth)
  }
})

test_that("executions, committees, doctors' visits and hospital stays (counts) meet the contract", {
  d <- classic("cpunish.csv")
  f <- EXECUTIONS ~ INCOME + PERPOVERTY + PERBLACK + VC100k96 + SOUTH + DEGREE
  expect_classic(f, d, poisson())
  d <- classic("committee.csv")
  f <- BILLS104 ~ SIZE + SUBS * log1p + PRESTIGE + BILLS103
  d$log1p <- log1p(d$STAFF)
  m <- stream_glm(f, d, nb_family())
  skip_if_not_installed("MASS")
  theirs <- suppressWarnings(
    MASS::glm.nb(f, d, control = glm.control(epsilon = 1e-12, maxit = 200))
  )
  expect_equal(m$fit$theta, theirs$theta, tolerance = 1e-5)
  expect_meets_contract(m, oracle(f, d, MASS::negative.binomial(m$fit$theta)))
  d <- classic("stata_medpar1_glm.csv")
  expect_classic(los ~ admitype + codes, d, inverse.gaussian("log"))
  expect_classic(los ~ admitype + codes, d, nb_family(1))
  d <- classic("randhie.csv.gz")
  expect_classic(mdvis ~ lncoins + idp + lpi + fmde + physlm + disea + hlthg, d, poisson())
  expect_classic(mdvis ~ lncoins + idp + lpi + fmde + physlm + disea + hlthg, d, quasipoisson())
})

test_that("birth weights, drug trials and an inverse gaussian sample meet the contract", {
  d <- classic("stata_lbw_glm.csv")
  for (link in c("logit", "probit", "cloglog", "cauchit")) {
    family <- do.call(binomial, list(link))
    expect_classic(low ~ age + lwt + race + smoke + ptl + ht + ui, d, family)
  }
  d <- classic("stata_cancer_glm.csv")
  d$drug <- factor(d$drug)
  expect_classic(studytime ~ age + drug, d, Gamma("log"))
  expect_classic(studytime ~ age + drug, d, gaussian("log"))
  d <- classic("inv_gaussian.csv.gz")
  expect_classic(xig ~ x1 + x2, d, inverse.gaussian())
})

test_that("credit cards (gaussian) and copper meet the contract", {
  d <- classic("ccard.csv")
  expect_classic(AVGEXP ~ AGE + INCOME + INCOMESQ + OWNRENT, d, gaussian())
  d <- classic("copper.csv")
  f <- WORLDCONSUMPTION ~ COPPERPRICE + INCOMEINDEX + ALUMPRICE + INVENTORYINDEX + TIME
  expect_classic(f, d, gaussian())
})
