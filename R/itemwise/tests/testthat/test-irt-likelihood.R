# ---- Priors ------------------------------------------------------------------

test_that("the weak priors are those of the native engine's file", {
  skip_without_clone()
  expect_identical(names(weak_priors()), c("a", "d", "g", "u"))
  expect_equal(weak_priors()$g, c(-3, 4))
  expect_identical(mirt_syntax("2PL", "none", 7), "F = 1-7")
  expect_identical(
    mirt_syntax("3PL", "weak", 5),
    paste0(
      "F = 1-5\nPRIOR = (1-5, a1, norm, 4, 10), (1-5, d, norm, 0, 30), ",
      "(1-5, g, norm, -3, 4)"
    )
  )
  expect_match(
    mirt_syntax("1PL", "weak", 4),
    "CONSTRAIN = (1-4, a1)",
    fixed = TRUE
  )
  expect_match(
    mirt_syntax("1PL", "weak", 4),
    "(1-4, a1, norm, 4, 10)",
    fixed = TRUE
  )
})

test_that("mirt takes the prior that the native engine has estimated", {
  record <- list(
    prior = "estimated",
    prior_values = list(
      a = list(1.5, 0.6),
      d = list(0.2, 1.2),
      g = list(-3, 4),
      u = list(2, 4),
      correlation_ad = 0.3,
      degrees_of_freedom = 5
    )
  )
  # The variance of t with f degrees of freedom is f / (f - 2) times its scale.
  numbers <- prior_of_record(record)
  expect_equal(numbers$a, c(1.5, 0.6 * sqrt(5 / 3)))
  expect_equal(numbers$g, c(-3, 4))
  expect_match(
    mirt_syntax("2PL", numbers, 5),
    "(1-5, d, norm, 0.2, 1.549",
    fixed = TRUE
  )
  expect_identical(prior_of_record(list(prior = "none")), "none")
})

test_that("the log prior by hand is mirt's, with norm on the logits", {
  skip_without_mirt()
  # Before the last cycle, of which mirt's own prior term is, hardly differs.
  fit <- fit_mirt(lsat7(), "4PL", "weak", tolerance = 1e-7)
  beta <- free_beta(fit$parameters, "4PL")
  by_hand <- vapply(
    colnames(beta),
    \(name) {
      moments <- weak_priors()[[name]]
      sum(dnorm(beta[, name], moments[1], moments[2], log = TRUE))
    },
    numeric(1)
  )
  expect_equal(
    sum(by_hand),
    mirt::extract.mirt(fit$model, "logPrior"),
    tolerance = 1e-6
  )
  constant <- -nrow(beta) *
    sum(log(
      sqrt(2 * pi) *
        vapply(weak_priors(), `[`, numeric(1), 2)
    ))
  expect_equal(log_prior(beta, "weak", "4PL") + constant, sum(by_hand))
  with(
    fit$record,
    expect_equal(
      log_posterior,
      log_likelihood + log_prior(beta, "weak", "4PL")
    )
  )
  # The prior of the 1PL's one slope counts once, for mirt and for us.
  fit <- fit_mirt(lsat7(), "1PL", "weak", tolerance = 1e-7)
  p <- fit$parameters
  by_hand <- dnorm(p$a[1], 4, 10, log = TRUE) +
    sum(dnorm(p$d, 0, 30, log = TRUE))
  expect_equal(
    by_hand,
    mirt::extract.mirt(fit$model, "logPrior"),
    tolerance = 1e-6
  )
  constant <- dnorm(0, sd = 10, log = TRUE) + 5 * dnorm(0, sd = 30, log = TRUE)
  expect_equal(
    log_prior(free_beta(p, "1PL"), "weak", "1PL") + constant,
    by_hand
  )
  expect_lt(fit$record$max_gradient, 1e-3)
})

# ---- Likelihood --------------------------------------------------------------

test_that("the log-likelihood is that of the plain formula", {
  p <- make_parameters(c(1, -2, 30), c(0, 1, -5), c(0, 0.2, 0), c(1, 0.9, 1))
  x <- rbind(c(1, 0, 1), c(0, NA, 1), c(NA, NA, 0))
  theta <- seq(-6, 6, length.out = 41)
  weight <- dnorm(theta) / sum(dnorm(theta))
  plain <- sum(log(apply(x, 1, \(answers) {
    sum(
      weight *
        vapply(
          theta,
          \(at) {
            right <- p$g + (p$u - p$g) * plogis(p$a * at + p$d)
            prod(ifelse(answers == 1, right, 1 - right), na.rm = TRUE)
          },
          numeric(1)
        )
    )
  })))
  expect_equal(marginal_log_likelihood(x, p, 41), plain)
})

test_that("thousands of items do not underflow", {
  p <- make_parameters(rep(2, 4000), seq(-3, 3, length.out = 4000))
  x <- draw_answers(p, 3)
  value <- marginal_log_likelihood(x, p)
  expect_true(is.finite(value) && value < -1500)
})

test_that("published log-likelihoods follow from published estimates", {
  skip_without_clone()
  log_likelihood <- c(
    arc_secondary = -120279.2,
    gsm8k_secondary = -409894.4,
    arc_primary = -189889.5,
    gsm8k_primary = -382224.5
  )
  for (form in names(log_likelihood)) {
    data <- published(form)
    value <- marginal_log_likelihood(data$responses, data$parameters, 61)
    expect_lt(abs(value - log_likelihood[[form]]), 0.1)
  }
})

test_that("the published 4PL is far from the maximum, the 2PL is not", {
  skip_without_clone()
  data <- published("arc_primary")
  gradient <- log_posterior_gradient(data$responses, data$parameters, "4PL")
  expect_gt(max_gradient(gradient, "4PL"), 100)
  data <- published("gsm8k_secondary")
  gradient <- log_posterior_gradient(data$responses, data$parameters, "2PL")
  expect_lt(max_gradient(gradient, "2PL"), 0.2)
})

test_that("the gradient is the numerical one, with missing cells and priors", {
  skip_without_clone()
  full <- make_parameters(c(1, -0.5, 2), c(0, 1, -1), c(0.1, 0.2, 0.05), 0.9)
  x <- draw_answers(full, 60, missing = 0.2)
  for (model in c("2PL", "3PL", "4PL")) {
    p <- full
    if (model == "2PL") {
      p$g <- 0
    }
    if (model != "4PL") {
      p$u <- 1
    }
    beta <- free_beta(p, model)
    objective <- \(beta) {
      q <- p
      for (name in colnames(beta)) {
        asymptote <- name %in% c("g", "u")
        q[[name]] <- if (asymptote) plogis(beta[, name]) else beta[, name]
      }
      marginal_log_likelihood(x, q) + log_prior(beta, "weak", model)
    }
    gradient <- log_posterior_gradient(x, p, model, "weak")
    expect_equal(
      as.vector(gradient),
      numeric_gradient(objective, beta),
      tolerance = 1e-6
    )
  }
  p <- change(change(full, "g", 0), "u", 1)
  common <- \(a) marginal_log_likelihood(x, change(p, "a", a))
  gradient <- log_posterior_gradient(x, change(p, "a", 1), "1PL")
  expect_equal(
    sum(gradient[, "a"]),
    numeric_gradient(common, 1),
    tolerance = 1e-6
  )
  expect_gte(max_gradient(gradient, "1PL"), abs(sum(gradient[, "a"])))
})
