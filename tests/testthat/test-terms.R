# Evaluate tabulated terms as another program does.
evaluate <- function(rows, data) {
  total <- rep(rows$value[rows$kind == "intercept"], nrow(data))
  for (variable in rows$variable[rows$kind == "range"]) {
    ends <- rows[rows$kind == "range" & rows$variable == variable, ]
    data[[variable]] <- clamp(data[[variable]], c(ends$x, ends$x2))
  }
  for (term in split(
    rows[rows$kind %in% c("linear", "smooth", "surface"), ],
    ~term,
    drop = TRUE
  )) {
    at <- data[[term$variable[1]]]
    total <- total +
      switch(
        term$kind[1],
        linear = term$value * at,
        smooth = approx(term$x, term$value, at)$y,
        surface = bilinear(
          list(unique(term$x), unique(term$x2)),
          term$value,
          list(at, data[[term$variable2[1]]])
        )
      )
  }
  clamp(total, c(0, 100))
}

train <- local({
  set.seed(1)
  data <- data.frame(
    theta = rnorm(400),
    linear = runif(400, 10, 90),
    se = runif(400)
  )
  noise <- rnorm(400)
  data$full_score <- with(
    data,
    50 + 10 * sin(theta) + 0.3 * (linear - 50) + se + noise
  )
  data
})

test_that("tabulated terms are the model", {
  formulas <- list(
    full_score ~ s(theta, bs = "cr", k = 20) +
      s(linear, bs = "ad", k = 15) +
      se,
    full_score ~ te(theta, linear, k = 5) + se,
    full_score ~ ti(theta, k = 5) + ti(linear, k = 5) + ti(theta, linear, k = 4)
  )
  new <- train
  new$theta <- 1.5 * new$theta
  for (formula in formulas) {
    model <- fit_gam(formula, train)
    made <- tabulate_terms(model, train)
    expect_length(made$unsupported, 0)
    for (data in list(train, new)) {
      exact <- predict_score(model, data, train)
      expect_lt(max(abs(evaluate(made$rows, data) - exact)), 1e-3)
    }
  }
})

test_that("other terms are named", {
  train$kind <- rep(c("a", "b"), 200)
  model <- fit_gam(full_score ~ s(theta, linear, se, k = 20) + I(se^2), train)
  expect_setequal(
    tabulate_terms(model, train)$unsupported,
    c("s(theta,linear,se)", "I(se^2)")
  )
  model <- fit_gam(full_score ~ s(theta, by = se, k = 8), train)
  expect_identical(tabulate_terms(model, train)$unsupported, "s(theta):se")
})

test_that("the interval is tabulated", {
  rows <- tabulate_interval(\(at) 1 + at / 10, c(20, 80), Inf, 0.9)
  expect_identical(rows$value[rows$kind == "quantile"], 1e12)
  scale <- rows[rows$kind == "scale", ]
  expect_equal(approx(scale$x, scale$value, 50)$y, 6)
})
