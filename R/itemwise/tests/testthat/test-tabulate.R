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
        surface = bicubic(
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
  found <- tabulate_terms(model, train)$unsupported
  expect_setequal(names(found), c("s(theta,linear,se)", "I(se^2)"))
  expect_match(found, "^neither linear, nor a smooth of one predictor")
  model <- fit_gam(full_score ~ s(theta, by = se, k = 8), train)
  found <- tabulate_terms(model, train)$unsupported
  expect_identical(names(found), "s(theta):se")
})

test_that("a session is warned of terms that no table holds", {
  train$fold <- rep_len(1:5, 400)
  for (term in c("poly(theta, 2)", "I(se^2)", "s(theta, by = se, k = 8)")) {
    fit <- fit_readout(train, parse_formula(paste("full_score ~ se +", term)))
    expect_warning(
      as_terms(fit, "arc", "A", "ability"),
      "form 'A', read-out 'ability': neither assess_readout nor a bank can hold"
    )
  }
  fit <- fit_readout(train, full_score ~ s(theta, k = 8))
  expect_silent(as_terms(fit, "arc", "A", "ability"))
})

test_that("cubics are interpolated exactly, on any grid", {
  grids <- list(c(0, 1, 2.5, 3, 5), c(-1, 0, 2, 3, 7, 8))
  surface <- \(x, y) 1 + x^3 - 2 * x * y^2 + y^3
  nodes <- expand.grid(rev(grids))
  value <- surface(nodes[[2]], nodes[[1]])
  set.seed(1)
  at <- list(c(0, 5, runif(50, 0, 5)), c(8, -1, runif(50, -1, 8)))
  expect_equal(bicubic(grids, value, at), surface(at[[1]], at[[2]]))
})

test_that("surfaces of plain data are tabulated; too curved ones say so", {
  set.seed(2)
  n <- 3000
  data <- data.frame(theta = rnorm(n))
  data$se <- 0.15 + 0.1 * data$theta^2 + rexp(n) / 30
  data$linear <- 50 + 14 * data$theta + rnorm(n, sd = 3)
  data$full_score <- clamp(
    data$linear + 2 * sin(2 * data$theta) + rnorm(n, sd = 1.5),
    c(0, 100)
  )
  for (term in c("te(theta, se, k = 4)", "s(linear, theta, k = 30)")) {
    model <- fit_gam(stats::as.formula(paste("full_score ~", term)), data)
    made <- tabulate_terms(model, data)
    expect_length(made$unsupported, 0)
    exact <- predict_score(model, data, data)
    expect_lt(max(abs(evaluate(made$rows, data) - exact)), 1e-3)
  }
  # A thousand waves across the surface: no grid of that size follows them.
  waves <- list(label = "te(theta,se)", term = c("theta", "se"), dim = 2)
  ripple <- \(model, smooth, at) sin(1000 * at$theta)
  environment(tabulate_surface) <- list2env(
    list(smooth_values = ripple),
    parent = environment(tabulate_surface)
  )
  found <- tabulate_surface(NULL, waves, data, sin(1000 * data$theta), 1e-4)
  expect_match(found, "^too curved for a grid of 513 x 513 nodes \\(off by")
})

test_that("the interval is tabulated", {
  rows <- tabulate_interval(\(at) 1 + at / 10, c(20, 80), Inf, 0.9)
  expect_identical(rows$value[rows$kind == "quantile"], 1e12)
  scale <- rows[rows$kind == "scale", ]
  expect_equal(approx(scale$x, scale$value, 50)$y, 6)
})
