# Features of two benchmarks whose errors share a part.
features_of <- function(n, seed) {
  set.seed(seed)
  general <- rnorm(n)
  shared <- rnorm(n, sd = 4)
  parts <- lapply(c("one", "two-b"), \(benchmark) {
    own <- general + rnorm(n, sd = 0.4)
    data.frame(
      subject = sprintf("s%04d", seq_len(n)),
      benchmark = benchmark,
      form = "A",
      set = rep(c("train", "test"), each = n / 2),
      fold = ifelse(seq_len(n) <= n / 2, rep_len(1:5, n), NA),
      full_score = clamp(50 + 12 * own, c(0, 100)),
      theta = own + rnorm(n, sd = 0.3),
      se = 0.3,
      linear = 50 + 12 * own + (if (benchmark == "one") shared else -shared),
      sub_score = clamp(50 + 10 * own + rnorm(n, sd = 5), c(0, 100)),
      complete = 1L
    )
  })
  do.call(rbind, parts)
}

test_that("the other benchmarks help, and the mean of all is read out", {
  features <- features_of(600, 1)
  data <- joint_data(features, "A")
  benchmarks <- c("one", "two-b")
  joint <- fit_joint(data, "one", benchmarks, 8, 0.9)
  data$full_score <- data$y.one
  alone <- fit_readout(
    data,
    joint_formula(paste0("one.", c("linear", "theta", "sub_score")), 8)
  )
  rmse <- \(fit) describe_readout(fit)$sets$test$rmse
  expect_lt(rmse(joint), 0.95 * rmse(alone))
  grand <- fit_joint(data, "grand", benchmarks, 8, 0.9)
  expect_equal(
    grand$predictions$full_score,
    (data$y.one + data[["y.two-b"]]) / 2
  )
  expect_lt(rmse(grand), rmse(joint))
  # A hyphen in a name must survive the formula and the tables.
  rows <- joint_terms(grand, "grand", "A", benchmarks)
  expect_setequal(
    rows$variable[rows$kind == "smooth"],
    c("grand.linear", "one.theta", "two-b.theta")
  )
  wide <- fit_joint(data, "one", benchmarks, 8, 0.9, optimism = 1.5)
  expect_equal(wide$quantile, 1.5 * joint$quantile)
})

test_that("the means are joined as metabench joins them", {
  benchmarks <- c("one", "two-b")
  expect_identical(
    joint_predictors("two-b", benchmarks, "means"),
    c(
      "grand.linear",
      "grand.sub_score",
      "two.b.linear",
      "two.b.sub_score",
      "one.theta",
      "two.b.theta"
    )
  )
  expect_identical(
    joint_predictors("grand", benchmarks, "means"),
    c("grand.linear", "grand.sub_score", "one.theta", "two.b.theta")
  )
  expect_identical(
    deparse(joint_formula("one.theta", 40L, "ad")),
    "full_score ~ s(one.theta, bs = \"ad\", k = 40)"
  )
  features <- features_of(300, 3)
  data <- joint_data(features, "A")
  by_name <- \(name) features[features$benchmark == name, ]
  expect_equal(
    data$grand.sub_score,
    (by_name("one")$sub_score + by_name("two-b")$sub_score) / 2
  )
  fit <- fit_joint(data, "grand", benchmarks, 8, 0.9, terms = "means")
  alone <- fit_joint(data, "grand", benchmarks, 8, 0.9)
  rmse <- \(fit) describe_readout(fit)$sets$test$rmse
  expect_lt(rmse(fit), 1.1 * rmse(alone))
  rows <- joint_terms(fit, "grand", "A", benchmarks)
  expect_setequal(
    rows$variable[rows$kind == "smooth"],
    c("grand.linear", "grand.sub_score", "one.theta", "two-b.theta")
  )
})

test_that("what cannot be joined is refused", {
  features <- features_of(120, 2)
  expect_user_error(joint_data(features, "B"), "hold no form 'B'")
  expect_user_error(
    joint_data(features[features$benchmark == "one", ], "A"),
    "only benchmark one; a joint read-out needs at least two"
  )
  expect_user_error(
    joint_data(features[-(1:11), ], "A"),
    "49 training subjects have"
  )
  expect_user_error(
    joint_data(
      change(features, "benchmark", rep(c("grand", "x"), each = 120)),
      "A"
    ),
    "means the mean of all"
  )
  expect_user_error(
    joint_optimism("a", c("one", "two")),
    "1 files for 2 benchmarks"
  )
  expect_identical(joint_optimism(NULL, "one"), c(one = 1, grand = 1))
})
