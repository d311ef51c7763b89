# Features of two benchmarks whose errors share a part.
benchmarks <- c("one", "two-b")
own <- paste0("s(own.", c("linear", "theta", "sub_score"), ", k = 8)")
others <- paste0("s(other.", c("linear", "theta"), ", k = 8)")
formulas <- joint_formulas(
  paste("full_score ~", paste(c(own, others), collapse = " + ")),
  "full_score ~ s(overall.linear, k = 8) + s(each.theta, k = 8)",
  benchmarks
)

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

# Over the test subjects of the same features.
rmse <- function(fit, target, features) {
  others <- joint_data(change(in_set(features, "test"), "set", "train"), "A")
  others$full_score <- others[[paste0("y.", target)]]
  rmse_of(fit, others)
}

test_that("the other benchmarks help, and the mean of all is read out", {
  features <- features_of(600, 1)
  data <- joint_data(features, "A")
  expect_identical(data$subject, sprintf("s%04d", 1:300))
  joint <- fit_joint(data, "one", formulas$one, 0.9)
  data$full_score <- data$y.one
  alone <- fit_readout(
    data,
    full_score ~ s(one.linear, k = 8) +
      s(one.theta, k = 8) +
      s(one.sub_score, k = 8)
  )
  expect_lt(rmse(joint, "one", features), 0.95 * rmse(alone, "one", features))
  overall <- fit_joint(data, "overall", formulas$overall, 0.9)
  expect_equal(
    overall$predictions$full_score,
    (data$y.one + data[["y.two-b"]]) / 2
  )
  expect_lt(rmse(overall, "overall", features), rmse(joint, "one", features))
  # A hyphen in a name must survive the formula and the tables.
  rows <- joint_terms(overall, "overall", "A", benchmarks)
  expect_setequal(
    rows$variable[rows$kind == "smooth"],
    c("overall.linear", "one.theta", "two-b.theta")
  )
  wide <- fit_joint(data, "one", formulas$one, 0.9, optimism = 1.5)
  expect_equal(wide$quantile, 1.5 * joint$quantile)
})

test_that("the means are joined as metabench joins them", {
  means <- c("overall.linear", "overall.sub_score", "each.theta")
  smooths <- \(names) {
    paste(sprintf("s(%s, bs = 'ad', k = 8)", names), collapse = " + ")
  }
  paper <- joint_formulas(
    paste("full_score ~", smooths(c(means, "own.linear", "own.sub_score"))),
    paste("full_score ~", smooths(means)),
    benchmarks
  )
  abilities <- c("one.theta", "two.b.theta")
  expect_identical(
    all.vars(paper[["two-b"]])[-1],
    c(means[1:2], abilities, "two.b.linear", "two.b.sub_score")
  )
  expect_identical(all.vars(paper$overall)[-1], c(means[1:2], abilities))
  features <- features_of(300, 3)
  data <- joint_data(features, "A")
  train <- in_set(features, "train")
  by_name <- \(name) train[train$benchmark == name, ]
  expect_equal(
    data$overall.sub_score,
    (by_name("one")$sub_score + by_name("two-b")$sub_score) / 2
  )
  fit <- fit_joint(data, "overall", paper$overall, 0.9)
  alone <- fit_joint(data, "overall", formulas$overall, 0.9)
  expect_lt(
    rmse(fit, "overall", features),
    1.1 * rmse(alone, "overall", features)
  )
  rows <- joint_terms(fit, "overall", "A", benchmarks)
  expect_setequal(
    rows$variable[rows$kind == "smooth"],
    c("overall.linear", "overall.sub_score", "one.theta", "two-b.theta")
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
      change(features, "benchmark", rep(c("overall", "x"), each = 120)),
      "A"
    ),
    "'overall': that name means something else"
  )
  expect_user_error(
    joint_optimism("a", c("one", "two")),
    "1 files for 2 benchmarks"
  )
  expect_identical(joint_optimism(NULL, "one"), c(one = 1, overall = 1))
})

test_that("a formula stands for every target", {
  expect_identical(
    all.vars(formulas$one)[-1],
    c(
      paste0("one.", c("linear", "theta", "sub_score")),
      "two.b.linear",
      "two.b.theta"
    )
  )
  expect_identical(
    all.vars(formulas$overall)[-1],
    c("overall.linear", "one.theta", "two.b.theta")
  )
  three <- joint_formulas(
    "full_score ~ te(own.theta, other.theta, k = 4) + own.se",
    "full_score ~ each.linear",
    c("a", "b", "c")
  )
  expect_equal(
    three$b,
    full_score ~ te(b.theta, a.theta, k = 4) +
      te(b.theta, c.theta, k = 4) +
      b.se,
    ignore_formula_env = TRUE
  )
  expect_equal(
    three$overall,
    full_score ~ a.linear + b.linear + c.linear,
    ignore_formula_env = TRUE
  )
  skip_without_clone()
  known <- formula_predictors("joint")
  own <- "full_score ~ own.theta"
  expect_user_error(
    joint_formulas("full_score ~ theta", own, "a", known),
    "--formula 'full_score ~ theta': unknown variable theta; use own.linear"
  )
  expect_user_error(
    joint_formulas(own, own, "a", known),
    "--overall-formula .* unknown variable own.theta"
  )
})

test_that("surfaces keep the benchmarks' own names in the table", {
  features <- features_of(400, 3)
  data <- joint_data(features, "A")
  surface <- joint_formulas(
    "full_score ~ te(own.theta, other.theta, k = 4)",
    "full_score ~ each.theta",
    benchmarks
  )
  rows <- joint_terms(
    fit_joint(data, "one", surface$one, 0.9),
    "one",
    "A",
    benchmarks
  )
  rows <- rows[rows$kind == "surface", ]
  expect_identical(unique(rows$variable), "one.theta")
  expect_identical(unique(rows$variable2), "two-b.theta")
})

test_that("benchmarks of different models are left out, and said so", {
  skip_without_clone()
  features <- features_of(120, 1)
  expect_null(joint_obstacle(features, "A"))
  apart <- features
  apart$subject <- paste0(apart$subject, "-", apart$benchmark)
  expect_match(
    joint_obstacle(apart, "A"),
    "left out: 0 training models have every benchmark (one 60, two-b 60)",
    fixed = TRUE
  )
  folder <- scratch()
  path <- \(...) file.path(folder, paste0(...))
  write_table(apart, path("features"), "features")
  chosen <- data.frame(
    benchmark = rep(c("one", "two-b"), each = 2),
    form = "A",
    rank = rep(1:2, 2),
    item = letters[1:4],
    information = 1,
    theta_at_maximum = 0
  )
  write_table(chosen, path("selection"), "selection")
  end <- run_script(
    "fit_joint_readout.R",
    "--features",
    path("features"),
    "--selections",
    path("selection"),
    "--out",
    path("joint"),
    "--out-terms",
    path("terms"),
    "--record",
    path("record")
  )
  expect_identical(end$status, 0L)
  expect_match(end$stderr, "left out: 0 training models")
  record <- jsonlite::fromJSON(path("record"), simplifyVector = FALSE)
  expect_match(record$left_out, "0 training models have every benchmark")
  expect_length(record$targets, 0)
  expect_true(all(file.exists(path(c("joint", "terms")))))
})
