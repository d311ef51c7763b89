# Abilities as cross-fitting makes them of sum scores: near-ties, split by fold.
split_ties <- function(n, values, gap, seed) {
  set.seed(seed)
  fold <- rep_len(1:5, n)
  theta <- sample(seq(-2, 2, length.out = values), n, replace = TRUE)
  data.frame(
    theta = theta + gap * fold,
    full_score = 50 + 10 * theta + rnorm(n, sd = 3),
    se = 0.5,
    fold = fold
  )
}

test_that("values that are as good as equal become equal, and others stay", {
  x <- c(0, 1e-9, 1e-4, 1.1, 1.101, 3, 4)
  joined <- join_ties(x)
  expect_identical(length(unique(joined)), 4L)
  expect_identical(range(joined), range(x))
  expect_lt(max(abs(joined - x)), sd(x) / 40 + 1e-12)
  # Nothing but rounding errors: a predictor that does not vary.
  expect_identical(join_ties(c(50, 50 + 1e-9)), c(50, 50))
  expect_equal(join_ties(x + 100), joined + 100)
})

test_that("bases shrink with the distinct values and the rows", {
  set.seed(1)
  data <- data.frame(theta = rnorm(60), linear = rep_len(1:12, 60), se = 0.5)
  wide <- full_score ~ s(theta, bs = "cr", k = 40) + s(linear, k = 10) + s(se)
  fitted <- fit_bases(wide, data)
  expect_identical(
    deparse1(fitted$formula),
    'full_score ~ s(theta, bs = "cr", k = 10) + s(linear, k = 6) + se'
  )
  expect_match(fitted$lowered[1], "k = 40\\) -> .*k = 10\\) \\(60 models")
  many <- data.frame(
    theta = rnorm(2000),
    linear = rnorm(2000),
    se = runif(2000)
  )
  expect_identical(fit_bases(wide, many)$formula, wide)
  expect_identical(fit_bases(wide, many)$lowered, character())
  surface <- full_score ~ te(theta, linear, k = c(9, 9)) + se
  expect_identical(
    deparse1(fit_bases(surface, data)$formula),
    "full_score ~ te(theta, linear, k = c(5, 5)) + se"
  )
})

test_that("a smooth of near-ties is no wigglier than the ties allow", {
  formula <- parse_formula("full_score ~ s(theta, bs = 'cr', k = 40)")
  for (gap in c(0, 1e-9, 1e-7, 1e-5, 1e-3)) {
    for (values in c(3, 6, 21)) {
      data <- split_ties(60, values, gap, 1)
      fit <- fit_readout(data, formula)
      # A line is the truth: mgcv's own choice took 25 to 37.
      expect_lt(describe_readout(fit)$edf, 8)
      expect_length(attr(as_terms(fit, "b", "A", "ability"), "unsupported"), 0)
      expect_lt(accuracy(fit$predictions)$rmse, 1.25 * 3)
    }
  }
})

test_that("smooths fit where nothing is left over", {
  x <- seq(0, 1, length.out = 60)
  for (y in list(rep(50, 60), 100 * x)) {
    fitted <- fit_smooths(y ~ s(x, bs = "cr", k = 10), data.frame(x, y))
    expect_equal(as.vector(stats::fitted(fitted)), y)
  }
})

test_that("thousands of models have the smooths that gam() finds", {
  set.seed(3)
  theta <- rnorm(3000)
  linear <- 60 + 15 * theta + rnorm(3000, sd = 3)
  full_score <- 100 * plogis(theta) + 0.2 * linear + rnorm(3000, sd = 2)
  data <- data.frame(theta, linear, full_score)
  for (right in c("s(theta, k = 40)", "s(theta, k = 20) + s(linear, k = 20)")) {
    formula <- stats::as.formula(paste("full_score ~", right))
    expected <- fitted(mgcv::gam(formula, data = data, method = "REML"))
    # Both searches end within their tolerances of the same smoothness.
    expect_lt(max(abs(fitted(fit_smooths(formula, data)) - expected)), 0.01)
  }
})
